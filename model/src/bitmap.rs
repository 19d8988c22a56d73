//! Bits of strings: SETBIT and its like. Bit 0 is the highest bit of the first byte.

use kevy::command::CommandId;

use crate::keyspace::{NOT_INTEGER, SYNTAX, as_string};
use crate::number;
use crate::string::part;
use crate::{Answer, Ask, Bytes, Model, Value, Want};

const BAD_OFFSET: &str = "ERR bit offset is not an integer or out of range";

/// A bit's place; `#n` in BITFIELD is the nth field of this width.
fn offset(m: &Model, text: &[u8], width: Option<i64>) -> Result<u64, String> {
    let (text, scale) = match (text, width) {
        ([b'#', rest @ ..], Some(width)) => (rest, width),
        _ => (text, 1),
    };
    let offset = number::int(text).filter(|&offset| offset >= 0);
    let offset = offset.and_then(|offset| offset.checked_mul(scale)).ok_or(BAD_OFFSET)? as u64;
    m.check_length(offset / 8 + 1).map_err(|_| BAD_OFFSET)?;
    Ok(offset)
}

fn bit(value: &[u8], place: u64) -> bool {
    value.get((place / 8) as usize).is_some_and(|byte| byte >> (7 - place % 8) & 1 == 1)
}

fn set_bit(value: &mut Bytes, place: u64, on: bool) {
    let mask = 1 << (7 - place % 8);
    let byte = &mut value[(place / 8) as usize];
    *byte = if on { *byte | mask } else { *byte & !mask };
}

/// Makes the string long enough to have the bit.
fn grow(value: &mut Bytes, place: u64) {
    let needed = (place / 8) as usize + 1;
    value.resize(value.len().max(needed), 0);
}

pub fn setbit(m: &mut Model, ask: &Ask) -> Answer {
    let place = offset(m, ask.arg(2), None)?;
    let on = number::int_from(ask.arg(3), 0..=1).ok_or("ERR bit is not an integer or out of range")? == 1;
    let mut value = as_string(m.find(ask, ask.arg(1)))?;
    let old_length = value.as_ref().map(Vec::len);
    let bits = value.get_or_insert_default();
    grow(bits, place);
    let was = bit(bits, place);
    set_bit(bits, place, on);
    // A bit set to what it is, without growth, is no change and no event.
    if was != on || old_length != Some(bits.len()) {
        m.changed(ask, ask.arg(1), Value::String(bits.clone()), '$', "setbit");
    } else {
        m.convert(ask, ask.arg(1));
    }
    Ok(Want::flag(was))
}

pub fn getbit(m: &mut Model, ask: &Ask) -> Answer {
    let place = offset(m, ask.arg(2), None)?;
    let value = as_string(m.read(ask, ask.arg(1)))?.unwrap_or_default();
    Ok(Want::flag(bit(&value, place)))
}

/// The bits that `start end [BYTE | BIT]` select. `None` if there are none.
fn selected(length: usize, start: i64, end: i64, bits: bool) -> Option<(u64, u64)> {
    let range = part(if bits { length * 8 } else { length }, start, end)?;
    let (start, end) = (*range.start() as u64, *range.end() as u64);
    Some(if bits { (start, end) } else { (start * 8, end * 8 + 7) })
}

/// The unit at the end of a range; anything else is a syntax error.
fn unit_is_bit(ask: &Ask, at: usize) -> Result<bool, String> {
    if at < ask.argc() && !ask.is(at, "BIT") && !ask.is(at, "BYTE") {
        return Err(SYNTAX.into());
    }
    Ok(ask.is(at, "BIT"))
}

pub fn bitcount(m: &mut Model, ask: &Ask) -> Answer {
    let (mut start, mut end, mut bits) = (0, -1, false);
    if ask.argc() > 3 && ask.argc() < 6 {
        start = number::int(ask.arg(2)).ok_or(NOT_INTEGER)?;
        end = number::int(ask.arg(3)).ok_or(NOT_INTEGER)?;
        bits = unit_is_bit(ask, 4)?;
    } else if ask.argc() != 2 {
        return Err(SYNTAX.into());
    }
    let value = as_string(m.read(ask, ask.arg(1)))?.unwrap_or_default();
    // As in GETRANGE: two negative indexes in the wrong order select nothing, wherever they would be moved.
    let reversed = start < 0 && end < 0 && start > end;
    let range = selected(value.len(), start, end, bits).filter(|_| !reversed);
    let count = range.map_or(0, |(start, end)| (start..=end).filter(|&place| bit(&value, place)).count());
    Ok(Want::count(count))
}

/// The first bit that is `bit`. A string is thought to go on with zeros for ever, unless an end was given.
pub fn bitpos(m: &mut Model, ask: &Ask) -> Answer {
    let wanted = number::int(ask.arg(2)).ok_or(NOT_INTEGER)?;
    if !(0..=1).contains(&wanted) {
        return Err("ERR The bit argument must be 1 or 0.".into());
    }
    let (mut start, mut end, mut bits) = (0, -1, false);
    let end_given = ask.argc() > 4;
    if (4..=6).contains(&ask.argc()) {
        start = number::int(ask.arg(3)).ok_or(NOT_INTEGER)?;
        bits = unit_is_bit(ask, 5)?;
        if end_given {
            end = number::int(ask.arg(4)).ok_or(NOT_INTEGER)?;
        }
    } else if ask.argc() != 3 {
        return Err(SYNTAX.into());
    }
    let Some(value) = as_string(m.read(ask, ask.arg(1)))? else {
        return Ok(Want::Int(if wanted == 1 { -1 } else { 0 }));
    };
    let Some((start, end)) = selected(value.len(), start, end, bits) else { return Ok(Want::Int(-1)) };
    let place = (start..=end).find(|&place| bit(&value, place) == (wanted == 1));
    Ok(Want::Int(match place {
        Some(place) => place as i64,
        None if wanted == 0 && !end_given => value.len() as i64 * 8,
        None => -1,
    }))
}

/// Shorter strings are thought to be filled with zeros; a result without bytes removes the destination.
pub fn bitop(m: &mut Model, ask: &Ask) -> Answer {
    let combine: fn(u8, u8) -> u8 = match ask.arg(1).to_ascii_uppercase().as_slice() {
        b"AND" => |a, b| a & b,
        b"OR" => |a, b| a | b,
        b"XOR" => |a, b| a ^ b,
        b"NOT" if ask.argc() != 4 => {
            return Err("ERR BITOP NOT must be called with a single source key.".into());
        }
        b"NOT" => |a, _| !a,
        _ => return Err(SYNTAX.into()),
    };
    let mut sources = Vec::new();
    for key in &ask.argv[3..] {
        sources.push(as_string(m.read(ask, key))?.unwrap_or_default());
    }
    let length = sources.iter().map(Vec::len).max().unwrap_or(0);
    sources.iter_mut().for_each(|source| source.resize(length, 0));
    let is_not = sources.len() == 1 && ask.is(1, "NOT");
    let result: Bytes = (0..length)
        .map(|place| {
            let bytes = sources.iter().map(|source| source[place]);
            let combined = bytes.reduce(combine).unwrap_or(0);
            if is_not { combine(combined, 0) } else { combined }
        })
        .collect();
    let destination = ask.arg(2);
    if length > 0 {
        m.put(ask, destination, Value::String(result));
        m.notify('$', "set", ask.db, destination);
    } else if m.remove(ask, destination) {
        m.notify('g', "del", ask.db, destination);
    }
    Ok(Want::count(length))
}

#[derive(Clone, Copy)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

enum Action {
    Get,
    Set(i64),
    IncrBy(i64),
}

struct Operation {
    action: Action,
    signed: bool,
    width: i64,
    place: u64,
    overflow: Overflow,
}

/// `i1` to `i64`, `u1` to `u63`.
fn field_type(text: &[u8]) -> Result<(bool, i64), String> {
    const BAD_TYPE: &str =
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
    let (signed, width) = match text {
        [b'i', width @ ..] => (true, number::int_from(width, 1..=64)),
        [b'u', width @ ..] => (false, number::int_from(width, 1..=63)),
        _ => (false, None),
    };
    Ok((signed, width.ok_or(BAD_TYPE)?))
}

fn operations(m: &Model, ask: &Ask) -> Result<Vec<Operation>, String> {
    let mut operations = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut at = 2;
    while at < ask.argc() {
        let left = ask.argc() - at - 1;
        if ask.is(at, "OVERFLOW") && left >= 1 {
            overflow = match ask.arg(at + 1).to_ascii_uppercase().as_slice() {
                b"WRAP" => Overflow::Wrap,
                b"SAT" => Overflow::Saturate,
                b"FAIL" => Overflow::Fail,
                _ => return Err("ERR Invalid OVERFLOW type specified".into()),
            };
            at += 2;
            continue;
        }
        let is_get = ask.is(at, "GET") && left >= 2;
        let changes = (ask.is(at, "SET") || ask.is(at, "INCRBY")) && left >= 3;
        if !is_get && !changes {
            return Err(SYNTAX.into());
        }
        let (signed, width) = field_type(ask.arg(at + 1))?;
        let place = offset(m, ask.arg(at + 2), Some(width))?;
        let action = if is_get {
            Action::Get
        } else {
            let value = number::int(ask.arg(at + 3)).ok_or(NOT_INTEGER)?;
            if ask.is(at, "SET") { Action::Set(value) } else { Action::IncrBy(value) }
        };
        at += if is_get { 3 } else { 4 };
        operations.push(Operation { action, signed, width, place, overflow });
    }
    Ok(operations)
}

/// Several numbers of any width inside a string, read and changed one after the other.
pub fn bitfield(m: &mut Model, ask: &Ask) -> Answer {
    let operations = operations(m, ask)?;
    let changes = |operation: &&Operation| !matches!(operation.action, Action::Get);
    let last_changed = operations.iter().filter(changes).map(|o| o.place + o.width as u64 - 1).max();
    if ask.id == CommandId::BitFieldRo && last_changed.is_some() {
        return Err("ERR BITFIELD_RO only supports the GET subcommand".into());
    }
    let old = match last_changed {
        Some(_) => as_string(m.find(ask, ask.arg(1)))?,
        None => as_string(m.read(ask, ask.arg(1)))?,
    };
    let mut value = old.clone().unwrap_or_default();
    // The string grows for all the changes at once, even those that fail.
    if let Some(place) = last_changed {
        grow(&mut value, place);
    }
    let grew = value.len() != old.as_ref().map_or(0, Vec::len);
    let mut changed = false;
    let mut replies = Vec::new();
    for operation in &operations {
        let field = read_field(&value, operation);
        let (reply, new) = match operation.action {
            Action::Get => (Some(field), None),
            Action::Set(new) => {
                // For an unsigned field a negative number is a very large one.
                let new = if operation.signed { new as i128 } else { new as u64 as i128 };
                let new = if out_of_sight(new, operation) { i128::MAX } else { new };
                let new = fit(new, operation);
                (new.map(|_| field), new)
            }
            Action::IncrBy(by) => {
                let new = fit(field + by as i128, operation);
                (new, new)
            }
        };
        if let Some(new) = new {
            changed |= grew || new != field;
            for bit in 0..operation.width {
                let place = operation.place + bit as u64;
                set_bit(&mut value, place, new >> (operation.width - 1 - bit) & 1 == 1);
            }
        }
        replies.push(reply.map_or(Want::Nil, |reply| Want::Int(reply as i64)));
    }
    if changed {
        m.changed(ask, ask.arg(1), Value::String(value), '$', "setbit");
    } else if grew {
        // Nothing was written, but the string has grown: a change that nobody is told of.
        m.write(ask, ask.arg(1), Value::String(value));
    } else if last_changed.is_some() {
        m.convert(ask, ask.arg(1));
    }
    Ok(Want::Array(replies))
}

pub fn bitfield_ro(m: &mut Model, ask: &Ask) -> Answer {
    bitfield(m, ask)
}

fn read_field(value: &[u8], operation: &Operation) -> i128 {
    let bits = (0..operation.width).map(|n| bit(value, operation.place + n as u64));
    let unsigned = bits.fold(0, |sum, bit| sum << 1 | bit as i128);
    let sign = 1i128 << (operation.width - 1);
    if operation.signed && unsigned & sign != 0 { unsigned - (sign << 1) } else { unsigned }
}

/// Redis subtracts a number to be set from the greatest one that fits to see whether it overflows, and that itself
/// overflows for numbers far below: with SAT they count as too large.
fn out_of_sight(number: i128, operation: &Operation) -> bool {
    let max = (1i128 << (operation.width - 1)) - 1;
    let saturates = matches!(operation.overflow, Overflow::Saturate);
    saturates && operation.signed && operation.width < 64 && max - number > i64::MAX as i128
}

/// The number as the field can hold it, or `None` if it cannot and OVERFLOW says FAIL.
fn fit(number: i128, operation: &Operation) -> Option<i128> {
    let span = 1i128 << operation.width;
    let min = if operation.signed { -span / 2 } else { 0 };
    let max = min + span - 1;
    match operation.overflow {
        _ if (min..=max).contains(&number) => Some(number),
        Overflow::Wrap => Some((number - min).rem_euclid(span) + min),
        Overflow::Saturate => Some(number.clamp(min, max)),
        Overflow::Fail => None,
    }
}
