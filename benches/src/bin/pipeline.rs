//! What one command costs in a shard, without the kernel: decoding, gates, execution, reply.
//!
//! Usage: `pipeline [WORKLOAD[:DEPTH] ...]`. Prints nanoseconds a command: the fastest slice, and the median slice. On a
//! busy machine the fastest is the one to compare, between binaries run in turn.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::time::Instant;

use kevy::rng::Rng;
use kevy_benches::{accept, exchange, key, request, shard};

const KEYS: u64 = 1_000_000;
const WORKLOADS: &[&str] = &[
    "ping:16",
    "get:16",
    "set:16",
    "get:100",
    "set:100",
    "incr:16",
    "lpush:16",
    "rpop:16",
    "lrange:4",
    "hset:16",
    "hget:16",
    "sadd:16",
    "zadd:16",
    "zrank:16",
    "zrange:16",
    "mset:4",
    "mget:4",
];
/// Commands a slice: short enough that some slices are not interrupted.
const SLICE: usize = 4000;
const SLICES: usize = 400;

fn main() {
    let mut chosen: Vec<String> = std::env::args().skip(1).collect();
    if chosen.is_empty() {
        chosen = WORKLOADS.iter().map(|name| name.to_string()).collect();
    }
    let mut shard = shard();
    let conn = accept(&mut shard);
    let mut rng = Rng::new(7);
    let mut batch = Vec::new();
    let value = [b'x'; 64];
    for number in 0..KEYS {
        request(&mut batch, &[b"SET", &key(number), &value]);
        if number % 64 == 63 {
            exchange(&mut shard, conn, &batch);
            batch.clear();
        }
    }
    for name in chosen {
        let (workload, depth) = name.split_once(':').unwrap_or((&name, "16"));
        let depth: usize = depth.parse().expect("WORKLOAD:DEPTH");
        let filler = match workload {
            "hget" => Some("hset"),
            "rpop" | "lrange" => Some("lpush"),
            "zrank" | "zrange" => Some("zadd"),
            _ => None,
        };
        for _ in 0..if filler.is_some() { 400_000 / 100 } else { 0 } {
            batch.clear();
            for _ in 0..100 {
                command(&mut batch, filler.expect("asked above"), &mut rng);
            }
            exchange(&mut shard, conn, &batch);
        }
        let mut nanos: Vec<f64> = Vec::with_capacity(SLICES);
        for _ in 0..SLICES {
            let batches: Vec<Vec<u8>> = (0..SLICE / depth)
                .map(|_| {
                    let mut batch = Vec::new();
                    (0..depth).for_each(|_| command(&mut batch, workload, &mut rng));
                    batch
                })
                .collect();
            let start = Instant::now();
            for batch in &batches {
                exchange(&mut shard, conn, batch);
            }
            nanos.push(start.elapsed().as_nanos() as f64 / (batches.len() * depth) as f64);
        }
        nanos.sort_by(f64::total_cmp);
        println!("{name:12} {:8.1} {:8.1}", nanos[0], nanos[nanos.len() / 2]);
    }
}

/// A command of a workload of the load generator.
fn command(out: &mut Vec<u8>, workload: &str, rng: &mut Rng) {
    let mut below = |n: u64| rng.next_u64() % n;
    let number = below(KEYS);
    let value = &[b'x'; 64];
    let named = |kind: &str, number: u64| format!("{kind}:{number:012}").into_bytes();
    let member = |kind: &str, number: u64| format!("{kind}:{number}").into_bytes();
    match workload {
        "ping" => request(out, &[b"PING"]),
        "get" => request(out, &[b"GET", &key(number)]),
        "set" => request(out, &[b"SET", &key(number), value]),
        "incr" => request(out, &[b"INCR", &named("cnt", number)]),
        "lpush" => request(out, &[b"LPUSH", &named("list", number % 1000), value]),
        "rpop" => request(out, &[b"RPOP", &named("list", number % 1000)]),
        "lrange" => request(out, &[b"LRANGE", &named("list", number % 1000), b"0", b"99"]),
        "hset" => request(out, &[b"HSET", &named("hash", number % 1000), &member("field", below(16)), value]),
        "hget" => request(out, &[b"HGET", &named("hash", number % 1000), &member("field", below(16))]),
        "sadd" => request(out, &[b"SADD", &named("set", number % 1000), &member("member", below(KEYS))]),
        "zadd" => {
            let score = below(1_000_000).to_string();
            request(
                out,
                &[b"ZADD", &named("zset", number % 100), score.as_bytes(), &member("member", below(10_000))],
            );
        }
        "zrank" => request(out, &[b"ZRANK", &named("zset", number % 100), &member("member", below(10_000))]),
        "zrange" => request(out, &[b"ZRANGE", &named("zset", number % 100), b"5000", b"5009"]),
        "mset" | "mget" => {
            let keys: Vec<Vec<u8>> = (0..10).map(|_| key(below(KEYS))).collect();
            let mut args: Vec<&[u8]> = vec![if workload == "mset" { b"MSET" } else { b"MGET" }];
            for key in &keys {
                args.push(key);
                if workload == "mset" {
                    args.push(value);
                }
            }
            request(out, &args);
        }
        other => panic!("unknown workload {other}"),
    }
}
