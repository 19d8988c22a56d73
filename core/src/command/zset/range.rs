//! Commands about a part of a sorted set: the ZRANGE family, ZCOUNT, ZLEXCOUNT and the ZREMRANGEBY family.
//!
//! A part is named by ranks, by scores or by member bytes (`Bounds`); whichever it is, it becomes a range of
//! ascending ranks, and LIMIT is arithmetic on that.

use super::{Rows, report_removed, store};
use crate::command::{Call, CommandError, Outcome};
use crate::number::{FloatBuffer, parse_range_f64};
use crate::resp::Argv;
use crate::value::zset::{LexBound, ScoreBound, Zset, ZsetEncoding};
use std::ops::Range;

const NOT_SCORES: CommandError = CommandError::Text("ERR min or max is not a float");
const NOT_LEX: CommandError = CommandError::Text("ERR min or max not valid string range item");
const LIMIT_BY_RANK: CommandError = CommandError::Text(
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
);
const SCORES_BY_LEX: CommandError =
    CommandError::Text("ERR syntax error, WITHSCORES not supported in combination with BYLEX");

/// What the two bounds of a part are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// The bounds of a part, the lower one first.
#[derive(Clone, Copy)]
enum Bounds<'a> {
    /// Negative ranks count from the end.
    Rank(i64, i64),
    Score(ScoreBound, ScoreBound),
    Lex(LexBound<'a>, LexBound<'a>),
}

impl<'a> Bounds<'a> {
    /// Reads the bounds at two argument indexes.
    fn parse(c: &Call<'a>, by: By, min: usize, max: usize) -> Result<Self, CommandError> {
        Ok(match by {
            By::Rank => Bounds::Rank(c.int(min)?, c.int(max)?),
            By::Score => {
                let bound = |at| parse_score_bound(c.arg(at)).ok_or(NOT_SCORES);
                Bounds::Score(bound(min)?, bound(max)?)
            }
            By::Lex => {
                let bound = |at| parse_lex_bound(c.arg(at)).ok_or(NOT_LEX);
                Bounds::Lex(bound(min)?, bound(max)?)
            }
        })
    }

    /// The ascending ranks of the part; with `reverse`, ranks are counted from the highest score.
    fn ranks(&self, zset: &Zset, reverse: bool) -> Range<usize> {
        match *self {
            Bounds::Rank(start, end) => {
                let len = zset.len();
                let at = |rank: i64| if rank < 0 { rank + len as i64 } else { rank };
                let start = at(start).max(0).min(len as i64) as usize;
                let end = at(end).saturating_add(1).clamp(start as i64, len as i64) as usize;
                if reverse && !crate::bug!(ZrangeRevByRankForward) {
                    len - end..len - start
                } else {
                    start..end
                }
            }
            Bounds::Score(min, max) => zset.score_range(min, max),
            Bounds::Lex(min, max) if reverse => zset.lex_range_down(min, max),
            Bounds::Lex(min, max) => zset.lex_range(min, max),
        }
    }
}

/// `1.5`, `(1.5`, `-inf`.
fn parse_score_bound(word: &[u8]) -> Option<ScoreBound> {
    match word {
        [b'(', score @ ..] if crate::bug!(ScoreBoundsInclude) => parse_range_f64(score).map(ScoreBound::Incl),
        [b'(', score @ ..] => parse_range_f64(score).map(ScoreBound::Excl),
        score => parse_range_f64(score).map(ScoreBound::Incl),
    }
}

/// `-`, `+`, `[member`, `(member`.
fn parse_lex_bound(word: &[u8]) -> Option<LexBound<'_>> {
    match word {
        // What follows a NUL is not looked at.
        [b'-'] | [b'-', 0, ..] => Some(LexBound::Min),
        [b'+'] | [b'+', 0, ..] => Some(LexBound::Max),
        [b'[', member @ ..] => Some(LexBound::Incl(member)),
        [b'(', member @ ..] if crate::bug!(LexBoundsInclude) => Some(LexBound::Incl(member)),
        [b'(', member @ ..] => Some(LexBound::Excl(member)),
        _ => None,
    }
}

// --- Reading a range ----------------------------------------------------------------------------------------------

/// What a command of the ZRANGE family leaves to its options.
#[derive(Clone, Copy)]
struct Form {
    by: Option<By>,
    reverse: Option<bool>,
    /// The argument index of the set's key.
    key: usize,
    store: bool,
}

const ZRANGE: Form = Form { by: None, reverse: None, key: 1, store: false };

/// A command of the ZRANGE family, read.
struct Query<'a> {
    bounds: Bounds<'a>,
    reverse: bool,
    offset: i64,
    /// Negative is no limit.
    limit: i64,
    with_scores: bool,
}

impl<'a> Query<'a> {
    fn parse(c: &Call<'a>, form: Form) -> Result<Self, CommandError> {
        let (mut by, mut reverse) = (form.by, form.reverse);
        let (mut offset, mut limit, mut with_scores) = (0, -1, false);
        let mut at = form.key + 3;
        while at < c.args.len() {
            if !form.store && c.is(at, "WITHSCORES") {
                with_scores = true;
            } else if at + 2 < c.args.len() && c.is(at, "LIMIT") {
                (offset, limit) = (c.int(at + 1)?, c.int(at + 2)?);
                at += 2;
            } else if reverse.is_none() && c.is(at, "REV") {
                reverse = Some(true);
            } else if by.is_none() && c.is(at, "BYLEX") {
                by = Some(By::Lex);
            } else if by.is_none() && c.is(at, "BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(CommandError::Syntax);
            }
            at += 1;
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(LIMIT_BY_RANK);
        }
        if with_scores && by == By::Lex {
            return Err(SCORES_BY_LEX);
        }
        let (first, second) = (form.key + 1, form.key + 2);
        let swapped = reverse && by != By::Rank;
        let (min, max) = if swapped { (second, first) } else { (first, second) };
        let bounds = Bounds::parse(c, by, min, max)?;
        Ok(Self { bounds, reverse, offset, limit, with_scores })
    }

    /// The ascending ranks of what is asked for.
    fn ranks(&self, zset: &Zset) -> Range<usize> {
        let Range { start, end } = self.bounds.ranks(zset, self.reverse);
        let len = end - start;
        let offset = self.offset.unsigned_abs() as usize;
        let packed = zset.encoding() == ZsetEncoding::Listpack;
        let skipped = match self.bounds {
            Bounds::Rank(..) => return start..end,
            Bounds::Lex(min, max) if packed && len > 0 && self.offset > 0 => {
                return self.limited(self.lex_walk_on(zset, start..end, min, max), 0);
            }
            _ if self.offset >= 0 => offset.min(len),
            // Redis has no meaning for it in a small set, and counts from the end in a large one.
            _ if !packed && offset <= len => len - offset,
            _ => len,
        };
        self.limited(start..end, skipped)
    }

    /// What LIMIT leaves of these ranks after `skipped` of them.
    fn limited(&self, Range { start, end }: Range<usize>, skipped: usize) -> Range<usize> {
        let count = usize::try_from(self.limit).unwrap_or(usize::MAX).min(end - start - skipped);
        if self.reverse {
            end - skipped - count..end - skipped
        } else {
            start + skipped..start + skipped + count
        }
    }

    /// The ranks after the offset in a small set: Redis skips members there without looking at them, which shows when
    /// the scores are not all equal.
    fn lex_walk_on(
        &self,
        zset: &Zset,
        Range { start, end }: Range<usize>,
        min: LexBound<'_>,
        max: LexBound<'_>,
    ) -> Range<usize> {
        let offset = self.offset as usize;
        if self.reverse {
            let end = end.saturating_sub(offset);
            let inside = zset.range(0..end).rev().take_while(|(member, _)| min.admits_from_below(member));
            end - inside.count()..end
        } else {
            let start = start.saturating_add(offset).min(zset.len());
            let inside =
                zset.range(start..zset.len()).take_while(|(member, _)| max.admits_from_above(member));
            start..start + inside.count()
        }
    }
}

pub fn zrange(c: &mut Call<'_>) -> Outcome {
    answer(c, ZRANGE)
}

pub fn zrevrange(c: &mut Call<'_>) -> Outcome {
    answer(c, Form { by: Some(By::Rank), reverse: Some(true), ..ZRANGE })
}

pub fn zrangebyscore(c: &mut Call<'_>) -> Outcome {
    answer(c, Form { by: Some(By::Score), reverse: Some(false), ..ZRANGE })
}

pub fn zrevrangebyscore(c: &mut Call<'_>) -> Outcome {
    answer(c, Form { by: Some(By::Score), reverse: Some(true), ..ZRANGE })
}

pub fn zrangebylex(c: &mut Call<'_>) -> Outcome {
    answer(c, Form { by: Some(By::Lex), reverse: Some(false), ..ZRANGE })
}

pub fn zrevrangebylex(c: &mut Call<'_>) -> Outcome {
    answer(c, Form { by: Some(By::Lex), reverse: Some(true), ..ZRANGE })
}

fn answer(c: &mut Call<'_>, form: Form) -> Outcome {
    let query = Query::parse(c, form)?;
    let key = c.arg(form.key);
    let Call { data, reply, .. } = c;
    let Some(zset) = data.zset(key)? else {
        reply.array(0);
        return Ok(());
    };
    let members = zset.range(query.ranks(zset));
    let mut rows = Rows::announce(reply, members.len(), query.with_scores);
    if query.reverse {
        rows.extend(members.rev());
    } else {
        rows.extend(members);
    }
    Ok(())
}

pub fn zrangestore(c: &mut Call<'_>) -> Outcome {
    let form = Form { key: 2, store: true, ..ZRANGE };
    let query = Query::parse(c, form)?;
    let (target, source) = (c.arg(1), c.arg(form.key));
    let limits = c.data.settings.zset;
    let seed = c.data.keyspace.seed();
    let mut part = Zset::new(seed);
    if let Some(zset) = c.data.zset(source)? {
        let members = zset.range(query.ranks(zset));
        // As Redis: it begins with the encoding for as many members as it knows of, which is visible, because a small
        // set does not keep the sign of -0.
        let expected = if matches!(query.bounds, Bounds::Rank(..)) { members.len() } else { 0 };
        part.expect(expected, &limits);
        if query.reverse {
            members.rev().for_each(|(member, score)| {
                part.insert(&member, score, &limits);
            });
        } else {
            members.for_each(|(member, score)| part.push_last(&member, score, &limits));
        }
    }
    // What an offset passes over depends on the encoding, and that may be another where this is replayed.
    let depends = query.offset != 0 && !matches!(query.bounds, Bounds::Rank(..));
    let made =
        (depends && c.data.effects.interest.journal && !crate::bug!(RangeStoreReplayedAsSent)).then(|| {
            let mut made = Argv::of([b"ZADD", target]);
            for (member, score) in part.iter() {
                made.push(FloatBuffer::new().format(score));
                made.push(&member);
            }
            made
        });
    let dirty = c.data.effects.dirty;
    store(c, target, part, "zrangestore");
    if let Some(made) = made
        && c.data.effects.dirty != dirty
    {
        c.data.propagate(&[b"DEL", target]);
        if made.len() > 2 {
            c.data.propagate_argv(made);
        }
    }
    Ok(())
}

// --- Counting -----------------------------------------------------------------------------------------------------

pub fn zcount(c: &mut Call<'_>) -> Outcome {
    count(c, By::Score)
}

pub fn zlexcount(c: &mut Call<'_>) -> Outcome {
    count(c, By::Lex)
}

fn count(c: &mut Call<'_>, by: By) -> Outcome {
    let bounds = Bounds::parse(c, by, 2, 3)?;
    let count = c.data.zset(c.args.at(1))?.map_or(0, |zset| bounds.ranks(zset, false).len());
    c.reply.int(count as i64);
    Ok(())
}

// --- Removing -----------------------------------------------------------------------------------------------------

pub fn zremrangebyrank(c: &mut Call<'_>) -> Outcome {
    remove(c, By::Rank, "zremrangebyrank")
}

pub fn zremrangebyscore(c: &mut Call<'_>) -> Outcome {
    remove(c, By::Score, "zremrangebyscore")
}

pub fn zremrangebylex(c: &mut Call<'_>) -> Outcome {
    remove(c, By::Lex, "zremrangebylex")
}

fn remove(c: &mut Call<'_>, by: By, event: &'static str) -> Outcome {
    let bounds = Bounds::parse(c, by, 2, 3)?;
    let key = c.arg(1);
    let (mut removed, mut emptied) = (0, false);
    if let Some(zset) = c.data.zset_mut(key)? {
        let ranks = bounds.ranks(zset, false);
        removed = zset.remove_range(ranks, |_, _| ());
        emptied = zset.is_empty();
    }
    report_removed(c, key, event, removed, emptied);
    c.reply.int(removed as i64);
    Ok(())
}
