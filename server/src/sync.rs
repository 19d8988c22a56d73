//! The atomics of [`crate::order`], from one place, so that loom can stand in for the machine.
//!
//! With `--cfg loom` every type here is loom's, and the shipped files are what `tests/loom.rs` explores: those rooms use
//! no atomic from anywhere else. Outside of them only the few numbers that shards share are from here, for the
//! simulator's sake.
//!
//! With `--cfg kevy_sim` every access tells [`scheduled`], so that a simulator can let another thread go on there.
//!
//! Every memory ordering is written `ord!("site", Release)`. In the server that is the constant, no more. Under loom
//! an ordering may be weakened by its site's name, so that `ci/loom --mutants` can show that each one is needed: see
//! [`weaken`].

#[cfg(loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence},
};
#[cfg(kevy_sim)]
pub(crate) use scheduled::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize};
#[cfg(not(any(loom, kevy_sim)))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::Arc,
    sync::atomic::{Ordering, fence},
};

/// [`std::cell::UnsafeCell`] with the interface of loom's, which notices when two threads are at it.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Calls `read` with a pointer that nobody may write through meanwhile.
    #[inline(always)]
    pub(crate) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    /// Calls `write` with a pointer that nobody else may use meanwhile.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}

/// A value on cache lines of its own: two, because processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Alone<T>(pub(crate) T);

impl<T> std::ops::Deref for Alone<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The memory ordering of one access, by the name of the access.
macro_rules! ord {
    ($site:literal, $order:ident) => {{
        #[cfg(loom)]
        {
            crate::sync::weaken::ordering($site, crate::sync::Ordering::$order)
        }
        #[cfg(not(loom))]
        {
            crate::sync::Ordering::$order
        }
    }};
}
pub(crate) use ord;

/// One ordering, weaker than written, named by the environment: `KEVY_WEAKEN=log.fill=Relaxed`.
#[cfg(loom)]
pub(crate) mod weaken {
    use std::sync::OnceLock;

    use super::Ordering;

    /// What stands at `site`, unless it is the one that is weakened in this run.
    pub(crate) fn ordering(site: &str, written: Ordering) -> Ordering {
        static WEAKENED: OnceLock<Option<(String, Ordering)>> = OnceLock::new();
        let weakened = WEAKENED.get_or_init(|| {
            let text = std::env::var("KEVY_WEAKEN").ok()?;
            let (site, order) = text.split_once('=').expect("KEVY_WEAKEN is site=Ordering");
            let order = match order {
                "Relaxed" => Ordering::Relaxed,
                "Acquire" => Ordering::Acquire,
                "Release" => Ordering::Release,
                "AcqRel" => Ordering::AcqRel,
                _ => panic!("KEVY_WEAKEN names no ordering: {order}"),
            };
            Some((site.to_owned(), order))
        });
        match weakened {
            Some((name, order)) if name == site => *order,
            _ => written,
        }
    }
}

/// Atomics whose every access is told to a simulator: the threads it simulates meet nowhere else.
#[cfg(kevy_sim)]
pub mod scheduled {
    use std::cell::Cell;
    use std::sync::atomic::{self, Ordering};

    /// One access, about to be made.
    #[derive(Clone, Copy, Debug)]
    pub struct Access {
        /// The address of what is accessed.
        pub at: usize,
        /// Whether it may be changed.
        pub write: bool,
    }

    thread_local! {
        static SIMULATOR: Cell<Option<fn(Access)>> = const { Cell::new(None) };
    }

    /// Has a function called before every access that is made on this thread.
    pub fn tell(simulator: Option<fn(Access)>) {
        SIMULATOR.set(simulator);
    }

    fn access<T>(at: &T, write: bool) {
        if let Some(simulator) = SIMULATOR.get() {
            simulator(Access { at: std::ptr::from_ref(at).addr(), write });
        }
    }

    macro_rules! scheduled {
        ($name:ident $(<$param:ident>)?, $value:ty) => {
            #[derive(Debug, Default)]
            pub struct $name $(<$param>)? (atomic::$name $(<$param>)?);

            #[allow(dead_code)]
            impl $(<$param>)? $name $(<$param>)? {
                pub const fn new(value: $value) -> Self {
                    Self(atomic::$name::new(value))
                }

                pub fn load(&self, order: Ordering) -> $value {
                    access(self, false);
                    self.0.load(order)
                }

                pub fn store(&self, value: $value, order: Ordering) {
                    access(self, true);
                    self.0.store(value, order);
                }

                pub fn swap(&self, value: $value, order: Ordering) -> $value {
                    access(self, true);
                    self.0.swap(value, order)
                }

                pub fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    access(self, true);
                    self.0.compare_exchange(current, new, success, failure)
                }
            }
        };
    }

    macro_rules! counting {
        ($name:ident, $value:ty, $($method:ident)*) => {
            #[allow(dead_code)]
            impl $name {
                $(pub fn $method(&self, value: $value, order: Ordering) -> $value {
                    access(self, true);
                    self.0.$method(value, order)
                })*
            }
        };
    }

    scheduled!(AtomicBool, bool);
    scheduled!(AtomicU8, u8);
    scheduled!(AtomicU64, u64);
    scheduled!(AtomicUsize, usize);
    scheduled!(AtomicPtr<T>, *mut T);
    counting!(AtomicU8, u8, fetch_or fetch_and);
    counting!(AtomicU64, u64, fetch_add fetch_sub fetch_or fetch_and);
    counting!(AtomicUsize, usize, fetch_add fetch_sub);
}
