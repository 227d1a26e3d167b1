//! A machine whose calls are broken off by slices decides as it would without them. The costs of recovery are bounded.

use proptest::collection::vec;
use proptest::prelude::*;
use reapply_sync::limits::{CALM_CALLS_MIN, COST_CHEAP_MAX, TAIL_COST_MIN};
use reapply_sync::{Author, ClientKey, Event, Number, Rejected, Seq, Sequencer, Submit, Timestamp};

use crate::tally::{TRAP, Tally, genesis, transition, try_snapshot};

/// The cost beyond which a call is broken off.
const SLICE: u64 = 10;

/// Transitions whose events outgrow several snapshots.
const SUBMISSIONS: u64 = 5_000;

#[derive(Clone, Debug)]
enum Call {
    Submit { client: u8, value: u64 },
    Joined(u8),
    Left(u8),
    Alarm,
}

fn calls() -> impl Strategy<Value = Vec<(Call, bool, bool)>> {
    let call = prop_oneof![
        8 => (0..3u8, 0..30u64).prop_map(|(client, value)| Call::Submit { client, value }),
        1 => (0..3u8).prop_map(Call::Joined),
        1 => (0..3u8).prop_map(Call::Left),
        1 => Just(Call::Alarm),
    ];
    vec((call, any::<bool>(), any::<bool>()), 0..80)
}

fn open() -> Sequencer<Tally> {
    open_with(Tally::default)
}

fn open_with(machine: impl Fn() -> Tally) -> Sequencer<Tally> {
    Sequencer::open(|_| Ok(machine()), genesis().log_id(), genesis(), None, []).unwrap()
}

fn call(sequencer: &mut Sequencer<Tally>, call: &Call, number: u64) {
    let author = |index: u8| Author(format!("author {index}").into());
    let now = Timestamp(number);
    match *call {
        Call::Submit { client, value } => {
            let (author, client, transition) = (author(client), ClientKey([client; 16]).client_id(), transition(value));
            let number = Number(number);
            sequencer.handle_submit(Submit { author, client, number, upgraded: Seq(0), transition }, now, number.0);
        }
        Call::Joined(index) => sequencer.handle_joined(author(index), now, number),
        Call::Left(index) => sequencer.handle_left(author(index), now, number),
        Call::Alarm => sequencer.handle_alarm(now, number),
    }
}

/// Stores everything that waits. Returns the events and the rejections.
fn settle(sequencer: &mut Sequencer<Tally>) -> (Vec<Event>, Vec<Rejected>) {
    let (mut events, mut rejected) = (Vec::new(), Vec::new());
    while let Some(batch) = sequencer.poll_batch() {
        events.extend(batch.events.iter().filter(|event| event.input.is_for_machine()).cloned());
        sequencer.handle_appended();
        try_snapshot(sequencer);
    }
    rejected.extend(std::iter::from_fn(|| sequencer.poll_rejected()));
    (events, rejected)
}

proptest! {
    #[test]
    fn a_slice_changes_nothing_of_what_is_decided(calls in calls()) {
        let (mut whole, mut sliced) = (open(), open());
        for (number, (each, is_sliced, waits)) in (1..).zip(&calls) {
            // A late alarm would be another event, so alarms do not wait.
            let is_alarm = matches!(each, Call::Alarm);
            if is_alarm || !waits {
                sliced.set_slice(None);
                sliced.handle_lost();
            }
            sliced.set_slice((*is_sliced && !is_alarm).then_some(SLICE));
            call(&mut whole, each, number);
            call(&mut sliced, each, number);
            prop_assert!(!sliced.is_lost() || sliced.is_full(), "it would take more in");
        }
        sliced.set_slice(None);
        sliced.handle_lost();
        prop_assert!(!sliced.is_lost() && !sliced.is_broken());
        prop_assert_eq!(settle(&mut sliced), settle(&mut whole));
    }
}

fn submit(sequencer: &mut Sequencer<Tally>, number: u64, value: u64) {
    call(sequencer, &Call::Submit { client: 1, value }, number);
}

#[test]
fn a_trap_under_a_slice_is_told_at_once_and_its_states_are_made_again_later() {
    let mut sequencer = open();
    submit(&mut sequencer, 1, 1);
    settle(&mut sequencer);
    sequencer.set_slice(Some(TRAP));
    submit(&mut sequencer, 2, TRAP);
    assert!(sequencer.is_lost(), "the states were made again under a slice");
    assert!(sequencer.poll_rejected().is_some(), "the trap is told of");
    submit(&mut sequencer, 3, 3);
    sequencer.handle_lost();
    assert!(sequencer.is_lost() && sequencer.poll_batch().is_none(), "it was decided under a slice");
    sequencer.set_slice(None);
    sequencer.handle_lost();
    assert_eq!(settle(&mut sequencer).0.len(), 1);
}

#[test]
fn a_room_is_calm_after_cheap_calls_and_needs_more_of_them_after_each_dear_one() {
    let (mut sequencer, mut number) = (open(), 0);
    let mut call_with = |sequencer: &mut Sequencer<Tally>, value: u64| {
        number += 1;
        submit(sequencer, number, value);
    };
    for dear in 0..4 {
        for _ in 0..CALM_CALLS_MIN << dear {
            assert!(!sequencer.is_calm());
            call_with(&mut sequencer, 1);
        }
        assert!(sequencer.is_calm());
        call_with(&mut sequencer, COST_CHEAP_MAX + 1);
    }
}

#[test]
fn a_snapshot_follows_when_the_events_since_the_last_one_would_cost_too_much_to_apply_again() {
    let mut sequencer = open();
    submit(&mut sequencer, 1, TAIL_COST_MIN - 1);
    sequencer.poll_batch().unwrap();
    assert!(!sequencer.is_snapshot_next());
    sequencer.handle_appended();
    assert_eq!(sequencer.history().base().seq, Seq(0));
    submit(&mut sequencer, 2, 3);
    sequencer.poll_batch().unwrap();
    assert!(sequencer.is_snapshot_next(), "the owner does not know that this one is dear");
    sequencer.handle_appended();
    try_snapshot(&mut sequencer);
    // The next batch of the log has its checkpoint, and the costs begin again.
    assert_eq!(sequencer.poll_batch().unwrap().events.len(), 1);
    sequencer.handle_appended();
    assert_eq!(sequencer.history().base().seq, Seq(2));
    submit(&mut sequencer, 3, 1);
    settle(&mut sequencer);
    assert_eq!(sequencer.history().base().seq, Seq(2));
}

#[test]
fn a_room_takes_fewer_snapshots_if_they_cost_much_more_than_its_events_but_takes_some() {
    let snapshots = |snapshot_cost: u64| {
        let mut sequencer = open_with(|| Tally { snapshot_cost, ..Tally::default() });
        let (mut bases, mut base) = (0, Seq(0));
        for number in 1..=SUBMISSIONS {
            submit(&mut sequencer, number, 1);
            settle(&mut sequencer);
            let newest = sequencer.history().base().seq;
            bases += usize::from(newest > base);
            base = newest;
        }
        bases
    };
    let (often, rarely) = (snapshots(0), snapshots(1 << 40));
    assert!(1 < rarely && rarely < often, "{rarely} dear ones and {often} cheap ones");
}

#[test]
fn a_recovery_that_was_dear_is_followed_by_a_snapshot_so_that_the_next_one_is_not() {
    let mut sequencer = open();
    for (number, value) in [(1, COST_CHEAP_MAX / 2 * 2 + 1), (2, 1), (3, 3)] {
        submit(&mut sequencer, number, value);
    }
    settle(&mut sequencer);
    assert_eq!(sequencer.history().base().seq, Seq(0));
    submit(&mut sequencer, 4, TRAP);
    try_snapshot(&mut sequencer);
    assert_eq!(sequencer.poll_batch().unwrap().events.len(), 1);
    sequencer.handle_appended();
    assert_eq!(sequencer.history().base().seq, Seq(3));
    let base = sequencer.history().base();
    // The state is the same, and the log goes on.
    submit(&mut sequencer, 5, 5);
    let (events, rejected) = settle(&mut sequencer);
    assert_eq!((events.len(), rejected.len()), (1, 1));
    submit(&mut sequencer, 6, 7);
    submit(&mut sequencer, 7, TRAP);
    settle(&mut sequencer);
    assert_eq!(sequencer.history().base().seq, base.seq, "a cheap recovery calls for no snapshot");
}

#[test]
fn what_waits_for_states_that_are_lost_is_undecided_again_when_an_append_fails() {
    let mut sequencer = open();
    submit(&mut sequencer, 1, 1);
    let _in_flight = sequencer.poll_batch().unwrap();
    sequencer.set_slice(Some(SLICE));
    submit(&mut sequencer, 2, 21);
    assert!(sequencer.is_lost());
    sequencer.handle_append_failed();
    sequencer.set_slice(None);
    sequencer.handle_lost();
    assert_eq!(settle(&mut sequencer), (Vec::new(), Vec::new()));
    submit(&mut sequencer, 1, 1);
    submit(&mut sequencer, 2, 21);
    assert_eq!(settle(&mut sequencer).0.len(), 2);
}
