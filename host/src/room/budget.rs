//! The bytes that all rooms of a host hold, and their maximum.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::system::resident_bytes;

/// The budget of a host's rooms. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes_max: usize,
    bytes: AtomicUsize,
    /// Those of the counted bytes that rooms are expected to need which are being opened. The process does not have them yet.
    opening: AtomicUsize,
    /// Told when the rooms hold more than the maximum, and something has changed.
    exceeded: Notify,
}

/// Bytes that are wanted: as rooms are counted, and as the process holds them, which has those of an opened room already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) counted: usize,
    pub(super) resident: usize,
}

impl Wanted {
    /// Nothing beyond what the rooms hold.
    pub(super) const NOTHING: Self = Self { counted: 0, resident: 0 };
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Shared {
            bytes_max,
            bytes: AtomicUsize::new(0),
            opening: AtomicUsize::new(0),
            exceeded: Notify::new(),
        }))
    }

    pub(super) fn bytes_max(&self) -> usize {
        self.0.bytes_max
    }

    /// Returns the bytes that all rooms count.
    pub(super) fn counted(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Returns the bytes that all rooms hold at most. Rooms count memory that their machines have not written to, but hold no more than the
    /// process does.
    pub(super) fn used(&self) -> usize {
        let counted = self.counted();
        resident_bytes().map_or(counted, |resident| resident.min(counted))
    }

    /// Returns the bytes that are missing for what is wanted; 0 if it fits.
    pub(super) fn missing(&self, wanted: Wanted) -> usize {
        let over = |bytes: usize, more: usize| bytes.saturating_add(more).saturating_sub(self.0.bytes_max);
        match over(self.counted(), wanted.counted) {
            0 => 0,
            missing => resident_bytes().map_or(missing, |resident| {
                let resident = resident.saturating_add(self.0.opening.load(Ordering::Relaxed));
                over(resident, wanted.resident).min(missing)
            }),
        }
    }

    /// Counts what is wanted, if it fits. With `is_opening` it is for a room that has not used it yet, until [`Budget::end_opening`].
    pub(super) fn try_take(&self, wanted: Wanted, is_opening: bool) -> bool {
        let Shared { bytes, bytes_max, opening, .. } = &*self.0;
        let fits = |bytes: usize| bytes.checked_add(wanted.counted).filter(|bytes| bytes <= bytes_max);
        // It is noted before the look, so that of two rooms which do not fit together at least one sees the other.
        let noted = if is_opening { wanted.resident } else { 0 };
        opening.fetch_add(noted, Ordering::Relaxed);
        if bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok() {
            return true;
        }
        if self.missing(Wanted { resident: wanted.resident - noted, ..wanted }) == 0 {
            self.add(wanted.counted);
            return true;
        }
        self.end_opening(noted);
        false
    }

    /// Ends the opening of a room that was expected to need these bytes.
    pub(super) fn end_opening(&self, bytes: usize) {
        self.0.opening.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Counts bytes, whether they fit or not.
    pub(super) fn charge(&self, bytes: usize) -> Charge {
        self.add(bytes);
        Charge { budget: self.clone(), bytes }
    }

    pub(super) fn add(&self, bytes: usize) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, bytes: usize) {
        self.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Wakes the task that waits for [`Budget::exceeded`].
    pub(super) fn tell_exceeded(&self) {
        self.0.exceeded.notify_one();
    }

    /// Waits until somebody says that the rooms hold too much.
    pub(super) async fn exceeded(&self) {
        self.0.exceeded.notified().await;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.subtract(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_counted_only_if_it_fits() {
        let budget = Budget::new(100);
        let wanted = |counted| Wanted { counted, resident: usize::MAX };
        assert!(budget.try_take(wanted(60), false) && budget.try_take(wanted(40), false));
        assert!(!budget.try_take(wanted(1), false));
        assert_eq!((budget.counted(), budget.missing(wanted(1))), (100, 1));
        let charge = budget.charge(30);
        assert_eq!((budget.counted(), budget.missing(wanted(0))), (130, 30));
        drop(charge);
        budget.subtract(40);
        assert!(budget.try_take(wanted(40), false));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_that_no_machine_has_written_to_is_no_reason_to_refuse() {
        let counted = 1 << 40;
        let budget = Budget::new(1 << 39);
        drop(budget.charge(counted));
        let _charge = budget.charge(counted);
        assert!(budget.try_take(Wanted { counted, resident: 1 << 20 }, false));
        assert!(
            !budget.try_take(Wanted { counted, resident: counted }, false),
            "what is about to be written to counts"
        );
        // So does what rooms need that are being opened, although the process does not have it yet.
        let large = Wanted { counted, resident: 3 << 37 };
        assert!(budget.try_take(large, true));
        assert!(!budget.try_take(large, true), "two rooms were admitted that do not fit together");
        budget.end_opening(large.resident);
        assert!(budget.try_take(large, true));
        assert!(budget.used() < counted);
    }
}
