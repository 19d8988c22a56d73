//! SUBSCRIBE and its kin, PUBLISH, PUBSUB.
//!
//! A subscriber gets a message once for its channel and once for each of its patterns that matches, channel first.
//! Shard channels are a world of their own.

use std::collections::BTreeSet;

use crate::glob::matches;
use crate::{Answer, Ask, Bytes, Delivery, Model, Session, Want};

/// The three kinds of subscription.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Channel,
    Pattern,
    Shard,
}

impl Session {
    /// How many channels and patterns: the count in their confirmations, and what makes a RESP2 connection a
    /// subscriber.
    pub(crate) fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    fn names(&self, kind: Kind) -> &BTreeSet<Bytes> {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shard_channels,
        }
    }

    fn names_mut(&mut self, kind: Kind) -> &mut BTreeSet<Bytes> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shard_channels,
        }
    }

    fn confirmation(&self, kind: Kind, word: &str, name: Want) -> Want {
        let count = if kind == Kind::Shard { self.shard_channels.len() } else { self.subscriptions() };
        Want::Push(vec![Want::bulk(word), name, Want::count(count)])
    }
}

fn add(m: &mut Model, ask: &Ask, kind: Kind, word: &str) -> Answer {
    let session = m.session(ask.conn);
    let confirm = |name: &Bytes| {
        session.names_mut(kind).insert(name.clone());
        session.confirmation(kind, word, Want::bulk(name))
    };
    Ok(Want::Frames(ask.argv[1..].iter().map(confirm).collect()))
}

/// Without names all subscriptions of the kind end, in an order that is left open.
fn remove(m: &mut Model, ask: &Ask, kind: Kind, word: &str) -> Answer {
    let session = m.session(ask.conn);
    if ask.argc() > 1 {
        let confirm = |name: &Bytes| {
            session.names_mut(kind).remove(name);
            session.confirmation(kind, word, Want::bulk(name))
        };
        return Ok(Want::Frames(ask.argv[1..].iter().map(confirm).collect()));
    }
    let all = session.names(kind).clone();
    if all.is_empty() {
        return Ok(session.confirmation(kind, word, Want::Nil));
    }
    let any = Want::OneOf(all.iter().map(Want::bulk).collect());
    let confirm = |name: &Bytes| {
        session.names_mut(kind).remove(name);
        session.confirmation(kind, word, any.clone())
    };
    Ok(Want::Frames(all.iter().map(confirm).collect()))
}

pub fn subscribe(m: &mut Model, ask: &Ask) -> Answer {
    add(m, ask, Kind::Channel, "subscribe")
}

pub fn unsubscribe(m: &mut Model, ask: &Ask) -> Answer {
    remove(m, ask, Kind::Channel, "unsubscribe")
}

pub fn psubscribe(m: &mut Model, ask: &Ask) -> Answer {
    add(m, ask, Kind::Pattern, "psubscribe")
}

pub fn punsubscribe(m: &mut Model, ask: &Ask) -> Answer {
    remove(m, ask, Kind::Pattern, "punsubscribe")
}

/// The only one of these that EXEC refuses.
pub fn ssubscribe(m: &mut Model, ask: &Ask) -> Answer {
    if !ask.may_block {
        return Err("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client".into());
    }
    add(m, ask, Kind::Shard, "ssubscribe")
}

pub fn sunsubscribe(m: &mut Model, ask: &Ask) -> Answer {
    remove(m, ask, Kind::Shard, "sunsubscribe")
}

pub fn publish(m: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::count(m.publish(ask.arg(1), ask.arg(2))))
}

pub fn spublish(m: &mut Model, ask: &Ask) -> Answer {
    let (channel, message) = (ask.arg(1), ask.arg(2));
    let subscribers = |(&conn, session): (&usize, &Session)| {
        session.shard_channels.contains(channel).then_some((conn, session.protocol))
    };
    let receivers: Vec<_> = m.sessions.iter().filter_map(subscribers).collect();
    for &(conn, protocol) in &receivers {
        let frame = Want::Push(vec![Want::bulk("smessage"), Want::bulk(channel), Want::bulk(message)]);
        m.deliveries.push(Delivery { conn, protocol, frames: vec![frame] });
    }
    Ok(Want::count(receivers.len()))
}

impl Model {
    /// Delivers a message; returns how many times it was received.
    pub(crate) fn publish(&mut self, channel: &[u8], message: &[u8]) -> usize {
        let mut received = 0;
        for (&conn, session) in &self.sessions {
            let protocol = session.protocol;
            let mut deliver = |frames: Vec<Want>| {
                received += frames.len();
                if !frames.is_empty() {
                    self.deliveries.push(Delivery { conn, protocol, frames });
                }
            };
            if session.channels.contains(channel) {
                let frame = [Want::bulk("message"), Want::bulk(channel), Want::bulk(message)];
                deliver(vec![Want::Push(frame.into())]);
            }
            let matching = session.patterns.iter().filter(|pattern| matches(pattern, channel));
            deliver(
                matching
                    .map(|pattern| {
                        let words = [Want::bulk("pmessage"), Want::bulk(pattern)];
                        let message = [Want::bulk(channel), Want::bulk(message)];
                        Want::Push(words.into_iter().chain(message).collect())
                    })
                    .collect(),
            );
        }
        received
    }

    fn all_names(&self, kind: Kind) -> BTreeSet<Bytes> {
        self.sessions.values().flat_map(|session| session.names(kind).clone()).collect()
    }

    fn subscribers(&self, kind: Kind, name: &Bytes) -> usize {
        self.sessions.values().filter(|session| session.names(kind).contains(name)).count()
    }
}

fn list(m: &mut Model, ask: &Ask, kind: Kind) -> Answer {
    if ask.argc() > 3 {
        return Err(crate::gates::wrong_subcommand(ask));
    }
    let shown = |name: &Bytes| ask.argv.get(2).is_none_or(|pattern| matches(pattern, name));
    Ok(Want::AnyOrder(m.all_names(kind).into_iter().filter(shown).map(Want::Bulk).collect()))
}

fn counts(m: &mut Model, ask: &Ask, kind: Kind) -> Answer {
    let count = |name: &Bytes| [Want::bulk(name), Want::count(m.subscribers(kind, name))];
    Ok(Want::Array(ask.argv[2..].iter().flat_map(count).collect()))
}

pub fn pubsub_channels(m: &mut Model, ask: &Ask) -> Answer {
    list(m, ask, Kind::Channel)
}

pub fn pubsub_shardchannels(m: &mut Model, ask: &Ask) -> Answer {
    list(m, ask, Kind::Shard)
}

pub fn pubsub_numsub(m: &mut Model, ask: &Ask) -> Answer {
    counts(m, ask, Kind::Channel)
}

pub fn pubsub_shardnumsub(m: &mut Model, ask: &Ask) -> Answer {
    counts(m, ask, Kind::Shard)
}

/// How many different patterns there are, not how many subscriptions to them.
pub fn pubsub_numpat(m: &mut Model, _: &Ask) -> Answer {
    Ok(Want::count(m.all_names(Kind::Pattern).len()))
}

pub fn pubsub_help(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::help())
}
