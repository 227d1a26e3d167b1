//! The inputs that the macros refuse, with the exact messages.
//!
//! After a change of a message, `TRYBUILD=overwrite cargo test -p reapply-guest --test ui` writes the files again: review them then.

#[test]
fn derive() {
    trybuild::TestCases::new().compile_fail("tests/ui/derive/*.rs");
}

#[test]
fn machine() {
    trybuild::TestCases::new().compile_fail("tests/ui/machine/*.rs");
}
