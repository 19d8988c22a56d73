//! What a busy shard adds to the waits of its neighbour's clients, on a server with two shards or more.
//!
//! Usage: `neighbours PORT`. One client sorts a large set on shard 0, over and over, with a connection and a key of that
//! shard. Another one reads a key of shard 1 over a connection of shard 1, first alone, then beside the first. Its waits
//! beside it should be those of the machine, not those of the sort; for comparison, a third line is of the busy shard's own
//! clients. With one shard, or on another server, all keys and connections are of the one.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kevy_benches::request;

const MEMBERS: usize = 300_000;
const SECONDS: u64 = 5;

struct Client(TcpStream);

impl Client {
    fn connect(port: u16) -> Client {
        let socket = TcpStream::connect(("127.0.0.1", port)).expect("a server listens there");
        socket.set_nodelay(true).expect("a socket has this option");
        Client(socket)
    }

    /// One command whose reply fits into a packet.
    fn call(&mut self, args: &[&[u8]]) -> String {
        let mut bytes = Vec::new();
        request(&mut bytes, args);
        self.0.write_all(&bytes).expect("the server reads");
        let mut reply = vec![0; 1 << 16];
        let read = self.0.read(&mut reply).expect("the server answers");
        assert!(read > 0 && reply[0] != b'-', "{}", String::from_utf8_lossy(&reply[..read]));
        String::from_utf8_lossy(&reply[..read]).into_owned()
    }

    fn sort(&mut self, key: &[u8]) {
        self.call(&[b"SORT", key, b"ALPHA", b"LIMIT", b"0", b"1"]);
    }

    /// A field of each shard's line in INFO; nothing on another server.
    fn shares(&mut self, field: &str) -> Vec<u64> {
        let info = self.call(&[b"INFO", b"kevy"]);
        let lines = info.lines().filter(|line| line.starts_with("shard") && !line.starts_with("shards:"));
        let field = format!("{field}=");
        let value = |line: &str| {
            let pairs = line.split(':').nth(1)?.split(',');
            pairs.into_iter().find_map(|pair| pair.strip_prefix(&field))?.parse().ok()
        };
        lines.map(|line| value(line).expect("a number in INFO")).collect()
    }
}

/// The shard with more than before: 0 if there is only one.
fn grown(before: &[u64], after: &[u64]) -> usize {
    before.iter().zip(after).position(|(before, after)| after > before).unwrap_or(0)
}

/// Waits of one client's reads, one after the other.
fn probe(name: &str, client: &mut Client, key: &[u8]) {
    let mut waits = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(SECONDS) {
        let start = Instant::now();
        client.call(&[b"EXISTS", key]);
        waits.push(start.elapsed());
    }
    waits.sort_unstable();
    let at = |part: f64| waits[(waits.len() as f64 * part) as usize].as_secs_f64() * 1e3;
    let most = waits[waits.len() - 1].as_secs_f64() * 1e3;
    println!(
        "{name:<24} reads {:>7}  median {:>8.2} ms  p99 {:>8.2} ms  most {most:>8.2} ms",
        waits.len(),
        at(0.5),
        at(0.99)
    );
}

fn main() {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).expect("usage: neighbours PORT");
    let mut control = Client::connect(port);
    let several = control.shares("clients").len() > 1;
    let (mut clients, mut keys) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for number in 0.. {
        let before = control.shares("clients");
        let mut client = Client::connect(port);
        client.call(&[b"PING"]);
        let shard = if several { grown(&before, &control.shares("clients")) } else { number % 2 };
        if let Some(some) = clients.get_mut(shard) {
            some.push(client);
        }
        if clients.iter().all(|some| some.len() > 1) {
            break;
        }
    }
    for number in 0.. {
        let key = format!("neighbours:{number}").into_bytes();
        control.call(&[b"DEL", &key]);
        let before = control.shares("keys");
        control.call(&[b"SADD", &key, b"member"]);
        let shard = if several { grown(&before, &control.shares("keys")) } else { number % 2 };
        if let Some(some) = keys.get_mut(shard) {
            some.push(key);
        }
        if keys.iter().all(|some| some.len() > 1) {
            break;
        }
    }
    let ([mut busy, mut idle], [large, small]) = (clients, keys);
    for first in (0..MEMBERS).step_by(1000) {
        let members: Vec<Vec<u8>> =
            (first..first + 1000).map(|number| format!("member:{number}").into_bytes()).collect();
        let mut args: Vec<&[u8]> = vec![b"SADD", &large[0]];
        args.extend(members.iter().map(Vec::as_slice));
        control.call(&args);
    }
    let start = Instant::now();
    busy[0].sort(&large[0]);
    println!("one sort: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    probe("neighbour, idle", &mut idle[0], &small[0]);
    let (mut sorter, stop) = (busy.swap_remove(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                sorter.sort(&large[0]);
            }
        });
        probe("neighbour, busy", &mut idle[0], &small[0]);
        probe("the busy shard itself", &mut busy[0], &large[1]);
        stop.store(true, Ordering::Relaxed);
    });
    large.iter().chain(&small).for_each(|key| _ = control.call(&[b"DEL", key]));
}
