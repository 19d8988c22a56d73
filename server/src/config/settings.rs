//! Settings of the keyspace, in the shape the core library gives them.

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

#[derive(Clone, Debug, PartialEq)]
pub struct ListLimits {
    pub max_listpack_size: i32,
}
#[derive(Clone, Debug, PartialEq)]
pub struct HashLimits {
    pub max_listpack_entries: usize,
    pub max_listpack_value: usize,
}
#[derive(Clone, Debug, PartialEq)]
pub struct SetLimits {
    pub max_intset_entries: usize,
    pub max_listpack_entries: usize,
    pub max_listpack_value: usize,
}
#[derive(Clone, Debug, PartialEq)]
pub struct ZsetLimits {
    pub max_listpack_entries: usize,
    pub max_listpack_value: usize,
}

/// Settings that command handlers and the keyspace read.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub databases: usize,
    pub list: ListLimits,
    pub hash: HashLimits,
    pub set: SetLimits,
    pub zset: ZsetLimits,
    pub proto_max_bulk_len: u64,
    pub notify_keyspace_events: u32,
    pub maxmemory: u64,
    pub maxmemory_policy: EvictionPolicy,
    pub maxmemory_samples: usize,
    pub lfu_log_factor: u32,
    pub lfu_decay_time: u32,
    pub lazyfree_lazy_eviction: bool,
    pub lazyfree_lazy_expire: bool,
    pub lazyfree_lazy_server_del: bool,
    pub lazyfree_lazy_user_del: bool,
    pub lazyfree_lazy_user_flush: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            databases: 16,
            list: ListLimits { max_listpack_size: -2 },
            hash: HashLimits { max_listpack_entries: 512, max_listpack_value: 64 },
            set: SetLimits { max_intset_entries: 512, max_listpack_entries: 128, max_listpack_value: 64 },
            zset: ZsetLimits { max_listpack_entries: 128, max_listpack_value: 64 },
            proto_max_bulk_len: 512 << 20,
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
