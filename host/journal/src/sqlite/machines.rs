//! The tables `components` and `machines`.

use bytes::Bytes;
use reapply_sync::{Digest, Name, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::outcome::Outcome;
use super::row::{Failed, checksum, damage, flag, integer, name, number, placed, prove, saturated};
use crate::{Component, JournalError, MachineRecord, Retention};

/// The value of `browser_js`. Earlier versions kept JavaScript there. It is neither read nor served any more, but the row's checksum covers it.
pub(super) const NO_BROWSER_JS: &str = "";

/// Stores a build. The caller has checked its digest.
pub(super) fn put_component(connection: &Connection, component: &Component, sum: i64) -> Result<Outcome, Failed> {
    connection
        .prepare_cached(
            "INSERT INTO components (digest, checksum, description, browser_js, bytes) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![component.digest.0, sum, component.description, NO_BROWSER_JS, &component.bytes[..]])?;
    Ok(Outcome::Done)
}

/// Returns the checksum of a component's row, which does not cover the bytes: the digest does.
pub(super) fn component_checksum(digest: Digest, description: &str, browser_js: &str) -> rusqlite::Result<i64> {
    checksum("components", &(digest, description, browser_js))
}

/// Returns the build with this digest, if it is stored.
pub(super) fn component(connection: &Connection, digest: Digest) -> Result<Option<Component>, Failed> {
    let found = connection
        .prepare_cached("SELECT digest, checksum, description, browser_js, bytes FROM components WHERE digest = ?1")?
        .query_row([digest.0], read_component)
        .optional()?;
    Ok(found)
}

/// Returns the digests of `Journal::digests`.
pub(super) fn digests(
    connection: &Connection,
    first: Digest,
    last: Digest,
    count_max: usize,
) -> Result<Vec<Digest>, Failed> {
    connection
        .prepare_cached("SELECT digest FROM components WHERE digest BETWEEN ?1 AND ?2 ORDER BY digest LIMIT ?3")?
        .query_and_then(params![first.0, last.0, i64::try_from(count_max).unwrap_or(i64::MAX)], |row| {
            Ok(Digest(row.get(0)?))
        })?
        .collect()
}

/// Proves the component in the first row after this one. Returns the row's number and the component's size; `None` after the last row.
pub(super) fn prove_component_after(connection: &Connection, after: i64) -> rusqlite::Result<Option<(i64, usize)>> {
    connection
        .prepare_cached(
            "SELECT digest, checksum, description, browser_js, bytes, id FROM components WHERE id > ?1 ORDER BY id LIMIT 1",
        )?
        .query_row([after], |row| Ok((row.get(5)?, read_component(row)?.bytes.len())))
        .optional()
}

/// Makes a stored build the machine's current one.
pub(super) fn set_current(
    connection: &Connection,
    machine: &Name,
    digest: Digest,
    deployed: Timestamp,
) -> Result<Outcome, Failed> {
    let is_stored = connection.prepare_cached("SELECT 1 FROM components WHERE digest = ?1")?.exists([digest.0])?;
    if !is_stored {
        return Err(JournalError::NoSuchComponent(digest).into());
    }
    let retention = machine_record(connection, machine)?.map(|machine| machine.retention).unwrap_or_default();
    write_machine(connection, &MachineRecord { name: machine.clone(), digest, deployed, retention })?;
    Ok(Outcome::Done)
}

/// Sets the retention of a machine.
pub(super) fn set_retention(connection: &Connection, machine: &Name, retention: &Retention) -> Result<Outcome, Failed> {
    let found = machine_record(connection, machine)?;
    let found = found.ok_or_else(|| JournalError::NoSuchMachine(machine.clone()))?;
    write_machine(connection, &MachineRecord { retention: retention.clone(), ..found })?;
    Ok(Outcome::Done)
}

/// Returns the machines, by name.
pub(super) fn machines(connection: &Connection) -> Result<Vec<MachineRecord>, Failed> {
    connection
        .prepare_cached(
            "SELECT name, digest, deployed, snapshot_events, snapshot_bytes, trim, checksum FROM machines ORDER BY name",
        )?
        .query_and_then([], |row| Ok(read_machine(row)?))?
        .collect()
}

fn machine_record(connection: &Connection, machine: &Name) -> rusqlite::Result<Option<MachineRecord>> {
    connection
        .prepare_cached(
            "SELECT name, digest, deployed, snapshot_events, snapshot_bytes, trim, checksum FROM machines WHERE name = ?1",
        )?
        .query_row([machine.as_str()], read_machine)
        .optional()
}

fn write_machine(connection: &Connection, machine: &MachineRecord) -> rusqlite::Result<()> {
    let Retention { snapshot_events, snapshot_bytes, trim } = machine.retention;
    connection
        .prepare_cached(
            "INSERT INTO machines (name, digest, deployed, snapshot_events, snapshot_bytes, trim, checksum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET digest = excluded.digest, deployed = excluded.deployed,
                 snapshot_events = excluded.snapshot_events, snapshot_bytes = excluded.snapshot_bytes,
                 trim = excluded.trim, checksum = excluded.checksum",
        )?
        .execute(params![
            machine.name.as_str(),
            machine.digest.0,
            integer(machine.deployed.0)?,
            snapshot_events.map(saturated),
            snapshot_bytes.map(saturated),
            trim,
            machine_checksum(machine)?,
        ])?;
    Ok(())
}

fn read_machine(row: &Row<'_>) -> rusqlite::Result<MachineRecord> {
    let optional = |column| match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => number(row, column).map(Some),
    };
    let name = name(row, 0)?;
    let place = || format!("machine {name}");
    let read = || {
        let (snapshot_events, snapshot_bytes, trim) = (optional(3)?, optional(4)?, flag(row, 5)?);
        let retention = Retention { snapshot_events, snapshot_bytes, trim };
        let (digest, deployed) = (Digest(row.get(1)?), Timestamp(number(row, 2)?));
        Ok(MachineRecord { name: name.clone(), digest, deployed, retention })
    };
    let machine = placed(read(), place)?;
    prove(row, 6, machine_checksum(&machine)?, place)?;
    Ok(machine)
}

fn machine_checksum(machine: &MachineRecord) -> rusqlite::Result<i64> {
    let MachineRecord { name, digest, deployed, retention } = machine;
    let Retention { snapshot_events, snapshot_bytes, trim } = retention;
    let (events, bytes) = (snapshot_events.map(saturated), snapshot_bytes.map(saturated));
    checksum("machines", &(name, digest, deployed, events, bytes, trim))
}

fn read_component(row: &Row<'_>) -> rusqlite::Result<Component> {
    let digest = Digest(row.get(0)?);
    let place = || format!("component {digest}");
    let (description, browser_js): (_, String) = (placed(row.get(2), place)?, placed(row.get(3), place)?);
    let component = Component { digest, description, bytes: Bytes::from(row.get::<_, Vec<u8>>(4)?) };
    prove(row, 1, component_checksum(digest, &component.description, &browser_js)?, place)?;
    if Digest::of(&component.bytes) == digest {
        Ok(component)
    } else {
        Err(damage(place(), "its bytes do not match their digest"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_of_an_earlier_version_is_read_without_its_javascript() {
        let directory = tempfile::tempdir().unwrap();
        let connection = super::super::schema::open_writer(&directory.path().join("journal.db")).unwrap();
        let bytes = Bytes::from_static(b"a component");
        let stored = Component { digest: Digest::of(&bytes), bytes, description: "{}".to_owned() };
        let sum = |javascript| component_checksum(stored.digest, &stored.description, javascript).unwrap();
        assert!(put_component(&connection, &stored, sum(NO_BROWSER_JS)).is_ok());
        let former = "export const instantiate = () => {};";
        let change = "UPDATE components SET browser_js = ?1, checksum = ?2";
        connection.execute(change, params![former, sum(former)]).unwrap();
        assert_eq!(component(&connection, stored.digest).ok().flatten(), Some(stored));
    }
}
