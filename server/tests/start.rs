//! The process at its start, as a user sees it: what it prints where, and how it ends.

#![allow(clippy::disallowed_methods, reason = "tests of the process may")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};

fn kevy(args: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kevy"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn version_goes_to_standard_output() {
    let output = kevy(&["--version"], "");
    assert!(output.status.success());
    assert!(text(&output.stdout).starts_with("kevy server v="));
    assert!(output.stderr.is_empty());
}

#[test]
fn a_bad_directive_is_fatal_and_named() {
    for (args, stdin) in [(&["-"][..], "\nport 1\nhz ten\n"), (&["--port", "1", "--hz", "ten"], "")] {
        let output = kevy(args, stdin);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        let error = text(&output.stderr);
        let mut lines = error.lines();
        assert_eq!(lines.next(), Some(""));
        assert_eq!(lines.next(), Some("*** FATAL CONFIG FILE ERROR (Redis 8.0.6) ***"));
        assert_eq!(lines.next(), Some("Reading the configuration file, at line 3"));
        assert!(lines.next().unwrap().starts_with(">>> 'hz "), "{error}");
        assert_eq!(lines.next(), Some("argument couldn't be parsed into an integer"));
        assert_eq!(lines.next(), None);
    }
}

#[test]
fn a_missing_file_is_one_line_of_log() {
    let output = kevy(&["/nonexistent.conf"], "");
    assert_eq!(output.status.code(), Some(1));
    let line = text(&output.stdout);
    assert!(
        line.ends_with(
            " # Fatal error, can't open config file '/nonexistent.conf': No such file or directory\n"
        ),
        "{line}"
    );
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn a_server_that_cannot_listen_leaves_the_pid_file_of_the_one_that_does() {
    let dir = std::env::temp_dir().join(format!("kevy-pidfile-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let (dir, taken) = (dir.to_str().unwrap(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let port = taken.local_addr().unwrap().port().to_string();
    let pidfile = format!("{dir}/pid");
    fs::write(&pidfile, "another's").unwrap();
    let output = kevy(&["--port", &port, "--dir", dir, "--pidfile", &pidfile], "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&pidfile).unwrap(), "another's");
    fs::remove_dir_all(dir).unwrap();
}

/// With nothing to listen on the server ends by itself, after its greeting.
#[test]
fn the_log_goes_to_the_file_and_keeps_to_its_level() {
    let dir = std::env::temp_dir().join(format!("kevy-start-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let dir_name = dir.to_str().unwrap();
    let run = |level: &str| {
        let _ = fs::remove_file(dir.join("log"));
        let output = kevy(
            &["--port", "0", "--dir", dir_name, "--logfile", "log", "--loglevel", level, "--io-threads", "2"],
            "",
        );
        assert_eq!(text(&output.stdout), "");
        fs::read_to_string(dir.join("log")).unwrap()
    };
    let log = run("notice");
    let mut lines = log.lines();
    assert!(lines.next().unwrap().ends_with(" * oO0OoO0OoO0Oo kevy is starting oO0OoO0OoO0Oo"));
    assert!(lines.next().unwrap().ends_with(", just started"));
    assert!(lines.next().unwrap().ends_with(" * Configuration loaded"));
    assert!(lines.next().unwrap().ends_with(" * Directives accepted without effect: io-threads"));
    assert!(!run("warning").contains(" * "));
    assert_eq!(run("nothing"), "");
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_reader_of_the_help_may_stop_and_a_full_disk_is_an_error() {
    let output =
        |args: &[&str], to: Stdio| Command::new(env!("CARGO_BIN_EXE_kevy")).args(args).stdout(to).output();
    let full = output(&["--help"], fs::File::create("/dev/full").unwrap().into()).unwrap();
    assert_eq!((full.status.code(), text(&full.stderr)), (Some(1), String::new()));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let unread = output(&["--help"], writer.into()).unwrap();
    assert_eq!((unread.status.code(), text(&unread.stderr)), (Some(0), String::new()));
}

/// The listener of a process without free descriptors stays readable: the loop must not spin over it, nor fill the log.
#[test]
fn without_descriptors_new_clients_wait_and_the_others_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_kevy"))
        .args(["--port", "0", "--unixsocket", "kevy.sock", "--logfile", "log", "--dir"])
        .arg(dir.path())
        .spawn()
        .unwrap();
    let socket = dir.path().join("kevy.sock");
    let connect = || loop {
        match UnixStream::connect(&socket) {
            Ok(stream) => return stream,
            Err(_) => std::thread::yield_now(),
        }
    };
    let call = |mut stream: &UnixStream, request: &str, reply: &str| {
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = vec![0; reply.len()];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(text(&bytes), reply);
    };
    let first = connect();
    call(&first, "PING\r\n", "+PONG\r\n");
    let open = fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap().count() as u64;
    let pid = rustix::process::Pid::from_child(&child);
    let set_limit =
        |limit| rustix::process::prlimit(Some(pid), rustix::process::Resource::Nofile, limit).unwrap();
    let before = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let before = set_limit(rustix::process::Rlimit { current: Some(open), ..before });
    let waiting = connect();
    // Half a second in which the loop could spin.
    call(&first, "BLPOP none 0.5\r\n", "*-1\r\n");
    let usage = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = usage.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    assert!(ticks < 25, "{ticks} hundredths of a second of processor time");
    drop(first);
    call(&waiting, "PING\r\n", "+PONG\r\n");
    // The log needs a descriptor for each line.
    set_limit(before);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    let log = fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(log.contains("bye bye") && log.lines().count() < 20, "{log}");
}

#[test]
fn huge_pages_are_kept_unless_the_configuration_says_otherwise() {
    for (args, enabled) in [(&[][..], "1"), (&["--disable-thp", "yes"], "0")] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_kevy"))
            .args(["--port", "0", "--unixsocket", "kevy.sock", "--logfile", "log", "--dir"])
            .arg(dir.path())
            .args(args)
            .spawn()
            .unwrap();
        while UnixStream::connect(dir.path().join("kevy.sock")).is_err() {
            std::thread::yield_now();
        }
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
        assert_eq!(line.map(str::trim), Some(enabled), "{args:?}");
    }
}
