//! SUBSCRIBE and its kin, PUBLISH, PUBSUB.

use kevy::command::CommandError;
use kevy::resp::Reply;

use super::{Outcome, Session};
use crate::shard::Shard;
use crate::shard::conn::{Conn, ConnId, ReplyMode};
use crate::shard::pubsub::Kind;

fn names(conn: &mut Conn, kind: Kind) -> &mut std::collections::BTreeSet<Vec<u8>> {
    match kind {
        Kind::Channel => &mut conn.channels,
        Kind::Pattern => &mut conn.patterns,
        Kind::Shard => &mut conn.shard_channels,
    }
}

/// The count in subscribe and unsubscribe messages.
fn count(conn: &Conn, kind: Kind) -> i64 {
    (if kind == Kind::Shard && !kevy::bug!(ShardSubscriptionsCounted) {
        conn.shard_channels.len()
    } else {
        conn.subscriptions()
    }) as i64
}

fn add(s: &mut Session<'_>, kind: Kind, word: &str) -> Outcome {
    let id = s.id;
    for name in s.args.iter().skip(1) {
        if names(s.conn_mut(), kind).insert(name.to_vec()) {
            s.shard.subscriptions.add(kind, name, id);
        }
        confirm(s, kind, word, Some(name));
    }
    s.shard.listeners_changed();
    Ok(())
}

/// Says what is subscribed to now. Like any message it is sent although replies are switched off.
fn confirm(s: &mut Session<'_>, kind: Kind, word: &str, name: Option<&[u8]>) {
    let count = count(s.conn(), kind);
    let write = |r: &mut Reply<'_>| {
        r.push(3);
        r.bulk(word.as_bytes());
        r.bulk_or_null(name);
        r.int(count);
    };
    if s.conn().reply_mode == ReplyMode::On {
        write(&mut s.reply);
    } else {
        let conn = s.conn_mut();
        write(&mut Reply::new(&mut conn.out, conn.protocol));
    }
}

fn remove(s: &mut Session<'_>, kind: Kind, word: &str) -> Outcome {
    let id = s.id;
    let given: Vec<Vec<u8>> = if s.args.len() > 1 {
        s.args.iter().skip(1).map(<[u8]>::to_vec).collect()
    } else {
        names(s.conn_mut(), kind).iter().cloned().collect()
    };
    if given.is_empty() {
        confirm(s, kind, word, None);
    }
    for name in given {
        if names(s.conn_mut(), kind).remove(&name) && !kevy::bug!(UnsubscribedStillServed) {
            s.shard.subscriptions.remove(kind, &name, id);
        }
        confirm(s, kind, word, Some(&name));
    }
    s.shard.listeners_changed();
    Ok(())
}

pub fn subscribe(s: &mut Session<'_>) -> Outcome {
    add(s, Kind::Channel, "subscribe")
}

pub fn unsubscribe(s: &mut Session<'_>) -> Outcome {
    remove(s, Kind::Channel, "unsubscribe")
}

pub fn psubscribe(s: &mut Session<'_>) -> Outcome {
    add(s, Kind::Pattern, "psubscribe")
}

pub fn punsubscribe(s: &mut Session<'_>) -> Outcome {
    remove(s, Kind::Pattern, "punsubscribe")
}

/// The only one of these that EXEC refuses.
pub fn ssubscribe(s: &mut Session<'_>) -> Outcome {
    if s.shard.in_transaction && !kevy::bug!(ExecSubscribesToShards) {
        return Err(CommandError::Text("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"));
    }
    add(s, Kind::Shard, "ssubscribe")
}

pub fn sunsubscribe(s: &mut Session<'_>) -> Outcome {
    remove(s, Kind::Shard, "sunsubscribe")
}

pub fn publish(s: &mut Session<'_>) -> Outcome {
    let mut receivers = 0;
    if kevy::bug!(PublishedToOwnOnly) {
        receivers += s.shard.deliver(s.args.at(1), s.args.at(2));
    } else {
        s.shard.everywhere(|shard| receivers += shard.deliver(s.args.at(1), s.args.at(2)));
    }
    s.reply.int(receivers as i64);
    Ok(())
}

pub fn spublish(s: &mut Session<'_>) -> Outcome {
    let mut receivers = 0;
    s.shard.everywhere(|shard| receivers += shard.deliver_to_shard_channel(s.args.at(1), s.args.at(2)));
    s.reply.int(receivers as i64);
    Ok(())
}

fn list(s: &mut Session<'_>, kind: Kind) -> Outcome {
    if s.args.len() > 3 {
        return Err(s.wrong_subcommand());
    }
    let pattern = s.args.get(2);
    let names = s.shard.subscribed_names(kind, pattern);
    s.reply.array(names.len());
    for name in names {
        s.reply.bulk(&name);
    }
    Ok(())
}

fn counts(s: &mut Session<'_>, kind: Kind) -> Outcome {
    s.reply.array((s.args.len() - 2) * 2);
    for name in s.args.iter().skip(2) {
        let present = s.shard.present();
        let kind = if kevy::bug!(ShardNumsubOfChannels) { Kind::Channel } else { kind };
        let count: usize =
            present.iter().map(|shard| shard.subscriptions.subscribers(kind, name).count()).sum();
        s.reply.bulk(name);
        s.reply.int(count as i64);
    }
    Ok(())
}

pub fn channels(s: &mut Session<'_>) -> Outcome {
    list(s, Kind::Channel)
}

pub fn shardchannels(s: &mut Session<'_>) -> Outcome {
    list(s, Kind::Shard)
}

pub fn numsub(s: &mut Session<'_>) -> Outcome {
    counts(s, Kind::Channel)
}

pub fn shardnumsub(s: &mut Session<'_>) -> Outcome {
    counts(s, Kind::Shard)
}

pub fn numpat(s: &mut Session<'_>) -> Outcome {
    let mut count = s.shard.subscribed_names(Kind::Pattern, None).len();
    if kevy::bug!(NumpatCountsClients) {
        count = s.shard.clients().map(|conn| conn.patterns.len()).sum();
    }
    s.reply.int(count as i64);
    Ok(())
}

pub fn help(s: &mut Session<'_>) -> Outcome {
    s.help(&[
        "CHANNELS [<pattern>]",
        "    Return the currently active channels matching a <pattern> (default: '*').",
        "NUMPAT",
        "    Return number of subscriptions to patterns.",
        "NUMSUB [<channel> ...]",
        "    Return the number of subscribers for the specified channels, excluding",
        "    pattern subscriptions(default: no channels).",
        "SHARDCHANNELS [<pattern>]",
        "    Return the currently active shard level channels matching a <pattern> (default: '*').",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Return the number of subscribers for the specified shard level channel(s)",
    ]);
    Ok(())
}

impl Shard {
    fn deliver_to_shard_channel(&mut self, channel: &[u8], message: &[u8]) -> usize {
        let subscribers: Vec<ConnId> = self
            .subscriptions
            .subscribers(if kevy::bug!(ShardChannelsMixed) { Kind::Channel } else { Kind::Shard }, channel)
            .collect();
        for &id in &subscribers {
            self.push(id, &[b"smessage", channel, message]);
        }
        subscribers.len()
    }

    /// Names with subscribers on the shards that are present, in order of their bytes.
    pub(crate) fn subscribed_names(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Vec<u8>> {
        let present = self.present();
        let names = present.iter().flat_map(|shard| shard.subscriptions.names(kind, pattern));
        let mut names: Vec<Vec<u8>> = names.map(<[u8]>::to_vec).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Ends all subscriptions of a connection without a message.
    pub(crate) fn unsubscribe_all(&mut self, id: ConnId) {
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            let Some(conn) = self.conn_mut(id) else { return };
            for name in std::mem::take(names(conn, kind)) {
                self.subscriptions.remove(kind, &name, id);
            }
        }
        self.listeners_changed();
    }
}
