//! Data directories that a host must refuse, and damage that it repairs.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;

use reapply_testing::{Host, Refused, http};
use rusqlite::Connection;

use crate::{PROGRAM, counter_host};

/// Tries to start a host on a directory: its exit code is not 0, and it prints one line.
fn refusal(data: &Path) -> String {
    let Refused { status, message } = Host::refusal(Path::new(PROGRAM), data, &[]);
    assert_eq!(status.code(), Some(1), "{message}");
    let reason = message.lines().last().unwrap_or_default().to_owned();
    assert!(reason.starts_with("reapply: "), "{message}");
    reason
}

#[test]
fn a_directory_in_use_is_refused_with_the_others_process() {
    let host = counter_host(&[]);
    let reason = refusal(host.data());
    assert!(
        reason.contains(&format!("the data directory {} is in use by another host", host.data().display())),
        "{reason}"
    );
    assert!(reason.contains("(process "), "{reason}");
    // The host that uses the directory is not affected.
    assert_eq!(host.submit("counter/mine", "\"Reset\"").status, 200);
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    // Not even root can create a file here.
    let reason = refusal(Path::new("/proc/reapply"));
    assert!(reason.contains("the data directory /proc/reapply is not writable"), "{reason}");
    assert!(reason.contains("--data"), "{reason}");

    let file = tempfile::NamedTempFile::new().unwrap();
    let reason = refusal(file.path());
    assert!(reason.contains("is not a directory"), "{reason}");
}

#[test]
fn a_directory_of_a_newer_format_is_refused_and_left_as_it_is() {
    let mut host = counter_host(&[]);
    assert!(host.stop().success());
    let file = host.data().join("journal.db");
    let connection = Connection::open(&file).unwrap();
    connection.pragma_update(None, "user_version", 7).unwrap();
    connection.close().unwrap();
    let before = fs::read(&file).unwrap();
    let reason = refusal(host.data());
    assert!(reason.contains("has the format 7, and this version of Reapply knows up to 6"), "{reason}");
    assert_eq!(fs::read(&file).unwrap(), before);

    let connection = Connection::open(&file).unwrap();
    connection.pragma_update(None, "user_version", 6).unwrap();
    connection.close().unwrap();
    host.restart();
    assert_eq!(host.submit("counter/back", "\"Reset\"").status, 200);
}

#[test]
fn a_database_of_another_program_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let connection = Connection::open(data.path().join("journal.db")).unwrap();
    connection.execute_batch("CREATE TABLE theirs (a)").unwrap();
    connection.close().unwrap();
    let reason = refusal(data.path());
    assert!(reason.contains("it is not a journal of Reapply"), "{reason}");
}

#[test]
fn a_torn_last_record_is_dropped_with_a_warning_and_the_rest_is_there() {
    let mut host = counter_host(&[]);
    for _ in 0..10 {
        assert_eq!(host.submit("counter/torn", "{\"Increment\":1}").status, 200);
    }
    host.kill_9();
    tear_last_transaction(&host.data().join("journal.db-wal"));
    host.restart();
    host.wait_for_log("WARN");
    assert!(host.log().contains("bytes"), "the warning says how much: {}", host.log());
    // The torn record is gone, as if it had never been acknowledged. Everything before it is there.
    assert_eq!(host.room("counter/torn")["view"]["count"], 9);
    let answer = host.submit("counter/torn", "{\"Increment\":1}");
    assert_eq!(answer.json()["seq"], 10);
}

#[test]
fn damage_at_rest_keeps_its_room_from_being_served_by_name_and_no_other() {
    let mut host = counter_host(&[]);
    for room in ["counter/hurt", "counter/whole"] {
        for _ in 0..10 {
            assert_eq!(host.submit(room, "{\"Increment\":1}").status, 200);
        }
    }
    assert!(host.stop().success());
    let file = host.data().join("journal.db");
    let connection = Connection::open(&file).unwrap();
    let sql = "UPDATE batches SET body = CAST(substr(body, 1, length(body) - 1) || x'7f' AS BLOB)
         WHERE expected = 4 AND room = (SELECT id FROM rooms WHERE room = 'hurt')";
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
    connection.close().unwrap();
    host.restart();
    let place = "room counter/hurt, event 5";
    for path in ["", "/log", "?seq=3"] {
        let answer = http::get(&host.url(&format!("/rooms/counter/hurt{path}")));
        assert_eq!(answer.status, 500, "{path}: {}", answer.text());
        assert!(answer.text().contains(place), "{path}: {}", answer.text());
    }
    assert_ne!(host.submit("counter/hurt", "{\"Increment\":1}").status, 200);
    assert_eq!(host.submit("counter/whole", "{\"Increment\":1}").status, 200);
    let scrubbed = host.command("scrub", &[]);
    assert_eq!(scrubbed.status.code(), Some(1), "{scrubbed:?}");
    let printed = String::from_utf8_lossy(&scrubbed.stdout);
    assert!(printed.starts_with("counter/hurt: ") && printed.contains(place), "{printed}");
    assert!(host.log().contains("the room is damaged, and is not served"), "{}", host.log());
    // A backup of it is not restored.
    assert!(host.stop().success());
    let data = tempfile::tempdir().unwrap();
    let restored =
        Command::new(PROGRAM).arg("restore").arg(host.data()).arg("--data").arg(data.path()).output().unwrap();
    let said = String::from_utf8_lossy(&restored.stderr);
    assert!(said.contains("is damaged at room counter/hurt, event 5"), "{said}");
}

#[test]
fn all_that_is_stored_is_proved_while_the_host_serves() {
    let mut host = counter_host(&[]);
    for room in ["counter/a", "counter/b", "counter/c"] {
        assert_eq!(host.submit(room, "{\"Increment\":1}").status, 200);
    }
    assert!(host.stop().success());
    host.restart();
    let scrubbed = host.command("scrub", &[]);
    let printed = String::from_utf8_lossy(&scrubbed.stdout);
    assert!(scrubbed.status.success() && printed.starts_with("3 rooms with "), "{scrubbed:?}");
    assert!(printed.contains("all of it is proved") && !printed.contains("with 0 bytes"), "{printed}");
    let status = host.command("scrub", &["--status"]);
    assert_eq!(String::from_utf8_lossy(&status.stdout), printed);
}

#[test]
fn a_durable_record_that_is_damaged_in_the_write_ahead_log_stops_the_start() {
    let mut host = counter_host(&[]);
    for _ in 0..10 {
        assert_eq!(host.submit("counter/hurt", "{\"Increment\":1}").status, 200);
    }
    host.kill_9();
    let wal = host.data().join("journal.db-wal");
    let frames = Frames::read(&wal);
    // A byte of a page in the middle, with whole transactions after it.
    let (start, _) = frames.transactions[frames.transactions.len() - 4];
    flip(&wal, start + 24 + 100);
    let Err(Refused { status, message }) = host.try_restart() else { panic!("it starts") };
    assert_eq!(status.code(), Some(1), "{message}");
    assert!(message.contains("is damaged at") && message.contains("frame"), "{message}");
}

/// Returns the transactions in a write-ahead log of SQLite, as the places of their first and last frames.
struct Frames {
    transactions: Vec<(u64, u64)>,
}

/// The number of bytes of a frame: a header and a page.
const FRAME_BYTES: u64 = 24 + 4096;

impl Frames {
    fn read(wal: &Path) -> Self {
        let mut bytes = Vec::new();
        fs::File::open(wal).unwrap().read_to_end(&mut bytes).unwrap();
        let salts = &bytes[16..24];
        let (mut transactions, mut start) = (Vec::new(), 32);
        for (index, frame) in bytes[32..].chunks_exact(FRAME_BYTES as usize).enumerate() {
            if frame[8..16] != *salts {
                break;
            }
            let place = 32 + index as u64 * FRAME_BYTES;
            // A frame that ends a transaction has the size of the database.
            if frame[4..8] != [0; 4] {
                transactions.push((start, place));
                start = place + FRAME_BYTES;
            }
        }
        Self { transactions }
    }
}

/// Cuts the log as a crash in the middle of a write does: the last transaction's last page did not arrive whole.
fn tear_last_transaction(wal: &Path) {
    let (_, last) = *Frames::read(wal).transactions.last().unwrap();
    let mut file = OpenOptions::new().write(true).open(wal).unwrap();
    file.seek(SeekFrom::Start(last + FRAME_BYTES / 2)).unwrap();
    file.write_all(&[0; FRAME_BYTES as usize / 2]).unwrap();
}

fn flip(path: &Path, place: u64) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(place)).unwrap();
    let mut byte = [0];
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(place)).unwrap();
    file.write_all(&[byte[0] ^ 0x40]).unwrap();
}
