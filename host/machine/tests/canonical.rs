//! NaNs are canonical, and nothing else changes.

use reapply_component::canonical::{F32_NAN_BITS, F64_NAN_BITS, canonicalise};
use wasmtime::{Engine, Instance, Module, Store};

const F32_INPUTS: [u32; 12] = [
    0x7fc0_0000, // the canonical NaN
    0xffc0_0000, // its negative
    0x7fc0_0001, // with payloads, quiet and signalling, both signs
    0x7fff_ffff,
    0x7f80_0001,
    0xff80_0001,
    0x7f80_0000, // infinities
    0xff80_0000,
    0x0000_0000, // zeros
    0x8000_0000,
    0x3fc0_0000, // 1.5, -2.25
    0xc010_0000,
];

const F64_INPUTS: [u64; 12] = [
    0x7ff8_0000_0000_0000,
    0xfff8_0000_0000_0000,
    0x7ff8_0000_0000_0001,
    0x7fff_ffff_ffff_ffff,
    0x7ff0_0000_0000_0001,
    0xfff0_0000_0000_0001,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x0000_0000_0000_0000,
    0x8000_0000_0000_0000,
    0x3ff8_0000_0000_0000,
    0xc002_0000_0000_0000,
];

/// Calls with two floats that fill 64 bits each, as bits: the function takes `i64`s and returns two.
struct Case {
    operation: String,
    wat: String,
    lanes: Lanes,
}

#[derive(Clone, Copy, PartialEq)]
enum Lanes {
    F32,
    F64,
}

impl Lanes {
    /// Returns the canonical bits of a 64-bit half of a result.
    fn canonical(self, half: u64) -> u64 {
        match self {
            Self::F64 if f64::from_bits(half).is_nan() => F64_NAN_BITS,
            Self::F64 => half,
            Self::F32 => {
                let lane = |bits: u32| u64::from(if f32::from_bits(bits).is_nan() { F32_NAN_BITS } else { bits });
                lane((half >> 32) as u32) << 32 | lane(half as u32)
            }
        }
    }
}

/// Returns a module whose `f` takes the bits of two operands and returns the bits of the result, in halves.
fn case(operation: &str, operands: &str, lanes: Lanes, to_halves: &str) -> Case {
    let wat = format!(
        r#"(module (func (export "f") (param $a i64) (param $b i64) (result i64 i64) (local $r v128)
             (local.set $r {to_halves})
             (i64x2.extract_lane 0 (local.get $r)) (i64x2.extract_lane 1 (local.get $r))))"#
    )
    .replace("OPERATION", &format!("({operation} {operands})"));
    Case { operation: operation.to_owned(), wat, lanes }
}

fn cases() -> Vec<Case> {
    let f32_bits = "(i64x2.splat (i64.extend_i32_u (i32.reinterpret_f32 OPERATION)))";
    let f64_bits = "(i64x2.splat (i64.reinterpret_f64 OPERATION))";
    let [f32_a, f32_b] = ["$a", "$b"].map(|name| format!("(f32.reinterpret_i32 (i32.wrap_i64 (local.get {name})))"));
    let [f64_a, f64_b] = ["$a", "$b"].map(|name| format!("(f64.reinterpret_i64 (local.get {name}))"));
    let vector = |first: &str, second: &str| {
        format!("(i64x2.replace_lane 1 (i64x2.splat (local.get {first})) (local.get {second}))")
    };
    let (v_a, v_b) = (vector("$a", "$b"), vector("$b", "$a"));

    let mut cases = Vec::new();
    for name in ["add", "sub", "mul", "div", "min", "max"] {
        cases.push(case(&format!("f32.{name}"), &format!("{f32_a} {f32_b}"), Lanes::F32, f32_bits));
        cases.push(case(&format!("f64.{name}"), &format!("{f64_a} {f64_b}"), Lanes::F64, f64_bits));
        cases.push(case(&format!("f32x4.{name}"), &format!("{v_a} {v_b}"), Lanes::F32, "OPERATION"));
        cases.push(case(&format!("f64x2.{name}"), &format!("{v_a} {v_b}"), Lanes::F64, "OPERATION"));
    }
    for name in ["sqrt", "ceil", "floor", "trunc", "nearest"] {
        cases.push(case(&format!("f32.{name}"), &f32_a, Lanes::F32, f32_bits));
        cases.push(case(&format!("f64.{name}"), &f64_a, Lanes::F64, f64_bits));
        cases.push(case(&format!("f32x4.{name}"), &v_a, Lanes::F32, "OPERATION"));
        cases.push(case(&format!("f64x2.{name}"), &v_a, Lanes::F64, "OPERATION"));
    }
    cases.push(case("f32.demote_f64", &f64_a, Lanes::F32, f32_bits));
    cases.push(case("f64.promote_f32", &f32_a, Lanes::F64, f64_bits));
    cases.push(case("f32x4.demote_f64x2_zero", &v_a, Lanes::F32, "OPERATION"));
    cases.push(case("f64x2.promote_low_f32x4", &v_a, Lanes::F64, "OPERATION"));
    cases
}

fn run(engine: &Engine, module: &[u8], inputs: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let module = Module::new(engine, module).unwrap();
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let function = instance.get_typed_func::<(i64, i64), (i64, i64)>(&mut store, "f").unwrap();
    let call = |(a, b): &(u64, u64)| function.call(&mut store, (a.cast_signed(), b.cast_signed())).unwrap();
    inputs.iter().map(call).map(|(low, high)| (low.cast_unsigned(), high.cast_unsigned())).collect()
}

/// Every pair of `f64`s, and of vectors of `f32`s.
fn inputs() -> Vec<(u64, u64)> {
    let f32_pairs = F32_INPUTS.iter().zip(F32_INPUTS.iter().rev());
    let vectors = f32_pairs.map(|(high, low)| u64::from(*high) << 32 | u64::from(*low));
    let scalars = F32_INPUTS.iter().map(|bits| u64::from(*bits));
    let all: Vec<u64> = F64_INPUTS.into_iter().chain(vectors).chain(scalars).collect();
    all.iter().flat_map(|a| all.iter().map(|b| (*a, *b))).collect()
}

#[test]
fn every_operation_gives_the_canonical_nan_and_else_what_it_gave() {
    let (engine, inputs) = (Engine::default(), inputs());
    for Case { operation, wat, lanes } in cases() {
        let module = wat::parse_str(&wat).unwrap();
        let canonical = canonicalise(&module).unwrap();
        assert_ne!(canonical, module, "{operation} was left alone");
        let before = run(&engine, &module, &inputs);
        let after = run(&engine, &canonical, &inputs);
        let mut nans = 0;
        for ((input, before), after) in inputs.iter().zip(before).zip(after) {
            let expected = (lanes.canonical(before.0), lanes.canonical(before.1));
            assert_eq!(after, expected, "{operation} of {input:x?} gave {before:x?}");
            nans += usize::from(expected != before);
        }
        assert!(nans > 0, "{operation}: no input had a NaN that needed work");
    }
}

#[test]
fn canonical_modules_stay_as_they_are() {
    for Case { operation, wat, .. } in cases() {
        let once = canonicalise(&wat::parse_str(&wat).unwrap()).unwrap();
        assert_eq!(canonicalise(&once).unwrap(), once, "{operation}");
    }
}

#[test]
fn operations_whose_bits_are_specified_are_left_alone() {
    let exact = r#"(module (memory 1)
      (func (param f32 f64 v128) (result f64)
        (f32.store (i32.const 0) (f32.neg (f32.copysign (local.get 0) (f32.abs (f32.load (i32.const 4))))))
        (v128.store (i32.const 16) (f32x4.pmin (local.get 2) (f64x2.neg (f64x2.pmax (local.get 2) (local.get 2)))))
        (drop (f64.convert_i64_s (i64.trunc_sat_f64_s (local.get 1))))
        (f64.const nan:0x123)))"#;
    let module = wat::parse_str(exact).unwrap();
    assert_eq!(canonicalise(&module).unwrap(), module);
}

#[test]
fn functions_keep_their_locals_parameters_and_shape() {
    // Parameters, groups of locals, blocks, unreachable code, several types, and an operation right before an `end`.
    let text = r#"(module
      (type $unused (func (param i32 i32 i32)))
      (func $many (export "f") (param $a i64) (param $b i64) (result i64 i64)
        (local i32 i32 f32) (local $x f64) (local $v v128)
        (local.set $x (f64.reinterpret_i64 (local.get $a)))
        (block $out (result f64)
          (drop (br_if $out (f64.mul (local.get $x) (f64.sqrt (local.get $x))) (i64.eqz (local.get $b))))
          (if (result f64) (i64.eq (local.get $b) (i64.const 1))
            (then (f64.promote_f32 (f32.demote_f64 (f64.sub (local.get $x) (local.get $x)))))
            (else (return (i64.const 7) (i64.reinterpret_f64 (f64.add (local.get $x) (local.get $x)))) (f64.add) )))
        (i64.reinterpret_f64)
        (f64x2.add (f64x2.splat (local.get $x)) (local.get $v))
        (i64x2.extract_lane 0))
      (func (export "unused") (param f32) (result f32) unreachable (f32.add) (f32.sqrt)))"#;
    let module = wat::parse_str(text).unwrap();
    let canonical = canonicalise(&module).unwrap();
    assert_eq!(canonicalise(&canonical).unwrap(), canonical);
    let engine = Engine::default();
    let inputs: Vec<(u64, u64)> = inputs().into_iter().map(|(a, b)| (a, b % 3)).collect();
    let before = run(&engine, &module, &inputs);
    for (before, after) in before.into_iter().zip(run(&engine, &canonical, &inputs)) {
        assert_eq!((Lanes::F64.canonical(before.0), Lanes::F64.canonical(before.1)), after);
    }
}

#[test]
fn a_sequence_that_is_not_quite_it_does_not_count() {
    // Another constant, another comparison, two locals: each looks canonical and is not.
    let [constant, comparison, local] = [
        "(local.tee 1) (f64.const nan:0x1) (local.get 1) (local.get 1) (f64.eq) (select)",
        "(local.tee 1) (f64.const nan) (local.get 1) (local.get 1) (f64.ne) (select)",
        "(local.tee 1) (f64.const nan) (local.get 1) (local.get 0) (f64.eq) (select)",
    ]
    .map(|tail| format!("(module (func (param f64) (result f64) (local f64) (f64.sqrt (local.get 0)) {tail}))"));
    for text in [constant, comparison, local] {
        let module = wat::parse_str(&text).unwrap();
        assert_ne!(canonicalise(&module).unwrap(), module, "{text}");
    }
    let right = "(module (func (param f64) (result f64) (local f64) (f64.sqrt (local.get 0))
        (local.tee 1) (f64.const nan) (local.get 1) (local.get 1) (f64.eq) (select)))";
    let module = wat::parse_str(right).unwrap();
    assert_eq!(canonicalise(&module).unwrap(), module);
}

#[test]
fn custom_sections_go_and_nested_modules_are_reached() {
    let text = r#"(component (@custom "note" "x")
      (core module $m (func $named (export "f") (param f32) (result f32) (f32.sqrt (local.get 0))))
      (component (core module (func (param f64) (result f64) (f64.sqrt (local.get 0))))))"#;
    let component = wat::parse_str(text).unwrap();
    let canonical = canonicalise(&component).unwrap();
    assert!(!canonical.windows(4).any(|window| window == b"note"));
    assert!(!canonical.windows(5).any(|window| window == b"named"));
    for nan in [&F32_NAN_BITS.to_le_bytes()[..], &F64_NAN_BITS.to_le_bytes()[..]] {
        assert!(canonical.windows(nan.len()).any(|window| window == nan));
    }
    assert_eq!(canonicalise(&canonical).unwrap(), canonical);
    wasmparser::Validator::new().validate_all(&canonical).unwrap();
}
