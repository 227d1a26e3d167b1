//! Plants faults in the protocol one by one, each in a copy of the tree, and sees which tests find them. A fault that no test finds shows that a test is missing.
//!
//! ```text
//! just plant                 all of them
//! just plant 07 eviction     those whose names contain one of these
//! ```

mod plant;
mod tree;

use std::path::Path;
use std::process::ExitCode;

use plant::Plant;
use tree::{Finding, Tree};

/// The share of plants that must be found: this many ...
const FOUND_MIN: usize = 38;
/// ... of this many.
const FOUND_OF: usize = 40;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    match run(&wanted) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether enough plants were found.
fn run(wanted: &[String]) -> Result<bool, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().ok_or("the repository is not above its crate")?;
    let mut plants = Plant::all(root)?;
    plants.retain(|plant| wanted.is_empty() || wanted.iter().any(|part| plant.name.contains(part)));
    if plants.is_empty() {
        return Err(format!("no plant has one of these in its name: {}", wanted.join(", ")));
    }
    let tree = Tree::copy(root)?;
    println!("Without any plant, in {}:", tree.root().display());
    match tree.test(None)? {
        Finding::Nothing => println!("all tests pass"),
        finding => return Err(format!("the tests must pass before anything is planted: {finding}")),
    }
    let mut survivors = Vec::new();
    for plant in &plants {
        let planted = plant.apply(tree.root())?;
        tree.write(&planted)?;
        let finding = tree.test(plant.seeds);
        tree.restore(&planted)?;
        let finding = finding.map_err(|why| format!("{}: {why}", plant.name))?;
        println!("{}: {finding}", plant.name);
        if !finding.is_found() {
            println!("    {}", plant.breaks);
            survivors.push(&plant.name);
        }
    }
    let found = plants.len() - survivors.len();
    println!("{found} of {} plants were found", plants.len());
    Ok(found * FOUND_OF >= plants.len() * FOUND_MIN)
}
