//! Which boxes a command needs: from its key specs, and for commands without keys from what they are about.

use std::sync::atomic::Ordering;

use kevy::command::getkeys::keys;
use kevy::command::spec::{KeyFlags, KeyShape};
use kevy::command::{Command, CommandId, Handler, ScanOptions, ScanTarget, parse_cursor};
use kevy::keyspace::Dbs;
use kevy::resp::Args;

use super::Shard;
use super::conn::{Conn, ConnId};
use super::links::Shards;
use super::realm::{DbKey, Standing};

impl Shard {
    /// The boxes whose data or connections the command looks at; the connection's own only if it has a part in it.
    pub(super) fn route(&self, id: ConnId, command: &Command, args: Args<'_>) -> Shards {
        use CommandId::*;
        let (me, all) = (Shards::one(self.me()), self.all_shards());
        match command.id {
            Scan => match parse_cursor(args.at(1)) {
                // It may go on in the own slice, which then has to stand where the first one does.
                Ok(cursor) => {
                    let own = if kevy::bug!(ScanVisits) { Shards::NONE } else { me };
                    own.with(Shards::one(Dbs::scanned_slice(cursor, all.len())))
                }
                Err(_) => me,
            },
            DbSize if kevy::bug!(OwnSliceCounted) => me,
            FlushAll if kevy::bug!(OwnSliceFlushed) => me,
            Keys | DbSize | RandomKey | FlushAll | FlushDb | SwapDb => all,
            // Patterns name keys that no key spec knows.
            Sort | SortRo if args.from(2).iter().any(is_pattern_option) => all,
            Exec => self.route_of_transaction(id),
            // Who begins or ceases to hear of what is done anywhere does it everywhere.
            Subscribe | PSubscribe | Unsubscribe | PUnsubscribe | Reset | Quit
                if self.publishes_events()
                    && !kevy::bug!(ListensAlone)
                    && (matches!(command.id, Subscribe | PSubscribe)
                        || self.conn(id).is_some_and(Conn::subscribed)) =>
            {
                all
            }
            Reset | Quit if self.conn(id).is_some_and(|conn| conn.monitor) => all,
            Ping | Echo | Select | Auth | Hello | Quit | Reset | ReadOnly | ReadWrite | Multi | Discard
            | Unwatch | Subscribe | Unsubscribe | PSubscribe | PUnsubscribe | SSubscribe | SUnsubscribe
            | ClientId | ClientGetName | ClientSetName | ClientSetInfo | ClientReply | ClientNoEvict
            | ClientNoTouch | ClientGetRedir | ClientTrackingInfo | ClientCaching | ClientHelp | AclCat
            | AclUsers | AclWhoAmI | AclHelp | ConfigGet | ConfigHelp | Role | LastSave | ModuleList
            | ModuleHelp | MemoryMallocStats | MemoryHelp | SlowLogHelp | LatencyHelp | PubSubHelp
            | FunctionList | FunctionFlush | FunctionDump | FunctionStats | FunctionHelp => me,
            _ if command.keys.is_empty() => match command.handler {
                // About no data at all: TIME, COMMAND, LOLWUT and the like.
                Handler::Data(_) => me,
                Handler::Session => all,
            },
            _ if matches!(command.handler, Handler::Session) && command.id != Watch => all,
            _ => self.route_of_keys(command, args),
        }
    }

    /// The boxes without which those could not be served who wait for what a command may add, as far as the boxes that are
    /// here tell: those of clients that wait from other shards, and of keys that somebody who is served adds to. With all of them
    /// in a gather a command and what it makes ready have one position, and nobody comes in between. Boxes of the command's keys
    /// are among them only if they are not here.
    ///
    /// Not everybody is looked at: whoever is found to need more boxes after all is [called](super::links::call).
    fn waited_for(&self, id: ConnId, command: &Command, args: Args<'_>) -> Shards {
        let is_exec = command.id == CommandId::Exec;
        let Some(links) = self.links.as_deref().filter(|_| is_exec || command.is_write()) else {
            return Shards::NONE;
        };
        if self.common.away.load(Ordering::Relaxed) == 0 || kevy::bug!(NobodyForeseen) {
            return Shards::NONE;
        }
        let dbs = &self.realm.keyspace.dbs;
        let (mut needs, mut left) = (Shards::NONE, links.limits().foreseen);
        let mut added_to = self.written_keys(id, command, args);
        let mut at = 0;
        while let Some(key) = added_to.get(at).cloned() {
            at += 1;
            let home = dbs.home(&key.key);
            let Some(shard) = self.at_hand(home) else {
                needs = needs.with(Shards::one(home));
                continue;
            };
            for standing in shard.realm.waiters.queue(&key) {
                if left == 0 {
                    return needs;
                }
                left -= 1;
                let (shard, conn) = match standing {
                    Standing::Here(conn) => (home, conn),
                    Standing::Claim(claim) => {
                        needs = needs.with(claim.needs());
                        (claim.origin.shard, claim.origin.conn)
                    }
                };
                let waiter = self.at_hand(shard).and_then(|shard| shard.realm.waiters.get(conn));
                if let Some(waiter) = waiter
                    && let Ok(keys) = keys(waiter.command, waiter.argv.as_args())
                {
                    for (index, _) in keys.filter(|(index, _)| !waiter.block.keys.contains(index)) {
                        let key = waiter.argv.as_args().at(index);
                        let added = DbKey { db: waiter.db as u32, key: key.into() };
                        if !added_to.contains(&added) {
                            added_to.push(added);
                        }
                    }
                }
            }
        }
        needs
    }

    /// The keys that a command may add something to, with their databases.
    fn written_keys(&self, id: ConnId, command: &Command, args: Args<'_>) -> Vec<DbKey> {
        let (mut written, Some(conn)) = (Vec::new(), self.conn(id)) else { return Vec::new() };
        let all = 0..self.realm.keyspace.dbs.len() as u32;
        let mut dbs = conn.db as u32..conn.db as u32 + 1;
        let mut note = |command: &Command, args: Args<'_>| {
            match command.id {
                // To a database that only the handler knows.
                CommandId::Select | CommandId::Move | CommandId::Copy => dbs = all.clone(),
                _ => {}
            }
            let keys = keys(command, args).into_iter().flatten().filter(|_| command.is_write());
            for (index, flags) in keys {
                if flags.intersects(KeyFlags::INSERT.with(KeyFlags::UPDATE)) {
                    written.extend(dbs.clone().map(|db| DbKey { db, key: args.at(index).into() }));
                }
            }
        };
        match &conn.multi {
            Some(multi) if command.id == CommandId::Exec => {
                multi.queue.iter().for_each(|queued| note(queued.command, queued.args.as_args()));
            }
            _ => note(command, args),
        }
        written
    }

    fn route_of_keys(&self, command: &Command, args: Args<'_>) -> Shards {
        let dbs = &self.realm.keyspace.dbs;
        // Most commands: no need to interpret anything.
        if let KeyShape::One(index) = command.key_shape
            && let Some(key) = args.get(index as usize)
        {
            return Shards::one(dbs.home(key));
        }
        match keys(command, args) {
            Ok(keys) => {
                keys.map(|(index, _)| Shards::one(dbs.home(args.at(index)))).fold(Shards::NONE, Shards::with)
            }
            // The handler will say what is wrong, wherever it finds it.
            Err(_) => self.all_shards(),
        }
    }

    /// What a command needs beside its [route](Self::route), as the data that are here tell.
    pub(super) fn further(&self, id: ConnId, command: &Command, args: Args<'_>) -> Shards {
        match command.id {
            CommandId::Scan => self.further_scanned(id, args),
            _ => self.waited_for(id, command, args),
        }
    }

    /// Where SCAN comes upon so few keys that it goes on to the slices after that, up to the last one.
    fn further_scanned(&self, id: ConnId, args: Args<'_>) -> Shards {
        let (Ok(cursor), Ok(options)) =
            (parse_cursor(args.at(1)), ScanOptions::parse(args.from(2), ScanTarget::Keys))
        else {
            return Shards::NONE;
        };
        let db = self.conn(id).map_or(0, |conn| conn.db);
        match self.realm.keyspace.dbs.scan_lacks(db, cursor, options.count) {
            Some(first) if !kevy::bug!(ScanEndsWithSlice) => {
                (first..self.count()).fold(Shards::NONE, |shards, at| shards.with(Shards::one(at)))
            }
            _ => Shards::NONE,
        }
    }

    /// What EXEC needs: what every queued command needs, and the watched keys.
    fn route_of_transaction(&self, id: ConnId) -> Shards {
        let Some(conn) = self.conn(id) else { return Shards::NONE };
        let dbs = &self.realm.keyspace.dbs;
        let watched = conn.watching.keys().map(|at| Shards::one(dbs.home(&at.key)));
        let queued = conn.multi.iter().flat_map(|multi| &multi.queue);
        let queued = queued.map(|queued| match queued.command.id {
            // How far it goes is not known before.
            CommandId::Scan => self.all_shards(),
            _ => self.route(id, queued.command, queued.args.as_args()),
        });
        let watched = watched.take(if kevy::bug!(WatchedUngathered) { 0 } else { usize::MAX });
        watched.chain(queued).fold(Shards::NONE, Shards::with)
    }
}

fn is_pattern_option(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"BY") || word.eq_ignore_ascii_case(b"GET")
}
