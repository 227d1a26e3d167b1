//! Which names a crate's files define, pass on and use.
//!
//! A file that only declares modules and passes names on (`pub use`) is a sign at the door: whoever takes a name from it uses the file behind it. A
//! file that does more than that uses what it passes on, like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

use crate::graph::Graph;
use crate::workspace;

/// A path of modules, from the crate's root: `["room", "task"]`.
type ModulePath = Vec<String>;

/// The modules of one crate.
#[derive(Default)]
pub struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

/// A file, and what it says.
#[derive(Default)]
struct Module {
    file: String,
    /// The names of its own items.
    defines: BTreeSet<String>,
    /// The names that it passes on, and the path of each.
    passes_on: BTreeMap<String, Vec<String>>,
    /// The modules of which it passes on everything.
    passes_on_all: Vec<Vec<String>>,
    /// The paths inside this crate that its code names.
    uses: Vec<Vec<String>>,
    /// Child modules that only tests are built with.
    tests: BTreeSet<String>,
    /// Child modules whose files lie outside of the crate's sources.
    elsewhere: BTreeSet<String>,
    /// Whether it has code of its own.
    has_code: bool,
}

impl Crate {
    /// Reads the files below `source`.
    ///
    /// # Panics
    ///
    /// A file cannot be read, or is not Rust.
    #[must_use]
    pub fn read(source: &Path) -> Self {
        let mut read = Self::default();
        for file in workspace::files(source, &|path| path.extension().is_some_and(|extension| extension == "rs")) {
            let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let path = module_path(file.strip_prefix(source).unwrap_or(&file));
            let name = workspace::relative(&file).unwrap_or_else(|| file.clone()).display().to_string();
            let module = Module::read(name, &parsed.items);
            read.modules.insert(path, module);
        }
        read
    }

    /// Returns the arrows between its files.
    #[must_use]
    pub fn graph(&self) -> Graph {
        let mut graph = Graph::default();
        for (path, module) in self.modules.iter().filter(|(path, _)| !self.is_test(path)) {
            let passed_on = module.passes_on.values().chain(&module.passes_on_all).filter(|_| module.has_code);
            for used in module.uses.iter().chain(passed_on) {
                if let Some(used) = self.resolve(path, used, 0) {
                    graph.add(&module.file, &used.file);
                }
            }
        }
        graph
    }

    fn is_test(&self, path: &[String]) -> bool {
        (0..path.len()).any(|depth| {
            let parent = self.modules.get(&path[..depth]);
            parent.is_some_and(|parent| parent.tests.contains(&path[depth]))
        })
    }

    /// Finds the file that defines the last name of a path, through files that pass it on.
    fn resolve(&self, from: &[String], used: &[String], depth: usize) -> Option<&Module> {
        let absolute = self.absolute(from, used)?;
        // The longest part of the path that is a file; what follows is a name in it.
        let length = (0..=absolute.len()).rev().find(|length| self.modules.contains_key(&absolute[..*length]))?;
        let (path, rest) = absolute.split_at(length);
        let module = &self.modules[path];
        let Some(name) = rest.first() else { return Some(module) };
        if module.elsewhere.contains(name) {
            return None;
        }
        if module.defines.contains(name) || depth > PASSED_ON_MAX {
            return Some(module);
        }
        let mut candidates =
            module.passes_on.get(name).cloned().into_iter().chain(
                module.passes_on_all.iter().map(|all| all.iter().chain([name]).cloned().collect::<Vec<String>>()),
            );
        candidates.find_map(|passed_on| self.resolve(path, &passed_on, depth + 1)).or(Some(module))
    }

    /// Puts `crate`, `self`, `super` and a child's name in terms of the crate's root; `None` for what is another crate's.
    fn absolute(&self, from: &[String], used: &[String]) -> Option<Vec<String>> {
        let (first, rest) = used.split_first()?;
        let mut base = match first.as_str() {
            "crate" => Vec::new(),
            "self" => from.to_vec(),
            "super" => from.split_last()?.1.to_vec(),
            _ => {
                let child = [from, std::slice::from_ref(first)].concat();
                return self.modules.contains_key(&child).then(|| [from, used].concat());
            }
        };
        let mut rest = rest.iter().peekable();
        while rest.next_if(|segment| *segment == "super").is_some() {
            base.pop();
        }
        base.extend(rest.cloned());
        Some(base)
    }
}

/// Files that pass on one name to one another before the search for it ends.
const PASSED_ON_MAX: usize = 8;

fn module_path(file: &Path) -> ModulePath {
    let mut path: ModulePath =
        file.with_extension("").components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        path.pop();
    }
    path
}

impl Module {
    fn read(file: String, items: &[Item]) -> Self {
        let mut module = Self { file, ..Self::default() };
        for item in items.iter().filter(|item| !is_for_tests(attributes(item))) {
            module.read_item(item);
        }
        for item in items {
            if let Item::Mod(child) = item
                && is_for_tests(&child.attrs)
            {
                module.tests.insert(child.ident.to_string());
            }
        }
        module
    }

    fn read_item(&mut self, item: &Item) {
        match item {
            Item::Use(item) if !matches!(item.vis, Visibility::Inherited) => self.pass_on(&item.tree, &mut Vec::new()),
            Item::Use(item) => paths(&item.tree, &mut Vec::new(), &mut self.uses),
            Item::Mod(child) if child.content.is_none() => {
                if child.attrs.iter().any(|attribute| attribute.path().is_ident("path")) {
                    self.elsewhere.insert(child.ident.to_string());
                }
            }
            item => {
                self.has_code = true;
                self.defines.extend(name(item));
                Paths { found: &mut self.uses }.visit_item(item);
            }
        }
    }

    fn pass_on(&mut self, tree: &UseTree, before: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.pass_on(&path.tree, before);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.pass_on(tree, before)),
            UseTree::Glob(_) => self.passes_on_all.push(before.clone()),
            UseTree::Name(name) => {
                let path = with(before, &name.ident.to_string());
                self.passes_on.insert(path.last().cloned().unwrap_or_default(), path);
            }
            UseTree::Rename(rename) => {
                self.passes_on.insert(rename.rename.to_string(), with(before, &rename.ident.to_string()));
            }
        }
    }
}

/// The paths that code names, besides those of the file's own `use` lines.
struct Paths<'a> {
    found: &'a mut Vec<Vec<String>>,
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        paths(&item.tree, &mut Vec::new(), self.found);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.found.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }
}

/// The whole paths of a `use` line.
fn paths(tree: &UseTree, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            paths(&path.tree, before, found);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| paths(tree, before, found)),
        UseTree::Glob(_) => found.push(before.clone()),
        UseTree::Name(name) => found.push(with(before, &name.ident.to_string())),
        UseTree::Rename(rename) => found.push(with(before, &rename.ident.to_string())),
    }
}

/// A path and its last segment; `self` at the end means what stands before it.
fn with(before: &[String], last: &str) -> Vec<String> {
    let mut path = before.to_vec();
    if last != "self" || before.is_empty() {
        path.push(last.to_owned());
    }
    path
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    let is_test = |attribute: &Attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    };
    attributes.iter().any(is_test)
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        Item::Mod(item) => item.ident.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        _ => return None,
    })
}
