//! Each building block in random histories of several people at once, over the simulated network: delays, lost connections,
//! reloaded pages, a crashing host. The results are compared with a naive model, and with the promises of the block's documentation
//! about two people at once.
//!
//! ```text
//! REAPPLY_SEEDS=10000 cargo test -p reapply-guest --test merge            many runs of each
//! REAPPLY_SEED=17 cargo test -p reapply-guest --test merge -- --exact set   one run of one again
//! ```

mod atom;
mod batch;
mod board;
mod counter;
mod derived;
mod list;
mod machine;
mod map;
mod naive;
mod option;
mod set;
mod text;

use atom::{NaiveAtom, NaiveAtomRc, NaiveConstant};
use batch::NaiveBatch;
use board::NaiveColumns;
use counter::NaiveCounter;
use derived::{NaiveAnswer, NaiveBoard, NaiveTodo};
use list::NaiveList;
use map::NaiveMap;
use naive::check_histories;
use option::NaiveOption;
use reapply_guest::Id;
use set::NaiveSet;

/// The machine has no conflicts.
const NO_CONFLICT: [&str; 1] = ["outcome: conflict"];

#[test]
fn atom() {
    check_histories::<NaiveAtom<String>>("atom", &NO_CONFLICT);
}

#[test]
fn atom_rc() {
    check_histories::<NaiveAtomRc<String>>("atom_rc", &NO_CONFLICT);
}

#[test]
fn constant() {
    check_histories::<NaiveConstant<u8>>(
        "constant",
        &[
            "outcome: conflict",
            "replica corrupted",
            "replica diverged",
            "room heard of a divergence",
            // Its state is always as small.
            "snapshot begun in parts",
            "snapshot over its limit",
        ],
    );
}

#[test]
fn counter() {
    // Its state is nearly always as small as a part.
    check_histories::<NaiveCounter>("counter", &["outcome: conflict", "snapshot begun in parts"]);
}

#[test]
fn set() {
    check_histories::<NaiveSet>("set", &NO_CONFLICT);
}

#[test]
fn map_of_counters() {
    check_histories::<NaiveMap<Id, NaiveCounter>>("map_of_counters", &[]);
}

#[test]
fn map_of_atoms() {
    check_histories::<NaiveMap<String, NaiveAtom<String>>>("map_of_atoms", &[]);
}

#[test]
fn list_of_atoms() {
    check_histories::<NaiveList<NaiveAtom<u8>>>("list_of_atoms", &[]);
}

#[test]
fn option() {
    check_histories::<NaiveOption<NaiveAtom<u8>>>("option", &[]);
}

#[test]
fn option_of_a_struct() {
    check_histories::<NaiveOption<NaiveTodo>>("option_of_a_struct", &[]);
}

#[test]
fn batch_of_a_map() {
    check_histories::<NaiveBatch<NaiveMap<String, NaiveAtom<String>>>>("batch_of_a_map", &[]);
}

#[test]
fn batch_of_a_list() {
    check_histories::<NaiveBatch<NaiveList<NaiveAtom<u8>>>>("batch_of_a_list", &[]);
}

#[test]
fn board() {
    check_histories::<NaiveColumns<NaiveAtom<String>, NaiveCounter>>("board", &[]);
}

#[test]
fn list_of_derived_structs() {
    check_histories::<NaiveList<NaiveTodo>>("list_of_derived_structs", &[]);
}

#[test]
fn derived_struct() {
    check_histories::<NaiveTodo>("derived_struct", &NO_CONFLICT);
}

#[test]
fn derived_enum() {
    check_histories::<NaiveAnswer>("derived_enum", &[]);
}

#[test]
fn derived_struct_of_all_blocks() {
    check_histories::<NaiveBoard>("derived_struct_of_all_blocks", &[]);
}

#[test]
fn text() {
    check_histories::<text::NaiveText>("text", &[]);
}
