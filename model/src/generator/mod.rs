//! The generator of client behaviour, for everything that tests: differential runs, the model, simulation, fuzzing.
//!
//! Commands are built from the syntax lines of the command table, so a new row is generated without a word here.
//! Three things make commands meet each other and the corners of the data structures:
//!
//! - a small pool of *keys*, one range of names a type: mostly of the type a command wants, sometimes of another,
//!   sometimes missing;
//! - *states* that keys are put into on purpose (`states`): the sizes at which encodings change, deadlines that have
//!   just passed;
//! - *swarm weights*: every plan has some commands switched off and some favoured.
//!
//! A share of the commands is wrong on purpose: too few or too many arguments, doubled options, no numbers where
//! numbers belong. It is larger for commands that come seldom, and mistakes of commands that take almost anything are
//! mostly such as they refuse, so that a run sees each of them refused often enough.
//!
//! Decisions come from [`Choices`]; the same seed gives the same plan. What was decided is kept beside each step as a
//! [`Note`], from which [`Tally`] counts what a run has really exercised.

mod choices;
mod intrusive;
mod plan;
pub mod small;
mod states;
mod syntax;
mod tally;
mod values;

pub use choices::{Bytes, Choices, Exhaustive, Prng};
pub use intrusive::{CHANGED, conn_of_id, is_intrusive};
pub use plan::{BadLine, Plan, Step, Word, split_words};
use states::Keys;
pub use states::{KeyState, KeyType, Size};
pub use syntax::{Grammar, Options};
pub use tally::{Cell, Outcome, Tally};

use kevy::command::table::TABLE;
use kevy::command::{Command, CommandId, Flags, Group, getkeys};

/// What plans are made of.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Commands that may occur, container rows not among them.
    pub commands: Vec<CommandId>,
    /// At most so many connections.
    pub conns: u32,
    /// Steps of a plan, about.
    pub steps: usize,
    /// How many of 100 commands are wrong on purpose.
    pub wrong: u32,
    /// 2 or 3.
    pub protocol: u32,
    /// Whether connections may wait and subscribe.
    pub waiting: bool,
}

impl Scope {
    /// Everything that is about data and the connection's own session.
    pub fn full() -> Scope {
        let mut scope = Scope::live();
        scope.commands.retain(|&id| !is_intrusive(id));
        scope
    }

    /// Everything in the table that the generator makes use of, for servers that are there for nothing else.
    pub fn live() -> Scope {
        let commands = TABLE.iter().filter(|row| excluded(row).is_none()).map(|row| row.id).collect();
        Scope { commands, conns: 4, steps: 1500, wrong: 7, protocol: 2, waiting: true }
    }

    fn has(&self, id: CommandId) -> bool {
        self.commands.contains(&id)
    }
}

/// Why a row is never generated.
pub fn excluded(row: &Command) -> Option<&'static str> {
    use CommandId::*;
    if row.subcommand_count > 0 && row.arity < -1 {
        return Some("is no command without its subcommands");
    }
    Some(match row.id {
        Lolwut => "draws what it likes",
        _ => return None,
    })
}

/// What was decided for one command.
#[derive(Clone, Debug)]
pub struct Note {
    pub id: CommandId,
    /// Options that were given, by the word or name of each, without repetition.
    pub options: Options,
    /// What was believed of its first key.
    pub key: Option<KeyState>,
    /// How large the value of that key was made, if it was just made.
    pub held: Option<Size>,
    /// The size of the longest argument that can be any bytes.
    pub given: Option<Size>,
    /// It was made wrong on purpose.
    pub wrong: bool,
}

impl Note {
    /// Of a command without keys and data.
    fn of(id: CommandId, options: Options) -> Note {
        Note { id, options, key: None, held: None, given: None, wrong: false }
    }
}

/// A plan and what was decided for each of its steps.
#[derive(Clone, Debug, Default)]
pub struct Generated {
    pub plan: Plan,
    pub notes: Vec<Option<Note>>,
}

/// What the generator believes of a connection. It can be mistaken; nothing depends on it but how useful plans are.
#[derive(Clone, Copy, Default)]
struct Session {
    multi: bool,
    subscribed: bool,
    /// Something queued will be about to expire.
    expiring: bool,
    /// It may be waiting until something is pushed.
    waiting: bool,
}

/// How many turns in a row may come to nothing. Chance never gets there; decisions that are always the same can.
const MOST_IDLE: usize = 10_000;

/// Makes one plan.
pub struct Gen<'a> {
    choices: &'a mut dyn Choices,
    scope: &'a Scope,
    grammar: &'static Grammar,
    /// Of each command in the scope, for this plan.
    weights: Vec<u32>,
    /// The commands in the scope that take any number of any words, but not from a connection that has subscribed.
    unrefused: Vec<CommandId>,
    keys: Keys,
    sessions: Vec<Session>,
    generated: Generated,
    /// The command made now left something about to expire.
    expiring: bool,
    /// How many things a count announced, until they are given.
    announced: Option<usize>,
    /// The count announced last, for lists that must be as long.
    last_announced: usize,
    /// The longest argument of the command made now, of those that can be any bytes.
    longest: Option<usize>,
}

impl<'a> Gen<'a> {
    pub fn new(choices: &'a mut dyn Choices, scope: &'a Scope) -> Gen<'a> {
        let weights = scope.commands.iter().map(|&id| swarm_weight(choices, id)).collect();
        let conns = 1 + choices.below(scope.conns) as usize;
        let unrefused = scope.commands.iter().copied().filter(|&id| takes_anything(id)).collect();
        Gen {
            choices,
            scope,
            grammar: Grammar::get(),
            weights,
            unrefused,
            keys: Keys::default(),
            sessions: vec![Session::default(); conns],
            generated: Generated::default(),
            expiring: false,
            announced: None,
            last_announced: 1,
            longest: None,
        }
    }

    /// A whole plan.
    pub fn plan(mut self) -> Generated {
        if self.weights.iter().all(|&weight| weight == 0) {
            self.weights.fill(1);
        }
        if self.scope.protocol == 3 {
            for conn in 0..self.sessions.len() {
                self.push_command(conn, vec![b"HELLO".to_vec(), b"3".to_vec()], None);
            }
        }
        if self.choices.chance(30) {
            self.tighten_limits();
        }
        for _ in 0..self.choices.between(4, 16) {
            self.prepare_key(0);
        }
        let (mut conn, mut idle) = (0, 0);
        while self.generated.plan.steps.len() < self.scope.steps && idle < MOST_IDLE {
            let steps = self.generated.plan.steps.len();
            // Commands in a row on one connection can be sent in one go.
            if self.sessions[conn].waiting || self.choices.chance(8) {
                let next = self.choices.below(self.sessions.len() as u32) as usize;
                if self.sessions[next].waiting {
                    self.wake(next, conn);
                }
                conn = next;
            }
            if !self.sessions[conn].waiting {
                self.step(conn);
            }
            idle = if self.generated.plan.steps.len() > steps { 0 } else { idle + 1 };
        }
        self.generated
    }

    /// Makes small encodings end sooner, so that every command sees both sides of their limits.
    fn tighten_limits(&mut self) {
        let limits: [(&str, &[&str]); 9] = [
            ("hash-max-listpack-entries", &["0", "3", "8"]),
            ("hash-max-listpack-value", &["2", "8", "20"]),
            ("set-max-listpack-entries", &["0", "3", "8"]),
            ("set-max-listpack-value", &["2", "8", "20"]),
            ("set-max-intset-entries", &["0", "3", "8"]),
            ("zset-max-listpack-entries", &["0", "3", "8"]),
            ("zset-max-listpack-value", &["2", "8", "20"]),
            ("list-max-listpack-size", &["1", "3", "-1"]),
            ("list-compress-depth", &["1", "2"]),
        ];
        for (name, values) in limits {
            if self.choices.chance(50) {
                let value = *self.choices.pick(values);
                let argv = ["CONFIG", "SET", name, value].map(|word| word.as_bytes().to_vec());
                self.push_command(0, argv.to_vec(), None);
            }
        }
    }

    fn step(&mut self, conn: usize) {
        if self.sessions[conn].multi {
            match self.choices.below(100) {
                0..=14 => return self.end_transaction(conn, CommandId::Exec),
                15..=16 => return self.end_transaction(conn, CommandId::Discard),
                _ => {}
            }
        } else if self.sessions[conn].subscribed {
            if self.choices.chance(15) {
                return self.close(conn);
            }
            // Nothing else refuses these.
            if self.scope.wrong > 0 && !self.unrefused.is_empty() && self.choices.chance(5) {
                let id = *self.choices.pick(&self.unrefused);
                return self.command(conn, id);
            }
        } else {
            match self.choices.below(1000) {
                0..=29 => return self.prepare_key(conn),
                30..=39 => return self.expire_key(conn),
                40 => return self.close(conn),
                41..=44 => return self.wrong_name(conn),
                _ => {}
            }
        }
        let id = self.scope.commands[self.choices.weighted(&self.weights)];
        if !self.fits(conn, id) {
            return;
        }
        if is_intrusive(id) { self.intrude(conn, id) } else { self.command(conn, id) }
    }

    /// Whether it is of use to send this command in the state the connection is believed to be in.
    fn fits(&mut self, conn: usize, id: CommandId) -> bool {
        use CommandId::*;
        let row = id.command();
        let session = self.sessions[conn];
        let subscribes = matches!(id, Subscribe | PSubscribe | SSubscribe);
        if row.flags.contains(Flags::BLOCKING) || subscribes {
            // Somebody must be left to wake the others and to publish.
            return self.scope.waiting && (!subscribes || (conn != 0 && !session.multi));
        }
        match id {
            Unsubscribe | PUnsubscribe | SUnsubscribe => self.scope.waiting && !session.multi,
            // What they choose must be made the same everywhere before anything else happens.
            SPop | Reset | Hello => !session.multi,
            ClientKill | ClientPause | ClientUnpause | ClientUnblock | ClientReply | Quit | Auth
            | Monitor => !session.multi && !session.subscribed,
            _ => true,
        }
    }

    fn end_transaction(&mut self, conn: usize, id: CommandId) {
        let expiring = std::mem::take(&mut self.sessions[conn]).expiring;
        let note = Note::of(id, Options::default());
        self.push_command(conn, vec![id.command().name.to_ascii_uppercase().into_bytes()], Some(note));
        if expiring {
            self.push(Step::Advance(3), None);
        }
    }

    /// Ends the wait of a connection, one way or another.
    fn wake(&mut self, waiting: usize, by: usize) {
        if self.sessions[by].waiting || self.sessions[by].multi || self.sessions[by].subscribed {
            if self.sessions.iter().all(|session| session.waiting || session.multi || session.subscribed) {
                self.close(waiting);
            }
            return;
        }
        if self.scope.has(CommandId::ClientUnblock) && self.choices.chance(25) {
            return self.unblock(waiting, by);
        }
        let Some((key, kind)) = self.keys.awaited.get(&waiting).cloned() else { return self.close(waiting) };
        let mut argv = match kind {
            KeyType::Zset => {
                vec![b"ZADD".to_vec(), key.clone(), b"1".to_vec(), b"w1".to_vec(), b"2".to_vec()]
            }
            _ => vec![b"RPUSH".to_vec(), key.clone(), b"w1".to_vec()],
        };
        argv.push(b"w2".to_vec());
        self.push_command(by, vec![b"DEL".to_vec(), key], None);
        self.push_command(by, argv, None);
        self.sessions[waiting].waiting = false;
    }

    fn close(&mut self, conn: usize) {
        self.sessions[conn] = Session::default();
        self.push(Step::Close(conn), None);
        if self.scope.protocol == 3 {
            self.push_command(conn, vec![b"HELLO".to_vec(), b"3".to_vec()], None);
        }
    }

    /// A name that is no command or subcommand.
    fn wrong_name(&mut self, conn: usize) {
        let names: [&[&str]; 6] = [
            &["NOSUCH"],
            &["nosuch", "a", "b c", "\x01\u{7f}"],
            &["OBJECT", "NOSUCH", "k"],
            &["object"],
            &["CLIENT", "nosuch"],
            &[""],
        ];
        let argv = self.choices.pick(&names).iter().map(|word| word.as_bytes().to_vec()).collect();
        self.push_command(conn, argv, None);
    }

    /// One command of this row, with what must follow it.
    fn command(&mut self, conn: usize, id: CommandId) {
        use CommandId::*;
        self.expiring = false;
        let (argv, note) = self.request(id);
        let waits = id.command().flags.contains(Flags::BLOCKING);
        let waits_for_ever = match id {
            Wait | WaitAof => argv.ends_with(&[b"1".to_vec(), b"0".to_vec()]),
            _ => !argv.iter().any(|arg| arg == b"0.01") && argv.iter().any(|arg| arg == b"0"),
        };
        if waits && waits_for_ever && !self.sessions[conn].multi {
            self.sessions[conn].waiting = true;
            let keys = getkeys::keys(id.command(), kevy::resp::Argv::of(&argv).as_args());
            let key = keys.ok().and_then(|mut keys| keys.next()).map(|(index, _)| argv[index].clone());
            let kind = if id.command().group == Group::SortedSet { KeyType::Zset } else { KeyType::List };
            match key {
                Some(key) => self.keys.awaited.insert(conn, (key, kind)),
                None => self.keys.awaited.remove(&conn),
            };
        }
        self.expiring |= expires_at_once(id, &argv);
        self.push_command(conn, argv, Some(note));
        let session = &mut self.sessions[conn];
        match id {
            Multi => session.multi = true,
            Exec | Discard | Reset => session.multi = false,
            Subscribe | PSubscribe | SSubscribe => session.subscribed = self.scope.protocol == 2,
            _ => {}
        }
        if self.expiring {
            self.sessions[conn].expiring = self.sessions[conn].multi;
            self.push(Step::Advance(3), None);
        }
    }

    /// A request of this row: right, or wrong on purpose.
    pub fn request(&mut self, id: CommandId) -> (Vec<Vec<u8>>, Note) {
        let row = id.command();
        let mut argv: Vec<Vec<u8>> = row.name.split('|').map(|word| self.in_some_case(word)).collect();
        let mut options = Options::default();
        self.announced = None;
        self.longest = None;
        let key = self.arguments(row, self.grammar.arguments(id), &mut argv, &mut options);
        if argv.iter().any(|arg| arg.eq_ignore_ascii_case(b"bylex")) {
            let source = if id == CommandId::ZRangeStore { 2 } else { 1 };
            argv[source] = self.lex_key();
        }
        if matches!(id, CommandId::CommandGetKeys | CommandId::CommandGetKeysAndFlags)
            && self.choices.chance(50)
        {
            self.another_request(row.name_args(), &mut argv);
        }
        let wrong = self.choices.chance(self.scope.wrong * mistakes(row));
        if wrong {
            self.make_wrong(row, &mut argv);
        }
        // The tester may be the client of that number.
        if id == CommandId::ClientTracking {
            argv.iter_mut().filter(|arg| **arg == b"1").for_each(|arg| *arg = b"0".to_vec());
        }
        // Redis would begin to tell what changes; with these words together it refuses.
        if id == CommandId::ClientTracking
            && argv.get(2).is_some_and(|status| status.eq_ignore_ascii_case(b"on"))
        {
            argv.extend([b"OPTIN".to_vec(), b"OPTOUT".to_vec()]);
        }
        let held = (key == Some(KeyState::Boundary)).then(|| Size::of(self.keys.prepared_size));
        let given = self.longest.map(Size::of);
        (argv, Note { id, options, key, held, given, wrong })
    }

    /// Whatever these words were, they become the request of a command with keys.
    fn another_request(&mut self, names: usize, argv: &mut Vec<Vec<u8>>) {
        let id = *self.choices.pick(&self.scope.commands);
        if id.command().takes_keys() && !is_intrusive(id) {
            argv.truncate(names);
            argv.extend(self.request(id).0);
        }
    }

    fn make_wrong(&mut self, row: &Command, argv: &mut Vec<Vec<u8>>) {
        let names = row.name_args();
        // Most other mistakes are no mistakes to a command that takes any words, or none.
        if !row.takes_keys() && self.choices.chance(50) {
            return if row.arity < 0 && !row.accepts_arity(names) {
                argv.truncate(names);
            } else {
                argv.extend([b"abc".to_vec(), b"1".to_vec()]);
            };
        }
        let any = |choices: &mut dyn Choices, len: usize| {
            names + choices.below((len - names).max(1) as u32) as usize
        };
        match self.choices.below(8) {
            0 | 1 if argv.len() > names => _ = argv.pop(),
            0..=2 if argv.len() < 300 => argv.push(self.choices.pick(&values::ODD_WORDS).to_vec()),
            3 | 4 if argv.len() > names => {
                let at = any(self.choices, argv.len());
                argv[at] = self.choices.pick(&values::ODD_WORDS).to_vec();
            }
            5 if argv.len() > names => {
                let (from, to) = (any(self.choices, argv.len()), any(self.choices, argv.len()));
                let word = argv[from].clone();
                argv.insert(to, word);
            }
            6 if argv.len() > names + 1 => {
                let (a, b) = (any(self.choices, argv.len()), any(self.choices, argv.len()));
                argv.swap(a, b);
            }
            _ => argv.truncate(names + self.choices.below((argv.len() - names + 1) as u32) as usize),
        }
    }

    /// Upper case mostly, as people write.
    fn in_some_case(&mut self, word: &str) -> Vec<u8> {
        let mut word = word.to_ascii_uppercase().into_bytes();
        match self.choices.below(20) {
            0 => word.make_ascii_lowercase(),
            1 => word[1..].make_ascii_lowercase(),
            _ => {}
        }
        word
    }

    fn push_command(&mut self, conn: usize, argv: Vec<Vec<u8>>, note: Option<Note>) {
        self.push(Step::Command { conn, argv }, note);
    }

    fn push(&mut self, step: Step, note: Option<Note>) {
        self.generated.plan.steps.push(step);
        self.generated.notes.push(note);
    }
}

/// Whether it can give a key a millisecond to live, if only because its words were changed on purpose.
fn expires_at_once(id: CommandId, argv: &[Vec<u8>]) -> bool {
    use CommandId::*;
    let has = |word: &str| argv.iter().any(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
    has("1") && (matches!(id, PExpire | PSetEx) || matches!(id, Set | GetEx) && has("PX"))
}

/// How many times as often as others a command is wrong on purpose: more often if it comes more seldom.
fn mistakes(row: &Command) -> u32 {
    use CommandId::{FlushAll, FlushDb};
    match row.id {
        FlushAll | FlushDb => 6,
        _ if row.name.ends_with("help") => 3,
        _ => match row.group {
            Group::Server | Group::Connection | Group::Cluster => 2,
            _ => 1,
        },
    }
}

/// Whether a command takes any number of any words.
fn takes_anything(id: CommandId) -> bool {
    use CommandId::*;
    matches!(id, Command | CommandInfo | CommandDocs | Info | LatencyReset | LatencyHistogram | PubSubNumSub)
}

/// How often a command comes in one plan: not at all in a quarter of the plans, and in others more or less.
fn swarm_weight(choices: &mut dyn Choices, id: CommandId) -> u32 {
    use CommandId::*;
    let weight = [0, 2, 4, 8][choices.below(4) as usize] * [1, 1, 4][choices.below(3) as usize];
    let row = id.command();
    match id {
        // Little remains to be seen after these.
        FlushAll | FlushDb => weight.min(2) * u32::from(choices.chance(25)),
        SwapDb | Select | Hello | Reset => weight.min(2),
        Quit | ClientPause => weight.min(1),
        Debug | ConfigSet => weight.min(4),
        Multi | Watch => weight.max(4),
        // Without arguments these answer at length, and always the same.
        Command | CommandDocs | CommandInfo => weight.min(1) * u32::from(choices.chance(40)),
        _ => match row.group {
            Group::Server | Group::Connection | Group::Cluster => weight.min(2),
            // No option to vary; a plan has many of them anyway.
            _ if row.name.ends_with("help") => weight.min(1),
            _ => weight,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Generated {
        let scope = Scope::live();
        Gen::new(&mut Prng::new(seed), &scope).plan()
    }

    #[test]
    fn a_seed_gives_one_plan_and_it_survives_print_and_parse() {
        let made = plan(1);
        assert_eq!(made.plan, plan(1).plan);
        assert_ne!(made.plan, plan(2).plan);
        assert_eq!(made.plan.steps.len(), made.notes.len());
        assert_eq!(Plan::parse(&made.plan.to_string()).unwrap(), made.plan);
    }

    /// Decisions that are zero for ever, after any beginning: a connection that waits is asked to wake itself.
    #[test]
    fn plans_end_whatever_the_decisions() {
        for commands in [vec![CommandId::Subscribe], vec![CommandId::BLPop], Scope::live().commands] {
            let scope = Scope { commands, ..Scope::live() };
            for seed in 0..200 {
                let mut prng = Prng::new(seed);
                let bytes: Vec<u8> = (0..seed * 8).map(|_| prng.next_u64() as u8).collect();
                let made = Gen::new(&mut Bytes(&bytes), &scope).plan();
                assert_eq!(made.plan.steps.len(), made.notes.len());
            }
        }
    }

    #[test]
    fn every_command_of_the_scope_and_every_option_comes() {
        let mut tally = Tally::default();
        for seed in 0..1000 {
            for note in plan(seed).notes.into_iter().flatten() {
                tally.add(&note, Outcome::Ok);
                tally.add(&note, Outcome::Error);
            }
        }
        for id in Scope::live().commands {
            assert_eq!(tally.missing(id), Vec::new(), "{}", id.command().name);
        }
    }

    #[test]
    fn requests_that_are_not_wrong_on_purpose_have_the_right_number_of_words() {
        let scope = Scope { wrong: 0, ..Scope::full() };
        for seed in 0..20 {
            let mut prng = Prng::new(seed);
            let mut generator = Gen::new(&mut prng, &scope);
            for &id in &scope.commands {
                let (argv, _) = generator.request(id);
                assert!(id.command().accepts_arity(argv.len()), "{:?}", Step::Command { conn: 0, argv });
            }
        }
    }

    #[test]
    fn any_bytes_make_a_plan() {
        let scope = Scope { steps: 50, ..Scope::full() };
        for byte in 0..=u8::MAX {
            let bytes = [byte; 300];
            assert!(!Gen::new(&mut Bytes(&bytes), &scope).plan().plan.steps.is_empty());
        }
    }
}
