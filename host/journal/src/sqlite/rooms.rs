//! The table `rooms`.

use std::collections::BTreeMap;

use reapply_sync::room::Note;
use reapply_sync::{Chain, Digest, Genesis, LogId, Name, RoomId, Seq};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::authors::Segment;
use super::log::{self, Head};
use super::row::{Failed, checksum, decoded, encoded, flag, name, placed, prove};
use super::store::Outcome;
use super::sweep::{self, Unfinished};
use super::{authors, notes, snapshots};
use crate::crash;
use crate::{Base, JournalError, NewRoom, RoomRecord};

/// The columns that [`RoomRow::read`] reads.
const COLUMNS: &str = "id, machine, room, genesis, log, base, staged, checksum";

/// A room's row.
#[derive(Clone, Debug)]
pub(super) struct RoomRow {
    pub(super) key: i64,
    pub(super) room: RoomId,
    genesis: Genesis,
    log: LogId,
    pub(super) base: Option<Base>,
    pub(super) staged: bool,
}

impl RoomRow {
    /// Reads a row of [`COLUMNS`], and proves it.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (key, room) = (row.get(0)?, RoomId { machine: name(row, 1)?, room: name(row, 2)? });
        let place = || format!("room {room}");
        let (genesis, log) = (placed(decoded(row, 3), place)?, placed(row.get(4), place)?);
        let (base, staged) = (placed(decoded_base(row, 5), place)?, placed(flag(row, 6), place)?);
        let read = Self { key, room: room.clone(), genesis, log: LogId(log), base, staged };
        prove(row, 7, read.checksum()?, place)?;
        Ok(read)
    }

    /// Returns the row of this room. Fails if there is none.
    pub(super) fn of(connection: &Connection, room: &RoomId) -> Result<Self, Failed> {
        let sql = format!("SELECT {COLUMNS} FROM rooms WHERE machine = ?1 AND room = ?2");
        let found = connection
            .prepare_cached(&sql)?
            .query_row(params![room.machine.as_str(), room.room.as_str()], Self::read)
            .optional()?;
        found.ok_or_else(|| JournalError::NoSuchRoom(room.clone()).into())
    }

    /// Returns the row with this key, if there is one.
    pub(super) fn at(connection: &Connection, key: i64) -> rusqlite::Result<Option<Self>> {
        let sql = format!("SELECT {COLUMNS} FROM rooms WHERE id = ?1");
        connection.prepare_cached(&sql)?.query_row([key], Self::read).optional()
    }

    /// Calls `each` with every room, in the order of their keys.
    pub(super) fn each(
        connection: &Connection,
        mut each: impl FnMut(Self) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM rooms ORDER BY id"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(Self::read(row)?)?;
        }
        Ok(())
    }

    /// Returns the event after which the log begins, and the chain there.
    pub(super) fn start(&self) -> (Seq, Chain) {
        self.base.as_ref().map_or_else(|| (Seq(0), self.genesis.chain()), |base| (base.seq, base.chain))
    }

    /// Returns the build that the room ran there.
    pub(super) fn first_digest(&self) -> Digest {
        self.base.as_ref().map_or(self.genesis.digest, |base| base.digest)
    }

    fn update(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached("UPDATE rooms SET base = ?2, staged = ?3, checksum = ?4 WHERE id = ?1")?
            .execute(params![self.key, self.base.as_ref().map(encoded).transpose()?, self.staged, self.checksum()?])?;
        Ok(())
    }

    fn checksum(&self) -> rusqlite::Result<i64> {
        checksum("rooms", &(&self.room, &self.genesis, self.log, &self.base, self.staged))
    }

    fn into_record(self, connection: &Connection) -> rusqlite::Result<RoomRecord> {
        let (begins, first) = self.start();
        let began = self.base.as_ref().map_or(self.genesis.time, |base| base.time);
        let head = log::head(connection, self.key, &self.room)?;
        let (head, time, chain, batch) = match head {
            Some(Head { last, time, chain, batch }) => (last, time, chain, Some(batch)),
            None => (begins, began, first, None),
        };
        Ok(RoomRecord {
            digest: log::build_at(connection, &self, head)?,
            note: notes::of(connection, self.key)?,
            room: self.room,
            genesis: self.genesis,
            log: self.log,
            base: self.base,
            head,
            time,
            chain,
            batch,
        })
    }
}

/// Returns the room, unless it is staged.
pub(super) fn room(connection: &Connection, room: &RoomId) -> Result<Option<RoomRecord>, Failed> {
    match RoomRow::of(connection, room) {
        Ok(row) if row.staged => Ok(None),
        Ok(row) => Ok(Some(row.into_record(connection)?)),
        Err(Failed::Refused(JournalError::NoSuchRoom(_))) => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// Returns the key of the next room that is not staged, and its name, unless that is damaged.
pub(super) fn next(connection: &Connection, after: i64) -> rusqlite::Result<Option<(i64, Option<RoomId>)>> {
    connection
        .prepare_cached("SELECT id, machine, room FROM rooms WHERE id > ?1 AND staged = 0 ORDER BY id LIMIT 1")?
        .query_row([after], |row| {
            let named = name(row, 1).and_then(|machine| Ok(RoomId { machine, room: name(row, 2)? }));
            Ok((row.get(0)?, named.ok()))
        })
        .optional()
}

/// Returns the rooms of `Journal::rooms`.
pub(super) fn rooms(
    connection: &Connection,
    machine: Option<&Name>,
    after: Option<&RoomId>,
    count_max: usize,
) -> Result<Vec<RoomRecord>, Failed> {
    let after = after.map_or(("", ""), |after| (after.machine.as_str(), after.room.as_str()));
    let sql = format!(
        "SELECT {COLUMNS} FROM rooms WHERE (machine, room) > (?1, ?2) AND (?3 IS NULL OR machine = ?3) AND NOT staged
         ORDER BY machine, room LIMIT ?4"
    );
    let limit = i64::try_from(count_max).unwrap_or(i64::MAX);
    connection
        .prepare_cached(&sql)?
        .query_and_then(params![after.0, after.1, machine.map(Name::as_str), limit], |row| {
            Ok(RoomRow::read(row)?.into_record(connection)?)
        })?
        .collect()
}

/// Returns the counts of `Journal::builds`.
pub(super) fn builds(connection: &Connection, machine: &Name) -> Result<Vec<(Digest, u64)>, Failed> {
    const NEWEST: Seq = Seq(i64::MAX as u64);
    let sql = format!("SELECT {COLUMNS} FROM rooms WHERE machine = ?1 AND NOT staged");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([machine.as_str()])?;
    let mut counts = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let build = log::build_at(connection, &RoomRow::read(row)?, NEWEST)?;
        *counts.entry(build).or_default() += 1;
    }
    Ok(counts.into_iter().collect())
}

/// Begins a room.
pub(super) fn create(connection: &Connection, new: &NewRoom) -> Result<Outcome, Failed> {
    match RoomRow::of(connection, &new.room) {
        Ok(row) if row.staged => return Err(JournalError::RoomStaged(row.room).into()),
        Ok(row) => return Err(JournalError::RoomExists(row.room).into()),
        Err(Failed::Refused(_)) => {}
        Err(failed) => return Err(failed),
    }
    let NewRoom { room, genesis, log, base, note, staged } = new.clone();
    let row = RoomRow { key: 0, room, genesis, log, base, staged };
    connection
        .prepare_cached(
            "INSERT INTO rooms (machine, room, genesis, log, base, staged, checksum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            row.room.machine.as_str(),
            row.room.room.as_str(),
            encoded(&row.genesis)?,
            row.log.0,
            row.base.as_ref().map(encoded).transpose()?,
            row.staged,
            row.checksum()?,
        ])?;
    let key = connection.last_insert_rowid();
    notes::change(connection, key, Note::default(), note)?;
    if row.staged {
        Unfinished::Room(key).begin(connection)?;
    }
    Ok(Outcome::Done)
}

/// Returns the place of `Journal::skip`, for authors with these hashes.
pub(super) fn skip(connection: &Connection, room: &RoomId, after: Seq, authors: &[u64]) -> Result<Seq, Failed> {
    let row = RoomRow::of(connection, room)?;
    match row.start() {
        (begins, _) if after < begins => Err(JournalError::Trimmed { room: row.room, begins }.into()),
        _ => Ok(authors::skip(connection, row.key, after, authors)?),
    }
}

/// Stores the authors in segments of the room with this key, unless they were trimmed meanwhile.
pub(super) fn put_authors(connection: &Connection, key: i64, segments: &[Segment]) -> Result<Outcome, Failed> {
    if let Some(row) = RoomRow::at(connection, key)?.filter(|row| !row.staged) {
        let first = authors::first_whole(row.start().0);
        let kept = segments.iter().position(|segment| segment.number >= first).unwrap_or(segments.len());
        authors::put(connection, key, &segments[kept..])?;
    }
    Ok(Outcome::Done)
}

/// Publishes a staged room.
pub(super) fn publish(connection: &Connection, room: &RoomId) -> Result<Outcome, Failed> {
    let row = RoomRow::of(connection, room)?;
    if let Some(base) = row.base.as_ref().filter(|_| row.staged)
        && snapshots::head_at(connection, row.key, room, base.seq)?.is_none()
    {
        return Err(JournalError::SnapshotMissing { room: room.clone(), seq: base.seq }.into());
    }
    Unfinished::Room(row.key).end(connection)?;
    RoomRow { staged: false, ..row }.update(connection)?;
    Ok(Outcome::Done)
}

/// Removes a staged room, a portion at a time. Its row is removed last.
pub(super) fn discard(connection: &Connection, room: &RoomId) -> Result<Outcome, Failed> {
    let row = RoomRow::of(connection, room)?;
    if !row.staged {
        return Err(JournalError::NotStaged(row.room).into());
    }
    if !sweep::portion(connection, row.key, None)? {
        return Ok(Outcome::More);
    }
    for table in ["alarms WHERE room", "occupied WHERE room", "rejections WHERE room", "rooms WHERE id"] {
        connection.prepare_cached(&format!("DELETE FROM {table} = ?1"))?.execute([row.key])?;
    }
    Unfinished::Room(row.key).end(connection)?;
    Ok(Outcome::Done)
}

/// Makes a log begin at `upto`, which readers see at once. The records and snapshots before it are removed a portion at a time.
pub(super) fn trim(connection: &Connection, room: &RoomId, upto: Seq, is_held: bool) -> Result<Outcome, Failed> {
    let row = RoomRow::of(connection, room)?;
    let (begins, _) = row.start();
    if upto != begins {
        let refuse = |why| JournalError::NotTrimmable { room: room.clone(), upto, why };
        if is_held {
            return Err(refuse("it is being copied").into());
        }
        if upto < begins {
            return Err(refuse("it begins after that already").into());
        }
        if log::record_after(connection, row.key, room, upto)?.is_none() {
            return Err(refuse("it has no record that begins there").into());
        }
        let snapshot = snapshots::head_at(connection, row.key, room, upto)?;
        let snapshot = snapshot.ok_or_else(|| JournalError::SnapshotMissing { room: room.clone(), seq: upto })?;
        let base = Base { seq: upto, time: snapshot.time, digest: snapshot.digest, chain: snapshot.chain };
        Unfinished::Room(row.key).begin(connection)?;
        RoomRow { base: Some(base), ..row.clone() }.update(connection)?;
    }
    let is_last = sweep::portion(connection, row.key, Some(upto))?;
    if is_last {
        Unfinished::Room(row.key).end(connection)?;
    }
    crash::point("trim-half-done");
    Ok(if is_last { Outcome::Done } else { Outcome::More })
}

fn decoded_base(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Base>> {
    let is_null = row.get_ref(column)?.as_blob_or_null()?.is_none();
    if is_null { Ok(None) } else { decoded(row, column).map(Some) }
}
