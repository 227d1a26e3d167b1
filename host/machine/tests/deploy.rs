//! The refusals of a deployment, with their messages.

use reapply_component::limits::COMPONENT_BYTES_MAX;
use reapply_machine::{Engine, check};
use reapply_sync::Digest;
use reapply_testing::machine_wat::{MachineWat, describe};

fn refusal(bytes: &[u8]) -> String {
    let engine = Engine::new(None).unwrap();
    check(&engine, bytes).err().expect("it is refused").to_string()
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn a_machine_is_accepted_and_described() {
    let engine = Engine::new(None).unwrap();
    let component = MachineWat::default().component();
    let deployment = check(&engine, &component).unwrap();
    let description = deployment.build.description();
    assert_eq!((description.name.as_str(), description.state_version, description.membership), ("wat", 1, true));
    assert_eq!(deployment.build.digest(), Digest::of(deployment.build.component()));

    // A canonical component does not change.
    let again = check(&engine, deployment.build.component()).unwrap();
    assert_eq!(again.build.digest(), deployment.build.digest());
    assert_eq!(again.plan, deployment.plan);
}

#[test]
fn what_is_no_component_is_refused() {
    assert!(refusal(b"").contains("not a WebAssembly file"));
    assert!(refusal(b"(component)").contains("not a WebAssembly file"));
    assert!(refusal(b"\0as").contains("truncated"));
    assert!(refusal(&component("(module)")).contains("core module"));
    assert!(refusal(&component("(module)")).contains("`reapply build`"));
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let component = MachineWat::default().component();
    for length in (1..component.len()).step_by(7) {
        let message = refusal(&component[..length]);
        let expected = message.contains("truncated") || message.contains("does not export");
        assert!(expected || length < 8, "cut at {length}: {message}");
    }
    assert_eq!(refusal(&component[..100]), "the component breaks off after 100 bytes: the file is truncated");
}

#[test]
fn a_component_over_the_limit_is_refused_with_both_sizes() {
    let message = refusal(&vec![0; COMPONENT_BYTES_MAX + 1]);
    assert_eq!(message, "the component has 16777217 bytes; the limit is 16777216");
}

#[test]
fn imports_are_refused_by_name() {
    let one = refusal(&component(
        r#"(component (import "wasi:cli/environment@0.2.0" (instance (export "get-arguments" (func (result (list string)))))))"#,
    ));
    assert_eq!(one, "the component imports `wasi:cli/environment@0.2.0`, and a machine imports nothing");
    let many = refusal(&component(
        r#"(component (import "a" (func)) (import "b" (func)) (import "c" (func)) (import "d" (func)) (import "e" (func)))"#,
    ));
    assert!(many.contains("`a`, `b`, `c` and 2 more"), "{many}");
}

#[test]
fn another_world_is_refused_by_what_is_missing_or_different() {
    let none = refusal(&component("(component)"));
    assert_eq!(none, "the component is not a state machine: it does not export `reapply:machine/machine@0.1.0`");

    let empty =
        refusal(&component(r#"(component (instance $i) (export "reapply:machine/machine@0.1.0" (instance $i)))"#));
    assert!(empty.contains("`reapply:machine/machine@0.1.0#describe`"), "{empty}");

    let other = refusal(&component(OTHER_TYPES));
    assert!(other.contains("of this contract: the type of `describe` differs"), "{other}");
}

/// Every function by its right name, and all of them with no parameters and results.
const OTHER_TYPES: &str = r#"(component
  (core module $m (func (export "f")) (func (export "m") (param i32)))
  (core instance $i (instantiate $m))
  (type $state' (resource (rep i32)))
  (func $f (canon lift (core func $i "f")))
  (func $m' (param "self" (borrow $state')) (canon lift (core func $i "m")))
  (component $shim
    (import "state" (type $state (sub resource)))
    (import "f" (func $f))
    (import "m" (func $m (param "self" (borrow $state))))
    (export $s "state" (type $state))
    (export "describe" (func $f)) (export "encode" (func $f)) (export "decode" (func $f))
    (export "[static]state.create" (func $f)) (export "[static]state.restore" (func $f))
    (export "[method]state.apply" (func $m) (func (param "self" (borrow $s))))
    (export "[method]state.snapshot" (func $m) (func (param "self" (borrow $s))))
    (export "[method]state.alarm" (func $m) (func (param "self" (borrow $s))))
    (export "[method]state.view" (func $m) (func (param "self" (borrow $s)))))
  (instance $x (instantiate $shim (with "state" (type $state')) (with "f" (func $f)) (with "m" (func $m'))))
  (export "reapply:machine/machine@0.1.0" (instance $x)))"#;

#[test]
fn what_is_not_deterministic_is_refused() {
    let threads = refusal(&component("(component (core module (memory 1 1 shared)))"));
    assert_eq!(threads, "the component uses threads or shared memory, which is not deterministic");
    let atomics =
        refusal(&component("(component (core module (memory 1) (func (drop (i32.atomic.load (i32.const 0))))))"));
    assert!(atomics.contains("threads"), "{atomics}");
    let relaxed = refusal(&component(
        "(component (core module (func (param v128 v128 v128) (result v128)
           (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))))",
    ));
    assert_eq!(relaxed, "the component uses relaxed SIMD, which is not deterministic");
    let both = refusal(&component(
        "(component (core module (memory 1 1 shared) (func (param v128 v128 v128) (result v128)
           (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))))",
    ));
    assert!(both.contains("threads and relaxed SIMD"), "{both}");
    let other = refusal(&component("(component (core module (memory i64 1)))"));
    assert!(other.contains("not a valid component") && other.contains("memory64"), "{other}");
}

#[test]
fn a_machine_that_traps_in_its_trial_is_refused() {
    let traps = |wat: MachineWat| refusal(&wat.component());
    let unreachable = "unreachable";
    assert_eq!(
        traps(MachineWat { create: unreachable, ..MachineWat::default() }),
        "`create` failed: the machine trapped: it panicked, or `unreachable` was executed otherwise"
    );
    let describe = traps(MachineWat { describe: unreachable.into(), ..MachineWat::default() });
    assert!(describe.starts_with("`describe` failed"), "{describe}");
    let restore = traps(MachineWat { restore: unreachable, ..MachineWat::default() });
    assert!(restore.starts_with("`restore` failed"), "{restore}");
    let snapshot = traps(MachineWat { snapshot: unreachable, ..MachineWat::default() });
    assert!(snapshot.starts_with("`snapshot` failed"), "{snapshot}");
    let start = traps(MachineWat { more: "(func $s unreachable) (start $s)", ..MachineWat::default() });
    assert!(start.starts_with("`start` failed"), "{start}");
    let endless = traps(MachineWat { describe: "(loop (br 0)) unreachable".into(), ..MachineWat::default() });
    assert!(endless.starts_with("`describe` failed: the machine exhausted its fuel"), "{endless}");
    let large = traps(MachineWat { memory: "1025", ..MachineWat::default() });
    assert_eq!(large, "`start` failed: the machine exhausted its memory (64 MiB)");
}

#[test]
fn a_machine_that_refuses_its_own_is_refused() {
    let text = "(i32.store (i32.const 16) (i32.const 0x6f6e)) (call $err (i32.const 16) (i32.const 2))";
    let create = refusal(&MachineWat { create: text, ..MachineWat::default() }.component());
    assert_eq!(create, "`create` refused the default options: no");
    let restore = refusal(&MachineWat { restore: text, ..MachineWat::default() }.component());
    assert_eq!(restore, "`restore` refused its own snapshot of a new state: no");
    let unstable =
        refusal(&MachineWat { restore: "(call $ok (call $new (i32.const 7)))", ..MachineWat::default() }.component());
    assert!(unstable.contains("different snapshots (4 and 4 bytes)"), "{unstable}");
}

#[test]
fn a_bad_description_is_refused_by_its_field() {
    let described = |text: String| refusal(&MachineWat { describe: text, ..MachineWat::default() }.component());
    assert!(described(describe("No Name", 1, "{}")).contains("bad `name`: \"No Name\" is not a name"));
    assert!(described(describe("wat", 0, "{}")).contains("bad `state-version`"));
    assert!(described(describe("wat", 1, "[]")).contains("bad `schemas`: it is JSON, but not an object"));
    assert!(described(describe("wat", 1, "x")).contains("bad `schemas`: it is not JSON"));
}

#[test]
fn damaged_components_never_panic_the_host() {
    let engine = Engine::new(None).unwrap();
    let component = MachineWat::default().component();
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut random = seed | 1;
    for _ in 0..500 {
        let mut damaged = component.clone();
        for _ in 0..2 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let place = random as usize % damaged.len();
            damaged[place] ^= 1 << (random >> 61);
        }
        // Any message is passed on.
        if let Err(error) = check(&engine, &damaged) {
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn compiled_machines_are_found_in_the_cache() {
    let directory = tempfile::tempdir().unwrap();
    let component = MachineWat::default().component();
    let cached = directory.path().join("cache");
    for _ in 0..2 {
        let engine = Engine::new(Some(&cached)).unwrap();
        assert!(check(&engine, &component).is_ok());
    }
    assert!(cached.is_dir());
    let file = directory.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let error = Engine::new(Some(&file)).err().unwrap().to_string();
    assert!(error.contains("cache for compiled machines") && error.contains("file"), "{error}");
}

/// The core name of `describe`, and a name of the same length that would end a string in JavaScript and continue as code.
const NAME: &str = "reapply:machine/machine@0.1.0#describe";
const ATTACK: &str = "x'];globalThis.PWNED='yes';//////////'";

#[test]
fn a_name_that_could_be_code_is_refused() {
    assert_eq!(NAME.len(), ATTACK.len());
    let component = replaced(MachineWat::default().component(), NAME, ATTACK);
    let message = refusal(&component);
    assert!(message.contains(r"imports or exports `x\'];globalThis.PWNED=\'yes\';"), "{message}");
    assert!(message.contains("at most 256 bytes"), "{message}");
    // The names of its instances' imports are names as well.
    let import = replaced(MachineWat::default().component(), "[resource-new]state", "[resource-new]st\"te");
    assert!(refusal(&import).contains("resource-new"), "{}", refusal(&import));
}

#[test]
fn a_name_over_the_limit_is_refused_and_shown_in_part() {
    let module = format!(r#"(component (core module (func (export "{}"))))"#, "n".repeat(257));
    let message = refusal(&self::component(&module));
    assert!(message.contains(&format!("`{}`", "n".repeat(80))), "{message}");
}

/// Returns the same bytes with another name of the same length, wherever it occurs.
fn replaced(mut bytes: Vec<u8>, name: &str, other: &str) -> Vec<u8> {
    let mut found = 0;
    for at in 0..bytes.len().saturating_sub(name.len()) {
        if bytes[at..].starts_with(name.as_bytes()) {
            bytes[at..at + name.len()].copy_from_slice(other.as_bytes());
            found += 1;
        }
    }
    assert!(found >= 2, "`{name}` stands in a module and in what refers to it");
    bytes
}

#[test]
fn a_plan_finds_the_modules_and_the_contracts_functions() {
    let engine = Engine::new(None).unwrap();
    let deployment = check(&engine, &MachineWat::default().component()).unwrap();
    let (plan, component) = (&deployment.plan, deployment.build.component());
    // The machine itself, and the two modules that tie its destructor to an existing type.
    assert_eq!((plan.modules.len(), plan.instances.len(), plan.functions.len()), (3, 3, 9));
    for [offset, length] in &plan.modules {
        assert!(wasmparser::validate(&component[*offset..offset + length]).is_ok());
    }
    assert!(plan.destructor.is_some());
    // Only numbers are served of it.
    let json = serde_json::to_string(plan).unwrap();
    let words = [
        "modules",
        "instances",
        "module",
        "imports",
        "memory",
        "realloc",
        "destructor",
        "functions",
        "call",
        "post_return",
        "null",
    ];
    let texts = json.split(|character: char| !character.is_ascii_alphabetic() && character != '_');
    assert!(texts.filter(|text| !text.is_empty()).all(|text| words.contains(&text)), "{json}");
}

/// Returns the text of a complete machine, to be changed.
fn machine_text() -> String {
    wasmprinter::print_bytes(MachineWat::default().component()).unwrap()
}

#[test]
fn odd_constructions_are_refused_by_what_is_odd() {
    let machine = machine_text();
    let (body, _) = machine.rsplit_once(')').unwrap();
    let resources = refusal(&component(&format!("{body} (type (resource (rep i32))))")));
    assert_eq!(resources, "pages cannot run the component: it has 2 resource types; a machine has one, `state`");
    let (before, after) = machine.rsplit_once("string-encoding=utf8").unwrap();
    let encoding = refusal(&component(&format!("{before}string-encoding=utf16{after}")));
    assert!(encoding.contains("text that is not in UTF-8"), "{encoding}");
}

#[test]
fn a_machine_inside_of_a_component_is_one() {
    let inner = machine_text().replacen("(component", "(component $machine", 1);
    let outer = format!(
        r#"(component {inner} (instance $i (instantiate $machine))
           (alias export $i "reapply:machine/machine@0.1.0" (instance $interface))
           (export "reapply:machine/machine@0.1.0" (instance $interface)))"#
    );
    let engine = Engine::new(None).unwrap();
    let plan = check(&engine, &component(&outer)).unwrap_or_else(|error| panic!("{error}")).plan;
    assert_eq!((plan.modules.len(), plan.instances.len()), (3, 3));
}

#[test]
fn components_that_multiply_are_refused_before_they_do() {
    let mut nested = String::from("(component)");
    for _ in 0..6 {
        nested = format!("(component {nested} (instance (instantiate 0)) (instance (instantiate 0)))");
    }
    assert!(refusal(&component(&nested)).contains("levels deep"), "{}", refusal(&component(&nested)));
    let many = format!("(component (component) {})", "(instance (instantiate 0))".repeat(33));
    assert!(refusal(&component(&many)).contains("more than 32 times"), "{}", refusal(&component(&many)));
}
