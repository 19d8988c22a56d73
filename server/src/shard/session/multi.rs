//! MULTI EXEC DISCARD WATCH UNWATCH.
//!
//! WATCH is exact: the box keeps a version for each watched key, every modification (eviction included) moves it on, and
//! EXEC compares. Expiry moves nothing: whether a key that was there has expired since is seen by the clock, removed or not.

use kevy::command::CommandError;
use kevy::resp::Lent;

use super::{Outcome, Session};
use crate::shard::Shard;
use crate::shard::conn::{Conn, ConnId, Multi, ReplyMode};
use crate::shard::realm::{DbKey, Watching};

const EXECABORT: CommandError =
    CommandError::Text("EXECABORT Transaction discarded because of previous errors.");

pub fn multi(s: &mut Session<'_>) -> Outcome {
    if s.conn().multi.is_some() {
        return Err(CommandError::Text("ERR MULTI calls can not be nested"));
    }
    s.conn_mut().multi = Some(Multi::default());
    s.reply.ok();
    Ok(())
}

pub fn discard(s: &mut Session<'_>) -> Outcome {
    if s.conn().multi.is_none() {
        return Err(CommandError::Text("ERR DISCARD without MULTI"));
    }
    s.shard.discard_transaction(s.id);
    s.reply.ok();
    Ok(())
}

pub fn exec(s: &mut Session<'_>) -> Outcome {
    let id = s.id;
    let Some(multi) = s.conn_mut().multi.take() else {
        return Err(CommandError::Text("ERR EXEC without MULTI"));
    };
    let changed = s.shard.watched_key_changed(id);
    s.shard.unwatch_all(id);
    if multi.refused && !kevy::bug!(ExecRunsRefused) {
        return Err(EXECABORT);
    }
    if changed && !kevy::bug!(ExecIgnoresWatch) {
        s.reply.null_array();
        return Ok(());
    }
    let Multi { queue, memory, .. } = multi;
    let mut out = Vec::new();
    let mut lent = Vec::new();
    // Each reply counts by itself: CLIENT REPLY and a CLIENT KILL of itself cut what comes after them, as in Redis, although
    // the array stays short of what its header says.
    let skips = s.conn().reply_mode == ReplyMode::Skip;
    let is_silent = |shard: &Shard| {
        shard.conn(id).is_none_or(|conn| {
            !kevy::bug!(ExecAnswersAtItsEnd)
                && (!conn.hears_replies() || skips && conn.reply_mode == ReplyMode::SkipNext)
        })
    };
    if !is_silent(s.shard) {
        s.reply.array(queue.len());
    }
    s.shard.in_transaction = !kevy::bug!(ExecBlocks);
    if !kevy::bug!(ExecShownEnded) {
        // A command of the transaction that looks at clients finds this one in it.
        s.conn_mut().multi = Some(Multi { memory, executing: queue.len(), ..Multi::default() });
    }
    for queued in queue.iter().skip(usize::from(kevy::bug!(ExecSkipsFirst))) {
        s.shard.brought = queued.args.brought().cloned();
        let ended =
            s.shard.conn(id).is_none_or(|conn| conn.close_after_reply) && !kevy::bug!(ExecAnswersTheKilled);
        // The reply of a command that failed is an element like any other.
        let _ = s.shard.call(id, queued.command, queued.args.as_args(), &mut out);
        let given = std::mem::take(&mut s.shard.lent);
        if !(ended || is_silent(s.shard)) {
            let start = s.reply.len();
            lent.extend(given.into_iter().map(|one| Lent { at: start + one.at, ..one }));
            s.reply.raw(&out);
        }
        out.clear();
    }
    s.shard.brought = None;
    s.shard.lent = lent;
    s.shard.in_transaction = false;
    s.shard.reply_is_cut = !kevy::bug!(ExecAnswersAtItsEnd);
    if let Some(conn) = s.shard.conn_mut(id) {
        conn.multi = None;
    }
    Ok(())
}

pub fn watch(s: &mut Session<'_>) -> Outcome {
    if s.conn().multi.is_some() && !kevy::bug!(WatchInsideMulti) {
        return Err(CommandError::Text("ERR WATCH inside MULTI is not allowed"));
    }
    let db = s.conn().db;
    for key in s.args.iter().skip(1) {
        let at = DbKey { db: db as u32, key: key.into() };
        if s.conn().watching.contains_key(&at) {
            continue;
        }
        let now = s.shard.data_now();
        let entry = s.shard.realm.keyspace.dbs.find(db, key);
        let live = entry.is_some_and(|entry| !entry.is_expired(now) || kevy::bug!(ExpiredCountsAsWatched));
        let home = s.shard.home_of(key).expect("WATCH has the boxes of its keys");
        let version = home.realm.versions.watch(at.clone());
        s.conn_mut().watching.insert(at, Watching { version, live });
    }
    s.reply.ok();
    Ok(())
}

pub fn unwatch(s: &mut Session<'_>) -> Outcome {
    s.shard.unwatch_all(s.id);
    s.reply.ok();
    Ok(())
}

impl Shard {
    /// Ends an open transaction without executing it, and the watching with it.
    pub(crate) fn discard_transaction(&mut self, id: ConnId) {
        if let Some(conn) = self.conn_mut(id) {
            conn.multi = None;
        }
        if !kevy::bug!(DiscardKeepsWatching) {
            self.unwatch_all(id);
        }
    }

    fn unwatch_all(&mut self, id: ConnId) {
        let Some(conn) = self.conn_mut(id) else { return };
        let watched = std::mem::take(&mut conn.watching);
        self.unwatch(watched.into_keys());
    }

    /// Whether a key that a connection of this shard watches is known to have been modified: one whose box is here.
    pub(crate) fn watched_key_was_modified(&self, conn: &Conn) -> bool {
        let dbs = &self.realm.keyspace.dbs;
        let present = if conn.watching.is_empty() { Vec::new() } else { self.present() };
        conn.watching.iter().any(|(at, watching)| {
            let home = present.iter().find(|present| present.me() == dbs.home(&at.key));
            home.is_some_and(|home| {
                home.realm.versions.version(at) != watching.version
                    || watching.live && dbs.find(at.db as usize, &at.key).is_none()
            })
        })
    }

    /// Whether a key that the connection watches was modified, or has expired since.
    fn watched_key_changed(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conn(id) else { return false };
        let (watching, now) = (conn.watching.clone(), self.data_now());
        watching.iter().any(|(at, watching)| {
            let entry = self.realm.keyspace.dbs.find(at.db as usize, &at.key);
            let live = entry.is_some_and(|entry| !entry.is_expired(now));
            watching.live && !live && !kevy::bug!(ExpiryUnwatched)
                || self
                    .home_of(&at.key)
                    .is_some_and(|home| home.realm.versions.version(at) != watching.version)
        })
    }
}
