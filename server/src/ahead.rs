//! Memory that is there before it is needed, while the data grows.
//!
//! The first store to a huge page waits until the kernel has cleared 2 MB, which takes milliseconds where a host has to
//! provide them. A thread of its own has it done ahead of the shards. It need not know the allocator, only that fresh
//! memory is used in ascending order:
//!
//! ```text
//! blocks    | used | used | used | ready | ready | not there ...
//!           first                unused          ready_to
//! ```
//!
//! A block that the thread made ready is all zeroes until somebody uses it. While growth goes on some blocks are kept
//! ready, in proportion to what is used, so that a small server stays small; where that order does not hold, nothing is
//! gained and no more than those few blocks lost. Memory that was given back and is needed again is not looked after.

#![allow(clippy::disallowed_methods, reason = "a thread beside the shards")]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use crate::sys;

/// A huge page.
const BLOCK: u64 = 2 << 20;
/// The most blocks that are kept ready.
const READY: u64 = 16;
/// For so many blocks in use one is kept ready.
const SHARE: u64 = 8;
/// How much of a block is looked at to see whether it is used: the allocator's smallest unit.
const SAMPLE: usize = 64 << 10;

/// Between two looks, while memory grows and while it does not.
const GROWING: Duration = Duration::from_millis(10);
const RESTING: Duration = Duration::from_millis(100);

/// See the module documentation.
struct Ahead {
    contents: File,
    pages: File,
    first: u64,
    unused: u64,
    ready_to: u64,
    sample: Vec<u8>,
}

/// Starts the thread; it ends with the process.
pub fn start() -> io::Result<()> {
    // The heap is where its blocks are.
    let here = Box::new(0_u8);
    let mut ahead = Ahead::new(std::ptr::from_ref(&*here).addr() as u64)?;
    let run = move || {
        let _here = here;
        // Where processors are few, clearing memory must not keep a shard from running.
        sys::be_nice();
        loop {
            std::thread::sleep(if ahead.step() { GROWING } else { RESTING });
        }
    };
    std::thread::Builder::new().name("ahead".into()).stack_size(256 << 10).spawn(run)?;
    Ok(())
}

impl Ahead {
    /// Of the memory that begins around an address.
    fn new(address: u64) -> io::Result<Self> {
        let first = address / BLOCK * BLOCK;
        Ok(Self {
            contents: File::open("/proc/self/mem")?,
            pages: File::open("/proc/self/pagemap")?,
            first,
            unused: first,
            ready_to: first,
            sample: vec![0; SAMPLE],
        })
    }

    /// Looks what is used now and makes more ready; whether memory grew.
    fn step(&mut self) -> bool {
        let before = self.unused;
        let ready = (self.unused..self.ready_to).step_by(BLOCK as usize);
        if let Some(last) = ready.filter(|&block| self.is_used(block)).last() {
            self.unused = last + BLOCK;
        }
        // Blocks that others were the first to use.
        let overtaken = self.ready_to;
        while self.is_there(self.ready_to) {
            self.ready_to += BLOCK;
        }
        if self.ready_to > overtaken {
            self.unused = self.ready_to;
        }
        let grown = self.unused > before;
        let wanted = ((self.unused - self.first) / BLOCK / SHARE).min(READY);
        while grown && self.ready_to < self.unused + wanted * BLOCK {
            if sys::populate(self.ready_to, BLOCK).is_err() {
                // Nothing is mapped there yet.
                break;
            }
            self.ready_to += BLOCK;
        }
        grown
    }

    /// Whether a block has memory. The first page stands for it.
    fn is_there(&self, block: u64) -> bool {
        let mut entry = [0; 8];
        let read = self.pages.read_exact_at(&mut entry, block / sys::page_size() * 8);
        // The highest bit says that the page is present.
        read.is_ok() && u64::from_ne_bytes(entry) >> 63 == 1
    }

    /// Whether anything was written to a block.
    fn is_used(&mut self, block: u64) -> bool {
        self.contents.read_exact_at(&mut self.sample, block).is_ok()
            && self.sample.iter().any(|&byte| byte != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_ready_in_proportion_while_memory_grows() {
        const BLOCKS: usize = 64;
        // Fresh memory of the system, that nobody has touched.
        let mut memory: Vec<u8> = Vec::with_capacity((BLOCKS + 1) * BLOCK as usize);
        let start = memory.as_ptr().addr().next_multiple_of(BLOCK as usize);
        let skipped = start - memory.as_ptr().addr();
        let mut ahead = Ahead::new(start as u64).unwrap();
        assert!(!ahead.step(), "nothing is used");
        assert_eq!(ahead.ready_to, ahead.first);
        let mut ready = Vec::new();
        for used in 1..=40 {
            memory.resize(skipped + used * BLOCK as usize - 1, 1);
            assert!(ahead.step());
            assert!(!ahead.step(), "it stands still");
            assert_eq!((ahead.unused - ahead.first) / BLOCK, used as u64);
            ready.push((ahead.ready_to - ahead.unused) / BLOCK);
            assert!(
                (ahead.unused..ahead.ready_to).step_by(BLOCK as usize).all(|block| ahead.is_there(block))
            );
        }
        assert_eq!([ready[6], ready[7], ready[15], ready[39]], [0, 1, 2, 5]);
        assert!(!ahead.is_there(ahead.ready_to));
    }
}
