//! Backups of a serving host, and data directories made from them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use rand::RngExt;
use reapply_testing::{Host, http};
use tempfile::TempDir;

use crate::exports::{chain, fails, flips, long_room, random, succeeds};
use crate::{PROGRAM, counter_host};

fn restore(backup: &Path, data: &Path) -> Output {
    Command::new(PROGRAM).arg("restore").arg(backup).arg("--data").arg(data).output().unwrap()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn a_backup_under_load_is_whole_can_be_served_and_restored() {
    let host = counter_host(&[]);
    long_room(&host, "counter/lobby");
    let proved = chain(&host, "counter/lobby");
    let folder = TempDir::new().unwrap();
    let (backup, data) = (folder.path().join("backup"), folder.path().join("data"));
    let is_done = AtomicBool::new(false);
    let (acknowledged_before, printed) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut count = 0_u64;
            while !is_done.load(Ordering::SeqCst) {
                assert_eq!(host.submit("counter/busy", "{\"Increment\":1}").status, 200);
                count += 1;
            }
            count
        });
        while http::get(&host.url("/rooms/counter/busy")).json()["seq"].as_u64().is_none_or(|seq| seq < 10) {
            std::thread::yield_now();
        }
        let before = host.room("counter/busy")["seq"].as_u64().unwrap();
        let printed = succeeds(&host.command("backup", &[&text(&backup)]));
        is_done.store(true, Ordering::SeqCst);
        let count = writer.join().unwrap();
        assert!(count >= before);
        (before, printed)
    });
    assert!(printed.starts_with(&format!("backed up to {} (", backup.display())), "{printed}");
    assert!(is_empty(&host.data().join("scratch")), "the host keeps no copy");

    let printed = succeeds(&restore(&backup, &data));
    assert!(printed.starts_with(&format!("restored {}: 2 rooms with ", data.display())), "{printed}");
    assert!(printed.contains("proved whole"), "{printed}");
    // Everything acknowledged before the backup began is in it, and later events are there up to some point.
    let restored = Host::start_program_on(Path::new(PROGRAM), &data, &[]);
    assert_eq!(chain(&restored, "counter/lobby"), proved);
    let busy = restored.events("counter/busy");
    assert!(busy.len() as u64 >= acknowledged_before);
    assert_eq!(busy[..], host.events("counter/busy")[..busy.len()]);
    assert_eq!(restored.submit("counter/busy", "\"Reset\"").status, 200);
    // The backup itself has not changed, and a host can serve it.
    let served = Host::start_program_on(Path::new(PROGRAM), &backup, &[]);
    assert_eq!(served.events("counter/busy"), busy);
}

#[test]
fn nothing_is_overwritten_and_nothing_damaged_is_restored() {
    let host = counter_host(&[]);
    long_room(&host, "counter/lobby");
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let backup = path("backup");
    succeeds(&host.command("backup", &[&text(&backup)]));
    let said = fails(&host.command("backup", &[&text(&backup)]));
    assert!(said.contains("is not empty, and nothing is overwritten"), "{said}");
    let said = fails(&restore(&backup, host.data()));
    assert!(said.contains("is not empty, and nothing is overwritten"), "{said}");
    let said = fails(&restore(&path("none"), &path("data")));
    assert!(said.contains("is not a backup: there is no journal.db in it"), "{said}");
    let said = fails(&restore(host.data(), &path("data")));
    assert!(said.contains("a data directory that a host has served since"), "{said}");
    fs::write(path("file"), "text").unwrap();
    let said = fails(&host.command("backup", &[&text(&path("file"))]));
    assert!(said.contains("cannot be used"), "{said}");

    // Any flipped byte of stored data is found; free space and padding hold nothing.
    let whole = fs::read(backup.join("journal.db")).unwrap();
    let mut random = random();
    let mut found = 0;
    for _ in 0..flips(20) {
        let mut damaged = whole.clone();
        let place = random.random_range(0..damaged.len());
        damaged[place] ^= 1 << random.random_range(0..8);
        fs::write(backup.join("journal.db"), &damaged).unwrap();
        let restored = restore(&backup, &path("data"));
        if restored.status.success() {
            // Nothing that a host would read has changed, or it would have been found.
            fs::remove_dir_all(path("data")).unwrap();
            continue;
        }
        let said = fails(&restored);
        assert!(said.contains("is not restored"), "byte {place}: {said}");
        assert!(!path("data").exists(), "byte {place}: something stays");
        found += 1;
    }
    assert!(found > 0, "no damage was found");
    // An existing folder stays, and is empty again.
    fs::create_dir(path("data")).unwrap();
    fs::write(backup.join("journal.db"), &whole[..whole.len() / 2]).unwrap();
    fails(&restore(&backup, &path("data")));
    assert!(is_empty(&path("data")));
    fs::write(backup.join("journal.db"), &whole).unwrap();
    succeeds(&restore(&backup, &path("data")));
}

#[test]
#[cfg(unix)]
fn a_backup_that_is_kept_read_only_is_restored_into_a_fresh_volume_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let host = counter_host(&[]);
    assert_eq!(host.submit("counter/lobby", "{\"Increment\":1}").status, 200);
    for file in ["journal.db", "journal.db-wal", "journal.db-shm", "lock"] {
        assert_eq!(mode(&host.data().join(file)), 0o600, "{file}");
    }
    let folder = TempDir::new().unwrap();
    let (backup, data) = (folder.path().join("backup"), folder.path().join("data"));
    succeeds(&host.command("backup", &[&text(&backup)]));
    assert_eq!([mode(&backup), mode(&backup.join("journal.db"))], [0o700, 0o600]);
    fs::set_permissions(backup.join("journal.db"), fs::Permissions::from_mode(0o444)).unwrap();
    // The folders that a file system puts into its root do not count.
    fs::create_dir_all(data.join("lost+found")).unwrap();
    succeeds(&restore(&backup, &data));
    assert_eq!(mode(&data.join("journal.db")), 0o600);
    let restored = Host::start_program_on(Path::new(PROGRAM), &data, &[]);
    assert_eq!(restored.submit("counter/lobby", "{\"Increment\":1}").status, 200);
    assert_eq!(restored.events("counter/lobby").len(), 2);
}

#[test]
fn a_backup_takes_the_right_to_deploy_and_leaves_nothing_half_done() {
    let host = Host::start_program(Path::new(PROGRAM), &["--deploy-token", "secret"]);
    let folder = TempDir::new().unwrap();
    let backup = folder.path().join("backup");
    let said = fails(&host.command("backup", &[&text(&backup)]));
    assert!(said.contains("this needs the host's deploy token"), "{said}");
    assert!(!backup.exists());
    succeeds(&host.command("backup", &[&text(&backup), "--token", "secret"]));
    let names: Vec<_> = fs::read_dir(&backup).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["journal.db"]);
}
