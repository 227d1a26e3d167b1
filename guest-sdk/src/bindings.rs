//! Bindings generated from `wit/machine.wit`, the only contract: a component that uses this crate uses that very file.

// The generated code must read and write the component's memory, and is neither documented nor formatted like the rest.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)]

wit_bindgen::generate!({
    path: "../wit",
    world: "state-machine",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "reapply_guest::bindings",
    additional_derives: [PartialEq],
});
