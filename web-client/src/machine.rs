//! A [`Machine`] whose code runs in the page: a component that `js/reapply/component.js` has instantiated.
//!
//! Only handles cross between the two modules: a state is a JavaScript object that stands for one inside the machine's own memory.

use bytes::Bytes;
use js_sys::{Error, Reflect};
use reapply_sync::{
    Alarm, ApplyError, CodecError, Digest, Event, Fault, Input, LoadError, Machine, Refusal, Timestamp,
};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// One instance of a component: `Component` of `js/reapply/component.js`.
    #[derive(Clone)]
    pub type Component;

    /// A state of that instance.
    pub type StateHandle;

    /// An alarm, as the component's module gives it.
    type AlarmRecord;

    #[wasm_bindgen(method, getter, js_name = stateVersion)]
    fn state_version(this: &Component) -> u32;
    #[wasm_bindgen(method, getter)]
    fn membership(this: &Component) -> bool;
    #[wasm_bindgen(method, catch)]
    fn create(this: &Component, options: &str) -> Result<StateHandle, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn restore(this: &Component, snapshot: &[u8], state_version: u32) -> Result<StateHandle, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn apply(
        this: &Component,
        state: &StateHandle,
        seq: u64,
        time: u64,
        entropy: u64,
        kind: u8,
        author: &str,
        transition: &[u8],
    ) -> Result<StateHandle, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn encode(this: &Component, json: &JsValue) -> Result<Vec<u8>, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn decode(this: &Component, transition: &[u8]) -> Result<String, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn reset(this: &Component) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch)]
    fn snapshot(this: &StateHandle) -> Result<Vec<u8>, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn alarm(this: &StateHandle) -> Result<Option<AlarmRecord>, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn view(this: &StateHandle) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn dispose(this: &StateHandle) -> Result<(), JsValue>;

    #[wasm_bindgen(method, getter)]
    fn at(this: &AlarmRecord) -> u64;
    #[wasm_bindgen(method, getter)]
    fn transition(this: &AlarmRecord) -> Vec<u8>;
}

/// One build of a machine, running in this page.
pub struct ComponentMachine {
    digest: Digest,
    component: Component,
    /// A fault that the replica has not seen, since it came while the page looked at a state. The next use reports it.
    fault: Option<Fault>,
}

/// A state; dropping it frees it inside the machine.
pub struct State(StateHandle);

impl Drop for State {
    fn drop(&mut self) {
        // A machine that has broken off cannot free its states. They went with it.
        let _ = self.0.dispose();
    }
}

impl ComponentMachine {
    /// The machine that `component` runs; its bytes have this digest.
    #[must_use]
    pub fn new(digest: Digest, component: Component) -> Self {
        Self { digest, component, fault: None }
    }

    /// The build.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What user interfaces see of `state`: a JavaScript string of JSON.
    ///
    /// # Errors
    ///
    /// The machine faults; its next use will say so again.
    pub fn view(&mut self, state: &State) -> Result<JsValue, Fault> {
        self.usable()?;
        state.0.view().map_err(|thrown| self.fault.insert(fault(&thrown)).clone())
    }

    /// The transition that `json`, a JavaScript string, describes.
    ///
    /// # Errors
    ///
    /// It describes none, or the machine faults.
    pub fn encode_text(&mut self, json: &JsValue) -> Result<Bytes, CodecError> {
        self.usable()?;
        self.component.encode(json).map(Bytes::from).map_err(|thrown| codec_error(&thrown))
    }

    fn usable(&self) -> Result<(), Fault> {
        self.fault.clone().map_or(Ok(()), Err)
    }
}

impl Machine for ComponentMachine {
    type State = State;

    fn create(&mut self, options: &str) -> Result<State, LoadError> {
        self.usable()?;
        self.component.create(options).map(State).map_err(|thrown| load_error(&thrown))
    }

    fn restore(&mut self, snapshot: &[u8], state_version: u32) -> Result<State, LoadError> {
        self.usable()?;
        self.component.restore(snapshot, state_version).map(State).map_err(|thrown| load_error(&thrown))
    }

    fn apply(&mut self, state: &State, event: &Event) -> Result<State, ApplyError> {
        self.usable()?;
        let (kind, author, transition): (_, &str, &[u8]) = match &event.input {
            Input::Transition { author, transition, .. } => (0, &author.0, transition),
            Input::Alarm(transition) => (1, "", transition),
            Input::Joined(author) => (2, &author.0, &[]),
            Input::Left(author) => (3, &author.0, &[]),
            Input::Upgraded(_) | Input::Checkpoint { .. } | Input::Forked { .. } => {
                return Err(Refusal::not_for_machines().into());
            }
        };
        self.component
            .apply(&state.0, event.seq.0, event.time.0, event.entropy, kind, author, transition)
            .map(State)
            .map_err(|thrown| apply_error(&thrown))
    }

    fn snapshot(&mut self, state: &State) -> Result<Bytes, Fault> {
        self.usable()?;
        state.0.snapshot().map(Bytes::from).map_err(|thrown| fault(&thrown))
    }

    fn alarm(&mut self, state: &State) -> Result<Option<Alarm>, Fault> {
        self.usable()?;
        let alarm = state.0.alarm().map_err(|thrown| fault(&thrown))?;
        Ok(alarm.map(|alarm| Alarm { at: Timestamp(alarm.at()), transition: alarm.transition().into() }))
    }

    fn encode(&mut self, json: &str) -> Result<Bytes, CodecError> {
        self.encode_text(&JsValue::from_str(json))
    }

    fn decode(&mut self, transition: &[u8]) -> Result<String, CodecError> {
        self.usable()?;
        self.component.decode(transition).map_err(|thrown| codec_error(&thrown))
    }

    fn state_version(&self) -> u32 {
        self.component.state_version()
    }

    fn membership(&self) -> bool {
        self.component.membership()
    }

    fn reset(&mut self) -> Result<(), Fault> {
        self.component.reset().map_err(|thrown| fault(&thrown))?;
        self.fault = None;
        Ok(())
    }
}

/// What the machine returned as an error: the component's module throws it wrapped. Anything else that is thrown is a fault.
fn payload(thrown: &JsValue) -> Option<JsValue> {
    Reflect::get(thrown, &"payload".into()).ok().filter(|payload| !payload.is_undefined())
}

fn load_error(thrown: &JsValue) -> LoadError {
    match payload(thrown) {
        Some(payload) => LoadError::Refused(text(&payload)),
        None => LoadError::Fault(fault(thrown)),
    }
}

fn codec_error(thrown: &JsValue) -> CodecError {
    match payload(thrown) {
        Some(payload) => CodecError::Refused(text(&payload)),
        None => CodecError::Fault(fault(thrown)),
    }
}

fn apply_error(thrown: &JsValue) -> ApplyError {
    let Some(payload) = payload(thrown) else { return ApplyError::Fault(fault(thrown)) };
    let field = |name: &str| Reflect::get(&payload, &name.into()).map(|value| text(&value)).unwrap_or_default();
    let refusal = if field("tag") == "conflict" { Refusal::Conflict } else { Refusal::Malformed };
    refusal(field("val")).into()
}

fn fault(thrown: &JsValue) -> Fault {
    let message = thrown.dyn_ref::<Error>().map(|error| error.message().into()).unwrap_or_else(|| text(thrown));
    Fault::Trapped(message)
}

fn text(value: &JsValue) -> String {
    value.as_string().unwrap_or_default()
}
