//! The log, in Redis's format, from any thread:
//!
//! ```text
//! 4711:M 21 Nov 2026 00:47:35.393 * Ready to accept connections tcp
//! pid:role, local time, level: . debug  - verbose  * notice  # warning
//! ```
//!
//! Lines go to standard output, or to a file that is opened for each line, so that whoever rotates it need not tell
//! the server. A line that cannot be written is lost: the log must not stop the server.

#![allow(clippy::disallowed_methods, reason = "log lines carry the time")]

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::sys;

/// How much a line matters, and with that how much the log should hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    Debug,
    Verbose,
    #[default]
    Notice,
    Warning,
    /// Only as a threshold: no line at all.
    Nothing,
}

/// Who writes: the letter behind the process id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Before the server serves.
    Starting = b'C',
    Master = b'M',
    Replica = b'S',
}

static THRESHOLD: AtomicU8 = AtomicU8::new(Level::Notice as u8);
static ROLE: AtomicU8 = AtomicU8::new(Role::Starting as u8);
static FILE: RwLock<Option<PathBuf>> = RwLock::new(None);

/// Lines below this level are dropped from now on.
pub fn set_level(level: Level) {
    THRESHOLD.store(level as u8, Ordering::Relaxed);
}

pub fn set_role(role: Role) {
    ROLE.store(role as u8, Ordering::Relaxed);
}

/// Where lines go from now on; `None` is standard output. The path should be absolute.
pub fn set_file(path: Option<PathBuf>) {
    *FILE.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = path;
}

/// Whether a line of this level would be written.
pub fn enabled(level: Level) -> bool {
    level as u8 >= THRESHOLD.load(Ordering::Relaxed) && level != Level::Nothing
}

/// Writes one line. Use the macro [`log!`](crate::log!).
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    if !enabled(level) {
        return;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let role = ROLE.load(Ordering::Relaxed) as char;
    let time = sys::local_time(now.as_secs() as i64);
    let line = line(std::process::id(), role, time, now.subsec_millis(), level, message);
    let file = FILE.read().unwrap_or_else(|poisoned| poisoned.into_inner());
    // One write for the whole line, so that lines of several threads do not mix.
    let _ = match &*file {
        None => std::io::stdout().lock().write_all(line.as_bytes()).and_then(|()| std::io::stdout().flush()),
        Some(path) => File::options()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes())),
    };
}

fn line(
    pid: u32,
    role: char,
    time: sys::LocalTime,
    milliseconds: u32,
    level: Level,
    message: fmt::Arguments<'_>,
) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mark = match level {
        Level::Debug => '.',
        Level::Verbose => '-',
        Level::Notice => '*',
        Level::Warning | Level::Nothing => '#',
    };
    let sys::LocalTime { year, month, day, hour, minute, second } = time;
    let month = MONTHS[month as usize % 12];
    format!(
        "{pid}:{role} {day:02} {month} {year} {hour:02}:{minute:02}:{second:02}.{milliseconds:03} {mark} {message}\n"
    )
}

/// Writes a line to the log: `log!(Level::Notice, "DB loaded: {n} keys")`.
#[macro_export]
macro_rules! log {
    ($level:expr, $($message:tt)+) => {
        if $crate::log::enabled($level) {
            $crate::log::write($level, format_args!($($message)+));
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_as_redis_writes_it() {
        let time = sys::LocalTime { year: 2026, month: 10, day: 1, hour: 0, minute: 47, second: 5 };
        assert_eq!(
            line(5843, 'M', time, 7, Level::Notice, format_args!("Running mode=standalone, port={}.", 6379)),
            "5843:M 01 Nov 2026 00:47:05.007 * Running mode=standalone, port=6379.\n"
        );
        assert!(line(1, 'C', time, 0, Level::Debug, format_args!("x")).ends_with(".000 . x\n"));
        assert!(line(1, 'C', time, 0, Level::Verbose, format_args!("x")).ends_with(".000 - x\n"));
        assert!(line(1, 'C', time, 0, Level::Warning, format_args!("x")).ends_with(".000 # x\n"));
    }
}
