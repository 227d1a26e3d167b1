//! (a) One writer, one transition at a time: from submit to durable confirmation.

use std::time::Instant;

use anyhow::ensure;

use super::basis::sync_disk;
use super::{Meter, compare};
use crate::histogram::Histogram;
use crate::host::{Bench, ENTRIES, Server};
use crate::report::{Table, count, ms, size};
use crate::session::Session;

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<()> {
    let title = "(a) One writer, one outstanding: submit to durable confirmation";
    let headings =
        ["outstanding", "p50", "p99", "per second", "fdatasync p50 beside it", "p50 of both", "host CPU", "host RSS"];
    let table = Table::new(title, &headings);
    let cells = |[p50, p99, per_second, disk, ratio, cpu, rss]: [f64; 7]| {
        let ratio = format!("{ratio:.2}");
        vec![ms(p50), ms(p99), count(per_second), ms(disk), ratio, format!("{cpu:.0} %"), size(rss)]
    };
    compare(bench, &table, "1", async |server| measure(bench, server).await, cells).await
}

async fn measure(bench: &Bench, server: Server) -> anyhow::Result<[f64; 7]> {
    let data = bench.directory()?;
    let host = bench.start_server(server, data.path())?;
    let room = bench.new_room();
    host.create_room(&room, ENTRIES)?;
    let mut session = Session::enter(host.address, &room).await?;
    let mut histogram = Histogram::default();
    let [disk_before, _] = sync_disk(bench)?;
    let meter = Meter::start(&host)?;
    while meter.began.elapsed() < bench.scale.load_for {
        let submitted = Instant::now();
        session.push_submit(0);
        session.socket.flush().await?;
        while session.outstanding() > 0 {
            session.read(|_| {}).await?;
        }
        histogram.record(submitted.elapsed());
    }
    let used = meter.stop()?;
    let [disk_after, _] = sync_disk(bench)?;
    ensure!(host.head(&room)? >= histogram.count(), "the room's log has fewer events than were confirmed");
    let disk = f64::midpoint(disk_before, disk_after);
    let p50 = histogram.quantile_ms(0.5);
    let per_second = histogram.count() as f64 / used.elapsed.as_secs_f64();
    Ok([p50, histogram.quantile_ms(0.99), per_second, disk, p50 / disk, used.host_percent, used.host_rss])
}
