//! A judge of long histories who believes nobody and needs no search: everything that is written is appended, and each
//! value once.
//!
//! Then whoever reads a key sees its whole past, and the length that an append gives says which one it was. From that
//! follows, without a guess, who came before whom: writers of one key in the order of their values, a writer before who
//! saw its value, who did not see it before the writer, and by the clock who was answered before the other one asked. A
//! history is strictly serializable if these relations have no circle. The method is that of Kingsbury and Alvaro, *Elle:
//! Inferring Isolation Anomalies from Experimental Observations* (VLDB 2020), for lists that are appended to.

use std::collections::BTreeMap;

use kevy::keyspace::EvictionPolicy;
use kevy::resp::Frame;

use super::history::{Argv, History, show};
use super::world::is_message;

/// What a transaction, or a command alone, did to a key.
enum Act<'h> {
    /// Appended a value; the length of the key afterwards, if it was answered.
    Append(&'h [u8], Option<usize>),
    /// Saw all of it.
    See(Vec<u8>),
}

/// What was executed at once.
struct Transaction<'h> {
    client: usize,
    /// Its last command.
    argv: &'h Argv,
    invoked: u64,
    returned: Option<u64>,
    acts: Vec<(&'h [u8], Act<'h>)>,
}

/// What a judgement rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    pub transactions: usize,
    pub relations: usize,
}

/// Looks for a circle. `None`: there are commands that this judge does not know, or keys may have been evicted.
pub fn judge(history: &History) -> Option<Result<Judged, String>> {
    if history.policy.is_some_and(|policy| policy != EvictionPolicy::NoEviction) {
        return None;
    }
    let mut transactions = Vec::new();
    for client in 0..history.operations.len() {
        collect(history, client, &mut transactions)?;
    }
    Some(relate(&transactions))
}

/// The transactions of a client, in the order in which it sent them.
fn collect<'h>(history: &'h History, client: usize, into: &mut Vec<Transaction<'h>>) -> Option<()> {
    let mut replies = history.frames[client].iter().filter(|frame| !is_message(frame));
    let mut queue: Option<Vec<&'h Argv>> = None;
    for operation in &history.operations[client] {
        let (argv, reply) = (&operation.argv, replies.next());
        let mut acts = Vec::new();
        match (argv[0].as_slice(), &mut queue) {
            // What lists hold is not looked at.
            (b"PING" | b"RPUSH", None) => continue,
            (b"MULTI", None) => {
                queue = Some(Vec::new());
                continue;
            }
            (b"EXEC", Some(queued)) => {
                let queued = std::mem::take(queued);
                queue = None;
                for (number, argv) in queued.into_iter().enumerate() {
                    let reply = reply.map(|reply| reply.elements().and_then(|parts| parts.get(number)));
                    act(argv, reply.flatten(), &mut acts)?;
                }
            }
            (_, Some(queued)) => {
                queued.push(argv);
                continue;
            }
            _ => act(argv, reply, &mut acts)?,
        }
        let (invoked, returned) = (operation.invoked, operation.returned);
        into.push(Transaction { client, argv, invoked, returned, acts });
    }
    Some(())
}

fn act<'h>(argv: &'h Argv, reply: Option<&Frame>, acts: &mut Vec<(&'h [u8], Act<'h>)>) -> Option<()> {
    let length = || match reply {
        Some(Frame::Int(length)) => usize::try_from(*length).ok(),
        _ => None,
    };
    let seen = |frame: &Frame| frame.as_bytes().unwrap_or_default().to_vec();
    match (argv[0].as_slice(), &argv[1..]) {
        (b"APPEND", [key, value]) => acts.push((key, Act::Append(value, length()))),
        (b"GET", [key]) => acts.extend(reply.map(|reply| (key.as_slice(), Act::See(seen(reply))))),
        (b"MGET", keys) => {
            let seen = reply.and_then(Frame::elements).into_iter().flatten().map(seen);
            acts.extend(keys.iter().map(Vec::as_slice).zip(seen.map(Act::See)));
        }
        _ => return None,
    }
    Some(())
}

/// Relations between transactions and instants: who comes before whom.
#[derive(Default)]
struct Relations {
    after: Vec<Vec<usize>>,
    before: Vec<usize>,
    count: usize,
}

impl Relations {
    fn relate(&mut self, first: usize, then: usize) {
        if first != then {
            self.after[first].push(then);
            self.before[then] += 1;
            self.count += 1;
        }
    }

    /// Those that are in a circle, or behind one.
    fn circle(mut self) -> Vec<usize> {
        let mut free: Vec<usize> = (0..self.before.len()).filter(|&at| self.before[at] == 0).collect();
        while let Some(at) = free.pop() {
            for then in std::mem::take(&mut self.after[at]) {
                self.before[then] -= 1;
                if self.before[then] == 0 {
                    free.push(then);
                }
            }
        }
        (0..self.before.len()).filter(|&at| self.before[at] > 0).collect()
    }
}

fn relate(transactions: &[Transaction<'_>]) -> Result<Judged, String> {
    // The longest past of each key that somebody saw, and who wrote what ends where.
    let mut past: BTreeMap<&[u8], Vec<u8>> = BTreeMap::new();
    for (key, act) in transactions.iter().flat_map(|transaction| &transaction.acts) {
        if let Act::See(bytes) = act {
            let known = past.entry(key).or_default();
            let (short, long) = if known.len() < bytes.len() { (&*known, bytes) } else { (bytes, &*known) };
            if !long.starts_with(short) {
                let [key, one, other] = [*key, known, bytes].map(|bytes| bytes.escape_ascii().to_string());
                return Err(format!("{key} was seen as {one} and as {other}"));
            }
            *known = long.clone();
        }
    }
    let mut writers: BTreeMap<&[u8], BTreeMap<usize, usize>> = BTreeMap::new();
    for (number, transaction) in transactions.iter().enumerate() {
        for (key, act) in &transaction.acts {
            let Act::Append(value, length) = act else { continue };
            let past = past.get(key).map_or(&[][..], Vec::as_slice);
            let place = past.windows(value.len()).position(|part| part == *value).map(|at| at + value.len());
            let end = match (place, *length) {
                (Some(place), Some(length)) if place != length => {
                    let value = value.escape_ascii();
                    return Err(format!("{value} was appended up to {length} and seen up to {place}"));
                }
                (None, Some(length)) if length <= past.len() => {
                    return Err(format!("{} was appended and is not there", value.escape_ascii()));
                }
                (place, length) => length.or(place),
            };
            if let Some(end) = end
                && let Some(other) = writers.entry(key).or_default().insert(end, number)
            {
                let (one, other) = (show(transaction.argv), show(transactions[other].argv));
                return Err(format!("{one} and {other} both appended up to {end}"));
            }
        }
    }
    // After the transactions come the instants at which one was answered, in order.
    let mut answers: Vec<(u64, usize)> = transactions
        .iter()
        .enumerate()
        .filter_map(|(number, transaction)| transaction.returned.map(|returned| (returned, number)))
        .collect();
    answers.sort_unstable();
    let nodes = transactions.len() + answers.len();
    let mut relations = Relations { after: vec![Vec::new(); nodes], before: vec![0; nodes], count: 0 };
    for (place, &(_, number)) in answers.iter().enumerate() {
        relations.relate(number, transactions.len() + place);
        if place > 0 {
            relations.relate(transactions.len() + place - 1, transactions.len() + place);
        }
    }
    for (number, transaction) in transactions.iter().enumerate() {
        let answered = answers.partition_point(|&(returned, _)| returned < transaction.invoked);
        if let Some(last) = answered.checked_sub(1) {
            relations.relate(transactions.len() + last, number);
        }
        if number > 0 && transactions[number - 1].client == transaction.client {
            relations.relate(number - 1, number);
        }
        for (key, act) in &transaction.acts {
            let Some(writers) = writers.get(key) else { continue };
            if let Act::See(bytes) = act {
                if let Some((_, &writer)) = writers.range(..=bytes.len()).next_back() {
                    relations.relate(writer, number);
                }
                if let Some((_, &writer)) = writers.range(bytes.len() + 1..).next() {
                    relations.relate(number, writer);
                }
            }
        }
    }
    for writers in writers.values() {
        for ((_, &first), (_, &then)) in writers.iter().zip(writers.iter().skip(1)) {
            relations.relate(first, then);
        }
    }
    let judged = Judged { transactions: transactions.len(), relations: relations.count };
    let circle = relations.circle();
    if circle.is_empty() {
        return Ok(judged);
    }
    let part = circle.into_iter().filter_map(|number| transactions.get(number)).take(12);
    let part = part.map(|transaction| format!("client {}: {}", transaction.client, show(transaction.argv)));
    Err(format!(
        "each comes before the next, and the last before the first, among:\n{}",
        part.collect::<Vec<_>>().join("\n")
    ))
}

#[cfg(test)]
mod tests {
    use super::super::history::Operation;
    use super::super::scenario::argv;
    use super::*;

    /// Clients' commands as (text, invoked, returned, reply).
    fn history(clients: &[&[(&str, u64, u64, &str)]]) -> History {
        let mut history = History::default();
        for (id, commands) in clients.iter().enumerate() {
            history.ids.push(id as u64);
            history.left.push(None);
            let operation = |&(text, invoked, returned, _): &(&str, u64, u64, &str)| Operation {
                argv: argv(text),
                invoked,
                returned: Some(returned),
                since: 0,
            };
            history.operations.push(commands.iter().map(operation).collect());
            let frame = |&(_, _, _, reply): &(&str, u64, u64, &str)| {
                let bytes = reply.replace(' ', "\r\n") + "\r\n";
                Frame::decode(bytes.as_bytes()).expect("it is well formed").expect("it is whole").0
            };
            history.frames.push(commands.iter().map(frame).collect());
        }
        history
    }

    fn verdict(clients: &[&[(&str, u64, u64, &str)]]) -> Result<Judged, String> {
        judge(&history(clients)).expect("all commands are known")
    }

    #[test]
    fn one_order_explains_what_was_seen() {
        let judged = verdict(&[
            &[("APPEND a 1,", 1, 4, ":2"), ("APPEND b 2,", 5, 6, ":2")],
            &[("MGET a b", 2, 3, "*2 $2 1, $-1"), ("MGET a b", 7, 8, "*2 $2 1, $2 2,")],
        ]);
        assert_eq!(judged.map(|judged| judged.transactions), Ok(4));
    }

    #[test]
    fn what_was_answered_before_is_seen() {
        let stale = verdict(&[&[("APPEND a 1,", 1, 2, ":2")], &[("GET a", 3, 4, "$-1")]]);
        assert!(stale.is_err());
    }

    #[test]
    fn two_readers_see_two_writers_in_one_order() {
        let fork = verdict(&[
            &[("APPEND a 1,", 1, 10, ":2")],
            &[("APPEND b 2,", 1, 10, ":2")],
            &[("MGET a b", 1, 10, "*2 $2 1, $-1")],
            &[("MGET a b", 1, 10, "*2 $-1 $2 2,")],
        ]);
        assert!(fork.is_err());
    }

    #[test]
    fn a_transaction_is_seen_whole() {
        let half = verdict(&[
            &[
                ("MULTI", 1, 10, "+OK"),
                ("APPEND a 1,", 1, 10, "+QUEUED"),
                ("APPEND b 2,", 1, 10, "+QUEUED"),
                ("EXEC", 1, 10, "*2 :2 :2"),
            ],
            &[("MGET a b", 1, 10, "*2 $2 1, $-1")],
        ]);
        assert!(half.is_err());
    }

    #[test]
    fn nothing_is_lost_and_nothing_replaced() {
        let lost = verdict(&[&[("APPEND a 1,", 1, 2, ":2"), ("APPEND a 2,", 3, 4, ":2")]]);
        assert!(lost.is_err());
        let replaced = verdict(&[
            &[("APPEND a 1,", 1, 2, ":2"), ("GET a", 3, 4, "$2 1,")],
            &[("APPEND a 2,", 3, 4, ":2"), ("GET a", 5, 6, "$4 2,1,")],
        ]);
        assert!(replaced.is_err());
    }
}
