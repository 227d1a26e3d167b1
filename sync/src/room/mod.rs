//! A room, pure: the [`Sequencer`] and everything that is decided around it. Who is present, whose session replaces whose, when another build
//! takes over, when the alarm goes off, who is told what, and when the room falls asleep.
//!
//! ```text
//!   sessions, requests, timers ──▶ handle_enter, handle_submit, handle_timer, ... (with a Now: clocks and random bits)
//!                                                   │
//!                                       ┌───────────▼──────────┐
//!                                       │ Room: Sequencer,     │
//!                                       │ sessions, askers,    │
//!                                       │ alarm, upgrade       │
//!                                       └───────────┬──────────┘
//!                                                   │ poll_effect, until there is none
//!   journal, sockets, operator ◀── Append, Send, Head, Presence, Answer, Report, ..., Sleep
//! ```
//!
//! The room's owner is a shell. After each call it takes effects from [`Room::poll_effect`] until there is none, and performs them one at a time in
//! that order; then it waits for the next input, or for [`Room::wake_at`]. While the room [is not open](Room::is_open) the owner hands in
//! no sessions, submissions, upgrades and rings: only the answers of the journal, the timer, and what ends sessions.

mod alarm;
mod backoff;
mod effect;
pub mod limits;
mod rest;
mod sessions;
mod steps;
mod storing;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use self::alarm::Notes;
use self::backoff::Backoffs;
pub use self::effect::{Asker, Effect, Entered, Note, Now, SubmitOnce, Ticks, UpgradeFailed, Verdict};
use self::limits::PRESENCE_INTERVAL_MICROS;
use self::sessions::{Session, Sessions};
pub use self::steps::Step;
use crate::event::Batch;
use crate::id::{Author, ClientId, Digest, Number, Seq, SessionId};
use crate::machine::{CodecError, Fault, Machine};
use crate::message::{Goodbye, Hello, ServerMessage, Signal};
use crate::sequencer::{Sequencer, SnapshotPolicy, Submit};
use crate::snapshot::Snapshot;

/// A room that is awake. See the module's documentation.
pub struct Room<M: Machine> {
    sequencer: Sequencer<M>,
    sessions: Sessions,
    /// Who waits for the verdict on a transition that came without a session.
    askers: BTreeMap<(ClientId, Number), Vec<Asker>>,
    /// What askers asked for though it had been decided, and told, before.
    repeated: Vec<(ClientId, Number)>,
    effects: VecDeque<Effect>,
    in_flight: Option<Arc<Batch>>,
    upgrade: Option<Upgrade<M>>,
    /// When it is told who is present, where that has changed.
    presence_due: Option<Ticks>,
    notes: Notes,
    backoffs: Backoffs,
    sleep_after_micros: u64,
    /// None where the room was woken for its alarm, and nobody has used it since.
    last_used: Option<Ticks>,
    /// Since an append failed: until when nothing that nobody asks for is tried again.
    failing_until: Option<Ticks>,
    /// In an overfull room: when it tries again to take a snapshot.
    snapshot_retry: Option<Ticks>,
    /// Whether the room that is ending has taken its last snapshot, or needs none.
    has_last_snapshot: bool,
    phase: Phase,
}

/// Another build, on its way to become the room's.
enum Upgrade<M> {
    /// Until the room is at rest.
    Waiting { machine: Box<M>, digest: Digest },
    /// Its event is with the journal.
    Storing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Awake,
    /// Takes nothing more in, and falls asleep once it is at rest.
    Ending,
    /// Ending, and the log may hold more than this room knows: nothing may be noted about the room any more.
    LettingGo,
    Asleep,
}

/// How a room wakes.
#[derive(Clone, Copy, Debug)]
pub struct Waking {
    /// What the journal notes of it.
    pub noted: Note,
    /// Whether somebody uses it. Otherwise it was woken for its alarm, and falls asleep as soon as it can.
    pub is_used: bool,
    /// Microseconds without any use after which the room falls asleep.
    pub sleep_after_micros: u64,
}

impl<M: Machine> Room<M> {
    /// The room whose log was just opened. Whoever was present when the log ended has left: their sessions are gone.
    pub fn new(sequencer: Sequencer<M>, waking: Waking, now: &mut Now<'_>) -> Self {
        let Waking { noted, is_used, sleep_after_micros } = waking;
        let mut room = Self {
            sequencer,
            sessions: Sessions::default(),
            askers: BTreeMap::new(),
            repeated: Vec::new(),
            effects: VecDeque::new(),
            in_flight: None,
            upgrade: None,
            presence_due: None,
            notes: Notes::new(noted),
            backoffs: Backoffs::default(),
            sleep_after_micros,
            last_used: is_used.then_some(now.ticks),
            failing_until: None,
            snapshot_retry: None,
            has_last_snapshot: false,
            phase: Phase::Awake,
        };
        room.leave_absent(now);
        room
    }

    /// A session begins, and replaces the one that its client had. The owner chooses its id, and uses no id twice.
    ///
    /// # Errors
    ///
    /// The room does not take the session: its last message.
    pub fn handle_enter(
        &mut self,
        session: SessionId,
        hello: &Hello,
        participant: Author,
        now: &mut Now<'_>,
    ) -> Result<Entered, Goodbye> {
        let client = hello.key.client_id();
        if self.sequencer.is_broken() {
            return Err(self.broken_goodbye());
        }
        let sessions_max = self.sequencer.limits().room_sessions_max;
        if self.sessions.len() >= sessions_max && self.sessions.of_client(client).is_none() {
            return Err(Goodbye::Full(format!("the room has {sessions_max} sessions, which is its limit")));
        }
        if self.sequencer.is_closed() && self.sessions.of_client(client).is_none() {
            return Err(Goodbye::Full(
                "the room cannot take a snapshot, and has no place for newcomers until it can".to_owned(),
            ));
        }
        let is_first = !self.sessions.has(&participant);
        let (upgraded, version) = (self.sequencer.upgraded(), hello.version);
        let held = Session { participant: participant.clone(), client, upgraded, version };
        let former = self.sessions.insert(session, held);
        if is_first {
            let entropy = now.draw();
            self.sequencer.handle_joined(participant.clone(), now.time, entropy);
        }
        let entered = self.welcome(session, hello, participant, now);
        // After the welcome: the room holds on to the client from one session to the next.
        if let Some(former) = former {
            self.remove(former, now);
            self.effects.push_back(Effect::End { session: former, why: Goodbye::Replaced });
        }
        self.presence_changed(now);
        Ok(entered)
    }

    /// A session's replica asks for a new welcome, with a snapshot. Returns none where the session is gone, or is another client's.
    pub fn handle_resync(&mut self, session: SessionId, hello: &Hello, now: &mut Now<'_>) -> Option<Entered> {
        let upgraded = self.sequencer.upgraded();
        let held = self.sessions.get_mut(session).filter(|held| held.client == hello.key.client_id())?;
        held.upgraded = upgraded;
        let participant = held.participant.clone();
        Some(self.welcome(session, hello, participant, now))
    }

    /// A session submits a transition. From a session that has ended nothing is taken: its client submits again in its next one.
    pub fn handle_submit(&mut self, session: SessionId, number: Number, transition: Bytes, now: &mut Now<'_>) {
        let Some(Session { participant, client, upgraded, .. }) = self.sessions.get(session) else { return };
        let submit = Submit { author: participant.clone(), client: *client, number, upgraded: *upgraded, transition };
        if self.backoffs.is_waiting(&submit.author, now.ticks) {
            return self.hold(session, submit, now);
        }
        let entropy = now.draw();
        self.sequencer.handle_submit(submit, now.time, entropy);
        self.note_charges(now);
    }

    /// Somebody submits a transition without a session. [`Effect::Answer`] tells what became of it.
    pub fn handle_submit_once(&mut self, asker: Asker, submit: SubmitOnce, now: &mut Now<'_>) {
        self.last_used = Some(now.ticks);
        let SubmitOnce { author, client, number, digest, transition } = submit;
        if digest != self.sequencer.digest() {
            self.effects.push_back(Effect::Answer { asker, verdict: Verdict::Upgraded });
            return;
        }
        if self.backoffs.is_waiting(&author, now.ticks) {
            self.effects.push_back(Effect::Answer { asker, verdict: Verdict::Busy });
            return;
        }
        self.askers.entry((client, number)).or_default().push(asker);
        let submit = Submit { author, client, number, upgraded: self.sequencer.upgraded(), transition };
        let entropy = now.draw();
        self.sequencer.handle_submit(submit, now.time, entropy);
        self.note_charges(now);
        if self.sequencer.is_told(client, number) {
            self.repeated.push((client, number));
        }
    }

    /// A session sends an ephemeral message to all others.
    pub fn handle_signal(&mut self, session: SessionId, body: Bytes) {
        let Some(Session { participant, .. }) = self.sessions.get(session) else { return };
        let signal = Signal { participant: participant.clone(), session, body };
        let frame = ServerMessage::Signals(vec![signal]).encode();
        self.effects.push_back(Effect::Signal { from: session, frame });
    }

    /// A session's replica has followed the upgrade at this seq. A welcome since then may have brought it further.
    pub fn handle_followed(&mut self, session: SessionId, upgrade: Seq) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.upgraded = session.upgraded.max(upgrade);
        }
    }

    /// A session has ended.
    pub fn handle_leave(&mut self, session: SessionId, now: &mut Now<'_>) {
        self.remove(session, now);
    }

    /// A frame could not be sent to a session, so the owner has dropped the session.
    pub fn handle_unreachable(&mut self, session: SessionId, now: &mut Now<'_>) {
        self.handle_leave(session, now);
    }

    /// Another build is to take over as soon as the room is at rest. Until then the room takes nothing in. [`Effect::Upgraded`] tells how it
    /// ended.
    ///
    /// # Errors
    ///
    /// Another upgrade waits already.
    pub fn handle_upgrade(&mut self, machine: M, digest: Digest, now: &Now<'_>) -> Result<(), UpgradeFailed> {
        if self.upgrade.is_some() {
            return Err(UpgradeFailed::Busy);
        }
        self.last_used = Some(now.ticks);
        self.upgrade = Some(Upgrade::Waiting { machine: Box::new(machine), digest });
        Ok(())
    }

    /// When to take snapshots from now on.
    pub fn set_snapshot_policy(&mut self, policy: SnapshotPolicy) {
        self.sequencer.set_snapshot_policy(policy);
    }

    /// Somebody uses the room without asking anything of it: it does not sleep soon.
    pub fn handle_use(&mut self, now: &Now<'_>) {
        self.last_used = Some(now.ticks);
    }

    /// Writes the last durable state as a snapshot, which the room does not go on from. `None` if the machine or a limit prevents it. Not under a
    /// slice, and not while the states [are lost](Room::is_lost).
    pub fn write_snapshot(&mut self, now: &Now<'_>) -> Option<Snapshot> {
        self.last_used = Some(now.ticks);
        self.sequencer.write_snapshot()
    }

    /// Shows the last durable state. Not under a slice, and not while the states [are lost](Room::is_lost).
    ///
    /// # Errors
    ///
    /// The machine faults. The room recovers from that.
    pub fn show<T>(
        &mut self,
        show: impl FnOnce(&mut M, &M::State) -> Result<T, Fault>,
        now: &Now<'_>,
    ) -> Result<T, Fault> {
        self.last_used = Some(now.ticks);
        let (machine, state) = self.sequencer.durable();
        let shown = show(machine, state);
        if let Err(fault) = &shown {
            self.sequencer.handle_fault("view", fault.clone());
        }
        shown
    }

    /// The JSON of a transition, for the operator. Not under a slice, and not while the states [are lost](Room::is_lost).
    ///
    /// # Errors
    ///
    /// The machine refuses the bytes, or faults. The room recovers from that.
    pub fn decode(&mut self, transition: &[u8]) -> Result<String, CodecError> {
        self.sequencer.durable().0.decode(transition).inspect_err(|error| {
            if let CodecError::Fault(fault) = error {
                self.sequencer.handle_fault("decode", fault.clone());
            }
        })
    }

    /// The next thing for the owner to do.
    pub fn poll_effect(&mut self, now: &mut Now<'_>) -> Option<Effect> {
        self.pump_if_done(now);
        self.effects.pop_front()
    }

    /// The next things for the owner to do, in order. There may be more once these are done.
    pub fn poll_effects(&mut self, now: &mut Now<'_>) -> VecDeque<Effect> {
        self.pump_if_done(now);
        std::mem::take(&mut self.effects)
    }

    /// Whether more may be handed in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.sequencer.is_full() && self.upgrade.is_none() && self.phase == Phase::Awake
    }

    /// The room's decisions and what they rest on.
    #[must_use]
    pub fn sequencer(&self) -> &Sequencer<M> {
        &self.sequencer
    }

    /// The participant of a session.
    #[must_use]
    pub fn participant(&self, session: SessionId) -> Option<&Author> {
        self.sessions.get(session).map(|session| &session.participant)
    }

    fn pump_if_done(&mut self, now: &mut Now<'_>) {
        if self.effects.is_empty() && self.phase != Phase::Asleep {
            self.pump(now);
        }
    }

    fn welcome(&mut self, session: SessionId, hello: &Hello, participant: Author, now: &Now<'_>) -> Entered {
        let (welcome, reader) = self.sequencer.welcome(hello, session, participant, now.time);
        Entered { welcome, reader }
    }

    fn broken_goodbye(&self) -> Goodbye {
        Goodbye::RoomFailed(self.sequencer.broken().unwrap_or_default().to_owned())
    }

    fn is_letting_go(&self) -> bool {
        self.phase == Phase::LettingGo
    }

    fn remove(&mut self, session: SessionId, now: &mut Now<'_>) {
        let Some(Session { participant, client, .. }) = self.sessions.remove(session) else { return };
        self.sequencer.handle_session_ended(client, session);
        self.backoffs.forget(session);
        self.presence_changed(now);
        if !self.sessions.has(&participant) && !self.is_letting_go() {
            let entropy = now.draw();
            self.sequencer.handle_left(participant, now.time, entropy);
        }
    }

    fn presence_changed(&mut self, now: &Now<'_>) {
        self.last_used = Some(now.ticks);
        let due = now.ticks.after(PRESENCE_INTERVAL_MICROS);
        self.presence_due = Some(self.presence_due.map_or(due, |earlier| earlier.min(due)));
    }

    /// Lets everyone leave who has joined and has no session any more. While the journal fails that waits: nobody asks for it, so nothing
    /// else would slow it down.
    fn leave_absent(&mut self, now: &mut Now<'_>) {
        let absent = self.sequencer.present().filter(|author| !self.sessions.has(author));
        let absent: Vec<Author> = absent.cloned().collect();
        if absent.is_empty() || self.is_letting_go() {
            return;
        }
        if let Some(until) = self.failing_until.filter(|&until| until > now.ticks) {
            self.presence_due.get_or_insert(until);
            return;
        }
        for author in absent {
            let entropy = now.draw();
            self.sequencer.handle_left(author, now.time, entropy);
        }
    }

    fn end_sessions(&mut self, why: &Goodbye, now: &mut Now<'_>) {
        self.end_all(why);
        self.presence_changed(now);
        self.leave_absent(now);
    }

    fn end_all(&mut self, why: &Goodbye) {
        self.backoffs.forget_all();
        for (id, session) in self.sessions.remove_all() {
            self.sequencer.handle_session_ended(session.client, id);
            self.effects.push_back(Effect::End { session: id, why: why.clone() });
        }
    }
}
