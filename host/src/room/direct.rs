//! Rooms used from Rust, without a socket: a transition that is submitted, a state that is read.

use bytes::Bytes;
use reapply_machine::{Build, Lane};
use reapply_sync::room::{SubmitOnce, Verdict};
use reapply_sync::{ApplyError, Author, ClientId, CodecError, Digest, Machine, Number, Rejection, RoomId};

use super::error::{EnterError, OpenRoomError, ViewError};
use super::replay::Moment;
use super::rooms::Rooms;
use crate::log::Logs;
use crate::machines::MachinesError;

/// The kind under which a transition is counted that is not taken now: the room's queue is full, or its author must wait.
pub(crate) const BUSY: &str = "busy";

/// A transition with its author. A client's number names the transition forever: if it is submitted again, it is not applied again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The participant who asks.
    pub author: Author,
    /// The client that they ask from.
    pub client: ClientId,
    /// That client's number for the transition, from 1 to [`COUNT_MAX`](reapply_sync::limits::COUNT_MAX).
    pub number: Number,
    /// The transition, as the machine's JSON. Its encoding may have at most [`TRANSITION_BYTES_MAX`](reapply_sync::limits::TRANSITION_BYTES_MAX)
    /// bytes.
    pub json: String,
}

impl Submission {
    /// Returns a transition of `author` that is submitted once, as the only one of a client that nobody else knows.
    #[must_use]
    pub fn once(author: Author, json: impl Into<String>) -> Self {
        Self { author, client: ClientId::keyless(rand::random()), number: Number(1), json: json.into() }
    }
}

impl Rooms {
    /// Submits a transition, and waits until it is durable or rejected. A room that has not begun begins with it, unless its machine
    /// cannot read the transition.
    ///
    /// # Errors
    ///
    /// The room cannot be opened, or the host has no space for it.
    pub async fn submit(&self, id: &RoomId, submission: Submission) -> Result<Verdict, EnterError> {
        let Submission { author, client, number, json } = submission;
        loop {
            self.check_trouble(id)?;
            // Before the room is entered, so that nonsense does not begin one.
            let (digest, encoded) = encode(self.logs(), id, &json).await?;
            let (transition, unreadable) = match encoded {
                Ok(transition) => (transition, None),
                Err(why) => (Bytes::new(), Some(why)),
            };
            let submit = SubmitOnce { author: author.clone(), client, number, digest, transition };
            let room = match &unreadable {
                None => self.enter(id).await?,
                // The number may have been decided under an earlier build, which could encode the transition.
                Some(why) => match self.find(id).await {
                    Ok(room) => room,
                    // A room that has not begun has decided nothing, and counts nothing.
                    Err(EnterError::Open(OpenRoomError::NoSuchRoom(_))) => return Ok(Verdict::Rejected(why.clone())),
                    Err(error) => return Err(error),
                },
            };
            match room.submit_once_if_readable(submit, unreadable).await {
                Ok(Verdict::Upgraded) | Err(_) => continue,
                Ok(verdict) => {
                    if matches!(verdict, Verdict::Busy | Verdict::MustWait { .. }) {
                        room.count_rejection(&author, BUSY);
                    }
                    return Ok(verdict);
                }
            }
        }
    }

    /// Returns the newest durable state of a room, as its machine shows it. Wakes the room.
    ///
    /// # Errors
    ///
    /// There is no such room, it cannot be opened, or its machine faults.
    pub async fn view(&self, id: &RoomId) -> Result<Moment, ViewError> {
        loop {
            let room = self.find(id).await?;
            if let Ok(viewed) = room.view().await {
                let view = viewed?;
                return Ok(Moment { seq: view.seq, time: view.time, digest: view.digest, view: view.json });
            }
        }
    }
}

/// Returns the build that a room runs, and its bytes for a transition's JSON: made in an instance of its own, so that odd JSON can hurt
/// no room.
async fn encode(logs: &Logs, id: &RoomId, json: &str) -> Result<(Digest, Result<Bytes, Rejection>), EnterError> {
    let build = build(logs, id).await?;
    let (digest, json) = (build.digest(), json.to_owned());
    let encode = move || build.instantiate()?.encode(&json);
    let encoded = logs.machines.pool().run(Lane::Aside, encode).await.map_err(|error| match error {
        CodecError::Refused(why) => Rejection::Malformed(why),
        // The machine faulted on this input, in an instance of its own. That is the fault of the sender or of the machine, not of the host.
        CodecError::Fault(fault) => ApplyError::Fault(fault).into(),
    });
    Ok((digest, encoded))
}

/// Returns the build that a room runs, or would run if it began now.
async fn build(Logs { journal, machines, .. }: &Logs, id: &RoomId) -> Result<Build, OpenRoomError> {
    let digest = match journal.room(id).await? {
        Some(record) => record.digest,
        None => {
            let current = machines.current(&id.machine).await?;
            current.ok_or_else(|| OpenRoomError::NoSuchMachine(id.machine.clone()))?.digest
        }
    };
    let build = machines.build(digest).await?;
    build.ok_or_else(|| MachinesError::NotStored(digest).into())
}
