//! The binary as a program that uses the `redis` crate sees it: pipelines, transactions, publish/subscribe, blocking
//! pops, RESP3, over TCP and a Unix socket. The server listens in a directory of its own; nothing is on a fixed port.

#![allow(clippy::disallowed_methods, reason = "tests of the process may")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use redis::{Client, Commands, Connection, RedisResult};

/// A server process that ends with the test.
struct Server {
    child: Child,
    dir: tempfile::TempDir,
}

impl Server {
    fn start(args: &[&str]) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_kevy"))
            .args(["--port", "0", "--save", "", "--unixsocket", "kevy.sock", "--dir"])
            .arg(dir.path())
            .args(args)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { child, dir };
        let patience = Instant::now() + Duration::from_secs(60);
        // The socket is there a moment before it listens.
        while UnixStream::connect(server.socket()).is_err() {
            assert!(Instant::now() < patience, "the server did not come up");
            thread::yield_now();
        }
        server
    }

    fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("kevy.sock")
    }

    fn client(&self, parameters: &str) -> Client {
        Client::open(format!("redis+unix://{}{parameters}", self.socket().display())).unwrap()
    }

    fn connect(&self) -> Connection {
        self.client("").get_connection().unwrap()
    }
}

/// Until so many clients wait for a key or for the end of a pause.
fn wait_for_blocked(admin: &mut Connection, clients: usize) {
    let wanted = format!("blocked_clients:{clients}\r\n");
    while !redis::cmd("INFO").arg("clients").query::<String>(admin).unwrap().contains(&wanted) {
        thread::yield_now();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_type_through_a_typed_client() {
    let server = Server::start(&[]);
    let mut c = server.connect();
    let _: () = c.set("string", "value").unwrap();
    assert_eq!(c.get::<_, String>("string").unwrap(), "value");
    assert_eq!(c.incr::<_, _, i64>("counter", 41).unwrap(), 41);
    assert_eq!(c.incr::<_, _, i64>("counter", 1).unwrap(), 42);
    assert_eq!(c.get::<_, Option<String>>("missing").unwrap(), None);
    let _: () = c.hset_multiple("hash", &[("a", 1), ("b", 2)]).unwrap();
    assert_eq!(
        c.hgetall::<_, BTreeMap<String, i64>>("hash").unwrap(),
        BTreeMap::from([("a".into(), 1), ("b".into(), 2)])
    );
    assert_eq!(c.rpush::<_, _, usize>("list", &["x", "y", "z"]).unwrap(), 3);
    assert_eq!(c.lrange::<_, Vec<String>>("list", 0, -1).unwrap(), ["x", "y", "z"]);
    assert_eq!(c.sadd::<_, _, usize>("set", &["one", "two", "one"]).unwrap(), 2);
    assert_eq!(c.smembers::<_, BTreeSet<String>>("set").unwrap().len(), 2);
    assert_eq!(c.zadd_multiple::<_, _, _, usize>("zset", &[(2.5, "b"), (1.0, "a")]).unwrap(), 2);
    assert_eq!(
        c.zrange_withscores::<_, Vec<(String, f64)>>("zset", 0, -1).unwrap(),
        [("a".into(), 1.0), ("b".into(), 2.5)]
    );
    let mut keys: Vec<String> = c.scan().unwrap().map(|key: RedisResult<String>| key.unwrap()).collect();
    keys.sort();
    assert_eq!(keys, ["counter", "hash", "list", "set", "string", "zset"]);
    let error = c.lpush::<_, _, usize>("string", "x").unwrap_err();
    assert_eq!(error.code(), Some("WRONGTYPE"));
}

#[test]
fn a_pipeline_answers_in_order_and_a_transaction_at_once() {
    let server = Server::start(&[]);
    let mut c = server.connect();
    let mut pipeline = redis::pipe();
    for n in 0..10_000 {
        pipeline.cmd("SET").arg(format!("key:{n}")).arg(n).ignore();
        pipeline.cmd("GET").arg(format!("key:{n}"));
    }
    let answers: Vec<i64> = pipeline.query(&mut c).unwrap();
    assert_eq!(answers, (0..10_000).collect::<Vec<_>>());
    let (old, new): (i64, i64) = redis::pipe().atomic().get("key:7").incr("key:7", 1).query(&mut c).unwrap();
    assert_eq!((old, new), (7, 8));
}

#[test]
fn optimistic_locking_loses_no_increment() {
    let server = Server::start(&[]);
    let add = |client: Client| {
        move || {
            let mut c = client.get_connection().unwrap();
            for _ in 0..200 {
                let _: () = redis::transaction(&mut c, &["shared"], |c, pipeline| {
                    let value: i64 = c.get::<_, Option<i64>>("shared")?.unwrap_or(0);
                    pipeline.set("shared", value + 1).ignore().query(c)
                })
                .unwrap();
            }
        }
    };
    let threads: Vec<_> = (0..4).map(|_| thread::spawn(add(server.client("")))).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(server.connect().get::<_, i64>("shared").unwrap(), 800);
}

#[test]
fn messages_reach_subscribers_in_order() {
    let server = Server::start(&[]);
    let mut subscriber = server.connect();
    let mut subscriptions = subscriber.as_pubsub();
    subscriptions.subscribe("news").unwrap();
    subscriptions.psubscribe("n*").unwrap();
    let mut publisher = server.connect();
    for n in 0..100 {
        assert_eq!(publisher.publish::<_, _, usize>("news", n).unwrap(), 2);
    }
    for n in 0..100 {
        for _ in 0..2 {
            let message = subscriptions.get_message().unwrap();
            assert_eq!(message.get_channel_name(), "news");
            assert_eq!(message.get_payload::<i32>().unwrap(), n);
        }
    }
}

#[test]
fn a_blocking_pop_waits_for_a_push() {
    let server = Server::start(&[]);
    let client = server.client("");
    let waiting = thread::spawn(move || {
        let mut c = client.get_connection().unwrap();
        c.blpop::<_, (String, String)>(&["first", "second"], 0.0).unwrap()
    });
    let mut c = server.connect();
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let info: redis::InfoDict = redis::cmd("INFO").arg("clients").query(&mut c).unwrap();
        if info.get::<usize>("blocked_clients") == Some(1) {
            break;
        }
        assert!(Instant::now() < patience, "the client did not block");
    }
    assert_eq!(c.rpush::<_, _, usize>("second", "element").unwrap(), 1);
    assert_eq!(waiting.join().unwrap(), ("second".into(), "element".into()));
    assert!(!c.exists::<_, bool>("second").unwrap());
    let none: Option<(String, String)> = c.blpop("first", 0.01).unwrap();
    assert_eq!(none, None);
}

#[test]
fn resp3_and_passwords_are_negotiated() {
    let server = Server::start(&["--requirepass", "secret"]);
    let mut refused = Client::open(format!("redis+unix://{}", server.socket().display())).unwrap();
    let error = refused.get_connection().and_then(|mut c| c.get::<_, Option<String>>("key")).unwrap_err();
    assert_eq!(error.code(), Some("NOAUTH"));
    refused = server.client("?pass=secret&protocol=resp3&db=3");
    let mut c = refused.get_connection().unwrap();
    let _: () = c.hset("hash", "field", "value").unwrap();
    assert_eq!(c.hgetall::<_, BTreeMap<String, String>>("hash").unwrap()["field"], "value");
    let info: String = redis::cmd("CLIENT").arg("INFO").query(&mut c).unwrap();
    assert!(info.contains(" db=3 ") && info.contains(" resp=3 "), "{info}");
}

/// Keys of several slices, clients on several threads: what is written together is seen together, and nothing is lost
/// or doubled on its way between lists.
#[test]
fn several_shards_are_one_server() {
    const ROUNDS: usize = 400;
    for shards in ["2", "4"] {
        let server = Server::start(&["--shards", shards]);
        let lists: Vec<String> = (0..8).map(|number| format!("list:{number}")).collect();
        let mut c = server.connect();
        let elements: Vec<usize> = (0..50).collect();
        let _: () = c.rpush(&lists[0], &elements).unwrap();
        thread::scope(|scope| {
            for worker in 0..4 {
                let (mut c, lists) = (server.connect(), &lists);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let from = &lists[(round * 7 + worker) % lists.len()];
                        let to = &lists[(round * 3 + worker * 5) % lists.len()];
                        let _: Option<usize> = redis::cmd("LMOVE")
                            .arg(from)
                            .arg(to)
                            .arg("LEFT")
                            .arg("RIGHT")
                            .query(&mut c)
                            .unwrap();
                        let written = worker * ROUNDS + round;
                        let _: () = c.mset(&[("a", written), ("b", written), ("c", written)]).unwrap();
                        let seen: Vec<usize> = c.mget(&["a", "b", "c"]).unwrap();
                        assert!(seen[0] == seen[1] && seen[1] == seen[2], "{seen:?}");
                        let mut lengths = redis::pipe();
                        lengths.atomic();
                        lists.iter().for_each(|list| {
                            lengths.llen(list);
                        });
                        let lengths: Vec<usize> = lengths.query(&mut c).unwrap();
                        assert_eq!(lengths.iter().sum::<usize>(), 50);
                    }
                });
            }
            // Optimistic increments of two keys at once: each succeeds or is seen to have failed.
            for _ in 0..2 {
                let mut c = server.connect();
                scope.spawn(move || {
                    let mut done = 0;
                    while done < ROUNDS / 4 {
                        let _: () = redis::cmd("WATCH").arg("x").arg("y").query(&mut c).unwrap();
                        let (x, y): (Option<usize>, Option<usize>) = c.mget(&["x", "y"]).unwrap();
                        assert_eq!(x, y);
                        let next = x.unwrap_or(0) + 1;
                        let mut both = redis::pipe();
                        both.atomic().set("x", next).ignore().set("y", next).ignore();
                        done += usize::from(both.query::<Option<()>>(&mut c).unwrap().is_some());
                    }
                });
            }
            // Whoever waits for several keys gets what is pushed to any of them.
            let (mut popper, mut pusher) = (server.connect(), server.connect());
            scope.spawn(move || {
                let mut popped = BTreeSet::new();
                while popped.len() < ROUNDS {
                    let (_, value): (String, usize) = blpop(&mut popper, &["q:1", "q:2", "q:3"]);
                    assert!(popped.insert(value), "{value} was popped twice");
                }
            });
            scope.spawn(move || {
                for value in 0..ROUNDS {
                    let _: () = pusher.rpush(format!("q:{}", 1 + value % 3), value).unwrap();
                }
            });
        });
        let mut left: Vec<usize> =
            lists.iter().flat_map(|list| c.lrange::<_, Vec<usize>>(list, 0, -1).unwrap()).collect();
        left.sort_unstable();
        assert_eq!(left, elements);
        let (x, y): (usize, usize) = c.mget(&["x", "y"]).unwrap();
        assert_eq!((x, y), (ROUNDS / 2, ROUNDS / 2));
        let clients: String = redis::cmd("CLIENT").arg("LIST").query(&mut c).unwrap();
        assert!(clients.lines().any(|line| line.contains("cmd=client|list")));
        let keys: usize = redis::cmd("DBSIZE").query(&mut c).unwrap();
        let mut scanned: Vec<String> = c.scan().unwrap().map(|key| key.unwrap()).collect();
        scanned.sort();
        let mut listed: Vec<String> = c.keys("*").unwrap();
        listed.sort();
        assert_eq!((&scanned, listed.len()), (&listed, keys));
    }
}

/// A client that waited for keys of several slices is served first, also by the pipeline that takes what it pushed.
#[test]
fn several_shards_serve_who_waited_longer() {
    let server = Server::start(&["--shards", "3"]);
    let mut c = server.connect();
    for round in 0..50 {
        let keys: Vec<String> = (0..4).map(|number| format!("{round}:{number}")).collect();
        thread::scope(|scope| {
            let (mut waiter, waited) = (server.connect(), &keys);
            let waiter = scope.spawn(move || {
                redis::cmd("BLPOP").arg(waited).arg(0).query::<(String, String)>(&mut waiter).unwrap()
            });
            let patience = Instant::now() + Duration::from_secs(60);
            loop {
                let info: String = redis::cmd("INFO").arg("clients").query(&mut c).unwrap();
                if info.contains("blocked_clients:1\r") {
                    break;
                }
                assert!(Instant::now() < patience, "nobody is blocked");
            }
            let key = &keys[round % keys.len()];
            let mut pipe = redis::pipe();
            pipe.rpush(key, &["first", "second"]).lpop(key, None);
            let (_, left): (usize, String) = pipe.query(&mut c).unwrap();
            assert_eq!((waiter.join().unwrap().1.as_str(), left.as_str()), ("first", "second"));
        });
    }
}

/// Whoever waits is served before the next command of who pushed, also whoever stands behind others and whoever waits for
/// what they leave.
#[test]
fn several_shards_serve_all_who_wait_before_the_next_command() {
    let waiting = |c: &mut Connection, clients: usize| {
        let expected = format!("blocked_clients:{clients}\r\n");
        while !redis::cmd("INFO").arg("clients").query::<String>(c).unwrap().contains(&expected) {
            thread::yield_now();
        }
    };
    for shards in ["2", "3", "4"] {
        let server = Server::start(&["--shards", shards]);
        for round in 0..40 {
            let key = format!("key:{round}");
            let keys: Vec<String> = (0..3).map(|number| format!("chain:{number}:{round}")).collect();
            let mut clients: Vec<Connection> = (0..5).map(|_| server.connect()).collect();
            let (pusher, others) = clients.split_first_mut().unwrap();
            let commands = [
                vec!["BLPOP", &key, "0"],
                vec!["BLPOP", &key, "0"],
                vec!["BLMOVE", &keys[0], &keys[1], "LEFT", "LEFT", "0"],
                vec!["BLMOVE", &keys[1], &keys[2], "LEFT", "LEFT", "0"],
            ];
            for (number, (client, command)) in others.iter_mut().zip(&commands).enumerate() {
                let command = redis::cmd(command[0]).arg(&command[1..]).get_packed_command();
                client.send_packed_command(&command).unwrap();
                waiting(pusher, number + 1);
            }
            let mut pipe = redis::pipe();
            pipe.cmd("RPUSH").arg(&key).arg(&[1, 2]).cmd("LPOP").arg(&key);
            pipe.cmd("RPUSH").arg(&keys[0]).arg("x").cmd("LRANGE").arg(&keys[2]).arg(&[0, -1]);
            let answers: (usize, Option<usize>, usize, Vec<String>) = pipe.query(pusher).unwrap();
            assert_eq!(answers, (2, None, 1, vec!["x".into()]), "{shards} shards, round {round}");
        }
    }
}

/// What one client wrote in a pipeline, one key after the other, another finds in that order: whoever sees the second
/// key's value sees the first's, however its own commands reach the keys.
#[test]
fn several_shards_show_a_pipeline_in_its_order() {
    const ROUNDS: usize = 3000;
    let server = Server::start(&["--shards", "2"]);
    // Keys of both slices, in either order, and readers on whatever thread accepts them.
    let pairs: Vec<(String, String)> =
        (0..6).map(|n| (format!("first:{n}"), format!("second:{n}"))).collect();
    let writing = std::sync::atomic::AtomicBool::new(true);
    thread::scope(|scope| {
        let writing = &writing;
        for reader in 0_usize..4 {
            let (mut c, pairs) = (server.connect(), &pairs);
            scope.spawn(move || {
                let mut round = reader;
                while writing.load(std::sync::atomic::Ordering::Relaxed) {
                    let (first, second) = &pairs[round % pairs.len()];
                    round += 1;
                    // PING keeps the two from being executed as one.
                    let mut pipe = redis::pipe();
                    pipe.get(second).cmd("PING").ignore().get(first);
                    let (later, earlier): (Option<usize>, Option<usize>) = pipe.query(&mut c).unwrap();
                    assert!(earlier >= later, "{first} is {earlier:?}, {second} was {later:?}");
                }
            });
        }
        let mut c = server.connect();
        for round in 0..ROUNDS {
            let mut pipe = redis::pipe();
            for (first, second) in &pairs {
                pipe.set(first, round).ignore().set(second, round).ignore();
            }
            let _: () = pipe.query(&mut c).unwrap();
        }
        writing.store(false, std::sync::atomic::Ordering::Relaxed);
    });
}

/// Who makes room does it before the command, which alone is executed where its hearers are.
#[test]
fn keys_evicted_on_any_shard_are_told_to_all_subscribers() {
    let options = ["--shards", "3", "--maxmemory", "6mb", "--maxmemory-policy", "allkeys-random"];
    let server = Server::start(&[&options[..], &["--notify-keyspace-events", "Ee"]].concat());
    // The system spreads connections over the shards.
    let mut subscribers: Vec<Connection> = (0..8).map(|_| server.connect()).collect();
    let mut subscribed: Vec<_> = subscribers.iter_mut().map(Connection::as_pubsub).collect();
    for subscriber in &mut subscribed {
        subscriber.subscribe(&["__keyevent@0__:evicted", "end"]).unwrap();
    }
    let mut writers: Vec<Connection> = (0..4).map(|_| server.connect()).collect();
    for number in 0..4000 {
        let _: () = writers[number % 4].set(format!("key{number}"), "x".repeat(4000)).unwrap();
    }
    // Any command may evict, also those that ask: no longer.
    let _: () = redis::cmd("CONFIG").arg(&["SET", "maxmemory", "0"]).query(&mut writers[0]).unwrap();
    let stats: String = redis::cmd("INFO").arg("stats").query(&mut writers[0]).unwrap();
    let evicted = stats.lines().find_map(|line| line.strip_prefix("evicted_keys:")).unwrap();
    let evicted: usize = evicted.trim().parse().unwrap();
    assert!(evicted > 0);
    let _: usize = writers[0].publish("end", "").unwrap();
    for subscriber in &mut subscribed {
        let told =
            (0..).take_while(|_| subscriber.get_message().unwrap().get_channel_name() != "end").count();
        assert_eq!(told, evicted);
    }
}

/// What every shard notes of its own is asked for at any of them.
#[test]
fn latencies_are_those_of_all_shards() {
    let server = Server::start(&["--shards", "3"]);
    let mut clients: Vec<Connection> = (0..8).map(|_| server.connect()).collect();
    for client in &mut clients {
        let _: () = client.set("key", "value").unwrap();
    }
    let mut histogram = redis::cmd("LATENCY");
    histogram.arg("HISTOGRAM").arg("set");
    for client in &mut clients {
        let (_, (_, calls)): (String, (String, usize)) = histogram
            .query::<Vec<(String, Vec<redis::Value>)>>(client)
            .map(|mut commands| {
                let (name, details) = commands.remove(0);
                (name, redis::from_redis_value(redis::Value::Array(details[..2].to_vec())).unwrap())
            })
            .unwrap();
        assert_eq!(calls, 8);
    }
}

/// As Redis does, though every shard has some of the keys.
#[test]
fn a_step_of_scan_shows_all_of_a_few_keys() {
    for shards in ["1", "2", "3", "8"] {
        let server = Server::start(&["--shards", shards]);
        let mut c = server.connect();
        let mut other = server.connect();
        for keys in 0..=9 {
            let mut commands = redis::pipe();
            commands.cmd("SCAN").arg(0);
            commands.atomic().cmd("SCAN").arg(0);
            let scan = |c: &mut Connection| redis::cmd("SCAN").arg(0).query(c).unwrap();
            let both: [(String, Vec<String>); 2] = commands.query(&mut c).unwrap();
            for (cursor, mut found) in both.into_iter().chain([scan(&mut c), scan(&mut other)]) {
                found.sort();
                let wanted: Vec<String> = (0..keys).map(|number| format!("key:{number}")).collect();
                assert_eq!((&*cursor, found), ("0", wanted), "{shards} shards");
            }
            let _: () = c.set(format!("key:{keys}"), 1).unwrap();
        }
    }
}

/// What was held back goes on in the order in which it came, a pipeline as a whole, and before anything sent later.
/// Compared with Redis 8.0.6.
#[test]
fn after_a_pause_everybody_goes_on_in_order() {
    for shards in ["1", "2", "4"] {
        let server = Server::start(&["--shards", shards]);
        let mut admin = server.connect();
        for round in 0..10 {
            let _: () = redis::cmd("DEL").arg("l").query(&mut admin).unwrap();
            let _: () = redis::cmd("CLIENT").arg(&["PAUSE", "100000", "WRITE"]).query(&mut admin).unwrap();
            let mut held = Vec::new();
            let pipelines: [&[u8]; 4] = [
                b"RPUSH l a0\r\nRPUSH l a1\r\nRPUSH l a2\r\n",
                b"RPUSH l b\r\n",
                b"MULTI\r\nRPUSH l c0\r\nRPUSH l c1\r\nEXEC\r\n",
                b"RPUSH l d\r\nGET l\r\n",
            ];
            for pipeline in pipelines {
                let mut socket = UnixStream::connect(server.socket()).unwrap();
                socket.write_all(pipeline).unwrap();
                held.push(socket);
                wait_for_blocked(&mut admin, held.len());
            }
            let _: () = redis::cmd("CLIENT").arg("UNPAUSE").query(&mut admin).unwrap();
            let _: usize = admin.rpush("l", "late").unwrap();
            let pushed: Vec<String> = admin.lrange("l", 0, -1).unwrap();
            let wanted = ["a0", "a1", "a2", "b", "c0", "c1", "d", "late"];
            assert_eq!(pushed, wanted, "{shards} shards, round {round}");
        }
    }
}

/// What one command makes ready, or a client that is served, is offered in that order, wherever the keys and the clients are
/// at home. Compared with Redis 8.0.6.
#[test]
fn clients_are_served_in_the_order_in_which_keys_became_ready() {
    /// Commands that wait, one that makes keys ready, who is answered what, and what is left in a list.
    type Case =
        (&'static [&'static str], &'static str, &'static [(usize, &'static [&'static str])], &'static str);
    let cases: [Case; 3] = [
        (
            &["BLMOVE {k} {j} LEFT RIGHT 0", "BLPOP {j} {m} 0"],
            "MULTI\r\nRPUSH {k} x\r\nRPUSH {m} y\r\nEXEC\r\n",
            &[(0, &["x"]), (1, &["{j}", "x"])],
            "{m} y",
        ),
        (
            &[
                "BLMOVE {k} {r} LEFT RIGHT 0",
                "BLMOVE {j} {r} LEFT RIGHT 0",
                "BLMOVE {m} {r} LEFT RIGHT 0",
                "BLMOVE {n} {r} LEFT RIGHT 0",
            ],
            "MULTI\r\nRPUSH {n} n\r\nRPUSH {m} m\r\nRPUSH {j} j\r\nRPUSH {k} k\r\nEXEC\r\n",
            &[(0, &["k"]), (1, &["j"]), (2, &["m"]), (3, &["n"])],
            "{r} n m j k",
        ),
        (
            &["BLPOP {m} 0", "BLMOVE {k} {m} LEFT RIGHT 0", "BRPOP {m} {k} 0"],
            "RPUSH {k} x y\r\n",
            &[(1, &["x"]), (2, &["{m}", "x"])],
            "{k} y",
        ),
    ];
    for shards in ["1", "2", "3", "4"] {
        let server = Server::start(&["--shards", shards]);
        let mut admin = server.connect();
        for (round, (waiting, command, served, left)) in
            (0..8).flat_map(|round| cases.map(|case| (round, case)))
        {
            let _: () = redis::cmd("FLUSHALL").query(&mut admin).unwrap();
            // In each round the keys are at home elsewhere.
            let name = |text: &str| {
                ["k", "j", "m", "n", "r"].iter().fold(text.to_owned(), |text, key| {
                    text.replace(&format!("{{{key}}}"), &format!("{key}{round}"))
                })
            };
            let mut sockets: Vec<UnixStream> = Vec::new();
            for line in waiting {
                let mut socket = UnixStream::connect(server.socket()).unwrap();
                socket.write_all(format!("{}\r\n", name(line)).as_bytes()).unwrap();
                sockets.push(socket);
                wait_for_blocked(&mut admin, sockets.len());
            }
            let mut pusher = UnixStream::connect(server.socket()).unwrap();
            pusher.write_all(name(command).as_bytes()).unwrap();
            for &(who, words) in served {
                let bulks: String = words
                    .iter()
                    .map(|word| name(word))
                    .map(|word| format!("${}\r\n{word}\r\n", word.len()))
                    .collect();
                let wanted = if words.len() > 1 { format!("*{}\r\n{bulks}", words.len()) } else { bulks };
                let mut reply = vec![0; wanted.len()];
                sockets[who].read_exact(&mut reply).unwrap();
                assert_eq!(
                    String::from_utf8_lossy(&reply),
                    wanted,
                    "{shards} shards, client {who}, {command:?}"
                );
            }
            let left = name(left);
            let (list, values) = left.split_once(' ').unwrap();
            let found: Vec<String> = admin.lrange(list, 0, -1).unwrap();
            assert_eq!(found.join(" "), values, "{shards} shards, {command:?}");
        }
    }
}

/// Whoever is killed has got what others caused before that, and no element is lost with him.
#[test]
fn killed_clients_have_got_what_was_pushed_for_them() {
    for shards in ["1", "2", "4"] {
        let server = Server::start(&["--shards", shards]);
        let mut pusher = server.connect();
        for round in 0..60 {
            let mut waiting = UnixStream::connect(server.socket()).unwrap();
            waiting.write_all(b"CLIENT ID\r\n").unwrap();
            let mut id = String::new();
            BufReader::new(waiting.try_clone().unwrap()).read_line(&mut id).unwrap();
            waiting.write_all(format!("BLPOP k{round} 0\r\n").as_bytes()).unwrap();
            wait_for_blocked(&mut pusher, 1);
            let _: usize = pusher.rpush(format!("k{round}"), "v").unwrap();
            let _: usize =
                redis::cmd("CLIENT").arg(&["KILL", "ID", id[1..].trim()]).query(&mut pusher).unwrap();
            let mut received = Vec::new();
            // It may end with an error.
            let _ = waiting.read_to_end(&mut received);
            let key = format!("k{round}");
            let wanted = format!("*2\r\n${}\r\n{key}\r\n$1\r\nv\r\n", key.len());
            assert_eq!(String::from_utf8_lossy(&received), wanted, "{shards} shards");
        }
    }
}

/// The clients' memory has one limit for all shards.
#[test]
fn clients_of_all_shards_together_hold_no_more_than_they_may() {
    const MANY: usize = 3_000_000;
    let server = Server::start(&["--shards", "2", "--maxmemory-clients", "7mb"]);
    let mut admin = server.connect();
    let _: () = redis::cmd("CLIENT").arg(&["PAUSE", "600000", "WRITE"]).query(&mut admin).unwrap();
    let held: Vec<UnixStream> = (0..6)
        .map(|_| {
            let mut socket = UnixStream::connect(server.socket()).unwrap();
            let command = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${MANY}\r\n{}\r\n", "x".repeat(MANY));
            // It may be disconnected meanwhile.
            let _ = socket.write_all(command.as_bytes());
            socket
        })
        .collect();
    let patience = Instant::now() + Duration::from_secs(60);
    let evicted = |admin: &mut Connection| -> usize {
        let stats: String = redis::cmd("INFO").arg("stats").query(admin).unwrap();
        stats.lines().find_map(|line| line.strip_prefix("evicted_clients:")).unwrap().parse().unwrap()
    };
    while evicted(&mut admin) < 4 {
        assert!(Instant::now() < patience, "{} have been evicted", evicted(&mut admin));
        thread::yield_now();
    }
    drop(held);
}

/// While its commands wait for other shards, what a client sends stays in the kernel, not in a buffer without end.
#[test]
fn who_sends_faster_than_is_executed_is_kept_waiting() {
    const COMMANDS: usize = 100_000;
    let server = Server::start(&["--shards", "2", "--client-query-buffer-limit", "1mb"]);
    let clients = (0..4usize).map(|client| {
        let socket = UnixStream::connect(server.socket()).unwrap();
        thread::spawn(move || {
            let mut writer = socket.try_clone().unwrap();
            let sender = thread::spawn(move || {
                let value = "x".repeat(40);
                let command = |n: usize| format!("SET key:{} {value}\r\n", (n * 31 + client) % 5000);
                writer.write_all((0..COMMANDS).map(command).collect::<String>().as_bytes()).unwrap();
            });
            let mut replies = vec![0; COMMANDS * b"+OK\r\n".len()];
            BufReader::new(socket).read_exact(&mut replies).expect("it is not disconnected");
            sender.join().unwrap();
            assert_eq!(replies, b"+OK\r\n".repeat(COMMANDS));
        })
    });
    clients.collect::<Vec<_>>().into_iter().for_each(|client| client.join().unwrap());
}

/// Where nobody says how many shards there are, every processor has one.
#[test]
fn a_shard_for_each_processor() {
    let server = Server::start(&[]);
    let info: String = redis::cmd("INFO").arg("kevy").query(&mut server.connect()).unwrap();
    let shards = info.lines().find_map(|line| line.strip_prefix("shards:")).unwrap();
    assert_eq!(shards, thread::available_parallelism().unwrap().get().min(64).to_string());
}

/// The limit is one for all shards, however commands reach them.
#[test]
fn the_memory_limit_holds_over_all_shards() {
    const LIMIT: usize = 16 << 20;
    /// What commands that were let in together, and tables that grow, may take beyond.
    const SLACK: usize = 2 << 20;
    let info = |c: &mut Connection, section: &str, field: &str| -> usize {
        let text: String = redis::cmd("INFO").arg(section).query(c).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        value.trim_start_matches(':').trim().parse().unwrap()
    };
    for policy in ["noeviction", "allkeys-lru", "volatile-ttl"] {
        let limit = LIMIT.to_string();
        let server = Server::start(&["--shards", "3", "--maxmemory", &limit, "--maxmemory-policy", policy]);
        let refused: usize = thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let mut c = server.connect();
                    scope.spawn(move || {
                        let mut refused = 0;
                        for round in 0..200 {
                            let mut pipe = redis::pipe();
                            pipe.ignore_errors();
                            for number in 0..20 {
                                let key = format!("{writer}:{round}:{number}");
                                pipe.cmd("SET").arg(key).arg("x".repeat(2000)).arg("EX").arg(1000 + round);
                            }
                            let answers: Vec<redis::Value> = pipe.query(&mut c).unwrap();
                            let errors = answers.iter().filter(|answer| **answer != redis::Value::Okay);
                            refused += errors.count();
                        }
                        refused
                    })
                })
                .collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).sum()
        });
        let mut c = server.connect();
        let used = info(&mut c, "memory", "used_memory");
        assert!(used < LIMIT + SLACK, "{policy}: {used}");
        // Any command may evict, also those that ask: not for the next ones.
        let _: () = redis::cmd("CONFIG").arg(&["SET", "maxmemory", "0"]).query(&mut c).unwrap();
        let evicted = info(&mut c, "stats", "evicted_keys");
        assert_eq!((refused > 0, evicted > 0), (policy == "noeviction", policy != "noeviction"), "{policy}");
        // Whatever could not be written leaves what was: the keys are those that were written less those evicted.
        let keys: usize = redis::cmd("DBSIZE").query(&mut c).unwrap();
        assert_eq!(keys, 4 * 200 * 20 - refused - evicted, "{policy}");
        let by_shard: String = redis::cmd("INFO").arg("kevy").query(&mut c).unwrap();
        let shares = by_shard.lines().filter_map(|line| line.split("keys=").nth(1)?.split(',').next());
        for share in shares.map(|share| share.parse::<usize>().unwrap()) {
            assert!(share > keys / 6, "{policy}: {share} of {keys}");
        }
        let _: () = redis::cmd("CONFIG").arg(&["SET", "maxmemory", &limit]).query(&mut c).unwrap();
        // Reading is allowed, and what makes room makes room for others.
        let _: Option<String> = c.get("0:0:0").unwrap();
        let _: () = redis::cmd("FLUSHALL").query(&mut c).unwrap();
        let _: () = c.set("key", "x".repeat(2000)).unwrap();
    }
}

fn blpop(c: &mut Connection, keys: &[&str]) -> (String, usize) {
    redis::cmd("BLPOP").arg(keys).arg(0).query(c).unwrap()
}

/// Ports of the machine that nobody listens to, below those the system gives to who connects: clients of the tests beside
/// this one would take it.
fn free_ports() -> impl Iterator<Item = u16> {
    let from = 10_000 + std::process::id().wrapping_mul(131) % 20_000;
    let ports = (from..from + 2_000).map(|port| u16::try_from(port).unwrap());
    ports.filter(|&port| TcpListener::bind(("0.0.0.0", port)).is_ok())
}

/// Whether a server answers there.
fn answers(ip: &str, port: u16) -> bool {
    let Ok(client) = Client::open(format!("redis://{ip}:{port}")) else { return false };
    let Ok(mut c) = client.get_connection() else { return false };
    redis::cmd("PING").query::<String>(&mut c).unwrap() == "PONG"
}

fn config_set(c: &mut Connection, pairs: &[(&str, &str)]) -> Result<(), String> {
    redis::cmd("CONFIG").arg("SET").arg(pairs).query::<()>(c).map_err(|error| error.to_string())
}

/// Compared with Redis 8.0.6 by hand.
#[test]
fn the_port_and_the_addresses_can_be_changed_while_it_runs() {
    for shards in ["1", "2"] {
        let server = Server::start(&["--shards", shards, "--bind", "127.0.0.1"]);
        let mut c = server.connect();
        let mut ports = free_ports();
        let (first, second) = (ports.next().unwrap(), ports.next().unwrap());
        let set = |c: &mut Connection, name: &str, value: &str| config_set(c, &[(name, value)]);
        // Enough connections for each thread to get one.
        let all = |ip: &str, port: u16| (0..10).all(|_| answers(ip, port));

        set(&mut c, "port", &first.to_string()).unwrap();
        assert!(all("127.0.0.1", first));
        let mut kept = Client::open(format!("redis://127.0.0.1:{first}")).unwrap().get_connection().unwrap();
        set(&mut c, "port", &second.to_string()).unwrap();
        assert!(all("127.0.0.1", second));
        assert!(!answers("127.0.0.1", first), "the old port is closed");
        assert_eq!(redis::cmd("PING").query::<String>(&mut kept).unwrap(), "PONG", "connections stay");

        let somebody = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = somebody.local_addr().unwrap().port().to_string();
        let refused = set(&mut c, "port", &taken).unwrap_err();
        assert!(refused.contains("'port') - Unable to listen on this port. Check server logs."), "{refused}");
        assert!(all("127.0.0.1", second), "it goes on as before");

        set(&mut c, "bind", "*").unwrap();
        assert!(all("127.0.0.1", second) && all("127.0.0.2", second));
        set(&mut c, "bind", "127.0.0.2 -192.0.2.1").unwrap();
        assert!(all("127.0.0.2", second));
        assert!(!answers("127.0.0.1", second));
        let refused = set(&mut c, "bind", "127.0.0.1 192.0.2.1").unwrap_err();
        assert!(refused.contains("'bind') - Failed to bind to specified addresses."), "{refused}");
        assert!(all("127.0.0.2", second), "it listens again");
        assert!(!answers("127.0.0.1", second), "and nowhere else");
        let found: Vec<String> = redis::cmd("CONFIG").arg("GET").arg("bind").query(&mut c).unwrap();
        assert_eq!(found[1], "127.0.0.2 -192.0.2.1");

        set(&mut c, "port", "0").unwrap();
        assert!(!answers("127.0.0.2", second));
        config_set(&mut c, &[("bind", "127.0.0.1"), ("port", &first.to_string())]).unwrap();
        assert!(all("127.0.0.1", first));
        assert!(!answers("127.0.0.2", first));
        assert_eq!(redis::cmd("PING").query::<String>(&mut server.connect()).unwrap(), "PONG");
    }
}

#[cfg(target_os = "linux")]
impl Server {
    /// Megabytes that the process has resident.
    fn resident(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * rustix::param::page_size() as u64 / 1_000_000
    }

    /// Waits until no more than so much is resident.
    #[track_caller]
    fn await_resident(&self, most: u64, what: &str) {
        let patience = Instant::now() + Duration::from_secs(20);
        while self.resident() > most {
            assert!(Instant::now() < patience, "{what}: {} MB are resident", self.resident());
            thread::yield_now();
        }
    }
}

/// A large value takes its size once, and what is no longer needed goes back to the system: by itself, and at once when
/// MEMORY PURGE asks for it.
#[test]
#[cfg(target_os = "linux")]
fn memory_of_large_values_is_given_back() {
    let server = Server::start(&[]);
    let mut con = server.connect();
    let idle = server.resident();
    let value = vec![b'v'; 60_000_000];
    for _ in 0..2 {
        let _: () = con.set("k", &value).unwrap();
    }
    server.await_resident(idle + 80, "a value of 60 MB");
    let _: () = redis::pipe().atomic().get("k").get("k").ignore().query(&mut con).unwrap();
    server.await_resident(idle + 80, "read in a transaction");
    let _: () = redis::pipe().atomic().set("k", &value).ignore().query(&mut con).unwrap();
    server.await_resident(idle + 80, "written in a transaction");
    let _: () = con.del("k").unwrap();
    server.await_resident(idle + 20, "deleted");

    let _: () = con.hset("h", "f", &value).unwrap();
    let _: () = con.rpush("l", &value).unwrap();
    let _: () = con.del(&["h", "l"]).unwrap();
    server.await_resident(idle + 20, "collections deleted");

    for batch in 0..50 {
        let mut pipe = redis::pipe();
        for number in 0..1000 {
            pipe.set(format!("{batch}:{number}"), &value[..900]).ignore();
        }
        let () = pipe.query(&mut con).unwrap();
    }
    assert!(server.resident() > idle + 40, "50,000 values");
    let () = redis::cmd("FLUSHALL").arg("SYNC").query(&mut con).unwrap();
    let () = redis::cmd("MEMORY").arg("PURGE").query(&mut con).unwrap();
    server.await_resident(idle + 20, "purged");
}
