//! What the macros refuse, and the words they do it with.
//!
//! After a change of the words, `TRYBUILD=overwrite cargo test -p reapply-guest --test ui` writes them anew: read them then.

#[test]
fn derive() {
    trybuild::TestCases::new().compile_fail("tests/ui/derive/*.rs");
}

#[test]
fn machine() {
    trybuild::TestCases::new().compile_fail("tests/ui/machine/*.rs");
}
