use super::run::RUN_CHARS_MAX;
use super::*;
use crate::blocks::order::tests::STEPS;
use crate::{Rng, StateMachine, contract};

const ADA: Id = Id::from_bits(1);
const BOB: Id = Id::from_bits(2);

fn typed(count: usize) -> Text {
    (0..count).fold(Text::default(), |text, index| text.apply(&text.insert(ADA, index, "é")).unwrap())
}

/// Returns a text of runs of one character each, in which those of two writers alternate.
fn fragmented(runs: u32) -> Text {
    let char = |run: u32| CharId { id: if run.is_multiple_of(2) { ADA } else { BOB }, offset: run / 2 };
    (0..runs).fold(Text::default(), |text, run| {
        let CharId { id, offset } = char(run);
        let insert = TextTransition::Insert { id, offset, after: run.checked_sub(1).map(char), text: "x".to_owned() };
        text.apply(&insert).unwrap()
    })
}

fn restored(text: &Text) -> Text {
    contract::restore(&contract::snapshot(text).unwrap(), <Text as StateMachine>::STATE_VERSION).unwrap()
}

#[test]
fn typing_fills_runs() {
    let text = typed(10_000);
    assert_eq!(text.runs.iter().count(), 10_000_usize.div_ceil(RUN_CHARS_MAX as usize));
}

#[test]
fn what_is_deleted_bit_by_bit_becomes_one_run() {
    let mut text = typed(2_000);
    while text.len() > 1_000 {
        // Alternately from the end, from the start, and in the middle.
        let index = [text.len() - 1, 0, text.len() / 2][text.len() % 3];
        text = text.apply(&text.delete(index..index + 1)).unwrap();
    }
    let deleted = text.runs.iter().filter(|run| !run.is_visible());
    assert_eq!(deleted.map(|run| run.length).sum::<u32>(), 1_000);
    text = text.apply(&text.delete(0..1_000)).unwrap();
    assert_eq!(text.runs.iter().count(), 1);
}

#[test]
fn marks_that_are_taken_off_leave_few_runs() {
    let text = typed(2_000);
    let marked = (0..2_000)
        .step_by(10)
        .fold(text.clone(), |text, index| text.apply(&text.mark(index..index + 5, "bold", "true")).unwrap());
    assert!(marked.runs.iter().count() >= 400);
    let unmarked = marked.apply(&marked.unmark(0..2_000, "bold")).unwrap();
    assert!(unmarked.runs.iter().count() <= 2 * text.runs.iter().count());
    assert_eq!(unmarked, text);
}

#[test]
fn an_edit_goes_once_through_the_runs() {
    let text = fragmented(8_000);
    assert_eq!(text.runs.iter().count(), 8_000);
    for edit in [text.mark(0..8_000, "bold", "true"), text.delete(0..8_000)] {
        let began = STEPS.get();
        let edited = text.apply(&edit).unwrap();
        let steps = STEPS.get() - began;
        println!("{steps} nodes changed");
        // The runs are in some 700 leaves. None of these is changed twice, nor its entry in its parent.
        assert!(steps <= 2 * 8_000 / 8, "{steps} steps");
        assert_eq!(edited.runs.iter().count(), 8_000);
        assert_eq!(restored(&edited), edited);
    }
}

#[test]
fn the_weight_is_that_of_the_pieces_however_they_came_about() {
    for seed in 0..20 {
        println!("seed {seed}");
        let mut rng = Rng::from_seed(seed);
        let mut text = Text::default();
        for step in 0..150 {
            let length = text.len() as u64;
            let from = rng.below(length + 1) as usize;
            let to = (from + rng.below(12) as usize).min(text.len());
            let id = [ADA, BOB][rng.below(2) as usize];
            let edit = match rng.below(8) {
                0 => text.delete(from..to),
                1 => text.mark(from..to, "bold", "true"),
                2 => text.mark(0..text.len(), "link", rng.below(3).to_string()),
                3 => text.unmark(from..to, "bold"),
                // Out of order, so that a later insert may land right before its continuation.
                4 => TextTransition::Insert {
                    id,
                    offset: step * 10 + 5,
                    after: from.checked_sub(1).and_then(|before| text.char_at(before)),
                    text: "later".to_owned(),
                },
                5 => TextTransition::Insert {
                    id,
                    offset: step * 10,
                    after: from.checked_sub(1).and_then(|before| text.char_at(before)),
                    text: "first".to_owned(),
                },
                _ => text.insert(id, from, "typed"),
            };
            if let Ok(next) = text.apply(&edit) {
                text = next;
            }
            assert_eq!(text.runs.weight(), restored(&text).runs.weight(), "after step {step}: {edit:?}");
        }
        assert_eq!(text.runs.weight().pieces as usize, pieces(text.runs.iter()).len());
        assert!(text.runs.weight().mark_bytes > 0);
    }
}
