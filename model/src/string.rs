//! Strings: bytes, and numbers written as bytes.

use kevy::command::CommandId;

use crate::keyspace::{NOT_FLOAT, NOT_INTEGER, SYNTAX, as_string};
use crate::number::{self, LongDouble};
use crate::{Answer, Ask, Bytes, Millis, Model, Value, Want};

pub const TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

/// How a time option is meant: in seconds or milliseconds, from now or since the epoch.
#[derive(Clone, Copy)]
pub struct Unit {
    pub seconds: bool,
    pub absolute: bool,
}

impl Unit {
    /// By the name of the option.
    fn named(ask: &Ask, at: usize) -> Option<Unit> {
        [("EX", true, false), ("PX", false, false), ("EXAT", true, true), ("PXAT", false, true)]
            .into_iter()
            .find(|(word, ..)| ask.is(at, word))
            .map(|(_, seconds, absolute)| Unit { seconds, absolute })
    }

    /// The moment; it must be after the epoch and fit, and a time from now must be positive.
    fn deadline(self, ask: &Ask, text: &[u8]) -> Result<Millis, String> {
        let time = number::int(text).ok_or(NOT_INTEGER)?;
        let millis = if self.seconds { time.checked_mul(1000) } else { Some(time) };
        let base = if self.absolute { 0 } else { ask.now };
        let moment = millis.filter(|&millis| millis > 0).and_then(|millis| millis.checked_add(base));
        moment.ok_or_else(|| format!("ERR invalid expire time in '{}' command", ask.id.command().name))
    }
}

/// What becomes of the deadline when a value is set.
#[derive(PartialEq)]
enum Expiry {
    None,
    At(Millis),
    Keep,
}

/// The options of SET and GETEX.
struct Options<'a> {
    nx: bool,
    xx: bool,
    get: bool,
    keep: bool,
    persist: bool,
    time: Option<(Unit, &'a Bytes)>,
}

impl Options<'_> {
    fn deadline(&self, ask: &Ask) -> Result<Option<Millis>, String> {
        self.time.map(|(unit, text)| unit.deadline(ask, text)).transpose()
    }
}

/// Options may be repeated, the last one counting, but not contradict each other.
fn options<'a>(ask: &Ask<'a>, first: usize) -> Result<Options<'a>, String> {
    let is_set = ask.id == CommandId::Set;
    let (mut nx, mut xx, mut get, mut keep, mut persist) = (false, false, false, false, false);
    let mut time: Option<(Unit, &Bytes)> = None;
    let mut at = first;
    while at < ask.argc() {
        let unit = Unit::named(ask, at);
        let same_unit = |unit: Unit| {
            time.is_none_or(|(was, _)| (was.seconds, was.absolute) == (unit.seconds, unit.absolute))
        };
        if is_set && ask.is(at, "NX") && !xx {
            nx = true;
        } else if is_set && ask.is(at, "XX") && !nx {
            xx = true;
        } else if is_set && ask.is(at, "GET") {
            get = true;
        } else if is_set && ask.is(at, "KEEPTTL") && time.is_none() {
            keep = true;
        } else if !is_set && ask.is(at, "PERSIST") && time.is_none() {
            persist = true;
        } else if let (Some(unit), Some(text)) = (unit, ask.argv.get(at + 1))
            && same_unit(unit)
            && !keep
            && !persist
        {
            time = Some((unit, text));
            at += 1;
        } else {
            return Err(SYNTAX.into());
        }
        at += 1;
    }
    Ok(Options { nx, xx, get, keep, persist, time })
}

pub fn get(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::bulk_or_nil(as_string(m.read(ask, ask.arg(1)))?))
}

pub fn set(m: &mut Model, ask: &Ask) -> Answer {
    let options = options(ask, 3)?;
    let expiry = match options.deadline(ask)? {
        Some(deadline) => Expiry::At(deadline),
        None if options.keep => Expiry::Keep,
        None => Expiry::None,
    };
    let key = ask.arg(1);
    // With GET the reply is the old value, whether or not a new one is set.
    let old = if options.get { Some(get(m, ask)?) } else { None };
    let exists = m.exists(ask, key);
    if options.nx && exists || options.xx && !exists {
        return Ok(old.unwrap_or(Want::Nil));
    }
    set_value(m, ask, key, ask.arg(2), expiry);
    Ok(old.unwrap_or(Want::ok()))
}

fn set_value(m: &mut Model, ask: &Ask, key: &[u8], value: &Bytes, expiry: Expiry) {
    let value = Value::String(value.clone());
    match expiry {
        Expiry::Keep => m.write(ask, key, value),
        _ => m.put(ask, key, value),
    }
    m.touch(ask.db, key);
    m.notify('$', "set", ask.db, key);
    if let Expiry::At(deadline) = expiry {
        m.set_deadline(ask, key, Some(deadline));
        m.notify('g', "expire", ask.db, key);
    }
}

pub fn setnx(m: &mut Model, ask: &Ask) -> Answer {
    let free = !m.exists(ask, ask.arg(1));
    if free {
        set_value(m, ask, ask.arg(1), ask.arg(2), Expiry::None);
    }
    Ok(Want::flag(free))
}

fn set_for(m: &mut Model, ask: &Ask, seconds: bool) -> Answer {
    let deadline = Unit { seconds, absolute: false }.deadline(ask, ask.arg(2))?;
    set_value(m, ask, ask.arg(1), ask.arg(3), Expiry::At(deadline));
    Ok(Want::ok())
}

pub fn setex(m: &mut Model, ask: &Ask) -> Answer {
    set_for(m, ask, true)
}

pub fn psetex(m: &mut Model, ask: &Ask) -> Answer {
    set_for(m, ask, false)
}

pub fn getset(m: &mut Model, ask: &Ask) -> Answer {
    let old = get(m, ask)?;
    set_value(m, ask, ask.arg(1), ask.arg(2), Expiry::None);
    Ok(old)
}

pub fn getdel(m: &mut Model, ask: &Ask) -> Answer {
    let old = get(m, ask)?;
    if m.remove(ask, ask.arg(1)) {
        m.notify('g', "del", ask.db, ask.arg(1));
    }
    Ok(old)
}

/// Reads, and sets or ends the deadline. One that has passed deletes the key.
pub fn getex(m: &mut Model, ask: &Ask) -> Answer {
    let options = options(ask, 2)?;
    let key = ask.arg(1);
    let Some(value) = as_string(m.read(ask, key))? else { return Ok(Want::Nil) };
    let has_deadline = m.entry(ask, key).is_some_and(|entry| entry.deadline.is_some());
    match options.deadline(ask)? {
        Some(deadline) if deadline <= ask.now => {
            m.remove(ask, key);
            m.notify('g', "del", ask.db, key);
        }
        Some(deadline) => {
            m.set_deadline(ask, key, Some(deadline));
            m.notify('g', "expire", ask.db, key);
        }
        None if options.persist && has_deadline => {
            m.set_deadline(ask, key, None);
            m.notify('g', "persist", ask.db, key);
        }
        None => {}
    }
    Ok(Want::Bulk(value))
}

/// Keys of other types are as good as missing.
pub fn mget(m: &mut Model, ask: &Ask) -> Answer {
    let values = ask.argv[1..].iter().map(|key| match m.read(ask, key) {
        Some(Value::String(value)) => Want::Bulk(value),
        _ => Want::Nil,
    });
    Ok(Want::Array(values.collect()))
}

pub fn mset(m: &mut Model, ask: &Ask) -> Answer {
    for (key, value) in pairs(ask)? {
        set_value(m, ask, key, value, Expiry::None);
    }
    Ok(Want::ok())
}

pub fn msetnx(m: &mut Model, ask: &Ask) -> Answer {
    for (key, _) in pairs(ask)? {
        if m.exists(ask, key) {
            return Ok(Want::Int(0));
        }
    }
    mset(m, ask)?;
    Ok(Want::Int(1))
}

fn pairs<'a>(ask: &Ask<'a>) -> Result<Vec<(&'a Bytes, &'a Bytes)>, String> {
    if ask.argc().is_multiple_of(2) {
        return Err(crate::gates::wrong_arity(ask.id.command().name));
    }
    Ok(ask.argv[1..].chunks(2).map(|pair| (&pair[0], &pair[1])).collect())
}

pub fn strlen(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::count(as_string(m.read(ask, ask.arg(1)))?.map_or(0, |value| value.len())))
}

pub fn append(m: &mut Model, ask: &Ask) -> Answer {
    let old = as_string(m.find(ask, ask.arg(1)))?.unwrap_or_default();
    m.check_length(old.len() as u64 + ask.arg(2).len() as u64)?;
    let new = [&old[..], ask.arg(2)].concat();
    let length = new.len();
    m.changed(ask, ask.arg(1), Value::String(new), '$', "append");
    Ok(Want::count(length))
}

impl Model {
    pub(crate) fn check_length(&self, length: u64) -> Result<(), String> {
        let max = self.config.get("proto-max-bulk-len").and_then(|max| max.parse().ok());
        if length > max.unwrap_or(512 << 20) { Err(TOO_LONG.into()) } else { Ok(()) }
    }
}

/// The bounds of a part of `length` elements: negative indexes count from the end, both ends are included and moved
/// inside; `None` if nothing is left.
pub fn part(length: usize, start: i64, end: i64) -> Option<std::ops::RangeInclusive<usize>> {
    let length = length as i64;
    let from_start = |index: i64| if index < 0 { (index.saturating_add(length)).max(0) } else { index };
    let (start, end) = (from_start(start), from_start(end).min(length - 1));
    (start <= end && start < length).then_some(start as usize..=end as usize)
}

pub fn getrange(m: &mut Model, ask: &Ask) -> Answer {
    let start = number::int(ask.arg(2)).ok_or(NOT_INTEGER)?;
    let end = number::int(ask.arg(3)).ok_or(NOT_INTEGER)?;
    let value = as_string(m.read(ask, ask.arg(1)))?.unwrap_or_default();
    // Two negative indexes in the wrong order are empty even where moving them inside would make them meet.
    if start < 0 && end < 0 && start > end {
        return Ok(Want::bulk(""));
    }
    Ok(Want::bulk(part(value.len(), start, end).map_or(&[][..], |part| &value[part])))
}

pub fn substr(m: &mut Model, ask: &Ask) -> Answer {
    getrange(m, ask)
}

/// Writing beyond the end fills with zero bytes; writing nothing changes nothing.
pub fn setrange(m: &mut Model, ask: &Ask) -> Answer {
    let offset = number::int(ask.arg(2)).ok_or(NOT_INTEGER)?;
    if offset < 0 {
        return Err("ERR offset is out of range".into());
    }
    let patch = ask.arg(3);
    let mut value = as_string(m.find(ask, ask.arg(1)))?.unwrap_or_default();
    if patch.is_empty() {
        return Ok(Want::count(value.len()));
    }
    m.check_length((offset as u64).saturating_add(patch.len() as u64))?;
    let (start, end) = (offset as usize, offset as usize + patch.len());
    value.resize(value.len().max(end), 0);
    value[start..end].copy_from_slice(patch);
    let length = value.len();
    m.changed(ask, ask.arg(1), Value::String(value), '$', "setrange");
    Ok(Want::count(length))
}

fn increment(m: &mut Model, ask: &Ask, by: i64) -> Answer {
    let old = match as_string(m.find(ask, ask.arg(1)))? {
        Some(text) => number::int(&text).ok_or(NOT_INTEGER)?,
        None => 0,
    };
    let new = old.checked_add(by).ok_or("ERR increment or decrement would overflow")?;
    m.changed(ask, ask.arg(1), Value::String(new.to_string().into()), '$', "incrby");
    Ok(Want::Int(new))
}

pub fn incr(m: &mut Model, ask: &Ask) -> Answer {
    increment(m, ask, 1)
}

pub fn decr(m: &mut Model, ask: &Ask) -> Answer {
    increment(m, ask, -1)
}

pub fn incrby(m: &mut Model, ask: &Ask) -> Answer {
    let by = number::int(ask.arg(2)).ok_or(NOT_INTEGER)?;
    increment(m, ask, by)
}

pub fn decrby(m: &mut Model, ask: &Ask) -> Answer {
    let by = number::int(ask.arg(2)).ok_or(NOT_INTEGER)?;
    increment(m, ask, by.checked_neg().ok_or("ERR decrement would overflow")?)
}

pub fn incrbyfloat(m: &mut Model, ask: &Ask) -> Answer {
    let old = as_string(m.find(ask, ask.arg(1)))?.unwrap_or(b"0".to_vec());
    let old = LongDouble::parse(&old).ok_or(NOT_FLOAT)?;
    let by = LongDouble::parse(ask.arg(2)).ok_or(NOT_FLOAT)?;
    let new = old.plus(&by).ok_or("ERR increment would produce NaN or Infinity")?.text();
    m.changed(ask, ask.arg(1), Value::String(new.clone().into()), '$', "incrbyfloat");
    Ok(Want::bulk(new))
}

/// LCS a b [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN]: the longest common subsequence.
pub fn lcs(m: &mut Model, ask: &Ask) -> Answer {
    let [a, b] = [ask.arg(1), ask.arg(2)].map(|key| as_string(m.read(ask, key)));
    let (Ok(a), Ok(b)) = (a, b) else {
        return Err("ERR The specified keys must contain string values".into());
    };
    let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
    let (mut len, mut idx, mut with_lengths, mut min_length) = (false, false, false, 0);
    let mut at = 3;
    while at < ask.argc() {
        if ask.is(at, "IDX") {
            idx = true;
        } else if ask.is(at, "LEN") {
            len = true;
        } else if ask.is(at, "WITHMATCHLEN") {
            with_lengths = true;
        } else if ask.is(at, "MINMATCHLEN") && at + 1 < ask.argc() {
            min_length = number::int(ask.arg(at + 1)).ok_or(NOT_INTEGER)?.max(0);
            at += 1;
        } else {
            return Err(SYNTAX.into());
        }
        at += 1;
    }
    if idx && len {
        return Err("ERR If you want both the length and indexes, please just use IDX.".into());
    }
    let pairs = common_subsequence(&a, &b);
    if len {
        return Ok(Want::count(pairs.len()));
    }
    if !idx {
        return Ok(Want::Bulk(pairs.iter().rev().map(|&(i, _)| a[i]).collect()));
    }
    let matches = runs(&pairs).into_iter().filter(|&(.., length)| length as i64 >= min_length);
    let matches = matches.map(|(i, j, length)| {
        let range = |start: usize| Want::Array(vec![Want::count(start), Want::count(start + length - 1)]);
        let mut parts = vec![range(i), range(j)];
        parts.extend(with_lengths.then(|| Want::count(length)));
        Want::Array(parts)
    });
    Ok(Want::Map(vec![
        (Want::bulk("matches"), Want::Array(matches.collect())),
        (Want::bulk("len"), Want::count(pairs.len())),
    ]))
}

/// The pairs of positions of a longest common subsequence, from the end. Of several, the one found by walking back
/// from the ends and stepping in `b` where both steps are as good.
fn common_subsequence(a: &[u8], b: &[u8]) -> Vec<(usize, usize)> {
    // length[i][j]: of the longest common subsequence of the first i bytes of a and the first j of b.
    let mut length = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            length[i][j] = if a[i - 1] == b[j - 1] {
                length[i - 1][j - 1] + 1
            } else {
                length[i - 1][j].max(length[i][j - 1])
            };
        }
    }
    let (mut i, mut j) = (a.len(), b.len());
    let mut pairs = Vec::new();
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            (i, j) = (i - 1, j - 1);
            pairs.push((i, j));
        } else if length[i - 1][j] > length[i][j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    pairs
}

/// Joins pairs that are neighbours in both strings: start in `a`, start in `b`, length.
fn runs(pairs: &[(usize, usize)]) -> Vec<(usize, usize, usize)> {
    let mut runs: Vec<(usize, usize, usize)> = Vec::new();
    for &(i, j) in pairs {
        match runs.last_mut() {
            Some((a, b, length)) if i + 1 == *a && j + 1 == *b => (*a, *b, *length) = (i, j, *length + 1),
            _ => runs.push((i, j, 1)),
        }
    }
    runs
}
