//! SCAN, HSCAN, SSCAN, ZSCAN: pages, and the guarantee about them.
//!
//! A cursor and the size of a page mean nothing that a client could rely on. What it can rely on: an iteration (from
//! cursor 0 until cursor 0) returns every element that is there from its beginning to its end and passes the filters;
//! elements that come or go meanwhile may or may not be returned; any may be returned more than once; none that is not
//! there is ever returned.
//!
//! So the model remembers for every cursor handed out what the iteration still owes.

use std::collections::{BTreeMap, BTreeSet};

use kevy::resp::Frame;

use crate::keyspace::{NOT_INTEGER, SYNTAX};
use crate::{Answer, Ask, Bytes, Model, Value, Want, glob, number};

/// What is iterated over: a database, or a value in it.
type Scope = (usize, Option<Bytes>);

/// What iterations owe, by scope, connection and cursor.
#[derive(Clone, Debug, Default)]
pub struct Iterations(BTreeMap<(Scope, usize, u64), BTreeSet<Bytes>>);

impl Iterations {
    /// A key went: its database's iterations do not owe it any more, and its own end.
    pub(crate) fn forget_key(&mut self, db: usize, key: &[u8]) {
        let own: Scope = (db, Some(key.to_vec()));
        self.0.retain(|(scope, ..), _| *scope != own);
        for ((scope, ..), owed) in &mut self.0 {
            if *scope == (db, None) {
                owed.remove(key);
            }
        }
    }

    /// Elements went that were in `old` and are not in `new`.
    pub(crate) fn forget_elements(&mut self, db: usize, key: &[u8], old: &Value, new: &Value) {
        let own: Scope = (db, Some(key.to_vec()));
        let kept: BTreeSet<&Bytes> = new.element_names().into_iter().collect();
        for (_, owed) in self.0.iter_mut().filter(|((scope, ..), _)| *scope == own) {
            let gone = |name: &Bytes| old.element_names().contains(&name) && !kept.contains(name);
            owed.retain(|name| !gone(name));
        }
    }

    /// Everything changed (FLUSHALL, SWAPDB).
    pub(crate) fn forget_all(&mut self) {
        self.0.clear();
    }
}

/// The options after the cursor.
#[derive(Default)]
pub struct Options {
    pub pattern: Option<Bytes>,
    pub type_name: Option<Bytes>,
    pub no_values: bool,
}

pub fn cursor(text: &[u8]) -> Result<u64, String> {
    number::unsigned(text).ok_or_else(|| "ERR invalid cursor".into())
}

/// Reads the options from argument `at` on.
pub fn options(ask: &Ask, mut at: usize) -> Result<Options, String> {
    use kevy::command::CommandId::{HScan, Scan};
    let mut options = Options::default();
    while at < ask.argc() {
        let value = ask.argv.get(at + 1);
        match value {
            Some(count) if ask.is(at, "COUNT") => {
                if number::int(count).ok_or(NOT_INTEGER)? < 1 {
                    return Err(SYNTAX.into());
                }
            }
            Some(pattern) if ask.is(at, "MATCH") => options.pattern = Some(pattern.clone()),
            Some(name) if ask.is(at, "TYPE") && ask.id == Scan => options.type_name = Some(name.clone()),
            _ if ask.is(at, "NOVALUES") => {
                if ask.id != HScan {
                    return Err("ERR NOVALUES option can only be used in HSCAN".into());
                }
                options.no_values = true;
                at += 1;
                continue;
            }
            _ => return Err(SYNTAX.into()),
        }
        at += 2;
    }
    Ok(options)
}

/// Judges a page of an iteration over `elements`: what is there now and passes the filters, each name with the
/// frames that follow it (its value or score).
pub fn page(
    m: &mut Model,
    ask: &Ask,
    key: Option<&Bytes>,
    cursor: u64,
    elements: BTreeMap<Bytes, Vec<Want>>,
) -> Answer {
    const WORDS: &str = "a cursor and elements that are there; at the end, all that were there throughout";
    let Some(reply) = ask.reply else { return Ok(Want::such(WORDS, |_| true)) };
    let Some((next, items)) = cursor_and_items(reply) else { return Ok(Want::such(WORDS, |_| false)) };
    let scope: Scope = (ask.db, key.cloned());
    let mut owed: BTreeSet<Bytes> = match cursor {
        0 => elements.keys().cloned().collect(),
        _ => m.iterations.0.remove(&(scope.clone(), ask.conn, cursor)).unwrap_or_default(),
    };
    owed.retain(|name| elements.contains_key(name));
    let mut rest = items;
    while let [Frame::Bulk(name), others @ ..] = rest {
        let Some(wants) = elements.get(name) else { break };
        let follows = others.len() >= wants.len()
            && wants.iter().zip(others).all(|(want, frame)| want.allows(frame, ask.protocol));
        if !follows {
            break;
        }
        owed.remove(name);
        rest = &others[wants.len()..];
    }
    let legal = rest.is_empty() && (next != 0 || owed.is_empty());
    if next != 0 {
        // Two iterations that meet at a cursor owe no more than both do.
        let both = m.iterations.0.entry((scope, ask.conn, next)).or_insert_with(|| owed.clone());
        both.retain(|name| owed.contains(name));
    }
    Ok(Want::such(WORDS, move |_| legal))
}

fn cursor_and_items(reply: &Frame) -> Option<(u64, &[Frame])> {
    match reply {
        Frame::Array(parts) => match parts.as_slice() {
            [Frame::Bulk(cursor), Frame::Array(items)] => Some((number::unsigned(cursor)?, items)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a name passes MATCH.
pub fn passes(options: &Options, name: &[u8]) -> bool {
    options.pattern.as_ref().is_none_or(|pattern| pattern == b"*" || glob::matches(pattern, name))
}
