//! Naive models, with which the histories of a block are compared.

use std::fmt::Debug;
use std::marker::PhantomData;

use bytes::Bytes;
use reapply_guest::{StateMachine, contract};
use reapply_simulation::{Ask, History, Place, Plan, Random, Scenario, simulate};
use reapply_sync::{ApplyError, Event, Input, Refusal};

use crate::machine::{Handle, Native, What};

/// The number of runs in a normal test run, for each block.
const SEEDS: u64 = 300;

/// Cases that these machines never have, or that so few runs rarely meet. The protocol's own test requires all of them.
const NEVER: [&str; 17] = [
    "alarm broke the machine",
    "alarm refused",
    "alarm too long",
    "alarm went off",
    "machine broke off in a replica",
    "machine broke off in the room",
    "outcome: forgotten",
    "page took over another's client",
    "participant left",
    "room fell asleep with an alarm",
    "room full of sessions",
    "room woken for its alarm",
    "room woken so that participants leave",
    "snapshot in parts went on where it broke off",
    "snapshot not restored, an earlier one taken",
    "session too slow for its own messages",
    "session was slowed after a fault",
];

/// A naive model of a state machine, written from its documentation alone, in std's collections. Models compose as the machines do.
pub(crate) trait Naive: Clone + Debug + Default + PartialEq {
    /// The block.
    type Machine: StateMachine + Debug + PartialEq;

    /// Reads the model from the machine's view.
    fn of(machine: &Self::Machine) -> Self;

    /// Returns whether the machine holds exactly this model's data.
    fn agrees(&self, machine: &Self::Machine) -> bool {
        Self::of(machine) == *self
    }

    /// Applies a transition. After a conflict the model's content does not matter.
    fn apply(&mut self, transition: &TransitionOf<Self>) -> Result<(), ConflictOf<Self>>;

    /// Returns a transition of a client who sees `shown`; `None` if there is none.
    fn act(client: usize, shown: &Self::Machine, random: &mut Random) -> Option<TransitionOf<Self>>;

    /// Asserts the documentation's promises about two people at once, over a whole history; `models` has the model after each seq. Counts
    /// the cases by name.
    fn check(history: &History<TransitionOf<Self>>, models: &[Self]) -> Vec<(&'static str, u64)>;
}

/// Returns a value for a map or a list.
pub(crate) trait Fresh: Naive {
    fn fresh(random: &mut Random) -> Self::Machine;
}

pub(crate) type TransitionOf<N> = <<N as Naive>::Machine as StateMachine>::Transition;
pub(crate) type ConflictOf<N> = <<N as Naive>::Machine as StateMachine>::Conflict;

/// Runs the histories of a block, as the test of that name.
pub(crate) fn check_histories<N>(test: &str, never: &[&str])
where
    N: Naive,
    N::Machine: Default,
{
    let command = format!("cargo test -p reapply-guest --test merge -- --exact {test}");
    let never = [&NEVER, never].concat();
    simulate::<Histories<N>>(&Plan { seeds: SEEDS, seeds_covering: SEEDS, never: &never, command: &command });
}

/// Rooms of the block that `N` models.
struct Histories<N>(PhantomData<N>);

impl<N> Scenario for Histories<N>
where
    N: Naive,
    N::Machine: Default,
{
    type Machine = Native<N::Machine>;
    type What = What;
    type Model = N;

    const NAME: &'static str = "block";

    fn new(_random: &mut Random) -> Self {
        Self(PhantomData)
    }

    fn machine(&self, place: Place) -> Self::Machine {
        Native::new(place)
    }

    fn act(&mut self, client: usize, shown: Option<&Handle<N::Machine>>, random: &mut Random) -> What {
        let transition = shown.and_then(|shown| N::act(client, &shown.0.borrow(), random));
        transition.map_or_else(|| Self::ballast(0), |transition| What::Transition(encode::<N::Machine>(&transition)))
    }

    fn ballast(bytes: usize) -> What {
        What::Pad(vec![7; bytes].into())
    }

    fn corrupt(&mut self, state: &Handle<N::Machine>, random: &mut Random) -> bool {
        let mut state = state.0.borrow_mut();
        let next = N::act(0, &state, random).and_then(|transition| StateMachine::apply(&*state, &transition).ok());
        let has_changed = next.as_ref().is_some_and(|next| *next != *state);
        if let Some(next) = next {
            *state = next;
        }
        has_changed
    }

    fn genesis() -> N {
        N::default()
    }

    fn expected(model: &N, event: &Event) -> Result<N, ApplyError> {
        let Input::Transition { transition, .. } = &event.input else { return Ok(model.clone()) };
        let mut next = model.clone();
        if let What::Transition(bytes) = Ask::decode(transition).map_err(Refusal::Malformed)?.what {
            next.apply(&decode::<N>(&bytes)).map_err(|conflict| {
                let json = serde_json::to_string(&conflict).expect("a conflict has a JSON form");
                Refusal::Conflict(json)
            })?;
        }
        Ok(next)
    }

    fn agrees(model: &N, state: &Handle<N::Machine>) -> bool {
        model.agrees(&state.0.borrow())
    }

    fn check(history: &History<What>, models: &[N]) -> Vec<(&'static str, u64)> {
        let typed = |what: &What| match what {
            What::Pad(_) => None,
            What::Transition(bytes) => Some(decode::<N>(bytes)),
        };
        N::check(&history.part(typed), models)
    }
}

/// Returns the transition's bytes, by way of its JSON, as a page makes them.
fn encode<M: StateMachine + Default>(transition: &M::Transition) -> Bytes {
    let bytes = postcard::to_allocvec(transition).expect("a transition can be encoded");
    let json = contract::decode::<M>(&bytes).expect("a transition reads back");
    assert_eq!(contract::encode::<M>(&json).as_ref(), Ok(&bytes), "through JSON it is another: {json}");
    bytes.into()
}

fn decode<N: Naive>(bytes: &[u8]) -> TransitionOf<N> {
    postcard::from_bytes(bytes).expect("the log holds only transitions")
}
