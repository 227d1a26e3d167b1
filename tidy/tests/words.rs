//! Comments and Markdown are plain English: the worst habits of the past do not come back.
//!
//! Only prose is read: comments of Rust, JavaScript, TypeScript and WIT, and Markdown, all without code. A phrase is added to the lists when
//! it is gone from all of it.

use std::path::{Path, PathBuf};

/// Folders and files whose prose is held to the lists below.
const HELD: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "bench",
    "check",
    "client",
    "component",
    "demo",
    "docs",
    "e2e",
    "examples",
    "guest-sdk",
    "guests",
    "host",
    "plants",
    "sync",
    "testing",
    "tidy",
    "web-client",
    "wit",
];

/// Words that the documentation of an item must not begin with, and the way out.
const OPENINGS: &[(&str, &str)] = &[
    ("What", "name the thing (\"The view ...\"), or begin with a verb (\"Returns ...\")"),
    ("Who", "name the person or the program: \"The participant who ...\""),
    ("Whom", "name the person or the program: \"The participant whom ...\""),
    ("Whose", "name the owner: \"The author of ...\""),
    ("Which", "name the thing: \"The room ...\", \"The kind of ...\""),
    ("Where", "name the place: \"The folder of ...\", \"The index of ...\""),
    ("Why", "\"The reason ...\""),
    ("How", "name the quantity: \"The number of ...\", \"The maximum time ...\", \"The interval ...\""),
    ("Has", "begin with another verb: \"Makes ...\", \"Switches ...\""),
    ("Lets", "begin with another verb: \"Allows ...\", \"Makes ...\""),
    ("Answers", "\"Returns ...\""),
    ("So many", "\"The number of ...\""),
    ("So much", "\"The amount of ...\""),
    ("One that", "name the thing: \"A file that ...\""),
    ("One who", "name the person: \"A reader who ...\""),
    ("Nobody", "name the thing first"),
];

/// Phrases that prose must not hold, and what to write instead.
const PHRASES: &[(&str, &str)] = &[
    ("is no", NOT_A),
    ("are no", NOT_A),
    ("was no", NOT_A),
    ("were no", NOT_A),
    ("is none", NOT_A),
    ("for ever", "\"forever\""),
    ("be had", "\"available\""),
    ("but for", "\"except for\""),
    ("in vain", "\"without success\", or \"fails\""),
    ("so that none", "\"so that no ...\""),
    ("that which", "name the thing"),
    ("to and fro", "\"back and forth\""),
    ("gone through", "\"read\", \"checked\" or \"replayed\""),
    ("speaks of", "\"refers to\", or \"names\""),
    ("tells of", "\"reports\""),
    ("makes of", "\"turns into\", or name the result"),
    ("is not to be", "\"must not be\""),
    ("as may be", "\"at most\""),
    ("whosoever", "\"whoever\""),
    ("anew", "\"again\""),
    ("afresh", "\"again\""),
    ("likewise", "\"also\", or say it in full"),
    ("all the same", "\"nevertheless\""),
    ("became of", "\"the outcome of\""),
    ("become of", "\"the outcome of\""),
    ("becomes of", "\"the outcome of\""),
    ("came of", "\"the outcome of\""),
    ("comes of", "\"the outcome of\""),
    ("hear of", "\"is told about\""),
    ("hears of", "\"is told about\""),
    ("a say in", "\"a choice of\""),
    ("so seldom", "\"the interval\""),
    ("for want of", "\"without\""),
    ("thereof", "\"of it\""),
    ("whereof", "\"of which\""),
    ("be it", "\"whether ... or ...\""),
    ("dear", "\"expensive\""),
    ("let go of", "\"released\""),
    ("lets go of", "\"releases\""),
];

/// For negatives. "There is no ..." and "is no longer ..." are natural, and allowed.
const NOT_A: &str = "\"is not a ...\", or \"does not ...\"";

#[test]
fn prose_is_plain_english() {
    let root = root();
    let mut wrong = Vec::new();
    for held in HELD {
        for file in prose_in(&root.join(held)) {
            let name = file.strip_prefix(&root).unwrap();
            let text = std::fs::read_to_string(&file).unwrap();
            let found = faults(&text, name.extension().is_some_and(|extension| extension == "md"));
            wrong.extend(found.into_iter().map(|(line, fault)| format!("{}:{line}: {fault}", name.display())));
        }
    }
    assert!(wrong.is_empty(), "write plain English (see CONTRIBUTING.md):\n{}", wrong.join("\n"));
}

/// Returns the folder of the workspace. Without cargo, that is the current folder.
fn root() -> PathBuf {
    option_env!("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), |manifest| Path::new(manifest).join(".."))
}

/// Returns the files with prose: this one, or all below this folder.
fn prose_in(path: &Path) -> Vec<PathBuf> {
    let is_prose = |extension| ["md", "rs", "js", "ts", "wit"].iter().any(|known| extension == *known);
    let Ok(entries) = path.read_dir() else {
        return if path.is_file() && path.extension().is_some_and(is_prose) {
            vec![path.to_owned()]
        } else {
            Vec::new()
        };
    };
    let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    inside.retain(|path| !path.file_name().is_some_and(|name| name == "target" || name == "node_modules"));
    inside.sort();
    inside.iter().flat_map(|path| prose_in(path)).collect()
}

/// Returns the faults of a file's prose, each with its line.
fn faults(text: &str, is_markdown: bool) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_in_code = false;
    let mut marker_before = "";
    let mut whether_at = None;
    for (index, line) in text.lines().enumerate() {
        let (marker, prose) = if is_markdown { ("", line.trim()) } else { comment(line.trim()) };
        let is_comment = is_markdown || !marker.is_empty();
        let begins_docs = ["///", "/**"].contains(&marker) && marker != marker_before;
        marker_before = marker;
        if begins_docs {
            whether_at = word_at(prose, 0, "Whether").then_some(index + 1);
        } else if !is_comment && !line.trim().starts_with("#[") {
            let function = whether_at.take().filter(|_| line.contains("fn "));
            found.extend(function.map(|line| (line, "\"Whether\": write \"Returns whether ...\"".to_owned())));
        }
        if prose.starts_with("```") || !is_comment {
            is_in_code = is_comment && !is_in_code;
        } else if !is_in_code {
            let prose = without_code(prose);
            let opening = OPENINGS.iter().filter(|(word, _)| begins_docs && word_at(&prose, 0, word));
            let phrases = PHRASES.iter().filter(|(words, _)| holds(&prose.to_lowercase(), words));
            found.extend(
                opening.chain(phrases).map(|(words, instead)| (index + 1, format!("{words:?}: write {instead}"))),
            );
        }
    }
    found
}

/// Returns a comment's marker and its text; both are empty for a line of code.
fn comment(line: &str) -> (&str, &str) {
    let marker = ["///", "//!", "//", "/**", "/*", "* "].into_iter().find(|marker| line.starts_with(marker));
    marker.map_or(("", ""), |marker| (marker, line[marker.len()..].trim()))
}

/// Removes what stands between backticks.
fn without_code(prose: &str) -> String {
    prose.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// Returns whether the words are somewhere in the prose. After "there", or before "longer" or "more", a "no" is natural.
fn holds(prose: &str, words: &str) -> bool {
    prose.match_indices(words).any(|(at, _)| {
        let (before, after) = (prose[..at].trim_end(), prose[at + words.len()..].trim_start());
        let is_natural = before.ends_with("there")
            || ["longer", "more", "larger", "wider"].iter().any(|word| after.starts_with(word));
        word_at(prose, at, words) && !(words.contains(" no") && is_natural)
    })
}

/// Returns whether the words are at this place, not inside of longer ones.
fn word_at(prose: &str, at: usize, words: &str) -> bool {
    let is_letter = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    prose[at..].starts_with(words)
        && !is_letter(prose[..at].chars().next_back())
        && !is_letter(prose[at + words.len()..].chars().next())
}

#[test]
fn a_planted_fault_is_found_with_its_line() {
    let lines = |text, is_markdown| faults(text, is_markdown).into_iter().map(|(line, _)| line).collect::<Vec<_>>();
    assert_eq!(lines("/// What it is.\nlet a = 1;\n/// The number.\n/// What follows may begin so.\n", false), [1]);
    assert_eq!(lines("// This is no room.\n// There is no room, and it is no longer one.\n", false), [1]);
    assert_eq!(
        lines("/// It stays for ever.\n/// ```\n/// // for ever\n/// ```\n/// A `for ever` is code.\n", false),
        [1]
    );
    assert_eq!(lines("let for_ever = \"for ever\";\n", false), []);
    assert_eq!(lines("It is for ever.\n\n```\nfor ever\n```\n\n| for ever |\n", true), [1, 7]);
    assert_eq!(lines("/// Whether it is.\n#[must_use]\npub fn is() {}\n/// Whether it is.\nis: bool,\n", false), [1]);
    assert_eq!(lines("/** Who has it. */\n * A file that is no file.\n", false), [1, 2]);
}
