//! Events, the batches they are journaled in, and the hash chain that binds a log together.
//!
//! An event is encoded once, with postcard. The same bytes are hashed, journaled, and sent to every session.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{Author, ClientId, Digest, LogId, Number, RoomId, Seq, Timestamp};
use crate::limits::COUNT_MAX;

/// One accepted input: together with the state, everything that an `apply` may depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The place in the room's log.
    pub seq: Seq,
    /// The host's clock at acceptance. Never decreases within a room.
    pub time: Timestamp,
    /// Random bits that the host drew at acceptance.
    pub entropy: u64,
    /// The input.
    pub input: Input,
}

/// The input of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A participant sent a transition.
    Transition {
        /// The participant, as the host authenticated them.
        author: Author,
        /// The client that sent it.
        client: ClientId,
        /// The client's number for it.
        number: Number,
        /// The transition, in the machine's own encoding.
        transition: Bytes,
    },
    /// The alarm that the state had set went off. This is the transition that it scheduled.
    Alarm(Bytes),
    /// A participant's first session in the room began.
    Joined(Author),
    /// A participant's last session in the room ended.
    Left(Author),
    /// From here on the room runs this build. Its state is the previous one as this build restores it. Alone in its batch.
    Upgraded(Digest),
    /// The state at `seq` was bound into the chain: `hash` is BLAKE3 of the machine's snapshot of it.
    Checkpoint {
        /// The last event in that state: the end of one of the batches just before.
        seq: Seq,
        /// The hash of the state's snapshot.
        hash: Digest,
    },
    /// From here on the log is that of this room, which shares its past with another one.
    Forked {
        /// The room that begins here.
        room: RoomId,
        /// Random bits, so that no two forks are the same.
        nonce: u64,
    },
}

impl Input {
    /// Returns the participant who caused the event, if any.
    #[must_use]
    pub fn author(&self) -> Option<&Author> {
        match self {
            Self::Transition { author, .. } | Self::Joined(author) | Self::Left(author) => Some(author),
            Self::Alarm(_) | Self::Upgraded(_) | Self::Checkpoint { .. } | Self::Forked { .. } => None,
        }
    }

    /// Returns whether the machine applies the event. The others are the room's own: they do not change the state, except for an upgrade.
    #[must_use]
    pub fn is_for_machine(&self) -> bool {
        match self {
            Self::Transition { .. } | Self::Alarm(_) | Self::Joined(_) | Self::Left(_) => true,
            Self::Upgraded(_) | Self::Checkpoint { .. } | Self::Forked { .. } => false,
        }
    }
}

/// The beginning of a log: everything that its first state depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// The room.
    pub room: RoomId,
    /// The build of the machine that made the first state.
    pub digest: Digest,
    /// The options for `create`, as JSON; empty for the defaults.
    pub options: String,
    /// The host's clock at creation.
    pub time: Timestamp,
    /// Random bits, so that no two logs are the same.
    pub nonce: u64,
}

impl Genesis {
    /// Returns the head of a log that has no events yet.
    #[must_use]
    pub fn chain(&self) -> Chain {
        let bytes = postcard::to_allocvec(self).unwrap_or_default();
        Chain(*blake3::hash(&bytes).as_bytes())
    }

    /// Returns the id of the log that begins here.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.chain().log_id()
    }
}

/// The hash of a log up to some event: BLAKE3 of the chain before it and that event's bytes. Two logs with the same chain
/// are the same log.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain(pub [u8; 32]);

impl Chain {
    /// Returns the chain after one more event.
    #[must_use]
    pub fn after(&self, encoded_event: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(encoded_event);
        Self(*hasher.finalize().as_bytes())
    }

    /// Returns the chain after one more event, which is encoded again. An event of a foreign log may have had other bytes; then the result
    /// is not the log's chain, and a comparison shows that.
    #[must_use]
    pub fn after_event(&self, event: &Event) -> Self {
        self.after(&postcard::to_allocvec(event).unwrap_or_default())
    }

    /// Returns the id of the log that begins here: at its genesis, or at the event that forked it.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0[..16]);
        LogId(id)
    }
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chain({})", Digest(self.0))
    }
}

/// Events of one room that become durable together: one record of the journal.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The log's head before this batch; the journal refuses the batch if its head differs.
    pub expected: Seq,
    /// The events, in order; never empty. The first one's seq is `expected + 1`.
    pub events: Vec<Event>,
    /// Each event's bytes, in the same order: slices of `body`.
    pub encoded: Vec<Bytes>,
    /// The events' bytes, one after the other, as the journal stores them.
    pub body: Bytes,
    /// The log's chain after the last event.
    pub chain: Chain,
}

impl Batch {
    /// Returns the last event's seq.
    #[must_use]
    pub fn last(&self) -> Seq {
        Seq(self.expected.0 + self.events.len() as u64)
    }

    /// Creates a batch of one event of the room's own, after the log's head `expected`.
    #[must_use]
    pub fn of_one(expected: Seq, chain: Chain, time: Timestamp, input: Input) -> Self {
        let mut builder = BatchBuilder::new(expected, chain);
        builder.push(Event { seq: expected.next(), time, entropy: 0, input });
        builder.finish()
    }

    /// Returns the build that the room runs after this batch if it is an upgrade, which is alone in its batch.
    #[must_use]
    pub fn upgrade(&self) -> Option<Digest> {
        match self.events[..] {
            [Event { input: Input::Upgraded(digest), .. }] => Some(digest),
            _ => None,
        }
    }

    /// Returns the part of this batch up to `upto`, which must lie within it.
    #[must_use]
    pub fn up_to(&self, chain_before: Chain, upto: Seq) -> Self {
        let count =
            usize::try_from(upto.0.saturating_sub(self.expected.0)).unwrap_or(usize::MAX).min(self.events.len());
        // The original bytes, since the chain is over them: an event that is encoded again may have others.
        let encoded = self.encoded[..count].to_vec();
        let chain = encoded.iter().fold(chain_before, |chain, event| chain.after(event));
        let body = self.body.slice(..encoded.iter().map(Bytes::len).sum::<usize>());
        Self { expected: self.expected, events: self.events[..count].to_vec(), encoded, body, chain }
    }

    /// Reads a stored body back and proves it: the events must decode to the last byte, follow `expected` one by one, and
    /// lead from `chain_before` to `chain`.
    ///
    /// # Errors
    ///
    /// The body is damaged; the error says at which seq, and how.
    pub fn decode(expected: Seq, chain_before: Chain, body: Bytes, chain: Chain) -> Result<Self, Damage> {
        let batch = Self::open(expected, chain_before, body)?;
        if batch.chain == chain {
            Ok(batch)
        } else {
            Err(Damage { seq: batch.last(), what: "the hash chain does not match".to_owned() })
        }
    }

    /// Reads a body whose chain is proved later: the events must decode to the last byte, and follow `expected` one by one. The batch gets
    /// the chain that they lead to.
    ///
    /// # Errors
    ///
    /// The body is damaged; the error says at which seq, and how.
    pub fn open(expected: Seq, chain_before: Chain, body: Bytes) -> Result<Self, Damage> {
        let mut batch = Self { expected, events: vec![], encoded: vec![], body: body.clone(), chain: chain_before };
        for read in read_events(expected, &body) {
            let (event, range) = read?;
            let encoded = body.slice(range);
            batch.chain = batch.chain.after(&encoded);
            batch.events.push(event);
            batch.encoded.push(encoded);
        }
        if batch.events.is_empty() {
            return Err(Damage { seq: expected.next(), what: "it is missing: its record is empty".to_owned() });
        }
        Ok(batch)
    }

    /// Returns the events of a stored body, unproved, for display.
    ///
    /// # Errors
    ///
    /// The body is damaged; the error says at which seq, and how.
    pub fn read(expected: Seq, body: &[u8]) -> Result<Vec<Event>, Damage> {
        read_events(expected, body).map(|read| read.map(|(event, _)| event)).collect()
    }
}

/// Returns the events of a body, each with its place in it. Ends after the first damage.
fn read_events(expected: Seq, body: &[u8]) -> impl Iterator<Item = Result<(Event, Range<usize>), Damage>> {
    let mut at = 0;
    let mut seq = expected;
    std::iter::from_fn(move || {
        let rest = body.get(at..).filter(|rest| !rest.is_empty())?;
        let start = at;
        at = body.len();
        seq = seq.next();
        if seq.0 > COUNT_MAX {
            return Some(Err(Damage { seq, what: format!("no log goes beyond event {COUNT_MAX}") }));
        }
        let (event, rest) = match postcard::take_from_bytes::<Event>(rest) {
            Ok(read) => read,
            Err(error) => return Some(Err(Damage { seq, what: format!("the event does not decode: {error}") })),
        };
        if event.seq != seq {
            return Some(Err(Damage { seq, what: format!("found event {} in its place", event.seq) }));
        }
        at = body.len() - rest.len();
        Some(Ok((event, start..at)))
    })
}

/// The damage of a stored log, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {seq}: {what}")]
pub struct Damage {
    /// The first event that cannot be trusted.
    pub seq: Seq,
    /// The description of the damage.
    pub what: String,
}

/// The number of events for which a builder takes memory in advance, at most; below, the number of their bytes.
const EVENTS_RESERVED_MAX: usize = 256;
const BYTES_RESERVED_MAX: usize = 32 * 1024;

/// A builder of a [`Batch`], which encodes and hashes each event as it comes.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    expected: Seq,
    events: Vec<Event>,
    ends: Vec<usize>,
    body: Vec<u8>,
    /// The newest event, encoded. Its memory serves all events of the batch.
    newest: Vec<u8>,
    chain: Chain,
}

impl BatchBuilder {
    pub(crate) fn new(expected: Seq, chain: Chain) -> Self {
        Self { expected, events: Vec::new(), ends: Vec::new(), body: Vec::new(), newest: Vec::new(), chain }
    }

    /// Returns an empty builder for the events after these.
    pub(crate) fn next(&self) -> Self {
        // Under load the next batch is about as large as this one, so its memory is taken at once. A room that rests keeps little.
        let events = self.events.len().min(EVENTS_RESERVED_MAX);
        let bytes = self.body.len().min(BYTES_RESERVED_MAX);
        Self {
            events: Vec::with_capacity(events),
            ends: Vec::with_capacity(events),
            body: Vec::with_capacity(bytes),
            ..Self::new(self.last(), self.chain)
        }
    }

    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Returns the last event's seq, or the seq before the first one if there are none.
    pub(crate) fn last(&self) -> Seq {
        Seq(self.expected.0 + self.events.len() as u64)
    }

    pub(crate) fn push(&mut self, event: Event) {
        let start = self.body.len();
        self.newest.clear();
        // Encoding into a growing buffer cannot fail for these types; if it did, the chain would not match and recovery would report it.
        if let Ok(encoded) = postcard::to_extend(&event, std::mem::take(&mut self.newest)) {
            self.body.extend_from_slice(&encoded);
            self.newest = encoded;
        }
        self.chain = self.chain.after(&self.body[start..]);
        self.ends.push(self.body.len());
        self.events.push(event);
    }

    pub(crate) fn finish(self) -> Batch {
        let body = Bytes::from(self.body);
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let encoded = starts.zip(&self.ends).map(|(start, &end)| body.slice(start..end)).collect();
        Batch { expected: self.expected, events: self.events, encoded, body, chain: self.chain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> (Chain, Batch) {
        let start = Chain([1; 32]);
        let mut builder = BatchBuilder::new(Seq(4), start);
        for seq in 5..9 {
            builder.push(Event {
                seq: Seq(seq),
                time: Timestamp(seq),
                entropy: 7,
                input: Input::Alarm(vec![3; 5].into()),
            });
        }
        (start, builder.finish())
    }

    #[test]
    fn a_batch_reads_back_as_it_was_written() {
        let (start, batch) = batch();
        let read = Batch::decode(Seq(4), start, batch.body.clone(), batch.chain).unwrap();
        assert_eq!((read.events, read.encoded, read.chain), (batch.events, batch.encoded, batch.chain));
        assert_eq!(batch.expected.0 + 4, 8);
    }

    #[test]
    fn a_part_of_a_batch_has_the_very_bytes_that_its_chain_is_over() {
        let start = Chain([1; 32]);
        let (_, batch) = batch();
        // The same event, with its seq in two bytes instead of one: the decoder accepts that.
        assert_eq!(batch.body[0], 5);
        let body = [&[0x85, 0x00], &batch.body[1..]].concat();
        let odd = Batch::open(Seq(4), start, body.into()).unwrap();
        assert_eq!(odd.events, batch.events);
        for upto in 5..=8 {
            let part = odd.up_to(start, Seq(upto));
            let read = Batch::decode(Seq(4), start, part.body.clone(), part.chain).unwrap();
            assert_eq!(
                part.chain,
                odd.encoded[..part.events.len()].iter().fold(start, |chain, event| chain.after(event))
            );
            assert_eq!((read.last(), &read.encoded[..]), (Seq(upto), &part.encoded[..]));
        }
    }

    #[test]
    fn no_event_is_read_beyond_the_last_one_that_a_log_may_have() {
        let event =
            |seq| Event { seq: Seq(seq), time: Timestamp(9), entropy: 0, input: Input::Left(Author("x".into())) };
        for last in [COUNT_MAX, COUNT_MAX + 1, u64::MAX] {
            let body = postcard::to_allocvec(&event(last)).unwrap();
            let opened = Batch::open(Seq(last - 1), Chain([0; 32]), body.into());
            let is_within = opened.as_ref().is_ok_and(|batch| batch.last() == Seq(last));
            assert_eq!(is_within, last == COUNT_MAX, "{opened:?}");
        }
        let beyond =
            Batch::open(Seq(u64::MAX), Chain([0; 32]), postcard::to_allocvec(&event(u64::MAX)).unwrap().into());
        assert!(beyond.unwrap_err().to_string().contains("no log goes beyond event 9007199254740991"));
    }

    #[test]
    fn any_flipped_bit_is_found() {
        let (start, batch) = batch();
        for index in 0..batch.body.len() * 8 {
            let mut body = batch.body.to_vec();
            body[index / 8] ^= 1 << (index % 8);
            assert!(Batch::decode(Seq(4), start, body.into(), batch.chain).is_err(), "bit {index}");
        }
        let cut = batch.body.slice(..batch.body.len() - 1);
        assert!(Batch::decode(Seq(4), start, cut, batch.chain).is_err());
    }
}
