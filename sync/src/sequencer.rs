//! A room's side of the protocol: decides, one after the other, what its participants ask for.
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
//!                     │ durable: in History     │──▶ sessions read; poll_rejected, poll_snapshot
//!                     └─────────────────────────┘
//! ```
//!
//! After each `handle_` call the owner polls until there is nothing more: [`Sequencer::poll_batch`],
//! [`Sequencer::poll_rejected`], [`Sequencer::poll_snapshot`], [`Sequencer::poll_report`].
//!
//! All states along the way are handles of one machine. So falling back costs nothing, and nobody sees a state
//! that is not durable: sessions read [`History`], which holds durable events alone.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::clients::Clients;
use crate::event::{Batch, BatchBuilder, Event, Genesis, Input};
use crate::history::History;
use crate::id::{Author, ClientId, Number, Seq, SessionId, Timestamp};
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_EVENTS_MAX, REJECTIONS_HELD_MAX, SNAPSHOT_BYTES_MAX, SNAPSHOT_TAIL_BYTES_MIN,
    SNAPSHOT_TAIL_RATIO, TRANSITION_BYTES_MAX,
};
use crate::machine::{Alarm, ApplyError, Fault, Machine, Refusal};
use crate::message::{Hello, Rejection, Welcome};
use crate::report::{OpenError, Report};
use crate::snapshot::Snapshot;

/// What a participant asks for.
#[derive(Clone, Debug)]
pub struct Submit {
    /// Who asks, as the host authenticated them.
    pub author: Author,
    /// The client they ask from.
    pub client: ClientId,
    /// That client's number for it.
    pub number: Number,
    /// In the machine's own encoding.
    pub transition: Bytes,
}

/// A rejection, to be told to the client's session, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The client that asked.
    pub client: ClientId,
    /// Its number for the transition.
    pub number: Number,
    /// Why.
    pub why: Rejection,
}

/// A room's decisions. See the module's documentation.
#[derive(Debug)]
pub struct Sequencer<M: Machine> {
    machine: M,
    genesis: Genesis,
    history: Arc<History>,
    clients: Clients,
    durable: M::State,
    durable_time: Timestamp,
    durable_present: BTreeSet<Author>,
    in_flight: Option<(Arc<Batch>, M::State)>,
    open: BatchBuilder,
    /// The state after the open batch; none while that is empty.
    open_state: Option<M::State>,
    /// The newest event's time.
    time: Timestamp,
    /// Who has joined, after the newest event.
    present: BTreeSet<Author>,
    /// Rejections, each with the head that it was decided at. Told once that is durable.
    rejected: VecDeque<(Seq, Rejected)>,
    reports: VecDeque<Report>,
    /// The newest state's alarm, once asked for.
    alarm: Option<Option<Alarm>>,
    /// An alarm that was tried in vain.
    alarm_spent: Option<Alarm>,
    snapshot_due_bytes: usize,
    snapshot: Option<Arc<Snapshot>>,
    broken: bool,
}

impl<M: Machine> Sequencer<M> {
    /// Opens a room: at its genesis, or at a snapshot, and then through the batches that follow. Call it once, with all of them.
    ///
    /// # Errors
    ///
    /// A state could not be made. The room's log is untouched.
    pub fn open(
        mut machine: M,
        genesis: Genesis,
        snapshot: Option<Snapshot>,
        batches: impl IntoIterator<Item = Batch>,
    ) -> Result<Self, OpenError> {
        let seq = snapshot.as_ref().map_or(Seq(0), |snapshot| snapshot.seq);
        let loaded = match &snapshot {
            Some(snapshot) => machine.restore(&snapshot.state, snapshot.state_version),
            None => machine.create(&genesis.options),
        };
        let durable = loaded.map_err(|error| OpenError::Load { seq, error })?;
        let base = match snapshot {
            Some(snapshot) => snapshot,
            None => first_snapshot(&mut machine, &durable, &genesis).map_err(OpenError::Snapshot)?,
        };
        let present: BTreeSet<Author> = base.present.iter().cloned().collect();
        let mut sequencer = Self {
            clients: Clients::restore(&base.clients),
            durable_time: base.time,
            time: base.time,
            durable_present: present.clone(),
            present,
            open: BatchBuilder::new(base.seq, base.chain),
            history: Arc::new(History::new(genesis.log_id(), base)),
            machine,
            genesis,
            durable,
            in_flight: None,
            open_state: None,
            rejected: VecDeque::new(),
            reports: VecDeque::new(),
            alarm: None,
            alarm_spent: None,
            snapshot_due_bytes: 0,
            snapshot: None,
            broken: false,
        };
        for batch in batches {
            sequencer.replay(batch)?;
        }
        sequencer.begin_batch();
        sequencer.take_snapshot_if_due();
        Ok(sequencer)
    }

    /// Decides a submission, unless the number was decided before.
    ///
    /// A client's submissions come in the order of their numbers. So the owner hands in nothing from a session that has been
    /// replaced by a newer one of the same client, or that began before [`Sequencer::handle_append_failed`].
    pub fn handle_submit(&mut self, submit: Submit, now: Timestamp, entropy: u64) {
        let Submit { author, client, number, transition } = submit;
        if number <= self.clients.decided(client) {
            self.repeat_rejection(client, number);
            return;
        }
        if transition.len() > TRANSITION_BYTES_MAX {
            let (bytes, bytes_max) = (transition.len() as u64, TRANSITION_BYTES_MAX as u64);
            self.reject(client, number, Rejection::TooLarge { bytes, bytes_max });
            return;
        }
        let input = Input::Transition { author, client, number, transition };
        match self.decide(input, now, entropy) {
            Ok(()) => self.clients.decide(client, number, self.newest_seq()),
            Err(error) => self.reject(client, number, error.into()),
        }
    }

    /// Rejects a submission for a reason of the host's own: forbidden, too fast.
    pub fn handle_refused(&mut self, client: ClientId, number: Number, why: Rejection) {
        if number <= self.clients.decided(client) {
            self.repeat_rejection(client, number);
        } else {
            self.reject(client, number, why);
        }
    }

    /// A participant's first session began. An event where the machine asks for membership.
    pub fn handle_joined(&mut self, author: Author, now: Timestamp, entropy: u64) {
        if self.machine.membership()
            && !self.present.contains(&author)
            && self.decide(Input::Joined(author.clone()), now, entropy).is_ok()
        {
            self.present.insert(author);
        }
    }

    /// A participant's last session ended. An event where the machine asks for membership.
    pub fn handle_left(&mut self, author: Author, now: Timestamp, entropy: u64) {
        if self.present.contains(&author) && self.decide(Input::Left(author.clone()), now, entropy).is_ok() {
            self.present.remove(&author);
        }
    }

    /// Lets the alarm go off, if it is due. Call it when [`Sequencer::alarm_at`] has come; an early call does nothing.
    pub fn handle_alarm(&mut self, now: Timestamp, entropy: u64) {
        let Some(alarm) = self.alarm().filter(|alarm| alarm.at <= now) else { return };
        let decided = self.decide(Input::Alarm(alarm.transition.clone()), now, entropy);
        if let Err(error) = decided {
            if let ApplyError::Refused(refusal) = error {
                self.reports.push_back(Report::AlarmRefused(refusal));
            }
            self.alarm_spent = Some(alarm);
            self.alarm = None;
        }
    }

    /// The batch from [`Sequencer::poll_batch`] is durable.
    pub fn handle_appended(&mut self) {
        let Some((batch, state)) = self.in_flight.take() else { return };
        self.durable = state;
        self.settle(&batch);
        self.history.push(&batch);
        self.take_snapshot_if_due();
    }

    /// The batch from [`Sequencer::poll_batch`] was not stored, for certain. The room falls back to its last durable state; whoever
    /// waits for an answer must submit again, so the owner ends their sessions.
    pub fn handle_append_failed(&mut self) {
        self.in_flight = None;
        self.open_state = None;
        self.begin_batch();
        self.time = self.durable_time;
        self.present = self.durable_present.clone();
        // An alarm that was tried in vain was so on a state that is gone.
        (self.alarm, self.alarm_spent) = (None, None);
        let head = self.history.head();
        self.rejected.retain(|&(decided_at, _)| decided_at <= head);
        self.clients.fall_back();
        self.rejected.iter().for_each(|(_, held)| self.clients.decide(held.client, held.number, head));
    }

    /// One of the machine's functions faulted while its owner used [`Sequencer::durable`]: makes all states again.
    pub fn handle_fault(&mut self, function: &'static str, fault: Fault) {
        self.reports.push_back(Report::FunctionFaulted { function, fault });
        self.recover();
    }

    /// The next batch for the journal, unless one is with it already.
    pub fn poll_batch(&mut self) -> Option<Arc<Batch>> {
        if self.in_flight.is_some() {
            return None;
        }
        let state = self.open_state.take()?;
        let expected = self.newest_seq();
        let chain = self.open.chain();
        let batch = Arc::new(std::mem::replace(&mut self.open, BatchBuilder::new(expected, chain)).finish());
        self.in_flight = Some((Arc::clone(&batch), state));
        Some(batch)
    }

    /// The next rejection that may be told.
    pub fn poll_rejected(&mut self) -> Option<Rejected> {
        let head = self.history.head();
        let (_, rejected) = self.rejected.pop_front_if(|(decided_at, _)| *decided_at <= head)?;
        self.clients.remember(rejected.client, rejected.number, rejected.why.clone());
        Some(rejected)
    }

    /// A snapshot to store. It is a convenience for the next opening: nothing is lost if it is not stored.
    pub fn poll_snapshot(&mut self) -> Option<Arc<Snapshot>> {
        self.snapshot.take()
    }

    /// Something for the operator's log.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// Takes a snapshot of the durable state now, if there are events since the last one: before a room goes to sleep.
    pub fn take_snapshot(&mut self) {
        if self.history.bytes_after_base() > 0 && !self.broken {
            self.snapshot_durable();
        }
    }

    /// Answers `Hello`: the welcome, and the place from which the session reads [`History`].
    #[must_use]
    pub fn welcome(&self, hello: &Hello, session: SessionId, participant: Author, now: Timestamp) -> (Welcome, Seq) {
        let client = hello.key.client_id();
        let (start, after) = self.history.start(hello.resume);
        let welcome = Welcome {
            session,
            participant,
            log: self.history.log_id(),
            digest: self.genesis.digest,
            start,
            head: self.history.head(),
            decided: self.clients.told(client),
            taken: self.clients.decided(client),
            rejected: self.clients.rejections(client).cloned().collect(),
            time: now.max(self.time),
        };
        (welcome, after)
    }

    /// Whether a client's number was decided, and nothing that it became is still to be told.
    #[must_use]
    pub fn is_told(&self, client: ClientId, number: Number) -> bool {
        number <= self.clients.told(client)
    }

    /// The durable event that a client's number became, if it is the last one of that client that became one.
    #[must_use]
    pub fn accepted_at(&self, client: ClientId, number: Number) -> Option<Seq> {
        self.clients.accepted_at(client, number)
    }

    /// When the room's alarm is due, if it has one.
    pub fn alarm_at(&mut self) -> Option<Timestamp> {
        self.alarm().map(|alarm| alarm.at)
    }

    /// What sessions read.
    #[must_use]
    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// How the room began.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The machine and the last durable state: to show it. If the machine faults, say so with [`Sequencer::handle_fault`].
    pub fn durable(&mut self) -> (&mut M, &M::State) {
        (&mut self.machine, &self.durable)
    }

    /// The last durable event's time; the room's creation where there is none.
    #[must_use]
    pub fn durable_time(&self) -> Timestamp {
        self.durable_time
    }

    /// Who has joined and not left, where the machine asks for membership.
    pub fn present(&self) -> impl Iterator<Item = &Author> {
        self.present.iter()
    }

    /// Whether nothing waits for the journal.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.in_flight.is_none() && self.open_state.is_none()
    }

    /// Whether the open batch, or the rejections that wait with it, have reached their limit. Hand in no more until the append
    /// that is under way has ended and [`Sequencer::poll_batch`] has given the next batch out.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let open_is_full = self.open.events().len() >= BATCH_EVENTS_MAX || self.open.bytes() >= BATCH_BYTES_MAX;
        open_is_full || self.rejected.len() >= REJECTIONS_HELD_MAX
    }

    /// Whether the room cannot go on; a [`Report::Broken`] said why.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    fn newest_seq(&self) -> Seq {
        self.open.last()
    }

    /// Applies an input to the newest state; accepted, it joins the open batch.
    fn decide(&mut self, input: Input, now: Timestamp, entropy: u64) -> Result<(), ApplyError> {
        if self.broken {
            return Err(Fault::Trapped("the room cannot go on".to_owned()).into());
        }
        let event = Event { seq: self.newest_seq().next(), time: now.max(self.time), entropy, input };
        let newest = self.open_state.as_ref().or(self.in_flight.as_ref().map(|(_, state)| state));
        match self.machine.apply(newest.unwrap_or(&self.durable), &event) {
            Ok(state) => {
                self.time = event.time;
                self.open_state = Some(state);
                self.open.push(event);
                self.alarm = None;
                Ok(())
            }
            Err(error) => {
                if let ApplyError::Fault(fault) = &error {
                    let author = event.input.author().cloned().unwrap_or_else(|| Author("the alarm".into()));
                    self.reports.push_back(Report::Faulted { author, fault: fault.clone() });
                    self.recover();
                }
                Err(error)
            }
        }
    }

    fn reject(&mut self, client: ClientId, number: Number, why: Rejection) {
        let head = self.newest_seq();
        self.clients.decide(client, number, head);
        self.rejected.push_back((head, Rejected { client, number, why }));
    }

    /// The client asks again for what was rejected: it may have missed the answer.
    fn repeat_rejection(&mut self, client: ClientId, number: Number) {
        let known = self.clients.rejections(client).find(|&&(rejected, _)| rejected == number);
        if let Some((_, why)) = known.cloned() {
            self.rejected.push_front((Seq(0), Rejected { client, number, why }));
        }
    }

    /// The newest state's alarm, unless it was tried in vain.
    fn alarm(&mut self) -> Option<Alarm> {
        if self.alarm.is_none() && !self.broken {
            let newest = self.open_state.as_ref().or(self.in_flight.as_ref().map(|(_, state)| state));
            match self.machine.alarm(newest.unwrap_or(&self.durable)) {
                Ok(alarm) => self.alarm = Some(alarm),
                Err(fault) => {
                    self.handle_fault("alarm", fault);
                    self.alarm = Some(None);
                }
            }
        }
        let alarm = self.alarm.clone().flatten();
        alarm.filter(|alarm| self.alarm_spent.as_ref() != Some(alarm))
    }

    fn begin_batch(&mut self) {
        self.open = BatchBuilder::new(self.history.head(), self.history.chain());
    }

    /// The batch is durable, or was read back from the journal: its clients' numbers are found in it.
    fn settle(&mut self, batch: &Batch) {
        for event in &batch.events {
            self.durable_time = event.time;
            match &event.input {
                Input::Transition { client, number, .. } => self.clients.settle(*client, *number, event.seq),
                Input::Joined(author) => drop(self.durable_present.insert(author.clone())),
                Input::Left(author) => drop(self.durable_present.remove(author)),
                Input::Alarm(_) => {}
            }
        }
    }

    /// Applies a batch that the journal held already.
    fn replay(&mut self, batch: Batch) -> Result<(), OpenError> {
        let head = self.history.head();
        if batch.expected != head {
            return Err(OpenError::Disordered { expected: batch.expected, head });
        }
        for event in &batch.events {
            let applied = self.machine.apply(&self.durable, event);
            self.durable = applied.map_err(|error| OpenError::Apply { seq: event.seq, error })?;
            if let Input::Transition { client, number, .. } = &event.input {
                self.clients.decide(*client, *number, event.seq);
            }
        }
        self.settle(&batch);
        self.history.push(&batch);
        self.time = self.durable_time;
        self.present.clone_from(&self.durable_present);
        Ok(())
    }

    /// The machine faulted and its states are gone: makes the durable, the in-flight and the open state again.
    fn recover(&mut self) {
        if let Err(error) = self.try_recover() {
            self.broken = true;
            self.reports.push_back(Report::Broken(error));
        }
    }

    fn try_recover(&mut self) -> Result<(), String> {
        let base = self.history.base();
        self.machine.reset().map_err(|fault| fault.to_string())?;
        let mut state = self
            .machine
            .restore(&base.state, base.state_version)
            .map_err(|error| format!("snapshot {}: {error}", base.seq))?;
        for encoded in self.history.tail() {
            let event: Event = postcard::from_bytes(&encoded).map_err(|error| error.to_string())?;
            state = apply_again(&mut self.machine, &state, &event)?;
        }
        self.durable = state;
        if let Some((batch, in_flight)) = &mut self.in_flight {
            *in_flight = apply_all_again(&mut self.machine, &self.durable, &batch.events)?;
        }
        if self.open_state.is_some() {
            let before = self.in_flight.as_ref().map_or(&self.durable, |(_, state)| state);
            self.open_state = Some(apply_all_again(&mut self.machine, before, self.open.events())?);
        }
        Ok(())
    }

    fn take_snapshot_if_due(&mut self) {
        let ratio_bytes = self.history.base().state.len() * SNAPSHOT_TAIL_RATIO;
        let due_bytes = ratio_bytes.max(SNAPSHOT_TAIL_BYTES_MIN).max(self.snapshot_due_bytes);
        if self.history.bytes_after_base() > due_bytes && !self.broken {
            self.snapshot_durable();
        }
    }

    fn snapshot_durable(&mut self) {
        let state = match self.machine.snapshot(&self.durable) {
            Ok(state) if state.len() <= SNAPSHOT_BYTES_MAX => state,
            // Tried again when the tail has doubled, so that a machine that cannot do it costs little.
            Ok(state) => {
                self.snapshot_due_bytes = self.history.bytes_after_base() * 2;
                self.reports.push_back(Report::SnapshotTooLarge { bytes: state.len() });
                return;
            }
            Err(fault) => {
                self.snapshot_due_bytes = self.history.bytes_after_base() * 2;
                self.handle_fault("snapshot", fault);
                return;
            }
        };
        self.snapshot_due_bytes = 0;
        self.history.rebase(Snapshot {
            seq: self.history.head(),
            digest: self.genesis.digest,
            state_version: self.machine.state_version(),
            time: self.durable_time,
            chain: self.history.chain(),
            clients: self.clients.record(),
            present: self.durable_present.iter().cloned().collect(),
            state,
        });
        self.snapshot = Some(self.history.base());
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

fn first_snapshot<M: Machine>(machine: &mut M, state: &M::State, genesis: &Genesis) -> Result<Snapshot, Fault> {
    Ok(Snapshot {
        seq: Seq(0),
        digest: genesis.digest,
        state_version: machine.state_version(),
        time: genesis.time,
        chain: genesis.chain(),
        clients: Vec::new(),
        present: Vec::new(),
        state: machine.snapshot(state)?,
    })
}

fn apply_again<M: Machine>(machine: &mut M, state: &M::State, event: &Event) -> Result<M::State, String> {
    machine.apply(state, event).map_err(|error| format!("event {}: {error}", event.seq))
}

/// The state after `events`, of which there is at least one.
fn apply_all_again<M: Machine>(machine: &mut M, before: &M::State, events: &[Event]) -> Result<M::State, String> {
    let (first, rest) = events.split_first().ok_or("an empty batch")?;
    let state = apply_again(machine, before, first)?;
    rest.iter().try_fold(state, |state, event| apply_again(machine, &state, event))
}
