//! Views of rooms' newest states: made once for each state, and shared by all requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use reapply_sync::{Digest, Fault, Seq, Timestamp};
use serde::de::IgnoredAny;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::{VIEW_UNIT_BYTES, VIEWS_KEPT_BYTES_MAX};

/// A durable state, as the machine shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The last event in it.
    pub seq: Seq,
    /// That event's time.
    pub time: Timestamp,
    /// The build that made it.
    pub digest: Digest,
    /// The view, as JSON.
    pub json: Bytes,
}

/// Checks that a machine's view is JSON, and returns it as bytes.
///
/// # Errors
///
/// The text is not JSON, which is the machine's fault.
pub(super) fn json(text: String) -> Result<Bytes, Fault> {
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(IgnoredAny) => Ok(text.into()),
        Err(error) => Err(Fault::Trapped(format!("its view is not JSON: {error}"))),
    }
}

/// The memory for views that all rooms of a host keep together. Cheap to clone.
#[derive(Clone)]
pub(super) struct ViewMemory(Arc<Semaphore>);

/// A view that is kept until there is a newer state.
pub(super) struct KeptView {
    view: View,
    _memory: OwnedSemaphorePermit,
}

impl ViewMemory {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(VIEWS_KEPT_BYTES_MAX / VIEW_UNIT_BYTES)))
    }

    /// Keeps a view, if there is memory for it.
    pub(super) fn keep(&self, view: &View) -> Option<KeptView> {
        let units = u32::try_from(view.json.len().div_ceil(VIEW_UNIT_BYTES)).ok()?;
        let memory = Arc::clone(&self.0).try_acquire_many_owned(units).ok()?;
        Some(KeptView { view: view.clone(), _memory: memory })
    }
}

/// The view of a room's newest state, once it was made. Clones share it.
#[derive(Clone)]
pub(super) struct NewestView {
    memory: ViewMemory,
    kept: Arc<Mutex<Option<KeptView>>>,
}

impl NewestView {
    pub(super) fn new(memory: ViewMemory) -> Self {
        Self { memory, kept: Arc::default() }
    }

    /// Returns the view, if the newest state is still the one after this event.
    pub(super) fn at(&self, seq: Seq) -> Option<View> {
        self.kept().as_ref()?.at(seq).cloned()
    }

    /// Drops the view of an earlier state, so that its memory is free.
    pub(super) fn forget(&self) {
        *self.kept() = None;
    }

    /// Keeps a view, if there is memory for it.
    pub(super) fn keep(&self, view: &View) {
        let kept = self.memory.keep(view);
        *self.kept() = kept;
    }

    fn kept(&self) -> MutexGuard<'_, Option<KeptView>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeptView {
    /// Returns the view, if the state is still the one after this event.
    pub(super) fn at(&self, seq: Seq) -> Option<&View> {
        (self.view.seq == seq).then_some(&self.view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_kept_for_their_state_and_within_the_memory_of_all() {
        let memory = ViewMemory::new();
        let view = |bytes: usize| {
            let json = json(format!("\"{}\"", "x".repeat(bytes))).unwrap();
            View { seq: Seq(3), time: Timestamp(0), digest: Digest([0; 32]), json }
        };
        let kept = memory.keep(&view(VIEWS_KEPT_BYTES_MAX / 2)).unwrap();
        assert!(kept.at(Seq(3)).is_some() && kept.at(Seq(4)).is_none());
        assert!(memory.keep(&view(VIEWS_KEPT_BYTES_MAX / 2 + 1)).is_none(), "more is kept than there is memory for");
        drop(kept);
        assert!(memory.keep(&view(VIEWS_KEPT_BYTES_MAX / 2 + 1)).is_some());
    }

    #[test]
    fn what_is_not_json_is_the_machines_fault() {
        assert!(json("{\"a\":1}".to_owned()).is_ok());
        assert!(json("{\"a\":1".to_owned()).unwrap_err().to_string().contains("its view is not JSON"));
    }
}
