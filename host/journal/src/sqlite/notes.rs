//! The tables `alarms` and `occupied`: the causes for which sleeping rooms are woken.

use reapply_sync::room::Note;
use reapply_sync::{RoomId, Seq, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row::{Failed, checksum, name, number, placed, prove, saturated};
use super::snapshots;

/// Returns the note of the room with this key.
pub(super) fn of(connection: &Connection, key: i64) -> rusqlite::Result<Note> {
    let alarm = connection
        .prepare_cached("SELECT room, due, checksum FROM alarms WHERE room = ?1")?
        .query_row([key], |row| proved_alarm(row).map(|(_, due)| due))
        .optional()?;
    let occupied = connection
        .prepare_cached("SELECT room, checksum FROM occupied WHERE room = ?1")?
        .query_row([key], proved_occupied)
        .optional()?;
    Ok(Note { alarm, is_occupied: occupied.is_some() })
}

/// Replaces the note of the room with this key. `from` is the present note.
pub(super) fn change(connection: &Connection, key: i64, from: Note, to: Note) -> rusqlite::Result<()> {
    if from.alarm != to.alarm {
        set_alarm(connection, key, to.alarm)?;
    }
    match (from.is_occupied, to.is_occupied) {
        (false, true) => connection
            .prepare_cached("INSERT INTO occupied (room, checksum) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![key, checksum("occupied", &key)?])?,
        (true, false) => connection.prepare_cached("DELETE FROM occupied WHERE room = ?1")?.execute([key])?,
        _ => 0,
    };
    Ok(())
}

/// Returns the alarms of `Journal::alarms`.
pub(super) fn alarms(connection: &Connection, count_max: usize) -> Result<Vec<(RoomId, Timestamp)>, Failed> {
    connection
        .prepare_cached(
            "SELECT alarms.room, due, alarms.checksum, rooms.machine, rooms.room
             FROM alarms JOIN rooms ON rooms.id = alarms.room
             WHERE NOT staged ORDER BY due, alarms.room LIMIT ?1",
        )?
        .query_and_then([i64::try_from(count_max).unwrap_or(i64::MAX)], |row| {
            let (_, due) = proved_alarm(row)?;
            Ok((RoomId { machine: name(row, 3)?, room: name(row, 4)? }, due))
        })?
        .collect()
}

/// Returns the rooms of `Journal::occupied`.
pub(super) fn occupied(
    connection: &Connection,
    after: Option<&RoomId>,
    count_max: usize,
) -> Result<Vec<RoomId>, Failed> {
    let after = after.map_or(("", ""), |after| (after.machine.as_str(), after.room.as_str()));
    connection
        .prepare_cached(
            "SELECT occupied.room, occupied.checksum, rooms.machine, rooms.room
             FROM occupied JOIN rooms ON rooms.id = occupied.room
             WHERE NOT staged AND (rooms.machine, rooms.room) > (?1, ?2) ORDER BY rooms.machine, rooms.room LIMIT ?3",
        )?
        .query_and_then(params![after.0, after.1, i64::try_from(count_max).unwrap_or(i64::MAX)], |row| {
            proved_occupied(row)?;
            Ok(RoomId { machine: name(row, 2)?, room: name(row, 3)? })
        })?
        .collect()
}

/// Notes rooms of earlier formats, which do not have this note, as occupied if somebody may be present: the newest snapshot names someone, or does
/// not include the whole log. A room without participants loses the note when it is woken.
pub(super) fn begin_occupied(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT id, machine, room, (SELECT last FROM batches WHERE room = rooms.id ORDER BY expected DESC LIMIT 1) FROM rooms",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (key, last) = (row.get(0)?, row.get::<_, Option<i64>>(3)?);
        let Some(last) = last else { continue };
        let is_empty = || {
            let room = RoomId { machine: name(row, 1)?, room: name(row, 2)? };
            let snapshot = snapshots::head_at(connection, key, &room, Seq(last.unsigned_abs()))?;
            Ok::<_, rusqlite::Error>(snapshot.is_some_and(|snapshot| snapshot.present.is_empty()))
        };
        // Unreadable data is found and reported when the room is proved.
        if !is_empty().unwrap_or(false) {
            change(connection, key, Note::default(), Note { is_occupied: true, ..Note::default() })?;
        }
    }
    Ok(())
}

/// Returns a room's key and the time of its alarm, from a row of `room, due, checksum`.
pub(super) fn proved_alarm(row: &Row<'_>) -> rusqlite::Result<(i64, Timestamp)> {
    let key = row.get(0)?;
    let place = || format!("the alarm of room {key}");
    let due = placed(number(row, 1), place)?;
    prove(row, 2, checksum("alarms", &(key, saturated(due)))?, place)?;
    Ok((key, Timestamp(due)))
}

/// Returns the key of a room that may be occupied, from a row of `room, checksum`.
pub(super) fn proved_occupied(row: &Row<'_>) -> rusqlite::Result<i64> {
    let key = row.get(0)?;
    prove(row, 1, checksum("occupied", &key)?, || format!("the presence of room {key}"))?;
    Ok(key)
}

fn set_alarm(connection: &Connection, key: i64, alarm: Option<Timestamp>) -> rusqlite::Result<()> {
    match alarm {
        Some(alarm) => connection
            .prepare_cached(
                "INSERT INTO alarms (room, due, checksum) VALUES (?1, ?2, ?3)
                 ON CONFLICT (room) DO UPDATE SET due = excluded.due, checksum = excluded.checksum",
            )?
            .execute(params![key, saturated(alarm.0), checksum("alarms", &(key, saturated(alarm.0)))?])?,
        None => connection.prepare_cached("DELETE FROM alarms WHERE room = ?1")?.execute([key])?,
    };
    Ok(())
}
