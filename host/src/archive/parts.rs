//! An export's content in order, each part proved as far as that takes no machine: the sections, the chain, and the
//! clients and participants in snapshots.

use std::io::Read;

use bytes::Bytes;
use reapply_sync::{Batch, Chain, Digest, Input, LogId, RoomId, Seq, Snapshot, Timestamp};

use super::finding::Finding;
use super::follow::ClientRoster;
use super::format::Kind;
use super::limits::{RECORDS_EVENTS_MAX, RECORDS_SECTION_BYTES_MAX};
use super::part::{Counts, End, Header, StoredComponent};
use super::read::{ReadError, Reader, Section};

/// A part of an export.
#[derive(Debug)]
pub enum Part {
    /// The identity of the log. The first part.
    Header(Box<Header>),
    /// A component: its bytes have this digest.
    Component(Digest, Bytes),
    /// A snapshot, right after the event of its state, which is unproved.
    Snapshot(Box<Snapshot>),
    /// Records that follow each other and the chain.
    Records(Vec<Batch>),
    /// The last part: the log leads to the end that the header names.
    End(Counts, u64),
}

/// A reader of an export, part by part. It returns nothing more after an error.
pub struct Parts<R> {
    reader: Reader<R>,
    /// The log so far, after the header was read.
    log: Option<Log>,
    counts: Counts,
    ended: bool,
}

/// The end of a log so far.
struct Log {
    header: Header,
    after: Seq,
    chain: Chain,
    time: Timestamp,
    digest: Digest,
    id: LogId,
    room: RoomId,
    followed: ClientRoster,
    /// Whether a trimmed log's first snapshot has been read.
    is_based: bool,
}

impl<R: Read> Parts<R> {
    /// Reads an export's beginning.
    ///
    /// # Errors
    ///
    /// The file is not an export.
    pub fn new(from: R) -> Result<Self, ReadError> {
        Ok(Self { reader: Reader::new(from)?, log: None, counts: Counts::default(), ended: false })
    }

    fn next_part(&mut self) -> Result<Option<Part>, Finding> {
        let Some(section) = self.reader.next_section()? else { return Ok(None) };
        match (section.kind, &mut self.log) {
            (Kind::Header, None) => {
                let header: Header = section.decode()?;
                self.log = Some(Log::new(header.clone())?);
                Ok(Some(Part::Header(Box::new(header))))
            }
            (Kind::Component, Some(_)) => {
                self.counts.components += 1;
                let StoredComponent { digest, bytes } = section.decode()?;
                if Digest::of(&bytes) != digest {
                    let why = "its bytes have another digest".to_owned();
                    return Err(Finding::Component { digest, why });
                }
                Ok(Some(Part::Component(digest, bytes)))
            }
            (Kind::Snapshot, Some(log)) => {
                self.counts.snapshots += 1;
                let snapshot: Snapshot = section.decode()?;
                log.snapshot(&snapshot).map_err(|why| Finding::Snapshot { seq: section.span.last, why })?;
                Ok(Some(Part::Snapshot(Box::new(snapshot))))
            }
            (Kind::Records, Some(log)) => {
                let bodies = bodies(&section)?;
                self.counts.records += bodies.len() as u64;
                let batches = log.records(&section, bodies)?;
                self.counts.events += batches.iter().map(|batch| batch.events.len() as u64).sum::<u64>();
                Ok(Some(Part::Records(batches)))
            }
            (Kind::End, Some(log)) => {
                let End { counts, .. } = section.decode()?;
                if counts != self.counts {
                    let what = format!("it counts {counts:?}, and before it are {:?}", self.counts);
                    return Err(section.damaged(what).into());
                }
                log.end()?;
                // Anything after the end is damage as well.
                self.reader.next_section()?;
                Ok(Some(Part::End(counts, self.reader.offset())))
            }
            _ => Err(section.damaged(format!("a section of this kind ({}) is not allowed here", section.kind)).into()),
        }
    }
}

/// Returns the records of a section, at most as many as it has events: the decoded form is many times as large.
fn bodies(section: &Section) -> Result<Vec<Bytes>, Finding> {
    let events = section.span.last.0.saturating_sub(section.span.first.0).saturating_add(1);
    let count = postcard::take_from_bytes::<u64>(&section.content).map_or(0, |(count, _)| count);
    if section.content.len() > RECORDS_SECTION_BYTES_MAX || events > RECORDS_EVENTS_MAX || count > events {
        let bytes = section.content.len();
        let what = format!(
            "it has {bytes} bytes for {count} records with {events} events; \
             the limits are {RECORDS_SECTION_BYTES_MAX} bytes, {RECORDS_EVENTS_MAX} events, and a record for each event"
        );
        return Err(section.damaged(what).into());
    }
    Ok(section.decode()?)
}

impl<R: Read> Iterator for Parts<R> {
    type Item = Result<Part, Finding>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let part = self.next_part().transpose();
        self.ended = !matches!(&part, Some(Ok(part)) if !matches!(part, Part::End(..)));
        part
    }
}

impl Log {
    fn new(header: Header) -> Result<Self, Finding> {
        let (after, chain) = header.start();
        let Header { genesis, base, .. } = &header;
        let (time, digest) = base.as_ref().map_or((genesis.time, genesis.digest), |base| (base.time, base.digest));
        // If the log's beginning was trimmed, the earlier name of the room is unknown.
        let (id, room) = match base {
            None => (genesis.log_id(), genesis.room.clone()),
            Some(_) => (header.log, header.room.clone()),
        };
        let is_based = base.is_none();
        if after > header.head {
            let why = format!("it begins after event {after}, beyond its last event, {}", header.head);
            return Err(Finding::Header { why });
        }
        Ok(Self { header, after, chain, time, digest, id, room, followed: ClientRoster::default(), is_based })
    }

    fn records(&mut self, section: &Section, bodies: Vec<Bytes>) -> Result<Vec<Batch>, Finding> {
        if !self.is_based {
            return Err(section.damaged("the snapshot that the log begins with is missing before it").into());
        }
        let batches = bodies.into_iter().map(|body| self.record(body)).collect::<Result<Vec<_>, _>>()?;
        if section.span.last != self.after || batches.is_empty() {
            let what = format!("its events end at {}, and it says {}", self.after, section.span.last);
            return Err(section.damaged(what).into());
        }
        Ok(batches)
    }

    fn record(&mut self, body: Bytes) -> Result<Batch, Finding> {
        let opened = Batch::open(self.after, self.chain, body);
        let batch = opened.map_err(|damage| Finding::Record { after: self.after, damage })?;
        for (index, event) in batch.events.iter().enumerate() {
            if event.time < self.time {
                let why = "its time is before that of the event before it".to_owned();
                return Err(Finding::Event { seq: event.seq, why });
            }
            self.time = event.time;
            match &event.input {
                Input::Forked { room, .. } => {
                    let chain =
                        batch.encoded.iter().take(index + 1).fold(self.chain, |chain, event| chain.after(event));
                    (self.id, self.room) = (chain.log_id(), room.clone());
                }
                Input::Upgraded(_) if batch.events.len() > 1 => {
                    let why = "it is an upgrade, and not alone in its record".to_owned();
                    return Err(Finding::Event { seq: event.seq, why });
                }
                Input::Upgraded(digest) => self.digest = *digest,
                _ => {}
            }
            self.followed.handle_event(event);
        }
        (self.after, self.chain) = (batch.last(), batch.chain);
        Ok(batch)
    }

    fn snapshot(&mut self, snapshot: &Snapshot) -> Result<(), String> {
        let place = (snapshot.seq, snapshot.chain, snapshot.time, snapshot.digest);
        if snapshot.seq != self.after {
            return Err(format!("it stands after event {}", self.after));
        }
        if place != (self.after, self.chain, self.time, self.digest) {
            return Err("its chain, its time or its build is not the log's there".to_owned());
        }
        if self.is_based {
            return self.followed.check(snapshot);
        }
        self.followed = ClientRoster::from_snapshot(snapshot);
        self.is_based = true;
        Ok(())
    }

    fn end(&self) -> Result<(), Finding> {
        let Header { head, time, chain, digest, log, room, .. } = &self.header;
        let wrong = |why: String| Err(Finding::Header { why });
        if self.after != *head {
            return wrong(format!("it says that the last event is {head}, and its records end at {}", self.after));
        }
        if self.chain != *chain || self.time != *time {
            return wrong(format!("the chain or the time after event {head} is not what it says"));
        }
        if self.digest != *digest {
            return wrong(format!("it says that the room runs {digest}, and the log leads to {}", self.digest));
        }
        if self.id != *log || self.room != *room {
            return wrong(format!(
                "it says that this is the log {log} of {room}, and the log is {} of {}",
                self.id, self.room
            ));
        }
        Ok(())
    }
}
