//! The box: the part of a shard that owns a slice of the data and can be handed to another thread.
//!
//! Here: keyspace, blocked waiters, WATCH versions, subscriptions, effects. Not here: sockets, sessions, anything that
//! must stay with the thread that accepted a connection. Nothing in this file refers to a connection other than by
//! [`ConnId`]; what is to happen to one is returned to the caller.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use foldhash::quality::FixedState;
use kevy::command::{Block, Command};
use kevy::keyspace::{Dbs, Effects, Garbage, Keyspace, Record, UnixMillis, Whole};
use kevy::resp::Argv;

use super::conn::ConnId;
use super::pubsub::Subscriptions;

type Map<K, V> = HashMap<K, V, FixedState>;

/// A key with its database.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DbKey {
    pub db: u32,
    pub key: Box<[u8]>,
}

/// See the module documentation.
pub struct Realm {
    pub keyspace: Keyspace,
    pub effects: Effects,
    pub waiters: Waiters,
    /// Keys that became ready and have not been offered yet.
    ready: VecDeque<DbKey>,
    pub versions: Versions,
    pub subscriptions: Subscriptions,
    /// Commands to replay, for somebody who follows them and takes them away; without one none are recorded.
    pub journal: Option<Vec<Record>>,
}

impl Realm {
    pub fn new(databases: usize, seed: u64) -> Self {
        Self {
            keyspace: Keyspace::new(databases, seed),
            effects: Effects::default(),
            waiters: Waiters::default(),
            ready: VecDeque::new(),
            versions: Versions::default(),
            subscriptions: Subscriptions::default(),
            journal: None,
        }
    }

    /// Tells handlers what to record: only what somebody listens to.
    #[inline]
    pub fn set_interest(&mut self) {
        self.effects.interest.keys = !self.versions.is_empty();
        self.effects.interest.ready = !self.waiters.is_empty();
        self.effects.interest.journal = self.journal.is_some();
    }

    /// Moves WATCH versions on, from what was recorded. Must come before the record is cleared.
    pub fn bump_versions(&mut self) {
        self.versions.follow(&self.effects, &self.keyspace.dbs);
    }

    /// Notes the keys to offer to blocked clients, in the order in which they became ready: those recorded, and after
    /// SWAPDB those that somebody waits for and that the other database brought.
    pub fn collect_ready(&mut self) {
        collect_ready(&mut self.waiters, &mut self.ready, &self.effects, &self.keyspace.dbs);
    }

    /// [`Realm::bump_versions`] and [`Realm::collect_ready`] from the record of a command that had this realm's slice
    /// of the keyspace among others.
    pub fn follow(&mut self, effects: &Effects, dbs: &Dbs) {
        self.versions.follow(effects, dbs);
        collect_ready(&mut self.waiters, &mut self.ready, effects, dbs);
    }

    /// Whether there are keys to be offered to the clients that wait for them.
    #[inline]
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next key to be offered to the clients that wait for it. If it becomes ready again it will be another one's
    /// turn first.
    pub fn take_ready(&mut self) -> Option<DbKey> {
        let key = self.ready.pop_front()?;
        if let Some(queue) = self.waiters.queues.get_mut(&key) {
            queue.ready = false;
        }
        Some(key)
    }
}

/// See [`Realm::collect_ready`].
fn collect_ready(waiters: &mut Waiters, ready: &mut VecDeque<DbKey>, effects: &Effects, dbs: &Dbs) {
    if waiters.is_empty() {
        return;
    }
    for &key in &effects.ready {
        let key = DbKey { db: key.db, key: effects.key(key).into() };
        if waiters.mark_ready(&key) {
            ready.push_back(key);
        }
    }
    for &whole in &effects.whole {
        if let Whole::Swapped(a, b) = whole {
            let mut brought: Vec<DbKey> = (waiters.queues.keys())
                .filter(|at| at.db == a || at.db == b)
                .filter(|at| dbs.find(at.db as usize, &at.key).is_some())
                .cloned()
                .collect();
            brought.sort();
            brought.retain(|key| waiters.mark_ready(key));
            ready.extend(brought);
        }
    }
}

/// Versions of watched keys. A key is here while somebody watches it; its version changes with every modification.
#[derive(Default)]
pub struct Versions {
    watched: Map<DbKey, Watched>,
    last: u64,
}

struct Watched {
    version: u64,
    watchers: usize,
}

impl Versions {
    pub fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }

    /// Number of watched keys, for INFO.
    pub fn len(&self) -> usize {
        self.watched.len()
    }

    /// Starts watching; returns the version to compare with at EXEC.
    pub fn watch(&mut self, at: DbKey) -> u64 {
        let watched = self.watched.entry(at).or_insert_with(|| {
            self.last += 1;
            Watched { version: self.last, watchers: 0 }
        });
        watched.watchers += 1;
        watched.version
    }

    pub fn unwatch(&mut self, at: &DbKey) {
        let watched = self.watched.get_mut(at).expect("watched keys are counted");
        watched.watchers -= 1;
        if watched.watchers == 0 {
            self.watched.remove(at);
        }
    }

    /// The version of a watched key.
    pub fn version(&self, at: &DbKey) -> u64 {
        self.watched.get(at).map_or(0, |watched| watched.version)
    }

    /// Moves versions on, from what a command recorded.
    pub fn follow(&mut self, effects: &Effects, dbs: &Dbs) {
        if self.is_empty() {
            return;
        }
        for &key in &effects.keys {
            self.bump(key.db, effects.key(key));
        }
        for &whole in &effects.whole {
            match whole {
                Whole::Flushed(db) => {
                    let had = |key: &[u8]| {
                        effects.garbage.iter().any(|garbage| {
                            matches!(garbage, Garbage::Db(index, emptied)
                                if *index == db && emptied.table.find(key).is_some())
                        })
                    };
                    self.bump_if(|at, key| at == db && had(key));
                }
                Whole::Swapped(a, b) => {
                    self.bump_if(|at, key| {
                        (at == a || at == b)
                            && (dbs.find(a as usize, key).is_some() || dbs.find(b as usize, key).is_some())
                    });
                }
            }
        }
    }

    fn bump(&mut self, db: u32, key: &[u8]) {
        if let Some(watched) = self.watched.get_mut(&DbKey { db, key: key.into() }) {
            self.last += 1;
            watched.version = self.last;
        }
    }

    fn bump_if(&mut self, mut applies: impl FnMut(u32, &[u8]) -> bool) {
        for (at, watched) in &mut self.watched {
            if applies(at.db, &at.key) {
                self.last += 1;
                watched.version = self.last;
            }
        }
    }
}

/// A client in a blocking command.
pub struct Waiter {
    pub conn: ConnId,
    pub command: &'static Command,
    pub argv: Argv,
    pub db: usize,
    pub block: Block,
    keys: Vec<DbKey>,
    ticket: u64,
}

impl Waiter {
    /// Its place in the queues: whoever came earlier has a lower one.
    pub fn ticket(&self) -> u64 {
        self.ticket
    }
}

/// The clients that wait for one key, by ticket: the longest waiting first.
#[derive(Default)]
struct Queue {
    clients: BTreeMap<u64, ConnId>,
    /// The key is among those to be offered.
    ready: bool,
}

/// Blocked clients, by key in the order in which they came, and by deadline.
///
/// A client draws one ticket each time it blocks and has that place in the queue of each of its keys, so that joining
/// and leaving take logarithmic time however many wait.
#[derive(Default)]
pub struct Waiters {
    queues: Map<DbKey, Queue>,
    waiting: Map<ConnId, Waiter>,
    deadlines: BTreeSet<(UnixMillis, ConnId)>,
    last_ticket: u64,
}

impl Waiters {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Number of keys somebody waits for.
    pub fn keys(&self) -> usize {
        self.queues.len()
    }

    /// Number of clients whose waiting ends some time.
    pub fn with_deadline(&self) -> usize {
        self.deadlines.len()
    }

    pub fn get(&self, conn: ConnId) -> Option<&Waiter> {
        self.waiting.get(&conn)
    }

    /// Puts a client at the end of the queue of each of its keys.
    pub fn add(&mut self, conn: ConnId, command: &'static Command, argv: Argv, db: usize, block: Block) {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let mut keys: Vec<DbKey> = Vec::with_capacity(block.keys.len());
        for &index in block.keys.iter().take(if kevy::bug!(SecondKeyForgotten) { 1 } else { usize::MAX }) {
            let at = DbKey { db: db as u32, key: argv.as_args()[index].into() };
            let queue = self.queues.entry(at.clone()).or_default();
            if queue.clients.insert(ticket, conn).is_none() {
                keys.push(at);
            }
        }
        if let Some(deadline) = block.deadline
            && !kevy::bug!(TimeoutForgotten)
        {
            self.deadlines.insert((deadline, conn));
        }
        let previous = self.waiting.insert(conn, Waiter { conn, command, argv, db, block, keys, ticket });
        debug_assert!(previous.is_none(), "a client blocks in one command at a time");
    }

    /// A client that blocked again while being served keeps the deadline it had.
    pub fn set_deadline(&mut self, conn: ConnId, deadline: Option<UnixMillis>) {
        if let Some(waiter) = self.waiting.get_mut(&conn) {
            if let Some(old) = std::mem::replace(&mut waiter.block.deadline, deadline) {
                self.deadlines.remove(&(old, conn));
            }
            if let Some(deadline) = deadline {
                self.deadlines.insert((deadline, conn));
            }
        }
    }

    /// Takes a client out of all queues.
    pub fn remove(&mut self, conn: ConnId) -> Option<Waiter> {
        let waiter = self.waiting.remove(&conn)?;
        for at in &waiter.keys {
            if let Some(queue) = self.queues.get_mut(at) {
                queue.clients.remove(&waiter.ticket);
                if queue.clients.is_empty() {
                    self.queues.remove(at);
                }
            }
        }
        if let Some(deadline) = waiter.block.deadline {
            self.deadlines.remove(&(deadline, conn));
        }
        Some(waiter)
    }

    /// The ticket drawn last: whoever blocks from now on stands behind it.
    pub fn last_ticket(&self) -> u64 {
        self.last_ticket
    }

    /// The next client in the queue of a key among those with tickets after `after` and up to `last`.
    pub fn next_in_queue(&self, at: &DbKey, after: u64, last: u64) -> Option<&Waiter> {
        let mut clients = self.queues.get(at)?.clients.range(after + 1..);
        let (_, conn) = if kevy::bug!(NewestServedFirst) { clients.next_back() } else { clients.next() }?;
        self.waiting.get(conn).filter(|waiter| waiter.ticket <= last)
    }

    /// Whether somebody waits for a key that is not among those to be offered; from here on it is.
    fn mark_ready(&mut self, at: &DbKey) -> bool {
        self.queues.get_mut(at).is_some_and(|queue| !std::mem::replace(&mut queue.ready, true))
    }

    pub fn next_deadline(&self) -> Option<UnixMillis> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// Takes out one client whose time is up, earliest deadline first.
    pub fn pop_timed_out(&mut self, now: UnixMillis) -> Option<Waiter> {
        let &(deadline, conn) = self.deadlines.first()?;
        if deadline > now { None } else { self.remove(conn) }
    }
}

#[cfg(test)]
mod tests {
    use kevy::command::{BlockedOn, lookup};

    use super::*;

    fn block(waiters: &mut Waiters, conn: u32, keys: &[&str], deadline: Option<UnixMillis>) {
        let command = lookup(b"blpop").unwrap();
        let argv = Argv::of(std::iter::once("BLPOP").chain(keys.iter().copied()).chain(["0"]));
        let block = Block {
            keys: (1..=keys.len()).collect(),
            deadline,
            on_timeout: kevy::command::TimeoutReply::NullArray,
            kind: BlockedOn::List,
        };
        waiters.add(ConnId(conn), command, argv, 0, block);
    }

    fn at(key: &str) -> DbKey {
        DbKey { db: 0, key: key.as_bytes().into() }
    }

    /// Who is offered a key, in order.
    fn queue(waiters: &Waiters, key: &str) -> Vec<u32> {
        let (mut after, last) = (0, waiters.last_ticket());
        let next = || {
            let waiter = waiters.next_in_queue(&at(key), after, last)?;
            after = waiter.ticket();
            Some(waiter.conn.0)
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn a_client_has_one_place_in_the_queue_of_each_of_its_keys() {
        let mut waiters = Waiters::default();
        block(&mut waiters, 7, &["a", "b", "a"], None);
        block(&mut waiters, 3, &["b"], Some(10));
        block(&mut waiters, 5, &["b", "a"], Some(5));
        assert_eq!((queue(&waiters, "a"), queue(&waiters, "b")), (vec![7, 5], vec![7, 3, 5]));
        assert_eq!(waiters.pop_timed_out(4).map(|waiter| waiter.conn), None);
        assert_eq!(waiters.pop_timed_out(10).map(|waiter| waiter.conn), Some(ConnId(5)));
        assert!(waiters.remove(ConnId(7)).is_some());
        block(&mut waiters, 7, &["b"], None);
        assert_eq!((queue(&waiters, "a"), queue(&waiters, "b")), (vec![], vec![3, 7]));
        assert_eq!((waiters.keys(), waiters.len(), waiters.next_deadline()), (1, 2, Some(10)));
    }

    #[test]
    fn who_blocks_while_a_key_is_offered_is_not_offered_it() {
        let mut waiters = Waiters::default();
        block(&mut waiters, 1, &["a"], None);
        let last = waiters.last_ticket();
        waiters.remove(ConnId(1));
        block(&mut waiters, 1, &["a"], None);
        assert!(waiters.next_in_queue(&at("a"), 0, last).is_none());
        assert_eq!(queue(&waiters, "a"), [1]);
    }

    #[test]
    fn a_key_is_noted_once_until_it_is_offered() {
        let mut realm = Realm::new(1, 0);
        assert!(!realm.waiters.mark_ready(&at("a")), "nobody waits for it");
        block(&mut realm.waiters, 1, &["a", "b"], None);
        for key in ["a", "b", "a", "c"] {
            if realm.waiters.mark_ready(&at(key)) {
                realm.ready.push_back(at(key));
            }
        }
        assert_eq!(realm.take_ready(), Some(at("a")));
        assert!(realm.waiters.mark_ready(&at("a")), "it is ready again");
        assert_eq!(realm.take_ready(), Some(at("b")));
        assert_eq!(realm.take_ready(), None);
    }
}
