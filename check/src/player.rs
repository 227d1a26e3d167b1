//! A room under test: the machine's instances that play it, and the state that each has come to.

use std::collections::BTreeSet;

use bytes::Bytes;
use reapply_sync::Alarm;
use serde_json::Value;

use crate::contract::Contract;
use crate::subject::{Subject, Usage};

/// When every history begins: a day in 2026.
pub(crate) const START: u64 = 1_767_225_600_000_000;

/// Garbage is appended, and bytes are taken off, at steps whose entropy is a multiple of this: 0 is one, so a shortened history does it too.
pub(crate) const GARBAGE_EVERY: u64 = 4;

/// A room, and the machine's instances that play it.
pub(crate) struct Player<'a, S: Subject> {
    pub(crate) contract: &'a Contract,
    pub(crate) main: S,
    pub(crate) twin: S,
    pub(crate) scratch: S,
    pub(crate) now: Moment<S::State>,
    pub(crate) twin_state: S::State,
    /// The newest state, made again from its snapshot. It goes on from there with the next event.
    pub(crate) restored: S::State,
    pub(crate) seq: u64,
    pub(crate) time: u64,
    pub(crate) present: BTreeSet<String>,
    pub(crate) last_transition: Bytes,
    pub(crate) applied: Option<Usage>,
    pub(crate) sounded: Value,
}

/// A state, with its snapshot, its view and its alarm.
pub(crate) struct Moment<T> {
    pub(crate) state: T,
    pub(crate) snapshot: Bytes,
    pub(crate) view: String,
    pub(crate) shown: Value,
    pub(crate) alarm: Option<Alarm>,
}

/// The outcome of a step.
pub(crate) enum Outcome {
    /// The transition is in the log.
    Accepted,
    /// The machine rejected the transition, with this conflict as JSON.
    Conflict(String),
    /// The machine could not read the transition.
    Malformed,
    /// There was nothing to do, or the attempt is not an event.
    Nothing,
    /// Two transitions were applied in both orders.
    Orders {
        /// Whether the two orders lead to different states.
        differ: bool,
    },
}
