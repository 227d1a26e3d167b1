//! The table `unfinished`: what a crash may leave half done.

use rusqlite::{Connection, params};

/// Work that a crash may leave half done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unfinished {
    /// The room with this key is staged, or being trimmed.
    Room(i64),
    /// The chunks under this number are not a snapshot yet.
    Chunks(i64),
}

impl Unfinished {
    /// Notes that the work has begun.
    pub(super) fn begin(self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT INTO unfinished (what, id) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        connection.prepare_cached(sql)?.execute(params![self.name(), self.id()])?;
        Ok(())
    }

    /// Notes that the work is done, or undone.
    pub(super) fn end(self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "DELETE FROM unfinished WHERE what = ?1 AND id = ?2";
        connection.prepare_cached(sql)?.execute(params![self.name(), self.id()])?;
        Ok(())
    }

    /// Returns the keys of the rooms and the numbers of the chunks that are noted.
    pub(super) fn noted(connection: &Connection) -> rusqlite::Result<(Vec<i64>, Vec<i64>)> {
        let noted = |what: &str| -> rusqlite::Result<Vec<i64>> {
            connection
                .prepare("SELECT id FROM unfinished WHERE what = ?1")?
                .query_map([what], |row| row.get(0))?
                .collect()
        };
        Ok((noted("room")?, noted("chunks")?))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Room(_) => "room",
            Self::Chunks(_) => "chunks",
        }
    }

    fn id(self) -> i64 {
        let (Self::Room(id) | Self::Chunks(id)) = self;
        id
    }
}
