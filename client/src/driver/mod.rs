//! A participant in a room, pure: the [`Replica`] and all decisions around it. They are: which client this is, when to connect, what is held
//! until the room is joined, what is written before it is sent, and the outcome of the transitions of earlier pages.
//!
//! ```text
//!   sockets, stores, timers, the page ──▶ handle_opened, handle_frame, handle_written, apply, ... (with a Now)
//!                                                   │
//!                                       ┌───────────▼──────────┐
//!                                       │ Driver: Replica,     │
//!                                       │ transitions, queue,  │
//!                                       │ connection, clock    │
//!                                       └───────────┬──────────┘
//!                                                   │ poll_effect, until there is none
//!   sockets, stores, loaders, the page ◀── Connect, Send, Write, Load, Decided, ..., Closed
//! ```
//!
//! The driver's owner is a shell. After each call it takes effects from [`Driver::poll_effect`] until there is none, and performs them one at a
//! time in that order; then it waits for the next input, or for [`Driver::wake_at`]. Only after frames may it first hand in all others that
//! have arrived: the pending transitions are then applied again once, not once for each frame.

mod effect;
mod ending;
mod link;
mod orphans;
mod page;
mod settle;
mod store;
mod watch;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use reapply_sync::room::{Now, Ticks};
use reapply_sync::{Digest, Fault, Goodbye, Machine, Number, Phase as ReplicaPhase, Replica, ServerMessage};

pub use self::effect::{ConnectionId, Effect};
use self::link::{Life, Link, Replacements};
use self::orphans::Orphans;
pub use self::watch::Status;
use self::watch::Watch;
use crate::backoff::Backoff;
use crate::clock::{HostClock, Latency};
use crate::identity::Identity;
use crate::limits::NUMBERS_SKIPPED;
use crate::queue::Queue;
use crate::transitions::{Ended, Ticket, Transitions};

/// A participant's side of one room. See the module's documentation.
pub struct Driver<M: Machine> {
    /// None until the client is known.
    replica: Option<Replica<M>>,
    who: Who,
    /// Whether no other page of this browser can be this client now.
    is_own: bool,
    phase: Phase,
    progress: Progress,
    /// The count of numbers to be skipped once the room is joined.
    skips_numbers: u64,
    role: Role,
    reason: Option<String>,
    transitions: Transitions,
    queue: Queue,
    /// Frames that wait to be sent.
    outbox: VecDeque<Bytes>,
    connections: u64,
    backoff: Backoff,
    replacements: Replacements,
    orphans: Orphans,
    clock: HostClock,
    latency: Latency,
    /// The build that runs, and the one that is being loaded.
    digest: Option<Digest>,
    loading: Option<Digest>,
    /// The time when the optimistic state, which is behind, is brought up to date.
    refresh_at: Option<Ticks>,
    watch: Watch,
    effects: VecDeque<Effect>,
}

/// Whether the driver knows which client it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Unknown,
    /// The client's numbers are being set aside. None may be used until that is written.
    Preparing,
    Known,
}

/// The state of the connection.
#[derive(Debug)]
enum Phase {
    /// There is no connection. The driver connects again at this time.
    Waiting { until: Ticks },
    /// A connection is being opened.
    Opening(Link),
    /// The connection is open. The client is not known yet, so the room was not greeted.
    Unnamed(Link),
    /// The room was greeted; its present state is not here yet.
    Joining(Link),
    /// The present state of the room is shown.
    Live(Link),
    /// The room is closed for good.
    Closed,
}

impl Phase {
    /// Returns the connection, if it is open.
    fn open_link(&mut self) -> Option<&mut Link> {
        match self {
            Self::Unnamed(link) | Self::Joining(link) | Self::Live(link) => Some(link),
            Self::Waiting { .. } | Self::Opening(_) | Self::Closed => None,
        }
    }

    /// Returns the connection, open or not.
    fn link(&mut self) -> Option<&mut Link> {
        if let Self::Opening(link) = self { Some(link) } else { self.open_link() }
    }
}

/// The furthest stage that the driver has ever reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Begun,
    /// There was a connection.
    Connected,
    /// The room was joined: since then transitions are taken on.
    Joined,
}

/// The purpose with which a driver joins a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Takes part in the room.
    #[default]
    Participant,
    /// Delivers the transitions of a client that is gone; then leaves.
    Courier,
}

/// The reason why a build could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineFailure {
    /// The build could not be fetched; the driver tries again.
    Unavailable(String),
    /// The build can never run here.
    Unusable(String),
}

/// The reason why the room is closed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed(pub String);

impl<M: Machine> Driver<M> {
    /// Returns a driver that connects at once. It greets the room once it [knows](Driver::handle_identity) which client it is.
    #[must_use]
    pub fn new(role: Role, backoff: Backoff, now: &mut Now<'_>) -> Self {
        let mut driver = Self {
            replica: None,
            who: Who::Unknown,
            is_own: false,
            phase: Phase::Waiting { until: now.ticks },
            progress: Progress::Begun,
            skips_numbers: 0,
            role,
            reason: None,
            transitions: Transitions::default(),
            queue: Queue::default(),
            outbox: VecDeque::new(),
            connections: 0,
            backoff,
            replacements: Replacements::default(),
            orphans: Orphans::default(),
            clock: HostClock::default(),
            latency: Latency::default(),
            digest: None,
            loading: None,
            refresh_at: None,
            watch: Watch::default(),
            effects: VecDeque::new(),
        };
        driver.connect(now.ticks);
        driver
    }

    /// Sets the client that this driver is, with the transitions that earlier pages have left. From here on, transitions are kept in the store.
    pub fn handle_identity(&mut self, identity: Identity, now: &mut Now<'_>) {
        if matches!(self.phase, Phase::Closed) || self.who != Who::Unknown {
            return;
        }
        let Identity { key, is_own, store, left, .. } = identity;
        if left.is_none() {
            let Range { start, end } = NUMBERS_SKIPPED;
            self.skips_numbers = start + (now.entropy)() % (end - start);
        }
        let left = left.unwrap_or_default();
        let mut replica = Replica::new(key, Number(left.last_in_use()));
        self.queue.begin(store, &left);
        self.transitions.restore(left, &mut replica, &mut self.queue, now.entropy);
        self.replica = Some(replica);
        (self.who, self.is_own) = (Who::Preparing, is_own);
        self.begin_store(store);
    }

    /// Asks for a transition, given as JSON. Its outcome comes as an [`Effect::Decided`] with the ticket.
    ///
    /// # Errors
    ///
    /// Fails if the room is closed here.
    pub fn apply(&mut self, json: &str, now: &mut Now<'_>) -> Result<Ticket, Closed> {
        if matches!(self.phase, Phase::Closed) {
            return Err(Closed(self.reason.clone().unwrap_or_default()));
        }
        let time = self.clock.now(now);
        let asked = self.transitions.begin(Arc::from(json), time);
        let ticket = asked.0;
        let may_take_on = self.progress == Progress::Joined && self.transitions.held() == 0;
        let ended = match self.replica.as_mut().filter(|replica| may_take_on && replica.confirmed_at().is_some()) {
            Some(replica) => self.transitions.submit(asked, replica, &mut self.queue, time, (now.entropy)()),
            None => self.transitions.hold(asked, &mut self.queue),
        };
        self.watch.states_changed();
        self.end_all(ended);
        Ok(ticket)
    }

    /// Sends an ephemeral message. Returns `false` when it is too large or there is no connection.
    pub fn signal(&mut self, body: Bytes) -> bool {
        self.replica.as_mut().is_some_and(|replica| replica.signal(body))
    }

    /// Handles that a connection is open.
    pub fn handle_opened(&mut self, connection: ConnectionId, now: &mut Now<'_>) {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Opening(link) if link.id == connection => {
                self.phase = Phase::Unnamed(link.opened(now.ticks));
                self.progress = self.progress.max(Progress::Connected);
            }
            other => self.phase = other,
        }
    }

    /// Handles a frame. The owner takes the effects once no more frames are waiting.
    pub fn handle_frame(&mut self, connection: ConnectionId, frame: &[u8], now: &mut Now<'_>) {
        // The greeting goes first.
        self.greet();
        let Some(link) = self.phase.open_link().filter(|link| link.id == connection) else { return };
        link.handle_life();
        let is_named = !matches!(self.phase, Phase::Unnamed(_));
        if let Some(replica) = self.replica.as_mut().filter(|_| is_named) {
            let received = |replica: &Replica<M>| replica.arriving().map_or(0, |(received, _)| received);
            let before = received(replica);
            let handled = replica.handle_frame(frame);
            self.clock.hear(replica.host_time(), now.ticks);
            if received(replica) > before
                && let Some(link) = self.phase.open_link()
            {
                link.handle_brought();
            }
            if let Err(error) = handled {
                self.fail(error.to_string(), now);
            }
            return;
        }
        // A room that was not greeted can only say why it does not let this client in.
        match ServerMessage::decode(frame) {
            Ok(ServerMessage::Goodbye(goodbye)) => self.part(&goodbye, now),
            Ok(_) | Err(reapply_sync::message::DecodeError::Skippable { .. }) => {}
            Err(error) => self.fail(error.to_string(), now),
        }
    }

    /// Handles input that is not of this protocol: it is not even a frame.
    pub fn handle_nonsense(&mut self, connection: ConnectionId, now: &mut Now<'_>) {
        if self.phase.open_link().is_some_and(|link| link.id == connection) {
            self.drop_connection(now);
        }
    }

    /// Handles that a connection is gone, or could not be opened. `why` is the reason, if it is known.
    pub fn handle_lost(&mut self, connection: ConnectionId, why: Option<String>, now: &mut Now<'_>) {
        // Frames that came before the connection broke still count, above all a goodbye.
        self.settle(now);
        if self.phase.link().is_some_and(|link| link.id == connection) {
            self.reason = why.or(self.reason.take());
            self.lose(now);
        }
    }

    /// Handles the build that [`Effect::Load`] has asked for.
    pub fn handle_machine(&mut self, digest: Digest, machine: M) {
        self.loading.take_if(|loading| *loading == digest);
        let Some(replica) = &mut self.replica else { return };
        if replica.needs_machine() == Some(digest) {
            replica.handle_machine(digest, machine);
            self.digest = Some(digest);
        }
    }

    /// Handles that the build could not be loaded.
    pub fn handle_machine_failed(&mut self, digest: Digest, failure: MachineFailure, now: &mut Now<'_>) {
        self.loading.take_if(|loading| *loading == digest);
        match failure {
            MachineFailure::Unavailable(why) => {
                self.reason = Some(format!("the machine could not be loaded: {why}"));
                self.drop_connection(now);
            }
            MachineFailure::Unusable(why) => self.close(why),
        }
    }

    /// Handles a fault of the machine that its owner met while using [`Driver::confirmed`] or [`Driver::optimistic`].
    pub fn handle_fault(&mut self, fault: &Fault) {
        if let Some(replica) = &mut self.replica {
            replica.handle_fault(fault);
        }
    }

    /// Handles that the time of [`Driver::wake_at`] has come.
    pub fn handle_timer(&mut self, now: &mut Now<'_>) {
        if matches!(self.phase, Phase::Waiting { until } if until <= now.ticks) {
            self.connect(now.ticks);
        }
        match self.phase.link().map(|link| link.check(now.ticks)) {
            Some(Life::Ask) => self.ask(now.ticks),
            Some(Life::Dead) => self.drop_connection(now),
            Some(Life::Fine) | None => {}
        }
        if self.refresh_at.take_if(|at| *at <= now.ticks).is_some()
            && let Some(replica) = &mut self.replica
        {
            replica.refresh();
            self.watch.states_changed();
        }
        self.reopen_store(now.ticks);
        if self.orphans.wake_at().is_some_and(|at| at <= now.ticks) {
            self.find_orphans();
        }
    }

    /// Handles that the network or the page is back: stops waiting, and checks whether the connection still works.
    pub fn handle_wake(&mut self, now: &mut Now<'_>) {
        match self.phase {
            Phase::Waiting { .. } => self.connect(now.ticks),
            Phase::Unnamed(_) | Phase::Joining(_) | Phase::Live(_) => self.ask(now.ticks),
            Phase::Opening(_) | Phase::Closed => {}
        }
    }

    /// Returns the time when [`Driver::handle_timer`] must be called.
    #[must_use]
    pub fn wake_at(&mut self) -> Option<Ticks> {
        if matches!(self.phase, Phase::Closed) {
            return None;
        }
        let connection = match &mut self.phase {
            Phase::Waiting { until } => Some(*until),
            phase => phase.link().map(|link| link.check_at()),
        };
        let wake_at = connection.into_iter().chain(self.queue.wake_at()).chain(self.orphans.wake_at());
        wake_at.chain(self.refresh_at).min()
    }

    /// Returns the next effect, if there is one.
    pub fn poll_effect(&mut self, now: &mut Now<'_>) -> Option<Effect> {
        if self.effects.is_empty() {
            self.settle(now);
        }
        self.effects.pop_front()
    }

    fn connect(&mut self, now: Ticks) {
        self.connections += 1;
        let id = ConnectionId(self.connections);
        self.phase = Phase::Opening(Link::new(id, now));
        self.effects.push_back(Effect::Connect(id));
    }

    /// Asks the room for a sign of life.
    fn ask(&mut self, now: Ticks) {
        if let Some(link) = self.phase.open_link() {
            link.ask(now);
        }
        if let Some(replica) = &mut self.replica {
            replica.ping(now.0);
        }
    }

    /// Handles input that cannot be understood. After a new connection it may be understood.
    fn fail(&mut self, why: String, now: &mut Now<'_>) {
        self.effects.push_back(Effect::Report(why.clone()));
        self.reason = Some(why);
        self.drop_connection(now);
    }

    /// Handles that the room has ended the session.
    fn part(&mut self, goodbye: &Goodbye, now: &mut Now<'_>) {
        let is_replaced = *goodbye == Goodbye::Replaced && self.is_own && self.replacements.may_return(now.ticks);
        if !goodbye.retry() && !is_replaced {
            return self.close(goodbye.to_string());
        }
        self.reason = Some(goodbye.to_string());
        self.drop_connection(now);
    }

    /// Gives up a connection that is useless now, and opens another after a while.
    fn drop_connection(&mut self, now: &mut Now<'_>) {
        if let Some(link) = self.phase.link() {
            self.effects.push_back(Effect::Disconnect(link.id));
            self.lose(now);
        }
    }

    fn lose(&mut self, now: &mut Now<'_>) {
        if self.phase.open_link().is_some_and(|link| link.was_good(now.ticks)) {
            self.backoff.reset();
        }
        self.phase = Phase::Waiting { until: now.ticks.after(self.backoff.next(now)) };
        self.outbox.clear();
        if let Some(replica) = &mut self.replica {
            replica.handle_disconnected();
        }
    }

    fn end_all(&mut self, ended: impl IntoIterator<Item = Ended>) {
        for Ended { ticket, decision, returned } in ended {
            self.watch.states_changed();
            self.effects.push_back(match returned {
                None => Effect::Decided { ticket, decision },
                Some(returned) => Effect::Returned { ticket, returned, decision },
            });
        }
    }

    fn is_live(&self) -> bool {
        self.replica.as_ref().is_some_and(|replica| replica.phase() == ReplicaPhase::Live)
    }
}
