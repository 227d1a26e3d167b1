//! The memory of this machine and of this process.

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, get_current_pid};
use tracing::warn;

/// The share of the system's memory that is for rooms by default: one of this many.
pub const ROOMS_MEMORY_SHARE: u64 = 2;

/// The minimum of the default memory for rooms, in bytes. One room may need most of it while it is opened.
pub const ROOMS_MEMORY_BYTES_MIN: usize = 256 * 1024 * 1024;

/// Returns the default memory for rooms in bytes: a share of the memory of the machine or, if that is less, of the process's cgroup.
#[must_use]
pub fn rooms_memory_default() -> usize {
    let Some(total) = total_bytes() else {
        warn!("the memory of this machine is unknown, so rooms get the minimum; set --rooms-memory");
        return ROOMS_MEMORY_BYTES_MIN;
    };
    usize::try_from(total / ROOMS_MEMORY_SHARE).unwrap_or(usize::MAX).max(ROOMS_MEMORY_BYTES_MIN)
}

/// Returns the bytes of memory that this process may use at most; `None` if the system does not tell.
fn total_bytes() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let machine = Some(system.total_memory()).filter(|bytes| *bytes > 0)?;
    let pid = get_current_pid().ok()?;
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, ProcessRefreshKind::nothing());
    let own = system.process(pid).and_then(sysinfo::Process::cgroup_limits);
    let cgroup = own.or_else(|| system.cgroup_limits()).map(|limits| limits.total_memory);
    Some(cgroup.filter(|bytes| *bytes > 0).map_or(machine, |bytes| bytes.min(machine)))
}

/// Returns the bytes of this process's own memory that the system holds for it now, without files; `None` if the system does not tell.
#[must_use]
pub fn resident_bytes() -> Option<usize> {
    resident_bytes_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// Reads the line `RssAnon:  1234 kB`.
fn resident_bytes_in(status: &str) -> Option<usize> {
    let resident = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    resident.trim().strip_suffix(" kB")?.parse::<usize>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_get_a_share_of_the_memory_that_there_is() {
        let total = total_bytes().unwrap();
        let rooms = rooms_memory_default();
        assert!(rooms >= ROOMS_MEMORY_BYTES_MIN);
        assert!(rooms == ROOMS_MEMORY_BYTES_MIN || rooms as u64 == total / ROOMS_MEMORY_SHARE, "{rooms} of {total}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_that_is_written_to_is_resident() {
        let written = vec![1_u8; 256 << 20];
        let resident = resident_bytes().unwrap();
        assert!(resident >= written.len(), "{resident}");
        assert_eq!(resident_bytes_in("VmRSS:\t 900 kB\nRssAnon:\t 200 kB\n"), Some(200 * 1024));
        assert_eq!(resident_bytes_in("VmRSS:\t 900 kB\n"), None);
    }
}
