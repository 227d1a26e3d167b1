//! (c) One room, many readers, one writer at a fixed rate: the time from when an event is due until it reaches every reader.
//!
//! The writer does not wait for anything: an event that is sent late because the machine is busy counts as late from its due time.

use std::cell::RefCell;
use std::io::Write;
use std::net::TcpStream;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::task::LocalSet;

use super::{Meter, compare};
use crate::histogram::Histogram;
use crate::host::{Bench, ENTRIES, Server};
use crate::report::{Table, count, ms, size};
use crate::session::{Session, submit};
use crate::socket::push_frame;

/// The time after the last event was due within which every reader must get it.
const ARRIVAL_WITHIN: Duration = Duration::from_secs(30);

/// Readers, and events a second.
const LOADS: [(usize, u32); 6] = [(100, 100), (100, 1_000), (500, 100), (500, 1_000), (500, 4_000), (2_000, 100)];

/// The same at a small scale.
const LOADS_QUICK: [(usize, u32); 1] = [(10, 100)];

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<()> {
    let title = "(c) One room, one writer at a fixed rate, many readers: latency from due time";
    let headings = [
        "readers x events/s",
        "deliveries per second",
        "p50",
        "p99",
        "host CPU",
        "host CPU each",
        "client CPU",
        "host RSS",
    ];
    let table = Table::new(title, &headings);
    let loads = if bench.scale.quick { &LOADS_QUICK[..] } else { &LOADS };
    for &(readers, per_second) in loads {
        let what = format!("{readers} x {}", count(f64::from(per_second)));
        let measure = async |server| {
            let measured = LocalSet::new().run_until(measure(bench, readers, per_second, server)).await;
            measured.with_context(|| format!("{readers} readers, {per_second} events a second, {server:?}"))
        };
        // A run in which something did not arrive is an error, so there is nothing to print of it.
        compare(bench, &table, &what, measure, |[rate, p50, p99, host, each, own, rss]| {
            let cpu = |percent: f64| format!("{percent:.0} %");
            vec![count(rate), ms(p50), ms(p99), cpu(host), format!("{each:.2} µs"), cpu(own), size(rss)]
        })
        .await?;
    }
    Ok(())
}

async fn measure(bench: &Bench, readers: usize, per_second: u32, server: Server) -> anyhow::Result<[f64; 7]> {
    let data = bench.directory()?;
    let host = bench.start_server(server, data.path())?;
    let room = bench.new_room();
    host.create_room(&room, ENTRIES)?;
    let mut sessions = Vec::new();
    for _ in 0..=readers {
        sessions.push(Session::enter(host.address, &room).await?);
    }
    let writer = sessions.pop().context("there is no writer")?;
    let (writer, stream) = writer.split_writer()?;

    let events = (bench.scale.load_for.as_secs_f64() * f64::from(per_second)) as u64;
    let latencies = Rc::new(RefCell::new(Histogram::default()));
    let unrecorded = Rc::new(RefCell::new(Histogram::default()));
    let meter = Meter::start(&host)?;
    let epoch = meter.began;
    let mut tasks = vec![tokio::task::spawn_local(read(writer, events, epoch, unrecorded))];
    for session in sessions {
        tasks.push(tokio::task::spawn_local(read(session, events, epoch, Rc::clone(&latencies))));
    }
    let writing = thread::spawn(move || write(stream, events, per_second, epoch));
    let arrival = bench.scale.load_for + ARRIVAL_WITHIN;
    for task in tasks {
        let left = arrival.saturating_sub(epoch.elapsed());
        tokio::time::timeout(left, task).await.context("not all events arrived in time")???;
    }
    let used = meter.stop()?;
    writing.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    let latencies = latencies.borrow();
    ensure!(latencies.count() == events * readers as u64, "{} deliveries came", latencies.count());
    ensure!(host.head(&room)? >= events, "the room's log has fewer events than were submitted");
    Ok([
        latencies.count() as f64 / used.elapsed.as_secs_f64(),
        latencies.quantile_ms(0.5),
        latencies.quantile_ms(0.99),
        used.host_percent,
        used.host_cpu.as_secs_f64() * 1e6 / latencies.count() as f64,
        used.own_percent,
        used.host_rss,
    ])
}

/// Reads until all events are there. Events that arrive together are read together, and have one time of arrival.
async fn read(
    mut session: Session,
    events: u64,
    epoch: Instant,
    latencies: Rc<RefCell<Histogram>>,
) -> anyhow::Result<()> {
    while session.transitions < events {
        let mut arrived = None;
        session
            .read(|event| {
                let arrived = *arrived.get_or_insert_with(|| epoch.elapsed());
                let due = Duration::from_nanos(event.value);
                latencies.borrow_mut().record(arrived.saturating_sub(due));
            })
            .await?;
    }
    Ok(())
}

/// Submits each event when it is due, with its due time as the value. Runs in a thread of its own, whose clock is finer than the runtime's.
fn write(mut stream: TcpStream, events: u64, per_second: u32, epoch: Instant) -> anyhow::Result<()> {
    let mut frame = Vec::new();
    for number in 1..=events {
        let due = Duration::from_secs(1) * u32::try_from(number)? / per_second;
        thread::sleep(due.saturating_sub(epoch.elapsed()));
        frame.clear();
        push_frame(&mut frame, &submit(number, due.as_nanos() as u64));
        stream.write_all(&frame).context("the host no longer reads what the writer sends")?;
    }
    Ok(())
}
