//! The kevy server.

pub mod cli;
pub mod config;
pub mod daemon;
pub mod log;
mod sys;

/// The version of Redis that this server behaves like.
pub const REDIS_VERSION: &str = "8.0.6";

/// kevy's own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
