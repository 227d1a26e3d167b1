//! The guests as built components, for the tests of every crate.
//!
//! ```no_run
//! let counter = std::fs::read(guest_components::component("counter")).unwrap();
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Returns the component of the guest in `guests/<name>` or `guests/fixtures/<name>`. It is built as `reapply build` does, once for each
/// process. cargo finds earlier builds, so only the first of all test runs takes long.
///
/// # Panics
///
/// The guest does not exist, or cannot be built: no test could go on.
#[must_use]
pub fn component(name: &str) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let built = built.get_or_insert_default();
    if let Some(path) = built.get(name) {
        return path.clone();
    }
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let candidates = [guests.join(name), guests.join("fixtures").join(name)];
    let dir = candidates.iter().find(|dir| dir.join("Cargo.toml").is_file());
    let dir = dir.unwrap_or_else(|| panic!("there is no guest named {name}"));
    let path = match reapply_component::build(dir) {
        Ok(component) => component.path,
        Err(error) => panic!("the guest {name} cannot be built: {error}"),
    };
    built.insert(name.to_owned(), path.clone());
    path
}
