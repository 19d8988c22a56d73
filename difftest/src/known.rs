//! Known differences: a line each, with the reason. See the head of `known_differences`.

use std::collections::BTreeMap;
use std::fmt;

use kevy::glob;
use kevy::resp::Frame;
use kevy::resp::repr::Repr;
use kevy_model::generator::Word;

use crate::compare;
use crate::runner::{Difference, Knows};
use crate::wire::decode;

/// One line of the file.
#[derive(Clone, Debug)]
struct Entry {
    line: usize,
    command: String,
    reference: String,
    other: String,
    /// Which oracles differ in this way, as a pattern of `name-version`.
    oracles: String,
    hits: u64,
}

/// The differences known of one oracle.
#[derive(Clone, Debug, Default)]
pub struct Known {
    entries: Vec<Entry>,
    /// How often replies to each command have differed in a known way.
    by_command: BTreeMap<&'static str, u64>,
}

/// A line that does not say what it should.
#[derive(Debug)]
pub struct BadEntry(usize);

impl fmt::Display for BadEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: not `command | oracle's reply | kevy's reply | oracles | reason`", self.0)
    }
}

impl std::error::Error for BadEntry {}

impl Known {
    /// The entries of a file that are about this oracle.
    pub fn parse(text: &str, oracle: &str) -> Result<Known, BadEntry> {
        let mut entries = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let columns: Vec<&str> = line.split(" | ").map(str::trim).collect();
            let [command, reference, other, oracles, reason] = columns[..] else {
                return Err(BadEntry(index + 1));
            };
            if reason.is_empty() {
                return Err(BadEntry(index + 1));
            }
            if matches(oracles, oracle.as_bytes()) {
                entries.push(Entry {
                    line: index + 1,
                    command: command.to_owned(),
                    reference: reference.to_owned(),
                    other: other.to_owned(),
                    oracles: oracles.to_owned(),
                    hits: 0,
                });
            }
        }
        Ok(Known { entries, by_command: BTreeMap::new() })
    }

    /// How often each line was met.
    pub fn hits(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.entries.iter().map(|entry| (entry.line, entry.hits))
    }

    /// How often replies to each command have differed in a known way.
    pub fn by_command(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.by_command.iter().map(|(&name, &count)| (name, count))
    }

    /// Another run has met a line so often.
    pub fn add_hits(&mut self, line: &str, hits: u64) {
        let entry = self.entries.iter_mut().find(|entry| entry.line.to_string() == line);
        entry.map(|entry| entry.hits += hits).unwrap_or_default();
    }

    /// Lines that no difference of the run has matched.
    pub fn stale(&self) -> Vec<String> {
        let stale = self.entries.iter().filter(|entry| entry.hits == 0);
        stale.map(|entry| format!("line {}: {} ({})", entry.line, entry.command, entry.oracles)).collect()
    }
}

impl Knows for Known {
    fn is_known(&mut self, difference: &Difference) -> bool {
        let command = command_text(&difference.argv);
        let (reference, other) = (reply_text(&difference.reference), reply_text(&difference.other));
        let entry = self.entries.iter_mut().find(|entry| {
            matches(&entry.command, command.as_bytes())
                && matches(&entry.reference, reference.as_bytes())
                && entry.allows(difference, &other)
        });
        let Some(entry) = entry else { return false };
        entry.hits += 1;
        if let Some(row) = compare::row(&difference.argv) {
            *self.by_command.entry(row.name).or_default() += 1;
        }
        true
    }
}

impl Entry {
    fn allows(&self, difference: &Difference, other: &str) -> bool {
        let trees = || Some((decode(&difference.reference).ok()?, decode(&difference.other).ok()?));
        if self.other == "(same numbers)" {
            return differ_in_spelling(&difference.reference, &difference.other);
        }
        let but = self.other.strip_prefix("(same clients but for ").and_then(|rest| rest.strip_suffix(')'));
        if let Some(but) = but {
            return trees().is_some_and(|(reference, other)| {
                compare::same_clients(&reference, &other, &but.split(' ').collect::<Vec<_>>())
            });
        }
        let more = self.other.strip_prefix("(also ").and_then(|rest| rest.strip_suffix(')'));
        match more {
            Some(names) => trees().is_some_and(|(reference, other)| adds_only(names, &reference, &other)),
            None => matches(&self.other, other.as_bytes()),
        }
    }
}

/// Whether two replies differ in nothing but how their numbers are written.
pub fn differ_in_spelling(reference: &[u8], other: &[u8]) -> bool {
    match (decode(reference), decode(other)) {
        (Ok(reference), Ok(other)) => same_but_for_spelling(&reference, &other),
        _ => false,
    }
}

fn same_but_for_spelling(reference: &Frame, other: &Frame) -> bool {
    if reference == other {
        return true;
    }
    let number = |frame: &Frame| {
        let bytes = frame.to_bytes();
        let text = match frame {
            Frame::Bulk(text) => text,
            _ => bytes.strip_prefix(b",")?.trim_ascii_end(),
        };
        std::str::from_utf8(text).ok()?.parse::<f64>().ok().filter(|number| !number.is_nan())
    };
    match (reference, other) {
        (Frame::Double(_), Frame::Double(_)) | (Frame::Bulk(_), Frame::Bulk(_)) => {
            number(reference).is_some_and(|a| number(other) == Some(a))
        }
        (Frame::Array(a), Frame::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_but_for_spelling(a, b))
        }
        _ => false,
    }
}

/// Whether the second map has all of the first and, besides, only entries with names of this pattern.
fn adds_only(names: &str, reference: &Frame, other: &Frame) -> bool {
    let pairs = |frame: &Frame| -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut pairs: Vec<_> = match frame {
            Frame::Map(pairs) => {
                pairs.iter().map(|(name, value)| (name.to_bytes(), value.to_bytes())).collect()
            }
            Frame::Array(flat) => {
                flat.chunks_exact(2).map(|pair| (pair[0].to_bytes(), pair[1].to_bytes())).collect()
            }
            _ => return None,
        };
        pairs.sort();
        Some(pairs)
    };
    let (Some(reference), Some(mut other)) = (pairs(reference), pairs(other)) else { return false };
    let named = format!("$* {names}");
    other.retain(|pair| reference.contains(pair) || !matches(&named, reply_text(&pair.0).as_bytes()));
    reference == other
}

fn matches(pattern: &str, text: &[u8]) -> bool {
    glob::matches_nocase(pattern.as_bytes(), text)
}

/// A command in one line, as one would type it.
pub fn command_text(argv: &[Vec<u8>]) -> String {
    argv.iter().map(|arg| Word(arg).to_string()).collect::<Vec<_>>().join(" ")
}

/// The bytes of a reply in one line: a space for each line end, other bytes escaped.
pub fn reply_text(bytes: &[u8]) -> String {
    let quoted = Repr(bytes).to_string();
    quoted[1..quoted.len() - 1].replace("\\r\\n", " ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knows(kevy: &str, reference: &[u8], other: &[u8]) -> bool {
        let text = format!("ZSCORE * | * | {kevy} | redis-7.0* | because");
        let argv = vec![b"zscore".to_vec(), b"k".to_vec(), b"m".to_vec()];
        let (reference, other) = (reference.to_vec(), other.to_vec());
        let difference = Difference { step: None, argv, reference, other, model: None };
        Known::parse(&text, "redis-7.0.15").unwrap().is_known(&difference)
    }

    #[test]
    fn another_spelling_of_a_number_is_known_and_another_number_is_not() {
        let same = |a: &[u8], b: &[u8]| knows("(same numbers)", a, b);
        assert!(same(b"*2\r\n$1\r\na\r\n$4\r\n0.10\r\n", b"*2\r\n$1\r\na\r\n$3\r\n0.1\r\n"));
        assert!(!same(b"*2\r\n$1\r\na\r\n$3\r\n0.1\r\n", b"*2\r\n$1\r\nb\r\n$3\r\n0.1\r\n"));
        assert!(!same(b"$3\r\n0.1\r\n", b"$3\r\n0.2\r\n"));
        assert!(same(b",9.2233720368547758e+18\r\n", b",9223372036854776000\r\n"));
        assert!(!same(b"$3\r\n0.1\r\n", b"$-1\r\n"));
        assert!(!same(b"*1\r\n:1\r\n", b"*0\r\n"));
    }

    #[test]
    fn entries_of_a_map_that_are_only_in_one_are_known_by_name() {
        let also = |a: &[u8], b: &[u8]| knows("(also new-*)", a, b);
        let (old, new) =
            (b"%1\r\n$1\r\na\r\n$1\r\n1\r\n", b"%2\r\n$5\r\nnew-b\r\n$1\r\n2\r\n$1\r\na\r\n$1\r\n1\r\n");
        assert!(also(old, new));
        assert!(!also(new, old));
        assert!(!also(old, b"%2\r\n$1\r\nb\r\n$1\r\n2\r\n$1\r\na\r\n$1\r\n1\r\n"));
        assert!(!also(old, b"%1\r\n$1\r\na\r\n$1\r\n2\r\n"));
    }

    #[test]
    fn an_entry_is_about_some_oracles_and_goes_stale() {
        let text = "# comment\n\nGET * | -ERR old* | $-1 | redis-7.0* | texts were changed\n";
        let difference = Difference {
            step: None,
            argv: vec![b"get".to_vec(), b"k".to_vec()],
            reference: b"-ERR old text\r\n".to_vec(),
            other: b"$-1\r\n".to_vec(),
            model: None,
        };
        let mut known = Known::parse(text, "redis-7.0.15").unwrap();
        assert_eq!(known.stale().len(), 1);
        assert!(known.is_known(&difference));
        assert!(known.stale().is_empty());
        assert!(!Known::parse(text, "redis-8.0.6").unwrap().is_known(&difference));
        assert!(Known::parse("GET * | a | b | *", "redis-8.0.6").is_err());
    }
}
