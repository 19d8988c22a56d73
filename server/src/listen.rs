//! Where the server listens: opening the sockets at start, and others when `port` or `bind` change.
//!
//! Each thread accepts from sockets of its own, which share their ports; the system spreads connections over them. A
//! change is made by the thread that executes CONFIG SET. It cannot reach into the reactors, so it ends the listening of
//! their sockets from outside (`shutdown`), which the system does at once, and leaves the new ones here: each reactor
//! exchanges its own when it hears of the new configuration.

#![allow(clippy::disallowed_methods, reason = "the process around the shards")]

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::{Config, os_reason};
use crate::log::Level;

/// The listening sockets of the process: the same as the reactors have, or will have.
struct Open {
    /// A set for each shard.
    tcp: Vec<Vec<Socket>>,
    unix: Option<Socket>,
    /// Reactors that have not fetched theirs yet.
    changed: Vec<bool>,
}

static OPEN: Mutex<Option<Open>> = Mutex::new(None);

/// Why the server does not listen: lines for the log.
pub type Failure = String;

/// Opens every listening socket of the configuration. Gives a set for each shard.
pub fn open(config: &Config) -> Result<Vec<Vec<Socket>>, Failure> {
    let shards = config.process.shards();
    let tcp = open_tcp(config).map_err(|warning| {
        format!("{warning}\nFailed listening on port {} (tcp), aborting.", config.network.port)
    })?;
    let network = &config.network;
    let unix = if network.unixsocket.is_empty() {
        None
    } else {
        let socket = listen_unix(&path(&network.unixsocket), network.unixsocketperm, network.tcp_backlog)
            .map_err(|error| format!("Failed opening Unix socket: bind: {}", os_reason(&error)))?;
        Some(socket)
    };
    if unix.is_none() && tcp.iter().all(Vec::is_empty) {
        return Err("Configured to not listen anywhere, exiting.".to_string());
    }
    let open = Open { tcp, unix, changed: vec![false; shards] };
    let sets = (0..shards).map(|shard| open.sockets_of(shard)).collect::<Result<_, _>>();
    *OPEN.lock().expect("nobody panics holding it") = Some(open);
    sets.map_err(|error| format!("Can't open the listening sockets: {error}"))
}

/// Listens where `new` says instead. If that fails, listening goes on as before.
pub fn change(old: &Config, new: &Config) -> Result<(), Failure> {
    let mut open = OPEN.lock().expect("nobody panics holding it");
    let Some(open) = open.as_mut() else { return Ok(()) };
    let before = std::mem::take(&mut open.tcp);
    // An address in use would not be free for those that include it; another port cannot meet the old one.
    let early = old.network.port == new.network.port;
    if early {
        close(&before);
    }
    match open_tcp(new) {
        Ok(tcp) => {
            if !early {
                close(&before);
            }
            open.tcp = tcp;
            open.changed.fill(true);
            Ok(())
        }
        Err(warning) => {
            if early {
                for socket in before.iter().flatten() {
                    if let Err(error) = socket.listen(old.network.tcp_backlog) {
                        crate::log!(Level::Warning, "Listening again: {}", os_reason(&error));
                    }
                }
            }
            open.tcp = before;
            Err(warning)
        }
    }
}

/// The sockets that the reactor of a shard is to listen to from now on, if they are other ones.
pub fn changed(shard: usize) -> Option<Vec<Socket>> {
    let mut open = OPEN.lock().expect("nobody panics holding it");
    let open = open.as_mut()?;
    if !std::mem::take(open.changed.get_mut(shard)?) {
        return None;
    }
    match open.sockets_of(shard) {
        Ok(sockets) => Some(sockets),
        Err(error) => {
            crate::log!(Level::Warning, "Taking over listening sockets: {}", os_reason(&error));
            open.changed[shard] = true;
            None
        }
    }
}

impl Open {
    fn sockets_of(&self, shard: usize) -> io::Result<Vec<Socket>> {
        self.tcp[shard].iter().chain(&self.unix).map(Socket::try_clone).collect()
    }
}

/// Ends listening, whoever has copies of these sockets.
fn close(sockets: &[Vec<Socket>]) {
    for socket in sockets.iter().flatten() {
        // It listened, so this cannot fail for a reason that could be handled.
        let _ = socket.shutdown(Shutdown::Both);
    }
}

/// Opens the TCP sockets of the configuration, a set for each shard.
fn open_tcp(config: &Config) -> Result<Vec<Vec<Socket>>, Failure> {
    let shards = config.process.shards();
    let network = &config.network;
    let mut sets: Vec<Vec<Socket>> = (0..shards).map(|_| Vec::new()).collect();
    let names = if network.port == 0 { &[][..] } else { &network.bind };
    for name in names {
        let name = &*String::from_utf8_lossy(name);
        let (name, optional) = match name.strip_prefix('-') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let warning = |what: &str, error: &io::Error| {
            let port = network.port;
            format!(
                "Warning: Could not create server TCP listening socket {name}:{port}: {what}{}",
                os_reason(error)
            )
        };
        let addr = match address(name, network.port) {
            Ok(addr) => addr,
            Err(_) if optional => continue,
            Err(error) => return Err(warning("", &error)),
        };
        let bound = |error: &io::Error| warning("bind: ", error);
        match listen_tcp(addr, network.tcp_backlog, shards > 1) {
            Ok(socket) => sets[0].push(socket),
            Err(error) if optional && may_be_skipped(&error) => continue,
            Err(error) => return Err(bound(&error)),
        }
        for set in &mut sets[1..] {
            set.push(listen_shared(addr, network.tcp_backlog).map_err(|error| bound(&error))?);
        }
    }
    Ok(sets)
}

fn address(name: &str, port: u16) -> io::Result<SocketAddr> {
    match name {
        "*" => Ok((Ipv4Addr::UNSPECIFIED, port).into()),
        "::*" => Ok((Ipv6Addr::UNSPECIFIED, port).into()),
        name => std::net::ToSocketAddrs::to_socket_addrs(&(name, port))?
            .next()
            .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into()),
    }
}

/// A socket that listens, which others may follow on the same address if it is `shared`.
fn listen_tcp(addr: SocketAddr, backlog: i32, shared: bool) -> io::Result<Socket> {
    if !shared {
        let socket = socket(addr)?;
        socket.bind(&addr.into())?;
        socket.listen(backlog)?;
        return Ok(socket);
    }
    // The other shards listen there too. Nobody else may: that would take clients away.
    if taken(addr) {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    listen_shared(addr, backlog)
}

/// A socket that listens where others of this process do.
fn listen_shared(addr: SocketAddr, backlog: i32) -> io::Result<Socket> {
    let socket = socket(addr)?;
    socket.set_reuse_port(true)?;
    socket.bind(&addr.into())?;
    socket.listen(backlog)?;
    Ok(socket)
}

fn socket(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    Ok(socket)
}

/// Whether somebody listens there already, willing to share the port or not.
fn taken(addr: SocketAddr) -> bool {
    matches!(listen_tcp(addr, 1, false), Err(error) if error.kind() == io::ErrorKind::AddrInUse)
}

fn listen_unix(path: &Path, permissions: u32, backlog: i32) -> io::Result<Socket> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    if permissions != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(permissions))?;
    }
    socket.listen(backlog)?;
    Ok(socket)
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// Addresses marked with `-` may be missing on this machine.
fn may_be_skipped(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT | libc::ENOPROTOOPT)
    )
}
