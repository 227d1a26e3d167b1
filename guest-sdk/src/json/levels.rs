//! The depth to which JSON may nest.

use crate::limits::JSON_LEVELS_MAX;

/// Returns the error for a value that nests too deeply to be read or written.
pub(super) fn too_deep() -> String {
    format!("it nests deeper than {JSON_LEVELS_MAX} levels, the most that readers of JSON take")
}
