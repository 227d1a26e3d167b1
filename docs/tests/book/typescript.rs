//! The TypeScript in the book: the compiler accepts it, with the types that a host serves.

use std::fs;
use std::path::Path;
use std::process::Command;

use reapply_e2e::{Host, http, reapply, typescript};

use crate::blocks::{Mark, blocks, chapter};

#[test]
fn the_page_in_typescript_compiles_with_the_types_that_a_host_serves() {
    let Some(compiler) = typescript(env!("CARGO_TARGET_TMPDIR")) else { return };
    let host = Host::start_program(reapply(), &[]);
    let page = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(page.path().join(name), text).unwrap();
    write("reapply.d.ts", &http::get(&host.url("/reapply.d.ts")).text());
    let files: Vec<(String, String)> = blocks(&chapter("json.md"))
        .into_iter()
        .filter_map(|block| match block.mark {
            Mark::TypeScript(name) => Some((name, block.text)),
            _ => None,
        })
        .collect();
    for (name, text) in &files {
        write(name, text);
    }
    assert_eq!(compile(&compiler, page.path()), (true, String::new()));

    // The types are really checked: a transition that the page's own type does not have is found.
    let (name, text) = files.iter().find(|(name, _)| name.ends_with(".ts")).expect("the chapter has a page");
    write(name, &format!("{text}room.apply({{ Veto: \"Thai\" }});\n"));
    let (compiles, told) = compile(&compiler, page.path());
    assert!(!compiles && told.contains("Veto"), "{told}");
}

/// Returns whether the page in a folder compiles, and the compiler's output.
fn compile(compiler: &Path, page: &Path) -> (bool, String) {
    let output = Command::new("node").arg(compiler).args(["--noEmit", "--project"]).arg(page).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}
