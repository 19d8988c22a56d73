//! Counts of what a run has exercised, and what is missing from it.

use std::collections::BTreeMap;
use std::fmt::Write;

use kevy::command::CommandId;
use kevy::command::table::lookup_full_name;

use super::{Grammar, KeyState, Note};

/// How a command was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    Ok,
    Error,
}

/// One kind of thing that is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell {
    Command(Outcome),
    Option(&'static str),
    Pair(&'static str, &'static str),
    Key(KeyState),
}

/// How often each command was seen in each way.
#[derive(Clone, Debug, Default)]
pub struct Tally(BTreeMap<(CommandId, Cell), u64>);

impl Tally {
    pub fn add(&mut self, note: &Note, outcome: Outcome) {
        let mut count = |cell| *self.0.entry((note.id, cell)).or_insert(0) += 1;
        count(Cell::Command(outcome));
        if let Some(key) = note.key {
            count(Cell::Key(key));
        }
        // A command that is wrong on purpose may have lost the options that were decided for it.
        if note.wrong {
            return;
        }
        let options = note.options.as_slice();
        for (index, &first) in options.iter().enumerate() {
            count(Cell::Option(first));
            for &second in &options[index + 1..] {
                count(Cell::Pair(first.min(second), first.max(second)));
            }
        }
    }

    pub fn merge(&mut self, other: &Tally) {
        for (cell, count) in &other.0 {
            *self.0.entry(cell.clone()).or_insert(0) += count;
        }
    }

    pub fn get(&self, id: CommandId, cell: &Cell) -> u64 {
        self.0.get(&(id, cell.clone())).copied().unwrap_or(0)
    }

    /// Of so many options or pairs, how many have been seen.
    pub fn options_seen(&self, id: CommandId) -> (usize, usize) {
        let options = Grammar::get().options(id);
        (options.iter().filter(|option| self.get(id, &Cell::Option(option)) > 0).count(), options.len())
    }

    pub fn pairs_seen(&self, id: CommandId) -> (usize, usize) {
        let pairs = Grammar::get().option_pairs(id);
        (pairs.iter().filter(|(a, b)| self.get(id, &Cell::Pair(a, b)) > 0).count(), pairs.len())
    }

    /// Every declared cell of these commands that was not seen: outcomes, options, pairs of options, and, for commands
    /// with keys, each state a key can be in.
    pub fn missing(&self, commands: &[CommandId], outcomes: &[Outcome]) -> Vec<String> {
        let mut missing = Vec::new();
        for &id in commands {
            let row = id.command();
            let outcomes = outcomes.iter().map(|&outcome| Cell::Command(outcome));
            let options = Grammar::get().options(id).into_iter().map(Cell::Option);
            let pairs = Grammar::get().option_pairs(id).into_iter().map(|(a, b)| Cell::Pair(a, b));
            let states = KeyState::ALL.iter().filter(|_| row.takes_keys()).map(|&state| Cell::Key(state));
            for cell in outcomes.chain(options).chain(pairs).chain(states) {
                if self.get(id, &cell) == 0 {
                    missing.push(format!("{}: {cell:?}", row.name));
                }
            }
        }
        missing
    }

    /// One line a cell, for keeping.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for ((id, cell), count) in &self.0 {
            let name = id.command().name;
            _ = match cell {
                Cell::Command(outcome) => writeln!(text, "{name}\t{outcome:?}\t{count}"),
                Cell::Option(option) => writeln!(text, "{name}\toption\t{option}\t{count}"),
                Cell::Pair(a, b) => writeln!(text, "{name}\tpair\t{a}\t{b}\t{count}"),
                Cell::Key(state) => writeln!(text, "{name}\tkey\t{state:?}\t{count}"),
            };
        }
        text
    }

    /// Reads one line of [`Tally::to_text`]. A command, option or state that no longer exists is left out.
    pub fn read_line(&mut self, line: &str) {
        let words: Vec<&str> = line.split('\t').collect();
        let Some((id, cell, count)) = read_cell(&words) else { return };
        *self.0.entry((id, cell)).or_insert(0) += count;
    }
}

fn read_cell(words: &[&str]) -> Option<(CommandId, Cell, u64)> {
    let id = lookup_full_name(words.first()?.as_bytes())?.id;
    let count = words.last()?.parse().ok()?;
    let option = |word: &str| Grammar::get().options(id).into_iter().find(|option| *option == word);
    let cell = match words[1..words.len() - 1] {
        ["Ok"] => Cell::Command(Outcome::Ok),
        ["Error"] => Cell::Command(Outcome::Error),
        ["option", name] => Cell::Option(option(name)?),
        ["pair", a, b] => Cell::Pair(option(a)?, option(b)?),
        ["key", state] => {
            Cell::Key(KeyState::ALL.iter().copied().find(|known| format!("{known:?}") == state)?)
        }
        _ => return None,
    };
    Some((id, cell, count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Options;

    #[test]
    fn a_tally_is_read_back_as_it_was_written_and_knows_what_is_missing() {
        let mut options = Options::default();
        options.add("NX");
        options.add("GET");
        let note = Note { id: CommandId::Set, options, key: Some(KeyState::Wrong), wrong: false };
        let mut tally = Tally::default();
        tally.add(&note, Outcome::Error);
        let mut read = Tally::default();
        tally.to_text().lines().for_each(|line| read.read_line(line));
        assert_eq!(read.0, tally.0);
        let missing = tally.missing(&[CommandId::Set], &[Outcome::Ok, Outcome::Error]);
        for (cell, expected) in [
            ("Command(Ok)", true),
            ("Command(Error)", false),
            ("Option(\"NX\")", false),
            ("Option(\"XX\")", true),
            ("Pair(\"GET\", \"NX\")", false),
            ("Pair(\"GET\", \"XX\")", true),
            ("Key(Missing)", true),
        ] {
            assert_eq!(missing.contains(&format!("set: {cell}")), expected, "{cell}");
        }
    }
}
