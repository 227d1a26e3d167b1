//! A machine of the SDK as the protocol sees it: native, with the answers of its component.

use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;

use bytes::Bytes;
use reapply_guest::Program;
use reapply_simulation::{Ask, Place};
use reapply_sync::{Alarm, ApplyError, CodecError, Event, Fault, Input, LoadError, Machine, Refusal};
use serde::{Deserialize, Serialize};

/// The input of the machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum What {
    /// A transition, from the machine's `encode`.
    Transition(Bytes),
    /// An empty input, only to make the log grow.
    Pad(Bytes),
}

/// Runs `P`, which must not break off.
pub(crate) struct Native<P> {
    place: Place,
    machine: reapply_check::Native<P>,
}

/// A handle to a state. The cell lets the simulation corrupt it.
#[derive(Clone, Debug)]
pub(crate) struct Handle<P>(pub(crate) Rc<RefCell<P>>);

impl<P> Native<P> {
    pub(crate) fn new(place: Place) -> Self {
        Self { place, machine: reapply_check::Native::default() }
    }
}

impl<P: Program + Clone + Debug + PartialEq> Machine for Native<P> {
    type State = Handle<P>;

    fn create(&mut self, options: &str) -> Result<Handle<P>, LoadError> {
        loaded(self.machine.create(options))
    }

    fn restore(&mut self, snapshot: &[u8], state_version: u32) -> Result<Handle<P>, LoadError> {
        loaded(self.machine.restore(snapshot, state_version))
    }

    fn apply(&mut self, state: &Handle<P>, event: &Event) -> Result<Handle<P>, ApplyError> {
        let state = state.0.borrow();
        let Some(event) = unpacked(event)? else { return Ok(handle(state.clone())) };
        match self.machine.apply(&state, &event) {
            Ok(next) => {
                if self.place == Place::Host {
                    self.check_restores(&next);
                }
                Ok(handle(next))
            }
            Err(ApplyError::Fault(fault)) => panic!("{event:?}: {fault}"),
            Err(refused) => Err(refused),
        }
    }

    fn snapshot(&mut self, state: &Handle<P>) -> Result<Bytes, Fault> {
        Ok(self.machine.snapshot(&state.0.borrow()).expect("a state has its bytes"))
    }

    fn alarm(&mut self, state: &Handle<P>) -> Result<Option<Alarm>, Fault> {
        Ok(self.machine.alarm(&state.0.borrow()).expect("a state has an alarm or none"))
    }

    fn encode(&mut self, json: &str) -> Result<Bytes, CodecError> {
        self.machine.encode(json)
    }

    fn decode(&mut self, transition: &[u8]) -> Result<String, CodecError> {
        self.machine.decode(transition)
    }

    fn state_version(&self) -> u32 {
        self.machine.state_version()
    }

    fn membership(&self) -> bool {
        self.machine.membership()
    }

    fn reset(&mut self) -> Result<(), Fault> {
        self.machine.reset()
    }
}

impl<P: Program + Debug + PartialEq> Native<P> {
    /// Checks that a state survives the way through its bytes, whatever its history.
    fn check_restores(&mut self, state: &P) {
        let bytes = self.machine.snapshot(state).expect("a state has its bytes");
        let restored = self.machine.restore(&bytes, P::STATE_VERSION).expect("a snapshot restores");
        assert_eq!(&restored, state, "restored, the state is another");
        let again = self.machine.snapshot(&restored).expect("a state has its bytes");
        assert_eq!(again, bytes, "restored, the state has other bytes: {state:?}");
    }
}

fn loaded<P>(loaded: Result<P, LoadError>) -> Result<Handle<P>, LoadError> {
    match loaded {
        Err(LoadError::Fault(fault)) => panic!("{fault}"),
        loaded => loaded.map(handle),
    }
}

fn handle<P>(state: P) -> Handle<P> {
    Handle(Rc::new(RefCell::new(state)))
}

/// Returns the event as the machine gets it; `None` for an empty input.
fn unpacked(event: &Event) -> Result<Option<Event>, ApplyError> {
    let Input::Transition { author, client, number, transition } = &event.input else { return Ok(Some(event.clone())) };
    let transition = match Ask::decode(transition).map_err(Refusal::Malformed)?.what {
        What::Pad(_) => return Ok(None),
        What::Transition(transition) => transition,
    };
    let (author, client, number) = (author.clone(), *client, *number);
    Ok(Some(Event { input: Input::Transition { author, client, number, transition }, ..event.clone() }))
}
