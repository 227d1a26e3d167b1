//! The limits of the SDK, each with a name.

/// The maximum nesting of arrays and objects in a JSON text. serde_json reads no deeper, and neither do many other readers.
pub(crate) const JSON_LEVELS_MAX: usize = 127;

/// The maximum number of characters of the path to a faulty place in JSON that an error shows. Hosts cut long texts off, and the reason
/// comes last.
pub(crate) const WAY_CHARS_MAX: usize = 200;

/// The maximum nesting of lists, maps, structs and variants, in a transition and in a state of a recursive type.
///
/// Without this bound, a state could grow, one event at a time, until no stack is deep enough to read it again. JSON readers take 127
/// levels; the rest is left for a view around the state.
pub const NESTING_MAX: usize = 120;

/// The maximum number of transitions in one [`Batch`](crate::Batch) event.
pub(crate) const BATCH_TRANSITIONS_MAX: u32 = 1_000;
