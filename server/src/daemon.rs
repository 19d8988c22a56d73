//! The process and its surroundings: going to the background, the pid file, the number of open files.

#![allow(clippy::disallowed_methods, reason = "process housekeeping")]
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use crate::config::os_reason;
use crate::log::Level;
use crate::{log, sys};

/// Written when the server goes to the background and the configuration names no file.
pub const DEFAULT_PIDFILE: &str = "/var/run/kevy.pid";

/// File descriptors for everything that is not a client: files, listening sockets, the log.
const RESERVED_FILES: u64 = 32;

/// Goes on as a process in the background: a child in a session of its own, with standard streams that lead nowhere.
/// The calling process ends here.
///
/// To be called while the process has one thread only.
pub fn daemonize() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    // SAFETY: with a single thread, the child has everything the parent had. `_exit` leaves without running what the
    // child is going to run at its own end.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        _ => unsafe { libc::_exit(0) },
    }
    // SAFETY: the calls take no pointers; `null` is open until the end of the function.
    unsafe {
        libc::setsid();
        for stream in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
            if libc::dup2(null.as_raw_fd(), stream) == -1 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

/// The file that tells the number of this process, as long as it serves.
pub struct PidFile(PathBuf);

impl PidFile {
    /// Writes the file. A server does without if it cannot be written.
    pub fn write(path: PathBuf) -> Option<Self> {
        let written = File::create(&path).and_then(|mut file| writeln!(file, "{}", std::process::id()));
        match written {
            Ok(()) => Some(Self(path)),
            Err(error) => {
                log!(Level::Warning, "Failed to write PID file: {}", os_reason(&error));
                None
            }
        }
    }
}

impl Drop for PidFile {
    /// One that somebody else has removed is no matter.
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            log!(Level::Warning, "Failed to remove the PID file: {}", os_reason(&error));
        }
    }
}

/// Makes room for `maxclients` connections and gives the number there is room for, at most that many.
/// An error is one line: there is no room even for one.
pub fn adjust_open_files_limit(maxclients: u32) -> Result<u32, String> {
    let wanted = u64::from(maxclients) + RESERVED_FILES;
    let (soft, hard) = match sys::open_files_limit() {
        Ok(limits) => limits,
        Err(error) => {
            log!(
                Level::Warning,
                "Unable to obtain the current NOFILE limit ({}), assuming 1024 and setting the max clients \
                 configuration accordingly.",
                os_reason(&error)
            );
            return Ok(maxclients.min(1024 - RESERVED_FILES as u32));
        }
    };
    if soft >= wanted {
        return Ok(maxclients);
    }
    let refused = match sys::set_open_files_limit(wanted, wanted.max(hard)) {
        Ok(()) => None,
        Err(error) => Some(os_reason(&error)),
    };
    let Some(reason) = refused else {
        log!(
            Level::Notice,
            "Increased maximum number of open files to {wanted} (it was originally set to {soft})."
        );
        return Ok(maxclients);
    };
    let reached = if hard > soft && sys::set_open_files_limit(hard, hard).is_ok() { hard } else { soft };
    if reached <= RESERVED_FILES {
        return Err(format!(
            "Your current 'ulimit -n' of {soft} is not enough for the server to start. Please increase your open \
             file limit to at least {wanted}. Exiting."
        ));
    }
    let reduced = u32::try_from(reached - RESERVED_FILES).unwrap_or(u32::MAX).min(maxclients);
    log!(
        Level::Warning,
        "You requested maxclients of {maxclients} requiring at least {wanted} max file descriptors."
    );
    log!(Level::Warning, "Server can't set maximum open files to {wanted} because of OS error: {reason}.");
    log!(
        Level::Warning,
        "Current maximum open files is {reached}. maxclients has been reduced to {reduced} to compensate for low \
         ulimit. If you need higher maxclients increase 'ulimit -n'."
    );
    Ok(reduced)
}
