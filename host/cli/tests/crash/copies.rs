//! Copies of a host's data: forks of a room under load, and backups of everything.

use std::fs;
use std::path::Path;

use reapply_testing::{Host, http};

/// The room that is forked.
const FORKED: &str = "counter/pressed";

/// The acknowledged forks.
#[derive(Debug, Default)]
pub(crate) struct Forks {
    acknowledged: u32,
}

impl Forks {
    /// Forks the room at its head.
    ///
    /// # Errors
    ///
    /// The fork is not acknowledged; the error is the command's output.
    pub(crate) fn fork(&mut self, host: &Host) -> Result<(), String> {
        run(host, "fork", &[FORKED, &name(self.acknowledged)])?;
        self.acknowledged += 1;
        Ok(())
    }

    /// Checks that the acknowledged forks exist and are whole, that the next one does not, and that it can be made.
    pub(crate) fn check(&mut self, host: &Host) {
        let next = name(self.acknowledged);
        assert_eq!(http::get(&host.url(&format!("/rooms/{next}"))).status, 404, "{next} was not acknowledged");
        let made = self.fork(host);
        made.unwrap_or_else(|refusal| panic!("{next} cannot be made: {refusal}"));
        for number in 0..self.acknowledged {
            let (name, shown) = (name(number), host.room(&name(number)));
            // The state follows from the log: one for each event of the shared past, and its own first event adds nothing.
            assert!(shown["view"]["count"].as_u64() < shown["seq"].as_u64(), "{name}: {shown}");
        }
        verify(host, &next);
    }
}

/// Backs the host up, to a directory that is not kept.
///
/// # Errors
///
/// The command fails; the error is its output.
pub(crate) fn back_up(host: &Host) -> Result<(), String> {
    let backup = tempfile::tempdir().unwrap();
    run(host, "backup", &[&backup.path().to_string_lossy()])
}

/// Checks that nothing is left of a backup that was cut short, and that a new one can be made and restored.
pub(crate) fn check_backups(host: &Host) {
    let left: Vec<String> = names(host.data()).into_iter().filter(|name| name.starts_with("backup-")).collect();
    assert_eq!(left, Vec::<String>::new(), "what a crash left of a backup");
    let (backup, restored) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (backup.path().to_string_lossy(), restored.path().to_string_lossy());
    run(host, "backup", &[&from]).unwrap_or_else(|refusal| panic!("there is no backup: {refusal}"));
    run(host, "restore", &[&from, "--data", &to]).unwrap_or_else(|refusal| panic!("it is not restored: {refusal}"));
}

/// Checks that `reapply verify` proves a room.
pub(crate) fn verify(host: &Host, room: &str) {
    run(host, "verify", &[room]).unwrap_or_else(|refusal| panic!("{room} is not proved: {refusal}"));
}

fn run(host: &Host, command: &str, arguments: &[&str]) -> Result<(), String> {
    let output = host.command(command, arguments);
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn name(number: u32) -> String {
    format!("counter/fork-{number}")
}

/// Returns the names of all files below a directory.
fn names(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => names.extend(self::names(&entry.path())),
            false => names.push(entry.file_name().to_string_lossy().into_owned()),
        }
    }
    names
}
