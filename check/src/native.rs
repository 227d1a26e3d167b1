//! Machines as plain Rust, so that a crate's own `cargo test` checks them.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use bytes::Bytes;
use reapply_guest::{Program, contract};
use reapply_sync::{Alarm, ApplyError, CodecError, Event, Fault, Input, LoadError, Machine, Refusal, Timestamp};

use crate::check::Check;
use crate::subject::{Description, Subject};

/// Checks a machine natively: `check::<Counter>().assert()` in a test is enough.
///
/// Runs the same histories as `reapply check`, without measuring fuel and memory. A panic is caught and reported with its place;
/// an endless loop is not, since nothing counts fuel here.
///
/// ```
/// use reapply_guest::StateMachine;
/// # #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
/// # struct Total(u8);
/// # #[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
/// # struct TooMuch;
/// # impl StateMachine for Total {
/// #     type Transition = u8;
/// #     type Conflict = TooMuch;
/// #     fn apply(&self, add: &u8) -> Result<Self, TooMuch> { self.0.checked_add(*add).map(Total).ok_or(TooMuch) }
/// # }
/// reapply_check::check::<Total>().histories(50).seed(7).assert();
/// ```
pub fn check<P: Program>() -> Check<Native<P>> {
    Check::new(|| Ok(Native::default()))
}

/// A [`Program`] as a [`Subject`], without a component around it.
pub struct Native<P>(PhantomData<P>);

impl<P> Default for Native<P> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<P: Program> Machine for Native<P> {
    type State = P;

    fn create(&mut self, options: &str) -> Result<P, LoadError> {
        guarded(|| contract::create(options))?.map_err(LoadError::Refused)
    }

    fn restore(&mut self, snapshot: &[u8], state_version: u32) -> Result<P, LoadError> {
        guarded(|| contract::restore(snapshot, state_version))?.map_err(LoadError::Refused)
    }

    fn apply(&mut self, state: &P, event: &Event) -> Result<P, ApplyError> {
        let event = lower(event)?;
        guarded(|| contract::apply(state, event))?.map_err(|rejection| {
            match rejection {
                contract::Rejection::Malformed(why) => Refusal::Malformed(why),
                contract::Rejection::Conflict(json) => Refusal::Conflict(json),
            }
            .into()
        })
    }

    fn snapshot(&mut self, state: &P) -> Result<Bytes, Fault> {
        or_trap(|| contract::snapshot(state)).map(Bytes::from)
    }

    fn alarm(&mut self, state: &P) -> Result<Option<Alarm>, Fault> {
        let alarm = or_trap(|| contract::alarm(state))?;
        Ok(alarm.map(|alarm| Alarm { at: Timestamp(alarm.at), transition: alarm.transition.into() }))
    }

    fn encode(&mut self, json: &str) -> Result<Bytes, CodecError> {
        guarded(|| contract::encode::<P>(json))?.map(Bytes::from).map_err(CodecError::Refused)
    }

    fn decode(&mut self, transition: &[u8]) -> Result<String, CodecError> {
        guarded(|| contract::decode::<P>(transition))?.map_err(CodecError::Refused)
    }

    fn state_version(&self) -> u32 {
        P::STATE_VERSION
    }

    fn membership(&self) -> bool {
        P::MEMBERSHIP
    }

    /// Does nothing: the remains of a panic are dropped.
    fn reset(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

impl<P: Program> Subject for Native<P> {
    fn describe(&mut self) -> Result<Description, Fault> {
        let name = without_paths(std::any::type_name::<P>());
        let contract::Description { name, schemas, .. } = or_trap(|| contract::describe::<P>(&name))?;
        Ok(Description { name, schemas })
    }

    fn view(&mut self, state: &P) -> Result<String, Fault> {
        or_trap(|| contract::view(state))
    }
}

/// Returns a type's name as people write it: `Map<String, Counter>`.
fn without_paths(name: &str) -> String {
    let parts = name.split_inclusive(|part: char| !part.is_alphanumeric() && part != '_');
    let mut short = String::new();
    for part in parts {
        match part {
            // The text before was the path.
            ":" => {}
            _ => short.push_str(part.strip_suffix(':').map_or(part, |_| "")),
        }
    }
    short
}

fn lower(event: &Event) -> Result<contract::Event, Refusal> {
    let input = match &event.input {
        Input::Transition { author, transition, .. } => contract::Input::Transition(contract::Submission {
            author: author.0.to_string(),
            transition: transition.to_vec(),
        }),
        Input::Alarm(transition) => contract::Input::Alarm(transition.to_vec()),
        Input::Joined(author) => contract::Input::Joined(author.0.to_string()),
        Input::Left(author) => contract::Input::Left(author.0.to_string()),
        Input::Upgraded(_) | Input::Checkpoint { .. } | Input::Forked { .. } => return Err(Refusal::not_for_machines()),
    };
    Ok(contract::Event { seq: event.seq.0, time: event.time.0, entropy: event.entropy, input })
}

/// Returns the result, or a trap: the component traps if its contract has no room for an error.
fn or_trap<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, Fault> {
    guarded(call)?.map_err(Fault::Trapped)
}

thread_local! {
    /// Whether the machine is running on this thread, so that its panics are recorded here.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    /// The last panic, with its place.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Calls the machine. A panic is returned as a trap, as in a component.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Fault> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| if GUARDED.get() { note(info) } else { before(info) }));
    });
    GUARDED.set(true);
    // Reading a state that a panic may have left half-changed is deliberate: the check must show that it is unchanged.
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(false);
    result.map_err(|_| {
        let told = PANIC.take();
        Fault::Trapped(told.unwrap_or_else(|| "a panic".to_owned()))
    })
}

fn note(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("a panic");
    let place = info.location().map(|place| format!(", {place}")).unwrap_or_default();
    PANIC.set(Some(format!("{message}{place}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short() {
        assert_eq!(without_paths("alloc::string::String"), "String");
        assert_eq!(without_paths("a::Map<b_c::Id, d::List<(u8, e::F)>>"), "Map<Id, List<(u8, F)>>");
    }
}
