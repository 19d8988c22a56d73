//! The process `kevy`: reads the configuration, goes to the background if told to, greets in the log, runs.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kevy_server::cli::{self, Invocation};
use kevy_server::config::{Fatal, Loaded, os_reason};
use kevy_server::log::{Level, Role};
use kevy_server::{VERSION, daemon, log};

#[global_allocator]
static ALLOCATOR: kevy_server::memory::Counting = kevy_server::memory::Counting;

fn main() -> ExitCode {
    let args: Vec<Vec<u8>> = std::env::args_os().skip(1).map(OsStringExt::into_vec).collect();
    match cli::invocation(&args) {
        Invocation::Print(text) => {
            // A reader that has seen enough (`kevy --help | head`) is no failure, and a full disk no panic.
            match writeln!(io::stdout(), "{text}") {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
                _ => ExitCode::SUCCESS,
            }
        }
        Invocation::Refuse(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
        Invocation::Fatal(fatal @ Fatal::Unreadable { .. }) => {
            log!(Level::Warning, "{fatal}");
            ExitCode::FAILURE
        }
        Invocation::Fatal(fatal) => {
            eprintln!("{fatal}");
            ExitCode::FAILURE
        }
        Invocation::Serve(loaded) => match start(*loaded) {
            Ok(code) => code,
            Err(reason) => {
                log!(Level::Warning, "{reason}");
                ExitCode::FAILURE
            }
        },
    }
}

/// Prepares the process and runs the server. An error is the one line that says why it does not run.
fn start(loaded: Loaded) -> Result<ExitCode, String> {
    let Loaded { mut config, without_effect, warnings, configured } = loaded;
    let process = &config.process;
    let dir = Path::new(OsStr::from_bytes(&process.dir));
    std::env::set_current_dir(dir)
        .map_err(|error| format!("Can't chdir to '{}': {}", dir.display(), os_reason(&error)))?;
    let absolute = |path: &[u8]| (!path.is_empty()).then(|| dir.join(OsStr::from_bytes(path)));

    log::set_level(process.loglevel);
    log::set_file(absolute(&process.logfile));
    let mut pidfile = absolute(&process.pidfile);
    if process.daemonize {
        daemon::daemonize().map_err(|error: io::Error| format!("Can't go to the background: {error}"))?;
        pidfile = pidfile.or_else(|| Some(PathBuf::from(daemon::DEFAULT_PIDFILE)));
    }

    log!(Level::Notice, "oO0OoO0OoO0Oo kevy is starting oO0OoO0OoO0Oo");
    log!(
        Level::Notice,
        "kevy version={VERSION}, bits={}, commit={}, modified=0, pid={}, just started",
        usize::BITS,
        cli::commit(),
        std::process::id()
    );
    if configured {
        log!(Level::Notice, "Configuration loaded");
    } else {
        log!(
            Level::Warning,
            "Warning: no config file specified, using the default config. In order to specify a config file use \
             kevy /path/to/kevy.conf"
        );
    }
    if !without_effect.is_empty() {
        log!(Level::Notice, "Directives accepted without effect: {}", without_effect.join(", "));
    }
    for warning in warnings {
        log!(Level::Warning, "WARNING: {warning}");
    }

    log::set_role(Role::Master);
    config.network.maxclients = daemon::adjust_open_files_limit(config.network.maxclients)?;
    Ok(kevy_server::runtime::run(config, pidfile))
}
