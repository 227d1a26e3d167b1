//! The counter, natively: a machine is tested like any other type.

use counter::{Conflict, Counter, Transition};
use reapply_guest::StateMachine;

#[test]
fn it_counts_up_and_down_and_starts_anew() {
    let counter = Counter::default().apply(&Transition::Increment(5)).unwrap();
    let counter = counter.apply(&Transition::Decrement(2)).unwrap();
    assert_eq!(counter, Counter { count: 3 });
    assert_eq!(counter.apply(&Transition::Reset), Ok(Counter::default()));
}

#[test]
fn it_stays_within_its_bounds() {
    let zero = Counter::default();
    assert_eq!(zero.apply(&Transition::Decrement(1)), Err(Conflict::BelowZero));
    let full = Counter { count: u32::MAX };
    assert_eq!(full.apply(&Transition::Increment(1)), Err(Conflict::Overflow));
}
