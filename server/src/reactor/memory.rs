//! Connections in memory, for tests: what the shard sends is kept, what it closes is noted, and the clock is the
//! caller's. No sockets, no time.
//!
//! Like the loop, it drains what the shard wants done completely before anything else happens.

use std::collections::{BTreeMap, BTreeSet};

use crate::shard::conn::ConnId;
use crate::shard::{Now, Request, SendBuf, Shard};

/// Turns of the loop after which a shard that still has something to do has gone astray.
const MOST_TURNS: usize = 100_000;

/// The other ends of a shard's connections.
#[derive(Default)]
pub struct Memory {
    /// What was sent and not yet taken.
    pub received: BTreeMap<ConnId, Vec<u8>>,
    pub closed: BTreeSet<ConnId>,
    /// Connections whose reader takes nothing, and what the kernel would hold for them.
    pub stalled: BTreeMap<ConnId, Vec<SendBuf>>,
    /// What the shard asked of the process.
    pub requests: Vec<Request>,
}

impl Memory {
    /// Turns of the loop until nothing is left to be done now.
    pub fn turn(&mut self, shard: &mut Shard, now: Now) {
        for _ in 0..MOST_TURNS {
            shard.handle_turn(now);
            shard.handle_timeout(now);
            self.drain(shard, now);
            if shard.poll_timeout() > now.mono {
                return;
            }
        }
        panic!("the shard always has something more to do");
    }

    /// Does everything the shard wants done.
    pub fn drain(&mut self, shard: &mut Shard, now: Now) {
        let mut idle = false;
        while !idle {
            idle = true;
            while let Some((conn, buf)) = shard.poll_send() {
                idle = false;
                if let Some(held) = self.stalled.get_mut(&conn) {
                    held.push(buf);
                } else {
                    let received = self.received.entry(conn).or_default();
                    buf.rest().iter().for_each(|piece| received.extend_from_slice(piece));
                    shard.handle_sent(now, conn, buf, Ok(()));
                }
            }
            while let Some(conn) = shard.poll_close() {
                idle = false;
                self.closed.insert(conn);
                self.stalled.remove(&conn);
                shard.handle_closed(now, conn);
            }
            while shard.poll_garbage().is_some() {}
            self.requests.extend(std::iter::from_fn(|| shard.poll_request()));
        }
    }
}
