//! A stopping host ends, whatever it is doing.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;

use reapply_sync::Goodbye;
use reapply_testing::machine_wat::MachineWat;
use reapply_testing::{Host, until_blocking};

use super::components::costly;
use super::unrestorable::deploy;
use crate::{PROGRAM, counter_host};
use reapply_testing::Session;

/// A component that takes minutes to compile must not delay a host that long.
#[test]
fn a_host_that_compiles_stops() {
    let mut host = counter_host(&[]);
    assert_eq!(host.submit("counter/kept", "{\"Increment\":1}").status, 200);
    let (component, token) = (costly(), host.token());
    let mut deploying = TcpStream::connect(host.address()).unwrap();
    let length = component.len();
    let head = format!(
        "PUT /machines/costly HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n"
    );
    deploying.write_all(head.as_bytes()).unwrap();
    deploying.write_all(&component).unwrap();
    // It uses a whole processor.
    let before = processor_ticks(&host);
    until_blocking("the host compiles", || match processor_ticks(&host) - before {
        ticks if ticks > 100 => Ok(()),
        ticks => Err(format!("{ticks} ticks of processor time")),
    });
    assert!(host.stop().success(), "{}", host.log());
    assert!(host.log().contains("stopped"), "{}", host.log());
    host.restart();
    assert_eq!(host.room("counter/kept")["view"]["count"], 1);
}

/// A machine whose `restore` takes about a second.
pub(crate) fn slow_to_restore() -> MachineWat {
    MachineWat {
        // Roots take long for the fuel that they cost.
        restore: "(local $left i32) (local $root f64) (local.set $left (i32.const 18000000))
            (loop $count
              (local.set $root (f64.sqrt (f64.sqrt (f64.sqrt (f64.sqrt (f64.add (local.get $root) (f64.const 2)))))))
              (local.set $root (f64.sqrt (f64.sqrt (f64.sqrt (f64.sqrt (f64.add (local.get $root) (f64.const 2)))))))
              (br_if $count (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (call $ok (call $new (i32.load (local.get $snapshot))))",
        ..MachineWat::default()
    }
}

/// Each room tries a snapshot before it ends. All trials together would take far longer than a host that stops waits for its rooms.
#[tokio::test]
async fn a_host_stops_in_time_though_its_rooms_would_try_their_snapshots_for_long() {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let rooms: Vec<_> = (0..processors.max(2) * 50).map(|room| format!("wat/{room}")).collect();
    let mut host = Host::start_program(Path::new(PROGRAM), &[]);
    deploy(&host, &slow_to_restore());
    for room in &rooms {
        // Enough for a snapshot before the room sleeps, and too little for one before.
        let answer = host.submit(room, &format!("\"{}\"", "x".repeat(20_000)));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let mut session = Session::join(&host, &rooms[0], 1).await;
    host.terminate();
    assert_eq!(session.goodbye().await, Goodbye::ShuttingDown);
    assert!(host.wait_for_end().success(), "{}", host.log());
    assert!(!host.log().contains("some rooms did not"), "{}", host.log());
    host.restart();
    for room in &rooms {
        assert!(host.room(room)["seq"].as_u64() >= Some(1), "{}", host.room(room));
    }
}

/// Returns the processor time that a process has used, in ticks.
pub(crate) fn processor_ticks(host: &Host) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", host.pid())).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
