//! A room that is being created from another log. It is neither found nor listed before it is complete. If it is abandoned, nothing of it stays.

use std::collections::{BTreeSet, VecDeque};

use reapply_journal::crash;
use reapply_journal::{Appended, Appending, BatchId, Journal, JournalError, NewRoom, Record};
use reapply_sync::room::Note;
use reapply_sync::{Author, Batch, Chain, Input, RoomId, Seq, Snapshot, Timestamp};
use tokio::runtime::Handle;

use crate::clock;

/// The maximum number of records that the journal is storing at once. They are enough to share commits, and few enough not to slow other rooms.
const APPENDS_WAITING_MAX: usize = 16;

/// A staged room that is being filled. Its methods block. If it is dropped before it is published, the room is removed.
pub(super) struct Staging<'a> {
    journal: &'a dyn Journal,
    runtime: &'a Handle,
    room: RoomId,
    appending: VecDeque<Appending>,
    /// The end of the log so far.
    chain: Chain,
    /// The participants who are present at the end of the log so far.
    present: BTreeSet<Author>,
    is_published: bool,
}

impl<'a> Staging<'a> {
    /// Creates the staged room.
    pub(super) fn begin(journal: &'a dyn Journal, runtime: &'a Handle, room: NewRoom) -> Result<Self, JournalError> {
        let (id, chain) = (room.room.clone(), room.start().1);
        runtime.block_on(journal.create_room(NewRoom { staged: true, ..room }))?;
        Ok(Self {
            journal,
            runtime,
            room: id,
            appending: VecDeque::new(),
            chain,
            present: BTreeSet::new(),
            is_published: false,
        })
    }

    /// Adds the next batch of the log. Any other batch is refused, since the host would not start again on such a log.
    pub(super) fn batch(&mut self, batch: &Batch) -> Result<(), JournalError> {
        self.chain = batch.encoded.iter().fold(self.chain, |chain, event| chain.after(event));
        if self.chain != batch.chain {
            return Err(JournalError::Damaged(format!(
                "{}: the hash chain does not match at {}",
                self.room,
                batch.last()
            )));
        }
        if self.appending.len() >= APPENDS_WAITING_MAX {
            self.await_one()?;
        }
        batch.events.iter().for_each(|event| self.note_presence(&event.input));
        let record = Record::new(BatchId(rand::random()), batch);
        self.appending.push_back(self.journal.append(&self.room, record, Note::default()));
        Ok(())
    }

    /// Adds a snapshot of the batches so far.
    pub(super) fn snapshot(&mut self, snapshot: &Snapshot) -> Result<(), JournalError> {
        self.settle()?;
        self.present = snapshot.present.iter().cloned().collect();
        self.runtime.block_on(self.journal.put_snapshot(&self.room, snapshot.clone()))
    }

    /// Publishes the room, so that it is like any other. `alarm` is the time when its alarm is due.
    pub(super) fn publish(mut self, alarm: Option<Timestamp>) -> Result<(), JournalError> {
        self.settle()?;
        crash::point("staged-not-published");
        // Participants who are present in a copied log have no sessions here, so they will leave.
        let note = Note { alarm, is_occupied: !self.present.is_empty() };
        self.runtime.block_on(self.journal.set_note(&self.room, note))?;
        self.runtime.block_on(self.journal.publish(&self.room))?;
        self.is_published = true;
        Ok(())
    }

    fn note_presence(&mut self, input: &Input) {
        match input {
            Input::Joined(author) => drop(self.present.insert(author.clone())),
            Input::Left(author) => drop(self.present.remove(author)),
            _ => {}
        }
    }

    /// Waits until all batches so far are durable.
    fn settle(&mut self) -> Result<(), JournalError> {
        while !self.appending.is_empty() {
            self.await_one()?;
        }
        Ok(())
    }

    fn await_one(&mut self) -> Result<(), JournalError> {
        let Some(appending) = self.appending.pop_front() else { return Ok(()) };
        match self.runtime.block_on(appending) {
            Appended::Committed => Ok(()),
            Appended::Failed(error) => Err(error),
            Appended::Conflict { head } => {
                Err(JournalError::Storage(format!("another writer has written to {}, up to event {head}", self.room)))
            }
            Appended::Unknown => {
                Err(JournalError::Storage(format!("it is unknown whether a record of {} is stored", self.room)))
            }
        }
    }
}

/// Returns the batch with which a log continues as the log of `room`, after its head.
pub(super) fn forked(room: &RoomId, head: Seq, chain: Chain, time: Timestamp) -> Batch {
    let input = Input::Forked { room: room.clone(), nonce: rand::random() };
    Batch::of_one(head, chain, time.max(clock::now()), input)
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if self.is_published {
            return;
        }
        self.appending.clear();
        if let Err(error) = self.runtime.block_on(self.journal.discard(&self.room)) {
            tracing::warn!(room = %self.room, %error, "an abandoned room could not be removed; it stays until the next start");
        }
    }
}
