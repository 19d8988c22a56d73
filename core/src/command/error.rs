//! Errors a command can answer, with Redis's exact wording.
//!
//! Texts used by several command families live here; a text only one family uses stands as a constant at the top of
//! that family's file and travels as [`CommandError::Text`]. Bytes that a client chose are only ever put into
//! [`CommandError::Owned`]; the reply writer replaces CR and LF in it.

use std::borrow::Cow;

use super::until_nul;

/// What a command answers instead of a result. The first word of the text is the error code clients match on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// The key holds another type than the command works on.
    WrongType,
    /// The arguments do not follow the command's syntax.
    Syntax,
    /// An argument, or the value at the key, is not a 64-bit signed integer.
    NotInteger,
    /// An argument, or the value at the key, is not a floating point number.
    NotFloat,
    /// A number is outside of what the command accepts.
    OutOfRange,
    /// A number must be positive (or zero).
    MustBePositive,
    /// The key must exist.
    NoSuchKey,
    /// An index is outside of the list.
    IndexOutOfRange,
    /// The database index does not exist.
    DbIndexOutOfRange,
    /// A string would grow beyond `proto-max-bulk-len`.
    StringTooLong,
    /// The blocking timeout is not a number.
    TimeoutNotFloat,
    /// The same where milliseconds are asked for.
    TimeoutNotInteger,
    /// The blocking timeout is below zero.
    TimeoutNegative,
    /// The blocking timeout does not fit.
    TimeoutOutOfRange,
    /// An increment would leave the 64-bit range.
    IncrementOverflow,
    /// `wrong number of arguments for '<name>' command`.
    Arity(&'static str),
    /// `invalid expire time in '<name>' command`.
    InvalidExpire(&'static str),
    /// A fixed text of one command family, code included.
    Text(&'static str),
    /// A text made at run time, code included.
    Owned(Vec<u8>),
}

impl CommandError {
    /// The whole text without the leading `-`, e.g. `ERR syntax error`.
    pub fn text(&self) -> Cow<'_, [u8]> {
        let fixed: &'static str = match self {
            Self::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Self::Syntax => "ERR syntax error",
            Self::NotInteger => "ERR value is not an integer or out of range",
            Self::NotFloat => "ERR value is not a valid float",
            Self::OutOfRange => "ERR value is out of range",
            Self::MustBePositive => "ERR value is out of range, must be positive",
            Self::NoSuchKey => "ERR no such key",
            Self::IndexOutOfRange => "ERR index out of range",
            Self::DbIndexOutOfRange => "ERR DB index is out of range",
            Self::StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            Self::TimeoutNotFloat => "ERR timeout is not a float or out of range",
            Self::TimeoutNotInteger => "ERR timeout is not an integer or out of range",
            Self::TimeoutNegative => "ERR timeout is negative",
            Self::TimeoutOutOfRange => "ERR timeout is out of range",
            Self::IncrementOverflow => "ERR increment or decrement would overflow",
            Self::Text(text) => text,
            Self::Arity(name) => {
                return Cow::Owned(format!("ERR wrong number of arguments for '{name}' command").into());
            }
            Self::InvalidExpire(name) => {
                return Cow::Owned(format!("ERR invalid expire time in '{name}' command").into());
            }
            Self::Owned(text) => return Cow::Borrowed(text),
        };
        Cow::Borrowed(fixed.as_bytes())
    }

    /// An error that repeats a word of the client's: as Redis prints it, up to its first zero byte.
    pub fn quoting(before: &str, word: &[u8], after: &str) -> Self {
        Self::Owned([before.as_bytes(), until_nul(word), after.as_bytes()].concat())
    }

    /// The error code: the first word, as INFO errorstats counts it.
    pub fn code(text: &[u8]) -> &[u8] {
        let end = text.iter().position(|&b| b == b' ').unwrap_or(text.len());
        &text[..end]
    }
}
