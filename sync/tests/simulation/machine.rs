//! The machine under simulation, native. One machine has it all, so that the features meet: a list that shows order and
//! doubling, an ordered map and a counter whose conflicts depend on the state, bits of entropy and time, membership, alarms,
//! and inputs that break it. Like a wasmtime instance it loses every state it made when it breaks.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bytes::Bytes;
use reapply_sync::{Alarm, ApplyError, Author, Digest, Event, Fault, Input, LoadError, Machine, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

/// A transition. The nonce is unique in a run: it tells one from all others wherever it turns up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) nonce: u64,
    pub(crate) what: What,
}

impl Ask {
    pub(crate) fn encode(&self) -> Bytes {
        postcard::to_allocvec(self).unwrap().into()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum What {
    Append,
    Earn(u64),
    /// A conflict where the counter is lower.
    Spend(u64),
    /// A conflict where the entry is not what was expected.
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
    /// Only to make the log grow, so that snapshots are due.
    Pad(Bytes),
    Trap,
    /// Traps in some states only, so that a prediction may trap and the room's machine not, or the other way round.
    TrapIfOdd,
    /// Too much for the host's budget, not for a replica's: only the host's verdict counts.
    Exhaust,
}

/// The state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Book {
    pub(crate) nonces: Vec<u64>,
    pub(crate) counter: u64,
    entries: BTreeMap<u8, u64>,
    dice: u64,
    members: BTreeSet<String>,
    ring: Option<(u64, u8)>,
    rings: u64,
}

/// Why a book did not take an event.
pub(crate) enum No {
    Refused(Refusal),
    Trapped,
    Exhausted,
}

impl Book {
    /// The pure function that everyone must agree on; the model calls it in a plain loop.
    pub(crate) fn apply(&self, event: &Event) -> Result<Self, No> {
        let mut next = self.clone();
        match &event.input {
            Input::Transition { transition, .. } => {
                let malformed = |error: postcard::Error| No::Refused(Refusal::Malformed(error.to_string()));
                let ask: Ask = postcard::from_bytes(transition).map_err(malformed)?;
                next.take(&ask, event)?;
                next.nonces.push(ask.nonce);
            }
            Input::Alarm(_) => next.go_off(event)?,
            Input::Joined(Author(author)) => {
                assert!(next.members.insert(author.to_string()), "{author} joined twice");
            }
            Input::Left(Author(author)) => assert!(next.members.remove(&**author), "{author} left before they joined"),
        }
        Ok(next)
    }

    fn take(&mut self, ask: &Ask, event: &Event) -> Result<(), No> {
        let conflict = |text: String| Err(No::Refused(Refusal::Conflict(text)));
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
            What::Trap => return Err(No::Trapped),
            What::TrapIfOdd if self.counter % 2 == 1 => return Err(No::Trapped),
            What::TrapIfOdd => self.counter = self.counter.wrapping_add(1),
        }
        if let What::Exhaust = ask.what {
            return Err(No::Exhausted);
        }
        Ok(())
    }

    fn go_off(&mut self, event: &Event) -> Result<(), No> {
        match self.ring {
            Some((at, _)) if at > event.time.0 => panic!("the alarm of {at} went off at {}", event.time),
            None => panic!("an alarm went off that was not set"),
            Some(_) if self.counter % 5 == 4 => Err(No::Refused(Refusal::Conflict("not now".to_owned()))),
            Some((_, times)) => {
                self.rings += 1;
                self.ring = times.checked_sub(1).map(|times| (event.time.0 + 50_000, times));
                Ok(())
            }
        }
    }
}

/// Where a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Host,
    Replica,
}

#[derive(Debug)]
pub(crate) struct Native {
    place: Place,
    membership: bool,
    /// Which start of the machine this is; a state of an earlier one is lost.
    start: u64,
    is_broken: bool,
}

/// A handle. The cell lets the simulation corrupt a state.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    start: u64,
    pub(crate) book: Rc<RefCell<Book>>,
}

pub(crate) fn digest() -> Digest {
    Digest::of(b"book")
}

impl Native {
    pub(crate) fn new(place: Place, membership: bool) -> Self {
        Self { place, membership, start: 0, is_broken: false }
    }

    fn handle(&self, book: Book) -> Handle {
        assert!(!self.is_broken, "a machine was used after it had broken off");
        Handle { start: self.start, book: Rc::new(RefCell::new(book)) }
    }

    fn check(&self, state: &Handle) {
        assert!(!self.is_broken, "a machine was used after it had broken off");
        assert_eq!(state.start, self.start, "a state was used that its machine had lost");
    }
}

impl Machine for Native {
    type State = Handle;

    fn create(&mut self, _options: &str) -> Result<Handle, LoadError> {
        Ok(self.handle(Book::default()))
    }

    fn restore(&mut self, snapshot: &[u8], state_version: u32) -> Result<Handle, LoadError> {
        assert_eq!(state_version, 3);
        let book = postcard::from_bytes(snapshot).map_err(|error| LoadError::Refused(error.to_string()))?;
        Ok(self.handle(book))
    }

    fn apply(&mut self, state: &Handle, event: &Event) -> Result<Handle, ApplyError> {
        self.check(state);
        let applied = state.book.borrow().apply(event);
        match applied {
            Ok(book) => Ok(self.handle(book)),
            Err(No::Refused(refusal)) => Err(refusal.into()),
            Err(No::Exhausted) if self.place == Place::Replica => Ok(self.handle(state.book.borrow().clone())),
            Err(No::Exhausted) => {
                self.is_broken = true;
                Err(Fault::Exhausted("time".to_owned()).into())
            }
            Err(No::Trapped) => {
                self.is_broken = true;
                Err(Fault::Trapped("unreachable".to_owned()).into())
            }
        }
    }

    fn snapshot(&mut self, state: &Handle) -> Result<Bytes, Fault> {
        self.check(state);
        Ok(postcard::to_allocvec(&*state.book.borrow()).unwrap().into())
    }

    fn alarm(&mut self, state: &Handle) -> Result<Option<Alarm>, Fault> {
        self.check(state);
        let ring = state.book.borrow().ring;
        Ok(ring.map(|(at, _)| Alarm { at: Timestamp(at), transition: Bytes::from_static(b"ring") }))
    }

    fn state_version(&self) -> u32 {
        3
    }

    fn membership(&self) -> bool {
        self.membership
    }

    fn reset(&mut self) -> Result<(), Fault> {
        self.is_broken = false;
        self.start += 1;
        Ok(())
    }
}
