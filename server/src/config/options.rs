//! The table of directives: every one that Redis 8.0, Redis 7.0 or Valkey 9.1 knows, and kevy's own.
//!
//! A row is the only place that states a directive: its name, the other names it answers to, what its value may be,
//! its default, its flags and the field of [`Config`] that holds it. From the rows follow the configuration file, the
//! command line, CONFIG GET, SET and REWRITE, the defaults and the help text.
//!
//! A row without a field is a directive that kevy accepts, checks, keeps and answers, but that changes nothing here.

use super::kind::{self, Kind, Value};
use super::{Config, Field};

/// One row of the table.
pub struct OptionSpec {
    pub name: &'static str,
    /// Older names; CONFIG GET lists them beside the name.
    pub aliases: &'static [&'static str],
    /// Names of other products; they answer when asked for by name and are not listed.
    pub quiet_aliases: &'static [&'static str],
    pub group: &'static str,
    pub kind: Kind,
    /// In the notation of the configuration file.
    pub default: &'static str,
    pub flags: u8,
    pub(super) access: Option<Access>,
}

/// How the typed field of a row is reached.
pub(super) struct Access {
    pub read: fn(&Config) -> Value,
    pub write: fn(&mut Config, Value),
}

/// Fixed at start.
pub const IMMUTABLE: u8 = 1 << 0;
/// CONFIG SET only with `enable-protected-configs`.
pub const PROTECTED: u8 = 1 << 1;
/// The value is a secret and belongs in no log.
pub const SENSITIVE: u8 = 1 << 2;
/// Not listed for patterns; answers to its exact name.
pub const HIDDEN: u8 = 1 << 3;
/// Has a typed field, and nothing acts on it yet.
pub const UNUSED: u8 = 1 << 4;

impl OptionSpec {
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether kevy behaves the same whatever the value.
    pub fn has_no_effect(&self) -> bool {
        self.access.is_none() || self.has(UNUSED)
    }

    /// The listed names, the row's own first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Whether the directive answers to `name`, in any case.
    pub fn answers_to(&self, name: &[u8]) -> bool {
        self.names()
            .chain(self.quiet_aliases.iter().copied())
            .any(|known| known.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// The row that answers to `name`.
pub fn find(name: &[u8]) -> Option<&'static OptionSpec> {
    OPTIONS.iter().find(|option| option.answers_to(name))
}

/// Directives of old versions that are read over without a word, as Redis does.
pub const FORGOTTEN: [&str; 2] = ["list-max-ziplist-entries", "list-max-ziplist-value"];

macro_rules! options {
    ($(
        $group:literal {
            $(
                $name:literal $(/ $alias:literal)* $(~ $quiet:literal)*
                $kind:expr, $default:literal $(, $flags:expr)? $(=> $($field:ident).+)?;
            )*
        }
    )*) => {
        pub static OPTIONS: &[OptionSpec] = &[$($(
            OptionSpec {
                name: $name,
                aliases: &[$($alias),*],
                quiet_aliases: &[$($quiet),*],
                group: $group,
                kind: $kind,
                default: $default,
                flags: 0 $(| $flags)?,
                access: options!(@access $($($field).+)?),
            },
        )*)*];
    };
    (@access) => { None };
    (@access $($field:ident).+) => {
        Some(Access {
            read: |config| Field::to_value(&config.$($field).+),
            write: |config, value| Field::set_value(&mut config.$($field).+, value),
        })
    };
}

const BOOL: Kind = Kind::Bool;
const COUNT: Kind = Kind::Integer(0, i64::MAX);
const INT: Kind = Kind::Integer(0, i32::MAX as i64);
const POSITIVE: Kind = Kind::Integer(1, i32::MAX as i64);
const ANY_INT: Kind = Kind::Integer(i32::MIN as i64, i32::MAX as i64);
const PORT: Kind = Kind::Integer(0, 65535);
const BYTES: Kind = Kind::Memory(0, i64::MAX as u64);
const SIZE: Kind = Kind::Memory(0, u64::MAX);
const TEXT: Kind = Kind::Text(kind::any);
const OPTIONAL: Kind = Kind::Optional(kind::any);
const ALLOW: Kind = Kind::Choice(&["no", "yes", "local"]);
const SHUTDOWN: Kind = Kind::Choices(&["default", "save", "nosave", "now", "force"]);

options! {
    "Network" {
        "port"              PORT, "6379" => network.port;
        "bind"              Kind::Addresses, "* -::*" => network.bind;
        "unixsocket"        OPTIONAL, "", IMMUTABLE => network.unixsocket;
        "unixsocketperm"    Kind::Octal(0o777), "0", IMMUTABLE => network.unixsocketperm;
        "unixsocketgroup"   OPTIONAL, "", IMMUTABLE | HIDDEN;
        "tcp-backlog"       INT, "511", IMMUTABLE => network.tcp_backlog;
        "tcp-keepalive"     INT, "300" => network.tcp_keepalive;
        "timeout"           INT, "0" => network.timeout;
        "protected-mode"    BOOL, "yes" => network.protected_mode;
        "maxclients"        Kind::Integer(1, u32::MAX as i64), "10000" => network.maxclients;
        "max-new-connections-per-cycle"     Kind::Integer(1, 1000), "10";
        "max-new-tls-connections-per-cycle" Kind::Integer(1, 1000), "1";
        "bind-source-addr"  OPTIONAL, "";
        "socket-mark-id"    Kind::Integer(0, u32::MAX as i64), "0", IMMUTABLE;
        "mptcp"             BOOL, "no", IMMUTABLE | HIDDEN;
        "rdma-bind"         Kind::Addresses, "", HIDDEN;
        "rdma-port"         PORT, "0", HIDDEN;
        "rdma-rx-size"      Kind::Integer(65536, 16777216), "1048576", IMMUTABLE | HIDDEN;
        "rdma-completion-vector" Kind::Integer(-1, 1024), "-1", IMMUTABLE | HIDDEN;
    }

    "TLS" {
        "tls-port"                  PORT, "0";
        "tls-session-cache-size"    INT, "20480";
        "tls-session-cache-timeout" INT, "300";
        "tls-cluster"               BOOL, "no";
        "tls-replication"           BOOL, "no";
        "tls-auth-clients"          Kind::Choice(&["no", "yes", "optional"]), "yes";
        "tls-auth-clients-user"     Kind::Choice(&["CN", "URI", "off"]), "off", HIDDEN;
        "tls-auto-reload-interval"  INT, "0", HIDDEN;
        "tls-prefer-server-ciphers" BOOL, "no";
        "tls-session-caching"       BOOL, "yes";
        "tls-cert-file"             OPTIONAL, "";
        "tls-key-file"              OPTIONAL, "";
        "tls-key-file-pass"         OPTIONAL, "", SENSITIVE;
        "tls-client-cert-file"      OPTIONAL, "";
        "tls-client-key-file"       OPTIONAL, "";
        "tls-client-key-file-pass"  OPTIONAL, "", SENSITIVE;
        "tls-dh-params-file"        OPTIONAL, "";
        "tls-ca-cert-file"          OPTIONAL, "";
        "tls-ca-cert-dir"           OPTIONAL, "";
        "tls-protocols"             OPTIONAL, "";
        "tls-ciphers"               OPTIONAL, "";
        "tls-ciphersuites"          OPTIONAL, "";
    }

    "General" {
        "shards"            Kind::Integer(0, 64), "0", IMMUTABLE | HIDDEN => process.shards;
        "daemonize"         BOOL, "no", IMMUTABLE => process.daemonize;
        "supervised"        Kind::Choice(&["upstart", "systemd", "auto", "no"]), "no", IMMUTABLE;
        "pidfile"           OPTIONAL, "", IMMUTABLE => process.pidfile;
        "loglevel"          Kind::Choice(&["debug", "verbose", "notice", "warning", "nothing"]), "notice"
                            => process.loglevel;
        "logfile"           TEXT, "", IMMUTABLE => process.logfile;
        "log-format"        Kind::Choice(&["legacy", "logfmt", "json"]), "legacy", HIDDEN;
        "log-timestamp-format" Kind::Choice(&["legacy", "iso8601", "milliseconds"]), "legacy", HIDDEN;
        "syslog-enabled"    BOOL, "no", IMMUTABLE;
        "syslog-ident"      TEXT, "redis", IMMUTABLE;
        "syslog-facility"   Kind::Choice(&["user", "local0", "local1", "local2", "local3", "local4", "local5",
                                           "local6", "local7"]), "local0", IMMUTABLE;
        "hide-user-data-from-log" BOOL, "no";
        "crash-log-enabled" BOOL, "yes";
        "crash-memcheck-enabled" BOOL, "yes";
        "use-exit-on-panic" BOOL, "no", HIDDEN;
        "ignore-warnings"   TEXT, "";
        "always-show-logo"  BOOL, "no", IMMUTABLE;
        "set-proc-title"    BOOL, "yes", IMMUTABLE;
        "proc-title-template" Kind::Text(kind::title_template), "{title} {listen-addr} {server-mode}";
        "locale-collate"    Kind::Text(kind::locale), "";
        "databases"         POSITIVE, "16", IMMUTABLE => settings.databases;
        "dir"               Kind::Directory, ".", PROTECTED => process.dir;
        "hz"                Kind::Clamped((0, i32::MAX as i64), (1, 500)), "10" => process.hz;
        "dynamic-hz"        BOOL, "yes";
        "shutdown-timeout"  INT, "10" => process.shutdown_timeout;
        "shutdown-on-sigint" SHUTDOWN, "default" => process.shutdown_on_sigint;
        "shutdown-on-sigterm" SHUTDOWN, "default" => process.shutdown_on_sigterm;
        "watchdog-period"   INT, "0", HIDDEN;
        "extended-redis-compatibility" BOOL, "no", HIDDEN;
        "availability-zone" TEXT, "", HIDDEN;
        "hash-seed"         OPTIONAL, "", IMMUTABLE | HIDDEN;
        "debug-context"     TEXT, "", HIDDEN;
        "enable-debug-assert" BOOL, "no", IMMUTABLE | HIDDEN;
    }

    "Threads and processors" {
        "io-threads"        Kind::Integer(1, 128), "1", IMMUTABLE;
        "io-threads-do-reads" BOOL, "no", IMMUTABLE | HIDDEN;
        "io-threads-always-active" BOOL, "no", HIDDEN;
        "prefetch-batch-max-size" Kind::Integer(0, 128), "16", HIDDEN;
        "min-string-size-avoid-copy-reply" INT, "16384", HIDDEN;
        "server-cpulist"    / "server_cpulist" OPTIONAL, "", IMMUTABLE;
        "bio-cpulist"       / "bio_cpulist" OPTIONAL, "", IMMUTABLE;
        "aof-rewrite-cpulist" / "aof_rewrite_cpulist" OPTIONAL, "", IMMUTABLE;
        "bgsave-cpulist"    / "bgsave_cpulist" OPTIONAL, "", IMMUTABLE;
        "oom-score-adj"     Kind::Choice(&["no", "yes", "relative", "absolute"]), "no";
        "oom-score-adj-values" Kind::OomScores, "0 200 800";
        // Redis's default is `yes`, because it forks to save and would copy huge pages then. kevy does not fork, and huge
        // pages make it faster.
        "disable-thp"       BOOL, "no", IMMUTABLE => process.disable_thp;
        "jemalloc-bg-thread" BOOL, "yes";
    }

    "Security" {
        "requirepass"       OPTIONAL, "", SENSITIVE => security.requirepass;
        "aclfile"           TEXT, "", IMMUTABLE;
        "acllog-max-len"    COUNT, "128";
        "acl-pubsub-default" Kind::Choice(&["allchannels", "resetchannels"]), "resetchannels";
        "enable-protected-configs" ALLOW, "no", IMMUTABLE => security.enable_protected_configs;
        "enable-debug-command" ALLOW, "no", IMMUTABLE => security.enable_debug_command;
        "enable-module-command" ALLOW, "no", IMMUTABLE => security.enable_module_command;
        "sanitize-dump-payload" Kind::Choice(&["no", "yes", "clients"]), "no";
        "lua-enable-deprecated-api" BOOL, "no", IMMUTABLE | HIDDEN;
        "lua-enable-insecure-api" BOOL, "no", PROTECTED | HIDDEN;
    }

    "Clients" {
        "client-output-buffer-limit" Kind::OutputLimits, "normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60"
                            => clients.output_buffer_limits;
        "client-query-buffer-limit" Kind::Memory(1 << 20, i64::MAX as u64), "1gb" => clients.query_buffer_limit;
        "maxmemory-clients" Kind::MemoryOrPercent, "0" => clients.maxmemory;
        "proto-max-bulk-len" Kind::Memory(1 << 20, i64::MAX as u64), "512mb" => settings.proto_max_bulk_len;
        "tracking-table-max-keys" COUNT, "1000000";
        "busy-reply-threshold" / "lua-time-limit" COUNT, "5000";
    }

    "Memory" {
        "maxmemory"         SIZE, "0" => settings.maxmemory;
        "maxmemory-policy"  Kind::Choice(&["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
                                           "allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction"]), "noeviction"
                            => settings.maxmemory_policy;
        "maxmemory-samples" Kind::Integer(1, 64), "5" => settings.maxmemory_samples;
        "maxmemory-eviction-tenacity" Kind::Integer(0, 100), "10";
        "lfu-log-factor"    INT, "10" => settings.lfu_log_factor;
        "lfu-decay-time"    INT, "1" => settings.lfu_decay_time;
        "active-expire-effort" Kind::Integer(1, 10), "1" => process.active_expire_effort;
        "lazyfree-lazy-eviction" BOOL, "no" => settings.lazyfree_lazy_eviction;
        "lazyfree-lazy-expire" BOOL, "no" => settings.lazyfree_lazy_expire;
        "lazyfree-lazy-server-del" BOOL, "no" => settings.lazyfree_lazy_server_del;
        "lazyfree-lazy-user-del" BOOL, "no" => settings.lazyfree_lazy_user_del;
        "lazyfree-lazy-user-flush" BOOL, "no" => settings.lazyfree_lazy_user_flush;
        "activedefrag"      BOOL, "no";
        "active-defrag-ignore-bytes" Kind::Memory(1, i64::MAX as u64), "100mb";
        "active-defrag-threshold-lower" Kind::Integer(0, 1000), "10";
        "active-defrag-threshold-upper" Kind::Integer(0, 1000), "100";
        "active-defrag-cycle-min" Kind::Integer(1, 99), "1";
        "active-defrag-cycle-max" Kind::Integer(1, 99), "25";
        "active-defrag-cycle-us" Kind::Integer(0, 100000), "500", HIDDEN;
        "active-defrag-max-scan-fields" Kind::Integer(1, i64::MAX), "1000";
        "import-mode"       BOOL, "no", HIDDEN;
    }

    "Encodings" {
        "hash-max-listpack-entries" / "hash-max-ziplist-entries" COUNT, "512" => settings.hash.max_listpack_entries;
        "hash-max-listpack-value" / "hash-max-ziplist-value" BYTES, "64" => settings.hash.max_listpack_value;
        "list-max-listpack-size" / "list-max-ziplist-size" ANY_INT, "-2" => settings.list.max_listpack_size;
        "list-compress-depth" INT, "0";
        "set-max-intset-entries" COUNT, "512" => settings.set.max_intset_entries;
        "set-max-listpack-entries" COUNT, "128" => settings.set.max_listpack_entries;
        "set-max-listpack-value" COUNT, "64" => settings.set.max_listpack_value;
        "zset-max-listpack-entries" / "zset-max-ziplist-entries" COUNT, "128" => settings.zset.max_listpack_entries;
        "zset-max-listpack-value" / "zset-max-ziplist-value" BYTES, "64" => settings.zset.max_listpack_value;
        "hll-sparse-max-bytes" BYTES, "3000";
        "stream-node-max-bytes" BYTES, "4096";
        "stream-node-max-entries" COUNT, "100";
        "activerehashing"   BOOL, "yes";
    }

    "Events and latency" {
        "notify-keyspace-events" Kind::Events, "" => settings.notify_keyspace_events;
        "slowlog-log-slower-than" ~ "commandlog-execution-slower-than" Kind::Integer(-1, i64::MAX), "10000"
                            => latency.slowlog_log_slower_than;
        "slowlog-max-len"   ~ "commandlog-slow-execution-max-len" COUNT, "128" => latency.slowlog_max_len;
        "commandlog-request-larger-than" Kind::Integer(-1, i64::MAX), "1048576", HIDDEN;
        "commandlog-large-request-max-len" COUNT, "128", HIDDEN;
        "commandlog-reply-larger-than" Kind::Integer(-1, i64::MAX), "1048576", HIDDEN;
        "commandlog-large-reply-max-len" COUNT, "128", HIDDEN;
        "latency-monitor-threshold" COUNT, "0" => latency.monitor_threshold;
        "latency-tracking"  BOOL, "yes" => latency.tracking;
        "latency-tracking-info-percentiles" Kind::Percentiles, "50 99 99.9" => latency.tracking_info_percentiles;
    }

    "Snapshots" {
        "save"              Kind::Save, "3600 1 300 100 60 10000", UNUSED => persistence.save;
        "stop-writes-on-bgsave-error" BOOL, "yes";
        "rdbcompression"    BOOL, "yes";
        "rdbchecksum"       BOOL, "yes", IMMUTABLE;
        "rdb-version-check" Kind::Choice(&["strict", "relaxed"]), "strict", HIDDEN;
        "dbfilename"        Kind::Text(kind::rdb_name), "dump.rdb", PROTECTED | UNUSED => persistence.dbfilename;
        "rdb-del-sync-files" BOOL, "no";
        "rdb-save-incremental-fsync" BOOL, "yes";
        "rdb-key-save-delay" ANY_INT, "0", HIDDEN;
        "key-load-delay"    ANY_INT, "0", HIDDEN;
        "loading-process-events-interval-bytes" Kind::Integer(1024, i32::MAX as i64), "524288", HIDDEN;
    }

    "Append-only file" {
        "appendonly"        BOOL, "no", UNUSED => persistence.appendonly;
        "appendfilename"    Kind::Text(kind::aof_name), "appendonly.aof", IMMUTABLE;
        "appenddirname"     Kind::Text(kind::aof_directory), "appendonlydir", IMMUTABLE;
        "appendfsync"       Kind::Choice(&["everysec", "always", "no"]), "everysec";
        "no-appendfsync-on-rewrite" BOOL, "no";
        "auto-aof-rewrite-percentage" INT, "100";
        "auto-aof-rewrite-min-size" BYTES, "64mb";
        "aof-load-truncated" BOOL, "yes";
        "aof-use-rdb-preamble" BOOL, "yes";
        "aof-timestamp-enabled" BOOL, "no";
        "aof-rewrite-incremental-fsync" BOOL, "yes";
        "aof-disable-auto-gc" BOOL, "no", HIDDEN;
    }

    "Replication" {
        "replicaof"         / "slaveof" Kind::Primary, "no one", IMMUTABLE;
        "masterauth"        ~ "primaryauth" OPTIONAL, "", SENSITIVE;
        "masteruser"        ~ "primaryuser" OPTIONAL, "", SENSITIVE;
        "replica-serve-stale-data" / "slave-serve-stale-data" BOOL, "yes";
        "replica-read-only" / "slave-read-only" BOOL, "yes";
        "replica-ignore-maxmemory" / "slave-ignore-maxmemory" BOOL, "yes";
        "replica-ignore-disk-write-errors" BOOL, "no";
        "replica-lazy-flush" / "slave-lazy-flush" BOOL, "no";
        "replica-priority"  / "slave-priority" INT, "100";
        "replica-announced" BOOL, "yes";
        "replica-announce-ip" / "slave-announce-ip" OPTIONAL, "";
        "replica-announce-port" / "slave-announce-port" PORT, "0";
        "replica-full-sync-buffer-limit" BYTES, "0";
        "repl-diskless-sync" BOOL, "yes";
        "repl-diskless-sync-delay" INT, "5";
        "repl-diskless-sync-max-replicas" INT, "0";
        "repl-diskless-load" Kind::Choice(&["disabled", "on-empty-db", "swapdb"]), "disabled";
        "repl-rdb-channel"  BOOL, "yes", HIDDEN;
        "dual-channel-replication-enabled" BOOL, "no", HIDDEN;
        "repl-ping-replica-period" / "repl-ping-slave-period" POSITIVE, "10";
        "repl-timeout"      POSITIVE, "60";
        "repl-disable-tcp-nodelay" BOOL, "no";
        "repl-backlog-size" Kind::MemoryAtLeast((1, i64::MAX as u64), 16384), "1mb";
        "repl-backlog-ttl"  COUNT, "3600";
        "repl-mptcp"        BOOL, "no", IMMUTABLE | HIDDEN;
        "min-replicas-to-write" / "min-slaves-to-write" INT, "0";
        "min-replicas-max-lag" / "min-slaves-max-lag" INT, "10";
        "propagation-error-behavior" Kind::Choice(&["ignore", "panic", "panic-on-replicas"]), "ignore";
    }

    "Cluster" {
        "cluster-enabled"   BOOL, "no", IMMUTABLE;
        "cluster-config-file" TEXT, "nodes.conf", IMMUTABLE;
        "cluster-config-save-behavior" Kind::Choice(&["sync", "best-effort"]), "sync", HIDDEN;
        "cluster-databases" POSITIVE, "1", IMMUTABLE | HIDDEN;
        "cluster-node-timeout" COUNT, "15000";
        "cluster-ping-interval" COUNT, "0", HIDDEN;
        "cluster-port"      PORT, "0", IMMUTABLE;
        "cluster-replica-validity-factor" / "cluster-slave-validity-factor" INT, "10";
        "cluster-migration-barrier" INT, "1";
        "cluster-allow-replica-migration" BOOL, "yes";
        "cluster-require-full-coverage" BOOL, "yes";
        "cluster-replica-no-failover" / "cluster-slave-no-failover" BOOL, "no";
        "cluster-allow-reads-when-down" BOOL, "no";
        "cluster-allow-pubsubshard-when-down" BOOL, "yes";
        "cluster-link-sendbuf-limit" SIZE, "0";
        "cluster-announce-ip" OPTIONAL, "";
        "cluster-announce-port" PORT, "0";
        "cluster-announce-tls-port" PORT, "0";
        "cluster-announce-bus-port" PORT, "0";
        "cluster-announce-hostname" Kind::Optional(kind::hostname), "";
        "cluster-announce-human-nodename" Kind::Optional(kind::node_name), "";
        "cluster-announce-client-ipv4" OPTIONAL, "", HIDDEN;
        "cluster-announce-client-ipv6" OPTIONAL, "", HIDDEN;
        "cluster-announce-client-port" PORT, "0", HIDDEN;
        "cluster-announce-client-tls-port" PORT, "0", HIDDEN;
        "cluster-preferred-endpoint-type" Kind::Choice(&["ip", "hostname", "unknown-endpoint"]), "ip";
        "cluster-compatibility-sample-ratio" Kind::Integer(0, 100), "0";
        "cluster-blacklist-ttl" COUNT, "60", HIDDEN;
        "cluster-manual-failover-timeout" POSITIVE, "5000", HIDDEN;
        "cluster-slot-migration-log-max-len" COUNT, "1000", HIDDEN;
        "cluster-slot-stats-enabled" BOOL, "no", HIDDEN;
        "slot-migration-max-failover-repl-bytes" Kind::Integer(-1, i64::MAX), "0", HIDDEN;
    }
}
