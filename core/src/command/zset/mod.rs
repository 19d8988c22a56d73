//! Commands about sorted sets: members and their scores here, parts of a set in [`range`], taking from its ends, with
//! or without waiting, in [`pop`], several sets at once in [`combine`].

pub mod combine;
pub mod pop;
pub mod range;

use super::{
    Call, CommandError, Outcome, Repetition, ScanOptions, ScanTarget, parse_cursor, parse_signed_count,
};
use crate::keyspace::Class;
use crate::number::{push_f64, push_f64_17};
use crate::resp::{Protocol, Reply};
use crate::value::zset::{Inserted, Member, Zset, ZsetEncoding, ZsetLimits};
use crate::value::{Object, Value};

const NAN: CommandError = CommandError::Text("ERR resulting score is not a number (NaN)");
const XX_AND_NX: CommandError =
    CommandError::Text("ERR XX and NX options at the same time are not compatible");
const GT_LT_NX: CommandError =
    CommandError::Text("ERR GT, LT, and/or NX options at the same time are not compatible");
const INCR_PAIRS: CommandError =
    CommandError::Text("ERR INCR option supports a single increment-element pair");

// --- Changing -----------------------------------------------------------------------------------------------------

pub fn zadd(c: &mut Call<'_>) -> Outcome {
    set_scores(c, Conditions::default())
}

/// ZADD with INCR, down to the options it would take.
pub fn zincrby(c: &mut Call<'_>) -> Outcome {
    set_scores(c, Conditions { incr: true, ..Conditions::default() })
}

/// The options of ZADD.
#[derive(Clone, Copy, Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    ch: bool,
    incr: bool,
}

impl Conditions {
    /// Whether `word` is an option.
    fn take(&mut self, word: &[u8]) -> bool {
        let option = match word.len() {
            2 if word.eq_ignore_ascii_case(b"NX") => &mut self.nx,
            2 if word.eq_ignore_ascii_case(b"XX") => &mut self.xx,
            2 if word.eq_ignore_ascii_case(b"GT") => &mut self.gt,
            2 if word.eq_ignore_ascii_case(b"LT") => &mut self.lt,
            2 if word.eq_ignore_ascii_case(b"CH") => &mut self.ch,
            4 if word.eq_ignore_ascii_case(b"INCR") => &mut self.incr,
            _ => return false,
        };
        *option = true;
        true
    }

    fn check(self, pairs: usize) -> Outcome {
        if self.nx && self.xx {
            return Err(XX_AND_NX);
        }
        if usize::from(self.nx) + usize::from(self.gt) + usize::from(self.lt) > 1 {
            return Err(GT_LT_NX);
        }
        if self.incr && pairs > 1 {
            return Err(INCR_PAIRS);
        }
        Ok(())
    }

    /// The score a member gets whose score is `old`; `None` leaves it alone. NaN if an increment has no result.
    fn choose(self, old: Option<f64>, score: f64) -> Option<f64> {
        let Some(old) = old else {
            return (!self.xx).then_some(score);
        };
        if self.nx {
            return None;
        }
        let score = if self.incr { old + score } else { score };
        let refused = self.lt && score >= old || self.gt && !crate::bug!(ZaddIgnoresGt) && score <= old;
        (!refused).then_some(score)
    }
}

/// What ZADD did so far.
#[derive(Default)]
struct Tally {
    added: u64,
    updated: u64,
    /// What the score of the last member was set to, if the conditions allowed it.
    score: Option<f64>,
}

impl Tally {
    fn apply(
        &mut self,
        zset: &mut Zset,
        member: &[u8],
        score: f64,
        conditions: Conditions,
        limits: &ZsetLimits,
    ) {
        let inserted = zset.insert_with(member, limits, |old| {
            self.score = conditions.choose(old, score);
            self.score.filter(|score| !score.is_nan())
        });
        match inserted {
            Inserted::Added => self.added += 1,
            Inserted::Updated(_) => self.updated += 1,
            Inserted::Same => {}
        }
    }
}

fn set_scores(c: &mut Call<'_>, mut conditions: Conditions) -> Outcome {
    let key = c.arg(1);
    let mut at = 2;
    while at < c.args.len() && conditions.take(c.arg(at)) {
        at += 1;
    }
    let pairs = c.args.from(at);
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let count = pairs.len() / 2;
    conditions.check(count)?;
    // The usual single pair needs no vector.
    let first = c.float(at)?;
    let rest: Vec<f64> = (1..count).map(|pair| c.float(at + 2 * pair)).collect::<Result<_, _>>()?;
    let scored =
        std::iter::once(first).chain(rest).enumerate().map(|(pair, score)| (pairs.at(2 * pair + 1), score));

    let limits = c.data.settings.zset;
    let mut tally = Tally::default();
    match c.data.zset_mut(key)? {
        Some(zset) => {
            zset.expect(count, &limits);
            scored.for_each(|(member, score)| tally.apply(zset, member, score, conditions, &limits));
        }
        None if conditions.xx => {}
        None => {
            let mut zset = Zset::with_hint(count, pairs.at(1).len(), &limits, c.data.keyspace.seed());
            scored.for_each(|(member, score)| tally.apply(&mut zset, member, score, conditions, &limits));
            c.data.add(key, Value::from(Object::Zset(zset)), None);
        }
    }
    if tally.score.is_some_and(f64::is_nan) {
        return Err(NAN);
    }
    let changes = tally.added + tally.updated;
    if changes > 0 {
        c.data.changed(key, Class::ZSET, if conditions.incr { "zincr" } else { "zadd" });
        c.data.dirty(changes - 1);
    }
    if conditions.incr {
        match tally.score {
            Some(score) => c.reply.double(score),
            None => c.reply.null(),
        }
    } else {
        c.reply.int(if conditions.ch { changes } else { tally.added } as i64);
    }
    Ok(())
}

pub fn zrem(c: &mut Call<'_>) -> Outcome {
    let (key, members) = (c.arg(1), c.args.from(2));
    let (mut removed, mut emptied) = (0, false);
    if let Some(zset) = c.data.zset_mut(key)? {
        removed = members.iter().filter(|member| zset.remove(member).is_some()).count();
        emptied = zset.is_empty();
    }
    report_removed(c, key, "zrem", removed, emptied);
    c.reply.int(removed as i64);
    Ok(())
}

/// Reports what a command took from the set at `key`, which goes if nothing is left.
fn report_removed(c: &mut Call<'_>, key: &[u8], event: &'static str, removed: usize, emptied: bool) {
    if removed > 0 {
        c.data.changed(key, Class::ZSET, event);
        c.data.dirty(removed as u64 - 1);
        if emptied {
            c.data.remove_emptied(key);
        }
    }
}

/// Puts the result of a STORE command at `key`; an empty one removes what is there. Answers its size.
fn store(c: &mut Call<'_>, key: &[u8], result: Zset, event: &'static str) {
    let len = result.len();
    if len > 0 {
        c.data.put(key, Value::from(Object::Zset(result)), None);
        c.data.changed(key, Class::ZSET, event);
    } else {
        c.data.delete_target(key);
    }
    c.reply.int(len as i64);
}

// --- Reading ------------------------------------------------------------------------------------------------------

pub fn zcard(c: &mut Call<'_>) -> Outcome {
    let len = c.data.zset(c.args.at(1))?.map_or(0, Zset::len);
    c.reply.int(len as i64);
    Ok(())
}

pub fn zscore(c: &mut Call<'_>) -> Outcome {
    let member = c.arg(2);
    let score = c.data.zset(c.args.at(1))?.and_then(|zset| zset.score(member));
    double_or_null(&mut c.reply, score);
    Ok(())
}

pub fn zmscore(c: &mut Call<'_>) -> Outcome {
    let (key, members) = (c.arg(1), c.args.from(2));
    let Call { data, reply, .. } = c;
    let zset = data.zset(key)?;
    reply.array(members.len());
    for member in members {
        double_or_null(reply, zset.and_then(|zset| zset.score(member)));
    }
    Ok(())
}

pub fn zrank(c: &mut Call<'_>) -> Outcome {
    rank(c, |rank, _| rank)
}

pub fn zrevrank(c: &mut Call<'_>) -> Outcome {
    rank(c, |rank, len| len - 1 - rank)
}

/// Answers the rank that `count` makes of the ascending one and the number of members.
fn rank(c: &mut Call<'_>, count: fn(usize, usize) -> usize) -> Outcome {
    if c.args.len() > 4 {
        return Err(CommandError::Arity(c.command.name));
    }
    let with_score = c.args.len() == 4;
    if with_score && !c.is(3, "WITHSCORE") {
        return Err(CommandError::Syntax);
    }
    let member = c.arg(2);
    let found = c
        .data
        .zset(c.args.at(1))?
        .and_then(|zset| zset.rank_and_score(member).map(|(rank, score)| (count(rank, zset.len()), score)));
    match found {
        Some((rank, score)) if with_score => {
            c.reply.array(2);
            c.reply.int(rank as i64);
            c.reply.double(score);
        }
        Some((rank, _)) => c.reply.int(rank as i64),
        None if with_score && !crate::bug!(ZrankNullPlain) => c.reply.null_array(),
        None => c.reply.null(),
    }
    Ok(())
}

pub fn zscan(c: &mut Call<'_>) -> Outcome {
    let cursor = parse_cursor(c.arg(2))?;
    let key = c.arg(1);
    let Call { data, reply, args, .. } = c;
    let Some(zset) = data.zset(key)? else {
        // The options are looked at only if there is something to scan.
        reply.array(2);
        reply.bulk(b"0");
        reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(args.from(3), ScanTarget::Members)?;
    // Redis shows a small set as it is stored and prints the scores of a large one itself.
    let push_score = match zset.encoding() {
        ZsetEncoding::Listpack => push_f64,
        ZsetEncoding::Skiplist => push_f64_17,
    };
    let (mut elements, mut encoded, mut score_text) = (0, Vec::new(), Vec::new());
    let mut found = Reply::new(&mut encoded, reply.protocol());
    let next = zset.scan(cursor, options.count, |member, score| {
        if options.admits(member) {
            score_text.clear();
            push_score(&mut score_text, score);
            found.bulk(member);
            found.bulk(&score_text);
            elements += 2;
        }
    });
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    reply.array(elements);
    reply.raw(&encoded);
    Ok(())
}

pub fn zrandmember(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    let count = match c.args.get(2) {
        Some(count) => Some(parse_signed_count(count)?),
        None => None,
    };
    let with_scores = c.is(3, "WITHSCORES");
    if c.args.len() > 4 || c.args.len() == 4 && !with_scores {
        return Err(CommandError::Syntax);
    }
    if with_scores && count.is_some_and(|count| !(i64::MIN / 2 + 1..=i64::MAX / 2).contains(&count)) {
        return Err(CommandError::OutOfRange);
    }
    let Call { data, reply, .. } = c;
    let found = data.zset_and_rng(key)?;
    let Some(count) = count else {
        match found.and_then(|(zset, rng)| zset.random(rng)) {
            Some((member, _)) => reply.bulk(&member),
            None => reply.null(),
        }
        return Ok(());
    };
    let Some((zset, rng)) = found.filter(|_| count != 0) else {
        reply.array(0);
        return Ok(());
    };
    let wanted = count.unsigned_abs() as usize;
    if count < 0 {
        // The same member may come several times.
        let repetition = Repetition::of(wanted, reply)?;
        let mut rows = Rows::announce(reply, wanted, with_scores);
        for _ in 0..wanted {
            if let Some((member, score)) = zset.random(rng) {
                rows.push(&member, score);
            }
            repetition.check(rows.reply)?;
        }
    } else if wanted >= zset.len() {
        Rows::announce(reply, zset.len(), with_scores).extend(zset.iter().rev());
    } else {
        let mut rows = Rows::announce(reply, wanted, with_scores);
        zset.sample(wanted, rng, |member, score| rows.push(member, score));
    }
    Ok(())
}

// --- Replies ------------------------------------------------------------------------------------------------------

fn double_or_null(reply: &mut Reply<'_>, score: Option<f64>) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

/// An array of members, with their scores if wanted: each after its member in RESP2, paired with it in RESP3.
struct Rows<'r, 'a> {
    reply: &'r mut Reply<'a>,
    with_scores: bool,
    nested: bool,
}

impl<'r, 'a> Rows<'r, 'a> {
    fn announce(reply: &'r mut Reply<'a>, rows: usize, with_scores: bool) -> Self {
        let nested = with_scores && reply.protocol() == Protocol::Resp3;
        reply.array(if with_scores && !nested { 2 * rows } else { rows });
        Self { reply, with_scores, nested }
    }

    fn push(&mut self, member: &[u8], score: f64) {
        if self.nested {
            self.reply.array(2);
        }
        self.reply.bulk(member);
        if self.with_scores {
            self.reply.double(score);
        }
    }

    fn extend<'m>(&mut self, rows: impl Iterator<Item = (Member<'m>, f64)>) {
        rows.for_each(|(member, score)| self.push(&member, score));
    }
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Db;

    #[test]
    fn answers_are_those_of_redis() {
        Db::new().check(include_str!("../../../../difftest/cases/zset.resp.txt"));
    }

    #[test]
    fn scores_are_doubles_and_pairs_nest_in_resp3() {
        let mut db = Db::resp3();
        db.check(
            r#"
            > ZADD z 1 a 2.5 b 3 c 4 d 5 e
            (integer) 5
            > ZSCORE z b
            (double) 2.5
            > ZSCORE z nobody
            (nil)
            > ZRANK z b WITHSCORE
            1) (integer) 1
            2) (double) 2.5
            > ZRANGE z 0 1 WITHSCORES
            1) 1) "a"
               2) (double) 1
            2) 1) "b"
               2) (double) 2.5
            > ZPOPMIN z
            1) "a"
            2) (double) 1
            > ZPOPMIN z 1
            1) 1) "b"
               2) (double) 2.5
            > BZPOPMAX z 0
            1) "z"
            2) "e"
            3) (double) 5
            > ZMPOP 1 z MIN
            1) "z"
            2) 1) 1) "c"
                  2) (double) 3
            > ZINCRBY z 1 d
            (double) 5
            > ZSCAN z 0
            1) "0"
            2) 1) "d"
               2) "5"
            "#,
        );
    }

    #[test]
    fn the_journal_has_what_pops_amount_to() {
        let mut db = Db::new();
        db.ok("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g");
        db.ok("ZADD z NX 1 a");
        db.ok("ZPOPMAX z");
        db.ok("ZMPOP 2 missing z MIN COUNT 2");
        db.ok("BZPOPMIN missing z 0");
        db.ok("BZMPOP 0 1 z MAX COUNT 100");
        db.ok("ZUNIONSTORE t 1 z");
        assert_eq!(
            db.journal(),
            ["ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g", "ZPOPMAX z", "ZPOPMIN z 2", "ZPOPMIN z", "ZPOPMAX z 3"]
        );
    }

    #[test]
    fn events_name_the_change_and_then_the_end_of_the_key() {
        let mut db = Db::new();
        db.ok("ZADD z 1 a 2 b");
        db.ok("ZADD z 1 a");
        db.ok("ZADD z INCR 1 a");
        db.ok("ZINTERSTORE t 1 z");
        db.ok("ZREMRANGEBYRANK z 0 -1");
        db.ok("ZRANGESTORE t z 0 -1");
        assert_eq!(
            db.events(),
            [
                "new z",
                "zadd z",
                "zincr z",
                "new t",
                "zinterstore t",
                "zremrangebyrank z",
                "del z",
                "keymiss z",
                "del t"
            ]
        );
        assert_eq!(db.dirty(), 2 + 1 + 1 + 2 + 1);
        assert_eq!(db.offered(), ["z", "t"]);
    }

    #[test]
    fn what_finds_nothing_waits() {
        let mut db = Db::new();
        for (line, keys) in [("BZPOPMIN a b 0", 1..3), ("BZMPOP 0 3 a b c MAX COUNT 2", 3..6)] {
            assert_eq!(db.run(line), "(waits)");
            let block = db.block.take().expect("it waits");
            assert_eq!((block.keys, block.deadline), (keys.collect(), None), "{line}");
        }
        assert_eq!(db.run("BZPOPMAX a 1.5"), "(waits)");
        assert_eq!(db.block.take().and_then(|block| block.deadline), Some(db.now + 1500));
        db.may_block = false;
        assert_eq!(db.run("BZMPOP 0 1 a MIN"), "(nil)");
    }

    #[test]
    fn sets_take_part_with_scores_of_1() {
        let mut db = Db::new();
        db.ok("SADD ints 1 2 3");
        db.ok("SADD words 2 b");
        db.check(
            r#"
            > ZADD z 5 2 7 b
            (integer) 2
            > ZUNION 3 ints words z WITHSCORES WEIGHTS 1 10 1
            1) "1"
            2) "1"
            3) "3"
            4) "1"
            5) "2"
            6) "16"
            7) "b"
            8) "17"
            > ZINTER 3 z ints words WITHSCORES
            1) "2"
            2) "7"
            > ZDIFFSTORE t 2 ints words
            (integer) 2
            > TYPE t
            zset
            > ZINTERCARD 2 ints words
            (integer) 1
            > ZADD ints 1 a
            (error) WRONGTYPE Operation against a key holding the wrong kind of value
            "#,
        );
    }

    #[test]
    fn a_large_set_counts_negative_offsets_from_the_end() {
        let mut db = Db::new();
        for (entries, up, down) in
            [(0, "1) \"c\"", "1) \"b\"\n2) \"a\""), (128, "(empty array)", "(empty array)")]
        {
            db.settings.zset.max_listpack_entries = entries;
            db.ok("FLUSHDB");
            db.ok("ZADD z 1 a 2 b 3 c 9 d");
            assert_eq!(db.run("ZRANGEBYSCORE z 1 3 LIMIT -1 5"), up);
            assert_eq!(db.run("ZREVRANGEBYSCORE z 3 1 LIMIT -2 5"), down);
            assert_eq!(db.run("ZREVRANGEBYSCORE z 3 1 LIMIT -4 5"), "(empty array)");
        }
    }
}
