//! Makes the types of an entry, as one file, from its TypeScript.
//!
//! An entry that re-exports other modules gets their declarations. These modules must export exactly the names that the entry exports, so that a
//! page's author can name every type in the file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use oxc_allocator::Allocator;
use oxc_ast::ast::{BindingPattern, Declaration, ExportFromDeclaration, Program, Statement};
use oxc_codegen::{Codegen, CodegenOptions, CommentOptions};
use oxc_isolated_declarations::{IsolatedDeclarations, IsolatedDeclarationsOptions};
use oxc_span::SourceType;

use crate::erase::{fail_on, parse};

/// Returns the types of the exports of `entry`: its own, or those that it takes from other modules. An entry of the first kind may import types from
/// `others`, which are served beside it.
///
/// # Errors
///
/// A file cannot be read, a module exports what the entry does not export, or the declarations would need a module that nobody can import.
pub fn declarations(entry: &Path, others: &[&str]) -> Result<String> {
    let source = read(entry)?;
    let allocator = Allocator::default();
    let program = parse(&allocator, &source, SourceType::ts())?;
    let taken = program.body.iter().filter_map(|statement| match statement {
        Statement::ExportFromDeclaration(export) => Some(export.as_ref()),
        _ => None,
    });
    let taken: Vec<&ExportFromDeclaration<'_>> = taken.collect();
    if taken.is_empty() {
        return Ok(declared(entry, &source, others)?.text);
    }
    let sources: Vec<&str> = taken.iter().map(|export| export.source.value.as_str()).collect();
    let beside: Vec<String> = sources.iter().map(|source| format!("./{}", file_name(source))).collect();
    let beside: Vec<&str> = beside.iter().map(String::as_str).collect();
    let mut texts = Vec::new();
    for export in &taken {
        let module = entry.with_file_name(export.source.value.as_str()).with_extension("ts");
        let mut declared = declared(&module, &read(&module)?, &beside)?;
        let names: BTreeSet<String> = export.specifiers.iter().map(|one| one.exported.name().to_string()).collect();
        ensure!(
            names == declared.names,
            "{} exports {:?}, and {} passes on {names:?}: these must be the same",
            module.display(),
            declared.names,
            entry.display()
        );
        declared.leave_out_imports();
        texts.push(declared.text);
    }
    Ok(texts.join("\n"))
}

/// The declarations of one module.
struct Declared {
    text: String,
    names: BTreeSet<String>,
}

impl Declared {
    /// Leaves out the imports, each of which is a line of its own.
    fn leave_out_imports(&mut self) {
        let lines = self.text.lines().filter(|line| !line.starts_with("import "));
        self.text = lines.flat_map(|line| [line, "\n"]).collect();
    }
}

/// Makes the declarations of one module, which may import from `others` alone.
fn declared(file: &Path, source: &str, others: &[&str]) -> Result<Declared> {
    let allocator = Allocator::default();
    let program = parse(&allocator, source, SourceType::ts()).with_context(|| format!("in {}", file.display()))?;
    let options = IsolatedDeclarationsOptions { strip_internal: true };
    let made = IsolatedDeclarations::new(&allocator, options).build(&program);
    fail_on(made.diagnostics, source).with_context(|| format!("{} has no types of its own", file.display()))?;
    for statement in &made.program.body {
        if let Statement::ImportDeclaration(import) = statement {
            let from = import.source.value.as_str();
            ensure!(
                others.contains(&from),
                "the types of {} need those of {from}, which nobody can import: move them to a module that the entry exports",
                file.display()
            );
        }
    }
    let names = exported(&made.program)?;
    let comments = CommentOptions { jsdoc: true, ..CommentOptions::disabled() };
    let text = Codegen::new().with_options(CodegenOptions { comments, ..CodegenOptions::default() });
    Ok(Declared { text: text.build(&made.program).code, names })
}

/// Returns the names that a module exports.
fn exported(program: &Program<'_>) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for statement in &program.body {
        match statement {
            Statement::ExportDeclaration(export) => {
                names.insert(declared_name(&export.declaration).context("an export has no name")?);
            }
            Statement::ExportNamedDeclaration(export) => {
                names.extend(export.specifiers.iter().map(|one| one.exported.name().to_string()));
            }
            _ => {}
        }
    }
    Ok(names)
}

fn declared_name(declaration: &Declaration<'_>) -> Option<String> {
    let id = match declaration {
        Declaration::VariableDeclaration(variables) => match &variables.declarations.first()?.id {
            BindingPattern::BindingIdentifier(id) => id,
            _ => return None,
        },
        Declaration::FunctionDeclaration(function) => function.id.as_ref()?,
        Declaration::ClassDeclaration(class) => class.id.as_ref()?,
        Declaration::TSTypeAliasDeclaration(alias) => &alias.id,
        Declaration::TSInterfaceDeclaration(interface) => &interface.id,
        _ => return None,
    };
    Some(id.name.to_string())
}

fn file_name(source: &str) -> &str {
    source.rsplit('/').next().unwrap_or(source)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: &str = "\
import { Shell } from \"./shell.js\";
import type { Options } from \"./types.js\";
/** Joins. */
export function connect(options: Options = {}): Room { return new Shell(options).room; }
/** A room. */
export class Room {
  readonly #shell: Shell;
  /** The number. */
  get pending(): number { return 1; }
  private hidden(shell: Shell): Shell { return shell; }
}
";

    fn made(entry: &str, room: &str) -> Result<String> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("parts"))?;
        for (name, text) in [
            ("entry.ts", entry),
            ("parts/room.ts", room),
            ("parts/types.ts", "export interface Options { key?: string }\n"),
        ] {
            fs::write(folder.path().join(name), text)?;
        }
        declarations(&folder.path().join("entry.ts"), &["./other.js"])
    }

    #[test]
    fn one_file_has_the_types_and_comments_of_all_that_is_exported() {
        let entry =
            "export { connect, Room } from \"./parts/room.js\";\nexport type { Options } from \"./parts/types.js\";\n";
        let expected = "\
/** Joins. */
export declare function connect(options?: Options): Room;
/** A room. */
export declare class Room {
\t#private;
\t/** The number. */
\tget pending(): number;
\tprivate hidden;
}

export interface Options {
\tkey?: string;
}
";
        assert_eq!(made(entry, ROOM).unwrap(), expected);
        let own = "import type { Room } from \"./other.js\";\nexport const room: Room = make();\n";
        let expected = "import type { Room } from \"./other.js\";\nexport declare const room: Room;\n";
        assert_eq!(made(own, ROOM).unwrap(), expected);
    }

    #[test]
    fn types_that_nobody_could_name_are_refused() {
        let both =
            "export { connect, Room } from \"./parts/room.js\";\nexport type { Options } from \"./parts/types.js\";\n";
        for (entry, room, says) in [
            (
                "export { Room } from \"./parts/room.js\";\nexport type { Options } from \"./parts/types.js\";\n",
                ROOM,
                "these must be the same",
            ),
            ("export { connect, Room } from \"./parts/room.js\";\n", ROOM, "nobody can import"),
            (both, &ROOM.replace("readonly #shell", "readonly shell"), "./shell.js, which nobody can import"),
            (both, &ROOM.replace("(): number { return 1; }", "() { return count(); }"), "no types of its own"),
        ] {
            let error = format!("{:#}", made(entry, room).expect_err(says));
            assert!(error.contains(says), "{error}");
        }
    }
}
