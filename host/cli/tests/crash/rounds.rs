//! The crash loop: rounds of load, a crash, an audit of the remains, a recovery, and a check that everyone agrees.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use reapply_testing::Host;

use crate::copies::{self, Forks};
use crate::crowd::{Builds, Crowd};
use crate::points::{POINTS, Point, Reached};
use crate::power::TakenBack;
use crate::probe::Probes;
use crate::proof::Prover;
use crate::storage::Storage;
use crate::{ARGUMENTS, PROGRAM, power, seed, stored};

/// The default number of rounds.
const ROUNDS: u32 = 5;

/// The number of rounds on one data directory. Later ones start on more data, early ones on an almost empty directory.
const ROUNDS_PER_DIRECTORY: u32 = 10;

/// The longest load before a crash at any moment.
const LOAD_MAX: Duration = Duration::from_millis(1200);

/// The number of acknowledged events in a round before the host's crash point is armed.
const EVENTS_BEFORE_POINT: u64 = 100;

/// SIGABRT, with which a crash point ends the host.
const ABORTED: i32 = 6;

/// The way in which a round ends its host.
#[derive(Clone, Copy, Debug)]
enum Crash {
    AnyMoment,
    At(Point),
    /// At any moment, and with unsynced writes undone.
    PowerCut,
}

impl Crash {
    fn name(&self) -> &'static str {
        match self {
            Self::AnyMoment => "kill -9 at any moment",
            Self::At(point) => point.name,
            Self::PowerCut => "power cut at any moment",
        }
    }
}

/// The results of all rounds.
#[derive(Debug, Default)]
struct Tally {
    rounds: u32,
    crashes: BTreeMap<&'static str, u32>,
    acknowledged: u64,
    lost: usize,
    doubled: usize,
    /// The numbers of events that were applied again when rooms were proved, and of checkpoints that were compared.
    proved: (u64, u64),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_every_crash_and_is_there_once() {
    let rounds = std::env::var("REAPPLY_CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let (builds, prover) = (Builds::new(), Prover::new());
    let mut tally = Tally::default();
    let mut crashes = plan(&mut rng);
    while tally.rounds < rounds {
        let mut stage = Stage::new(&builds, &mut rng);
        let last = rounds.min(tally.rounds + ROUNDS_PER_DIRECTORY);
        while tally.rounds < last {
            let crash = crashes.next().unwrap();
            stage.round(crash, &prover, &mut rng, &mut tally).await;
        }
        stage.crowd.end().await;
    }
    println!("{tally}");
    let reached: BTreeSet<&str> = tally.crashes.keys().copied().collect();
    let missed: Vec<&str> = POINTS.iter().map(|point| point.name).filter(|name| !reached.contains(name)).collect();
    assert!(missed.is_empty() || rounds < 3 * POINTS.len() as u32, "no round crashed at {missed:?}");
}

/// Returns the crashes: in turn one at a point, one at any moment and a power cut; all points before any point again.
fn plan(rng: &mut StdRng) -> impl Iterator<Item = Crash> + use<> {
    let mut points = POINTS;
    points.shuffle(rng);
    points.into_iter().cycle().flat_map(|point| [Crash::At(point), Crash::AnyMoment, Crash::PowerCut])
}

/// A data directory, its host, and its users.
struct Stage {
    storage: Storage,
    host: Host,
    crowd: Crowd,
    probes: Probes,
    forks: Forks,
}

impl Stage {
    fn new(builds: &Builds, rng: &mut StdRng) -> Self {
        let storage = Storage::new();
        let host = Host::start_program_in(Path::new(PROGRAM), &storage.data_parent(), &ARGUMENTS, &[]);
        let crowd = Crowd::gather(&host, builds, rng);
        Self { storage, host, crowd, probes: Probes::default(), forks: Forks::default() }
    }

    async fn round(&mut self, crash: Crash, prover: &Prover, rng: &mut StdRng, tally: &mut Tally) {
        let began = Instant::now();
        let acknowledged_before = self.crowd.ledger.acknowledged();
        self.crowd.press();
        let how = match crash {
            Crash::AnyMoment => self.crash_at_any_moment(rng).await,
            Crash::At(point) => self.crash_at(point, rng).await,
            Crash::PowerCut => self.cut_power(rng).await,
        };
        let acknowledged = self.crowd.ledger.acknowledged() - acknowledged_before;
        let findings = self.crowd.ledger.audit(&stored::read(self.host.data()).await);
        tally.rounds += 1;
        tally.acknowledged += acknowledged;
        (tally.lost, tally.doubled) = (tally.lost + findings.lost.len(), tally.doubled + findings.doubled.len());
        *tally.crashes.entry(crash.name()).or_default() += 1;
        println!(
            "round {}: {how}; {acknowledged} events acknowledged, {} lost, {} doubled",
            tally.rounds,
            findings.lost.len(),
            findings.doubled.len()
        );
        findings.assert_none(&format!("after round {} ({how})\n{tally}", tally.rounds));
        self.host.set_environment(&[]);
        self.host.restart();
        self.crowd.converge(&self.host).await;
        self.check(crash);
        println!("    all agree again, {} ms after the round began", began.elapsed().as_millis());
        let (events, checkpoints) = prover.prove(&self.host);
        tally.proved = (tally.proved.0 + events, tally.proved.1 + checkpoints);
        println!("    every room is proved: {events} events, {checkpoints} checkpoints");
    }

    async fn crash_at_any_moment(&mut self, rng: &mut StdRng) -> String {
        let load = LOAD_MAX.mul_f64(rng.random());
        tokio::time::sleep(load).await;
        self.host.kill_9();
        format!("kill -9 after {} ms", load.as_millis())
    }

    /// Kills the host under load, starts it with the point armed, and leads it there.
    async fn crash_at(&mut self, point: Point, rng: &mut StdRng) -> String {
        self.crowd.pressed(EVENTS_BEFORE_POINT).await;
        self.host.kill_9();
        let setting = point.setting(rng);
        self.host.set_environment(&[("REAPPLY_CRASH_AT".to_owned(), setting.clone())]);
        let status = match (point.reached, self.host.try_restart()) {
            (Reached::AtStart, Err(refused)) => refused.status,
            (Reached::AtStart, Ok(())) => panic!("the host came up, and not by {}", point.name),
            (_, Err(refused)) => panic!("the host did not start again: {}", refused.message),
            (_, Ok(())) => {
                let done = self.reach(point.reached);
                assert!(
                    done.is_none_or(|done| done.is_err()),
                    "something was acknowledged that was cut short at {setting}"
                );
                self.host.wait_for_end()
            }
        };
        assert_eq!(status.signal(), Some(ABORTED), "the host ended otherwise than by {setting}: {status}");
        format!("crash at {setting}")
    }

    /// Sends the host the request that leads to a point, if load does not.
    fn reach(&mut self, reached: Reached) -> Option<Result<(), String>> {
        match reached {
            Reached::UnderLoad | Reached::AtStart => None,
            Reached::AtDeployment => Some(self.probes.deploy(&self.host)),
            Reached::AtUpgrade => Some(self.crowd.upgrades.upgrade(&self.host)),
            Reached::AtFork => Some(self.forks.fork(&self.host)),
            Reached::AtBackup => Some(copies::back_up(&self.host)),
        }
    }

    /// Checks that the requests besides the load are done, and can be done again.
    fn check(&mut self, crash: Crash) {
        self.probes.check(&self.host);
        self.crowd.upgrades.check(&self.host);
        match crash {
            Crash::At(Point { reached: Reached::AtFork, .. }) => self.forks.check(&self.host),
            Crash::At(Point { reached: Reached::AtBackup, .. }) => copies::check_backups(&self.host),
            _ => {}
        }
    }

    /// Kills the host under load, starts it on storage that can undo unsynced writes, and does so at any moment.
    async fn cut_power(&mut self, rng: &mut StdRng) -> String {
        self.crowd.pressed(EVENTS_BEFORE_POINT).await;
        self.host.kill_9();
        self.host.set_environment(&self.storage.environment());
        self.host.restart();
        let killed = self.crash_at_any_moment(rng).await;
        let TakenBack { unsynced, lost } = power::cut(self.host.data(), &self.storage.unsynced(), rng);
        format!("{killed}, power cut: {lost} of {unsynced} unsynced sectors lost")
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "| rounds | events acknowledged | lost | doubled |")?;
        writeln!(f, "| ---: | ---: | ---: | ---: |")?;
        writeln!(f, "| {} | {} | {} | {} |", self.rounds, self.acknowledged, self.lost, self.doubled)?;
        let (events, checkpoints) = self.proved;
        writeln!(f, "\nproved after the rounds: {events} events applied again, {checkpoints} checkpoints compared")?;
        writeln!(f, "\n| crash | rounds |\n| --- | ---: |")?;
        self.crashes.iter().try_for_each(|(name, count)| writeln!(f, "| {name} | {count} |"))
    }
}
