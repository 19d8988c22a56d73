//! Whether two servers hold the same data, and the data that the model says they hold.

use std::io;

use kevy::resp::Frame;
use kevy_model::generator::CHANGED;

use crate::compare::{self, Mode};
use crate::runner::{Argv, Difference, Knows, sides};
use crate::voter::{Voter, wall_clock};
use crate::wire::{Wire, decode, encode};

/// Databases of a server with the default configuration.
const DATABASES: usize = 16;

/// What keeps one plan from meeting what another left behind.
pub fn clear(wire: &mut Wire) -> io::Result<()> {
    let mut commands: Vec<Vec<&str>> = vec![vec!["CLIENT", "UNPAUSE"], vec!["SELECT", "0"], vec!["FLUSHALL"]];
    for (name, value) in DEFAULTS.iter().chain(&CHANGED) {
        commands.push(vec!["CONFIG", "SET", name, value]);
    }
    let commands: Vec<Argv> =
        commands.iter().map(|words| words.iter().map(|word| word.as_bytes().to_vec()).collect()).collect();
    pipeline(wire, &commands)?;
    Ok(())
}

/// What plans change of the configuration.
pub const DEFAULTS: [(&str, &str); 9] = [
    ("hash-max-listpack-entries", "128"),
    ("hash-max-listpack-value", "64"),
    ("set-max-listpack-entries", "128"),
    ("set-max-listpack-value", "64"),
    ("set-max-intset-entries", "512"),
    ("zset-max-listpack-entries", "128"),
    ("zset-max-listpack-value", "64"),
    ("list-max-listpack-size", "-2"),
    ("list-compress-depth", "0"),
];

/// What the comparison of two servers' data has found.
#[derive(Debug, Default)]
pub struct Found {
    /// The first difference that is neither known nor open.
    pub difference: Option<Difference>,
    pub known: u64,
    /// Where the two differ in what the model says is the server's own choice.
    pub open: u64,
}

/// Compares the data of two servers, and both with the model's unless it abstains: the keys of every database, and of
/// each key its type, value, encoding and deadline.
pub fn compare(
    reference: &mut Wire,
    other: &mut Wire,
    voter: &mut Voter,
    knows: &mut dyn Knows,
) -> io::Result<Found> {
    let mut comparison = Comparison { reference, other, voter, knows, found: Found::default() };
    comparison.all()?;
    Ok(comparison.found)
}

struct Comparison<'c> {
    reference: &'c mut Wire,
    other: &'c mut Wire,
    voter: &'c mut Voter,
    knows: &'c mut dyn Knows,
    found: Found,
}

impl Comparison<'_> {
    fn all(&mut self) -> io::Result<()> {
        for db in 0..DATABASES {
            let replies = self.ask(&[words(&["SELECT", &db.to_string()]), words(&["KEYS", "*"])])?;
            let Some(replies) = replies else { return Ok(()) };
            let mut keys = bulks(&replies[1])?;
            keys.sort();
            let about = |key: &Vec<u8>| {
                let word = |text: &str| text.as_bytes().to_vec();
                [
                    vec![word("TYPE"), key.clone()],
                    vec![word("OBJECT"), word("ENCODING"), key.clone()],
                    vec![word("PEXPIRETIME"), key.clone()],
                ]
            };
            let facts: Vec<Argv> = keys.iter().flat_map(about).collect();
            let Some(facts) = self.ask(&facts)? else { return Ok(()) };
            let types = facts.iter().step_by(3);
            let values: Vec<Argv> = keys.iter().zip(types).map(|(key, kind)| reading(kind, key)).collect();
            if self.ask(&values)?.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The reference's answers to these; nothing if there is a difference in one that stops the comparison.
    fn ask(&mut self, commands: &[Argv]) -> io::Result<Option<Vec<Vec<u8>>>> {
        let now = wall_clock();
        let (expected, actual) = (pipeline(self.reference, commands)?, pipeline(self.other, commands)?);
        for (argv, (expected, actual)) in commands.iter().zip(expected.iter().zip(&actual)) {
            if let Some(difference) = self.differ(argv, now, expected, actual) {
                if self.knows.is_known(&difference) {
                    self.found.known += 1;
                } else {
                    self.found.difference = Some(difference);
                    return Ok(None);
                }
            }
        }
        Ok(Some(expected))
    }

    /// Two that differ do not if the model allows both; two that agree do if the model allows neither.
    fn differ(&mut self, argv: &Argv, now: i64, reference: &[u8], other: &[u8]) -> Option<Difference> {
        let mode = compare::row(argv).map_or(Mode::Exact, |row| compare::mode(row, argv));
        let agreed = compare::agree(mode, reference, other);
        let mut difference = Difference {
            step: None,
            argv: argv.clone(),
            reference: reference.to_vec(),
            other: other.to_vec(),
            model: None,
        };
        match (agreed, self.voter.judge_state(argv, now, [reference, other])) {
            (true, None | Some([Ok(()), _])) => return None,
            (true, Some([Err(divergence), _])) => {
                let expects = format!("(the model expects {}, not {})", divergence.wanted, divergence.got);
                difference.other = expects.into_bytes();
            }
            (false, Some([Ok(()), Ok(())])) => {
                self.found.open += 1;
                return None;
            }
            (false, verdict) => {
                difference.model = verdict.map(|verdict| sides(verdict.map(|one| one.is_ok())).to_owned());
            }
        }
        Some(difference)
    }
}

/// The command that reads all of a value of this type.
fn reading(kind: &[u8], key: &[u8]) -> Argv {
    let (before, after): (&str, &[&str]) = match kind {
        b"+list\r\n" => ("LRANGE", &["0", "-1"]),
        b"+set\r\n" => ("SMEMBERS", &[]),
        b"+hash\r\n" => ("HGETALL", &[]),
        b"+zset\r\n" => ("ZRANGE", &["0", "-1", "WITHSCORES"]),
        _ => ("GET", &[]),
    };
    [words(&[before]), vec![key.to_vec()], words(after)].concat()
}

fn words(words: &[&str]) -> Argv {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn bulks(frame: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let frame = decode(frame)?;
    let elements = frame.elements().unwrap_or_default().iter();
    Ok(elements.filter_map(Frame::as_bytes).map(<[u8]>::to_vec).collect())
}

/// Sends commands in one go and reads a reply to each.
fn pipeline(wire: &mut Wire, commands: &[Argv]) -> io::Result<Vec<Vec<u8>>> {
    let mut replies = Vec::with_capacity(commands.len());
    for part in commands.chunks(200) {
        let mut bytes = Vec::new();
        part.iter().for_each(|argv| encode(argv, &mut bytes));
        wire.send(&bytes)?;
        for _ in part {
            replies.push(wire.read_frame()?);
        }
    }
    Ok(replies)
}
