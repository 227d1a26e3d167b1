//! The client's TypeScript, checked by its compiler and Node. Without npm only the lines are compared; CI has npm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use reapply_testing::typescript;
use reapply_web_bundle::erase::erase;
use reapply_web_bundle::{bundle, workspace};

/// Returns the compiler, if npm is installed.
static COMPILER: LazyLock<Option<PathBuf>> = LazyLock::new(|| typescript(env!("CARGO_TARGET_TMPDIR")));

/// Returns the npm package with its sources beside it, which is made once.
static PACKAGE: LazyLock<PathBuf> = LazyLock::new(|| {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let package = temporary.join("web-client");
    let target = temporary.parent().expect("cargo's folder for temporary files is in its target folder");
    // Code that the host's build script has compiled is not compiled again.
    bundle(&package.join("dist"), &target.join("web-client")).unwrap();
    fs::copy(workspace().join("web-client/package.json"), package.join("package.json")).unwrap();
    package
});

#[test]
fn the_compiler_accepts_the_client() {
    let Some(compiler) = &*COMPILER else { return };
    let sources = workspace().join("web-client");
    let project = PACKAGE.join("sources");
    for module in modules() {
        copy(&module, &project.join(module.strip_prefix(&sources).unwrap()));
    }
    copy(&sources.join("tsconfig.json"), &project.join("tsconfig.json"));
    copy(&PACKAGE.join("dist/reapply/reapply_wasm.d.ts"), &project.join("dist/reapply/reapply_wasm.d.ts"));
    let compile = || run(Command::new("node").arg(compiler).arg("--project").arg(&project));
    assert_eq!(compile(), (true, String::new()));

    // A mistake is found, also in calls of the code that is compiled from Rust.
    let room = project.join("js/reapply/room.ts");
    let text = fs::read_to_string(&room).unwrap();
    fs::write(&room, text.replace("driver.signal(bytes)", "driver.signal(body)")).unwrap();
    let (compiles, told) = compile();
    assert!(!compiles && told.contains("room.ts") && told.contains("Uint8Array"), "{told}");
}

/// A page that uses everything that the package promises. A line with `// no` must not compile.
const PAGE: &str = r#"
import { connect, type Moment, type Options, type Outcome, type RejectionKind, Room, type Returned, type Signal, type Status } from "./dist/reapply.js";
import { Scrubber } from "./dist/scrubber.js";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const yes = <_ extends true>() => {};

type View = { votes: number };
type Transition = "Vote";
type Conflict = "Full";
const options: Options = { key: "0", backoff: { first_ms: 1 }, socket: (url, protocol) => new WebSocket(url, protocol) };
const room = connect<View, Transition, Conflict>("/rooms/a/b", options);
yes<Same<typeof room, Room<View, Transition, Conflict>>>();
yes<Same<typeof room.view, View | undefined>>();
yes<Same<typeof room.status, Status>>();
yes<Same<Status, "connecting" | "live" | "offline" | "closed">>();
room.onsignal = (signal: Signal) => console.log(signal.body.length);
room.onreturn = (returned) => yes<Same<typeof returned, Returned<Transition, Conflict>>>();
const leave: () => void = room.subscribe((again) => yes<Same<typeof again, typeof room>>());
const ready: Room<View, Transition, Conflict> = await room.ready;
const outcome: Outcome<Conflict> = await room.apply("Vote");
if (outcome.status === "rejected") yes<Same<[typeof outcome.kind, typeof outcome.conflict], [RejectionKind, Conflict | undefined]>>();
const moment: Moment<View> = await room.at({ time: "2026-01-01T00:00:00Z" });
const scrubber: Scrubber = document.querySelector("reapply-scrubber")!;
scrubber.room = ready;
scrubber.seek(moment.seq);
leave();
connect("/rooms/a/b").apply({ anything: 1 }).then((outcome) => outcome.status === "accepted" && outcome.time.getTime());
room.apply("Veto"); // no
room.view = undefined; // no
new Room("/rooms/a/b", {}); // no
room.status = "live"; // no
connect("/rooms/a/b", { kay: "0" }); // no
scrubber.disconnectedCallback(); // no
"#;

#[test]
fn a_page_gets_the_types_that_the_package_promises() {
    let Some(compiler) = &*COMPILER else { return };
    let page = PACKAGE.join("page.ts");
    fs::write(&page, PAGE).unwrap();
    let options =
        ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--module", "nodenext"];
    let (_, told) = run(Command::new("node").arg(compiler).args(options).arg(&page));
    let wrong = PAGE.lines().zip(1..).filter(|(line, _)| line.ends_with("// no")).map(|(_, number)| number);
    let wrong: Vec<usize> = wrong.collect();
    let found = told.lines().filter(|line| !line.starts_with(' '));
    let found: Vec<usize> = found.map(|line| line_of(line).unwrap_or_else(|| panic!("{told}"))).collect();
    assert_eq!(found, wrong, "{told}");
}

#[test]
fn modules_keep_their_lines_and_columns_without_their_types() {
    for module in modules() {
        let source = fs::read_to_string(&module).unwrap();
        let erased = erase(&source).unwrap_or_else(|error| panic!("{}: {error:#}", module.display()));
        assert_eq!(source.lines().count(), erased.lines().count(), "{}", module.display());
        for (number, (source, erased)) in (1..).zip(source.lines().zip(erased.lines())) {
            let moved = erased.chars().zip(source.chars()).find(|(erased, source)| *erased != ' ' && erased != source);
            assert_eq!(moved, None, "{}:{number}\n{source}\n{erased}", module.display());
        }
    }
}

#[test]
fn node_reads_what_is_served() {
    if COMPILER.is_none() {
        return;
    }
    for module in modules() {
        let name = module.strip_prefix(workspace().join("web-client/js")).unwrap().with_extension("js");
        let served = PACKAGE.join("dist").join(name);
        // The package says that its files are modules.
        assert_eq!(
            run(Command::new("node").arg("--check").arg(&served)),
            (true, String::new()),
            "{}",
            served.display()
        );
    }
}

/// Returns the place of an error, as in `page.ts(7,1): error TS2322: ...`.
fn line_of(error: &str) -> Option<usize> {
    error.split_once("page.ts(")?.1.split_once(',')?.0.parse().ok()
}

/// Returns all TypeScript files of the client.
fn modules() -> Vec<PathBuf> {
    let folder = workspace().join("web-client/js");
    let folders = [folder.clone(), folder.join("reapply")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let modules: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|extension| extension == "ts")).collect();
    assert!(modules.len() > 10, "{modules:?}");
    modules
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}

/// Returns whether a command succeeds, and its output.
fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(told).unwrap())
}
