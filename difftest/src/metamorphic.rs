//! What needs no oracle: a plan is run twice on the shard in this process, the second time changed in a way that must not
//! matter, and every reply, every delivery and the data at the end must be the same but for that change.
//!
//! - [`Relation::Prefix`]: all keys are named otherwise, and all patterns that stand for names of keys: something comes
//!   before each.
//! - [`Relation::Names`]: all keys are named otherwise, byte for byte, so that none of a pattern's bytes means the same.
//! - [`Relation::Time`]: everything happens earlier or later, and so does every deadline that a command names.
//! - [`Relation::Pipelines`]: commands in a row on one connection are sent in one piece.
//! - [`Relation::Pieces`]: what is sent is cut anywhere.
//! - [`Relation::Protocols`]: RESP3 says what RESP2 does, with more shapes.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use kevy::command::spec::Flags;
use kevy::command::{CommandId, getkeys};
use kevy::resp::{self, Frame};
use kevy_model::generator::{Choices, Gen, Plan, Prng, Scope, Step};

use crate::compare;
use crate::inprocess::{BEGINNING, Setting, World, argv_of, database, frames, guarded};
use crate::shrink::shrink;
use crate::wire::encode;

type Argv = Vec<Vec<u8>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Prefix,
    Names,
    Time,
    Pipelines,
    Pieces,
    Protocols,
}

impl Relation {
    pub const ALL: [Relation; 6] = [
        Relation::Prefix,
        Relation::Names,
        Relation::Time,
        Relation::Pipelines,
        Relation::Pieces,
        Relation::Protocols,
    ];

    /// Whether the reply of a command may differ for another reason than that it is wrong.
    fn leaves_out(self, argv: &Argv) -> bool {
        use CommandId::*;
        let Some(row) = compare::row(argv) else { return false };
        let has = |word: &[u8]| argv.iter().any(|arg| arg.eq_ignore_ascii_case(word));
        // They tell how much there is of names and buffers, and how old the server is.
        if matches!(row.id, Info | ClientList | ClientInfo | MemoryStats | MemoryUsage) {
            return true;
        }
        match self {
            // In the order of the table, which is that of the names' hashes.
            Relation::Prefix => matches!(row.id, Scan | RandomKey),
            Relation::Names => match row.id {
                Scan | RandomKey | Keys => true,
                // Names of keys are in the names of channels, too.
                PSubscribe => true,
                Sort | SortRo => has(b"by") || has(b"get"),
                _ => false,
            },
            // Some moments are so late that there is nothing later.
            Relation::Time => {
                let is_last = |(index, unit): (usize, i64)| {
                    number(&argv[index]).is_some_and(|value| value / unit > THE_END)
                };
                row.id == Time
                    || row.accepts_arity(argv.len()) && moments(row.id, argv).into_iter().any(is_last)
            }
            Relation::Pipelines | Relation::Pieces => false,
            // A connection of RESP2 that has subscribed is good for nothing else, and one of RESP3 has called HELLO.
            Relation::Protocols => {
                matches!(row.id, Hello | Reset | Subscribe | PSubscribe | SSubscribe | LatencyHistogram)
            }
        }
    }
}

/// The second run, and how it differs from the first.
struct Change {
    relation: Relation,
    /// What comes before the names of keys, and what is added to each of their bytes.
    prefix: Vec<u8>,
    turn: u8,
    /// Seconds between the beginnings of the two.
    seconds: i64,
    seed: u64,
}

/// Moments before this one, in seconds, have passed whenever the plan begins; later ones are as far from its beginning
/// in both runs.
const LONG_AGO: i64 = 1_000_000_001;

/// Seconds after which there is no time left.
const THE_END: i64 = 100_000_000_000;

fn number(text: &[u8]) -> Option<i64> {
    let value: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (value.to_string().as_bytes() == text).then_some(value)
}

impl Change {
    fn new(relation: Relation, seed: u64) -> Change {
        let choices: &mut dyn Choices = &mut Prng::new(seed);
        let mut change = Change { relation, prefix: Vec::new(), turn: 0, seconds: 0, seed };
        match relation {
            Relation::Prefix => {
                let len = *choices.pick(&[1, 2, 3, 8, 40, 200]);
                change.prefix = (0..len).map(|_| *choices.pick(b"abk:{}")).collect();
            }
            Relation::Names => change.turn = choices.between(1, 255) as u8,
            // Whole minutes: ages are counted in seconds and minutes.
            Relation::Time => change.seconds = 60 * choices.between(-10_000_000, 10_000_000),
            Relation::Pipelines | Relation::Pieces | Relation::Protocols => {}
        }
        change
    }

    fn name(&self, name: &[u8]) -> Vec<u8> {
        let turned = name.iter().map(|byte| byte.wrapping_add(self.turn));
        self.prefix.iter().copied().chain(turned).collect()
    }

    fn shifted(&self, time: &[u8], unit: i64) -> Option<Vec<u8>> {
        let value = number(time).filter(|value| value / unit >= LONG_AGO)?;
        Some(value.saturating_add(self.seconds * unit).to_string().into_bytes())
    }

    /// A command as it is sent in the second run.
    fn request(&self, argv: &Argv) -> Argv {
        let mut changed = argv.clone();
        let Some(row) = compare::row(argv) else { return changed };
        if !row.accepts_arity(argv.len()) {
            return changed;
        }
        match self.relation {
            Relation::Prefix | Relation::Names => {
                if let CommandId::CommandGetKeys | CommandId::CommandGetKeysAndFlags = row.id {
                    let nested = self.request(&argv[2..].to_vec());
                    changed.splice(2.., nested);
                }
                let keys: BTreeSet<usize> = match getkeys::keys(row, resp::Argv::of(argv).as_args()) {
                    Ok(keys) => keys.map(|(index, _)| index).collect(),
                    Err(_) => BTreeSet::new(),
                };
                for index in keys.into_iter().chain(patterns(row.id, argv)) {
                    changed[index] = self.name(&argv[index]);
                }
            }
            Relation::Time => {
                for (index, unit) in moments(row.id, argv) {
                    if let Some(time) = self.shifted(&argv[index], unit) {
                        changed[index] = time;
                    }
                }
            }
            Relation::Pipelines | Relation::Pieces | Relation::Protocols => {}
        }
        changed
    }

    /// Whether a reply of the second run is what that of the first becomes.
    fn agrees(&self, row: Option<CommandId>, first: &Frame, second: &Frame) -> bool {
        use Frame::{Array, Bulk, Int, Map, Push, Set};
        let each = |a: &[Frame], b: &[Frame]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.agrees(row, a, b))
        };
        match (self.relation, first, second) {
            (Relation::Prefix | Relation::Names, Bulk(a), Bulk(b)) => {
                a == b || self.name(a) == *b || self.channel(a).is_some_and(|channel| channel == *b)
            }
            // KEYS answers in the order of the table.
            (Relation::Prefix, Array(a), Array(b))
                if matches!(row, Some(CommandId::Keys | CommandId::Exec)) && !each(a, b) =>
            {
                let names = |frames: &[Frame]| {
                    frames.iter().map(|frame| frame.as_bytes().unwrap_or_default().to_vec()).collect()
                };
                let (a, b): (Vec<_>, BTreeSet<_>) = (names(a), names(b).into_iter().collect());
                a.len() == b.len() && a.iter().all(|name| b.contains(&self.name(name)))
            }
            (Relation::Time, Int(a), Int(b)) => {
                use CommandId::{Exec, ExpireTime, LastSave, PExpireTime};
                let is_moment = matches!(row, Some(Exec | ExpireTime | LastSave | PExpireTime));
                let is_shifted = |unit| a / unit >= LONG_AGO && b - a == self.seconds * unit;
                a == b || is_moment && (is_shifted(1) || is_shifted(1000))
            }
            (Relation::Protocols, ..) => says_the_same(first, second),
            (_, Array(a), Array(b)) | (_, Push(a), Push(b)) | (_, Set(a), Set(b)) => each(a, b),
            (_, Map(a), Map(b)) => {
                let flat = |pairs: &[(Frame, Frame)]| -> Vec<Frame> {
                    pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect()
                };
                each(&flat(a), &flat(b))
            }
            _ => first == second,
        }
    }

    /// The channel on which events of a key are told.
    fn channel(&self, name: &[u8]) -> Option<Vec<u8>> {
        let text = name.strip_prefix(b"__keyspace@")?;
        let colon = text.iter().position(|&byte| byte == b':')?;
        let (db, key) = text.split_at(colon + 1);
        Some([b"__keyspace@", db, &self.name(key)].concat())
    }
}

/// Where the patterns are that keys are named after.
fn patterns(id: CommandId, argv: &Argv) -> Vec<usize> {
    let after = |from: usize, word: &[u8], width: &dyn Fn(&[u8]) -> usize| {
        let mut found = Vec::new();
        let mut at = from;
        while at < argv.len() {
            if argv[at].eq_ignore_ascii_case(word) && at + 1 < argv.len() {
                found.push(at + 1);
            }
            at += width(&argv[at]);
        }
        found
    };
    match id {
        CommandId::Keys => vec![1],
        CommandId::Sort | CommandId::SortRo => {
            let is = |arg: &[u8], words: &[&str]| {
                words.iter().any(|word| arg.eq_ignore_ascii_case(word.as_bytes()))
            };
            let width = |arg: &[u8]| match arg {
                _ if is(arg, &["by", "get", "store"]) => 2,
                _ if is(arg, &["limit"]) => 3,
                _ => 1,
            };
            let mut all = after(2, b"by", &width);
            all.extend(after(2, b"get", &width));
            // It stands for the element itself.
            all.retain(|&index| argv[index] != b"#");
            all
        }
        _ => Vec::new(),
    }
}

/// Where the moments are, and how many of their units a second has.
fn moments(id: CommandId, argv: &Argv) -> Vec<(usize, i64)> {
    let options = match id {
        CommandId::ExpireAt => return vec![(2, 1)],
        CommandId::PExpireAt => return vec![(2, 1000)],
        CommandId::Set => 3,
        CommandId::GetEx => 2,
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    let mut at = options;
    while at + 1 < argv.len() {
        match argv[at].to_ascii_lowercase().as_slice() {
            b"exat" => found.push((at + 1, 1)),
            b"pxat" => found.push((at + 1, 1000)),
            b"ex" | b"px" => {}
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    found
}

/// Whether a reply in RESP3 is what the one in RESP2 says.
fn says_the_same(two: &Frame, three: &Frame) -> bool {
    use Frame::{Array, BigNumber, Bool, Bulk, Double, Int, Map, Push, Set, Verbatim};
    match (two, three) {
        _ if two.is_null() || three.is_null() => two.is_null() && three.is_null(),
        (Bulk(text), Double(double)) => text == double.text(),
        (Bulk(text), Verbatim(_, other) | BigNumber(other)) => text == other,
        (Int(int), Bool(bool)) => *int == i64::from(*bool),
        (Array(flat), Map(pairs)) => {
            flat.len() == 2 * pairs.len()
                && flat.chunks(2).zip(pairs).all(|(flat, (key, value))| {
                    says_the_same(&flat[0], key) && says_the_same(&flat[1], value)
                })
        }
        (Array(two), Array(three) | Set(three) | Push(three)) => {
            let all = |two: &[Frame], three: &[Frame]| {
                two.len() == three.len() && two.iter().zip(three).all(|(a, b)| says_the_same(a, b))
            };
            let in_pairs = |(two, pair): (&[Frame], &Frame)| matches!(pair, Array(pair) if pair.len() == 2 && all(two, pair));
            all(two, three) || two.len() == 2 * three.len() && two.chunks(2).zip(three).all(in_pairs)
        }
        _ => two == three,
    }
}

/// What came on each connection: the step after which it did, and the frame.
type Heard = BTreeMap<usize, Vec<(usize, Frame)>>;

/// How a plan is sent.
#[derive(Default)]
struct Sending {
    setting: Setting,
    seconds: i64,
    protocol3: bool,
    /// The choices by which commands are put together, and by which they are cut.
    together: Option<Prng>,
    pieces: Option<Prng>,
}

struct Run {
    world: World,
    sending: Sending,
    greeted: BTreeSet<usize>,
    heard: Heard,
}

/// The connection that listens to all events, in plans that have one.
const LISTENER: usize = 1000;

/// How long a client whose connection is wanted is waited for: longer than the short timeouts.
const PATIENCE: u64 = 20;

impl Run {
    fn new(sending: Sending) -> Run {
        let beginning = BEGINNING.checked_add_signed(sending.seconds * 1000).expect("a moment of this age");
        let world = World::new(&sending.setting, beginning);
        let mut run = Run { world, sending, greeted: BTreeSet::new(), heard: Heard::new() };
        if run.sending.setting.listener {
            run.send(LISTENER, &[&vec![b"PSUBSCRIBE".to_vec(), b"*".to_vec()]]);
        }
        run
    }

    fn send(&mut self, conn: usize, argvs: &[&Argv]) {
        if self.sending.protocol3 && self.greeted.insert(conn) {
            self.world.call(conn, &vec![b"HELLO".to_vec(), b"3".to_vec()]);
        }
        let mut bytes = Vec::new();
        argvs.iter().for_each(|argv| encode(argv, &mut bytes));
        let Some(pieces) = &mut self.sending.pieces else { return self.world.send(conn, [&bytes[..]]) };
        let choices: &mut dyn Choices = pieces;
        let largest = *choices.pick(&[1, 3, 10, 100]);
        let largest = if bytes.len() > 4000 { 1000 } else { largest };
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((1 + choices.below(largest) as usize).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        self.world.send(conn, pieces);
    }

    fn hear(&mut self, step: usize) -> Result<(), String> {
        for conn in self.world.conns() {
            let output = self.world.take_output(conn);
            if !output.is_empty() {
                let frames = frames(&output)?.into_iter().map(|frame| (step, frame));
                self.heard.entry(conn).or_default().extend(frames);
            }
        }
        Ok(())
    }

    /// Where the commands end that are sent together with the one at `first`.
    fn end_of_piece(&mut self, plan: &Plan, first: usize) -> usize {
        let Some(choices) = &mut self.sending.together else { return first + 1 };
        let longest = 1 + choices.below(20) as usize;
        let conn_of = |step: &Step| match step {
            Step::Command { conn, .. } => Some(*conn),
            _ => None,
        };
        let waits =
            |step: &Step| compare::row(argv_of(step)).is_some_and(|row| row.flags.contains(Flags::BLOCKING));
        let rest = &plan.steps[first..plan.steps.len().min(first + longest)];
        let goes_on = |pair: &&[Step]| conn_of(&pair[0]) == conn_of(&pair[1]) && !waits(&pair[0]);
        first + 1 + rest.windows(2).take_while(goes_on).count()
    }

    /// Runs a plan whose connections are all free when it wants them.
    fn plan(mut self, plan: &Plan) -> Result<Run, String> {
        let mut at = 0;
        while at < plan.steps.len() {
            let first = at;
            at += 1;
            match &plan.steps[first] {
                Step::Command { conn, .. } => {
                    at = self.end_of_piece(plan, first);
                    let argvs: Vec<&Argv> = plan.steps[first..at].iter().map(argv_of).collect();
                    self.send(*conn, &argvs);
                }
                step => self.other(step),
            }
            self.hear(first)?;
        }
        Ok(self)
    }

    fn other(&mut self, step: &Step) {
        match step {
            Step::Advance(millis) => self.world.advance_to(self.world.now.unix + millis),
            Step::Close(conn) => {
                self.world.close(*conn);
                self.greeted.remove(conn);
            }
            Step::Command { .. } => {}
        }
    }

    /// Leaves out of a plan the commands of clients that wait when they come.
    fn feasible(mut self, plan: &Plan) -> Plan {
        let mut steps = Vec::new();
        for step in &plan.steps {
            if let Step::Command { conn, argv } = step {
                if self.world.is_blocked(*conn) {
                    self.other(&Step::Advance(PATIENCE));
                    steps.push(Step::Advance(PATIENCE));
                }
                if self.world.is_blocked(*conn) {
                    continue;
                }
                self.send(*conn, &[argv]);
            } else {
                self.other(step);
            }
            steps.push(step.clone());
        }
        Plan { steps }
    }
}

/// How much was compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Compared {
    pub plans: u64,
    pub commands: u64,
    pub frames: u64,
}

impl Compared {
    pub fn add(&mut self, other: Compared) {
        self.plans += other.plans;
        self.commands += other.commands;
        self.frames += other.frames;
    }
}

/// The plan of a seed, without what a relation leaves out, and the setting it is run with.
fn plan(relation: Relation, seed: u64, steps: usize) -> (Plan, Setting) {
    let generated = Gen::new(&mut Prng::new(seed), &Scope { steps, ..Scope::full() }).plan();
    let mut setting = Setting::of(seed);
    // Expired keys are told of in the order in which they are met.
    setting.listener &= !matches!(relation, Relation::Prefix | Relation::Protocols);
    if !setting.listener {
        setting.config.retain(|(name, _)| *name != "notify-keyspace-events");
    }
    let mut steps = generated.plan.steps;
    steps.retain(|step| !relation.leaves_out(argv_of(step)));
    let sending = Sending { setting: setting.clone(), ..Sending::default() };
    (Run::new(sending).feasible(&Plan { steps }), setting)
}

/// What a plan shows the second time that it must not.
fn compare_runs(plan: &Plan, setting: &Setting, change: &Change) -> Result<Compared, String> {
    let relation = change.relation;
    let first = Sending { setting: setting.clone(), ..Sending::default() };
    let second = Sending {
        setting: setting.clone(),
        seconds: change.seconds,
        protocol3: relation == Relation::Protocols,
        together: (relation == Relation::Pipelines).then(|| Prng::new(change.seed)),
        pieces: (relation == Relation::Pieces).then(|| Prng::new(change.seed)),
    };
    let changed = plan.steps.iter().map(|step| match step {
        Step::Command { conn, argv } => Step::Command { conn: *conn, argv: change.request(argv) },
        step => step.clone(),
    });
    let changed = Plan { steps: changed.collect() };
    let (first, second) = (Run::new(first).plan(plan)?, Run::new(second).plan(&changed)?);
    let mut compared = Compared { plans: 1, ..Compared::default() };
    compared.commands = plan.steps.iter().filter(|step| matches!(step, Step::Command { .. })).count() as u64;
    let conns: BTreeSet<usize> = first.heard.keys().chain(second.heard.keys()).copied().collect();
    let none = Vec::new();
    for conn in conns {
        let heard = [&first, &second].map(|run| run.heard.get(&conn).unwrap_or(&none));
        for (a, b) in heard[0].iter().zip(heard[1]) {
            let row = compare::row(argv_of(&plan.steps[a.0])).map(|row| row.id);
            let at_once = a.0 == b.0 || relation == Relation::Pipelines;
            if !at_once || !change.agrees(row, &a.1, &b.1) {
                let steps = [(&plan.steps, a.0), (&changed.steps, b.0)].map(|(steps, at)| &steps[at]);
                return Err(format!(
                    "connection {conn}\n  after {}: {:?}\n  after {}: {:?}",
                    steps[0], a.1, steps[1], b.1
                ));
            }
            compared.frames += 1;
        }
        if heard[0].len() != heard[1].len() {
            let lens = heard.map(Vec::len);
            return Err(format!("connection {conn} hears {} frames, and then {}", lens[0], lens[1]));
        }
    }
    same_data(&first.world, &second.world, change)?;
    Ok(compared)
}

fn same_data(first: &World, second: &World, change: &Change) -> Result<(), String> {
    for number in 0..16 {
        let becomes = |(name, mut entry): (Vec<u8>, kevy_model::Entry)| {
            let is_far = |deadline: &i64| deadline / 1000 >= LONG_AGO;
            entry.deadline = entry.deadline.map(|deadline| match is_far(&deadline) {
                true => deadline.saturating_add(change.seconds * 1000),
                false => deadline,
            });
            (change.name(&name), entry)
        };
        let expected: BTreeMap<_, _> = database(&first.shard, number).into_iter().map(becomes).collect();
        let actual: BTreeMap<_, _> = database(&second.shard, number).into_iter().collect();
        let shown = |entry| format!("{entry:?}");
        if let Some(key) = expected
            .keys()
            .chain(actual.keys())
            .find(|key| shown(expected.get(*key)) != shown(actual.get(*key)))
        {
            let (expected, actual) = (shown(expected.get(key)), shown(actual.get(key)));
            let key = key.escape_ascii();
            return Err(format!("\"{key}\" in database {number}\n  first: {expected}\n  then:  {actual}"));
        }
    }
    Ok(())
}

/// Runs the plan of a seed twice. What differs comes with the smallest plan found that shows it.
pub fn check(relation: Relation, seed: u64, steps: usize) -> Result<Compared, String> {
    let change = Change::new(relation, seed);
    let (plan, setting) = plan(relation, seed, steps);
    let compare = |plan: &Plan| {
        let result = guarded(|| Ok(compare_runs(plan, &setting, &change)));
        result.map_err(|failure| failure.text).and_then(|compared| compared)
    };
    compare(&plan).map_err(|text| {
        let plan = shrink(&plan, |plan| compare(plan).is_err());
        let text = compare(&plan).err().unwrap_or(text);
        format!("seed {seed}, {relation:?}, {setting:?}\n{plan}{text}")
    })
}

/// Runs the plans of these seeds in every relation. Returns the first failure of each.
pub fn check_many(
    seeds: std::ops::Range<u64>,
    until: Option<Instant>,
    steps: usize,
) -> (Compared, u64, Vec<String>) {
    let mut compared = Compared::default();
    let mut failures: [Option<String>; Relation::ALL.len()] = Default::default();
    let mut next = seeds.start;
    while next < seeds.end && until.is_none_or(|until| Instant::now() < until) {
        for (relation, failure) in Relation::ALL.into_iter().zip(&mut failures) {
            if failure.is_none() {
                *failure = check(relation, next, steps).map(|more| compared.add(more)).err();
            }
        }
        next += 1;
    }
    (compared, next, failures.into_iter().flatten().collect())
}

/// `kevy-difftest metamorphic [--seed N] [--seconds S]`
pub fn main(args: &[String]) -> ExitCode {
    let (mut seed, mut seconds) = (1, 10);
    for pair in args.chunks(2) {
        let number = pair.get(1).and_then(|text| text.parse().ok());
        match (pair[0].as_str(), number) {
            ("--seed", Some(number)) => seed = number,
            ("--seconds", Some(number)) => seconds = number,
            _ => {
                eprintln!("kevy-difftest metamorphic takes --seed N and --seconds S");
                return ExitCode::from(2);
            }
        }
    }
    println!("seed {seed}");
    let until = Instant::now() + Duration::from_secs(seconds);
    let (compared, next, failures) = check_many(seed..u64::MAX, Some(until), Scope::full().steps);
    failures.iter().for_each(|failure| println!("{failure}"));
    let Compared { plans, commands, frames } = compared;
    println!("metamorphic: pairs {plans} commands {commands} frames {frames} next seed {next}");
    if failures.is_empty() && plans > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str) -> Argv {
        line.split_whitespace().map(|word| word.as_bytes().to_vec()).collect()
    }

    fn changed(relation: Relation, line: &str) -> String {
        let change = Change { relation, prefix: b"x:".to_vec(), turn: 0, seconds: 60, seed: 0 };
        change
            .request(&argv(line))
            .iter()
            .map(|arg| String::from_utf8_lossy(arg))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn keys_and_patterns_for_keys_are_named_otherwise_and_nothing_else() {
        for (line, expected) in [
            ("SET k k", "SET x:k k"),
            ("KEYS k*", "KEYS x:k*"),
            (
                "SORT k BY w_* LIMIT 0 1 GET # GET o_*->f STORE d",
                "SORT x:k BY x:w_* LIMIT 0 1 GET # GET x:o_*->f STORE x:d",
            ),
            ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", "ZUNIONSTORE x:d 2 x:a x:b WEIGHTS 1 2"),
            ("OBJECT ENCODING k", "OBJECT ENCODING x:k"),
            ("COMMAND GETKEYS MSET a 1 b 2", "COMMAND GETKEYS MSET x:a 1 x:b 2"),
            ("GET a b", "GET a b"),
            ("PUBLISH k k", "PUBLISH k k"),
        ] {
            assert_eq!(changed(Relation::Prefix, line), expected);
        }
    }

    #[test]
    fn moments_come_later_and_spans_stay() {
        for (line, expected) in [
            ("EXPIREAT k 2000000000 NX", "EXPIREAT k 2000000060 NX"),
            ("PEXPIREAT k 2000000000000", "PEXPIREAT k 2000000060000"),
            ("EXPIREAT k 1", "EXPIREAT k 1"),
            ("EXPIRE k 2000000000", "EXPIRE k 2000000000"),
            ("SET k v NX PXAT 2000000000000 GET", "SET k v NX PXAT 2000000060000 GET"),
            ("SET exat 2000000000 EX 2000000000", "SET exat 2000000000 EX 2000000000"),
            ("GETEX k EXAT 2000000000", "GETEX k EXAT 2000000060"),
        ] {
            assert_eq!(changed(Relation::Time, line), expected);
        }
    }

    #[test]
    fn replies_in_both_protocols() {
        let frame = |text: &str| Frame::decode(text.as_bytes()).unwrap().unwrap().0;
        for (two, three, expected) in [
            (
                "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n",
                "*2\r\n*2\r\n$1\r\na\r\n,1\r\n*2\r\n$1\r\nb\r\n,2\r\n",
                true,
            ),
            ("*2\r\n$1\r\na\r\n$1\r\n1\r\n", "%1\r\n$1\r\na\r\n$1\r\n1\r\n", true),
            ("*-1\r\n", "_\r\n", true),
            ("$1\r\n1\r\n", ",1\r\n", true),
            ("$1\r\n1\r\n", ",2\r\n", false),
            (":1\r\n", "#t\r\n", true),
            (":1\r\n", "#f\r\n", false),
            ("$-1\r\n", "*0\r\n", false),
            ("*0\r\n", "~0\r\n", true),
            ("*1\r\n$1\r\na\r\n", "~1\r\n$1\r\nb\r\n", false),
        ] {
            assert_eq!(says_the_same(&frame(two), &frame(three)), expected, "{two} {three}");
        }
    }
}
