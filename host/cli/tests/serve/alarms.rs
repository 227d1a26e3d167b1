//! Alarms survive sleep and restart; an alarm that fails is not tried again.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use reapply_testing::{Host, until_blocking};
use serde_json::{Value, json};

use super::life::wait_for_sleep;
use crate::PROGRAM;

/// Starts a host whose rooms sleep as soon as nobody uses them.
fn alarm_host(sleep_after: &str) -> Host {
    let host = Host::start_program(Path::new(PROGRAM), &["--sleep-after", sleep_after]);
    host.deploy("vain-alarm");
    host
}

/// Sets an alarm. Returns the time when it is due, in microseconds.
fn arm(host: &Host, room: &str, millis: u64, ending: &str) -> u128 {
    let transition = json!({ "Arm": { "millis": millis, "ending": ending } }).to_string();
    let answer = host.submit(room, &transition);
    assert_eq!(answer.status, 200, "{}", answer.text());
    micros(&answer.json()["time"]) + u128::from(millis) * 1_000
}

fn micros(time: &Value) -> u128 {
    let time = humantime::parse_rfc3339(time.as_str().unwrap()).unwrap();
    time.duration_since(UNIX_EPOCH).unwrap().as_micros()
}

fn wait_for_clock(due: u128) {
    until_blocking("the clock gets there", || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        if now > due { Ok(()) } else { Err(format!("{} µs to go", due - now)) }
    });
}

/// Returns the alarms in a room's log. Reading the log does not wake the room.
fn alarms(host: &Host, room: &str) -> Vec<Value> {
    host.events(room).into_iter().filter(|event| event["kind"] == "alarm").collect()
}

fn wait_for_alarm(host: &Host, room: &str) -> Value {
    until_blocking("the alarm goes off", || match &alarms(host, room)[..] {
        [] => Err(host.log()),
        [alarm, ..] => Ok(alarm.clone()),
    })
}

/// Returns the number of failed alarms of this room in the operator's log.
fn reports(host: &Host, room: &str) -> usize {
    let log = host.log();
    log.lines().filter(|line| line.contains("the alarm failed") && line.contains(&format!("room={room} "))).count()
}

#[test]
fn a_sleeping_room_wakes_for_its_alarm_and_sleeps_again() {
    let host = alarm_host("50ms");
    let due = arm(&host, "vain-alarm/nap", 1_500, "Rings");
    wait_for_sleep(&host, "nap", 1);
    assert!(alarms(&host, "vain-alarm/nap").is_empty(), "it slept before the alarm was due");
    let alarm = wait_for_alarm(&host, "vain-alarm/nap");
    assert!(micros(&alarm["time"]) >= due, "{alarm}");
    assert_eq!(alarm["transition"], "Ring");
    wait_for_sleep(&host, "nap", 2);
    assert_eq!(host.events("vain-alarm/nap").len(), 2);
    assert_eq!(host.room("vain-alarm/nap")["view"]["rung"], 1);
}

#[test]
fn an_alarm_that_came_due_while_the_host_was_down_goes_off_once_at_the_real_time() {
    let mut host = alarm_host("60s");
    let due = arm(&host, "vain-alarm/killed", 700, "Rings");
    // This alarm's room had fallen asleep before.
    let due_too = arm(&host, "vain-alarm/stopped", 700, "Rings");
    host.kill_9();
    wait_for_clock(due.max(due_too));
    let restarted = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    host.restart();
    for room in ["vain-alarm/killed", "vain-alarm/stopped"] {
        let alarm = wait_for_alarm(&host, room);
        assert!(micros(&alarm["time"]) >= restarted, "{alarm}");
    }
    assert!(host.stop().success());
    host.restart();
    for room in ["vain-alarm/killed", "vain-alarm/stopped"] {
        assert_eq!(host.room(room)["view"]["rung"], 1);
        assert_eq!(alarms(&host, room).len(), 1);
    }
}

#[test]
fn many_alarms_that_are_due_at_once_all_go_off_and_their_rooms_sleep_again() {
    // Rooms that people use stay awake; these are woken only for their alarms, and sleep at once.
    let mut host = alarm_host("60s");
    let names: Vec<String> = (0..100).map(|index| format!("r{index}")).collect();
    let due = names.iter().map(|name| arm(&host, &format!("vain-alarm/{name}"), 3_000, "Rings")).max().unwrap();
    assert!(host.stop().success());
    wait_for_clock(due);
    host.restart();
    for name in &names {
        wait_for_sleep(&host, name, 2);
        assert_eq!(alarms(&host, &format!("vain-alarm/{name}")).len(), 1, "{name}");
    }
}

#[test]
fn an_alarm_that_ends_in_vain_is_reported_and_never_tried_again() {
    for ending in ["Conflicts", "Panics", "Loops"] {
        let mut host = alarm_host("50ms");
        let room = format!("vain-alarm/{}", ending.to_lowercase());
        arm(&host, &room, 300, ending);
        until_blocking("the operator is told", || if reports(&host, &room) == 1 { Ok(()) } else { Err(host.log()) });
        let report = host.log().lines().find(|line| line.contains("the alarm failed")).unwrap().to_owned();
        assert!(report.contains("due=20") && report.contains("transition=\"Ring\""), "{report}");
        let why = match ending {
            "Conflicts" => "InVain",
            "Panics" => "asked to panic",
            _ => "exhausted its fuel",
        };
        assert!(report.contains(why), "{report}");

        // The room continues. Use, sleep, a restart or a crash do not make it try again.
        for round in 0..3 {
            assert_eq!(host.submit(&room, "\"Poke\"").status, 200);
            wait_for_sleep(&host, &ending.to_lowercase(), 2 + round);
            match round {
                0 => assert!(host.stop().success()),
                1 => host.kill_9(),
                _ => continue,
            }
            host.restart();
        }
        assert_eq!(host.room(&room)["view"]["poked"], 3);
        assert_eq!(reports(&host, &room), 1, "{}", host.log());
        assert!(alarms(&host, &room).is_empty());

        // A new alarm is tried.
        arm(&host, &room, 1, "Rings");
        wait_for_alarm(&host, &room);
        assert_eq!(host.room(&room)["view"]["rung"], 1);
    }
}

#[test]
fn a_room_that_cannot_be_woken_for_its_alarm_hinders_no_other() {
    let host = alarm_host("50ms");
    arm(&host, "vain-alarm/broken", 1_500, "Rings");
    arm(&host, "vain-alarm/whole", 1_500, "Rings");
    wait_for_sleep(&host, "broken", 1);
    let connection = rusqlite::Connection::open(host.data().join("journal.db")).unwrap();
    let broken = "(SELECT id FROM rooms WHERE room = 'broken')";
    let sql = format!("UPDATE batches SET body = zeroblob(length(body)) WHERE room = {broken}");
    assert_eq!(connection.execute(&sql, []).unwrap(), 1);
    connection.close().unwrap();
    wait_for_alarm(&host, "vain-alarm/whole");
    until_blocking("the operator is told", || {
        let is_told =
            |line: &str| line.contains("could not be woken for its alarm") && line.contains("vain-alarm/broken");
        if host.log().lines().any(is_told) { Ok(()) } else { Err(host.log()) }
    });
}
