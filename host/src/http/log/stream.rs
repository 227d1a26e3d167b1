//! Reads a log part by part, so that it takes the same memory however long the log is.

use bytes::Bytes;
use reapply_sync::{Batch, Digest, Event, Input, RoomId, Seq};

use super::line::{self, Stretch};
use super::query::Query;
use crate::clock;
use crate::http::error::HttpError;
use crate::http::limits::LOG_READ_BYTES;
use crate::journal::Record;
use crate::machine::{Machines, MachinesError};

/// A place in a log, and what is wanted of what follows.
pub(super) struct LogReader {
    machines: Machines,
    room: RoomId,
    query: Query,
    /// The last event that was read.
    after: Seq,
    /// The build that runs after that event.
    digest: Digest,
    /// How many events are still wanted.
    left: u64,
    /// Whether nothing that is wanted can follow.
    is_over: bool,
}

/// What a log has next.
pub(super) enum Next {
    /// These lines.
    Lines(Bytes),
    /// Nothing yet: the reader stands at the log's end.
    CaughtUp,
    /// Nothing ever that is wanted.
    Over,
}

impl LogReader {
    /// A reader that stands at `after`, where the room runs `digest`.
    pub(super) fn new(machines: Machines, room: RoomId, query: Query, after: Seq, digest: Digest) -> Self {
        let left = query.limit.unwrap_or(u64::MAX);
        Self { machines, room, query, after, digest, left, is_over: false }
    }

    /// The last event that was read.
    pub(super) fn after(&self) -> Seq {
        self.after
    }

    /// Reads on until there is something that is wanted.
    pub(super) async fn next(&mut self) -> Result<Next, HttpError> {
        while self.left > 0 && !self.is_over {
            let records = self.machines.journal().read(&self.room, self.after, LOG_READ_BYTES).await?;
            if records.is_empty() {
                // What is yet to come has the times that are yet to come.
                self.is_over = self.query.filter.is_over(clock::now());
                return Ok(if self.is_over { Next::Over } else { Next::CaughtUp });
            }
            let mut wanted = Wanted::default();
            for record in &records {
                self.take(record, &mut wanted)?;
                if self.is_over {
                    break;
                }
            }
            if let Some(lines) = self.render(wanted).await? {
                return Ok(Next::Lines(lines));
            }
        }
        Ok(Next::Over)
    }

    fn take(&mut self, record: &Record, wanted: &mut Wanted) -> Result<(), HttpError> {
        if self.query.filter.begins_after(record.time) {
            (self.after, self.digest) = (record.last, record.upgrade.unwrap_or(self.digest));
            return Ok(());
        }
        let events = Batch::read(record.expected, &record.body);
        let events =
            events.map_err(|damage| HttpError::host_fault(format!("the log of {} is damaged: {damage}", self.room)))?;
        let after = self.after;
        for event in events.into_iter().filter(|event| event.seq > after) {
            if self.query.filter.is_over(event.time) {
                self.is_over = true;
                break;
            }
            self.after = event.seq;
            if let Input::Upgraded(digest) = event.input {
                self.digest = digest;
            }
            if self.query.filter.admits(&event) {
                wanted.push(self.digest, event);
            }
        }
        Ok(())
    }

    async fn render(&mut self, wanted: Wanted) -> Result<Option<Bytes>, HttpError> {
        if wanted.0.is_empty() {
            return Ok(None);
        }
        let mut stretches = Vec::new();
        for (digest, events) in wanted.0 {
            let build = self.machines.build(digest).await?.ok_or(MachinesError::NotStored(digest))?;
            stretches.push(Stretch { build, events });
        }
        let (filter, format, left) = (self.query.filter.clone(), self.query.format, self.left);
        let rendered = tokio::task::spawn_blocking(move || line::render(stretches, &filter, format, left)).await;
        let (lines, count) = rendered.map_err(|error| HttpError::host_fault(error.to_string()))?;
        self.left = self.left.saturating_sub(count);
        Ok((count > 0).then_some(lines))
    }
}

/// Events to show, by the build that decodes them.
#[derive(Default)]
struct Wanted(Vec<(Digest, Vec<Event>)>);

impl Wanted {
    fn push(&mut self, digest: Digest, event: Event) {
        match self.0.last_mut() {
            Some((last, events)) if *last == digest => events.push(event),
            _ => self.0.push((digest, vec![event])),
        }
    }
}
