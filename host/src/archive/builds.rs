//! The builds inside an export.

use std::cell::RefCell;
use std::rc::Rc;

use reapply_machine::{Builds, Deployment, Engine, Instance, Stack};
use reapply_sync::{Digest, Replay};

use super::components::Components;
use super::finding::Finding;

/// A replay that takes its builds from an export.
pub(super) type ExportReplay = Replay<Instance, Box<dyn FnMut(Digest) -> Result<Instance, String>>>;

/// The builds of an export that a reader has at hand.
pub(super) struct ExportBuilds {
    engine: Engine,
    /// The builds, shared with replays that began before all of them were read.
    builds: Rc<RefCell<Builds>>,
    components: Components,
}

impl ExportBuilds {
    pub(super) fn new(engine: &Engine) -> Self {
        Self { engine: engine.clone(), builds: Rc::default(), components: Components::default() }
    }

    /// Checks a component as a deployment does, since an export may come from anywhere.
    pub(super) fn add(&mut self, digest: Digest, component: &[u8]) -> Result<Deployment, Finding> {
        let wrong = |why: String| Finding::Component { digest, why };
        for dropped in self.components.add(digest, component.len()).map_err(wrong)? {
            // A running machine keeps its own build.
            self.builds.borrow_mut().remove(dropped);
        }
        let deployment = reapply_machine::check(&self.engine, component).map_err(|error| wrong(error.to_string()))?;
        if deployment.build.digest() != digest {
            return Err(wrong("it is not canonical, as all are that a host has deployed".to_owned()));
        }
        self.builds.borrow_mut().insert(deployment.build.clone());
        Ok(deployment)
    }

    /// Returns a function that gives a replay its machines.
    pub(super) fn source(&self) -> Box<dyn FnMut(Digest) -> Result<Instance, String>> {
        let builds = Rc::clone(&self.builds);
        Box::new(move |digest| builds.borrow().start(digest, Stack::Replaying))
    }
}
