//! (l) A start with little and with much data, and with many rooms: until the host listens, until it answers for a room, and how fast it proves
//! the rest in the background. Beside it, the proof of everything before the host listens, which starts once waited for.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use reapply_journal::{LostLog, Proving, SqliteJournal};

use crate::host::{Bench, Host};
use crate::report::{Table, count, medians, ms, size};
use crate::stored;

/// The bytes of events of each room where the amount of data matters.
const ROOM_BYTES: u64 = 1_000_000;

/// The bytes of events of each room where the number of rooms matters.
const SMALL_ROOM_BYTES: u64 = 1_000;

/// The number of rooms where that matters.
const ROOMS: u64 = 100_000;

/// The amounts of data of a full run, in units of 100 MB: 0.5 and 5 GB.
const AMOUNTS: [u64; 2] = [5, 50];

/// The bytes of free disk space for one byte of events: the database, its write-ahead log, and room to spare.
const DISK_RATIO: u64 = 3;

/// The time for which the background proof is watched.
const WATCHED_FOR: Duration = Duration::from_secs(10);

/// The interval between two looks at it.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The content of a data directory.
#[derive(Clone, Copy, Debug)]
struct Amount {
    rooms: u64,
    room_bytes: u64,
}

pub(crate) async fn run(bench: &Bench, more_gb: &[u64]) -> anyhow::Result<()> {
    let columns = ["events", "rooms", "database", "exec to listening", "first answer for a room", "background proof"];
    let table =
        Table::new("(l) A start, by the amount of data", &[&columns[..], &["everything proved first"]].concat());
    for amount in amounts(bench, more_gb) {
        let data = bench.directory()?;
        make(bench, data.path(), amount).await?;
        let database = fs::metadata(data.path().join(reapply_journal::sqlite::DATABASE_FILE))?.len();
        let mut runs = Vec::new();
        for _ in 0..bench.scale.runs {
            runs.push(start(bench, data.path(), amount)?);
        }
        let [listening, answered, rate] = medians(&runs);
        table.row(&[
            size((amount.rooms * amount.room_bytes) as f64),
            count(amount.rooms as f64),
            size(database as f64),
            ms(listening),
            ms(answered),
            format!("{}/s", size(rate)),
            ms(proved_first(data.path())?),
        ]);
    }
    Ok(())
}

fn amounts(bench: &Bench, more_gb: &[u64]) -> Vec<Amount> {
    let of = |bytes: u64| Amount { rooms: bytes / ROOM_BYTES, room_bytes: ROOM_BYTES };
    let nothing = Amount { rooms: 0, room_bytes: 0 };
    if bench.scale.quick {
        let [few, many] = [(4, 100_000), (100, 200)].map(|(rooms, room_bytes)| Amount { rooms, room_bytes });
        return vec![nothing, few, many];
    }
    let mut amounts = vec![nothing];
    amounts.extend(AMOUNTS.map(|amount| of(amount * 100_000_000)));
    amounts.extend(more_gb.iter().map(|gb| of(gb * 1_000_000_000)));
    amounts.push(Amount { rooms: ROOMS, room_bytes: SMALL_ROOM_BYTES });
    amounts
}

/// Makes a data directory, as a host leaves it that has stopped.
async fn make(bench: &Bench, data: &Path, Amount { rooms, room_bytes }: Amount) -> anyhow::Result<()> {
    let needed = rooms * room_bytes * DISK_RATIO;
    let disk = rustix::fs::statvfs(data)?;
    let free = disk.f_bavail * disk.f_frsize;
    let missing = size(needed.saturating_sub(free) as f64);
    ensure!(
        free >= needed,
        "{} lacks {missing} of free disk space: {} are needed",
        data.display(),
        size(needed as f64)
    );
    bench.start(data, &[])?.stop()?;
    stored::write_rooms(data, usize::try_from(rooms)?, usize::try_from(room_bytes)?).await
}

/// Starts the host. Returns the milliseconds until it listened, those that its first answer for a room took, and the bytes per second of its
/// background proof.
fn start(bench: &Bench, data: &Path, Amount { rooms, room_bytes }: Amount) -> anyhow::Result<[f64; 3]> {
    let began = Instant::now();
    let host = bench.launch(data, &[])?;
    let listening = began.elapsed();
    let proving = Instant::now();
    // The last room is the last one that the background proof comes to.
    let answered = match rooms.checked_sub(1) {
        Some(last) => {
            let asked = Instant::now();
            let head = host.head(&stored::room(usize::try_from(last)?))?;
            ensure!(head > 0, "the room has no events");
            asked.elapsed()
        }
        None => Duration::ZERO,
    };
    let rate = watch(&host, proving, rooms)? * room_bytes as f64;
    host.stop()?;
    let [listening, answered] = [listening, answered].map(|elapsed| elapsed.as_secs_f64() * 1_000.0);
    Ok([listening, answered, rate])
}

/// Watches the background proof, and returns its rooms per second.
fn watch(host: &Host, began: Instant, rooms: u64) -> anyhow::Result<f64> {
    loop {
        let report = host.scrub()?;
        let proved = report["rooms"].as_u64().context("the host does not say how much it has proved")?;
        let (elapsed, is_done) = (began.elapsed(), report["done"] == true);
        let damaged =
            report["damaged"].as_array().map_or(0, Vec::len) + report["elsewhere"].as_array().map_or(0, Vec::len);
        ensure!(damaged == 0, "the data that was made is damaged: {report}");
        if is_done {
            ensure!(proved == rooms, "{proved} rooms were proved, of {rooms}");
        }
        if is_done || elapsed >= WATCHED_FOR {
            return Ok(proved as f64 / elapsed.as_secs_f64());
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// Returns the milliseconds that opening the journal takes if everything is proved first, without the rest of a start.
fn proved_first(data: &Path) -> anyhow::Result<f64> {
    let began = Instant::now();
    let opened = SqliteJournal::open_with(data, LostLog::Refused, Proving::First)?;
    let elapsed = began.elapsed();
    ensure!(opened.warnings.is_empty(), "the data that was made is damaged: {:?}", opened.warnings);
    Ok(elapsed.as_secs_f64() * 1_000.0)
}
