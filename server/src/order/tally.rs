//! What others have completed for a box is found by whoever holds it.
//!
//! ```text
//!     who completes                  who holds the box
//!     leave the result in its place  look: another number than at the last look?
//!     count                          -> go through what is outstanding, answer what has a result
//!     notify the box                 put it
//! ```
//!
//! Invariant: a number that was looked up covers the results that were left before it was counted. So a holder who sees no
//! other number than last time need not go through anything, and one who does misses no result. What is counted after the
//! look is followed by a notify that comes after it too, and so by another look.
//!
//! The notify alone would carry the result, but not the number: a count without order might be seen early, before its
//! result, be taken for looked through, and never be looked through again.

use crate::sync::{Alone, AtomicUsize, ord};

/// How many results there have been for one box.
#[derive(Debug, Default)]
pub struct Tally {
    completed: Alone<AtomicUsize>,
}

impl Tally {
    /// A result has been left where the box looks for it. Then notify the box.
    #[inline]
    pub fn count(&self) {
        // Release: the result happens before whoever sees this number, or one that was counted on it.
        self.completed.fetch_add(1, ord!("tally.count", Release));
    }

    /// A number to compare with that of the last look: if it is another, there are results.
    #[inline]
    pub fn look(&self) -> usize {
        // Acquire: the results that were counted happened before.
        self.completed.load(ord!("tally.look", Acquire))
    }
}
