//! The task that a waking room is: takes commands in, lets the sequencer decide, and hands batches to the journal.
//!
//! One turn handles everything that is waiting, then pumps once. So under load the work shares its journal records and its
//! wake-ups, and an idle room answers a lone transition at once.

mod alarm;
mod storing;
mod tally;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reapply_sync::{
    Author, Batch, ClientId, Goodbye, Hello, Number, Report, RoomId, Seq, Sequencer, ServerMessage, SessionId, Signal,
    SnapshotPolicy, Submit,
};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Sleep;
use tracing::{debug, error, info, warn};

use self::alarm::AlarmNote;
use self::storing::appended;
use super::limits::{PRESENCE_INTERVAL, ROOM_INBOX_MAX, ROOM_SESSIONS_MAX, SLOW_TURN_MAX, TURN_MAX};
use super::open::Opened;
use super::room::{Command, Entered, News, Outbox, Room, SubmitOnce, Upgrade, Verdict, View};
use super::sessions::{Session, Sessions};
use super::tally::Tally;
use super::trim::TrimQueue;
use super::upgrade::UpgradeRoomError;
use crate::clock;
use crate::journal::{Appending, Journal, Retention};
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
    let Surroundings { journal, sleep_after, trims, alarms_changed } = surroundings;
    sequencer.set_snapshot_policy(snapshot_policy(&retention));
    let (commands, inbox) = mpsc::channel(ROOM_INBOX_MAX);
    let history = Arc::clone(sequencer.history());
    let (news, news_receiver) = watch::channel(News { head: history.head(), ..News::default() });
    let tally = Arc::<Tally>::default();
    let room = Room { commands, history, news: news_receiver, tally: Arc::clone(&tally) };
    let task = Task {
        id,
        sequencer,
        journal,
        sleep_after,
        next_session: Box::new(next_session),
        inbox,
        news,
        sessions: Sessions::default(),
        waiting: HashMap::new(),
        in_flight: None,
        upgrade: None,
        upgrading: None,
        presence_due: None,
        alarm: AlarmNote::new(noted_alarm),
        alarms_changed,
        tally,
        tally_due: None,
        trims,
        is_trimmed: retention.trim,
        last_used: is_used.then(Instant::now),
        is_letting_go: false,
        failing_until: None,
        stopping: false,
    };
    (room, task.run())
}

struct Task {
    id: RoomId,
    sequencer: Sequencer<Instance>,
    journal: Arc<dyn Journal>,
    sleep_after: Duration,
    next_session: Box<dyn Fn() -> SessionId + Send>,
    inbox: mpsc::Receiver<Command>,
    news: watch::Sender<News>,
    sessions: Sessions,
    /// Who waits for the verdict on a transition that came over HTTP.
    waiting: HashMap<(ClientId, Number), Vec<oneshot::Sender<Verdict>>>,
    in_flight: Option<(Arc<Batch>, Appending)>,
    /// A build that takes over as soon as the room is at rest; nothing more is taken in until then.
    upgrade: Option<Upgrade>,
    /// Who waits for the upgrade that is being stored.
    upgrading: Option<oneshot::Sender<Result<Seq, UpgradeRoomError>>>,
    /// When a changed presence is told.
    presence_due: Option<Instant>,
    alarm: AlarmNote,
    alarms_changed: Arc<Notify>,
    tally: Arc<Tally>,
    /// When the journal is told what was rejected.
    tally_due: Option<Instant>,
    trims: Arc<TrimQueue>,
    /// Whether the machine's retention has the log trimmed.
    is_trimmed: bool,
    /// `None` where the room was woken for its alarm, and nobody has used it since.
    last_used: Option<Instant>,
    /// Whether the log may hold more than this room knows: it stops, and notes nothing more.
    is_letting_go: bool,
    /// Since the journal failed last: when an alarm may try again whether it stores. A failure that lasts is logged once.
    failing_until: Option<Instant>,
    stopping: bool,
}

impl Task {
    async fn run(mut self) {
        // Whoever was there when the host went down has left: their sessions are gone.
        let present: Vec<Author> = self.sequencer.present().cloned().collect();
        self.leave_all(present);
        let mut commands = Vec::new();
        let mut timer = Box::pin(tokio::time::sleep(self.sleep_after));
        self.pump();
        self.note_alarm().await;
        while !(self.stopping && self.sequencer.is_settled()) {
            let wake_at = self.wake_at();
            set(&mut timer, wake_at);
            let is_open = self.is_open();
            tokio::select! {
                biased;
                appended = appended(&mut self.in_flight) => self.handle_appended(appended),
                () = std::future::ready(()), if is_open && !commands.is_empty() => self.handle_commands(&mut commands),
                count = self.inbox.recv_many(&mut commands, ROOM_INBOX_MAX), if is_open && commands.is_empty() => {
                    self.stopping |= count == 0;
                    self.handle_commands(&mut commands);
                }
                () = timer.as_mut() => self.handle_timer(),
            }
            self.pump();
            self.note_alarm().await;
        }
        self.end().await;
    }

    /// When this room has something to do though nothing comes in.
    fn wake_at(&mut self) -> Instant {
        let now = Instant::now();
        let mut wake_at = self.presence_due.unwrap_or(now + self.sleep_after);
        if self.is_idle() && !self.is_alarm_near() {
            wake_at = wake_at.min(self.last_used.map_or(now, |last_used| last_used + self.sleep_after));
        }
        let others = [self.alarm_wake_at(now), self.tally_due];
        others.into_iter().flatten().fold(wake_at, Instant::min)
    }

    fn is_idle(&self) -> bool {
        self.sessions.len() == 0 && self.waiting.is_empty() && self.sequencer.is_settled()
    }

    fn handle_timer(&mut self) {
        self.handle_alarm();
        self.tell_tally_if_due();
        if self.presence_due.is_some_and(|due| due <= Instant::now()) {
            self.presence_due = None;
            // Leaving may have failed with the journal; then it is told now.
            self.absent_leave();
            let presence = self.sessions.presence();
            let participants = self.sessions.participants();
            self.news.send_modify(|news| {
                news.participants = participants;
                news.presence_version += 1;
                news.presence = presence;
            });
        }
        let is_unused =
            self.is_idle() && self.last_used.is_none_or(|last_used| last_used.elapsed() >= self.sleep_after);
        if is_unused && !self.is_alarm_near() && self.inbox.is_empty() {
            self.stopping = true;
        }
    }

    /// Whether more may be taken in.
    fn is_open(&self) -> bool {
        !self.sequencer.is_full() && self.upgrade.is_none() && !self.stopping
    }

    /// Handles a turn's commands, and leaves those that are for the next one. A machine that is slow must not hold up the thread that
    /// other rooms and sockets share, nor what this room has to store and to tell.
    fn handle_commands(&mut self, commands: &mut Vec<Command>) {
        let turn_began = Instant::now();
        if commands.iter().any(Command::is_use) {
            self.last_used = Some(turn_began);
        }
        commands.reverse();
        self.take_in(commands, turn_began + TURN_MAX);
        if !commands.is_empty() && self.is_open() {
            tokio::task::block_in_place(|| self.take_in(commands, turn_began + SLOW_TURN_MAX));
        }
        commands.reverse();
    }

    /// Handles commands, the last one first, until the room is full, or the time has come; one of them at least.
    fn take_in(&mut self, commands: &mut Vec<Command>, until: Instant) {
        while let Some(command) = commands.pop() {
            self.handle(command);
            if !self.is_open() || Instant::now() > until {
                return;
            }
        }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Submit { session, number, transition } => self.submit(session, number, transition),
            Command::Enter { hello, participant, outbox, reply } => {
                let entered = self.enter(hello, participant, outbox);
                if let Err(Ok(entered)) = reply.send(entered) {
                    self.leave(entered.welcome.session);
                }
            }
            Command::Resync { session, hello, reply } => {
                if let Some(participant) = self.sessions.get(session).map(|session| session.participant.clone()) {
                    self.sessions.set_upgraded(session, self.sequencer.upgraded());
                    let _session_gone = reply.send(self.welcome(session, &hello, participant));
                }
            }
            Command::Signal { session, body } => self.signal(session, body),
            Command::Diverged { session, seq, ours } => {
                let participant = self.sessions.get(session).map(|session| &session.participant);
                let digest = self.sequencer.digest();
                let ours = ours.map(tracing::field::display);
                warn!(room = %self.id, %digest, %seq, ours, ?participant, "a replica diverged; it heals from a snapshot");
            }
            Command::Followed { session, upgrade } => self.sessions.set_upgraded(session, upgrade),
            Command::Leave { session } => self.leave(session),
            Command::SubmitOnce { submit, reply } => self.submit_once(submit, reply),
            Command::Upgrade(upgrade) if self.upgrade.is_none() => self.upgrade = Some(upgrade),
            Command::Upgrade(upgrade) => drop(upgrade.reply.send(Err(UpgradeRoomError::Busy))),
            Command::View { reply } => {
                let _asker_gone = reply.send(self.view());
            }
            Command::Ring { reply } => self.ring(reply),
            Command::TellTally { reply } => self.tell_tally(Some(reply)),
            Command::Retain(retention) => {
                self.sequencer.set_snapshot_policy(snapshot_policy(&retention));
                self.is_trimmed = retention.trim;
            }
            Command::Stop => self.stopping = true,
        }
    }

    fn enter(&mut self, hello: Hello, participant: Author, outbox: Outbox) -> Result<Entered, Goodbye> {
        if self.sequencer.is_broken() {
            return Err(Goodbye::RoomFailed("its last good state could not be made again".to_owned()));
        }
        if self.sessions.len() >= ROOM_SESSIONS_MAX {
            return Err(Goodbye::Full(format!("the room has {ROOM_SESSIONS_MAX} sessions, which is its limit")));
        }
        let session = (self.next_session)();
        let (client, upgraded) = (hello.key.client_id(), self.sequencer.upgraded());
        let is_first =
            self.sessions.insert(session, Session { participant: participant.clone(), client, upgraded, outbox });
        if is_first {
            self.sequencer.handle_joined(participant.clone(), clock::now(), rand::random());
        }
        self.presence_changed();
        Ok(self.welcome(session, &hello, participant))
    }

    fn welcome(&mut self, session: SessionId, hello: &Hello, participant: Author) -> Entered {
        let (welcome, after) = self.sequencer.welcome(hello, session, participant, clock::now());
        Entered { welcome, after }
    }

    fn submit(&mut self, session: SessionId, number: Number, transition: bytes::Bytes) {
        // A session that was ended may still have had frames under way; its client sends them again in its next one.
        let Some(session) = self.sessions.get(session) else { return };
        let Session { participant, client, upgraded, .. } = session;
        let (author, client, upgraded) = (participant.clone(), *client, *upgraded);
        let submit = Submit { author, client, number, upgraded, transition };
        self.sequencer.handle_submit(submit, clock::now(), rand::random());
    }

    fn submit_once(&mut self, submit: SubmitOnce, reply: oneshot::Sender<Verdict>) {
        let SubmitOnce { author, client, number, digest, transition } = submit;
        if digest != self.sequencer.digest() {
            let _asker_gone = reply.send(Verdict::Upgraded);
            return;
        }
        self.waiting.entry((client, number)).or_default().push(reply);
        let submit = Submit { author, client, number, upgraded: self.sequencer.upgraded(), transition };
        self.sequencer.handle_submit(submit, clock::now(), rand::random());
    }

    fn signal(&mut self, id: SessionId, body: bytes::Bytes) {
        let Some(session) = self.sessions.get(id) else { return };
        let signal = Signal { participant: session.participant.clone(), session: id, body };
        self.sessions.offer_all(id, &ServerMessage::Signals(vec![signal]).encode());
    }

    fn leave(&mut self, session: SessionId) {
        let left = self.sessions.remove(session);
        self.presence_changed();
        self.leave_all(left);
    }

    fn leave_all(&mut self, participants: impl IntoIterator<Item = Author>) {
        for participant in participants {
            self.sequencer.handle_left(participant, clock::now(), rand::random());
        }
    }

    /// Whoever is held for present and has no session has left.
    fn absent_leave(&mut self) {
        let absent: Vec<_> = self.sequencer.present().filter(|author| !self.sessions.has(author)).cloned().collect();
        self.leave_all(absent);
    }

    fn presence_changed(&mut self) {
        self.presence_due.get_or_insert(Instant::now() + PRESENCE_INTERVAL);
    }

    fn view(&mut self) -> Result<View, reapply_sync::Fault> {
        let seq = self.sequencer.history().head();
        let (machine, state) = self.sequencer.durable();
        let viewed = machine.view(state);
        if let Err(fault) = &viewed {
            self.sequencer.handle_fault("view", fault.clone());
        }
        let (time, digest) = (self.sequencer.durable_time(), self.sequencer.digest());
        Ok(View { seq, time, digest, json: viewed? })
    }

    fn end_sessions(&mut self, why: &Goodbye) {
        let left = self.sessions.end_all(why);
        self.leave_all(left);
    }

    fn report(&mut self, report: &Report) {
        match report {
            Report::Broken(_) => {
                error!(room = %self.id, "{report}");
                self.end_sessions(&Goodbye::RoomFailed("its last good state could not be made again".to_owned()));
                self.stopping = true;
            }
            Report::AlarmFailed { alarm, why } => self.report_alarm(alarm, why),
            _ => warn!(room = %self.id, "{report}"),
        }
    }

    /// The room goes to sleep, or the host stops.
    async fn end(mut self) {
        self.inbox.close();
        self.sessions.end_all(&Goodbye::ShuttingDown);
        if !self.sequencer.is_broken() {
            self.sequencer.take_snapshot();
        }
        if let Some(snapshot) = self.sequencer.poll_snapshot()
            && let Err(why) = self.journal.put_snapshot(&self.id, (*snapshot).clone()).await
        {
            info!(room = %self.id, %why, "no snapshot was stored before sleep; waking will replay the log");
        }
        self.tell_tally_for_sleep().await;
        if self.note_alarm_for_sleep().await {
            self.alarms_changed.notify_one();
        }
        debug!(room = %self.id, participants = self.sessions.participants(), "the room is asleep");
    }
}

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
