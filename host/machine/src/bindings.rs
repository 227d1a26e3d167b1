//! The bindings that wasmtime generates from the contract, `wit/machine.wit`.

#![allow(missing_docs, unreachable_pub, unsafe_code, clippy::all)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "state-machine",
    // Events and options are lowered in place; nothing is copied on the way in.
    ownership: Borrowing { duplicate_if_necessary: false },
});
