//! Counts of things, for sentences.

/// Returns a count with its noun: `one` for exactly one thing, and `one` with an `s` otherwise.
pub(super) fn count(count: u64, one: &str) -> String {
    count_of(count, one, &format!("{one}s"))
}

/// Returns a count with its noun: `one` for exactly one thing, and `many` otherwise.
pub(super) fn count_of(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
