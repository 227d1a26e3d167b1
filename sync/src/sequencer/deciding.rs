//! One decision: an input becomes an event of the open batch, or does not.

use super::Sequencer;
use super::request::{Rejected, Undecided};
use crate::event::{Event, Input};
use crate::id::{Author, ClientId, Number, Seq, Timestamp};
use crate::machine::{ApplyError, Fault, Machine};
use crate::message::Rejection;
use crate::report::Report;

impl<M: Machine> Sequencer<M> {
    /// Applies an input to the newest state. If it is accepted, it joins the open batch.
    pub(super) fn decide(&mut self, input: Input, now: Timestamp, entropy: u64) -> Result<(), Undecided> {
        if self.is_lost {
            return Err(Undecided::Interrupted(input));
        }
        if self.is_broken() || self.upgrade.is_some() {
            let why = Fault::Trapped("the room cannot go on now".to_owned());
            return Err(Undecided::Rejected(why.into()));
        }
        let event = Event { seq: self.newest_seq().next(), time: now.max(self.time), entropy, input };
        let in_flight = self.in_flight.as_ref().and_then(|(_, state)| state.as_ref());
        let newest = self.open_state.as_ref().or(in_flight).unwrap_or(&self.durable);
        let applied = self.machine.apply(newest, &event);
        let cost = self.machine.take_cost();
        self.costs.note_call(cost);
        match applied {
            Ok(state) => {
                self.time = event.time;
                self.open_state = Some(state);
                self.open.push(event);
                self.costs.note_event(cost);
                self.alarm = None;
                Ok(())
            }
            Err(ApplyError::Fault(fault)) => {
                if self.machine.is_interrupted() {
                    self.lose();
                    return Err(Undecided::Interrupted(event.input));
                }
                if let Input::Transition { author, .. } = &event.input {
                    self.faulted = Some((author.clone(), cost));
                }
                if let Some(author) = event.input.author() {
                    self.reports.push_back(Report::Faulted { author: author.clone(), fault: fault.clone() });
                }
                self.lose();
                Err(Undecided::Rejected(fault.into()))
            }
            Err(refused) => Err(Undecided::Rejected(refused)),
        }
    }

    /// Adds an event of the room's own to the open batch.
    pub(super) fn push_own(&mut self, input: Input, now: Timestamp) {
        self.time = now.max(self.time);
        self.open.push(Event { seq: self.newest_seq().next(), time: self.time, entropy: 0, input });
    }

    pub(super) fn reject(&mut self, author: Author, client: ClientId, number: Number, why: Rejection) {
        let head = self.newest_seq();
        self.clients.decide(client, number, head);
        self.rejected.push_back((head, Rejected { author, client, number, why, is_repeated: false }));
    }

    /// Repeats a rejection for a client that asks again: it may have missed the answer.
    pub(super) fn repeat_rejection(&mut self, author: Author, client: ClientId, number: Number) {
        let known = self.clients.rejections(client).find(|&&(rejected, _)| rejected == number);
        if let Some((_, why)) = known.cloned() {
            self.rejected.push_front((Seq(0), Rejected { author, client, number, why, is_repeated: true }));
        }
    }
}
