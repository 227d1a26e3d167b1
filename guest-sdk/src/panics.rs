//! Panic messages for a component that imports nothing: the message stays in memory, and the host looks for it after the trap.
//!
//! The report is one run of bytes: the sixteen bytes `reapply:panicked`, the text's length as a little-endian `u32`, and the text in UTF-8.
//! `wit/machine.wit` documents this for authors of machines in other languages.

use std::hint::black_box;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, Once};

/// The mark at the start of a report, `reapply:panicked`, with each byte inverted: the code must not contain the bytes that the host looks
/// for.
const MARK_INVERTED: [u8; MARK_BYTES] =
    [!b'r', !b'e', !b'a', !b'p', !b'p', !b'l', !b'y', !b':', !b'p', !b'a', !b'n', !b'i', !b'c', !b'k', !b'e', !b'd'];

const MARK_BYTES: usize = 16;
const LENGTH_BYTES: usize = size_of::<u32>();

/// The maximum number of bytes of a text; the rest is cut off.
const TEXT_BYTES_MAX: usize = 1024;

static REPORT: Mutex<[u8; MARK_BYTES + LENGTH_BYTES + TEXT_BYTES_MAX]> =
    Mutex::new([0; MARK_BYTES + LENGTH_BYTES + TEXT_BYTES_MAX]);

/// Makes later panics leave a report. Every function through which a component can be entered first calls this.
pub(crate) fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(leave_report)));
}

fn leave_report(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("(no message)");
    let text = match panic.location() {
        Some(place) => format!("{}:{}:{}: {message}", place.file(), place.line(), place.column()),
        None => message.to_owned(),
    };
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    let Ok(mut report) = REPORT.lock() else { return };
    let (mark, rest) = report.split_at_mut(MARK_BYTES);
    let (length, room) = rest.split_at_mut(LENGTH_BYTES);
    length.copy_from_slice(&(text.len() as u32).to_le_bytes());
    room[..text.len()].copy_from_slice(text.as_bytes());
    for (byte, inverted) in mark.iter_mut().zip(black_box(MARK_INVERTED)) {
        *byte = !inverted;
    }
    black_box(&mut *report);
}
