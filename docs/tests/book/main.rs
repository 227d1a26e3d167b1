//! The book: it is rendered without a warning, its links lead somewhere, and what its chapters have a reader do is done.

mod blocks;
mod commands;
mod first_machine;
mod proxies;
mod render;
mod typescript;
