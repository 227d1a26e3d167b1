//! Runs the book's commands, and compares their output with the book's text.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use regex_lite::Regex;

/// A reader's terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// The current folder.
    pub(crate) dir: PathBuf,
    /// The environment variables.
    pub(crate) variables: Vec<(String, String)>,
    /// Replacements for some of the book's words, such as the address of the real host.
    pub(crate) instead: Vec<(String, String)>,
}

/// The output of a command, and whether it succeeded.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) text: String,
    pub(crate) succeeded: bool,
}

/// A command, with its output according to the book.
#[derive(Debug, PartialEq)]
pub(crate) struct Said<'a> {
    pub(crate) command: &'a str,
    pub(crate) printed: String,
}

impl Terminal {
    /// Runs a command, and returns its standard output and standard error, interleaved.
    pub(crate) fn run(&mut self, command: &str) -> Printed {
        if let Some(dir) = command.strip_prefix("cd ") {
            self.dir.push(dir);
            return Printed { text: String::new(), succeeded: self.dir.is_dir() };
        }
        let command = self.instead.iter().fold(command.to_owned(), |command, (book, real)| command.replace(book, real));
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("exec 2>&1\n{command}")).current_dir(&self.dir).stdin(Stdio::null());
        shell.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = shell.output().unwrap_or_else(|error| panic!("{command}: {error}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Printed { text, succeeded: output.status.success() }
    }

    /// Runs the commands of a block. Each must succeed, except a last one that is marked as failing.
    pub(crate) fn follow(&mut self, block: &str, figures: bool, fails: bool) {
        let said = said(block);
        let last = said.len().saturating_sub(1);
        for (index, Said { command, printed: expected }) in said.into_iter().enumerate() {
            let Printed { text, succeeded } = self.run(command);
            assert_eq!(succeeded, !(fails && index == last), "$ {command}\n{text}");
            assert!(matches(&expected, &text, figures), "$ {command}\nprints\n{text}\nand the book says\n{expected}");
        }
    }
}

/// Returns the commands of a block.
pub(crate) fn said(block: &str) -> Vec<Said<'_>> {
    let mut said: Vec<Said<'_>> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), said.last_mut()) {
            (Some(command), _) => said.push(Said { command, printed: String::new() }),
            (None, Some(Said { printed, .. })) => printed.extend([line, "\n"]),
            (None, None) => panic!("{block:?} begins with no command"),
        }
    }
    said
}

/// Returns whether the output matches the book. In the book, `…` alone on a line stands for any lines, and inside a line for anything. If
/// figures are not compared, any number matches any other, however wide.
pub(crate) fn matches(book: &str, printed: &str, figures: bool) -> bool {
    let mut pattern = String::from(r"\A");
    for line in book.trim_end().lines() {
        if line.trim() == "…" {
            pattern.push_str(r"(?:.*\n)*?");
            continue;
        }
        let pieces: Vec<String> = line.split('…').map(|piece| literal(piece, figures)).collect();
        pattern.push_str(&pieces.join(".*"));
        pattern.push('\n');
    }
    pattern.push_str(r"\z");
    let pattern = Regex::new(&pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let printed = printed.trim_end();
    pattern.is_match(&if printed.is_empty() { String::new() } else { format!("{printed}\n") })
}

fn literal(piece: &str, figures: bool) -> String {
    let escaped = regex_lite::escape(piece);
    if !figures {
        return escaped;
    }
    let number = Regex::new(r" *[0-9]+(?:\\\.[0-9]+)?").expect("it is a pattern");
    number.replace_all(&escaped, " *[0-9]+(?:\\.[0-9]+)?").into_owned()
}

#[test]
fn an_ellipsis_stands_for_what_differs() {
    assert!(matches("…\nbuilt …/poll.wasm (… bytes)\n", "noise\nbuilt /a/poll.wasm (7 bytes)\n", false));
    assert!(matches("…\nbuilt …/poll.wasm (… bytes)\n", "built /a/poll.wasm (7 bytes)", false));
    assert!(!matches("built …/poll.wasm\n", "noise\nbuilt /a/poll.wasm\n", false));
    assert!(!matches("built …/poll.wasm\n", "built /a/poll.wasm\nnoise\n", false));
    assert!(matches("", "", false));
    assert!(!matches("", "noise\n", false));
}

#[test]
fn figures_may_differ_and_words_may_not() {
    assert!(matches("fuel     120  1.5 % of 75\n", "fuel    4711  22.5 % of 75\n", true));
    assert!(!matches("fuel     120\n", "memory   120\n", true));
    assert!(!matches("fuel 120\n", "fuel 121\n", false));
}

#[test]
fn commands_are_told_from_what_they_print() {
    let said = said("$ ls\na\nb\n$ true\n");
    let expected = |command, printed: &str| Said { command, printed: printed.to_owned() };
    assert_eq!(said, [expected("ls", "a\nb\n"), expected("true", "")]);
}
