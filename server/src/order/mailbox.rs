//! Boxes meet in an entry that needs several of them.
//!
//! A mailbox expects a fixed number of things. Each arrives once, from any thread; whoever brings the last gets all,
//! and with them everything that was done to them before. Nobody waits: who is not the last goes on without.

#![allow(unsafe_code)]

use std::fmt;

use crate::sync::{AtomicUsize, UnsafeCell, ord};

/// A meeting of `N` things, where `N` is the number given to [`Mailbox::new`].
pub struct Mailbox<T> {
    /// How many slots have been given out.
    claimed: AtomicUsize,
    /// How many slots have been filled.
    arrived: AtomicUsize,
    slots: Box<[UnsafeCell<Option<T>>]>,
}

// SAFETY: each slot is written by the one thread that claimed its number, and read by the one thread that counted the
// last arrival, after all writes. Things move between threads (`T: Send`) and are never shared.
unsafe impl<T: Send> Send for Mailbox<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Mailbox<T> {}

impl<T> Mailbox<T> {
    /// A mailbox that expects `count` things.
    pub fn new(count: usize) -> Self {
        Self {
            claimed: AtomicUsize::new(0),
            arrived: AtomicUsize::new(0),
            slots: (0..count).map(|_| UnsafeCell::new(None)).collect(),
        }
    }

    /// Brings one thing. The last to arrive gets all, in no particular order; the others get `None` and go on.
    ///
    /// # Panics
    ///
    /// If more arrive than are expected.
    pub fn arrive(&self, thing: T) -> Option<Vec<T>> {
        // Relaxed: a number that nobody else gets, nothing more.
        let number = self.claimed.fetch_add(1, ord!("mailbox.claim", Relaxed));
        assert!(number < self.slots.len(), "a mailbox holds {} things", self.slots.len());
        // SAFETY: nobody else has this number, and nobody reads the slot before this thread has counted its arrival.
        self.slots[number].with_mut(|slot| unsafe { *slot = Some(thing) });
        // Release: this thing happens before the last arrival. Acquire: if this is the last, all others have.
        if self.arrived.fetch_add(1, ord!("mailbox.arrive", AcqRel)) + 1 < self.slots.len() {
            return None;
        }
        // SAFETY: every slot was written before its arrival was counted, and this is the only last arrival.
        Some(self.slots.iter().filter_map(|slot| slot.with_mut(|slot| unsafe { (*slot).take() })).collect())
    }
}

impl<T> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("expects", &self.slots.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_to_arrive_gets_all() {
        let mailbox = Mailbox::new(3);
        assert_eq!(mailbox.arrive(1), None);
        assert_eq!(mailbox.arrive(2), None);
        assert_eq!(mailbox.arrive(3), Some(vec![1, 2, 3]));
        assert_eq!(Mailbox::new(1).arrive(7), Some(vec![7]));
    }

    #[test]
    #[should_panic(expected = "holds 1")]
    fn nobody_comes_late() {
        let mailbox = Mailbox::new(1);
        let _ = mailbox.arrive(1);
        let _ = mailbox.arrive(2);
    }

    #[test]
    fn what_never_met_is_dropped() {
        let thing = crate::sync::Arc::new(());
        let mailbox = Mailbox::new(3);
        assert!(mailbox.arrive(thing.clone()).is_none());
        drop(mailbox);
        assert_eq!(crate::sync::Arc::strong_count(&thing), 1);
    }
}
