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
//!
//! An upgrade ([`Sequencer::begin_upgrade`]) is an event too, alone in its batch: until that is durable nothing else is decided, and both
//! builds' machines are held, so that falling back costs nothing here either.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::clients::Clients;
use crate::event::{Batch, BatchBuilder, Event, Genesis, Input};
use crate::history::History;
use crate::id::{Author, ClientId, Digest, LogId, Number, Seq, SessionId, Timestamp};
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_EVENTS_MAX, REJECTIONS_HELD_MAX, SNAPSHOT_BYTES_MAX, SNAPSHOT_TAIL_BYTES_MIN,
    SNAPSHOT_TAIL_RATIO, TRANSITION_BYTES_MAX,
};
use crate::machine::{Alarm, ApplyError, Fault, Machine, Refusal};
use crate::message::{Hello, Rejection, Welcome};
use crate::replay::{MigrateError, Replay, migrate};
use crate::report::{OpenError, Report, UpgradeError};
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
    /// The last upgrade that its replica had followed, as of [`Sequencer::upgraded`]: that says whose encoding it is in. After a later one
    /// it is dropped, undecided: its replica is about to follow, and will submit it again.
    pub upgraded: Seq,
    /// In the build's own encoding.
    pub transition: Bytes,
}

/// When a room takes a snapshot: whichever comes first. With neither, when the events since the last one outgrow it (see
/// [`SNAPSHOT_TAIL_BYTES_MIN`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// After so many events.
    pub events: Option<u64>,
    /// After so many bytes of events.
    pub bytes: Option<u64>,
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

/// Bytes that a checkpoint takes in the log, about.
const CHECKPOINT_BYTES: u64 = 64;

/// A room's decisions. See the module's documentation.
#[derive(Debug)]
pub struct Sequencer<M: Machine> {
    machine: M,
    /// The build that is current, and the last upgrade since the room was opened.
    digest: Digest,
    upgraded: Seq,
    genesis: Genesis,
    history: Arc<History>,
    clients: Clients,
    durable: M::State,
    durable_time: Timestamp,
    durable_present: BTreeSet<Author>,
    /// The batch that is with the journal, and the state after it: none where it is the one before.
    in_flight: Option<(Arc<Batch>, Option<M::State>)>,
    open: BatchBuilder,
    /// The state after the open batch; none where that is the one before.
    open_state: Option<M::State>,
    /// The upgrade that is the open batch, or the one in flight. That batch's state is of this machine.
    upgrade: Option<Upgrade<M>>,
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
    snapshot_policy: SnapshotPolicy,
    snapshot_due_bytes: usize,
    snapshot: Option<Arc<Snapshot>>,
    broken: bool,
}

/// A build that takes over once its event is durable.
#[derive(Debug)]
struct Upgrade<M> {
    machine: M,
    digest: Digest,
    /// The snapshot of its first state, and the alarm of that.
    snapshot: Bytes,
    alarm: Option<Alarm>,
}

impl<M: Machine> Sequencer<M> {
    /// Opens a room: at its genesis, or at a snapshot, and then through the batches that follow. Call it once, with all of them. `builds`
    /// makes a machine of the build with a digest; `log` is the log's id, that of its genesis or of the event that forked it.
    ///
    /// # Errors
    ///
    /// A state could not be made. The room's log is untouched.
    pub fn open(
        builds: impl FnMut(Digest) -> Result<M, String>,
        log: LogId,
        genesis: Genesis,
        snapshot: Option<Snapshot>,
        batches: impl IntoIterator<Item = Batch>,
    ) -> Result<Self, OpenError> {
        let mut replay = match &snapshot {
            Some(snapshot) => Replay::from_snapshot(builds, snapshot)?,
            None => Replay::from_genesis(builds, &genesis)?,
        };
        let base = match snapshot {
            Some(snapshot) => snapshot,
            None => first_snapshot(&mut replay, &genesis).map_err(OpenError::Snapshot)?,
        };
        let mut opening = Opening {
            clients: Clients::restore(&base.clients, base.clients_forgotten),
            present: base.present.iter().cloned().collect(),
            history: History::new(log, base),
            snapshot: None,
        };
        for batch in batches {
            opening.go_through(&mut replay, &batch)?;
        }
        let Opening { clients, present, history, snapshot } = opening;
        let (digest, time) = (replay.digest(), replay.time());
        let (machine, durable) = replay.into_state();
        let mut sequencer = Self {
            clients,
            durable_time: time,
            time,
            durable_present: present.clone(),
            present,
            open: BatchBuilder::new(history.head(), history.chain()),
            history: Arc::new(history),
            machine,
            digest,
            upgraded: Seq(0),
            genesis,
            durable,
            in_flight: None,
            open_state: None,
            upgrade: None,
            rejected: VecDeque::new(),
            reports: VecDeque::new(),
            alarm: None,
            alarm_spent: None,
            snapshot_policy: SnapshotPolicy::default(),
            snapshot_due_bytes: 0,
            snapshot,
            broken: false,
        };
        sequencer.take_snapshot_if_due();
        Ok(sequencer)
    }

    /// When to take snapshots from now on.
    pub fn set_snapshot_policy(&mut self, policy: SnapshotPolicy) {
        self.snapshot_policy = policy;
    }

    /// Decides a submission, unless the number was decided before.
    ///
    /// A client's submissions come in the order of their numbers. So the owner hands in nothing from a session that has been
    /// replaced by a newer one of the same client, or that began before [`Sequencer::handle_append_failed`].
    pub fn handle_submit(&mut self, submit: Submit, now: Timestamp, entropy: u64) {
        let Submit { author, client, number, upgraded, transition } = submit;
        if upgraded != self.upgraded || self.upgrade.is_some() {
            return;
        }
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
    pub fn handle_refused(&mut self, submit: &Submit, why: Rejection) {
        let Submit { client, number, upgraded, .. } = *submit;
        // A client's numbers are decided in their order, so what will come again is not overtaken.
        if upgraded != self.upgraded || self.upgrade.is_some() {
            return;
        }
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
        let Some(alarm) = self.alarm().filter(|alarm| alarm.at <= now && self.upgrade.is_none()) else { return };
        let decided = self.decide(Input::Alarm(alarm.transition.clone()), now, entropy);
        if let Err(error) = decided {
            if let ApplyError::Refused(refusal) = error {
                self.reports.push_back(Report::AlarmRefused(refusal));
            }
            self.alarm_spent = Some(alarm);
            self.alarm = None;
        }
    }

    /// Has another build take over: its first state is the durable one, as it restores it. The event of it is the next batch; when that is
    /// durable the build is current, and what is submitted in the old one's encoding is dropped. Meanwhile the room
    /// [is full](Sequencer::is_full).
    ///
    /// # Errors
    ///
    /// The new build does not take the state over, or the room is not [settled](Sequencer::is_settled). The room is as it was.
    pub fn begin_upgrade(&mut self, mut machine: M, digest: Digest, now: Timestamp) -> Result<(), UpgradeError> {
        if !self.is_settled() || self.broken || self.upgrade.is_some() {
            return Err(UpgradeError::NotSettled);
        }
        if digest == self.digest {
            return Err(UpgradeError::IsCurrent);
        }
        let state = migrate(&mut self.machine, &self.durable, &mut machine).map_err(|error| match error {
            MigrateError::Snapshot(fault) => {
                self.handle_fault("snapshot", fault.clone());
                UpgradeError::OldSnapshot(fault)
            }
            MigrateError::Restore(error) => UpgradeError::Restore(error),
        })?;
        let snapshot = machine.snapshot(&state).map_err(UpgradeError::NewSnapshot)?;
        let alarm = machine.alarm(&state).map_err(UpgradeError::NewAlarm)?;
        if snapshot.len() > SNAPSHOT_BYTES_MAX {
            return Err(UpgradeError::TooLarge { bytes: snapshot.len() });
        }
        self.push_own(Input::Upgraded(digest), now);
        self.open_state = Some(state);
        self.upgrade = Some(Upgrade { machine, digest, snapshot, alarm });
        Ok(())
    }

    /// The batch from [`Sequencer::poll_batch`] is durable.
    pub fn handle_appended(&mut self) {
        let Some((batch, state)) = self.in_flight.take() else { return };
        if let Some(state) = state {
            self.durable = state;
        }
        self.settle(&batch);
        self.history.push(&batch);
        match self.upgrade.take() {
            Some(Upgrade { machine, digest, snapshot, alarm }) => {
                (self.machine, self.digest, self.upgraded) = (machine, digest, batch.last());
                (self.alarm, self.alarm_spent) = (Some(alarm), None);
                self.stand_on(snapshot);
            }
            None => self.take_snapshot_if_due(),
        }
    }

    /// The batch from [`Sequencer::poll_batch`] was not stored, for certain. The room falls back to its last durable state; whoever
    /// waits for an answer must submit again, so the owner ends their sessions.
    pub fn handle_append_failed(&mut self) {
        (self.in_flight, self.open_state, self.upgrade) = (None, None, None);
        self.open = BatchBuilder::new(self.history.head(), self.history.chain());
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
        if self.open.events().is_empty() {
            return None;
        }
        let state = self.open_state.take();
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

    /// Takes a snapshot of the durable state now, if there are events since the last one: before a room goes to sleep. No checkpoint in the
    /// log speaks of it.
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
            digest: self.digest,
            start,
            head: self.history.head(),
            decided: self.clients.told(client),
            taken: self.clients.decided(client),
            rejected: self.clients.rejections(client).cloned().collect(),
            is_forgotten: self.clients.may_have_forgotten(client),
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

    /// The build that is current, for what is durable.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The last upgrade since the room was opened; 0 where there was none. A session has followed all upgrades when it begins.
    #[must_use]
    pub fn upgraded(&self) -> Seq {
        self.upgraded
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
        self.in_flight.is_none() && self.open.events().is_empty()
    }

    /// Whether the open batch, or the rejections that wait with it, have reached their limit. Hand in no more until the append
    /// that is under way has ended and [`Sequencer::poll_batch`] has given the next batch out.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let open_is_full = self.open.events().len() >= BATCH_EVENTS_MAX || self.open.bytes() >= BATCH_BYTES_MAX;
        open_is_full || self.rejected.len() >= REJECTIONS_HELD_MAX || self.upgrade.is_some()
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
        if self.broken || self.upgrade.is_some() {
            return Err(Fault::Trapped("the room cannot go on now".to_owned()).into());
        }
        let event = Event { seq: self.newest_seq().next(), time: now.max(self.time), entropy, input };
        let in_flight = self.in_flight.as_ref().and_then(|(_, state)| state.as_ref());
        let newest = self.open_state.as_ref().or(in_flight).unwrap_or(&self.durable);
        match self.machine.apply(newest, &event) {
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

    /// An event of the room's own joins the open batch.
    fn push_own(&mut self, input: Input, now: Timestamp) {
        self.time = now.max(self.time);
        self.open.push(Event { seq: self.newest_seq().next(), time: self.time, entropy: 0, input });
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
        if let Some(upgrade) = &self.upgrade {
            return upgrade.alarm.clone();
        }
        if self.alarm.is_none() && !self.broken {
            let in_flight = self.in_flight.as_ref().and_then(|(_, state)| state.as_ref());
            match self.machine.alarm(self.open_state.as_ref().or(in_flight).unwrap_or(&self.durable)) {
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

    /// The batch is durable: its clients' numbers are found in it.
    fn settle(&mut self, batch: &Batch) {
        for event in &batch.events {
            self.durable_time = event.time;
            if let Input::Transition { client, number, .. } = &event.input {
                self.clients.settle(*client, *number, event.seq, event.time);
            }
            note_presence(&mut self.durable_present, &event.input);
        }
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
            if let Some(after) = apply_all_again(&mut self.machine, &state, [&event])? {
                state = after;
            }
        }
        self.durable = state;
        if self.upgrade.is_some() {
            // The state that is on its way is of the other machine, which is well.
            return Ok(());
        }
        if let Some((batch, in_flight)) = &mut self.in_flight {
            *in_flight = apply_all_again(&mut self.machine, &self.durable, &batch.events)?;
        }
        let in_flight = self.in_flight.as_ref().and_then(|(_, state)| state.as_ref());
        self.open_state = apply_all_again(&mut self.machine, in_flight.unwrap_or(&self.durable), self.open.events())?;
        Ok(())
    }

    fn take_snapshot_if_due(&mut self) {
        if self.broken || !self.is_snapshot_due() || !self.snapshot_durable() {
            return;
        }
        self.push_checkpoint();
    }

    fn is_snapshot_due(&self) -> bool {
        let bytes = self.history.bytes_after_base();
        if bytes <= self.snapshot_due_bytes {
            return false;
        }
        let SnapshotPolicy { events: events_max, bytes: bytes_max } = self.snapshot_policy;
        if events_max.is_none() && bytes_max.is_none() {
            return bytes > (self.history.base().state.len() * SNAPSHOT_TAIL_RATIO).max(SNAPSHOT_TAIL_BYTES_MIN);
        }
        // The checkpoint of the last one does not call for another.
        let events = self.history.head().0 - self.history.base().seq.0;
        events_max.is_some_and(|max| events > max.max(1))
            || bytes_max.is_some_and(|max| bytes as u64 > max.max(CHECKPOINT_BYTES))
    }

    /// Answers whether it was taken.
    fn snapshot_durable(&mut self) -> bool {
        match self.machine.snapshot(&self.durable) {
            Ok(state) if state.len() <= SNAPSHOT_BYTES_MAX => {
                self.rebase(state);
                return true;
            }
            // Tried again when the tail has doubled, so that a machine that cannot do it costs little.
            Ok(state) => {
                self.snapshot_due_bytes = self.history.bytes_after_base() * 2;
                self.reports.push_back(Report::SnapshotTooLarge { bytes: state.len() });
            }
            Err(fault) => {
                self.snapshot_due_bytes = self.history.bytes_after_base() * 2;
                self.handle_fault("snapshot", fault);
            }
        }
        false
    }

    /// The durable state, whose bytes are `state`, is what newcomers and recoveries start from; and the log says so.
    fn stand_on(&mut self, state: Bytes) {
        self.rebase(state);
        self.push_checkpoint();
    }

    fn rebase(&mut self, state: Bytes) {
        self.snapshot_due_bytes = 0;
        self.history.rebase(Snapshot {
            seq: self.history.head(),
            digest: self.digest,
            state_version: self.machine.state_version(),
            time: self.durable_time,
            chain: self.history.chain(),
            clients: self.clients.record(self.durable_time),
            clients_forgotten: self.clients.has_forgotten(),
            present: self.durable_present.iter().cloned().collect(),
            state,
        });
        self.snapshot = Some(self.history.base());
    }

    fn push_checkpoint(&mut self) {
        let base = self.history.base();
        self.push_own(Input::Checkpoint { seq: base.seq, hash: base.state_hash() }, self.time);
    }
}

/// A room on its way up, which goes through what the journal holds.
struct Opening {
    clients: Clients,
    present: BTreeSet<Author>,
    history: History,
    snapshot: Option<Arc<Snapshot>>,
}

impl Opening {
    fn go_through<M: Machine, B: FnMut(Digest) -> Result<M, String>>(
        &mut self,
        replay: &mut Replay<M, B>,
        batch: &Batch,
    ) -> Result<(), OpenError> {
        let head = self.history.head();
        if batch.expected != head {
            return Err(OpenError::Disordered { expected: batch.expected, head });
        }
        for event in &batch.events {
            replay.apply(event)?;
            if let Input::Transition { client, number, .. } = event.input {
                self.clients.replay(client, number, event.seq, event.time);
            }
            note_presence(&mut self.present, &event.input);
        }
        self.history.push(batch);
        if batch.upgrade().is_some() {
            // Recovery restores the newest snapshot with the current build, so an upgrade always has one of its own.
            let (state_version, state) = replay.snapshot().map_err(OpenError::Snapshot)?;
            self.history.rebase(Snapshot {
                seq: replay.seq(),
                digest: replay.digest(),
                state_version,
                time: replay.time(),
                chain: batch.chain,
                clients: self.clients.record(replay.time()),
                clients_forgotten: self.clients.has_forgotten(),
                present: self.present.iter().cloned().collect(),
                state,
            });
            self.snapshot = Some(self.history.base());
        }
        Ok(())
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

fn first_snapshot<M: Machine, B: FnMut(Digest) -> Result<M, String>>(
    replay: &mut Replay<M, B>,
    genesis: &Genesis,
) -> Result<Snapshot, Fault> {
    let (state_version, state) = replay.snapshot()?;
    Ok(Snapshot {
        seq: Seq(0),
        digest: genesis.digest,
        state_version,
        time: genesis.time,
        chain: genesis.chain(),
        clients: Vec::new(),
        clients_forgotten: false,
        present: Vec::new(),
        state,
    })
}

/// Who is there, after this input.
fn note_presence(present: &mut BTreeSet<Author>, input: &Input) {
    match input {
        Input::Joined(author) => drop(present.insert(author.clone())),
        Input::Left(author) => drop(present.remove(author)),
        _ => {}
    }
}

/// The state after `events`; none where that is the one before.
fn apply_all_again<'a, M: Machine>(
    machine: &mut M,
    before: &M::State,
    events: impl IntoIterator<Item = &'a Event>,
) -> Result<Option<M::State>, String> {
    let mut after = None;
    for event in events.into_iter().filter(|event| event.input.is_for_machine()) {
        let applied = machine.apply(after.as_ref().unwrap_or(before), event);
        after = Some(applied.map_err(|error| format!("event {}: {error}", event.seq))?);
    }
    Ok(after)
}
