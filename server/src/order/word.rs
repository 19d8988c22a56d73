//! Where a box is.
//!
//! ```text
//!            take, notify              notify
//!     HOME ---------------> AWAY ----------------> DIRTY --.
//!      ^  <--------------- /   ^ <--------------- /  |  ^   | notify
//!      |     put, leave   /      put: sync again     |  '---'
//!      |                 /                           | leave: wake the owner
//!      |                '------------ HANDED <-------'
//!      |                 owner's take |    ^
//!      |                   or notify  '----' notify
//! ```
//!
//! HOME: nobody holds the box. AWAY: someone does. DIRTY: someone does, and something came for the box since he last
//! looked. HANDED: a visitor put it down dirty, and it is its owner's to take, nobody else's.
//!
//! Invariant: if a box is HOME, whatever was pushed or appended for it has been seen by a holder, or whoever pushed has
//! still to notify. It holds because both sides change the same word: a notify that comes before the last holder's put
//! makes that put fail (the word is DIRTY), and one that comes after it finds the box HOME and takes it. So there is
//! nothing to fence, and looking at the word without changing it proves nothing: a notify that finds DIRTY still
//! writes DIRTY, because only a write carries what was pushed to the holder who clears it.
//!
//! All changes are the one exchange in `Word::change`, acquire and release together. Taking needs the first (the box
//! as its last holder left it), putting the second, notifying both.

use crate::sync::{AtomicU8, ord};

/// The state of one box. Every box has one, and all threads share it.
#[derive(Debug)]
pub struct Word {
    state: AtomicU8,
}

const HOME: u8 = 0;
const AWAY: u8 = 1;
const DIRTY: u8 = 2;
const HANDED: u8 = 3;

/// What whoever notified must do now.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notified {
    /// The box was at home and is now in the caller's hand: sync it, then put it.
    Taken,
    /// Nothing: who holds the box will look again before it goes home.
    Marked,
    /// Nothing: the owner has been, or is being, woken to take the box, and will look then.
    Handed,
}

/// What an owner who put his box must do now.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Nothing: the box is at home.
    Home,
    /// The box is still in the caller's hand and something came for it: sync it again, then put it again.
    SyncAgain,
}

/// What a visitor who left a box must do now.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing: the box is at home.
    Home,
    /// Something came for the box, which now waits for its owner: wake him.
    WakeOwner,
}

impl Word {
    /// The word of a box that is in its owner's hand, as every box is at first.
    pub fn away() -> Self {
        Self { state: AtomicU8::new(AWAY) }
    }

    /// Something was pushed or appended for the box. Called by any thread but the owner's, after the push.
    #[inline]
    pub fn notify(&self) -> Notified {
        match self.change(|state| match state {
            HOME => Some(AWAY),
            AWAY if kevy::bug!(NoticeLost) => Some(AWAY),
            AWAY | DIRTY => Some(DIRTY),
            state => Some(state),
        }) {
            Ok(HOME) => Notified::Taken,
            Ok(HANDED) => Notified::Handed,
            _ => Notified::Marked,
        }
    }

    /// [`Word::notify`] by the owner, who also takes what was handed to him.
    #[inline]
    pub fn notify_own(&self) -> Notified {
        match self.change(|state| match state {
            HOME | HANDED => Some(AWAY),
            _ => Some(DIRTY),
        }) {
            Ok(HOME | HANDED) => Notified::Taken,
            _ => Notified::Marked,
        }
    }

    /// Takes the box if it is at home. Called by any thread, the owner's included.
    ///
    /// If it is not, nothing has changed: what the caller has for the box must go into the order, and notify.
    #[inline]
    #[must_use]
    pub fn take(&self) -> bool {
        self.change(|state| (state == HOME).then_some(AWAY)).is_ok()
    }

    /// Takes the box if it is at home or was handed over. Called by the owner.
    #[inline]
    #[must_use]
    pub fn take_own(&self) -> bool {
        self.change(|state| matches!(state, HOME | HANDED).then_some(AWAY)).is_ok()
    }

    /// Whether the box waits for its owner. For the owner's last look before he sleeps.
    #[inline]
    #[must_use]
    pub fn is_handed(&self) -> bool {
        // Relaxed: this is a look and claims nothing. What makes it the last is the fence before it.
        self.state.load(ord!("word.is_handed", Relaxed)) == HANDED
    }

    /// Whether the box is at home: a look that claims nothing, for who would rather wait than find it busy.
    #[inline]
    #[must_use]
    pub fn is_home(&self) -> bool {
        self.state.load(ord!("word.is_home", Relaxed)) == HOME
    }

    /// The owner, who holds the box, has nothing left to do with it.
    #[inline]
    pub fn put(&self) -> Put {
        match self.change(|state| match state {
            DIRTY if kevy::bug!(PutUnseen) => Some(HOME),
            AWAY => Some(HOME),
            DIRTY => Some(AWAY),
            _ => None,
        }) {
            Ok(AWAY) => Put::Home,
            Ok(DIRTY) if kevy::bug!(PutUnseen) => Put::Home,
            Ok(DIRTY) => Put::SyncAgain,
            state => unreachable!("a box in hand is AWAY or DIRTY: {state:?}"),
        }
    }

    /// A visitor, who holds the box, has nothing left to do with it. One visit is bounded by this: what comes
    /// meanwhile is the owner's to do.
    #[inline]
    pub fn leave(&self) -> Left {
        match self.change(|state| match state {
            AWAY => Some(HOME),
            DIRTY if kevy::bug!(LeftUnseen) => Some(HOME),
            DIRTY => Some(HANDED),
            _ => None,
        }) {
            Ok(AWAY) => Left::Home,
            Ok(DIRTY) if kevy::bug!(LeftUnseen) => Left::Home,
            Ok(DIRTY) => Left::WakeOwner,
            state => unreachable!("a box in hand is AWAY or DIRTY: {state:?}"),
        }
    }

    /// Replaces the state by what `next` makes of it and gives the one replaced, or the one that was left alone.
    #[inline(always)]
    fn change(&self, next: impl Fn(u8) -> Option<u8>) -> Result<u8, u8> {
        // A guess; the exchange below decides.
        let mut state = self.state.load(ord!("word.guess", Relaxed));
        loop {
            let Some(new) = next(state) else { return Err(state) };
            match self.state.compare_exchange(
                state,
                new,
                ord!("word.change", AcqRel),
                ord!("word.retry", Relaxed),
            ) {
                Ok(old) => return Ok(old),
                Err(now) => state = now,
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_box_at_home_goes_to_who_asks_first() {
        let word = Word::away();
        assert!(!word.take() && !word.take_own());
        assert_eq!(word.put(), Put::Home);
        assert!(word.take());
        assert!(!word.take() && !word.take_own());
        assert_eq!(word.leave(), Left::Home);
        assert!(word.take_own());
        assert_eq!(word.put(), Put::Home);
        assert_eq!(word.notify(), Notified::Taken);
        assert_eq!(word.leave(), Left::Home);
        assert_eq!(word.notify_own(), Notified::Taken);
        assert!(!word.take());
    }

    #[test]
    fn an_owner_looks_again_as_often_as_he_is_notified() {
        let word = Word::away();
        assert_eq!(word.notify(), Notified::Marked);
        assert_eq!(word.notify(), Notified::Marked);
        assert_eq!(word.put(), Put::SyncAgain);
        assert_eq!(word.notify(), Notified::Marked);
        assert_eq!(word.put(), Put::SyncAgain);
        assert_eq!(word.put(), Put::Home);
    }

    #[test]
    fn a_visitor_leaves_what_came_meanwhile_to_the_owner() {
        let word = Word::away();
        assert_eq!(word.put(), Put::Home);
        assert!(word.take());
        assert_eq!(word.notify_own(), Notified::Marked);
        assert!(!word.is_handed());
        assert_eq!(word.leave(), Left::WakeOwner);
        assert!(word.is_handed());
        assert!(!word.take(), "it is the owner's");
        assert_eq!(word.notify(), Notified::Handed);
        assert!(word.is_handed());
        assert!(word.take_own());
        assert_eq!(word.put(), Put::Home);
    }

    #[test]
    fn an_owner_who_notifies_takes_what_was_handed_over() {
        let word = Word::away();
        assert_eq!(word.notify(), Notified::Marked);
        assert_eq!(word.leave(), Left::WakeOwner);
        assert_eq!(word.notify_own(), Notified::Taken);
        assert_eq!(word.put(), Put::Home);
    }
}
