//! MEMORY about the whole server. MEMORY USAGE is about a key and belongs to the data.

use kevy::resp::Aggregate;

use super::info::{MemoryUse, human};
use super::{Outcome, Session};
use crate::shard::Request;

/// Bytes of table for a key: its slot, and its share of the control bytes at a usual fill.
const TABLE_BYTES_PER_KEY: usize = 10;

pub fn stats(s: &mut Session<'_>) -> Outcome {
    let memory = MemoryUse::of(s.shard);
    let all = &s.shard.realm.keyspace.dbs;
    let dbs: Vec<(usize, usize, usize)> = (0..all.len())
        .filter(|&db| all.keys(db) > 0)
        .map(|db| (db, all.keys(db) * TABLE_BYTES_PER_KEY, all.volatile(db) * TABLE_BYTES_PER_KEY))
        .collect();
    let keys: usize = (0..all.len()).map(|db| all.keys(db)).sum();
    let tables: usize = dbs.iter().map(|(_, main, _)| main).sum();
    let r = &mut s.reply;
    let start = r.mark();
    let mut pairs = 0;
    let mut name = |r: &mut kevy::resp::Reply<'_>, name: &str| {
        pairs += 1;
        r.bulk(name.as_bytes());
    };
    macro_rules! integers {
        ($($field:literal $value:expr;)*) => { $(name(r, $field); r.int($value as i64);)* };
    }
    macro_rules! doubles {
        ($($field:literal $value:expr;)*) => { $(name(r, $field); r.double($value);)* };
    }
    integers! {
        "peak.allocated" memory.peak;
        "total.allocated" memory.used;
        "startup.allocated" memory.startup;
        "replication.backlog" 0;
        "replica.fullsync.buffer" 0;
        "clients.slaves" 0;
        "clients.normal" memory.clients;
        "cluster.links" 0;
        "aof.buffer" 0;
        "lua.caches" 0;
        "functions.caches" 0;
        "script.VMs" 0;
    }
    for (number, main, expires) in dbs {
        name(r, &format!("db.{number}"));
        r.map(2);
        r.bulk(b"overhead.hashtable.main");
        r.int(main as i64);
        r.bulk(b"overhead.hashtable.expires");
        r.int(expires as i64);
    }
    let fragmentation = memory.resident as i64 - memory.used as i64;
    let data = memory.used.saturating_sub(memory.startup);
    integers! {
        "overhead.db.hashtable.lut" tables;
        "overhead.db.hashtable.rehashing" 0;
        "overhead.total" memory.overhead + tables as u64;
        "db.dict.rehashing.count" 0;
        "keys.count" keys;
        "keys.bytes-per-key" data.checked_div(keys as u64).unwrap_or(0);
        "dataset.bytes" memory.dataset.saturating_sub(tables as u64);
    }
    doubles! {
        "dataset.percentage" memory.dataset_percent();
        "peak.percentage" memory.peak_percent();
    }
    integers! {
        "allocator.allocated" memory.used;
        "allocator.active" memory.used;
        "allocator.resident" memory.resident;
        "allocator.muzzy" 0;
    }
    doubles! { "allocator-fragmentation.ratio" 1.0; }
    integers! { "allocator-fragmentation.bytes" 0; }
    doubles! { "allocator-rss.ratio" memory.fragmentation(); }
    integers! { "allocator-rss.bytes" fragmentation; }
    doubles! { "rss-overhead.ratio" 1.0; }
    integers! { "rss-overhead.bytes" 0; }
    doubles! { "fragmentation" memory.fragmentation(); }
    integers! { "fragmentation.bytes" fragmentation; }
    r.set_deferred(start, pairs, Aggregate::Map);
    Ok(())
}

pub fn doctor(s: &mut Session<'_>) -> Outcome {
    /// Below this, ratios say nothing.
    const SMALL: u64 = 5 * 1024 * 1024;
    let memory = MemoryUse::of(s.shard);
    let mut findings: Vec<String> = Vec::new();
    if memory.used < SMALL {
        findings.push("Less than 5 MB are in use: too little for a diagnosis.".into());
    } else {
        if memory.peak > memory.used + memory.used / 2 {
            findings.push(format!(
                "Peak memory: {} were in use once, {} are now. The difference may still be resident; MEMORY PURGE \
                 asks the allocator for it.",
                human(memory.peak),
                human(memory.used)
            ));
        }
        if memory.fragmentation() > 1.4 {
            findings.push(format!(
                "Fragmentation: {} are resident for {} in use.",
                human(memory.resident),
                human(memory.used)
            ));
        }
        let clients = s.shard.clients().count().max(1) as u64;
        if memory.clients / clients > 200 * 1024 {
            findings.push(
                "Big client buffers: connections hold more than 200 KB each on average. Look for slow subscribers \
                 and long pipelines in CLIENT LIST (omem, qbuf)."
                    .into(),
            );
        }
        if findings.is_empty() {
            findings.push("No problem was found with the memory of this instance.".into());
        }
    }
    let text = findings.join("\n") + "\n";
    s.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// The allocator returns what it does not need by itself, a second or so later: not later than that here.
pub fn purge(s: &mut Session<'_>) -> Outcome {
    // What is free belongs to the thread that it was allocated by.
    s.shard.everywhere(|shard| {
        shard.drop_spare_buffers();
        shard.request = shard.request.or(Some(Request::ReleaseMemory));
    });
    s.reply.ok();
    Ok(())
}

pub fn malloc_stats(s: &mut Session<'_>) -> Outcome {
    let memory = MemoryUse::of(s.shard);
    let text = format!(
        "allocator: mimalloc\nin use: {}\npeak: {}\nresident: {}\n",
        memory.used, memory.peak, memory.resident
    );
    s.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

pub fn help(s: &mut Session<'_>) -> Outcome {
    s.help(&[
        "DOCTOR",
        "    Return memory problems reports.",
        "MALLOC-STATS",
        "    Return internal statistics report from the memory allocator.",
        "PURGE",
        "    Attempt to purge dirty pages for reclamation by the allocator.",
        "STATS",
        "    Return information about the memory usage of the server.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value. Nested values are",
        "    sampled up to <count> times (default: 5, 0 means sample all).",
    ]);
    Ok(())
}
