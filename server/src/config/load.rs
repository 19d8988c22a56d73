//! Reading the configuration: file, standard input and command line make one text, later lines overriding earlier.
//!
//! The text is read line by line: blank lines and lines that begin with `#` are skipped, the others are words
//! ([`super::words`]), the first of them the directive. `include` reads another file in place, with line numbers
//! of its own. Reading has no effect on the process: `dir` is looked at, not entered, and relative paths behind it
//! are taken from there.

#![allow(clippy::disallowed_methods, reason = "configuration files are read before any shard exists")]

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use kevy::glob;

use super::kind::Kind;
use super::options::{self, FORGOTTEN};
use super::{Config, os_reason, words};
use crate::REDIS_VERSION;

/// A configuration, and what the log should say about it.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// Directives that were given and change nothing, each once, in the order of the text.
    pub without_effect: Vec<&'static str>,
    /// Demands that kevy cannot meet and must not pass over in silence.
    pub warnings: Vec<String>,
    /// Whether anything was given at all: a file, standard input or arguments.
    pub configured: bool,
}

/// Why the server cannot start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fatal {
    Unreadable { path: PathBuf, reason: String },
    Line { number: usize, line: Vec<u8>, reason: String },
    Whole { reason: String },
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Unreadable { path, reason } = self {
            return write!(f, "Fatal error, can't open config file '{}': {reason}", path.display());
        }
        writeln!(f, "\n*** FATAL CONFIG FILE ERROR (Redis {REDIS_VERSION}) ***")?;
        match self {
            Self::Line { number, line, reason } => {
                writeln!(f, "Reading the configuration file, at line {number}")?;
                writeln!(f, ">>> '{}'", String::from_utf8_lossy(line))?;
                write!(f, "{reason}")
            }
            Self::Unreadable { reason, .. } | Self::Whole { reason } => write!(f, "{reason}"),
        }
    }
}

impl Config {
    /// The configuration that the arguments of the process (without its name) describe. `stdin` is asked for the
    /// rest of the text when the last argument is `-`.
    pub fn parse_file_and_args(
        args: &[Vec<u8>],
        stdin: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> Result<Loaded, Fatal> {
        let arguments = Arguments::split(args);
        let mut loader = Loader::new();
        let mut text = Vec::new();
        if let Some(file) = &arguments.file {
            let path = loader.path(file);
            text = read(&path)?;
            loader.config.process.config_file = Some(path);
        }
        if arguments.stdin {
            let more = stdin().map_err(|error| Fatal::Whole { reason: os_reason(&error) })?;
            text.extend(more);
        }
        if !arguments.directives.is_empty() {
            text.push(b'\n');
            text.extend(arguments.directives);
        }
        loader.text(&text)?;
        loader.finish(!args.is_empty())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Fatal> {
    fs::read(path).map_err(|error| Fatal::Unreadable { path: path.to_owned(), reason: os_reason(&error) })
}

/// `[file | -] [--directive value ...] [-]`.
struct Arguments {
    file: Option<Vec<u8>>,
    stdin: bool,
    /// The directives as lines of a configuration file.
    directives: Vec<u8>,
}

impl Arguments {
    /// A word that begins with `--` opens a directive, except right behind a bare directive name, where it is its
    /// value (`--requirepass --secret`). `--save` alone, or before another directive, is `--save ""`. Standard input is
    /// read for a `-` that comes first or last, and anywhere else a `-` is a word like any other.
    fn split(args: &[Vec<u8>]) -> Self {
        let mut split = Self { file: None, stdin: false, directives: Vec::new() };
        let mut args = args;
        if let [file, rest @ ..] = args
            && !file.starts_with(b"-")
        {
            split.file = Some(file.clone());
            args = rest;
        } else if let [first, rest @ ..] = args
            && first == b"-"
        {
            split.stdin = true;
            args = rest;
        }
        if let [rest @ .., last] = args
            && last == b"-"
        {
            split.stdin = true;
            args = rest;
        }
        let text = &mut split.directives;
        let mut may_open = true;
        for (i, arg) in args.iter().enumerate() {
            let Some(directive) = arg.strip_prefix(b"--").filter(|_| may_open) else {
                text.extend(words::quoted(arg));
                text.push(b' ');
                may_open = true;
                continue;
            };
            if !text.is_empty() {
                text.push(b'\n');
            }
            text.extend(directive);
            text.push(b' ');
            let bare = words::split(directive).is_some_and(|words| words.len() == 1);
            may_open = !bare;
            let ends = args.get(i + 1).is_none_or(|next| next.starts_with(b"--"));
            if bare && ends && directive.eq_ignore_ascii_case(b"save") {
                text.extend(b"\"\"");
                may_open = true;
            }
        }
        split
    }
}

struct Loader {
    config: Config,
    given: Vec<&'static str>,
    /// The first `save` replaces the default, further ones add to it.
    save_given: bool,
    default_user: Option<DefaultUser>,
    includes_open: usize,
}

/// What a `user default ...` line says about the password.
enum DefaultUser {
    NoPassword,
    Password(Vec<u8>),
}

/// Deeper includes are taken for a circle.
const INCLUDES_MAX: usize = 32;

/// A reason that still lacks its line, or a complete error of an included file.
enum Wrong {
    Reason(String),
    Included(Fatal),
}

impl From<&str> for Wrong {
    fn from(reason: &str) -> Self {
        Self::Reason(reason.to_owned())
    }
}

impl Loader {
    fn new() -> Self {
        Self {
            config: Config::default(),
            given: Vec::new(),
            save_given: false,
            default_user: None,
            includes_open: 0,
        }
    }

    /// A path as seen from the directory in force.
    fn path(&self, path: &[u8]) -> PathBuf {
        Path::new(OsStr::from_bytes(&self.config.process.dir)).join(OsStr::from_bytes(path))
    }

    fn text(&mut self, text: &[u8]) -> Result<(), Fatal> {
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = trim(line);
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            self.line(line).map_err(|wrong| match wrong {
                Wrong::Reason(reason) => Fatal::Line { number: index + 1, line: line.to_vec(), reason },
                Wrong::Included(fatal) => fatal,
            })?;
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Wrong> {
        let words = words::split(line).ok_or("Unbalanced quotes in configuration line")?;
        let Some((name, values)) = words.split_first() else { return Ok(()) };
        if let Some(option) = options::find(name) {
            if values.len() != 1 && !option.kind.takes_several() {
                return Err("wrong number of arguments".into());
            }
            // One word that stands for several may hold quotes of its own: `--save "''"`.
            let several = match values {
                [one] if option.kind.takes_several() && !one.is_empty() => words::split(one),
                _ => None,
            };
            let values = several.as_deref().unwrap_or(values);
            let accumulate = self.save_given;
            self.save_given |= matches!(option.kind, Kind::Save);
            let value = option.kind.parse(values, &self.config.value(option), accumulate);
            let value = value.map_err(|reason| Wrong::Reason(reason.into_owned()))?;
            self.config.store(option, value);
            if !self.given.contains(&option.name) {
                self.given.push(option.name);
            }
            return Ok(());
        }
        match (name.to_ascii_lowercase().as_slice(), values) {
            (b"include", [pattern]) => self.include(pattern),
            (b"rename-command", [from, to]) => {
                self.config.security.renames.rename(from, to).map_err(Wrong::from)
            }
            (b"user", [name, rules @ ..]) => self.user(name, rules),
            (b"loadmodule", [_, ..]) => Err("kevy loads no modules".into()),
            (b"sentinel", [_, ..]) => Err("sentinel directive while not in sentinel mode".into()),
            (forgotten, [_]) if FORGOTTEN.iter().any(|name| name.as_bytes() == forgotten) => Ok(()),
            _ => Err("Bad directive or wrong number of arguments".into()),
        }
    }

    fn include(&mut self, pattern: &[u8]) -> Result<(), Wrong> {
        if self.includes_open == INCLUDES_MAX {
            return Err("too many nested includes".into());
        }
        self.includes_open += 1;
        for path in expand(&self.path(pattern)) {
            let included = read(&path).and_then(|text| self.text(&text));
            included.map_err(Wrong::Included)?;
        }
        self.includes_open -= 1;
        Ok(())
    }

    /// Only the default user exists, and it may do everything. Lines that say just that are accepted; any other
    /// would be a promise of protection that is not kept.
    fn user(&mut self, name: &[u8], rules: &[Vec<u8>]) -> Result<(), Wrong> {
        if name != b"default" {
            return Err("kevy has no users but the default one".into());
        }
        for rule in rules {
            match rule.to_ascii_lowercase().as_slice() {
                b"on" | b"sanitize-payload" | b"~*" | b"allkeys" | b"&*" | b"allchannels" | b"+@all"
                | b"allcommands" => {}
                b"nopass" => self.default_user = Some(DefaultUser::NoPassword),
                [b'>', ..] => self.default_user = Some(DefaultUser::Password(rule[1..].to_vec())),
                [b'#', ..] => return Err("hashed passwords are not supported: use requirepass".into()),
                _ => return Err("kevy's default user cannot be restricted".into()),
            }
        }
        Ok(())
    }

    fn finish(mut self, configured: bool) -> Result<Loaded, Fatal> {
        match self.default_user.take() {
            Some(DefaultUser::NoPassword) => self.config.security.requirepass.clear(),
            Some(DefaultUser::Password(password)) => self.config.security.requirepass = password,
            None => {}
        }
        let whole = |reason: String| Err(Fatal::Whole { reason });
        let config = &self.config;
        let is = |name: &[u8], value: &[u8]| config.get(&[name]).iter().any(|(_, now)| now == value);
        if !is(b"aclfile", b"") {
            return whole("aclfile: kevy has no users but the default one".into());
        }
        if !is(b"replicaof", b"") && is(b"cluster-enabled", b"yes") {
            return whole("replicaof directive not allowed in cluster mode".into());
        }
        if !config.process.logfile.is_empty() {
            let path = self.path(&config.process.logfile);
            if let Err(error) = fs::File::options().append(true).create(true).open(path) {
                return whole(format!("Can't open the log file: {}", os_reason(&error)));
            }
        }

        let warnings = config.unmet_demands(&self.given);
        let no_effect = |name: &&str| {
            let demand = DEMANDS.iter().find(|(of, ..)| of == name);
            // Whoever asks for what kevy does anyway gets it.
            let is_met = demand.is_some_and(|(_, harmless, _)| is(name.as_bytes(), harmless.as_bytes()));
            !is_met && options::find(name.as_bytes()).is_some_and(|option| option.has_no_effect())
        };
        let without_effect = self.given.into_iter().filter(no_effect).collect();
        Ok(Loaded { without_effect, warnings, configured, config: self.config })
    }
}

/// Options that kevy cannot do justice to yet, the value with which nothing is asked of it, and the warning.
const DEMANDS: [(&str, &str, &str); 5] = [
    ("appendonly", "no", "kevy writes no append-only file yet. DATA IS KEPT IN MEMORY ONLY."),
    ("save", "", "kevy writes no snapshots yet. DATA IS KEPT IN MEMORY ONLY."),
    ("replicaof", "", "kevy does not replicate yet; it starts as an independent master."),
    ("cluster-enabled", "no", "kevy has no cluster mode yet; it runs standalone."),
    ("tls-port", "0", "kevy speaks no TLS yet; the port stays closed."),
];

impl Config {
    /// What the log should warn of when these options have just been given, at start or by CONFIG SET: demands that
    /// kevy cannot meet yet and must not pass over in silence.
    pub fn unmet_demands(&self, given: &[&str]) -> Vec<String> {
        let demanded = |name: &str, harmless: &str| {
            given.contains(&name)
                && self.get(&[name.as_bytes()]).iter().any(|(_, value)| value != harmless.as_bytes())
        };
        DEMANDS
            .iter()
            .filter(|(name, harmless, _)| demanded(name, harmless))
            .map(|(name, _, text)| format!("{name}: {text}"))
            .collect()
    }
}

fn trim(mut line: &[u8]) -> &[u8] {
    let blank = |byte: &u8| b" \t\r\n".contains(byte);
    while let [first, rest @ ..] = line
        && blank(first)
    {
        line = rest;
    }
    while let [rest @ .., last] = line
        && blank(last)
    {
        line = rest;
    }
    line
}

/// The files that a path with wildcards names, sorted; a path without wildcards names itself, there or not.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let component = component.as_os_str();
        if !component.as_bytes().iter().any(|byte| b"*?[".contains(byte)) {
            for path in &mut found {
                path.push(component);
            }
            continue;
        }
        let mut deeper = Vec::new();
        for parent in &found {
            let Ok(entries) = fs::read_dir(parent) else { continue };
            for name in entries.flatten().map(|entry| entry.file_name().into_vec()) {
                let hidden = name.starts_with(b".") && !component.as_bytes().starts_with(b".");
                if !hidden && glob::matches(component.as_bytes(), &name) {
                    deeper.push(parent.join(OsStr::from_bytes(&name)));
                }
            }
        }
        found = deeper;
    }
    if found.len() > 1 {
        found.sort();
    }
    if pattern.as_os_str().as_bytes().iter().any(|byte| b"*?[".contains(byte)) {
        found.retain(|path| path.exists());
    }
    found
}
