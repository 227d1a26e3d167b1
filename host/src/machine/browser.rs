//! The JavaScript that runs a component in a browser.
//!
//! Browsers know core modules only, so `js-component-bindgen` writes what is around them: an ES module that exports
//! `instantiate(getCoreModule, imports)`. It holds no code of the machine. The page fetches the component itself, checks its digest, and
//! cuts the core modules out of those very bytes, where [`BrowserModule::js`] says in
//! `export const coreModules = [[name, offset, length], ...]`.

use std::fmt::Write as _;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use js_component_bindgen::{InstantiationMode, TranspileOpts, transpile};
use wasmparser::{Parser, Payload};

use super::deploy::DeployError;

/// What a browser needs besides the component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserModule {
    /// An ES module without imports. It exports `instantiate`, which takes the function that gives a core module by its name, and
    /// `coreModules`, which says where in the component each of them lies.
    pub js: String,
    /// The same as `coreModules`.
    pub core_modules: Vec<CoreModule>,
}

/// Where a core module lies in the component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreModule {
    /// The name that `instantiate` asks for.
    pub name: String,
    /// Its first byte.
    pub offset: usize,
    /// How many bytes it has.
    pub length: usize,
}

/// Writes the browser's module for `component`, which is canonical, valid and of our world.
///
/// # Errors
///
/// The component is built in a way that no browser can run.
pub fn translate(component: &[u8]) -> Result<BrowserModule, DeployError> {
    // The translator is made for components that tools wrote, and asserts what they keep to. This one came from the network.
    let translated = catch_unwind(AssertUnwindSafe(|| transpile(component, options())));
    let files = match translated {
        Ok(Ok(translated)) => translated.files,
        Ok(Err(error)) => return Err(DeployError::Browser(format!("{error:#}"))),
        Err(_) => return Err(DeployError::Browser("it is built in a way that the translator does not know".into())),
    };

    let ranges = core_module_ranges(component)?;
    let mut js = String::new();
    let mut core_modules = Vec::new();
    for (name, content) in files {
        if name.ends_with(".js") {
            js = String::from_utf8(content).map_err(|error| DeployError::Browser(error.to_string()))?;
        } else if name.ends_with(".wasm") {
            let range = ranges.iter().find(|range| component.get((*range).clone()) == Some(&content[..]));
            let Some(range) = range else {
                return Err(DeployError::Browser(format!("its core module `{name}` is not part of it as it stands")));
            };
            core_modules.push(CoreModule { name, offset: range.start, length: range.len() });
        }
    }
    append_core_modules(&mut js, &core_modules);
    Ok(BrowserModule { js, core_modules })
}

fn options() -> TranspileOpts {
    TranspileOpts {
        name: "machine".into(),
        no_typescript: true,
        // `instantiate` awaits each core module, so the page may compile them as it likes.
        instantiation_mode: Some(InstantiationMode::Async),
        // No core module is put into the JavaScript, however small it is.
        base64_cutoff: 0,
        nodejs_compat_disabled: true,
        no_namespaced_exports: true,
        ..TranspileOpts::default()
    }
}

fn core_module_ranges(component: &[u8]) -> Result<Vec<Range<usize>>, DeployError> {
    let mut ranges = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        if let Payload::ModuleSection { unchecked_range, .. } =
            payload.map_err(|error| DeployError::Invalid(error.to_string()))?
        {
            ranges.push(unchecked_range);
        }
    }
    Ok(ranges)
}

fn append_core_modules(js: &mut String, core_modules: &[CoreModule]) {
    js.push_str("\nexport const coreModules = [");
    for CoreModule { name, offset, length } in core_modules {
        // The names are the translator's own, without characters that need escaping; writing to a string cannot fail.
        let _ = write!(js, "[\"{name}\", {offset}, {length}], ");
    }
    js.push_str("];\n");
}
