//! A bounded ring between one producer and one consumer.
//!
//! Contract: the consumer gets the values that were published, in the order in which they were pushed, each exactly
//! once. A push never waits; one that finds the ring full gives the value back. Values that nobody took are dropped
//! with the ring. Both halves are owned: they can be sent to another thread, not shared or cloned, so a second producer
//! is a type error.
//!
//! ```text
//!   slot    0    1    2    3    4    5    6    7         capacity 8, a power of two
//!         | .. | .. | cc | dd | ee | (f)| .. | .. |
//!                     head           tail staged         head <= tail <= staged <= head + capacity
//! ```
//!
//! `head` and `tail` count values since the beginning and never wrap in practice; a value's slot is its number modulo
//! the capacity. `tail` is stored by the producer alone, `head` by the consumer alone. Each side remembers what it last
//! saw of the other and looks again only when that is not enough, so a side that is ahead touches no line of the other.
//! Values that are [staged](Batch) lie in slots but are not yet covered by `tail`: a batch is published by one store.
//!
//! Nobody is woken here: see [`crate::order::sleep`].

#![allow(unsafe_code)]

use std::fmt;
use std::mem::MaybeUninit;

use crate::sync::{Alone, Arc, AtomicUsize, UnsafeCell, ord};

/// A ring for at least `capacity` values: the next power of two.
///
/// # Panics
///
/// If `capacity` is 0, or so large that there is no such power.
pub fn ring<T: Send>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    assert!(capacity > 0, "a ring holds something");
    let capacity = capacity.checked_next_power_of_two().expect("a ring fits into memory");
    let shared = Arc::new(Shared {
        head: Alone(AtomicUsize::new(0)),
        tail: Alone(AtomicUsize::new(0)),
        slots: (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
    });
    (
        Producer { shared: shared.clone(), tail: 0, staged: 0, head_seen: 0 },
        Consumer { shared, head: 0, tail_seen: 0 },
    )
}

/// The half that pushes.
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    /// What `shared.tail` is: this half alone stores it.
    tail: usize,
    /// Where the next value goes; `tail..staged` are written and not published.
    staged: usize,
    /// `shared.head` as it was when last looked at.
    head_seen: usize,
}

impl<T> Producer<T> {
    /// Pushes one value and publishes it, with everything staged before it. A full ring gives the value back.
    #[inline]
    pub fn try_push(&mut self, value: T) -> Result<(), T> {
        self.stage(value)?;
        self.publish();
        Ok(())
    }

    /// Begins a batch: values pushed to it become visible together, when it is published or dropped.
    #[inline]
    pub fn batch(&mut self) -> Batch<'_, T> {
        Batch { producer: self }
    }

    /// For how many values there is room now; there may be more a moment later.
    pub fn room(&mut self) -> usize {
        self.look();
        self.free()
    }

    /// How many values the ring can hold.
    pub fn capacity(&self) -> usize {
        self.shared.slots.len()
    }

    fn free(&self) -> usize {
        self.shared.slots.len() - self.staged.wrapping_sub(self.head_seen)
    }

    /// Acquire: that the consumer has read a slot happens before the slot is written again.
    fn look(&mut self) {
        self.head_seen = self.shared.head.load(ord!("ring.look_head", Acquire));
    }

    #[inline]
    fn stage(&mut self, value: T) -> Result<(), T> {
        if self.free() == 0 {
            self.look();
            if self.free() == 0 {
                return Err(value);
            }
        }
        // SAFETY: the slot of number `staged` is the producer's: `tail <= staged < head + capacity`, so the consumer
        // has taken what was there and will not look before `tail` covers it. There is one producer, and it is `&mut`.
        self.shared.slot(self.staged).with_mut(|slot| unsafe { (*slot).write(value) });
        self.staged = self.staged.wrapping_add(1);
        Ok(())
    }

    #[inline]
    fn publish(&mut self) {
        if self.tail != self.staged {
            self.tail = self.staged;
            // Release: the values happen before whoever sees the tail.
            self.shared.tail.store(self.tail, ord!("ring.publish", Release));
        }
    }
}

impl<T> Drop for Producer<T> {
    /// A batch that was forgotten is not lost.
    fn drop(&mut self) {
        self.publish();
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("tail", &self.tail)
            .field("staged", &self.staged)
            .finish_non_exhaustive()
    }
}

/// Values that are published together.
#[must_use = "a batch is published when it is dropped"]
#[derive(Debug)]
pub struct Batch<'a, T> {
    producer: &'a mut Producer<T>,
}

impl<T> Batch<'_, T> {
    /// Adds a value. A full ring gives it back; what was added before is still in the batch.
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), T> {
        self.producer.stage(value)
    }

    /// Makes the batch visible to the consumer. Says how many values it had.
    #[inline]
    pub fn publish(self) -> usize {
        self.producer.staged.wrapping_sub(self.producer.tail)
    }
}

impl<T> Drop for Batch<'_, T> {
    fn drop(&mut self) {
        self.producer.publish();
    }
}

/// The half that takes.
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    /// The next value to take; what `shared.head` is, or will be when a [`Drain`] ends.
    head: usize,
    /// `shared.tail` as it was when last looked at.
    tail_seen: usize,
}

impl<T> Consumer<T> {
    /// Takes the oldest value.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if self.head == self.tail_seen && self.is_empty() {
            return None;
        }
        let value = self.take();
        self.release();
        Some(value)
    }

    /// Takes everything that was published before this call, looking at the tail once. Slots are given back together
    /// when the iterator is dropped; what was not taken by then stays in the ring.
    #[inline]
    pub fn drain(&mut self) -> Drain<'_, T> {
        self.look();
        Drain { consumer: self }
    }

    /// Whether nothing was published that was not taken. Looks at the ring, not at what was seen of it earlier.
    #[inline]
    pub fn is_empty(&mut self) -> bool {
        self.look();
        self.head == self.tail_seen
    }

    /// Acquire: the values up to the tail happened before.
    fn look(&mut self) {
        self.tail_seen = self.shared.tail.load(ord!("ring.look_tail", Acquire));
    }

    fn take(&mut self) -> T {
        debug_assert_ne!(self.head, self.tail_seen);
        // SAFETY: `head < tail`, so the slot holds a value that the producer has published and leaves alone until
        // `head` has passed it. Moving `head` on, at once, keeps it from being read twice.
        let value = self.shared.slot(self.head).with(|slot| unsafe { (*slot).assume_init_read() });
        self.head = self.head.wrapping_add(1);
        value
    }

    /// Release: the reads happen before the producer's next use of the slots.
    fn release(&mut self) {
        self.shared.head.store(self.head, ord!("ring.release", Release));
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("head", &self.head).finish_non_exhaustive()
    }
}

/// The values of [`Consumer::drain`].
#[derive(Debug)]
pub struct Drain<'a, T> {
    consumer: &'a mut Consumer<T>,
}

impl<T> Iterator for Drain<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        if self.consumer.head == self.consumer.tail_seen {
            return None;
        }
        Some(self.consumer.take())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.consumer.tail_seen.wrapping_sub(self.consumer.head);
        (left, Some(left))
    }
}

impl<T> ExactSizeIterator for Drain<'_, T> {}

impl<T> Drop for Drain<'_, T> {
    fn drop(&mut self) {
        self.consumer.release();
    }
}

struct Shared<T> {
    /// Values taken.
    head: Alone<AtomicUsize>,
    /// Values published.
    tail: Alone<AtomicUsize>,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: a value is moved from the producer's thread to the consumer's (`T: Send`), and no reference to one is shared.
// Each slot is used by one half at a time, as `head` and `tail` say; either half may be the last owner and drop the rest.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    #[inline]
    fn slot(&self, number: usize) -> &UnsafeCell<MaybeUninit<T>> {
        &self.slots[number & (self.slots.len() - 1)]
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Relaxed: both halves are gone, and that happened before.
        let mut head = self.head.load(ord!("ring.drop", Relaxed));
        let tail = self.tail.load(ord!("ring.drop", Relaxed));
        while head != tail {
            // SAFETY: `head..tail` are published and not taken; nobody else is left.
            self.slot(head).with_mut(|slot| unsafe { (*slot).assume_init_drop() });
            head = head.wrapping_add(1);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_gives_the_value_back() {
        let (mut producer, mut consumer) = ring(2);
        assert_eq!(producer.capacity(), 2);
        assert_eq!(producer.try_push(1), Ok(()));
        assert_eq!(producer.try_push(2), Ok(()));
        assert_eq!(producer.try_push(3), Err(3));
        assert_eq!((consumer.pop(), producer.room()), (Some(1), 1));
        assert_eq!(producer.try_push(3), Ok(()));
        assert_eq!(consumer.drain().collect::<Vec<_>>(), [2, 3]);
        assert_eq!((consumer.pop(), consumer.is_empty(), producer.room()), (None, true, 2));
    }

    #[test]
    fn the_capacity_is_the_next_power_of_two() {
        for (asked, given) in [(1, 1), (2, 2), (3, 4), (8, 8), (1000, 1024)] {
            assert_eq!(ring::<u8>(asked).0.capacity(), given);
        }
    }

    #[test]
    fn a_batch_is_seen_when_it_is_published() {
        let (mut producer, mut consumer) = ring(4);
        let mut batch = producer.batch();
        for n in 0..4 {
            assert_eq!(batch.push(n), Ok(()));
            assert!(consumer.is_empty());
        }
        assert_eq!(batch.push(4), Err(4));
        assert_eq!(batch.publish(), 4);
        assert_eq!(consumer.drain().len(), 4, "a drain that takes nothing leaves everything");
        assert_eq!(consumer.drain().take(3).collect::<Vec<_>>(), [0, 1, 2]);
        let _ = producer.batch().push(9);
        assert_eq!(consumer.drain().collect::<Vec<_>>(), [3, 9]);
        // Forgotten, not lost.
        let mut batch = producer.batch();
        assert_eq!(batch.push(10), Ok(()));
        std::mem::forget(batch);
        assert!(consumer.is_empty());
        drop(producer);
        assert_eq!(consumer.pop(), Some(10));
    }

    #[test]
    fn what_is_left_is_dropped_once() {
        let value = Arc::new(());
        let (mut producer, mut consumer) = ring(8);
        for _ in 0..6 {
            assert!(producer.try_push(value.clone()).is_ok());
        }
        assert_eq!(consumer.drain().take(2).count(), 2);
        assert_eq!(Arc::strong_count(&value), 5);
        drop(consumer);
        assert!(producer.try_push(value.clone()).is_ok(), "nobody listens, and that is no error here");
        assert_eq!(Arc::strong_count(&value), 6);
        drop(producer);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn counters_may_wrap() {
        let (mut producer, mut consumer) = ring(2);
        let near = usize::MAX - 2;
        producer.shared.head.store(near, crate::sync::Ordering::Relaxed);
        producer.shared.tail.store(near, crate::sync::Ordering::Relaxed);
        (producer.tail, producer.staged, producer.head_seen) = (near, near, near);
        (consumer.head, consumer.tail_seen) = (near, near);
        for n in 0..8 {
            assert_eq!(producer.try_push(n), Ok(()));
            assert_eq!(producer.try_push(n + 100), Ok(()));
            assert_eq!(producer.try_push(n), Err(n));
            assert_eq!(consumer.drain().collect::<Vec<_>>(), [n, n + 100]);
        }
    }

    #[test]
    fn two_threads_lose_double_and_reorder_nothing() {
        const COUNT: u64 = 100_000;
        for capacity in [1, 2, 64] {
            let (mut producer, mut consumer) = ring(capacity);
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    let mut next = 0;
                    while next < COUNT {
                        let mut batch = producer.batch();
                        while next < COUNT && next % 7 != 6 && batch.push(Box::new(next)).is_ok() {
                            next += 1;
                        }
                        let sent = batch.publish();
                        if next < COUNT && next % 7 == 6 && producer.try_push(Box::new(next)).is_ok() {
                            next += 1;
                        } else if sent == 0 {
                            std::thread::yield_now();
                        }
                    }
                });
                let mut next = 0;
                while next < COUNT {
                    let before = next;
                    if next % 3 == 0 {
                        if let Some(value) = consumer.pop() {
                            assert_eq!(*value, next);
                            next += 1;
                        }
                    } else {
                        for value in consumer.drain().take(5) {
                            assert_eq!(*value, next);
                            next += 1;
                        }
                    }
                    if next == before {
                        std::thread::yield_now();
                    }
                }
                assert!(consumer.is_empty());
            });
        }
    }
}
