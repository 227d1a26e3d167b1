//! Components that every host must refuse.

use reapply_testing::machine_wat::MachineWat;

/// A file that is refused.
pub(crate) struct Bad {
    /// The description of the file.
    pub(crate) what: &'static str,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// The expected text in the refusal.
    pub(crate) cause: &'static str,
}

/// Returns one file of each kind.
pub(crate) fn bad() -> Vec<Bad> {
    let counter = std::fs::read(guest_components::component("counter")).unwrap();
    let truncated = counter[..counter.len() / 2].to_vec();
    let wasi = r#"(component (import "wasi:cli/environment@0.2.0"
        (instance (export "get-arguments" (func (result (list string)))))))"#;
    let traps = MachineWat { create: "unreachable", ..MachineWat::default() }.component();
    vec![
        Bad { what: "an empty file", bytes: vec![], cause: "this is not a WebAssembly file" },
        Bad { what: "a text", bytes: b"hello".to_vec(), cause: "this is not a WebAssembly file" },
        Bad { what: "a core module", bytes: wat("(module)"), cause: "this is a core module" },
        Bad { what: "a truncated file", bytes: truncated, cause: "the file is truncated" },
        Bad {
            what: "a component of another world",
            bytes: wat("(component)"),
            cause: "it does not export `reapply:machine/machine@0.1.0`",
        },
        Bad {
            what: "a component that imports",
            bytes: wat(wasi),
            cause: "the component imports `wasi:cli/environment@0.2.0`",
        },
        Bad { what: "a component that traps in `create`", bytes: traps, cause: "`create` failed: the machine trapped" },
    ]
}

/// Returns a good component, whose transitions are the texts themselves.
pub(crate) fn echo() -> Vec<u8> {
    MachineWat { memory: "8", ..MachineWat::default() }.component()
}

/// Returns the same, with memory for many large transitions.
pub(crate) fn roomy_echo() -> Vec<u8> {
    MachineWat { memory: "1000", ..MachineWat::default() }.component()
}

/// Returns a component whose alarm traps after the first transition, with `text` as its panic message.
pub(crate) fn alarming(text: &str) -> Vec<u8> {
    let bytes: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let more = format!("(data (i32.const 2048) \"{bytes}\")");
    let alarm = format!(
        "(i64.store (i32.const 96) (i64.extend_i32_u (i32.ne (local.get $state) (i32.const 0))))
         (i64.store (i32.const 104) (i64.const 1))
         (i32.store (i32.const 112) (i32.const 2048)) (i32.store (i32.const 116) (i32.const {}))
         (i32.const 96)",
        text.len()
    );
    let apply = "(if (local.get $case) (then (unreachable)))
        (call $ok (call $new (i32.add (local.get $state) (local.get $length))))";
    MachineWat { more: more.leak(), alarm: alarm.leak(), apply, ..MachineWat::default() }.component()
}

/// Returns a good, small component that takes a compiler minutes: a function of blocks within blocks.
pub(crate) fn costly() -> Vec<u8> {
    const DEPTH: usize = 500_000;
    let more = format!("(func {} {})", "block ".repeat(DEPTH), "end ".repeat(DEPTH));
    MachineWat { more: more.leak(), ..MachineWat::default() }.component()
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}
