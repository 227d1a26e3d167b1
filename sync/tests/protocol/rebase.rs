//! Rebase: in whatever order events, rejections and local transitions come, the optimistic state is the confirmed one with the pending
//! transitions applied on top of it in their order. The test computes that naively.

use bytes::Bytes;
use proptest::prelude::*;
use reapply_sync::{
    Author, Chain, ClientId, ClientKey, ClientMessage, Event, Input, Number, Outcome, Rejection, Replica, Seq,
    ServerMessage, Start, Timestamp, Welcome,
};

use crate::replica_scenarios::welcome;
use crate::tally::{Applied, Tally, apply, digest, transition};

#[derive(Clone, Debug)]
enum Step {
    Apply(u64),
    /// The room accepted one of the pending transitions, and foreign ones around it; all come in one frame.
    Events {
        own: Option<prop::sample::Index>,
        foreign: Vec<u64>,
    },
    Reject(prop::sample::Index),
    /// The connection is lost, and a new one opens.
    Reconnect {
        by_snapshot: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..30u64).prop_map(Step::Apply),
        3 => (any::<Option<prop::sample::Index>>(), prop::collection::vec(0..30u64, 0..3))
            .prop_map(|(own, foreign)| Step::Events { own, foreign }),
        2 => any::<prop::sample::Index>().prop_map(Step::Reject),
        1 => any::<bool>().prop_map(|by_snapshot| Step::Reconnect { by_snapshot }),
    ];
    prop::collection::vec(step, 0..60)
}

/// The room and the expectation, as plain values.
struct Model {
    replica: Replica<Tally>,
    confirmed: Applied,
    seq: u64,
    time: u64,
    /// The pending transitions: number and value, and the clock and the bits of the prediction.
    pending: Vec<(Number, u64, u64, u64)>,
    last_number: u64,
    outcomes: Vec<(Number, Outcome)>,
    decided: u64,
}

const ME: ClientKey = ClientKey([4; 16]);

impl Model {
    fn new(rebase_always_max: usize) -> Self {
        let mut replica = Replica::new(ME, Number(0));
        replica.set_rebase_always_max(rebase_always_max);
        let (confirmed, pending, outcomes) = (Vec::new(), Vec::new(), Vec::new());
        let mut model = Self { replica, confirmed, seq: 0, time: 5, pending, last_number: 0, outcomes, decided: 0 };
        model.reconnect(true);
        model.replica.handle_machine(digest(), Tally::default());
        model.replica.settle();
        model
    }

    fn event(&self, client: ClientId, number: Number, value: u64) -> Event {
        let (author, transition) = (Author("someone".into()), transition(value));
        let input = Input::Transition { author, client, number, transition };
        Event { seq: Seq(self.seq + 1), time: Timestamp(self.time + 1), entropy: self.seq, input }
    }

    /// Logs an event, if the machine accepts it. Returns whether it does.
    fn log(&mut self, client: ClientId, number: Number, value: u64, events: &mut Vec<Event>) -> bool {
        let event = self.event(client, number, value);
        let Ok(confirmed) = apply(&self.confirmed, &event) else { return false };
        self.confirmed = confirmed;
        (self.seq, self.time) = (event.seq.0, event.time.0);
        events.push(event);
        true
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Apply(value) => {
                let (clock, bits) = (self.time / 2 + value, value * 7);
                let predicted = predict(&self.optimistic(), self.time, (value, clock, bits));
                self.replica.settle();
                let was_behind = self.replica.is_behind();
                let applied = self.replica.apply(transition(value), Timestamp(clock), bits);
                // The replica must not refuse a transition that the current state would accept.
                let is_right = applied.is_ok() == predicted.is_some() || (was_behind && applied.is_ok());
                assert!(is_right, "{applied:?}");
                if let Ok(number) = applied {
                    self.last_number += 1;
                    assert_eq!(number, Number(self.last_number));
                    self.pending.push((number, value, clock, bits));
                }
            }
            Step::Events { own, foreign } => self.events(own, &foreign),
            Step::Reject(index) => {
                if !self.pending.is_empty() {
                    let (number, ..) = self.pending.remove(index.index(self.pending.len()));
                    let why = Rejection::Conflict("no".to_owned());
                    self.decided = self.decided.max(number.0);
                    self.send(&ServerMessage::Rejected { number, why: why.clone() });
                    self.outcomes.push((number, Outcome::Rejected(why)));
                }
            }
            Step::Reconnect { by_snapshot } => self.reconnect(by_snapshot),
        }
    }

    fn events(&mut self, own: Option<prop::sample::Index>, foreign: &[u64]) {
        let mut events = Vec::new();
        let (before, after) = foreign.split_at(foreign.len() / 2);
        let other = ClientId([9; 16]);
        for &value in before {
            self.log(other, Number(1), value, &mut events);
        }
        if let Some(own) = own.filter(|_| !self.pending.is_empty()) {
            let index = own.index(self.pending.len());
            let (number, value, ..) = self.pending[index];
            if self.log(ME.client_id(), number, value, &mut events) {
                self.pending.remove(index);
                self.decided = self.decided.max(number.0);
                let (seq, time) = (Seq(self.seq), Timestamp(self.time));
                self.outcomes.push((number, Outcome::Accepted { seq, time }));
            }
        }
        for &value in after {
            self.log(other, Number(1), value, &mut events);
        }
        if !events.is_empty() {
            self.send(&ServerMessage::Events(events));
        }
    }

    fn reconnect(&mut self, by_snapshot: bool) {
        self.replica.handle_disconnected();
        self.replica.handle_connected();
        let hello = ClientMessage::decode(&self.replica.poll_transmit().unwrap()).unwrap();
        assert!(matches!(hello, ClientMessage::Hello(_)));
        let seq = Seq(self.seq);
        let state: Bytes = postcard::to_allocvec(&self.confirmed).unwrap().into();
        let start = match by_snapshot {
            true => Start::Snapshot { seq, state_version: 1, time: Timestamp(self.time), chain: Chain([0; 32]), state },
            false => Start::Tail,
        };
        // Transitions that are still pending below the last decided number were decided too: here, rejected without a message.
        let unheard = self.pending.extract_if(.., |(number, ..)| number.0 <= self.decided);
        let outcome = if by_snapshot { Outcome::Decided } else { Outcome::Rejected(Rejection::Forgotten) };
        self.outcomes.extend(unheard.map(|(number, ..)| (number, outcome.clone())));
        let (taken, time) = (Number(self.last_number), Timestamp(self.time));
        self.send(&ServerMessage::Welcome(Welcome { taken, time, ..welcome(start, self.seq, self.decided) }));
        if self.replica.needs_machine().is_none() {
            let submitted = std::iter::from_fn(|| self.replica.poll_transmit());
            let submitted = submitted.map(|frame| match ClientMessage::decode(&frame).unwrap() {
                ClientMessage::Submit { number, .. } => number,
                other => panic!("{other:?}"),
            });
            let pending = self.pending.iter().map(|&(number, ..)| number);
            assert!(submitted.eq(pending), "what is pending is submitted again, in order");
        }
    }

    fn send(&mut self, message: &ServerMessage) {
        self.replica.handle_frame(&message.encode()).unwrap();
    }

    /// Returns the state that the replica should show: the confirmed one with the pending transitions on top.
    fn optimistic(&self) -> Applied {
        self.pending.iter().fold(self.confirmed.clone(), |state, &(_, value, clock, bits)| {
            predict(&state, self.time, (value, clock, bits)).unwrap_or(state)
        })
    }

    fn check(&mut self, refreshes: bool) {
        self.replica.settle();
        let optimistic = self.optimistic();
        assert_eq!(self.replica.confirmed().unwrap().1.applied, self.confirmed);
        if refreshes {
            self.replica.refresh();
            assert!(!self.replica.is_behind());
        }
        if !self.replica.is_behind() {
            assert_eq!(self.replica.optimistic().unwrap().1.applied, optimistic);
        }
        assert_eq!(self.replica.pending(), self.pending.len());
        let outcomes: Vec<_> = std::iter::from_fn(|| self.replica.poll_outcome()).collect();
        assert_eq!(outcomes, std::mem::take(&mut self.outcomes), "each has one outcome, in the order of the news");
        assert!(self.replica.poll_divergence().is_none());
    }
}

fn predict(state: &Applied, time: u64, (value, clock, bits): (u64, u64, u64)) -> Option<Applied> {
    let (author, client) = (Author("me".into()), ME.client_id());
    let input = Input::Transition { author, client, number: Number(0), transition: transition(value) };
    apply(state, &Event { seq: Seq(0), time: Timestamp(clock.max(time)), entropy: bits, input }).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn optimistic_is_confirmed_then_pending(
        steps in steps(),
        settles in prop::collection::vec((any::<bool>(), any::<bool>()), 60),
        always_max in prop_oneof![Just(64), 0..4usize],
    ) {
        let mut model = Model::new(always_max);
        for (step, (settle, refreshes)) in steps.into_iter().zip(settles) {
            // Values that trap have tests of their own: they make the replica ask for a snapshot.
            let step = match step {
                Step::Apply(crate::tally::TRAP) => Step::Apply(1),
                Step::Events { own, foreign } => {
                    let foreign = foreign.into_iter().filter(|&value| value != crate::tally::TRAP).collect();
                    Step::Events { own, foreign }
                }
                other => other,
            };
            model.step(step);
            if settle {
                model.check(refreshes);
            }
        }
        model.check(true);
    }
}
