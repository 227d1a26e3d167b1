//! The place that the pool's threads have among all threads of the process: they are behind the others wherever the system lets them choose.

use tracing::warn;

/// Puts this thread behind the others of the process, with this niceness.
pub(super) fn stay_behind(niceness: i32) {
    #[cfg(target_os = "linux")]
    {
        if let Err(error) = affinity::leave_first() {
            warn!(%error, "threads for machines leave no processor to others");
        }
        if let Err(error) = slice::lengthen(niceness) {
            warn!(%error, "threads for machines do not let others run before them");
            // Where the longer slice is not allowed, the niceness may be.
            let _unchanged = rustix::process::setpriority_process(None, niceness);
        }
    }
    // On other systems the priority belongs to the whole process.
    #[cfg(not(target_os = "linux"))]
    let _unused = niceness;
}

/// Keeps this thread off the first of the processors that this process may use, if there are several. Even a thread of lower priority can hold up
/// others for some milliseconds where it runs, so they need a processor where none does.
#[cfg(target_os = "linux")]
mod affinity {
    use rustix::process::getpid;
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    pub(super) fn leave_first() -> rustix::io::Result<()> {
        // Those of the main thread, since this thread may be started by one that has left a processor already.
        let mut processors = sched_getaffinity(Some(getpid()))?;
        let first = (0..CpuSet::MAX_CPU).find(|&processor| processors.is_set(processor));
        if let Some(first) = first.filter(|_| processors.count() > 1) {
            processors.unset(first);
            sched_setaffinity(None, &processors)?;
        }
        Ok(())
    }
}

/// The thread's slice of processor time. Since version 6.12, Linux lets a thread that wakes run at once before one with a longer slice. Before
/// one with the same slice it waits until that slice is over, whatever their niceness: some 1.4 ms on two processors.
#[cfg(target_os = "linux")]
mod slice {
    use std::io;
    use std::mem::size_of;

    use crate::limits::POOL_SLICE_NANOS;

    /// Sets the niceness of this thread, and the longest slice that there is. Older versions of Linux set only the niceness.
    #[expect(
        unsafe_code,
        reason = "no library that we know sets the slice of a thread, and a room beside busy ones needs it"
    )]
    pub(super) fn lengthen(niceness: i32) -> io::Result<()> {
        let attributes = libc::sched_attr {
            size: size_of::<libc::sched_attr>() as u32,
            sched_policy: libc::SCHED_OTHER as u32,
            sched_flags: 0,
            sched_nice: niceness,
            sched_priority: 0,
            sched_runtime: POOL_SLICE_NANOS,
            sched_deadline: 0,
            sched_period: 0,
        };
        let (this_thread, flags) = (0, 0);
        // SAFETY: the call reads `size` bytes from the pointer, which is valid for as many until it returns, and keeps nothing of it.
        let result = unsafe { libc::syscall(libc::SYS_sched_setattr, this_thread, &raw const attributes, flags) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use crate::limits::{POOL_NICENESS, POOL_SLICE_NANOS};

    /// Returns the slice of this thread, if this version of Linux has one for each thread and tells.
    fn slice_nanos() -> Option<u64> {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
        let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
        let account = std::fs::read_to_string("/proc/thread-self/sched").ok()?;
        let slice = account.lines().find(|line| line.starts_with("se.slice"))?.rsplit(' ').next()?.parse().ok()?;
        ((numbers.next()?, numbers.next()?) >= (6, 12)).then_some(slice)
    }

    #[test]
    fn threads_for_machines_have_the_longest_slice_and_their_niceness() {
        let lengthened = || {
            super::slice::lengthen(POOL_NICENESS).unwrap();
            (slice_nanos().unwrap_or(POOL_SLICE_NANOS), rustix::process::getpriority_process(None).unwrap())
        };
        let lengthened = std::thread::spawn(lengthened).join().unwrap();
        assert_eq!(lengthened, (POOL_SLICE_NANOS, POOL_NICENESS));
        assert_ne!(slice_nanos(), Some(POOL_SLICE_NANOS), "this thread has the slice of others");
    }
}
