//! The command table: one row for every command, container and subcommand, and what is derived from the rows.
//!
//! Everything that knows commands starts here: gates, routing, ACL, `COMMAND`, statistics, the generator of the tests.
//! A row states
//!
//! ```text
//! Id "name" arity handler [flags] [key specs] [tips] acl [categories]
//!     "arguments, in the notation of the module syntax"
//!     since "version" cost "complexity" "summary"
//!     history ["version" "change", ...] deprecated "version" "replacement" doc syscmd;
//! ```
//!
//! where `acl`, `history`, `deprecated` and `doc` can be left out. A handler is a function of a module beside this
//! one, or `session`. Without `acl` the group gives the category. The rows of subcommands follow their container's.
//! [`CommandId`] is emitted from the rows, so that a `match` without a wildcard finds every place that a new command
//! must be added to.
//!
//! [`lookup`] finds a command in one probe or two of a small open-addressing table that is built at compile time: a
//! name is packed into three words, which are compared with those in the slot, so that a hit touches one cache line
//! of the table.

use super::spec::{
    AclCategories, Command, Docs, Flags, Group, Handler, KeyShape, KeySpec, Tip, Tips, at, counted, unknown,
};

/// The command called `name`, in any case; containers, but no subcommands.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static Command> {
    let name = PackedName::of(name)?;
    let mut slot = name.home_slot();
    loop {
        let candidate = &INDEX[slot];
        if candidate.name.len == 0 {
            return None;
        }
        if candidate.name.equals(name) {
            return Some(&TABLE[candidate.row as usize]);
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// The subcommand `name` of a container, in any case.
pub fn subcommand(container: &Command, name: &[u8]) -> Option<&'static Command> {
    let prefix = container.name.len() + 1;
    container.subcommands().iter().find(|row| row.name.as_bytes()[prefix..].eq_ignore_ascii_case(name))
}

/// The row that a full name as in `COMMAND LIST` stands for: `get`, `client|id`.
pub fn lookup_full_name(name: &[u8]) -> Option<&'static Command> {
    match memchr::memchr(b'|', name) {
        Some(bar) => subcommand(lookup(&name[..bar])?, &name[bar + 1..]),
        None => lookup(name),
    }
}

impl CommandId {
    /// How many rows the table has: the size of an array with one element a command.
    pub const COUNT: usize = NAMES.len();

    #[inline]
    pub fn command(self) -> &'static Command {
        &TABLE[self as usize]
    }
}

/// A name in lower case as three words; equal exactly if the names are.
#[derive(Clone, Copy)]
struct PackedName {
    words: [u64; 3],
    len: u8,
}

impl PackedName {
    const LONGEST: usize = 24;

    #[inline]
    const fn of(name: &[u8]) -> Option<PackedName> {
        let len = name.len();
        // Short names are read with overlapping loads: together with the length, every byte is in some word.
        let words = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
            (Some(head), Some(tail)) => {
                let middle = match name.split_at(8).1.first_chunk::<8>() {
                    Some(middle) => u64::from_le_bytes(*middle),
                    None => 0,
                };
                [u64::from_le_bytes(*head), u64::from_le_bytes(*tail), middle]
            }
            _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
                (Some(head), Some(tail)) => {
                    [u32::from_le_bytes(*head) as u64 | (u32::from_le_bytes(*tail) as u64) << 32, 0, 0]
                }
                _ => match *name {
                    [a] => [a as u64, 0, 0],
                    [a, b] => [u16::from_le_bytes([a, b]) as u64, 0, 0],
                    [a, b, c] => [u32::from_le_bytes([a, b, c, 0]) as u64, 0, 0],
                    _ => return None,
                },
            },
        };
        if len > PackedName::LONGEST {
            return None;
        }
        let words = [to_lower(words[0]), to_lower(words[1]), to_lower(words[2])];
        Some(PackedName { words, len: len as u8 })
    }

    #[inline]
    const fn home_slot(self) -> usize {
        let mixed = self.words[0].rotate_left(23) ^ self.words[1] ^ (self.len as u64) << 56;
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SLOTS.trailing_zeros())) as usize
    }

    #[inline]
    const fn equals(&self, other: PackedName) -> bool {
        self.words[0] == other.words[0]
            && self.words[1] == other.words[1]
            && self.words[2] == other.words[2]
            && self.len == other.len
    }
}

/// Eight bytes at once: sets bit 5 of those from `A` to `Z`.
#[inline]
const fn to_lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let low_bits = word & (0x7f * ONES);
    let from_a = low_bits + (0x80 - b'A' as u64) * ONES;
    let above_z = low_bits + (0x7f - b'Z' as u64) * ONES;
    let upper = (from_a ^ above_z) & !word & (0x80 * ONES);
    word | (upper >> 2)
}

#[derive(Clone, Copy)]
struct Slot {
    name: PackedName,
    row: u16,
}

/// At least twice as many as commands, so that a search is short and ends.
const SLOTS: usize = 1024;

static INDEX: [Slot; SLOTS] = {
    let mut slots = [Slot { name: PackedName { words: [0; 3], len: 0 }, row: 0 }; SLOTS];
    let mut row = 0;
    let mut used = 0;
    while row < NAMES.len() {
        if container_len(NAMES[row].as_bytes()).is_none() {
            let Some(name) = PackedName::of(NAMES[row].as_bytes()) else {
                panic!("a command name is longer than PackedName::LONGEST");
            };
            let mut slot = name.home_slot();
            while slots[slot].name.len != 0 {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = Slot { name, row: row as u16 };
            used += 1;
        }
        row += 1;
    }
    assert!(used * 2 <= SLOTS);
    slots
};

/// The length of the container's name, for a subcommand.
const fn container_len(name: &[u8]) -> Option<usize> {
    let mut i = 0;
    while i < name.len() {
        if name[i] == b'|' {
            return Some(i);
        }
        i += 1;
    }
    None
}

/// How many of the rows after `row` are its subcommands.
const fn subcommand_count(row: usize) -> u8 {
    let mut count = 0;
    if container_len(NAMES[row].as_bytes()).is_none() {
        while row + 1 + count < NAMES.len() && container_len(NAMES[row + 1 + count].as_bytes()).is_some() {
            count += 1;
        }
    }
    count as u8
}

macro_rules! commands {
    ($(group $group:ident { $(
        $id:ident $name:literal $arity:literal $module:ident $(:: $function:ident)*
        [$($flag:ident)*] [$($key:expr),*] [$($tip:ident)*] $(acl [$($category:ident)*])?
        $syntax:literal
        since $since:literal cost $cost:literal $summary:literal
        $(history [$($version:literal $change:literal),*])?
        $(deprecated $until:literal $replacement:literal)?
        $(doc $doc_flag:ident)?;
    )* })*) => {
        /// One name for each row of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum CommandId { $($($id,)*)* }

        const NAMES: &[&str] = &[$($($name,)*)*];

        /// Every row, in the order of [`CommandId`].
        pub static TABLE: &[Command] = &[$($({
            const KEYS: &[KeySpec] = &[$($key),*];
            const FLAGS: Flags = Flags::of(&[$(Flags::$flag),*]).implied_by(KEYS);
            const OWN: AclCategories = commands!(@acl $group $([$($category)*])?);
            const TIPS: &[Tip] = &[$(Tip::$tip),*];
            const DOCS: &Docs = &Docs {
                since: $since,
                complexity: $cost,
                summary: $summary,
                history: &[$($(($version, $change)),*)?],
                deprecated: commands!(@option $(($until, $replacement))?),
                syscmd: commands!(@doc $($doc_flag)?),
            };
            Command {
                id: CommandId::$id,
                name: $name,
                arity: $arity,
                subcommand_count: subcommand_count(CommandId::$id as usize),
                key_shape: KeyShape::of(KEYS),
                handler: commands!(@handler $module $(:: $function)*),
                flags: FLAGS,
                acl: OWN.implied_by(FLAGS),
                group: Group::$group,
                keys: KEYS,
                tips: Tips(TIPS),
                syntax: $syntax,
                docs: DOCS,
            }
        },)*)*];
    };
    (@handler session) => { Handler::Session };
    (@handler $module:ident $(:: $function:ident)+) => { Handler::Data(super::$module$(::$function)+) };
    (@acl $group:ident) => { Group::$group.acl() };
    (@acl $group:ident [$($category:ident)*]) => { AclCategories::of(&[$(AclCategories::$category),*]) };
    (@doc) => { false };
    (@doc syscmd) => { true };
    (@option) => { None };
    (@option $value:expr) => { Some($value) };
}

commands! {
    group Connection {
        Ping "ping" -1 session [FAST] [] [ALL_SHARDS ALL_SUCCEEDED]
            "[message]"
            since "1.0.0" cost "O(1)" "Answers PONG, or the argument if one is given.";

        Echo "echo" 2 session [LOADING STALE FAST] [] []
            "message"
            since "1.0.0" cost "O(1)" "Answers its argument.";

        Select "select" 2 session [LOADING STALE FAST] [] []
            "index:int"
            since "1.0.0" cost "O(1)" "Switches the connection to another database.";

        Auth "auth" -2 session [NOSCRIPT LOADING STALE FAST NO_AUTH ALLOW_BUSY] [] []
            "[username +6.0.0] password"
            since "1.0.0" cost "O(N), N passwords of the user" "Logs the connection in."
            history ["6.0.0" "A user name can come before the password."];

        Hello "hello" -1 session [NOSCRIPT LOADING STALE FAST NO_AUTH ALLOW_BUSY] [] []
            "[arguments(protover:int [AUTH auth(username password)] [SETNAME clientname])]"
            since "6.0.0" cost "O(1)"
            "Switches the protocol version, optionally logs in and names the connection."
            history ["6.2.0" "Without arguments it only describes the connection."];

        Quit "quit" -1 session [NOSCRIPT LOADING STALE FAST NO_AUTH ALLOW_BUSY] [] [] ""
            since "1.0.0" cost "O(1)" "Ends the connection after the reply."
            deprecated "7.2.0" "just closing the connection";

        Reset "reset" 1 session [NOSCRIPT LOADING STALE FAST NO_AUTH ALLOW_BUSY] [] [] ""
            since "6.2.0" cost "O(1)" "Puts the connection back into the state it had when it was accepted.";

        Client "client" -2 session [] [] [] acl [] ""
            since "2.4.0" cost "Depends on the subcommand" "Commands about client connections.";

        ClientId "client|id" 2 session [NOSCRIPT LOADING STALE] [] [] ""
            since "5.0.0" cost "O(1)" "Tells the number of this connection.";

        ClientInfo "client|info" 2 session [NOSCRIPT LOADING STALE] [] [NONDETERMINISTIC] ""
            since "6.2.0" cost "O(1)" "Describes this connection.";

        ClientList "client|list" -2 session [ADMIN NOSCRIPT LOADING STALE] [] [NONDETERMINISTIC]
            "[TYPE client-type(NORMAL | MASTER | REPLICA | PUBSUB) +5.0.0] [ID client-id:int +6.2.0 ...]"
            since "2.4.0" cost "O(N), N connections" "Describes every connection."
            history [
                "2.8.12" "New field `id`.",
                "5.0.0" "Filter by `TYPE`.",
                "6.0.0" "New field `user`.",
                "6.2.0" "New fields `argv-mem`, `tot-mem`, `laddr` and `redir`; filter by `ID`.",
                "7.0.0" "New fields `resp`, `multi-mem`, `rbs` and `rbp`.",
                "7.0.3" "New field `ssub`.",
                "7.2.0" "New fields `lib-name` and `lib-ver`.",
                "7.4.0" "New field `watch`.",
                "8.0.0" "New field `io-thread`."
            ];

        ClientKill "client|kill" -3 session [ADMIN NOSCRIPT LOADING STALE] [] []
            "filter(old-format<ip:port> -2.8.12 | new-format([ID client-id:int +2.8.12] | [TYPE \
             client-type(NORMAL | MASTER +3.2.0 | SLAVE | REPLICA +5.0.0 | PUBSUB) +2.8.12] | [USER \
             username] | [ADDR addr<ip:port>] | [LADDR laddr<ip:port> +6.2.0] | [SKIPME skipme(YES | \
             NO)] | [MAXAGE maxage:int +7.4.0]) ...)"
            since "2.4.0" cost "O(N), N connections" "Closes the connections that match."
            history [
                "2.8.12" "Filters as pairs of words.",
                "2.8.12" "Filter `ID`.",
                "3.2.0" "`TYPE` knows `master`.",
                "5.0.0" "`TYPE` knows `replica`, of which `slave` is the older name.",
                "6.2.0" "Filter `LADDR`.",
                "7.4.0" "Filter `MAXAGE`."
            ];

        ClientGetName "client|getname" 2 session [NOSCRIPT LOADING STALE] [] [] ""
            since "2.6.9" cost "O(1)" "Tells the name given to this connection.";

        ClientSetName "client|setname" 3 session [NOSCRIPT LOADING STALE] [] [ALL_NODES ALL_SUCCEEDED]
            "connection-name"
            since "2.6.9" cost "O(1)" "Names this connection.";

        ClientSetInfo "client|setinfo" 4 session [NOSCRIPT LOADING STALE] [] [ALL_NODES ALL_SUCCEEDED]
            "attr(LIB-NAME libname | LIB-VER libver)"
            since "7.2.0" cost "O(1)" "Records which library, in which version, is using this connection.";

        ClientPause "client|pause" -3 session [ADMIN NOSCRIPT LOADING STALE] [] []
            "timeout:int [mode(WRITE | ALL) +6.2.0]"
            since "3.0.0" cost "O(1)" "Holds back the commands of all clients for a while."
            history ["6.2.0" "A mode, `WRITE` or `ALL`."];

        ClientUnpause "client|unpause" 2 session [ADMIN NOSCRIPT LOADING STALE] [] [] ""
            since "6.2.0" cost "O(N), N held clients" "Ends a pause.";

        ClientUnblock "client|unblock" -3 session [ADMIN NOSCRIPT LOADING STALE] [] []
            "client-id:int [unblock-type(TIMEOUT | ERROR)]"
            since "5.0.0" cost "O(log N), N connections" "Wakes a client that waits in a blocking command.";

        ClientReply "client|reply" 3 session [NOSCRIPT LOADING STALE] [] []
            "action(ON | OFF | SKIP)"
            since "3.2.0" cost "O(1)" "Turns replies to this connection off, on, or off for one command.";

        ClientNoEvict "client|no-evict" 3 session [ADMIN NOSCRIPT LOADING STALE] [] []
            "enabled(ON | OFF)"
            since "7.0.0" cost "O(1)" "Exempts this connection from client eviction, or not.";

        ClientNoTouch "client|no-touch" 3 session [NOSCRIPT LOADING STALE] [] []
            "enabled(ON | OFF)"
            since "7.2.0" cost "O(1)" "Stops this connection's commands from counting as use of keys, or not.";

        ClientGetRedir "client|getredir" 2 session [NOSCRIPT LOADING STALE] [] [] ""
            since "6.0.0" cost "O(1)" "Tells which connection receives this one's invalidation messages.";

        ClientTracking "client|tracking" -3 session [NOSCRIPT LOADING STALE] [] []
            "status(ON | OFF) [REDIRECT client-id:int] [PREFIX prefix]... [BCAST] [OPTIN] [OPTOUT] [NOLOOP]"
            since "6.0.0" cost "O(1); some options cost more"
            "Turns the tracking of keys that this client caches on or off.";

        ClientTrackingInfo "client|trackinginfo" 2 session [NOSCRIPT LOADING STALE] [] [] ""
            since "6.2.0" cost "O(1)" "Tells how this connection's keys are tracked.";

        ClientCaching "client|caching" 3 session [NOSCRIPT LOADING STALE] [] []
            "mode(YES | NO)"
            since "6.0.0" cost "O(1)" "Says whether the keys of the next command are to be tracked.";

        ClientHelp "client|help" 2 session [LOADING STALE] [] [] ""
            since "5.0.0" cost "O(1)" "Lists the subcommands.";
    }

    group Server {
        Command "command" -1 introspect::command [LOADING STALE] [] [ANY_ORDER] acl [CONNECTION] ""
            since "2.8.13" cost "O(N), N commands" "Describes every command.";

        CommandCount "command|count" 2 introspect::command_count [LOADING STALE] [] [] acl [CONNECTION] ""
            since "2.8.13" cost "O(1)" "Counts the commands.";

        CommandInfo "command|info" -2 introspect::command_info [LOADING STALE] [] [ANY_ORDER] acl [CONNECTION]
            "[command-name ...]"
            since "2.8.13" cost "O(N), N names" "Describes the named commands, or all."
            history ["7.0.0" "Without names it describes all."];

        CommandDocs "command|docs" -2 introspect::command_docs [LOADING STALE] [] [ANY_ORDER] acl [CONNECTION]
            "[command-name ...]"
            since "7.0.0" cost "O(N), N names" "Documents the named commands, or all.";

        CommandList "command|list" -2 introspect::command_list [LOADING STALE] [] [ANY_ORDER] acl [CONNECTION]
            "[FILTERBY filterby(MODULE module-name | ACLCAT category | PATTERN pattern:pattern)]"
            since "7.0.0" cost "O(N), N commands" "Names the commands, filtered if asked to.";

        CommandGetKeys "command|getkeys" -3 introspect::command_getkeys [LOADING STALE] [] [] acl [CONNECTION]
            "command [arg ...]"
            since "2.8.13" cost "O(N), N arguments" "Finds the keys in a command.";

        CommandGetKeysAndFlags "command|getkeysandflags" -3 introspect::command_getkeysandflags [LOADING STALE] [] [] acl [CONNECTION]
            "command [arg ...]"
            since "7.0.0" cost "O(N), N arguments" "Finds the keys in a command and what is done with each.";

        CommandHelp "command|help" 2 introspect::command_help [LOADING STALE] [] [] acl [CONNECTION] ""
            since "5.0.0" cost "O(1)" "Lists the subcommands.";

        Config "config" -2 session [] [] [] ""
            since "2.0.0" cost "Depends on the subcommand" "Commands about the server's configuration.";

        ConfigGet "config|get" -3 session [ADMIN NOSCRIPT LOADING STALE] [] []
            "parameter ..."
            since "2.0.0" cost "O(N), N parameters" "Tells the values of the parameters that match."
            history ["7.0.0" "Several patterns in one call."];

        ConfigSet "config|set" -4 session [ADMIN NOSCRIPT LOADING STALE] [] [ALL_NODES ALL_SUCCEEDED]
            "data(parameter value) ..."
            since "2.0.0" cost "O(N), N parameters" "Changes parameters of the running server."
            history ["7.0.0" "Several parameters in one call."];

        ConfigRewrite "config|rewrite" 2 session [ADMIN NOSCRIPT LOADING STALE] [] [ALL_NODES ALL_SUCCEEDED]
            ""
            since "2.8.0" cost "O(1)" "Writes the configuration in force to its file.";

        ConfigResetStat "config|resetstat" 2 session [ADMIN NOSCRIPT LOADING STALE] [
        ] [ALL_NODES ALL_SUCCEEDED] ""
            since "2.0.0" cost "O(1)" "Sets the statistics back to zero.";

        ConfigHelp "config|help" 2 session [LOADING STALE] [] [] ""
            since "5.0.0" cost "O(1)" "Lists the subcommands.";

        Info "info" -1 session [LOADING STALE] [
        ] [NONDETERMINISTIC ALL_SHARDS SPECIAL_RESPONSE] acl [DANGEROUS]
            "[section ...]"
            since "1.0.0" cost "O(1)" "Reports on the server: state, statistics, data."
            history ["7.0.0" "Several sections in one call."];

        DbSize "dbsize" 1 server::dbsize [READONLY FAST] [] [ALL_SHARDS AGG_SUM] acl [KEYSPACE] ""
            since "1.0.0" cost "O(1)" "Counts the keys of the database.";

        FlushDb "flushdb" -1 server::flushdb [WRITE] [] [ALL_SHARDS ALL_SUCCEEDED] acl [KEYSPACE DANGEROUS]
            "[flush-type(ASYNC +4.0.0 | SYNC +6.2.0)]"
            since "1.0.0" cost "O(N), N keys in the database" "Empties the database."
            history ["4.0.0" "Option `ASYNC`.", "6.2.0" "Option `SYNC`."];

        FlushAll "flushall" -1 server::flushall [WRITE] [] [ALL_SHARDS ALL_SUCCEEDED] acl [KEYSPACE DANGEROUS]
            "[flush-type(ASYNC +4.0.0 | SYNC +6.2.0)]"
            since "1.0.0" cost "O(N), N keys in all databases" "Empties every database."
            history ["4.0.0" "Option `ASYNC`.", "6.2.0" "Option `SYNC`."];

        SwapDb "swapdb" 3 server::swapdb [WRITE FAST] [] [] acl [KEYSPACE DANGEROUS]
            "index1:int index2:int"
            since "4.0.0" cost "O(N), N clients that watch or wait for keys of either"
            "Exchanges two databases.";

        Time "time" 1 server::time [LOADING STALE FAST] [] [NONDETERMINISTIC] ""
            since "2.6.0" cost "O(1)" "Tells the time of the server's clock.";

        Role "role" 1 session [NOSCRIPT LOADING STALE FAST] [] [] acl [ADMIN DANGEROUS] ""
            since "2.8.12" cost "O(1)" "Tells the role in replication and its state.";

        LastSave "lastsave" 1 session [LOADING STALE FAST] [] [NONDETERMINISTIC] acl [ADMIN DANGEROUS] ""
            since "1.0.0" cost "O(1)" "Tells when data was last saved.";

        Shutdown "shutdown" -1 session [ADMIN NOSCRIPT LOADING STALE NO_MULTI ALLOW_BUSY] [] []
            "[save-selector(NOSAVE | SAVE)] [NOW +7.0.0] [FORCE +7.0.0] [ABORT +7.0.0]"
            since "1.0.0" cost "O(N) if it saves, N keys in all databases; else O(1)"
            "Ends the server, saving first if it should."
            history ["7.0.0" "Options `NOW`, `FORCE` and `ABORT`."];

        Monitor "monitor" 1 session [ADMIN NOSCRIPT LOADING STALE] [] [] ""
            since "1.0.0" cost "" "Streams every command that the server executes.";

        Lolwut "lolwut" -1 server::lolwut [READONLY FAST] [] []
            "[VERSION version:int]"
            since "5.0.0" cost "" "Draws something and tells the version.";

        SlowLog "slowlog" -2 session [] [] [] ""
            since "2.2.12" cost "Depends on the subcommand" "Commands about the log of slow commands.";

        SlowLogGet "slowlog|get" -2 session [ADMIN LOADING STALE] [] [ALL_NODES NONDETERMINISTIC]
            "[count:int]"
            since "2.2.12" cost "O(N), N entries returned" "Reads the latest entries of the slow log."
            history ["4.0.0" "Address and name of the client in every entry."];

        SlowLogLen "slowlog|len" 2 session [ADMIN LOADING STALE] [] [ALL_NODES AGG_SUM NONDETERMINISTIC] ""
            since "2.2.12" cost "O(1)" "Counts the entries of the slow log.";

        SlowLogReset "slowlog|reset" 2 session [ADMIN LOADING STALE] [] [ALL_NODES ALL_SUCCEEDED] ""
            since "2.2.12" cost "O(N), N entries" "Empties the slow log.";

        SlowLogHelp "slowlog|help" 2 session [LOADING STALE] [] [] ""
            since "6.2.0" cost "O(1)" "Lists the subcommands.";

        Latency "latency" -2 session [] [] [] ""
            since "2.8.13" cost "Depends on the subcommand" "Commands about latency monitoring.";

        LatencyDoctor "latency|doctor" 2 session [ADMIN NOSCRIPT LOADING STALE] [
        ] [NONDETERMINISTIC ALL_NODES SPECIAL_RESPONSE] ""
            since "2.8.13" cost "O(1)" "Explains the latency spikes seen so far.";

        LatencyGraph "latency|graph" 3 session [ADMIN NOSCRIPT LOADING STALE] [
        ] [NONDETERMINISTIC ALL_NODES SPECIAL_RESPONSE]
            "event"
            since "2.8.13" cost "O(1)" "Draws the latency of an event over time.";

        LatencyHistogram "latency|histogram" -2 session [ADMIN NOSCRIPT LOADING STALE] [
        ] [NONDETERMINISTIC ALL_NODES SPECIAL_RESPONSE]
            "[command ...]"
            since "7.0.0" cost "O(N), N commands with data" "Tells the latency distribution of commands.";

        LatencyHistory "latency|history" 3 session [ADMIN NOSCRIPT LOADING STALE] [
        ] [NONDETERMINISTIC ALL_NODES SPECIAL_RESPONSE]
            "event"
            since "2.8.13" cost "O(1)" "Lists the recorded spikes of an event.";

        LatencyLatest "latency|latest" 2 session [ADMIN NOSCRIPT LOADING STALE] [
        ] [NONDETERMINISTIC ALL_NODES SPECIAL_RESPONSE] ""
            since "2.8.13" cost "O(1)" "Lists the latest spike of every event.";

        LatencyReset "latency|reset" -2 session [ADMIN NOSCRIPT LOADING STALE] [] [ALL_NODES AGG_SUM]
            "[event ...]"
            since "2.8.13" cost "O(1)" "Forgets the recorded spikes of the named events, or all.";

        LatencyHelp "latency|help" 2 session [LOADING STALE] [] [] ""
            since "2.8.13" cost "O(1)" "Lists the subcommands.";

        Memory "memory" -2 session [] [] [] ""
            since "4.0.0" cost "Depends on the subcommand" "Commands about memory.";

        MemoryUsage "memory|usage" -3 generic::object::memory_usage [READONLY] [at(2).ro()] []
            "key:key [SAMPLES count:int]"
            since "4.0.0" cost "O(N), N samples" "Estimates how many bytes a key takes.";

        MemoryStats "memory|stats" 2 session [] [] [NONDETERMINISTIC ALL_SHARDS SPECIAL_RESPONSE] ""
            since "4.0.0" cost "O(1)" "Reports where memory goes.";

        MemoryDoctor "memory|doctor" 2 session [] [] [NONDETERMINISTIC ALL_SHARDS SPECIAL_RESPONSE] ""
            since "4.0.0" cost "O(1)" "Explains problems with memory.";

        MemoryPurge "memory|purge" 2 session [] [] [ALL_SHARDS ALL_SUCCEEDED] ""
            since "4.0.0" cost "Depends on the allocator; can be slow"
            "Asks the allocator to give memory back.";

        MemoryMallocStats "memory|malloc-stats" 2 session [] [] [NONDETERMINISTIC ALL_SHARDS SPECIAL_RESPONSE]
            ""
            since "4.0.0" cost "Depends on the allocator; can be slow" "Shows the allocator's own report.";

        MemoryHelp "memory|help" 2 session [LOADING STALE] [] [] ""
            since "4.0.0" cost "O(1)" "Lists the subcommands.";

        Module "module" -2 session [] [] [] ""
            since "4.0.0" cost "Depends on the subcommand" "Commands about modules.";

        ModuleList "module|list" 2 session [ADMIN NOSCRIPT] [] [ANY_ORDER] ""
            since "4.0.0" cost "O(N), N modules" "Lists the loaded modules.";

        ModuleHelp "module|help" 2 session [LOADING STALE] [] [] ""
            since "5.0.0" cost "O(1)" "Lists the subcommands.";

        Acl "acl" -2 session [] [] [] ""
            since "6.0.0" cost "Depends on the subcommand" "Commands about users and what they may do.";

        AclCat "acl|cat" -2 session [NOSCRIPT LOADING STALE] [] []
            "[category]"
            since "6.0.0" cost "O(N), N commands"
            "Lists the categories of commands, or the commands of a category.";

        AclUsers "acl|users" 2 session [ADMIN NOSCRIPT LOADING STALE] [] [] ""
            since "6.0.0" cost "O(N), N users" "Names the users.";

        AclWhoAmI "acl|whoami" 2 session [NOSCRIPT LOADING STALE] [] [] ""
            since "6.0.0" cost "O(1)" "Names the user of this connection.";

        AclHelp "acl|help" 2 session [LOADING STALE] [] [] ""
            since "6.0.0" cost "O(1)" "Lists the subcommands.";

        Debug "debug" -2 session [ADMIN NOSCRIPT LOADING STALE PROTECTED] [] [] ""
            since "1.0.0" cost "Depends on the subcommand" "Commands for debugging the server."
            doc syscmd;
    }

    group Generic {
        Object "object" -2 session [] [] [] acl [] ""
            since "2.2.3" cost "Depends on the subcommand" "Commands about how a value is kept.";

        ObjectEncoding "object|encoding" 3 generic::object::encoding [READONLY] [at(2).ro()] [NONDETERMINISTIC]
            "key:key"
            since "2.2.3" cost "O(1)" "Tells the internal encoding of a value.";

        ObjectFreq "object|freq" 3 generic::object::freq [READONLY] [at(2).ro()] [NONDETERMINISTIC]
            "key:key"
            since "4.0.0" cost "O(1)" "Tells how often a key is used, on the logarithmic scale of LFU.";

        ObjectIdleTime "object|idletime" 3 generic::object::idletime [READONLY] [at(2).ro()] [NONDETERMINISTIC]
            "key:key"
            since "2.2.3" cost "O(1)" "Tells the seconds since a key was last used.";

        ObjectRefCount "object|refcount" 3 generic::object::refcount [READONLY] [at(2).ro()] [NONDETERMINISTIC]
            "key:key"
            since "2.2.3" cost "O(1)" "Tells how many references a value has.";

        ObjectHelp "object|help" 2 generic::object::help [LOADING STALE] [] [] ""
            since "6.2.0" cost "O(1)" "Lists the subcommands.";

        Del "del" -2 generic::del [WRITE] [at(1).to_last().rm().delete()] [MULTI_SHARD AGG_SUM]
            "key:key ..."
            since "1.0.0" cost "O(N), N keys; each collection adds O(M), M elements" "Deletes keys.";

        Unlink "unlink" -2 generic::del [WRITE FAST] [at(1).to_last().rm().delete()] [MULTI_SHARD AGG_SUM]
            "key:key ..."
            since "4.0.0" cost "O(N), N keys; memory is reclaimed in the background"
            "Deletes keys without waiting for their memory.";

        Exists "exists" -2 generic::exists [READONLY FAST] [at(1).to_last().ro()] [MULTI_SHARD AGG_SUM]
            "key:key ..."
            since "1.0.0" cost "O(N), N keys" "Counts how many of the keys exist, repetitions included."
            history ["3.0.3" "Several keys in one call."];

        Touch "touch" -2 generic::touch [READONLY FAST] [at(1).to_last().ro()] [MULTI_SHARD AGG_SUM]
            "key:key ..."
            since "3.2.1" cost "O(N), N keys" "Marks keys as used and counts those that exist.";

        Type "type" 2 generic::r#type [READONLY FAST] [at(1).ro()] []
            "key:key"
            since "1.0.0" cost "O(1)" "Tells the type of the value at a key.";

        Rename "rename" 3 generic::rename [WRITE] [at(1).rw().access().delete(), at(2).ow().update()] []
            "key:key newkey:key@1"
            since "1.0.0" cost "O(1)" "Gives a key another name, replacing what had it.";

        RenameNx "renamenx" 3 generic::renamenx [WRITE FAST] [at(1).rw().access().delete(), at(2).ow().insert()] []
            "key:key newkey:key@1"
            since "1.0.0" cost "O(1)" "Gives a key another name unless that is taken."
            history ["3.2.0" "The same name twice is no longer an error."];

        Copy "copy" -3 generic::copy [WRITE DENYOOM] [at(1).ro().access(), at(2).ow().update()] []
            "source:key destination:key@1 [DB destination-db:int] [REPLACE]"
            since "6.2.0" cost "O(N), N elements; O(1) for strings" "Copies a value to another key.";

        Move "move" 3 generic::r#move [WRITE FAST] [at(1).rw().access().update()] []
            "key:key db:int"
            since "1.0.0" cost "O(1)" "Moves a key to another database.";

        Keys "keys" 2 generic::walk::keys [READONLY TOUCHES_ARBITRARY_KEYS] [
        ] [ALL_SHARDS ANY_ORDER] acl [KEYSPACE DANGEROUS]
            "pattern:pattern"
            since "1.0.0" cost "O(N), N keys in the database" "Lists the keys that match a pattern.";

        Scan "scan" -2 generic::walk::scan [READONLY TOUCHES_ARBITRARY_KEYS] [
        ] [NONDETERMINISTIC SPECIAL_REQUEST SPECIAL_RESPONSE]
            "cursor:int [MATCH pattern:pattern] [COUNT count:int] [TYPE type +6.0.0]"
            since "2.8.0" cost "O(1) a call, O(N) for a full pass, N keys"
            "Steps through the keys of the database."
            history ["6.0.0" "Filter `TYPE`."];

        RandomKey "randomkey" 1 generic::walk::randomkey [READONLY TOUCHES_ARBITRARY_KEYS] [
        ] [ALL_SHARDS SPECIAL_RESPONSE NONDETERMINISTIC] ""
            since "1.0.0" cost "O(1)" "Picks a key at random.";

        Expire "expire" -3 generic::expire::expire [WRITE FAST] [at(1).rw().update()] []
            "key:key seconds:int [condition(NX | XX | GT | LT) +7.0.0]"
            since "1.0.0" cost "O(1)" "Lets a key expire after so many seconds."
            history ["7.0.0" "Conditions `NX`, `XX`, `GT` and `LT`."];

        PExpire "pexpire" -3 generic::expire::pexpire [WRITE FAST] [at(1).rw().update()] []
            "key:key milliseconds:int [condition(NX | XX | GT | LT) +7.0.0]"
            since "2.6.0" cost "O(1)" "Lets a key expire after so many milliseconds."
            history ["7.0.0" "Conditions `NX`, `XX`, `GT` and `LT`."];

        ExpireAt "expireat" -3 generic::expire::expireat [WRITE FAST] [at(1).rw().update()] []
            "key:key unix-time-seconds:time [condition(NX | XX | GT | LT) +7.0.0]"
            since "1.2.0" cost "O(1)" "Lets a key expire at a Unix time in seconds."
            history ["7.0.0" "Conditions `NX`, `XX`, `GT` and `LT`."];

        PExpireAt "pexpireat" -3 generic::expire::pexpireat [WRITE FAST] [at(1).rw().update()] []
            "key:key unix-time-milliseconds:time [condition(NX | XX | GT | LT) +7.0.0]"
            since "2.6.0" cost "O(1)" "Lets a key expire at a Unix time in milliseconds."
            history ["7.0.0" "Conditions `NX`, `XX`, `GT` and `LT`."];

        Ttl "ttl" 2 generic::expire::ttl [READONLY FAST] [at(1).ro().access()] [NONDETERMINISTIC]
            "key:key"
            since "1.0.0" cost "O(1)" "Tells how many seconds a key has left."
            history ["2.8.0" "A missing key answers -2."];

        PTtl "pttl" 2 generic::expire::pttl [READONLY FAST] [at(1).ro().access()] [NONDETERMINISTIC]
            "key:key"
            since "2.6.0" cost "O(1)" "Tells how many milliseconds a key has left."
            history ["2.8.0" "A missing key answers -2."];

        ExpireTime "expiretime" 2 generic::expire::expiretime [READONLY FAST] [at(1).ro().access()] []
            "key:key"
            since "7.0.0" cost "O(1)" "Tells the Unix time in seconds at which a key expires.";

        PExpireTime "pexpiretime" 2 generic::expire::pexpiretime [READONLY FAST] [at(1).ro().access()] []
            "key:key"
            since "7.0.0" cost "O(1)" "Tells the Unix time in milliseconds at which a key expires.";

        Persist "persist" 2 generic::expire::persist [WRITE FAST] [at(1).rw().update()] []
            "key:key"
            since "2.2.0" cost "O(1)" "Makes a key stay forever.";

        Sort "sort" -2 sort::sort [WRITE DENYOOM] [
            at(1).ro().access(),
            unknown().ro().access().note("The keys that `BY` and `GET` lead to depend on the elements"),
            unknown().ow().update().note("`STORE` can stand anywhere")
        ] [] acl [SET SORTED_SET LIST DANGEROUS]
            "key:key [BY by-pattern<pattern>:pattern@1] [LIMIT limit(offset:int count:int)] [GET \
             get-pattern<pattern>:pattern@1]... [order(ASC | DESC)] [sorting=ALPHA] [STORE \
             destination:key@2]"
            since "1.0.0" cost "O(N+M*log(M)), N elements in the key, M returned; O(N) unsorted"
            "Sorts a list, set or sorted set and returns or stores the result.";

        SortRo "sort_ro" -2 sort::sort_ro [READONLY] [
            at(1).ro().access(),
            unknown().ro().access().note("The keys that `BY` and `GET` lead to depend on the elements")
        ] [] acl [SET SORTED_SET LIST DANGEROUS]
            "key:key [BY by-pattern<pattern>:pattern@1] [LIMIT limit(offset:int count:int)] [GET \
             get-pattern<pattern>:pattern@1]... [order(ASC | DESC)] [sorting=ALPHA]"
            since "7.0.0" cost "O(N+M*log(M)), N elements in the key, M returned; O(N) unsorted"
            "Sorts a list, set or sorted set and returns the result.";

        Wait "wait" 3 generic::wait::wait [BLOCKING] [] [ALL_SHARDS AGG_MIN] acl [CONNECTION]
            "numreplicas:int timeout:int"
            since "3.0.0" cost "O(1)"
            "Waits until replicas have what this connection has written.";

        WaitAof "waitaof" 4 generic::wait::waitaof [BLOCKING] [] [ALL_SHARDS AGG_MIN] acl [CONNECTION]
            "numlocal:int numreplicas:int timeout:int"
            since "7.2.0" cost "O(1)"
            "Waits until what this connection has written is in append-only files.";
    }

    group String {
        Append "append" 3 string::append [WRITE DENYOOM FAST] [at(1).rw().insert()] []
            "key:key value"
            since "2.0.0" cost "O(1), amortized over growth" "Adds bytes at the end of a string.";

        Decr "decr" 2 string::decr [WRITE DENYOOM FAST] [at(1).rw().access().update()] []
            "key:key"
            since "1.0.0" cost "O(1)" "Subtracts one from the integer at a key.";

        DecrBy "decrby" 3 string::decrby [WRITE DENYOOM FAST] [at(1).rw().access().update()] []
            "key:key decrement:int"
            since "1.0.0" cost "O(1)" "Subtracts from the integer at a key.";

        Get "get" 2 string::get [READONLY FAST] [at(1).ro().access()] []
            "key:key"
            since "1.0.0" cost "O(1)" "Reads a string.";

        GetDel "getdel" 2 string::getdel [WRITE FAST] [at(1).rw().access().delete()] []
            "key:key"
            since "6.2.0" cost "O(1)" "Reads a string and deletes the key.";

        GetEx "getex" -2 string::getex [WRITE FAST] [
            at(1).rw().access().update().note("Changes when the key expires")
        ] []
            "key:key [expiration(EX seconds:int | PX milliseconds:int | EXAT unix-time-seconds:time | \
             PXAT unix-time-milliseconds:time | PERSIST)]"
            since "6.2.0" cost "O(1)" "Reads a string and changes when the key expires.";

        GetRange "getrange" 4 string::getrange [READONLY] [at(1).ro().access()] []
            "key:key start:int end:int"
            since "2.4.0" cost "O(N), N bytes returned" "Reads a part of a string.";

        GetSet "getset" 3 string::getset [WRITE DENYOOM FAST] [at(1).rw().access().update()] []
            "key:key value"
            since "1.0.0" cost "O(1)" "Replaces a string and returns what it was."
            deprecated "6.2.0" "`SET` with the `!GET` argument";

        Incr "incr" 2 string::incr [WRITE DENYOOM FAST] [at(1).rw().access().update()] []
            "key:key"
            since "1.0.0" cost "O(1)" "Adds one to the integer at a key.";

        IncrBy "incrby" 3 string::incrby [WRITE DENYOOM FAST] [at(1).rw().access().update()] []
            "key:key increment:int"
            since "1.0.0" cost "O(1)" "Adds to the integer at a key.";

        IncrByFloat "incrbyfloat" 3 string::incrbyfloat [WRITE DENYOOM FAST] [at(1).rw().access().update()] []
            "key:key increment:double"
            since "2.6.0" cost "O(1)" "Adds to the floating point number at a key.";

        Lcs "lcs" -3 string::lcs [READONLY] [at(1).until(1).ro().access()] []
            "key1:key key2:key [LEN] [IDX] [MINMATCHLEN min-match-len:int] [WITHMATCHLEN]"
            since "7.0.0" cost "O(N*M), N and M the lengths of the strings"
            "Finds the longest common subsequence of two strings.";

        MGet "mget" -2 string::mget [READONLY FAST] [at(1).to_last().ro().access()] [MULTI_SHARD]
            "key:key ..."
            since "1.0.0" cost "O(N), N keys" "Reads several strings.";

        MSet "mset" -3 string::mset [WRITE DENYOOM] [at(1).to_last_by(2).ow().update()] [MULTI_SHARD ALL_SUCCEEDED]
            "data(key:key value) ..."
            since "1.0.1" cost "O(N), N keys" "Writes several strings at once.";

        MSetNx "msetnx" -3 string::msetnx [WRITE DENYOOM] [at(1).to_last_by(2).ow().insert()] []
            "data(key:key value) ..."
            since "1.0.1" cost "O(N), N keys" "Writes several strings at once if none of the keys exists.";

        PSetEx "psetex" 4 string::psetex [WRITE DENYOOM] [at(1).ow().update()] []
            "key:key milliseconds:int value"
            since "2.6.0" cost "O(1)" "Writes a string that expires after so many milliseconds."
            deprecated "2.6.12" "`SET` with the `PX` argument";

        Set "set" -3 string::set [WRITE DENYOOM] [
            at(1).rw().access().update().variable_flags().note("`GET` reads the old value")
        ] []
            "key:key value [condition(NX | XX) +2.6.12] [GET +6.2.0] [expiration(EX seconds:int \
             +2.6.12 | PX milliseconds:int +2.6.12 | EXAT unix-time-seconds:time +6.2.0 | PXAT \
             unix-time-milliseconds:time +6.2.0 | KEEPTTL +6.0.0)]"
            since "1.0.0" cost "O(1)" "Writes a string, whatever was at the key."
            history [
                "2.6.12" "Options `EX`, `PX`, `NX` and `XX`.",
                "6.0.0" "Option `KEEPTTL`.",
                "6.2.0" "Options `GET`, `EXAT` and `PXAT`.",
                "7.0.0" "`NX` and `GET` together."
            ];

        SetEx "setex" 4 string::setex [WRITE DENYOOM] [at(1).ow().update()] []
            "key:key seconds:int value"
            since "2.0.0" cost "O(1)" "Writes a string that expires after so many seconds."
            deprecated "2.6.12" "`SET` with the `EX` argument";

        SetNx "setnx" 3 string::setnx [WRITE DENYOOM FAST] [at(1).ow().insert()] []
            "key:key value"
            since "1.0.0" cost "O(1)" "Writes a string if the key does not exist."
            deprecated "2.6.12" "`SET` with the `NX` argument";

        SetRange "setrange" 4 string::setrange [WRITE DENYOOM] [at(1).rw().update()] []
            "key:key offset:int value"
            since "2.2.0" cost "O(N), N bytes written" "Overwrites a part of a string.";

        StrLen "strlen" 2 string::strlen [READONLY FAST] [at(1).ro()] []
            "key:key"
            since "2.2.0" cost "O(1)" "Tells the length of a string.";

        Substr "substr" 4 string::substr [READONLY] [at(1).ro().access()] []
            "key:key start:int end:int"
            since "1.0.0" cost "O(N), N bytes returned" "Reads a part of a string."
            deprecated "2.0.0" "`GETRANGE`";
    }

    group Bitmap {
        SetBit "setbit" 4 bitmap::setbit [WRITE DENYOOM] [at(1).rw().access().update()] []
            "key:key offset:int value:int"
            since "2.2.0" cost "O(1)" "Changes one bit of a string.";

        GetBit "getbit" 3 bitmap::getbit [READONLY FAST] [at(1).ro().access()] []
            "key:key offset:int"
            since "2.2.0" cost "O(1)" "Reads one bit of a string.";

        BitCount "bitcount" -2 bitmap::bitcount [READONLY] [at(1).ro().access()] []
            "key:key [range(start:int end:int [unit(BYTE | BIT) +7.0.0])]"
            since "2.6.0" cost "O(N)" "Counts the set bits of a string, or of a part of it."
            history ["7.0.0" "`BYTE` and `BIT` say what the range counts."];

        BitPos "bitpos" -3 bitmap::bitpos [READONLY] [at(1).ro().access()] []
            "key:key bit:int [range(start:int [end-unit-block(end:int [unit(BYTE | BIT) +7.0.0])])]"
            since "2.8.7" cost "O(N)" "Finds the first set or clear bit."
            history ["7.0.0" "`BYTE` and `BIT` say what the range counts."];

        BitOp "bitop" -4 bitmap::bitop [WRITE DENYOOM] [at(2).ow().update(), at(3).to_last().ro().access()] []
            "operation(AND | OR | XOR | NOT) destkey:key key:key@1 ..."
            since "2.6.0" cost "O(N)" "Combines strings bit by bit and stores the result.";

        BitField "bitfield" -2 bitmap::bitfield [WRITE DENYOOM] [
            at(1).rw().access().update().variable_flags().note("Reads and writes")
        ] []
            "key:key [operation(GET get-block(encoding offset:int) | write([OVERFLOW \
             overflow-block(WRAP | SAT | FAIL)] write-operation(SET set-block(encoding offset:int \
             value:int) | INCRBY incrby-block(encoding offset:int increment:int)))) ...]"
            since "3.2.0" cost "O(N), N operations" "Reads and changes integers of any width within a string.";

        BitFieldRo "bitfield_ro" -2 bitmap::bitfield_ro [READONLY FAST] [at(1).ro().access()] []
            "key:key [GET get-block(encoding offset:int)]..."
            since "6.0.0" cost "O(N), N operations" "Reads integers of any width within a string.";
    }

    group Hash {
        HSet "hset" -4 hash::hset [WRITE DENYOOM FAST] [at(1).rw().update()] []
            "key:key data(field value) ..."
            since "2.0.0" cost "O(N), N fields" "Writes fields of a hash."
            history ["4.0.0" "Several fields in one call."];

        HSetNx "hsetnx" 4 hash::hsetnx [WRITE DENYOOM FAST] [at(1).rw().insert()] []
            "key:key field value"
            since "2.0.0" cost "O(1)" "Writes a field of a hash if it does not exist.";

        HGet "hget" 3 hash::hget [READONLY FAST] [at(1).ro().access()] []
            "key:key field"
            since "2.0.0" cost "O(1)" "Reads a field of a hash.";

        HMSet "hmset" -4 hash::hmset [WRITE DENYOOM FAST] [at(1).rw().update()] []
            "key:key data(field value) ..."
            since "2.0.0" cost "O(N), N fields" "Writes fields of a hash."
            deprecated "4.0.0" "`HSET` with multiple field-value pairs";

        HMGet "hmget" -3 hash::hmget [READONLY FAST] [at(1).ro().access()] []
            "key:key field ..."
            since "2.0.0" cost "O(N), N fields" "Reads fields of a hash.";

        HDel "hdel" -3 hash::hdel [WRITE FAST] [at(1).rw().delete()] []
            "key:key field ..."
            since "2.0.0" cost "O(N), N fields" "Removes fields of a hash."
            history ["2.4.0" "Several fields in one call."];

        HGetDel "hgetdel" -5 hash::hgetdel [WRITE FAST] [at(1).rw().access().delete()] []
            "key:key FIELDS fields(numfields:int field ...)"
            since "8.0.0" cost "O(N), N fields" "Reads fields of a hash and removes them.";

        HLen "hlen" 2 hash::hlen [READONLY FAST] [at(1).ro()] []
            "key:key"
            since "2.0.0" cost "O(1)" "Counts the fields of a hash.";

        HStrLen "hstrlen" 3 hash::hstrlen [READONLY FAST] [at(1).ro()] []
            "key:key field"
            since "3.2.0" cost "O(1)" "Tells the length of a field's value.";

        HExists "hexists" 3 hash::hexists [READONLY FAST] [at(1).ro()] []
            "key:key field"
            since "2.0.0" cost "O(1)" "Tells whether a hash has a field.";

        HKeys "hkeys" 2 hash::hkeys [READONLY] [at(1).ro().access()] [ANY_ORDER]
            "key:key"
            since "2.0.0" cost "O(N), N fields" "Lists the fields of a hash.";

        HVals "hvals" 2 hash::hvals [READONLY] [at(1).ro().access()] [ANY_ORDER]
            "key:key"
            since "2.0.0" cost "O(N), N fields" "Lists the values of a hash.";

        HGetAll "hgetall" 2 hash::hgetall [READONLY] [at(1).ro().access()] [ANY_ORDER]
            "key:key"
            since "2.0.0" cost "O(N), N fields" "Lists the fields of a hash with their values.";

        HIncrBy "hincrby" 4 hash::hincrby [WRITE DENYOOM FAST] [at(1).rw().access().update()] []
            "key:key field increment:int"
            since "2.0.0" cost "O(1)" "Adds to the integer in a field.";

        HIncrByFloat "hincrbyfloat" 4 hash::hincrbyfloat [WRITE DENYOOM FAST] [at(1).rw().access().update()] []
            "key:key field increment:double"
            since "2.6.0" cost "O(1)" "Adds to the floating point number in a field.";

        HRandField "hrandfield" -2 hash::hrandfield [READONLY] [at(1).ro().access()] [NONDETERMINISTIC]
            "key:key [options(count:int [WITHVALUES])]"
            since "6.2.0" cost "O(N), N fields returned" "Picks fields of a hash at random.";

        HScan "hscan" -3 hash::hscan [READONLY] [at(1).ro().access()] [NONDETERMINISTIC]
            "key:key cursor:int [MATCH pattern:pattern] [COUNT count:int] [NOVALUES]"
            since "2.8.0" cost "O(1) a call, O(N) for a full pass, N fields" "Steps through a hash.";
    }

    group List {
        LPush "lpush" -3 list::lpush [WRITE DENYOOM FAST] [at(1).rw().insert()] []
            "key:key element ..."
            since "1.0.0" cost "O(N), N elements" "Adds elements at the head of a list."
            history ["2.4.0" "Several elements in one call."];

        RPush "rpush" -3 list::rpush [WRITE DENYOOM FAST] [at(1).rw().insert()] []
            "key:key element ..."
            since "1.0.0" cost "O(N), N elements" "Adds elements at the tail of a list."
            history ["2.4.0" "Several elements in one call."];

        LPushX "lpushx" -3 list::lpushx [WRITE DENYOOM FAST] [at(1).rw().insert()] []
            "key:key element ..."
            since "2.2.0" cost "O(N), N elements" "Adds elements at the head of a list that exists."
            history ["4.0.0" "Several elements in one call."];

        RPushX "rpushx" -3 list::rpushx [WRITE DENYOOM FAST] [at(1).rw().insert()] []
            "key:key element ..."
            since "2.2.0" cost "O(N), N elements" "Adds elements at the tail of a list that exists."
            history ["4.0.0" "Several elements in one call."];

        LPop "lpop" -2 list::lpop [WRITE FAST] [at(1).rw().access().delete()] []
            "key:key [count:int +6.2.0]"
            since "1.0.0" cost "O(N), N elements returned" "Takes elements from the head of a list."
            history ["6.2.0" "A count."];

        RPop "rpop" -2 list::rpop [WRITE FAST] [at(1).rw().access().delete()] []
            "key:key [count:int +6.2.0]"
            since "1.0.0" cost "O(N), N elements returned" "Takes elements from the tail of a list."
            history ["6.2.0" "A count."];

        LMPop "lmpop" -4 list::lmpop [WRITE] [counted(1).rw().access().delete()] []
            "numkeys:int key:key ... where(LEFT | RIGHT) [COUNT count:int]"
            since "7.0.0" cost "O(N+M), N keys, M elements returned"
            "Takes elements from the first of the lists that has any.";

        BLPop "blpop" -3 list::blpop [WRITE BLOCKING] [at(1).until(-2).rw().access().delete()] []
            "key:key ... timeout:double"
            since "2.0.0" cost "O(N), N keys"
            "Takes an element from the head of a list, waiting for one if need be."
            history ["6.0.0" "The timeout may have a fraction."];

        BRPop "brpop" -3 list::brpop [WRITE BLOCKING] [at(1).until(-2).rw().access().delete()] []
            "key:key ... timeout:double"
            since "2.0.0" cost "O(N), N keys"
            "Takes an element from the tail of a list, waiting for one if need be."
            history ["6.0.0" "The timeout may have a fraction."];

        BLMPop "blmpop" -5 list::blmpop [WRITE BLOCKING] [counted(2).rw().access().delete()] []
            "timeout:double numkeys:int key:key ... where(LEFT | RIGHT) [COUNT count:int]"
            since "7.0.0" cost "O(N+M), N keys, M elements returned"
            "Takes elements from the first of the lists that has any, waiting for one if need be.";

        LMove "lmove" 5 list::lmove [WRITE DENYOOM] [at(1).rw().access().delete(), at(2).rw().insert()] []
            "source:key destination:key@1 wherefrom(LEFT | RIGHT) whereto(LEFT | RIGHT)"
            since "6.2.0" cost "O(1)" "Moves an element from an end of one list to an end of another.";

        BLMove "blmove" 6 list::blmove [WRITE DENYOOM BLOCKING] [
            at(1).rw().access().delete(),
            at(2).rw().insert()
        ] []
            "source:key destination:key@1 wherefrom(LEFT | RIGHT) whereto(LEFT | RIGHT) timeout:double"
            since "6.2.0" cost "O(1)"
            "Moves an element from an end of one list to an end of another, waiting for one if need be.";

        RPopLPush "rpoplpush" 3 list::rpoplpush [WRITE DENYOOM] [at(1).rw().access().delete(), at(2).rw().insert()] []
            "source:key destination:key@1"
            since "1.2.0" cost "O(1)" "Moves the last element of a list to the head of another."
            deprecated "6.2.0" "`LMOVE` with the `RIGHT` and `LEFT` arguments";

        BRPopLPush "brpoplpush" 4 list::brpoplpush [WRITE DENYOOM BLOCKING] [
            at(1).rw().access().delete(),
            at(2).rw().insert()
        ] []
            "source:key destination:key@1 timeout:double"
            since "2.2.0" cost "O(1)"
            "Moves the last element of a list to the head of another, waiting for one if need be."
            history ["6.0.0" "The timeout may have a fraction."]
            deprecated "6.2.0" "`BLMOVE` with the `RIGHT` and `LEFT` arguments";

        LIndex "lindex" 3 list::lindex [READONLY] [at(1).ro().access()] []
            "key:key index:int"
            since "1.0.0" cost "O(N), N elements between the index and the nearer end"
            "Reads an element by its index.";

        LInsert "linsert" 5 list::linsert [WRITE DENYOOM] [at(1).rw().insert()] []
            "key:key where(BEFORE | AFTER) pivot element"
            since "2.2.0" cost "O(N), N elements before the pivot" "Adds an element next to another.";

        LLen "llen" 2 list::llen [READONLY FAST] [at(1).ro()] []
            "key:key"
            since "1.0.0" cost "O(1)" "Counts the elements of a list.";

        LPos "lpos" -3 list::lpos [READONLY] [at(1).ro().access()] []
            "key:key element [RANK rank:int] [COUNT num-matches:int] [MAXLEN len:int]"
            since "6.0.6" cost "O(N), N elements looked at" "Finds the indexes of an element.";

        LRange "lrange" 4 list::lrange [READONLY] [at(1).ro().access()] []
            "key:key start:int stop:int"
            since "1.0.0" cost "O(S+N), S elements before the range, N in it" "Reads a range of a list.";

        LRem "lrem" 4 list::lrem [WRITE] [at(1).rw().delete()] []
            "key:key count:int element"
            since "1.0.0" cost "O(N+M), N elements in the list, M removed"
            "Removes elements equal to a value.";

        LSet "lset" 4 list::lset [WRITE DENYOOM] [at(1).rw().update()] []
            "key:key index:int element"
            since "1.0.0" cost "O(N), N elements; O(1) at the ends" "Replaces an element by its index.";

        LTrim "ltrim" 4 list::ltrim [WRITE] [at(1).rw().delete()] []
            "key:key start:int stop:int"
            since "1.0.0" cost "O(N), N elements removed" "Removes everything outside of a range.";
    }

    group Set {
        SAdd "sadd" -3 set::sadd [WRITE DENYOOM FAST] [at(1).rw().insert()] []
            "key:key member ..."
            since "1.0.0" cost "O(N), N members" "Adds members to a set."
            history ["2.4.0" "Several members in one call."];

        SRem "srem" -3 set::srem [WRITE FAST] [at(1).rw().delete()] []
            "key:key member ..."
            since "1.0.0" cost "O(N), N members" "Removes members of a set."
            history ["2.4.0" "Several members in one call."];

        SCard "scard" 2 set::scard [READONLY FAST] [at(1).ro()] []
            "key:key"
            since "1.0.0" cost "O(1)" "Counts the members of a set.";

        SIsMember "sismember" 3 set::sismember [READONLY FAST] [at(1).ro()] []
            "key:key member"
            since "1.0.0" cost "O(1)" "Tells whether a set has a member.";

        SMIsMember "smismember" -3 set::smismember [READONLY FAST] [at(1).ro().access()] []
            "key:key member ..."
            since "6.2.0" cost "O(N), N members" "Tells which of the given members a set has.";

        SMembers "smembers" 2 set::smembers [READONLY] [at(1).ro().access()] [ANY_ORDER]
            "key:key"
            since "1.0.0" cost "O(N), N members" "Lists the members of a set.";

        SMove "smove" 4 set::smove [WRITE FAST] [at(1).rw().access().delete(), at(2).rw().insert()] []
            "source:key destination:key@1 member"
            since "1.0.0" cost "O(1)" "Moves a member from one set to another.";

        SPop "spop" -2 set::spop [WRITE FAST] [at(1).rw().access().delete()] [NONDETERMINISTIC]
            "key:key [count:int +3.2.0]"
            since "1.0.0" cost "O(1), or O(N) with count N" "Takes members of a set at random."
            history ["3.2.0" "A count."];

        SRandMember "srandmember" -2 set::srandmember [READONLY] [at(1).ro().access()] [NONDETERMINISTIC]
            "key:key [count:int +2.6.0]"
            since "1.0.0" cost "O(1), or O(N) with count N" "Picks members of a set at random."
            history ["2.6.0" "A count."];

        SScan "sscan" -3 set::sscan [READONLY] [at(1).ro().access()] [NONDETERMINISTIC]
            "key:key cursor:int [MATCH pattern:pattern] [COUNT count:int]"
            since "2.8.0" cost "O(1) a call, O(N) for a full pass, N members" "Steps through a set.";

        SInter "sinter" -2 set::sinter [READONLY] [at(1).to_last().ro().access()] [ANY_ORDER]
            "key:key ..."
            since "1.0.0" cost "O(N*M) at worst, N members in the smallest set, M sets" "Intersects sets.";

        SInterCard "sintercard" -3 set::sintercard [READONLY] [counted(1).ro().access()] []
            "numkeys:int key:key ... [LIMIT limit:int]"
            since "7.0.0" cost "O(N*M) at worst, N members in the smallest set, M sets"
            "Counts the members of an intersection of sets.";

        SInterStore "sinterstore" -3 set::sinterstore [WRITE DENYOOM] [
            at(1).ow().update(),
            at(2).to_last().ro().access()
        ] []
            "destination:key key:key@1 ..."
            since "1.0.0" cost "O(N*M) at worst, N members in the smallest set, M sets"
            "Intersects sets and stores the result.";

        SUnion "sunion" -2 set::sunion [READONLY] [at(1).to_last().ro().access()] [ANY_ORDER]
            "key:key ..."
            since "1.0.0" cost "O(N), N members in all sets" "Unites sets.";

        SUnionStore "sunionstore" -3 set::sunionstore [WRITE DENYOOM] [
            at(1).ow().update(),
            at(2).to_last().ro().access()
        ] []
            "destination:key key:key@1 ..."
            since "1.0.0" cost "O(N), N members in all sets" "Unites sets and stores the result.";

        SDiff "sdiff" -2 set::sdiff [READONLY] [at(1).to_last().ro().access()] [ANY_ORDER]
            "key:key ..."
            since "1.0.0" cost "O(N), N members in all sets" "Takes from the first set what is in the others.";

        SDiffStore "sdiffstore" -3 set::sdiffstore [WRITE DENYOOM] [
            at(1).ow().update(),
            at(2).to_last().ro().access()
        ] []
            "destination:key key:key@1 ..."
            since "1.0.0" cost "O(N), N members in all sets"
            "Takes from the first set what is in the others and stores the result.";
    }

    group SortedSet {
        ZAdd "zadd" -4 zset::zadd [WRITE DENYOOM FAST] [at(1).rw().update()] []
            "key:key [condition(NX | XX) +3.0.2] [comparison(GT | LT) +6.2.0] [change=CH +3.0.2] \
             [increment=INCR +3.0.2] data(score:double member) ..."
            since "1.2.0" cost "O(log(N)) a member, N members in the sorted set"
            "Adds members to a sorted set or changes their scores."
            history [
                "2.4.0" "Several members in one call.",
                "3.0.2" "Options `XX`, `NX`, `CH` and `INCR`.",
                "6.2.0" "Options `GT` and `LT`."
            ];

        ZIncrBy "zincrby" 4 zset::zincrby [WRITE DENYOOM FAST] [at(1).rw().access().update()] []
            "key:key increment:int member"
            since "1.2.0" cost "O(log(N)), N members" "Adds to the score of a member.";

        ZRem "zrem" -3 zset::zrem [WRITE FAST] [at(1).rw().delete()] []
            "key:key member ..."
            since "1.2.0" cost "O(M*log(N)), N members, M removed" "Removes members of a sorted set."
            history ["2.4.0" "Several members in one call."];

        ZCard "zcard" 2 zset::zcard [READONLY FAST] [at(1).ro()] []
            "key:key"
            since "1.2.0" cost "O(1)" "Counts the members of a sorted set.";

        ZCount "zcount" 4 zset::range::zcount [READONLY FAST] [at(1).ro().access()] []
            "key:key min:double max:double"
            since "2.0.0" cost "O(log(N)), N members" "Counts the members with scores in a range.";

        ZLexCount "zlexcount" 4 zset::range::zlexcount [READONLY FAST] [at(1).ro().access()] []
            "key:key min max"
            since "2.8.9" cost "O(log(N)), N members" "Counts the members in a lexicographical range.";

        ZScore "zscore" 3 zset::zscore [READONLY FAST] [at(1).ro().access()] []
            "key:key member"
            since "1.2.0" cost "O(1)" "Tells the score of a member.";

        ZMScore "zmscore" -3 zset::zmscore [READONLY FAST] [at(1).ro().access()] []
            "key:key member ..."
            since "6.2.0" cost "O(N), N members asked for" "Tells the scores of several members.";

        ZRank "zrank" -3 zset::zrank [READONLY FAST] [at(1).ro().access()] []
            "key:key member [WITHSCORE]"
            since "2.0.0" cost "O(log(N))" "Tells the position of a member, counted from the lowest score."
            history ["7.2.0" "Option `WITHSCORE`."];

        ZRevRank "zrevrank" -3 zset::zrevrank [READONLY FAST] [at(1).ro().access()] []
            "key:key member [WITHSCORE]"
            since "2.0.0" cost "O(log(N))" "Tells the position of a member, counted from the highest score."
            history ["7.2.0" "Option `WITHSCORE`."];

        ZRange "zrange" -4 zset::range::zrange [READONLY] [at(1).ro().access()] []
            "key:key start stop [sortby(BYSCORE | BYLEX) +6.2.0] [REV +6.2.0] [LIMIT limit(offset:int \
             count:int) +6.2.0] [WITHSCORES]"
            since "1.2.0" cost "O(log(N)+M), N members, M returned"
            "Reads a range of a sorted set by position, score or name."
            history ["6.2.0" "Options `REV`, `BYSCORE`, `BYLEX` and `LIMIT`."];

        ZRangeStore "zrangestore" -5 zset::range::zrangestore [WRITE DENYOOM] [at(1).ow().update(), at(2).ro().access()] []
            "dst:key src:key@1 min max [sortby(BYSCORE | BYLEX)] [REV] [LIMIT limit(offset:int \
             count:int)]"
            since "6.2.0" cost "O(log(N)+M), N members, M stored"
            "Stores a range of a sorted set at another key.";

        ZRangeByScore "zrangebyscore" -4 zset::range::zrangebyscore [READONLY] [at(1).ro().access()] []
            "key:key min:double max:double [WITHSCORES +2.0.0] [LIMIT limit(offset:int count:int)]"
            since "1.0.5" cost "O(log(N)+M), N members, M returned"
            "Reads the members with scores in a range."
            history ["2.0.0" "Option `WITHSCORES`."]
            deprecated "6.2.0" "`ZRANGE` with the `BYSCORE` argument";

        ZRangeByLex "zrangebylex" -4 zset::range::zrangebylex [READONLY] [at(1).ro().access()] []
            "key:key min max [LIMIT limit(offset:int count:int)]"
            since "2.8.9" cost "O(log(N)+M), N members, M returned"
            "Reads the members in a lexicographical range."
            deprecated "6.2.0" "`ZRANGE` with the `BYLEX` argument";

        ZRevRange "zrevrange" -4 zset::range::zrevrange [READONLY] [at(1).ro().access()] []
            "key:key start:int stop:int [WITHSCORES]"
            since "1.2.0" cost "O(log(N)+M), N members, M returned"
            "Reads a range by position, from the highest score down."
            deprecated "6.2.0" "`ZRANGE` with the `REV` argument";

        ZRevRangeByScore "zrevrangebyscore" -4 zset::range::zrevrangebyscore [READONLY] [at(1).ro().access()] []
            "key:key max:double min:double [WITHSCORES] [LIMIT limit(offset:int count:int)]"
            since "2.2.0" cost "O(log(N)+M), N members, M returned"
            "Reads the members with scores in a range, from the highest down."
            history ["2.1.6" "Bounds can be exclusive."]
            deprecated "6.2.0" "`ZRANGE` with the `REV` and `BYSCORE` arguments";

        ZRevRangeByLex "zrevrangebylex" -4 zset::range::zrevrangebylex [READONLY] [at(1).ro().access()] []
            "key:key max min [LIMIT limit(offset:int count:int)]"
            since "2.8.9" cost "O(log(N)+M), N members, M returned"
            "Reads the members in a lexicographical range, from the last back."
            deprecated "6.2.0" "`ZRANGE` with the `REV` and `BYLEX` arguments";

        ZRemRangeByRank "zremrangebyrank" 4 zset::range::zremrangebyrank [WRITE] [at(1).rw().delete()] []
            "key:key start:int stop:int"
            since "2.0.0" cost "O(log(N)+M), N members, M removed" "Removes a range of members by position.";

        ZRemRangeByScore "zremrangebyscore" 4 zset::range::zremrangebyscore [WRITE] [at(1).rw().delete()] []
            "key:key min:double max:double"
            since "1.2.0" cost "O(log(N)+M), N members, M removed"
            "Removes the members with scores in a range.";

        ZRemRangeByLex "zremrangebylex" 4 zset::range::zremrangebylex [WRITE] [at(1).rw().delete()] []
            "key:key min max"
            since "2.8.9" cost "O(log(N)+M), N members, M removed"
            "Removes the members in a lexicographical range.";

        ZPopMin "zpopmin" -2 zset::pop::zpopmin [WRITE FAST] [at(1).rw().access().delete()] []
            "key:key [count:int]"
            since "5.0.0" cost "O(log(N)*M), N members, M taken" "Takes the members with the lowest scores.";

        ZPopMax "zpopmax" -2 zset::pop::zpopmax [WRITE FAST] [at(1).rw().access().delete()] []
            "key:key [count:int]"
            since "5.0.0" cost "O(log(N)*M), N members, M taken" "Takes the members with the highest scores.";

        ZMPop "zmpop" -4 zset::pop::zmpop [WRITE] [counted(1).rw().access().delete()] []
            "numkeys:int key:key ... where(MIN | MAX) [COUNT count:int]"
            since "7.0.0" cost "O(K) + O(M*log(N)), K keys, N members, M taken"
            "Takes members from the first of the sorted sets that has any.";

        BZPopMin "bzpopmin" -3 zset::pop::bzpopmin [WRITE BLOCKING FAST] [at(1).until(-2).rw().access().delete()] []
            "key:key ... timeout:double"
            since "5.0.0" cost "O(log(N)), N members"
            "Takes the member with the lowest score, waiting for one if need be."
            history ["6.0.0" "The timeout may have a fraction."];

        BZPopMax "bzpopmax" -3 zset::pop::bzpopmax [WRITE BLOCKING FAST] [at(1).until(-2).rw().access().delete()] []
            "key:key ... timeout:double"
            since "5.0.0" cost "O(log(N)), N members"
            "Takes the member with the highest score, waiting for one if need be."
            history ["6.0.0" "The timeout may have a fraction."];

        BZMPop "bzmpop" -5 zset::pop::bzmpop [WRITE BLOCKING] [counted(2).rw().access().delete()] []
            "timeout:double numkeys:int key:key ... where(MIN | MAX) [COUNT count:int]"
            since "7.0.0" cost "O(K) + O(M*log(N)), K keys, N members, M taken"
            "Takes members from the first of the sorted sets that has any, waiting for one if need be.";

        ZRandMember "zrandmember" -2 zset::zrandmember [READONLY] [at(1).ro().access()] [NONDETERMINISTIC]
            "key:key [options(count:int [WITHSCORES])]"
            since "6.2.0" cost "O(N), N members returned" "Picks members of a sorted set at random.";

        ZScan "zscan" -3 zset::zscan [READONLY] [at(1).ro().access()] [NONDETERMINISTIC]
            "key:key cursor:int [MATCH pattern:pattern] [COUNT count:int]"
            since "2.8.0" cost "O(1) a call, O(N) for a full pass, N members" "Steps through a sorted set.";

        ZInter "zinter" -3 zset::combine::zinter [READONLY] [counted(1).ro().access()] []
            "numkeys:int key:key ... [WEIGHTS weight:int ...] [AGGREGATE aggregate(SUM | MIN | MAX)] \
             [WITHSCORES]"
            since "6.2.0" cost "O(N*K)+O(M*log(M)) at worst, N members in the smallest input, K inputs, M results"
            "Intersects sorted sets.";

        ZInterCard "zintercard" -3 zset::combine::zintercard [READONLY] [counted(1).ro().access()] []
            "numkeys:int key:key ... [LIMIT limit:int]"
            since "7.0.0" cost "O(N*K) at worst, N members in the smallest input, K inputs"
            "Counts the members of an intersection of sorted sets.";

        ZInterStore "zinterstore" -4 zset::combine::zinterstore [WRITE DENYOOM] [
            at(1).ow().update(),
            counted(2).ro().access()
        ] []
            "destination:key numkeys:int key:key@1 ... [WEIGHTS weight:int ...] [AGGREGATE \
             aggregate(SUM | MIN | MAX)]"
            since "2.0.0" cost "O(N*K)+O(M*log(M)) at worst, N members in the smallest input, K inputs, M results"
            "Intersects sorted sets and stores the result.";

        ZUnion "zunion" -3 zset::combine::zunion [READONLY] [counted(1).ro().access()] []
            "numkeys:int key:key ... [WEIGHTS weight:int ...] [AGGREGATE aggregate(SUM | MIN | MAX)] \
             [WITHSCORES]"
            since "6.2.0" cost "O(N)+O(M*log(M)), N members in all inputs, M results" "Unites sorted sets.";

        ZUnionStore "zunionstore" -4 zset::combine::zunionstore [WRITE DENYOOM] [
            at(1).ow().update(),
            counted(2).ro().access()
        ] []
            "destination:key numkeys:int key:key@1 ... [WEIGHTS weight:int ...] [AGGREGATE \
             aggregate(SUM | MIN | MAX)]"
            since "2.0.0" cost "O(N)+O(M*log(M)), N members in all inputs, M results"
            "Unites sorted sets and stores the result.";

        ZDiff "zdiff" -3 zset::combine::zdiff [READONLY] [counted(1).ro().access()] []
            "numkeys:int key:key ... [WITHSCORES]"
            since "6.2.0" cost "O(L + (N-K)log(N)) at worst, L members in all inputs, N in the first, K results"
            "Takes from the first sorted set what is in the others.";

        ZDiffStore "zdiffstore" -4 zset::combine::zdiffstore [WRITE DENYOOM] [at(1).ow().update(), counted(2).ro().access()] []
            "destination:key numkeys:int key:key@1 ..."
            since "6.2.0" cost "O(L + (N-K)log(N)) at worst, L members in all inputs, N in the first, K results"
            "Takes from the first sorted set what is in the others and stores the result.";
    }

    group Transactions {
        Multi "multi" 1 session [NOSCRIPT LOADING STALE FAST ALLOW_BUSY] [] [] ""
            since "1.2.0" cost "O(1)" "Begins a transaction: commands are queued from here on.";

        Exec "exec" 1 session [NOSCRIPT LOADING STALE SKIP_SLOWLOG] [] [] ""
            since "1.2.0" cost "That of the queued commands" "Runs the queued commands as one.";

        Discard "discard" 1 session [NOSCRIPT LOADING STALE FAST ALLOW_BUSY] [] [] ""
            since "2.0.0" cost "O(N), N queued commands" "Forgets the queued commands.";

        Watch "watch" -2 session [NOSCRIPT LOADING STALE FAST ALLOW_BUSY] [at(1).to_last().ro()] []
            "key:key ..."
            since "2.2.0" cost "O(N), N keys" "Makes the next EXEC depend on keys staying as they are.";

        Unwatch "unwatch" 1 session [NOSCRIPT LOADING STALE FAST ALLOW_BUSY] [] [] ""
            since "2.2.0" cost "O(1)" "Ends all watches of the connection.";
    }

    group PubSub {
        Subscribe "subscribe" -2 session [PUBSUB NOSCRIPT LOADING STALE] [] []
            "channel ..."
            since "2.0.0" cost "O(N), N channels" "Subscribes to channels.";

        Unsubscribe "unsubscribe" -1 session [PUBSUB NOSCRIPT LOADING STALE] [] []
            "[channel ...]"
            since "2.0.0" cost "O(N), N channels" "Ends subscriptions to channels.";

        PSubscribe "psubscribe" -2 session [PUBSUB NOSCRIPT LOADING STALE] [] []
            "pattern:pattern ..."
            since "2.0.0" cost "O(N), N patterns" "Subscribes to every channel that matches a pattern.";

        PUnsubscribe "punsubscribe" -1 session [PUBSUB NOSCRIPT LOADING STALE] [] []
            "[pattern:pattern ...]"
            since "2.0.0" cost "O(N), N patterns" "Ends subscriptions to patterns.";

        Publish "publish" 3 session [PUBSUB LOADING STALE FAST MAY_REPLICATE] [] []
            "channel message"
            since "2.0.0" cost "O(N+M), N subscribers of the channel, M patterns in use"
            "Sends a message to a channel.";

        PubSub "pubsub" -2 session [] [] [] acl [] ""
            since "2.8.0" cost "Depends on the subcommand" "Commands about publish/subscribe.";

        PubSubChannels "pubsub|channels" -2 session [PUBSUB LOADING STALE] [] []
            "[pattern:pattern]"
            since "2.8.0" cost "O(N), N channels in use" "Lists the channels that have subscribers.";

        PubSubNumSub "pubsub|numsub" -2 session [PUBSUB LOADING STALE] [] []
            "[channel ...]"
            since "2.8.0" cost "O(N), N channels" "Counts the subscribers of channels.";

        PubSubNumPat "pubsub|numpat" 2 session [PUBSUB LOADING STALE] [] [] ""
            since "2.8.0" cost "O(1)" "Counts the patterns in use.";

        PubSubShardChannels "pubsub|shardchannels" -2 session [PUBSUB LOADING STALE] [] []
            "[pattern:pattern]"
            since "7.0.0" cost "O(N), N shard channels in use"
            "Lists the shard channels that have subscribers.";

        PubSubShardNumSub "pubsub|shardnumsub" -2 session [PUBSUB LOADING STALE] [] []
            "[shardchannel ...]"
            since "7.0.0" cost "O(N), N shard channels" "Counts the subscribers of shard channels.";

        PubSubHelp "pubsub|help" 2 session [LOADING STALE] [] [] acl [] ""
            since "6.2.0" cost "O(1)" "Lists the subcommands.";

        SSubscribe "ssubscribe" -2 session [PUBSUB NOSCRIPT LOADING STALE] [at(1).to_last().not_key()] []
            "shardchannel ..."
            since "7.0.0" cost "O(N), N shard channels" "Subscribes to shard channels.";

        SUnsubscribe "sunsubscribe" -1 session [PUBSUB NOSCRIPT LOADING STALE] [at(1).to_last().not_key()] []
            "[shardchannel ...]"
            since "7.0.0" cost "O(N), N shard channels" "Ends subscriptions to shard channels.";

        SPublish "spublish" 3 session [PUBSUB LOADING STALE FAST MAY_REPLICATE] [at(1).not_key()] []
            "shardchannel message"
            since "7.0.0" cost "O(N), N subscribers of the shard channel"
            "Sends a message to a shard channel.";
    }

    group Cluster {
        ReadOnly "readonly" 1 session [LOADING STALE FAST] [] [] acl [CONNECTION] ""
            since "3.0.0" cost "O(1)" "Lets the connection read from a replica in a cluster.";

        ReadWrite "readwrite" 1 session [LOADING STALE FAST] [] [] acl [CONNECTION] ""
            since "3.0.0" cost "O(1)" "Takes READONLY back.";
    }

    group Scripting {
        Function "function" -2 session [] [] [] acl [] ""
            since "7.0.0" cost "Depends on the subcommand" "Commands about function libraries.";

        FunctionList "function|list" -2 session [NOSCRIPT] [] [ANY_ORDER]
            "[LIBRARYNAME library-name-pattern] [WITHCODE]"
            since "7.0.0" cost "O(N), N functions" "Lists the libraries and their functions.";

        FunctionFlush "function|flush" -2 session [WRITE NOSCRIPT] [] [ALL_SHARDS ALL_SUCCEEDED]
            "[flush-type(ASYNC | SYNC)]"
            since "7.0.0" cost "O(N), N functions deleted" "Deletes every library.";

        FunctionDump "function|dump" 2 session [NOSCRIPT] [] [] ""
            since "7.0.0" cost "O(N), N functions" "Serializes every library.";

        FunctionStats "function|stats" 2 session [NOSCRIPT ALLOW_BUSY] [
        ] [NONDETERMINISTIC ALL_SHARDS SPECIAL_RESPONSE] ""
            since "7.0.0" cost "O(1)" "Tells which function runs and which engines exist.";

        FunctionHelp "function|help" 2 session [LOADING STALE] [] [] ""
            since "7.0.0" cost "O(1)" "Lists the subcommands.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::spec::KeyFlags;

    #[test]
    fn every_row_is_found_by_its_name_in_any_case() {
        for row in TABLE {
            assert_eq!(row.name, row.name.to_ascii_lowercase());
            for name in [row.name.to_owned(), row.name.to_ascii_uppercase(), capitalized(row.name)] {
                let found = lookup_full_name(name.as_bytes()).map(|found| found.id);
                assert_eq!(found, Some(row.id), "{name}");
            }
        }
    }

    fn capitalized(name: &str) -> String {
        name[..1].to_ascii_uppercase() + &name[1..]
    }

    #[test]
    fn names_are_unique_and_ids_are_positions() {
        let mut names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CommandId::COUNT);
        for (position, row) in TABLE.iter().enumerate() {
            assert_eq!(row.id as usize, position);
            assert!(std::ptr::eq(row.id.command(), row));
        }
    }

    #[test]
    fn subcommands_follow_their_container() {
        let mut below_containers = 0;
        for container in TABLE {
            for row in container.subcommands() {
                assert!(row.name.starts_with(&format!("{}|", container.name)), "{}", row.name);
                assert_eq!(row.name_args(), 2);
                below_containers += 1;
            }
        }
        assert_eq!(below_containers, TABLE.iter().filter(|row| row.name.contains('|')).count());
    }

    #[test]
    fn no_name_but_the_right_one_is_found() {
        // Every byte changed to every other value: the packed comparison must be exact, not only for letters.
        for row in TABLE.iter().filter(|row| !row.name.contains('|')) {
            let mut name = row.name.as_bytes().to_vec();
            for position in 0..name.len() {
                let right = name[position];
                for byte in 0..=u8::MAX {
                    name[position] = byte;
                    let expected = TABLE.iter().find(|row| row.name.as_bytes().eq_ignore_ascii_case(&name));
                    assert_eq!(lookup(&name).map(|row| row.id), expected.map(|row| row.id), "{name:?}");
                }
                name[position] = right;
            }
        }
        for name in ["", "g", "ge", "gett", "client|id", "a name that is longer than any command's name"] {
            assert!(lookup(name.as_bytes()).is_none(), "{name}");
        }
        assert!(lookup(&[0; 300]).is_none());
    }

    #[test]
    fn searches_for_a_name_are_short() {
        let longest_run = INDEX.split(|slot| slot.name.len == 0).map(<[Slot]>::len).max();
        assert!(longest_run < Some(12), "{longest_run:?}");
    }

    #[test]
    fn every_key_spec_says_exactly_one_thing_about_the_value() {
        let kinds = [KeyFlags::RO, KeyFlags::RW, KeyFlags::OW, KeyFlags::RM, KeyFlags::NOT_KEY];
        for row in TABLE {
            for spec in row.keys {
                assert_eq!(
                    kinds.iter().filter(|&&kind| spec.flags.contains(kind)).count(),
                    1,
                    "{}",
                    row.name
                );
                let writes = !spec.flags.intersects(KeyFlags::RO.with(KeyFlags::NOT_KEY));
                assert!(!writes || row.is_write(), "{}", row.name);
            }
            assert!(!(row.is_write() && row.is_readonly()), "{}", row.name);
        }
    }
}
