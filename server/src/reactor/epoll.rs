//! The epoll reactor: level-triggered, one receive area for all connections, nothing buffered for an idle one.
//! Readable connections are received from one after the other, each into what the area has left, until it is full.
//!
//! Registration happens once; `EPOLLOUT` is asked for only while a connection has a buffer the kernel did not take
//! whole. A read that fills less than it could is taken to have emptied the socket, so no second read is
//! spent on finding that out.

#![allow(clippy::disallowed_methods, reason = "the reactor says what time it is")]

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kevy::keyspace::Garbage;
use kevy::value::Value;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use socket2::{SockAddr, Socket};

use super::several::Bell;
use super::{Handle, IoEvent, Reactor};
use crate::config::{Config, os_reason};
use crate::shard::conn::{ConnId, Peer};
use crate::shard::{Now, SendBuf};

/// An event descriptor as a bell.
pub struct EventBell(pub OwnedFd);

impl Bell for EventBell {
    fn ring(&self) {
        // A full counter is a bell that rings already.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    fn sleep(&self) {
        let mut fds = [rustix::event::PollFd::new(&self.0, rustix::event::PollFlags::IN)];
        // Interrupted or not: whoever sleeps looks again why.
        let _ = rustix::event::poll(&mut fds, None);
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

/// Bytes read from one connection in one turn: what a connection may make the others wait for.
const RECEIVE: usize = 64 * 1024;
/// Bytes of the receive area.
const RECEIVE_AREA: usize = 4 * RECEIVE;
/// Bytes sent to one connection in one turn, as far as the kernel takes them.
const SEND: usize = 256 * 1024;
/// Connections accepted from one listener in one turn.
const ACCEPTS: usize = 1000;
/// Tokens: connections are numbered from 0, listeners from here, and the signal pipe is the last.
const LISTENERS: u64 = 1 << 32;
const SIGNALS: u64 = u64::MAX;
const BELL: u64 = u64::MAX - 1;

/// Microseconds for which no listener is asked after the system could not give a descriptor for a new connection. The
/// listener stays readable all that time: without the pause the loop would spin.
const ACCEPT_PAUSE: u64 = 100_000;

struct Connection {
    socket: OwnedFd,
    /// A buffer the kernel has taken a part of.
    pending: Option<SendBuf>,
    /// Nothing is received.
    held: bool,
    /// The turn in which it was last sent to, and what may still be sent in it.
    turn: u32,
    left: usize,
}

/// What is to be dispatched.
enum Found {
    Event(IoEvent),
    /// Somebody may ask to be accepted by this listener.
    Listener(usize),
}

/// What a reactor needs of the system before it begins.
pub struct Descriptors {
    epoll: OwnedFd,
    bell: Option<OwnedFd>,
}

impl Descriptors {
    /// A write to `bell` only ends a wait.
    pub fn new(bell: Option<OwnedFd>) -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, bell })
    }
}

/// See the module documentation.
pub struct Epoll {
    epoll: OwnedFd,
    /// Whose connections these are.
    shard: usize,
    listeners: Vec<Socket>,
    signals: Option<UnixStream>,
    /// An event descriptor that other threads write to.
    bell: Option<OwnedFd>,
    /// When the listeners are asked again (monotonic); they are not while this is set.
    accept_again: Option<u64>,
    /// The last `accept` failed: more failures are not worth a line.
    accept_failed: bool,
    keepalive: Duration,
    connections: Vec<Option<Connection>>,
    /// Counts the waits.
    turn: u32,
    /// What the last wait found, and how much of it has been looked at.
    events: Vec<Event>,
    looked: usize,
    found: Vec<Found>,
    area: Box<[u8]>,
    to_send: Vec<(ConnId, SendBuf)>,
    started: Instant,
    to_free: mpsc::Sender<Garbage>,
}

impl Epoll {
    /// Listeners must be listening; a byte on `signals` means that the process is to stop.
    pub fn new(
        shard: usize,
        listeners: Vec<Socket>,
        signals: Option<UnixStream>,
        Descriptors { epoll, bell }: Descriptors,
        keepalive: Duration,
        started: Instant,
        to_free: mpsc::Sender<Garbage>,
    ) -> io::Result<Self> {
        register(&epoll, &listeners)?;
        if let Some(signals) = &signals {
            signals.set_nonblocking(true)?;
            epoll::add(&epoll, signals, EventData::new_u64(SIGNALS), EventFlags::IN)?;
        }
        if let Some(bell) = &bell {
            epoll::add(&epoll, bell, EventData::new_u64(BELL), EventFlags::IN)?;
        }
        Ok(Self {
            epoll,
            shard,
            listeners,
            signals,
            bell,
            accept_again: None,
            accept_failed: false,
            keepalive,
            connections: Vec::new(),
            turn: 0,
            events: Vec::with_capacity(1024),
            looked: 0,
            found: Vec::new(),
            to_send: Vec::new(),
            area: vec![0; RECEIVE_AREA].into_boxed_slice(),
            started,
            to_free,
        })
    }

    fn now(&self) -> Now {
        now(self.started)
    }

    /// Finds out who is ready, and waits for somebody until then.
    fn find(&mut self, deadline: u64) {
        let deadline = deadline.min(self.accept_again.unwrap_or(u64::MAX));
        let ahead = Duration::from_micros(deadline.saturating_sub(self.now().mono).min(3_600_000_000));
        // epoll counts milliseconds: rounded up, or the loop would spin through the last one.
        let millis = ahead.as_micros().div_ceil(1000) as i64;
        let timeout = rustix::event::Timespec { tv_sec: millis / 1000, tv_nsec: (millis % 1000) * 1_000_000 };
        self.events.clear();
        self.looked = 0;
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("epoll_wait: {error}"),
        }
    }

    fn accept(&mut self, listener: usize, handle: &mut Handle<'_>) {
        for _ in 0..ACCEPTS {
            let (socket, addr) = match self.listeners[listener].accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // It listens no more; others take its place when the loop hears of the new configuration.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
                // The one connection is gone, the next may be there.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) =>
                {
                    continue;
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.accept_failed, true) {
                        crate::log!(
                            crate::log::Level::Warning,
                            "Accepting client connection: {}",
                            os_reason(&error)
                        );
                    }
                    self.listen(EventFlags::empty());
                    self.accept_again = Some(self.now().mono + ACCEPT_PAUSE);
                    return;
                }
            };
            self.accept_failed = false;
            if socket.set_nonblocking(true).is_err() {
                continue;
            }
            let local = socket.local_addr();
            let unix = addr.is_unix();
            if !unix {
                // Best effort, as anywhere: a socket without them still works.
                let _ = socket.set_tcp_nodelay(true);
                if !self.keepalive.is_zero() {
                    let third = (self.keepalive / 3).max(Duration::from_secs(1));
                    let keepalive = socket2::TcpKeepalive::new()
                        .with_time(self.keepalive)
                        .with_interval(third)
                        .with_retries(3);
                    let _ = socket.set_tcp_keepalive(&keepalive);
                }
            }
            let peer = Peer {
                addr: if unix { unix_name(local.as_ref().ok()) } else { ip_name(&addr) },
                laddr: match &local {
                    Ok(local) if unix => unix_name(Some(local)),
                    Ok(local) => ip_name(local),
                    Err(_) => String::new(),
                },
                fd: socket.as_raw_fd(),
                unix,
                local: unix || addr.as_socket().is_some_and(|addr| addr.ip().to_canonical().is_loopback()),
            };
            let now = self.now();
            let Some(id) = handle(now, IoEvent::Accepted { token: listener, peer }, &[]) else { continue };
            let at = id.0 as usize;
            if self.connections.len() <= at {
                self.connections.resize_with(at + 1, || None);
            }
            let socket = OwnedFd::from(socket);
            let added = epoll::add(&self.epoll, &socket, EventData::new_u64(at as u64), EventFlags::IN);
            self.connections[at] =
                Some(Connection { socket, pending: None, held: false, turn: 0, left: SEND });
            if let Err(error) = added {
                crate::log!(crate::log::Level::Warning, "Registering client connection: {error}");
                self.connections[at] = None;
                handle(now, IoEvent::Closed { conn: id }, &[]);
            }
        }
    }

    /// What is asked of all listeners.
    fn listen(&self, flags: EventFlags) {
        for (at, listener) in self.listeners.iter().enumerate() {
            // Open and registered, so this cannot fail for a reason that could be handled.
            let _ = epoll::modify(&self.epoll, listener, EventData::new_u64(LISTENERS + at as u64), flags);
        }
    }

    /// Hands `buf` to the kernel as far as it takes it in this turn. `None` if some of it has to wait.
    fn push(&mut self, conn: ConnId, mut buf: SendBuf) -> Option<(SendBuf, io::Result<()>)> {
        let Some(connection) = self.connections[conn.0 as usize].as_mut() else {
            return Some((buf, Err(io::ErrorKind::NotConnected.into())));
        };
        if connection.turn != self.turn {
            (connection.turn, connection.left) = (self.turn, SEND);
        }
        while !buf.is_sent() {
            let sent = match buf.rest() {
                _ if connection.left == 0 => Err(rustix::io::Errno::AGAIN),
                [bytes, []] => send(&connection.socket, bytes, connection.left),
                [[], large] => send(&connection.socket, large, connection.left),
                pieces => send_both(&connection.socket, pieces, connection.left),
            };
            match sent {
                Ok(sent) => {
                    buf.sent += sent;
                    connection.left -= sent;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => {
                    connection.pending = Some(buf);
                    return None;
                }
                Err(error) => return Some((buf, Err(error.into()))),
            }
        }
        Some((buf, Ok(())))
    }

    /// Closes a connection's socket.
    fn forget(&mut self, conn: ConnId) {
        let connection = self.connections.get_mut(conn.0 as usize).and_then(Option::take);
        if let Some(SendBuf { bytes, large, .. }) = connection.and_then(|connection| connection.pending) {
            self.free(Garbage::Bytes(bytes));
            if let Some(bytes) = large {
                self.free(Garbage::Value(Value::Large { bytes, raw: true }));
            }
        }
    }

    /// Asks to be told of what a connection waits for.
    fn interest(&self, conn: ConnId) {
        if let Some(connection) = &self.connections[conn.0 as usize] {
            let input = if connection.held { EventFlags::empty() } else { EventFlags::IN };
            let output = if connection.pending.is_some() { EventFlags::OUT } else { EventFlags::empty() };
            // The descriptor is open and registered, so this cannot fail for a reason that could be handled.
            let _ = epoll::modify(
                &self.epoll,
                connection.socket.as_fd(),
                EventData::new_u64(u64::from(conn.0)),
                input | output,
            );
        }
    }
}

impl Reactor for Epoll {
    fn wait(&mut self, deadline: u64) -> Now {
        if self.looked == self.events.len() {
            self.find(deadline);
        }
        self.turn = self.turn.wrapping_add(1);
        let now = self.now();
        if self.accept_again.is_some_and(|at| now.mono >= at) {
            self.accept_again = None;
            self.listen(EventFlags::IN);
        }
        now
    }

    fn receive(&mut self) {
        let mut filled = 0;
        while let Some(event) = self.events.get(self.looked)
            && self.area.len() - filled >= RECEIVE
        {
            self.looked += 1;
            let (token, flags) = (event.data.u64(), event.flags);
            if token == SIGNALS {
                let mut byte = [0; 16];
                if let Some(signals) = &self.signals {
                    let _ = rustix::io::read(signals, &mut byte);
                }
                self.found.push(Found::Event(IoEvent::Stop));
                continue;
            }
            if token == BELL {
                let mut count = [0; 8];
                if let Some(bell) = &self.bell {
                    let _ = rustix::io::read(bell, &mut count);
                }
                continue;
            }
            if token >= LISTENERS {
                self.found.push(Found::Listener((token - LISTENERS) as usize));
                continue;
            }
            let conn = ConnId(token as u32);
            if flags.contains(EventFlags::OUT)
                && let Some(connection) = self.connections[token as usize].as_mut()
                && let Some(buf) = connection.pending.take()
                && let Some((buf, result)) = self.push(conn, buf)
            {
                self.interest(conn);
                self.found.push(Found::Event(IoEvent::Sent { conn, buf, result }));
            }
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR)
                && let Some(connection) = self.connections[token as usize].as_ref()
            {
                let area = &mut self.area[filled..filled + RECEIVE];
                match rustix::net::recv(&connection.socket, area, RecvFlags::empty()) {
                    Ok((_, read)) if read > 0 => {
                        let range = filled..filled + read;
                        filled = range.end;
                        self.found.push(Found::Event(IoEvent::Received { conn, range }));
                    }
                    Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                    Ok(_) | Err(_) => {
                        self.forget(conn);
                        self.found.push(Found::Event(IoEvent::Closed { conn }));
                    }
                }
            }
        }
    }

    fn dispatch(&mut self, now: Now, handle: &mut Handle<'_>) {
        let mut found = std::mem::take(&mut self.found);
        for found in found.drain(..) {
            match found {
                Found::Event(event) => _ = handle(now, event, &self.area),
                Found::Listener(listener) => self.accept(listener, handle),
            }
        }
        self.found = found;
    }

    fn send(&mut self, conn: ConnId, buf: SendBuf) {
        self.to_send.push((conn, buf));
    }

    fn flush(&mut self) {
        let mut to_send = std::mem::take(&mut self.to_send);
        for (conn, buf) in to_send.drain(..) {
            match self.push(conn, buf) {
                Some((buf, result)) => self.found.push(Found::Event(IoEvent::Sent { conn, buf, result })),
                None => self.interest(conn),
            }
        }
        self.to_send = to_send;
    }

    fn hold_input(&mut self, conn: ConnId, hold: bool) {
        if let Some(connection) = self.connections.get_mut(conn.0 as usize).and_then(Option::as_mut) {
            connection.held = hold;
            self.interest(conn);
        }
    }

    fn close(&mut self, conn: ConnId) {
        self.forget(conn);
    }

    fn reconfigure(&mut self, config: &Config) {
        // For connections to come.
        self.keepalive = Duration::from_secs(u64::from(config.network.tcp_keepalive));
        if let Some(listeners) = crate::listen::changed(self.shard) {
            for listener in std::mem::replace(&mut self.listeners, listeners) {
                // Closing it is not enough where another descriptor refers to it.
                let _ = epoll::delete(&self.epoll, &listener);
            }
            if let Err(error) = register(&self.epoll, &self.listeners) {
                crate::log!(
                    crate::log::Level::Warning,
                    "Registering listening sockets: {}",
                    os_reason(&error)
                );
            }
            self.accept_again = None;
        }
    }

    fn free(&mut self, garbage: Garbage) {
        crate::memory::begin_to_free();
        // If the freeing thread is gone, the process is ending: freeing here is as good.
        let _ = self.to_free.send(garbage);
    }
}

fn register(epoll: &OwnedFd, listeners: &[Socket]) -> io::Result<()> {
    for (at, listener) in listeners.iter().enumerate() {
        listener.set_nonblocking(true)?;
        epoll::add(epoll, listener, EventData::new_u64(LISTENERS + at as u64), EventFlags::IN)?;
    }
    Ok(())
}

fn send(socket: &OwnedFd, bytes: &[u8], limit: usize) -> rustix::io::Result<usize> {
    rustix::net::send(socket, &bytes[..bytes.len().min(limit)], SendFlags::NOSIGNAL)
}

/// Sends two pieces with one call, so that a short one is no packet of its own.
fn send_both(socket: &OwnedFd, [first, second]: [&[u8]; 2], limit: usize) -> rustix::io::Result<usize> {
    let first = &first[..first.len().min(limit)];
    let second = &second[..second.len().min(limit - first.len())];
    let pieces = [IoSlice::new(first), IoSlice::new(second)];
    rustix::net::sendmsg(socket, &pieces, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
}

/// Both clocks. The monotonic one counts from `started`.
pub fn now(started: Instant) -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
    Now::new(unix, started.elapsed().as_micros() as u64)
}

fn ip_name(addr: &SockAddr) -> String {
    match addr.as_socket() {
        Some(std::net::SocketAddr::V6(addr)) => match addr.ip().to_canonical() {
            std::net::IpAddr::V4(ip) => format!("{ip}:{}", addr.port()),
            std::net::IpAddr::V6(ip) => format!("[{ip}]:{}", addr.port()),
        },
        Some(addr) => addr.to_string(),
        None => "?:0".to_string(),
    }
}

fn unix_name(addr: Option<&SockAddr>) -> String {
    let path = addr.and_then(|addr| addr.as_pathname().map(|path| path.display().to_string()));
    format!("{}:0", path.unwrap_or_default())
}
