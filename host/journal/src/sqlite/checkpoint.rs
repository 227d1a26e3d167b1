//! Moves the content of the write-ahead log into the database file, while commits continue.
//!
//! The log can restart at its beginning only when all of it was moved, and under steady load it grows during the move. So most
//! of the work is done on a thread of its own while commits continue. The writer moves the small rest between two commits.
//!
//! A reader that began before the last move keeps the log from restarting, and on a busy host there is always such a reader. So when the log
//! exceeds a bound, reads are paused for a moment. Each read is short, and the waiting ones continue when the log was moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode};

use super::readers::Queue;
use super::wal::CHECKPOINT_FRAMES;
use crate::crash;

/// The number of frames after which reads are paused, so that the log can restart: 32 MiB.
pub(super) const LOG_FRAMES_MAX: u64 = 4 * CHECKPOINT_FRAMES;

/// The maximum time that the writer waits for running reads. Then it gives up, and the log may grow by as much again.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// The writer's side of the checkpoints: it decides when one is due, and does the last step.
pub(super) struct Checkpoints {
    /// The number of frames in the log after the last commit, as reported by SQLite.
    frames: Arc<AtomicU64>,
    /// The same number after the commit before.
    frames_before: u64,
    /// The number of frames at which the next checkpoint begins.
    due_frames: u64,
    /// The number of frames at which reads are paused next.
    pause_frames: u64,
    /// The readers that may have to pause.
    readers: Arc<Queue>,
    /// Whether the thread has finished its part of a move, so that the writer may do the rest.
    moved: Arc<AtomicBool>,
    begin: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Starts the thread, with the connection `own`. Replaces SQLite's own checkpoints, for which commits would wait.
    pub(super) fn start(writer: &mut Connection, own: Connection, readers: Arc<Queue>) -> rusqlite::Result<Self> {
        let frames = Arc::new(AtomicU64::new(0));
        let moved = Arc::new(AtomicBool::new(false));
        let counted = frames.clone();
        let hook = move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            counted.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        };
        writer.wal_hook(Some(hook))?;
        let (begin, begun) = sync_channel(1);
        let thread_moved = moved.clone();
        let thread = thread::Builder::new()
            .name("journal-checkpoint".to_owned())
            .spawn(move || move_log(&own, &begun, &thread_moved))
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(Self {
            frames,
            frames_before: 0,
            due_frames: CHECKPOINT_FRAMES,
            pause_frames: LOG_FRAMES_MAX,
            readers,
            moved,
            begin: Some(begin),
            thread: Some(thread),
        })
    }

    /// Moves the log, or begins to, if that is due. The writer calls this between two commits.
    pub(super) fn handle_commit(&mut self, writer: &Connection) {
        let frames = self.frames.load(Ordering::Relaxed);
        if frames < self.frames_before {
            // The log has restarted.
            (self.due_frames, self.pause_frames) = (CHECKPOINT_FRAMES, LOG_FRAMES_MAX);
        }
        self.frames_before = frames;
        if frames >= self.pause_frames {
            // Once all of the log is moved and no read is running, the next commit restarts it.
            let paused = self.readers.pause(PAUSE_MAX);
            let is_moved = paused.is_some() && move_once(writer);
            self.pause_frames = frames + if is_moved { CHECKPOINT_FRAMES } else { LOG_FRAMES_MAX };
        } else if self.moved.swap(false, Ordering::Acquire) {
            crash::point("log-half-moved");
            move_once(writer);
        } else if frames >= self.due_frames {
            // If this move fails, or a reader prevents the restart, the next attempt follows after as many frames again.
            self.due_frames = frames + CHECKPOINT_FRAMES;
            if let Some(begin) = &self.begin {
                // A full channel has a checkpoint waiting already.
                let _ = begin.try_send(());
            }
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.begin = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn move_log(own: &Connection, begun: &Receiver<()>, moved: &AtomicBool) {
    while begun.recv().is_ok() {
        if move_once(own) {
            moved.store(true, Ordering::Release);
        }
    }
}

/// Moves as much of the log as possible without waiting. The rest stays in the log, where it is just as durable. Returns whether all of it was moved:
/// frames that were added after a running read began cannot be.
fn move_once(connection: &Connection) -> bool {
    match connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE) {
        Ok((frames, moved)) => moved >= frames,
        // The writer and its thread may move the log at the same time. Then one of them does it for both.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => false,
        Err(error) => {
            let file = connection.path().unwrap_or_default();
            tracing::warn!(file, %error, "the journal's log could not be moved into its database; it grows meanwhile");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn a_log_that_a_reader_holds_back_is_not_taken_for_moved() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("journal.db");
        let (writer, reader) = (schema::open_writer(&file).unwrap(), schema::open_reader(&file).unwrap());
        let write = || writer.execute("UPDATE totals SET rows = rows + 1", []).unwrap();
        write();
        assert!(move_once(&writer));
        let reading = reader.unchecked_transaction().unwrap();
        reader.query_row("SELECT count(*) FROM totals", [], |_| Ok(())).unwrap();
        write();
        assert!(!move_once(&writer));
        drop(reading);
        assert!(move_once(&writer));
    }
}
