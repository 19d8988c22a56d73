//! The LATENCY family and the monitor behind it.

use crate::shard::Shard;

/// Samples of slow events.
#[derive(Default)]
pub struct State {}

pub(in crate::shard) fn cron(_: &mut Shard) {}
