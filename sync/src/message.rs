//! The messages of `reapply.v2`: postcard in binary WebSocket frames, one message a frame.
//!
//! Frames of one session arrive in order or not at all. WebSocket guarantees that, and the protocol needs nothing more.
//!
//! # How it grows
//!
//! Encodings never change once they are released: the tests hold each message, event, record and snapshot to its bytes.
//!
//! | what changes | how |
//! | --- | --- |
//! | a message that its reader may pass over | a kind from [`SKIPPABLE_KINDS`]; older readers skip it |
//! | a message that its reader must know, or a new case within one | at the end of its enum, sent only to a peer whose [`VERSION`] or [`Capabilities`] say that it knows it; raises [`VERSION`] |
//! | a field of `Hello` or `Welcome` | at its end; older readers skip fields that they do not know, and newer readers must work without them |
//! | a field of another message | never; a new kind instead |
//! | an event, a genesis, a record | never: the chain is over their bytes. A new kind of event at the end of `Input`; raises [`VERSION`], and a replica of a lower one cannot be served past it |
//! | a snapshot, an export, the journal's rows | a new format number of the journal and of exports |
//! | anything else | another [`SUBPROTOCOL`](crate::SUBPROTOCOL) |

mod client;
mod codec;
mod goodbye;
mod rejection;
mod server;
mod version;

pub use self::client::{ClientMessage, HeldSnapshot, Hello, Resume};
pub use self::codec::DecodeError;
pub use self::goodbye::Goodbye;
pub use self::rejection::Rejection;
pub use self::server::{ForgottenClient, Presence, ServerMessage, Signal, SnapshotInParts, Start, Welcome};
pub use self::version::{Capabilities, PARTS_SINCE, SKIPPABLE_KINDS, VERSION};
