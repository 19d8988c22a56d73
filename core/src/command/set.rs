//! Set commands.
//!
//! How sets are combined (which set is walked over, which encoding the result begins with, which of the two ways to
//! subtract is taken) shows in the order of the elements and in OBJECT ENCODING of the stored result, so it follows
//! Redis 8.0.

use super::{
    Call, CommandError, Outcome, Repetition, ScanOptions, ScanTarget, bulk, parse_cursor, parse_signed_count,
};
use crate::keyspace::entry::Entry;
use crate::keyspace::{Class, Data};
use crate::number::parse_i64;
use crate::resp::{Aggregate, Args, Argv, Reply};
use crate::value::listpack::Item;
use crate::value::set::{Set, SetEncoding, SetLimits};
use crate::value::{Object, Value};
use std::ops::ControlFlow;

const NO_KEYS: CommandError = CommandError::Text("ERR numkeys should be greater than 0");
const TOO_MANY_KEYS: CommandError =
    CommandError::Text("ERR Number of keys can't be greater than number of args");
const LIMIT_NEGATIVE: CommandError = CommandError::Text("ERR LIMIT can't be negative");

/// SPOP is replayed as SREM of so many members at a time.
const REPLAY_BATCH: usize = 1024;

/// A batch that has grown to so many bytes is complete too.
const REPLAY_BATCH_BYTES: usize = 64 << 20;

// --- Adding and removing ------------------------------------------------------------------------------------------

pub fn sadd(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    let limits = c.data.settings.set;
    let members = c.args.from(2);
    let set = c.data.set_or_create(key)?;
    set.expect(members.at(0), members.len(), &limits);
    let added = members.iter().filter(|member| set.insert(member, &limits)).count();
    if added > 0 {
        c.data.changed(key, Class::SET, "sadd");
        c.data.dirty(added as u64 - 1);
    }
    c.reply.int(added as i64);
    Ok(())
}

pub fn srem(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    let mut removed = 0;
    let mut emptied = false;
    if let Some(set) = c.data.set_mut(key)? {
        for member in c.args.from(2).iter() {
            removed += usize::from(set.remove(member));
            emptied = set.is_empty();
            if emptied {
                break;
            }
        }
    }
    if removed > 0 {
        c.data.changed(key, Class::SET, "srem");
        c.data.dirty(removed as u64 - 1);
        if emptied {
            c.data.remove_emptied(key);
        }
    }
    c.reply.int(removed as i64);
    Ok(())
}

pub fn smove(c: &mut Call<'_>) -> Outcome {
    let (source, target, member) = (c.arg(1), c.arg(2), c.arg(3));
    let found = c.data.set_mut(source).map(|set| set.map(|set| set.contains(member)));
    let target_is_there = c.data.set_mut(target).map(|set| set.is_some());
    // Without a source nothing is asked of the target.
    let Some(found) = found? else {
        c.reply.int(0);
        return Ok(());
    };
    let target_is_there = target_is_there?;
    c.reply.int(i64::from(found));
    if !found || source == target {
        return Ok(());
    }
    let mut emptied = false;
    if let Some(set) = c.data.set_mut(source)? {
        set.remove(member);
        emptied = set.is_empty();
    }
    c.data.changed(source, Class::SET, "srem");
    if emptied {
        c.data.remove_emptied(source);
    }
    let limits = c.data.settings.set;
    let set = c.data.set_or_create(target)?;
    if !target_is_there {
        set.expect(member, 1, &limits);
    }
    if set.insert(member, &limits) {
        c.data.changed(target, Class::SET, "sadd");
    }
    Ok(())
}

pub fn spop(c: &mut Call<'_>) -> Outcome {
    match c.args.len() {
        2 => pop_one(c),
        3 => pop_many(c),
        _ => Err(CommandError::Syntax),
    }
}

fn pop_one(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    let mut emptied = false;
    let popped = c.data.set_mut_and_rng(key)?.and_then(|(set, rng)| {
        let popped = set.pop(rng);
        emptied = set.is_empty();
        popped
    });
    c.reply.bulk_or_null(popped.as_deref());
    if let Some(member) = popped {
        c.data.changed(key, Class::SET, "spop");
        if emptied {
            c.data.remove_emptied(key);
        }
        if !crate::bug!(SpopReplayedAsSent) {
            c.data.propagate(&[b"SREM", key, &member]);
        }
    }
    Ok(())
}

fn pop_many(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    let count = parse_i64(c.arg(2)).and_then(|count| usize::try_from(count).ok());
    let count = count.ok_or(CommandError::MustBePositive)?;
    let limits = c.data.settings.set;
    let journal = c.data.effects.interest.journal;
    let Call { data, reply, .. } = c;
    let Some((set, rng)) = data.set_mut_and_rng(key)?.filter(|_| count > 0) else {
        reply.set(0);
        return Ok(());
    };
    let len = set.len();
    if count >= len {
        // Answered as SMEMBERS would, which counts as a lookup of its own.
        members(reply, data.set(key)?);
        data.changed(key, Class::SET, "spop");
        data.dirty(len as u64 - 1);
        data.remove_emptied(key);
        let del: &[u8] = if data.settings.lazyfree_lazy_server_del { b"UNLINK" } else { b"DEL" };
        data.propagate(&[del, key]);
        return Ok(());
    }
    reply.set(count);
    let mut removals: Vec<Argv> = Vec::new();
    set.pop_many(count, rng, &limits, |item| {
        bulk(reply, item);
        if journal {
            let full = |last: &Argv| last.len() >= 2 + REPLAY_BATCH || last.memory() >= REPLAY_BATCH_BYTES;
            if removals.last().is_none_or(full) {
                removals.push(Argv::of([b"SREM", key]));
            }
            if let Some(last) = removals.last_mut() {
                last.push(item.as_bytes(&mut itoa::Buffer::new()));
            }
        }
    });
    data.changed(key, Class::SET, "spop");
    data.dirty(count as u64 - 1);
    data.propagate_nothing();
    for removal in removals {
        data.propagate_argv(removal);
    }
    Ok(())
}

// --- Reading ------------------------------------------------------------------------------------------------------

pub fn scard(c: &mut Call<'_>) -> Outcome {
    let len = c.data.set(c.args.at(1))?.map_or(0, Set::len);
    c.reply.int(len as i64);
    Ok(())
}

pub fn sismember(c: &mut Call<'_>) -> Outcome {
    let member = c.arg(2);
    if crate::bug!(SismemberAnyType) && c.data.set(c.args.at(1)).is_err() {
        return {
            c.reply.int(0);
            Ok(())
        };
    }
    let found = c.data.set(c.args.at(1))?.is_some_and(|set| set.contains(member));
    c.reply.int(i64::from(found));
    Ok(())
}

pub fn smismember(c: &mut Call<'_>) -> Outcome {
    let (key, asked) = (c.arg(1), c.args.from(2));
    let Call { data, reply, .. } = c;
    let set = data.set(key)?;
    reply.array(asked.len());
    for member in asked.iter() {
        reply.int(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}

pub fn smembers(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    let Call { data, reply, .. } = c;
    members(reply, data.set(key)?);
    Ok(())
}

/// Answers all members.
fn members(reply: &mut Reply<'_>, set: Option<&Set>) {
    reply.set(set.map_or(0, Set::len));
    if let Some(set) = set {
        set.iter().for_each(|item| bulk(reply, item));
    }
}

pub fn sscan(c: &mut Call<'_>) -> Outcome {
    let cursor = parse_cursor(c.arg(2))?;
    let key = c.arg(1);
    let Call { data, reply, args, .. } = c;
    let Some(set) = data.set(key)? else {
        // The options are looked at only if there is something to scan.
        reply.array(2);
        reply.bulk(b"0");
        reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(args.from(3), ScanTarget::Members)?;
    let (mut count, mut encoded) = (0, Vec::new());
    let mut found = Reply::new(&mut encoded, reply.protocol());
    let mut digits = itoa::Buffer::new();
    let next = set.scan(cursor, options.count, |item| {
        if options.admits(item.as_bytes(&mut digits)) {
            bulk(&mut found, item);
            count += 1;
        }
    });
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    reply.array(count);
    reply.raw(&encoded);
    Ok(())
}

pub fn srandmember(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    if c.args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    if c.args.len() == 2 {
        let Call { data, reply, .. } = c;
        match data.set_and_rng(key)?.and_then(|(set, rng)| set.random(rng)) {
            Some(item) => bulk(reply, item),
            None => reply.null(),
        }
        return Ok(());
    }
    let count = parse_signed_count(c.arg(2))?;
    let Call { data, reply, .. } = c;
    let Some((set, rng)) = data.set_and_rng(key)?.filter(|_| count != 0) else {
        reply.array(0);
        return Ok(());
    };
    if count < 0 {
        // The same member may come several times.
        let count = count.unsigned_abs() as usize;
        let repetition = Repetition::of(count, reply)?;
        reply.array(count);
        for _ in 0..count {
            if let Some(item) = set.random(rng) {
                bulk(reply, item);
            }
            repetition.check(reply)?;
        }
    } else {
        let count = (count as usize).min(set.len());
        reply.array(count);
        set.sample(count, rng, |item| bulk(reply, item));
    }
    Ok(())
}

// --- Intersections ------------------------------------------------------------------------------------------------

pub fn sinter(c: &mut Call<'_>) -> Outcome {
    let keys = c.args.from(1);
    let Call { data, reply, .. } = c;
    let Some(sets) = smallest_first(sources(data, keys)?) else {
        reply.set(0);
        return Ok(());
    };
    let mark = reply.deferred_array();
    let mut found = 0;
    intersect(&sets, |item| {
        bulk(reply, item);
        found += 1;
        ControlFlow::Continue(())
    });
    reply.set_deferred(mark, found, Aggregate::Set);
    Ok(())
}

pub fn sintercard(c: &mut Call<'_>) -> Outcome {
    let count = parse_i64(c.arg(1)).filter(|&count| count > 0).ok_or(NO_KEYS)?;
    let rest = c.args.from(2);
    let count = usize::try_from(count).ok().filter(|&count| count <= rest.len()).ok_or(TOO_MANY_KEYS)?;
    let options = rest.from(count);
    let mut limit = 0;
    for at in (0..options.len()).step_by(2) {
        match options.get(at + 1) {
            Some(value) if options.at(at).eq_ignore_ascii_case(b"LIMIT") => {
                limit = parse_i64(value).filter(|&limit| limit >= 0).ok_or(LIMIT_NEGATIVE)?;
            }
            _ => return Err(CommandError::Syntax),
        }
    }
    let mut found = 0;
    if let Some(sets) = smallest_first(sources(&mut c.data, rest.until(count))?) {
        intersect(&sets, |_| {
            found += 1;
            if found == limit && !crate::bug!(SintercardIgnoresLimit) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
    }
    c.reply.int(found);
    Ok(())
}

pub fn sinterstore(c: &mut Call<'_>) -> Outcome {
    let limits = c.data.settings.set;
    let seed = c.data.keyspace.seed();
    let mut result = Set::new(seed);
    if let Some(sets) = smallest_first(sources(&mut c.data, c.args.from(2))?) {
        // Members come in ascending order from an intset; to anything else, appending is cheapest.
        let encoding = match sets.first().map(|set| set.encoding()) {
            Some(SetEncoding::Intset) => SetEncoding::Intset,
            _ => SetEncoding::Listpack,
        };
        result = Set::with_encoding(encoding, seed);
        intersect(&sets, |item| {
            result.insert_item(item, &limits);
            ControlFlow::Continue(())
        });
        result.pack_integers(&limits);
    }
    store(c, result, "sinterstore")
}

/// The sets at `keys`, looked up in this order.
fn sources<'d>(data: &'d mut Data<'_>, keys: Args<'_>) -> Result<Vec<Option<&'d Set>>, CommandError> {
    for key in keys.iter() {
        if !crate::bug!(SourcesOfAnyType) {
            data.set(key)?;
        }
    }
    let set_at = |key| match data.again(key).and_then(Entry::object) {
        Some(Object::Set(set)) => Some(set),
        _ => None,
    };
    Ok(keys.iter().map(set_at).collect())
}

/// The sets in the order in which to intersect them; `None` if one is missing and there is nothing to intersect.
fn smallest_first(sets: Vec<Option<&Set>>) -> Option<Vec<&Set>> {
    let mut sets: Vec<&Set> = sets.into_iter().collect::<Option<_>>()?;
    sets.sort_by_key(|set| set.len());
    Some(sets)
}

/// Shows what all sets have, in the order of the first, until told to stop.
fn intersect(sets: &[&Set], mut visit: impl FnMut(Item<'_>) -> ControlFlow<()>) {
    let [first, others @ ..] = sets else { return };
    let _ = first.iter().try_for_each(|item| {
        if others.iter().all(|set| std::ptr::eq(*set, *first) || set.contains_item(item)) {
            visit(item)
        } else {
            ControlFlow::Continue(())
        }
    });
}

/// Puts the result at argument 1, which an empty result deletes, and answers its size.
fn store(c: &mut Call<'_>, result: Set, event: &'static str) -> Outcome {
    let target = c.arg(1);
    c.reply.int(result.len() as i64);
    if !result.is_empty() {
        c.data.put(target, Value::from(Object::Set(result)), None);
        c.data.changed(target, Class::SET, event);
    } else {
        c.data.delete_target(target);
    }
    Ok(())
}

// --- Unions and differences ---------------------------------------------------------------------------------------

/// Adds to an empty set what the sets have together.
type Combine = fn(&[Option<&Set>], &mut Set, &SetLimits);

pub fn sunion(c: &mut Call<'_>) -> Outcome {
    combine(c, unite)
}

pub fn sdiff(c: &mut Call<'_>) -> Outcome {
    combine(c, subtract)
}

pub fn sunionstore(c: &mut Call<'_>) -> Outcome {
    combine_and_store(c, unite, "sunionstore")
}

pub fn sdiffstore(c: &mut Call<'_>) -> Outcome {
    combine_and_store(c, subtract, "sdiffstore")
}

fn combine(c: &mut Call<'_>, combine: Combine) -> Outcome {
    let (limits, seed) = (c.data.settings.set, c.data.keyspace.seed());
    let sets = sources(&mut c.data, c.args.from(1))?;
    // Integers are answered in order if there is nothing else; what is not kept need not be packed.
    let ints = sets.iter().flatten().all(|set| set.encoding() == SetEncoding::Intset);
    let encoding = if ints { SetEncoding::Intset } else { SetEncoding::Hashtable };
    let mut result = Set::with_encoding(encoding, seed);
    combine(&sets, &mut result, &limits);
    members(&mut c.reply, Some(&result));
    Ok(())
}

fn combine_and_store(c: &mut Call<'_>, combine: Combine, event: &'static str) -> Outcome {
    let (limits, seed) = (c.data.settings.set, c.data.keyspace.seed());
    let mut result = Set::with_encoding(SetEncoding::Intset, seed);
    combine(&sources(&mut c.data, c.args.from(2))?, &mut result, &limits);
    store(c, result, event)
}

fn unite(sets: &[Option<&Set>], result: &mut Set, limits: &SetLimits) {
    for set in sets.iter().flatten() {
        set.iter().for_each(|item| {
            result.insert_item(item, limits);
        });
    }
}

fn subtract(sets: &[Option<&Set>], result: &mut Set, limits: &SetLimits) {
    let Some((Some(first), others)) = sets.split_first() else { return };
    let mut others: Vec<&Set> = others.iter().copied().flatten().collect();
    if others.iter().any(|set| std::ptr::eq(*set, *first)) {
        return;
    }
    // Either ask all others about each member of the first, or copy the first and walk over all others. Asking does
    // less if there is something in common, so it gets an advantage.
    let ask_cost = first.len().saturating_mul(others.len() + 1) / 2;
    let walk_cost = others.iter().fold(first.len(), |sum, set| sum.saturating_add(set.len()));
    if ask_cost <= walk_cost {
        // The largest is the most likely to have the member.
        others.sort_by_key(|set| std::cmp::Reverse(set.len()));
        first
            .iter()
            .filter(|item| {
                !others
                    .iter()
                    .skip(usize::from(crate::bug!(SdiffForgetsLast)))
                    .any(|set| set.contains_item(*item))
            })
            .for_each(|item| {
                result.insert_item(item, limits);
            });
        return;
    }
    first.iter().for_each(|item| {
        result.insert_item(item, limits);
    });
    for set in others {
        if result.is_empty() {
            return;
        }
        set.iter().for_each(|item| {
            result.remove(item.as_bytes(&mut itoa::Buffer::new()));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::Db;
    use std::collections::BTreeSet;

    fn add_range(db: &mut Db, key: &str, range: std::ops::Range<usize>) {
        for n in range {
            db.ok(&format!("SADD {key} {n}"));
        }
    }

    #[test]
    fn pops_are_replayed_as_removals() {
        let mut db = Db::new();
        db.ok("SADD s a b c d");
        db.forget();
        let popped = db.run("SPOP s");
        assert_eq!(db.journal(), [format!("SREM s {}", popped.trim_matches('"'))]);
        assert_eq!(db.events(), ["spop s"]);
        db.ok("SPOP s 2");
        let journal = db.journal();
        assert_eq!(journal.len(), 1);
        assert_eq!(journal[0].split(' ').count(), 4, "{journal:?}");
        let dirty = db.dirty();
        db.ok("SPOP s 2");
        assert_eq!(db.journal(), ["DEL s"]);
        assert_eq!(db.events(), ["spop s", "spop s", "del s"]);
        assert_eq!(db.dirty() - dirty, 1);
        db.settings.lazyfree_lazy_server_del = true;
        db.ok("SADD s a b");
        db.ok("SPOP s 9");
        assert_eq!(db.journal(), ["SADD s a b", "UNLINK s"]);
        db.forget();
        db.ok("SPOP s 9");
        db.ok("SPOP s");
        assert!(db.journal().is_empty() && db.events().is_empty());
    }

    #[test]
    fn removals_are_replayed_in_batches() {
        let mut db = Db::new();
        add_range(&mut db, "s", 0..REPLAY_BATCH * 3);
        db.forget();
        db.ok(&format!("SPOP s {}", REPLAY_BATCH * 2 + 1));
        let journal = db.journal();
        let counts: Vec<_> = journal.iter().map(|line| line.split(' ').count() - 2).collect();
        assert_eq!(counts, [REPLAY_BATCH, REPLAY_BATCH, 1]);
        let gone: BTreeSet<_> = journal.iter().flat_map(|line| line.split(' ').skip(2)).collect();
        assert_eq!(gone.len(), REPLAY_BATCH * 2 + 1);
        for member in gone {
            assert_eq!(db.run(&format!("SISMEMBER s {member}")), "(integer) 0");
        }
    }

    #[test]
    fn moving_reports_both_keys() {
        let mut db = Db::new();
        db.ok("SADD a 1 2");
        db.ok("SADD b 2");
        db.forget();
        db.ok("SMOVE a c 1");
        assert_eq!(db.events(), ["srem a", "new c", "sadd c"]);
        db.ok("SMOVE a b 2");
        assert_eq!(db.events(), ["srem a", "del a"]);
        assert_eq!(db.modified(), ["a", "c", "a"]);
        assert_eq!(db.journal(), ["SMOVE a c 1", "SMOVE a b 2"]);
        db.forget();
        db.ok("SMOVE b b 2");
        db.ok("SMOVE b b 3");
        db.ok("SMOVE b c 3");
        assert!(db.events().is_empty() && db.journal().is_empty());
    }

    #[test]
    fn the_target_of_a_move_is_asked_only_if_there_is_a_source() {
        Db::new().check(
            "
            > RPUSH list x
            (integer) 1
            > SADD s a
            (integer) 1
            > SMOVE nothing list a
            (integer) 0
            > SMOVE s list missing
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > SMOVE list nothing a
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            ",
        );
    }

    #[test]
    fn an_empty_result_deletes_the_target() {
        let mut db = Db::new();
        db.ok("SADD s 1");
        db.ok("RPUSH target x");
        db.forget();
        for (command, reply) in [
            ("SINTERSTORE target s nothing", "(integer) 0"),
            ("SDIFFSTORE target s s", "(integer) 0"),
            ("SUNIONSTORE target nothing", "(integer) 0"),
        ] {
            assert_eq!(db.run(command), reply);
        }
        assert_eq!(db.events().iter().filter(|event| *event == "del target").count(), 1);
        assert_eq!(db.journal(), ["SINTERSTORE target s nothing"]);
        db.forget();
        db.ok("EXPIRE s 100");
        db.ok("SINTERSTORE s s");
        assert_eq!(db.run("TTL s"), "(integer) -1");
        assert_eq!(db.events(), ["expire s", "sinterstore s"]);
    }

    /// Recorded from Redis 8.0.
    #[test]
    fn stored_results_are_packed_as_in_redis() {
        let mut db = Db::new();
        add_range(&mut db, "ints", 0..200);
        add_range(&mut db, "mixed", 0..200);
        db.ok("SADD mixed x");
        add_range(&mut db, "many", 0..513);
        db.ok("SADD small 1 2 y");
        for (command, encoding) in [
            ("SINTERSTORE t ints mixed", "intset"),
            ("SINTERSTORE t mixed mixed", "hashtable"),
            ("SINTERSTORE t mixed small", "intset"),
            ("SINTERSTORE t small", "listpack"),
            ("SINTERSTORE t many many", "hashtable"),
            ("SUNIONSTORE t ints small", "hashtable"),
            ("SUNIONSTORE t small ints", "hashtable"),
            ("SUNIONSTORE t ints ints", "intset"),
            ("SDIFFSTORE t mixed small", "hashtable"),
            ("SDIFFSTORE t small ints", "listpack"),
            ("SDIFFSTORE t ints small", "intset"),
        ] {
            db.ok(command);
            assert_eq!(db.run("OBJECT ENCODING t"), format!("\"{encoding}\""), "{command}");
        }
    }

    #[test]
    fn both_ways_to_subtract_agree() {
        let mut db = Db::new();
        add_range(&mut db, "large", 0..300);
        add_range(&mut db, "even", 0..0);
        for n in (0..300).step_by(2) {
            db.ok(&format!("SADD even {n}"));
        }
        // Four small sets: it costs less to walk over them than to ask each about every member.
        for (key, n) in [("a", 1), ("b", 3), ("c", 5), ("d", 7)] {
            db.ok(&format!("SADD {key} {n}"));
        }
        assert_eq!(db.run("SDIFFSTORE t large even"), "(integer) 150");
        assert_eq!(db.run("SDIFFSTORE t large a b c d nothing"), "(integer) 296");
        assert_eq!(db.run("SINTERCARD 2 t even"), "(integer) 150");
        assert_eq!(db.run("SINTERCARD 2 t even LIMIT 7"), "(integer) 7");
        assert_eq!(db.run("SINTERCARD 2 t even LIMIT 0"), "(integer) 150");
    }

    #[test]
    fn resp3_answers_sets() {
        let mut db = Db::resp3();
        db.ok("SADD s 1 2");
        let bytes =
            |db: &mut Db, line| String::from_utf8(db.bytes(&crate::command::testing::argv(line))).unwrap();
        let both = "~2\r\n$1\r\n1\r\n$1\r\n2\r\n";
        for line in ["SMEMBERS s", "SINTER s s", "SUNION s", "SDIFF s nothing"] {
            assert_eq!(bytes(&mut db, line), both, "{line}");
        }
        assert_eq!(bytes(&mut db, "SRANDMEMBER s 5"), both.replacen('~', "*", 1));
        assert_eq!(bytes(&mut db, "SPOP s 5"), both);
        assert_eq!(bytes(&mut db, "SPOP s 5"), "~0\r\n");
        assert_eq!(bytes(&mut db, "SINTER s"), "~0\r\n");
    }
}
