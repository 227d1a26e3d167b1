//! The trait that every engine implements.

use std::path::Path;

use futures_util::future::BoxFuture;
use reapply_sync::room::Note;
use reapply_sync::{Author, Digest, Name, RoomId, Seq, Snapshot, Timestamp};

use crate::{
    Appending, Component, Hold, JournalError, MachineRecord, NewRoom, OpeningBytes, Record, RejectionCount, Retention,
    RoomRecord, ScrubReport, SnapshotRecord,
};

/// The type of every journal's futures: boxed, so that the trait can be used as `Arc<dyn Journal>`.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, JournalError>>;

/// A durable store of logs, snapshots and components.
///
/// Besides the errors that a method names, any method may fail because the room is missing, the storage failed, or too much is waiting.
pub trait Journal: Send + Sync {
    /// Appends `record` to the room's log, if `record.expected` is its head. The same transaction stores the note after it, as
    /// [`Journal::set_note`] does.
    ///
    /// Never blocks, and enqueues before it returns: one room's records are stored in the order of the calls. Further
    /// records may be appended while earlier ones are under way; if one is not stored, none after it is. Dropping the answer
    /// does not take the record back.
    fn append(&self, room: &RoomId, record: Record, note: Note) -> Appending;

    /// Returns the room's records with events after `after`, in order: as many as fit in `bytes_max` bytes of bodies, but at least
    /// one if there is any. The first may begin at or before `after`, if `after` is not the end of a record.
    ///
    /// # Errors
    ///
    /// [`JournalError::Trimmed`] if the log begins after `after`.
    fn read(&self, room: &RoomId, after: Seq, bytes_max: usize) -> Answer<'_, Vec<Record>>;

    /// Returns a place at or after `after`, up to which no event after `after` is of one of these authors. The place is `after` itself if the journal
    /// cannot skip anything. The record after the place may have none of their events either, so a reader asks again from there.
    ///
    /// # Errors
    ///
    /// [`JournalError::Trimmed`] if the log begins after `after`.
    fn skip(&self, room: &RoomId, after: Seq, authors: &[Author]) -> Answer<'_, Seq>;

    /// Returns the build that the room ran after its event `seq`.
    ///
    /// # Errors
    ///
    /// [`JournalError::Trimmed`] if the log begins after `seq`.
    fn build_at(&self, room: &RoomId, seq: Seq) -> Answer<'_, Digest>;

    /// Removes the events up to `upto` from the room's log, and the snapshots before it. The chain continues from the snapshot at `upto`.
    /// Does nothing if the log already begins there.
    ///
    /// # Errors
    ///
    /// [`JournalError::SnapshotMissing`], or [`JournalError::NotTrimmable`], for example because the room is held; nothing is removed.
    fn trim(&self, room: &RoomId, upto: Seq) -> Answer<'_, ()>;

    /// Keeps the room's log from being trimmed until the [`Hold`] is dropped. When the hold is returned, no trim of the room is in progress, so
    /// a reader finds the whole log that the room's record describes.
    fn hold(&self, room: &RoomId) -> Answer<'_, Hold>;

    /// Begins a room's log. A staged room stores and returns records and snapshots, but it is neither found nor listed before it is
    /// published. A room that a crash leaves staged is removed when the journal is opened.
    ///
    /// # Errors
    ///
    /// [`JournalError::RoomExists`] or [`JournalError::RoomStaged`].
    fn create_room(&self, room: NewRoom) -> Answer<'_, ()>;

    /// Publishes a staged room. Does nothing if it is published already.
    ///
    /// # Errors
    ///
    /// [`JournalError::SnapshotMissing`] if the log does not begin with the first event, and there is no snapshot to begin with.
    fn publish(&self, room: &RoomId) -> Answer<'_, ()>;

    /// Removes a staged room.
    ///
    /// # Errors
    ///
    /// [`JournalError::NotStaged`]: a published room is never removed.
    fn discard(&self, room: &RoomId) -> Answer<'_, ()>;

    /// Returns the beginning and the end of a room's log; `None` if the room does not exist.
    fn room(&self, room: &RoomId) -> Answer<'_, Option<RoomRecord>>;

    /// Returns all rooms, or all of one machine, by name: at most `count_max` of those after `after`.
    fn rooms(&self, machine: Option<&Name>, after: Option<&RoomId>, count_max: usize) -> Answer<'_, Vec<RoomRecord>>;

    /// Returns the number of rooms of a machine for each build, in the order of the builds' digests.
    fn builds(&self, machine: &Name) -> Answer<'_, Vec<(Digest, u64)>>;

    /// Stores the causes for which a sleeping room is woken.
    fn set_note(&self, room: &RoomId, note: Note) -> Answer<'_, ()>;

    /// Returns the rooms whose alarms are due next, and the times: at most `count_max`, the earliest first.
    fn alarms(&self, count_max: usize) -> Answer<'_, Vec<(RoomId, Timestamp)>>;

    /// Returns the rooms that are noted as occupied, by name: at most `count_max` of those after `after`.
    fn occupied(&self, after: Option<&RoomId>, count_max: usize) -> Answer<'_, Vec<RoomId>>;

    /// Adds these counts to the room's counts of rejections, by author and kind. If a room has more counts than the journal keeps, those that have
    /// not changed for longest are dropped.
    fn count_rejections(&self, room: &RoomId, counts: Vec<RejectionCount>) -> Answer<'_, ()>;

    /// Returns the room's counts of rejections, by author and kind.
    fn rejections(&self, room: &RoomId) -> Answer<'_, Vec<RejectionCount>>;

    /// Stores a snapshot of durable events. An earlier one at the same seq has the same state, and stays.
    ///
    /// # Errors
    ///
    /// [`JournalError::SnapshotMismatch`] if the log does not have its seq with its chain and its build.
    fn put_snapshot(&self, room: &RoomId, snapshot: Snapshot) -> Answer<'_, ()>;

    /// Returns the room's newest snapshot, or its newest at or below `at_most`.
    fn snapshot(&self, room: &RoomId, at_most: Option<Seq>) -> Answer<'_, Option<Snapshot>>;

    /// Returns the list of the room's snapshots, in the order of their seqs.
    fn snapshots(&self, room: &RoomId) -> Answer<'_, Vec<SnapshotRecord>>;

    /// Returns the bytes that the room is opened from.
    fn opening_bytes(&self, room: &RoomId) -> Answer<'_, OpeningBytes>;

    /// Stores a build. An earlier one with the same digest is the same build, and stays.
    ///
    /// # Errors
    ///
    /// [`JournalError::ComponentMismatch`].
    fn put_component(&self, component: Component) -> Answer<'_, ()>;

    /// Returns the build with this digest, if it is stored.
    fn component(&self, digest: Digest) -> Answer<'_, Option<Component>>;

    /// Returns the digests of stored builds from `first` to `last`, inclusive: at most `count_max`, in order.
    fn digests(&self, first: Digest, last: Digest, count_max: usize) -> Answer<'_, Vec<Digest>>;

    /// Makes a stored build the machine's current one, for new rooms.
    ///
    /// # Errors
    ///
    /// [`JournalError::NoSuchComponent`].
    fn set_current(&self, machine: &Name, digest: Digest, time: Timestamp) -> Answer<'_, ()>;

    /// Sets the retention of a machine: the part of their past that its rooms keep.
    ///
    /// # Errors
    ///
    /// [`JournalError::NoSuchMachine`].
    fn set_retention(&self, machine: &Name, retention: Retention) -> Answer<'_, ()>;

    /// Returns the machines, by name.
    fn machines(&self) -> Answer<'_, Vec<MachineRecord>>;

    /// Returns the progress of proving the stored data, and the damage. With `again` another pass begins, unless one is running.
    ///
    /// A damaged room is quarantined: every read of it fails with [`JournalError::Damaged`], and other rooms continue.
    fn scrub(&self, again: bool) -> ScrubReport;

    /// Writes the whole journal, as it is at one moment, to a new file, which can be opened as a journal. Appends continue meanwhile.
    ///
    /// # Errors
    ///
    /// [`JournalError::BackupExists`] if the file exists already; it is not changed.
    fn backup(&self, to: &Path) -> Answer<'_, ()>;
}
