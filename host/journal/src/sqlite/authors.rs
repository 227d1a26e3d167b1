//! The table `authors`: the authors who have events in each segment of a log, as hashes.
//!
//! The table only saves reading. A segment without a row is read like any other, so a missing row hides nothing. A row is written with the record
//! that ends its segment. It has a checksum, and is compared with the log whenever the log is proved. A proof also adds missing rows: all rows of a
//! log from before format 6, and one row after each restart of a host.

use std::collections::{BTreeSet, HashMap};

use reapply_sync::{RoomId, Seq, skim};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row::{checksum_of, integer, is_damage, number, saturated};

/// The number of events of a segment: segment 0 has the events 1 to 1,024.
pub(super) const SEGMENT_EVENTS: u64 = 1_024;

/// The maximum number of hashes that are collected for unfinished segments, of all rooms. Beyond it all are forgotten, and those segments get
/// their rows when they are proved.
const HASHES_MAX: usize = 500_000;

/// The maximum number of rows that one search reads. The search continues after the events that follow.
const ROWS_READ_MAX: u64 = 1_024;

/// The maximum number of rows that one transaction removes.
const ROWS_REMOVED_MAX: u64 = 2_000;

/// The maximum number of damaged rows that are dropped one by one. Beyond it the whole index is dropped.
const DAMAGED_ROWS_MAX: usize = 10_000;

/// A whole segment of a log, with the hashes of its authors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) authors: BTreeSet<u64>,
}

impl Segment {
    fn begin(number: u64) -> Self {
        Self { number, authors: BTreeSet::new() }
    }

    /// Returns the number of bytes of the segment's hashes.
    pub(super) fn bytes(&self) -> usize {
        self.authors.len() * size_of::<u64>()
    }

    /// Returns the columns `hashes` and `checksum` of the segment's row.
    fn columns(&self, key: i64) -> (Vec<u8>, i64) {
        let hashes: Vec<u8> = self.authors.iter().flat_map(|author| author.to_le_bytes()).collect();
        let sum = row_checksum(key, self.number, &hashes);
        (hashes, sum)
    }
}

/// A collector of the authors of consecutive events. It returns each segment that is complete.
#[derive(Debug)]
pub(super) struct Collector {
    /// The last event so far.
    after: Seq,
    /// The segment of the next event, unless its first events are missing.
    segment: Option<Segment>,
}

impl Collector {
    /// Creates a collector that begins after the event `after`.
    pub(super) fn after(after: Seq) -> Self {
        let is_start = after.0.is_multiple_of(SEGMENT_EVENTS);
        Self { after, segment: is_start.then(|| Segment::begin(after.0 / SEGMENT_EVENTS)) }
    }

    /// Adds the events of a record's body. Returns the segments that end with one of them.
    pub(super) fn add_all(&mut self, body: &[u8]) -> Vec<Segment> {
        skim::authors(body).filter_map(|(seq, author)| self.add(seq, author)).collect()
    }

    fn hashes(&self) -> usize {
        self.segment.as_ref().map_or(0, |segment| segment.authors.len())
    }

    fn add(&mut self, seq: Seq, author: Option<&str>) -> Option<Segment> {
        if seq != self.after.next() {
            // Events in between are missing.
            *self = Self::after(Seq(seq.0.saturating_sub(1)));
        }
        self.after = seq;
        if let (Some(segment), Some(author)) = (&mut self.segment, author) {
            segment.authors.insert(hash(author));
        }
        if !seq.0.is_multiple_of(SEGMENT_EVENTS) {
            return None;
        }
        self.segment.replace(Segment::begin(seq.0 / SEGMENT_EVENTS))
    }
}

/// The collectors of all rooms that are written to.
#[derive(Debug)]
pub(super) struct Collectors {
    /// By the rooms' keys.
    rooms: HashMap<i64, Collector>,
    hashes: usize,
    hashes_max: usize,
}

impl Default for Collectors {
    fn default() -> Self {
        Self { rooms: HashMap::new(), hashes: 0, hashes_max: HASHES_MAX }
    }
}

impl Collectors {
    /// Adds the events of a record after the event `expected`. Returns the segments that end with one of them.
    pub(super) fn add_all(&mut self, key: i64, expected: Seq, body: &[u8]) -> Vec<Segment> {
        let collector = self.rooms.entry(key).or_insert_with(|| Collector::after(expected));
        let before = collector.hashes();
        let whole = collector.add_all(body);
        self.hashes = self.hashes - before + collector.hashes();
        if self.hashes > self.hashes_max {
            self.clear();
        }
        whole
    }

    /// Forgets all unfinished segments.
    pub(super) fn clear(&mut self) {
        self.rooms.clear();
        self.hashes = 0;
    }
}

/// Returns the hash of an author (FNV-1a, since each event costs one). Two authors with the same one cost only time.
pub(super) fn hash(author: &str) -> u64 {
    author.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Stores segments of the room with this key, in place of earlier rows.
pub(super) fn put(connection: &Connection, key: i64, segments: &[Segment]) -> rusqlite::Result<()> {
    for segment in segments {
        let (hashes, sum) = segment.columns(key);
        connection
            .prepare_cached("INSERT OR REPLACE INTO authors (room, segment, checksum, hashes) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![key, integer(segment.number)?, sum, hashes])?;
    }
    Ok(())
}

/// Returns the first segment of a log that begins after `begins` with all of its events.
pub(super) fn first_whole(begins: Seq) -> u64 {
    begins.0.div_ceil(SEGMENT_EVENTS)
}

/// Returns whether the row of a segment exists and agrees with it.
pub(super) fn is_stored(connection: &Connection, key: i64, segment: &Segment) -> rusqlite::Result<bool> {
    let found = connection
        .prepare_cached("SELECT checksum, hashes FROM authors WHERE room = ?1 AND segment = ?2")?
        .query_row(params![key, integer(segment.number)?], |row| Ok((row.get::<_, Vec<u8>>(1)?, row.get::<_, i64>(0)?)))
        .optional();
    match found {
        Ok(found) => Ok(found.is_some_and(|found| found == segment.columns(key))),
        Err(error) if is_row_damage(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the last event at or after `after` up to which no event is of one of these authors, as far as the rows of the room with this key say.
/// The authors are hashes in ascending order.
pub(super) fn skip(connection: &Connection, key: i64, after: Seq, authors: &[u64]) -> rusqlite::Result<Seq> {
    let first = after.0 / SEGMENT_EVENTS;
    let mut statement = connection.prepare_cached(
        "SELECT segment, checksum, hashes FROM authors WHERE room = ?1 AND segment >= ?2 ORDER BY segment LIMIT ?3",
    )?;
    let mut rows = statement.query(params![key, saturated(first), saturated(ROWS_READ_MAX)])?;
    let mut segment = first;
    while let Some(found) = rows.next()? {
        let may_hold = match may_hold(found, key, segment, authors) {
            Err(error) if is_row_damage(&error) => true,
            other => other?,
        };
        if may_hold {
            break;
        }
        segment += 1;
    }
    Ok(after.max(Seq(segment * SEGMENT_EVENTS)))
}

/// Removes a portion of the rows of segments that end at or before `before`. Returns whether those were the last ones.
pub(super) fn remove_some(connection: &Connection, key: i64, before: i64) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM authors WHERE id IN
        (SELECT id FROM authors WHERE room = ?1 AND segment < ?2 ORDER BY segment LIMIT ?3)";
    let before = before / SEGMENT_EVENTS.cast_signed();
    let removed = connection.prepare_cached(sql)?.execute(params![key, before, saturated(ROWS_REMOVED_MAX)])?;
    Ok((removed as u64) < ROWS_REMOVED_MAX)
}

/// The rows of the index that are not as they were written.
#[derive(Debug, Default)]
pub(super) struct DamagedRows {
    ids: Vec<i64>,
    count: u64,
    /// The place of the first one.
    first: String,
}

impl DamagedRows {
    /// Proves every row of the table: it is as it was written, and its room exists. That it names all authors is compared where a room is proved in
    /// portions.
    pub(super) fn find(connection: &Connection, room_of: impl Fn(i64) -> Option<RoomId>) -> rusqlite::Result<Self> {
        let mut damaged = Self::default();
        let mut statement = connection.prepare("SELECT segment, checksum, hashes, room, id FROM authors")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key = row.get::<_, i64>(3).ok();
            let room = key.and_then(&room_of);
            let is_whole = match (key, &room) {
                (Some(key), Some(_)) => {
                    is_whole(row, key).or_else(|error| if is_row_damage(&error) { Ok(false) } else { Err(error) })?
                }
                _ => false,
            };
            if !is_whole {
                damaged.add(row.get(4)?, room.as_ref());
            }
        }
        Ok(damaged)
    }

    fn add(&mut self, id: i64, room: Option<&RoomId>) {
        if self.count == 0 {
            self.first =
                room.map_or_else(|| "of a room that does not exist".to_owned(), |room| format!("of room {room}"));
        }
        self.count += 1;
        if self.ids.len() <= DAMAGED_ROWS_MAX {
            self.ids.push(id);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Removes the rows. Returns what the operator should know, if there are any.
    pub(super) fn drop_from(&self, connection: &Connection) -> rusqlite::Result<Option<String>> {
        if self.is_empty() {
            return Ok(None);
        }
        let Self { ids, count, first } = self;
        let transaction = connection.unchecked_transaction()?;
        if ids.len() > DAMAGED_ROWS_MAX {
            transaction.execute("DELETE FROM authors", [])?;
        } else {
            let mut statement = transaction.prepare("DELETE FROM authors WHERE id = ?1")?;
            ids.iter().try_for_each(|id| statement.execute([id]).map(drop))?;
        }
        transaction.commit()?;
        Ok(Some(format!(
            "the index of authors was damaged and lost {count} rows, the first {first}; nothing else is missing, and a host makes the rows again"
        )))
    }
}

/// Returns whether a row of `segment`, `checksum` and `hashes` is as it was written.
fn is_whole(row: &Row<'_>, key: i64) -> rusqlite::Result<bool> {
    Ok(row.get::<_, i64>(1)? == row_checksum(key, number(row, 0)?, row.get_ref(2)?.as_blob()?))
}

/// Returns whether a row could be read, and holds something else than it must. Damage to the database itself is not of one row.
fn is_row_damage(error: &rusqlite::Error) -> bool {
    is_damage(error) && error.sqlite_error_code().is_none()
}

/// A damaged row, or one of another segment, may have lost any author.
fn may_hold(row: &Row<'_>, key: i64, segment: u64, authors: &[u64]) -> rusqlite::Result<bool> {
    if number(row, 0)? != segment {
        return Ok(true);
    }
    let hashes = row.get_ref(2)?.as_blob()?;
    let (hashes_read, rest) = hashes.as_chunks::<8>();
    Ok(!rest.is_empty()
        || row.get::<_, i64>(1)? != row_checksum(key, segment, hashes)
        || hashes_read.iter().any(|hash| authors.binary_search(&u64::from_le_bytes(*hash)).is_ok()))
}

fn row_checksum(key: i64, segment: u64, hashes: &[u8]) -> i64 {
    let mut bytes = Vec::with_capacity(32 + hashes.len());
    bytes.extend_from_slice(b"authors ");
    bytes.extend_from_slice(&key.to_le_bytes());
    bytes.extend_from_slice(&segment.to_le_bytes());
    bytes.extend_from_slice(hashes);
    checksum_of(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::LogWriter;

    #[test]
    fn unfinished_segments_are_forgotten_when_they_hold_too_much() {
        let mut collectors = Collectors { hashes_max: 10, ..Collectors::default() };
        let mut log = LogWriter::new("counter", "lobby");
        let mut add = |collectors: &mut Collectors, key: i64, count: u64| {
            let expected = log.head;
            let names: Vec<String> = (0..count).map(|number| format!("a{number}")).collect();
            let record = log.next_by(names.iter().map(String::as_str));
            collectors.add_all(key, expected, &record.body)
        };
        assert_eq!(add(&mut collectors, 1, 10), []);
        assert_eq!((collectors.hashes, collectors.rooms.len()), (10, 1));
        assert_eq!(add(&mut collectors, 2, 5), [], "its segment began with another room's events here");
        assert_eq!((collectors.hashes, collectors.rooms.len()), (10, 2), "it is not collected");
        assert_eq!(add(&mut collectors, 1, SEGMENT_EVENTS), []);
        assert_eq!(collectors.rooms.len(), 0, "a segment has more than may be kept");
        assert_eq!(collectors.hashes, 0);
    }
}
