//! Limits on strangers: their connections and bodies cannot exhaust memory or places, and stalled ones are closed.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use reapply_host::http::limits::{ADDRESS_SHARE, BODY_SILENCE_MAX, DESCRIPTORS_KEPT, HEADERS_WITHIN};
use reapply_sync::Goodbye;
use reapply_testing::machine_wat::MachineWat;
use reapply_testing::{DEADLINE, Host, http, until_blocking};
use tempfile::TempDir;
use tokio::net::TcpSocket;

use super::session::refusal;
use crate::{PROGRAM, counter_host};

/// The number of descriptors that the host of these tests may open.
const DESCRIPTORS: u64 = 1_024;

/// The number of connections that one address may then have.
const OF_AN_ADDRESS: usize = (DESCRIPTORS - DESCRIPTORS_KEPT) as usize / ADDRESS_SHARE;

#[test]
fn large_bodies_of_strangers_take_no_memory() {
    const SENDERS: usize = 40;
    const BODY_BYTES: usize = 16 * 1024 * 1024;
    let host = counter_host(&[]);
    let before = memory(&host, "VmRSS");
    let body = vec![0; BODY_BYTES];
    std::thread::scope(|threads| {
        for _ in 0..SENDERS {
            threads.spawn(|| {
                let mut connection = connect(host.address());
                let head = format!("PUT /machines/huge HTTP/1.1\r\nhost: x\r\ncontent-length: {BODY_BYTES}\r\n\r\n");
                connection.write_all(head.as_bytes()).unwrap();
                connection.write_all(&body).unwrap();
                assert_eq!(status(&mut connection), 401);
            });
        }
    });
    let grown = memory(&host, "VmHWM").saturating_sub(before);
    assert!(grown < SENDERS * BODY_BYTES / 8, "the host took {grown} bytes more for bodies that nobody wanted");
}

#[test]
fn a_component_that_many_fetch_and_nobody_reads_takes_the_memory_of_one() {
    const READERS: usize = 30;
    const COMPONENT_BYTES: usize = 8 * 1024 * 1024;
    let host = counter_host(&[]);
    let more = format!("(data \"{}\")", "x".repeat(COMPONENT_BYTES));
    let component = MachineWat { more: more.leak(), ..MachineWat::default() }.component();
    let deployed = host.administer("PUT", "/machines/large", &component).json();
    let digest = deployed["digest"].as_str().unwrap_or_else(|| panic!("{deployed}")).to_owned();
    let url = host.url(&format!("/components/{digest}.wasm"));
    assert_eq!(blake3::hash(&http::get(&url).body).to_string(), digest);
    let before = memory(&host, "VmRSS");
    let ask = format!("GET /components/{digest}.wasm HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut connections: Vec<_> = (0..READERS).map(|_| connect_and_say(&host, &ask)).collect();
    assert!(connections.iter_mut().all(|connection| status(connection) == 200));
    let grown = memory(&host, "VmRSS").saturating_sub(before);
    assert!(grown < READERS * COMPONENT_BYTES / 4, "the host took {grown} bytes more for {READERS} answers");
}

#[test]
fn whoever_waits_for_a_word_before_sending_is_told_at_once() {
    let host = counter_host(&[]);
    let mut connection = connect(host.address());
    let head = "PUT /machines/huge HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1000000\r\n\r\n";
    connection.write_all(head.as_bytes()).unwrap();
    assert_eq!(status(&mut connection), 401, "the host asked for the body");
}

#[test]
fn a_body_or_a_head_that_stands_still_is_given_up() {
    let host = counter_host(&[]);
    let of_body =
        connect_and_say(&host, "POST /rooms/counter/slow HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n\"Re");
    let of_head = connect_and_say(&host, "GET /rooms HTTP/1.1\r\nhost: x\r\nx-slow: ");
    let silent = connect_and_say(&host, "");
    let between = connect_and_say(&host, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(BODY_SILENCE_MAX < DEADLINE && HEADERS_WITHIN < DEADLINE);
    for mut ended in [of_head, silent] {
        let mut rest = Vec::new();
        ended.read_to_end(&mut rest).expect("the host closes");
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
    let mut rest = String::new();
    (&between).read_to_string(&mut rest).expect("the host closes");
    assert!(rest.starts_with("HTTP/1.1 200 "), "{rest}");
    let mut of_body = of_body;
    assert_eq!(status(&mut of_body), 408);
    assert_eq!(host.submit("counter/slow", "\"Reset\"").status, 200);
}

#[tokio::test]
async fn idle_connections_lock_out_nobody_else() {
    let (_folder, program) = limited_program();
    let host = Host::start_program(&program, &[]);
    host.deploy("counter");
    // As many as one address may have, and the answer to one more.
    let idle: Vec<TcpStream> = (0..OF_AN_ADDRESS).map(|_| connect(host.address())).collect();
    let mut refused = connect_and_say(&host, "GET /rooms HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let told = answer(&mut refused);
    assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("this address is at its limit"), "{told}");
    let goodbye = refusal(&host, "counter/lobby", &[]).await;
    assert!(matches!(&goodbye, Goodbye::Full(why) if why.contains("this address is at its limit")), "{goodbye:?}");
    assert!(goodbye.retry());

    // More than the host has descriptors for, half of them in the middle of a head.
    let more: Vec<TcpStream> = (0..DESCRIPTORS)
        .map(|number| connect_and_say(&host, if number % 2 == 0 { "" } else { "GET / HTTP/1.1\r\nhost:" }))
        .collect();
    for number in 0..50 {
        let mut other = connect_from("127.0.0.2:0", host.address()).await;
        let body = "{\"Increment\":1}";
        let length = body.len();
        let head = format!("POST /rooms/counter/lobby HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
        other.write_all(head.as_bytes()).unwrap();
        assert_eq!(status(&mut other), 200, "request {number}: {}", host.log());
    }
    host.wait_for_log("this address is at its limit");
    drop((idle, more));
    until_blocking("the address may connect again", || {
        let mut again = connect_and_say(&host, "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let told = answer(&mut again);
        if told.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(told) }
    });
}

#[test]
fn a_proxy_has_more_connections_than_an_address() {
    let (_folder, program) = limited_program();
    let host = Host::start_program(&program, &["--proxy", "127.0.0.1"]);
    let open: Vec<TcpStream> = (0..2 * OF_AN_ADDRESS).map(|_| connect(host.address())).collect();
    let mut one_more = connect_and_say(&host, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(status(&mut one_more), 200);
    drop(open);
}

/// Returns the binary, with [`DESCRIPTORS`] to open and no way to have more.
fn limited_program() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("reapply");
    fs::write(&script, format!("#!/bin/sh\nulimit -n {DESCRIPTORS}\nexec '{PROGRAM}' \"$@\"\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, script)
}

fn connect(address: SocketAddr) -> TcpStream {
    // This process may have to hold more than its own limit.
    rlimit::increase_nofile_limit(4 * DESCRIPTORS).unwrap();
    with_deadline(TcpStream::connect(address).unwrap())
}

fn connect_and_say(host: &Host, words: &str) -> TcpStream {
    let mut connection = connect(host.address());
    connection.write_all(words.as_bytes()).unwrap();
    connection
}

async fn connect_from(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(from.parse().unwrap()).unwrap();
    let connection = socket.connect(to).await.unwrap().into_std().unwrap();
    connection.set_nonblocking(false).unwrap();
    with_deadline(connection)
}

fn with_deadline(connection: TcpStream) -> TcpStream {
    connection.set_read_timeout(Some(DEADLINE)).unwrap();
    connection
}

/// Returns the status of the answer on a connection.
fn status(connection: &mut TcpStream) -> u16 {
    let mut head = [0; 12];
    connection.read_exact(&mut head).unwrap();
    let head = String::from_utf8_lossy(&head).into_owned();
    head.strip_prefix("HTTP/1.1 ").and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{head}"))
}

/// Returns the whole answer on a connection, as far as it arrives.
fn answer(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _reset = connection.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the bytes of memory of a host, by the name of a figure in its status.
fn memory(host: &Host, figure: &str) -> usize {
    let status = fs::read_to_string(Path::new("/proc").join(host.pid().to_string()).join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(figure)).unwrap();
    let kib: usize = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap();
    kib * 1024
}
