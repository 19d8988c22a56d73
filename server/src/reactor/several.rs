//! The loop of one of several shards: the box is in the thread's hand while there is work, and at home while it waits.
//!
//! One turn is that of [`super::run`], with two additions. Before anything is done to the shard its box must be in hand
//! and [settled](settle); where it lies in a gather or in a visitor's hand, the thread waits for it, and for
//! nothing else. And before the thread asks the system for anything, to wait, to receive, to send, it puts the box down:
//! whoever needs it then takes it without waking anybody. Nearly all the time of a command that comes alone is spent
//! there, so that a box is nearly always at home.
//!
//! Pipelines are executed longer than they are received. A thread whose connections needed boxes of others lately looks
//! for some microseconds, before it takes its own, whether those are at home, so that threads that need the same boxes
//! take turns instead of finding each other's busy (`benches/README.md` has the figures). In the same way it looks whether its
//! own box has come back, before it sleeps. To look ten times as long is no better, and much worse with more threads than
//! CPUs: who is awaited may not even run. So whoever has looked in vain looks half as long next time, and offers others the
//! processor while he looks.
//!
//! A box that was put down to send replies, and that a visitor has, is not waited for: that something was sent, whole or
//! not, is told to the shard when the box is wanted next, and until then more may have come to execute.

use std::sync::Arc;

use kevy::keyspace::Slice;

use super::{IoEvent, Reactor, collect, deliver};
use crate::config::Config;
use crate::order::log;
use crate::order::place::{Hand, Owner, Visitor, place};
use crate::order::sleep::{Sleeper, sleep};
use crate::shard::links::{Common, Links, Ringer, Shards, notify, settle};
use crate::shard::witness::Witness;
use crate::shard::{Environment, Now, Request, Shard};

/// What wakes a thread that sleeps. A ring is remembered until the thread has heard it: here, or in its reactor.
pub trait Bell: Send + Sync {
    fn ring(&self);

    /// Sleeps until it rings, or wakes earlier for no reason.
    fn sleep(&self);
}

/// Limits of the shards' shared memory: small ones show what happens at them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The order has room for so many chunks, and so many entries in each: powers of two.
    pub order: (usize, usize),
    /// How often a thread looks whether its box is back before it sleeps.
    pub looks: usize,
    /// How often a thread looks whether others' boxes come home that it is going to need.
    pub patience: usize,
    /// Batches of commands that are executed with others' boxes in hand before these go home.
    pub stay_batches: usize,
    /// Clients that wait for a command's keys and are looked at before it is executed.
    pub foreseen: usize,
    /// Commands that CLIENT PAUSE has held back and that are let go at one position; all threads wait meanwhile.
    pub let_go: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        // Visits take microseconds: a look 10 to 20 ns, a batch 3 to 5 microseconds; 1000 commands take a millisecond.
        Limits { order: (16, 256), looks: 1000, patience: 500, stay_batches: 32, foreseen: 16, let_go: 1000 }
    }
}

/// Looks between two offers of the processor to others: less than a microsecond.
const LOOKS_AT_ONCE: usize = 32;

/// A shard's thread: the box's owner.
pub struct Thread {
    owner: Owner<Shard>,
    hand: Option<Hand<Shard>>,
    sleeper: Sleeper,
    bell: Arc<dyn Bell>,
    /// With which it looks whether its box is back.
    looks: Patience,
    visitors: Vec<Visitor<Shard>>,
    /// Others' boxes that were needed in the last turn.
    sought: Shards,
    /// With which it looks whether they are home.
    patience: Patience,
}

/// How often a thread looks whether something is at home before it gives that up: half as often after it was in vain. Who has
/// it may be waiting for a processor, so the thread lets others have its own now and then.
struct Patience {
    looks: usize,
    most: usize,
}

impl Patience {
    fn new(most: usize) -> Self {
        Self { looks: most, most }
    }

    /// Looks until something is found.
    fn look<T>(&mut self, mut find: impl FnMut() -> Option<T>) -> Option<T> {
        for look in 1..=self.looks {
            if let Some(found) = find() {
                self.looks = (2 * self.looks).min(self.most);
                return Some(found);
            }
            if look.is_multiple_of(LOOKS_AT_ONCE) {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
        self.looks = (self.looks / 2).max(1);
        None
    }
}

/// The shards of a server, linked, each in its owner's hand, and the way to all boxes. There is a bell for each; a
/// witness is told where in the order everything happens.
pub fn threads(
    config: &Config,
    environment: &Environment,
    seed: u64,
    now: Now,
    bells: Vec<Arc<dyn Bell>>,
    limits: Limits,
    witness: Option<&Arc<Witness>>,
) -> (Vec<Thread>, Vec<Visitor<Shard>>) {
    let count = bells.len();
    let (log, cursors) = log::order(count, limits.order.0, limits.order.1);
    let common = Arc::new(Common::default());
    let mut threads = Vec::with_capacity(count);
    let (mut visitors, mut ringers) = (Vec::new(), Vec::new());
    for (index, bell) in bells.into_iter().enumerate() {
        let slice = Slice { index, count };
        let shard = Shard::one_of(config.clone(), environment.clone(), seed, now, slice, common.clone());
        let (owner, visitor, hand) = place(shard);
        let (sleeper, waker) = sleep();
        visitors.push(visitor);
        ringers.push(Ringer { waker, bell: bell.clone() });
        threads.push(Thread {
            owner,
            hand: Some(hand),
            sleeper,
            bell,
            looks: Patience::new(limits.looks),
            visitors: Vec::new(),
            sought: Shards::NONE,
            patience: Patience::new(limits.patience),
        });
    }
    for (me, (thread, cursor)) in threads.iter_mut().zip(cursors).enumerate() {
        let (log, visitors, ringers) = (log.clone(), visitors.clone(), ringers.clone());
        thread.visitors = visitors.clone();
        let links = Links::new(me, log, cursor, visitors, ringers, limits, witness.cloned());
        let hand = thread.hand.as_mut().expect("nobody else could take it yet");
        hand.links = Some(Box::new(links));
    }
    (threads, visitors)
}

impl Thread {
    /// The shard, its box in hand and up to date, or in a stay that is not over.
    fn hold(&mut self, now: Now) -> &mut Shard {
        if self.hand.as_ref().is_some_and(|hand| hand.has_guests()) {
            return self.hand.as_mut().expect("just seen");
        }
        loop {
            if let Some(hand) = self.hand.take()
                && let Some(hand) = settle(hand, now)
            {
                return self.hand.insert(hand);
            }
            self.hand = Some(self.await_box());
        }
    }

    /// Waits for the box to come back. Nothing is in hand meanwhile.
    fn await_box(&mut self) -> Hand<Shard> {
        loop {
            // Marks it: whoever holds it hands it over when he leaves it.
            if let Some(hand) = if kevy::bug!(AwaitedUnmarked) { None } else { self.owner.notify() } {
                return hand;
            }
            let owner = &mut self.owner;
            if let Some(hand) = self.looks.look(|| owner.take()) {
                return hand;
            }
            let owner = &self.owner;
            if self.sleeper.may_sleep(|| owner.is_handed() && !kevy::bug!(SleptWithoutLook)) {
                self.bell.sleep();
                self.sleeper.woke();
            }
            if let Some(hand) = self.owner.take() {
                return hand;
            }
        }
    }

    /// Settles until everybody who was named by what happened here has been notified.
    fn settled(&mut self, now: Now) -> &mut Shard {
        loop {
            let shard = self.hold(now);
            if !shard.links.as_deref().is_some_and(Links::has_to_notify) {
                break;
            }
            notify(shard, now);
        }
        self.hand.as_mut().expect("held above")
    }

    /// Puts the box home, unless something has come for it.
    fn put(&mut self) {
        if let Some(hand) = self.hand.take() {
            self.hand = self.owner.put(hand);
        }
    }

    /// Whether the box has not been taken by somebody since it was put, or has come back: then it is in hand.
    fn is_back(&mut self) -> bool {
        if self.hand.is_none() {
            self.hand = self.owner.take();
        }
        self.hand.is_some()
    }

    /// Puts the box home and waits for events, or only looks for some if the box has to be looked at again.
    fn wait(&mut self, deadline: u64, reactor: &mut impl Reactor) -> Now {
        self.put();
        let owner = &self.owner;
        if self.hand.is_some() || !self.sleeper.may_sleep(|| owner.is_handed()) {
            return reactor.wait(0);
        }
        let now = reactor.wait(deadline);
        self.sleeper.woke();
        now
    }

    /// Looks for a while whether the boxes are at home that were needed in the last turn, so as not to find them busy. The
    /// own one is at home meanwhile.
    fn await_others(&mut self) {
        if self.sought.is_empty() || self.hand.is_some() {
            return;
        }
        let (sought, visitors) = (self.sought, &self.visitors);
        self.patience.look(|| sought.iter().all(|other| visitors[other].is_home()).then_some(()));
    }

    /// Hands what the reactor has found to the shard.
    fn dispatch(&mut self, now: Now, reactor: &mut impl Reactor, stop: &impl Fn()) {
        reactor.dispatch(now, &mut |now, event, bytes| match event {
            IoEvent::Stop => {
                stop();
                None
            }
            event => deliver(self.hold(now), now, event, bytes, || {}),
        });
    }
}

/// Drives a shard for ever; calls `stop` when the process is asked to stop.
pub fn run(mut thread: Thread, reactor: &mut impl Reactor, stop: impl Fn()) {
    let mut deadline = 0;
    loop {
        let now = thread.wait(deadline, reactor);
        reactor.receive();
        thread.await_others();
        thread.dispatch(now, reactor, &stop);
        let shard = thread.hold(now);
        shard.handle_turn(now);
        shard.handle_timeout(now);
        let shard = thread.settled(now);
        let sends = collect(shard, reactor, now);
        match shard.poll_request() {
            Some(Request::Shutdown) => stop(),
            Some(Request::Reconfigure) => reactor.reconfigure(&shard.config),
            Some(Request::ReleaseMemory) => (shard.env.release_memory)(),
            None => {}
        }
        // Closing connections may have concerned others.
        let shard = thread.settled(now);
        thread.sought = shard.links.as_deref_mut().map(Links::take_sought).unwrap_or_default();
        if sends {
            thread.put();
            reactor.flush();
            if !thread.is_back() {
                // Nobody waits for the shard to hear of what was sent: that can be told with what comes next.
                deadline = 0;
                continue;
            }
            thread.dispatch(now, reactor, &stop);
        }
        let shard = thread.settled(now);
        shard.scheduled();
        deadline = shard.poll_timeout();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_in_vain_looks_half_as_long_next_time() {
        let mut patience = Patience::new(100);
        let mut looks = 0;
        let vain = |patience: &mut Patience, looks: &mut usize| {
            *looks = 0;
            let found = patience.look(|| {
                *looks += 1;
                None::<()>
            });
            assert!(found.is_none());
            *looks
        };
        assert_eq!([0; 8].map(|_| vain(&mut patience, &mut looks)), [100, 50, 25, 12, 6, 3, 1, 1]);
        assert_eq!(patience.look(|| Some(7)), Some(7));
        assert_eq!(vain(&mut patience, &mut looks), 2);
        for _ in 0..10 {
            patience.look(|| Some(()));
        }
        assert_eq!(vain(&mut patience, &mut looks), 100);
    }
}
