//! What clients send: random scenarios by a seed, and small ones of which all schedules are run.

use kevy::keyspace::{EvictionPolicy, Slice};
use kevy_model::generator::{Choices, Prng};
use kevy_server::shard::realm::Realm;

use super::history::Argv;
use super::world::{Memory, SEED, Scenario, Script, address};

/// One of so many shards' keyspaces: it knows which of them a key is at home in.
pub fn realm(shards: usize) -> Realm {
    Realm::slice(1, SEED, Slice { index: 0, count: shards })
}

/// Keys by the shard that they are at home in, the same number in each.
pub fn keys(shards: usize, prefix: &str, each: usize) -> Vec<Vec<String>> {
    let realm = realm(shards);
    let mut keys = vec![Vec::new(); shards];
    for number in 0.. {
        let key = format!("{prefix}{number}");
        let home = realm.keyspace.dbs.home(key.as_bytes());
        if keys[home].len() < each {
            keys[home].push(key);
        } else if keys.iter().all(|keys| keys.len() == each) {
            break;
        }
    }
    keys
}

/// The words of a command.
pub fn argv(line: &str) -> Argv {
    line.split_ascii_whitespace().map(|word| word.as_bytes().to_vec()).collect()
}

/// A random scenario.
pub fn random(seed: u64, fine: bool) -> Scenario {
    let mut choices = Prng::new(seed);
    let shards = [1, 2, 2, 2, 3, 3, 4, 8][choices.below(8) as usize];
    let mut writer = Writer::new(&mut choices, shards);
    let clients = 2 + writer.choices.below(4) as usize;
    let short = writer.choices.below(3) == 0;
    let appends = writer.choices.below(8) == 0;
    let events = !appends && writer.choices.below(4) == 0;
    // Nobody tells when keys expire that nobody asks for.
    writer.timeless = events;
    // Nor when subscribers elsewhere hear of keys that are evicted.
    let memory = (!events).then(|| Memory::random(seed)).flatten();
    writer.volatile = memory.as_ref().is_some_and(|memory| memory.policy.is_volatile());
    // Several begin to listen on one shard.
    let crowded = events && writer.choices.below(2) == 0;
    let pausing = !appends && !events && writer.choices.below(8) == 0;
    let count = clients;
    let clients = (0..clients)
        .map(|_| {
            let bursts = 1 + writer.choices.below(if appends {
                16
            } else if short {
                2
            } else {
                8
            });
            let burst =
                |writer: &mut Writer<'_>| if appends { writer.appends() } else { writer.burst(short) };
            let mut script = Script {
                shard: writer.choices.below(if crowded { 2.min(shards as u32) } else { shards as u32 })
                    as usize,
                bursts: (0..bursts).map(|_| burst(&mut writer)).collect(),
                eager: writer.choices.below(2) == 0,
                leaves: None,
            };
            if writer.choices.below(4) == 0 {
                script.leaves = Some(1 + writer.choices.below(bursts) as usize);
            }
            for _ in 0..if pausing { 1 + writer.choices.below(2) } else { 0 } {
                let at = writer.choices.below(script.bursts.len() as u32 + 1) as usize;
                let pause = [writer.pause(), writer.pause(), "CLIENT UNPAUSE".to_owned()];
                script.bursts.insert(at, vec![argv(&writer.of(&pause.each_ref().map(String::as_str)))]);
            }
            if !appends && writer.choices.below(5) == 0 {
                let at = writer.choices.below(script.bursts.len() as u32 + 1) as usize;
                script.bursts.insert(at, vec![argv(&writer.intrusion(count))]);
            }
            if !appends {
                writer.listen(&mut script, events);
            }
            script
        })
        .collect();
    let orders = [(2, 1), (2, 2), (4, 4), (16, 256)];
    Scenario {
        shards,
        clients,
        ticks: choices.below(8),
        tick: 1 + u64::from(choices.below(3)),
        order: orders[choices.below(4) as usize],
        at_once: [(0, 2), (1, 3), (16, 1000)][choices.below(3) as usize],
        fragments: choices.below(2) == 0,
        spurious: choices.below(2) == 0,
        events,
        memory,
        fine,
    }
}

/// A random scenario for clients that take turns: nobody listens, waits or leaves, and no time passes meanwhile.
pub fn one_by_one(seed: u64) -> Scenario {
    let waits = |argv: &Argv| argv[0].starts_with(b"BL") || argv[0].starts_with(b"BR");
    let mut choices = Prng::new(seed);
    let mut writer = Writer::new(&mut choices, 3);
    let clients = (0..3)
        .map(|shard| Script {
            shard,
            bursts: (0..12).map(|_| writer.burst(false)).filter(|burst| !burst.iter().any(waits)).collect(),
            ..Script::default()
        })
        .collect();
    Scenario {
        shards: 1,
        clients,
        ticks: 0,
        tick: 1,
        order: (16, 256),
        at_once: (16, 1000),
        fragments: false,
        spurious: false,
        events: false,
        memory: None,
        fine: false,
    }
}

/// Kinds of rounds of clients that are threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Everything, also what time ends.
    Timed,
    /// Everything else.
    Timeless,
    /// All that is written is appended to strings.
    Appends,
}

impl Kind {
    pub fn of(choice: u32) -> Kind {
        match choice {
            0 => Kind::Timed,
            1 => Kind::Appends,
            _ => Kind::Timeless,
        }
    }
}

/// What clients do that act at once, and the lists that some may wait for.
pub fn threaded(choices: &mut Prng, kind: Kind, clients: usize) -> (Vec<Script>, Vec<String>) {
    // Who is at home where is the server's secret: so some more keys.
    let mut writer = Writer::new(choices, 4);
    writer.timeless = kind == Kind::Timeless;
    let clients = (0..clients)
        .map(|_| {
            let bursts = 1 + writer.choices.below(40);
            let burst = |writer: &mut Writer<'_>| match kind {
                Kind::Appends => writer.appends(),
                _ => writer.burst(false),
            };
            let mut script = Script {
                shard: 0,
                bursts: (0..bursts).map(|_| burst(&mut writer)).collect(),
                eager: writer.choices.below(4) == 0,
                leaves: (writer.choices.below(6) == 0).then(|| 1 + writer.choices.below(bursts) as usize),
            };
            if kind != Kind::Appends && writer.choices.below(4) == 0 {
                // Where its own messages come, before the reply or behind, versions of Redis disagree.
                let own = script.bursts.iter_mut().flatten().filter(|argv| argv[0] == b"PUBLISH");
                own.for_each(|argv| *argv = vec![b"PING".to_vec()]);
                script.bursts.insert(0, vec![argv("HELLO 3"), argv("SUBSCRIBE c")]);
            }
            script
        })
        .collect();
    (clients, writer.lists)
}

/// Writes commands over a few keys in every shard.
struct Writer<'c> {
    choices: &'c mut Prng,
    strings: Vec<String>,
    lists: Vec<String>,
    sets: Vec<String>,
    /// So many values were written: each is another one.
    values: u32,
    /// Nothing that time ends.
    timeless: bool,
    /// Many keys get a deadline that does not come.
    volatile: bool,
}

impl<'c> Writer<'c> {
    fn new(choices: &'c mut Prng, shards: usize) -> Self {
        let flat = |prefix| keys(shards, prefix, 1 + usize::from(shards < 3)).concat();
        let (strings, lists, sets) = (flat("s"), flat("l"), flat("t"));
        Self { choices, strings, lists, sets, values: 0, timeless: false, volatile: false }
    }

    fn of(&mut self, words: &[&str]) -> String {
        words[self.choices.below(words.len() as u32) as usize].to_owned()
    }

    fn string(&mut self) -> String {
        self.strings[self.choices.below(self.strings.len() as u32) as usize].clone()
    }

    fn list(&mut self) -> String {
        self.lists[self.choices.below(self.lists.len() as u32) as usize].clone()
    }

    fn set(&mut self) -> String {
        self.sets[self.choices.below(self.sets.len() as u32) as usize].clone()
    }

    fn value(&mut self) -> String {
        self.values += 1;
        format!("v{}", self.values)
    }

    /// Has a client listen, perhaps: to a channel, to keyspace events, to all that is done.
    fn listen(&mut self, script: &mut Script, events: bool) {
        fn insert(script: &mut Script, lines: &[&str]) {
            script.bursts.insert(0, lines.iter().map(|line| argv(line)).collect());
        }
        match self.choices.below(if events { 4 } else { 16 }) {
            0..2 if events => {
                insert(script, &["HELLO 3", "PSUBSCRIBE __key*__:*"]);
                // Perhaps for some time only.
                let until = 2 + self.choices.below(8);
                if (until as usize) < script.bursts.len() {
                    script.bursts.insert(until as usize, vec![argv("PUNSUBSCRIBE")]);
                }
            }
            0..4 => insert(script, &["HELLO 3", "SUBSCRIBE c"]),
            4 => {
                // It may not look at data any more.
                script.bursts.iter_mut().flatten().for_each(|argv| *argv = vec![b"PING".to_vec()]);
                insert(script, &["MONITOR"]);
            }
            _ => {}
        }
    }

    fn burst(&mut self, short: bool) -> Vec<Argv> {
        let count = 1 + self.choices.below(if short { 2 } else { 6 });
        match self.choices.below(8) {
            0 => self.transaction(count),
            1 => (0..count).map(|_| self.simple()).map(|line| argv(&line)).collect(),
            // What follows a command that is nobody's is executed one by one.
            2 => {
                let rest = (0..count).map(|_| self.simple()).map(|line| argv(&line));
                std::iter::once(argv("PING")).chain(rest).collect()
            }
            _ => (0..count).map(|_| self.any()).map(|line| argv(&line)).collect(),
        }
    }

    /// Something done to another client, or to all.
    fn intrusion(&mut self, clients: usize) -> String {
        let other = self.choices.below(clients as u32) as usize;
        match self.choices.below(if self.timeless { 4 } else { 7 }) {
            0 | 1 => format!("CLIENT KILL ADDR {}", address(other)),
            2 => format!("CLIENT UNBLOCK @{other}"),
            3 => format!("CLIENT UNBLOCK @{other} ERROR"),
            4 => "CLIENT UNPAUSE".to_owned(),
            _ => self.pause(),
        }
    }

    fn pause(&mut self) -> String {
        let mode = self.of(&["WRITE", "ALL"]);
        format!("CLIENT PAUSE {} {mode}", 1 + self.choices.below(4))
    }

    /// Appends to strings and reads them: see [`super::appends`].
    fn appends(&mut self) -> Vec<Argv> {
        let count = 1 + self.choices.below(6);
        let mut lines: Vec<String> = (0..count)
            .map(|_| {
                let (s, s2, s3, v) = (self.string(), self.string(), self.string(), self.value());
                match self.choices.below(6) {
                    0..3 => format!("APPEND {s} {v},"),
                    3 => format!("GET {s}"),
                    _ => format!("MGET {s} {s2} {s3}"),
                }
            })
            .collect();
        if self.choices.below(4) == 0 {
            lines.insert(0, "MULTI".to_owned());
            lines.push("EXEC".to_owned());
        }
        lines.iter().map(|line| argv(line)).collect()
    }

    fn transaction(&mut self, count: u32) -> Vec<Argv> {
        let mut lines = Vec::new();
        if self.choices.below(2) == 0 {
            let (a, b) = (self.string(), self.list());
            lines.push(format!("WATCH {a} {b}"));
            lines.push(format!("GET {a}"));
        }
        lines.push("MULTI".to_owned());
        for _ in 0..count {
            let line = self.any();
            lines.push(line);
            if self.choices.below(6) == 0 {
                let value = self.value();
                lines.push(format!("PUBLISH c {value}"));
            }
        }
        lines.push(self.of(&["EXEC", "EXEC", "EXEC", "EXEC", "EXEC", "DISCARD", "DISCARD", "EXEC now"]));
        lines.iter().map(|line| argv(line)).collect()
    }

    /// A command that needs one key, mostly: pipelines of them are batches.
    fn simple(&mut self) -> String {
        let (s, l, v) = (self.string(), self.list(), self.value());
        if self.volatile && self.choices.below(3) == 0 {
            return self.of(&[&format!("SET {s} {v} PX 600000"), &format!("PEXPIRE {l} 500000")]);
        }
        match self.choices.below(9) {
            0 | 1 => format!("SET {s} {v}"),
            2 | 3 => format!("GET {s}"),
            4 => format!("APPEND {s} {v}"),
            5 | 6 => format!("RPUSH {l} {v}"),
            7 => format!("LPOP {l}"),
            _ => format!("LRANGE {l} 0 -1"),
        }
    }

    fn any(&mut self) -> String {
        let (s, s2, l, l2) = (self.string(), self.string(), self.list(), self.list());
        let (t, t2, v, v2) = (self.set(), self.set(), self.value(), self.value());
        let timeout = self.of(if self.timeless { &["0"] } else { &["0", "0", "0.003", "0.02"] });
        let (end, end2) = (self.of(&["LEFT", "RIGHT"]), self.of(&["LEFT", "RIGHT"]));
        match self.choices.below(48) {
            0..9 => self.simple(),
            9 | 10 => format!("MSET {s} {v} {s2} {v2}"),
            11 | 12 => format!("MGET {s} {s2} {s}"),
            13 => format!("MSETNX {s} {v} {s2} {v2}"),
            14 => format!("DEL {s} {l}"),
            15 => format!("DEL {s} {s2}"),
            16 => format!("EXISTS {s} {s2} {l}"),
            17 => format!("RENAME {s} {s2}"),
            18 => format!("RENAME {l} {l2}"),
            19 => format!("COPY {l} {l2} REPLACE"),
            20..23 => format!("LMOVE {l} {l2} {end} {end2}"),
            23 => format!("RPUSH {l} {v} {v2}"),
            24 => format!("LPUSH {l} {v}"),
            25..28 => format!("BLPOP {l} {l2} {timeout}"),
            28 => format!("BLPOP {l} {timeout}"),
            29 => format!("BRPOP {l} {l2} {timeout}"),
            30 | 31 => format!("BLMOVE {l} {l2} {end} {end2} {timeout}"),
            32 => format!("BLMPOP {timeout} 2 {l} {l2} {end} COUNT 2"),
            33 => format!("LMPOP 2 {l} {l2} {end}"),
            34 => format!("SADD {t} {v} {v2}"),
            35 => format!("SUNIONSTORE {t} {t2} {t}"),
            36 => format!("SMOVE {t} {t2} {v}"),
            37 => format!("SUNION {t} {t2}"),
            38 | 39 if self.timeless => format!("SETRANGE {s} 1 {v}"),
            38 => format!("SET {s} {v} PX {}", 2 + self.choices.below(5)),
            39 => format!("PEXPIRE {s} {}", 1 + self.choices.below(5)),
            40 if self.choices.below(2) == 0 => "SCAN 0 COUNT 1000".to_owned(),
            40 => "DBSIZE".to_owned(),
            41 => "KEYS *".to_owned(),
            42 if self.choices.below(3) == 0 => "FLUSHALL".to_owned(),
            43 | 44 => format!("PUBLISH c {v}"),
            45 => format!("BITOP OR {s} {s} {s2}"),
            46 => format!("SORT {l} BY s* GET s*"),
            _ => format!("LRANGE {l} 0 -1"),
        }
    }
}

/// A small scenario with a name.
#[derive(Clone, Debug)]
pub struct Small {
    pub name: &'static str,
    pub scenario: Scenario,
}

/// Scenarios of two and three shards, two and three clients, and up to three transactions.
pub fn small(fine: bool) -> Vec<Small> {
    // Clients as (shard, commands; `|` begins a new burst). Keys: `a` and `b` at home in shards 0, 1; `c` in 2.
    let scenario = |name: &'static str, shards: usize, ticks: u32, clients: &[(usize, &str)]| {
        let homes = keys(shards, "k", 2);
        let word = |word: &str| {
            let named = |(second, names): (usize, [&str; 3])| {
                let place = names.iter().position(|name| word.eq(*name))?;
                homes.get(place).map(|keys| keys[second].clone())
            };
            let mut keys = [(0, ["a", "b", "c"]), (1, ["a2", "b2", "c2"])].into_iter().filter_map(named);
            keys.next().unwrap_or_else(|| word.to_owned())
        };
        let line = |line: &str| argv(&line.split_ascii_whitespace().map(word).collect::<Vec<_>>().join(" "));
        let events = clients.iter().any(|(_, text)| text.contains("__key"));
        let clients = clients
            .iter()
            .map(|&(shard, text)| Script {
                shard,
                bursts: text
                    .split('|')
                    .map(|burst| burst.split(';').filter(|text| !text.trim().is_empty()).map(line).collect())
                    .collect(),
                eager: false,
                leaves: text.contains("vanish").then_some(text.split('|').count() - 1),
            })
            .collect();
        let scenario = Scenario {
            shards,
            clients,
            ticks,
            tick: 5,
            order: if ["pause-rest", "called-too-late", "claim-outlived"].contains(&name) {
                (2, 1)
            } else {
                (2, 2)
            },
            // Whom a command will serve is foreseen, or is called for.
            at_once: if name == "listeners" || name.starts_with("called") { (0, 2) } else { (16, 1000) },
            fragments: false,
            spurious: false,
            events,
            memory: None,
            fine,
        };
        Small { name, scenario }
    };
    // As above, with a pressure on memory: to evict one key takes two looks that find it over the limit, to refuse a
    // command four, and a pipeline is one look more.
    let limited = |name, policy, pressure: &[u32], ticks, clients: &[(usize, &str)]| {
        let Small { name, scenario } = scenario(name, 2, ticks, clients);
        let memory = Some(Memory { policy, pressure: pressure.to_vec() });
        // Where time has to pass at one place, threads that turn at every access would seldom let it.
        let fine = fine && ticks == 0;
        Small { name, scenario: Scenario { memory, fine, ..scenario } }
    };
    vec![
        scenario("mset-mget", 2, 0, &[(0, "MSET a 1 b 1"), (1, "MGET a b")]),
        scenario("mset-mset-get", 2, 0, &[(0, "MSET a 1 b 1"), (1, "MSET b 2 a 2 | MGET a b")]),
        scenario("batches", 2, 0, &[(0, "SET a 1; SET b 1"), (1, "GET b; GET a")]),
        scenario(
            "batches-in-a-row",
            2,
            0,
            &[(0, "APPEND a 1; APPEND b 1"), (0, "APPEND a 2; APPEND b 2"), (1, "GET a")],
        ),
        scenario("batch-visits", 2, 0, &[(0, "APPEND a 1; APPEND b 1"), (1, "GET a | GET b")]),
        scenario("batch-seen", 2, 0, &[(0, "APPEND a 1; APPEND b 1"), (1, "PING; GET a; GET b")]),
        scenario(
            "message-first",
            2,
            0,
            &[(0, "HELLO 3; SUBSCRIBE c | PING; GET b; PING"), (1, "MULTI; SET b 1; PUBLISH c m; EXEC")],
        ),
        scenario("push-pop", 2, 0, &[(0, "BLPOP a b 0"), (1, "PING; RPUSH b x; LPOP b"), (0, "LPOP b")]),
        scenario("del-two", 2, 0, &[(0, "MSET a 1 b 1 | DEL a b"), (1, "EXISTS a b")]),
        scenario("rename", 2, 0, &[(0, "SET a 1 | RENAME a b"), (1, "MGET a b")]),
        scenario("lmove", 2, 0, &[(0, "RPUSH a x | LMOVE a b LEFT LEFT"), (1, "LMOVE b a LEFT LEFT")]),
        scenario("watch-exec", 2, 0, &[(0, "WATCH b | MULTI; INCR a; EXEC"), (1, "SET b 1")]),
        scenario("multi-both", 2, 0, &[(0, "MULTI; INCR a; INCR b; EXEC"), (1, "MGET b a")]),
        scenario("blpop-two", 2, 0, &[(0, "BLPOP a b 0"), (1, "RPUSH b x")]),
        scenario("blpop-race", 2, 0, &[(0, "BLPOP a b 0"), (1, "BLPOP b 0"), (1, "RPUSH b x y")]),
        scenario("blpop-batch", 2, 0, &[(0, "BLPOP a b 0"), (1, "RPUSH a x; RPUSH b y; LRANGE a 0 -1")]),
        scenario("flushall", 2, 0, &[(0, "MSET a 1 b 1 | FLUSHALL"), (1, "MGET a b")]),
        scenario(
            "scan",
            2,
            0,
            &[(0, "SCAN 0 COUNT 1000 | SET b 1"), (1, "MSET a 1 b 1 | SCAN 0 COUNT 1000")],
        ),
        scenario(
            "scan-one-position",
            2,
            0,
            &[(0, "MSET a 1 b 1"), (1, "APPEND b 2; APPEND a 2"), (1, "SCAN 0 COUNT 1000")],
        ),
        scenario("publish", 2, 0, &[(0, "HELLO 3; SUBSCRIBE c"), (1, "PUBLISH c 1"), (0, "PUBLISH c 2")]),
        scenario(
            "event-first",
            2,
            0,
            &[(0, "HELLO 3; PSUBSCRIBE __keyspace*__:*; SET a 1"), (1, "GET b; GET a"), (1, "SET b 1")],
        ),
        scenario("events", 2, 0, &[(0, "HELLO 3; PSUBSCRIBE __keyspace*__:* | PING"), (1, "MSET a 1 b 1")]),
        scenario(
            "listener-visits",
            3,
            0,
            &[
                (1, "HELLO 3; PSUBSCRIBE __keyspace*__:* | GET c | GET c"),
                (0, "SET a 1"),
                (2, "APPEND a 2; APPEND c 1"),
            ],
        ),
        // All of them have to wait until somebody is served, and go on at once.
        scenario(
            "listeners",
            3,
            0,
            &[
                (2, "BLPOP b 0"),
                (1, "RPUSH b x | MULTI; SET b2 1; SET c 1; EXEC"),
                (0, "HELLO 3; PSUBSCRIBE __keyspace*__:* | PING"),
                (0, "HELLO 3; PSUBSCRIBE __keyspace*__:* | PING"),
                (2, "MULTI; SET b2 3; SET c 3; EXEC"),
            ],
        ),
        scenario("again-heard", 4, 0, &[(0, "BLPOP b 0"), (2, "RPUSH b x"), (3, "MONITOR | PING; PING")]),
        scenario("called-late", 3, 1, &[(0, "BLPOP a b 0.003; BLPOP c 0"), (1, "RPUSH b y")]),
        scenario(
            "called-too-late",
            3,
            3,
            &[(0, "BLPOP b 0.003; BLPOP c 0.003; BLPOP b 0.003; BLPOP c 0"), (1, "RPUSH b y | RPUSH b z")],
        ),
        scenario(
            "claim-outlived",
            3,
            2,
            &[(0, "BLPOP a 0"), (0, "BLPOP b 0.003; BLPOP a 0"), (1, "MULTI; RPUSH b y; RPUSH a x; EXEC")],
        ),
        scenario(
            "called-one-by-one",
            2,
            0,
            &[(0, "BLPOP b a 0"), (0, "BLPOP b a 0"), (0, "RPUSH b x y; LPOP b")],
        ),
        scenario(
            "called-two",
            2,
            0,
            &[
                (0, "BLPOP a2 b2 0"),
                (0, "BLPOP b2 a 0"),
                (0, "RPUSH a x"),
                (1, "MULTI; LPOP a; RPUSH b2 y; EXEC"),
            ],
        ),
        // Keys of several shards that one command makes ready, or a client that is served.
        scenario(
            "served-in-order",
            2,
            0,
            &[(1, "BLMOVE b b2 LEFT RIGHT 0"), (0, "BLPOP b2 a 0"), (1, "MULTI; RPUSH b x; RPUSH a y; EXEC")],
        ),
        scenario(
            "served-in-turn",
            2,
            0,
            &[(0, "BLPOP b 0"), (1, "BLMOVE a b LEFT RIGHT 0"), (0, "BRPOP b a 0"), (1, "RPUSH a x y")],
        ),
        scenario(
            "called-together",
            3,
            0,
            &[
                (2, "BLPOP a 0"),
                (2, "BLPOP b 0"),
                (2, "BLPOP b2 0"),
                (0, "MULTI; RPUSH a x; RPUSH b y; EXEC"),
                (2, "RPUSH b2 z"),
            ],
        ),
        scenario(
            "called-in-turn",
            2,
            0,
            &[(0, "BLPOP b 0"), (1, "BLMOVE a b LEFT RIGHT 0"), (0, "BRPOP b a 0"), (1, "RPUSH a x y")],
        ),
        scenario("monitor", 2, 0, &[(0, "MONITOR | PING"), (1, "SET b 1; GET a")]),
        scenario(
            "called-monitors",
            3,
            0,
            &[
                (2, "BLPOP b 0"),
                (1, "RPUSH b x"),
                (0, "MONITOR | PING"),
                (0, "MONITOR | PING"),
                (2, "MULTI; SET b2 1; SET c 1; EXEC"),
                (2, "MULTI; SET b2 2; SET c 2; EXEC"),
                (1, "MULTI; SET c 3; SET b2 3; EXEC"),
            ],
        ),
        scenario(
            "monitor-abort",
            2,
            0,
            &[(0, "MONITOR | PING"), (1, "MULTI; EXEC now; GET a"), (0, "SET b 1")],
        ),
        scenario("expiry", 2, 1, &[(0, "SET b 1 PX 3 | MGET a b"), (1, "GET b | GET b")]),
        scenario("timeout", 2, 1, &[(0, "BLPOP a b 0.003"), (1, "RPUSH b x | LRANGE b 0 -1")]),
        scenario("vanish-blocked", 2, 0, &[(0, "BLPOP a b 0 | vanish"), (1, "RPUSH b x | LRANGE b 0 -1")]),
        scenario(
            "kill-batch",
            2,
            0,
            &[(0, "APPEND a 1; APPEND b 1"), (1, "CLIENT KILL ADDR 127.0.0.1:40000 | MGET a b | MGET a b")],
        ),
        scenario(
            "pause-served",
            2,
            0,
            &[(0, "BLPOP a b 0"), (1, "RPUSH b x"), (1, "CLIENT PAUSE 9 WRITE | LRANGE b 0 -1")],
        ),
        scenario(
            "pause-batch",
            2,
            0,
            &[(0, "APPEND a 1; APPEND b 1"), (1, "CLIENT PAUSE 9 WRITE | MGET a b")],
        ),
        scenario(
            "pause-order",
            2,
            0,
            &[
                (0, "CLIENT PAUSE 9 WRITE | APPEND b 1 | GET b"),
                (1, "APPEND b 2 | APPEND a 3"),
                (0, "CLIENT UNPAUSE"),
            ],
        ),
        scenario(
            "pause-ends",
            2,
            3,
            &[(0, "CLIENT PAUSE 2 WRITE | APPEND b 1"), (1, "APPEND b 2 | APPEND a 3")],
        ),
        scenario(
            "pause-let-go",
            2,
            0,
            &[
                (0, "CLIENT PAUSE 9 WRITE | BLPOP a b 0"),
                (1, "RPUSH b x"),
                (1, "BLPOP b 0"),
                (0, "CLIENT UNPAUSE"),
            ],
        ),
        scenario(
            "pause-rest",
            2,
            2,
            &[
                (1, "CLIENT PAUSE 2 WRITE | MULTI; CLIENT PAUSE 1 WRITE; APPEND b 0; EXEC"),
                (0, "APPEND a 1 | GET a"),
                (0, "DBSIZE | DBSIZE"),
                (1, "DBSIZE | DBSIZE"),
            ],
        ),
        scenario(
            "pause-longer",
            2,
            4,
            &[(0, "CLIENT PAUSE 2 WRITE | APPEND b 1"), (1, "CLIENT PAUSE 9 WRITE | APPEND a 1")],
        ),
        scenario("pause-pause", 2, 0, &[(0, "CLIENT PAUSE 9"), (1, "CLIENT PAUSE 9 WRITE")]),
        scenario("pause-monitor", 2, 0, &[(0, "CLIENT PAUSE 9"), (1, "MONITOR")]),
        scenario(
            "pause-exec",
            2,
            0,
            &[(0, "MULTI; CLIENT PAUSE 9 WRITE; EXEC | MGET a b"), (1, "APPEND a 1; APPEND b 1")],
        ),
        limited(
            "evict-elsewhere",
            EvictionPolicy::AllkeysRandom,
            &[1, 3, 9, 1],
            0,
            &[(0, "SET a 1"), (1, "SET b 1 | APPEND b 1; MGET b a")],
        ),
        limited(
            "evict-watched",
            EvictionPolicy::AllkeysRandom,
            &[2, 3, 20, 1],
            0,
            &[(0, "SET b 1 | WATCH b | MULTI; GET b; EXEC"), (1, "SET a 1")],
        ),
        limited(
            "evict-expired",
            EvictionPolicy::AllkeysRandom,
            &[2, 3, 20, 1],
            1,
            &[(0, "SET b 1 PX 3 | WATCH b | MULTI; GET b; EXEC")],
        ),
        limited(
            "refuse-served",
            EvictionPolicy::NoEviction,
            &[2, 4],
            0,
            &[(0, "BLMOVE b a LEFT LEFT 0"), (1, "RPUSH b x | LRANGE b 0 -1")],
        ),
        scenario("three-shards", 3, 0, &[(0, "MSET b 1 c 1"), (1, "MGET c b"), (2, "GET b")]),
        scenario("three-batches", 3, 0, &[(0, "SET b 1; SET c 1"), (2, "GET c | GET b")]),
    ]
}
