//! The contract's functions for any [`Program`], in plain Rust: bytes and JSON in, bytes and JSON out.
//!
//! The component is a thin shell around these functions. Tests and benchmarks call them to run a machine natively, and get
//! exactly the component's answers.
//!
//! ```
//! use reapply_guest::contract::{self, Event, Input, Rejection, Submission};
//! # use reapply_guest::StateMachine;
//! # #[derive(Clone, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
//! # struct Total(u8);
//! # #[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
//! # struct TooMuch;
//! # impl StateMachine for Total {
//! #     type Transition = u8;
//! #     type Conflict = TooMuch;
//! #     fn apply(&self, add: &u8) -> Result<Self, TooMuch> { self.0.checked_add(*add).map(Total).ok_or(TooMuch) }
//! # }
//!
//! # fn main() -> Result<(), String> {
//! let state = contract::create::<Total>("")?;
//! let transition = contract::encode::<Total>("200")?;
//! let input = Input::Transition(Submission { author: "ada".to_owned(), transition });
//! let event = Event { seq: 1, time: 0, entropy: 0, input };
//!
//! let state = contract::apply(&state, event.clone()).map_err(|rejection| rejection.to_string())?;
//! assert_eq!(contract::view(&state)?, "200");
//! assert!(matches!(contract::apply(&state, event), Err(Rejection::Conflict(_))));
//! # Ok(())
//! # }
//! ```

use schemars::{JsonSchema, Schema};
use serde::Serialize;

pub use crate::bindings::exports::reapply::machine::machine::{
    Alarm, Description, Event, Input, Rejection, Submission,
};
use crate::blocks::with_deleted;
use crate::codec::{read_transition, to_postcard};
use crate::json::{from_json, options_from_json, schema_read, schema_written, to_json};
use crate::{Program, nesting, program};

/// Returns the state of a new room. `options` is JSON; the empty string means the defaults.
///
/// # Errors
///
/// The options do not fit this machine, or the machine refuses them.
pub fn create<P: Program>(options: &str) -> Result<P, String> {
    let options = if options.is_empty() { P::Options::default() } else { options_from_json(options)? };
    let state = P::create(options)?;
    let too_deep = || format!("the options make a state that nests deeper than {} levels", crate::NESTING_MAX);
    if nesting::conflict_of(&state).is_some() { Err(too_deep()) } else { Ok(state) }
}

/// Returns the state that a snapshot holds. A snapshot of an earlier state version is migrated.
///
/// # Errors
///
/// The machine does not know that version, or the bytes are not a snapshot of it.
pub fn restore<P: Program>(snapshot: &[u8], state_version: u32) -> Result<P, String> {
    P::restore(snapshot, state_version)
}

/// Returns the state after `event`.
///
/// # Errors
///
/// The transition's bytes are malformed, or it conflicts with the state, or the next state would nest deeper than
/// [`NESTING_MAX`](crate::NESTING_MAX) allows.
pub fn apply<P: Program>(state: &P, event: Event) -> Result<P, Rejection> {
    let event = typed::<P>(event).map_err(Rejection::Malformed)?;
    let next = state.apply(&event).map_err(|conflict| {
        // A conflict that JSON cannot express is still a conflict: the reader gets the error as a JSON string.
        let json = to_json(&conflict, "conflict").or_else(|error| to_json(&error, "conflict"));
        Rejection::Conflict(json.unwrap_or_default())
    })?;
    match nesting::conflict_of(&next) {
        Some(too_deep) => Err(Rejection::Conflict(too_deep)),
        None => Ok(next),
    }
}

/// Returns the state as bytes.
///
/// # Errors
///
/// postcard cannot encode the state's type.
pub fn snapshot<P: Program>(state: &P) -> Result<Vec<u8>, String> {
    to_postcard(state, "state")
}

/// Returns the next alarm, if this state sets one.
///
/// # Errors
///
/// postcard cannot encode the transition's type.
pub fn alarm<P: Program>(state: &P) -> Result<Option<Alarm>, String> {
    let Some(alarm) = state.alarm() else { return Ok(None) };
    Ok(Some(Alarm { at: alarm.at, transition: to_postcard(&alarm.transition, "transition")? }))
}

/// Returns the view for user interfaces, as JSON.
///
/// # Errors
///
/// JSON cannot express the view's type, such as a map whose keys are structs.
pub fn view<P: Program>(state: &P) -> Result<String, String> {
    to_json(&state.view(), "view")
}

/// Returns the machine's description of itself. `name` is the name of its crate.
///
/// # Errors
///
/// The schemas cannot be written as JSON.
pub fn describe<P: Program>(name: &str) -> Result<Description, String> {
    let schemas = Schemas {
        options: schema_read::<P::Options>(),
        transition: schema_read::<P::Transition>(),
        conflict: nesting::conflict_schema::<P>(schema_written::<P::Conflict>()),
        view: schema_returned(P::view),
    };
    Ok(Description {
        name: name.to_owned(),
        state_version: P::STATE_VERSION,
        membership: P::MEMBERSHIP,
        // Plain JSON: the numbers in a schema are not data of the machine.
        schemas: serde_json::to_string(&schemas).map_err(|error| format!("the schemas have no JSON form: {error}"))?,
    })
}

/// Converts a transition from JSON to bytes.
///
/// # Errors
///
/// The JSON is wrong; the text says what and where.
pub fn encode<P: Program>(json: &str) -> Result<Vec<u8>, String> {
    let transition: P::Transition = from_json(json, "transition")?;
    to_postcard(&transition, "transition")
}

/// Converts a transition from bytes to JSON.
///
/// # Errors
///
/// The bytes are not a transition of this machine.
pub fn decode<P: Program>(transition: &[u8]) -> Result<String, String> {
    let transition: P::Transition = read_transition(transition)?;
    with_deleted(|| to_json(&transition, "transition"))
}

fn typed<P: Program>(event: Event) -> Result<program::Event<P::Transition>, String> {
    let Event { seq, time, entropy, input } = event;
    let input = match input {
        Input::Transition(Submission { author, transition }) => {
            program::Input::Transition { author, transition: read_transition(&transition)? }
        }
        Input::Alarm(transition) => program::Input::Alarm(read_transition(&transition)?),
        Input::Joined(participant) => program::Input::Joined(participant),
        Input::Left(participant) => program::Input::Left(participant),
    };
    Ok(program::Event { seq, time, entropy, input })
}

#[derive(Serialize)]
struct Schemas {
    options: Schema,
    transition: Schema,
    conflict: Schema,
    view: Schema,
}

/// Returns the schema of a method's return type, which has no name.
fn schema_returned<'a, S: 'a, T: JsonSchema>(_: impl FnOnce(&'a S) -> T) -> Schema {
    schema_written::<T>()
}
