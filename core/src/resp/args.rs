//! The arguments of one command: [`Args`] borrows them from a receive buffer, [`Argv`] owns them.
//!
//! Both are a run of bytes and a list of [`Span`]s into it, so that a command decoded in place is handed to its
//! handler without copying, and an owned one costs two allocations however many arguments it has.
//!
//! Invariant: every span lies inside the bytes it is used with. [`Argv`] guarantees it; whoever builds [`Args`] by
//! hand must pair spans with the bytes they were decoded from (a mismatch panics, it never reads elsewhere).

use std::fmt;
use std::ops::Index;

use super::repr::Repr;

/// Where one argument lies in a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    pub start: u32,
    pub len: u32,
}

impl Span {
    #[inline]
    pub fn new(start: u32, len: u32) -> Span {
        Span { start, len }
    }

    /// The bytes of `bytes` this span names.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        let start = self.start as usize;
        &bytes[start..start + self.len as usize]
    }
}

/// Borrowed arguments, command name first.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8], spans: &'a [Span]) -> Args<'a> {
        Args { bytes, spans }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|span| span.of(self.bytes))
    }

    /// What [`Args::new`] was given.
    pub fn parts(&self) -> (&'a [u8], &'a [Span]) {
        (self.bytes, self.spans)
    }

    /// Argument `index` with the lifetime of the buffer, which indexing cannot give.
    #[inline]
    #[track_caller]
    pub fn at(&self, index: usize) -> &'a [u8] {
        self.spans[index].of(self.bytes)
    }

    /// The arguments from `index` on; none if there are fewer.
    #[inline]
    pub fn from(&self, index: usize) -> Args<'a> {
        Args { bytes: self.bytes, spans: self.spans.get(index..).unwrap_or(&[]) }
    }

    /// The arguments before `index`; all if there are fewer.
    #[inline]
    pub fn until(&self, index: usize) -> Args<'a> {
        Args { bytes: self.bytes, spans: self.spans.get(..index).unwrap_or(self.spans) }
    }

    /// The arguments at these indices, for whose places there is room in `spans`.
    pub fn select<'s>(&self, indices: impl IntoIterator<Item = usize>, spans: &'s mut Vec<Span>) -> Args<'s>
    where
        'a: 's,
    {
        spans.clear();
        spans.extend(indices.into_iter().map(|index| self.spans[index]));
        Args { bytes: self.bytes, spans }
    }

    #[inline]
    pub fn iter(&self) -> Iter<'a> {
        Iter { bytes: self.bytes, spans: self.spans.iter() }
    }

    /// The bytes the arguments take, without the lengths.
    pub fn byte_len(&self) -> usize {
        self.spans.iter().map(|span| span.len as usize).sum()
    }

    pub fn to_argv(&self) -> Argv {
        let mut argv = Argv::with_capacity(self.len(), self.byte_len());
        self.iter().for_each(|arg| argv.push(arg));
        argv
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    #[inline]
    #[track_caller]
    fn index(&self, index: usize) -> &[u8] {
        self.at(index)
    }
}

impl PartialEq for Args<'_> {
    fn eq(&self, other: &Args<'_>) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Args<'_> {}

impl<'a> IntoIterator for Args<'a> {
    type Item = &'a [u8];
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// As one would type the command into redis-cli; arguments that need quoting are quoted.
impl fmt::Debug for Args<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, arg) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
            match std::str::from_utf8(arg) {
                Ok(text) if !arg.is_empty() && arg.iter().all(plain) => f.write_str(text)?,
                _ => fmt::Display::fmt(&Repr(arg), f)?,
            }
        }
        Ok(())
    }
}

/// Iterator over arguments.
#[derive(Clone)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    spans: std::slice::Iter<'a, Span>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.spans.next().map(|span| span.of(self.bytes))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.spans.next_back().map(|span| span.of(self.bytes))
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// Owned arguments, command name first.
#[derive(Clone, Default)]
pub struct Argv {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl Argv {
    pub fn new() -> Argv {
        Argv::default()
    }

    pub fn with_capacity(args: usize, bytes: usize) -> Argv {
        Argv { bytes: Vec::with_capacity(bytes), spans: Vec::with_capacity(args) }
    }

    /// `Argv::of(["SET", "k", "v"])`; anything that is bytes will do.
    pub fn of<A: AsRef<[u8]>>(args: impl IntoIterator<Item = A>) -> Argv {
        let mut argv = Argv::new();
        args.into_iter().for_each(|arg| argv.push(arg.as_ref()));
        argv
    }

    /// # Panics
    /// If the arguments together exceed 4 GiB, which the decoder and the server's buffer limits exclude.
    pub fn push(&mut self, arg: &[u8]) {
        let start = u32::try_from(self.bytes.len()).expect("arguments below 4 GiB");
        let len = u32::try_from(arg.len()).expect("argument below 4 GiB");
        self.bytes.extend_from_slice(arg);
        self.spans.push(Span { start, len });
    }

    #[inline]
    pub fn as_args(&self) -> Args<'_> {
        Args { bytes: &self.bytes, spans: &self.spans }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    #[inline]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.as_args().get(index)
    }

    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        self.as_args().iter()
    }

    /// Forgets the arguments and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// Heap bytes held.
    pub fn memory(&self) -> usize {
        self.bytes.capacity() + self.spans.capacity() * size_of::<Span>()
    }

    /// Appends the command as a multibulk request, the form clients send and the AOF holds.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.as_args().encode(out);
    }
}

impl Args<'_> {
    /// Appends the command as a multibulk request, the form clients send and the AOF holds.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.byte_len() + 16 * (self.len() + 1));
        super::reply::header(out, b'*', self.len() as u64);
        for arg in self.iter() {
            super::reply::header(out, b'$', arg.len() as u64);
            out.extend_from_slice(arg);
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl From<Args<'_>> for Argv {
    fn from(args: Args<'_>) -> Argv {
        args.to_argv()
    }
}

impl<A: AsRef<[u8]>> FromIterator<A> for Argv {
    fn from_iter<I: IntoIterator<Item = A>>(args: I) -> Argv {
        Argv::of(args)
    }
}

impl Index<usize> for Argv {
    type Output = [u8];

    #[inline]
    #[track_caller]
    fn index(&self, index: usize) -> &[u8] {
        self.spans[index].of(&self.bytes)
    }
}

impl PartialEq for Argv {
    fn eq(&self, other: &Argv) -> bool {
        self.as_args() == other.as_args()
    }
}

impl Eq for Argv {}

impl fmt::Debug for Argv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_args(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argv_and_args_agree() {
        let argv = Argv::of(["SET", "key", "a value"]);
        let args = argv.as_args();
        assert_eq!((args.len(), args.at(1), &args[2]), (3, &b"key"[..], &b"a value"[..]));
        assert_eq!((args.get(2), args.get(3)), (Some(&b"a value"[..]), None));
        assert_eq!(args.from(1), Argv::of(["key", "a value"]).as_args());
        assert!(args.from(4).is_empty() && !args.from(2).is_empty());
        assert_eq!(args.until(1), Argv::of(["SET"]).as_args());
        assert_eq!(args.iter().next_back(), Some(&b"a value"[..]));
        assert_eq!(args.iter().len(), 3);
        assert_eq!(Argv::from(args), argv);
    }

    #[test]
    fn debug_is_what_one_would_type() {
        assert_eq!(
            format!("{:?}", Argv::of([&b"SET"[..], b"", b"it's", b"\x00\n"])),
            r#"SET "" "it's" "\x00\n""#
        );
    }

    #[test]
    fn encodes_multibulk() {
        let mut out = Vec::new();
        Argv::of(["GET", "k"]).encode(&mut out);
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    }
}
