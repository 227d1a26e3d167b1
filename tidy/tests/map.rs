//! The map is true: every file and every function that ARCHITECTURE.md and CONTRIBUTING.md name exists, and a function that is named right after a
//! file is in that file.

use std::path::{Path, PathBuf};

#[test]
fn everything_on_the_map_exists() {
    let root = root();
    let folders = root.read_dir().unwrap().flatten().map(|entry| entry.path());
    let mut sources = Vec::new();
    folders.filter(|folder| !folder.ends_with("target")).for_each(|folder| read_sources(&folder, &mut sources));
    let mut missing = Vec::new();
    for map in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root.join(map)).unwrap();
        for (index, line) in text.lines().enumerate() {
            let is_missing = |name: &&str| {
                is_path(&root, name) && !root.join(name).exists()
                    || !function(name).is_none_or(|at| is_there(&sources, at))
            };
            missing.extend(names(line).filter(is_missing).map(|name| format!("{map}:{}: {name}", index + 1)));
            let elsewhere = places(line).filter(|(file, at)| {
                let source = std::fs::read_to_string(root.join(file)).unwrap_or_default();
                !is_in_impl(&source, *at)
            });
            missing.extend(elsewhere.map(|(file, at)| format!("{map}:{}: {}::{} in {file}", index + 1, at.0, at.1)));
        }
    }
    assert!(missing.is_empty(), "the map names what does not exist:\n{}", missing.join("\n"));
}

/// Returns the folder of the workspace. Without cargo, that is the current folder.
fn root() -> PathBuf {
    option_env!("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), |manifest| Path::new(manifest).join(".."))
}

/// Reads all Rust files below a folder.
fn read_sources(path: &Path, sources: &mut Vec<String>) {
    if path.extension().is_some_and(|extension| extension == "rs") {
        sources.extend(std::fs::read_to_string(path));
    } else if let Ok(entries) = path.read_dir() {
        entries.flatten().for_each(|entry| read_sources(&entry.path(), sources));
    }
}

/// Returns the texts between backticks.
fn names(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Returns whether a name is the path of a file or a folder: it begins with a folder at the root.
fn is_path(root: &Path, name: &str) -> bool {
    let folder = name.split_once('/').map(|(folder, _)| folder);
    folder.is_some_and(|folder| !folder.is_empty() && root.join(folder).is_dir()) && !name.contains(' ')
}

/// Returns the type and the function of a name such as `Room::handle_submit`.
fn function(name: &str) -> Option<(&str, &str)> {
    let is_word = |word: &str| word.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    let (owner, function) = name.split_once("::")?;
    let is_function = function.starts_with(|first: char| first.is_lowercase());
    (is_function && is_word(owner) && is_word(function)).then_some((owner, function))
}

/// Returns the functions that are named right after a file, as in "`room.rs`, `Room::handle_submit`" and "`room.rs` (`Room::pump`)".
fn places(line: &str) -> impl Iterator<Item = (&str, (&str, &str))> {
    let parts: Vec<&str> = line.split('`').collect();
    let place = |at: usize| {
        let is_place = parts[at].ends_with(".rs") && [", ", " ("].contains(&parts[at + 1]);
        Some((parts[at], function(parts[at + 2])?)).filter(|_| is_place)
    };
    (1..parts.len().saturating_sub(2)).step_by(2).filter_map(place).collect::<Vec<_>>().into_iter()
}

/// Returns whether a file has the function, and an `impl` block of the type.
fn is_in_impl(source: &str, (owner, function): (&str, &str)) -> bool {
    let is_owner = |word: &str| word == owner;
    let has_impl = source
        .lines()
        .filter(|line| line.starts_with("impl"))
        .any(|line| line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(is_owner));
    has_impl && is_there(&[source.to_owned()], (owner, function))
}

/// Returns whether a file has both the type and the function.
fn is_there(sources: &[String], (owner, function): (&str, &str)) -> bool {
    let definitions = [format!("fn {function}("), format!("fn {function}<")];
    sources.iter().any(|source| source.contains(owner) && definitions.iter().any(|it| source.contains(it)))
}

#[test]
fn names_are_told_apart() {
    let root = root();
    assert!(is_path(&root, "tidy/tests/map.rs") && !is_path(&root, "machine/room") && !is_path(&root, "/rooms"));
    assert_eq!(function("Room::handle_submit"), Some(("Room", "handle_submit")));
    assert_eq!(function("Goodbye::TooSlow"), None);
    assert_eq!(names("in `a`, and `b`").collect::<Vec<_>>(), ["a", "b"]);
    let line = "in `a.rs`, `A::b`; then `c.rs` (`C::d`), `E::f` and `g.rs`";
    assert_eq!(places(line).collect::<Vec<_>>(), [("a.rs", ("A", "b")), ("c.rs", ("C", "d"))]);
    let source = "impl<M> Room<M> {\n    fn pump(&self) {}\n}\n";
    assert!(is_in_impl(source, ("Room", "pump")) && !is_in_impl(source, ("Sequencer", "pump")));
    assert!(!is_in_impl(source, ("Room", "settle")));
}
