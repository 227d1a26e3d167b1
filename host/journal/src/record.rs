//! Records: batches of events as they are stored, and the outcomes of storing them.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use reapply_sync::event::Damage;
use reapply_sync::{Batch, Chain, Digest, Seq, Timestamp};
use tokio::sync::oneshot;

use super::JournalError;

/// The id of a batch, drawn at random by its writer, so that it distinguishes this batch from any other in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchId(pub u64);

/// A batch of a room's events as it is stored: one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The id of the batch.
    pub id: BatchId,
    /// The log's head before it.
    pub expected: Seq,
    /// The log's head after it.
    pub last: Seq,
    /// The time of its last event.
    pub time: Timestamp,
    /// The build that the room runs after it, if it upgrades the room.
    pub upgrade: Option<Digest>,
    /// The events' bytes, one after the other.
    pub body: Bytes,
    /// The log's chain after it.
    pub chain: Chain,
}

impl Record {
    /// Returns the record of `batch`.
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

    /// Reads the batch back and proves it, with all of its record.
    ///
    /// # Errors
    ///
    /// The record is damaged; the error says at which seq, and how.
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

/// The outcome of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The record is durable.
    Committed,
    /// The record was not stored, since its expected head is wrong. A head beyond the expected one means that another
    /// owner has written; one before it means that an earlier record of the caller's own was not stored.
    Conflict {
        /// The log's head.
        head: Seq,
    },
    /// The outcome is unknown now: read the log, and look for the batch's id.
    Unknown,
    /// The record was not stored.
    Failed(JournalError),
}

/// An append in progress. It is already enqueued; awaiting it only returns its outcome.
#[derive(Debug)]
pub struct Appending(oneshot::Receiver<Appended>);

impl Appending {
    /// Creates an append, and the channel on which its engine answers. Without an answer, the outcome is unknown.
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
