//! COMMAND: the command table as clients see it.
//!
//! The table is shared with the server; what is judged is how it is shown, and which arguments of a command are its
//! keys. A server may have more commands than the table.

use std::collections::BTreeSet;

use kevy::command::CommandId;
use kevy::command::spec::{AclCategories, Begin, Command, Find, Flags, KeyFlags, KeySpec};
use kevy::command::syntax::{self, Argument};
use kevy::command::table::{TABLE, lookup, subcommand};
use kevy::resp::{Frame, Protocol};

use crate::config::pairs;
use crate::gates::{c_string, wrong_subcommand};
use crate::keyspace::SYNTAX;
use crate::{Answer, Ask, Bytes, Model, Want, glob, number};

fn top_level() -> impl Iterator<Item = &'static Command> {
    TABLE.iter().filter(|row| row.name_args() == 1)
}

/// By its full name, `container|subcommand`, in any case.
fn row_named(name: &[u8]) -> Option<&'static Command> {
    TABLE.iter().find(|row| row.name.as_bytes().eq_ignore_ascii_case(name))
}

/// A command with a subcommand, if it has any and one is given.
fn row_of(argv: &[Bytes]) -> Option<&'static Command> {
    let row = lookup(&argv[0])?;
    match argv.get(1) {
        Some(name) if row.subcommand_count > 0 => subcommand(row, name),
        _ => Some(row),
    }
}

fn statuses(names: impl Iterator<Item = &'static str>) -> Want {
    Want::Set(names.map(Want::Status).collect())
}

/// An array that has at least these elements.
fn at_least(wants: Vec<Want>, protocol: Protocol) -> Want {
    Want::such("an array with what the table has", move |frame| {
        let Frame::Array(items) = frame else { return false };
        wants.iter().all(|want| items.iter().any(|item| want.allows(item, protocol)))
    })
}

/// A map that has at least these entries.
fn map_of_at_least(entries: Vec<(&'static str, Want)>, protocol: Protocol) -> Want {
    Want::such("a map with what the table has", move |frame| {
        let Some(pairs) = pairs(frame) else { return false };
        entries.iter().all(|(name, want)| {
            let found = pairs.iter().find(|(key, _)| key.as_bytes() == Some(name.as_bytes()));
            found.is_some_and(|(_, value)| want.allows(value, protocol))
        })
    })
}

// --- COMMAND INFO -------------------------------------------------------------------------------------------------

fn info(row: &'static Command, protocol: Protocol) -> Want {
    let range = row.legacy_range();
    let category = |name: &'static str| {
        Want::such("a category", move |frame| *frame == Frame::simple(format!("@{name}")))
    };
    let subcommands = match row.subcommands() {
        [] => Want::Set(vec![]),
        rows => at_least(rows.iter().map(|row| info(row, protocol)).collect(), protocol),
    };
    Want::Array(vec![
        Want::bulk(row.name),
        Want::Int(row.arity.into()),
        statuses(row.flags.names()),
        Want::Int(range.first.into()),
        Want::Int(range.last.into()),
        Want::Int(range.step.into()),
        Want::Set(row.acl.names().map(category).collect()),
        Want::Set(row.tips.0.iter().map(|tip| Want::bulk(tip.name())).collect()),
        Want::Set(row.keys.iter().map(key_spec).collect()),
        subcommands,
    ])
}

fn map(entries: Vec<(&str, Want)>) -> Want {
    Want::Map(entries.into_iter().map(|(name, want)| (Want::bulk(name), want)).collect())
}

fn key_spec(spec: &KeySpec) -> Want {
    let of_type = |name: &str, facts: Vec<(&str, i64)>, word: Option<&str>| {
        let mut spec: Vec<_> = facts.into_iter().map(|(name, value)| (name, Want::Int(value))).collect();
        spec.extend(word.map(|word| ("keyword", Want::bulk(word))));
        map(vec![("type", Want::bulk(name)), ("spec", map(spec))])
    };
    let begin = match spec.begin {
        Begin::Index(index) => of_type("index", vec![("index", index.into())], None),
        Begin::Keyword { word, from } => of_type("keyword", vec![("startfrom", from.into())], Some(word)),
        Begin::Unknown => of_type("unknown", vec![], None),
    };
    let find = match spec.find {
        Find::Range { last, step, limit } => {
            let facts = vec![("lastkey", last.into()), ("keystep", step.into()), ("limit", limit.into())];
            of_type("range", facts, None)
        }
        Find::KeyNum { count, first, step } => {
            let facts =
                vec![("keynumidx", count.into()), ("firstkey", first.into()), ("keystep", step.into())];
            of_type("keynum", facts, None)
        }
        Find::Unknown => of_type("unknown", vec![], None),
    };
    let mut entries =
        vec![("flags", statuses(spec.flags.names())), ("begin_search", begin), ("find_keys", find)];
    if !spec.notes.is_empty() {
        entries.push(("notes", words()));
    }
    map(entries)
}

pub fn command(_: &mut Model, ask: &Ask) -> Answer {
    Ok(at_least(top_level().map(|row| info(row, ask.protocol)).collect(), ask.protocol))
}

pub fn command_count(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::IntBetween(top_level().count() as i64, i64::MAX))
}

/// For names that are not in the table the server may know more.
pub fn command_info(m: &mut Model, ask: &Ask) -> Answer {
    if ask.argc() == 2 {
        return command(m, ask);
    }
    let about = |name: &Bytes| match row_named(name) {
        Some(row) => info(row, ask.protocol),
        None => Want::OneOf(vec![
            Want::NilArray,
            Want::Nil,
            Want::such("facts", |frame| frame.elements().is_some()),
        ]),
    };
    Ok(Want::Array(ask.argv[2..].iter().map(about).collect()))
}

// --- COMMAND DOCS -------------------------------------------------------------------------------------------------

/// What is said in words is up to the server.
fn words() -> Want {
    Want::such("a text", |frame| matches!(frame, Frame::Bulk(text) if !text.is_empty()))
}

fn docs(row: &'static Command, protocol: Protocol) -> Want {
    let docs = row.docs;
    let mut entries = vec![
        ("summary", words()),
        ("since", Want::bulk(docs.since)),
        ("group", Want::bulk(row.group.name())),
    ];
    if !docs.complexity.is_empty() {
        entries.push(("complexity", words()));
    }
    if let Some((since, replacement)) = docs.deprecated {
        entries.push(("deprecated_since", Want::bulk(since)));
        entries.push(("replaced_by", Want::bulk(replacement)));
    }
    let flags = docs.deprecated.map(|_| "deprecated").into_iter().chain(docs.syscmd.then_some("syscmd"));
    if flags.clone().next().is_some() {
        entries.push(("doc_flags", statuses(flags)));
    }
    if !docs.history.is_empty() {
        let change = |(version, _): &(&str, &str)| Want::Array(vec![Want::bulk(version), words()]);
        entries.push(("history", Want::Set(docs.history.iter().map(change).collect())));
    }
    let arguments = syntax::parse(row.syntax);
    if !arguments.is_empty() {
        entries.push(("arguments", Want::Array(arguments.iter().map(argument).collect())));
    }
    if row.subcommand_count == 0 {
        return map(entries);
    }
    let subcommands = row.subcommands().iter().map(|row| (row.name, self::docs(row, protocol)));
    entries.push(("subcommands", map_of_at_least(subcommands.collect(), protocol)));
    map(entries)
}

fn argument(argument: &Argument) -> Want {
    let mut entries = vec![("name", Want::bulk(&argument.name)), ("type", Want::bulk(argument.kind.name()))];
    let texts = [
        ("display_text", argument.display_text()),
        ("token", argument.token),
        ("since", argument.since),
        ("deprecated_since", argument.deprecated_since),
    ];
    entries.extend(texts.into_iter().filter_map(|(name, text)| Some((name, Want::bulk(text?)))));
    entries.extend(argument.key_spec.map(|index| ("key_spec_index", Want::Int(index.into()))));
    let flags = [
        argument.optional.then_some("optional"),
        argument.multiple.then_some("multiple"),
        argument.multiple_token.then_some("multiple_token"),
    ];
    if flags.iter().any(Option::is_some) {
        entries.push(("flags", statuses(flags.into_iter().flatten())));
    }
    if !argument.arguments.is_empty() {
        entries.push(("arguments", Want::Array(argument.arguments.iter().map(self::argument).collect())));
    }
    map(entries)
}

/// Names that nobody knows are left out.
pub fn command_docs(_: &mut Model, ask: &Ask) -> Answer {
    let protocol = ask.protocol;
    if ask.argc() == 2 {
        let all = top_level().map(|row| (row.name, docs(row, protocol)));
        return Ok(map_of_at_least(all.collect(), protocol));
    }
    let names = &ask.argv[2..];
    let rows: Vec<_> = names.iter().filter_map(|name| row_named(name)).collect();
    let entries: Vec<_> = rows.iter().map(|row| (row.name, docs(row, protocol))).collect();
    if rows.len() == names.len() {
        return Ok(map(entries));
    }
    Ok(map_of_at_least(entries, protocol))
}

// --- COMMAND LIST -------------------------------------------------------------------------------------------------

/// COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern], subcommands included.
pub fn command_list(_: &mut Model, ask: &Ask) -> Answer {
    if ask.argc() != 2 && (ask.argc() != 5 || !ask.is(2, "FILTERBY")) {
        return Err(SYNTAX.into());
    }
    let pattern = ask.is(3, "PATTERN").then(|| ask.arg(4).to_ascii_lowercase());
    let category = |row: &Command| {
        let named = AclCategories::NAMES.iter().find(|(_, name)| ask.is(4, name));
        named.is_some_and(|&(category, _)| row.acl.contains(category))
    };
    let passes = |row: &&Command| match &pattern {
        _ if ask.argc() == 2 => true,
        Some(pattern) => glob::matches(pattern, row.name.as_bytes()),
        None => ask.is(3, "ACLCAT") && category(row),
    };
    if ask.argc() == 5 && pattern.is_none() && !ask.is(3, "ACLCAT") && !ask.is(3, "MODULE") {
        return Err(SYNTAX.into());
    }
    let wanted: BTreeSet<&'static str> = TABLE.iter().filter(passes).map(|row| row.name).collect();
    Ok(Want::such("the names that pass the filter", move |frame| {
        let Frame::Array(items) = frame else { return false };
        let names: Vec<&[u8]> = items.iter().filter_map(Frame::as_bytes).collect();
        let legal = |name: &&[u8]| match row_named(name) {
            Some(row) => wanted.contains(row.name),
            None => pattern.as_ref().is_none_or(|pattern| glob::matches(pattern, name)),
        };
        let distinct: BTreeSet<_> = names.iter().collect();
        distinct.len() == items.len()
            && names.iter().all(legal)
            && wanted.iter().all(|name| distinct.contains(&name.as_bytes()))
    }))
}

/// ACL CAT [category]: the categories, or the commands of one.
pub fn acl_cat(_: &mut Model, ask: &Ask) -> Answer {
    let categories = AclCategories::NAMES;
    match ask.argc() {
        2 => return Ok(Want::Array(categories.iter().map(|(_, name)| Want::bulk(name)).collect())),
        3 => {}
        _ => return Err(wrong_subcommand(ask)),
    }
    let named = categories.iter().find(|(_, name)| ask.is(2, name));
    let &(category, _) =
        named.ok_or_else(|| format!("ERR Unknown category '{}'", c_string(ask.arg(2), 128)))?;
    let (inside, outside): (Vec<_>, Vec<_>) = TABLE.iter().partition(|row| row.acl.contains(category));
    Ok(Want::such("the commands of the category", move |frame| {
        let Frame::Array(items) = frame else { return false };
        let has = |row: &&Command| items.iter().any(|item| item.as_bytes() == Some(row.name.as_bytes()));
        inside.iter().all(&has) && !outside.iter().any(has)
    }))
}

// --- COMMAND GETKEYS ----------------------------------------------------------------------------------------------

/// The keys of a command that is given as an argument, with what is done to each.
fn keys_of(argv: &[Bytes]) -> Result<Vec<(Bytes, KeyFlags)>, String> {
    let row = row_of(argv).ok_or("ERR Invalid command specified")?;
    if row.keys.iter().all(|spec| spec.flags.contains(KeyFlags::NOT_KEY)) {
        return Err("ERR The command has no key arguments".into());
    }
    if !row.accepts_arity(argv.len()) {
        return Err("ERR Invalid number of arguments specified for command".into());
    }
    match places(row, argv) {
        Some(places) if !places.is_empty() => {
            Ok(places.into_iter().map(|(place, flags)| (argv[place].clone(), flags)).collect())
        }
        _ if row.flags.contains(Flags::NO_MANDATORY_KEYS) => Ok(vec![]),
        _ => Err("ERR Invalid arguments specified for command".into()),
    }
}

/// Where the keys are; `None` if the arguments contradict themselves.
fn places(row: &Command, argv: &[Bytes]) -> Option<Vec<(usize, KeyFlags)>> {
    let has = |place: usize, word: &str| argv[place].eq_ignore_ascii_case(word.as_bytes());
    let read_and_written = KeyFlags::of(&[KeyFlags::RW, KeyFlags::ACCESS, KeyFlags::UPDATE]);
    match row.id {
        CommandId::Set => {
            let reads = (3..argv.len()).any(|place| has(place, "GET"));
            let written = KeyFlags::OW.with(KeyFlags::UPDATE);
            Some(vec![(1, if reads { read_and_written } else { written })])
        }
        CommandId::BitField => {
            // All GET reads only.
            let mut at = 2;
            while at < argv.len() {
                at += match argv.len() - at - 1 {
                    1.. if has(at, "OVERFLOW") => 2,
                    2.. if has(at, "GET") => 3,
                    _ => return Some(vec![(1, read_and_written)]),
                };
            }
            Some(vec![(1, KeyFlags::RO.with(KeyFlags::ACCESS))])
        }
        CommandId::Sort | CommandId::SortRo => {
            let mut keys = vec![(1, KeyFlags::RO.with(KeyFlags::ACCESS))];
            let stored = stored_by_sort(argv).filter(|_| row.id == CommandId::Sort);
            keys.extend(stored.map(|place| (place, KeyFlags::OW.with(KeyFlags::UPDATE))));
            Some(keys)
        }
        _ => {
            let specs = row.keys.iter().filter(|spec| !spec.flags.contains(KeyFlags::NOT_KEY));
            let keys: Option<Vec<_>> = specs
                .map(|spec| Some(places_of_spec(spec, argv)?.into_iter().map(|place| (place, spec.flags))))
                .collect();
            match keys {
                Some(keys) => Some(keys.into_iter().flatten().collect()),
                None => places_by_beginning_of_count(row, argv),
            }
        }
    }
}

/// A count that is no number, or too large a one, counts as what it begins with, cut to 32 bits: `1.5` is 1. The counted
/// keys come before the one that is stored at, and nothing is said of what is done to them.
fn places_by_beginning_of_count(row: &Command, argv: &[Bytes]) -> Option<Vec<(usize, KeyFlags)>> {
    let begin = |spec: &KeySpec| match spec.begin {
        Begin::Index(index) => Some(index as usize),
        _ => None,
    };
    let (count, first) = row.keys.iter().find_map(|spec| match spec.find {
        Find::KeyNum { count, first, .. } => {
            Some((begin(spec)? + count as usize, begin(spec)? + first as usize))
        }
        _ => None,
    })?;
    let text = String::from_utf8_lossy(argv.get(count)?).into_owned();
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = &digits[..digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len())];
    let negative = text.starts_with('-');
    let largest = if negative { i64::MIN } else { i64::MAX };
    let number: i64 = match format!("{}{digits}", if negative { "-" } else { "" }).parse() {
        Ok(number) => number,
        Err(_) if digits.is_empty() => 0,
        Err(_) => largest,
    };
    let number = usize::try_from(number as i32).ok()?;
    let stored =
        row.keys.iter().filter(|spec| matches!(spec.find, Find::Range { last: 0, .. })).filter_map(begin);
    let places = (first..first + number).chain(stored);
    (number > 0 && first + number <= argv.len())
        .then(|| places.map(|place| (place, KeyFlags::default())).collect())
}

/// The last STORE counts; arguments of other options are no STORE.
fn stored_by_sort(argv: &[Bytes]) -> Option<usize> {
    let mut found = None;
    let mut at = 2;
    while at < argv.len() {
        let word = argv[at].to_ascii_uppercase();
        at += match word.as_slice() {
            b"LIMIT" => 3,
            b"GET" | b"BY" => 2,
            b"STORE" if at + 1 < argv.len() => {
                found = Some(at + 1);
                1
            }
            _ => 1,
        };
    }
    found
}

fn places_of_spec(spec: &KeySpec, argv: &[Bytes]) -> Option<Vec<usize>> {
    let begin = match spec.begin {
        Begin::Index(index) => index as usize,
        Begin::Keyword { word, from } => {
            let is = |place: &usize| argv[*place].eq_ignore_ascii_case(word.as_bytes());
            let found = match usize::try_from(from) {
                Ok(from) => (from..argv.len()).find(is),
                Err(_) => (1..=argv.len().checked_sub(from.unsigned_abs() as usize)?).rev().find(is),
            };
            match found {
                Some(place) => place + 1,
                None => return Some(vec![]),
            }
        }
        Begin::Unknown => return None,
    };
    let (first, last, step) = match spec.find {
        Find::Range { last, step, .. } if last >= 0 => (begin, begin + last as usize, step),
        Find::Range { last, step, limit } => {
            let all = argv.len().checked_sub(last.unsigned_abs() as usize)?;
            let last =
                if limit > 1 { begin + argv.len().checked_sub(begin)? / limit as usize - 1 } else { all };
            (begin, last, step)
        }
        Find::KeyNum { count, first, step } => {
            let count = number::int_from(argv.get(begin + count as usize)?, 1..=argv.len() as i64)? as usize;
            let first = begin + first as usize;
            (first, first + (count - 1) * step as usize, step)
        }
        Find::Unknown => return None,
    };
    (first <= last && last < argv.len()).then(|| (first..=last).step_by(step as usize).collect())
}

pub fn command_getkeys(_: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::bulks(keys_of(&ask.argv[2..])?.into_iter().map(|(key, _)| key)))
}

pub fn command_getkeysandflags(_: &mut Model, ask: &Ask) -> Answer {
    let with_flags =
        |(key, flags): (Bytes, KeyFlags)| Want::Array(vec![Want::Bulk(key), statuses(flags.names())]);
    Ok(Want::Array(keys_of(&ask.argv[2..])?.into_iter().map(with_flags).collect()))
}

pub fn command_help(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::help())
}
