//! The task of a room that is awake: hands commands to the pure [`Room`](reapply_sync::Room), and performs its effects in order.
//!
//! ```text
//!   sessions, requests ─▶ Waiting ─▶ Task, on a shared thread ◀── effects ──┐
//!                                     │ a turn that is likely to be cheap   │
//!                                     ├────────── under a slice ──────────▶ Decider: the pure Room and its machine
//!                                     ├─ any other: on a thread of the pool ─▶ │
//!                                     └─ meanwhile ─▶ Front: signals, a view that is made
//! ```
//!
//! One turn hands in everything that is waiting, then performs the effects. So under load commands share journal records and wake-ups, and an
//! idle room answers a single transition at once. No turn takes longer on a shared thread than [`TURN_MAX`] and one slice: expensive work, and work
//! that a slice interrupts, is done on a thread of the pool. Meanwhile sessions read on, and the front handles commands that do not need the decider.

mod clock;
mod decider;
mod effects;
mod front;
mod in_flight;
mod memory;
mod tally;
mod trial;
mod waiting;

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reapply_journal::Journal;
use reapply_machine::Lane;
use reapply_machine::limits::FUEL_PER_SLICE;
use reapply_sync::room::{Step, Waking};
use reapply_sync::{RoomId, SessionId};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Sleep;

use self::clock::Clock;
use self::decider::{Decider, Moved, snapshot_policy};
use self::front::Front;
use self::in_flight::{InFlight, appended};
use self::trial::{Trial, tried};
use self::waiting::{Inboxes, Waiting};
use super::limits::{QUICK_STATE_BYTES_MAX, QUICK_TURNS_MAX, ROOM_CONTROLS_MAX, SLOW_TURN_MAX, TURN_MAX};
use super::memory::{RoomsMemory, Share};
use super::open::Opened;
use super::room::{News, Room};
use super::submits::Submits;
use super::tally::Tally;
use super::trims::TrimQueue;
use super::troubles::Troubles;
use super::view::{NewestView, ViewMemory};
use crate::machines::Machines;

/// The parts of the host that the tasks of all rooms share.
#[derive(Clone)]
pub(super) struct RoomContext {
    pub(super) journal: Arc<dyn Journal>,
    /// The builds that rooms run, and the threads that they run on.
    pub(super) machines: Machines,
    pub(super) view_memory: ViewMemory,
    /// The memory for all rooms.
    pub(super) memory: RoomsMemory,
    pub(super) sleep_after: Duration,
    pub(super) trims: Arc<TrimQueue>,
    pub(super) troubles: Arc<Troubles>,
    /// Notified when a room with an alarm falls asleep.
    pub(super) alarms_changed: Arc<Notify>,
    /// Notified when a room has ended and somebody is still present in its log.
    pub(super) abandoned: Arc<Notify>,
}

/// Starts the task of a room that was just opened. `is_used` is whether somebody uses the room, or it was woken for its alarm alone.
pub(super) fn start(
    id: RoomId,
    opened: Opened,
    share: Share,
    is_used: bool,
    context: RoomContext,
    next_session: impl Fn() -> SessionId + Send + 'static,
) -> (Room, impl Future<Output = ()>) {
    let Opened { mut sequencer, noted, retention, .. } = opened;
    sequencer.set_snapshot_policy(snapshot_policy(&retention));
    let (submits, submits_inbox) = Submits::new(context.memory.budget().clone());
    let (controls, controls_inbox) = mpsc::channel(ROOM_CONTROLS_MAX);
    share.open(controls.clone());
    let history = Arc::clone(sequencer.history());
    let front_history = Arc::clone(&history);
    let newest_view = NewestView::new(context.view_memory.clone());
    let (news, news_receiver) = watch::channel(News { head: history.head(), ..News::default() });
    let tally = Arc::<Tally>::default();
    let room = Room { submits, controls, history, news: news_receiver, tally: Arc::clone(&tally) };
    let sleep_after_micros = u64::try_from(context.sleep_after.as_micros()).unwrap_or(u64::MAX);
    let waking = Waking { noted, is_used, sleep_after_micros };
    let clock = Clock::start();
    let reading = clock.read(Instant::now());
    // Participants who were present leave now, and the machine may handle that.
    sequencer.set_slice(Some(FUEL_PER_SLICE));
    let decider = Decider {
        id: id.clone(),
        room: reading.with_now(|now| reapply_sync::Room::new(sequencer, waking, now)),
        clock,
        reading,
        next_session: Box::new(next_session),
        moved: Vec::new(),
        askers: HashMap::new(),
        askers_made: 0,
        upgrading: None,
        ringers: Vec::new(),
        handled: HashMap::new(),
        leaving: HashMap::new(),
        newest_view: newest_view.clone(),
    };
    let task = Task {
        id,
        decider: Arc::new(Mutex::new(decider)),
        clock,
        context,
        inboxes: Inboxes { controls: controls_inbox, submits: submits_inbox },
        waiting: Waiting::new(),
        news,
        front: Front::new(front_history, newest_view),
        unreachable: Vec::new(),
        in_flight: None,
        trial: None,
        storing: None,
        busy: Busy::new(),
        tally,
        tally_due: None,
        is_trimmed: retention.trim,
        is_failing: false,
        is_asleep: false,
        share,
    };
    (room, task.run())
}

struct Task {
    id: RoomId,
    /// The room's state. Locked by this task, or by the turn on the pool that it waits for.
    decider: Arc<Mutex<Decider>>,
    clock: Clock,
    context: RoomContext,
    inboxes: Inboxes,
    waiting: Waiting,
    news: watch::Sender<News>,
    front: Front,
    /// Sessions that a frame could not be sent to. The room is told in the next turn.
    unreachable: Vec<SessionId>,
    in_flight: Option<InFlight>,
    trial: Option<Trial>,
    /// The last snapshot, while the journal stores it.
    storing: Option<JoinHandle<()>>,
    busy: Busy,
    tally: Arc<Tally>,
    /// The time at which the counts of rejections are passed to the journal.
    tally_due: Option<Instant>,
    /// Whether the machine's retention trims the log.
    is_trimmed: bool,
    /// Whether the last append failed. A failure that lasts is logged once.
    is_failing: bool,
    is_asleep: bool,
    /// The room's share of the host's memory; last, since it is given back once the rest is.
    share: Share,
}

impl Task {
    async fn run(mut self) {
        let mut timer = Box::pin(tokio::time::sleep(self.context.sleep_after));
        let mut is_timers_turn = true;
        self.perform_effects().await;
        while !self.is_asleep {
            let is_open = self.look_up(&mut timer);
            if is_open {
                self.waiting.fill(&mut self.inboxes);
            }
            let has_commands = is_open && !self.waiting.is_empty();
            tokio::select! {
                biased;
                appended = appended(&mut self.in_flight) => self.handle_appended(appended).await,
                tried = tried(&mut self.trial) => self.handle_tried(tried),
                // Alternates with commands, so that neither keeps the other waiting forever.
                () = timer.as_mut(), if is_timers_turn || !has_commands => {
                    is_timers_turn = false;
                    self.turn(Step::HandIn, Decider::handle_timer).await;
                    self.tell_tally_if_due();
                }
                () = std::future::ready(()), if has_commands => {
                    is_timers_turn = true;
                    self.handle_commands().await;
                }
                control = self.inboxes.controls.recv(), if is_open => {
                    self.hand_in(control, Waiting::push_control).await;
                }
                submit = self.inboxes.submits.recv(), if is_open => {
                    self.hand_in(submit, Waiting::push_submit).await;
                }
            }
            self.perform_effects().await;
        }
    }

    /// Sets the timer to when this room has something to do even without a command: never far away, since the wall clock may be set. Notes the
    /// room's memory. Returns whether the room is open.
    fn look_up(&mut self, timer: &mut Pin<Box<Sleep>>) -> bool {
        let mut decider = self.decider();
        let room_wakes_at = decider.with_now(|room, now| room.wake_at(now));
        let (latest, is_open) = (decider.reading.at, decider.room.is_open());
        drop(decider);
        let room_wakes_at = room_wakes_at.map(|ticks| self.clock.instant(ticks));
        let latest = latest + self.context.sleep_after;
        set(timer, [room_wakes_at, self.tally_due].into_iter().flatten().fold(latest, Instant::min));
        self.note_memory();
        is_open
    }

    /// Handles a command, and those behind it. `None` means that nobody holds a handle to this room any more.
    async fn hand_in<T>(&mut self, command: Option<T>, push: fn(&mut Waiting, T)) {
        let Some(command) = command else { return self.decider().room.handle_stop() };
        push(&mut self.waiting, command);
        self.waiting.fill(&mut self.inboxes);
        self.handle_commands().await;
    }

    /// Handles a turn's commands, and leaves the others to the next turn. Work that a shared thread has no time for goes to a thread of the pool, but
    /// not all of it at once, since this room must also store and send its results.
    async fn handle_commands(&mut self) {
        let mut waiting = std::mem::replace(&mut self.waiting, Waiting::new());
        let is_done = {
            let mut decider = self.decider();
            if !decider.room.may_be_dear(Step::HandIn) {
                decider.take_in(&mut waiting, Instant::now() + TURN_MAX, true);
            }
            waiting.is_empty() || !decider.room.is_open()
        };
        if !is_done {
            // Signals that were taken in are passed on before later ones, and newcomers need not wait for the turn.
            self.note_moved();
            self.let_front_handle(&mut waiting);
            let turn = move |decider: &mut Decider| {
                decider.take_in(&mut waiting, Instant::now() + SLOW_TURN_MAX, false);
                waiting
            };
            waiting = self.turn_on_pool(turn).await;
            waiting.append(std::mem::replace(&mut self.waiting, Waiting::new()));
        }
        self.waiting = waiting;
        self.note_moved();
    }

    /// Makes one step of the room: here if it is likely to be short, otherwise on a thread of the pool.
    async fn turn<T: Send + 'static>(
        &mut self,
        step: Step,
        turn: impl FnOnce(&mut Decider) -> T + Send + 'static,
    ) -> T {
        let made_here = {
            let mut decider = self.decider();
            if decider.room.may_be_dear(step) { Err(turn) } else { Ok(turn(&mut decider)) }
        };
        match made_here {
            Ok(done) => done,
            Err(turn) => self.turn_on_pool(turn).await,
        }
    }

    async fn turn_on_pool<T: Send + 'static>(&mut self, turn: impl FnOnce(&mut Decider) -> T + Send + 'static) -> T {
        let lane = self.lane();
        let decider = Arc::clone(&self.decider);
        let turn = move || {
            let mut decider = decider.lock().unwrap_or_else(PoisonError::into_inner);
            let began = Instant::now();
            decider.room.set_slice(None);
            decider.room.handle_lost();
            let done = turn(&mut decider);
            decider.room.set_slice(Some(FUEL_PER_SLICE));
            (done, began.elapsed())
        };
        if self.waiting.has_signal() {
            self.front.keep_signals(true);
        }
        let pool = self.context.machines.pool().clone();
        let mut made = pin!(pool.run(lane, turn));
        let (done, elapsed) = loop {
            tokio::select! {
                biased;
                made = made.as_mut() => break made,
                Some(control) = self.inboxes.controls.recv(), if self.waiting.has_space() => {
                    if let Some(control) = self.front.handle(control) {
                        self.waiting.push_control(control);
                    }
                }
            }
        };
        self.busy.note(elapsed);
        self.front.keep_signals(false);
        if self.front.take_used() {
            self.decider().with_now(|room, now| room.handle_use(now));
        }
        done
    }

    /// Hands the front waiting commands that do not need the decider, as far as a shared thread has time for them.
    fn let_front_handle(&mut self, waiting: &mut Waiting) {
        waiting.hand_controls(Instant::now() + TURN_MAX, |command| self.front.handle(command));
        self.front.keep_signals(waiting.has_signal());
    }

    fn lane(&mut self) -> Lane {
        let is_busy = self.busy.lately() > QUICK_TURNS_MAX;
        let decider = self.decider();
        let state_bytes = decider.room.sequencer().history().base().state.len();
        if is_busy || decider.room.is_lost() || state_bytes > QUICK_STATE_BYTES_MAX { Lane::Slow } else { Lane::Quick }
    }

    /// Locks the decider. Must not be called while a turn is on the pool.
    fn decider(&self) -> MutexGuard<'_, Decider> {
        self.decider.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the sessions that began and ended, and does the work that a turn left for this task.
    fn note_moved(&mut self) {
        let moved = std::mem::take(&mut self.decider().moved);
        for moved in moved {
            match moved {
                Moved::Entered { entered, outbox, reply } => {
                    let (session, participant) = (entered.welcome.session, entered.welcome.participant.clone());
                    self.front.enter(session, participant, outbox);
                    if reply.send(Ok(*entered)).is_err() {
                        self.front.remove(session);
                        self.unreachable.push(session);
                    }
                }
                Moved::Left(session) => drop(self.front.remove(session)),
                Moved::Signal(session, body) => self.front.pass_signal(session, body),
                Moved::Retains(retention) => self.is_trimmed = retention.trim,
                Moved::TellTally(reply) => self.tell_tally(Some(reply)),
            }
        }
    }
}

/// The recent time of a room's turns on the pool. Time counts half after each second.
struct Busy {
    micros: u64,
    upto: Instant,
}

impl Busy {
    fn new() -> Self {
        Self { micros: 0, upto: Instant::now() }
    }

    fn note(&mut self, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.micros = self.micros.saturating_add(micros);
    }

    fn lately(&mut self) -> Duration {
        let seconds = self.upto.elapsed().as_secs();
        if seconds > 0 {
            self.upto = Instant::now();
            self.micros = self.micros.checked_shr(u32::try_from(seconds).unwrap_or(u32::MAX)).unwrap_or_default();
        }
        Duration::from_micros(self.micros)
    }
}

fn set(timer: &mut Pin<Box<Sleep>>, wake_at: Instant) {
    let deadline = tokio::time::Instant::from_std(wake_at);
    // Each turn of a busy room would move the timer a little. An early wake-up costs less.
    if deadline < timer.deadline() || timer.is_elapsed() {
        timer.as_mut().reset(deadline);
    }
}
