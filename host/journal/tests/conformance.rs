//! SQLite meets the requirements for every engine. They are run from outside of the crate, as another engine's crate runs them.

use std::sync::Arc;

use reapply_journal::conformance::Shared;
use reapply_journal::{SqliteJournal, conformance};
use tempfile::TempDir;

conformance!(open_new);

async fn open_new() -> (TempDir, Shared) {
    let directory = tempfile::tempdir().unwrap();
    let opened = SqliteJournal::open(directory.path()).unwrap();
    assert_eq!(opened.warnings, Vec::<String>::new());
    (directory, Arc::new(opened.journal))
}
