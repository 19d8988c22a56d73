//! The process: listeners, signals, the freeing thread, and the loop of each shard.

#![allow(clippy::disallowed_methods, reason = "the process around the shards")]

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::Config;
use crate::log::Level;
use crate::reactor::{self, epoll};
use crate::shard::{Environment, Shard, System, Usage};
use crate::{clock, daemon, log, memory, sys};

/// Runs the server until it is asked to stop.
pub fn run(config: Config) -> ExitCode {
    let started = Instant::now();
    clock::start();
    let listeners = match listen(&config) {
        Ok(listeners) => listeners,
        Err(message) => {
            for line in message.lines() {
                log!(Level::Warning, "{line}");
            }
            return ExitCode::FAILURE;
        }
    };
    let signals = match stop_signals() {
        Ok(signals) => signals,
        Err(error) => {
            log!(Level::Warning, "Can't handle signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Large values are freed beside the shard. The thread ends when the reactor is gone.
    let (to_free, garbage) = mpsc::channel();
    let freeing =
        std::thread::Builder::new().name("lazyfree".into()).spawn(move || garbage.iter().for_each(drop));
    if let Err(error) = freeing {
        log!(Level::Warning, "Can't start the freeing thread: {error}");
        return ExitCode::FAILURE;
    }
    let environment = Environment {
        stopwatch: clock::micros,
        used_memory: memory::used,
        peak_memory: memory::peak,
        usage,
        hold: |micros| std::thread::sleep(Duration::from_micros(micros)),
        apply_config,
        rewrite_config: |config| match &config.process.config_file {
            Some(path) => config.rewrite(path),
            None => Err(io::ErrorKind::NotFound.into()),
        },
        system: system(),
        run_id: random_hex(40),
        pid: std::process::id(),
        executable: std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default(),
    };
    let keepalive = Duration::from_secs(u64::from(config.network.tcp_keepalive));
    let count = config.process.shards as usize;
    if count > 1 {
        return several(count, config, environment, listeners, signals, started, &to_free);
    }
    let mut reactor = match epoll::Epoll::new(listeners, Some(signals), None, keepalive, started, to_free) {
        Ok(reactor) => reactor,
        Err(error) => {
            log!(Level::Warning, "Can't create the event loop: {error}");
            return ExitCode::FAILURE;
        }
    };
    announce(&config);
    let unixsocket = path(&config.network.unixsocket);
    let mut shard = Shard::new(config, environment, random_u64(), epoll::now(started));
    shard.env.system.startup_memory = memory::used();
    reactor::run(&mut shard, &mut reactor);
    farewell(&unixsocket)
}

/// Says that the server is ready.
fn announce(config: &Config) {
    log!(Level::Notice, "Running mode=standalone, port={}.", config.network.port);
    log!(Level::Notice, "Server initialized");
    if config.network.port != 0 {
        log!(Level::Notice, "Ready to accept connections tcp");
    }
    if !config.network.unixsocket.is_empty() {
        log!(Level::Notice, "Ready to accept connections unix");
    }
}

/// The last words of the process.
fn farewell(unixsocket: &Path) -> ExitCode {
    log!(Level::Notice, "User requested shutdown...");
    if !unixsocket.as_os_str().is_empty() {
        log!(Level::Notice, "Removing the unix socket file.");
        // It may have been removed already; there is nothing left to do about it.
        let _ = std::fs::remove_file(unixsocket);
    }
    log!(Level::Warning, "Redis is now ready to exit, bye bye...");
    ExitCode::SUCCESS
}

/// Runs a server with several shards, each on a thread of its own, until it is asked to stop.
fn several(
    count: usize,
    config: Config,
    environment: Environment,
    listeners: Vec<Socket>,
    signals: UnixStream,
    started: Instant,
    to_free: &mpsc::Sender<kevy::keyspace::Garbage>,
) -> ExitCode {
    let unixsocket = path(&config.network.unixsocket);
    let keepalive = Duration::from_secs(u64::from(config.network.tcp_keepalive));
    let (stop, stopped) = mpsc::channel::<io::Result<()>>();
    let prepared = (|| {
        let mut sockets = Vec::with_capacity(count);
        let mut bells = Vec::with_capacity(count);
        for shard in 0..count {
            let flags = rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK;
            let bell = rustix::event::eventfd(0, flags)?;
            let listen = |listener: &Socket| match shard {
                0 => listener.try_clone(),
                _ => again(listener, config.network.tcp_backlog),
            };
            let listeners = listeners.iter().map(listen).collect::<Result<Vec<Socket>, _>>()?;
            sockets.push((listeners, bell.try_clone()?));
            bells.push(bell);
        }
        Ok::<_, io::Error>((sockets, bells))
    })();
    let (sockets, bells) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            log!(Level::Warning, "Can't create the event loops: {error}");
            return ExitCode::FAILURE;
        }
    };
    drop(listeners);
    let mut signals = Some(signals);
    announce(&config);
    let threads =
        reactor::several::threads(count, &config, &environment, random_u64(), epoll::now(started), bells);
    for (number, (thread, (listeners, bell))) in threads.into_iter().zip(sockets).enumerate() {
        let (stop, signals, to_free) = (stop.clone(), signals.take(), to_free.clone());
        let spawned = std::thread::Builder::new().name(format!("shard{number}")).spawn(move || {
            let _ends = EndsProcess;
            let reactor = epoll::Epoll::new(listeners, signals, Some(bell), keepalive, started, to_free);
            // If nobody listens to what is sent here, the process is ending already.
            match reactor {
                Ok(mut reactor) => reactor::several::run(thread, &mut reactor, || {
                    let _ = stop.send(Ok(()));
                }),
                Err(error) => {
                    let _ = stop.send(Err(error));
                }
            }
        });
        if let Err(error) = spawned {
            log!(Level::Warning, "Can't start the thread of shard {number}: {error}");
            return ExitCode::FAILURE;
        }
    }
    // An error would mean that no thread is left to ask, and each of them ends the process when it panics.
    if let Ok(Err(error)) = stopped.recv() {
        log!(Level::Warning, "Can't create the event loop: {error}");
        return ExitCode::FAILURE;
    }
    farewell(&unixsocket)
}

/// A shard whose thread has gone would leave its clients without an answer: a panic ends the process, once it has been
/// reported.
struct EndsProcess;

impl Drop for EndsProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// Another socket that listens where this one does: the system spreads connections over them. For a Unix socket, the
/// same socket.
fn again(listener: &Socket, backlog: i32) -> io::Result<Socket> {
    let addr = listener.local_addr()?;
    if addr.as_socket().is_none() {
        return listener.try_clone();
    }
    let socket = Socket::new(addr.domain(), Type::STREAM, None)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&addr)?;
    socket.listen(backlog)?;
    Ok(socket)
}

/// What the operating system has counted for this process.
fn usage() -> Usage {
    let [process, thread] = sys::processor_micros();
    // "size resident shared ..." in pages.
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    Usage {
        resident_bytes: pages * sys::page_size(),
        user_micros: process.0,
        system_micros: process.1,
        thread_user_micros: thread.0,
        thread_system_micros: thread.1,
    }
}

fn system() -> System {
    let kernel = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        text.trim_end().to_string()
    };
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes: u64 = total.and_then(|text| text.trim().split(' ').next()?.parse().ok()).unwrap_or(0);
    System {
        os: format!("{} {} {}", kernel("ostype"), kernel("osrelease"), std::env::consts::ARCH),
        total_memory: kilobytes * 1024,
        startup_memory: 0,
    }
}

/// Makes a change of the configuration happen outside of the shard, or says why it cannot.
fn apply_config(
    old: &Config,
    new: &mut Config,
    changed: &[&'static str],
) -> Result<(), (&'static str, String)> {
    for &name in changed {
        match name {
            "port" => {
                return Err((name, "this version of kevy listens only where it did at start".into()));
            }
            "bind" => return Err((name, "this version of kevy binds addresses only at start".into())),
            "maxclients" => {
                let allowed = daemon::adjust_open_files_limit(new.network.maxclients);
                let wanted = new.network.maxclients;
                if allowed.as_ref().map_or(true, |&allowed| allowed < wanted) {
                    let allowed = allowed.unwrap_or(0).max(old.network.maxclients);
                    return Err((
                        name,
                        format!(
                            "The operating system is not able to handle the specified number of clients, try with \
                             {allowed}"
                        ),
                    ));
                }
            }
            _ => {}
        }
    }
    for &name in changed {
        match name {
            "loglevel" => log::set_level(new.process.loglevel),
            "dir" => {
                std::env::set_current_dir(path(&new.process.dir)).map_err(|error| (name, reason(&error)))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Opens every listening socket of the configuration.
fn listen(config: &Config) -> Result<Vec<Socket>, String> {
    let mut listeners = Vec::new();
    let shared = config.process.shards > 1;
    let config = &config.network;
    if config.port != 0 {
        for name in &config.bind {
            let name = &*String::from_utf8_lossy(name);
            let (name, optional) = match name.strip_prefix('-') {
                Some(name) => (name, true),
                None => (name, false),
            };
            match listen_tcp(name, config.port, config.tcp_backlog, shared) {
                Ok(listener) => listeners.push(listener),
                Err(error) if optional && may_be_skipped(&error) => {}
                Err(error) => {
                    return Err(format!(
                        "Warning: Could not create server TCP listening socket {name}:{}: bind: {}\nFailed listening \
                         on port {} (tcp), aborting.",
                        config.port,
                        reason(&error),
                        config.port
                    ));
                }
            }
        }
    }
    if !config.unixsocket.is_empty() {
        let listener = listen_unix(&path(&config.unixsocket), config.unixsocketperm, config.tcp_backlog)
            .map_err(|error| format!("Failed opening Unix socket: bind: {}", reason(&error)))?;
        listeners.push(listener);
    }
    if listeners.is_empty() {
        return Err("Configured to not listen anywhere, exiting.".to_string());
    }
    Ok(listeners)
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

fn listen_tcp(name: &str, port: u16, backlog: i32, shared: bool) -> io::Result<Socket> {
    let addr: SocketAddr = match name {
        "*" => (Ipv4Addr::UNSPECIFIED, port).into(),
        "::*" => (Ipv6Addr::UNSPECIFIED, port).into(),
        name => std::net::ToSocketAddrs::to_socket_addrs(&(name, port))?
            .next()
            .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?,
    };
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if shared {
        // The other shards listen there too. Nobody else may: that would take clients away.
        if taken(addr) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        socket.set_reuse_port(true)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(backlog)?;
    Ok(socket)
}

/// Whether somebody listens there already, willing to share the port or not.
fn taken(addr: SocketAddr) -> bool {
    let probe = || {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&addr.into())?;
        socket.listen(1)
    };
    matches!(probe(), Err(error) if error.kind() == io::ErrorKind::AddrInUse)
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

/// Addresses marked with `-` may be missing on this machine.
fn may_be_skipped(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT | libc::ENOPROTOOPT)
    )
}

/// The system's own words, without Rust's number behind them.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_string()
}

/// A stream that gets a byte for each SIGTERM or SIGINT. SIGHUP and SIGPIPE are ignored.
fn stop_signals() -> io::Result<UnixStream> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let (read, write) = UnixStream::pair()?;
    for signal in [SIGTERM, SIGINT] {
        signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
    }
    let ignored = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    signal_hook::flag::register(SIGHUP, ignored)?;
    Ok(read)
}

fn random_u64() -> u64 {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .expect("the system has entropy");
    u64::from_ne_bytes(bytes)
}

fn random_hex(digits: usize) -> String {
    let mut text = String::new();
    while text.len() < digits {
        text.push_str(&format!("{:016x}", random_u64()));
    }
    text.truncate(digits);
    text
}
