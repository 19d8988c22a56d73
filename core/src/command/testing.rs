//! The harness the command tests share: an in-memory keyspace, commands as one would type them into redis-cli, and
//! replies as it would print them.
//!
//! ```text
//! let mut db = Db::new();
//! assert_eq!(db.run("RPUSH l a b"), "(integer) 2");
//! db.check("
//!     > LLEN l
//!     (integer) 2
//!     > LRANGE l 0 -1
//!     1) \"a\"
//!     2) \"b\"
//! ");
//! assert_eq!(db.events(), ["rpush l"]);
//! assert_eq!(db.journal(), ["RPUSH l a b"]);
//! ```
//!
//! Everything goes through [`execute`], the door the server uses. All effects are recorded, keyspace events of all
//! classes included; nothing is cleared between commands except by the getters that hand it out.

// Shared by all families: each uses the part it needs.
#![allow(dead_code)]

use super::table::subcommand;
use super::{Block, Call, CommandError, execute, lookup};
use crate::keyspace::{Access, Class, Data, Effects, Interest, Keyspace, Settings, UnixMillis};
use crate::resp::{Argv, Decoder, Frame, Limits, Progress, Protocol, Reply};

/// The instant at which every test begins.
pub const START: UnixMillis = 1_700_000_000_000;

/// See the module documentation.
pub struct Db {
    pub keyspace: Keyspace,
    pub settings: Settings,
    pub effects: Effects,
    /// The clock; it moves only when a test moves it.
    pub now: UnixMillis,
    /// The selected database.
    pub db: usize,
    pub protocol: Protocol,
    pub may_block: bool,
    /// What the last command wants to wait for.
    pub block: Option<Block>,
}

impl Default for Db {
    fn default() -> Db {
        Db::new()
    }
}

impl Db {
    pub fn new() -> Db {
        let all = Class::KEYSPACE | Class::KEYEVENT | Class::ALL | Class::KEY_MISS | Class::NEW;
        let settings = Settings { notify_keyspace_events: all, ..Settings::default() };
        let mut effects = Effects::default();
        effects.interest = Interest { keys: true, ready: true, journal: true };
        Db {
            keyspace: Keyspace::new(settings.databases, 1),
            settings,
            effects,
            now: START,
            db: 0,
            protocol: Protocol::Resp2,
            may_block: true,
            block: None,
        }
    }

    /// A test that answers in RESP3.
    pub fn resp3() -> Db {
        Db { protocol: Protocol::Resp3, ..Db::new() }
    }

    /// Executes a command line (quotes and escapes as in redis-cli); the reply as redis-cli prints it.
    pub fn run(&mut self, line: &str) -> String {
        self.frame(line).map_or_else(|| String::from("(waits)"), |frame| frame.to_string())
    }

    /// As [`Db::run`], for lines that matter only for what they leave behind: panics on an error reply.
    pub fn ok(&mut self, line: &str) {
        let reply = self.run(line);
        assert!(!reply.starts_with("(error)"), "{line}: {reply}");
    }

    /// Executes a command line; the reply as a tree, `None` if the client has to wait.
    pub fn frame(&mut self, line: &str) -> Option<Frame> {
        self.argv(&argv(line))
    }

    /// Executes a command given by its arguments.
    pub fn argv(&mut self, argv: &Argv) -> Option<Frame> {
        let out = self.bytes(argv);
        if self.block.is_some() {
            assert!(out.is_empty(), "{argv:?} answers and waits");
            return None;
        }
        let (frame, len) = Frame::decode(&out).expect("a valid reply").expect("a whole reply");
        assert_eq!(len, out.len(), "{argv:?} answers more than once: {}", out.escape_ascii());
        Some(frame)
    }

    /// Executes a command; the bytes of the reply.
    pub fn bytes(&mut self, argv: &Argv) -> Vec<u8> {
        let mut out = Vec::new();
        let mut reply = Reply::new(&mut out, self.protocol);
        let mut command = lookup(&argv[0]).unwrap_or_else(|| panic!("no such command: {argv:?}"));
        if command.subcommand_count > 0 && argv.len() > 1 {
            command = subcommand(command, &argv[1]).unwrap_or_else(|| panic!("no such subcommand: {argv:?}"));
        }
        if !command.accepts_arity(argv.len()) {
            reply.error(CommandError::Arity(command.name).text());
            return out;
        }
        let mut call = Call {
            command,
            args: argv.as_args(),
            data: Data {
                keyspace: &mut self.keyspace,
                settings: &self.settings,
                effects: &mut self.effects,
                db: self.db,
                now: self.now,
                now_micros: 0,
                access: Access::default(),
                brought: None,
            },
            reply,
            may_block: self.may_block,
            block: None,
        };
        let _ = execute(&mut call);
        self.block = call.block;
        out
    }

    /// Replays a transcript: lines that begin with `> ` are commands, the lines after each are its reply as redis-cli
    /// prints it. Indentation common to all lines, empty lines at the ends, and lines that begin with `#` are ignored.
    #[track_caller]
    pub fn check(&mut self, transcript: &str) {
        let lines = transcript.lines().filter(|line| !line.trim().is_empty());
        let indent = lines.clone().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
        let mut lines =
            lines.map(|line| line[indent..].trim_end()).filter(|line| !line.starts_with('#')).peekable();
        while let Some(line) = lines.next() {
            let command = line.strip_prefix("> ").unwrap_or_else(|| panic!("not a command: {line}"));
            let mut expected = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("> ")) {
                expected.push(line);
            }
            let reply = self.run(command);
            assert_eq!(reply.lines().collect::<Vec<_>>(), expected, "{command}");
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, millis: u64) {
        self.now += millis;
    }

    /// The keyspace events since they were last taken, each as `event key`, with `@db` unless it is database 0.
    pub fn events(&mut self) -> Vec<String> {
        let events = std::mem::take(&mut self.effects.events);
        let text = |event: &crate::keyspace::Event| {
            let key = self.effects.key(event.key).escape_ascii();
            match event.key.db {
                0 => format!("{} {key}", event.name),
                db => format!("{} {key}@{db}", event.name),
            }
        };
        events.iter().map(text).collect()
    }

    /// The commands to replay since they were last taken, with `@db ` in front unless it is database 0.
    pub fn journal(&mut self) -> Vec<String> {
        let journal = std::mem::take(&mut self.effects.journal);
        let text = |record: &crate::keyspace::Record| match record.db {
            0 => format!("{:?}", record.argv),
            db => format!("@{db} {:?}", record.argv),
        };
        journal.iter().map(text).collect()
    }

    /// The keys reported as modified (WATCH) since they were last taken, in order, with repetitions.
    pub fn modified(&mut self) -> Vec<String> {
        let keys = std::mem::take(&mut self.effects.keys);
        let text = |key: &crate::keyspace::KeyRef| {
            let name = self.effects.key(*key).escape_ascii();
            if key.db == 0 { name.to_string() } else { format!("{name}@{}", key.db) }
        };
        keys.iter().map(text).collect()
    }

    /// The keys offered to blocked clients since they were last taken.
    pub fn offered(&mut self) -> Vec<String> {
        let ready = std::mem::take(&mut self.effects.ready);
        ready.iter().map(|key| self.effects.key(*key).escape_ascii().to_string()).collect()
    }

    /// The number of changes so far.
    pub fn dirty(&self) -> u64 {
        self.effects.dirty
    }

    /// Forgets all recorded effects.
    pub fn forget(&mut self) {
        self.effects.clear();
    }
}

/// The arguments of a command line.
pub fn argv(line: &str) -> Argv {
    let mut bytes = line.as_bytes().to_vec();
    bytes.extend_from_slice(b"\r\n");
    let (mut decoder, mut spans) = (Decoder::new(), Vec::new());
    match decoder.decode(&bytes, &Limits::default(), &mut spans) {
        Ok(Progress::Complete { scratch, .. }) => {
            let bytes = if scratch { decoder.scratch() } else { &bytes };
            spans.iter().map(|span| span.of(bytes)).collect()
        }
        other => panic!("not a command line: {line:?}: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_redis_cli_reads_them() {
        assert_eq!(argv(r#"SET k "a\x00 b" 'c'"#), Argv::of([&b"SET"[..], b"k", b"a\x00 b", b"c"]));
        assert_eq!(argv("GET k"), Argv::of(["GET", "k"]));
    }
}
