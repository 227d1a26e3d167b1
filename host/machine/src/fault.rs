//! The faults of a machine.

use reapply_sync::Fault;
use wasmtime::Trap;

use super::limits::MESSAGE_BYTES_MAX;

/// A growth that was refused. It traps at once, and the machine is not told: a machine that continued could reach another state
/// here than in a browser, which has more memory.
#[derive(Debug, thiserror::Error)]
#[error("exhausted its {0}")]
pub(super) struct Denied(pub(super) String);

/// Returns the fault that a failed call means.
pub(super) fn fault(error: wasmtime::Error) -> Fault {
    if let Some(Denied(what)) = error.downcast_ref() {
        return Fault::Exhausted(what.clone());
    }
    match error.downcast_ref() {
        Some(Trap::OutOfFuel) => Fault::Exhausted("fuel (its time for one call)".into()),
        Some(Trap::UnreachableCodeReached) => {
            Fault::Trapped("it panicked, or `unreachable` was executed otherwise".into())
        }
        Some(Trap::StackOverflow) => Fault::Trapped("its stack overflowed".into()),
        Some(trap) => {
            let text = trap.to_string();
            Fault::Trapped(text.strip_prefix("wasm trap: ").unwrap_or(&text).into())
        }
        None => Fault::Trapped(cut(error.root_cause().to_string())),
    }
}

/// The fault of a call to a machine that broke off and was not started again.
pub(super) fn broken_off() -> Fault {
    Fault::Trapped("it faulted before and was not reset".into())
}

/// Returns the text, cut to the maximum length of a message.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > MESSAGE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
        text.push('…');
    }
    text
}
