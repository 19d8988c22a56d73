//! kevy: what Redis data is and what Redis commands do, as a library.
//!
//! Storeys, from the bottom: [`resp`] (bytes and frames), [`value`] (one file a type; hides its encodings and knows
//! no commands), [`keyspace`] (databases, entries, the table, expiry, eviction sampling, scan), [`command`] (the
//! command table and the handlers, one file a type).
//!
//! Architecture invariants: nothing in this crate opens a socket, spawns a thread, reads a clock, draws entropy or
//! touches a file. Time, randomness and seeds are arguments, so everything here can be replayed from a seed.

pub mod bugs;
pub mod command;
pub mod glob;
pub mod keyspace;
pub mod number;
pub mod resp;
pub mod rng;
pub mod value;

/// The version of Redis whose behaviour this is.
pub const REDIS_VERSION: &str = "8.0.6";
