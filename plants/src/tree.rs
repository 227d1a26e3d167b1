//! A copy of the tree in which faults are planted, and its tests.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::plant::Planted;

/// Seeds of the simulator where a plant asks for no other number.
const SEEDS: u64 = 500;

/// Some faults make tests run forever. After this time that counts as found.
const TESTS_WITHIN: Duration = Duration::from_secs(1_200);

/// A copy of the repository's files, with a target directory of its own beside it. Both are kept from one run to the next.
pub(crate) struct Tree {
    root: PathBuf,
    target: PathBuf,
}

/// The outcome of the tests of one plant.
#[derive(Debug)]
pub(crate) enum Finding {
    /// These tests failed.
    Tests(Vec<String>),
    /// The simulator failed at this seed.
    Seed(String),
    /// The tests did not end.
    Endless,
    /// All tests pass, though the simulator alone or all tests together should have found it.
    Nothing,
}

impl Finding {
    pub(crate) fn is_found(&self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tests(tests) => match &tests[..] {
                [] => f.write_str("found by a test"),
                [test] => write!(f, "found by {test}"),
                [test, others @ ..] => write!(f, "found by {test} and {} more", others.len()),
            },
            Self::Seed(seed) => write!(f, "found by the simulator with seed {seed}"),
            Self::Endless => f.write_str("found by tests that do not end"),
            Self::Nothing => f.write_str("SURVIVED"),
        }
    }
}

impl Tree {
    /// Copies the files that have changed since the last copy.
    pub(crate) fn copy(root: &Path) -> Result<Self, String> {
        let folder = root.join("target/plants");
        let tree = Self { root: folder.join("tree"), target: folder.join("target") };
        let listed = Command::new("git")
            .args(["-C", &root.to_string_lossy(), "ls-files", "-co", "--exclude-standard"])
            .output()
            .map_err(|error| format!("git: {error}"))?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for file in listed.lines().map(Path::new).filter(|file| root.join(file).is_file()) {
            let (from, to) = (root.join(file), tree.root.join(file));
            let bytes = fs::read(&from).map_err(|error| format!("{}: {error}", from.display()))?;
            if fs::read(&to).is_ok_and(|copied| copied == bytes) {
                continue;
            }
            let parent = to.parent().unwrap_or(&tree.root);
            fs::create_dir_all(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
            fs::write(&to, bytes).map_err(|error| format!("{}: {error}", to.display()))?;
        }
        tree.remove_all_but(&listed)?;
        Ok(tree)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn write(&self, planted: &[Planted]) -> Result<(), String> {
        planted.iter().try_for_each(|planted| write(&planted.file, &planted.after))
    }

    pub(crate) fn restore(&self, planted: &[Planted]) -> Result<(), String> {
        planted.iter().try_for_each(|planted| write(&planted.file, &planted.before))
    }

    /// Runs the tests until one fails: the simulator alone, where it must find the plant within so many seeds, and otherwise all.
    pub(crate) fn test(&self, seeds_alone: Option<u64>) -> Result<Finding, String> {
        if let Some(seeds) = seeds_alone {
            return self.simulate(seeds);
        }
        let protocol = ["-p", "reapply-sync", "--lib", "--test", "golden", "--test", "protocol", "--no-fail-fast"];
        for tests in [&protocol[..], &["-p", "reapply-client-core", "--tests", "--no-fail-fast"]] {
            let finding = self.cargo(tests, 0)?;
            if finding.is_found() {
                return Ok(finding);
            }
        }
        self.simulate(SEEDS)
    }

    fn simulate(&self, seeds: u64) -> Result<Finding, String> {
        self.cargo(&["-p", "reapply-sync", "--test", "simulation"], seeds)
    }

    fn cargo(&self, args: &[&str], seeds: u64) -> Result<Finding, String> {
        if !self.run(&[args, &["--no-run"]].concat(), seeds)?.is_some_and(|is_well| is_well) {
            return Err(format!("it does not build:\n{}", self.output()?));
        }
        match self.run(args, seeds)? {
            Some(true) => return Ok(Finding::Nothing),
            None => return Ok(Finding::Endless),
            Some(false) => {}
        }
        let output = self.output()?;
        let between = |line: &str, before: &str, after: &str| {
            line.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).map(str::to_owned)
        };
        if let Some(seed) = output.lines().find_map(|line| between(line, "seed ", " failed; run it again by")) {
            return Ok(Finding::Seed(seed));
        }
        Ok(Finding::Tests(output.lines().filter_map(|line| between(line, "test ", " ... FAILED")).collect()))
    }

    /// Runs `cargo test` with these arguments. Returns whether all is well; none where the tests do not end.
    fn run(&self, args: &[&str], seeds: u64) -> Result<Option<bool>, String> {
        let error = |error: std::io::Error| format!("cargo test: {error}");
        let output = File::create(self.output_file()).map_err(error)?;
        let mut cargo = Command::new("cargo")
            .arg("test")
            .args(args)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .env("RUST_BACKTRACE", "0")
            .env("REAPPLY_SEEDS", seeds.to_string())
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(output.try_clone().map_err(error)?)
            .stdout(output)
            .spawn()
            .map_err(error)?;
        let begun = Instant::now();
        while begun.elapsed() < TESTS_WITHIN {
            if let Some(status) = cargo.try_wait().map_err(error)? {
                return Ok(Some(status.success()));
            }
            sleep(Duration::from_millis(100));
        }
        // The tests as well, which cargo has started.
        Command::new("kill").args(["-KILL", "--", &format!("-{}", cargo.id())]).status().map_err(error)?;
        cargo.wait().map_err(error)?;
        Ok(None)
    }

    fn output_file(&self) -> PathBuf {
        self.root.with_file_name("output")
    }

    fn output(&self) -> Result<String, String> {
        let bytes = fs::read(self.output_file()).map_err(|error| format!("the tests' output: {error}"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Removes the files that are no longer in the repository.
    fn remove_all_but(&self, listed: &str) -> Result<(), String> {
        let kept: std::collections::BTreeSet<&Path> = listed.lines().map(Path::new).collect();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let error = |error: std::io::Error| format!("{}: {error}", folder.display());
            for entry in fs::read_dir(&folder).map_err(error)? {
                let path = entry.map_err(error)?.path();
                let is_kept = path.strip_prefix(&self.root).is_ok_and(|file| kept.contains(file));
                if path.is_dir() {
                    folders.push(path);
                } else if !is_kept {
                    fs::remove_file(&path).map_err(error)?;
                }
            }
        }
        Ok(())
    }
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}
