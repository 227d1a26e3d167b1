//! The panic message of a machine.
//!
//! A component that imports nothing has no other way to report it, so it leaves a message in its memory (`wit/machine.wit`), and the trap
//! that follows carries the memories.

use memchr::memmem;
use wasmtime::{Store, Trap, WasmCoreDump};

use super::limits::MESSAGE_BYTES_MAX;

/// The first bytes of a report. The text's length follows as a little-endian `u32`, then the text.
const MARK: &[u8] = b"reapply:panicked";

/// Returns the report that a panic left in the memory of the trapped machine, if it did.
pub(super) fn report<T>(error: &wasmtime::Error, store: &Store<T>) -> Option<String> {
    // Only this trap is a panic. A machine's memory holds what participants sent, which may look like a report.
    let Some(Trap::UnreachableCodeReached) = error.downcast_ref() else { return None };
    let dump: &WasmCoreDump = error.downcast_ref()?;
    dump.memories().iter().find_map(|memory| find(memory.data(store)))
}

/// Returns the first report in a memory: statics lie below the heap.
fn find(memory: &[u8]) -> Option<String> {
    memmem::find_iter(memory, MARK).find_map(|start| {
        let (length, rest) = memory[start + MARK.len()..].split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let text = rest.get(..length).filter(|text| (1..=MESSAGE_BYTES_MAX).contains(&text.len()))?;
        // The report becomes one line, since it goes to logs and terminals.
        Some(std::str::from_utf8(text).ok()?.replace(char::is_control, " "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report_of(text: &[u8]) -> Vec<u8> {
        [MARK, &(text.len() as u32).to_le_bytes(), text].concat()
    }

    #[test]
    fn a_report_is_found_where_there_is_one() {
        let memory = [&[7; 100][..], MARK, &report_of(b"src/lib.rs:1:2: no\nmore"), &[7; 9]].concat();
        assert_eq!(find(&memory).as_deref(), Some("src/lib.rs:1:2: no more"));
        assert_eq!(find(&[0; 100]), None);
        assert_eq!(find(MARK), None);
        assert_eq!(find(&report_of(b"")), None);
        assert_eq!(find(&report_of(&[b'x'; MESSAGE_BYTES_MAX + 1])), None);
        assert_eq!(find(&report_of(b"\xff")), None);
        assert_eq!(find(&report_of(b"cut off")[..20]), None);
    }
}
