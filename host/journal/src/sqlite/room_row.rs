//! The row of a room, in the table `rooms`.

use reapply_sync::{Chain, Digest, Genesis, LogId, RoomId, Seq};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row::{Failed, checksum, decoded, encoded, flag, name, placed, prove};
use crate::{Base, JournalError, NewRoom};

/// The columns that [`RoomRow::read`] reads.
pub(super) const COLUMNS: &str = "id, machine, room, genesis, log, base, staged, checksum";

/// A room's row.
#[derive(Clone, Debug)]
pub(super) struct RoomRow {
    pub(super) key: i64,
    pub(super) room: RoomId,
    pub(super) genesis: Genesis,
    pub(super) log: LogId,
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

    /// Stores the row of a new room, and returns its key.
    pub(super) fn insert(connection: &Connection, new: &NewRoom) -> rusqlite::Result<i64> {
        let NewRoom { room, genesis, log, base, note: _, staged } = new.clone();
        let row = Self { key: 0, room, genesis, log, base, staged };
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
        Ok(connection.last_insert_rowid())
    }

    /// Stores what can change of a row: where the log begins, and whether the room is staged.
    pub(super) fn update(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached("UPDATE rooms SET base = ?2, staged = ?3, checksum = ?4 WHERE id = ?1")?
            .execute(params![self.key, self.base.as_ref().map(encoded).transpose()?, self.staged, self.checksum()?])?;
        Ok(())
    }

    fn checksum(&self) -> rusqlite::Result<i64> {
        checksum("rooms", &(&self.room, &self.genesis, self.log, &self.base, self.staged))
    }
}

fn decoded_base(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Base>> {
    let is_null = row.get_ref(column)?.as_blob_or_null()?.is_none();
    if is_null { Ok(None) } else { decoded(row, column).map(Some) }
}
