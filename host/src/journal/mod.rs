//! Storage: what a host remembers when it is off.
//!
//! A [`Journal`] keeps each room's log as [`Record`]s (a record is one batch of events), its snapshots, and the machines'
//! components. The trait is shaped by what every engine can promise, embedded or replicated:
//!
//! - an append names the head it expects, so the storage itself refuses a stale owner;
//! - an append may end [`Appended::Unknown`]; the batch's id, unique to its writer, then tells from the log whether it landed;
//! - nothing is ever changed or deleted but which component a machine currently runs.
//!
//! [`sqlite`] is the embedded engine, the default. `conformance` is what every engine must pass.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reapply_sync::event::Damage;
use reapply_sync::{Batch, Chain, Digest, Genesis, Name, RoomId, Seq, Snapshot, Timestamp};
use tokio::sync::oneshot;

#[cfg(test)]
pub mod conformance;
pub mod directory;
pub mod sqlite;

pub use directory::OpenError;
pub use sqlite::{Opened, SqliteJournal};

/// What every journal's futures are: boxed, so that the trait can be used as `Arc<dyn Journal>`.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, JournalError>>;

/// Stores logs, snapshots and components, durably.
pub trait Journal: Send + Sync {
    /// Appends `record` to the room's log, if `record.expected` is its head.
    ///
    /// Never blocks, and enqueues before it returns: one room's records are stored in the order of the calls. Further
    /// records may be appended while earlier ones are under way; if one is not stored, none after it is. Dropping the answer
    /// does not take the record back.
    fn append(&self, room: &RoomId, record: Record) -> Appending;

    /// Begins a room's log.
    ///
    /// # Errors
    ///
    /// [`JournalError::RoomExists`], besides what any call may answer.
    fn create_room(&self, genesis: Genesis) -> Answer<'_, ()>;

    /// How a room's log begins, and where it ends; `None` if there is no such room.
    fn room(&self, room: &RoomId) -> Answer<'_, Option<RoomRecord>>;

    /// All rooms, or all of one machine, by name: at most `count_max` of those after `after`.
    fn rooms(&self, machine: Option<&Name>, after: Option<&RoomId>, count_max: usize) -> Answer<'_, Vec<RoomRecord>>;

    /// The room's records with events after `after`, in order: as many as fit in `bytes_max` bytes of bodies, but at least
    /// one if there is any. The first may begin at or before `after`, if `after` is not the end of a record.
    fn read(&self, room: &RoomId, after: Seq, bytes_max: usize) -> Answer<'_, Vec<Record>>;

    /// Stores a snapshot of durable events. One at the same seq is of the same state, and stays.
    ///
    /// # Errors
    ///
    /// [`JournalError::SnapshotMismatch`] if the log does not have its seq with its chain, besides what any call may answer.
    fn put_snapshot(&self, room: &RoomId, snapshot: Snapshot) -> Answer<'_, ()>;

    /// The room's newest snapshot, or its newest at or below `at_most`.
    fn snapshot(&self, room: &RoomId, at_most: Option<Seq>) -> Answer<'_, Option<Snapshot>>;

    /// Stores a build. One with the same digest is the same build, and stays.
    fn put_component(&self, component: Component) -> Answer<'_, ()>;

    /// The build with this digest, if it is stored.
    fn component(&self, digest: Digest) -> Answer<'_, Option<Component>>;

    /// Makes a stored build the one that the machine's new rooms run.
    ///
    /// # Errors
    ///
    /// [`JournalError::NoSuchComponent`], besides what any call may answer.
    fn set_current(&self, machine: &Name, digest: Digest, time: Timestamp) -> Answer<'_, ()>;

    /// The machines, by name.
    fn machines(&self) -> Answer<'_, Vec<MachineRecord>>;
}

/// Names a batch for ever: drawn at random by its writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchId(pub u128);

/// A batch of a room's events as it is stored: one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which batch.
    pub id: BatchId,
    /// The log's head before it.
    pub expected: Seq,
    /// The log's head after it.
    pub last: Seq,
    /// The time of its last event.
    pub time: Timestamp,
    /// The events' bytes, one after the other.
    pub body: Bytes,
    /// The log's chain after it.
    pub chain: Chain,
}

impl Record {
    /// The record of `batch`.
    #[must_use]
    pub fn new(id: BatchId, batch: &Batch) -> Self {
        let time = batch.events.last().map(|event| event.time).unwrap_or_default();
        Self { id, expected: batch.expected, last: batch.last(), time, body: batch.body.clone(), chain: batch.chain }
    }

    /// Reads the batch back and proves it, all of its record included.
    ///
    /// # Errors
    ///
    /// Says at which seq the record is damaged, and how.
    pub fn decode(&self, chain_before: Chain) -> Result<Batch, Damage> {
        let batch = Batch::decode(self.expected, chain_before, self.body.clone(), self.chain)?;
        if batch.last() != self.last {
            let what = format!("its record ends at {} where its events end at {}", self.last, batch.last());
            return Err(Damage { seq: batch.last().next(), what });
        }
        if batch.events.last().is_none_or(|event| event.time != self.time) {
            return Err(Damage { seq: self.last, what: "its time differs from its record's".to_owned() });
        }
        Ok(batch)
    }
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The record is durable.
    Committed,
    /// The record was not stored, since it did not expect the log's head. A head beyond the expected one means that another
    /// owner has written; one before it, that an earlier record of the caller's own was not stored.
    Conflict {
        /// The log's head.
        head: Seq,
    },
    /// Whether the record was stored cannot be told now: read the log, and look for the batch's id.
    Unknown,
    /// The record was not stored.
    Failed(JournalError),
}

/// An append under way. It is enqueued already; awaiting it only tells how it ended.
#[derive(Debug)]
pub struct Appending(oneshot::Receiver<Appended>);

impl Appending {
    /// An append, and where its engine answers it. Without an answer, what became of it is unknown.
    #[must_use]
    pub fn new() -> (oneshot::Sender<Appended>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }
}

impl Future for Appending {
    type Output = Appended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Appended> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer.unwrap_or(Appended::Unknown))
    }
}

/// A room, as the journal knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRecord {
    /// How its log begins: the room's name, the build, the options, the time of creation.
    pub genesis: Genesis,
    /// The last event of its log.
    pub head: Seq,
    /// That event's time; the time of creation where there is none.
    pub time: Timestamp,
    /// The log's chain at its head.
    pub chain: Chain,
    /// The last batch, where there is one: it tells the writer of an [`Appended::Unknown`] batch whether that landed.
    pub batch: Option<BatchId>,
}

/// One build of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// BLAKE3 of `bytes`.
    pub digest: Digest,
    /// The component.
    pub bytes: Bytes,
    /// What it says of itself, as JSON.
    pub description: String,
    /// The browser's ES module for it.
    pub browser_js: String,
}

/// A machine, and the build that its new rooms run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineRecord {
    /// The machine's name.
    pub name: Name,
    /// Its current build.
    pub digest: Digest,
    /// When that was deployed.
    pub deployed: Timestamp,
}

/// Why the journal did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The room's log has begun already.
    #[error("the room {0} exists already")]
    RoomExists(RoomId),
    /// The room has no log.
    #[error("there is no room {0}")]
    NoSuchRoom(RoomId),
    /// The build is not stored.
    #[error("no component is stored under the digest {0}")]
    NoSuchComponent(Digest),
    /// The snapshot is not one of this log: its seq is beyond the head, or its chain differs there.
    #[error("the snapshot of {room} at seq {seq} does not belong to the room's log")]
    SnapshotMismatch {
        /// The room.
        room: RoomId,
        /// The snapshot's seq.
        seq: Seq,
    },
    /// The bytes of the component have another digest.
    #[error("the component's bytes do not have the digest {0}")]
    ComponentMismatch(Digest),
    /// More is waiting to be stored or read than the journal holds. Nothing was done; it may be tried again.
    #[error("the journal's queue is full ({waiting} of at most {waiting_max} {unit} are waiting): try again later")]
    QueueFull {
        /// How much is waiting.
        waiting: usize,
        /// The limit.
        waiting_max: usize,
        /// What is counted: bytes or calls.
        unit: &'static str,
    },
    /// The storage failed: the disk is full, or does not read or write.
    #[error("the journal's storage failed: {0}")]
    Storage(String),
    /// What is stored is damaged.
    #[error("the journal is damaged: {0}")]
    Damaged(String),
    /// The journal has been closed.
    #[error("the journal is closed")]
    Closed,
}
