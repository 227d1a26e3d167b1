//! Numbers on their way through the JSON of a real component: the libraries that a machine links in a room, not those that tests link
//! beside it.

use bytes::Bytes;
use reapply_machine::{Engine, Instance, State, check};
use reapply_sync::{ApplyError, Author, ClientId, CodecError, Event, Input, Machine, Number, Refusal, Seq, Timestamp};

fn numbers() -> Instance {
    let component = std::fs::read(guest_components::component("numbers")).unwrap();
    check(&Engine::new(None).unwrap(), &component).unwrap().build.instantiate().unwrap()
}

fn apply(machine: &mut Instance, state: &State, transition: Bytes) -> Result<State, ApplyError> {
    let input =
        Input::Transition { author: Author("ada".into()), client: ClientId([1; 16]), number: Number(1), transition };
    machine.apply(state, &Event { seq: Seq(1), time: Timestamp(2), entropy: 3, input })
}

fn refused(machine: &mut Instance, json: &str) -> String {
    match machine.encode(json) {
        Err(CodecError::Refused(why)) => why,
        other => panic!("{json}: {other:?}"),
    }
}

/// SplitMix64.
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Each float goes in as JSON, comes out as a transition, as a view and as a conflict, and must be the same number each time.
#[test]
fn floats_come_back_as_they_were() {
    let mut machine = numbers();
    let genesis = machine.create("").unwrap();
    let mut seed = std::env::var("REAPPLY_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("REAPPLY_SEED={seed}");
    let small = std::iter::repeat_with(|| (random(&mut seed) >> 11) as f64 / (1_u64 << 53) as f64 * 1000.0).take(2000);
    let mut floats: Vec<f64> = small.chain([123.655_922_187_782_99, f64::MAX, f64::MIN_POSITIVE, 5e-324]).collect();
    floats.extend(
        std::iter::repeat_with(|| f64::from_bits(random(&mut seed))).take(2000).filter(|float| float.is_finite()),
    );
    for float in floats {
        let bytes = machine.encode(&format!("{{\"Double\":{float:?}}}")).unwrap();
        assert_eq!(bytes[1..], float.to_le_bytes(), "{float:?} went in, and something else is in the bytes");
        let json = machine.decode(&bytes).unwrap();
        assert_eq!(machine.encode(&json).unwrap(), bytes, "{float:?} came out as {json}");
        let state = apply(&mut machine, &genesis, bytes).unwrap();
        let view: serde_json::Value = serde_json::from_str(&machine.view(&state).unwrap()).unwrap();
        assert_eq!(view["last"]["Double"].as_f64(), Some(float), "{view}");
        let refuse = machine.encode(&format!("{{\"Refuse\":{float:?}}}")).unwrap();
        let Err(ApplyError::Refused(Refusal::Conflict(json))) = apply(&mut machine, &genesis, refuse) else {
            panic!("{float:?} was not refused")
        };
        assert_eq!(json.parse(), Ok(float), "{json}");

        // A number too small for it becomes zero, which has no sign in JSON.
        let single = float as f32 + 0.0;
        if single.is_finite() {
            let bytes = machine.encode(&format!("{{\"Single\":{single:?}}}")).unwrap();
            assert_eq!(bytes[1..], single.to_le_bytes(), "{single:?}");
            let json = machine.decode(&bytes).unwrap();
            assert_eq!(machine.encode(&json).unwrap(), bytes, "{single:?} came out as {json}");
        }
    }
}

#[test]
fn a_number_that_its_type_cannot_hold_is_refused_with_its_place() {
    let mut machine = numbers();
    for json in [r#"{"Single":1e39}"#, r#"{"Single":-3.5e38}"#, r#"{"Double":1e309}"#] {
        let why = refused(&mut machine, json);
        assert!(
            why.contains("at .Single: number out of range") || why.contains("at .Double: number out of range"),
            "{why}"
        );
    }
    for json in [r#"{"Wide":1e20}"#, r#"{"Wide":9007199254740993.0}"#] {
        let why = refused(&mut machine, json);
        assert!(why.contains("at .Wide: ") && why.contains("write the digits of the whole number"), "{why}");
    }
    for json in [r#"{"Narrow":4294967296.0}"#, r#"{"Narrow":-1e0}"#, r#"{"Narrow":1.5}"#, r#"{"Wide":-1.0}"#] {
        let why = refused(&mut machine, json);
        assert!(why.contains("at .Narrow: invalid") || why.contains("at .Wide: invalid"), "{json}: {why}");
    }
}

#[test]
fn integers_are_read_by_their_value() {
    let mut machine = numbers();
    for json in [r#"{"Narrow":1000}"#, r#"{"Narrow":1e3}"#, r#"{"Narrow":1000.0}"#, r#"{"Narrow":10000e-1}"#] {
        let bytes = machine.encode(json).unwrap();
        assert_eq!(machine.decode(&bytes).unwrap(), r#"{"Narrow":1000}"#, "{json}");
    }
    for json in [r#"{"Wide":"1000"}"#, r#"{"Wide":1000}"#, r#"{"Wide":1e3}"#, r#"{"Wide":1000.0}"#] {
        let bytes = machine.encode(json).unwrap();
        assert_eq!(machine.decode(&bytes).unwrap(), r#"{"Wide":"1000"}"#, "{json}");
    }
}

/// As `JSON.stringify` writes them.
#[test]
fn floats_are_written_as_javascript_writes_them() {
    let mut machine = numbers();
    let cases = [
        ("-0.0", "0"),
        ("2.0", "2"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("9007199254740992.0", "9007199254740992"),
        ("-9007199254740994.0", "-9007199254740994"),
        ("1e-6", "0.000001"),
        ("1e-7", "1e-7"),
        ("1.5e300", "1.5e+300"),
        ("0.1", "0.1"),
    ];
    for (written, expected) in cases {
        let bytes = machine.encode(&format!("{{\"Double\":{written}}}")).unwrap();
        assert_eq!(machine.decode(&bytes).unwrap(), format!("{{\"Double\":{expected}}}"));
    }
    let bytes = machine.encode(r#"{"Single":0.1}"#).unwrap();
    assert_eq!(machine.decode(&bytes).unwrap(), r#"{"Single":0.1}"#);
}

/// serde keeps these in a buffer before it reads them, and the schema asks for texts.
#[test]
fn options_of_a_flattened_or_tagged_type_take_the_texts_that_their_schema_asks_for() {
    let mut machine = numbers();
    let cases = [
        (r#"{"wide":"18446744073709551615"}"#, Some("18446744073709551615")),
        (r#"{"wide":7}"#, Some("7")),
        (r#"{"narrow":1e3}"#, Some("1000")),
        (r#"{"then":{"kind":"Wide","value":"7"}}"#, Some("7")),
        (r#"{"then":{"kind":"Text","value":"123"}}"#, Some("3")),
        (r#"{"wide":null}"#, None),
    ];
    for (options, expected) in cases {
        let state = machine.create(options).unwrap_or_else(|error| panic!("{options}: {error:?}"));
        let view: serde_json::Value = serde_json::from_str(&machine.view(&state).unwrap()).unwrap();
        assert_eq!(view["last"]["Wide"].as_str(), expected, "{options}");
    }
    for options in
        [r#"{"wide":"+7"}"#, r#"{"wide":"seven"}"#, r#"{"wide":1.5}"#, r#"{"then":{"kind":"Wide","value":"x"}}"#]
    {
        assert!(machine.create(options).is_err(), "{options}");
    }
}
