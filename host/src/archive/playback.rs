//! Moves through an export event by event, to look at its states.

use std::collections::VecDeque;
use std::io::Read;

use reapply_machine::Engine;
use reapply_sync::{CodecError, Event, Machine, Seq, Timestamp};

use super::builds::{ExportBuilds, ExportReplay};
use super::finding::Finding;
use super::part::Header;
use super::parts::{Part, Parts};

/// A place in an export, and the state there.
pub struct Playback<R> {
    parts: Parts<R>,
    builds: ExportBuilds,
    header: Header,
    replay: ExportReplay,
    /// The events that were read and not applied.
    events: VecDeque<Event>,
    is_at_end: bool,
}

impl<R: Read> Playback<R> {
    /// Opens an export, before its first event.
    ///
    /// # Errors
    ///
    /// The file is not an export, or its first state cannot be built.
    pub fn open(from: R, engine: &Engine) -> Result<Self, Finding> {
        let (mut parts, mut builds) = (Parts::new(from)?, ExportBuilds::new(engine));
        let header = match next(&mut parts)? {
            Part::Header(header) => *header,
            _ => return Err(Finding::Header { why: "there is none".to_owned() }),
        };
        // The source of the first state comes next: a component, and a snapshot if the log's beginning was trimmed.
        let (replay, first) = loop {
            match next(&mut parts)? {
                Part::Component(digest, bytes) => drop(builds.add(digest, &bytes)?),
                Part::Snapshot(snapshot) if header.base.is_some() => {
                    break (ExportReplay::from_snapshot(builds.source(), &snapshot)?, None);
                }
                part => break (ExportReplay::from_genesis(builds.source(), &header.genesis)?, Some(part)),
            }
        };
        let mut playback = Self { parts, builds, header, replay, events: VecDeque::new(), is_at_end: false };
        first.map_or(Ok(()), |part| playback.take(part))?;
        Ok(playback)
    }

    /// Returns the identity of the log.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the next event; `None` at the head.
    ///
    /// # Errors
    ///
    /// The export is damaged there.
    pub fn peek(&mut self) -> Result<Option<&Event>, Finding> {
        while self.events.is_empty() && !self.is_at_end {
            let part = next(&mut self.parts)?;
            self.take(part)?;
        }
        Ok(self.events.front())
    }

    /// Applies the next event, and returns it; `None` at the head.
    ///
    /// # Errors
    ///
    /// The export is damaged there, or the event does not have the same result as before.
    pub fn step(&mut self) -> Result<Option<Event>, Finding> {
        self.peek()?;
        let Some(event) = self.events.pop_front() else { return Ok(None) };
        self.replay.apply(&event)?;
        Ok(Some(event))
    }

    /// Returns the last event in the current state, and its time.
    #[must_use]
    pub fn place(&self) -> (Seq, Timestamp) {
        (self.replay.seq(), self.replay.time())
    }

    /// Returns the current build.
    #[must_use]
    pub fn digest(&self) -> reapply_sync::Digest {
        self.replay.digest()
    }

    /// Returns the view of the current state, as JSON.
    ///
    /// # Errors
    ///
    /// The machine faults.
    pub fn view(&mut self) -> Result<String, Finding> {
        let seq = self.replay.seq();
        let (machine, state) = self.replay.state();
        let viewed = machine.view(state);
        viewed.map_err(|fault| Finding::Event { seq, why: format!("the state after it cannot be shown: {fault}") })
    }

    /// Returns a transition as JSON, by the current build; `None` if the build refuses it.
    ///
    /// # Errors
    ///
    /// The machine faults.
    pub fn decode(&mut self, transition: &[u8]) -> Result<Option<String>, Finding> {
        let seq = self.replay.seq();
        match self.replay.state().0.decode(transition) {
            Ok(json) => Ok(Some(json)),
            Err(CodecError::Refused(_)) => Ok(None),
            Err(CodecError::Fault(fault)) => {
                Err(Finding::Event { seq, why: format!("a transition cannot be shown: {fault}") })
            }
        }
    }

    fn take(&mut self, part: Part) -> Result<(), Finding> {
        match part {
            Part::Header(_) | Part::Snapshot(_) => {}
            Part::Component(digest, bytes) => drop(self.builds.add(digest, &bytes)?),
            Part::Records(batches) => self.events.extend(batches.into_iter().flat_map(|batch| batch.events)),
            Part::End(..) => self.is_at_end = true,
        }
        Ok(())
    }
}

fn next<R: Read>(parts: &mut Parts<R>) -> Result<Part, Finding> {
    match parts.next() {
        Some(part) => part,
        None => Err(Finding::Header { why: "nothing follows it".to_owned() }),
    }
}
