//! The simulated world: shards' threads as fibers over the shipped loop, their clients, and one clock.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kevy::keyspace::{Class, EvictionPolicy, Garbage};
use kevy::resp::Frame;
use kevy_model::generator::{Choices, Prng};
use kevy_server::config::Config;
use kevy_server::order::place::Visitor;
use kevy_server::reactor::several::{self, Bell, Limits};
use kevy_server::reactor::{Handle, IoEvent, Reactor};
use kevy_server::shard::conn::{ClientId, ConnId, Peer, Waiting};
use kevy_server::shard::witness::{Event, Witness};
use kevy_server::shard::{Environment, Now, SendBuf, Shard};

use super::fiber::{self, Fiber, Panicked, Pause};
use super::history::{Argv, History, Operation, show};
use super::schedule::{Actor, Schedule};
use super::trace::{self, Trace};
use crate::wire::encode;

/// When the world begins, unix milliseconds.
pub const BEGINNING: u64 = 1_700_000_000_000;

/// Something that a thread finds in its reactor.
enum Input {
    Accept(usize),
    Bytes(usize, Vec<u8>),
    Close(usize),
}

impl Input {
    fn client(&self) -> usize {
        match *self {
            Input::Accept(client) | Input::Bytes(client, _) | Input::Close(client) => client,
        }
    }
}

/// A bell whose ring the scheduler sees.
#[derive(Default)]
struct Chime(AtomicBool);

impl Bell for Chime {
    fn ring(&self) {
        trace::touch(trace::address(self), true);
        self.0.store(true, Ordering::SeqCst);
    }

    fn sleep(&self) {
        fiber::pause(Pause::Bell);
        trace::touch(trace::address(self), true);
        self.0.store(false, Ordering::SeqCst);
    }
}

/// What a client does: its commands, in bursts that are sent without waiting for replies.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The shard whose thread accepts it.
    pub shard: usize,
    pub bursts: Vec<Vec<Argv>>,
    /// Sends a burst before the last one is answered.
    pub eager: bool,
    /// Leaves after so many bursts, whatever is unanswered.
    pub leaves: Option<usize>,
}

#[derive(Default)]
struct Client {
    script: Script,
    /// Bursts that were begun.
    begun: usize,
    /// What is still to be sent of the last one.
    rest: Vec<u8>,
    operations: Vec<Operation>,
    /// Bytes received that are no whole frame.
    partial: Vec<u8>,
    frames: Vec<Frame>,
    /// How many of the frames are replies.
    replies: usize,
    connected: bool,
    left: Option<u64>,
    conn: Option<ConnId>,
    id: ClientId,
    /// The server has closed the connection.
    closed: bool,
    /// The server receives nothing from it for now.
    held: bool,
}

impl Client {
    fn is_answered(&self) -> bool {
        self.replies == self.operations.len()
    }

    /// Whether it has something to do.
    fn can_act(&self) -> bool {
        if self.left.is_some() || self.closed {
            return false;
        }
        if self.script.leaves.is_some_and(|at| self.begun >= at) {
            return true;
        }
        !self.rest.is_empty()
            || self.begun < self.script.bursts.len() && (self.script.eager || self.is_answered())
    }
}

/// What threads and clients share.
struct World {
    now: Now,
    inboxes: Vec<VecDeque<Input>>,
    clients: Vec<Client>,
    accepted: u64,
    /// Instants of what clients send and receive.
    instant: u64,
}

impl World {
    fn instant(&mut self) -> u64 {
        self.instant += 1;
        self.instant
    }

    fn receive(&mut self, number: usize, bytes: &[u8]) {
        let instant = self.instant();
        let client = &mut self.clients[number];
        client.partial.extend_from_slice(bytes);
        while let Ok(Some((frame, len))) = Frame::decode(&client.partial) {
            client.partial.drain(..len);
            if !is_message(&frame) {
                if let Some(operation) = client.operations.get_mut(client.replies) {
                    operation.returned = Some(instant);
                    trace::returned(number, client.replies);
                }
                client.replies += 1;
            }
            client.frames.push(frame);
        }
    }
}

/// Where a client's connection comes from.
pub fn address(client: usize) -> String {
    format!("127.0.0.1:{}", 40_000 + client)
}

/// A command in which `@2` stands for the number that the server has given to client 2; 0 as long as it has not.
fn with_ids(argv: &Argv, ids: &[ClientId]) -> Argv {
    let word = |word: &Vec<u8>| {
        let client =
            word.strip_prefix(b"@").and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
        client.map_or_else(
            || word.clone(),
            |client: usize| ids.get(client).copied().unwrap_or_default().to_string().into_bytes(),
        )
    };
    argv.iter().map(word).collect()
}

/// Whether a frame is a message, not a reply: confirmations of SUBSCRIBE are replies.
pub fn is_message(frame: &Frame) -> bool {
    if let Frame::Simple(line) = frame {
        // A monitor's line begins with the time.
        return line.first().is_some_and(u8::is_ascii_digit);
    }
    let (Frame::Push(parts) | Frame::Array(parts)) = frame else { return false };
    matches!(parts.first().and_then(Frame::as_bytes), Some(b"message" | b"pmessage" | b"smessage"))
}

/// A thread's reactor.
struct Wires {
    world: Rc<RefCell<World>>,
    thread: usize,
    bell: Arc<Chime>,
    events: Vec<Input>,
    to_send: Vec<(ConnId, SendBuf)>,
    sent: Vec<(ConnId, SendBuf)>,
    conns: BTreeMap<ConnId, usize>,
}

impl Reactor for Wires {
    fn wait(&mut self, deadline: u64) -> Now {
        fiber::pause(Pause::Events { deadline });
        trace::touch(trace::address(&*self.bell), true);
        self.bell.0.store(false, Ordering::SeqCst);
        trace::touch_inbox(self.thread);
        trace::read_clock();
        let world = &mut *self.world.borrow_mut();
        let inbox = std::mem::take(&mut world.inboxes[self.thread]);
        let (held, events): (VecDeque<Input>, VecDeque<Input>) =
            inbox.into_iter().partition(|input| world.clients[input.client()].held);
        self.events = events.into();
        world.inboxes[self.thread] = held;
        world.now
    }

    fn receive(&mut self) {}

    fn dispatch(&mut self, now: Now, handle: &mut Handle<'_>) {
        for (conn, buf) in std::mem::take(&mut self.sent) {
            handle(now, IoEvent::Sent { conn, buf, result: Ok(()) }, &[]);
        }
        let inputs = std::mem::take(&mut self.events);
        for input in inputs {
            match input {
                Input::Accept(number) => {
                    let addr = address(number);
                    let peer = Peer { addr, laddr: "127.0.0.1:6379".into(), fd: 9, unix: false, local: true };
                    // Who is accepted first gets the lower number: nobody comes between that and noting it.
                    trace::hold(true);
                    let conn = handle(now, IoEvent::Accepted { token: number, peer }, &[]);
                    trace::hold(false);
                    let world = &mut *self.world.borrow_mut();
                    world.accepted += 1;
                    let client = &mut world.clients[number];
                    client.id = world.accepted;
                    client.conn = conn;
                    if let Some(conn) = conn {
                        self.conns.insert(conn, number);
                    }
                }
                Input::Bytes(number, bytes) => {
                    if let Some(conn) = self.open(number) {
                        handle(now, IoEvent::Received { conn, range: 0..bytes.len() }, &bytes);
                    }
                }
                Input::Close(number) => {
                    if let Some(conn) = self.open(number) {
                        self.conns.remove(&conn);
                        self.world.borrow_mut().clients[number].closed = true;
                        handle(now, IoEvent::Closed { conn }, &[]);
                    }
                }
            }
            // Wherever else a thread pauses by itself, its box is at home. Here it is in hand.
            fiber::pause(Pause::Access);
        }
    }

    fn send(&mut self, conn: ConnId, buf: SendBuf) {
        self.to_send.push((conn, buf));
    }

    fn flush(&mut self) {
        for (conn, buf) in self.to_send.drain(..) {
            if let Some(&number) = self.conns.get(&conn) {
                self.world.borrow_mut().receive(number, &buf.bytes);
            }
            self.sent.push((conn, buf));
        }
    }

    fn hold_input(&mut self, conn: ConnId, hold: bool) {
        if let Some(&number) = self.conns.get(&conn) {
            trace::touch_inbox(self.thread);
            self.world.borrow_mut().clients[number].held = hold;
        }
    }

    fn close(&mut self, conn: ConnId) {
        if let Some(number) = self.conns.remove(&conn) {
            self.world.borrow_mut().clients[number].closed = true;
        }
    }

    fn reconfigure(&mut self, _: &Config) {}

    fn free(&mut self, _: Garbage) {}
}

impl Wires {
    fn open(&self, number: usize) -> Option<ConnId> {
        let client = &self.world.borrow().clients[number];
        client.conn.filter(|_| !client.closed)
    }
}

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub shards: usize,
    pub clients: Vec<Script>,
    /// How often the clock may tick while commands are under way, and by how many milliseconds.
    pub ticks: u32,
    pub tick: u64,
    /// Chunks of the order and entries in each.
    pub order: (usize, usize),
    /// Waiting clients that are looked at before a command is executed, and commands that are let go at one position.
    pub at_once: (usize, usize),
    /// Requests are cut.
    pub fragments: bool,
    /// Threads wake for no reason.
    pub spurious: bool,
    /// Keyspace events are published.
    pub events: bool,
    /// Memory is limited.
    pub memory: Option<Memory>,
    /// Another thread may go on at every access to shared memory, not only where one waits. Only in builds with
    /// `--cfg kevy_sim`.
    pub fine: bool,
}

/// A limit on memory, which is exceeded at times whatever the keys are.
#[derive(Clone, Debug)]
pub struct Memory {
    pub policy: EvictionPolicy,
    /// So often in turn it is found to be under the limit, and over it, again and again.
    pub pressure: Vec<u32>,
}

impl Memory {
    /// That of a random scenario by its seed, if it has a limit.
    pub fn random(seed: u64) -> Option<Memory> {
        let mut choices = Prng::new(seed ^ 0x3e3);
        let policies = [
            EvictionPolicy::NoEviction,
            EvictionPolicy::AllkeysRandom,
            EvictionPolicy::VolatileTtl,
            EvictionPolicy::AllkeysLru,
        ];
        let limited = choices.below(6) == 0;
        limited.then(|| Memory {
            policy: policies[choices.below(4) as usize],
            pressure: if choices.below(4) == 0 {
                vec![0, 1]
            } else {
                (0..2 * (1 + choices.below(4))).map(|_| 1 + choices.below(12)).collect()
            },
        })
    }

    /// Whether whoever looks finds too much used, and nothing can be done about it.
    fn starves(&self) -> bool {
        self.policy == EvictionPolicy::NoEviction && self.pressure[0] == 0 && self.pressure.len() == 2
    }

    /// Whether it is over the limit when that is asked for the time after so many others.
    fn is_over(&self, asked: u32) -> bool {
        let mut left = asked % self.pressure.iter().sum::<u32>();
        let phase = self.pressure.iter().position(|&length| {
            let here = left < length;
            left = left.saturating_sub(length);
            here
        });
        phase.is_some_and(|phase| phase % 2 == 1)
    }
}

/// `maxmemory` where it is limited; what is used is far from it.
const LIMIT: usize = 1 << 20;

thread_local! {
    /// The limit of the run that is under way, and how often what is used was asked for.
    static MEMORY: RefCell<(Option<Memory>, u32)> = RefCell::default();
}

/// [`Environment::used_memory`]: a number that all threads read and change.
fn used_memory() -> usize {
    trace::use_memory();
    MEMORY.with_borrow_mut(|(memory, asked)| {
        let over = memory.as_ref().is_some_and(|memory| memory.is_over(*asked));
        *asked += 1;
        if over { LIMIT * 2 } else { LIMIT / 2 }
    })
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scenario {
            shards,
            clients,
            ticks,
            tick,
            order,
            at_once,
            fragments,
            spurious,
            events,
            memory,
            fine,
        } = self;
        writeln!(
            f,
            "shards {shards} order {order:?} at once {at_once:?} ticks {ticks} of {tick} ms fragments {fragments} spurious {spurious} \
             events {events} fine {fine} memory {memory:?}"
        )?;
        for (number, Script { shard, bursts, eager, leaves }) in clients.iter().enumerate() {
            writeln!(f, "client {number} on shard {shard}, eager {eager}, leaves {leaves:?}")?;
            for burst in bursts {
                writeln!(f, "  {}", burst.iter().map(show).collect::<Vec<_>>().join("; "))?;
            }
        }
        Ok(())
    }
}

/// A run that did not do what it must.
#[derive(Clone, Debug)]
pub struct Fault {
    pub property: Property,
    pub text: String,
}

/// What is asked of every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Property {
    /// Nobody panics.
    Panic,
    /// What was sent is answered, unless it waits for a key.
    Answers,
    /// Nobody sleeps while there is something to do, and everything comes to an end.
    Quiet,
    /// Nobody who waits is forgotten, beyond his time or for a key that is there.
    Waiting,
    /// Nothing is left of clients that are gone.
    Leaks,
    /// There is one order in which one server answers the same.
    Order,
    /// So says also who looks at requests and replies alone.
    BlackBox,
}

/// How often time passes and every key is filled until nobody may wait any more.
const HEALING: usize = 40;

/// For how many steps of a run threads wake for no reason, if they do.
const SPURIOUS: u32 = 2000;

/// Steps after which a run goes nowhere.
const MOST_STEPS: u64 = 1_000_000;

/// Pauses that end before anybody looks who happens to wake: less than a second together.
const PAUSES: usize = 20;

/// Accesses after which a thread's turn goes nowhere: it waits for somebody instead of letting him go on.
const MOST_ACCESSES: u32 = 20_000;

struct Running {
    fiber: Fiber,
    paused: Pause,
    /// Since its turn began.
    accesses: u32,
}

/// A run under way.
pub struct Simulation {
    world: Rc<RefCell<World>>,
    threads: Vec<Running>,
    bells: Vec<Arc<Chime>>,
    boxes: Vec<Visitor<Shard>>,
    witness: Arc<Witness>,
    /// What it told as long as memory was limited.
    told: Vec<Event>,
    scenario: Scenario,
    ticks: u32,
    /// For so many steps, threads may wake for no reason.
    spurious: u32,
    pub steps: u64,
}

impl Drop for Simulation {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        self.threads.clear();
        for place in &self.boxes {
            // SAFETY: the threads have been dropped just now, and whoever calls this looks at no box.
            let mut hand = unsafe { place.seize() };
            hand.links = None;
        }
    }
}

/// The seed of the keyspaces' hashes: so a key's home is known beforehand.
pub const SEED: u64 = 42;

impl Simulation {
    pub fn new(scenario: &Scenario) -> Simulation {
        let mut config = Config::default();
        config.process.hz = 1;
        if scenario.events {
            config.settings.notify_keyspace_events = Class::KEYSPACE | Class::KEYEVENT | Class::ALL;
        }
        if let Some(memory) = &scenario.memory {
            config.settings.maxmemory = LIMIT as u64;
            config.settings.maxmemory_policy = memory.policy;
        }
        MEMORY.set((scenario.memory.clone(), 0));
        let now = Now { unix: BEGINNING, micros: 0, mono: 5_000_000 };
        let bells: Vec<Arc<Chime>> = (0..scenario.shards).map(|_| Arc::default()).collect();
        let witness = Arc::new(Witness::default());
        let (foreseen, let_go) = scenario.at_once;
        let limits =
            Limits { order: scenario.order, looks: 1, patience: 1, stay_batches: 2, foreseen, let_go };
        let rung = bells.iter().map(|bell| bell.clone() as Arc<dyn Bell>).collect();
        let environment = Environment { used_memory, chunk: 100, ..Environment::isolated() };
        let (threads, boxes) =
            several::threads(&config, &environment, SEED, now, rung, limits, Some(&witness));
        let clients =
            scenario.clients.iter().map(|script| Client { script: script.clone(), ..Client::default() });
        let world = Rc::new(RefCell::new(World {
            now,
            inboxes: (0..scenario.shards).map(|_| VecDeque::new()).collect(),
            clients: clients.collect(),
            accepted: 0,
            instant: 0,
        }));
        let threads = threads.into_iter().enumerate().map(|(number, thread)| {
            let (world, bell) = (world.clone(), bells[number].clone());
            let fiber = Fiber::new(move || {
                let (to_send, sent) = (Vec::new(), Vec::new());
                let (events, conns) = (Vec::new(), BTreeMap::new());
                let mut wires = Wires { world, thread: number, bell, events, to_send, sent, conns };
                several::run(thread, &mut wires, || {});
            });
            Running { fiber, paused: Pause::Access, accesses: 0 }
        });
        let threads = threads.collect();
        let scenario = scenario.clone();
        let (ticks, spurious) = (scenario.ticks, if scenario.spurious { SPURIOUS } else { 0 });
        Simulation {
            world,
            threads,
            bells,
            boxes,
            witness,
            told: Vec::new(),
            scenario,
            ticks,
            spurious,
            steps: 0,
        }
    }

    /// Everything from the first request to the last trace of the clients, and what was seen.
    pub fn run(mut self, schedule: &mut dyn Schedule, trace: &mut Trace) -> Result<(History, u64), Fault> {
        let outcome = trace.during(self.scenario.fine, |trace| {
            self.play(schedule, trace)?;
            self.check_waiting()?;
            self.heal(schedule, trace)?;
            self.everybody_leaves(schedule, trace)
        });
        outcome?;
        Ok((self.history(), self.steps))
    }

    /// As [`Simulation::run`], but only until nobody can go on; `None` if `trace` says that it has been here before.
    pub fn run_until_quiet(
        mut self,
        schedule: &mut dyn Schedule,
        trace: &mut Trace,
    ) -> Result<Option<(History, u64)>, Fault> {
        let cut = trace.during(self.scenario.fine, |trace| {
            if !self.play(schedule, trace)? {
                return Ok(true);
            }
            self.check_waiting()?;
            let mut calm = super::schedule::Uniform(kevy_model::generator::Prng::new(0));
            self.heal(&mut calm, &mut Trace::default())?;
            self.everybody_leaves(&mut calm, &mut Trace::default())?;
            Ok(false)
        })?;
        Ok((!cut).then(|| (self.history(), self.steps)))
    }

    /// Lets those go on whom the schedule chooses until nobody can. False: the trace has ended it.
    fn play(&mut self, schedule: &mut dyn Schedule, trace: &mut Trace) -> Result<bool, Fault> {
        loop {
            let enabled = self.enabled();
            if enabled.is_empty() {
                return Ok(true);
            }
            if trace.been_here(&enabled) {
                return Ok(false);
            }
            self.steps += 1;
            self.spurious = self.spurious.saturating_sub(1);
            if self.steps > MOST_STEPS {
                let paused: Vec<Pause> = self.threads.iter().map(|thread| thread.paused).collect();
                let text = format!("it comes to no end: {enabled:?} of threads that {paused:?}");
                return Err(Fault { property: Property::Quiet, text });
            }
            let actor = schedule.choose(&enabled);
            trace.step(actor);
            match actor {
                Actor::Thread(number) => {
                    self.resume(number)?;
                    let thread = &mut self.threads[number];
                    thread.accesses =
                        if matches!(thread.paused, Pause::Access) { thread.accesses + 1 } else { 0 };
                    if thread.accesses > MOST_ACCESSES {
                        let text = format!("thread {number} does not come to the end of its turn");
                        return Err(Fault { property: Property::Quiet, text });
                    }
                }
                Actor::Client(number) => self.act(number, schedule),
                Actor::Clock => {
                    self.ticks -= 1;
                    self.pass(self.scenario.tick * 1000);
                }
            }
        }
    }

    fn pass(&mut self, micros: u64) {
        trace::tick();
        let now = &mut self.world.borrow_mut().now;
        *now = Now::new(now.unix_micros() + micros, now.mono + micros);
    }

    fn enabled(&self) -> Vec<Actor> {
        let world = self.world.borrow();
        let mut enabled = Vec::new();
        for (number, thread) in self.threads.iter().enumerate() {
            let rung = || self.bells[number].0.load(Ordering::SeqCst);
            let can = match thread.paused {
                Pause::Access => true,
                Pause::Bell => rung(),
                Pause::Events { deadline } => {
                    let received = |input: &Input| !world.clients[input.client()].held;
                    deadline <= world.now.mono || world.inboxes[number].iter().any(received) || rung()
                }
                Pause::Ended => false,
            };
            if can {
                enabled.push(Actor::Thread(number));
            }
        }
        let able = world.clients.iter().enumerate().filter(|(_, client)| client.can_act());
        enabled.extend(able.map(|(number, _)| Actor::Client(number)));
        // What only goes on for no reason does not keep the run going.
        if !enabled.is_empty() && self.spurious > 0 {
            for (number, thread) in self.threads.iter().enumerate() {
                if matches!(thread.paused, Pause::Events { .. }) && !enabled.contains(&Actor::Thread(number))
                {
                    enabled.push(Actor::Thread(number));
                }
            }
        }
        if !enabled.is_empty() && self.ticks > 0 {
            enabled.push(Actor::Clock);
        }
        enabled
    }

    fn resume(&mut self, number: usize) -> Result<(), Fault> {
        let thread = &mut self.threads[number];
        match thread.fiber.resume() {
            Ok(pause) => {
                thread.paused = pause;
                Ok(())
            }
            Err(Panicked(text)) => {
                Err(Fault { property: Property::Panic, text: format!("thread {number}: {text}") })
            }
        }
    }

    /// A client does what is next for it.
    fn act(&mut self, number: usize, schedule: &mut dyn Schedule) {
        let world = &mut *self.world.borrow_mut();
        let (instant, since) = (world.instant(), self.witness.next());
        let ids: Vec<ClientId> = world.clients.iter().map(|client| client.id).collect();
        let client = &mut world.clients[number];
        let shard = client.script.shard;
        trace::touch_inbox(shard);
        if !client.connected {
            client.connected = true;
            world.inboxes[shard].push_back(Input::Accept(number));
        }
        if client.script.leaves.is_some_and(|at| client.begun >= at) {
            client.left = Some(instant);
            world.inboxes[shard].push_back(Input::Close(number));
            return;
        }
        if client.rest.is_empty() {
            let burst = &client.script.bursts[client.begun];
            client.begun += 1;
            for argv in burst {
                let argv = with_ids(argv, &ids);
                encode(&argv, &mut client.rest);
                trace::invoked(number, client.operations.len());
                client.operations.push(Operation { argv, invoked: instant, returned: None, since });
            }
        }
        let mut bytes = std::mem::take(&mut client.rest);
        if self.scenario.fragments && bytes.len() > 1 && schedule.decide(3) == 0 {
            client.rest = bytes.split_off(1 + schedule.decide(bytes.len() as u32 - 1) as usize);
        }
        world.inboxes[shard].push_back(Input::Bytes(number, bytes));
    }

    fn boxed<R>(&self, shard: usize, look: impl FnOnce(&mut Shard) -> R) -> Result<R, Fault> {
        let Some(mut hand) = self.boxes[shard].take() else {
            let text = format!("the box of shard {shard} is not at home while nobody goes on");
            return Err(Fault { property: Property::Quiet, text });
        };
        let seen = look(&mut hand);
        let _ = hand.leave();
        Ok(seen)
    }

    /// Nobody goes on: what is unanswered must wait for a key, and be woken in time.
    fn check_waiting(&mut self) -> Result<(), Fault> {
        let unanswered: Vec<(usize, usize, Option<ConnId>)> = {
            let world = self.world.borrow();
            let waiting = world
                .clients
                .iter()
                .enumerate()
                .filter(|(_, client)| !client.closed && client.left.is_none());
            let waiting = waiting.filter(|(_, client)| !client.is_answered());
            waiting.map(|(number, client)| (number, client.script.shard, client.conn)).collect()
        };
        let mono = self.world.borrow().now.mono;
        for (number, shard, conn) in unanswered {
            let Some(conn) = conn else {
                let text = format!("client {number} was not accepted");
                return Err(Fault { property: Property::Answers, text });
            };
            let sleeps = match self.threads[shard].paused {
                Pause::Events { deadline } => deadline,
                _ => u64::MAX,
            };
            let (waiting, deadline, unix) = self.boxed(shard, |shard| {
                let waiting = shard.conn(conn).map(|conn| conn.waiting);
                let deadline = match waiting {
                    Some(Waiting::Paused) => shard.session.pause.deadline(),
                    _ => shard.realm.waiters.next_deadline(),
                };
                (waiting, deadline, shard.now.unix)
            })?;
            if !matches!(waiting, Some(Waiting::Blocked | Waiting::Paused)) {
                let text = format!(
                    "client {number} has no answer, though nobody has anything to do: it is {waiting:?}"
                );
                return Err(Fault { property: Property::Answers, text });
            }
            let due = deadline.map(|deadline| mono + deadline.saturating_sub(unix) * 1000);
            if due.is_some_and(|due| sleeps > due + 1000) {
                let text = format!(
                    "thread {shard} sleeps until {sleeps} though client {number} has waited at {due:?}"
                );
                return Err(Fault { property: Property::Waiting, text });
            }
        }
        Ok(())
    }

    /// Memory is plentiful, time passes until everybody who waits with a timeout has been answered, and keys are filled
    /// until everybody else has been served.
    fn heal(&mut self, schedule: &mut dyn Schedule, trace: &mut Trace) -> Result<(), Fault> {
        self.ticks = 0;
        MEMORY.with_borrow_mut(|(memory, _)| *memory = None);
        self.told = self.witness.take();
        for _ in 0..HEALING {
            if self.everybody_is_answered() {
                return Ok(());
            }
            // Who was held back may have sent that clients are paused once more.
            for _ in 0..PAUSES {
                self.pass(30_000);
                self.play(schedule, trace)?;
                if self.held_back().is_none() {
                    break;
                }
            }
            if let Some(held) = self.held_back() {
                return Err(Fault { property: Property::Waiting, text: format!("not let go: {held}") });
            }
            if self.everybody_is_answered() {
                return Ok(());
            }
            let wanted = self.wanted().into_iter();
            let bursts = wanted.map(|key| vec![vec![b"RPUSH".to_vec(), key, b"last".to_vec()]]).collect();
            let script = Script { shard: 0, bursts, eager: false, leaves: None };
            self.world.borrow_mut().clients.push(Client { script, ..Client::default() });
            self.play(schedule, trace)?;
        }
        let world = self.world.borrow();
        let left =
            world.clients.iter().enumerate().find(|(_, client)| !client.is_answered() && !client.closed);
        // Who was answered more than he asked has no command left.
        let left = left
            .map(|(number, client)| (number, client.operations.get(client.replies).map(|left| &left.argv)));
        Err(Fault {
            property: Property::Waiting,
            text: format!("still waiting after every key was filled: {left:?}"),
        })
    }

    fn everybody_is_answered(&self) -> bool {
        self.world.borrow().clients.iter().all(|client| client.closed || client.is_answered())
    }

    /// A command that was not answered though it waits for no key.
    fn held_back(&self) -> Option<String> {
        let world = self.world.borrow();
        let left = world.clients.iter().filter(|client| !client.closed);
        let left = left.filter_map(|client| client.operations.get(client.replies));
        left.map(|left| &left.argv).find(|argv| !argv[0].starts_with(b"B")).map(show)
    }

    /// The keys that blocking commands name.
    fn wanted(&self) -> Vec<Vec<u8>> {
        let world = self.world.borrow();
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for operation in world.clients.iter().flat_map(|client| &client.operations) {
            if operation.argv[0].starts_with(b"BL") || operation.argv[0].starts_with(b"BR") {
                keys.extend(operation.argv[1..].iter().filter(|arg| arg.len() > 1).cloned());
            }
        }
        keys.sort();
        keys.dedup();
        keys
    }

    /// All clients go; nothing of them must be left.
    fn everybody_leaves(&mut self, schedule: &mut dyn Schedule, trace: &mut Trace) -> Result<(), Fault> {
        for client in &mut self.world.borrow_mut().clients {
            client.script.leaves = Some(0);
            client.rest.clear();
        }
        self.play(schedule, trace)?;
        // Who is named by entries that nobody has followed yet follows them when it is woken.
        self.pass(2_000_000);
        self.play(schedule, trace)?;
        for number in 0..self.scenario.shards {
            let left = self.boxed(number, |shard| {
                let conns = shard.conns.iter().flatten().count();
                let common =
                    (shard.common.clients.load(Ordering::SeqCst), shard.common.away.load(Ordering::SeqCst));
                let realm = &shard.realm;
                (conns, common, realm.waiters.len(), realm.waiters.keys(), realm.versions.len())
            })?;
            if left != (0, (0, 0), 0, 0, 0) {
                let text = format!(
                    "shard {number}: connections, clients and waits of all, waiters, keys waited for, keys \
                     watched: {left:?}"
                );
                return Err(Fault { property: Property::Leaks, text });
            }
        }
        Ok(())
    }

    fn history(&self) -> History {
        let world = self.world.borrow();
        let clients = world.clients.iter();
        let memory = self.scenario.memory.as_ref();
        let limited = self.told.iter().map(|event| event.at.instant + 1).max().unwrap_or_default();
        History {
            ids: clients.clone().map(|client| client.id).collect(),
            left: clients.clone().map(|client| client.left).collect(),
            frames: clients.clone().map(|client| client.frames.clone()).collect(),
            operations: clients.clone().map(|client| client.operations.clone()).collect(),
            publishes: self.scenario.events,
            foreseen: self.scenario.at_once.0 >= self.scenario.clients.len(),
            policy: memory.map(|memory| memory.policy),
            starved_until: if memory.is_some_and(Memory::starves) { limited } else { 0 },
            shards: self.scenario.shards,
            accepted_by: clients.clone().map(|client| client.script.shard).collect(),
            events: self.told.iter().cloned().chain(self.witness.take()).collect(),
        }
    }
}
