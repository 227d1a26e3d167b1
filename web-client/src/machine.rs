//! A [`Machine`] whose code runs in the page: a component that `js/reapply/adapter.ts` has started.
//!
//! Only numbers are passed between the two modules: states as the numbers that the machine itself has given them, and bytes as places in this
//! module's memory, from which the adapter copies them. Calls do not throw, so they avoid the cost of exceptions.

use std::rc::Rc;

use bytes::Bytes;
use js_sys::Error;
use reapply_sync::{
    Alarm, ApplyError, CodecError, Digest, Event, Fault, Input, LoadError, Machine, Refusal, Timestamp,
};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// A machine that was loaded: `Component` of `js/reapply/component.ts`.
    #[wasm_bindgen(typescript_type = "Component")]
    #[derive(Clone)]
    pub type Component;

    #[wasm_bindgen(method, getter, js_name = stateVersion)]
    fn state_version(this: &Component) -> u32;
    #[wasm_bindgen(method, getter)]
    fn membership(this: &Component) -> bool;
    #[wasm_bindgen(method, getter)]
    fn instance(this: &Component) -> Instance;
    #[wasm_bindgen(method, catch)]
    fn reset(this: &Component) -> Result<(), JsValue>;

    /// The running instance: `Instance` of `js/reapply/adapter.ts`.
    type Instance;

    #[wasm_bindgen(method)]
    fn create(this: &Instance, options: *const u8, length: usize) -> f64;
    #[wasm_bindgen(method)]
    fn restore(this: &Instance, snapshot: *const u8, length: usize, state_version: u32) -> f64;
    #[wasm_bindgen(method)]
    fn apply(
        this: &Instance,
        state: u32,
        seq: i64,
        time: i64,
        entropy: i64,
        kind: u32,
        part: *const u8,
        length: usize,
        part2: *const u8,
        length2: usize,
    ) -> f64;
    #[wasm_bindgen(method)]
    fn encode(this: &Instance, json: &JsValue) -> Option<Vec<u8>>;
    #[wasm_bindgen(method)]
    fn decode(this: &Instance, transition: *const u8, length: usize) -> Option<String>;
    #[wasm_bindgen(method)]
    fn snapshot(this: &Instance, state: u32) -> Option<Vec<u8>>;
    #[wasm_bindgen(method)]
    fn alarm(this: &Instance, state: u32) -> f64;
    #[wasm_bindgen(method)]
    fn view(this: &Instance, state: u32) -> JsValue;
    #[wasm_bindgen(method)]
    fn dispose(this: &Instance, state: u32);

    #[wasm_bindgen(method, getter)]
    fn why(this: &Instance) -> String;
    #[wasm_bindgen(method, getter)]
    fn refusal(this: &Instance) -> u32;
    #[wasm_bindgen(method, getter, js_name = isBroken)]
    fn is_broken(this: &Instance) -> bool;
    #[wasm_bindgen(method, getter, js_name = alarmAt)]
    fn alarm_at(this: &Instance) -> u64;
    #[wasm_bindgen(method, getter, js_name = alarmTransition)]
    fn alarm_transition(this: &Instance) -> Vec<u8>;
}

/// The result of a call that was refused, instead of a state.
const REFUSED: f64 = -1.0;

/// The case `conflict` of the contract's `rejection`.
const CONFLICT: u32 = 1;

/// One build of a machine, running in this page.
pub struct ComponentMachine {
    digest: Digest,
    component: Component,
    instance: Rc<Instance>,
}

/// A state. Dropping it frees it inside the machine.
pub struct State {
    instance: Rc<Instance>,
    number: u32,
}

impl Drop for State {
    fn drop(&mut self) {
        // A machine that has faulted need not free a state: all of its states are gone.
        self.instance.dispose(self.number);
    }
}

impl ComponentMachine {
    /// Creates the machine that `component` runs. The component's bytes have this digest.
    #[must_use]
    pub fn new(digest: Digest, component: Component) -> Self {
        Self { digest, instance: Rc::new(component.instance()), component }
    }

    /// Returns the digest of the build.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the view of `state`: a JavaScript string of JSON.
    ///
    /// # Errors
    ///
    /// The machine faults. Each further use fails with the same fault.
    pub fn view(&self, state: &State) -> Result<JsValue, Fault> {
        let view = self.instance.view(state.number);
        if view.is_undefined() { Err(self.trapped()) } else { Ok(view) }
    }

    /// Returns the transition that `json`, a JavaScript string, describes.
    ///
    /// # Errors
    ///
    /// The text does not describe a transition, or the machine faults.
    pub fn encode_text(&self, json: &JsValue) -> Result<Bytes, CodecError> {
        self.instance.encode(json).map(Bytes::from).ok_or_else(|| self.codec_error())
    }

    /// Returns the state that a call has returned, or else the call's result.
    fn state(&self, answer: f64) -> Result<State, f64> {
        if answer < 0.0 {
            Err(answer)
        } else {
            Ok(State { instance: Rc::clone(&self.instance), number: answer as u32 })
        }
    }

    fn load_error(&self, answer: f64) -> LoadError {
        if answer == REFUSED { LoadError::Refused(self.instance.why()) } else { LoadError::Fault(self.trapped()) }
    }

    fn codec_error(&self) -> CodecError {
        if self.instance.is_broken() {
            CodecError::Fault(self.trapped())
        } else {
            CodecError::Refused(self.instance.why())
        }
    }

    fn trapped(&self) -> Fault {
        Fault::Trapped(self.instance.why())
    }
}

impl Machine for ComponentMachine {
    type State = State;

    fn create(&mut self, options: &str) -> Result<State, LoadError> {
        let answer = self.instance.create(options.as_ptr(), options.len());
        self.state(answer).map_err(|answer| self.load_error(answer))
    }

    fn restore(&mut self, snapshot: &[u8], state_version: u32) -> Result<State, LoadError> {
        let answer = self.instance.restore(snapshot.as_ptr(), snapshot.len(), state_version);
        self.state(answer).map_err(|answer| self.load_error(answer))
    }

    fn apply(&mut self, state: &State, event: &Event) -> Result<State, ApplyError> {
        let (kind, part, part2): (_, &[u8], &[u8]) = match &event.input {
            Input::Transition { author, transition, .. } => (0, author.0.as_bytes(), transition),
            Input::Alarm(transition) => (1, transition, &[]),
            Input::Joined(author) => (2, author.0.as_bytes(), &[]),
            Input::Left(author) => (3, author.0.as_bytes(), &[]),
            Input::Upgraded(_) | Input::Checkpoint { .. } | Input::Forked { .. } => {
                return Err(Refusal::not_for_machines().into());
            }
        };
        let answer = self.instance.apply(
            state.number,
            event.seq.0.cast_signed(),
            event.time.0.cast_signed(),
            event.entropy.cast_signed(),
            kind,
            part.as_ptr(),
            part.len(),
            part2.as_ptr(),
            part2.len(),
        );
        self.state(answer).map_err(|answer| match answer {
            REFUSED if self.instance.refusal() == CONFLICT => Refusal::Conflict(self.instance.why()).into(),
            REFUSED => Refusal::Malformed(self.instance.why()).into(),
            _ => ApplyError::Fault(self.trapped()),
        })
    }

    fn snapshot(&mut self, state: &State) -> Result<Bytes, Fault> {
        self.instance.snapshot(state.number).map(Bytes::from).ok_or_else(|| self.trapped())
    }

    fn alarm(&mut self, state: &State) -> Result<Option<Alarm>, Fault> {
        match self.instance.alarm(state.number) {
            0.0 => Ok(None),
            answer if answer < 0.0 => Err(self.trapped()),
            _ => Ok(Some(Alarm {
                at: Timestamp(self.instance.alarm_at()),
                transition: self.instance.alarm_transition().into(),
            })),
        }
    }

    fn encode(&mut self, json: &str) -> Result<Bytes, CodecError> {
        self.encode_text(&JsValue::from_str(json))
    }

    fn decode(&mut self, transition: &[u8]) -> Result<String, CodecError> {
        self.instance.decode(transition.as_ptr(), transition.len()).ok_or_else(|| self.codec_error())
    }

    fn state_version(&self) -> u32 {
        self.component.state_version()
    }

    fn membership(&self) -> bool {
        self.component.membership()
    }

    fn reset(&mut self) -> Result<(), Fault> {
        self.component.reset().map_err(|thrown| fault(&thrown))?;
        self.instance = Rc::new(self.component.instance());
        Ok(())
    }
}

fn fault(thrown: &JsValue) -> Fault {
    let message = thrown.dyn_ref::<Error>().map(|error| error.message().into()).or_else(|| thrown.as_string());
    Fault::Trapped(message.unwrap_or_default())
}
