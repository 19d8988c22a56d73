//! Counters for INFO: of the whole shard, by command, by error code.

use std::collections::BTreeMap;

use kevy::command::{Command, CommandId};

/// Of one command.
#[derive(Clone, Default)]
pub struct CommandStats {
    pub calls: u64,
    pub micros: u64,
    pub rejected: u64,
    pub failed: u64,
    pub latency: Histogram,
}

/// Durations in microseconds, in buckets whose bounds are powers of two; the last bucket holds everything longer.
#[derive(Clone, Default)]
pub struct Histogram {
    pub counts: [u32; 31],
}

impl Histogram {
    #[inline]
    fn record(&mut self, micros: u64) {
        let bucket = (64 - micros.saturating_sub(1).leading_zeros()).min(30) as usize;
        self.counts[bucket] = self.counts[bucket].saturating_add(1);
    }

    pub fn total(&self) -> u64 {
        self.counts.iter().map(|&count| u64::from(count)).sum()
    }
}

/// See the module documentation.
pub struct Stats {
    pub connections_received: u64,
    pub rejected_connections: u64,
    pub commands_processed: u64,
    pub net_input_bytes: u64,
    pub net_output_bytes: u64,
    pub query_buffer_limit_disconnections: u64,
    pub output_buffer_limit_disconnections: u64,
    pub evicted_clients: u64,
    pub by_command: Vec<CommandStats>,
    /// Count by error code, at most [`ERROR_CODES`](Self::ERROR_CODES) codes.
    pub errors: BTreeMap<Vec<u8>, u64>,
    pub error_replies: u64,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            connections_received: 0,
            rejected_connections: 0,
            commands_processed: 0,
            net_input_bytes: 0,
            net_output_bytes: 0,
            query_buffer_limit_disconnections: 0,
            output_buffer_limit_disconnections: 0,
            evicted_clients: 0,
            by_command: vec![CommandStats::default(); CommandId::COUNT],
            errors: BTreeMap::new(),
            error_replies: 0,
        }
    }
}

impl Stats {
    /// Error codes counted apart; a client cannot make the map grow beyond this.
    pub const ERROR_CODES: usize = 128;

    #[inline]
    pub fn count_call(&mut self, command: &Command, micros: u64, failed: bool) {
        let stats = &mut self.by_command[command.id as usize];
        stats.calls += 1;
        stats.micros += micros;
        stats.failed += u64::from(failed);
        stats.latency.record(micros);
    }

    pub fn count_rejected(&mut self, command: &Command) {
        self.by_command[command.id as usize].rejected += 1;
    }

    pub fn count_error(&mut self, code: &[u8]) {
        self.error_replies += 1;
        if let Some(count) = self.errors.get_mut(code) {
            *count += 1;
        } else if self.errors.len() < Self::ERROR_CODES {
            self.errors.insert(code.to_vec(), 1);
        }
    }
}
