//! The README shows this machine in full.

#[test]
fn the_readme_shows_this_very_machine() {
    let readme = include_str!("../../../README.md");
    let (_doc, machine) = include_str!("../src/lib.rs").split_once("\n\n").unwrap();
    assert!(readme.contains(machine.trim_end()), "README.md and guests/counter/src/lib.rs differ");
    assert!(include_str!("../src/lib.rs").lines().count() < 40);
}
