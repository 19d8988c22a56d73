//! The process: signals, the freeing thread, and the loop of each shard.

#![allow(clippy::disallowed_methods, reason = "the process around the shards")]

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use kevy::keyspace::Garbage;
use socket2::Socket;

use crate::config::{Config, os_reason};
use crate::log::Level;
use crate::reactor::several::{self, Bell, Limits};
use crate::reactor::{self, epoll};
use crate::shard::witness::Witness;
use crate::shard::{Environment, Shard, System, Usage};
use crate::{ahead, clock, daemon, listen, log, memory, sys};

/// Runs the server until it is asked to stop. The pid file is written when the server listens: one that cannot leaves
/// the file of another that does.
pub fn run(config: Config, pidfile: Option<PathBuf>) -> ExitCode {
    let started = Instant::now();
    clock::start();
    if config.process.disable_thp
        && let Err(error) = sys::disable_huge_pages()
    {
        log!(Level::Warning, "Unable to disable transparent huge pages: {}", os_reason(&error));
    }
    let mut listeners = match listen::open(&config) {
        Ok(listeners) => listeners,
        Err(message) => {
            for line in message.lines() {
                log!(Level::Warning, "{line}");
            }
            return ExitCode::FAILURE;
        }
    };
    let _pidfile = pidfile.and_then(daemon::PidFile::write);
    let signals = match stop_signals() {
        Ok(signals) => signals,
        Err(error) => {
            log!(Level::Warning, "Can't handle signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Large values are freed beside the shard. The thread ends when the reactor is gone.
    let (to_free, garbage) = mpsc::channel();
    let freeing = std::thread::Builder::new().name("lazyfree".into()).spawn(move || free(&garbage));
    if let Err(error) = freeing {
        log!(Level::Warning, "Can't start the freeing thread: {error}");
        return ExitCode::FAILURE;
    }
    if let Err(error) = ahead::start() {
        log!(Level::Notice, "Memory is provided when it is needed, not before: {}", os_reason(&error));
    }
    let environment = Environment {
        chunk: Environment::CHUNK,
        stopwatch: clock::micros,
        used_memory: memory::used,
        peak_memory: memory::peak,
        release_memory: memory::release,
        is_freeing: memory::is_freeing,
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
    if config.process.shards() > 1 {
        return run_several(config, environment, listeners, signals, started, &to_free);
    }
    let listeners = listeners.remove(0);
    let keepalive = Duration::from_secs(u64::from(config.network.tcp_keepalive));
    let reactor = epoll::Descriptors::new(None).and_then(|descriptors| {
        epoll::Epoll::new(0, listeners, Some(signals), descriptors, keepalive, started, to_free)
    });
    let mut reactor = match reactor {
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

/// Frees what is sent, and sees to it that memory which is free returns to the operating system before long: the
/// allocator looks after that when it is asked for memory, which in an idle server it is not.
fn free(garbage: &mpsc::Receiver<Garbage>) {
    const LOOK: Duration = Duration::from_millis(500);
    loop {
        match garbage.recv_timeout(LOOK) {
            Ok(garbage) => {
                drop(garbage);
                memory::have_freed();
            }
            Err(mpsc::RecvTimeoutError::Timeout) => memory::release_unused(),
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Says that the server is ready.
fn announce(config: &Config) {
    log!(Level::Notice, "Running mode=standalone, port={}.", config.network.port);
    log!(Level::Notice, "Serving clients with {} threads.", config.process.shards());
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
fn run_several(
    config: Config,
    environment: Environment,
    listeners: Vec<Vec<Socket>>,
    signals: UnixStream,
    started: Instant,
    to_free: &mpsc::Sender<Garbage>,
) -> ExitCode {
    let unixsocket = path(&config.network.unixsocket);
    announce(&config);
    let signals = Some(signals);
    let threads = start_threads(&config, &environment, listeners, signals, started, to_free, None);
    // An error in receiving would mean that no thread is left to ask, and each of them ends the process when it panics.
    match threads.map(|stopped| stopped.recv()) {
        Err(error) | Ok(Ok(Err(error))) => {
            log!(Level::Warning, "Can't start the threads of the shards: {error}");
            ExitCode::FAILURE
        }
        Ok(_) => farewell(&unixsocket),
    }
}

/// Starts a thread for each set of listeners. What is given hears once one of them is asked to stop or cannot begin: then
/// the process is to end. If one of them panics, it ends at once.
///
/// # Errors
///
/// The system has no threads or descriptors left.
pub fn start_threads(
    config: &Config,
    environment: &Environment,
    listeners: Vec<Vec<Socket>>,
    mut signals: Option<UnixStream>,
    started: Instant,
    to_free: &mpsc::Sender<kevy::keyspace::Garbage>,
    witness: Option<&Arc<Witness>>,
) -> io::Result<mpsc::Receiver<io::Result<()>>> {
    let (stop, stopped) = mpsc::channel();
    let keepalive = Duration::from_secs(u64::from(config.network.tcp_keepalive));
    let mut sockets = Vec::with_capacity(listeners.len());
    let mut bells = Vec::with_capacity(listeners.len());
    // All descriptors before the first thread begins: who has been served by one is not to see the server end because there
    // are none left for another.
    for listeners in listeners {
        let flags = rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK;
        let bell = rustix::event::eventfd(0, flags)?;
        sockets.push((listeners, epoll::Descriptors::new(Some(bell.try_clone()?))?));
        bells.push(Arc::new(epoll::EventBell(bell)) as Arc<dyn Bell>);
    }
    let (seed, now) = (random_u64(), epoll::now(started));
    let (threads, _) = several::threads(config, environment, seed, now, bells, Limits::default(), witness);
    for (number, (thread, (listeners, descriptors))) in threads.into_iter().zip(sockets).enumerate() {
        let (stop, signals, to_free) = (stop.clone(), signals.take(), to_free.clone());
        std::thread::Builder::new().name(format!("shard{number}")).spawn(move || {
            let _ends = EndsProcess;
            // There may be more threads than processors, counting the clients' own. One that is woken by the first byte of
            // many, and by taking the sender's processor, has one command to execute, and the sender's others are late.
            // Without the right to do so it is only slower.
            let _ = sys::wake_patiently();
            let reactor =
                epoll::Epoll::new(number, listeners, signals, descriptors, keepalive, started, to_free);
            // If nobody listens to what is sent here, the process is ending already.
            match reactor {
                Ok(mut reactor) => several::run(thread, &mut reactor, || {
                    let _ = stop.send(Ok(()));
                }),
                Err(error) => {
                    let _ = stop.send(Err(error));
                }
            }
        })?;
    }
    Ok(stopped)
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
    if changed.contains(&"maxclients") {
        let allowed = daemon::adjust_open_files_limit(new.network.maxclients);
        let wanted = new.network.maxclients;
        if allowed.as_ref().map_or(true, |&allowed| allowed < wanted) {
            let allowed = allowed.unwrap_or(0).max(old.network.maxclients);
            return Err((
                "maxclients",
                format!(
                    "The operating system is not able to handle the specified number of clients, try with {allowed}"
                ),
            ));
        }
    }
    if changed.contains(&"dir") {
        std::env::set_current_dir(path(&new.process.dir)).map_err(|error| ("dir", os_reason(&error)))?;
    }
    if let Some(&name) = changed.iter().find(|name| matches!(**name, "port" | "bind"))
        && let Err(warning) = listen::change(old, new)
    {
        log!(Level::Warning, "{warning}");
        log!(
            Level::Warning,
            "Failed applying new configuration. Possibly related to new {name} setting. Restoring previous settings."
        );
        if changed.contains(&"dir") {
            // It was there when the server last changed to it; if it is not now, there is no other to go back to.
            let _ = std::env::set_current_dir(path(&old.process.dir));
        }
        let reason = match name {
            "port" => "Unable to listen on this port. Check server logs.",
            _ => "Failed to bind to specified addresses.",
        };
        return Err((name, reason.into()));
    }
    log::set_level(new.process.loglevel);
    Ok(())
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
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
