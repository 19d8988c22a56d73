//! The writer handlers answer through. A reply is said once and comes out as RESP2 or RESP3.
//!
//! Nothing here decides *what* to answer. The only liberty taken with the caller's bytes is that an error or status
//! line never contains CR or LF: they become spaces, as in Redis, so that no argument echoed in an error can forge a
//! frame.
//!
//! Invariant: `out` only grows, except through [`Reply::truncate`]; bytes before the reply are never touched.
//!
//! A large string need not be copied: whoever takes strings on loan ([`Reply::lending`]) gets them beside the output, each
//! with its place in it.

use crate::number;
use crate::value::Large;

/// The protocol version a connection negotiated with HELLO.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

/// What a header announces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aggregate {
    Array,
    /// Counted in pairs.
    Map,
    Set,
    Push,
}

/// A position in the output, taken before what it marks is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Mark(usize);

/// A string that belongs into an output, before the byte `at`.
#[derive(Debug)]
pub struct Lent {
    pub at: usize,
    pub bytes: Large,
}

/// Appends replies to an output buffer.
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    /// In the order of their places.
    lent: Option<&'a mut Vec<Lent>>,
    protocol: Protocol,
}

impl<'a> Reply<'a> {
    #[inline]
    pub fn new(out: &'a mut Vec<u8>, protocol: Protocol) -> Reply<'a> {
        Reply { out, lent: None, protocol }
    }

    /// The same, where large strings go to `lent`, if there is one.
    #[inline]
    pub fn lending(out: &'a mut Vec<u8>, lent: Option<&'a mut Vec<Lent>>, protocol: Protocol) -> Reply<'a> {
        Reply { out, lent, protocol }
    }

    #[inline]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Changes the protocol of what follows: HELLO's own reply is in the version it selects.
    #[inline]
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// The same output for a callee, while this writer waits.
    #[inline]
    pub fn reborrow(&mut self) -> Reply<'_> {
        Reply { out: self.out, lent: self.lent.as_deref_mut(), protocol: self.protocol }
    }

    #[inline]
    fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    /// Makes room for `additional` bytes, which must be bounded by what is to be answered, not by what a client says.
    #[inline]
    pub fn reserve(&mut self, additional: usize) {
        self.out.reserve(additional);
    }

    /// `+OK`
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A status line.
    #[inline]
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error line. `text` begins with its code (`ERR …`, `WRONGTYPE …`); nothing is added but the `-`.
    #[inline]
    pub fn error(&mut self, text: impl AsRef<[u8]>) {
        self.line(b'-', text.as_ref());
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.reserve(text.len() + 3);
        self.out.push(kind);
        let start = self.out.len();
        self.out.extend_from_slice(text);
        for byte in &mut self.out[start..] {
            if matches!(*byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.out.extend_from_slice(b"\r\n");
    }

    #[inline]
    pub fn int(&mut self, value: i64) {
        if value >= 0 {
            header(self.out, b':', value as u64);
        } else {
            self.out.extend_from_slice(b":-");
            self.out.extend_from_slice(itoa::Buffer::new().format(value.unsigned_abs()).as_bytes());
            self.out.extend_from_slice(b"\r\n");
        }
    }

    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + 32);
        header(self.out, b'$', bytes.len() as u64);
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// As [`bulk`](Self::bulk); the string may be lent instead of copied.
    pub fn large(&mut self, bytes: &Large) {
        let Some(lent) = &mut self.lent else { return self.bulk(bytes) };
        header(self.out, b'$', bytes.len() as u64);
        lent.push(Lent { at: self.out.len(), bytes: bytes.clone() });
        self.out.extend_from_slice(b"\r\n");
    }

    /// A number as a bulk string.
    #[inline]
    pub fn bulk_int(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// The null a missing string answers: `$-1`, or `_`.
    #[inline]
    pub fn null(&mut self) {
        self.out.extend_from_slice(if self.is_resp3() { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// The null a missing array answers: `*-1`, or `_`.
    #[inline]
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(if self.is_resp3() { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// `Some` as a bulk string, `None` as null.
    #[inline]
    pub fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    /// Announces `len` elements.
    #[inline]
    pub fn array(&mut self, len: usize) {
        header(self.out, b'*', len as u64);
    }

    /// Announces `pairs` keys each with its value; RESP2 has a flat array of both.
    #[inline]
    pub fn map(&mut self, pairs: usize) {
        self.aggregate(Aggregate::Map, pairs);
    }

    /// Announces `len` distinct elements; RESP2 has an array.
    #[inline]
    pub fn set(&mut self, len: usize) {
        self.aggregate(Aggregate::Set, len);
    }

    /// Announces an out-of-band message of `len` elements; RESP2 has an array.
    #[inline]
    pub fn push(&mut self, len: usize) {
        self.aggregate(Aggregate::Push, len);
    }

    #[inline]
    pub fn aggregate(&mut self, kind: Aggregate, len: usize) {
        let (byte, count) = self.head_of(kind, len);
        header(self.out, byte, count);
    }

    fn head_of(&self, kind: Aggregate, len: usize) -> (u8, u64) {
        let len = len as u64;
        match (kind, self.protocol) {
            (Aggregate::Map, Protocol::Resp2) => (b'*', len * 2),
            (Aggregate::Array, _) | (_, Protocol::Resp2) => (b'*', len),
            (Aggregate::Map, Protocol::Resp3) => (b'%', len),
            (Aggregate::Set, Protocol::Resp3) => (b'~', len),
            (Aggregate::Push, Protocol::Resp3) => (b'>', len),
        }
    }

    /// A floating-point number: `,` in RESP3, a bulk string with the same text in RESP2.
    pub fn double(&mut self, value: f64) {
        let mut buffer = number::FloatBuffer::new();
        let text = buffer.format(value);
        if self.is_resp3() {
            self.line(b',', text);
        } else {
            self.bulk(text);
        }
    }

    /// `#t`/`#f`, or 1/0.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.out.extend_from_slice(match (self.protocol, value) {
            (Protocol::Resp2, true) => b":1\r\n",
            (Protocol::Resp2, false) => b":0\r\n",
            (Protocol::Resp3, true) => b"#t\r\n",
            (Protocol::Resp3, false) => b"#f\r\n",
        });
    }

    /// Text with a three-byte format name (`txt`, `mkd`); a bulk string in RESP2.
    pub fn verbatim(&mut self, format: &[u8; 3], bytes: &[u8]) {
        if self.is_resp3() {
            self.out.reserve(bytes.len() + 32);
            header(self.out, b'=', bytes.len() as u64 + 4);
            self.out.extend_from_slice(format);
            self.out.push(b':');
            self.out.extend_from_slice(bytes);
            self.out.extend_from_slice(b"\r\n");
        } else {
            self.bulk(bytes);
        }
    }

    /// An integer of any size given by its decimal digits; a bulk string in RESP2.
    pub fn big_number(&mut self, digits: &[u8]) {
        if self.is_resp3() {
            self.line(b'(', digits);
        } else {
            self.bulk(digits);
        }
    }

    /// Announces `pairs` attributes of the reply that follows them. RESP2 cannot express them: nothing is written
    /// and the answer is false, and the caller must not write the pairs either.
    pub fn attribute(&mut self, pairs: usize) -> bool {
        if self.is_resp3() {
            header(self.out, b'|', pairs as u64);
        }
        self.is_resp3()
    }

    /// Marks the place of a header whose count is not known yet; elements follow, then [`Reply::set_deferred`].
    #[inline]
    pub fn deferred_array(&mut self) -> Mark {
        Mark(self.out.len())
    }

    /// Inserts the header at `mark`. Costs a move of everything written since. Nested marks are set innermost
    /// first: setting one moves what follows it.
    pub fn set_deferred(&mut self, mark: Mark, len: usize, kind: Aggregate) {
        let (byte, count) = self.head_of(kind, len);
        let mut head = Vec::with_capacity(24);
        header(&mut head, byte, count);
        for lent in self.lent.iter_mut().flat_map(|lent| lent.iter_mut()) {
            if lent.at > mark.0 {
                lent.at += head.len();
            }
        }
        self.out.splice(mark.0..mark.0, head);
    }

    /// The current end of the output, to come back to with [`Reply::truncate`].
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark(self.out.len())
    }

    /// Takes back everything written since `mark`.
    pub fn truncate(&mut self, mark: Mark) {
        self.out.truncate(mark.0);
        if let Some(lent) = &mut self.lent {
            // A string has its header before it.
            lent.retain(|lent| lent.at <= mark.0);
        }
    }

    /// Bytes in the output, those before this reply included and those lent not.
    #[inline]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Appends a reply that is already encoded for this protocol.
    #[inline]
    pub fn raw(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }
}

/// Numbers whose header line is copied from a table.
const SMALL: usize = 128;

/// `?N\r\n` for small N, padded to a word; the kind is filled in on use.
static SMALL_HEADERS: [[u8; 8]; SMALL] = {
    let mut table = [[0u8; 8]; SMALL];
    let mut n = 0;
    while n < SMALL {
        let digits = small_len(n) - 3;
        let (mut at, mut rest) = (digits, n);
        while at > 0 {
            table[n][at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            at -= 1;
        }
        table[n][digits + 1] = b'\r';
        table[n][digits + 2] = b'\n';
        n += 1;
    }
    table
};

#[inline]
const fn small_len(n: usize) -> usize {
    4 + (n >= 10) as usize + (n >= 100) as usize
}

/// Appends `kind`, the number and CRLF.
#[inline]
pub(crate) fn header(out: &mut Vec<u8>, kind: u8, n: u64) {
    if n < SMALL as u64 {
        let mut line = SMALL_HEADERS[n as usize];
        line[0] = kind;
        // A copy of constant size is one store; the surplus is taken back.
        let end = out.len() + small_len(n as usize);
        out.extend_from_slice(&line);
        out.truncate(end);
    } else {
        large_header(out, kind, n);
    }
}

fn large_header(out: &mut Vec<u8>, kind: u8, n: u64) {
    out.reserve(24);
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(write: impl Fn(&mut Reply<'_>)) -> (String, String) {
        let text = |protocol| {
            let mut out = Vec::new();
            write(&mut Reply::new(&mut out, protocol));
            String::from_utf8(out).unwrap()
        };
        (text(Protocol::Resp2), text(Protocol::Resp3))
    }

    #[track_caller]
    fn same(write: impl Fn(&mut Reply<'_>), expected: &str) {
        let (resp2, resp3) = both(write);
        assert_eq!((resp2.as_str(), resp3.as_str()), (expected, expected));
    }

    #[track_caller]
    fn differ(write: impl Fn(&mut Reply<'_>), in2: &str, in3: &str) {
        let (resp2, resp3) = both(write);
        assert_eq!((resp2.as_str(), resp3.as_str()), (in2, in3));
    }

    #[test]
    fn every_form() {
        same(|r| r.ok(), "+OK\r\n");
        same(|r| r.simple("PONG"), "+PONG\r\n");
        same(|r| r.error(b"ERR a\r\nb"), "-ERR a  b\r\n");
        same(|r| r.error("WRONGTYPE x"), "-WRONGTYPE x\r\n");
        same(|r| r.bulk(b""), "$0\r\n\r\n");
        same(|r| r.bulk_int(-7), "$2\r\n-7\r\n");
        same(|r| r.array(3), "*3\r\n");
        differ(|r| r.null(), "$-1\r\n", "_\r\n");
        differ(|r| r.null_array(), "*-1\r\n", "_\r\n");
        differ(|r| r.map(2), "*4\r\n", "%2\r\n");
        differ(|r| r.set(2), "*2\r\n", "~2\r\n");
        differ(|r| r.push(2), "*2\r\n", ">2\r\n");
        differ(|r| r.double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n");
        differ(|r| r.bool(true), ":1\r\n", "#t\r\n");
        differ(|r| r.bool(false), ":0\r\n", "#f\r\n");
        differ(|r| r.verbatim(b"txt", b"hi"), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n");
        differ(|r| r.big_number(b"123"), "$3\r\n123\r\n", "(123\r\n");
    }

    #[test]
    fn integers_at_the_edges_of_the_table() {
        for n in [0, 9, 10, 99, 100, 127, 128, 999, i64::MAX, -1, -128, i64::MIN] {
            same(|r| r.int(n), &format!(":{n}\r\n"));
        }
        for n in 0..2000usize {
            same(|r| r.array(n), &format!("*{n}\r\n"));
        }
    }

    #[test]
    fn large_strings_are_lent_to_who_takes_them() {
        let string = Large::new(b"large".to_vec().into());
        same(|r| r.large(&string), "$5\r\nlarge\r\n");
        let (mut out, mut lent) = (b"before".to_vec(), Vec::new());
        let mut reply = Reply::lending(&mut out, Some(&mut lent), Protocol::Resp2);
        let outer = reply.deferred_array();
        reply.large(&string);
        let undone = reply.mark();
        reply.large(&string);
        reply.truncate(undone);
        reply.reborrow().large(&string);
        reply.set_deferred(outer, 2, Aggregate::Array);
        assert_eq!(out, b"before*2\r\n$5\r\n\r\n$5\r\n\r\n");
        let places: Vec<usize> = lent.iter().map(|lent| lent.at).collect();
        assert_eq!(places, [14, 20], "between the header and the end of the line");
        assert!(lent.iter().all(|lent| Large::ptr_eq(&lent.bytes, &string)));
    }

    #[test]
    fn deferred_headers_nest() {
        let write = |r: &mut Reply<'_>| {
            let outer = r.deferred_array();
            r.int(1);
            let inner = r.deferred_array();
            r.int(2);
            r.int(3);
            r.set_deferred(inner, 1, Aggregate::Map);
            let undone = r.mark();
            r.ok();
            r.truncate(undone);
            r.set_deferred(outer, 2, Aggregate::Set);
        };
        differ(write, "*2\r\n:1\r\n*2\r\n:2\r\n:3\r\n", "~2\r\n:1\r\n%1\r\n:2\r\n:3\r\n");
    }
}
