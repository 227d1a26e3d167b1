//! A build that takes over.

use bytes::Bytes;

use crate::id::Digest;
use crate::machine::Alarm;

/// A build that takes over once its event is durable.
#[derive(Debug)]
pub(super) struct Upgrade<M> {
    pub(super) machine: M,
    pub(super) digest: Digest,
    /// The snapshot of the build's first state; below, the alarm of that state.
    pub(super) snapshot: Bytes,
    pub(super) alarm: Option<Alarm>,
}
