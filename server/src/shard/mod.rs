//! One shard of the server: a slice of the keyspace and the connections accepted on one thread.
//!
//! A [`Shard`] does no I/O and asks for no time. Its methods come in three kinds:
//!
//!   A. `handle_*`  something happened        (called by the reactor's loop)
//!   B. `poll_*`    something is to be done   (drained by the loop)
//!   C. getters     for INFO and tests
//!
//! Contract: after any A-call, drain all of B before waiting again. Errors of the outside world are inputs too
//! (`handle_sent` gets an `io::Result`), randomness comes from the seed, and durations (SLOWLOG, INFO commandstats)
//! from a clock that is passed in and that decides nothing else. So a run is repeatable from its inputs.
//!
//! A shard has two parts. What stays with the thread: connections, their queues, the configuration, statistics.
//! What could move to another thread: the [`Realm`]. The path of a command: [`Shard::handle_recv`] decodes,
//! `gates` may refuse, MULTI may queue, then either [`kevy::command::execute`] (data) or [`session`] (anything that needs a
//! connection), and `Shard::commit` feeds everybody who follows changes.

pub mod conn;
mod cron;
mod gates;
mod incoming;
pub mod links;
mod pause;
pub mod pubsub;
pub mod realm;
mod route;
pub mod session;
pub mod stats;
pub mod together;
mod visit;
pub mod witness;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kevy::command::{self, Block, Call, Command, CommandError, Handler};
use kevy::keyspace::{Access, Class, Data, Effects, Garbage, Slice, UnixMillis};
use kevy::resp::{Args, Argv, Decoder, Lent, Progress, Protocol, Reply, Span};
use kevy::value::{Large, Value};

use crate::config::Config;
use crate::log::Level;
use crate::order::place::Hand;
use conn::{ClientId, Conn, ConnId, Peer, QueryBuffer, Queued, QueuedArgs, ReplyMode, Waiting};
use links::{Common, Links, Origin};
use pubsub::{Kind, Subscriptions};
use realm::{Claim, DbKey, Offer, Realm, Waiter};
use stats::Stats;
use witness::Happened;

/// Both clocks, sampled together once per turn of the loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    pub unix: UnixMillis,
    /// Microseconds since `unix` began.
    pub micros: u16,
    /// Microseconds since some fixed point; never goes back.
    pub mono: u64,
}

impl Now {
    /// From microseconds of both clocks.
    pub fn new(unix_micros: u64, mono: u64) -> Self {
        Self { unix: unix_micros / 1000, micros: (unix_micros % 1000) as u16, mono }
    }

    pub fn unix_micros(self) -> u64 {
        self.unix * 1000 + u64::from(self.micros)
    }
}

/// What carries [`Shard::now`] forward between two samples. One turn of the loop may execute many commands, or a slow
/// one, and each command has a time of its own: a deadline counted from the beginning of the turn would pass early.
#[derive(Default)]
struct Clock {
    /// What the last `handle_*` was told.
    sample: Option<Now>,
    /// The stopwatch at that time, or rather at the first command after it.
    stopwatch: Option<u64>,
    /// `now` stays as it is until the stopwatch shows this.
    valid_until: u64,
}

/// See [`Environment::apply_config`].
pub type ApplyConfig = fn(&Config, &mut Config, &[&'static str]) -> Result<(), (&'static str, String)>;

/// What a shard needs from outside, beside its inputs.
#[derive(Clone)]
pub struct Environment {
    /// Microseconds, monotonic: measures how long commands take, and what passed since the last [`Now`].
    pub stopwatch: fn() -> u64,
    /// Bytes allocated by this process, as `used_memory` reports them and `maxmemory` limits them.
    pub used_memory: fn() -> usize,
    /// The most that `used_memory` has been.
    pub peak_memory: fn() -> usize,
    /// Gives memory that is free back to the operating system.
    pub release_memory: fn(),
    /// Whether [`Garbage`] is being freed.
    pub is_freeing: fn() -> bool,
    /// What the operating system has counted for this process.
    pub usage: fn() -> Usage,
    /// Does nothing for so many microseconds (DEBUG SLEEP).
    pub hold: fn(u64),
    /// Carries out a change of the configuration that CONFIG SET has checked: old, new, the names that changed. It may
    /// adjust the new one. An error names the directive and the reason; the change is dropped then.
    pub apply_config: ApplyConfig,
    /// Writes the configuration to its file (CONFIG REWRITE).
    pub rewrite_config: fn(&Config) -> io::Result<()>,
    pub system: System,
    /// Output of which so many bytes wait is not copied any more when it grows, and no more input than about this is kept
    /// of a connection whose command is in the order.
    pub chunk: usize,
    /// Hex id of this process, 40 digits.
    pub run_id: String,
    pub pid: u32,
    pub executable: String,
}

impl Environment {
    /// A server's [`chunk`](Self::chunk).
    pub const CHUNK: usize = 64 * 1024;

    /// Nothing outside at all: no clock, no memory, no files, and little that makes a chunk of output. For simulation and
    /// tests.
    pub fn isolated() -> Self {
        Self {
            stopwatch: || 0,
            // More than nothing, as that of any process: `maxmemory 1` is exceeded.
            used_memory: || 1 << 10,
            peak_memory: || 0,
            release_memory: || {},
            is_freeing: || false,
            usage: Usage::default,
            hold: |_| {},
            apply_config: |_, _, _| Ok(()),
            rewrite_config: |_| Ok(()),
            system: System::default(),
            chunk: 1000,
            run_id: "0".repeat(40),
            pid: 1,
            executable: "kevy".to_string(),
        }
    }
}

/// What the process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub resident_bytes: u64,
    pub user_micros: u64,
    pub system_micros: u64,
    /// Of the calling thread.
    pub thread_user_micros: u64,
    pub thread_system_micros: u64,
}

/// The machine, and the process when it began to serve.
#[derive(Clone, Debug, Default)]
pub struct System {
    /// As `uname -srm` prints it.
    pub os: String,
    pub total_memory: u64,
    pub startup_memory: usize,
}

/// Output on its way to the kernel: owned by the reactor until given back to `handle_sent`.
#[derive(Debug)]
pub struct SendBuf {
    pub bytes: Vec<u8>,
    /// A string that the keyspace shares; it comes behind the bytes.
    pub large: Option<Large>,
    /// How much of it the kernel has.
    pub sent: usize,
}

impl SendBuf {
    pub fn len(&self) -> usize {
        self.bytes.len() + self.large.as_ref().map_or(0, |large| large.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn is_sent(&self) -> bool {
        self.sent == self.len()
    }

    /// What the kernel does not have yet, in two pieces, either of which may be empty.
    pub fn rest(&self) -> [&[u8]; 2] {
        let large = self.large.as_ref().map_or(&[][..], |large| large);
        match self.sent.checked_sub(self.bytes.len()) {
            None => [&self.bytes[self.sent..], large],
            Some(sent) => [&[], &large[sent..]],
        }
    }
}

/// What the owner of the process is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Shutdown,
    /// The configuration has changed.
    Reconfigure,
    /// Memory that is free is wanted back.
    ReleaseMemory,
}

/// Commands decoded ahead of execution, so that their keys can be prefetched together.
const BATCH: usize = 16;

/// Send buffers kept for reuse, and the capacity above which one is not kept.
const SPARE_BUFFERS: usize = 64;
const SPARE_BUFFER_CAPACITY: usize = 64 * 1024;

/// Subscriptions of closed connections that are forgotten in one turn: about a millisecond.
const SUBSCRIPTIONS_LEFT: usize = 2000;

/// Buffers from this capacity on are freed somewhere else.
const LARGE_BUFFER: usize = 1024 * 1024;

/// What a data command needs to know of the connection it is executed for.
#[derive(Clone, Copy)]
struct Caller {
    db: usize,
    protocol: Protocol,
    no_touch: bool,
}

#[derive(Default)]
struct Batch {
    spans: Vec<Span>,
    commands: Vec<Decoded>,
}

struct Decoded {
    /// Where the command is in the buffer.
    start: usize,
    end: usize,
    spans: std::ops::Range<usize>,
    /// Its arguments are in the decoder's scratch instead of the buffer.
    scratch: bool,
}

impl Decoded {
    fn args<'a>(&self, bytes: &'a [u8], batch: &'a Batch, decoder: &'a Decoder) -> Args<'a> {
        let buffer = if self.scratch { decoder.scratch() } else { &bytes[self.start..] };
        Args::new(buffer, &batch.spans[self.spans.clone()])
    }
}

/// See the module documentation.
pub struct Shard {
    pub config: Config,
    pub env: Environment,
    /// The time of the command being executed: the last sample, carried forward by the stopwatch.
    pub now: Now,
    clock: Clock,
    pub started: Now,
    pub conns: Vec<Option<Box<Conn>>>,
    free: Vec<ConnId>,
    pub by_client: BTreeMap<ClientId, ConnId>,
    pub monitors: BTreeSet<ConnId>,
    /// Connections whose command CLIENT PAUSE holds back, by their tickets.
    paused: BTreeMap<u64, ConnId>,
    /// Those of them that were held back again as they were let go.
    paused_again: BTreeMap<u64, ConnId>,
    /// What it has held back is being let go.
    letting_go: bool,
    /// Connections with commands in their query buffer that may be executed now.
    runnable: VecDeque<ConnId>,
    send_queue: VecDeque<ConnId>,
    close_queue: VecDeque<ConnId>,
    /// Closed in the next turn, when the kernel has been offered their output.
    closed_next: Vec<ConnId>,
    input_queue: Vec<(ConnId, bool)>,
    spare: Vec<Vec<u8>>,
    /// Strings that belong into the reply that is being written.
    lent: Vec<Lent>,
    /// The large argument of the command that is being executed, if it came in a buffer of its own.
    brought: Option<Large>,
    batch: Batch,
    pub realm: Realm,
    pub subscriptions: Subscriptions,
    /// The other shards of the server, if there are any.
    pub links: Option<Box<Links>>,
    /// Boxes of other shards whose keyspace this one has taken in.
    guests: Vec<Hand<Shard>>,
    pub common: Arc<Common>,
    pub stats: Stats,
    pub session: session::State,
    garbage: Vec<Garbage>,
    request: Option<Request>,
    next_cron: u64,
    /// When active expiry has more to do before the next turn of the cron.
    next_expiry: u64,
    /// EXEC has left out of its reply what CLIENT REPLY says that there is not.
    reply_is_cut: bool,
    /// Memory is over `maxmemory`, and eviction goes on in the next turn.
    evicting: bool,
    /// Inside EXEC: no blocking, and effects that must not interleave wait for its end.
    in_transaction: bool,
    /// The command being executed must not be counted (it blocked and will be executed again).
    blocked_now: bool,
    cron: cron::State,
    /// The stopwatch when the command to be executed next could begin: after what was executed or decoded before it.
    stopwatch: u64,
}

impl Shard {
    pub fn new(config: Config, env: Environment, seed: u64, now: Now) -> Self {
        Self::one_of(config, env, seed, now, Slice::WHOLE, Arc::default())
    }

    /// One of several shards, all with the same seed and the same numbers in common. It must get its links before
    /// anything happens.
    pub fn one_of(
        config: Config,
        env: Environment,
        seed: u64,
        now: Now,
        slice: Slice,
        common: Arc<Common>,
    ) -> Self {
        let mut realm = Realm::slice(config.settings.databases, seed, slice);
        realm.waiters.count_in(&common.kinds);
        let mut shard = Self {
            realm,
            subscriptions: Subscriptions::default(),
            links: None,
            guests: Vec::new(),
            common,
            env,
            now,
            clock: Clock::default(),
            started: now,
            conns: Vec::new(),
            free: Vec::new(),
            by_client: BTreeMap::new(),
            monitors: BTreeSet::new(),
            paused: BTreeMap::new(),
            paused_again: BTreeMap::new(),
            letting_go: false,
            runnable: VecDeque::new(),
            send_queue: VecDeque::new(),
            close_queue: VecDeque::new(),
            closed_next: Vec::new(),
            input_queue: Vec::new(),
            spare: Vec::new(),
            lent: Vec::new(),
            brought: None,
            batch: Batch::default(),
            stats: Stats::default(),
            session: session::State::new(seed),
            garbage: Vec::new(),
            request: None,
            next_cron: now.mono,
            next_expiry: u64::MAX,
            reply_is_cut: false,
            evicting: false,
            in_transaction: false,
            blocked_now: false,
            cron: cron::State::default(),
            stopwatch: 0,
            config,
        };
        shard.observe_latency();
        shard
    }

    // --- A: something happened --------------------------------------------------------------------------------

    /// A connection was accepted. It may be refused, in which case the reason is sent and it is closed.
    pub fn handle_accept(&mut self, now: Now, peer: Peer) -> ConnId {
        self.set_now(now);
        let id = self.free.pop().unwrap_or_else(|| {
            self.conns.push(None);
            ConnId(self.conns.len() as u32 - 1)
        });
        let client = self.common.next_client();
        let refused = self.refusal(&peer);
        let authenticated = self.config.security.requirepass.is_empty();
        let mut conn = Box::new(Conn::new(id, client, peer, now.unix, authenticated));
        if let Some(text) = refused {
            self.stats.rejected_connections += 1;
            conn.out.extend_from_slice(text.as_bytes());
            conn.close_after_reply = true;
        } else {
            self.stats.connections_received += 1;
        }
        self.conns[id.0 as usize] = Some(conn);
        self.by_client.insert(client, id);
        self.common.clients.fetch_add(1, Ordering::Relaxed);
        self.queue_send(id);
        id
    }

    /// Takes the time from outside. The same sample again, as the events of one turn have it, does not turn it back.
    fn set_now(&mut self, now: Now) {
        if self.clock.sample != Some(now) {
            self.now = now;
            self.clock = Clock { sample: Some(now), stopwatch: None, valid_until: 0 };
        }
    }

    /// Carries the time forward to what the stopwatch shows; inside EXEC it stands still.
    fn carry_now(&mut self, stopwatch: u64) {
        if self.in_transaction {
            return;
        }
        let sample = self.clock.sample.unwrap_or(self.now);
        let elapsed = stopwatch.saturating_sub(*self.clock.stopwatch.get_or_insert(stopwatch));
        self.now = Now::new(sample.unix_micros() + elapsed, sample.mono + elapsed);
        self.clock.valid_until = stopwatch + 1000 - u64::from(self.now.micros);
    }

    /// Why a connection is not let in: too many clients, or protected mode.
    fn refusal(&self, peer: &Peer) -> Option<&'static str> {
        if self.common.clients.load(Ordering::Relaxed) >= self.config.network.maxclients as usize {
            return Some("-ERR max number of clients reached\r\n");
        }
        (self.config.network.protected_mode && self.config.security.requirepass.is_empty() && !peer.local)
            .then_some(gates::PROTECTED_MODE)
    }

    /// Bytes arrived. They are executed where they are; only what cannot be executed yet is copied.
    pub fn handle_recv(&mut self, now: Now, id: ConnId, bytes: &[u8]) {
        self.set_now(now);
        self.stats.net_input_bytes += bytes.len() as u64;
        self.stats.reads += 1;
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        conn.bytes_in += bytes.len() as u64;
        conn.last_interaction = now.unix;
        if conn.close_after_reply || conn.closing {
            return;
        }
        let mut bytes = bytes;
        if conn.incoming.is_some() {
            bytes = self.receive_large(id, bytes);
        }
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        if bytes.is_empty() || conn.close_after_reply || conn.closing {
            self.check_query_limit(id);
            return;
        }
        if conn.query.is_empty() && conn.waiting == Waiting::No {
            let consumed = self.run_pipeline(id, bytes, usize::MAX);
            let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
            conn.query.extend_from_slice(&bytes[consumed..]);
        } else {
            conn.query.extend_from_slice(bytes);
            self.run_query(id, usize::MAX);
        }
        if let Some(conn) = self.conns[id.0 as usize].as_deref_mut()
            && !conn.query.is_empty()
        {
            conn.expect_large();
        }
        self.check_query_limit(id);
        self.review_input(id);
    }

    /// A connection whose command is in the order, or is to be, goes on soon, and what it sends behind that may come faster
    /// than it can be executed: from a [`chunk`](Environment::chunk) on it waits in the kernel, as it does on one shard while
    /// something is executed. From whoever waits for a key or the end of a pause more is received, up to `client-query-buffer-limit`,
    /// and so it is seen when he leaves.
    pub(super) fn review_input(&mut self, id: ConnId) {
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        let waits = matches!(conn.waiting, Waiting::Order | Waiting::Room);
        let held = waits && conn.query.len() >= self.env.chunk;
        if std::mem::replace(&mut conn.input_held, held) != held && (held || !kevy::bug!(InputHeldForGood)) {
            self.input_queue.push((id, held));
        }
    }

    /// The reactor is done with a buffer: it was sent whole, or the connection failed.
    pub fn handle_sent(&mut self, now: Now, id: ConnId, buf: SendBuf, result: io::Result<()>) {
        self.set_now(now);
        let size = buf.len();
        self.give_up(buf.large);
        self.keep_buffer(buf.bytes);
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        conn.in_flight = 0;
        if result.is_err() {
            self.close(id);
            return;
        }
        self.stats.net_output_bytes += size as u64;
        self.stats.writes += 1;
        conn.bytes_out += size as u64;
        conn.last_interaction = now.unix;
        if conn.pending_output() > 0 {
            self.queue_send(id);
        } else if conn.close_after_reply {
            self.close(id);
        }
    }

    /// The other side closed, or the connection failed, or `poll_close` was carried out: the reactor forgets it.
    pub fn handle_closed(&mut self, now: Now, id: ConnId) {
        self.set_now(now);
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        if conn.waiting == Waiting::Order {
            // Its command has a place in the order and will be executed, for nobody.
            (conn.closing, conn.gone) = (true, true);
        } else {
            self.remove(id);
        }
    }

    /// Nothing is left of a connection after this, and its place may be another's.
    pub(crate) fn remove(&mut self, id: ConnId) {
        self.forget(id);
        if let Some(mut conn) = self.conns[id.0 as usize].take() {
            for chunk in std::mem::take(&mut conn.chunks) {
                self.give_up(chunk.large);
                self.keep_buffer(chunk.bytes);
            }
            self.keep_buffer(std::mem::take(&mut conn.out));
            self.keep_buffer(std::mem::take(&mut conn.query).into_buffer());
            if let Some(incoming) = conn.incoming.take() {
                self.keep_buffer(incoming.into_buffer());
            }
            self.by_client.remove(&conn.client);
            self.common.clients.fetch_sub(1, Ordering::Relaxed);
            if !self.subscriptions.is_leaving(Some(id)) {
                self.free.push(id);
            }
        }
    }

    /// The deadline of `poll_timeout` passed (or any other moment): timeouts, expiry, statistics.
    pub fn handle_timeout(&mut self, now: Now) {
        self.set_now(now);
        while let Some(waiter) = self.realm.waiters.pop_timed_out(now.unix) {
            self.release(&waiter, None);
        }
        self.end_pause();
        if now.mono >= self.next_cron {
            self.run_cron();
            self.next_cron = now.mono + 1_000_000 / u64::from(self.config.process.hz.max(1));
        } else if now.mono >= self.next_expiry {
            self.run_expiry();
        }
    }

    /// Executes commands of connections that had to wait, a bounded amount; `poll_timeout` says if more is left. Boxes that were
    /// visited since the turn began go home.
    pub fn handle_turn(&mut self, now: Now) {
        self.set_now(now);
        self.stats.turns += 1;
        self.close_queue.extend(self.closed_next.drain(..));
        self.retry_stalled();
        if self.subscriptions.is_leaving(None) {
            self.leave_further();
        }
        if std::mem::take(&mut self.evicting) && self.config.settings.maxmemory != 0 {
            self.make_room();
        }
        self.run_runnable();
        if !kevy::bug!(StayOutlastsTurn) {
            self.end_stay();
        }
    }

    fn run_runnable(&mut self) {
        for _ in 0..self.runnable.len() {
            if let Some(id) = self.runnable.pop_front() {
                self.run_query(id, usize::MAX);
            }
        }
    }

    // --- B: something is to be done ---------------------------------------------------------------------------

    /// Output to send. The buffer must come back through `handle_sent`.
    pub fn poll_send(&mut self) -> Option<(ConnId, SendBuf)> {
        while let Some(id) = self.send_queue.pop_front() {
            let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { continue };
            conn.send_queued = false;
            if conn.in_flight > 0 || conn.closing && conn.last_words.is_none() {
                continue;
            }
            let buf = match conn.chunks.pop_front() {
                Some(chunk) => {
                    conn.queued -= chunk.len();
                    chunk
                }
                None => SendBuf { bytes: std::mem::take(&mut conn.out), large: None, sent: 0 },
            };
            if buf.is_empty() {
                if conn.close_after_reply {
                    self.close(id);
                }
                continue;
            }
            conn.in_flight = buf.len();
            return Some((id, buf));
        }
        None
    }

    /// A connection to close; answer with `handle_closed`.
    pub fn poll_close(&mut self) -> Option<ConnId> {
        // Whoever closed by itself meanwhile is forgotten, and its id may be another connection's.
        while let Some(id) = self.close_queue.pop_front() {
            let Some(conn) = self.conn_mut(id).filter(|conn| conn.closing) else { continue };
            if let Some(seen) = conn.last_words
                && seen != conn.bytes_out
                && conn.in_flight + conn.pending_output() > 0
            {
                conn.last_words = Some(conn.bytes_out);
                self.closed_next.push(id);
                continue;
            }
            return Some(id);
        }
        None
    }

    /// A connection from which nothing is to be received for now (true), or again (false).
    pub fn poll_input(&mut self) -> Option<(ConnId, bool)> {
        while let Some((id, held)) = self.input_queue.pop() {
            if self.conn(id).is_some_and(|conn| conn.input_held == held) {
                return Some((id, held));
            }
        }
        None
    }

    /// Something large to free; where and when does not matter.
    pub fn poll_garbage(&mut self) -> Option<Garbage> {
        let garbage = self.garbage.pop()?;
        self.stats.lazyfreed += match &garbage {
            Garbage::Value(Value::Object(_)) => 1,
            Garbage::Value(_) | Garbage::Bytes(_) => 0,
            Garbage::Db(_, db) => db.len() as u64,
        };
        Some(garbage)
    }

    /// A request to the owner of the process.
    pub fn poll_request(&mut self) -> Option<Request> {
        self.request.take()
    }

    /// Microseconds of the monotonic clock when `handle_timeout` (or, if already past, `handle_turn`) is due.
    pub fn poll_timeout(&self) -> u64 {
        if !self.runnable.is_empty()
            || self.evicting
            || self.subscriptions.is_leaving(None)
            || (self.links.is_some() && self.wants_thread())
        {
            return self.now.mono;
        }
        let deadline =
            [self.realm.waiters.next_deadline(), self.session.pause.deadline()].into_iter().flatten().min();
        let deadline = deadline.map_or(u64::MAX, |deadline| {
            let ahead = deadline.saturating_sub(self.now.unix).saturating_mul(1000);
            self.now.mono.saturating_add(ahead)
        });
        deadline.min(self.next_cron).min(self.next_expiry)
    }

    // --- Pipelines --------------------------------------------------------------------------------------------

    /// Executes what the query buffer holds, at most so many commands.
    fn run_query(&mut self, id: ConnId, most: usize) {
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        if conn.query.is_empty() || !conn.can_execute() {
            return;
        }
        let mut query = std::mem::take(&mut conn.query);
        let consumed = self.run_pipeline(id, &query, most);
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        query.consume(if kevy::bug!(QueueBehindWaitLost) { query.len() } else { consumed });
        conn.query = query;
        self.review_input(id);
    }

    /// Decodes and executes commands from `bytes`, at most so many, until they run out or the connection cannot go on.
    /// Returns how many bytes are done with.
    fn run_pipeline(&mut self, id: ConnId, bytes: &[u8], mut most: usize) -> usize {
        let mut batch = std::mem::take(&mut self.batch);
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return 0 };
        let mut decoder = std::mem::take(&mut conn.decoder);
        let mut done = 0;
        while done < bytes.len() && most > 0 {
            let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { break };
            if !conn.can_execute() {
                break;
            }
            let limits = gates::decoder_limits(&self.config, conn.authenticated);
            let depth = most.min(if conn.authenticated { BATCH } else { 1 });
            let mut at = done;
            let mut failure = None;
            while batch.commands.len() < depth {
                let first = batch.spans.len();
                match decoder.decode(&bytes[at..], &limits, &mut batch.spans) {
                    Ok(Progress::Complete { consumed, scratch }) => {
                        let end = at + consumed;
                        batch.commands.push(Decoded {
                            start: at,
                            end,
                            spans: first..batch.spans.len(),
                            scratch,
                        });
                        at = end;
                    }
                    Ok(Progress::Skipped { consumed }) => {
                        at += consumed;
                        if batch.commands.is_empty() {
                            done = at;
                        }
                    }
                    Ok(Progress::Incomplete) => break,
                    Err(error) => {
                        failure = Some(error);
                        break;
                    }
                }
            }
            let several = batch.commands.len() > 1;
            most -= batch.commands.len();
            self.renew_stay();
            let stays = several && self.links.is_some() && self.stay_for(id, bytes, &batch, &decoder);
            let together = if several && !stays && self.links.is_some() {
                self.end_stay();
                self.run_together(id, bytes, &batch, &decoder)
            } else {
                0
            };
            if several
                && together == 0
                && let Some(conn) = self.conn(id)
            {
                // The first keys of the commands.
                let spans = batch.commands.iter().filter(|decoded| !decoded.scratch);
                let spans = spans.filter_map(|decoded| {
                    let span = batch.spans[decoded.spans.clone()].get(1)?;
                    Some(span.of(&bytes[decoded.start..]))
                });
                self.prefetch(conn.db, spans);
            }
            self.stopwatch = (self.env.stopwatch)();
            let mut interrupted = batch.commands.is_empty() && failure.is_none();
            if together > 0 {
                done = batch.commands[together - 1].end;
                interrupted = true;
                batch.commands.clear();
            }
            for decoded in batch.commands.iter().take(if kevy::bug!(PipelineOfOne) { 1 } else { BATCH }) {
                self.process(id, decoded.args(bytes, &batch, &decoder));
                let waiting = self.conn(id).map_or(Waiting::No, |conn| conn.waiting);
                if matches!(waiting, Waiting::Paused | Waiting::Room) {
                    done = decoded.start;
                    interrupted = true;
                    break;
                }
                done = decoded.end;
                if !self.conn(id).is_some_and(Conn::can_execute) {
                    interrupted = true;
                    break;
                }
            }
            batch.spans.clear();
            batch.commands.clear();
            decoder.clear_scratch();
            if interrupted {
                if (done < at || failure.is_some()) && !kevy::bug!(StaleDecoder) {
                    // What was decoded behind the last command executed is decoded again when the connection goes on.
                    decoder = Decoder::new();
                }
                break;
            }
            // Also what was passed over behind the last command.
            done = at;
            if let Some(error) = failure {
                self.protocol_error(id, &error.reply());
                done = bytes.len();
            }
        }
        self.batch = batch;
        if let Some(conn) = self.conns[id.0 as usize].as_deref_mut() {
            conn.decoder = decoder;
        }
        done
    }

    /// Asks for the cache lines of keys, as far as they are here, in two passes: the bucket, then the entry.
    fn prefetch<'a>(&self, db: usize, keys: impl Iterator<Item = &'a [u8]>) {
        let dbs = &self.realm.keyspace.dbs;
        let mut hashes = [0u64; BATCH];
        let mut count = 0;
        for key in keys.take(BATCH) {
            let hash = dbs.hash(key);
            if let Some(part) = dbs.part_here(db, hash) {
                part.table.prefetch(hash);
                hashes[count] = hash;
                count += 1;
            }
        }
        for &hash in &hashes[..count] {
            if let Some(part) = dbs.part_here(db, hash) {
                part.table.prefetch_entry(hash);
            }
        }
    }

    fn protocol_error(&mut self, id: ConnId, text: &[u8]) {
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        if conn.hears_replies() {
            Reply::new(&mut conn.out, conn.protocol).error(text);
        }
        conn.close_after_reply = !kevy::bug!(ProtocolErrorsForgiven);
        conn.query = QueryBuffer::default();
        self.stats.count_error(b"ERR");
        self.queue_send(id);
    }

    /// `client-query-buffer-limit`. What MULTI has queued was not executed yet and counts.
    fn check_query_limit(&mut self, id: ConnId) {
        let limit = self.config.clients.query_buffer_limit;
        if let Some(conn) = self.conns[id.0 as usize].as_deref()
            && (conn.pending_input() + conn.multi.as_ref().map_or(0, |multi| multi.memory)) as u64 > limit
        {
            self.stats.query_buffer_limit_disconnections += 1;
            crate::log!(
                Level::Warning,
                "Closing client that reached max query buffer length: {}",
                session::client::describe(self, conn)
            );
            self.close(id);
        }
    }

    // --- One command ------------------------------------------------------------------------------------------

    /// A command arrived on a connection: gates, MULTI queue, execution, effects, clients it unblocks.
    fn process(&mut self, id: ConnId, args: Args<'_>) {
        if self.stalls(id) {
            return;
        }
        let mut out = self.take_out(id);
        let start = out.len();
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        conn.commands += 1;
        if conn.reply_mode == ReplyMode::SkipNext {
            conn.reply_mode = ReplyMode::Skip;
        }
        match self.admit(id, args) {
            Ok(gates::Admitted::Run(command)) if self.letting_go => {
                // Where its connection writes to belongs to whoever executes it.
                self.conn_mut(id).expect("nothing has closed it").waiting = Waiting::Order;
                self.put_back(id, out, start);
                self.run_let_go(id, command, args);
                return;
            }
            Ok(gates::Admitted::Run(command)) if self.links.is_some() => {
                if !self.run_over(id, command, args, &mut out)
                    && let Some(conn) = self.conn_mut(id)
                {
                    conn.commands -= 1;
                }
            }
            Ok(gates::Admitted::Run(command)) => {
                let _ = self.call(id, command, args, &mut out);
            }
            Ok(gates::Admitted::Queue(command)) => {
                let modified = self.conn(id).is_some_and(|conn| self.watched_key_was_modified(conn));
                let conn = self.conns[id.0 as usize].as_deref_mut().expect("nothing has closed it");
                let args = QueuedArgs::new(args, self.brought.as_ref());
                let multi = conn.multi.as_mut().expect("commands are queued inside MULTI only");
                // What will not be executed takes no memory.
                if !(modified || multi.refused) || kevy::bug!(DoomedStillQueue) {
                    multi.memory += args.memory();
                    multi.queue.push(Queued { command, args });
                }
                Reply::new(&mut out, conn.protocol).simple("QUEUED");
                self.testify(id);
            }
            Ok(gates::Admitted::Postpone) => {
                self.postpone(id);
            }
            Ok(gates::Admitted::Abort(command, error)) => {
                if !self.abort_over(id, command, args, error, &mut out)
                    && let Some(conn) = self.conn_mut(id)
                {
                    conn.commands -= 1;
                }
            }
            Err(error) => {
                if kevy::bug!(RefusedIsExecuted)
                    && gates::is_for_memory(&error)
                    && let Ok(command) = gates::find(&self.config.security.renames, args)
                {
                    self.run_over(id, command, args, &mut Vec::new());
                }
                self.write_error(id, &error, &mut out);
                self.testify_refusal(id, &error);
            }
        }
        self.put_back(id, out, start);
        if self.realm.is_ready() {
            self.serve_blocked();
        }
    }

    /// Answers an error that no command gave.
    fn write_error(&mut self, id: ConnId, error: &CommandError, out: &mut Vec<u8>) {
        let Some(conn) = self.conns[id.0 as usize].as_deref() else { return };
        let text = error.text();
        self.stats.count_error(CommandError::code(&text));
        Reply::new(out, conn.protocol).error(&*text);
    }

    /// Takes a connection's output to write a reply to it.
    fn take_out(&mut self, id: ConnId) -> Vec<u8> {
        let out = self.conns[id.0 as usize].as_deref_mut().map(|conn| {
            conn.replying = true;
            std::mem::take(&mut conn.out)
        });
        match out {
            Some(out) if out.capacity() > 0 => out,
            // Idle connections own no buffer.
            _ => self.spare.pop().unwrap_or_default(),
        }
    }

    /// Gives a connection its output back, with a reply from `start` on unless CLIENT REPLY says that there is none.
    fn put_back(&mut self, id: ConnId, mut out: Vec<u8>, start: usize) {
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else {
            self.lent.clear();
            return;
        };
        conn.replying = false;
        let is_cut = std::mem::take(&mut self.reply_is_cut);
        match conn.reply_mode {
            // CLIENT REPLY SKIP itself says nothing.
            ReplyMode::On | ReplyMode::SkipNext => {}
            ReplyMode::Off if is_cut => {}
            ReplyMode::Skip if is_cut => conn.reply_mode = ReplyMode::On,
            ReplyMode::Off => {
                out.truncate(start);
                self.lent.clear();
            }
            // The reply to skip may be still to come.
            ReplyMode::Skip if conn.waiting != Waiting::No && !kevy::bug!(SkipForgottenWhileWaiting) => {}
            ReplyMode::Skip => {
                out.truncate(start);
                self.lent.clear();
                conn.reply_mode = ReplyMode::On;
            }
        }
        // Messages that the command published to its own connection come after its reply.
        if !conn.out.is_empty() {
            out.append(&mut conn.out);
        }
        if !out.is_empty() {
            conn.out = out;
            if !self.lent.is_empty() {
                conn.interleave(&mut self.lent);
            }
            self.queue_send(id);
        } else {
            if conn.close_after_reply {
                self.queue_send(id);
            }
            self.keep_buffer(out);
        }
    }

    /// Keeps a buffer for reuse, unless it is large or there are enough.
    fn keep_buffer(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        if buffer.capacity() <= SPARE_BUFFER_CAPACITY {
            if buffer.capacity() > 0 && self.spare.len() < SPARE_BUFFERS {
                self.spare.push(buffer);
            }
        } else if buffer.capacity() >= LARGE_BUFFER {
            self.garbage.push(Garbage::Bytes(buffer));
        }
    }

    /// A string that was sent: it may be the last that refers to it.
    fn give_up(&mut self, large: Option<Large>) {
        if let Some(bytes) = large {
            self.garbage.push(Garbage::Value(Value::Large { bytes, raw: true }));
        }
    }

    /// Executes a command that passed the gates and writes its reply to `out`; feeds its effects to everybody who
    /// follows changes, and itself to the monitors. Also what EXEC calls for each queued command.
    pub(crate) fn call(
        &mut self,
        id: ConnId,
        command: &'static Command,
        args: Args<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), CommandError> {
        let outcome = self.call_unmonitored(id, command, args, out);
        if self.is_monitored() {
            self.feed_monitors(id, command, args);
        }
        outcome
    }

    #[inline]
    fn call_unmonitored(
        &mut self,
        id: ConnId,
        command: &'static Command,
        args: Args<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), CommandError> {
        let before = self.stopwatch;
        if before >= self.clock.valid_until {
            self.carry_now(before);
        }
        let outcome = match command.handler {
            Handler::Data(_) => self.call_data(id, command, args, out),
            Handler::Session => session::run(self, id, command, args, out),
        };
        self.commit();
        self.stopwatch = (self.env.stopwatch)();
        if std::mem::take(&mut self.blocked_now) {
            return outcome;
        }
        let micros = self.stopwatch.saturating_sub(before);
        self.count_executed(command, micros, &outcome);
        if micros >= self.session.slow_from {
            self.observe_slow(id, command, args, micros);
        }
        outcome
    }

    #[inline]
    fn count_executed(&mut self, command: &Command, micros: u64, outcome: &Result<(), CommandError>) {
        self.stats.count_call(command, micros, outcome.is_err(), self.config.latency.tracking);
        if let Err(error) = outcome {
            self.stats.count_error(CommandError::code(&error.text()));
        }
    }

    /// A command took long enough for the slow log or the latency monitor to look at it.
    #[cold]
    fn observe_slow(&mut self, id: ConnId, command: &'static Command, args: Args<'_>, micros: u64) {
        if u64::try_from(self.config.latency.slowlog_log_slower_than).is_ok_and(|limit| micros >= limit) {
            self.log_slow(id, command, args, micros);
        }
        self.sample_latency(session::latency::event_of(command), micros);
    }

    /// Derives from the configuration from which duration on [`observe_slow`](Self::observe_slow) is to be called.
    pub(crate) fn observe_latency(&mut self) {
        let latency = &self.config.latency;
        let slowlog = u64::try_from(latency.slowlog_log_slower_than).unwrap_or(u64::MAX);
        let monitor = match latency.monitor_threshold {
            0 => u64::MAX,
            millis => millis.saturating_mul(1000),
        };
        self.session.slow_from = slowlog.min(monitor);
    }

    /// Counts a blocked call that ends without having been served.
    fn count_unserved(&mut self, waiter: &Waiter, failed: bool) {
        self.stats.count_call(waiter.command, 0, failed, self.config.latency.tracking);
        if self.session.slow_from == 0 {
            self.observe_slow(waiter.conn, waiter.command, waiter.argv.as_args(), 0);
        }
    }

    fn call_data(
        &mut self,
        id: ConnId,
        command: &'static Command,
        args: Args<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), CommandError> {
        let Some(conn) = self.conns[id.0 as usize].as_deref() else { return Ok(()) };
        let caller = Caller { db: conn.db, protocol: conn.protocol, no_touch: conn.no_touch };
        let mut lent = std::mem::take(&mut self.lent);
        let may_block = !self.in_transaction;
        let reply = Reply::lending(out, Some(&mut lent), caller.protocol);
        let (outcome, block) = self.execute_to(command, args, caller, may_block, reply);
        self.lent = lent;
        if let Some(block) = block
            && let Some(conn) = self.conn_mut(id)
        {
            conn.waiting = Waiting::Blocked;
            self.blocked_now = true;
            self.wait(id, command, args, caller.db, block);
        }
        outcome
    }

    /// Executes a data command on the keyspace that is here; what it did is to be committed.
    fn execute(
        &mut self,
        command: &'static Command,
        args: Args<'_>,
        caller: Caller,
        may_block: bool,
        out: &mut Vec<u8>,
    ) -> (Result<(), CommandError>, Option<Block>) {
        self.execute_to(command, args, caller, may_block, Reply::new(out, caller.protocol))
    }

    /// As [`execute`](Self::execute); the reply may have strings on loan.
    #[inline]
    fn execute_to(
        &mut self,
        command: &'static Command,
        args: Args<'_>,
        caller: Caller,
        may_block: bool,
        reply: Reply<'_>,
    ) -> (Result<(), CommandError>, Option<Block>) {
        self.set_interest();
        let now = self.data_now();
        let mut call = Call {
            command,
            args,
            data: Data {
                keyspace: &mut self.realm.keyspace,
                settings: &self.config.settings,
                effects: &mut self.realm.effects,
                db: caller.db,
                now,
                now_micros: self.now.micros,
                access: Access {
                    no_touch: caller.no_touch,
                    keep_expired: self.session.pause.is_in_force(now) && !command.is_write(),
                },
                brought: self.brought.as_ref(),
            },
            reply,
            may_block,
            block: None,
        };
        let outcome = command::execute(&mut call);
        (outcome, call.block)
    }

    /// Puts a client into the queues of the keys it waits for.
    fn wait(&mut self, id: ConnId, command: &'static Command, args: Args<'_>, db: usize, block: Block) {
        let shards = self.route(id, command, args);
        let argv = Argv::from(args);
        self.reschedule();
        if shards.without(self.me()).is_empty() {
            self.realm.waiters.add(id, command, argv, db, block);
            return;
        }
        let client = self.conn(id).map_or(0, |conn| conn.client);
        let (origin, number) = (Origin { shard: self.me(), conn: id, client }, self.next_wait());
        let claim = Claim { origin, number, shards, kind: block.kind };
        for &index in block.keys.iter().take(if kevy::bug!(OneClaimOfSeveral) { 1 } else { usize::MAX }) {
            let key = args.at(index);
            let home = self.home_of(key).expect("a command has the boxes of its keys");
            home.realm.waiters.claim(DbKey { db: db as u32, key: key.into() }, claim);
        }
        self.common.away.fetch_add(1, Ordering::Relaxed);
        self.realm.waiters.add_away(id, command, argv, db, block, (number, shards));
    }

    /// Tells handlers what to record: what somebody listens to here or at a guest's.
    #[inline]
    fn set_interest(&mut self) {
        self.realm.set_interest();
        for guest in &self.guests {
            self.realm.effects.interest.keys |=
                !guest.realm.versions.is_empty() && !kevy::bug!(GuestsUnwatched);
            self.realm.effects.interest.ready |= !guest.realm.waiters.is_empty();
        }
    }

    /// The commit: takes what a command did and feeds everybody who follows changes.
    pub(crate) fn commit(&mut self) {
        if self.realm.effects.is_empty() {
            return;
        }
        let now = self.data_now();
        let number = self.ready_number();
        self.realm.bump_versions(now);
        self.realm.collect_ready(number);
        for guest in &mut self.guests {
            if !kevy::bug!(GuestsUntold) {
                guest.realm.follow(&self.realm.effects, &self.realm.keyspace.dbs, now, number);
            }
        }
        let mut effects = std::mem::take(&mut self.realm.effects);
        if let Some(journal) = &mut self.realm.journal {
            journal.append(&mut effects.journal);
        }
        self.publish_events(&effects);
        self.garbage.append(&mut effects.garbage);
        effects.clear();
        self.realm.effects = effects;
    }

    /// The number of a commit by which keys may become ready; of one shard each comes when it comes.
    fn ready_number(&self) -> u64 {
        let effects = &self.realm.effects;
        let none = self.links.is_none() || effects.ready.is_empty() && effects.whole.is_empty();
        if none { 0 } else { self.common.next_ready() }
    }

    /// Publishes keyspace events to their subscribers.
    fn publish_events(&mut self, effects: &Effects) {
        if effects.events.is_empty()
            || if self.links.is_none() {
                self.subscriptions.is_empty()
            } else {
                self.subscribed_shards().is_empty()
            }
        {
            return;
        }
        let flags = self.config.settings.notify_keyspace_events;
        for event in &effects.events {
            let key = effects.key(event.key);
            if flags & Class::KEYSPACE != 0 || kevy::bug!(KeyspaceAlwaysPublished) {
                let mut channel =
                    format!("__keyspace@{}__:", if kevy::bug!(EventsOfDatabase0) { 0 } else { event.key.db })
                        .into_bytes();
                channel.extend_from_slice(key);
                self.publish_event(channel, event.name.as_bytes());
            }
            if flags & Class::KEYEVENT != 0 && !kevy::bug!(KeyeventSilent) {
                let channel = format!("__keyevent@{}__:{}", event.key.db, event.name);
                self.publish_event(channel.into_bytes(), key);
            }
        }
    }

    /// Delivers a message to this shard's subscribers of a channel and of patterns that match it; returns how many got
    /// it.
    pub(crate) fn deliver(&mut self, channel: &[u8], message: &[u8]) -> usize {
        let mut receivers = 0;
        let direct: Vec<ConnId> = self.subscriptions.subscribers(Kind::Channel, channel).collect();
        for id in direct {
            self.push(id, &[b"message", channel, message]);
            receivers += 1;
        }
        let matching: Vec<(Vec<u8>, ConnId)> =
            self.subscriptions.matching(channel).map(|(pattern, id)| (pattern.to_vec(), id)).collect();
        for (pattern, id) in
            matching.into_iter().take(if kevy::bug!(OnePatternOnly) { 1 } else { usize::MAX })
        {
            self.push(id, &[b"pmessage", &pattern, channel, message]);
            receivers += usize::from(!kevy::bug!(PublishCountsChannels));
        }
        receivers
    }

    /// Sends an out-of-band message: a push in RESP3, an array in RESP2.
    pub(crate) fn push(&mut self, id: ConnId, parts: &[&[u8]]) {
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        if conn.closing {
            return;
        }
        let mut reply = Reply::new(&mut conn.out, conn.protocol);
        if kevy::bug!(PushesAsArrays) {
            reply.array(parts.len());
        } else {
            reply.push(parts.len());
        }
        for part in parts {
            reply.bulk(part);
        }
        self.queue_send(id);
    }

    // --- Blocked clients --------------------------------------------------------------------------------------

    /// Offers keys that became ready to the clients that wait for them, until nothing new becomes ready: keys in the
    /// order in which they became ready, clients of a key in the order in which they came. A client that is offered
    /// a key executes its command again, through the same gates and the same door; if it has to wait again it is
    /// last, and is not offered the key a second time. No other box is here: see [`links::serve_ready`].
    fn serve_blocked(&mut self) {
        debug_assert!(self.guests.is_empty(), "others' keys may come first");
        let (now, here) = (self.data_now(), links::Shards::one(self.me()));
        let mut needs = self.realm.offers.call().is_some();
        while !needs && !self.realm.offers.is_empty() {
            match self.realm.offer(now, here) {
                None => {}
                Some(Offer::Here(id)) => self.serve(id),
                Some(Offer::Claim(_) | Offer::Needs) => needs = true,
            }
        }
        if needs {
            links::call(&mut [self]);
        } else {
            self.realm.offers.called();
        }
    }

    /// Executes the command of a blocked client again.
    fn serve(&mut self, id: ConnId) {
        let Some(waiter) = self.realm.waiters.remove(id) else { return };
        if waiter.away.is_some() {
            self.common.away.fetch_sub(1, Ordering::Relaxed);
        }
        self.stopwatch = (self.env.stopwatch)();
        let mut out = self.take_out(id);
        let start = out.len();
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        conn.waiting = Waiting::No;
        let args = waiter.argv.as_args();
        match self.admit(id, args) {
            Ok(gates::Admitted::Postpone)
                if self.session.pause.is_in_force(self.data_now()) && !kevy::bug!(PauseLetsServe) =>
            {
                self.hold_back(id, args);
            }
            Ok(_) => {
                let _ = self.call_unmonitored(id, waiter.command, args, &mut out);
                self.testify(id);
            }
            Err(error) => {
                if !kevy::bug!(RefusedWaiterUnanswered) {
                    self.write_error(id, &error, &mut out);
                }
                self.testify_refusal(id, &error);
            }
        }
        self.put_back(id, out, start);
        match self.conn(id).map(|conn| conn.waiting) {
            Some(Waiting::Blocked) => self.realm.waiters.set_deadline(id, waiter.block.deadline),
            Some(Waiting::Paused) => {}
            _ => self.resume(id),
        }
    }

    /// Ends the waiting of a client, which is in no queue any more, with an answer of somebody else's making.
    fn release(&mut self, waiter: &Waiter, error: Option<CommandError>) {
        let id = waiter.conn;
        self.end_wait(waiter);
        self.testify_that(id, Happened::Released);
        self.count_unserved(waiter, error.is_some());
        let mut out = self.take_out(id);
        let start = out.len();
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        conn.waiting = Waiting::No;
        match error {
            None => waiter.block.on_timeout.write(&mut Reply::new(&mut out, conn.protocol)),
            Some(error) => self.write_error(id, &error, &mut out),
        }
        self.put_back(id, out, start);
        self.resume(id);
    }

    /// What a client that waits no more has claimed on other boxes is given up.
    fn end_wait(&mut self, waiter: &Waiter) {
        if waiter.away.is_some() {
            self.common.away.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some((number, shards)) = waiter.away
            && let Some(client) = self.conn(waiter.conn).map(|conn| conn.client)
        {
            self.unwait(waiter.conn, client, number, shards);
        }
    }

    /// Unblocks a client as if its time were up, or with an error (CLIENT UNBLOCK). False if it is not blocked.
    pub(crate) fn unblock(&mut self, id: ConnId, error: Option<&'static str>) -> bool {
        let waiter = self.realm.waiters.remove(id);
        if let Some(waiter) = &waiter {
            self.release(waiter, error.map(CommandError::Text));
        }
        waiter.is_some()
    }

    /// A connection that waited may go on with what it has sent meanwhile.
    pub(crate) fn resume(&mut self, id: ConnId) {
        self.queue_send(id);
        if let Some(conn) = self.conns[id.0 as usize].as_deref()
            && !conn.query.is_empty()
            && !kevy::bug!(ServedNotResumed)
        {
            self.runnable.push_back(id);
        }
    }

    // --- Output and closing -----------------------------------------------------------------------------------

    pub(crate) fn queue_send(&mut self, id: ConnId) {
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        if !conn.send_queued && conn.in_flight == 0 {
            conn.send_queued = true;
            self.send_queue.push_back(id);
        }
        // While a reply is written, what is here comes after it.
        if conn.out.len() >= self.env.chunk && (!conn.replying || kevy::bug!(LongMessagesFirst)) {
            conn.close_chunk();
        }
        if conn.out.len() + conn.queued > gates::OUTPUT_CHECKED_FROM {
            self.check_output_limit(id);
        }
    }

    /// Closes a connection without waiting for its output.
    pub(crate) fn close(&mut self, id: ConnId) {
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        if !conn.closing {
            conn.closing = true;
            self.close_queue.push_back(id);
            // A command in the order may need what the connection watches.
            if conn.waiting != Waiting::Order {
                self.forget(id);
            }
        }
    }

    /// Gives up buffers that are kept for reuse.
    pub(crate) fn drop_spare_buffers(&mut self) {
        self.spare = Vec::new();
        for conn in self.conns.iter_mut().flatten() {
            conn.query.shrink_to_fit();
            conn.out.shrink_to_fit();
        }
    }

    /// Takes a connection out of everything that refers to it.
    pub(crate) fn forget(&mut self, id: ConnId) {
        self.testify_that(id, Happened::Closed);
        if !kevy::bug!(ClosedClientsWait)
            && let Some(waiter) = self.realm.waiters.remove(id)
        {
            self.end_wait(&waiter);
        }
        self.monitors.remove(&id);
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        if let Some(ticket) = conn.held.take() {
            self.paused.remove(&ticket);
            self.paused_again.remove(&ticket);
        }
        let watched = std::mem::take(&mut conn.watching);
        self.unwatch(watched.into_keys());
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        let subscriptions = [
            (Kind::Channel, std::mem::take(&mut conn.channels)),
            (Kind::Pattern, std::mem::take(&mut conn.patterns)),
            (Kind::Shard, std::mem::take(&mut conn.shard_channels)),
        ];
        if !kevy::bug!(ClosedStillSubscribed) {
            self.subscriptions.leave(id, subscriptions);
        }
        self.leave_further();
    }

    /// Takes some of the subscriptions of those who have closed out of the registry.
    fn leave_further(&mut self) {
        for id in self.subscriptions.leave_further(SUBSCRIPTIONS_LEFT) {
            if self.conns[id.0 as usize].is_none() {
                self.free.push(id);
            }
        }
        self.listeners_changed();
    }

    // --- C: getters -------------------------------------------------------------------------------------------

    pub fn conn(&self, id: ConnId) -> Option<&Conn> {
        self.conns.get(id.0 as usize)?.as_deref()
    }

    pub fn conn_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.get_mut(id.0 as usize)?.as_deref_mut()
    }

    /// A view of the data outside of any command (cron, DEBUG, eviction). What it changes must be committed.
    pub(crate) fn data(&mut self, db: usize) -> Data<'_> {
        self.set_interest();
        let now = self.data_now();
        Data {
            keyspace: &mut self.realm.keyspace,
            settings: &self.config.settings,
            effects: &mut self.realm.effects,
            db,
            now,
            now_micros: self.now.micros,
            access: Access { no_touch: false, keep_expired: self.session.pause.is_in_force(now) },
            brought: None,
        }
    }
}
