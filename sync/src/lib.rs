//! The Reapply protocol, pure: no sockets, no clock, no random numbers, no engine.
//!
//! A room has one [`Sequencer`], which decides what happened, and any number of [`Replica`]s, each of which
//! shows a participant at once what probably happened. Both run the same [`Machine`]. Time and randomness
//! are arguments, so one implementation serves the host, the browser, the native client and the simulator.
//!
//! ```text
//!  Replica::apply ──Submit──▶ Sequencer::handle_submit ──Batch──▶ journal
//!        ▲                                                           │ durable
//!        └────────Events─── History::read ◀── Sequencer::handle_appended
//! ```
//!
//! Here are a room and a participant, joined by hand. `Counter` is a [`Machine`] whose state is a `u64` and whose only transition adds one; its
//! implementation is not shown.
//!
//! ```
//! use bytes::Bytes;
//! use reapply_sync::*;
//!
//! # /// A machine whose only transition adds one.
//! # struct Counter;
//! #
//! # impl Machine for Counter {
//! #     type State = u64;
//! #
//! #     fn create(&mut self, _options: &str) -> Result<u64, LoadError> {
//! #         Ok(0)
//! #     }
//! #     fn restore(&mut self, snapshot: &[u8], _state_version: u32) -> Result<u64, LoadError> {
//! #         let bytes = snapshot.try_into().map_err(|_| LoadError::Refused("no counter".to_owned()))?;
//! #         Ok(u64::from_le_bytes(bytes))
//! #     }
//! #     fn apply(&mut self, state: &u64, _event: &Event) -> Result<u64, ApplyError> {
//! #         Ok(state + 1)
//! #     }
//! #     fn snapshot(&mut self, state: &u64) -> Result<Bytes, Fault> {
//! #         Ok(state.to_le_bytes().to_vec().into())
//! #     }
//! #     fn alarm(&mut self, _state: &u64) -> Result<Option<Alarm>, Fault> {
//! #         Ok(None)
//! #     }
//! #     fn encode(&mut self, _json: &str) -> Result<Bytes, CodecError> {
//! #         Ok(Bytes::new())
//! #     }
//! #     fn decode(&mut self, _transition: &[u8]) -> Result<String, CodecError> {
//! #         Ok("\"Increment\"".to_owned())
//! #     }
//! #     fn state_version(&self) -> u32 {
//! #         1
//! #     }
//! #     fn membership(&self) -> bool {
//! #         false
//! #     }
//! #     fn reset(&mut self) -> Result<(), Fault> {
//! #         Ok(())
//! #     }
//! # }
//! #
//! // A room begins with its genesis, which names the machine's build.
//! let digest = Digest::of(b"the machine's component");
//! let id = RoomId { machine: "counter".parse()?, room: "lobby".parse()? };
//! let genesis = Genesis { room: id, digest, options: String::new(), time: Timestamp(0), nonce: 7 };
//! let mut room = Sequencer::open(|_| Ok(Counter), genesis.log_id(), genesis, None, [])?;
//!
//! // A participant connects: `Hello` goes up, `Welcome` comes down, and the build that it names is loaded.
//! let key = ClientKey([1; 16]);
//! let author = key.client_id().anonymous_author();
//! let mut replica = Replica::new(key.clone(), Number(0));
//! replica.handle_connected();
//! let hello = replica.poll_transmit().map(|frame| ClientMessage::decode(&frame));
//! let Some(Ok(ClientMessage::Hello(hello))) = hello else { panic!("it greets first") };
//! let (welcome, _reader) = room.welcome(&hello, SessionId(1), author.clone(), Timestamp(1));
//! replica.handle_frame(&ServerMessage::Welcome(welcome).encode())?;
//! replica.handle_machine(digest, Counter);
//!
//! // The participant's transition shows at once. Nobody else knows of it.
//! let number = replica.apply(Bytes::new(), Timestamp(2), 1)?;
//! assert_eq!(replica.optimistic().map(|(_, state)| *state), Some(1));
//!
//! // The room orders it, the journal stores the batch, and everybody gets the same bytes.
//! let submit = replica.poll_transmit().map(|frame| ClientMessage::decode(&frame));
//! let Some(Ok(ClientMessage::Submit { number: _, transition })) = submit else { panic!("it submits") };
//! let (client, upgraded) = (key.client_id(), room.upgraded());
//! room.handle_submit(Submit { author, client, number, upgraded, transition }, Timestamp(2), 0x5eed);
//! assert_eq!(room.poll_batch().map(|batch| batch.last()), Some(Seq(1)));
//! room.handle_appended();
//! let read = room.history().read(Seq(0))?.expect("it is durable");
//! read.messages.iter().try_for_each(|frame| replica.handle_frame(frame))?;
//! replica.settle();
//! assert_eq!(replica.confirmed().map(|(_, state)| *state), Some(1));
//! let accepted = Outcome::Accepted { seq: Seq(1), time: Timestamp(2) };
//! assert_eq!(replica.poll_outcome(), Some((number, accepted)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Read in this order: [`event`], [`machine`], [`message`], [`sequencer`], [`room`], [`history`], [`replica`].

#![warn(missing_docs)]

pub mod clients;
pub mod event;
pub mod history;
pub mod id;
pub mod limits;
pub mod machine;
pub mod message;
pub mod outcome;
pub mod past;
mod pending;
pub mod replay;
pub mod replica;
pub mod report;
pub mod room;
pub mod sequencer;
pub mod skim;
pub mod snapshot;

pub use event::{Batch, Chain, Event, Genesis, Input};
pub use history::reader::Reader;
pub use history::{History, Read, Trimmed};
pub use id::{
    Author, ClientId, ClientKey, Digest, LogId, Name, NameError, Number, NumberError, RoomId, RoomIdError, Seq,
    SessionId, Timestamp,
};
pub use limits::Limits;
pub use machine::{Alarm, ApplyError, CodecError, Fault, LoadError, Machine, Refusal};
pub use message::{
    Capabilities, ClientMessage, ForgottenClient, Goodbye, HeldSnapshot, Hello, Presence, Rejection, Resume,
    ServerMessage, Signal, SnapshotInParts, Start, VERSION, Welcome,
};
pub use outcome::{Divergence, Ended, Outcome, Phase, SubmitError};
pub use past::{Origin, Past, PastRecord};
pub use replay::{Replay, ReplayError};
pub use replica::Replica;
pub use report::{OpenError, Report, UpgradeError};
pub use room::Room;
pub use sequencer::{Rejected, Sequencer, SnapshotPolicy, Submit, Tried};
pub use snapshot::{Forgotten, KnownClient, Snapshot};

/// The WebSocket subprotocol that these messages make up. A change that an older peer cannot read gets a new name.
pub const SUBPROTOCOL: &str = "reapply.v2";
