//! Machines written as WAT, for tests: the whole contract by hand, with replaceable function bodies.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A machine whose state is a number of 32 bits. `apply` adds the length of the transition.
pub struct MachineWat {
    /// More of the module: functions, globals.
    pub more: &'static str,
    /// The body of `describe`.
    pub describe: String,
    /// The body of `encode`; `$json` and `$length` are its parameters.
    pub encode: &'static str,
    /// The body of `decode`; `$transition` and `$length` are its parameters.
    pub decode: &'static str,
    /// The body of `create`; `$options` and `$options_length` are its parameters.
    pub create: &'static str,
    /// The body of `restore`; `$snapshot` and `$snapshot_length` are its parameters.
    pub restore: &'static str,
    /// The body of `apply`; `$state` is the state's number, `$transition` and `$length` the transition's bytes.
    pub apply: &'static str,
    /// The body of `snapshot`; `$state` is the state's number.
    pub snapshot: &'static str,
    /// The body of `alarm`; `$state` is the state's number.
    pub alarm: &'static str,
    /// The body of `view`; `$state` is the state's number.
    pub view: &'static str,
    /// The body of the destructor; `$state` is the state's number.
    pub drop: &'static str,
    /// The memory's limits, in pages.
    pub memory: &'static str,
}

impl Default for MachineWat {
    fn default() -> Self {
        Self {
            more: "",
            describe: describe("wat", 1, "{}"),
            encode: "(call $same (local.get $json) (local.get $length))",
            decode: "(call $same (local.get $transition) (local.get $length))",
            create: "(call $ok (call $new (i32.const 0)))",
            restore: "(call $ok (call $new (i32.load (local.get $snapshot))))",
            apply: "(call $ok (call $new (i32.add (local.get $state) (local.get $length))))",
            snapshot: "(i32.store (i32.const 16) (local.get $state)) (call $bytes (i32.const 16) (i32.const 4))",
            alarm: "(i64.store (i32.const 96) (i64.const 0)) (i32.const 96)",
            view: "(i32.store8 (i32.const 16) (i32.const 48)) (call $bytes (i32.const 16) (i32.const 1))",
            drop: "",
            memory: "2",
        }
    }
}

/// Returns a body of `describe`.
#[must_use]
pub fn describe(name: &str, state_version: u32, schemas: &str) -> String {
    let bytes = |text: &str| text.bytes().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    format!(
        r#"(memory.init $name (i32.const 256) (i32.const 0) (i32.const {name_length}))
           (memory.init $schemas (i32.const 512) (i32.const 0) (i32.const {schemas_length}))
           (i32.store (i32.const 64) (i32.const 256)) (i32.store (i32.const 68) (i32.const {name_length}))
           (i32.store (i32.const 72) (i32.const {state_version})) (i32.store8 (i32.const 76) (i32.const 1))
           (i32.store (i32.const 80) (i32.const 512)) (i32.store (i32.const 84) (i32.const {schemas_length}))
           (i32.const 64))
         (data $name "{name}") (data $schemas "{schemas}"#,
        name = bytes(name),
        name_length = name.len(),
        schemas = bytes(schemas),
        schemas_length = schemas.len(),
    ) + "\""
}

impl MachineWat {
    /// Returns the component.
    ///
    /// # Panics
    ///
    /// A body is not WAT, or does not fit the contract.
    #[must_use]
    pub fn component(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.module()).unwrap();
        let mut resolve = Resolve::default();
        let package = resolve.push_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")).unwrap().0;
        let world = resolve.select_world(&[package], Some("state-machine")).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
    }

    /// Returns the core module.
    #[must_use]
    pub fn module(&self) -> String {
        let Self { more, describe, encode, decode, create, restore, apply, snapshot, alarm, view, drop, memory } = self;
        let interface = "reapply:machine/machine@0.1.0";
        format!(
            r#"(module
  (import "[export]{interface}" "[resource-new]state" (func $new (param i32) (result i32)))
  (memory (export "memory") {memory})
  ;; Arguments lie above 4096, one after the other; results lie below.
  (global $top (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $top))
    (global.set $top (i32.and (i32.add (i32.add (global.get $top) (local.get $size)) (i32.const 7)) (i32.const -8)))
    (local.get $at))
  (func $done (global.set $top (i32.const 4096)))
  ;; result::ok of one word, result::err and plain lists.
  (func $ok (param i32) (result i32)
    (call $done) (i32.store (i32.const 32) (i32.const 0)) (i32.store (i32.const 36) (local.get 0)) (i32.const 32))
  (func $err (param i32 i32) (result i32)
    (call $done)
    (i32.store (i32.const 32) (i32.const 1)) (i32.store (i32.const 36) (local.get 0)) (i32.store (i32.const 40) (local.get 1))
    (i32.const 32))
  (func $conflict (param i32 i32) (result i32)
    (call $done)
    (i32.store (i32.const 32) (i32.const 1)) (i32.store (i32.const 36) (i32.const 1))
    (i32.store (i32.const 40) (local.get 0)) (i32.store (i32.const 44) (local.get 1))
    (i32.const 32))
  (func $bytes (param i32 i32) (result i32)
    (call $done) (i32.store (i32.const 32) (local.get 0)) (i32.store (i32.const 36) (local.get 1)) (i32.const 32))
  (func $same (param i32 i32) (result i32)
    (call $done)
    (i32.store (i32.const 32) (i32.const 0)) (i32.store (i32.const 36) (local.get 0)) (i32.store (i32.const 40) (local.get 1))
    (i32.const 32))
  {more}
  (func (export "{interface}#describe") (result i32) {describe})
  (func (export "{interface}#encode") (param $json i32) (param $length i32) (result i32) {encode})
  (func (export "{interface}#decode") (param $transition i32) (param $length i32) (result i32) {decode})
  (func (export "{interface}#[static]state.create") (param $options i32) (param $options_length i32) (result i32) {create})
  (func (export "{interface}#[static]state.restore")
    (param $snapshot i32) (param $snapshot_length i32) (param $version i32) (result i32) {restore})
  (func (export "{interface}#[method]state.apply")
    (param $state i32) (param $seq i64) (param $time i64) (param $entropy i64) (param $case i32)
    (param $author i32) (param $author_length i32) (param $transition i32) (param $length i32) (result i32) {apply})
  (func (export "{interface}#[method]state.snapshot") (param $state i32) (result i32) {snapshot})
  (func (export "{interface}#[method]state.alarm") (param $state i32) (result i32) {alarm})
  (func (export "{interface}#[method]state.view") (param $state i32) (result i32) {view})
  (func (export "{interface}#[dtor]state") (param $state i32) {drop}))"#
        )
    }
}
