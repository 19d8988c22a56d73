//! The keyspace: numbered databases of entries, with expiry, scan and sampling.
//!
//! Here: which entries exist and how they are found. Not here: what values are ([`crate::value`]), what commands do
//! ([`crate::command`]), when the active expiry cycle or eviction runs (the owner decides, and passes the time in).

mod data;
mod dbs;
mod effects;
pub mod entry;
pub mod evict;
mod settings;
pub mod table;

pub use data::{Access, Data, NewDeadline};
pub use dbs::{Dbs, Slice};
pub use effects::{Class, Effects, Event, Garbage, Interest, KeyRef, Record, Whole};
pub use settings::{EvictionPolicy, Settings};

use crate::rng::Rng;
use entry::Entry;
use table::Table;

/// Milliseconds since the Unix epoch.
pub type UnixMillis = u64;

/// Collections with more elements than this are not freed in the middle of a command.
pub const LARGE_VALUE_ELEMENTS: usize = 64;

/// Counters of the keyspace, for INFO stats.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    pub hits: u64,
    pub misses: u64,
    pub expired: u64,
    pub evicted: u64,
}

/// One numbered database.
#[derive(Debug)]
pub struct Db {
    pub table: Table<Entry>,
}

impl Db {
    fn new(seed: u64) -> Self {
        Self { table: Table::new(seed) }
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// Number of keys with a deadline.
    pub fn volatile(&self) -> usize {
        self.table.deadlines()
    }

    fn insert(&mut self, entry: Entry) {
        let previous = self.table.insert(entry);
        debug_assert!(previous.is_none(), "the key was there already");
    }

    fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        self.table.remove(key)
    }

    fn set_deadline(&mut self, key: &[u8], deadline: Option<UnixMillis>) {
        let hash = self.table.hash(key);
        if let Some(entry) = self.table.find_mut_hashed(hash, key) {
            let old = entry.deadline();
            entry.set_deadline(deadline);
            self.table.note_deadline(hash, old.unwrap_or(u64::MAX), deadline.unwrap_or(u64::MAX));
        }
    }
}

/// All databases, or a slice of them.
#[derive(Debug)]
pub struct Keyspace {
    pub dbs: Dbs,
    pub stats: Stats,
    pub rng: Rng,
    seed: u64,
}

impl Keyspace {
    /// `seed` keys the hash functions and every random choice (SPOP, RANDOMKEY, eviction …).
    pub fn new(databases: usize, seed: u64) -> Self {
        Self::slice(databases, seed, Slice::WHOLE)
    }

    /// One slice. All slices of a keyspace have the same seed: they agree on where a key is at home, and choose
    /// differently all the same.
    pub fn slice(databases: usize, seed: u64, slice: Slice) -> Self {
        let seed_of_hashes = Rng::new(seed).next_u64();
        let mut rng = Rng::new(seed.wrapping_add(slice.index as u64));
        rng.next_u64();
        Self {
            dbs: Dbs::new(databases, slice, seed_of_hashes),
            stats: Stats::default(),
            rng,
            seed: seed_of_hashes,
        }
    }

    /// The seed for the hash function of collections in this keyspace.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

/// Refreshes the access field of an entry: the clock in seconds, or the decaying logarithmic counter under an LFU
/// policy. The field is written only when it changes, so that reads keep the cache line clean.
#[inline]
fn touch(entry: &Entry, now: UnixMillis, settings: &Settings, rng: &mut Rng) {
    let field = if settings.maxmemory_policy.is_lfu() {
        evict::lfu_accessed(entry.lru(), now, settings, rng)
    } else {
        evict::lru_clock(now)
    };
    if entry.lru() != field {
        entry.set_lru(field);
    }
}

/// The access field of a new entry.
fn first_touch(entry: &Entry, now: UnixMillis, settings: &Settings) {
    entry.set_lru(if settings.maxmemory_policy.is_lfu() {
        evict::lfu_initial(now)
    } else {
        evict::lru_clock(now)
    });
}
