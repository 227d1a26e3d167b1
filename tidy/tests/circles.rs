//! No file uses one that uses it, directly or through others.

use std::fs;
use std::path::Path;

use reapply_tidy::names::Crate;
use reapply_tidy::workspace;

#[test]
fn files_use_one_another_in_one_direction_only() {
    let mut found = Vec::new();
    for dir in workspace::crates() {
        let graph = Crate::read(&workspace::root().join(dir).join("src")).graph();
        found.extend(graph.circles().iter().map(|(file, uses)| format!("{file} uses {}", uses.join(", "))));
    }
    assert!(
        found.is_empty(),
        "these files are used by what they use: move what both need into a file of its own\n{}",
        found.join("\n")
    );
}

#[test]
fn a_circle_of_two_files_is_found_behind_the_sign_that_passes_on_their_names() {
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("circle");
    fs::create_dir_all(&source).unwrap();
    let files = [
        ("lib.rs", "mod a; mod b; mod c; pub use b::B;"),
        ("a.rs", "use crate::B; pub struct A(B);"),
        ("b.rs", "pub struct B; impl B { fn a() { super::a::A::new() } }"),
        ("c.rs", "use crate::a::A;"),
    ];
    for (name, text) in files {
        fs::write(source.join(name), text).unwrap();
    }
    let graph = Crate::read(&source).graph();
    let name = |path: &str| Path::new(path).file_name().unwrap().to_str().unwrap().to_owned();
    let circles: Vec<String> = graph.circles().keys().map(|file| name(file)).collect();
    assert_eq!(circles, ["a.rs", "b.rs"]);
}
