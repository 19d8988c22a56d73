//! What a shard does now and then, `hz` times a second: expiry, idle clients, limits over time, rates.

use std::sync::atomic::Ordering;

use crate::config::ClientMemory;
use crate::log::Level;

use super::conn::{ConnId, QueryBuffer, Waiting};
use super::links::Common;
use super::{Shard, session};

/// Where the periodic work left off.
#[derive(Default)]
pub struct State {
    /// Active expiry: the database and the place in its table.
    expire_db: usize,
    expire_at: u32,
    /// Whether DEBUG SET-ACTIVE-EXPIRE has turned the cycle off.
    pub expire_off: bool,
    /// Rates per second over the last samples.
    pub commands: Rate,
    pub net_input: Rate,
    pub net_output: Rate,
    pub turns: Rate,
    sampled: u64,
    /// When clients were last swept (monotonic).
    swept: u64,
}

impl State {
    /// The counters started again from 0.
    pub fn reset_rates(&mut self) {
        for rate in [&mut self.commands, &mut self.net_input, &mut self.net_output, &mut self.turns] {
            *rate = Rate::default();
        }
    }
}

/// A counter's growth per second, averaged over sixteen samples a tenth of a second apart.
#[derive(Default)]
pub struct Rate {
    samples: [u64; 16],
    next: usize,
    last: u64,
}

impl Rate {
    fn sample(&mut self, total: u64, elapsed_micros: u64) {
        let grown = total.saturating_sub(self.last);
        self.samples[self.next] = grown.saturating_mul(1_000_000) / elapsed_micros.max(1);
        self.next = (self.next + 1) % self.samples.len();
        self.last = total;
    }

    pub fn per_second(&self) -> u64 {
        self.samples.iter().sum::<u64>() / self.samples.len() as u64
    }
}

/// How far one slice of active expiry goes, in the units of `Table::sweep_expired`: about two thousand keys removed,
/// or eight thousand parts of the table without expired keys passed over. Less than a millisecond.
const EXPIRE_SLICE: usize = 8192;

/// A slice that removed so many keys is followed by another before the next turn of the cron.
const EXPIRE_FRUITFUL: usize = EXPIRE_SLICE / 16;

impl Shard {
    pub(super) fn run_cron(&mut self) {
        self.sample_rates();
        self.run_expiry();
        self.evict_clients();
        if self.now.mono >= self.cron.swept + 1_000_000 {
            self.cron.swept = self.now.mono;
            self.sweep_clients();
        }
    }

    fn sample_rates(&mut self) {
        let elapsed = self.now.mono.saturating_sub(self.cron.sampled);
        if elapsed >= 100_000 {
            self.cron.commands.sample(self.stats.commands_processed, elapsed);
            self.cron.net_input.sample(self.stats.net_input_bytes, elapsed);
            self.cron.net_output.sample(self.stats.net_output_bytes, elapsed);
            self.cron.turns.sample(self.stats.turns, elapsed);
            self.cron.sampled = self.now.mono;
        }
    }

    /// One slice of active expiry. While much expires at once, slices follow each other with pauses of a few
    /// milliseconds for everybody else: `active-expire-effort` shortens them.
    pub(super) fn run_expiry(&mut self) {
        self.next_expiry = u64::MAX;
        if self.cron.expire_off || self.session.pause.is_in_force(self.data_now()) {
            return;
        }
        if self.expires_elsewhere() {
            return;
        }
        let before = (self.env.stopwatch)();
        if self.expire() >= EXPIRE_FRUITFUL {
            let effort = u64::from(self.config.process.active_expire_effort.min(10));
            self.next_expiry = self.now.mono + 3200 - 200 * effort;
        }
        let micros = (self.env.stopwatch)().saturating_sub(before);
        self.stats.expire_micros += micros;
        self.sample_latency("expire-cycle", micros);
    }

    /// Sweeps the databases in turn, each at most once, and goes on next time where the budget ended. Returns how many
    /// keys were removed.
    fn expire(&mut self) -> usize {
        let mut budget = EXPIRE_SLICE;
        let mut removed = 0;
        for _ in 0..if kevy::bug!(ExpiryInFirstDatabase) { 1 } else { self.realm.keyspace.dbs.len() } {
            if budget == 0 {
                break;
            }
            let db = self.cron.expire_db % self.realm.keyspace.dbs.len();
            let mut at = self.cron.expire_at;
            if self.realm.keyspace.dbs.own(db).volatile() > 0 {
                removed += self.data(db).expire_cycle(&mut at, &mut budget);
                self.commit();
                if at != 0 {
                    self.cron.expire_at = at;
                    break;
                }
            }
            self.cron.expire_db = db + 1;
            self.cron.expire_at = 0;
        }
        removed
    }

    /// Once a second: `timeout`, soft output limits, buffers that have grown too large.
    fn sweep_clients(&mut self) {
        let timeout = u64::from(self.config.network.timeout) * 1000;
        for at in 0..self.conns.len() {
            let id = ConnId(at as u32);
            let Some(conn) = self.conns[at].as_deref_mut() else { continue };
            let idle = self.now.unix.saturating_sub(conn.last_interaction);
            // Idle connections own no buffer.
            if conn.query.is_empty() && (conn.query.capacity() > 32 * 1024 || idle > 2000) {
                conn.query = QueryBuffer::default();
            }
            let subscribed = conn.subscribed() && !kevy::bug!(IdleSubscribersClosed);
            // Who waits for a key, or for the end of a pause, is not idle.
            let exempt = conn.waiting != Waiting::No || subscribed || conn.monitor;
            if timeout > 0 && !exempt && idle > timeout && !kevy::bug!(IdleClientsStay) {
                crate::log!(Level::Verbose, "Closing idle client");
                self.close(id);
                continue;
            }
            self.check_output_limit(id);
        }
    }

    /// `maxmemory-clients`: closes the largest clients until all together hold no more than that. Of several shards each
    /// closes its own as long as they hold more than its share.
    fn evict_clients(&mut self) {
        let limit = match self.config.clients.maxmemory {
            ClientMemory::Bytes(bytes) => bytes,
            ClientMemory::Percent(percent) => {
                (u128::from(self.config.settings.maxmemory) * u128::from(percent) / 100) as u64
            }
        };
        if limit == 0 {
            return;
        }
        let mut clients: Vec<(u64, ConnId, bool)> = (self.own_clients())
            .map(|conn| (session::client::memory(conn) as u64, conn.id, conn.no_evict))
            .collect();
        let mut held: u64 = clients.iter().map(|&(bytes, ..)| bytes).sum();
        clients.retain(|&(_, _, protected)| !protected);
        clients.sort_unstable();
        let (me, count) = (self.me(), self.count());
        let publish = |common: &Common, held: u64| common.client_memory[me].store(held, Ordering::Relaxed);
        publish(&self.common, held);
        let all = |common: &Common| -> u64 {
            common.client_memory[..count].iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum()
        };
        while all(&self.common) > limit
            && held > limit / count as u64
            && let Some((bytes, id, _)) = clients.pop()
        {
            held -= bytes;
            publish(&self.common, held);
            self.stats.evicted_clients += 1;
            let conn = self.conns[id.0 as usize].as_deref().expect("just seen");
            crate::log!(Level::Notice, "Evicting client: {}", session::client::describe(self, conn));
            self.close(id);
        }
    }

    /// `client-output-buffer-limit`: closes a connection whose reader is too slow.
    pub(super) fn check_output_limit(&mut self, id: ConnId) {
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        let class = if conn.subscribed() && !kevy::bug!(SubscribersLimitedAsNormal) { 2 } else { 0 };
        let limit = self.config.clients.output_buffer_limits[class];
        let pending = conn.pending_output() as u64;
        let hard = limit.hard != 0 && pending >= limit.hard && !kevy::bug!(OutputUnlimited);
        let mut soft = limit.soft != 0 && pending >= limit.soft;
        if soft {
            let since = *conn.soft_limit_since.get_or_insert(self.now.mono);
            soft = kevy::bug!(SoftLimitAtOnce)
                || self.now.mono.saturating_sub(since) / 1000 > limit.soft_seconds.saturating_mul(1000);
        } else {
            conn.soft_limit_since = None;
        }
        if (hard || soft) && !conn.closing {
            self.stats.output_buffer_limit_disconnections += 1;
            let conn = self.conns[id.0 as usize].as_deref().expect("just seen");
            crate::log!(
                Level::Warning,
                "Client {} scheduled to be closed ASAP for overcoming of output buffer limits.",
                session::client::describe(self, conn)
            );
            self.close(id);
        }
    }
}
