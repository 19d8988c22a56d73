//! Commands that need more than data: the connection, other connections, the configuration, the process.
//!
//! [`handler`] names the function for each such row of the command table; a test checks that none is forgotten.
//! Handlers take a [`Session`] and, like data handlers, check everything before they change anything and return their
//! errors instead of writing them.

mod acl;
mod admin;
pub mod client;
mod config;
mod connection;
mod debug;
mod function;
pub mod info;
pub mod latency;
mod memory;
pub mod monitor;
mod multi;
mod pubsub;
pub mod slowlog;

use kevy::command::{Command, CommandError, CommandId};
use kevy::keyspace::UnixMillis;
use kevy::resp::{Args, Reply};
use kevy::rng::Rng;

use super::Shard;
use super::conn::{Conn, ConnId};
use super::pause::Pause;

/// State of the shard that only session commands use.
pub struct State {
    pub pause: Pause,
    pub latency: latency::State,
    pub slowlog: slowlog::State,
    /// Commands that take so many microseconds or more are of interest to the slow log or the latency monitor.
    pub slow_from: u64,
    /// What replicas would know this data set by: 40 hex digits.
    pub replication_id: String,
    rng: Rng,
}

impl State {
    pub fn new(seed: u64) -> Self {
        let mut state = Self {
            pause: Pause::default(),
            latency: latency::State::default(),
            slowlog: slowlog::State::default(),
            slow_from: u64::MAX,
            replication_id: String::new(),
            rng: Rng::new(!seed),
        };
        state.new_replication_id();
        state
    }

    pub fn new_replication_id(&mut self) {
        self.replication_id = (0..5).map(|_| format!("{:08x}", self.rng.next_u64() as u32)).collect();
    }
}

/// One session command being executed.
pub struct Session<'a> {
    pub shard: &'a mut Shard,
    pub id: ConnId,
    pub command: &'static Command,
    pub args: Args<'a>,
    pub reply: Reply<'a>,
}

pub type Outcome = Result<(), CommandError>;
pub type Handler = for<'a> fn(&mut Session<'a>) -> Outcome;

impl<'a> Session<'a> {
    pub fn conn(&self) -> &Conn {
        self.shard.conn(self.id).expect("a command is executed for a connection that exists")
    }

    pub fn conn_mut(&mut self) -> &mut Conn {
        self.shard.conn_mut(self.id).expect("a command is executed for a connection that exists")
    }

    pub fn arg(&self, index: usize) -> &'a [u8] {
        self.args.at(index)
    }

    pub fn int(&self, index: usize) -> Result<i64, CommandError> {
        kevy::number::parse_i64(self.arg(index)).ok_or(CommandError::NotInteger)
    }

    /// Whether the argument at `index` exists and is this word, in any case.
    pub fn is(&self, index: usize, word: &str) -> bool {
        index < self.args.len() && self.arg(index).eq_ignore_ascii_case(word.as_bytes())
    }

    pub fn now(&self) -> UnixMillis {
        self.shard.now.unix
    }

    /// The error for a subcommand with arguments it does not take.
    pub fn wrong_subcommand(&self) -> CommandError {
        let container = self.command.name.split('|').next().unwrap_or_default().to_ascii_uppercase();
        let name = self.arg(1);
        let mut text = b"ERR unknown subcommand or wrong number of arguments for '".to_vec();
        text.extend_from_slice(&name[..name.len().min(128)]);
        text.extend_from_slice(format!("'. Try {container} HELP.").as_bytes());
        CommandError::Owned(text)
    }

    /// A container's HELP: lines as Redis frames them.
    pub fn help(&mut self, lines: &[&str]) {
        let name = self.command.name.split('|').next().unwrap_or_default().to_ascii_uppercase();
        self.reply.array(lines.len() + 3);
        self.reply.simple(&format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
        for line in lines {
            self.reply.simple(line);
        }
        self.reply.simple("HELP");
        self.reply.simple("    Print this help.");
    }
}

/// Runs a session command. What it did to the data is committed by the caller.
pub(super) fn run(
    shard: &mut Shard,
    id: ConnId,
    command: &'static Command,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Outcome {
    let Some(conn) = shard.conn(id) else { return Ok(()) };
    let protocol = conn.protocol;
    let reply = Reply::new(out, protocol);
    let mut session = Session { shard, id, command, args, reply };
    let handler = handler(command.id).unwrap_or(not_here);
    let start = session.reply.mark();
    let outcome = handler(&mut session);
    if let Err(error) = &outcome {
        session.reply.truncate(start);
        session.reply.error(error.text());
    }
    outcome
}

fn not_here(_: &mut Session<'_>) -> Outcome {
    Err(CommandError::Text("ERR this command is not available"))
}

/// The function behind each row of the table that the session runs.
pub fn handler(id: CommandId) -> Option<Handler> {
    use CommandId::*;
    Some(match id {
        Ping => connection::ping,
        Echo => connection::echo,
        Select => connection::select,
        Auth => connection::auth,
        Hello => connection::hello,
        Quit => connection::quit,
        Reset => connection::reset,
        ReadOnly | ReadWrite => connection::no_cluster,
        Multi => multi::multi,
        Exec => multi::exec,
        Discard => multi::discard,
        Watch => multi::watch,
        Unwatch => multi::unwatch,
        Subscribe => pubsub::subscribe,
        Unsubscribe => pubsub::unsubscribe,
        PSubscribe => pubsub::psubscribe,
        PUnsubscribe => pubsub::punsubscribe,
        SSubscribe => pubsub::ssubscribe,
        SUnsubscribe => pubsub::sunsubscribe,
        Publish => pubsub::publish,
        SPublish => pubsub::spublish,
        PubSubChannels => pubsub::channels,
        PubSubNumSub => pubsub::numsub,
        PubSubNumPat => pubsub::numpat,
        PubSubShardChannels => pubsub::shardchannels,
        PubSubShardNumSub => pubsub::shardnumsub,
        PubSubHelp => pubsub::help,
        ClientId => client::id,
        ClientInfo => client::info,
        ClientList => client::list,
        ClientKill => client::kill,
        ClientGetName => client::getname,
        ClientSetName => client::setname,
        ClientSetInfo => client::setinfo,
        ClientPause => client::pause,
        ClientUnpause => client::unpause,
        ClientUnblock => client::unblock,
        ClientReply => client::reply,
        ClientNoEvict => client::no_evict,
        ClientNoTouch => client::no_touch,
        ClientGetRedir => client::getredir,
        ClientTracking => client::tracking,
        ClientTrackingInfo => client::trackinginfo,
        ClientCaching => client::caching,
        ClientHelp => client::help,
        ConfigGet => config::get,
        ConfigSet => config::set,
        ConfigRewrite => config::rewrite,
        ConfigResetStat => config::resetstat,
        ConfigHelp => config::help,
        Info => info::info,
        Role => admin::role,
        LastSave => admin::lastsave,
        Shutdown => admin::shutdown,
        ModuleList => admin::module_list,
        ModuleHelp => admin::module_help,
        AclCat => acl::cat,
        AclUsers => acl::users,
        AclWhoAmI => acl::whoami,
        AclHelp => acl::help,
        Monitor => monitor::monitor,
        SlowLogGet => slowlog::get,
        SlowLogLen => slowlog::len,
        SlowLogReset => slowlog::reset,
        SlowLogHelp => slowlog::help,
        LatencyDoctor => latency::doctor,
        LatencyGraph => latency::graph,
        LatencyHistogram => latency::histogram,
        LatencyHistory => latency::history,
        LatencyLatest => latency::latest,
        LatencyReset => latency::reset,
        LatencyHelp => latency::help,
        MemoryStats => memory::stats,
        MemoryDoctor => memory::doctor,
        MemoryPurge => memory::purge,
        MemoryMallocStats => memory::malloc_stats,
        MemoryHelp => memory::help,
        Debug => debug::debug,
        FunctionList => function::list,
        FunctionFlush => function::flush,
        FunctionDump => function::dump,
        FunctionStats => function::stats,
        FunctionHelp => function::help,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_session_row_of_the_table_has_a_handler_and_no_data_row_has_one() {
        for command in kevy::command::table::TABLE {
            let expected = matches!(command.handler, kevy::command::Handler::Session);
            // A bare container is refused by its arity before it would run.
            let expected = expected && !(command.subcommand_count > 0 && command.arity < -1);
            assert_eq!(handler(command.id).is_some(), expected, "{}", command.name);
        }
    }
}
