//! Machines whose transitions come with their event.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec::restore_own_version;
use crate::rng::Rng;

/// A machine that sees the whole event: who sent a transition, when, and with which random bits.
///
/// Only `apply` and the types are required; everything else has a default. [`Default`] is the state of a new room.
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
    /// The type of the options that the creator of a room may set, as JSON; [`NoOptions`] if there are none.
    type Options: Default + DeserializeOwned + JsonSchema;

    /// The type of transitions that participants send; usually an enum.
    type Transition: Serialize + DeserializeOwned + JsonSchema;

    /// The type of conflicts, the reasons to refuse an event; usually an enum.
    type Conflict: Serialize + JsonSchema;

    /// The version of the snapshots that this build writes. Raise it when the state's encoding changes, and use
    /// [`machine`](macro@crate::machine) to say how the earlier versions become this one.
    const STATE_VERSION: u32 = 1;

    /// Whether participants who come and go cause the events [`Input::Joined`] and [`Input::Left`].
    const MEMBERSHIP: bool = false;

    /// Returns the state of a new room. By default it is [`Default::default`], and the options change nothing.
    ///
    /// # Errors
    ///
    /// The options are invalid; the text says why.
    fn create(options: Self::Options) -> Result<Self, String> {
        let _ = options;
        Ok(Self::default())
    }

    /// Returns the state after `event`. The current state does not change.
    ///
    /// # Errors
    ///
    /// The event does not fit the state. Its author gets the conflict, and nothing changes.
    fn apply(&self, event: &Event<Self::Transition>) -> Result<Self, Self::Conflict>;

    /// Returns a transition to apply at a given time, as [`Input::Alarm`]. The host calls this after every event; each answer
    /// replaces the one before. By default there is no alarm.
    fn alarm(&self) -> Option<Alarm<Self::Transition>> {
        None
    }

    /// Returns the view for user interfaces, as JSON. By default it is the state itself.
    fn view(&self) -> impl Serialize + JsonSchema {
        self
    }

    /// Returns the state that a snapshot holds. By default only this build's own version is accepted;
    /// [`machine`](macro@crate::machine) writes a version that migrates, and [`from_snapshot`](crate::from_snapshot) helps to write one by
    /// hand.
    ///
    /// # Errors
    ///
    /// The version is not known, or the bytes are not a snapshot.
    fn restore(snapshot: &[u8], state_version: u32) -> Result<Self, String> {
        restore_own_version(snapshot, state_version, Self::STATE_VERSION)
    }
}

/// One accepted input: together with the state, everything that an `apply` may depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<T> {
    /// The place in the room's log: 1, 2, 3, ... A prediction carries the place that it expects.
    pub seq: u64,
    /// The host's clock at acceptance, in microseconds since the Unix epoch. Never decreases within a room.
    pub time: u64,
    /// Random bits that the host draws at acceptance. A prediction has bits of its own, so its result may differ.
    pub entropy: u64,
    /// The input of the event.
    pub input: Input<T>,
}

impl<T> Event<T> {
    /// Returns the participant who caused the event; `None` for an alarm.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        match &self.input {
            Input::Transition { author, .. } | Input::Joined(author) | Input::Left(author) => Some(author),
            Input::Alarm(_) => None,
        }
    }

    /// Returns the random numbers of this event, from the first one on.
    #[must_use]
    pub fn rng(&self) -> Rng {
        Rng::from_seed(self.entropy)
    }
}

/// The input of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<T> {
    /// A participant sent a transition.
    Transition {
        /// The participant's identity, as the host authenticated it.
        author: String,
        /// The transition.
        transition: T,
    },
    /// The alarm that the state had set went off. This is the transition that it scheduled.
    Alarm(T),
    /// A participant's first session in the room began. Sent only if [`Program::MEMBERSHIP`] is true.
    Joined(String),
    /// A participant's last session in the room ended. Sent only if [`Program::MEMBERSHIP`] is true.
    Left(String),
}

/// A transition that a state schedules for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm<T> {
    /// The time when it is due, in microseconds since the Unix epoch.
    pub at: u64,
    /// The transition to apply then.
    pub transition: T,
}

/// The options of a machine that has none: `{}`, and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoOptions {}
