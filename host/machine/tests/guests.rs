//! Built guests in the engine: they run, their faults are distinguished, and floats are the same everywhere.

use std::fs;

use bytes::Bytes;
use guest_components::component;
use reapply_component::canonical::{F32_NAN_BITS, F64_NAN_BITS, canonicalise};
use reapply_machine::{Engine, check};
use reapply_sync::{
    ApplyError, Author, ClientId, Digest, Event, Fault, Input, LoadError, Machine, Number, Seq, Timestamp,
};

#[test]
fn the_digest_of_what_is_built_is_the_digest_that_a_host_reports() {
    let path = component("counter");
    let bytes = fs::read(&path).unwrap();
    assert!(path.ends_with("reapply/counter.wasm"), "{}", path.display());
    let deployment = check(&Engine::new(None).unwrap(), &bytes).unwrap();
    assert_eq!(deployment.build.digest(), Digest::of(&bytes));
    assert_eq!(deployment.build.description().name.as_str(), "counter");
    assert_eq!(canonicalise(&bytes).unwrap(), bytes);
    assert!(bytes.len() <= 150 * 1024, "counter has {} bytes", bytes.len());
}

#[test]
fn a_built_machine_runs() {
    let bytes = fs::read(component("counter")).unwrap();
    let build = check(&Engine::new(None).unwrap(), &bytes).unwrap().build;
    let mut instance = build.instantiate().unwrap();
    let mut state = instance.create("").unwrap();
    let increment = instance.encode(r#"{"Increment":3}"#).unwrap();
    assert_eq!(instance.decode(&increment).unwrap(), r#"{"Increment":3}"#);
    for seq in 1..=100_000 {
        state = instance.apply(&state, &event(seq, increment.clone())).unwrap();
    }
    assert!(instance.view(&state).unwrap().contains("300000"));
    assert!(instance.encode("{\"Nonsense\":1}").is_err());
}

#[test]
fn a_component_tells_nothing_of_the_folders_it_was_built_in() {
    let bytes = fs::read(component("counter")).unwrap();
    let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("/cargo/registry/"), "panics name their files, so some path is expected");
    let home = std::env::home_dir().unwrap();
    assert!(!has(home.to_str().unwrap()) && !has(env!("CARGO_MANIFEST_DIR")));
}

fn event(seq: u64, transition: Bytes) -> Event {
    let input =
        Input::Transition { author: Author("ada".into()), client: ClientId([1; 16]), number: Number(seq), transition };
    Event { seq: Seq(seq), time: Timestamp(seq), entropy: seq, input }
}

#[test]
fn faults_of_a_rust_machine_are_told_apart_and_survived() {
    let bytes = fs::read(component("trap")).unwrap();
    let build = check(&Engine::new(None).unwrap(), &bytes).unwrap().build;
    let mut instance = build.instantiate().unwrap();
    assert!(matches!(instance.create(r#"{"panic":true}"#), Err(LoadError::Fault(Fault::Trapped(_)))));
    for (name, exhausts) in [("Panic", None), ("Recurse", None), ("Loop", Some("fuel")), ("Allocate", Some("memory"))] {
        instance.reset().unwrap();
        let state = instance.create("").unwrap();
        let transition = instance.encode(&format!("\"{name}\"")).unwrap();
        match (instance.apply(&state, &event(1, transition)), exhausts) {
            (Err(ApplyError::Fault(Fault::Trapped(why))), None) => assert!(!why.is_empty()),
            (Err(ApplyError::Fault(Fault::Exhausted(what))), Some(word)) => {
                assert!(what.contains(word), "{name}: {what}")
            }
            (result, _) => panic!("{name}: {:?}", result.map(|_| "it was applied")),
        }
    }
    instance.reset().unwrap();
    let state = instance.create("").unwrap();
    let increment = instance.encode("\"Increment\"").unwrap();
    let state = instance.apply(&state, &event(1, increment)).unwrap();
    assert!(instance.view(&state).unwrap().contains('1'));
}

#[test]
fn a_rust_machine_sees_one_nan_only() {
    let bytes = fs::read(component("floats")).unwrap();
    let build = check(&Engine::new(None).unwrap(), &bytes).unwrap().build;
    let mut instance = build.instantiate().unwrap();
    // Without Rust's `min` and `max`, which select one of their operands: that one keeps its bits, everywhere.
    let operations = "Add Subtract Multiply Divide SquareRoot Ceiling Floor Truncate Nearest Convert";
    // Infinity, a negative NaN with a payload, a signalling NaN, minus one; as doubles, and by their high words as singles.
    let operands =
        ["[2146435072,0]", "[4294443009,7]", "[2146435073,1]", "[3220176896,0]", "[2139095040,0]", "[4286578689,0]"];
    let mut state = instance.create("").unwrap();
    let mut operations_done = Vec::new();
    for operation in operations.split(' ') {
        for (a, b) in operands.iter().flat_map(|a| operands.iter().map(move |b| (a, b))) {
            let json = format!(r#"{{"operation":"{operation}","a":{a},"b":{b}}}"#);
            let transition = instance.encode(&json).unwrap();
            operations_done.push(json);
            state = instance.apply(&state, &event(operations_done.len() as u64, transition)).unwrap();
        }
    }
    let results: Vec<(String, String)> = serde_json::from_str(&instance.view(&state).unwrap()).unwrap();
    assert_eq!(results.len(), operations_done.len());
    let mut nans = 0;
    for (operation, (double, single)) in operations_done.iter().zip(results) {
        let double = u64::from_str_radix(&double, 16).unwrap();
        let single = u32::from_str_radix(&single, 16).unwrap();
        assert!(double == F64_NAN_BITS || !f64::from_bits(double).is_nan(), "{operation}: {double:016x}");
        assert!(single == F32_NAN_BITS || !f32::from_bits(single).is_nan(), "{operation}: {single:08x}");
        nans += u32::from(double == F64_NAN_BITS) + u32::from(single == F32_NAN_BITS);
    }
    assert!(nans > 100, "{nans}");
}

#[test]
fn a_pages_plan_says_where_the_core_modules_lie() {
    let bytes = fs::read(component("counter")).unwrap();
    let plan = check(&Engine::new(None).unwrap(), &bytes).unwrap().plan;
    assert!(!plan.modules.is_empty());
    for [offset, length] in plan.modules {
        assert!(wasmparser::Parser::is_core_wasm(&bytes[offset..offset + length]), "{length} bytes at {offset}");
    }
}
