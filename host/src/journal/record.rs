//! Records: batches of events as they are stored, and what becomes of them.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use reapply_sync::event::Damage;
use reapply_sync::{Batch, Chain, Digest, Seq, Timestamp};
use tokio::sync::oneshot;

use super::JournalError;

/// Names a batch: drawn at random by its writer, so that it tells this batch from any other that might stand in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchId(pub u64);

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
    /// The build that the room runs after it, where it upgrades the room.
    pub upgrade: Option<Digest>,
    /// The events' bytes, one after the other.
    pub body: Bytes,
    /// The log's chain after it.
    pub chain: Chain,
}

impl Record {
    /// The record of `batch`.
    #[must_use]
    pub fn new(id: BatchId, batch: &Batch) -> Self {
        Self {
            id,
            expected: batch.expected,
            last: batch.last(),
            time: batch.events.last().map(|event| event.time).unwrap_or_default(),
            upgrade: batch.upgrade(),
            body: batch.body.clone(),
            chain: batch.chain,
        }
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
        if batch.upgrade() != self.upgrade {
            let what = "the build that its record upgrades to is not that of its events".to_owned();
            return Err(Damage { seq: self.last, what });
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
