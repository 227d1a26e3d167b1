//! Printing: results on standard output, notes on standard error.
//!
//! Texts may come from machines, participants and other hosts, so their control characters are escaped here.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use anyhow::Context;

use reapply_host::foreign;

/// The error of a command whose reader stopped early, such as `head`. The command ends without a message.
#[derive(Debug, thiserror::Error)]
#[error("the reader of the output stopped early")]
pub(super) struct ReaderGone;

/// Prints a line.
///
/// # Errors
///
/// The line cannot be printed.
pub(super) fn line(line: impl Display) -> anyhow::Result<()> {
    let line = foreign::one_line(&line.to_string()).into_owned();
    write(format!("{line}\n").as_bytes()).with_context(|| format!("cannot print the line {line:?}"))
}

/// Prints text of any number of lines as it is, without a line break at its end.
///
/// # Errors
///
/// The text cannot be printed.
pub(super) fn text(text: &str) -> anyhow::Result<()> {
    write(foreign::lines(text).as_bytes()).context("cannot print")
}

/// Prints a value as JSON of several lines.
///
/// # Errors
///
/// The value cannot be printed.
pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(value)?;
    text(&format!("{}\n", foreign::json(&json)))
}

/// Prints a part of a longer text of JSON or CSV. A character may begin in one part and end in the next.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The beginning of a character.
    begun: Vec<u8>,
}

impl Parts {
    /// Prints the next part, up to its last complete character.
    ///
    /// # Errors
    ///
    /// The part cannot be printed.
    pub(super) fn print(&mut self, part: &[u8]) -> anyhow::Result<()> {
        write(self.escape(part).as_bytes()).context("cannot print")
    }

    fn escape(&mut self, part: &[u8]) -> String {
        self.begun.extend_from_slice(part);
        let complete = match std::str::from_utf8(&self.begun) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.begun.len(),
        };
        let text = String::from_utf8_lossy(&self.begun[..complete]);
        let escaped = foreign::json(&text).into_owned();
        self.begun.drain(..complete);
        escaped
    }
}

/// Writes a line for the operator to standard error. A full or closed one is nobody's loss.
pub(super) fn note(note: impl Display) {
    let note = note.to_string();
    let _ = io::stderr().write_all(format!("{}\n", foreign::lines(&note)).as_bytes());
}

fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        written => Ok(written?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_in_two_parts_is_escaped_as_well() {
        let json = "{\"Add\":\"a\u{9b}31m \u{202e}\u{1f600}\"}\n".as_bytes();
        for at in 0..=json.len() {
            let mut parts = Parts::default();
            let escaped = parts.escape(&json[..at]) + &parts.escape(&json[at..]);
            assert_eq!(escaped, "{\"Add\":\"a\\u009b31m \\u202e\u{1f600}\"}\n", "{at}");
        }
    }
}
