//! What the value of a directive may be: from words to a [`Value`] with Redis's checks and error texts, and from a
//! `Value` to the text of CONFIG GET and the lines of CONFIG REWRITE.
//!
//! Nothing here knows a directive by name; the rows of the table choose a [`Kind`] each.

use std::borrow::Cow;
use std::path::Path;

use kevy::keyspace::Class;
use kevy::number::parse_i64;

use super::words::quoted;

type Bytes = Vec<u8>;
type Reason = Cow<'static, str>;

/// A checked value on its way between text and a field of [`Config`](super::Config).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Bool(bool),
    /// Index into the names of [`Kind::Choice`].
    Choice(usize),
    /// Bit `i` stands for name `i + 1` of [`Kind::Choices`]; no bit for name 0.
    Choices(u32),
    /// Wide enough for every signed and unsigned option. Percentages of [`Kind::MemoryOrPercent`] are negative.
    Integer(i128),
    Text(Bytes),
    Words(Vec<Bytes>),
    Save(Vec<SavePoint>),
    OutputLimits([OutputLimit; 3]),
    Percentiles(Vec<f64>),
}

/// One `save seconds changes` rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    pub seconds: i64,
    pub changes: i64,
}

/// Limits of a client class's output buffer; 0 means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    pub hard: u64,
    pub soft: u64,
    pub soft_seconds: u64,
}

/// Names of the client classes as CONFIG GET prints them, in the order of [`Value::OutputLimits`].
const CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

/// A further check on text.
pub type Check = fn(&[u8]) -> Result<(), &'static str>;

#[derive(Clone, Copy)]
pub enum Kind {
    /// `yes` or `no`.
    Bool,
    /// One of the names.
    Choice(&'static [&'static str]),
    /// Some of the names; the first stands for none of the others, the second and third exclude each other.
    Choices(&'static [&'static str]),
    Integer(i64, i64),
    /// An integer in the first range, then quietly moved into the second.
    Clamped((i64, i64), (i64, i64)),
    /// Bytes with an optional unit; `b`, `k`, `kb`, `m`, `mb`, `g`, `gb`.
    Memory(u64, u64),
    /// The same, then quietly moved up to a minimum.
    MemoryAtLeast((u64, u64), u64),
    /// Bytes, or a share of maxmemory.
    MemoryOrPercent,
    /// File permissions.
    Octal(u32),
    /// Text; the empty text is a value like any other.
    Text(Check),
    /// Text; empty means not set.
    Optional(Check),
    /// An existing directory, kept as its absolute path.
    Directory,
    /// Up to sixteen addresses.
    Addresses,
    /// Three numbers for the kernel's out-of-memory killer.
    OomScores,
    /// Letters of keyspace event classes.
    Events,
    Save,
    OutputLimits,
    Percentiles,
    /// `host port` of a primary, or `no one`.
    Primary,
}

/// Letters of the event classes in the order in which they are printed; `A` stands for all of them but `n`.
const EVENT_CLASSES: [(u8, u32); 11] = [
    (b'g', Class::GENERIC),
    (b'$', Class::STRING),
    (b'l', Class::LIST),
    (b's', Class::SET),
    (b'h', Class::HASH),
    (b'z', Class::ZSET),
    (b'x', Class::EXPIRED),
    (b'e', Class::EVICTED),
    (b't', Class::STREAM),
    (b'd', Class::MODULE),
    (b'n', Class::NEW),
];

/// Letters that are printed behind the classes.
const EVENT_OTHERS: [(u8, u32); 3] =
    [(b'K', Class::KEYSPACE), (b'E', Class::KEYEVENT), (b'm', Class::KEY_MISS)];

impl Kind {
    /// Whether one argument with spaces stands for several.
    pub fn takes_several(&self) -> bool {
        use Kind::*;
        matches!(self, Choices(_) | Addresses | OomScores | Save | OutputLimits | Percentiles | Primary)
    }

    /// Checks `words` and makes a value of them. `current` is what the option holds: some kinds change a part of
    /// it, and with `accumulate` (a further line of the same configuration) `save` adds to it.
    pub fn parse(&self, words: &[Bytes], current: &Value, accumulate: bool) -> Result<Value, Reason> {
        let split: Vec<Bytes>;
        let words = match words {
            [one] if self.takes_several() && !one.is_empty() => {
                split = one.split(|b| *b == b' ').map(<[u8]>::to_vec).collect();
                &split
            }
            _ => words,
        };
        if self.takes_several() {
            return self.parse_several(words, current, accumulate);
        }
        let [word] = words else { return Err("wrong number of arguments".into()) };
        Ok(match self {
            Kind::Bool if word.eq_ignore_ascii_case(b"yes") => Value::Bool(true),
            Kind::Bool if word.eq_ignore_ascii_case(b"no") => Value::Bool(false),
            Kind::Bool => return Err("argument must be 'yes' or 'no'".into()),
            Kind::Choice(names) => Value::Choice(choice(names, word)?),
            Kind::Integer(min, max) => Value::Integer(within(integer(word)?, *min, *max)?),
            Kind::Clamped((min, max), (low, high)) => {
                Value::Integer(within(integer(word)?, *min, *max)?.clamp((*low).into(), (*high).into()))
            }
            Kind::Memory(min, max) => Value::Integer(within(memory(word)?, *min, *max)?),
            Kind::MemoryAtLeast((min, max), least) => {
                Value::Integer(within(memory(word)?, *min, *max)?.max((*least).into()))
            }
            Kind::MemoryOrPercent => Value::Integer(memory_or_percent(word)?),
            Kind::Octal(max) => Value::Integer(octal(word, *max)?.into()),
            Kind::Text(check) | Kind::Optional(check) => {
                check(word)?;
                Value::Text(word.clone())
            }
            Kind::Directory => Value::Text(directory(word, current)?),
            Kind::Events => {
                let bits = event_classes(word);
                let wrong = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
                Value::Integer(bits.ok_or(wrong)?.into())
            }
            _ => unreachable!("kinds of several words are parsed above"),
        })
    }

    fn parse_several(&self, words: &[Bytes], current: &Value, accumulate: bool) -> Result<Value, Reason> {
        let empty = matches!(words, [one] if one.is_empty());
        Ok(match self {
            Kind::Choices(names) => {
                let mut bits = 0;
                for word in words {
                    bits |= 1_u32.checked_shl(choice(names, word)? as u32).map_or(0, |bit| bit >> 1);
                }
                if bits & 0b11 == 0b11 {
                    return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
                }
                Value::Choices(bits)
            }
            Kind::Addresses if words.len() > 16 => return Err("Too many bind addresses specified.".into()),
            Kind::Addresses => Value::Words(if empty { Vec::new() } else { words.to_vec() }),
            Kind::OomScores if words.len() != 3 => return Err("wrong number of arguments".into()),
            Kind::OomScores => {
                let wrong = "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
                let score = |word: &Bytes| decimal(word).filter(|n| (-2000..=2000).contains(n));
                let scores = words.iter().map(|word| Ok(score(word).ok_or(wrong)?.to_string().into()));
                Value::Words(scores.collect::<Result<_, Reason>>()?)
            }
            Kind::Save => {
                let mut points = match current {
                    Value::Save(points) if accumulate && !empty => points.clone(),
                    _ => Vec::new(),
                };
                let words = if empty { &[] } else { words };
                let wrong = "Invalid save parameters";
                for pair in words.chunks(2) {
                    let [seconds, changes] = pair else { return Err(wrong.into()) };
                    let seconds = decimal(seconds).filter(|n| *n >= 1).ok_or(wrong)?;
                    let changes = decimal(changes).filter(|n| *n >= 0).ok_or(wrong)?;
                    points.push(SavePoint { seconds, changes });
                }
                Value::Save(points)
            }
            Kind::OutputLimits => {
                let Value::OutputLimits(current) = current else { unreachable!("the kind of the option") };
                Value::OutputLimits(output_limits(if empty { &[] } else { words }, *current)?)
            }
            Kind::Percentiles => {
                let mut values = Vec::new();
                for word in if empty { &[] } else { words } {
                    let value = std::str::from_utf8(word).ok().and_then(|word| word.parse::<f64>().ok());
                    let value = value
                        .filter(|value| !value.is_nan())
                        .ok_or("Invalid latency-tracking-info-percentiles parameters")?;
                    if !(0.0..=100.0).contains(&value) {
                        return Err(
                            "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
                                .into(),
                        );
                    }
                    values.push(value);
                }
                Value::Percentiles(values)
            }
            Kind::Primary => {
                let [host, port] = words else { return Err("wrong number of arguments".into()) };
                if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
                    return Ok(Value::Words(Vec::new()));
                }
                decimal(port).filter(|port| (0..=65535).contains(port)).ok_or("Invalid master port")?;
                Value::Words(words.to_vec())
            }
            _ => unreachable!("kinds of one word are parsed by the caller"),
        })
    }

    /// The text of CONFIG GET.
    pub fn text(&self, value: &Value) -> Bytes {
        match (self, value) {
            (_, Value::Bool(yes)) => if *yes { "yes" } else { "no" }.into(),
            (Kind::Choice(names), Value::Choice(index)) => names[*index].into(),
            (Kind::Choices(names), Value::Choices(0)) => names[0].into(),
            (Kind::Choices(names), Value::Choices(bits)) => {
                let chosen = (1..names.len()).filter(|i| bits & (1 << (i - 1)) != 0);
                chosen.map(|i| names[i]).collect::<Vec<_>>().join(" ").into()
            }
            (Kind::Events, Value::Integer(bits)) => event_letters(*bits as u32),
            (Kind::Octal(_), Value::Integer(n)) => format!("{n:o}").into(),
            (Kind::MemoryOrPercent, Value::Integer(n)) if *n < 0 => format!("{}%", -n).into(),
            (_, Value::Integer(n)) => n.to_string().into(),
            (_, Value::Text(text)) => text.clone(),
            (_, Value::Words(words)) => words.join(&b' '),
            (_, Value::Save(points)) => {
                let points = points.iter().map(|p| format!("{} {}", p.seconds, p.changes));
                points.collect::<Vec<_>>().join(" ").into()
            }
            (_, Value::OutputLimits(limits)) => {
                let limits = CLASSES.iter().zip(limits);
                let limits =
                    limits.map(|(class, l)| format!("{class} {} {} {}", l.hard, l.soft, l.soft_seconds));
                limits.collect::<Vec<_>>().join(" ").into()
            }
            (_, Value::Percentiles(values)) => {
                values.iter().map(|v| trimmed(*v)).collect::<Vec<_>>().join(" ").into()
            }
            (_, Value::Choice(_) | Value::Choices(_)) => unreachable!("a value of its own kind"),
        }
    }

    /// What CONFIG REWRITE writes after the name: one entry a line. `must` is false where an existing line is
    /// brought up to date but none is added, because the value is the default. No entry at all removes the lines.
    pub fn lines(&self, value: &Value, default: &Value) -> Vec<Line> {
        let must = value != default;
        let one = |text: Bytes, must| vec![Line { text, must }];
        match (self, value) {
            (Kind::Memory(..) | Kind::MemoryAtLeast(..) | Kind::MemoryOrPercent, Value::Integer(n))
                if *n >= 0 =>
            {
                one(with_unit(*n as u64).into(), must)
            }
            (Kind::Optional(_), Value::Text(text)) if text.is_empty() => Vec::new(),
            (Kind::Directory, Value::Text(text)) => one(quoted(text), true),
            (_, Value::Text(text)) => one(quoted(text), must),
            (Kind::Events, value) => one(quoted(&self.text(value)), must),
            (Kind::Addresses, _) if !must => Vec::new(),
            (Kind::Addresses, Value::Words(words)) if words.is_empty() => one(b"\"\"".to_vec(), true),
            (Kind::Primary, Value::Words(words)) if words.is_empty() => Vec::new(),
            (_, Value::Words(words)) => {
                one(words.iter().map(|w| plain_word(w)).collect::<Vec<_>>().join(&b' '), must)
            }
            (_, Value::Save(points)) if points.is_empty() => one(b"\"\"".to_vec(), true),
            (_, Value::Save(points)) => {
                let text = |p: &SavePoint| format!("{} {}", p.seconds, p.changes).into();
                points.iter().map(|p| Line { text: text(p), must: true }).collect()
            }
            (_, Value::OutputLimits(limits)) => {
                let Value::OutputLimits(defaults) = default else {
                    unreachable!("a default of its own kind")
                };
                let rows = ["normal", "replica", "pubsub"].iter().zip(limits.iter().zip(defaults));
                rows.map(|(class, (limit, default))| Line {
                    text: format!(
                        "{class} {} {} {}",
                        with_unit(limit.hard),
                        with_unit(limit.soft),
                        limit.soft_seconds
                    )
                    .into(),
                    must: limit != default,
                })
                .collect()
            }
            (_, Value::Percentiles(values)) if values.is_empty() => one(b"\"\"".to_vec(), true),
            (_, value) => one(self.text(value), must),
        }
    }
}

/// One line of CONFIG REWRITE, without the name.
pub struct Line {
    pub text: Bytes,
    pub must: bool,
}

/// Any text.
pub fn any(_: &[u8]) -> Result<(), &'static str> {
    Ok(())
}

pub fn rdb_name(name: &[u8]) -> Result<(), &'static str> {
    if name.contains(&b'/') { Err("dbfilename can't be a path, just a filename") } else { Ok(()) }
}

pub fn aof_name(name: &[u8]) -> Result<(), &'static str> {
    match name {
        [] => Err("appendfilename can't be empty"),
        name if name.contains(&b'/') => Err("appendfilename can't be a path, just a filename"),
        _ => Ok(()),
    }
}

pub fn aof_directory(name: &[u8]) -> Result<(), &'static str> {
    match name {
        [] => Err("appenddirname can't be empty"),
        name if name.contains(&b'/') => Err("appenddirname can't be a path, just a dirname"),
        _ => Ok(()),
    }
}

pub fn hostname(name: &[u8]) -> Result<(), &'static str> {
    if name.len() >= 256 {
        return Err("Hostnames must be less than 256 characters");
    }
    if name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')) {
        Ok(())
    } else {
        Err("Hostnames may only contain alphanumeric characters, hyphens or dots")
    }
}

pub fn node_name(name: &[u8]) -> Result<(), &'static str> {
    if name.iter().any(|b| b"!#$%&()*+:;<>?@[]^{|}~".contains(b)) {
        return Err("Announced human node name contained invalid character");
    }
    Ok(())
}

/// `C`, `POSIX`, or a language with or without territory, encoding and modifier. Which of them the system has
/// makes no difference to kevy.
pub fn locale(name: &[u8]) -> Result<(), &'static str> {
    let language = name.split(|b| matches!(b, b'.' | b'@')).next().unwrap_or_default();
    match language {
        b"" if name.is_empty() => Ok(()),
        b"C" | b"POSIX" => Ok(()),
        [_, _, b'_', _, _] | [_, _, _, b'_', _, _]
            if language.iter().all(|b| b.is_ascii_alphabetic() || *b == b'_') =>
        {
            Ok(())
        }
        _ => Err("Invalid locale name"),
    }
}

/// Text with variables in braces, where `{{` stands for a brace. Variables that may stand for nothing are not enough.
pub fn title_template(template: &[u8]) -> Result<(), &'static str> {
    const VARIABLES: [&str; 7] =
        ["title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"];
    let wrong = Err("template format is invalid or contains unknown variables");
    let mut rest = template;
    let mut has_content = false;
    while let Some(open) = rest.iter().position(|b| *b == b'{') {
        has_content |= open > 0;
        rest = &rest[open + 1..];
        if let Some(after) = rest.strip_prefix(b"{") {
            rest = after;
            has_content = true;
            continue;
        }
        let Some(close) = rest.iter().position(|b| *b == b'}') else { return wrong };
        if !VARIABLES.iter().any(|variable| variable.as_bytes() == &rest[..close]) {
            return wrong;
        }
        has_content |= !matches!(&rest[..close], b"title" | b"server-mode");
        rest = &rest[close + 1..];
    }
    if has_content || !rest.is_empty() { Ok(()) } else { wrong }
}

fn choice(names: &[&str], word: &[u8]) -> Result<usize, Reason> {
    names
        .iter()
        .position(|name| word.eq_ignore_ascii_case(name.as_bytes()))
        .ok_or_else(|| format!("argument(s) must be one of the following: {}", names.join(", ")).into())
}

/// A decimal integer without leading zeros, plus sign or spaces.
fn integer(word: &[u8]) -> Result<i128, Reason> {
    Ok(parse_i64(word).ok_or("argument couldn't be parsed into an integer")?.into())
}

/// A decimal integer as C's `strtoll` takes it: leading zeros and a plus sign are no matter.
fn decimal(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn within<B: Into<i128> + Copy + std::fmt::Display>(value: i128, min: B, max: B) -> Result<i128, Reason> {
    if (min.into()..=max.into()).contains(&value) {
        Ok(value)
    } else {
        Err(format!("argument must be between {min} and {max} inclusive").into())
    }
}

fn memory(word: &[u8]) -> Result<i128, Reason> {
    Ok(bytes_with_unit(word).ok_or("argument must be a memory value")?.into())
}

/// Digits and a unit; more than 64 bits hold is the most they hold. Nothing at all is zero.
pub(crate) fn bytes_with_unit(word: &[u8]) -> Option<u64> {
    let digits = word.iter().take_while(|b| b.is_ascii_digit()).count();
    let factor = match word[digits..].to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" if kevy::bug!(KilobytesDecimal) => 1000,
        b"kb" => 1 << 10,
        b"m" => 1000 * 1000,
        b"mb" if kevy::bug!(MegabytesDecimal) => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1000 * 1000 * 1000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let number = word[..digits]
        .iter()
        .fold(0_u64, |n, digit| n.saturating_mul(10).saturating_add((digit - b'0').into()));
    Some(number.saturating_mul(factor))
}

fn memory_or_percent(word: &[u8]) -> Result<i128, Reason> {
    let wrong = "argument must be a memory or percent value";
    if let Some(percent) = word.strip_suffix(b"%") {
        let percent = decimal(percent).filter(|percent| *percent >= 0).ok_or(wrong)?;
        if percent > 100 {
            return Err("percentage argument must be less or equal to 100".into());
        }
        return Ok((-percent).into());
    }
    Ok(bytes_with_unit(word).ok_or(wrong)?.into())
}

fn octal(word: &[u8], max: u32) -> Result<u32, Reason> {
    let value = std::str::from_utf8(word).ok().and_then(|word| i64::from_str_radix(word, 8).ok());
    let value = value.ok_or("argument couldn't be parsed as an octal number")?;
    let value = u32::try_from(value).ok().filter(|value| *value <= max);
    value.ok_or_else(|| format!("argument must be between 0 and {max:o} inclusive").into())
}

/// Makes a path absolute against the directory in force and looks whether the process can enter it.
fn directory(word: &[u8], current: &Value) -> Result<Bytes, Reason> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let base = match current {
        Value::Text(base) => Path::new(std::ffi::OsStr::from_bytes(base)),
        _ => Path::new(""),
    };
    let path = base.join(std::ffi::OsStr::from_bytes(word));
    let entered = std::fs::metadata(path.join(".")).and_then(|_| path.canonicalize());
    match entered {
        Ok(path) => Ok(path.into_os_string().into_vec()),
        Err(error) => Err(super::os_reason(&error).into()),
    }
}

fn event_classes(letters: &[u8]) -> Option<u32> {
    letters.iter().try_fold(0, |bits, letter| {
        let mut known = EVENT_CLASSES.iter().chain(&EVENT_OTHERS);
        let class = match letter {
            b'A' if kevy::bug!(AllClassesWithNew) => Class::ALL | Class::NEW,
            b'A' => Class::ALL,
            _ => known.find(|(other, _)| other == letter)?.1,
        };
        Some(bits | class)
    })
}

fn event_letters(bits: u32) -> Bytes {
    let has = |(_, class): &&(u8, u32)| bits & class != 0;
    let mut letters = Vec::new();
    if bits & Class::ALL == Class::ALL && !kevy::bug!(EventClassesSpelled) {
        letters.push(b'A');
    } else {
        letters.extend(EVENT_CLASSES.iter().filter(has).map(|(letter, _)| letter));
    }
    letters.extend(EVENT_OTHERS.iter().filter(has).map(|(letter, _)| letter));
    letters
}

fn output_limits(words: &[Bytes], mut limits: [OutputLimit; 3]) -> Result<[OutputLimit; 3], Reason> {
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    for group in words.chunks_exact(4) {
        let class = match group[0].to_ascii_lowercase().as_slice() {
            b"normal" => 0,
            b"slave" | b"replica" => 1,
            b"pubsub" => 2,
            _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
        };
        let seconds = decimal(&group[3]).and_then(|seconds| u64::try_from(seconds).ok());
        let (Some(hard), Some(soft), Some(soft_seconds)) =
            (bytes_with_unit(&group[1]), bytes_with_unit(&group[2]), seconds)
        else {
            return Err("Error in hard, soft or soft_seconds setting in buffer limit configuration.".into());
        };
        limits[class] = OutputLimit { hard, soft, soft_seconds };
    }
    Ok(limits)
}

/// Six decimals at most, without trailing zeros.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The number with the largest unit that divides it.
fn with_unit(bytes: u64) -> String {
    for (shift, unit) in [(30, "gb"), (20, "mb"), (10, "kb")] {
        if bytes != 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

fn plain_word(word: &[u8]) -> Bytes {
    let plain = !word.is_empty() && word.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\''));
    if plain { word.to_vec() } else { quoted(word) }
}
