//! Machines run on threads that serve nobody else, whatever they are called for: deployments, upgrades, trims, looks at the past, logs, imports.
//!
//! Each test has so much of such work that it outlasts the transitions of another room, as in [`crowding`](super::crowding). The processor time of the
//! host's threads then shows where the work was done.

use std::sync::mpsc;
use std::thread;

use reapply_testing::http::{self, Answer};
use reapply_testing::machine_wat::{MachineWat, describe};
use reapply_testing::threads::ProcessorTime;
use reapply_testing::{Host, until_blocking};

use super::crowding::{
    deploy, host_with, join_slow_rooms, outlasts, see_decided, see_decided_or_ended, see_that_it_is_undisturbed,
    until_it_lasts, with_enough_rooms,
};
use reapply_testing::Session;

/// Counts down from some number of millions.
fn count(millions: u32) -> String {
    format!(
        "(local $left i32) (local.set $left (i32.const {millions}000000))
        (loop $count (br_if $count (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))"
    )
}

/// Returns a body that first counts.
fn slowly(millions: u32, body: &str) -> &'static str {
    Box::leak(format!("{} {body}", count(millions)).into_boxed_str())
}

/// A machine that takes longer for each event than a slice.
fn slow_to_apply() -> MachineWat {
    MachineWat { apply: slowly(4, MachineWat::default().apply), ..MachineWat::default() }
}

/// Checks that what was done since `before` was done by the threads of this name, and not by those that serve others.
fn assert_done_by(name: &str, host: &Host, before: &ProcessorTime) {
    let (there, elsewhere) = ProcessorTime::of(host).since(before, name);
    assert!(there > elsewhere, "{name} took {there:?}, and threads that run no machines took {elsewhere:?}");
}

/// Sends requests, each on a thread of its own. The answers come through the channel.
fn send_all(requests: impl Iterator<Item = impl FnOnce() -> Answer + Send + 'static>) -> mpsc::Receiver<Answer> {
    let (answer, answers) = mpsc::channel();
    for request in requests {
        let answer = answer.clone();
        thread::spawn(move || answer.send(request()).ok());
    }
    answers
}

/// Returns a request of an administrator.
fn administration(host: &Host, method: &'static str, path: &str, body: Vec<u8>) -> impl FnOnce() -> Answer + use<> {
    let (url, bearer) = (host.url(path), format!("Bearer {}", host.token()));
    move || http::send(method, &url, &[("authorization", &bearer)], Some(&body))
}

/// Fills `rooms` rooms of `slow` with `events` events each.
async fn fill_slow_rooms(host: &Host, rooms: u8, events: u64) {
    for session in &mut join_slow_rooms(host, rooms, events, 1).await {
        see_decided(session, events).await;
    }
}

#[tokio::test]
async fn deployments_of_slow_machines_hold_up_no_other_room() {
    until_it_lasts(6, 16, async |deployments| {
        let create = slowly(300, MachineWat::default().create);
        let slow = MachineWat { create, ..MachineWat::default() }.component();
        let host = host_with(&MachineWat::default());
        let mut stranger = Session::join(&host, "counter/calm", 1).await;
        let before = ProcessorTime::of(&host);
        let deploy = |name| administration(&host, "PUT", &format!("/machines/slow-{name}"), slow.clone());
        let answers = send_all((0..deployments).map(deploy));
        see_that_it_is_undisturbed(&mut stranger).await;
        let outlasts = answers.try_iter().inspect(assert_created).count() < deployments;
        answers.iter().for_each(|answer| assert_created(&answer));
        assert_done_by("machines-deploy", &host, &before);
        outlasts
    })
    .await;
}

fn assert_created(answer: &Answer) {
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[tokio::test]
async fn deployments_beyond_the_hosts_limit_are_told_so() {
    until_it_lasts(40, 160, async |deployments| {
        let create = slowly(300, MachineWat::default().create);
        let slow = MachineWat { create, ..MachineWat::default() }.component();
        let host = host_with(&MachineWat::default());
        let deploy = |_| administration(&host, "PUT", "/machines/slow", slow.clone());
        let answers: Vec<Answer> = send_all((0..deployments).map(deploy)).iter().collect();
        let (created, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
        for answer in &refused {
            assert_eq!(answer.status, 503, "{}", answer.text());
            let (kind, message) = answer.error();
            assert_eq!(kind, "unavailable");
            assert_eq!(message, "16 deployments are being checked, which is the host's limit; try again later");
        }
        assert!(created.len() >= 16, "{} of {deployments} were checked", created.len());
        !refused.is_empty()
    })
    .await;
}

#[tokio::test]
async fn upgrades_of_slow_rooms_hold_up_no_other_room() {
    with_enough_rooms(async |rooms| {
        let host = host_with(&slow_to_apply());
        fill_slow_rooms(&host, rooms, 20).await;
        let next = MachineWat { describe: describe("wat", 2, "{}"), ..slow_to_apply() };
        deploy(&host, "slow", &next).unwrap();
        let mut stranger = Session::join(&host, "counter/calm", 1).await;
        let before = ProcessorTime::of(&host);
        let upgraded = send_all([administration(&host, "POST", "/machines/slow/upgrade", Vec::new())].into_iter());
        see_that_it_is_undisturbed(&mut stranger).await;
        let outlasts = upgraded.try_recv().is_err();
        let report = if outlasts { upgraded.recv().unwrap().json_lines() } else { Vec::new() };
        if let Some(report) = report.last() {
            assert_eq!(report["upgraded"], rooms, "{report}");
            assert_done_by("machines-replay", &host, &before);
        }
        outlasts
    })
    .await;
}

#[tokio::test]
async fn trims_of_slow_rooms_hold_up_no_other_room() {
    with_enough_rooms(async |rooms| {
        let host = host_with(&slow_to_apply());
        let retain = |trim: bool| {
            let retention = format!("{{\"snapshot_events\":10,\"trim\":{trim}}}");
            let answer = administration(&host, "PUT", "/machines/slow/retention", retention.into_bytes())();
            assert_eq!(answer.status, 200, "{}", answer.text());
        };
        let trimmed = || {
            let gone = |room: &u8| http::get(&host.url(&format!("/rooms/slow/{room}/log?after=0"))).status == 410;
            (0..rooms).filter(gone).count()
        };
        retain(false);
        fill_slow_rooms(&host, rooms, 30).await;
        let mut stranger = Session::join(&host, "counter/calm", 1).await;
        let before = ProcessorTime::of(&host);
        retain(true);
        see_that_it_is_undisturbed(&mut stranger).await;
        let outlasts = trimmed() < rooms.into();
        until_blocking("all logs are trimmed", || match trimmed() {
            trimmed if trimmed == usize::from(rooms) => Ok(()),
            trimmed => Err(format!("{trimmed} of {rooms} are; {}", host.log())),
        });
        assert_done_by("machines-replay", &host, &before);
        outlasts
    })
    .await;
}

#[tokio::test]
async fn looks_at_slow_pasts_hold_up_no_other_room_and_no_translation() {
    until_it_lasts(6, 200, async |looks| {
        let host = host_with(&slow_to_apply());
        fill_slow_rooms(&host, 1, 40).await;
        assert_eq!(host.submit("counter/calm", "{\"Increment\":1}").status, 200);
        let before = ProcessorTime::of(&host);
        // Most of these are after a snapshot, so that a slow event is applied for them.
        let looks_asked = (0..looks).map(|look| {
            let url = host.url(&format!("/rooms/slow/0?seq={}", 1 + look % 40));
            move || http::get(&url)
        });
        let answers = send_all(looks_asked);
        let mut shown = vec![answers.recv().unwrap()];
        // One answer has come, so the others wait by now.
        assert_eq!(host.submit("counter/calm", "{\"Increment\":1}").status, 200);
        shown.extend(answers.try_iter());
        let outlasts = shown.len() < looks;
        shown.extend(answers);
        for answer in shown {
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(answer.json()["seq"].as_u64().is_some_and(|seq| (1..=40).contains(&seq)), "{}", answer.text());
        }
        assert_done_by("machines-replay", &host, &before);
        outlasts
    })
    .await;
}

#[tokio::test]
async fn logs_that_are_slow_to_decode_hold_up_no_other_room_and_no_translation() {
    until_it_lasts(6, 200, async |readers| {
        let decode = slowly(10, MachineWat::default().decode);
        let host = host_with(&MachineWat { decode, ..MachineWat::default() });
        fill_slow_rooms(&host, 1, 100).await;
        assert_eq!(host.submit("counter/calm", "{\"Increment\":1}").status, 200);
        let before = ProcessorTime::of(&host);
        let url = host.url("/rooms/slow/0/log");
        let asked = (0..readers).map(|_| {
            let url = url.clone();
            move || http::get(&url)
        });
        let answers = send_all(asked);
        assert_eq!(host.submit("counter/calm", "{\"Increment\":1}").status, 200);
        let mut read: Vec<Answer> = answers.try_iter().collect();
        let outlasts = read.len() < readers;
        read.extend(answers);
        for answer in read {
            assert_eq!((answer.status, answer.json_lines().len()), (200, host.events("slow/0").len()));
        }
        assert_done_by("machines-aside", &host, &before);
        outlasts
    })
    .await;
}

#[tokio::test]
async fn imports_of_slow_rooms_hold_up_no_other_room() {
    until_it_lasts(30, 960, async |events| {
        let host = host_with(&slow_to_apply());
        fill_slow_rooms(&host, 1, events as u64).await;
        let export = http::get(&host.url("/rooms/slow/0/export")).body;
        let mut stranger = Session::join(&host, "counter/calm", 1).await;
        let before = ProcessorTime::of(&host);
        let import = |room| administration(&host, "POST", &format!("/rooms/slow/copy-{room}/import"), export.clone());
        let answers = send_all((0..4).map(import));
        see_that_it_is_undisturbed(&mut stranger).await;
        let outlasts = answers.try_iter().inspect(assert_created).count() < 4;
        answers.iter().for_each(|answer| assert_created(&answer));
        assert_done_by("machines-import", &host, &before);
        outlasts
    })
    .await;
}

#[tokio::test]
async fn builds_that_start_slowly_are_loaded_where_machines_run() {
    let more = Box::leak(format!("(func $begin {}) (start $begin)", count(300)).into_boxed_str());
    let mut host = host_with(&MachineWat { more, ..MachineWat::default() });
    assert_eq!(host.submit("slow/room", "x").status, 200);
    host.stop();
    host.restart();
    let before = ProcessorTime::of(&host);
    assert_eq!(host.room("slow/room")["seq"], 1);
    assert_done_by("machines-load", &host, &before);
}

#[tokio::test]
async fn destructors_that_never_end_hold_up_no_other_room() {
    with_enough_rooms(async |rooms| {
        let host = host_with(&MachineWat { drop: "(loop $spin (br $spin))", ..MachineWat::default() });
        let mut stranger = Session::join(&host, "counter/calm", 1).await;
        let before = ProcessorTime::of(&host);
        // A state is dropped once there is a later one, and the next call pays for that.
        let mut culprits = join_slow_rooms(&host, rooms, 2, 1).await;
        let told = async move {
            for culprit in &mut culprits {
                see_decided_or_ended(culprit, 2).await;
            }
        };
        let outlasts = outlasts(told, &mut stranger).await;
        host.wait_for_log("the machine exhausted its fuel");
        assert_done_by("machines-slow", &host, &before);
        outlasts
    })
    .await;
}
