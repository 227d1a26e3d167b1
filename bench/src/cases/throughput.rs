//! (b) Accepted durable transitions per second, with a window of outstanding ones.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::task::JoinSet;

use super::{Meter, compare};
use crate::histogram::Histogram;
use crate::host::{Bench, ENTRIES, Server};
use crate::report::{Table, count, ms, size};
use crate::session::Session;

/// The distribution of the outstanding transitions.
struct Load {
    what: &'static str,
    rooms: usize,
    /// The number of writers in all rooms; each room has the same number.
    writers: usize,
    /// The number of outstanding transitions of each writer.
    window: u64,
}

const LOADS: [Load; 4] = [
    Load { what: "1 x 64 in one room", rooms: 1, writers: 1, window: 64 },
    Load { what: "8 x 64 in one room", rooms: 1, writers: 8, window: 64 },
    Load { what: "64 x 1 over 64 rooms", rooms: 64, writers: 64, window: 1 },
    Load { what: "64 x 8 over 64 rooms", rooms: 64, writers: 64, window: 8 },
];

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<()> {
    let title = "(b) Accepted durable transitions";
    let headings = ["outstanding", "per second", "p50", "p99", "host CPU", "host CPU each", "client CPU", "host RSS"];
    let table = Table::new(title, &headings);
    for load in &LOADS {
        let measure = async |server| measure(bench, load, server).await.context(load.what);
        compare(bench, &table, load.what, measure, |[per_second, p50, p99, host, each, own, rss]| {
            let cpu = |percent: f64| format!("{percent:.0} %");
            let each = format!("{each:.2} µs");
            vec![count(per_second), ms(p50), ms(p99), cpu(host), each, cpu(own), size(rss)]
        })
        .await?;
    }
    Ok(())
}

async fn measure(bench: &Bench, load: &Load, server: Server) -> anyhow::Result<[f64; 7]> {
    let data = bench.directory()?;
    let host = bench.start_server(server, data.path())?;
    let rooms: Vec<String> = (0..load.rooms).map(|_| bench.new_room()).collect();
    rooms.iter().try_for_each(|room| host.create_room(room, ENTRIES))?;
    let mut sessions = Vec::new();
    for writer in 0..load.writers {
        sessions.push(Session::enter(host.address, &rooms[writer % load.rooms]).await?);
    }
    let meter = Meter::start(&host)?;
    let until = meter.began + bench.scale.load_for;
    let mut writers: JoinSet<anyhow::Result<_>> =
        sessions.into_iter().map(|session| write(session, load.window, meter.began, until)).collect();
    let (mut confirmed, mut latencies) = (0, Histogram::default());
    while let Some(written) = writers.join_next().await {
        let (count, histogram) = written??;
        confirmed += count;
        latencies.merge(&histogram);
    }
    let used = meter.stop()?;
    let heads = rooms.iter().map(|room| host.head(room)).sum::<anyhow::Result<u64>>()?;
    ensure!(heads >= confirmed, "{confirmed} transitions were confirmed, and the logs have {heads} events");
    Ok([
        confirmed as f64 / used.elapsed.as_secs_f64(),
        latencies.quantile_ms(0.5),
        latencies.quantile_ms(0.99),
        used.host_percent,
        used.host_cpu.as_secs_f64() * 1e6 / confirmed as f64,
        used.own_percent,
        used.host_rss,
    ])
}

/// Keeps a window of transitions outstanding until the time is over, and waits for the last. Each carries the time of its submission.
async fn write(mut session: Session, window: u64, epoch: Instant, until: Instant) -> anyhow::Result<(u64, Histogram)> {
    let mut latencies = Histogram::default();
    let client = session.client;
    let mut to_submit = window;
    while to_submit > 0 || session.outstanding() > 0 {
        let now = epoch.elapsed().as_nanos() as u64;
        (0..to_submit).for_each(|_| session.push_submit(now));
        session.socket.flush().await?;
        let mut confirmed_values = |value: u64| {
            latencies.record(epoch.elapsed().saturating_sub(Duration::from_nanos(value)));
        };
        let confirmed = session
            .read(|event| {
                if event.client == client {
                    confirmed_values(event.value)
                }
            })
            .await?;
        to_submit = if Instant::now() < until { confirmed } else { 0 };
    }
    Ok((session.confirmed(), latencies))
}
