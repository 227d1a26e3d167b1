//! The operations of the writer within a transaction.

use std::collections::HashMap;

use reapply_sync::room::Note;
use reapply_sync::{Digest, Name, RoomId, Seq, Timestamp};
use rusqlite::{Connection, ErrorCode};

use super::authors::{self, Collectors, Segment};
use super::outcome::Outcome;
use super::room_row::RoomRow;
use super::row::Failed;
use super::snapshots::{self, NewSnapshot};
use super::{log, machines, notes, rejections, rooms};
use crate::{Component, Holds, JournalError, NewRoom, Record, RejectionCount, Retention};

/// The maximum number of rooms whose heads the writer remembers. Beyond it all are forgotten, and looked up again when they are needed.
const HEADS_MAX: usize = 16_384;

/// An operation of the writer.
#[derive(Debug)]
pub(super) enum Operation {
    Append(RoomId, Record, Note),
    CreateRoom(NewRoom),
    Publish(RoomId),
    Discard(RoomId),
    Trim(RoomId, Seq),
    /// Does nothing. Its answer means that everything before it was stored.
    Wait,
    SetNote(RoomId, Note),
    CountRejections(RoomId, Vec<RejectionCount>),
    PutSnapshot(NewSnapshot),
    DropChunks(i64),
    PutComponent {
        component: Component,
        checksum: i64,
    },
    SetCurrent {
        machine: Name,
        digest: Digest,
        time: Timestamp,
    },
    SetRetention(Name, Retention),
    /// The authors in segments of the room with this key.
    PutAuthors(i64, Vec<Segment>),
}

impl Operation {
    /// Returns whether an operation with this outcome has stored all that it had to. Operations that only remove something store nothing.
    pub(super) fn stores(&self, outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Done)
            && !matches!(self, Self::Wait | Self::DropChunks(_) | Self::Discard(_) | Self::Trim(..))
    }
}

/// The writer's memory, which performs operations and remembers the heads of rooms.
#[derive(Debug)]
pub(super) struct Store {
    rooms: HashMap<RoomId, Room>,
    /// Rooms that must not be trimmed.
    holds: Holds,
    /// The authors of each room's newest events.
    authors: Collectors,
}

#[derive(Clone, Copy, Debug)]
struct Room {
    key: i64,
    head: Seq,
    note: Note,
}

impl Store {
    pub(super) fn new(holds: Holds) -> Self {
        Self { rooms: HashMap::new(), holds, authors: Collectors::default() }
    }

    /// Performs one operation, or its next portion, in the open transaction. `portion` is the number of portions before. An error means that the
    /// storage failed, and that the transaction must be rolled back.
    pub(super) fn perform(
        &mut self,
        connection: &Connection,
        operation: &Operation,
        portion: usize,
    ) -> rusqlite::Result<Outcome> {
        let performed = match operation {
            Operation::Append(room, record, note) => self.append(connection, room, record, *note),
            Operation::CreateRoom(new) => rooms::create(connection, new),
            Operation::Publish(room) => rooms::publish(connection, room),
            Operation::Discard(room) => {
                self.rooms.remove(room);
                rooms::discard(connection, room)
            }
            Operation::Trim(room, upto) => rooms::trim(connection, room, *upto, self.holds.is_held(room)),
            Operation::Wait => Ok(Outcome::Done),
            Operation::SetNote(room, note) => self.set_note(connection, room, *note),
            Operation::CountRejections(room, counts) => rejections::count(connection, room, counts),
            Operation::PutSnapshot(new) => snapshots::put(connection, new, portion),
            Operation::DropChunks(id) => {
                snapshots::drop_chunks(connection, *id).map(|()| Outcome::Done).map_err(Failed::from)
            }
            Operation::PutComponent { component, checksum } => {
                machines::put_component(connection, component, *checksum)
            }
            Operation::SetCurrent { machine, digest, time } => {
                machines::set_current(connection, machine, *digest, *time)
            }
            Operation::SetRetention(machine, retention) => machines::set_retention(connection, machine, retention),
            Operation::PutAuthors(key, segments) => rooms::put_authors(connection, *key, segments),
        };
        match performed {
            Ok(outcome) => Ok(outcome),
            Err(Failed::Refused(refusal)) => Ok(Outcome::Refused(refusal)),
            Err(Failed::Storage(error)) => Err(error),
        }
    }

    /// Returns whether exactly this record is stored.
    pub(super) fn holds(&mut self, connection: &Connection, room: &RoomId, record: &Record) -> rusqlite::Result<bool> {
        match self.room(connection, room)? {
            Some(found) => holds(connection, found.key, room, record),
            None => Ok(false),
        }
    }

    /// Forgets everything, which is necessary after a transaction was rolled back.
    pub(super) fn forget(&mut self) {
        self.rooms.clear();
        self.authors.clear();
    }

    fn append(
        &mut self,
        connection: &Connection,
        room: &RoomId,
        record: &Record,
        note: Note,
    ) -> Result<Outcome, Failed> {
        let Some(found) = self.room(connection, room)? else {
            return Err(JournalError::NoSuchRoom(room.clone()).into());
        };
        if found.head != record.expected {
            // The same batch again is not a conflict: its writer could not know whether it was stored.
            let landed = holds(connection, found.key, room, record)?;
            return Ok(if landed { Outcome::Done } else { Outcome::Conflict(found.head) });
        }
        match log::insert(connection, found.key, record) {
            Ok(()) => {
                notes::change(connection, found.key, found.note, note)?;
                let whole = self.authors.add_all(found.key, record.expected, &record.body);
                authors::put(connection, found.key, &whole)?;
                if let Some(remembered) = self.rooms.get_mut(room) {
                    *remembered = Room { head: record.last, note, ..found };
                }
                Ok(Outcome::Done)
            }
            // Another program has written to the log, so the remembered head is outdated.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                self.rooms.remove(room);
                let head = self.room(connection, room)?.map_or(Seq(0), |room| room.head);
                Ok(Outcome::Conflict(head))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn set_note(&mut self, connection: &Connection, room: &RoomId, note: Note) -> Result<Outcome, Failed> {
        let Some(found) = self.room(connection, room)? else {
            return Err(JournalError::NoSuchRoom(room.clone()).into());
        };
        notes::change(connection, found.key, found.note, note)?;
        if let Some(remembered) = self.rooms.get_mut(room) {
            remembered.note = note;
        }
        Ok(Outcome::Done)
    }

    fn room(&mut self, connection: &Connection, room: &RoomId) -> rusqlite::Result<Option<Room>> {
        if let Some(found) = self.rooms.get(room) {
            return Ok(Some(*found));
        }
        let row = match RoomRow::of(connection, room) {
            Ok(row) => row,
            Err(Failed::Refused(_)) => return Ok(None),
            Err(Failed::Storage(error)) => return Err(error),
        };
        let head = log::head(connection, row.key, room)?.map_or(row.start().0, |head| head.last);
        if self.rooms.len() >= HEADS_MAX {
            self.forget();
        }
        let found = Room { key: row.key, head, note: notes::of(connection, row.key)? };
        self.rooms.insert(room.clone(), found);
        Ok(Some(found))
    }
}

/// Returns whether the log holds exactly this record.
fn holds(connection: &Connection, key: i64, room: &RoomId, record: &Record) -> rusqlite::Result<bool> {
    Ok(log::record_after(connection, key, room, record.expected)?.is_some_and(|held| held.id == record.id))
}
