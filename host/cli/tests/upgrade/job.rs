//! An upgrade from inside, line by line: what happens between the gate and a room's turn.

use std::sync::Arc;

use reapply_host::log::Logs;
use reapply_host::room::{self, Rooms, RoomsOptions, SubmitOnce, Verdict};
use reapply_host::upgrade::report::{Line, Named};
use reapply_host::upgrade::{UpgradeJobError, UpgradeRequest, UpgradeTarget, Upgrades};
use reapply_journal::SqliteJournal;
use reapply_machine::Engine;
use reapply_sync::{ClientKey, Digest, Machine, Number, RoomId};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::add;

/// A host without its HTTP surface.
struct Inner {
    logs: Logs,
    rooms: Rooms,
    upgrades: Upgrades,
    _data: TempDir,
}

impl Inner {
    /// Creates a host with the rooms `notes/a` to `notes/e` of version 1, and with version 2 deployed.
    async fn start() -> (Self, Digest, Digest) {
        let data = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(data.path()).unwrap().journal;
        let logs = Logs::new(Engine::new(None).unwrap(), Arc::new(journal));
        let (rooms, _housekeeping) = room::start(logs.clone(), RoomsOptions::default());
        let upgrades = Upgrades::new(rooms.clone());
        let inner = Self { logs, rooms, upgrades, _data: data };
        let old = inner.deploy("notes-v1").await;
        for room in ["a", "b", "c", "d", "e"] {
            inner.add(room, "sow").await;
        }
        let new = inner.deploy("notes-v2").await;
        (inner, old, new)
    }

    async fn deploy(&self, guest: &str) -> Digest {
        let component = std::fs::read(guest_components::component(guest)).unwrap();
        let (_, build) = self.logs.machines.deploy(Some("notes".parse().unwrap()), component.into()).await.unwrap();
        build.digest()
    }

    /// Adds a note to a room, in the encoding of the build that it runs.
    async fn add(&self, name: &str, text: &str) {
        let room = self.rooms.enter(&room(name)).await.unwrap();
        let digest = self.build(name).await;
        let build = self.logs.machines.build(digest).await.unwrap().unwrap();
        let transition = build.instantiate().unwrap().encode(&add(text).to_string()).unwrap();
        let client = ClientKey(rand::random()).client_id();
        let author = client.anonymous_author();
        let verdict = room.submit_once(SubmitOnce { author, client, number: Number(1), digest, transition }).await;
        assert!(matches!(verdict, Ok(Verdict::Accepted { .. })), "{verdict:?}");
    }

    /// Returns the digest of the build that a room runs.
    async fn build(&self, name: &str) -> Digest {
        self.logs.journal.room(&room(name)).await.unwrap().unwrap().digest
    }

    async fn begin(&self) -> Result<reapply_host::upgrade::UpgradeJob, UpgradeJobError> {
        let which = UpgradeTarget::Machine("notes".parse().unwrap());
        self.upgrades.begin(UpgradeRequest { which, to: None, dry_run: false, all_or_nothing: false, replay: 10 }).await
    }
}

fn room(name: &str) -> RoomId {
    RoomId { machine: "notes".parse().unwrap(), room: name.parse().unwrap() }
}

/// Reads lines until all five rooms were tried. The job is then at most two rooms ahead, since only one line waits at a time.
async fn pass_gate(lines: &mut mpsc::Receiver<Line>) {
    assert!(matches!(lines.recv().await, Some(Line::Plan(plan)) if plan.rooms == 5));
    for _ in 0..5 {
        let line = lines.recv().await;
        assert!(matches!(line, Some(Line::Tried(_))), "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_fails_only_now_stays_and_is_named_and_the_others_go_on() {
    let (host, old, new) = Inner::start().await;
    let (sender, mut lines) = mpsc::channel(1);
    let order = tokio::spawn(host.begin().await.unwrap().run(sender));
    pass_gate(&mut lines).await;
    host.add("e", "").await;

    for name in ["a", "b", "c", "d"] {
        let line = lines.recv().await;
        assert!(
            matches!(&line, Some(Line::Upgraded { room: found, .. }) if *found == room(name).to_string()),
            "{line:?}"
        );
    }
    let Some(Line::Kept { room: kept, why }) = lines.recv().await else { panic!("the last room is kept") };
    assert_eq!(kept, "notes/e");
    assert!(why.contains("does not restore") && why.contains("a note says something"), "{why}");
    let Some(Line::Report(report)) = lines.recv().await else { panic!("a report comes last") };
    assert_eq!((report.upgraded, report.failing), (4, Named::default()));
    assert_eq!(report.kept, Named { count: 1, rooms: vec!["notes/e".to_owned()] });
    order.await.unwrap();
    assert_eq!((host.build("d").await, host.build("e").await), (new, old));
    for name in ["d", "e"] {
        host.add(name, "reap").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_ends_the_upgrade_between_two_rooms_and_it_can_be_begun_again() {
    let (host, old, new) = Inner::start().await;
    let (sender, mut lines) = mpsc::channel(1);
    let order = tokio::spawn(host.begin().await.unwrap().run(sender));
    pass_gate(&mut lines).await;
    drop(lines);
    order.await.unwrap();
    assert_eq!((host.build("d").await, host.build("e").await), (old, old));

    let (sender, mut lines) = mpsc::channel(100);
    host.begin().await.unwrap().run(sender).await;
    let mut last = None;
    while let Some(line) = lines.recv().await {
        last = Some(line);
    }
    let Some(Line::Report(report)) = last else { panic!("a report comes last: {last:?}") };
    assert_eq!(report.skipped + report.upgraded, 5);
    assert!(report.is_success());
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(host.build(name).await, new);
        host.add(name, "reap").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrades_take_turns() {
    let (host, _, _) = Inner::start().await;
    let first = host.begin().await.unwrap();
    let second = host.begin().await.map(drop);
    assert!(matches!(second, Err(UpgradeJobError::Busy)), "{second:?}");
    drop(first);
    assert!(host.begin().await.is_ok());
}
