//! The command line: what the process was asked to do, and the text of `--help` and `--version`.

use std::io::{self, Read};

use crate::VERSION;
use crate::config::{Config, Fatal, Loaded, OPTIONS};

/// What the arguments ask for.
pub enum Invocation {
    Serve(Box<Loaded>),
    /// Print and end well.
    Print(String),
    /// Print on standard error and end with 1.
    Refuse(String),
    /// The configuration is no good.
    Fatal(Fatal),
}

/// Understands the arguments of the process, without its name.
pub fn invocation(args: &[Vec<u8>]) -> Invocation {
    match args.first().map(Vec::as_slice) {
        Some(b"-v" | b"--version") => return Invocation::Print(version()),
        Some(b"-h" | b"--help") => return Invocation::Print(help()),
        Some(b"--check-system") => return Invocation::Refuse("kevy has no system check yet.".into()),
        Some(b"--test-memory") => {
            return Invocation::Refuse("kevy has no memory test: use memtest86.".into());
        }
        _ => {}
    }
    if args.iter().any(|arg| arg == b"--sentinel") {
        return Invocation::Refuse("kevy is no Sentinel: use a redis-sentinel to watch over it.".into());
    }
    let stdin = || {
        let mut text = Vec::new();
        io::stdin().lock().read_to_end(&mut text)?;
        Ok(text)
    };
    match Config::parse_file_and_args(args, stdin) {
        Ok(loaded) => Invocation::Serve(Box::new(loaded)),
        Err(fatal) => Invocation::Fatal(fatal),
    }
}

/// One line in the shape of Redis's, which tools take apart at `v=`.
pub fn version() -> String {
    format!(
        "kevy server v={VERSION} sha={}:0 malloc=mimalloc bits={} build={:016x}",
        commit(),
        usize::BITS,
        build_id()
    )
}

/// The commit the binary was built from, where the build says so.
pub fn commit() -> &'static str {
    option_env!("KEVY_COMMIT").unwrap_or("00000000")
}

/// Differs between builds of different versions or commits: FNV-1a over both.
pub fn build_id() -> u64 {
    VERSION
        .bytes()
        .chain(commit().bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn help() -> String {
    let mut text = String::from(
        "Usage: kevy [/path/to/kevy.conf | -] [options] [-]
       kevy - (read config from stdin)
       kevy -v or --version
       kevy -h or --help

Examples:
       kevy (run the server with default conf)
       echo 'maxmemory 128mb' | kevy -
       kevy /etc/redis/6379.conf
       kevy --port 7777
       kevy /etc/kevy.conf --loglevel verbose -
       kevy --maxmemory 100mb --maxmemory-policy allkeys-lru

Every directive of a configuration file is an option: --directive value [value ...].
The directives of redis.conf are accepted; those that change something here, with their defaults:
",
    );
    let mut group = "";
    for option in OPTIONS.iter().filter(|option| !option.has_no_effect()) {
        if group != option.group {
            group = option.group;
            text.push_str(&format!("\n{group}\n"));
        }
        let default = match option.default {
            "" => "\"\"",
            default => default,
        };
        text.push_str(&format!("       --{:<36} {default}\n", option.name));
    }
    text.pop();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(args: &[&str]) -> String {
        let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
        match invocation(&args) {
            Invocation::Print(text) => text,
            _ => panic!("{args:?} prints nothing"),
        }
    }

    #[test]
    fn the_version_is_one_line_in_redis_shape() {
        let version = printed(&["-v", "ignored"]);
        assert_eq!(version, printed(&["--version"]));
        assert!(version.starts_with(&format!("kevy server v={VERSION} sha=")), "{version}");
        let words: Vec<_> = version.split(' ').skip(2).map(|word| word.split_once('=').unwrap().0).collect();
        assert_eq!(words, ["v", "sha", "malloc", "bits", "build"]);
    }

    #[test]
    fn help_names_every_directive_that_does_something() {
        let help = printed(&["--help"]);
        for option in OPTIONS {
            let row = format!("       --{} ", option.name);
            let named = help.lines().any(|line| line.starts_with(&row));
            assert_eq!(named, !option.has_no_effect(), "{}", option.name);
        }
    }

    #[test]
    fn sentinel_mode_is_refused() {
        let args = [b"x.conf".to_vec(), b"--sentinel".to_vec()];
        assert!(matches!(invocation(&args), Invocation::Refuse(_)));
    }
}
