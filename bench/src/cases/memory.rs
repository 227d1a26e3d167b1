//! (e) The memory that an idle socket, an awake room and a sleeping room cost, and the memory that rooms leave behind, wave after wave.
//!
//! Each figure is the growth of the host's own (anonymous) memory over many of them. The kernel's memory for a socket is not included.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::host::{Bench, ENTRIES, Host};
use crate::report::{Table, count, medians, size};
use crate::session::Session;

/// A time long enough to wake many rooms before the first sleeps again.
const SLEEP_AFTER: Duration = Duration::from_secs(10);

/// The time for which the memory must not change to count as settled.
const SETTLED_FOR: Duration = Duration::from_secs(2);

/// The maximum time for the rooms to fall asleep once they are idle long enough.
const ASLEEP_WITHIN: Duration = Duration::from_secs(30);

/// The number of waves. In each, as many other rooms are used and then sleep.
const WAVES: usize = 5;

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<()> {
    let table = Table::new("(e) Memory", &["object", "memory each"]);
    let mut sockets = Vec::new();
    let mut rooms = Vec::new();
    let mut waves = Vec::new();
    for _ in 0..bench.scale.runs {
        sockets.push(idle_sockets(bench).await?);
        rooms.push(rooms_awake_and_asleep(bench)?);
        waves.push(waves_of_rooms(bench)?);
    }
    let [empty_host, socket] = medians(&sockets);
    let [awake_empty, awake_full, asleep] = medians(&rooms);
    table.row(&["the host, empty (PSS)".into(), size(empty_host)]);
    table.row(&["an idle session".into(), size(socket)]);
    table.row(&["an awake room, empty".into(), size(awake_empty)]);
    table.row(&["an awake room of 10 000 cells".into(), size(awake_full)]);
    table.row(&["a sleeping room (after being awake)".into(), size(asleep)]);

    let headings = ["rooms that were used and sleep", "memory more than before the first", "more than a wave ago"];
    let table = Table::new("(e) Memory that rooms leave behind", &headings);
    let mut before = 0.0;
    for (wave, held) in (1..).zip(medians::<WAVES>(&waves)) {
        table.row(&[count(f64::from(wave * rooms_of_wave(bench))), size(held), change(held - before)]);
        before = held;
    }
    Ok(())
}

async fn idle_sockets(bench: &Bench) -> anyhow::Result<[f64; 2]> {
    let sessions_total = bench.scale.pick(1_000, 20);
    let data = bench.directory()?;
    let host = bench.start(data.path(), &[])?;
    let empty_host = host.usage()?.pss;
    let room = bench.new_room();
    host.create_room(&room, 0)?;
    // The first one includes costs that occur only once.
    let mut sessions = vec![Session::enter(host.address, &room).await?];
    let before = settled_memory(&host, bench)?;
    for _ in 0..sessions_total {
        sessions.push(Session::enter(host.address, &room).await?);
    }
    let after = settled_memory(&host, bench)?;
    drop(sessions);
    Ok([empty_host, (after - before) / f64::from(sessions_total)])
}

fn rooms_awake_and_asleep(bench: &Bench) -> anyhow::Result<[f64; 3]> {
    let rooms_total = bench.scale.pick(200, 5);
    let data = bench.directory()?;
    let sleep_after = bench.scale.pick(SLEEP_AFTER, Duration::from_secs(1));
    let host = bench.start(data.path(), &["--sleep-after", &format!("{}s", sleep_after.as_secs())])?;
    host.create_room(&bench.new_room(), 0)?;
    settled_memory(&host, bench)?;
    let began = Instant::now();
    let before = host.usage()?.pss_anon;
    let create = |entries| (0..rooms_total).try_for_each(|_| host.create_room(&bench.new_room(), entries));
    create(0)?;
    let empty_awake = host.usage()?.pss_anon;
    create(ENTRIES)?;
    let all_awake = host.usage()?.pss_anon;
    ensure!(bench.scale.quick || began.elapsed() < sleep_after, "rooms fell asleep before all were awake");
    std::thread::sleep(sleep_after);
    let all_asleep = settled_memory(&host, bench)?;
    let each = |grown: f64| grown.max(0.0) / f64::from(rooms_total);
    Ok([each(empty_awake - before), each(all_awake - empty_awake), each(all_asleep - before) / 2.0])
}

fn change(bytes: f64) -> String {
    if bytes < 0.0 { format!("-{}", size(-bytes)) } else { size(bytes) }
}

fn rooms_of_wave(bench: &Bench) -> u32 {
    bench.scale.pick(2_000, 5)
}

/// Returns the growth of the host's memory after each wave of rooms, all of which sleep.
fn waves_of_rooms(bench: &Bench) -> anyhow::Result<[f64; WAVES]> {
    let data = bench.directory()?;
    let sleep_after = bench.scale.pick(SLEEP_AFTER, Duration::from_secs(1));
    let host = bench.start(data.path(), &["--sleep-after", &format!("{}s", sleep_after.as_secs())])?;
    host.create_room(&bench.new_room(), 0)?;
    let before = settled_memory(&host, bench)?;
    let mut waves = [0.0; WAVES];
    for held in &mut waves {
        (0..rooms_of_wave(bench)).try_for_each(|_| host.create_room(&bench.new_room(), 0))?;
        std::thread::sleep(sleep_after);
        *held = settled_memory(&host, bench)? - before;
    }
    Ok(waves)
}

/// Returns the host's own memory once it no longer shrinks.
fn settled_memory(host: &Host, bench: &Bench) -> anyhow::Result<f64> {
    let began = Instant::now();
    let mut memory = host.usage()?.pss_anon;
    let settled_for = bench.scale.pick(SETTLED_FOR, Duration::from_millis(200));
    while began.elapsed() < ASLEEP_WITHIN {
        std::thread::sleep(settled_for);
        let now = host.usage()?.pss_anon;
        if now >= memory {
            return Ok(now);
        }
        memory = now;
    }
    Ok(memory)
}
