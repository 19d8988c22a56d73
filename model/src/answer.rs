//! What a reply must look like, and the comparison with what came.

use std::fmt;
use std::rc::Rc;

use kevy::resp::{Frame, Protocol};

use crate::{Bytes, Divergence, number};

/// A set of allowed replies, the same for RESP2 and RESP3: [`judge`] knows how each protocol shows it.
#[derive(Clone)]
pub enum Want {
    /// `+text`
    Status(&'static str),
    Int(i64),
    /// A number that depends on a clock, or on what is left open: bounds, both included.
    IntBetween(i64, i64),
    Bulk(Bytes),
    /// The null of a missing value: `$-1` or `_`.
    Nil,
    /// The null of a missing array: `*-1` or `_`.
    NilArray,
    Array(Vec<Want>),
    /// An array whose order means nothing.
    AnyOrder(Vec<Want>),
    /// A map; flat in RESP2. Order means nothing.
    Map(Vec<(Want, Want)>),
    /// A set; an array in RESP2. Order means nothing.
    Set(Vec<Want>),
    /// A double; a bulk string in RESP2.
    Double(f64),
    /// A boolean; 0 or 1 in RESP2.
    Bool(bool),
    /// A push; an array in RESP2.
    Push(Vec<Want>),
    /// An error: its whole text, code included.
    Error(String),
    /// An error that starts so.
    ErrorStarting(&'static str),
    OneOf(Vec<Want>),
    /// A condition on the frame, with words for it.
    Such(&'static str, Rc<dyn Fn(&Frame) -> bool>),
    /// Whatever follows was encoded for this protocol, not the session's: HELLO inside EXEC.
    In(Protocol, Box<Want>),
    /// Several frames one after the other, as SUBSCRIBE answers; or none.
    Frames(Vec<Want>),
    /// No reply now: the client waits.
    Blocks,
    /// Nothing is said about this reply.
    Unspecified,
}

impl Want {
    pub fn ok() -> Want {
        Want::Status("OK")
    }

    pub fn bulk(bytes: impl AsRef<[u8]>) -> Want {
        Want::Bulk(bytes.as_ref().to_vec())
    }

    pub fn count(n: usize) -> Want {
        Want::Int(n as i64)
    }

    /// 1 or 0.
    pub fn flag(yes: bool) -> Want {
        Want::Int(yes as i64)
    }

    /// The bytes, or the null of a missing value.
    pub fn bulk_or_nil(bytes: Option<Bytes>) -> Want {
        bytes.map_or(Want::Nil, Want::Bulk)
    }

    pub fn bulks(items: impl IntoIterator<Item = Bytes>) -> Want {
        Want::Array(items.into_iter().map(Want::Bulk).collect())
    }

    pub fn such(words: &'static str, condition: impl Fn(&Frame) -> bool + 'static) -> Want {
        Want::Such(words, Rc::new(condition))
    }

    /// The lines that HELP answers; their text is nobody's contract.
    pub fn help() -> Want {
        let is_line = |frame: &Frame| matches!(frame, Frame::Simple(_));
        Want::such(
            "lines of help",
            move |frame| matches!(frame, Frame::Array(lines) if !lines.is_empty() && lines.iter().all(is_line)),
        )
    }

    /// The frames it stands for on the wire.
    pub fn into_frames(self) -> Vec<Want> {
        match self {
            Want::Frames(frames) => frames,
            Want::Blocks => Vec::new(),
            one => vec![one],
        }
    }

    /// The pushes in it.
    pub(crate) fn into_pushes(self) -> Vec<Want> {
        match self {
            Want::Push(_) => vec![self],
            Want::In(protocol, want) => {
                want.into_pushes().into_iter().map(|push| Want::In(protocol, Box::new(push))).collect()
            }
            Want::Array(wants) => wants.into_iter().flat_map(Want::into_pushes).collect(),
            _ => vec![],
        }
    }

    /// Whether it allows `frame` on a connection that speaks `protocol`.
    pub fn allows(&self, frame: &Frame, protocol: Protocol) -> bool {
        let resp3 = protocol == Protocol::Resp3;
        match self {
            Want::Status(text) => *frame == Frame::simple(text),
            Want::Int(n) => *frame == Frame::Int(*n),
            Want::IntBetween(low, high) => frame.as_int().is_some_and(|n| (*low..=*high).contains(&n)),
            Want::Bulk(bytes) => matches!(frame, Frame::Bulk(b) if b == bytes),
            Want::Nil => *frame == if resp3 { Frame::Null3 } else { Frame::Null },
            Want::NilArray => *frame == if resp3 { Frame::Null3 } else { Frame::NullArray },
            Want::Array(wants) => {
                matches!(frame, Frame::Array(frames) if in_order(wants, frames, protocol))
            }
            Want::AnyOrder(wants) => {
                matches!(frame, Frame::Array(frames) if in_any_order(wants, frames, protocol))
            }
            Want::Set(wants) => match frame {
                Frame::Set(frames) if resp3 => in_any_order(wants, frames, protocol),
                Frame::Array(frames) if !resp3 => in_any_order(wants, frames, protocol),
                _ => false,
            },
            Want::Map(wants) => match frame {
                Frame::Map(pairs) if resp3 => pairs_in_any_order(wants, pairs, protocol),
                Frame::Array(flat) if !resp3 && flat.len() % 2 == 0 => {
                    let pairs: Vec<_> = flat.chunks(2).map(|p| (p[0].clone(), p[1].clone())).collect();
                    pairs_in_any_order(wants, &pairs, protocol)
                }
                _ => false,
            },
            Want::Double(value) => match frame {
                Frame::Double(double) if resp3 => number::is_double_text(double.text(), *value),
                Frame::Bulk(text) if !resp3 => number::is_double_text(text, *value),
                _ => false,
            },
            Want::Bool(value) => {
                *frame == if resp3 { Frame::Bool(*value) } else { Frame::Int(*value as i64) }
            }
            Want::Push(wants) => match frame {
                Frame::Push(frames) if resp3 => in_order(wants, frames, protocol),
                Frame::Array(frames) if !resp3 => in_order(wants, frames, protocol),
                _ => false,
            },
            Want::Error(text) => matches!(frame, Frame::Error(got) if *got == on_one_line(text)),
            Want::ErrorStarting(start) => {
                matches!(frame, Frame::Error(got) if got.starts_with(start.as_bytes()))
            }
            Want::OneOf(wants) => wants.iter().any(|want| want.allows(frame, protocol)),
            Want::Such(_, condition) => condition(frame),
            Want::In(protocol, want) => want.allows(frame, *protocol),
            Want::Frames(_) | Want::Blocks => false,
            Want::Unspecified => true,
        }
    }
}

/// Errors are one line: what users put into them cannot end it, and outer line ends are dropped. Texts of errors hold
/// bytes as Latin-1 characters, because what a user put in need not be UTF-8.
fn on_one_line(text: &str) -> Bytes {
    let trimmed = text.trim_matches(['\r', '\n']);
    trimmed.chars().map(|c| if c == '\r' || c == '\n' { b' ' } else { c as u8 }).collect()
}

fn in_order(wants: &[Want], frames: &[Frame], protocol: Protocol) -> bool {
    wants.len() == frames.len() && wants.iter().zip(frames).all(|(w, f)| w.allows(f, protocol))
}

fn in_any_order(wants: &[Want], frames: &[Frame], protocol: Protocol) -> bool {
    let mut left: Vec<&Frame> = frames.iter().collect();
    wants.len() == frames.len()
        && wants.iter().all(|want| match left.iter().position(|frame| want.allows(frame, protocol)) {
            Some(place) => {
                left.swap_remove(place);
                true
            }
            None => false,
        })
}

fn pairs_in_any_order(wants: &[(Want, Want)], pairs: &[(Frame, Frame)], protocol: Protocol) -> bool {
    let mut left: Vec<&(Frame, Frame)> = pairs.iter().collect();
    wants.len() == pairs.len()
        && wants.iter().all(|(key, value)| {
            let place = left.iter().position(|(k, v)| key.allows(k, protocol) && value.allows(v, protocol));
            place.map(|place| left.swap_remove(place)).is_some()
        })
}

/// Compares a frame with what is wanted on a connection that speaks `protocol`. Says at length what differs:
/// [`Want::allows`] only answers whether.
pub fn judge(want: &Want, frame: &Frame, protocol: Protocol) -> Result<(), Divergence> {
    if want.allows(frame, protocol) {
        return Ok(());
    }
    // Of two long arrays, only the elements that differ.
    if let (Want::Array(wants), Frame::Array(frames)) = (want, frame)
        && wants.len() == frames.len()
    {
        let pairs = wants.iter().zip(frames).enumerate();
        let differing = pairs.filter_map(|(place, (want, frame))| {
            judge(want, frame, protocol)
                .err()
                .map(|Divergence { wanted, got }| (format!("[{place}] {wanted}"), format!("[{place}] {got}")))
        });
        let (wanted, got): (Vec<_>, Vec<_>) = differing.unzip();
        return Err(Divergence { wanted: wanted.join(" "), got: got.join(" ") });
    }
    Err(Divergence { wanted: format!("{want:?}"), got: format!("{}", frame.to_bytes().escape_ascii()) })
}

impl fmt::Debug for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Want::Status(text) => write!(f, "+{text}"),
            Want::Int(n) => write!(f, ":{n}"),
            Want::IntBetween(low, high) => write!(f, ":{low}..={high}"),
            Want::Bulk(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Want::Nil => f.write_str("nil"),
            Want::NilArray => f.write_str("nil array"),
            Want::Array(wants) => f.debug_list().entries(wants).finish(),
            Want::AnyOrder(wants) => write!(f, "in any order {wants:?}"),
            Want::Map(pairs) => {
                f.write_str("map ")?;
                f.debug_map().entries(pairs.iter().map(|(key, value)| (key, value))).finish()
            }
            Want::Set(wants) => write!(f, "set {wants:?}"),
            Want::Double(value) => write!(f, ",{value}"),
            Want::Bool(value) => write!(f, "#{value}"),
            Want::Push(wants) => write!(f, "push {wants:?}"),
            Want::Error(text) => write!(f, "-{}", on_one_line(text).escape_ascii()),
            Want::ErrorStarting(start) => write!(f, "-{start}…"),
            Want::OneOf(wants) => write!(f, "one of {wants:?}"),
            Want::Such(words, _) => write!(f, "<{words}>"),
            Want::In(protocol, want) => write!(f, "{protocol:?} {want:?}"),
            Want::Frames(wants) => write!(f, "frames {wants:?}"),
            Want::Blocks => f.write_str("waits"),
            Want::Unspecified => f.write_str("anything"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_differ_by_protocol() {
        let map = Want::Map(vec![
            (Want::bulk("a"), Want::Double(1.5)),
            (Want::bulk("b"), Want::OneOf(vec![Want::Nil, Want::Bool(true)])),
        ]);
        let resp3 = b"%2\r\n$1\r\nb\r\n#t\r\n$1\r\na\r\n,1.5\r\n";
        let resp2 = b"*4\r\n$1\r\nb\r\n:1\r\n$1\r\na\r\n$3\r\n1.5\r\n";
        for (bytes, own, other) in
            [(&resp3[..], Protocol::Resp3, Protocol::Resp2), (&resp2[..], Protocol::Resp2, Protocol::Resp3)]
        {
            let (frame, _) = Frame::decode(bytes).unwrap().unwrap();
            assert!(judge(&map, &frame, own).is_ok());
            assert!(judge(&map, &frame, other).is_err());
        }
    }

    #[test]
    fn a_multiset_counts() {
        let frame = |items: &[&str]| Frame::Array(items.iter().map(Frame::bulk).collect());
        let want = Want::AnyOrder(vec![Want::bulk("a"), Want::bulk("a"), Want::bulk("b")]);
        assert!(judge(&want, &frame(&["b", "a", "a"]), Protocol::Resp2).is_ok());
        assert!(judge(&want, &frame(&["b", "a", "b"]), Protocol::Resp2).is_err());
        assert!(judge(&want, &frame(&["b", "a"]), Protocol::Resp2).is_err());
    }

    #[test]
    fn errors_are_one_line() {
        let want = Want::Error("ERR a\r\nb\r\n".into());
        assert!(judge(&want, &Frame::error("ERR a  b"), Protocol::Resp2).is_ok());
    }
}
