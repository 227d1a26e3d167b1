//! The component around a [`Program`], which [`export!`](crate::export) generates.

use std::marker::PhantomData;

use crate::bindings::exports::reapply::machine::machine as wit;
use crate::panics::report_panics;
use crate::{Program, contract};

pub use crate::bindings::export_component;

/// Makes this crate a component that runs the given machine: a [`Program`] or a [`StateMachine`](crate::StateMachine).
///
/// The machine has the name of its crate. Compiled natively, only the machine's type is checked.
#[macro_export]
macro_rules! export {
    ($machine:ty) => {
        const _: () = {
            struct Exported;

            impl $crate::component::Exported for Exported {
                type Program = $machine;
                const NAME: &'static str = env!("CARGO_PKG_NAME");
            }

            #[cfg(target_arch = "wasm32")]
            type Component = $crate::component::Component<Exported>;
            #[cfg(target_arch = "wasm32")]
    $crate::component::export_component!(Component with_types_in $crate::bindings);
        };
    };
}

/// The arguments of `export!`, and the names that it derives from them.
pub trait Exported: 'static {
    /// The machine.
    type Program: Program;
    /// The name of its crate.
    const NAME: &'static str;
}

/// The component's functions.
pub struct Component<E>(PhantomData<E>);

// Every method needs a state that one of these functions has made, so these are the only entry points.
impl<E: Exported> wit::Guest for Component<E> {
    type State = State<E::Program>;

    fn describe() -> wit::Description {
        report_panics();
        or_trap(contract::describe::<E::Program>(E::NAME))
    }

    fn encode(json: String) -> Result<Vec<u8>, String> {
        report_panics();
        contract::encode::<E::Program>(&json)
    }

    fn decode(transition: Vec<u8>) -> Result<String, String> {
        report_panics();
        contract::decode::<E::Program>(&transition)
    }
}

/// The component's resource: one immutable state.
pub struct State<P>(P);

impl<P: Program> wit::GuestState for State<P> {
    fn create(options: String) -> Result<wit::State, String> {
        report_panics();
        contract::create::<P>(&options).map(handle)
    }

    fn restore(snapshot: Vec<u8>, state_version: u32) -> Result<wit::State, String> {
        report_panics();
        contract::restore::<P>(&snapshot, state_version).map(handle)
    }

    fn apply(&self, event: wit::Event) -> Result<wit::State, wit::Rejection> {
        contract::apply(&self.0, event).map(handle)
    }

    fn snapshot(&self) -> Vec<u8> {
        or_trap(contract::snapshot(&self.0))
    }

    fn alarm(&self) -> Option<wit::Alarm> {
        or_trap(contract::alarm(&self.0))
    }

    fn view(&self) -> String {
        or_trap(contract::view(&self.0))
    }
}

fn handle<P: Program>(state: P) -> wit::State {
    wit::State::new(State(state))
}

/// The contract gives these functions no error to return: a failure here means a type that cannot be encoded, a bug of the
/// machine that its author must see. So the component traps, which hurts only its own room.
fn or_trap<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}
