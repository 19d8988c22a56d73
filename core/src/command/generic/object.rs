//! OBJECT and MEMORY USAGE: how a value is kept.

use crate::command::{Call, CommandError, Outcome};
use crate::keyspace::evict;
use crate::number::parse_i64;
use crate::value::ValueRef;

const NOT_LFU: CommandError = CommandError::Text(
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
     between policies at runtime LRU and LFU data will take some time to adjust.",
);
const LFU: CommandError = CommandError::Text(
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
     policies at runtime LRU and LFU data will take some time to adjust.",
);

/// Redis keeps one object for each integer below this, and the count of its references is this constant.
const SHARED_INTEGERS: std::ops::Range<i64> = 0..10_000;
const SHARED_REFCOUNT: i64 = i32::MAX as i64;

pub fn encoding(c: &mut Call<'_>) -> Outcome {
    match c.data.examine(c.args.at(2)).map(|entry| entry.value().encoding_name()) {
        Some(name) => c.reply.bulk(name.as_bytes()),
        None => c.reply.null(),
    }
    Ok(())
}

pub fn freq(c: &mut Call<'_>) -> Outcome {
    let Some(field) = c.data.examine(c.args.at(2)).map(|entry| entry.lru()) else {
        c.reply.null();
        return Ok(());
    };
    if !c.data.settings.maxmemory_policy.is_lfu() {
        return Err(NOT_LFU);
    }
    c.reply.int(i64::from(evict::lfu_counter(field, c.data.now, c.data.settings)));
    Ok(())
}

pub fn idletime(c: &mut Call<'_>) -> Outcome {
    let Some(field) = c.data.examine(c.args.at(2)).map(|entry| entry.lru()) else {
        c.reply.null();
        return Ok(());
    };
    if c.data.settings.maxmemory_policy.is_lfu() {
        return Err(LFU);
    }
    c.reply.int((evict::idle_ms(field, c.data.now) / 1000) as i64);
    Ok(())
}

pub fn refcount(c: &mut Call<'_>) -> Outcome {
    use crate::keyspace::EvictionPolicy::{AllkeysLru, VolatileLru};
    let settings = c.data.settings;
    // Each key needs an access field of its own when eviction goes by it.
    let policy = settings.maxmemory_policy;
    let shared = settings.maxmemory == 0 || !(policy.is_lfu() || matches!(policy, AllkeysLru | VolatileLru));
    match c.data.examine(c.args.at(2)).map(|entry| entry.value()) {
        None => c.reply.null(),
        Some(ValueRef::Int(value)) if shared && SHARED_INTEGERS.contains(&value) => {
            c.reply.int(SHARED_REFCOUNT);
        }
        Some(_) => c.reply.int(1),
    }
    Ok(())
}

pub fn help(c: &mut Call<'_>) -> Outcome {
    const LINES: [&str; 15] = [
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
        "HELP",
        "    Print this help.",
    ];
    c.reply.array(LINES.len());
    for line in LINES {
        c.reply.simple(line);
    }
    Ok(())
}

/// MEMORY USAGE: the bytes of the entry and everything it owns. They are counted, so SAMPLES changes nothing.
pub fn memory_usage(c: &mut Call<'_>) -> Outcome {
    let mut at = 3;
    while at < c.args.len() {
        if !c.is(at, "SAMPLES") || at + 1 == c.args.len() {
            return Err(CommandError::Syntax);
        }
        let samples = parse_i64(c.arg(at + 1)).ok_or(CommandError::NotInteger)?;
        if samples < 0 {
            return Err(CommandError::Syntax);
        }
        at += 2;
    }
    // Of a key whose time is up, too, as in Redis: this does not notice.
    let entry =
        if crate::bug!(UsageNoticesExpiry) { c.data.peek(c.args.at(2)) } else { c.data.stored(c.args.at(2)) };
    match entry.map(|entry| entry.memory()) {
        Some(bytes) => c.reply.int(bytes as i64),
        None => c.reply.null(),
    }
    Ok(())
}
