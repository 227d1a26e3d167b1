//! The book, built and tested. Its chapters are in `docs/src/`; each is a module here, so that its Rust is compiled and run as a doc test.

use std::path::{Path, PathBuf};

use anyhow::Context;
use mdbook_driver::MDBook;

/// Returns the folder of the book's sources.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Renders the book as HTML into a folder, which is emptied first. Returns its first page.
///
/// # Errors
///
/// A chapter is missing, or the folder cannot be written.
pub fn build(into: &Path) -> anyhow::Result<PathBuf> {
    let mut book = MDBook::load(root()).context("the book cannot be read")?;
    book.config.build.build_dir = into.to_owned();
    book.build().context("the book cannot be rendered")?;
    Ok(into.join("index.html"))
}

macro_rules! chapters {
    ($($chapter:ident $file:literal)*) => {
        /// The chapters, by file name.
        pub const CHAPTERS: &[&str] = &[$($file),*];

        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../src/", $file))]
            pub mod $chapter {}
        )*
    };
}

chapters! {
    introduction "introduction.md"
    first_machine "first-machine.md"
    blocks "blocks.md"
    values "values.md"
    collections "collections.md"
    text "text.md"
    derive "derive.md"
    merges "merges.md"
    programs "programs.md"
    testing "testing.md"
    upgrading "upgrading.md"
    offline "offline.md"
    json "json.md"
    http "http.md"
    behind_a_proxy "behind-a-proxy.md"
    embedding "embedding.md"
    log "log.md"
    exports "exports.md"
    reliability "reliability.md"
    from_aper "from-aper.md"
}
