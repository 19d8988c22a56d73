//! Who is subscribed to what.
//!
//! The registry belongs to the box; each connection also keeps the set of its own subscriptions (see
//! [`Conn`](super::conn::Conn)), and the two must agree.

use std::collections::{BTreeMap, BTreeSet};

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
}

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

    /// Nobody is subscribed to a channel or pattern: keyspace events and PUBLISH have nobody to reach.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty()
    }

    /// Names with subscribers that match `pattern` (all, without one), in order of their bytes.
    pub fn names<'a>(&'a self, kind: Kind, pattern: Option<&'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
        (self.of(kind).keys())
            .map(Vec::as_slice)
            .filter(move |name| pattern.is_none_or(|pattern| glob::matches(pattern, name)))
    }

    /// Number of names with subscribers.
    pub fn count(&self, kind: Kind) -> usize {
        self.of(kind).len()
    }

    pub fn subscribers(&self, kind: Kind, name: &[u8]) -> impl Iterator<Item = ConnId> + '_ {
        self.of(kind).get(name).into_iter().flatten().copied()
    }

    /// Patterns that match a channel, each with a subscriber: a client gets one message for each of its patterns.
    pub fn matching<'a>(&'a self, channel: &'a [u8]) -> impl Iterator<Item = (&'a [u8], ConnId)> {
        (self.patterns.iter()).filter(move |(pattern, _)| glob::matches(pattern, channel)).flat_map(
            |(pattern, subscribers)| subscribers.iter().map(move |&conn| (pattern.as_slice(), conn)),
        )
    }
}
