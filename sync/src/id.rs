//! Ids and names, as newtypes, so that a seq is never mistaken for a number or a time.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::{COUNT_MAX, NAME_CHARS_MAX};

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl $name {
            /// Returns the next one.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// A place in a room's log: 1, 2, 3, ... 0 stands before the first event.
    Seq
}
counter! {
    /// A client's own count of its transitions: 1, 2, 3, ... With the client's id it names a transition forever.
    Number
}

impl Number {
    /// The first number of a client.
    pub const FIRST: Self = Self(1);

    /// Returns the number, if a transition can have it.
    ///
    /// # Errors
    ///
    /// Fails if the number is 0, or beyond [`COUNT_MAX`].
    pub fn in_range(self) -> Result<Self, NumberError> {
        if (Self::FIRST.0..=COUNT_MAX).contains(&self.0) { Ok(self) } else { Err(NumberError { number: self.0 }) }
    }
}

/// A number that no transition can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the number of a transition is {number}; numbers go from 1 to {COUNT_MAX}")]
pub struct NumberError {
    /// The number.
    pub number: u64,
}

counter! {
    /// Microseconds since the Unix epoch.
    Timestamp
}
counter! {
    /// The id of one connection of a participant to a room; unique within the host's process.
    SessionId
}

/// The BLAKE3 hash of some bytes: of a component (then it names one build of a machine exactly) or of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Returns the digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

/// The id of the log that a room writes. It is drawn from the log's genesis, so that a room created again under an old name differs from the old
/// one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogId(pub [u8; 16]);

/// A client's secret: whoever knows it can act as that client. The client keeps it, sends it only in `Hello`, and never logs it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientKey(pub [u8; 16]);

impl ClientKey {
    /// Returns the public id of the client that holds this key. The id reveals nothing about the key.
    #[must_use]
    pub fn client_id(&self) -> ClientId {
        let hash = blake3::derive_key("reapply.v2 client id", &self.0);
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        ClientId(id)
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey(..)")
    }
}

/// The public id of a client. It stands in events, so that a client recognises its own. It outlives connections.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientId(pub [u8; 16]);

impl ClientId {
    /// Returns the id of a client without a key, which submits one transition and can never ask for it again. No key's id has this form.
    #[must_use]
    pub fn keyless(bits: u64) -> Self {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&bits.to_be_bytes());
        Self(id)
    }

    /// Returns whether the id is from [`ClientId::keyless`]. A room need not remember such a client.
    #[must_use]
    pub fn is_keyless(&self) -> bool {
        self.0[..8] == [0; 8]
    }

    /// Returns the identity of a client that nothing else authenticates: holding the key is the proof.
    #[must_use]
    pub fn anonymous_author(&self) -> Author {
        Author(format!("anon-{self}").into())
    }
}

macro_rules! hex {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = HexError;

            fn from_str(text: &str) -> Result<Self, HexError> {
                parse_hex(text).map(Self)
            }
        }
    };
}

hex!(Digest);
hex!(LogId);
hex!(ClientId);

impl FromStr for ClientKey {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        parse_hex(text).map(Self)
    }
}

/// A text that is not a hexadecimal id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {chars} hexadecimal digits")]
pub struct HexError {
    /// The number of digits that the id has.
    pub chars: usize,
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let error = HexError { chars: N * 2 };
    if text.len() != N * 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(error);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| error.clone())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| error.clone())?;
    }
    Ok(bytes)
}

/// A participant's identity, as the host authenticated it. It is cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Author(pub Arc<str>);

impl Serialize for Author {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Author {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a machine or a room: 1 to 64 of `a-z`, `0-9`, `-` and `_`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

impl Name {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is not a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a name: use 1 to {NAME_CHARS_MAX} of a-z, 0-9, - and _, beginning with a letter or digit{}",
    .like.as_ref().map(|like| format!(", such as \"{like}\"; keep what people type in the room's state")).unwrap_or_default()
)]
pub struct NameError {
    /// The text that was given, cut to a length fit for a message.
    pub text: String,
    /// The nearest name, if there is one.
    pub like: Option<Name>,
}

impl Name {
    /// Returns the nearest name to a text that a person typed, such as `cafe-noir` for "Cafe noir!". Other texts may give the same name.
    #[must_use]
    pub fn like(text: &str) -> Option<Self> {
        let mut name = String::new();
        for char in text.chars().flat_map(char::to_lowercase) {
            match char {
                'a'..='z' | '0'..='9' | '_' => name.push(char),
                _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
                _ => {}
            }
            if name.len() == NAME_CHARS_MAX {
                break;
            }
        }
        let name = name.trim_matches(['-', '_']);
        (!name.is_empty()).then(|| Self(name.into()))
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let allowed = text.bytes().all(|byte| plain(byte) || byte == b'-' || byte == b'_');
        let begins_well = text.bytes().next().is_some_and(plain);
        if allowed && begins_well && text.len() <= NAME_CHARS_MAX {
            Ok(Self(text.into()))
        } else {
            Err(NameError { text: text.chars().take(NAME_CHARS_MAX + 1).collect(), like: Self::like(text) })
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The address of a room: `machine/room`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomId {
    /// The machine's name.
    pub machine: Name,
    /// The room's own name.
    pub room: Name,
}

/// A text that does not address a room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomIdError {
    /// The text does not separate the machine's name from the room's.
    #[error("a room is written as machine/room, such as counter/lobby")]
    NoSlash,
    /// One of the names is not a name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl FromStr for RoomId {
    type Err = RoomIdError;

    fn from_str(text: &str) -> Result<Self, RoomIdError> {
        let (machine, room) = text.split_once('/').ok_or(RoomIdError::NoSlash)?;
        Ok(Self { machine: machine.parse()?, room: room.parse()? })
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.machine, self.room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_read_as_it_is_written() {
        let room: RoomId = "counter/lobby".parse().unwrap();
        assert_eq!((room.to_string().as_str(), room.room.as_str()), ("counter/lobby", "lobby"));
        assert_eq!("lobby".parse::<RoomId>(), Err(RoomIdError::NoSlash));
        for bad in ["/lobby", "counter/", "counter/a/b", "counter/Lobby"] {
            assert!(matches!(bad.parse::<RoomId>(), Err(RoomIdError::Name(_))), "{bad}");
        }
    }

    #[test]
    fn names_follow_the_rule() {
        for good in ["a", "drop-four", "room_1", "0"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "A", "a b", "a/b", "ü", &"a".repeat(NAME_CHARS_MAX + 1)] {
            let error = bad.parse::<Name>().unwrap_err().to_string();
            assert!(error.contains("a-z, 0-9, - and _"), "{error}");
        }
    }

    #[test]
    fn ids_print_and_parse_as_hexadecimal() {
        let digest = Digest::of(b"x");
        assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
        assert_eq!("zz".parse::<ClientId>(), Err(HexError { chars: 32 }));
        assert_eq!("+f".repeat(16).parse::<ClientId>(), Err(HexError { chars: 32 }));
    }

    #[test]
    fn a_client_key_never_shows_in_debug_output_or_in_its_id() {
        let key = ClientKey([7; 16]);
        assert_eq!(format!("{key:?}"), "ClientKey(..)");
        assert_ne!(key.client_id().0, [7; 16]);
    }

    #[test]
    fn a_keyless_id_is_told_from_those_of_keys() {
        let keyless = ClientId::keyless(u64::MAX);
        assert!(keyless.is_keyless() && ClientId::keyless(0).is_keyless());
        assert_eq!(keyless.to_string(), "0000000000000000ffffffffffffffff");
        assert!(!ClientKey([7; 16]).client_id().is_keyless());
    }
}
