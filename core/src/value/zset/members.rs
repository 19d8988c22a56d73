//! The members of a large sorted set: a record (score, bytes) for each, found by its bytes or by its [`Handle`].
//!
//! Records live in a [`Heap`]: chunks of equal slots, one size for all records of a chunk, so that a handle is a chunk's
//! number and a slot's. An [`Index`] of hashes finds the handle of given bytes. A record keeps its handle for life, which
//! makes the handle good for three things: the entries of the rank tree, the entries of the index, and the cursor of
//! a scan, which just walks the slots.
//!
//! Why not one allocation a member that table and tree point to: that takes `unsafe` or reference counts for the
//! sharing, 8 bytes a pointer instead of 4, the allocator's own header, and a `free` for each member when the set is
//! dropped, which for millions is a pause. Here dropping and cloning cost one operation a chunk. What would change the
//! choice: members that must outlive the set or move between sets without a copy.
//!
//! Nothing here works on everything at once when it grows: a chunk or a segment of the index is at most some KB, the
//! vectors of chunks and segments have one small element per some hundred members.

use std::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

use crate::value::rank_tree::{Handle, Keys};

/// Records by member bytes and by handle.
#[derive(Clone)]
pub struct Members {
    heap: Heap<512>,
    index: Index<512>,
    seed: u64,
}

impl Members {
    /// No members, and an index for about `expected`.
    pub fn new(expected: usize, seed: u64) -> Self {
        Self { heap: Heap::new(), index: Index::new(expected), seed }
    }

    pub fn find(&self, member: &[u8]) -> Option<Handle> {
        self.index.find(self.hash(member), |handle| self.heap.bytes(handle) == member)
    }

    /// Adds a member that is not there.
    pub fn add(&mut self, member: &[u8], score: f64) -> Handle {
        debug_assert!(self.find(member).is_none());
        let handle = self.heap.add(member, score);
        self.index.add(self.hash(member), handle);
        handle
    }

    pub fn remove(&mut self, handle: Handle) {
        self.index.remove(self.hash(self.heap.bytes(handle)), handle);
        self.heap.remove(handle);
    }

    pub fn bytes(&self, handle: Handle) -> &[u8] {
        self.heap.bytes(handle)
    }

    pub fn score(&self, handle: Handle) -> f64 {
        self.heap.score(handle)
    }

    pub fn set_score(&mut self, handle: Handle, score: f64) {
        self.heap.set_score(handle, score);
    }

    /// Shows about `count` members from the cursor on to `visit`; returns the cursor behind them, 0 at the end.
    pub fn scan(&self, cursor: u64, count: usize, visit: impl FnMut(&[u8], f64)) -> u64 {
        self.heap.scan(cursor, count, visit)
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.heap.memory() + self.index.memory()
    }

    fn hash(&self, member: &[u8]) -> u32 {
        let mut hasher = FoldHasher::with_seed(self.seed, SharedSeed::global_fixed());
        hasher.write(member);
        (hasher.finish() >> 32) as u32
    }
}

impl Keys for Members {
    #[inline]
    fn key(&self, handle: Handle) -> &[u8] {
        self.heap.bytes(handle)
    }
}

/// Records in chunks of `SLOTS` slots; all slots of a chunk have the same size, its class times 8 bytes.
///
/// ```text
/// slot in use: [score f64 le][len u8][bytes][unused up to the slot's end]
/// vacant slot: [next vacant slot u16 le]....[VACANT u8][unused]
/// ```
///
/// Members too long for the largest class have chunks of class 0 with boxes in them.
struct Heap<const SLOTS: usize> {
    chunks: Vec<Chunk>,
    /// For each class the head of the list of chunks with room, or `NO_CHUNK`.
    roomy: [u32; CLASSES],
    /// Bytes of all slots, capacity included.
    allocated: usize,
}

#[derive(Clone)]
struct Chunk {
    slots: Slots,
    class: u8,
    live: u16,
    /// Head of the list of vacant slots, or `NONE`.
    vacant: u16,
    /// The next chunk of the class with room, or `NO_CHUNK`.
    next: u32,
}

#[derive(Clone)]
enum Slots {
    Inline(Vec<u8>),
    Boxed(Vec<BoxedSlot>),
}

#[derive(Clone)]
enum BoxedSlot {
    Live(f64, Box<[u8]>),
    Vacant(u16),
}

const NONE: u16 = u16::MAX;
const NO_CHUNK: u32 = u32::MAX;
/// In the place of a length.
const VACANT: u8 = u8::MAX;
const GRAIN: usize = 8;
const SCORE: usize = size_of::<f64>();
/// Score and length.
const HEADER: usize = SCORE + 1;
const CLASSES: usize = 33;
const MAX_INLINE: usize = (CLASSES - 1) * GRAIN - HEADER;
const BOXED: u8 = 0;

const _: () = assert!(MAX_INLINE < VACANT as usize, "a length must not look vacant");

impl<const SLOTS: usize> Heap<SLOTS> {
    const FITS: () = assert!(SLOTS.is_power_of_two() && SLOTS < NONE as usize);

    fn new() -> Self {
        let () = Self::FITS;
        Self { chunks: Vec::new(), roomy: [NO_CHUNK; CLASSES], allocated: 0 }
    }

    fn add(&mut self, bytes: &[u8], score: f64) -> Handle {
        let class = class(bytes.len());
        let roomy = &mut self.roomy[usize::from(class)];
        if *roomy == NO_CHUNK {
            *roomy = self.chunks.len() as u32;
            let slots = if class == BOXED { Slots::Boxed(Vec::new()) } else { Slots::Inline(Vec::new()) };
            self.chunks.push(Chunk { slots, class, live: 0, vacant: NONE, next: NO_CHUNK });
        }
        let number = *roomy;
        // While the set is small, spare room is a share of it; later a chunk is small against the rest.
        let few = self.chunks.len() <= 4;
        let chunk = &mut self.chunks[number as usize];
        let allocated = chunk.allocated();
        let used = chunk.used();
        let step = if few { used / 4 + 4 } else { SLOTS }.min(SLOTS - used);
        let slot = if chunk.vacant != NONE { usize::from(chunk.vacant) } else { used };
        match &mut chunk.slots {
            Slots::Inline(data) => {
                let size = usize::from(class) * GRAIN;
                if slot == used {
                    if data.len() == data.capacity() {
                        data.reserve_exact(step * size);
                    }
                    data.resize((used + 1) * size, 0);
                }
                let record = &mut data[slot * size..][..size];
                if slot < used {
                    chunk.vacant = u16::from_le_bytes([record[0], record[1]]);
                }
                record[..SCORE].copy_from_slice(&score.to_le_bytes());
                record[SCORE] = bytes.len() as u8;
                record[HEADER..][..bytes.len()].copy_from_slice(bytes);
            }
            Slots::Boxed(slots) => {
                let record = BoxedSlot::Live(score, bytes.into());
                self.allocated += bytes.len();
                if slot == used {
                    if slots.len() == slots.capacity() {
                        slots.reserve_exact(step);
                    }
                    slots.push(record);
                } else if let BoxedSlot::Vacant(next) = std::mem::replace(&mut slots[slot], record) {
                    chunk.vacant = next;
                }
            }
        }
        chunk.live += 1;
        self.allocated += chunk.allocated() - allocated;
        if usize::from(chunk.live) == SLOTS {
            *roomy = chunk.next;
        }
        let handle = number as usize * SLOTS + slot;
        assert!(handle < u32::MAX as usize, "more members than handles");
        Handle(handle as u32)
    }

    fn remove(&mut self, handle: Handle) {
        let (number, slot) = place::<SLOTS>(handle);
        let chunk = &mut self.chunks[number];
        if usize::from(chunk.live) == SLOTS {
            chunk.next = std::mem::replace(&mut self.roomy[usize::from(chunk.class)], number as u32);
        }
        chunk.live -= 1;
        match &mut chunk.slots {
            Slots::Inline(data) => {
                let record = &mut data[slot * usize::from(chunk.class) * GRAIN..][..HEADER];
                debug_assert!(record[SCORE] != VACANT);
                record[..2].copy_from_slice(&chunk.vacant.to_le_bytes());
                record[SCORE] = VACANT;
            }
            Slots::Boxed(slots) => {
                let record = std::mem::replace(&mut slots[slot], BoxedSlot::Vacant(chunk.vacant));
                if let BoxedSlot::Live(_, bytes) = record {
                    self.allocated -= bytes.len();
                }
            }
        }
        chunk.vacant = slot as u16;
        if chunk.live == 0 {
            self.allocated -= chunk.allocated();
            chunk.vacant = NONE;
            match &mut chunk.slots {
                Slots::Inline(data) => *data = Vec::new(),
                Slots::Boxed(slots) => *slots = Vec::new(),
            }
        }
    }

    #[inline]
    fn bytes(&self, handle: Handle) -> &[u8] {
        let (number, slot) = place::<SLOTS>(handle);
        let chunk = &self.chunks[number];
        match &chunk.slots {
            Slots::Inline(data) => {
                let record = &data[slot * usize::from(chunk.class) * GRAIN..];
                &record[HEADER..][..usize::from(record[SCORE])]
            }
            Slots::Boxed(slots) => match &slots[slot] {
                BoxedSlot::Live(_, bytes) => bytes,
                BoxedSlot::Vacant(_) => &[],
            },
        }
    }

    #[inline]
    fn score(&self, handle: Handle) -> f64 {
        let (number, slot) = place::<SLOTS>(handle);
        let chunk = &self.chunks[number];
        match &chunk.slots {
            Slots::Inline(data) => {
                let record = &data[slot * usize::from(chunk.class) * GRAIN..];
                f64::from_le_bytes(*record.first_chunk().expect("slots begin with a score"))
            }
            Slots::Boxed(slots) => match slots[slot] {
                BoxedSlot::Live(score, _) => score,
                BoxedSlot::Vacant(_) => 0.0,
            },
        }
    }

    fn set_score(&mut self, handle: Handle, new: f64) {
        let (number, slot) = place::<SLOTS>(handle);
        let chunk = &mut self.chunks[number];
        match &mut chunk.slots {
            Slots::Inline(data) => {
                let at = slot * usize::from(chunk.class) * GRAIN;
                data[at..][..SCORE].copy_from_slice(&new.to_le_bytes());
            }
            Slots::Boxed(slots) => {
                if let BoxedSlot::Live(score, _) = &mut slots[slot] {
                    *score = new;
                }
            }
        }
    }

    fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        let mut number = usize::try_from(cursor / SLOTS as u64).unwrap_or(usize::MAX);
        let mut slot = (cursor % SLOTS as u64) as usize;
        let mut wanted = count.max(1);
        // Looking at so many slots and chunks ends a step early where most are vacant.
        let mut looks = wanted.saturating_mul(10);
        while let Some(chunk) = self.chunks.get(number) {
            while slot < chunk.used() {
                if wanted == 0 || looks == 0 {
                    return (number * SLOTS + slot) as u64;
                }
                looks -= 1;
                if chunk.is_live(slot) {
                    wanted -= 1;
                    let handle = Handle((number * SLOTS + slot) as u32);
                    visit(self.bytes(handle), self.score(handle));
                }
                slot += 1;
            }
            (number, slot) = (number + 1, 0);
            if (wanted == 0 || looks == 0) && number < self.chunks.len() {
                return (number * SLOTS) as u64;
            }
            looks = looks.saturating_sub(1);
        }
        0
    }

    fn memory(&self) -> usize {
        self.allocated + self.chunks.capacity() * size_of::<Chunk>()
    }
}

impl<const SLOTS: usize> Clone for Heap<SLOTS> {
    fn clone(&self) -> Self {
        let chunks = self.chunks.clone();
        let allocated = chunks.iter().map(|chunk| chunk.allocated() + chunk.boxed_bytes()).sum();
        Self { chunks, roomy: self.roomy, allocated }
    }
}

impl Chunk {
    /// Slots in use or vacant.
    fn used(&self) -> usize {
        match &self.slots {
            Slots::Inline(data) => data.len() / (usize::from(self.class) * GRAIN),
            Slots::Boxed(slots) => slots.len(),
        }
    }

    fn is_live(&self, slot: usize) -> bool {
        match &self.slots {
            Slots::Inline(data) => data[slot * usize::from(self.class) * GRAIN + SCORE] != VACANT,
            Slots::Boxed(slots) => matches!(slots[slot], BoxedSlot::Live(..)),
        }
    }

    fn allocated(&self) -> usize {
        match &self.slots {
            Slots::Inline(data) => data.capacity(),
            Slots::Boxed(slots) => slots.capacity() * size_of::<BoxedSlot>(),
        }
    }

    fn boxed_bytes(&self) -> usize {
        match &self.slots {
            Slots::Inline(_) => 0,
            Slots::Boxed(slots) => slots
                .iter()
                .map(|slot| match slot {
                    BoxedSlot::Live(_, bytes) => bytes.len(),
                    BoxedSlot::Vacant(_) => 0,
                })
                .sum(),
        }
    }
}

fn class(len: usize) -> u8 {
    if len > MAX_INLINE { BOXED } else { (len + HEADER).div_ceil(GRAIN) as u8 }
}

#[inline]
fn place<const SLOTS: usize>(handle: Handle) -> (usize, usize) {
    (handle.0 as usize / SLOTS, handle.0 as usize % SLOTS)
}

/// Handles by hash: extendible hashing. The upper bits of a hash choose a segment through the directory, the bits after
/// those a home slot in it; a segment is an open-addressed table that grows to `SEGMENT` slots and is then divided
/// in two by the next bit.
///
/// A slot holds the whole hash beside the handle, so that dividing and moving read no record, and comparing bytes
/// is needed only for the one that is sought.
#[derive(Clone)]
struct Index<const SEGMENT: usize> {
    /// Segment numbers by the upper `depth` bits of the hash.
    directory: Vec<u32>,
    depth: u32,
    segments: Vec<Segment>,
    slots: usize,
}

/// Linear probing, never full: seven eighths at most.
#[derive(Clone)]
struct Segment {
    /// Hash and handle, or `EMPTY`.
    slots: Box<[u64]>,
    live: u32,
    /// How many upper bits all hashes in the segment have in common.
    depth: u32,
}

/// No handle is `u32::MAX`.
const EMPTY: u64 = u64::MAX;

/// A segment's slots need some of the 32 bits of a hash for themselves.
const MAX_DEPTH: u32 = 24;
/// Directory places a segment.
const SPARSEST: usize = 8;

impl<const SEGMENT: usize> Index<SEGMENT> {
    /// Divided already as `expected` handles would have it, each segment with room for its share.
    fn new(expected: usize) -> Self {
        let segments = expected.div_ceil(SEGMENT * 3 / 4).next_power_of_two().min(1 << MAX_DEPTH);
        let depth = segments.trailing_zeros();
        let room = match expected.div_ceil(segments) {
            0 => 0,
            share => (share * 5 / 4 + 8).min(SEGMENT),
        };
        let segment = Segment { slots: vec![EMPTY; room].into(), live: 0, depth };
        Self {
            directory: (0..segments as u32).collect(),
            depth,
            segments: vec![segment; segments],
            slots: room * segments,
        }
    }

    fn find(&self, hash: u32, is_sought: impl Fn(Handle) -> bool) -> Option<Handle> {
        let segment = &self.segments[self.segment(hash)];
        if segment.live == 0 {
            return None;
        }
        let mut slot = segment.home(hash);
        loop {
            let entry = segment.slots[slot];
            if entry == EMPTY {
                return None;
            }
            if entry_hash(entry) == hash && is_sought(entry_handle(entry)) {
                return Some(entry_handle(entry));
            }
            slot = segment.after(slot);
        }
    }

    fn add(&mut self, hash: u32, handle: Handle) {
        loop {
            let number = self.segment(hash);
            let segment = &self.segments[number];
            let capacity = segment.slots.len();
            if (segment.live as usize) < capacity * 7 / 8 {
                self.segments[number].add(hash, handle);
                return;
            }
            if capacity < SEGMENT || !self.divides(segment.depth) {
                let more = (capacity / 4).max(8);
                self.segments[number].resize(capacity + more);
                self.slots += more;
            } else {
                self.divide(number);
            }
        }
    }

    fn remove(&mut self, hash: u32, handle: Handle) {
        let number = self.segment(hash);
        let segment = &mut self.segments[number];
        segment.remove(hash, handle);
        let capacity = segment.slots.len();
        if (segment.live as usize) < capacity / 2 {
            let fewer = if segment.live == 0 { 0 } else { segment.live as usize * 5 / 4 + 4 };
            if fewer < capacity {
                segment.resize(fewer);
                self.slots -= capacity - fewer;
            }
        }
    }

    fn segment(&self, hash: u32) -> usize {
        // Shifting in u64, because a depth of 0 shifts all 32 bits out.
        self.directory[(u64::from(hash) >> (32 - self.depth)) as usize] as usize
    }

    /// Whether a segment of this depth may be divided. A directory much longer than there are segments would serve an
    /// unlucky hash only; the segment grows beyond its size instead.
    fn divides(&self, depth: u32) -> bool {
        depth < self.depth || depth < MAX_DEPTH && self.directory.len() < self.segments.len() * SPARSEST
    }

    fn divide(&mut self, number: usize) {
        let old = &self.segments[number];
        let depth = old.depth;
        if depth == self.depth {
            self.directory = self.directory.iter().flat_map(|number| [*number; 2]).collect();
            self.depth += 1;
        }
        let bit = 1 << (31 - depth);
        let entries: Vec<u64> = old.slots.iter().copied().filter(|entry| *entry != EMPTY).collect();
        let uppers = entries.iter().filter(|entry| entry_hash(**entry) & bit != 0).count();
        let first = entries.first().map_or(0, |entry| entry_hash(*entry));
        self.slots -= old.slots.len();
        let halves = [(entries.len() - uppers, 0), (uppers, bit)].map(|(live, side)| {
            let mut half = Segment { slots: Box::new([]), live: 0, depth: depth + 1 };
            if live > 0 {
                half.resize((live * 5 / 4 + 8).min(SEGMENT.max(live * 8 / 7 + 2)));
            }
            for entry in entries.iter().filter(|entry| entry_hash(**entry) & bit == side) {
                half.add(entry_hash(*entry), entry_handle(*entry));
            }
            half
        });
        self.slots += halves[0].slots.len() + halves[1].slots.len();
        let [lower, upper] = halves;
        self.segments[number] = lower;
        let upper_number = self.segments.len() as u32;
        self.segments.push(upper);
        // All directory positions whose upper bits are the segment's own and then a one.
        let prefix = (u64::from(first) >> (31 - depth)) | 1;
        let span = 1 << (self.depth - depth - 1);
        let start = prefix as usize * span;
        self.directory[start..start + span].fill(upper_number);
    }

    fn memory(&self) -> usize {
        self.slots * size_of::<u64>()
            + self.segments.capacity() * size_of::<Segment>()
            + self.directory.capacity() * size_of::<u32>()
    }
}

impl Segment {
    /// Bits after the common ones, scaled to the number of slots.
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash << self.depth) * self.slots.len() as u64) >> 32) as usize
    }

    fn after(&self, slot: usize) -> usize {
        if slot + 1 == self.slots.len() { 0 } else { slot + 1 }
    }

    fn add(&mut self, hash: u32, handle: Handle) {
        let mut slot = self.home(hash);
        while self.slots[slot] != EMPTY {
            slot = self.after(slot);
        }
        self.slots[slot] = u64::from(hash) << 32 | u64::from(handle.0);
        self.live += 1;
    }

    fn remove(&mut self, hash: u32, handle: Handle) {
        let sought = u64::from(hash) << 32 | u64::from(handle.0);
        let mut hole = self.home(hash);
        while self.slots[hole] != sought {
            assert!(self.slots[hole] != EMPTY, "every record is indexed");
            hole = self.after(hole);
        }
        self.live -= 1;
        // Whoever sits behind the hole and could not have stayed there without the one removed moves up.
        let mut slot = hole;
        loop {
            slot = self.after(slot);
            let entry = self.slots[slot];
            if entry == EMPTY {
                break;
            }
            let home = self.home(entry_hash(entry));
            let len = self.slots.len();
            let (from_home, from_hole) = ((slot + len - home) % len, (slot + len - hole) % len);
            if from_home >= from_hole {
                self.slots[hole] = entry;
                hole = slot;
            }
        }
        self.slots[hole] = EMPTY;
    }

    fn resize(&mut self, slots: usize) {
        debug_assert!(slots > self.live as usize || slots == 0 && self.live == 0);
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; slots].into());
        self.live = 0;
        for entry in old.into_iter().filter(|entry| *entry != EMPTY) {
            self.add(entry_hash(entry), entry_handle(entry));
        }
    }
}

fn entry_hash(entry: u64) -> u32 {
    (entry >> 32) as u32
}

fn entry_handle(entry: u64) -> Handle {
    Handle(entry as u32)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::rng::Rng;

    /// Records and index with chunks and segments so small that everything happens.
    struct Tiny {
        heap: Heap<4>,
        index: Index<8>,
        /// Fewer bits make equal hashes and deep directories common.
        hash_mask: u32,
    }

    impl Tiny {
        fn hash(&self, bytes: &[u8]) -> u32 {
            let mut hasher = FoldHasher::with_seed(1, SharedSeed::global_fixed());
            hasher.write(bytes);
            (hasher.finish() >> 32) as u32 & self.hash_mask
        }

        fn find(&self, bytes: &[u8]) -> Option<Handle> {
            self.index.find(self.hash(bytes), |handle| self.heap.bytes(handle) == bytes)
        }

        fn check(&self, model: &BTreeMap<Vec<u8>, f64>) {
            for (bytes, score) in model {
                let handle = self.find(bytes).expect("a member is found");
                assert_eq!(self.heap.bytes(handle), bytes);
                assert_eq!(self.heap.score(handle), *score);
            }
            let heap = &self.heap;
            let live: usize = heap.chunks.iter().map(|chunk| usize::from(chunk.live)).sum();
            assert_eq!(live, model.len());
            let allocated: usize =
                heap.chunks.iter().map(|chunk| chunk.allocated() + chunk.boxed_bytes()).sum();
            assert_eq!(heap.allocated, allocated);
            for chunk in &heap.chunks {
                assert!(chunk.live > 0 || chunk.allocated() == 0, "empty chunks hold no memory");
                let used = if chunk.live == 0 { 0 } else { chunk.used() };
                assert_eq!((0..used).filter(|slot| chunk.is_live(*slot)).count(), usize::from(chunk.live));
            }
            let mut roomy = 0;
            for (class, head) in heap.roomy.iter().enumerate() {
                let mut number = *head;
                while number != NO_CHUNK {
                    let chunk = &heap.chunks[number as usize];
                    assert_eq!(usize::from(chunk.class), class);
                    assert!(chunk.live < 4);
                    roomy += 1;
                    number = chunk.next;
                }
            }
            assert_eq!(roomy, heap.chunks.iter().filter(|chunk| chunk.live < 4).count());

            let index = &self.index;
            assert_eq!(index.directory.len(), 1 << index.depth);
            assert!(index.directory.len() <= index.segments.len() * 2 * SPARSEST);
            let live: usize = index.segments.iter().map(|segment| segment.live as usize).sum();
            assert_eq!(live, model.len());
            let slots: usize = index.segments.iter().map(|segment| segment.slots.len()).sum();
            assert_eq!(index.slots, slots);
            for (number, segment) in index.segments.iter().enumerate() {
                let places = index.directory.iter().filter(|place| **place == number as u32).count();
                assert_eq!(places, 1 << (index.depth - segment.depth));
                for entry in segment.slots.iter().filter(|entry| **entry != EMPTY) {
                    assert_eq!(index.segment(entry_hash(*entry)), number);
                }
            }
        }
    }

    fn random_bytes(rng: &mut Rng, distinct: u64) -> Vec<u8> {
        let number = rng.below(distinct);
        let mut bytes = number.to_string().into_bytes();
        // The number decides the length, some beyond the largest class.
        bytes.resize(bytes.len() + [0, 1, 7, 20, 200, 300][number as usize % 6], b'x');
        bytes
    }

    #[test]
    fn agrees_with_a_map_at_every_step() {
        for (seed, hash_mask) in [(1, u32::MAX), (2, 0xff00_0000), (3, 0x0000_00ff), (4, u32::MAX)] {
            let mut rng = Rng::new(seed);
            let expected = [0, 5, 100][seed as usize % 3];
            let mut tiny = Tiny { heap: Heap::new(), index: Index::new(expected), hash_mask };
            let mut model = BTreeMap::new();
            for step in 0..4000u32 {
                let bytes = random_bytes(&mut rng, 400);
                // Waves of growth and shrinkage.
                let grows = rng.below(10) < if step / 1000 % 2 == 0 { 8 } else { 2 };
                match (tiny.find(&bytes), grows) {
                    (None, true) => {
                        let handle = tiny.heap.add(&bytes, f64::from(step));
                        tiny.index.add(tiny.hash(&bytes), handle);
                        assert!(model.insert(bytes, f64::from(step)).is_none(), "seed {seed} step {step}");
                    }
                    (None, false) => assert!(!model.contains_key(&bytes), "seed {seed} step {step}"),
                    (Some(handle), true) => {
                        tiny.heap.set_score(handle, -1.5);
                        assert!(model.insert(bytes, -1.5).is_some(), "seed {seed} step {step}");
                    }
                    (Some(handle), false) => {
                        tiny.index.remove(tiny.hash(&bytes), handle);
                        tiny.heap.remove(handle);
                        assert!(model.remove(&bytes).is_some(), "seed {seed} step {step}");
                    }
                }
                if step % 16 == 0 {
                    tiny.check(&model);
                }
            }
            tiny.check(&model);
            tiny.heap.clone().chunks.iter().for_each(|chunk| assert!(chunk.live <= 4));
            assert!(hash_mask != u32::MAX || tiny.index.segments.len() > 16, "segments were divided");
            for bytes in model.into_keys() {
                let handle = tiny.find(&bytes).expect("a member is found");
                tiny.index.remove(tiny.hash(&bytes), handle);
                tiny.heap.remove(handle);
            }
            tiny.check(&BTreeMap::new());
            assert_eq!(tiny.heap.allocated, 0);
            assert_eq!(tiny.index.slots, 0);
        }
    }

    #[test]
    fn a_scan_shows_whoever_stays_and_nobody_twice() {
        for seed in 0..20 {
            let mut rng = Rng::new(seed);
            let mut heap: Heap<4> = Heap::new();
            let stays: Vec<Vec<u8>> = (0..60).map(|number| format!("stays {number}").into_bytes()).collect();
            let mut comers = Vec::new();
            for bytes in &stays {
                heap.add(bytes, 1.0);
                comers.push(heap.add(b"comes and goes", 2.0));
            }
            let mut seen = BTreeSet::new();
            let mut cursor = 0;
            let mut steps = 0;
            loop {
                cursor = heap.scan(cursor, 1 + rng.index(5), |bytes, score| {
                    if score == 1.0 {
                        assert!(seen.insert(bytes.to_vec()), "seed {seed}: shown twice");
                    }
                });
                steps += 1;
                if cursor == 0 {
                    break;
                }
                if rng.below(3) > 0 {
                    if let Some(handle) = comers.pop() {
                        heap.remove(handle);
                    }
                } else {
                    comers.push(heap.add(b"comes, too", 2.0));
                }
            }
            assert_eq!(seen, stays.into_iter().collect(), "seed {seed}");
            assert!(steps > 5);
            assert_eq!(heap.scan(u64::MAX, 10, |_, _| panic!("there is nothing")), 0);
        }
    }

    #[test]
    fn a_clone_stands_alone() {
        let mut members = Members::new(0, 7);
        let handles: Vec<Handle> =
            (0..3000).map(|number| members.add(number.to_string().as_bytes(), 0.0)).collect();
        let copy = members.clone();
        handles.iter().for_each(|handle| members.remove(*handle));
        assert!(members.find(b"17").is_none());
        assert_eq!(copy.find(b"17").map(|handle| copy.bytes(handle)), Some(&b"17"[..]));
        assert!(copy.memory() > members.memory());
    }
}
