//! Figures of the machine itself: the disk, and a round trip without a room; and the sizes of served files.

use std::io::Write;
use std::time::Instant;

use reapply_host::http::assets::ASSETS;

use crate::histogram::Histogram;
use crate::host::{Bench, Host};
use crate::report::{Table, medians, ms, size};
use crate::session::Session;

/// The bytes of one write to the disk: a page with its header, as a small commit writes it.
const WRITE_BYTES: usize = 4096 + 24;

/// The guests that are examples.
const GUESTS: [&str; 10] =
    ["counter", "drop-four", "timer", "tic-tac-toe", "todo", "whiteboard", "text", "auction", "cells", "blocks"];

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<()> {
    let mut disk = Vec::new();
    let mut echo = Vec::new();
    let data = bench.directory()?;
    let host = bench.start(data.path(), &[])?;
    for _ in 0..bench.scale.runs {
        disk.push(sync_disk(bench)?);
        echo.push(echo_ping(bench, &host).await?);
    }
    let table = Table::new("The machine underneath", &["operation", "p50", "p99"]);
    let [p50, p99] = medians(&disk);
    table.row(&["`fdatasync` after overwriting 4 KiB, same disk".into(), ms(p50), ms(p99)]);
    let [p50, p99] = medians(&echo);
    table.row(&["`Ping` to `Pong`, same client and socket".into(), ms(p50), ms(p99)]);
    sizes()
}

/// Overwrites a laid-out file, one write and one sync at a time: the minimum cost of a durable transition here.
pub(crate) fn sync_disk(bench: &Bench) -> anyhow::Result<[f64; 2]> {
    let count = bench.scale.pick(2_000, 20);
    let directory = bench.directory()?;
    let path = directory.path().join("sync");
    std::fs::write(&path, vec![0; WRITE_BYTES * count])?;
    let mut file = std::fs::OpenOptions::new().write(true).open(&path)?;
    file.sync_all()?;
    let mut histogram = Histogram::default();
    for index in 0..count {
        let began = Instant::now();
        file.write_all(&[index as u8; WRITE_BYTES])?;
        file.sync_data()?;
        histogram.record(began.elapsed());
    }
    Ok([histogram.quantile_ms(0.5), histogram.quantile_ms(0.99)])
}

async fn echo_ping(bench: &Bench, host: &Host) -> anyhow::Result<[f64; 2]> {
    let mut session = Session::enter(host.address, &bench.new_room()).await?;
    let mut histogram = Histogram::default();
    for value in 0..bench.scale.pick(10_000, 50) {
        let began = Instant::now();
        session.ping(value).await?;
        histogram.record(began.elapsed());
    }
    Ok([histogram.quantile_ms(0.5), histogram.quantile_ms(0.99)])
}

fn sizes() -> anyhow::Result<()> {
    let table = Table::new("Sizes", &["file", "plain", "gzipped"]);
    for guest in GUESTS {
        let component = std::fs::read(guest_components::component(guest))?;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&component)?;
        let gzipped = gzip.finish()?.len();
        table.row(&[format!("component `{guest}`"), size(component.len() as f64), size(gzipped as f64)]);
    }
    let client = ASSETS.iter().filter(|asset| asset.path.ends_with(".js") || asset.path.ends_with(".wasm"));
    let (plain, gzip) =
        client.fold((0, 0), |(plain, gzip), asset| (plain + asset.plain.len(), gzip + asset.gzip.len()));
    table.row(&["`/reapply.js` and everything it loads".into(), size(plain as f64), size(gzip as f64)]);
    Ok(())
}
