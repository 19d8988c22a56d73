//! The reply tree: what a client reads. Used by the clients, the tests, the model and the transcripts; the server
//! itself writes replies through [`Reply`](super::Reply) and never builds a tree.
//!
//! [`Frame::encode`] is the exact inverse of [`Frame::decode`]: a tree keeps what the bytes distinguish (the three
//! nulls, the text of a double) and the decoder refuses forms no server writes (`:+1`, `$007`). `Display` is what
//! redis-cli prints on a terminal.
//!
//! [`Frame::decode`] starts over when given more bytes: a reader that gets a large reply in small pieces should let
//! its buffer double between attempts.

use std::fmt;

use super::Protocol;
use super::repr::Repr;
use crate::number;

/// Deepest nesting accepted.
pub const MAX_DEPTH: usize = 128;

/// Longest bulk string accepted: the hard limit of a Redis string.
const MAX_BULK: i64 = 512 << 20;

/// Longest aggregate accepted.
const MAX_ELEMENTS: i64 = 1 << 30;

/// Longest line accepted: headers, statuses, errors, numbers.
const MAX_LINE: usize = 64 << 20;

/// One RESP value.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Frame {
    /// `+`
    Simple(Vec<u8>),
    /// `-`
    Error(Vec<u8>),
    /// `:`
    Int(i64),
    /// `$`
    Bulk(Vec<u8>),
    /// `$-1`
    Null,
    /// `*-1`
    NullArray,
    /// `_`, the null of RESP3
    Null3,
    /// `*`
    Array(Vec<Frame>),
    /// `%`
    Map(Vec<(Frame, Frame)>),
    /// `~`
    Set(Vec<Frame>),
    /// `,`
    Double(Double),
    /// `#`
    Bool(bool),
    /// `=`
    Verbatim([u8; 3], Vec<u8>),
    /// `(`
    BigNumber(Vec<u8>),
    /// `>`
    Push(Vec<Frame>),
    /// `|`: attributes and the frame they are about
    Attribute(Vec<(Frame, Frame)>, Box<Frame>),
}

/// A floating-point number as it was written. Two are equal when their texts are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Double(Vec<u8>);

impl Double {
    /// The number as replies write it.
    pub fn new(value: f64) -> Double {
        Double(number::FloatBuffer::new().format(value).to_vec())
    }

    /// A text that reads as a number.
    pub fn from_text(text: &[u8]) -> Option<Double> {
        double_value(text).map(|_| Double(text.to_vec()))
    }

    pub fn text(&self) -> &[u8] {
        &self.0
    }

    pub fn value(&self) -> f64 {
        double_value(&self.0).unwrap_or(f64::NAN)
    }
}

fn double_value(text: &[u8]) -> Option<f64> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    std::str::from_utf8(text).ok().filter(|_| text.iter().all(plain))?.parse().ok()
}

/// Bytes that are no RESP value and will not become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed reply: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

impl Frame {
    pub fn ok() -> Frame {
        Frame::simple("OK")
    }

    pub fn simple(text: impl AsRef<[u8]>) -> Frame {
        Frame::Simple(text.as_ref().to_vec())
    }

    pub fn error(text: impl AsRef<[u8]>) -> Frame {
        Frame::Error(text.as_ref().to_vec())
    }

    pub fn bulk(bytes: impl AsRef<[u8]>) -> Frame {
        Frame::Bulk(bytes.as_ref().to_vec())
    }

    pub fn double(value: f64) -> Frame {
        Frame::Double(Double::new(value))
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Frame::Error(_))
    }

    /// Whether it is one of the three nulls.
    pub fn is_null(&self) -> bool {
        matches!(self, Frame::Null | Frame::NullArray | Frame::Null3)
    }

    /// The bytes of a string, status, error or verbatim text.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Frame::Simple(b) | Frame::Error(b) | Frame::Bulk(b) | Frame::Verbatim(_, b) => Some(b),
            _ => None,
        }
    }

    pub fn as_int(&self) -> Option<i64> {
        match self {
            Frame::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The elements of an array, set or push.
    pub fn elements(&self) -> Option<&[Frame]> {
        match self {
            Frame::Array(list) | Frame::Set(list) | Frame::Push(list) => Some(list),
            _ => None,
        }
    }

    /// Reads the first value of `bytes`: the value and how many bytes it took, or `None` if it is not all there.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Frame, usize)>, Malformed> {
        let mut cursor = Cursor { bytes, at: 0 };
        match cursor.frame(0) {
            Ok(frame) => Ok(Some((frame, cursor.at))),
            Err(Stop::Short) => Ok(None),
            Err(Stop::Malformed(what)) => Err(Malformed(what)),
        }
    }

    /// Appends the bytes [`Frame::decode`] reads back to this value.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Frame::Simple(text) => line(out, b'+', text),
            Frame::Error(text) => line(out, b'-', text),
            Frame::Int(value) => line(out, b':', itoa::Buffer::new().format(*value).as_bytes()),
            Frame::Bulk(bytes) => {
                super::reply::header(out, b'$', bytes.len() as u64);
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Frame::Null => out.extend_from_slice(b"$-1\r\n"),
            Frame::NullArray => out.extend_from_slice(b"*-1\r\n"),
            Frame::Null3 => out.extend_from_slice(b"_\r\n"),
            Frame::Array(list) => encode_list(out, b'*', list),
            Frame::Set(list) => encode_list(out, b'~', list),
            Frame::Push(list) => encode_list(out, b'>', list),
            Frame::Map(pairs) => encode_pairs(out, b'%', pairs),
            Frame::Double(double) => line(out, b',', double.text()),
            Frame::Bool(value) => out.extend_from_slice(if *value { b"#t\r\n" } else { b"#f\r\n" }),
            Frame::Verbatim(format, bytes) => {
                super::reply::header(out, b'=', bytes.len() as u64 + 4);
                out.extend_from_slice(format);
                out.push(b':');
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Frame::BigNumber(digits) => line(out, b'(', digits),
            Frame::Attribute(pairs, about) => {
                encode_pairs(out, b'|', pairs);
                about.encode(out);
            }
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }

    /// The value as the other protocol would have carried it: RESP2 has no maps, sets, doubles, booleans.
    /// RESP3 is returned as it is, because the way back needs knowledge of the command.
    pub fn in_protocol(self, protocol: Protocol) -> Frame {
        if protocol == Protocol::Resp3 {
            return self;
        }
        let down =
            |list: Vec<Frame>| Frame::Array(list.into_iter().map(|f| f.in_protocol(protocol)).collect());
        match self {
            Frame::Array(list) | Frame::Set(list) | Frame::Push(list) => down(list),
            Frame::Map(pairs) => down(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect()),
            Frame::Null3 => Frame::Null,
            Frame::Double(double) => Frame::Bulk(double.0),
            Frame::Bool(value) => Frame::Int(i64::from(value)),
            Frame::Verbatim(_, bytes) | Frame::BigNumber(bytes) => Frame::Bulk(bytes),
            Frame::Attribute(_, about) => about.in_protocol(protocol),
            other => other,
        }
    }
}

fn line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

fn encode_list(out: &mut Vec<u8>, kind: u8, list: &[Frame]) {
    super::reply::header(out, kind, list.len() as u64);
    list.iter().for_each(|frame| frame.encode(out));
}

fn encode_pairs(out: &mut Vec<u8>, kind: u8, pairs: &[(Frame, Frame)]) {
    super::reply::header(out, kind, pairs.len() as u64);
    for (key, value) in pairs {
        key.encode(out);
        value.encode(out);
    }
}

enum Stop {
    Short,
    Malformed(&'static str),
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn frame(&mut self, depth: usize) -> Result<Frame, Stop> {
        if depth > MAX_DEPTH {
            return Err(Stop::Malformed("nested too deeply"));
        }
        let kind = *self.bytes.get(self.at).ok_or(Stop::Short)?;
        if !b"+-:$*_%~,#=(>|".contains(&kind) {
            return Err(Stop::Malformed("unknown type byte"));
        }
        let text = self.line()?;
        Ok(match kind {
            b'+' => Frame::Simple(text.to_vec()),
            b'-' => Frame::Error(text.to_vec()),
            b':' => Frame::Int(number::parse_i64(text).ok_or(Stop::Malformed("integer"))?),
            b'$' => match count(text, MAX_BULK)? {
                None => Frame::Null,
                Some(len) => Frame::Bulk(self.blob(len)?.to_vec()),
            },
            b'=' => {
                let len = count(text, MAX_BULK)?
                    .filter(|&len| len >= 4)
                    .ok_or(Stop::Malformed("verbatim length"))?;
                match self.blob(len)? {
                    [a, b, c, b':', rest @ ..] => Frame::Verbatim([*a, *b, *c], rest.to_vec()),
                    _ => return Err(Stop::Malformed("verbatim format")),
                }
            }
            b'*' => match count(text, MAX_ELEMENTS)? {
                None => Frame::NullArray,
                Some(len) => Frame::Array(self.list(len, depth)?),
            },
            b'~' => Frame::Set(self.list(present(text)?, depth)?),
            b'>' => Frame::Push(self.list(present(text)?, depth)?),
            b'%' => Frame::Map(self.pairs(present(text)?, depth)?),
            b'|' => {
                let pairs = self.pairs(present(text)?, depth)?;
                Frame::Attribute(pairs, Box::new(self.frame(depth + 1)?))
            }
            b'_' if text.is_empty() => Frame::Null3,
            b'_' => return Err(Stop::Malformed("null")),
            b'#' => match text {
                b"t" => Frame::Bool(true),
                b"f" => Frame::Bool(false),
                _ => return Err(Stop::Malformed("boolean")),
            },
            b',' => Frame::Double(Double::from_text(text).ok_or(Stop::Malformed("double"))?),
            _ => {
                let digits = text.strip_prefix(b"-").unwrap_or(text);
                if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                    return Err(Stop::Malformed("big number"));
                }
                Frame::BigNumber(text.to_vec())
            }
        })
    }

    /// The rest of the line after its type byte.
    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at + 1..];
        let Some(end) = memchr::memchr2(b'\r', b'\n', rest) else {
            return Err(if rest.len() > MAX_LINE { Stop::Malformed("line too long") } else { Stop::Short });
        };
        if rest[end] == b'\n' {
            return Err(Stop::Malformed("bare line feed"));
        }
        match rest.get(end + 1) {
            None => Err(Stop::Short),
            Some(b'\n') => {
                self.at += end + 3;
                Ok(&rest[..end])
            }
            Some(_) => Err(Stop::Malformed("bare carriage return")),
        }
    }

    fn blob(&mut self, len: usize) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let blob = rest.get(..len).ok_or(Stop::Short)?;
        match &rest[len..] {
            [b'\r', b'\n', ..] => {
                self.at += len + 2;
                Ok(blob)
            }
            [] | [b'\r'] => Err(Stop::Short),
            _ => Err(Stop::Malformed("bulk not followed by CRLF")),
        }
    }

    /// An element takes three bytes at least; nothing is reserved for more than can be there.
    fn list(&mut self, len: usize, depth: usize) -> Result<Vec<Frame>, Stop> {
        let mut list = Vec::with_capacity(len.min((self.bytes.len() - self.at) / 3).min(1024));
        for _ in 0..len {
            list.push(self.frame(depth + 1)?);
        }
        Ok(list)
    }

    fn pairs(&mut self, len: usize, depth: usize) -> Result<Vec<(Frame, Frame)>, Stop> {
        let mut pairs = Vec::with_capacity(len.min((self.bytes.len() - self.at) / 6).min(1024));
        for _ in 0..len {
            pairs.push((self.frame(depth + 1)?, self.frame(depth + 1)?));
        }
        Ok(pairs)
    }
}

/// A length, `None` for -1.
fn count(text: &[u8], max: i64) -> Result<Option<usize>, Stop> {
    match number::parse_i64(text) {
        Some(-1) => Ok(None),
        Some(n) if (0..=max).contains(&n) => Ok(Some(n as usize)),
        _ => Err(Stop::Malformed("length")),
    }
}

fn present(text: &[u8]) -> Result<usize, Stop> {
    count(text, MAX_ELEMENTS)?.ok_or(Stop::Malformed("length"))
}

/// As redis-cli prints it on a terminal, without the last line feed.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, &mut String::new())
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Frame {
    /// Whether it prints as more than one item; such a value of a map begins on its own line.
    fn forks(&self) -> bool {
        match self {
            Frame::Array(list) | Frame::Set(list) | Frame::Push(list) => {
                list.len() > 1 || list.iter().any(Frame::forks)
            }
            Frame::Map(pairs) => pairs.len() > 1 || pairs.iter().any(|(_, value)| value.forks()),
            _ => false,
        }
    }

    fn print(&self, f: &mut fmt::Formatter<'_>, indent: &mut String) -> fmt::Result {
        match self {
            Frame::Simple(text) => f.write_str(&String::from_utf8_lossy(text)),
            Frame::Error(text) => write!(f, "(error) {}", String::from_utf8_lossy(text)),
            Frame::Int(value) => write!(f, "(integer) {value}"),
            Frame::Bulk(bytes) => fmt::Display::fmt(&Repr(bytes), f),
            Frame::Null | Frame::NullArray | Frame::Null3 => f.write_str("(nil)"),
            Frame::Bool(true) => f.write_str("(true)"),
            Frame::Bool(false) => f.write_str("(false)"),
            Frame::Double(double) => write!(f, "(double) {}", String::from_utf8_lossy(double.text())),
            Frame::Verbatim(_, bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Frame::BigNumber(digits) => f.write_str(&String::from_utf8_lossy(digits)),
            Frame::Array(list) => print_list(f, list, ')', "(empty array)", indent),
            Frame::Set(list) => print_list(f, list, '~', "(empty set)", indent),
            Frame::Push(list) => print_list(f, list, ')', "(empty push)", indent),
            Frame::Map(pairs) => print_pairs(f, pairs, "(empty hash)", indent),
            Frame::Attribute(pairs, about) => {
                f.write_str("(attribute) ")?;
                print_pairs(f, pairs, "(empty attribute)", indent)?;
                write!(f, "\n{indent}")?;
                about.print(f, indent)
            }
        }
    }
}

fn print_list(
    f: &mut fmt::Formatter<'_>,
    list: &[Frame],
    mark: char,
    empty: &str,
    indent: &mut String,
) -> fmt::Result {
    if list.is_empty() {
        return f.write_str(empty);
    }
    let width = list.len().to_string().len();
    for (index, frame) in list.iter().enumerate() {
        item(f, index, width, mark, indent)?;
        nested(f, frame, width, indent)?;
    }
    Ok(())
}

fn print_pairs(
    f: &mut fmt::Formatter<'_>,
    pairs: &[(Frame, Frame)],
    empty: &str,
    indent: &mut String,
) -> fmt::Result {
    if pairs.is_empty() {
        return f.write_str(empty);
    }
    let width = pairs.len().to_string().len();
    for (index, (key, value)) in pairs.iter().enumerate() {
        item(f, index, width, '#', indent)?;
        nested(f, key, width, indent)?;
        f.write_str(" => ")?;
        if value.forks() {
            write!(f, "\n{indent}{:1$}", "", width + 2)?;
        }
        nested(f, value, width, indent)?;
    }
    Ok(())
}

fn item(f: &mut fmt::Formatter<'_>, index: usize, width: usize, mark: char, indent: &str) -> fmt::Result {
    if index > 0 {
        write!(f, "\n{indent}")?;
    }
    write!(f, "{:width$}{mark} ", index + 1)
}

fn nested(f: &mut fmt::Formatter<'_>, frame: &Frame, width: usize, indent: &mut String) -> fmt::Result {
    let outer = indent.len();
    indent.extend(std::iter::repeat_n(' ', width + 2));
    let result = frame.print(f, indent);
    indent.truncate(outer);
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn prints(bytes: &str, expected: &str) {
        let (frame, used) = Frame::decode(bytes.as_bytes()).unwrap().unwrap();
        assert_eq!(used, bytes.len());
        assert_eq!(frame.to_string(), expected);
        assert_eq!(frame.to_bytes(), bytes.as_bytes());
    }

    /// Recorded from `redis-cli -3 --no-raw` of Redis 8.0.6.
    #[test]
    fn prints_as_redis_cli() {
        prints("+OK\r\n", "OK");
        prints("-ERR no\r\n", "(error) ERR no");
        prints(":-3\r\n", "(integer) -3");
        prints("$3\r\na\"\n\r\n", r#""a\"\n""#);
        for null in ["$-1\r\n", "*-1\r\n", "_\r\n"] {
            prints(null, "(nil)");
        }
        prints(",3.141\r\n", "(double) 3.141");
        prints(",inf\r\n", "(double) inf");
        prints("#t\r\n", "(true)");
        prints("=8\r\ntxt:a\nb \r\n", "a\nb ");
        prints("(123456789012345678901234567890\r\n", "123456789012345678901234567890");
        prints("*0\r\n", "(empty array)");
        prints("%0\r\n", "(empty hash)");
        prints("~0\r\n", "(empty set)");
        prints(
            "*2\r\n*2\r\n:1\r\n*2\r\n:2\r\n:3\r\n~1\r\n$1\r\na\r\n",
            concat!("1) 1) (integer) 1\n", "   2) 1) (integer) 2\n", "      2) (integer) 3\n", "2) 1~ \"a\"",),
        );
        let ten: String = (1..=10).map(|n| format!(":{n}\r\n")).collect();
        let lines: Vec<String> = (1..=10).map(|n| format!("{n:2}) (integer) {n}")).collect();
        prints(&format!("*10\r\n{ten}"), &lines.join("\n"));
    }

    /// Recorded from `redis-cli -3 --no-raw` of Redis 8.0.6: a value with several items begins on its own line.
    #[test]
    fn prints_maps_as_redis_cli() {
        prints(
            "%2\r\n+k\r\n*1\r\n*1\r\n:1\r\n+z\r\n*1\r\n*2\r\n:1\r\n:2\r\n",
            concat!(
                "1# k => 1) 1) (integer) 1\n",
                "2# z => \n",
                "   1) 1) (integer) 1\n",
                "      2) (integer) 2",
            ),
        );
        prints(
            "*1\r\n%2\r\n+k\r\n%1\r\n+a\r\n:1\r\n+z\r\n~2\r\n:1\r\n:2\r\n",
            concat!(
                "1) 1# k => 1# a => (integer) 1\n",
                "   2# z => \n",
                "      1~ (integer) 1\n",
                "      2~ (integer) 2",
            ),
        );
    }

    #[test]
    fn malformed_is_told_from_short() {
        for bad in [
            "x",
            ":+1\r\n",
            ":01\r\n",
            ":\r\n",
            "$-2\r\n",
            "$01\r\n",
            "$1\r\nabc",
            "*-2\r\n",
            "%-1\r\n",
            "#x\r\n",
            "_x\r\n",
            ",\r\n",
            ",1 \r\n",
            "(1.5\r\n",
            "(-\r\n",
            "=3\r\ntxt\r\n",
            "=4\r\ntxt;\r\n",
            "+a\rb\r\n",
            "+a\n",
            "*1\r\nx",
        ] {
            assert!(Frame::decode(bad.as_bytes()).is_err(), "{bad:?}");
        }
        for short in [
            "",
            "*",
            "*1000000000\r\n",
            "$5\r\nabcde",
            "$5\r\nabcde\r",
            "%1\r\n+a\r\n",
            "|1\r\n+a\r\n+b\r\n",
            "+a\r",
        ] {
            assert_eq!(Frame::decode(short.as_bytes()), Ok(None), "{short:?}");
        }
        assert!(Frame::decode("*1\r\n".repeat(MAX_DEPTH + 2).as_bytes()).is_err());
        assert_eq!(Frame::decode("*1\r\n".repeat(MAX_DEPTH).as_bytes()), Ok(None));
    }

    #[test]
    fn in_resp2() {
        let (frame, _) = Frame::decode(b"*3\r\n%1\r\n+a\r\n,1.5\r\n#t\r\n_\r\n").unwrap().unwrap();
        assert_eq!(
            frame.in_protocol(Protocol::Resp2).to_bytes(),
            b"*3\r\n*2\r\n+a\r\n$3\r\n1.5\r\n:1\r\n$-1\r\n"
        );
    }

    fn frame() -> impl Strategy<Value = Frame> {
        let line = || prop::collection::vec(any::<u8>().prop_filter("line", |b| !b"\r\n".contains(b)), 0..8);
        let leaf = prop_oneof![
            line().prop_map(Frame::Simple),
            line().prop_map(Frame::Error),
            any::<i64>().prop_map(Frame::Int),
            prop::collection::vec(any::<u8>(), 0..200).prop_map(Frame::Bulk),
            Just(Frame::Null),
            Just(Frame::NullArray),
            Just(Frame::Null3),
            any::<f64>().prop_map(Frame::double),
            any::<bool>().prop_map(Frame::Bool),
            (any::<[u8; 3]>().prop_filter("format", |b| b.iter().all(|b| !b"\r\n".contains(b))), line())
                .prop_map(|(format, text)| Frame::Verbatim(format, text)),
            any::<i128>().prop_map(|n| Frame::BigNumber(n.to_string().into_bytes())),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            let pairs = prop::collection::vec((inner.clone(), inner.clone()), 0..4);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Frame::Array),
                prop::collection::vec(inner.clone(), 0..5).prop_map(Frame::Set),
                prop::collection::vec(inner.clone(), 0..5).prop_map(Frame::Push),
                pairs.clone().prop_map(Frame::Map),
                (pairs, inner).prop_map(|(pairs, about)| Frame::Attribute(pairs, Box::new(about))),
            ]
        })
    }

    proptest! {
        #[test]
        fn encode_and_decode_are_inverse(frame in frame(), tail in prop::collection::vec(any::<u8>(), 0..5)) {
            let mut bytes = frame.to_bytes();
            let len = bytes.len();
            for end in 0..len {
                prop_assert_eq!(Frame::decode(&bytes[..end]), Ok(None));
            }
            bytes.extend_from_slice(&tail);
            prop_assert_eq!(Frame::decode(&bytes), Ok(Some((frame, len))));
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(
            bytes in prop::collection::vec(prop::sample::select(b"*$+-:%~_#,=(>|0123tf.e\r\n\n\ra".to_vec()), 0..40),
        ) {
            if let Ok(Some((frame, used))) = Frame::decode(&bytes) {
                prop_assert_eq!(frame.to_bytes(), &bytes[..used]);
                frame.to_string();
            }
        }
    }
}
