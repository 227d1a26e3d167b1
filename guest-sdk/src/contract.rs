//! The contract's functions, for any [`Program`], in plain Rust: bytes and JSON in, bytes and JSON out.
//!
//! The component is a thin shell around these. Tests and benchmarks call them to run a machine natively, and get exactly
//! what the component would answer.
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

/// The state of a new room. `options` is JSON; the empty string asks for the defaults.
///
/// # Errors
///
/// The options are not those of this machine, or it refuses them.
pub fn create<P: Program>(options: &str) -> Result<P, String> {
    let options = if options.is_empty() { P::Options::default() } else { options_from_json(options)? };
    let state = P::create(options)?;
    let too_deep = || format!("the options make a state that nests deeper than {} levels", crate::NESTING_MAX);
    if nesting::conflict_of(&state).is_some() { Err(too_deep()) } else { Ok(state) }
}

/// The state that a snapshot holds, migrated where an earlier state-version wrote it.
///
/// # Errors
///
/// The machine does not know that version, or the bytes are no snapshot of it.
pub fn restore<P: Program>(snapshot: &[u8], state_version: u32) -> Result<P, String> {
    P::restore(snapshot, state_version)
}

/// The state after `event`.
///
/// # Errors
///
/// The transition's bytes are malformed, or it conflicts with the state, or the next state would nest deeper than
/// [`NESTING_MAX`](crate::NESTING_MAX) allows.
pub fn apply<P: Program>(state: &P, event: Event) -> Result<P, Rejection> {
    let event = typed::<P>(event).map_err(Rejection::Malformed)?;
    let next = state.apply(&event).map_err(|conflict| {
        // A conflict that JSON cannot express is still a conflict: its reader gets that as a JSON string.
        let json = to_json(&conflict, "conflict").or_else(|error| to_json(&error, "conflict"));
        Rejection::Conflict(json.unwrap_or_default())
    })?;
    match nesting::conflict_of(&next) {
        Some(too_deep) => Err(Rejection::Conflict(too_deep)),
        None => Ok(next),
    }
}

/// The state as bytes.
///
/// # Errors
///
/// The state's type is beyond what postcard can encode.
pub fn snapshot<P: Program>(state: &P) -> Result<Vec<u8>, String> {
    to_postcard(state, "state")
}

/// The next alarm, if this state wants one.
///
/// # Errors
///
/// The transition's type is beyond what postcard can encode.
pub fn alarm<P: Program>(state: &P) -> Result<Option<Alarm>, String> {
    let Some(alarm) = state.alarm() else { return Ok(None) };
    Ok(Some(Alarm { at: alarm.at, transition: to_postcard(&alarm.transition, "transition")? }))
}

/// What user interfaces see, as JSON.
///
/// # Errors
///
/// The view's type is beyond JSON, such as a map whose keys are structs.
pub fn view<P: Program>(state: &P) -> Result<String, String> {
    to_json(&state.view(), "view")
}

/// What the machine says of itself. `name` is the name of its crate.
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
        // Plain JSON: what a schema says of numbers is no data of the machine's.
        schemas: serde_json::to_string(&schemas).map_err(|error| format!("the schemas have no JSON form: {error}"))?,
    })
}

/// A transition from its JSON.
///
/// # Errors
///
/// What is wrong with the JSON, and where.
pub fn encode<P: Program>(json: &str) -> Result<Vec<u8>, String> {
    let transition: P::Transition = from_json(json, "transition")?;
    to_postcard(&transition, "transition")
}

/// A transition as JSON.
///
/// # Errors
///
/// The bytes are no transition of this machine.
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

/// The schema of what a method returns, where the type has no name.
fn schema_returned<'a, S: 'a, T: JsonSchema>(_: impl FnOnce(&'a S) -> T) -> Schema {
    schema_written::<T>()
}
