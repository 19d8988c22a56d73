//! kevy in this process, judged by the model: a [`Shard`] behind a reactor in memory, with a clock that stands still
//! but for what a plan says.
//!
//! No socket and no delay, so a run depends on nothing but the plan and its [`Setting`]. Of every plan it is checked
//! that
//!
//! - the model allows every reply and every delivery, and nothing else arrives ([`Layer::Model`]);
//! - at its end the data are the model's, deadlines included, in encodings that the limits allow ([`Layer::State`]);
//! - the journal, replayed by an empty shard, gives the same data ([`Layer::Journal`]);
//! - cutting requests into pieces changes no reply ([`Layer::Fragments`], in [`check_fragments`]).
//!
//! Several commands of a connection go out in one piece, and commands are also sent behind one that waits. Of the latter
//! there is only ever one connection, because in which order two such connections go on is not specified.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use kevy::command::spec::Flags;
use kevy::command::table::TABLE;
use kevy::command::{Command, CommandId};
use kevy::keyspace::entry::Entry as ShardEntry;
use kevy::keyspace::{Record, Settings};
use kevy::resp::Frame;
use kevy::value::{Object, ValueRef};
use kevy_model::generator::{Choices, Gen, Generated, Note, Outcome, Plan, Prng, Scope, Step, Tally};
use kevy_model::{Delivery, Entry, Model, Request, Value, judge};
use kevy_server::config::{Allow, Config};
use kevy_server::reactor::memory::Memory;
use kevy_server::shard::conn::{ConnId, Peer};
use kevy_server::shard::{Environment, Now, Shard};

use crate::compare;
use crate::shrink::shrink;
use crate::transcript;
use crate::wire::encode;

type Argv = Vec<Vec<u8>>;

/// When a plan begins, unix milliseconds.
pub(crate) const BEGINNING: u64 = 1_700_000_000_000;

/// The connection that listens to keyspace events and all channels, in plans that have one.
const LISTENER: usize = 1000;

/// The connection that only says how the server is to behave.
pub(crate) const CONTROL: usize = 1001;

/// The connection that looks at keys that have expired.
const LOOKER: usize = 1002;

/// Failures after which no further plan is begun.
const MOST_FAILURES: usize = 5;

/// Plans tried to make a failing one small.
const MOST_TRIES: u32 = 3000;

/// Most commands sent in one piece.
const LONGEST_PIPELINE: u32 = 20;

/// A shard, its connections and its clock.
pub(crate) struct World {
    pub(crate) shard: Shard,
    pub(crate) now: Now,
    ids: BTreeMap<usize, ConnId>,
    pub(crate) memory: Memory,
}

impl World {
    pub(crate) fn new(setting: &Setting, unix: u64) -> World {
        let mut config = Config::default();
        let pairs: Vec<(&[u8], &[u8])> =
            setting.config.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        config.set(&pairs, true).expect("settings of the test are valid");
        config.security.enable_debug_command = Allow::Yes;
        let now = Now { unix, micros: 0, mono: 5_000_000 };
        let shard = Shard::new(config, Environment::isolated(), 42, now);
        let mut world = World { shard, now, ids: BTreeMap::new(), memory: Memory::default() };
        // Keys expire when they are looked at, as in the model.
        let replies =
            world.call(CONTROL, &[b"DEBUG".to_vec(), b"SET-ACTIVE-EXPIRE".to_vec(), b"0".to_vec()].to_vec());
        assert_eq!(replies, b"+OK\r\n", "the control connection works");
        world
    }

    pub(crate) fn conn(&mut self, conn: usize) -> ConnId {
        if let Some(&id) = self.ids.get(&conn) {
            return id;
        }
        let addr = format!("127.0.0.1:{}", 40_000 + conn);
        let peer = Peer { addr, laddr: "127.0.0.1:6379".into(), fd: 9, unix: false, local: true };
        let id = self.shard.handle_accept(self.now, peer);
        self.memory.closed.remove(&id);
        self.ids.insert(conn, id);
        self.memory.received.insert(id, Vec::new());
        self.memory.drain(&mut self.shard, self.now);
        id
    }

    /// Bytes arrive, in these pieces, before the shard gets to do anything else.
    pub(crate) fn send<'b>(&mut self, conn: usize, pieces: impl IntoIterator<Item = &'b [u8]>) {
        let id = self.conn(conn);
        for piece in pieces {
            if !self.memory.closed.contains(&id) {
                self.shard.handle_recv(self.now, id, piece);
                self.memory.drain(&mut self.shard, self.now);
            }
        }
        self.turn();
    }

    pub(crate) fn call(&mut self, conn: usize, argv: &Argv) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(argv, &mut bytes);
        self.send(conn, [&bytes[..]]);
        self.take_output(conn)
    }

    fn is_closed(&mut self, conn: usize) -> bool {
        let id = self.conn(conn);
        self.memory.closed.contains(&id)
    }

    pub(crate) fn take_output(&mut self, conn: usize) -> Vec<u8> {
        let id = self.conn(conn);
        std::mem::take(
            self.memory.received.get_mut(&id).expect("every connection has a place for its output"),
        )
    }

    /// Turns of the loop until nothing is left to be done now.
    fn turn(&mut self) {
        self.memory.turn(&mut self.shard, self.now);
    }

    /// Time passes, all at once.
    pub(crate) fn advance_to(&mut self, unix: u64) {
        let millis = unix - self.now.unix;
        self.now = Now { unix, micros: 0, mono: self.now.mono + millis * 1000 };
        self.turn();
    }

    /// The connections there are.
    pub(crate) fn conns(&self) -> Vec<usize> {
        self.ids.keys().copied().collect()
    }

    /// Whether a connection waits in a command.
    pub(crate) fn is_blocked(&mut self, conn: usize) -> bool {
        let id = self.conn(conn);
        self.shard.conns[id.0 as usize].as_ref().is_some_and(|conn| conn.waiting.is_blocked())
    }

    pub(crate) fn close(&mut self, conn: usize) {
        if let Some(id) = self.ids.remove(&conn)
            && !self.memory.closed.contains(&id)
        {
            self.shard.handle_closed(self.now, id);
            self.turn();
        }
    }
}

/// How a plan is run.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// What differs from the default configuration.
    pub config: Vec<(&'static str, &'static str)>,
    /// Somebody listens to everything that is published.
    pub listener: bool,
    /// The seed by which commands are put together to pipelines; without one, each is sent alone.
    pub pipelines: Option<u64>,
    /// The seed by which what is sent is cut into pieces.
    pub fragments: Option<u64>,
}

/// Limits at which every encoding changes after a few small elements.
const TINY: [(&str, &str); 8] = [
    ("hash-max-listpack-entries", "3"),
    ("hash-max-listpack-value", "5"),
    ("set-max-listpack-entries", "3"),
    ("set-max-listpack-value", "5"),
    ("set-max-intset-entries", "2"),
    ("zset-max-listpack-entries", "3"),
    ("zset-max-listpack-value", "5"),
    ("list-max-listpack-size", "3"),
];

impl Setting {
    /// For short plans: all that happens is heard of.
    pub fn small(tiny: bool) -> Setting {
        let mut config = if tiny { TINY.to_vec() } else { Vec::new() };
        config.push(("notify-keyspace-events", "AKEnm"));
        Setting { config, listener: true, ..Setting::default() }
    }

    /// The setting for a seed: every combination occurs.
    pub fn of(seed: u64) -> Setting {
        let mut config = if seed.is_multiple_of(3) { TINY.to_vec() } else { Vec::new() };
        let listener = seed % 4 == 1;
        if listener {
            config.push(("notify-keyspace-events", "AKEnm"));
        }
        let fragments = (seed % 5 < 2).then_some(seed);
        Setting { config, listener, pipelines: (seed % 7 > 1).then_some(seed), fragments }
    }
}

/// Which property was violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    Model,
    State,
    Journal,
    Fragments,
    Transcript,
    Tape,
    /// A panic, such as of an assertion.
    Panic,
    /// Any property of several shards, in a simulation.
    Shards,
}

/// A property was violated.
#[derive(Clone, Debug)]
pub struct Failure {
    pub layer: Layer,
    /// The step of the plan, where it belongs to one.
    pub step: Option<usize>,
    pub text: String,
}

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Done {
    pub commands: u64,
    pub deliveries: u64,
    /// Transactions executed, and refused because of a watched key.
    pub executed: u64,
    pub aborted: u64,
    /// Commands sent while their connection waited, and such that were left out.
    pub behind: u64,
    pub skipped: u64,
    /// Records replayed.
    pub records: u64,
    pub tally: Tally,
}

impl Done {
    pub fn summary(&self) -> String {
        format!(
            "commands {} deliveries {} transactions {} aborted {} behind {} skipped {} records {}",
            self.commands,
            self.deliveries,
            self.executed,
            self.aborted,
            self.behind,
            self.skipped,
            self.records
        )
    }

    pub fn add(&mut self, other: &Done) {
        self.commands += other.commands;
        self.deliveries += other.deliveries;
        self.executed += other.executed;
        self.aborted += other.aborted;
        self.behind += other.behind;
        self.skipped += other.skipped;
        self.records += other.records;
        self.tally.merge(&other.tally);
    }
}

/// Rows that the model says nothing about. It cannot allow the reply it is shown here for any other reason.
pub fn unspecified() -> BTreeSet<CommandId> {
    let nonsense = Frame::simple("what no server ever answers");
    let accepts = |row: &&Command| {
        let mut argv: Argv = row.name.split('|').map(|word| word.as_bytes().to_vec()).collect();
        argv.resize(row.arity.unsigned_abs() as usize, b"1".to_vec());
        let request = Request { conn: 0, now: 0, argv };
        Model::new(16).step(&request, Some(&nonsense)).is_ok()
    };
    TABLE.iter().filter(|row| row.subcommand_count == 0).filter(accepts).map(|row| row.id).collect()
}

/// What plans for the model may contain: what it says nothing about must not touch data.
pub fn scope(steps: usize) -> Scope {
    let unspecified = unspecified();
    let mut scope = Scope { steps, ..Scope::full() };
    scope
        .commands
        .retain(|id| !unspecified.contains(id) || !id.command().is_write() && !id.command().takes_keys());
    scope
}

/// The plan of a seed.
pub fn plan(seed: u64, scope: &Scope) -> Generated {
    let protocol = if seed.is_multiple_of(2) { 2 } else { 3 };
    let Generated { plan, notes } =
        Gen::new(&mut Prng::new(seed), &Scope { protocol, ..scope.clone() }).plan();
    let specified =
        plan.steps.into_iter().zip(notes).filter(|(step, _)| !compare::sorts_in_open_order(argv_of(step)));
    let (steps, notes) = specified.unzip();
    Generated { plan: Plan { steps }, notes }
}

/// Commands that come upon keys nobody has asked for, and find some of them expired; WATCH finds its own expired at
/// once here, and in Redis whoever looks next.
fn meets_expired_keys(argv: &Argv) -> bool {
    use CommandId::{Exec, RandomKey, Scan, Watch};
    compare::row(argv).is_some_and(|row| matches!(row.id, Exec | RandomKey | Scan | Watch))
}

/// Runs a plan and checks everything but [`Layer::Fragments`]. Counts go to `done` also if it fails.
pub fn check(generated: &Generated, setting: &Setting, done: &mut Done) -> Result<(), Failure> {
    guarded(|| Run::new(generated, setting).run(done))
}

/// Runs a plan with requests whole and cut, and compares what came.
pub fn check_fragments(generated: &Generated, setting: &Setting, seed: u64) -> Result<(), Failure> {
    let replies = |fragments| {
        guarded(|| {
            let setting = Setting { fragments, ..setting.clone() };
            let mut run = Run::new(generated, &setting);
            run.transcript = Some(Vec::new());
            run.run(&mut Done::default())?;
            Ok(run.transcript.take().unwrap_or_default())
        })
    };
    let (whole, cut) = (replies(None)?, replies(Some(seed))?);
    match whole.iter().zip(&cut).find(|(a, b)| a != b) {
        None if whole.len() == cut.len() => Ok(()),
        difference => Err(Failure {
            layer: Layer::Fragments,
            step: difference.map(|((step, _), _)| *step),
            text: format!("whole and in pieces differ: {difference:?}"),
        }),
    }
}

/// One plan in so many is also run in pieces and whole.
const FRAGMENTED: u64 = 8;

/// Runs the plans of these seeds, until a moment if there is one, on two threads. Returns what they did, the seed after
/// the last one, and what failed: a few at most.
pub fn check_many(
    seeds: std::ops::Range<u64>,
    until: Option<Instant>,
    scope: &Scope,
) -> (Done, u64, Vec<String>) {
    let next = AtomicU64::new(seeds.start);
    let total = Mutex::new((Done::default(), Vec::new()));
    let work = || {
        while until.is_none_or(|until| Instant::now() < until) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || total.lock().expect("nobody panics").1.len() >= MOST_FAILURES {
                return;
            }
            let (generated, setting) = (plan(seed, scope), Setting::of(seed));
            let mut done = Done::default();
            let mut result = check(&generated, &setting, &mut done);
            if result.is_ok() && seed.is_multiple_of(FRAGMENTED) {
                result = check_fragments(&generated, &setting, seed);
            }
            let failed = result.err().map(|failure| {
                let small = shrunk(&generated, &setting, &failure);
                format!("seed {seed} {setting:?}\n{}\n{small}", failure.text)
            });
            let mut total = total.lock().expect("nobody panics");
            total.0.add(&done);
            total.1.extend(failed);
        }
    };
    std::thread::scope(|threads| (0..2).for_each(|_| _ = threads.spawn(work)));
    let (done, failures) = total.into_inner().expect("nobody panics");
    (done, next.into_inner().min(seeds.end), failures)
}

/// A plan that fails, made small, with what is wrong with it then.
pub fn shrunk(generated: &Generated, setting: &Setting, failure: &Failure) -> String {
    let fails = |plan: &Plan| {
        let generated = Generated { plan: plan.clone(), notes: Vec::new() };
        check(&generated, setting, &mut Done::default()).err().filter(|other| other.layer == failure.layer)
    };
    let mut tries = 0;
    let plan = shrink(&generated.plan, |plan| {
        tries += 1;
        tries < MOST_TRIES && fails(plan).is_some()
    });
    let text = fails(&plan).map_or_else(|| failure.text.clone(), |failure| failure.text);
    format!("{plan}{:?}: {text}", failure.layer)
}

/// Runs a hand-written transcript.
pub fn check_transcript(text: &str) -> Result<(), Failure> {
    let failure = |step, text| Failure { layer: Layer::Transcript, step, text };
    guarded(|| {
        let exchanges = transcript::parse(text).map_err(|error| failure(None, error))?;
        let mut world = World::new(&Setting::default(), BEGINNING);
        for exchange in &exchanges {
            let mut arrived = Vec::new();
            let mut receive = |conn, output: &[u8]| -> Result<(), Failure> {
                let frames = frames(output).map_err(|error| failure(Some(exchange.line), error))?;
                arrived.extend(frames.into_iter().map(|frame| (conn, frame)));
                Ok(())
            };
            let mut output = world.call(exchange.conn, &exchange.argv);
            for argv in &exchange.more {
                output.extend(world.call(exchange.conn, argv));
            }
            let closed = (frames(&output).is_err() && world.is_closed(exchange.conn))
                .then(|| transcript::closed(&output));
            if closed.is_none() {
                receive(exchange.conn, &output)?;
            }
            for conn in world.ids.keys().copied().collect::<Vec<_>>() {
                receive(conn, &world.take_output(conn))?;
            }
            let reply = closed.unwrap_or_else(|| transcript::printed(exchange.conn, &arrived));
            // A transcript keeps no lines that look like comments or are empty.
            let lines = reply.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            if !exchange.reply.lines().eq(lines) {
                let argv = Step::Command { conn: exchange.conn, argv: exchange.argv.clone() };
                let text = format!("{argv}\n  expected: {}\n  answered: {reply}", exchange.reply);
                return Err(failure(Some(exchange.line), text));
            }
        }
        Ok(())
    })
}

/// A panic is a failure like others.
pub(crate) fn guarded<T>(run: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
        Err(Failure { layer: Layer::Panic, step: None, text: text.unwrap_or_default() })
    })
}

/// A plan being run.
struct Run<'p> {
    plan: &'p Plan,
    notes: &'p [Option<Note>],
    setting: &'p Setting,
    world: World,
    model: Model,
    /// Frames that arrived and were not judged yet, by connection.
    arrived: BTreeMap<usize, VecDeque<Frame>>,
    /// Commands sent behind one that waits, by step: of one connection at most.
    behind: Option<(usize, VecDeque<usize>)>,
    /// Commands queued in the transaction of a connection, by step.
    queued: BTreeMap<usize, Vec<usize>>,
    pipelines: Option<Prng>,
    fragments: Option<Prng>,
    /// Replies, for comparison with another run; without those that depend on how input arrives.
    transcript: Option<Vec<(usize, Frame)>>,
    done: Done,
}

impl<'p> Run<'p> {
    fn new(generated: &'p Generated, setting: &'p Setting) -> Run<'p> {
        let mut model = Model::new(16);
        for (name, value) in &setting.config {
            model.config.insert(name.to_string(), value.to_string());
        }
        let mut world = World::new(setting, BEGINNING);
        world.shard.realm.journal = Some(Vec::new());
        Run {
            plan: &generated.plan,
            notes: &generated.notes,
            setting,
            world,
            model,
            arrived: BTreeMap::new(),
            behind: None,
            queued: BTreeMap::new(),
            pipelines: setting.pipelines.map(Prng::new),
            fragments: setting.fragments.map(Prng::new),
            transcript: None,
            done: Done::default(),
        }
    }

    fn run(&mut self, done: &mut Done) -> Result<(), Failure> {
        let result = self.steps().and_then(|()| self.check_state()).and_then(|()| self.check_journal());
        done.add(&self.done);
        result
    }

    fn now(&self) -> i64 {
        self.world.now.unix as i64
    }

    fn is_blocked(&self, conn: usize) -> bool {
        self.model.sessions.get(&conn).is_some_and(|session| session.blocked.is_some())
    }

    fn steps(&mut self) -> Result<(), Failure> {
        if self.setting.listener {
            let argv: Argv = vec![b"PSUBSCRIBE".to_vec(), b"*".to_vec()];
            self.transmit(LISTENER, [&argv]);
            self.judge_one(LISTENER, &argv, 0)?;
        }
        let plan = self.plan;
        let mut at = 0;
        while at < plan.steps.len() {
            let first = at;
            at += 1;
            if let Step::Command { conn, .. } = &plan.steps[first] {
                self.wait_for_answer(*conn, first)?;
            }
            match &plan.steps[first] {
                Step::Command { conn, .. } if self.is_blocked(*conn) => self.send_behind(*conn, first),
                // What is past when a transaction sets it cannot be looked at before the transaction comes upon it.
                Step::Command { conn, argv } if self.comes_upon_keys_in_transaction(*conn, argv) => {
                    self.done.skipped += 1;
                }
                Step::Command { conn, .. } => {
                    at = self.pipeline_end(first);
                    let argvs = plan.steps[first..at].iter().map(argv_of);
                    if argvs.clone().any(meets_expired_keys) {
                        self.look_at_expired_keys(first)?;
                    }
                    self.transmit(*conn, argvs);
                    for step in first..at {
                        if self.is_blocked(*conn) {
                            self.behind.get_or_insert((*conn, VecDeque::new())).1.push_back(step);
                        } else {
                            self.judge_one(*conn, argv_of(&plan.steps[step]), step)?;
                        }
                    }
                    self.run_behind()?;
                }
                Step::Advance(millis) => self.advance_to(self.world.now.unix + millis, first)?,
                Step::Close(conn) => {
                    self.world.close(*conn);
                    self.model.disconnect(*conn);
                    self.queued.remove(conn);
                    self.behind.take_if(|(behind, _)| behind == conn);
                }
            }
            self.check_silence(first)?;
        }
        Ok(())
    }

    /// Somebody who listens would be told of keys that expire, and which those are depends on who comes upon them.
    fn look_at_expired_keys(&mut self, step: usize) -> Result<(), Failure> {
        if !self.setting.listener {
            return Ok(());
        }
        for (db, key) in self.model.expired_keys(self.now()) {
            for argv in [vec![b"SELECT".to_vec(), db.to_string().into_bytes()], vec![b"EXISTS".to_vec(), key]]
            {
                self.transmit(LOOKER, [&argv]);
                self.judge_one(LOOKER, &argv, step)?;
            }
        }
        Ok(())
    }

    /// Whether a command of a transaction would meet keys that nobody has asked for, and somebody listens.
    fn comes_upon_keys_in_transaction(&self, conn: usize, argv: &Argv) -> bool {
        let in_transaction = self.model.sessions.get(&conn).is_some_and(|session| session.queue.is_some());
        let row = compare::row(argv);
        self.setting.listener
            && in_transaction
            && row.is_some_and(|row| matches!(row.id, CommandId::RandomKey | CommandId::Scan))
    }

    /// Where the commands end that are sent in one piece with the one at `first`.
    fn pipeline_end(&mut self, first: usize) -> usize {
        let Some(choices) = &mut self.pipelines else { return first + 1 };
        let longest = 1 + choices.below(LONGEST_PIPELINE) as usize;
        let Step::Command { conn, .. } = &self.plan.steps[first] else { return first + 1 };
        let waits =
            |step: &Step| compare::row(argv_of(step)).is_some_and(|row| row.flags.contains(Flags::BLOCKING));
        let mut end = first + 1;
        while end - first < longest
            && let Some(Step::Command { conn: next, .. }) = self.plan.steps.get(end)
            && next == conn
            // Expired keys are looked at before, and there may be more of them then.
            && !(self.setting.listener && meets_expired_keys(argv_of(&self.plan.steps[end])))
            // Only one connection may have commands behind one that waits.
            && (self.behind.is_none() || !waits(&self.plan.steps[end - 1]))
        {
            end += 1;
        }
        end
    }

    /// Lets the time of a client that waits run out, mostly, if it is short.
    fn wait_for_answer(&mut self, conn: usize, step: usize) -> Result<(), Failure> {
        let blocked = self.model.sessions.get(&conn).and_then(|session| session.blocked.as_ref());
        match blocked.and_then(|blocked| blocked.deadline) {
            Some(deadline) if deadline < self.now() + 60_000 && !step.is_multiple_of(4) => {
                self.advance_to(deadline as u64, step)
            }
            _ => Ok(()),
        }
    }

    /// Sends a command on a connection that waits.
    fn send_behind(&mut self, conn: usize, step: usize) {
        let others = self.behind.as_ref().is_some_and(|(behind, _)| *behind != conn);
        let meets = self.setting.listener && meets_expired_keys(argv_of(&self.plan.steps[step]));
        if others || meets || self.pipelines.is_none() {
            self.done.skipped += 1;
            return;
        }
        self.transmit(conn, [argv_of(&self.plan.steps[step])]);
        self.behind.get_or_insert((conn, VecDeque::new())).1.push_back(step);
        self.done.behind += 1;
    }

    /// Judges the commands that were waiting behind one that has been answered.
    fn run_behind(&mut self) -> Result<(), Failure> {
        while let Some((conn, steps)) = &mut self.behind {
            let conn = *conn;
            let Some(step) = steps.front().copied() else {
                self.behind = None;
                return Ok(());
            };
            if self.is_blocked(conn) {
                return Ok(());
            }
            if let Some((_, steps)) = &mut self.behind {
                steps.pop_front();
            }
            self.judge_one(conn, argv_of(&self.plan.steps[step]), step)?;
        }
        Ok(())
    }

    fn transmit<'a>(&mut self, conn: usize, argvs: impl IntoIterator<Item = &'a Argv>) {
        let mut bytes = Vec::new();
        argvs.into_iter().for_each(|argv| encode(argv, &mut bytes));
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        if let Some(choices) = &mut self.fragments {
            let largest = [1, 2, 5, 20, 100, 1000][choices.below(6) as usize];
            // Large requests in single bytes take long and show nothing more.
            let largest = if rest.len() > 4000 { largest.max(100) } else { largest };
            while rest.len() > 1 {
                let (piece, behind) = rest.split_at((1 + choices.below(largest) as usize).min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
        }
        pieces.push(rest);
        self.world.send(conn, pieces.into_iter().filter(|piece| !piece.is_empty()));
    }

    /// Sorts what has arrived into frames.
    fn collect(&mut self, step: usize) -> Result<(), Failure> {
        let conns: Vec<usize> = self.world.ids.keys().copied().collect();
        for conn in conns {
            let output = self.world.take_output(conn);
            if !output.is_empty() {
                let frames =
                    frames(&output).map_err(|error| self.failure(step, format!("on {conn}: {error}")))?;
                self.arrived.entry(conn).or_default().extend(frames);
            }
        }
        Ok(())
    }

    fn failure(&self, step: usize, text: String) -> Failure {
        let line = self.plan.steps.get(step).map(Step::to_string).unwrap_or_default();
        Failure { layer: Layer::Model, step: Some(step), text: format!("{line}\n  {text}") }
    }

    fn judge_one(&mut self, conn: usize, argv: &Argv, step: usize) -> Result<(), Failure> {
        self.collect(step)?;
        let request = Request { conn, now: self.now(), argv: argv.clone() };
        let reply = match self.model.frames(&request) {
            0 => None,
            _ => self.arrived.get_mut(&conn).and_then(VecDeque::pop_front),
        };
        self.done.commands += 1;
        let result = self.model.step(&request, reply.as_ref());
        let outcome = result.map_err(|divergence| {
            self.failure(step, format!("expected: {}\n  answered: {}", divergence.wanted, divergence.got))
        })?;
        if conn < LISTENER {
            self.count(conn, argv, step, reply.as_ref());
        }
        for delivery in &outcome.deliveries {
            self.judge_delivery(delivery, step)?;
        }
        Ok(())
    }

    fn judge_delivery(&mut self, delivery: &Delivery, step: usize) -> Result<(), Failure> {
        let arrived = self.arrived.entry(delivery.conn).or_default();
        let mut frames: Vec<Frame> = (0..delivery.frames.len()).map_while(|_| arrived.pop_front()).collect();
        for want in &delivery.frames {
            self.done.deliveries += 1;
            let place = frames.iter().position(|frame| judge(want, frame, delivery.protocol).is_ok());
            match place {
                Some(place) => _ = frames.swap_remove(place),
                None => {
                    let text =
                        format!("connection {}: expected: {want:?}\n  answered: {frames:?}", delivery.conn);
                    return Err(self.failure(step, text));
                }
            }
        }
        Ok(())
    }

    fn check_silence(&mut self, step: usize) -> Result<(), Failure> {
        self.collect(step)?;
        let left = self.arrived.iter().find(|(_, frames)| !frames.is_empty());
        match left {
            None => Ok(()),
            Some((conn, frames)) => {
                Err(self.failure(step, format!("connection {conn}: unexpected: {frames:?}")))
            }
        }
    }

    /// Lets time pass, from one end of somebody's patience to the next.
    fn advance_to(&mut self, unix: u64, step: usize) -> Result<(), Failure> {
        while self.world.now.unix < unix {
            let sessions = self.model.sessions.values();
            let deadlines = sessions.filter_map(|session| session.blocked.as_ref()?.deadline);
            let next = deadlines.filter(|&deadline| deadline > self.now()).min();
            self.world.advance_to(next.map_or(unix, |next| unix.min(next as u64)));
            let passed = self.model.advance(self.now());
            self.collect(step)?;
            for delivery in &passed.deliveries {
                self.judge_delivery(delivery, step)?;
            }
            self.run_behind()?;
        }
        Ok(())
    }

    /// Keeps count, and the transcript, of a command that has been judged.
    fn count(&mut self, conn: usize, argv: &Argv, step: usize, reply: Option<&Frame>) {
        let id = compare::row(argv).map(|row| row.id);
        if reply == Some(&Frame::simple("QUEUED"))
            && self.model.sessions.get(&conn).is_some_and(|session| session.queue.is_some())
        {
            self.queued.entry(conn).or_default().push(step);
            return;
        }
        let queued = match id {
            Some(CommandId::Exec | CommandId::Discard | CommandId::Reset) => {
                self.queued.remove(&conn).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        let depends_on_input = |argv: &Argv| {
            use CommandId::*;
            let row = compare::row(argv);
            row.is_some_and(|row| {
                matches!(row.id, Info | ClientList | ClientInfo | MemoryStats | MemoryUsage)
            })
        };
        let comparable = |run: &Self| {
            !depends_on_input(argv)
                && !queued.iter().any(|&step| depends_on_input(argv_of(&run.plan.steps[step])))
        };
        if let (Some(reply), true) = (reply, self.transcript.is_some() && comparable(self))
            && let Some(transcript) = &mut self.transcript
        {
            transcript.push((step, reply.clone()));
        }
        self.tally(step, reply.is_some_and(Frame::is_error));
        if id == Some(CommandId::Exec) {
            match reply {
                Some(Frame::Array(replies)) => {
                    self.done.executed += 1;
                    for (step, reply) in queued.into_iter().zip(replies) {
                        self.tally(step, reply.is_error());
                    }
                }
                Some(frame) if frame.is_null() => self.done.aborted += 1,
                _ => {}
            }
        }
    }

    fn tally(&mut self, step: usize, failed: bool) {
        if let Some(Some(note)) = self.notes.get(step) {
            self.done.tally.add(note, if failed { Outcome::Error } else { Outcome::Ok });
        }
    }

    // --- At the end of a plan ---------------------------------------------------------------------------------

    fn check_state(&self) -> Result<(), Failure> {
        let failure = |text| Failure { layer: Layer::State, step: None, text };
        let now = self.now();
        let lives = |deadline: Option<i64>| deadline.is_none_or(|deadline| now <= deadline);
        for (number, expected) in self.model.dbs.iter().enumerate() {
            let mut actual = database(&self.world.shard, number);
            actual.retain(|_, entry| lives(entry.deadline));
            let expected: kevy_model::Db = expected
                .iter()
                .filter(|(_, e)| lives(e.deadline))
                .map(|(k, e)| (k.clone(), e.clone()))
                .collect();
            if let Some(text) = difference(&expected, &actual) {
                return Err(failure(format!("database {number}: {text}")));
            }
            let table = &self.world.shard.realm.keyspace.dbs.own(number).table;
            if table.iter().count() != table.len() {
                return Err(failure(format!("database {number} counts {} keys", table.len())));
            }
            let volatile = table.iter().filter(|entry| entry.deadline().is_some()).count();
            if table.deadlines() != volatile {
                return Err(failure(format!(
                    "database {number} counts {} deadlines of {volatile}",
                    table.deadlines()
                )));
            }
            for entry in table.iter() {
                if let Some(text) = wrong_encoding(entry, &self.world.shard.config.settings) {
                    return Err(failure(format!(
                        "\"{}\" in database {number}: {text}",
                        entry.key().escape_ascii()
                    )));
                }
            }
        }
        Ok(())
    }

    /// Replays the journal at the beginning of time, when no deadline has passed: what has expired is gone because the
    /// journal says so.
    fn check_journal(&mut self) -> Result<(), Failure> {
        let failure = |text| Failure { layer: Layer::Journal, step: None, text };
        let journal: Vec<Record> = self.world.shard.realm.journal.take().unwrap_or_default();
        self.done.records += journal.len() as u64;
        let setting = Setting { config: self.setting.config.clone(), ..Setting::default() };
        let mut replayed = World::new(&setting, 0);
        let mut db = 0;
        for record in &journal {
            let mut bytes = Vec::new();
            if record.db != db {
                db = record.db;
                encode(&[b"SELECT", db.to_string().as_bytes()], &mut bytes);
            }
            record.argv.encode(&mut bytes);
            replayed.send(0, [&bytes[..]]);
            let output = replayed.take_output(0);
            if output.is_empty() || frames(&output).is_ok_and(|frames| frames.iter().any(Frame::is_error)) {
                let argv = record.argv.iter().map(<[u8]>::to_vec).collect();
                let step = Step::Command { conn: 0, argv };
                return Err(failure(format!("not accepted: {step}: {}", output.escape_ascii())));
            }
        }
        for number in 0..self.model.dbs.len() {
            let (expected, actual) = (database(&self.world.shard, number), database(&replayed.shard, number));
            if let Some(text) = difference(&expected, &actual) {
                return Err(failure(format!("database {number} replayed: {text}")));
            }
        }
        Ok(())
    }
}

pub(crate) fn argv_of(step: &Step) -> &Argv {
    const NONE: &Argv = &Vec::new();
    match step {
        Step::Command { argv, .. } => argv,
        _ => NONE,
    }
}

/// All frames of some output, which must end with one.
pub(crate) fn frames(mut output: &[u8]) -> Result<Vec<Frame>, String> {
    let mut frames = Vec::new();
    while !output.is_empty() {
        match Frame::decode(output) {
            Ok(Some((frame, len))) => {
                frames.push(frame);
                output = &output[len..];
            }
            _ => return Err(format!("no frame: {}", output.escape_ascii())),
        }
    }
    Ok(frames)
}

/// The keys of a database as the model writes them, those whose deadline has passed included.
pub(crate) fn database(shard: &Shard, number: usize) -> kevy_model::Db {
    let table = &shard.realm.keyspace.dbs.own(number).table;
    let entry = |entry: &ShardEntry| {
        let deadline = entry.deadline().map(|deadline| deadline as i64);
        (
            entry.key().to_vec(),
            Entry { value: value(entry), deadline, encodings: [entry.value().encoding_name()].into() },
        )
    };
    table.iter().map(entry).collect()
}

fn value(entry: &ShardEntry) -> Value {
    let mut digits = itoa::Buffer::new();
    match entry.value() {
        ValueRef::Int(int) => Value::String(int.to_string().into_bytes()),
        ValueRef::String { bytes, .. } => Value::String(bytes.to_vec()),
        ValueRef::Object(Object::List(list)) => {
            Value::List(list.iter().map(|item| item.as_bytes(&mut digits).to_vec()).collect())
        }
        ValueRef::Object(Object::Set(set)) => {
            Value::Set(set.iter().map(|item| item.as_bytes(&mut digits).to_vec()).collect())
        }
        ValueRef::Object(Object::Hash(hash)) => {
            let pair =
                |(field, value): (kevy::value::listpack::Item<'_>, kevy::value::listpack::Item<'_>)| {
                    let mut digits = itoa::Buffer::new();
                    let field = field.as_bytes(&mut digits).to_vec();
                    (field, value.as_bytes(&mut digits).to_vec())
                };
            Value::Hash(hash.iter().map(pair).collect())
        }
        ValueRef::Object(Object::Zset(zset)) => {
            Value::Zset(zset.iter().map(|(member, score)| (member.to_vec(), score)).collect())
        }
    }
}

fn difference(expected: &kevy_model::Db, actual: &kevy_model::Db) -> Option<String> {
    let keys: BTreeSet<_> = expected.keys().chain(actual.keys()).collect();
    let agree = |key: &_| match (expected.get(key), actual.get(key)) {
        (Some(expected), Some(actual)) => {
            (&expected.value, expected.deadline) == (&actual.value, actual.deadline)
        }
        (expected, actual) => expected.is_none() && actual.is_none(),
    };
    let key = keys.into_iter().find(|key| !agree(*key))?;
    let shown = |entry: Option<&Entry>| format!("{entry:?}").chars().take(1000).collect::<String>();
    let (expected, actual) = (shown(expected.get(key)), shown(actual.get(key)));
    Some(format!("\"{}\"\n  expected: {expected}\n  has:      {actual}", key.escape_ascii()))
}

/// What is wrong with an entry's encoding. That a value is encoded for more than it holds is never wrong: it may have
/// held it once.
fn wrong_encoding(entry: &ShardEntry, settings: &Settings) -> Option<String> {
    let (len, longest) = match (entry.object()?, value(entry)) {
        (object, Value::Hash(hash)) => {
            (object.len(), hash.iter().map(|(field, value)| field.len().max(value.len())).max())
        }
        (object, Value::Set(set)) => (object.len(), set.iter().map(Vec::len).max()),
        (object, Value::Zset(zset)) => (object.len(), zset.keys().map(Vec::len).max()),
        (object, Value::List(list)) => (object.len(), list.iter().map(Vec::len).max()),
        (_, Value::String(_)) => return None,
    };
    let encoding = entry.value().encoding_name();
    if len == 0 {
        return Some("an empty collection".into());
    }
    let (most, longest_allowed) = match (entry.object()?, encoding) {
        (Object::Hash(_), "listpack") => {
            (settings.hash.max_listpack_entries, settings.hash.max_listpack_value)
        }
        (Object::Set(_), "listpack") => (settings.set.max_listpack_entries, settings.set.max_listpack_value),
        (Object::Set(_), "intset") => (settings.set.max_intset_entries, usize::MAX),
        (Object::Zset(_), "listpack") => {
            (settings.zset.max_listpack_entries, settings.zset.max_listpack_value)
        }
        _ => (usize::MAX, usize::MAX),
    };
    let longest = longest.unwrap_or(0);
    (len > most || longest > longest_allowed)
        .then(|| format!("{len} elements of up to {longest} bytes as {encoding}"))
}
