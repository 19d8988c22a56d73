//! Commands that act on the server or on other connections, for runs against servers that are there for nothing else.
//!
//! The tester has connections of its own, and the server must go on: nothing here kills a client that is not the plan's
//! ([`conn_id`] names one), holds back the tester, or ends the server. What would is only sent with a mistake in it.

use kevy::command::CommandId;

use super::{Gen, Note, Options, Session, Step};

/// Whether only such runs can have this command.
pub fn is_intrusive(id: CommandId) -> bool {
    use CommandId::*;
    matches!(id, ClientKill | ClientPause | ClientUnpause | ClientUnblock | ClientReply | ClientNoTouch)
        || matches!(id, ConfigSet | ConfigRewrite | ConfigResetStat | Debug | Shutdown)
        || matches!(id, Auth | Quit | ReadOnly | ReadWrite | Monitor)
}

/// In the place of an argument: the number that the server has given a connection of the plan.
pub fn conn_id(conn: usize) -> Vec<u8> {
    format!("@id:{conn}").into_bytes()
}

/// The connection whose number stands for such an argument.
pub fn conn_of_id(arg: &[u8]) -> Option<usize> {
    std::str::from_utf8(arg.strip_prefix(b"@id:")?).ok()?.parse().ok()
}

/// Longer than any plan, in milliseconds.
const LONG_PAUSE: &str = "100000";

type Words = &'static [&'static str];

/// Parameters with values that are taken and values that are not.
const PARAMETERS: [(&str, Words, Words); 27] = [
    (
        "hash-max-listpack-entries",
        &["128", "3", "0", "512"],
        &["-1", "abc", "1.5", "", "9223372036854775808"],
    ),
    ("hash-max-ziplist-entries", &["128", "8"], &["-1"]),
    ("hash-max-listpack-value", &["64", "10", "1kb"], &["-1", "abc", "10x"]),
    ("set-max-intset-entries", &["512", "3"], &["-1", "abc"]),
    ("zset-max-listpack-entries", &["128", "3"], &["-1", "nan"]),
    ("zset-max-listpack-value", &["64", "8b"], &["abc", "1 kb"]),
    ("list-max-listpack-size", &["-2", "5", "-1"], &["abc", "2147483648", "-2147483649"]),
    ("list-compress-depth", &["0", "1"], &["-1", "2147483648"]),
    ("maxmemory", &["0"], &["abc", "-1"]),
    ("maxmemory-policy", &["noeviction", "NOEVICTION"], &["nosuch", ""]),
    ("maxmemory-samples", &["5", "10", "64"], &["0", "65", "abc"]),
    ("lfu-log-factor", &["10", "0"], &["-1"]),
    ("lfu-decay-time", &["1", "0"], &["-1", "abc"]),
    ("lazyfree-lazy-user-del", &["yes", "no", "YES"], &["maybe", "1"]),
    ("lazyfree-lazy-expire", &["yes", "no"], &["maybe", ""]),
    ("lazyfree-lazy-server-del", &["yes", "no"], &["2"]),
    ("appendfsync", &["everysec", "no", "Always"], &["never"]),
    ("slowlog-max-len", &["128", "10"], &["-1", "abc"]),
    ("slowlog-log-slower-than", &["10000", "-1"], &["-2", "abc"]),
    ("latency-monitor-threshold", &["0"], &["-1", "abc"]),
    ("proto-max-bulk-len", &["512mb", "536870912"], &["1000", "abc"]),
    ("notify-keyspace-events", &[""], &["Q", "KEx?"]),
    ("timeout", &["0"], &["-1", "abc"]),
    ("databases", &[], &["16", "abc"]),
    ("daemonize", &[], &["no", "yes"]),
    ("nosuch", &[], &["1"]),
    ("", &[], &["1"]),
];

/// The parameters that such plans change, with what they are at first.
pub const CHANGED: [(&str, &str); 11] = [
    ("maxmemory-policy", "noeviction"),
    ("maxmemory-samples", "5"),
    ("lfu-log-factor", "10"),
    ("lfu-decay-time", "1"),
    ("lazyfree-lazy-user-del", "no"),
    ("lazyfree-lazy-expire", "no"),
    ("lazyfree-lazy-server-del", "no"),
    ("appendfsync", "everysec"),
    ("slowlog-max-len", "128"),
    ("slowlog-log-slower-than", "10000"),
    ("hash-max-listpack-value", "64"),
];

impl Gen<'_> {
    /// A whole dialogue around one such command.
    pub(super) fn intrude(&mut self, conn: usize, id: CommandId) {
        use CommandId::*;
        match id {
            ClientPause if self.choices.chance(60) => self.pause(conn),
            ClientReply if self.choices.chance(70) => self.mute(conn),
            _ => {
                let (argv, options) = self.intrusive_request(id);
                let killed = argv.iter().find_map(|arg| conn_of_id(arg)).filter(|_| id == ClientKill);
                let all_subscribers =
                    id == ClientKill && argv.len() == 4 && argv[3].eq_ignore_ascii_case(b"pubsub");
                let monitors = id == Monitor && argv.len() == 1;
                let switched_on = id == ClientNoTouch && argv.get(2).is_some_and(|arg| arg == b"ON");
                self.push_intrusion(conn, id, argv, options);
                match id {
                    Quit => self.begin_again(conn),
                    // It only watches from now on, until somebody wants the connection for something else.
                    Monitor if monitors => {
                        self.sessions[conn].waiting = true;
                        self.keys.awaited.remove(&conn);
                    }
                    // What such a client touches crashes Redis 8.0.6.
                    _ if switched_on => {
                        let argv = ["CLIENT", "NO-TOUCH", "OFF"].map(|word| word.as_bytes().to_vec());
                        self.push_command(conn, argv.to_vec(), None);
                    }
                    _ if all_subscribers => {
                        let subscribed =
                            (0..self.sessions.len()).filter(|&conn| self.sessions[conn].subscribed);
                        subscribed.collect::<Vec<_>>().into_iter().for_each(|conn| self.begin_again(conn));
                    }
                    _ => killed.into_iter().for_each(|conn| self.begin_again(conn)),
                }
            }
        }
    }

    fn push_intrusion(&mut self, conn: usize, id: CommandId, argv: Vec<Vec<u8>>, options: Options) {
        self.push_command(conn, argv, Some(Note::of(id, options)));
    }

    /// The server has closed it.
    fn begin_again(&mut self, conn: usize) {
        self.sessions[conn] = Session::default();
        if self.scope.protocol == 3 {
            self.push_command(conn, vec![b"HELLO".to_vec(), b"3".to_vec()], None);
        }
    }

    /// Whether it can be sent any command now.
    fn is_free(&self, conn: usize) -> bool {
        let session = self.sessions[conn];
        !session.multi && !session.subscribed && !session.waiting
    }

    /// Holds back those who write, and lets them go.
    fn pause(&mut self, conn: usize) {
        let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        let mut options = Options::default();
        options.add("WRITE");
        // A pause of everybody that has just ended may not have been noticed, and would go on for as long as this one.
        let id = CommandId::ClientUnpause;
        self.push_intrusion(conn, id, words(&["CLIENT", "UNPAUSE"]), Options::default());
        // What a transaction that pauses does is served to those who wait when the pause is over.
        let in_transaction = self.choices.chance(30);
        if in_transaction {
            self.push_intrusion(conn, CommandId::Multi, words(&["MULTI"]), Options::default());
            self.plain_command(conn);
        }
        let pause = words(&["CLIENT", "PAUSE", LONG_PAUSE, "WRITE"]);
        self.push_intrusion(conn, CommandId::ClientPause, pause, options);
        if in_transaction {
            // Nothing more: a write to a key whose time was up, behind the pause, ends Redis 8.0.2 by an assertion.
            self.push_intrusion(conn, CommandId::Exec, words(&["EXEC"]), Options::default());
        }
        // Keys whose time is up stay meanwhile.
        if self.choices.chance(50) {
            self.push(Step::Advance(3), None);
        }
        for other in 0..self.sessions.len() {
            if other != conn && self.is_free(other) && self.choices.chance(70) {
                self.plain_command(other);
            }
        }
        self.push_intrusion(conn, id, words(&["CLIENT", "UNPAUSE"]), Options::default());
    }

    /// Some commands without replies.
    fn mute(&mut self, conn: usize) {
        let words = |word: &str| ["CLIENT", "REPLY", word].map(|word| word.as_bytes().to_vec()).to_vec();
        let option = |word| {
            let mut options = Options::default();
            options.add(word);
            options
        };
        let (word, commands) =
            if self.choices.chance(50) { ("SKIP", 1) } else { ("OFF", self.choices.between(0, 4)) };
        self.push_intrusion(conn, CommandId::ClientReply, words(word), option(word));
        (0..commands).for_each(|_| self.plain_command(conn));
        if word == "OFF" {
            self.push_intrusion(conn, CommandId::ClientReply, words("ON"), option("ON"));
        }
    }

    /// A command about data that is answered at once.
    fn plain_command(&mut self, conn: usize) {
        use kevy::command::{Flags, Group};
        let id = self.scope.commands[self.choices.weighted(&self.weights)];
        let row = id.command();
        let other =
            matches!(row.group, Group::Server | Group::Connection | Group::Transactions | Group::PubSub);
        if !other && id != CommandId::SPop && !row.flags.contains(Flags::BLOCKING) {
            self.command(conn, id);
        }
    }

    fn word(&mut self, words: &[&str]) -> Vec<u8> {
        self.choices.pick(words).as_bytes().to_vec()
    }

    fn some_id(&mut self) -> Vec<u8> {
        match self.choices.below(6) {
            0 => self.word(&["0", "-1", "abc", "", "9223372036854775808"]),
            1 => b"9000000000".to_vec(),
            _ => conn_id(self.choices.below(self.sessions.len() as u32) as usize),
        }
    }

    fn intrusive_request(&mut self, id: CommandId) -> (Vec<Vec<u8>>, Options) {
        use CommandId::*;
        let mut argv: Vec<Vec<u8>> =
            id.command().name.split('|').map(|word| self.in_some_case(word)).collect();
        let mut options = Options::default();
        match id {
            ClientKill => self.kill(&mut argv, &mut options),
            ClientPause => {
                let timeout = self.word(&["0", "-1", "abc"]);
                argv.push(timeout);
                self.one_option(&["WRITE", "ALL", "", "nosuch"], &mut argv, &mut options);
            }
            ClientUnblock => {
                let client = self.some_id();
                argv.push(client);
                self.one_option(&["TIMEOUT", "ERROR", "", "nosuch"], &mut argv, &mut options);
            }
            ClientReply => self.one_option(&["ON", "ON", "nosuch"], &mut argv, &mut options),
            ClientNoTouch => self.one_option(&["ON", "OFF", "nosuch"], &mut argv, &mut options),
            ConfigSet => {
                for _ in 0..*self.choices.pick(&[1, 1, 1, 2, 3]) {
                    let (name, good, bad) = *self.choices.pick(&PARAMETERS);
                    let values = if self.choices.chance(35) || good.is_empty() { bad } else { good };
                    let value = self.word(values);
                    argv.extend([
                        if self.choices.chance(10) { name.to_ascii_uppercase() } else { name.into() }
                            .into_bytes(),
                        value,
                    ]);
                }
            }
            Debug => self.debug(&mut argv),
            Shutdown => {
                // Never without this word: it makes all others a mistake.
                options.add("ABORT");
                argv.push(b"ABORT".to_vec());
                for words in [&["NOSAVE", "SAVE", ""][..], &["NOW", ""], &["FORCE", ""]] {
                    self.one_option(words, &mut argv, &mut options);
                }
            }
            Auth => {
                if self.choices.chance(60) {
                    options.add("username");
                    let user = self.word(&["default", "default", "nobody", ""]);
                    argv.push(user);
                }
                argv.push(b"password".to_vec());
            }
            _ => {}
        }
        // Words too many, where those before do nothing or fail.
        let harmless = !matches!(id, ClientKill | ClientReply | ClientPause | Quit);
        if harmless && self.choices.chance(15) {
            let word = self.word(&["abc", "1", ""]);
            argv.push(word);
        }
        (argv, options)
    }

    /// One of these words, or none if that is empty; in capitals it is an option.
    fn one_option(&mut self, words: &'static [&'static str], argv: &mut Vec<Vec<u8>>, options: &mut Options) {
        let word = *self.choices.pick(words);
        if word.is_empty() {
            return;
        }
        if word.chars().all(|letter| letter.is_ascii_uppercase()) {
            options.add(word);
        }
        argv.push(word.as_bytes().to_vec());
    }

    /// Filters that nobody but one connection of the plan can pass, or those who subscribe.
    fn kill(&mut self, argv: &mut Vec<Vec<u8>>, options: &mut Options) {
        let mut filter = |argv: &mut Vec<Vec<u8>>, name: &'static str, value: Vec<u8>| {
            options.add(name);
            argv.extend([name.as_bytes().to_vec(), value]);
        };
        match self.choices.below(10) {
            0 => argv.push(b"1.2.3.4:5".to_vec()),
            1 => {
                let kind = *self.choices.pick(&["MASTER", "SLAVE", "REPLICA", "PUBSUB"]);
                filter(argv, "TYPE", kind.as_bytes().to_vec());
                options.add(kind);
            }
            _ => {
                let client = self.some_id();
                filter(argv, "ID", client);
                let mut words = Vec::new();
                for name in ["TYPE", "USER", "ADDR", "LADDR", "SKIPME", "MAXAGE"] {
                    if !self.choices.chance(25) {
                        continue;
                    }
                    let values: &[&'static str] = match name {
                        "TYPE" => &["NORMAL", "NORMAL", "PUBSUB", "MASTER", "SLAVE", "REPLICA", "nosuch"],
                        "USER" => &["default", "default", "nobody"],
                        "SKIPME" => &["YES", "NO", "NO", "maybe"],
                        "MAXAGE" => &["100000", "0", "-1", "abc"],
                        _ => &["1.2.3.4:5", ""],
                    };
                    let value = *self.choices.pick(values);
                    filter(argv, name, value.as_bytes().to_vec());
                    if name == "TYPE" || name == "SKIPME" {
                        words.push(value);
                    }
                }
                let in_capitals = |word: &&&str| word.chars().all(|letter| letter.is_ascii_uppercase());
                words.iter().filter(in_capitals).for_each(|word| options.add(word));
                if self.choices.chance(10) {
                    argv.push(b"SKIPME".to_vec());
                }
            }
        }
    }

    /// What of DEBUG is determined.
    fn debug(&mut self, argv: &mut Vec<Vec<u8>>) {
        let words: &[&str] = match self.choices.below(16) {
            0 | 1 => &["DIGEST-VALUE", "KEY", "KEY"],
            2 => &["DIGEST-VALUE", "KEY"],
            3 => &["LISTPACK", "KEY"],
            4 => &["OBJECT", "none9"],
            5 => &["ERROR", "A TEXT"],
            6 => &["SLEEP", "0"],
            7 => &["SLEEP", "abc"],
            8 => &["CHANGE-REPL-ID"],
            9 => &["HELP"],
            10 => &["NOSUCH"],
            11 => &["QUICKLIST-PACKED-THRESHOLD", "abc"],
            12 => &["POPULATE", "COUNT", "str", "SIZE"],
            13 => &["POPULATE", "COUNT", "none"],
            _ => &["PROTOCOL", "KIND"],
        };
        for word in words {
            let word = match *word {
                "KEY" => {
                    let row = CommandId::Type.command();
                    self.key(row, "key").0
                }
                "COUNT" => self.word(&["0", "1", "3", "-1", "abc"]),
                "SIZE" => self.word(&["0", "3", "44", "45", "100", "-1", "abc"]),
                "KIND" => {
                    let kinds = [
                        "string", "integer", "double", "bignum", "null", "array", "set", "map", "true",
                        "FALSE", "verbatim", "nosuch",
                    ];
                    self.word(&kinds)
                }
                word => word.as_bytes().to_vec(),
            };
            argv.push(word);
        }
    }
}

impl Gen<'_> {
    /// Ends the wait of a connection by its number.
    pub(super) fn unblock(&mut self, waiting: usize, by: usize) {
        let mut options = Options::default();
        let mut argv = vec![b"CLIENT".to_vec(), b"UNBLOCK".to_vec(), conn_id(waiting)];
        self.one_option(&["TIMEOUT", "ERROR", ""], &mut argv, &mut options);
        self.push_intrusion(by, CommandId::ClientUnblock, argv, options);
        self.sessions[waiting].waiting = false;
    }
}
