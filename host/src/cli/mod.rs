//! The commands of `reapply`, one file each.

pub mod build;
