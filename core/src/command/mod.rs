//! Commands: the table, the one door, and the handlers, one file a type.
//!
//! Every command that touches data, whoever asks for it (a connection, EXEC, a blocked client being served, the
//! embedded store, replay of a journal), goes through [`execute`]. A handler reads its arguments from [`Call::args`],
//! looks at and changes data through [`Call::data`], answers through [`Call::reply`], and returns an error instead of
//! writing one. It must have checked everything that can fail before it changes anything.
//!
//! Rows whose handler is [`Handler::Session`] need what only a server has (the connection, other connections, the
//! configuration); the server runs those.

pub mod bitmap;
pub mod debug;
mod error;
pub mod generic;
pub mod getkeys;
pub mod hash;
mod introspect;
mod list;
mod parse;
pub mod server;
pub mod set;
pub mod sort;
pub mod spec;
pub mod string;
pub mod syntax;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;
pub mod zset;

pub use error::CommandError;
pub use parse::{
    EndPoint, Repetition, ScanOptions, ScanTarget, parse_cursor, parse_signed_count, parse_timeout,
    parse_timeout_millis, until_nul,
};
pub use spec::{Command, Flags, Group, Handler};
pub use table::{CommandId, lookup};

use crate::bug;
use crate::keyspace::entry::Entry;
use crate::keyspace::{Data, UnixMillis};
use crate::resp::{Args, Reply};
use crate::value::Object;
use crate::value::listpack::Item;

/// What a handler returns.
pub type Outcome = Result<(), CommandError>;

/// A handler of the command table.
pub type HandlerFn = for<'a> fn(&mut Call<'a>) -> Outcome;

/// One command being executed.
pub struct Call<'a> {
    pub command: &'static Command,
    /// The whole command; `args[0]` is its name (and `args[1]` the subcommand's, for those).
    pub args: Args<'a>,
    pub data: Data<'a>,
    pub reply: Reply<'a>,
    /// Whether the caller can be made to wait: not inside MULTI or a script.
    pub may_block: bool,
    /// Set by a handler that found nothing to answer and may wait (see [`Call::block`]).
    pub block: Option<Block>,
}

/// A command that waits for one of its keys, or for nothing but its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The keys, by argument index, in the order in which they are preferred.
    pub keys: Vec<usize>,
    /// When to give up; `None` is never.
    pub deadline: Option<UnixMillis>,
    /// The answer when the deadline passes.
    pub on_timeout: TimeoutReply,
    /// The type a key must have to be of interest.
    pub kind: BlockedOn,
}

/// What a blocked client waits for: a type of value, mostly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockedOn {
    List,
    Zset,
    /// Replicas or files that have what was written: no key has to do with it.
    Replicas,
}

impl BlockedOn {
    pub fn matches(self, entry: &Entry) -> bool {
        matches!(
            (self, entry.object()),
            (Self::List, Some(Object::List(_))) | (Self::Zset, Some(Object::Zset(_)))
        )
    }
}

/// What a blocked client is answered when its time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutReply {
    NullArray,
    Null,
    /// WAIT: so many replicas.
    NoReplica,
    /// WAITAOF: so many files here, and on replicas.
    NoFile,
}

impl<'a> Call<'a> {
    /// The argument at `index`, which the arity check has made sure exists.
    #[inline]
    pub fn arg(&self, index: usize) -> &'a [u8] {
        self.args.at(index)
    }

    /// The argument at `index` as a 64-bit signed integer, in Redis's strict form.
    pub fn int(&self, index: usize) -> Result<i64, CommandError> {
        crate::number::parse_i64(self.arg(index)).ok_or(CommandError::NotInteger)
    }

    /// The argument at `index` as a floating point number; NaN is refused.
    pub fn float(&self, index: usize) -> Result<f64, CommandError> {
        crate::number::parse_f64(self.arg(index)).ok_or(CommandError::NotFloat)
    }

    /// Whether the argument at `index` is this option word, in any case.
    pub fn is(&self, index: usize, word: &str) -> bool {
        index < self.args.len() && self.arg(index).eq_ignore_ascii_case(word.as_bytes())
    }

    /// Makes the client wait for one of the keys at `keys` (argument indexes), or answers as if its time were up at
    /// once when it may not wait.
    pub fn block(
        &mut self,
        kind: BlockedOn,
        keys: impl IntoIterator<Item = usize>,
        deadline: Option<UnixMillis>,
        on_timeout: TimeoutReply,
    ) -> Outcome {
        if self.may_block {
            self.block = Some(Block { keys: keys.into_iter().collect(), deadline, on_timeout, kind });
        } else {
            on_timeout.write(&mut self.reply);
        }
        Ok(())
    }
}

impl TimeoutReply {
    pub fn write(self, reply: &mut Reply<'_>) {
        match self {
            Self::NullArray => reply.null_array(),
            Self::Null => reply.null(),
            Self::NoReplica => reply.int(0),
            Self::NoFile => {
                reply.array(2);
                reply.int(0);
                reply.int(0);
            }
        }
    }
}

/// Answers an element of a collection.
#[inline]
fn bulk(reply: &mut Reply<'_>, item: Item<'_>) {
    match item {
        Item::Bytes(bytes) => reply.bulk(bytes),
        Item::Int(int) => reply.bulk_int(int),
    }
}

/// The one door: executes a data command whose arity has been checked. Writes exactly one reply, unless the command
/// blocks; what it changed is in `call.data.effects`. Returns the error that was answered, if any.
#[inline]
pub fn execute(call: &mut Call<'_>) -> Result<(), CommandError> {
    let Handler::Data(handler) = call.command.handler else {
        unreachable!("{} is run by the session", call.command.name);
    };
    let start = call.reply.mark();
    if bug!(Nothing) {
        // The control: no test may notice it.
        call.reply.truncate(start);
    }
    let dirty_before = call.data.effects.dirty;
    let outcome = handler(call);
    if bug!(AlwaysOk) && outcome.is_ok() && call.block.is_none() {
        call.reply.truncate(start);
        call.reply.ok();
    }
    if let Err(error) = &outcome {
        call.reply.truncate(start);
        call.reply.error(error.text());
    }
    if call.command.is_write() {
        call.data.effects.finish_command(dirty_before, call.data.db, call.args);
    }
    outcome
}
