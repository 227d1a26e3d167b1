//! Data directories of any size, written through the journal itself: a host that made them by requests would take hours.
//!
//! All rooms have the same events and the same state, and each has a log of its own: its genesis names the room, and the chain begins there. So
//! every record, link and snapshot is what a host would have stored, and is proved like any other.

use std::path::Path;

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use reapply_journal::{Appended, BatchId, Journal, NewRoom, Record, SqliteJournal};
use reapply_machine::{Engine, check};
use reapply_sync::room::Note;
use reapply_sync::{
    ClientId, Digest, Event, Genesis, Input, KnownClient, Machine, Number, RoomId, Seq, Snapshot, Timestamp,
};

/// The machine of all rooms.
pub(crate) const MACHINE: &str = "cells";

/// The number of events of one record: as many as a host stores at once under load.
const RECORD_EVENTS: usize = 4_096;

/// The number of rooms that are written at the same time, so that they share commits.
const ROOMS_AT_ONCE: usize = 64;

/// The number of cells that the events set in turn.
const CELLS: u64 = 1_000;

/// A time for all events, long past.
const TIME: Timestamp = Timestamp(1_700_000_000_000_000);

/// The common content of all rooms of a data directory.
struct Content {
    digest: Digest,
    client: ClientId,
    /// The events of each record, encoded.
    records: Vec<Vec<Bytes>>,
    state_version: u32,
    state: Bytes,
}

/// Returns the address of a room in such a directory.
pub(crate) fn room(number: usize) -> String {
    format!("{MACHINE}/stored-{number}")
}

/// Writes rooms into a data directory to which [`MACHINE`] was deployed. Each has about this many bytes of events, and a snapshot after the last
/// one.
pub(crate) async fn write_rooms(data: &Path, rooms: usize, room_bytes: usize) -> anyhow::Result<()> {
    let journal = SqliteJournal::open(data)?.journal;
    let machines = journal.machines().await?;
    let machine =
        machines.iter().find(|machine| machine.name.to_string() == MACHINE).context("the machine is not deployed")?;
    let component = journal.component(machine.digest).await?.context("the machine's component is missing")?;
    let content = &Content::new(&component.bytes, room_bytes)?;
    let journal = &journal;
    let written =
        futures_util::stream::iter(0..rooms).map(|number| async move { content.write(journal, number).await });
    written.buffer_unordered(ROOMS_AT_ONCE).try_collect::<()>().await
}

impl Content {
    fn new(component: &[u8], bytes: usize) -> anyhow::Result<Self> {
        let build = check(&Engine::new(None)?, component)?.build;
        let mut machine = build.instantiate()?;
        let mut state = machine.create("")?;
        let client = ClientId::keyless(7);
        let (mut seq, mut written, mut records) = (Seq(0), 0, Vec::new());
        while written < bytes {
            let mut record = Vec::new();
            while record.len() < RECORD_EVENTS && written < bytes {
                seq = seq.next();
                let event = event(client, seq)?;
                state = machine.reapply(&state, &event)?;
                let encoded = Bytes::from(postcard::to_allocvec(&event)?);
                written += encoded.len();
                record.push(encoded);
            }
            records.push(record);
        }
        let (digest, state_version) = (build.digest(), machine.state_version());
        Ok(Self { digest, client, records, state_version, state: machine.snapshot(&state)? })
    }

    async fn write(&self, journal: &SqliteJournal, number: usize) -> anyhow::Result<()> {
        let id: RoomId = room(number).parse()?;
        let genesis =
            Genesis { room: id.clone(), digest: self.digest, options: String::new(), time: TIME, nonce: number as u64 };
        let (mut seq, mut chain) = (Seq(0), genesis.chain());
        journal.create_room(NewRoom::of(genesis)).await?;
        for encoded in &self.records {
            let expected = seq;
            seq = Seq(expected.0 + encoded.len() as u64);
            chain = encoded.iter().fold(chain, |chain, event| chain.after(event));
            let body = encoded.concat().into();
            let record = Record { id: BatchId(seq.0), expected, last: seq, time: TIME, upgrade: None, body, chain };
            let appended = journal.append(&id, record, Note::default()).await;
            ensure!(appended == Appended::Committed, "the record of {id} at {expected} was not stored: {appended:?}");
        }
        let last = KnownClient { client: self.client, known_from: Number(1), number: Number(seq.0), seq, time: TIME };
        let snapshot = Snapshot {
            seq,
            digest: self.digest,
            state_version: self.state_version,
            time: TIME,
            chain,
            clients: vec![last],
            forgotten: None,
            present: Vec::new(),
            state: self.state.clone(),
        };
        Ok(journal.put_snapshot(&id, snapshot).await?)
    }
}

fn event(client: ClientId, seq: Seq) -> anyhow::Result<Event> {
    let set = cells::Transition::Set { id: u32::try_from(seq.0 % CELLS)?, value: seq.0 };
    let (author, transition) = (client.anonymous_author(), postcard::to_allocvec(&set)?.into());
    let input = Input::Transition { author, client, number: Number(seq.0), transition };
    Ok(Event { seq, time: TIME, entropy: seq.0, input })
}
