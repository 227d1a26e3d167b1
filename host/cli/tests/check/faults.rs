//! Each planted fault is found in its component, by the rule that it breaks, and found again when the history is replayed.

use reapply_check::{Failure, Rule, Script};
use serde_json::{Value, json};

use super::{check, read, text};

/// Returns the failure of a fixture that breaks this rule.
fn failure(guest: &str, rule: Rule) -> Failure {
    let failure = found(guest);
    assert_eq!(failure.rule, rule, "{failure}");
    failure
}

/// Returns the failure of a fixture: printed, written to a file, and the same when it is replayed.
fn found(guest: &str) -> Failure {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("failure.json");
    let out_name = out.to_str().unwrap();
    let output = check(guest, &["--out", out_name]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{guest}: {told}{}", text(&output.stdout));
    let failure = read(&out);
    assert_eq!(failure.machine, format!("fixture-{guest}"));
    assert!(told.contains(&format!("fixture-{guest} breaks the rule `{}`", failure.rule)), "{told}");
    assert!(
        told.contains(&format!("written to {out_name}; play it again: reapply check --replay {out_name}")),
        "{told}"
    );

    let again = check(guest, &["--replay", out_name]);
    let told = text(&again.stderr);
    assert_eq!(again.status.code(), Some(1), "{guest}: {told}");
    assert!(told.contains(&failure.what), "{told}\n{}", failure.what);
    failure
}

fn steps(script: &Script) -> usize {
    script.steps.len()
}

#[test]
fn the_order_of_a_hash_map() {
    // Each map has an order of its own. The compiler's layout decides where two of them differ first, in two instances or after a restore.
    let failure = found("hash-order");
    assert!(matches!(failure.rule, Rule::Deterministic | Rule::Restore), "{failure}");
    assert!((2..6).contains(&steps(&failure.script)), "{failure}");
}

#[test]
fn a_cell_that_states_share() {
    assert_eq!(steps(&failure("shared-cell", Rule::Unchanged).script), 1);
}

#[test]
fn half_of_a_change_that_a_conflict_leaves() {
    assert_eq!(steps(&failure("half-change", Rule::Unchanged).script), 1);
}

#[test]
fn a_field_that_the_snapshot_leaves_out() {
    assert_eq!(steps(&failure("forgetful", Rule::Restore).script), 4);
}

#[test]
fn a_panic() {
    let failure = failure("trap", Rule::Trap);
    assert_eq!(steps(&failure.script), 1);
    assert!(failure.what.ends_with(": asked to panic"), "{failure}");
}

#[test]
fn a_loop_that_a_transition_makes_long() {
    let failure = failure("runaway", Rule::Limits);
    assert_eq!(steps(&failure.script), 1);
    assert_eq!(failure.what, "`apply`: the machine exhausted its fuel (its time for one call)");
}

#[test]
fn an_alarm_that_is_not_later() {
    assert_eq!(steps(&failure("past-alarm", Rule::Alarm).script), 1);
}

#[test]
fn a_view_that_is_not_what_the_schema_says() {
    assert_eq!(steps(&failure("wrong-schema", Rule::Schema).script), 1);
}

#[test]
fn a_transition_that_comes_back_otherwise() {
    assert_eq!(steps(&failure("lossy-codec", Rule::Codec).script), 1);
}

#[test]
fn a_restore_that_trusts_a_length() {
    let failure = failure("careless-restore", Rule::Malformed);
    assert_eq!(steps(&failure.script), 0, "bytes that are nothing are tried before the first step");
    assert!(failure.what.contains("range end index 255 out of range"), "{failure}");
}

/// Returns the output for the fixture that does everything wrong, with this request.
fn asked(transition: Value) -> String {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script.json");
    let step = json!({ "act": "submit", "author": "ada", "transition": transition });
    std::fs::write(&script, json!({ "steps": [step] }).to_string()).unwrap();
    let output = check("trap", &["--replay", script.to_str().unwrap()]);
    assert_eq!(output.status.success(), transition == "Increment", "{}", text(&output.stderr));
    text(&output.stderr).to_owned()
}

#[test]
fn every_way_to_break_off() {
    assert_eq!(asked(json!("Increment")), "");
    let panicked = asked(json!("Panic"));
    assert!(panicked.contains("breaks the rule `trap`") && panicked.contains("asked to panic"), "{panicked}");
    // The compiler decides which of its two stacks is full first, the engine's or the one in its memory.
    assert!(asked(json!("Recurse")).contains("breaks the rule `trap`"));
    assert!(asked(json!("Loop")).contains("`apply`: the machine exhausted its fuel"));
    assert!(asked(json!("Allocate")).contains("`apply`: the machine exhausted its memory (64 MiB)"));
}
