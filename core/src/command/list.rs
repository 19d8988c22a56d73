//! List commands.
//!
//! Here: arguments, replies, events, what is replayed, and when a client has to wait. Not here: how lists are kept
//! ([`crate::value::list`]), and who is served when a list appears (the owner of the blocked clients; it runs the
//! same handler again).
//!
//! What must stay true: a list left empty is removed before the command ends, after the event of what emptied it; and
//! a blocking command that finds something does, answers, and reports exactly what its plain form would. It is the
//! plain form that is replayed.

use super::parse::{EndPoint, parse_timeout};
use super::{BlockedOn, Call, CommandError, Outcome, TimeoutReply};
use crate::keyspace::{Class, UnixMillis};
use crate::resp::{Aggregate, Args, Reply};
use crate::value::LARGE_STRING;
use crate::value::list::{End, List};
use crate::value::listpack::Item;

const NUMKEYS: CommandError = CommandError::Text("ERR numkeys should be greater than 0");
const COUNT: CommandError = CommandError::Text("ERR count should be greater than 0");
const NEGATIVE_COUNT: CommandError = CommandError::Text("ERR COUNT can't be negative");
const NEGATIVE_MAXLEN: CommandError = CommandError::Text("ERR MAXLEN can't be negative");
const ZERO_RANK: CommandError = CommandError::Text(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start \
     from the end of the list",
);
/// `i64::MIN` cannot be counted from the other end.
const NO_OPPOSITE: CommandError = CommandError::Text(
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
);

/// The most that is reserved for a reply before its elements are seen.
const RESERVE_MAX: usize = 1 << 20;
/// What RESP puts around a short element: `$`, two digits, two line ends.
const ELEMENT_OVERHEAD: usize = 7;

impl From<EndPoint> for End {
    fn from(end: EndPoint) -> End {
        match end {
            EndPoint::Front => End::Front,
            EndPoint::Back => End::Back,
        }
    }
}

fn left_right(word: &[u8]) -> Result<End, CommandError> {
    EndPoint::left_right(word).map(End::from)
}

fn push_event(end: End) -> &'static str {
    match end {
        End::Front => "lpush",
        End::Back if crate::bug!(RpushEventMisnamed) => "lpush",
        End::Back => "rpush",
    }
}

fn pop_event(end: End) -> &'static str {
    match end {
        End::Front => "lpop",
        End::Back => "rpop",
    }
}

/// The command that pops from an end, as it is replayed.
fn pop_command(end: End) -> &'static [u8] {
    match end {
        End::Front => b"LPOP",
        End::Back => b"RPOP",
    }
}

#[inline]
fn element(reply: &mut Reply<'_>, item: Item<'_>) {
    match item {
        Item::Bytes(bytes) => reply.bulk(bytes),
        Item::Int(int) => reply.bulk_int(int),
    }
}

/// Answers an array of elements. Lists are mostly of a kind: the first one says how much room the others need.
fn elements<'v>(reply: &mut Reply<'_>, items: impl ExactSizeIterator<Item = Item<'v>> + Clone) {
    reply.array(items.len());
    if let Some(first) = items.clone().next() {
        let each = first.len() + ELEMENT_OVERHEAD;
        reply.reserve(items.len().saturating_mul(each).min(RESERVE_MAX));
    }
    items.for_each(|item| element(reply, item));
}

/// An integer whose opposite exists.
fn int_with_opposite(c: &Call<'_>, index: usize) -> Result<i64, CommandError> {
    match c.int(index)? {
        i64::MIN => Err(NO_OPPOSITE),
        int => Ok(int),
    }
}

/// An integer from `least` on; `error` says all that can be wrong with it.
fn count(c: &Call<'_>, index: usize, least: usize, error: CommandError) -> Result<usize, CommandError> {
    let int = c.int(index).ok().and_then(|int| usize::try_from(int).ok());
    int.filter(|&int| int >= least).ok_or(error)
}

impl Call<'_> {
    /// Reports that `removed` elements were popped from `end` of the list at `key`, and removes it if that was all.
    fn popped(&mut self, key: &[u8], end: End, removed: usize, emptied: bool) {
        self.data.changed(key, Class::LIST, pop_event(end));
        self.data.dirty(removed as u64 - 1);
        if emptied {
            self.data.remove_emptied(key);
        }
    }
}

// --- Pushing ----------------------------------------------------------------------------------------------------

pub fn lpush(c: &mut Call<'_>) -> Outcome {
    push(c, End::Front)
}

pub fn rpush(c: &mut Call<'_>) -> Outcome {
    push(c, End::Back)
}

pub fn lpushx(c: &mut Call<'_>) -> Outcome {
    push_if_exists(c, End::Front)
}

pub fn rpushx(c: &mut Call<'_>) -> Outcome {
    push_if_exists(c, End::Back)
}

fn push(c: &mut Call<'_>, end: End) -> Outcome {
    let limits = &c.data.settings.list;
    let values = c.args.from(2);
    let list = c.data.list_or_create(c.args.at(1))?;
    list.extend(end, values, limits);
    let len = list.len();
    pushed(c, end, len);
    Ok(())
}

fn push_if_exists(c: &mut Call<'_>, end: End) -> Outcome {
    let limits = &c.data.settings.list;
    let values = c.args.from(2);
    let Some(list) = c.data.list_mut(c.args.at(1))? else {
        c.reply.int(0);
        return Ok(());
    };
    list.extend(end, values, limits);
    let len = list.len();
    pushed(c, end, len);
    Ok(())
}

#[inline]
fn pushed(c: &mut Call<'_>, end: End, len: usize) {
    c.reply.int(len as i64);
    c.data.changed(c.args.at(1), Class::LIST, push_event(end));
    c.data.dirty(c.args.len() as u64 - 3);
}

pub fn linsert(c: &mut Call<'_>) -> Outcome {
    let before = c.is(2, "BEFORE");
    if !before && !c.is(2, "AFTER") {
        return Err(CommandError::Syntax);
    }
    let (key, pivot, value) = (c.arg(1), c.arg(3), c.arg(4));
    let limits = &c.data.settings.list;
    let Some(list) = c.data.list_mut(key)? else {
        c.reply.int(0);
        return Ok(());
    };
    let inserted = if before || crate::bug!(LinsertAfterIsBefore) {
        list.insert_before(pivot, value, limits)
    } else {
        list.insert_after(pivot, value, limits)
    };
    if inserted {
        c.reply.int(list.len() as i64);
        c.data.changed(key, Class::LIST, "linsert");
    } else {
        c.reply.int(-1);
    }
    Ok(())
}

pub fn lset(c: &mut Call<'_>) -> Outcome {
    let (key, value) = (c.arg(1), c.arg(3));
    let limits = &c.data.settings.list;
    // A missing key and a wrong type are told before a bad index.
    if c.data.list_mut(key)?.is_none() && !crate::bug!(LsetIndexFirst) {
        return Err(CommandError::NoSuchKey);
    }
    // Redis 7.2 and later keep the low 32 bits of the index only: 4294967296 is 0.
    let index = i64::from(c.int(2)? as i32);
    let replaced = c.data.list_mut(key)?.is_some_and(|list| list.set(index, value, limits));
    if !replaced {
        return Err(CommandError::IndexOutOfRange);
    }
    c.reply.ok();
    c.data.changed(key, Class::LIST, "lset");
    Ok(())
}

// --- Reading ----------------------------------------------------------------------------------------------------

pub fn llen(c: &mut Call<'_>) -> Outcome {
    let len = c.data.list(c.args.at(1))?.map_or(0, List::len);
    c.reply.int(len as i64);
    Ok(())
}

pub fn lindex(c: &mut Call<'_>) -> Outcome {
    // A missing key and a wrong type are told before a bad index.
    let index = c.int(2);
    match c.data.list(c.args.at(1))? {
        None => c.reply.null(),
        Some(list) => {
            let index = index?;
            match list.get(index) {
                None => c.reply.null(),
                Some(item) if item.len() < LARGE_STRING => element(&mut c.reply, item),
                Some(item) => match list.large(index) {
                    Some(large) => c.reply.large(large),
                    None => element(&mut c.reply, item),
                },
            }
        }
    }
    Ok(())
}

pub fn lrange(c: &mut Call<'_>) -> Outcome {
    let (start, stop) = (c.int(2)?, c.int(3)?);
    match c.data.list(c.args.at(1))? {
        None => c.reply.array(0),
        Some(list) => elements(&mut c.reply, list.range(start, stop)),
    }
    Ok(())
}

pub fn lpos(c: &mut Call<'_>) -> Outcome {
    let (mut rank, mut matches, mut max_len) = (1, None, 0);
    let mut at = 3;
    while at < c.args.len() {
        let has_value = at + 1 < c.args.len();
        if has_value && c.is(at, "RANK") {
            rank = int_with_opposite(c, at + 1)?;
            if rank == 0 {
                return Err(ZERO_RANK);
            }
        } else if has_value && c.is(at, "COUNT") {
            matches = Some(count(c, at + 1, 0, NEGATIVE_COUNT)?);
        } else if has_value && c.is(at, "MAXLEN") {
            max_len = count(c, at + 1, 0, NEGATIVE_MAXLEN)?;
            max_len *= usize::from(!crate::bug!(LposIgnoresMaxlen));
        } else {
            return Err(CommandError::Syntax);
        }
        at += 2;
    }
    let value = c.arg(2);
    let found = c.data.list(c.args.at(1))?.map(|list| list.positions(value, rank, max_len));
    let mut found = found.into_iter().flatten();
    match matches {
        None => match found.next() {
            None => c.reply.null(),
            Some(index) => c.reply.int(index as i64),
        },
        Some(matches) => {
            let mark = c.reply.deferred_array();
            let mut len = 0;
            for index in found.take(if matches == 0 { usize::MAX } else { matches }) {
                c.reply.int(index as i64);
                len += 1;
            }
            c.reply.set_deferred(mark, len, Aggregate::Array);
        }
    }
    Ok(())
}

// --- Removing ---------------------------------------------------------------------------------------------------

pub fn ltrim(c: &mut Call<'_>) -> Outcome {
    let (start, stop) = (c.int(2)?, c.int(3)?);
    let key = c.arg(1);
    let limits = &c.data.settings.list;
    if let Some(list) = c.data.list_mut(key)? {
        let before = list.len();
        list.trim(start, stop.saturating_sub(i64::from(crate::bug!(LtrimShort))), limits);
        let removed = before - list.len();
        let emptied = list.is_empty();
        // Trimming nothing counts as no change, but tells watchers and listeners.
        c.data.dirty(removed as u64);
        c.data.touched(key);
        c.data.notify(Class::LIST, "ltrim", key);
        if emptied {
            c.data.remove_emptied(key);
        }
    }
    c.reply.ok();
    Ok(())
}

pub fn lrem(c: &mut Call<'_>) -> Outcome {
    let at_most = int_with_opposite(c, 2)?;
    let (key, value) = (c.arg(1), c.arg(3));
    let limits = &c.data.settings.list;
    let (removed, emptied) = match c.data.list_mut(key)? {
        None => (0, false),
        Some(list) => (
            list.remove(if crate::bug!(LremFromFront) { at_most.abs() } else { at_most }, value, limits),
            list.is_empty(),
        ),
    };
    if removed > 0 {
        c.data.changed(key, Class::LIST, "lrem");
        c.data.dirty(removed as u64 - 1);
        if emptied {
            c.data.remove_emptied(key);
        }
    }
    c.reply.int(removed as i64);
    Ok(())
}

pub fn lpop(c: &mut Call<'_>) -> Outcome {
    pop(c, End::Front)
}

pub fn rpop(c: &mut Call<'_>) -> Outcome {
    pop(c, End::Back)
}

fn pop(c: &mut Call<'_>, end: End) -> Outcome {
    let key = c.arg(1);
    match c.args.len() {
        2 => {
            if !pop_one(c, key, end)? {
                c.reply.null();
            }
        }
        3 => {
            let at_most = count(c, 2, 0, CommandError::MustBePositive)?;
            match c.data.list_mut(key)? {
                None if crate::bug!(LpopMissingEmpty) => c.reply.array(0),
                None => c.reply.null_array(),
                Some(_) if at_most == 0 => c.reply.array(0),
                Some(_) => {
                    pop_many(c, key, end, at_most)?;
                }
            }
        }
        _ => return Err(CommandError::Arity(c.command.name)),
    }
    Ok(())
}

/// Pops an element and answers it; false if there is no list.
fn pop_one(c: &mut Call<'_>, key: &[u8], end: End) -> Result<bool, CommandError> {
    let limits = &c.data.settings.list;
    let Some(list) = c.data.list_mut(key)? else { return Ok(false) };
    list.pop(end, limits, |item| element(&mut c.reply, item));
    let emptied = list.is_empty();
    c.popped(key, end, 1, emptied);
    Ok(true)
}

/// Pops up to `at_most` elements, at least one, and answers them as an array; none if there is no list. Returns how
/// many.
fn pop_many(c: &mut Call<'_>, key: &[u8], end: End, at_most: usize) -> Result<usize, CommandError> {
    let limits = &c.data.settings.list;
    let Some(list) = c.data.list_mut(key)? else { return Ok(0) };
    let len = list.len();
    let removed = at_most.min(len);
    let first = match end {
        End::Front => {
            elements(&mut c.reply, list.iter().take(removed));
            0
        }
        End::Back => {
            elements(&mut c.reply, list.iter_rev().take(removed));
            len - removed
        }
    };
    list.delete_range(first, removed, limits);
    c.popped(key, end, removed, removed == len);
    Ok(removed)
}

pub fn lmpop(c: &mut Call<'_>) -> Outcome {
    let options = MultiPop::parse(c, 1)?;
    if !options.pop_first(c)? {
        c.reply.null_array();
    }
    Ok(())
}

/// The arguments of LMPOP, and of BLMPOP behind the timeout.
struct MultiPop<'a> {
    /// Where the keys begin.
    first: usize,
    keys: Args<'a>,
    end: End,
    at_most: usize,
}

impl<'a> MultiPop<'a> {
    /// `numkeys key ... LEFT|RIGHT [COUNT count]`, the first of them at `at`.
    fn parse(c: &Call<'a>, at: usize) -> Result<MultiPop<'a>, CommandError> {
        let numkeys = count(c, at, 1, NUMKEYS)?;
        let first = at + 1;
        let direction = first.saturating_add(numkeys);
        if direction >= c.args.len() {
            return Err(CommandError::Syntax);
        }
        let end = left_right(c.arg(direction))?;
        let at_most = match c.args.len() - direction - 1 {
            0 => 1,
            1 => return Err(CommandError::Syntax),
            options => {
                if !c.is(direction + 1, "COUNT") {
                    return Err(CommandError::Syntax);
                }
                let at_most = count(c, direction + 2, 1, COUNT)?;
                if options > 2 {
                    return Err(CommandError::Syntax);
                }
                at_most
            }
        };
        Ok(MultiPop { first, keys: c.args.until(direction).from(first), end, at_most })
    }

    /// Pops from the first of the lists that is there; false if none is.
    fn pop_first(&self, c: &mut Call<'a>) -> Result<bool, CommandError> {
        for key in self.keys {
            if c.data.list_mut(key)?.is_none() {
                continue;
            }
            c.reply.array(2);
            c.reply.bulk(key);
            let removed = pop_many(c, key, self.end, self.at_most)?;
            let mut digits = itoa::Buffer::new();
            c.data.propagate(&[pop_command(self.end), key, digits.format(removed).as_bytes()]);
            return Ok(true);
        }
        Ok(false)
    }
}

// --- Moving -----------------------------------------------------------------------------------------------------

pub fn lmove(c: &mut Call<'_>) -> Outcome {
    let (from, to) = (left_right(c.arg(3))?, left_right(c.arg(4))?);
    if !move_element(c, from, if crate::bug!(LmoveSameEnd) { from } else { to })? {
        c.reply.null();
    }
    Ok(())
}

pub fn rpoplpush(c: &mut Call<'_>) -> Outcome {
    if !move_element(c, End::Back, End::Front)? {
        c.reply.null();
    }
    Ok(())
}

/// Moves an element from the list at argument 1 to the one at argument 2 and answers it; false if there is no list to
/// take it from.
fn move_element(c: &mut Call<'_>, from: End, to: End) -> Result<bool, CommandError> {
    let (source, destination) = (c.arg(1), c.arg(2));
    let limits = &c.data.settings.list;
    let Some(list) = c.data.list_mut(source)? else { return Ok(false) };
    let emptied = if source == destination {
        if let Some(value) = list.rotate(from, to, limits) {
            c.reply.bulk(&value);
        }
        false
    } else {
        if !crate::bug!(LmoveOverwritesType) {
            c.data.list_mut(destination)?;
        }
        let Some(list) = c.data.list_mut(source)? else { return Ok(false) };
        let Some(moved) = list.take(from, limits) else { return Ok(false) };
        let emptied = list.is_empty();
        c.data.list_or_create(destination)?.accept(to, &moved, limits);
        c.reply.bulk(&moved.value);
        emptied
    };
    c.data.touched(destination);
    c.data.notify(Class::LIST, push_event(to), destination);
    c.popped(source, from, 1, emptied);
    Ok(true)
}

// --- Waiting ----------------------------------------------------------------------------------------------------

pub fn blpop(c: &mut Call<'_>) -> Outcome {
    blocking_pop(c, End::Front)
}

pub fn brpop(c: &mut Call<'_>) -> Outcome {
    blocking_pop(c, End::Back)
}

fn blocking_pop(c: &mut Call<'_>, end: End) -> Outcome {
    let timeout = c.args.len() - 1;
    let deadline = parse_timeout(c.arg(timeout), c.data.now)?;
    for key in c.args.until(timeout).from(1) {
        if c.data.list_mut(key)?.is_none() {
            continue;
        }
        c.reply.array(2);
        c.reply.bulk(key);
        pop_one(c, key, end)?;
        if crate::bug!(BlpopNotReplayed) {
            return {
                c.data.propagate_nothing();
                Ok(())
            };
        }
        c.data.propagate(&[pop_command(end), key]);
        return Ok(());
    }
    c.block(BlockedOn::List, 1..timeout, deadline, TimeoutReply::NullArray)
}

pub fn blmpop(c: &mut Call<'_>) -> Outcome {
    let options = MultiPop::parse(c, 2)?;
    let deadline = parse_timeout(c.arg(1), c.data.now)?;
    if options.pop_first(c)? {
        return Ok(());
    }
    let keys = options.first..options.first + options.keys.len();
    c.block(BlockedOn::List, keys, deadline, TimeoutReply::NullArray)
}

pub fn blmove(c: &mut Call<'_>) -> Outcome {
    let (from, to) = (left_right(c.arg(3))?, left_right(c.arg(4))?);
    let deadline = parse_timeout(c.arg(5), c.data.now)?;
    if move_element(c, from, to)? {
        if crate::bug!(BlmoveNotReplayed) {
            return {
                c.data.propagate_nothing();
                Ok(())
            };
        }
        c.data.propagate(&[b"LMOVE", c.args.at(1), c.args.at(2), c.args.at(3), c.args.at(4)]);
        return Ok(());
    }
    wait_for_source(c, deadline)
}

pub fn brpoplpush(c: &mut Call<'_>) -> Outcome {
    let deadline = parse_timeout(c.arg(3), c.data.now)?;
    if move_element(c, End::Back, End::Front)? {
        c.data.propagate(&[b"RPOPLPUSH", c.args.at(1), c.args.at(2)]);
        return Ok(());
    }
    wait_for_source(c, deadline)
}

/// Where waiting is not possible the answer is null, as from the plain form; a timeout answers a null array.
fn wait_for_source(c: &mut Call<'_>, deadline: Option<UnixMillis>) -> Outcome {
    if c.may_block {
        return c.block(
            BlockedOn::List,
            [1],
            deadline,
            if crate::bug!(BlockedTimeoutNull) { TimeoutReply::Null } else { TimeoutReply::NullArray },
        );
    }
    c.reply.null();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Db, START};
    use crate::command::{Block, BlockedOn, TimeoutReply};

    #[test]
    fn what_is_emptied_is_removed_after_its_event() {
        for (command, event) in
            [("LPOP l", "lpop"), ("RPOP l 9", "rpop"), ("LTRIM l 5 6", "ltrim"), ("LREM l 0 a", "lrem")]
        {
            let mut db = Db::new();
            db.ok("RPUSH l a");
            db.forget();
            db.ok(command);
            assert_eq!(db.events(), [format!("{event} l"), "del l".into()], "{command}");
            assert_eq!(db.modified(), ["l"], "{command}");
            assert_eq!(db.journal(), [command]);
            assert_eq!(db.run("EXISTS l"), "(integer) 0");
        }
    }

    #[test]
    fn every_element_counts_as_a_change() {
        let mut db = Db::new();
        for (command, dirty) in [
            ("RPUSH l a b c a", 4),
            ("LPUSHX l a b", 2),
            ("LREM l 0 a", 3),
            ("LTRIM l 0 -1", 0),
            ("LTRIM l 0 0", 2),
            ("RPUSH l 1 2 3", 3),
            ("LPOP l 2", 2),
            ("RPOPLPUSH l m", 1),
            ("LINSERT l AFTER nothing x", 0),
            ("LMPOP 1 l LEFT COUNT 9", 1),
        ] {
            let before = db.dirty();
            db.ok(command);
            assert_eq!(db.dirty() - before, dirty, "{command}");
        }
    }

    #[test]
    fn trimming_nothing_is_told_but_not_replayed() {
        let mut db = Db::new();
        db.ok("RPUSH l a b");
        db.forget();
        db.ok("LTRIM l 0 -1");
        assert_eq!(db.events(), ["ltrim l"]);
        assert_eq!(db.modified(), ["l"]);
        assert!(db.journal().is_empty());
    }

    #[test]
    fn the_destination_of_a_move_is_reported_first() {
        let mut db = Db::new();
        db.ok("RPUSH s a");
        db.forget();
        db.ok("LMOVE s d LEFT RIGHT");
        assert_eq!(db.events(), ["new d", "rpush d", "lpop s", "del s"]);
        assert_eq!(db.modified(), ["d", "s"]);
        assert_eq!(db.offered(), ["d"]);
        db.ok("LMOVE d d LEFT RIGHT");
        assert_eq!(db.events(), ["rpush d", "lpop d"]);
    }

    #[test]
    fn the_plain_form_is_replayed() {
        let mut db = Db::new();
        db.ok("RPUSH l 1 2 3 4 5 6 7 8 9");
        db.forget();
        for command in [
            "BLPOP none l 0",
            "BRPOP l 0",
            "BLMOVE l m left RIGHT 0",
            "BRPOPLPUSH l m 0",
            "LMPOP 2 none l RIGHT COUNT 2",
            "BLMPOP 0 1 l LEFT COUNT 99",
        ] {
            db.ok(command);
        }
        assert_eq!(
            db.journal(),
            ["LPOP l", "RPOP l", "LMOVE l m left RIGHT", "RPOPLPUSH l m", "RPOP l 2", "LPOP l 3"]
        );
    }

    #[test]
    fn waiting() {
        let block = |keys: &[usize], deadline| {
            let (on_timeout, kind) = (TimeoutReply::NullArray, BlockedOn::List);
            Some(Block { keys: keys.to_vec(), deadline, on_timeout, kind })
        };
        let mut db = Db::new();
        for (command, keys, deadline) in [
            ("BLPOP a b a 0", &[1, 2, 3][..], None),
            ("BRPOP a 0.0001", &[1], Some(START + 1)),
            ("BLMPOP 1.5 2 a b LEFT COUNT 3", &[3, 4], Some(START + 1500)),
            ("BLMOVE a b LEFT LEFT 0", &[1], None),
            ("BRPOPLPUSH a b -0.0009", &[1], None),
        ] {
            assert_eq!(db.run(command), "(waits)");
            assert_eq!(db.block, block(keys, deadline), "{command}");
            assert!(db.journal().is_empty());
        }
        db.may_block = false;
        let mut resp2 = |command: &str| db.bytes(&crate::command::testing::argv(command));
        assert_eq!(resp2("BLPOP a 0"), b"*-1\r\n");
        assert_eq!(resp2("BLMPOP 0 1 a LEFT"), b"*-1\r\n");
        assert_eq!(resp2("BLMOVE a b LEFT LEFT 0"), b"$-1\r\n");
    }

    #[test]
    fn which_error_wins() {
        let mut db = Db::new();
        db.ok("RPUSH l a");
        db.ok("HSET h f v");
        db.check(
            "
            > LINDEX none x
            (nil)
            > LINDEX h x
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > LSET none x v
            (error) ERR no such key
            > LRANGE h x 0
            (error) ERR value is not an integer or out of range
            > LPOP h -1
            (error) ERR value is out of range, must be positive
            > LPOP l 1 2
            (error) ERR wrong number of arguments for 'lpop' command
            > LPOS h a RANK 0 FOO
            (error) ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list
            > LREM h -9223372036854775808 a
            (error) ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
            > LMOVE none h LEFT RIGHT
            (nil)
            > LMOVE l h LEFT RIGHT
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > LMPOP 9223372036854775807 l LEFT
            (error) ERR syntax error
            > LMPOP 1 l LEFT COUNT 0 COUNT
            (error) ERR count should be greater than 0
            > BLMPOP -1 1 l MIDDLE
            (error) ERR syntax error
            > BLPOP none h l -1
            (error) ERR timeout is negative
            > BLPOP none h l 0
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            > LRANGE l 0 -1
            1) \"a\"
            ",
        );
    }
}
