//! The compiled builds that are kept at hand, by digest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reapply_sync::Digest;
use tokio::sync::OnceCell;

use super::component::Build;
use super::limits::{BUILDS_LOADED_BYTES_MAX, BUILDS_LOADED_MAX};

/// Builds in use, or used lately. A cell's first user compiles, and the others wait for it.
///
/// Builds that nobody uses are dropped when there are too many builds, or when these have too many bytes: those first that were unused for longest.
/// Builds that rooms run are memory of theirs, whether they are kept here or not.
pub struct LoadedBuilds {
    entries: Mutex<Entries>,
    count_max: usize,
    bytes_max: usize,
}

/// A place for one build.
pub type BuildCell = Arc<OnceCell<Build>>;

#[derive(Default)]
struct Entries {
    by_digest: HashMap<Digest, Entry>,
    /// The number of uses so far.
    uses: u64,
}

struct Entry {
    cell: BuildCell,
    /// The number of the last use.
    used: u64,
}

impl Default for LoadedBuilds {
    fn default() -> Self {
        Self::within(BUILDS_LOADED_MAX, BUILDS_LOADED_BYTES_MAX)
    }
}

impl LoadedBuilds {
    fn within(count_max: usize, bytes_max: usize) -> Self {
        Self { entries: Mutex::default(), count_max, bytes_max }
    }

    /// Returns the cell of the build with this digest.
    pub fn cell(&self, digest: Digest) -> BuildCell {
        let mut entries = self.lock();
        entries.uses += 1;
        let used = entries.uses;
        let entry = entries.by_digest.entry(digest).or_insert_with(|| Entry { cell: BuildCell::default(), used });
        entry.used = used;
        let cell = Arc::clone(&entry.cell);
        self.trim(&mut entries);
        cell
    }

    /// Drops builds until the others are within the limits. The last build that was loaded may be one of them.
    pub fn drop_unused(&self) {
        self.trim(&mut self.lock());
    }

    fn trim(&self, entries: &mut Entries) {
        loop {
            let unused = || entries.by_digest.iter().filter(|(_, entry)| entry.is_unused());
            let bytes: usize = unused().map(|(_, entry)| entry.bytes()).sum();
            let count = entries.by_digest.len();
            if count <= self.count_max && bytes <= self.bytes_max {
                return;
            }
            // If all are in use, some build is soon read from the compile cache again.
            let oldest = unused().min_by_key(|(_, entry)| entry.used).or_else(|| {
                let loaded = entries.by_digest.iter().filter(|(_, entry)| Arc::strong_count(&entry.cell) == 1);
                loaded.min_by_key(|(_, entry)| entry.used)
            });
            let Some(oldest) = oldest.map(|(digest, _)| *digest) else { return };
            entries.by_digest.remove(&oldest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Returns whether nobody is loading the build, and nobody runs it.
    fn is_unused(&self) -> bool {
        Arc::strong_count(&self.cell) == 1 && self.cell.get().is_none_or(|build| !build.is_shared())
    }

    fn bytes(&self) -> usize {
        self.cell.get().map_or(0, |build| build.component().len())
    }
}

#[cfg(test)]
mod tests {
    use reapply_testing::machine_wat::MachineWat;

    use super::*;
    use crate::Engine;

    /// Builds with different data of 1,000 bytes each.
    fn builds(count: usize) -> Vec<Build> {
        let engine = Engine::new(None).unwrap();
        let build = |number: usize| {
            let more = format!("(data $filler \"{number:01000}\")").leak();
            Build::load(&engine, MachineWat { more, ..MachineWat::default() }.component().into()).unwrap()
        };
        (0..count).map(build).collect()
    }

    fn load(loaded: &LoadedBuilds, build: Build) -> Digest {
        let digest = build.digest();
        assert!(loaded.cell(digest).set(build).is_ok());
        loaded.drop_unused();
        digest
    }

    fn is_loaded(loaded: &LoadedBuilds, digest: Digest) -> bool {
        loaded.lock().by_digest.contains_key(&digest)
    }

    #[test]
    fn builds_that_nobody_uses_are_kept_within_their_bytes() {
        let builds = builds(4);
        let bytes = builds[0].component().len();
        let loaded = LoadedBuilds::within(100, 2 * bytes + 100);
        let mut builds = builds.into_iter();
        let running = builds.next().unwrap();
        let first = load(&loaded, running.clone());
        let [second, third] = [(); 2].map(|()| load(&loaded, builds.next().unwrap()));
        assert!([first, second, third].iter().all(|digest| is_loaded(&loaded, *digest)), "one that runs counts");
        loaded.cell(second);
        let fourth = load(&loaded, builds.next().unwrap());
        assert!([first, second, fourth].iter().all(|digest| is_loaded(&loaded, *digest)));
        assert!(!is_loaded(&loaded, third), "the one that was unused for longest is kept");
        drop(running);
        loaded.drop_unused();
        assert!(!is_loaded(&loaded, first));
    }

    #[test]
    fn builds_are_kept_within_their_number_whether_they_are_used_or_not() {
        let loaded = LoadedBuilds::within(2, usize::MAX);
        let builds = builds(3);
        let digests: Vec<Digest> = builds.iter().map(|build| load(&loaded, build.clone())).collect();
        assert_eq!(digests.iter().map(|digest| is_loaded(&loaded, *digest)).collect::<Vec<_>>(), [false, true, true]);
        // One that is being loaded stays.
        let loading = loaded.cell(digests[0]);
        loaded.drop_unused();
        assert!(is_loaded(&loaded, digests[0]));
        drop(loading);
    }
}
