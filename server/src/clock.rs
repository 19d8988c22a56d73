//! The stopwatch: microseconds for measuring commands, cheaper than a clock call.
//!
//! On x86-64 with an invariant time-stamp counter it is that counter, calibrated once against the monotonic clock at
//! start; elsewhere it is the monotonic clock. Nothing but durations shown to operators depends on it.

#![allow(clippy::disallowed_methods, reason = "this is the room of the clock")]

use std::sync::OnceLock;
use std::time::Instant;

static START: OnceLock<Instant> = OnceLock::new();

/// To be called once before anything is measured.
pub fn start() {
    START.get_or_init(Instant::now);
    #[cfg(target_arch = "x86_64")]
    tsc::calibrate();
}

/// Microseconds since the start.
#[inline]
pub fn micros() -> u64 {
    #[cfg(target_arch = "x86_64")]
    if let Some(micros) = tsc::micros() {
        return micros;
    }
    START.get_or_init(Instant::now).elapsed().as_micros() as u64
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod tsc {
    use std::arch::x86_64::{__cpuid, _rdtsc};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    /// Microseconds per cycle, as a 32.32 fixed-point number; 0 while the counter is not to be used.
    static SCALE: AtomicU64 = AtomicU64::new(0);
    static BASE: AtomicU64 = AtomicU64::new(0);

    pub fn calibrate() {
        if !invariant() {
            return;
        }
        let (clock, cycles) = (Instant::now(), read());
        while clock.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        let (nanos, cycles) = (clock.elapsed().as_nanos() as u64, read() - cycles);
        BASE.store(read(), Ordering::Relaxed);
        SCALE.store(((u128::from(nanos) << 32) / 1000 / u128::from(cycles)) as u64, Ordering::Relaxed);
    }

    #[inline]
    pub fn micros() -> Option<u64> {
        let scale = SCALE.load(Ordering::Relaxed);
        let cycles = read().wrapping_sub(BASE.load(Ordering::Relaxed));
        (scale != 0).then(|| ((u128::from(cycles) * u128::from(scale)) >> 32) as u64)
    }

    #[inline]
    fn read() -> u64 {
        // SAFETY: every x86-64 processor has the instruction, and it only reads a counter.
        unsafe { _rdtsc() }
    }

    /// Whether the counter runs at a constant rate in all power states.
    fn invariant() -> bool {
        const FEATURES: u32 = 0x8000_0007;
        __cpuid(0x8000_0000).eax >= FEATURES && __cpuid(FEATURES).edx & (1 << 8) != 0
    }
}
