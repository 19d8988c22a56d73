//! Keys whatever they hold: DEL, RENAME, EXPIRE, TTL, SCAN, OBJECT and their like; and WAIT, which is about none.

use std::collections::BTreeMap;

use kevy::resp::Frame;

use crate::blocking::{BlockedOn, deadline_in_millis};
use crate::gates::c_string;
use crate::keyspace::{NOT_INTEGER, SYNTAX, int32};
use crate::{Answer, Ask, Bytes, Entry, Millis, Model, Value, Want, glob, number, scan};

const SAME_OBJECT: &str = "ERR source and destination objects are the same";

pub fn del(m: &mut Model, ask: &Ask) -> Answer {
    let mut count = 0;
    for key in &ask.argv[1..] {
        if m.exists(ask, key) {
            m.remove(ask, key);
            m.notify('g', "del", ask.db, key);
            count += 1;
        }
    }
    Ok(Want::Int(count))
}

pub fn unlink(m: &mut Model, ask: &Ask) -> Answer {
    del(m, ask)
}

/// A key given twice counts twice.
pub fn exists(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::count(ask.argv[1..].iter().filter(|key| m.read(ask, key).is_some()).count()))
}

pub fn touch(m: &mut Model, ask: &Ask) -> Answer {
    exists(m, ask)
}

pub fn type_of(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::Status(m.read(ask, ask.arg(1)).map_or("none", |value| value.type_name())))
}

/// Puts a key with its deadline where none is.
fn add(m: &mut Model, ask: &Ask, key: &[u8], entry: Entry) {
    m.write(ask, key, entry.value);
    m.set_encodings(ask, key, entry.encodings);
    m.set_deadline(ask, key, entry.deadline);
}

/// Moves the value with its deadline; whatever the new name held goes without an event.
fn rename_key(m: &mut Model, ask: &Ask, only_if_free: bool) -> Answer {
    let [old, new] = [ask.arg(1), ask.arg(2)];
    let Some(entry) = m.entry(ask, old) else { return Err("ERR no such key".into()) };
    if old == new {
        return Ok(if only_if_free { Want::Int(0) } else { Want::ok() });
    }
    if m.exists(ask, new) {
        if only_if_free {
            return Ok(Want::Int(0));
        }
        m.remove(ask, new);
    }
    add(m, ask, new, entry);
    m.remove(ask, old);
    m.notify('g', "rename_from", ask.db, old);
    m.notify('g', "rename_to", ask.db, new);
    Ok(if only_if_free { Want::Int(1) } else { Want::ok() })
}

pub fn rename(m: &mut Model, ask: &Ask) -> Answer {
    rename_key(m, ask, false)
}

pub fn renamenx(m: &mut Model, ask: &Ask) -> Answer {
    rename_key(m, ask, true)
}

fn database(m: &Model, text: &[u8]) -> Result<usize, String> {
    m.db_index(int32(text)?)
}

/// COPY source destination [DB n] [REPLACE]
pub fn copy(m: &mut Model, ask: &Ask) -> Answer {
    let (mut db, mut replace) = (ask.db, false);
    let mut at = 3;
    while at < ask.argc() {
        if ask.is(at, "REPLACE") {
            replace = true;
        } else if ask.is(at, "DB") && at + 1 < ask.argc() {
            db = database(m, ask.arg(at + 1))?;
            at += 1;
        } else {
            return Err(SYNTAX.into());
        }
        at += 1;
    }
    let [source, destination] = [ask.arg(1), ask.arg(2)];
    if db == ask.db && source == destination {
        return Err(SAME_OBJECT.into());
    }
    if m.read(ask, source).is_none() {
        return Ok(Want::Int(0));
    }
    let entry = m.entry(ask, source);
    let there = Ask { db, ..*ask };
    let occupied = m.exists(&there, destination);
    let Some(entry) = entry.filter(|_| !occupied || replace) else { return Ok(Want::Int(0)) };
    m.remove(&there, destination);
    add(m, &there, destination, entry);
    m.notify('g', "copy_to", db, destination);
    Ok(Want::Int(1))
}

/// MOVE key db
pub fn move_key(m: &mut Model, ask: &Ask) -> Answer {
    let db = database(m, ask.arg(2))?;
    if db == ask.db {
        return Err(SAME_OBJECT.into());
    }
    let key = ask.arg(1);
    let there = Ask { db, ..*ask };
    let Some(entry) = m.entry(ask, key) else { return Ok(Want::Int(0)) };
    if m.exists(&there, key) {
        return Ok(Want::Int(0));
    }
    add(m, &there, key, entry);
    m.remove(ask, key);
    m.notify('g', "move_from", ask.db, key);
    m.notify('g', "move_to", db, key);
    Ok(Want::Int(1))
}

/// Every key that matches, in any order; never one whose time is up.
pub fn keys(m: &mut Model, ask: &Ask) -> Answer {
    let names = live_keys(m, ask).into_keys();
    Ok(Want::AnyOrder(
        names.filter(|key| ask.arg(1) == b"*" || glob::matches(ask.arg(1), key)).map(Want::Bulk).collect(),
    ))
}

fn live_keys(m: &Model, ask: &Ask) -> BTreeMap<Bytes, Value> {
    let live = m.dbs[ask.db].iter().filter(|(key, _)| !m.is_expired(ask.db, key, ask.now));
    live.map(|(key, entry)| (key.clone(), entry.value.clone())).collect()
}

pub fn randomkey(m: &mut Model, ask: &Ask) -> Answer {
    let mut keys: Vec<Want> = live_keys(m, ask).into_keys().map(Want::Bulk).collect();
    // During a pause expired keys stay. It does not look for a live one for ever, if they may all be such.
    let all = &m.dbs[ask.db];
    if m.is_paused(ask.now) && all.values().all(|entry| entry.deadline.is_some()) {
        keys = all.keys().cloned().map(Want::Bulk).collect();
    }
    Ok(if keys.is_empty() { Want::Nil } else { Want::OneOf(keys) })
}

/// SCAN cursor [MATCH pattern] [COUNT n] [TYPE name]
pub fn scan(m: &mut Model, ask: &Ask) -> Answer {
    let cursor = scan::cursor(ask.arg(1))?;
    let options = scan::options(ask, 2)?;
    let shown = |(key, value): &(Bytes, Value)| {
        let name = options.type_name.as_ref();
        scan::passes(&options, key)
            && name.is_none_or(|name| name.eq_ignore_ascii_case(value.type_name().as_bytes()))
    };
    let keys = live_keys(m, ask).into_iter().filter(shown).map(|(key, _)| (key, vec![])).collect();
    scan::page(m, ask, None, cursor, keys)
}

/// The NX, XX, GT and LT of EXPIRE.
fn conditions(ask: &Ask) -> Result<[bool; 4], String> {
    let mut given = [false; 4];
    for at in 3..ask.argc() {
        let which = ["NX", "XX", "GT", "LT"].iter().position(|word| ask.is(at, word));
        let Some(which) = which else {
            return Err(format!("ERR Unsupported option {}", c_string(ask.arg(at), usize::MAX)));
        };
        given[which] = true;
    }
    let [nx, xx, gt, lt] = given;
    if nx && (xx || gt || lt) {
        return Err("ERR NX and XX, GT or LT options at the same time are not compatible".into());
    }
    if gt && lt {
        return Err("ERR GT and LT options at the same time are not compatible".into());
    }
    Ok(given)
}

/// A key without deadline counts as one that lasts for ever: GT never applies to it, LT always. A deadline that has
/// passed deletes the key at once.
fn expire_at(m: &mut Model, ask: &Ask, seconds: bool, base: Millis) -> Answer {
    let [nx, xx, gt, lt] = conditions(ask)?;
    let time = number::int(ask.arg(2)).ok_or(NOT_INTEGER)?;
    let millis = if seconds { time.checked_mul(1000) } else { Some(time) };
    let deadline = millis
        .and_then(|millis| millis.checked_add(base))
        .ok_or_else(|| format!("ERR invalid expire time in '{}' command", ask.id.command().name))?;
    let key = ask.arg(1);
    let Some(entry) = m.entry(ask, key) else { return Ok(Want::Int(0)) };
    // By a clock of the server's own, two deadlines can be the same that are a little apart by the model's.
    let is_open = |old: Millis| (gt || lt) && m.slack > 0 && old.abs_diff(deadline) <= m.slack.unsigned_abs();
    let told = ask.reply.and_then(Frame::as_int);
    let refused = match entry.deadline {
        None => xx || gt,
        Some(old) if is_open(old) && told.is_some() => told == Some(0),
        Some(old) => nx || gt && deadline <= old || lt && deadline >= old,
    };
    if refused {
        return Ok(Want::Int(0));
    }
    if deadline <= ask.now {
        m.remove(ask, key);
        m.notify('g', "del", ask.db, key);
    } else {
        m.set_deadline(ask, key, Some(deadline));
        m.notify('g', "expire", ask.db, key);
    }
    Ok(Want::Int(1))
}

pub fn expire(m: &mut Model, ask: &Ask) -> Answer {
    expire_at(m, ask, true, ask.now)
}

pub fn pexpire(m: &mut Model, ask: &Ask) -> Answer {
    expire_at(m, ask, false, ask.now)
}

pub fn expireat(m: &mut Model, ask: &Ask) -> Answer {
    expire_at(m, ask, true, 0)
}

pub fn pexpireat(m: &mut Model, ask: &Ask) -> Answer {
    expire_at(m, ask, false, 0)
}

/// -2 without the key, -1 without a deadline, else what `shown` makes of it. A server with its own clock may have set
/// the deadline later than the model believes, and may look at it later.
fn time_of(m: &mut Model, ask: &Ask, shown: impl Fn(Millis) -> i64) -> Answer {
    if m.read(ask, ask.arg(1)).is_none() {
        return Ok(Want::Int(-2));
    }
    let Some(deadline) = m.entry(ask, ask.arg(1)).and_then(|entry| entry.deadline) else {
        return Ok(Want::Int(-1));
    };
    let slack = m.slack;
    Ok(match slack {
        0 => Want::Int(shown(deadline)),
        _ => Want::IntBetween(shown(deadline.saturating_sub(slack)), shown(deadline.saturating_add(slack))),
    })
}

/// Seconds, rounded.
fn seconds(millis: Millis) -> i64 {
    ((i128::from(millis) + 500) / 1000) as i64
}

pub fn ttl(m: &mut Model, ask: &Ask) -> Answer {
    time_of(m, ask, |deadline| seconds((deadline - ask.now).max(0)))
}

pub fn pttl(m: &mut Model, ask: &Ask) -> Answer {
    time_of(m, ask, |deadline| (deadline - ask.now).max(0))
}

pub fn expiretime(m: &mut Model, ask: &Ask) -> Answer {
    time_of(m, ask, seconds)
}

pub fn pexpiretime(m: &mut Model, ask: &Ask) -> Answer {
    time_of(m, ask, |deadline| deadline)
}

pub fn persist(m: &mut Model, ask: &Ask) -> Answer {
    let had_deadline = m.entry(ask, ask.arg(1)).is_some_and(|entry| entry.deadline.is_some());
    if had_deadline {
        m.set_deadline(ask, ask.arg(1), None);
        m.notify('g', "persist", ask.db, ask.arg(1));
    }
    Ok(Want::flag(had_deadline))
}

/// What OBJECT tells about a key that is there; looking does not count as reading.
fn object(m: &mut Model, ask: &Ask, about: impl Fn(&Value) -> Want) -> Answer {
    Ok(m.find(ask, ask.arg(2)).map_or(Want::Nil, |value| about(&value)))
}

/// Where several are possible, the answer tells which it is.
pub fn object_encoding(m: &mut Model, ask: &Ask) -> Answer {
    let Some(entry) = m.entry(ask, ask.arg(2)) else { return Ok(Want::Nil) };
    let told = ask.reply.and_then(|reply| reply.as_bytes());
    if let Some(&it) = entry.encodings.iter().find(|encoding| told == Some(encoding.as_bytes())) {
        m.set_encodings(ask, ask.arg(2), [it].into());
    }
    Ok(Want::OneOf(entry.encodings.iter().map(Want::bulk).collect()))
}

pub fn object_freq(m: &mut Model, ask: &Ask) -> Answer {
    let policy = m.config.get("maxmemory-policy").cloned().unwrap_or_default();
    match m.find(ask, ask.arg(2)) {
        None => Ok(Want::Nil),
        Some(_) if policy.ends_with("-lfu") => Ok(Want::IntBetween(0, 255)),
        Some(_) => Err("ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that \
                        when switching between policies at runtime LRU and LFU data will take some time to adjust."
            .into()),
    }
}

pub fn object_idletime(m: &mut Model, ask: &Ask) -> Answer {
    let policy = m.config.get("maxmemory-policy").cloned().unwrap_or_default();
    match m.find(ask, ask.arg(2)) {
        None => Ok(Want::Nil),
        Some(_) if policy.ends_with("-lfu") => {
            Err("ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching \
                 between policies at runtime LRU and LFU data will take some time to adjust."
                .into())
        }
        Some(_) => Ok(Want::IntBetween(0, i64::MAX)),
    }
}

/// Small integers are shared by all who use them; a value that a transaction set is shared with its queue.
pub fn object_refcount(m: &mut Model, ask: &Ask) -> Answer {
    object(m, ask, |_| Want::IntBetween(1, i32::MAX as i64))
}

pub fn object_help(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::help())
}

/// WAIT numreplicas timeout. There are no replicas, so it waits in vain unless it is for none. Of the number 32 bits
/// count.
pub fn wait(m: &mut Model, ask: &Ask) -> Answer {
    let replicas = number::int(ask.arg(1)).ok_or(NOT_INTEGER)?;
    let deadline = deadline_in_millis(ask, ask.arg(2))?;
    if replicas as i32 <= 0 || !ask.may_block {
        return Ok(Want::Int(0));
    }
    m.block_until(ask, &[], BlockedOn::Replicas, deadline, Want::Int(0))
}

/// WAITAOF numlocal numreplicas timeout. There are no append-only files either.
pub fn waitaof(m: &mut Model, ask: &Ask) -> Answer {
    let local = number::int(ask.arg(1)).ok_or(NOT_INTEGER)?;
    if local != 0 && local != 1 {
        return Err("ERR value is out of range, value must between 0 and 1".into());
    }
    let replicas = number::int_from(ask.arg(2), 0..=i64::MAX);
    let replicas = replicas.ok_or("ERR value is out of range, must be positive")?;
    let deadline = deadline_in_millis(ask, ask.arg(3))?;
    if local == 1 {
        return Err("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.".into());
    }
    let nowhere = Want::Array(vec![Want::Int(0), Want::Int(0)]);
    if replicas as i32 <= 0 || !ask.may_block {
        return Ok(nowhere);
    }
    m.block_until(ask, &[], BlockedOn::Replicas, deadline, nowhere)
}
