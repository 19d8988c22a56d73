//! Reading arguments that several command families share.

use super::CommandError;
use crate::keyspace::UnixMillis;
use crate::number::parse_f64;

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

/// The timeout of a blocking command, in seconds with decimals: the instant it ends, `None` for 0 (for ever).
pub fn parse_timeout(word: &[u8], now: UnixMillis) -> Result<Option<UnixMillis>, CommandError> {
    let seconds = parse_f64(word).ok_or(CommandError::TimeoutNotFloat)?;
    let millis = seconds * 1000.0;
    if millis > i64::MAX as f64 {
        return Err(CommandError::TimeoutOutOfRange);
    }
    if millis < 0.0 {
        return Err(CommandError::TimeoutNegative);
    }
    if millis == 0.0 {
        return Ok(None);
    }
    match (millis.ceil() as u64).checked_add(now) {
        Some(deadline) if deadline <= i64::MAX as u64 => Ok(Some(deadline)),
        _ => Err(CommandError::TimeoutOutOfRange),
    }
}
