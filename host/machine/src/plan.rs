//! The plan by which a page starts a component, in numbers.
//!
//! Browsers run core modules only. A component consists of core modules and a description of how they are linked: the modules in the order
//! of their instantiation, the sources of their imports, and the exports that are the contract's functions. [`Plan`] is that description
//! with all names resolved, as wasmtime itself resolves them. Modules are places in the component's bytes; imports and exports are counted.
//! The client's fixed adapter (`web-client/js/reapply/adapter.ts`) follows the plan, so no content of a machine is ever served as
//! JavaScript.

use reapply_component::{ComponentError, FEATURES, INTERFACE};
use serde::{Serialize, Serializer};
use wasmparser::Validator;
use wasmtime_environ::component::{
    CanonicalOptions, CanonicalOptionsDataModel, Component, ComponentTranslation, ComponentTypes,
    ComponentTypesBuilder, CoreDef, CoreExport, Export, ExportItem, GlobalInitializer, InstantiateModule,
    NameMapNoIntern, StaticModuleIndex, StringEncoding, Trampoline, Translator, TypeResourceTable,
};
use wasmtime_environ::{EntityIndex, ModuleTranslation, PrimaryMap, ScopeVec, Tunables};

use super::error::DeployError;

/// The contract's functions, in the order of a plan.
const FUNCTIONS: [&str; 9] = [
    "describe",
    "encode",
    "decode",
    "[static]state.create",
    "[static]state.restore",
    "[method]state.apply",
    "[method]state.snapshot",
    "[method]state.alarm",
    "[method]state.view",
];

/// The plan of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The offset and the length of each core module in the component's bytes.
    pub modules: Vec<[usize; 2]>,
    /// The core instances, in the order of their creation.
    pub instances: Vec<Instantiation>,
    /// The memory that the contract's functions use.
    pub memory: Place,
    /// The function that allocates in that memory.
    pub realloc: Place,
    /// The destructor of a state, if it has one.
    pub destructor: Option<Place>,
    /// The contract's functions: `describe`, `encode`, `decode`, `create`, `restore`, `apply`, `snapshot`, `alarm`, `view`.
    pub functions: Vec<Function>,
}

/// One core instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instantiation {
    /// The index of its module.
    pub module: usize,
    /// The sources of the module's imports, in their order.
    pub imports: Vec<Import>,
}

/// The source of an import. As JSON, a built-in is a number and an export a [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Import {
    /// A function over the states' handles, which the adapter provides.
    BuiltIn(BuiltIn),
    /// An export of an earlier instance.
    Export(Place),
}

/// A function over the states' handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// `resource.new`.
    New = 0,
    /// `resource.rep`.
    Rep = 1,
    /// `resource.drop`.
    Drop = 2,
}

impl Serialize for BuiltIn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

/// The index of a core instance, and the index of an export among those of its module.
pub type Place = [usize; 2];

/// One of the contract's functions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Function {
    /// The core function.
    pub call: Place,
    /// The function to call with its result after that was read, if any.
    pub post_return: Option<Place>,
}

impl Plan {
    /// Creates the plan for a component that the engine has compiled.
    ///
    /// # Errors
    ///
    /// The component is linked in a way that the adapter does not support.
    pub fn of(component: &[u8]) -> Result<Self, DeployError> {
        let invalid =
            |error: wasmtime_environ::error::Error| DeployError::from(ComponentError::Invalid(format!("{error:#}")));
        let tunables = Tunables { parse_wasm_debuginfo: false, ..Tunables::default_host() };
        let mut validator = Validator::new_with_features(FEATURES);
        let mut types = ComponentTypesBuilder::new(&validator);
        let scope = ScopeVec::new();
        let translator = Translator::new(&tunables, &mut validator, &mut types, &scope);
        let (translation, modules) = translator.translate(component).map_err(invalid)?;
        let (types, _) = types.finish(&translation.component);
        Planner { bytes: component, translation, types, modules, instances: Vec::new() }
            .plan()
            .map_err(DeployError::Plan)
    }
}

/// The reason why there is no plan, as the end of "pages cannot run the component: ".
type Refusal = String;

struct Planner<'a> {
    bytes: &'a [u8],
    translation: ComponentTranslation,
    types: ComponentTypes,
    modules: PrimaryMap<StaticModuleIndex, ModuleTranslation<'a>>,
    /// The module of each planned instance.
    instances: Vec<StaticModuleIndex>,
}

/// The definitions from the steps of the instantiation.
#[derive(Default)]
struct Defined {
    instances: Vec<Instantiation>,
    memories: Vec<Place>,
    reallocs: Vec<Place>,
    post_returns: Vec<Place>,
    destructor: Option<Place>,
}

impl Planner<'_> {
    fn plan(mut self) -> Result<Plan, Refusal> {
        if self.translation.component.num_resources != 1 {
            let found = self.translation.component.num_resources;
            return Err(format!("it has {found} resource types; a machine has one, `state`"));
        }
        let modules = self.modules.values().map(|module| self.place_of_module(module)).collect::<Result<_, _>>()?;
        let defined = self.initialize()?;
        let functions = self.functions()?;
        let used = |pick: fn(&CanonicalOptions) -> Option<usize>, all: &[Place], what: &str| {
            let mut used =
                functions.iter().filter_map(|(_, options)| pick(&self.translation.component.options[*options]));
            let first = used.next().ok_or_else(|| format!("none of its functions has a {what}"))?;
            if used.any(|other| all.get(other) != all.get(first)) {
                return Err(format!("its functions use more than one {what}"));
            }
            all.get(first).copied().ok_or_else(|| format!("its {what} is missing"))
        };
        let memory = used(memory_of, &defined.memories, "memory")?;
        let realloc = used(realloc_of, &defined.reallocs, "`realloc`")?;
        let functions = functions.iter().map(|(call, options)| {
            let options = &self.translation.component.options[*options];
            let post_return = options.post_return.and_then(|index| defined.post_returns.get(index.as_u32() as usize));
            Function { call: *call, post_return: post_return.copied() }
        });
        Ok(Plan {
            functions: functions.collect(),
            modules,
            memory,
            realloc,
            instances: defined.instances,
            destructor: defined.destructor,
        })
    }

    /// Returns a module inside the component. wasmtime adds others of its own for calls between components.
    fn place_of_module(&self, module: &ModuleTranslation<'_>) -> Result<[usize; 2], Refusal> {
        let offset = usize::try_from(module.wasm_module_offset).ok();
        let place = offset.filter(|offset| self.bytes.get(*offset..).is_some_and(|rest| rest.starts_with(module.wasm)));
        let offset = place.ok_or("it is made of components that call one another")?;
        Ok([offset, module.wasm.len()])
    }

    /// Follows the steps of the instantiation.
    fn initialize(&mut self) -> Result<Defined, Refusal> {
        let initializers = std::mem::take(&mut self.translation.component.initializers);
        let mut defined = Defined::default();
        for initializer in &initializers {
            match initializer {
                GlobalInitializer::InstantiateModule(InstantiateModule::Static(module, imports), _) => {
                    let imports = imports.iter().map(|import| self.import(import)).collect::<Result<_, _>>()?;
                    self.instances.push(*module);
                    defined.instances.push(Instantiation { module: module.as_u32() as usize, imports });
                }
                GlobalInitializer::ExtractMemory(memory) => {
                    let export = memory.export.clone().map_index(EntityIndex::from);
                    defined.memories.push(self.place(&export)?);
                }
                GlobalInitializer::ExtractRealloc(realloc) => defined.reallocs.push(self.export(&realloc.def)?),
                GlobalInitializer::ExtractPostReturn(post) => defined.post_returns.push(self.export(&post.def)?),
                GlobalInitializer::Resource(resource) => {
                    defined.destructor = resource.dtor.as_ref().map(|dtor| self.export(dtor)).transpose()?;
                }
                GlobalInitializer::InstantiateModule(InstantiateModule::Import(..), _)
                | GlobalInitializer::LowerImport { .. } => return Err("it imports something".into()),
                GlobalInitializer::ExtractCallback(_) | GlobalInitializer::ExtractTable(_) => return Err(ASYNC.into()),
            }
        }
        Ok(defined)
    }

    /// Returns the contract's functions, and the index of the options of each.
    fn functions(&self) -> Result<Vec<(Place, wasmtime_environ::component::OptionsIndex)>, Refusal> {
        let Component { exports, export_items, options, .. } = &self.translation.component;
        let interface = exports.get(INTERFACE, &NameMapNoIntern).map(|(index, _)| &export_items[*index]);
        let Some(Export::Instance { exports, .. }) = interface else { return Err(format!("`{INTERFACE}` is missing")) };
        let function = |name: &&str| {
            let export = exports.get(name, &NameMapNoIntern).map(|(index, _)| &export_items[*index]);
            let Some(Export::LiftedFunction { func, options: index, .. }) = export else {
                return Err(format!("`{name}` is missing"));
            };
            if options[*index].async_ || options[*index].callback.is_some() {
                return Err(ASYNC.into());
            }
            if options[*index].string_encoding != StringEncoding::Utf8 {
                return Err(format!("`{name}` takes or gives text that is not in UTF-8"));
            }
            Ok((self.export(func)?, *index))
        };
        FUNCTIONS.iter().map(function).collect()
    }

    fn import(&self, import: &CoreDef) -> Result<Import, Refusal> {
        let CoreDef::Trampoline(trampoline) = import else { return self.export(import).map(Import::Export) };
        let (built_in, caller, table) = match &self.translation.trampolines[*trampoline] {
            Trampoline::ResourceNew { instance, ty } => (BuiltIn::New, *instance, *ty),
            Trampoline::ResourceRep { instance, ty } => (BuiltIn::Rep, *instance, *ty),
            Trampoline::ResourceDrop { instance, ty } => (BuiltIn::Drop, *instance, *ty),
            _ => return Err("its modules import more than what is about states".into()),
        };
        match &self.types[table] {
            TypeResourceTable::Concrete { instance, .. } if *instance == caller && self.defines_states(caller) => {}
            _ => return Err("more than one of its components handle states".into()),
        }
        Ok(Import::BuiltIn(built_in))
    }

    fn defines_states(&self, instance: wasmtime_environ::component::RuntimeComponentInstanceIndex) -> bool {
        self.translation.component.defined_resource_instances.values().all(|definer| *definer == instance)
    }

    fn export(&self, def: &CoreDef) -> Result<Place, Refusal> {
        match def {
            CoreDef::Export(export) => self.place(export),
            _ => Err("one of its functions is not a module's own".into()),
        }
    }

    fn place(&self, export: &CoreExport<EntityIndex>) -> Result<Place, Refusal> {
        let instance = export.instance.as_u32() as usize;
        let module = self.instances.get(instance).ok_or("it refers to a module before that is started")?;
        let mut exports = self.modules[*module].module.exports.values();
        let index = match &export.item {
            ExportItem::Index(item) => exports.position(|export| export == item),
            ExportItem::Name(_) => None,
        };
        Ok([instance, index.ok_or("it refers to an export that is missing")?])
    }
}

const ASYNC: &str = "it has asynchronous functions";

fn memory_of(options: &CanonicalOptions) -> Option<usize> {
    options.memory().map(|index| index.as_u32() as usize)
}

fn realloc_of(options: &CanonicalOptions) -> Option<usize> {
    match options.data_model {
        CanonicalOptionsDataModel::LinearMemory(memory) => memory.realloc.map(|index| index.as_u32() as usize),
        CanonicalOptionsDataModel::Gc {} => None,
    }
}
