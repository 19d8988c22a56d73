//! Threads that take turns on one: a fiber runs until it pauses, and goes on when it is resumed.

#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

/// Why a fiber pauses.
#[derive(Clone, Copy, Debug)]
pub enum Pause {
    /// It waits for events, until so many microseconds of the monotonic clock. A time that has passed: it only looks.
    Events { deadline: u64 },
    /// It sleeps until its bell rings.
    Bell,
    /// It is about to access shared memory.
    Access,
    /// It has ended.
    Ended,
}

/// A fiber panicked, with this message.
pub struct Panicked(pub String);

/// Bytes of a stack.
const STACK: usize = 512 * 1024;

thread_local! {
    /// The way back to whoever resumed the fiber that runs now.
    static RUNNING: Cell<*const Yielder<(), Pause>> = const { Cell::new(ptr::null()) };
    /// Stacks of fibers that have ended.
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

/// See the module documentation.
pub struct Fiber {
    /// `None` once it has been taken apart.
    coroutine: Option<Coroutine<(), Pause, (), DefaultStack>>,
    yielder: *const Yielder<(), Pause>,
}

impl Fiber {
    pub fn new(body: impl FnOnce() + 'static) -> Fiber {
        let stack = STACKS.with_borrow_mut(Vec::pop);
        let stack = stack.unwrap_or_else(|| DefaultStack::new(STACK).expect("memory for a stack"));
        let coroutine = Coroutine::with_stack(stack, move |yielder: &Yielder<(), Pause>, ()| {
            RUNNING.set(ptr::from_ref(yielder));
            body();
        });
        Fiber { coroutine: Some(coroutine), yielder: ptr::null() }
    }

    /// Lets it run until it pauses.
    pub fn resume(&mut self) -> Result<Pause, Panicked> {
        let coroutine = self.coroutine.as_mut().expect("it has not been taken apart");
        RUNNING.set(self.yielder);
        let outcome = catch_unwind(AssertUnwindSafe(|| coroutine.resume(())));
        self.yielder = RUNNING.replace(ptr::null());
        match outcome {
            Ok(CoroutineResult::Yield(pause)) => Ok(pause),
            Ok(CoroutineResult::Return(())) => Ok(Pause::Ended),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Err(Panicked(text.unwrap_or_else(|| "a panic without a message".into())))
            }
        }
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        // What it holds is dropped by unwinding its stack, and nothing pauses meanwhile.
        if let Some(mut coroutine) = self.coroutine.take() {
            coroutine.force_unwind();
            STACKS.with_borrow_mut(|stacks| stacks.push(coroutine.into_stack()));
        }
    }
}

/// Pauses the fiber that runs now; outside of any, does nothing.
pub fn pause(why: Pause) {
    let yielder = RUNNING.get();
    if !yielder.is_null() {
        // SAFETY: it is set while the fiber runs whose yielder it is, and a yielder lives as long as its fiber's body:
        // the body is what calls this.
        unsafe { &*yielder }.suspend(why);
    }
}

/// Whether a fiber runs now.
pub fn inside() -> bool {
    !RUNNING.get().is_null()
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn fibers_take_turns() {
        let told = Rc::new(RefCell::new(Vec::new()));
        let mut fibers: Vec<Fiber> = (0..2)
            .map(|number| {
                let told = told.clone();
                Fiber::new(move || {
                    for turn in 0..2 {
                        told.borrow_mut().push((number, turn));
                        pause(Pause::Access);
                    }
                })
            })
            .collect();
        for turn in [1, 0, 0, 1, 1] {
            assert!(fibers[turn].resume().is_ok());
        }
        assert_eq!(*told.borrow(), [(1, 0), (0, 0), (0, 1), (1, 1)]);
        assert!(!inside());
        assert!(matches!(fibers[0].resume(), Ok(Pause::Ended)));
    }

    #[test]
    fn what_a_fiber_holds_is_dropped_with_it_and_its_panic_is_told() {
        let held = Rc::new(());
        let keeps = held.clone();
        let mut fiber = Fiber::new(move || {
            let _keeps = keeps;
            pause(Pause::Bell);
            panic!("gone on");
        });
        assert!(matches!(fiber.resume(), Ok(Pause::Bell)));
        assert_eq!(Rc::strong_count(&held), 2);
        assert!(fiber.resume().is_err_and(|Panicked(text)| text == "gone on"));
        drop(fiber);
        assert_eq!(Rc::strong_count(&held), 1);
    }
}
