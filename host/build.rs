//! Puts the browser's client into the binary, compressed, as the table that `src/http/assets.rs` serves.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flate2::{Compression, write::GzEncoder};
use reapply_web_bundle::{ENTRY, PARTS, SCRUBBER, TYPES, bundle, modules, sources};

/// The single module of the client that the host serves.
const CLIENT: &str = "reapply.js";

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    for source in sources() {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set: this is run by cargo")?);
    let web = out.join("web");
    // OUT_DIR is {target}/{profile}/build/{package}/out. A folder of its own spares the inner cargo the outer one's lock.
    let target = out.ancestors().nth(4).unwrap_or(&out).join("web-client");
    bundle(&web, &target)?;

    // All modules are packed into one file, since browsers fetch only a few files at a time over HTTP/1.1. Its URL has the digest of all parts, so
    // that parts never change under their URLs and always fit together.
    let joined = modules::join(&web.join(ENTRY))?;
    let mut parts = files(&web.join(PARTS))?;
    parts.retain(|part| part.extension().is_some_and(|extension| extension == "wasm"));
    fs::write(web.join(PARTS).join(CLIENT), &joined)?;
    parts.push(web.join(PARTS).join(CLIENT));
    let version = version(&parts)?;
    let exported = joined.rsplit_once("export const {").and_then(|(_, names)| names.split_once('}'));
    let (exported, _) = exported.context("the client exports nothing")?;
    fs::write(web.join(ENTRY), format!("export {{{exported}}} from \"./{PARTS}/{version}/{CLIENT}\";\n"))?;

    let mut table = String::from("[\n");
    add(&mut table, &web.join(ENTRY), &format!("/{ENTRY}"), false)?;
    add(&mut table, &web.join(TYPES), &format!("/{TYPES}"), false)?;
    lower_types(&web.join(SCRUBBER[1]))?;
    for name in SCRUBBER {
        add(&mut table, &web.join(name), &format!("/{PARTS}/{name}"), false)?;
    }
    for part in parts {
        let name = part.file_name().unwrap_or_default().display().to_string();
        add(&mut table, &part, &format!("/{PARTS}/{version}/{name}"), true)?;
    }
    table.push_str("]\n");
    fs::write(out.join("assets.rs"), table).context("could not write the table of assets")
}

/// Makes types import those of the client from the folder above. In the npm package both are in the same folder.
fn lower_types(types: &Path) -> Result<()> {
    let beside = format!("\"./{ENTRY}\"");
    let text = fs::read_to_string(types)?;
    ensure!(text.contains(&beside), "{} does not import {beside}", types.display());
    fs::write(types, text.replace(&beside, &format!("\"../{ENTRY}\"")))?;
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>();
    let mut files = entries.with_context(|| format!("could not read {}", folder.display()))?;
    files.sort();
    Ok(files)
}

fn version(parts: &[PathBuf]) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(blake3::hash(&fs::read(part)?).as_bytes());
    }
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}

/// Adds a row to the table, with the file as it is and compressed. The binary contains both.
fn add(table: &mut String, file: &Path, path: &str, immutable: bool) -> Result<()> {
    let bytes = fs::read(file)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    let mut compressed = file.as_os_str().to_owned();
    compressed.push(".gz");
    fs::write(&compressed, encoder.finish()?)?;

    let kind = match file.extension().and_then(|extension| extension.to_str()) {
        Some("wasm") => "application/wasm",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    };
    let etag = format!("\"{}\"", &blake3::hash(&bytes).to_hex()[..32]);
    writeln!(
        table,
        "    Asset {{ path: {path:?}, kind: {kind:?}, etag: {etag:?}, immutable: {immutable}, \
         plain: include_bytes!({file:?}), gzip: include_bytes!({compressed:?}) }},",
    )?;
    Ok(())
}
