//! The models: small programs over the shipped rooms. loom runs each in every order, and with every value that a load may
//! give, that the memory model allows.
//!
//! A thread that sleeps is a thread that ends: what it would do after being woken is done, if its bell was rung,
//! when all others have ended. So a lost wake-up leaves work undone, and the model fails; nothing wakes by accident.

#![allow(unsafe_code)]

use kevy_server::order::log::{Cursor, Full, Log, order};
use kevy_server::order::mailbox::Mailbox;
use kevy_server::order::place::{Hand, Owner, Visitor, place};
use kevy_server::order::sleep::{Sleeper, Waker, sleep};
use kevy_server::order::word::Left;
use kevy_server::ring::{Consumer, Producer, ring};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::Model;

pub const MODELS: &[Model] = &[
    Model::all("ring: first in, first out", ring_fifo),
    Model::all("ring: one slot, used again and again", ring_wrap),
    Model::all("ring: a batch is seen whole or not at all", ring_batch),
    Model::all("ring: slots of a drain are given back together", ring_drain),
    Model::all("ring: what is left is dropped once", ring_drop),
    Model::all("ring: it moves to another thread between two pushes", ring_moves),
    Model::all("word: push and notify against put", notify_against_put),
    Model::bounded("word: two notifiers against put", 3, two_notifiers_against_put),
    Model::bounded("word: two notifiers against leave, the owner notifies himself", 3, notify_own),
    Model::all("word: a visitor and the owner take the box in turn", two_takers),
    Model::bounded("word: two visitors and the owner take the box in turn", 3, three_takers),
    Model::all("sleep: one reply against sleep", reply_against_sleep),
    Model::bounded("sleep: two wakers, two sleeps", 3, two_wakers),
    Model::bounded("word, sleep: hand-over against park", 3, hand_over_against_park),
    Model::all("log: append and help against append", append_against_append),
    Model::all("log: two authors and a follower", append_against_follow),
    Model::all("log: two authors, one slot, used again and again", append_wrap),
    Model::bounded("log: an author who has seen nothing of two laps", 3, append_after_laps),
    Model::all("log: reclamation against readers", reclaim_against_readers),
    Model::all("log: a shared entry outlives its slot", share_outlives_slot),
    Model::all("log: chunks of two", reclaim_chunks),
    Model::bounded("log, word: append and notify against put", 3, append_and_notify),
    Model::all("log, ring: a message behind an entry finds the entry", message_behind_entry),
    Model::all("mailbox: the last to arrive gets all", mailbox_meets),
    Model::all("log, mailbox: two boxes meet in an entry", gather),
    Model::must_fail("broken: notify, then push", notify_then_push),
    Model::must_fail("broken: append without notify", append_without_notify),
    Model::must_fail("broken: look, then say that one sleeps", look_then_sleep),
    Model::must_fail("broken: ask whether to wake, then push", wake_then_push),
    Model::must_fail("broken: hand over without waking", hand_over_without_waking),
];

/// A value that loom sees being read and dropped.
struct Watched(UnsafeCell<u32>);

impl Watched {
    fn new(value: u32) -> Self {
        Self(UnsafeCell::new(value))
    }

    fn get(&self) -> u32 {
        // SAFETY: what loom checks.
        self.0.with(|value| unsafe { *value })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // SAFETY: what loom checks.
        self.0.with_mut(|value| unsafe { *value = u32::MAX });
    }
}

// SAFETY: what loom checks.
unsafe impl Send for Watched {}
// SAFETY: what loom checks.
unsafe impl Sync for Watched {}

// ------------------------------------------------------------------------------------------------ ring

/// Tries to push `count` numbers once each; gives those that went in.
fn push_some(producer: &mut Producer<u32>, count: u32) -> Vec<u32> {
    (0..count).filter(|&n| producer.try_push(n).is_ok()).collect()
}

fn ring_fifo() {
    let (mut producer, mut consumer) = ring(2);
    let author = thread::spawn(move || push_some(&mut producer, 3));
    let mut got: Vec<u32> = (0..2).filter_map(|_| consumer.pop()).collect();
    let pushed = author.join().unwrap();
    got.extend(consumer.drain());
    assert_eq!(got, pushed);
}

fn ring_wrap() {
    let (mut producer, mut consumer) = ring(1);
    let author = thread::spawn(move || push_some(&mut producer, 4));
    let mut got: Vec<u32> = (0..3).filter_map(|_| consumer.pop()).collect();
    let pushed = author.join().unwrap();
    got.extend(consumer.pop());
    assert_eq!(got, pushed);
    assert!(consumer.is_empty());
}

fn ring_batch() {
    let (mut producer, mut consumer) = ring(2);
    let author = thread::spawn(move || {
        let mut batch = producer.batch();
        assert!(batch.push(1).is_ok() && batch.push(2).is_ok());
        assert_eq!(batch.publish(), 2);
    });
    let first: Vec<u32> = consumer.drain().collect();
    assert!(first.is_empty() || first == [1, 2]);
    author.join().unwrap();
    let all: Vec<u32> = first.into_iter().chain(consumer.drain()).collect();
    assert_eq!(all, [1, 2]);
}

fn ring_drain() {
    let (mut producer, mut consumer) = ring(2);
    let author = thread::spawn(move || push_some(&mut producer, 4));
    let mut got: Vec<u32> = consumer.drain().collect();
    got.extend(consumer.drain().take(1));
    let pushed = author.join().unwrap();
    got.extend(consumer.drain());
    assert_eq!(got, pushed);
}

fn ring_drop() {
    let value = Arc::new(());
    let (mut producer, mut consumer) = ring(2);
    let shares = [value.clone(), value.clone(), value.clone()];
    let author = thread::spawn(move || {
        for share in shares {
            drop(producer.try_push(share));
        }
    });
    drop(consumer.pop());
    drop(consumer);
    author.join().unwrap();
    assert_eq!(Arc::strong_count(&value), 1);
}

/// The producer half of a reply ring moves with its box.
fn ring_moves() {
    let (mut producer, mut consumer) = ring(1);
    let author = thread::spawn(move || {
        let first = producer.try_push(1).is_ok();
        let second = thread::spawn(move || producer.try_push(2).is_ok());
        (first, second.join().unwrap())
    });
    let mut got: Vec<u32> = consumer.pop().into_iter().collect();
    let (first, second) = author.join().unwrap();
    got.extend(consumer.drain());
    let pushed: Vec<u32> = [(first, 1), (second, 2)].into_iter().filter(|p| p.0).map(|p| p.1).collect();
    assert_eq!(got, pushed);
}

// ------------------------------------------------------------------------------------------------ boxes

/// A box: rings into it, what it has executed, and its place in an order, if there is one.
struct Contents {
    rings: Vec<Consumer<u32>>,
    cursor: Option<Cursor<Watched>>,
    done: Vec<u32>,
}

impl Contents {
    fn sync(&mut self) {
        let queue: Vec<u32> =
            self.rings.iter_mut().flat_map(|ring| ring.drain().collect::<Vec<_>>()).collect();
        if let Some(cursor) = &mut self.cursor {
            cursor.look();
            while let Some(entry) = cursor.entry() {
                self.done.push(entry.get());
                cursor.advance();
            }
        }
        self.done.extend(queue);
    }
}

/// A box with some rings and no order.
fn a_box(rings: usize) -> (Owner<Contents>, Visitor<Contents>, Hand<Contents>, Vec<Producer<u32>>) {
    let (producers, rings) = (0..rings).map(|_| ring(2)).unzip();
    let (owner, visitor, hand) = place(Contents { rings, cursor: None, done: Vec::new() });
    (owner, visitor, hand, producers)
}

/// Syncs and puts until the box is at home.
fn go_home(owner: &Owner<Contents>, mut hand: Hand<Contents>) {
    loop {
        hand.sync();
        match owner.put(hand) {
            Some(again) => hand = again,
            None => return,
        }
    }
}

/// Pushes, notifies, and serves the box if it was at home. True: its owner must be woken.
fn send(producer: &mut Producer<u32>, visitor: &Visitor<Contents>, value: u32) -> bool {
    assert!(producer.try_push(value).is_ok());
    visit(visitor.notify())
}

fn visit(hand: Option<Hand<Contents>>) -> bool {
    let Some(mut hand) = hand else { return false };
    hand.sync();
    hand.leave() == Left::WakeOwner
}

/// All threads have ended: what was executed, in order of number. Takes what was handed over; fails if the box is away.
fn settled(owner: &Owner<Contents>) -> Vec<u32> {
    let mut hand = owner.take().expect("a box that nobody holds is at home or its owner's to take");
    hand.sync();
    let mut done = std::mem::take(&mut hand.done);
    assert!(owner.put(hand).is_none());
    done.sort_unstable();
    done
}

/// Like [`settled`], but nobody looks once more: the box is at home with everything done.
fn settled_at_home(visitor: &Visitor<Contents>) -> Vec<u32> {
    let mut hand = visitor.take().expect("the box is at home");
    let mut done = std::mem::take(&mut hand.done);
    assert_eq!(hand.leave(), Left::Home);
    done.sort_unstable();
    done
}

fn notify_against_put() {
    let (owner, visitor, hand, mut producers) = a_box(1);
    let (mut producer, sender) = (producers.pop().unwrap(), visitor.clone());
    let thread = thread::spawn(move || {
        // Nobody else holds the box when this one leaves it.
        assert!(!send(&mut producer, &sender, 1));
        assert!(!send(&mut producer, &sender, 2));
    });
    go_home(&owner, hand);
    thread.join().unwrap();
    assert_eq!(settled_at_home(&visitor), [1, 2]);
}

fn two_notifiers_against_put() {
    let (owner, visitor, hand, producers) = a_box(2);
    let mut handed = false;
    let threads: Vec<_> = producers
        .into_iter()
        .zip(1..)
        .map(|(mut producer, value)| {
            let visitor = visitor.clone();
            thread::spawn(move || send(&mut producer, &visitor, value))
        })
        .collect();
    go_home(&owner, hand);
    for thread in threads {
        handed |= thread.join().unwrap();
    }
    assert_eq!(owner.is_handed(), handed, "whoever hands over knows it");
    if handed {
        assert_eq!(settled(&owner), [1, 2]);
    } else {
        assert_eq!(settled_at_home(&visitor), [1, 2]);
    }
}

/// The owner has something for his own box while others visit it.
fn notify_own() {
    let (owner, visitor, hand, mut producers) = a_box(3);
    go_home(&owner, hand);
    let mut own = producers.pop().unwrap();
    let threads: Vec<_> = producers
        .into_iter()
        .zip(1..)
        .map(|(mut producer, value)| {
            let visitor = visitor.clone();
            thread::spawn(move || send(&mut producer, &visitor, value))
        })
        .collect();
    assert!(own.try_push(3).is_ok());
    if let Some(hand) = owner.notify() {
        go_home(&owner, hand);
    }
    let mut handed = false;
    for thread in threads {
        handed |= thread.join().unwrap();
    }
    assert!(handed || !owner.is_handed());
    let done = if owner.is_handed() { settled(&owner) } else { settled_at_home(&visitor) };
    assert_eq!(done, [1, 2, 3]);
}

fn two_takers() {
    takers(1);
}

fn three_takers() {
    takers(2);
}

fn takers(visitors: u32) {
    let (owner, visitor, hand, _) = a_box(0);
    go_home(&owner, hand);
    let threads: Vec<_> = (0..visitors)
        .map(|value| {
            let visitor = visitor.clone();
            thread::spawn(move || {
                let Some(mut hand) = visitor.take() else { return 0 };
                hand.done.push(value);
                assert_eq!(hand.leave(), Left::Home, "nobody notifies");
                1
            })
        })
        .collect();
    let mut visits = 0;
    if let Some(mut hand) = owner.take() {
        hand.done.push(visitors);
        visits += 1;
        go_home(&owner, hand);
    }
    for thread in threads {
        visits += thread.join().unwrap();
    }
    assert!(visits > 0);
    assert_eq!(settled_at_home(&visitor).len(), visits);
}

// ------------------------------------------------------------------------------------------------ sleep

/// What wakes a thread: remembered, as an event descriptor does.
#[derive(Clone)]
struct Bell(Arc<AtomicBool>);

impl Bell {
    fn new() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }

    fn ring_if(&self, needed: bool) {
        if needed {
            // An exchange, as all writes of this flag: loom knows the order of those.
            self.0.swap(true, Ordering::AcqRel);
        }
    }

    fn was_rung(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

fn reply(producer: &mut Producer<u32>, waker: &Waker, bell: &Bell, value: u32) {
    assert!(producer.try_push(value).is_ok());
    bell.ring_if(waker.must_wake());
}

fn reply_against_sleep() {
    let (mut producer, mut replies) = ring(2);
    let (mut sleeper, waker) = sleep();
    let bell = Bell::new();
    let thread = thread::spawn({
        let bell = bell.clone();
        move || {
            reply(&mut producer, &waker, &bell, 1);
            reply(&mut producer, &waker, &bell, 2);
        }
    });
    let mut got = Vec::new();
    // As long as it does not sleep it takes replies; two, and then it sleeps for want of a third.
    let slept = loop {
        if sleeper.may_sleep(|| !replies.is_empty()) {
            break true;
        }
        got.extend(replies.drain());
        if got.len() == 2 {
            break false;
        }
    };
    thread.join().unwrap();
    if slept {
        assert!(bell.was_rung(), "it sleeps, and a reply waits");
        sleeper.woke();
        got.extend(replies.drain());
    }
    assert_eq!(got, [1, 2]);
}

fn two_wakers() {
    let (producers, mut replies): (Vec<_>, Vec<_>) = (0..2).map(|_| ring(1)).unzip();
    let (mut sleeper, waker) = sleep();
    let bell = Bell::new();
    let threads: Vec<_> = producers
        .into_iter()
        .map(|mut producer| {
            let (waker, bell) = (waker.clone(), bell.clone());
            thread::spawn(move || reply(&mut producer, &waker, &bell, 1))
        })
        .collect();
    let mut got = 0;
    let mut asleep = false;
    for _ in 0..2 {
        asleep = sleeper.may_sleep(|| replies.iter_mut().any(|ring| !ring.is_empty()));
        if asleep && !bell.was_rung() {
            break;
        }
        asleep = false;
        sleeper.woke();
        got += replies.iter_mut().filter_map(|ring| ring.pop()).count();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    let left = replies.iter_mut().filter_map(|ring| ring.pop()).count();
    assert_eq!(got + left, 2);
    assert!(!asleep || left == 0 || bell.was_rung(), "it sleeps, and a reply waits");
}

/// A thread that puts its box and goes to sleep. `None`: it sleeps; else it has found something, and what is its own.
fn park(owner: &Owner<Contents>, sleeper: &mut Sleeper, hand: Hand<Contents>) -> bool {
    let mut hand = Some(hand);
    loop {
        if let Some(hand) = hand.take() {
            go_home(owner, hand);
        }
        if sleeper.may_sleep(|| owner.is_handed()) {
            return true;
        }
        hand = owner.take();
    }
}

fn hand_over(wake: bool) {
    let (owner, visitor, hand, producers) = a_box(2);
    let (mut sleeper, waker) = sleep();
    let bell = Bell::new();
    let threads: Vec<_> = producers
        .into_iter()
        .zip(1..)
        .map(|(mut producer, value)| {
            let (visitor, waker, bell) = (visitor.clone(), waker.clone(), bell.clone());
            thread::spawn(move || {
                if send(&mut producer, &visitor, value) && wake {
                    bell.ring_if(waker.must_wake());
                }
            })
        })
        .collect();
    assert!(park(&owner, &mut sleeper, hand));
    for thread in threads {
        thread.join().unwrap();
    }
    if bell.was_rung() {
        sleeper.woke();
        if let Some(hand) = owner.take() {
            go_home(&owner, hand);
        }
    }
    // Nobody looks once more: whatever is not done now never will be.
    assert_eq!(settled_at_home(&visitor), [1, 2]);
}

fn hand_over_against_park() {
    hand_over(true);
}

// ------------------------------------------------------------------------------------------------ log

/// Appends, once; gives the position unless the log is full.
fn try_append(log: &Log<Watched>, value: u32) -> Option<u64> {
    match log.append(Arc::new(Watched::new(value))) {
        Ok(position) => {
            assert!(log.tail() > position, "no append returns before the tail covers it");
            Some(position)
        }
        Err(Full { entry, laggards, .. }) => {
            assert!(entry.get() == value && !laggards.is_empty());
            None
        }
    }
}

fn append(log: &Log<Watched>, value: u32) -> u64 {
    try_append(log, value).expect("there is room")
}

/// Appends values until one is refused, and gives those that were not.
fn append_some(log: &Log<Watched>, values: &[u32]) -> Vec<(u64, u32)> {
    values.iter().map_while(|&value| Some((try_append(log, value)?, value))).collect()
}

fn follow(cursor: &mut Cursor<Watched>, seen: &mut Vec<u32>) {
    cursor.look();
    while let Some(entry) = cursor.entry() {
        seen.push(entry.get());
        cursor.advance();
    }
}

fn append_against_append() {
    let (log, mut cursors) = order(1, 1, 4);
    let other = thread::spawn({
        let log = log.clone();
        move || append(&log, 2)
    });
    let mine = append(&log, 1);
    let mut seen = Vec::new();
    follow(&mut cursors[0], &mut seen);
    assert_eq!(seen[mine as usize], 1);
    let others = other.join().unwrap();
    follow(&mut cursors[0], &mut seen);
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[mine as usize], seen[others as usize]), (1, 2));
}

fn append_against_follow() {
    let (log, mut cursors) = order(1, 1, 4);
    let authors: Vec<_> = [(1, 2), (3, 0)]
        .into_iter()
        .map(|(first, second)| {
            let log = log.clone();
            thread::spawn(move || {
                let position = append(&log, first);
                assert!(second == 0 || append(&log, second) > position);
                position
            })
        })
        .collect();
    let mut seen = Vec::new();
    follow(&mut cursors[0], &mut seen);
    follow(&mut cursors[0], &mut seen);
    let positions: Vec<u64> = authors.into_iter().map(|author| author.join().unwrap()).collect();
    follow(&mut cursors[0], &mut seen);
    assert_eq!(seen.len(), 3);
    assert_eq!((seen[positions[0] as usize], seen[positions[1] as usize]), (1, 3));
}

/// An author who sleeps for a lap or two must not put his entry into the future or over another.
fn append_wrap() {
    let (log, mut cursors) = order(1, 1, 1);
    let authors: Vec<_> = [&[1, 2, 3], &[4][..]]
        .into_iter()
        .map(|values| {
            let log = log.clone();
            thread::spawn(move || append_some(&log, values))
        })
        .collect();
    let mut seen = Vec::new();
    follow(&mut cursors[0], &mut seen);
    follow(&mut cursors[0], &mut seen);
    let mut appended: Vec<_> = authors.into_iter().flat_map(|author| author.join().unwrap()).collect();
    follow(&mut cursors[0], &mut seen);
    appended.sort_unstable();
    assert!(!appended.is_empty());
    assert!(appended.iter().map(|entry| entry.0).eq(0..log.tail()), "positions have no gaps");
    assert!(appended.iter().map(|entry| entry.1).eq(seen));
}

/// A slot may look as it did two laps ago to someone who knows the tail only.
fn append_after_laps() {
    let (log, mut cursors) = order(1, 1, 1);
    let late = thread::spawn({
        let log = log.clone();
        move || append_some(&log, &[9])
    });
    let mut seen = Vec::new();
    for value in 1..3 {
        try_append(&log, value);
        follow(&mut cursors[0], &mut seen);
    }
    let late = late.join().unwrap();
    follow(&mut cursors[0], &mut seen);
    assert_eq!(seen.len() as u64, log.tail());
    assert!(late.iter().all(|&(position, value)| seen[position as usize] == value));
}

/// Two boxes pass a chunk, and an author is at its heels.
fn reclaim(chunk: usize, before: &[u32], meanwhile: &'static [u32]) {
    let (log, mut cursors) = order(2, 1, chunk);
    for &value in before {
        append(&log, value);
    }
    let mut other = cursors.pop().unwrap();
    let reader = thread::spawn(move || {
        let mut seen = Vec::new();
        follow(&mut other, &mut seen);
        (other, seen)
    });
    let author = thread::spawn({
        let log = log.clone();
        move || append_some(&log, meanwhile)
    });
    let mut seen = Vec::new();
    follow(&mut cursors[0], &mut seen);
    let (mut other, mut others) = reader.join().unwrap();
    let appended = author.join().unwrap();
    follow(&mut cursors[0], &mut seen);
    follow(&mut other, &mut others);
    let all: Vec<u32> = before.iter().copied().chain(appended.into_iter().map(|entry| entry.1)).collect();
    assert_eq!((&seen, &others), (&all, &all));
    // All have passed everything: there is room again.
    assert_eq!(append(&log, 9) as usize, all.len());
}

fn reclaim_against_readers() {
    reclaim(1, &[1], &[2, 3]);
}

fn reclaim_chunks() {
    reclaim(2, &[1, 2], &[3, 4, 5]);
}

fn share_outlives_slot() {
    let (log, mut cursors) = order(2, 2, 1);
    append(&log, 1);
    let mut other = cursors.pop().unwrap();
    let reader = thread::spawn(move || {
        other.look();
        let entry = other.share().unwrap();
        other.advance();
        entry.get()
    });
    let author = thread::spawn(move || {
        append(&log, 2);
        // Refused as long as the first is in its slot.
        if let Ok(position) = log.append(Arc::new(Watched::new(3))) {
            assert_eq!(position, 2);
        }
    });
    let mut seen = Vec::new();
    follow(&mut cursors[0], &mut seen);
    assert_eq!(seen[0], 1);
    assert_eq!(reader.join().unwrap(), 1);
    author.join().unwrap();
}

/// A box that follows an order: an entry is followed by a notify, or, with `silent`, is not.
fn ordered_box(silent: bool) {
    let (log, mut cursors) = order(1, 1, 2);
    let (owner, visitor, hand) =
        place(Contents { rings: Vec::new(), cursor: cursors.pop(), done: Vec::new() });
    let threads: Vec<_> = (1..3)
        .map(|value| {
            let (log, visitor) = (log.clone(), visitor.clone());
            thread::spawn(move || {
                append(&log, value);
                !silent && visit(visitor.notify())
            })
        })
        .collect();
    go_home(&owner, hand);
    let mut handed = false;
    for thread in threads {
        handed |= thread.join().unwrap();
    }
    if handed {
        go_home(&owner, owner.take().expect("it was handed over"));
    }
    assert_eq!(settled_at_home(&visitor), [1, 2]);
}

fn append_and_notify() {
    ordered_box(false);
}

/// What was appended before a message was sent is below the tail that is loaded after the message was drained.
fn message_behind_entry() {
    let (log, mut cursors) = order(1, 1, 4);
    let (mut producer, mut consumer) = ring(1);
    let other = thread::spawn({
        let log = log.clone();
        move || append(&log, 1)
    });
    let sender = thread::spawn(move || {
        let position = append(&log, 2);
        assert!(producer.try_push(position).is_ok());
    });
    if let Some(position) = consumer.pop() {
        assert!(cursors[0].look() > position);
    }
    other.join().unwrap();
    sender.join().unwrap();
}

// ------------------------------------------------------------------------------------------------ mailbox

fn mailbox_meets() {
    let mailbox = Arc::new(Mailbox::new(3));
    let threads: Vec<_> = (1..3)
        .map(|value| {
            let mailbox = mailbox.clone();
            thread::spawn(move || sum(mailbox.arrive(Watched::new(value))))
        })
        .collect();
    let mut sums = sum(mailbox.arrive(Watched::new(4)));
    for thread in threads {
        sums += thread.join().unwrap();
    }
    assert_eq!(sums, 7, "one gets all");
}

fn sum(met: Option<Vec<Watched>>) -> u32 {
    met.map_or(0, |met| met.iter().map(Watched::get).sum())
}

/// A box that can meet others: how many gathers it has been in, and its place in the order of them.
struct Meeting {
    met: u32,
    cursor: Cursor<Mailbox<Hand<Meeting>>>,
}

/// Follows the order with a box in hand. The box is left at home, or at the entry that it waits in.
fn meet(hand: Hand<Meeting>) {
    let mut hands = vec![hand];
    while let Some(mut hand) = hands.pop() {
        hand.cursor.look();
        if let Some(entry) = hand.cursor.share() {
            if let Some(mut met) = entry.arrive(hand) {
                for hand in &mut met {
                    hand.met += 1;
                    hand.cursor.advance();
                }
                hands.extend(met);
            }
        } else if hand.leave() == Left::WakeOwner {
            unreachable!("nobody notifies");
        }
    }
}

fn gather() {
    let (log, cursors) = order(2, 2, 1);
    let boxes: Vec<_> = cursors.into_iter().map(|cursor| place(Meeting { met: 0, cursor })).collect();
    assert_eq!(log.append(Arc::new(Mailbox::new(2))).ok(), Some(0));
    assert_eq!(log.append(Arc::new(Mailbox::new(2))).ok(), Some(1));
    let mut visitors = Vec::new();
    let threads: Vec<_> = boxes
        .into_iter()
        .map(|(_, visitor, hand)| {
            visitors.push(visitor);
            thread::spawn(move || meet(hand))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    for visitor in visitors {
        let hand = visitor.take().expect("the box is at home");
        assert_eq!((hand.met, hand.cursor.position()), (2, 2));
        assert_eq!(hand.leave(), Left::Home);
    }
}

// ------------------------------------------------------------------------------------------------ broken on purpose

fn notify_then_push() {
    let (owner, visitor, hand, mut producers) = a_box(1);
    let (mut producer, sender) = (producers.pop().unwrap(), visitor.clone());
    let thread = thread::spawn(move || {
        let hand = sender.notify();
        assert!(producer.try_push(1).is_ok());
        visit(hand)
    });
    go_home(&owner, hand);
    assert!(!thread.join().unwrap());
    assert_eq!(settled_at_home(&visitor), [1]);
}

fn append_without_notify() {
    ordered_box(true);
}

fn look_then_sleep() {
    let (mut producer, mut replies) = ring::<u32>(1);
    let (mut sleeper, waker) = sleep();
    let bell = Bell::new();
    let thread = thread::spawn({
        let bell = bell.clone();
        move || reply(&mut producer, &waker, &bell, 1)
    });
    let found = !replies.is_empty();
    let asleep = sleeper.may_sleep(|| found);
    thread.join().unwrap();
    assert!(!asleep || bell.was_rung());
}

fn wake_then_push() {
    let (mut producer, mut replies) = ring::<u32>(1);
    let (mut sleeper, waker) = sleep();
    let bell = Bell::new();
    let thread = thread::spawn({
        let bell = bell.clone();
        move || {
            bell.ring_if(waker.must_wake());
            assert!(producer.try_push(1).is_ok());
        }
    });
    let asleep = sleeper.may_sleep(|| !replies.is_empty());
    thread.join().unwrap();
    assert!(!asleep || bell.was_rung());
}

fn hand_over_without_waking() {
    hand_over(false);
}
