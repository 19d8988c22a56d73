//! Known differences: a line each, with the reason. See the head of `known_differences`.

use std::fmt;

use kevy::glob;
use kevy::resp::repr::Repr;
use kevy_model::generator::Word;

use crate::runner::{Difference, Knows};

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
        Ok(Known { entries })
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
                && matches(&entry.other, other.as_bytes())
        });
        entry.map(|entry| entry.hits += 1).is_some()
    }
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

    #[test]
    fn an_entry_is_about_some_oracles_and_goes_stale() {
        let text = "# comment\n\nGET * | -ERR old* | $-1 | redis-7.0* | texts were changed\n";
        let difference = Difference {
            step: None,
            argv: vec![b"get".to_vec(), b"k".to_vec()],
            reference: b"-ERR old text\r\n".to_vec(),
            other: b"$-1\r\n".to_vec(),
        };
        let mut known = Known::parse(text, "redis-7.0.15").unwrap();
        assert_eq!(known.stale().len(), 1);
        assert!(known.is_known(&difference));
        assert!(known.stale().is_empty());
        assert!(!Known::parse(text, "redis-8.0.6").unwrap().is_known(&difference));
        assert!(Known::parse("GET * | a | b | *", "redis-8.0.6").is_err());
    }
}
