//! What is read from the database, by readers, the writer and the verification alike.

use bytes::Bytes;
use reapply_sync::{Chain, Digest, Genesis, Name, RoomId, Seq, Snapshot, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, Error, ErrorCode, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;

use crate::journal::{BatchId, Component, JournalError, MachineRecord, Record, RoomRecord};

/// Where a room's log ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) last: Seq,
    time: Timestamp,
    chain: Chain,
    batch: BatchId,
}

/// The number under which the database keeps a room.
pub(super) fn room_key(connection: &Connection, room: &RoomId) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM rooms WHERE machine = ?1 AND room = ?2")?
        .query_row(params![room.machine.as_str(), room.room.as_str()], |row| row.get(0))
        .optional()
}

/// Where the log of the room with this key ends; `None` if it has no events.
pub(super) fn head(connection: &Connection, key: i64) -> rusqlite::Result<Option<Head>> {
    connection
        .prepare_cached("SELECT last, time, chain, batch FROM batches WHERE room = ?1 ORDER BY expected DESC LIMIT 1")?
        .query_row([key], |row| {
            Ok(Head {
                last: Seq(number(row, 0)?),
                time: Timestamp(number(row, 1)?),
                chain: Chain(row.get(2)?),
                batch: BatchId(u128::from_be_bytes(row.get(3)?)),
            })
        })
        .optional()
}

/// Whether the log holds this very batch after `expected`.
pub(super) fn holds(connection: &Connection, key: i64, expected: Seq, batch: BatchId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM batches WHERE room = ?1 AND expected = ?2 AND batch = ?3")?
        .exists(params![key, integer(expected.0)?, batch.0.to_be_bytes()])
}

pub(super) fn room(connection: &Connection, room: &RoomId) -> rusqlite::Result<Option<RoomRecord>> {
    let row = connection
        .prepare_cached("SELECT id, genesis FROM rooms WHERE machine = ?1 AND room = ?2")?
        .query_row(params![room.machine.as_str(), room.room.as_str()], |row| Ok((row.get(0)?, decoded(row, 1)?)))
        .optional()?;
    row.map(|(key, genesis)| room_record(connection, key, genesis)).transpose()
}

pub(super) fn rooms(
    connection: &Connection,
    machine: Option<&Name>,
    after: Option<&RoomId>,
    count_max: usize,
) -> rusqlite::Result<Vec<RoomRecord>> {
    let after = after.map_or(("", ""), |after| (after.machine.as_str(), after.room.as_str()));
    connection
        .prepare_cached(
            "SELECT id, genesis FROM rooms WHERE (machine, room) > (?1, ?2) AND (?3 IS NULL OR machine = ?3)
             ORDER BY machine, room LIMIT ?4",
        )?
        .query_and_then(
            params![after.0, after.1, machine.map(Name::as_str), i64::try_from(count_max).unwrap_or(i64::MAX)],
            |row| room_record(connection, row.get(0)?, decoded(row, 1)?),
        )?
        .collect()
}

/// `None` if there is no such room.
pub(super) fn read(
    connection: &Connection,
    room: &RoomId,
    after: Seq,
    bytes_max: usize,
) -> rusqlite::Result<Option<Vec<Record>>> {
    let Some(key) = room_key(connection, room)? else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "SELECT expected, last, time, batch, chain, body FROM batches WHERE room = ?1 AND last > ?2 AND expected >=
             (SELECT coalesce(max(expected), 0) FROM batches WHERE room = ?1 AND expected <= ?2)
         ORDER BY expected",
    )?;
    let mut rows = statement.query(params![key, integer(after.0)?])?;
    let mut records = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let record = record(row)?;
        bytes += record.body.len();
        if bytes > bytes_max && !records.is_empty() {
            break;
        }
        records.push(record);
    }
    Ok(Some(records))
}

/// A record from a row of `expected, last, time, batch, chain, body`.
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        expected: Seq(number(row, 0)?),
        last: Seq(number(row, 1)?),
        time: Timestamp(number(row, 2)?),
        id: BatchId(u128::from_be_bytes(row.get(3)?)),
        chain: Chain(row.get(4)?),
        body: Bytes::from(row.get::<_, Vec<u8>>(5)?),
    })
}

/// The log's chain at `seq`; `None` if the log does not reach so far, or cannot be read as far.
pub(super) fn chain_at(connection: &Connection, room: &RoomId, seq: Seq) -> rusqlite::Result<Option<Chain>> {
    let row = connection
        .prepare_cached("SELECT id, chain FROM rooms WHERE machine = ?1 AND room = ?2")?
        .query_row(params![room.machine.as_str(), room.room.as_str()], |row| {
            Ok((row.get::<_, i64>(0)?, Chain(row.get(1)?)))
        })
        .optional()?;
    let Some((key, genesis)) = row else { return Ok(None) };
    if seq == Seq(0) {
        return Ok(Some(genesis));
    }
    let mut statement = connection.prepare_cached(
        "SELECT expected, last, time, batch, chain, body FROM batches WHERE room = ?1 AND expected < ?2
         ORDER BY expected DESC LIMIT 2",
    )?;
    let mut records = statement.query_and_then(params![key, integer(seq.0)?], record)?;
    let Some(holder) = records.next().transpose()?.filter(|record| record.last >= seq) else { return Ok(None) };
    if holder.last == seq {
        return Ok(Some(holder.chain));
    }
    let before = records.next().transpose()?.map_or(genesis, |record| record.chain);
    Ok(holder.decode(before).ok().map(|batch| chain_within(before, &batch.encoded, seq.0 - holder.expected.0)))
}

/// The chain after the first `count` of `encoded` events.
pub(super) fn chain_within(before: Chain, encoded: &[Bytes], count: u64) -> Chain {
    encoded.iter().take(usize::try_from(count).unwrap_or(usize::MAX)).fold(before, |chain, event| chain.after(event))
}

/// `None` if there is no such room.
pub(super) fn snapshot(
    connection: &Connection,
    room: &RoomId,
    at_most: Option<Seq>,
) -> rusqlite::Result<Option<Option<Snapshot>>> {
    let Some(key) = room_key(connection, room)? else { return Ok(None) };
    let at_most = at_most.map_or(i64::MAX, |seq| integer(seq.0).unwrap_or(i64::MAX));
    let snapshot = connection
        .prepare_cached("SELECT body FROM snapshots WHERE room = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1")?
        .query_row(params![key, at_most], |row| decoded(row, 0))
        .optional()?;
    Ok(Some(snapshot))
}

pub(super) fn component(connection: &Connection, digest: Digest) -> rusqlite::Result<Option<Component>> {
    connection
        .prepare_cached("SELECT description, browser_js, bytes FROM components WHERE digest = ?1")?
        .query_row([digest.0], |row| {
            let bytes = Bytes::from(row.get::<_, Vec<u8>>(2)?);
            Ok(Component { digest, description: row.get(0)?, browser_js: row.get(1)?, bytes })
        })
        .optional()
}

pub(super) fn machines(connection: &Connection) -> rusqlite::Result<Vec<MachineRecord>> {
    connection
        .prepare_cached("SELECT name, digest, deployed FROM machines ORDER BY name")?
        .query_and_then([], |row| {
            let name = row.get::<_, String>(0)?.parse::<Name>().map_err(|error| unreadable(0, Type::Text, error))?;
            Ok(MachineRecord { name, digest: Digest(row.get(1)?), deployed: Timestamp(number(row, 2)?) })
        })?
        .collect()
}

/// SQLite's integers are signed.
pub(super) fn integer(number: u64) -> rusqlite::Result<i64> {
    i64::try_from(number).map_err(|error| Error::ToSqlConversionFailure(error.into()))
}

/// A column's integer, which must not be negative.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|error| unreadable(column, Type::Integer, error))
}

/// A column's value, from postcard.
pub(super) fn decoded<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let bytes = row.get_ref(column)?.as_blob()?;
    postcard::from_bytes(bytes).map_err(|error| unreadable(column, Type::Blob, error))
}

/// Whether `error` says that what is stored is not what was written, rather than that reading or writing failed.
pub(super) fn is_damage(error: &Error) -> bool {
    match error {
        Error::SqliteFailure(failure, _) => {
            matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        }
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => true,
        _ => false,
    }
}

/// What a caller is told of `error`, with the database that it came from.
pub(super) fn journal_error(connection: &Connection, error: &Error) -> JournalError {
    let text = format!("{}: {error}", connection.path().unwrap_or_default());
    if is_damage(error) { JournalError::Damaged(text) } else { JournalError::Storage(text) }
}

fn room_record(connection: &Connection, key: i64, genesis: Genesis) -> rusqlite::Result<RoomRecord> {
    Ok(match head(connection, key)? {
        Some(Head { last, time, chain, batch }) => RoomRecord { genesis, head: last, time, chain, batch: Some(batch) },
        None => RoomRecord { head: Seq(0), time: genesis.time, chain: genesis.chain(), batch: None, genesis },
    })
}

fn unreadable(column: usize, kind: Type, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::FromSqlConversionFailure(column, kind, Box::new(error))
}
