//! What a command did besides answering: the one record that everything which follows changes is fed from.
//!
//! A handler reports each change once, through [`Data`](super::Data). The owner of the keyspace (server shard, embedded store) takes
//! the record after each command and, from it alone, bumps WATCH versions, appends to the journal, publishes keyspace
//! events, wakes blocked clients and counts statistics. Nothing else may.
//!
//! Key bytes live in one arena that is reused, and nothing is recorded that nobody asked for ([`Interest`]), so a
//! plain SET records nothing but `dirty += 1`.

use crate::resp::{Args, Argv};
use crate::value::Value;

/// Classes of keyspace events: the bits behind the letters of `notify-keyspace-events`.
pub struct Class;

impl Class {
    pub const KEYSPACE: u32 = 1 << 0; // K
    pub const KEYEVENT: u32 = 1 << 1; // E
    pub const GENERIC: u32 = 1 << 2; // g
    pub const STRING: u32 = 1 << 3; // $
    pub const LIST: u32 = 1 << 4; // l
    pub const SET: u32 = 1 << 5; // s
    pub const HASH: u32 = 1 << 6; // h
    pub const ZSET: u32 = 1 << 7; // z
    pub const EXPIRED: u32 = 1 << 8; // x
    pub const EVICTED: u32 = 1 << 9; // e
    pub const STREAM: u32 = 1 << 10; // t
    pub const KEY_MISS: u32 = 1 << 11; // m, not part of A
    pub const MODULE: u32 = 1 << 13; // d
    pub const NEW: u32 = 1 << 14; // n, not part of A
    /// The classes behind the letter A.
    pub const ALL: u32 = Self::GENERIC
        | Self::STRING
        | Self::LIST
        | Self::SET
        | Self::HASH
        | Self::ZSET
        | Self::EXPIRED
        | Self::EVICTED
        | Self::STREAM
        | Self::MODULE;
}

/// Who listens. Set by the owner before each command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Modified keys are wanted (somebody watches a key).
    pub keys: bool,
    /// Keys that came into being as a list or sorted set are wanted (somebody is blocked).
    pub ready: bool,
    /// The commands to replay are wanted (journal, replicas, tests).
    pub journal: bool,
}

/// A key in the record's arena, with its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRef {
    pub db: u32,
    start: u32,
    len: u32,
}

/// A keyspace event to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub class: u32,
    pub name: &'static str,
    pub key: KeyRef,
}

/// A command that reproduces a change when it is executed again: deterministic, with absolute times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub db: u32,
    pub argv: Argv,
}

/// Changes to whole databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// The database was emptied.
    Flushed(u32),
    /// Two databases changed places.
    Swapped(u32, u32),
}

/// What is too large to free in the middle of a command.
#[derive(Debug)]
pub enum Garbage {
    /// A value cut off from the keyspace.
    Value(Value),
    /// What was read or sent.
    Bytes(Vec<u8>),
    /// An emptied database, with its number.
    Db(u32, Box<super::Db>),
}

#[derive(Default, Debug)]
enum Verbatim {
    #[default]
    IfDirty,
    Replaced,
}

/// See the module documentation.
#[derive(Default, Debug)]
pub struct Effects {
    pub interest: Interest,
    /// Number of changes since the start, as `rdb_changes_since_last_save` counts them.
    pub dirty: u64,
    /// Modified keys, in order, with repetitions. Only if `interest.keys`.
    pub keys: Vec<KeyRef>,
    /// Keys to offer to blocked clients, in order. Only if `interest.ready`.
    pub ready: Vec<KeyRef>,
    /// Events wanted by `notify-keyspace-events`, in order.
    pub events: Vec<Event>,
    /// Commands to replay, in order. Only if `interest.journal`.
    pub journal: Vec<Record>,
    pub whole: Vec<Whole>,
    pub garbage: Vec<Garbage>,
    arena: Vec<u8>,
    verbatim: Verbatim,
}

impl Effects {
    /// The bytes of a recorded key.
    pub fn key(&self, key: KeyRef) -> &[u8] {
        &self.arena[key.start as usize..][..key.len as usize]
    }

    /// Whether anything but `dirty` was recorded.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
            && self.ready.is_empty()
            && self.events.is_empty()
            && self.journal.is_empty()
            && self.whole.is_empty()
            && self.garbage.is_empty()
    }

    /// Forgets what was recorded; `dirty` and `interest` stay.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.ready.clear();
        self.events.clear();
        self.journal.clear();
        self.whole.clear();
        self.garbage.clear();
        self.arena.clear();
        self.verbatim = Verbatim::IfDirty;
    }

    pub(super) fn remember(&mut self, db: usize, key: &[u8]) -> KeyRef {
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(key);
        KeyRef { db: db as u32, start, len: key.len() as u32 }
    }

    pub(super) fn event(&mut self, class: u32, name: &'static str, db: usize, key: &[u8]) {
        let key = self.remember(db, key);
        self.events.push(Event { class, name, key });
    }

    /// Adds a replayable command; the command being executed is then not recorded as it was sent.
    pub(super) fn replace_verbatim(&mut self) {
        self.verbatim = Verbatim::Replaced;
    }

    pub(super) fn record(&mut self, db: usize, parts: &[&[u8]]) {
        if self.interest.journal {
            let mut argv = Argv::new();
            for part in parts {
                argv.push(part);
            }
            self.journal.push(Record { db: db as u32, argv });
        }
    }

    /// Called by the door around each command: records the command as sent unless the handler said what to record
    /// instead, or nothing changed.
    pub(crate) fn finish_command(&mut self, dirty_before: u64, db: usize, args: Args<'_>) {
        let verbatim = std::mem::take(&mut self.verbatim);
        if self.interest.journal && self.dirty != dirty_before && matches!(verbatim, Verbatim::IfDirty) {
            self.journal.push(Record { db: db as u32, argv: Argv::from(args) });
        }
    }
}
