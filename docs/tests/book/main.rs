//! The book: it renders without a warning, its links resolve, and its chapters' instructions work.

mod blocks;
mod commands;
mod first_machine;
mod proxies;
mod render;
mod typescript;
