//! Runs plans on a server and compares every reply with what a reference answered: another server, live, or a recording
//! of one.
//!
//! Steps are taken in batches: commands in a row on one connection go out in one write. A batch ends where the reply
//! decides how to go on: after a command that may wait, subscribe, begin or end a transaction, or choose at random.
//!
//! No delay decides anything. Whether a client waits is asked of the server (`CLIENT LIST` shows it); what a step
//! delivered to other connections is there when the server has answered a later command on a control connection,
//! because it had to write those replies before it could read that command (`Side::barrier`). The second server is
//! then simply expected to deliver the same, so it may be built in any way.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use kevy::command::{Command, CommandId, Flags, Group};
use kevy::resp::Frame;
use kevy_model::generator::{Note, Outcome, Plan, Step, Tally, conn_of_id};

use crate::compare;
use crate::known;
use crate::server::Server;
use crate::voter::{Ballot, Objection, Voter, wall_clock};
use crate::wire::{Wire, decode, encode};

/// Bytes of a plan's argument list.
pub type Argv = Vec<Vec<u8>>;

/// Sent after commands whose number of replies is not known beforehand.
const SENTINEL: &[u8] = b"sentinel-of-the-tester";

/// Most commands sent in one go, so that no buffer on the way fills up.
const LONGEST_BATCH: usize = 64;
const LARGEST_BATCH: usize = 32 << 10;

/// A frame that arrived on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub conn: usize,
    pub frame: Vec<u8>,
}

/// Two answers that should agree.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The step of the plan, where it belongs to one.
    pub step: Option<usize>,
    pub argv: Argv,
    pub reference: Vec<u8>,
    pub other: Vec<u8>,
    /// What the model says about it.
    pub model: Option<String>,
}

/// Why a plan stopped before its end.
#[derive(Debug)]
pub enum Stop {
    Difference(Box<Difference>),
    /// A known difference, after which the data of the two can differ.
    Abandoned,
    /// The reference itself did not work.
    Reference(io::Error),
}

/// What a plan did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Commands sent to both.
    pub commands: u64,
    /// Frames compared, messages and replies to clients that had waited included.
    pub frames: u64,
    /// Frames that arrived on another connection than the one a command was sent on.
    pub deliveries: u64,
    /// Commands left out because their connection was waiting.
    pub skipped: u64,
    /// Transactions run, and those refused because a watched key had changed.
    pub transactions: u64,
    pub aborted: u64,
    /// Differences that are known.
    pub known: u64,
    /// Replies and deliveries that the model judged too.
    pub votes: u64,
    /// Plans at whose end the data were compared, and those in which the model had not abstained.
    pub states: u64,
    pub judged_states: u64,
    /// Differences in the data that the model leaves to the server.
    pub open: u64,
}

impl Counts {
    pub fn add(&mut self, other: Counts) {
        self.commands += other.commands;
        self.frames += other.frames;
        self.deliveries += other.deliveries;
        self.skipped += other.skipped;
        self.transactions += other.transactions;
        self.aborted += other.aborted;
        self.known += other.known;
        self.votes += other.votes;
        self.states += other.states;
        self.judged_states += other.judged_states;
        self.open += other.open;
    }
}

/// Decides whether a difference is known and accepted.
pub trait Knows {
    fn is_known(&mut self, difference: &Difference) -> bool;
}

/// Nothing is known.
pub struct Nothing;

impl Knows for Nothing {
    fn is_known(&mut self, _: &Difference) -> bool {
        false
    }
}

/// What is known of a connection from what the reference answered on it.
#[derive(Clone, Debug, Default)]
struct Session {
    /// Commands queued since MULTI, with their steps.
    queue: Option<Vec<(usize, Argv)>>,
    /// It waits in a blocking command.
    blocked: bool,
    /// It may be sent what it did not ask for.
    listening: bool,
    /// It is shown what everybody does.
    monitoring: bool,
    mute: Mute,
}

/// What CLIENT REPLY has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mute {
    #[default]
    No,
    Yes,
    /// For the next command.
    Once,
}

#[derive(Clone, Debug, Default)]
struct Tracker {
    sessions: BTreeMap<usize, Session>,
    /// The reference is older than the Redis that the model is about, or Valkey.
    foreign: bool,
    /// Commands that write are held back.
    paused: bool,
}

impl Tracker {
    fn session(&mut self, conn: usize) -> &mut Session {
        self.sessions.entry(conn).or_default()
    }

    fn monitors(&self) -> Vec<usize> {
        self.sessions.iter().filter(|(_, session)| session.monitoring).map(|(&conn, _)| conn).collect()
    }

    /// Connections on which something can arrive unasked.
    fn expectant(&self) -> Vec<usize> {
        let expectant = self
            .sessions
            .iter()
            .filter(|(_, session)| (session.listening || session.blocked) && !session.monitoring);
        expectant.map(|(&conn, _)| conn).collect()
    }
}

/// How the commands of a batch are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// One reply each.
    Plain,
    /// One, or none yet.
    Waits,
    /// Any number: the sentinel's reply ends them.
    Several,
    /// One; an iteration goes on until its end.
    Pages(CommandId),
    /// One; the second server is made to have taken the same members.
    Pop,
}

#[derive(Debug)]
enum Batch<'p> {
    Commands {
        conn: usize,
        manner: Manner,
        first: usize,
        argvs: Vec<&'p Argv>,
        /// Which of them have a reply.
        answered: Vec<bool>,
    },
    Advance(u64),
    Close(usize),
    Skip,
}

/// The next batch and the step after it.
fn next_batch<'p>(plan: &'p Plan, at: usize, tracker: &mut Tracker) -> (Batch<'p>, usize) {
    let (conn, argv) = match &plan.steps[at] {
        Step::Command { conn, argv } => (*conn, argv),
        Step::Advance(ms) => return (Batch::Advance(*ms), at + 1),
        Step::Close(conn) => return (Batch::Close(*conn), at + 1),
    };
    let paused = tracker.paused;
    if compare::row(argv).is_some_and(|row| row.id == CommandId::SPop) && !tracker.monitors().is_empty() {
        // The second server would be shown how it is made to have taken the same.
        return (Batch::Skip, at + 1);
    }
    let session = tracker.session(conn);
    let mut mute = session.mute;
    let Some((manner, ends)) = manner(argv, session, paused, mute) else { return (Batch::Skip, at + 1) };
    let mut answered = vec![answers(argv, &mut mute)];
    let mut argvs = vec![argv];
    let mut size = size_of_argv(argv);
    let mut ends = ends || manner != Manner::Plain;
    while !ends
        && argvs.len() < LONGEST_BATCH
        && size < LARGEST_BATCH
        && let Some(Step::Command { conn: next_conn, argv }) = plan.steps.get(at + argvs.len())
        && *next_conn == conn
        // What EXEC answers is compared by what was really queued. Redis 8.0.6 does not answer a HELLO whose AUTH fails
        // when other commands came with it. What a killed client was answered in the same breath never leaves the server.
        && compare::row(argv).is_none_or(|row| {
            !matches!(row.id, CommandId::Auth | CommandId::ClientKill | CommandId::Exec | CommandId::Hello)
        })
        && let Some((Manner::Plain, last)) = self::manner(argv, session, paused, mute)
    {
        answered.push(answers(argv, &mut mute));
        argvs.push(argv);
        size += size_of_argv(argv);
        ends = last;
    }
    let next = at + argvs.len();
    session.mute = mute;
    (Batch::Commands { conn, manner, first: at, argvs, answered }, next)
}

fn size_of_argv(argv: &Argv) -> usize {
    argv.iter().map(|arg| arg.len() + 16).sum()
}

/// Whether a command is answered, and what becomes of those after it.
fn answers(argv: &Argv, mute: &mut Mute) -> bool {
    let asks = compare::row(argv).is_some_and(|row| row.id == CommandId::ClientReply) && argv.len() == 3;
    let is = |word: &str| asks && argv[2].eq_ignore_ascii_case(word.as_bytes());
    match *mute {
        Mute::Once => {
            *mute = Mute::No;
            return false;
        }
        Mute::Yes if is("ON") => *mute = Mute::No,
        Mute::No if is("OFF") => *mute = Mute::Yes,
        Mute::No if is("SKIP") => *mute = Mute::Once,
        _ => {}
    }
    *mute == Mute::No
}

/// Whether what a command does can be told without its reply.
fn can_be_mute(row: &Command) -> bool {
    let plain = !matches!(row.group, Group::Connection | Group::Server | Group::Transactions | Group::PubSub);
    plain && !row.flags.contains(Flags::BLOCKING) && compare::cursor_index(row.id).is_none()
}

/// How a command will be answered on this connection, and whether what comes after it depends on the answer. `None` if
/// it cannot be sent.
fn manner(argv: &Argv, session: &Session, paused: bool, mute: Mute) -> Option<(Manner, bool)> {
    use CommandId::*;
    if session.blocked || session.monitoring {
        return None;
    }
    let Some(row) = compare::row(argv) else { return (mute == Mute::No).then_some((Manner::Plain, false)) };
    let in_transaction = session.queue.is_some();
    if mute != Mute::No && !(can_be_mute(row) || row.id == ClientReply && mute == Mute::Yes) {
        return None;
    }
    if paused && !in_transaction {
        let held_back = row.flags.intersects(Flags::WRITE.with(Flags::MAY_REPLICATE));
        match row.id {
            Exec | SPop => return None,
            ClientPause => return None,
            _ if !held_back => {}
            _ if row.flags.contains(Flags::BLOCKING) || mute != Mute::No => return None,
            Sort if compare::has_ties(argv) => return None,
            _ => return Some((Manner::Waits, true)),
        }
    }
    Some(match row.id {
        ClientPause if in_transaction && pauses_writes(argv) => (Manner::Plain, false),
        ClientKill | ClientPause | ClientUnpause | ClientUnblock | ClientReply | Monitor | Quit | Auth
            if in_transaction || session.listening && matches!(row.id, ClientReply | Monitor) =>
        {
            return None;
        }
        ClientKill | ClientPause | ClientUnpause | Monitor | Quit | Auth => (Manner::Plain, true),
        // Replies behind it would be in another protocol than the array they are in.
        Hello if in_transaction => return None,
        Multi | Discard | Reset | Hello => (Manner::Plain, true),
        Exec => {
            let mut queued = session.queue.iter().flatten();
            let several =
                queued.any(|(_, argv)| compare::row(argv).is_some_and(|row| has_several_replies(row.id)));
            (if several { Manner::Several } else { Manner::Plain }, true)
        }
        SPop if in_transaction => return None,
        // The order of equals is not determined, and storing it would make the data differ from here on.
        Sort if compare::has_ties(argv) && argv.iter().any(|arg| arg.eq_ignore_ascii_case(b"store")) => {
            return None;
        }
        _ if in_transaction => (Manner::Plain, false),
        SPop => (Manner::Pop, true),
        id if has_several_replies(id) => (Manner::Several, true),
        id if compare::cursor_index(id)
            .is_some_and(|at| argv.get(at).is_some_and(|cursor| cursor == b"0")) =>
        {
            (Manner::Pages(id), true)
        }
        _ if row.flags.contains(Flags::BLOCKING) => match timeout(argv) {
            // It ends in time, one way or another.
            Some(seconds) if seconds > 0.0 && seconds < 0.1 => (Manner::Plain, true),
            Some(seconds) if seconds > 0.0 => return None,
            _ => (Manner::Waits, true),
        },
        _ => (Manner::Plain, false),
    })
}

fn has_several_replies(id: CommandId) -> bool {
    use CommandId::*;
    matches!(id, Subscribe | Unsubscribe | PSubscribe | PUnsubscribe | SSubscribe | SUnsubscribe)
}

/// CLIENT PAUSE of writes, for longer than a plan takes.
fn pauses_writes(argv: &Argv) -> bool {
    compare::row(argv).is_some_and(|row| row.id == CommandId::ClientPause)
        && argv.get(2).is_some_and(|timeout| timeout.len() > 4)
        && argv.get(3).is_some_and(|mode| mode.eq_ignore_ascii_case(b"write"))
}

/// How many seconds a blocking command is willing to wait, if that is a number.
fn timeout(argv: &Argv) -> Option<f64> {
    use CommandId::{BLMPop, BZMPop, Wait, WaitAof};
    let id = compare::row(argv).map(|row| row.id);
    let timeout = if matches!(id, Some(BLMPop | BZMPop)) { argv.get(1) } else { argv.last() };
    let timeout: f64 = std::str::from_utf8(timeout?).ok()?.trim().parse().ok()?;
    Some(if matches!(id, Some(Wait | WaitAof)) { timeout / 1000.0 } else { timeout })
}

/// Nothing comes on a connection that the server has closed.
fn until_ended(frame: io::Result<Option<Vec<u8>>>) -> io::Result<Option<Vec<u8>>> {
    match frame {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) =>
        {
            Ok(None)
        }
        frame => frame,
    }
}

fn is_push(frame: &[u8]) -> bool {
    frame.first() == Some(&b'>')
}

/// A server and the connections of one plan.
struct Side<'s> {
    server: &'s Server,
    control: &'s mut Wire,
    wires: BTreeMap<usize, (Wire, i64)>,
}

impl<'s> Side<'s> {
    fn new(server: &'s Server, control: &'s mut Wire) -> Side<'s> {
        Side { server, control, wires: BTreeMap::new() }
    }

    fn wire(&mut self, conn: usize) -> io::Result<&mut Wire> {
        if !self.wires.contains_key(&conn) {
            let mut wire = self.server.connect()?;
            let id = wire.call(&["CLIENT", "ID"])?.as_int().unwrap_or(0);
            self.wires.insert(conn, (wire, id));
        }
        Ok(&mut self.wires.get_mut(&conn).expect("just inserted").0)
    }

    /// Closes a connection, and waits until the server has noticed: on one with several threads others may be faster.
    fn close(&mut self, conn: usize) -> io::Result<()> {
        let Some((wire, id)) = self.wires.remove(&conn) else { return Ok(()) };
        drop(wire);
        let id = id.to_string();
        while self
            .control
            .call(&["CLIENT", "LIST", "ID", &id])?
            .as_bytes()
            .is_some_and(|list| !list.is_empty())
        {}
        Ok(())
    }

    /// The arguments with the numbers that this server has given the connections in place of what stands for them.
    fn addressed(&mut self, argv: &Argv) -> io::Result<Argv> {
        let mut argv = argv.clone();
        for arg in &mut argv {
            if let Some(conn) = conn_of_id(arg) {
                self.wire(conn)?;
                *arg = self.wires[&conn].1.to_string().into_bytes();
            }
        }
        Ok(argv)
    }

    /// Waits until the server has closed a connection. What it says instead, if it does not.
    fn closed(&mut self, conn: usize) -> io::Result<Option<Vec<u8>>> {
        match self.wire(conn)?.read_frame() {
            Ok(frame) => return Ok(Some(frame)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
            Err(_) => {}
        }
        self.close(conn)?;
        Ok(None)
    }

    fn send(&mut self, conn: usize, argvs: &[&Argv], then: Option<&[u8]>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for argv in argvs {
            match argv.iter().any(|arg| conn_of_id(arg).is_some()) {
                true => encode(&self.addressed(argv)?, &mut bytes),
                false => encode(argv, &mut bytes),
            }
        }
        if let Some(message) = then {
            encode(&[b"PING", message], &mut bytes);
        }
        self.wire(conn)?.send(&bytes)
    }

    /// After this, everything sent before on any connection has been executed and its replies can be read. The first
    /// PING may be read together with what was sent before, in any order; the second is read after all that.
    fn barrier(&mut self) -> io::Result<()> {
        for _ in 0..2 {
            self.control.call(&["PING"])?;
        }
        Ok(())
    }

    /// Waits until the command sent on a connection is answered, or the client waits in it.
    fn settle(&mut self, conn: usize) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(frame) = self.wire(conn)?.poll_frame()? {
                return Ok(Some(frame));
            }
            let id = self.wires[&conn].1.to_string();
            let list = self.control.call(&["CLIENT", "LIST", "ID", &id])?;
            let list = String::from_utf8_lossy(list.as_bytes().unwrap_or_default()).into_owned();
            let flags = list.split(' ').find_map(|field| field.strip_prefix("flags="));
            if flags.is_some_and(|flags| flags.contains('b')) {
                return Ok(None);
            }
        }
    }

    /// The pages of an iteration after its first.
    fn pages_after(
        &mut self,
        conn: usize,
        id: CommandId,
        argv: &Argv,
        first: Vec<u8>,
    ) -> io::Result<Vec<Vec<u8>>> {
        let at = compare::cursor_index(id).expect("only commands with a cursor have pages");
        let mut argv = argv.clone();
        let mut pages = vec![first];
        // An iteration over some hundred elements that takes more pages than this does not end at all.
        while pages.len() < 100_000
            && let Some(cursor) = compare::next_cursor(&pages[pages.len() - 1])
            && cursor != b"0"
        {
            argv[at] = cursor;
            self.send(conn, &[&argv], None)?;
            pages.push(self.wire(conn)?.read_frame()?);
        }
        Ok(pages)
    }
}

/// Where reference replies come from.
pub enum Reference<'s> {
    Live {
        server: &'s Server,
        control: &'s mut Wire,
    },
    /// What was recorded after each step.
    Recorded(&'s [Vec<Event>]),
}

enum Source<'s> {
    Live(Side<'s>),
    Recorded(&'s [Vec<Event>]),
}

impl Source<'_> {
    /// The commands of a batch as the reference was sent them.
    fn addressed(&mut self, batch: &Batch<'_>) -> io::Result<Vec<Argv>> {
        let Batch::Commands { argvs, .. } = batch else { return Ok(Vec::new()) };
        match self {
            Source::Live(side) => argvs.iter().map(|argv| side.addressed(argv)).collect(),
            Source::Recorded(_) => Ok(argvs.iter().map(|argv| argv.to_vec()).collect()),
        }
    }

    fn send(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        match self {
            Source::Live(side) => send(side, batch),
            Source::Recorded(_) => Ok(()),
        }
    }

    /// What the steps `first..next` made arrive.
    fn events(
        &mut self,
        batch: &Batch<'_>,
        first: usize,
        next: usize,
        tracker: &Tracker,
    ) -> io::Result<Vec<Event>> {
        let side = match self {
            Source::Recorded(recorded) => return Ok(recorded[first..next].concat()),
            Source::Live(side) => side,
        };
        let mut events = Vec::new();
        match batch {
            Batch::Commands { conn, manner, argvs, answered, .. } => {
                let mut push = |frame| events.push(Event { conn: *conn, frame });
                match manner {
                    Manner::Plain | Manner::Pop => {
                        let mut missing = answered.iter().filter(|answered| **answered).count();
                        while missing > 0 {
                            let frame = side.wire(*conn)?.read_frame()?;
                            missing -= usize::from(!is_push(&frame));
                            push(frame);
                        }
                    }
                    Manner::Waits => side.settle(*conn)?.into_iter().for_each(push),
                    Manner::Several => loop {
                        let frame = side.wire(*conn)?.read_frame()?;
                        if is_sentinel(&frame) {
                            break;
                        }
                        push(frame);
                    },
                    Manner::Pages(id) => {
                        let page = side.wire(*conn)?.read_frame()?;
                        side.pages_after(*conn, *id, argvs[0], page)?.into_iter().for_each(push);
                    }
                }
            }
            Batch::Close(_) => side.barrier()?,
            Batch::Advance(_) | Batch::Skip => return Ok(events),
        }
        let mut expectant = tracker.expectant();
        if let Batch::Close(closed) = batch {
            expectant.retain(|conn| conn != closed);
        }
        if let Batch::Commands { conn, answered, .. } = batch
            && answered.last() == Some(&false)
            && !expectant.contains(conn)
        {
            expectant.push(*conn);
        }
        if !expectant.is_empty() {
            side.barrier()?;
            for conn in expectant {
                // Whether the server was to close it is looked at later.
                while let Some(frame) = until_ended(side.wire(conn)?.poll_frame())? {
                    events.push(Event { conn, frame });
                }
            }
        }
        Ok(events)
    }
}

fn send(side: &mut Side<'_>, batch: &Batch<'_>) -> io::Result<()> {
    match batch {
        Batch::Commands { conn, manner, argvs, .. } => {
            side.send(*conn, argvs, (*manner == Manner::Several).then_some(SENTINEL))
        }
        Batch::Close(conn) => side.close(*conn),
        Batch::Advance(_) | Batch::Skip => Ok(()),
    }
}

/// The next plan finds none of this one's connections.
impl Drop for Side<'_> {
    fn drop(&mut self) {
        for conn in self.wires.keys().copied().collect::<Vec<_>>() {
            // A server that has gone will be noticed by whoever asks it next.
            if self.close(conn).is_err() {
                break;
            }
        }
    }
}

fn is_sentinel(frame: &[u8]) -> bool {
    frame.windows(SENTINEL.len()).any(|part| part == SENTINEL) && !frame.starts_with(b"-")
}

/// Runs one plan. The notes are those of its steps, or none.
pub struct Run<'r> {
    pub plan: &'r Plan,
    pub notes: &'r [Option<Note>],
    pub knows: &'r mut dyn Knows,
    pub tally: &'r mut Tally,
    pub counts: Counts,
}

impl Run<'_> {
    /// Compares a server with the reference, step by step. Returns what the model knows at the end.
    pub fn compare(
        &mut self,
        reference: Reference<'_>,
        server: &Server,
        control: &mut Wire,
    ) -> Result<Voter, Stop> {
        let mut source = match reference {
            Reference::Live { server, control } => Source::Live(Side::new(server, control)),
            Reference::Recorded(events) => Source::Recorded(events),
        };
        let mut voter = match &source {
            Source::Live(_) => Voter::new(),
            Source::Recorded(_) => Voter::absent(),
        };
        let mut subject = Side::new(server, control);
        let is_of_model = |server: &Server| server.name == "redis" && !server.version.starts_with("7.");
        let foreign = matches!(&source, Source::Live(side) if !is_of_model(side.server));
        let mut tracker = Tracker { foreign, ..Tracker::default() };
        let plan = self.plan;
        let mut at = 0;
        while at < plan.steps.len() {
            let (batch, next) = next_batch(plan, at, &mut tracker);
            if let Batch::Skip = batch {
                self.counts.skipped += 1;
                at = next;
                continue;
            }
            let started = wall_clock();
            let sent = send(&mut subject, &batch);
            let broken = |error: io::Error| {
                let steps: Vec<String> = plan.steps[at..next].iter().map(Step::to_string).collect();
                Stop::Reference(io::Error::new(error.kind(), format!("{error} after {}", steps.join(" / "))))
            };
            source.send(&batch).map_err(broken)?;
            let events = source.events(&batch, at, next, &tracker).map_err(broken)?;
            if let Err(error) = sent {
                return Err(self.failed(&batch, at, &events, &error));
            }
            let read = wall_clock();
            let known = self.counts.known;
            let mut shown = events.clone();
            let checked = self.check(&mut subject, &batch, at, &events, &tracker, &mut shown);
            if self.counts.known > known && shown == events {
                // The model may have sided with kevy, and what kevy answered is no frame.
                voter.abstain();
            }
            let addressed = source.addressed(&batch).map_err(broken)?;
            let addressed: Vec<&Argv> = addressed.iter().collect();
            if let Source::Live(side) = &source {
                mentioned(&batch).for_each(|conn| voter.introduce(conn, side.wires[&conn].1, started));
            }
            let ballot = ballot(&batch, &addressed, started, read);
            match checked {
                Err(Stop::Difference(mut difference)) => {
                    difference.model =
                        ballot.and_then(|ballot| opinion(&voter, ballot, at, &shown, &difference));
                    let sorts = compare::row(&difference.argv)
                        .is_some_and(|row| matches!(row.id, CommandId::Sort | CommandId::SortRo));
                    if sorts && difference.model.as_deref() == Some(sides([true, true])) {
                        // Of elements that compare alike the order is open, and what is stored can differ from here on.
                        self.counts.open += 1;
                        return Err(Stop::Abandoned);
                    }
                    return Err(Stop::Difference(difference));
                }
                checked => checked?,
            }
            if let Batch::Close(conn) = batch {
                voter.close(conn);
            }
            if let Some(ballot) = ballot {
                let vote = voter.vote(&ballot, &shown);
                self.counts.votes += std::mem::take(&mut voter.votes);
                if let Err(objection) = vote {
                    let (step, argv, reply, expects) = self::objection(&ballot, at, &shown, &objection);
                    if compare::sorts_in_open_order(argv) {
                        self.counts.open += 1;
                        voter.abstain();
                    } else {
                        self.differ(Some(step), argv, &reply, &expects)?;
                    }
                }
            }
            self.learn(&batch, &events, &mut tracker);
            self.check_monitors(&mut source, &mut subject, next - 1, &tracker)?;
            if ends_connections(&batch, &events) {
                self.part(&mut source, &mut subject, &batch, at, &mut tracker)?;
            }
            at = next;
        }
        self.check_silence(&mut subject, &tracker)?;
        Ok(voter)
    }

    /// Runs the plan on the reference alone and returns what arrived after each step.
    pub fn record(&mut self, server: &Server, control: &mut Wire) -> io::Result<Vec<Vec<Event>>> {
        let mut source = Source::Live(Side::new(server, control));
        let mut tracker = Tracker::default();
        let plan = self.plan;
        let mut recorded = vec![Vec::new(); plan.steps.len()];
        let mut at = 0;
        while at < plan.steps.len() {
            let (batch, next) = next_batch(plan, at, &mut tracker);
            if let Batch::Skip = batch {
                at = next;
                continue;
            }
            source.send(&batch)?;
            if let Batch::Advance(ms) = batch {
                std::thread::sleep(Duration::from_millis(ms));
            }
            let events = source.events(&batch, at, next, &tracker)?;
            self.learn(&batch, &events, &mut tracker);
            recorded[next - 1] = events;
            at = next;
        }
        Ok(recorded)
    }

    /// Reads what the second server answers to a batch and compares it. Where a difference is known, `shown` becomes
    /// what the second server answered: it and the model are both of Redis 8.0.
    fn check(
        &mut self,
        subject: &mut Side<'_>,
        batch: &Batch<'_>,
        at: usize,
        events: &[Event],
        tracker: &Tracker,
        shown: &mut [Event],
    ) -> Result<(), Stop> {
        match batch {
            Batch::Advance(ms) => {
                // Deadlines are at least a millisecond nearer than this, on both clocks.
                std::thread::sleep(Duration::from_millis(*ms));
                return Ok(());
            }
            Batch::Close(_) => {
                let passed = subject.barrier();
                passed.map_err(|error| self.failed(batch, at, events, &error))?;
            }
            Batch::Skip => {}
            Batch::Commands { conn, manner, first, argvs, .. } => {
                self.counts.commands += argvs.len() as u64;
                match manner {
                    Manner::Pages(id) => {
                        return self.check_pages(subject, *conn, *id, *first, argvs[0], events);
                    }
                    Manner::Waits if !events.iter().any(|event| event.conn == *conn) => {
                        match subject.settle(*conn) {
                            Ok(None) => {}
                            Ok(Some(frame)) => self.differ(Some(*first), argvs[0], b"(waits)", &frame)?,
                            Err(error) => return Err(self.failed(batch, at, events, &error)),
                        }
                    }
                    _ => {}
                }
            }
        }
        let mut events = events;
        if let Batch::Commands { conn, manner: Manner::Several, first, argvs, .. } = batch
            && argvs[0].len() == 1
            && compare::row(argvs[0]).is_some_and(|row| has_several_replies(row.id))
            && events.len() > 1
        {
            // Leaving every channel confirms them in no particular order.
            let expected: Vec<Vec<u8>> = events.iter().map(|event| event.frame.clone()).collect();
            let mut frames = Vec::new();
            for _ in events {
                let frame = subject.wire(*conn).and_then(Wire::read_frame);
                frames.push(frame.map_err(|error| self.failed(batch, at, events, &error))?);
            }
            self.counts.frames += events.len() as u64;
            if !compare::same_confirmations(&expected, &frames) {
                self.differ(Some(*first), argvs[0], &expected.concat(), &frames.concat())?;
            }
            events = &[];
        }
        // What is delivered can be the doing of any command of the batch.
        let last = if let Batch::Commands { argvs, .. } = batch { at + argvs.len() - 1 } else { at };
        let mut own = 0;
        let mut unordered = (Vec::new(), Vec::new());
        let mut arrived: Vec<(&Event, &mut Event)> = events.iter().zip(shown).collect();
        if tracker.foreign
            && let Batch::Commands { conn, .. } = batch
        {
            // A foreign reference serves others differently, and the replies that follow are the consequence.
            arrived.sort_by_key(|(event, _)| event.conn == *conn);
        }
        for (event, shown) in arrived {
            let frame = subject.wire(event.conn).and_then(Wire::read_frame);
            let frame = match (frame, batch) {
                (Err(error), Batch::Commands { conn, .. }) if *conn != event.conn => {
                    // Somebody who waits was served by the reference alone.
                    let (argv, other) = (delivered_to(event.conn), format!("({error})"));
                    return self.differ(Some(last), &argv, &event.frame, other.as_bytes());
                }
                (frame, _) => {
                    frame.map_err(|error| self.failed(batch, at, std::slice::from_ref(event), &error))?
                }
            };
            self.counts.frames += 1;
            let command = match batch {
                Batch::Commands { conn, manner, first, argvs, answered }
                    if *conn == event.conn && !is_push(&event.frame) =>
                {
                    let places = answered.iter().enumerate().filter(|(_, answered)| **answered);
                    let place = places.map(|(place, _)| place).nth(own).unwrap_or(argvs.len());
                    let index = if *manner == Manner::Plain { place } else { 0 };
                    own += 1;
                    argvs.get(index).map(|argv| (first + index, *argv))
                }
                _ => None,
            };
            match command {
                Some((step, argv)) => {
                    shown.frame = self.check_reply(subject, event, step, argv, &frame, tracker)?;
                }
                None => {
                    self.counts.deliveries += 1;
                    if frame != event.frame && compare::is_pattern_message(&event.frame) {
                        // Which of several matching patterns comes first is not determined.
                        unordered.0.push((event.conn, event.frame.clone()));
                        unordered.1.push((event.conn, frame));
                    } else if frame != event.frame {
                        self.differ(Some(last), &delivered_to(event.conn), &event.frame, &frame)?;
                        shown.frame = frame;
                    }
                }
            }
        }
        unordered.0.sort();
        unordered.1.sort();
        if unordered.0 != unordered.1 {
            let frames = |list: &[(usize, Vec<u8>)]| -> Vec<u8> {
                list.iter().flat_map(|(_, frame)| frame.clone()).collect()
            };
            let conn = unordered.0[0].0;
            self.differ(Some(last), &delivered_to(conn), &frames(&unordered.0), &frames(&unordered.1))?;
        }
        if let Batch::Commands { conn, manner: Manner::Several, first, argvs, .. } = batch {
            let frame = subject.wire(*conn).and_then(Wire::read_frame);
            let frame = frame.map_err(|error| self.failed(batch, at, events, &error))?;
            if !is_sentinel(&frame) {
                self.differ(Some(*first), argvs[0], b"(nothing more)", &frame)?;
            }
        }
        Ok(())
    }

    /// Returns what the model is to be shown as the reply.
    fn check_reply(
        &mut self,
        subject: &mut Side<'_>,
        event: &Event,
        step: usize,
        argv: &Argv,
        frame: &[u8],
        tracker: &Tracker,
    ) -> Result<Vec<u8>, Stop> {
        let mut shown = event.frame.clone();
        let row = compare::row(argv);
        let queue = tracker.sessions.get(&event.conn).and_then(|session| session.queue.as_deref());
        let agreed = match (row, queue) {
            (Some(row), Some(queue)) if row.id == CommandId::Exec => {
                let queued: Vec<&Argv> = queue.iter().map(|(_, argv)| argv).collect();
                match compare::differences_in_transaction(&queued, &event.frame, frame) {
                    Some(differences) => {
                        // Each is known, or stops the plan.
                        for (index, reference, other) in &differences {
                            self.differ(Some(queue[*index].0), queued[*index], reference, other)?;
                        }
                        let mut theirs = differences;
                        if tracker.foreign {
                            theirs.extend(compare::told_of_itself(&queued, frame));
                        }
                        shown = compare::with_replies(&event.frame, &theirs);
                        true
                    }
                    None => false,
                }
            }
            // What is answered while queueing is determined.
            (_, Some(_)) => event.frame == frame,
            (Some(row), None) => compare::agree(compare::mode(row, argv), &event.frame, frame),
            (None, None) => event.frame == frame,
        };
        if !agreed {
            self.differ(Some(step), argv, &event.frame, frame)?;
            return Ok(frame.to_vec());
        }
        if row.is_some_and(|row| row.id == CommandId::SPop) && queue.is_none() && event.frame != frame {
            let adopted = adopt_pop(subject, event.conn, argv, &event.frame, frame);
            adopted.map_err(|error| Stop::Difference(Box::new(difference(Some(step), argv, b"", &error))))?;
        }
        if tracker.foreign && queue.is_none() && compare::tells_of_itself(argv) {
            shown = frame.to_vec();
        }
        Ok(shown)
    }

    fn check_pages(
        &mut self,
        subject: &mut Side<'_>,
        conn: usize,
        id: CommandId,
        step: usize,
        argv: &Argv,
        events: &[Event],
    ) -> Result<(), Stop> {
        let own: Vec<Vec<u8>> =
            events.iter().filter(|event| event.conn == conn).map(|event| event.frame.clone()).collect();
        self.counts.frames += 1;
        let pages = subject
            .wire(conn)
            .and_then(Wire::read_frame)
            .and_then(|first| subject.pages_after(conn, id, argv, first));
        let pages = match pages {
            Ok(pages) => pages,
            Err(error) => {
                return Err(Stop::Difference(Box::new(difference(Some(step), argv, &own[0], &error))));
            }
        };
        let elements = |pages: &[Vec<u8>]| compare::elements_of_pages(id, argv, pages);
        let agreed = match elements(&own) {
            Some(expected) => elements(&pages) == Some(expected),
            None => own == pages,
        };
        if agreed { Ok(()) } else { self.differ(Some(step), argv, &own.concat(), &pages.concat()) }
    }

    /// Monitors are shown the same commands by both, in the same order.
    fn check_monitors(
        &mut self,
        source: &mut Source<'_>,
        subject: &mut Side<'_>,
        step: usize,
        tracker: &Tracker,
    ) -> Result<(), Stop> {
        let Source::Live(reference) = source else { return Ok(()) };
        for conn in tracker.monitors() {
            let expected = shown_to(reference, conn).map_err(Stop::Reference)?;
            let shown = shown_to(subject, conn);
            let argv = vec![format!("(shown to monitor {conn})").into_bytes()];
            let shown = shown.map_err(|error| {
                Stop::Difference(Box::new(difference(Some(step), &argv, &expected.concat(), &error)))
            })?;
            self.counts.frames += expected.len() as u64;
            if shown.len() != expected.len() {
                let all = |lines: &[Vec<u8>]| match lines.is_empty() {
                    true => b"(nothing)".to_vec(),
                    false => lines.concat(),
                };
                self.differ(Some(step), &argv, &all(&expected), &all(&shown))?;
                continue;
            }
            for (expected, shown) in expected.iter().zip(&shown).filter(|(expected, shown)| expected != shown)
            {
                self.differ(Some(step), &argv, expected, shown)?;
            }
        }
        Ok(())
    }

    /// The server has closed connections: the second must have closed the same.
    fn part(
        &mut self,
        source: &mut Source<'_>,
        subject: &mut Side<'_>,
        batch: &Batch<'_>,
        at: usize,
        tracker: &mut Tracker,
    ) -> Result<(), Stop> {
        let Source::Live(reference) = source else { return Ok(()) };
        let Batch::Commands { conn, argvs, .. } = batch else { return Ok(()) };
        let (argv, step) = (argvs[argvs.len() - 1], at + argvs.len() - 1);
        reference.barrier().map_err(Stop::Reference)?;
        // Commands before the last can have named connections too, and those go on.
        let mut ended: Vec<usize> = match compare::row(argv).map(|row| row.id) {
            Some(CommandId::Quit) => vec![*conn],
            _ => argv.iter().filter_map(|arg| conn_of_id(arg)).collect(),
        };
        let open = reference.wires.keys().copied().filter(|conn| !ended.contains(conn));
        for conn in open.collect::<Vec<_>>() {
            if reference.wire(conn).and_then(Wire::has_ended).map_err(Stop::Reference)? {
                ended.push(conn);
            }
        }
        for conn in ended {
            if let Some(frame) = reference.closed(conn).map_err(Stop::Reference)? {
                let error =
                    format!("after {} connection {conn} got {}", Step::Close(conn), frame.escape_ascii());
                return Err(Stop::Reference(io::Error::other(error)));
            }
            match subject.closed(conn) {
                Ok(None) => {}
                Ok(Some(frame)) => self.differ(Some(step), argv, b"(connection closed)", &frame)?,
                Err(_) => self.differ(Some(step), argv, b"(connection closed)", b"(connection open)")?,
            }
            tracker.sessions.remove(&conn);
        }
        Ok(())
    }

    /// Nothing may have arrived that the reference did not send.
    fn check_silence(&mut self, subject: &mut Side<'_>, tracker: &Tracker) -> Result<(), Stop> {
        let broken = |error: io::Error| {
            Stop::Difference(Box::new(difference(None, &Argv::new(), b"(nothing more)", &error)))
        };
        subject.barrier().map_err(broken)?;
        let monitors = |conn: &usize| tracker.sessions.get(conn).is_some_and(|session| session.monitoring);
        let conns: Vec<usize> = subject.wires.keys().copied().filter(|conn| !monitors(conn)).collect();
        for conn in conns {
            if let Some(frame) = subject.wire(conn).and_then(Wire::poll_frame).map_err(broken)? {
                self.differ(None, &delivered_to(conn), b"(nothing more)", &frame)?;
            }
        }
        Ok(())
    }

    /// Two answers differ: stops unless that is known, and then too if only one of the two did what it was told.
    fn differ(
        &mut self,
        step: Option<usize>,
        argv: &Argv,
        reference: &[u8],
        other: &[u8],
    ) -> Result<(), Stop> {
        let difference = Difference {
            step,
            argv: argv.clone(),
            reference: reference.to_vec(),
            other: other.to_vec(),
            model: None,
        };
        if self.knows.is_known(&difference) {
            self.counts.known += 1;
            return match leaves_other_data(argv, reference, other) {
                true => Err(Stop::Abandoned),
                false => Ok(()),
            };
        }
        Err(Stop::Difference(Box::new(difference)))
    }

    /// The second server broke while answering a batch.
    fn failed(&self, batch: &Batch<'_>, at: usize, events: &[Event], error: &io::Error) -> Stop {
        // It can be the doing of any command of the batch.
        let (argv, last) = match batch {
            Batch::Commands { argvs, .. } => (argvs[0].clone(), at + argvs.len() - 1),
            _ => (vec![self.plan.steps[at].to_string().into_bytes()], at),
        };
        let expected = events.first().map_or(&b"(nothing)"[..], |event| &event.frame);
        Stop::Difference(Box::new(difference(Some(last), &argv, expected, error)))
    }

    /// Keeps the tracker and the tally up to date with what the reference answered.
    fn learn(&mut self, batch: &Batch<'_>, events: &[Event], tracker: &mut Tracker) {
        if let Batch::Close(conn) = batch {
            tracker.sessions.remove(conn);
            return;
        }
        let own_conn = if let Batch::Commands { conn, .. } = batch { Some(*conn) } else { None };
        for event in events {
            if Some(event.conn) != own_conn && !is_push(&event.frame) {
                tracker.session(event.conn).blocked = false;
            }
        }
        let Batch::Commands { conn, manner, first, argvs, answered } = batch else { return };
        let mut replies = events.iter().filter(|event| event.conn == *conn && !is_push(&event.frame));
        for (index, argv) in argvs.iter().enumerate() {
            let step = first + index;
            if !answered[index] {
                // Of what was not answered it is not known how it ended; it was asked for, that is all.
                let asks = compare::row(argv).is_some_and(|row| row.id == CommandId::ClientReply);
                if asks {
                    self.count(step, false);
                }
                continue;
            }
            let reply = replies.next().map(|event| event.frame.as_slice());
            if *manner == Manner::Waits && reply.is_none() {
                tracker.session(*conn).blocked = true;
            }
            if let (Some(row), Some(b"+OK\r\n")) = (compare::row(argv), reply) {
                let for_long = argv.get(2).is_some_and(|timeout| timeout.len() > 1);
                match row.id {
                    CommandId::ClientPause if for_long => tracker.paused = true,
                    CommandId::ClientUnpause => tracker.paused = false,
                    _ => {}
                }
            }
            let session = tracker.session(*conn);
            let executed = compare::row(argv).is_some_and(|row| row.id == CommandId::Exec)
                && reply.is_some_and(|reply| reply.starts_with(b"*") && reply != b"*-1\r\n");
            let mut queued = session.queue.iter().flatten();
            let pauses = executed && queued.any(|(_, argv)| pauses_writes(argv));
            self.learn_reply(session, step, argv, reply);
            tracker.paused |= pauses;
        }
    }

    fn learn_reply(&mut self, session: &mut Session, step: usize, argv: &Argv, reply: Option<&[u8]>) {
        use CommandId::*;
        let failed = reply.is_some_and(|reply| reply.starts_with(b"-"));
        if reply == Some(b"+QUEUED\r\n")
            && let Some(queue) = &mut session.queue
        {
            queue.push((step, argv.clone()));
            return;
        }
        self.count(step, failed);
        let Some(row) = compare::row(argv) else { return };
        match row.id {
            Multi if !failed => session.queue = Some(Vec::new()),
            Exec => {
                let queue = session.queue.take().unwrap_or_default();
                self.counts.transactions += 1;
                match reply.map(decode) {
                    Some(Ok(Frame::Array(replies))) => {
                        for ((step, _), reply) in queue.iter().zip(&replies) {
                            self.count(*step, reply.is_error());
                        }
                    }
                    Some(Ok(frame)) if frame.is_null() => self.counts.aborted += 1,
                    _ => {}
                }
                session.listening |= queue
                    .iter()
                    .any(|(_, argv)| compare::row(argv).is_some_and(|row| has_several_replies(row.id)));
            }
            Discard if !failed => session.queue = None,
            Reset if !failed => *session = Session::default(),
            Monitor if !failed => session.monitoring = true,
            Subscribe | PSubscribe | SSubscribe if !failed => session.listening = true,
            _ => {}
        }
    }

    fn count(&mut self, step: usize, failed: bool) {
        if let Some(Some(note)) = self.notes.get(step) {
            self.tally.add(note, if failed { Outcome::Error } else { Outcome::Ok });
        }
    }
}

/// What a monitor has been shown of what the plan did: each command with its database, but without time and address. The
/// tester's own commands are left out.
fn shown_to(side: &mut Side<'_>, conn: usize) -> io::Result<Vec<Vec<u8>>> {
    side.barrier()?;
    let mut shown = Vec::new();
    while let Some(frame) = until_ended(side.wire(conn)?.poll_frame())? {
        let Some(line) = compare::shown_command(&frame) else {
            shown.push(frame);
            continue;
        };
        // Cursors are the server's own.
        let name = line.split(' ').nth(1).unwrap_or_default().to_ascii_lowercase();
        if !compare::shows_tester(&line) && !name.ends_with("scan\"") {
            shown.push(format!("{line} ").into_bytes());
        }
    }
    Ok(shown)
}

/// Connections whose numbers are among the arguments of a batch.
fn mentioned(batch: &Batch<'_>) -> impl Iterator<Item = usize> {
    let argvs = if let Batch::Commands { argvs, .. } = batch { &argvs[..] } else { &[] };
    argvs.iter().flat_map(|argv| argv.iter()).filter_map(|arg| conn_of_id(arg))
}

/// Whether the last command of a batch, as it was answered, makes the server close connections.
fn ends_connections(batch: &Batch<'_>, events: &[Event]) -> bool {
    let Batch::Commands { conn, argvs, .. } = batch else { return false };
    let last = argvs.last().and_then(|argv| compare::row(argv)).map(|row| row.id);
    let own = events.iter().rev().find(|event| event.conn == *conn && !is_push(&event.frame));
    let reply = own.map(|event| event.frame.as_slice());
    match last {
        Some(CommandId::Quit) => reply == Some(b"+OK\r\n"),
        Some(CommandId::ClientKill) => {
            reply.is_some_and(|reply| !reply.starts_with(b"-") && reply != b":0\r\n")
        }
        _ => false,
    }
}

/// What the model is asked about a batch. The second server is sent its commands too, but the clock is the reference's.
fn ballot<'b>(batch: &'b Batch<'_>, argvs: &'b [&'b Argv], sent: i64, read: i64) -> Option<Ballot<'b>> {
    let Batch::Commands { conn, manner, .. } = batch else { return None };
    let pages = if let Manner::Pages(id) = manner { Some(*id) } else { None };
    Some(Ballot { conn: *conn, argvs, pages, sent, read })
}

/// With whom the model sides, by which of the two answers it allows.
pub fn sides(allows: [bool; 2]) -> &'static str {
    match allows {
        [true, true] => "allows both",
        [true, false] => "sides with the reference",
        [false, true] => "sides with kevy",
        [false, false] => "allows neither",
    }
}

/// What the model says about a difference in a batch.
fn opinion(
    voter: &Voter,
    ballot: Ballot<'_>,
    first: usize,
    events: &[Event],
    difference: &Difference,
) -> Option<String> {
    let last = difference.step?.checked_sub(first)?;
    let ballot = Ballot { argvs: ballot.argvs.get(..=last)?, ..ballot };
    let verdict = voter.verdict(&ballot, events, &difference.reference, &difference.other)?;
    Some(sides(verdict).to_owned())
}

/// Reference and kevy agree, and the model does not. In the place of kevy's reply is what it expects, so that a known
/// difference is about the model or about kevy and never about both.
fn objection<'b>(
    ballot: &Ballot<'b>,
    first: usize,
    events: &[Event],
    objection: &Objection,
) -> (usize, &'b Argv, Vec<u8>, Vec<u8>) {
    let index = objection.index.unwrap_or(0);
    let own = events.iter().filter(|event| event.conn == ballot.conn && !is_push(&event.frame));
    let reply = match objection.index {
        Some(index) if ballot.pages.is_none() => own.map(|event| event.frame.clone()).nth(index),
        _ => None,
    };
    let reply = reply.unwrap_or_else(|| events.iter().flat_map(|event| event.frame.clone()).collect());
    let expects = format!("(the model expects {}, not {})", objection.wanted, objection.got);
    (first + index, ballot.argvs[index], reply, expects.into_bytes())
}

/// Whether the data of two servers, or where they are in a dialogue, may differ after such answers.
fn leaves_other_data(argv: &Argv, reference: &[u8], other: &[u8]) -> bool {
    let row = compare::row(argv);
    let succeeded = [reference, other].map(|reply| !reply.starts_with(b"-"));
    let one_failed = succeeded[0] != succeeded[1] && row.is_none_or(|row| !row.is_readonly());
    let wrote = row.is_none_or(|row| row.is_write()) && !known::differ_in_spelling(reference, other);
    let one_queued = [reference, other].contains(&&b"+QUEUED\r\n"[..]);
    one_failed || wrote || one_queued || is_push(reference) != is_push(other)
}

fn delivered_to(conn: usize) -> Argv {
    vec![format!("(delivered to connection {conn})").into_bytes()]
}

fn difference(step: Option<usize>, argv: &Argv, reference: &[u8], error: &io::Error) -> Difference {
    let other = format!("({error})").into_bytes();
    Difference { step, argv: argv.clone(), reference: reference.to_vec(), other, model: None }
}

/// Makes the second server's set what it would be had it chosen as the reference did.
fn adopt_pop(
    subject: &mut Side<'_>,
    conn: usize,
    argv: &Argv,
    reference: &[u8],
    other: &[u8],
) -> io::Result<()> {
    /// A set of integers stays one when this is lowered below its size, until something is added to it.
    const LIMIT: &str = "set-max-intset-entries";
    let (taken, own) = (compare::members(reference), compare::members(other));
    let limit = subject.control.call(&["CONFIG", "GET", LIMIT])?;
    let limit = limit.elements().and_then(|pair| pair.get(1)).and_then(Frame::as_bytes).unwrap_or_default();
    let limit = String::from_utf8_lossy(limit).into_owned();
    subject.control.call(&["CONFIG", "SET", LIMIT, "1000000000"])?;
    let mut repair = |name: &str, from: &[Vec<u8>], without: &[Vec<u8>]| -> io::Result<()> {
        let members = from.iter().filter(|member| !without.contains(member)).cloned();
        let argv: Argv = [name.as_bytes().to_vec(), argv[1].clone()].into_iter().chain(members).collect();
        if argv.len() > 2 {
            subject.send(conn, &[&argv], None)?;
            let wire = subject.wire(conn)?;
            while is_push(&wire.read_frame()?) {}
        }
        Ok(())
    };
    // In this order the set is never empty in between.
    repair("SADD", &own, &taken)?;
    repair("SREM", &taken, &own)?;
    subject.control.call(&["CONFIG", "SET", LIMIT, &limit]).map(drop)
}
