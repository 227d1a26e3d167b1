//! Storage that fails for a while: calls that return an error, one kind after the other.

use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reapply_testing::{Host, http, until};

use crate::crowd::{Builds, Crowd};
use crate::storage::{Call, Fault, Storage};
use crate::{ARGUMENTS, PROGRAM, power, seed, stored};

/// A room that none of the clients uses.
const ASIDE: &str = "counter/aside";

/// The rooms that are read.
const ROOMS: [&str; 3] = [ASIDE, "counter/pressed", "cells/pressed"];

/// The number of acknowledged events before storage fails.
const EVENTS_BEFORE: u64 = 200;

/// The number of failed calls before it works again.
const FAILED_CALLS_MIN: u32 = 8;

/// The kinds of calls that fail together.
type Failing = &'static [(Call, Fault)];

struct Trial {
    storage: Storage,
    host: Host,
    crowd: Crowd,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_fail_are_refused_and_reads_go_on_until_it_works_again() {
    let mut rng = StdRng::seed_from_u64(seed());
    let mut trial = Trial::new(&mut rng);
    let cases: [Failing; 5] = [
        &[(Call::Write, Fault::IoError)],
        &[(Call::Write, Fault::NoSpace)],
        &[(Call::Sync, Fault::IoError)],
        &[(Call::Sync, Fault::IoError), (Call::Read, Fault::IoError)],
        &[(Call::Write, Fault::IoError), (Call::Truncate, Fault::IoError)],
    ];
    for failing in cases {
        trial.refuse(failing).await;
        // Refused clients continue by themselves, on the same host.
        trial.storage.heal();
        trial.crowd.converge(&trial.host).await;

        trial.refuse(failing).await;
        trial.host.kill_9();
        let unsynced = trial.storage.unsynced();
        let lose_power = rng.random_bool(0.7);
        let lost = lose_power.then(|| power::cut(trial.host.data(), &unsynced, &mut rng));
        trial.storage.heal();
        let acknowledged = trial.crowd.ledger.acknowledged();
        println!("{failing:?}: {acknowledged} events acknowledged so far; killed while it failed, power cut: {lost:?}");
        trial.audit(&format!("killed while {failing:?}")).await;
        trial.host.restart();
        trial.crowd.converge(&trial.host).await;
    }
    trial.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_are_cut_short_are_finished_and_nobody_notices() {
    let mut rng = StdRng::seed_from_u64(seed());
    let trial = Trial::new(&mut rng);
    trial.storage.fail(Call::Write, Fault::CutShort);
    trial.crowd.press();
    trial.crowd.pressed(EVENTS_BEFORE).await;
    assert!(trial.storage.injected(Call::Write) > 0, "no write was cut short");
    trial.storage.heal();
    trial.crowd.converge(&trial.host).await;
    assert_eq!(trial.crowd.ledger.take_goodbyes(), []);
    trial.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_storage_that_fails_serves_nothing_unproven_and_harms_nothing() {
    let mut rng = StdRng::seed_from_u64(seed());
    let mut trial = Trial::new(&mut rng);
    trial.crowd.press();
    trial.crowd.pressed(EVENTS_BEFORE).await;
    wait_for_events(&trial.host).await;
    trial.host.kill_9();
    for call in [Call::Read, Call::Write, Call::Sync] {
        trial.storage.fail(call, Fault::IoError);
        match trial.host.try_restart() {
            Err(refused) => {
                assert_eq!(refused.status.code(), Some(1), "{call:?}: {}", refused.message);
                let reason = refused.message.lines().last().unwrap_or_default();
                assert!(reason.starts_with("reapply: ") && reason.contains("journal.db"), "{call:?}: {reason}");
                println!("{call:?} fails: {reason}");
            }
            Ok(()) => {
                assert_ne!(call, Call::Read, "a host serves what it could not prove");
                assert_refused(&trial.host);
                assert_readable(&trial.host);
                trial.host.kill_9();
                println!("{call:?} fails: the host serves, and refuses to write");
            }
        }
        assert!(trial.storage.injected(call) > 0, "no {call:?} failed");
        trial.storage.heal();
        trial.audit(&format!("after a start while {call:?} failed")).await;
    }
    trial.host.restart();
    trial.crowd.converge(&trial.host).await;
    trial.end().await;
}

impl Trial {
    fn new(rng: &mut StdRng) -> Self {
        let storage = Storage::new();
        let program = Path::new(PROGRAM);
        let host = Host::start_program_in(program, &storage.data_parent(), &ARGUMENTS, &storage.environment());
        let crowd = Crowd::gather(&host, &Builds::new(), rng);
        assert_eq!(host.submit(ASIDE, "{\"Increment\":1}").status, 200);
        Self { storage, host, crowd }
    }

    /// Loads the host, makes storage fail, and checks that writes are refused with that reason and that reads continue.
    async fn refuse(&self, failing: Failing) {
        let Self { storage, host, crowd } = self;
        crowd.press();
        crowd.pressed(EVENTS_BEFORE).await;
        wait_for_events(host).await;
        let injected = || failing.iter().map(|(call, _)| storage.injected(*call)).sum::<u32>();
        let injected_before = injected();
        failing.iter().for_each(|(call, fault)| storage.fail(*call, *fault));
        crowd.refused().await;
        until("calls fail", async || match injected() - injected_before {
            failed @ ..FAILED_CALLS_MIN => Err(format!("{failed} by now")),
            _ => Ok(()),
        })
        .await;
        assert_refused(host);
        if failing.iter().all(|(call, _)| *call != Call::Read) {
            assert_readable(host);
        }
        assert_eq!(http::get(&host.url("/healthz")).status, 200);
    }

    async fn audit(&self, when: &str) {
        self.crowd.ledger.audit(&stored::read(self.host.data()).await).assert_none(when);
    }

    async fn end(mut self) {
        self.crowd.end().await;
        assert!(self.host.stop().success());
    }
}

/// Waits until every room has events, so that there is something to read.
async fn wait_for_events(host: &Host) {
    for room in ROOMS {
        until("every room has events", async || match host.room(room)["seq"].as_u64() {
            Some(1..) => Ok(()),
            seq => Err(format!("{room}: {seq:?}")),
        })
        .await;
    }
}

/// Checks that a transition is refused, with a reason and the advice to try again.
pub(crate) fn assert_refused(host: &Host) {
    let answer = host.submit(ASIDE, "{\"Increment\":1}");
    assert!([500, 503].contains(&answer.status), "{}: {}", answer.status, answer.text());
    let (_, message) = answer.error();
    assert!(message.contains("journal"), "{message}");
}

/// Checks that rooms are shown, with their logs.
pub(crate) fn assert_readable(host: &Host) {
    for room in ROOMS {
        assert!(host.room(room)["seq"].as_u64().is_some_and(|seq| seq > 0), "{room}");
        assert!(!host.events(room).is_empty(), "{room}");
    }
}
