//! Reading the authors of stored events and nothing else of them, for an index: without a copy, and without a proof.

use serde::Deserialize;

use crate::id::Seq;

/// The events of a stored body, each with its author, in order. Ends before the first event that does not decode.
#[derive(Clone, Debug)]
pub struct Authors<'a> {
    rest: &'a [u8],
}

/// Returns the events of a stored body with their authors.
#[must_use]
pub fn authors(body: &[u8]) -> Authors<'_> {
    Authors { rest: body }
}

impl<'a> Iterator for Authors<'a> {
    type Item = (Seq, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        let (event, rest) = postcard::take_from_bytes::<Event<'a>>(self.rest).ok()?;
        self.rest = rest;
        Some((Seq(event.seq), event.input.author()))
    }
}

/// The encoding of [`crate::event::Event`], borrowed.
#[derive(Deserialize)]
struct Event<'a> {
    seq: u64,
    _time: u64,
    _entropy: u64,
    #[serde(borrow)]
    input: Input<'a>,
}

/// The encoding of [`crate::event::Input`], borrowed.
#[derive(Deserialize)]
#[expect(dead_code, reason = "bytes are read to get past them")]
enum Input<'a> {
    Transition { author: &'a str, _client: [u8; 16], _number: u64, _transition: &'a [u8] },
    Alarm(&'a [u8]),
    Joined(&'a str),
    Left(&'a str),
    Upgraded([u8; 32]),
    Checkpoint { _seq: u64, _hash: [u8; 32] },
    Forked { _room: (&'a str, &'a str), _nonce: u64 },
}

impl<'a> Input<'a> {
    fn author(&self) -> Option<&'a str> {
        match self {
            Self::Transition { author, .. } | Self::Joined(author) | Self::Left(author) => Some(author),
            Self::Alarm(_) | Self::Upgraded(_) | Self::Checkpoint { .. } | Self::Forked { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::{BatchBuilder, Chain, Event, Input};
    use crate::id::{Author, ClientId, Digest, Number, RoomId, Timestamp};

    #[test]
    fn the_authors_are_those_of_the_decoded_events() {
        let author = |name: &str| Author(name.into());
        let room = RoomId { machine: "counter".parse().unwrap(), room: "lobby".parse().unwrap() };
        let transition = |name: &str, bytes: usize| Input::Transition {
            author: author(name),
            client: ClientId([200; 16]),
            number: Number(1 << 40),
            transition: Bytes::from(vec![255; bytes]),
        };
        let inputs = [
            transition("ann", 0),
            Input::Alarm(Bytes::from_static(b"alarm")),
            Input::Joined(author("bob")),
            Input::Left(author("")),
            Input::Upgraded(Digest([201; 32])),
            Input::Checkpoint { seq: Seq(300), hash: Digest([202; 32]) },
            Input::Forked { room, nonce: u64::MAX },
            transition("zoë", 70_000),
        ];
        let mut builder = BatchBuilder::new(Seq(500), Chain([0; 32]));
        for (seq, input) in (501..).map(Seq).zip(inputs) {
            builder.push(Event { seq, time: Timestamp(1 << 50), entropy: u64::MAX, input });
        }
        let batch = builder.finish();
        let expected = batch.events.iter().map(|event| (event.seq, event.input.author().map(|author| &*author.0)));
        assert!(authors(&batch.body).eq(expected), "{:?}", authors(&batch.body).collect::<Vec<_>>());
        let cut = &batch.body[..batch.body.len() - 1];
        assert_eq!(authors(cut).count(), batch.events.len() - 1);
    }
}
