//! A broken rule, and the history that repeats it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::script::{Act, Script};
use crate::verdict::Rule;

/// A rule that a machine broke, with the shortest history that was found to break it. `--replay` reads its JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The machine's name.
    pub machine: String,
    /// The rule.
    pub rule: Rule,
    /// The description of the failure.
    pub what: String,
    /// The seed of all histories.
    pub seed: u64,
    /// The number of the history, from 0; `None` if the machine failed before the first.
    pub history: Option<u64>,
    /// The history, shortened.
    pub script: Script,
}

/// The maximum number of steps that are printed; the file has them all.
const STEPS_SHOWN: usize = 20;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, rule, what, seed, history, script } = self;
        writeln!(f, "{machine} breaks the rule `{rule}`")?;
        writeln!(f, "  {what}")?;
        if let Some(history) = history {
            writeln!(f, "  seed {seed}, history {history}; the shortest that was found:")?;
        }
        match &script.options {
            Some(options) => writeln!(f, "  a room with the options {options}")?,
            None => writeln!(f, "  a room with the default options")?,
        }
        for step in script.steps.iter().take(STEPS_SHOWN) {
            write!(f, "  {}", Shown(&step.act))?;
            if step.after > 0 {
                write!(f, ", {} µs later", step.after)?;
            }
            if step.entropy > 0 {
                write!(f, ", entropy {}", step.entropy)?;
            }
            writeln!(f)?;
        }
        match script.steps.len().saturating_sub(STEPS_SHOWN) {
            0 => Ok(()),
            more => writeln!(f, "  … and {more} steps more"),
        }
    }
}

struct Shown<'a>(&'a Act);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Act::Submit { author, transition } => write!(f, "{author}: {transition}"),
            Act::AtOnce { authors: [a, b], transitions: [one, other] } => {
                write!(f, "{a}: {one}, and at once {b}: {other}")
            }
            Act::SubmitBytes { author, bytes } => write!(f, "{author}: the bytes {bytes}"),
            Act::Alarm => write!(f, "the alarm goes off"),
            Act::Joined { author } => write!(f, "{author} joins"),
            Act::Left { author } => write!(f, "{author} leaves"),
            Act::RestoreBytes { bytes } => write!(f, "the bytes {bytes} are restored"),
        }
    }
}
