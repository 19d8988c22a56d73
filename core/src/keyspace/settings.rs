//! The settings commands depend on: plain data, set by whoever owns the keyspace (the server's option table).

use crate::value::{hash::HashLimits, list::ListLimits, set::SetLimits, zset::ZsetLimits};

/// What happens when memory is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EvictionPolicy {
    VolatileLru,
    VolatileLfu,
    VolatileRandom,
    VolatileTtl,
    AllkeysLru,
    AllkeysLfu,
    AllkeysRandom,
    #[default]
    NoEviction,
}

impl EvictionPolicy {
    /// Whether entries carry an access frequency instead of an access time.
    pub fn is_lfu(self) -> bool {
        matches!(self, Self::VolatileLfu | Self::AllkeysLfu)
    }

    /// Whether only keys with a deadline may be evicted.
    pub fn is_volatile(self) -> bool {
        matches!(self, Self::VolatileLru | Self::VolatileLfu | Self::VolatileRandom | Self::VolatileTtl)
    }
}

/// Settings that command handlers and the keyspace read. Defaults are those of Redis 8.0.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Number of databases; fixed when the keyspace is created.
    pub databases: usize,
    pub list: ListLimits,
    pub hash: HashLimits,
    pub set: SetLimits,
    pub zset: ZsetLimits,
    /// Longest string a command may build, bytes.
    pub proto_max_bulk_len: u64,
    /// Which keyspace events are wanted: bits of [`Class`](super::Class).
    pub notify_keyspace_events: u32,
    /// Bytes; 0 means no limit.
    pub maxmemory: u64,
    pub maxmemory_policy: EvictionPolicy,
    pub maxmemory_samples: usize,
    pub lfu_log_factor: u32,
    /// Minutes after which an access counter loses one.
    pub lfu_decay_time: u32,
    /// Lazy (background) freeing, by cause. Replies never depend on it; effects say UNLINK where they are set.
    pub lazyfree_lazy_eviction: bool,
    pub lazyfree_lazy_expire: bool,
    pub lazyfree_lazy_server_del: bool,
    pub lazyfree_lazy_user_del: bool,
    pub lazyfree_lazy_user_flush: bool,
}

impl Settings {
    /// Longest string a command may build: `proto-max-bulk-len`, as far as an entry can hold it (with room for the few
    /// bytes by which BITFIELD may go beyond the limit).
    pub fn longest_string(&self) -> u64 {
        self.proto_max_bulk_len.min(u64::from(u32::MAX) - 16)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            databases: 16,
            list: ListLimits::default(),
            hash: HashLimits::default(),
            set: SetLimits::default(),
            zset: ZsetLimits::default(),
            proto_max_bulk_len: 512 * 1024 * 1024,
            notify_keyspace_events: 0,
            maxmemory: 0,
            maxmemory_policy: EvictionPolicy::NoEviction,
            maxmemory_samples: 5,
            lfu_log_factor: 10,
            lfu_decay_time: 1,
            lazyfree_lazy_eviction: false,
            lazyfree_lazy_expire: false,
            lazyfree_lazy_server_del: false,
            lazyfree_lazy_user_del: false,
            lazyfree_lazy_user_flush: false,
        }
    }
}
