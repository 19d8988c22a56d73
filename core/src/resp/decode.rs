//! The request decoder: bytes of a connection to spans of arguments, resumable at any byte.
//!
//! Nothing is copied and, once its vectors have grown, nothing is allocated: a command is a run of [`Span`]s into the
//! receive buffer. A pipelined buffer is decoded command after command into one `Vec<Span>` and executed afterwards:
//!
//! ```
//! use kevy::resp::{Args, Decoder, Limits, Progress};
//! let (mut decoder, mut spans, mut batch) = (Decoder::new(), Vec::new(), Vec::new());
//! let buffer = b"*1\r\n$4\r\nPING\r\n\r\nECHO 'a b'\r\n*1\r\n$4\r\nPI";
//! let mut at = 0;
//! loop {
//!     let first = spans.len();
//!     match decoder.decode(&buffer[at..], &Limits::default(), &mut spans).unwrap() {
//!         Progress::Complete { consumed, scratch } => {
//!             batch.push((at, scratch, first..spans.len()));
//!             at += consumed;
//!         }
//!         Progress::Skipped { consumed } => at += consumed,
//!         Progress::Incomplete => break,
//!     }
//! }
//! let commands: Vec<_> = batch
//!     .into_iter()
//!     .map(|(at, scratch, range)| {
//!         Args::new(if scratch { decoder.scratch() } else { &buffer[at..] }, &spans[range]).to_argv()
//!     })
//!     .collect();
//! assert_eq!(format!("{commands:?}"), r#"[PING, ECHO "a b"]"#);
//! decoder.clear_scratch();
//! assert_eq!(&buffer[at..], b"*1\r\n$4\r\nPI"); // kept for the next call
//! ```
//!
//! While `Incomplete`, the decoder keeps its place and the spans found so far, so that a command that arrives in
//! pieces costs time linear in its length. Nothing is reserved because a client announced it.
//!
//! What is and is not checked follows Redis: a line ends at CR and the byte after it is not looked at, nor are the
//! two bytes after a bulk; a NUL hides the rest of a line, which then never ends. One rule is stricter because it must
//! not depend on how the bytes were cut: a line of more than [`MAX_LINE`] bytes is refused even if its end has arrived.
//!
//! Format: the RESP specification; multibulk (`*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`) and inline (`GET k\r\n`).

use std::fmt;

use super::Span;
use crate::number;

/// Longest line: an inline command or a header.
pub const MAX_LINE: usize = 64 * 1024;

/// Before AUTH.
const UNAUTHENTICATED_ARGS: i64 = 10;
const UNAUTHENTICATED_BULK: i64 = 16 * 1024;

/// The least an argument takes on the wire: `$0\r\n\r\n`.
const LEAST_ARGUMENT: usize = 6;

/// Vectors that grew beyond this are given back when they are empty.
const KEEP: usize = 4096;

/// What a client may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Longest argument: `proto-max-bulk-len`. Beyond 4 GiB it has no effect: spans are 32 bits.
    pub max_bulk_len: i64,
    /// Most arguments of one command.
    pub max_args: i64,
    /// Before AUTH a client may send ten arguments of 16 KiB. As long as this is false, execute each command before
    /// decoding the next: it may be the AUTH.
    pub authenticated: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_bulk_len: 512 << 20, max_args: i32::MAX as i64, authenticated: true }
    }
}

impl Limits {
    /// The greatest bulk length that needs no second look.
    fn plain_bulk(&self) -> i64 {
        if self.authenticated { self.max_bulk_len } else { self.max_bulk_len.min(UNAUTHENTICATED_BULK) }
    }

    /// The greatest argument count that needs no second look.
    fn plain_args(&self) -> i64 {
        if self.authenticated { self.max_args } else { self.max_args.min(UNAUTHENTICATED_ARGS) }
    }
}

/// How far [`Decoder::decode`] came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// A command: the spans pushed are its arguments, at least one. With `scratch` they lie in
    /// [`Decoder::scratch`] (an inline command with quotes), else in the buffer given to `decode`.
    Complete { consumed: usize, scratch: bool },
    /// Bytes without a command (an empty line, `*0`): drop them and go on.
    Skipped { consumed: usize },
    /// More bytes are needed. Nothing was pushed; call again with the same bytes and more after them.
    Incomplete,
}

/// A violation of the protocol. The connection is answered [`ProtocolError::reply`] and closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProtocolError {
    InvalidMultibulkLength,
    UnauthenticatedMultibulkLength,
    ExpectedDollar(u8),
    InvalidBulkLength,
    UnauthenticatedBulkLength,
    TooBigMbulkCount,
    TooBigBulkCount,
    TooBigInline,
    UnbalancedQuotes,
}

impl ProtocolError {
    /// The text for [`Reply::error`](super::Reply::error). Bytes, because it may quote one that is not ASCII.
    pub fn reply(self) -> Vec<u8> {
        match self {
            ProtocolError::ExpectedDollar(byte) => {
                [b"ERR Protocol error: expected '$', got '", &[byte][..], b"'"].concat()
            }
            other => format!("ERR {other}").into_bytes(),
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        f.write_str(match self {
            ProtocolError::InvalidMultibulkLength => "invalid multibulk length",
            ProtocolError::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            ProtocolError::ExpectedDollar(byte) => {
                return write!(f, "expected '$', got '{}'", byte.escape_ascii());
            }
            ProtocolError::InvalidBulkLength => "invalid bulk length",
            ProtocolError::UnauthenticatedBulkLength => "unauthenticated bulk length",
            ProtocolError::TooBigMbulkCount => "too big mbulk count string",
            ProtocolError::TooBigBulkCount => "too big bulk count string",
            ProtocolError::TooBigInline => "too big inline request",
            ProtocolError::UnbalancedQuotes => "unbalanced quotes in request",
        })
    }
}

impl std::error::Error for ProtocolError {}

/// The place of one connection in its input.
#[derive(Default)]
pub struct Decoder {
    /// Where decoding goes on, from the start of the command: behind `bulk`, if there is one.
    at: usize,
    /// Arguments still to come; 0 between commands and in an inline one.
    left: u32,
    /// The bulk whose header was read and whose bytes are not all there.
    bulk: Option<Span>,
    /// Bytes of the unfinished line known not to hold its end, from the start of the command.
    scanned: usize,
    /// The arguments of the unfinished command so far.
    partial: Vec<Span>,
    scratch: Vec<u8>,
    needed: usize,
}

impl Decoder {
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Reads the first command of `buf`, which begins where the last `consumed` ended.
    ///
    /// On `Complete` its spans, relative to the start of `buf` (or of the scratch), were appended to `spans`. On
    /// `Incomplete` and on errors `spans` is as it was. After an error the decoder must not be used again.
    #[inline]
    pub fn decode(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Progress, ProtocolError> {
        if self.left > 0 {
            return self.resume(buf, limits, spans);
        }
        match buf.first() {
            Some(b'*') => self.multibulk(buf, limits, spans),
            Some(_) => self.inline(buf, spans),
            None => Ok(self.incomplete(1, 0)),
        }
    }

    /// Bytes certainly missing after `Incomplete`, as a hint for the next read: never more than were received of
    /// this command, or a page or so if that is more. An announced length alone reserves nothing.
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// Whether part of a command was received. (Bytes of a first line without its end do not count.)
    pub fn is_inside(&self) -> bool {
        self.left > 0
    }

    /// The argument that is on its way: its header was read, and not all of its bytes are there.
    pub fn pending(&self) -> Option<Span> {
        self.bulk
    }

    /// Arguments still to come, the pending one included.
    pub fn arguments_left(&self) -> usize {
        self.left as usize
    }

    /// The command goes on in another buffer, which begins with the pending argument and the two bytes behind it. What
    /// was before the argument comes next, and then the rest.
    ///
    /// ```text
    /// *3 $3 SET $1 k $100000 | value  ->  value | *3 $3 SET $1 k $100000 | rest
    /// ```
    ///
    /// # Panics
    /// If no argument is pending.
    pub fn pending_first(&mut self) {
        let bulk = self.bulk.as_mut().expect("an argument is pending");
        let moved = bulk.len + 2;
        self.at = (bulk.start + moved) as usize;
        bulk.start = 0;
        self.partial.iter_mut().for_each(|span| span.start += moved);
    }

    /// Where the arguments of inline commands with quotes live, until [`Decoder::clear_scratch`].
    pub fn scratch(&self) -> &[u8] {
        &self.scratch
    }

    /// To be called when the commands decoded so far have been executed.
    pub fn clear_scratch(&mut self) {
        self.scratch.clear();
        self.scratch.shrink_to(KEEP);
    }

    /// Heap bytes held.
    pub fn memory(&self) -> usize {
        self.partial.capacity() * size_of::<Span>() + self.scratch.capacity()
    }

    #[inline]
    fn multibulk(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Progress, ProtocolError> {
        let (count, next) = match plain_number(buf, 1) {
            Some((count, next)) if count > 0 && count as i64 <= limits.plain_args() => (count as u32, next),
            _ => match self.count(buf, limits)? {
                None => return Ok(self.incomplete(1, buf.len())),
                Some((0, consumed)) => return Ok(Progress::Skipped { consumed }),
                Some(header) => header,
            },
        };
        let before = spans.len();
        self.at = next;
        self.left = count;
        match self.bulks(buf, limits, spans) {
            Ok(Some(consumed)) => Ok(Progress::Complete { consumed, scratch: false }),
            Ok(None) => {
                self.partial.extend_from_slice(&spans[before..]);
                spans.truncate(before);
                Ok(Progress::Incomplete)
            }
            Err(error) => {
                spans.truncate(before);
                Err(error)
            }
        }
    }

    #[cold]
    fn resume(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Progress, ProtocolError> {
        let mut partial = std::mem::take(&mut self.partial);
        let done = self.bulks(buf, limits, &mut partial)?;
        if done.is_some() {
            spans.extend_from_slice(&partial);
            partial.clear();
            partial.shrink_to(KEEP);
        }
        self.partial = partial;
        Ok(match done {
            Some(consumed) => Progress::Complete { consumed, scratch: false },
            None => Progress::Incomplete,
        })
    }

    /// Reads arguments from `self.at` on; where the command ends, if it is all there.
    #[inline]
    fn bulks(
        &mut self,
        buf: &[u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Option<usize>, ProtocolError> {
        let plain = limits.plain_bulk();
        let (mut at, mut left) = (self.at, self.left);
        if let Some(bulk) = self.bulk {
            let end = at - usize::from(crate::bug!(CutArgumentMisread));
            if buf.len() < end {
                self.incomplete(end - buf.len() + (left as usize - 1) * LEAST_ARGUMENT, buf.len());
                return Ok(None);
            }
            self.bulk = None;
            spans.push(bulk);
            at = end;
            left -= 1;
        }
        while left > 0 {
            let header = if buf.get(at) == Some(&b'$') { plain_number(buf, at + 1) } else { None };
            let (len, start) = match header {
                Some((len, start)) if len as i64 <= plain => (len, start),
                _ => match self.length(buf, at, limits)? {
                    Some(header) => header,
                    None => {
                        (self.at, self.left) = (at, left);
                        self.incomplete(left as usize * LEAST_ARGUMENT, buf.len());
                        return Ok(None);
                    }
                },
            };
            let end = start + len + 2;
            if end > u32::MAX as usize {
                return Err(ProtocolError::InvalidBulkLength);
            }
            let span = Span { start: start as u32, len: len as u32 };
            if end > buf.len() {
                (self.at, self.left, self.bulk) = (end, left, Some(span));
                self.incomplete(end - buf.len() + (left as usize - 1) * LEAST_ARGUMENT, buf.len());
                return Ok(None);
            }
            spans.push(span);
            at = end;
            left -= 1;
        }
        (self.at, self.left, self.scanned) = (0, 0, 0);
        Ok(Some(at))
    }

    /// The first header in full generality: (arguments, where they begin); 0 arguments is nothing to do.
    #[cold]
    fn count(&mut self, buf: &[u8], limits: &Limits) -> Result<Option<(u32, usize)>, ProtocolError> {
        let Some(end) = self.line_end(buf, 0, ProtocolError::TooBigMbulkCount)? else { return Ok(None) };
        let count = number::parse_i64(&buf[1..end])
            .filter(|&count| count <= limits.max_args.min(u32::MAX as i64))
            .ok_or(ProtocolError::InvalidMultibulkLength)?;
        if count > UNAUTHENTICATED_ARGS && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedMultibulkLength);
        }
        Ok(Some((count.max(0) as u32, end + 2)))
    }

    /// A bulk's header in full generality: (length, where its bytes begin).
    #[cold]
    fn length(
        &mut self,
        buf: &[u8],
        at: usize,
        limits: &Limits,
    ) -> Result<Option<(usize, usize)>, ProtocolError> {
        let Some(end) = self.line_end(buf, at, ProtocolError::TooBigBulkCount)? else { return Ok(None) };
        if buf[at] != b'$' {
            return Err(ProtocolError::ExpectedDollar(buf[at]));
        }
        let len = number::parse_i64(&buf[at + 1..end])
            .filter(|&len| 0 <= len && len <= limits.max_bulk_len.min(u32::MAX as i64))
            .ok_or(ProtocolError::InvalidBulkLength)?;
        if len > UNAUTHENTICATED_BULK && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        Ok(Some((len as usize, end + 2)))
    }

    /// Where the header that begins at `at` has its CR, once the byte after it is there too.
    fn line_end(
        &mut self,
        buf: &[u8],
        at: usize,
        too_big: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let end = self.find(buf, at, b'\r', too_big)?;
        Ok(end.filter(|end| end + 1 < buf.len()))
    }

    /// The first `wanted` of the line that begins at `at`. A NUL before it hides it.
    fn find(
        &mut self,
        buf: &[u8],
        at: usize,
        wanted: u8,
        too_big: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let from = self.scanned.max(at);
        let within = &buf[from.min(buf.len())..buf.len().min(at + MAX_LINE + 1)];
        match memchr::memchr2(wanted, 0, within).map(|found| from + found) {
            Some(found) if buf[found] == wanted => {
                self.scanned = 0;
                return Ok(Some(found));
            }
            Some(hidden) => self.scanned = hidden,
            None => self.scanned = from + within.len(),
        }
        if buf.len() - at.min(buf.len()) > MAX_LINE { Err(too_big) } else { Ok(None) }
    }

    #[cold]
    fn inline(&mut self, buf: &[u8], spans: &mut Vec<Span>) -> Result<Progress, ProtocolError> {
        let Some(newline) = self.find(buf, 0, b'\n', ProtocolError::TooBigInline)? else {
            return Ok(self.incomplete(1, buf.len()));
        };
        let consumed = newline + 1;
        let line = buf[..newline].strip_suffix(b"\r").unwrap_or(&buf[..newline]);
        let before = spans.len();
        let scratch = memchr::memchr2(b'"', b'\'', line).is_some();
        if scratch {
            let kept = self.scratch.len();
            if split_quoted(line, &mut self.scratch, spans).is_none() {
                self.scratch.truncate(kept);
                spans.truncate(before);
                return Err(ProtocolError::UnbalancedQuotes);
            }
        } else {
            split_plain(line, spans);
        }
        Ok(if spans.len() == before {
            Progress::Skipped { consumed }
        } else {
            Progress::Complete { consumed, scratch }
        })
    }

    fn incomplete(&mut self, missing: usize, received: usize) -> Progress {
        self.needed = missing.clamp(1, received.max(KEEP));
        Progress::Incomplete
    }
}

/// A number of one to nine digits in canonical form, its CR and one byte more: (value, what follows). Everything
/// else is for the cold path to judge.
#[inline]
fn plain_number(buf: &[u8], at: usize) -> Option<(usize, usize)> {
    let first = buf.get(at)?.wrapping_sub(b'0');
    if first > 9 {
        return None;
    }
    let mut value = first as usize;
    let mut end = at + 1;
    loop {
        let byte = *buf.get(end)?;
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let whole = byte == b'\r' && end + 1 < buf.len();
            return whole.then_some((value, end + 2));
        }
        if value == 0 || end - at == 9 {
            return None;
        }
        value = value * 10 + digit as usize;
        end += 1;
    }
}

/// What C calls space, in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// What ends an unquoted argument: vertical tab and form feed do not.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn split_plain(line: &[u8], spans: &mut Vec<Span>) {
    let mut at = 0;
    loop {
        at += line[at..].iter().take_while(|&&byte| is_space(byte)).count();
        if at == line.len() {
            return;
        }
        let len = line[at..].iter().take_while(|&&byte| !ends_word(byte)).count();
        spans.push(Span { start: at as u32, len: len as u32 });
        at += len;
    }
}

/// Splits a line with quotes into `out`: `"…"` with `\n \r \t \b \a \xhh` and `\` before anything else, `'…'` with
/// `\'` only. A quote may open inside a word, but a space or the end must follow the closing one.
fn split_quoted(line: &[u8], out: &mut Vec<u8>, spans: &mut Vec<Span>) -> Option<()> {
    let mut at = 0;
    loop {
        at += line[at..].iter().take_while(|&&byte| is_space(byte)).count();
        if at == line.len() {
            return Some(());
        }
        let start = out.len();
        while let Some(&byte) = line.get(at).filter(|&&byte| !ends_word(byte)) {
            at += 1;
            match byte {
                b'"' => at = double_quoted(line, at, out)?,
                b'\'' => at = single_quoted(line, at, out)?,
                _ => {
                    out.push(byte);
                    continue;
                }
            }
            if line.get(at).is_some_and(|&byte| !is_space(byte)) {
                return None;
            }
            break;
        }
        spans.push(Span { start: u32::try_from(start).ok()?, len: (out.len() - start) as u32 });
    }
}

/// Reads from behind the opening quote to behind the closing one.
fn double_quoted(line: &[u8], mut at: usize, out: &mut Vec<u8>) -> Option<usize> {
    loop {
        match line[at..] {
            [b'"', ..] => return Some(at + 1),
            [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or(0) as u8;
                out.push(digit(high) << 4 | digit(low));
                at += 4;
            }
            [b'\\', escaped, ..] => {
                out.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => other,
                });
                at += 2;
            }
            [byte, ..] => {
                out.push(byte);
                at += 1;
            }
            [] => return None,
        }
    }
}

/// Reads from behind the opening quote to behind the closing one.
fn single_quoted(line: &[u8], mut at: usize, out: &mut Vec<u8>) -> Option<usize> {
    loop {
        match line[at..] {
            [b'\\', b'\'', ..] => {
                out.push(b'\'');
                at += 2;
            }
            [b'\'', ..] => return Some(at + 1),
            [byte, ..] => {
                out.push(byte);
                at += 1;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::resp::{Args, Argv};

    /// Everything `bytes` holds, given at once: the commands, then the error or how many bytes are left over.
    fn all(bytes: &[u8], limits: &Limits) -> (Vec<Argv>, Result<usize, ProtocolError>) {
        pieces(bytes, limits, &[])
    }

    /// The same, with the bytes arriving cut at `cuts`.
    fn pieces(bytes: &[u8], limits: &Limits, cuts: &[usize]) -> (Vec<Argv>, Result<usize, ProtocolError>) {
        let mut decoder = Decoder::new();
        let (mut commands, mut at) = (Vec::new(), 0);
        for &end in cuts.iter().filter(|&&cut| cut < bytes.len()).chain([&bytes.len()]) {
            loop {
                // What was decoded before stays untouched.
                let mut spans = vec![Span::new(7, 7)];
                let buf = &bytes[at..end];
                let progress = decoder.decode(buf, limits, &mut spans);
                assert_eq!(spans[0], Span::new(7, 7));
                match progress {
                    Ok(Progress::Complete { consumed, scratch }) => {
                        let source = if scratch { decoder.scratch() } else { &buf[..consumed] };
                        assert!(spans.len() > 1);
                        commands.push(Args::new(source, &spans[1..]).to_argv());
                        at += consumed;
                    }
                    Ok(Progress::Skipped { consumed }) => at += consumed,
                    Ok(Progress::Incomplete) => {
                        assert!(decoder.needed() >= 1 && decoder.needed() <= buf.len().max(KEEP));
                        assert_eq!(spans.len(), 1);
                        break;
                    }
                    Err(error) => {
                        assert_eq!(spans.len(), 1);
                        return (commands, Err(error));
                    }
                }
            }
        }
        (commands, Ok(bytes.len() - at))
    }

    #[track_caller]
    fn reads(bytes: &[u8], expected: &[Argv]) {
        assert_eq!(all(bytes, &Limits::default()), (expected.to_vec(), Ok(0)));
    }

    #[track_caller]
    fn waits(bytes: &[u8]) {
        assert_eq!(all(bytes, &Limits::default()), (vec![], Ok(bytes.len())));
    }

    #[track_caller]
    fn refuses(bytes: &[u8], text: &str) {
        let (_, end) = all(bytes, &Limits::default());
        assert_eq!(String::from_utf8_lossy(&end.unwrap_err().reply()), format!("ERR Protocol error: {text}"));
    }

    /// Every line of this test was answered so by Redis 8.0.6 over a socket.
    #[test]
    fn multibulk_as_redis_reads_it() {
        let ping = || Argv::of(["PING"]);
        reads(b"*1\r\n$4\r\nPING\r\n", &[ping()]);
        reads(b"*1\rX$4\rYPINGab", &[ping()]);
        reads(b"*1\r\n$4\r\nPINGabPING\r\n", &[ping(), ping()]);
        for nothing in ["*0\r\n", "*-1\r\n", "*-5\r\n", "\r\n", "\n", "   \r\n"] {
            reads(&[nothing.as_bytes(), b"PING\r\n"].concat(), &[ping()]);
        }
        reads(b"*1\r\n$0\r\n\r\n", &[Argv::of([""])]);
        waits(b"*2147483647\r\n");
        waits(b"*1\r\n$536870912\r\n");
        waits(b"*1\r\n\x00\r\n*1");
        waits(b"*1\x00\r\n$4\r\nPING\r\n");
        for bad in [
            "*01\r\n",
            "*+1\r\n",
            "*\r\n",
            "*a\r\n",
            "*-0\r\n",
            "*2147483648\r\n",
            "*9223372036854775808\r\n",
        ] {
            refuses(bad.as_bytes(), "invalid multibulk length");
        }
        for bad in
            ["$a\r\n", "$-1\r\n", "$-5\r\n", "$536870913\r\n", "$04\r\n", "$9223372036854775808\r\n", "$\r\n"]
        {
            refuses(format!("*1\r\n{bad}").as_bytes(), "invalid bulk length");
        }
        refuses(b"*1\r\nx4\r\nPING\r\n", "expected '$', got 'x'");
        refuses(b"*1\r\n\r\nPING\r\n", "expected '$', got '\r'");
        assert_eq!(
            all(b"*1\r\n\xff\r\n", &Limits::default()).1.unwrap_err().reply(),
            b"ERR Protocol error: expected '$', got '\xff'"
        );
        let ones = "1".repeat(70_000);
        refuses(format!("*{ones}").as_bytes(), "too big mbulk count string");
        refuses(format!("*1\0{ones}").as_bytes(), "too big mbulk count string");
        refuses(format!("*1\r\n${ones}").as_bytes(), "too big bulk count string");
        refuses(format!("*1\r\n{ones}").as_bytes(), "too big bulk count string");
    }

    /// Every line of this test was answered so by Redis 8.0.6 over a socket.
    #[test]
    fn inline_as_redis_reads_it() {
        let echo = |line: &[u8], arg: &[u8]| {
            reads(&[b"echo ", line, b"\r\n"].concat(), &[Argv::of([b"echo", arg])]);
        };
        echo(br#""a\x41\n\r\t\a\b\q\xzz""#, b"aA\n\r\t\x07\x08qxzz");
        echo(br"'a\'b\n'", br"a'b\n");
        echo(br#"a"b c""#, b"ab c");
        echo(b"a'b'", b"ab");
        echo(b"\"\"", b"");
        echo(br"a\x41", br"a\x41");
        echo(b"a\x0bb", b"a\x0bb");
        echo(b"a\x0c", b"a\x0c");
        echo(b"a\r", b"a");
        reads(b"echo a\rb\n", &[Argv::of(["echo", "a", "b"])]);
        reads(b"''\r\n", &[Argv::of([""])]);
        reads(b"\"PI\"\r\n$4\r\n", &[Argv::of(["PI"]), Argv::of(["$4"])]);
        reads(b"PING \"a\" b\n", &[Argv::of(["PING", "a", "b"])]);
        waits(b"PING\x00\r\nPING\r\n");
        for bad in ["PING \"a", "PING 'a", "PING \"a\"b", "echo \"\\\"", "PING 'a\\'"] {
            refuses(format!("{bad}\r\n").as_bytes(), "unbalanced quotes in request");
        }
        refuses("a".repeat(70_000).as_bytes(), "too big inline request");
        let longest = format!("{}\n", "a".repeat(MAX_LINE));
        reads(longest.as_bytes(), &[Argv::of(["a".repeat(MAX_LINE)])]);
        refuses(format!("a{longest}").as_bytes(), "too big inline request");
    }

    #[test]
    fn unauthenticated_limits() {
        let limits = Limits { authenticated: false, ..Limits::default() };
        let end = |bytes: &[u8]| all(bytes, &limits).1;
        assert_eq!(end(b"*11\r\n"), Err(ProtocolError::UnauthenticatedMultibulkLength));
        assert_eq!(end(b"*10\r\n$16385\r\n"), Err(ProtocolError::UnauthenticatedBulkLength));
        assert_eq!(end(b"*10\r\n$16384\r\n"), Ok(13));
        assert_eq!(end(b"*2147483648\r\n"), Err(ProtocolError::InvalidMultibulkLength));
        assert_eq!(end(b"*1\r\n$536870913\r\n"), Err(ProtocolError::InvalidBulkLength));
    }

    #[test]
    fn lengths_beyond_the_spans_are_refused() {
        let limits = Limits { max_bulk_len: i64::MAX, ..Limits::default() };
        for len in [u32::MAX as u64, u32::MAX as u64 + 1, i64::MAX as u64] {
            let bytes = format!("*1\r\n${len}\r\n");
            assert_eq!(all(bytes.as_bytes(), &limits).1, Err(ProtocolError::InvalidBulkLength));
        }
    }

    /// Byte by byte, so that any rescanning would show as a quadratic crawl; and memory follows what was received.
    #[test]
    fn small_pieces_cost_linear_time_and_memory() {
        let mut bytes = b"*300000\r\n".to_vec();
        (0..100_000).for_each(|_| bytes.extend_from_slice(b"$1\r\nx\r\n"));
        bytes.extend_from_slice(b"$500000000\r\n");
        bytes.resize(bytes.len() + 1_000_000, b'v');
        let (mut decoder, mut spans) = (Decoder::new(), Vec::new());
        for end in 0..=bytes.len() {
            let progress = decoder.decode(&bytes[..end], &Limits::default(), &mut spans);
            assert_eq!(progress, Ok(Progress::Incomplete));
        }
        assert!(decoder.memory() <= 2 * bytes.len());
        assert!(decoder.needed() <= bytes.len());
    }

    fn fragment() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..5).prop_map(|args| {
                let mut out = Vec::new();
                Argv::of(args).encode(&mut out);
                out
            }),
            1 => Just(b"*0\r\n".to_vec()),
            1 => Just(b"\r\n".to_vec()),
            2 => prop::collection::vec(prop::sample::select(b"ab \t\"'\\x4n\r".to_vec()), 0..12).prop_map(|mut line| {
                line.push(b'\n');
                line
            }),
            1 => prop::collection::vec(prop::sample::select(b"*$0123-\r\n\0x".to_vec()), 0..12),
        ]
    }

    proptest! {
        #[test]
        fn any_split_reads_as_one_piece(
            fragments in prop::collection::vec(fragment(), 0..8),
            cuts in prop::collection::vec(0..200usize, 0..10),
        ) {
            let bytes = fragments.concat();
            let whole = all(&bytes, &Limits::default());
            let mut cuts = cuts;
            cuts.sort_unstable();
            prop_assert_eq!(pieces(&bytes, &Limits::default(), &cuts), whole.clone());
            let every: Vec<usize> = (0..bytes.len()).collect();
            prop_assert_eq!(pieces(&bytes, &Limits::default(), &every), whole);
        }

        #[test]
        fn encoded_commands_come_back(args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20)) {
            let argv = Argv::of(args);
            let mut bytes = Vec::new();
            argv.encode(&mut bytes);
            prop_assert_eq!(all(&bytes, &Limits::default()), (vec![argv], Ok(0)));
        }

        #[test]
        fn quoted_arguments_come_back(args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 1..5)) {
            let argv = Argv::of(args);
            let mut line: Vec<u8> = argv.iter().map(|arg| crate::resp::repr::Repr(arg).to_string()).collect::<Vec<_>>()
                .join(" ").into_bytes();
            line.push(b'\n');
            prop_assert_eq!(all(&line, &Limits::default()), (vec![argv], Ok(0)));
        }
    }
}
