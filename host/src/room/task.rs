//! The task that a waking room is: hands commands to the pure [`Room`](reapply_sync::Room), and performs the effects that it asks for, in order.
//!
//! One turn hands in everything that is waiting, then performs what came of it. So under load the work shares its journal records and its
//! wake-ups, and an idle room answers a lone transition at once.

mod effects;
mod tally;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reapply_sync::room::{Asker, Now, Ticks, Verdict, Waking};
use reapply_sync::{RoomId, Seq, SessionId, SnapshotPolicy};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Sleep;
use tracing::warn;

use self::effects::{InFlight, appended};
use super::limits::{ROOM_INBOX_MAX, SLOW_TURN_MAX, TURN_MAX};
use super::open::Opened;
use super::room::{Command, News, Outbox, Room, Upgrade, View};
use super::tally::Tally;
use super::trim::TrimQueue;
use super::upgrade::UpgradeRoomError;
use crate::clock;
use crate::journal::{Journal, Retention};
use crate::machine::Instance;

/// What all rooms' tasks have around them.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) sleep_after: Duration,
    pub(super) trims: Arc<TrimQueue>,
    /// Told when a room falls asleep that has an alarm.
    pub(super) alarms_changed: Arc<Notify>,
}

/// Starts the task of a room that was just opened: for its alarm alone, or because somebody uses it.
pub(super) fn start(
    id: RoomId,
    opened: Opened,
    is_used: bool,
    surroundings: Surroundings,
    next_session: impl Fn() -> SessionId + Send + 'static,
) -> (Room, impl Future<Output = ()>) {
    let Opened { mut sequencer, noted_alarm, retention } = opened;
    sequencer.set_snapshot_policy(snapshot_policy(&retention));
    let (commands, inbox) = mpsc::channel(ROOM_INBOX_MAX);
    let history = Arc::clone(sequencer.history());
    let (news, news_receiver) = watch::channel(News { head: history.head(), ..News::default() });
    let tally = Arc::<Tally>::default();
    let room = Room { commands, history, news: news_receiver, tally: Arc::clone(&tally) };
    let sleep_after_micros = u64::try_from(surroundings.sleep_after.as_micros()).unwrap_or(u64::MAX);
    let waking = Waking { noted_alarm, is_used, sleep_after_micros };
    let clock = Clock { began: Instant::now() };
    let task = Task {
        id,
        room: clock.with_now(|now| reapply_sync::Room::new(sequencer, waking, now)),
        clock,
        surroundings,
        next_session: Box::new(next_session),
        inbox,
        news,
        outboxes: HashMap::new(),
        askers: HashMap::new(),
        askers_made: 0,
        upgrading: None,
        ringers: Vec::new(),
        in_flight: None,
        tally,
        tally_due: None,
        is_trimmed: retention.trim,
        is_failing: false,
        is_asleep: false,
    };
    (room, task.run())
}

struct Task {
    id: RoomId,
    room: reapply_sync::Room<Instance>,
    clock: Clock,
    surroundings: Surroundings,
    next_session: Box<dyn Fn() -> SessionId + Send>,
    inbox: mpsc::Receiver<Command>,
    news: watch::Sender<News>,
    outboxes: HashMap<SessionId, Outbox>,
    /// Who waits for the verdict on a transition that came over HTTP.
    askers: HashMap<Asker, oneshot::Sender<Verdict>>,
    askers_made: u64,
    /// Who waits for the upgrade that was asked for.
    upgrading: Option<oneshot::Sender<Result<Seq, UpgradeRoomError>>>,
    /// Who woke the room for its alarm, and waits until that is settled.
    ringers: Vec<oneshot::Sender<()>>,
    in_flight: Option<InFlight>,
    tally: Arc<Tally>,
    /// When the journal is told what was rejected.
    tally_due: Option<Instant>,
    /// Whether the machine's retention has the log trimmed.
    is_trimmed: bool,
    /// Whether the last append failed. A failure that lasts is logged once.
    is_failing: bool,
    is_asleep: bool,
}

impl Task {
    async fn run(mut self) {
        let mut commands = Vec::new();
        let mut timer = Box::pin(tokio::time::sleep(self.surroundings.sleep_after));
        self.perform_effects().await;
        while !self.is_asleep {
            let wake_at = self.wake_at();
            set(&mut timer, wake_at);
            let is_open = self.room.is_open();
            tokio::select! {
                biased;
                appended = appended(&mut self.in_flight) => self.handle_appended(appended),
                () = std::future::ready(()), if is_open && !commands.is_empty() => self.handle_commands(&mut commands),
                count = self.inbox.recv_many(&mut commands, ROOM_INBOX_MAX), if is_open && commands.is_empty() => {
                    if count == 0 {
                        self.room.handle_stop();
                    }
                    self.handle_commands(&mut commands);
                }
                () = timer.as_mut() => {
                    self.clock.with_now(|now| self.room.handle_timer(now));
                    self.tell_tally_if_due();
                }
            }
            self.perform_effects().await;
        }
    }

    /// When this room has something to do though nothing comes in. It looks every now and then, since the wall clock may be set.
    fn wake_at(&mut self) -> Instant {
        let room_wakes_at = self.clock.with_now(|now| self.room.wake_at(now));
        let room_wakes_at = room_wakes_at.map(|ticks| self.clock.instant(ticks));
        let latest = Instant::now() + self.surroundings.sleep_after;
        [room_wakes_at, self.tally_due].into_iter().flatten().fold(latest, Instant::min)
    }

    /// Handles a turn's commands, and leaves those that are for the next one. A machine that is slow must not hold up the thread that
    /// other rooms and sockets share, nor what this room has to store and to tell.
    fn handle_commands(&mut self, commands: &mut Vec<Command>) {
        let turn_began = Instant::now();
        commands.reverse();
        self.take_in(commands, turn_began + TURN_MAX);
        if !commands.is_empty() && self.room.is_open() {
            tokio::task::block_in_place(|| self.take_in(commands, turn_began + SLOW_TURN_MAX));
        }
        commands.reverse();
    }

    /// Handles commands, the last one first, until the room is full, or the time has come; one of them at least.
    fn take_in(&mut self, commands: &mut Vec<Command>, until: Instant) {
        while let Some(command) = commands.pop() {
            self.clock.with_now(|now| self.handle(command, now));
            if !self.room.is_open() || Instant::now() > until {
                return;
            }
        }
    }

    fn handle(&mut self, command: Command, now: &mut Now<'_>) {
        match command {
            Command::Submit { session, number, transition } => {
                self.room.handle_submit(session, number, transition, now)
            }
            Command::Enter { hello, participant, outbox, reply } => {
                let session = (self.next_session)();
                let entered = self.room.handle_enter(session, &hello, participant, now);
                if entered.is_ok() {
                    self.outboxes.insert(session, outbox);
                }
                if let Err(Ok(_)) = reply.send(entered) {
                    self.leave(session, now);
                }
            }
            Command::Resync { session, hello, reply } => {
                if let Some(welcomed) = self.room.handle_resync(session, &hello, now) {
                    let _session_gone = reply.send(welcomed);
                }
            }
            Command::Signal { session, body } => self.room.handle_signal(session, body),
            Command::Diverged { session, seq, ours } => {
                let participant = self.room.participant(session);
                let digest = self.room.sequencer().digest();
                let ours = ours.map(tracing::field::display);
                warn!(room = %self.id, %digest, %seq, ours, ?participant, "a replica diverged; it heals from a snapshot");
            }
            Command::Followed { session, upgrade } => self.room.handle_followed(session, upgrade),
            Command::Leave { session } => self.leave(session, now),
            Command::SubmitOnce { submit, reply } => {
                self.askers_made += 1;
                let asker = Asker(self.askers_made);
                self.askers.insert(asker, reply);
                self.room.handle_submit_once(asker, submit, now);
            }
            Command::Upgrade(Upgrade { instance, digest, reply }) => {
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
            Command::TellTally { reply } => self.tell_tally(Some(reply)),
            Command::Retain(retention) => {
                self.room.set_snapshot_policy(snapshot_policy(&retention));
                self.is_trimmed = retention.trim;
            }
            Command::Stop => self.room.handle_stop(),
        }
    }

    fn leave(&mut self, session: SessionId, now: &mut Now<'_>) {
        self.outboxes.remove(&session);
        self.room.handle_leave(session, now);
    }

    fn view(&mut self, now: &Now<'_>) -> Result<View, reapply_sync::Fault> {
        let json = self.room.show(|machine, state| machine.view(state), now)?;
        let sequencer = self.room.sequencer();
        let (seq, time) = (sequencer.history().head(), sequencer.durable_time());
        Ok(View { seq, time, digest: sequencer.digest(), json })
    }
}

/// The clocks and the random bits of one room.
#[derive(Clone, Copy)]
struct Clock {
    began: Instant,
}

impl Clock {
    fn with_now<T>(self, f: impl FnOnce(&mut Now<'_>) -> T) -> T {
        let ticks = Ticks(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX));
        f(&mut Now { ticks, time: clock::now(), entropy: &mut rand::random })
    }

    fn instant(self, Ticks(micros): Ticks) -> Instant {
        let at = self.began.checked_add(Duration::from_micros(micros));
        at.unwrap_or(self.began + FAR_AWAY)
    }
}

/// Later than any process lives, and near enough for every system's clock.
const FAR_AWAY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

fn snapshot_policy(retention: &Retention) -> SnapshotPolicy {
    SnapshotPolicy { events: retention.snapshot_events, bytes: retention.snapshot_bytes }
}

fn set(timer: &mut Pin<Box<Sleep>>, wake_at: Instant) {
    let deadline = tokio::time::Instant::from_std(wake_at);
    // Each turn of a busy room would move it a little: an early wake-up costs less than that.
    if deadline < timer.deadline() || timer.is_elapsed() {
        timer.as_mut().reset(deadline);
    }
}
