//! The data that a room's sessions read: the newest snapshot, and the durable events around and after it, as encoded bytes.
//!
//! The [`Sequencer`](crate::Sequencer) writes the history. Sessions read it at their own pace, each with its own cursor. A batch is encoded
//! once, and all sessions share its bytes. A session that finds its place [`Trimmed`] has fallen too far behind.
//!
//! A large snapshot is sent in parts, so that a slow line shows progress, and a broken transfer goes on where it stopped. Until the snapshot
//! has arrived, the room keeps it and the events after it, within bounds.

mod parts;
mod portion;
pub mod reader;
mod start;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;

use self::parts::Begun;
use self::portion::Portion;
pub use self::portion::{Read, Trimmed};
use crate::event::{Batch, Chain};
use crate::id::{ClientId, Digest, LogId, Seq};
use crate::limits::Limits;
use crate::snapshot::Snapshot;

/// The durable part of a room that is kept in memory. It is shared: the sequencer writes it, and sessions read it.
#[derive(Debug)]
pub struct History {
    log: LogId,
    events_read_bytes: usize,
    inner: RwLock<Inner>,
    handed_out: Mutex<HandedOut>,
}

/// The readers' progress.
#[derive(Debug)]
struct HandedOut {
    /// The last event that any of them has got.
    upto: Seq,
    /// The result of the last read. Readers that wait at the same place, as most do, share it.
    newest: Option<(Seq, Read)>,
}

#[derive(Debug)]
struct Inner {
    /// The newest snapshot, from which recovery and newcomers start. Its seq lies within `floor..=head`.
    base: Arc<Snapshot>,
    base_hash: Digest,
    begun: Begun,
    /// The events after `floor`, encoded.
    events: VecDeque<Bytes>,
    /// The batches of these events, and the chain at `floor`.
    batches: VecDeque<BatchEnd>,
    floor: Seq,
    floor_chain: Chain,
    bytes: usize,
    bytes_after_base: usize,
    readers_tail_bytes: usize,
    chain: Chain,
    /// The seq of the last upgrade since the floor. No tail leads across it.
    upgraded: Seq,
    /// The newest checkpoint.
    checkpoint: Option<Checkpoint>,
}

/// A checkpoint, for readers to compare their states with.
#[derive(Clone, Copy, Debug)]
struct Checkpoint {
    /// The seq of the state, and the state's hash.
    seq: Seq,
    hash: Digest,
    /// Whether readers may have come to that state before the checkpoint was noted. They compare it before they go on.
    is_late: bool,
}

/// The end of a batch of events.
#[derive(Clone, Copy, Debug)]
struct BatchEnd {
    seq: Seq,
    bytes: usize,
    chain: Chain,
}

impl History {
    /// Returns the history of a room whose state is `base`.
    #[must_use]
    pub fn new(log: LogId, base: Snapshot, limits: &Limits) -> Self {
        let base_hash = base.state_hash();
        let inner = Inner {
            floor: base.seq,
            floor_chain: base.chain,
            batches: VecDeque::new(),
            upgraded: base.seq,
            chain: base.chain,
            base: Arc::new(base),
            base_hash,
            begun: Begun::new(limits),
            events: VecDeque::new(),
            bytes: 0,
            bytes_after_base: 0,
            readers_tail_bytes: limits.readers_tail_bytes_min,
            checkpoint: None,
        };
        let events_read_bytes = limits.events_read_bytes;
        let handed_out = HandedOut { upto: Seq(0), newest: None };
        Self { log, events_read_bytes, inner: RwLock::new(inner), handed_out: Mutex::new(handed_out) }
    }

    /// Returns the last durable event.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.with(Inner::head)
    }

    /// Returns the log's chain at [`History::head`].
    #[must_use]
    pub fn chain(&self) -> Chain {
        self.with(|inner| inner.chain)
    }

    /// Returns the id of the log.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.log
    }

    /// Returns the newest snapshot.
    #[must_use]
    pub fn base(&self) -> Arc<Snapshot> {
        self.with(|inner| Arc::clone(&inner.base))
    }

    /// Returns the approximate bytes of memory that the history takes, for limits and figures.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.with(|inner| inner.bytes + inner.base.state.len() + inner.begun.bytes(inner.base.seq))
    }

    /// Returns [`History::bytes`] with those of the list of events, which outweighs small events.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes() + self.with(|inner| inner.events.len() * size_of::<Bytes>())
    }

    /// Returns the next messages for a session that stands at `after`, a portion at a time. Returns `None` if it has everything.
    ///
    /// # Errors
    ///
    /// Fails if the session fell so far behind that the events it needs are no longer in memory.
    pub fn read(&self, after: Seq) -> Result<Option<Read>, Trimmed> {
        let mut handed_out = self.handed_out.lock().unwrap_or_else(PoisonError::into_inner);
        let head = self.head();
        if after == head {
            return Ok(None);
        }
        // A portion that stops before the head is the same for every reader at this place.
        if let Some((from, read)) = &handed_out.newest
            && *from == after
            && (read.has_more || read.upto == head)
        {
            return Ok(Some(read.clone()));
        }
        let portion = self.with(|inner| inner.portion(after, self.events_read_bytes))?;
        let read = portion.encode();
        handed_out.upto = handed_out.upto.max(read.upto);
        handed_out.newest = Some((after, read.clone()));
        Ok(Some(read))
    }

    /// Returns the first place from which events can be read.
    fn floor(&self) -> Seq {
        self.with(|inner| inner.floor)
    }

    /// Handles that a client has the snapshot with this hash, or another one with the same state.
    fn handle_arrived(&self, client: ClientId, hash: Digest) {
        self.with_mut(|inner| inner.begun.handle_arrived(client, hash));
    }

    /// Returns the encoded events after the newest snapshot, in order.
    pub(crate) fn tail(&self) -> Vec<Bytes> {
        self.with(|inner| inner.range(inner.base.seq, inner.head()).cloned().collect())
    }

    pub(crate) fn bytes_after_base(&self) -> usize {
        self.with(|inner| inner.bytes_after_base)
    }

    /// Adds a batch that has become durable.
    pub(crate) fn push(&self, batch: &Batch) {
        self.with_mut(|inner| {
            inner.events.extend(batch.encoded.iter().cloned());
            inner.bytes += batch.body.len();
            inner.bytes_after_base += batch.body.len();
            inner.chain = batch.chain;
            inner.batches.push_back(BatchEnd { seq: batch.last(), bytes: batch.body.len(), chain: batch.chain });
            if batch.upgrade().is_some() {
                inner.upgraded = batch.last();
            }
            inner.begun.grow(batch.body.len(), inner.base.seq);
        });
    }

    /// Notes the hash of the state at `seq`, which is the head. Readers compare theirs when they come there. If some have come there already,
    /// all that stand there compare theirs before they go on.
    pub(crate) fn note_checkpoint(&self, seq: Seq, hash: Digest) {
        let mut handed_out = self.handed_out.lock().unwrap_or_else(PoisonError::into_inner);
        let is_late = handed_out.upto >= seq;
        self.with_mut(|inner| inner.checkpoint = Some(Checkpoint { seq, hash, is_late }));
        // It lacks the checkpoint.
        handed_out.newest = None;
    }

    /// Makes a snapshot of the end of a batch the new base; its state has this hash. Older events stay as long as sending them is cheaper than
    /// sending the snapshot, and for sessions that are still reading them or an earlier snapshot. They are dropped a batch at a time.
    pub(crate) fn rebase(&self, base: Arc<Snapshot>, hash: Digest) {
        self.with_mut(|inner| {
            (inner.base, inner.base_hash) = (base, hash);
            let after_base = inner.batches.iter().rev().take_while(|batch| batch.seq > inner.base.seq);
            inner.bytes_after_base = after_base.map(|batch| batch.bytes).sum();
            inner.begun.handle_rebase(&inner.base);
            let kept_from = inner.begun.first().unwrap_or(inner.base.seq).min(inner.base.seq);
            let bytes_max = inner.base.state.len().max(inner.readers_tail_bytes);
            while let Some(&BatchEnd { seq, bytes, chain }) = inner.batches.front()
                && inner.bytes - bytes >= bytes_max
                && seq <= kept_from
            {
                inner.batches.pop_front();
                inner.events.drain(..(seq.0 - inner.floor.0) as usize);
                inner.bytes -= bytes;
                (inner.floor, inner.floor_chain) = (seq, chain);
            }
        });
    }

    fn with<T>(&self, f: impl FnOnce(&Inner) -> T) -> T {
        f(&self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn with_mut<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner {
    fn head(&self) -> Seq {
        Seq(self.floor.0 + self.events.len() as u64)
    }

    /// Returns the log's chain after the event at `seq`, which lies within `floor..=head`. The chain is known at the end of each batch; from
    /// there it is computed over less than a batch.
    fn chain_at(&self, seq: Seq) -> Chain {
        let ended = self.batches.partition_point(|batch| batch.seq <= seq);
        let (from, chain) = match ended.checked_sub(1) {
            Some(last) => (self.batches[last].seq, self.batches[last].chain),
            None => (self.floor, self.floor_chain),
        };
        self.range(from, seq).fold(chain, |chain, event| chain.after(event))
    }

    /// Returns the encoded events with `after < seq <= upto`, both within `floor..=head`.
    fn range(&self, after: Seq, upto: Seq) -> std::collections::vec_deque::Iter<'_, Bytes> {
        let from = (after.0 - self.floor.0) as usize;
        let to = (upto.0 - self.floor.0) as usize;
        self.events.range(from..to)
    }

    /// Returns the next events for a reader at `after`, up to about this many bytes.
    fn portion(&self, after: Seq, bytes_max: usize) -> Result<Portion, Trimmed> {
        let head = self.head();
        if after < self.floor || after > head {
            return Err(Trimmed { after });
        }
        let mut bytes = 0;
        let fits = |event: &&Bytes| {
            let is_begun = bytes < bytes_max;
            bytes += event.len();
            is_begun
        };
        let events: Vec<Bytes> = self.range(after, head).take_while(fits).cloned().collect();
        let upto = Seq(after.0 + events.len() as u64);
        let is_passed = |checkpoint: &Checkpoint| {
            let Checkpoint { seq, is_late, .. } = *checkpoint;
            (after < seq || is_late && after == seq) && seq <= upto
        };
        let checkpoint = self.checkpoint.filter(is_passed).map(|Checkpoint { seq, hash, .. }| (seq, hash));
        Ok(Portion { after, events, checkpoint, has_more: upto < head })
    }
}
