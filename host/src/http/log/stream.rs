//! Reads a log part by part, so that it takes the same memory however long the log is.

use bytes::Bytes;
use reapply_sync::{Batch, Digest, Event, Input, Seq};
use tokio::runtime::Handle;

use super::line::{self, Stretch};
use super::query::{Filter, Query};
use crate::background;
use crate::clock;
use crate::http::error::HttpError;
use crate::http::limits::LOG_READ_BYTES;
use crate::log::{LogError, LogReader, Logs};
use crate::machines::MachinesError;

/// The lines of a log that are wanted.
pub(super) struct LogLines {
    logs: Logs,
    reader: LogReader,
    query: Query,
    /// The last event that was read.
    after: Seq,
    /// The build that runs after that event.
    digest: Digest,
    /// The number of events that are still wanted.
    left: u64,
    /// Whether no later event can match the query.
    is_over: bool,
}

/// The next part of a log.
pub(super) enum Next {
    /// These lines.
    Lines(Bytes),
    /// Nothing yet: the reader is at the log's end.
    CaughtUp,
    /// No later event can match the query.
    Over,
}

impl LogLines {
    /// Returns the lines of the events after `after`, where the room runs `digest`. The reader stands there, or shortly before.
    pub(super) fn new(logs: Logs, reader: LogReader, query: Query, after: Seq, digest: Digest) -> Self {
        let left = query.limit.unwrap_or(u64::MAX);
        Self { logs, reader, query, after, digest, left, is_over: false }
    }

    /// Returns the last event that was read.
    pub(super) fn after(&self) -> Seq {
        self.after
    }

    /// Reads until there is a matching event. Each portion takes a slot, and is not processed on the threads that serve
    /// sockets.
    pub(super) async fn next(&mut self) -> Result<Next, HttpError> {
        while self.left > 0 && !self.is_over {
            let _slot = background::slot().await;
            let Some(wanted) = self.read().await? else {
                // What is yet to come has the times that are yet to come.
                self.is_over = self.query.filter.is_over(clock::now());
                return Ok(if self.is_over { Next::Over } else { Next::CaughtUp });
            };
            if let Some(lines) = self.render(wanted).await? {
                return Ok(Next::Lines(lines));
            }
        }
        Ok(Next::Over)
    }

    /// Reads the next portion, and returns what is wanted of it; nothing at the log's end.
    async fn read(&mut self) -> Result<Option<Wanted>, HttpError> {
        let (mut reader, filter, runtime) = (self.reader.clone(), self.query.filter.clone(), Handle::current());
        let mut search = Search { after: self.after, digest: self.digest, is_over: false, wanted: Wanted::default() };
        let searched = tokio::task::spawn_blocking(move || {
            let batches = runtime.block_on(reader.next(LOG_READ_BYTES))?;
            let is_at_end = batches.is_empty();
            for batch in batches {
                search.take(batch, &filter);
                if search.is_over {
                    break;
                }
            }
            Ok((reader, search, is_at_end))
        });
        let searched = searched.await.map_err(|error| HttpError::host_fault(error.to_string()))?;
        let (reader, search, is_at_end) = searched.map_err(|error| match error {
            LogError::Journal(error) => error.into(),
            LogError::Damaged { .. } => HttpError::host_fault(error.to_string()),
        })?;
        self.reader = reader;
        (self.after, self.digest, self.is_over) = (search.after, search.digest, search.is_over);
        Ok((!is_at_end).then_some(search.wanted))
    }

    async fn render(&mut self, wanted: Wanted) -> Result<Option<Bytes>, HttpError> {
        if wanted.0.is_empty() {
            return Ok(None);
        }
        let mut stretches = Vec::new();
        for (digest, events) in wanted.0 {
            let build = self.logs.machines.build(digest).await?.ok_or(MachinesError::NotStored(digest))?;
            stretches.push(Stretch { build, events });
        }
        let (filter, format, left) = (self.query.filter.clone(), self.query.format, self.left);
        let rendered = tokio::task::spawn_blocking(move || line::render(stretches, &filter, format, left)).await;
        let (lines, count) = rendered.map_err(|error| HttpError::host_fault(error.to_string()))?;
        self.left = self.left.saturating_sub(count);
        Ok((count > 0).then_some(lines))
    }
}

/// A search through batches.
struct Search {
    after: Seq,
    digest: Digest,
    is_over: bool,
    wanted: Wanted,
}

impl Search {
    fn take(&mut self, batch: Batch, filter: &Filter) {
        let after = self.after;
        for event in batch.events.into_iter().filter(|event| event.seq > after) {
            if filter.is_over(event.time) {
                self.is_over = true;
                return;
            }
            self.after = event.seq;
            if let Input::Upgraded(digest) = event.input {
                self.digest = digest;
            }
            if filter.admits(&event) {
                self.wanted.push(self.digest, event);
            }
        }
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
