//! Lists of 100,000 items that were inserted at one place, and restored on the way.

use reapply_guest::{Atom, Id, List, ListTransition, Place, StateMachine};

use super::common::{id, restore, snapshot};

type Numbers = List<Atom<u32>>;

const ITEMS: u32 = 100_000;

/// The number of items that come after the restore.
const TAIL: u32 = 5_000;

fn item(number: u32) -> Id {
    id(number.into())
}

/// Returns the state after the inserts with these numbers.
fn inserted(list: Numbers, numbers: std::ops::Range<u32>, place: fn(u32) -> Place) -> Numbers {
    numbers.fold(list, |list, number| {
        let insert = ListTransition::Insert { id: item(number), place: place(number), item: number.into() };
        list.apply(&insert).unwrap()
    })
}

/// Checks that a list continues after a restore as it does without, and equals `expected` in the end.
fn check_tail(place: fn(u32) -> Place, expected: impl Iterator<Item = u32>) {
    let before = inserted(Numbers::default(), 0..ITEMS - TAIL, place);
    let restored: Numbers = restore(&snapshot(&before)).unwrap();
    let went_on = inserted(before, ITEMS - TAIL..ITEMS, place);
    let restored = inserted(restored, ITEMS - TAIL..ITEMS, place);
    assert!(went_on.iter().map(|(_, number)| **number).eq(expected));
    assert!(snapshot(&restored) == snapshot(&went_on), "the tail gives other bytes after a restore");
    assert!(restored == went_on);
}

#[test]
fn a_long_list_goes_on_after_a_restore_as_before() {
    check_tail(|_| Place::Last, 0..ITEMS);
    check_tail(|_| Place::First, (0..ITEMS).rev());
    let after_the_first = |number| if number == 0 { Place::First } else { Place::After(item(0)) };
    check_tail(after_the_first, [0].into_iter().chain((1..ITEMS).rev()));
}
