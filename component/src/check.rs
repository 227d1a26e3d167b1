//! The checks that a component's bytes must pass before any of its code runs. Each refusal is one sentence with its cause.

use bytes::Bytes;
use wasmparser::{Chunk, Parser, Payload, Validator, WasmFeatures};

use crate::canonical::canonicalise;
use crate::error::ComponentError;
use crate::limits::COMPONENT_BYTES_MAX;
use crate::shape;

/// The interface that a machine exports, as a component names it.
pub const INTERFACE: &str = "reapply:machine/machine@0.1.0";

/// The features of WebAssembly that a machine may use, inside a component: version 2.0 with fixed-width SIMD, and extended constant
/// expressions. Every browser has had these for years. Threads, shared memory and relaxed SIMD are not deterministic; the other features are
/// not in every browser.
///
/// `GC_TYPES` is only about `externref`, which no component passes.
pub const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .difference(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::COMPONENT_MODEL);

/// Checks size, validity, determinism, imports and names, and returns the canonical component.
///
/// # Errors
///
/// Fails with the first thing that is wrong with the component.
pub fn canonical_component(bytes: &[u8]) -> Result<Bytes, ComponentError> {
    check_size(bytes)?;
    check_header(bytes)?;
    validate(bytes)?;
    check_imports(bytes)?;
    shape::check(bytes)?;
    let canonical = canonicalise(bytes).map_err(|error| ComponentError::Invalid(error.to_string()))?;
    // Canonical code is longer, and the limit applies to the bytes that are served and stored.
    check_size(&canonical)?;
    Ok(canonical.into())
}

/// Checks that a component is small enough for every host.
///
/// # Errors
///
/// Fails if the component is too large.
pub fn check_size(bytes: &[u8]) -> Result<(), ComponentError> {
    if bytes.len() > COMPONENT_BYTES_MAX {
        return Err(ComponentError::TooLarge { bytes: bytes.len(), bytes_max: COMPONENT_BYTES_MAX });
    }
    Ok(())
}

/// The first bytes of every module and component.
const MAGIC: &[u8] = b"\0asm";

fn check_header(bytes: &[u8]) -> Result<(), ComponentError> {
    if bytes.is_empty() || !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
        return Err(ComponentError::NotWasm);
    }
    if Parser::is_core_wasm(bytes) {
        return Err(ComponentError::CoreModule);
    }
    if is_truncated(bytes) {
        return Err(ComponentError::Truncated { bytes: bytes.len() });
    }
    Ok(())
}

/// Returns whether the outermost sections announce more bytes than there are.
fn is_truncated(bytes: &[u8]) -> bool {
    let mut parser = Parser::new(0);
    let mut rest = bytes;
    while !rest.is_empty() {
        match parser.parse(rest, false) {
            Ok(Chunk::NeedMoreData(_)) => return true,
            Ok(Chunk::Parsed { consumed, payload }) => {
                let nested = match &payload {
                    Payload::ModuleSection { unchecked_range, .. }
                    | Payload::ComponentSection { unchecked_range, .. } => unchecked_range.len(),
                    _ => 0,
                };
                let Some(next) = rest.get(consumed + nested..) else { return true };
                rest = next;
            }
            // The bytes are damaged: validation reports that better.
            Err(_) => return false,
        }
    }
    false
}

fn validate(bytes: &[u8]) -> Result<(), ComponentError> {
    let valid_with = |features| Validator::new_with_features(features).validate_all(bytes);
    let Err(error) = valid_with(FEATURES) else { return Ok(()) };
    let undeterministic = [
        (WasmFeatures::THREADS, "threads or shared memory"),
        (WasmFeatures::RELAXED_SIMD, "relaxed SIMD"),
        (WasmFeatures::THREADS.union(WasmFeatures::RELAXED_SIMD), "threads and relaxed SIMD"),
    ];
    for (features, named) in undeterministic {
        if valid_with(WasmFeatures::WASM3.union(FEATURES).difference(NOT_DETERMINISTIC).union(features)).is_ok()
            && valid_with(WasmFeatures::WASM3.union(FEATURES).difference(NOT_DETERMINISTIC)).is_err()
        {
            return Err(ComponentError::NotDeterministic(named));
        }
    }
    Err(ComponentError::Invalid(error.to_string()))
}

/// Features that [`validate`] names in its error, because they are not deterministic. All other missing features are merely too new.
const NOT_DETERMINISTIC: WasmFeatures = WasmFeatures::THREADS.union(WasmFeatures::RELAXED_SIMD);

/// Refuses a component that has imports. Only its own imports count: inside a valid component, the imports of its modules are satisfied.
fn check_imports(bytes: &[u8]) -> Result<(), ComponentError> {
    let invalid = |error: wasmparser::BinaryReaderError| ComponentError::Invalid(error.to_string());
    let mut depth = 0;
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    names.push(import.map_err(invalid)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    if names.is_empty() { Ok(()) } else { Err(ComponentError::Imports(names)) }
}
