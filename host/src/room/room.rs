//! The handle to a room that is awake: sessions and requests hold it, and send commands through it.

use std::sync::Arc;

use bytes::Bytes;
use reapply_sync::room::{Entered, SubmitOnce, Verdict};
use reapply_sync::{Author, Digest, Fault, Goodbye, Hello, History, Number, Seq, SessionId};
use tokio::sync::{mpsc, oneshot, watch};

use super::command::{Command, Gone, Outbox, Upgrade};
use super::error::UpgradeRoomError;
use super::submits::{Full, Submits};
use super::tally::Tally;
use super::view::View;
use crate::clock;
use reapply_machine::Instance;

/// A room that is awake. Cheap to clone. When it has gone to sleep every call answers [`Gone`]: enter it again.
#[derive(Clone, Debug)]
pub struct Room {
    /// What is decided in order.
    pub(super) submits: Submits,
    /// What does not wait behind that.
    pub(super) controls: mpsc::Sender<Command>,
    pub(super) history: Arc<History>,
    pub(super) news: watch::Receiver<News>,
    pub(super) tally: Arc<Tally>,
}

/// What every session of a room has to look at, when it changes.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// The last durable event: sessions that stand before it read on.
    pub head: Seq,
    /// How many participants are there.
    pub participants: usize,
    /// Grows with each change of `presence`.
    pub presence_version: u64,
    /// The encoded `Presence` message.
    pub presence: Bytes,
}

impl Room {
    /// Begins a session. Letters for it come to `outbox`.
    ///
    /// # Errors
    ///
    /// The room is gone, or (inside) does not take the session.
    pub async fn enter(
        &self,
        hello: Hello,
        participant: Author,
        outbox: Outbox,
    ) -> Result<Result<Entered, Goodbye>, Gone> {
        self.ask(|reply| Command::Enter { hello, participant, outbox, reply }).await
    }

    /// Welcomes a session anew, because its replica asked for that.
    ///
    /// # Errors
    ///
    /// The room, or the session, is gone.
    pub async fn resync(&self, session: SessionId, hello: Hello) -> Result<Entered, Gone> {
        self.ask(|reply| Command::Resync { session, hello, reply }).await
    }

    /// Hands in a transition. Waits while the room's queue is full.
    ///
    /// # Errors
    ///
    /// The room is gone.
    pub async fn submit(&self, session: SessionId, number: Number, transition: Bytes) -> Result<(), Gone> {
        let bytes = transition.len();
        let submit = |space| Command::Submit { session, number, transition, space };
        self.submits.send(bytes, submit).await
    }

    /// Passes an ephemeral message to the other sessions.
    ///
    /// # Errors
    ///
    /// The room is gone.
    pub async fn signal(&self, session: SessionId, body: Bytes) -> Result<(), Gone> {
        self.tell(Command::Signal { session, body }).await
    }

    /// Notes that a replica's state had another hash.
    ///
    /// # Errors
    ///
    /// The room is gone.
    pub async fn diverged(&self, session: SessionId, seq: Seq, ours: Option<Digest>) -> Result<(), Gone> {
        self.tell(Command::Diverged { session, seq, ours }).await
    }

    /// Notes that a replica has followed the upgrade at this seq.
    ///
    /// # Errors
    ///
    /// The room is gone.
    pub async fn followed(&self, session: SessionId, upgrade: Seq) -> Result<(), Gone> {
        self.tell(Command::Followed { session, upgrade }).await
    }

    /// Has another build take over, and waits until that is durable or refused.
    pub(super) async fn upgrade(
        &self,
        instance: Instance,
        digest: Digest,
    ) -> Result<Result<Seq, UpgradeRoomError>, Gone> {
        self.ask(|reply| Command::Upgrade(Upgrade { instance, digest, reply })).await
    }

    /// Ends a session that has called [`Room::submit`], [`Room::followed`] and [`Room::resync`] so often in all; it ends once these are handled.
    /// Never fails: a room that is gone has no sessions.
    pub async fn leave(&self, session: SessionId, handed: u64) {
        let _gone = self.tell(Command::Leave { session, handed }).await;
    }

    /// Submits one transition without a session, and waits for what becomes of it. Does not wait while the room's queue is full.
    ///
    /// # Errors
    ///
    /// The room is gone; nothing was submitted, or it was not stored.
    pub async fn submit_once(&self, submit: SubmitOnce) -> Result<Verdict, Gone> {
        let (reply, verdict) = oneshot::channel();
        let bytes = submit.transition.len();
        match self.submits.try_send(bytes, |space| Command::SubmitOnce { submit, space, reply })? {
            Ok(()) => verdict.await.map_err(|_| Gone),
            Err(Full) => Ok(Verdict::Busy),
        }
    }

    /// What the last durable state looks like.
    ///
    /// # Errors
    ///
    /// The room is gone, or (inside) the machine faulted.
    pub async fn view(&self) -> Result<Result<View, Fault>, Gone> {
        self.ask(|reply| Command::View { reply }).await
    }

    /// Counts a rejection that did not come to the room's own ears.
    pub fn count_rejection(&self, author: &Author, kind: &str) {
        self.tally.count(author, kind, clock::now());
    }

    /// Lets the alarm go off, if it is due. Answers once what came of it is stored.
    pub(super) async fn ring(&self) -> Result<(), Gone> {
        self.ask(|reply| Command::Ring { reply }).await
    }

    /// Has the journal know of all rejections until now.
    pub(super) async fn tell_tally(&self) -> Result<(), Gone> {
        self.ask(|reply| Command::TellTally { reply }).await
    }

    /// What sessions read.
    #[must_use]
    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// Tells when there is more to read.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<News> {
        self.news.clone()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.controls.is_closed()
    }

    pub(super) async fn tell(&self, command: Command) -> Result<(), Gone> {
        match command.is_submit() {
            true => self.submits.send_small(command).await,
            false => self.controls.send(command).await.map_err(|_| Gone),
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| Gone)
    }
}
