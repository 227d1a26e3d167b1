//! `Text`.

use std::collections::{BTreeMap, BTreeSet};

use reapply_guest::{CharId, CharRange, Id, Text, TextConflict, TextTransition};
use reapply_simulation::{Accepted, History, Random};
use serde::Deserialize;

use crate::naive::Naive;

/// The characters in order, with the deleted ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NaiveText(Vec<NaiveChar>);

#[derive(Clone, Debug, PartialEq)]
struct NaiveChar {
    id: CharId,
    char: char,
    is_deleted: bool,
    marks: BTreeMap<String, String>,
}

impl NaiveText {
    fn index(&self, id: CharId) -> Result<usize, TextConflict> {
        self.0.iter().position(|char| char.id == id).ok_or(TextConflict::NoSuchChar(id))
    }

    fn visible(&self) -> impl Iterator<Item = &NaiveChar> {
        self.0.iter().filter(|char| !char.is_deleted)
    }

    fn insert(&mut self, ids: &[CharId], after: Option<CharId>, text: &str) -> Result<(), TextConflict> {
        let index = after.map_or(Ok(0), |after| self.index(after).map(|index| index + 1))?;
        if let Some(taken) = ids.iter().find(|id| self.index(**id).is_ok()) {
            return Err(TextConflict::IdTaken(*taken));
        }
        let left = self.0[..index].iter().rev().find(|char| !char.is_deleted);
        let right = self.0[index..].iter().find(|char| !char.is_deleted);
        let marks: BTreeMap<_, _> = match (left, right) {
            (Some(left), Some(right)) => {
                let shared = left.marks.iter().filter(|(name, value)| right.marks.get(*name) == Some(*value));
                shared.map(|(name, value)| (name.clone(), value.clone())).collect()
            }
            _ => BTreeMap::new(),
        };
        let new = |(char, id): (char, &CharId)| NaiveChar { id: *id, char, is_deleted: false, marks: marks.clone() };
        self.0.splice(index..index, text.chars().zip(ids).map(new));
        Ok(())
    }

    fn change(&mut self, ranges: &[CharRange], change: impl Fn(&mut NaiveChar)) -> Result<(), TextConflict> {
        for id in ids_of(ranges) {
            let index = self.index(id)?;
            change(&mut self.0[index]);
        }
        Ok(())
    }
}

/// A text in its JSON form.
#[derive(Deserialize)]
struct Shown {
    text: String,
    runs: Vec<ShownRun>,
}

#[derive(Deserialize)]
struct ShownRun {
    id: Id,
    offset: u32,
    length: u32,
    #[serde(default)]
    marks: BTreeMap<String, String>,
}

impl Naive for NaiveText {
    type Machine = Text;

    /// Returns the characters without the deleted ones, which a text does not show.
    fn of(text: &Text) -> Self {
        let json = serde_json::to_string(text).expect("a text has a JSON form");
        let shown: Shown = serde_json::from_str(&json).expect("a text's JSON form is as documented");
        let mut chars = shown.text.chars();
        let mut naive = Vec::new();
        for run in shown.runs {
            for offset in run.offset..run.offset + run.length {
                let char = chars.next().expect("the runs are no longer than the text");
                let (id, marks) = (CharId { id: run.id, offset }, run.marks.clone());
                naive.push(NaiveChar { id, char, is_deleted: false, marks });
            }
        }
        assert_eq!(chars.next(), None, "the runs are as long as the text");
        Self(naive)
    }

    fn agrees(&self, text: &Text) -> bool {
        let chars: Vec<&NaiveChar> = self.visible().collect();
        let middle = chars.len() / 2;
        let id = chars.get(middle).map(|char| char.id);
        Self::of(text).0.iter().eq(chars.iter().copied())
            && text.to_string() == chars.iter().map(|char| char.char).collect::<String>()
            && (text.len(), text.is_empty()) == (chars.len(), chars.is_empty())
            && (text.char_at(middle), id.and_then(|id| text.index_of(id))) == (id, id.map(|_| middle))
    }

    fn apply(&mut self, transition: &TextTransition) -> Result<(), TextConflict> {
        match transition {
            TextTransition::Insert { id, offset, after, text } => {
                self.insert(&new_ids(*id, *offset, text), *after, text)
            }
            TextTransition::Delete { ranges } => self.change(ranges, |char| char.is_deleted = true),
            TextTransition::Mark { ranges, mark, value } => self.change(ranges, |char| {
                match value {
                    Some(value) => char.marks.insert(mark.clone(), value.clone()),
                    None => char.marks.remove(mark),
                };
            }),
        }
    }

    fn act(client: usize, shown: &Text, random: &mut Random) -> Option<TextTransition> {
        let own = Id::from_bits((client as u128 + 1) << 64 | u128::from(random.below(2)));
        let typed = draw_text(random);
        // Mostly at the start, so that clients meet.
        let end = if random.percent(60) { shown.len().min(6) } else { shown.len() };
        let from = random.index(end + 1);
        let range = from..(from + 1 + random.index(5)).min(shown.len());
        // Everyone inserts at one place, so that its neighbours must make room.
        let crowd = shown.char_at(0).filter(|first| first.id.bits() >> 64 == 3);
        if crowd.is_some() && random.percent(95) {
            return Some(shown.insert(own, 1, typed));
        }
        Some(match random.below(20) {
            0..5 => shown.insert(own, from, typed),
            5..9 => match shown.insert(own, 0, typed) {
                // The page keeps typing.
                TextTransition::Insert { id, offset, text, .. } => {
                    let after = offset.checked_sub(1).map(|offset| CharId { id, offset });
                    TextTransition::Insert { id, offset, after, text }
                }
                other => other,
            },
            // Ids that others choose as well.
            9 => {
                let id = Id::from_bits(1);
                let TextTransition::Insert { after, text, .. } = shown.insert(id, from, typed) else { return None };
                TextTransition::Insert { id, offset: random.below(12) as u32, after, text }
            }
            // After any character that ever existed, perhaps a deleted one.
            10..12 => {
                let id = Id::from_bits((u128::from(random.below(8)) + 1) << 64 | u128::from(random.below(2)));
                let TextTransition::Insert { offset: end, .. } = shown.insert(id, 0, "") else { return None };
                let after = (end > 0).then(|| CharId { id, offset: random.below(end.into()) as u32 });
                let TextTransition::Insert { id, offset, text, .. } = shown.insert(own, 0, typed) else { return None };
                TextTransition::Insert { id, offset, after, text }
            }
            12..16 => shown.delete(range),
            16..19 => shown.mark(range, draw_mark(random), ["1", "2"][random.index(2)]),
            _ => shown.unmark(range, draw_mark(random)),
        })
    }

    /// Every accepted character is there once, at first in one piece with its insert, unless it was deleted; and each has
    /// its last marks.
    fn check(history: &History<TextTransition>, models: &[Self]) -> Vec<(&'static str, u64)> {
        check_characters(&history.accepted, models.last().expect("there is a first state"));
        for accepted in &history.accepted {
            let seq = accepted.seq.0 as usize;
            check_step(&accepted.what, &models[seq - 1], &models[seq]);
        }
        let mut counts = count_inserts(history);
        counts.extend(count_ranges(history));
        counts
    }
}

/// Counts the times when two people insert at one place.
fn count_inserts(history: &History<TextTransition>) -> Vec<(&'static str, u64)> {
    use TextTransition::{Delete, Insert, Mark};
    let is_in =
        |ranges: &[CharRange], after: &Option<CharId>| after.is_some_and(|after| ids_of(ranges).any(|id| id == after));
    let types_on = |transition: &TextTransition| match transition {
        Insert { id, offset, after: Some(after), .. } => after.id == *id && after.offset + 1 == *offset,
        _ => false,
    };
    vec![
        (
            "inserted after one character by two at once",
            history.blind_pairs(|a, b| matches!((a, b), (Insert { after: a, .. }, Insert { after: b, .. }) if a == b)),
        ),
        ("typed on by two at once", history.blind_pairs(|a, b| types_on(a) && types_on(b))),
        (
            "inserted after an unseen deletion of the place",
            history.blind_pairs(
                |a, b| matches!((a, b), (Delete { ranges }, Insert { after, .. }) if is_in(ranges, after)),
            ),
        ),
        (
            "deleted around an unseen insert",
            history.blind_pairs(
                |a, b| matches!((a, b), (Insert { after, .. }, Delete { ranges }) if is_in(ranges, after)),
            ),
        ),
        (
            "marked around an unseen insert",
            history.blind_pairs(
                |a, b| matches!((a, b), (Insert { after, .. }, Mark { ranges, .. }) if is_in(ranges, after)),
            ),
        ),
        (
            "inserted into what was marked unseen",
            history.blind_pairs(
                |a, b| matches!((a, b), (Mark { ranges, .. }, Insert { after, .. }) if is_in(ranges, after)),
            ),
        ),
        (
            "conflict: ids taken unseen",
            history
                .count_conflicts(|transition, words| matches!(transition, Insert { .. }) && words.contains("IdTaken")),
        ),
    ]
}

/// Counts the times when two people change the same characters.
fn count_ranges(history: &History<TextTransition>) -> Vec<(&'static str, u64)> {
    use TextTransition::{Delete, Mark};
    let overlap = |a: &[CharRange], b: &[CharRange]| ids_of(a).any(|id| ids_of(b).any(|other| id == other));
    let marks = |is_meant: fn(bool, bool) -> bool| {
        history.blind_pairs(|a, b| match (a, b) {
            (Mark { ranges: a, mark, value }, Mark { ranges: b, mark: other, value: other_value }) => {
                is_meant(mark == other, value == other_value) && overlap(a, b)
            }
            _ => false,
        })
    };
    vec![
        (
            "deleted by two at once",
            history.blind_pairs(|a, b| matches!((a, b), (Delete { ranges: a }, Delete { ranges: b }) if overlap(a, b))),
        ),
        (
            "marked after an unseen deletion",
            history
                .blind_pairs(|a, b| matches!((a, b), (Delete { ranges: a }, Mark { ranges: b, .. }) if overlap(a, b))),
        ),
        (
            "deleted over an unseen mark",
            history
                .blind_pairs(|a, b| matches!((a, b), (Mark { ranges: a, .. }, Delete { ranges: b }) if overlap(a, b))),
        ),
        ("one mark given two values at once", marks(|same_mark, same_value| same_mark && !same_value)),
        ("two marks given at once", marks(|same_mark, _| !same_mark)),
    ]
}

/// Checks the text from the log alone: each insert that was never deleted is there once, unchanged, with its last marks.
fn check_characters(history: &[Accepted<TextTransition>], end: &NaiveText) {
    let mut expected: BTreeMap<CharId, char> = BTreeMap::new();
    let mut marked: BTreeMap<(CharId, &str), Option<&String>> = BTreeMap::new();
    for accepted in history {
        match &accepted.what {
            TextTransition::Insert { id, offset, text, .. } => {
                expected.extend(new_ids(*id, *offset, text).into_iter().zip(text.chars()))
            }
            TextTransition::Delete { ranges } => expected.retain(|id, _| !ids_of(ranges).any(|gone| gone == *id)),
            TextTransition::Mark { ranges, mark, value } => {
                marked.extend(ids_of(ranges).map(|id| ((id, mark.as_str()), value.as_ref())));
            }
        }
    }
    let mut seen = BTreeSet::new();
    for char in end.visible() {
        assert!(seen.insert(char.id), "{:?} is there twice", char.id);
        assert_eq!(expected.get(&char.id), Some(&char.char), "{:?} should not be there, or not so", char.id);
        for ((_, name), value) in marked.range((char.id, "")..).take_while(|((id, _), _)| *id == char.id) {
            assert_eq!(char.marks.get(*name), *value, "{name} of {:?} is not what it was set to last", char.id);
        }
    }
    assert_eq!(seen.len(), expected.len(), "characters are lost");
}

/// An insert stands directly after its place in one piece; no character ever passes another; and only the intended characters are deleted
/// or marked.
fn check_step(transition: &TextTransition, before: &NaiveText, after: &NaiveText) {
    let ids = |text: &NaiveText| text.0.iter().map(|char| char.id).collect::<Vec<_>>();
    let (mut expected, mut touched) = (ids(before), BTreeSet::new());
    match transition {
        TextTransition::Insert { id, offset, after: anchor, text } => {
            let new = new_ids(*id, *offset, text);
            touched.extend(new.iter().copied());
            let place = |anchor| 1 + expected.iter().position(|id| *id == anchor).expect("the place is there");
            let index = anchor.map_or(0, place);
            expected.splice(index..index, new);
        }
        TextTransition::Delete { ranges } | TextTransition::Mark { ranges, .. } => touched.extend(ids_of(ranges)),
    }
    assert_eq!(ids(after), expected, "{transition:?} has put characters where they do not belong");
    let others =
        |text: &NaiveText| text.0.iter().filter(|char| !touched.contains(&char.id)).cloned().collect::<Vec<_>>();
    assert_eq!(others(before), others(after), "{transition:?} has changed others");
}

fn new_ids(id: Id, offset: u32, text: &str) -> Vec<CharId> {
    (offset..).zip(text.chars()).map(|(offset, _)| CharId { id, offset }).collect()
}

fn ids_of(ranges: &[CharRange]) -> impl Iterator<Item = CharId> {
    ranges
        .iter()
        .flat_map(|range| (range.offset..range.offset + range.length).map(|offset| CharId { id: range.id, offset }))
}

fn draw_text(random: &mut Random) -> String {
    let alphabet = ['a', 'b', 'c', ' ', '\n', 'ü', '語', '🚀'];
    (0..random.index(6)).map(|_| alphabet[random.index(alphabet.len())]).collect()
}

fn draw_mark(random: &mut Random) -> &'static str {
    ["bold", "link"][random.index(2)]
}
