//! (h) A long log: replaying it, proving it, and its size on disk and as an export.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use reapply_host::archive::Playback;
use reapply_machine::Engine;
use reapply_sync::{ClientMessage, Input, Number, ServerMessage};

use crate::host::Bench;
use crate::report::{Table, count, medians, size};
use crate::session::Session;

/// The number of outstanding transitions while the log is written. With one, each event has a record and an fsync of its own.
const WINDOWS: [u64; 2] = [512, 1];

/// The room whose log is written.
const ROOM: &str = "counter/log";

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<()> {
    let title = "(h) The log of a counter: on disk, as an export, replayed, proved";
    let headings =
        ["events", "outstanding", "disk per event", "export", "per event", "replay, events/s", "verify, events/s"];
    let table = Table::new(title, &headings);
    for window in WINDOWS {
        let events = if window == 1 { bench.scale.pick(20_000, 50) } else { bench.scale.pick(1_000_000, 2_000) };
        let mut runs = Vec::new();
        for _ in 0..bench.scale.runs {
            runs.push(measure(bench, events, window).await?);
        }
        let [disk, export, replay, verify] = medians(&runs);
        let per_event = |bytes: f64| format!("{:.1} B", bytes / events as f64);
        table.row(&[
            count(events as f64),
            count(window as f64),
            per_event(disk),
            size(export),
            per_event(export),
            count(replay),
            count(verify),
        ]);
    }
    Ok(())
}

async fn measure(bench: &Bench, events: u64, window: u64) -> anyhow::Result<[f64; 4]> {
    let data = bench.directory()?;
    let host = bench.start(data.path(), &[])?;
    bench.deploy(&host, "counter")?;
    let empty = host.stop().and_then(|()| bytes_in(data.path()))?;
    let host = bench.start(data.path(), &[])?;
    write(Session::enter(host.address, ROOM).await?, events, window).await?;
    let file = data.path().join("log.reapply");
    bench.command(&["export", ROOM, "--host", &host.url(), "--out", &file.to_string_lossy()])?;
    host.stop()?;
    let export = fs::metadata(&file)?.len();
    let disk = bytes_in(data.path())? - export - empty;

    let began = Instant::now();
    let seq = replay(&file)?;
    let replayed = began.elapsed();
    ensure!(seq >= events, "the export leads to {seq}, and {events} transitions were confirmed");
    let began = Instant::now();
    bench.command(&["verify", &file.to_string_lossy()])?;
    let verified = began.elapsed();
    let per_second = |elapsed: std::time::Duration| seq as f64 / elapsed.as_secs_f64();
    Ok([disk as f64, export as f64, per_second(replayed), per_second(verified)])
}

/// Increments the counter the given number of times.
async fn write(mut session: Session, events: u64, window: u64) -> anyhow::Result<()> {
    let transition = postcard::to_allocvec(&counter::Transition::Increment(1))?;
    let (mut submitted, mut confirmed) = (0, 0);
    while confirmed < events {
        while submitted < events && submitted - confirmed < window {
            submitted += 1;
            let submit = ClientMessage::Submit { number: Number(submitted), transition: transition.clone().into() };
            session.socket.push(&submit.encode());
        }
        session.socket.flush().await?;
        session.socket.fill().await?;
        while let Some(message) = session.socket.next_message()? {
            match ServerMessage::decode(message)? {
                ServerMessage::Events(came) => {
                    confirmed +=
                        came.iter().filter(|event| matches!(event.input, Input::Transition { .. })).count() as u64;
                }
                ServerMessage::Presence(_) | ServerMessage::Checkpoint { .. } => {}
                other => bail!("the host sent {other:?}"),
            }
        }
    }
    Ok(())
}

/// Replays an export, and returns its last event's seq.
fn replay(file: &Path) -> anyhow::Result<u64> {
    let mut playback = Playback::open(BufReader::new(File::open(file)?), &Engine::for_replays()?)?;
    while playback.step()?.is_some() {}
    Ok(playback.place().0.0)
}

/// Returns the bytes of all files in a directory.
fn bytes_in(directory: &Path) -> anyhow::Result<u64> {
    let entries = fs::read_dir(directory).context("the data directory is gone")?;
    entries.map(|entry| Ok(entry?.metadata()?.len())).sum()
}
