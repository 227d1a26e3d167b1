//! A room, pure: the [`Sequencer`] and all decisions around it. They are: who is present, which session replaces which, when another build
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
//! The room's owner is a shell. After each call it takes effects from [`Room::poll_effect`] until there is none, and performs them one at a
//! time in that order; then it waits for the next input, or for [`Room::wake_at`]. While the room [is not open](Room::is_open), the owner hands
//! in no sessions, submissions, upgrades or rings. It hands in only the journal's answers, the timer, and the ends of sessions.

mod alarm;
mod backoff;
mod effect;
mod front;
mod held;
pub mod limits;
mod memory;
mod notes;
mod once;
mod rest;
mod sessions;
mod steps;
mod storing;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use self::backoff::Backoffs;
pub use self::effect::{Asker, Effect, Entered, Note, Now, Step, SubmitOnce, Ticks, UpgradeFailed, Usage, Verdict};
pub use self::front::Front;
use self::limits::PRESENCE_INTERVAL_MICROS;
use self::notes::Notes;
use self::sessions::{Session, Sessions};
use crate::event::Batch;
use crate::id::{Author, ClientId, Digest, Number, Seq, SessionId};
use crate::machine::{CodecError, Fault, Machine};
use crate::message::{Goodbye, Hello};
use crate::sequencer::{Sequencer, SnapshotPolicy, Submit};
use crate::snapshot::Snapshot;

/// A room that is awake. See the module's documentation.
pub struct Room<M: Machine> {
    sequencer: Sequencer<M>,
    sessions: Sessions,
    /// The askers who wait for the verdict on a transition that came without a session.
    askers: BTreeMap<(ClientId, Number), Vec<Asker>>,
    /// Numbers that askers asked for although they had been decided, and told, before.
    repeated: Vec<(ClientId, Number)>,
    effects: VecDeque<Effect>,
    in_flight: Option<Arc<Batch>>,
    upgrade: Option<Upgrade<M>>,
    /// The time when the participants are announced, if they have changed.
    presence_due: Option<Ticks>,
    notes: Notes,
    backoffs: Backoffs,
    sleep_after_micros: u64,
    /// The time of the last use; `None` if the room was woken for its alarm and nobody has used it since.
    last_used: Option<Ticks>,
    /// The end of the pause after a failed append. Until then nothing is tried again that nobody asks for.
    failing_until: Option<Ticks>,
    /// The time when an overfull room tries again to take a snapshot.
    snapshot_retry: Option<Ticks>,
    /// The time when a trial that could not be made is tried again.
    trial_retry: Option<Ticks>,
    /// The time when a room that is ending waits no longer for the trial of its last snapshot.
    ends_by: Option<Ticks>,
    /// Whether the room that is ending has taken its last snapshot, or needs none.
    has_last_snapshot: bool,
    /// Whether the sessions were ended because the room ends. Their participants stay present in the log until the room wakes.
    has_said_goodbye: bool,
    phase: Phase,
}

/// Another build that is about to take over the room.
enum Upgrade<M> {
    /// The build waits until the room is at rest.
    Waiting { machine: Box<M>, digest: Digest },
    /// The upgrade's event is with the journal.
    Storing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Awake,
    /// The room takes in nothing more, and falls asleep once it is at rest.
    Ending,
    /// The room is ending, and the log may hold more than this room knows: nothing may be noted about the room any more.
    LettingGo,
    Asleep,
}

/// The circumstances in which a room wakes.
#[derive(Clone, Copy, Debug)]
pub struct Waking {
    /// The journal's note about the room.
    pub noted: Note,
    /// Whether somebody uses the room. Otherwise it was woken for its alarm, and falls asleep as soon as it can.
    pub is_used: bool,
    /// Microseconds without use after which the room falls asleep.
    pub sleep_after_micros: u64,
}

impl<M: Machine> Room<M> {
    /// Returns the room whose log was just opened. Whoever was present when the log ended is made to leave: their sessions are gone.
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
            trial_retry: None,
            ends_by: None,
            has_last_snapshot: false,
            has_said_goodbye: false,
            phase: Phase::Awake,
        };
        room.leave_absent(now);
        room
    }

    /// Begins a session, which replaces the client's former one. The owner chooses its id, and never uses an id twice.
    ///
    /// # Errors
    ///
    /// Fails if the room does not take the session. The error is the session's last message.
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
        // This comes after the welcome, so that the room holds on to the client from one session to the next.
        if let Some(former) = former {
            self.remove(former, now);
            self.effects.push_back(Effect::End { session: former, why: Goodbye::Replaced });
        }
        self.presence_changed(now);
        Ok(entered)
    }

    /// Returns a new welcome, with a snapshot, for a session whose replica asks for it. Returns `None` if the session is gone, or belongs to
    /// another client.
    pub fn handle_resync(&mut self, session: SessionId, hello: &Hello, now: &mut Now<'_>) -> Option<Entered> {
        let upgraded = self.sequencer.upgraded();
        let held = self.sessions.get_mut(session).filter(|held| held.client == hello.key.client_id())?;
        held.upgraded = upgraded;
        let participant = held.participant.clone();
        Some(self.welcome(session, hello, participant, now))
    }

    /// Handles a transition that a session submits. Nothing is taken from a session that has ended: its client submits again in its next one.
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

    /// Handles that a session's replica has followed the upgrade at this seq. A welcome since then may have brought it further.
    pub fn handle_followed(&mut self, session: SessionId, upgrade: Seq) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.upgraded = session.upgraded.max(upgrade);
        }
    }

    /// Handles that a session has ended.
    pub fn handle_leave(&mut self, session: SessionId, now: &mut Now<'_>) {
        self.remove(session, now);
    }

    /// Handles that a frame could not be sent to a session, so the owner has dropped the session.
    pub fn handle_unreachable(&mut self, session: SessionId, now: &mut Now<'_>) {
        self.handle_leave(session, now);
    }

    /// Keeps another build ready, which takes over as soon as the room is at rest. Until then the room takes in nothing. [`Effect::Upgraded`]
    /// reports the result.
    ///
    /// # Errors
    ///
    /// Fails if another upgrade waits already.
    pub fn handle_upgrade(&mut self, machine: M, digest: Digest, now: &Now<'_>) -> Result<(), UpgradeFailed> {
        if self.upgrade.is_some() {
            return Err(UpgradeFailed::Busy);
        }
        self.last_used = Some(now.ticks);
        self.upgrade = Some(Upgrade::Waiting { machine: Box::new(machine), digest });
        Ok(())
    }

    /// Sets the policy for snapshots from now on.
    pub fn set_snapshot_policy(&mut self, policy: SnapshotPolicy) {
        self.sequencer.set_snapshot_policy(policy);
    }

    /// Notes that somebody uses the room without asking anything of it: it does not sleep soon.
    pub fn handle_use(&mut self, now: &Now<'_>) {
        self.last_used = Some(now.ticks);
    }

    /// Writes the last durable state as a snapshot, from which the room does not go on. Returns `None` if the machine or a limit prevents it.
    /// Must not be called under a slice, or while the states [are lost](Room::is_lost).
    pub fn write_snapshot(&mut self, now: &Now<'_>) -> Option<Snapshot> {
        self.last_used = Some(now.ticks);
        self.sequencer.write_snapshot()
    }

    /// Shows the last durable state. Must not be called under a slice, or while the states [are lost](Room::is_lost).
    ///
    /// # Errors
    ///
    /// Fails if the machine faults. The room recovers from that.
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

    /// Returns the JSON of a transition, for the operator. Must not be called under a slice, or while the states [are lost](Room::is_lost).
    ///
    /// # Errors
    ///
    /// Fails if the machine refuses the bytes, or faults. The room recovers from that.
    pub fn decode(&mut self, transition: &[u8]) -> Result<String, CodecError> {
        self.sequencer.durable().0.decode(transition).inspect_err(|error| {
            if let CodecError::Fault(fault) = error {
                self.sequencer.handle_fault("decode", fault.clone());
            }
        })
    }

    /// Returns the next effect for the owner to perform.
    pub fn poll_effect(&mut self, now: &mut Now<'_>) -> Option<Effect> {
        self.pump_if_done(now);
        self.effects.pop_front()
    }

    /// Returns the next effects for the owner to perform, in order. There may be more once these are performed.
    pub fn poll_effects(&mut self, now: &mut Now<'_>) -> VecDeque<Effect> {
        self.pump_if_done(now);
        std::mem::take(&mut self.effects)
    }

    /// Returns whether the owner may hand in more.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.sequencer.is_full() && self.upgrade.is_none() && self.phase == Phase::Awake
    }

    /// Returns the sequencer: the room's decisions and the states behind them.
    #[must_use]
    pub fn sequencer(&self) -> &Sequencer<M> {
        &self.sequencer
    }

    /// Returns the participant of a session.
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

    /// Makes everyone leave who has joined and no longer has a session. While the journal fails, this waits: nobody asks for it, so nothing
    /// else would slow it down.
    fn leave_absent(&mut self, now: &mut Now<'_>) {
        let absent = self.sequencer.present().filter(|author| !self.sessions.has(author));
        let absent: Vec<Author> = absent.cloned().collect();
        if absent.is_empty() || self.is_letting_go() || self.has_said_goodbye {
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
