//! The order: what concerns several boxes happens at one position, and every box follows all positions.
//!
//! ```text
//!     position   12      13      14      15      16      17      18      19
//!     slot        4       5       6       7       0       1       2       3      capacity 8, two chunks of 4
//!              | entry | entry | entry | entry | entry | vacant| vacant| vacant|
//!                         ^cursor of box 1        ^cursor of box 0
//!                                                         ^tail
//! ```
//!
//! *Append*: exchange the vacant slot at `tail` for the entry, then move `tail` past it. Whoever finds the slot at `tail`
//! filled moves `tail` in its author's place and tries the next position. So positions have no gaps, nobody waits for
//! an author who was descheduled in between, and no append returns before `tail` covers its entry. (Reserving a
//! position first and filling it later would have both faults.)
//!
//! *Follow*: a box has a [`Cursor`]. It loads `tail`, reads entry after entry up to it, and moves past each when it has
//! applied it. An entry is never changed; it is dropped when all cursors have passed it and nobody else shares it.
//!
//! *Reclaim*: the log is bounded. Slots form chunks, and a chunk counts the cursors that have passed its end in this
//! lap. The cursor that is last vacates the chunk for the next lap: so exactly one does, and no slot is looked at by
//! anyone who might find something else there. An append that finds the slot of the lap before is refused, and names the
//! boxes that have not passed it: whoever wants to append notifies those, parked bystanders included, and tries later.
//!
//! *The slot's word* says which position it speaks of, or an append that slept for a lap would put its entry into the
//! future: vacant slots carry their position (odd: `2 * position + 1`), filled ones the entry's address with the lap's
//! parity in bit 1. Two laps apart is the nearest confusion of parities, and `tail`, read again, excludes it.
//!
//! Costs: an append is two exchanges; following costs one load of `tail` a sync and one store an entry, and one
//! counted pass a chunk.

#![allow(unsafe_code)]

use std::fmt;
use std::ptr;

use crate::sync::{Alone, Arc, AtomicPtr, AtomicU64, AtomicUsize, ord};

/// A place in the order. Positions begin at 0 and have no gaps.
pub type Position = u64;

// Positions are kept in pointers.
const _: () = assert!(size_of::<usize>() == size_of::<Position>());

/// An order for `boxes` boxes, and a cursor for each, at position 0. It has room for `chunks * chunk` entries.
///
/// Room is given back by the chunk: a log of few large chunks is full earlier, one of many small ones counts more often.
///
/// # Panics
///
/// If one of the numbers is 0, or `chunks` or `chunk` is no power of two.
pub fn order<E: Send + Sync>(boxes: usize, chunks: usize, chunk: usize) -> (Arc<Log<E>>, Vec<Cursor<E>>) {
    const { assert!(align_of::<E>() >= 4, "two bits of an entry's address are used") };
    assert!(boxes > 0, "an order is followed by someone");
    assert!(chunks.is_power_of_two() && chunk.is_power_of_two(), "slots are found by masks");
    let log = Arc::new(Log {
        tail: Alone(AtomicU64::new(0)),
        slots: (0..(chunks * chunk) as Position).map(|position| AtomicPtr::new(vacant(position))).collect(),
        to_pass: (0..chunks).map(|_| Alone(AtomicUsize::new(boxes))).collect(),
        passed: (0..boxes).map(|_| Alone(AtomicU64::new(0))).collect(),
    });
    let cursors = (0..boxes)
        .map(|number| Cursor { log: log.clone(), number, position: 0, covered: 0 })
        .collect::<Vec<_>>();
    (log, cursors)
}

/// The order, as those see it who append to it.
pub struct Log<E> {
    /// Positions below are filled.
    tail: Alone<AtomicU64>,
    slots: Box<[AtomicPtr<E>]>,
    /// For each chunk, how many cursors have not passed its end in the lap that it is in.
    to_pass: Box<[Alone<AtomicUsize>]>,
    /// For each box, the position of its cursor: stored by the cursor, read to name laggards.
    passed: Box<[Alone<AtomicU64>]>,
}

/// An append was refused: the slot it needs is still followed by someone.
pub struct Full<E> {
    /// What was to be appended.
    pub entry: Arc<E>,
    /// The position that it would have got.
    pub position: Position,
    /// The boxes whose cursors stand in the way, at least one. Notify them.
    pub laggards: Vec<usize>,
}

/// What the word of a slot says to who wants to fill it at a position.
enum Slot {
    /// Vacant, for this position.
    Vacant,
    /// Filled, at this position or one at least two laps away.
    Filled,
    /// Filled a lap before, or vacant for another position, or a lap later.
    Other,
}

impl<E: Send + Sync> Log<E> {
    /// Appends an entry and gives its position, which `tail` covers.
    ///
    /// Then notify every box that the entry names.
    pub fn append(&self, entry: Arc<E>) -> Result<Position, Full<E>> {
        let entry = Arc::into_raw(entry).cast_mut();
        loop {
            // Acquire: the slot below is seen no older than whoever moved `tail` here saw it.
            let tail = self.tail.load(ord!("log.look_tail", Acquire));
            let slot = self.slot(tail);
            // Acquire: what was done to the chunk before it was vacated, and what its author knew of `tail`.
            let word = slot.load(ord!("log.look_slot", Acquire));
            match self.read(word, tail) {
                Slot::Vacant => {
                    let filled = self.filled(entry, tail);
                    // Release: the entry happens before whoever reads it; the chain goes on through `tail`.
                    if slot
                        .compare_exchange(
                            word,
                            filled,
                            ord!("log.fill", Release),
                            ord!("log.fill_lost", Relaxed),
                        )
                        .is_ok()
                    {
                        if !kevy::bug!(AppendUncovered) {
                            self.cover(tail);
                        }
                        return Ok(tail);
                    }
                }
                Slot::Filled => self.cover(tail),
                Slot::Other => {
                    // Relaxed: `tail` was read before, and so was the slot of whoever may have moved it.
                    if self.tail.load(ord!("log.again", Relaxed)) != tail {
                        continue;
                    }
                    let laggards = self.laggards(tail);
                    // None: the chunk has been vacated meanwhile, and that happened before what was just read.
                    if !laggards.is_empty() {
                        // SAFETY: it came from `into_raw` above and is in no slot.
                        let entry = unsafe { Arc::from_raw(entry.cast_const()) };
                        return Err(Full { entry, position: tail, laggards });
                    }
                }
            }
        }
    }

    /// Positions below this are filled.
    pub fn tail(&self) -> Position {
        // Relaxed: a number to compare. Who wants to read entries looks with a cursor.
        self.tail.load(ord!("log.tail", Relaxed))
    }

    /// How many entries there is room for when all cursors have caught up.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Moves `tail` past a position that is filled, unless someone has.
    fn cover(&self, position: Position) {
        // Release: who sees the new tail sees the slots below it. If another was faster, `tail` is past the position.
        let _ = self.tail.compare_exchange(
            position,
            position + 1,
            ord!("log.cover", Release),
            ord!("log.covered", Relaxed),
        );
    }

    /// The boxes that have not passed the chunk whose slots a position needs.
    fn laggards(&self, position: Position) -> Vec<usize> {
        let chunk = self.chunk_len();
        let end = (position / chunk + 1) * chunk - self.slots.len() as Position;
        let behind = |&number: &usize| {
            // Acquire: a cursor that is past the chunk has counted itself, and vacated the chunk if it was the last.
            self.passed[number].load(ord!("log.look_cursor", Acquire)) < end
        };
        (0..self.passed.len()).filter(behind).collect()
    }
}

impl<E> Log<E> {
    fn slot(&self, position: Position) -> &AtomicPtr<E> {
        &self.slots[position as usize & (self.slots.len() - 1)]
    }

    fn chunk_len(&self) -> Position {
        (self.slots.len() / self.to_pass.len()) as Position
    }

    fn read(&self, word: *mut E, position: Position) -> Slot {
        if word == vacant(position) {
            Slot::Vacant
        } else if word.addr() & 1 == 0 && word.addr() & 2 == self.parity(position) {
            Slot::Filled
        } else {
            Slot::Other
        }
    }

    /// Bit 1 of words that were filled in this position's lap.
    fn parity(&self, position: Position) -> usize {
        ((position as usize / self.slots.len()) & 1) << 1
    }

    /// The word of a slot that holds an entry. Entries are aligned to 4.
    fn filled(&self, entry: *mut E, position: Position) -> *mut E {
        entry.map_addr(|address| address | self.parity(position))
    }
}

impl<E> Drop for Log<E> {
    fn drop(&mut self) {
        for slot in &self.slots {
            // Relaxed: nobody else is left, and whatever they did happened before.
            let word = slot.load(ord!("log.drop", Relaxed));
            if let Some(entry) = address(word) {
                // SAFETY: a filled slot owns one share of its entry, and this is the last use of the slot.
                drop(unsafe { Arc::from_raw(entry) });
            }
        }
    }
}

/// The word of a slot that waits for the entry of a position. No entry has an odd address.
fn vacant<E>(position: Position) -> *mut E {
    ptr::without_provenance_mut(2 * position as usize + 1)
}

/// The entry of a slot's word.
fn address<E>(word: *mut E) -> Option<*const E> {
    (word.addr() & 1 == 0).then(|| word.map_addr(|address| address & !2).cast_const())
}

/// A box's place in the order. There is one for each box, and it moves with it.
///
/// If a cursor is dropped, its box follows no more, and the log fills up and stays full.
pub struct Cursor<E> {
    log: Arc<Log<E>>,
    /// Which box's.
    number: usize,
    /// The next position to apply.
    position: Position,
    /// `tail` as it was last loaded: `position..covered` may be read.
    covered: Position,
}

impl<E: Send + Sync> Cursor<E> {
    /// Loads the tail: [`Cursor::entry`] goes up to it. Gives how many entries there are to apply.
    ///
    /// To be called after a command was read, and before it is executed.
    #[inline]
    pub fn look(&mut self) -> u64 {
        // Acquire: the entries below happened before.
        self.covered = self.log.tail.load(ord!("log.follow", Acquire));
        self.covered - self.position
    }

    /// Whether something was appended that this cursor has not passed, whether looked for or not.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.log.tail() > self.position
    }

    /// The position of the next entry to apply.
    #[inline]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next entry to apply, unless the cursor is where the tail was at the last look.
    #[inline]
    pub fn entry(&self) -> Option<&E> {
        // SAFETY: the slot's share of the entry lives until every cursor has passed it, and this one cannot while it is
        // borrowed.
        self.here().map(|entry| unsafe { &*entry })
    }

    /// [`Cursor::entry`], to be kept longer than the cursor stays: for entries that the box itself goes into.
    pub fn share(&self) -> Option<Arc<E>> {
        self.here().map(|entry| {
            // SAFETY: it came from `Arc::into_raw`, and the slot's share of it lives while this cursor is here.
            unsafe {
                Arc::increment_strong_count(entry);
                Arc::from_raw(entry)
            }
        })
    }

    fn here(&self) -> Option<*const E> {
        if self.position == self.covered {
            return None;
        }
        // Relaxed: the slot was filled before the look that covered it, and is vacated after this cursor has passed.
        let entry = address(self.log.slot(self.position).load(ord!("log.here", Relaxed)));
        Some(entry.expect("a slot below the tail is filled until all have passed it"))
    }

    /// Moves past the entry at the cursor, which the box has applied.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[inline]
    pub fn advance(&mut self) {
        assert!(self.position < self.covered, "a cursor passes what it has looked at");
        self.position += 1;
        if self.position.is_multiple_of(self.log.chunk_len()) {
            self.pass();
        }
        // Release: this cursor has counted itself, and vacated the chunk if it was the last.
        self.log.passed[self.number].0.store(self.position, ord!("log.passed", Release));
    }

    /// Counts this cursor past the chunk that ends before its position. The last one vacates the chunk.
    #[cold]
    fn pass(&mut self) {
        let (log, chunk) = (&*self.log, self.log.chunk_len());
        let number = ((self.position - 1) / chunk) as usize % log.to_pass.len();
        let to_pass = &log.to_pass[number];
        // Release: this cursor's reads of the entries happen before they are dropped. Acquire: so do all others'.
        if to_pass.fetch_sub(1, ord!("log.pass", AcqRel)) > 1 {
            return;
        }
        // Relaxed: counted again only by cursors that follow entries of the next lap, which come after the stores below.
        to_pass.store(log.passed.len(), ord!("log.recount", Relaxed));
        for position in self.position - chunk..self.position {
            let slot = log.slot(position);
            // Relaxed: as in `here`.
            let word = slot.load(ord!("log.vacated", Relaxed));
            // Release: the next lap's count, and this lap's reads, happen before the slot is filled again.
            slot.store(vacant(position + log.slots.len() as Position), ord!("log.vacate", Release));
            let entry = address(word).expect("a slot below the tail is filled until all have passed it");
            // SAFETY: the slot's share, which is in the slot no more; all cursors have passed it.
            drop(unsafe { Arc::from_raw(entry) });
        }
    }
}

// The pointers in the slots are shares of entries that are read by many threads and dropped by any.
// SAFETY: `Arc<E>` would be `Send` and `Sync` on the same condition.
unsafe impl<E: Send + Sync> Send for Log<E> {}
// SAFETY: as above.
unsafe impl<E: Send + Sync> Sync for Log<E> {}

impl<E> fmt::Debug for Log<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("tail", &*self.tail)
            .field("capacity", &self.slots.len())
            .finish_non_exhaustive()
    }
}

impl<E> fmt::Debug for Cursor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("number", &self.number)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl<E> fmt::Debug for Full<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Full").field("laggards", &self.laggards).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn follow(cursor: &mut Cursor<u64>) -> Vec<u64> {
        cursor.look();
        let mut seen = Vec::new();
        while let Some(&entry) = cursor.entry() {
            seen.push(entry);
            cursor.advance();
        }
        seen
    }

    #[test]
    fn every_cursor_sees_every_entry_at_its_position() {
        let (log, mut cursors) = order::<u64>(2, 2, 2);
        for n in 0..4 {
            assert_eq!(log.append(Arc::new(10 + n)).unwrap(), n);
        }
        assert_eq!(log.tail(), 4);
        assert_eq!(cursors[0].entry(), None, "not looked yet");
        assert!(cursors[0].is_behind());
        assert_eq!(follow(&mut cursors[0]), [10, 11, 12, 13]);
        assert!(!cursors[0].is_behind());
        assert_eq!(cursors[1].look(), 4);
        assert_eq!(
            (cursors[1].position(), cursors[1].entry(), cursors[1].share().as_deref()),
            (0, Some(&10), Some(&10))
        );
        cursors[1].advance();
        assert_eq!((cursors[1].position(), cursors[1].entry()), (1, Some(&11)));
    }

    #[test]
    fn a_full_log_names_who_is_behind() {
        let (log, mut cursors) = order::<u64>(3, 2, 2);
        for n in 0..4 {
            log.append(Arc::new(n)).unwrap();
        }
        let full = log.append(Arc::new(4)).unwrap_err();
        assert_eq!((*full.entry, full.laggards), (4, vec![0, 1, 2]));
        assert_eq!(follow(&mut cursors[1]), [0, 1, 2, 3]);
        cursors[0].look();
        cursors[0].advance();
        cursors[2].look();
        cursors[2].advance();
        cursors[2].advance();
        assert_eq!(log.append(full.entry).unwrap_err().laggards, [0], "room is given back by the chunk");
        cursors[0].advance();
        assert_eq!(log.append(Arc::new(4)).unwrap(), 4);
        assert_eq!(log.append(Arc::new(5)).unwrap(), 5);
        assert_eq!(log.append(Arc::new(6)).unwrap_err().laggards, [0, 2]);
        assert_eq!(follow(&mut cursors[0]), [2, 3, 4, 5]);
        assert_eq!(follow(&mut cursors[2]), [2, 3, 4, 5]);
        assert_eq!(follow(&mut cursors[1]), [4, 5]);
    }

    #[test]
    fn an_entry_is_dropped_once_when_all_have_passed_it() {
        let (log, mut cursors) = order::<Arc<u64>>(2, 2, 1);
        let entry = Arc::new(7);
        log.append(Arc::new(entry.clone())).unwrap();
        log.append(Arc::new(entry.clone())).unwrap();
        let refused = log.append(Arc::new(entry.clone())).unwrap_err();
        drop(refused);
        assert_eq!(Arc::strong_count(&entry), 3);
        cursors[0].look();
        cursors[0].advance();
        cursors[1].look();
        let shared = cursors[1].share();
        cursors[1].advance();
        assert_eq!(Arc::strong_count(&entry), 3);
        drop(shared);
        assert_eq!(Arc::strong_count(&entry), 2);
        drop((log, cursors));
        assert_eq!(Arc::strong_count(&entry), 1);
    }

    #[test]
    #[should_panic(expected = "has looked at")]
    fn a_cursor_passes_only_what_it_has_looked_at() {
        let (log, mut cursors) = order::<u64>(1, 1, 1);
        log.append(Arc::new(1)).unwrap();
        cursors[0].advance();
    }

    /// Authors append numbered entries; every box sees one order, without gaps, and each author's in his order.
    #[test]
    fn threads_agree_on_one_order() {
        const COUNT: u64 = 20_000;
        for (chunks, chunk) in [(1, 1), (2, 1), (2, 4), (8, 16)] {
            let dropped = AtomicUsize::new(0);
            let (log, cursors) = order::<Counted<'_>>(2, chunks, chunk);
            let seen = std::thread::scope(|scope| {
                for author in 0..2 {
                    let (log, dropped) = (log.clone(), &dropped);
                    scope.spawn(move || {
                        let mut last = None;
                        for n in 0..COUNT {
                            let mut entry = Arc::new(Counted { value: n * 2 + author, dropped });
                            loop {
                                match log.append(entry) {
                                    Ok(position) => {
                                        assert!(last < Some(position) && log.tail() > position);
                                        last = Some(position);
                                        break;
                                    }
                                    Err(full) => {
                                        assert!(!full.laggards.is_empty());
                                        entry = full.entry;
                                        std::thread::yield_now();
                                    }
                                }
                            }
                        }
                    });
                }
                let followers = cursors.into_iter().map(|mut cursor| {
                    scope.spawn(move || {
                        let mut seen = Vec::new();
                        while (seen.len() as u64) < 2 * COUNT {
                            if cursor.look() == 0 {
                                std::thread::yield_now();
                            }
                            while let Some(entry) = cursor.entry() {
                                seen.push(entry.value);
                                cursor.advance();
                            }
                        }
                        seen
                    })
                });
                let followers = followers.collect::<Vec<_>>();
                followers.into_iter().map(|follower| follower.join().unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(seen[0], seen[1]);
            for author in 0..2 {
                let own = seen[0].iter().filter(|&value| value % 2 == author);
                assert!(own.copied().eq((0..COUNT).map(|n| n * 2 + author)));
            }
            drop(log);
            assert_eq!(dropped.into_inner() as u64, 2 * COUNT);
        }
    }

    struct Counted<'a> {
        value: u64,
        dropped: &'a AtomicUsize,
    }

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
