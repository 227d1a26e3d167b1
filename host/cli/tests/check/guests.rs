//! Guests without a fault pass, and the report shows the attempts and their cost.

use serde_json::Value;

use super::{check, text};

/// Returns the report of a guest, as JSON.
fn report(guest: &str) -> Value {
    let output = check(guest, &["--histories", "100", "--json"]);
    assert!(output.status.success(), "{guest}: {}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["machine"], &report["histories"]), (&guest.into(), &100.into()));
    let figure = |name: &str| report["fuel"][name].as_u64().unwrap();
    assert!(0 < figure("p50") && figure("p50") <= figure("p99") && figure("p99") <= figure("max"), "{report}");
    assert!(report["memory_bytes"].as_u64().unwrap() >= 64 * 1024, "{report}");
    report
}

#[test]
fn every_guest_keeps_every_rule() {
    let guests = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../guests")).unwrap();
    let mut checked = 0;
    for guest in guests {
        let path = guest.unwrap().path();
        // `components` builds the others, and `fixtures` are those that break rules.
        if path.join("Cargo.toml").is_file() && !path.ends_with("components") {
            report(path.file_name().unwrap().to_str().unwrap());
            checked += 1;
        }
    }
    assert!(checked >= 3, "{checked}");
}

#[test]
fn floats_are_the_same_in_every_instance() {
    let output = check("floats", &["--histories", "100"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn the_report_is_a_table() {
    let output = check("counter", &["--histories", "50", "--length", "20", "--seed", "3"]);
    let table = text(&output.stdout);
    assert!(table.starts_with("counter: every rule held in 50 histories, "), "{table}");
    assert!(table.contains("(seed 3)"), "{table}");
    for word in ["accepted", "conflict", "malformed", "Increment", "Decrement", "BelowZero", "p99", "% of 75000000"] {
        assert!(table.contains(word), "{word} is missing in\n{table}");
    }
    let again = check("counter", &["--histories", "50", "--length", "20", "--seed", "3"]);
    assert_eq!(text(&again.stdout), table, "the same seed plays the same histories");
}
