//! Sets: members without order.

use std::collections::BTreeSet;

use kevy::command::CommandId;
use kevy::resp::Frame;

use crate::hash::{is_draw, signed_count};
use crate::keyspace::{SYNTAX, as_set};
use crate::{Answer, Ask, Bytes, Encodings, Model, Value, Want, number, scan};

type Members = BTreeSet<Bytes>;

fn set_of(m: &mut Model, ask: &Ask, key: &Bytes) -> Result<Members, String> {
    Ok(as_set(m.find(ask, key))?.unwrap_or_default())
}

fn read_set(m: &mut Model, ask: &Ask, key: &Bytes) -> Result<Members, String> {
    Ok(as_set(m.read(ask, key))?.unwrap_or_default())
}

fn bulks(members: impl IntoIterator<Item = Bytes>) -> Vec<Want> {
    members.into_iter().map(Want::Bulk).collect()
}

pub fn sadd(m: &mut Model, ask: &Ask) -> Answer {
    let key = ask.arg(1);
    let mut set = set_of(m, ask, key)?;
    let added = ask.argv[2..].iter().filter(|member| set.insert((*member).clone())).count();
    if added > 0 {
        m.changed(ask, key, Value::Set(set), 's', "sadd");
    } else {
        m.convert(ask, key);
    }
    Ok(Want::count(added))
}

pub fn srem(m: &mut Model, ask: &Ask) -> Answer {
    let key = ask.arg(1);
    let mut set = set_of(m, ask, key)?;
    let removed = ask.argv[2..].iter().filter(|member| set.remove(*member)).count();
    if removed > 0 {
        m.changed(ask, key, Value::Set(set), 's', "srem");
    }
    Ok(Want::count(removed))
}

pub fn scard(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::count(read_set(m, ask, ask.arg(1))?.len()))
}

pub fn sismember(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::flag(read_set(m, ask, ask.arg(1))?.contains(ask.arg(2))))
}

pub fn smismember(m: &mut Model, ask: &Ask) -> Answer {
    let set = read_set(m, ask, ask.arg(1))?;
    Ok(Want::Array(ask.argv[2..].iter().map(|member| Want::flag(set.contains(member))).collect()))
}

pub fn smembers(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::Set(bulks(read_set(m, ask, ask.arg(1))?)))
}

/// SMOVE source destination member: nothing is created or checked if the source is missing.
pub fn smove(m: &mut Model, ask: &Ask) -> Answer {
    let [source, destination, member] = [ask.arg(1), ask.arg(2), ask.arg(3)];
    // Both are looked at, and so expire, before anything else.
    let (from, target) = (m.find(ask, source), m.find(ask, destination));
    let Some(from) = from else { return Ok(Want::Int(0)) };
    let mut from = as_set(Some(from))?.unwrap_or_default();
    let mut to = as_set(target)?.unwrap_or_default();
    if source == destination {
        return Ok(Want::flag(from.contains(member)));
    }
    if !from.remove(member) {
        return Ok(Want::Int(0));
    }
    m.changed(ask, source, Value::Set(from), 's', "srem");
    if to.insert(member.clone()) {
        m.changed(ask, destination, Value::Set(to), 's', "sadd");
    }
    Ok(Want::Int(1))
}

/// SPOP key [count]: the members that the reply names are gone.
pub fn spop(m: &mut Model, ask: &Ask) -> Answer {
    let key = ask.arg(1);
    if ask.argc() > 3 {
        return Err(SYNTAX.into());
    }
    let count = match ask.argv.get(2) {
        None => None,
        Some(text) => {
            let count = number::int_from(text, 0..=i64::MAX);
            Some(count.ok_or("ERR value is out of range, must be positive")? as usize)
        }
    };
    let mut set = set_of(m, ask, key)?;
    let drawn: Members = match ask.reply {
        Some(Frame::Bulk(member)) if count.is_none() => [member.clone()].into(),
        Some(Frame::Array(items) | Frame::Set(items)) if count.is_some() => items
            .iter()
            .filter_map(|item| if let Frame::Bulk(member) = item { Some(member.clone()) } else { None })
            .collect(),
        _ => set.iter().take(count.unwrap_or(1)).cloned().collect(),
    };
    let right = drawn.is_subset(&set) && drawn.len() == count.unwrap_or(1).min(set.len());
    let drawn = if right { drawn } else { set.iter().take(count.unwrap_or(1)).cloned().collect() };
    if !drawn.is_empty() {
        set.retain(|member| !drawn.contains(member));
        let was = m.entry(ask, key).map_or_else(Encodings::new, |entry| entry.encodings);
        let held = if count.is_some() { m.after_spop(was, drawn.len(), &set) } else { was };
        m.changed(ask, key, Value::Set(set), 's', "spop");
        m.set_encodings(ask, key, held);
    }
    Ok(match count {
        Some(_) => Want::Set(bulks(drawn)),
        None => Want::bulk_or_nil(drawn.into_iter().next()),
    })
}

/// SRANDMEMBER key [count]: see HRANDFIELD.
pub fn srandmember(m: &mut Model, ask: &Ask) -> Answer {
    if ask.argc() > 3 {
        return Err(SYNTAX.into());
    }
    if ask.argc() == 2 {
        let members = bulks(read_set(m, ask, ask.arg(1))?);
        return Ok(if members.is_empty() { Want::Nil } else { Want::OneOf(members) });
    }
    let count = signed_count(ask.arg(2))?;
    let set = read_set(m, ask, ask.arg(1))?;
    Ok(Want::such("that many members of the set", move |frame| {
        let Frame::Array(items) = frame else { return false };
        let drawn: Option<Vec<&Bytes>> =
            items.iter().map(|item| if let Frame::Bulk(bytes) = item { Some(bytes) } else { None }).collect();
        let Some(drawn) = drawn else { return false };
        drawn.iter().all(|member| set.contains(*member)) && is_draw(&drawn, count, set.len())
    }))
}

/// SSCAN key cursor [MATCH pattern] [COUNT n]; the options of a missing key are not looked at.
pub fn sscan(m: &mut Model, ask: &Ask) -> Answer {
    let cursor = scan::cursor(ask.arg(2))?;
    let Some(set) = as_set(m.read(ask, ask.arg(1)))? else {
        return Ok(Want::Array(vec![Want::bulk("0"), Want::Array(vec![])]));
    };
    let options = scan::options(ask, 3)?;
    let shown = set.into_iter().filter(|member| scan::passes(&options, member));
    let elements = shown.map(|member| (member, vec![])).collect();
    scan::page(m, ask, Some(ask.arg(1)), cursor, elements)
}

// --- Algebra ------------------------------------------------------------------------------------------------------

/// All the sets, in order; a missing one is empty. A key of another type is an error, even where the result is known
/// to be empty before it is reached.
fn sets(m: &mut Model, ask: &Ask, keys: &[Bytes]) -> Result<Vec<Members>, String> {
    keys.iter().map(|key| read_set(m, ask, key)).collect()
}

fn inter(sets: Vec<Members>) -> Members {
    sets.into_iter().reduce(|all, next| &all & &next).unwrap_or_default()
}

fn union(sets: Vec<Members>) -> Members {
    sets.into_iter().flatten().collect()
}

fn diff(sets: Vec<Members>) -> Members {
    sets.into_iter().reduce(|all, next| &all - &next).unwrap_or_default()
}

/// Answers the result, or stores it at argument 1 if the command is a STORE: whatever was there goes, and an empty
/// result leaves nothing.
fn answer(m: &mut Model, ask: &Ask, combine: fn(Vec<Members>) -> Members, event: &str) -> Answer {
    use CommandId::{SDiffStore, SInterStore, SUnionStore};
    if !matches!(ask.id, SDiffStore | SInterStore | SUnionStore) {
        let sets = sets(m, ask, &ask.argv[1..])?;
        return Ok(Want::Set(bulks(combine(sets))));
    }
    let sets = sets(m, ask, &ask.argv[2..])?;
    let result = combine(sets.clone());
    let size = result.len();
    let destination = ask.arg(1);
    if size > 0 {
        let held = match ask.id {
            SInterStore => {
                let smallest = smallest(m, ask, &sets);
                Some(m.stored_intersection(&smallest, &result))
            }
            SDiffStore => Some(m.stored_difference(&sets, &result)),
            _ => None,
        };
        m.put(ask, destination, Value::Set(result));
        if let Some(held) = held {
            m.set_encodings(ask, destination, held);
        }
        m.notify('s', event, ask.db, destination);
    } else if m.remove(ask, destination) {
        m.notify('g', "del", ask.db, destination);
    }
    Ok(Want::count(size))
}

/// The encodings of the smallest of the sets that are combined; of several, any.
fn smallest(m: &mut Model, ask: &Ask, sets: &[Members]) -> Encodings {
    let size = sets.iter().map(Members::len).min();
    let keys = ask.argv[2..].iter().zip(sets).filter(|(_, set)| Some(set.len()) == size);
    keys.filter_map(|(key, _)| m.entry(ask, key)).flat_map(|entry| entry.encodings).collect()
}

pub fn sinter(m: &mut Model, ask: &Ask) -> Answer {
    answer(m, ask, inter, "sinterstore")
}

pub fn sinterstore(m: &mut Model, ask: &Ask) -> Answer {
    answer(m, ask, inter, "sinterstore")
}

pub fn sunion(m: &mut Model, ask: &Ask) -> Answer {
    answer(m, ask, union, "sunionstore")
}

pub fn sunionstore(m: &mut Model, ask: &Ask) -> Answer {
    answer(m, ask, union, "sunionstore")
}

pub fn sdiff(m: &mut Model, ask: &Ask) -> Answer {
    answer(m, ask, diff, "sdiffstore")
}

pub fn sdiffstore(m: &mut Model, ask: &Ask) -> Answer {
    answer(m, ask, diff, "sdiffstore")
}

/// SINTERCARD numkeys key … [LIMIT n]: the size of the intersection, counted no further than the limit.
pub fn sintercard(m: &mut Model, ask: &Ask) -> Answer {
    let keys = number::int_from(ask.arg(1), 1..=i64::MAX).ok_or("ERR numkeys should be greater than 0")?;
    let Some(end) =
        usize::try_from(keys).ok().and_then(|n| n.checked_add(2)).filter(|&end| end <= ask.argc())
    else {
        return Err("ERR Number of keys can't be greater than number of args".into());
    };
    let mut limit = 0;
    let mut at = end;
    while at < ask.argc() {
        if !ask.is(at, "LIMIT") || at + 1 == ask.argc() {
            return Err(SYNTAX.into());
        }
        limit = number::int_from(ask.arg(at + 1), 0..=i64::MAX).ok_or("ERR LIMIT can't be negative")?;
        at += 2;
    }
    let sets = sets(m, ask, &ask.argv[2..end])?;
    let size = inter(sets).len();
    Ok(Want::count(if limit > 0 { size.min(limit as usize) } else { size }))
}
