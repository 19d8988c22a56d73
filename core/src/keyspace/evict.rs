//! Choosing victims when memory is full, and the access field it is decided by.
//!
//! The field has 24 bits. Under an LRU policy (and without a limit) it is the time of the last access in seconds,
//! wrapping after 194 days. Under an LFU policy the upper 16 bits are the minute of the last decrement and the lower 8
//! a logarithmic counter (Morris counter), as Redis documents it.

use super::effects::Class;
use super::entry::Entry;
use super::{Data, EvictionPolicy, Settings, UnixMillis};
use crate::rng::Rng;

const LRU_MASK: u64 = (1 << 24) - 1;
const LFU_INITIAL: u8 = 5;

/// The access field for an access at `now` under an LRU policy.
#[inline]
pub fn lru_clock(now: UnixMillis) -> u32 {
    ((now / 1000) & LRU_MASK) as u32
}

/// Milliseconds since the last access, from an LRU access field; exact to the second.
pub fn idle_ms(field: u32, now: UnixMillis) -> u64 {
    let seconds = (u64::from(lru_clock(now)).wrapping_sub(u64::from(field))) & LRU_MASK;
    seconds * 1000
}

fn lfu_minutes(now: UnixMillis) -> u16 {
    (now / 60_000) as u16
}

/// The access field of a new entry under an LFU policy.
pub fn lfu_initial(now: UnixMillis) -> u32 {
    u32::from(lfu_minutes(now)) << 8 | u32::from(LFU_INITIAL)
}

/// The counter after decay: it loses one for each `lfu-decay-time` minutes gone.
pub fn lfu_counter(field: u32, now: UnixMillis, settings: &Settings) -> u8 {
    let counter = (field & 0xff) as u8;
    if settings.lfu_decay_time == 0 {
        return counter;
    }
    let elapsed = lfu_minutes(now).wrapping_sub((field >> 8) as u16);
    let periods = u32::from(elapsed) / settings.lfu_decay_time;
    counter.saturating_sub(periods.min(255) as u8)
}

/// The access field after an access under an LFU policy: decay, then a probabilistic increment.
pub fn lfu_accessed(field: u32, now: UnixMillis, settings: &Settings, rng: &mut Rng) -> u32 {
    let mut counter = lfu_counter(field, now, settings);
    if counter < u8::MAX {
        let base = f64::from(counter.saturating_sub(LFU_INITIAL));
        let chance = 1.0 / (base * f64::from(settings.lfu_log_factor) + 1.0);
        let drawn = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        if drawn < chance {
            counter += 1;
        }
    }
    u32::from(lfu_minutes(now)) << 8 | u32::from(counter)
}

/// How good a victim an entry is: the higher the better.
fn badness(entry: &Entry, now: UnixMillis, settings: &Settings) -> u64 {
    match settings.maxmemory_policy {
        EvictionPolicy::VolatileTtl => u64::MAX - entry.deadline().unwrap_or(u64::MAX),
        policy if policy.is_lfu() => 255 - u64::from(lfu_counter(entry.lru(), now, settings)),
        _ => idle_ms(entry.lru(), now),
    }
}

impl Data<'_> {
    /// Evicts one key under the current policy: an `evicted` event, and its removal is to be replayed.
    /// Returns its database and the key; nothing if there is none that may be evicted.
    pub fn evict(&mut self) -> Option<(usize, Vec<u8>)> {
        let policy = self.settings.maxmemory_policy;
        if policy == EvictionPolicy::NoEviction {
            return None;
        }
        let samples = match policy {
            EvictionPolicy::AllkeysRandom | EvictionPolicy::VolatileRandom => 1,
            _ => self.settings.maxmemory_samples.max(1),
        };
        let mut best: Option<(u64, usize, Vec<u8>)> = None;
        let databases = self.keyspace.dbs.len();
        let first = if samples == 1 { self.keyspace.rng.below(databases as u64) as usize } else { 0 };
        for at in 0..databases {
            let db = (first + at) % databases;
            let super::Keyspace { dbs, rng, .. } = &mut *self.keyspace;
            let table = &dbs.own(db).table;
            let (now, settings) = (self.now, self.settings);
            let mut consider = |entry: &Entry| {
                let score = badness(entry, now, settings);
                if best.as_ref().is_none_or(|(most, ..)| score > *most) {
                    best = Some((score, db, entry.key().to_vec()));
                }
            };
            if policy.is_volatile() && !crate::bug!(EvictionTakesAll) {
                table.sample_with_deadline(rng.next_u64(), samples, &mut consider);
            } else {
                table.sample(rng.next_u64(), samples, &mut consider);
            }
            if samples == 1 && best.is_some() {
                break;
            }
        }
        let (_, db, key) = best?;
        let mut data = self.select(db);
        data.keyspace.stats.evicted += 1;
        let removed = data.keyspace.dbs.own_mut(db).remove(&key);
        let expired = removed.as_ref().is_some_and(|entry| entry.is_expired(data.now));
        if let Some(entry) = removed {
            data.discard(entry);
        }
        let command: &[u8] = if data.settings.lazyfree_lazy_eviction { b"UNLINK" } else { b"DEL" };
        data.effects.record(db, &[command, &key]);
        if !crate::bug!(EvictionSilent) {
            data.notify(Class::EVICTED, "evicted", &key);
        }
        // Who watched it before it expired sees that it is gone; for who did not, nothing has changed.
        if !expired || crate::bug!(ExpiredEvictedIsModified) {
            data.touched(&key);
        }
        Some((db, key))
    }
}
