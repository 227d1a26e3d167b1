//! The JSON face, and the forms that must never change: ids, times and the random stream.

use std::collections::BTreeMap;

use reapply_guest::{Counter, Event, Id, Input, Key, Map, Micros, NoOptions, Program, Rng, contract};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A machine whose state is the last transition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Echo {
    last: Option<Say>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
enum Say {
    Nothing,
    Narrow(u32, i32, f64, f32),
    Wide { unsigned: u64, signed: i64, huge: u128, deep: i128, size: usize, maybe: Option<u64> },
    Keyed(BTreeMap<u64, BTreeMap<Color, i64>>, BTreeMap<i16, char>),
    Time(Micros),
    Thing(Id),
    Both(Box<(u64, Vec<i64>)>),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
enum Color {
    Red,
    Blue,
}

impl Key for Color {}

impl Program for Echo {
    type Options = NoOptions;
    type Transition = Say;
    type Conflict = ();

    fn apply(&self, event: &Event<Say>) -> Result<Self, ()> {
        let Input::Transition { transition, .. } = &event.input else { return Ok(self.clone()) };
        Ok(Self { last: Some(transition.clone()) })
    }
}

/// Converts JSON to bytes, and back to JSON.
fn echo(json: Value) -> Value {
    let bytes = contract::encode::<Echo>(&json.to_string()).unwrap_or_else(|error| panic!("{json}: {error}"));
    let back: Value = serde_json::from_str(&contract::decode::<Echo>(&bytes).unwrap()).unwrap();
    let input = contract::Input::Transition(contract::Submission { author: "ada".into(), transition: bytes });
    let event = contract::Event { seq: 1, time: 0, entropy: 0, input };
    let state = contract::apply(&Echo::default(), event).unwrap();
    let view: Value = serde_json::from_str(&contract::view(&state).unwrap()).unwrap();
    assert_eq!(view["last"], back);
    back
}

fn refused(json: Value) -> String {
    refused_text(&json.to_string())
}

fn refused_text(json: &str) -> String {
    contract::encode::<Echo>(json).unwrap_err()
}

#[test]
fn integers_of_64_bits_are_strings_by_their_type() {
    let wide = json!({ "Wide": {
        "unsigned": "18446744073709551615", "signed": "-9223372036854775808", "huge": "340282366920938463463374607431768211455",
        "deep": "-170141183460469231731687303715884105728", "size": "4294967295", "maybe": "7",
    }});
    assert_eq!(echo(wide.clone()), wide);
    let small = json!({ "Wide": { "unsigned": 1, "signed": -1, "huge": 2, "deep": -2, "size": 3, "maybe": null } });
    let strings =
        json!({ "Wide": { "unsigned": "1", "signed": "-1", "huge": "2", "deep": "-2", "size": "3", "maybe": null } });
    assert_eq!(echo(small), strings, "numbers are read as well, and written as strings");
    assert_eq!(echo(json!({ "Both": ["1", ["-2", "3"]] })), json!({ "Both": ["1", ["-2", "3"]] }));
}

#[test]
fn other_numbers_are_numbers_as_javascript_writes_them() {
    let json = contract::decode::<Echo>(&contract::encode::<Echo>("{\"Narrow\":[4294967295,-1,1.0,0.5]}").unwrap());
    assert_eq!(json.unwrap(), "{\"Narrow\":[4294967295,-1,1,0.5]}");
    for float in [
        "1e21",
        "-0.0",
        "9007199254740992.0",
        "123.65592218778299",
        "9007199254740991",
        "5e-324",
        "1.7976931348623157e308",
    ] {
        let narrow = format!("{{\"Narrow\":[0,0,{float},0]}}");
        let bytes = contract::encode::<Echo>(&narrow).unwrap();
        let again = contract::encode::<Echo>(&contract::decode::<Echo>(&bytes).unwrap()).unwrap();
        assert_eq!(again, bytes, "{float}");
    }
}

/// Returns values nested in each other, the given number of times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Nest(Option<Box<[Nest; 1]>>);

fn nest(levels: usize) -> Nest {
    (0..levels).fold(Nest::default(), |inner, _| Nest(Some(Box::new([inner]))))
}

/// A machine whose view and conflict are the nested value.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
struct Nester;

impl Program for Nester {
    type Options = NoOptions;
    type Transition = u8;
    type Conflict = Nest;

    fn apply(&self, event: &Event<u8>) -> Result<Self, Nest> {
        let Input::Transition { transition, .. } = &event.input else { return Ok(self.clone()) };
        Err(nest((*transition).into()))
    }
}

#[test]
fn what_nests_too_deeply_for_json_is_told_so() {
    let conflict = |levels: u8| {
        let input =
            contract::Input::Transition(contract::Submission { author: "ada".into(), transition: vec![levels] });
        let event = contract::Event { seq: 1, time: 0, entropy: 0, input };
        match contract::apply(&Nester, event) {
            Err(contract::Rejection::Conflict(json)) => json,
            other => panic!("{other:?}"),
        }
    };
    let text = "it nests deeper than 127 levels, the most that readers of JSON take";
    assert!(serde_json::from_str::<Value>(&conflict(127)).is_ok());
    assert_eq!(conflict(128), format!("\"the conflict has no JSON form: {text}\""));
    let deep = format!("{{\"Both\":{}{}}}", "[".repeat(200), "]".repeat(200));
    assert!(refused_text(&deep).starts_with("the JSON is no transition of this machine: at .Both"));
}

#[test]
fn a_transition_that_nests_too_deeply_is_told_so_after_a_way_that_is_cut() {
    #[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
    struct Deep;
    impl Program for Deep {
        type Options = NoOptions;
        type Transition = Nest;
        type Conflict = ();
        fn apply(&self, _: &Event<Nest>) -> Result<Self, ()> {
            Ok(Self)
        }
    }
    let json = |levels: usize| format!("{}null{}", "[".repeat(levels), "]".repeat(levels));
    assert!(contract::encode::<Deep>(&json(60)).is_ok());
    let error = contract::encode::<Deep>(&json(200)).unwrap_err();
    let way = "[0]".repeat(66) + "[0";
    assert!(
        error.starts_with(&format!("the JSON is no transition of this machine: at {way}…: it nests deeper than 127")),
        "{error}"
    );
}

#[test]
fn keys_are_strings_whatever_their_type() {
    let keyed = json!({ "Keyed": [{ "18446744073709551615": { "Red": "1", "Blue": "-1" } }, { "-3": "é" }] });
    assert_eq!(echo(keyed.clone()), keyed);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let wide = |unsigned: Value| json!({ "Wide": { "unsigned": unsigned, "signed": "0", "huge": "0", "deep": "0", "size": "0", "maybe": null } });
    for wrong in
        [json!("18446744073709551616"), json!("+1"), json!("1.0"), json!(""), json!("-"), json!(-1), json!(1.5)]
    {
        let error = refused(wide(wrong.clone()));
        assert!(
            error.starts_with("the JSON is no transition of this machine: at .Wide.unsigned: "),
            "{wrong}: {error}"
        );
    }
    let cases = [
        (json!({ "Both": ["1", ["2", "x"]] }), "at .Both[1][1]: invalid value: string \"x\", expected i64"),
        (json!({ "Nothing": 1 }), "invalid type: integer `1`, expected unit"),
        (json!("Time"), "invalid type: unit variant, expected newtype variant"),
        (json!({ "Time": -1 }), "at .Time: invalid type: integer `-1`, expected a whole number of microseconds"),
        (json!({ "Time": 9_007_199_254_740_992_u64 }), "at .Time: invalid value: integer `9007199254740992`"),
        (
            json!({ "Thing": "67e5" }),
            "at .Thing: an id is a UUID such as 67e55044-10b1-426f-9247-bb680e5fe0c8, and this is \"67e5\"",
        ),
        (json!({ "Keyed": [{ "x": {} }, {}] }), "at .Keyed[0]: invalid value: string \"x\", expected u64"),
        (json!({ "Keyed": [{ "7": { "Red": "x" } }, {}] }), "at .Keyed[0].7.Red: invalid value: string \"x\""),
        (json!({ "Keyed": [{}, { "-3": "no character" }] }), "at .Keyed[1].-3: invalid value"),
        (json!({ "Narrow": [1, 2, 3, 4, 5] }), "at .Narrow: trailing characters at line 1 column 20"),
        (json!({ "Nope": 1 }), "unknown variant `Nope`, expected one of `Nothing`"),
        (json!({ "Time": 1, "Nothing": null }), "expected value"),
        (json!(7), "expected value at line 1 column 1"),
    ];
    for (wrong, expected) in cases {
        let error = refused(wrong.clone());
        assert!(error.contains(expected), "{wrong}: {error}");
    }
    assert!(refused_text("{").ends_with("EOF while parsing an object at line 1 column 1"));
    assert!(refused_text("\"Nothing\" 1").ends_with("trailing characters at line 1 column 11"));
}

#[test]
fn the_schema_says_what_the_json_is() {
    let description = contract::describe::<Echo>("echo").unwrap();
    let schemas: Value = serde_json::from_str(&description.schemas).unwrap();
    let variants = schemas["transition"]["oneOf"].as_array().unwrap();
    let of = |name: &str| {
        let variant = variants.iter().find(|variant| !variant["properties"][name].is_null());
        variant.unwrap_or_else(|| panic!("no {name}"))["properties"][name].clone()
    };
    let fields = &of("Wide")["properties"];
    assert_eq!(fields["unsigned"], json!({ "type": "string", "format": "uint64", "pattern": "^[0-9]+$" }));
    assert_eq!(fields["signed"], json!({ "type": "string", "format": "int64", "pattern": "^-?[0-9]+$" }));
    assert_eq!(fields["maybe"]["type"], json!(["string", "null"]));
    assert_eq!(of("Narrow")["prefixItems"][0]["type"], "integer");
    assert_eq!(schemas["transition"]["$defs"]["Id"], json!({ "type": "string", "format": "uuid" }));
    assert_eq!(schemas["transition"]["$defs"]["Micros"]["maximum"], Micros::MAX.get());
}

/// A colour with docs, which schemars writes in another form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
enum Explained {
    /// Of blood.
    Red,
    /// Of the sea.
    Blue,
}

impl Key for Explained {}

/// A key around a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
struct Player(Id);

impl Key for Player {}

#[test]
fn the_schema_of_a_map_names_its_keys() {
    fn names<K: Key>() -> Value {
        let description = contract::describe::<Map<K, Counter>>("map").unwrap();
        let schemas: Value = serde_json::from_str(&description.schemas).unwrap();
        schemas["view"]["propertyNames"].clone()
    }
    let variants = |names: &Value| match names.get("oneOf").and_then(Value::as_array) {
        Some(branches) => branches.iter().map(|branch| branch["const"].clone()).collect::<Value>(),
        None => names["enum"].clone(),
    };
    assert_eq!(variants(&names::<Color>()), json!(["Red", "Blue"]));
    assert_eq!(variants(&names::<Explained>()), json!(["Red", "Blue"]));
    assert_eq!(names::<Player>()["format"], "uuid");
    assert_eq!(names::<String>(), Value::Null);
}

#[test]
fn times_stay_within_what_javascript_keeps_exactly() {
    assert_eq!(echo(json!({ "Time": 9_007_199_254_740_991_u64 })), json!({ "Time": 9_007_199_254_740_991_u64 }));
    assert_eq!(Micros::new(u64::MAX), Micros::MAX);
    assert_eq!(Micros::MAX + Micros::MAX, Micros::MAX);
    let mut beyond = vec![4];
    beyond.extend(postcard::to_allocvec(&u64::MAX).unwrap());
    assert!(contract::decode::<Echo>(&beyond).is_err());
}

#[test]
fn ids_are_uuids_in_json_and_16_bytes_elsewhere() {
    let id = Id::from_bits(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);
    for text in ["67e55044-10b1-426f-9247-bb680e5fe0c8", "67E5504410B1426F9247BB680E5FE0C8"] {
        assert_eq!(text.parse(), Ok(id));
    }
    for text in [
        "",
        "67e55044",
        "67e55044-10b1-426f-9247-bb680e5fe0cg",
        "67e5504410-b1-426f-9247-bb680e5fe0c8",
        "+7e5504410b1426f9247bb680e5fe0c8",
    ] {
        assert!(text.parse::<Id>().is_err(), "{text}");
    }
    assert_eq!(postcard::to_allocvec(&id).unwrap().len(), 16);
    assert_eq!(echo(json!({ "Thing": id.to_string() })), json!({ "Thing": id.to_string() }));
}

/// xoshiro256++ and SplitMix64 as their authors published them.
fn published(seed: u64, count: usize) -> Vec<u64> {
    let mut mix = seed;
    let mut split_mix = || {
        mix = mix.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = mix;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    };
    let mut s = [split_mix(), split_mix(), split_mix(), split_mix()];
    let mut next = || {
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn the_random_stream_is_the_published_one() {
    for seed in [0, 1, 7, u64::MAX, 0x0123_4567_89ab_cdef] {
        let event = Event { seq: 1, time: 2, entropy: seed, input: Input::Alarm(()) };
        let mut rng = event.rng();
        let drawn: Vec<u64> = (0..100).map(|_| rng.next_u64()).collect();
        assert_eq!(drawn, published(seed, 100), "seed {seed}");
    }
}

#[test]
fn draws_are_within_bounds_and_reach_all_of_them() {
    let mut rng = Rng::from_seed(17);
    let mut seen = [0_u32; 6];
    for _ in 0..6_000 {
        seen[rng.below(6) as usize] += 1;
    }
    assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
    assert_eq!((rng.below(0), rng.below(1), rng.in_range(5..5)), (0, 0, 5));
    assert!((0..100).all(|_| (10..13).contains(&rng.in_range(10..13))));
    assert!(rng.below(u64::MAX) < u64::MAX);
    assert_eq!(rng.pick::<u8>(&[]), None);
    let mut deck: Vec<u8> = (0..52).collect();
    rng.shuffle(&mut deck);
    assert!(!deck.is_sorted());
    deck.sort_unstable();
    assert!(deck.into_iter().eq(0..52));
    assert_ne!(rng.id(), rng.id());
}
