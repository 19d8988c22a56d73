//! The kevy server: connections, shards, the reactor, the configuration, the process.
//!
//! Invariant: nothing in [`shard`] does I/O or asks for the time; [`reactor`] and [`runtime`] do. Memory that threads
//! share is in [`order`], and nowhere else.

mod ahead;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod listen;
pub mod log;
pub mod memory;
pub mod order;
pub mod reactor;
pub mod runtime;
pub mod shard;
#[cfg(kevy_sim)]
pub mod sync;
#[cfg(not(kevy_sim))]
mod sync;
mod sys;

pub use kevy::REDIS_VERSION;

/// kevy's own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
