//! The parts of the table, one file each.

pub(crate) mod apply;
pub(crate) mod basis;
pub(crate) mod blocks;
pub(crate) mod confirm;
pub(crate) mod crowding;
pub(crate) mod fan_out;
pub(crate) mod join;
pub(crate) mod log;
pub(crate) mod memory;
pub(crate) mod throughput;
pub(crate) mod wake;

use std::time::{Duration, Instant};

use crate::host::{Host, Usage, own_usage};
use crate::report::percent_of_one;

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
