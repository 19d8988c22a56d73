//! What the benchmarks share: requests in wire format, a shard without the kernel,
//! the allocator of the server.
//!
//! How to measure, and what was measured, is in `benches/README.md`. Nothing here is part of `cargo test`.

use kevy_server::config::Config;
use kevy_server::shard::conn::{ConnId, Peer};
use kevy_server::shard::{Environment, Now, Shard};

/// Benchmarks allocate as the server does.
#[global_allocator]
static ALLOCATOR: kevy_server::memory::Counting = kevy_server::memory::Counting;

/// A request in wire format, appended to `out`.
pub fn request(out: &mut Vec<u8>, args: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// The keys of the load generator: 16 bytes.
pub fn key(number: u64) -> Vec<u8> {
    format!("key:{number:012}").into_bytes()
}

const NOW: Now = Now { unix: 1_700_000_000_000, micros: 0, mono: 0 };

/// A shard that measures its commands as the server's does, and has no other part of the outside world.
pub fn shard() -> Shard {
    kevy_server::clock::start();
    let (stopwatch, chunk) = (kevy_server::clock::micros, Environment::CHUNK);
    let environment = Environment { stopwatch, chunk, ..Environment::isolated() };
    Shard::new(Config::default(), environment, 1, NOW)
}

/// A connection to it.
pub fn accept(shard: &mut Shard) -> ConnId {
    shard.handle_accept(NOW, Peer { local: true, ..Peer::default() })
}

/// Hands bytes to the shard and takes what it answers, as the loop of a reactor does.
pub fn exchange(shard: &mut Shard, conn: ConnId, bytes: &[u8]) {
    shard.handle_recv(NOW, conn, bytes);
    shard.handle_turn(NOW);
    while let Some((conn, buf)) = shard.poll_send() {
        std::hint::black_box(&buf.bytes);
        shard.handle_sent(NOW, conn, buf, Ok(()));
    }
    while shard.poll_garbage().is_some() {}
}
