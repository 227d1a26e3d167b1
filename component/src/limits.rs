//! Every bound on a component's bytes and shape, by name. Bounds on a running machine are the host's.

/// Bytes of one component.
pub const COMPONENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Levels of components and modules inside one another, the outermost included.
pub const COMPONENT_DEPTH_MAX: usize = 4;

/// Instantiations of components that one component may hold, over all levels.
pub const COMPONENT_INSTANCES_MAX: usize = 32;

/// Bytes of a name that a core module imports or exports.
pub const CORE_NAME_BYTES_MAX: usize = 256;

/// Imports that an error names.
pub const IMPORTS_NAMED_MAX: usize = 3;
