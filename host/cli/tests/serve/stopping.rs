//! A stopping host ends, whatever it is doing.
#![cfg(target_os = "linux")]

use std::io::Write;
use std::net::TcpStream;

use reapply_testing::{Host, until_blocking};

use super::components::costly;
use crate::counter_host;

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

/// Returns the processor time that a process has used, in ticks.
fn processor_ticks(host: &Host) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", host.pid())).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
