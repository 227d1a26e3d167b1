//! A machine is checked with the libraries that it runs with: those that make its bytes and its JSON have the same features in both.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The libraries that determine bytes and JSON.
const DECIDING: [&str; 5] = ["imbl", "postcard", "ryu-js", "schemars", "serde_json"];

/// Returns the features of these libraries when only this package is built, as in its own folder.
fn features(package: &str, more: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "tree",
        "--offline",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p} {f}",
        "--package",
        package,
    ]);
    let output = command.args(more).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut features = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let mut words = line.trim_end_matches(" (*)").split_whitespace();
        let Some(name) = words.next().filter(|name| DECIDING.contains(name)) else { continue };
        let named = words.nth(1).unwrap_or_default();
        features.insert(name.to_owned(), named.split(',').map(str::to_owned).collect());
    }
    assert_eq!(features.len(), DECIDING.len(), "{package}: {features:?}");
    features
}

#[test]
fn check_links_what_components_link() {
    let component = features("counter", &["--target", "wasm32-unknown-unknown"]);
    assert!(component["serde_json"].contains("float_roundtrip"), "{component:?}");
    assert_eq!(features("reapply-check", &[]), component);
}
