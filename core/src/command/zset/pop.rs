//! Commands that take from the ends of a sorted set: ZPOPMIN ZPOPMAX ZMPOP and the forms that wait for something to
//! take. Those that name several keys, or wait, are replayed as the ZPOPMIN or ZPOPMAX they amount to.

use super::{Rows, report_removed};
use crate::command::{BlockedOn, Call, CommandError, EndPoint, Outcome, TimeoutReply, parse_timeout};
use crate::keyspace::UnixMillis;
use crate::number::parse_i64;
use crate::value::zset::Zset;
use std::ops::Range;

const NUMKEYS: CommandError = CommandError::Text("ERR numkeys should be greater than 0");
const COUNT: CommandError = CommandError::Text("ERR count should be greater than 0");

pub fn zpopmin(c: &mut Call<'_>) -> Outcome {
    pop(c, EndPoint::Front)
}

pub fn zpopmax(c: &mut Call<'_>) -> Outcome {
    pop(c, EndPoint::Back)
}

fn pop(c: &mut Call<'_>, end: EndPoint) -> Outcome {
    if c.args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let count = match c.args.get(2) {
        Some(count) => {
            let count = parse_i64(count).filter(|&count| count >= 0).ok_or(CommandError::MustBePositive)?;
            Some(count as usize)
        }
        None => None,
    };
    let key = c.arg(1);
    let shape = if count.is_some() { Shape::Members } else { Shape::Member };
    let Some(len) = c.data.zset_mut(key)?.map(|zset| zset.len()).filter(|_| count != Some(0)) else {
        c.reply.array(0);
        return Ok(());
    };
    take(c, key, end, count.unwrap_or(1).min(len), shape);
    Ok(())
}

/// How what was taken is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Member, score.
    Member,
    /// The same for several members, as ranges answer it.
    Members,
    /// Key, member, score.
    KeyedMember,
    /// The key and an array of pairs.
    KeyedMembers,
}

/// Takes `count` members, of which there are at least that many, and answers them.
fn take(c: &mut Call<'_>, key: &[u8], end: EndPoint, count: usize, shape: Shape) {
    let Call { data, reply, .. } = c;
    let Ok(Some(zset)) = data.zset_mut(key) else {
        unreachable!("the caller has seen it");
    };
    let len = zset.len();
    debug_assert!((1..=len).contains(&count));
    let (ranks, event): (Range<usize>, _) = match end {
        EndPoint::Front => (0..count, "zpopmin"),
        EndPoint::Back => (len - count..len, "zpopmax"),
    };
    let mut rows = match shape {
        Shape::Members => Rows::announce(reply, count, true),
        Shape::Member => {
            reply.array(2);
            Rows { reply, with_scores: true, nested: false }
        }
        Shape::KeyedMember => {
            reply.array(3);
            reply.bulk(key);
            Rows { reply, with_scores: true, nested: false }
        }
        Shape::KeyedMembers => {
            reply.array(2);
            reply.bulk(key);
            reply.array(count);
            Rows { reply, with_scores: true, nested: true }
        }
    };
    match end {
        EndPoint::Front => rows.extend(zset.range(ranks.clone())),
        EndPoint::Back if crate::bug!(ZpopmaxAscends) => rows.extend(zset.range(ranks.clone())),
        EndPoint::Back => rows.extend(zset.range(ranks.clone()).rev()),
    }
    zset.remove_range(ranks, |_, _| ());
    let emptied = zset.is_empty();
    report_removed(c, key, event, count, emptied);
}

/// What a command with several keys wants, and how it is answered and replayed.
#[derive(Clone, Copy)]
struct Request {
    end: EndPoint,
    count: usize,
    shape: Shape,
}

impl Request {
    /// Takes from the first set there is among the arguments `keys`. False if there is none.
    fn take_first(self, c: &mut Call<'_>, keys: Range<usize>) -> Result<bool, CommandError> {
        for key in keys.map(|at| c.args.at(at)) {
            let Some(len) = c.data.zset_mut(key)?.map(|zset: &mut Zset| zset.len()) else { continue };
            let count = self.count.min(len);
            take(c, key, self.end, count, self.shape);
            let name: &[u8] = match self.end {
                EndPoint::Front => b"ZPOPMIN",
                EndPoint::Back if crate::bug!(ZmpopReplaysOtherEnd) => b"ZPOPMIN",
                EndPoint::Back => b"ZPOPMAX",
            };
            match self.shape {
                Shape::KeyedMembers => {
                    c.data.propagate(&[name, key, itoa::Buffer::new().format(count).as_bytes()]);
                }
                _ => c.data.propagate(&[name, key]),
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn take_or_wait(self, c: &mut Call<'_>, keys: Range<usize>, deadline: Option<UnixMillis>) -> Outcome {
        if self.take_first(c, keys.clone())? {
            return Ok(());
        }
        c.block(BlockedOn::Zset, keys, deadline, TimeoutReply::NullArray)
    }
}

pub fn bzpopmin(c: &mut Call<'_>) -> Outcome {
    wait_for_one(c, EndPoint::Front)
}

pub fn bzpopmax(c: &mut Call<'_>) -> Outcome {
    wait_for_one(c, EndPoint::Back)
}

fn wait_for_one(c: &mut Call<'_>, end: EndPoint) -> Outcome {
    let timeout = c.args.len() - 1;
    let deadline = parse_timeout(c.arg(timeout), c.data.now)?;
    Request { end, count: 1, shape: Shape::KeyedMember }.take_or_wait(c, 1..timeout, deadline)
}

pub fn zmpop(c: &mut Call<'_>) -> Outcome {
    let (request, keys) = parse_many(c, 1)?;
    if !request.take_first(c, keys)? {
        c.reply.null_array();
    }
    Ok(())
}

pub fn bzmpop(c: &mut Call<'_>) -> Outcome {
    let (request, keys) = parse_many(c, 2)?;
    let deadline = parse_timeout(c.arg(1), c.data.now)?;
    request.take_or_wait(c, keys, deadline)
}

/// Reads `numkeys key … MIN|MAX [COUNT count]` from argument `at` on.
fn parse_many(c: &Call<'_>, at: usize) -> Result<(Request, Range<usize>), CommandError> {
    let positive = |at: usize, error: CommandError| {
        let number = parse_i64(c.arg(at)).filter(|&number| number > 0).ok_or(error)?;
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    };
    let keys = positive(at, NUMKEYS)?;
    let place = keys.saturating_add(at + 1);
    let end = EndPoint::min_max(c.args.get(place).ok_or(CommandError::Syntax)?)?;
    let mut count = None;
    let mut option = place + 1;
    while option < c.args.len() {
        if count.is_some() || !c.is(option, "COUNT") || option + 1 == c.args.len() {
            return Err(CommandError::Syntax);
        }
        count = Some(positive(option + 1, COUNT)?);
        option += 2;
    }
    Ok((Request { end, count: count.unwrap_or(1), shape: Shape::KeyedMembers }, at + 1..place))
}
