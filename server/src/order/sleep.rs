//! A thread that sleeps is woken if something came for it.
//!
//! ```text
//!     sleeper                          waker
//!     sleeping = true                  push
//!     fence                            fence
//!     look: nothing -> sleep           sleeping? -> set it false, wake the sleeper
//! ```
//!
//! Invariant: the sleeper's look finds the push, or the waker finds the flag; never neither. One fence comes before the
//! other in the single order of such fences, and what precedes the first is seen by what follows the second. No
//! other ordering of these accesses would do: each side writes one thing and then reads the other's. These two fences are
//! the only ones of the server.
//!
//! Every write of the flag is an exchange: so the writes form one chain, and a waker's late `false` cannot end up behind a
//! later sleep's `true` without having read it, and then it is this waker who wakes.
//!
//! How a thread sleeps and is woken (a descriptor in its reactor) is not known here. A wake may come to a thread that is
//! awake after all; it must not be lost on one that is not, so it has to be remembered, as an event descriptor does.

use crate::sync::{Alone, Arc, AtomicBool, fence, ord};

/// The two sides of a thread's sleep.
pub fn sleep() -> (Sleeper, Waker) {
    let sleeping = Arc::new(Alone(AtomicBool::new(false)));
    (Sleeper { sleeping: sleeping.clone() }, Waker { sleeping })
}

/// The thread's own side.
#[derive(Debug)]
pub struct Sleeper {
    sleeping: Arc<Alone<AtomicBool>>,
}

impl Sleeper {
    /// Says that the thread is about to sleep, and only then asks `look` whether there is something to do. True: there
    /// is nothing; the thread must sleep now, until woken, and then call [`Sleeper::woke`]. False: there is, and the
    /// thread counts as awake again.
    ///
    /// The look must cover all that others push for this thread, and what it got to do by its own hand since its turn
    /// looked: replies that were completed on the way to sleep are pushed by nobody.
    #[must_use]
    pub fn may_sleep(&mut self, look: impl FnOnce() -> bool) -> bool {
        self.sleeping.swap(true, ord!("sleep.flag", Relaxed));
        fence(ord!("sleep.fence_sleeper", SeqCst));
        if look() {
            self.woke();
            return false;
        }
        true
    }

    /// The thread is awake, for whatever reason.
    pub fn woke(&mut self) {
        self.sleeping.swap(false, ord!("sleep.flag", Relaxed));
    }
}

/// Everybody else's side.
#[derive(Clone, Debug)]
pub struct Waker {
    sleeping: Arc<Alone<AtomicBool>>,
}

impl Waker {
    /// To be asked after a push for the thread. True: it sleeps, or is about to, and the caller, nobody else, must
    /// wake it.
    #[inline]
    #[must_use]
    pub fn must_wake(&self) -> bool {
        fence(ord!("sleep.fence_waker", SeqCst));
        // The load spares a thread that is awake the exchange; the exchange leaves one waker of several.
        self.sleeping.load(ord!("sleep.flag", Relaxed))
            && self.sleeping.swap(false, ord!("sleep.flag", Relaxed))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn one_waker_of_several_must_wake() {
        let (mut sleeper, waker) = sleep();
        assert!(!waker.must_wake());
        assert!(!sleeper.may_sleep(|| true));
        assert!(!waker.must_wake());
        assert!(sleeper.may_sleep(|| false));
        assert!(waker.must_wake());
        assert!(!waker.clone().must_wake());
        sleeper.woke();
        assert!(!waker.must_wake());
    }

    /// No timeout: a wake-up that is lost hangs the test.
    #[test]
    fn no_wake_up_is_lost() {
        const COUNT: u64 = 20_000;
        let (mut sleeper, waker) = sleep();
        let pushed = AtomicU64::new(0);
        let (bell, ears) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let (waker, bell, pushed) = (waker.clone(), bell.clone(), &pushed);
                scope.spawn(move || {
                    for _ in 0..COUNT {
                        pushed.fetch_add(1, Ordering::Relaxed);
                        if waker.must_wake() {
                            bell.send(()).unwrap();
                        }
                    }
                });
            }
            let mut seen = 0;
            while seen < 2 * COUNT {
                if sleeper.may_sleep(|| pushed.load(Ordering::Relaxed) != seen) {
                    ears.recv().unwrap();
                    sleeper.woke();
                }
                seen = pushed.load(Ordering::Relaxed);
            }
        });
    }
}
