//! `CONFORMANCE.md`: what runs have compared, a row a command.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use kevy::command::table::TABLE;
use kevy_model::generator::{Cell, KeyState, Outcome, Scope, Tally, excluded};

use crate::campaign::Done;
use crate::known::Known;

/// The tallies of runs, as text: a heading for each oracle and protocol, then the lines of the tally.
pub fn tally_text(oracle: &str, protocol: u32, tally: &Tally) -> String {
    format!("oracle\t{oracle}\tRESP{protocol}\n{}", tally.to_text())
}

/// What a run did beside its tallies, as text: the commands it could choose from, its counts, and how often each known
/// difference was met, by line and by command.
pub fn run_text(scope: &Scope, done: &Done, known: &Known) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for id in &scope.commands {
        let _ = writeln!(text, "scope\t{}", id.command().name);
    }
    for (name, count) in done.counted() {
        let _ = writeln!(text, "count\t{name}\t{count}");
    }
    for (line, hits) in known.hits() {
        let _ = writeln!(text, "known\t{line}\t{hits}");
    }
    for (name, count) in known.by_command() {
        let _ = writeln!(text, "differs\t{name}\t{count}");
    }
    text
}

/// Several runs taken together: what they did, and with which commands.
pub fn read_runs(texts: &[String], known: &mut Known) -> (Scope, Done) {
    let (mut scope, mut done) = (Scope::live(), Done::default());
    let mut named = BTreeSet::new();
    for text in texts {
        let mut third = false;
        for line in text.lines() {
            match line.split('\t').collect::<Vec<_>>()[..] {
                ["oracle", _, protocol] => third = protocol == "RESP3",
                ["scope", name] => _ = named.insert(name.to_owned()),
                ["count", name, count] => done.add_count(name, count.parse().unwrap_or(0)),
                ["known", line, hits] => known.add_hits(line, hits.parse().unwrap_or(0)),
                _ => done.tallies[usize::from(third)].read_line(line),
            }
        }
    }
    scope.commands.retain(|id| named.contains(id.command().name));
    (scope, done)
}

/// What several runs have compared.
#[derive(Default)]
pub struct Conformance {
    /// What was compared with each oracle, in RESP2 and RESP3.
    oracles: BTreeMap<String, [Tally; 2]>,
    /// How often replies to each command have differed in a known way.
    known: BTreeMap<String, u64>,
}

impl Conformance {
    /// Adds the text of a run.
    pub fn read(&mut self, text: &str) {
        let mut tally = &mut Tally::default();
        for line in text.lines() {
            match line.split('\t').collect::<Vec<_>>()[..] {
                ["oracle", oracle, protocol] => {
                    let tallies = self.oracles.entry(oracle.to_owned()).or_default();
                    tally = &mut tallies[usize::from(protocol == "RESP3")];
                }
                ["differs", name, count] => {
                    *self.known.entry(name.to_owned()).or_default() += count.parse().unwrap_or(0);
                }
                _ => tally.read_line(line),
            }
        }
    }

    /// All that was compared in one protocol.
    fn in_protocol(&self, protocol: usize) -> Tally {
        let mut all = Tally::default();
        self.oracles.values().for_each(|tallies| all.merge(&tallies[protocol]));
        all
    }

    pub fn to_markdown(&self, known_differences: &str) -> String {
        let protocols = [0, 1].map(|protocol| self.in_protocol(protocol));
        let mut all = protocols[0].clone();
        all.merge(&protocols[1]);
        let oracles: Vec<&str> = self.oracles.keys().map(String::as_str).collect();
        let mut text = String::from("# Conformance\n\n");
        let _ = writeln!(
            text,
            "Replies compared with a live server, byte for byte unless the command says that its reply is not \
             determined by data and arguments. Written by `kevy-difftest report` from the counts of the runs. Oracles: {}: \
             under each stands how many replies were compared with its own. Known: how many of them differ in one of the \
             ways that are listed at the end.\n",
            oracles.join(", ")
        );
        text.push_str(
            "Keys: how often the first key was, as the generator believed, there with the type that the command is \
             about, of another type, missing, past its deadline, or just made with a size at which encodings change; \
             before the stroke those that were answered, behind it those that failed. Sizes: of the declared classes \
             (one, up to 8, 64, 128, more) of what such a key held and of the longest value given, how many were seen.\n\n",
        );
        text.push_str("| command | options | pairs of options | sizes | replies | errors | RESP2 | RESP3 | ");
        let _ = writeln!(
            text,
            "{} | known | keys: own, other, missing, expired, boundary |\n|{}",
            oracles.join(" | "),
            "---|".repeat(10 + oracles.len())
        );
        let mut total = vec![0; 5 + oracles.len()];
        for row in TABLE.iter().filter(|row| excluded(row).is_none()) {
            let count = |tally: &Tally, outcome| tally.get(row.id, &Cell::Command(outcome));
            let both = |tally: &Tally| count(tally, Outcome::Ok) + count(tally, Outcome::Error);
            let mut counts = vec![count(&all, Outcome::Ok), count(&all, Outcome::Error)];
            counts.extend(protocols.iter().map(both));
            counts.extend(self.oracles.values().map(|tallies| tallies.iter().map(both).sum::<u64>()));
            counts.push(self.known.get(row.name).copied().unwrap_or(0));
            total.iter_mut().zip(&counts).for_each(|(total, count)| *total += count);
            let of =
                |(seen, all): (usize, usize)| if all == 0 { String::new() } else { format!("{seen}/{all}") };
            let states = KeyState::ALL.map(|state| {
                let seen = |outcome| all.get(row.id, &Cell::Key(state, outcome));
                match KeyState::of(row).contains(&state) {
                    true => format!("{}/{}", seen(Outcome::Ok), seen(Outcome::Error)),
                    false => "-".to_owned(),
                }
            });
            let states = if row.takes_keys() { states.join(", ") } else { String::new() };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {states} |",
                row.name.replace('|', " "),
                of(all.options_seen(row.id)),
                of(all.pairs_seen(row.id)),
                of(all.sizes_seen(row.id)),
                cells(&counts)
            );
        }
        let _ = writeln!(text, "| **all** | | | | {} | |", cells(&total));
        text.push_str("\nNot compared:\n\n");
        for row in TABLE.iter().filter(|row| row.subcommand_count == 0) {
            if let Some(reason) = excluded(row) {
                let _ = writeln!(text, "- {}: {reason}", row.name.replace('|', " "));
            }
        }
        text.push_str("\nKnown differences:\n\n| command | oracle's reply | kevy's reply | oracles | reason |\n|---|---|---|---|---|\n");
        for line in known_differences.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let _ = writeln!(text, "| {line} |");
        }
        text
    }
}

fn cells(counts: &[u64]) -> String {
    counts.iter().map(u64::to_string).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document in the repository names each command that runs compare, and no other.
    #[test]
    fn the_document_has_a_row_for_each_command() {
        let document = include_str!("../../CONFORMANCE.md");
        let table = document.split("\n\nNot compared").next().expect("a table");
        let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
        let named: Vec<&str> = rows.skip(1).filter(|name| *name != "**all**").collect();
        let commands = TABLE.iter().filter(|row| excluded(row).is_none());
        let expected: Vec<String> = commands.map(|row| row.name.replace('|', " ")).collect();
        assert_eq!(named, expected, "kevy-difftest report writes CONFORMANCE.md");
    }

    #[test]
    fn tallies_of_runs_become_rows() {
        let mut conformance = Conformance::default();
        conformance
            .read("oracle\tredis-8.0.6\tRESP2\nget\tOk\t5\noracle\tredis-8.0.6\tRESP3\nget\tError\t2\n");
        conformance.read("oracle\tredis-7.0.15\tRESP2\nget\tOk\t1\ndiffers\tget\t1\n");
        let text = conformance.to_markdown("# head\nGET * | a | b | * | because\n");
        let row = "| get |  |  | 0/5 | 6 | 2 | 6 | 2 | 1 | 7 | 1 | 0/0, 0/0, 0/0, 0/0, 0/0 |\n";
        assert!(text.contains(row), "{text}");
        assert!(text.contains(" | redis-7.0.15 | redis-8.0.6 | known | "), "{text}");
        assert!(text.contains("| GET * | a | b | * | because |\n"));
    }
}
