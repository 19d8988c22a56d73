//! What stands between a decoded command and its execution, in Redis's order: the precedence of errors is observable.
//!
//! One function, [`Shard::admit`], decides for every command of every connection whether it runs, is queued by MULTI,
//! waits for the end of CLIENT PAUSE, or is refused; nothing else may refuse a command before it runs.

use kevy::command::table::subcommand;
use kevy::command::{Command, CommandError, CommandId, Flags, until_nul};
use kevy::resp::{Args, Limits, Protocol};

use super::Shard;
use super::conn::ConnId;
use super::session::client::may_touch_data;
use crate::config::Renames;
use crate::log::Level;

/// Said to a connection from another machine when the server has no password.
pub const PROTECTED_MODE: &str = "-DENIED Redis is running in protected mode because protected mode is enabled and no \
    password is set for the default user. In this mode connections are only accepted from the loopback interface. If \
    you want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable \
    protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to \
    Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet \
    if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the \
    protected mode by editing the Redis configuration file, and setting the protected mode option to 'no', and then \
    restarting the server. 3) If you started the server manually just for testing, restart it with the \
    '--protected-mode no' option. 4) Set up an authentication password for the default user. NOTE: You only need to \
    do one of the above things in order for the server to start accepting connections from the outside.\r\n";

/// Output shorter than this is within any limit that matters; spares the check on the hot path.
pub const OUTPUT_CHECKED_FROM: usize = 16 * 1024;

/// How long one command may evict for others, in microseconds. After the limit was lowered, or a large value was
/// written, there may be gigabytes to go.
const EVICTION_MICROS: u64 = 500;

/// How long a command waits for memory that is being freed before it is refused, and for how long between two looks, in
/// microseconds. Nothing else is done meanwhile, so it has to be short.
const FREEING_MICROS: u64 = 20_000;
const FREEING_LOOK: u64 = 50;

const NOAUTH: CommandError = CommandError::Text("NOAUTH Authentication required.");
const OOM_TEXT: &str = "OOM command not allowed when used memory > 'maxmemory'.";
const OOM: CommandError = CommandError::Text(OOM_TEXT);
const NO_MULTI: CommandError = CommandError::Text("ERR Command not allowed inside a transaction");

const NO_DATA_FOR_MONITORS: CommandError = CommandError::Text("ERR Replica can't interact with the keyspace");

/// What is to be done with a command that was not refused.
pub enum Admitted {
    Run(&'static Command),
    /// Inside MULTI.
    Queue(&'static Command),
    /// Clients are paused: the command stays in the query buffer.
    Postpone,
    /// An EXEC is refused: its transaction ends with this error.
    Abort(&'static Command, CommandError),
}

/// Whether a command was refused because memory is short: an EXEC says so at the end of its own error.
pub fn is_for_memory(error: &CommandError) -> bool {
    error.text().ends_with(OOM_TEXT.as_bytes())
}

/// How large a request may be: less for clients that have not authenticated.
pub fn decoder_limits(config: &crate::config::Config, authenticated: bool) -> Limits {
    let authenticated = authenticated || kevy::bug!(StrangersMaySendMuch);
    Limits { max_bulk_len: config.settings.proto_max_bulk_len as i64, authenticated, ..Limits::default() }
}

impl Shard {
    /// See the module documentation.
    pub(super) fn admit(&mut self, id: ConnId, args: Args<'_>) -> Result<Admitted, CommandError> {
        let resolved = find(&self.config.security.renames, args);
        let conn = self.conns[id.0 as usize].as_deref_mut().expect("the command came from it");
        conn.last_command = resolved.as_ref().ok().map(|command| command.id);
        let command = match resolved {
            Ok(command) => command,
            Err(error) => {
                if is_http(args.at(0)) {
                    self.abort_http(id);
                }
                return self.refuse(id, None, error);
            }
        };
        if !command.accepts_arity(args.len()) && !kevy::bug!(ArityUnchecked) {
            return self.refuse(id, Some(command), CommandError::Arity(command.name));
        }
        let conn = self.conns[id.0 as usize].as_deref().expect("the command came from it");
        if command.flags.contains(Flags::PROTECTED) && !self.allows_protected(command, conn.peer.local) {
            let (name, option) = if command.id == CommandId::Debug {
                ("DEBUG", "enable-debug-command")
            } else {
                ("MODULE", "enable-module-command")
            };
            let text = format!(
                "ERR {name} command not allowed. If the {option} option is set to \"local\", you can run it from a \
                 local connection, otherwise you need to set this option in the configuration file, and then restart \
                 the server."
            );
            return self.refuse(id, Some(command), CommandError::Owned(text.into_bytes()));
        }
        // Without a password everybody is let in, also those who came while there was one.
        if !conn.authenticated
            && (!command.flags.contains(Flags::NO_AUTH) || kevy::bug!(HelloNeedsPassword))
            && !self.config.security.requirepass.is_empty()
        {
            return self.refuse(id, Some(command), NOAUTH);
        }
        let in_multi = conn.multi.is_some();
        if in_multi && command.flags.contains(Flags::NO_MULTI) && !kevy::bug!(MultiAllowsAll) {
            return self.refuse(id, Some(command), NO_MULTI);
        }
        if self.config.settings.maxmemory != 0 && !self.make_room() && !kevy::bug!(MemoryUnlimited) {
            let conn = self.conns[id.0 as usize].as_deref().expect("the command came from it");
            let needs_memory = |command: &Command| command.flags.contains(Flags::DENYOOM);
            let queued = conn.multi.as_ref().filter(|_| command.id == CommandId::Exec);
            // What a watched key of another shard has doomed may have been queued all the same: that is not known here.
            let queued = queued.is_some_and(|multi| multi.queue.iter().any(|one| needs_memory(one.command)));
            if needs_memory(command) || (queued && !kevy::bug!(ExecBeyondMemory)) {
                return self.refuse(id, Some(command), OOM);
            }
        }
        let conn = self.conns[id.0 as usize].as_deref().expect("the command came from it");
        if conn.protocol == Protocol::Resp2
            && conn.subscribed()
            && !allowed_while_subscribed(command.id)
            && !kevy::bug!(SubscriberRunsAll)
        {
            let text = format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                 this context",
                command.name
            );
            return self.refuse(id, Some(command), CommandError::Owned(text.into_bytes()));
        }
        if !may_touch_data(conn, command.flags) {
            return self.refuse(id, Some(command), NO_DATA_FOR_MONITORS);
        }
        let pause = &self.session.pause;
        if pause.is_on() && pause.holds(self.letting_go, self.data_now(), command, conn.multi.as_ref()) {
            return Ok(Admitted::Postpone);
        }
        if in_multi && !runs_inside_multi(command.id) {
            Ok(Admitted::Queue(command))
        } else {
            Ok(Admitted::Run(command))
        }
    }

    /// A web page made a browser send a request to this port, and its body may hold commands: nothing more of it is
    /// executed.
    fn abort_http(&mut self, id: ConnId) {
        let addr = self.conn(id).map(|conn| conn.peer.addr.clone()).unwrap_or_default();
        crate::log!(
            Level::Warning,
            "A connection sent POST or Host:, as a browser does that is abused to reach this server: possible SECURITY \
             ATTACK. Connection from {addr} aborted."
        );
        self.close(id);
    }

    /// Refuses a command: a transaction being queued can only be discarded then, and a refused EXEC discards it (and
    /// says so even if there was none), see [`abort`](Shard::abort).
    fn refuse(
        &mut self,
        id: ConnId,
        command: Option<&'static Command>,
        error: CommandError,
    ) -> Result<Admitted, CommandError> {
        let conn = self.conns[id.0 as usize].as_deref_mut().expect("the command came from it");
        // An EXEC leaves no trace of its refusal before it is aborted: if the order is full it is read again, and may be let
        // in then.
        let is_exec = command.is_some_and(|command| command.id == CommandId::Exec);
        if let Some(multi) = &mut conn.multi
            && !is_exec
        {
            multi.refused = !kevy::bug!(RefusalsForgotten);
        }
        let Some(command) = command else { return Err(error) };
        if command.id == CommandId::Exec {
            let mut text = b"EXECABORT Transaction discarded because of: ".to_vec();
            let reason = error.text();
            text.extend_from_slice(reason.strip_prefix(b"ERR ").unwrap_or(&reason));
            return Ok(Admitted::Abort(command, CommandError::Owned(text)));
        }
        self.stats.count_rejected(command);
        Err(error)
    }

    /// Ends a transaction whose EXEC was refused. Monitors have been shown the MULTI: they are shown the EXEC too.
    pub(super) fn abort(
        &mut self,
        id: ConnId,
        command: &'static Command,
        args: Args<'_>,
        error: &CommandError,
        out: &mut Vec<u8>,
    ) {
        self.stats.count_rejected(command);
        if !kevy::bug!(RefusedExecGoesOn) {
            self.discard_transaction(id);
        }
        self.write_error(id, error, out);
        if self.is_monitored() && !kevy::bug!(RefusedExecUnshown) {
            self.feed_monitors(id, command, args);
        }
        self.testify_refusal(id, error);
    }

    fn allows_protected(&self, command: &Command, local: bool) -> bool {
        use crate::config::Allow;
        let setting = if command.id == CommandId::Debug {
            self.config.security.enable_debug_command
        } else {
            self.config.security.enable_module_command
        };
        match setting {
            Allow::Yes => true,
            Allow::Local => local,
            Allow::No => false,
        }
    }

    /// Whether so many bytes more would be more than `maxmemory`.
    pub(super) fn exceeds_memory(&self, bytes: usize) -> bool {
        let limit = self.config.settings.maxmemory;
        limit != 0 && ((self.env.used_memory)() + bytes) as u64 > limit
    }

    /// Evicts a key of this shard, and frees it at once: that is what it is for. False: there is none that may be.
    pub(super) fn evict_here(&mut self) -> bool {
        let evicted = self.data(0).evict();
        self.commit();
        self.garbage.clear();
        if let Some((db, key)) = &evicted {
            self.testify_eviction(*db, key);
        }
        evicted.is_some()
    }

    /// Evicts until memory is under `maxmemory`, or for [`EVICTION_MICROS`]: then the next turn of the loop goes on,
    /// and the command is let in meanwhile. False if nothing can be evicted.
    pub(super) fn make_room(&mut self) -> bool {
        let over = |shard: &Self| shard.exceeds_memory(0);
        // As in Redis, what may run during CLIENT PAUSE is not refused either.
        let paused = self.session.pause.is_in_force(self.data_now()) && !kevy::bug!(PauseEvicts);
        if paused || !over(self) {
            return true;
        }
        // Others make room, too, if their boxes are at home.
        self.end_stay();
        let before = (self.env.stopwatch)();
        let (mut evicted, mut micros) = (true, 0);
        while evicted && over(self) {
            if micros > EVICTION_MICROS {
                self.evicting = true;
                break;
            }
            let outcome = self.evict_anywhere();
            evicted = outcome.unwrap_or(true);
            if outcome.is_none() {
                break;
            }
            micros = (self.env.stopwatch)().saturating_sub(before);
        }
        // What was deleted before counts as free, and will be: Redis frees most of it before it answers.
        let mut waited = 0;
        while !evicted && over(self) && (self.env.is_freeing)() && waited < FREEING_MICROS {
            (self.env.hold)(FREEING_LOOK);
            waited = (self.env.stopwatch)().saturating_sub(before);
        }
        evicted |= !over(self);
        // The command is not slow because room had to be made for it.
        self.stopwatch = (self.env.stopwatch)();
        self.sample_latency("eviction-cycle", micros);
        evicted
    }
}

/// How an HTTP request begins that could carry commands in its body, or its second line.
fn is_http(name: &[u8]) -> bool {
    !kevy::bug!(BrowsersServed) && (name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"Host:"))
}

/// Finds the command.
pub(super) fn find(renames: &Renames, args: Args<'_>) -> Result<&'static Command, CommandError> {
    let Some(mut command) = renames.find(args.at(0)) else { return Err(unknown_command(args)) };
    if command.subcommand_count > 0 && args.len() > 1 {
        command = subcommand(command, args.at(1)).ok_or_else(|| unknown_subcommand(command, args.at(1)))?;
    }
    Ok(command)
}

fn unknown_command(args: Args<'_>) -> CommandError {
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(if kevy::bug!(UnknownShownWhole) { args.at(0) } else { shown(args.at(0), SHOWN) });
    text.extend_from_slice(b"', with args beginning with: ");
    let start = text.len();
    for arg in args.iter().skip(1) {
        let left = SHOWN.saturating_sub(text.len() - start);
        if left == 0 {
            break;
        }
        text.push(b'\'');
        text.extend_from_slice(shown(arg, left));
        text.extend_from_slice(b"' ");
    }
    CommandError::Owned(text)
}

fn unknown_subcommand(command: &Command, name: &[u8]) -> CommandError {
    let mut text = b"ERR unknown subcommand '".to_vec();
    text.extend_from_slice(shown(name, SHOWN));
    text.extend_from_slice(format!("'. Try {} HELP.", command.name.to_ascii_uppercase()).as_bytes());
    CommandError::Owned(text)
}

/// How much of what the client sent an error repeats.
const SHOWN: usize = 128;

/// The beginning of an argument as an error shows it: like Redis's, which are C strings, they end at a zero byte.
fn shown(arg: &[u8], limit: usize) -> &[u8] {
    let arg = &arg[..arg.len().min(limit)];
    until_nul(arg)
}

/// Commands that run at once inside MULTI.
fn runs_inside_multi(id: CommandId) -> bool {
    use CommandId::*;
    matches!(id, Exec | Discard | Multi | Watch | Quit | Reset)
        || (id == Unwatch && kevy::bug!(UnwatchNotQueued))
}

fn allowed_while_subscribed(id: CommandId) -> bool {
    use CommandId::*;
    matches!(
        id,
        Ping | Subscribe | Unsubscribe | PSubscribe | PUnsubscribe | SSubscribe | SUnsubscribe | Quit | Reset
    )
}
