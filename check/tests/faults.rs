//! Each planted fault is found by the rule that it breaks, natively. `host/cli/tests/check` does the same with components.

use fixture_careless_restore::CarelessRestore;
use fixture_forgetful::Forgetful;
use fixture_half_change::HalfChange;
use fixture_hash_order::HashOrder;
use fixture_lossy_codec::LossyCodec;
use fixture_past_alarm::PastAlarm;
use fixture_shared_cell::SharedCell;
use fixture_wrong_schema::WrongSchema;
use reapply_check::{Act, Failure, Rule, check};
use reapply_guest::{Program, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Returns the failure of a machine, which must occur again when its script is written and replayed.
fn failure<P: Program>(rule: Rule) -> Failure {
    let failure = *check::<P>().run().expect_err("the fault is found");
    assert_eq!(failure.rule, rule, "{failure}");
    let json = serde_json::to_string_pretty(&failure).unwrap();
    let written: Failure = serde_json::from_str(&json).unwrap();
    assert_eq!(written, failure);
    let replayed = check::<P>().replay(&written.script).expect_err("it is the same when it is played again");
    assert_eq!(*replayed, Failure { history: None, ..failure.clone() });
    failure
}

fn transitions(failure: &Failure) -> Vec<&Value> {
    let acts = failure.script.steps.iter().map(|step| &step.act);
    acts.filter_map(|act| if let Act::Submit { transition, .. } = act { Some(transition) } else { None }).collect()
}

#[test]
fn the_order_of_a_hash_map_is_not_deterministic() {
    // Natively each map has an order of its own, so chance decides where the fault shows first. In a component the order does not change.
    let failure = check::<HashOrder>().run().expect_err("the fault is found");
    assert!(matches!(failure.rule, Rule::Deterministic | Rule::Restore), "{failure}");
    assert!(transitions(&failure).len() < 10, "{failure}");
}

#[test]
fn a_cell_that_states_share_changes_the_old_state() {
    let failure = failure::<SharedCell>(Rule::Unchanged);
    assert_eq!(transitions(&failure), [&json!("Count")]);
    let what =
        "`apply` made a new state, and the old state is no longer as it was: its snapshots differ from byte 0 on";
    assert_eq!(failure.what, format!("{what}\n    before  00 (1 bytes)\n    after   01 (1 bytes)"));
}

#[test]
fn half_of_a_change_that_a_conflict_leaves_is_seen() {
    let failure = failure::<HalfChange>(Rule::Unchanged);
    assert_eq!(transitions(&failure), [&json!({ "Pay": 101 })]);
    assert!(failure.what.starts_with("`apply` said no, and the old state is no longer as it was"), "{failure}");
}

#[test]
fn a_field_that_the_snapshot_leaves_out_is_missed() {
    let failure = failure::<Forgetful>(Rule::Restore);
    assert_eq!(transitions(&failure).len(), 4);
    assert_eq!(failure.what, "the event was refused, and the state restored from the snapshot accepted it");
}

#[test]
fn an_alarm_that_is_not_later_is_told() {
    let failure = failure::<PastAlarm>(Rule::Alarm);
    assert_eq!(transitions(&failure), [&json!({ "RingAfter": 0 })]);
    assert_eq!(failure.what, "the alarm is set for the time of the event that set it, and it has to be after it");
}

#[test]
fn a_view_that_is_not_what_the_schema_says_is_told_with_its_place() {
    let failure = failure::<WrongSchema>(Rule::Schema);
    assert_eq!(transitions(&failure), [&json!({ "Heat": 101 })]);
    let what = "the view is not what its schema says: /degrees: expected a number at most 100, and found 101";
    assert_eq!(failure.what, what);
}

#[test]
fn a_transition_that_comes_back_otherwise_is_told() {
    let failure = failure::<LossyCodec>(Rule::Codec);
    assert!(
        failure.what.starts_with(r#"{"Say":"!!"}, decoded and encoded again: the transitions differ"#),
        "{failure}"
    );
}

#[test]
fn a_restore_that_trusts_a_length_panics() {
    let failure = failure::<CarelessRestore>(Rule::Malformed);
    assert!(failure.what.contains("range end index 255 out of range"), "{failure}");
    assert!(failure.what.contains("careless-restore/src/lib.rs:"), "{failure}");
}

/// A machine with a fault for each of its transitions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Faulty(u8);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
enum Fault {
    Add(u8),
    Reset,
}

impl StateMachine for Faulty {
    type Transition = Fault;
    type Conflict = reapply_guest::Never;

    fn apply(&self, fault: &Fault) -> Result<Self, reapply_guest::Never> {
        match fault {
            Fault::Add(number) => Ok(Self(self.0.checked_add(*number).expect("the sum fits"))),
            Fault::Reset => Ok(Self(0)),
        }
    }
}

#[test]
fn a_panic_is_told_with_its_message_and_place_and_the_least_that_leads_to_it() {
    let failure = failure::<Faulty>(Rule::Trap);
    let sum: u64 = transitions(&failure).iter().filter_map(|transition| transition["Add"].as_u64()).sum();
    assert_eq!((transitions(&failure).len(), sum), (2, 256), "{failure}");
    assert!(failure.what.starts_with("`apply`: the machine trapped: the sum fits, "), "{failure}");
    assert!(failure.what.contains("faults.rs:"), "{failure}");
}

#[test]
#[should_panic(expected = "breaks the rule `trap`")]
fn a_test_fails_with_the_failure() {
    check::<Faulty>().assert();
}

#[test]
fn the_same_seed_finds_the_same() {
    let find = |seed| *check::<Faulty>().seed(seed).run().expect_err("the fault is found");
    assert_eq!(find(5), find(5));
    assert_eq!(find(5).seed, 5);
}
