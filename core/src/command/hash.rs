//! Hash commands.

use super::{
    Call, CommandError, Outcome, Repetition, ScanOptions, ScanTarget, bulk, parse_cursor, parse_signed_count,
};
use crate::keyspace::Class;
use crate::number::{LongDouble, parse_i64};
use crate::resp::{Args, Protocol, Reply};
use crate::value::LARGE_STRING;
use crate::value::hash::Hash;
use crate::value::listpack::Item;

const NOT_AN_INTEGER: CommandError = CommandError::Text("ERR hash value is not an integer");
const NOT_A_FLOAT: CommandError = CommandError::Text("ERR hash value is not a float");
const NAN_OR_INFINITY: CommandError = CommandError::Text("ERR increment would produce NaN or Infinity");
const VALUE_NAN_OR_INFINITY: CommandError = CommandError::Text("ERR value is NaN or Infinity");
const FIELDS_MISSING: CommandError =
    CommandError::Text("ERR Mandatory argument FIELDS is missing or not at the right position");
const FIELD_COUNT_INVALID: CommandError =
    CommandError::Text("ERR Number of fields must be a positive integer");
const FIELD_COUNT_MISMATCH: CommandError =
    CommandError::Text("ERR The `numfields` parameter must match the number of arguments");

fn bulk_or_null(reply: &mut Reply<'_>, item: Option<Item<'_>>) {
    match item {
        Some(item) => bulk(reply, item),
        None => reply.null(),
    }
}

/// Answers a field's value; a large one is lent.
fn value_or_null(reply: &mut Reply<'_>, hash: Option<&Hash>, field: &[u8]) {
    let value = hash.and_then(|hash| hash.get(field));
    if value.is_some_and(|value| value.len() >= LARGE_STRING)
        && let Some(large) = hash.and_then(|hash| hash.large(field))
    {
        reply.large(large);
    } else {
        bulk_or_null(reply, value);
    }
}

// --- Setting ------------------------------------------------------------------------------------------------------

/// Sets the fields and values from argument 2 on; how many fields are new.
fn set_fields(c: &mut Call<'_>) -> Result<usize, CommandError> {
    if !c.args.len().is_multiple_of(2) {
        return Err(CommandError::Arity(c.command.name));
    }
    let key = c.arg(1);
    let limits = c.data.settings.hash;
    let pairs: Args<'_> = c.args.from(2);
    let hash = c.data.hash_or_create(key)?;
    hash.expect(pairs.iter(), &limits);
    let mut added = 0;
    let mut at = pairs.iter();
    while let (Some(field), Some(value)) = (at.next(), at.next()) {
        added += usize::from(hash.set(field, value, &limits));
    }
    c.data.changed(key, Class::HASH, "hset");
    c.data.dirty(pairs.len() as u64 / 2 - 1);
    Ok(added)
}

pub fn hset(c: &mut Call<'_>) -> Outcome {
    let added = set_fields(c)?;
    c.reply.int(added as i64);
    Ok(())
}

pub fn hmset(c: &mut Call<'_>) -> Outcome {
    set_fields(c)?;
    c.reply.ok();
    Ok(())
}

pub fn hsetnx(c: &mut Call<'_>) -> Outcome {
    let (key, field, value) = (c.arg(1), c.arg(2), c.arg(3));
    let limits = c.data.settings.hash;
    let set = c.data.hash_or_create(key)?.set_if_absent(field, value, &limits);
    if set {
        c.data.changed(key, Class::HASH, "hset");
    }
    c.reply.int(i64::from(set));
    Ok(())
}

// --- Counting up --------------------------------------------------------------------------------------------------

pub fn hincrby(c: &mut Call<'_>) -> Outcome {
    let by = c.int(3)?;
    let (key, field) = (c.arg(1), c.arg(2));
    let limits = c.data.settings.hash;
    // Nothing can fail for a hash that is new: a field that is missing counts from zero.
    let hash = c.data.hash_or_create(key)?;
    let before = match hash.get(field) {
        Some(value) => value.as_int().ok_or(NOT_AN_INTEGER)?,
        None => 0,
    };
    let after = before
        .checked_add(by)
        .or(crate::bug!(HincrbyWraps).then_some(before.wrapping_add(by)))
        .ok_or(CommandError::IncrementOverflow)?;
    hash.set(field, itoa::Buffer::new().format(after).as_bytes(), &limits);
    c.data.changed(key, Class::HASH, "hincrby");
    c.reply.int(after);
    Ok(())
}

pub fn hincrbyfloat(c: &mut Call<'_>) -> Outcome {
    let by = LongDouble::parse(c.arg(3)).ok_or(CommandError::NotFloat)?;
    if !by.is_finite() {
        return Err(VALUE_NAN_OR_INFINITY);
    }
    let (key, field) = (c.arg(1), c.arg(2));
    let limits = c.data.settings.hash;
    // As for HINCRBY: a finite number added to zero is finite.
    let hash = c.data.hash_or_create(key)?;
    let before = match hash.get(field) {
        Some(value) => LongDouble::parse(value.as_bytes(&mut itoa::Buffer::new())).ok_or(NOT_A_FLOAT)?,
        None => LongDouble::ZERO,
    };
    let after = before.checked_add(by).ok_or(NAN_OR_INFINITY)?.to_text();
    hash.set(field, &after, &limits);
    c.data.changed(key, Class::HASH, "hincrbyfloat");
    // The sum may round differently where long doubles do: the result is what is replayed.
    c.data.propagate(&[b"HSET", key, field, &after]);
    c.reply.bulk(&after);
    Ok(())
}

// --- Removing -----------------------------------------------------------------------------------------------------

pub fn hdel(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    let mut removed = 0;
    let mut emptied = false;
    if let Some(hash) = c.data.hash_mut(key)? {
        for field in c.args.iter().skip(2) {
            removed += usize::from(hash.remove(field));
            emptied = hash.is_empty();
            if emptied {
                break;
            }
        }
    }
    report_removed(c, removed, emptied);
    c.reply.int(removed as i64);
    Ok(())
}

pub fn hgetdel(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    c.data.hash_mut(key)?;
    if !c.is(2, "FIELDS") {
        return Err(FIELDS_MISSING);
    }
    let count =
        parse_i64(c.arg(3)).filter(|&count| count > 0 || crate::bug!(ZeroFieldsAccepted) && count == 0);
    let count = count.ok_or(FIELD_COUNT_INVALID)? as usize;
    let fields = c.args.from(4);
    if count != fields.len() {
        return Err(FIELD_COUNT_MISMATCH);
    }
    c.reply.array(count);
    let mut removed = 0;
    let mut emptied = false;
    let Call { data, reply, .. } = c;
    match data.hash_mut(key)? {
        None => fields.iter().for_each(|_| reply.null()),
        Some(hash) => {
            for field in fields.iter() {
                value_or_null(reply, Some(hash), field);
                removed += usize::from(hash.remove(field));
            }
            emptied = hash.is_empty();
        }
    }
    if removed > 0 {
        let mut record: Vec<&[u8]> = vec![b"HDEL", key];
        record.extend(fields.iter().take(if crate::bug!(HgetdelReplaysOneField) { 1 } else { fields.len() }));
        c.data.propagate(&record);
    }
    report_removed(c, removed, emptied);
    Ok(())
}

fn report_removed(c: &mut Call<'_>, removed: usize, emptied: bool) {
    if removed > 0 {
        let key = c.arg(1);
        c.data.changed(key, Class::HASH, "hdel");
        c.data.dirty(removed as u64 - 1);
        if emptied {
            c.data.remove_emptied(key);
        }
    }
}

// --- Reading ------------------------------------------------------------------------------------------------------

pub fn hget(c: &mut Call<'_>) -> Outcome {
    let (key, field) = (c.arg(1), c.arg(2));
    let Call { data, reply, .. } = c;
    value_or_null(reply, data.hash(key)?, field);
    Ok(())
}

pub fn hmget(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    let fields = c.args.from(2);
    let Call { data, reply, .. } = c;
    let hash = data.hash(key)?;
    reply.array(fields.len());
    for field in fields.iter() {
        value_or_null(reply, hash, field);
    }
    Ok(())
}

pub fn hlen(c: &mut Call<'_>) -> Outcome {
    let len = c.data.hash(c.args.at(1))?.map_or(0, Hash::len);
    c.reply.int(len as i64);
    Ok(())
}

pub fn hstrlen(c: &mut Call<'_>) -> Outcome {
    let field = c.arg(2);
    let len = c.data.hash(c.args.at(1))?.map_or(0, |hash| hash.value_len(field));
    c.reply.int(len as i64);
    Ok(())
}

pub fn hexists(c: &mut Call<'_>) -> Outcome {
    let field = c.arg(2);
    let found = c.data.hash(c.args.at(1))?.is_some_and(|hash| hash.contains(field));
    c.reply.int(i64::from(found));
    Ok(())
}

pub fn hgetall(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    let Call { data, reply, .. } = c;
    let Some(hash) = data.hash(key)? else {
        reply.map(0);
        return Ok(());
    };
    if crate::bug!(HgetallFlat) {
        reply.array(2 * hash.len());
    } else {
        reply.map(hash.len());
    }
    hash.iter().for_each(|(field, value)| {
        bulk(reply, field);
        bulk(reply, value);
    });
    Ok(())
}

pub fn hkeys(c: &mut Call<'_>) -> Outcome {
    one_side(c, |(field, _)| field)
}

pub fn hvals(c: &mut Call<'_>) -> Outcome {
    one_side(c, |(_, value)| value)
}

fn one_side(c: &mut Call<'_>, side: for<'i> fn((Item<'i>, Item<'i>)) -> Item<'i>) -> Outcome {
    let key = c.arg(1);
    let Call { data, reply, .. } = c;
    let Some(hash) = data.hash(key)? else {
        reply.array(0);
        return Ok(());
    };
    reply.array(hash.len());
    hash.iter().for_each(|pair| bulk(reply, side(pair)));
    Ok(())
}

pub fn hscan(c: &mut Call<'_>) -> Outcome {
    let cursor = parse_cursor(c.arg(2))?;
    let key = c.arg(1);
    let Call { data, reply, args, .. } = c;
    let Some(hash) = data.hash(key)? else {
        // The options are looked at only if there is something to scan.
        reply.array(2);
        reply.bulk(b"0");
        reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(args.from(3), ScanTarget::Hash)?;
    let (mut elements, mut encoded) = (0, Vec::new());
    let mut found = Reply::new(&mut encoded, reply.protocol());
    let mut digits = itoa::Buffer::new();
    let next = hash.scan(cursor, options.count, |field, value| {
        if options.admits(field.as_bytes(&mut digits)) {
            bulk(&mut found, field);
            elements += 1;
            if !options.no_values {
                bulk(&mut found, value);
                elements += 1;
            }
        }
    });
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    reply.array(elements);
    reply.raw(&encoded);
    Ok(())
}

// --- Random fields ------------------------------------------------------------------------------------------------

pub fn hrandfield(c: &mut Call<'_>) -> Outcome {
    if c.args.len() == 2 {
        let key = c.arg(1);
        let Call { data, reply, .. } = c;
        let drawn = data.hash_and_rng(key)?.and_then(|(hash, rng)| hash.random(rng));
        bulk_or_null(reply, drawn.map(|(field, _)| field));
        return Ok(());
    }
    let count = parse_signed_count(c.arg(2))?;
    let with_values = c.is(3, "WITHVALUES");
    if c.args.len() > 4 || (c.args.len() == 4 && !with_values) {
        return Err(CommandError::Syntax);
    }
    if with_values && !(i64::MIN / 2 + 1..=i64::MAX / 2).contains(&count) {
        return Err(CommandError::OutOfRange);
    }
    let key = c.arg(1);
    let Call { data, reply, .. } = c;
    let Some((hash, rng)) = data.hash_and_rng(key)?.filter(|_| count != 0) else {
        reply.array(0);
        return Ok(());
    };
    let nested = reply.protocol() == Protocol::Resp3;
    let show = |reply: &mut Reply<'_>, (field, value): (Item<'_>, Item<'_>)| {
        if with_values && nested {
            reply.array(2);
        }
        bulk(reply, field);
        if with_values {
            bulk(reply, value);
        }
    };
    let announce = |reply: &mut Reply<'_>, count: usize| {
        reply.array(if with_values && !nested { count * 2 } else { count });
    };
    if count < 0 {
        // The same field may come several times.
        let count = count.unsigned_abs() as usize;
        let repetition = Repetition::of(count, reply)?;
        announce(reply, count);
        for _ in 0..count {
            if let Some(pair) = hash.random(rng) {
                show(reply, pair);
            }
            repetition.check(reply)?;
        }
    } else {
        let count = (count as usize).min(hash.len());
        announce(reply, count);
        hash.sample(count, rng, |field, value| show(reply, (field, value)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Db;

    #[test]
    fn an_increment_that_fails_leaves_no_trace() {
        let mut db = Db::new();
        db.check(
            r#"
            > HSET h text abc top 9223372036854775807
            (integer) 2
            > HINCRBY h text 1
            (error) ERR hash value is not an integer
            > HINCRBY h top 1
            (error) ERR increment or decrement would overflow
            > HINCRBYFLOAT h text 1
            (error) ERR hash value is not a float
            > HINCRBYFLOAT absent field inf
            (error) ERR value is NaN or Infinity
            > HINCRBY absent field x
            (error) ERR value is not an integer or out of range
            "#,
        );
        assert_eq!(db.events(), ["new h", "hset h"]);
        assert_eq!(db.run("EXISTS absent"), "(integer) 0");
        assert_eq!(db.journal(), ["HSET h text abc top 9223372036854775807"]);
    }

    #[test]
    fn what_is_replayed_names_results() {
        let mut db = Db::new();
        db.ok("HSET h a 1 b 2");
        db.ok("HINCRBYFLOAT h a 0.5");
        db.ok("HGETDEL h FIELDS 2 a missing");
        db.ok("HGETDEL h FIELDS 1 missing");
        db.ok("HDEL h b");
        let expected = ["HSET h a 1 b 2", "HSET h a 1.5", "HDEL h a missing", "HDEL h b"];
        assert_eq!(db.journal(), expected);
        assert_eq!(db.events(), ["new h", "hset h", "hincrbyfloat h", "hdel h", "hdel h", "del h"]);
        assert_eq!(db.dirty(), 5);
    }

    #[test]
    fn random_fields_move_the_generator_on() {
        let mut db = Db::new();
        for n in 0..100 {
            db.ok(&format!("HSET h field{n} {n}"));
        }
        let drawn: std::collections::BTreeSet<_> = (0..50).map(|_| db.run("HRANDFIELD h")).collect();
        assert!(drawn.len() > 10, "{drawn:?}");
    }
}
