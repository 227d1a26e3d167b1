//! A machine of the SDK as the protocol sees it: native, with the answers of its component.

use std::cell::RefCell;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::rc::Rc;

use bytes::Bytes;
use reapply_guest::{Program, contract};
use reapply_simulation::{Ask, Place};
use reapply_sync::{
    Alarm, ApplyError, Author, CodecError, Event, Fault, Input, LoadError, Machine, Refusal, Timestamp,
};
use serde::{Deserialize, Serialize};

/// The input of the machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum What {
    /// A transition, from the machine's `encode`.
    Transition(Bytes),
    /// An empty input, only to make the log grow.
    Pad(Bytes),
}

/// Runs `P`.
#[derive(Debug)]
pub(crate) struct Native<P> {
    place: Place,
    program: PhantomData<P>,
}

/// A handle to a state. The cell lets the simulation corrupt it.
#[derive(Clone, Debug)]
pub(crate) struct Handle<P>(pub(crate) Rc<RefCell<P>>);

impl<P> Native<P> {
    pub(crate) fn new(place: Place) -> Self {
        Self { place, program: PhantomData }
    }
}

impl<P: Program + Clone + Debug + PartialEq> Machine for Native<P> {
    type State = Handle<P>;

    fn create(&mut self, options: &str) -> Result<Handle<P>, LoadError> {
        contract::create(options).map(handle).map_err(LoadError::Refused)
    }

    fn restore(&mut self, snapshot: &[u8], state_version: u32) -> Result<Handle<P>, LoadError> {
        contract::restore(snapshot, state_version).map(handle).map_err(LoadError::Refused)
    }

    fn apply(&mut self, state: &Handle<P>, event: &Event) -> Result<Handle<P>, ApplyError> {
        let state = state.0.borrow();
        let Some(event) = typed(event)? else { return Ok(handle(state.clone())) };
        let next = contract::apply(&*state, event).map_err(|rejection| match rejection {
            contract::Rejection::Malformed(text) => Refusal::Malformed(text),
            contract::Rejection::Conflict(json) => Refusal::Conflict(json),
        })?;
        if self.place == Place::Host {
            check_restores(&next);
        }
        Ok(handle(next))
    }

    fn snapshot(&mut self, state: &Handle<P>) -> Result<Bytes, Fault> {
        Ok(snapshot(&*state.0.borrow()).into())
    }

    fn alarm(&mut self, state: &Handle<P>) -> Result<Option<Alarm>, Fault> {
        let alarm = contract::alarm(&*state.0.borrow()).map_err(Fault::Trapped)?;
        Ok(alarm.map(|alarm| Alarm { at: Timestamp(alarm.at), transition: alarm.transition.into() }))
    }

    fn encode(&mut self, json: &str) -> Result<Bytes, CodecError> {
        contract::encode::<P>(json).map(Bytes::from).map_err(CodecError::Refused)
    }

    fn decode(&mut self, transition: &[u8]) -> Result<String, CodecError> {
        contract::decode::<P>(transition).map_err(CodecError::Refused)
    }

    fn state_version(&self) -> u32 {
        P::STATE_VERSION
    }

    fn membership(&self) -> bool {
        P::MEMBERSHIP
    }

    fn reset(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

fn handle<P>(state: P) -> Handle<P> {
    Handle(Rc::new(RefCell::new(state)))
}

/// Returns the event as the component gets it; `None` for an empty input.
fn typed(event: &Event) -> Result<Option<contract::Event>, ApplyError> {
    let input = match &event.input {
        Input::Transition { author: Author(author), transition, .. } => {
            match Ask::decode(transition).map_err(Refusal::Malformed)?.what {
                What::Pad(_) => return Ok(None),
                What::Transition(transition) => contract::Input::Transition(contract::Submission {
                    author: author.to_string(),
                    transition: transition.to_vec(),
                }),
            }
        }
        Input::Alarm(transition) => contract::Input::Alarm(transition.to_vec()),
        Input::Joined(Author(author)) => contract::Input::Joined(author.to_string()),
        Input::Left(Author(author)) => contract::Input::Left(author.to_string()),
        Input::Upgraded(_) | Input::Checkpoint { .. } | Input::Forked { .. } => {
            return Err(Refusal::not_for_machines().into());
        }
    };
    Ok(Some(contract::Event { seq: event.seq.0, time: event.time.0, entropy: event.entropy, input }))
}

/// Checks that a state survives the way through its bytes, whatever its history.
fn check_restores<P: Program + Debug + PartialEq>(state: &P) {
    let bytes = snapshot(state);
    let restored: P = contract::restore(&bytes, P::STATE_VERSION).expect("a snapshot restores");
    assert_eq!(&restored, state, "restored, the state is another");
    assert_eq!(snapshot(&restored), bytes, "restored, the state has other bytes: {state:?}");
}

fn snapshot<P: Program>(state: &P) -> Vec<u8> {
    contract::snapshot(state).expect("a state has its bytes")
}
