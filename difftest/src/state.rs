//! Whether two servers hold the same data: digests of everything, and of every key its encoding and deadline.

use std::io;

use kevy::resp::Frame;

use crate::runner::{Argv, Difference};
use crate::wire::{Wire, decode, encode};

/// Databases of a server with the default configuration.
const DATABASES: usize = 16;

/// By how many milliseconds deadlines may differ that were given as a time from now.
const DEADLINE_TOLERANCE: u64 = 5000;

/// What keeps one plan from meeting what another left behind.
pub fn clear(wire: &mut Wire) -> io::Result<()> {
    let mut commands: Vec<Vec<&str>> = vec![vec!["SELECT", "0"], vec!["FLUSHALL"]];
    for (name, value) in DEFAULTS {
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

/// The first difference between the data of two servers.
pub fn compare(reference: &mut Wire, other: &mut Wire) -> io::Result<Option<Difference>> {
    let selects = (0..DATABASES).flat_map(|db| [words(&["SELECT", &db.to_string()]), words(&["KEYS", "*"])]);
    let commands: Vec<Argv> = selects.collect();
    let (expected, actual) = (pipeline(reference, &commands)?, pipeline(other, &commands)?);
    let mut databases = Vec::new();
    for db in 0..DATABASES {
        let (mut a, mut b) = (bulks(&expected[2 * db + 1])?, bulks(&actual[2 * db + 1])?);
        a.sort();
        b.sort();
        if a != b {
            let missing =
                a.iter().find(|key| !b.contains(key)).or_else(|| b.iter().find(|key| !a.contains(key)));
            let argv = vec![
                b"EXISTS".to_vec(),
                missing.cloned().unwrap_or_default(),
                format!("(database {db})").into(),
            ];
            let count =
                |keys: &[Vec<u8>]| format!(":{}\r\n", usize::from(missing.is_some_and(|m| keys.contains(m))));
            return Ok(Some(difference(argv, count(&a).into(), count(&b).into())));
        }
        databases.push(a);
    }
    for (db, keys) in databases.iter().enumerate().filter(|(_, keys)| !keys.is_empty()) {
        if let Some(difference) = compare_keys(reference, other, db, keys)? {
            return Ok(Some(difference));
        }
    }
    Ok(None)
}

fn compare_keys(
    reference: &mut Wire,
    other: &mut Wire,
    db: usize,
    keys: &[Vec<u8>],
) -> io::Result<Option<Difference>> {
    let mut commands = vec![words(&["SELECT", &db.to_string()])];
    for key in keys {
        commands.push(vec![b"DEBUG".to_vec(), b"DIGEST-VALUE".to_vec(), key.clone()]);
        commands.push(vec![b"OBJECT".to_vec(), b"ENCODING".to_vec(), key.clone()]);
        commands.push(vec![b"PEXPIRETIME".to_vec(), key.clone()]);
    }
    let (expected, actual) = (pipeline(reference, &commands)?, pipeline(other, &commands)?);
    for (argv, (a, b)) in commands.into_iter().zip(expected.into_iter().zip(actual)) {
        let near = match (decode(&a)?.as_int(), decode(&b)?.as_int()) {
            (Some(a), Some(b)) => a >= 0 && b >= 0 && a.abs_diff(b) <= DEADLINE_TOLERANCE,
            _ => false,
        };
        if a != b && !near {
            return Ok(Some(difference(argv, a, b)));
        }
    }
    Ok(None)
}

fn difference(argv: Argv, reference: Vec<u8>, other: Vec<u8>) -> Difference {
    Difference { step: None, argv, reference, other, model: None }
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
