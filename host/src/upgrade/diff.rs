//! The difference between two views, for people.

use std::fmt::Write;

use serde_json::Value;
use similar::TextDiff;

use super::limits::{DIFF_BYTES_MAX, DIFF_WITHIN, VIEW_COMPARED_BYTES_MAX};

/// The number of lines that are shown around those that differ.
const CONTEXT_LINES: usize = 3;

/// A view with a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamedView<'a> {
    pub(super) name: &'a str,
    /// The view as the machine wrote it.
    pub(super) json: &'a str,
}

/// Returns the unified diff of two views as indented JSON, of bounded length. `None` if they are equal.
pub(super) fn diff(before: NamedView<'_>, after: NamedView<'_>) -> Option<String> {
    if before.json == after.json {
        return None;
    }
    if before.json.len().max(after.json.len()) > VIEW_COMPARED_BYTES_MAX {
        let (before, after) = (before.json.len(), after.json.len());
        return Some(format!("the views differ, and are too large to be compared ({before} and {after} bytes)\n"));
    }
    let (old, new) = (indented(before.json), indented(after.json));
    if old == new {
        return None;
    }
    let compared = TextDiff::configure().timeout(DIFF_WITHIN).diff_lines(&old, &new);
    let mut unified = compared.unified_diff();
    unified.context_radius(CONTEXT_LINES);
    let mut shown = format!("--- {}\n+++ {}\n", before.name, after.name);
    for hunk in unified.iter_hunks() {
        let _infallible = write!(shown, "{hunk}");
        if shown.len() > DIFF_BYTES_MAX {
            shown.truncate(shown.floor_char_boundary(DIFF_BYTES_MAX));
            shown.push_str("…\nthe rest of the difference is left out\n");
            break;
        }
    }
    Some(shown)
}

/// Sorts the keys of objects, so that only their content counts. Text that is not JSON stays as it is.
fn indented(json: &str) -> String {
    let indented = serde_json::from_str::<Value>(json).and_then(|value| serde_json::to_string_pretty(&value));
    indented.unwrap_or_else(|_| json.to_owned()) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(before: &str, after: &str) -> Option<String> {
        diff(NamedView { name: "now", json: before }, NamedView { name: "then", json: after })
    }

    #[test]
    fn views_that_say_the_same_do_not_differ() {
        assert_eq!(compare(r#"{"a":1,"b":[2]}"#, r#"{ "b": [2], "a": 1 }"#), None);
    }

    #[test]
    fn what_differs_is_shown_with_what_is_around_it() {
        let shown = compare(r#"{"count":2,"name":"x"}"#, r#"{"count":2,"name":"x","total":7}"#).unwrap();
        let expected = "--- now\n+++ then\n@@ -1,4 +1,5 @@\n {\n   \"count\": 2,\n-  \"name\": \"x\"\n+  \"name\": \"x\",\n+  \"total\": 7\n }\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_long_difference_is_cut_and_a_huge_view_is_only_named() {
        let [ones, twos] = [1, 2].map(|n| serde_json::to_string(&vec![n; 10_000]).unwrap());
        let shown = compare(&ones, &twos).unwrap();
        assert!(shown.len() < DIFF_BYTES_MAX + 100, "{}", shown.len());
        assert!(shown.ends_with("the rest of the difference is left out\n"), "{shown}");
        let huge = format!("\"{}\"", "ü".repeat(VIEW_COMPARED_BYTES_MAX));
        let shown = compare("\"x\"", &huge).unwrap();
        assert_eq!(shown, "the views differ, and are too large to be compared (3 and 2097154 bytes)\n");
        assert_eq!(compare(&huge, &huge), None);
    }

    #[test]
    fn what_is_no_json_is_compared_as_it_is() {
        assert!(compare("{", "}").unwrap().ends_with("-{\n+}\n"));
    }
}
