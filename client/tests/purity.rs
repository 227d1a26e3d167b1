//! Proof that the driver knows no runtime and no browser. Besides the protocol, whose own test lists its dependencies, it depends on nothing
//! but bytes.

use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn nothing_but_the_protocol_is_depended_on() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for target in ["x86_64-unknown-linux-gnu", "wasm32-unknown-unknown"] {
        let tree = Command::new(&cargo)
            .args(["tree", "--offline", "--locked", "--package", "reapply-client-core", "--edges", "normal,build"])
            .args(["--target", target, "--prefix", "none", "--format", "{p}", "--depth", "1"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let text = String::from_utf8(tree.stdout).unwrap();
        let found: BTreeSet<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(found, BTreeSet::from(["bytes", "reapply-client-core", "reapply-sync"]), "for {target}");
    }
}
