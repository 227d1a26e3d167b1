//! The differences that a new build makes in rooms, printed for people: each difference once, and in full only on request.

use std::collections::HashMap;

use reapply_sync::Digest;

use super::count::{count, count_of};
use reapply_host::upgrade::report::{Differences, Refused};

/// The number of rooms whose differences are summarised. Of the others, only the count is printed.
const ROOMS_SHOWN_MAX: u64 = 5;

/// The number of changed lines of a view that a summary shows.
const LINES_SHOWN_MAX: usize = 4;

/// The maximum number of differences that are remembered, so that they are not printed again for another room.
const KNOWN_MAX: usize = 1_000;

/// The printer of the rooms that differ, one by one.
#[derive(Debug, Default)]
pub(super) struct Differing {
    in_full: bool,
    rooms: u64,
    /// Whether something was left out.
    is_cut: bool,
    /// The first room with each difference.
    known: HashMap<Digest, String>,
}

impl Differing {
    /// Creates a printer of full differences, or of summaries of the first few.
    pub(super) fn new(in_full: bool) -> Self {
        Self { in_full, ..Self::default() }
    }

    /// Returns the text to print for a room.
    pub(super) fn tell(&mut self, room: &str, differences: &Differences) -> String {
        self.rooms += 1;
        if !self.in_full && self.rooms > ROOMS_SHOWN_MAX {
            return String::new();
        }
        let mut text = String::new();
        if self.in_full {
            tell_all(differences, &mut text)
        } else {
            self.is_cut |= summarise(differences, &mut text)
        }
        let digest = Digest::of(text.as_bytes());
        if let Some(first) = self.known.get(&digest) {
            return format!("differs  {room}, as {first} does\n");
        }
        if self.known.len() < KNOWN_MAX {
            self.known.insert(digest, room.to_owned());
        }
        format!("differs  {room}\n{text}")
    }

    /// Returns the text to print after the last room: what was left out, and how to see it.
    pub(super) fn conclude(&self) -> String {
        let unseen = if self.in_full { 0 } else { self.rooms.saturating_sub(ROOMS_SHOWN_MAX) };
        match (unseen, self.is_cut) {
            (0, false) => String::new(),
            (0, true) => "see the differences in full: --diff\n".to_owned(),
            (unseen, _) => {
                format!("{}; see all differences: --diff\n", count_of(unseen, "more room differs", "more rooms differ"))
            }
        }
    }
}

fn tell_all(Differences { replayed, view, replay, refused }: &Differences, text: &mut String) {
    view.iter().for_each(|view| indent(view, text));
    refused.iter().for_each(|refused| tell_refused(*replayed, refused, text));
    replay.iter().for_each(|replay| indent(replay, text));
}

/// Appends a summary of a room's differences. Returns whether something was left out.
fn summarise(Differences { replayed, view, replay, refused }: &Differences, text: &mut String) -> bool {
    let mut is_cut = false;
    if let Some(view) = view {
        is_cut |= summarise_diff("the view after the upgrade", view, text);
    }
    refused.iter().for_each(|refused| tell_refused(*replayed, refused, text));
    if let Some(replay) = replay {
        let events = count(*replayed, "event");
        is_cut |= summarise_diff(&format!("the view with the last {events} played on the new build"), replay, text);
    }
    is_cut
}

/// Counts the changed lines of a unified diff, and appends the first of them. Returns whether there are more.
fn summarise_diff(what: &str, diff: &str, text: &mut String) -> bool {
    let is_changed = |line: &&str| {
        (line.starts_with('+') && !line.starts_with("+++ ")) || (line.starts_with('-') && !line.starts_with("--- "))
    };
    let changed: Vec<&str> = diff.lines().filter(is_changed).collect();
    if changed.is_empty() {
        indent(diff, text);
        return false;
    }
    let added = changed.iter().filter(|line| line.starts_with('+')).count();
    text.push_str(&format!("  {what}: {} new, {} gone\n", count(added as u64, "line"), changed.len() - added));
    changed.iter().take(LINES_SHOWN_MAX).for_each(|line| text.push_str(&format!("    {line}\n")));
    let more = changed.len().saturating_sub(LINES_SHOWN_MAX);
    if more > 0 {
        text.push_str(&format!("    … and {more} more\n"));
    }
    more > 0
}

fn tell_refused(replayed: u64, Refused { seq, transition, why, count: refused }: &Refused, text: &mut String) {
    let events = count(replayed, "event");
    text.push_str(&format!("  of the last {events} it refuses {refused}, first {seq}, {transition}: {why}\n"));
}

fn indent(lines: &str, text: &mut String) {
    lines.lines().for_each(|line| text.push_str(&format!("  {line}\n")));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(lines: usize) -> Differences {
        let changed: String = (0..lines).map(|n| format!("+  \"field-{n}\": 0,\n")).collect();
        Differences {
            view: Some(format!("--- now\n+++ upgraded\n@@ -1 +1 @@\n {{\n{changed}")),
            ..Differences::default()
        }
    }

    #[test]
    fn a_summary_counts_shows_a_few_lines_and_names_the_way_to_the_rest() {
        let mut differing = Differing::new(false);
        let told = differing.tell("poll/a", &view(6));
        assert!(told.starts_with("differs  poll/a\n  the view after the upgrade: 6 lines new, 0 gone\n"), "{told}");
        assert!(
            told.contains("\"field-3\"") && !told.contains("\"field-4\"") && told.ends_with("… and 2 more\n"),
            "{told}"
        );
        assert_eq!(differing.conclude(), "see the differences in full: --diff\n");
        for n in 1..8 {
            differing.tell(&format!("poll/{n}"), &view(n));
        }
        assert_eq!(differing.conclude(), "3 more rooms differ; see all differences: --diff\n");
    }

    #[test]
    fn each_difference_is_told_once() {
        for in_full in [false, true] {
            let mut differing = Differing::new(in_full);
            assert!(differing.tell("poll/a", &view(2)).contains("\"field-1\""));
            assert_eq!(differing.tell("poll/b", &view(2)), "differs  poll/b, as poll/a does\n");
            assert!(differing.tell("poll/c", &view(1)).starts_with("differs  poll/c\n"));
            assert_eq!(differing.conclude(), "");
        }
    }

    #[test]
    fn in_full_nothing_is_left_out() {
        let mut differing = Differing::new(true);
        for n in 1..50 {
            let told = differing.tell(&format!("poll/{n}"), &view(n));
            assert_eq!(told.matches("field-").count(), n, "{told}");
        }
        assert_eq!(differing.conclude(), "");
    }
}
