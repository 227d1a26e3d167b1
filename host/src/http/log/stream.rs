//! Reads a log part by part, so that it takes the same memory however long the log is.

use bytes::Bytes;
use reapply_machine::Lane;
use reapply_sync::{Batch, Digest, Event, Input, Seq};
use tokio::runtime::Handle;

use super::line::{BuildEvents, Rendering};
use super::query::{Filter, Query};
use crate::background;
use crate::clock;
use crate::http::error::HttpError;
use crate::http::limits::{AUTHOR_READ_BYTES, LOG_READ_BYTES};
use crate::log::{LogError, LogReader, Logs};
use crate::machines::MachinesError;

/// The lines of a log that match a query.
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
    /// The number of portions that were read.
    #[cfg(test)]
    portions: usize,
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
    /// Returns the lines of the events after `after`, where the room runs `digest`. The reader is at `after`, or shortly before it.
    pub(super) fn new(logs: Logs, reader: LogReader, query: Query, after: Seq, digest: Digest) -> Self {
        let left = query.limit.unwrap_or(u64::MAX);
        Self {
            logs,
            reader,
            query,
            after,
            digest,
            left,
            is_over: false,
            #[cfg(test)]
            portions: 0,
        }
    }

    /// Returns the last event that was read.
    pub(super) fn after(&self) -> Seq {
        self.after
    }

    /// Reads until there is a matching event. Each portion takes a slot, and is not processed on the threads that serve
    /// sockets.
    pub(super) async fn next(&mut self) -> Result<Next, HttpError> {
        while self.left > 0 && !self.is_over {
            let Some(wanted) = self.search().await? else {
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

    /// Searches the next portion, and returns what is wanted of it; nothing at the log's end.
    async fn search(&mut self) -> Result<Option<EventsByBuild>, HttpError> {
        let _slot = background::slot().await;
        self.skip().await?;
        self.read().await
    }

    /// Moves on to where the next event of one of the wanted authors may be.
    async fn skip(&mut self) -> Result<(), HttpError> {
        let authors = self.query.filter.authors();
        if authors.is_empty() {
            return Ok(());
        }
        let journal = &self.logs.journal;
        let to = journal.skip(self.reader.room(), self.after, authors).await?;
        if to > self.after {
            self.digest = journal.build_at(self.reader.room(), to).await?;
            self.reader.skip_to(to).await.map_err(failed)?;
            self.after = to;
        }
        Ok(())
    }

    /// Reads the next portion, and returns its matching events; `None` at the log's end.
    async fn read(&mut self) -> Result<Option<EventsByBuild>, HttpError> {
        let (mut reader, filter, runtime) = (self.reader.clone(), self.query.filter.clone(), Handle::current());
        let mut search =
            Search { after: self.after, digest: self.digest, is_over: false, wanted: EventsByBuild::default() };
        #[cfg(test)]
        {
            self.portions += 1;
        }
        // Between the events of an author there may be much to skip.
        let bytes_max = if filter.authors().is_empty() { LOG_READ_BYTES } else { AUTHOR_READ_BYTES };
        let searched = tokio::task::spawn_blocking(move || {
            let batches = runtime.block_on(reader.next(bytes_max))?;
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
        let (reader, search, is_at_end) = searched.map_err(failed)?;
        self.reader = reader;
        (self.after, self.digest, self.is_over) = (search.after, search.digest, search.is_over);
        Ok((!is_at_end).then_some(search.wanted))
    }

    async fn render(&mut self, wanted: EventsByBuild) -> Result<Option<Bytes>, HttpError> {
        if wanted.0.is_empty() {
            return Ok(None);
        }
        let mut stretches = Vec::new();
        for (digest, events) in wanted.0 {
            let build = self.logs.machines.build(digest).await?.ok_or(MachinesError::NotStored(digest))?;
            stretches.push(BuildEvents { build, events });
        }
        let (filter, format) = (self.query.filter.clone(), self.query.format);
        let Some(mut rendering) = Rendering::new(stretches, filter, format, self.left) else { return Ok(None) };
        let mut has_more = true;
        while has_more {
            let _slot = background::slot().await;
            let go_on = move || (rendering.go_on(), rendering);
            let rendered = self.logs.machines.pool().try_run(Lane::Aside, go_on).await;
            (has_more, rendering) = rendered.map_err(|panic| HttpError::host_fault(panic.to_string()))?;
        }
        let (lines, count) = rendering.finish();
        self.left = self.left.saturating_sub(count);
        Ok((count > 0).then_some(lines))
    }
}

fn failed(error: LogError) -> HttpError {
    match error {
        LogError::Journal(error) => error.into(),
        LogError::Damaged { .. } => HttpError::host_fault(error.to_string()),
    }
}

/// A search through batches.
struct Search {
    after: Seq,
    digest: Digest,
    is_over: bool,
    wanted: EventsByBuild,
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

/// Matching events, by the build that decodes them.
#[derive(Default)]
struct EventsByBuild(Vec<(Digest, Vec<Event>)>);

impl EventsByBuild {
    fn push(&mut self, digest: Digest, event: Event) {
        match self.0.last_mut() {
            Some((last, events)) if *last == digest => events.push(event),
            _ => self.0.push((digest, vec![event])),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reapply_sync::room::Note;

    use super::*;
    use reapply_journal::conformance::{LogWriter, Shared};
    use reapply_journal::{Appended, NewRoom, SqliteJournal};
    use reapply_machine::Engine;

    /// The number of events of the log: 64 whole segments of the index of authors, and a part of one.
    const EVENTS: u64 = 64 * 1_024 + 100;

    /// Reads the events of an author to the end, of which the query matches none. Returns the number of portions.
    async fn portions(journal: &Shared, log: &LogWriter, author: &str) -> usize {
        let query: Vec<_> =
            [("author", author), ("kind", "joined")].map(|(name, value)| (name.into(), value.into())).into();
        let query = Query::parse(&query).unwrap_or_else(|_| panic!("the query is one"));
        let logs = Logs::new(Engine::new(None).unwrap(), Arc::clone(journal));
        let reader = LogReader::new(journal, log.room(), (Seq(0), log.genesis.chain()));
        let mut lines = LogLines::new(logs, reader, query, Seq(0), log.genesis.digest);
        assert!(matches!(lines.next().await, Ok(Next::CaughtUp)));
        assert_eq!((lines.after(), lines.digest), (log.head, log.digest));
        lines.portions
    }

    #[tokio::test]
    async fn only_the_parts_of_a_log_that_an_author_wrote_in_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let journal: Shared = Arc::new(SqliteJournal::open(directory.path()).unwrap().journal);
        let mut log = LogWriter::new("counter", "lobby");
        journal.create_room(NewRoom::of(log.genesis.clone())).await.unwrap();
        while log.head.0 < EVENTS {
            // A build that begins in a part that is skipped runs after it.
            let record = if log.head.0 == 50_000 {
                log.upgrade(Digest::of(b"another build"))
            } else {
                let seqs = log.head.0 + 1..=EVENTS.min(log.head.0 + 500);
                log.next_by(seqs.map(|seq| if seq == 30_000 { "bob" } else { "ann" }))
            };
            let room = log.room().clone();
            assert_eq!(journal.append(&room, record, Note::default()).await, Appended::Committed);
        }
        let all = portions(&journal, &log, "ann").await;
        assert!(all > 40, "{all} portions are no long log");
        // The end of the log, and that nothing follows.
        assert!(portions(&journal, &log, "nobody").await <= 2);
        assert!(portions(&journal, &log, "bob").await <= 5);
    }
}
