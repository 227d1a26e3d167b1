//! Points where a test can crash the host, to see the state after a crash right there.
//!
//! `REAPPLY_CRASH_AT=committed-not-told:17` ends the process the 17th time that it reaches the point of that name. Nothing is
//! flushed, finished or reported, as with `kill -9`. Release builds have no such points.
//!
//! | point | state of the host |
//! | --- | --- |
//! | `before-commit` | a transaction is written, and not committed |
//! | `committed-not-told` | it is committed, and nobody knows |
//! | `snapshot-half-stored` | a snapshot is written, and its transaction not committed |
//! | `snapshot-stored` | a snapshot is stored, and its checkpoint perhaps not in the log yet |
//! | `component-stored` | a deployment's component is stored, and not current |
//! | `upgrade-not-stored` | a room runs its new build, and its log does not say so |
//! | `upgraded-no-snapshot` | its log says so, and there is no snapshot of the new build |
//! | `trim-half-done` | a log begins later, or some of the earlier rows are removed, and the transaction is not committed |
//! | `staged-not-published` | a fork or an import is whole, and not published |
//! | `backup-half-made` | a backup's file is made, and empty |
//! | `log-half-moved` | the write-ahead log is moved into the database, and not restarted |
//! | `proved-not-mended` | the start has proved the remains of the last crash, and not moved them |
//! | `mended-not-served` | the start has moved them, and nobody is served yet |
//! | `mark-half-set` | the mark that the journal is open is in the log, and not in the database |

/// Reaches the point `name`.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static ARMED: LazyLock<Option<(String, AtomicU64)>> = LazyLock::new(|| {
        let setting = std::env::var("REAPPLY_CRASH_AT").ok()?;
        let (name, count) = setting.split_once(':').unwrap_or((&setting, "1"));
        Some((name.to_owned(), AtomicU64::new(count.parse().ok()?)))
    });
    if let Some((armed, left)) = &*ARMED
        && armed == name
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}

/// Reaches the point `name`, without an effect.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_name: &str) {}
