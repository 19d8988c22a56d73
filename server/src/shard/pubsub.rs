//! Who is subscribed to what.
//!
//! The registry belongs to the box; each connection also keeps the set of its own subscriptions (see
//! [`Conn`](super::conn::Conn)), and the two must agree.
//!
//! A connection that closes leaves at once as far as anybody can tell; its subscriptions are taken out of the registry in
//! steps, as it may have had very many. Its id must not become another connection's before the last of them.

use std::collections::{BTreeMap, BTreeSet, btree_set};

use kevy::glob;

use super::conn::ConnId;

/// Which kind of subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Channel,
    Pattern,
    Shard,
}

/// See the module documentation. Ordered containers, so that everything a client can observe follows from the
/// commands alone.
#[derive(Default)]
pub struct Subscriptions {
    channels: BTreeMap<Vec<u8>, BTreeSet<ConnId>>,
    shard_channels: BTreeMap<Vec<u8>, BTreeSet<ConnId>>,
    patterns: BTreeMap<Vec<u8>, BTreeSet<ConnId>>,
    /// Connections that are not subscribed any more, with what the registry still has of them.
    leaving: BTreeMap<ConnId, Vec<Names>>,
}

/// What a connection was subscribed to.
type Names = (Kind, btree_set::IntoIter<Vec<u8>>);

impl Subscriptions {
    fn of(&self, kind: Kind) -> &BTreeMap<Vec<u8>, BTreeSet<ConnId>> {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shard_channels,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut BTreeMap<Vec<u8>, BTreeSet<ConnId>> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shard_channels,
        }
    }

    pub fn add(&mut self, kind: Kind, name: &[u8], conn: ConnId) {
        self.of_mut(kind).entry(name.to_vec()).or_default().insert(conn);
    }

    pub fn remove(&mut self, kind: Kind, name: &[u8], conn: ConnId) {
        let all = self.of_mut(kind);
        if let Some(subscribers) = all.get_mut(name) {
            subscribers.remove(&conn);
            if subscribers.is_empty() {
                all.remove(name);
            }
        }
    }

    /// A connection leaves all that it was subscribed to.
    pub fn leave(&mut self, conn: ConnId, subscriptions: [(Kind, BTreeSet<Vec<u8>>); 3]) {
        if subscriptions.iter().any(|(_, names)| !names.is_empty()) {
            let names = subscriptions.map(|(kind, names)| (kind, names.into_iter()));
            self.leaving.entry(conn).or_default().extend(names);
        }
    }

    /// Takes so many subscriptions of connections that leave out of the registry. Gives those of which none is left.
    pub fn leave_further(&mut self, mut steps: usize) -> Vec<ConnId> {
        let mut left = Vec::new();
        while let Some((&conn, _)) = self.leaving.first_key_value() {
            if steps == 0 {
                break;
            }
            steps -= 1;
            match self.leaving.get_mut(&conn).and_then(|left| next_name(left)) {
                Some((kind, name)) => self.remove(kind, &name, conn),
                None => {
                    self.leaving.remove(&conn);
                    left.push(conn);
                }
            }
        }
        left
    }

    /// Whether the registry still refers to a connection that has left, or to any.
    pub fn is_leaving(&self, conn: Option<ConnId>) -> bool {
        conn.map_or(!self.leaving.is_empty(), |conn| self.leaving.contains_key(&conn))
    }

    /// Subscribers that have not left.
    fn present(&self, subscribers: &BTreeSet<ConnId>) -> impl Iterator<Item = ConnId> {
        subscribers.iter().copied().filter(|conn| !self.leaving.contains_key(conn))
    }

    /// Nobody is subscribed to a channel or pattern: keyspace events and PUBLISH have nobody to reach. Not yet true while
    /// somebody leaves.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty()
    }

    /// Names with subscribers that match `pattern` (all, without one), in order of their bytes.
    pub fn names<'a>(&'a self, kind: Kind, pattern: Option<&'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
        (self.of(kind).iter())
            .filter(|(_, subscribers)| self.leaving.is_empty() || self.present(subscribers).next().is_some())
            .map(|(name, _)| name.as_slice())
            .filter(move |name| {
                kevy::bug!(ChannelsIgnorePattern)
                    || pattern.is_none_or(|pattern| glob::matches(pattern, name))
            })
    }

    /// Number of names with subscribers.
    pub fn count(&self, kind: Kind) -> usize {
        if self.leaving.is_empty() { self.of(kind).len() } else { self.names(kind, None).count() }
    }

    pub fn subscribers(&self, kind: Kind, name: &[u8]) -> impl Iterator<Item = ConnId> + '_ {
        self.of(kind).get(name).into_iter().flat_map(|subscribers| self.present(subscribers))
    }

    /// Patterns that match a channel, each with a subscriber: a client gets one message for each of its patterns.
    pub fn matching<'a>(&'a self, channel: &'a [u8]) -> impl Iterator<Item = (&'a [u8], ConnId)> {
        (self.patterns.iter()).filter(move |(pattern, _)| glob::matches(pattern, channel)).flat_map(
            |(pattern, subscribers)| self.present(subscribers).map(|conn| (pattern.as_slice(), conn)),
        )
    }
}

fn next_name(left: &mut [Names]) -> Option<(Kind, Vec<u8>)> {
    left.iter_mut().find_map(|(kind, names)| Some((*kind, names.next()?)))
}
