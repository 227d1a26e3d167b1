//! The rooms: how they are looked up, listed, begun, published, trimmed and removed.

use std::collections::BTreeMap;

use reapply_sync::room::Note;
use reapply_sync::{Digest, Name, RoomId, Seq};
use rusqlite::{Connection, OptionalExtension, params};

use super::authors::Segment;
use super::log::{self, Head};
use super::outcome::Outcome;
use super::room_row::{COLUMNS, RoomRow};
use super::row::{Failed, name};
use super::unfinished::Unfinished;
use super::{authors, notes, snapshots, sweep};
use crate::crash;
use crate::{Base, JournalError, NewRoom, RoomRecord};

/// Returns the room, unless it is staged.
pub(super) fn room(connection: &Connection, room: &RoomId) -> Result<Option<RoomRecord>, Failed> {
    match RoomRow::of(connection, room) {
        Ok(row) if row.staged => Ok(None),
        Ok(row) => Ok(Some(record(connection, row)?)),
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
            Ok(record(connection, RoomRow::read(row)?)?)
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
    let key = RoomRow::insert(connection, new)?;
    notes::change(connection, key, Note::default(), new.note)?;
    if new.staged {
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

/// Returns what the journal says of a room.
fn record(connection: &Connection, row: RoomRow) -> rusqlite::Result<RoomRecord> {
    let (begins, first) = row.start();
    let began = row.base.as_ref().map_or(row.genesis.time, |base| base.time);
    let head = log::head(connection, row.key, &row.room)?;
    let (head, time, chain, batch) = match head {
        Some(Head { last, time, chain, batch }) => (last, time, chain, Some(batch)),
        None => (begins, began, first, None),
    };
    Ok(RoomRecord {
        digest: log::build_at(connection, &row, head)?,
        note: notes::of(connection, row.key)?,
        room: row.room,
        genesis: row.genesis,
        log: row.log,
        base: row.base,
        head,
        time,
        chain,
        batch,
    })
}
