//! The one way to read a stored log: batch by batch, each proved against the chain.

use std::sync::Arc;

use reapply_sync::event::Damage;
use reapply_sync::{Batch, Chain, RoomId, Seq};

use reapply_journal::{Journal, JournalError, Record, RoomRecord};

/// A reader of a room's log from some place on. The chain proves that each batch is the one that was written after the batch before it.
#[derive(Clone)]
pub struct LogReader {
    journal: Arc<dyn Journal>,
    room: RoomId,
    after: Seq,
    chain: Chain,
    /// The last event that the caller wants.
    upto: Option<Seq>,
    /// Damage that was found behind intact batches. The next call returns it.
    found: Option<Damage>,
}

/// The reason why a log cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The stored log differs from the one that was written.
    #[error("the log of {room} is damaged: {damage}")]
    Damaged {
        /// The room.
        room: RoomId,
        /// The place and the kind of the damage.
        damage: Damage,
    },
}

impl LogReader {
    /// Returns a reader that begins after the event `after`, where the log has this chain.
    #[must_use]
    pub fn new(journal: &Arc<dyn Journal>, room: &RoomId, (after, chain): (Seq, Chain)) -> Self {
        Self { journal: Arc::clone(journal), room: room.clone(), after, chain, upto: None, found: None }
    }

    /// Returns a reader that begins where a batch ends: after the event `after`, or else at the nearest end of a batch before it.
    ///
    /// # Errors
    ///
    /// The journal fails, or the log begins after `after`.
    pub async fn near(journal: &Arc<dyn Journal>, room: &RoomRecord, after: Seq) -> Result<Self, LogError> {
        let (begins, mut place) = (room.start().0, after);
        while place > begins {
            // The batch that the event at `place` is in.
            match journal.read(&room.room, Seq(place.0 - 1), 1).await?.into_iter().next() {
                Some(record) if record.last == place => {
                    return Ok(Self::new(journal, &room.room, (place, record.chain)));
                }
                Some(record) => place = record.expected,
                None if place > room.head => place = room.head,
                None => break,
            }
        }
        Ok(Self::new(journal, &room.room, room.start()))
    }

    /// Ends the reading with the batch that holds the event `upto`. That batch may have later events too.
    #[must_use]
    pub fn upto(mut self, upto: Seq) -> Self {
        self.set_upto(upto);
        self
    }

    /// Sets a new end for a reader, as [`LogReader::upto`] does.
    pub fn set_upto(&mut self, upto: Seq) {
        self.upto = Some(upto);
    }

    /// Moves to the event `to`, or else to the nearest end of a batch before it. The batches that are skipped are neither read nor proved.
    ///
    /// # Errors
    ///
    /// The journal fails, or the log begins after `to`.
    pub async fn skip_to(&mut self, to: Seq) -> Result<(), LogError> {
        let room = self.journal.room(&self.room).await?;
        let room = room.ok_or_else(|| JournalError::NoSuchRoom(self.room.clone()))?;
        *self = Self { upto: self.upto, ..Self::near(&self.journal, &room, to).await? };
        Ok(())
    }

    /// Returns the room whose log this is.
    #[must_use]
    pub fn room(&self) -> &RoomId {
        &self.room
    }

    /// Returns the last event that was read, and the chain there.
    #[must_use]
    pub fn place(&self) -> (Seq, Chain) {
        (self.after, self.chain)
    }

    /// Reads the batches that follow: about `bytes_max` bytes of events, and at least one batch. Returns an empty list at the end.
    ///
    /// The work is in proportion to `bytes_max`, so read large portions on a thread that may block.
    ///
    /// # Errors
    ///
    /// The journal fails, or the next batch is damaged. Intact batches before the damage are returned first.
    pub async fn next(&mut self, bytes_max: usize) -> Result<Vec<Batch>, LogError> {
        if let Some(damage) = self.found.take() {
            return Err(self.damaged(damage));
        }
        let mut batches = Vec::new();
        if self.is_at_end() {
            return Ok(batches);
        }
        for record in self.journal.read(&self.room, self.after, bytes_max).await? {
            if self.is_at_end() {
                break;
            }
            match self.prove(&record) {
                Ok(batch) => batches.push(batch),
                Err(damage) if batches.is_empty() => return Err(self.damaged(damage)),
                Err(damage) => {
                    self.found = Some(damage);
                    break;
                }
            }
        }
        Ok(batches)
    }

    fn is_at_end(&self) -> bool {
        self.upto.is_some_and(|upto| self.after >= upto)
    }

    fn prove(&mut self, record: &Record) -> Result<Batch, Damage> {
        if record.expected != self.after {
            let what = format!("a record that follows event {} stands in its place", record.expected);
            return Err(Damage { seq: self.after.next(), what });
        }
        let batch = record.decode(self.chain)?;
        (self.after, self.chain) = (batch.last(), batch.chain);
        Ok(batch)
    }

    /// Returns the error, and keeps the damage, so that the next call fails as well.
    fn damaged(&mut self, damage: Damage) -> LogError {
        self.found = Some(damage.clone());
        LogError::Damaged { room: self.room.clone(), damage }
    }
}

#[cfg(test)]
mod tests {
    use reapply_sync::room::Note;

    use super::*;
    use reapply_journal::conformance::{Shared, room_with};
    use reapply_journal::{Appended, SqliteJournal};

    fn journal(directory: &tempfile::TempDir) -> Shared {
        Arc::new(SqliteJournal::open(directory.path()).unwrap().journal)
    }

    async fn rest(reader: &mut LogReader, bytes_max: usize) -> Result<Vec<u64>, LogError> {
        let mut ends = Vec::new();
        loop {
            let batches = reader.next(bytes_max).await?;
            if batches.is_empty() {
                return Ok(ends);
            }
            ends.extend(batches.iter().map(|batch| batch.last().0));
        }
    }

    #[tokio::test]
    async fn a_log_is_read_in_portions_of_any_size_to_its_end_or_another() {
        let directory = tempfile::tempdir().unwrap();
        let journal = journal(&directory);
        let log = room_with(&journal, "long", &[1, 3, 2, 5]).await;
        let start = (Seq(0), log.genesis.chain());
        for bytes_max in [1, 100, usize::MAX] {
            let mut reader = LogReader::new(&journal, log.room(), start);
            assert_eq!(rest(&mut reader, bytes_max).await, Ok(vec![1, 4, 6, 11]));
            assert_eq!(reader.place(), (log.head, log.chain));
            for (upto, ends) in [(0, vec![]), (1, vec![1]), (2, vec![1, 4]), (6, vec![1, 4, 6])] {
                let mut reader = LogReader::new(&journal, log.room(), start).upto(Seq(upto));
                assert_eq!(rest(&mut reader, bytes_max).await, Ok(ends), "up to {upto}");
            }
        }
    }

    #[tokio::test]
    async fn a_reader_begins_where_a_batch_ends() {
        let directory = tempfile::tempdir().unwrap();
        let journal = journal(&directory);
        let log = room_with(&journal, "near", &[1, 3, 2]).await;
        let room = journal.room(log.room()).await.unwrap().unwrap();
        for (after, place) in [(0, 0), (1, 1), (2, 1), (3, 1), (4, 4), (5, 4), (6, 6), (9, 6)] {
            let mut reader = LogReader::near(&journal, &room, Seq(after)).await.unwrap();
            assert_eq!(reader.place().0, Seq(place), "after {after}");
            let ends: Vec<u64> = [1, 4, 6].into_iter().filter(|end| *end > place).collect();
            assert_eq!(rest(&mut reader, usize::MAX).await, Ok(ends));
        }
    }

    #[tokio::test]
    async fn what_is_whole_is_read_and_damage_is_told_wherever_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let journal = journal(&directory);
        let mut log = room_with(&journal, "damaged", &[2, 2]).await;
        let bad = Record { chain: Chain([9; 32]), ..log.next(1) };
        assert_eq!(journal.append(log.room(), bad, Note::default()).await, Appended::Committed);
        let mut reader = LogReader::new(&journal, log.room(), (Seq(0), log.genesis.chain()));
        assert_eq!(reader.next(usize::MAX).await.unwrap().len(), 2);
        for _ in 0..2 {
            let error = reader.next(usize::MAX).await.unwrap_err();
            assert!(error.to_string().starts_with("the log of counter/damaged is damaged: event 5:"), "{error}");
        }
        assert_eq!(reader.place().0, Seq(4));

        let mut elsewhere = LogReader::new(&journal, log.room(), (Seq(0), Chain([1; 32])));
        assert!(matches!(elsewhere.next(usize::MAX).await, Err(LogError::Damaged { .. })));
    }
}
