//! A connection as its thread sees it: the session it negotiated, what it has sent and what it is owed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Deref;

use kevy::command::{Command, CommandId};
use kevy::keyspace::UnixMillis;
use kevy::resp::{Args, Argv, Decoder, Lent, Protocol, Span};
use kevy::value::Large;

use super::SendBuf;
use super::incoming::Incoming;
use super::realm::{DbKey, Watching};

/// Where a connection lives in its shard; reused after the connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u32);

/// A number no other connection of this server ever had: what CLIENT ID answers.
pub type ClientId = u64;

/// What the reactor knows about the other side when it accepts.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// `ip:port`, `[ipv6]:port`, or `path:0` for a Unix socket.
    pub addr: String,
    /// The same for this side.
    pub laddr: String,
    pub fd: i32,
    /// A Unix socket.
    pub unix: bool,
    /// Loopback TCP or a Unix socket: what protected mode lets in.
    pub local: bool,
}

/// CLIENT REPLY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    #[default]
    On,
    Off,
    /// The reply to the next command is left out (between CLIENT REPLY SKIP and that command).
    SkipNext,
    /// This command's reply is left out.
    Skip,
}

/// A command queued by MULTI.
pub struct Queued {
    pub command: &'static Command,
    pub args: QueuedArgs,
}

/// The arguments of a command that waits for EXEC.
pub enum QueuedArgs {
    Copied(Argv),
    /// One of them is large: the buffer that it came in is kept.
    Kept(Large, Vec<Span>),
}

impl QueuedArgs {
    /// `brought` is a large string that came in the buffer that is being executed, if one did. Of the commands in that
    /// buffer it is the first that it belongs to.
    pub fn new(args: Args<'_>, brought: Option<&Large>) -> Self {
        let (bytes, spans) = args.parts();
        match brought {
            Some(large) if large.buffer().as_ptr() == bytes.as_ptr() => {
                Self::Kept(large.clone(), spans.to_vec())
            }
            _ => Self::Copied(Argv::from(args)),
        }
    }

    pub fn as_args(&self) -> Args<'_> {
        match self {
            Self::Copied(argv) => argv.as_args(),
            Self::Kept(large, spans) => Args::new(large.buffer(), spans),
        }
    }

    pub fn brought(&self) -> Option<&Large> {
        match self {
            Self::Copied(_) => None,
            Self::Kept(large, _) => Some(large),
        }
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        match self {
            Self::Copied(argv) => argv.memory(),
            Self::Kept(large, spans) => large.capacity() + spans.capacity() * size_of::<Span>(),
        }
    }
}

/// An open transaction.
#[derive(Default)]
pub struct Multi {
    pub queue: Vec<Queued>,
    /// A command was refused while queueing: EXEC must answer EXECABORT.
    pub refused: bool,
    /// Bytes held by the queue.
    pub memory: usize,
    /// How many commands EXEC is executing; they are in the queue no more.
    pub executing: usize,
}

impl Multi {
    /// Commands of the transaction, as CLIENT LIST counts them.
    pub fn commands(&self) -> usize {
        self.queue.len() + self.executing
    }
}

/// Why a connection does not read its next command now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Waiting {
    #[default]
    No,
    /// In a blocking command.
    Blocked,
    /// CLIENT PAUSE: the command is still in the query buffer.
    Paused,
    /// The command is in the order and runs when all boxes it needs have met.
    Order,
    /// The order is full, or has to be followed first: the command is still in the query buffer.
    Room,
}

impl Waiting {
    /// In the sense of INFO and CLIENT LIST, which know nothing of the order.
    pub fn is_blocked(self) -> bool {
        matches!(self, Waiting::Blocked | Waiting::Paused)
    }
}

/// Bytes to be executed. To take some away from the front costs no more than to add them did.
#[derive(Default)]
pub struct QueryBuffer {
    bytes: Vec<u8>,
    /// So many of them have been taken away.
    done: usize,
}

impl QueryBuffer {
    pub fn consume(&mut self, count: usize) {
        self.done += count;
        if self.done == self.bytes.len() {
            self.done = 0;
            self.bytes.clear();
        }
    }

    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        // What is moved is no longer than what was taken away.
        if self.done > 0 && (self.bytes.len() + bytes.len() > self.bytes.capacity() || self.done > self.len())
        {
            self.compact();
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn compact(&mut self) {
        self.bytes.drain(..std::mem::take(&mut self.done));
    }

    /// Bytes allocated.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub fn shrink_to_fit(&mut self) {
        self.compact();
        self.bytes.shrink_to_fit();
    }

    pub fn into_buffer(mut self) -> Vec<u8> {
        self.compact();
        self.bytes
    }
}

impl From<Vec<u8>> for QueryBuffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, done: 0 }
    }
}

impl Deref for QueryBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.done..]
    }
}

/// See the module documentation.
pub struct Conn {
    pub id: ConnId,
    pub client: ClientId,
    pub peer: Peer,
    pub protocol: Protocol,
    pub db: usize,
    pub authenticated: bool,
    pub name: Vec<u8>,
    pub lib_name: Vec<u8>,
    pub lib_ver: Vec<u8>,
    pub no_evict: bool,
    pub no_touch: bool,
    pub monitor: bool,
    pub reply_mode: ReplyMode,
    pub multi: Option<Multi>,
    /// Watched keys with the versions they had.
    pub watching: BTreeMap<DbKey, Watching>,
    pub channels: BTreeSet<Vec<u8>>,
    pub shard_channels: BTreeSet<Vec<u8>>,
    pub patterns: BTreeSet<Vec<u8>>,
    pub waiting: Waiting,
    /// Since when CLIENT PAUSE has held back its command, as a number that all shards count.
    pub held: Option<u64>,
    /// Bytes received and not executed yet: an incomplete command, or commands behind one that waits.
    pub query: QueryBuffer,
    /// The reactor has been told to receive nothing more for now.
    pub input_held: bool,
    /// A command with a large argument that is incomplete; the query buffer is empty then.
    pub incoming: Option<Box<Incoming>>,
    pub decoder: Decoder,
    /// Output not handed to the reactor yet: what is written to, and what comes before it.
    pub out: Vec<u8>,
    /// A reply is being written elsewhere: `out` has what comes after it.
    pub replying: bool,
    pub chunks: VecDeque<SendBuf>,
    /// Bytes in `chunks`.
    pub queued: usize,
    /// Bytes of output with the reactor.
    pub in_flight: usize,
    /// Queued for `poll_send`.
    pub send_queued: bool,
    /// Nothing more is read or executed; closed once the output is gone.
    pub close_after_reply: bool,
    /// Being closed now, output or not.
    pub closing: bool,
    /// Not before the kernel has been offered the output, as long as it takes some: the value of `bytes_out` when that was
    /// looked at last.
    pub last_words: Option<u64>,
    /// Closed, and still here for its command in the order.
    pub gone: bool,
    /// Since when the soft output limit is exceeded (monotonic).
    pub soft_limit_since: Option<u64>,
    pub created: UnixMillis,
    pub last_interaction: UnixMillis,
    pub last_command: Option<CommandId>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub commands: u64,
}

impl Conn {
    pub fn new(id: ConnId, client: ClientId, peer: Peer, now: UnixMillis, authenticated: bool) -> Self {
        Self {
            id,
            client,
            peer,
            protocol: Protocol::Resp2,
            db: 0,
            authenticated,
            name: Vec::new(),
            lib_name: Vec::new(),
            lib_ver: Vec::new(),
            no_evict: false,
            no_touch: false,
            monitor: false,
            reply_mode: ReplyMode::On,
            multi: None,
            watching: BTreeMap::new(),
            channels: BTreeSet::new(),
            shard_channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            waiting: Waiting::No,
            held: None,
            query: QueryBuffer::default(),
            input_held: false,
            incoming: None,
            decoder: Decoder::new(),
            out: Vec::new(),
            replying: false,
            chunks: VecDeque::new(),
            queued: 0,
            in_flight: 0,
            send_queued: false,
            close_after_reply: false,
            closing: false,
            last_words: None,
            gone: false,
            soft_limit_since: None,
            created: now,
            last_interaction: now,
            last_command: None,
            bytes_in: 0,
            bytes_out: 0,
            commands: 0,
        }
    }

    /// Whether the next command may be read and executed.
    pub fn can_execute(&self) -> bool {
        self.waiting == Waiting::No && !self.close_after_reply && !self.closing
    }

    /// Not closed, or with a command in the order that is still to be executed.
    pub fn is_there(&self) -> bool {
        !self.closing || self.waiting == Waiting::Order && !kevy::bug!(LeftUnkillable)
    }

    /// CLIENT REPLY has not switched off what is said now.
    pub fn hears_replies(&self) -> bool {
        !matches!(self.reply_mode, ReplyMode::Off | ReplyMode::Skip)
    }

    /// Subscribed to anything, or a monitor: it is shown what others do, in the order of its shard's box.
    pub fn listens(&self) -> bool {
        self.subscribed() || self.monitor
    }

    /// Subscribed to anything: in RESP2 only a few commands are allowed then.
    pub fn subscribed(&self) -> bool {
        self.subscriptions() + self.shard_channels.len() != 0
    }

    /// Channels and patterns, as subscribe replies count them (sharded channels are counted apart).
    pub fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// Bytes received and not executed yet.
    pub fn pending_input(&self) -> usize {
        self.query.len() + self.incoming.as_ref().map_or(0, |incoming| incoming.received())
    }

    /// Bytes allocated for them.
    pub fn input_capacity(&self) -> usize {
        self.query.capacity() + self.incoming.as_ref().map_or(0, |incoming| incoming.capacity())
    }

    /// Bytes of output not yet in the kernel.
    pub fn pending_output(&self) -> usize {
        self.out.len() + self.queued + self.in_flight
    }

    /// Begins another chunk, so that what was written is not copied when more comes.
    pub fn close_chunk(&mut self) {
        if !self.out.is_empty() {
            let bytes = std::mem::take(&mut self.out);
            self.queue(SendBuf { bytes, large: None, sent: 0 });
        }
    }

    /// Puts strings that a reply was lent between the bytes it was written with.
    pub fn interleave(&mut self, lent: &mut Vec<Lent>) {
        let written = std::mem::take(&mut self.out);
        let mut done = 0;
        for Lent { at, bytes } in lent.drain(..) {
            let before = written[done..at].to_vec();
            self.queue(SendBuf { bytes: before, large: Some(bytes), sent: 0 });
            done = at;
        }
        self.out.extend_from_slice(&written[done..]);
    }

    fn queue(&mut self, chunk: SendBuf) {
        self.queued += chunk.len();
        self.chunks.push_back(chunk);
    }
}
