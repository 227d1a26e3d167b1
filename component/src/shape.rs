//! Bounds on a component's outer shape: the names of its parts, and their number.
//!
//! Neither matters to the engine. But names of core modules reach other programs (debuggers, profilers, logs), so a name must be harmless
//! there. And components that instantiate components can multiply with each level, so their number is bounded.

use wasmparser::{BinaryReaderError, ComponentInstance, Instance, Parser, Payload};

use crate::error::ComponentError;
use crate::limits::{COMPONENT_DEPTH_MAX, COMPONENT_INSTANCES_MAX, CORE_NAME_BYTES_MAX};

/// Punctuation that core names may have, besides letters and digits: the characters that tools use in names of an interface's functions.
const PUNCTUATION: &[u8] = b"_-.:/@#[]+|$";

/// Checks the names and the nesting of a valid component.
///
/// # Errors
///
/// A core module has an odd name, or the component nests too deeply or too often.
pub(crate) fn check(component: &[u8]) -> Result<(), ComponentError> {
    let invalid = |error: BinaryReaderError| ComponentError::Invalid(error.to_string());
    let (mut depth, mut instances) = (0, 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(invalid)? {
            Payload::Version { .. } => {
                depth += 1;
                if depth > COMPONENT_DEPTH_MAX {
                    let cause = format!("its components nest more than {COMPONENT_DEPTH_MAX} levels deep");
                    return Err(ComponentError::Shape(cause));
                }
            }
            Payload::End(_) => depth -= 1,
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(invalid)?;
                    check_name(import.module)?;
                    check_name(import.name)?;
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    check_name(export.map_err(invalid)?.name)?;
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    check_instance(&instance.map_err(invalid)?)?;
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    instances +=
                        usize::from(matches!(instance.map_err(invalid)?, ComponentInstance::Instantiate { .. }));
                }
                if instances > COMPONENT_INSTANCES_MAX {
                    let cause = format!("its components are instantiated more than {COMPONENT_INSTANCES_MAX} times");
                    return Err(ComponentError::Shape(cause));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks the names of an instance: those that the imports of its module are found by.
fn check_instance(instance: &Instance<'_>) -> Result<(), ComponentError> {
    match instance {
        Instance::Instantiate { args, .. } => args.iter().try_for_each(|argument| check_name(argument.name)),
        Instance::FromExports(exports) => exports.iter().try_for_each(|export| check_name(export.name)),
    }
}

fn check_name(name: &str) -> Result<(), ComponentError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || PUNCTUATION.contains(&byte);
    if name.len() <= CORE_NAME_BYTES_MAX && name.bytes().all(is_plain) {
        return Ok(());
    }
    Err(ComponentError::OddName(name.escape_default().take(SHOWN_MAX).collect()))
}

/// Maximum number of an odd name's characters that the error shows.
const SHOWN_MAX: usize = 80;
