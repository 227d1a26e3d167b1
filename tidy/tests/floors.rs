//! No crate depends on one above its floor.

use std::process::Command;

use reapply_tidy::workspace;

/// The engine, the network and the database: what makes a host of a library.
const HOST: [&str; 6] = ["wasmtime", "cranelift-codegen", "tokio", "axum", "hyper", "rusqlite"];

/// Crates that must be built without a host, their tests included.
const WITHOUT_HOST: [&str; 8] = [
    "reapply-sync",
    "reapply-client-core",
    "reapply-simulation",
    "reapply-guest",
    "reapply-check",
    "reapply-component",
    "guest-components",
    "reapply-web",
];

#[test]
fn crates_below_the_host_are_built_without_it() {
    for package in WITHOUT_HOST {
        let packages = dependencies(package);
        let above: Vec<_> = HOST.iter().filter(|name| packages.iter().any(|package| package == *name)).collect();
        assert!(above.is_empty(), "{package} depends on {above:?}: see `cargo tree -p {package} -i {}`", above[0]);
    }
}

#[test]
fn the_host_has_what_the_others_must_not_have() {
    let packages = dependencies("reapply-host");
    for name in HOST {
        assert!(
            packages.iter().any(|package| package == name),
            "the host has no {name} any more: take it from the list"
        );
    }
}

#[test]
fn the_sandbox_and_the_storage_are_apart() {
    for (package, without) in [
        ("reapply-machine", ["reapply-journal", "rusqlite", "axum", "hyper", "reapply-host"]),
        ("reapply-journal", ["reapply-machine", "wasmtime", "axum", "hyper", "reapply-host"]),
    ] {
        let packages = normal_dependencies(package);
        let found: Vec<_> = without.iter().filter(|name| packages.iter().any(|package| package == *name)).collect();
        assert!(found.is_empty(), "{package} depends on {found:?}");
    }
    let packages = normal_dependencies("reapply-host");
    for above in ["reapply-cli", "clap", "tracing-subscriber"] {
        assert!(!packages.iter().any(|package| package == above), "the host's library depends on {above}");
    }
}

#[test]
fn the_host_is_tested_without_a_browser() {
    for package in ["reapply-machine", "reapply-journal", "reapply-host", "reapply-cli", "reapply-testing"] {
        let packages = dependencies(package);
        let browser = packages.iter().find(|name| ["fantoccini", "reapply-e2e"].contains(&name.as_str()));
        assert_eq!(browser, None, "{package} depends on a browser: put what both need into reapply-testing");
    }
}

/// Returns the names of all packages that `package` depends on, in whatever way.
fn dependencies(package: &str) -> Vec<String> {
    dependencies_of_kind(package, "all")
}

/// Returns the names of all packages that are linked into `package` when others use it.
fn normal_dependencies(package: &str) -> Vec<String> {
    dependencies_of_kind(package, "normal")
}

fn dependencies_of_kind(package: &str, kind: &str) -> Vec<String> {
    let arguments = ["tree", "--locked", "--prefix", "none", "--format", "{p}", "--edges", kind, "--package", package];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(workspace::root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}
