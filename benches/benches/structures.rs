//! Micro benchmarks of the parts a command is made of. Run with `cargo bench -p kevy-benches [FILTER]`.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kevy::keyspace::entry::Entry;
use kevy::keyspace::table::Table;
use kevy::resp::{Decoder, Limits, Progress, Protocol, Reply};
use kevy::rng::Rng;
use kevy::value::list::{List, ListLimits};
use kevy::value::listpack::Item;
use kevy::value::zset::{Zset, ZsetLimits};
use kevy_benches::{key, request};
use std::hint::black_box;

const KEYS: u64 = 1_000_000;
const VALUE: [u8; 64] = [b'x'; 64];

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(16));
    for (name, value) in [("GET", None), ("SET", Some(&VALUE[..]))] {
        let mut buffer = Vec::new();
        for number in 0..16 {
            let key = key(number);
            let mut args = vec![name.as_bytes(), &key];
            args.extend(value);
            request(&mut buffer, &args);
        }
        let (mut decoder, limits, mut spans) = (Decoder::new(), Limits::default(), Vec::new());
        group.bench_function(name, |b| {
            b.iter(|| {
                spans.clear();
                let mut at = 0;
                while let Ok(Progress::Complete { consumed, .. }) =
                    decoder.decode(&buffer[at..], &limits, &mut spans)
                {
                    at += consumed;
                }
                black_box(&spans).len()
            });
        });
    }
}

fn table(c: &mut Criterion) {
    let mut group = c.benchmark_group("table");
    let mut table: Table<Entry> = Table::new(1);
    for number in 0..KEYS {
        table.insert(Entry::with_bytes(&key(number), &VALUE, false, None));
    }
    let mut rng = Rng::new(1);
    let keys: Vec<Vec<u8>> = (0..4096).map(|_| key(rng.below(KEYS))).collect();
    let mut at = 0;
    group.bench_function("find of 1 M", |b| {
        b.iter(|| {
            at = (at + 1) % keys.len();
            table.find(&keys[at]).is_some()
        });
    });
    let mut number = KEYS;
    group.bench_function("insert", |b| {
        b.iter(|| {
            number += 1;
            table.insert(Entry::with_bytes(&key(number), &VALUE, false, None))
        });
    });
}

fn list(c: &mut Criterion) {
    let mut group = c.benchmark_group("list");
    let limits = ListLimits::default();
    for (name, front) in [("push_front", true), ("push_back", false)] {
        group.throughput(Throughput::Elements(1000));
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                List::new,
                |list| {
                    for _ in 0..1000 {
                        if front { list.push_front(&VALUE, &limits) } else { list.push_back(&VALUE, &limits) }
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    let mut list = List::new();
    (0..1000).for_each(|_| list.push_back(&VALUE, &limits));
    let mut out = Vec::new();
    group.throughput(Throughput::Elements(100));
    group.bench_function("range of 100", |b| {
        b.iter(|| {
            out.clear();
            let mut reply = Reply::new(&mut out, Protocol::Resp2);
            list.range(0, 99).for_each(|item| match item {
                Item::Bytes(bytes) => reply.bulk(bytes),
                Item::Int(int) => reply.bulk_int(int),
            });
            black_box(&out).len()
        });
    });
}

fn zset(c: &mut Criterion) {
    let mut group = c.benchmark_group("zset");
    let limits = ZsetLimits::default();
    let member = |number: u64| format!("member:{number}").into_bytes();
    let mut rng = Rng::new(1);
    let mut zset = Zset::new(1);
    for number in 0..10_000 {
        zset.insert(&member(number), rng.below(1_000_000) as f64, &limits);
    }
    let members: Vec<Vec<u8>> = (0..1024).map(|_| member(rng.below(10_000))).collect();
    let mut at = 0;
    group.bench_function("update of 10 k", |b| {
        b.iter(|| {
            at = (at + 1) % members.len();
            zset.insert(&members[at], rng.below(1_000_000) as f64, &limits)
        });
    });
    group.bench_function("rank of 10 k", |b| {
        b.iter(|| {
            at = (at + 1) % members.len();
            zset.rank(&members[at])
        });
    });
}

criterion_group!(structures, decode, table, list, zset);
criterion_main!(structures);
