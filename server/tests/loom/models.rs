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
use kevy_server::order::tally::Tally;
use kevy_server::order::word::Left;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use loom::thread;

use super::{Model, reached};

pub const MODELS: &[Model] = &[
    Model::all("word: push and notify against put", notify_against_put)
        .reaching(&["synced again", "visited"]),
    Model::bounded("word: two notifiers against put", 3, two_notifiers_against_put).reaching(&[
        "synced again",
        "visited",
        "handed over",
    ]),
    Model::bounded("word: two notifiers against leave, the owner notifies himself", 3, notify_own),
    Model::all("word: a visitor and the owner take the box in turn", two_takers),
    Model::bounded("word: two visitors and the owner take the box in turn", 3, three_takers),
    Model::all("sleep: one push against sleep", push_against_sleep).reaching(&["woken"]),
    Model::bounded("sleep: two wakers, two sleeps", 3, two_wakers),
    Model::bounded("word, sleep: hand-over against park", 3, hand_over_against_park).reaching(&["woken"]),
    Model::all("word, sleep: a visitor leaves something to an owner who falls asleep", visitor_marks)
        .reaching(&["woken"]),
    Model::bounded("log, word, sleep: an entry, a visitor, an owner who falls asleep", 4, append_hands_over)
        .reaching(&["woken", "visited"]),
    Model::all("log: append and help against append", append_against_append),
    Model::all("log: two authors and a follower", append_against_follow),
    Model::all("log: two authors, one slot, used again and again", append_wrap),
    Model::bounded("log: an author who has seen nothing of two laps", 3, append_after_laps),
    Model::all("log: reclamation against readers", reclaim_against_readers),
    Model::all("log: a shared entry outlives its slot", share_outlives_slot),
    Model::all("log: chunks of two", reclaim_chunks),
    Model::all("log: who hears of an append looks behind it", heard_of_append).reaching(&["heard"]),
    Model::bounded("log: two boxes see two authors in one order", 4, agree),
    Model::bounded("log, word: append and notify against put", 3, append_and_notify).reaching(&[
        "synced again",
        "visited",
        "handed over",
    ]),
    Model::all("log, word: two owners append for both boxes", append_for_both)
        .reaching(&["synced again", "visited"]),
    Model::all("log, word: a full order, and the box that is behind is told", full_until_told).reaching(&[
        "synced again",
        "visited",
        "room at once",
        "room later",
    ]),
    Model::all("log: a full order, and two authors", full_for_two).reaching(&["refused"]),
    Model::all("mailbox: the last to arrive gets all", mailbox_meets),
    Model::all("log, mailbox: two boxes meet in an entry", gather),
    Model::bounded("log, word, mailbox: an entry for boxes that are meeting", 3, append_to_gathered)
        .reaching(&["handed over"]),
    Model::all("tally, mailbox, word: parts against put", parts_against_put)
        .reaching(&["answered by another", "synced again"]),
    Model::bounded("tally, word: two batches against put", 3, two_batches).reaching(&[
        "answered by another",
        "synced again",
        "handed over",
    ]),
    Model::all("tally, log, mailbox, word: a batch in the order", batch_in_order).reaching(&[
        "visited",
        "answered by another",
        "synced again",
    ]),
    Model::must_fail("broken: notify, then push", notify_then_push),
    Model::must_fail("broken: append without notify", append_without_notify),
    Model::must_fail("broken: look, then say that one sleeps", look_then_sleep),
    Model::must_fail("broken: ask whether to wake, then push", wake_then_push),
    Model::must_fail("broken: hand over without waking", hand_over_without_waking),
    Model::must_fail("broken: leave something to the owner without a mark", leave_without_mark),
    Model::must_fail("broken: a full order, and nobody tells who is behind", laggards_stay),
    Model::must_fail("broken: notify, then count", notify_then_count),
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

// ------------------------------------------------------------------------------------------------ work

/// What one thread leaves for another, who must be told of it.
///
/// In the server that is an entry of the order, and some models append one. Here it is the weakest queue there is: a count
/// whose accesses order nothing. So whatever is seen of it was carried by the rooms, and any other queue would do as well.
struct Author {
    pushed: u32,
    count: Arc<AtomicU32>,
}

struct Work {
    taken: u32,
    count: Arc<AtomicU32>,
}

fn work() -> (Author, Work) {
    let count = Arc::new(AtomicU32::new(0));
    (Author { pushed: 0, count: count.clone() }, Work { taken: 0, count })
}

impl Author {
    fn push(&mut self) {
        self.pushed += 1;
        self.count.store(self.pushed, Ordering::Relaxed);
    }
}

impl Work {
    fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == self.taken
    }

    /// Takes what is there, and says how much that was.
    fn take(&mut self) -> u32 {
        let pushed = self.count.load(Ordering::Relaxed);
        let new = pushed.checked_sub(self.taken).expect("nothing is seen and then no more");
        self.taken = pushed;
        new
    }
}

// ------------------------------------------------------------------------------------------------ boxes

/// A box: work that comes to it, what it has executed, and its place in an order, if there is one.
struct Contents {
    work: Vec<Work>,
    cursor: Option<Cursor<Watched>>,
    /// The authors, from 1, of the work that is done, or the entries.
    done: Vec<u32>,
}

impl Contents {
    fn sync(&mut self) {
        if let Some(cursor) = &mut self.cursor {
            follow(cursor, &mut self.done);
        }
        for (work, author) in self.work.iter_mut().zip(1..) {
            self.done.extend((0..work.take()).map(|_| author));
        }
    }
}

/// A box that some authors have work for, and no order.
fn a_box(authors: usize) -> (Owner<Contents>, Visitor<Contents>, Hand<Contents>, Vec<Author>) {
    let (authors, work) = (0..authors).map(|_| work()).unzip();
    let (owner, visitor, hand) = place(Contents { work, cursor: None, done: Vec::new() });
    (owner, visitor, hand, authors)
}

/// A box that follows an order.
fn a_follower(cursor: Cursor<Watched>) -> (Owner<Contents>, Visitor<Contents>, Hand<Contents>) {
    place(Contents { work: Vec::new(), cursor: Some(cursor), done: Vec::new() })
}

/// Syncs and puts until the box is at home.
fn go_home(owner: &Owner<Contents>, mut hand: Hand<Contents>) {
    loop {
        hand.sync();
        match owner.put(hand) {
            Some(again) => hand = again,
            None => return,
        }
        reached("synced again");
    }
}

/// Pushes, notifies, and serves the box if it was at home. True: its owner must be woken.
fn send(author: &mut Author, visitor: &Visitor<Contents>) -> bool {
    author.push();
    visit(visitor.notify())
}

fn visit(hand: Option<Hand<Contents>>) -> bool {
    let Some(mut hand) = hand else { return false };
    reached("visited");
    hand.sync();
    hand.leave() == Left::WakeOwner
}

/// All threads have ended: what was executed, in order of the authors. Takes what was handed over; fails if the box is away.
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
    let (owner, visitor, hand, mut authors) = a_box(1);
    let (mut author, sender) = (authors.pop().unwrap(), visitor.clone());
    let thread = thread::spawn(move || {
        // Nobody else holds the box when this one leaves it.
        assert!(!send(&mut author, &sender));
        assert!(!send(&mut author, &sender));
    });
    go_home(&owner, hand);
    thread.join().unwrap();
    assert_eq!(settled_at_home(&visitor), [1, 1]);
}

fn two_notifiers_against_put() {
    let (owner, visitor, hand, authors) = a_box(2);
    let mut handed = false;
    let threads: Vec<_> = authors
        .into_iter()
        .map(|mut author| {
            let visitor = visitor.clone();
            thread::spawn(move || send(&mut author, &visitor))
        })
        .collect();
    go_home(&owner, hand);
    for thread in threads {
        handed |= thread.join().unwrap();
    }
    assert_eq!(owner.is_handed(), handed, "whoever hands over knows it");
    if handed {
        reached("handed over");
        assert_eq!(settled(&owner), [1, 2]);
    } else {
        assert_eq!(settled_at_home(&visitor), [1, 2]);
    }
}

/// The owner has something for his own box while others visit it.
fn notify_own() {
    let (owner, visitor, hand, mut authors) = a_box(3);
    go_home(&owner, hand);
    let mut own = authors.pop().unwrap();
    let threads: Vec<_> = authors
        .into_iter()
        .map(|mut author| {
            let visitor = visitor.clone();
            thread::spawn(move || send(&mut author, &visitor))
        })
        .collect();
    own.push();
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

fn push_and_wake(author: &mut Author, waker: &Waker, bell: &Bell) {
    author.push();
    bell.ring_if(waker.must_wake());
}

fn push_against_sleep() {
    let (mut author, mut work) = work();
    let (mut sleeper, waker) = sleep();
    let bell = Bell::new();
    let thread = thread::spawn({
        let bell = bell.clone();
        move || {
            push_and_wake(&mut author, &waker, &bell);
            push_and_wake(&mut author, &waker, &bell);
        }
    });
    let mut got = 0;
    // As long as it does not sleep it works; twice, and then it sleeps for want of a third piece.
    let slept = loop {
        if sleeper.may_sleep(|| !work.is_empty()) {
            break true;
        }
        got += work.take();
        if got == 2 {
            break false;
        }
    };
    thread.join().unwrap();
    if slept {
        assert!(bell.was_rung(), "it sleeps, and there is work");
        reached("woken");
        sleeper.woke();
        got += work.take();
    }
    assert_eq!(got, 2);
}

fn two_wakers() {
    let (authors, mut works): (Vec<_>, Vec<_>) = (0..2).map(|_| work()).unzip();
    let (mut sleeper, waker) = sleep();
    let bell = Bell::new();
    let threads: Vec<_> = authors
        .into_iter()
        .map(|mut author| {
            let (waker, bell) = (waker.clone(), bell.clone());
            thread::spawn(move || push_and_wake(&mut author, &waker, &bell))
        })
        .collect();
    let mut got = 0;
    let mut asleep = false;
    for _ in 0..2 {
        asleep = sleeper.may_sleep(|| works.iter().any(|work| !work.is_empty()));
        if asleep && !bell.was_rung() {
            break;
        }
        asleep = false;
        sleeper.woke();
        got += works.iter_mut().map(Work::take).sum::<u32>();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    let left = works.iter_mut().map(Work::take).sum::<u32>();
    assert_eq!(got + left, 2);
    assert!(!asleep || left == 0 || bell.was_rung(), "it sleeps, and there is work");
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

fn hand_over(wakes: bool) {
    let (owner, visitor, hand, authors) = a_box(2);
    let (mut sleeper, waker) = sleep();
    let bell = Bell::new();
    let threads: Vec<_> = authors
        .into_iter()
        .map(|mut author| {
            let (visitor, waker, bell) = (visitor.clone(), waker.clone(), bell.clone());
            thread::spawn(move || {
                if send(&mut author, &visitor) && wakes {
                    bell.ring_if(waker.must_wake());
                }
            })
        })
        .collect();
    assert!(park(&owner, &mut sleeper, hand));
    for thread in threads {
        thread.join().unwrap();
    }
    wake(&owner, &mut sleeper, &bell);
    assert_eq!(settled_at_home(&visitor), [1, 2]);
}

/// All others have ended: the owner does what he was woken for, and nothing if he was not.
fn wake(owner: &Owner<Contents>, sleeper: &mut Sleeper, bell: &Bell) {
    if bell.was_rung() {
        reached("woken");
        sleeper.woke();
        if let Some(hand) = owner.take() {
            go_home(owner, hand);
        }
    }
}

fn hand_over_against_park() {
    hand_over(true);
}

/// An entry comes while a visitor holds the box and its owner falls asleep.
fn append_hands_over() {
    let (log, mut cursors) = order(1, 1, 1);
    let (owner, visitor, hand) = a_follower(cursors.pop().unwrap());
    let (mut sleeper, waker) = sleep();
    let bell = Bell::new();
    go_home(&owner, hand);
    let threads = [false, true].map(|appends| {
        let (log, visitor, waker, bell) = (log.clone(), visitor.clone(), waker.clone(), bell.clone());
        thread::spawn(move || {
            let hand = if appends {
                append(&log, 1);
                visitor.notify()
            } else {
                visitor.take()
            };
            if visit(hand) {
                bell.ring_if(waker.must_wake());
            }
        })
    });
    while !sleeper.may_sleep(|| owner.is_handed()) {
        go_home(&owner, owner.take().expect("it was handed over"));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    wake(&owner, &mut sleeper, &bell);
    assert_eq!(settled_at_home(&visitor), [1]);
}

/// A visitor has made something that only the owner can finish, as replies on sockets are.
fn left_to_owner(marks: bool) {
    let (owner, visitor, hand, _) = a_box(0);
    let (mut sleeper, waker) = sleep();
    let bell = Bell::new();
    let thread = thread::spawn({
        let (visitor, bell) = (visitor.clone(), bell.clone());
        move || {
            let Some(mut hand) = visitor.take() else { return false };
            hand.done.push(1);
            if marks {
                hand.mark();
            }
            if hand.leave() == Left::WakeOwner {
                bell.ring_if(waker.must_wake());
            }
            true
        }
    });
    let mut finished = Vec::new();
    go_home(&owner, hand);
    while !sleeper.may_sleep(|| owner.is_handed()) {
        let mut hand = owner.take().expect("it was handed over");
        finished.append(&mut hand.done);
        go_home(&owner, hand);
    }
    let visited = thread.join().unwrap();
    if bell.was_rung() {
        reached("woken");
        sleeper.woke();
        let mut hand = owner.take().expect("whoever wakes its owner has handed it over");
        finished.append(&mut hand.done);
        go_home(&owner, hand);
    }
    assert_eq!(finished, if visited { &[1][..] } else { &[] });
}

fn visitor_marks() {
    left_to_owner(true);
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
    let (owner, visitor, hand) = a_follower(cursors.pop().unwrap());
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
        reached("handed over");
        go_home(&owner, owner.take().expect("it was handed over"));
    }
    assert_eq!(settled_at_home(&visitor), [1, 2]);
}

fn append_and_notify() {
    ordered_box(false);
}

/// Who has heard that something was appended, by whatever way, finds it below the tail that he loads then.
fn heard_of_append() {
    let (log, mut cursors) = order(1, 1, 4);
    let answer = Arc::new(AtomicU64::new(u64::MAX));
    let other = thread::spawn({
        let log = log.clone();
        move || append(&log, 1)
    });
    let author = thread::spawn({
        let (log, answer) = (log.clone(), answer.clone());
        move || {
            answer.store(append(&log, 2), Ordering::Release);
        }
    });
    let heard = answer.load(Ordering::Acquire);
    if heard != u64::MAX {
        reached("heard");
        assert!(cursors[0].look() > heard);
    }
    other.join().unwrap();
    author.join().unwrap();
}

/// Two boxes follow two authors.
fn agree() {
    let (log, mut cursors) = order(2, 1, 2);
    let authors = [1, 2].map(|value| {
        let log = log.clone();
        thread::spawn(move || append(&log, value))
    });
    let mut other = cursors.pop().unwrap();
    let follower = thread::spawn(move || {
        let mut seen = Vec::new();
        follow(&mut other, &mut seen);
        (other, seen)
    });
    let mut seen = Vec::new();
    follow(&mut cursors[0], &mut seen);
    let positions = authors.map(|author| author.join().unwrap());
    let (mut other, mut others) = follower.join().unwrap();
    follow(&mut cursors[0], &mut seen);
    follow(&mut other, &mut others);
    assert_eq!(seen, others);
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[positions[0] as usize], seen[positions[1] as usize]), (1, 2));
}

/// Two threads, each with a box of its own in hand, append an entry for both. Each notifies the other's box, and syncs its
/// own before it goes home.
fn append_for_both() {
    let (log, mut cursors) = order(2, 1, 2);
    let (other, others, hand) = a_follower(cursors.pop().unwrap());
    let (owner, visitor, own) = a_follower(cursors.pop().unwrap());
    let thread = thread::spawn({
        let (log, visitor) = (log.clone(), visitor.clone());
        move || {
            append(&log, 2);
            assert!(!visit(visitor.notify()));
            go_home(&other, hand);
        }
    });
    append(&log, 1);
    assert!(!visit(others.notify()));
    go_home(&owner, own);
    thread.join().unwrap();
    assert_eq!(settled_at_home(&visitor), [1, 2]);
    assert_eq!(settled_at_home(&others), [1, 2]);
}

/// The order is full. Its author follows with the box in his hand, and notifies the other one if it is named: then there
/// is room, at the latest when its owner has put it.
fn full(tells: bool) {
    let (log, mut cursors) = order(2, 1, 1);
    append(&log, 1);
    let (owner, visitor, hand) = a_follower(cursors.pop().unwrap());
    let thread = thread::spawn(move || {
        // It has nothing to do there, unless it is told.
        if let Some(hand) = owner.put(hand) {
            reached("synced again");
            go_home(&owner, hand);
        }
    });
    let mut seen = Vec::new();
    let Err(Full { entry, position, laggards }) = log.append(Arc::new(Watched::new(2))) else {
        panic!("the box in hand has followed nothing");
    };
    assert_eq!((position, &laggards[..]), (1, &[0, 1][..]));
    follow(&mut cursors[0], &mut seen);
    if tells {
        assert!(!visit(visitor.notify()));
    }
    if let Err(full) = log.append(entry) {
        assert_eq!(full.laggards, [1], "the other one has followed");
        reached("room later");
        thread.join().unwrap();
        assert_eq!(log.append(full.entry).ok(), Some(1), "all that were named have followed");
    } else {
        reached("room at once");
        thread.join().unwrap();
    }
    follow(&mut cursors[0], &mut seen);
    assert_eq!(seen, [1, 2]);
    let mut hand = visitor.take().expect("the box is at home");
    hand.sync();
    assert_eq!(hand.leave(), Left::Home);
    assert_eq!(settled_at_home(&visitor), [1, 2]);
}

fn full_until_told() {
    full(true);
}

/// Two authors find the order full, and each goes on trying as long as it follows.
fn full_for_two() {
    let (log, mut cursors) = order(1, 1, 1);
    append(&log, 1);
    let author = thread::spawn({
        let log = log.clone();
        move || log.append(Arc::new(Watched::new(2))).map_err(|full| full.entry)
    });
    let mut seen = Vec::new();
    let refused = log.append(Arc::new(Watched::new(3)));
    follow(&mut cursors[0], &mut seen);
    // One of them finds room now, and the other does when that one's entry has been followed.
    let mut refused = Vec::from_iter(refused.err().map(|full| full.entry));
    refused.extend(author.join().unwrap().err());
    for entry in refused {
        reached("refused");
        follow(&mut cursors[0], &mut seen);
        assert!(log.append(entry).is_ok(), "all have followed");
    }
    follow(&mut cursors[0], &mut seen);
    assert_eq!(seen[0], 1);
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 3]);
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

/// What a box that can meet others finds in the order.
enum Step {
    Meet(Mailbox<Hand<Meeting>>),
    Work,
}

/// A box that can meet others: how many gathers it has been in, what it has done, and its place in the order.
struct Meeting {
    met: u32,
    worked: u32,
    cursor: Cursor<Step>,
}

/// Follows the order with a box in hand. The box is left at home, or for its owner, or in the entry that it waits in, from
/// where the last to arrive takes all and syncs them. True: an owner must be woken.
fn meet(hand: Hand<Meeting>) -> bool {
    let mut hands = vec![hand];
    let mut wakes = false;
    while let Some(mut hand) = hands.pop() {
        hand.cursor.look();
        let Some(entry) = hand.cursor.share() else {
            wakes |= hand.leave() == Left::WakeOwner;
            continue;
        };
        match &*entry {
            Step::Work => {
                hand.worked += 1;
                hand.cursor.advance();
                hands.push(hand);
            }
            Step::Meet(mailbox) => {
                if let Some(mut met) = mailbox.arrive(hand) {
                    for hand in &mut met {
                        hand.met += 1;
                        hand.cursor.advance();
                    }
                    hands.extend(met);
                }
            }
        }
    }
    wakes
}

/// Two boxes in the hands of two threads; meanwhile something is done here. Then whoever was handed over is followed to
/// the end, and all must have come to it.
fn meetings(meets: usize, works: usize, meanwhile: impl FnOnce(&Log<Step>, &[Visitor<Meeting>]) -> bool) {
    let (log, cursors) = order(2, 2, 1);
    for position in 0..meets {
        assert_eq!(log.append(Arc::new(Step::Meet(Mailbox::new(2)))).ok(), Some(position as u64));
    }
    let (mut owners, mut visitors, mut hands) = (Vec::new(), Vec::new(), Vec::new());
    for cursor in cursors {
        let (owner, visitor, hand) = place(Meeting { met: 0, worked: 0, cursor });
        owners.push(owner);
        visitors.push(visitor);
        hands.push(hand);
    }
    let threads: Vec<_> = hands.into_iter().map(|hand| thread::spawn(move || meet(hand))).collect();
    let mut wakes = meanwhile(&log, &visitors);
    for thread in threads {
        wakes |= thread.join().unwrap();
    }
    assert_eq!(wakes, owners.iter().any(Owner::is_handed), "whoever hands over knows it");
    for owner in owners.iter().filter(|owner| owner.is_handed()) {
        reached("handed over");
        assert!(!meet(owner.take().expect("it was handed over")));
    }
    for visitor in visitors {
        let hand = visitor.take().expect("the box is at home");
        assert_eq!((hand.met as usize, hand.worked as usize), (meets, works));
        assert_eq!(hand.cursor.position() as usize, meets + works);
        assert_eq!(hand.leave(), Left::Home);
    }
}

fn gather() {
    meetings(2, 0, |_, _| false);
}

/// An entry comes for boxes that are in a gather, or on the way to it, or back from it.
fn append_to_gathered() {
    meetings(1, 1, |log, visitors| {
        assert_eq!(log.append(Arc::new(Step::Work)).ok(), Some(1));
        let mut wakes = false;
        for visitor in visitors {
            if let Some(hand) = visitor.notify() {
                wakes |= meet(hand);
            }
        }
        wakes
    });
}

// ------------------------------------------------------------------------------------------------ parts

/// What the last part leaves in the entry. The server has a `OnceLock` there, which loom does not know.
struct Once {
    set: AtomicBool,
    value: Watched,
}

impl Once {
    fn new() -> Self {
        Self { set: AtomicBool::new(false), value: Watched::new(0) }
    }

    fn set(&self, value: u32) {
        // SAFETY: what loom checks.
        self.value.0.with_mut(|slot| unsafe { *slot = value });
        self.set.store(true, Ordering::Release);
    }

    fn get(&self) -> Option<u32> {
        self.set.load(Ordering::Acquire).then(|| self.value.get())
    }
}

/// Commands of a connection, each with a part in one of two boxes, and the replies.
struct Batch {
    parts: Mailbox<u32>,
    replies: Once,
}

impl Batch {
    fn new() -> Arc<Self> {
        Arc::new(Self { parts: Mailbox::new(2), replies: Once::new() })
    }

    /// Brings a part. The last leaves the replies and counts them: true, and then the connection's box is to be notified.
    fn arrive(&self, part: u32, tally: &Tally) -> bool {
        let Some(parts) = self.parts.arrive(part) else { return false };
        self.replies.set(parts.iter().sum());
        tally.count();
        true
    }
}

/// The box of connections: their batches that are not answered, and what was written.
struct Connections {
    tally: Arc<Tally>,
    answered: usize,
    outstanding: Vec<Arc<Batch>>,
    written: Vec<u32>,
}

impl Connections {
    fn new(outstanding: Vec<Arc<Batch>>) -> (Arc<Tally>, Self) {
        let tally = Arc::new(Tally::default());
        (tally.clone(), Self { tally, answered: 0, outstanding, written: Vec::new() })
    }

    fn answer(&mut self) {
        let completed = self.tally.look();
        if completed == self.answered {
            return;
        }
        self.answered = completed;
        let Self { outstanding, written, .. } = self;
        outstanding.retain(|batch| {
            let replies = batch.replies.get();
            written.extend(replies);
            replies.is_none()
        });
    }
}

/// Somebody has completed a batch: tells the box of the connection.
fn tell(visitor: &Visitor<Connections>) -> bool {
    let Some(mut hand) = visitor.notify() else { return false };
    reached("answered by another");
    hand.answer();
    hand.leave() == Left::WakeOwner
}

/// The owner of the connections answers what is complete and puts the box.
fn put_connections(owner: &Owner<Connections>, mut hand: Hand<Connections>) {
    loop {
        hand.answer();
        match owner.put(hand) {
            Some(again) => hand = again,
            None => return,
        }
        reached("synced again");
    }
}

fn written_at_home(visitor: &Visitor<Connections>) -> Vec<u32> {
    let mut hand = visitor.take().expect("the box is at home");
    let mut written = std::mem::take(&mut hand.written);
    assert_eq!(hand.leave(), Left::Home);
    written.sort_unstable();
    written
}

/// Two threads have the parts of a batch, and the box of the connection is just put.
fn parts(early: bool) {
    let batch = Batch::new();
    let (tally, connections) = Connections::new(vec![batch.clone()]);
    let (owner, visitor, hand) = place(connections);
    let threads = [1, 2].map(|part| {
        let (batch, tally, visitor) = (batch.clone(), tally.clone(), visitor.clone());
        thread::spawn(move || {
            if early {
                assert!(!tell(&visitor));
                batch.arrive(part, &tally);
            } else if batch.arrive(part, &tally) {
                assert!(!tell(&visitor), "nobody else notifies");
            }
        })
    });
    put_connections(&owner, hand);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(written_at_home(&visitor), [3]);
}

fn parts_against_put() {
    parts(false);
}

/// Two batches are completed by two threads: whoever sees the second count sees both results.
fn two_batches() {
    let batches = [Batch::new(), Batch::new()];
    let (tally, connections) = Connections::new(batches.to_vec());
    let (owner, visitor, mut hand) = place(connections);
    for batch in &batches {
        assert!(!batch.arrive(1, &tally));
    }
    let threads = batches.map(|batch| {
        let (tally, visitor) = (tally.clone(), visitor.clone());
        thread::spawn(move || {
            assert!(batch.arrive(2, &tally));
            tell(&visitor)
        })
    });
    hand.answer();
    assert!(hand.written.len() >= hand.answered, "a count covers its result");
    put_connections(&owner, hand);
    let mut handed = false;
    for thread in threads {
        handed |= thread.join().unwrap();
    }
    assert_eq!(handed, owner.is_handed(), "whoever hands over knows it");
    if handed {
        reached("handed over");
        put_connections(&owner, owner.take().expect("it was handed over"));
    }
    assert_eq!(written_at_home(&visitor), [3, 3]);
}

/// A box with a part in the batch that the other one's connection has appended.
struct Participant {
    cursor: Cursor<Batch>,
}

impl Participant {
    /// Runs its parts. True: one was the last.
    fn follow(&mut self, part: u32, tally: &Tally) -> bool {
        let mut completes = false;
        self.cursor.look();
        while let Some(batch) = self.cursor.entry() {
            completes |= batch.arrive(part, tally);
            self.cursor.advance();
        }
        completes
    }
}

/// The whole way of a batch: appended by the connection's thread, who notifies the other box, whose owner is putting it;
/// each box runs its part at the entry's position.
fn batch_in_order() {
    let (log, mut cursors) = order(2, 1, 1);
    let (other, others, mut participant) = place(Participant { cursor: cursors.pop().unwrap() });
    let (tally, connections) = Connections::new(Vec::new());
    let (owner, visitor, mut hand) = place(connections);
    let thread = thread::spawn({
        let (tally, visitor) = (tally.clone(), visitor.clone());
        move || {
            loop {
                if participant.follow(2, &tally) {
                    assert!(!tell(&visitor));
                }
                match other.put(participant) {
                    Some(again) => participant = again,
                    None => return,
                }
            }
        }
    });
    let batch = Batch::new();
    hand.outstanding.push(batch.clone());
    assert_eq!(log.append(batch).ok(), Some(0));
    if let Some(mut participant) = others.notify() {
        reached("visited");
        assert!(!participant.follow(2, &tally), "the own part is not done");
        assert_eq!(participant.leave(), Left::Home);
    }
    let mut own = Participant { cursor: cursors.pop().unwrap() };
    own.follow(1, &tally);
    put_connections(&owner, hand);
    thread.join().unwrap();
    assert_eq!(written_at_home(&visitor), [3]);
    assert_eq!(others.take().expect("the box is at home").cursor.position(), 1);
}

// ------------------------------------------------------------------------------------------------ broken on purpose

fn notify_then_push() {
    let (owner, visitor, hand, mut authors) = a_box(1);
    let (mut author, sender) = (authors.pop().unwrap(), visitor.clone());
    let thread = thread::spawn(move || {
        let hand = sender.notify();
        author.push();
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
    let (mut author, work) = work();
    let (mut sleeper, waker) = sleep();
    let bell = Bell::new();
    let thread = thread::spawn({
        let bell = bell.clone();
        move || push_and_wake(&mut author, &waker, &bell)
    });
    let found = !work.is_empty();
    let asleep = sleeper.may_sleep(|| found);
    thread.join().unwrap();
    assert!(!asleep || bell.was_rung());
}

fn wake_then_push() {
    let (mut author, work) = work();
    let (mut sleeper, waker) = sleep();
    let bell = Bell::new();
    let thread = thread::spawn({
        let bell = bell.clone();
        move || {
            bell.ring_if(waker.must_wake());
            author.push();
        }
    });
    let asleep = sleeper.may_sleep(|| !work.is_empty());
    thread.join().unwrap();
    assert!(!asleep || bell.was_rung());
}

fn hand_over_without_waking() {
    hand_over(false);
}

fn leave_without_mark() {
    left_to_owner(false);
}

fn laggards_stay() {
    full(false);
}

fn notify_then_count() {
    parts(true);
}
