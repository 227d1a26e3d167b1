//! Numbers of things, in sentences.

/// So many of what is called `one` where there is one of it, and takes an `s` otherwise.
pub(super) fn count(count: u64, one: &str) -> String {
    count_of(count, one, &format!("{one}s"))
}

/// So many of what is called `one` where there is one of it, and `many` otherwise.
pub(super) fn count_of(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
