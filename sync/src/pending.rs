//! A transition that a replica has taken on and the room has not decided yet, as far as is known here.

use bytes::Bytes;

use crate::event::{Event, Input};
use crate::id::{Author, ClientId, Number, Seq, Timestamp};
use crate::message::ClientMessage;

#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) number: Number,
    transition: Bytes,
    /// The time and the entropy that its prediction used, so that a rebase predicts the same again.
    time: Timestamp,
    entropy: u64,
    /// Whether it was decided when a snapshot came that it may be part of. This outlives the session: a resume from that
    /// snapshot's state will not show its event either.
    pub(crate) may_be_in_snapshot: bool,
    /// Whether the machine faulted on its prediction. The room's verdict is awaited, but it is not tried here again.
    pub(crate) faulted: bool,
}

impl Pending {
    pub(crate) fn new(number: Number, transition: Bytes, time: Timestamp, entropy: u64) -> Self {
        Self { number, transition, time, entropy, may_be_in_snapshot: false, faulted: false }
    }

    /// Whether the optimistic state does without it.
    pub(crate) fn is_not_predicted(&self) -> bool {
        self.may_be_in_snapshot || self.faulted
    }

    /// The message that asks for it.
    pub(crate) fn submit(&self) -> Bytes {
        ClientMessage::Submit { number: self.number, transition: self.transition.clone() }.encode()
    }

    /// The event that it will probably become.
    pub(crate) fn event(&self, client: ClientId, author: Author, seq: Seq, not_before: Timestamp) -> Event {
        let Self { number, transition, time, entropy, .. } = self;
        let input = Input::Transition { author, client, number: *number, transition: transition.clone() };
        Event { seq, time: (*time).max(not_before), entropy: *entropy, input }
    }
}
