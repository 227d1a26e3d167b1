//! Proves the data outside of rooms: components, machines, and the number of rows in each table. It works in portions, so that no transaction is
//! long.

use rusqlite::{Connection, OptionalExtension, Row};

use super::formats::{COUNTED, SUMMED_BITS};
use super::mark::RecordCount;
use super::row::{Failed, damage, each_row};
use super::{machines, mark};

/// The number of bytes for which a row counts that is only counted.
const ROW_BYTES: usize = 100;

/// The maximum number of counts of the records in one proof. A count is repeated if records were removed meanwhile.
const COUNTS_MAX: usize = 3;

/// Proves all of it within one transaction.
pub(super) fn prove(connection: &Connection) -> rusqlite::Result<()> {
    let mut proof = TablesProof { is_one_moment: true, ..TablesProof::default() };
    while proof.go_on(connection, usize::MAX)?.is_some() {}
    Ok(())
}

/// A proof in progress. Rooms may be used and trimmed meanwhile.
#[derive(Debug, Default)]
pub(super) struct TablesProof {
    next: Step,
    /// Whether all of the proof is within one transaction, in which nothing changes.
    is_one_moment: bool,
    /// The number of counts that had to be repeated.
    counts: usize,
}

#[derive(Debug)]
enum Step {
    /// The components after the row with this number.
    Components(i64),
    Machines,
    /// The total of this table.
    Total(usize),
    Records(RecordCount),
    Done,
}

impl Default for Step {
    fn default() -> Self {
        Self::Components(0)
    }
}

impl TablesProof {
    /// Proves the next portion, of about `bytes_max` bytes if it can be divided. Returns the portion's bytes; `None` once everything is proved.
    pub(super) fn go_on(&mut self, connection: &Connection, bytes_max: usize) -> rusqlite::Result<Option<usize>> {
        let (next, bytes) = match std::mem::replace(&mut self.next, Step::Done) {
            Step::Components(after) => match machines::prove_component_after(connection, after)? {
                Some((at, bytes)) => (Step::Components(at), bytes),
                None => (Step::Machines, 0),
            },
            Step::Machines => {
                machines(connection)?;
                (Step::Total(0), 0)
            }
            Step::Total(index) => match COUNTED.get(index) {
                Some(table) => (Step::Total(index + 1), total(connection, table)? * ROW_BYTES),
                None => (Step::Records(RecordCount::begin(connection, self.is_one_moment)?), 0),
            },
            Step::Records(mut count) => match count.go_on(connection, bytes_max)? {
                mark::Counted::More(bytes) => (Step::Records(count), bytes),
                mark::Counted::Whole => (Step::Done, 0),
                mark::Counted::Disturbed => {
                    self.counts += 1;
                    // If trims disturb every count, this is left to the next pass.
                    let again = self.counts < COUNTS_MAX;
                    (if again { Step::Records(RecordCount::begin(connection, false)?) } else { Step::Done }, 0)
                }
            },
            Step::Done => return Ok(None),
        };
        self.next = next;
        Ok(Some(bytes))
    }
}

fn machines(connection: &Connection) -> rusqlite::Result<()> {
    match machines::machines(connection) {
        Ok(_) | Err(Failed::Refused(_)) => {}
        Err(Failed::Storage(error)) => return Err(error),
    }
    let orphan = "SELECT name FROM machines WHERE digest NOT IN (SELECT digest FROM components)";
    each_row(connection, orphan, |row| {
        Err(damage(format!("machine {}", row.get::<_, String>(0)?), "its component is missing"))
    })
}

/// Proves that no row of a table is missing or outdated. Returns the number of rows.
fn total(connection: &Connection, table: &str) -> rusqlite::Result<usize> {
    let sql = format!("SELECT count(*), coalesce(sum(checksum & {SUMMED_BITS}), 0) FROM {table}");
    let pair = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let found = connection.query_row(&sql, [], pair)?;
    let noted = "SELECT rows, sum FROM totals WHERE name = ?1";
    let noted = connection.query_row(noted, [table], pair).optional()?;
    if noted != Some(found) {
        let what = match noted {
            Some((rows, _)) if rows != found.0 => format!("it holds {} rows where {rows} must be", found.0),
            Some(_) => "its rows are not those that were written last".to_owned(),
            None => "it has no total".to_owned(),
        };
        return Err(damage(format!("the table {table}"), what));
    }
    Ok(usize::try_from(found.0).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    fn record(connection: &Connection, count: u64) {
        for _ in 0..count {
            let sql = "INSERT INTO batches (room, expected, last, time, batch, chain, checksum, body)
                 VALUES (1, (SELECT count(*) FROM batches), 1, 1, 1, x'', 0, zeroblob(1000))";
            connection.execute(sql, []).unwrap();
        }
    }

    fn remove(connection: &Connection, id: i64) {
        mark::removing(connection, || connection.execute("DELETE FROM batches WHERE id = ?1", [id])).unwrap();
    }

    /// Counts the records in portions of one, and does `meanwhile` after each of the first ones.
    fn count(connection: &Connection, mut meanwhile: impl FnMut(usize)) -> rusqlite::Result<()> {
        let mut proof =
            TablesProof { next: Step::Records(RecordCount::begin(connection, false)?), ..TablesProof::default() };
        let mut portions = 0;
        while proof.go_on(connection, 1)?.is_some() {
            portions += 1;
            meanwhile(portions);
        }
        assert!(portions > 3, "it was done at once");
        Ok(())
    }

    #[test]
    fn records_are_counted_in_portions_while_others_come_and_go() {
        let directory = tempfile::tempdir().unwrap();
        let connection = schema::open_writer(&directory.path().join("journal.db")).unwrap();
        mark::open(&connection).unwrap();
        record(&connection, 20);
        count(&connection, |_| {}).unwrap();
        count(&connection, |portion| record(&connection, u64::from(portion < 5))).unwrap();
        // Removed before it was counted, after it was, and the last one of all, whose number is given out again.
        count(&connection, |portion| {
            if portion == 3 {
                remove(&connection, 10)
            }
        })
        .unwrap();
        count(&connection, |portion| {
            if portion == 6 {
                remove(&connection, 2)
            }
        })
        .unwrap();
        count(&connection, |portion| {
            if portion == 3 {
                remove(&connection, 24)
            }
        })
        .unwrap();
        // All the time: then nothing can be said.
        let mut statement = connection.prepare("SELECT id FROM batches ORDER BY id").unwrap();
        let ids: Vec<i64> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        count(&connection, |portion| ids.get(portion - 1).into_iter().for_each(|id| remove(&connection, *id))).unwrap();
        record(&connection, 10);
        connection.execute("DELETE FROM batches WHERE id = (SELECT max(id) FROM batches) - 1", []).unwrap();
        assert!(count(&connection, |_| {}).is_err(), "a record is missing");
    }
}
