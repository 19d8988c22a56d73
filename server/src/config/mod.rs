//! The server's configuration: one table of directives and everything that follows from it.
//!
//! * [`options`]: the table. * [`kind`]: what values may be. * [`words`]: quoting. * [`load`]: the configuration
//!   file and the command line. * [`rewrite`]: CONFIG REWRITE. * [`renames`]: `rename-command`. Here: [`Config`],
//!   CONFIG GET and CONFIG SET.
//!
//! A [`Config`] is plain data. Whoever runs CONFIG SET works on a copy: [`Config::set`] checks and changes all or
//! nothing, then the caller makes the change happen (opens the new port, say) and puts the copy in place, or drops
//! it and answers with [`ConfigError::failed`].

pub mod kind;
pub mod load;
pub mod options;
pub mod renames;
pub mod rewrite;
pub mod words;

use std::collections::BTreeMap;
use std::io;
use std::num::NonZero;
use std::sync::OnceLock;

pub use kevy::keyspace::{EvictionPolicy, Settings};
pub use kind::{OutputLimit, SavePoint, Value};
pub use load::{Fatal, Loaded};
pub use options::{OPTIONS, OptionSpec};
pub use renames::Renames;

use kevy::glob;

use crate::log::Level;
use crate::shard::links::Shards;

/// Every setting. The groups hold what kevy acts on; `inert` holds what it only keeps.
#[derive(Clone, Debug)]
pub struct Config {
    pub network: Network,
    pub process: Process,
    pub security: Security,
    pub clients: Clients,
    pub latency: Latency,
    pub persistence: Persistence,
    /// What commands and the keyspace depend on.
    pub settings: Settings,
    /// Directives without a field that were set, by the row's name.
    inert: BTreeMap<&'static str, Value>,
}

// The derived `Default` of the groups is the empty value that the table then fills; only `Config::default` is
// a configuration.

#[derive(Clone, Debug, Default)]
pub struct Network {
    /// 0: do not listen on TCP.
    pub port: u16,
    /// A leading `-` means that a failure to bind this address is no error; `*` is every IPv4 address.
    pub bind: Vec<Vec<u8>>,
    /// Empty: none.
    pub unixsocket: Vec<u8>,
    /// 0: leave the socket's permissions to the umask.
    pub unixsocketperm: u32,
    pub tcp_backlog: i32,
    /// Seconds; 0: off.
    pub tcp_keepalive: u32,
    /// Seconds a client may be idle; 0: forever.
    pub timeout: u32,
    pub protected_mode: bool,
    pub maxclients: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Process {
    /// 0: as many as there are processors. See [`Process::shards`].
    pub shards: u32,
    pub daemonize: bool,
    /// Empty: none was named.
    pub pidfile: Vec<u8>,
    pub loglevel: Level,
    /// Empty: standard output.
    pub logfile: Vec<u8>,
    /// Absolute.
    pub dir: Vec<u8>,
    /// The file that was read at start, absolute; CONFIG REWRITE writes it. Not a directive.
    pub config_file: Option<std::path::PathBuf>,
    pub hz: u32,
    /// 1 to 10.
    pub active_expire_effort: u32,
    /// Seconds.
    pub shutdown_timeout: u32,
    /// No transparent huge pages.
    pub disable_thp: bool,
    pub shutdown_on_sigint: ShutdownFlags,
    pub shutdown_on_sigterm: ShutdownFlags,
}

impl Process {
    /// The number of shards, and of threads that serve clients.
    pub fn shards(&self) -> usize {
        static PROCESSORS: OnceLock<usize> = OnceLock::new();
        match self.shards as usize {
            // Those that this process may use, when it is asked first: the number stays what it is.
            0 => *PROCESSORS.get_or_init(|| {
                std::thread::available_parallelism().map_or(1, NonZero::get).min(Shards::MAX)
            }),
            shards => shards,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Security {
    /// Empty: the default user needs no password.
    pub requirepass: Vec<u8>,
    pub enable_protected_configs: Allow,
    pub enable_debug_command: Allow,
    pub enable_module_command: Allow,
    /// `rename-command`.
    pub renames: Renames,
}

#[derive(Clone, Debug, Default)]
pub struct Clients {
    /// Normal clients, replicas, subscribers.
    pub output_buffer_limits: [OutputLimit; 3],
    pub query_buffer_limit: u64,
    pub maxmemory: ClientMemory,
}

#[derive(Clone, Debug, Default)]
pub struct Latency {
    /// Microseconds; negative: no slow log.
    pub slowlog_log_slower_than: i64,
    pub slowlog_max_len: usize,
    /// Milliseconds; 0: off.
    pub monitor_threshold: u64,
    pub tracking: bool,
    pub tracking_info_percentiles: Vec<f64>,
}

#[derive(Clone, Debug, Default)]
pub struct Persistence {
    pub save: Vec<SavePoint>,
    pub dbfilename: Vec<u8>,
    pub appendonly: bool,
}

/// Who may use a dangerous feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allow {
    #[default]
    No,
    Yes,
    /// Only clients on a Unix socket or a loopback address.
    Local,
}

impl Allow {
    pub fn permits(self, client_is_local: bool) -> bool {
        match self {
            Allow::No => false,
            Allow::Yes => true,
            Allow::Local => client_is_local,
        }
    }
}

/// How a signal shuts down; no bit: as the configuration of snapshots says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownFlags(pub u32);

impl ShutdownFlags {
    pub const SAVE: u32 = 1 << 0;
    pub const NOSAVE: u32 = 1 << 1;
    pub const NOW: u32 = 1 << 2;
    pub const FORCE: u32 = 1 << 3;

    pub fn contains(self, flag: u32) -> bool {
        self.0 & flag != 0
    }
}

/// What all clients together may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientMemory {
    /// 0: no limit.
    Bytes(u64),
    /// Of maxmemory.
    Percent(u32),
}

impl Default for ClientMemory {
    fn default() -> Self {
        Self::Bytes(0)
    }
}

impl Default for Config {
    fn default() -> Self {
        let mut config = Self {
            network: Network::default(),
            process: Process::default(),
            security: Security::default(),
            clients: Clients::default(),
            latency: Latency::default(),
            persistence: Persistence::default(),
            settings: Settings::default(),
            inert: BTreeMap::new(),
        };
        for option in OPTIONS {
            if let Some(access) = &option.access {
                let default = option.default_value(&(access.read)(&config));
                (access.write)(&mut config, default);
            }
        }
        config
    }
}

impl OptionSpec {
    /// The default as a value. `like` is any value of the option's kind.
    fn default_value(&self, like: &Value) -> Value {
        match self.kind.parse(&[self.default.into()], like, false) {
            Ok(value) => value,
            // The working directory may have been removed under us.
            Err(_) if matches!(self.kind, kind::Kind::Directory) => Value::Text(self.default.into()),
            Err(reason) => unreachable!("the table's default of {}: {reason}", self.name),
        }
    }
}

impl Config {
    /// CONFIG GET: names and values. A plain name answers as it was written, in any case; a pattern answers with
    /// every listed name that it matches. Nothing answers twice.
    pub fn get(&self, patterns: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut add = |name: &[u8], option: &OptionSpec| {
            if !found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                found.push((name.to_vec(), option.kind.text(&self.value(option))));
            }
        };
        for pattern in patterns {
            if !pattern.iter().any(|byte| b"*?[".contains(byte)) {
                if let Some(option) = options::find(pattern) {
                    add(pattern, option);
                }
                continue;
            }
            let pattern = pattern.to_ascii_lowercase();
            for option in OPTIONS.iter().filter(|option| !option.has(options::HIDDEN)) {
                for name in option.names().filter(|name| glob::matches(&pattern, name.as_bytes())) {
                    add(name.as_bytes(), option);
                }
            }
        }
        found
    }

    /// CONFIG SET: all pairs or none. Gives the names of the rows whose value is now another one.
    pub fn set(
        &mut self,
        pairs: &[(&[u8], &[u8])],
        client_is_local: bool,
    ) -> Result<Vec<&'static str>, ConfigError> {
        let mut chosen: Vec<(&[u8], &'static OptionSpec)> = Vec::new();
        for &(name, _) in pairs {
            // A name among several unknown ones is reported first, as long as nothing else was wrong before it.
            let Some(option) = options::find(name) else { return Err(ConfigError::Unknown(name.to_vec())) };
            let unprotected = self.security.enable_protected_configs.permits(client_is_local);
            let refused = if option.has(options::IMMUTABLE) && !kevy::bug!(ImmutableSettable) {
                Some("can't set immutable config")
            } else if option.has(options::PROTECTED) && !unprotected {
                Some("can't set protected config")
            } else if chosen.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
                && !kevy::bug!(ConfigSetTwice)
            {
                Some("duplicate parameter")
            } else {
                None
            };
            if let Some(reason) = refused {
                return Err(ConfigError::failed(name, reason));
            }
            chosen.push((name, option));
        }
        let mut next = self.clone();
        let mut changed = Vec::new();
        for ((name, option), (_, value)) in chosen.into_iter().zip(pairs) {
            let before = next.value(option);
            let value = option.kind.parse(&[value.to_vec()], &before, false);
            // Of a value that is refused the parameter is named, and not what the client wrote.
            let value = value.map_err(|reason| match kevy::bug!(RefusedNameAsWritten) {
                true => ConfigError::failed(name, &reason),
                false => ConfigError::failed(&name.to_ascii_lowercase(), &reason),
            })?;
            if value != before {
                next.store(option, value);
                if !changed.contains(&option.name) {
                    changed.push(option.name);
                }
            }
        }
        *self = next;
        Ok(changed)
    }

    /// What the option holds.
    fn value(&self, option: &OptionSpec) -> Value {
        match &option.access {
            Some(access) => (access.read)(self),
            None => match self.inert.get(option.name) {
                Some(value) => value.clone(),
                None => option.default_value(&Value::Bool(false)),
            },
        }
    }

    fn store(&mut self, option: &OptionSpec, value: Value) {
        match &option.access {
            Some(access) => (access.write)(self, value),
            None => {
                self.inert.insert(option.name, value);
            }
        }
    }
}

/// Why CONFIG SET changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    Unknown(Vec<u8>),
    Failed { name: Vec<u8>, reason: String },
}

impl ConfigError {
    pub fn failed(name: &[u8], reason: &str) -> Self {
        Self::Failed { name: name.to_vec(), reason: reason.to_owned() }
    }

    /// The error reply, with its code.
    pub fn message(&self) -> Vec<u8> {
        match self {
            Self::Unknown(name) => {
                [b"ERR Unknown option or number of arguments for CONFIG SET - '", &name[..], b"'"].concat()
            }
            Self::Failed { name, reason } => [
                b"ERR CONFIG SET failed (possibly related to argument '",
                &name[..],
                b"') - ",
                reason.as_bytes(),
            ]
            .concat(),
        }
    }
}

/// A typed field that a row of the table can name. The row's kind makes only values of the field's own shape, which
/// the tests of the table check; hence the `unreachable!`s.
pub(crate) trait Field {
    fn to_value(&self) -> Value;
    fn set_value(&mut self, value: Value);
}

macro_rules! integer_fields {
    ($($type:ty)*) => {$(
        impl Field for $type {
            fn to_value(&self) -> Value {
                Value::Integer(*self as i128)
            }
            fn set_value(&mut self, value: Value) {
                let Value::Integer(n) = value else { unreachable!("an integer field") };
                *self = n.clamp(<$type>::MIN as i128, <$type>::MAX as i128) as $type;
            }
        }
    )*};
}
integer_fields!(u16 i32 u32 i64 u64 usize);

macro_rules! fields {
    ($($type:ty = $variant:ident;)*) => {$(
        impl Field for $type {
            fn to_value(&self) -> Value {
                Value::$variant(self.clone())
            }
            fn set_value(&mut self, value: Value) {
                let Value::$variant(value) = value else { unreachable!("the kind of the field") };
                *self = value;
            }
        }
    )*};
}
fields! {
    bool = Bool;
    Vec<u8> = Text;
    Vec<Vec<u8>> = Words;
    Vec<SavePoint> = Save;
    [OutputLimit; 3] = OutputLimits;
    Vec<f64> = Percentiles;
}

/// Enumerations, their variants in the order of the names in the row.
macro_rules! choice_fields {
    ($($type:ty = [$($variant:ident),*];)*) => {$(
        impl Field for $type {
            fn to_value(&self) -> Value {
                const ALL: &[$type] = &[$(<$type>::$variant),*];
                Value::Choice(ALL.iter().position(|one| one == self).expect("every variant is listed"))
            }
            fn set_value(&mut self, value: Value) {
                const ALL: &[$type] = &[$(<$type>::$variant),*];
                let Value::Choice(index) = value else { unreachable!("a choice field") };
                *self = ALL[index];
            }
        }
    )*};
}
choice_fields! {
    Allow = [No, Yes, Local];
    Level = [Debug, Verbose, Notice, Warning, Nothing];
    EvictionPolicy =
        [VolatileLru, VolatileLfu, VolatileRandom, VolatileTtl, AllkeysLru, AllkeysLfu, AllkeysRandom, NoEviction];
}

impl Field for ShutdownFlags {
    fn to_value(&self) -> Value {
        Value::Choices(self.0)
    }
    fn set_value(&mut self, value: Value) {
        let Value::Choices(bits) = value else { unreachable!("a set of names") };
        self.0 = bits;
    }
}

impl Field for ClientMemory {
    fn to_value(&self) -> Value {
        Value::Integer(match self {
            Self::Bytes(bytes) => i128::from(*bytes),
            Self::Percent(percent) => -i128::from(*percent),
        })
    }
    fn set_value(&mut self, value: Value) {
        let Value::Integer(n) = value else { unreachable!("an integer field") };
        *self = match u64::try_from(n) {
            Ok(bytes) => Self::Bytes(bytes),
            Err(_) => Self::Percent((-n).clamp(0, 100) as u32),
        };
    }
}

/// The operating system's words for an error, without Rust's number behind them.
pub fn os_reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests;
