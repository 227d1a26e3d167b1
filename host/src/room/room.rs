//! The handle to a room that is awake: sessions and requests hold it, and send commands through it.

use std::sync::Arc;

use bytes::Bytes;
use reapply_machine::Instance;
use reapply_sync::room::{Entered, SubmitOnce, Verdict};
use reapply_sync::{Author, Digest, Fault, Goodbye, Hello, History, Number, Rejection, Seq, SessionId};
use tokio::sync::{mpsc, oneshot, watch};

use super::command::{Command, Gone, Ordered, Outbox, Upgrade};
use super::error::UpgradeRoomError;
use super::submits::{Full, Submits};
use super::tally::Tally;
use super::view::View;
use crate::clock;

/// A room that is awake. Cheap to clone. Once the room has gone to sleep, every call returns [`Gone`]: enter the room again.
///
/// A session is begun with [`Room::enter`]. It reads the log with [`Entered::reader`] from [`Room::history`] whenever [`Room::news`] changes, gets
/// other messages through its [`Outbox`], and must be ended with [`Room::leave`].
#[derive(Clone, Debug)]
pub struct Room {
    /// The queue of commands that are decided in order.
    pub(super) submits: Submits,
    /// The queue of commands that do not wait behind those.
    pub(super) controls: mpsc::Sender<Command>,
    pub(super) history: Arc<History>,
    pub(super) news: watch::Receiver<News>,
    pub(super) tally: Arc<Tally>,
}

/// The state of a room that its sessions watch.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// The last durable event. Sessions that have not read up to it read on.
    pub head: Seq,
    /// The number of participants who are present.
    pub participants: usize,
    /// Grows with each change of `presence`.
    pub presence_version: u64,
    /// The encoded `Presence` message.
    pub presence: Bytes,
}

impl Room {
    /// Begins a session. Messages for it alone are sent to `outbox`.
    ///
    /// # Errors
    ///
    /// The room is gone, or (in the inner result) does not admit the session.
    pub async fn enter(
        &self,
        hello: Hello,
        participant: Author,
        outbox: Outbox,
    ) -> Result<Result<Entered, Goodbye>, Gone> {
        self.ask(|reply| Command::Enter { hello: Box::new(hello), participant, outbox, reply }).await
    }

    /// Welcomes a session again, at the request of its replica. Returns `None` if the session belongs to another client.
    ///
    /// # Errors
    ///
    /// The room, or the session, is gone.
    pub async fn resync(&self, session: SessionId, hello: Hello) -> Result<Option<Entered>, Gone> {
        self.ask(|reply| Command::Resync { session, hello: Box::new(hello), reply }).await
    }

    /// Submits transitions of a session, in the order of their numbers. Waits while the room's queue is full, but not for the decisions: an event is
    /// read from the history, and a rejection is sent to the session's outbox.
    ///
    /// # Errors
    ///
    /// The room is gone.
    pub async fn submit(&self, session: SessionId, transitions: Vec<(Number, Bytes)>) -> Result<(), Gone> {
        let bytes = transitions.iter().map(|(_, transition)| transition.len()).sum();
        let count = transitions.len();
        self.submits.send(count, bytes, |space| Ordered::Transitions { session, transitions, space }).await
    }

    /// Passes an ephemeral message to the other sessions. A session whose outbox is full misses it.
    ///
    /// # Errors
    ///
    /// The room is gone.
    pub async fn signal(&self, session: SessionId, body: Bytes) -> Result<(), Gone> {
        self.tell(Command::Signal { session, body }).await
    }

    /// Reports that a replica's state after the event `seq` had another hash than the room's. `ours` is the replica's hash, if it could make one.
    ///
    /// # Errors
    ///
    /// The room is gone.
    pub async fn diverged(&self, session: SessionId, seq: Seq, ours: Option<Digest>) -> Result<(), Gone> {
        self.tell(Command::Diverged { session, seq, ours }).await
    }

    /// Reports that a replica has followed the upgrade at this seq.
    ///
    /// # Errors
    ///
    /// The room is gone.
    pub async fn followed(&self, session: SessionId, upgrade: Seq) -> Result<(), Gone> {
        self.tell(Command::Followed { session, upgrade }).await
    }

    /// Switches the room to another build, and waits until that is durable or refused.
    pub(super) async fn upgrade(
        &self,
        instance: Instance,
        digest: Digest,
    ) -> Result<Result<Seq, UpgradeRoomError>, Gone> {
        self.ask(|reply| Command::Upgrade(Box::new(Upgrade { instance, digest, reply }))).await
    }

    /// Ends a session once its commands are handled. `handed` is the number of transitions that it has [submitted](Room::submit), and of its calls of
    /// [`Room::followed`] and [`Room::resync`]. Never fails, since a room that is gone has no sessions.
    pub async fn leave(&self, session: SessionId, handed: u64) {
        let _gone = self.tell(Command::Leave { session, handed }).await;
    }

    /// Submits one transition without a session, and waits for the verdict. Does not wait for space: if the room's queue is full, the verdict is
    /// [`Verdict::Busy`].
    ///
    /// # Errors
    ///
    /// The room is gone; nothing was submitted, or it was not stored.
    pub async fn submit_once(&self, submit: SubmitOnce) -> Result<Verdict, Gone> {
        self.submit_once_if_readable(submit, None).await
    }

    /// Does the same for a transition that the machine may be unable to encode, for the reason `unreadable`. Then the verdict is that rejection, unless
    /// the client's number was decided before.
    pub(super) async fn submit_once_if_readable(
        &self,
        submit: SubmitOnce,
        unreadable: Option<Rejection>,
    ) -> Result<Verdict, Gone> {
        let unreadable = unreadable.map(Box::new);
        let (reply, verdict) = oneshot::channel();
        let bytes = submit.transition.len();
        let command = |space| Ordered::Command(Command::SubmitOnce { submit, unreadable, space, reply });
        match self.submits.try_send(1, bytes, command)? {
            Ok(()) => verdict.await.map_err(|_| Gone),
            Err(Full) => Ok(Verdict::Busy),
        }
    }

    /// Returns the view of the last durable state.
    ///
    /// # Errors
    ///
    /// The room is gone, or (in the inner result) the machine faulted.
    pub async fn view(&self) -> Result<Result<View, Fault>, Gone> {
        self.ask(|reply| Command::View { reply }).await
    }

    /// Counts a rejection that was decided outside of the room. `kind` is its kind, as [`Rejection::kind`](reapply_sync::Rejection::kind) returns it.
    pub fn count_rejection(&self, author: &Author, kind: &str) {
        self.tally.count(author, kind, clock::now());
    }

    /// Makes the alarm go off if it is due, and waits until the outcome is stored.
    pub(super) async fn ring(&self) -> Result<(), Gone> {
        self.ask(|reply| Command::Ring { reply }).await
    }

    /// Passes the counts of all rejections so far to the journal, and waits until they are stored.
    pub(super) async fn tell_tally(&self) -> Result<(), Gone> {
        self.ask(|reply| Command::TellTally { reply }).await
    }

    /// Returns the history that sessions read.
    #[must_use]
    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// Returns a watch that changes when there is more to read.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<News> {
        self.news.clone()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.controls.is_closed()
    }

    pub(super) async fn tell(&self, command: Command) -> Result<(), Gone> {
        match command.is_submit() {
            true => self.submits.send_small(Ordered::Command(command)).await,
            false => self.controls.send(command).await.map_err(|_| Gone),
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| Gone)
    }
}
