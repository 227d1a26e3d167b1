//! Slow machines delay only the users of their own rooms, regardless of the slow call and of the number of such rooms.
//!
//! Each test has more such rooms than the host has threads for them, so that their work takes far longer than the transitions of others. The
//! tests compare the order in which things end, not their duration.

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use reapply_sync::{ClientMessage, Event, Input, Number, Rejection, ServerMessage};
use reapply_testing::http::{Answer, get};
use reapply_testing::machine_wat::{MachineWat, describe};
use reapply_testing::{Host, Session, until_blocking};

use super::stopping::slow_to_restore;
use super::unrestorable::snapshots;
use crate::{PROGRAM, increment};

/// The maximum number of rooms that work at once. Each has a client of its own, whose key is one byte.
const ROOMS_MAX: usize = 200;

/// Makes more rooms work than there are threads for them, with more and more work, as [`until_it_lasts`] does.
pub(crate) async fn with_enough_rooms(outlasts: impl AsyncFn(u8) -> bool) {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    until_it_lasts(processors * 3, ROOMS_MAX, async |rooms| outlasts(u8::try_from(rooms).unwrap()).await).await;
}

/// Gives the host more and more work, until `outlasts` finds that the work took longer than the requests that it must not delay. If a disk is slow
/// for a moment, a little work may end first, which proves nothing. Requests that are really delayed by work wait for any amount of it.
pub(crate) async fn until_it_lasts(least: usize, most: usize, outlasts: impl AsyncFn(usize) -> bool) {
    let mut work = least.min(most);
    while !outlasts(work).await {
        assert!(work < most, "work of {work} was over first: what must not wait for it did");
        work = (work * 2).min(most);
    }
}

/// The body of a function that counts to a hundred million, once the state is not 0.
const COUNT_IF_USED: &str = "(local $left i32) (local.set $left (i32.const 100000000))
    (if (local.get $state) (then
        (loop $count (br_if $count (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))";

/// Counts to some millions.
const COUNT_A_LITTLE: &str = "(local $left i32) (local.set $left (i32.const 4000000))
    (loop $count (br_if $count (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))";

/// Starts a host that runs the counter, and this machine as `slow`.
pub(crate) fn host_with(slow: &MachineWat) -> Host {
    let host = Host::start_program(Path::new(PROGRAM), &[]);
    host.deploy("counter");
    deploy(&host, "slow", slow).unwrap();
    host
}

pub(crate) fn deploy(host: &Host, name: &str, machine: &MachineWat) -> Result<String, String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("machine.wasm");
    std::fs::write(&file, machine.component()).unwrap();
    host.try_deploy_file(name, &file)
}

/// The number of transitions that are confirmed while other rooms work.
const UNDISTURBED: u64 = 4;

pub(crate) async fn see_that_it_is_undisturbed(stranger: &mut Session) {
    for number in 1..=UNDISTURBED {
        stranger.confirm(number, increment(1)).await;
    }
}

/// Does the same while work ends in the background, and waits for that. Returns whether the work took longer.
pub(crate) async fn outlasts(work: impl Future<Output = ()> + Send + 'static, stranger: &mut Session) -> bool {
    let work = tokio::spawn(work);
    see_that_it_is_undisturbed(stranger).await;
    let outlasts = !work.is_finished();
    work.await.unwrap();
    outlasts
}

/// Reads until the session's transition with this number is accepted or rejected.
pub(crate) async fn see_decided(session: &mut Session, number: u64) {
    assert!(see_decided_or_ended(session, number).await, "the session was ended");
}

/// Does the same, or reads to the end of a session whose room cannot go on. Returns whether it was decided.
pub(crate) async fn see_decided_or_ended(session: &mut Session, number: u64) -> bool {
    let is_own = |event: &Event| matches!(event.input, Input::Transition { number: found, .. } if found.0 == number);
    loop {
        match session.next().await {
            Some(ServerMessage::Events(events)) if events.iter().any(is_own) => return true,
            Some(ServerMessage::Rejected { number: found, .. }) if found.0 == number => return true,
            Some(_) => {}
            None => return false,
        }
    }
}

/// Requests the views of these rooms, each on a thread. The answers come through the channel.
fn ask_for_views(host: &Host, rooms: impl Iterator<Item = String>) -> mpsc::Receiver<Answer> {
    let (answer, answers) = mpsc::channel();
    for room in rooms {
        let (url, answer) = (host.url(&format!("/rooms/{room}")), answer.clone());
        thread::spawn(move || answer.send(get(&url)).ok());
    }
    answers
}

/// Joins this many rooms of `slow`, and submits transitions of one such byte in each.
pub(crate) async fn join_slow_rooms(host: &Host, rooms: u8, transitions: u64, byte: u8) -> Vec<Session> {
    let mut sessions = Vec::new();
    for key in 0..rooms {
        let mut session = Session::join(host, &format!("slow/{key}"), key + 2).await;
        for number in 1..=transitions {
            session.submit(number, vec![byte]).await;
        }
        sessions.push(session);
    }
    sessions
}

/// Joins this many rooms of `slow`. Each session sees `before` transitions of one such byte decided, and submits those up to `last` with nine bytes.
async fn join_culprits(host: &Host, rooms: u8, (before, byte): (u64, u8), last: u64) -> Vec<Session> {
    let mut culprits = join_slow_rooms(host, rooms, before, byte).await;
    for culprit in &mut culprits {
        see_decided(culprit, before).await;
        for number in before + 1..=last {
            culprit.submit(number, vec![0; 9]).await;
        }
    }
    culprits
}

#[tokio::test]
async fn transitions_that_spin_in_many_rooms_hold_up_no_other_room() {
    with_enough_rooms(async |rooms| {
        let apply = "(if (i32.eq (local.get $length) (i32.const 9)) (then (loop $spin (br $spin))))
            (call $ok (call $new (i32.add (local.get $state) (local.get $length))))";
        let host = host_with(&MachineWat { apply, ..MachineWat::default() });
        let mut stranger = Session::join(&host, "counter/calm", 1).await;
        // The rooms were cheap until now.
        let mut culprits = join_culprits(&host, rooms, (20, 0), 23).await;
        let told = async move {
            for culprit in &mut culprits {
                for number in 21..=23 {
                    let (found, why) = culprit.rejection().await;
                    assert_eq!(found, Number(number));
                    assert!(matches!(why, Rejection::Exhausted(_)), "{why:?}");
                }
            }
        };
        outlasts(told, &mut stranger).await
    })
    .await;
}

#[tokio::test]
async fn views_that_take_long_hold_up_no_other_room_and_not_even_their_own_sessions() {
    with_enough_rooms(async |rooms| {
        let view = Box::leak(format!("{COUNT_IF_USED} {}", MachineWat::default().view).into_boxed_str());
        let host = host_with(&MachineWat { view, ..MachineWat::default() });
        let mut stranger = Session::join(&host, "counter/calm", 1).await;
        let mut witness = Session::join(&host, "slow/0", 2).await;
        for room in 0..rooms {
            assert_eq!(host.submit(&format!("slow/{room}"), "x").status, 200);
        }
        witness.events_to(1).await;
        let views = ask_for_views(&host, (0..rooms).map(|room| format!("slow/{room}")));
        see_that_it_is_undisturbed(&mut stranger).await;
        // A session's requests to its room's task wait at most for the view of this one room.
        witness.say(&ClientMessage::Ping(7)).await;
        loop {
            match witness.next().await {
                Some(ServerMessage::Pong(7)) => break,
                Some(_) => {}
                None => panic!("the session was ended"),
            }
        }
        let answered = views.try_iter().count();
        let outlasts = answered < rooms.into();
        for answer in views {
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        outlasts
    })
    .await;
}

#[tokio::test]
async fn destructors_that_take_long_hold_up_no_other_room() {
    with_enough_rooms(async |rooms| {
        let host = host_with(&MachineWat { drop: COUNT_IF_USED, ..MachineWat::default() });
        let mut stranger = Session::join(&host, "counter/calm", 1).await;
        // All states but the first ones and the last are dropped.
        let mut culprits = join_slow_rooms(&host, rooms, 5, 1).await;
        let told = async move {
            for culprit in &mut culprits {
                see_decided(culprit, 5).await;
            }
        };
        outlasts(told, &mut stranger).await
    })
    .await;
}

#[tokio::test]
async fn traps_in_rooms_that_are_dear_to_make_again_hold_up_no_other_room_and_get_cheaper() {
    with_enough_rooms(async |rooms| {
        // Each transition counts to some millions; one of nine bytes traps.
        let apply = "(local $left i32)
            (if (i32.eq (local.get $length) (i32.const 9)) (then (unreachable)))
            (local.set $left (i32.const 4000000))
            (loop $spin (br_if $spin (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (call $ok (call $new (i32.add (local.get $state) (local.get $length))))";
        let host = host_with(&MachineWat { apply, ..MachineWat::default() });
        let mut stranger = Session::join(&host, "counter/calm", 1).await;
        let mut culprits = join_culprits(&host, rooms, (4, 1), 8).await;
        let told = async move {
            for culprit in &mut culprits {
                for number in 5..=8 {
                    assert_eq!(culprit.rejection().await.0, Number(number));
                }
            }
        };
        let outlasts = outlasts(told, &mut stranger).await;
        // The first recovery was expensive, so the room has taken a snapshot, and its log says so.
        let is_checkpoint = |event: &&serde_json::Value| event["kind"] == "checkpoint";
        let checkpoints = host.events("slow/0").iter().filter(is_checkpoint).count();
        assert_eq!(checkpoints, 1);
        outlasts
    })
    .await;
}

#[tokio::test]
async fn trials_of_snapshots_hold_up_no_turn_no_view_and_no_recovery() {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    with_enough_rooms(async |rooms| {
        let host = host_with(&slow_to_restore());
        assert!(host.command("retain", &["slow", "--snapshot-events", "2"]).status.success());
        // Its views are made, and its states recovered, in the lane for large states. A transition of nine bytes traps.
        let snapshot = "(i32.store (i32.const 65536) (local.get $state))
            (call $bytes (i32.const 65536) (i32.const 600000))";
        let view = Box::leak(format!("{COUNT_A_LITTLE} {}", MachineWat::default().view).into_boxed_str());
        let apply = "(if (i32.eq (local.get $length) (i32.const 9)) (then (unreachable)))
            (call $ok (call $new (i32.add (local.get $state) (local.get $length))))";
        let other = MachineWat { view, apply, snapshot, memory: "12", ..MachineWat::default() };
        deploy(&host, "other", &other).unwrap();
        let mut stranger = Session::join(&host, "counter/calm", 1).await;
        let mut other = Session::join(&host, "other/room", 1).await;
        let _busy = join_slow_rooms(&host, rooms, 3, 1).await;
        until_blocking("all snapshots are on trial", || {
            let untried =
                |room: &u8| !host.events(&format!("slow/{room}")).iter().any(|event| event["kind"] == "checkpoint");
            (0..rooms).find(untried).map_or(Ok(()), |room| Err(format!("{room}")))
        });
        see_that_it_is_undisturbed(&mut stranger).await;
        other.submit(1, vec![0; 9]).await;
        assert_eq!(other.rejection().await.0, Number(1));
        assert_eq!(host.room("other/room")["view"], 0);
        // Trials begin in order: while more are left than there are threads, some have not begun.
        let untried = (0..rooms).filter(|room| snapshots(&host, &room.to_string()).is_empty()).count();
        untried > processors.max(2)
    })
    .await;
}

#[tokio::test]
async fn newcomers_signals_and_those_who_leave_do_not_wait_behind_what_others_have_queued() {
    until_it_lasts(400, 1_600, async |queued| {
        let apply = "(local $left i32) (local.set $left (i32.const 4000000))
            (loop $spin (br_if $spin (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (call $ok (call $new (i32.add (local.get $state) (local.get $length))))";
        let host = host_with(&MachineWat { apply, ..MachineWat::default() });
        let mut busy = Session::join(&host, "slow/room", 1).await;
        let mut leaver = Session::join(&host, "slow/room", 2).await;
        for number in 1..=queued as u64 {
            busy.submit(number, vec![1]).await;
        }
        // The session has passed on all of them once it answers the frame behind them.
        busy.say(&ClientMessage::Ping(1)).await;
        loop {
            if let Some(ServerMessage::Pong(1)) = busy.next().await {
                break;
            }
        }
        let mut newcomer = Session::join(&host, "slow/room", 3).await;
        leaver.say(&signal(&b"here"[..])).await;
        let (mut has_signal, mut present) = (false, 0);
        while !has_signal || present < 3 {
            match newcomer.next().await {
                Some(ServerMessage::Signals(signals)) => has_signal = signals[0].body[..] == b"here"[..],
                Some(ServerMessage::Presence(presence)) => present = presence.count,
                Some(_) => {}
                None => panic!("the session was ended"),
            }
        }
        drop(leaver);
        loop {
            match newcomer.next().await {
                Some(ServerMessage::Presence(presence)) if presence.count == 2 => break,
                Some(_) => {}
                None => panic!("the session was ended"),
            }
        }
        let decided = host.events("slow/room").iter().filter(|event| event["kind"] == "transition").count();
        decided < queued
    })
    .await;
}

#[test]
fn a_view_is_made_once_for_all_who_ask_for_one_state() {
    // The view counts to some millions, and then counts how often it was made.
    let view = "(local $left i32) (local.set $left (i32.const 4000000))
        (loop $spin (br_if $spin (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (global.set $made (i32.add (global.get $made) (i32.const 1)))
        (i32.store8 (i32.const 16) (i32.add (global.get $made) (i32.const 48)))
        (call $bytes (i32.const 16) (i32.const 1))";
    let more = "(global $made (mut i32) (i32.const 0))";
    let host = host_with(&MachineWat { view, more, ..MachineWat::default() });
    assert_eq!(host.submit("slow/room", "x").status, 200);
    let views = ask_for_views(&host, (0..8).map(|_| "slow/room".to_owned()));
    for answer in views {
        assert_eq!((answer.status, answer.json()["view"].as_u64()), (200, Some(1)), "{}", answer.text());
    }
    assert_eq!(host.submit("slow/room", "x").status, 200);
    assert_eq!(host.room("slow/room")["view"], 2, "a new state has a new view");
}

#[test]
fn schemas_are_bounded_and_served_as_they_are() {
    let host = host_with(&MachineWat::default());
    let large = |bytes: usize| {
        let schemas = format!("{{{}\"options\":true}}", " ".repeat(bytes - 16));
        MachineWat { describe: describe("large", 1, &schemas), memory: "40", ..MachineWat::default() }
    };
    let refused = deploy(&host, "large", &large((1 << 20) + 1)).unwrap_err();
    assert!(refused.contains("bad `schemas`: they have 1048577 bytes; the limit is 1048576"), "{refused}");
    deploy(&host, "large", &large(1 << 20)).unwrap();
    let described = get(&host.url("/machines/large"));
    let description = &described.json()["description"];
    assert_eq!((&description["name"], &description["schemas"]["options"]), (&"large".into(), &true.into()));
}

pub(crate) fn ping(value: u64) -> ClientMessage {
    ClientMessage::Ping(value)
}

pub(crate) fn signal(body: impl Into<bytes::Bytes>) -> ClientMessage {
    ClientMessage::Signal(body.into())
}
