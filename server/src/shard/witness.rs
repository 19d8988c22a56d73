//! Where in the order everything was executed, for those who check that there is one: a simulator, or a replay on Redis.
//!
//! Whoever sorts what happened by [`At`] gets an order in which one server with one thread would have answered the
//! same. It need not be believed: it is a claim that is checked by executing the commands in that order. A server that
//! nobody checks has no witness, and a server with one shard has no place for one.
//!
//! Positions. A command that a box executes while its cursor stands at `p` comes before the entry at `p`, and behind
//! everything below. A batch is executed by several boxes, at its entry. A gather moves its boxes past its entry and is
//! executed then. What has one position has been executed one after the other on each box, or concerns boxes of which
//! neither saw the other: so the instants order it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use kevy::command::CommandError;
use kevy::keyspace::UnixMillis;

use super::Shard;
use super::conn::{ClientId, ConnId, Waiting};
use super::gates::is_for_memory;
use crate::order::log::Position;

/// A place in the order of everything that was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    pub position: Position,
    /// Which command of the batch at the position, counted from 1; 0: before the entry at the position.
    pub member: usize,
    pub instant: u64,
}

/// What happened to a connection's command, to the connection, or to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It was executed and answered: at once, or at last after it had waited.
    Executed,
    /// It was executed and waits for a key.
    Blocked,
    /// It was refused because memory is over `maxmemory`: at once, or when it was to be served. It has changed nothing, so
    /// that a command of its connection before it may have a later place.
    Refused,
    /// It waits no more, without having got anything.
    Released,
    /// CLIENT PAUSE holds it back; whether because everything waits, or only what could write.
    HeldBack { by_all: bool },
    /// The connection is forgotten.
    Closed,
    /// A key was evicted to make room, by nobody's command.
    Evicted { db: usize, key: Box<[u8]> },
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    pub at: At,
    /// The time at which it happened.
    pub clock: UnixMillis,
    /// No client has the number 0, which stands here if a key was evicted.
    pub client: ClientId,
    /// Which of the connection's commands it happened to, counted from 1; a command that was refused counts.
    pub number: u64,
    pub happened: Happened,
}

/// What a server's shards tell.
#[derive(Debug, Default)]
pub struct Witness {
    instants: AtomicU64,
    events: Mutex<Vec<Event>>,
}

impl Witness {
    /// The instant of what happens next.
    pub fn next(&self) -> u64 {
        self.instants.load(Ordering::SeqCst)
    }

    /// What has happened so far, in no particular order.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().expect("nobody panics while he holds it"))
    }
}

impl Shard {
    /// Tells the witness, if there is one, of the command that a connection of this shard executes.
    #[inline]
    pub(super) fn testify(&self, id: ConnId) {
        if self.is_witnessed() {
            let waits = self.conn(id).is_some_and(|conn| conn.waiting == Waiting::Blocked);
            self.testify_that(id, if waits { Happened::Blocked } else { Happened::Executed });
        }
    }

    /// As [`testify`](Self::testify), of a command that was refused with this error.
    pub(super) fn testify_refusal(&self, id: ConnId, error: &CommandError) {
        if self.is_witnessed() {
            let for_memory = is_for_memory(error);
            self.testify_that(id, if for_memory { Happened::Refused } else { Happened::Executed });
        }
    }

    pub(super) fn testify_eviction(&self, db: usize, key: &[u8]) {
        if self.is_witnessed() {
            self.testify_of(0, 0, Happened::Evicted { db, key: key.into() });
        }
    }

    #[inline]
    fn is_witnessed(&self) -> bool {
        self.links.as_deref().is_some_and(|links| links.witness().is_some())
    }

    pub(super) fn testify_that(&self, id: ConnId, happened: Happened) {
        if let Some(conn) = self.conn(id) {
            self.testify_of(conn.client, conn.commands, happened);
        }
    }

    pub(super) fn testify_of(&self, client: ClientId, number: u64, happened: Happened) {
        let Some(links) = self.links.as_deref() else { return };
        let Some(witness) = links.witness() else { return };
        let guests = self.guests.iter().filter_map(|guest| guest.links.as_deref());
        let position = guests.map(|guest| guest.position()).fold(links.position(), Position::max);
        let instant = witness.instants.fetch_add(1, Ordering::SeqCst);
        let at = At { position, member: links.member(), instant };
        // The order's time, which commands run at; whose time is up is seen by the own clock.
        let clock = if happened == Happened::Released { self.now.unix } else { self.data_now() };
        let event = Event { at, clock, client, number, happened };
        witness.events.lock().expect("nobody panics while he holds it").push(event);
    }
}
