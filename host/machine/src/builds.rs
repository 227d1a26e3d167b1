//! The builds that a log needs, ready for a replay.

use std::collections::HashMap;

use reapply_sync::Digest;

use super::component::Build;
use super::engine::Stack;
use super::instance::Instance;

/// Builds by digest, from which a [`Replay`](reapply_sync::Replay) takes its machines.
#[derive(Clone, Default)]
pub struct Builds {
    by_digest: HashMap<Digest, Build>,
}

impl Builds {
    /// Adds a build.
    pub fn insert(&mut self, build: Build) {
        self.by_digest.insert(build.digest(), build);
    }

    /// Removes a build. Its running machines continue.
    pub fn remove(&mut self, digest: Digest) {
        self.by_digest.remove(&digest);
    }

    /// Returns the build with this digest, if it is among them.
    #[must_use]
    pub fn get(&self, digest: Digest) -> Option<&Build> {
        self.by_digest.get(&digest)
    }

    /// Starts a machine of the build with this digest.
    ///
    /// # Errors
    ///
    /// The build is not among them, or does not start.
    pub fn start(&self, digest: Digest, stack: Stack) -> Result<Instance, String> {
        let build = self.get(digest).ok_or_else(|| "it is not at hand".to_owned())?;
        build.instantiate_with(stack).map_err(|fault| fault.to_string())
    }
}

impl Extend<Build> for Builds {
    fn extend<T: IntoIterator<Item = Build>>(&mut self, builds: T) {
        builds.into_iter().for_each(|build| self.insert(build));
    }
}
