//! Everything that the host has told its clients, for comparison with its stored data.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use reapply_sync::{ClientId, Event, Goodbye, Input, Number, Outcome, RoomId, Seq};

use crate::stored::Log;

/// The ledger that all clients write to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Pages>>);

/// The findings of an audit against the host. All of them must be empty.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Events that were acknowledged, and are missing or different.
    pub(crate) lost: Vec<String>,
    /// Transitions that are there more than once.
    pub(crate) doubled: Vec<String>,
    /// Other broken promises.
    pub(crate) broken: Vec<String>,
}

#[derive(Debug, Default)]
struct Pages {
    rooms: BTreeMap<RoomId, Page>,
    /// Errors that the clients themselves saw.
    complaints: Vec<String>,
    goodbyes: Vec<(RoomId, Goodbye)>,
}

/// The claims about one room.
#[derive(Debug, Default)]
struct Page {
    /// Every event that some client was told about, as its bytes.
    told: BTreeMap<Seq, Bytes>,
    /// The outcomes of its own transitions that a client was told.
    decided: HashMap<(ClientId, Number), Outcome>,
    /// The furthest head that a client was told.
    head: Seq,
}

impl Ledger {
    /// Records that a client was told about these events.
    pub(crate) fn told(&self, room: &RoomId, events: &[Event]) {
        let mut pages = self.lock();
        let mut complaints = Vec::new();
        let page = pages.rooms.entry(room.clone()).or_default();
        for event in events {
            let bytes = Bytes::from(postcard::to_allocvec(event).unwrap());
            let known = page.told.entry(event.seq).or_insert_with(|| bytes.clone());
            if *known != bytes {
                complaints.push(format!("{room}: event {} was told in two ways", event.seq));
            }
            page.head = page.head.max(event.seq);
        }
        pages.complaints.extend(complaints);
    }

    /// Records that a client was told where the log ends.
    pub(crate) fn head(&self, room: &RoomId, head: Seq) {
        let mut pages = self.lock();
        let page = pages.rooms.entry(room.clone()).or_default();
        page.head = page.head.max(head);
    }

    /// Records that a client was told the outcome of its transition.
    pub(crate) fn decided(&self, room: &RoomId, client: ClientId, number: Number, outcome: Outcome) {
        let mut pages = self.lock();
        let page = pages.rooms.entry(room.clone()).or_default();
        let before = page.decided.insert((client, number), outcome.clone());
        if let Some(before) = before {
            let complaint = format!("{room}: {number} of {client} was decided twice: {before:?}, and then {outcome:?}");
            pages.complaints.push(complaint);
        }
    }

    /// Records that a client's session was ended with a reason.
    pub(crate) fn goodbye(&self, room: &RoomId, goodbye: Goodbye) {
        self.lock().goodbyes.push((room.clone(), goodbye));
    }

    /// Records an error that a client saw.
    pub(crate) fn complain(&self, complaint: String) {
        self.lock().complaints.push(complaint);
    }

    /// Returns the reasons with which sessions were ended since the last call.
    pub(crate) fn take_goodbyes(&self) -> Vec<(RoomId, Goodbye)> {
        std::mem::take(&mut self.lock().goodbyes)
    }

    /// Returns the number of acknowledged events, that is, those told to anyone.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.lock().rooms.values().map(Page::acknowledged).sum()
    }

    /// Compares the logs that the host left with everything that it said.
    pub(crate) fn audit(&self, logs: &BTreeMap<RoomId, Log>) -> Findings {
        let pages = self.lock();
        let mut findings = Findings { broken: pages.complaints.clone(), ..Findings::default() };
        for (room, page) in &pages.rooms {
            match logs.get(room) {
                Some(log) => page.audit(room, log, &mut findings),
                None => findings.lost.push(format!("{room}: the whole room, at {}", page.head)),
            }
        }
        findings
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Page {
    // If sessions are told about every event, answers over HTTP add nothing; otherwise they add everything.
    fn acknowledged(&self) -> u64 {
        self.told.len().max(self.decided.len()) as u64
    }

    fn audit(&self, room: &RoomId, log: &Log, findings: &mut Findings) {
        for (seq, told) in self.told.iter().filter(|(seq, _)| !log.is_trimmed(**seq)) {
            match log.event(*seq) {
                Some((_, bytes)) if bytes == told => {}
                Some((event, _)) => findings.lost.push(format!("{room}: event {seq} is another now: {event:?}")),
                None => findings.lost.push(format!("{room}: event {seq}, beyond the head {}", log.head())),
            }
        }
        if log.head() < self.head {
            findings.lost.push(format!("{room}: the head was {} and is {}", self.head, log.head()));
        }
        let mut places: HashMap<(ClientId, Number), Seq> = HashMap::new();
        let mut last: HashMap<ClientId, Number> = HashMap::new();
        for (event, _) in log.events() {
            let Input::Transition { client, number, .. } = event.input else { continue };
            let first = *places.entry((client, number)).or_insert(event.seq);
            if first != event.seq {
                findings.doubled.push(format!("{room}: {number} of {client}, at {first} and at {}", event.seq));
            } else if last.insert(client, number).is_some_and(|last| last > number) {
                findings.broken.push(format!("{room}: {number} of {client} came after a later one of its"));
            }
        }
        for (own @ (client, number), outcome) in &self.decided {
            let place = places.get(own);
            match outcome {
                Outcome::Accepted { seq, .. } if place == Some(seq) || log.is_trimmed(*seq) => {}
                Outcome::Accepted { seq, .. } => {
                    findings
                        .lost
                        .push(format!("{room}: {number} of {client} was accepted at {seq}, and is at {place:?}"));
                }
                Outcome::Rejected(why) if place.is_some() => {
                    findings
                        .broken
                        .push(format!("{room}: {number} of {client} was rejected ({why}), and is at {place:?}"));
                }
                Outcome::Rejected(_) | Outcome::Decided | Outcome::Unknown => {}
            }
        }
    }
}

impl Findings {
    /// Asserts that there are no findings.
    ///
    /// # Panics
    ///
    /// There are findings.
    pub(crate) fn assert_none(&self, when: &str) {
        let Self { lost, doubled, broken } = self;
        let few = |found: &[String]| found.iter().take(5).map(|one| format!("\n    {one}")).collect::<String>();
        assert!(
            lost.is_empty() && doubled.is_empty() && broken.is_empty(),
            "{when}:\n  lost: {}{}\n  doubled: {}{}\n  broken otherwise: {}{}",
            lost.len(),
            few(lost),
            doubled.len(),
            few(doubled),
            broken.len(),
            few(broken)
        );
    }
}
