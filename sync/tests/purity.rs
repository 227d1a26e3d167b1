//! The protocol uses no runtime, no server and no engine. The proof is its dependencies, as Cargo resolves them.

use std::collections::BTreeSet;
use std::process::Command;

/// Everything that this crate may be built from, also for the browser. Additions are made here knowingly.
const ALLOWED: [&str; 25] = [
    "arrayref",
    "arrayvec",
    "blake3",
    "bytes",
    "cc",
    "cfg-if",
    "cobs",
    "constant_time_eq",
    "cpufeatures",
    "find-msvc-tools",
    "libc",
    "postcard",
    "proc-macro2",
    "quote",
    "reapply-sync",
    "serde",
    "serde_core",
    "serde_derive",
    "shlex",
    "syn",
    "thiserror",
    "thiserror-impl",
    "unicode-ident",
    "embedded-io",
    "heapless",
];

#[test]
fn nothing_impure_is_depended_on() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for target in ["x86_64-unknown-linux-gnu", "wasm32-unknown-unknown"] {
        let tree = Command::new(&cargo)
            .args(["tree", "--offline", "--locked", "--package", "reapply-sync", "--edges", "normal,build"])
            .args(["--target", target, "--prefix", "none", "--format", "{p}"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let text = String::from_utf8(tree.stdout).unwrap();
        let found: BTreeSet<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert!(found.contains("reapply-sync") && found.contains("postcard"), "cargo tree told nothing: {text}");
        for forbidden in ["tokio", "axum", "wasmtime", "wasm-bindgen", "js-sys", "web-sys", "rand", "getrandom"] {
            assert!(!found.contains(forbidden), "reapply-sync depends on {forbidden} for {target}");
        }
        let unknown: Vec<_> = found.iter().filter(|name| !ALLOWED.contains(name)).collect();
        assert!(unknown.is_empty(), "new dependencies for {target}: {unknown:?}; if they are pure, name them here");
    }
}
