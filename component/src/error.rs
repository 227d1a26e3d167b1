//! The reasons why a component's bytes are refused.

use crate::limits::{CORE_NAME_BYTES_MAX, IMPORTS_NAMED_MAX};

/// The reason why every host refuses these bytes, whichever engine it uses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComponentError {
    /// The component is over the limit.
    #[error("the component has {bytes} bytes; the limit is {bytes_max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The bytes are neither a component nor a core module.
    #[error("this is not a WebAssembly file: deploy the file that `reapply build` writes")]
    NotWasm,
    /// The file breaks off.
    #[error("the component breaks off after {bytes} bytes: the file is truncated")]
    Truncated {
        /// The number of bytes in the file.
        bytes: usize,
    },
    /// The bytes are a compiler's core module, not yet a component.
    #[error("this is a core module, and a machine is a component: run `reapply build`, which makes one from its crate")]
    CoreModule,
    /// The component uses a feature that gives different results in different places.
    #[error("the component uses {0}, which is not deterministic")]
    NotDeterministic(&'static str),
    /// The component is invalid, or uses features that not every browser has.
    #[error("this is not a valid component: {0}")]
    Invalid(String),
    /// The component imports something.
    #[error("the component imports {}, and a machine imports nothing", list(.0))]
    Imports(Vec<String>),
    /// A core module of the component has a name with unusual characters, or too long a name.
    #[error(
        "a core module in the component imports or exports `{0}`: such a name may have at most {CORE_NAME_BYTES_MAX} bytes, \
         which are ASCII letters, digits or one of `_-.:/@#[]+|$`"
    )]
    OddName(String),
    /// The component nests too deeply, or has too many parts.
    #[error("the component is too intricate: {0}")]
    Shape(String),
}

fn list(names: &[String]) -> String {
    let named: Vec<String> = names.iter().take(IMPORTS_NAMED_MAX).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(IMPORTS_NAMED_MAX) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
