//! One seeded run: clients, connections, a host that crashes, and a clock that only the simulation moves.

mod arrivals;
mod browser;
mod clients;
mod end;
mod host;
mod once;
mod opening;
mod operator;
mod page;
mod pages;
mod signal_book;
mod signals;
mod stranger;
mod strangers;
mod task;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use reapply_client_core::{Driver, Status};
use reapply_sync::room::Note;
use reapply_sync::{Batch, ClientId, Number, Snapshot, Timestamp};

use self::browser::Browser;
use self::page::{Page, Tab};
use self::signal_book::SignalBook;
use self::stranger::Strangers;
use self::task::{Task, Waiting};
use crate::auditor::Auditor;
use crate::build::Build;
use crate::conditions::Conditions;
use crate::coverage::Coverage;
use crate::faults::{Faults, Ledger};
use crate::journal::Journal;
use crate::network::Connection;
use crate::random::Random;
use crate::room::Shell;
use crate::scenario::Scenario;

/// Maximum number of tasks in a run of the usual length.
const TASKS_MAX: u64 = 200_000;

/// The number of browsers. The tabs of a browser share its storage.
const BROWSERS: usize = 3;

/// The tab whose application has chosen its key.
const GIVEN_TAB: usize = 6;

struct World<S: Scenario> {
    scenario: S,
    random: Random,
    now: u64,
    /// The length of this run, as a multiple of the usual length.
    length: u64,
    tasks: BTreeMap<(u64, u64), Task>,
    tasks_made: u64,
    journal: Journal,
    ledger: Ledger,
    signals: SignalBook,
    strangers: Strangers,
    auditor: Auditor<S>,
    /// The room, while it is awake.
    room: Option<Shell<Build<S::Machine>>>,
    /// Whether the host's process is gone.
    is_down: bool,
    in_flight: Option<(Arc<Batch>, Note)>,
    /// The snapshot that is on trial.
    on_trial: Option<Arc<Snapshot>>,
    inbox: VecDeque<Waiting>,
    /// The number of times that the host has started.
    host: u64,
    timer_scheduled: Option<u64>,
    /// The time for which a room that nobody uses stays awake.
    sleep_after: u64,
    /// The alarm for which the room was last woken.
    rung_for: Option<Timestamp>,
    /// Whether somebody who woke the room for its alarm still waits.
    is_rung: bool,
    /// Whether somebody waits for an upgrade.
    is_upgrading: bool,
    /// The alarm that the journal was asked to note at rest, until all reports about that alarm were read.
    noted_at_rest: Option<Option<Timestamp>>,
    /// The alarm that has failed since something was last stored.
    alarm_failed: Option<Timestamp>,
    /// Whether the journal may lack the last note.
    is_note_uncertain: bool,
    /// The time when an append last failed, unless one has succeeded since.
    failed_at: Option<u64>,
    tabs: Vec<Tab>,
    browsers: Vec<Browser>,
    /// All pages of the run, including couriers and pages that are gone.
    pages: Vec<Page<S::Machine>>,
    /// The number of times that each client was taken on by another page.
    lives: BTreeMap<ClientId, u64>,
    /// The time after which a live page asks for no more signs of life, and a room whose snapshot is too large does not try again, so that the
    /// run comes to rest.
    heartbeats_until: u64,
    connections: Vec<Connection>,
    nonces: u64,
    conditions: Conditions,
    /// The last number of the client that submits without a session, with a key.
    last_once: Number,
    is_calm: bool,
    append_failures_percent: u64,
    pads_percent: u64,
    coverage: Coverage,
}

/// Runs one seed, and panics if anything is wrong. Returns the counts of the situations that the run came across, by name.
pub(crate) fn run<S: Scenario>(seed: u64) -> Vec<(&'static str, u64)> {
    let mut world = World::<S>::new(seed);
    world.run_until_quiet();
    world.calm_down();
    world.run_until_quiet();
    world.checkpoint();
    world.run_until_quiet();
    world.check_end();
    let mut counts = S::check(&world.auditor.history(), world.auditor.models());
    world.coverage.alarms = world.auditor.alarms();
    world.coverage.left = world.auditor.left();
    world.coverage.upgrades = world.auditor.upgrades();
    world.coverage.forgotten = u64::from(world.auditor.has_forgotten());
    world.coverage.verdicts = world.auditor.verdicts;
    world.coverage.signals = (world.signals.given_out, world.signals.received);
    world.coverage.outcomes = world.auditor.counts;
    let last_room = world.room.map(|room| room.counts).unwrap_or_default();
    world.coverage.room.add(&last_room);
    counts.extend(world.coverage.counts());
    counts
}

impl<S: Scenario> World<S> {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let scenario = S::new(&mut random);
        let conditions = Conditions::new(&mut random);
        let faults = Faults::new(conditions.host_faults, conditions.bloats, &mut random);
        let journal = Journal::new(S::NAME, random.bits(), &conditions, faults);
        let mut world = Self {
            scenario,
            now: 1_000_000,
            length: 1,
            tasks: BTreeMap::new(),
            tasks_made: 0,
            ledger: Ledger::default(),
            signals: SignalBook::default(),
            strangers: Strangers::default(),
            auditor: Auditor::new(),
            room: None,
            is_down: true,
            in_flight: None,
            on_trial: None,
            inbox: VecDeque::new(),
            host: 0,
            timer_scheduled: None,
            sleep_after: if random.percent(50) { 60_000_000 } else { random.below(1_000_000) },
            rung_for: None,
            is_rung: false,
            is_upgrading: false,
            noted_at_rest: None,
            alarm_failed: None,
            is_note_uncertain: false,
            failed_at: None,
            tabs: Vec::new(),
            browsers: (0..BROWSERS).map(|_| Browser::default()).collect(),
            pages: Vec::new(),
            lives: BTreeMap::new(),
            heartbeats_until: 0,
            connections: Vec::new(),
            nonces: 0,
            last_once: Number(0),
            is_calm: false,
            append_failures_percent: if random.percent(50) { 0 } else { random.below(30) },
            pads_percent: if random.percent(50) { 5 } else { 60 },
            coverage: Coverage::default(),
            journal,
            conditions,
            random,
        };
        world.start_host();
        for tab in 0..world.conditions.clients {
            world.add_tab(tab);
        }
        world.schedule_all();
        world
    }

    fn add_tab(&mut self, tab: usize) {
        self.tabs.push(Tab {
            browser: tab % BROWSERS,
            kept_key: None,
            given: (tab == GIVEN_TAB).then(|| Self::given_key(tab)),
            page: None,
        });
        // Some tabs are newcomers, who find a room with a past.
        let after = if self.random.percent(20) { self.random.below(15_000_000) } else { self.random.below(100_000) };
        self.schedule(after, Task::Load { tab, page: None });
    }

    /// Schedules everything that happens by chance. A few runs are long, and very few are very long.
    fn schedule_all(&mut self) {
        let length = match self.random.below(1_000) {
            0..3 => 60,
            3..20 => 6,
            _ => 1,
        };
        self.length = length;
        let (span, clients) = (20_000_000 * length, self.conditions.clients);
        self.heartbeats_until = span;
        let once = self.conditions.submits_once + 1;
        self.schedule_some(120 * length, span, |random| Task::Act { tab: random.index(clients) });
        self.schedule_some(12 * length, span, |_| Task::Mischief);
        self.schedule_some(6 * length, span, |_| Task::ClockStep);
        self.schedule_some(4 * length, span, |_| Task::Stranger);
        self.schedule_some(20 * length, span, |_| Task::Look);
        self.schedule_some(40 * length, span, |random| Task::Signal { tab: random.index(clients) });
        self.schedule_some(once * length, span, |_| Task::SubmitOnce);
        for _ in 0..self.conditions.restores {
            let after = self.random.below(span);
            self.schedule(after, Task::RestoreBackup);
        }
    }

    /// Schedules a random number of tasks, below `end`, at random times.
    fn schedule_some(&mut self, end: u64, span: u64, mut task: impl FnMut(&mut Random) -> Task) {
        for _ in 0..self.random.below(end) {
            let (after, task) = (self.random.below(span), task(&mut self.random));
            self.schedule(after, task);
        }
    }

    fn schedule(&mut self, after: u64, task: Task) {
        self.tasks_made += 1;
        self.tasks.insert((self.now + after, self.tasks_made), task);
    }

    fn run_until_quiet(&mut self) {
        let tasks_max = self.tasks_made + TASKS_MAX * self.length;
        while let Some(((time, _), task)) = self.tasks.pop_first() {
            assert!(self.tasks_made < tasks_max, "the run does not come to rest");
            self.now = time;
            if self.is_long_over() {
                self.pages.iter().for_each(|page| page.faults.cease_to_strike());
            }
            self.perform(task);
        }
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Up { connection, frame } => self.frame_up(connection, frame),
            Task::Down { connection, frame } => self.frame_down(connection, &frame),
            Task::UpClosed { connection } => {
                if self.connections[connection].host == self.host && !self.is_down {
                    self.inbox.push_back(Waiting::Closed { connection });
                }
                self.pump_room();
            }
            Task::DownClosed { connection } => self.client_closed(connection),
            Task::Appended { host, stored } if host == self.host => self.appended(stored),
            Task::TrySnapshot { host, snapshot } if host == self.host => self.try_snapshot(&snapshot),
            Task::SnapshotStored { epoch, snapshot } if epoch == self.auditor.epoch() => {
                self.journal.snapshots.push(snapshot);
            }
            Task::Read { host, connection } if host == self.host => {
                self.with_room(|shell, _| shell.handle_read(connection));
                self.pump_room();
            }
            // A timer that an earlier one has replaced does nothing, or it would begin again forever.
            Task::Timer { host } if host == self.host && self.timer_scheduled == Some(self.now) => {
                self.timer_scheduled = None;
                self.with_room(|shell, now| shell.room.handle_timer(now));
                self.pump_room();
            }
            Task::WakeForAlarm { host } if host == self.host => self.wake_for_alarm(),
            Task::Appended { .. } | Task::Read { .. } | Task::SnapshotStored { .. } | Task::TrySnapshot { .. } => {}
            Task::Timer { .. } | Task::WakeForAlarm { .. } => {}
            Task::RestoreBackup => self.restore_backup(),
            Task::Stranger => self.stranger(),
            Task::Restart => self.start_host(),
            Task::Act { tab } => self.act(tab),
            Task::Load { tab, page } => {
                if self.tabs[tab].page == page {
                    self.load(tab);
                }
            }
            Task::Connect { page, connection } => self.connect(page, connection),
            Task::Answer { page } => self.answer(page),
            Task::Written { browser } => self.written(browser),
            Task::StoreOpens { page } => self.store_opens(page),
            Task::PageTimer { page } => self.page_timer(page),
            Task::Pump { page } => self.pump_page(page),
            Task::MachineLoaded { page, digest } => self.machine_loaded(page, digest),
            Task::Mischief => self.mischief(),
            Task::ClockStep => {
                self.coverage.clock_steps += u64::from(self.conditions.clock.step(&mut self.random));
                self.timer_scheduled = None;
                self.pump_room();
                self.wake_for_alarm_later();
            }
            Task::SubmitOnce => self.submit_once(),
            Task::Look => self.look(),
            Task::Signal { tab } => self.signal(tab),
        }
    }

    /// Returns whether everything that happens by chance was long ago. Then pages' machines do not break off any more: with a room that can take no
    /// snapshot, a page that begins again at each fault may never reach the end of the log.
    fn is_long_over(&self) -> bool {
        self.now > 2 * self.heartbeats_until
    }

    /// Ends all failures: from here on nothing fails.
    fn calm_down(&mut self) {
        self.is_calm = true;
        self.journal.faults.cease();
        self.pages.iter().for_each(|page| page.faults.cease());
        self.start_host();
        self.pump_room();
        for page in 0..self.pages.len() {
            self.pump_page(page);
        }
    }

    /// Makes the log grow until everyone has seen a checkpoint.
    fn checkpoint(&mut self) {
        let driver = self.tabs[0].page.and_then(|page| self.pages[page].driver.as_ref());
        assert_eq!(driver.map(Driver::status), Some(Status::Live), "tab 0 is not live");
        let snapshots = self.coverage.snapshots;
        while self.coverage.snapshots == snapshots {
            self.apply(0, S::ballast(30_000));
            self.run_until_quiet();
        }
    }
}
