//! Reading arguments that several command families share.

use super::CommandError;
use crate::glob;
use crate::keyspace::UnixMillis;
use crate::number::{LongDouble, parse_i64};
use crate::resp::{Args, Reply};

/// Which end of a list or sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndPoint {
    Front,
    Back,
}

impl EndPoint {
    /// `LEFT` or `RIGHT`, in any case.
    pub fn left_right(word: &[u8]) -> Result<Self, CommandError> {
        if word.eq_ignore_ascii_case(b"LEFT") {
            Ok(Self::Front)
        } else if word.eq_ignore_ascii_case(b"RIGHT") {
            Ok(Self::Back)
        } else {
            Err(CommandError::Syntax)
        }
    }

    /// `MIN` or `MAX`, in any case.
    pub fn min_max(word: &[u8]) -> Result<Self, CommandError> {
        if word.eq_ignore_ascii_case(b"MIN") {
            Ok(Self::Front)
        } else if word.eq_ignore_ascii_case(b"MAX") {
            Ok(Self::Back)
        } else {
            Err(CommandError::Syntax)
        }
    }
}

/// The timeout of a blocking command, in seconds with decimals: the instant it ends, `None` for 0 (for ever). It is
/// rounded up to milliseconds, so that less than one below zero is 0.
pub fn parse_timeout(word: &[u8], now: UnixMillis) -> Result<Option<UnixMillis>, CommandError> {
    let seconds = LongDouble::parse(word).ok_or(CommandError::TimeoutNotFloat)?;
    let millis = match seconds.checked_mul(1000).and_then(LongDouble::ceil) {
        Some(millis) => millis,
        None if seconds.is_negative() => return Err(CommandError::TimeoutNegative),
        None => return Err(CommandError::TimeoutOutOfRange),
    };
    match u64::try_from(millis) {
        Err(_) => Err(CommandError::TimeoutNegative),
        Ok(0) => Ok(None),
        Ok(millis) => match millis.checked_add(now) {
            Some(deadline) if deadline <= i64::MAX as u64 => Ok(Some(deadline)),
            _ => Err(CommandError::TimeoutOutOfRange),
        },
    }
}

/// The timeout of WAIT and WAITAOF, in milliseconds: the instant it ends, `None` for 0 (for ever).
pub fn parse_timeout_millis(word: &[u8], now: UnixMillis) -> Result<Option<UnixMillis>, CommandError> {
    let millis = parse_i64(word).ok_or(CommandError::TimeoutNotInteger)?;
    let millis = u64::try_from(millis).map_err(|_| CommandError::TimeoutNegative)?;
    match now.checked_add(millis) {
        _ if millis == 0 => Ok(None),
        Some(deadline) if deadline <= i64::MAX as u64 => Ok(Some(deadline)),
        _ => Err(CommandError::TimeoutOutOfRange),
    }
}

/// The count of HRANDFIELD, SRANDMEMBER and ZRANDMEMBER: negative allows repetitions. Its negation always fits.
pub fn parse_signed_count(word: &[u8]) -> Result<i64, CommandError> {
    match parse_i64(word) {
        None => Err(CommandError::NotInteger),
        Some(i64::MIN) => Err(CommandError::Text(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        )),
        Some(count) => Ok(count),
    }
}

/// What is left of `text` where Redis reads it as a C string: everything up to the first zero byte.
pub fn until_nul(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}

/// The longest reply that HRANDFIELD, SRANDMEMBER and ZRANDMEMBER make by repeating elements: as long as the longest
/// string. A negative count could ask for 2^63 elements of a small key; Redis goes on until memory is exhausted.
const MAX_REPEATED: usize = 512 << 20;
/// The least that an element takes in a reply: `$0\r\n\r\n`.
const LEAST_ELEMENT: usize = 6;

/// Watches over a reply that repeats elements, so that it ends: see `MAX_REPEATED`.
pub struct Repetition {
    limit: usize,
}

impl Repetition {
    /// `elements` are about to be written to `reply`: refuses a number that cannot fit.
    pub fn of(elements: usize, reply: &Reply<'_>) -> Result<Self, CommandError> {
        if elements > MAX_REPEATED / LEAST_ELEMENT {
            return Err(CommandError::OutOfRange);
        }
        Ok(Self { limit: reply.len() + MAX_REPEATED })
    }

    /// To be called after each element.
    #[inline]
    pub fn check(&self, reply: &Reply<'_>) -> Result<(), CommandError> {
        if reply.len() > self.limit { Err(CommandError::OutOfRange) } else { Ok(()) }
    }
}

/// The cursor of a SCAN command. Besides plain numbers, the forms C's `strtoull` reads are cursors: space in front,
/// a sign (a minus wraps around), leading zeros; the text ends at the first NUL.
pub fn parse_cursor(word: &[u8]) -> Result<u64, CommandError> {
    const INVALID: CommandError = CommandError::Text("ERR invalid cursor");
    let word = until_nul(word);
    if let Some(number) = parse_i64(word) {
        return u64::try_from(number).map_err(|_| INVALID);
    }
    let spaces = word.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    let (negative, digits) = match &word[spaces..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() {
        return Err(INVALID);
    }
    let value = digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        value.checked_mul(10)?.checked_add(u64::from(digit)).filter(|_| digit <= 9)
    });
    value.map(|value| if negative { value.wrapping_neg() } else { value }).ok_or(INVALID)
}

/// What a SCAN command walks through: it decides which options there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanTarget {
    /// SCAN
    Keys,
    /// HSCAN
    Hash,
    /// SSCAN, ZSCAN
    Members,
}

/// The options of a SCAN command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanOptions<'a> {
    /// Only what matches this pattern; none if the pattern lets everything through.
    pub pattern: Option<&'a [u8]>,
    /// About how many elements a step looks at; at least 1.
    pub count: usize,
    /// Only keys of the type with this name.
    pub type_name: Option<&'a [u8]>,
    /// Fields without their values.
    pub no_values: bool,
}

impl<'a> ScanOptions<'a> {
    /// Reads the options, which are all the arguments after the cursor.
    pub fn parse(options: Args<'a>, target: ScanTarget) -> Result<Self, CommandError> {
        let mut read = Self { pattern: None, count: 10, type_name: None, no_values: false };
        let mut at = 0;
        while at < options.len() {
            let word = options.at(at);
            let value = options.get(at + 1);
            match value {
                Some(count) if word.eq_ignore_ascii_case(b"COUNT") => {
                    let count = parse_i64(count).ok_or(CommandError::NotInteger)?;
                    read.count =
                        usize::try_from(count).ok().filter(|&count| count > 0).ok_or(CommandError::Syntax)?;
                }
                Some(pattern) if word.eq_ignore_ascii_case(b"MATCH") => {
                    read.pattern =
                        Some(pattern).filter(|&pattern| pattern != b"*" && !crate::bug!(MatchIgnored));
                }
                Some(name) if word.eq_ignore_ascii_case(b"TYPE") && target == ScanTarget::Keys => {
                    read.type_name = Some(name);
                }
                _ if word.eq_ignore_ascii_case(b"NOVALUES") => {
                    if target != ScanTarget::Hash && !crate::bug!(NovaluesForAll) {
                        return Err(CommandError::Text("ERR NOVALUES option can only be used in HSCAN"));
                    }
                    read.no_values = true;
                    at += 1;
                    continue;
                }
                _ => return Err(CommandError::Syntax),
            }
            at += 2;
        }
        Ok(read)
    }

    /// Whether the pattern lets `text` through.
    #[inline]
    pub fn admits(&self, text: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::Db;
    use crate::resp::Protocol;

    #[test]
    fn repetitions_end_before_memory_does() {
        let mut db = Db::new();
        db.check(
            "
            > SADD set a
            (integer) 1
            > HSET hash f v
            (integer) 1
            > ZADD zset 1 a
            (integer) 1
            > SRANDMEMBER set -9223372036854775807
            (error) ERR value is out of range
            > SRANDMEMBER set -89478486
            (error) ERR value is out of range
            > HRANDFIELD hash -9223372036854775807
            (error) ERR value is out of range
            > HRANDFIELD hash -4611686018427387903 WITHVALUES
            (error) ERR value is out of range
            > ZRANDMEMBER zset -9223372036854775807
            (error) ERR value is out of range
            > SRANDMEMBER none -9223372036854775807
            (empty array)
            > SRANDMEMBER set 9223372036854775807
            1) \"a\"
            ",
        );
        let mut out = b"before".to_vec();
        let mut reply = Reply::new(&mut out, Protocol::Resp2);
        assert_eq!(Repetition::of(1, &reply).unwrap().limit, 6 + MAX_REPEATED);
        let repetition = Repetition { limit: 17 };
        reply.bulk(b"12345");
        assert!(repetition.check(&reply).is_ok());
        reply.bulk(b"");
        assert!(repetition.check(&reply).is_err());
    }

    #[test]
    fn cursors_are_what_c_reads() {
        for (text, cursor) in [
            ("0", 0),
            ("18446744073709551615", u64::MAX),
            ("007", 7),
            (" \t+5", 5),
            ("-012", 0u64.wrapping_sub(12)),
            ("5\0x", 5),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()), Ok(cursor), "{text}");
        }
        for text in ["", "-1", "18446744073709551616", "5 ", "x", "+", " ", "1x", "+ 5", "--5", "\0"] {
            assert!(parse_cursor(text.as_bytes()).is_err(), "{text}");
        }
    }
}
