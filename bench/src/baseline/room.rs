//! The room of the baseline: it numbers transitions, has them stored, and tells everybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use reapply_sync::message::VERSION;
use reapply_sync::{
    Author, Capabilities, Chain, ClientId, Digest, Event, Input, LogId, Number, Seq, ServerMessage, SessionId, Start,
    Timestamp, Welcome,
};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::journal::Journal;

/// Maximum number of events in a batch, as in the host.
const BATCH_EVENTS_MAX: usize = 4_096;

/// Maximum number of transitions that wait for the room.
const WAITING_MAX: usize = 4_096;

/// Maximum number of frames that a session may be behind. A session that is further behind is an error of the benchmark.
const FRAMES_MAX: usize = 65_536;

/// A participant's transition.
pub(super) struct Submit {
    pub(super) client: ClientId,
    pub(super) number: Number,
    pub(super) transition: Bytes,
}

/// Events for everybody, encoded.
#[derive(Clone)]
pub(super) struct Frame {
    /// The seq of the last event.
    last: u64,
    pub(super) bytes: Bytes,
}

pub(super) struct Room {
    submits: mpsc::Sender<Submit>,
    frames: broadcast::Sender<Frame>,
    /// The last event that is stored.
    head: Arc<AtomicU64>,
}

impl Room {
    pub(super) fn start(journal: Journal) -> Self {
        let (submits, waiting) = mpsc::channel(WAITING_MAX);
        let (frames, _) = broadcast::channel(FRAMES_MAX);
        let head = Arc::new(AtomicU64::new(0));
        tokio::spawn(order(waiting, journal, frames.clone(), Arc::clone(&head)));
        Self { submits, frames, head }
    }

    /// Returns the seq of the last stored event.
    pub(super) fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    pub(super) async fn submit(&self, submit: Submit) {
        let _ending = self.submits.send(submit).await;
    }

    /// Returns a welcome to the present, whose state is empty, and the frames that follow.
    pub(super) fn join(&self) -> (Welcome, Frames) {
        let frames = self.frames.subscribe();
        let seq = Seq(self.head());
        let start =
            Start::Snapshot { seq, state_version: 1, time: Timestamp(0), chain: Chain([0; 32]), state: Bytes::new() };
        let welcome = Welcome {
            version: VERSION,
            capabilities: Capabilities::OURS,
            session: SessionId(0),
            participant: author(),
            log: LogId([0; 16]),
            digest: Digest([0; 32]),
            start,
            head: seq,
            decided: Number(0),
            taken: Number(0),
            rejected: Vec::new(),
            forgotten: None,
            time: Timestamp(0),
        };
        (welcome, Frames { frames, seen: seq.0 })
    }
}

/// The frames that a session has not received yet.
pub(super) struct Frames {
    frames: broadcast::Receiver<Frame>,
    seen: u64,
}

impl Frames {
    /// Waits for the next frame.
    ///
    /// # Errors
    ///
    /// Fails if the session is too far behind.
    pub(super) async fn next(&mut self) -> anyhow::Result<Frame> {
        loop {
            let frame = self.frames.recv().await?;
            if frame.last > self.seen {
                return Ok(frame);
            }
        }
    }

    /// Returns the next frame, if it is here.
    pub(super) fn try_next(&mut self) -> anyhow::Result<Option<Frame>> {
        match self.frames.try_recv() {
            Ok(frame) => Ok(Some(frame)),
            Err(broadcast::error::TryRecvError::Empty) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns an author as long as the host's.
fn author() -> Author {
    Author("anon-0123456789abcdef".into())
}

async fn order(
    mut waiting: mpsc::Receiver<Submit>,
    journal: Journal,
    frames: broadcast::Sender<Frame>,
    head: Arc<AtomicU64>,
) {
    let author = author();
    let mut submits = Vec::new();
    let mut last = 0;
    while waiting.recv_many(&mut submits, BATCH_EVENTS_MAX).await > 0 {
        let events = submits.drain(..).map(|Submit { client, number, transition }| {
            last += 1;
            // These are as long as the host's times and entropy.
            let (time, entropy) = (Timestamp(1 << 50), u64::MAX - last);
            Event {
                seq: Seq(last),
                time,
                entropy,
                input: Input::Transition { author: author.clone(), client, number, transition },
            }
        });
        let bytes = ServerMessage::Events(events.collect()).encode();
        let (stored, is_stored) = oneshot::channel();
        journal.append(bytes.clone(), stored);
        if is_stored.await.is_err() {
            return;
        }
        head.store(last, Ordering::Release);
        // There may be no sessions.
        let _nobody = frames.send(Frame { last, bytes });
    }
}
