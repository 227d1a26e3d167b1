//! Proving, at the start, that what is stored is what was written.
//!
//! SQLite checks the file's structure and its indexes; then every record is decoded and must lead from its room's genesis, link by
//! link, to the chain that is stored with it, and every snapshot and component must have its hash. The work grows with the
//! data; the memory does not, but for a few words for each room.

use std::collections::HashMap;
use std::path::Path;

use reapply_sync::{Batch, Chain, Digest, Genesis, RoomId, Seq, Snapshot};
use rusqlite::{Connection, Row, params};

use super::query::{self, decoded, number, record};
use super::{component_hash, schema};
use crate::journal::Record;
use crate::journal::directory::OpenError;

/// Proves the whole database.
pub(super) fn verify(connection: &Connection, file: &Path) -> Result<(), OpenError> {
    let verification = Verification { connection, file };
    verification.structure()?;
    let mut rooms = verification.rooms()?;
    verification.batches(&mut rooms)?;
    verification.components()
}

struct Verification<'a> {
    connection: &'a Connection,
    file: &'a Path,
}

/// What is known of a room when its records have been proved so far.
struct Room {
    id: RoomId,
    head: Seq,
    chain: Chain,
    /// The seq of its first snapshot that is not proved yet.
    snapshot_next: Option<Seq>,
}

impl Verification<'_> {
    fn structure(&self) -> Result<(), OpenError> {
        let place = "its structure";
        let found = self
            .connection
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))
            .map_err(|error| schema::refusal(self.file, place, &error))?;
        if found == "ok" { Ok(()) } else { Err(self.damaged(place, found)) }
    }

    fn rooms(&self) -> Result<HashMap<i64, Room>, OpenError> {
        let mut rooms = HashMap::new();
        self.each_row("SELECT id, machine, room, genesis, chain FROM rooms", "the table rooms", |row| {
            let key: i64 = row.get(0)?;
            let name = format!("{}/{}", row.get::<_, String>(1)?, row.get::<_, String>(2)?);
            let genesis: Genesis = decoded(row, 3)?;
            let chain = genesis.chain();
            if genesis.room.to_string() != name || chain != Chain(row.get(4)?) {
                let what = "its genesis does not match its chain and name".to_owned();
                return Ok(Err(self.damaged(&format!("room {name}"), what)));
            }
            let mut room = Room { id: genesis.room, head: Seq(0), chain, snapshot_next: None };
            room.snapshot_next = self.snapshot_after(key, None)?;
            Ok(self.snapshots_within(key, &mut room, |_| chain).map(|()| drop(rooms.insert(key, room))))
        })?;
        Ok(rooms)
    }

    /// Reads the records in the order in which they were appended, so that the disk is read from start to end.
    fn batches(&self, rooms: &mut HashMap<i64, Room>) -> Result<(), OpenError> {
        let sql = "SELECT expected, last, time, batch, chain, body, room, id FROM batches NOT INDEXED ORDER BY id";
        self.each_row(sql, "the table batches", |row| {
            let key: i64 = row.get(6)?;
            let Some(room) = rooms.get_mut(&key) else {
                let place = format!("record {}", row.get::<_, i64>(7)?);
                return Ok(Err(self.damaged(&place, "its room is missing".to_owned())));
            };
            let place = format!("room {}, event {}", room.id, room.head.next());
            let record = record(row).map_err(|error| schema::refusal(self.file, &place, &error));
            Ok(record.and_then(|record| self.batch(key, room, &record)))
        })?;
        let beyond = rooms.values().find_map(|room| room.snapshot_next.map(|seq| (room, seq)));
        beyond.map_or(Ok(()), |(room, seq)| {
            let what = format!("the log ends before it, at {}", room.head);
            Err(self.damaged(&format!("room {}, snapshot at {seq}", room.id), what))
        })
    }

    fn batch(&self, key: i64, room: &mut Room, record: &Record) -> Result<(), OpenError> {
        let id = room.id.clone();
        let place = |seq: Seq| format!("room {id}, event {seq}");
        if record.expected != room.head {
            let what =
                format!("a record that follows {} stands where one that follows {} must", record.expected, room.head);
            return Err(self.damaged(&place(room.head.next()), what));
        }
        let before = room.chain;
        let batch: Batch = record.decode(before).map_err(|damage| self.damaged(&place(damage.seq), damage.what))?;
        (room.head, room.chain) = (record.last, record.chain);
        let chain_at = |seq: Seq| query::chain_within(before, &batch.encoded, seq.0.saturating_sub(record.expected.0));
        self.snapshots_within(key, room, chain_at)
    }

    /// Proves the room's snapshots up to its head.
    fn snapshots_within(&self, key: i64, room: &mut Room, chain_at: impl Fn(Seq) -> Chain) -> Result<(), OpenError> {
        while let Some(seq) = room.snapshot_next.filter(|seq| *seq <= room.head) {
            let place = format!("room {}, snapshot at {seq}", room.id);
            let refuse = |error: rusqlite::Error| schema::refusal(self.file, &place, &error);
            let stored = self.snapshot(key, seq).map_err(refuse)?;
            let what = match stored {
                Stored::HashDiffers => Some("its bytes do not match their hash"),
                Stored::Snapshot(snapshot) if snapshot.seq != seq => Some("it is of another seq"),
                Stored::Snapshot(snapshot) if snapshot.chain != chain_at(seq) => Some("its chain is not the log's"),
                Stored::Snapshot(_) => None,
            };
            if let Some(what) = what {
                return Err(self.damaged(&place, what.to_owned()));
            }
            room.snapshot_next = self.snapshot_after(key, Some(seq)).map_err(refuse)?;
        }
        Ok(())
    }

    fn snapshot(&self, key: i64, seq: Seq) -> rusqlite::Result<Stored> {
        self.connection.prepare_cached("SELECT body, hash FROM snapshots WHERE room = ?1 AND seq = ?2")?.query_row(
            params![key, query::integer(seq.0)?],
            |row| {
                if Digest::of(row.get_ref(0)?.as_blob()?) != Digest(row.get(1)?) {
                    return Ok(Stored::HashDiffers);
                }
                decoded(row, 0).map(Stored::Snapshot)
            },
        )
    }

    fn snapshot_after(&self, key: i64, seq: Option<Seq>) -> rusqlite::Result<Option<Seq>> {
        let after = seq.map_or(Ok(-1), |seq| query::integer(seq.0))?;
        self.connection
            .prepare_cached("SELECT seq FROM snapshots WHERE room = ?1 AND seq > ?2 ORDER BY seq LIMIT 1")?
            .query_and_then(params![key, after], |row| number(row, 0).map(Seq))?
            .next()
            .transpose()
    }

    fn components(&self) -> Result<(), OpenError> {
        let sql = "SELECT digest, hash, description, browser_js, bytes FROM components";
        self.each_row(sql, "the table components", |row| {
            let digest = Digest(row.get(0)?);
            let hash = component_hash(row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?);
            let good = Digest::of(row.get_ref(4)?.as_blob()?) == digest && hash == Digest(row.get(1)?);
            let what = "its bytes do not match their digest".to_owned();
            Ok(if good { Ok(()) } else { Err(self.damaged(&format!("component {digest}"), what)) })
        })?;
        let orphan = "SELECT name FROM machines WHERE digest NOT IN (SELECT digest FROM components)";
        self.each_row(orphan, "the table machines", |row| {
            let what = "its component is missing".to_owned();
            Ok(Err(self.damaged(&format!("machine {}", row.get::<_, String>(0)?), what)))
        })?;
        query::machines(self.connection)
            .map(drop)
            .map_err(|error| schema::refusal(self.file, "the table machines", &error))
    }

    /// Calls `check` with every row; `place` says where it is, if a row cannot be read.
    fn each_row(
        &self,
        sql: &str,
        place: &str,
        mut check: impl FnMut(&Row<'_>) -> rusqlite::Result<Result<(), OpenError>>,
    ) -> Result<(), OpenError> {
        let refuse = |error: rusqlite::Error| schema::refusal(self.file, place, &error);
        let mut statement = self.connection.prepare(sql).map_err(refuse)?;
        let mut rows = statement.query([]).map_err(refuse)?;
        while let Some(row) = rows.next().map_err(refuse)? {
            check(row).map_err(refuse)??;
        }
        Ok(())
    }

    fn damaged(&self, place: &str, what: String) -> OpenError {
        OpenError::Damaged { file: self.file.to_owned(), place: place.to_owned(), what }
    }
}

enum Stored {
    Snapshot(Snapshot),
    HashDiffers,
}
