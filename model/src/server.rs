//! The server: databases as wholes, and what it tells about itself.
//!
//! Most of the latter is nobody's contract but in its form. What follows from the data and the sessions is judged.

use kevy::resp::{Frame, Protocol};

use crate::config::pairs;
use crate::gates::{c_string, wrong_subcommand};
use crate::keyspace::{NOT_INTEGER, SYNTAX};
use crate::{Answer, Ask, Bytes, Model, Value, Want, number};

// --- Databases ----------------------------------------------------------------------------------------------------

/// Keys whose time is up count until somebody looks at them.
/// Keys whose deadline has passed count until somebody notices, and who notices when is open.
pub fn dbsize(m: &mut Model, ask: &Ask) -> Answer {
    let all = m.dbs[ask.db].len();
    let live = m.dbs[ask.db].keys().filter(|key| !m.is_expired(ask.db, key, ask.now)).count();
    Ok(Want::IntBetween(live as i64, all as i64))
}

fn sync_or_async(ask: &Ask) -> Result<(), String> {
    match ask.argc() {
        1 => Ok(()),
        2 if ask.is(1, "SYNC") || ask.is(1, "ASYNC") => Ok(()),
        _ => Err(SYNTAX.into()),
    }
}

pub fn flushdb(m: &mut Model, ask: &Ask) -> Answer {
    sync_or_async(ask)?;
    m.flush(ask.db);
    Ok(Want::ok())
}

pub fn flushall(m: &mut Model, ask: &Ask) -> Answer {
    sync_or_async(ask)?;
    (0..m.dbs.len()).for_each(|db| m.flush(db));
    Ok(Want::ok())
}

/// SWAPDB a b: sessions stay at their numbers, and see the keys of the other.
pub fn swapdb(m: &mut Model, ask: &Ask) -> Answer {
    let index = |at, which| {
        let index = number::int_from(ask.arg(at), i32::MIN.into()..=i32::MAX.into());
        index.ok_or_else(|| format!("ERR invalid {which} DB index"))
    };
    let (a, b) = (index(1, "first")?, index(2, "second")?);
    let (a, b) = (m.db_index(a)?, m.db_index(b)?);
    if a != b {
        m.swap_databases(a, b, ask.now);
    }
    Ok(Want::ok())
}

impl Model {
    /// No events; but whoever watches a key that was there is told. That an expired key goes is no change.
    fn flush(&mut self, db: usize) {
        let keys = std::mem::take(&mut self.dbs[db]);
        for session in self.sessions.values_mut() {
            for ((_, key), expired) in session.watching.iter_mut().filter(|((of, _), _)| *of == db) {
                if keys.contains_key(key) {
                    session.dirty |= !*expired;
                    *expired = false;
                }
            }
        }
        self.iterations.forget_all();
    }

    fn swap_databases(&mut self, a: usize, b: usize, now: i64) {
        for (here, there) in [(a, b), (b, a)] {
            let was_there = |m: &Model, key: &Bytes| m.dbs[here].contains_key(key);
            let comes = |m: &Model, key: &Bytes| m.dbs[there].contains_key(key);
            let conns: Vec<usize> = self.sessions.keys().copied().collect();
            for conn in conns {
                let mut watching = self.session(conn).watching.clone();
                let mut dirty = false;
                for ((_, key), expired) in watching.iter_mut().filter(|((of, _), _)| *of == here) {
                    match (was_there(self, key), comes(self, key)) {
                        (false, false) => {}
                        (_, true) if self.is_expired(there, key, now) => {
                            // An expired key for none, or for another, is no change.
                            dirty |= was_there(self, key) && !*expired;
                            *expired |= !was_there(self, key);
                        }
                        (_, false) if *expired => *expired = false,
                        _ => dirty = true,
                    }
                }
                let session = self.session(conn);
                session.watching = watching;
                session.dirty |= dirty;
            }
        }
        self.dbs.swap(a, b);
        self.iterations.forget_all();
        for db in [a, b] {
            for key in self.dbs[db].keys().cloned().collect::<Vec<_>>() {
                self.offer(db, &key);
            }
        }
    }
}

// --- INFO ---------------------------------------------------------------------------------------------------------

/// A text: verbatim in RESP3.
fn text_of(frame: &Frame, protocol: Protocol) -> Option<&[u8]> {
    match frame {
        Frame::Verbatim(kind, text) if protocol == Protocol::Resp3 && kind == b"txt" => Some(text),
        Frame::Bulk(text) if protocol == Protocol::Resp2 => Some(text),
        _ => None,
    }
}

fn text(words: &'static str, ask: &Ask, condition: impl Fn(&[u8]) -> bool + 'static) -> Want {
    let protocol = ask.protocol;
    Want::such(words, move |frame| text_of(frame, protocol).is_some_and(&condition))
}

/// INFO [section …]: lines that are a heading or `name:value`, and among them right what the model knows.
pub fn info(m: &mut Model, ask: &Ask) -> Answer {
    let dbs = m.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty());
    let keyspace: Vec<(String, String)> = dbs
        .map(|(index, db)| {
            let expires = db.values().filter(|entry| entry.deadline.is_some()).count();
            (format!("db{index}"), format!("keys={},expires={expires},", db.len()))
        })
        .collect();
    let channels: std::collections::BTreeSet<_> =
        m.sessions.values().flat_map(|s| s.channels.clone()).collect();
    let patterns: std::collections::BTreeSet<_> =
        m.sessions.values().flat_map(|s| s.patterns.clone()).collect();
    let facts = [
        ("pubsub_channels", channels.len()),
        ("pubsub_patterns", patterns.len()),
        ("blocked_clients", m.sessions.values().filter(|s| s.blocked.is_some()).count()),
    ];
    let expired =
        m.dbs.iter().enumerate().any(|(index, db)| db.keys().any(|key| m.is_expired(index, key, ask.now)));
    let wants_keyspace = ask.argc() == 1
        || (1..ask.argc())
            .any(|at| ["keyspace", "default", "all", "everything"].iter().any(|section| ask.is(at, section)));
    Ok(text("sections of name:value", ask, move |text| {
        let text = String::from_utf8_lossy(text);
        let lines: Vec<&str> = text.split("\r\n").collect();
        let in_form = |line: &&str| line.is_empty() || line.starts_with("# ") || line.contains(':');
        let value = |name: &str| {
            lines
                .iter()
                .find_map(|line| line.split_once(':').filter(|(of, _)| *of == name).map(|(_, value)| value))
        };
        let told: Vec<&&str> =
            lines.iter().filter(|line| line.starts_with("db") && line.contains(":keys=")).collect();
        lines.iter().all(in_form)
            && lines.contains(&"# Keyspace") == wants_keyspace
            && facts.iter().all(|(name, fact)| value(name).is_none_or(|value| value == fact.to_string()))
            && (expired || told.len() == if wants_keyspace { keyspace.len() } else { 0 })
            // Whether expired keys still count is open, as with DBSIZE.
            && (!wants_keyspace
                || expired
                || keyspace
                    .iter()
                    .all(|(db, facts)| value(db).is_some_and(|value| value.starts_with(facts.as_str()))))
    }))
}

/// Seconds and microseconds.
pub fn time(m: &mut Model, ask: &Ask) -> Answer {
    let (from, to) = (ask.now - m.slack, ask.now + m.slack);
    Ok(Want::such("the present, in seconds and microseconds", move |frame| {
        let Frame::Array(parts) = frame else { return false };
        let [Frame::Bulk(seconds), Frame::Bulk(micros)] = parts.as_slice() else { return false };
        let (Some(seconds), Some(micros)) = (number::int(seconds), number::int_from(micros, 0..=999_999))
        else {
            return false;
        };
        (from..=to).contains(&(seconds * 1000 + micros / 1000))
    }))
}

/// No replicas.
pub fn role(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::Array(vec![Want::bulk("master"), Want::IntBetween(0, i64::MAX), Want::Array(vec![])]))
}

pub fn lastsave(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::IntBetween(0, i64::MAX))
}

/// Nothing is said of a server that goes: a runner must not ask.
pub fn shutdown(_: &mut Model, ask: &Ask) -> Answer {
    let options = ["NOSAVE", "SAVE", "NOW", "FORCE", "ABORT"];
    let known = |at| options.iter().any(|option| ask.is(at, option));
    let has = |word| (1..ask.argc()).any(|at| ask.is(at, word));
    if !(1..ask.argc()).all(known) || has("ABORT") && ask.argc() > 2 || has("SAVE") && has("NOSAVE") {
        return Err(SYNTAX.into());
    }
    if has("ABORT") {
        return Err("ERR No shutdown in progress.".into());
    }
    Ok(Want::Unspecified)
}

/// What is shown from then on is not judged: a runner must not ask.
pub fn monitor(_: &mut Model, ask: &Ask) -> Answer {
    if !ask.may_block {
        return Err("ERR MONITOR isn't allowed for DENY BLOCKING client".into());
    }
    Ok(Want::ok())
}

/// LOLWUT [VERSION n] [argument …]: art, and who made it.
pub fn lolwut(_: &mut Model, ask: &Ask) -> Answer {
    if ask.is(1, "VERSION") && ask.argc() > 2 {
        number::int(ask.arg(2)).ok_or(NOT_INTEGER)?;
        if ask.argc() > 3 {
            // What the arguments of old versions mean is up to the artist.
            let art = text("a text", ask, |_| true);
            return Ok(Want::OneOf(vec![art, Want::Error(NOT_INTEGER.into())]));
        }
    }
    Ok(text("a text", ask, |text| !text.is_empty()))
}

// --- SLOWLOG and LATENCY ------------------------------------------------------------------------------------------

/// An entry: number, time, duration, arguments, client's address and name.
fn is_slow_entry(frame: &Frame) -> bool {
    let Frame::Array(parts) = frame else { return false };
    matches!(
        parts.as_slice(),
        [Frame::Int(_), Frame::Int(_), Frame::Int(_), Frame::Array(argv), Frame::Bulk(_), Frame::Bulk(_)]
            if !argv.is_empty() && argv.iter().all(|arg| matches!(arg, Frame::Bulk(_)))
    )
}

/// SLOWLOG GET [count]: the latest entries, all if the count is -1.
pub fn slowlog_get(m: &mut Model, ask: &Ask) -> Answer {
    if ask.argc() > 3 {
        return Err(wrong_subcommand(ask));
    }
    let mut count = 10;
    if let Some(text) = ask.argv.get(2) {
        let given = number::int_from(text, -1..=i64::MAX);
        count = given.ok_or("ERR count should be greater than or equal to -1")?;
    }
    let most = if count == -1 { m.number("slowlog-max-len") } else { count } as usize;
    Ok(Want::such(
        "entries of the slow log",
        move |frame| matches!(frame, Frame::Array(entries) if entries.len() <= most && entries.iter().all(is_slow_entry)),
    ))
}

pub fn slowlog_len(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::IntBetween(0, i64::MAX))
}

pub fn slowlog_reset(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::ok())
}

pub fn slowlog_help(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::help())
}

pub fn latency_doctor(_: &mut Model, ask: &Ask) -> Answer {
    Ok(text("advice", ask, |text| !text.is_empty()))
}

/// A graph of bars, if there is anything to draw.
pub fn latency_graph(_: &mut Model, ask: &Ask) -> Answer {
    let event = c_string(ask.arg(2), usize::MAX);
    let nothing = format!("ERR No samples available for event '{event}'");
    Ok(Want::OneOf(vec![Want::Error(nothing), text("a graph", ask, |text| !text.is_empty())]))
}

/// LATENCY HISTOGRAM [command …]: of commands that have been called, and were asked for.
pub fn latency_histogram(_: &mut Model, ask: &Ask) -> Answer {
    let asked: Vec<Bytes> = ask.argv[2..].iter().map(|name| name.to_ascii_lowercase()).collect();
    let of_asked = move |name: &[u8]| {
        let container = name.split(|&byte| byte == b'|').next().unwrap_or_default();
        asked.is_empty() || asked.iter().any(|asked| asked == name || asked == container)
    };
    Ok(Want::such("a map of calls and buckets by command", move |frame| {
        let Some(commands) = pairs(frame) else { return false };
        commands.iter().all(|(name, facts)| {
            let facts = pairs(facts).unwrap_or_default();
            let names: Vec<_> = facts.iter().filter_map(|(name, _)| name.as_bytes()).collect();
            name.as_bytes().is_some_and(&of_asked) && names == [&b"calls"[..], b"histogram_usec"]
        })
    }))
}

fn rows_of(columns: usize, words: &'static str) -> Want {
    Want::such(words, move |frame| {
        let is_row = |row: &Frame| matches!(row, Frame::Array(cells) if cells.len() == columns);
        matches!(frame, Frame::Array(rows) if rows.iter().all(is_row))
    })
}

pub fn latency_history(_: &mut Model, _: &Ask) -> Answer {
    Ok(rows_of(2, "times and latencies"))
}

pub fn latency_latest(_: &mut Model, _: &Ask) -> Answer {
    Ok(rows_of(4, "events with time, latest and greatest latency"))
}

pub fn latency_reset(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::IntBetween(0, i64::MAX))
}

pub fn latency_help(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::help())
}

// --- MEMORY -------------------------------------------------------------------------------------------------------

/// MEMORY USAGE key [SAMPLES n]
pub fn memory_usage(m: &mut Model, ask: &Ask) -> Answer {
    let mut at = 3;
    while at < ask.argc() {
        if !ask.is(at, "SAMPLES") || at + 1 == ask.argc() {
            return Err(SYNTAX.into());
        }
        if number::int(ask.arg(at + 1)).ok_or(NOT_INTEGER)? < 0 {
            return Err(SYNTAX.into());
        }
        at += 2;
    }
    let size = Want::IntBetween(1, i64::MAX);
    let key = ask.arg(2);
    Ok(match m.dbs[ask.db].contains_key(key) {
        // Redis looks at a key whose time is up without noticing.
        true if m.is_expired(ask.db, key, ask.now) => Want::OneOf(vec![size, Want::Nil]),
        true => size,
        false => Want::Nil,
    })
}

pub fn memory_stats(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::such("a map with names like peak.allocated", |frame| {
        let names = ["peak.allocated", "total.allocated", "keys.count", "dataset.bytes"];
        pairs(frame).is_some_and(|pairs| {
            names.iter().all(|name| pairs.iter().any(|(key, _)| key.as_bytes() == Some(name.as_bytes())))
        })
    }))
}

pub fn memory_doctor(_: &mut Model, ask: &Ask) -> Answer {
    Ok(text("advice", ask, |text| !text.is_empty()))
}

pub fn memory_purge(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::ok())
}

pub fn memory_malloc_stats(_: &mut Model, ask: &Ask) -> Answer {
    Ok(text("what the allocator tells", ask, |_| true))
}

pub fn memory_help(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::help())
}

// --- MODULE, FUNCTION, DEBUG --------------------------------------------------------------------------------------

/// There is one user.
pub fn acl_users(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::Array(vec![Want::bulk("default")]))
}

pub fn acl_whoami(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::bulk("default"))
}

pub fn acl_help(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::help())
}

pub fn module_list(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::such(
        "an array of maps",
        |frame| matches!(frame, Frame::Array(modules) if modules.iter().all(|module| pairs(module).is_some())),
    ))
}

pub fn module_help(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::help())
}

/// DEBUG subcommand …: those whose answer is determined. DIGEST-VALUE and OBJECT do not notice that a key has expired.
pub fn debug(m: &mut Model, ask: &Ask) -> Answer {
    let has =
        |word: &str, counts: std::ops::RangeInclusive<usize>| ask.is(1, word) && counts.contains(&ask.argc());
    if has("DIGEST-VALUE", 2..=usize::MAX) {
        let digests = ask.argv[2..].iter().map(|key| match m.dbs[ask.db].contains_key(key) {
            // Somebody may have noticed.
            true if m.is_expired(ask.db, key, ask.now) => Want::OneOf(vec![digest(true), digest(false)]),
            there => digest(there),
        });
        return Ok(Want::Array(digests.collect()));
    }
    if has("DIGEST", 2..=2) || has("SET-ACTIVE-EXPIRE", 3..=3) || has("RELOAD", 2..=usize::MAX) {
        return Ok(Want::Unspecified);
    }
    if has("LISTPACK", 3..=3) {
        let done = Want::Status("Listpack structure printed on stdout");
        let refused = Want::Error("ERR Not a listpack encoded object.".into());
        return if is_there(m, ask, ask.arg(2)) {
            Ok(Want::OneOf(vec![done, refused]))
        } else {
            Err(NO_KEY.into())
        };
    }
    if has("OBJECT", 3..=3) {
        return if m.dbs[ask.db].contains_key(ask.arg(2)) {
            Ok(Want::Unspecified)
        } else {
            Err(NO_KEY.into())
        };
    }
    if has("POPULATE", 3..=5) {
        return populate(m, ask);
    }
    if has("PROTOCOL", 3..=3) {
        return protocol_example(ask.arg(2));
    }
    if has("ERROR", 3..=3) {
        return Err(number::latin1(ask.arg(2).iter().copied()));
    }
    if has("QUICKLIST-PACKED-THRESHOLD", 3..=3) {
        // Only asked for with what is no size.
        return Err("ERR argument must be a memory value bigger than 1 and smaller than 4gb".into());
    }
    if has("SLEEP", 3..=3) || has("CHANGE-REPL-ID", 2..=2) {
        return Ok(Want::ok());
    }
    if has("HELP", 2..=2) { Ok(Want::help()) } else { Err(wrong_subcommand(ask)) }
}

const NO_KEY: &str = "ERR no such key";

fn is_there(m: &Model, ask: &Ask, key: &[u8]) -> bool {
    m.dbs[ask.db].contains_key(key) && !m.is_expired(ask.db, key, ask.now)
}

/// Of what, is for the data themselves to show; of nothing it is zero.
fn digest(there: bool) -> Want {
    Want::such("a digest, zero if nothing is there", move |frame| {
        let Frame::Simple(digits) = frame else { return false };
        digits.len() == 40
            && digits.iter().all(u8::is_ascii_hexdigit)
            && digits.iter().any(|&digit| digit != b'0') == there
    })
}

/// DEBUG POPULATE count [prefix [size]]
fn populate(m: &mut Model, ask: &Ask) -> Answer {
    let positive = |text: &[u8]| {
        let number = number::int(text).filter(|number| *number >= 0);
        number.ok_or("ERR value is out of range, must be positive")
    };
    let count = positive(ask.arg(2))?;
    let prefix = ask.argv.get(3).cloned().unwrap_or(b"key".to_vec());
    let size = ask.argv.get(4).map_or(Ok(0), |size| positive(size))? as usize;
    for number in 0..count {
        let key = [&prefix[..], b":", number.to_string().as_bytes()].concat();
        if m.exists(ask, &key) {
            continue;
        }
        let mut value = format!("value:{number}").into_bytes();
        if size > 0 {
            value.resize(size, 0);
        }
        m.put(ask, &key, Value::String(value));
        m.touch(ask.db, &key);
    }
    Ok(Want::ok())
}

/// DEBUG PROTOCOL: an example of each kind of reply.
fn protocol_example(name: &[u8]) -> Answer {
    let ints = || (0..3).map(Want::Int).collect();
    Ok(match &name.to_ascii_lowercase()[..] {
        b"string" => Want::bulk("Hello World"),
        b"integer" => Want::Int(12345),
        #[allow(clippy::approx_constant)]
        b"double" => Want::Double(3.141),
        b"bignum" => Want::such("a big number", |frame| {
            String::from_utf8_lossy(&frame.to_bytes()).contains("1234567999999999999999999999999999999")
        }),
        b"null" => Want::Nil,
        b"array" => Want::Array(ints()),
        b"set" => Want::Set(ints()),
        b"map" => Want::Map((0..3).map(|number| (Want::Int(number), Want::Bool(number == 1))).collect()),
        b"true" => Want::Bool(true),
        b"false" => Want::Bool(false),
        b"verbatim" => Want::such(
            "a text",
            |frame| matches!(frame, Frame::Verbatim(_, text) | Frame::Bulk(text) if text == b"This is a verbatim\nstring"),
        ),
        b"attrib" | b"push" => Want::Unspecified,
        _ => {
            return Err("ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
                .into());
        }
    })
}

/// FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]: there are none.
pub fn function_list(_: &mut Model, ask: &Ask) -> Answer {
    let (mut named, mut with_code) = (false, false);
    let mut at = 2;
    while at < ask.argc() {
        if !with_code && ask.is(at, "WITHCODE") {
            with_code = true;
        } else if !named && ask.is(at, "LIBRARYNAME") {
            if at + 1 == ask.argc() {
                return Err("ERR library name argument was not given".into());
            }
            named = true;
            at += 1;
        } else {
            return Err(format!("ERR Unknown argument {}", c_string(ask.arg(at), usize::MAX)));
        }
        at += 1;
    }
    Ok(Want::Array(vec![]))
}

pub fn function_flush(_: &mut Model, ask: &Ask) -> Answer {
    match ask.argc() {
        2 => Ok(Want::ok()),
        3 if ask.is(2, "SYNC") || ask.is(2, "ASYNC") => Ok(Want::ok()),
        3 => Err("ERR FUNCTION FLUSH only supports SYNC|ASYNC option".into()),
        _ => Err(wrong_subcommand(ask)),
    }
}

/// A payload without functions: two bytes of a version, eight of a checksum.
pub fn function_dump(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::such("an empty payload", |frame| matches!(frame, Frame::Bulk(payload) if payload.len() == 10)))
}

pub fn function_stats(_: &mut Model, _: &Ask) -> Answer {
    let counts = ["libraries_count", "functions_count"].map(|name| (Want::bulk(name), Want::Int(0)));
    Ok(Want::Map(vec![
        (Want::bulk("running_script"), Want::Nil),
        (Want::bulk("engines"), Want::Map(vec![(Want::bulk("LUA"), Want::Map(counts.into()))])),
    ]))
}

pub fn function_help(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::help())
}
