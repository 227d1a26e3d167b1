//! The cost of a rebase, counted in applications of the machine.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use reapply_sync::limits::{PENDING_MAX, REBASE_ALWAYS_MAX, REBASE_PER_CHANGE};
use reapply_sync::{
    Alarm, ApplyError, ClientId, ClientKey, CodecError, Event, Fault, Input, LoadError, Machine, Number, Phase,
    Replica, Seq, ServerMessage, Start, Timestamp,
};

use crate::replica_scenarios::{event, send, welcome};
use crate::tally::digest;

/// A machine whose state depends on each event and on their order, and which counts its applications.
#[derive(Debug, Default)]
struct Counted {
    applications: Rc<Cell<usize>>,
}

fn after(state: u64, event: &Event) -> u64 {
    let Input::Transition { transition, .. } = &event.input else { return state };
    let value: u64 = postcard::from_bytes(transition).unwrap();
    (state ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
}

impl Machine for Counted {
    type State = u64;

    fn create(&mut self, _options: &str) -> Result<u64, LoadError> {
        Ok(0)
    }

    fn restore(&mut self, _snapshot: &[u8], _state_version: u32) -> Result<u64, LoadError> {
        Ok(0)
    }

    fn apply(&mut self, state: &u64, event: &Event) -> Result<u64, ApplyError> {
        self.applications.set(self.applications.get() + 1);
        Ok(after(*state, event))
    }

    fn snapshot(&mut self, state: &u64) -> Result<Bytes, Fault> {
        Ok(state.to_le_bytes().to_vec().into())
    }

    fn alarm(&mut self, _state: &u64) -> Result<Option<Alarm>, Fault> {
        Ok(None)
    }

    fn encode(&mut self, json: &str) -> Result<Bytes, CodecError> {
        Err(CodecError::Refused(json.to_owned()))
    }

    fn decode(&mut self, _transition: &[u8]) -> Result<String, CodecError> {
        Err(CodecError::Refused(String::new()))
    }

    fn state_version(&self) -> u32 {
        1
    }

    fn membership(&self) -> bool {
        false
    }

    fn reset(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

const ME: ClientKey = ClientKey([4; 16]);

/// Returns a live replica with the maximum number of pending transitions, and the count of its machine's applications.
fn replica() -> (Replica<Counted>, Rc<Cell<usize>>) {
    let machine = Counted::default();
    let applications = Rc::clone(&machine.applications);
    let mut replica = Replica::new(ME, Number(0));
    replica.handle_connected();
    let (state, chain) = (Bytes::new(), reapply_sync::Chain([0; 32]));
    let start = Start::Snapshot { seq: Seq(0), state_version: 1, time: Timestamp(5), chain, state };
    send(&mut replica, &ServerMessage::Welcome(welcome(start, 0, 0)));
    replica.handle_machine(digest(), machine);
    assert_eq!(replica.phase(), Phase::Live);
    for number in 1..=PENDING_MAX as u64 {
        assert_eq!(replica.apply(crate::tally::transition(number), Timestamp(5), 0), Ok(Number(number)));
    }
    assert_eq!(applications.replace(0), PENDING_MAX);
    (replica, applications)
}

/// Returns the state after the pending transitions from `number` on, on top of `confirmed`.
fn expected(confirmed: u64, number: u64) -> u64 {
    let events = (number..=PENDING_MAX as u64).map(|number| event(1, ME.client_id(), number, number));
    events.fold(confirmed, |state, event| after(state, &event))
}

#[test]
fn many_pending_transitions_are_applied_again_in_proportion_to_what_changes() {
    for foreign in [0, 1, 5] {
        let (mut replica, applications) = replica();
        let (mut seq, mut number, mut confirmed, mut last) = (0, 0, 0, 0);
        while number < PENDING_MAX as u64 {
            let mut events = Vec::new();
            for index in 0..5 {
                seq += 1;
                number += 1;
                events.push(event(seq, ME.client_id(), number, number));
                if index < foreign {
                    seq += 1;
                    events.push(event(seq, ClientId([9; 16]), seq, 1_000_000 + seq));
                }
            }
            confirmed = events.iter().fold(confirmed, after);
            let before = applications.get();
            let changes = events.len();
            send(&mut replica, &ServerMessage::Events(events));
            replica.settle();
            assert_eq!(replica.confirmed().map(|(_, state)| *state), Some(confirmed));
            let (pending, cost) = (replica.pending(), applications.get() - before - changes);
            assert!(cost == 0 || cost == pending, "{cost} applications for {pending} pending transitions");
            if pending <= REBASE_ALWAYS_MAX {
                assert!(!replica.is_behind());
            }
            if !replica.is_behind() {
                assert_eq!(replica.optimistic().map(|(_, state)| *state), Some(expected(confirmed, number + 1)));
                last = seq;
            }
            // The replica is never further behind than the cost of catching up allows.
            assert!((seq - last) as usize * REBASE_PER_CHANGE < pending.max(1), "{seq} {last} {pending}");
        }
        // Each event is applied once, with at most this many pending transitions for each. The last few of these are applied after each frame.
        let frames_of_few = REBASE_ALWAYS_MAX;
        let bound = seq as usize * (1 + REBASE_PER_CHANGE) + frames_of_few * REBASE_ALWAYS_MAX;
        assert!(applications.get() <= bound, "{} applications; the bound is {bound}", applications.get());
    }
}

#[test]
fn a_replica_that_is_behind_shows_all_that_is_pending_and_the_rest_when_it_is_asked() {
    let (mut replica, applications) = replica();
    let foreign = event(1, ClientId([9; 16]), 1, 1_000_000);
    let confirmed = after(0, &foreign);
    send(&mut replica, &ServerMessage::Events(vec![foreign]));
    replica.settle();
    assert!(replica.is_behind());
    assert_eq!(replica.optimistic().map(|(_, state)| *state), Some(expected(0, 1)));
    assert_eq!(applications.get(), 1);
    replica.refresh();
    assert!(!replica.is_behind());
    assert_eq!(replica.optimistic().map(|(_, state)| *state), Some(expected(confirmed, 1)));
    assert_eq!(applications.get(), 1 + PENDING_MAX);
    replica.refresh();
    assert_eq!(applications.get(), 1 + PENDING_MAX, "nothing has changed");
}
