//! What happens at some moment of a run, and what waits for the room.

use std::sync::Arc;

use bytes::Bytes;
use reapply_client_core::ConnectionId;
use reapply_sync::room::{Asker, SubmitOnce};
use reapply_sync::{Digest, Snapshot};

/// An action of the simulation at some moment.
pub(super) enum Task {
    Up { connection: usize, frame: Bytes },
    Down { connection: usize, frame: Bytes },
    UpClosed { connection: usize },
    DownClosed { connection: usize },
    Appended { host: u64, stored: Stored },
    TrySnapshot { host: u64, snapshot: Arc<Snapshot> },
    SnapshotStored { epoch: usize, snapshot: Arc<Snapshot> },
    Read { host: u64, connection: usize },
    Timer { host: u64 },
    WakeForAlarm { host: u64 },
    Restart,
    Act { tab: usize },
    Connect { page: usize, connection: ConnectionId },
    MachineLoaded { page: usize, digest: Digest },
    Load { tab: usize, page: Option<usize> },
    Answer { page: usize },
    Written { browser: usize },
    StoreOpens { page: usize },
    PageTimer { page: usize },
    Pump { page: usize },
    Mischief,
    ClockStep,
    RestoreBackup,
    Stranger,
    SubmitOnce,
    Look,
    Signal { tab: usize },
}

/// Input that waits for the room, which takes in no more than its limits allow.
pub(super) enum Waiting {
    Frame { connection: usize, frame: Bytes },
    Closed { connection: usize },
    Once { askers: Vec<Asker>, submit: SubmitOnce },
    Upgrade { number: u8 },
}

/// The result of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Yes,
    No,
    /// The result is unknown: the batch may have been stored.
    Unknown {
        is_stored: bool,
    },
}
