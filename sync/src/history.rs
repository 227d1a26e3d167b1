//! What a room's sessions read: the newest snapshot, and the durable events around and after it, as encoded bytes.
//!
//! The [`Sequencer`](crate::Sequencer) writes it; sessions read it at their own pace, each with a cursor of its own. A batch
//! is encoded once and its bytes are shared by all of them. A session that finds its place [`Trimmed`] has fallen too far behind.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;

use crate::event::{Batch, Chain};
use crate::id::{Digest, LogId, Seq};
use crate::limits::{EVENTS_MESSAGE_BYTES, SNAPSHOT_TAIL_BYTES_MIN};
use crate::message::{Resume, ServerMessage, Start};
use crate::snapshot::Snapshot;

/// The durable part of a room that is kept in memory. Shared: the sequencer writes, sessions read.
#[derive(Debug)]
pub struct History {
    log: LogId,
    inner: RwLock<Inner>,
    /// What the last reader got: readers that wait at the same place, as most do, share it.
    newest_read: Mutex<Option<(Seq, Read)>>,
}

#[derive(Debug)]
struct Inner {
    /// The newest snapshot: where recovery and newcomers start. Its seq lies within `floor..=head`.
    base: Arc<Snapshot>,
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
    /// The last upgrade since the floor. No tail leads across it.
    upgraded: Seq,
    checkpoint: Option<(Seq, Digest)>,
}

/// Where a batch of events ends.
#[derive(Clone, Copy, Debug)]
struct BatchEnd {
    seq: Seq,
    bytes: usize,
    chain: Chain,
}

/// Messages for a session, and the seq that it stands at after them.
#[derive(Clone, Debug)]
pub struct Read {
    /// Encoded messages, in order; send them in one write.
    pub messages: Arc<[Bytes]>,
    /// The session's new place.
    pub upto: Seq,
}

/// The events that a session needs next are no longer in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the events after {after} are no longer in memory")]
pub struct Trimmed {
    /// The session's place.
    pub after: Seq,
}

impl History {
    /// The history of a room that stands at `base`. It keeps this many bytes of events for readers, at least.
    #[must_use]
    pub fn new(log: LogId, base: Snapshot, readers_tail_bytes: usize) -> Self {
        let inner = Inner {
            floor: base.seq,
            floor_chain: base.chain,
            batches: VecDeque::new(),
            upgraded: base.seq,
            chain: base.chain,
            base: Arc::new(base),
            events: VecDeque::new(),
            bytes: 0,
            bytes_after_base: 0,
            readers_tail_bytes,
            checkpoint: None,
        };
        Self { log, inner: RwLock::new(inner), newest_read: Mutex::new(None) }
    }

    /// The last durable event.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.with(Inner::head)
    }

    /// The log's chain at [`History::head`].
    #[must_use]
    pub fn chain(&self) -> Chain {
        self.with(|inner| inner.chain)
    }

    /// Which log this is.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.log
    }

    /// The newest snapshot.
    #[must_use]
    pub fn base(&self) -> Arc<Snapshot> {
        self.with(|inner| Arc::clone(&inner.base))
    }

    /// Bytes of memory that this takes, about: for limits and figures.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.with(|inner| inner.bytes + inner.base.state.len())
    }

    /// Where a session starts, and its first place. The tail is chosen where the replica's state is of this log and build, its chain is this
    /// log's chain there, and the events that it lacks are in memory and no longer than a snapshot would be.
    #[must_use]
    pub fn start(&self, resume: Option<Resume>) -> (Start, Seq) {
        self.with(|inner| {
            let tail = resume.filter(|resume| {
                let known = inner.floor.max(inner.upgraded) <= resume.seq && resume.seq <= inner.head();
                let same = resume.log == self.log && resume.digest == inner.base.digest;
                known && same && inner.chain_at(resume.seq) == resume.chain && inner.is_tail_cheaper(resume.seq)
            });
            match tail {
                Some(resume) => (Start::Tail, resume.seq),
                None => (inner.start_from_base(), inner.base.seq),
            }
        })
    }

    /// What a session that stands at `after` has to be sent: nothing, if it has everything.
    ///
    /// # Errors
    ///
    /// The session fell so far behind that the events it needs are gone from memory.
    pub fn read(&self, after: Seq) -> Result<Option<Read>, Trimmed> {
        let mut newest_read = self.newest_read.lock().unwrap_or_else(PoisonError::into_inner);
        let head = self.head();
        if after == head {
            return Ok(None);
        }
        if let Some((from, read)) = &*newest_read
            && *from == after
            && read.upto == head
        {
            return Ok(Some(read.clone()));
        }
        let read = self.with(|inner| inner.read(after))?;
        *newest_read = Some((after, read.clone()));
        Ok(Some(read))
    }

    /// The encoded events after the newest snapshot, in order.
    pub(crate) fn tail(&self) -> Vec<Bytes> {
        self.with(|inner| inner.range(inner.base.seq, inner.head()).cloned().collect())
    }

    pub(crate) fn bytes_after_base(&self) -> usize {
        self.with(|inner| inner.bytes_after_base)
    }

    /// A batch has become durable.
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
        });
    }

    /// A snapshot of the head has been taken: it is the new base, and a checkpoint. Older events stay as long as sending them is
    /// cheaper than sending it, and for sessions that are still reading them. They go a batch at a time.
    pub(crate) fn rebase(&self, base: Snapshot) {
        self.with_mut(|inner| {
            inner.checkpoint = Some((base.seq, base.state_hash()));
            inner.base = Arc::new(base);
            inner.bytes_after_base = 0;
            let bytes_max = inner.base.state.len().max(inner.readers_tail_bytes);
            while let Some(&BatchEnd { seq, bytes, chain }) = inner.batches.front()
                && inner.bytes - bytes >= bytes_max
                && seq <= inner.base.seq
            {
                inner.batches.pop_front();
                inner.events.drain(..(seq.0 - inner.floor.0) as usize);
                inner.bytes -= bytes;
                (inner.floor, inner.floor_chain) = (seq, chain);
            }
        });
        // It lacks the checkpoint.
        *self.newest_read.lock().unwrap_or_else(PoisonError::into_inner) = None;
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

    fn start_from_base(&self) -> Start {
        let Snapshot { seq, state_version, time, chain, state, .. } = &*self.base;
        Start::Snapshot { seq: *seq, state_version: *state_version, time: *time, chain: *chain, state: state.clone() }
    }

    /// The log's chain after the event at `seq`, which lies within `floor..=head`: at the end of a batch it is known, and from there it is
    /// followed for less than a batch.
    fn chain_at(&self, seq: Seq) -> Chain {
        let ended = self.batches.partition_point(|batch| batch.seq <= seq);
        let (from, chain) = match ended.checked_sub(1) {
            Some(last) => (self.batches[last].seq, self.batches[last].chain),
            None => (self.floor, self.floor_chain),
        };
        self.range(from, seq).fold(chain, |chain, event| chain.after(event))
    }

    /// Whether a replica that stands at `after` is brought up to date by fewer bytes with the events it lacks than with the snapshot.
    fn is_tail_cheaper(&self, after: Seq) -> bool {
        let bytes_max = self.base.state.len().max(SNAPSHOT_TAIL_BYTES_MIN);
        let mut bytes = 0;
        let mut fits = self.range(after, self.base.seq.max(after)).map(|event| {
            bytes += event.len();
            bytes <= bytes_max
        });
        fits.all(|fits| fits)
    }

    /// The encoded events with `after < seq <= upto`, both within `floor..=head`.
    fn range(&self, after: Seq, upto: Seq) -> std::collections::vec_deque::Iter<'_, Bytes> {
        let from = (after.0 - self.floor.0) as usize;
        let to = (upto.0 - self.floor.0) as usize;
        self.events.range(from..to)
    }

    fn read(&self, after: Seq) -> Result<Read, Trimmed> {
        let head = self.head();
        if after < self.floor || after > head {
            return Err(Trimmed { after });
        }
        let mut messages = Vec::new();
        match self.checkpoint.filter(|&(seq, _)| after < seq && seq <= head) {
            Some((seq, hash)) => {
                self.push_events(&mut messages, after, seq);
                messages.push(ServerMessage::Checkpoint { seq, hash }.encode());
                self.push_events(&mut messages, seq, head);
            }
            None => self.push_events(&mut messages, after, head),
        }
        Ok(Read { messages: messages.into(), upto: head })
    }

    /// Adds the events `after..=upto` as `Events` messages of about [`EVENTS_MESSAGE_BYTES`] each.
    fn push_events(&self, messages: &mut Vec<Bytes>, after: Seq, upto: Seq) {
        let mut from = after;
        let mut bytes = 0;
        for (event, seq) in self.range(after, upto).zip(after.0 + 1..) {
            bytes += event.len();
            if bytes >= EVENTS_MESSAGE_BYTES {
                messages.push(ServerMessage::encode_events(self.range(from, Seq(seq))));
                (from, bytes) = (Seq(seq), 0);
            }
        }
        if from < upto {
            messages.push(ServerMessage::encode_events(self.range(from, upto)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{BatchBuilder, Event, Input};
    use crate::id::{Author, Timestamp};
    use crate::limits::READERS_TAIL_BYTES_MIN;

    fn base(seq: u64) -> Snapshot {
        Snapshot {
            seq: Seq(seq),
            digest: Digest([1; 32]),
            state_version: 1,
            time: Timestamp(0),
            chain: Chain([0; 32]),
            clients: vec![],
            forgotten: None,
            present: vec![],
            state: Bytes::from_static(b"state"),
        }
    }

    fn batch(after: u64, count: u64, bytes: usize) -> Batch {
        batch_after(Chain([0; 32]), after, count, bytes)
    }

    fn batch_after(chain: Chain, after: u64, count: u64, bytes: usize) -> Batch {
        let mut builder = BatchBuilder::new(Seq(after), chain);
        for seq in after + 1..=after + count {
            let input = Input::Joined(Author("x".repeat(bytes).into()));
            builder.push(Event { seq: Seq(seq), time: Timestamp(0), entropy: 0, input });
        }
        builder.finish()
    }

    fn seqs(read: &Read) -> Vec<String> {
        let describe = |message: &Bytes| match ServerMessage::decode(message).unwrap() {
            ServerMessage::Events(events) => format!("{}..={}", events[0].seq, events[events.len() - 1].seq),
            ServerMessage::Checkpoint { seq, .. } => format!("checkpoint {seq}"),
            other => panic!("{other:?}"),
        };
        read.messages.iter().map(describe).collect()
    }

    #[test]
    fn each_reader_gets_what_it_lacks_and_checkpoints_at_their_seq() {
        let history = History::new(LogId([0; 16]), base(0), READERS_TAIL_BYTES_MIN);
        history.push(&batch(0, 3, 1));
        assert_eq!(seqs(&history.read(Seq(1)).unwrap().unwrap()), ["2..=3"]);
        history.rebase(base(3));
        history.push(&batch(3, 2, 1));
        assert_eq!(seqs(&history.read(Seq(1)).unwrap().unwrap()), ["2..=3", "checkpoint 3", "4..=5"]);
        assert_eq!(seqs(&history.read(Seq(3)).unwrap().unwrap()), ["4..=5"]);
        assert!(history.read(Seq(5)).unwrap().is_none());
        assert!(history.read(Seq(6)).is_err());
    }

    #[test]
    fn a_reader_that_comes_after_the_checkpoint_gets_it_though_another_came_before() {
        let history = History::new(LogId([0; 16]), base(0), READERS_TAIL_BYTES_MIN);
        history.push(&batch(0, 3, 1));
        assert_eq!(seqs(&history.read(Seq(0)).unwrap().unwrap()), ["1..=3"]);
        history.rebase(base(3));
        assert_eq!(seqs(&history.read(Seq(0)).unwrap().unwrap()), ["1..=3", "checkpoint 3"]);
    }

    #[test]
    fn long_reads_are_split_and_miss_nothing() {
        let history = History::new(LogId([0; 16]), base(0), READERS_TAIL_BYTES_MIN);
        history.push(&batch(0, 100, EVENTS_MESSAGE_BYTES / 10));
        let read = history.read(Seq(0)).unwrap().unwrap();
        assert!(read.messages.len() >= 10);
        let mut next = 1;
        for message in read.messages.iter() {
            let ServerMessage::Events(events) = ServerMessage::decode(message).unwrap() else { panic!() };
            for event in events {
                assert_eq!(event.seq, Seq(next));
                next += 1;
            }
        }
        assert_eq!(next, 101);
    }

    #[test]
    fn a_resume_gets_the_tail_while_it_is_shorter_than_a_snapshot() {
        let history = History::new(LogId([0; 16]), base(0), READERS_TAIL_BYTES_MIN);
        let mut batches = vec![batch(0, 50, 1000)];
        for (after, count, bytes) in [(50, 50, 1000), (100, 1, 1)] {
            batches.push(batch_after(batches[batches.len() - 1].chain, after, count, bytes));
        }
        let mut chains = vec![Chain([0; 32])];
        for event in batches.iter().flat_map(|batch| &batch.encoded) {
            chains.push(chains[chains.len() - 1].after(event));
        }
        let resume = |seq: u64| {
            let chain = chains.get(seq as usize).copied().unwrap_or(Chain([0; 32]));
            Some(Resume { log: LogId([0; 16]), digest: Digest([1; 32]), seq: Seq(seq), chain })
        };
        history.push(&batches[0]);
        history.push(&batches[1]);
        history.rebase(base(100));
        history.push(&batches[2]);
        assert_eq!(history.start(resume(100)), (Start::Tail, Seq(100)));
        assert_eq!(history.start(resume(90)), (Start::Tail, Seq(90)));
        assert_eq!(history.start(resume(101)), (Start::Tail, Seq(101)));
        let other_past = Some(Resume { chain: chains[89], ..resume(90).unwrap() });
        assert!(matches!(history.start(other_past), (Start::Snapshot { .. }, Seq(100))), "of another past");
        assert!(matches!(history.start(resume(1)), (Start::Snapshot { .. }, Seq(100))), "longer than a snapshot");
        assert!(matches!(history.start(resume(102)), (Start::Snapshot { .. }, Seq(100))), "from the future");
        assert!(matches!(history.start(None), (Start::Snapshot { .. }, Seq(100))));
        let other_log = Some(Resume { log: LogId([9; 16]), ..resume(100).unwrap() });
        assert!(matches!(history.start(other_log), (Start::Snapshot { .. }, Seq(100))));
    }

    #[test]
    fn a_snapshot_cuts_off_only_those_who_fell_far_behind() {
        let history = History::new(LogId([0; 16]), base(0), READERS_TAIL_BYTES_MIN);
        let half = READERS_TAIL_BYTES_MIN / 2000;
        history.push(&batch(0, half as u64, 1000));
        history.rebase(base(half as u64));
        assert!(history.read(Seq(0)).is_ok(), "the largest batch can be read after the snapshot that follows it");
        history.push(&batch(half as u64, 2 * half as u64, 1000));
        history.rebase(base(3 * half as u64));
        assert_eq!(history.read(Seq(0)).unwrap_err(), Trimmed { after: Seq(0) });
        assert!(history.read(Seq(2 * half as u64)).is_ok());
    }
}
