//! Hashes: maps from fields to values.

use std::collections::BTreeMap;

use kevy::command::CommandId;
use kevy::resp::{Frame, Protocol};

use crate::keyspace::{NOT_FLOAT, NOT_INTEGER, SYNTAX, as_hash};
use crate::number::{self, LongDouble};
use crate::{Answer, Ask, Bytes, Model, Value, Want, scan};

type Fields = BTreeMap<Bytes, Bytes>;

/// The hash at the first key for a change, empty if there is none.
fn hash_of(m: &mut Model, ask: &Ask) -> Result<Fields, String> {
    Ok(as_hash(m.find(ask, ask.arg(1)))?.unwrap_or_default())
}

/// The hash at the first key for reading, empty if there is none.
fn read_hash(m: &mut Model, ask: &Ask) -> Result<Fields, String> {
    Ok(as_hash(m.read(ask, ask.arg(1)))?.unwrap_or_default())
}

fn save(m: &mut Model, ask: &Ask, hash: Fields, event: &str) {
    m.changed(ask, ask.arg(1), Value::Hash(hash), 'h', event);
}

/// HSET key field value [field value …]
pub fn hset(m: &mut Model, ask: &Ask) -> Answer {
    if ask.argc() % 2 == 1 {
        let name = ask.id.command().name;
        return Err(format!("ERR wrong number of arguments for '{name}' command"));
    }
    let mut hash = hash_of(m, ask)?;
    let before = hash.len();
    for pair in ask.argv[2..].chunks(2) {
        hash.insert(pair[0].clone(), pair[1].clone());
    }
    let added = hash.len() - before;
    save(m, ask, hash, "hset");
    Ok(if ask.id == CommandId::HMSet { Want::ok() } else { Want::count(added) })
}

/// HSET from before it counted.
pub fn hmset(m: &mut Model, ask: &Ask) -> Answer {
    hset(m, ask)
}

pub fn hsetnx(m: &mut Model, ask: &Ask) -> Answer {
    let mut hash = hash_of(m, ask)?;
    let absent = !hash.contains_key(ask.arg(2));
    if absent {
        hash.insert(ask.arg(2).clone(), ask.arg(3).clone());
        save(m, ask, hash, "hset");
    }
    Ok(Want::flag(absent))
}

pub fn hget(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::bulk_or_nil(read_hash(m, ask)?.remove(ask.arg(2))))
}

pub fn hmget(m: &mut Model, ask: &Ask) -> Answer {
    let hash = read_hash(m, ask)?;
    let values = ask.argv[2..].iter().map(|field| Want::bulk_or_nil(hash.get(field).cloned()));
    Ok(Want::Array(values.collect()))
}

pub fn hdel(m: &mut Model, ask: &Ask) -> Answer {
    let mut hash = hash_of(m, ask)?;
    let removed = ask.argv[2..].iter().filter(|field| hash.remove(*field).is_some()).count();
    if removed > 0 {
        save(m, ask, hash, "hdel");
    }
    Ok(Want::count(removed))
}

/// HGETDEL key FIELDS count field …
pub fn hgetdel(m: &mut Model, ask: &Ask) -> Answer {
    let mut hash = hash_of(m, ask)?;
    if !ask.is(2, "FIELDS") {
        return Err("ERR Mandatory argument FIELDS is missing or not at the right position".into());
    }
    let count = number::int_from(ask.arg(3), 1..=i64::MAX);
    let count = count.ok_or("ERR Number of fields must be a positive integer")?;
    let fields = &ask.argv[4..];
    if count != fields.len() as i64 {
        return Err("ERR The `numfields` parameter must match the number of arguments".into());
    }
    let values: Vec<Option<Bytes>> = fields.iter().map(|field| hash.remove(field)).collect();
    if values.iter().any(Option::is_some) {
        save(m, ask, hash, "hdel");
    }
    Ok(Want::Array(values.into_iter().map(Want::bulk_or_nil).collect()))
}

pub fn hlen(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::count(read_hash(m, ask)?.len()))
}

pub fn hstrlen(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::count(read_hash(m, ask)?.get(ask.arg(2)).map_or(0, Vec::len)))
}

pub fn hexists(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::flag(read_hash(m, ask)?.contains_key(ask.arg(2))))
}

pub fn hkeys(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::AnyOrder(read_hash(m, ask)?.into_keys().map(Want::Bulk).collect()))
}

pub fn hvals(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::AnyOrder(read_hash(m, ask)?.into_values().map(Want::Bulk).collect()))
}

pub fn hgetall(m: &mut Model, ask: &Ask) -> Answer {
    let pairs = read_hash(m, ask)?.into_iter().map(|(field, value)| (Want::Bulk(field), Want::Bulk(value)));
    Ok(Want::Map(pairs.collect()))
}

/// HINCRBY key field n: a missing field counts as 0.
pub fn hincrby(m: &mut Model, ask: &Ask) -> Answer {
    let by = number::int(ask.arg(3)).ok_or(NOT_INTEGER)?;
    let mut hash = hash_of(m, ask)?;
    let before = match hash.get(ask.arg(2)) {
        Some(text) => number::int(text).ok_or("ERR hash value is not an integer")?,
        None => 0,
    };
    let after = before.checked_add(by).ok_or("ERR increment or decrement would overflow")?;
    hash.insert(ask.arg(2).clone(), after.to_string().into());
    save(m, ask, hash, "hincrby");
    Ok(Want::Int(after))
}

pub fn hincrbyfloat(m: &mut Model, ask: &Ask) -> Answer {
    let by = LongDouble::parse(ask.arg(3)).ok_or(NOT_FLOAT)?;
    if matches!(by, LongDouble::Infinite { .. }) {
        return Err("ERR value is NaN or Infinity".into());
    }
    let mut hash = hash_of(m, ask)?;
    let before = match hash.get(ask.arg(2)) {
        Some(text) => LongDouble::parse(text).ok_or("ERR hash value is not a float")?,
        None => LongDouble::parse(b"0").expect("zero is a number"),
    };
    let after = before.plus(&by).ok_or("ERR increment would produce NaN or Infinity")?.text();
    hash.insert(ask.arg(2).clone(), after.clone().into());
    save(m, ask, hash, "hincrbyfloat");
    Ok(Want::bulk(after))
}

/// HRANDFIELD key [count [WITHVALUES]]: with a positive count that many different fields, as far as there are; with a
/// negative one exactly that many, which may repeat.
pub fn hrandfield(m: &mut Model, ask: &Ask) -> Answer {
    if ask.argc() == 2 {
        let fields: Vec<Want> = read_hash(m, ask)?.into_keys().map(Want::Bulk).collect();
        return Ok(if fields.is_empty() { Want::Nil } else { Want::OneOf(fields) });
    }
    let count = signed_count(ask.arg(2))?;
    let with_values = ask.is(3, "WITHVALUES");
    if ask.argc() > 4 || (ask.argc() == 4 && !with_values) {
        return Err(SYNTAX.into());
    }
    if with_values && !(i64::MIN / 2 + 1..=i64::MAX / 2).contains(&count) {
        return Err("ERR value is out of range".into());
    }
    let hash = read_hash(m, ask)?;
    let protocol = ask.protocol;
    Ok(Want::such("that many fields of the hash, each with its value if asked for", move |frame| {
        let Frame::Array(items) = frame else { return false };
        let Some(pairs) = fields_and_values(items, with_values, protocol) else { return false };
        let known = pairs
            .iter()
            .all(|(field, value)| hash.get(*field).is_some_and(|is| value.is_none_or(|value| value == is)));
        known && is_draw(&pairs.iter().map(|(field, _)| *field).collect::<Vec<_>>(), count, hash.len())
    }))
}

/// Reads the pairs of a reply: flat in RESP2, nested in RESP3.
fn fields_and_values(
    items: &[Frame],
    with_values: bool,
    protocol: Protocol,
) -> Option<Vec<(&Bytes, Option<&Bytes>)>> {
    fn bulk(frame: &Frame) -> Option<&Bytes> {
        if let Frame::Bulk(bytes) = frame { Some(bytes) } else { None }
    }
    fn pair(both: &[Frame]) -> Option<(&Bytes, Option<&Bytes>)> {
        let [field, value] = both else { return None };
        Some((bulk(field)?, Some(bulk(value)?)))
    }
    if !with_values {
        return items.iter().map(|item| Some((bulk(item)?, None))).collect();
    }
    if protocol == Protocol::Resp3 {
        fn nested(item: &Frame) -> Option<(&Bytes, Option<&Bytes>)> {
            if let Frame::Array(both) = item { pair(both) } else { None }
        }
        return items.iter().map(nested).collect();
    }
    items.chunks(2).map(pair).collect()
}

/// The count of a random draw; its negation must exist.
pub fn signed_count(text: &[u8]) -> Result<i64, String> {
    match number::int(text) {
        None => Err(NOT_INTEGER.into()),
        Some(i64::MIN) => Err("ERR value is out of range, value must between -9223372036854775807 and \
                               9223372036854775807"
            .into()),
        Some(count) => Ok(count),
    }
}

/// Whether `drawn` has as many elements as a draw of `count` from `available` must have, and repeats none unless the
/// count is negative.
pub fn is_draw(drawn: &[&Bytes], count: i64, available: usize) -> bool {
    if count < 0 {
        let wanted = if available == 0 { 0 } else { count.unsigned_abs() };
        return drawn.len() as u64 == wanted;
    }
    let distinct: std::collections::BTreeSet<_> = drawn.iter().collect();
    drawn.len() == available.min(usize::try_from(count).unwrap_or(usize::MAX))
        && distinct.len() == drawn.len()
}

/// HSCAN key cursor [MATCH pattern] [COUNT n] [NOVALUES]; the options of a missing key are not looked at.
pub fn hscan(m: &mut Model, ask: &Ask) -> Answer {
    let cursor = scan::cursor(ask.arg(2))?;
    let Some(hash) = as_hash(m.read(ask, ask.arg(1)))? else {
        return Ok(Want::Array(vec![Want::bulk("0"), Want::Array(vec![])]));
    };
    let options = scan::options(ask, 3)?;
    let shown = hash.into_iter().filter(|(field, _)| scan::passes(&options, field));
    let elements = shown.map(|(field, value)| {
        let follows = if options.no_values { vec![] } else { vec![Want::Bulk(value)] };
        (field, follows)
    });
    let elements = elements.collect();
    scan::page(m, ask, Some(ask.arg(1)), cursor, elements)
}
