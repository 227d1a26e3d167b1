//! A transition that a replica has taken on and the room has not decided yet, as far as is known here.

use bytes::Bytes;

use crate::event::{Event, Input};
use crate::id::{Author, ClientId, Number, Seq, Timestamp};
use crate::machine::{ApplyError, CodecError, Fault, Machine};
use crate::message::{ClientMessage, Rejection};

#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) number: Number,
    /// Bytes that it came with, which count for the limit.
    pub(crate) bytes: usize,
    body: Body,
    /// The time and the entropy that its prediction used, so that a rebase predicts the same again.
    time: Timestamp,
    entropy: u64,
    /// How far the log had come, at least, whenever it was sent to the room, from here or by an earlier replica of this client; none while it
    /// was not sent.
    pub(crate) sent_at: Option<Seq>,
    /// Whether it was decided when a snapshot came that it may be part of. This outlives the session: a resume from that
    /// snapshot's state will not show its event either.
    pub(crate) may_be_in_snapshot: bool,
    /// Whether the machine faulted on its prediction. The room's verdict is awaited, but it is not tried here again.
    pub(crate) faulted: bool,
}

/// A transition, in a build's encoding or in that of all builds.
#[derive(Clone, Debug)]
enum Body {
    /// In the encoding of the build that the replica runs.
    Encoded(Bytes),
    /// As JSON, until the build that is to run is there.
    Json(String),
    /// In no encoding: the build before could not decode it, for this reason. That is its outcome, unless the room has decided it.
    Lost(Rejection),
}

impl Pending {
    pub(crate) fn new(number: Number, transition: Bytes, time: Timestamp, entropy: u64) -> Self {
        Self::with(number, Body::Encoded(transition), time, entropy)
    }

    pub(crate) fn from_json(number: Number, json: String, time: Timestamp, entropy: u64) -> Self {
        Self::with(number, Body::Json(json), time, entropy)
    }

    /// Whether the optimistic state does without it.
    pub(crate) fn is_not_predicted(&self) -> bool {
        self.may_be_in_snapshot || self.faulted || !matches!(self.body, Body::Encoded(_))
    }

    /// The message that asks for it, sent when the log has come to `head`; none while it is not encoded.
    pub(crate) fn submit(&mut self, head: Seq) -> Option<Bytes> {
        let Body::Encoded(transition) = &self.body else { return None };
        // A log that was restored from a backup may have come less far than when it was sent before.
        self.sent_at = Some(self.sent_at.map_or(head, |sent_at| sent_at.min(head)));
        Some(ClientMessage::Submit { number: self.number, transition: transition.clone() }.encode())
    }

    /// The event that it will probably become; none while it is not encoded.
    pub(crate) fn event(&self, client: ClientId, author: Author, seq: Seq, not_before: Timestamp) -> Option<Event> {
        let Self { number, body: Body::Encoded(transition), time, entropy, .. } = self else { return None };
        let input = Input::Transition { author, client, number: *number, transition: transition.clone() };
        Some(Event { seq, time: (*time).max(not_before), entropy: *entropy, input })
    }

    /// Lays the encoding of a build down that is about to go. Only the room can say what becomes of it where that fails: it may be an event.
    pub(crate) fn decode<M: Machine>(&mut self, machine: &mut M) {
        let Body::Encoded(transition) = &self.body else { return };
        self.body = match machine.decode(transition) {
            Ok(json) => Body::Json(json),
            Err(error) => Body::Lost(Self::unencodable(error, machine).why()),
        };
    }

    /// Takes on the encoding of the build that has come.
    pub(crate) fn encode<M: Machine>(&mut self, machine: &mut M) -> Result<(), Unencodable> {
        match &self.body {
            Body::Encoded(_) => Ok(()),
            Body::Lost(why) => Err(Unencodable::Rejected(why.clone())),
            Body::Json(json) => match machine.encode(json) {
                Ok(transition) => {
                    (self.body, self.faulted) = (Body::Encoded(transition), false);
                    Ok(())
                }
                Err(error) => Err(Self::unencodable(error, machine)),
            },
        }
    }

    /// A machine that faulted is started again, for those that come after this one.
    fn unencodable<M: Machine>(error: CodecError, machine: &mut M) -> Unencodable {
        match error {
            CodecError::Refused(why) => Unencodable::Rejected(Rejection::Malformed(why)),
            CodecError::Fault(fault) => {
                // Should it not start, the next one faults as well.
                drop(machine.reset());
                Unencodable::Faulted(fault)
            }
        }
    }

    fn with(number: Number, body: Body, time: Timestamp, entropy: u64) -> Self {
        let bytes = match &body {
            Body::Encoded(transition) => transition.len(),
            Body::Json(json) => json.len(),
            Body::Lost(_) => 0,
        };
        Self { number, bytes, body, time, entropy, sent_at: None, may_be_in_snapshot: false, faulted: false }
    }
}

/// Why a transition does not go over from one build to another.
pub(crate) enum Unencodable {
    /// It is none of that build's transitions.
    Rejected(Rejection),
    /// The machine faulted: it must be started again.
    Faulted(Fault),
}

impl Unencodable {
    /// What the transition is rejected with.
    pub(crate) fn why(self) -> Rejection {
        match self {
            Self::Rejected(why) => why,
            Self::Faulted(fault) => ApplyError::Fault(fault).into(),
        }
    }
}
