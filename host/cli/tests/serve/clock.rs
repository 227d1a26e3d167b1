//! A system clock that jumps does not move the time of rooms.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reapply_testing::Host;
use tempfile::TempDir;

use crate::PROGRAM;

const YEAR_SECONDS: i64 = 365 * 24 * 60 * 60;

/// A clock that can be set, for hosts that are started with it.
struct SystemClock {
    directory: TempDir,
}

impl SystemClock {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve/clock.c");
        let clock = Self { directory };
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([&clock.library(), &source])
            .arg("-ldl")
            .output()
            .expect("a C compiler is there: cc");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        clock.set(0);
        clock
    }

    fn set(&self, offset_seconds: i64) {
        // In place: the host has the file mapped.
        let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(self.offset()).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &offset_seconds.to_ne_bytes(), 0).unwrap();
    }

    fn library(&self) -> PathBuf {
        self.directory.path().join("clock.so")
    }

    fn offset(&self) -> PathBuf {
        self.directory.path().join("offset")
    }

    fn environment(&self) -> Vec<(String, String)> {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        vec![("LD_PRELOAD".to_owned(), text(self.library())), ("CLOCK_OFFSET".to_owned(), text(self.offset()))]
    }
}

fn increment(host: &Host) -> String {
    let answer = host.submit("counter/time", "{\"Increment\":1}");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["time"].as_str().unwrap().to_owned()
}

/// Returns the present and an hour around it, as the host writes times.
fn within_an_hour(time: &str) -> bool {
    let time = humantime::parse_rfc3339(time).unwrap();
    let now = SystemTime::now();
    time > now - Duration::from_secs(3600) && time < now + Duration::from_secs(3600)
}

#[test]
fn a_system_clock_that_jumps_ahead_for_a_moment_does_not_take_rooms_along() {
    let clock = SystemClock::new();
    let host = Host::start_program_in(Path::new(PROGRAM), &std::env::temp_dir(), &[], &clock.environment());
    host.deploy("counter");
    assert!(within_an_hour(&increment(&host)));
    clock.set(YEAR_SECONDS);
    let ahead = increment(&host);
    assert!(within_an_hour(&ahead), "{ahead}");
    host.wait_for_log("the system's clock was set ahead: rooms' time follows slowly");
    clock.set(0);
    let after = increment(&host);
    assert!(within_an_hour(&after) && after >= ahead, "{after} follows {ahead}");
}

#[test]
fn a_restart_takes_the_systems_clock_over() {
    let clock = SystemClock::new();
    let mut host = Host::start_program_in(Path::new(PROGRAM), &std::env::temp_dir(), &[], &clock.environment());
    host.deploy("counter");
    clock.set(YEAR_SECONDS);
    assert!(within_an_hour(&increment(&host)));
    host.stop();
    host.restart();
    assert!(!within_an_hour(&increment(&host)));
}

#[test]
fn a_host_does_not_start_before_1970() {
    let clock = SystemClock::new();
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    clock.set(-i64::try_from(since_1970).unwrap() - 60);
    let data = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM)
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data.path().join("data"))
        .envs(clock.environment())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("the system's clock is before the year 1970"), "{told}");
    assert!(!told.contains("panicked"), "{told}");
}
