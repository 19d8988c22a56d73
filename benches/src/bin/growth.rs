//! What growth of the keyspace adds to anybody's wait.
//!
//! ```text
//! growth KEYS              in this process: processor time of each of KEYS inserts into a shard, and which
//!                          were the slowest: what the table causes is at the same place in every run
//! growth KEYS PORT         against a server: one connection loads KEYS keys, pipelined, while another pings;
//!                          then the same again over the keys that are there now: the control, without growth
//! ```
//!
//! Processor time is blind to being interrupted, so the first form tells also on a busy machine. Of the second form
//! the difference to the control counts: both load alike, and only the first makes the table grow.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock and starts threads")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kevy_benches::{accept, exchange, key, request, shard};
use rustix::time::{ClockId, clock_gettime};

const PIPELINE: u64 = 16;

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args.get(at).and_then(|text| text.parse::<u64>().ok());
    let Some(keys) = number(0) else {
        eprintln!("growth KEYS [PORT]");
        std::process::exit(2);
    };
    match number(1) {
        None => in_process(keys),
        Some(port) => {
            report("growth", &mut pings(keys, port as u16)?);
            report("control", &mut pings(keys, port as u16)?);
        }
    }
    Ok(())
}

fn in_process(keys: u64) {
    let cpu = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
    };
    let mut shard = shard();
    let conn = accept(&mut shard);
    for name in ["growth", "control"] {
        let mut micros = Vec::with_capacity(keys as usize);
        let mut batch = Vec::new();
        for number in 0..keys {
            batch.clear();
            request(&mut batch, &[b"SET", &key(number), &[b'x'; 64]]);
            let start = cpu();
            exchange(&mut shard, conn, &batch);
            micros.push(cpu() - start);
        }
        let mut worst: Vec<usize> = (0..micros.len()).collect();
        worst.sort_by(|&a, &b| micros[b].total_cmp(&micros[a]));
        let worst: Vec<String> = worst.iter().take(5).map(|&at| format!("{at}: {:.0}", micros[at])).collect();
        report(name, &mut micros);
        println!("         slowest: {} us", worst.join(", "));
    }
}

/// Loads the keys and returns how long the pings took meanwhile, in microseconds.
fn pings(keys: u64, port: u16) -> std::io::Result<Vec<f64>> {
    let connect = || -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    let (mut loader, mut pinger) = (connect()?, connect()?);
    let loaded = AtomicBool::new(false);
    let mut micros = Vec::new();
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let (mut batch, mut replies) = (Vec::new(), vec![0; 5 * PIPELINE as usize]);
            let result = (0..keys / PIPELINE).try_for_each(|turn| {
                batch.clear();
                for number in turn * PIPELINE..(turn + 1) * PIPELINE {
                    request(&mut batch, &[b"SET", &key(number), &[b'x'; 64]]);
                }
                loader.write_all(&batch)?;
                loader.read_exact(&mut replies)
            });
            loaded.store(true, Ordering::Release);
            result
        });
        let mut pong = [0; 7];
        while !loaded.load(Ordering::Acquire) {
            let start = Instant::now();
            pinger.write_all(b"*1\r\n$4\r\nPING\r\n")?;
            pinger.read_exact(&mut pong)?;
            micros.push(start.elapsed().as_nanos() as f64 / 1e3);
            std::thread::sleep(Duration::from_micros(50));
        }
        load.join().expect("the loader does not panic")
    })?;
    Ok(micros)
}

fn report(name: &str, micros: &mut [f64]) {
    micros.sort_by(f64::total_cmp);
    let at = |part: f64| micros.get(((micros.len() - 1) as f64 * part) as usize).copied().unwrap_or(0.0);
    println!(
        "{name:8} n={} p50={:.1} p99={:.1} p99.9={:.1} p99.99={:.1} max={:.1} us",
        micros.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(0.9999),
        at(1.0)
    );
}
