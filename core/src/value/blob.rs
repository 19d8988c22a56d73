//! Elements of large collections: owned byte blobs behind one pointer, for [`crate::keyspace::table::Table`].
//!
//! What lives here: the three blobs and their layout. What does not: which collection uses them and when.
//!
//! Each blob is one allocation and one 8-byte pointer. Lengths take one byte up to 253 (126 for a field), nine above,
//! because small elements are what large collections are made of.
//!
//! ```text
//! Member  [length][bytes]
//! Scored  [score f64][length][bytes]
//! Field   [length and deadline mark][length of value][deadline u64, if marked][field][value]
//!         [length and deadline mark][SHARED         ][deadline u64, if marked][field]..[Large], aligned
//! ```
//!
//! Invariant: the size of the allocation is a function of the header, so nothing else has to be stored to free it.
#![allow(unsafe_code)]

use super::{LARGE_STRING, Large, LargeString};
use crate::keyspace::table::{Slot, prefetch_line};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::NonNull;

/// First byte of a length that follows in eight bytes.
const LONG: u8 = 0xff;
/// In the place of a field's value length: the value is a [`Large`] string elsewhere.
const SHARED: u8 = 0xfe;

/// Bytes that a length takes.
fn length_size(length: usize) -> usize {
    if length < SHARED as usize { 1 } else { 9 }
}

/// Write a length; returns what follows.
///
/// # Safety
/// [`length_size`] bytes may be written at `at`.
unsafe fn write_length(at: *mut u8, length: usize) -> *mut u8 {
    // SAFETY: by contract.
    unsafe {
        if length < SHARED as usize {
            at.write(length as u8);
            at.add(1)
        } else {
            at.write(LONG);
            at.add(1).cast::<u64>().write_unaligned(length as u64);
            at.add(9)
        }
    }
}

/// Read a length; returns it and what follows.
///
/// # Safety
/// [`write_length`] wrote at `at`.
#[inline(always)]
unsafe fn read_length(at: *mut u8) -> (usize, *mut u8) {
    // SAFETY: by contract.
    unsafe {
        let short = at.read();
        if short != LONG {
            (usize::from(short), at.add(1))
        } else {
            (at.add(1).cast::<u64>().read_unaligned() as usize, at.add(9))
        }
    }
}

/// Alignment 8 asks nothing of the allocator that it does not give anyway, and spares a second kind of layout.
fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("the bytes are in memory already, their sum is no larger")
}

fn allocate(size: usize) -> NonNull<u8> {
    let layout = layout(size);
    // SAFETY: every blob has at least a length.
    let pointer = unsafe { alloc(layout) };
    NonNull::new(pointer).unwrap_or_else(|| handle_alloc_error(layout))
}

/// # Safety
/// `bytes.len()` bytes may be written at `at`, which no reference covers.
unsafe fn write_bytes(at: *mut u8, bytes: &[u8]) {
    // SAFETY: by contract.
    unsafe { at.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
}

macro_rules! owned_blob {
    ($blob:ident) => {
        // SAFETY: the blob owns its bytes; nothing is shared.
        unsafe impl Send for $blob {}
        // SAFETY: `&self` methods only read.
        unsafe impl Sync for $blob {}

        impl Drop for $blob {
            fn drop(&mut self) {
                let layout = layout(self.memory());
                // SAFETY: allocated by `allocate` with the size the header still gives.
                unsafe { dealloc(self.0.as_ptr(), layout) }
            }
        }
    };
}

/// Bytes: the member of a set.
pub struct Member(NonNull<u8>);

owned_blob!(Member);

impl Member {
    pub fn new(bytes: &[u8]) -> Self {
        let blob = allocate(length_size(bytes.len()) + bytes.len());
        // SAFETY: allocated with that size.
        unsafe { write_bytes(write_length(blob.as_ptr(), bytes.len()), bytes) };
        Self(blob)
    }

    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: written by `new`.
        unsafe {
            let (length, bytes) = read_length(self.0.as_ptr());
            std::slice::from_raw_parts(bytes, length)
        }
    }

    /// Bytes of the allocation.
    pub fn memory(&self) -> usize {
        length_size(self.bytes().len()) + self.bytes().len()
    }
}

impl Slot for Member {
    #[inline]
    fn key(&self) -> &[u8] {
        self.bytes()
    }
    #[inline]
    fn prefetch(&self) {
        prefetch_line(self.0.as_ptr());
    }
}

impl Clone for Member {
    fn clone(&self) -> Self {
        Self::new(self.bytes())
    }
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Member {}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes().escape_ascii())
    }
}

/// A score and bytes: the member of a sorted set.
pub struct Scored(NonNull<u8>);

owned_blob!(Scored);

impl Scored {
    pub fn new(member: &[u8], score: f64) -> Self {
        let blob = allocate(8 + length_size(member.len()) + member.len());
        // SAFETY: allocated with that size, aligned to 8.
        unsafe {
            blob.cast::<f64>().write(score);
            write_bytes(write_length(blob.as_ptr().add(8), member.len()), member);
        }
        Self(blob)
    }

    #[inline]
    pub fn score(&self) -> f64 {
        // SAFETY: written by `new`.
        unsafe { self.0.cast::<f64>().read() }
    }

    pub fn set_score(&mut self, score: f64) {
        // SAFETY: inside the allocation, borrowed exclusively.
        unsafe { self.0.cast::<f64>().write(score) }
    }

    #[inline]
    pub fn member(&self) -> &[u8] {
        // SAFETY: written by `new`.
        unsafe {
            let (length, bytes) = read_length(self.0.as_ptr().add(8));
            std::slice::from_raw_parts(bytes, length)
        }
    }

    /// Bytes of the allocation.
    pub fn memory(&self) -> usize {
        8 + length_size(self.member().len()) + self.member().len()
    }
}

impl Slot for Scored {
    #[inline]
    fn key(&self) -> &[u8] {
        self.member()
    }
    #[inline]
    fn prefetch(&self) {
        prefetch_line(self.0.as_ptr());
    }
}

impl Clone for Scored {
    fn clone(&self) -> Self {
        Self::new(self.member(), self.score())
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.member() == other.member() && self.score() == other.score()
    }
}

impl fmt::Debug for Scored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.score(), self.member().escape_ascii())
    }
}

/// A field and its value, with a deadline if it has one: the element of a hash.
pub struct Field(NonNull<u8>);

// SAFETY: the blob owns its bytes, and a `Large` string may be sent.
unsafe impl Send for Field {}
// SAFETY: `&self` methods only read, and a `Large` string may be shared.
unsafe impl Sync for Field {}

impl Drop for Field {
    fn drop(&mut self) {
        let layout = layout(self.allocation());
        if let Some(large) = self.large_at() {
            // SAFETY: written by `with_large`, and not used after this.
            unsafe { large.drop_in_place() }
        }
        // SAFETY: allocated by `allocate` with the size the header still gives.
        unsafe { dealloc(self.0.as_ptr(), layout) }
    }
}

/// In the first byte of a field: there is a deadline.
const DATED: u8 = 0x80;
/// In the first byte of a field: the length follows in eight bytes.
const LONG_FIELD: u8 = 0x7f;

/// Where the parts of a [`Field`] are.
struct FieldParts {
    field_length: usize,
    /// `None` if the value is shared.
    value_length: Option<usize>,
    deadline: Option<*mut u8>,
    field: *mut u8,
}

impl FieldParts {
    fn size(field: usize, value: Option<usize>, dated: bool) -> usize {
        let field_prefix = if field < LONG_FIELD as usize { 1 } else { 9 };
        let deadline = if dated { 8 } else { 0 };
        match value {
            Some(value) => field_prefix + length_size(value) + deadline + field + value,
            None => (field_prefix + 1 + deadline + field).next_multiple_of(8) + size_of::<Large>(),
        }
    }
}

// At the end of a blob whose size is a multiple of 8, it is aligned.
const _: () = assert!(align_of::<Large>() <= 8 && size_of::<Large>() == 8);

impl Field {
    pub fn new(field: &[u8], value: &[u8]) -> Self {
        Self::with_deadline(field, value, None)
    }

    /// A field that expires at `deadline`, in Unix milliseconds.
    pub fn with_deadline(field: &[u8], value: &[u8], deadline: Option<u64>) -> Self {
        if value.len() >= LARGE_STRING {
            return Self::with_large(field, Large::new(value.to_vec().into()), deadline);
        }
        let blob = allocate(FieldParts::size(field.len(), Some(value.len()), deadline.is_some()));
        // SAFETY: allocated with the size of what is written.
        unsafe {
            let at = write_field(blob.as_ptr(), field, Some(value.len()), deadline);
            write_bytes(at, value);
        }
        Self(blob)
    }

    fn with_large(field: &[u8], value: Large, deadline: Option<u64>) -> Self {
        let size = FieldParts::size(field.len(), None, deadline.is_some());
        let blob = allocate(size);
        // SAFETY: allocated with the size of what is written, and aligned: see above.
        unsafe {
            write_field(blob.as_ptr(), field, None, deadline);
            blob.as_ptr().add(size - size_of::<Large>()).cast::<Large>().write(value);
        }
        Self(blob)
    }

    #[inline(always)]
    fn parts(&self) -> FieldParts {
        // SAFETY: written by `write_field`.
        unsafe {
            let at = self.0.as_ptr();
            let first = at.read();
            let (field_length, at) = if first & !DATED != LONG_FIELD {
                (usize::from(first & !DATED), at.add(1))
            } else {
                (at.add(1).cast::<u64>().read_unaligned() as usize, at.add(9))
            };
            let (value_length, at) = match at.read() {
                SHARED => (None, at.add(1)),
                _ => {
                    let (length, at) = read_length(at);
                    (Some(length), at)
                }
            };
            let (deadline, field) = if first & DATED != 0 { (Some(at), at.add(8)) } else { (None, at) };
            FieldParts { field_length, value_length, deadline, field }
        }
    }

    #[inline]
    pub fn field(&self) -> &[u8] {
        let parts = self.parts();
        // SAFETY: written by `write_field`.
        unsafe { std::slice::from_raw_parts(parts.field, parts.field_length) }
    }

    #[inline]
    pub fn value(&self) -> &[u8] {
        let parts = self.parts();
        match parts.value_length {
            // SAFETY: written by `with_deadline`.
            Some(length) => unsafe {
                std::slice::from_raw_parts(parts.field.add(parts.field_length), length)
            },
            None => self.large().expect("it is shared"),
        }
    }

    /// The value, if it is one that can be shared.
    pub fn large(&self) -> Option<&Large> {
        // SAFETY: written by `with_large`.
        self.large_at().map(|large| unsafe { &*large })
    }

    /// Where a shared value is.
    fn large_at(&self) -> Option<*mut Large> {
        if self.parts().value_length.is_some() {
            return None;
        }
        let at = self.allocation() - size_of::<Large>();
        // SAFETY: the allocation ends with it.
        Some(unsafe { self.0.as_ptr().add(at).cast() })
    }

    /// Replace the value; the deadline stays.
    pub fn set_value(&mut self, value: &[u8]) {
        let parts = self.parts();
        if parts.value_length == Some(value.len()) {
            // SAFETY: same length, inside the allocation; `value` cannot borrow from `self`, which is borrowed
            // exclusively.
            unsafe { write_bytes(parts.field.add(parts.field_length), value) };
        } else {
            *self = Self::with_deadline(self.field(), value, self.deadline());
        }
    }

    /// When the field expires, in Unix milliseconds.
    #[inline]
    pub fn deadline(&self) -> Option<u64> {
        // SAFETY: written by `write_field`.
        self.parts().deadline.map(|at| unsafe { at.cast::<u64>().read_unaligned() })
    }

    /// Whoever holds the table must be told: see [`crate::keyspace::table::Table::note_deadline`].
    pub fn set_deadline(&mut self, deadline: Option<u64>) {
        match (self.parts().deadline, deadline) {
            // SAFETY: inside the allocation, borrowed exclusively.
            (Some(at), Some(deadline)) => unsafe { at.cast::<u64>().write_unaligned(deadline) },
            (None, None) => {}
            _ => *self = self.dated(deadline),
        }
    }

    /// The same field with this deadline.
    fn dated(&self, deadline: Option<u64>) -> Self {
        match self.large() {
            Some(large) => Self::with_large(self.field(), large.clone(), deadline),
            None => Self::with_deadline(self.field(), self.value(), deadline),
        }
    }

    /// Bytes of the blob.
    fn allocation(&self) -> usize {
        let parts = self.parts();
        FieldParts::size(parts.field_length, parts.value_length, parts.deadline.is_some())
    }

    /// Bytes allocated, those of a shared value included.
    pub fn memory(&self) -> usize {
        self.allocation() + self.large().map_or(0, |large| size_of::<LargeString>() + large.capacity())
    }
}

/// Write the header and name of a field; returns what follows.
///
/// # Safety
/// So many bytes may be written at `at`, which no reference covers.
unsafe fn write_field(
    at: *mut u8,
    field: &[u8],
    value_length: Option<usize>,
    deadline: Option<u64>,
) -> *mut u8 {
    let mark = if deadline.is_some() { DATED } else { 0 };
    // SAFETY: by contract.
    unsafe {
        let mut at = at;
        if field.len() < LONG_FIELD as usize {
            at.write(field.len() as u8 | mark);
            at = at.add(1);
        } else {
            at.write(LONG_FIELD | mark);
            at.add(1).cast::<u64>().write_unaligned(field.len() as u64);
            at = at.add(9);
        }
        at = match value_length {
            Some(length) => write_length(at, length),
            None => {
                at.write(SHARED);
                at.add(1)
            }
        };
        if let Some(deadline) = deadline {
            at.cast::<u64>().write_unaligned(deadline);
            at = at.add(8);
        }
        write_bytes(at, field);
        at.add(field.len())
    }
}

impl Slot for Field {
    #[inline]
    fn key(&self) -> &[u8] {
        self.field()
    }
    #[inline]
    fn deadline(&self) -> u64 {
        Field::deadline(self).unwrap_or(u64::MAX)
    }
    #[inline]
    fn prefetch(&self) {
        prefetch_line(self.0.as_ptr());
    }
}

impl Clone for Field {
    fn clone(&self) -> Self {
        self.dated(self.deadline())
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        (self.field(), self.value(), self.deadline()) == (other.field(), other.value(), other.deadline())
    }
}

impl Eq for Field {}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.field().escape_ascii(), self.value().escape_ascii())?;
        self.deadline().map_or(Ok(()), |deadline| write!(f, " until {deadline}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::table::Table;

    /// Around every length at which a header changes its size.
    const LENGTHS: [usize; 13] = [0, 1, 7, 8, 125, 126, 127, 128, 253, 254, 255, 256, 70_000];

    fn bytes(length: usize, salt: usize) -> Vec<u8> {
        (0..length).map(|i| (i * 7 + salt) as u8).collect()
    }

    #[test]
    fn members_and_scored_members_keep_what_they_are_given() {
        for length in LENGTHS {
            let bytes = bytes(length, 1);
            let member = Member::new(&bytes);
            assert_eq!((member.bytes(), member.key(), &member.clone()), (&bytes[..], &bytes[..], &member));
            let mut scored = Scored::new(&bytes, 1.5);
            assert_eq!((scored.member(), scored.score()), (&bytes[..], 1.5));
            scored.set_score(f64::NEG_INFINITY);
            assert_eq!((scored.key(), scored.clone().score()), (&bytes[..], f64::NEG_INFINITY));
            assert_ne!(scored, Scored::new(&bytes, 0.0));
        }
    }

    #[test]
    fn fields_keep_value_and_deadline_through_every_change() {
        for field_length in LENGTHS {
            for value_length in LENGTHS {
                let (name, value) = (bytes(field_length, 2), bytes(value_length, 3));
                let mut field = Field::new(&name, &value);
                assert_eq!((field.field(), field.value(), field.deadline()), (&name[..], &value[..], None));
                field.set_deadline(Some(u64::MAX - 1));
                let same_length = bytes(value_length, 9);
                field.set_value(&same_length);
                assert_eq!((field.field(), field.value()), (&name[..], &same_length[..]));
                assert_eq!((field.deadline(), Slot::deadline(&field)), (Some(u64::MAX - 1), u64::MAX - 1));
                field.set_value(b"other");
                field.set_deadline(Some(5));
                assert_eq!(field.clone(), Field::with_deadline(&name, b"other", Some(5)));
                field.set_deadline(None);
                assert_eq!((field.key(), field.value()), (&name[..], &b"other"[..]));
                assert_eq!(Slot::deadline(&field), u64::MAX);
            }
        }
    }

    #[test]
    fn a_large_value_is_shared_with_copies_and_lives_as_long_as_any() {
        let (name, value) = (bytes(9, 1), bytes(LARGE_STRING, 2));
        let mut field = Field::with_deadline(&name, &value, Some(7));
        let shared = field.large().unwrap().clone();
        assert!(Field::new(&name, &value[1..]).large().is_none());
        let copy = field.clone();
        assert_eq!((copy.value().as_ptr(), copy.deadline()), (shared.as_ptr(), Some(7)));
        field.set_deadline(None);
        assert_eq!((field.value().as_ptr(), Large::strong_count(&shared)), (shared.as_ptr(), 3));
        field.set_value(&value[1..]);
        drop(copy);
        assert_eq!((Large::strong_count(&shared), &shared[..]), (1, &value[..]));
        assert_eq!(field.value(), &value[1..]);
    }

    #[test]
    fn small_blobs_cost_one_byte_a_length() {
        assert_eq!(Member::new(b"12345678").memory(), 9);
        assert_eq!(Scored::new(b"12345678", 1.0).memory(), 17);
        assert_eq!(Field::new(b"12345678", b"12345678").memory(), 18);
        assert_eq!(Field::with_deadline(b"12345678", b"12345678", Some(1)).memory(), 26);
    }

    #[test]
    fn blobs_live_in_a_table() {
        let mut table: Table<Field, 4> = Table::new(1);
        for n in 0..300u32 {
            let deadline = (n % 3 == 0).then_some(u64::from(n));
            table.insert(Field::with_deadline(&n.to_le_bytes(), b"v", deadline));
        }
        assert_eq!((table.len(), table.deadlines()), (300, 100));
        let (field, made) = table.find_or_insert_with(&7u32.to_le_bytes(), || unreachable!());
        assert!(!made);
        field.set_value(b"longer");
        assert_eq!(table.find(&7u32.to_le_bytes()).unwrap().value(), b"longer");
        let (mut cursor, mut expired) = (0, 0);
        table.sweep_expired(150, &mut cursor, &mut { usize::MAX }, |_| expired += 1);
        assert_eq!((expired, table.deadlines()), (51, 49));
    }
}
