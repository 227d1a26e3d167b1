//! The transitions of a room that have no outcome yet: those that wait for the room to be joined, and those that wait for its decision.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use reapply_sync::{CodecError, Machine, Number, Outcome, Phase, Rejection, Replica, SubmitError, Timestamp};

use crate::limits::HELD_MAX;
use crate::queue::{Entry, Left, Queue};

/// One call of [`Driver::apply`](crate::Driver::apply), or one entry of an earlier page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// The outcome of a transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The room has decided the transition, or never will.
    Decided(Number, Outcome),
    /// The transition was not taken on here, and never sent.
    Refused(NotTakenOn),
}

/// The reason why a transition was not taken on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTakenOn {
    /// Too many transitions wait for the room to be joined.
    TooManyHeld,
    /// The replica has refused the transition.
    NotSubmitted(SubmitError),
}

impl NotTakenOn {
    /// Returns the kind of refusal, as one word. The words of [`SubmitError::kind`] are among them.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TooManyHeld => "busy",
            Self::NotSubmitted(error) => error.kind(),
        }
    }

    /// Returns the machine's own words on a conflict, as JSON.
    #[must_use]
    pub fn conflict(&self) -> Option<&str> {
        match self {
            Self::NotSubmitted(SubmitError::Rejected(Rejection::Conflict(json))) => Some(json),
            _ => None,
        }
    }
}

impl std::fmt::Display for NotTakenOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooManyHeld => {
                write!(f, "{HELD_MAX} transitions wait for the room to be joined; more are taken when it is")
            }
            Self::NotSubmitted(error) => error.fmt(f),
        }
    }
}

/// A transition of an earlier page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// The transition as JSON, which every build of the machine reads.
    pub json: Arc<str>,
    /// The host's time when the transition was asked for, as far as it was known.
    pub time: Timestamp,
}

/// A transition with its decision.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) ticket: Ticket,
    pub(crate) decision: Decision,
    pub(crate) returned: Option<Returned>,
}

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    entry: Entry,
    /// Whether an earlier page has asked for the transition.
    is_returning: bool,
}

impl Waiting {
    fn ended(self, decision: Decision) -> Ended {
        let Self { ticket, entry, is_returning } = self;
        let returned = is_returning.then_some(Returned { json: entry.json, time: entry.time });
        Ended { ticket, decision, returned }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Transitions {
    tickets: u64,
    /// Transitions that are not taken on yet, in order.
    held: VecDeque<Waiting>,
    /// Transitions that are taken on.
    undecided: BTreeMap<Number, Waiting>,
    /// Whether the entries do not yet record that they are about to be sent.
    must_mark: bool,
}

impl Transitions {
    /// Returns the number of transitions that wait for the room to be joined.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// Returns the number of transitions without an outcome.
    pub(crate) fn len(&self) -> usize {
        self.held.len() + self.undecided.len()
    }

    /// Returns the transitions that are taken on: each number, and the transition as JSON.
    pub(crate) fn undecided(&self) -> impl Iterator<Item = (Number, &Arc<str>)> {
        self.undecided.iter().map(|(number, waiting)| (*number, &waiting.entry.json))
    }

    /// Returns the entries of all transitions that are kept.
    pub(crate) fn entries(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.undecided.values_mut().chain(&mut self.held).map(|waiting| &mut waiting.entry)
    }

    /// Takes in the transitions that earlier pages have left, once the client is known. They come first. Those with a number go to the replica
    /// at once.
    pub(crate) fn restore<M: Machine>(
        &mut self,
        left: Left,
        replica: &mut Replica<M>,
        queue: &mut Queue,
        entropy: &mut dyn FnMut() -> u64,
    ) {
        let early = std::mem::take(&mut self.held);
        let mut entries = left.entries;
        entries.sort_by_key(|entry| (entry.number, entry.order));
        for entry in entries {
            let ticket = self.ticket();
            let (number, json, time) = (entry.number, entry.json.to_string(), entry.time);
            let waiting = Waiting { ticket, entry, is_returning: true };
            // A number is kept forever, sent or not: the store may have lost the mark that it was sent. A transition without a number is taken on in
            // its order, on top of the room's present state.
            let Some(number) = number else {
                self.held.push_back(waiting);
                continue;
            };
            if replica.restore_pending(number, json, time, entropy(), waiting.entry.sent_at).is_ok() {
                self.undecided.insert(number, waiting);
            }
        }
        for mut waiting in early {
            queue.keep(&mut waiting.entry);
            self.held.push_back(waiting);
        }
        self.must_mark = true;
    }

    /// Returns the ticket and the entry of a transition that is asked for now.
    pub(crate) fn begin(&mut self, json: Arc<str>, time: Timestamp) -> (Ticket, Entry) {
        (self.ticket(), Entry { order: 0, number: None, json, time, sent_at: None })
    }

    /// Keeps a transition until the room is joined, unless too many wait already.
    pub(crate) fn hold(&mut self, (ticket, mut entry): (Ticket, Entry), queue: &mut Queue) -> Option<Ended> {
        if self.held.len() >= HELD_MAX {
            let decision = Decision::Refused(NotTakenOn::TooManyHeld);
            return Some(Ended { ticket, decision, returned: None });
        }
        queue.keep(&mut entry);
        self.held.push_back(Waiting { ticket, entry, is_returning: false });
        None
    }

    /// Gives a new transition to the replica, which takes it on or refuses it.
    pub(crate) fn submit<M: Machine>(
        &mut self,
        (ticket, entry): (Ticket, Entry),
        replica: &mut Replica<M>,
        queue: &mut Queue,
        now: Timestamp,
        entropy: u64,
    ) -> Option<Ended> {
        self.take_on(Waiting { ticket, entry, is_returning: false }, replica, queue, now, entropy)
    }

    /// Gives the first held transition to the replica. The outer option is `None` if no transition is held.
    pub(crate) fn release<M: Machine>(
        &mut self,
        replica: &mut Replica<M>,
        queue: &mut Queue,
        now: Timestamp,
        entropy: u64,
    ) -> Option<Option<Ended>> {
        let waiting = self.held.pop_front()?;
        Some(self.take_on(waiting, replica, queue, now, entropy))
    }

    fn take_on<M: Machine>(
        &mut self,
        mut waiting: Waiting,
        replica: &mut Replica<M>,
        queue: &mut Queue,
        now: Timestamp,
        entropy: u64,
    ) -> Option<Ended> {
        match encode_and_apply(replica, &waiting.entry.json, now, entropy) {
            Ok(number) => {
                waiting.entry.number = Some(number);
                if queue.may_hold(&waiting.entry) {
                    // The store says that the transition has no number, and so was never sent.
                    self.must_mark = true;
                } else {
                    // The entry is written before the transition is sent, but sending does not wait for the write to end.
                    waiting.entry.sent_at = replica.sent_at(number);
                }
                queue.keep(&mut waiting.entry);
                self.undecided.insert(number, waiting);
                None
            }
            Err(error) => {
                queue.drop(&waiting.entry);
                Some(waiting.ended(Decision::Refused(NotTakenOn::NotSubmitted(error))))
            }
        }
    }

    /// Notes that the room was greeted: once it has answered, all pending transitions are sent again.
    pub(crate) fn handle_joining(&mut self) {
        self.must_mark = true;
    }

    /// Records in the entries that all transitions which are about to be sent may have been sent.
    pub(crate) fn mark_sent<M: Machine>(&mut self, replica: &Replica<M>, queue: &mut Queue) {
        if !self.must_mark {
            return;
        }
        self.must_mark = !matches!(replica.phase(), Phase::CatchingUp | Phase::Live);
        for (number, waiting) in &mut self.undecided {
            let sent_at = replica.sent_at(*number);
            if waiting.entry.sent_at != sent_at {
                waiting.entry.sent_at = sent_at;
                queue.renew(&mut waiting.entry);
            }
        }
    }

    /// Handles that a transition was decided.
    pub(crate) fn decide(&mut self, decided: reapply_sync::Ended, queue: &mut Queue) -> Option<Ended> {
        let reapply_sync::Ended { number, outcome, is_withdrawn } = decided;
        let waiting = self.undecided.remove(&number)?;
        if is_withdrawn {
            queue.withdraw(&waiting.entry)
        } else {
            queue.drop(&waiting.entry)
        }
        Some(waiting.ended(Decision::Decided(number, outcome)))
    }

    /// Handles that the room is closed. Entries in the store stay there.
    pub(crate) fn abandon(&mut self) {
        *self = Self { tickets: self.tickets, ..Self::default() };
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }
}

fn encode_and_apply<M: Machine>(
    replica: &mut Replica<M>,
    json: &str,
    now: Timestamp,
    entropy: u64,
) -> Result<Number, SubmitError> {
    let machine = replica.machine().ok_or(SubmitError::NotReady)?;
    let transition = match machine.encode(json) {
        Ok(transition) => transition,
        Err(CodecError::Refused(message)) => return Err(SubmitError::Rejected(Rejection::Malformed(message))),
        Err(CodecError::Fault(fault)) => {
            replica.handle_fault(&fault);
            return Err(SubmitError::Rejected(reapply_sync::ApplyError::Fault(fault).into()));
        }
    };
    replica.apply(transition, now, entropy)
}
