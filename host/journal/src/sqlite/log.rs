//! The table `batches`: records in append order, and lookups in them.

use bytes::Bytes;
use reapply_sync::{Chain, Digest, RoomId, Seq, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::room_row::RoomRow;
use super::row::{Failed, checksum_of, damage, integer, number, placed, prove, saturated};
use crate::{BatchId, JournalError, Record};

/// The columns that [`record`] reads.
pub(super) const COLUMNS: &str = "expected, last, time, batch, upgrade, chain, checksum, body";

/// The same columns without the body, which is read as empty.
const COLUMNS_WITHOUT_BODY: &str = "expected, last, time, batch, upgrade, chain, checksum, x''";

/// The end of a room's log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) last: Seq,
    pub(super) time: Timestamp,
    pub(super) chain: Chain,
    pub(super) batch: BatchId,
}

/// Stores a record of the room with this key. The database refuses a record whose expected head another has already used.
pub(super) fn insert(connection: &Connection, key: i64, record: &Record) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO batches (room, expected, last, time, batch, upgrade, chain, checksum, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            key,
            integer(record.expected.0)?,
            integer(record.last.0)?,
            integer(record.time.0)?,
            record.id.0.cast_signed(),
            record.upgrade.map(|digest| digest.0),
            record.chain.0,
            record_checksum(key, record),
            &record.body[..],
        ])?;
    Ok(())
}

/// Returns the end of the log of the room with this key; `None` if it has no records.
pub(super) fn head(connection: &Connection, key: i64, room: &RoomId) -> rusqlite::Result<Option<Head>> {
    let sql = format!("SELECT {COLUMNS_WITHOUT_BODY} FROM batches WHERE room = ?1 ORDER BY expected DESC LIMIT 1");
    connection
        .prepare_cached(&sql)?
        .query_row([key], |row| {
            let from = Seq(number(row, 0)?).next();
            let Record { last, time, chain, id: batch, .. } = record(row, key, || place(room, from))?;
            Ok(Head { last, time, chain, batch })
        })
        .optional()
}

/// Returns the record that follows `seq`, without its body: there, one ends and the next begins.
pub(super) fn record_after(
    connection: &Connection,
    key: i64,
    room: &RoomId,
    seq: Seq,
) -> rusqlite::Result<Option<Record>> {
    let sql = format!("SELECT {COLUMNS_WITHOUT_BODY} FROM batches WHERE room = ?1 AND expected = ?2");
    connection
        .prepare_cached(&sql)?
        .query_row(params![key, saturated(seq.0)], |row| record(row, key, || place(room, seq.next())))
        .optional()
}

/// Returns the records of `Journal::read`.
pub(super) fn read(
    connection: &Connection,
    room: &RoomId,
    after: Seq,
    bytes_max: usize,
) -> Result<Vec<Record>, Failed> {
    let found = RoomRow::of(connection, room)?;
    if let Some(base) = found.base.filter(|base| base.seq > after) {
        return Err(JournalError::Trimmed { room: room.clone(), begins: base.seq }.into());
    }
    let mut statement = connection.prepare_cached(
        "SELECT expected, last, time, batch, upgrade, chain, checksum, body FROM batches
         WHERE room = ?1 AND last > ?2 AND expected >=
             (SELECT coalesce(max(expected), 0) FROM batches WHERE room = ?1 AND expected <= ?2)
         ORDER BY expected",
    )?;
    let mut rows = statement.query(params![found.key, saturated(after.0)])?;
    let mut records = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let before = records.last().map(|record: &Record| record.last);
        let from = before.unwrap_or(after).next();
        if let Some(before) = before
            && number(row, 0)? != before.0
        {
            let found = number(row, 0)?;
            let what = format!("a record that follows {found} stands where one that follows {before} must");
            return Err(damage(place(room, from), what).into());
        }
        let record = record(row, found.key, || place(room, from))?;
        bytes += record.body.len();
        if bytes > bytes_max && !records.is_empty() {
            break;
        }
        records.push(record);
    }
    Ok(records)
}

/// Returns the bytes of the bodies of all records with events after `after`. The bodies themselves are not read.
pub(super) fn bytes_after(connection: &Connection, key: i64, after: Seq) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT coalesce(sum(length(body)), 0) FROM batches
             WHERE room = ?1 AND last > ?2 AND expected >=
                 (SELECT coalesce(max(expected), 0) FROM batches WHERE room = ?1 AND expected <= ?2)",
        )?
        .query_row(params![key, saturated(after.0)], |row| number(row, 0))
}

/// Returns a record from a row of [`COLUMNS`], with everything but its body proved: the chain proves that. `place` says which record it
/// must be.
pub(super) fn record(row: &Row<'_>, key: i64, place: impl Fn() -> String) -> rusqlite::Result<Record> {
    let read = || {
        Ok(Record {
            expected: Seq(number(row, 0)?),
            last: Seq(number(row, 1)?),
            time: Timestamp(number(row, 2)?),
            id: BatchId(row.get::<_, i64>(3)?.cast_unsigned()),
            upgrade: row.get::<_, Option<_>>(4)?.map(Digest),
            chain: Chain(row.get(5)?),
            body: Bytes::from(row.get::<_, Vec<u8>>(7)?),
        })
    };
    let record = placed(read(), &place)?;
    prove(row, 6, record_checksum(key, &record), &place)?;
    Ok(record)
}

/// Returns the name of the record that holds the event `seq`, for messages.
pub(super) fn place(room: &RoomId, seq: Seq) -> String {
    format!("room {room}, event {seq}")
}

/// Returns the log's chain at `seq`; `None` if the log does not hold it, or cannot be read that far.
pub(super) fn chain_at(connection: &Connection, room: &RoomRow, seq: Seq) -> rusqlite::Result<Option<Chain>> {
    let (begins, first) = room.start();
    if seq <= begins {
        return Ok((seq == begins).then_some(first));
    }
    let mut statement = connection.prepare_cached(
        "SELECT expected, last, time, batch, upgrade, chain, checksum, body FROM batches
         WHERE room = ?1 AND expected < ?2 AND expected >= ?3 ORDER BY expected DESC LIMIT 2",
    )?;
    let mut records = statement.query_and_then(params![room.key, saturated(seq.0), saturated(begins.0)], |row| {
        record(row, room.key, || place(&room.room, seq))
    })?;
    let Some(holder) = records.next().transpose()?.filter(|record| record.last >= seq) else { return Ok(None) };
    if holder.last == seq {
        return Ok(Some(holder.chain));
    }
    let before = records.next().transpose()?.map_or(first, |record| record.chain);
    Ok(holder.decode(before).ok().map(|batch| chain_within(before, &batch.encoded, seq.0 - holder.expected.0)))
}

/// Returns the chain after the first `count` of `encoded` events.
pub(super) fn chain_within(before: Chain, encoded: &[Bytes], count: u64) -> Chain {
    encoded.iter().take(usize::try_from(count).unwrap_or(usize::MAX)).fold(before, |chain, event| chain.after(event))
}

/// Returns the build that the room runs after `seq`.
pub(super) fn build_at(connection: &Connection, room: &RoomRow, seq: Seq) -> rusqlite::Result<Digest> {
    let sql = format!(
        "SELECT {COLUMNS_WITHOUT_BODY} FROM batches INDEXED BY upgrades
         WHERE room = ?1 AND upgrade IS NOT NULL AND expected < ?2 ORDER BY expected DESC LIMIT 1"
    );
    let upgraded = connection
        .prepare_cached(&sql)?
        .query_row(params![room.key, saturated(seq.0)], |row| {
            let from = Seq(number(row, 0)?).next();
            record(row, room.key, || place(&room.room, from))
        })
        .optional()?
        .and_then(|record| record.upgrade);
    Ok(upgraded.unwrap_or_else(|| room.first_digest()))
}

/// Returns the checksum of a record's row. It is computed at every store and read, so its columns are laid out by hand.
pub(super) fn record_checksum(key: i64, record: &Record) -> i64 {
    let Record { id, expected, last, time, upgrade, chain, body: _ } = record;
    let mut bytes = Vec::with_capacity(128);
    for number in [key.cast_unsigned(), expected.0, last.0, time.0, id.0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&chain.0);
    if let Some(Digest(upgrade)) = upgrade {
        bytes.extend_from_slice(upgrade);
    }
    checksum_of(&bytes)
}
