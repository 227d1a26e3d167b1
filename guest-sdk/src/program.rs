//! Machines whose transitions come with their event.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec::restore_own_version;
use crate::rng::Rng;

/// A machine that knows the event: who asked for a transition, when, and with which random bits.
///
/// Only `apply` and the types must be written; everything else has a default. [`Default`] is the state of a new room.
///
/// ```
/// use reapply_guest::{Event, Input, NoOptions, Program, export};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// /// A die that nobody throws twice in a row.
/// #[derive(Default, Serialize, Deserialize, JsonSchema)]
/// pub struct Die {
///     thrower: Option<String>,
///     pips: u64,
/// }
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// pub struct Throw;
///
/// #[derive(Serialize, JsonSchema)]
/// pub struct NotTwiceInARow;
///
/// impl Program for Die {
///     type Options = NoOptions;
///     type Transition = Throw;
///     type Conflict = NotTwiceInARow;
///
///     fn apply(&self, event: &Event<Throw>) -> Result<Self, NotTwiceInARow> {
///         let thrower = event.author().map(str::to_owned);
///         if thrower == self.thrower {
///             return Err(NotTwiceInARow);
///         }
///         Ok(Self { thrower, pips: event.entropy % 6 + 1 })
///     }
/// }
///
/// export!(Die);
/// # fn main() {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a machine",
    label = "neither a `Program` nor a `StateMachine` with a `Default`",
    note = "implement `reapply_guest::StateMachine` (and derive Default), or `reapply_guest::Program`"
)]
pub trait Program: Default + Serialize + DeserializeOwned + JsonSchema + 'static {
    /// What whoever creates a room may choose, as JSON; [`NoOptions`] where there is nothing to choose.
    type Options: Default + DeserializeOwned + JsonSchema;

    /// What participants may ask for; usually an enum.
    type Transition: Serialize + DeserializeOwned + JsonSchema;

    /// Why an event cannot be applied to a state; usually an enum.
    type Conflict: Serialize + JsonSchema;

    /// The version of the snapshots that this build writes. Raise it when the state's encoding changes, and say with
    /// [`machine`](macro@crate::machine) how the versions before become this one.
    const STATE_VERSION: u32 = 1;

    /// Whether participants' coming and going are events: [`Input::Joined`] and [`Input::Left`].
    const MEMBERSHIP: bool = false;

    /// The state of a new room. By default it is [`Default::default`], and the options change nothing.
    ///
    /// # Errors
    ///
    /// The options make no sense; the text says why.
    fn create(options: Self::Options) -> Result<Self, String> {
        let _ = options;
        Ok(Self::default())
    }

    /// The state after `event`. This one stays as it is.
    ///
    /// # Errors
    ///
    /// The event does not fit the state. Whoever caused it is told, and nothing has changed.
    fn apply(&self, event: &Event<Self::Transition>) -> Result<Self, Self::Conflict>;

    /// A transition to apply at a time, as [`Input::Alarm`]. It is asked for after every event; each answer replaces the
    /// one before. By default there is none.
    fn alarm(&self) -> Option<Alarm<Self::Transition>> {
        None
    }

    /// What user interfaces see, as JSON. By default it is the state itself.
    fn view(&self) -> impl Serialize + JsonSchema {
        self
    }

    /// The state that a snapshot holds. By default only this build's own version is accepted;
    /// [`machine`](macro@crate::machine) writes one that migrates, and [`from_snapshot`](crate::from_snapshot) helps to write one by hand.
    ///
    /// # Errors
    ///
    /// The version is not known, or the bytes are no snapshot.
    fn restore(snapshot: &[u8], state_version: u32) -> Result<Self, String> {
        restore_own_version(snapshot, state_version, Self::STATE_VERSION)
    }
}

/// One accepted input: with the state, all that an `apply` may depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<T> {
    /// Place in the room's log: 1, 2, 3, ... A prediction carries the place it hopes for.
    pub seq: u64,
    /// The host's clock at acceptance, in microseconds since the Unix epoch. Never decreases within a room.
    pub time: u64,
    /// Random bits drawn by the host at acceptance. A prediction has bits of its own, so what comes of them may differ.
    pub entropy: u64,
    /// What happened.
    pub input: Input<T>,
}

impl<T> Event<T> {
    /// The participant whose doing it was; nobody's, where an alarm went off.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        match &self.input {
            Input::Transition { author, .. } | Input::Joined(author) | Input::Left(author) => Some(author),
            Input::Alarm(_) => None,
        }
    }

    /// The random numbers of this event, from the first one on.
    #[must_use]
    pub fn rng(&self) -> Rng {
        Rng::from_seed(self.entropy)
    }
}

/// What an event carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<T> {
    /// A participant asked for a transition.
    Transition {
        /// The participant's identity, as the host authenticated it.
        author: String,
        /// What they asked for.
        transition: T,
    },
    /// The alarm that the state had set went off; this is the transition it had scheduled.
    Alarm(T),
    /// A participant's first session in the room began. Only where [`Program::MEMBERSHIP`] asks for it.
    Joined(String),
    /// A participant's last session in the room ended. Only where [`Program::MEMBERSHIP`] asks for it.
    Left(String),
}

/// A transition that a state schedules for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm<T> {
    /// When it is due, in microseconds since the Unix epoch.
    pub at: u64,
    /// What is applied then.
    pub transition: T,
}

/// The options of a machine that has none: `{}`, and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoOptions {}
