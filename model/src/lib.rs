//! The executable specification: what every command answers and changes, in the plainest code that says it.
//!
//! The model *judges*. [`Model::step`] is given a request and the reply a server gave, decides whether that reply was
//! allowed, and takes the matching transition; where a command chooses at random (SPOP, RANDOMKEY, the order of a
//! hash), the choice in the reply is checked and adopted. It shares with the server's core nothing but the command
//! table and the tree of replies: no parser of numbers, no data structure, no text of an error. Ordered collections,
//! plain recursion, no thought for speed; one file a type, named as in the core, to be read beside the Redis
//! documentation.
//!
//! # How a runner uses it
//!
//! 1. Before sending a request, [`Model::advance`] to the present; read the frames it returns.
//! 2. [`Model::frames`] tells whether a first frame of the reply is to be read at all (a blocking command that waits
//!    and CLIENT REPLY OFF have none). Read that one and call [`Model::step`].
//! 3. Read what [`Step::deliveries`] lists: further frames of the same reply, messages, replies to clients that had
//!    been blocked; [`judge`] each.
//!
//! What is left open, and a runner must not ask for or must see to:
//!
//! - Keys expire when they are looked at, as in a Redis with `DEBUG SET-ACTIVE-EXPIRE 0`; see
//!   [`Model::expired_keys`] about commands that come upon them by chance.
//! - After a request without a reply nothing tells that the server has read it: send something on another connection
//!   and await its reply before the next request.
//! - `SORT … ALPHA BY … STORE` stores elements of equal weight in an order of the server's own; with a LIMIT that cuts
//!   through them, even which of them GET looks up is open. Texts are compared as in the locale `C`.
//! - QUIT, or CLIENT KILL of oneself, where CLIENT REPLY has silenced the reply: Redis then leaves the connection open
//!   and deaf.
//! - AUTH or HELLO that fails to authenticate while other replies wait to be sent, as inside EXEC: Redis then forgets to
//!   answer.
//! - CLIENT KILL of clients that are not the model's; MONITOR and SHUTDOWN.
//! - CLIENT TRACKING ON, unless it is refused: kevy does not tell clients which keys change, and says so, and what
//!   Redis tells them the model does not know.
//! - Commands that choose at random (SPOP) while CLIENT PAUSE holds them back: what they chose is seen too late.
//! - CONFIG SET that fails after it has set `notify-keyspace-events`: Redis then forgets the class `n`.
//! - CLIENT REPLY inside MULTI breaks the protocol: the header of EXEC's reply has been sent, or not, by then.
//!
//! # How the specification is laid out
//!
//! Every command has a *rule*, a function `fn(&mut Model, &Ask) -> Answer` called as the command, in the module of its
//! group. A rule reads with `keyspace::{read, find}`, writes with `keyspace::{put, write, remove}`, and says what it
//! answers as a [`Want`]. The module `dispatch` maps every [`CommandId`] to its rule, without a wildcard.
//!
//! # Time
//!
//! Time is an argument. When the server under judgement has a clock of its own (Redis), [`Model::slack`] tells by how
//! many milliseconds it may be later than the time in the request: answers that tell a time may differ by so much, and
//! the runner must not send requests within the slack after [`Model::next_deadline`]. Keys expire when they are next
//! looked at, as in a Redis whose active expire cycle is switched off.

mod answer;
mod bitmap;
mod blocking;
mod config;
mod connection;
mod dispatch;
mod encoding;
mod events;
mod gates;
pub mod generator;
mod generic;
mod glob;
mod hash;
mod introspect;
mod keyspace;
mod list;
mod number;
mod pause;
mod pubsub;
mod scan;
mod server;
mod set;
mod sort;
mod string;
#[cfg(test)]
mod tests;
mod transaction;
mod zset;

use std::collections::{BTreeMap, BTreeSet};

pub use answer::{Want, judge};
pub use blocking::Blocked;
use connection::ReplyMode;
pub use encoding::Encodings;
use kevy::command::spec::{Command, Group};
use kevy::command::{CommandId, Flags};
use kevy::resp::{Frame, Protocol};
pub use pause::Postponed;

/// Bytes, as keys, values and arguments are.
pub type Bytes = Vec<u8>;
/// Milliseconds since the Unix epoch.
pub type Millis = i64;

/// A command on a connection.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which connection; the model creates what it has not seen. It must not wait ([`Session::waits`]).
    pub conn: usize,
    pub now: Millis,
    pub argv: Vec<Bytes>,
}

/// A reply that the specification does not allow.
#[derive(Clone, Debug)]
pub struct Divergence {
    pub wanted: String,
    pub got: String,
}

/// What a step makes happen on connections, beside the first frame of the reply, which was judged.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// In the order in which they must come on each connection; connections are independent of each other.
    pub deliveries: Vec<Delivery>,
    /// Connections that the server closes, after what is delivered on them.
    pub closed: Vec<usize>,
}

/// Frames that must arrive on a connection, in any order among themselves.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub conn: usize,
    /// What the connection speaks: how to [`judge`] the frames.
    pub protocol: Protocol,
    pub frames: Vec<Want>,
}

/// A value with its deadline.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub value: Value,
    /// The moment from which it counts as gone.
    pub deadline: Option<Millis>,
    /// How it can be held by now.
    pub encodings: Encodings,
}

/// What a key can hold. Collections are never empty.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    String(Bytes),
    List(Vec<Bytes>),
    Set(BTreeSet<Bytes>),
    Hash(BTreeMap<Bytes, Bytes>),
    Zset(BTreeMap<Bytes, f64>),
}

/// One numbered database.
pub type Db = BTreeMap<Bytes, Entry>;

/// One connection's session.
#[derive(Clone, Debug)]
pub struct Session {
    pub db: usize,
    pub protocol: Protocol,
    pub name: Bytes,
    /// The name and the version of the client's library.
    pub library: [Bytes; 2],
    /// What CLIENT ID or HELLO told.
    pub id: Option<i64>,
    /// Commands queued since MULTI, each as sent.
    pub queue: Option<Vec<Vec<Bytes>>>,
    /// How many commands of a transaction are being executed: who asks from inside it is told of them.
    pub executing: Option<usize>,
    /// A command was refused while queueing: EXEC will abort.
    pub refused: bool,
    /// A command was queued that may need memory, or was not kept because a watched key was modified: of one of another
    /// shard's keys the server may not know that yet.
    asks_memory: bool,
    /// Watched keys; whether the key was there but expired when WATCH came.
    pub watching: BTreeMap<(usize, Bytes), bool>,
    /// A watched key was modified: EXEC will answer null.
    pub dirty: bool,
    pub channels: BTreeSet<Bytes>,
    pub patterns: BTreeSet<Bytes>,
    pub shard_channels: BTreeSet<Bytes>,
    /// The blocking command it waits in.
    pub blocked: Option<Blocked>,
    /// The command that is held back until CLIENT PAUSE ends.
    pub postponed: Option<Postponed>,
    /// Its own address and the server's, when CLIENT LIST or INFO has told them.
    addresses: Option<[Bytes; 2]>,
    reply_mode: ReplyMode,
}

/// The whole state of a server. See the module documentation.
#[derive(Clone, Debug)]
pub struct Model {
    pub dbs: Vec<Db>,
    pub sessions: BTreeMap<usize, Session>,
    /// The configuration that commands depend on, by lower-case name.
    pub config: BTreeMap<String, String>,
    /// How much later than the request's time the server's clock may be. See the module documentation.
    pub slack: Millis,
    /// Clients that wait are not served when they can be, but when the runner says so: [`Model::serve_now`].
    pub serves_later: bool,
    /// Memory is over `maxmemory` and stays so: what may need more is refused. Only the runner knows.
    pub out_of_memory: bool,
    /// Iterations by SCAN and its like, for their guarantee.
    iterations: scan::Iterations,
    /// For a runner that says when clients are served: when the command is executed that comes next.
    pub command: u64,
    /// Keys that were added and clients wait for, in order.
    ready: Vec<blocking::Ready>,
    /// How many times a client was blocked: the order in which they are served.
    blocked_so_far: u64,
    /// CLIENT PAUSE is in force.
    pause: Option<pause::Pause>,
    /// What this step delivers so far.
    deliveries: Vec<Delivery>,
    /// What this step closes so far.
    closed: Vec<usize>,
}

/// What a rule is given: the arguments, who asks and when, and the reply to learn choices from.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub id: CommandId,
    pub argv: &'a [Bytes],
    pub conn: usize,
    pub db: usize,
    pub now: Millis,
    pub protocol: Protocol,
    /// Whether it may wait (not inside EXEC).
    pub may_block: bool,
    /// The reply given, if one was.
    pub reply: Option<&'a Frame>,
}

impl<'a> Ask<'a> {
    /// An argument; the rule knows from the arity, or has checked, that it is there.
    fn arg(&self, index: usize) -> &'a Bytes {
        &self.argv[index]
    }

    fn argc(&self) -> usize {
        self.argv.len()
    }

    /// Whether the argument is there and is this word, in any case.
    fn is(&self, index: usize, word: &str) -> bool {
        self.argv.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }
}

/// The answer of a rule: a reply, or an error text with its code.
pub type Answer = Result<Want, String>;

impl Model {
    /// A server without data and connections.
    pub fn new(databases: usize) -> Model {
        Model {
            dbs: vec![Db::new(); databases],
            sessions: BTreeMap::new(),
            config: config::default_config(),
            slack: 0,
            serves_later: false,
            out_of_memory: false,
            iterations: scan::Iterations::default(),
            command: 0,
            ready: Vec::new(),
            blocked_so_far: 0,
            pause: None,
            deliveries: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// Judges `reply`, the first frame that came for `request`, and takes the transition. After a divergence the
    /// model's state means nothing.
    pub fn step(&mut self, request: &Request, reply: Option<&Frame>) -> Result<Step, Divergence> {
        let before = self.advance(request.now);
        (self.deliveries, self.closed) = (before.deliveries, before.closed);
        let frames = self.answer(request, reply);
        let protocol = self.protocol(request.conn);
        match (frames.first(), reply) {
            (Some(want), Some(frame)) => judge(want, frame, protocol)?,
            (None, None) => {}
            (want, frame) => {
                let wanted = want.map_or("no reply".into(), |want| format!("{want:?}"));
                return Err(Divergence {
                    wanted,
                    got: frame.map_or("no reply".into(), |frame| format!("{frame:?}")),
                });
            }
        }
        // The rest of the own reply comes before messages to itself, which Redis holds back until then.
        for (place, want) in frames.into_iter().skip(1).enumerate() {
            self.deliveries.insert(place, Delivery { conn: request.conn, protocol, frames: vec![want] });
        }
        self.serve_blocked(request.now);
        self.resume(request.now);
        Ok(self.take_step())
    }

    /// Takes the transition of a request whose reply nobody has seen: that of a connection that was closed meanwhile.
    /// What it chose at random stays unknown, so it must not.
    pub fn step_unseen(&mut self, request: &Request) -> Step {
        let before = self.advance(request.now);
        (self.deliveries, self.closed) = (before.deliveries, before.closed);
        self.answer(request, None);
        self.serve_blocked(request.now);
        self.resume(request.now);
        self.take_step()
    }

    /// How many frames the reply to `request` will have, messages to itself not counted.
    pub fn frames(&self, request: &Request) -> usize {
        // Most commands answer with one frame; only for the others is the future worth a copy of the state.
        let plain = |command: &Command| {
            !command.flags.intersects(Flags::BLOCKING.with(Flags::PUBSUB))
                && !matches!(command.group, Group::Connection | Group::Transactions)
        };
        let talkative = self.pause.is_none()
            && self.sessions.get(&request.conn).is_none_or(|s| s.reply_mode == ReplyMode::On);
        if talkative && gates::resolve(&request.argv).map_or(true, plain) {
            return 1;
        }
        let mut future = self.clone();
        future.advance(request.now);
        future.answer(request, None).len()
    }

    /// Lets time pass: blocked clients whose time is up get their answers.
    pub fn advance(&mut self, now: Millis) -> Step {
        self.time_out_blocked(now);
        self.resume(now);
        self.take_step()
    }

    fn take_step(&mut self) -> Step {
        let closed = std::mem::take(&mut self.closed);
        closed.iter().for_each(|&conn| self.disconnect(conn));
        Step { deliveries: std::mem::take(&mut self.deliveries), closed }
    }

    /// Tells under which number and at which addresses, its own and the server's, a connection is known.
    pub fn introduce(&mut self, conn: usize, id: i64, addresses: [Bytes; 2]) {
        let session = self.sessions.entry(conn).or_insert_with(Session::new);
        (session.id, session.addresses) = (Some(id), Some(addresses));
    }

    /// The connection was closed by the client.
    pub fn disconnect(&mut self, conn: usize) {
        self.sessions.remove(&conn);
    }

    /// The frames that answer `request`, after its effect.
    fn answer(&mut self, request: &Request, reply: Option<&Frame>) -> Vec<Want> {
        self.sessions.entry(request.conn).or_insert_with(Session::new);
        let session = self.session(request.conn);
        if session.reply_mode == ReplyMode::SkipNext {
            session.reply_mode = ReplyMode::SkipThis;
        }
        let want = self.admit(request, reply).unwrap_or_else(Want::Error);
        self.audible(request.conn, want)
    }

    /// What of a reply is sent, by CLIENT REPLY. While a client waits, there is no reply yet.
    fn audible(&mut self, conn: usize, reply: Want) -> Vec<Want> {
        let Some(session) = self.sessions.get_mut(&conn) else { return reply.into_frames() };
        if session.waits() {
            return vec![];
        }
        let silent = session.reply_mode != ReplyMode::On && session.reply_mode != ReplyMode::SkipNext;
        if session.reply_mode == ReplyMode::SkipThis {
            session.reply_mode = ReplyMode::On;
        }
        let frames = reply.into_frames();
        // Confirmations of SUBSCRIBE are pushed, and pushes are always sent, even out of the reply of EXEC.
        if silent { frames.into_iter().flat_map(Want::into_pushes).collect() } else { frames }
    }

    fn session(&mut self, conn: usize) -> &mut Session {
        self.sessions.entry(conn).or_insert_with(Session::new)
    }

    fn protocol(&self, conn: usize) -> Protocol {
        self.sessions.get(&conn).map_or(Protocol::Resp2, |session| session.protocol)
    }

    /// Runs a command for a connection, in its present database.
    fn call(
        &mut self,
        conn: usize,
        now: Millis,
        argv: &[Bytes],
        may_block: bool,
        reply: Option<&Frame>,
    ) -> Answer {
        let id = gates::resolve(argv)?.id;
        let session = self.session(conn);
        let (db, protocol) = (session.db, session.protocol);
        let ask = Ask { id, argv, conn, db, now, protocol, may_block, reply };
        dispatch::rule(id)(self, &ask)
    }
}
