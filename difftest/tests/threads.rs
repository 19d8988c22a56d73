//! Clients in threads on the server's threads, see `kevy_difftest::threads`. `.ci/run` does more of it.

use kevy::resp::Frame;
use kevy_difftest::server::{Program, Server};
use kevy_difftest::threads::{Counts, Threads, round};

const ROUNDS: u64 = 30;
/// What they must have done at least, on each number of shards.
const OPERATIONS: u64 = 9_000;
const SERVED: u64 = 100;
const JUDGED: u64 = 1_000;
const REPLAYED: u64 = 9_000;

#[test]
fn threads_answer_as_one_server() {
    // Where there is a redis-server, it judges too.
    let redis = Server::start(&Program::at("redis-server"), false, &[]).ok();
    for shards in 1..=4 {
        let mut threads = Threads::start(shards).expect("there are ports and threads");
        let mut counts = Counts::default();
        for seed in 0..ROUNDS {
            if let Err(why) = round(seed, &mut threads, redis.as_ref(), &mut counts) {
                panic!("{shards} shards: {why}");
            }
        }
        let Counts { operations, served, judged, replayed, .. } = counts;
        assert!(operations >= OPERATIONS && served >= SERVED && judged >= JUDGED, "{counts:?}");
        assert!(redis.is_none() || replayed >= REPLAYED, "{counts:?}");
    }
}

/// Who closes a connection has lent it the keyspace that the connection's keys are looked up in.
#[test]
fn a_client_is_killed_that_watches_keys_of_all_shards() {
    let mut threads = Threads::start(3).expect("there are ports and threads");
    let mut killer = threads.connect().expect("it listens");
    for _ in 0..20 {
        let mut victim = threads.connect().expect("it listens");
        let Ok(Frame::Int(id)) = victim.call(&["CLIENT", "ID"]) else { panic!("no number") };
        let keys: Vec<String> = (0..30).map(|number| format!("k{number}")).collect();
        let watch: Vec<&str> = std::iter::once("WATCH").chain(keys.iter().map(String::as_str)).collect();
        assert_eq!(victim.call(&watch).expect("an answer"), Frame::simple("OK"));
        let killed = killer.call(&["CLIENT", "KILL", "ID", &id.to_string()]).expect("the server lives");
        assert_eq!(killed, Frame::Int(1));
    }
}
