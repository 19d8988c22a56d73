//! The shard without sockets: a reactor in memory with a clock that stands still until it is told to go on.

use kevy_server::config::{Allow, Config};
use kevy_server::reactor::memory::Memory;
use kevy_server::shard::conn::{ConnId, Peer};
use kevy_server::shard::{Environment, Now, Request, Shard};

/// When the world begins, unix milliseconds.
const BEGINNING: u64 = 1_700_000_000_000;

struct World {
    shard: Shard,
    now: Now,
    memory: Memory,
}

impl World {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(settings: &[(&str, &str)]) -> Self {
        let mut config = Config::default();
        let pairs: Vec<(&[u8], &[u8])> =
            settings.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        config.set(&pairs, true).expect("settings of the test");
        let now = Now::new(BEGINNING * 1000, 5_000_000);
        let shard = Shard::new(config, Environment::isolated(), 42, now);
        Self { shard, now, memory: Memory::default() }
    }

    fn connect(&mut self) -> ConnId {
        self.connect_from("127.0.0.1", true)
    }

    fn connect_from(&mut self, ip: &str, local: bool) -> ConnId {
        let port = 40_000 + self.memory.received.len();
        let peer =
            Peer { addr: format!("{ip}:{port}"), laddr: "127.0.0.1:6379".into(), fd: 9, unix: false, local };
        let conn = self.shard.handle_accept(self.now, peer);
        self.memory.closed.remove(&conn);
        self.memory.received.insert(conn, Vec::new());
        self.memory.drain(&mut self.shard, self.now);
        conn
    }

    /// Bytes arrive in one piece.
    fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        self.shard.handle_recv(self.now, conn, bytes);
        self.turn();
    }

    /// Turns of the loop until nothing is left to be done now.
    fn turn(&mut self) {
        self.memory.turn(&mut self.shard, self.now);
    }

    /// Lets time pass; the shard is woken when it asked to be.
    fn advance(&mut self, millis: u64) {
        let end = self.now.mono + millis * 1000;
        while self.now.mono < end {
            let next = self.shard.poll_timeout().clamp((self.now.mono + 1000).min(end), end);
            // Both clocks count from the same moment.
            self.now = Now::new(BEGINNING * 1000 + (next - 5_000_000), next);
            self.turn();
        }
    }

    /// What arrived since the last time, line ends written as spaces.
    fn output(&mut self, conn: ConnId) -> String {
        let bytes = std::mem::take(self.memory.received.get_mut(&conn).expect("connected"));
        String::from_utf8_lossy(&bytes).replace("\r\n", " ").trim_end().to_string()
    }

    /// Sends a command of words without spaces and gives what comes back at once.
    fn call(&mut self, conn: ConnId, command: &str) -> String {
        self.send(conn, &multibulk(command));
        self.output(conn)
    }

    #[track_caller]
    fn check(&mut self, conn: ConnId, command: &str, expected: &str) {
        assert_eq!(self.call(conn, command), expected, "{command}");
    }

    fn is_closed(&self, conn: ConnId) -> bool {
        self.memory.closed.contains(&conn)
    }

    /// The reader of a connection stops reading.
    fn stall(&mut self, conn: ConnId) {
        self.memory.stalled.insert(conn, Vec::new());
    }

    /// It reads again.
    fn take_up(&mut self, conn: ConnId) {
        for buf in self.memory.stalled.remove(&conn).unwrap_or_default() {
            let received = self.memory.received.get_mut(&conn).expect("connected");
            buf.rest().iter().for_each(|piece| received.extend_from_slice(piece));
            self.shard.handle_sent(self.now, conn, buf, Ok(()));
        }
        self.turn();
    }
}

fn multibulk(command: &str) -> Vec<u8> {
    let words: Vec<&str> = command.split(' ').collect();
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

fn pipeline(commands: &[&str]) -> Vec<u8> {
    commands.iter().flat_map(|command| multibulk(command)).collect()
}

// --- The protocol ---------------------------------------------------------------------------------------------

/// Everything a decoder can meet, ended by something it must refuse.
fn conversation() -> Vec<u8> {
    let mut bytes =
        pipeline(&["PING", "RPUSH list a b c", "LRANGE list 0 -1", "NOSUCH x", "GET", "HSET h f v"]);
    bytes.extend_from_slice(b"\r\nPING \"in line\"\r\n*0\r\n*-1\r\nECHO 'x y'\n");
    bytes.extend_from_slice(&pipeline(&[
        "MULTI",
        "HGET h f",
        "LLEN list",
        "EXEC",
        "SUBSCRIBE c",
        "LLEN list",
        "RESET",
    ]));
    bytes.extend_from_slice(&multibulk(&format!("ECHO {}", "long".repeat(5000))));
    bytes.extend_from_slice(b"*1\r\n?oops\r\nPING\r\n");
    bytes
}

#[test]
fn replies_do_not_depend_on_how_requests_are_cut() {
    let bytes = conversation();
    let whole = {
        let mut world = World::new();
        let conn = world.connect();
        world.send(conn, &bytes);
        assert!(world.is_closed(conn), "a protocol error closes the connection");
        world.output(conn)
    };
    assert!(whole.starts_with("+PONG :3 *3 $1 a $1 b $1 c -ERR unknown command 'NOSUCH'"), "{whole}");
    assert!(whole.ends_with("-ERR Protocol error: expected '$', got '?'"), "{whole}");
    // In two at every byte of the part that varies, and of the end.
    let cuts = (1..600).chain(bytes.len() - 200..bytes.len()).chain((600..bytes.len()).step_by(997));
    for cut in cuts {
        let mut world = World::new();
        let conn = world.connect();
        world.send(conn, &bytes[..cut]);
        world.send(conn, &bytes[cut..]);
        assert_eq!(world.output(conn), whole, "cut at {cut}");
    }
    for size in [1, 2, 3, 7, 64] {
        let mut world = World::new();
        let conn = world.connect();
        for piece in bytes.chunks(size) {
            world.send(conn, piece);
        }
        assert_eq!(world.output(conn), whole, "pieces of {size}");
    }
}

#[test]
fn a_pipeline_is_answered_in_order_and_ends_at_quit() {
    let mut world = World::new();
    let conn = world.connect();
    let commands: Vec<String> = (0..1000).map(|n| format!("ECHO {n}")).collect();
    let mut words: Vec<&str> = commands.iter().map(String::as_str).collect();
    words.push("QUIT");
    words.push("RPUSH list never");
    world.send(conn, &pipeline(&words));
    let mut expected: Vec<String> = (0..1000).map(|n: u32| format!("${} {n}", n.to_string().len())).collect();
    expected.push("+OK".into());
    assert_eq!(world.output(conn), expected.join(" "));
    assert!(world.is_closed(conn));
    let other = world.connect();
    world.check(other, "EXISTS list", ":0");
}

#[test]
fn requests_have_limits() {
    let mut world = World::with(&[("client-query-buffer-limit", "1mb"), ("requirepass", "secret")]);
    let stranger = world.connect();
    world.send(stranger, b"*11\r\n");
    assert_eq!(world.output(stranger), "-ERR Protocol error: unauthenticated multibulk length");
    assert!(world.is_closed(stranger));
    let stranger = world.connect();
    world.send(stranger, b"*1\r\n$16385\r\n");
    assert_eq!(world.output(stranger), "-ERR Protocol error: unauthenticated bulk length");
    assert!(world.is_closed(stranger));

    let conn = world.connect();
    world.check(conn, "AUTH secret", "+OK");
    world.send(conn, b"*2\r\n$4\r\nECHO\r\n$3000000\r\n");
    world.send(conn, &vec![b'x'; 1_000_000]);
    assert!(!world.is_closed(conn));
    world.send(conn, &vec![b'x'; 1_000_000]);
    assert!(world.is_closed(conn), "over client-query-buffer-limit");
    assert_eq!(world.shard.stats.query_buffer_limit_disconnections, 1);
}

// --- Who is let in --------------------------------------------------------------------------------------------

#[test]
fn without_the_password_only_authentication_works() {
    let mut world = World::with(&[("requirepass", "secret")]);
    let conn = world.connect();
    let refused = "-NOAUTH Authentication required.";
    world.check(conn, "PING", refused);
    world.check(conn, "MULTI", refused);
    world.check(conn, "NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with:");
    world.check(conn, "ECHO", "-ERR wrong number of arguments for 'echo' command");
    world.check(conn, "AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled.");
    world.check(conn, "AUTH other secret", "-WRONGPASS invalid username-password pair or user is disabled.");
    world.check(conn, "AUTH default secret", "+OK");
    world.check(conn, "PING", "+PONG");
    world.check(conn, "RESET", "+RESET");
    world.check(conn, "PING", refused);
    let other = world.connect();
    let hello = world.call(other, "HELLO 3 AUTH default secret SETNAME joe");
    assert!(hello.starts_with("%7 $6 server $5 redis"), "{hello}");
    world.check(other, "CLIENT GETNAME", "$3 joe");
    world.check(other, "CONFIG SET requirepass other", "+OK");
    world.check(other, "PING", "+PONG");
    let late = world.connect();
    world.check(late, "PING", refused);
    // The empty password as an argument of length 0.
    world.send(other, b"CONFIG SET requirepass \"\"\r\n");
    assert_eq!(world.output(other), "+OK");
    world.check(late, "PING", "+PONG");
}

#[test]
fn strangers_are_refused_in_protected_mode_and_clients_beyond_the_limit_always() {
    let mut world = World::with(&[("maxclients", "2")]);
    let far = world.connect_from("10.0.0.1", false);
    assert!(world.output(far).starts_with("-DENIED Redis is running in protected mode"));
    assert!(world.is_closed(far));
    let first = world.connect();
    let second = world.connect();
    let third = world.connect();
    assert_eq!(world.output(third), "-ERR max number of clients reached");
    assert!(world.is_closed(third));
    assert_eq!(world.shard.stats.rejected_connections, 2);
    world.check(first, "CONFIG SET maxclients 3 protected-mode no", "+OK");
    let far = world.connect_from("10.0.0.1", false);
    world.check(far, "PING", "+PONG");
    world.check(second, "QUIT", "+OK");
    let third = world.connect();
    world.check(third, "PING", "+PONG");
}

#[test]
fn idle_clients_are_closed_after_the_timeout_unless_they_wait_for_something() {
    let mut world = World::with(&[("timeout", "10")]);
    let [idle, blocked, subscriber, monitor, held] = [(); 5].map(|()| world.connect());
    world.check(blocked, "BLPOP list 0", "");
    world.check(idle, "CLIENT PAUSE 60000 WRITE", "+OK");
    world.check(held, "SET k v", "");
    world.check(subscriber, "SUBSCRIBE c", "*3 $9 subscribe $1 c :1");
    world.check(monitor, "MONITOR", "+OK");
    world.check(idle, "PING", "+PONG");
    world.advance(9_000);
    assert!(!world.is_closed(idle));
    world.advance(3_000);
    assert!(world.is_closed(idle));
    assert!([blocked, subscriber, monitor, held].iter().all(|conn| !world.is_closed(*conn)));
}

// --- Transactions ---------------------------------------------------------------------------------------------

#[test]
fn watch_sees_changes_of_others_and_expiry() {
    let mut world = World::new();
    let (one, two) = (world.connect(), world.connect());
    world.check(one, "RPUSH k a", ":1");
    world.check(one, "PEXPIRE k 100", ":1");
    for (what, millis, expected) in [("nothing happened", 50, "*1 +PONG"), ("the key expired", 60, "*-1")] {
        world.check(one, "WATCH k", "+OK");
        world.advance(millis);
        world.check(one, "MULTI", "+OK");
        world.check(one, "PING", "+QUEUED");
        assert_eq!(world.call(one, "EXEC"), expected, "{what}");
    }
    // A key that is missing when it is watched, and one that expires before.
    world.check(one, "WATCH k", "+OK");
    world.check(two, "RPUSH k b", ":1");
    world.check(one, "MULTI", "+OK");
    world.check(one, "EXEC", "*-1");
    world.check(one, "MULTI", "+OK");
    world.check(one, "EXEC", "*0");
    // A change that is no change.
    world.check(one, "WATCH k other", "+OK");
    world.check(two, "DEL other", ":0");
    world.check(two, "LLEN k", ":1");
    world.check(one, "MULTI", "+OK");
    world.check(one, "EXEC", "*0");
    // Everybody's changes count, also one's own.
    world.check(one, "WATCH k", "+OK");
    world.check(one, "RPUSH k c", ":2");
    world.check(one, "MULTI", "+OK");
    world.check(one, "EXEC", "*-1");
    // In RESP3 nothing is a null.
    world.call(one, "HELLO 3");
    world.check(one, "WATCH k", "+OK");
    world.check(two, "FLUSHALL", "+OK");
    world.check(one, "MULTI", "+OK");
    world.check(one, "EXEC", "_");
}

#[test]
fn a_command_refused_while_queueing_discards_the_transaction() {
    let mut world = World::new();
    let conn = world.connect();
    world.check(conn, "MULTI", "+OK");
    world.check(conn, "RPUSH k a", "+QUEUED");
    world.check(conn, "NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with:");
    world.check(conn, "EXEC", "-EXECABORT Transaction discarded because of previous errors.");
    world.check(conn, "EXISTS k", ":0");
    // An error while it runs is an element, and what comes after it runs.
    world.check(conn, "MULTI", "+OK");
    world.check(conn, "RPUSH k a", "+QUEUED");
    world.check(conn, "HGET k f", "+QUEUED");
    world.check(conn, "BLPOP nothing 0", "+QUEUED");
    world.check(conn, "LLEN k", "+QUEUED");
    world.check(
        conn,
        "EXEC",
        "*4 :1 -WRONGTYPE Operation against a key holding the wrong kind of value *-1 :1",
    );
    world.check(conn, "MULTI", "+OK");
    world.check(conn, "MULTI", "-ERR MULTI calls can not be nested");
    world.check(conn, "SHUTDOWN NOSAVE", "-ERR Command not allowed inside a transaction");
    world.check(conn, "DISCARD", "+OK");
    assert!(world.memory.requests.is_empty());
}

#[test]
fn with_memory_full_only_what_needs_more_is_refused() {
    let mut world = World::new();
    let conn = world.connect();
    world.check(conn, "MULTI", "+OK");
    world.check(conn, "RPUSH k a", "+QUEUED");
    world.shard.env.used_memory = || 1 << 30;
    world.shard.config.settings.maxmemory = 1 << 20;
    let full = "-OOM command not allowed when used memory > 'maxmemory'.";
    world.check(
        conn,
        "EXEC",
        "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.",
    );
    world.check(conn, "RPUSH k a", full);
    world.check(conn, "MULTI", "+OK");
    world.check(conn, "LLEN k", "+QUEUED");
    world.check(conn, "EXEC", "*1 :0");
    world.check(conn, "MULTI", "+OK");
    world.check(conn, "RPUSH k a", full);
    world.check(conn, "EXEC", "-EXECABORT Transaction discarded because of previous errors.");
    world.check(conn, "CONFIG SET maxmemory 0", "+OK");
    world.check(conn, "RPUSH k a", ":1");
}

#[test]
fn nothing_is_evicted_during_a_pause() {
    let mut world = World::with(&[("maxmemory-policy", "allkeys-lru")]);
    let conn = world.connect();
    world.check(conn, "RPUSH k a", ":1");
    world.shard.env.used_memory = || 1 << 30;
    world.check(conn, "CLIENT PAUSE 1000 WRITE", "+OK");
    world.shard.config.settings.maxmemory = 1 << 20;
    world.check(conn, "LLEN k", ":1");
    world.check(conn, "DBSIZE", ":1");
    world.check(conn, "CLIENT UNPAUSE", "+OK");
    world.check(conn, "DBSIZE", ":0");
}

#[test]
fn the_number_of_arguments_is_checked_before_anything_else() {
    let mut world = World::with(&[("requirepass", "secret")]);
    let conn = world.connect();
    world.check(conn, "GET", "-ERR wrong number of arguments for 'get' command");
    world.check(conn, "AUTH secret", "+OK");
    world.check(conn, "MULTI", "+OK");
    world.check(
        conn,
        "EXEC x",
        "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command",
    );
    world.check(conn, "EXEC", "-ERR EXEC without MULTI");
    assert_eq!(world.shard.stats.errors.get(&b"EXECABORT"[..]), Some(&1));
    let stats = world.call(conn, "INFO commandstats");
    assert!(
        stats.contains("cmdstat_get:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0"),
        "{stats}"
    );
}

// --- Messages -------------------------------------------------------------------------------------------------

#[test]
fn messages_are_arrays_in_resp2_and_pushes_in_resp3() {
    let mut world = World::new();
    let (two, three, publisher) = (world.connect(), world.connect(), world.connect());
    world.call(three, "HELLO 3");
    world.check(two, "SUBSCRIBE news", "*3 $9 subscribe $4 news :1");
    world.check(three, "PSUBSCRIBE n*", ">3 $10 psubscribe $2 n* :1");
    world.check(publisher, "PUBLISH news hello", ":2");
    assert_eq!(world.output(two), "*3 $7 message $4 news $5 hello");
    assert_eq!(world.output(three), ">4 $8 pmessage $2 n* $4 news $5 hello");
    world.check(
        two,
        "LLEN x",
        "-ERR Can't execute 'llen': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
    );
    world.check(three, "LLEN x", ":0");
    world.check(two, "PING", "*2 $4 pong $0");
    world.check(three, "PING", "+PONG");
    // To oneself: the reply comes first.
    world.check(three, "PUBLISH news own", ":2 >4 $8 pmessage $2 n* $4 news $3 own");
    world.check(two, "UNSUBSCRIBE", "*3 $7 message $4 news $3 own *3 $11 unsubscribe $4 news :0");
    world.check(two, "LLEN x", ":0");
    world.send(three, b"");
    world.shard.handle_closed(world.now, three);
    world.check(publisher, "PUBSUB NUMPAT", ":0");
}

#[test]
fn expiry_publishes_its_event_when_nobody_looks() {
    let mut world = World::with(&[("notify-keyspace-events", "Ex")]);
    let (writer, listener) = (world.connect(), world.connect());
    world.check(listener, "PSUBSCRIBE *", "*3 $10 psubscribe $1 * :1");
    world.check(writer, "RPUSH k a", ":1");
    world.check(writer, "PEXPIRE k 50", ":1");
    world.advance(40);
    assert_eq!(world.output(listener), "");
    world.advance(300);
    assert_eq!(world.output(listener), "*4 $8 pmessage $1 * $22 __keyevent@0__:expired $1 k");
}

#[test]
fn replies_can_be_switched_off_but_messages_come() {
    let mut world = World::new();
    let (conn, other) = (world.connect(), world.connect());
    world.check(conn, "CLIENT REPLY SKIP", "");
    world.check(conn, "PING", "");
    world.check(conn, "PING", "+PONG");
    world.check(conn, "CLIENT REPLY OFF", "");
    world.check(conn, "NOSUCH", "");
    world.check(conn, "CLIENT REPLY SKIP", "");
    world.check(conn, "RPUSH k a", "");
    world.check(other, "LLEN k", ":1");
    world.check(conn, "SUBSCRIBE c", "*3 $9 subscribe $1 c :1");
    world.check(other, "PUBLISH c x", ":1");
    assert_eq!(world.output(conn), "*3 $7 message $1 c $1 x");
    world.check(conn, "UNSUBSCRIBE c", "*3 $11 unsubscribe $1 c :0");
    world.check(conn, "CLIENT REPLY ON", "+OK");
    world.check(conn, "PING", "+PONG");
}

#[test]
fn a_subscriber_of_very_much_is_gone_at_once_and_forgotten_in_steps() {
    let mut world = World::new();
    let (many, other) = (world.connect(), world.connect());
    for round in 0..10 {
        let names: Vec<String> = (0..1000).map(|n| format!("c{round}:{n}")).collect();
        world.call(many, &format!("SUBSCRIBE {}", names.join(" ")));
    }
    world.call(many, "PSUBSCRIBE c9*");
    world.call(many, "SSUBSCRIBE s");
    world.call(other, "SUBSCRIBE c0:0");
    let asker = world.connect();
    world.check(asker, "PUBSUB NUMSUB c0:0 c9:999", "*4 $4 c0:0 :2 $6 c9:999 :1");

    world.shard.handle_closed(world.now, many);
    assert!(world.shard.subscriptions.is_leaving(Some(many)));
    // Nothing is done between these: no turn of the loop.
    let mut ask = |command: &str| {
        world.shard.handle_recv(world.now, asker, &multibulk(command));
        world.memory.drain(&mut world.shard, world.now);
        assert!(world.shard.subscriptions.is_leaving(Some(many)));
        world.output(asker)
    };
    assert_eq!(ask("PUBSUB NUMSUB c0:0 c9:999"), "*4 $4 c0:0 :1 $6 c9:999 :0");
    assert_eq!(ask("PUBSUB CHANNELS"), "*1 $4 c0:0");
    assert_eq!(ask("PUBSUB NUMPAT"), ":0");
    assert_eq!(ask("PUBSUB SHARDCHANNELS"), "*0");
    assert_eq!(ask("PUBLISH c0:0 x"), ":1");
    assert_eq!(ask("PUBLISH c9:999 x"), ":0");
    assert_eq!(ask("SPUBLISH s x"), ":0");
    let next = world.connect();
    assert_ne!(next, many, "the place is taken as long as something refers to it");
    assert!(world.shard.subscriptions.is_leaving(Some(many)));
    world.turn();
    assert!(!world.shard.subscriptions.is_leaving(None));
    assert_eq!(world.connect(), many);
    world.check(asker, "PUBSUB CHANNELS", "*1 $4 c0:0");
}

#[test]
fn monitors_see_what_ran_without_secrets() {
    let mut world = World::new();
    let (monitor, conn) = (world.connect(), world.connect());
    world.check(monitor, "MONITOR", "+OK");
    world.send(
        conn,
        &pipeline(&[
            "MULTI",
            "RPUSH k a",
            "EXEC",
            "AUTH default pw",
            "CONFIG GET port",
            "NOSUCH",
            "BLPOP list 1",
        ]),
    );
    world.call(conn, "IGNORED-UNTIL-SERVED");
    let addr = "127.0.0.1:40001";
    let lines: Vec<String> = [
        "\"MULTI\"",
        "\"RPUSH\" \"k\" \"a\"",
        "\"EXEC\"",
        "\"AUTH\" \"(redacted)\" \"(redacted)\"",
        "\"BLPOP\" \"list\" \"1\"",
    ]
    .iter()
    .map(|command| format!("+1700000000.000000 [0 {addr}] {command}"))
    .collect();
    assert_eq!(world.output(monitor), lines.join(" "));
    world.check(monitor, "LLEN k", "-ERR Replica can't interact with the keyspace");
    world.check(monitor, "RESET", "+RESET");
    world.check(monitor, "LLEN k", ":1");
    let other = world.connect();
    world.check(other, "PING", "+PONG");
    assert_eq!(world.output(monitor), "");
}

// --- Waiting --------------------------------------------------------------------------------------------------

#[test]
fn a_blocked_client_is_served_or_times_out() {
    let mut world = World::new();
    let (waiting, pusher) = (world.connect(), world.connect());
    world.check(waiting, "BLPOP a b 0.5", "");
    world.advance(499);
    assert_eq!(world.output(waiting), "");
    world.advance(2);
    assert_eq!(world.output(waiting), "*-1");
    world.check(waiting, "BLPOP a b 0", "");
    world.advance(3_600_000);
    assert_eq!(world.output(waiting), "");
    world.check(pusher, "RPUSH b x y", ":2");
    assert_eq!(world.output(waiting), "*2 $1 b $1 x");
    world.check(pusher, "LLEN b", ":1");
}

#[test]
fn whoever_waited_longest_is_served_first_and_a_vanished_client_swallows_nothing() {
    let mut world = World::new();
    let [first, second, third, pusher] = [(); 4].map(|()| world.connect());
    for conn in [first, second, third] {
        world.check(conn, "BLPOP q 0", "");
    }
    world.shard.handle_closed(world.now, second);
    world.check(pusher, "RPUSH q 1 2", ":2");
    assert_eq!(world.output(first), "*2 $1 q $1 1");
    assert_eq!(world.output(third), "*2 $1 q $1 2");
    world.check(pusher, "EXISTS q", ":0");
}

#[test]
fn commands_behind_a_blocking_one_wait_for_it() {
    let mut world = World::new();
    let (conn, other) = (world.connect(), world.connect());
    world.send(conn, &pipeline(&["PING", "BLPOP q 0", "ECHO after", "BLPOP q 0.1", "ECHO last"]));
    assert_eq!(world.output(conn), "+PONG");
    world.check(other, "RPUSH q x", ":1");
    assert_eq!(world.output(conn), "*2 $1 q $1 x $5 after");
    world.advance(200);
    assert_eq!(world.output(conn), "*-1 $4 last");
}

#[test]
fn blocked_clients_can_be_unblocked() {
    let mut world = World::new();
    let (conn, other) = (world.connect(), world.connect());
    let id = world.call(conn, "CLIENT ID").trim_start_matches(':').to_string();
    world.check(other, &format!("CLIENT UNBLOCK {id}"), ":0");
    world.check(conn, "BLPOP q 0", "");
    world.check(other, &format!("CLIENT UNBLOCK {id}"), ":1");
    assert_eq!(world.output(conn), "*-1");
    world.check(conn, "BLPOP q 0", "");
    world.check(other, &format!("CLIENT UNBLOCK {id} ERROR"), ":1");
    assert_eq!(world.output(conn), "-UNBLOCKED client unblocked via CLIENT UNBLOCK");
    world.check(other, "CLIENT UNBLOCK 999", ":0");
    world.check(other, "RPUSH q x", ":1");
    assert_eq!(world.output(conn), "");
}

#[test]
fn a_pause_holds_writes_or_everything_until_it_ends() {
    let mut world = World::new();
    let (admin, conn) = (world.connect(), world.connect());
    world.check(admin, "CLIENT PAUSE 1000 WRITE", "+OK");
    world.send(conn, &pipeline(&["LLEN q", "RPUSH q a", "LLEN q", "MULTI", "RPUSH q b", "EXEC"]));
    assert_eq!(world.output(conn), ":0");
    world.check(admin, "LLEN q", ":0");
    world.advance(999);
    assert_eq!(world.output(conn), "");
    world.advance(1);
    assert_eq!(world.output(conn), ":1 :1 +OK +QUEUED *1 :2");
    // Expiry is a write.
    world.check(conn, "PEXPIRE q 100", ":1");
    world.check(admin, "CLIENT PAUSE 1000 WRITE", "+OK");
    world.check(conn, "PUBLISH a b", "");
    world.check(admin, "CLIENT UNPAUSE", "+OK");
    assert_eq!(world.output(conn), ":0");
    world.check(admin, "CLIENT PAUSE 500 ALL", "+OK");
    world.check(admin, "CLIENT UNPAUSE", "");
    world.check(conn, "PING", "");
    world.advance(500);
    assert_eq!(world.output(conn), "+PONG");
    assert_eq!(world.output(admin), "+OK");
    world.check(admin, "CLIENT PAUSE 100 SOME", "-ERR CLIENT PAUSE mode must be WRITE or ALL");
}

/// The loop comes to the end of a pause no earlier than to what has arrived meanwhile.
#[test]
fn what_was_held_back_comes_before_what_arrives_when_the_pause_has_ended() {
    let mut world = World::new();
    let (admin, reader, writer) = (world.connect(), world.connect(), world.connect());
    let late = world.connect();
    world.check(admin, "CLIENT PAUSE 60 ALL", "+OK");
    world.check(reader, "LLEN q", "");
    world.check(writer, "RPUSH q a", "");
    world.now = Now { unix: world.now.unix + 61, micros: 0, mono: world.now.mono + 61_000 };
    world.send(late, &pipeline(&["LPOP q", "CLIENT PAUSE 500 WRITE", "LLEN q"]));
    assert_eq!(world.output(reader), ":0");
    assert_eq!(world.output(writer), ":1");
    assert_eq!(world.output(late), "$1 a +OK :0");
}

/// A pause that only holds back what writes is no more than longer if another one begins before its end is seen.
#[test]
fn a_pause_that_begins_when_another_one_has_ended_holds_back_what_that_did() {
    let mut world = World::new();
    let (admin, late, writer) = (world.connect(), world.connect(), world.connect());
    world.check(admin, "CLIENT PAUSE 60 WRITE", "+OK");
    world.check(writer, "RPUSH q a", "");
    world.now = Now { unix: world.now.unix + 61, micros: 0, mono: world.now.mono + 61_000 };
    world.send(late, &pipeline(&["CLIENT PAUSE 500 WRITE"]));
    assert_eq!(world.output(late), "+OK");
    assert_eq!(world.output(writer), "");
    world.advance(500);
    assert_eq!(world.output(writer), ":1");
}

#[test]
fn a_protocol_error_is_not_told_who_wants_no_replies() {
    let mut world = World::new();
    let conn = world.connect();
    world.check(conn, "CLIENT REPLY OFF", "");
    world.send(conn, b"*1\r\n$x\r\n");
    assert_eq!(world.output(conn), "");
    assert!(world.is_closed(conn));
}

/// Compared with Redis 8.0.6 by hand.
#[test]
fn a_reply_to_be_skipped_is_skipped_after_a_pause_too_and_the_next_one_comes() {
    let mut world = World::new();
    let (admin, conn) = (world.connect(), world.connect());
    for (mode, between) in [("ALL", ""), ("WRITE", "")] {
        world.check(admin, &format!("CLIENT PAUSE 500 {mode}"), "+OK");
        world.send(conn, &pipeline(&["CLIENT REPLY SKIP", "SET k v", "ECHO next"]));
        assert_eq!(world.output(conn), between);
        world.advance(500);
        assert_eq!(world.output(conn), "$4 next", "{mode}");
    }
    world.check(admin, "CLIENT PAUSE 500 WRITE", "+OK");
    world.check(conn, "CLIENT REPLY SKIP", "");
    world.check(conn, "SET k v", "");
    world.check(conn, "ECHO next", "");
    world.advance(500);
    assert_eq!(world.output(conn), "$4 next");
    world.send(
        conn,
        &pipeline(&["MULTI", "SET k w", "CLIENT REPLY SKIP", "EXEC", "ECHO skipped", "ECHO next"]),
    );
    assert_eq!(world.output(conn), "+OK +QUEUED +QUEUED *2 +OK $4 next");
}

// --- Closing --------------------------------------------------------------------------------------------------

#[test]
fn killing_others_is_silent_and_killing_oneself_is_answered() {
    let mut world = World::new();
    let (killer, victim, subscriber) = (world.connect(), world.connect(), world.connect());
    world.check(subscriber, "SUBSCRIBE c", "*3 $9 subscribe $1 c :1");
    world.check(killer, "CLIENT KILL TYPE pubsub", ":1");
    assert!(world.is_closed(subscriber));
    world.check(killer, "PUBLISH c x", ":0");
    world.check(killer, "CLIENT KILL MAXAGE 5", ":0");
    world.advance(6_000);
    world.check(killer, "CLIENT KILL MAXAGE 5", ":1");
    assert!(world.is_closed(victim));
    assert_eq!(world.output(victim), "");
    world.check(killer, "CLIENT KILL 127.0.0.1:1", "-ERR No such client");
    world.send(killer, &pipeline(&["CLIENT KILL 127.0.0.1:40000", "RPUSH k never"]));
    assert_eq!(world.output(killer), "+OK");
    assert!(world.is_closed(killer));
    let other = world.connect();
    world.check(other, "EXISTS k", ":0");
}

#[test]
fn a_slow_reader_is_closed_over_the_hard_limit_at_once_and_over_the_soft_limit_after_a_while() {
    let mut world = World::with(&[("client-output-buffer-limit", "normal 1mb 0 0 pubsub 1mb 100kb 5")]);
    let (slow, subscriber, publisher) = (world.connect(), world.connect(), world.connect());
    let value = "v".repeat(50_000);
    world.check(publisher, &format!("RPUSH list {value}"), ":1");
    world.stall(slow);
    for _ in 0..20 {
        world.send(slow, &multibulk("LRANGE list 0 -1"));
    }
    assert!(!world.is_closed(slow));
    for _ in 0..2 {
        world.send(slow, &multibulk("LRANGE list 0 -1"));
    }
    assert!(world.is_closed(slow));

    world.check(subscriber, "SUBSCRIBE c", "*3 $9 subscribe $1 c :1");
    world.stall(subscriber);
    for _ in 0..3 {
        world.call(publisher, &format!("PUBLISH c {value}"));
    }
    world.advance(4_000);
    assert!(!world.is_closed(subscriber));
    world.advance(4_000);
    assert!(world.is_closed(subscriber));
    assert_eq!(world.shard.stats.output_buffer_limit_disconnections, 2);
    world.check(publisher, "PUBLISH c x", ":0");
}

#[test]
fn clients_that_hold_too_much_together_are_closed_largest_first() {
    let mut world = World::new();
    let [small, large, larger, exempt] = [(); 4].map(|()| world.connect());
    world.check(exempt, "CLIENT NO-EVICT ON", "+OK");
    for (conn, bytes) in [(small, 1_000), (large, 300_000), (larger, 400_000), (exempt, 500_000)] {
        world.send(conn, format!("*2\r\n$4\r\nECHO\r\n${}\r\n", bytes + 10_000).as_bytes());
        world.send(conn, &vec![b'x'; bytes]);
    }
    world.advance(1_000);
    let admin = world.connect();
    world.check(admin, "CONFIG SET maxmemory 4mb maxmemory-clients 25%", "+OK");
    world.advance(200);
    let closed = [small, large, larger, exempt].map(|conn| world.is_closed(conn));
    assert_eq!(closed, [false, false, true, false]);
    world.check(admin, "CONFIG SET maxmemory-clients 1000", "+OK");
    world.advance(200);
    assert!(!world.is_closed(exempt));
    assert!(world.is_closed(small) && world.is_closed(large) && world.is_closed(admin));
}

#[test]
fn shutdown_is_asked_of_the_process_and_not_answered() {
    let mut world = World::new();
    let conn = world.connect();
    world.check(conn, "SHUTDOWN ABORT", "-ERR No shutdown in progress.");
    world.check(conn, "SHUTDOWN SAVE NOSAVE", "-ERR syntax error");
    assert!(world.memory.requests.is_empty());
    world.send(conn, &pipeline(&["SHUTDOWN NOSAVE", "PING"]));
    assert_eq!(world.output(conn), "");
    assert_eq!(world.memory.requests, [Request::Shutdown]);
}

// --- Large replies --------------------------------------------------------------------------------------------

/// A bulk string as it arrives, line ends written as spaces.
fn bulk(text: &str) -> String {
    format!("${} {text}", text.len())
}

#[test]
fn a_reply_on_its_way_keeps_the_value_it_was_given_for() {
    let large = "v".repeat(kevy::value::LARGE_STRING);
    let changed = format!("w{}", &large[1..]);
    for (change, then) in [
        ("APPEND k x", bulk(&format!("{large}x"))),
        ("SETRANGE k 0 w", bulk(&changed)),
        ("SET k small", bulk("small")),
        ("DEL k", "$-1".into()),
        ("FLUSHALL", "$-1".into()),
        ("RENAME k other", "$-1".into()),
        ("EXPIREAT k 1", "$-1".into()),
    ] {
        let mut world = World::new();
        let (reader, writer) = (world.connect(), world.connect());
        world.check(writer, &format!("SET k {large}"), "+OK");
        world.stall(reader);
        world.send(reader, &pipeline(&["ECHO before", "GET k", "ECHO between", "MGET none k", "ECHO after"]));
        world.call(writer, change);
        world.send(reader, &multibulk("GET k"));
        let expected = [
            &bulk("before"),
            &bulk(&large),
            &bulk("between"),
            "*2 $-1",
            &bulk(&large),
            &bulk("after"),
            &then,
        ];
        world.take_up(reader);
        assert_eq!(world.output(reader), expected.join(" "), "{change}");
    }
}

#[test]
fn a_large_value_is_shared_by_all_who_read_it_and_counts_for_each() {
    let large = "v".repeat(1 << 20);
    let mut world = World::with(&[("client-output-buffer-limit", "normal 3mb 0 0")]);
    let (reader, writer) = (world.connect(), world.connect());
    world.check(writer, &format!("SET k {large}"), "+OK");
    let addresses: Vec<*const u8> = [reader, world.connect(), world.connect()]
        .into_iter()
        .map(|conn| {
            world.stall(conn);
            world.send(conn, &multibulk("GET k"));
            let [_, sent] = world.memory.stalled[&conn][0].rest();
            assert_eq!(sent.len(), large.len());
            sent.as_ptr()
        })
        .collect();
    assert!(addresses.iter().all(|&address| address == addresses[0]), "{addresses:?}");
    let listed = world.call(writer, "CLIENT LIST");
    let waits = large.len() + "$1048576\r\n".len();
    assert!(listed.contains(&format!("omem={waits} ")), "{listed}");
    world.send(reader, &multibulk("GET k"));
    assert!(!world.is_closed(reader));
    world.send(reader, &multibulk("GET k"));
    assert!(world.is_closed(reader), "over the hard limit");
}

#[test]
fn large_elements_are_shared_too_and_arrive_as_they_were() {
    let large = "v".repeat(kevy::value::LARGE_STRING);
    let (hash, list) = (format!("HSET k f {large} g small"), format!("RPUSH k a {large} b"));
    for (make, read, change, expected) in [
        (&hash, "HGET k f", "HSET k f other", bulk(&large)),
        (&hash, "HMGET k g f none", "DEL k", format!("*3 {} {} $-1", bulk("small"), bulk(&large))),
        (&hash, "HGETDEL k FIELDS 1 f", "DEL k", format!("*1 {}", bulk(&large))),
        (&list, "LINDEX k 1", "LSET k 1 other", bulk(&large)),
        (&list, "LINDEX k -2", "LTRIM k 0 0", bulk(&large)),
    ] {
        let mut world = World::new();
        let (reader, writer) = (world.connect(), world.connect());
        world.call(writer, make);
        world.stall(reader);
        world.send(reader, &multibulk(read));
        let [_, sent] = world.memory.stalled[&reader][0].rest();
        assert_eq!(sent.len(), large.len(), "{read}");
        world.call(writer, change);
        world.take_up(reader);
        assert_eq!(world.output(reader), expected, "{read}");
    }
}

#[test]
fn a_large_reply_can_be_skipped_or_belong_to_a_transaction() {
    let large = "v".repeat(kevy::value::LARGE_STRING);
    let mut world = World::new();
    let conn = world.connect();
    world.check(conn, &format!("SET k {large}"), "+OK");
    world.send(conn, &pipeline(&["CLIENT REPLY SKIP", "GET k", "ECHO x"]));
    assert_eq!(world.output(conn), bulk("x"));
    world.send(conn, &pipeline(&["CLIENT REPLY OFF", "GET k", "MGET k k", "CLIENT REPLY ON"]));
    assert_eq!(world.output(conn), "+OK");
    world.send(conn, &pipeline(&["MULTI", "GET k", "LPOP k", "GETDEL k", "EXEC"]));
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    let value = bulk(&large);
    assert_eq!(world.output(conn), format!("+OK +QUEUED +QUEUED +QUEUED *3 {value} {wrong} {value}"));
    world.check(conn, "SET k a", "+OK");
    world.check(conn, "GET k", "$1 a");
}

#[test]
fn output_that_waits_is_not_moved_when_more_comes() {
    let mut world = World::new();
    let conn = world.connect();
    world.stall(conn);
    let text = "t".repeat(10_000);
    let mut expected = Vec::new();
    for n in 0..100 {
        world.send(conn, &multibulk(&format!("ECHO {n}{text}")));
        expected.push(bulk(&format!("{n}{text}")));
    }
    let waiting = world.shard.conn(conn).expect("connected");
    assert!(waiting.chunks.len() > 5, "{}", waiting.chunks.len());
    assert!(waiting.chunks.iter().all(|chunk| chunk.len() < 128 * 1024));
    assert_eq!(waiting.pending_output(), expected.iter().map(|reply| reply.len() + 3).sum::<usize>());
    world.take_up(conn);
    assert_eq!(world.output(conn), expected.join(" "));
    assert_eq!(world.shard.conn(conn).expect("connected").pending_output(), 0);
}

// --- The server about itself ----------------------------------------------------------------------------------

#[test]
fn a_refused_change_of_the_configuration_changes_nothing() {
    let mut world = World::new();
    let conn = world.connect();
    world.check(
        conn,
        "CONFIG SET hz 50 maxmemory many",
        "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value",
    );
    world.check(conn, "CONFIG GET hz", "*2 $2 hz $2 10");
    world.shard.env.apply_config = |_, _, changed| Err((changed[0], "not today".into()));
    world.check(
        conn,
        "CONFIG SET hz 50",
        "-ERR CONFIG SET failed (possibly related to argument 'hz') - not today",
    );
    world.check(conn, "CONFIG GET hz", "*2 $2 hz $2 10");
    world.check(conn, "CONFIG REWRITE", "-ERR The server is running without a config file");
}

#[test]
fn the_slow_log_keeps_what_took_long() {
    let mut world = World::new();
    let conn = world.connect();
    world.check(conn, "CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 2", "+OK");
    world.check(conn, "PING", "+PONG");
    world.check(conn, "AUTH x", "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?");
    world.check(
        conn,
        "SLOWLOG GET",
        "*2 *6 :2 :1700000000 :0 *2 $4 AUTH $10 (redacted) $15 127.0.0.1:40000 $0  *6 :1 :1700000000 :0 *1 $4 PING \
         $15 127.0.0.1:40000 $0",
    );
    world.check(conn, "CONFIG SET slowlog-log-slower-than -1", "+OK");
    world.check(conn, "SLOWLOG RESET", "+OK");
    world.check(conn, "SLOWLOG LEN", ":0");
}

#[test]
fn client_list_shows_every_field_in_order() {
    let mut world = World::new();
    let (conn, blocked) = (world.connect(), world.connect());
    world.check(conn, "CLIENT SETNAME joe", "+OK");
    world.check(conn, "CLIENT SETINFO LIB-NAME lib", "+OK");
    world.check(blocked, "SELECT 3", "+OK");
    world.check(blocked, "BLPOP q 0", "");
    world.advance(2_000);
    let list = world.call(conn, "CLIENT LIST");
    let lines: Vec<Vec<(&str, &str)>> = list
        .split('\n')
        .map(|line| line.split(' ').filter_map(|field| field.split_once('=')).collect())
        .filter(|fields: &Vec<_>| !fields.is_empty())
        .collect();
    let names: Vec<&str> = lines[0].iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names.join(" "),
        "id addr laddr fd name age idle flags db sub psub ssub multi watch qbuf qbuf-free argv-mem multi-mem rbs rbp \
         obl oll omem tot-mem events cmd user redir resp lib-name lib-ver io-thread"
    );
    let field =
        |line: usize, name: &str| lines[line].iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    let shown = |line: usize| {
        ["name", "age", "idle", "flags", "db", "cmd", "lib-name"].map(|n| field(line, n).unwrap())
    };
    assert_eq!(shown(0), ["joe", "2", "0", "N", "0", "client|list", "lib"]);
    assert_eq!(shown(1), ["", "2", "2", "b", "3", "blpop", ""]);
}

#[test]
fn info_has_the_sections_that_are_asked_for_in_a_fixed_order() {
    let mut world = World::new();
    let conn = world.connect();
    let mut titles = |command: &str| {
        let text = world.call(conn, command);
        let titles: Vec<&str> =
            text.split("# ").skip(1).map(|part| part.split(' ').next().unwrap()).collect();
        titles.join(" ")
    };
    let default = "Server Clients Memory Persistence Threads Stats Replication CPU Modules Errorstats Cluster Keyspace \
                   Keysizes";
    assert_eq!(titles("INFO"), default);
    assert_eq!(titles("info DEFAULT"), default);
    let all = "Server Clients Memory Persistence Threads Stats Replication CPU Modules Commandstats Errorstats \
               Latencystats Cluster Keyspace Keysizes Kevy";
    assert_eq!(titles("INFO all"), all);
    assert_eq!(titles("INFO everything"), all);
    assert_eq!(titles("INFO keyspace nosuch CPU"), "CPU Keyspace");
    assert_eq!(titles("INFO default commandstats").split(' ').count(), 14);
    assert_eq!(titles("INFO nosuch"), "");
    world.call(conn, "HELLO 3");
    world.check(conn, "INFO cluster", "=34 txt:# Cluster cluster_enabled:0");
}

#[test]
fn each_command_has_its_own_time_and_a_transaction_has_one() {
    thread_local! {
        static STOPWATCH: std::cell::Cell<u64> = const { std::cell::Cell::new(7_000) };
    }
    let mut world = World::new();
    world.shard.config.security.enable_debug_command = Allow::Yes;
    world.shard.env.stopwatch = || STOPWATCH.get();
    world.shard.env.hold = |micros| STOPWATCH.set(STOPWATCH.get() + micros);
    let conn = world.connect();
    let at = |micros: u64| {
        let now = BEGINNING * 1000 + micros;
        let (seconds, micros) = ((now / 1_000_000).to_string(), (now % 1_000_000).to_string());
        format!("*2 ${} {seconds} ${} {micros}", seconds.len(), micros.len())
    };
    // What a slow command takes is not taken from the deadline of the next one.
    let slow = ["TIME", "DEBUG SLEEP 0.5", "SET key v PX 300", "DEBUG SLEEP 0.2501", "TIME", "PTTL key"];
    world.send(conn, &pipeline(&slow));
    assert_eq!(world.output(conn), format!("{} +OK +OK +OK {} :50", at(0), at(750_100)));
    let transaction = ["MULTI", "TIME", "DEBUG SLEEP 0.5", "TIME", "PTTL key", "EXEC", "PTTL key"];
    world.send(conn, &pipeline(&transaction));
    assert_eq!(
        world.output(conn),
        format!("+OK +QUEUED +QUEUED +QUEUED +QUEUED *4 {0} +OK {0} :50 :-2", at(750_100))
    );
}

#[test]
fn renamed_commands_answer_to_their_new_names() {
    let mut world = World::new();
    let renames = &mut world.shard.config.security.renames;
    renames.rename(b"config", b"").unwrap();
    renames.rename(b"GET", b"Fetch").unwrap();
    let conn = world.connect();
    world.check(conn, "SET key value", "+OK");
    world.check(conn, "fetch key", "$5 value");
    world.check(conn, "fetch", "-ERR wrong number of arguments for 'get' command");
    world.check(conn, "GET key", "-ERR unknown command 'GET', with args beginning with: 'key'");
    world.check(
        conn,
        "CONFIG GET port",
        "-ERR unknown command 'CONFIG', with args beginning with: 'GET' 'port'",
    );
    world.check(conn, "MULTI", "+OK");
    world.check(conn, "FETCH key", "+QUEUED");
    world.check(conn, "EXEC", "*1 $5 value");
}

#[test]
fn many_keys_that_expire_together_vanish_untouched_within_a_second() {
    let mut world = World::with(&[("notify-keyspace-events", "Ex")]);
    let (conn, watcher) = (world.connect(), world.connect());
    world.call(watcher, "SUBSCRIBE __keyevent@3__:expired");
    for db in [0, 3, 15] {
        world.call(conn, &format!("SELECT {db}"));
        for i in 0..30_000 {
            world.call(conn, &format!("SET key:{i} v PX 300"));
        }
        world.call(conn, "SET stays v");
    }
    world.advance(1_300);
    for db in [0, 3, 15] {
        world.call(conn, &format!("SELECT {db}"));
        world.check(conn, "DBSIZE", ":1");
    }
    assert_eq!(world.output(watcher).matches("key:").count(), 30_000);
}

// --- Hostile clients and bad days ---------------------------------------------------------------------------------

#[test]
fn a_close_that_was_overtaken_does_not_hit_the_next_connection() {
    let mut world = World::new();
    let (killer, victim) = (world.connect(), world.connect());
    // In one turn of the loop: killed, gone by itself, and its place taken by somebody else.
    world.shard.handle_recv(world.now, killer, &multibulk("CLIENT KILL ID 2"));
    world.shard.handle_closed(world.now, victim);
    let next = world.connect();
    assert_eq!(next, victim, "the place is used again");
    world.check(next, "PING", "+PONG");
    assert!(!world.is_closed(next));
}

#[test]
fn a_clock_that_is_set_back_closes_nobody() {
    let mut world = World::with(&[("client-output-buffer-limit", "normal 0 10000 5")]);
    let conn = world.connect();
    world.stall(conn);
    world.send(conn, &multibulk(&format!("ECHO {}", "x".repeat(40_000))));
    world.send(conn, &multibulk("PING"));
    world.turn();
    world.now.mono += 2_000_000;
    world.now.unix -= 3_600_000;
    world.turn();
    assert!(!world.is_closed(conn));
    world.now.mono += 5_000_000;
    world.turn();
    assert!(world.is_closed(conn), "limits over time go on");
}

#[test]
fn a_transaction_counts_as_a_part_of_the_query_buffer() {
    let mut world = World::with(&[("client-query-buffer-limit", "1mb")]);
    let conn = world.connect();
    world.check(conn, "MULTI", "+OK");
    let command = multibulk(&format!("APPEND key {}", "x".repeat(100_000)));
    let queued = (0..20).take_while(|_| {
        world.send(conn, &command);
        !world.is_closed(conn)
    });
    assert_eq!(queued.count(), 10);
}

#[test]
fn a_million_watched_keys_are_watched_in_no_time() {
    let mut world = World::new();
    let (conn, other) = (world.connect(), world.connect());
    let keys: Vec<String> = (0..200_000).map(|number| format!("k{number}")).collect();
    // Quadratic work would take minutes.
    world.check(conn, &format!("WATCH {} k7", keys.join(" ")), "+OK");
    assert!(world.call(other, "CLIENT LIST ID 1").contains(" watch=200000 "));
    world.check(other, "SET k199999 v", "+OK");
    world.check(conn, "MULTI", "+OK");
    world.check(conn, "EXEC", "*-1");
}

#[test]
fn a_browser_that_is_made_to_send_commands_is_cut_off() {
    let mut world = World::new();
    for request in ["POST / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nhost: localhost\r\n"] {
        let conn = world.connect();
        world.send(conn, format!("{request}\r\nSET key v\r\n").as_bytes());
        assert!(world.is_closed(conn));
        assert_eq!(world.output(conn), "");
    }
    let conn = world.connect();
    world.check(conn, "EXISTS key", ":0");
}

#[test]
fn an_idle_connection_owns_no_buffer() {
    let mut world = World::new();
    let conn = world.connect();
    world.send(conn, b"*2\r\n$4\r\nECHO\r\n$20000\r\n");
    world.send(conn, &[b'x'; 20_002]);
    assert!(world.shard.conn(conn).unwrap().query.capacity() > 0);
    world.advance(5000);
    assert_eq!(world.shard.conn(conn).unwrap().query.capacity(), 0);
}

#[test]
fn a_lowered_memory_limit_is_reached_in_many_short_steps() {
    thread_local! {
        static STOPWATCH: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
        static USED: std::cell::Cell<usize> = const { std::cell::Cell::new(100_000) };
    }
    let mut world = World::with(&[("maxmemory-policy", "allkeys-random")]);
    let conn = world.connect();
    for number in 0..100 {
        world.check(conn, &format!("SET k{number} v"), "+OK");
    }
    // Each eviction is followed by a look at the memory, frees a hundred bytes, and takes a tenth of a millisecond.
    world.shard.env.used_memory = || {
        USED.set(USED.get() - 100);
        USED.get()
    };
    world.shard.env.stopwatch = || {
        STOPWATCH.set(STOPWATCH.get() + 100);
        STOPWATCH.get()
    };
    world.shard.config.settings.maxmemory = 95_000;
    world.shard.handle_recv(world.now, conn, &multibulk("SET k0 w"));
    let evicted = world.shard.realm.keyspace.stats.evicted;
    assert!((1..10).contains(&evicted), "{evicted} by one command");
    assert_eq!(world.shard.poll_timeout(), world.shard.now.mono, "the loop does not sleep");
    world.turn();
    assert_eq!(world.output(conn), "+OK");
    let evicted = world.shard.realm.keyspace.stats.evicted;
    assert!(USED.get() <= 95_000 && evicted > 20, "{evicted} evicted, {} bytes used", USED.get());
}

/// A large argument has a buffer of its own, wherever the bytes are cut and whatever comes around it.
#[test]
fn large_arguments_arrive_in_any_pieces() {
    let sized = |letter: &str, more: usize| letter.repeat(kevy::value::LARGE_STRING + more);
    let (a, b) = (sized("a", 0), sized("b", 30_000));
    let almost = &a[1..];
    let commands = [
        format!("SET k {a}"),
        format!("SET k {b} PX 60000 GET"),
        "PTTL k".into(),
        format!("SET k {a} NX"),
        format!("SET k {almost} KEEPTTL"),
        "STRLEN k".into(),
        format!("MSET k {b} l {a} m {almost} n {b}"),
        "MGET k l m n".into(),
        format!("APPEND k {a}"),
        format!("APPEND k {a}"),
        "STRLEN k".into(),
        format!("{a} b c"),
        format!("SET {a} {b}"),
        format!("GET {a}"),
        format!("ECHO {b}"),
        format!("SET k {b}"),
        format!("SETRANGE k 1 {a}"),
        "GET k".into(),
        format!("HSET h f {a} {b} g"),
        "HGETALL h".into(),
        "MULTI".into(),
        format!("SET k {b} EX 100"),
        "GET k".into(),
        "GET h".into(),
        format!("SET k {a}"),
        "APPEND k x".into(),
        "MGET k l".into(),
        "EXEC".into(),
        "GET k".into(),
    ];
    let stream = pipeline(&commands.iter().map(String::as_str).collect::<Vec<_>>());
    let run = |piece: &mut dyn FnMut() -> usize| {
        let mut world = World::new();
        let conn = world.connect();
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(piece().clamp(1, rest.len()));
            world.shard.handle_recv(world.now, conn, now);
            rest = later;
        }
        world.turn();
        let output = world.output(conn);
        assert_eq!(world.shard.conn(conn).unwrap().pending_input(), 0);
        output
    };
    let expected = run(&mut || usize::MAX);
    assert!(expected.ends_with(&format!("${} {a}x", a.len() + 1)), "the last reply is the last value");
    for size in [7, 1000, 4096, 16 * 1024, 64 * 1024, 100_000] {
        assert!(run(&mut || size) == expected, "pieces of {size} bytes");
    }
    for seed in 1..40 {
        let mut rng = kevy::rng::Rng::new(seed);
        let most = [100, 10_000, 70_000, 300_000][seed as usize % 4];
        assert!(run(&mut || rng.below(most) as usize + 1) == expected, "seed {seed}");
    }
}

#[test]
fn a_large_argument_is_not_copied_into_its_value() {
    let mut world = World::new();
    let conn = world.connect();
    let value = "v".repeat(1_000_000);
    for (command, key) in [
        (format!("SET a {value}"), "a"),
        (format!("SET a {value} EX 100"), "a"),
        (format!("SETEX b 10 {value}"), "b"),
        (format!("MULTI\nSET c {value}\nEXEC"), "c"),
    ] {
        for piece in pipeline(&command.split('\n').collect::<Vec<_>>()).chunks(64 * 1024) {
            world.send(conn, piece);
        }
        world.output(conn);
        // Copied, it would have exactly the memory it needs.
        let memory: usize = world.call(conn, &format!("MEMORY USAGE {key}"))[1..].parse().unwrap();
        assert!((value.len() + 60..value.len() + 8192).contains(&memory), "{memory}");
        let entry = world.shard.realm.keyspace.dbs.find(0, key.as_bytes()).unwrap();
        assert!(entry.large().unwrap().buffer().len() > value.len(), "what came with it is still there");
        world.check(conn, &format!("APPEND {key} !"), ":1000001");
        world.check(conn, &format!("GETRANGE {key} 999999 -1"), "$2 v!");
    }
}

#[test]
fn a_large_argument_waits_for_the_end_of_a_pause() {
    let mut world = World::new();
    let (conn, admin) = (world.connect(), world.connect());
    let value = "v".repeat(200_000);
    let stream = pipeline(&[&format!("SET k {value} EX 100"), "STRLEN k"]);
    for at in [100_000, 200_040, stream.len() - 40] {
        world.send(conn, &stream[..at]);
        world.check(admin, "CLIENT PAUSE 1000 WRITE", "+OK");
        world.send(conn, &stream[at..]);
        assert_eq!(world.output(conn), "", "paused");
        world.check(admin, "CLIENT UNPAUSE", "+OK");
        assert_eq!(world.output(conn), "+OK :200000");
        world.check(admin, "GETEX k PERSIST", &format!("$200000 {value}"));
    }
    world.send(conn, &stream[..100_000]);
    assert!(world.call(admin, "CLIENT LIST").contains(" qbuf=100000 "));
    world.memory.closed.insert(conn);
    world.shard.handle_closed(world.now, conn);
    world.check(admin, "DBSIZE", ":1");
}

/// What a client announces is not what it gets.
#[test]
fn memory_for_an_announced_argument_follows_what_arrives() {
    let mut world = World::new();
    let conn = world.connect();
    world.send(conn, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000000\r\n");
    let mut sent = 0;
    while sent < 10_000_000 {
        world.send(conn, &[b'v'; 50_000]);
        sent += 50_000;
        let capacity = world.shard.conn(conn).unwrap().input_capacity();
        assert!(capacity <= 2 * sent + 50_000 || sent * 17 > 100_000_000, "{capacity} for {sent}");
        assert!(capacity <= 100_010_000);
    }
}

#[test]
fn a_transaction_answers_large_strings_without_copying_them() {
    let mut world = World::new();
    let conn = world.connect();
    let large = "l".repeat(kevy::value::LARGE_STRING);
    world.check(conn, &format!("MSET k {large} s small"), "+OK");
    for command in ["MULTI", "GET k", "LPOP k", "GET s", "MGET k s k", "SET k x GET", "GET k"] {
        world.call(conn, command);
    }
    world.stall(conn);
    world.send(conn, &multibulk("EXEC"));
    let held = &world.memory.stalled[&conn];
    assert!(held.iter().any(|buf| buf.large.is_some()), "shared");
    world.take_up(conn);
    let bulk = format!("${} {large}", large.len());
    assert_eq!(
        world.output(conn),
        format!(
            "*6 {bulk} -WRONGTYPE Operation against a key holding the wrong kind of value $5 small *3 {bulk} $5 small \
             {bulk} {bulk} $1 x"
        )
    );
    world.check(conn, "GET k", "$1 x");
}
