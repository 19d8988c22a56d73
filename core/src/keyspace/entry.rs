//! A key with its value: one allocation behind one pointer, the element of a database's table.
//!
//! What lives here: the layout, and changes of a value that keep the allocation when they can. What does not: what
//! commands make of it; what a collection is (the entry only owns it).
//!
//! ```text
//! [meta u32: flags 8, access field 24][key length u32][value length u32][capacity u32]
//! [deadline u64, if flagged][key][value: capacity bytes]
//!
//! value:  a string's bytes (the first `value length` of them) | an i64 | an owned pointer to an Object or to a Large
//! ```
//!
//! Invariants: the allocation is `16 + 8 (if dated) + key length + capacity` bytes; value length <= capacity; only a
//! string's value length changes without its kind changing. The value is not aligned.
//!
//! Strings below [`LARGE_STRING`] are inline, larger ones are a [`Large`] that replies on their way out may share: who
//! changes a string while it is shared gets a copy. A string that has become large stays so until it is replaced.
//! Appending grows the capacity in proportion to the length, so repeated APPEND costs amortised constant time per byte;
//! overwriting keeps the allocation unless that would waste half of it.
//!
//! Lengths are 32 bits: whoever makes an entry has bounded the bytes a client may send (`proto-max-bulk-len`, and
//! 512 MiB for strings built by commands) well below.
#![allow(unsafe_code)]

use super::UnixMillis;
use super::table::{Slot, prefetch_line};
use crate::value::{LARGE_STRING, Large, LargeString, Object, Value, ValueRef};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::cell::Cell;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;

/// A value in its entry, for changing what needs no other allocation.
pub enum ValueMut<'a> {
    Int(i64),
    String { bytes: &'a mut [u8], raw: bool },
    Object(&'a mut Object),
}

#[repr(C)]
struct Header {
    /// A cell because reading a key refreshes the access field.
    meta: Cell<u32>,
    key_length: u32,
    value_length: u32,
    capacity: u32,
}

const HEADER: usize = size_of::<Header>();
const _: () = assert!(HEADER == 16);

const KIND: u32 = 3;
const STRING: u32 = 0;
const INT: u32 = 1;
const OBJECT: u32 = 2;
const LARGE: u32 = 3;
const RAW: u32 = 4;
const DATED: u32 = 8;
const FLAGS: u32 = 0xff;
const LRU_SHIFT: u32 = 8;

/// Below this a capacity doubles when it grows, above it grows by a quarter.
const DOUBLING: usize = 1 << 20;

/// An owned key with its value.
pub struct Entry(NonNull<Header>);

// SAFETY: the entry owns what it points to, and an `Object` or a `Large` may be sent. It may not be shared: the access field is
// written through shared references.
unsafe impl Send for Entry {}
const _: () = {
    const fn sent<T: Send>() {}
    sent::<Object>();
    sent::<Large>();
};

impl Entry {
    /// `deadline` is when the key expires, in Unix milliseconds.
    pub fn new(key: &[u8], value: Value, deadline: Option<UnixMillis>) -> Self {
        match value {
            Value::Int(int) => Self::with_int(key, int, deadline),
            Value::String { bytes, raw } => Self::with_bytes(key, &bytes, raw, deadline),
            Value::Large { bytes, raw } => Self::with_large(key, bytes, raw, deadline),
            Value::Object(object) => Self::with_object(key, object, deadline),
        }
    }

    pub fn with_bytes(key: &[u8], bytes: &[u8], raw: bool, deadline: Option<UnixMillis>) -> Self {
        if bytes.len() >= LARGE_STRING {
            return Self::with_large(key, Arc::new(bytes.to_vec().into()), raw, deadline);
        }
        let raw = if raw { RAW } else { 0 };
        let entry = Self::allocate(key, STRING | raw, bytes.len(), deadline);
        // SAFETY: the capacity is at least the length given.
        unsafe { entry.value_at().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        entry
    }

    pub fn with_large(key: &[u8], bytes: Large, raw: bool, deadline: Option<UnixMillis>) -> Self {
        let mut entry = Self::allocate(key, INT, 8, deadline);
        entry.put_large(bytes, raw);
        entry
    }

    pub fn with_int(key: &[u8], int: i64, deadline: Option<UnixMillis>) -> Self {
        let entry = Self::allocate(key, INT, 8, deadline);
        // SAFETY: the capacity is at least 8.
        unsafe { entry.value_at().cast::<i64>().write_unaligned(int) };
        entry
    }

    pub fn with_object(key: &[u8], object: Box<Object>, deadline: Option<UnixMillis>) -> Self {
        let entry = Self::allocate(key, OBJECT, 8, deadline);
        // SAFETY: the capacity is at least 8; the entry owns the object from here on.
        unsafe { entry.value_at().cast::<*mut Object>().write_unaligned(Box::into_raw(object)) };
        entry
    }

    /// An entry whose value bytes are not written yet.
    fn allocate(key: &[u8], flags: u32, value_length: usize, deadline: Option<UnixMillis>) -> Self {
        let (key_length, value_length) = (length32(key.len()), length32(value_length));
        let fixed = HEADER + if deadline.is_some() { 8 } else { 0 } + key.len();
        // What the allocator would round up to anyway is capacity.
        let capacity = (fixed + value_length as usize).next_multiple_of(8) - fixed;
        let capacity = u32::try_from(capacity).unwrap_or(value_length);
        let dated = if deadline.is_some() { DATED } else { 0 };
        let layout = layout(fixed + capacity as usize);
        // SAFETY: the layout is not empty.
        let Some(base) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let entry = Self(base.cast());
        // SAFETY: allocated with the size of header, deadline, key and capacity.
        unsafe {
            entry.0.write(Header { meta: Cell::new(flags | dated), key_length, value_length, capacity });
            if let Some(deadline) = deadline {
                entry.0.add(1).cast::<u64>().write(deadline);
            }
            entry.key_at().copy_from_nonoverlapping(key.as_ptr(), key.len());
        }
        entry
    }

    #[inline(always)]
    fn header(&self) -> &Header {
        // SAFETY: written by `allocate`.
        unsafe { self.0.as_ref() }
    }

    #[inline(always)]
    fn header_mut(&mut self) -> &mut Header {
        // SAFETY: written by `allocate`, borrowed exclusively.
        unsafe { self.0.as_mut() }
    }

    #[inline(always)]
    fn meta(&self) -> u32 {
        self.header().meta.get()
    }

    #[inline(always)]
    fn set_meta(&self, meta: u32) {
        self.header().meta.set(meta);
    }

    #[inline(always)]
    fn kind(&self) -> u32 {
        self.meta() & KIND
    }

    #[inline(always)]
    fn key_at(&self) -> *mut u8 {
        let deadline = (self.meta() & DATED) as usize;
        const { assert!(DATED == 8) };
        // SAFETY: inside the allocation.
        unsafe { self.0.as_ptr().cast::<u8>().add(HEADER + deadline) }
    }

    #[inline(always)]
    fn value_at(&self) -> *mut u8 {
        // SAFETY: inside the allocation, or at its end when the capacity is 0.
        unsafe { self.key_at().add(self.header().key_length as usize) }
    }

    /// Bytes of this allocation, without what it may point to.
    pub fn allocation(&self) -> usize {
        let header = self.header();
        HEADER + (header.meta.get() & DATED) as usize + header.key_length as usize + header.capacity as usize
    }

    /// Bytes of this allocation and of what it may point to.
    pub fn memory(&self) -> usize {
        /// Two counters and the vector.
        const SHARED: usize = 2 * size_of::<usize>() + size_of::<LargeString>();
        self.allocation()
            + self.object().map_or(0, Object::memory)
            + self.large().map_or(0, |large| SHARED + large.capacity())
    }

    #[inline]
    pub fn key(&self) -> &[u8] {
        // SAFETY: written by `allocate`.
        unsafe { std::slice::from_raw_parts(self.key_at(), self.header().key_length as usize) }
    }

    /// When the key expires, in Unix milliseconds.
    #[inline]
    pub fn deadline(&self) -> Option<UnixMillis> {
        if self.meta() & DATED == 0 {
            return None;
        }
        // SAFETY: the flag says that the deadline follows the header, which is aligned to 8.
        Some(unsafe { self.0.add(1).cast::<u64>().read() })
    }

    /// Whether its deadline has passed: it counts as missing, and goes when somebody notices.
    #[inline]
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        self.deadline().is_some_and(|deadline| now > deadline)
    }

    /// Whoever holds the table must be told: see [`super::table::Table::note_deadline`].
    pub fn set_deadline(&mut self, deadline: Option<UnixMillis>) {
        match deadline {
            Some(deadline) if self.meta() & DATED != 0 => {
                // SAFETY: as in `deadline`, borrowed exclusively.
                unsafe { self.0.add(1).cast::<u64>().write(deadline) };
            }
            None if self.meta() & DATED == 0 => {}
            _ => {
                let moved = self.moved(self.key(), deadline);
                self.forget_into(moved);
            }
        }
    }

    /// A bitwise copy of the value under another key or deadline. The value then has two owners: one must be forgotten.
    fn moved(&self, key: &[u8], deadline: Option<UnixMillis>) -> Self {
        let header = self.header();
        let entry = Self::allocate(key, self.meta() & FLAGS & !DATED, header.value_length as usize, deadline);
        entry.set_lru(self.lru());
        // SAFETY: the capacity is at least the value's length.
        unsafe {
            entry.value_at().copy_from_nonoverlapping(self.value_at(), header.value_length as usize);
        }
        entry
    }

    /// Become `other`, freeing the allocation but not the value.
    fn forget_into(&mut self, other: Self) {
        let old = std::mem::replace(self, other);
        old.free();
    }

    /// Free the allocation but not what it points to.
    fn free(self) {
        let layout = layout(self.allocation());
        let base = self.0.as_ptr().cast();
        std::mem::forget(self);
        // SAFETY: allocated with the size the header still gave.
        unsafe { dealloc(base, layout) };
    }

    /// The same value, deadline and access field under another key.
    pub fn renamed(self, key: &[u8]) -> Self {
        let renamed = self.moved(key, self.deadline());
        self.free();
        renamed
    }

    #[inline]
    pub fn value(&self) -> ValueRef<'_> {
        match self.kind() {
            STRING => {
                let (bytes, raw) = (self.string(), self.meta() & RAW != 0);
                ValueRef::String { bytes, raw }
            }
            // SAFETY: the kind says what was written.
            INT => ValueRef::Int(unsafe { self.value_at().cast::<i64>().read_unaligned() }),
            // SAFETY: as above; the object lives as long as the entry.
            OBJECT => ValueRef::Object(unsafe { &*self.object_at() }),
            _ => ValueRef::String { bytes: self.large_bytes(), raw: self.meta() & RAW != 0 },
        }
    }

    pub fn value_mut(&mut self) -> ValueMut<'_> {
        match self.kind() {
            STRING => {
                let raw = self.meta() & RAW != 0;
                ValueMut::String { bytes: self.string_mut(), raw }
            }
            // SAFETY: the kind says what was written.
            INT => ValueMut::Int(unsafe { self.value_at().cast::<i64>().read_unaligned() }),
            // SAFETY: as above; borrowed exclusively.
            OBJECT => ValueMut::Object(unsafe { &mut *self.object_at() }),
            _ => {
                let raw = self.meta() & RAW != 0;
                ValueMut::String { bytes: self.large_mut(0), raw }
            }
        }
    }

    /// The bytes of a string value.
    fn string(&self) -> &[u8] {
        debug_assert_eq!(self.kind(), STRING);
        // SAFETY: the first `value_length` bytes of the capacity are written.
        unsafe { std::slice::from_raw_parts(self.value_at(), self.header().value_length as usize) }
    }

    fn string_mut(&mut self) -> &mut [u8] {
        debug_assert_eq!(self.kind(), STRING);
        // SAFETY: as in `string`, borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.value_at(), self.header().value_length as usize) }
    }

    /// # Safety
    /// The kind is `OBJECT`.
    unsafe fn object_at(&self) -> *mut Object {
        // SAFETY: by contract.
        unsafe { self.value_at().cast::<*mut Object>().read_unaligned() }
    }

    /// The string, if it is large enough to be shared instead of copied.
    pub fn large(&self) -> Option<Large> {
        // SAFETY: the kind says what was written; the entry's own reference stays where it is.
        (self.kind() == LARGE).then(|| unsafe { Large::clone(&self.large_at()) })
    }

    fn large_bytes(&self) -> &[u8] {
        debug_assert_eq!(self.kind(), LARGE);
        // SAFETY: `Arc::into_raw` gave a pointer to the string, which lives as long as the entry's reference to it, and
        // is changed through an exclusively borrowed entry only.
        unsafe { &*self.value_at().cast::<*const LargeString>().read_unaligned() }
    }

    /// # Safety
    /// The kind is `LARGE`.
    unsafe fn large_at(&self) -> ManuallyDrop<Large> {
        // SAFETY: by contract the value is what `Arc::into_raw` gave; the reference is counted once, for the entry.
        ManuallyDrop::new(unsafe {
            Arc::from_raw(self.value_at().cast::<*const LargeString>().read_unaligned())
        })
    }

    /// Make the value this string. Deadline and access field stay.
    pub fn put_large(&mut self, bytes: Large, raw: bool) {
        // SAFETY: the value has 8 bytes, which are written before anything reads them.
        unsafe {
            self.become_string(8, raw);
            self.value_at().cast::<*const LargeString>().write_unaligned(Arc::into_raw(bytes));
        }
        self.set_meta(self.meta() | LARGE);
    }

    /// The bytes of a string for changing them, with room for `length` of them: it is large from here on, and nobody
    /// shares it.
    fn large_mut(&mut self, length: usize) -> &mut Vec<u8> {
        let raw = self.meta() & RAW != 0;
        if self.kind() == STRING {
            let bytes = copy(self.string(), length);
            self.put_large(bytes, raw);
        }
        debug_assert_eq!(self.kind(), LARGE);
        // SAFETY: the kind was looked at; only the count is read through it.
        let mut large = unsafe { self.large_at() };
        if Arc::get_mut(&mut *large).is_none() {
            let bytes = copy(&large, length);
            self.put_large(bytes, raw);
        }
        // SAFETY: the entry's reference is the only one, and borrowed exclusively.
        let large = unsafe { &mut *self.value_at().cast::<*mut LargeString>().read_unaligned() };
        let bytes = large.bytes_mut();
        if length > bytes.capacity() {
            bytes.reserve_exact(proportioned(bytes.capacity(), length) - bytes.len());
        }
        bytes
    }

    /// Whether it is a string that [`large`](Self::large) would give.
    #[inline]
    pub fn is_large(&self) -> bool {
        self.kind() == LARGE
    }

    /// Whether [`set_bytes`](Self::set_bytes) with so many bytes gives up a large string, which takes time to free.
    pub fn gives_up_large(&self, length: usize) -> bool {
        self.kind() == LARGE && !self.overwrites_large(length)
    }

    /// Whether a large string can be overwritten in place by so many bytes without wasting half of it.
    fn overwrites_large(&self, length: usize) -> bool {
        if self.kind() != LARGE || length < LARGE_STRING {
            return false;
        }
        // SAFETY: the kind was looked at; only counts are read through it.
        let mut large = unsafe { self.large_at() };
        Arc::get_mut(&mut *large)
            .is_some_and(|bytes| (bytes.capacity() / 2..=bytes.capacity()).contains(&length))
    }

    #[inline]
    pub fn object(&self) -> Option<&Object> {
        match self.value() {
            ValueRef::Object(object) => Some(object),
            _ => None,
        }
    }

    #[inline]
    pub fn object_mut(&mut self) -> Option<&mut Object> {
        match self.value_mut() {
            ValueMut::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The 24-bit access field, see [`super::evict`]. It is no part of the value: a reader may set it.
    #[inline]
    pub fn lru(&self) -> u32 {
        self.meta() >> LRU_SHIFT
    }

    #[inline]
    pub fn set_lru(&self, field: u32) {
        self.set_meta(self.meta() & FLAGS | field << LRU_SHIFT);
    }

    /// Make the value a string of these bytes. Deadline and access field stay.
    pub fn set_bytes(&mut self, bytes: &[u8], raw: bool) {
        if bytes.len() >= LARGE_STRING {
            return self.set_large(bytes, raw);
        }
        // SAFETY: the bytes are written before anything reads them.
        unsafe {
            self.become_string(bytes.len(), raw);
            self.value_at().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }

    #[cold]
    fn set_large(&mut self, bytes: &[u8], raw: bool) {
        if self.overwrites_large(bytes.len()) {
            let large = self.large_mut(0);
            large.clear();
            large.extend_from_slice(bytes);
            self.set_meta(self.meta() & !RAW | if raw { RAW } else { 0 });
        } else {
            self.put_large(Arc::new(bytes.to_vec().into()), raw);
        }
    }

    /// Make the value an inline string of some length.
    ///
    /// # Safety
    /// The caller writes all its bytes before anything reads them.
    unsafe fn become_string(&mut self, length: usize, raw: bool) {
        self.drop_pointee();
        let capacity = self.header().capacity as usize;
        let wasteful = capacity > 64 && length < capacity / 2;
        if length > capacity || wasteful {
            let fresh = Self::allocate(self.key(), STRING, length, self.deadline());
            fresh.set_lru(self.lru());
            self.forget_into(fresh);
        }
        self.header_mut().value_length = length32(length);
        self.set_meta(self.meta() & !(KIND | RAW) | STRING | if raw { RAW } else { 0 });
    }

    /// Drop what the value points to, if it does; it is an integer afterwards.
    #[inline]
    fn drop_pointee(&mut self) {
        if self.kind() >= OBJECT {
            self.drop_pointed();
        }
    }

    fn drop_pointed(&mut self) {
        let kind = self.kind();
        let value = self.value_at();
        self.set_meta(self.meta() & !KIND | INT);
        // SAFETY: the kind said what the value points to and that it is owned; from here on it is not.
        unsafe {
            let pointer = value.cast::<*mut u8>().read_unaligned();
            value.cast::<i64>().write_unaligned(0);
            if kind == OBJECT {
                drop(Box::from_raw(pointer.cast::<Object>()));
            } else {
                drop(Large::from_raw(pointer.cast::<LargeString>()));
            }
        }
    }

    /// Make the value an integer. Deadline and access field stay.
    pub fn set_int(&mut self, int: i64) {
        // SAFETY: an integer's value has 8 bytes; where a string was, they are written before anything reads them.
        unsafe {
            if self.kind() != INT {
                self.become_string(8, false);
                self.set_meta(self.meta() & !KIND | INT);
            }
            self.value_at().cast::<i64>().write_unaligned(int);
        }
    }

    /// Append to a string, or to the digits of an integer, which becomes `raw`; returns the new length.
    ///
    /// Panics if the value is an object.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let old = self.make_raw();
        let new = old + bytes.len();
        if new >= LARGE_STRING || self.kind() == LARGE {
            self.large_mut(new).extend_from_slice(bytes);
            return new;
        }
        self.reserve(new);
        // SAFETY: inside the capacity, borrowed exclusively.
        unsafe { self.value_at().add(old).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        self.header_mut().value_length = length32(new);
        new
    }

    /// The bytes of a string, or of the digits of an integer, which becomes `raw`, for changing in place; cut to
    /// `length` or filled up with zeroes.
    ///
    /// Panics if the value is an object.
    pub fn bytes_mut(&mut self, length: usize) -> &mut [u8] {
        let old = self.make_raw();
        if length >= LARGE_STRING || self.kind() == LARGE {
            let large = self.large_mut(length);
            large.resize(length, 0);
            return large;
        }
        self.reserve(length);
        if length > old {
            // SAFETY: inside the capacity, borrowed exclusively.
            unsafe { self.value_at().add(old).write_bytes(0, length - old) };
        }
        self.header_mut().value_length = length32(length);
        self.string_mut()
    }

    /// Make a string, or an integer's digits, a `raw` string; returns its length.
    fn make_raw(&mut self) -> usize {
        match self.value() {
            ValueRef::Int(int) => self.set_bytes(itoa::Buffer::new().format(int).as_bytes(), true),
            ValueRef::String { .. } => self.set_meta(self.meta() | RAW),
            ValueRef::Object(_) => unreachable!("only strings have bytes"),
        }
        self.value().text_len()
    }

    /// Let the capacity of an inline string be at least `length`, growing in proportion.
    fn reserve(&mut self, length: usize) {
        let (old, capacity) = (self.allocation(), self.header().capacity as usize);
        if length <= capacity {
            return;
        }
        let fixed = old - capacity;
        let target = (fixed + proportioned(capacity, length)).next_multiple_of(8) - fixed;
        let target = u32::try_from(target).unwrap_or(length32(length));
        let size = fixed + target as usize;
        // SAFETY: allocated with the layout the header gives; the new size is larger.
        let base = unsafe { realloc(self.0.as_ptr().cast(), layout(old), layout(size).size()) };
        let Some(base) = NonNull::new(base) else { handle_alloc_error(layout(size)) };
        self.0 = base.cast();
        self.header_mut().capacity = target;
    }

    /// Put another value in and take the old one out. Deadline and access field stay.
    pub fn replace_value(&mut self, value: Value) -> Value {
        let fresh = Self::new(self.key(), value, self.deadline());
        fresh.set_lru(self.lru());
        std::mem::replace(self, fresh).into_value()
    }

    /// The value alone.
    pub fn into_value(self) -> Value {
        match self.value() {
            ValueRef::Int(int) => Value::Int(int),
            ValueRef::String { raw, .. } if self.kind() == LARGE => {
                // SAFETY: the kind was looked at; `free` does not drop the string, which is the caller's from here on.
                let bytes = ManuallyDrop::into_inner(unsafe { self.large_at() });
                self.free();
                Value::Large { bytes, raw }
            }
            ValueRef::String { bytes, raw } => Value::String { bytes: bytes.to_vec(), raw },
            ValueRef::Object(_) => {
                // SAFETY: the kind was looked at; `free` does not drop the object, which the box owns from here on.
                let object = unsafe { Box::from_raw(self.object_at()) };
                self.free();
                Value::Object(object)
            }
        }
    }
}

/// The capacity to grow to for `length` bytes.
fn proportioned(capacity: usize, length: usize) -> usize {
    length.max(if capacity < DOUBLING { capacity * 2 } else { capacity + capacity / 4 })
}

/// A copy that is nobody else's, with room for `length` bytes.
fn copy(bytes: &[u8], length: usize) -> Large {
    let mut copy = Vec::with_capacity(length.max(bytes.len()));
    copy.extend_from_slice(bytes);
    Arc::new(copy.into())
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("at most three 32-bit lengths")
}

fn length32(length: usize) -> u32 {
    u32::try_from(length).expect("lengths are bounded before an entry is made")
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.drop_pointee();
        let layout = layout(self.allocation());
        // SAFETY: allocated with the size the header still gives.
        unsafe { dealloc(self.0.as_ptr().cast(), layout) };
    }
}

impl Slot for Entry {
    #[inline]
    fn key(&self) -> &[u8] {
        Entry::key(self)
    }
    #[inline]
    fn deadline(&self) -> u64 {
        Entry::deadline(self).unwrap_or(u64::MAX)
    }
    /// Two lines: a small key with a small value is rarely in one.
    #[inline]
    fn prefetch(&self) {
        let base = self.0.as_ptr().cast::<u8>();
        prefetch_line(base);
        prefetch_line(base.wrapping_add(64));
    }
}

impl Clone for Entry {
    fn clone(&self) -> Self {
        let copy = match self.value() {
            ValueRef::Object(object) => {
                Self::with_object(self.key(), Box::new(object.clone()), self.deadline())
            }
            ValueRef::String { bytes, raw } => Self::with_bytes(self.key(), bytes, raw, self.deadline()),
            ValueRef::Int(_) => self.moved(self.key(), self.deadline()),
        };
        copy.set_lru(self.lru());
        copy
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.key().escape_ascii())?;
        match self.value() {
            ValueRef::Int(int) => write!(f, "{int}")?,
            ValueRef::String { bytes, .. } => write!(f, "\"{}\"", bytes.escape_ascii())?,
            ValueRef::Object(object) => write!(f, "{}", object.type_name())?,
        }
        self.deadline().map_or(Ok(()), |deadline| write!(f, " until {deadline}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::table::Table;
    use crate::value::list::List;

    fn set() -> Value {
        Value::Object(Box::new(Object::List(List::new())))
    }

    fn string(bytes: &[u8]) -> Value {
        Value::String { bytes: bytes.to_vec(), raw: false }
    }

    /// What an entry is, as plain data.
    fn seen(entry: &Entry) -> (Vec<u8>, String, Option<UnixMillis>, u32) {
        let value = match entry.value() {
            ValueRef::Int(int) => format!("int {int}"),
            ValueRef::String { bytes, raw } => {
                format!("{} {}", if raw { "raw" } else { "embstr" }, bytes.escape_ascii())
            }
            ValueRef::Object(object) => object.type_name().to_owned(),
        };
        assert_eq!(Slot::deadline(entry), entry.deadline().unwrap_or(u64::MAX));
        assert!(entry.memory() >= entry.allocation());
        (entry.key().to_vec(), value, entry.deadline(), entry.lru())
    }

    fn expect(entry: &Entry, key: &[u8], value: &str, deadline: Option<UnixMillis>, lru: u32) {
        assert_eq!(seen(entry), (key.to_vec(), value.to_owned(), deadline, lru));
    }

    #[test]
    fn a_deadline_comes_and_goes_without_touching_the_rest() {
        for (value, shown) in
            [(string(b"value"), "embstr value"), (Value::Int(-5), "int -5"), (set(), "list")]
        {
            for key in [&b""[..], b"k", b"a key of some length"] {
                let mut entry = Entry::new(key, value.clone(), None);
                entry.set_lru(0xab_cdef);
                for deadline in [None, Some(7), Some(u64::MAX - 1), None, None, Some(1)] {
                    entry.set_deadline(deadline);
                    expect(&entry, key, shown, deadline, 0xab_cdef);
                    expect(&entry.clone(), key, shown, deadline, 0xab_cdef);
                }
                let renamed = entry.renamed(b"another name altogether");
                expect(&renamed, b"another name altogether", shown, Some(1), 0xab_cdef);
            }
        }
    }

    #[test]
    fn any_kind_of_value_follows_any_other() {
        let kinds: [fn() -> Value; 4] = [|| string(b"s"), || string(&[b'x'; 300]), || Value::Int(9), set];
        for first in kinds {
            for second in kinds {
                let mut entry = Entry::new(b"key", first(), Some(3));
                entry.set_lru(5);
                let before = seen(&entry).1;
                let shown = seen(&Entry::new(b"key", second(), None)).1;
                let old = entry.replace_value(second());
                expect(&entry, b"key", &shown, Some(3), 5);
                assert_eq!(seen(&Entry::new(b"key", old, None)).1, before);
                let value = entry.into_value();
                assert_eq!(seen(&Entry::new(b"key", value, None)).1, shown);
            }
            let mut entry = Entry::new(b"key", first(), Some(3));
            entry.set_bytes(b"short", false);
            expect(&entry, b"key", "embstr short", Some(3), 0);
            let mut entry = Entry::new(b"key", first(), Some(3));
            entry.set_lru(1);
            entry.set_int(i64::MIN);
            expect(&entry, b"key", &format!("int {}", i64::MIN), Some(3), 1);
            entry.set_bytes(&[b'y'; 100], true);
            expect(&entry, b"key", &format!("raw {}", "y".repeat(100)), Some(3), 1);
        }
    }

    #[test]
    fn strings_grow_in_place_and_by_proportion() {
        let mut entry = Entry::with_int(b"key", 12, Some(9));
        assert_eq!(entry.append(b"34"), 4);
        expect(&entry, b"key", "raw 1234", Some(9), 0);
        assert_eq!(entry.bytes_mut(6), b"1234\0\0");
        entry.bytes_mut(6)[5] = b'z';
        assert_eq!(entry.bytes_mut(2), b"12");
        assert_eq!(entry.bytes_mut(7), b"12\0\0\0\0\0", "what was cut does not come back");
        let (mut moves, mut allocation) = (0, entry.allocation());
        for n in 0..10_000 {
            entry.append(&[n as u8]);
            if entry.allocation() != allocation {
                (moves, allocation) = (moves + 1, entry.allocation());
            }
        }
        assert!(moves < 20, "{moves}");
        let bytes = entry.bytes_mut(10_007);
        assert!((0..10_000).all(|n| bytes[7 + n] == n as u8));
        entry.set_bytes(b"little", false);
        assert!(entry.allocation() < 100, "overwriting gives a large allocation back");
    }

    #[test]
    fn overwriting_keeps_the_allocation_when_it_fits() {
        let mut entry = Entry::with_bytes(b"0123456789abcdef", &[1; 64], true, None);
        assert_eq!(entry.allocation(), 96, "a 16-byte key with a 64-byte value");
        let address = entry.value_at();
        for length in [64, 60, 40, 33, 64] {
            entry.set_bytes(&vec![2; length], true);
            assert_eq!(entry.value_at(), address);
            assert_eq!(entry.bytes_mut(length), vec![2; length]);
        }
        assert_eq!(Entry::with_bytes(b"0123456789abcdef", &[1; 16], false, None).allocation(), 48);
        assert_eq!(Entry::with_int(b"0123456789abcdef", 1, Some(1)).allocation(), 48);
    }

    #[test]
    fn a_large_string_is_any_string() {
        let large = vec![b'l'; LARGE_STRING];
        let kinds: [fn(&mut Entry); 4] = [
            |entry| entry.set_bytes(b"small", false),
            |entry| entry.set_int(7),
            |entry| drop(entry.replace_value(set())),
            |entry| entry.set_bytes(&vec![b'm'; LARGE_STRING + 1], false),
        ];
        for change in kinds {
            let mut entry = Entry::with_bytes(b"key", &large, true, None);
            assert!(entry.is_large() && entry.memory() >= LARGE_STRING && entry.allocation() < 100);
            entry.set_lru(9);
            entry.set_deadline(Some(4));
            let mut entry = entry.renamed(b"other");
            assert!(matches!(entry.value(), ValueRef::String { bytes, raw: true } if bytes == large));
            let (shared, copy) = (entry.large().unwrap(), entry.clone());
            change(&mut entry);
            assert_eq!((entry.key(), entry.deadline(), entry.lru()), (&b"other"[..], Some(4), 9));
            assert_eq!(seen(&copy).1, format!("raw {}", "l".repeat(LARGE_STRING)), "a copy is its own");
            assert_eq!(**shared, large, "who shares it keeps it");
            entry.set_bytes(&large, false);
            assert!(matches!(entry.value(), ValueRef::String { bytes, raw: false } if bytes == large));
        }
    }

    #[test]
    fn a_shared_string_is_copied_to_be_changed() {
        let mut entry = Entry::with_bytes(b"key", &[b'a'; LARGE_STRING - 1], false, None);
        assert!(!entry.is_large());
        assert_eq!(entry.append(b"b"), LARGE_STRING);
        assert!(entry.is_large());
        let address = entry.large_bytes().as_ptr();
        entry.bytes_mut(LARGE_STRING)[0] = b'c';
        assert_eq!(entry.large_bytes().as_ptr(), address, "nobody shares it");

        let shared = entry.large().unwrap();
        entry.bytes_mut(LARGE_STRING)[1] = b'd';
        assert_eq!((&shared[..3], &entry.large_bytes()[..3]), (&b"caa"[..], &b"cda"[..]));
        let shared = entry.large().unwrap();
        if let ValueMut::String { bytes, raw: true } = entry.value_mut() {
            bytes[2] = b'e';
        }
        assert_eq!((&shared[..3], &entry.large_bytes()[..3]), (&b"cda"[..], &b"cde"[..]));
        let shared = entry.large().unwrap();
        assert_eq!(entry.append(b"f"), LARGE_STRING + 1);
        assert_eq!((shared.len(), entry.large_bytes().len()), (LARGE_STRING, LARGE_STRING + 1));

        let length = entry.large_bytes().len();
        assert!(!entry.gives_up_large(length), "it is overwritten in place");
        assert!(entry.gives_up_large(5));
        let shared = entry.large().unwrap();
        assert!(entry.gives_up_large(length), "it is not where somebody shares it");
        let address = shared.as_ptr();
        let Value::Large { bytes, raw: true } = entry.into_value() else { panic!("a large string") };
        assert_eq!(bytes.as_ptr(), address, "nothing is copied");
    }

    #[test]
    fn appending_to_a_large_string_is_amortised() {
        let mut entry = Entry::with_bytes(b"key", &[0; LARGE_STRING], false, None);
        let (mut moves, mut address) = (0, entry.large_bytes().as_ptr());
        for _ in 0..10_000 {
            entry.append(&[1; 100]);
            if entry.large_bytes().as_ptr() != address {
                (moves, address) = (moves + 1, entry.large_bytes().as_ptr());
            }
        }
        assert!(moves < 10, "{moves}");
    }

    #[test]
    fn values_are_changed_in_place() {
        let mut entry = Entry::new(b"key", string(b"abc"), None);
        if let ValueMut::String { bytes, raw: false } = entry.value_mut() {
            bytes.make_ascii_uppercase();
        }
        expect(&entry, b"key", "embstr ABC", None, 0);
        assert!(entry.object_mut().is_none());
        let mut entry = Entry::new(b"key", set(), None);
        let Some(Object::List(list)) = entry.object_mut() else { panic!("a list") };
        assert!(list.is_empty());
    }

    #[test]
    fn entries_change_their_size_inside_a_table() {
        let mut table: Table<Entry, 8> = Table::new(3);
        let rounds = if cfg!(miri) { 60 } else { 2_000u32 };
        for n in 0..rounds {
            table.insert(Entry::with_bytes(&n.to_le_bytes(), b"v", false, (n % 2 == 0).then_some(5)));
        }
        for n in 0..rounds {
            let key = n.to_le_bytes();
            let hash = table.hash(&key);
            let entry = table.find_mut_hashed(hash, &key).unwrap();
            entry.append(&[b'w'; 50]);
            entry.set_deadline((n % 3 == 0).then_some(6));
            let (old, new) = (if n % 2 == 0 { 5 } else { u64::MAX }, if n % 3 == 0 { 6 } else { u64::MAX });
            table.note_deadline(hash, old, new);
        }
        assert_eq!(table.deadlines(), rounds.div_ceil(3) as usize);
        assert!(
            table
                .iter()
                .all(|e| matches!(e.value(), ValueRef::String { bytes, raw: true } if bytes.len() == 51))
        );
    }
}
