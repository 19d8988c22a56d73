//! String commands. Here: their arguments, limits and replies. Not here: bits of strings ([`super::bitmap`]), how a string
//! is stored ([`crate::keyspace::entry`]).
//!
//! A string that is the text of a 64-bit integer is stored as the number, except where Redis does not either: after
//! APPEND, SETRANGE and the bit commands (`raw`), and as the result of INCRBYFLOAT.
//!
//! What is replayed never depends on when: relative expiry times become absolute ones, INCRBYFLOAT becomes the SET of its
//! result, and commands that also read become plain writes.

use super::{Call, CommandError, Outcome};
use crate::keyspace::entry::Entry;
use crate::keyspace::{Class, NewDeadline, UnixMillis};
use crate::number::{LongDouble, parse_i64};
use crate::resp::{Aggregate, Reply};
use crate::value::{LARGE_STRING, Value, ValueRef};

const DECREMENT_OVERFLOW: CommandError = CommandError::Text("ERR decrement would overflow");
const NOT_FINITE: CommandError = CommandError::Text("ERR increment would produce NaN or Infinity");
const OFFSET: CommandError = CommandError::Text("ERR offset is out of range");
const LCS_TYPE: CommandError = CommandError::Text("ERR The specified keys must contain string values");
const LCS_AMBIGUOUS: CommandError =
    CommandError::Text("ERR If you want both the length and indexes, please just use IDX.");
const LCS_LIMIT: CommandError =
    CommandError::Text("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
const LCS_MEMORY: CommandError =
    CommandError::Text("ERR Insufficient memory, failed allocating transient memory for LCS");

// --- Reading ------------------------------------------------------------------------------------------------------

fn write_string(reply: &mut Reply<'_>, value: ValueRef<'_>) {
    match value {
        ValueRef::Int(number) => reply.bulk_int(number),
        ValueRef::String { bytes, .. } => reply.bulk(bytes),
        ValueRef::Object(_) => unreachable!("a typed lookup gives strings only"),
    }
}

/// Answers the string at the first key, or null; whether it is there.
#[inline]
fn answer_value(c: &mut Call<'_>) -> Result<bool, CommandError> {
    match c.data.string(c.args.at(1))? {
        Some(ValueRef::String { bytes, .. }) if bytes.len() >= LARGE_STRING => {
            answer_large(c);
            Ok(true)
        }
        Some(value) => {
            write_string(&mut c.reply, value);
            Ok(true)
        }
        None => {
            c.reply.null();
            Ok(false)
        }
    }
}

/// Answers a long string that was just found.
#[cold]
fn answer_large(c: &mut Call<'_>) {
    let entry = c.data.peek(c.args.at(1)).expect("just found");
    match entry.large() {
        Some(large) => c.reply.large(&large),
        None => write_string(&mut c.reply, entry.value()),
    }
}

pub fn get(c: &mut Call<'_>) -> Outcome {
    answer_value(c)?;
    Ok(())
}

pub fn strlen(c: &mut Call<'_>) -> Outcome {
    let len = c.data.string(c.args.at(1))?.map_or(0, ValueRef::text_len);
    c.reply.int(len as i64);
    Ok(())
}

pub fn getrange(c: &mut Call<'_>) -> Outcome {
    let (start, end) = (c.int(2)?, c.int(3)?.saturating_sub(i64::from(crate::bug!(GetrangeShort))));
    let mut digits = itoa::Buffer::new();
    let text = c.data.string(c.args.at(1))?.and_then(|value| value.text(&mut digits)).unwrap_or_default();
    let part = match clamp_range(start, end, text.len() as u64) {
        Some((first, last)) if !reversed_from_end(start, end) => &text[first as usize..=last as usize],
        _ => b"",
    };
    c.reply.bulk(part);
    Ok(())
}

/// Whether both ends count from the end and are in the wrong order. Such a range is empty by definition where Redis looks
/// first: clamping could make a range of one out of it.
pub(super) fn reversed_from_end(start: i64, end: i64) -> bool {
    start < 0 && end < 0 && start > end
}

/// Resolves a range of which negative ends count from the end of `len` things; both ends of the result lie inside.
/// `None` if nothing is in it.
pub(super) fn clamp_range(start: i64, end: i64, len: u64) -> Option<(u64, u64)> {
    let resolve = |index: i64| match u64::try_from(index) {
        Ok(index) => index,
        Err(_) => len.saturating_sub(index.unsigned_abs()),
    };
    let (first, last) = (resolve(start), resolve(end).min(len.checked_sub(1)?));
    (first <= last).then_some((first, last))
}

pub fn substr(c: &mut Call<'_>) -> Outcome {
    getrange(c)
}

pub fn mget(c: &mut Call<'_>) -> Outcome {
    let keys = c.args.from(1);
    c.reply.array(keys.len());
    for (at, key) in keys.iter().enumerate() {
        c.data.prefetch_run(keys, at, 1);
        match c.data.read(key).map(|entry| (entry, entry.value())) {
            Some((entry, ValueRef::String { bytes, .. })) if bytes.len() >= LARGE_STRING => {
                match entry.large() {
                    Some(large) => c.reply.large(&large),
                    None => c.reply.bulk(bytes),
                }
            }
            Some((_, ValueRef::String { bytes, .. })) => c.reply.bulk(bytes),
            Some((_, ValueRef::Int(number))) => c.reply.bulk_int(number),
            Some((_, ValueRef::Object(_))) | None => c.reply.null(),
        }
    }
    Ok(())
}

// --- SET and its relatives ----------------------------------------------------------------------------------------

/// On what SET depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Absent,
    Present,
}

/// An option that says when the key expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expiry {
    KeepTtl,
    Persist,
    Ex,
    Px,
    ExAt,
    PxAt,
}

impl Expiry {
    /// The deadline that the argument at `index` asks for.
    fn deadline(self, c: &Call<'_>, index: usize) -> Result<UnixMillis, CommandError> {
        let given = c.int(index)?;
        let in_seconds = matches!(self, Self::Ex | Self::ExAt) && !crate::bug!(SecondsAsMillis);
        let relative = matches!(self, Self::Ex | Self::Px);
        let millis = if in_seconds { given.checked_mul(1000) } else { Some(given) };
        let deadline = match millis {
            Some(millis @ 1..) if relative => {
                i64::try_from(c.data.now).ok().and_then(|now| millis.checked_add(now))
            }
            Some(millis @ 1..) => Some(millis),
            _ => None,
        };
        match deadline {
            Some(deadline) => Ok(deadline as UnixMillis),
            None => Err(CommandError::InvalidExpire(c.command.name)),
        }
    }
}

/// The options of SET, and those of GETEX, which are fewer.
#[derive(Clone, Copy, Default)]
struct Options {
    condition: Option<Condition>,
    get: bool,
    /// With the index of the time, for those that have one.
    expiry: Option<(Expiry, usize)>,
}

impl Options {
    /// Reads the words from `index` on. An expiry option may be repeated, and the last counts, but two different ones
    /// exclude each other, as do NX and XX.
    fn parse(c: &Call<'_>, mut index: usize) -> Result<Self, CommandError> {
        let is_set = c.command.name == "set";
        let mut options = Self::default();
        while index < c.args.len() {
            let word = c.arg(index);
            let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
            if is_set && is(b"NX") && options.condition != Some(Condition::Present) {
                options.condition = Some(Condition::Absent);
            } else if is_set && is(b"XX") && options.condition != Some(Condition::Absent) {
                options.condition = Some(Condition::Present);
            } else if is_set && is(b"GET") {
                options.get = true;
            } else {
                let (expiry, has_time) = match word {
                    _ if is_set && is(b"KEEPTTL") => (Expiry::KeepTtl, false),
                    _ if !is_set && is(b"PERSIST") => (Expiry::Persist, false),
                    _ if is(b"EX") => (Expiry::Ex, true),
                    _ if is(b"PX") => (Expiry::Px, true),
                    _ if is(b"EXAT") => (Expiry::ExAt, true),
                    _ if is(b"PXAT") => (Expiry::PxAt, true),
                    _ => return Err(CommandError::Syntax),
                };
                let excluded = options.expiry.is_some_and(|(earlier, _)| earlier != expiry);
                index += usize::from(has_time);
                if excluded || index >= c.args.len() {
                    return Err(CommandError::Syntax);
                }
                options.expiry = Some((expiry, index));
            }
            index += 1;
        }
        Ok(options)
    }
}

/// Records `SET key value PXAT deadline` as what is to be replayed.
fn propagate_dated(c: &mut Call<'_>, value: &[u8], deadline: UnixMillis) {
    let mut digits = itoa::Buffer::new();
    c.data.propagate(&[b"SET", c.args.at(1), value, b"PXAT", digits.format(deadline).as_bytes()]);
}

pub fn set(c: &mut Call<'_>) -> Outcome {
    let (key, value) = (c.arg(1), c.arg(2));
    if c.args.len() == 3 {
        c.data.set_string(
            key,
            value,
            if crate::bug!(SetKeepsDeadline) { NewDeadline::Keep } else { NewDeadline::Clear },
        );
        c.data.changed(key, Class::STRING, "set");
        c.reply.ok();
        return Ok(());
    }
    let options = Options::parse(c, 3)?;
    let deadline = match options.expiry {
        None => NewDeadline::Clear,
        Some((Expiry::KeepTtl, _)) if crate::bug!(SetForgetsKeepTtl) => NewDeadline::Clear,
        Some((Expiry::KeepTtl, _)) => NewDeadline::Keep,
        Some((expiry, index)) => NewDeadline::At(expiry.deadline(c, index)?),
    };
    if options.get && crate::bug!(SetGetAnyType) && answer_value(c).is_err() {
        c.reply.null();
    } else if options.get && !crate::bug!(SetGetAnyType) {
        answer_value(c)?;
    }
    if let Some(condition) = options.condition
        && !crate::bug!(SetIgnoresCondition)
        && (condition == Condition::Present) != c.data.write(key).is_some()
    {
        if !options.get {
            c.reply.null();
        }
        return Ok(());
    }
    c.data.set_string(key, value, deadline);
    c.data.changed(key, Class::STRING, "set");
    if let NewDeadline::At(deadline) = deadline {
        c.data.notify(Class::GENERIC, "expire", key);
        if !matches!(options.expiry, Some((Expiry::PxAt, _))) && !crate::bug!(RelativeTimeReplayed) {
            propagate_dated(c, value, deadline);
        }
    } else if options.get {
        let rest = c.args.from(3).iter().filter(|word| !word.eq_ignore_ascii_case(b"GET"));
        let parts: Vec<&[u8]> = [c.arg(0), key, value].into_iter().chain(rest).collect();
        c.data.propagate(&parts);
    }
    if !options.get {
        c.reply.ok();
    }
    Ok(())
}

pub fn setnx(c: &mut Call<'_>) -> Outcome {
    let (key, value) = (c.arg(1), c.arg(2));
    let absent = c.data.write(key).is_none();
    if absent {
        c.data.set_string(key, value, NewDeadline::Clear);
        c.data.changed(key, Class::STRING, "set");
    }
    c.reply.int(i64::from(absent));
    Ok(())
}

pub fn setex(c: &mut Call<'_>) -> Outcome {
    set_expiring(c, Expiry::Ex)
}

pub fn psetex(c: &mut Call<'_>) -> Outcome {
    set_expiring(c, Expiry::Px)
}

fn set_expiring(c: &mut Call<'_>, expiry: Expiry) -> Outcome {
    let (key, value) = (c.arg(1), c.arg(3));
    let deadline = expiry.deadline(c, 2)?;
    c.data.set_string(key, value, NewDeadline::At(deadline));
    c.data.changed(key, Class::STRING, "set");
    c.data.notify(Class::GENERIC, "expire", key);
    propagate_dated(c, value, deadline);
    c.reply.ok();
    Ok(())
}

pub fn getset(c: &mut Call<'_>) -> Outcome {
    let (key, value) = (c.arg(1), c.arg(2));
    answer_value(c)?;
    c.data.set_string(key, value, NewDeadline::Clear);
    c.data.changed(key, Class::STRING, "set");
    c.data.propagate(&[b"SET", key, value]);
    Ok(())
}

pub fn getdel(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    if answer_value(c)? {
        c.data.remove(key);
        c.data.changed(key, Class::GENERIC, if crate::bug!(GetdelEventMisnamed) { "getdel" } else { "del" });
        c.data.propagate(&[b"DEL", key]);
    }
    Ok(())
}

pub fn getex(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    let options = Options::parse(c, 2)?;
    if !answer_value(c)? {
        return Ok(());
    }
    match options.expiry {
        None => {}
        Some((Expiry::Persist, _)) => {
            let dated = c.data.peek(key).is_some_and(|entry| entry.deadline().is_some());
            if dated {
                c.data.set_deadline(key, None);
                c.data.changed(key, Class::GENERIC, "persist");
                c.data.propagate(&[b"PERSIST", key]);
            }
        }
        Some((expiry, index)) => {
            let deadline = expiry.deadline(c, index)?;
            if deadline <= c.data.now {
                c.data.remove(key);
                c.data.changed(key, Class::GENERIC, "del");
                let lazy = c.data.settings.lazyfree_lazy_expire;
                c.data.propagate(&[if lazy { b"UNLINK" } else { b"DEL" }, key]);
            } else {
                c.data.set_deadline(key, Some(deadline));
                c.data.changed(key, Class::GENERIC, "expire");
                let mut digits = itoa::Buffer::new();
                let name: &[u8] = if crate::bug!(GetexNotReplayed) { b"PERSIST" } else { b"PEXPIREAT" };
                c.data.propagate(&[name, key, digits.format(deadline).as_bytes()]);
            }
        }
    }
    Ok(())
}

pub fn mset(c: &mut Call<'_>) -> Outcome {
    if c.args.len().is_multiple_of(2) {
        return Err(CommandError::Arity(c.command.name));
    }
    set_all(c);
    c.reply.ok();
    Ok(())
}

pub fn msetnx(c: &mut Call<'_>) -> Outcome {
    if c.args.len().is_multiple_of(2) {
        return Err(CommandError::Arity(c.command.name));
    }
    let args = c.args;
    let absent = args
        .from(1)
        .iter()
        .step_by(2)
        .take(if crate::bug!(MsetnxLooksAtOne) { 1 } else { args.len() })
        .all(|key| c.data.write(key).is_none());
    if absent {
        set_all(c);
    }
    c.reply.int(i64::from(absent));
    Ok(())
}

fn set_all(c: &mut Call<'_>) {
    for index in (1..c.args.len()).step_by(2) {
        c.data.prefetch_run(c.args.from(1), index - 1, 2);
        let (key, value) = (c.arg(index), c.arg(index + 1));
        c.data.set_string(key, value, NewDeadline::Clear);
        c.data.changed(key, Class::STRING, "set");
    }
}

// --- Changing in place --------------------------------------------------------------------------------------------

/// Refuses a string of `size + more` bytes if that is more than a command may build.
fn check_length(c: &Call<'_>, size: u64, more: usize) -> Outcome {
    match size.checked_add(more as u64) {
        Some(total) if total <= c.data.settings.longest_string() => Ok(()),
        _ => Err(CommandError::StringTooLong),
    }
}

pub fn append(c: &mut Call<'_>) -> Outcome {
    let (key, suffix) = (c.arg(1), c.arg(2));
    let limit = c.data.settings.longest_string();
    let len = match c.data.string_mut(key)? {
        Some(entry) => {
            if entry.value().text_len() as u64 + suffix.len() as u64 > limit {
                return Err(CommandError::StringTooLong);
            }
            entry.append(suffix)
        }
        None => {
            c.data.set_string(key, suffix, NewDeadline::Clear);
            suffix.len()
        }
    };
    c.data.changed(key, Class::STRING, "append");
    c.reply.int(len as i64);
    Ok(())
}

pub fn setrange(c: &mut Call<'_>) -> Outcome {
    let (key, patch) = (c.arg(1), c.arg(3));
    let Ok(offset) = u64::try_from(c.int(2)?) else {
        return Err(OFFSET);
    };
    let old = c.data.string_mut(key)?.map_or(0, |entry| entry.value().text_len());
    if patch.is_empty() && !crate::bug!(SetrangeEmptyPads) {
        c.reply.int(old as i64);
        return Ok(());
    }
    check_length(c, offset, patch.len())?;
    let (start, end) = (offset as usize, offset as usize + patch.len());
    let bytes = c.data.string_or_create(key)?.bytes_mut(old.max(end));
    bytes[start..end].copy_from_slice(patch);
    let len = bytes.len();
    c.data.changed(key, Class::STRING, "setrange");
    c.reply.int(len as i64);
    Ok(())
}

// --- Numbers ------------------------------------------------------------------------------------------------------

pub fn incr(c: &mut Call<'_>) -> Outcome {
    increment(c, 1)
}

pub fn decr(c: &mut Call<'_>) -> Outcome {
    increment(c, -1)
}

pub fn incrby(c: &mut Call<'_>) -> Outcome {
    let by = c.int(2)?;
    increment(c, by)
}

pub fn decrby(c: &mut Call<'_>) -> Outcome {
    let by =
        c.int(2)?.checked_neg().or(crate::bug!(DecrbyWraps).then_some(i64::MIN)).ok_or(DECREMENT_OVERFLOW)?;
    increment(c, by)
}

#[inline]
fn increment(c: &mut Call<'_>, by: i64) -> Outcome {
    let key = c.arg(1);
    let sum = match c.data.string_mut(key)? {
        Some(entry) => {
            let old = match entry.value() {
                ValueRef::Int(number) => number,
                ValueRef::String { bytes, .. } => parse_i64(bytes).ok_or(CommandError::NotInteger)?,
                ValueRef::Object(_) => unreachable!("a typed lookup gives strings only"),
            };
            let sum = Some(old.wrapping_add(by))
                .filter(|sum| crate::bug!(IncrWraps) || old.checked_add(by) == Some(*sum));
            let sum = sum.ok_or(CommandError::IncrementOverflow)?;
            entry.set_int(sum);
            sum
        }
        None => {
            c.data.add(key, Value::Int(by), None);
            by
        }
    };
    c.data.changed(key, Class::STRING, "incrby");
    c.reply.int(sum);
    Ok(())
}

pub fn incrbyfloat(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    let old = match c.data.string_mut(key)? {
        Some(entry) => {
            let mut digits = itoa::Buffer::new();
            let text = entry.value().text(&mut digits).unwrap_or_default();
            LongDouble::parse(text).ok_or(CommandError::NotFloat)?
        }
        None => LongDouble::ZERO,
    };
    let by = LongDouble::parse(c.arg(2)).ok_or(CommandError::NotFloat)?;
    let text = old.checked_add(by).ok_or(NOT_FINITE)?.to_text();
    let value = ValueRef::String { bytes: &text, raw: false };
    c.data.set_encoded_string(key, value, NewDeadline::Keep);
    c.data.changed(key, Class::STRING, "incrbyfloat");
    c.data.propagate(
        &[&b"SET"[..], key, &text, b"KEEPTTL"]
            [..if crate::bug!(IncrbyfloatReplayEndsDeadline) { 3 } else { 4 }],
    );
    c.reply.bulk(&text);
    Ok(())
}

// --- Longest common subsequence -----------------------------------------------------------------------------------

pub fn lcs(c: &mut Call<'_>) -> Outcome {
    let (key1, key2) = (c.arg(1), c.arg(2));
    // Both lookups come first: each counts, whatever the other finds.
    let (len1, len2) = (c.data.string(key1).map(text_len), c.data.string(key2).map(text_len));
    let (Ok(len1), Ok(len2)) = (len1, len2) else {
        return Err(LCS_TYPE);
    };
    let (mut want_len, mut want_indexes, mut with_match_len, mut min_match_len) = (false, false, false, 0);
    let mut index = 3;
    while index < c.args.len() {
        if c.is(index, "IDX") {
            want_indexes = true;
        } else if c.is(index, "LEN") {
            want_len = true;
        } else if c.is(index, "WITHMATCHLEN") {
            with_match_len = true;
        } else if c.is(index, "MINMATCHLEN") && index + 1 < c.args.len() {
            index += 1;
            min_match_len = c.int(index)?.max(0);
        } else {
            return Err(CommandError::Syntax);
        }
        index += 1;
    }
    if want_len && want_indexes {
        return Err(LCS_AMBIGUOUS);
    }
    // The limit is Redis's, which keeps a table of 32-bit lengths.
    let table = (len1 as u128 + 1) * (len2 as u128 + 1) * 4;
    if table > u128::from(c.data.settings.proto_max_bulk_len) {
        return Err(LCS_LIMIT);
    }
    let mut text = |key| {
        let mut digits = itoa::Buffer::new();
        let value = c.data.peek(key).map(Entry::value);
        value.and_then(|value| value.text(&mut digits)).unwrap_or_default().to_vec()
    };
    let (a, b) = (text(key1), text(key2));
    if want_len {
        c.reply.int(CommonSubsequence::length(&a, &b) as i64);
        return Ok(());
    }
    let subsequence = CommonSubsequence::find(&a, &b).ok_or(LCS_MEMORY)?;
    if !want_indexes {
        c.reply.bulk(&subsequence.text(&a));
        return Ok(());
    }
    c.reply.map(2);
    c.reply.bulk(b"matches");
    let mark = c.reply.deferred_array();
    let mut count = 0;
    for part in subsequence
        .parts
        .iter()
        .filter(|part| part.len as i64 >= min_match_len || crate::bug!(LcsIgnoresMinimum))
    {
        c.reply.array(2 + usize::from(with_match_len));
        for start in [part.in_a, part.in_b] {
            c.reply.array(2);
            c.reply.int(start as i64);
            c.reply.int((start + part.len - 1) as i64);
        }
        if with_match_len {
            c.reply.int(part.len as i64);
        }
        count += 1;
    }
    c.reply.set_deferred(mark, count, Aggregate::Array);
    c.reply.bulk(b"len");
    c.reply.int(subsequence.len as i64);
    Ok(())
}

fn text_len(value: Option<ValueRef<'_>>) -> usize {
    value.map_or(0, ValueRef::text_len)
}

/// The longest common subsequence of two strings, as the parts that are contiguous in both, last part first.
///
/// Dynamic programming over all pairs of prefixes, 64 pairs at a time (H. Hyyrö, "Bit-parallel LCS-length computation
/// revisited", 2004): O(N*M/64). Along a row, that is for a fixed prefix of `a`, the length grows by 0 or 1 with each
/// byte of `b`; a row is kept as one bit for each byte of `b`, which is clear where it grows.
struct CommonSubsequence {
    parts: Vec<CommonPart>,
    len: usize,
}

struct CommonPart {
    in_a: usize,
    in_b: usize,
    len: usize,
}

impl CommonSubsequence {
    /// The length of the longest common subsequence. `keep` is given the row of each prefix of `a` in turn, from that
    /// of length 1 on.
    fn rows(a: &[u8], b: &[u8], mut keep: impl FnMut(&[u64])) -> usize {
        let mut row = vec![u64::MAX; b.len().div_ceil(64)];
        // Where in `b` a byte is; made for the bytes of `a` only, so never larger than the table of all pairs.
        let mut places = [const { Vec::new() }; 256];
        for &byte in a {
            let places = &mut places[usize::from(byte)];
            if places.is_empty() {
                places.resize(row.len(), 0);
                let there = b.iter().enumerate().filter(|&(_, other)| *other == byte);
                there.for_each(|(index, _)| places[index / 64] |= 1 << (index % 64));
            }
            let mut carry = false;
            for (word, places) in row.iter_mut().zip(places.iter()) {
                let (sum, over) = word.overflowing_add(*word & places);
                let (sum, over_again) = sum.overflowing_add(u64::from(carry));
                carry = over | over_again;
                *word = sum | *word & !places;
            }
            keep(&row);
        }
        row.iter().map(|word| word.count_zeros() as usize).sum()
    }

    fn length(a: &[u8], b: &[u8]) -> usize {
        Self::rows(a, b, |_| ())
    }

    /// `None` if there is not enough memory.
    fn find(a: &[u8], b: &[u8]) -> Option<Self> {
        let row_words = b.len().div_ceil(64);
        let mut rows: Vec<u64> = Vec::new();
        rows.try_reserve_exact(a.len() * row_words).ok()?;
        let len = Self::rows(a, b, |row| rows.extend_from_slice(row));
        let mut parts: Vec<CommonPart> = Vec::new();
        let (mut i, mut j) = (a.len(), b.len());
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                match parts.last_mut() {
                    Some(part) if (part.in_a, part.in_b) == (i, j) => {
                        *part = CommonPart { in_a: i - 1, in_b: j - 1, len: part.len + 1 };
                    }
                    _ => parts.push(CommonPart { in_a: i - 1, in_b: j - 1, len: 1 }),
                }
                (i, j) = (i - 1, j - 1);
            } else if rows[(i - 1) * row_words + (j - 1) / 64] >> ((j - 1) % 64) & 1 == 0 {
                // Without the last byte of `b` the subsequence is shorter, so it is not without that of `a`.
                i -= 1;
            } else {
                j -= 1;
            }
        }
        Some(Self { parts, len })
    }

    fn text(&self, a: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.len);
        for part in self.parts.iter().rev() {
            text.extend_from_slice(&a[part.in_a..part.in_a + part.len]);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::{Db, START};

    #[test]
    fn ranges() {
        let naive = |start: i64, end: i64, len: i64| {
            let resolve = |index: i64| if index < 0 { (len + index).max(0) } else { index };
            let inside: Vec<i64> = (resolve(start)..=resolve(end)).filter(|index| *index < len).collect();
            Some((*inside.first()? as u64, *inside.last()? as u64))
        };
        for len in 0..5 {
            for start in -7..7 {
                for end in -7..7 {
                    assert_eq!(
                        clamp_range(start, end, len),
                        naive(start, end, len as i64),
                        "{start} {end} of {len}"
                    );
                }
            }
        }
        assert_eq!(clamp_range(i64::MIN, i64::MAX, 3), Some((0, 2)));
        assert_eq!(clamp_range(i64::MAX, i64::MIN, 3), None);
    }

    #[test]
    fn what_is_replayed_is_absolute_and_only_writes() {
        let mut db = Db::new();
        let (in_a_minute, later) = (START + 60_000, START + 100_000);
        for (command, journal) in [
            ("SET k v EX 60 GET", vec![format!("SET k v PXAT {in_a_minute}")]),
            ("SET k v XX PX 60000", vec![format!("SET k v PXAT {in_a_minute}")]),
            ("SET k v EXAT 4000000000", vec!["SET k v PXAT 4000000000000".into()]),
            ("SET k v PXAT 4000000000000 GET", vec!["SET k v PXAT 4000000000000 GET".into()]),
            ("SET k v KEEPTTL GET get", vec!["SET k v KEEPTTL".into()]),
            ("SET k v NX", vec![]),
            ("SETEX k 60 v", vec![format!("SET k v PXAT {in_a_minute}")]),
            ("PSETEX k 60000 v", vec![format!("SET k v PXAT {in_a_minute}")]),
            ("SETNX k v", vec![]),
            ("GETSET k w", vec!["SET k w".into()]),
            ("GETEX k EX 100", vec![format!("PEXPIREAT k {later}")]),
            ("GETEX k PERSIST", vec!["PERSIST k".into()]),
            ("GETEX k PERSIST", vec![]),
            ("GETEX k", vec![]),
            ("GETEX k PXAT 1", vec!["DEL k".into()]),
            ("MSETNX k 1 l 2", vec!["MSETNX k 1 l 2".into()]),
            ("MSETNX m 1 l 2", vec![]),
            ("GETDEL k", vec!["DEL k".into()]),
            ("GETDEL k", vec![]),
            ("INCRBYFLOAT f 1.5", vec!["SET f 1.5 KEEPTTL".into()]),
            ("INCRBYFLOAT f 1.5", vec!["SET f 3 KEEPTTL".into()]),
            ("APPEND a ''", vec![r#"APPEND a """#.into()]),
            ("SETRANGE a 3 ''", vec![]),
        ] {
            db.ok(command);
            assert_eq!(db.journal(), journal, "{command}");
        }
    }

    #[test]
    fn every_change_is_reported_once() {
        let mut db = Db::new();
        for (command, dirty, modified, events) in [
            ("SET k v EX 10", 1, "k", "new k, set k, expire k"),
            ("SET k 1", 1, "k", "set k"),
            ("INCR k", 1, "k", "incrby k"),
            ("INCR l", 1, "l", "new l, incrby l"),
            ("MSET k 1 l 2 k 3", 3, "k l k", "set k, set l, set k"),
            ("GET m", 0, "", "keymiss m"),
            ("SET m 1 XX GET", 0, "", "keymiss m"),
            ("SETRANGE m 2 x", 1, "m", "new m, setrange m"),
            ("GETEX m PX 1", 1, "m", "expire m"),
            ("GETDEL m", 1, "m", "del m"),
        ] {
            db.forget();
            let before = db.dirty();
            db.ok(command);
            assert_eq!(db.dirty() - before, dirty, "{command}");
            assert_eq!(db.modified().join(" "), modified, "{command}");
            assert_eq!(db.events().join(", "), events, "{command}");
        }
    }

    #[test]
    fn deadlines_stay_only_where_asked_for() {
        let mut db = Db::new();
        for (command, keeps) in [
            ("SET k 5", false),
            ("SET k 5 KEEPTTL", true),
            ("GETSET k 5", false),
            ("MSET k 5", false),
            ("APPEND k 5", true),
            ("INCRBY k 5", true),
            ("INCRBYFLOAT k 5", true),
            ("SETRANGE k 0 5", true),
            ("SETBIT k 1 1", true),
            ("BITFIELD k SET u8 0 5", true),
            ("BITOP OR k k", false),
        ] {
            db.ok("SETEX k 100 5");
            db.ok(command);
            assert_eq!(db.keyspace.dbs.volatile(0), usize::from(keeps), "{command}");
            db.advance(100_000);
            assert_ne!(db.run("GET k"), "(nil)", "{command}: at the deadline");
            db.advance(1);
            assert_eq!(db.run("GET k") == "(nil)", keeps, "{command}: after the deadline");
            db.ok("GETDEL k");
        }
    }

    #[test]
    fn common_subsequences_are_longest_and_common() {
        fn length(a: &[u8], b: &[u8]) -> usize {
            match (a, b) {
                ([a, rest_a @ ..], [b, rest_b @ ..]) if a == b => 1 + length(rest_a, rest_b),
                ([_, rest_a @ ..], [_, rest_b @ ..]) => length(rest_a, b).max(length(a, rest_b)),
                _ => 0,
            }
        }
        fn is_subsequence(text: &[u8], of: &[u8]) -> bool {
            let mut of = of.iter();
            text.iter().all(|byte| of.any(|other| other == byte))
        }
        /// The number in base 3, as letters.
        fn digits(mut n: u32, len: u32) -> Vec<u8> {
            let mut next = || {
                let digit = b'a' + (n % 3) as u8;
                n /= 3;
                digit
            };
            (0..len).map(|_| next()).collect()
        }
        let words: Vec<Vec<u8>> = (0..4u32)
            .flat_map(|len| (0..3u32.pow(len)).map(move |n| (n, len)))
            .map(|(n, len)| digits(n, len))
            .collect();
        for a in &words {
            for b in &words {
                let found = CommonSubsequence::find(a, b).unwrap();
                let text = found.text(a);
                assert_eq!((text.len(), found.len), (length(a, b), length(a, b)), "{a:?} {b:?}");
                assert_eq!(CommonSubsequence::length(a, b), found.len, "{a:?} {b:?}");
                assert!(is_subsequence(&text, a) && is_subsequence(&text, b), "{a:?} {b:?}");
            }
        }
    }
}
