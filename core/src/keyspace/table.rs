//! The hash table of the keyspace and of large collections: extendible hashing in small segments.
//!
//! What lives here: placement, lookup, growth and shrinkage, the cursor of SCAN, random choice, the sweep for expired
//! elements. What does not: what an element is ([`Slot`] asks for its key and its deadline), what the time is, what
//! happens when something expires.
//!
//! # Why a table of our own
//!
//! Four promises meet in it: growth without a pause, SCAN's guarantee across growth, per-region metadata (a snapshot
//! asks for versions, expiry for the earliest deadline), and batched prefetch. Considered: a flat table with
//! incremental rehash into a second one (two probes while rehashing, bursts of page faults, no regions) and an
//! off-the-shelf Swiss table (rehashes everything at once, no stable cursor, no prefetch). What would change our mind:
//! a measured lookup that loses more to the directory than the flat table loses to its second probe.
//!
//! # Layout
//!
//! ```text
//! root ──► chunk ──► segment: one allocation of 2..64 cache lines
//!                    ┌────────┬────────┬─────┬────────┬───────┬─────┐
//!                    │ header │ home 0 │ ... │ home n │ stash │ ... │
//!                    └────────┴────────┴─────┴────────┴───────┴─────┘
//! line (64 bytes):   [tag 7 x u8, 0 = empty][displaced: u8][element 7 x 8 bytes]
//! displaced:         low 3 bits: elements homed here that sit in the next home line
//!                    high 5 bits: elements homed here that sit in the stash; 31 = "31 or more, or in the overflow
//!                    list" and stays so until the segment is rebuilt
//!
//! hash (64 bits):    [prefix 32: directory][fraction 22: home line][2 unused][tag 8]
//! cursor (54 bits):  [prefix 32, its length marked by a trailing 1][fraction 22]; 0 = start and end
//! ```
//!
//! An element goes to its home line, else to the next home line, else to the stash, else the segment makes room: it
//! grows to the next size, or splits in two by one more bit of the prefix. The home line is `fraction * n >> 22`, so
//! positions keep their order whatever `n` is and a cursor survives every change of size. The header takes the place of
//! one stash line: counts, version and earliest deadline are touched by writes only, and a read finds all it needs
//! (the address and `n`, in the low bits of the address) in the directory.
//!
//! The directory has two levels so that doubling never copies more than one chunk: one chunk while the table is small,
//! then 256 chunks that double each on its own.
//!
//! # Invariants
//!
//! - A segment of depth `d` owns the interval of prefixes that share its top `d` bits, and exactly the directory
//!   entries of that interval name it.
//! - Every element of a segment that is not in its home line is counted in that line's `displaced` byte.
//! - `min_deadline` is a lower bound of the deadlines in the segment.
//!
//! # Costs
//!
//! Lookup: the directory (hot), one line, the element. Every change is bounded by one or two segments (fewer than 450
//! elements each) and one chunk of the directory. Keys whose hashes agree in all used bits end in a list that is
//! searched linearly: the hash is keyed, so whoever does not know the seed cannot choose such keys.
#![allow(unsafe_code)]

use foldhash::SharedSeed;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::hash::Hasher;
use std::marker::PhantomData;
use std::mem::{MaybeUninit, size_of};
use std::ptr::{self, NonNull};

/// What the table asks of an element. The element is an owned pointer-sized value: 8 bytes.
///
/// A wrong implementation (a key that changes while in the table) gives wrong answers, never memory errors.
pub trait Slot {
    fn key(&self) -> &[u8];
    /// When the element expires, in Unix milliseconds; `u64::MAX` = never.
    fn deadline(&self) -> u64 {
        u64::MAX
    }
    /// Ask the memory system for the first line of what the element points to.
    fn prefetch(&self) {}
}

/// Ask the memory system for the line at `address`; any address will do, it is a hint only.
#[inline(always)]
pub fn prefetch_line<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch never faults.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

const SLOTS: usize = 7;
const LINE: usize = 64;
const FRACTION_BITS: u32 = 22;
const FRACTION_SHIFT: u32 = 10;
/// A prefix of 31 bits and its end mark fill 32 bits of the cursor.
const MAX_DEPTH: u32 = 31;
const STASH_MANY: u8 = 31;

/// Sizes of a segment: (lines without the header, home lines among them).
const CLASSES: [(u8, u8); 11] =
    [(1, 1), (2, 2), (3, 3), (5, 4), (7, 6), (11, 10), (15, 13), (23, 20), (31, 28), (47, 42), (63, 56)];

#[repr(C, align(64))]
struct Line<E> {
    tags: [u8; SLOTS],
    displaced: u8,
    slots: [MaybeUninit<E>; SLOTS],
}

#[repr(C, align(64))]
struct Header<E> {
    min_deadline: u64,
    /// Elements no line has room for although the segment is no fuller than others: equal hashes.
    overflow: Vec<E>,
    version: u32,
    count: u32,
    deadlines: u32,
    prefix: u32,
    depth: u8,
    class: u8,
}

const _: () = assert!(size_of::<Line<u64>>() == LINE && size_of::<Header<u64>>() == LINE);

/// A segment as the directory names it: the address of its header, with the number of home lines in the low six bits.
struct Segment<E>(NonNull<Header<E>>);

impl<E> Clone for Segment<E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<E> Copy for Segment<E> {}
impl<E> PartialEq for Segment<E> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// Where an element sits in its segment.
#[derive(Clone, Copy)]
struct Place {
    /// Line number, or `OVERFLOW`.
    line: usize,
    slot: usize,
}

const OVERFLOW: usize = usize::MAX;

/// Slots of a line that satisfy something, lowest first.
#[derive(Clone, Copy)]
struct Matches(u64);

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
const MATCH_SHIFT: u32 = 0;
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
const MATCH_SHIFT: u32 = 3;

/// The slots whose tag is `tag`, from the first word of a line.
#[inline(always)]
fn matches(word: u64, tag: u8) -> Matches {
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    // SAFETY: SSE2 is part of the target.
    #[allow(unused_unsafe)]
    unsafe {
        use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_cvtsi64_si128, _mm_movemask_epi8, _mm_set1_epi8};
        let equal = _mm_cmpeq_epi8(_mm_cvtsi64_si128(word as i64), _mm_set1_epi8(tag as i8));
        Matches((_mm_movemask_epi8(equal) & 0x7f) as u64)
    }
    #[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
    Matches(matches_portable(word, tag))
}

/// One high bit a matching byte, exact: the addition of seven-bit parts never carries into the next byte.
#[cfg_attr(all(target_arch = "x86_64", target_feature = "sse2"), allow(dead_code))]
#[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "sse2"))))]
fn matches_portable(word: u64, tag: u8) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let differing = word ^ (u64::from(tag) * 0x0101_0101_0101_0101);
    let nonzero = ((differing & LOW) + LOW) | differing;
    !nonzero & 0x0080_8080_8080_8080
}

impl Iterator for Matches {
    type Item = usize;
    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let slot = (self.0.trailing_zeros() >> MATCH_SHIFT) as usize;
        self.0 &= self.0 - 1;
        Some(slot)
    }
}

#[inline(always)]
fn tag_of(hash: u64) -> u8 {
    (hash as u8).max(1)
}

#[inline(always)]
fn fraction_of(hash: u64) -> u32 {
    (hash >> FRACTION_SHIFT) as u32 & ((1 << FRACTION_BITS) - 1)
}

/// The home line of a fraction in a segment of `homes` home lines.
#[inline(always)]
fn home_of(fraction: u32, homes: usize) -> usize {
    ((u64::from(fraction) * homes as u64) >> FRACTION_BITS) as usize
}

/// The smallest fraction whose home line is `line`.
fn fraction_start(line: usize, homes: usize) -> u32 {
    (((line as u64) << FRACTION_BITS).div_ceil(homes as u64)) as u32
}

/// The prefixes of depth `depth` from `prefix` on, as a count; 2^32 at depth 0.
#[inline]
fn width(depth: u32) -> u64 {
    1 << (32 - depth)
}

impl<E> Segment<E> {
    fn layout(class: usize) -> Layout {
        Layout::from_size_align((usize::from(CLASSES[class].0) + 1) * LINE, LINE).expect("a few KiB")
    }

    fn allocate(class: usize, prefix: u32, depth: u32) -> Self {
        const { assert!(size_of::<E>() == 8 && align_of::<E>() <= 8, "elements are pointer-sized") };
        let layout = Self::layout(class);
        // SAFETY: the layout is not empty.
        let base = unsafe { alloc_zeroed(layout) }.cast::<Header<E>>();
        let Some(base) = NonNull::new(base) else { handle_alloc_error(layout) };
        let header = Header {
            min_deadline: u64::MAX,
            overflow: Vec::new(),
            version: 0,
            count: 0,
            deadlines: 0,
            prefix,
            depth: depth as u8,
            class: class as u8,
        };
        // SAFETY: freshly allocated, aligned, large enough for header and lines; zeroed tags mean empty lines.
        unsafe { base.write(header) };
        let homes = usize::from(CLASSES[class].1);
        Self(base.map_addr(|address| address | homes))
    }

    #[inline(always)]
    fn homes(self) -> usize {
        self.0.addr().get() & (LINE - 1)
    }

    #[inline(always)]
    fn header(self) -> *mut Header<E> {
        self.0.as_ptr().map_addr(|address| address & !(LINE - 1))
    }

    /// # Safety
    /// The segment is alive and nobody else holds a reference to its header for `'a`.
    #[inline(always)]
    unsafe fn head<'a>(self) -> &'a mut Header<E> {
        // SAFETY: by contract.
        unsafe { &mut *self.header() }
    }

    #[inline(always)]
    fn line(self, line: usize) -> *mut Line<E> {
        self.header().cast::<Line<E>>().wrapping_add(1 + line)
    }

    /// # Safety
    /// The segment is alive; `line < lines`.
    #[inline(always)]
    unsafe fn word(self, line: usize) -> u64 {
        // SAFETY: the first eight bytes of a line are initialised bytes, and a line is aligned to 64.
        u64::from_le(unsafe { self.line(line).cast::<u64>().read() })
    }

    /// # Safety
    /// The segment is alive; `line < lines`.
    #[inline(always)]
    unsafe fn displaced(self, line: usize) -> *mut u8 {
        // SAFETY: inside the allocation.
        unsafe { &raw mut (*self.line(line)).displaced }
    }

    /// # Safety
    /// The segment is alive; `line < lines`, `slot < 7`. The element may only be read when its tag is not 0.
    #[inline(always)]
    unsafe fn slot(self, line: usize, slot: usize) -> *mut E {
        // SAFETY: inside the allocation.
        unsafe { (&raw mut (*self.line(line)).slots).cast::<E>().add(slot) }
    }

    /// # Safety
    /// As [`Self::slot`].
    #[inline(always)]
    unsafe fn tag(self, line: usize, slot: usize) -> *mut u8 {
        // SAFETY: inside the allocation.
        unsafe { (&raw mut (*self.line(line)).tags).cast::<u8>().add(slot) }
    }

    /// # Safety
    /// The segment is alive and the place is occupied.
    #[inline(always)]
    unsafe fn at(self, place: Place) -> *mut E {
        // SAFETY: by contract; an overflow place is an index into the list.
        unsafe {
            if place.line == OVERFLOW {
                self.head().overflow.as_mut_ptr().add(place.slot)
            } else {
                self.slot(place.line, place.slot)
            }
        }
    }

    /// As [`Self::at`], for readers that share the segment.
    ///
    /// # Safety
    /// The segment is alive and the place is occupied.
    #[inline(always)]
    unsafe fn peek<'a>(self, place: Place) -> &'a E {
        // SAFETY: by contract.
        unsafe {
            if place.line == OVERFLOW {
                let list = &(*self.header()).overflow;
                &list[place.slot]
            } else {
                &*self.slot(place.line, place.slot)
            }
        }
    }

    /// Lines without the header.
    ///
    /// # Safety
    /// The segment is alive.
    unsafe fn lines(self) -> usize {
        // SAFETY: by contract.
        usize::from(CLASSES[usize::from(unsafe { (*self.header()).class })].0)
    }

    /// # Safety
    /// The segment is alive.
    unsafe fn depth(self) -> u32 {
        // SAFETY: by contract.
        u32::from(unsafe { (*self.header()).depth })
    }

    /// # Safety
    /// The segment is alive.
    unsafe fn prefix(self) -> u32 {
        // SAFETY: by contract.
        unsafe { (*self.header()).prefix }
    }

    /// Free the memory; the elements must have been moved out.
    ///
    /// # Safety
    /// The segment is alive, nobody uses it afterwards.
    unsafe fn free(self) {
        // SAFETY: by contract; the overflow list is emptied without dropping what it held.
        unsafe {
            let header = self.header();
            let class = usize::from((*header).class);
            let mut list = std::mem::take(&mut (*header).overflow);
            list.set_len(0);
            dealloc(header.cast(), Self::layout(class));
        }
    }

    /// # Safety
    /// The segment is alive; the line exists.
    #[inline(always)]
    unsafe fn find_in_line(self, line: usize, tag: u8, key: &[u8]) -> Option<Place>
    where
        E: Slot,
    {
        // SAFETY: a nonzero tag says that the slot holds an element.
        unsafe {
            for slot in matches(self.word(line), tag) {
                if (*self.slot(line, slot)).key() == key {
                    return Some(Place { line, slot });
                }
            }
        }
        None
    }

    /// Look where an element may be that is not in its home line.
    ///
    /// # Safety
    /// The segment is alive.
    #[cold]
    #[inline(never)]
    unsafe fn find_displaced(self, home: usize, hash: u64, key: &[u8]) -> Option<Place>
    where
        E: Slot,
    {
        let (homes, tag) = (self.homes(), tag_of(hash));
        // SAFETY: all line numbers are below `lines`.
        unsafe {
            let displaced = *self.displaced(home);
            if displaced & 7 != 0
                && let Some(place) = self.find_in_line(next_line(home, homes), tag, key)
            {
                return Some(place);
            }
            if displaced >> 3 != 0 {
                for line in stash_order(homes, self.lines(), hash) {
                    if let Some(place) = self.find_in_line(line, tag, key) {
                        return Some(place);
                    }
                }
            }
            if displaced >> 3 == STASH_MANY {
                let list = &(*self.header()).overflow;
                return list.iter().position(|e| e.key() == key).map(|slot| Place { line: OVERFLOW, slot });
            }
        }
        None
    }

    /// # Safety
    /// The segment is alive.
    #[inline(always)]
    unsafe fn locate(self, hash: u64, key: &[u8]) -> Option<Place>
    where
        E: Slot,
    {
        let home = home_of(fraction_of(hash), self.homes());
        // SAFETY: `home < homes <= lines`.
        unsafe {
            if let Some(place) = self.find_in_line(home, tag_of(hash), key) {
                return Some(place);
            }
            if *self.displaced(home) == 0 { None } else { self.find_displaced(home, hash, key) }
        }
    }

    /// Put an element into a free slot of home line, next line or stash. Counts displacement, nothing else.
    ///
    /// # Safety
    /// The segment is alive. On success the element is owned by the segment.
    unsafe fn place(self, hash: u64, element: *const E) -> Option<Place> {
        let (homes, tag) = (self.homes(), tag_of(hash));
        let home = home_of(fraction_of(hash), homes);
        // SAFETY: all line numbers are below `lines`; a zero tag says that the slot is free.
        unsafe {
            let put = |line: usize| {
                let slot = matches(self.word(line), 0).next()?;
                self.slot(line, slot).write(element.read());
                *self.tag(line, slot) = tag;
                Some(Place { line, slot })
            };
            if let Some(place) = put(home) {
                return Some(place);
            }
            let next = next_line(home, homes);
            if next != home
                && let Some(place) = put(next)
            {
                *self.displaced(home) += 1;
                return Some(place);
            }
            for line in stash_order(homes, self.lines(), hash) {
                if let Some(place) = put(line) {
                    if *self.displaced(home) >> 3 != STASH_MANY {
                        *self.displaced(home) += 1 << 3;
                    }
                    return Some(place);
                }
            }
        }
        None
    }

    /// Put an element where hashes that cannot be told apart go.
    ///
    /// # Safety
    /// The segment is alive. The element is owned by the segment afterwards.
    unsafe fn place_in_overflow(self, hash: u64, element: *const E) -> Place {
        let home = home_of(fraction_of(hash), self.homes());
        // SAFETY: by contract.
        unsafe {
            *self.displaced(home) |= STASH_MANY << 3;
            let list = &mut self.head().overflow;
            list.push(element.read());
            Place { line: OVERFLOW, slot: list.len() - 1 }
        }
    }

    /// Move the element out of its place.
    ///
    /// # Safety
    /// The segment is alive, the place is occupied by an element of that hash.
    unsafe fn take(self, hash: u64, place: Place) -> E {
        let homes = self.homes();
        let home = home_of(fraction_of(hash), homes);
        // SAFETY: by contract.
        unsafe {
            if place.line == OVERFLOW {
                return self.head().overflow.swap_remove(place.slot);
            }
            if place.line >= homes {
                if *self.displaced(home) >> 3 != STASH_MANY {
                    *self.displaced(home) -= 1 << 3;
                }
            } else if place.line != home {
                *self.displaced(home) -= 1;
            }
            *self.tag(place.line, place.slot) = 0;
            self.slot(place.line, place.slot).read()
        }
    }

    /// Every occupied place.
    ///
    /// # Safety
    /// The segment stays alive while the iterator is used.
    unsafe fn places(self) -> Places<E> {
        // SAFETY: by contract.
        let lines = unsafe { self.lines() };
        Places { segment: self, line: 0, lines, current: Matches(0), started: false, overflow: 0 }
    }
}

#[inline(always)]
fn next_line(home: usize, homes: usize) -> usize {
    if home + 1 == homes { 0 } else { home + 1 }
}

/// The stash lines, beginning where the hash says, so that a lightly used stash costs one probe.
#[inline]
fn stash_order(homes: usize, lines: usize, hash: u64) -> impl Iterator<Item = usize> {
    let stash = lines - homes;
    let first = if stash == 0 { 0 } else { hash as u8 as usize % stash };
    (first..stash).chain(0..first).map(move |i| homes + i)
}

struct Places<E> {
    segment: Segment<E>,
    line: usize,
    lines: usize,
    current: Matches,
    started: bool,
    overflow: usize,
}

#[inline(always)]
fn occupied(word: u64) -> Matches {
    let free = matches(word, 0).0;
    Matches(!free & if MATCH_SHIFT == 0 { 0x7f } else { 0x0080_8080_8080_8080 })
}

impl<E> Iterator for Places<E> {
    type Item = Place;
    fn next(&mut self) -> Option<Place> {
        loop {
            if let Some(slot) = self.current.next() {
                return Some(Place { line: self.line, slot });
            }
            if self.started && self.line < self.lines {
                self.line += 1;
            }
            self.started = true;
            if self.line < self.lines {
                // SAFETY: the contract of `Segment::places`.
                self.current = occupied(unsafe { self.segment.word(self.line) });
                continue;
            }
            // SAFETY: the contract of `Segment::places`.
            let list = unsafe { &(*self.segment.header()).overflow };
            let slot = self.overflow;
            if slot >= list.len() {
                return None;
            }
            self.overflow += 1;
            return Some(Place { line: OVERFLOW, slot });
        }
    }
}

/// A part of the directory that doubles and halves on its own.
struct Chunk<E> {
    /// `1 << depth` entries.
    entries: Box<[Segment<E>]>,
    /// Pairs of neighbouring entries that name different segments; at 0 the chunk can be halved.
    pairs: u32,
    depth: u8,
}

impl<E> Chunk<E> {
    fn new(entries: Box<[Segment<E>]>) -> Self {
        let depth = entries.len().trailing_zeros() as u8;
        let pairs = if depth == 0 { 0 } else { entries.chunks(2).filter(|p| p[0] != p[1]).count() };
        Self { entries, pairs: pairs as u32, depth }
    }
}

/// The hash of keys in all tables that have the same seed.
#[derive(Clone, Debug)]
pub struct KeyHash {
    seed: u64,
    secrets: SharedSeed,
}

impl KeyHash {
    pub fn new(seed: u64) -> Self {
        // The secrets too are derived from the seed: with the published constants there would be keys that collide
        // under every seed.
        Self { seed, secrets: SharedSeed::from_u64(seed) }
    }

    #[inline]
    pub fn of(&self, key: &[u8]) -> u64 {
        let mut hasher = foldhash::quality::FoldHasher::with_seed(self.seed, &self.secrets);
        hasher.write(key);
        hasher.finish()
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }
}

/// The table. `LINES` is the size of a full segment in cache lines; tests shrink it to reach splits quickly.
///
/// An empty table owns no memory.
pub struct Table<E: Slot, const LINES: usize = 64> {
    root: Vec<Chunk<E>>,
    root_bits: u32,
    /// No segment is deeper.
    deepest: u32,
    len: usize,
    deadlines: usize,
    segments: usize,
    segment_bytes: usize,
    key_hash: KeyHash,
    /// Only these bits of the hash are used: tests make hashes agree.
    #[cfg(test)]
    hash_mask: u64,
    owns: PhantomData<E>,
}

// SAFETY: the table owns its segments and elements; nothing is shared.
unsafe impl<E: Slot + Send, const LINES: usize> Send for Table<E, LINES> {}
// SAFETY: `&self` methods only read.
unsafe impl<E: Slot + Sync, const LINES: usize> Sync for Table<E, LINES> {}

impl<E: Slot, const LINES: usize> Table<E, LINES> {
    const LAST_CLASS: usize = {
        let mut class = 0;
        while class + 1 < CLASSES.len() && (CLASSES[class + 1].0 as usize) < LINES {
            class += 1;
        }
        class
    };
    /// The table gets its second directory level when one chunk would need more than `1 << PROMOTE` entries.
    const PROMOTE: u32 = if LINES < 64 { 4 } else { 10 };
    const ROOT_BITS: u32 = if LINES < 64 { 3 } else { 8 };
    const MAX_SLOTS: usize = CLASSES[Self::LAST_CLASS].0 as usize * SLOTS;

    /// An empty table whose hash is keyed with `seed`. Clients choose the keys: the seed must be a secret.
    pub fn new(seed: u64) -> Self {
        Self {
            root: Vec::new(),
            root_bits: 0,
            deepest: 0,
            len: 0,
            deadlines: 0,
            segments: 0,
            segment_bytes: 0,
            key_hash: KeyHash::new(seed),
            #[cfg(test)]
            hash_mask: u64::MAX,
            owns: PhantomData,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many elements have a deadline.
    pub fn deadlines(&self) -> usize {
        self.deadlines
    }

    /// Bytes of segments and directory, without what the elements point to.
    pub fn memory(&self) -> usize {
        let directory: usize = self.root.iter().map(|c| c.entries.len() * size_of::<Segment<E>>()).sum();
        self.segment_bytes + directory + self.root.capacity() * size_of::<Chunk<E>>()
    }

    /// The hash of a key in this table. The directory uses the top bits: a choice of shard made from the same hash
    /// must use others.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let hash = self.key_hash.of(key);
        #[cfg(test)]
        let hash = hash & self.hash_mask;
        hash
    }

    /// The segment that owns a hash. The table must not be empty of segments.
    #[inline(always)]
    fn segment(&self, hash: u64) -> Segment<E> {
        debug_assert!(!self.root.is_empty());
        // SAFETY: there are `1 << root_bits` chunks of `1 << depth` entries each, and the indices have that many bits.
        unsafe {
            let chunk = self.root.get_unchecked(((hash >> 1) >> (63 - self.root_bits)) as usize);
            *chunk
                .entries
                .get_unchecked((((hash << self.root_bits) >> 1) >> (63 - u32::from(chunk.depth))) as usize)
        }
    }

    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<&E> {
        self.find_hashed(self.hash(key), key)
    }

    /// Find by a key and its [`Self::hash`].
    #[inline]
    pub fn find_hashed(&self, hash: u64, key: &[u8]) -> Option<&E> {
        if self.len == 0 {
            return None;
        }
        let segment = self.segment(hash);
        // SAFETY: segments in the directory are alive; the element lives as long as the borrow of the table.
        unsafe { segment.locate(hash, key).map(|place| segment.peek(place)) }
    }

    #[inline]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.find(key).is_some()
    }

    /// Find for changing. The element may be replaced by another of the same key; when its deadline changes,
    /// [`Self::note_deadline`] must be told. Counts as a mutation of the segment.
    #[inline]
    pub fn find_mut(&mut self, key: &[u8]) -> Option<&mut E> {
        self.find_mut_hashed(self.hash(key), key)
    }

    #[inline]
    pub fn find_mut_hashed(&mut self, hash: u64, key: &[u8]) -> Option<&mut E> {
        if self.len == 0 {
            return None;
        }
        let segment = self.segment(hash);
        // SAFETY: as in `find_hashed`, with the table borrowed exclusively.
        unsafe {
            let place = segment.locate(hash, key)?;
            segment.head().version = segment.head().version.wrapping_add(1);
            Some(&mut *segment.at(place))
        }
    }

    /// Stage one of looking up a batch: ask for the home line and the one after it.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        if self.len != 0 {
            let segment = self.segment(hash);
            let home = home_of(fraction_of(hash), segment.homes());
            prefetch_line(segment.line(home));
            // The last home line is followed by stash instead: where elements displaced from it go when the first
            // home line is full too.
            prefetch_line(segment.line(home + 1));
        }
    }

    /// Stage two, when the home line has arrived: ask for the element whose tag matches, there or in the next line,
    /// or for the line of the stash where it may be.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        if self.len == 0 {
            return;
        }
        let segment = self.segment(hash);
        let home = home_of(fraction_of(hash), segment.homes());
        // SAFETY: a nonzero tag says that the slot holds an element.
        unsafe {
            if let Some(slot) = matches(segment.word(home), tag_of(hash)).next() {
                (*segment.slot(home, slot)).prefetch();
                return;
            }
            let displaced = *segment.displaced(home);
            if displaced & 7 != 0 {
                let next = next_line(home, segment.homes());
                if let Some(slot) = matches(segment.word(next), tag_of(hash)).next() {
                    (*segment.slot(next, slot)).prefetch();
                    return;
                }
            }
            if displaced >> 3 != 0
                && let Some(line) = stash_order(segment.homes(), segment.lines(), hash).next()
            {
                prefetch_line(segment.line(line));
            }
        }
    }

    /// Insert, or replace the element of the same key and return it.
    pub fn insert(&mut self, element: E) -> Option<E> {
        let hash = self.hash(element.key());
        self.insert_hashed(hash, element)
    }

    /// Insert by the element's [`Self::hash`].
    pub fn insert_hashed(&mut self, hash: u64, element: E) -> Option<E> {
        if self.len != 0 {
            let segment = self.segment(hash);
            // SAFETY: the segment is alive and borrowed exclusively through the table.
            unsafe {
                if let Some(place) = segment.locate(hash, element.key()) {
                    let new = element.deadline();
                    let old = std::mem::replace(&mut *segment.at(place), element);
                    self.note_deadline(hash, old.deadline(), new);
                    segment.head().version = segment.head().version.wrapping_add(1);
                    return Some(old);
                }
            }
        }
        self.insert_new(hash, element);
        None
    }

    /// The element of `key`, made and inserted if there is none; whether it was made.
    pub fn find_or_insert_with(&mut self, key: &[u8], make: impl FnOnce() -> E) -> (&mut E, bool) {
        self.find_or_insert_hashed(self.hash(key), key, make)
    }

    /// The same by a key and its [`Self::hash`].
    #[inline]
    pub fn find_or_insert_hashed(
        &mut self,
        hash: u64,
        key: &[u8],
        make: impl FnOnce() -> E,
    ) -> (&mut E, bool) {
        if self.len != 0 {
            let segment = self.segment(hash);
            // SAFETY: the segment is alive and borrowed exclusively through the table.
            unsafe {
                if let Some(place) = segment.locate(hash, key) {
                    segment.head().version = segment.head().version.wrapping_add(1);
                    return (&mut *segment.at(place), false);
                }
            }
        }
        let element = make();
        debug_assert!(element.key() == key, "the element made must have the key looked for");
        (self.insert_new(hash, element), true)
    }

    /// Insert an element whose key is not in the table.
    pub fn insert_new(&mut self, hash: u64, element: E) -> &mut E {
        let deadline = element.deadline();
        let element = std::mem::ManuallyDrop::new(element);
        let pointer: *const E = &*element;
        if self.root.is_empty() {
            let first = self.allocate(0, 0, 0);
            self.root = vec![Chunk::new(Box::new([first]))];
            self.segments = 1;
        }
        // SAFETY: the segment is alive; the element is moved in exactly once, by the call that returns a place.
        unsafe {
            let (segment, place) = loop {
                let segment = self.segment(hash);
                if let Some(place) = segment.place(hash, pointer) {
                    break (segment, place);
                }
                if !self.make_room(segment) {
                    break (segment, segment.place_in_overflow(hash, pointer));
                }
            };
            let head = segment.head();
            head.count += 1;
            head.version = head.version.wrapping_add(1);
            self.len += 1;
            if deadline != u64::MAX {
                head.deadlines += 1;
                head.min_deadline = head.min_deadline.min(deadline);
                self.deadlines += 1;
            }
            &mut *segment.at(place)
        }
    }

    pub fn remove(&mut self, key: &[u8]) -> Option<E> {
        self.remove_hashed(self.hash(key), key)
    }

    /// Remove by a key and its [`Self::hash`].
    pub fn remove_hashed(&mut self, hash: u64, key: &[u8]) -> Option<E> {
        if self.len == 0 {
            return None;
        }
        let segment = self.segment(hash);
        // SAFETY: the segment is alive and the place found is occupied.
        unsafe {
            let place = segment.locate(hash, key)?;
            let element = self.take(segment, hash, place);
            // Looking at the sibling costs a cache miss: not on every removal.
            if segment.head().count.is_multiple_of(8) {
                self.shrink(segment);
            }
            Some(element)
        }
    }

    /// Move an element out and keep the counts right.
    ///
    /// # Safety
    /// The segment is in the directory, the place is occupied by an element of that hash.
    unsafe fn take(&mut self, segment: Segment<E>, hash: u64, place: Place) -> E {
        // SAFETY: by contract.
        unsafe {
            let element = segment.take(hash, place);
            let head = segment.head();
            head.count -= 1;
            head.version = head.version.wrapping_add(1);
            self.len -= 1;
            if element.deadline() != u64::MAX {
                head.deadlines -= 1;
                self.deadlines -= 1;
                if head.deadlines == 0 {
                    head.min_deadline = u64::MAX;
                }
            }
            element
        }
    }

    /// An element of this hash changed its deadline (`u64::MAX` = none).
    pub fn note_deadline(&mut self, hash: u64, old: u64, new: u64) {
        if old == new || self.len == 0 {
            return;
        }
        // SAFETY: the segment is alive and borrowed exclusively through the table.
        let head = unsafe { self.segment(hash).head() };
        if old != u64::MAX {
            head.deadlines -= 1;
            self.deadlines -= 1;
        }
        if new != u64::MAX {
            head.deadlines += 1;
            self.deadlines += 1;
            head.min_deadline = head.min_deadline.min(new);
        }
        if head.deadlines == 0 {
            head.min_deadline = u64::MAX;
        }
    }

    // ---- growth and shrinkage ----

    fn allocate(&mut self, class: usize, prefix: u32, depth: u32) -> Segment<E> {
        self.segment_bytes += Segment::<E>::layout(class).size();
        Segment::allocate(class, prefix, depth)
    }

    /// # Safety
    /// As [`Segment::free`].
    unsafe fn free(&mut self, segment: Segment<E>) {
        // SAFETY: by contract.
        unsafe {
            self.segment_bytes -= Segment::<E>::layout(usize::from((*segment.header()).class)).size();
            segment.free();
        }
    }

    /// The smallest size that holds `count` elements with room for more.
    fn class_for(count: usize) -> usize {
        (0..Self::LAST_CLASS)
            .find(|&class| count * 5 <= usize::from(CLASSES[class].0) * SLOTS * 4)
            .unwrap_or(Self::LAST_CLASS)
    }

    /// Give a segment that could not place an element more room. False when that would not help: its elements crowd
    /// in few lines although most are free, or the directory is deep already for the number of segments.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, segment: Segment<E>) -> bool {
        // SAFETY: the segment is in the directory.
        let head = unsafe { segment.head() };
        let (class, depth) = (usize::from(head.class), u32::from(head.depth));
        let placed = head.count as usize - head.overflow.len();
        if placed * 2 < usize::from(CLASSES[class].0) * SLOTS {
            return false;
        }
        if class < Self::LAST_CLASS {
            self.rebuild(&[segment], class + 1);
            return true;
        }
        let directory_depth = self.root_bits + u32::from(self.chunk_of(head.prefix).depth);
        if depth == MAX_DEPTH || (depth == directory_depth && 1 << depth > 16 * self.segments) {
            return false;
        }
        self.split(segment);
        true
    }

    fn chunk_of(&mut self, prefix: u32) -> &mut Chunk<E> {
        let index = (u64::from(prefix) << self.root_bits) >> 32;
        &mut self.root[index as usize]
    }

    /// The elements of segments as copies beside their hashes. The segments still own them.
    fn gather(&self, segments: &[Segment<E>]) -> Vec<(u64, MaybeUninit<E>)> {
        // SAFETY: the segments are in the directory; a copy in `MaybeUninit` drops nothing.
        unsafe {
            let count = segments.iter().map(|s| s.head().count as usize).sum();
            let mut items = Vec::with_capacity(count);
            for &segment in segments {
                items.extend(
                    segment
                        .places()
                        .map(|p| (0, ptr::from_ref(segment.peek(p)).cast::<MaybeUninit<E>>().read())),
                );
            }
            debug_assert_eq!(items.len(), count);
            const AHEAD: usize = 12;
            items.iter().take(AHEAD).for_each(|(_, e)| e.assume_init_ref().prefetch());
            for i in 0..items.len() {
                if let Some((_, ahead)) = items.get(i + AHEAD) {
                    ahead.assume_init_ref().prefetch();
                }
                items[i].0 = self.hash(items[i].1.assume_init_ref().key());
            }
            items
        }
    }

    /// A new segment, not yet in the directory, that holds `items`; at least of size `class`.
    fn build(
        &mut self,
        items: &[(u64, MaybeUninit<E>)],
        mut class: usize,
        prefix: u32,
        depth: u32,
        version: u32,
    ) -> Segment<E> {
        class = class.max(Self::class_for(items.len()));
        loop {
            let segment = self.allocate(class, prefix, depth);
            // SAFETY: the segment is alive and ours; elements are copied in, and the copies are given up together
            // with the segment when a larger one is tried.
            unsafe {
                let head = segment.head();
                head.version = version;
                head.count = items.len() as u32;
                let mut crowded = false;
                for (hash, element) in items {
                    let deadline = element.assume_init_ref().deadline();
                    if deadline != u64::MAX {
                        segment.head().deadlines += 1;
                        segment.head().min_deadline = segment.head().min_deadline.min(deadline);
                    }
                    if segment.place(*hash, element.as_ptr()).is_none() {
                        crowded = true;
                        segment.place_in_overflow(*hash, element.as_ptr());
                    }
                }
                // Equal hashes crowd in every size: a larger one is tried only while the lines are well used.
                let slots = usize::from(CLASSES[class].0) * SLOTS;
                if crowded && class < Self::LAST_CLASS && items.len() * 2 >= slots {
                    self.free(segment);
                    class += 1;
                    continue;
                }
            }
            return segment;
        }
    }

    /// Let the directory entries of the interval name `segment`.
    fn publish(&mut self, segment: Segment<E>) {
        // SAFETY: the segment is alive.
        let (prefix, depth) = unsafe { (u64::from(segment.prefix()), segment.depth()) };
        if depth < self.root_bits {
            let first = (prefix << self.root_bits >> 32) as usize;
            for chunk in &mut self.root[first..first + (1 << (self.root_bits - depth))] {
                chunk.entries.fill(segment);
            }
        } else {
            let root_bits = self.root_bits;
            let chunk = self.chunk_of(prefix as u32);
            let span = u32::from(chunk.depth);
            let first = (((prefix << root_bits) & 0xffff_ffff) << span >> 32) as usize;
            chunk.entries[first..first + (1 << (span + root_bits - depth))].fill(segment);
        }
    }

    /// Replace a segment, or two siblings, by one of at least size `class`.
    fn rebuild(&mut self, old: &[Segment<E>], class: usize) -> Segment<E> {
        // SAFETY: the segments are in the directory until `publish`, and freed after it without dropping elements.
        unsafe {
            let depth = old[0].depth() - (old.len() as u32 - 1);
            let prefix = old.iter().map(|s| s.prefix()).min().expect("at least one");
            let version = old.iter().map(|s| s.head().version).max().expect("at least one");
            let items = self.gather(old);
            let segment = self.build(&items, class, prefix, depth, version.wrapping_add(1));
            self.publish(segment);
            old.iter().for_each(|&s| self.free(s));
            segment
        }
    }

    /// Split a segment by the next bit of the prefix.
    fn split(&mut self, old: Segment<E>) {
        // SAFETY: as in `rebuild`.
        unsafe {
            let (prefix, depth, version) =
                (old.prefix(), old.depth() + 1, old.head().version.wrapping_add(1));
            if depth > self.root_bits + u32::from(self.chunk_of(prefix).depth) {
                if self.root_bits == 0 && depth > Self::PROMOTE {
                    self.promote();
                }
                if depth > self.root_bits + u32::from(self.chunk_of(prefix).depth) {
                    let chunk = self.chunk_of(prefix);
                    let doubled = chunk.entries.iter().flat_map(|&s| [s, s]).collect();
                    *chunk = Chunk { entries: doubled, pairs: 0, depth: chunk.depth + 1 };
                }
            }
            self.deepest = self.deepest.max(depth);
            let mut items = self.gather(&[old]);
            let bit = 1u64 << (64 - depth);
            items.sort_unstable_by_key(|(hash, _)| hash & bit);
            let (left, right) = items.split_at(items.partition_point(|(hash, _)| hash & bit == 0));
            let left = self.build(left, 0, prefix, depth, version);
            let right = self.build(right, 0, prefix | (bit >> 32) as u32, depth, version);
            self.publish(left);
            self.publish(right);
            self.free(old);
            self.segments += 1;
            let root_bits = self.root_bits;
            let chunk = self.chunk_of(prefix);
            if chunk.depth > 0 && depth == root_bits + u32::from(chunk.depth) {
                chunk.pairs += 1;
            }
        }
    }

    /// Give memory back after removals: merge with siblings, take a smaller size, give up an empty table's last
    /// segment.
    fn shrink(&mut self, mut segment: Segment<E>) {
        if self.len == 0 {
            self.release();
            return;
        }
        // SAFETY: the segment, and what `segment()` returns, are in the directory.
        unsafe {
            while segment.depth() > 0 && (segment.head().count as usize) * 3 < Self::MAX_SLOTS {
                let depth = segment.depth();
                let sibling = self.segment(u64::from(segment.prefix() ^ (width(depth) as u32)) << 32);
                let together = segment.head().count as usize + sibling.head().count as usize;
                if sibling.depth() != depth || together * 2 > Self::MAX_SLOTS {
                    break;
                }
                segment = self.rebuild(&[segment, sibling], 0);
                self.segments -= 1;
                self.merged(segment.prefix(), depth);
            }
            let head = segment.head();
            let (count, class) = (head.count as usize, usize::from(head.class));
            if count * 3 < usize::from(CLASSES[class].0) * SLOTS && Self::class_for(count) < class {
                self.rebuild(&[segment], 0);
            }
        }
    }

    /// Two siblings of this depth became one: halve what of the directory is no longer needed.
    fn merged(&mut self, prefix: u32, depth: u32) {
        let root_bits = self.root_bits;
        let chunk = self.chunk_of(prefix);
        if chunk.depth == 0 || depth != root_bits + u32::from(chunk.depth) {
            return;
        }
        chunk.pairs -= 1;
        if chunk.pairs > 0 {
            return;
        }
        while chunk.pairs == 0 && chunk.depth > 0 {
            *chunk = Chunk::new(chunk.entries.iter().step_by(2).copied().collect());
        }
        if self.root_bits > 0 && self.root.iter().all(|c| c.depth == 0) {
            let mut single = Chunk::new(self.root.iter().map(|c| c.entries[0]).collect());
            while single.pairs == 0 && single.depth > 0 {
                single = Chunk::new(single.entries.iter().step_by(2).copied().collect());
            }
            self.root = vec![single];
            self.root_bits = 0;
        }
        self.deepest = self.root_bits + self.root.iter().map(|c| u32::from(c.depth)).max().unwrap_or(0);
    }

    /// Cut the one chunk into the chunks of the second level.
    fn promote(&mut self) {
        let single = self.root.pop().expect("one chunk");
        let size = single.entries.len() >> Self::ROOT_BITS;
        self.root = single.entries.chunks(size).map(|part| Chunk::new(part.into())).collect();
        self.root_bits = Self::ROOT_BITS;
    }

    /// Free all segments; their elements must have been moved out.
    fn release(&mut self) {
        let segments: Vec<_> = self.all_segments().collect();
        self.root = Vec::new();
        self.root_bits = 0;
        self.deepest = 0;
        self.segments = 0;
        self.len = 0;
        self.deadlines = 0;
        for segment in segments {
            // SAFETY: each segment once; the directory is gone.
            unsafe { self.free(segment) };
        }
    }

    // ---- walking ----

    /// The segments in the order of the hash space, each once.
    fn all_segments(&self) -> impl Iterator<Item = Segment<E>> + use<'_, E, LINES> {
        let mut prefix = if self.root.is_empty() { 1 << 32 } else { 0 };
        std::iter::from_fn(move || {
            if prefix >= 1 << 32 {
                return None;
            }
            let segment = self.segment(prefix << 32);
            // SAFETY: in the directory.
            prefix += width(unsafe { segment.depth() });
            Some(segment)
        })
    }

    /// The segments in the order of the hash space, with their metadata.
    pub fn segments(&self) -> impl Iterator<Item = SegmentView<'_, E>> {
        self.all_segments().map(|segment| SegmentView { segment, table: PhantomData })
    }

    /// The segment that owns a hash.
    pub fn segment_of(&self, hash: u64) -> Option<SegmentView<'_, E>> {
        let segment = (!self.root.is_empty()).then(|| self.segment(hash))?;
        Some(SegmentView { segment, table: PhantomData })
    }

    /// All elements, in no useful order.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        self.segments().flat_map(|segment| segment.iter())
    }

    /// One step of a scan from `cursor` (0 = from the start): calls `f` for about `count` elements, more when lines
    /// end later, fewer when much of the table is empty. Returns the cursor for the next step; 0 = all done.
    ///
    /// Every element that is in the table from the first step of a scan to its last is reported at least once,
    /// whatever is inserted and removed between the steps. A cursor that no step returned is harmless.
    ///
    /// How: a cursor says that, of the interval whose prefix it holds, all fractions below its own are done, and all
    /// intervals to the left. Elements are reported at the position of their home line wherever they sit. If the
    /// interval was split since, its left half continues and its right half is done again; if it was merged with
    /// others, only elements of the interval are taken from the merged segment, and the rest of it follows.
    pub fn scan(&self, cursor: u64, count: usize, mut f: impl FnMut(&E)) -> u64 {
        if self.root.is_empty() {
            return 0;
        }
        let marked = (cursor >> FRACTION_BITS) as u32;
        let mut fraction = cursor as u32 & ((1 << FRACTION_BITS) - 1);
        let (mut prefix, mut wanted) = if marked == 0 {
            fraction = 0;
            (0, 0)
        } else {
            (u64::from(marked & (marked - 1)), 31 - marked.trailing_zeros())
        };
        let (mut reported, mut visited) = (0, 0);
        loop {
            let segment = self.segment(prefix << 32);
            // SAFETY: segments of the directory are alive; line numbers come from the segment.
            unsafe {
                // The interval walked: the segment's, or the part of it that begins at the prefix.
                let depth = segment.depth().max(wanted);
                let part = (depth > segment.depth()).then_some((prefix, width(depth)));
                let homes = segment.homes();
                let mut line = home_of(fraction, homes);
                while line < homes {
                    self.scan_line(segment, line, part, |e| {
                        reported += 1;
                        f(e);
                    });
                    line += 1;
                    visited += 1;
                    if line < homes && (reported >= count || visited >= count.saturating_mul(10)) {
                        let marked = prefix | 1 << (31 - depth);
                        return marked << FRACTION_BITS | u64::from(fraction_start(line, homes));
                    }
                }
                prefix += width(depth);
                if prefix >= 1 << 32 {
                    return 0;
                }
                fraction = 0;
                // The smallest depth of an interval that can begin here.
                wanted = 32 - prefix.trailing_zeros();
                if reported >= count || visited >= count.saturating_mul(10) {
                    let depth = wanted.max(self.segment(prefix << 32).depth());
                    return (prefix | 1 << (31 - depth)) << FRACTION_BITS;
                }
            }
        }
    }

    /// Report the elements whose home is `line`, and whose prefix is in `part` if given.
    ///
    /// # Safety
    /// The segment is in the directory; the line is one of its home lines.
    unsafe fn scan_line(
        &self,
        segment: Segment<E>,
        line: usize,
        part: Option<(u64, u64)>,
        mut f: impl FnMut(&E),
    ) {
        let homes = segment.homes();
        // SAFETY: by contract; places given by `occupied` are occupied.
        unsafe {
            let mut report = |element: &E, foreign: bool| {
                if foreign || part.is_some() {
                    let hash = self.hash(element.key());
                    let inside =
                        part.is_none_or(|(from, width)| (from..from + width).contains(&(hash >> 32)));
                    if !inside || home_of(fraction_of(hash), homes) != line {
                        return;
                    }
                }
                f(element);
            };
            let previous = if line == 0 { homes - 1 } else { line - 1 };
            let foreign = *segment.displaced(previous) & 7 != 0;
            for slot in occupied(segment.word(line)) {
                report(&*segment.slot(line, slot), foreign);
            }
            let displaced = *segment.displaced(line);
            if displaced & 7 != 0 {
                let next = next_line(line, homes);
                for slot in occupied(segment.word(next)) {
                    report(&*segment.slot(next, slot), true);
                }
            }
            if displaced >> 3 != 0 {
                for stash in homes..segment.lines() {
                    for slot in occupied(segment.word(stash)) {
                        report(&*segment.slot(stash, slot), true);
                    }
                }
            }
            if displaced >> 3 == STASH_MANY {
                for element in &(*segment.header()).overflow {
                    report(element, true);
                }
            }
        }
    }

    /// One element, each with the same chance; `word` gives random words.
    ///
    /// A random position of the hash space, then a random slot of its segment, again if that is empty. A segment that
    /// owns a larger interval would be met more often than its slots deserve, so it is turned down in proportion.
    pub fn random(&self, word: &mut impl FnMut() -> u64) -> Option<&E> {
        if self.len == 0 {
            return None;
        }
        for _ in 0..256 {
            let position = word();
            let segment = self.segment(position);
            // SAFETY: segments of the directory are alive; an occupied slot is read.
            unsafe {
                let shallow = self.deepest - segment.depth();
                let dice = word();
                if shallow > 0 && (dice >> 40) & ((1 << shallow.min(20)) - 1) != 0 {
                    continue;
                }
                // With one segment there is nothing to be fair to: take its own number of slots.
                let lines = segment.lines();
                let all = if self.segments == 1 { lines } else { Self::MAX_SLOTS / SLOTS } * SLOTS;
                let list = &(*segment.header()).overflow;
                let choice = (((dice & 0xffff_ffff) * (all + list.len()) as u64) >> 32) as usize;
                if choice >= all {
                    return list.get(choice - all);
                }
                let (line, slot) = (choice / SLOTS, choice % SLOTS);
                if line < lines && *segment.tag(line, slot) != 0 {
                    return Some(&*segment.slot(line, slot));
                }
            }
        }
        let mut found = None;
        self.sample(word(), 1, |e| found = Some(e));
        found
    }

    /// Up to `n` elements from neighbouring lines, beginning at a place that the random `word` chooses.
    pub fn sample<'a>(&'a self, word: u64, n: usize, f: impl FnMut(&'a E)) {
        self.sample_if(word, n, |head| head.count > 0, |_| true, f);
    }

    /// As [`Self::sample`], only elements with a deadline. Goes on until some are found if there are any.
    pub fn sample_with_deadline<'a>(&'a self, word: u64, n: usize, f: impl FnMut(&'a E)) {
        if self.deadlines > 0 {
            self.sample_if(word, n, |head| head.deadlines > 0, |e| e.deadline() != u64::MAX, f);
        }
    }

    fn sample_if<'a>(
        &'a self,
        word: u64,
        n: usize,
        segment_fits: impl Fn(&Header<E>) -> bool,
        fits: impl Fn(&E) -> bool,
        mut f: impl FnMut(&'a E),
    ) {
        let mut missing = n.min(self.len);
        let mut prefix = word >> 32;
        // The low half of the word chooses the line; the prefix has used the high half.
        let mut first_line = Some(word & 0xffff_ffff);
        for _ in 0..self.segments {
            if missing == 0 {
                return;
            }
            let segment = self.segment(prefix << 32);
            // SAFETY: segments of the directory are alive; occupied slots are read.
            unsafe {
                if segment_fits(&*segment.header()) {
                    let lines = segment.lines();
                    let first = first_line.take().map_or(0, |w| ((w * lines as u64) >> 32) as usize);
                    for line in (first..lines).chain(0..first) {
                        for slot in occupied(segment.word(line)) {
                            let element = &*segment.slot(line, slot);
                            if missing > 0 && fits(element) {
                                missing -= 1;
                                f(element);
                            }
                        }
                        if missing == 0 {
                            return;
                        }
                    }
                    for element in &(*segment.header()).overflow {
                        if missing > 0 && fits(element) {
                            missing -= 1;
                            f(element);
                        }
                    }
                }
                prefix = (u64::from(segment.prefix()) + width(segment.depth())) & 0xffff_ffff;
            }
        }
    }

    /// One slice of the search for expired elements (deadline at or before `now`), which are removed and given to `f`.
    ///
    /// `cursor` is a position in hash space that the caller keeps between slices; it returns to 0 after the last
    /// segment, where the slice also ends. `budget` is in cache lines, and what is spent is taken from it: a segment
    /// whose earliest deadline has not come costs one, a segment searched costs its size, an element removed costs
    /// four. Searched segments learn their earliest deadline anew.
    pub fn sweep_expired(&mut self, now: u64, cursor: &mut u32, budget: &mut usize, mut f: impl FnMut(E)) {
        while *budget > 0 && self.deadlines > 0 {
            let mut spent = 0;
            let segment = self.segment(u64::from(*cursor) << 32);
            // SAFETY: the segment is in the directory; places are occupied, and taking one leaves the others.
            unsafe {
                spent += 1;
                // Taken before a merge makes the segment part of one whose rest was not searched.
                let next = u64::from(segment.prefix()) + width(segment.depth());
                if segment.head().min_deadline <= now {
                    spent += segment.lines();
                    let mut earliest = u64::MAX;
                    let mut expired = Vec::new();
                    let mut places = segment.places();
                    while let Some(place) = places.next() {
                        let element = segment.peek(place);
                        let deadline = element.deadline();
                        if deadline > now {
                            earliest = earliest.min(deadline);
                            continue;
                        }
                        let hash = self.hash(element.key());
                        expired.push(self.take(segment, hash, place));
                        spent += 4;
                        if place.line == OVERFLOW {
                            // The last of the list took its place.
                            places.overflow -= 1;
                        }
                    }
                    segment.head().min_deadline = earliest;
                    if !expired.is_empty() {
                        self.shrink(segment);
                        expired.into_iter().for_each(&mut f);
                    }
                }
                *budget = budget.saturating_sub(spent);
                *cursor = next as u32;
                if next >= 1 << 32 {
                    return;
                }
            }
        }
        if self.deadlines == 0 {
            *cursor = 0;
        }
    }

    /// Move everything out into a table that can be dropped elsewhere; this one is empty afterwards, with its seed.
    pub fn take_all(&mut self) -> Self {
        #[allow(unused_mut)]
        let mut empty = Self::new(self.key_hash.seed);
        #[cfg(test)]
        {
            empty.hash_mask = self.hash_mask;
        }
        std::mem::replace(self, empty)
    }

    /// Drop all elements and free all memory.
    pub fn clear(&mut self) {
        drop(self.take_all());
    }
}

impl<E: Slot, const LINES: usize> Drop for Table<E, LINES> {
    fn drop(&mut self) {
        drop(IntoIter::new(self));
    }
}

impl<E: Slot, const LINES: usize> IntoIterator for Table<E, LINES> {
    type Item = E;
    type IntoIter = IntoIter<E>;
    /// The elements by value. Memory is freed segment by segment as the iterator goes, so a large table can be
    /// dropped in slices.
    fn into_iter(mut self) -> IntoIter<E> {
        IntoIter::new(&mut self)
    }
}

/// The elements of a table by value; see [`Table::into_iter`].
pub struct IntoIter<E> {
    /// Last first.
    segments: Vec<Segment<E>>,
    places: Option<Places<E>>,
    remaining: usize,
}

// SAFETY: owns its segments and elements.
unsafe impl<E: Send> Send for IntoIter<E> {}

impl<E> IntoIter<E> {
    fn new<const LINES: usize>(table: &mut Table<E, LINES>) -> Self
    where
        E: Slot,
    {
        let mut segments: Vec<_> = table.all_segments().collect();
        segments.reverse();
        let remaining = table.len;
        table.root = Vec::new();
        table.len = 0;
        table.deadlines = 0;
        table.segments = 0;
        table.segment_bytes = 0;
        Self { segments, places: None, remaining }
    }
}

impl<E> Iterator for IntoIter<E> {
    type Item = E;
    fn next(&mut self) -> Option<E> {
        loop {
            let segment = *self.segments.last()?;
            // SAFETY: the segment is ours and alive; each place is read once, and `free` drops no element.
            unsafe {
                if let Some(place) = self.places.get_or_insert_with(|| segment.places()).next() {
                    self.remaining -= 1;
                    return Some(segment.at(place).read());
                }
                self.places = None;
                self.segments.pop();
                segment.free();
            }
        }
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl<E> ExactSizeIterator for IntoIter<E> {}

impl<E> Drop for IntoIter<E> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

/// A segment seen from outside: an interval of the hash space and what is in it.
pub struct SegmentView<'a, E> {
    segment: Segment<E>,
    table: PhantomData<&'a E>,
}

impl<'a, E: Slot> SegmentView<'a, E> {
    fn header(&self) -> &'a Header<E> {
        // SAFETY: the table is borrowed for `'a`, so the segment is alive and nobody changes it.
        unsafe { &*self.segment.header() }
    }

    /// Changes with every mutation of the segment.
    pub fn version(&self) -> u32 {
        self.header().version
    }

    pub fn len(&self) -> usize {
        self.header().count as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many elements have a deadline.
    pub fn deadlines(&self) -> usize {
        self.header().deadlines as usize
    }

    /// No element expires before; `u64::MAX` = none expires.
    pub fn min_deadline(&self) -> u64 {
        self.header().min_deadline
    }

    /// The hashes the segment owns: the first, and how many of the top bits they share.
    pub fn interval(&self) -> (u64, u32) {
        (u64::from(self.header().prefix) << 32, u32::from(self.header().depth))
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a E> + use<'a, E> {
        let segment = self.segment;
        // SAFETY: alive for `'a`; places are occupied.
        unsafe { segment.places().map(move |place| segment.peek(place)) }
    }
}

impl<E: Slot, const LINES: usize> fmt::Debug for Table<E, LINES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("len", &self.len)
            .field("deadlines", &self.deadlines)
            .field("segments", &self.segments)
            .field("memory", &self.memory())
            .finish()
    }
}

impl<E: Slot + Clone, const LINES: usize> Clone for Table<E, LINES> {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.key_hash.seed);
        #[cfg(test)]
        {
            copy.hash_mask = self.hash_mask;
        }
        for element in self.iter() {
            copy.insert_new(self.hash(element.key()), element.clone());
        }
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug, PartialEq)]
    struct Item(Box<(Vec<u8>, u64, u64)>);

    impl Item {
        fn new(key: &[u8], deadline: u64, payload: u64) -> Self {
            Self(Box::new((key.to_vec(), deadline, payload)))
        }
    }

    impl Slot for Item {
        fn key(&self) -> &[u8] {
            &self.0.0
        }
        fn deadline(&self) -> u64 {
            self.0.1
        }
    }

    /// SplitMix64.
    struct Words(u64);
    impl Words {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }
        fn below(&mut self, n: u64) -> u64 {
            self.next() % n
        }
    }

    fn key(n: u64) -> Vec<u8> {
        format!("key:{n}").into_bytes()
    }

    /// Every invariant of the module documentation, checked the slow way.
    fn check<const LINES: usize>(table: &Table<Item, LINES>) {
        let (mut len, mut deadlines, mut bytes, mut segments, mut expected) = (0, 0, 0, 0, 0u64);
        let mut deepest = 0;
        for segment in table.all_segments() {
            // SAFETY: the table is borrowed.
            unsafe {
                let head = segment.head();
                assert_eq!(u64::from(head.prefix), expected, "intervals follow each other");
                expected += width(u32::from(head.depth));
                assert_eq!(segment.homes(), usize::from(CLASSES[usize::from(head.class)].1));
                deepest = deepest.max(u32::from(head.depth));
                segments += 1;
                bytes += Segment::<Item>::layout(usize::from(head.class)).size();
                let (mut count, mut dated) = (0, 0);
                let mut next = vec![0; segment.homes()];
                let mut stash = vec![0; segment.homes()];
                for place in segment.places() {
                    let element = segment.peek(place);
                    let hash = table.hash(element.key());
                    assert_eq!(table.segment(hash).0, segment.0);
                    let home = home_of(fraction_of(hash), segment.homes());
                    if place.line != OVERFLOW {
                        assert_eq!(*segment.tag(place.line, place.slot), tag_of(hash));
                    }
                    if place.line == OVERFLOW {
                        stash[home] = 1 << 20;
                    } else if place.line >= segment.homes() {
                        stash[home] += 1;
                    } else if place.line != home {
                        assert_eq!(place.line, next_line(home, segment.homes()));
                        next[home] += 1;
                    }
                    count += 1;
                    if element.deadline() != u64::MAX {
                        dated += 1;
                        assert!(head.min_deadline <= element.deadline());
                    }
                }
                for home in 0..segment.homes() {
                    let displaced = *segment.displaced(home);
                    assert_eq!(displaced & 7, next[home]);
                    if displaced >> 3 != STASH_MANY {
                        assert_eq!(u32::from(displaced >> 3), stash[home]);
                    }
                }
                assert_eq!((count, dated), (head.count, head.deadlines));
                len += count as usize;
                deadlines += dated as usize;
            }
        }
        assert_eq!((len, deadlines), (table.len(), table.deadlines()));
        assert_eq!((bytes, segments), (table.segment_bytes, table.segments));
        assert!(table.root.is_empty() || expected == 1 << 32);
        assert!(table.deepest >= deepest);
        for chunk in &table.root {
            assert_eq!(chunk.entries.len(), 1 << chunk.depth);
            assert_eq!(chunk.pairs, Chunk::new(chunk.entries.clone()).pairs);
        }
        if len == 0 {
            assert_eq!(table.memory(), 0, "an empty table owns nothing");
        }
    }

    /// Random operations against an ordered map; phases grow and shrink the table.
    fn random_operations<const LINES: usize>(seed: u64, mask: u64, steps: usize, keys: u64) -> (usize, u32) {
        println!("seed {seed} mask {mask:x}");
        let mut words = Words(seed);
        let mut table: Table<Item, LINES> = Table::new(seed);
        table.hash_mask = mask;
        let mut model: BTreeMap<Vec<u8>, Item> = BTreeMap::new();
        let (mut most, mut deepest) = (0, 0);
        for step in 0..steps {
            let growing = (step / (steps / 4).max(1)).is_multiple_of(2);
            let k = key(words.below(keys));
            let deadline = if words.below(3) == 0 { words.below(1000) } else { u64::MAX };
            match words.below(12) {
                0 => assert_eq!(table.find(&k), model.get(&k)),
                1 => {
                    let hash = table.hash(&k);
                    table.prefetch(hash);
                    table.prefetch_entry(hash);
                    let found = table.find_mut(&k);
                    assert_eq!(found.is_some(), model.contains_key(&k));
                    if let Some(item) = found {
                        let old = item.deadline();
                        *item = Item::new(&k, deadline, step as u64);
                        table.note_deadline(hash, old, deadline);
                        model.insert(k.clone(), Item::new(&k, deadline, step as u64));
                    }
                }
                2 => {
                    let new = Item::new(&k, deadline, step as u64);
                    let (item, made) = table.find_or_insert_with(&k, || new.clone());
                    assert_eq!(made, !model.contains_key(&k));
                    assert_eq!(item, model.entry(k.clone()).or_insert(new));
                }
                3..9 if growing => {
                    let new = Item::new(&k, deadline, step as u64);
                    assert_eq!(table.insert(new.clone()), model.insert(k, new));
                }
                9 if step % 64 == 9 => {
                    let now = words.below(300);
                    let (mut cursor, mut swept) = (0, Vec::new());
                    loop {
                        table.sweep_expired(now, &mut cursor, &mut 40, |e| swept.push(e));
                        if cursor == 0 {
                            break;
                        }
                    }
                    for item in swept {
                        assert!(item.deadline() <= now);
                        assert_eq!(model.remove(item.key()), Some(item));
                    }
                    assert!(model.values().all(|e| e.deadline() > now));
                }
                _ => assert_eq!(table.remove(&k), model.remove(&k)),
            }
            assert_eq!(table.len(), model.len());
            most = most.max(table.segments);
            deepest = deepest.max(table.root_bits);
            if step % (97 * SCALE) == 0 {
                check(&table);
            }
        }
        check(&table);
        let mut all: Vec<_> = table.iter().cloned().collect();
        all.sort_by(|a, b| a.key().cmp(b.key()));
        assert!(all.iter().eq(model.values()));
        let copy = table.clone();
        let taken = table.take_all();
        check(&table);
        check(&taken);
        check(&copy);
        let mut owned: Vec<_> = taken.into_iter().collect();
        owned.sort_by(|a, b| a.key().cmp(b.key()));
        assert_eq!(owned, all);
        for item in &all {
            let mut copy_of = copy.find(item.key());
            assert_eq!(copy_of.take(), Some(item));
        }
        let mut copy = copy;
        for item in &all {
            assert_eq!(copy.remove(item.key()).as_ref(), Some(item));
        }
        check(&copy);
        (most, deepest)
    }

    const SCALE: usize = if cfg!(miri) { 20 } else { 1 };

    #[test]
    fn behaves_like_a_map_with_tiny_segments() {
        for seed in 0..(12 / SCALE.min(6)) as u64 {
            let (segments, root_bits) =
                random_operations::<4>(seed, u64::MAX, 30_000 / SCALE, 3_000 / SCALE as u64);
            if SCALE == 1 {
                assert!(segments > 40 && root_bits > 0, "splits and the second directory level were reached");
            }
            random_operations::<8>(seed + 100, u64::MAX, 30_000 / SCALE, 5_000 / SCALE as u64);
        }
    }

    #[test]
    fn behaves_like_a_map_with_full_segments() {
        let (segments, _) = random_operations::<64>(7, u64::MAX, 60_000 / SCALE, 20_000);
        assert!(SCALE > 1 || segments > 8);
    }

    #[test]
    fn hashes_that_agree_neither_loop_nor_blow_memory() {
        // All equal; equal prefixes; equal home lines.
        for mask in [0, 0x00ff, 0x0000_0000_ffff_ffff, 0xffff_ffff_0000_0000, 0xff00_0000_0000_00ff] {
            random_operations::<4>(3, mask, 6_000 / SCALE, 500);
            random_operations::<64>(4, mask, 6_000 / SCALE, 1_500);
        }
        let mut table: Table<Item> = Table::new(1);
        table.hash_mask = 0;
        for n in 0..2_000 / SCALE as u64 {
            table.insert(Item::new(&key(n), u64::MAX, n));
        }
        assert!(table.memory() < 100_000, "{table:?}");
        check(&table);
    }

    /// A full scan while keys come and go reports everything that stayed.
    fn scan_guarantee<const LINES: usize>(seed: u64, stay: u64, churn: u64) {
        println!("seed {seed}");
        let mut words = Words(seed);
        let mut table: Table<Item, LINES> = Table::new(seed);
        for n in 0..stay {
            table.insert(Item::new(&key(n), u64::MAX, 0));
        }
        // Keys beyond `stay` come and go in waves, so that segments split and merge under the cursor.
        let mut seen = vec![false; stay as usize];
        let (mut cursor, mut steps, mut growing) = (0, 0u64, words.below(2) == 0);
        if !growing {
            (0..churn).for_each(|n| drop(table.insert(Item::new(&key(stay + n), u64::MAX, 0))));
        }
        loop {
            cursor = table.scan(cursor, 1 + words.below(9) as usize, |e| {
                let n: usize = std::str::from_utf8(&e.key()[4..]).unwrap().parse().unwrap();
                if let Some(seen) = seen.get_mut(n) {
                    *seen = true;
                }
            });
            assert!(cursor < 1 << 54);
            if cursor == 0 {
                break;
            }
            steps += 1;
            assert!(steps < 200 * (stay + churn), "a scan ends");
            for _ in 0..words.below(churn / 3) {
                let k = key(stay + words.below(churn));
                if growing {
                    table.insert(Item::new(&k, u64::MAX, 0));
                } else {
                    table.remove(&k);
                }
            }
            if words.below(6) == 0 {
                growing = !growing;
            }
        }
        assert!(seen.iter().all(|&s| s), "missed {:?}", seen.iter().position(|&s| !s));
        check(&table);
    }

    #[test]
    fn a_scan_reports_what_stays_while_segments_split_and_merge() {
        for seed in 0..(200 / SCALE) as u64 {
            scan_guarantee::<4>(seed, 60, 600 / SCALE.min(6) as u64);
            scan_guarantee::<8>(seed, 100, 900 / SCALE.min(6) as u64);
        }
        if SCALE == 1 {
            for seed in 0..10 {
                scan_guarantee::<64>(seed, 500, 9_000);
            }
        }
    }

    #[test]
    fn a_scan_of_a_table_at_rest_reports_each_element_once() {
        let mut table: Table<Item, 8> = Table::new(5);
        for n in 0..(5_000 / SCALE as u64) {
            table.insert(Item::new(&key(n), u64::MAX, 0));
        }
        for count in [1, 10, 1_000_000] {
            let (mut cursor, mut seen) = (0, Vec::new());
            loop {
                cursor = table.scan(cursor, count, |e| seen.push(e.key().to_vec()));
                if cursor == 0 {
                    break;
                }
            }
            let reported = seen.len();
            seen.sort();
            seen.dedup();
            assert_eq!((reported, seen.len()), (table.len(), table.len()));
        }
    }

    #[test]
    fn any_cursor_is_harmless() {
        let mut table: Table<Item, 4> = Table::new(5);
        (0..100).for_each(|n| drop(table.insert(Item::new(&key(n), u64::MAX, 0))));
        let mut words = Words(1);
        for n in 0..2_000 / SCALE {
            let cursor = if n % 2 == 0 { words.next() } else { words.next() >> words.below(64) };
            let next = table.scan(cursor, 3, |_| {});
            assert!(next < 1 << 54);
        }
    }

    #[test]
    fn random_choice_is_fair() {
        for (keys, rounds) in [(3u64, 30_000u64), (700, 400_000)] {
            let mut table: Table<Item, 8> = Table::new(11);
            for n in 0..keys {
                table.insert(Item::new(&n.to_le_bytes(), u64::MAX, n));
            }
            let mut words = Words(2);
            let mut hits = vec![0u64; keys as usize];
            let rounds = rounds / (SCALE * SCALE) as u64;
            for _ in 0..rounds {
                hits[table.random(&mut || words.next()).unwrap().0.2 as usize] += 1;
            }
            let expected = (rounds / keys) as f64;
            let worst = hits.iter().map(|&h| (h as f64 - expected).abs()).fold(0.0, f64::max);
            assert!(SCALE > 1 || worst < expected.sqrt() * 6.0, "{worst} of {expected}");
        }
        let empty: Table<Item> = Table::new(1);
        assert!(empty.random(&mut || 1).is_none());
    }

    #[test]
    fn samples_are_distinct_and_dated_ones_are_found_however_rare() {
        let mut table: Table<Item, 8> = Table::new(12);
        let mut words = Words(3);
        for n in 0..2_000 / SCALE as u64 {
            table.insert(Item::new(&key(n), if n == 77 { 5 } else { u64::MAX }, 0));
        }
        for _ in 0..100 {
            let mut sample = Vec::new();
            table.sample(words.next(), 16, |e| sample.push(e.key().to_vec()));
            sample.sort();
            sample.dedup();
            assert_eq!(sample.len(), 16);
            let mut dated = Vec::new();
            table.sample_with_deadline(words.next(), 5, |e| dated.push(e.key().to_vec()));
            assert_eq!(dated, [key(77)]);
        }
    }

    #[test]
    fn the_sweep_skips_segments_whose_time_has_not_come_and_removes_all_that_expired() {
        let mut table: Table<Item, 16> = Table::new(13);
        let n = 4_000 / SCALE as u64;
        for n in 0..n {
            table.insert(Item::new(&key(n), 1_000 + n, 0));
        }
        let mut visits = 0;
        let (mut cursor, mut removed) = (0, 0);
        table.sweep_expired(999, &mut cursor, &mut { usize::MAX }, |_| removed += 1);
        assert_eq!((cursor, removed), (0, 0));
        loop {
            table.sweep_expired(999 + n / 2, &mut cursor, &mut 30, |_| removed += 1);
            visits += 1;
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(removed, n / 2);
        assert!(visits > 2 / SCALE);
        assert!(table.segments().all(|s| s.min_deadline() > 999 + n / 2));
        check(&table);
        table.sweep_expired(u64::MAX - 1, &mut cursor, &mut { usize::MAX }, |_| removed += 1);
        check(&table);
        assert_eq!((removed, table.memory()), (n, 0));
    }

    #[test]
    fn mass_removal_gives_memory_back() {
        let mut table: Table<Item> = Table::new(14);
        let n = 40_000 / (SCALE * SCALE) as u64;
        (0..n).for_each(|n| drop(table.insert(Item::new(&key(n), u64::MAX, 0))));
        let full = table.memory();
        assert!(full < 20 * n as usize || SCALE > 1, "{table:?}");
        (0..n - n / 100).for_each(|n| drop(table.remove(&key(n))));
        check(&table);
        assert!(table.memory() < full / 20 || SCALE > 1, "{full} {table:?}");
    }

    #[test]
    fn small_tables_are_small() {
        let mut table: Table<Item> = Table::new(15);
        assert_eq!(table.memory(), 0);
        for (n, most) in [(1, 128), (7, 192), (20, 600), (60, 1_200), (128, 1_700), (200, 3_200)] {
            while table.len() < n {
                table.insert(Item::new(&key(table.len() as u64), u64::MAX, 0));
            }
            assert!(table.segment_bytes <= most, "{n}: {table:?}");
        }
    }

    #[test]
    fn versions_change_with_every_mutation() {
        let mut table: Table<Item> = Table::new(16);
        let mut last = None;
        let mut changed = |table: &Table<Item>| {
            let version = table.segment_of(table.hash(&key(0))).unwrap().version();
            last.replace(version) != Some(version)
        };
        table.insert(Item::new(&key(0), u64::MAX, 0));
        assert!(changed(&table));
        table.find(&key(0));
        assert!(!changed(&table));
        table.find_mut(&key(0));
        assert!(changed(&table));
        for n in 0..1000 {
            table.insert(Item::new(&key(n), u64::MAX, 0));
            table.remove(&key(n));
            table.insert(Item::new(&key(n), u64::MAX, 0));
        }
        assert!(changed(&table));
    }

    #[test]
    fn the_two_ways_to_compare_tags_agree() {
        let mut words = Words(9);
        for _ in 0..10_000 / SCALE {
            let word = words.next() & words.next() & words.next();
            let tag = (words.next() & words.next() & words.next()) as u8;
            let slow: Vec<usize> = (0..SLOTS).filter(|i| word.to_le_bytes()[*i] == tag).collect();
            assert_eq!(matches(word, tag).collect::<Vec<_>>(), slow);
            let portable = matches_portable(word, tag);
            assert_eq!((0..SLOTS).filter(|i| portable >> (8 * i + 7) & 1 == 1).collect::<Vec<_>>(), slow);
        }
    }

    #[test]
    fn tables_move_between_threads() {
        fn sends<T: Send>() {}
        sends::<Table<Item>>();
        sends::<IntoIter<Item>>();
    }
}
