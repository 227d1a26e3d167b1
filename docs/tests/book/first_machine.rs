//! Carries out the first chapter, and the steps of the chapters on testing, upgrading and HTTP with its machine: writes every file, runs
//! every command.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use reapply_e2e::{Browser, Host, reapply, repository};
use serde_json::json;
use tempfile::TempDir;

use crate::blocks::{Block, Mark, blocks, chapter};
use crate::commands::{Printed, Terminal, matches};

/// The address of the host in the book.
const BOOK_HOST: &str = "localhost:8080";

/// A reader at work.
struct Reader {
    /// The clone of the repository and the machine, side by side.
    somewhere: TempDir,
    terminal: Terminal,
    host: Option<Host>,
}

#[tokio::test]
async fn a_reader_gets_a_machine_and_a_page_running() {
    let mut reader = Reader::new();
    for block in blocks(&chapter("first-machine.md")) {
        reader.follow(&block);
    }
    reader.use_the_page().await;
    for block in ["testing.md", "upgrading.md", "http.md"].iter().flat_map(|file| blocks(&chapter(file))) {
        reader.follow(&block);
    }
}

impl Reader {
    fn new() -> Self {
        let somewhere = tempfile::tempdir().unwrap();
        symlink(repository().canonicalize().unwrap(), somewhere.path().join("reapply")).unwrap();
        // As in a terminal, curl must not show progress.
        fs::write(somewhere.path().join(".curlrc"), "silent\n").unwrap();
        let variables = [
            ("PATH", path_with(reapply().parent().unwrap())),
            ("CARGO_TARGET_DIR", format!("{}/first-machine", env!("CARGO_TARGET_TMPDIR"))),
            ("CARGO_TERM_COLOR", "never".to_owned()),
            ("CURL_HOME", somewhere.path().to_string_lossy().into_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let terminal = Terminal { dir: somewhere.path().to_owned(), variables, instead: Vec::new() };
        Self { somewhere, terminal, host: None }
    }

    fn poll(&self) -> PathBuf {
        self.somewhere.path().join("poll")
    }

    fn follow(&mut self, block: &Block) {
        match &block.mark {
            Mark::File(name) => self.write(name, &block.text),
            Mark::Run { figures, fails } => self.terminal.follow(&block.text, *figures, *fails),
            Mark::Serve => self.serve(&block.text),
            Mark::Error(name) => self.check_error(name, &block.text),
            Mark::Setup | Mark::TypeScript(_) => {}
            Mark::None => assert_ne!(block.language, "console", "a block of commands is not marked: {}", block.text),
        }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.poll().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        if name == "Cargo.toml" {
            // The versions that the repository is tested with, so that the book's machine fails together with it and not before.
            fs::copy(repository().join("Cargo.lock"), self.poll().join("Cargo.lock")).unwrap();
        }
    }

    /// Starts a host as the book does, on a free port and with data elsewhere.
    fn serve(&mut self, block: &str) {
        let commands: Vec<&str> = block.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
        let ["mkdir pages", "reapply serve --data data --pages pages"] = commands[..] else {
            panic!("a host is started by {commands:?}");
        };
        let pages = self.poll().join("pages");
        fs::create_dir(&pages).unwrap();
        // The folder for the host's note of its data directory, for the commands that need its deploy token.
        let state = ("XDG_STATE_HOME".to_owned(), self.somewhere.path().join("state").to_string_lossy().into_owned());
        let arguments = ["--pages", &pages.to_string_lossy()];
        let host = Host::start_program_in(reapply(), &std::env::temp_dir(), &arguments, std::slice::from_ref(&state));
        self.terminal.variables.push(state);
        self.terminal.instead = vec![(BOOK_HOST.to_owned(), host.address().to_string())];
        self.terminal.variables.push(("REAPPLY_HOST".to_owned(), host.url("")));
        self.host = Some(host);
    }

    /// Removes the part that an error is about, and compares the message.
    fn check_error(&mut self, name: &str, expected: &str) {
        let Printed { text, succeeded } = match name {
            "target" => {
                let tools = self.somewhere.path().join("tools");
                fs::create_dir(&tools).unwrap();
                fs::write(tools.join("rustc"), "#!/bin/sh\necho /nowhere\n").unwrap();
                fs::set_permissions(tools.join("rustc"), fs::Permissions::from_mode(0o755)).unwrap();
                self.terminal.run(&format!("PATH=\"{}:$PATH\" reapply build", tools.display()))
            }
            "crate-type" => self.build_without("Cargo.toml", "crate-type = [\"cdylib\", \"rlib\"]\n"),
            "export" => self.build_without("src/lib.rs", "export!(Poll);\n"),
            "folder" => {
                fs::create_dir(self.somewhere.path().join("empty")).unwrap();
                self.terminal.run("(cd ../empty; reapply build)")
            }
            "no-host" => {
                let mut gone = Host::start_program(reapply(), &[]);
                gone.kill_9();
                let Printed { text, succeeded } = self.terminal.run(&format!("reapply deploy --host {}", gone.url("")));
                Printed { text: text.replace(&gone.address().to_string(), "127.0.0.1:8080"), succeeded }
            }
            _ => panic!("nobody knows how to make the error {name}"),
        };
        assert!(!succeeded, "{name}: {text}");
        let message = text.lines().last().unwrap_or_default();
        assert!(matches(expected, message, false), "{name}: the book says\n{expected}\nand not\n{text}");
    }

    fn build_without(&mut self, file: &str, part: &str) -> Printed {
        let path = self.poll().join(file);
        let whole = fs::read_to_string(&path).unwrap();
        assert!(whole.contains(part), "{file} has no {part}");
        fs::write(&path, whole.replace(part, "")).unwrap();
        let printed = self.terminal.run("reapply build");
        fs::write(&path, whole).unwrap();
        printed
    }

    /// Opens two windows, as the book suggests.
    async fn use_the_page(&self) {
        let host = self.host.as_ref().expect("the book has started a host");
        let browser = Browser::start().await;
        let [ada, bob] = [browser.open(&host.url("/")).await, browser.open(&host.url("/")).await];
        for page in [&ada, &bob] {
            page.until("room.status === 'live' && document.querySelector('#places button')?.textContent === 'Thai: 1'")
                .await;
        }
        ada.click("#places button").await;
        bob.until("document.querySelector('#places button').textContent === 'Thai: 2'").await;
        bob.run("document.querySelector('input').value = 'Ramen'").await;
        bob.click("#suggest button").await;
        // In order, and without taking the focus from the button that Ada has pressed.
        ada.until("document.querySelector('#places').innerText === 'Ramen: 0\\nThai: 2'").await;
        ada.until("document.activeElement.textContent === 'Thai: 2'").await;
        ada.run("document.querySelector('input').value = 'Ramen'").await;
        ada.click("#suggest button").await;
        ada.until("document.querySelector('#trouble').textContent === 'No: \"AlreadySuggested\"'").await;
        assert_eq!(host.room("poll/lunch")["view"], json!({ "votes": { "Ramen": 0, "Thai": 2 } }));
        assert_eq!(browser.console().await, Vec::<String>::new());
    }
}

fn path_with(first: &Path) -> String {
    let rest = std::env::var("PATH").unwrap_or_default();
    format!("{}:{rest}", first.display())
}
