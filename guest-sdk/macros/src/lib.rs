//! The macros of `reapply-guest`, which re-exports them.

use proc_macro::TokenStream;

/// Makes a state machine of a struct of machines, or of an enum of machines.
#[proc_macro_derive(StateMachine, attributes(machine))]
pub fn derive_state_machine(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// Says which version of the state a machine writes, and from which types it reads the versions before.
#[proc_macro_attribute]
pub fn machine(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    item
}
