//! The deciding half of a room's task: the pure room, and everything that commands need. It may move to a thread of the pool for a turn.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use reapply_journal::Retention;
use reapply_machine::Instance;
use reapply_sync::room::{Asker, Effect, Entered, Now, SubmitOnce, Verdict};
use reapply_sync::{Fault, Goodbye, Rejection, RoomId, Seq, SessionId, SnapshotPolicy};
use tokio::sync::oneshot;
use tracing::warn;

use super::clock::{Clock, READING_LASTS, Reading};
use super::waiting::Waiting;
use crate::room::command::{Command, Outbox, Upgrade};
use crate::room::error::UpgradeRoomError;
use crate::room::view::{self, NewestView, View};

/// The room, and the callers who wait for its decisions.
pub(super) struct Decider {
    pub(super) id: RoomId,
    pub(super) room: reapply_sync::Room<Instance>,
    pub(super) clock: Clock,
    pub(super) reading: Reading,
    pub(super) next_session: Box<dyn Fn() -> SessionId + Send>,
    /// The work that this turn leaves for the task, in order.
    pub(super) moved: Vec<Moved>,
    /// The callers who wait for the verdict on a transition without a session.
    pub(super) askers: HashMap<Asker, oneshot::Sender<Verdict>>,
    pub(super) askers_made: u64,
    /// The caller who waits for the upgrade.
    pub(super) upgrading: Option<oneshot::Sender<Result<Seq, UpgradeRoomError>>>,
    /// The callers who woke the room for its note, and wait until that is settled.
    pub(super) ringers: Vec<oneshot::Sender<()>>,
    /// The number of ordered commands of each session that were handled.
    pub(super) handled: HashMap<SessionId, u64>,
    /// Sessions that are to leave, with the number of ordered commands that they had sent.
    pub(super) leaving: HashMap<SessionId, u64>,
    pub(super) newest_view: NewestView,
}

/// Work that a turn leaves for the task.
pub(super) enum Moved {
    /// A session began. It is told only once the front knows it, so that it misses no signal.
    Entered { entered: Box<Entered>, outbox: Outbox, reply: oneshot::Sender<Result<Entered, Goodbye>> },
    /// A session ended.
    Left(SessionId),
    /// A session sent a signal.
    Signal(SessionId, Bytes),
    /// The machine's retention has changed to this.
    Retains(Retention),
    /// A caller waits until the counts of rejections are stored.
    TellTally(oneshot::Sender<()>),
}

impl Decider {
    /// Handles waiting commands until the room is full or the time is up, but at least one. Under a slice it stops before a command that may take
    /// long.
    pub(super) fn take_in(&mut self, waiting: &mut Waiting, until: Instant, is_sliced: bool) {
        let mut reading = self.reading();
        while let Some(command) = waiting.pop_if(|command| !is_sliced || !self.may_be_dear(command)) {
            reading.with_now(|now| self.handle(command, now));
            let present = Instant::now();
            if !self.room.is_open() || present > until {
                return;
            }
            reading = self.reading_at(present);
        }
    }

    /// Calls the room with the clocks' last reading, unless that is too old.
    pub(super) fn with_now<T>(&mut self, f: impl FnOnce(&mut reapply_sync::Room<Instance>, &mut Now<'_>) -> T) -> T {
        self.reading().with_now(|now| f(&mut self.room, now))
    }

    /// Does what is due by now.
    pub(super) fn handle_timer(&mut self) {
        // A timer that has ended must not find an older time.
        self.reading = self.clock.read(Instant::now());
        self.with_now(|room, now| room.handle_timer(now));
    }

    /// Returns the clocks' last reading, unless that is too old.
    pub(super) fn reading(&mut self) -> Reading {
        self.reading_at(Instant::now())
    }

    fn reading_at(&mut self, present: Instant) -> Reading {
        if present.duration_since(self.reading.at) > READING_LASTS {
            self.reading = self.clock.read(present);
        }
        self.reading
    }

    /// Drops sessions that a frame could not be sent to.
    pub(super) fn drop_unreachable(&mut self, sessions: Vec<SessionId>) {
        for session in sessions {
            self.with_now(|room, now| room.handle_unreachable(session, now));
        }
    }

    /// Returns the effects that the room asks for now.
    pub(super) fn poll(&mut self) -> VecDeque<Effect> {
        self.with_now(reapply_sync::Room::poll_effects)
    }

    /// Returns whether a command costs the machine time in proportion to its state.
    fn may_be_dear(&self, command: &Command) -> bool {
        matches!(command, Command::View { .. }) && self.kept_view().is_none()
    }

    fn kept_view(&self) -> Option<View> {
        self.newest_view.at(self.room.sequencer().history().head())
    }

    fn handle(&mut self, command: Command, now: &mut Now<'_>) {
        match command {
            Command::Submit { session, number, transition, space } => {
                self.room.handle_submit(session, number, transition, now);
                drop(space);
                self.note_handled(session, now);
            }
            Command::Enter { hello, participant, outbox, reply } => {
                let session = (self.next_session)();
                let entered = self.room.handle_enter(session, &hello, participant, now);
                match entered {
                    Ok(entered) => self.moved.push(Moved::Entered { entered: Box::new(entered), outbox, reply }),
                    Err(goodbye) => drop(reply.send(Err(goodbye))),
                }
            }
            Command::Resync { session, hello, reply } => {
                let welcomed = self.room.handle_resync(session, &hello, now);
                // A session that the room has ended gets no reply, but the room's goodbye.
                if welcomed.is_some() || self.room.participant(session).is_some() {
                    let _session_gone = reply.send(welcomed);
                }
                self.note_handled(session, now);
            }
            Command::Signal { session, body } => self.moved.push(Moved::Signal(session, body)),
            Command::Diverged { session, seq, ours } => {
                let participant = self.room.participant(session);
                let digest = self.room.sequencer().digest();
                let ours = ours.map(tracing::field::display);
                warn!(room = %self.id, %digest, %seq, ours, ?participant, "a replica diverged; it heals from a snapshot");
            }
            Command::Followed { session, upgrade } => {
                self.room.handle_followed(session, upgrade);
                self.note_handled(session, now);
            }
            Command::Leave { session, handed } => {
                if self.handled.get(&session).copied().unwrap_or_default() >= handed {
                    self.leave(session, now);
                } else {
                    self.leaving.insert(session, handed);
                }
            }
            Command::SubmitOnce { submit, unreadable, space, reply } => {
                self.submit_once(submit, unreadable, reply, now);
                drop(space);
            }
            Command::Upgrade(upgrade) => {
                let Upgrade { instance, digest, reply } = *upgrade;
                match self.room.handle_upgrade(instance, digest, now) {
                    Ok(()) => self.upgrading = Some(reply),
                    Err(busy) => drop(reply.send(Err(busy.into()))),
                }
            }
            Command::View { reply } => {
                let _asker_gone = reply.send(self.view(now));
            }
            Command::Ring { reply } => {
                self.room.handle_ring(now);
                self.ringers.push(reply);
            }
            Command::Retain(retention) => {
                self.room.set_snapshot_policy(snapshot_policy(&retention));
                self.moved.push(Moved::Retains(retention));
            }
            Command::TellTally { reply } => self.moved.push(Moved::TellTally(reply)),
            Command::MakeSpace => self.room.handle_memory_needed(now),
            Command::Stop => self.room.handle_stop(),
        }
    }

    fn submit_once(
        &mut self,
        submit: SubmitOnce,
        unreadable: Option<Box<Rejection>>,
        reply: oneshot::Sender<Verdict>,
        now: &mut Now<'_>,
    ) {
        self.askers_made += 1;
        let asker = Asker(self.askers_made);
        self.askers.insert(asker, reply);
        match unreadable {
            None => self.room.handle_submit_once(asker, submit, now),
            Some(why) => self.room.handle_unreadable_once(asker, submit, *why, now),
        }
    }

    /// Notes that one more of a session's ordered commands was handled. A session that is to leave ends once all are.
    fn note_handled(&mut self, session: SessionId, now: &mut Now<'_>) {
        let handled = self.handled.entry(session).or_default();
        *handled += 1;
        if self.leaving.get(&session).is_some_and(|handed| *handed <= *handled) {
            self.leave(session, now);
        }
    }

    fn leave(&mut self, session: SessionId, now: &mut Now<'_>) {
        self.handled.remove(&session);
        self.leaving.remove(&session);
        self.moved.push(Moved::Left(session));
        self.room.handle_leave(session, now);
    }

    fn view(&mut self, now: &Now<'_>) -> Result<View, Fault> {
        if let Some(view) = self.kept_view() {
            self.room.handle_use(now);
            return Ok(view);
        }
        // Frees the memory of the former view for this one.
        self.newest_view.forget();
        let json = view::json(self.room.show(|machine, state| machine.view(state), now)?)?;
        let sequencer = self.room.sequencer();
        let (seq, time) = (sequencer.history().head(), sequencer.durable_time());
        let view = View { seq, time, digest: sequencer.digest(), json };
        self.newest_view.keep(&view);
        Ok(view)
    }
}

pub(super) fn snapshot_policy(retention: &Retention) -> SnapshotPolicy {
    SnapshotPolicy { events: retention.snapshot_events, bytes: retention.snapshot_bytes }
}
