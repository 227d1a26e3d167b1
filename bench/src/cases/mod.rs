//! The parts of the table, one file each.

pub(crate) mod apply;
pub(crate) mod basis;
pub(crate) mod blocks;
pub(crate) mod confirm;
pub(crate) mod crowding;
pub(crate) mod fan_out;
pub(crate) mod growth;
pub(crate) mod join;
pub(crate) mod log;
pub(crate) mod memory;
pub(crate) mod start;
pub(crate) mod throughput;
pub(crate) mod wake;

use std::time::{Duration, Instant};

use crate::host::{Bench, Host, Server, Usage, own_usage};
use crate::report::{Table, medians, percent_of_one};

/// Measures the host and the baseline in turns, as often as the scale says. Prints a row for each with the medians, and below them the host's
/// figures over the baseline's.
async fn compare<const N: usize>(
    bench: &Bench,
    table: &Table,
    what: &str,
    measure: impl AsyncFn(Server) -> anyhow::Result<[f64; N]>,
    cells: impl Fn([f64; N]) -> Vec<String>,
) -> anyhow::Result<()> {
    let (mut host, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..bench.scale.runs {
        host.push(measure(Server::Reapply).await?);
        baseline.push(measure(Server::Baseline).await?);
    }
    let (host, baseline) = (medians(&host), medians(&baseline));
    let ratios = std::array::from_fn::<_, N, _>(|figure| host[figure] / baseline[figure]);
    let show = |ratio: f64| if ratio.is_finite() { format!("{ratio:.2}") } else { "-".to_owned() };
    let row = |what: String, cells: Vec<String>| table.row(&[vec![what], cells].concat());
    row(what.to_owned(), cells(host));
    row(format!("{what}, baseline"), cells(baseline));
    row(format!("{what}, ratio"), ratios.map(show).to_vec());
    Ok(())
}

/// The use of processors by host and client during a load.
struct Meter<'a> {
    host: &'a Host,
    began: Instant,
    host_before: Usage,
    own_before: Usage,
}

/// Returns the use from the beginning to the end.
struct Used {
    elapsed: Duration,
    host_cpu: Duration,
    /// Percent of one processor.
    host_percent: f64,
    own_percent: f64,
    host_rss: f64,
}

impl<'a> Meter<'a> {
    fn start(host: &'a Host) -> anyhow::Result<Self> {
        Ok(Self { host, host_before: host.usage()?, own_before: own_usage()?, began: Instant::now() })
    }

    fn stop(self) -> anyhow::Result<Used> {
        let elapsed = self.began.elapsed();
        let (host_after, own_after) = (self.host.usage()?, own_usage()?);
        let host_cpu = host_after.cpu.saturating_sub(self.host_before.cpu);
        let own_cpu = own_after.cpu.saturating_sub(self.own_before.cpu);
        Ok(Used {
            elapsed,
            host_cpu,
            host_percent: percent_of_one(host_cpu, elapsed),
            own_percent: percent_of_one(own_cpu, elapsed),
            host_rss: host_after.rss,
        })
    }
}
