//! Which boxes a command needs: from its key specs, and for commands without keys from what they are about.

use kevy::command::getkeys::keys;
use kevy::command::spec::KeyShape;
use kevy::command::{Command, CommandId, Handler, parse_cursor};
use kevy::keyspace::Dbs;
use kevy::resp::Args;

use super::Shard;
use super::conn::{Conn, ConnId};
use super::links::Shards;

impl Shard {
    /// The boxes whose data or connections the command looks at; the connection's own only if it has a part in it.
    pub(super) fn route(&self, id: ConnId, command: &Command, args: Args<'_>) -> Shards {
        use CommandId::*;
        let (me, all) = (Shards::one(self.me()), self.all_shards());
        match command.id {
            Scan => match parse_cursor(args.at(1)) {
                Ok(cursor) => Shards::one(Dbs::scanned_slice(cursor, all.len())),
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

    /// What EXEC needs: what every queued command needs, and the watched keys.
    fn route_of_transaction(&self, id: ConnId) -> Shards {
        let Some(conn) = self.conn(id) else { return Shards::NONE };
        let dbs = &self.realm.keyspace.dbs;
        let watched = conn.watching.keys().map(|at| Shards::one(dbs.home(&at.key)));
        let queued = conn.multi.iter().flat_map(|multi| &multi.queue);
        let queued = queued.map(|queued| self.route(id, queued.command, queued.args.as_args()));
        let watched = watched.take(if kevy::bug!(WatchedUngathered) { 0 } else { usize::MAX });
        watched.chain(queued).fold(Shards::NONE, Shards::with)
    }
}

fn is_pattern_option(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"BY") || word.eq_ignore_ascii_case(b"GET")
}
