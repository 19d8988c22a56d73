//! Seeded bugs: faults that can be switched on, one at a time, to measure whether the tests would notice.
//!
//! A site reads `if bug!(Name) { the faulty way } else { the right way }`. In an ordinary build `bug!` is the constant
//! `false`, and nothing of the fault is compiled. Built with `--cfg kevy_bugs`, the fault chosen with `activate` is
//! on; the runner (`kevy-difftest bugs`) runs the layers of tests against each and reports which noticed it, and how
//! soon. The list below is the only list: the runner, the report and the sites all use it, and a fault without a site
//! is never noticed and so fails the run.

macro_rules! bugs {
    ($($(#[doc = $text:literal])+ $name:ident in $class:ident;)*) => {
        /// Every seeded bug, with what it does wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug { $($(#[doc = $text])+ $name,)* }

        impl Bug {
            pub const ALL: &[Bug] = &[$(Bug::$name,)*];

            pub fn name(self) -> &'static str {
                match self { $(Bug::$name => stringify!($name),)* }
            }

            pub fn class(self) -> Class {
                match self { $(Bug::$name => Class::$class,)* }
            }

            /// What it does wrong.
            pub fn story(self) -> &'static str {
                match self { $(Bug::$name => concat!($($text,)+).trim_ascii(),)* }
            }
        }
    };
}

/// The ways in which servers of this kind have gone wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Changes nothing that a client could see: if this is "noticed", the runner lies.
    Control,
    /// Breaks everything: if this is not noticed, nothing is tested.
    Canary,
    /// An option is accepted and ignored, or does something else.
    Option,
    /// The wrong error wins, or an error is missing or worded otherwise.
    Error,
    /// A deadline is kept, lost or computed wrongly.
    Deadline,
    /// Off by one, or a range taken wrongly.
    Range,
    /// A change of encoding loses or changes data, or happens at the wrong size.
    Encoding,
    /// An effect is not recorded, or recorded so that its replay differs.
    Propagation,
    /// WATCH misses a change, or a transaction runs when it must not.
    Watch,
    /// A keyspace event is missing, extra or misnamed.
    Event,
    /// A reply has the wrong shape.
    Shape,
    /// A value of another type is not refused.
    Type,
    /// Arithmetic overflows.
    Overflow,
    /// Blocked clients are served wrongly.
    Blocking,
    /// Messages go to the wrong clients.
    PubSub,
    /// Input is decoded wrongly.
    Protocol,
    /// Data is lost or misplaced in a structure.
    Structure,
}

bugs! {
    /// The door executes every command as it should: nothing is wrong.
    Nothing in Control;
    /// The door answers OK whatever the command was.
    AlwaysOk in Canary;
}

#[cfg(kevy_bugs)]
mod switch {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Bug;

    static ACTIVE: AtomicU32 = AtomicU32::new(u32::MAX);

    /// Switches one bug on and all others off.
    pub fn activate(bug: Option<Bug>) {
        ACTIVE.store(bug.map_or(u32::MAX, |bug| bug as u32), Ordering::Relaxed);
    }

    #[inline]
    pub fn active(bug: Bug) -> bool {
        ACTIVE.load(Ordering::Relaxed) == bug as u32
    }
}

#[cfg(kevy_bugs)]
pub use switch::{activate, active};

/// Whether a seeded bug is switched on; see the module [`bugs`](crate::bugs).
#[cfg(kevy_bugs)]
#[macro_export]
macro_rules! bug {
    ($name:ident) => {
        $crate::bugs::active($crate::bugs::Bug::$name)
    };
}

/// Whether a seeded bug is switched on; see the module [`bugs`](crate::bugs).
#[cfg(not(kevy_bugs))]
#[macro_export]
macro_rules! bug {
    ($name:ident) => {{
        const _: $crate::bugs::Bug = $crate::bugs::Bug::$name;
        false
    }};
}
