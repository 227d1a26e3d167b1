//! The processor time of a host's threads: what was done, and where.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use crate::Host;

/// The length of one of the units in which Linux counts a whole process's time.
const TICK: Duration = Duration::from_millis(10);

/// The processor time that a host has taken since its start. Only on Linux.
#[derive(Clone, Debug)]
pub struct ProcessorTime {
    process: Duration,
    /// By the threads' names, of those that still run.
    threads: HashMap<String, Duration>,
}

impl ProcessorTime {
    /// Reads the time of a host that runs.
    ///
    /// # Panics
    ///
    /// The system does not say it.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        let process = format!("/proc/{}", host.process_id());
        let mut threads = HashMap::new();
        for thread in std::fs::read_dir(format!("{process}/task")).expect("the host's threads are listed") {
            let thread = thread.expect("the host's threads are listed").path();
            // A thread may end at any time.
            if let (Ok(name), Ok(stat)) = (read(&thread, "comm"), read(&thread, "schedstat")) {
                let nanos = stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
                *threads.entry(name.trim().to_owned()).or_default() += Duration::from_nanos(nanos.unwrap_or_default());
            }
        }
        let stat = read(Path::new(&process), "stat").expect("the host's time is known");
        // The second field is a name in brackets, and may have spaces; the 14th and 15th are the time in user and in kernel mode.
        let fields = stat.rsplit_once(')').expect("a name ends").1.split_whitespace();
        let ticks = fields.skip(11).take(2).map(|ticks| ticks.parse::<u32>().expect("a time is a number")).sum::<u32>();
        Self { process: TICK * ticks, threads }
    }

    /// Returns the time that the threads of this name have taken since `before`, and the time of all threads that do not run machines.
    #[must_use]
    pub fn since(&self, before: &Self, name: &str) -> (Duration, Duration) {
        let of = |time: &Self, is_wanted: &dyn Fn(&str) -> bool| -> Duration {
            time.threads.iter().filter(|(name, _)| is_wanted(name)).map(|(_, time)| *time).sum()
        };
        let since = |is_wanted: &dyn Fn(&str) -> bool| of(self, is_wanted).saturating_sub(of(before, is_wanted));
        let all = self.process.saturating_sub(before.process);
        (since(&|found| found == name), all.saturating_sub(since(&|found| found.starts_with("machines-"))))
    }
}

fn read(folder: &Path, file: &str) -> std::io::Result<String> {
    std::fs::read_to_string(folder.join(file))
}
