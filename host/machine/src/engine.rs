//! The only constructor of the deterministic engine.

use std::path::{Path, PathBuf};

use reapply_component::FEATURES;
use wasmtime::{Cache, CacheConfig, Config, OptLevel};

use super::limits::{STACK_BYTES_MAX, STACK_REPLAY_BYTES_MAX};

/// Compiles machines and runs them so that the same calls give the same results on every host. Cheap to clone.
///
/// The engine is two of wasmtime's, since the stack size is a setting of an engine. One judges new events, and the other, with more
/// stack, applies accepted events again. Both run the same code.
#[derive(Clone)]
pub struct Engine {
    judging: wasmtime::Engine,
    replaying: wasmtime::Engine,
}

/// The stack of an instance, which is chosen at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// [`STACK_BYTES_MAX`]: for a room that takes new events.
    Judging,
    /// [`STACK_REPLAY_BYTES_MAX`]: for replaying a log, and for a room whose state needs it.
    Replaying,
}

/// The reason why an engine could not be created.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The directory for compiled machines cannot be used.
    #[error("the cache for compiled machines cannot be opened in {}: {cause}", directory.display())]
    Cache {
        /// The directory.
        directory: PathBuf,
        /// The reason.
        cause: String,
    },
    /// The engine does not run on this processor or operating system.
    #[error("the WebAssembly engine cannot run here: {0}")]
    Unsupported(String),
}

impl Engine {
    /// Creates the engine. With a `cache` directory, each component is compiled once for each version of the engine, and then found
    /// there by its content. Anyone who can write to that directory can run code in this process.
    ///
    /// # Errors
    ///
    /// The directory cannot be used, or the engine does not run on this machine.
    pub fn new(cache: Option<&Path>) -> Result<Self, EngineError> {
        let mut config = deterministic_config();
        if let Some(directory) = cache {
            config.cache(Some(open_cache(directory)?));
        }
        let judging = start(&config)?;
        let replaying = start(config.max_wasm_stack(STACK_REPLAY_BYTES_MAX))?;
        Ok(Self { judging, replaying })
    }

    /// Creates an engine only for replaying logs. Every instance has the larger stack, and each component is compiled once.
    ///
    /// # Errors
    ///
    /// The engine does not run on this machine.
    pub fn for_replays() -> Result<Self, EngineError> {
        let replaying = start(deterministic_config().max_wasm_stack(STACK_REPLAY_BYTES_MAX))?;
        Ok(Self { judging: replaying.clone(), replaying })
    }

    /// Returns whether both stacks are the same here.
    pub(super) fn has_one_stack(&self) -> bool {
        wasmtime::Engine::same(&self.judging, &self.replaying)
    }

    pub(super) fn wasmtime(&self, stack: Stack) -> &wasmtime::Engine {
        match stack {
            Stack::Judging => &self.judging,
            Stack::Replaying => &self.replaying,
        }
    }
}

/// Returns the configuration, with every setting that determinism needs. The other sources of differences are handled elsewhere:
///
/// - clock, random numbers, I/O: a component that imports anything is refused at deployment;
/// - NaN bit patterns: made canonical in the module itself ([`reapply_component::canonical`]). wasmtime's own switch stays off, because it
///   would change the host's results and not the browsers';
/// - fuel, memory and stack: a call that exceeds them is rejected as a whole, so they never change a call's result.
fn deterministic_config() -> Config {
    let mut config = Config::new();
    config.wasm_features(!FEATURES, false);
    config.wasm_features(FEATURES, true);
    config.shared_memory(false);
    config.relaxed_simd_deterministic(true);
    config.cranelift_nan_canonicalization(false);
    config.concurrency_support(false);

    // The default costs charge bulk instructions by the byte, so that a loop of them cannot exceed the budget.
    config.consume_fuel(true);
    config.max_wasm_stack(STACK_BYTES_MAX);

    config.cranelift_opt_level(OptLevel::Speed);
    // Machines have no names, so a backtrace would be useless, and a trap is cheaper without one.
    config.wasm_backtrace_max_frames(None);
    // A trap carries the memories, in which a panic leaves its message: super::panic.
    config.coredump_on_trap(true);
    config
}

fn start(config: &Config) -> Result<wasmtime::Engine, EngineError> {
    wasmtime::Engine::new(config).map_err(|error| EngineError::Unsupported(format!("{error:#}")))
}

fn open_cache(directory: &Path) -> Result<Cache, EngineError> {
    let refused = |cause: String| EngineError::Cache { directory: directory.to_owned(), cause };
    // wasmtime needs an absolute path.
    std::fs::create_dir_all(directory).map_err(|error| refused(error.to_string()))?;
    let absolute = directory.canonicalize().map_err(|error| refused(error.to_string()))?;
    let mut config = CacheConfig::new();
    config.with_directory(absolute);
    Cache::new(config).map_err(|error| refused(format!("{error:#}")))
}
