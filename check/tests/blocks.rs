//! The SDK's building blocks keep every rule.

use std::time::Duration;

use reapply_check::{Report, check};
use reapply_guest::{Atom, AtomRc, Batch, Board, Constant, Counter, Id, List, Map, Program, Set, Text};

/// Returns the report of a machine without a fault.
fn report<P: Program>() -> Report {
    // On a busy machine checks are slow, and an unplayed history is a warning.
    let report = check::<P>()
        .histories(100)
        .time_max(Duration::from_secs(600))
        .run()
        .unwrap_or_else(|failure| panic!("{failure}"));
    println!("{report}");
    report
}

/// Does the same as [`report`], and requires that every kind of transition was accepted.
fn accepts_all<P: Program>() {
    let report = report::<P>();
    assert_eq!(report.warnings, [""; 0], "{report}");
}

#[test]
fn atoms_and_counters() {
    accepts_all::<Atom<String>>();
    accepts_all::<Atom<(u8, i64)>>();
    accepts_all::<Atom<Option<u64>>>();
    accepts_all::<AtomRc<Vec<i32>>>();
    accepts_all::<Counter>();
}

#[test]
fn maps_and_sets() {
    accepts_all::<Map<String, Counter>>();
    accepts_all::<Map<u16, Map<Id, Atom<bool>>>>();
    accepts_all::<Set<String>>();
    accepts_all::<Set<Id>>();
}

#[test]
fn lists() {
    accepts_all::<List<Atom<String>>>();
    accepts_all::<List<Map<char, Counter>>>();
}

#[test]
fn text() {
    accepts_all::<Text>();
}

#[test]
fn boards_options_and_batches() {
    accepts_all::<Board<Atom<String>, Counter>>();
    accepts_all::<Option<Map<String, Counter>>>();
    accepts_all::<Batch<List<Atom<u8>>>>();
}

/// A text refuses values that its schema allows, so random lists of them would rarely be accepted.
#[test]
fn a_list_of_texts_gets_texts() {
    let report = report::<List<Text>>();
    let insert = report.transitions.iter().find(|kind| kind.kind == "Insert").expect("a list has that kind");
    let tried = insert.accepted + insert.conflict + insert.malformed;
    assert!(insert.malformed * 4 < tried, "{report}");
    assert!(insert.accepted > 100, "{report}");
}

/// A constant has no transitions.
#[test]
fn what_nobody_can_ask_for_is_no_kind() {
    let report = report::<Map<String, Constant<u8>>>();
    let kinds: Vec<&str> = report.transitions.iter().map(|kind| kind.kind.as_str()).collect();
    assert_eq!(kinds, ["Set", "Delete"], "{report}");
    assert_eq!(report.warnings, [""; 0], "{report}");
}
