//! The SDK's building blocks keep every rule.

use reapply_check::{Report, check};
use reapply_guest::{Atom, AtomRc, Counter, Id, List, Map, Program, Set, Text};

/// The report of a machine without a fault.
fn report<P: Program>() -> Report {
    let report = check::<P>().histories(100).run().unwrap_or_else(|failure| panic!("{failure}"));
    println!("{report}");
    report
}

/// As [`report`], where every kind of transition must have been accepted.
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
