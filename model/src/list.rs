//! Lists: elements in order, with two ends, and clients that wait for elements.

use kevy::command::CommandId;

use crate::blocking::{BlockedOn, counted_keys, deadline};
use crate::keyspace::{NOT_INTEGER, SYNTAX, as_list};
use crate::number;
use crate::{Answer, Ask, Bytes, Model, Value, Want};

/// An end of a list.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Left,
    Right,
}

impl End {
    fn parse(ask: &Ask, at: usize) -> Result<End, String> {
        match () {
            _ if ask.is(at, "LEFT") => Ok(End::Left),
            _ if ask.is(at, "RIGHT") => Ok(End::Right),
            _ => Err(SYNTAX.into()),
        }
    }

    fn push(self, list: &mut Vec<Bytes>, element: Bytes) {
        match self {
            End::Left => list.insert(0, element),
            End::Right => list.push(element),
        }
    }

    /// Up to `count` elements, the one at the end first.
    fn pop(self, list: &mut Vec<Bytes>, count: usize) -> Vec<Bytes> {
        let count = count.min(list.len());
        match self {
            End::Left => list.drain(..count).collect(),
            End::Right => list.drain(list.len() - count..).rev().collect(),
        }
    }

    fn push_event(self) -> &'static str {
        if self == End::Left { "lpush" } else { "rpush" }
    }

    fn pop_event(self) -> &'static str {
        if self == End::Left { "lpop" } else { "rpop" }
    }
}

const OUT_OF_RANGE_POSITIVE: &str = "ERR value is out of range, must be positive";

fn push(m: &mut Model, ask: &Ask, end: End, only_existing: bool) -> Answer {
    let key = ask.arg(1);
    let old = as_list(m.find(ask, key))?;
    if old.is_none() && only_existing {
        return Ok(Want::Int(0));
    }
    let mut list = old.unwrap_or_default();
    ask.argv[2..].iter().for_each(|element| end.push(&mut list, element.clone()));
    let length = list.len();
    m.changed(ask, key, Value::List(list), 'l', end.push_event());
    Ok(Want::count(length))
}

pub fn lpush(m: &mut Model, ask: &Ask) -> Answer {
    push(m, ask, End::Left, false)
}

pub fn rpush(m: &mut Model, ask: &Ask) -> Answer {
    push(m, ask, End::Right, false)
}

pub fn lpushx(m: &mut Model, ask: &Ask) -> Answer {
    push(m, ask, End::Left, true)
}

pub fn rpushx(m: &mut Model, ask: &Ask) -> Answer {
    push(m, ask, End::Right, true)
}

/// Pops from a list that is there.
fn take(m: &mut Model, ask: &Ask, key: &[u8], mut list: Vec<Bytes>, end: End, count: usize) -> Vec<Bytes> {
    let elements = end.pop(&mut list, count);
    m.changed(ask, key, Value::List(list), 'l', end.pop_event());
    elements
}

/// With a count the reply is an array, and the null of a missing key one of arrays.
fn pop(m: &mut Model, ask: &Ask, end: End) -> Answer {
    if ask.argc() > 3 {
        return Err(crate::gates::wrong_arity(ask.id.command().name));
    }
    let count = match ask.argv.get(2) {
        Some(count) => Some(number::int_from(count, 0..=i64::MAX).ok_or(OUT_OF_RANGE_POSITIVE)?),
        None => None,
    };
    let list = as_list(m.find(ask, ask.arg(1)))?;
    match (list, count) {
        (None, None) => Ok(Want::Nil),
        (None, Some(_)) => Ok(Want::NilArray),
        (Some(_), Some(0)) => Ok(Want::Array(vec![])),
        (Some(list), Some(count)) => Ok(Want::bulks(take(m, ask, ask.arg(1), list, end, count as usize))),
        (Some(list), None) => Ok(Want::bulk_or_nil(take(m, ask, ask.arg(1), list, end, 1).pop())),
    }
}

pub fn lpop(m: &mut Model, ask: &Ask) -> Answer {
    pop(m, ask, End::Left)
}

pub fn rpop(m: &mut Model, ask: &Ask) -> Answer {
    pop(m, ask, End::Right)
}

/// The first of these keys that is there, and its list. A key of another type before it is an error.
fn first_list<'a>(
    m: &mut Model,
    ask: &Ask,
    keys: &'a [Bytes],
) -> Result<Option<(&'a Bytes, Vec<Bytes>)>, String> {
    for key in keys {
        if let Some(list) = as_list(m.find(ask, key))? {
            return Ok(Some((key, list)));
        }
    }
    Ok(None)
}

fn blocking_pop(m: &mut Model, ask: &Ask, end: End) -> Answer {
    let (timeout, keys) = (ask.arg(ask.argc() - 1), &ask.argv[1..ask.argc() - 1]);
    let deadline = deadline(ask, timeout)?;
    match first_list(m, ask, keys)? {
        Some((key, list)) => {
            let elements = take(m, ask, key, list, end, 1);
            Ok(Want::bulks([vec![key.clone()], elements].concat()))
        }
        None if ask.may_block => m.block(ask, keys, BlockedOn::List, deadline),
        None => Ok(Want::NilArray),
    }
}

pub fn blpop(m: &mut Model, ask: &Ask) -> Answer {
    blocking_pop(m, ask, End::Left)
}

pub fn brpop(m: &mut Model, ask: &Ask) -> Answer {
    blocking_pop(m, ask, End::Right)
}

/// What follows the keys of LMPOP: LEFT | RIGHT [COUNT n].
fn end_and_count(ask: &Ask, at: usize) -> Result<(End, usize), String> {
    let end = End::parse(ask, at)?;
    let rest = &ask.argv[at + 1..];
    let mut count = 1;
    if let Some(text) = rest.get(1).filter(|_| ask.is(at + 1, "COUNT")) {
        count = number::int_from(text, 1..=i64::MAX).ok_or("ERR count should be greater than 0")?;
    }
    let well_formed = rest.is_empty() || rest.len() == 2 && ask.is(at + 1, "COUNT");
    if well_formed { Ok((end, count as usize)) } else { Err(SYNTAX.into()) }
}

/// LMPOP numkeys key … LEFT | RIGHT [COUNT n], with a timeout before them if it is BLMPOP.
pub fn lmpop(m: &mut Model, ask: &Ask) -> Answer {
    let blocking = ask.id == CommandId::BLMPop;
    let (keys, after) = counted_keys(ask, if blocking { 2 } else { 1 })?;
    let (end, count) = end_and_count(ask, after)?;
    let deadline = if blocking { deadline(ask, ask.arg(1))? } else { None };
    match first_list(m, ask, keys)? {
        Some((key, list)) => {
            let elements = take(m, ask, key, list, end, count);
            Ok(Want::Array(vec![Want::bulk(key), Want::bulks(elements)]))
        }
        None if blocking && ask.may_block => m.block(ask, keys, BlockedOn::List, deadline),
        None => Ok(Want::NilArray),
    }
}

pub fn blmpop(m: &mut Model, ask: &Ask) -> Answer {
    lmpop(m, ask)
}

/// Moves an element from a list, which is there, to a list, which may be the same one.
fn move_element(m: &mut Model, ask: &Ask, source: Vec<Bytes>, from: End, to: End) -> Answer {
    let [source_key, destination_key] = [ask.arg(1), ask.arg(2)];
    let mut destination = as_list(m.find(ask, destination_key))?.unwrap_or_default();
    let mut source = source;
    let Some(element) = from.pop(&mut source, 1).pop() else { return Ok(Want::Nil) };
    if source_key == destination_key {
        to.push(&mut source, element.clone());
        m.changed(ask, source_key, Value::List(source), 'l', to.push_event());
        m.notify('l', from.pop_event(), ask.db, source_key);
    } else {
        // The element arrives before it leaves, as events tell it.
        to.push(&mut destination, element.clone());
        m.changed(ask, destination_key, Value::List(destination), 'l', to.push_event());
        m.changed(ask, source_key, Value::List(source), 'l', from.pop_event());
    }
    Ok(Want::Bulk(element))
}

fn move_or_wait(m: &mut Model, ask: &Ask, from: End, to: End, timeout: Option<usize>) -> Answer {
    let deadline = timeout.map(|at| deadline(ask, ask.arg(at))).transpose()?;
    match (as_list(m.find(ask, ask.arg(1)))?, deadline) {
        (Some(source), _) => move_element(m, ask, source, from, to),
        (None, Some(deadline)) if ask.may_block => m.block(ask, &ask.argv[1..2], BlockedOn::List, deadline),
        (None, _) => Ok(Want::Nil),
    }
}

pub fn lmove(m: &mut Model, ask: &Ask) -> Answer {
    move_or_wait(m, ask, End::parse(ask, 3)?, End::parse(ask, 4)?, None)
}

pub fn blmove(m: &mut Model, ask: &Ask) -> Answer {
    move_or_wait(m, ask, End::parse(ask, 3)?, End::parse(ask, 4)?, Some(5))
}

pub fn rpoplpush(m: &mut Model, ask: &Ask) -> Answer {
    move_or_wait(m, ask, End::Right, End::Left, None)
}

pub fn brpoplpush(m: &mut Model, ask: &Ask) -> Answer {
    move_or_wait(m, ask, End::Right, End::Left, Some(3))
}

/// Any integer but the least, which has no opposite.
fn negatable(text: &[u8]) -> Result<i64, String> {
    let (low, high) = (-i64::MAX, i64::MAX);
    let value = number::int(text).ok_or(NOT_INTEGER)?;
    match value {
        i64::MIN => Err(format!("ERR value is out of range, value must between {low} and {high}")),
        _ => Ok(value),
    }
}

/// The place that an index means, negative ones counting from the end.
fn place(length: usize, index: i64) -> Option<usize> {
    let index = if index < 0 { index.checked_add(length as i64)? } else { index };
    usize::try_from(index).ok().filter(|&place| place < length)
}

pub fn lindex(m: &mut Model, ask: &Ask) -> Answer {
    let Some(list) = as_list(m.read(ask, ask.arg(1)))? else { return Ok(Want::Nil) };
    let index = number::int(ask.arg(2)).ok_or(NOT_INTEGER)?;
    Ok(Want::bulk_or_nil(place(list.len(), index).map(|place| list[place].clone())))
}

pub fn linsert(m: &mut Model, ask: &Ask) -> Answer {
    let after = ask.is(2, "AFTER");
    if !after && !ask.is(2, "BEFORE") {
        return Err(SYNTAX.into());
    }
    let Some(mut list) = as_list(m.find(ask, ask.arg(1)))? else { return Ok(Want::Int(0)) };
    let Some(pivot) = list.iter().position(|element| element == ask.arg(3)) else {
        m.convert(ask, ask.arg(1));
        return Ok(Want::Int(-1));
    };
    list.insert(pivot + usize::from(after), ask.arg(4).clone());
    let length = list.len();
    m.changed(ask, ask.arg(1), Value::List(list), 'l', "linsert");
    Ok(Want::count(length))
}

pub fn llen(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::count(as_list(m.read(ask, ask.arg(1)))?.map_or(0, |list| list.len())))
}

/// LPOS key element [RANK rank] [COUNT n] [MAXLEN n]: the places of the element, from the match of this rank on
/// (negative: from the end), looking at no more than MAXLEN elements. COUNT 0 is all.
pub fn lpos(m: &mut Model, ask: &Ask) -> Answer {
    let (mut rank, mut count, mut max_length) = (1, None, 0);
    let mut at = 3;
    while at < ask.argc() {
        let Some(value) = ask.argv.get(at + 1) else { return Err(SYNTAX.into()) };
        if ask.is(at, "RANK") {
            rank = negatable(value)?;
            if rank == 0 {
                return Err(
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second \
                            ... or use negative to start from the end of the list"
                        .into(),
                );
            }
        } else if ask.is(at, "COUNT") {
            let value = number::int_from(value, 0..=i64::MAX);
            count = Some(value.ok_or("ERR COUNT can't be negative")?);
        } else if ask.is(at, "MAXLEN") {
            let value = number::int_from(value, 0..=i64::MAX);
            max_length = value.ok_or("ERR MAXLEN can't be negative")?;
        } else {
            return Err(SYNTAX.into());
        }
        at += 2;
    }
    let list = as_list(m.read(ask, ask.arg(1)))?.unwrap_or_default();
    let mut places: Vec<usize> = (0..list.len()).collect();
    if rank < 0 {
        places.reverse();
    }
    places.truncate(if max_length == 0 { usize::MAX } else { max_length as usize });
    let limit = match count {
        None => 1,
        Some(0) => usize::MAX,
        Some(count) => count as usize,
    };
    let matches = places.into_iter().filter(|&place| list[place] == *ask.arg(2));
    let mut found = matches.skip(rank.unsigned_abs() as usize - 1).take(limit).map(Want::count);
    Ok(match count {
        None => found.next().unwrap_or(Want::Nil),
        Some(_) => Want::Array(found.collect()),
    })
}

/// The places between two indexes, both included; unlike in strings, an end before the start of the list is before it.
fn between(length: usize, start: i64, end: i64) -> std::ops::Range<usize> {
    let length = length as i64;
    let from_start = |index: i64| if index < 0 { index.saturating_add(length) } else { index };
    let start = from_start(start).clamp(0, length);
    let end = from_start(end).min(length - 1) + 1;
    start as usize..end.max(start) as usize
}

fn bounds(ask: &Ask) -> Result<(i64, i64), String> {
    let start = number::int(ask.arg(2)).ok_or(NOT_INTEGER)?;
    Ok((start, number::int(ask.arg(3)).ok_or(NOT_INTEGER)?))
}

pub fn lrange(m: &mut Model, ask: &Ask) -> Answer {
    let (start, end) = bounds(ask)?;
    let list = as_list(m.read(ask, ask.arg(1)))?.unwrap_or_default();
    Ok(Want::bulks(list[between(list.len(), start, end)].iter().cloned()))
}

pub fn ltrim(m: &mut Model, ask: &Ask) -> Answer {
    let (start, end) = bounds(ask)?;
    if let Some(list) = as_list(m.find(ask, ask.arg(1)))? {
        let kept = list[between(list.len(), start, end)].to_vec();
        m.changed(ask, ask.arg(1), Value::List(kept), 'l', "ltrim");
    }
    Ok(Want::ok())
}

/// Removes the first (negative count: the last) so many that are equal; 0: all.
pub fn lrem(m: &mut Model, ask: &Ask) -> Answer {
    let count = negatable(ask.arg(2))?;
    let Some(list) = as_list(m.find(ask, ask.arg(1)))? else { return Ok(Want::Int(0)) };
    let mut doomed: Vec<usize> = (0..list.len()).filter(|&place| list[place] == *ask.arg(3)).collect();
    if count < 0 {
        doomed.reverse();
    }
    doomed.truncate(if count == 0 { usize::MAX } else { count.unsigned_abs() as usize });
    if !doomed.is_empty() {
        let kept = list.iter().enumerate().filter(|(place, _)| !doomed.contains(place));
        let kept = kept.map(|(_, element)| element.clone()).collect();
        m.changed(ask, ask.arg(1), Value::List(kept), 'l', "lrem");
    }
    Ok(Want::count(doomed.len()))
}

pub fn lset(m: &mut Model, ask: &Ask) -> Answer {
    let Some(mut list) = as_list(m.find(ask, ask.arg(1)))? else { return Err("ERR no such key".into()) };
    let index = number::int(ask.arg(2)).ok_or(NOT_INTEGER)?;
    // Redis keeps only the lower 32 bits here: LSET key 4294967296 sets the first element.
    let Some(place) = place(list.len(), index as i32 as i64) else {
        m.convert(ask, ask.arg(1));
        return Err("ERR index out of range".into());
    };
    list[place] = ask.arg(3).clone();
    m.changed(ask, ask.arg(1), Value::List(list), 'l', "lset");
    Ok(Want::ok())
}
