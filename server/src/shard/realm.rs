//! The box: the part of a shard that owns a slice of the data and can be handed to another thread.
//!
//! Here: keyspace, blocked waiters, WATCH versions, subscriptions, effects. Not here: sockets, sessions, anything that
//! must stay with the thread that accepted a connection. Nothing in this file refers to a connection other than by
//! [`ConnId`]; what is to happen to one is returned to the caller.

use std::collections::{BTreeSet, HashMap, VecDeque};

use foldhash::quality::FixedState;
use kevy::command::{Block, Command};
use kevy::keyspace::{Effects, Garbage, Keyspace, UnixMillis, Whole};
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
    pub ready: VecDeque<DbKey>,
    pub versions: Versions,
    pub subscriptions: Subscriptions,
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
        }
    }

    /// Tells handlers what to record: only what somebody listens to.
    #[inline]
    pub fn set_interest(&mut self) {
        self.effects.interest.keys = !self.versions.is_empty();
        self.effects.interest.ready = !self.waiters.is_empty();
    }

    /// Moves WATCH versions on, from what was recorded. Must come before the record is cleared.
    pub fn bump_versions(&mut self) {
        if self.versions.is_empty() {
            return;
        }
        for &key in &self.effects.keys {
            self.versions.bump(key.db, self.effects.key(key));
        }
        for &whole in &self.effects.whole {
            match whole {
                Whole::Flushed(db) => {
                    let emptied = self.effects.garbage.iter().find_map(|garbage| match garbage {
                        Garbage::Db(index, emptied) if *index == db => Some(emptied),
                        _ => None,
                    });
                    if let Some(emptied) = emptied {
                        self.versions.bump_if(|at, key| at == db && emptied.table.find(key).is_some());
                    }
                }
                Whole::Swapped(a, b) => {
                    let dbs = &self.keyspace.dbs;
                    self.versions.bump_if(|at, key| {
                        (at == a || at == b)
                            && (dbs[a as usize].table.find(key).is_some()
                                || dbs[b as usize].table.find(key).is_some())
                    });
                }
            }
        }
    }

    /// Notes the keys to offer to blocked clients, in the order in which they became ready: those recorded, and after
    /// SWAPDB those that somebody waits for and that the other database brought.
    pub fn collect_ready(&mut self) {
        if self.waiters.is_empty() {
            return;
        }
        let Self { effects, waiters, keyspace, ready, .. } = self;
        for &key in &effects.ready {
            let key = DbKey { db: key.db, key: effects.key(key).into() };
            if waiters.queues.contains_key(&key) && !ready.contains(&key) {
                ready.push_back(key);
            }
        }
        for &whole in &effects.whole {
            if let Whole::Swapped(a, b) = whole {
                let mut brought: Vec<&DbKey> = (waiters.queues.keys())
                    .filter(|at| at.db == a || at.db == b)
                    .filter(|at| keyspace.dbs[at.db as usize].table.find(&at.key).is_some())
                    .collect();
                brought.sort();
                for key in brought {
                    if !ready.contains(key) {
                        ready.push_back(key.clone());
                    }
                }
            }
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
    pub fn watch(&mut self, db: u32, key: &[u8]) -> u64 {
        let watched = self.watched.entry(DbKey { db, key: key.into() }).or_insert_with(|| {
            self.last += 1;
            Watched { version: self.last, watchers: 0 }
        });
        watched.watchers += 1;
        watched.version
    }

    pub fn unwatch(&mut self, db: u32, key: &[u8]) {
        let at = DbKey { db, key: key.into() };
        let watched = self.watched.get_mut(&at).expect("watched keys are counted");
        watched.watchers -= 1;
        if watched.watchers == 0 {
            self.watched.remove(&at);
        }
    }

    /// The version of a watched key.
    pub fn version(&self, db: u32, key: &[u8]) -> u64 {
        self.watched.get(&DbKey { db, key: key.into() }).map_or(0, |watched| watched.version)
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
}

/// Blocked clients, by key in the order in which they came, and by deadline.
#[derive(Default)]
pub struct Waiters {
    queues: Map<DbKey, VecDeque<ConnId>>,
    waiting: Map<ConnId, Waiter>,
    deadlines: BTreeSet<(UnixMillis, ConnId)>,
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
        let mut keys: Vec<DbKey> = Vec::with_capacity(block.keys.len());
        for &index in &block.keys {
            let at = DbKey { db: db as u32, key: argv.as_args()[index].into() };
            if !keys.contains(&at) {
                self.queues.entry(at.clone()).or_default().push_back(conn);
                keys.push(at);
            }
        }
        if let Some(deadline) = block.deadline {
            self.deadlines.insert((deadline, conn));
        }
        let previous = self.waiting.insert(conn, Waiter { conn, command, argv, db, block, keys });
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
                queue.retain(|&other| other != conn);
                if queue.is_empty() {
                    self.queues.remove(at);
                }
            }
        }
        if let Some(deadline) = waiter.block.deadline {
            self.deadlines.remove(&(deadline, conn));
        }
        Some(waiter)
    }

    /// Who waits for a key now, longest waiting first.
    pub fn queue(&self, at: &DbKey) -> Vec<ConnId> {
        self.queues.get(at).map(|queue| queue.iter().copied().collect()).unwrap_or_default()
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
