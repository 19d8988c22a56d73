//! Counts of what a run has exercised, and what is missing from it.

use std::collections::BTreeMap;
use std::fmt::Write;

use kevy::command::CommandId;
use kevy::command::table::lookup_full_name;

use super::{Grammar, KeyState, Note, Size, is_intrusive};

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
    /// What was believed of its first key, and how the command was answered.
    Key(KeyState, Outcome),
    /// The size of what its first key held, where it was just made.
    Held(Size),
    /// The size of the longest argument that can be any bytes.
    Given(Size),
}

impl Cell {
    /// Everything that a run must have seen of a command.
    pub fn declared(id: CommandId) -> Vec<Cell> {
        let row = id.command();
        let outcomes = [Outcome::Ok, Outcome::Error];
        let mut cells = outcomes.map(Cell::Command).to_vec();
        cells.extend(Grammar::get().options(id).into_iter().map(Cell::Option));
        cells.extend(Grammar::get().option_pairs(id).into_iter().map(|(a, b)| Cell::Pair(a, b)));
        let states = KeyState::of(row);
        cells.extend(states.iter().flat_map(|&state| outcomes.map(|outcome| Cell::Key(state, outcome))));
        if states.contains(&KeyState::Boundary) {
            cells.extend(Size::ALL.map(Cell::Held));
        }
        if Grammar::get().takes_values(id) && !is_intrusive(id) {
            cells.extend(Size::ALL.map(Cell::Given));
        }
        cells
    }
}

/// How often each command was seen in each way.
#[derive(Clone, Debug, Default)]
pub struct Tally(BTreeMap<(CommandId, Cell), u64>);

impl Tally {
    pub fn add(&mut self, note: &Note, outcome: Outcome) {
        let mut count = |cell| *self.0.entry((note.id, cell)).or_insert(0) += 1;
        count(Cell::Command(outcome));
        if let Some(key) = note.key {
            count(Cell::Key(key, outcome));
        }
        note.held.into_iter().for_each(|size| count(Cell::Held(size)));
        note.given.into_iter().for_each(|size| count(Cell::Given(size)));
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

    /// Of so many sizes, of what a key held or of what was given, how many have been seen.
    pub fn sizes_seen(&self, id: CommandId) -> (usize, usize) {
        let sizes =
            Cell::declared(id).into_iter().filter(|cell| matches!(cell, Cell::Held(_) | Cell::Given(_)));
        let sizes: Vec<Cell> = sizes.collect();
        (sizes.iter().filter(|cell| self.get(id, cell) > 0).count(), sizes.len())
    }

    /// Every declared cell of a command that was not seen.
    pub fn missing(&self, id: CommandId) -> Vec<Cell> {
        Cell::declared(id).into_iter().filter(|cell| self.get(id, cell) == 0).collect()
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
                Cell::Key(state, outcome) => writeln!(text, "{name}\tkey\t{state:?}\t{outcome:?}\t{count}"),
                Cell::Held(size) => writeln!(text, "{name}\theld\t{size:?}\t{count}"),
                Cell::Given(size) => writeln!(text, "{name}\tgiven\t{size:?}\t{count}"),
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
    let outcome =
        |word: &str| [Outcome::Ok, Outcome::Error].into_iter().find(|known| format!("{known:?}") == word);
    let state = |word: &str| KeyState::ALL.into_iter().find(|known| format!("{known:?}") == word);
    let size = |word: &str| Size::ALL.into_iter().find(|known| format!("{known:?}") == word);
    let cell = match words[1..words.len() - 1] {
        ["option", name] => Cell::Option(option(name)?),
        ["pair", a, b] => Cell::Pair(option(a)?, option(b)?),
        ["key", key, answer] => Cell::Key(state(key)?, outcome(answer)?),
        ["held", held] => Cell::Held(size(held)?),
        ["given", given] => Cell::Given(size(given)?),
        [answer] => Cell::Command(outcome(answer)?),
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
        let sizes = (Some(Size::UpTo64), Some(Size::One));
        let note = Note {
            key: Some(KeyState::Wrong),
            held: sizes.0,
            given: sizes.1,
            ..Note::of(CommandId::Set, options)
        };
        let mut tally = Tally::default();
        tally.add(&note, Outcome::Error);
        let mut read = Tally::default();
        tally.to_text().lines().for_each(|line| read.read_line(line));
        assert_eq!(read.0, tally.0);
        let missing = tally.missing(CommandId::Set);
        for (cell, expected) in [
            (Cell::Command(Outcome::Ok), true),
            (Cell::Command(Outcome::Error), false),
            (Cell::Option("NX"), false),
            (Cell::Option("XX"), true),
            (Cell::Pair("GET", "NX"), false),
            (Cell::Pair("GET", "XX"), true),
            (Cell::Key(KeyState::Missing, Outcome::Ok), true),
            (Cell::Key(KeyState::Wrong, Outcome::Ok), true),
            (Cell::Key(KeyState::Wrong, Outcome::Error), false),
            (Cell::Held(Size::UpTo64), false),
            (Cell::Held(Size::More), true),
            (Cell::Given(Size::One), false),
            (Cell::Given(Size::UpTo8), true),
        ] {
            assert_eq!(missing.contains(&cell), expected, "{cell:?}");
        }
    }
}
