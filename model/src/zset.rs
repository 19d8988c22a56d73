//! Sorted sets: members with scores, in the order of their scores and, among equal ones, of their bytes.
//!
//! Some of what Redis answers depends on how it holds a set, small or large, or on chance. What the specification
//! leaves open:
//!
//! - the sign of a score of zero;
//! - what a negative LIMIT offset means: nothing is answered, or it counts from the end of the range;
//! - what a lexicographical range is when the scores are not all equal. Questions about one may be answered with any
//!   of the members; where one is removed or stored it is the range that a walk through the set finds, as in a small
//!   set.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use kevy::command::CommandId;
use kevy::resp::{Frame, Protocol};

use crate::blocking::{BlockedOn, deadline};
use crate::hash::{is_draw, signed_count};
use crate::keyspace::{NOT_FLOAT, NOT_INTEGER, SYNTAX, WRONG_TYPE, as_zset};
use crate::{Answer, Ask, Bytes, Model, Value, Want, number, scan};

type Scores = BTreeMap<Bytes, f64>;
/// A member and its score.
type Row = (Bytes, f64);

/// The set at a key for a change, empty if there is none.
fn zset_of(m: &mut Model, ask: &Ask, key: &Bytes) -> Result<Scores, String> {
    Ok(as_zset(m.find(ask, key))?.unwrap_or_default())
}

/// The set at a key for reading, empty if there is none.
fn read_zset(m: &mut Model, ask: &Ask, key: &Bytes) -> Result<Scores, String> {
    Ok(as_zset(m.read(ask, key))?.unwrap_or_default())
}

fn by_score_and_member((a_member, a): &Row, (b_member, b): &Row) -> Ordering {
    a.partial_cmp(b).expect("no score is NaN").then_with(|| a_member.cmp(b_member))
}

/// The rows of a set in its order.
fn in_order(zset: Scores) -> Vec<Row> {
    let mut rows: Vec<Row> = zset.into_iter().collect();
    rows.sort_by(by_score_and_member);
    rows
}

fn integer(text: &[u8]) -> Result<i64, String> {
    number::int(text).ok_or_else(|| NOT_INTEGER.into())
}

// --- Answers ------------------------------------------------------------------------------------------------------

fn score_want(score: f64) -> Want {
    if score == 0.0 { Want::OneOf(vec![Want::Double(0.0), Want::Double(-0.0)]) } else { Want::Double(score) }
}

fn score_or_nil(score: Option<f64>) -> Want {
    score.map_or(Want::Nil, score_want)
}

fn pair((member, score): Row) -> [Want; 2] {
    [Want::Bulk(member), score_want(score)]
}

fn nested(rows: Vec<Row>) -> Want {
    Want::Array(rows.into_iter().map(|row| Want::Array(pair(row).into())).collect())
}

/// Members with their scores: one after the other in RESP2, in pairs in RESP3.
fn with_scores(ask: &Ask, rows: Vec<Row>) -> Want {
    match ask.protocol {
        Protocol::Resp3 => nested(rows),
        Protocol::Resp2 => Want::Array(rows.into_iter().flat_map(pair).collect()),
    }
}

fn members_or_pairs(ask: &Ask, rows: Vec<Row>, scores: bool) -> Want {
    if scores { with_scores(ask, rows) } else { Want::bulks(rows.into_iter().map(|(member, _)| member)) }
}

// --- Changing -----------------------------------------------------------------------------------------------------

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
    /// The options from argument 2 on, and where they end. ZINCRBY is a ZADD with INCR, down to its options.
    fn parse(ask: &Ask) -> (Conditions, usize) {
        let mut is = Conditions { incr: ask.id == CommandId::ZIncrBy, ..Conditions::default() };
        let mut at = 2;
        loop {
            match () {
                _ if ask.is(at, "NX") => is.nx = true,
                _ if ask.is(at, "XX") => is.xx = true,
                _ if ask.is(at, "GT") => is.gt = true,
                _ if ask.is(at, "LT") => is.lt = true,
                _ if ask.is(at, "CH") => is.ch = true,
                _ if ask.is(at, "INCR") => is.incr = true,
                _ => return (is, at),
            }
            at += 1;
        }
    }

    fn check(self, pairs: usize) -> Result<(), String> {
        if self.nx && self.xx {
            return Err("ERR XX and NX options at the same time are not compatible".into());
        }
        if (self.gt && self.lt) || (self.nx && (self.gt || self.lt)) {
            return Err("ERR GT, LT, and/or NX options at the same time are not compatible".into());
        }
        if self.incr && pairs > 1 {
            return Err("ERR INCR option supports a single increment-element pair".into());
        }
        Ok(())
    }

    /// The score that a member gets, if it gets one.
    fn score(self, old: Option<f64>, given: f64) -> Result<Option<f64>, String> {
        let Some(old) = old else { return Ok(Some(given).filter(|_| !self.xx)) };
        if self.nx {
            return Ok(None);
        }
        let new = if self.incr { old + given } else { given };
        if new.is_nan() {
            return Err("ERR resulting score is not a number (NaN)".into());
        }
        Ok(Some(new).filter(|&new| (!self.gt || new > old) && (!self.lt || new < old)))
    }
}

/// ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member …]
pub fn zadd(m: &mut Model, ask: &Ask) -> Answer {
    let (conditions, at) = Conditions::parse(ask);
    let pairs = &ask.argv[at..];
    if pairs.is_empty() || pairs.len() % 2 == 1 {
        return Err(SYNTAX.into());
    }
    conditions.check(pairs.len() / 2)?;
    let scored: Option<Vec<Row>> =
        pairs.chunks(2).map(|pair| Some((pair[1].clone(), number::double(&pair[0])?))).collect();
    let scored = scored.ok_or(NOT_FLOAT)?;

    let mut zset = zset_of(m, ask, ask.arg(1))?;
    m.convert(ask, ask.arg(1));
    let (mut added, mut updated, mut last) = (0, 0, None);
    for (member, given) in scored {
        let old = zset.get(&member).copied();
        last = conditions.score(old, given)?;
        let Some(new) = last else { continue };
        zset.insert(member, new);
        match old {
            None => added += 1,
            Some(old) if old != new => updated += 1,
            Some(_) => {}
        }
    }
    if added + updated > 0 {
        let event = if conditions.incr { "zincr" } else { "zadd" };
        m.changed(ask, ask.arg(1), Value::Zset(zset), 'z', event);
    }
    Ok(match conditions {
        Conditions { incr: true, .. } => score_or_nil(last),
        Conditions { ch: true, .. } => Want::Int(added + updated),
        _ => Want::Int(added),
    })
}

pub fn zincrby(m: &mut Model, ask: &Ask) -> Answer {
    zadd(m, ask)
}

pub fn zrem(m: &mut Model, ask: &Ask) -> Answer {
    let mut zset = zset_of(m, ask, ask.arg(1))?;
    let removed = ask.argv[2..].iter().filter(|member| zset.remove(*member).is_some()).count();
    if removed > 0 {
        m.changed(ask, ask.arg(1), Value::Zset(zset), 'z', "zrem");
    }
    Ok(Want::count(removed))
}

/// The end of the STORE commands: the result at argument 1, whatever was there; an empty one leaves nothing.
fn store(m: &mut Model, ask: &Ask, rows: Vec<Row>, event: &str) -> Answer {
    let (destination, size) = (ask.arg(1), rows.len());
    if size > 0 {
        m.put(ask, destination, Value::Zset(rows.into_iter().collect()));
        m.notify('z', event, ask.db, destination);
    } else if m.remove(ask, destination) {
        m.notify('g', "del", ask.db, destination);
    }
    Ok(Want::count(size))
}

// --- One member, or all -------------------------------------------------------------------------------------------

pub fn zcard(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::count(read_zset(m, ask, ask.arg(1))?.len()))
}

pub fn zscore(m: &mut Model, ask: &Ask) -> Answer {
    Ok(score_or_nil(read_zset(m, ask, ask.arg(1))?.get(ask.arg(2)).copied()))
}

pub fn zmscore(m: &mut Model, ask: &Ask) -> Answer {
    let zset = read_zset(m, ask, ask.arg(1))?;
    let scores = ask.argv[2..].iter().map(|member| score_or_nil(zset.get(member).copied()));
    Ok(Want::Array(scores.collect()))
}

/// ZRANK key member [WITHSCORE]
pub fn zrank(m: &mut Model, ask: &Ask) -> Answer {
    rank(m, ask, false)
}

pub fn zrevrank(m: &mut Model, ask: &Ask) -> Answer {
    rank(m, ask, true)
}

fn rank(m: &mut Model, ask: &Ask, reverse: bool) -> Answer {
    if ask.argc() > 4 {
        return Err(crate::gates::wrong_arity(ask.id.command().name));
    }
    let with_score = ask.is(3, "WITHSCORE");
    if ask.argc() == 4 && !with_score {
        return Err(SYNTAX.into());
    }
    let mut rows = in_order(read_zset(m, ask, ask.arg(1))?);
    if reverse {
        rows.reverse();
    }
    let rank = rows.iter().position(|(member, _)| member == ask.arg(2));
    Ok(match rank {
        Some(rank) if with_score => Want::Array(vec![Want::count(rank), score_want(rows[rank].1)]),
        Some(rank) => Want::count(rank),
        None if with_score => Want::NilArray,
        None => Want::Nil,
    })
}

/// ZRANDMEMBER key [count [WITHSCORES]]: see HRANDFIELD.
pub fn zrandmember(m: &mut Model, ask: &Ask) -> Answer {
    if ask.argc() == 2 {
        let members: Vec<Want> = read_zset(m, ask, ask.arg(1))?.into_keys().map(Want::Bulk).collect();
        return Ok(if members.is_empty() { Want::Nil } else { Want::OneOf(members) });
    }
    let count = signed_count(ask.arg(2))?;
    let scores = ask.is(3, "WITHSCORES");
    if ask.argc() > 4 || (ask.argc() == 4 && !scores) {
        return Err(SYNTAX.into());
    }
    if scores && !(i64::MIN / 2 + 1..=i64::MAX / 2).contains(&count) {
        return Err("ERR value is out of range".into());
    }
    let zset = read_zset(m, ask, ask.arg(1))?;
    let protocol = ask.protocol;
    Ok(Want::such("that many members of the set, each with its score if asked for", move |frame| {
        let Some(drawn) = drawn_members(frame, scores, protocol, &zset) else { return false };
        is_draw(&drawn, count, zset.len())
    }))
}

/// The members that a reply names, if each is one and its score, if asked for, is right.
fn drawn_members<'f>(
    frame: &'f Frame,
    scores: bool,
    protocol: Protocol,
    zset: &Scores,
) -> Option<Vec<&'f Bytes>> {
    let Frame::Array(items) = frame else { return None };
    let member = |item: &'f Frame| match item {
        Frame::Bulk(member) if zset.contains_key(member) => Some(member),
        _ => None,
    };
    let scored = |pair: &'f [Frame]| {
        let [first, score] = pair else { return None };
        let member = member(first)?;
        score_want(zset[member]).allows(score, protocol).then_some(member)
    };
    let paired = |item: &'f Frame| if let Frame::Array(pair) = item { scored(pair) } else { None };
    match protocol {
        _ if !scores => items.iter().map(member).collect(),
        Protocol::Resp2 => items.chunks(2).map(scored).collect(),
        Protocol::Resp3 => items.iter().map(paired).collect(),
    }
}

/// ZSCAN key cursor [MATCH pattern] [COUNT n]; the options of a missing key are not looked at.
pub fn zscan(m: &mut Model, ask: &Ask) -> Answer {
    let cursor = scan::cursor(ask.arg(2))?;
    let Some(zset) = as_zset(m.read(ask, ask.arg(1)))? else {
        return Ok(Want::Array(vec![Want::bulk("0"), Want::Array(vec![])]));
    };
    let options = scan::options(ask, 3)?;
    let shown = zset.into_iter().filter(|(member, _)| scan::passes(&options, member));
    let elements = shown.map(|(member, score)| (member, vec![scanned_score(score)])).collect();
    scan::page(m, ask, Some(ask.arg(1)), cursor, elements)
}

/// ZSCAN shows scores as text in both protocols: as other commands do, or with all of 17 digits.
fn scanned_score(score: f64) -> Want {
    let as_double = move |text: &[u8]| number::is_double_text(text, score);
    let zero = move |text: &[u8]| score == 0.0 && matches!(text, b"0" | b"-0");
    let fits = move |text: &[u8]| as_double(text) || zero(text) || text == with_17_digits(score).as_bytes();
    Want::such("the score", move |frame| matches!(frame, Frame::Bulk(text) if fits(text)))
}

/// C's `%.17g`.
fn with_17_digits(value: f64) -> String {
    let scientific = format!("{value:.16e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let places: i32 = exponent.parse().unwrap_or(0);
    let cut = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text.to_string(),
    };
    match places {
        -4..17 => cut(&format!("{value:.*}", (16 - places) as usize)),
        _ => {
            let sign = if places < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", cut(mantissa), places.abs())
        }
    }
}

// --- Ranges -------------------------------------------------------------------------------------------------------

/// What bounds are about.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// A bound that is a value, or just beside it.
struct Edge<T> {
    value: T,
    excluded: bool,
}

impl<T: PartialOrd> Edge<T> {
    fn admits_above(&self, value: &T) -> bool {
        *value > self.value || (*value == self.value && !self.excluded)
    }

    fn admits_below(&self, value: &T) -> bool {
        *value < self.value || (*value == self.value && !self.excluded)
    }
}

/// A member as a bound, or what is below or above all members.
enum LexEdge {
    Lowest,
    Highest,
    Member(Edge<Bytes>),
}

impl LexEdge {
    fn admits_above(&self, member: &Bytes) -> bool {
        match self {
            LexEdge::Lowest => true,
            LexEdge::Highest => false,
            LexEdge::Member(edge) => edge.admits_above(member),
        }
    }

    fn admits_below(&self, member: &Bytes) -> bool {
        match self {
            LexEdge::Lowest => false,
            LexEdge::Highest => true,
            LexEdge::Member(edge) => edge.admits_below(member),
        }
    }
}

enum Bounds {
    /// First and last; negative ranks count from the end.
    Ranks(i64, i64),
    Scores(Edge<f64>, Edge<f64>),
    Members(LexEdge, LexEdge),
}

impl Bounds {
    /// Reads the lower bound at argument `min` and the upper one at `max`.
    fn parse(ask: &Ask, by: By, min: usize, max: usize) -> Result<Bounds, String> {
        let (min, max) = (ask.arg(min), ask.arg(max));
        match by {
            By::Rank => Ok(Bounds::Ranks(integer(min)?, integer(max)?)),
            By::Score => {
                let both = score_edge(min).zip(score_edge(max));
                let (min, max) = both.ok_or("ERR min or max is not a float")?;
                Ok(Bounds::Scores(min, max))
            }
            By::Lex => {
                let both = lex_edge(min).zip(lex_edge(max));
                let (min, max) = both.ok_or("ERR min or max not valid string range item")?;
                Ok(Bounds::Members(min, max))
            }
        }
    }

    fn admits_above(&self, (member, score): &Row) -> bool {
        match self {
            Bounds::Ranks(..) => true,
            Bounds::Scores(min, _) => min.admits_above(score),
            Bounds::Members(min, _) => min.admits_above(member),
        }
    }

    fn admits_below(&self, (member, score): &Row) -> bool {
        match self {
            Bounds::Ranks(..) => true,
            Bounds::Scores(_, max) => max.admits_below(score),
            Bounds::Members(_, max) => max.admits_below(member),
        }
    }

    /// Whether it is specified what is within: see the module documentation.
    fn are_clear(&self, rows: &[Row]) -> bool {
        !matches!(self, Bounds::Members(..)) || rows.iter().all(|(_, score)| *score == rows[0].1)
    }

    /// The rows within, lowest first.
    fn part(&self, rows: Vec<Row>) -> Vec<Row> {
        self.part_from(rows, false, 0)
    }

    /// The rows within, of a set in its order, in the direction asked for and without the first `offset` ones.
    fn part_from(&self, mut rows: Vec<Row>, reverse: bool, offset: usize) -> Vec<Row> {
        let ends = rows.last().is_some_and(|row| self.admits_above(row))
            && rows.first().is_some_and(|row| self.admits_below(row));
        if reverse {
            rows.reverse();
        }
        if let Bounds::Ranks(start, end) = self {
            return ranked(rows, *start, *end);
        }
        let begins = |row: &Row| if reverse { self.admits_below(row) } else { self.admits_above(row) };
        let goes_on = |row: &Row| if reverse { self.admits_above(row) } else { self.admits_below(row) };
        let rest: Vec<Row> = rows.into_iter().skip_while(|row| !begins(row)).collect();
        // With an offset nothing is looked at on the way to it but the first row.
        if !ends || !rest.first().is_some_and(goes_on) {
            return Vec::new();
        }
        rest.into_iter().skip(offset).take_while(goes_on).collect()
    }
}

/// The rows from one rank to another, both included.
fn ranked(rows: Vec<Row>, start: i64, end: i64) -> Vec<Row> {
    let size = rows.len() as i64;
    let rank = |n: i64| if n < 0 { n + size } else { n };
    let asked = rank(start)..=rank(end);
    (0..).zip(rows).filter(|(rank, _)| asked.contains(rank)).map(|(_, row)| row).collect()
}

/// `1.5`, `(1.5`, `-inf`.
fn score_edge(text: &[u8]) -> Option<Edge<f64>> {
    let excluded = text.starts_with(b"(");
    let text = if excluded { &text[1..] } else { text };
    // What follows a NUL is not looked at, and nothing is 0.
    let text = text.split(|&byte| byte == 0).next()?;
    let value = if text.is_empty() { 0.0 } else { number::decimal_double(text)? };
    Some(Edge { value, excluded })
}

/// `-`, `+`, `[member`, `(member`.
fn lex_edge(text: &[u8]) -> Option<LexEdge> {
    match text {
        // What follows a NUL is not looked at.
        [b'-'] | [b'-', 0, ..] => Some(LexEdge::Lowest),
        [b'+'] | [b'+', 0, ..] => Some(LexEdge::Highest),
        [b'[', member @ ..] => Some(LexEdge::Member(Edge { value: member.to_vec(), excluded: false })),
        [b'(', member @ ..] => Some(LexEdge::Member(Edge { value: member.to_vec(), excluded: true })),
        _ => None,
    }
}

/// What a command of the ZRANGE family asks for.
struct Query {
    bounds: Bounds,
    reverse: bool,
    offset: i64,
    /// Negative is none.
    limit: i64,
    scores: bool,
}

impl Query {
    /// `key` is the argument of the set. What `by` and `reverse` say already is no option.
    fn parse(ask: &Ask, key: usize, by: Option<By>, reverse: Option<bool>) -> Result<Query, String> {
        let stores = ask.id == CommandId::ZRangeStore;
        let (mut chosen_by, mut chosen_reverse) = (by, reverse);
        let (mut offset, mut limit, mut scores) = (0, -1, false);
        let mut at = key + 3;
        while at < ask.argc() {
            match () {
                _ if !stores && ask.is(at, "WITHSCORES") => scores = true,
                _ if ask.is(at, "LIMIT") && at + 2 < ask.argc() => {
                    (offset, limit) = (integer(ask.arg(at + 1))?, integer(ask.arg(at + 2))?);
                    at += 2;
                }
                _ if chosen_reverse.is_none() && ask.is(at, "REV") => chosen_reverse = Some(true),
                _ if chosen_by.is_none() && ask.is(at, "BYSCORE") => chosen_by = Some(By::Score),
                _ if chosen_by.is_none() && ask.is(at, "BYLEX") => chosen_by = Some(By::Lex),
                _ => return Err(SYNTAX.into()),
            }
            at += 1;
        }
        let (by, reverse) = (chosen_by.unwrap_or(By::Rank), chosen_reverse.unwrap_or(false));
        if by == By::Rank && limit != -1 {
            return Err("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or \
                        BYLEX"
                .into());
        }
        if by == By::Lex && scores {
            return Err("ERR syntax error, WITHSCORES not supported in combination with BYLEX".into());
        }
        let upper_first = reverse && by != By::Rank;
        let (min, max) = if upper_first { (key + 2, key + 1) } else { (key + 1, key + 2) };
        let bounds = Bounds::parse(ask, by, min, max)?;
        Ok(Query { bounds, reverse, offset, limit, scores })
    }

    /// The parts of a set, in its order, that may be answered.
    fn parts(&self, rows: Vec<Row>) -> Vec<Vec<Row>> {
        let limited = |mut part: Vec<Row>| {
            part.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
            part
        };
        match usize::try_from(self.offset) {
            _ if matches!(self.bounds, Bounds::Ranks(..)) => {
                vec![self.bounds.part_from(rows, self.reverse, 0)]
            }
            Ok(offset) => vec![limited(self.bounds.part_from(rows, self.reverse, offset))],
            Err(_) => {
                let mut all = self.bounds.part_from(rows, self.reverse, 0);
                let wanted = usize::try_from(self.offset.unsigned_abs()).unwrap_or(usize::MAX);
                let from_end = all.len().checked_sub(wanted).map(|at| all.split_off(at));
                vec![Vec::new(), limited(from_end.unwrap_or_default())]
            }
        }
    }
}

fn answer_range(m: &mut Model, ask: &Ask, by: Option<By>, reverse: Option<bool>) -> Answer {
    let query = Query::parse(ask, 1, by, reverse)?;
    let rows = in_order(read_zset(m, ask, ask.arg(1))?);
    if query.bounds.are_clear(&rows) {
        let parts = query.parts(rows).into_iter();
        return Ok(Want::OneOf(parts.map(|part| members_or_pairs(ask, part, query.scores)).collect()));
    }
    let is_member =
        move |item: &Frame| matches!(item, Frame::Bulk(got) if rows.iter().any(|(member, _)| member == got));
    Ok(Want::such(
        "members of the set",
        move |frame| matches!(frame, Frame::Array(items) if items.iter().all(&is_member)),
    ))
}

/// ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]
pub fn zrange(m: &mut Model, ask: &Ask) -> Answer {
    answer_range(m, ask, None, None)
}

pub fn zrevrange(m: &mut Model, ask: &Ask) -> Answer {
    answer_range(m, ask, Some(By::Rank), Some(true))
}

pub fn zrangebyscore(m: &mut Model, ask: &Ask) -> Answer {
    answer_range(m, ask, Some(By::Score), Some(false))
}

pub fn zrevrangebyscore(m: &mut Model, ask: &Ask) -> Answer {
    answer_range(m, ask, Some(By::Score), Some(true))
}

pub fn zrangebylex(m: &mut Model, ask: &Ask) -> Answer {
    answer_range(m, ask, Some(By::Lex), Some(false))
}

pub fn zrevrangebylex(m: &mut Model, ask: &Ask) -> Answer {
    answer_range(m, ask, Some(By::Lex), Some(true))
}

/// ZRANGESTORE destination source, and on as ZRANGE. Which of the allowed parts was stored, the reply tells.
pub fn zrangestore(m: &mut Model, ask: &Ask) -> Answer {
    let query = Query::parse(ask, 2, None, None)?;
    let rows = in_order(read_zset(m, ask, ask.arg(2))?);
    let mut parts = query.parts(rows);
    let told = parts.iter().position(|part| ask.reply == Some(&Frame::Int(part.len() as i64)));
    let part = parts.swap_remove(told.unwrap_or(0));
    store(m, ask, part, "zrangestore")
}

pub fn zcount(m: &mut Model, ask: &Ask) -> Answer {
    let bounds = Bounds::parse(ask, By::Score, 2, 3)?;
    let rows = in_order(read_zset(m, ask, ask.arg(1))?);
    Ok(Want::count(bounds.part(rows).len()))
}

pub fn zlexcount(m: &mut Model, ask: &Ask) -> Answer {
    let bounds = Bounds::parse(ask, By::Lex, 2, 3)?;
    let rows = in_order(read_zset(m, ask, ask.arg(1))?);
    if !bounds.are_clear(&rows) {
        return Ok(Want::such("a count", |frame| frame.as_int().is_some()));
    }
    Ok(Want::count(bounds.part(rows).len()))
}

fn remove_range(m: &mut Model, ask: &Ask, by: By, event: &str) -> Answer {
    let bounds = Bounds::parse(ask, by, 2, 3)?;
    let mut zset = zset_of(m, ask, ask.arg(1))?;
    let part = bounds.part(in_order(zset.clone()));
    if !part.is_empty() {
        part.iter().for_each(|(member, _)| _ = zset.remove(member));
        m.changed(ask, ask.arg(1), Value::Zset(zset), 'z', event);
    }
    Ok(Want::count(part.len()))
}

pub fn zremrangebyrank(m: &mut Model, ask: &Ask) -> Answer {
    remove_range(m, ask, By::Rank, "zremrangebyrank")
}

pub fn zremrangebyscore(m: &mut Model, ask: &Ask) -> Answer {
    remove_range(m, ask, By::Score, "zremrangebyscore")
}

pub fn zremrangebylex(m: &mut Model, ask: &Ask) -> Answer {
    remove_range(m, ask, By::Lex, "zremrangebylex")
}

// --- Taking from the ends -----------------------------------------------------------------------------------------

/// An end of a sorted set.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Min,
    Max,
}

/// Takes up to `count` members, at least one, from a set that is there; the outermost first.
fn take(m: &mut Model, ask: &Ask, key: &Bytes, mut zset: Scores, end: End, count: usize) -> Vec<Row> {
    let mut rows = in_order(zset.clone());
    if end == End::Max {
        rows.reverse();
    }
    rows.truncate(count);
    rows.iter().for_each(|(member, _)| _ = zset.remove(member));
    let event = if end == End::Min { "zpopmin" } else { "zpopmax" };
    m.changed(ask, key, Value::Zset(zset), 'z', event);
    rows
}

/// ZPOPMIN key [count]
pub fn zpopmin(m: &mut Model, ask: &Ask) -> Answer {
    pop(m, ask, End::Min)
}

pub fn zpopmax(m: &mut Model, ask: &Ask) -> Answer {
    pop(m, ask, End::Max)
}

fn pop(m: &mut Model, ask: &Ask, end: End) -> Answer {
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
    let zset = zset_of(m, ask, ask.arg(1))?;
    if zset.is_empty() || count == Some(0) {
        return Ok(Want::Array(vec![]));
    }
    let taken = take(m, ask, ask.arg(1), zset, end, count.unwrap_or(1));
    Ok(match count {
        Some(_) => with_scores(ask, taken),
        None => Want::Array(taken.into_iter().flat_map(pair).collect()),
    })
}

/// The first of these keys that is there, and its set. A key of another type before it is an error.
fn first_zset<'a>(
    m: &mut Model,
    ask: &Ask,
    keys: &'a [Bytes],
) -> Result<Option<(&'a Bytes, Scores)>, String> {
    for key in keys {
        if let Some(zset) = as_zset(m.find(ask, key))? {
            return Ok(Some((key, zset)));
        }
    }
    Ok(None)
}

/// BZPOPMIN key [key …] timeout
pub fn bzpopmin(m: &mut Model, ask: &Ask) -> Answer {
    blocking_pop(m, ask, End::Min)
}

pub fn bzpopmax(m: &mut Model, ask: &Ask) -> Answer {
    blocking_pop(m, ask, End::Max)
}

fn blocking_pop(m: &mut Model, ask: &Ask, end: End) -> Answer {
    let (timeout, keys) = (ask.arg(ask.argc() - 1), &ask.argv[1..ask.argc() - 1]);
    let deadline = deadline(ask, timeout)?;
    match first_zset(m, ask, keys)? {
        Some((key, zset)) => {
            let taken = take(m, ask, key, zset, end, 1).into_iter().flat_map(pair);
            Ok(Want::Array(std::iter::once(Want::bulk(key)).chain(taken).collect()))
        }
        None if ask.may_block => m.block(ask, keys, BlockedOn::Zset, deadline),
        None => Ok(Want::NilArray),
    }
}

/// What follows the keys of ZMPOP: MIN | MAX [COUNT n].
fn end_and_count(ask: &Ask, at: usize) -> Result<(End, usize), String> {
    let end = match () {
        _ if ask.is(at, "MIN") => End::Min,
        _ if ask.is(at, "MAX") => End::Max,
        _ => return Err(SYNTAX.into()),
    };
    let rest = &ask.argv[at + 1..];
    let mut count = 1;
    if let Some(text) = rest.get(1).filter(|_| ask.is(at + 1, "COUNT")) {
        count = number::int_from(text, 1..=i64::MAX).ok_or("ERR count should be greater than 0")?;
    }
    let well_formed = rest.is_empty() || (rest.len() == 2 && ask.is(at + 1, "COUNT"));
    if well_formed { Ok((end, count as usize)) } else { Err(SYNTAX.into()) }
}

/// ZMPOP numkeys key … MIN | MAX [COUNT n], with a timeout before them if it is BZMPOP.
pub fn zmpop(m: &mut Model, ask: &Ask) -> Answer {
    let blocking = ask.id == CommandId::BZMPop;
    let (keys, after) = crate::blocking::counted_keys(ask, if blocking { 2 } else { 1 })?;
    let (end, count) = end_and_count(ask, after)?;
    let deadline = if blocking { deadline(ask, ask.arg(1))? } else { None };
    match first_zset(m, ask, keys)? {
        Some((key, zset)) => {
            let taken = take(m, ask, key, zset, end, count);
            Ok(Want::Array(vec![Want::bulk(key), nested(taken)]))
        }
        None if blocking && ask.may_block => m.block(ask, keys, BlockedOn::Zset, deadline),
        None => Ok(Want::NilArray),
    }
}

pub fn bzmpop(m: &mut Model, ask: &Ask) -> Answer {
    zmpop(m, ask)
}

// --- Algebra ------------------------------------------------------------------------------------------------------

/// How the scores become one of a member that several sets have.
#[derive(Clone, Copy, PartialEq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn parse(ask: &Ask, at: usize) -> Result<Aggregate, String> {
        match () {
            _ if ask.is(at, "SUM") => Ok(Aggregate::Sum),
            _ if ask.is(at, "MIN") => Ok(Aggregate::Min),
            _ if ask.is(at, "MAX") => Ok(Aggregate::Max),
            _ => Err(SYNTAX.into()),
        }
    }

    /// `score` is a number; `other` may not be one, and is then neither less nor greater.
    fn apply(self, score: f64, other: f64) -> f64 {
        match self {
            Aggregate::Sum => number_or_zero(score + other),
            Aggregate::Min if other < score => other,
            Aggregate::Max if other > score => other,
            Aggregate::Min | Aggregate::Max => score,
        }
    }
}

/// Infinity times 0, and infinities that cancel out, are 0.
fn number_or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What is to be combined, and how.
struct Combination {
    /// In the order given. A set takes part with scores of 1; what is missing is empty.
    inputs: Vec<Scores>,
    /// One for each input.
    weights: Vec<f64>,
    aggregate: Aggregate,
    scores: bool,
    /// 0 is none.
    limit: usize,
}

impl Combination {
    /// Reads a command from its number of keys, at argument `at`, on. The keys are looked at before the options.
    fn parse(m: &mut Model, ask: &Ask, at: usize) -> Result<Combination, String> {
        let count = integer(ask.arg(at))?;
        if count < 1 {
            let name = ask.id.command().name;
            return Err(format!("ERR at least 1 input key is needed for '{name}' command"));
        }
        let count = usize::try_from(count).ok().filter(|&count| count < ask.argc() - at).ok_or(SYNTAX)?;
        let keys = &ask.argv[at + 1..at + 1 + count];
        let inputs = keys.iter().map(|key| input(m, ask, key)).collect::<Result<_, _>>()?;
        let mut combination = Combination {
            inputs,
            weights: vec![1.0; count],
            aggregate: Aggregate::Sum,
            scores: false,
            limit: 0,
        };
        combination.options(ask, at + 1 + count)?;
        Ok(combination)
    }

    fn options(&mut self, ask: &Ask, mut at: usize) -> Result<(), String> {
        use CommandId::{ZDiff, ZDiffStore, ZInter, ZInterCard, ZUnion};
        let weighted = !matches!(ask.id, ZDiff | ZDiffStore | ZInterCard);
        let answers = matches!(ask.id, ZUnion | ZInter | ZDiff);
        let count = self.inputs.len();
        while at < ask.argc() {
            let following = &ask.argv[at + 1..];
            match () {
                _ if weighted && ask.is(at, "WEIGHTS") && following.len() >= count => {
                    let weights = following[..count].iter().map(|weight| number::double(weight));
                    let weights: Option<Vec<f64>> = weights.collect();
                    self.weights = weights.ok_or("ERR weight value is not a float")?;
                    at += count;
                }
                _ if weighted && ask.is(at, "AGGREGATE") && !following.is_empty() => {
                    self.aggregate = Aggregate::parse(ask, at + 1)?;
                    at += 1;
                }
                _ if answers && ask.is(at, "WITHSCORES") => self.scores = true,
                _ if ask.id == ZInterCard && ask.is(at, "LIMIT") && !following.is_empty() => {
                    let limit = number::int_from(&following[0], 0..=i64::MAX);
                    self.limit = limit.ok_or("ERR LIMIT can't be negative")? as usize;
                    at += 1;
                }
                _ => return Err(SYNTAX.into()),
            }
            at += 1;
        }
        Ok(())
    }

    /// The inputs with their weights, the smallest first: sums depend on the order.
    fn smallest_first(&self) -> Vec<(&Scores, f64)> {
        let mut inputs: Vec<_> = self.inputs.iter().zip(self.weights.iter().copied()).collect();
        inputs.sort_by_key(|(scores, _)| scores.len());
        inputs
    }

    fn union(&self) -> Scores {
        let mut all = Scores::new();
        for (scores, weight) in self.smallest_first() {
            for (member, score) in scores {
                let score = number_or_zero(score * weight);
                let so_far = all.get(member).map_or(score, |&sum| self.aggregate.apply(sum, score));
                all.insert(member.clone(), so_far);
            }
        }
        all
    }

    fn intersection(&self) -> Scores {
        let inputs = self.smallest_first();
        let (smallest, weight) = inputs[0];
        let common = smallest.iter().filter_map(|(member, score)| {
            let first = number_or_zero(score * weight);
            let all = inputs[1..].iter().try_fold(first, |sum, (scores, weight)| {
                Some(self.aggregate.apply(sum, scores.get(member)? * weight))
            });
            Some((member.clone(), all?))
        });
        common.collect()
    }

    fn difference(&self) -> Scores {
        let (first, others) = self.inputs.split_first().expect("there is at least one key");
        let mut rest = first.clone();
        rest.retain(|member, _| !others.iter().any(|other| other.contains_key(member)));
        rest
    }
}

fn input(m: &mut Model, ask: &Ask, key: &Bytes) -> Result<Scores, String> {
    match m.read(ask, key) {
        None => Ok(Scores::new()),
        Some(Value::Zset(zset)) => Ok(zset),
        Some(Value::Set(set)) => Ok(set.into_iter().map(|member| (member, 1.0)).collect()),
        Some(_) => Err(WRONG_TYPE.into()),
    }
}

fn answer(m: &mut Model, ask: &Ask, result: fn(&Combination) -> Scores) -> Answer {
    let combination = Combination::parse(m, ask, 1)?;
    Ok(members_or_pairs(ask, in_order(result(&combination)), combination.scores))
}

fn store_result(m: &mut Model, ask: &Ask, result: fn(&Combination) -> Scores, event: &str) -> Answer {
    let combination = Combination::parse(m, ask, 2)?;
    store(m, ask, in_order(result(&combination)), event)
}

/// ZINTER numkeys key … [WEIGHTS weight …] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]
pub fn zinter(m: &mut Model, ask: &Ask) -> Answer {
    answer(m, ask, Combination::intersection)
}

pub fn zinterstore(m: &mut Model, ask: &Ask) -> Answer {
    store_result(m, ask, Combination::intersection, "zinterstore")
}

pub fn zunion(m: &mut Model, ask: &Ask) -> Answer {
    answer(m, ask, Combination::union)
}

pub fn zunionstore(m: &mut Model, ask: &Ask) -> Answer {
    store_result(m, ask, Combination::union, "zunionstore")
}

pub fn zdiff(m: &mut Model, ask: &Ask) -> Answer {
    answer(m, ask, Combination::difference)
}

pub fn zdiffstore(m: &mut Model, ask: &Ask) -> Answer {
    store_result(m, ask, Combination::difference, "zdiffstore")
}

/// ZINTERCARD numkeys key … [LIMIT n]: the size of the intersection, counted no further than the limit.
pub fn zintercard(m: &mut Model, ask: &Ask) -> Answer {
    let combination = Combination::parse(m, ask, 1)?;
    let size = combination.intersection().len();
    Ok(Want::count(if combination.limit > 0 { size.min(combination.limit) } else { size }))
}
