//! Clients in threads on the server's threads, see `kevy_difftest::threads`. `.ci/run` does more of it.

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
