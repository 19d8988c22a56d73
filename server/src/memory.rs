//! How much memory the process has allocated: a counting layer over mimalloc.
//!
//! `used_memory` and `maxmemory` are about what was asked for, so the count is of requested sizes; what the allocator
//! holds beyond that is visible in the resident set size.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicUsize, Ordering};

use mimalloc::MiMalloc;

/// The allocator of the server binary.
pub struct Counting;

/// One counter a few threads share would be a cache line they fight for: each thread has one of these.
#[repr(align(64))]
struct Counter(AtomicUsize);

const COUNTERS: usize = 64;
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
    let sum = USED.iter().fold(0usize, |sum, counter| sum.wrapping_add(counter.0.load(Ordering::Relaxed)));
    PEAK.fetch_max(sum, Ordering::Relaxed);
    sum
}

/// The most that [`used`] has ever answered.
pub fn peak() -> usize {
    used();
    PEAK.load(Ordering::Relaxed)
}

// SAFETY: every call is passed on unchanged to an allocator that keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's contract is the same.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(layout.size().wrapping_neg());
        // SAFETY: the caller's contract is the same.
        unsafe { MiMalloc.dealloc(ptr, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's contract is the same.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size.wrapping_sub(layout.size()));
        // SAFETY: the caller's contract is the same.
        unsafe { MiMalloc.realloc(ptr, layout, new_size) }
    }
}
