//! The box itself, reachable only through the hand that holds it.
//!
//! [`place`] gives two handles. [`Owner`] belongs to the box's own thread: there is one, and it cannot be cloned.
//! [`Visitor`] is everybody else's. Both lead to a [`Hand`], of which there is at most one for a box at any time, because
//! only [`Word`]'s transitions into AWAY make one. A hand can be sent on, to a [mailbox](super::mailbox) for instance.
//!
//! A hand that is dropped leaves the box AWAY for ever: nobody else reaches it again. That is what is left of a box when
//! its holder's thread has gone; in a server that runs every hand is put.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::word::{Left, Notified, Put, Word};
use crate::sync::{Alone, Arc, UnsafeCell};

/// A place for a box, and the box, in its owner's hand.
pub fn place<B: Send>(contents: B) -> (Owner<B>, Visitor<B>, Hand<B>) {
    let place = Arc::new(Place { word: Alone(Word::away()), contents: UnsafeCell::new(contents) });
    (Owner { place: place.clone() }, Visitor { place: place.clone() }, Hand { place })
}

struct Place<B> {
    word: Alone<Word>,
    contents: UnsafeCell<B>,
}

// SAFETY: `contents` is used by the one `Hand` only, which is made when the word goes to AWAY and given up when it
// leaves AWAY or DIRTY; the exchanges on the word make everything a hand did happen before the next hand is made. So the
// box moves between threads (`B: Send`) and is never shared.
unsafe impl<B: Send> Send for Place<B> {}
// SAFETY: as above.
unsafe impl<B: Send> Sync for Place<B> {}

/// The right to use a box, held by one thread at a time.
#[must_use = "a box that is not put is lost"]
pub struct Hand<B> {
    /// The word is AWAY or DIRTY as long as this exists.
    place: Arc<Place<B>>,
}

impl<B> Hand<B> {
    /// Whether this is the box of `owner`.
    pub fn is_of(&self, owner: &Owner<B>) -> bool {
        Arc::ptr_eq(&self.place, &owner.place)
    }

    /// Says that something is left to do for the box's owner: [`Hand::leave`] will hand it over.
    #[inline]
    pub fn mark(&self) {
        let _ = self.place.word.notify();
    }

    /// Puts the box down, by a thread that does not own it.
    #[inline]
    pub fn leave(self) -> Left {
        self.place.word.leave()
    }
}

impl<B> Deref for Hand<B> {
    type Target = B;

    #[inline]
    fn deref(&self) -> &B {
        // SAFETY: this is the only hand of the box, and it is borrowed for as long as the reference lives.
        self.place.contents.with(|contents| unsafe { &*contents })
    }
}

impl<B> DerefMut for Hand<B> {
    #[inline]
    fn deref_mut(&mut self) -> &mut B {
        // SAFETY: this is the only hand of the box, and it is borrowed mutably for as long as the reference lives.
        self.place.contents.with_mut(|contents| unsafe { &mut *contents })
    }
}

/// The handle of a box's own thread.
pub struct Owner<B> {
    place: Arc<Place<B>>,
}

impl<B> Owner<B> {
    /// Takes the box if it is at home or was handed over: sync it then.
    #[inline]
    pub fn take(&self) -> Option<Hand<B>> {
        self.place.word.take_own().then(|| self.hand())
    }

    /// Something was pushed or appended for the own box while it was not in hand. `Some`: it is now; sync it.
    #[inline]
    #[must_use]
    pub fn notify(&self) -> Option<Hand<B>> {
        (self.place.word.notify_own() == Notified::Taken).then(|| self.hand())
    }

    /// Puts the box home, unless something came for it: then it is given back, to be synced and put again.
    ///
    /// # Panics
    ///
    /// If it is another owner's box.
    #[inline]
    pub fn put(&self, hand: Hand<B>) -> Option<Hand<B>> {
        assert!(hand.is_of(self), "an owner puts his own box");
        match hand.place.word.put() {
            Put::Home => None,
            Put::SyncAgain => Some(hand),
        }
    }

    /// Whether the box waits for its owner: part of his last look before he sleeps.
    #[inline]
    #[must_use]
    pub fn is_handed(&self) -> bool {
        self.place.word.is_handed()
    }

    fn hand(&self) -> Hand<B> {
        Hand { place: self.place.clone() }
    }
}

/// The handle of every other thread.
pub struct Visitor<B> {
    place: Arc<Place<B>>,
}

impl<B> Visitor<B> {
    /// Takes the box if it is at home.
    #[inline]
    pub fn take(&self) -> Option<Hand<B>> {
        self.place.word.take().then(|| self.hand())
    }

    /// Whether the box is at home just now.
    #[inline]
    #[must_use]
    pub fn is_home(&self) -> bool {
        self.place.word.is_home()
    }

    /// Takes the box wherever it is: for a simulator that takes its world apart. Boxes that know one another are not
    /// dropped otherwise.
    ///
    /// # Safety
    ///
    /// No thread uses the box or a hand of it any more; hands may lie about.
    pub unsafe fn seize(&self) -> Hand<B> {
        self.hand()
    }

    /// Something was pushed or appended for the box. `Some`: it was at home and is now in hand; sync it and leave it.
    #[inline]
    #[must_use]
    pub fn notify(&self) -> Option<Hand<B>> {
        (self.place.word.notify() == Notified::Taken).then(|| self.hand())
    }

    fn hand(&self) -> Hand<B> {
        Hand { place: self.place.clone() }
    }
}

impl<B> Clone for Visitor<B> {
    fn clone(&self) -> Self {
        Self { place: self.place.clone() }
    }
}

impl<B> fmt::Debug for Hand<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hand").field("word", &*self.place.word).finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for Owner<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("word", &*self.place.word).finish_non_exhaustive()
    }
}

impl<B> fmt::Debug for Visitor<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor").field("word", &*self.place.word).finish_non_exhaustive()
    }
}
