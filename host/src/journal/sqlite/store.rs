//! What the writer does within a transaction.

use std::collections::HashMap;

use bytes::Bytes;
use reapply_sync::{Chain, Digest, Genesis, Name, RoomId, Seq, Timestamp};
use rusqlite::{Connection, Error, ErrorCode, params};

use super::query;
use crate::crash;
use crate::journal::{Component, JournalError, Record};

/// Rooms whose heads the writer remembers. Beyond it all are forgotten, and looked up again as they are needed.
const HEADS_MAX: usize = 16_384;

/// One thing to store.
#[derive(Debug)]
pub(super) enum Operation {
    Append(RoomId, Record),
    CreateRoom(Genesis),
    PutSnapshot { room: RoomId, seq: Seq, chain: Chain, hash: Digest, body: Bytes },
    PutComponent { component: Component, hash: Digest },
    SetCurrent { machine: Name, digest: Digest, time: Timestamp },
}

/// What became of an operation, if its transaction is committed.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    /// The append expected another head than this.
    Conflict(Seq),
    Refused(JournalError),
}

/// Performs operations, and remembers where the rooms' logs end.
#[derive(Debug, Default)]
pub(super) struct Store {
    rooms: HashMap<RoomId, Room>,
}

#[derive(Clone, Copy, Debug)]
struct Room {
    key: i64,
    head: Seq,
}

impl Store {
    /// Performs one operation in the transaction that is open. An error means that the storage failed, and that the transaction must be
    /// rolled back.
    pub(super) fn perform(&mut self, connection: &Connection, operation: &Operation) -> rusqlite::Result<Outcome> {
        match operation {
            Operation::Append(room, record) => self.append(connection, room, record),
            Operation::CreateRoom(genesis) => create_room(connection, genesis),
            Operation::PutSnapshot { room, seq, chain, hash, body } => {
                if query::chain_at(connection, room, *seq)? != Some(*chain) {
                    return Ok(Outcome::Refused(JournalError::SnapshotMismatch { room: room.clone(), seq: *seq }));
                }
                put_snapshot(connection, room, *seq, *hash, body)
            }
            Operation::PutComponent { component, hash } => put_component(connection, component, *hash),
            Operation::SetCurrent { machine, digest, time } => set_current(connection, machine, *digest, *time),
        }
    }

    /// Whether this very record is stored.
    pub(super) fn holds(&mut self, connection: &Connection, room: &RoomId, record: &Record) -> rusqlite::Result<bool> {
        match self.room(connection, room)? {
            Some(found) => query::holds(connection, found.key, record.expected, record.id),
            None => Ok(false),
        }
    }

    /// Forgets what it remembers, since the transaction that it comes from was not committed.
    pub(super) fn forget(&mut self) {
        self.rooms.clear();
    }

    fn append(&mut self, connection: &Connection, room: &RoomId, record: &Record) -> rusqlite::Result<Outcome> {
        let Some(found) = self.room(connection, room)? else {
            return Ok(Outcome::Refused(JournalError::NoSuchRoom(room.clone())));
        };
        if found.head != record.expected {
            // The same batch again is no conflict: its writer could not tell whether it had landed.
            let landed = query::holds(connection, found.key, record.expected, record.id)?;
            return Ok(if landed { Outcome::Done } else { Outcome::Conflict(found.head) });
        }
        match insert(connection, found.key, record) {
            Ok(()) => {
                self.rooms.insert(room.clone(), Room { key: found.key, head: record.last });
                Ok(Outcome::Done)
            }
            // Another program has written to the log: the database knows better than what is remembered here.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                self.rooms.remove(room);
                let head = query::head(connection, found.key)?.map_or(Seq(0), |head| head.last);
                Ok(Outcome::Conflict(head))
            }
            Err(error) => Err(error),
        }
    }

    fn room(&mut self, connection: &Connection, room: &RoomId) -> rusqlite::Result<Option<Room>> {
        if let Some(found) = self.rooms.get(room) {
            return Ok(Some(*found));
        }
        let Some(key) = query::room_key(connection, room)? else { return Ok(None) };
        let head = query::head(connection, key)?.map_or(Seq(0), |head| head.last);
        if self.rooms.len() >= HEADS_MAX {
            self.rooms.clear();
        }
        let found = Room { key, head };
        self.rooms.insert(room.clone(), found);
        Ok(Some(found))
    }
}

fn insert(connection: &Connection, key: i64, record: &Record) -> rusqlite::Result<()> {
    let expected = query::integer(record.expected.0)?;
    let last = query::integer(record.last.0)?;
    let time = query::integer(record.time.0)?;
    connection
        .prepare_cached(
            "INSERT INTO batches (room, expected, last, time, batch, chain, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![key, expected, last, time, record.id.0.to_be_bytes(), record.chain.0, &record.body[..]])?;
    Ok(())
}

fn create_room(connection: &Connection, genesis: &Genesis) -> rusqlite::Result<Outcome> {
    let RoomId { machine, room } = &genesis.room;
    let body = encode(genesis)?;
    let count = connection
        .prepare_cached(
            "INSERT INTO rooms (machine, room, genesis, chain) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(params![machine.as_str(), room.as_str(), body, genesis.chain().0])?;
    Ok(done_if(count > 0, || JournalError::RoomExists(genesis.room.clone())))
}

fn put_snapshot(
    connection: &Connection,
    room: &RoomId,
    seq: Seq,
    hash: Digest,
    body: &[u8],
) -> rusqlite::Result<Outcome> {
    let Some(key) = query::room_key(connection, room)? else {
        return Ok(Outcome::Refused(JournalError::NoSuchRoom(room.clone())));
    };
    connection
        .prepare_cached("INSERT INTO snapshots (room, seq, hash, body) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?
        .execute(params![key, query::integer(seq.0)?, hash.0, body])?;
    crash::point("snapshot-half-stored");
    Ok(Outcome::Done)
}

fn put_component(connection: &Connection, component: &Component, hash: Digest) -> rusqlite::Result<Outcome> {
    connection
        .prepare_cached(
            "INSERT INTO components (digest, hash, description, browser_js, bytes) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            component.digest.0,
            hash.0,
            component.description,
            component.browser_js,
            &component.bytes[..]
        ])?;
    Ok(Outcome::Done)
}

fn set_current(connection: &Connection, machine: &Name, digest: Digest, time: Timestamp) -> rusqlite::Result<Outcome> {
    let count = connection
        .prepare_cached(
            "INSERT INTO machines (name, digest, deployed)
             SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM components WHERE digest = ?2)
             ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, deployed = excluded.deployed",
        )?
        .execute(params![machine.as_str(), digest.0, query::integer(time.0)?])?;
    Ok(done_if(count > 0, || JournalError::NoSuchComponent(digest)))
}

fn done_if(done: bool, refusal: impl FnOnce() -> JournalError) -> Outcome {
    if done { Outcome::Done } else { Outcome::Refused(refusal()) }
}

fn encode(genesis: &Genesis) -> rusqlite::Result<Vec<u8>> {
    postcard::to_allocvec(genesis).map_err(|error| Error::ToSqlConversionFailure(error.into()))
}
