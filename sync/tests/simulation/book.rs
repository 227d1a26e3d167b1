//! The state under simulation. One machine has every feature, so that they meet: a list that shows order and doubling, an
//! ordered map and a counter whose conflicts depend on the state, bits of entropy and time, membership, alarms, and inputs that
//! break it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use reapply_simulation::Ask;
use reapply_sync::{ApplyError, Author, Event, Fault, Input, Refusal};
use serde::{Deserialize, Serialize};

/// The count of alarms that stands for one that is too long.
pub(crate) const LONG: u8 = u8::MAX;

/// The content of a transition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum What {
    Append,
    Earn(u64),
    /// A conflict if the counter is lower.
    Spend(u64),
    /// A conflict if the entry is not the expected one.
    Swap {
        key: u8,
        expected: u64,
        value: u64,
    },
    Roll,
    /// Alarms, one after the other.
    Ring {
        after: u64,
        times: u8,
    },
    /// An alarm whose transition is too long to become an event.
    RingLong {
        after: u64,
    },
    /// Makes the log grow, so that snapshots are due.
    Pad(Bytes),
    Trap,
    /// Traps in some states only, so that a prediction may trap while the room's machine does not, or the other way round.
    TrapIfOdd,
    /// Takes too much for the host's budget, but not for a replica's: only the host's verdict counts.
    Exhaust,
}

/// The state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Book {
    nonces: Vec<u64>,
    pub(crate) counter: u64,
    entries: BTreeMap<u8, u64>,
    dice: u64,
    members: BTreeSet<String>,
    pub(crate) ring: Option<(u64, u8)>,
    rings: u64,
}

impl Book {
    /// Returns the state after an event. Everyone must agree on this pure function; the model calls it in a plain loop.
    pub(crate) fn apply(&self, event: &Event) -> Result<Self, ApplyError> {
        let mut next = self.clone();
        match &event.input {
            Input::Transition { transition, .. } => {
                let ask = Ask::decode(transition).map_err(Refusal::Malformed)?;
                next.take(&ask, event)?;
                next.nonces.push(ask.nonce);
            }
            Input::Alarm(_) => next.go_off(event)?,
            Input::Joined(Author(author)) => {
                assert!(next.members.insert(author.to_string()), "{author} joined twice");
            }
            Input::Left(Author(author)) => assert!(next.members.remove(&**author), "{author} left before they joined"),
            Input::Upgraded(_) | Input::Checkpoint { .. } | Input::Forked { .. } => {
                panic!("a machine was given {:?}", event.input)
            }
        }
        Ok(next)
    }

    /// Checks that nothing is shown both as confirmed and as pending. Pending transitions come last.
    pub(crate) fn check_shown(&self) {
        let newest = self.nonces.len().saturating_sub(8);
        let mut doubled =
            (newest..self.nonces.len()).filter(|&index| self.nonces[..index].contains(&self.nonces[index]));
        assert_eq!(doubled.next(), None, "a page shows a transition twice");
    }

    fn take(&mut self, ask: &Ask<What>, event: &Event) -> Result<(), ApplyError> {
        let conflict = |text: String| Err(Refusal::Conflict(text).into());
        match ask.what {
            What::Append | What::Pad(_) | What::Exhaust => {}
            What::Earn(amount) => self.counter = self.counter.wrapping_add(amount),
            What::Spend(amount) if amount > self.counter => return conflict(format!("only {}", self.counter)),
            What::Spend(amount) => self.counter -= amount,
            What::Swap { key, expected, value } => {
                let found = self.entries.get(&key).copied().unwrap_or_default();
                if found != expected {
                    return conflict(format!("found {found}"));
                }
                self.entries.insert(key, value);
            }
            What::Roll => {
                self.dice = self.dice.rotate_left(7) ^ event.entropy ^ event.time.0.rotate_left(32) ^ event.seq.0;
            }
            What::Ring { after, times } => self.ring = Some((event.time.0 + after, times)),
            What::RingLong { after } => self.ring = Some((event.time.0 + after, LONG)),
            What::Trap => return Err(trapped()),
            What::TrapIfOdd if self.counter % 2 == 1 => return Err(trapped()),
            What::TrapIfOdd => self.counter = self.counter.wrapping_add(1),
        }
        if let What::Exhaust = ask.what {
            return Err(Fault::Exhausted("time".to_owned()).into());
        }
        Ok(())
    }

    fn go_off(&mut self, event: &Event) -> Result<(), ApplyError> {
        match self.ring {
            Some((at, _)) if at > event.time.0 => panic!("the alarm of {at} went off at {}", event.time),
            None => panic!("an alarm went off that was not set"),
            Some((_, LONG)) => panic!("an alarm went off that is too long"),
            Some(_) if self.counter % 7 == 6 => Err(trapped()),
            Some(_) if self.counter % 5 == 4 => Err(Refusal::Conflict("not now".to_owned()).into()),
            Some((_, times)) => {
                self.rings += 1;
                self.ring = times.checked_sub(1).map(|times| (event.time.0 + 50_000, times));
                Ok(())
            }
        }
    }
}

fn trapped() -> ApplyError {
    Fault::Trapped("unreachable".to_owned()).into()
}
