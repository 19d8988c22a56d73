//! The server's own threads, clients that are threads too, and what is asked of what they saw.
//!
//! The simulator decides who goes on; here the machine does, with its caches and its scheduler, and nothing of the server
//! is replaced: sockets, epoll, eventfds, clocks. What clients sent and received is a [`History`], and
//!
//! - the model answers the same in the order that the server's witness tells ([`History::check`]);
//! - a real redis-server answers the same, byte for byte, when it is sent the commands in that order ([`replay`]);
//! - where all that is written is appended, [`appends::judge`] finds no circle, whatever the witness says.
//!
//! A command that waited is sent to redis-server when it was answered: it might have arrived just then, and no client can
//! know of another one's command that it came earlier. That those who wait are served in the order in which they came
//! is for the model to say, which has them wait.

use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use kevy::resp::Frame;
use kevy_model::generator::{Choices, Prng};
use kevy_server::config::Config;
use kevy_server::shard::Environment;
use kevy_server::shard::witness::{Happened, Witness};
use kevy_server::{listen, runtime};

use crate::server::{Program, Server, free_port};
use crate::sim::appends;
use crate::sim::history::{Argv, History, Operation, show};
use crate::sim::scenario;
use crate::sim::world::{Script, is_message};
use crate::wire::{Address, Wire, decode, encode};

/// A server whose threads are this process's, for as long as it lives.
pub struct Threads {
    address: Address,
    witness: Arc<Witness>,
    /// Connections so far: they are numbered.
    connected: u64,
    control: Wire,
    /// Its threads tell here that they are to stop, which nobody asks of them.
    _stopped: mpsc::Receiver<io::Result<()>>,
}

impl Threads {
    pub fn start(shards: u32) -> io::Result<Threads> {
        let mut config = Config::default();
        config.process.shards = shards;
        config.network.bind = vec![b"127.0.0.1".to_vec()];
        let witness = Arc::new(Witness::default());
        let mut open = || {
            config.network.port = free_port()?;
            listen::open(&config).map_err(io::Error::other)
        };
        // Somebody else may have been given the port meanwhile.
        let listeners = open().or_else(|_| open())?;
        let (to_free, garbage) = mpsc::channel();
        std::thread::spawn(move || garbage.iter().for_each(drop));
        let (environment, started) = (Environment::isolated(), Instant::now());
        let stopped = runtime::start_threads(
            &config,
            &environment,
            listeners,
            None,
            started,
            &to_free,
            Some(&witness),
        )?;
        let address = Address::Tcp(format!("127.0.0.1:{}", config.network.port));
        let control = Wire::connect(&address)?;
        let mut threads = Threads { address, witness, connected: 1, control, _stopped: stopped };
        threads.control.call(&["PING"])?;
        Ok(threads)
    }

    /// A connection to it, outside of any round.
    pub fn connect(&mut self) -> io::Result<Wire> {
        let mut wire = Wire::connect(&self.address)?;
        wire.call(&["PING"])?;
        self.connected += 1;
        Ok(wire)
    }

    /// Lets clients act at once, and gives what they saw once nothing is left of them. Who waits for a list is given
    /// something when nobody does anything else.
    pub fn round(&mut self, scripts: &[Script], lists: &[String]) -> io::Result<History> {
        self.control.call(&["FLUSHALL"])?;
        let mut clients = Vec::new();
        let mut history = History::default();
        let shared = Shared::default();
        for _ in 0..=scripts.len() {
            clients.push(Client::connect(&self.address, &shared)?);
            self.connected += 1;
            history.ids.push(self.connected);
        }
        self.witness.take();
        let mut filler = clients.pop().expect("there is one more than scripts");
        let acted: io::Result<()> = std::thread::scope(|scope| {
            shared.running.store(scripts.len(), Ordering::SeqCst);
            let acting: Vec<_> = std::iter::zip(scripts, &mut clients)
                .map(|(script, client)| scope.spawn(|| client.act(script, &shared)))
                .collect();
            let filled = filler.fill(&mut self.control, lists, &shared);
            let acted = acting.into_iter().map(|client| client.join().expect("clients do not panic"));
            // Why a client failed says more than that its server did.
            acted.collect::<io::Result<()>>().and(filled)
        });
        acted?;
        clients.push(filler);
        for client in clients.iter_mut().filter(|client| client.left.is_none()) {
            // Messages come before it.
            client.send(&[vec![b"PING".to_vec()]], &shared)?;
            client.receive(&shared)?;
        }
        for client in clients {
            history.operations.push(client.operations);
            history.frames.push(client.frames);
            history.left.push(client.left);
        }
        // Who is gone is forgotten by his thread, not by ours.
        let others = |list: &Frame| {
            list.as_bytes().is_some_and(|list| list.iter().filter(|&&byte| byte == b'\n').count() > 1)
        };
        while others(&self.control.call(&["CLIENT", "LIST"])?) {}
        history.events = self.witness.take();
        Ok(history)
    }
}

/// What clients of a round share.
#[derive(Default)]
struct Shared {
    instant: AtomicU64,
    running: AtomicUsize,
    /// How many of them wait for a reply, and what all have received.
    waiting: AtomicUsize,
    received: AtomicU64,
}

impl Shared {
    fn instant(&self) -> u64 {
        self.instant.fetch_add(1, Ordering::SeqCst)
    }
}

/// A client of a round. Its first command is PING.
struct Client {
    wire: Option<Wire>,
    operations: Vec<Operation>,
    answered: usize,
    frames: Vec<Frame>,
    left: Option<u64>,
}

impl Client {
    fn connect(address: &Address, shared: &Shared) -> io::Result<Client> {
        let wire = Some(Wire::connect(address)?);
        let mut client = Client { wire, operations: Vec::new(), answered: 0, frames: Vec::new(), left: None };
        client.send(&[vec![b"PING".to_vec()]], shared)?;
        client.receive(shared)?;
        Ok(client)
    }

    fn wire(&mut self) -> &mut Wire {
        self.wire.as_mut().expect("it has not left")
    }

    fn send(&mut self, burst: &[Argv], shared: &Shared) -> io::Result<()> {
        let mut bytes = Vec::new();
        for argv in burst {
            encode(argv, &mut bytes);
            let invoked = shared.instant();
            self.operations.push(Operation { argv: argv.clone(), invoked, returned: None, since: 0 });
        }
        self.wire().send(&bytes)
    }

    /// Receives until everything is answered.
    fn receive(&mut self, shared: &Shared) -> io::Result<()> {
        while let Some(operation) = self.operations.get_mut(self.answered) {
            let frame = self.wire.as_mut().expect("it has not left").read_frame();
            let frame = frame.and_then(|bytes| decode(&bytes)).map_err(|error| {
                io::Error::new(error.kind(), format!("{error}: {}", show(&operation.argv)))
            })?;
            shared.received.fetch_add(1, Ordering::SeqCst);
            if !is_message(&frame) {
                operation.returned = Some(shared.instant());
                self.answered += 1;
            }
            self.frames.push(frame);
        }
        Ok(())
    }

    fn act(&mut self, script: &Script, shared: &Shared) -> io::Result<()> {
        let acted = self.act_until_done(script, shared);
        shared.running.fetch_sub(1, Ordering::SeqCst);
        acted
    }

    fn act_until_done(&mut self, script: &Script, shared: &Shared) -> io::Result<()> {
        let receive = |client: &mut Client| {
            shared.waiting.fetch_add(1, Ordering::SeqCst);
            let received = client.receive(shared);
            shared.waiting.fetch_sub(1, Ordering::SeqCst);
            received
        };
        for burst in script.bursts.iter().take(script.leaves.unwrap_or(usize::MAX)) {
            self.send(burst, shared)?;
            if !script.eager && script.leaves.is_none() {
                receive(self)?;
            }
        }
        if script.leaves.is_some() {
            self.wire = None;
            self.left = Some(shared.instant());
            return Ok(());
        }
        receive(self)
    }

    /// Pushes to lists, one after the other, as long as others wait and nobody receives anything.
    fn fill(&mut self, control: &mut Wire, lists: &[String], shared: &Shared) -> io::Result<()> {
        let (mut before, mut number) = (u64::MAX, 0);
        loop {
            let running = shared.running.load(Ordering::SeqCst);
            if running == 0 {
                return Ok(());
            }
            let received = shared.received.load(Ordering::SeqCst);
            if running > shared.waiting.load(Ordering::SeqCst) || received != before {
                before = received;
                control.call(&["PING"])?;
                continue;
            }
            let list = &lists[number % lists.len()];
            number += 1;
            self.send(&[scenario::argv(&format!("RPUSH {list} filled{number}"))], shared)?;
            self.receive(shared)?;
            before = shared.received.load(Ordering::SeqCst);
        }
    }
}

/// Sends the commands of a history to redis-server in the order of the witness, each client's on a connection of its
/// own, and compares what each received. Gives how many frames that were.
pub fn replay(history: &History, redis: &Server) -> Result<u64, String> {
    let failed = |error: io::Error| format!("redis-server: {error}");
    let mut control = redis.connect().map_err(failed)?;
    control.call(&["FLUSHALL"]).map_err(failed)?;
    let mut clients = Vec::new();
    for _ in &history.ids {
        let mut wire = redis.connect().map_err(failed)?;
        let id = wire.call(&["CLIENT", "ID"]).map_err(failed)?;
        clients.push(Replayed { wire: Some((wire, id)), done: 0, frames: Vec::new() });
    }
    for (client, operations) in clients.iter_mut().zip(&history.operations) {
        // That it came in was before the witness was asked.
        client.execute(&operations[..1]).map_err(failed)?;
    }
    let mut events = history.events.clone();
    events.sort_by_key(|event| event.at);
    for event in &events {
        let Some(client) = history.ids.iter().position(|&id| id == event.client) else { continue };
        match &event.happened {
            // It is sent when it is answered.
            Happened::Blocked => {}
            Happened::Released => return Err(format!("nobody's time was to run out: {event:?}")),
            Happened::Executed => {
                let operations = &history.operations[client][..event.number as usize];
                clients[client].execute(operations).map_err(failed)?;
            }
            Happened::HeldBack { .. } => return Err(format!("nobody pauses: {event:?}")),
            Happened::Refused | Happened::Evicted { .. } => {
                return Err(format!("memory is not limited: {event:?}"));
            }
            Happened::Closed => {
                if let Some((_, Frame::Int(id))) = clients[client].wire.take() {
                    // Unlike a closed socket, it is seen before the next command.
                    control.call(&["CLIENT", "KILL", "ID", &id.to_string()]).map_err(failed)?;
                }
            }
        }
    }
    let mut compared = 0;
    for (number, (client, received)) in clients.iter_mut().zip(&history.frames).enumerate() {
        if history.left[number].is_none() {
            // What was refused concerned nobody else.
            client.execute(&history.operations[number]).map_err(failed)?;
        }
        let received = tame(&history.operations[number], received);
        let answered = tame(&history.operations[number], &client.frames);
        // Who left has not read everything.
        let whole = history.left[number].is_some() || received.len() == answered.len();
        for (place, (kevy, redis)) in received.iter().zip(&answered).enumerate() {
            if kevy != redis {
                return Err(format!(
                    "client {number}, frame {place}\n  kevy:  {}\n  redis: {}",
                    kevy.escape_ascii(),
                    redis.escape_ascii()
                ));
            }
        }
        if !whole || received.len() > answered.len() {
            return Err(format!(
                "client {number}: kevy sent {} frames, redis {}",
                received.len(),
                answered.len()
            ));
        }
        compared += received.len() as u64;
    }
    Ok(compared)
}

/// A client whose commands are repeated.
struct Replayed {
    /// And the number by which redis-server knows it.
    wire: Option<(Wire, Frame)>,
    done: usize,
    frames: Vec<Frame>,
}

impl Replayed {
    /// Executes those that have not been, one after the other.
    fn execute(&mut self, operations: &[Operation]) -> io::Result<()> {
        let Some((wire, _)) = &mut self.wire else { return Ok(()) };
        for operation in operations.iter().skip(self.done) {
            let mut bytes = Vec::new();
            encode(&operation.argv, &mut bytes);
            wire.send(&bytes)?;
            loop {
                let frame = decode(&wire.read_frame()?)?;
                self.frames.push(frame);
                if !is_message(&self.frames[self.frames.len() - 1]) {
                    break;
                }
            }
            self.done += 1;
        }
        Ok(())
    }
}

/// Frames as bytes, without what two servers may say differently: the order of what has none, and who they are.
fn tame(operations: &[Operation], frames: &[Frame]) -> Vec<Vec<u8>> {
    let mut operations = operations.iter();
    let mut queue: Vec<&Argv> = Vec::new();
    let unordered = |elements: &[Frame]| {
        let mut elements: Vec<Vec<u8>> = elements.iter().map(bytes).collect();
        elements.sort_unstable();
        elements.concat()
    };
    let tame_one = |argv: &Argv, frame: &Frame| match (argv[0].as_slice(), frame) {
        (b"KEYS" | b"SUNION", frame) if frame.elements().is_some() => {
            unordered(frame.elements().unwrap_or_default())
        }
        (b"SCAN", Frame::Array(page)) if page.len() == 2 => {
            [bytes(&page[0]), unordered(page[1].elements().unwrap_or_default())].concat()
        }
        (b"HELLO", Frame::Map(_)) => b"a map".to_vec(),
        (_, frame) => bytes(frame),
    };
    let tame = |frame: &Frame| {
        if is_message(frame) {
            return bytes(frame);
        }
        let Some(Operation { argv, .. }) = operations.next() else { return bytes(frame) };
        if argv[0] == b"EXEC" {
            let queued = std::mem::take(&mut queue);
            return match frame.elements() {
                Some(parts) if parts.len() == queued.len() => {
                    std::iter::zip(queued, parts).flat_map(|(argv, frame)| tame_one(argv, frame)).collect()
                }
                _ => bytes(frame),
            };
        }
        if *frame == Frame::simple("QUEUED") {
            queue.push(argv);
        } else {
            queue.clear();
        }
        tame_one(argv, frame)
    };
    frames.iter().map(tame).collect()
}

fn bytes(frame: &Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

/// What rounds have done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub rounds: u64,
    pub operations: u64,
    /// Commands that waited and were served.
    pub served: u64,
    /// Frames that redis-server answered alike.
    pub replayed: u64,
    /// Transactions and relations without a circle.
    pub judged: u64,
    pub relations: u64,
}

/// One round by its seed.
pub fn round(
    seed: u64,
    threads: &mut Threads,
    redis: Option<&Server>,
    counts: &mut Counts,
) -> Result<(), String> {
    let mut choices = Prng::new(seed);
    let kind = scenario::Kind::of(choices.below(4));
    let clients = 2 + choices.below(7) as usize;
    let (scripts, lists) = scenario::threaded(&mut choices, kind, clients);
    let history = threads.round(&scripts, &lists).map_err(|error| format!("seed {seed}: {error}"))?;
    let explain = |why: String| format!("seed {seed}, {kind:?}: {why}\n{}", history.text());
    history.check().map_err(explain)?;
    counts.rounds += 1;
    counts.operations += history.answered() as u64;
    let waited = |happened| history.events.iter().filter(|event| event.happened == happened).count() as u64;
    counts.served += waited(Happened::Blocked).saturating_sub(waited(Happened::Released));
    if let Some(redis) = redis
        && kind != scenario::Kind::Timed
    {
        counts.replayed += replay(&history, redis).map_err(explain)?;
    }
    if kind == scenario::Kind::Appends {
        let judged = appends::judge(&history).ok_or_else(|| explain("a command is unknown".into()))?;
        let judged = judged.map_err(explain)?;
        counts.judged += judged.transactions as u64;
        counts.relations += judged.relations as u64;
    }
    Ok(())
}

const USAGE: &str = "kevy-difftest threads [--shards 1,2,3,4] [--seed N] [--rounds N] [--seconds N] [--redis PATH]
rounds of clients in threads on the server's own threads, so many with each number of shards, or for so long altogether;
their histories are judged by the model, by redis-server, and by who believes nobody";

struct Options {
    shards: Vec<u32>,
    seed: u64,
    rounds: u64,
    seconds: Option<u64>,
    redis: String,
}

fn parse(args: &[String]) -> Result<Options, String> {
    let redis = "redis-server".to_owned();
    let mut options = Options { shards: vec![1, 2, 3, 4], seed: 0, rounds: 200, seconds: None, redis };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value\n{USAGE}"))?;
        let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{arg}: {error}"));
        match arg.as_str() {
            "--seed" => options.seed = number(value)?,
            "--rounds" => options.rounds = number(value)?,
            "--seconds" => options.seconds = Some(number(value)?),
            "--redis" => options.redis.clone_from(value),
            "--shards" => {
                let shards =
                    value.split(',').map(|text| text.parse().map_err(|error| format!("{arg}: {error}")));
                options.shards = shards.collect::<Result<_, _>>()?;
            }
            _ => return Err(format!("unknown option {arg}\n{USAGE}")),
        }
    }
    Ok(options)
}

pub fn main(args: &[String]) -> ExitCode {
    match parse(args).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kevy-difftest threads: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let redis = Server::start(&Program::at(&options.redis), false, &[]).map_err(|error| error.to_string())?;
    println!("redis: {}", redis.identity());
    for &shards in &options.shards {
        let started = Instant::now();
        let share = options.seconds.map(|seconds| Duration::from_secs(seconds) / options.shards.len() as u32);
        let most = if share.is_some() { u64::MAX } else { options.rounds };
        let mut threads = Threads::start(shards).map_err(|error| error.to_string())?;
        let mut counts = Counts::default();
        for seed in (options.seed..).take(usize::try_from(most).unwrap_or(usize::MAX)) {
            if share.is_some_and(|share| started.elapsed() >= share) {
                break;
            }
            round(seed, &mut threads, Some(&redis), &mut counts)
                .map_err(|why| format!("{shards} shards: {why}"))?;
        }
        println!("shards {shards}: {counts:?} in {:.1} s", started.elapsed().as_secs_f64());
    }
    Ok(())
}
