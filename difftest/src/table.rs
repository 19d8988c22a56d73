//! The command table against a server's own: COMMAND INFO, DOCS and GETKEYS of every row.

use std::io;

use kevy::command::table::TABLE;
use kevy::resp::Frame;
use kevy_model::generator::{Gen, Prng, Scope, excluded};

use crate::runner::{Argv, Difference, Knows};
use crate::wire::Wire;

/// What was compared, and where the two differ.
#[derive(Debug, Default)]
pub struct Outcome {
    pub rows: usize,
    pub compared: u64,
    /// Rows that the reference does not have.
    pub missing: Vec<&'static str>,
    pub differences: Vec<Difference>,
}

/// Generated calls of each row whose keys are compared.
const CALLS: usize = 200;

/// Compares every row.
pub fn compare(
    reference: &mut Wire,
    subject: &mut Wire,
    seed: u64,
    known: &mut dyn Knows,
) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut prng = Prng::new(seed);
    let scope = Scope { wrong: 10, ..Scope::full() };
    let mut generator = Gen::new(&mut prng, &scope);
    for row in TABLE {
        let info = reference.call(&["COMMAND", "INFO", row.name])?;
        if info.elements().is_some_and(|rows| rows.first().is_some_and(Frame::is_null)) {
            outcome.missing.push(row.name);
            continue;
        }
        outcome.rows += 1;
        check(&mut outcome, known, words(&["COMMAND", "INFO", row.name]), reference, subject, info_in_order)?;
        check(&mut outcome, known, words(&["COMMAND", "DOCS", row.name]), reference, subject, facts_of_docs)?;
        if !row.takes_keys() || excluded(row).is_some() {
            continue;
        }
        for _ in 0..CALLS {
            let (argv, _) = generator.request(row.id);
            for subcommand in ["GETKEYS", "GETKEYSANDFLAGS"] {
                let mut asked = words(&["COMMAND", subcommand]);
                asked.extend(argv.iter().cloned());
                check(&mut outcome, known, asked, reference, subject, |frame| frame)?;
            }
        }
    }
    Ok(outcome)
}

fn words(words: &[&str]) -> Argv {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn check(
    outcome: &mut Outcome,
    known: &mut dyn Knows,
    argv: Argv,
    reference: &mut Wire,
    subject: &mut Wire,
    essence: fn(Frame) -> Frame,
) -> io::Result<()> {
    let (expected, actual) = (essence(reference.call(&argv)?), essence(subject.call(&argv)?));
    outcome.compared += 1;
    if expected != actual {
        let difference = Difference {
            step: None,
            argv,
            reference: expected.to_bytes(),
            other: actual.to_bytes(),
            model: None,
        };
        if !known.is_known(&difference) {
            outcome.differences.push(difference);
        }
    }
    Ok(())
}

/// Flags, categories, tips and subcommands come in no particular order; they are put into one.
fn info_in_order(frame: Frame) -> Frame {
    let Frame::Array(mut rows) = frame else { return frame };
    for row in &mut rows {
        if let Frame::Array(fields) = row {
            for (index, field) in fields.iter_mut().enumerate() {
                match field {
                    // Subcommands have rows of their own, and there may be more of them elsewhere.
                    Frame::Array(list) if index == 9 => list.clear(),
                    Frame::Array(specs) if index == 8 => specs.iter_mut().for_each(without_notes),
                    Frame::Array(list) if index == 2 || index == 6 || index == 7 => {
                        list.sort_by_key(Frame::to_bytes)
                    }
                    _ => {}
                }
            }
        }
    }
    Frame::Array(rows)
}

/// Notes on key specs are wording.
fn without_notes(spec: &mut Frame) {
    if let Frame::Array(fields) = spec
        && let Some(at) = fields.iter().position(|field| field.as_bytes() == Some(b"notes"))
    {
        fields.drain(at..at + 2);
    }
}

/// What in documentation is fact: not the wording.
fn facts_of_docs(frame: Frame) -> Frame {
    let Frame::Array(rows) = frame else { return frame };
    let facts = |docs: Frame| match docs {
        Frame::Array(fields) => {
            let wanted = [&b"since"[..], b"group", b"arguments", b"doc_flags", b"deprecated_since"];
            let pairs =
                fields.chunks(2).filter(|pair| pair[0].as_bytes().is_some_and(|name| wanted.contains(&name)));
            Frame::Array(pairs.flatten().cloned().collect())
        }
        other => other,
    };
    Frame::Array(rows.into_iter().map(facts).collect())
}
