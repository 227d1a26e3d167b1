//! (d) Joining a large room: from connecting to the state in hand.

use std::time::Instant;

use anyhow::{Context, ensure};
use cells::Cells;
use reapply_guest::contract;

use super::Meter;
use crate::histogram::Histogram;
use crate::host::{Bench, ENTRIES};
use crate::report::{Table, count, medians, ms, size};
use crate::session::Session;

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<()> {
    let title = "(d) Joining a room of 10 000 cells: connect to state in hand";
    let table = Table::new(title, &["p50", "p99", "of which `restore`", "bytes received", "host CPU each", "host RSS"]);
    let mut runs = Vec::new();
    for _ in 0..bench.scale.runs {
        runs.push(measure(bench).await?);
    }
    let [p50, p99, restore, bytes, each, rss] = medians(&runs);
    table.row(&[ms(p50), ms(p99), ms(restore), count(bytes), ms(each), size(rss)]);
    Ok(())
}

async fn measure(bench: &Bench) -> anyhow::Result<[f64; 6]> {
    let data = bench.directory()?;
    let host = bench.start(data.path(), &[])?;
    let room = bench.new_room();
    host.create_room(&room, ENTRIES)?;
    let (mut joins, mut restores) = (Histogram::default(), Histogram::default());
    let mut bytes = 0;
    let joins_total = bench.scale.pick(500, 5);
    let meter = Meter::start(&host)?;
    for _ in 0..joins_total {
        let began = Instant::now();
        let session = Session::enter(host.address, &room).await?;
        let welcomed = Instant::now();
        let (snapshot, state_version) = session.snapshot()?;
        let state = contract::restore::<Cells>(snapshot, state_version).map_err(anyhow::Error::msg)?;
        restores.record(welcomed.elapsed());
        joins.record(began.elapsed());
        bytes = session.socket.received_bytes();
        let last = state.value(ENTRIES - 1).context("the last cell is not set")?;
        ensure!(state.value(0) == Some(0) && last > 0, "the state is not the room's");
    }
    let used = meter.stop()?;
    let cpu_each_ms = used.host_cpu.as_secs_f64() * 1e3 / f64::from(joins_total);
    Ok([
        joins.quantile_ms(0.5),
        joins.quantile_ms(0.99),
        restores.quantile_ms(0.5),
        bytes as f64,
        cpu_each_ms,
        used.host_rss,
    ])
}
