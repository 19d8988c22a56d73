//! CONFIG, and the parameters that the specification knows.
//!
//! A server has many more. Of those nothing is said but the form of what is told about them.

use std::collections::BTreeMap;

use kevy::resp::Frame;

use crate::gates::c_string;
use crate::keyspace::SYNTAX;
use crate::{Answer, Ask, Bytes, Model, Want, glob, number};

/// What values a parameter takes.
#[derive(Clone, Copy)]
enum Kind {
    /// From, to.
    Integer(i64, i64),
    /// A size from so many to so many bytes, with a unit if one likes.
    Bytes(u64, u64),
    YesOrNo,
    Words(&'static [&'static str]),
    /// The letters of keyspace events.
    Events,
    /// Set when the server starts.
    Fixed,
}

struct Parameter {
    name: &'static str,
    /// An older name for the same.
    alias: &'static str,
    kind: Kind,
    /// As CONFIG GET shows it.
    default: &'static str,
}

const fn parameter(name: &'static str, kind: Kind, default: &'static str) -> Parameter {
    Parameter { name, alias: "", kind, default }
}

impl Parameter {
    const fn once(self, alias: &'static str) -> Parameter {
        Parameter { alias, ..self }
    }
}

const LENGTH: Kind = Kind::Integer(0, i64::MAX);
const SIZE: Kind = Kind::Bytes(0, i64::MAX as u64);
const COUNT: Kind = Kind::Integer(0, i32::MAX as i64);
const EVICTION_POLICIES: [&str; 8] = [
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "noeviction",
];

const PARAMETERS: [Parameter; 28] = [
    parameter("hash-max-listpack-entries", LENGTH, "512").once("hash-max-ziplist-entries"),
    parameter("hash-max-listpack-value", SIZE, "64").once("hash-max-ziplist-value"),
    parameter("set-max-intset-entries", LENGTH, "512"),
    parameter("set-max-listpack-entries", LENGTH, "128"),
    parameter("set-max-listpack-value", LENGTH, "64"),
    parameter("zset-max-listpack-entries", LENGTH, "128").once("zset-max-ziplist-entries"),
    parameter("zset-max-listpack-value", SIZE, "64").once("zset-max-ziplist-value"),
    parameter("list-max-listpack-size", Kind::Integer(i32::MIN as i64, i32::MAX as i64), "-2")
        .once("list-max-ziplist-size"),
    parameter("list-compress-depth", COUNT, "0"),
    parameter("maxmemory", Kind::Bytes(0, u64::MAX), "0"),
    parameter("maxmemory-policy", Kind::Words(&EVICTION_POLICIES), "noeviction"),
    parameter("maxmemory-samples", Kind::Integer(1, 64), "5"),
    parameter("lfu-log-factor", COUNT, "10"),
    parameter("lfu-decay-time", COUNT, "1"),
    parameter("lazyfree-lazy-eviction", Kind::YesOrNo, "no"),
    parameter("lazyfree-lazy-expire", Kind::YesOrNo, "no"),
    parameter("lazyfree-lazy-server-del", Kind::YesOrNo, "no"),
    parameter("lazyfree-lazy-user-del", Kind::YesOrNo, "no"),
    parameter("lazyfree-lazy-user-flush", Kind::YesOrNo, "no"),
    parameter("databases", Kind::Fixed, "16"),
    parameter("appendonly", Kind::YesOrNo, "no"),
    parameter("appendfsync", Kind::Words(&["everysec", "always", "no"]), "everysec"),
    parameter("notify-keyspace-events", Kind::Events, ""),
    parameter("proto-max-bulk-len", Kind::Bytes(1 << 20, i64::MAX as u64), "536870912"),
    parameter("slowlog-log-slower-than", Kind::Integer(-1, i64::MAX), "10000"),
    parameter("slowlog-max-len", LENGTH, "128"),
    parameter("latency-monitor-threshold", LENGTH, "0"),
    parameter("timeout", COUNT, "0"),
];

/// The parameter of this name or older name, in any case.
fn named(name: &[u8]) -> Option<&'static Parameter> {
    let is = |known: &str| !known.is_empty() && name.eq_ignore_ascii_case(known.as_bytes());
    PARAMETERS.iter().find(|parameter| is(parameter.name) || is(parameter.alias))
}

/// All parameters with their defaults.
pub fn default_config() -> BTreeMap<String, String> {
    PARAMETERS.iter().map(|parameter| (parameter.name.into(), parameter.default.into())).collect()
}

impl Model {
    fn parameter(&self, parameter: &Parameter) -> String {
        match parameter.kind {
            Kind::Events => events_shown(&self.config[parameter.name]),
            _ if parameter.name == "databases" => self.dbs.len().to_string(),
            _ => self.config[parameter.name].clone(),
        }
    }

    /// A parameter that is a number.
    pub(crate) fn number(&self, name: &str) -> i64 {
        self.config.get(name).and_then(|text| text.parse().ok()).unwrap_or_default()
    }
}

/// The letters in the order in which they are shown. `A` stands for most classes, and hides `n`.
fn events_shown(letters: &str) -> String {
    const ALL: &str = "g$lshzxetd";
    let all = letters.contains('A') || ALL.chars().all(|letter| letters.contains(letter));
    let classes = if all { "A".into() } else { chosen(letters, "g$lshzxetdn") };
    classes + &chosen(letters, "KEm")
}

fn chosen(letters: &str, among: &str) -> String {
    among.chars().filter(|&letter| letters.contains(letter)).collect()
}

/// The pairs of a map, which is flat in RESP2.
pub fn pairs(frame: &Frame) -> Option<Vec<(&Frame, &Frame)>> {
    match frame {
        Frame::Map(pairs) => Some(pairs.iter().map(|(name, value)| (name, value)).collect()),
        Frame::Array(flat) if flat.len().is_multiple_of(2) => {
            Some(flat.chunks(2).map(|pair| (&pair[0], &pair[1])).collect())
        }
        _ => None,
    }
}

/// CONFIG GET pattern …: what is known and asked for must be there once with its value, and nothing that was not
/// asked for.
pub fn config_get(m: &mut Model, ask: &Ask) -> Answer {
    let patterns: Vec<Bytes> = ask.argv[2..].iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
    let asked_for = move |name: &[u8]| {
        let name = name.to_ascii_lowercase();
        patterns.iter().any(|pattern| {
            let is_pattern = pattern.iter().any(|byte| b"*?[".contains(byte));
            if is_pattern { glob::matches(pattern, &name) } else { *pattern == name }
        })
    };
    let mut known = BTreeMap::new();
    for parameter in &PARAMETERS {
        for name in [parameter.name, parameter.alias] {
            if !name.is_empty() && asked_for(name.as_bytes()) {
                known.insert(Bytes::from(name), Bytes::from(m.parameter(parameter)));
            }
        }
    }
    let protocol = ask.protocol;
    Ok(Want::such("a map of the parameters asked for, each with its value", move |frame| {
        let right_form = match frame {
            Frame::Map(_) => protocol == kevy::resp::Protocol::Resp3,
            _ => protocol == kevy::resp::Protocol::Resp2,
        };
        let Some(pairs) = pairs(frame).filter(|_| right_form) else { return false };
        let mut left = known.clone();
        let mut legal = |name: &[u8], value: &[u8]| {
            let known = named(name).is_some();
            asked_for(name) && (!known || left.remove(&name.to_ascii_lowercase()).as_deref() == Some(value))
        };
        let all_legal = pairs.iter().all(|pair| match pair {
            (Frame::Bulk(name), Frame::Bulk(value)) => legal(name, value),
            _ => false,
        });
        all_legal && left.is_empty()
    }))
}

/// CONFIG SET name value …: all of them or none. The names are looked at before any value.
pub fn config_set(m: &mut Model, ask: &Ask) -> Answer {
    if ask.argc() % 2 == 1 {
        return Err(SYNTAX.into());
    }
    let given: Vec<(&Bytes, &Bytes)> = ask.argv[2..].chunks(2).map(|pair| (&pair[0], &pair[1])).collect();
    let failed = |name: &str, why: &str| {
        format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")
    };
    let mut set: Vec<(&Bytes, &Bytes, Option<&Parameter>)> = Vec::new();
    for (name, value) in given {
        let parameter = named(name);
        let shown = c_string(name, usize::MAX);
        if parameter.is_some_and(|parameter| matches!(parameter.kind, Kind::Fixed)) {
            return unless_unknown(&set, Err(failed(&shown, "can't set immutable config")));
        }
        if set.iter().any(|(other, ..)| other.eq_ignore_ascii_case(name)) {
            return unless_unknown(&set, Err(failed(&shown, "duplicate parameter")));
        }
        set.push((name, value, parameter));
    }
    let mut new = Vec::new();
    for (name, value, parameter) in &set {
        let Some(parameter) = parameter else { continue };
        match parsed(parameter, value) {
            Ok(value) => new.push((parameter.name, value)),
            Err(why) => {
                let shown = c_string(&name.to_ascii_lowercase(), usize::MAX);
                return unless_unknown(&set, Err(failed(&shown, &why)));
            }
        }
    }
    let happens = set.iter().all(|(.., parameter)| parameter.is_some())
        || ask.reply.is_some_and(|reply| *reply == Frame::ok());
    if happens {
        for (name, value) in new {
            m.config.insert(name.into(), value);
        }
    }
    unless_unknown(&set, Ok(Want::ok()))
}

/// Names that the specification does not know can make it fail in more ways.
fn unless_unknown(set: &[(&Bytes, &Bytes, Option<&Parameter>)], answer: Answer) -> Answer {
    let Some((unknown, ..)) = set.iter().find(|(.., parameter)| parameter.is_none()) else { return answer };
    let name = c_string(unknown, usize::MAX);
    let no_such = format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'");
    Ok(Want::OneOf(vec![
        Want::Error(no_such),
        Want::ErrorStarting("ERR CONFIG SET failed (possibly related to argument '"),
        answer.unwrap_or_else(Want::Error),
    ]))
}

/// The value as CONFIG GET will show it.
fn parsed(parameter: &Parameter, text: &[u8]) -> Result<String, String> {
    let between = |value: i128, low: i128, high: i128| match value {
        _ if (low..=high).contains(&value) => Ok(value.to_string()),
        _ => Err(format!("argument must be between {low} and {high} inclusive")),
    };
    match parameter.kind {
        Kind::Integer(low, high) => {
            let value = number::int(text).ok_or("argument couldn't be parsed into an integer")?;
            between(value.into(), low.into(), high.into())
        }
        Kind::Bytes(low, high) => {
            let size = size(text).ok_or("argument must be a memory value")?;
            between(size.into(), low.into(), high.into())
        }
        Kind::YesOrNo => word(text, &["yes", "no"]).ok_or("argument must be 'yes' or 'no'".into()),
        Kind::Words(words) => word(text, words)
            .ok_or_else(|| format!("argument(s) must be one of the following: {}", words.join(", "))),
        Kind::Events => {
            let letters = String::from_utf8_lossy(text).into_owned();
            match letters.chars().all(|letter| "Ag$lshzxeKEtmdn".contains(letter)) {
                true => Ok(letters),
                false => Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into()),
            }
        }
        Kind::Fixed => Err("can't set immutable config".into()),
    }
}

fn word(text: &[u8], words: &[&str]) -> Option<String> {
    words.iter().find(|word| text.eq_ignore_ascii_case(word.as_bytes())).map(|&word| word.into())
}

/// Digits and a unit: `k`, `m`, `g` of 1000, `kb`, `mb`, `gb` of 1024. Nothing is 0; what is too large is the largest.
fn size(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = text.split_at(digits);
    let unit = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let digits =
        digits.iter().fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add((digit - b'0').into()));
    Some(digits.wrapping_mul(unit))
}

/// It can fail: the file may be missing, or not writable.
pub fn config_rewrite(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::OneOf(vec![
        Want::ok(),
        Want::Error("ERR The server is running without a config file".into()),
        Want::ErrorStarting("ERR Rewriting config file: "),
    ]))
}

pub fn config_resetstat(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::ok())
}

pub fn config_help(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::help())
}
