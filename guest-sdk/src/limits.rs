//! Every bound of the SDK's own, by name.

/// Arrays and objects inside one another in one JSON text. serde_json reads no more, and neither do many other readers.
pub(crate) const JSON_LEVELS_MAX: usize = 127;

/// Characters of the way to a faulty place in JSON that an error shows. Hosts cut long texts off, and the reason comes last.
pub(crate) const WAY_CHARS_MAX: usize = 200;

/// Lists, maps, structs and variants inside one another, in a transition and in a state whose type holds itself.
///
/// Without such a bound a state could be made, one event at a time, that no stack is deep enough to read again. JSON readers take 127
/// levels; the rest is for a view around the state.
pub const NESTING_MAX: usize = 120;

/// Transitions of one [`Batch`](crate::Batch) event.
pub(crate) const BATCH_TRANSITIONS_MAX: u32 = 1_000;
