//! Forged exports: every hash is right, and the content is wrong. They are read and written here by the book's documentation
//! of the format, without the host's code.

use std::fs;
use std::ops::ControlFlow;

use bytes::Bytes;
use reapply_host::archive::{Counts, Header, VerifyError, verify};
use reapply_machine::Engine;
use reapply_sync::{Author, Batch, Chain, Digest, Event, Input, Number, Seq, Snapshot, Timestamp};
use reapply_testing::{Host, http};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::counter_host;
use crate::exports::{Exported, fails, long_room, succeeds};

/// The kinds of sections, by their numbers.
const COMPONENT: u8 = 2;
const SNAPSHOT: u8 = 3;
const RECORDS: u8 = 4;
const END: u8 = 5;

/// A section's content, with the fields of its frame.
#[derive(Clone)]
struct Section {
    kind: u8,
    span: [u64; 2],
    content: Vec<u8>,
}

impl Section {
    fn get<T: DeserializeOwned>(&self) -> T {
        postcard::from_bytes(&self.content).unwrap()
    }

    fn set<T: Serialize>(&mut self, content: &T) {
        self.content = postcard::to_allocvec(content).unwrap();
    }

    fn change<T: DeserializeOwned + Serialize>(&mut self, change: impl FnOnce(&mut T)) {
        let mut content = self.get();
        change(&mut content);
        self.set(&content);
    }
}

/// An export, section by section.
#[derive(Clone)]
struct File(Vec<Section>);

impl File {
    fn read(bytes: &[u8]) -> Self {
        assert_eq!(bytes[..12], *b"\x89RPY\r\n\x1a\n\x02\0\0\0");
        let mut sections = Vec::new();
        let mut rest = &bytes[12..];
        while !rest.is_empty() {
            let number = |from: usize, to: usize| {
                let mut number = [0; 8];
                number[..to - from].copy_from_slice(&rest[from..to]);
                u64::from_le_bytes(number)
            };
            let (content_bytes, stored_bytes) = (number(21, 25) as usize, number(25, 29) as usize);
            let stored = &rest[61..61 + stored_bytes];
            assert_eq!(number(1, 5), sections.len() as u64);
            assert_eq!(*blake3::hash(&[&rest[..29], stored].concat()).as_bytes(), rest[29..61]);
            let content = zstd::bulk::decompress(stored, content_bytes).unwrap();
            assert_eq!(content.len(), content_bytes);
            sections.push(Section { kind: rest[0], span: [number(5, 13), number(13, 21)], content });
            rest = &rest[61 + stored_bytes..];
        }
        Self(sections)
    }

    /// Returns the file, with all hashes and counts adjusted to its content.
    fn write(&self) -> Vec<u8> {
        let mut file = b"\x89RPY\r\n\x1a\n\x02\0\0\0".to_vec();
        let mut hashes = Vec::new();
        let count = |kind| self.0.iter().filter(|section| section.kind == kind).count() as u64;
        let records = self.bodies().len() as u64;
        let spans = self.0.iter().filter(|section| section.kind == RECORDS).map(|section| section.span);
        let events = spans.map(|[first, last]| last + 1 - first).sum();
        let counts = Counts { components: count(COMPONENT), snapshots: count(SNAPSHOT), records, events };
        for (index, section) in self.0.iter().enumerate() {
            let mut section = section.clone();
            if section.kind == END {
                section.set(&(counts, Digest::of(&hashes)));
            }
            let stored = zstd::bulk::compress(&section.content, 1).unwrap();
            let mut frame = vec![section.kind];
            frame.extend((index as u32).to_le_bytes());
            frame.extend(section.span.iter().flat_map(|seq| seq.to_le_bytes()));
            frame.extend((section.content.len() as u32).to_le_bytes());
            frame.extend((stored.len() as u32).to_le_bytes());
            let hash = *blake3::hash(&[&frame[..], &stored].concat()).as_bytes();
            hashes.extend(hash);
            file.extend(frame);
            file.extend(hash);
            file.extend(stored);
        }
        file
    }

    fn first(&mut self, kind: u8) -> &mut Section {
        self.0.iter_mut().find(|section| section.kind == kind).unwrap()
    }

    fn header(&self) -> Header {
        self.0[0].get()
    }

    fn bodies(&self) -> Vec<Bytes> {
        self.0
            .iter()
            .filter(|section| section.kind == RECORDS)
            .flat_map(|section| section.get::<Vec<Bytes>>())
            .collect()
    }

    /// Changes events, and all hashes that depend on them: also those in the snapshots and in the header.
    fn change_events(&mut self, change: impl Fn(&mut Event)) {
        let (mut after, mut chain) = self.header().start();
        for section in &mut self.0 {
            match section.kind {
                RECORDS => section.change(|bodies: &mut Vec<Bytes>| {
                    for body in bodies {
                        let mut events = Batch::read(after, body).unwrap();
                        events.iter_mut().for_each(&change);
                        *body = events.iter().flat_map(|event| postcard::to_allocvec(event).unwrap()).collect();
                        (after, chain) = (Seq(after.0 + events.len() as u64), chain_after(chain, &events));
                    }
                }),
                SNAPSHOT => section.change(|snapshot: &mut Snapshot| snapshot.chain = chain),
                _ => {}
            }
        }
        self.0[0].change(|header: &mut Header| header.chain = chain);
    }

    /// Returns the first fault that is found; `None` if there is none.
    fn finding(&self) -> Option<String> {
        match verify(&self.write()[..], &Engine::new(None).unwrap(), &mut |_| ControlFlow::Continue(())) {
            Ok(_) => None,
            Err(VerifyError::Finding(finding)) => Some(finding.to_string()),
            Err(VerifyError::Stopped) => panic!("it stopped by itself"),
        }
    }
}

fn chain_after(chain: Chain, events: &[Event]) -> Chain {
    events.iter().fold(chain, |chain, event| chain.after(&postcard::to_allocvec(event).unwrap()))
}

/// Returns an export of many sections: of a room that takes snapshots often, and remembers a client.
fn export(host: &Host) -> File {
    succeeds(&host.command("retain", &["counter", "--snapshot-events", "10"]));
    for number in 1..=200 {
        let number = number.to_string();
        let headers = [("reapply-client", "0123456789abcdef0123456789abcdef"), ("reapply-number", number.as_str())];
        let answer = http::send("POST", &host.url("/rooms/counter/lobby"), &headers, Some(b"{\"Increment\":1}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    File::read(&Exported::of(host, "counter/lobby").bytes())
}

/// A way to forge, and the expected report.
type Forgery = (&'static str, fn(&mut File), &'static str);

const FORGERIES: [Forgery; 16] = [
    (
        "records without end, in a few bytes",
        |file| file.first(RECORDS).change(|bodies: &mut Vec<Bytes>| *bodies = vec![Bytes::new(); 1_000_000]),
        "for 1000000 records with",
    ),
    (
        "another state",
        |file| change_snapshot(file, |snapshot| flip(&mut snapshot.state)),
        "is not the one that the log leads to",
    ),
    (
        "another version of the state",
        |file| change_snapshot(file, |snapshot| snapshot.state_version += 1),
        "it says that its state has version 2, and its build writes 1",
    ),
    (
        "a client's number",
        |file| change_snapshot(file, |snapshot| snapshot.clients[0].number = Number(9_999)),
        "it says that 9999 was the last number of client",
    ),
    (
        "a client's time",
        |file| change_snapshot(file, |snapshot| snapshot.clients[0].time = Timestamp(1)),
        "was the last number of client",
    ),
    (
        "a participant who never came",
        |file| change_snapshot(file, |snapshot| snapshot.present.push(Author("nobody".into()))),
        "it names other participants than had joined by then",
    ),
    (
        "a snapshot's chain",
        |file| change_snapshot(file, |snapshot| snapshot.chain = Chain([7; 32])),
        "its chain, its time or its build is not the log's there",
    ),
    (
        "an event, and the chain left as it was",
        |file| {
            let chain = file.header().chain;
            file.change_events(|event| event.entropy ^= 1);
            file.0[0].change(|header: &mut Header| header.chain = chain);
        },
        "the chain or the time after event",
    ),
    (
        "a transition, and every hash made to fit",
        |file| file.change_events(|event| change_transition(event, 3)),
        "is not the one that the log leads to",
    ),
    (
        "a transition, every hash made to fit, and the snapshots gone",
        |file| {
            file.change_events(|event| change_transition(event, 3));
            file.0.retain(|section| section.kind != SNAPSHOT);
        },
        "says that the snapshot at",
    ),
    (
        "a time before the one before",
        |file| {
            file.change_events(|event| {
                if event.seq == Seq(40) {
                    event.time = Timestamp(1)
                }
            })
        },
        "event 40: its time is before that of the event before it",
    ),
    (
        "a record that is missing",
        |file| file.first(RECORDS).change(|bodies: &mut Vec<Bytes>| drop(bodies.remove(0))),
        "in its place",
    ),
    (
        "another room",
        |file| file.0[0].change(|header: &mut Header| header.room.room = "other".parse().unwrap()),
        "of counter/other, and the log is",
    ),
    (
        "another genesis",
        |file| file.0[0].change(|header: &mut Header| header.genesis.nonce ^= 1),
        "its chain, its time or its build is not the log's there",
    ),
    (
        "another component",
        |file| file.first(COMPONENT).change(|(_, bytes): &mut (Digest, Bytes)| flip(bytes)),
        "its bytes have another digest",
    ),
    ("no component", |file| file.0.retain(|section| section.kind != COMPONENT), "cannot be run: it is not at hand"),
];

fn change_snapshot(file: &mut File, change: impl FnOnce(&mut Snapshot)) {
    file.first(SNAPSHOT).change(change);
}

fn change_transition(event: &mut Event, seq: u64) {
    if let Input::Transition { transition, .. } = &mut event.input
        && event.seq == Seq(seq)
    {
        *transition = crate::increment(2).into();
    }
}

fn flip(bytes: &mut Bytes) {
    let mut changed = bytes.to_vec();
    changed[0] ^= 1;
    *bytes = changed.into();
}

#[test]
fn what_is_right_in_every_hash_and_wrong_in_what_it_says_is_found() {
    let host = counter_host(&[]);
    let whole = export(&host);
    assert!(whole.0.len() > 30, "the export has enough sections for its reader to be far ahead of a finding");
    assert_eq!(whole.finding(), None);
    for (what, forge, says) in FORGERIES {
        let mut forged = whole.clone();
        forge(&mut forged);
        let finding = forged.finding().unwrap_or_else(|| panic!("{what}: it is not found"));
        assert!(finding.contains(says), "{what}: {finding}");
    }
}

#[test]
fn no_host_takes_in_a_forgery() {
    let host = counter_host(&[]);
    let whole = export(&host);
    let elsewhere = counter_host(&[]);
    for (what, forge, says) in [FORGERIES[0], FORGERIES[8], FORGERIES[14]] {
        let mut forged = whole.clone();
        forge(&mut forged);
        let answer = elsewhere.administer("POST", "/rooms/counter/lobby/import", &forged.write());
        assert_eq!((answer.status, answer.error().0.as_str()), (422, "unproven"), "{what}: {}", answer.text());
        assert!(answer.error().1.contains(says), "{what}: {}", answer.text());
        assert_eq!(http::get(&elsewhere.url("/rooms/counter/lobby")).status, 404, "{what}");
    }
    // An intact export is refused if its room exists, long before it is read.
    assert_eq!(elsewhere.submit("counter/lobby", "\"Reset\"").status, 200);
    let answer = elsewhere.administer("POST", "/rooms/counter/lobby/import", &whole.write());
    assert_eq!((answer.status, answer.error().0.as_str()), (409, "exists"), "{}", answer.text());
}

#[test]
fn a_trimmed_log_is_proved_from_where_it_begins() {
    let host = counter_host(&[]);
    succeeds(&host.command("retain", &["counter", "--trim", "--snapshot-events", "50"]));
    long_room(&host, "counter/short");
    let begins = reapply_testing::until_blocking("the log is trimmed", || {
        let report = succeeds(&host.command("verify", &["counter/short"]));
        let line = report.lines().find(|line| line.trim_start().starts_with("trimmed"));
        line.map(str::to_owned).ok_or(report)
    });
    assert!(begins.contains("earlier events are neither kept nor proved"), "{begins}");
    let exported = Exported::of(&host, "counter/short");
    succeeds(&host.command("verify", &[&exported.path()]));
    let file = File::read(&exported.bytes());
    let base = file.header().base.unwrap();
    let (before, at) = ((base.seq.0 - 1).to_string(), base.seq.0.to_string());
    let said = fails(&host.command("replay", &[&exported.path(), "--at", &before]));
    assert!(said.contains(&format!("its log begins at {at}; earlier events are no longer kept")), "{said}");
    let replayed = succeeds(&host.command("replay", &[&exported.path(), "--at", &at]));
    assert!(replayed.contains(&format!("\"seq\": {at}")), "{replayed}");

    // It can be imported and forked, and continues.
    let elsewhere = counter_host(&[]);
    for arguments in [vec![exported.path()], vec![exported.path(), "--as".to_owned(), "counter/copy".to_owned()]] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        succeeds(&elsewhere.command("import", &arguments));
    }
    succeeds(&elsewhere.command("fork", &["counter/short", "counter/fork"]));
    for room in ["counter/short", "counter/copy", "counter/fork"] {
        assert_eq!(elsewhere.room(room)["view"], host.room("counter/short")["view"], "{room}");
        assert_eq!(elsewhere.submit(room, "{\"Increment\":1}").status, 200);
        assert!(succeeds(&elsewhere.command("verify", &[room])).contains("trimmed"), "{room}");
    }
    let mut forged = file.clone();
    change_snapshot(&mut forged, |snapshot| snapshot.seq = Seq(snapshot.seq.0 + 1));
    assert!(forged.finding().unwrap().contains("it stands after event"), "a base at another place");
    let mut forged = file;
    forged.0.remove(forged.0.iter().position(|section| section.kind == SNAPSHOT).unwrap());
    let finding = forged.finding().unwrap();
    assert!(finding.contains("the snapshot that the log begins with is missing before it"), "{finding}");
    fs::remove_file(exported.file).unwrap();
}
