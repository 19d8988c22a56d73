//! Servers started for a run, each with a directory of its own, and ended with it.

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kevy::resp::Frame;

use crate::wire::{Address, PATIENCE, Wire};

/// What to start.
#[derive(Clone, Debug)]
pub struct Program {
    pub path: PathBuf,
    /// Arguments before the server's own.
    pub leading: Vec<String>,
    /// Variables of its environment, beside those of this process.
    pub environment: Vec<(&'static str, PathBuf)>,
}

impl Program {
    pub fn at(path: impl Into<PathBuf>) -> Program {
        Program { path: path.into(), leading: Vec::new(), environment: Vec::new() }
    }

    /// The kevy that is compiled into an executable of this crate: what is tested is what was built with the test.
    pub fn built_in(executable: impl Into<PathBuf>) -> Program {
        Program { leading: vec!["serve".into()], ..Program::at(executable) }
    }
}

/// A port that nobody listens to, below those the system gives to who connects: one it would give is taken by the next
/// client of another test before a server can listen to it.
pub fn free_port() -> io::Result<u16> {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let (first, ports) = (10_000, 22_000);
    for _ in 0..1000 {
        // The primes keep tests of one process, and processes started one after another, apart.
        let asked = ASKED.fetch_add(1, Ordering::Relaxed).wrapping_mul(7919);
        let port = first + std::process::id().wrapping_mul(131).wrapping_add(asked) % ports;
        let port = u16::try_from(port).expect("the range is one of ports");
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::from(io::ErrorKind::AddrInUse))
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// What was started: the program, whether on a port, and its options.
    started: (Program, bool, Vec<String>),
    child: Child,
    directory: Directory,
    address: Address,
    /// What INFO calls it, and the version of Redis it says it is.
    pub name: String,
    pub version: String,
}

impl Server {
    /// Starts a server, on a Unix socket or on a port of the loopback interface.
    pub fn start(program: &Program, tcp: bool, options: &[&str]) -> io::Result<Server> {
        let directory = Directory::new()?;
        let (port, address) = if tcp {
            let port = free_port()?;
            (port, Address::Tcp(format!("127.0.0.1:{port}")))
        } else {
            (0, Address::Unix(directory.0.join("socket")))
        };
        let mut command = Command::new(&program.path);
        command.envs(program.environment.iter().map(|(name, value)| (name, value)));
        command.args(&program.leading).args(["--port", &port.to_string()]);
        if let Address::Unix(path) = &address {
            command.arg("--unixsocket").arg(path);
        }
        command.arg("--dir").arg(&directory.0);
        command.args([
            "--save",
            "",
            "--appendonly",
            "no",
            "--enable-debug-command",
            "yes",
            "--daemonize",
            "no",
        ]);
        let log = std::fs::File::create(directory.0.join("log"))?;
        command.args(options).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("{} does not start: {error}", program.path.display()))
        })?;
        let started = (program.clone(), tcp, options.iter().map(|option| (*option).to_owned()).collect());
        let (name, version) = (String::new(), String::new());
        let mut server = Server { started, child, directory, address, name, version };
        let mut wire = server.wait_until_ready()?;
        (server.name, server.version) = identify(&mut wire)?;
        Ok(server)
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Another of the same.
    pub fn start_again(&self) -> io::Result<Server> {
        let (program, tcp, options) = &self.started;
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Server::start(program, *tcp, &options)
    }

    /// Asks until the server answers. How long that takes decides nothing but whether there is a server.
    fn wait_until_ready(&mut self) -> io::Result<Wire> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = Wire::connect(&self.address).and_then(|mut wire| Ok((wire.call(&["PING"])?, wire)));
            match answer {
                Ok((frame, wire)) if frame == Frame::simple("PONG") => return Ok(wire),
                _ if self.child.try_wait()?.is_some() => {
                    return Err(io::Error::other("the server ended at once"));
                }
                _ if Instant::now() > deadline => return Err(io::Error::other("the server does not answer")),
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    pub fn connect(&self) -> io::Result<Wire> {
        Wire::connect(&self.address)
    }

    /// The end of what the server has logged: why it ended, when it did.
    pub fn last_words(&self) -> String {
        let log = std::fs::read(self.directory.0.join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        // A crash report of Redis is long, and its reason is at the beginning.
        match lines.iter().position(|line| line.contains("REPORT START") || line.contains("panicked at")) {
            Some(start) => lines[start..].iter().take(40).map(|line| format!("{line}\n")).collect(),
            None => lines[lines.len().saturating_sub(5)..].join("\n"),
        }
    }

    /// Name and version, as known differences write them: `redis-8.0.6`.
    pub fn identity(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server says it is.
fn identify(wire: &mut Wire) -> io::Result<(String, String)> {
    let info = wire.call(&["INFO", "server"])?;
    let text = String::from_utf8_lossy(info.as_bytes().unwrap_or_default()).into_owned();
    let field = |name: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::to_owned)
    };
    let name = field("server_name").unwrap_or_else(|| "redis".into());
    let version = field(&format!("{name}_version")).or_else(|| field("redis_version")).unwrap_or_default();
    Ok((name, version))
}

/// A new directory, removed with everything in it when dropped.
#[derive(Debug)]
struct Directory(PathBuf);

impl Directory {
    fn new() -> io::Result<Directory> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("kevy-difftest-{}-{number}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Directory(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed stays in the temporary directory, which is what it is for.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
