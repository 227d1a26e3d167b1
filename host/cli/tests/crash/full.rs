//! A full disk: a small file system of its own, under the real binary.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use rand::SeedableRng;
use rand::rngs::StdRng;
use reapply_testing::{Host, http};

use crate::crowd::{Builds, Crowd};
use crate::failing::{assert_readable, assert_refused};
use crate::probe::Probes;
use crate::{ARGUMENTS, PROGRAM, seed, stored};

/// Enough space for the journal, its log and the compiled machines, and soon full.
const DISK: &str = "48m";

/// The variable of the process that has its own mount namespace.
const UNSHARED: &str = "REAPPLY_TEST_UNSHARED";

/// The number of acknowledged events on a disk with space.
const EVENTS_BEFORE: u64 = 200;

/// A mounted tmpfs, until it is dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let options = format!("size={DISK}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(directory.path()).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(directory))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it to the last byte, and returns the file that does.
    fn fill(&self) -> std::path::PathBuf {
        let ballast = self.path().join("ballast");
        let mut file = File::create(&ballast).unwrap();
        for chunk in [vec![1; 1 << 16], vec![1; 1 << 10], vec![1]] {
            while file.write_all(&chunk).is_ok() {}
        }
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_writes_and_nothing_else_and_is_forgotten_when_there_is_space() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match Disk::mount() {
        Some(disk) => runtime.block_on(fill_and_free(&disk)),
        None if std::env::var_os(UNSHARED).is_none() => again_unshared(),
        None => println!("SKIPPED: this machine lets nobody mount a small file system, so no disk was full"),
    }
}

/// Runs this test in its own user and mount namespace, where mounting does not need root.
fn again_unshared() {
    let name = "full::a_full_disk_refuses_writes_and_nothing_else_and_is_forgotten_when_there_is_space";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env(UNSHARED, "1");
    let probe = Command::new("unshare").args(["--map-root-user", "--mount", "true"]).status();
    if probe.is_ok_and(|status| status.success()) {
        assert!(command.status().unwrap().success(), "it failed in a namespace of its own");
    } else {
        println!("SKIPPED: mounting a small file system needs root, or user namespaces: no disk was full");
    }
}

async fn fill_and_free(disk: &Disk) {
    let mut rng = StdRng::seed_from_u64(seed());
    let mut host = Host::start_program_in(Path::new(PROGRAM), disk.path(), &ARGUMENTS, &[]);
    let crowd = Crowd::gather(&host, &Builds::new(), &mut rng);
    assert_eq!(host.submit("counter/aside", "{\"Increment\":1}").status, 200);
    let mut probes = Probes::default();
    for _ in 0..2 {
        crowd.press();
        crowd.pressed(EVENTS_BEFORE).await;
        let ballast = disk.fill();
        crowd.refused().await;
        assert_refused(&host);
        assert_readable(&host);
        for (method, body) in [("POST", &b"{\"Increment\":1}"[..]), ("PUT", b"")] {
            let refused = http::send(method, &host.url("/rooms/counter/not-begun"), &[], Some(body));
            assert_eq!((refused.status, refused.error().0.as_str()), (503, "unavailable"), "{}", refused.text());
        }
        assert_eq!(http::get(&host.url("/healthz")).status, 200);
        assert!(host.log().contains("full"), "the operator is told: {}", host.log());
        let refusal = probes.deploy(&host).unwrap_err();
        assert!(refusal.contains("full"), "{refusal}");
        println!("{} events were acknowledged when the disk was full", crowd.ledger.acknowledged());

        fs::remove_file(&ballast).unwrap();
        crowd.converge(&host).await;
        probes.check(&host);
    }
    // A crash on a full disk loses nothing either, and the next host shows at least the same.
    crowd.press();
    crowd.pressed(EVENTS_BEFORE).await;
    let ballast = disk.fill();
    crowd.refused().await;
    host.kill_9();
    crowd.ledger.audit(&stored::read(host.data()).await).assert_none("killed on a full disk");
    host.restart();
    assert_readable(&host);
    assert_refused(&host);
    fs::remove_file(&ballast).unwrap();
    crowd.converge(&host).await;
    probes.check(&host);
    println!("{} events were acknowledged, 0 lost, 0 doubled", crowd.ledger.acknowledged());
    crowd.end().await;
    host.kill_9();
}
