//! The loop of one of several shards: the box is in the thread's hand while there is work, and at home while it waits.
//!
//! One turn is that of [`super::run`], with two additions. Before anything is done to the shard its box must be in hand
//! and [settled](settle); where it lies in a gather or in a visitor's hand, the thread waits for it, and for
//! nothing else. And before the thread waits for events it puts the box down: whoever needs it then takes it without
//! waking anybody.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use kevy::keyspace::Slice;

use super::{IoEvent, Reactor, drain};
use crate::config::Config;
use crate::order::log;
use crate::order::place::{Hand, Owner, place};
use crate::order::sleep::{Sleeper, sleep};
use crate::shard::links::{Bell, Common, Links, notify, settle};
use crate::shard::{Environment, Now, Request, Shard};

/// The order has room for so many entries: chunks, and entries in each.
const ORDER: (usize, usize) = (16, 256);

/// How often a thread looks whether its box is back before it sleeps. Visits take microseconds.
const LOOKS: usize = 200;

/// A shard's thread: the box's owner.
pub struct Thread {
    owner: Owner<Shard>,
    hand: Option<Hand<Shard>>,
    sleeper: Sleeper,
    bell: Arc<OwnedFd>,
}

/// The shards of a server, linked, each in its owner's hand. `bells` are event descriptors, one for each.
pub fn threads(
    count: usize,
    config: &Config,
    environment: &Environment,
    seed: u64,
    now: Now,
    bells: Vec<OwnedFd>,
) -> Vec<Thread> {
    let (log, cursors) = log::order(count, ORDER.0, ORDER.1);
    let common = Arc::new(Common::default());
    let mut threads = Vec::with_capacity(count);
    let (mut visitors, mut wakers) = (Vec::new(), Vec::new());
    for (index, fd) in bells.into_iter().enumerate() {
        let slice = Slice { index, count };
        let shard = Shard::one_of(config.clone(), environment.clone(), seed, now, slice, common.clone());
        let (owner, visitor, hand) = place(shard);
        let (sleeper, waker) = sleep();
        let bell = Arc::new(fd);
        let ring = bell.clone();
        let ring = Arc::new(move || {
            // A full counter is a bell that rings already.
            let _ = rustix::io::write(&*ring, &1_u64.to_ne_bytes());
        });
        visitors.push(visitor);
        wakers.push(Bell { waker, ring });
        threads.push(Thread { owner, hand: Some(hand), sleeper, bell });
    }
    for (me, (thread, cursor)) in threads.iter_mut().zip(cursors).enumerate() {
        let links = Links::new(me, log.clone(), cursor, visitors.clone(), wakers.clone());
        let hand = thread.hand.as_mut().expect("nobody else could take it yet");
        hand.links = Some(Box::new(links));
    }
    threads
}

impl Thread {
    /// The shard, its box in hand and up to date.
    fn hold(&mut self, now: Now) -> &mut Shard {
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
            if let Some(hand) = self.owner.notify() {
                return hand;
            }
            for _ in 0..LOOKS {
                if let Some(hand) = self.owner.take() {
                    return hand;
                }
                std::hint::spin_loop();
            }
            let owner = &self.owner;
            if self.sleeper.may_sleep(|| owner.is_handed()) {
                let mut fds = [rustix::event::PollFd::new(&*self.bell, rustix::event::PollFlags::IN)];
                // Interrupted or not, the box is looked for again.
                let _ = rustix::event::poll(&mut fds, None);
                self.sleeper.woke();
                let _ = rustix::io::read(&*self.bell, &mut [0; 8]);
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

    /// Puts the box home and waits for events, or only looks for some if the box has to be looked at again.
    fn wait(&mut self, deadline: u64, reactor: &mut impl Reactor) -> Now {
        if let Some(hand) = self.hand.take() {
            self.hand = self.owner.put(hand);
        }
        let owner = &self.owner;
        if self.hand.is_some() || !self.sleeper.may_sleep(|| owner.is_handed()) {
            return reactor.wait(0);
        }
        let now = reactor.wait(deadline);
        self.sleeper.woke();
        now
    }
}

/// Drives a shard for ever; calls `stop` when the process is asked to stop.
pub fn run(mut thread: Thread, reactor: &mut impl Reactor, stop: impl Fn()) {
    let mut busy = false;
    let mut deadline = 0;
    loop {
        let now = if busy { reactor.wait(0) } else { thread.wait(deadline, reactor) };
        let mut events = 0;
        reactor.dispatch(now, &mut |now, event, bytes| {
            events += 1;
            if matches!(event, IoEvent::Stop) {
                stop();
                return None;
            }
            let shard = thread.hold(now);
            match event {
                IoEvent::Accepted { peer, .. } => return Some(shard.handle_accept(now, peer)),
                IoEvent::Received { conn, range } => shard.handle_recv(now, conn, &bytes[range]),
                IoEvent::Sent { conn, buf, result } => shard.handle_sent(now, conn, buf, result),
                IoEvent::Closed { conn } => shard.handle_closed(now, conn),
                IoEvent::Stop => {}
            }
            None
        });
        let shard = thread.hold(now);
        shard.handle_turn(now);
        shard.handle_timeout(now);
        let shard = thread.settled(now);
        drain(shard, reactor, now);
        match shard.poll_request() {
            Some(Request::Shutdown) => stop(),
            Some(Request::Reconfigure) => reactor.reconfigure(&shard.config),
            None => {}
        }
        // Closing connections may have concerned others.
        let shard = thread.settled(now);
        shard.scheduled();
        busy = events > 0 || shard.wants_thread();
        deadline = shard.poll_timeout();
    }
}
