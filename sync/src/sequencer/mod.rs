//! A room's side of the protocol: decides the requests of its participants, one after the other.
//!
//! ```text
//!             handle_submit, handle_joined, handle_left, handle_alarm
//!                                   │
//!                     ┌─────────────▼───────────┐ rejection: held until all that it may rest on is durable
//!                     │ open: accepted, waiting │
//!                     └─────────────┬───────────┘
//!                              poll_batch          (one batch is with the journal at a time)
//!                     ┌─────────────▼───────────┐
//!                     │ in flight               │──handle_append_failed──▶ fall back to the durable state
//!                     └─────────────┬───────────┘
//!                            handle_appended
//!                     ┌─────────────▼───────────┐
//!                     │ durable: in History     │──▶ sessions read; poll_rejected, poll_trial, poll_snapshot
//!                     └─────────────────────────┘
//! ```
//!
//! After each `handle_` call the owner polls until there is nothing more: [`Sequencer::poll_batch`],
//! [`Sequencer::poll_rejected`], [`Sequencer::poll_trial`], [`Sequencer::poll_snapshot`], [`Sequencer::poll_report`].
//!
//! All states along the way are handles of one machine, so falling back costs nothing. Nobody sees a state that is not durable: sessions read
//! [`History`], which holds only durable events.
//!
//! An upgrade ([`Sequencer::begin_upgrade`]) is an event too, alone in its batch. Until the event is durable nothing else is decided, and both
//! builds' machines are held, so that falling back costs nothing here either.

mod alarm;
mod candidate;
mod costs;
mod deciding;
mod lost;
mod memory;
mod opening;
mod policy;
mod recovery;
mod request;
mod snapshots;
mod trial;
mod upgrade;
mod upgrading;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::clients::Clients;
use crate::event::{Batch, BatchBuilder, Genesis, Input};
use crate::history::History;
use crate::history::reader::Reader;
use crate::id::{Author, ClientId, Digest, Number, Seq, SessionId, Timestamp};
use crate::limits::{Limits, TRANSITION_BYTES_MAX};
use crate::machine::{Alarm, ApplyError, Fault, Machine, Refusal};
use crate::message::{Capabilities, Hello, Rejection, VERSION, Welcome};
use crate::report::Report;
use crate::snapshot::{Forgotten, Snapshot};

use self::candidate::Candidate;
pub use self::candidate::Tried;
use self::costs::Costs;
pub use self::policy::SnapshotPolicy;
use self::request::{Postponed, Undecided, Waiting};
pub use self::request::{Rejected, Submit};
use self::upgrade::Upgrade;

/// A room's decisions. See the module's documentation.
#[derive(Debug)]
pub struct Sequencer<M: Machine> {
    limits: Limits,
    machine: M,
    /// The current build; below, the last upgrade since the room was opened.
    digest: Digest,
    upgraded: Seq,
    genesis: Genesis,
    history: Arc<History>,
    clients: Clients,
    durable: M::State,
    durable_time: Timestamp,
    durable_present: BTreeSet<Author>,
    /// The batch that is with the journal, and the state after it. The state is `None` if the batch does not change it.
    in_flight: Option<(Arc<Batch>, Option<M::State>)>,
    open: BatchBuilder,
    /// The state after the open batch; `None` if the batch does not change it.
    open_state: Option<M::State>,
    /// The upgrade in the open batch, or in the one in flight. The state after that batch is of this machine.
    upgrade: Option<Upgrade<M>>,
    /// The newest event's time.
    time: Timestamp,
    /// The participants who are present after the newest event.
    present: BTreeSet<Author>,
    /// Rejections, each with the head at which it was decided. A rejection is told once that head is durable.
    rejected: VecDeque<(Seq, Rejected)>,
    reports: VecDeque<Report>,
    /// The newest state's alarm, once it was asked for.
    alarm: Option<Option<Alarm>>,
    /// An alarm that has failed.
    alarm_spent: Option<Alarm>,
    snapshot_policy: SnapshotPolicy,
    snapshot_due_bytes: usize,
    /// Whether the operator was told that the room is overfull.
    is_overfull_told: bool,
    /// The reason why no snapshot was taken, as the operator was told.
    snapshot_failure: Option<Report>,
    /// The snapshot that may become the base.
    candidate: Option<Candidate>,
    /// Whether the last snapshot did not become the base, so that the next one is tried before its checkpoint is in the log.
    is_doubtful: bool,
    /// The base, until [`Sequencer::poll_snapshot`] returns it.
    snapshot: Option<Arc<Snapshot>>,
    /// The reason why the room cannot go on, if it cannot.
    broken: Option<String>,
    costs: Costs,
    /// The maximum cost of one call for now.
    slice: Option<u64>,
    /// Whether the machine broke off under a slice. Then all states are useless, and nothing is decided.
    is_lost: bool,
    postponed: Vec<Postponed>,
    /// The participant on whose transition the machine faulted, and the cost of that call, until the states are recovered.
    faulted: Option<(Author, u64)>,
    /// The participants who caused faults, and the cost of each fault.
    charges: VecDeque<(Author, u64)>,
}

impl<M: Machine> Sequencer<M> {
    /// Decides a submission, unless the number was decided before.
    ///
    /// A client's submissions come in the order of their numbers. So the owner hands in nothing from a session that has been
    /// replaced by a newer one of the same client, or that began before [`Sequencer::handle_append_failed`].
    pub fn handle_submit(&mut self, submit: Submit, now: Timestamp, entropy: u64) {
        if self.is_lost {
            return self.postpone(Waiting::Submit(submit), now, entropy);
        }
        let Submit { author, client, number, upgraded, transition } = submit;
        if upgraded != self.upgraded || self.upgrade.is_some() || self.is_broken() {
            return;
        }
        if number <= self.clients.decided(client) {
            self.repeat_rejection(author, client, number);
            return;
        }
        if transition.len() > TRANSITION_BYTES_MAX {
            let (bytes, bytes_max) = (transition.len() as u64, TRANSITION_BYTES_MAX as u64);
            self.reject(author, client, number, Rejection::TooLarge { bytes, bytes_max });
            return;
        }
        if let Some(why) = self.overfull() {
            self.reject(author, client, number, why);
            return;
        }
        let rests_on = self.newest_seq();
        let input = Input::Transition { author: author.clone(), client, number, transition };
        match self.decide(input, now, entropy) {
            Ok(()) => self.clients.decide(client, number, self.newest_seq()),
            // The room broke on this transition, and dropped the state that it was rejected on. So it stays undecided.
            Err(Undecided::Rejected(_)) if self.newest_seq() < rests_on => {}
            Err(Undecided::Rejected(error)) => self.reject(author, client, number, error.into()),
            Err(Undecided::Interrupted(Input::Transition { transition, .. })) => {
                let submit = Submit { author, client, number, upgraded, transition };
                self.postpone(Waiting::Submit(submit), now, entropy);
            }
            Err(Undecided::Interrupted(_)) => {}
        }
    }

    /// Rejects a submission for a reason of the host's own: forbidden, too fast. Must not be called while the states
    /// [are lost](Sequencer::is_lost).
    pub fn handle_refused(&mut self, submit: &Submit, why: Rejection) {
        let Submit { client, number, upgraded, .. } = *submit;
        // A client's numbers are decided in order, so a transition that will come again is not overtaken.
        if upgraded != self.upgraded || self.upgrade.is_some() || self.is_broken() {
            return;
        }
        let author = submit.author.clone();
        if number <= self.clients.decided(client) {
            self.repeat_rejection(author, client, number);
        } else {
            self.reject(author, client, number, why);
        }
    }

    /// Handles that a participant's first session began. This becomes an event if the machine asks for membership.
    pub fn handle_joined(&mut self, author: Author, now: Timestamp, entropy: u64) {
        if !self.machine.membership() || (self.present.contains(&author) && self.postponed.is_empty()) {
            return;
        }
        match self.decide(Input::Joined(author.clone()), now, entropy) {
            Ok(()) => drop(self.present.insert(author)),
            Err(Undecided::Interrupted(_)) => self.postpone(Waiting::Joined(author), now, entropy),
            Err(Undecided::Rejected(_)) => {}
        }
    }

    /// Handles that a participant's last session ended. This becomes an event if the machine asks for membership. Otherwise a later build that
    /// does may still take them for present: after an upgrade the owner reports again who has left, and who is present.
    pub fn handle_left(&mut self, author: Author, now: Timestamp, entropy: u64) {
        if !self.machine.membership() || (!self.present.contains(&author) && self.postponed.is_empty()) {
            return;
        }
        match self.decide(Input::Left(author.clone()), now, entropy) {
            Ok(()) => drop(self.present.remove(&author)),
            Err(Undecided::Interrupted(_)) => self.postpone(Waiting::Left(author), now, entropy),
            Err(Undecided::Rejected(_)) => {}
        }
    }

    /// Handles that the batch from [`Sequencer::poll_batch`] is durable.
    pub fn handle_appended(&mut self) {
        let Some((batch, state)) = self.in_flight.take() else { return };
        if let Some(state) = state {
            self.durable = state;
        }
        self.settle(&batch);
        self.history.push(&batch);
        self.costs.note_appended();
        match self.upgrade.take() {
            Some(Upgrade { machine, digest, snapshot, .. }) => {
                (self.machine, self.digest, self.upgraded) = (machine, digest, batch.last());
                (self.alarm, self.alarm_spent) = (None, None);
                self.machine.set_slice(self.slice);
                let cost = self.machine.take_cost();
                self.stand_on_upgraded(snapshot, cost);
            }
            None => {
                self.stand_on_restored();
                self.take_snapshot_if_due();
            }
        }
    }

    /// Handles that the batch from [`Sequencer::poll_batch`] was certainly not stored. The room falls back to its last durable state. Whoever
    /// waits for an answer must submit again, so the owner ends their sessions.
    pub fn handle_append_failed(&mut self) {
        (self.in_flight, self.open_state, self.upgrade) = (None, None, None);
        self.open = BatchBuilder::new(self.history.head(), self.history.chain());
        self.costs.note_append_failed();
        self.give_up_unbound();
        self.postponed.clear();
        self.time = self.durable_time;
        self.present = self.durable_present.clone();
        // An alarm that has failed did so on a state that is gone.
        (self.alarm, self.alarm_spent) = (None, None);
        let head = self.history.head();
        self.rejected.retain(|&(decided_at, _)| decided_at <= head);
        self.clients.fall_back();
        self.rejected.iter().for_each(|(_, held)| self.clients.decide(held.client, held.number, head));
    }

    /// Returns the next batch for the journal, unless one is with it already.
    pub fn poll_batch(&mut self) -> Option<Arc<Batch>> {
        if self.in_flight.is_some() {
            return None;
        }
        if self.open.events().is_empty() {
            return None;
        }
        let state = self.open_state.take();
        let next = self.open.next();
        let batch = Arc::new(std::mem::replace(&mut self.open, next).finish());
        self.in_flight = Some((Arc::clone(&batch), state));
        self.costs.note_batch();
        Some(batch)
    }

    /// Returns the next rejection that may be told.
    pub fn poll_rejected(&mut self) -> Option<Rejected> {
        let head = self.history.head();
        let (_, rejected) = self.rejected.pop_front_if(|(decided_at, _)| *decided_at <= head)?;
        self.clients.remember(rejected.client, rejected.number, rejected.why.clone());
        Some(rejected)
    }

    /// Returns a snapshot to store. It only speeds up the next opening: nothing is lost if it is not stored.
    pub fn poll_snapshot(&mut self) -> Option<Arc<Snapshot>> {
        self.snapshot.take()
    }

    /// Returns the next report for the operator's log.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// Returns a participant on whose transition the machine faulted, and the cost of the call and the recovery.
    pub fn poll_charge(&mut self) -> Option<(Author, u64)> {
        self.charges.pop_front()
    }

    /// Returns the answer to `Hello`, and the reader with which the session reads [`History`] from there. From here on the room keeps its
    /// record of the client, until [`Sequencer::handle_session_ended`].
    #[must_use]
    pub fn welcome(
        &mut self,
        hello: &Hello,
        session: SessionId,
        participant: Author,
        now: Timestamp,
    ) -> (Welcome, Reader) {
        let client = hello.key.client_id();
        self.clients.connect(client, session);
        let (start, reader) = self.history.start(hello);
        let rejected = self.clients.rejections(client).cloned();
        let welcome = Welcome {
            version: VERSION,
            capabilities: Capabilities::OURS,
            session,
            participant,
            log: self.history.log_id(),
            digest: self.digest,
            start,
            head: self.history.head(),
            decided: self.clients.told(client),
            taken: self.clients.decided(client),
            rejected: rejected.map(|(number, why)| (number, why.for_version(hello.version))).collect(),
            forgotten: self.clients.forgotten_of(client).map(Box::new),
            time: now.max(self.time),
        };
        (welcome, reader)
    }

    /// Handles that a session of this client has ended, by itself or for a newer one. Nothing more may be handed in from it.
    pub fn handle_session_ended(&mut self, client: ClientId, session: SessionId) {
        self.clients.disconnect(client, session);
    }

    /// Returns the traces of clients that the room has forgotten, if any.
    #[must_use]
    pub fn forgotten(&self) -> Option<Forgotten> {
        self.clients.forgotten()
    }

    /// Returns whether a client's number was decided, though the decision may not be durable yet.
    #[must_use]
    pub fn is_decided(&self, client: ClientId, number: Number) -> bool {
        number <= self.clients.decided(client)
    }

    /// Returns whether a client's number was decided and the client was told of it, or will find the decision among the durable events.
    #[must_use]
    pub fn is_told(&self, client: ClientId, number: Number) -> bool {
        number <= self.clients.told(client)
    }

    /// Returns the durable event of a client's number, if that is the client's last number with an event.
    #[must_use]
    pub fn accepted_at(&self, client: ClientId, number: Number) -> Option<Seq> {
        self.clients.accepted_at(client, number)
    }

    /// Returns the history that sessions read.
    #[must_use]
    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// Returns the current build of the durable state.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the last upgrade since the room was opened; 0 if there was none. A session has followed all upgrades when it begins.
    #[must_use]
    pub fn upgraded(&self) -> Seq {
        self.upgraded
    }

    /// Returns the bounds within which the room was opened.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the genesis of the room's log.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Returns the machine and the last durable state, to show it. If the machine faults, call [`Sequencer::handle_fault`].
    pub fn durable(&mut self) -> (&mut M, &M::State) {
        (&mut self.machine, &self.durable)
    }

    /// Returns the last durable event's time. Without events, that is the time of the room's creation.
    #[must_use]
    pub fn durable_time(&self) -> Timestamp {
        self.durable_time
    }

    /// Returns whether the machine asks for membership.
    #[must_use]
    pub fn has_membership(&self) -> bool {
        self.machine.membership()
    }

    /// Returns the participants who have joined and not left, according to the log. Builds that do not ask for membership do not change them.
    pub fn present(&self) -> impl Iterator<Item = &Author> {
        self.present.iter()
    }

    /// Returns whether somebody is present after the newest event, and the current build or the one that is taking over asks for membership.
    #[must_use]
    pub fn is_occupied(&self) -> bool {
        let next = self.upgrade.as_ref().is_some_and(|upgrade| upgrade.machine.membership());
        !self.present.is_empty() && (self.machine.membership() || next)
    }

    /// Returns whether nothing waits for the journal.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.in_flight.is_none() && self.open.events().is_empty()
    }

    /// Returns whether the open batch, or the rejections that wait with it, have reached their limit. If so, hand in no more until the current
    /// append has ended and [`Sequencer::poll_batch`] has returned the next batch.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let Limits { batch_events_max, batch_bytes_max, rejections_held_max, .. } = self.limits;
        let open_is_full = self.open.events().len() >= batch_events_max || self.open.bytes() >= batch_bytes_max;
        open_is_full || self.rejected.len() >= rejections_held_max || self.upgrade.is_some() || self.is_lost
    }

    /// Returns whether the machine's last calls were cheap, so that the next one is likely to be cheap too.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.costs.is_calm()
    }

    /// Returns whether the room cannot go on. A [`Report::Broken`] gave the reason.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Returns the reason why the room cannot go on, as [`Report::Broken`] gave it.
    #[must_use]
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    fn newest_seq(&self) -> Seq {
        self.open.last()
    }

    /// Settles the clients' numbers in a batch that is durable now.
    fn settle(&mut self, batch: &Batch) {
        for event in &batch.events {
            self.durable_time = event.time;
            if let Input::Transition { client, number, .. } = &event.input {
                self.clients.settle(*client, *number, event.seq, event.time);
            }
            note_presence(&mut self.durable_present, &event.input);
        }
    }
}

impl From<ApplyError> for Rejection {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Refused(Refusal::Malformed(what)) => Self::Malformed(what),
            ApplyError::Refused(Refusal::Conflict(conflict)) => Self::Conflict(conflict),
            ApplyError::Fault(Fault::Exhausted(what)) => Self::Exhausted(what),
            ApplyError::Fault(Fault::Trapped(what)) => Self::Trapped(what),
        }
    }
}

/// Updates the present participants after this input.
fn note_presence(present: &mut BTreeSet<Author>, input: &Input) {
    match input {
        Input::Joined(author) => drop(present.insert(author.clone())),
        Input::Left(author) => drop(present.remove(author)),
        _ => {}
    }
}
