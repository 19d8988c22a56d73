//! Differential testing: plans of the generator are run on kevy and on a reference, and every reply is compared, byte for
//! byte unless the command itself says that its reply is not determined.
//!
//! - [`runner`]: one plan, step by step, on two servers or on one and a recording.
//! - [`voter`]: the model as the third voter of a live run.
//! - [`compare`]: when two replies agree.
//! - [`state`]: when two servers hold the same data.
//! - [`known`]: differences that are accepted, each with a reason.
//! - [`campaign`]: many plans, with counts and floors; [`shrink`]: a failing plan made small.
//! - [`transcript`], [`recording`], [`tape`]: cases kept as text, so that `cargo test` needs no reference.
//! - [`sim`]: several shards under a scheduler, in one thread.
//! - [`threads`]: several shards on threads, judged by the model and by redis-server.
//! - [`table`]: the command table against a server's own.
//! - [`inprocess`]: the shard in this process, judged by the model; [`fuzzed`]: plans made of a fuzzer's bytes;
//!   [`exhaustive`]: all short plans; [`metamorphic`]: the same plan twice, with a change that must not matter.
//! - [`report`]: what the runs have shown, a row a command.

pub mod bugs;
pub mod campaign;
pub mod compare;
pub mod exhaustive;
pub mod fuzzed;
pub mod inprocess;
pub mod known;
pub mod metamorphic;
pub mod recording;
pub mod report;
pub mod runner;
pub mod server;
pub mod shrink;
pub mod sim;
pub mod state;
pub mod table;
pub mod tape;
pub mod threads;
pub mod transcript;
pub mod voter;
pub mod wire;
