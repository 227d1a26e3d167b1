//! Reads a log part by part, so that it takes the same memory however long the log is.

use bytes::Bytes;
use reapply_sync::event::Damage;
use reapply_sync::{Batch, Digest, Event, Input, RoomId, Seq};

use super::line::{self, Stretch};
use super::query::{Filter, Query};
use crate::background;
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

    /// Reads on until there is something that is wanted. Each portion takes a slot, and none is gone through on the threads that serve
    /// sockets.
    pub(super) async fn next(&mut self) -> Result<Next, HttpError> {
        while self.left > 0 && !self.is_over {
            let _slot = background::slot().await;
            let records = self.machines.journal().read(&self.room, self.after, LOG_READ_BYTES).await?;
            if records.is_empty() {
                // What is yet to come has the times that are yet to come.
                self.is_over = self.query.filter.is_over(clock::now());
                return Ok(if self.is_over { Next::Over } else { Next::CaughtUp });
            }
            if let Some(lines) = self.go_through(records).await? {
                return Ok(Next::Lines(lines));
            }
        }
        Ok(Next::Over)
    }

    /// Goes on to the end of these records. Answers the lines of those events that are wanted, if any is.
    async fn go_through(&mut self, records: Vec<Record>) -> Result<Option<Bytes>, HttpError> {
        let mut stretch =
            Stretches { after: self.after, digest: self.digest, is_over: false, wanted: Wanted::default() };
        let filter = self.query.filter.clone();
        let sought = tokio::task::spawn_blocking(move || {
            for record in &records {
                stretch.take(record, &filter)?;
                if stretch.is_over {
                    break;
                }
            }
            Ok(stretch)
        });
        let sought = sought.await.map_err(|error| HttpError::host_fault(error.to_string()))?;
        let Stretches { after, digest, is_over, wanted } = sought.map_err(|damage: Damage| {
            HttpError::host_fault(format!("the log of {} is damaged: {damage}", self.room))
        })?;
        (self.after, self.digest, self.is_over) = (after, digest, is_over);
        self.render(wanted).await
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

/// What records hold of what is wanted, as far as they were gone through.
struct Stretches {
    after: Seq,
    digest: Digest,
    is_over: bool,
    wanted: Wanted,
}

impl Stretches {
    fn take(&mut self, record: &Record, filter: &Filter) -> Result<(), Damage> {
        if filter.begins_after(record.time) {
            (self.after, self.digest) = (record.last, record.upgrade.unwrap_or(self.digest));
            return Ok(());
        }
        let after = self.after;
        for event in Batch::read(record.expected, &record.body)?.into_iter().filter(|event| event.seq > after) {
            if filter.is_over(event.time) {
                self.is_over = true;
                break;
            }
            self.after = event.seq;
            if let Input::Upgraded(digest) = event.input {
                self.digest = digest;
            }
            if filter.admits(&event) {
                self.wanted.push(self.digest, event);
            }
        }
        Ok(())
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
