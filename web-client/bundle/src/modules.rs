//! Packs the client's modules into one file, so that a browser makes one request instead of twenty.
//!
//! Each module becomes a function that returns its exports, after the modules that it imports. Only the few forms of imports and exports that the
//! client uses are supported. All others are errors, so that they cannot go wrong silently.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// Packs `entry` and all modules that it imports into one module, with the exports of `entry`.
///
/// # Errors
///
/// A file cannot be read, two modules import each other, or an import or export has an unsupported form.
pub fn join(entry: &Path) -> Result<String> {
    let mut joined = Joined::default();
    let exports = joined.add(entry)?;
    writeln!(joined.text, "export const {{ {} }} = {};", exports.join(", "), joined.names[entry.file_stem_text()?])?;
    Ok(joined.text)
}

#[derive(Debug, Default)]
struct Joined {
    text: String,
    /// The constant that holds a module's exports, by the module's name. Empty while the module is being read.
    names: BTreeMap<String, String>,
}

impl Joined {
    /// Adds a module, after the modules that it imports. Returns the names that it exports.
    fn add(&mut self, file: &Path) -> Result<Vec<String>> {
        let stem = file.file_stem_text()?.to_owned();
        self.names.insert(stem.clone(), String::new());
        let source = std::fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?;
        let mut module = Module::default();
        let mut is_in_comment = false;
        let mut lines = source.lines().filter(|line| !is_comment(line, &mut is_in_comment));
        while let Some(line) = lines.next() {
            let mut statement = line.to_owned();
            if line.starts_with("import ") || line.starts_with("export {") {
                while !statement.ends_with(';') {
                    statement.push_str(lines.next().context("a statement has no end")?);
                }
            }
            let read = self.read(file, &mut module, &statement);
            read.with_context(|| format!("{}: {statement}", file.display()))?;
        }
        let Module { body, exports } = module;
        let name = format!("{}$module", stem.replace('-', "_"));
        writeln!(self.text, "const {name} = (() => {{\n{body}return {{ {} }};\n}})();", exports.join(", "))?;
        self.names.insert(stem, name);
        Ok(exports)
    }

    fn read(&mut self, file: &Path, module: &mut Module, statement: &str) -> Result<()> {
        if let Some(import) = statement.strip_prefix("import ") {
            let (what, from) = import.rsplit_once(" from ").unwrap_or(("", import));
            let from = self.import(file, from)?;
            if !what.is_empty() {
                writeln!(module.body, "const {{ {} }} = {from};", imported(what))?;
            }
        } else if let Some(export) = statement.strip_prefix("export {") {
            let (names, from) = export.split_once('}').context("the braces do not match")?;
            let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
            if let Some(from) = from.trim().strip_prefix("from ") {
                let from = self.import(file, from)?;
                let names: Vec<&str> = names.collect();
                writeln!(module.body, "const {{ {} }} = {from};", names.join(", "))?;
                module.exports.extend(names.into_iter().map(str::to_owned));
            } else {
                // `own as default` becomes `default: own`.
                module.exports.extend(names.map(|name| match name.split_once(" as ") {
                    Some((own, other)) => format!("{other}: {own}"),
                    None => name.to_owned(),
                }));
            }
        } else if let Some(declared) = statement.strip_prefix("export ") {
            let words = declared.strip_prefix("async ").unwrap_or(declared);
            let name = ["class ", "function ", "const "].iter().find_map(|kind| words.strip_prefix(kind));
            let name = name.context("only classes, functions, constants and lists are exported here")?;
            module.exports.push(name.chars().take_while(|c| c.is_alphanumeric() || "_$".contains(*c)).collect());
            writeln!(module.body, "{declared}")?;
        } else {
            ensure!(!statement.contains("import(\"."), "a module cannot be imported later");
            ensure!(!statement.starts_with("await "), "a module cannot wait while it is loaded");
            writeln!(module.body, "{statement}")?;
        }
        Ok(())
    }

    /// Returns the constant that holds a module's exports. Adds the module first if necessary.
    fn import(&mut self, file: &Path, from: &str) -> Result<String> {
        let path = from.trim_end_matches(';').trim_matches('"');
        ensure!(path.starts_with("./"), "modules are imported by their place, as in \"./other.js\"");
        let other = file.parent().unwrap_or(Path::new("")).join(path);
        let stem = other.file_stem_text()?.to_owned();
        match self.names.get(&stem) {
            Some(name) if name.is_empty() => bail!("it is imported by what it imports"),
            Some(_) => {}
            None => drop(self.add(&other)?),
        }
        Ok(self.names[&stem].clone())
    }
}

/// Returns whether a whole line is a comment, which pages do not load. `is_inside` is whether the lines before have left a comment open.
fn is_comment(line: &str, is_inside: &mut bool) -> bool {
    let line = line.trim();
    if *is_inside {
        *is_inside = !line.ends_with("*/");
        return true;
    }
    *is_inside = line.starts_with("/*") && !line.contains("*/");
    *is_inside || line.starts_with("//") || (line.starts_with("/*") && line.ends_with("*/"))
}

#[derive(Debug, Default)]
struct Module {
    body: String,
    exports: Vec<String>,
}

/// Returns names such as `init, { digest as digestOf }` in the form that takes them out of an object: `default: init, digest: digestOf`.
fn imported(what: &str) -> String {
    let (first, braces) = what.split_once('{').unwrap_or((what, ""));
    let default = first.trim().trim_end_matches(',');
    let default = (!default.is_empty()).then(|| format!("default: {default}"));
    let names = braces.trim_end().trim_end_matches('}').split(',').map(str::trim).filter(|name| !name.is_empty());
    let names = names.map(|name| name.replace(" as ", ": "));
    default.into_iter().chain(names).collect::<Vec<_>>().join(", ")
}

trait FileStem {
    fn file_stem_text(&self) -> Result<&str>;
}

impl FileStem for Path {
    fn file_stem_text(&self) -> Result<&str> {
        self.file_stem().and_then(|stem| stem.to_str()).context("a module has a name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(test: &str, files: &[(&str, &str)]) -> Result<String> {
        let folder = std::env::temp_dir().join(format!("reapply-{test}-{}", std::process::id()));
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap())?;
            std::fs::write(path, text)?;
        }
        let joined = join(&folder.join(files[0].0));
        std::fs::remove_dir_all(folder)?;
        joined
    }

    #[test]
    fn modules_come_after_what_they_import_and_each_once() {
        let text = joined(
            "order",
            &[
                ("entry.js", "export { one } from \"./parts/one.js\";\nimport \"./parts/two.js\";\n"),
                (
                    "parts/one.js",
                    "import init, { two as zwei } from \"./two.js\";\nexport async function one() { return init(zwei); }\n",
                ),
                ("parts/two.js", "function start() {}\nexport const two = 2;\nexport {\n  start as default,\n};\n"),
            ],
        );
        let expected = "const two$module = (() => {\nfunction start() {}\nconst two = 2;\nreturn { two, default: start };\n})();\n\
            const one$module = (() => {\nconst { default: init, two: zwei } = two$module;\nasync function one() { return init(zwei); }\nreturn { one };\n})();\n\
            const entry$module = (() => {\nconst { one } = one$module;\nreturn { one };\n})();\n\
            export const { one } = entry$module;\n";
        assert_eq!(text.unwrap(), expected);
    }

    #[test]
    fn lines_of_comment_are_left_out() {
        let text = "// What is here.\n\n/**\n * Like import(\"./x.js\").\n */\n/** One. */\nexport const one = /* a number */ (1); // one\n  // Two.\n";
        let joined = joined("comments", &[("entry.js", text)]).unwrap();
        let body = "\nconst one = /* a number */ (1); // one\n";
        assert_eq!(
            joined,
            format!(
                "const entry$module = (() => {{\n{}return {{ one }};\n}})();\nexport const {{ one }} = entry$module;\n",
                body
            )
        );
    }

    #[test]
    fn forms_that_are_not_known_are_refused() {
        for (text, says) in [
            ("export default class {}\n", "only classes"),
            ("export let x = 1;\n", "only classes"),
            ("import { x } from \"elsewhere\";\n", "by their place"),
            ("const x = import(\"./a.js\");\n", "imported later"),
            ("await start();\n", "cannot wait"),
            ("import \"./entry.js\";\n", "imported by what it imports"),
        ] {
            let error = joined("forms", &[("entry.js", text)]).expect_err(text);
            assert!(format!("{error:#}").contains(says), "{text}: {error:#}");
        }
    }
}
