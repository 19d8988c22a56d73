//! The box: the part of a shard that owns a slice of the data and can be handed to another thread.
//!
//! Here: keyspace, blocked waiters, WATCH versions, effects. Not here: connections, sessions, subscriptions. Nothing in this file refers to a connection other than by
//! [`ConnId`]; what is to happen to one is returned to the caller.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use foldhash::quality::FixedState;
use kevy::command::{Block, BlockedOn, Command};
use kevy::keyspace::entry::Entry;
use kevy::keyspace::{Dbs, Effects, Garbage, Keyspace, Record, Slice, UnixMillis, Whole};
use kevy::resp::Argv;

use super::conn::ConnId;
use super::links::{Origin, ShardId, Shards};
use crate::sync::AtomicUsize;

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
    pub offers: Offers,
    pub versions: Versions,
    /// Commands to replay, for somebody who follows them and takes them away; without one none are recorded.
    pub journal: Option<Vec<Record>>,
}

impl Realm {
    pub fn new(databases: usize, seed: u64) -> Self {
        Self::slice(databases, seed, Slice::WHOLE)
    }

    /// Of one slice of the keyspace.
    pub fn slice(databases: usize, seed: u64, slice: Slice) -> Self {
        Self {
            keyspace: Keyspace::slice(databases, seed, slice),
            effects: Effects::default(),
            waiters: Waiters::default(),
            offers: Offers::default(),
            versions: Versions::default(),
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
    pub fn bump_versions(&mut self, now: UnixMillis) {
        self.versions.follow(&self.effects, &self.keyspace.dbs, now);
    }

    /// Notes the keys to offer to blocked clients, in the order in which they became ready: those recorded, and after
    /// SWAPDB those that somebody waits for and that the other database brought. `number` is that of the commit.
    pub fn collect_ready(&mut self, number: u64) {
        let Self { waiters, offers, effects, keyspace, .. } = self;
        offers.collect(waiters, effects, &keyspace.dbs, number);
    }

    /// [`Realm::bump_versions`] and [`Realm::collect_ready`] from the record of a command that had this realm's slice
    /// of the keyspace among others.
    pub fn follow(&mut self, effects: &Effects, dbs: &Dbs, now: UnixMillis, number: u64) {
        self.versions.follow(effects, dbs, now);
        self.offers.collect(&mut self.waiters, effects, dbs, number);
    }

    /// Whether keys have become ready that are not to be offered at a position of the order anyway.
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.offers.more
    }

    /// Offers the key that became ready first, by somebody who has these boxes in hand. `None`: that key holds nothing for
    /// anybody any more, and the next one's turn has come.
    pub fn offer(&mut self, now: UnixMillis, here: Shards) -> Option<Offer> {
        let Self { waiters, offers, keyspace, .. } = self;
        let ready = offers.ready.front_mut()?;
        let (mut after, last) = match ready.offering {
            Some(offering) => offering,
            None => waiters.begin_offering(&ready.key),
        };
        let entry = keyspace.dbs.find(ready.key.db as usize, &ready.key.key);
        if let Some(entry) = entry.filter(|entry| !entry.is_expired(now)) {
            while let Some((ticket, standing)) = waiters.next_in_queue(&ready.key, after, last) {
                let (kind, offer) = match standing {
                    Standing::Here(id) => (waiters.get(id).map(|waiter| waiter.block.kind), Offer::Here(id)),
                    Standing::Claim(_) if kevy::bug!(ClaimsUnserved) => (None, Offer::Needs),
                    Standing::Claim(claim) if claim.needs().minus(here).is_empty() => {
                        (Some(claim.kind), Offer::Claim(claim))
                    }
                    Standing::Claim(claim) => (Some(claim.kind), Offer::Needs),
                };
                if kind.is_some_and(|kind| kind.matches(entry)) {
                    if !matches!(offer, Offer::Needs) {
                        after = ticket;
                    }
                    ready.offering = Some((after, last));
                    if matches!(offer, Offer::Claim(_)) && kevy::bug!(OthersNotOffered) {
                        offers.ready.pop_front();
                    }
                    return Some(offer);
                }
                after = ticket;
            }
        }
        offers.ready.pop_front();
        None
    }

    /// What those need who are offered its ready keys first.
    pub fn needs(&self) -> Shards {
        let first =
            self.offers.ready.iter().flat_map(|ready| self.waiters.queue(&ready.key).take(Shards::MAX));
        first.fold(Shards::NONE, |needs, standing| match standing {
            Standing::Here(_) => needs,
            Standing::Claim(claim) => needs.with(claim.needs()),
        })
    }
}

/// Whom a ready key is offered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// A connection of this shard that needs no other box.
    Here(ConnId),
    /// Any other, whose boxes are all in hand.
    Claim(Claim),
    /// To somebody who needs more boxes.
    Needs,
}

/// Where a key stands among those of all shards that are ready: the number of the commit that made it so, of which all shards
/// have one counter, and its place in that.
pub type Turn = (u64, usize);

/// A key that became ready.
struct Ready {
    turn: Turn,
    key: DbKey,
    /// It is being offered: the ticket of who was offered it last, and the last of those who were there when that began.
    offering: Option<(u64, u64)>,
}

/// The keys to be offered to clients that wait for them, in the order in which they became ready.
#[derive(Default)]
pub struct Offers {
    ready: VecDeque<Ready>,
    /// See [`Realm::is_ready`].
    more: bool,
    call: Option<Call>,
}

/// That ready keys are offered at a position that is in the order, or is to be.
#[derive(Clone, Copy)]
pub struct Call {
    /// That of no other call.
    pub number: u64,
    /// The boxes that are in hand there.
    pub shards: Shards,
}

impl Offers {
    /// No key is ready.
    pub fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// The turn of the first key, and the key.
    pub fn first(&self) -> Option<(Turn, &DbKey)> {
        self.ready.front().map(|ready| (ready.turn, &ready.key))
    }

    /// Where the ready keys are offered at the latest.
    pub fn call(&self) -> Option<Call> {
        self.call.filter(|_| !self.is_empty())
    }

    /// The ready keys are offered there, and so are those that become ready before.
    pub fn wait_for(&mut self, call: Call) {
        (self.call, self.more) = (Some(call), false);
    }

    /// What became ready since then is not called for again.
    pub fn await_call(&mut self) {
        self.more = false;
    }

    /// That position has come.
    pub fn called(&mut self) {
        (self.call, self.more) = (None, !self.is_empty());
    }

    fn collect(&mut self, waiters: &mut Waiters, effects: &Effects, dbs: &Dbs, number: u64) {
        if waiters.is_empty() {
            return;
        }
        for (place, &key) in effects.ready.iter().enumerate() {
            let key = DbKey { db: key.db, key: effects.key(key).into() };
            self.note(waiters, key, (number, place), dbs);
        }
        for &whole in &effects.whole {
            let Whole::Swapped(a, b) = whole else { continue };
            let mut brought: Vec<DbKey> = (waiters.queues.keys())
                .filter(|at| at.db == a || at.db == b)
                .filter(|at| dbs.find(at.db as usize, &at.key).is_some())
                .cloned()
                .collect();
            // The database that SWAPDB names first comes first.
            let second = |at: &DbKey| usize::from(at.db != a && !kevy::bug!(SwappedByNumber));
            brought.sort();
            brought.sort_by_key(second);
            for key in brought {
                let place = effects.ready.len() + second(&key);
                self.note(waiters, key, (number, place), dbs);
            }
        }
    }

    fn note(&mut self, waiters: &mut Waiters, key: DbKey, turn: Turn, dbs: &Dbs) {
        // As in Redis: if the same transaction puts something else there, nobody is offered it.
        let of_no_use = |entry: &Entry| !waiters.kinds.is_anybody_interested(entry);
        if dbs.find(key.db as usize, &key.key).is_some_and(of_no_use) && !kevy::bug!(AnyTypeIsOffered) {
            return;
        }
        if waiters.mark_ready(&key) {
            self.ready.push_back(Ready { turn, key, offering: None });
            self.more = true;
        }
    }
}

/// Versions of watched keys. A key is here while somebody watches it; its version changes with every modification. That it
/// expires is none, whether it is removed for it or not: to the watcher, see [`Watching`], a key is missing from then on.
#[derive(Default)]
pub struct Versions {
    watched: Map<DbKey, Watched>,
    last: u64,
}

struct Watched {
    version: u64,
    watchers: usize,
}

/// What a connection remembers of a key that it watches.
#[derive(Clone, Copy, Debug)]
pub struct Watching {
    /// See [`Versions`].
    pub version: u64,
    /// It was there, and had not expired.
    pub live: bool,
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
    pub fn follow(&mut self, effects: &Effects, dbs: &Dbs, now: UnixMillis) {
        if self.is_empty() {
            return;
        }
        let live = |entry: &Entry| !entry.is_expired(now) || kevy::bug!(FlushedExpiredCounts);
        for &key in &effects.keys {
            self.bump(key.db, effects.key(key));
        }
        for &whole in &effects.whole {
            match whole {
                Whole::Flushed(db) => {
                    let had = |key: &[u8]| {
                        effects.garbage.iter().any(|garbage| {
                            matches!(garbage, Garbage::Db(index, emptied)
                                if *index == db && emptied.table.find(key).is_some_and(live))
                        })
                    };
                    self.bump_if(|at, key| at == db && had(key));
                }
                Whole::Swapped(a, b) => {
                    let had =
                        |key: &[u8]| [a, b].iter().any(|&db| dbs.find(db as usize, key).is_some_and(live));
                    self.bump_if(|at, key| (at == a || at == b) && had(key));
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
    /// If it waits on other boxes than its connection's alone: under which number, and what boxes its command needs.
    pub away: Option<(u64, Shards)>,
}

impl Waiter {
    /// Its place in the queues: whoever came earlier has a lower one.
    pub fn ticket(&self) -> u64 {
        self.ticket
    }

    /// Whether it counts among [`Kinds`] itself: for who waits away his claims do.
    fn counts(&self) -> bool {
        self.away.is_none() || kevy::bug!(ClaimsUncounted)
    }
}

/// Where a claim stands.
struct Place {
    number: u64,
    key: DbKey,
    ticket: u64,
    kind: BlockedOn,
}

/// Who stands in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A connection of this shard that waits for nothing but what is here.
    Here(ConnId),
    /// Any other: its command runs again where all boxes are in hand that it needs.
    Claim(Claim),
}

/// A connection's wait for a key of this slice, known by the connection's own shard under the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub origin: Origin,
    pub number: u64,
    /// What its command needs.
    pub shards: Shards,
    pub kind: BlockedOn,
}

impl Claim {
    /// The boxes without which its command cannot be executed: that of its connection, and those of its keys.
    pub fn needs(&self) -> Shards {
        self.shards.with(Shards::one(self.origin.shard))
    }
}

/// The clients that wait for one key, by ticket: the longest waiting first.
#[derive(Default)]
struct Queue {
    clients: BTreeMap<u64, Standing>,
    /// The key is among those to be offered.
    ready: bool,
}

/// How much waits for each type of value, on all shards: clients that wait for what is here, and claims.
pub struct Kinds {
    lists: AtomicUsize,
    zsets: AtomicUsize,
}

impl Default for Kinds {
    fn default() -> Self {
        Self { lists: AtomicUsize::new(0), zsets: AtomicUsize::new(0) }
    }
}

impl Kinds {
    fn of(&self, kind: BlockedOn) -> Option<&AtomicUsize> {
        match kind {
            BlockedOn::List => Some(&self.lists),
            BlockedOn::Zset => Some(&self.zsets),
            BlockedOn::Replicas => None,
        }
    }

    fn begins(&self, kind: BlockedOn) {
        if let Some(count) = self.of(kind) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn ends(&self, kind: BlockedOn) {
        if let Some(count) = self.of(kind) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether somebody waits, for whatever key, for what this one holds. A claim counts as long as it stands, whenever its
    /// client's own shard may have given it up: who finds it here has the position before that.
    fn is_anybody_interested(&self, entry: &Entry) -> bool {
        let mut kinds = [BlockedOn::List, BlockedOn::Zset].into_iter().filter(|kind| kind.matches(entry));
        kinds.any(|kind| self.of(kind).is_some_and(|count| count.load(Ordering::Relaxed) > 0))
    }
}

/// Blocked clients, by key in the order in which they came, and by deadline.
///
/// A client draws one ticket each time it blocks and has that place in the queue of each of its keys, so that joining
/// and leaving take logarithmic time however many wait.
#[derive(Default)]
pub struct Waiters {
    queues: Map<DbKey, Queue>,
    waiting: Map<ConnId, Waiter>,
    /// Where those stand that are known by claims.
    claims: Map<(ShardId, ConnId), Vec<Place>>,
    deadlines: BTreeSet<(UnixMillis, ConnId)>,
    last_ticket: u64,
    kinds: Arc<Kinds>,
}

impl Waiters {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.claims.is_empty()
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

    /// All shards count together.
    pub fn count_in(&mut self, kinds: &Arc<Kinds>) {
        self.kinds = kinds.clone();
    }

    /// Puts a client at the end of the queue of each of its keys.
    pub fn add(&mut self, conn: ConnId, command: &'static Command, argv: Argv, db: usize, block: Block) {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let mut keys: Vec<DbKey> = Vec::with_capacity(block.keys.len());
        for &index in block.keys.iter().take(if kevy::bug!(SecondKeyForgotten) { 1 } else { usize::MAX }) {
            let at = DbKey { db: db as u32, key: argv.as_args()[index].into() };
            let queue = self.queues.entry(at.clone()).or_default();
            if queue.clients.insert(ticket, Standing::Here(conn)).is_none() {
                keys.push(at);
            }
        }
        if let Some(deadline) = block.deadline
            && !kevy::bug!(TimeoutForgotten)
        {
            self.deadlines.insert((deadline, conn));
        }
        self.insert(Waiter { conn, command, argv, db, block, keys, ticket, away: None });
    }

    fn insert(&mut self, waiter: Waiter) {
        if waiter.counts() {
            self.kinds.begins(waiter.block.kind);
        }
        let previous = self.waiting.insert(waiter.conn, waiter);
        debug_assert!(previous.is_none(), "a client blocks in one command at a time");
    }

    /// Notes a client of this shard that waits on other boxes too, or only there: [`Waiters::claim`] puts it into the
    /// queues.
    pub fn add_away(
        &mut self,
        conn: ConnId,
        command: &'static Command,
        argv: Argv,
        db: usize,
        block: Block,
        away: (u64, Shards),
    ) {
        if let Some(deadline) = block.deadline {
            self.deadlines.insert((deadline, conn));
        }
        let (keys, away) = (Vec::new(), Some(away));
        self.insert(Waiter { conn, command, argv, db, block, keys, ticket: 0, away });
    }

    /// Puts a claim at the end of a key's queue.
    pub fn claim(&mut self, at: DbKey, claim: Claim) {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.queues.entry(at.clone()).or_default().clients.insert(ticket, Standing::Claim(claim));
        let standing = self.claims.entry((claim.origin.shard, claim.origin.conn)).or_default();
        standing.push(Place { number: claim.number, key: at, ticket, kind: claim.kind });
        if !kevy::bug!(ClaimsUncounted) {
            self.kinds.begins(claim.kind);
        }
    }

    /// Takes what a connection claims here by this number out of the queues.
    pub fn take_claim(&mut self, origin: Origin, number: u64) {
        let at = (origin.shard, origin.conn);
        let Some(standing) = self.claims.get_mut(&at) else { return };
        let taken: Vec<_> = standing
            .extract_if(.., |place| place.number == number)
            .skip(usize::from(kevy::bug!(OneClaimStays)))
            .collect();
        if standing.is_empty() {
            self.claims.remove(&at);
        }
        for Place { key, ticket, kind, .. } in taken {
            if !kevy::bug!(ClaimsUncounted) {
                self.kinds.ends(kind);
            }
            if let Some(queue) = self.queues.get_mut(&key) {
                queue.clients.remove(&ticket);
                if queue.clients.is_empty() {
                    self.queues.remove(&key);
                }
            }
        }
    }

    /// The number of a client's wait on other boxes.
    pub fn number(&self, conn: ConnId) -> Option<u64> {
        self.waiting.get(&conn)?.away.map(|(number, _)| number)
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
        if waiter.counts() {
            self.kinds.ends(waiter.block.kind);
        }
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

    /// Who waits for a key, the longest waiting first.
    pub fn queue(&self, at: &DbKey) -> impl Iterator<Item = Standing> {
        self.queues.get(at).into_iter().flat_map(|queue| queue.clients.values().copied())
    }

    /// A key's turn has come: if it becomes ready again, it will be another one's turn first. Gives the tickets of those who
    /// are offered it: behind the first number, up to the second.
    fn begin_offering(&mut self, at: &DbKey) -> (u64, u64) {
        if let Some(queue) = self.queues.get_mut(at) {
            queue.ready = false;
        }
        (0, self.last_ticket)
    }

    /// The next in the queue of a key among those with tickets after `after` and up to `last`.
    fn next_in_queue(&self, at: &DbKey, after: u64, last: u64) -> Option<(u64, Standing)> {
        let mut clients = self.queues.get(at)?.clients.range(after + 1..);
        let next = if kevy::bug!(NewestServedFirst) { clients.next_back() } else { clients.next() }?;
        Some((*next.0, *next.1)).filter(|&(ticket, _)| ticket <= last)
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
        let (mut after, last) = (0, waiters.last_ticket);
        let next = || {
            let (ticket, standing) = waiters.next_in_queue(&at(key), after, last)?;
            after = ticket;
            let Standing::Here(conn) = standing else { panic!("nobody claims") };
            Some(conn.0)
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
    fn who_waits_away_counts_by_claims_as_long_as_they_stand() {
        let kinds = Arc::<Kinds>::default();
        let lists = || kinds.lists.load(Ordering::Relaxed);
        let (mut home, mut elsewhere) = (Waiters::default(), Waiters::default());
        home.count_in(&kinds);
        elsewhere.count_in(&kinds);
        block(&mut home, 3, &["b", "c"], None);
        assert_eq!(lists(), 1);
        let origin = Origin { shard: 0, conn: ConnId(7), client: 1 };
        let (number, shards) = (1, Shards::one(1));
        let Waiter { command, argv, block, .. } = home.remove(ConnId(3)).unwrap();
        assert_eq!(lists(), 0);
        home.add_away(origin.conn, command, argv, 0, block, (number, shards));
        elsewhere.claim(at("a"), Claim { origin, number, shards, kind: BlockedOn::List });
        assert_eq!(lists(), 1);
        assert!(home.remove(origin.conn).is_some());
        assert_eq!(lists(), 1);
        elsewhere.take_claim(origin, number);
        assert_eq!(lists(), 0);
    }

    #[test]
    fn who_blocks_while_a_key_is_offered_is_not_offered_it() {
        let mut waiters = Waiters::default();
        block(&mut waiters, 1, &["a"], None);
        let last = waiters.last_ticket;
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
        for (number, key) in ["a", "b", "a", "c"].into_iter().enumerate() {
            let Realm { offers, waiters, keyspace, .. } = &mut realm;
            offers.note(waiters, at(key), (number as u64, 0), &keyspace.dbs);
        }
        let first = |realm: &Realm| realm.offers.first().map(|(turn, key)| (turn.0, key.clone()));
        assert_eq!(first(&realm), Some((0, at("a"))));
        realm.waiters.begin_offering(&at("a"));
        assert!(realm.waiters.mark_ready(&at("a")), "it is ready again");
        assert_eq!(realm.offer(0, Shards::one(0)), None, "it holds nothing");
        assert_eq!(first(&realm), Some((1, at("b"))));
        assert_eq!(realm.offer(0, Shards::one(0)), None);
        assert!(realm.offers.is_empty());
    }
}
