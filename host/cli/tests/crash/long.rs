//! Long rooms of each building block: appended to, and inserted into at one place. They are killed, proved, upgraded, and looked at in the middle.
//!
//! A room must open again however long it is, and whatever the way in which it grew.

use std::path::Path;
use std::time::Instant;

use blocks::Block;
use blocks::growth::{Growth, Side};
use reapply_sync::{Input, ServerMessage};
use reapply_testing::{Host, Session, component, http, other_build};
use serde_json::Value;

use crate::proof::Prover;
use crate::{ARGUMENTS, PROGRAM};

/// The default number of entries.
const ENTRIES: u32 = 1_500;

/// The number of transitions that are outstanding at once.
const AT_ONCE: u32 = 1_000;

/// The number of entries that are added after each change of the host.
const MORE: u32 = 50;

/// The key of the one client.
const KEY: u8 = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_room_of_any_block_is_opened_proved_and_upgraded() {
    let entries = std::env::var("REAPPLY_LONG_ENTRIES").map_or(ENTRIES, |entries| entries.parse().unwrap());
    let mut host = Host::start_program(Path::new(PROGRAM), &ARGUMENTS);
    let old = host.deploy("blocks");
    let mut rooms = Growth::ALL.map(Room::new);
    for room in &mut rooms {
        room.create(&host);
        room.grow(&host, entries).await;
    }
    host.kill_9();
    host.restart();
    let prover = Prover::new();
    for room in &mut rooms {
        room.check(&host, &old);
        room.grow(&host, MORE).await;
        prover.prove_room(&host, &room.name());
    }

    let new = deploy_other_build(&host);
    let upgraded = host.command("upgrade", &["blocks"]);
    assert!(upgraded.status.success(), "{}", String::from_utf8_lossy(&upgraded.stderr));
    for room in &mut rooms {
        room.check(&host, &new);
        room.check_middle(&host, &old);
        room.grow(&host, MORE).await;
    }
    host.kill_9();
    host.restart();
    for room in &rooms {
        room.check(&host, &new);
        room.check_middle(&host, &old);
        prover.prove_room(&host, &room.name());
    }
}

/// Deploys the machine as if it had been built again, and returns the digest.
fn deploy_other_build(host: &Host) -> String {
    let first = std::fs::read(component(Path::new(PROGRAM), "blocks")).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), other_build(&first, 0)).unwrap();
    host.deploy_file("blocks", file.path())
}

/// A room that grows, and what is known about it.
struct Room {
    growth: Growth,
    entries: u32,
    /// An event in the middle, with the number of entries after it.
    middle: (u64, u32),
}

impl Room {
    fn new(growth: Growth) -> Self {
        Self { growth, entries: 0, middle: (0, 0) }
    }

    fn name(&self) -> String {
        let at = match self.growth.at {
            Side::End => "end",
            Side::AfterFirst => "after-first",
        };
        format!("blocks/{}-{at}", format!("{:?}", self.growth.of).to_lowercase())
    }

    fn create(&self, host: &Host) {
        let created = http::put(&host.url(&format!("/rooms/{}", self.name())), self.growth.options().as_bytes());
        assert_eq!(created.status, 201, "{}: {}", self.name(), created.text());
    }

    /// Adds entries, and returns once all of them are accepted.
    async fn grow(&mut self, host: &Host, more: u32) {
        let began = Instant::now();
        let mut session = Session::join(host, &self.name(), KEY).await;
        let upto = self.entries + more;
        while self.entries < upto {
            let numbers = self.entries..upto.min(self.entries + AT_ONCE);
            let last = numbers.end;
            let transitions = numbers.map(|number| postcard::to_allocvec(&self.growth.transition(number)).unwrap());
            session.submit_all(u64::from(self.entries) + 1, transitions).await;
            while self.entries < last {
                self.hear(session.next().await, upto / 2);
            }
        }
        println!("{}: {more} entries added, {} ms", self.name(), began.elapsed().as_millis());
    }

    /// Counts the entries that a message confirms. The first event after which there are `middle` entries is the one in the middle.
    fn hear(&mut self, message: Option<ServerMessage>, middle: u32) {
        let events = match message {
            Some(ServerMessage::Events(events)) => events,
            Some(ServerMessage::Rejected { .. } | ServerMessage::Goodbye(_)) | None => {
                panic!("{}: after {} entries came {message:?}", self.name(), self.entries)
            }
            Some(_) => return,
        };
        for event in events {
            // A newcomer also gets the last of the events from before.
            if let Input::Transition { number, .. } = event.input
                && number.0 > u64::from(self.entries)
            {
                self.entries += 1;
                assert_eq!(number.0, u64::from(self.entries), "{}", self.name());
                if self.entries == middle && self.middle == (0, 0) {
                    self.middle = (event.seq.0, middle);
                }
            }
        }
    }

    /// Checks that the room runs this build, and has all of its entries in order.
    fn check(&self, host: &Host, digest: &str) {
        self.check_answer(&host.room(&self.name()), self.entries, digest);
    }

    /// Checks that the room in the middle of its past ran this build, and had its entries in order.
    fn check_middle(&self, host: &Host, digest: &str) {
        let (seq, entries) = self.middle;
        self.check_answer(&host.room(&format!("{}?seq={seq}", self.name())), entries, digest);
    }

    fn check_answer(&self, answer: &Value, entries: u32, digest: &str) {
        assert_eq!(answer["digest"], digest, "{}", self.name());
        let order = self.growth.order(entries);
        let keys = self.growth.order(entries).map(|number| self.growth.key(number));
        let view = &answer["view"];
        let is_right = match self.growth.of {
            Block::Text => {
                let text: String = order.map(Growth::letter).collect();
                view["text"]["text"] == text
            }
            Block::List => order.eq(numbers(&view["list"], "item")),
            Block::Board => order.eq(numbers(&view["board"][0]["items"], "item")),
            Block::Map => keys.eq(keys_of(&view["map"])),
            Block::Set => keys.eq(view["set"].as_array().into_iter().flatten().map(number)),
            Block::AtomRc => false,
        };
        assert!(is_right, "{}: the view does not have {entries} entries in order", self.name());
    }
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|number| number.try_into().ok()).unwrap_or_else(|| panic!("{value} is not a number"))
}

/// Returns a field of each of a view's entries.
fn numbers<'a>(entries: &'a Value, field: &'a str) -> impl Iterator<Item = u32> + 'a {
    entries.as_array().into_iter().flatten().map(move |entry| number(&entry[field]))
}

/// Returns the keys of a map's view, in their order as numbers. In JSON they are texts.
fn keys_of(map: &Value) -> impl Iterator<Item = u32> {
    let keys = map.as_object().into_iter().flatten().map(|(key, _)| key.parse().unwrap());
    let mut keys: Vec<u32> = keys.collect();
    keys.sort_unstable();
    keys.into_iter()
}
