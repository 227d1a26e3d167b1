//! A transition that a replica has accepted and the room has not decided yet, as far as is known here.

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
    /// The minimum length of the log whenever this was sent to the room, from here or by an earlier replica of this client; `None` if it
    /// was never sent.
    pub(crate) sent_at: Option<Seq>,
    /// Whether it was decided when a snapshot arrived that may include it. This outlives the session: a resume from that
    /// snapshot's state will not show its event either.
    pub(crate) may_be_in_snapshot: bool,
    /// Whether the machine faulted on its prediction. The room will decide, but it is not tried here again.
    pub(crate) faulted: bool,
}

/// A transition in some encoding.
#[derive(Clone, Debug)]
enum Body {
    /// In the encoding of the build that the replica runs.
    Encoded(Bytes),
    /// As JSON, until the next build is loaded.
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

    /// Returns whether the optimistic state excludes it.
    pub(crate) fn is_not_predicted(&self) -> bool {
        self.may_be_in_snapshot || self.faulted || !matches!(self.body, Body::Encoded(_))
    }

    /// Returns its `Submit` message, sent when the log ends at `head`; `None` while it is not encoded.
    pub(crate) fn submit(&mut self, head: Seq) -> Option<Bytes> {
        let Body::Encoded(transition) = &self.body else { return None };
        // A log that was restored from a backup may be shorter than when this was sent before.
        self.sent_at = Some(self.sent_at.map_or(head, |sent_at| sent_at.min(head)));
        Some(ClientMessage::Submit { number: self.number, transition: transition.clone() }.encode())
    }

    /// Returns its probable event; `None` while it is not encoded.
    pub(crate) fn event(&self, client: ClientId, author: Author, seq: Seq, not_before: Timestamp) -> Option<Event> {
        let Self { number, body: Body::Encoded(transition), time, entropy, .. } = self else { return None };
        let input = Input::Transition { author, client, number: *number, transition: transition.clone() };
        Some(Event { seq, time: (*time).max(not_before), entropy: *entropy, input })
    }

    /// Converts it to JSON, since its build is about to go. If that fails, only the room can decide the outcome: it may be an event.
    pub(crate) fn decode<M: Machine>(&mut self, machine: &mut M) {
        let Body::Encoded(transition) = &self.body else { return };
        self.body = match machine.decode(transition) {
            Ok(json) => Body::Json(json),
            Err(error) => Body::Lost(Self::unencodable(error, machine).why()),
        };
    }

    /// Converts it to the encoding of the new build.
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

    /// Restarts a machine that faulted, for the transitions after this one.
    fn unencodable<M: Machine>(error: CodecError, machine: &mut M) -> Unencodable {
        match error {
            CodecError::Refused(why) => Unencodable::Rejected(Rejection::Malformed(why)),
            CodecError::Fault(fault) => {
                // If it does not start, the next one faults as well.
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

/// The reasons why a transition cannot be converted to another build.
pub(crate) enum Unencodable {
    /// That build has no such transition.
    Rejected(Rejection),
    /// The machine faulted, and must be restarted.
    Faulted(Fault),
}

impl Unencodable {
    /// Returns the rejection for the transition.
    pub(crate) fn why(self) -> Rejection {
        match self {
            Self::Rejected(why) => why,
            Self::Faulted(fault) => ApplyError::Fault(fault).into(),
        }
    }
}
