//! Crashes: a killed process, and a log that ends in a torn record.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use reapply_sync::room::Note;
use reapply_sync::{Seq, Timestamp};
use rusqlite::Connection;

use super::{LogWriter, Opened, SqliteJournal, open, prove, room_with};
use crate::conformance::Shared;
use crate::sqlite::schema::{DATABASE_FILE, PAGE_BYTES, WAL_FILE};
use crate::sqlite::wal;
use crate::{Appended, Journal, LostLog, OpenJournalError, Proving};

/// The variable with the directory that the child process loads.
const CHILD_DIRECTORY: &str = "REAPPLY_TEST_JOURNAL_DIRECTORY";

const ROOMS: usize = 4;

const FRAME_BYTES: u64 = 24 + PAGE_BYTES;

/// Not a test of its own: the process that [`every_acknowledged_append_outlives_kill_9`] kills.
#[tokio::test]
#[ignore = "the process that another test starts and kills"]
async fn load_until_killed() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let journal = open(Path::new(&directory));
    let rooms = (0..ROOMS).map(async |index| {
        let mut log = room_with(&journal, &format!("room-{index}"), &[]).await;
        let mut snapshots = Vec::new();
        loop {
            let record = log.next(3);
            assert_eq!(journal.append(log.room(), record, log_note(&log)).await, Appended::Committed);
            if index == 0 {
                snapshot_and_trim(&journal, &log, &mut snapshots).await;
            }
            // A whole line in one write, so that the parent never reads half of one as another number.
            let line = format!("\nacknowledged {index} {}\n", log.head);
            std::io::stdout().write_all(line.as_bytes()).unwrap();
        }
    });
    let _: Vec<()> = futures_util::future::join_all(rooms).await;
}

/// Returns the note of the room's last record: another alarm each time, and a participant every other time.
fn log_note(log: &LogWriter) -> Note {
    Note { alarm: Some(Timestamp(log.head.0 * 1_000)), is_occupied: log.head.0.is_multiple_of(2) }
}

/// Sometimes takes a snapshot of several chunks, and trims the log up to the one before.
async fn snapshot_and_trim(journal: &Shared, log: &LogWriter, snapshots: &mut Vec<Seq>) {
    if log.head.0.is_multiple_of(60) {
        journal.put_snapshot(log.room(), log.snapshot(&[1; 2_500_000])).await.unwrap();
        if let Some(before) = snapshots.last() {
            journal.trim(log.room(), *before).await.unwrap();
        }
        snapshots.push(log.head);
    }
}

#[tokio::test]
async fn every_acknowledged_append_outlives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    // Once early, while the log has not been moved into the database yet, and once late.
    for lines_before_kill in [50, 3000] {
        let path = directory.path().join(lines_before_kill.to_string());
        let acknowledged = run_and_kill(&path, lines_before_kill);
        // Anything the kill left half-written is dropped with a warning, or there was nothing.
        let Opened { journal, .. } = SqliteJournal::open(&path).unwrap();
        let journal: Shared = std::sync::Arc::new(journal);
        for (index, acknowledged) in acknowledged.into_iter().enumerate() {
            let log = LogWriter::new("counter", &format!("room-{index}"));
            let (head, chain) = prove(&journal, log.room()).await;
            assert!(head >= acknowledged, "room {index} was acknowledged {acknowledged} and holds {head}");
            let mut log = LogWriter { head, chain, ..log };
            let noted = if head > Seq(0) { log_note(&log) } else { Note::default() };
            let record = journal.room(log.room()).await.unwrap().unwrap();
            assert_eq!(record.note, noted, "the note is that of the last record");
            assert_eq!(log.append(&journal, 1).await, Appended::Committed);
        }
    }
}

fn run_and_kill(directory: &Path, lines_before_kill: usize) -> [Seq; ROOMS] {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::tests::crash::load_until_killed", "--ignored", "--nocapture"])
        .env(CHILD_DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    let mut lines = 0;
    while lines < lines_before_kill {
        let start = text.len();
        assert!(output.read_line(&mut text).unwrap() > 0, "the child ended by itself: {text}");
        lines += usize::from(text[start..].starts_with("acknowledged"));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    output.read_to_string(&mut text).unwrap();
    let mut acknowledged = [Seq(0); ROOMS];
    for line in text.lines().filter_map(|line| line.strip_prefix("acknowledged ")) {
        let (room, seq) = line.split_once(' ').unwrap();
        acknowledged[room.parse::<usize>().unwrap()] = Seq(seq.parse().unwrap());
    }
    acknowledged
}

/// Copies the files that a crash at this moment would leave.
fn crash(journal_directory: &Path, copy: &Path) {
    fs::create_dir_all(copy).unwrap();
    for file in [DATABASE_FILE, WAL_FILE] {
        fs::copy(journal_directory.join(file), copy.join(file)).unwrap();
    }
}

/// Returns a live journal with some records in its log, and the numbers of frames and events.
async fn loaded(directory: &Path) -> (Shared, LogWriter, Vec<(u64, Seq)>) {
    let journal = open(directory);
    let mut log = room_with(&journal, "lobby", &[]).await;
    let mut ends = Vec::new();
    for _ in 0..12 {
        // Of many pages each, so that a record can be torn in its middle.
        assert_eq!(log.append(&journal, 400).await, Appended::Committed);
        let frames = wal::inspect(&directory.join(WAL_FILE)).unwrap().frames_committed;
        ends.push((frames, log.head));
    }
    (journal, log, ends)
}

#[tokio::test]
async fn a_torn_tail_is_dropped_with_a_warning_and_the_batches_before_it_stay() {
    let root = tempfile::tempdir().unwrap();
    let (_journal, log, ends) = loaded(&root.path().join("live")).await;
    let [.., (frames_before, head_before), (frames, head)] = ends[..] else { panic!("{ends:?}") };
    let end = 32 + frames * FRAME_BYTES;
    let start = 32 + frames_before * FRAME_BYTES;
    // The kind of damage, and whether the last record survives it.
    type Spoil = fn(&mut fs::File, u64, u64);
    let cases: [(&str, bool, Spoil); 6] = [
        ("nothing", true, |_, _, _| {}),
        ("cut in a page", false, |file, _, end| file.set_len(end - 100).unwrap()),
        ("cut in a header", false, |file, _, end| file.set_len(end - FRAME_BYTES + 20).unwrap()),
        ("cut between frames", false, |file, start, _| file.set_len(start + 2 * FRAME_BYTES).unwrap()),
        ("last page garbled", false, |file, _, end| overwrite(file, end - 500, &[0x5a; 64])),
        ("first page unwritten", false, |file, start, _| overwrite(file, start, &[0; FRAME_BYTES as usize])),
    ];
    for (index, (name, survives, spoil)) in cases.into_iter().enumerate() {
        let copy = root.path().join(index.to_string());
        crash(&root.path().join("live"), &copy);
        let mut file = OpenOptions::new().write(true).open(copy.join(WAL_FILE)).unwrap();
        spoil(&mut file, start, end);
        drop(file);
        let Opened { journal, warnings } = SqliteJournal::open(&copy).unwrap();
        assert_eq!(warnings.is_empty(), survives, "{name}: {warnings:?}");
        let journal: Shared = std::sync::Arc::new(journal);
        let found = prove(&journal, log.room()).await.0;
        assert_eq!(found, if survives { head } else { head_before }, "{name}");
    }
}

fn overwrite(file: &mut fs::File, at: u64, bytes: &[u8]) {
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

#[tokio::test]
async fn damage_before_later_transactions_of_the_log_stops_the_start() {
    let root = tempfile::tempdir().unwrap();
    let (_journal, _, ends) = loaded(&root.path().join("live")).await;
    let [.., (frames_before, _), _] = ends[..] else { panic!("{ends:?}") };
    // One bit in every frame that a later transaction follows: in its page, its checksum, and its salts; and in the header.
    let frames =
        (0..frames_before).flat_map(|frame| [9, 17, 300].map(|at| (32 + frame * FRAME_BYTES + at, Some(frame))));
    let header = [1, 9, 17, 25].map(|at| (at, None));
    for (index, (at, frame)) in frames.step_by(7).chain(header).enumerate() {
        let copy = root.path().join(index.to_string());
        crash(&root.path().join("live"), &copy);
        flip(&copy.join(WAL_FILE), at, 2);
        let error = SqliteJournal::open(&copy).unwrap_err();
        let OpenJournalError::Damaged { file, place, .. } = &error else { panic!("{error}") };
        assert!(file.ends_with(WAL_FILE), "{error}");
        let expected = frame.map_or("its header".to_owned(), |frame| format!("frame {}", frame + 1));
        assert_eq!(*place, expected, "byte {at}: {error}");
        // The files have not changed: restoring the bit brings everything back.
        flip(&copy.join(WAL_FILE), at, 2);
        open(&copy);
        fs::remove_dir_all(&copy).unwrap();
    }
}

/// Appends records of one event each, so that their transactions have few frames; returns the copy's log, cut after its last frame, and
/// the ends of the last three transactions.
async fn with_small_transactions(root: &Path) -> (std::path::PathBuf, Vec<u8>, [u64; 3]) {
    let live = root.join("live");
    let journal = open(&live);
    let mut log = room_with(&journal, "lobby", &[]).await;
    let mut ends = Vec::new();
    for _ in 0..6 {
        assert_eq!(log.append(&journal, 1).await, Appended::Committed);
        ends.push(wal::inspect(&live.join(WAL_FILE)).unwrap().frames_committed);
    }
    let mut bytes = fs::read(live.join(WAL_FILE)).unwrap();
    let [.., third, second, last] = ends[..] else { panic!("{ends:?}") };
    bytes.truncate((32 + last * FRAME_BYTES) as usize);
    (root.join("wal"), bytes, [third, second, last])
}

#[tokio::test]
async fn no_broken_field_of_a_frame_hides_a_transaction_that_follows() {
    let root = tempfile::tempdir().unwrap();
    let (copy, bytes, [third, second, last]) = with_small_transactions(root.path()).await;
    for frame in third..second {
        for bit in 0..24 * 8 {
            let mut bytes = bytes.clone();
            bytes[(32 + frame * FRAME_BYTES) as usize + bit / 8] ^= 1 << (bit % 8);
            fs::write(&copy, bytes).unwrap();
            let error = wal::inspect(&copy).expect_err(&format!("bit {bit} of frame {frame}"));
            let wal::WalError::Damaged { place, .. } = &error else { panic!("{error}") };
            assert_eq!(*place, format!("frame {}", frame + 1), "bit {bit}: {error}");
        }
    }
    // A frame of the last transaction may be torn, but no tear leaves only one half of its salts.
    for (at, is_damage) in [(9, true), (14, true), (17, false), (300, false)] {
        let mut bytes = bytes.clone();
        bytes[(32 + (last - 1) * FRAME_BYTES) as usize + at] ^= 4;
        fs::write(&copy, bytes).unwrap();
        match wal::inspect(&copy) {
            Err(error) => assert!(is_damage, "byte {at}: {error}"),
            Ok(report) => assert_eq!((is_damage, report.frames_committed), (false, second), "byte {at}"),
        }
    }
}

#[tokio::test]
async fn a_log_that_is_lost_is_missed_and_done_without_only_where_somebody_says_so() {
    let root = tempfile::tempdir().unwrap();
    let live = root.path().join("live");
    let (_journal, log, _) = loaded(&live).await;
    let wal_file = fs::read(live.join(WAL_FILE)).unwrap();
    for (name, left) in [("missing", None), ("empty", Some(vec![])), ("zeroed", Some(vec![0; wal_file.len()]))] {
        let copy = root.path().join(name);
        crash(&live, &copy);
        fs::remove_file(copy.join(WAL_FILE)).unwrap();
        left.inspect(|left| fs::write(copy.join(WAL_FILE), left).unwrap());
        for _ in 0..2 {
            let error = SqliteJournal::open(&copy).unwrap_err();
            assert!(matches!(error, OpenJournalError::LogLost { .. }), "{name}: {error}");
            assert!(error.to_string().contains("--accept-lost-log"), "{name}: {error}");
        }
        fs::write(copy.join(WAL_FILE), &wal_file).unwrap();
        assert_eq!(prove(&open(&copy), log.room()).await, (log.head, log.chain), "{name}");
    }
    let copy = root.path().join("accepted");
    crash(&live, &copy);
    fs::remove_file(copy.join(WAL_FILE)).unwrap();
    let Opened { journal, warnings } = SqliteJournal::open_with(&copy, LostLog::Accepted, Proving::First).unwrap();
    assert!(warnings[0].contains("lost its write-ahead log"), "{warnings:?}");
    assert!(journal.room(log.room()).await.unwrap().is_none(), "all of it was in the log");
    drop(journal);
    // Once it was closed, it needs no log.
    assert!(!copy.join(WAL_FILE).exists());
    open(&copy);
}

/// A migration writes, and so begins another write-ahead log.
#[tokio::test]
async fn a_lost_log_of_an_earlier_format_is_missed_each_time() {
    let root = tempfile::tempdir().unwrap();
    let (live, copy) = (root.path().join("live"), root.path().join("copy"));
    let (_journal, ..) = loaded(&live).await;
    crash(&live, &copy);
    fs::remove_file(copy.join(WAL_FILE)).unwrap();
    let connection = Connection::open(copy.join(DATABASE_FILE)).unwrap();
    let former = "DROP TABLE authors; DROP TABLE occupied; DROP TABLE unfinished; DELETE FROM totals WHERE name = 'occupied'; PRAGMA user_version = 3";
    connection.execute_batch(former).unwrap();
    connection.close().unwrap();
    for _ in 0..2 {
        let error = SqliteJournal::open(&copy).unwrap_err();
        assert!(matches!(error, OpenJournalError::LogLost { .. }), "{error}");
    }
    let Opened { warnings, .. } = SqliteJournal::open_with(&copy, LostLog::Accepted, Proving::First).unwrap();
    assert!(warnings[0].contains("lost its write-ahead log"), "{warnings:?}");
    open(&copy);
}

#[tokio::test]
async fn a_log_without_its_database_is_not_thrown_away() {
    let root = tempfile::tempdir().unwrap();
    let (_journal, ..) = loaded(&root.path().join("live")).await;
    let copy = root.path().join("copy");
    crash(&root.path().join("live"), &copy);
    fs::remove_file(copy.join(DATABASE_FILE)).unwrap();
    let error = SqliteJournal::open(&copy).unwrap_err();
    assert!(error.to_string().contains("missing or empty"), "{error}");
}

/// Flips a bit of the byte at `at`.
pub(super) fn flip(path: &Path, at: u64, bit: u8) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    let mut byte = [0];
    file.read_exact(&mut byte).unwrap();
    overwrite(&mut file, at, &[byte[0] ^ (1 << bit)]);
}
