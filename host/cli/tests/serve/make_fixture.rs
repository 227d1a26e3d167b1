//! Makes the fixture of this version's format. An existing fixture is never made again.

use std::fs;
use std::path::Path;

use reapply_testing::{Host, http, until_blocking};
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::PROGRAM;
use crate::exports::succeeds;
use crate::fixtures::{
    ALARMED, CLIENT, FORK, OCCUPIED, TAKES_OVER, TRIMMED, WHOLE, counting, facts, folder, format_of,
};
use reapply_testing::Session;

/// The body of a `restore` that adds 1,000 to a state of the first version.
const MIGRATES: &str = "(call $ok (call $new (i32.add (i32.load (local.get $snapshot))
    (i32.mul (i32.eq (local.get $version) (i32.const 1)) (i32.const 1000)))))";

/// Makes `host/cli/tests/fixtures/format-N`.
pub(crate) fn make() {
    let mut host = Host::start_program(Path::new(PROGRAM), &[]);
    let files = TempDir::new().unwrap();
    let deploy = |host: &Host, name: &str, component: &[u8]| {
        let file = files.path().join(format!("{name}.wasm"));
        fs::write(&file, component).unwrap();
        host.deploy_file(name, &file)
    };
    deploy(&host, "wat", &counting(1, TAKES_OVER));
    deploy(&host, "short", &counting(1, TAKES_OVER));
    succeeds(&host.command("retain", &["wat", "--snapshot-events", "10"]));
    succeeds(&host.command("retain", &["short", "--trim", "--snapshot-events", "10"]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(play(&host));
    wait_for(&host, WHOLE, "left");
    submit(&host, WHOLE, "1", 5);
    wait_for(&host, WHOLE, "alarm");
    succeeds(&host.command("fork", &[WHOLE, FORK, "--at", "6"]));
    wait_for(&host, FORK, "left");
    submit(&host, FORK, "12", 3);
    deploy(&host, "wat", &counting(2, MIGRATES));
    succeeds(&host.command("upgrade", &[WHOLE]));
    submit(&host, WHOLE, "1", 12);
    submit(&host, TRIMMED, "1", 30);
    until_blocking("the log is trimmed", || {
        let first = http::get(&host.url(&format!("/rooms/{TRIMMED}/log?after=0"))).status;
        if first == 410 { Ok(()) } else { Err(host.log()) }
    });
    submit(&host, ALARMED, "12", 4);
    submit(&host, ALARMED, "1", 1);

    // Everything is stored, the counts of rejections as well.
    assert!(host.stop().success());
    let to = folder().join(format!("format-{}", format_of(host.data())));
    fs::create_dir(&to).unwrap_or_else(|error| panic!("{}: {error}; a fixture is never replaced", to.display()));
    host.restart();
    let session = runtime.block_on(Session::join(&host, OCCUPIED, CLIENT));
    wait_for(&host, OCCUPIED, "joined");
    let rooms = [WHOLE, FORK, ALARMED, OCCUPIED, TRIMMED];
    let facts: Map<String, Value> = rooms.iter().map(|room| ((*room).to_owned(), facts(&host, room))).collect();
    let backup = files.path().join("backup");
    succeeds(&host.command("backup", &[&backup.to_string_lossy()]));
    drop(session);
    fs::copy(backup.join("journal.db"), to.join("journal.db")).unwrap();
    for (room, file) in [(WHOLE, "whole.reapply"), (TRIMMED, "trimmed.reapply"), (FORK, "fork.reapply")] {
        succeeds(&host.command("export", &[room, "-o", &to.join(file).to_string_lossy()]));
    }
    fs::write(to.join("rooms.json"), serde_json::to_string_pretty(&facts).unwrap() + "\n").unwrap();
}

/// Joins a room, submits, is rejected, and leaves.
async fn play(host: &Host) {
    let mut session = Session::join(host, WHOLE, CLIENT).await;
    for number in 1..=12 {
        session.submit(number, b"1".to_vec()).await;
    }
    session.submit(13, b"123".to_vec()).await;
    session.rejection().await;
}

fn submit(host: &Host, room: &str, transition: &str, count: usize) {
    for _ in 0..count {
        let answer = host.submit(room, transition);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

fn wait_for(host: &Host, room: &str, kind: &str) {
    until_blocking("the event is in the log", || {
        let events = host.events(room);
        if events.iter().any(|event| event["kind"] == kind) { Ok(()) } else { Err(format!("{kind}: {events:?}")) }
    });
}
