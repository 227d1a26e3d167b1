//! Whether the JSON of texts has the deleted characters.

use std::cell::Cell;

thread_local! {
    /// Whether the JSON of texts has the deleted characters.
    static HAS_DELETED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, during which the JSON of texts also has the deleted characters. User interfaces do not need them, but a transition that
/// holds a text must survive the way through JSON.
pub(crate) fn with_deleted<R>(f: impl FnOnce() -> R) -> R {
    /// A guard that restores the former value, even if `f` panics.
    struct Before(bool);

    impl Drop for Before {
        fn drop(&mut self) {
            HAS_DELETED.set(self.0);
        }
    }

    let _before = Before(HAS_DELETED.replace(true));
    f()
}

/// Returns whether the JSON of texts has the deleted characters now.
pub(super) fn has_deleted() -> bool {
    HAS_DELETED.get()
}
