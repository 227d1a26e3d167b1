//! A participant's side of the protocol. It shows the probable result of a transition at once, and corrects it when the room's order differs.
//!
//! A replica holds the state after the log (confirmed) and the state after its own pending transitions on top (optimistic).
//! Its driver owns the socket and the clock:
//!
//! ```text
//!  connected ──▶ handle_connected ──▶ poll_transmit (Hello, then what was pending)
//!  a frame   ──▶ handle_frame; after the last one that is waiting: settle ──▶ poll_outcome, optimistic()
//!  the page  ──▶ apply ──▶ poll_transmit
//!  cut off   ──▶ handle_disconnected                     (apply goes on; what it makes is sent after the next Hello)
//!  needs_machine() ──▶ load the build with that digest ──▶ handle_machine
//! ```
//!
//! Pending transitions survive lost connections and restarts of the host. Those that an owner stores survive the owner too
//! ([`Replica::restore_pending`]). Each ends in exactly one [`Outcome`].
//!
//! A replica finds an upgrade of the room among the events. It then waits for the new build as it did for the first, hands over its state and
//! its pending transitions, and goes on. Transitions that it had sent and the room did not take are sent again.

mod arrival;
mod arriving;
mod builds;
mod changes;
mod following;
mod queue;
mod rebase;

use std::collections::VecDeque;

use bytes::Bytes;

use self::arrival::Arrival;
use self::changes::Changes;
use crate::event::{Chain, Event};
use crate::id::{Author, ClientId, ClientKey, Digest, LogId, Number, Seq, SessionId, Timestamp};
use crate::limits::{
    COUNT_MAX, PENDING_BYTES_MAX, PENDING_MAX, SIGNAL_BYTES_MAX, TRANSITION_BYTES_MAX, WAITING_BYTES_MAX,
};
use crate::machine::{ApplyError, Fault, Machine};
use crate::message::{ClientMessage, DecodeError, Goodbye, Presence, Rejection, ServerMessage, Signal, Welcome};
use crate::outcome::{Divergence, Ended, Outcome, Phase, SubmitError};
use crate::pending::Pending;

/// See the module's documentation.
#[derive(Debug)]
pub struct Replica<M: Machine> {
    key: ClientKey,
    client: ClientId,
    machine: Option<(Digest, M)>,
    confirmed: Option<Confirmed<M::State>>,
    /// The state on top of the confirmed one; `None` while both are equal.
    optimistic: Option<M::State>,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    last_number: Number,
    session: Option<Session>,
    /// The connection's state.
    phase: Phase,
    /// The number of `Hello`s that are not answered yet. Until the last one is answered, incoming messages belong to a state that is gone.
    welcomes_due: usize,
    /// Messages that wait for the machine; below, the size of the frames behind the first one. The first message names the machine: it is a
    /// `Welcome`, or `Events` that begin with an upgrade.
    waiting: VecDeque<ServerMessage>,
    waiting_bytes: usize,
    /// The snapshot that comes in parts, as far as it is here. It stays when a connection breaks.
    arrival: Option<Arrival>,
    /// The `Welcome` that waits for the whole snapshot.
    arriving: Option<Box<Welcome>>,
    /// The seq at which the state here was found to differ from the room's, until a snapshot has brought the replica past it.
    diverged_at: Option<Seq>,
    changes: Changes,
    transmit: VecDeque<Bytes>,
    ended: VecDeque<Ended>,
    signals: VecDeque<Signal>,
    divergences: VecDeque<Divergence>,
    presence: Presence,
    goodbye: Option<Goodbye>,
    pong: Option<u64>,
    host_time: Option<Timestamp>,
}

#[derive(Debug)]
struct Confirmed<S> {
    log: LogId,
    digest: Digest,
    seq: Seq,
    time: Timestamp,
    /// The log's chain at `seq`.
    chain: Chain,
    state: S,
}

impl<S> Confirmed<S> {
    /// Notes that the state now includes this event.
    fn stand_after(&mut self, event: &Event) {
        (self.seq, self.time, self.chain) = (event.seq, event.time, self.chain.after_event(event));
    }
}

/// The content of the last `Welcome`.
#[derive(Debug)]
struct Session {
    id: SessionId,
    participant: Author,
    head: Seq,
    decided: Number,
}

impl<M: Machine> Replica<M> {
    /// Returns a replica of a client. `last_number` is the last number that the client has used before: it is never used again.
    #[must_use]
    pub fn new(key: ClientKey, last_number: Number) -> Self {
        Self {
            client: key.client_id(),
            key,
            machine: None,
            confirmed: None,
            optimistic: None,
            pending: VecDeque::new(),
            pending_bytes: 0,
            last_number,
            session: None,
            phase: Phase::Offline,
            welcomes_due: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            arrival: None,
            arriving: None,
            diverged_at: None,
            changes: Changes::default(),
            transmit: VecDeque::new(),
            ended: VecDeque::new(),
            signals: VecDeque::new(),
            divergences: VecDeque::new(),
            presence: Presence::default(),
            goodbye: None,
            pong: None,
            host_time: None,
        }
    }

    /// Handles a new connection: the first message to send is `Hello`.
    pub fn handle_connected(&mut self) {
        self.handle_disconnected();
        self.goodbye = None;
        self.greet(self.resume());
    }

    /// Handles the loss of the connection. Pending transitions stay pending. Frames of that connection must not be handed in any more.
    pub fn handle_disconnected(&mut self) {
        self.phase = Phase::Offline;
        self.welcomes_due = 0;
        self.waiting.clear();
        self.arriving = None;
        self.transmit.clear();
        self.presence = Presence::default();
    }

    /// Handles a frame from the room. When no more are waiting, call [`Replica::settle`].
    ///
    /// # Errors
    ///
    /// Fails if the frame is not a message of this protocol: close the connection.
    pub fn handle_frame(&mut self, frame: &[u8]) -> Result<(), DecodeError> {
        use ServerMessage::{Checkpoint, Events, Part, Welcome};
        let message = match ServerMessage::decode(frame) {
            Err(DecodeError::Skippable { .. }) => return Ok(()),
            decoded => decoded?,
        };
        match &message {
            Welcome(welcome) => {
                self.welcomes_due = self.welcomes_due.saturating_sub(1);
                self.host_time = Some(welcome.time);
            }
            Events(events) => self.host_time = self.host_time.max(events.last().map(|event| event.time)),
            _ => {}
        }
        if self.welcomes_due > 0 && matches!(message, Welcome(_) | Events(_) | Checkpoint { .. } | Part { .. }) {
            return Ok(());
        }
        if self.waiting.is_empty() {
            self.waiting_bytes = 0;
        }
        if self.waiting.is_empty() || message.is_apart() {
            self.handle_message(message);
        } else {
            // Frames over the limit are dropped. Once the machine is here, the replica asks for them again.
            self.waiting_bytes = self.waiting_bytes.saturating_add(frame.len());
            if self.waiting_bytes <= WAITING_BYTES_MAX {
                self.waiting.push_back(message);
            }
        }
        Ok(())
    }

    /// Handles a fault of the machine that its owner met while using [`Replica::confirmed`] or [`Replica::optimistic`]: the states are gone.
    /// Starts the machine again, and asks the room for a snapshot.
    pub fn handle_fault(&mut self, fault: &Fault) {
        if self.restart_machine(fault) && self.phase != Phase::Offline {
            self.greet(None);
        }
    }

    /// Takes on a transition: predicts its effect, numbers it, and sends it or keeps it for the next connection. `now` is the host's time as
    /// far as it is known here; `entropy` is random bits from the caller.
    ///
    /// # Errors
    ///
    /// Fails if there is no state yet, the prediction rejects the transition, too many are pending, or all numbers are used up. Nothing has
    /// changed then.
    pub fn apply(&mut self, transition: Bytes, now: Timestamp, entropy: u64) -> Result<Number, SubmitError> {
        self.settle();
        if self.is_full() {
            return Err(SubmitError::TooManyPending);
        }
        if self.last_number.0 >= COUNT_MAX {
            return Err(SubmitError::NumbersUsedUp);
        }
        if transition.len() > TRANSITION_BYTES_MAX {
            let (bytes, bytes_max) = (transition.len() as u64, TRANSITION_BYTES_MAX as u64);
            return Err(SubmitError::Rejected(Rejection::TooLarge { bytes, bytes_max }));
        }
        let number = self.last_number.next();
        let mut pending = Pending::new(number, transition, now, entropy);
        let mut predicted = self.predict(&pending, self.pending.len());
        if self.is_behind() && matches!(predicted, Some(Err(ApplyError::Refused(_)))) {
            // A transition must not be refused only because the optimistic state is behind.
            self.refresh();
            predicted = self.predict(&pending, self.pending.len());
        }
        match predicted {
            Some(Ok(state)) => self.optimistic = Some(state),
            Some(Err(ApplyError::Fault(fault))) => {
                self.handle_fault(&fault);
                return Err(SubmitError::Rejected(ApplyError::Fault(fault).into()));
            }
            Some(Err(refused)) => return Err(SubmitError::Rejected(refused.into())),
            None => return Err(SubmitError::NotReady),
        }
        self.last_number = number;
        if matches!(self.phase, Phase::CatchingUp | Phase::Live) {
            self.transmit.extend(pending.submit(self.known_head()));
        }
        self.pending_bytes += pending.bytes;
        self.pending.push_back(pending);
        Ok(number)
    }

    /// Sends an ephemeral message. Returns `false` if there is no connection or the message is over the limit: then it is dropped.
    pub fn signal(&mut self, body: Bytes) -> bool {
        let sendable = body.len() <= SIGNAL_BYTES_MAX && matches!(self.phase, Phase::CatchingUp | Phase::Live);
        if sendable {
            self.transmit.push_back(ClientMessage::Signal(body).encode());
        }
        sendable
    }

    /// Asks for a pong with this value, if there is a connection. [`Replica::poll_pong`] returns it.
    pub fn ping(&mut self, value: u64) {
        if self.phase != Phase::Offline {
            self.transmit.push_back(ClientMessage::Ping(value).encode());
        }
    }

    /// Returns the next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.transmit.pop_front()
    }

    /// Returns the next transition that was decided, with its outcome.
    pub fn poll_outcome(&mut self) -> Option<(Number, Outcome)> {
        self.poll_ended().map(|ended| (ended.number, ended.outcome))
    }

    /// Returns the next transition that was decided, for an owner that stores pending transitions.
    pub fn poll_ended(&mut self) -> Option<Ended> {
        self.ended.pop_front()
    }

    /// Returns the next ephemeral message of another participant.
    pub fn poll_signal(&mut self) -> Option<Signal> {
        self.signals.pop_front()
    }

    /// Returns the next divergence. The replica has already asked for a snapshot.
    pub fn poll_divergence(&mut self) -> Option<Divergence> {
        self.divergences.pop_front()
    }

    /// Returns the answer to the last [`Replica::ping`], once.
    pub fn poll_pong(&mut self) -> Option<u64> {
        self.pong.take()
    }

    /// Returns the phase of the connection.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns the machine and the confirmed state.
    pub fn confirmed(&mut self) -> Option<(&mut M, &M::State)> {
        let (_, machine) = self.machine.as_mut()?;
        Some((machine, &self.confirmed.as_ref()?.state))
    }

    /// Returns the machine and the optimistic state. Call [`Replica::settle`] first. With many transitions pending, the state may still be
    /// [behind](Replica::is_behind).
    pub fn optimistic(&mut self) -> Option<(&mut M, &M::State)> {
        let (_, machine) = self.machine.as_mut()?;
        let confirmed = self.confirmed.as_ref()?;
        Some((machine, self.optimistic.as_ref().unwrap_or(&confirmed.state)))
    }

    /// Returns the machine, once it is loaded.
    pub fn machine(&mut self) -> Option<&mut M> {
        self.machine.as_mut().map(|(_, machine)| machine)
    }

    /// Returns the last confirmed event's seq and time.
    #[must_use]
    pub fn confirmed_at(&self) -> Option<(Seq, Timestamp)> {
        self.confirmed.as_ref().map(|confirmed| (confirmed.seq, confirmed.time))
    }

    /// Returns the latest time that the host's frames have named since the last `Welcome`. An owner that notes when it came can estimate the
    /// host's clock, for [`Replica::apply`].
    #[must_use]
    pub fn host_time(&self) -> Option<Timestamp> {
        self.host_time
    }

    /// Returns the number of pending transitions.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Returns whether no more transitions may be pending, by their count or by their bytes.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.pending.len() >= PENDING_MAX || self.pending_bytes >= PENDING_BYTES_MAX
    }

    /// Returns the last number that was used.
    #[must_use]
    pub fn last_number(&self) -> Number {
        self.last_number
    }

    /// Returns the author of this replica's transitions, once it was welcomed.
    #[must_use]
    pub fn participant(&self) -> Option<&Author> {
        self.session.as_ref().map(|session| &session.participant)
    }

    /// Returns this replica's session, once it was welcomed.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.session.as_ref().map(|session| session.id)
    }

    /// Returns the participants in the room, as last heard.
    #[must_use]
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// Returns the reason why the room ended the session, or why this replica cannot go on in it, if there is one. In either case, close the
    /// connection.
    #[must_use]
    pub fn goodbye(&self) -> Option<&Goodbye> {
        self.goodbye.as_ref()
    }

    /// Handles a fault of the machine: its states are gone. Returns whether the machine could be started again.
    fn restart_machine(&mut self, fault: &Fault) -> bool {
        self.optimistic = None;
        self.confirmed = None;
        let reset = self.machine.as_mut().map_or(Ok(()), |(_, machine)| machine.reset());
        if let Err(error) = &reset {
            self.fail(format!("{fault}, and did not start again: {error}"));
        }
        reset.is_ok()
    }

    /// Returns the last event of the log, as far as it is known here. A transition that is sent from now on becomes a later event.
    #[must_use]
    pub fn known_head(&self) -> Seq {
        let confirmed = self.confirmed.as_ref().map_or(Seq(0), |confirmed| confirmed.seq);
        self.session.as_ref().map_or(confirmed, |session| session.head.max(confirmed))
    }

    /// Ends this replica's part in the room, since it cannot go on.
    fn fail(&mut self, why: String) {
        self.goodbye = Some(Goodbye::RoomFailed(why));
        self.phase = Phase::Offline;
    }
}
