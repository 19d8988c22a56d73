//! INFO: what the server knows about itself, in Redis's sections, fields, order and number formats.
//!
//! Fields about what kevy does not have (replicas, forks, defragmentation …) are there with the value that says so,
//! because monitoring looks for them.
//!
//! The section `keysizes` has no lines. Redis 8.0 keeps histograms of the sizes of all values, for each database and type,
//! and so looks at the size of a value before and after every command that writes. Here handlers change a value through a
//! reference to it; who reports the change (`Data::changed`) knows the key only, and would have to look it up once more
//! and remember what was before: every write would pay, for figures that Redis itself gets wrong (an APPEND that creates a
//! key counts one of length 0 as gone, and the histogram shows 2^64 - 1 of them).

use std::fmt::{Display, Write};

use kevy::command::table::TABLE;
use kevy::keyspace::evict::lru_clock;

use super::{Outcome, Session, client};
use crate::config::EvictionPolicy;
use crate::shard::Shard;
use crate::shard::conn::Conn;
use crate::shard::pubsub::Kind;
use crate::shard::stats::Stats;

type Section = (&'static str, &'static str, fn(&Shard, &mut Fields));

/// The sections in the order in which they are answered, whatever the order they are asked for in.
const SECTIONS: &[Section] = &[
    ("server", "Server", server),
    ("clients", "Clients", clients),
    ("memory", "Memory", memory),
    ("persistence", "Persistence", persistence),
    ("threads", "Threads", threads),
    ("stats", "Stats", stats),
    ("replication", "Replication", replication),
    ("cpu", "CPU", cpu),
    ("module_list", "Modules", |_, _| {}),
    ("commandstats", "Commandstats", commandstats),
    ("errorstats", "Errorstats", errorstats),
    ("latencystats", "Latencystats", latencystats),
    ("cluster", "Cluster", cluster),
    ("keyspace", "Keyspace", keyspace),
    ("keysizes", "Keysizes", |_, _| {}),
    ("kevy", "Kevy", kevy),
];

/// Left out unless asked for by name or with `all`.
const ON_DEMAND: [&str; 3] = ["commandstats", "latencystats", "kevy"];

pub fn info(s: &mut Session<'_>) -> Outcome {
    let mut text = Fields(String::with_capacity(8 * 1024));
    for &(name, title, write) in SECTIONS {
        let names: &[&str] = if name == "module_list" { &["module_list", "modules"] } else { &[name] };
        let named = s.args.iter().skip(1).any(|arg| {
            let word = |word: &str| arg.eq_ignore_ascii_case(word.as_bytes());
            let by_default = word("default") && !ON_DEMAND.contains(&name);
            names.iter().any(|name| word(name)) || word("all") || word("everything") || by_default
        });
        if named || (s.args.len() == 1 && !ON_DEMAND.contains(&name)) {
            if !text.0.is_empty() {
                text.0.push_str("\r\n");
            }
            // Writing to a string cannot fail.
            let _ = write!(text.0, "# {title}\r\n");
            s.shard.with_all_counters(|shard| write(shard, &mut text));
        }
    }
    s.reply.verbatim(b"txt", text.0.as_bytes());
    Ok(())
}

impl Shard {
    /// While `f` runs, this shard's counters are those of all shards that are here.
    pub(super) fn with_all_counters(&mut self, f: impl FnOnce(&mut Shard)) {
        let own = (!self.guests.is_empty()).then(|| {
            let mut sum = Stats::default();
            self.everywhere(|shard| sum.add(&shard.stats));
            std::mem::replace(&mut self.stats, sum)
        });
        f(self);
        if let Some(own) = own {
            self.stats = own;
        }
    }
}

/// The text so far.
struct Fields(String);

impl Fields {
    fn field(&mut self, name: &str, value: impl Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    /// The number, then the same for people.
    fn bytes(&mut self, name: &str, value: u64) {
        self.field(name, value);
        self.field(&format!("{name}_human"), human(value));
    }

    /// Fields whose value is the same for every kevy.
    fn constants(&mut self, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            self.field(name, value);
        }
    }
}

/// Bytes with a unit, as Redis writes them: `512B`, `1.50K`, `2.00G`.
pub fn human(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut value = bytes as f64 / 1024.0;
    for unit in ["K", "M", "G", "T"] {
        if value < 1024.0 {
            return format!("{value:.2}{unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.2}P")
}

fn server(shard: &Shard, out: &mut Fields) {
    let process = &shard.config.process;
    let uptime = shard.now.unix.saturating_sub(shard.started.unix) / 1000;
    out.field("redis_version", crate::REDIS_VERSION);
    out.constants(&[("redis_git_sha1", "00000000"), ("redis_git_dirty", "0"), ("redis_build_id", "0")]);
    out.field("redis_mode", "standalone");
    out.field("os", &shard.env.system.os);
    out.field("arch_bits", usize::BITS);
    out.constants(&[
        ("monotonic_clock", "POSIX clock_gettime"),
        ("multiplexing_api", "epoll"),
        ("atomicvar_api", "c11-builtin"),
        ("gcc_version", "0.0.0"),
    ]);
    out.field("process_id", shard.env.pid);
    out.field("process_supervised", "no");
    out.field("run_id", &shard.env.run_id);
    out.field("tcp_port", shard.config.network.port);
    out.field("server_time_usec", shard.now.unix_micros());
    out.field("uptime_in_seconds", uptime);
    out.field("uptime_in_days", uptime / 86400);
    out.field("hz", process.hz);
    out.field("configured_hz", process.hz);
    out.field("lru_clock", lru_clock(shard.now.unix));
    out.field("executable", &shard.env.executable);
    out.field(
        "config_file",
        process
            .config_file
            .as_deref()
            .map(|path| path.display())
            .map_or(String::new(), |path| path.to_string()),
    );
    out.field("io_threads_active", 0);
    let network = &shard.config.network;
    let mut listener = 0;
    if network.port != 0 {
        let bind: String =
            network.bind.iter().map(|name| format!("bind={},", String::from_utf8_lossy(name))).collect();
        out.field("listener0", format_args!("name=tcp,{bind}port={}", network.port));
        listener = 1;
    }
    if !network.unixsocket.is_empty() {
        let path = String::from_utf8_lossy(&network.unixsocket);
        out.field(&format!("listener{listener}"), format_args!("name=unix,bind={path},port=0"));
    }
}

fn clients(shard: &Shard, out: &mut Fields) {
    let count = |is: fn(&Conn) -> bool| shard.clients().filter(|conn| is(conn)).count();
    out.field("connected_clients", count(|_| true));
    out.field("cluster_connections", 0);
    out.field("maxclients", shard.config.network.maxclients);
    out.field("client_recent_max_input_buffer", shard.clients().map(Conn::input_capacity).max().unwrap_or(0));
    out.field(
        "client_recent_max_output_buffer",
        shard.clients().map(Conn::pending_output).max().unwrap_or(0),
    );
    out.field("blocked_clients", count(|conn| conn.waiting.is_blocked()));
    out.field("tracking_clients", 0);
    out.field("pubsub_clients", count(Conn::subscribed));
    out.field("watching_clients", count(|conn| !conn.watching.is_empty()));
    let sum = |count: fn(&Shard) -> usize| shard.present().into_iter().map(count).sum::<usize>();
    out.field("clients_in_timeout_table", sum(|shard| shard.realm.waiters.with_deadline()));
    out.field("total_watched_keys", sum(|shard| shard.realm.versions.len()));
    out.field("total_blocking_keys", sum(|shard| shard.realm.waiters.keys()));
    out.field("total_blocking_keys_on_nokey", 0);
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Numbers that INFO memory and MEMORY STATS share.
pub struct MemoryUse {
    pub used: u64,
    pub peak: u64,
    pub resident: u64,
    pub startup: u64,
    /// Of connections.
    pub clients: u64,
    /// Everything that is no data.
    pub overhead: u64,
    pub dataset: u64,
}

impl MemoryUse {
    pub fn of(shard: &Shard) -> Self {
        let used = (shard.env.used_memory)() as u64;
        let clients: u64 = shard.clients().map(|conn| client::memory(conn) as u64).sum();
        let startup = shard.env.system.startup_memory as u64;
        let overhead = startup + clients;
        Self {
            used,
            peak: (shard.env.peak_memory)() as u64,
            resident: (shard.env.usage)().resident_bytes,
            startup,
            clients,
            overhead,
            dataset: used.saturating_sub(overhead),
        }
    }

    pub fn dataset_percent(&self) -> f64 {
        100.0 * ratio(self.dataset, self.used.saturating_sub(self.startup))
    }

    pub fn peak_percent(&self) -> f64 {
        100.0 * ratio(self.used, self.peak)
    }

    pub fn fragmentation(&self) -> f64 {
        ratio(self.resident, self.used)
    }
}

fn policy_name(policy: EvictionPolicy) -> &'static str {
    match policy {
        EvictionPolicy::VolatileLru => "volatile-lru",
        EvictionPolicy::VolatileLfu => "volatile-lfu",
        EvictionPolicy::VolatileRandom => "volatile-random",
        EvictionPolicy::VolatileTtl => "volatile-ttl",
        EvictionPolicy::AllkeysLru => "allkeys-lru",
        EvictionPolicy::AllkeysLfu => "allkeys-lfu",
        EvictionPolicy::AllkeysRandom => "allkeys-random",
        EvictionPolicy::NoEviction => "noeviction",
    }
}

fn memory(shard: &Shard, out: &mut Fields) {
    let memory = MemoryUse::of(shard);
    let fragmentation = memory.resident as i64 - memory.used as i64;
    out.bytes("used_memory", memory.used);
    out.bytes("used_memory_rss", memory.resident);
    out.bytes("used_memory_peak", memory.peak);
    out.field("used_memory_peak_perc", format_args!("{:.2}%", memory.peak_percent()));
    out.field("used_memory_overhead", memory.overhead);
    out.field("used_memory_startup", memory.startup);
    out.field("used_memory_dataset", memory.dataset);
    out.field("used_memory_dataset_perc", format_args!("{:.2}%", memory.dataset_percent()));
    out.field("allocator_allocated", memory.used);
    out.field("allocator_active", memory.used);
    out.field("allocator_resident", memory.resident);
    out.field("allocator_muzzy", 0);
    out.bytes("total_system_memory", shard.env.system.total_memory);
    out.constants(&[
        ("used_memory_lua", "0"),
        ("used_memory_vm_eval", "0"),
        ("used_memory_lua_human", "0B"),
        ("used_memory_scripts_eval", "0"),
        ("number_of_cached_scripts", "0"),
        ("number_of_functions", "0"),
        ("number_of_libraries", "0"),
        ("used_memory_vm_functions", "0"),
        ("used_memory_vm_total", "0"),
        ("used_memory_vm_total_human", "0B"),
        ("used_memory_functions", "0"),
        ("used_memory_scripts", "0"),
        ("used_memory_scripts_human", "0B"),
    ]);
    out.bytes("maxmemory", shard.config.settings.maxmemory);
    out.field("maxmemory_policy", policy_name(shard.config.settings.maxmemory_policy));
    out.field("allocator_frag_ratio", "1.00");
    out.field("allocator_frag_bytes", 0);
    out.field("allocator_rss_ratio", format_args!("{:.2}", memory.fragmentation()));
    out.field("allocator_rss_bytes", fragmentation);
    out.field("rss_overhead_ratio", "1.00");
    out.field("rss_overhead_bytes", 0);
    out.field("mem_fragmentation_ratio", format_args!("{:.2}", memory.fragmentation()));
    out.field("mem_fragmentation_bytes", fragmentation);
    out.constants(&[
        ("mem_not_counted_for_evict", "0"),
        ("mem_replication_backlog", "0"),
        ("mem_total_replication_buffers", "0"),
        ("mem_replica_full_sync_buffer", "0"),
        ("mem_clients_slaves", "0"),
    ]);
    out.field("mem_clients_normal", memory.clients);
    out.constants(&[
        ("mem_cluster_links", "0"),
        ("mem_aof_buffer", "0"),
        ("mem_allocator", "mimalloc"),
        ("mem_overhead_db_hashtable_rehashing", "0"),
        ("active_defrag_running", "0"),
        ("lazyfree_pending_objects", "0"),
    ]);
    out.field("lazyfreed_objects", shard.stats.lazyfreed);
}

fn persistence(shard: &Shard, out: &mut Fields) {
    out.constants(&[
        ("loading", "0"),
        ("async_loading", "0"),
        ("current_cow_peak", "0"),
        ("current_cow_size", "0"),
        ("current_cow_size_age", "0"),
        ("current_fork_perc", "0.00"),
        ("current_save_keys_processed", "0"),
        ("current_save_keys_total", "0"),
    ]);
    let changes: u64 = shard.present().iter().map(|shard| shard.realm.effects.dirty).sum();
    out.field("rdb_changes_since_last_save", changes);
    out.field("rdb_bgsave_in_progress", 0);
    out.field("rdb_last_save_time", shard.started.unix / 1000);
    out.constants(&[
        ("rdb_last_bgsave_status", "ok"),
        ("rdb_last_bgsave_time_sec", "-1"),
        ("rdb_current_bgsave_time_sec", "-1"),
        ("rdb_saves", "0"),
        ("rdb_last_cow_size", "0"),
        ("rdb_last_load_keys_expired", "0"),
        ("rdb_last_load_keys_loaded", "0"),
        ("aof_enabled", "0"),
        ("aof_rewrite_in_progress", "0"),
        ("aof_rewrite_scheduled", "0"),
        ("aof_last_rewrite_time_sec", "-1"),
        ("aof_current_rewrite_time_sec", "-1"),
        ("aof_last_bgrewrite_status", "ok"),
        ("aof_rewrites", "0"),
        ("aof_rewrites_consecutive_failures", "0"),
        ("aof_last_write_status", "ok"),
        ("aof_last_cow_size", "0"),
        ("module_fork_in_progress", "0"),
        ("module_fork_last_cow_size", "0"),
    ]);
}

fn threads(shard: &Shard, out: &mut Fields) {
    out.field(
        "io_thread_0",
        format_args!(
            "clients={},reads={},writes={}",
            shard.clients().count(),
            shard.stats.reads,
            shard.stats.writes
        ),
    );
}

fn stats(shard: &Shard, out: &mut Fields) {
    let stats = &shard.stats;
    let mut keyspace = kevy::keyspace::Stats::default();
    for shard in shard.present() {
        let stats = &shard.realm.keyspace.stats;
        keyspace.hits += stats.hits;
        keyspace.misses += stats.misses;
        keyspace.expired += stats.expired;
        keyspace.evicted += stats.evicted;
    }
    let rate = |rate: fn(&Shard) -> u64| shard.present().into_iter().map(rate).sum::<u64>();
    let kilobytes = |rate: u64| format!("{:.2}", rate as f64 / 1024.0);
    out.field("total_connections_received", stats.connections_received);
    out.field("total_commands_processed", stats.commands_processed);
    out.field("instantaneous_ops_per_sec", rate(|shard| shard.cron.commands.per_second()));
    out.field("total_net_input_bytes", stats.net_input_bytes);
    out.field("total_net_output_bytes", stats.net_output_bytes);
    out.field("total_net_repl_input_bytes", 0);
    out.field("total_net_repl_output_bytes", 0);
    out.field("instantaneous_input_kbps", kilobytes(rate(|shard| shard.cron.net_input.per_second())));
    out.field("instantaneous_output_kbps", kilobytes(rate(|shard| shard.cron.net_output.per_second())));
    out.field("instantaneous_input_repl_kbps", "0.00");
    out.field("instantaneous_output_repl_kbps", "0.00");
    out.field("rejected_connections", stats.rejected_connections);
    out.constants(&[
        ("sync_full", "0"),
        ("sync_partial_ok", "0"),
        ("sync_partial_err", "0"),
        ("expired_subkeys", "0"),
    ]);
    out.field("expired_keys", keyspace.expired);
    out.constants(&[("expired_stale_perc", "0.00"), ("expired_time_cap_reached_count", "0")]);
    out.field("expire_cycle_cpu_milliseconds", stats.expire_micros / 1000);
    out.field("evicted_keys", keyspace.evicted);
    out.field("evicted_clients", stats.evicted_clients);
    out.constants(&[
        ("evicted_scripts", "0"),
        ("total_eviction_exceeded_time", "0"),
        ("current_eviction_exceeded_time", "0"),
    ]);
    out.field("keyspace_hits", keyspace.hits);
    out.field("keyspace_misses", keyspace.misses);
    out.field("pubsub_channels", shard.subscribed_names(Kind::Channel, None).len());
    out.field("pubsub_patterns", shard.subscribed_names(Kind::Pattern, None).len());
    out.field("pubsubshard_channels", shard.subscribed_names(Kind::Shard, None).len());
    out.constants(&[
        ("latest_fork_usec", "0"),
        ("total_forks", "0"),
        ("migrate_cached_sockets", "0"),
        ("slave_expires_tracked_keys", "0"),
        ("active_defrag_hits", "0"),
        ("active_defrag_misses", "0"),
        ("active_defrag_key_hits", "0"),
        ("active_defrag_key_misses", "0"),
        ("total_active_defrag_time", "0"),
        ("current_active_defrag_time", "0"),
        ("tracking_total_keys", "0"),
        ("tracking_total_items", "0"),
        ("tracking_total_prefixes", "0"),
        ("unexpected_error_replies", "0"),
    ]);
    out.field("total_error_replies", stats.error_replies);
    out.field("dump_payload_sanitizations", 0);
    out.field("total_reads_processed", stats.reads);
    out.field("total_writes_processed", stats.writes);
    out.field("io_threaded_reads_processed", 0);
    out.field("io_threaded_writes_processed", 0);
    out.field("client_query_buffer_limit_disconnections", stats.query_buffer_limit_disconnections);
    out.field("client_output_buffer_limit_disconnections", stats.output_buffer_limit_disconnections);
    out.field("reply_buffer_shrinks", 0);
    out.field("reply_buffer_expands", 0);
    out.field("eventloop_cycles", stats.turns);
    let busy: u64 = stats.by_command.iter().map(|command| command.micros).sum();
    out.field("eventloop_duration_sum", busy);
    out.field("eventloop_duration_cmd_sum", busy);
    out.field("instantaneous_eventloop_cycles_per_sec", shard.cron.turns.per_second());
    out.field("instantaneous_eventloop_duration_usec", 0);
    out.field("acl_access_denied_auth", stats.denied_auth);
    out.constants(&[
        ("acl_access_denied_cmd", "0"),
        ("acl_access_denied_key", "0"),
        ("acl_access_denied_channel", "0"),
    ]);
}

fn replication(shard: &Shard, out: &mut Fields) {
    out.field("role", "master");
    out.field("connected_slaves", 0);
    out.field("master_failover_state", "no-failover");
    out.field("master_replid", &shard.session.replication_id);
    out.field("master_replid2", "0".repeat(40));
    out.constants(&[
        ("master_repl_offset", "0"),
        ("second_repl_offset", "-1"),
        ("repl_backlog_active", "0"),
        ("repl_backlog_size", "1048576"),
        ("repl_backlog_first_byte_offset", "0"),
        ("repl_backlog_histlen", "0"),
    ]);
}

fn cpu(shard: &Shard, out: &mut Fields) {
    let usage = (shard.env.usage)();
    let seconds = |micros: u64| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    out.field("used_cpu_sys", seconds(usage.system_micros));
    out.field("used_cpu_user", seconds(usage.user_micros));
    out.field("used_cpu_sys_children", "0.000000");
    out.field("used_cpu_user_children", "0.000000");
    out.field("used_cpu_sys_main_thread", seconds(usage.thread_system_micros));
    out.field("used_cpu_user_main_thread", seconds(usage.thread_user_micros));
}

fn commandstats(shard: &Shard, out: &mut Fields) {
    for command in TABLE {
        let stats = &shard.stats.by_command[command.id as usize];
        if stats.calls == 0 && stats.rejected == 0 && stats.failed == 0 {
            continue;
        }
        out.field(
            &format!("cmdstat_{}", command.name),
            format_args!(
                "calls={},usec={},usec_per_call={:.2},rejected_calls={},failed_calls={}",
                stats.calls,
                stats.micros,
                ratio(stats.micros, stats.calls),
                stats.rejected,
                stats.failed
            ),
        );
    }
}

fn errorstats(shard: &Shard, out: &mut Fields) {
    for (code, count) in &shard.stats.errors {
        let code = String::from_utf8_lossy(code).replace(['\r', '\n', ':'], " ");
        out.field(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

fn latencystats(shard: &Shard, out: &mut Fields) {
    for command in TABLE {
        let histogram = &shard.stats.by_command[command.id as usize].latency;
        if histogram.total() == 0 {
            continue;
        }
        let percentiles: Vec<String> = (shard.config.latency.tracking_info_percentiles.iter())
            .map(|&percent| format!("p{percent}={:.3}", histogram.percentile_nanos(percent) as f64 / 1000.0))
            .collect();
        out.field(&format!("latency_percentiles_usec_{}", command.name), percentiles.join(","));
    }
}

fn cluster(_: &Shard, out: &mut Fields) {
    out.field("cluster_enabled", 0);
}

fn keyspace(shard: &Shard, out: &mut Fields) {
    let dbs = &shard.realm.keyspace.dbs;
    for db in 0..dbs.len() {
        let keys = dbs.keys(db);
        if keys > 0 {
            out.field(
                &format!("db{db}"),
                format_args!("keys={keys},expires={},avg_ttl=0,subexpiry=0", dbs.volatile(db)),
            );
        }
    }
}

fn kevy(shard: &Shard, out: &mut Fields) {
    out.field("kevy_version", crate::VERSION);
    let present = shard.present();
    out.field("shards", present.len());
    out.field("io_backend", "epoll");
    // The keys of guests are where they were taken in.
    let keys: Vec<usize> = shard.realm.keyspace.dbs.keys_by_slice();
    for (number, shard) in present.into_iter().enumerate() {
        out.field(
            &format!("shard{number}"),
            format_args!(
                "clients={},keys={},commands={},ops_per_sec={},blocked={},watched_keys={}",
                shard.own_clients().count(),
                keys[number],
                shard.stats.commands_processed,
                shard.cron.commands.per_second(),
                shard.realm.waiters.len(),
                shard.realm.versions.len()
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_for_people() {
        for (bytes, text) in
            [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (702_896, "686.42K"), (25_276_510_208, "23.54G")]
        {
            assert_eq!(human(bytes), text);
        }
    }
}
