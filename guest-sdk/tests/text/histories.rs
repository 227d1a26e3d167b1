//! Random histories of several people who do not see each other's latest changes, against a naive model.

use reapply_guest::{CharId, CharRange, Id, Rng, StateMachine, Text, TextConflict, TextTransition, contract};
use serde_json::Value;

use super::model::Model;
use super::{restored, snapshot};

const HISTORIES: u64 = 30;
const STEPS: usize = 200;

/// The number of transitions that a person may be behind.
const BEHIND_MAX: u64 = 8;

#[derive(Default)]
struct Seen {
    accepted: usize,
    taken: usize,
    missing: usize,
    deleted: usize,
    longest: usize,
}

#[test]
fn behaves_like_a_list_of_characters() {
    let mut seen = Seen::default();
    for seed in 0..HISTORIES {
        println!("seed {seed}");
        run(seed, &mut seen);
    }
    let Seen { accepted, taken, missing, deleted, longest } = seen;
    println!("{accepted} accepted, {taken} taken, {missing} missing, {deleted} deleted, {longest} characters at most");
    assert!(
        accepted > 3_000 && taken > 100 && missing > 100 && deleted > 3_000 && longest > 1_000,
        "nothing was tried"
    );
}

fn run(seed: u64, seen: &mut Seen) {
    let mut rng = Rng::from_seed(seed);
    let mut model = Model::default();
    let mut versions = vec![Text::default()];
    let mut bytes = snapshot(&versions[0]);
    // A text that was restored after each step has other runs than one that was not, and must behave the same.
    let mut always_restored = Text::default();
    for step in 0..STEPS {
        let text = versions[versions.len() - 1].clone();
        let behind = rng.below(BEHIND_MAX.min(versions.len() as u64)) as usize;
        let transition = transition(&mut rng, &versions[versions.len() - 1 - behind], &model, seed % 2 == 1);
        let result = text.apply(&transition);
        assert!(snapshot(&text) == bytes, "step {step} changed the old state: {transition:?}");
        match (result, model.apply(&transition)) {
            (Ok(next), Ok(next_model)) => {
                assert!(view(&next) == next_model.view(), "step {step} differs from the model: {transition:?}");
                always_restored = restored(&always_restored.apply(&transition).unwrap());
                assert!(next == always_restored, "step {step} differs when it is restored: {transition:?}");
                bytes = snapshot(&next);
                assert!(bytes == snapshot(&always_restored), "step {step} has other bytes: {transition:?}");
                seen.accepted += 1;
                versions.push(next);
                model = next_model;
            }
            (Err(conflict), Err(expected)) => {
                assert_eq!(conflict, expected, "step {step}: {transition:?}");
                assert_eq!(always_restored.apply(&transition), Err(expected));
                match conflict {
                    TextConflict::IdTaken(_) => seen.taken += 1,
                    TextConflict::NoSuchChar(_) => seen.missing += 1,
                    TextConflict::TooLong { .. } => {}
                }
            }
            (result, expected) => panic!("step {step}: {result:?} for {transition:?}, model {:?}", expected.err()),
        }
    }
    let text = &versions[versions.len() - 1];
    check_lookups(text, &model);
    seen.deleted += model.deleted();
    seen.longest = seen.longest.max(text.len());
}

fn check_lookups(text: &Text, model: &Model) {
    let visible: Vec<_> = model.visible().collect();
    assert_eq!((text.len(), text.is_empty()), (visible.len(), visible.is_empty()));
    assert_eq!(text.char_at(visible.len()), None);
    for (index, (id, marks)) in visible.iter().enumerate() {
        assert_eq!(text.char_at(index), Some(*id));
        assert_eq!(text.index_of(*id), Some(index));
        assert_eq!(text.marks_at(index), **marks);
    }
    let indices = model.ids().into_iter().filter(|id| text.index_of(*id).is_some());
    assert_eq!(indices.count(), visible.len(), "a deleted character has no index");
}

/// Returns a transition that somebody who sees `text` might make; sometimes an invalid one.
fn transition(rng: &mut Rng, text: &Text, model: &Model, is_narrow: bool) -> TextTransition {
    let author = Id::from_bits(u128::from(rng.below(4)));
    let length = text.len() as u64;
    // Every other history has most of its edits in one place, so that there is soon no room left between two runs.
    let place = match (is_narrow, rng.below(3)) {
        (true, 0..2) => length.min(1 + rng.below(2)),
        (_, 0) => length / 2,
        _ => rng.below(length + 1),
    } as usize;
    let indices = {
        let end =
            (place as u64 + 1 + [rng.below(6), rng.below(300)][usize::from(rng.below(10) == 0)]).min(length) as usize;
        place.min(end)..end
    };
    let names = ["bold", "link"];
    let name = names[rng.below(2) as usize];
    match rng.below(12) {
        0..5 => text.insert(author, place, words(rng, is_narrow)),
        5..7 => text.delete(indices),
        7 => text.mark(indices, name, ["a", "b"][rng.below(2) as usize]),
        8 => text.unmark(indices, name),
        9 => TextTransition::Insert {
            id: author,
            offset: rng.below(50) as u32,
            after: any_char(rng, model),
            text: words(rng, is_narrow),
        },
        10 => TextTransition::Delete { ranges: (0..rng.below(4)).map(|_| any_range(rng, model)).collect() },
        _ => TextTransition::Mark {
            ranges: (0..rng.below(4)).map(|_| any_range(rng, model)).collect(),
            mark: name.to_owned(),
            value: (rng.below(2) == 0).then(|| "c".to_owned()),
        },
    }
}

fn any_char(rng: &mut Rng, model: &Model) -> Option<CharId> {
    match rng.below(10) {
        0 => None,
        1 => Some(CharId { id: Id::from_bits(u128::from(rng.below(5))), offset: rng.below(2_000) as u32 }),
        _ => rng.pick(&model.ids()).copied(),
    }
}

fn any_range(rng: &mut Rng, model: &Model) -> CharRange {
    let start = any_char(rng, model).unwrap_or(CharId { id: Id::from_bits(0), offset: 0 });
    CharRange { id: start.id, offset: start.offset, length: rng.below(12) as u32 }
}

/// Returns mostly a few characters, with one to four bytes each; sometimes more than one run holds.
fn words(rng: &mut Rng, is_narrow: bool) -> String {
    let length = match rng.below(16) {
        0 => 0,
        1 if !is_narrow => rng.below(700),
        _ => 1 + rng.below(8),
    };
    let is_ascii = rng.below(2) == 0;
    (0..length).map(|_| if is_ascii { 'a' } else { ['e', 'é', '€', '😀'][rng.below(4) as usize] }).collect()
}

fn view(text: &Text) -> Value {
    serde_json::from_str(&contract::view(text).unwrap()).unwrap()
}
