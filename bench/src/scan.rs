//! Reads `Events` frames without building events: only the fields that a benchmark needs.

use anyhow::{Context, bail};
use reapply_sync::ClientId;

/// The fields of a transition's event that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    pub(crate) client: ClientId,
    pub(crate) number: u64,
    /// The value that the transition sets its cell to.
    pub(crate) value: u64,
}

/// The discriminant that postcard gives `ServerMessage::Events`.
const EVENTS_TAG: u8 = 1;

/// The discriminants of `Input::Transition`, of `Input::Checkpoint`, and of `cells::Transition::Set`.
const TRANSITION_TAG: u64 = 0;
const CHECKPOINT_TAG: u64 = 5;
const SET_TAG: u64 = 0;

/// Passes each event of an `Events` message to `f`: its seq, and the value that it sets, except the room's own checkpoints. Returns whether
/// the message was an `Events` message.
///
/// # Errors
///
/// An event is cut off, or is not a transition of `cells`.
pub(crate) fn scan(
    message: &[u8],
    mut f: impl FnMut(u64, Option<Scanned>) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let [EVENTS_TAG, rest @ ..] = message else { return Ok(false) };
    let mut reader = Reader(rest);
    for _ in 0..reader.varint()? {
        let (seq, scanned) = reader.event()?;
        f(seq, scanned)?;
    }
    anyhow::ensure!(reader.0.is_empty(), "{} bytes follow the events", reader.0.len());
    Ok(true)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn event(&mut self) -> anyhow::Result<(u64, Option<Scanned>)> {
        let seq = self.varint()?;
        let _time = self.varint()?;
        let _entropy = self.varint()?;
        match self.varint()? {
            TRANSITION_TAG => {}
            CHECKPOINT_TAG => {
                let _checkpoint_seq = self.varint()?;
                self.take(32)?;
                return Ok((seq, None));
            }
            _ => bail!("event {seq} is not a participant's transition"),
        }
        let author_bytes = self.varint()?;
        self.take(author_bytes as usize)?;
        let client = self.take(16)?;
        let client = ClientId(client.try_into()?);
        let number = self.varint()?;
        let _transition_bytes = self.varint()?;
        if self.varint()? != SET_TAG {
            bail!("event {seq} sets no cell");
        }
        let _id = self.varint()?;
        Ok((seq, Some(Scanned { client, number, value: self.varint()? })))
    }

    fn varint(&mut self) -> anyhow::Result<u64> {
        let mut value = 0;
        for (index, &byte) in self.0.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.0 = &self.0[index + 1..];
                return Ok(value);
            }
        }
        bail!("an event is cut off")
    }

    fn take(&mut self, count: usize) -> anyhow::Result<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(count).context("an event is cut off")?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use reapply_sync::{Author, Digest, Event, Input, Number, Seq, ServerMessage, Timestamp};

    use super::*;

    #[test]
    fn what_the_host_encodes_is_what_is_scanned() {
        let event = |seq: u64, value| Event {
            seq: Seq(seq),
            time: Timestamp(1 << 50),
            entropy: u64::MAX - seq,
            input: Input::Transition {
                author: Author("anon-0123456789abcdef".into()),
                client: ClientId([seq as u8; 16]),
                number: Number(seq * 1000),
                transition: postcard::to_allocvec(&cells::Transition::Set { id: 9_999, value }).unwrap().into(),
            },
        };
        let checkpoint = Input::Checkpoint { seq: Seq(1 << 40), hash: Digest([0xff; 32]) };
        let mut events: Vec<_> = (1..300).map(|seq| event(seq, u64::MAX >> (seq % 64))).collect();
        events.push(Event { input: checkpoint, ..event(300, 0) });
        let message = ServerMessage::Events(events).encode();
        let mut next = 1;
        let is_events = scan(&message, |seq, scanned| {
            assert_eq!(seq, next);
            let expected =
                Scanned { client: ClientId([next as u8; 16]), number: next * 1000, value: u64::MAX >> (next % 64) };
            assert_eq!(scanned, (seq < 300).then_some(expected));
            next += 1;
            Ok(())
        });
        assert!(is_events.unwrap());
        assert_eq!(next, 301);
        assert!(scan(&message[..message.len() - 1], |_, _| Ok(())).is_err());
        assert!(!scan(&ServerMessage::Pong(1).encode(), |_, _| Ok(())).unwrap());
    }
}
