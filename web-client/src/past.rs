//! Past states, rebuilt in the page: `js/reapply/past.ts` fetches the records, and loads the builds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use reapply_client_core::limits::KEPT_BYTES_MAX;
use reapply_client_core::stretches::{Builds, Stretches};
use reapply_sync::{Digest, Past, Seq, Timestamp};
use wasm_bindgen::prelude::*;

use crate::machine::{Component, ComponentMachine};

/// The past moments of one room that a page looks at.
#[wasm_bindgen]
pub struct Moments {
    stretches: Stretches<ComponentMachine>,
    components: Rc<RefCell<BTreeMap<Digest, Component>>>,
    shown: Option<(Timestamp, JsValue)>,
}

#[wasm_bindgen]
impl Moments {
    /// Creates an empty store of moments.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "JavaScript makes it")]
    #[wasm_bindgen(constructor)]
    pub fn new() -> Moments {
        let components = Rc::<RefCell<BTreeMap<Digest, Component>>>::default();
        let loaded = Rc::clone(&components);
        let builds: Builds<ComponentMachine> = Rc::new(move |digest| {
            let component = loaded.borrow().get(&digest).cloned();
            component
                .map(|component| ComponentMachine::new(digest, component))
                .ok_or_else(|| "it was not loaded".to_owned())
        });
        Self { stretches: Stretches::new(builds, KEPT_BYTES_MAX), components, shown: None }
    }

    /// Returns whether everything for the moment at `seq` is here.
    #[must_use]
    pub fn has(&self, seq: f64) -> bool {
        self.stretches.has(Seq(seq as u64))
    }

    /// Returns the last event before `seq` up to which there are records here.
    #[must_use]
    pub fn nearest(&self, seq: f64) -> Option<f64> {
        self.stretches.nearest(Seq(seq as u64)).map(|seq| seq.0 as f64)
    }

    /// Takes the host's answer to a page that holds the events up to `held`, and returns the seq of the requested moment.
    ///
    /// # Errors
    ///
    /// The answer is not a part of a room's past, or does not continue the one that is here.
    pub fn take(&mut self, bytes: &[u8], held: Option<f64>) -> Result<f64, JsError> {
        let past = Past::decode(bytes)?;
        let asked = self.stretches.take(past, held.map(|held| Seq(held as u64)));
        asked.map(|seq| seq.0 as f64).map_err(|why| JsError::new(&why))
    }

    /// Returns the builds that the moment at `seq` needs and that are not here.
    #[wasm_bindgen(js_name = missingBuilds)]
    #[must_use]
    pub fn missing_builds(&self, seq: f64) -> Vec<String> {
        let components = self.components.borrow();
        let builds = self.stretches.builds(Seq(seq as u64)).into_iter();
        builds.filter(|digest| !components.contains_key(digest)).map(|digest| digest.to_string()).collect()
    }

    /// Adds one of those builds.
    ///
    /// # Errors
    ///
    /// The text is not a digest.
    #[wasm_bindgen(js_name = addBuild)]
    pub fn add_build(&mut self, digest: &str, component: Component) -> Result<(), JsError> {
        let digest = digest.parse().map_err(|_| JsError::new(&format!("{digest} is not a digest")))?;
        self.components.borrow_mut().insert(digest, component);
        Ok(())
    }

    /// Replays up to `events_max` events towards the moment at `seq`. Returns `true` when it is reached. Until then, call it again.
    ///
    /// # Errors
    ///
    /// The moment cannot be rebuilt here. Start again with an empty store then.
    pub fn replay(&mut self, seq: f64, events_max: usize) -> Result<bool, JsError> {
        let reached = self.stretches.replay(Seq(seq as u64), events_max).map_err(|why| JsError::new(&why))?;
        let Some((machine, state, time)) = reached else { return Ok(false) };
        self.shown = Some((time, machine.view(state)?));
        Ok(true)
    }

    /// Returns the time of the last moment that was reached, in microseconds.
    #[must_use]
    pub fn time(&self) -> f64 {
        self.shown.as_ref().map_or(0.0, |(time, _)| time.0 as f64)
    }

    /// Returns the view of that moment, as a string of JSON.
    #[must_use]
    #[wasm_bindgen(unchecked_return_type = "string | undefined")]
    pub fn view(&self) -> Option<JsValue> {
        self.shown.as_ref().map(|(_, view)| view.clone())
    }
}
