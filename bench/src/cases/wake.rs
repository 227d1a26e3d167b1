//! (i) Waking a sleeping room: from connecting to the state in hand, beside joining the same room while it is awake.

use std::time::Instant;

use reapply_machine::{Build, Engine, check};
use reapply_sync::Machine;

use crate::histogram::Histogram;
use crate::host::Bench;
use crate::report::{Table, medians, ms, size};
use crate::session::Session;

/// The number of cells of each room, and the number of rooms of that size: states of 1 kB, 100 kB and 10 MB.
const SIZES: [(u32, u32); 3] = [(95, 300), (8_600, 300), (800_000, 20)];

/// The base of the values, so that each takes nine bytes.
const FIRST: u64 = 1 << 61;

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<()> {
    let title = "(i) Waking a sleeping room, after a start of the host: connect to state in hand";
    let joins = ["join p50, awake", "join p99, awake", "wake / join, p50"];
    let table = Table::new(title, &[&["state", "wake p50", "of which `restore`", "wake p99"][..], &joins].concat());
    let build = check(&Engine::new(None)?, &std::fs::read(guest_components::component("cells"))?)?.build;
    for (entries, rooms) in SIZES {
        let rooms = bench.scale.pick(rooms, 2);
        let mut runs = Vec::new();
        for _ in 0..bench.scale.runs {
            runs.push(measure(bench, &build, entries, rooms).await?);
        }
        let [bytes, restore, wake50, wake99, join50, join99] = medians(&runs);
        let ratio = format!("{:.1}", wake50 / join50);
        table.row(&[size(bytes), ms(wake50), ms(restore), ms(wake99), ms(join50), ms(join99), ratio]);
    }
    Ok(())
}

async fn measure(bench: &Bench, build: &Build, entries: u32, rooms: u32) -> anyhow::Result<[f64; 6]> {
    let data = bench.directory()?;
    let host = bench.start(data.path(), &[])?;
    let names: Vec<String> = (0..rooms).map(|_| bench.new_room()).collect();
    for room in &names {
        host.create_room_with(room, &format!("{{\"entries\":{entries},\"first\":\"{FIRST}\"}}"))?;
        // An event of its own, so that there is something to take a snapshot of.
        let mut session = Session::enter(host.address, room).await?;
        session.push_submit(1);
        session.socket.flush().await?;
        while session.outstanding() > 0 {
            session.read(|_| {}).await?;
        }
    }
    host.stop()?;
    let host = bench.start(data.path(), &[])?;
    // The first room compiles the component, or finds it in the cache; that happens once for each start.
    let compiled = bench.new_room();
    host.create_room(&compiled, 1)?;
    let [mut wakes, mut joins, mut restores] = [(); 3].map(|()| Histogram::default());
    let mut bytes = 0;
    for room in &names {
        for histogram in [&mut wakes, &mut joins] {
            let began = Instant::now();
            let session = Session::enter(host.address, room).await?;
            bytes = session.snapshot()?.0.len();
            histogram.record(began.elapsed());
        }
        let session = Session::enter(host.address, room).await?;
        let (state, version) = session.snapshot()?;
        let mut instance = build.instantiate()?;
        let began = Instant::now();
        instance.restore(state, version)?;
        restores.record(began.elapsed());
    }
    let [wake50, wake99] = [0.5, 0.99].map(|quantile| wakes.quantile_ms(quantile));
    let [join50, join99] = [0.5, 0.99].map(|quantile| joins.quantile_ms(quantile));
    Ok([bytes as f64, restores.quantile_ms(0.5), wake50, wake99, join50, join99])
}
