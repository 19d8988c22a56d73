//! What clients saw, and two judges of it.
//!
//! [`History::check`] takes the order that the witness claims, and asks the model to answer the same commands one after
//! the other in that order: replies, messages, who is served among those who wait, what expires. Besides, the order must
//! respect time: who was answered before another one asked comes first. Who waits is served where the witness says: between
//! a push and that, things may happen elsewhere, and nobody can tell from a client who began to wait only then. But what
//! one command has made ready, itself or by those who were served, is offered in the order that a single thread would have
//! kept, and before anything is executed that was sent later.
//!
//! Which keys were evicted, and which commands refused for want of memory, is for the witness to say. What was refused must
//! have changed nothing, and what was evicted must have been there, under a policy that allows it, and be gone for
//! everybody from that place on.
//!
//! [`History::search`] believes nobody: it looks for *some* order that respects time and in which the model answers the
//! same. It takes exponential time, so it is for short histories, and there a wrong claim of the first judge would show.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use kevy::keyspace::EvictionPolicy;
use kevy::resp::Frame;
use kevy_model::{Blocked, Delivery, Entry, Model, Request, Step, judge};
use kevy_server::shard::conn::ClientId;
use kevy_server::shard::realm::Realm;
use kevy_server::shard::witness::{At, Event, Happened};

use super::scenario::{argv, realm};
use super::world::{address, is_message};

pub type Argv = Vec<Vec<u8>>;

/// A command that a client sent.
#[derive(Clone, Debug)]
pub struct Operation {
    pub argv: Argv,
    /// When it was sent, and when its reply was there.
    pub invoked: u64,
    pub returned: Option<u64>,
    /// The witness's next instant when it was sent; 0 if nobody asked for it.
    pub since: u64,
}

/// See the module documentation. Clients are numbered.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// By which the witness knows the clients.
    pub ids: Vec<ClientId>,
    pub operations: Vec<Vec<Operation>>,
    /// When each left.
    pub left: Vec<Option<u64>>,
    /// What each received.
    pub frames: Vec<Vec<Frame>>,
    /// Keyspace events were published.
    pub publishes: bool,
    /// Commands are executed with the boxes of those whom they serve.
    pub foreseen: bool,
    /// Memory was limited, with this policy.
    pub policy: Option<EvictionPolicy>,
    /// Up to this of the witness's instants, whoever looked found memory over the limit, and nothing could be evicted.
    pub starved_until: u64,
    /// How many shards there were, and which of them accepted each client.
    pub shards: usize,
    pub accepted_by: Vec<usize>,
    pub events: Vec<Event>,
}

impl History {
    /// Operations that were answered.
    pub fn answered(&self) -> usize {
        self.operations.iter().flatten().filter(|operation| operation.returned.is_some()).count()
    }

    /// What each client received, a line each. The order of what has none, the members of a set, is left out.
    pub fn received(&self) -> Vec<String> {
        let line = |(client, frames): (usize, &Vec<Frame>)| {
            let frames = frames.iter().enumerate().map(|(number, frame)| {
                let argv = self.operations[client].get(number).map(|operation| &operation.argv);
                let unordered = argv.is_some_and(|argv| {
                    [&b"KEYS"[..], b"SCAN", b"SUNION", b"EXEC"].contains(&argv[0].as_slice())
                });
                match frame.elements().filter(|_| unordered) {
                    Some(elements) => {
                        let mut elements: Vec<String> = elements.iter().map(sorted).collect();
                        elements.sort();
                        elements.join(" ")
                    }
                    None => one_line(frame),
                }
            });
            format!("client {client} received {}", frames.collect::<Vec<_>>().join(" "))
        };
        self.frames.iter().enumerate().map(line).collect()
    }

    /// Judges the witness's order.
    pub fn check(&self) -> Result<(), String> {
        let mut events = self.events.clone();
        events.sort_by_key(|event| event.at);
        self.check_time(&events)?;
        let mut replay = Replay::new(self);
        // Of each event and all that come behind it, the first instant.
        let mut earliest: Vec<u64> = events.iter().map(|event| event.at.instant).collect();
        for at in (1..events.len()).rev() {
            earliest[at - 1] = earliest[at - 1].min(earliest[at]);
        }
        for (number, event) in events.iter().enumerate() {
            replay.note_served(earliest[number]);
            replay.follow(event, &events[number + 1..])?;
            replay.note_debts(event);
        }
        replay.finish()
    }

    /// What happened, in the witness's order, and what each client received: to read.
    pub fn text(&self) -> String {
        let mut events = self.events.clone();
        events.sort_by_key(|event| event.at);
        let mut text = String::new();
        for Event { at, clock, client, number, happened } in events {
            let Some(client) = self.client(client) else {
                text += &format!("{:>4}.{} {:>4} {happened:?}\n", at.position, at.member, at.instant);
                continue;
            };
            let argv = (number as usize).checked_sub(1).and_then(|at| self.operations[client].get(at));
            let argv = argv.map(|operation| show(&operation.argv)).unwrap_or_default();
            let (At { position, member, instant }, clock) = (at, clock % 1_000_000);
            text += &format!(
                "{position:>4}.{member} {instant:>4} {clock:>6} client {client} {happened:?} {number}: {argv}\n"
            );
        }
        for (client, frames) in self.frames.iter().enumerate() {
            text += &format!(
                "client {client} received {}\n",
                frames.iter().map(one_line).collect::<Vec<_>>().join(" ")
            );
        }
        text
    }

    fn client(&self, id: ClientId) -> Option<usize> {
        self.ids.iter().position(|&known| known == id)
    }

    /// Who was answered before another one asked comes before him, and time does not run backwards.
    fn check_time(&self, events: &[Event]) -> Result<(), String> {
        let (mut latest, mut clock) = (0, 0);
        let mut known = BTreeSet::new();
        for event in events {
            if event.happened == Happened::Released {
                continue;
            }
            if event.clock < clock {
                return Err(format!("the clock went back from {clock} at {event:?}"));
            }
            clock = event.clock;
            // What was refused for want of memory has changed nothing: it fits everywhere.
            if !matches!(event.happened, Happened::Executed | Happened::Blocked)
                || !known.insert((event.client, event.number))
            {
                continue;
            }
            let Some(client) = self.client(event.client) else { continue };
            let Some(operation) = self.operations[client].get(event.number as usize - 1) else {
                return Err(format!("nobody sent what was executed: {event:?}"));
            };
            if operation.returned.is_some_and(|returned| returned < latest) {
                let argv = show(&operation.argv);
                return Err(format!(
                    "{argv} was answered before something was sent that comes before it: {event:?}"
                ));
            }
            latest = latest.max(operation.invoked);
        }
        Ok(())
    }

    /// Looks for an order that explains what was seen. `None`: there are too many possibilities, or time or a limit on
    /// memory has a part in it.
    pub fn search(&self, most: usize) -> Option<bool> {
        let times =
            |operation: &Operation| operation.argv.iter().any(|arg| arg == b"PX" || arg == b"PEXPIRE");
        let acts_on_others = |operation: &Operation| operation.argv[0] == b"CLIENT";
        if self.operations.iter().flatten().any(|operation| times(operation) || acts_on_others(operation)) {
            return None;
        }
        // Nobody sees which keys were evicted, nor whether a client that has left was refused.
        if self.policy.is_some() {
            return None;
        }
        let clients = self.operations.len();
        let mut search = Search { history: self, seen: HashSet::new(), most };
        let received = self.frames.iter().map(|frames| frames.iter().filter(|frame| !is_message(frame)));
        let replies: Vec<Vec<Frame>> = received.map(|frames| frames.cloned().collect()).collect();
        search.find(&Model::new(16), &vec![0; clients], &replies)
    }
}

pub fn show(argv: &Argv) -> String {
    argv.iter().map(|arg| arg.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
}

fn one_line(frame: &Frame) -> String {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes.escape_ascii().to_string().replace("\\r\\n", " ")
}

fn sorted(frame: &Frame) -> String {
    let Some(elements) = frame.elements() else { return one_line(frame) };
    let mut elements: Vec<String> = elements.iter().map(sorted).collect();
    elements.sort();
    elements.join(" ")
}

/// A command that CLIENT PAUSE holds back.
#[derive(Clone, Copy)]
struct Held {
    /// Which of its client's.
    number: u64,
    /// Since which of the witness's instants.
    since: u64,
    /// Everything was held back then, not only what could write.
    by_all: bool,
}

/// A key holds something for somebody who waits.
struct Owed {
    /// Since which position.
    since: u64,
    /// Who has pushed it.
    by: usize,
    in_batch: bool,
}

/// The model, following the witness.
struct Replay<'h> {
    history: &'h History,
    model: Model,
    /// Frames of each client that were not judged yet.
    frames: Vec<VecDeque<Frame>>,
    /// How many commands of each client were executed.
    done: Vec<u64>,
    /// Keys that hold something for somebody who waits.
    owed: BTreeMap<(usize, Vec<u8>), Owed>,
    /// When those who wait will be answered without having got anything.
    deadlines: BTreeMap<usize, i64>,
    /// What each client has queued in MULTI.
    queued: Vec<Option<Vec<Argv>>>,
    monitors: BTreeSet<usize>,
    /// By CLIENT KILL.
    killed: BTreeSet<usize>,
    /// Commands, by client and number, that were refused for want of memory and whose turn has not come.
    refused: BTreeSet<(usize, u64)>,
    /// What was executed, while something may follow that happened before: at which instant, and when it was sent.
    executed: Vec<(u64, u64)>,
    /// When what was executed at an instant was answered.
    answered: BTreeMap<u64, u64>,
    /// Clients for whom something was there until it was evicted.
    deprived: BTreeSet<usize>,
    /// Commands that are held back, by clients.
    held: BTreeMap<usize, Held>,
    /// Clients that go on while others are held back, and since when they had been.
    let_go: BTreeMap<usize, u64>,
    /// Knows which shard a key is at home in.
    realm: Realm,
    /// When what is followed happened.
    instant: u64,
}

impl<'h> Replay<'h> {
    fn new(history: &'h History) -> Self {
        let mut model = Model::new(16);
        model.serves_later = true;
        if history.publishes {
            let set = argv("CONFIG SET notify-keyspace-events KEA");
            let request = Request { conn: usize::MAX, now: 0, argv: set };
            model.step(&request, Some(&Frame::simple("OK"))).expect("the model has the parameter");
        }
        Self {
            history,
            model,
            frames: history.frames.iter().map(|frames| frames.iter().cloned().collect()).collect(),
            done: vec![0; history.operations.len()],
            owed: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            queued: vec![None; history.operations.len()],
            monitors: BTreeSet::new(),
            killed: BTreeSet::new(),
            refused: BTreeSet::new(),
            executed: Vec::new(),
            answered: BTreeMap::new(),
            deprived: BTreeSet::new(),
            held: BTreeMap::new(),
            let_go: BTreeMap::new(),
            realm: realm(history.shards.max(1)),
            instant: 0,
        }
    }

    /// `rest` is what happened after it.
    fn follow(&mut self, event: &Event, rest: &[Event]) -> Result<(), String> {
        if let Happened::Evicted { db, key } = &event.happened {
            let evicted = self.evict(*db, key, event.clock as i64);
            return evicted.map_err(|why| format!("{} was evicted: {why}: {event:?}", key.escape_ascii()));
        }
        let Some(client) = self.history.client(event.client) else { return Ok(()) };
        let now = event.clock as i64;
        self.instant = event.at.instant;
        if self.killed.contains(&client) {
            // Nothing that it has sent is executed any more.
            return match event.happened {
                Happened::Closed => Ok(()),
                _ => Err(format!("client {client} was killed: {event:?}")),
            };
        }
        if let Happened::HeldBack { by_all } = event.happened {
            let (number, since) = (event.number, event.at.instant);
            // Who waited for a key asks again, as if he had not asked before.
            if self.done[client] == number
                && let Some(session) = self.model.sessions.get_mut(&client)
                && session.blocked.take().is_some()
            {
                self.done[client] -= 1;
                self.deadlines.remove(&client);
            }
            // Again: behind those who were held back with him.
            self.held.insert(client, Held { number, since, by_all });
            return Ok(());
        }
        if matches!(event.happened, Happened::Closed | Happened::Released)
            && self.is_done_by_next(client, event, rest)
        {
            // The model does it when it comes to the command of who does it; that the client is there is known.
            self.known(client);
            if event.happened == Happened::Closed {
                self.killed.insert(client);
                self.held.remove(&client);
            }
            return Ok(());
        }
        if event.happened == Happened::Refused {
            self.check_refusal(client, event).map_err(|why| format!("{why}: {event:?}"))?;
            self.refused.insert((client, event.number));
            if self.done[client] + 1 < event.number {
                return Ok(());
            }
        }
        match event.happened {
            Happened::Executed | Happened::Blocked | Happened::Refused => {
                if self.done[client] == event.number {
                    self.check_turn(client, event)?;
                    let served = self.serve(client, event);
                    return served.map_err(|why| format!("client {client}: {why}: {event:?}"));
                }
                // What was refused for want of memory has changed nothing: its place says nothing.
                if event.happened != Happened::Refused {
                    self.check_debts(client, event)?;
                    if let Some(operation) = self.history.operations[client].get(event.number as usize - 1) {
                        self.executed.push((event.at.instant, operation.invoked));
                        self.answered.extend(operation.returned.map(|returned| (event.at.instant, returned)));
                    }
                }
                self.model.command = event.at.instant;
                // What was refused or queued before it concerned nobody else.
                while self.done[client] + 1 < event.number {
                    self.execute(client, now)?;
                }
                self.check_turn(client, event)?;
                self.execute(client, now)?;
                let operation = self.history.operations[client].get(event.number as usize - 1);
                let pauses = operation.is_some_and(|operation| {
                    matches!(&operation.argv[..], [client, pause, ..] if client == b"CLIENT" && pause == b"PAUSE")
                });
                if pauses && !self.model.owed().is_empty() {
                    return Err(format!("everything is paused before somebody is served: {event:?}"));
                }
                let blocked =
                    self.model.sessions.get(&client).is_some_and(|session| session.blocked.is_some());
                if event.happened == Happened::Blocked && !blocked {
                    return Err(format!("client {client} waits and should not: {event:?}"));
                }
                if event.happened != Happened::Blocked && blocked {
                    return Err(format!("client {client} was answered and should wait: {event:?}"));
                }
                Ok(())
            }
            Happened::Released => {
                if self.deadlines.get(&client).is_none_or(|&deadline| deadline > now) {
                    return Err(format!("client {client} was given up early: {event:?}"));
                }
                if let Some(session) = self.model.sessions.get_mut(&client)
                    && let Some(blocked) = &mut session.blocked
                {
                    blocked.deadline = Some(now);
                } else {
                    return Err(format!("client {client} was given up though it was served: {event:?}"));
                }
                let step = self.model.advance(now);
                self.delivered(step)
            }
            Happened::Closed => {
                // What it was answered last, before a command that it did not wait for.
                while self.done[client] < event.number {
                    self.execute(client, now)?;
                }
                self.monitors.remove(&client);
                self.held.remove(&client);
                self.model.disconnect(client);
                Ok(())
            }
            Happened::Evicted { .. } | Happened::HeldBack { .. } => unreachable!("seen above"),
        }
    }

    /// A client that waited is served, waits again, or is refused for want of memory.
    fn serve(&mut self, client: usize, event: &Event) -> Result<(), String> {
        let now = event.clock as i64;
        self.model.out_of_memory = self.refused.remove(&(client, event.number));
        let in_vain = self.deprived.remove(&client);
        let step = match self.model.serve_in_vain(client, now) {
            Ok(step) if in_vain => step,
            // Only an eviction right before takes away what somebody is called for.
            Ok(_) => return Err("it was called for nothing".into()),
            Err(_) => self.model.serve_now(client, now)?,
        };
        self.model.out_of_memory = false;
        let waits = self.model.sessions.get(&client).is_some_and(|session| session.blocked.is_some());
        if waits != (event.happened == Happened::Blocked) {
            return Err(format!("it waits again: {waits}"));
        }
        self.delivered(step)
    }

    /// A key that was there is evicted, under a policy that allows it.
    fn evict(&mut self, db: usize, key: &[u8], now: i64) -> Result<(), String> {
        if self.model.is_paused(now) {
            return Err("everything is paused".into());
        }
        let entry = self.model.dbs[db].get(key).ok_or("it is not there")?;
        if !self.may_be_evicted(entry) {
            return Err(format!("{:?} does not allow it", self.history.policy));
        }
        if self.model.owed().contains(&(db, key.to_vec())) {
            let waits = |waits: &Blocked| waits.db == db && waits.keys.iter().any(|one| one == key);
            let sessions = self.model.sessions.iter();
            let deprived = sessions.filter(|(_, session)| session.blocked.as_ref().is_some_and(waits));
            self.deprived.extend(deprived.map(|(&client, _)| client));
        }
        let step = self.model.evict(db, key)?;
        self.delivered(step)
    }

    fn may_be_evicted(&self, entry: &Entry) -> bool {
        match self.history.policy {
            None | Some(EvictionPolicy::NoEviction) => false,
            Some(policy) => !policy.is_volatile() || entry.deadline.is_some(),
        }
    }

    /// Before a command is refused for want of memory, at least its own shard has evicted whatever it may.
    fn check_refusal(&self, client: usize, event: &Event) -> Result<(), String> {
        if self.history.policy.is_none() {
            return Err("memory is not limited".into());
        }
        // An EXEC that monitors elsewhere are shown is refused before its place in the order.
        let operation = self.history.operations[client].get(event.number as usize - 1);
        if operation.is_some_and(|operation| operation.argv[0] == b"EXEC") && !self.monitors.is_empty() {
            return Ok(());
        }
        let (shard, now) = (self.history.accepted_by[client], event.clock as i64);
        let mut keys = self.model.dbs.iter().flatten();
        let left = keys.find(|(key, entry)| {
            self.realm.keyspace.dbs.home(key) == shard
                && entry.deadline.is_none_or(|deadline| now <= deadline)
                && self.may_be_evicted(entry)
        });
        left.map_or(Ok(()), |(key, _)| Err(format!("refused, though {} could go", key.escape_ascii())))
    }

    /// Whether a client was closed or unblocked by the command that was executed next, whose effects are told before it.
    fn is_done_by_next(&self, client: usize, done: &Event, rest: &[Event]) -> bool {
        let effect = |event: &Event| {
            matches!(event.happened, Happened::Closed | Happened::Released | Happened::Evicted { .. })
        };
        let Some(at) = rest.iter().position(|event| !effect(event)) else { return false };
        let event = &rest[at];
        if event.at.position != done.at.position {
            return false;
        }
        let by = self.history.client(event.client).filter(|&by| by != client);
        let operation = by.and_then(|by| self.history.operations[by].get(event.number as usize - 1));
        let word: &[u8] = if done.happened == Happened::Closed { b"KILL" } else { b"UNBLOCK" };
        // It came too late: the client's time was up.
        let in_vain = by.is_some_and(|by| {
            // Its own time may have been up, too: that is answered before.
            let released =
                |before: &&Event| before.happened == Happened::Released && before.client == event.client;
            let released = rest[..at].iter().filter(released).count();
            let reply = self.frames[by].iter().filter(|frame| !is_message(frame)).nth(released);
            word == b"UNBLOCK" && self.done[by] + 1 == event.number && reply == Some(&Frame::Int(0))
        });
        if in_vain {
            return false;
        }
        operation.is_some_and(|operation| {
            operation.argv.get(1).is_some_and(|given| given == word)
                && self.target(&operation.argv) == Some(client)
        })
    }

    /// The client that CLIENT KILL or UNBLOCK is about.
    fn target(&self, argv: &Argv) -> Option<usize> {
        let of_client =
            argv[0] == b"CLIENT" && matches!(argv.get(1).map(Vec::as_slice), Some(b"KILL" | b"UNBLOCK"));
        (0..self.history.ids.len()).filter(|_| of_client).find(|&client| {
            let id = self.history.ids[client].to_string().into_bytes();
            argv[2..].iter().any(|word| *word == id || *word == address(client).into_bytes())
        })
    }

    /// What was held back goes on before what was sent later, held back or not.
    fn check_turn(&mut self, client: usize, event: &Event) -> Result<(), String> {
        let request = |client: usize, number: u64| {
            let operation = self.history.operations[client].get(number as usize - 1)?;
            let argv = operation.argv.clone();
            Some((Request { conn: client, now: event.clock as i64, argv }, operation.since))
        };
        // What a client has sent behind a command that was held back has its place.
        let held = self.held.remove(&client).map(|held| held.since);
        let place = held.or_else(|| self.let_go.get(&client).copied());
        self.let_go.extend(place.map(|place| (client, place)));
        if self.held.is_empty() {
            self.let_go.clear();
        }
        // As in Redis, what one shard receives with CLIENT UNPAUSE comes first.
        if self.history.shards == 1 || event.happened == Happened::Refused {
            return Ok(());
        }
        let Some((asked, sent)) = request(client, event.number) else { return Ok(()) };
        let since = place.unwrap_or(sent).min(sent);
        let earlier = self.held.iter().filter(|(_, held)| held.since < since);
        let earlier: Vec<_> = earlier
            .filter_map(|(&client, held)| Some((client, held.by_all, request(client, held.number)?.0)))
            .collect();
        for (other, by_all, held) in earlier {
            if !self.model.is_held_back(&held) && self.model.would_be_held_back(by_all, &asked) {
                let argv = show(&held.argv);
                return Err(format!("{argv} of client {other} was held back before: {event:?}"));
            }
        }
        Ok(())
    }

    /// The model's session of a client, by which others find it.
    fn known(&mut self, client: usize) {
        let addresses = [address(client), "127.0.0.1:6379".to_owned()].map(String::into_bytes);
        self.model.introduce(client, self.history.ids[client] as i64, addresses);
    }

    /// Before a command that is about another client: whether one was there that has done nothing yet, or has left and whose
    /// last commands may have a position behind this, is for the server to say.
    fn adopt_presence(&mut self, by: usize, argv: &Argv) {
        let Some(target) = self.target(argv).filter(|&target| target != by) else { return };
        match self.frames[by].front() {
            Some(Frame::Int(0)) if self.had_left(target) => self.model.disconnect(target),
            Some(Frame::Int(1)) => self.known(target),
            _ => {}
        }
    }

    /// Between a push and the serving of who waits comes nothing, if it is foreseen who will be served and if it is no part of
    /// a batch. Else entries that were appended before may come, but nothing at all of who has pushed.
    fn check_debts(&self, client: usize, event: &Event) -> Result<(), String> {
        let operation = &self.history.operations[client].get(event.number as usize - 1);
        let Some(operation) = operation.filter(|_| event.at.member == 0) else { return Ok(()) };
        let queued = self.model.sessions.get(&client).is_some_and(|session| session.queue.is_some());
        let position = event.at.position;
        let foreseen = |owed: &Owed| self.history.foreseen && !owed.in_batch;
        let owed = self.owed.iter();
        let mut owed = owed.filter(|(_, owed)| owed.since == position || owed.by == client || foreseen(owed));
        let executes = self.queued[client].iter().flatten().filter(|_| operation.argv[..] == [b"EXEC"]);
        let argvs: Vec<&Argv> = executes.chain(std::iter::once(&operation.argv)).collect();
        match owed.find(|((_, key), _)| argvs.iter().any(|argv| argv.contains(key))) {
            Some(((_, key), _)) if !queued || operation.argv[..] == [b"EXEC"] => Err(format!(
                "client {client} comes before somebody who waits for {}: {event:?}",
                key.escape_ascii()
            )),
            _ => Ok(()),
        }
    }

    fn note_debts(&mut self, event: &Event) {
        let Some(client) = self.history.client(event.client) else { return };
        let owed: BTreeSet<(usize, Vec<u8>)> = self.model.owed().into_iter().collect();
        self.owed.retain(|key, _| owed.contains(key));
        for key in owed {
            let (since, in_batch) = (event.at.position, event.at.member > 0);
            self.owed.entry(key).or_insert(Owed { since, by: client, in_batch });
        }
    }

    /// What is sent after a command was answered is executed after everybody was served whom that made ready. All that comes
    /// next happened at this instant or later.
    fn note_served(&mut self, now: u64) {
        let over = self.executed.extract_if(.., |&mut (instant, _)| instant < now);
        if let Some(sent) = over.map(|(_, sent)| sent).max() {
            let answered = &self.answered;
            self.model
                .forget_ready(|command| answered.get(&command).is_some_and(|&returned| returned < sent));
        }
    }

    fn execute(&mut self, client: usize, now: i64) -> Result<(), String> {
        let number = self.done[client] as usize;
        self.done[client] += 1;
        let Some(operation) = self.history.operations[client].get(number) else {
            return Err(format!("client {client} never sent command {}", number + 1));
        };
        let request = Request { conn: client, now, argv: operation.argv.clone() };
        self.model.out_of_memory = self.refused.remove(&(client, self.done[client]));
        let starved = self.instant < self.history.starved_until;
        if (starved || self.model.out_of_memory)
            && self.model.refuses_without_memory(&request) != self.model.out_of_memory
        {
            let (argv, refused) = (show(&request.argv), self.model.out_of_memory);
            return Err(format!("client {client}: {argv}: refused for want of memory: {refused}"));
        }
        self.step(&request)?;
        self.model.out_of_memory = false;
        // Those refused behind it were told of before.
        while self.refused.contains(&(client, self.done[client] + 1)) {
            self.execute(client, now)?;
        }
        Ok(())
    }

    fn step(&mut self, request: &Request) -> Result<(), String> {
        let client = request.conn;
        self.adopt_presence(client, &request.argv);
        let reply = match self.model.frames(request) {
            0 => None,
            _ => self.frames[client].pop_front(),
        };
        if request.argv[0] == b"SCAN"
            && let Some([Frame::Bulk(cursor), _]) = reply.as_ref().and_then(Frame::elements)
            && cursor != b"0"
        {
            // There are fewer keys than are asked for.
            return Err(format!(
                "client {client}: {} ended at {}",
                show(&request.argv),
                cursor.escape_ascii()
            ));
        }
        let expected = self.model.frames(request) > 0;
        let step = if expected && reply.is_none() && self.will_close(client) {
            self.model.step_unseen(request)
        } else {
            let step = self.model.step(request, reply.as_ref());
            step.map_err(|divergence| {
                let argv = show(&request.argv);
                format!(
                    "client {client}: {argv}\n  expected: {}\n  answered: {}",
                    divergence.wanted, divergence.got
                )
            })?
        };
        self.delivered(step)?;
        if self.model.sessions.contains_key(&client) {
            self.known(client);
        }
        self.shown(client, &request.argv, reply.as_ref())?;
        // Only the witness says whose time was up before he was served.
        for (&client, session) in &mut self.model.sessions {
            if let Some(blocked) = &mut session.blocked
                && let Some(deadline) = blocked.deadline.take()
            {
                self.deadlines.insert(client, deadline);
            }
        }
        Ok(())
    }

    /// Whether a client may not have got what it was sent last: it has left, or was killed by what one shard has received
    /// together with that. To who is killed on several shards everything is sent that was caused before.
    fn will_close(&self, client: usize) -> bool {
        let id = self.history.ids[client];
        let unheard = self.history.left[client].is_some() || self.history.shards == 1;
        let closed = |event: &Event| event.client == id && event.happened == Happened::Closed;
        unheard && self.history.events.iter().any(closed)
    }

    /// Whether a client had left already. Who leaves is heard of at once, wherever the order is followed to: what is done
    /// after that may have a position before its last commands, and nobody to hear of it.
    fn had_left(&self, client: usize) -> bool {
        let id = self.history.ids[client];
        let closed = |event: &&Event| event.client == id && event.happened == Happened::Closed;
        self.history.events.iter().find(closed).is_some_and(|event| event.at.instant < self.instant)
    }

    fn delivered(&mut self, step: Step) -> Result<(), String> {
        step.deliveries.iter().try_for_each(|delivery| self.delivery(delivery))
    }

    fn delivery(&mut self, delivery: &Delivery) -> Result<(), String> {
        if self.had_left(delivery.conn) {
            return Ok(());
        }
        let arrived = &mut self.frames[delivery.conn];
        let mut frames: Vec<Frame> = (0..delivery.frames.len()).map_while(|_| arrived.pop_front()).collect();
        for want in &delivery.frames {
            let place = frames.iter().position(|frame| judge(want, frame, delivery.protocol).is_ok());
            match place {
                Some(place) => _ = frames.swap_remove(place),
                None if frames.is_empty() && self.will_close(delivery.conn) => {}
                None => {
                    return Err(format!(
                        "client {}: expected: {want:?}\n  answered: {frames:?}",
                        delivery.conn
                    ));
                }
            }
        }
        Ok(())
    }

    /// What the monitors are shown of a command.
    fn shown(&mut self, client: usize, argv: &Argv, reply: Option<&Frame>) -> Result<(), String> {
        let in_transaction = self.model.sessions.get(&client).is_some_and(|session| session.queue.is_some());
        if in_transaction && argv[0] != b"MULTI" {
            self.queued[client].get_or_insert_default().push(argv.clone());
            return Ok(());
        }
        if self.model.out_of_memory && argv[0] != b"EXEC" {
            return Ok(());
        }
        // Refused to a RESP2 subscriber, so not executed.
        if matches!(reply, Some(Frame::Error(error)) if error.starts_with(b"ERR Can't execute")) {
            return Ok(());
        }
        let mut lines = Vec::new();
        // With an argument it is refused.
        if let Some(queued) = self.queued[client].take().filter(|_| argv[..] == [b"EXEC"]) {
            // Nobody has seen whether it was executed: that of a client who has left.
            let unseen = || {
                self.monitors.iter().any(|&monitor| {
                    let next = self.frames[monitor].front().and_then(Frame::as_bytes);
                    next.is_some_and(|line| !line.ends_with(b"] \"EXEC\""))
                })
            };
            if reply.map_or_else(unseen, |reply| reply.elements().is_some()) {
                lines = queued;
            }
        }
        lines.push(argv.clone());
        if argv[0] == b"MONITOR" {
            lines.clear();
            self.monitors.insert(client);
        }
        // What administrators do to clients is not shown.
        lines.retain(|line| line[0] != b"CLIENT");
        let monitors = self.monitors.iter().copied().filter(|&monitor| !self.had_left(monitor));
        for monitor in monitors.collect::<Vec<_>>() {
            for line in &lines {
                let quoted: Vec<String> =
                    line.iter().map(|arg| format!("\"{}\"", arg.escape_ascii())).collect();
                let wanted = format!("] {}", quoted.join(" "));
                match self.frames[monitor].pop_front() {
                    Some(Frame::Simple(line)) if line.ends_with(wanted.as_bytes()) => {}
                    None if self.will_close(monitor) => {}
                    other => {
                        return Err(format!(
                            "client {monitor}: expected the line {wanted}\n  shown: {other:?}"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Nothing may be left that the model has not said.
    fn finish(self) -> Result<(), String> {
        for (client, frames) in self.frames.iter().enumerate() {
            if let Some(frame) = frames.front() {
                return Err(format!("client {client} received {frame:?}, which nobody said"));
            }
        }
        Ok(())
    }
}

/// The search for an order.
struct Search<'h> {
    history: &'h History,
    seen: HashSet<u64>,
    most: usize,
}

impl Search<'_> {
    /// Whether what is left can be explained. A command that waits is executed when it is answered. What was not
    /// answered may have been executed or not.
    fn find(&mut self, model: &Model, done: &[usize], replies: &[Vec<Frame>]) -> Option<bool> {
        let history = self.history;
        let left = |client: usize| history.operations[client].get(done[client]);
        let clients = 0..history.operations.len();
        if clients.clone().all(|client| left(client).is_none_or(|next| next.returned.is_none())) {
            return Some(true);
        }
        if self.seen.len() >= self.most {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        (done, format!("{:?}{:?}", model.dbs, model.sessions)).hash(&mut hasher);
        if !self.seen.insert(hasher.finish()) {
            return Some(false);
        }
        // Nobody may be executed who was sent after somebody was answered who is not yet.
        let answered = clients.clone().filter_map(|client| left(client)?.returned).min();
        let mut sure = true;
        for client in clients {
            let gone =
                history.left[client].is_some_and(|left| answered.is_none_or(|answered| left < answered));
            if gone
                && left(client).is_none_or(|next| next.returned.is_none())
                && model.sessions.contains_key(&client)
            {
                let (mut after, mut done) = (model.clone(), done.to_vec());
                after.disconnect(client);
                done[client] = history.operations[client].len();
                match self.find(&after, &done, replies) {
                    Some(true) => return Some(true),
                    Some(false) => {}
                    None => sure = false,
                }
            }
            let Some(next) = left(client) else { continue };
            if answered.is_some_and(|answered| next.invoked > answered) {
                continue;
            }
            let mut after = model.clone();
            let request = Request { conn: client, now: 0, argv: next.argv.clone() };
            let fits = match replies[client].get(done[client]) {
                // Nobody would be served by it: who waits is looked at when he is answered.
                Some(reply) if after.frames(&request) > 0 => after.step(&request, Some(reply)).is_ok(),
                // Its time was up.
                Some(reply) => reply.is_null(),
                None if after.frames(&request) > 0 => {
                    after.step_unseen(&request);
                    true
                }
                None => false,
            };
            if fits {
                let mut done = done.to_vec();
                done[client] += 1;
                match self.find(&after, &done, replies) {
                    Some(true) => return Some(true),
                    Some(false) => {}
                    None => sure = false,
                }
            }
        }
        sure.then_some(false)
    }
}
