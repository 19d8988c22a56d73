//! The loop that drives a shard, over a narrow trait: it is the I/O that is abstract, not the shard.
//!
//! One turn: wait for events -> receive from the connections that have sent something -> hand each event to the shard ->
//! housekeeping -> send what is to be sent -> close what is to be closed. What the shard wants done is drained completely
//! before the next wait. Input and output are steps of their own, for many connections at a time: nothing is done to the
//! shard meanwhile. [`several`] is the loop of a server with several shards, whose boxes are at home during these steps.

pub mod epoll;
pub mod memory;
pub mod several;

use std::io;
use std::ops::Range;

use kevy::keyspace::Garbage;

use crate::config::Config;
use crate::shard::conn::{ConnId, Peer};
use crate::shard::{Now, Request, SendBuf, Shard};

/// Something that happened outside.
pub enum IoEvent {
    /// A connection was accepted; the reactor keeps it under `token` until the shard names it.
    Accepted { token: usize, peer: Peer },
    /// Bytes arrived: a range of the reactor's own receive area.
    Received { conn: ConnId, range: Range<usize> },
    /// A buffer is done with.
    Sent { conn: ConnId, buf: SendBuf, result: io::Result<()> },
    /// The other side is gone.
    Closed { conn: ConnId },
    /// The process was asked to stop (SIGTERM, SIGINT).
    Stop,
}

/// What takes events; it names the connection that an [`IoEvent::Accepted`] becomes.
pub type Handle<'a> = dyn FnMut(Now, IoEvent, &[u8]) -> Option<ConnId> + 'a;

/// What the loop needs from the outside world.
pub trait Reactor {
    /// Waits until something happens or the monotonic clock reaches `deadline` (microseconds); not if what the last wait
    /// found was too much to be received at once. Then says what time it is.
    fn wait(&mut self, deadline: u64) -> Now;

    /// Receives from the connections that the wait found, as much as the receive area holds.
    fn receive(&mut self);

    /// Calls `handle` for each event since it was called last, in order, with the bytes of the receive area.
    fn dispatch(&mut self, now: Now, handle: &mut Handle<'_>);

    /// Takes a buffer to be sent.
    fn send(&mut self, conn: ConnId, buf: SendBuf);

    /// Sends the buffers that were taken. `Sent` follows for each when it has been sent whole or cannot be.
    fn flush(&mut self);

    /// Receives nothing more from a connection (true), or again (false).
    fn hold_input(&mut self, conn: ConnId, hold: bool);

    /// Closes a connection; buffers it still holds are dropped.
    fn close(&mut self, conn: ConnId);

    /// The configuration has changed.
    fn reconfigure(&mut self, config: &Config);

    /// Frees something large, somewhere else if possible.
    fn free(&mut self, garbage: Garbage);
}

/// Drives `shard` until the process is asked to stop.
pub fn run(shard: &mut Shard, reactor: &mut impl Reactor) {
    let mut stop = false;
    while !stop {
        let deadline = shard.poll_timeout();
        let now = reactor.wait(deadline);
        reactor.receive();
        reactor.dispatch(now, &mut |now, event, bytes| deliver(shard, now, event, bytes, || stop = true));
        shard.handle_turn(now);
        shard.handle_timeout(now);
        while collect(shard, reactor, now) {
            reactor.flush();
            reactor.dispatch(now, &mut |now, event, bytes| deliver(shard, now, event, bytes, || stop = true));
        }
        match shard.poll_request() {
            Some(Request::Shutdown) => stop = true,
            Some(Request::Reconfigure) => reactor.reconfigure(&shard.config),
            Some(Request::ReleaseMemory) => (shard.env.release_memory)(),
            None => {}
        }
    }
}

/// Hands an event to the shard.
fn deliver(shard: &mut Shard, now: Now, event: IoEvent, bytes: &[u8], stop: impl FnOnce()) -> Option<ConnId> {
    match event {
        IoEvent::Accepted { peer, .. } => return Some(shard.handle_accept(now, peer)),
        IoEvent::Received { conn, range } => shard.handle_recv(now, conn, &bytes[range]),
        IoEvent::Sent { conn, buf, result } => shard.handle_sent(now, conn, buf, result),
        IoEvent::Closed { conn } => shard.handle_closed(now, conn),
        IoEvent::Stop => stop(),
    }
    None
}

/// Collects what the shard wants done to the outside world. Whether there is something to send.
fn collect(shard: &mut Shard, reactor: &mut impl Reactor, now: Now) -> bool {
    let mut sends = false;
    while let Some((conn, buf)) = shard.poll_send() {
        sends = true;
        reactor.send(conn, buf);
    }
    while let Some((conn, hold)) = shard.poll_input() {
        reactor.hold_input(conn, hold);
    }
    while let Some(conn) = shard.poll_close() {
        reactor.close(conn);
        shard.handle_closed(now, conn);
    }
    while let Some(garbage) = shard.poll_garbage() {
        reactor.free(garbage);
    }
    sends
}
