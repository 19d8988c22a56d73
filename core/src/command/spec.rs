//! What a row of the command table states: flags, key specs, tips, ACL categories, documentation.
//!
//! The vocabulary is Redis's, so that every view a client can ask for (`COMMAND INFO`, `COMMAND DOCS`, `ACL CAT`) is a
//! rendering of a row. What follows from other facts is computed here, at compile time, and never written in a row:
//! ACL categories from flags and group, the key shape and the legacy key range from the key specs.
//!
//! The rows are in [`super::table`]; reading keys out of a command is in [`super::getkeys`].

use super::HandlerFn;
use super::table::{CommandId, TABLE};

/// One row of the table: a command, a container of subcommands, or a subcommand.
pub struct Command {
    pub id: CommandId,
    /// In lower case; a subcommand is `container|subcommand`.
    pub name: &'static str,
    /// The number of arguments, names included. Negative: at least that many.
    pub arity: i8,
    /// How many rows after this one are its subcommands.
    pub subcommand_count: u8,
    pub key_shape: KeyShape,
    pub handler: Handler,
    pub flags: Flags,
    pub acl: AclCategories,
    pub group: Group,
    pub keys: &'static [KeySpec],
    pub tips: Tips,
    /// The arguments in the notation of [`super::syntax`].
    pub syntax: &'static str,
    pub docs: &'static Docs,
}

/// Who runs a command.
#[derive(Clone, Copy)]
pub enum Handler {
    /// Works on data only: run through the one door by whoever has the data.
    Data(HandlerFn),
    /// Needs what only a server has (the connection, other connections, the configuration).
    Session,
}

impl Command {
    #[inline]
    pub fn is_write(&self) -> bool {
        self.flags.contains(Flags::WRITE)
    }

    #[inline]
    pub fn is_readonly(&self) -> bool {
        self.flags.contains(Flags::READONLY)
    }

    /// Whether a command of `argc` arguments, names included, has a number of arguments this row accepts.
    #[inline]
    pub fn accepts_arity(&self, argc: usize) -> bool {
        let bound = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { argc >= bound } else { argc == bound }
    }

    /// How many leading arguments are names: 2 for a subcommand, otherwise 1.
    pub fn name_args(&self) -> usize {
        if self.name.contains('|') { 2 } else { 1 }
    }

    /// The rows of this container's subcommands; empty for any other command.
    pub fn subcommands(&self) -> &'static [Command] {
        let first = self.id as usize + 1;
        &TABLE[first..first + self.subcommand_count as usize]
    }

    /// Where the keys are, as clients knew it before key specs.
    pub fn legacy_range(&self) -> LegacyRange {
        LegacyRange::of(self.keys)
    }

    /// Whether any argument can be a key.
    #[inline]
    pub fn takes_keys(&self) -> bool {
        !matches!(self.key_shape, KeyShape::None)
    }
}

/// Where the keys are, reduced to what a router wants to know first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyShape {
    /// No argument is a key.
    None,
    /// Exactly this argument is a key.
    One(u8),
    /// Every `step`th argument from `first`, up to the last argument.
    From { first: u8, step: u8 },
    /// See the key specs, through [`super::getkeys::keys`].
    Specs,
}

impl Flags {
    /// The flags of a row that names these and has these keys.
    pub(super) const fn implied_by(self, keys: &[KeySpec]) -> Flags {
        if LegacyRange::of(keys).movable { self.with(Flags::MOVABLE_KEYS) } else { self }
    }
}

impl KeyShape {
    pub(super) const fn of(keys: &[KeySpec]) -> KeyShape {
        let mut i = 0;
        let mut real = 0;
        while i < keys.len() {
            if !keys[i].flags.contains(KeyFlags::NOT_KEY) {
                real += 1;
            }
            i += 1;
        }
        if real == 0 {
            return KeyShape::None;
        }
        if keys.len() > 1 || keys[0].flags.contains(KeyFlags::INCOMPLETE) {
            return KeyShape::Specs;
        }
        match (keys[0].begin, keys[0].find) {
            (Begin::Index(index), Find::Range { last: 0, .. }) => KeyShape::One(index),
            (Begin::Index(first), Find::Range { last: -1, step, limit: 0 }) => KeyShape::From { first, step },
            _ => KeyShape::Specs,
        }
    }

    /// The argument index of the first key, where that follows without looking at the arguments.
    #[inline]
    pub const fn first_key_index(self) -> Option<usize> {
        match self {
            KeyShape::One(index) | KeyShape::From { first: index, .. } => Some(index as usize),
            KeyShape::None | KeyShape::Specs => None,
        }
    }
}

/// First key, last key (negative: counted from the end) and step. Specs that follow each other without a gap are joined,
/// as in `LMOVE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacyRange {
    pub first: i8,
    pub last: i8,
    pub step: u8,
    /// Whether there are keys beyond this range.
    pub(super) movable: bool,
}

impl LegacyRange {
    pub(super) const fn of(keys: &[KeySpec]) -> LegacyRange {
        let mut joined = LegacyRange { first: 0, last: 0, step: 0, movable: false };
        let mut i = 0;
        while i < keys.len() {
            joined.movable |= keys[i].flags.contains(KeyFlags::INCOMPLETE);
            match (keys[i].begin, keys[i].find) {
                (Begin::Index(first), Find::Range { last, step, .. }) => {
                    let first = first as i8;
                    let last = if last >= 0 { first + last } else { last };
                    if keys.len() == 1 {
                        joined = LegacyRange { first, last, step, ..joined };
                    } else if step == 1 && joined.first == 0 {
                        joined = LegacyRange { first, last, step: 1, ..joined };
                    } else if step == 1 && joined.last + 1 == first {
                        joined.last = last;
                    } else {
                        joined.movable = true;
                    }
                }
                _ => joined.movable = true,
            }
            i += 1;
        }
        joined
    }
}

/// A set of bits with names, printable in a fixed order, usable in constants.
macro_rules! bit_set {
    ($(#[$doc:meta])* $set:ident($repr:ty) { $($(#[$bit_doc:meta])* $bit:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $set($repr);

        impl $set {
            bit_set!(@constants $repr, 0, $($(#[$bit_doc])* $bit,)*);

            /// Every member and its name, in the order in which Redis lists them.
            pub const NAMES: &'static [($set, &'static str)] = &[$(($set::$bit, $name),)*];

            pub const fn empty() -> $set {
                $set(0)
            }

            pub const fn of(members: &[$set]) -> $set {
                let mut all = $set::empty();
                let mut i = 0;
                while i < members.len() {
                    all = all.with(members[i]);
                    i += 1;
                }
                all
            }

            #[must_use]
            pub const fn with(self, other: $set) -> $set {
                $set(self.0 | other.0)
            }

            /// Whether every member of `other` is in this set.
            #[inline]
            pub const fn contains(self, other: $set) -> bool {
                self.0 & other.0 == other.0
            }

            #[inline]
            pub const fn intersects(self, other: $set) -> bool {
                self.0 & other.0 != 0
            }

            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// The names of the members, in Redis's order. Members without a name are not shown to clients.
            pub fn names(self) -> impl Iterator<Item = &'static str> + Clone {
                Self::NAMES
                    .iter()
                    .filter(move |&&(member, name)| self.contains(member) && !name.is_empty())
                    .map(|&(_, name)| name)
            }
        }
    };
    (@constants $repr:ty, $n:expr, $(#[$doc:meta])* $bit:ident, $($rest:tt)*) => {
        $(#[$doc])*
        pub const $bit: Self = Self(1 << ($n));
        bit_set!(@constants $repr, $n + 1, $($rest)*);
    };
    (@constants $repr:ty, $n:expr,) => {};
}

bit_set! {
    /// Properties of a command that gates, the journal, transactions and monitoring look at.
    Flags(u32) {
        /// Changes data.
        WRITE = "write",
        /// Reads data and changes none.
        READONLY = "readonly",
        /// Can need more memory: refused when over `maxmemory` and nothing can be evicted.
        DENYOOM = "denyoom",
        ADMIN = "admin",
        PUBSUB = "pubsub",
        /// Not allowed in scripts.
        NOSCRIPT = "noscript",
        /// Can make the client wait.
        BLOCKING = "blocking",
        /// Allowed while the data set is being loaded.
        LOADING = "loading",
        /// Allowed on a replica whose data is stale.
        STALE = "stale",
        SKIP_MONITOR = "skip_monitor",
        SKIP_SLOWLOG = "skip_slowlog",
        /// Behaves as if preceded by `ASKING`.
        ASKING = "asking",
        /// Constant or logarithmic time.
        FAST = "fast",
        /// Allowed before authentication.
        NO_AUTH = "no_auth",
        /// Can reach replicas and the journal although it changes no data.
        MAY_REPLICATE = "",
        /// May be called in a form that has no key.
        NO_MANDATORY_KEYS = "no_mandatory_keys",
        /// Allowed only as `enable-debug-command` or its like say.
        PROTECTED = "",
        /// Not allowed during asynchronous loading, which otherwise serves the old data.
        NO_ASYNC_LOADING = "no_async_loading",
        /// Not allowed inside `MULTI`.
        NO_MULTI = "no_multi",
        /// Has keys that the legacy range does not tell. Follows from the key specs; no row says it.
        MOVABLE_KEYS = "movablekeys",
        /// Allowed while a script has been running for too long.
        ALLOW_BUSY = "allow_busy",
        /// Can touch, and so lazily expire, keys that are not among its arguments.
        TOUCHES_ARBITRARY_KEYS = "",
    }
}

bit_set! {
    /// What a command does with a key: one of the first four, and how that is visible to the user.
    KeyFlags(u16) {
        RO = "RO",
        RW = "RW",
        /// Overwrites whatever was there.
        OW = "OW",
        /// Removes without looking at the value.
        RM = "RM",
        /// Returns or copies the user's data.
        ACCESS = "access",
        /// Changes the user's data, possibly depending on what it was.
        UPDATE = "update",
        /// Only adds data.
        INSERT = "insert",
        /// Removes some of the content, or the key.
        DELETE = "delete",
        /// Is not a key, but is routed as if it were (shard channels).
        NOT_KEY = "not_key",
        /// The spec does not find every key.
        INCOMPLETE = "incomplete",
        /// The flags depend on other arguments; these are the widest.
        VARIABLE_FLAGS = "variable_flags",
    }
}

bit_set! {
    /// The categories by which ACL rules name commands.
    AclCategories(u32) {
        KEYSPACE = "keyspace",
        READ = "read",
        WRITE = "write",
        SET = "set",
        SORTED_SET = "sortedset",
        LIST = "list",
        HASH = "hash",
        STRING = "string",
        BITMAP = "bitmap",
        HYPERLOGLOG = "hyperloglog",
        GEO = "geo",
        STREAM = "stream",
        PUBSUB = "pubsub",
        ADMIN = "admin",
        FAST = "fast",
        SLOW = "slow",
        BLOCKING = "blocking",
        DANGEROUS = "dangerous",
        CONNECTION = "connection",
        TRANSACTION = "transaction",
        SCRIPTING = "scripting",
    }
}

impl AclCategories {
    /// The categories of a row whose own are these (from its group, unless the row names them): Redis adds some
    /// that follow from the flags.
    pub(super) const fn implied_by(self, flags: Flags) -> AclCategories {
        let mut all = self;
        if flags.contains(Flags::WRITE) {
            all = all.with(AclCategories::WRITE);
        }
        if flags.contains(Flags::READONLY) && !self.contains(AclCategories::SCRIPTING) {
            all = all.with(AclCategories::READ);
        }
        if flags.contains(Flags::ADMIN) {
            all = all.with(AclCategories::ADMIN).with(AclCategories::DANGEROUS);
        }
        if flags.contains(Flags::PUBSUB) {
            all = all.with(AclCategories::PUBSUB);
        }
        if flags.contains(Flags::BLOCKING) {
            all = all.with(AclCategories::BLOCKING);
        }
        all.with(if flags.contains(Flags::FAST) { AclCategories::FAST } else { AclCategories::SLOW })
    }
}

/// The chapter of the command reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Generic,
    String,
    List,
    Set,
    SortedSet,
    Hash,
    PubSub,
    Transactions,
    Connection,
    Server,
    Scripting,
    HyperLogLog,
    Cluster,
    Geo,
    Stream,
    Bitmap,
}

impl Group {
    pub const fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::PubSub => "pubsub",
            Group::Transactions => "transactions",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Scripting => "scripting",
            Group::HyperLogLog => "hyperloglog",
            Group::Cluster => "cluster",
            Group::Geo => "geo",
            Group::Stream => "stream",
            Group::Bitmap => "bitmap",
        }
    }

    /// The ACL category of a row of this group that names none.
    pub(super) const fn acl(self) -> AclCategories {
        match self {
            Group::Generic => AclCategories::KEYSPACE,
            Group::String => AclCategories::STRING,
            Group::List => AclCategories::LIST,
            Group::Set => AclCategories::SET,
            Group::SortedSet => AclCategories::SORTED_SET,
            Group::Hash => AclCategories::HASH,
            Group::PubSub => AclCategories::PUBSUB,
            Group::Transactions => AclCategories::TRANSACTION,
            Group::Connection => AclCategories::CONNECTION,
            Group::Scripting => AclCategories::SCRIPTING,
            Group::HyperLogLog => AclCategories::HYPERLOGLOG,
            Group::Geo => AclCategories::GEO,
            Group::Stream => AclCategories::STREAM,
            Group::Bitmap => AclCategories::BITMAP,
            Group::Server | Group::Cluster => AclCategories::empty(),
        }
    }
}

/// Some of a command's keys: where to begin, how to go on, what is done with them.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    pub begin: Begin,
    pub find: Find,
    pub flags: KeyFlags,
    pub notes: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    Index(u8),
    /// The argument after `word`, which is looked for from `from` on (negative: from the end, backwards).
    Keyword {
        word: &'static str,
        from: i8,
    },
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// From the beginning to `last`, relative to it (negative: counted from the last argument), every `step`th.
    /// With `last` -1, a `limit` above 1 stops after the first `1/limit` of what remains.
    Range {
        last: i8,
        step: u8,
        limit: u8,
    },
    /// The argument at `count`, relative to the beginning, says how many keys start at `first`.
    KeyNum {
        count: u8,
        first: u8,
        step: u8,
    },
    Unknown,
}

/// The argument at `index`, as a key spec to be refined.
pub(super) const fn at(index: u8) -> KeySpec {
    KeySpec { begin: Begin::Index(index), ..unknown() }.until(0)
}

/// A count at `index`, then so many keys.
pub(super) const fn counted(index: u8) -> KeySpec {
    let find = Find::KeyNum { count: 0, first: 1, step: 1 };
    KeySpec { begin: Begin::Index(index), find, ..unknown() }
}

/// The argument after `word`.
#[allow(dead_code, reason = "streams, geo and migrate use it")]
pub(super) const fn after(word: &'static str, from: i8) -> KeySpec {
    KeySpec { begin: Begin::Keyword { word, from }, ..unknown() }.until(0)
}

/// A place that the vocabulary cannot describe.
pub(super) const fn unknown() -> KeySpec {
    KeySpec { begin: Begin::Unknown, find: Find::Unknown, flags: KeyFlags::empty(), notes: "" }
}

impl KeySpec {
    /// Up to `last`, relative to the beginning, or counted from the end.
    pub(super) const fn until(self, last: i8) -> KeySpec {
        KeySpec { find: Find::Range { last, step: 1, limit: 0 }, ..self }
    }

    pub(super) const fn to_last(self) -> KeySpec {
        self.until(-1)
    }

    /// Up to the last argument, every `step`th.
    pub(super) const fn to_last_by(self, step: u8) -> KeySpec {
        KeySpec { find: Find::Range { last: -1, step, limit: 0 }, ..self }
    }

    pub(super) const fn note(self, notes: &'static str) -> KeySpec {
        KeySpec { notes, ..self }
    }

    const fn flag(self, flag: KeyFlags) -> KeySpec {
        KeySpec { flags: self.flags.with(flag), ..self }
    }

    pub(super) const fn ro(self) -> KeySpec {
        self.flag(KeyFlags::RO)
    }

    pub(super) const fn rw(self) -> KeySpec {
        self.flag(KeyFlags::RW)
    }

    pub(super) const fn ow(self) -> KeySpec {
        self.flag(KeyFlags::OW)
    }

    pub(super) const fn rm(self) -> KeySpec {
        self.flag(KeyFlags::RM)
    }

    pub(super) const fn access(self) -> KeySpec {
        self.flag(KeyFlags::ACCESS)
    }

    pub(super) const fn update(self) -> KeySpec {
        self.flag(KeyFlags::UPDATE)
    }

    pub(super) const fn insert(self) -> KeySpec {
        self.flag(KeyFlags::INSERT)
    }

    pub(super) const fn delete(self) -> KeySpec {
        self.flag(KeyFlags::DELETE)
    }

    pub(super) const fn not_key(self) -> KeySpec {
        self.flag(KeyFlags::NOT_KEY)
    }

    #[allow(dead_code, reason = "migrate uses it")]
    pub(super) const fn incomplete(self) -> KeySpec {
        self.flag(KeyFlags::INCOMPLETE)
    }

    pub(super) const fn variable_flags(self) -> KeySpec {
        self.flag(KeyFlags::VARIABLE_FLAGS)
    }
}

/// How a command spreads over shards and how steady its reply is, in Redis's order and vocabulary.
#[derive(Clone, Copy, Debug)]
pub struct Tips(pub &'static [Tip]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tip {
    /// The reply is not determined by data and arguments.
    NondeterministicOutput,
    /// The reply is a collection whose order means nothing.
    NondeterministicOutputOrder,
    Request(RequestPolicy),
    Response(ResponsePolicy),
}

/// Which shards a command must reach if not simply those of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestPolicy {
    AllNodes,
    AllShards,
    MultiShard,
    Special,
}

/// How the replies of several shards become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponsePolicy {
    OneSucceeded,
    AllSucceeded,
    AggLogicalAnd,
    AggLogicalOr,
    AggMin,
    AggMax,
    AggSum,
    Special,
}

impl Tips {
    pub fn request(self) -> Option<RequestPolicy> {
        self.0.iter().find_map(|&tip| if let Tip::Request(policy) = tip { Some(policy) } else { None })
    }

    pub fn response(self) -> Option<ResponsePolicy> {
        self.0.iter().find_map(|&tip| if let Tip::Response(policy) = tip { Some(policy) } else { None })
    }

    pub fn contains(self, tip: Tip) -> bool {
        self.0.contains(&tip)
    }
}

/// The words of the table for tips.
#[allow(dead_code, reason = "the vocabulary is complete before every command is there")]
impl Tip {
    pub(super) const NONDETERMINISTIC: Tip = Tip::NondeterministicOutput;
    pub(super) const ANY_ORDER: Tip = Tip::NondeterministicOutputOrder;
    pub(super) const ALL_NODES: Tip = Tip::Request(RequestPolicy::AllNodes);
    pub(super) const ALL_SHARDS: Tip = Tip::Request(RequestPolicy::AllShards);
    pub(super) const MULTI_SHARD: Tip = Tip::Request(RequestPolicy::MultiShard);
    pub(super) const SPECIAL_REQUEST: Tip = Tip::Request(RequestPolicy::Special);
    pub(super) const ONE_SUCCEEDED: Tip = Tip::Response(ResponsePolicy::OneSucceeded);
    pub(super) const ALL_SUCCEEDED: Tip = Tip::Response(ResponsePolicy::AllSucceeded);
    pub(super) const AGG_LOGICAL_AND: Tip = Tip::Response(ResponsePolicy::AggLogicalAnd);
    pub(super) const AGG_MIN: Tip = Tip::Response(ResponsePolicy::AggMin);
    pub(super) const AGG_SUM: Tip = Tip::Response(ResponsePolicy::AggSum);
    pub(super) const SPECIAL_RESPONSE: Tip = Tip::Response(ResponsePolicy::Special);

    pub const fn name(self) -> &'static str {
        match self {
            Tip::NondeterministicOutput => "nondeterministic_output",
            Tip::NondeterministicOutputOrder => "nondeterministic_output_order",
            Tip::Request(RequestPolicy::AllNodes) => "request_policy:all_nodes",
            Tip::Request(RequestPolicy::AllShards) => "request_policy:all_shards",
            Tip::Request(RequestPolicy::MultiShard) => "request_policy:multi_shard",
            Tip::Request(RequestPolicy::Special) => "request_policy:special",
            Tip::Response(ResponsePolicy::OneSucceeded) => "response_policy:one_succeeded",
            Tip::Response(ResponsePolicy::AllSucceeded) => "response_policy:all_succeeded",
            Tip::Response(ResponsePolicy::AggLogicalAnd) => "response_policy:agg_logical_and",
            Tip::Response(ResponsePolicy::AggLogicalOr) => "response_policy:agg_logical_or",
            Tip::Response(ResponsePolicy::AggMin) => "response_policy:agg_min",
            Tip::Response(ResponsePolicy::AggMax) => "response_policy:agg_max",
            Tip::Response(ResponsePolicy::AggSum) => "response_policy:agg_sum",
            Tip::Response(ResponsePolicy::Special) => "response_policy:special",
        }
    }
}

/// What `COMMAND DOCS` says about a command besides its arguments.
pub struct Docs {
    pub since: &'static str,
    pub complexity: &'static str,
    pub summary: &'static str,
    /// Version and change.
    pub history: &'static [(&'static str, &'static str)],
    /// Since when the command should no longer be used, and what replaces it.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// Not meant for users.
    pub syscmd: bool,
}
