//! Listpack: a sequence of strings and integers in one run of bytes.
//!
//! The bytes are exactly Redis's listpack format, because they are observable: `list-max-listpack-size` counts
//! them, and RDB files and DUMP payloads carry them. All numbers are little endian.
//!
//! ```text
//! +-------------+-----------+---------+-----+---------+------+
//! | total bytes | entries   | entry   | ... | entry   | 0xFF |
//! | u32         | u16 (*)   |         |     |         | end  |
//! +-------------+-----------+---------+-----+---------+------+
//!   (*) 65535: the number is not known and must be counted
//!
//! entry:  | encoding and data | backlen |
//!
//!   0xxxxxxx                       integer 0..=127
//!   10llllll data                  string, length below 64
//!   110xxxxx xxxxxxxx              integer, 13 bits, two's complement, high bits first
//!   1110llll llllllll data         string, length below 4096, high bits first
//!   11110000 l l l l  data         string, length u32
//!   11110001 x x                   integer, 16 bits
//!   11110010 x x x                 integer, 24 bits
//!   11110011 x x x x               integer, 32 bits
//!   11110100 x x x x x x x x       integer, 64 bits
//! ```
//!
//! `backlen` is the length of the rest of its entry, readable from its last byte backwards: groups of seven bits,
//! the low group last, and a set top bit says that another group stands to the left.
//!
//! A string that is the canonical decimal form of an `i64` is stored as an integer.
//!
//! In memory the run lies somewhere inside its allocation, with room before and after it, so that pushing and
//! popping is amortised O(1) at both ends. Everything in the middle moves the shorter side.
//!
//! ```text
//! buf:  ··room·· | header | entry ... entry | 0xFF | ··room··
//!                ^ head                            ^ tail
//! ```

use std::fmt;

/// Bytes before the first entry.
const HEADER: usize = 6;
/// The byte after the last entry.
const END: u8 = 0xFF;
/// What the header says when there are too many entries to say how many.
const COUNT_UNKNOWN: u16 = u16::MAX;
/// Collections give up packing before a listpack grows past this; see [`Listpack::safe_to_add`].
const SAFETY_LIMIT: usize = 1 << 30;

const STR_32: u8 = 0xF0;
const INT_16: u8 = 0xF1;
const INT_24: u8 = 0xF2;
const INT_32: u8 = 0xF3;
const INT_64: u8 = 0xF4;

/// An element as it is stored: a number, or a string that is not the canonical form of one.
///
/// Foreign files may store the string `"12"` as a string, so equality compares the text, not the variant.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

impl<'a> Item<'a> {
    /// The item for a client's string: an integer if the string is the canonical form of one.
    pub fn new(value: &'a [u8]) -> Item<'a> {
        match parse_int(value) {
            Some(int) => Item::Int(int),
            None => Item::Bytes(value),
        }
    }

    /// The integer, also when a string happens to spell one.
    pub fn as_int(&self) -> Option<i64> {
        match *self {
            Item::Int(int) => Some(int),
            Item::Bytes(bytes) => parse_int(bytes),
        }
    }

    /// The text; `digits` is where an integer is printed.
    pub fn as_bytes<'b>(&'b self, digits: &'b mut itoa::Buffer) -> &'b [u8] {
        match self {
            Item::Int(int) => digits.format(*int).as_bytes(),
            Item::Bytes(bytes) => bytes,
        }
    }

    /// Appends the text to `out`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Item::Int(int) => out.extend_from_slice(itoa::Buffer::new().format(*int).as_bytes()),
            Item::Bytes(bytes) => out.extend_from_slice(bytes),
        }
    }

    pub fn to_vec(&self) -> Vec<u8> {
        match self {
            Item::Int(int) => itoa::Buffer::new().format(*int).as_bytes().to_vec(),
            Item::Bytes(bytes) => bytes.to_vec(),
        }
    }

    /// Length of the text.
    pub fn len(&self) -> usize {
        match self {
            Item::Int(int) => decimal_len(*int),
            Item::Bytes(bytes) => bytes.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Item::Bytes([]))
    }
}

impl PartialEq for Item<'_> {
    fn eq(&self, other: &Item<'_>) -> bool {
        match (self, other) {
            (Item::Int(a), Item::Int(b)) => a == b,
            (Item::Bytes(a), Item::Bytes(b)) => a == b,
            (Item::Int(int), Item::Bytes(bytes)) | (Item::Bytes(bytes), Item::Int(int)) => {
                parse_int(bytes) == Some(*int)
            }
        }
    }
}

impl Eq for Item<'_> {}

impl PartialEq<[u8]> for Item<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        match self {
            Item::Int(int) => parse_int(other) == Some(*int),
            Item::Bytes(bytes) => *bytes == other,
        }
    }
}

impl<'a> From<&'a [u8]> for Item<'a> {
    fn from(value: &'a [u8]) -> Item<'a> {
        Item::new(value)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Item<'a> {
    fn from(value: &'a [u8; N]) -> Item<'a> {
        Item::new(value)
    }
}

impl<'a> From<&'a Vec<u8>> for Item<'a> {
    fn from(value: &'a Vec<u8>) -> Item<'a> {
        Item::new(value)
    }
}

impl From<i64> for Item<'_> {
    fn from(int: i64) -> Self {
        Item::Int(int)
    }
}

/// The place of an entry. Valid until the listpack changes; methods that change it return the cursor to go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(usize);

/// A listpack with room to grow at both ends.
///
/// Invariants: `buf[head..tail]` is a valid listpack at any time between two calls; `tail` fits `u32` because a
/// collection asks [`Listpack::safe_to_add`] before it grows one.
pub struct Listpack {
    buf: Box<[u8]>,
    head: u32,
    tail: u32,
}

impl Listpack {
    pub fn new() -> Listpack {
        Listpack::with_capacity(HEADER + 1)
    }

    /// An empty listpack that can grow to `bytes`, header and end included, without allocating again. The room lies
    /// where [`Listpack::push_back`] needs it.
    pub fn with_capacity(bytes: usize) -> Listpack {
        Listpack::empty(bytes, Side::Back)
    }

    /// The same with the room where [`Listpack::push_front`] needs it.
    pub fn with_room_before(bytes: usize) -> Listpack {
        Listpack::empty(bytes, Side::Front)
    }

    fn empty(capacity: usize, room: Side) -> Listpack {
        let capacity = capacity.max(HEADER + 1);
        let mut buf = vec![0; capacity].into_boxed_slice();
        let head = match room {
            Side::Front => capacity - (HEADER + 1),
            Side::Back => 0,
        };
        buf[head..=head + HEADER].copy_from_slice(&[HEADER as u8 + 1, 0, 0, 0, 0, 0, END]);
        let head = u32::try_from(head).expect("capacities stay below the limit of the format");
        Listpack { buf, head, tail: head + HEADER as u32 + 1 }
    }

    /// Takes over the serialised form after checking all of it; `None` if it is not a listpack.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Listpack> {
        validate(&bytes)?;
        let tail = u32::try_from(bytes.len()).ok()?;
        Some(Listpack { buf: bytes.into_boxed_slice(), head: 0, tail })
    }

    /// The serialised form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.buf[self.head as usize..self.tail as usize]
    }

    /// Length of the serialised form: what byte limits count.
    pub fn byte_len(&self) -> usize {
        (self.tail - self.head) as usize
    }

    /// Number of entries: O(1) up to 65534, O(n) from there on.
    pub fn len(&self) -> usize {
        let head = self.head as usize;
        match u16::from_le_bytes([self.buf[head + 4], self.buf[head + 5]]) {
            COUNT_UNKNOWN => self.iter().count(),
            count => usize::from(count),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.byte_len() == HEADER + 1
    }

    /// Allocated bytes, without the struct itself.
    pub fn memory(&self) -> usize {
        self.buf.len()
    }

    /// Whether `additional` bytes of elements fit without coming near the limits of the format.
    pub fn safe_to_add(&self, additional: usize) -> bool {
        self.byte_len().saturating_add(additional) <= SAFETY_LIMIT
    }

    /// Gives back the room around the run.
    pub fn shrink_to_fit(&mut self) {
        if self.buf.len() != self.byte_len() {
            *self = self.clone();
        }
    }

    pub fn clear(&mut self) {
        *self = Listpack::new();
    }

    // Reading.

    pub fn first(&self) -> Option<Cursor> {
        self.entry_at(HEADER)
    }

    pub fn last(&self) -> Option<Cursor> {
        self.prev(Cursor(self.byte_len() - 1))
    }

    pub fn next(&self, cursor: Cursor) -> Option<Cursor> {
        self.entry_at(cursor.0 + entry_len(self.as_bytes(), cursor.0))
    }

    pub fn prev(&self, cursor: Cursor) -> Option<Cursor> {
        if cursor.0 == HEADER {
            return None;
        }
        Some(Cursor(cursor.0 - entry_len_before(self.as_bytes(), cursor.0)))
    }

    /// The entry with this index, walking from the nearer end.
    pub fn seek(&self, index: usize) -> Option<Cursor> {
        let len = self.len();
        if index >= len {
            return None;
        }
        let bytes = self.as_bytes();
        if index <= len / 2 {
            let mut at = HEADER;
            for _ in 0..index {
                at += entry_len(bytes, at);
            }
            Some(Cursor(at))
        } else {
            let mut at = bytes.len() - 1;
            for _ in index..len {
                at -= entry_len_before(bytes, at);
            }
            Some(Cursor(at))
        }
    }

    pub fn get(&self, cursor: Cursor) -> Item<'_> {
        decode(self.as_bytes(), cursor.0).0
    }

    pub fn iter(&self) -> Iter<'_> {
        let bytes = self.as_bytes();
        Iter { bytes, front: HEADER, back: bytes.len() - 1 }
    }

    /// All entries from `cursor` to the end.
    pub fn iter_from(&self, cursor: Cursor) -> Iter<'_> {
        let bytes = self.as_bytes();
        Iter { bytes, front: cursor.0, back: bytes.len() - 1 }
    }

    /// All entries from the first to `cursor`, which is included.
    pub fn iter_to(&self, cursor: Cursor) -> Iter<'_> {
        let bytes = self.as_bytes();
        Iter { bytes, front: HEADER, back: cursor.0 + entry_len(bytes, cursor.0) }
    }

    /// The first entry equal to `value`, looking at `from`, then at every entry after skipping `skip` of them:
    /// with `skip` 1 only the fields of field-value pairs are compared.
    pub fn find(&self, from: Cursor, value: &[u8], skip: usize) -> Option<Cursor> {
        let wanted = Item::new(value);
        let bytes = self.as_bytes();
        let mut at = from.0;
        while bytes[at] != END {
            // Most entries are short strings, and most differ in their length or their last byte.
            if let short @ 0x80..=0xBF = bytes[at] {
                let text = &bytes[at + 1..at + 1 + usize::from(short & 0x3F)];
                if text.len() == value.len() && text.last() == value.last() && text == value {
                    return Some(Cursor(at));
                }
                at += text.len() + 2;
                for _ in 0..skip {
                    if bytes[at] == END {
                        return None;
                    }
                    at += entry_len(bytes, at);
                }
                continue;
            }
            let (item, len) = decode(bytes, at);
            // Strings that spell integers are stored as strings only in foreign files.
            let equal = match (wanted, item) {
                (Item::Int(a), Item::Int(b)) => a == b,
                (_, Item::Bytes(stored)) => stored == value,
                (Item::Bytes(_), Item::Int(_)) => false,
            };
            if equal {
                return Some(Cursor(at));
            }
            at += len + backlen_len(len);
            for _ in 0..skip {
                if bytes[at] == END {
                    return None;
                }
                at += entry_len(bytes, at);
            }
        }
        None
    }

    fn entry_at(&self, at: usize) -> Option<Cursor> {
        (self.as_bytes()[at] != END).then_some(Cursor(at))
    }

    // Writing.

    pub fn push_back<'v>(&mut self, value: impl Into<Item<'v>>) {
        self.insert_at(self.byte_len() - 1, value.into());
    }

    pub fn push_front<'v>(&mut self, value: impl Into<Item<'v>>) {
        self.insert_at(HEADER, value.into());
    }

    /// Inserts before the entry at `cursor` and returns the new entry's place.
    pub fn insert_before<'v>(&mut self, cursor: Cursor, value: impl Into<Item<'v>>) -> Cursor {
        self.insert_at(cursor.0, value.into());
        cursor
    }

    /// Inserts after the entry at `cursor` and returns the new entry's place.
    pub fn insert_after<'v>(&mut self, cursor: Cursor, value: impl Into<Item<'v>>) -> Cursor {
        let at = cursor.0 + entry_len(self.as_bytes(), cursor.0);
        self.insert_at(at, value.into());
        Cursor(at)
    }

    /// Replaces the entry in place; `cursor` stays valid.
    pub fn replace<'v>(&mut self, cursor: Cursor, value: impl Into<Item<'v>>) {
        let entry = Encoded::new(value.into());
        let (old, new) = (entry_len(self.as_bytes(), cursor.0), entry.len());
        if new > old {
            self.open_gap(cursor.0, new - old);
        } else if new < old {
            self.close_gap(cursor.0, old - new);
        }
        entry.write_to(&mut self.buf[self.head as usize + cursor.0..][..new]);
        self.write_total();
    }

    /// Deletes the entry and returns the place of the one after it.
    pub fn delete(&mut self, cursor: Cursor) -> Option<Cursor> {
        let len = entry_len(self.as_bytes(), cursor.0);
        self.delete_bytes(cursor.0, len, 1);
        self.entry_at(cursor.0)
    }

    /// Deletes up to `count` entries from `cursor` on and returns the place of the one after them.
    pub fn delete_many(&mut self, cursor: Cursor, count: usize) -> Option<Cursor> {
        let bytes = self.as_bytes();
        let (mut end, mut deleted) = (cursor.0, 0);
        while deleted < count && bytes[end] != END {
            end += entry_len(bytes, end);
            deleted += 1;
        }
        self.delete_bytes(cursor.0, end - cursor.0, deleted);
        self.entry_at(cursor.0)
    }

    /// Deletes up to `count` entries from the one with this index on; an index past the end deletes nothing.
    pub fn delete_range(&mut self, index: usize, count: usize) {
        if let (Some(cursor), true) = (self.seek(index), count > 0) {
            let len = self.len();
            if index + count >= len {
                let bytes = self.byte_len() - 1 - cursor.0;
                self.delete_bytes(cursor.0, bytes, len - index);
            } else {
                self.delete_many(cursor, count);
            }
        }
    }

    /// Moves the entries from `index` on into a listpack of their own.
    pub fn split_off(&mut self, index: usize) -> Listpack {
        let len = self.len();
        let Some(cursor) = self.seek(index) else { return Listpack::new() };
        let moved = &self.as_bytes()[cursor.0..self.byte_len() - 1];
        let moved_len = moved.len();
        let mut other = Listpack::with_capacity(HEADER + moved_len + 1);
        other.buf[HEADER..HEADER + moved_len].copy_from_slice(moved);
        other.buf[HEADER + moved_len] = END;
        other.tail += moved_len as u32;
        other.write_header(len - index);
        self.delete_bytes(cursor.0, moved_len, len - index);
        other
    }

    /// Appends all entries of `other`.
    pub fn append(&mut self, other: &Listpack) {
        let len = self.len() + other.len();
        let entries = &other.as_bytes()[HEADER..other.byte_len() - 1];
        let at = self.byte_len() - 1;
        self.open_gap(at, entries.len());
        self.buf[self.head as usize + at..][..entries.len()].copy_from_slice(entries);
        self.write_header(len);
    }

    fn insert_at(&mut self, at: usize, item: Item<'_>) {
        let entry = Encoded::new(item);
        let len = entry.len();
        self.open_gap(at, len);
        entry.write_to(&mut self.buf[self.head as usize + at..][..len]);
        self.write_total();
        self.write_count(self.counted().map(|count| count + 1));
    }

    fn delete_bytes(&mut self, at: usize, len: usize, entries: usize) {
        if len == 0 {
            return;
        }
        let count = self.counted().map(|count| count - entries);
        self.close_gap(at, len);
        if self.byte_len() < self.buf.len() / 2 && self.buf.len() > SHRINK_FROM {
            self.reallocate(self.byte_len(), 0, 0, Side::Back);
        }
        self.write_total();
        self.write_count(count);
    }

    /// The number of entries if the header knows it.
    fn counted(&self) -> Option<usize> {
        let head = self.head as usize;
        match u16::from_le_bytes([self.buf[head + 4], self.buf[head + 5]]) {
            COUNT_UNKNOWN => None,
            count => Some(usize::from(count)),
        }
    }

    fn write_header(&mut self, count: usize) {
        self.write_total();
        self.write_count(Some(count));
    }

    fn write_total(&mut self) {
        let (head, total) = (self.head as usize, self.tail - self.head);
        self.buf[head..head + 4].copy_from_slice(&total.to_le_bytes());
    }

    fn write_count(&mut self, count: Option<usize>) {
        let head = self.head as usize;
        let count = count.and_then(|count| u16::try_from(count).ok()).unwrap_or(COUNT_UNKNOWN);
        self.buf[head + 4..head + 6].copy_from_slice(&count.to_le_bytes());
    }

    /// Makes room for `len` bytes at `at` by moving the shorter side outwards if there is room on that side. The
    /// gap's bytes are whatever was there.
    fn open_gap(&mut self, at: usize, len: usize) {
        let used = self.byte_len();
        let front = if self.is_empty() { self.head > 0 } else { at < used - at };
        let side = if front { Side::Front } else { Side::Back };
        if self.room(side) < len {
            let free = self.buf.len() - used;
            // Sliding the run inside its allocation costs `used` bytes of moving; it pays when what it gains lasts.
            if free >= len + used / GROWTH {
                self.slide(side, len);
            } else {
                return self.reallocate(at, len, (used + len) / GROWTH, side);
            }
        }
        let (head, tail) = (self.head as usize, self.tail as usize);
        match side {
            Side::Front => {
                self.buf.copy_within(head..head + at, head - len);
                self.head -= len as u32;
            }
            Side::Back => {
                self.buf.copy_within(head + at..tail, head + at + len);
                self.tail += len as u32;
            }
        }
    }

    /// Removes `len` bytes at `at` by moving the shorter side inwards.
    fn close_gap(&mut self, at: usize, len: usize) {
        let (head, tail) = (self.head as usize, self.tail as usize);
        if at < self.byte_len() - at - len {
            self.buf.copy_within(head..head + at, head + len);
            self.head += len as u32;
        } else {
            self.buf.copy_within(head + at + len..tail, head + at);
            self.tail -= len as u32;
        }
    }

    fn room(&self, side: Side) -> usize {
        match side {
            Side::Front => self.head as usize,
            Side::Back => self.buf.len() - self.tail as usize,
        }
    }

    /// Moves the run so that `side` has `len` free bytes and most of the others. A part stays on the other side:
    /// pushing at both ends in turn must not slide every time.
    fn slide(&mut self, side: Side, len: usize) {
        let (used, free) = (self.byte_len(), self.buf.len() - self.byte_len());
        let other = (free - len) / 4;
        let head = match side {
            Side::Front => free - other,
            Side::Back => other,
        };
        self.buf.copy_within(self.head as usize..self.tail as usize, head);
        self.head = head as u32;
        self.tail = (head + used) as u32;
    }

    /// Moves to an allocation of its own size plus `spare` bytes on `side`, opening a gap of `len` bytes at `at`.
    fn reallocate(&mut self, at: usize, len: usize, spare: usize, side: Side) {
        let used = self.byte_len();
        let capacity = (used + len + spare).next_multiple_of(ALLOCATION_STEP);
        let mut buf = vec![0; capacity].into_boxed_slice();
        let head = match side {
            Side::Front => capacity - used - len,
            Side::Back => 0,
        };
        let old = self.as_bytes();
        buf[head..head + at].copy_from_slice(&old[..at]);
        buf[head + at + len..head + len + used].copy_from_slice(&old[at..]);
        self.buf = buf;
        self.head = u32::try_from(head).expect("callers ask safe_to_add");
        self.tail = u32::try_from(head + len + used).expect("callers ask safe_to_add");
    }
}

/// Spare room on growth is one part in this many: more means fewer moves, less means less unused memory.
const GROWTH: usize = 8;
/// Allocators round up to this much anyway.
const ALLOCATION_STEP: usize = 16;
/// An allocation this small is not worth shrinking.
const SHRINK_FROM: usize = 64;

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Front,
    Back,
}

impl Default for Listpack {
    fn default() -> Listpack {
        Listpack::new()
    }
}

impl Clone for Listpack {
    fn clone(&self) -> Listpack {
        Listpack { buf: self.as_bytes().into(), head: 0, tail: self.tail - self.head }
    }
}

impl fmt::Debug for Listpack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Item<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'v, V: Into<Item<'v>>> FromIterator<V> for Listpack {
    fn from_iter<I: IntoIterator<Item = V>>(values: I) -> Listpack {
        let mut pack = Listpack::new();
        for value in values {
            pack.push_back(value);
        }
        pack
    }
}

/// The entries in either direction.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    /// Where the next entry begins.
    front: usize,
    /// Where the last entry ends.
    back: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        if self.front == self.back {
            return None;
        }
        let (item, len) = decode(self.bytes, self.front);
        self.front += len + backlen_len(len);
        Some(item)
    }

    fn nth(&mut self, n: usize) -> Option<Item<'a>> {
        for _ in 0..n {
            if self.front == self.back {
                return None;
            }
            self.front += entry_len(self.bytes, self.front);
        }
        self.next()
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Item<'a>> {
        if self.front == self.back {
            return None;
        }
        self.back -= entry_len_before(self.bytes, self.back);
        Some(decode(self.bytes, self.back).0)
    }

    fn nth_back(&mut self, n: usize) -> Option<Item<'a>> {
        for _ in 0..n {
            if self.front == self.back {
                return None;
            }
            self.back -= entry_len_before(self.bytes, self.back);
        }
        self.next_back()
    }
}

impl std::iter::FusedIterator for Iter<'_> {}

/// Checks bytes from an untrusted source: every length, every backlen, the end and the count. Returns the number of
/// entries. Everything else in this module relies on what this accepts.
pub fn validate(bytes: &[u8]) -> Option<usize> {
    if bytes.len() < HEADER + 1 || *bytes.last()? != END {
        return None;
    }
    let total = u32::from_le_bytes(bytes[..4].try_into().ok()?);
    if total as usize != bytes.len() {
        return None;
    }
    let (mut at, end, mut count) = (HEADER, bytes.len() - 1, 0);
    while at < end {
        let len = checked_encoded_len(&bytes[at..end])?;
        let entry = len.checked_add(backlen_len(len))?;
        if entry > end - at || checked_backlen(&bytes[at..at + entry])? != len {
            return None;
        }
        at += entry;
        count += 1;
    }
    let declared = u16::from_le_bytes([bytes[4], bytes[5]]);
    (declared == COUNT_UNKNOWN || usize::from(declared) == count).then_some(count)
}

/// The length of encoding and data of the entry at the start of `bytes`, which need not be that long.
fn checked_encoded_len(bytes: &[u8]) -> Option<usize> {
    Some(match *bytes.first()? {
        0x00..=0x7F => 1,
        first @ 0x80..=0xBF => 1 + usize::from(first & 0x3F),
        0xC0..=0xDF => 2,
        first @ 0xE0..=0xEF => 2 + (usize::from(first & 0x0F) << 8 | usize::from(*bytes.get(1)?)),
        STR_32 => 5usize.checked_add(u32::from_le_bytes(bytes.get(1..5)?.try_into().ok()?) as usize)?,
        INT_16 => 3,
        INT_24 => 4,
        INT_32 => 5,
        INT_64 => 9,
        _ => return None,
    })
}

/// The backlen that ends at the end of `bytes`.
fn checked_backlen(bytes: &[u8]) -> Option<usize> {
    let mut len = 0;
    for (group, &byte) in bytes.iter().rev().take(5).enumerate() {
        len |= usize::from(byte & 0x7F) << (7 * group);
        if byte & 0x80 == 0 {
            return Some(len);
        }
    }
    None
}

/// The item at `at`, and the length of its encoding and data.
#[inline]
fn decode(bytes: &[u8], at: usize) -> (Item<'_>, usize) {
    let rest = &bytes[at..];
    match rest[0] {
        first @ 0x00..=0x7F => (Item::Int(i64::from(first)), 1),
        first @ 0x80..=0xBF => {
            let end = 1 + usize::from(first & 0x3F);
            (Item::Bytes(&rest[1..end]), end)
        }
        first @ 0xC0..=0xDF => {
            let unsigned = u16::from(first & 0x1F) << 8 | u16::from(rest[1]);
            // Shifting the 13 bits up and back down extends the sign.
            (Item::Int(i64::from((unsigned << 3) as i16 >> 3)), 2)
        }
        first @ 0xE0..=0xEF => {
            let end = 2 + (usize::from(first & 0x0F) << 8 | usize::from(rest[1]));
            (Item::Bytes(&rest[2..end]), end)
        }
        STR_32 => {
            let end = 5 + u32::from_le_bytes([rest[1], rest[2], rest[3], rest[4]]) as usize;
            (Item::Bytes(&rest[5..end]), end)
        }
        INT_16 => (Item::Int(i64::from(i16::from_le_bytes([rest[1], rest[2]]))), 3),
        INT_24 => (Item::Int(i64::from(i32::from_le_bytes([0, rest[1], rest[2], rest[3]]) >> 8)), 4),
        INT_32 => (Item::Int(i64::from(i32::from_le_bytes([rest[1], rest[2], rest[3], rest[4]]))), 5),
        INT_64 => {
            let bytes = rest[1..9].try_into().expect("the slice has eight bytes");
            (Item::Int(i64::from_le_bytes(bytes)), 9)
        }
        other => unreachable!("no entry of a valid listpack begins with {other:#x}"),
    }
}

/// The whole length of the entry at `at`.
#[inline]
fn entry_len(bytes: &[u8], at: usize) -> usize {
    match bytes[at] {
        0x00..=0x7F => 2,
        short @ 0x80..=0xBF => usize::from(short & 0x3F) + 2,
        first => {
            let len = match first {
                0xC0..=0xDF => 2,
                0xE0..=0xEF => 2 + (usize::from(first & 0x0F) << 8 | usize::from(bytes[at + 1])),
                _ => checked_encoded_len(&bytes[at..]).expect("the entry of a valid listpack"),
            };
            len + backlen_len(len)
        }
    }
}

/// The whole length of the entry that ends before `at`.
#[inline]
fn entry_len_before(bytes: &[u8], at: usize) -> usize {
    let last = bytes[at - 1];
    if last & 0x80 == 0 {
        return usize::from(last) + 1;
    }
    let len = checked_backlen(&bytes[..at]).expect("the backlen of a valid listpack");
    len + backlen_len(len)
}

/// How many bytes the backlen of an entry with so many bytes of encoding and data takes. The bounds are Redis's:
/// the largest number of each group count is given one group more.
#[inline]
fn backlen_len(len: usize) -> usize {
    match len {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// An entry about to be written: its encoding bytes (an integer's data included), then a string's data.
struct Encoded<'a> {
    head: [u8; 9],
    head_len: usize,
    data: &'a [u8],
}

impl<'a> Encoded<'a> {
    fn new(item: Item<'a>) -> Encoded<'a> {
        let mut head = [0; 9];
        let (head_len, data) = match item {
            Item::Int(int) => (encode_int(int, &mut head), &[][..]),
            Item::Bytes(data) => (encode_str_len(data.len(), &mut head), data),
        };
        Encoded { head, head_len, data }
    }

    fn len(&self) -> usize {
        let len = self.head_len + self.data.len();
        len + backlen_len(len)
    }

    /// Fills `out`, which is [`Encoded::len`] long.
    fn write_to(&self, out: &mut [u8]) {
        let len = self.head_len + self.data.len();
        out[..self.head_len].copy_from_slice(&self.head[..self.head_len]);
        out[self.head_len..len].copy_from_slice(self.data);
        let (mut rest, mut more) = (len, 0);
        for byte in out[len..].iter_mut().rev() {
            // The leftmost group is written last and without the mark; all others have one to their left.
            *byte = (rest & 0x7F) as u8 | 0x80;
            rest >>= 7;
            more += 1;
        }
        debug_assert!(rest == 0 && more == backlen_len(len));
        out[len] &= 0x7F;
    }
}

fn encode_int(int: i64, head: &mut [u8; 9]) -> usize {
    let bytes = int.to_le_bytes();
    match int {
        0..=127 => {
            head[0] = bytes[0];
            1
        }
        -4096..=4095 => {
            head[0] = 0xC0 | (bytes[1] & 0x1F);
            head[1] = bytes[0];
            2
        }
        _ => {
            let (marker, width) = match int {
                -0x8000..=0x7FFF => (INT_16, 2),
                -0x80_0000..=0x7F_FFFF => (INT_24, 3),
                -0x8000_0000..=0x7FFF_FFFF => (INT_32, 4),
                _ => (INT_64, 8),
            };
            head[0] = marker;
            head[1..=width].copy_from_slice(&bytes[..width]);
            1 + width
        }
    }
}

fn encode_str_len(len: usize, head: &mut [u8; 9]) -> usize {
    match len {
        0..64 => {
            head[0] = 0x80 | len as u8;
            1
        }
        64..4096 => {
            head[0] = 0xE0 | (len >> 8) as u8;
            head[1] = len as u8;
            2
        }
        _ => {
            let len = u32::try_from(len).expect("no element is larger than proto-max-bulk-len");
            head[0] = STR_32;
            head[1..5].copy_from_slice(&len.to_le_bytes());
            5
        }
    }
}

/// The integer whose canonical decimal form `text` is: no sign but a minus, no leading zeros, no `-0`.
pub(crate) fn parse_int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut magnitude: u64 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        // Nineteen digits fit.
        magnitude = magnitude * 10 + u64::from(digit - b'0');
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// How many characters the canonical decimal form has.
pub(crate) fn decimal_len(int: i64) -> usize {
    let digits = int.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1);
    digits + usize::from(int < 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(pack: &Listpack) -> Vec<Vec<u8>> {
        pack.iter().map(|item| item.to_vec()).collect()
    }

    /// The listpack says the same as the oracle in every way one can ask, and its bytes are valid.
    fn check(pack: &Listpack, oracle: &[Vec<u8>]) {
        assert_eq!(validate(pack.as_bytes()), Some(oracle.len()));
        assert_eq!(pack.len(), oracle.len());
        assert_eq!(pack.is_empty(), oracle.is_empty());
        assert_eq!(texts(pack), oracle);
        let backward: Vec<_> = pack.iter().rev().map(|item| item.to_vec()).collect();
        assert!(backward.iter().eq(oracle.iter().rev()));
        for (index, expected) in oracle.iter().enumerate() {
            let item = pack.get(pack.seek(index).expect("index below the length"));
            assert_eq!(&item.to_vec(), expected);
            assert_eq!(item.len(), expected.len());
        }
        assert_eq!(pack.seek(oracle.len()), None);
        assert!(pack.byte_len() <= pack.memory());
    }

    #[test]
    fn bytes_are_those_of_redis() {
        // What DUMP of RPUSH k 1 -1 300 "" hello 70000 answers, without the RDB framing.
        let pack: Listpack = [&b"1"[..], b"-1", b"300", b"", b"hello", b"70000"].into_iter().collect();
        let expected: &[u8] = &[
            29, 0, 0, 0, 6, 0, // header
            1, 1, // 1
            0xDF, 0xFF, 2, // -1
            0xC1, 0x2C, 2, // 300
            0x80, 1, // empty
            0x85, b'h', b'e', b'l', b'l', b'o', 6, // hello
            0xF2, 0x70, 0x11, 0x01, 4, // 70000
            0xFF,
        ];
        assert_eq!(pack.as_bytes(), expected);
    }

    #[test]
    fn every_width_of_integer_and_string_reads_back() {
        let mut values: Vec<Vec<u8>> = Vec::new();
        for bits in 0..64 {
            for near in [-1i64, 0, 1] {
                let int = (1i64 << bits).wrapping_add(near);
                values.push(int.to_string().into_bytes());
                values.push(int.wrapping_neg().to_string().into_bytes());
            }
        }
        for len in [0, 1, 62, 63, 64, 125, 126, 127, 4095, 4096, 16_377, 16_378, 16_379, 2_097_146, 2_097_147]
        {
            values.push(vec![b'x'; len]);
        }
        let pack: Listpack = values.iter().collect();
        check(&pack, &values);
    }

    #[test]
    fn only_canonical_integers_are_integers() {
        for text in ["0", "-1", "9223372036854775807", "-9223372036854775808"] {
            assert!(matches!(Item::new(text.as_bytes()), Item::Int(_)), "{text}");
            assert_eq!(Item::new(text.as_bytes()).to_vec(), text.as_bytes());
        }
        let strings = [
            "",
            "-",
            "-0",
            "00",
            "01",
            "+1",
            " 1",
            "1 ",
            "9223372036854775808",
            "-9223372036854775809",
            "1e3",
            "99999999999999999999",
            "18446744073709551617",
            "0x1",
        ];
        for text in strings {
            assert!(matches!(Item::new(text.as_bytes()), Item::Bytes(_)), "{text}");
        }
    }

    #[test]
    fn the_count_is_kept_past_what_the_header_can_say() {
        let mut pack = Listpack::new();
        for n in 0..70_000i64 {
            pack.push_back(n & 63);
        }
        assert_eq!(pack.len(), 70_000);
        assert_eq!(pack.as_bytes()[4..6], [0xFF, 0xFF]);
        assert_eq!(pack.get(pack.seek(69_999).unwrap()), Item::Int(69_999 & 63));
        let tail = pack.split_off(60_000);
        assert_eq!((pack.len(), tail.len()), (60_000, 10_000));
        pack.append(&tail);
        assert_eq!(pack.len(), 70_000);
        assert_eq!(validate(pack.as_bytes()), Some(70_000));
    }

    #[test]
    fn a_queue_does_not_grow_its_allocation() {
        let mut pack = Listpack::new();
        for n in 0..10_000i64 {
            pack.push_back(100_000 + n);
            if n >= 20 {
                assert_eq!(pack.get(pack.first().unwrap()), Item::Int(100_000 + n - 20));
                pack.delete(pack.first().unwrap());
            }
        }
        assert_eq!(pack.len(), 20);
        assert!(pack.memory() < 400, "{}", pack.memory());
    }

    #[test]
    fn find_skips_values() {
        let pack: Listpack = [&b"a"[..], b"b", b"b", b"7", b"7", b"c"].into_iter().collect();
        let first = pack.first().unwrap();
        let at = |value: &[u8], skip| pack.find(first, value, skip).map(|c| pack.iter_to(c).count() - 1);
        assert_eq!(at(b"b", 0), Some(1));
        assert_eq!(at(b"b", 1), Some(2));
        assert_eq!(at(b"7", 1), Some(4));
        assert_eq!(at(b"c", 1), None);
        assert_eq!(at(b"07", 0), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        PushBack(Vec<u8>),
        PushFront(Vec<u8>),
        InsertBefore(usize, Vec<u8>),
        InsertAfter(usize, Vec<u8>),
        Replace(usize, Vec<u8>),
        Delete(usize),
        DeleteRange(usize, usize),
        PopFront,
        PopBack,
        SplitAndAppend(usize),
        Shrink,
        Find(Vec<u8>),
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<i64>().prop_map(|n| n.to_string().into_bytes()),
            (-5000i64..5000).prop_map(|n| n.to_string().into_bytes()),
            (0i64..10).prop_map(|n| n.to_string().into_bytes()),
            proptest::collection::vec(any::<u8>(), 0..8),
            (0usize..300).prop_map(|len| vec![b'v'; len]),
            (4000usize..4200).prop_map(|len| vec![b'w'; len]),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        let at = any::<usize>;
        prop_oneof![
            3 => value().prop_map(Step::PushBack),
            3 => value().prop_map(Step::PushFront),
            1 => (at(), value()).prop_map(|(at, v)| Step::InsertBefore(at, v)),
            1 => (at(), value()).prop_map(|(at, v)| Step::InsertAfter(at, v)),
            1 => (at(), value()).prop_map(|(at, v)| Step::Replace(at, v)),
            1 => at().prop_map(Step::Delete),
            1 => (at(), 0usize..6).prop_map(|(at, n)| Step::DeleteRange(at, n)),
            1 => Just(Step::PopFront),
            1 => Just(Step::PopBack),
            1 => at().prop_map(Step::SplitAndAppend),
            1 => Just(Step::Shrink),
            1 => value().prop_map(Step::Find),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_a_vector(steps in proptest::collection::vec(step(), 1..60)) {
            let mut pack = Listpack::new();
            let mut oracle: Vec<Vec<u8>> = Vec::new();
            for step in steps {
                let len = oracle.len();
                match step {
                    Step::PushBack(v) => { pack.push_back(&v); oracle.push(v); }
                    Step::PushFront(v) => { pack.push_front(&v); oracle.insert(0, v); }
                    Step::InsertBefore(at, v) if len > 0 => {
                        let new = pack.insert_before(pack.seek(at % len).unwrap(), &v);
                        prop_assert!(pack.get(new) == v[..]);
                        oracle.insert(at % len, v);
                    }
                    Step::InsertAfter(at, v) if len > 0 => {
                        let new = pack.insert_after(pack.seek(at % len).unwrap(), &v);
                        prop_assert!(pack.get(new) == v[..]);
                        oracle.insert(at % len + 1, v);
                    }
                    Step::Replace(at, v) if len > 0 => {
                        pack.replace(pack.seek(at % len).unwrap(), &v);
                        oracle[at % len] = v;
                    }
                    Step::Delete(at) if len > 0 => {
                        let next = pack.delete(pack.seek(at % len).unwrap());
                        oracle.remove(at % len);
                        prop_assert_eq!(next.map(|c| pack.get(c).to_vec()), oracle.get(at % len).cloned());
                    }
                    Step::DeleteRange(at, n) => {
                        let start = at % (len + 1);
                        pack.delete_range(start, n);
                        oracle.drain(start..(start + n).min(len));
                    }
                    Step::PopFront if len > 0 => { pack.delete(pack.first().unwrap()); oracle.remove(0); }
                    Step::PopBack if len > 0 => { pack.delete(pack.last().unwrap()); oracle.pop(); }
                    Step::SplitAndAppend(at) => {
                        let tail = pack.split_off(at % (len + 1));
                        check(&tail, &oracle[at % (len + 1)..]);
                        check(&pack, &oracle[..at % (len + 1)]);
                        pack.append(&tail);
                    }
                    Step::Shrink => { pack.shrink_to_fit(); prop_assert_eq!(pack.memory(), pack.byte_len()); }
                    Step::Find(v) => {
                        let found = pack.first().and_then(|c| pack.find(c, &v, 0));
                        let expected = oracle.iter().position(|o| *o == v);
                        prop_assert_eq!(found, expected.and_then(|index| pack.seek(index)));
                    }
                    _ => {}
                }
                check(&pack, &oracle);
            }
        }

        #[test]
        fn validation_never_panics_and_accepts_only_what_can_be_read(
            values in proptest::collection::vec(value(), 0..6),
            damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
            cut in any::<usize>(),
        ) {
            let pack: Listpack = values.iter().collect();
            let mut bytes = pack.as_bytes().to_vec();
            for (at, byte) in damage {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            if cut % 4 == 0 {
                bytes.truncate(cut / 4 % (bytes.len() + 1));
                let total = bytes.len() as u32;
                if let Some(header) = bytes.get_mut(..4) {
                    header.copy_from_slice(&total.to_le_bytes());
                }
            }
            if let Some(read) = Listpack::from_bytes(bytes) {
                let forward: Vec<_> = read.iter().map(|item| item.to_vec()).collect();
                prop_assert_eq!(forward.len(), read.len());
                prop_assert_eq!(read.iter().rev().count(), read.len());
            }
        }

        #[test]
        fn validation_survives_noise(mut bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let total = bytes.len() as u32;
            if let (Some(header), true) = (bytes.get_mut(..4), total.is_multiple_of(2)) {
                header.copy_from_slice(&total.to_le_bytes());
            }
            if let Some(last) = bytes.last_mut() {
                *last = END;
            }
            if let Some(read) = Listpack::from_bytes(bytes) {
                prop_assert_eq!(read.iter().count(), read.len());
            }
        }
    }
}
