//! `wit/machine.wit` at the root is the only contract: the bindings are made from it, and every copy must equal it.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_bindings_are_made_from_the_contract_at_the_root() {
    let bindings = fs::read_to_string(root().join("guest-sdk/src/bindings.rs")).unwrap();
    assert!(bindings.contains("path: \"../wit\""), "bindings.rs must name ../wit as its path");
    assert!(root().join("wit/machine.wit").is_file());
}

#[test]
fn every_copy_of_the_contract_is_equal_to_it() {
    let contract = fs::read(root().join("wit/machine.wit")).unwrap();
    for path in wit_files(&root()) {
        let holds_the_contract = fs::read_to_string(&path).unwrap().contains("package reapply:machine");
        assert!(!holds_the_contract || fs::read(&path).unwrap() == contract, "{} differs", path.display());
    }
}

fn wit_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let built =
            name.to_string_lossy().starts_with('.') || name == "target" || name == "node_modules" || name == "data";
        if entry.file_type().unwrap().is_dir() && !built {
            found.extend(wit_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "wit") {
            found.push(path);
        }
    }
    found
}
