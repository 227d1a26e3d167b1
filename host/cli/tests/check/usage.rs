//! The command's answers to unusable input.

use super::{check, run, text};

fn refusal(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    text(&output.stderr).to_owned()
}

#[test]
fn what_is_no_machine_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let name = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    assert!(refusal(&[&name("missing.wasm")]).contains("cannot read"));
    std::fs::write(name("text.wasm"), "hello").unwrap();
    assert!(refusal(&[&name("text.wasm")]).contains("this is not a WebAssembly file"));
    assert!(refusal(&[&name("")]).contains("has no Cargo.toml"));
}

#[test]
fn what_is_no_history_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history.json");
    let replay = || text(&check("counter", &["--replay", file.to_str().unwrap()]).stderr).to_owned();
    assert!(replay().contains("cannot read"), "{}", replay());
    for text in ["hello", "[]", r#"{"script":{"steps":[{"act":"sleep"}]}}"#, r#"{"step":[]}"#] {
        std::fs::write(&file, text).unwrap();
        assert!(replay().contains("holds no history: give the file that a failed check wrote"), "{text}: {}", replay());
    }
}

#[test]
fn a_file_that_could_not_be_written_is_refused_before_the_crate_is_built() {
    let crate_that_does_not_build = tempfile::tempdir().unwrap();
    let dir = crate_that_does_not_build.path().to_str().unwrap();
    for (out, says) in [("/nowhere/at/all.json", "there is no folder /nowhere/at"), (dir, "is a folder")] {
        let said = refusal(&[dir, "--out", out]);
        assert!(said.contains(says) && !said.contains("Cargo.toml"), "{said}");
    }
}

#[test]
fn a_history_that_cannot_be_written_is_told_all_the_same() {
    let output = check("shared-cell", &["--out", "/dev/full", "--json"]);
    let told = text(&output.stderr);
    assert!(
        told.contains("breaks the rule `unchanged`") && told.contains("it cannot be written to /dev/full"),
        "{told}"
    );
    let failure: reapply_check::Failure = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(failure.machine, "fixture-shared-cell");
}

#[test]
#[cfg(target_os = "linux")]
fn a_report_that_cannot_be_printed_is_an_error() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in [&["--histories", "1"][..], &["--histories", "1", "--json"]] {
        let component = guest_components::component("counter");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_reapply"));
        let output = command.arg("check").arg(component).args(arguments).stdout(full()).output().unwrap();
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.lines().count() == 1 && told.contains("cannot print"), "{told}");
    }
}

#[test]
fn kinds_that_do_not_exist_are_refused_with_those_that_do() {
    for arguments in [&["--commutes", "Increment,Foo"][..], &["--commutes", "Foo,Increment", "--grow=10"]] {
        let output = check("counter", arguments);
        let told = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""), "{told}");
        assert!(
            told.contains("no transition is of the kind Foo; the kinds are ") && told.contains("Increment"),
            "{told}"
        );
    }
}
