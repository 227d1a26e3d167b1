//! Components, machines, and backups.

use bytes::Bytes;
use reapply_sync::{Digest, Timestamp};

use super::{Shared, room_with};
use crate::{Component, JournalError, Retention};

pub async fn components_and_machines_are_kept(journal: Shared) {
    let (old, new) = (component(b"old"), component(b"new"));
    let name = "counter".parse().unwrap();
    assert_eq!(journal.component(old.digest).await, Ok(None));
    let missing = journal.set_current(&name, old.digest, Timestamp(1)).await;
    assert_eq!(missing, Err(JournalError::NoSuchComponent(old.digest)));
    assert_eq!(journal.machines().await, Ok(Vec::new()));

    for component in [&old, &new, &old] {
        journal.put_component(component.clone()).await.unwrap();
        assert_eq!(journal.component(component.digest).await, Ok(Some(component.clone())));
    }
    for (index, build) in [&old, &new].into_iter().enumerate() {
        journal.set_current(&name, build.digest, Timestamp(index as u64)).await.unwrap();
        let machines = journal.machines().await.unwrap();
        assert_eq!(machines.len(), 1);
        assert_eq!((&machines[0].name, machines[0].digest), (&name, build.digest));
        assert_eq!(machines[0].deployed, Timestamp(index as u64));
    }
    let [first, last] = [old.digest.min(new.digest), old.digest.max(new.digest)];
    let digests = |from, upto, count_max| journal.digests(from, upto, count_max);
    assert_eq!(digests(Digest([0; 32]), Digest([255; 32]), 9).await, Ok(vec![first, last]));
    assert_eq!(digests(first, last, 1).await, Ok(vec![first]));
    assert_eq!(digests(last, last, 9).await, Ok(vec![last]));
    assert_eq!(digests(last, first, 9).await, Ok(vec![]));
    let false_name = Component { digest: old.digest, ..new.clone() };
    assert_eq!(journal.put_component(false_name).await, Err(JournalError::ComponentMismatch(old.digest)));
}

pub async fn retention_is_kept_until_it_is_changed(journal: Shared) {
    let name = "counter".parse().unwrap();
    let retention = Retention { snapshot_events: Some(500), snapshot_bytes: None, trim: true };
    let missing = journal.set_retention(&name, retention.clone()).await;
    assert_eq!(missing, Err(JournalError::NoSuchMachine(name.clone())));
    let find = async || journal.machines().await.unwrap().remove(0).retention;
    for (time, bytes) in [b"old", b"new"].into_iter().enumerate() {
        let component = component(bytes);
        journal.put_component(component.clone()).await.unwrap();
        journal.set_current(&name, component.digest, Timestamp(time as u64)).await.unwrap();
        if time == 0 {
            assert_eq!(find().await, Retention::default());
            journal.set_retention(&name, retention.clone()).await.unwrap();
        }
        assert_eq!(find().await, retention, "another build changes nothing of it");
    }
    let bytes = Retention { snapshot_events: None, snapshot_bytes: Some(u64::MAX), trim: false };
    journal.set_retention(&name, bytes).await.unwrap();
    let found = find().await;
    assert_eq!((found.snapshot_events, found.trim), (None, false));
    assert!(found.snapshot_bytes >= Some(i64::MAX as u64), "{found:?}");
}

pub async fn a_backup_refuses_a_file_that_is_there(journal: Shared) {
    room_with(&journal, "lobby", &[3]).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup");
    journal.backup(&file).await.unwrap();
    let written = std::fs::read(&file).unwrap();
    assert!(!written.is_empty());
    assert_eq!(journal.backup(&file).await, Err(JournalError::BackupExists(file.clone())));
    assert_eq!(std::fs::read(&file).unwrap(), written);
    let nowhere = directory.path().join("missing/backup");
    let error = journal.backup(&nowhere).await.unwrap_err();
    assert!(matches!(&error, JournalError::Storage(why) if why.contains("missing/backup")), "{error}");
}

fn component(bytes: &'static [u8]) -> Component {
    Component {
        digest: Digest::of(bytes),
        bytes: Bytes::from_static(bytes),
        description: r#"{"name":"counter"}"#.to_owned(),
    }
}
