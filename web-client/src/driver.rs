//! The driver, which the page's script owns: `js/reapply/` has the sockets, the timers and the promises.
//!
//! The driver's effects wait inside until [`Driver::drain`] passes them to [`Effects`]. Numbers are passed as doubles, since seqs, numbers
//! and microseconds stay below 2^53.

use reapply_client_core::limits::{BACKOFF_FIRST_MICROS, BACKOFF_MAX_MICROS};
use reapply_client_core::{self as core, Backoff, ConnectionId, MachineFailure, Role, WriteId, Written};
use reapply_sync::{Digest, Fault};
use wasm_bindgen::prelude::*;

use crate::arrival::Arrival;
use crate::effects::{Effects, note};
use crate::machine::{Component, ComponentMachine};
use crate::surroundings::{Entropy, with_now};

/// A page's side of one room.
#[wasm_bindgen]
pub struct Driver {
    driver: core::Driver<ComponentMachine>,
    entropy: Entropy,
    /// The reason why a view could not be made, until the page has read it.
    view_fault: Option<Fault>,
}

#[wasm_bindgen]
impl Driver {
    /// Creates a driver, which connects at once. `first_ms` and `max_ms` are the maximum waits before connecting again: the first one, and all
    /// others.
    #[wasm_bindgen(constructor)]
    pub fn new(is_courier: bool, first_ms: Option<f64>, max_ms: Option<f64>) -> Driver {
        let micros = |ms: Option<f64>, default: u64| ms.map_or(default, |ms| (ms * 1_000.0) as u64);
        let backoff = Backoff::new(micros(first_ms, BACKOFF_FIRST_MICROS), micros(max_ms, BACKOFF_MAX_MICROS));
        let role = if is_courier { Role::Courier } else { Role::Participant };
        let mut entropy = Entropy::new();
        let driver = with_now(&mut entropy, |now| core::Driver::new(role, backoff, now));
        Self { driver, entropy, view_fault: None }
    }

    /// Takes the client that an arrival has found.
    #[wasm_bindgen(js_name = handleIdentity)]
    pub fn handle_identity(&mut self, arrival: Arrival) {
        if let Some(identity) = arrival.into_identity() {
            with_now(&mut self.entropy, |now| self.driver.handle_identity(identity, now));
        }
    }

    /// Reports that another page is this client now.
    #[wasm_bindgen(js_name = handleIdentityLost)]
    pub fn handle_identity_lost(&mut self) {
        self.driver.handle_identity_lost();
    }

    /// Reports that a connection is open.
    #[wasm_bindgen(js_name = handleOpened)]
    pub fn handle_opened(&mut self, connection: f64) {
        with_now(&mut self.entropy, |now| self.driver.handle_opened(id(connection), now));
    }

    /// Passes a frame to the driver. When no more are waiting, call [`Driver::drain`].
    #[wasm_bindgen(js_name = handleFrame)]
    pub fn handle_frame(&mut self, connection: f64, frame: &[u8]) {
        with_now(&mut self.entropy, |now| self.driver.handle_frame(id(connection), frame, now));
    }

    /// Reports that a text has come, which the protocol does not have.
    #[wasm_bindgen(js_name = handleNonsense)]
    pub fn handle_nonsense(&mut self, connection: f64) {
        with_now(&mut self.entropy, |now| self.driver.handle_nonsense(id(connection), now));
    }

    /// Reports that a connection is gone, or could not be opened.
    #[wasm_bindgen(js_name = handleLost)]
    pub fn handle_lost(&mut self, connection: f64, why: Option<String>) {
        with_now(&mut self.entropy, |now| self.driver.handle_lost(id(connection), why, now));
    }

    /// Passes a build that was requested to the driver.
    #[wasm_bindgen(js_name = handleMachine)]
    pub fn handle_machine(&mut self, digest: &str, component: Component) {
        if let Ok(digest) = digest.parse() {
            self.driver.handle_machine(digest, ComponentMachine::new(digest, component));
        }
    }

    /// Reports that a build could not be loaded. `is_final` is whether it can never run in this browser.
    #[wasm_bindgen(js_name = handleMachineFailed)]
    pub fn handle_machine_failed(&mut self, digest: &str, why: String, is_final: bool) {
        let failure = if is_final { MachineFailure::Unusable(why) } else { MachineFailure::Unavailable(why) };
        if let Ok(digest) = digest.parse::<Digest>() {
            with_now(&mut self.entropy, |now| self.driver.handle_machine_failed(digest, failure, now));
        }
    }

    /// Reports the outcome of a write: whether it succeeded, or nothing if the store does not answer.
    #[wasm_bindgen(js_name = handleWritten)]
    pub fn handle_written(&mut self, write: f64, is_written: Option<bool>) {
        let written = match is_written {
            Some(true) => Written::Yes,
            Some(false) => Written::No,
            None => Written::Unknown,
        };
        with_now(&mut self.entropy, |now| self.driver.handle_written(WriteId(write as u64), written, now));
    }

    /// Reports that the store is open, for the first time or again.
    #[wasm_bindgen(js_name = handleStoreOpened)]
    pub fn handle_store_opened(&mut self) {
        self.driver.handle_store_opened();
    }

    /// Reports that the store was closed, or could not be opened.
    #[wasm_bindgen(js_name = handleStoreClosed)]
    pub fn handle_store_closed(&mut self) {
        with_now(&mut self.entropy, |now| self.driver.handle_store_closed(now));
    }

    /// Reports that the time of [`Driver::wake_at`] has come.
    #[wasm_bindgen(js_name = handleTimer)]
    pub fn handle_timer(&mut self) {
        with_now(&mut self.entropy, |now| self.driver.handle_timer(now));
    }

    /// Reports that the network or the page is back.
    #[wasm_bindgen(js_name = handleWake)]
    pub fn handle_wake(&mut self) {
        with_now(&mut self.entropy, |now| self.driver.handle_wake(now));
    }

    /// Returns the key of a client with undelivered transitions, if there is one. A courier must deliver them now.
    #[wasm_bindgen(js_name = handleOrphan)]
    pub fn handle_orphan(&mut self, key: Option<String>) {
        let key = key.and_then(|key| key.parse().ok());
        with_now(&mut self.entropy, |now| self.driver.handle_orphan(key, now));
    }

    /// Reports that the courier has left the room.
    #[wasm_bindgen(js_name = handleDelivered)]
    pub fn handle_delivered(&mut self) {
        self.driver.handle_delivered();
    }

    /// Returns the search for a client with undelivered transitions.
    #[wasm_bindgen(js_name = seekOrphan)]
    pub fn seek_orphan(&self, has_locks: bool) -> Arrival {
        Arrival::begin_orphan(self.driver.served().to_vec(), has_locks)
    }

    /// Leaves the room.
    #[wasm_bindgen(js_name = handleClose)]
    pub fn handle_close(&mut self) {
        with_now(&mut self.entropy, |now| self.driver.handle_close(now));
    }

    /// Applies a transition, or keeps it until the room is joined. Returns its ticket; nothing when the room is closed.
    pub fn apply(&mut self, json: &str) -> Option<f64> {
        with_now(&mut self.entropy, |now| self.driver.apply(json, now)).ok().map(|ticket| ticket.0 as f64)
    }

    /// Sends an ephemeral message. Returns `false` if it is too large or there is no connection.
    pub fn signal(&mut self, body: Vec<u8>) -> bool {
        self.driver.signal(body.into())
    }

    /// Passes on all effects that wait.
    pub fn drain(&mut self, effects: &Effects) {
        with_now(&mut self.entropy, |now| {
            while let Some(effect) = self.driver.poll_effect(now) {
                note(effects, effect);
            }
        });
    }

    /// Returns the time at which to call [`Driver::handle_timer`], in milliseconds of `performance.now()`.
    #[wasm_bindgen(js_name = wakeAt)]
    pub fn wake_at(&mut self) -> Option<f64> {
        self.driver.wake_at().map(|ticks| ticks.0 as f64 / 1_000.0)
    }

    /// Returns the optimistic view, as a string of JSON. Nothing if there is no state, or the machine could not show it.
    #[wasm_bindgen(unchecked_return_type = "string | undefined")]
    pub fn view(&mut self) -> Option<JsValue> {
        let (machine, state) = self.driver.optimistic()?;
        let view = machine.view(state);
        self.viewed(view)
    }

    /// Returns the confirmed view in the same way.
    #[wasm_bindgen(js_name = confirmedView, unchecked_return_type = "string | undefined")]
    pub fn confirmed_view(&mut self) -> Option<JsValue> {
        let (machine, state) = self.driver.confirmed()?;
        let view = machine.view(state);
        self.viewed(view)
    }

    /// Returns the reason why the last view could not be made, once. The machine has faulted, which is not a divergence. The next drain requests
    /// a snapshot.
    #[wasm_bindgen(js_name = takeViewFault)]
    pub fn take_view_fault(&mut self) -> Option<String> {
        self.view_fault.take().map(|fault| fault.to_string())
    }

    /// Returns a number that changes when anything that a page can see changes.
    pub fn revision(&self) -> u32 {
        self.driver.revision()
    }

    /// Returns a number that changes when a view may have changed.
    #[wasm_bindgen(js_name = statesRevision)]
    pub fn states_revision(&self) -> u32 {
        self.driver.states_revision()
    }

    /// Returns a number that changes when the room's participants change.
    #[wasm_bindgen(js_name = presenceRevision)]
    pub fn presence_revision(&self) -> u32 {
        self.driver.presence_revision()
    }

    /// Returns the page's status in the room.
    #[wasm_bindgen(unchecked_return_type = "Status")]
    pub fn status(&self) -> String {
        self.driver.status().name().to_owned()
    }

    /// Returns the reason why the room is closed, or why the page is not connected.
    pub fn reason(&self) -> Option<String> {
        self.driver.reason().map(str::to_owned)
    }

    /// Returns the number of bytes of the room's state that have arrived, and the total, while it arrives in parts.
    pub fn arriving(&self) -> Option<Vec<f64>> {
        self.driver.arriving().map(|(received, bytes)| vec![received as f64, bytes as f64])
    }

    /// Returns the number of transitions without an outcome.
    pub fn pending(&self) -> usize {
        self.driver.pending()
    }

    /// Returns whether pending transitions survive the page.
    #[wasm_bindgen(js_name = isDurable)]
    pub fn is_durable(&self) -> bool {
        self.driver.is_durable()
    }

    /// Returns the last confirmed event's seq.
    pub fn seq(&self) -> f64 {
        let confirmed = self.driver.replica().and_then(|replica| replica.confirmed_at());
        confirmed.map_or(0.0, |(seq, _)| seq.0 as f64)
    }

    /// Returns the digest of the build that runs.
    pub fn digest(&self) -> Option<String> {
        self.driver.digest().map(|digest| digest.to_string())
    }

    /// Returns the author of the page's transitions.
    pub fn participant(&self) -> Option<String> {
        self.driver.replica()?.participant().map(ToString::to_string)
    }

    /// Returns the participants that the room names.
    pub fn participants(&self) -> Vec<String> {
        let Some(replica) = self.driver.replica() else { return Vec::new() };
        replica.presence().participants.iter().map(ToString::to_string).collect()
    }

    /// Returns the number of participants.
    #[wasm_bindgen(js_name = participantCount)]
    pub fn participant_count(&self) -> f64 {
        self.driver.replica().map_or(0.0, |replica| replica.presence().count as f64)
    }

    /// Returns the round-trip time to the host in milliseconds.
    pub fn latency(&self) -> Option<f64> {
        self.driver.latency_micros().map(|micros| micros / 1_000.0)
    }

    /// Returns the host's time, in milliseconds since the Unix epoch.
    pub fn now(&mut self) -> f64 {
        with_now(&mut self.entropy, |now| self.driver.time(now)).0 as f64 / 1_000.0
    }
}

impl Driver {
    fn viewed(&mut self, view: Result<JsValue, Fault>) -> Option<JsValue> {
        view.map_err(|fault| {
            self.driver.handle_fault(&fault);
            self.view_fault = Some(fault);
        })
        .ok()
    }
}

fn id(connection: f64) -> ConnectionId {
    ConnectionId(connection as u64)
}
