//! The replica as the page's script drives it: `js/reapply/room.js` owns the socket, the timers and the promises.
//!
//! Whatever a call brings forth waits inside until [`Replica::drain`] hands it to [`Effects`]. Numbers cross as doubles: seqs, numbers
//! and microseconds all stay below 2^53.

use js_sys::Uint8Array;
use reapply_sync as sync;
use reapply_sync::limits::{COUNT_MAX, PENDING_MAX};
use reapply_sync::{CodecError, Digest, Divergence, Fault, Outcome, Phase, Presence, Rejection, Seq, SubmitError};
use wasm_bindgen::prelude::*;

use crate::machine::{Component, ComponentMachine};
use crate::rejection;

#[wasm_bindgen]
extern "C" {
    /// Takes what the replica brings forth. Its methods only note it: they must neither throw nor call the replica.
    pub type Effects;

    #[wasm_bindgen(method)]
    fn transmit(this: &Effects, frame: Uint8Array);
    #[wasm_bindgen(method)]
    fn accepted(this: &Effects, number: f64, seq: f64, time_us: f64);
    #[wasm_bindgen(method)]
    fn rejected(this: &Effects, number: f64, kind: &str, message: &str, conflict: Option<&str>);
    #[wasm_bindgen(method)]
    fn decided(this: &Effects, number: f64);
    #[wasm_bindgen(method)]
    fn unknown(this: &Effects, number: f64);
    #[wasm_bindgen(method)]
    fn signal(this: &Effects, participant: &str, session: f64, body: Uint8Array);
    #[wasm_bindgen(method)]
    fn diverged(this: &Effects, seq: f64, digest: &str, ours: &str, theirs: &str);
    #[wasm_bindgen(method)]
    fn pong(this: &Effects, value: f64);
}

/// The number that no transition has: its rejection is of one that was not taken on.
const NOT_TAKEN_ON: f64 = 0.0;

/// A replica of one room, for one client.
#[wasm_bindgen]
pub struct Replica {
    replica: sync::Replica<ComponentMachine>,
    states: Revision<States>,
    presence: Revision<Presence>,
    /// Why a view could not be made, until the page has asked.
    view_fault: Option<Fault>,
}

/// What a view depends on, as far as it can be told without making it: two that are equal may only differ where [`Revision::turn`] was called.
type States = (Option<Seq>, Option<Digest>, usize);

/// A value, and how often it has changed.
#[derive(Default)]
struct Revision<T> {
    value: T,
    number: u32,
}

impl<T: PartialEq> Revision<T> {
    /// Notes what the value is now.
    fn note(&mut self, value: T) {
        if self.value != value {
            self.value = value;
            self.turn();
        }
    }

    /// Something has changed that the value does not show.
    fn turn(&mut self) {
        self.number = self.number.wrapping_add(1);
    }
}

#[wasm_bindgen]
impl Replica {
    /// A replica for the client that holds `key`, and never uses a number up to `last_number` again.
    ///
    /// # Errors
    ///
    /// The key is not 32 hexadecimal digits, or the last number is not one that a client can have used.
    #[wasm_bindgen(constructor)]
    pub fn new(key: &str, last_number: f64) -> Result<Replica, JsError> {
        let key = key.parse().map_err(|error| JsError::new(&format!("the client key is not valid: {error}")))?;
        let last_number =
            whole(last_number).map_err(|why| JsError::new(&format!("the last number is not valid: {why}")))?;
        let replica = sync::Replica::new(key, sync::Number(last_number));
        Ok(Self { replica, states: Revision::default(), presence: Revision::default(), view_fault: None })
    }

    /// Takes on what an earlier page had numbered, in the order of its numbers, before the first connection. `sent_at`: the log's head, as it was
    /// known before it was first sent; nothing where the room cannot have it.
    ///
    /// # Errors
    ///
    /// The number is not one that a transition can have.
    #[wasm_bindgen(js_name = restorePending)]
    pub fn restore_pending(
        &mut self,
        number: f64,
        json: String,
        now_us: f64,
        entropy: u64,
        sent_at: Option<f64>,
    ) -> Result<(), JsError> {
        let refuse = |why: String| JsError::new(&format!("a kept transition is not valid: {why}"));
        let number = sync::Number(whole(number).map_err(refuse)?);
        let (now, sent_at) = (sync::Timestamp(now_us as u64), sent_at.map(|seq| sync::Seq(seq as u64)));
        let restored = self.replica.restore_pending(number, json, now, entropy, sent_at);
        restored.map_err(|error| refuse(error.to_string()))
    }

    /// How far the log has come, as far as is known here: what is sent from now on becomes a later event.
    #[wasm_bindgen(js_name = knownHead)]
    pub fn known_head(&self) -> f64 {
        self.replica.known_head().0 as f64
    }

    /// A connection is there.
    #[wasm_bindgen(js_name = handleConnected)]
    pub fn handle_connected(&mut self) {
        self.replica.handle_connected();
    }

    /// The connection is gone.
    #[wasm_bindgen(js_name = handleDisconnected)]
    pub fn handle_disconnected(&mut self) {
        self.replica.handle_disconnected();
    }

    /// A frame from the room.
    ///
    /// # Errors
    ///
    /// It is no message of this protocol.
    #[wasm_bindgen(js_name = handleFrame)]
    pub fn handle_frame(&mut self, frame: &[u8]) -> Result<(), JsError> {
        self.replica.handle_frame(frame).map_err(|error| JsError::new(&error.to_string()))
    }

    /// The latest of the host's times that its frames have named since the last welcome, in microseconds; 0 before.
    #[wasm_bindgen(js_name = hostTime)]
    pub fn host_time(&self) -> f64 {
        self.replica.host_time().map_or(0.0, |time| time.0 as f64)
    }

    /// The digest of the build that must be loaded before this replica can go on.
    #[wasm_bindgen(js_name = needsMachine)]
    pub fn needs_machine(&self) -> Option<String> {
        self.replica.needs_machine().map(|digest| digest.to_string())
    }

    /// The build that [`Replica::needs_machine`] asked for. Another one is dropped.
    #[wasm_bindgen(js_name = handleMachine)]
    pub fn handle_machine(&mut self, digest: &str, component: Component) {
        if let Ok(digest) = digest.parse() {
            self.replica.handle_machine(digest, ComponentMachine::new(digest, component));
        }
    }

    /// Takes on the transition that `json` (a string) describes, and returns its number; 0, and a rejection with that number among the
    /// effects, when it is not taken on.
    pub fn apply(&mut self, json: &JsValue, now_us: f64, entropy: u64, effects: &Effects) -> f64 {
        match self.try_apply(json, now_us as u64, entropy) {
            Ok(number) => {
                self.states.turn();
                number.0 as f64
            }
            Err(SubmitError::Rejected(why)) => {
                reject(effects, NOT_TAKEN_ON, &why);
                NOT_TAKEN_ON
            }
            Err(error) => {
                effects.rejected(NOT_TAKEN_ON, error.kind(), &error.to_string(), None);
                NOT_TAKEN_ON
            }
        }
    }

    /// Sends an ephemeral message; `false` when it is too large or there is no connection.
    pub fn signal(&mut self, body: Vec<u8>) -> bool {
        self.replica.signal(body.into())
    }

    /// Asks for a pong with this value.
    pub fn ping(&mut self, value: f64) {
        self.replica.ping(value as u64);
    }

    /// Makes the optimistic state right, and hands over all that waits.
    pub fn drain(&mut self, effects: &Effects) {
        self.replica.settle();
        while let Some(frame) = self.replica.poll_transmit() {
            effects.transmit(Uint8Array::from(&frame[..]));
        }
        while let Some((number, outcome)) = self.replica.poll_outcome() {
            self.states.turn();
            let number = number.0 as f64;
            match outcome {
                Outcome::Accepted { seq, time } => effects.accepted(number, seq.0 as f64, time.0 as f64),
                Outcome::Rejected(why) => reject(effects, number, &why),
                Outcome::Decided => effects.decided(number),
                Outcome::Unknown => effects.unknown(number),
            }
        }
        while let Some(signal) = self.replica.poll_signal() {
            effects.signal(&signal.participant.0, signal.session.0 as f64, Uint8Array::from(&signal.body[..]));
        }
        while let Some(Divergence { seq, digest, ours, theirs }) = self.replica.poll_divergence() {
            let hash =
                |digest: Option<sync::Digest>| digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string());
            effects.diverged(seq.0 as f64, &digest.to_string(), &hash(ours), &hash(theirs));
        }
        if let Some(value) = self.replica.poll_pong() {
            effects.pong(value as f64);
        }
        self.note();
    }

    /// A number that is another one when a view may be another one.
    #[wasm_bindgen(js_name = statesRevision)]
    pub fn states_revision(&self) -> u32 {
        self.states.number
    }

    /// A number that is another one when the room's participants are others.
    #[wasm_bindgen(js_name = presenceRevision)]
    pub fn presence_revision(&self) -> u32 {
        self.presence.number
    }

    /// The optimistic view, as a string of JSON. Nothing when there is no state, or the machine could not show it.
    pub fn view(&mut self) -> Option<JsValue> {
        let (machine, state) = self.replica.optimistic()?;
        let view = machine.view(state);
        self.viewed(view)
    }

    /// The confirmed view, likewise.
    #[wasm_bindgen(js_name = confirmedView)]
    pub fn confirmed_view(&mut self) -> Option<JsValue> {
        let (machine, state) = self.replica.confirmed()?;
        let view = machine.view(state);
        self.viewed(view)
    }

    /// Why the last view could not be made, once: its machine has faulted, which is not a divergence. The next drain asks for a snapshot.
    #[wasm_bindgen(js_name = takeViewFault)]
    pub fn take_view_fault(&mut self) -> Option<String> {
        self.view_fault.take().map(|fault| fault.to_string())
    }

    /// Whether there is a state, so that transitions are taken on.
    #[wasm_bindgen(js_name = hasState)]
    pub fn has_state(&self) -> bool {
        self.replica.confirmed_at().is_some()
    }

    /// Whether what is taken on is sent at once.
    #[wasm_bindgen(js_name = isJoined)]
    pub fn is_joined(&self) -> bool {
        matches!(self.replica.phase(), Phase::CatchingUp | Phase::Live)
    }

    /// Whether as many transitions are pending as may be.
    #[wasm_bindgen(js_name = isFull)]
    pub fn is_full(&self) -> bool {
        self.replica.pending() >= PENDING_MAX
    }

    /// Whether the replica shows the present.
    #[wasm_bindgen(js_name = isLive)]
    pub fn is_live(&self) -> bool {
        self.replica.phase() == Phase::Live
    }

    /// How many transitions are pending.
    pub fn pending(&self) -> usize {
        self.replica.pending()
    }

    /// The last confirmed event's seq.
    pub fn seq(&self) -> f64 {
        self.replica.confirmed_at().map_or(0.0, |(seq, _)| seq.0 as f64)
    }

    /// The digest of the build that runs.
    pub fn digest(&mut self) -> Option<String> {
        self.replica.machine().map(|machine| machine.digest().to_string())
    }

    /// Who this replica's transitions are by.
    pub fn participant(&self) -> Option<String> {
        self.replica.participant().map(ToString::to_string)
    }

    /// The participants that the room names.
    pub fn participants(&self) -> Vec<String> {
        self.replica.presence().participants.iter().map(ToString::to_string).collect()
    }

    /// How many participants there are.
    #[wasm_bindgen(js_name = participantCount)]
    pub fn participant_count(&self) -> f64 {
        self.replica.presence().count as f64
    }

    /// Why the room ended the session, if it did.
    pub fn goodbye(&self) -> Option<String> {
        self.replica.goodbye().map(ToString::to_string)
    }

    /// Whether it did so because the same client connected anew.
    #[wasm_bindgen(js_name = wasReplaced)]
    pub fn was_replaced(&self) -> bool {
        self.replica.goodbye() == Some(&sync::Goodbye::Replaced)
    }

    /// Whether to connect again after that.
    #[wasm_bindgen(js_name = mayRetry)]
    pub fn may_retry(&self) -> bool {
        self.replica.goodbye().is_none_or(sync::Goodbye::retry)
    }
}

impl Replica {
    fn viewed(&mut self, view: Result<JsValue, Fault>) -> Option<JsValue> {
        view.map_err(|fault| {
            self.replica.handle_fault(&fault);
            self.view_fault = Some(fault);
        })
        .ok()
    }

    fn note(&mut self) {
        let seq = self.replica.confirmed_at().map(|(seq, _)| seq);
        let digest = self.replica.machine().map(|machine| machine.digest());
        self.states.note((seq, digest, self.replica.pending()));
        if self.presence.value != *self.replica.presence() {
            self.presence.note(self.replica.presence().clone());
        }
    }

    fn try_apply(&mut self, json: &JsValue, now_us: u64, entropy: u64) -> Result<sync::Number, SubmitError> {
        let machine = self.replica.machine().ok_or(SubmitError::NotReady)?;
        let transition = match machine.encode_text(json) {
            Ok(transition) => transition,
            Err(CodecError::Refused(message)) => return Err(SubmitError::Rejected(Rejection::Malformed(message))),
            Err(CodecError::Fault(fault)) => {
                self.replica.handle_fault(&fault);
                return Err(SubmitError::Rejected(sync::ApplyError::Fault(fault).into()));
            }
        };
        self.replica.apply(transition, sync::Timestamp(now_us), entropy)
    }
}

/// A count that JavaScript holds exactly.
fn whole(number: f64) -> Result<u64, String> {
    if number.fract() == 0.0 && (0.0..=COUNT_MAX as f64).contains(&number) {
        Ok(number as u64)
    } else {
        Err(format!("{number} is not a whole number from 0 to {COUNT_MAX}"))
    }
}

fn reject(effects: &Effects, number: f64, why: &Rejection) {
    effects.rejected(number, why.kind(), &why.to_string(), rejection::conflict(why));
}
