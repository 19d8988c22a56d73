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

    /// The longest duration that Redis's histogram counts like the largest of this bucket, nanoseconds: 1024 times
    /// two to the power of `bucket`, and what 1 in 128 of precision adds.
    pub fn bound_nanos(bucket: usize) -> u64 {
        (1032 << bucket) - 1
    }

    /// The duration that `percent` of all do not exceed, nanoseconds, as far as buckets tell: durations of a bucket
    /// count as evenly spread over it.
    pub fn percentile_nanos(&self, percent: f64) -> u64 {
        let total = self.total();
        let rank = ((percent / 100.0 * total as f64).ceil() as u64).clamp(1, total.max(1));
        let mut below = 0;
        for (bucket, &count) in self.counts.iter().enumerate() {
            let count = u64::from(count);
            if below + count >= rank {
                let low = if bucket == 0 { 0 } else { Self::bound_nanos(bucket - 1) };
                return low + (Self::bound_nanos(bucket) - low) * (rank - below) / count;
            }
            below += count;
        }
        0
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
    /// Times something was received, and sent.
    pub reads: u64,
    pub writes: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Values that were freed outside of the shard.
    pub lazyfreed: u64,
    /// Time spent on active expiry.
    pub expire_micros: u64,
    /// Failed AUTH and HELLO.
    pub denied_auth: u64,
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
            reads: 0,
            writes: 0,
            turns: 0,
            lazyfreed: 0,
            expire_micros: 0,
            denied_auth: 0,
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
    pub fn count_call(&mut self, command: &Command, micros: u64, failed: bool, tracking: bool) {
        self.commands_processed += 1;
        let stats = &mut self.by_command[command.id as usize];
        stats.calls += 1;
        stats.micros += micros;
        stats.failed += u64::from(failed);
        if tracking {
            stats.latency.record(micros);
        }
    }

    /// Adds the counters of another shard.
    pub fn add(&mut self, other: &Stats) {
        let Stats {
            connections_received,
            rejected_connections,
            commands_processed,
            net_input_bytes,
            net_output_bytes,
            query_buffer_limit_disconnections,
            output_buffer_limit_disconnections,
            evicted_clients,
            reads,
            writes,
            turns,
            lazyfreed,
            expire_micros,
            denied_auth,
            by_command,
            errors,
            error_replies,
        } = other;
        self.connections_received += connections_received;
        self.rejected_connections += rejected_connections;
        self.commands_processed += commands_processed;
        self.net_input_bytes += net_input_bytes;
        self.net_output_bytes += net_output_bytes;
        self.query_buffer_limit_disconnections += query_buffer_limit_disconnections;
        self.output_buffer_limit_disconnections += output_buffer_limit_disconnections;
        self.evicted_clients += evicted_clients;
        self.reads += reads;
        self.writes += writes;
        self.turns += turns;
        self.lazyfreed += lazyfreed;
        self.expire_micros += expire_micros;
        self.denied_auth += denied_auth;
        for (sum, one) in self.by_command.iter_mut().zip(by_command) {
            sum.calls += one.calls;
            sum.micros += one.micros;
            sum.rejected += one.rejected;
            sum.failed += one.failed;
            for (sum, one) in sum.latency.counts.iter_mut().zip(one.latency.counts) {
                *sum = sum.saturating_add(one);
            }
        }
        for (code, count) in errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
        self.error_replies += error_replies;
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
