//! How much memory the process has allocated: a counting layer over mimalloc.
//!
//! `used_memory` and `maxmemory` are about what was asked for, so the count is of requested sizes; what the allocator
//! holds beyond that is visible in the resident set size.
//!
//! mimalloc is called by its C functions: those that take an alignment give a block of the next size class whenever no
//! free block is at hand and the size is no power of two, also for alignments that every block has anyway. Keys loaded
//! in bulk would all pay for that.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicUsize, Ordering};

use libmimalloc_sys as mi;

/// The allocator of the server binary.
pub struct Counting;

/// One counter a few threads share would be a cache line they fight for: each thread has one of these.
#[repr(align(64))]
struct Counter(AtomicUsize);

/// More than there can be threads: one for each of the most shards, and a few others.
const COUNTERS: usize = 128;
static USED: [Counter; COUNTERS] = [const { Counter(AtomicUsize::new(0)) }; COUNTERS];
static NEXT: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SLOT: std::cell::Cell<usize> = const { std::cell::Cell::new(usize::MAX) };
}

#[inline]
fn count(delta: usize) {
    let slot = SLOT.try_with(|slot| {
        if slot.get() == usize::MAX {
            slot.set(NEXT.fetch_add(1, Ordering::Relaxed) % COUNTERS);
        }
        slot.get()
    });
    // A counter wraps below zero when memory is freed by another thread than allocated it; only the sum has meaning.
    let counter = &USED[slot.unwrap_or(0)].0;
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(delta), Ordering::Relaxed);
}

/// Bytes allocated now.
pub fn used() -> usize {
    let counters = &USED[..NEXT.load(Ordering::Relaxed).min(COUNTERS)];
    let sum =
        counters.iter().fold(0usize, |sum, counter| sum.wrapping_add(counter.0.load(Ordering::Relaxed)));
    PEAK.fetch_max(sum, Ordering::Relaxed);
    sum
}

/// The most that [`used`] has ever answered.
pub fn peak() -> usize {
    used();
    PEAK.load(Ordering::Relaxed)
}

/// What was given to the freeing thread and is not free yet.
static FREEING: AtomicUsize = AtomicUsize::new(0);

/// Something is given to the freeing thread.
pub fn begin_to_free() {
    FREEING.fetch_add(1, Ordering::Relaxed);
}

/// Something that was given to the freeing thread is free.
pub fn have_freed() {
    FREEING.fetch_sub(1, Ordering::Relaxed);
}

/// Whether something is about to be free.
pub fn is_freeing() -> bool {
    FREEING.load(Ordering::Relaxed) > 0
}

/// Gives what is free back to the operating system.
pub fn release() {
    // SAFETY: no precondition.
    unsafe { mi::mi_collect(true) }
}

/// Gives back what has been free for long, as far as this thread can tell; costs next to nothing if there is nothing.
pub fn release_unused() {
    // SAFETY: no precondition.
    unsafe { mi::mi_collect(false) }
}

/// What every block of at least this size is aligned to, smaller ones to their size.
const NATURAL_ALIGNMENT: usize = 16;

#[inline]
fn naturally_aligned(layout: &Layout) -> bool {
    layout.align() <= NATURAL_ALIGNMENT && layout.align() <= layout.size()
}

// SAFETY: blocks come from an allocator that keeps the contract, and are at least as large and as aligned as asked for.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        let block = if naturally_aligned(&layout) {
            // SAFETY: no precondition.
            unsafe { mi::mi_malloc(layout.size()) }
        } else {
            // SAFETY: a layout's alignment is a power of two.
            unsafe { mi::mi_malloc_aligned(layout.size(), layout.align()) }
        };
        block.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(layout.size().wrapping_neg());
        // SAFETY: the caller got it from one of these functions.
        unsafe { mi::mi_free(ptr.cast()) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        let block = if naturally_aligned(&layout) {
            // SAFETY: no precondition.
            unsafe { mi::mi_zalloc(layout.size()) }
        } else {
            // SAFETY: a layout's alignment is a power of two.
            unsafe { mi::mi_zalloc_aligned(layout.size(), layout.align()) }
        };
        block.cast()
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size.wrapping_sub(layout.size()));
        let block = if layout.align() <= NATURAL_ALIGNMENT && layout.align() <= new_size {
            // SAFETY: the caller got it from one of these functions.
            unsafe { mi::mi_realloc(ptr.cast(), new_size) }
        } else {
            // SAFETY: as above; a layout's alignment is a power of two.
            unsafe { mi::mi_realloc_aligned(ptr.cast(), new_size, layout.align()) }
        };
        block.cast()
    }
}
