//! Tapes: what clients did and what a redis-server answered, byte for byte, in both protocols. They are replayed in
//! this process, on kevy and on the model, so a machine without Redis compares with Redis all the same.
//!
//! ```text
//! # a comment
//! 0> HSET h f v          connection 0 sends a command, as in a plan
//! 0< :1                  what arrives then; a | is the end of a line, and the last one is left out
//! 0> HGETALL h
//! 0<2 *2|$1|f|$1|v       in RESP2
//! 0<3 %1|$1|f|$1|v       in RESP3
//! 0> INFO
//! 0<~ $                  of a reply that says what it likes only the type is kept
//! 0>> "*1\r\n$-5\r\n"    bytes that need not be a command
//! 0< -ERR Protocol error: invalid bulk length
//! 0< closed              by the server
//! !advance 20            the clock stands still but for this
//! ```
//!
//! Time is nowhere a matter of chance: while a tape is recorded the server's clock is a file (`Clock`), and a replay
//! begins at the same moment. Connections get the same numbers too: CLIENT ID of the first one is `FIRST_ID`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::time::Duration;

use kevy::command::{CommandId, Flags};
use kevy::resp::Frame;
use kevy::resp::repr::Repr;
use kevy_model::generator::{Plan, Step, split_words};
use kevy_model::{Model, Request, judge};

use crate::compare::{self, Mode};
use crate::inprocess::{BEGINNING, CONTROL, Failure, Layer, Setting, World, argv_of, guarded};
use crate::runner::Argv;
use crate::server::{Program, Server};
use crate::wire::{Wire, decode, encode};

/// Both protocols, in the order in which a tape keeps them.
pub const PROTOCOLS: [u32; 2] = [2, 3];

/// What CLIENT ID answers on the first connection of a tape.
const FIRST_ID: i64 = 101;

/// A connection that is used up to get there.
const PADDING: usize = 2000;

/// A longer reply of which only the type is compared is not kept.
const LONGEST_KIND: usize = 300;

/// The timeout that the generator gives to commands that are to wait for a moment.
const MOMENT: &[u8] = b"0.01";

/// How long a server may take for what it does now and then, when the clock has been moved by a second or more.
const CRON: Duration = Duration::from_millis(250);

/// A recording, or what is to be recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tape {
    pub turns: Vec<Turn>,
}

/// What was done, and what arrived then: in RESP2 and in RESP3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Comments above it.
    pub comments: Vec<String>,
    pub input: Input,
    pub outputs: [Vec<(usize, Output)>; 2],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Step(Step),
    /// Bytes as they are.
    Raw {
        conn: usize,
        bytes: Vec<u8>,
    },
}

/// Something that arrives on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Frame(Vec<u8>),
    /// A frame that begins with this byte.
    Kind(u8),
    /// The server closed the connection.
    Closed,
}

// --- As text ------------------------------------------------------------------------------------------------------

impl Tape {
    /// A plan of which nothing is recorded yet.
    pub fn of(plan: &Plan) -> Tape {
        let turn = |step: &Step| Turn {
            comments: Vec::new(),
            input: Input::Step(step.clone()),
            outputs: Default::default(),
        };
        Tape { turns: plan.steps.iter().map(turn).collect() }
    }

    /// Reads a tape, or a plan.
    pub fn parse(text: &str) -> Result<Tape, String> {
        let mut tape = Tape::default();
        let mut comments = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                comments.push(line.to_owned());
                continue;
            }
            let bad = || format!("line {}: neither input nor output: {line}", index + 1);
            if let Some((protocols, event)) = parse_output(line) {
                let turn = tape.turns.last_mut().ok_or_else(bad)?;
                protocols.for_each(|at| turn.outputs[at].push(event.clone()));
            } else {
                let input = Input::parse(line).ok_or_else(bad)?;
                let comments = std::mem::take(&mut comments);
                tape.turns.push(Turn { comments, input, outputs: Default::default() });
            }
        }
        Ok(tape)
    }

    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        for turn in &self.turns {
            turn.comments.iter().for_each(|line| _ = writeln!(text, "{line}"));
            let _ = match &turn.input {
                Input::Step(step) => writeln!(text, "{step}"),
                Input::Raw { conn, bytes } => writeln!(text, "{conn}>> {}", Repr(bytes)),
            };
            let alike = turn.outputs[0] == turn.outputs[1];
            for (outputs, protocol) in turn.outputs.iter().zip(["2", "3"]).take(if alike { 1 } else { 2 }) {
                let protocol = if alike { "" } else { protocol };
                for (conn, output) in outputs {
                    let _ = match output {
                        Output::Frame(frame) => writeln!(text, "{conn}<{protocol} {}", frame_text(frame)),
                        Output::Kind(kind) => writeln!(text, "{conn}<~{protocol} {}", char::from(*kind)),
                        Output::Closed => writeln!(text, "{conn}<{protocol} closed"),
                    };
                }
            }
        }
        text
    }

    /// Lets the time of commands that wait for a moment run out at once, where it does not do so anyway.
    fn let_time_run_out(&mut self) {
        let mut turns: Vec<Turn> = Vec::new();
        for turn in std::mem::take(&mut self.turns) {
            let argv = turns.last().map(|last: &Turn| argv_of_input(&last.input));
            let waits = argv.is_some_and(|argv| {
                let row = compare::row(argv);
                row.is_some_and(|row| row.flags.contains(Flags::BLOCKING))
                    && argv.iter().any(|arg| arg == MOMENT)
            });
            if waits && !matches!(turn.input, Input::Step(Step::Advance(_))) {
                let input = Input::Step(Step::Advance(20));
                turns.push(Turn { comments: Vec::new(), input, outputs: Default::default() });
            }
            turns.push(turn);
        }
        self.turns = turns;
    }

    /// How often each command was answered in a recording: with a reply, with an error.
    pub fn tally(&self) -> BTreeMap<CommandId, [u32; 2]> {
        let mut tally: BTreeMap<CommandId, [u32; 2]> = BTreeMap::new();
        for turn in &self.turns {
            let Input::Step(Step::Command { conn, argv }) = &turn.input else { continue };
            let Some(row) = compare::row(argv) else { continue };
            for outputs in &turn.outputs {
                let own = outputs.iter().find(|(other, output)| other == conn && *output != Output::Closed);
                let failed = match own {
                    Some((_, Output::Frame(frame))) if frame == b"+QUEUED\r\n" => continue,
                    Some((_, Output::Frame(frame))) => frame[0] == b'-',
                    _ => false,
                };
                tally.entry(row.id).or_default()[usize::from(failed)] += 1;
            }
        }
        tally
    }
}

impl Input {
    fn parse(line: &str) -> Option<Input> {
        if let Some((conn, bytes)) = line.split_once(">> ")
            && let Ok(conn) = conn.parse()
        {
            return match &split_words(bytes.as_bytes())?[..] {
                [bytes] => Some(Input::Raw { conn, bytes: bytes.clone() }),
                _ => None,
            };
        }
        Step::parse(line).map(Input::Step)
    }
}

/// Which protocols a line is about, and what arrived.
fn parse_output(line: &str) -> Option<(std::ops::Range<usize>, (usize, Output))> {
    let (conn, rest) = line.split_once('<')?;
    let conn = conn.parse().ok()?;
    let (marks, text) = rest.split_once(' ')?;
    let (is_kind, protocol) = marks.strip_prefix('~').map_or((false, marks), |rest| (true, rest));
    let protocols = match protocol {
        "" => 0..2,
        "2" => 0..1,
        "3" => 1..2,
        _ => return None,
    };
    let output = match text {
        "closed" => Output::Closed,
        _ if is_kind => Output::Kind(*text.as_bytes().first()?),
        _ => Output::Frame(parse_frame(text)?),
    };
    Some((protocols, (conn, output)))
}

/// A frame on one line. Of the line end at the end nothing is shown, if that leaves something that can be seen.
fn frame_text(frame: &[u8]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while at < frame.len() {
        match frame[at] {
            b'\r' if frame.get(at + 1) == Some(&b'\n') => {
                text.push('|');
                at += 1;
            }
            byte @ b' '..=b'~' if byte != b'\\' && byte != b'|' => text.push(char::from(byte)),
            byte => _ = write!(text, "\\x{byte:02x}"),
        }
        at += 1;
    }
    if text.strip_suffix('|').is_some_and(|short| !short.ends_with(['|', ' '])) {
        text.pop();
    }
    text
}

fn parse_frame(text: &str) -> Option<Vec<u8>> {
    let mut frame = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'|' => frame.extend_from_slice(b"\r\n"),
            b'\\' => {
                let digits = std::str::from_utf8(rest.strip_prefix(b"x")?.get(..2)?).ok()?;
                frame.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[3..];
            }
            byte => frame.push(byte),
        }
    }
    if !text.ends_with('|') {
        frame.extend_from_slice(b"\r\n");
    }
    Some(frame)
}

// --- Recording ----------------------------------------------------------------------------------------------------

/// A clock that a redis-server goes by: preloaded code that reads a file.
struct Clock {
    directory: PathBuf,
    file: std::fs::File,
    unix: u64,
}

impl Clock {
    fn new() -> io::Result<Clock> {
        let directory = std::env::temp_dir().join(format!("kevy-tape-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/clock.c");
        let mut compiler = Process::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(directory.join("clock.so")).arg(source);
        if !compiler.status()?.success() {
            return Err(io::Error::other("the clock does not compile"));
        }
        let file = std::fs::File::create(directory.join("clock"))?;
        let mut clock = Clock { directory, file, unix: 0 };
        clock.set(BEGINNING)?;
        Ok(clock)
    }

    fn set(&mut self, unix: u64) -> io::Result<()> {
        self.unix = unix;
        self.file.write_all_at(&(unix * 1000).to_ne_bytes(), 0)
    }

    fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("LD_PRELOAD", self.directory.join("clock.so")),
            ("KEVY_CLOCK", self.directory.join("clock")),
            // The text of errors and the order of names must not depend on the machine.
            ("LC_ALL", "C".into()),
        ]
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        // What cannot be removed stays in the temporary directory, which is what it is for.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Lets a redis-server answer everything again. Commands on connections that wait are left out of the tape: what they
/// would do depends on when they are read.
pub fn record(tape: &Tape, redis: &Path) -> io::Result<(Tape, String)> {
    let mut tape = tape.clone();
    tape.let_time_run_out();
    loop {
        let mut refused = BTreeSet::new();
        let mut identity = String::new();
        for (at, &protocol) in PROTOCOLS.iter().enumerate() {
            let mut recorder = Recorder::start(redis, protocol)?;
            identity = recorder.server.identity();
            for (index, turn) in tape.turns.iter_mut().enumerate() {
                match recorder.turn(&turn.input)? {
                    Some(outputs) => turn.outputs[at] = outputs,
                    None => _ = refused.insert(index),
                }
            }
        }
        if refused.is_empty() {
            return Ok((tape, identity));
        }
        let mut index = 0;
        tape.turns.retain(|_| {
            index += 1;
            !refused.contains(&(index - 1))
        });
    }
}

struct Recorder {
    server: Server,
    clock: Clock,
    control: Wire,
    wires: BTreeMap<usize, Wire>,
    protocol: u32,
    /// Connections that wait, and such in a transaction.
    waiting: BTreeSet<usize>,
    queueing: BTreeSet<usize>,
}

impl Recorder {
    fn start(redis: &Path, protocol: u32) -> io::Result<Recorder> {
        let clock = Clock::new()?;
        let program = Program { environment: clock.environment(), ..Program::at(redis) };
        let server = Server::start(&program, false, &[])?;
        let mut control = server.connect()?;
        control.call(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"])?;
        while server.connect()?.call(&["CLIENT", "ID"])?.as_int().is_some_and(|id| id + 1 < FIRST_ID) {}
        Ok(Recorder {
            server,
            clock,
            control,
            wires: BTreeMap::new(),
            protocol,
            waiting: BTreeSet::new(),
            queueing: BTreeSet::new(),
        })
    }

    /// What arrives; nothing is done with a connection that waits.
    fn turn(&mut self, input: &Input) -> io::Result<Option<Vec<(usize, Output)>>> {
        let (conn, bytes) = match input {
            Input::Step(Step::Command { conn, argv }) => {
                let mut bytes = Vec::new();
                encode(argv, &mut bytes);
                (*conn, bytes)
            }
            Input::Raw { conn, bytes } => (*conn, bytes.clone()),
            Input::Step(Step::Advance(millis)) => {
                self.clock.set(self.clock.unix + millis)?;
                if *millis >= 1000 {
                    std::thread::sleep(CRON);
                }
                return self.outputs(None).map(Some);
            }
            Input::Step(Step::Close(conn)) => {
                self.wires.remove(conn);
                self.waiting.remove(conn);
                self.queueing.remove(conn);
                // The server has noticed when nothing is connected but what should be.
                let wanted = self.wires.len() + 1;
                while self.clients()? > wanted {}
                return self.outputs(None).map(Some);
            }
        };
        if self.waiting.contains(&conn) {
            return Ok(None);
        }
        if !self.wires.contains_key(&conn) {
            let mut wire = self.server.connect()?;
            if self.protocol == 3 {
                wire.call(&["HELLO", "3"])?;
            }
            self.wires.insert(conn, wire);
        }
        let sent = self.wires.get_mut(&conn).expect("just inserted").send(&bytes);
        match sent {
            // It refused what came before, and does not read on.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
        let row = match input {
            Input::Step(step) => compare::row(argv_of(step)),
            Input::Raw { .. } => None,
        };
        let late = row.is_some_and(|row| matches!(row.id, CommandId::FlushAll | CommandId::FlushDb))
            && !self.queueing.contains(&conn);
        if late {
            self.wait_for_flush()?;
        }
        let outputs =
            self.outputs(row.map(|row| compare::mode(row, argv_of_input(input))).zip(Some(conn)))?;
        if let Some(row) = row {
            match row.id {
                CommandId::Multi if outputs.contains(&(conn, Output::Frame(b"+OK\r\n".to_vec()))) => {
                    _ = self.queueing.insert(conn)
                }
                CommandId::Exec | CommandId::Discard | CommandId::Reset => _ = self.queueing.remove(&conn),
                _ => {}
            }
            let waits = row.flags.contains(Flags::BLOCKING) && !self.queueing.contains(&conn);
            if waits && !has_reply(&outputs, conn) {
                self.waiting.insert(conn);
            }
        }
        Ok(Some(outputs))
    }

    /// FLUSHALL is answered when another thread has freed everything.
    fn wait_for_flush(&mut self) -> io::Result<()> {
        loop {
            self.control.call(&["PING"])?;
            let info = self.control.call(&["INFO", "clients"])?;
            let info = String::from_utf8_lossy(info.as_bytes().unwrap_or_default()).into_owned();
            let blocked = info.lines().find_map(|line| line.strip_prefix("blocked_clients:")?.parse().ok());
            if blocked.is_none_or(|blocked: usize| blocked <= self.waiting.len()) {
                return Ok(());
            }
        }
    }

    fn clients(&mut self) -> io::Result<usize> {
        let list = self.control.call(&["CLIENT", "LIST"])?;
        Ok(list.as_bytes().unwrap_or_default().iter().filter(|&&byte| byte == b'\n').count())
    }

    /// All that has arrived. With the connection of a command comes how its reply is compared.
    fn outputs(&mut self, own: Option<(Mode, usize)>) -> io::Result<Vec<(usize, Output)>> {
        // See [`runner`](crate::runner): this executes and writes out everything that was sent before.
        for _ in 0..3 {
            self.control.call(&["PING"])?;
        }
        let mut outputs = Vec::new();
        let mut gone = Vec::new();
        for (&conn, wire) in &mut self.wires {
            loop {
                match wire.poll_frame() {
                    Ok(Some(frame)) => {
                        let loose = own.is_some_and(|(mode, own)| {
                            own == conn && matches!(mode, Mode::Kind | Mode::Pages)
                        });
                        outputs.push((
                            conn,
                            match frame[0] {
                                kind if loose && frame.len() > LONGEST_KIND => Output::Kind(kind),
                                _ => Output::Frame(frame),
                            },
                        ));
                    }
                    Ok(None) => break,
                    Err(error) if is_end(&error) => {
                        outputs.push((conn, Output::Closed));
                        gone.push(conn);
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        for conn in gone {
            self.wires.remove(&conn);
            self.queueing.remove(&conn);
        }
        self.waiting.retain(|&waiting| !has_reply(&outputs, waiting));
        Ok(outputs)
    }
}

/// Whether a command of this connection was answered.
fn has_reply(outputs: &[(usize, Output)], conn: usize) -> bool {
    outputs.iter().any(|(other, output)| *other == conn && !is_push(output))
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn is_push(output: &Output) -> bool {
    matches!(output, Output::Frame(frame) if frame[0] == b'>')
}

fn argv_of_input(input: &Input) -> &Argv {
    const NONE: &Argv = &Vec::new();
    match input {
        Input::Step(step) => argv_of(step),
        Input::Raw { .. } => NONE,
    }
}

// --- Replaying ----------------------------------------------------------------------------------------------------

/// What a replay did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub commands: u64,
    /// Compared with what was recorded.
    pub outputs: u64,
    /// Replies and deliveries of the recording that the model judged.
    pub votes: u64,
}

/// Does on kevy what the tape says, and compares what arrives; and lets the model judge what was recorded.
pub fn replay(tape: &Tape, protocol: u32, counts: &mut Counts) -> Result<(), Failure> {
    guarded(|| {
        let mut player = Player::new(protocol);
        tape.turns.iter().enumerate().try_for_each(|(index, turn)| player.turn(index, turn, counts))
    })
}

struct Player {
    world: World,
    protocol: u32,
    open: BTreeSet<usize>,
    /// What each connection has queued since MULTI.
    queues: BTreeMap<usize, Vec<Argv>>,
    /// `None` when the recording has gone where it cannot follow.
    model: Option<Model>,
}

impl Player {
    fn new(protocol: u32) -> Player {
        let setting = Setting { config: vec![("save", "")], ..Setting::default() };
        let mut world = World::new(&setting, BEGINNING);
        // Any limit is exceeded by something, as with a real server.
        world.shard.env.used_memory = || 1 << 20;
        loop {
            let id = world.call(PADDING, &words(&["CLIENT", "ID"]));
            world.close(PADDING);
            if decode(&id).ok().and_then(|id| id.as_int()).is_none_or(|id| id + 1 >= FIRST_ID) {
                break;
            }
        }
        Player {
            world,
            protocol,
            open: BTreeSet::new(),
            queues: BTreeMap::new(),
            model: Some(Model::new(16)),
        }
    }

    fn now(&self) -> i64 {
        self.world.now.unix as i64
    }

    fn connect(&mut self, conn: usize) {
        if !self.open.insert(conn) {
            return;
        }
        if self.protocol == 3 {
            let argv = words(&["HELLO", "3"]);
            let reply = decode(&self.world.call(conn, &argv)).ok();
            let request = Request { conn, now: self.now(), argv };
            if let Some(model) = &mut self.model
                && model.step(&request, reply.as_ref()).is_err()
            {
                self.model = None;
            }
        } else {
            self.world.conn(conn);
        }
    }

    fn turn(&mut self, index: usize, turn: &Turn, counts: &mut Counts) -> Result<(), Failure> {
        let protocol = self.protocol;
        let failed = |text: String| {
            let input = match &turn.input {
                Input::Step(step) => step.to_string(),
                Input::Raw { conn, bytes } => format!("{conn}>> {}", Repr(bytes)),
            };
            Failure {
                layer: Layer::Tape,
                step: Some(index),
                text: format!("RESP{protocol}: {input}\n{text}"),
            }
        };
        let mut own = None;
        match &turn.input {
            Input::Step(Step::Command { conn, argv }) => {
                self.connect(*conn);
                let mut bytes = Vec::new();
                encode(argv, &mut bytes);
                self.world.send(*conn, [&bytes[..]]);
                own = Some(*conn);
                counts.commands += 1;
            }
            Input::Raw { conn, bytes } => {
                self.connect(*conn);
                self.world.send(*conn, [&bytes[..]]);
                own = Some(*conn);
                counts.commands += 1;
            }
            Input::Step(Step::Advance(millis)) => self.world.advance_to(self.world.now.unix + millis),
            Input::Step(Step::Close(conn)) => {
                self.world.close(*conn);
                self.open.remove(conn);
                self.queues.remove(conn);
            }
        }
        // As while recording: somebody else asks for something, which may be when memory is made room for.
        self.world.call(CONTROL, &words(&["PING"]));
        let expected = &turn.outputs[self.protocol as usize - 2];
        let argv = argv_of_input(&turn.input);
        let conns: Vec<usize> = self.open.iter().copied().collect();
        for conn in conns {
            let actual = self.outputs(conn).map_err(failed)?;
            let expected: Vec<Output> = expected
                .iter()
                .filter(|(other, _)| *other == conn)
                .map(|(_, output)| output.clone())
                .collect();
            counts.outputs += expected.len() as u64;
            let is_own = own == Some(conn);
            if !self.agree(conn, is_own.then_some(argv), &expected, &actual) {
                return Err(failed(format!(
                    "  connection {conn}\n  recorded: {}\n  answered: {}",
                    shown(&expected),
                    shown(&actual)
                )));
            }
            if is_own {
                self.learn(conn, argv, &expected);
            }
            if expected.contains(&Output::Closed) {
                self.open.remove(&conn);
                self.queues.remove(&conn);
                self.world.close(conn);
            }
        }
        let judged = self.judge(turn).map_err(|text| failed(format!("  the model: {text}")))?;
        counts.votes += judged;
        Ok(())
    }

    fn outputs(&mut self, conn: usize) -> Result<Vec<Output>, String> {
        let output = self.world.take_output(conn);
        let mut outputs: Vec<Output> = frames(&output)?;
        let id = self.world.conn(conn);
        if self.world.memory.closed.contains(&id) {
            outputs.push(Output::Closed);
        }
        Ok(outputs)
    }

    /// Whether what arrived is what was recorded, as far as the command says that it is determined.
    fn agree(&self, conn: usize, argv: Option<&Argv>, expected: &[Output], actual: &[Output]) -> bool {
        if expected == actual {
            return true;
        }
        if expected.len() != actual.len() {
            return false;
        }
        let row = argv.and_then(|argv| compare::row(argv));
        let queue = self.queues.get(&conn);
        let same = |(expected, actual): (&Output, &Output)| match (expected, actual) {
            (Output::Frame(expected), Output::Frame(actual)) => {
                expected == actual
                    || match (row, argv, queue) {
                        (Some(row), _, Some(queue)) if row.id == CommandId::Exec => {
                            let queue: Vec<&Argv> = queue.iter().collect();
                            compare::differences_in_transaction(&queue, expected, actual)
                                .is_some_and(|differences| differences.is_empty())
                        }
                        (Some(row), Some(argv), None) => {
                            compare::agree(compare::mode(row, argv), expected, actual)
                        }
                        _ => false,
                    }
            }
            (Output::Kind(kind), Output::Frame(frame)) => frame[0] == *kind,
            (expected, actual) => expected == actual,
        };
        if expected.iter().zip(actual).all(same) {
            return true;
        }
        // Leaving every channel confirms them in no particular order.
        let leaves = argv.is_some_and(|argv| argv.len() == 1);
        if leaves && compare::same_confirmations(&frames_of(expected), &frames_of(actual)) {
            return true;
        }
        // Which of several matching patterns comes first is not determined either.
        let differing = || expected.iter().zip(actual).filter(|(expected, actual)| expected != actual);
        let mut expected = frames_of(differing().map(|(expected, _)| expected));
        let mut actual = frames_of(differing().map(|(_, actual)| actual));
        expected.sort();
        actual.sort();
        expected == actual && expected.iter().all(|frame| compare::is_pattern_message(frame))
    }

    fn learn(&mut self, conn: usize, argv: &Argv, outputs: &[Output]) {
        let reply = outputs.iter().find(|output| !is_push(output));
        match reply {
            Some(Output::Frame(frame)) if frame == b"+QUEUED\r\n" => {
                self.queues.entry(conn).or_default().push(argv.clone());
            }
            _ => match compare::row(argv).map(|row| row.id) {
                Some(CommandId::Multi) if reply == Some(&Output::Frame(b"+OK\r\n".to_vec())) => {
                    _ = self.queues.entry(conn).or_default()
                }
                Some(CommandId::Exec | CommandId::Discard | CommandId::Reset) => {
                    self.queues.remove(&conn);
                }
                _ => {}
            },
        }
    }

    /// What the model says about the recording. Returns how many frames it has judged.
    fn judge(&mut self, turn: &Turn) -> Result<u64, String> {
        let now = self.now();
        let Some(mut model) = self.model.take() else { return Ok(0) };
        let outputs = &turn.outputs[self.protocol as usize - 2];
        let mut arrived: BTreeMap<usize, VecDeque<Frame>> = BTreeMap::new();
        let (mut closed, mut loose) = (BTreeSet::new(), false);
        for (conn, output) in outputs {
            match output {
                Output::Frame(frame) => {
                    let frame = decode(frame).map_err(|error| error.to_string())?;
                    arrived.entry(*conn).or_default().push_back(frame);
                }
                Output::Kind(_) => loose = true,
                Output::Closed => _ = closed.insert(*conn),
            }
        }
        let step = match &turn.input {
            Input::Step(Step::Command { conn, argv }) => {
                if loose {
                    // What answers so changes nothing.
                    self.model = Some(model);
                    return Ok(0);
                }
                if is_beyond_the_model(argv) {
                    return Ok(0);
                }
                let request = Request { conn: *conn, now, argv: argv.clone() };
                let reply = match model.frames(&request) {
                    0 => None,
                    _ => arrived.get_mut(conn).and_then(VecDeque::pop_front),
                };
                model.step(&request, reply.as_ref()).map_err(|divergence| {
                    format!("expected: {}\n  recorded: {}", divergence.wanted, divergence.got)
                })?
            }
            Input::Step(Step::Advance(_)) => model.advance(now),
            Input::Step(Step::Close(conn)) => {
                model.disconnect(*conn);
                kevy_model::Step::default()
            }
            Input::Raw { .. } => return Ok(0),
        };
        let mut judged = outputs.len() as u64;
        for delivery in &step.deliveries {
            let queue = arrived.entry(delivery.conn).or_default();
            let mut frames: Vec<Frame> =
                (0..delivery.frames.len()).map_while(|_| queue.pop_front()).collect();
            for want in &delivery.frames {
                judged += 1;
                match frames.iter().position(|frame| judge(want, frame, delivery.protocol).is_ok()) {
                    Some(place) => _ = frames.swap_remove(place),
                    None => {
                        let conn = delivery.conn;
                        return Err(format!("connection {conn}: expected: {want:?}\n  recorded: {frames:?}"));
                    }
                }
            }
        }
        if let Some((conn, frames)) = arrived.iter().find(|(_, frames)| !frames.is_empty()) {
            return Err(format!("connection {conn}: did not expect {frames:?}"));
        }
        if closed != step.closed.iter().copied().collect() {
            return Err(format!("expected to be closed: {:?}\n  recorded: {closed:?}", step.closed));
        }
        self.model = Some(model);
        Ok(judged)
    }
}

/// Commands about what the model knows nothing of.
fn is_beyond_the_model(argv: &Argv) -> bool {
    use CommandId::*;
    let known_setting = |name: &[u8]| {
        crate::state::DEFAULTS.iter().any(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()))
    };
    match compare::row(argv).map(|row| row.id) {
        Some(Debug | Monitor | Shutdown) => true,
        Some(ConfigSet) => !argv.iter().skip(2).step_by(2).all(|name| known_setting(name)),
        _ => compare::sorts_in_open_order(argv),
    }
}

fn words(words: &[&str]) -> Argv {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// The frames of some output, which must end with one.
fn frames(mut output: &[u8]) -> Result<Vec<Output>, String> {
    let mut frames = Vec::new();
    while !output.is_empty() {
        let Ok(Some((_, len))) = Frame::decode(output) else {
            return Err(format!("no frame: {}", output.escape_ascii()));
        };
        let (frame, rest) = output.split_at(len);
        frames.push(Output::Frame(frame.to_vec()));
        output = rest;
    }
    Ok(frames)
}

fn frames_of<'o>(outputs: impl IntoIterator<Item = &'o Output>) -> Vec<Vec<u8>> {
    let frames = outputs.into_iter().filter_map(|output| match output {
        Output::Frame(frame) => Some(frame.clone()),
        _ => None,
    });
    frames.collect()
}

fn shown(outputs: &[Output]) -> String {
    let text = |output: &Output| match output {
        Output::Frame(frame) => frame_text(frame).chars().take(600).collect(),
        Output::Kind(kind) => format!("~ {}", char::from(*kind)),
        Output::Closed => "closed".to_owned(),
    };
    outputs.iter().map(text).collect::<Vec<String>>().join("   ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tape_is_read_back_as_it_was_written() {
        let text = "# about\n0> HGETALL h\n0<2 *2|$1|f|$0||\n0<3 %1|$1|f|$0||\n\n# more\n1>> \"*1\\r\\n$-5\\r\\n\"\n\
                    1< -ERR a: |\n1< closed\n!advance 20\n0> INFO\n0<~ $\n0> GET k\n0< $4|\\x7c\\x5c|\\xff\n!close 0\n";
        let tape = Tape::parse(text).unwrap();
        assert_eq!(tape.to_text(), text);
        assert_eq!(tape.turns[0].outputs[1][0].1, Output::Frame(b"%1\r\n$1\r\nf\r\n$0\r\n\r\n".to_vec()));
        assert_eq!(tape.turns[1].outputs[0].len(), 2);
        assert_eq!(tape.turns[3].outputs, [vec![(0, Output::Kind(b'$'))], vec![(0, Output::Kind(b'$'))]]);
        assert!(Tape::parse("0< +OK").is_err());
        assert!(Tape::parse("GET k").is_err());
    }

    #[test]
    fn every_frame_survives() {
        for frame in [
            &b"$2\r\n\r\n\r\n"[..],
            b"$0\r\n\r\n",
            b"+\r\n",
            b"$1\r\n \r\n",
            b"$3\r\n|\\\xff\r\n",
            b"-ERR x \r\n",
        ] {
            let text = frame_text(frame);
            assert_eq!(parse_frame(&text).as_deref(), Some(frame), "{text}");
            assert!(!text.ends_with(' '));
        }
    }
}
