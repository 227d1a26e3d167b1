//! The cost of typing in a snapshot. (The number of runs in memory is tested beside the code.)

use reapply_guest::{Id, Rng, StateMachine, Text, TextTransition};

use super::{ADA, apply_all, restored, snapshot};

/// The size of a snapshot besides the text that one person typed: an id, and lengths.
const SNAPSHOT_EXTRA_BYTES_MAX: usize = 32;

#[test]
fn typing_stores_runs_and_not_characters() {
    let mut text = Text::default();
    for index in 0..10_000 {
        text = apply_all(&text, &[text.insert(ADA, index, "x")]);
    }
    let bytes = snapshot(&text);
    assert!(bytes.len() <= text.len() + SNAPSHOT_EXTRA_BYTES_MAX, "{} bytes", bytes.len());
    assert_eq!(restored(&text), text);

    let deleted = apply_all(&text, &[text.delete(0..10_000)]);
    assert!(snapshot(&deleted).len() <= SNAPSHOT_EXTRA_BYTES_MAX);
}

#[test]
fn a_much_edited_text_costs_some_bytes_for_each_edit() {
    let seed = 3;
    println!("seed {seed}");
    let mut rng = Rng::from_seed(seed);
    let mut text = Text::default();
    for id in 0..4 {
        text = apply_all(&text, &[text.insert(Id::from_bits(id), 0, "x".repeat(5_000))]);
    }
    let edits = 1_000;
    for edit in 0..edits {
        let index = rng.below(text.len() as u64 - 5) as usize;
        let transition = match edit % 2 {
            0 => text.insert(Id::from_bits(rng.below(4).into()), index, "x"),
            _ => text.delete(index..index + 1),
        };
        text = apply_all(&text, &[transition]);
    }
    let per_edit = (snapshot(&text).len() - text.len()) as f64 / f64::from(edits);
    println!("{per_edit} bytes an edit");
    assert!(per_edit < 16.0, "{per_edit} bytes an edit");
}

#[test]
fn a_text_that_is_written_backwards_goes_on_after_a_restore_as_before() {
    // Each character is a run of its own, in front of all others.
    let (chars, tail) = (100_000, 5_000);
    let written = |text: Text, offsets: std::ops::Range<u32>| {
        offsets.fold(text, |text, offset| {
            let insert = TextTransition::Insert { id: ADA, offset, after: None, text: "x".to_owned() };
            text.apply(&insert).unwrap()
        })
    };
    let before = written(Text::default(), 0..chars - tail);
    let after_a_restore = written(restored(&before), chars - tail..chars);
    let went_on = written(before, chars - tail..chars);
    assert_eq!(went_on.len(), chars as usize);
    assert!(snapshot(&after_a_restore) == snapshot(&went_on), "the tail gives other bytes after a restore");
}
