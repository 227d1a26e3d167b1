//! Checks for every block.

use std::fmt::Debug;

use proptest::prelude::*;
use reapply_guest::{Id, StateMachine, contract};
use serde_json::Value;

/// Returns the state after two transitions that were made from the same state, decided in this order.
pub(crate) fn after<M: StateMachine>(
    state: &M,
    first: &M::Transition,
    second: &M::Transition,
) -> Result<M, M::Conflict> {
    state.apply(first)?.apply(second)
}

pub(crate) fn id(bits: u128) -> Id {
    Id::from_bits(bits)
}

pub(crate) fn snapshot<M: StateMachine + Default>(state: &M) -> Vec<u8> {
    contract::snapshot(state).unwrap()
}

pub(crate) fn restore<M: StateMachine + Default>(bytes: &[u8]) -> Result<M, String> {
    contract::restore(bytes, 1)
}

pub(crate) fn view<M: StateMachine + Default>(state: &M) -> String {
    contract::view(state).unwrap()
}

/// Returns the schema of the machine's `transition`, `conflict` or `view`.
pub(crate) fn schema<M: StateMachine + Default>(of: &str) -> Value {
    let schemas = contract::describe::<M>("block").unwrap().schemas;
    serde_json::from_str::<Value>(&schemas).unwrap()[of].take()
}

/// Checks that a transition survives the way through JSON, and returns that JSON.
pub(crate) fn transition_json<M: StateMachine + Default>(transition: &M::Transition) -> String {
    let bytes = postcard::to_allocvec(transition).unwrap();
    let json = contract::decode::<M>(&bytes).unwrap();
    assert_eq!(contract::encode::<M>(&json).unwrap(), bytes, "{json}");
    json
}

/// Checks that a snapshot holds exactly the state, and that truncated or extended bytes are refused.
pub(crate) fn check_snapshot<M: StateMachine + Default + Debug + PartialEq>(state: &M) {
    let bytes = snapshot(state);
    let restored: M = restore(&bytes).unwrap();
    assert_eq!(&restored, state);
    assert_eq!(snapshot(&restored), bytes);
    for end in 0..bytes.len() {
        assert!(restore::<M>(&bytes[..end]).is_err(), "{end} of {} bytes are a snapshot", bytes.len());
    }
    let error = restore::<M>(&[&*bytes, &[0]].concat()).unwrap_err();
    assert_eq!(error, "1 bytes are left over after the snapshot");
}

/// Checks that bytes are refused, or are a state with a snapshot.
pub(crate) fn check_garbage<M: StateMachine + Default + Debug + PartialEq>(bytes: &[u8]) {
    if let Ok(state) = restore::<M>(bytes) {
        check_snapshot(&state);
    }
}

/// Returns bytes that nearly are a snapshot of a collection: a length, and then small numbers.
pub(crate) fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![8 => 0..4u8, 1 => any::<u8>()];
    prop::collection::vec(byte, 0..80)
}

/// A length that is too large for anything, as postcard writes it.
pub(crate) const ABSURD_LENGTH: [u8; 9] = [255, 255, 255, 255, 255, 255, 255, 255, 127];
