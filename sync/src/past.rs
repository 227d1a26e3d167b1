//! The data needed to see a past moment of a room, elsewhere than on its host.
//!
//! A host answers with a [`Past`]: a starting point, and the records of the log from there to the moment. A page with the builds that it
//! names replays it. A long past comes in parts: each request names the last event of the part before.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::event::{Batch, Damage, Event, Genesis};
use crate::id::{LogId, Seq};
use crate::message::DecodeError;
use crate::snapshot::Snapshot;

/// A part of a room's past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The log of this past.
    pub log: LogId,
    /// The last event in the requested moment, which was given by seq or by time.
    pub seq: Seq,
    /// The log's last durable event.
    pub head: Seq,
    /// The starting point of the replay.
    pub origin: Origin,
    /// The records from there, in order; at most [`PAST_BYTES_MAX`](crate::limits::PAST_BYTES_MAX) bytes of them, and at least one if there
    /// are any.
    pub records: Vec<PastRecord>,
}

/// The starting point of a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// At the room's first state.
    Genesis(Genesis),
    /// At a snapshot, without the parts that are only for the room.
    Snapshot(Snapshot),
    /// At this event: the requester holds the state there, and no snapshot is nearer to the moment.
    Held(Seq),
}

/// Events that became durable together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRecord {
    /// The event before the first one.
    pub expected: Seq,
    /// The last event.
    pub last: Seq,
    /// The events' bytes, as the journal stores them.
    pub body: Bytes,
}

impl Past {
    /// Returns the event that the replay begins after.
    #[must_use]
    pub fn from(&self) -> Seq {
        match &self.origin {
            Origin::Genesis(_) => Seq(0),
            Origin::Snapshot(snapshot) => snapshot.seq,
            Origin::Held(seq) => *seq,
        }
    }

    /// Returns the last event that this part holds. If it is before [`Past::seq`], another part follows.
    #[must_use]
    pub fn last(&self) -> Seq {
        self.records.last().map_or(self.from(), |record| record.last)
    }

    /// Returns the events, of which the first one follows the origin.
    ///
    /// # Errors
    ///
    /// The events do not decode, or do not follow each other; the error says at which seq.
    pub fn events(&self) -> Result<Vec<Event>, Damage> {
        let mut events: Vec<Event> = Vec::new();
        let mut head = self.from();
        for record in &self.records {
            // A record may begin before the origin: snapshots are at the ends of batches, but a held state may end anywhere.
            if record.expected > head {
                let what = format!("the record before it ends at {head}");
                return Err(Damage { seq: record.expected.next(), what });
            }
            let read = Batch::read(record.expected, &record.body)?;
            events.extend(read.into_iter().filter(|event| event.seq > head));
            head = events.last().map_or(head, |event| event.seq);
            if head != record.last {
                return Err(Damage { seq: record.last, what: format!("the record's events end at {head}") });
            }
        }
        Ok(events)
    }

    /// Encodes the past as bytes, for [`Past::decode`].
    #[must_use]
    pub fn encode(&self) -> Bytes {
        // Writing these types to memory cannot fail; an empty answer, if it were ever sent, would be refused by its reader.
        postcard::to_allocvec(self).unwrap_or_default().into()
    }

    /// Reads what [`Past::encode`] wrote. Never panics, whatever the bytes.
    ///
    /// # Errors
    ///
    /// The bytes are not a past.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match postcard::take_from_bytes(bytes) {
            Ok((past, [])) => Ok(past),
            Ok((_, rest)) => Err(DecodeError::Malformed(format!("{} bytes follow the past", rest.len()))),
            Err(error) => Err(DecodeError::Malformed(error.to_string())),
        }
    }
}

impl From<Snapshot> for Origin {
    fn from(snapshot: Snapshot) -> Self {
        Self::Snapshot(Snapshot { clients: Vec::new(), forgotten: None, present: Vec::new(), ..snapshot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{BatchBuilder, Input};
    use crate::id::{Author, Digest, Timestamp};

    fn record(expected: u64, count: u64) -> PastRecord {
        let mut builder = BatchBuilder::new(Seq(expected), crate::Chain([0; 32]));
        for seq in expected + 1..=expected + count {
            let input = Input::Left(Author("someone".into()));
            builder.push(Event { seq: Seq(seq), time: Timestamp(seq * 10), entropy: 3, input });
        }
        let batch = builder.finish();
        PastRecord { expected: batch.expected, last: batch.last(), body: batch.body }
    }

    fn past(origin: Origin, records: Vec<PastRecord>) -> Past {
        Past { log: LogId([7; 16]), seq: Seq(9), head: Seq(40), origin, records }
    }

    fn genesis() -> Genesis {
        let room = crate::RoomId { machine: "counter".parse().unwrap(), room: "lobby".parse().unwrap() };
        Genesis { room, digest: Digest([1; 32]), options: String::new(), time: Timestamp(5), nonce: 2 }
    }

    #[test]
    fn a_past_reads_back_and_no_cut_or_longer_one_does() {
        let past = past(Origin::Genesis(genesis()), vec![record(0, 4), record(4, 6)]);
        let bytes = past.encode();
        assert_eq!(Past::decode(&bytes).as_ref(), Ok(&past));
        assert_eq!((past.from(), past.last()), (Seq(0), Seq(10)));
        let seqs: Vec<_> = past.events().unwrap().iter().map(|event| event.seq.0).collect();
        assert_eq!(seqs, (1..=10).collect::<Vec<_>>());
        for length in 0..bytes.len() {
            assert!(Past::decode(&bytes[..length]).is_err(), "{length} bytes were read");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(Past::decode(&longer).unwrap_err().to_string().contains("1 bytes follow"));
    }

    #[test]
    fn records_that_begin_before_the_origin_are_read_from_there() {
        let past = past(Origin::Held(Seq(6)), vec![record(4, 6)]);
        let seqs: Vec<_> = past.events().unwrap().iter().map(|event| event.seq.0).collect();
        assert_eq!(seqs, [7, 8, 9, 10]);
    }

    #[test]
    fn records_that_do_not_follow_each_other_are_refused() {
        let gap = past(Origin::Held(Seq(4)), vec![record(4, 2), record(7, 2)]);
        assert_eq!(gap.events().unwrap_err().to_string(), "event 8: the record before it ends at 6");
        let mut short = record(4, 2);
        short.last = Seq(9);
        let short = past(Origin::Held(Seq(4)), vec![short]);
        assert_eq!(short.events().unwrap_err().to_string(), "event 9: the record's events end at 6");
        let again = past(Origin::Held(Seq(4)), vec![record(4, 3), record(4, 2)]);
        assert!(again.events().is_err());
    }

    #[test]
    fn a_snapshot_goes_out_without_what_the_room_keeps_for_itself() {
        let snapshot = Snapshot {
            seq: Seq(3),
            digest: Digest([1; 32]),
            state_version: 1,
            time: Timestamp(30),
            chain: crate::Chain([2; 32]),
            clients: vec![],
            forgotten: None,
            present: vec![Author("someone".into())],
            state: vec![1, 2, 3].into(),
        };
        let Origin::Snapshot(sent) = snapshot.clone().into() else { panic!("it is a snapshot") };
        assert!(sent.present.is_empty());
        assert_eq!((sent.seq, sent.chain, sent.state), (snapshot.seq, snapshot.chain, snapshot.state));
    }
}
