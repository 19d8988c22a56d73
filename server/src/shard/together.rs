//! Commands that are at home in several slices and need no two of them at once: one entry of the order, whose parts run
//! independently. A pipeline of commands that each need one slice, and a command over keys each of which it treats alone
//! (MGET, MSET, DEL and the like: the command table says which, by Redis's own tips for clusters).
//!
//! Nothing has to meet: at the entry's position every box runs what is at home there, by the handler that every command
//! has. All parts have one position, so together they are executed at once as far as anybody else can tell: what is
//! executed later sees all of them, and what is executed earlier sees none. Whoever brings the last part's replies leaves
//! them in the entry and notifies the box of the connection, which writes them in the order of the commands.
//!
//! This is what happens where a box is busy; where all are at home, they are visited instead, which costs
//! half as much.
//!
//! What can refuse a command is looked at before the entry is appended; where something might (a memory limit, a pause, a
//! transaction being queued), and where somebody hears of commands in their order (monitors, keyspace events), they run
//! one by one instead, and those over several slices as gathers.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use kevy::command::spec::{Begin, Find, RequestPolicy, ResponsePolicy};
use kevy::command::{Command, CommandId, Flags, Handler};
use kevy::resp::{Args, Argv, Decoder};

use super::conn::{ConnId, ReplyMode, Waiting};
use super::links::{Origin, ShardId, Shards};
use super::witness::Happened;
use super::{Batch, Caller, Shard, gates};
use crate::order::mailbox::Mailbox;

/// Bytes of arguments for which there is room from the first on.
const COPIED_AT_ONCE: usize = 4096;

/// Commands of one connection that are executed at one position.
pub struct Together {
    pub origin: Origin,
    caller: Caller,
    /// The number of the first among the connection's commands.
    first: u64,
    /// The arguments of all commands, one after the other.
    words: Argv,
    commands: Vec<Member>,
    parts: Mailbox<Part>,
    /// All parts, once the last has arrived; none if it was cancelled.
    pub done: OnceLock<Vec<Part>>,
}

impl Together {
    /// Nothing of it is executed, unless everything is already: no box may stand before an entry that is executed in part.
    pub fn cancel(&self) {
        let _ = self.done.set(Vec::new());
    }

    fn args(&self, member: &Member) -> Args<'_> {
        self.words.as_args().until(member.words.end).from(member.words.start)
    }
}

struct Member {
    command: &'static Command,
    /// Its arguments among all.
    words: Range<usize>,
    home: Home,
}

enum Home {
    One(ShardId),
    /// A command over several slices: where each of its keys is at home.
    OfKeys(Split, Vec<ShardId>),
}

impl Home {
    fn set(&self) -> Shards {
        self.shards().fold(Shards::NONE, |shards, home| shards.with(Shards::one(home)))
    }

    /// Each shard that has a part, in order of the first key.
    fn shards(&self) -> impl Iterator<Item = ShardId> {
        let homes = match self {
            Home::One(home) => std::slice::from_ref(home),
            Home::OfKeys(_, homes) => homes,
        };
        homes.iter().enumerate().filter(|&(at, home)| !homes[..at].contains(home)).map(|(_, &home)| home)
    }
}

/// How a command over several keys is executed in parts.
#[derive(Clone, Copy)]
struct Split {
    /// Every so many arguments, beginning with the first, there is a key.
    step: usize,
    join: Join,
}

/// How the replies of parts become one.
#[derive(Clone, Copy)]
enum Join {
    /// They are all the same.
    Same,
    Sum,
    /// An element for each key, in order of the keys.
    Elements,
}

impl Split {
    fn of(command: &Command, args: usize) -> Option<Split> {
        let (Some(RequestPolicy::MultiShard), [keys]) = (command.tips.request(), command.keys) else {
            return None;
        };
        let (Begin::Index(1), Find::Range { last: -1, step, limit: 0 | 1 }) = (keys.begin, keys.find) else {
            return None;
        };
        let join = match command.tips.response() {
            None => Join::Elements,
            Some(ResponsePolicy::AggSum) => Join::Sum,
            Some(ResponsePolicy::AllSucceeded) => Join::Same,
            Some(_) => return None,
        };
        let step = usize::from(step);
        // The handler says what is wrong with a key that lacks its value.
        (args - 1).is_multiple_of(step).then_some(Split { step, join })
    }
}

/// The replies of one box to the commands that are at home there, one after the other.
pub struct Part {
    home: ShardId,
    replies: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// Commands that were slow, by number, with their microseconds.
    slow: Vec<(usize, u64)>,
}

impl Shard {
    /// Appends as many of the decoded commands as can run together, from the first on, if they need several slices. Gives
    /// how many: then the connection waits for their replies. 0: they have to be executed one by one.
    pub(super) fn run_together(
        &mut self,
        id: ConnId,
        bytes: &[u8],
        batch: &Batch,
        decoder: &Decoder,
    ) -> usize {
        // Each command would be looked at before it is executed: together they are where none would be refused.
        if !self.may_run_together(id) || self.exceeds_memory(bytes.len()) && !kevy::bug!(BatchBeyondMemory) {
            return 0;
        }
        let mut members = Vec::with_capacity(batch.commands.len());
        let mut words = Argv::with_capacity(batch.spans.len(), bytes.len().min(COPIED_AT_ONCE));
        for decoded in &batch.commands {
            let args = decoded.args(bytes, batch, decoder);
            let Ok(command) = gates::find(&self.config.security.renames, args) else { break };
            if !command.accepts_arity(args.len()) {
                break;
            }
            let Some(member) = self.member(id, command, args, &mut words) else { break };
            members.push(member);
        }
        let Some(first) = self.conn(id).map(|conn| conn.commands + 1) else { return 0 };
        if members.len() < 2 {
            return 0;
        }
        let shards = members.iter().fold(Shards::NONE, |shards, member| shards.with(member.home.set()));
        let (count, last) = (members.len(), members[members.len() - 1].command.id);
        if shards.len() < 2 || !self.append_members(id, first, words, members, shards) {
            return 0;
        }
        let conn = self.conn_mut(id).expect("just seen");
        conn.commands += count as u64;
        conn.last_command = Some(last);
        count
    }

    /// Appends an admitted command that is at home elsewhere, or in several slices that it does not need at once. False: it
    /// cannot be executed without its connection's box, or not now.
    pub(super) fn run_apart(&mut self, id: ConnId, command: &'static Command, args: Args<'_>) -> bool {
        if !self.may_run_together(id) {
            return false;
        }
        let mut words = Argv::with_capacity(args.len(), args.byte_len());
        let (Some(member), Some(conn)) = (self.member(id, command, args, &mut words), self.conn(id)) else {
            return false;
        };
        let (first, shards) = (conn.commands, member.home.set());
        self.append_members(id, first, words, vec![member], shards)
    }

    /// Whether a connection's commands can run in parts now: nothing refuses, holds back, or hears of one of them.
    fn may_run_together(&self, id: ConnId) -> bool {
        let Some(conn) = self.conn(id) else { return false };
        let may_be_refused = (!conn.authenticated && !self.config.security.requirepass.is_empty())
            || self.session.pause.is_on()
            || conn.multi.is_some() && !kevy::bug!(BatchInTransaction)
            || conn.listens();
        // Whoever waits for a key must not be overtaken by the rest of the batch that pushes to it.
        let waited_for = self.common.away.load(Ordering::Relaxed) != 0;
        let heard = self.is_monitored() || self.events_are_heard() && !kevy::bug!(EventsByPart);
        !(may_be_refused || waited_for || heard || conn.reply_mode != ReplyMode::On || self.owes())
    }

    /// A command that needs no two slices at once. Its arguments are appended to those of others.
    fn member(
        &self,
        id: ConnId,
        command: &'static Command,
        args: Args<'_>,
        words: &mut Argv,
    ) -> Option<Member> {
        // A step of SCAN may need the slice after its own.
        if !is_plain(command) || command.id == CommandId::Scan {
            return None;
        }
        let home = match self.route(id, command, args).single() {
            Some(home) => Home::One(home),
            None => {
                let split = Split::of(command, args.len())?;
                let keys = (1..args.len()).step_by(split.step);
                let dbs = &self.realm.keyspace.dbs;
                Home::OfKeys(split, keys.map(|index| dbs.home(args.at(index))).collect())
            }
        };
        let start = words.len();
        args.iter().for_each(|word| words.push(word));
        Some(Member { command, words: start..words.len(), home })
    }

    /// Appends commands of a connection, the first of which has the number. False: the order is full.
    fn append_members(
        &mut self,
        id: ConnId,
        first: u64,
        words: Argv,
        members: Vec<Member>,
        shards: Shards,
    ) -> bool {
        let Some(conn) = self.conn(id) else { return false };
        let caller = Caller { db: conn.db, protocol: conn.protocol, no_touch: conn.no_touch };
        let origin = Origin { shard: self.me(), conn: id, client: conn.client };
        let (parts, done) = (Mailbox::new(shards.len()), OnceLock::new());
        let together = Together { origin, caller, first, words, commands: members, parts, done };
        let appended = self.append_together(shards, together);
        if appended {
            self.conn_mut(id).expect("just seen").waiting = Waiting::Order;
        }
        appended
    }

    /// Runs what is at home here. Gives the connection's shard if these were the last.
    pub(super) fn run_part(&mut self, together: &Together) -> Option<ShardId> {
        if together.done.get().is_some() {
            return None;
        }
        let home = self.me();
        let mut part = Part {
            home,
            // A status, or a value of some size.
            replies: Vec::with_capacity(128 * together.commands.len()),
            ends: Vec::with_capacity(together.commands.len()),
            slow: Vec::new(),
        };
        let mut spans = Vec::new();
        let mine =
            together.commands.iter().filter(|member| matches!(member.home, Home::One(one) if one == home));
        let keys = mine.filter_map(|member| together.args(member).get(1));
        self.prefetch(together.caller.db, keys);
        self.stopwatch = (self.env.stopwatch)();
        for (number, member) in together.commands.iter().enumerate() {
            // A command is counted, and told of, by the shard of its first key.
            let (args, counts) = match &member.home {
                Home::One(one) if *one == home => (together.args(member), true),
                Home::OfKeys(split, homes) if homes.contains(&home) => {
                    let words = |key: usize| 1 + key * split.step..1 + (key + 1) * split.step;
                    let mine = (0..homes.len()).filter(|&key| homes[key] == home).flat_map(words);
                    let args = together.args(member).select(std::iter::once(0).chain(mine), &mut spans);
                    (args, homes[0] == home)
                }
                _ => continue,
            };
            if kevy::bug!(PartSkipsLast) && number + 1 == together.commands.len() && number > 1 {
                part.replies.extend_from_slice(b"+OK\r\n");
                part.ends.push(part.replies.len());
                continue;
            }
            self.links.as_deref_mut().expect("a batch has several boxes").set_member(number + 1);
            if kevy::bug!(PartRunsTwice) {
                self.run_member(together, member, (args, counts), &mut Vec::new());
            }
            let micros = self.run_member(together, member, (args, counts), &mut part.replies);
            part.ends.push(part.replies.len());
            if micros >= self.session.slow_from {
                part.slow.push((number, micros));
            }
            if self.realm.is_ready() {
                // Who waits for what was done comes before the next command, as anywhere.
                self.serve_blocked();
                self.stopwatch = (self.env.stopwatch)();
            }
        }
        self.links.as_deref_mut().expect("as above").set_member(0);
        let parts = together.parts.arrive(part)?;
        let set = together.done.set(parts);
        debug_assert!(set.is_ok(), "there is one last part");
        if !kevy::bug!(BatchUncounted) {
            self.common.completed(together.origin.shard).count();
        }
        Some(together.origin.shard)
    }

    fn run_member(
        &mut self,
        together: &Together,
        member: &Member,
        (args, counts): (Args<'_>, bool),
        out: &mut Vec<u8>,
    ) -> u64 {
        let before = self.stopwatch;
        let (outcome, _) = self.execute(member.command, args, together.caller, false, out);
        self.commit();
        if counts {
            let number = self.links.as_deref().map_or(0, |links| links.member() as u64 - 1);
            self.testify_of(together.origin.client, together.first + number, Happened::Executed);
        }
        self.stopwatch = (self.env.stopwatch)();
        let micros = self.stopwatch.saturating_sub(before);
        if counts {
            self.count_executed(member.command, micros, &outcome);
        }
        micros
    }

    /// Writes the replies of a batch of one of this shard's connections, in the order of its commands.
    pub(super) fn answer_together(&mut self, together: &Together) {
        let (id, Some(parts)) = (together.origin.conn, together.done.get()) else { return };
        if self.conn(id).is_none_or(|conn| conn.client != together.origin.client) {
            return;
        }
        let mut out = self.take_out(id);
        let start = out.len();
        if kevy::bug!(RepliesByPart) {
            parts.iter().for_each(|part| out.extend_from_slice(&part.replies));
        }
        let mut next: Vec<(&Part, usize)> = parts.iter().map(|part| (part, 0)).collect();
        for member in together.commands.iter().take(if kevy::bug!(RepliesByPart) { 0 } else { usize::MAX }) {
            match &member.home {
                Home::One(home) => out.extend_from_slice(reply_of(&mut next, *home)),
                Home::OfKeys(split, homes) => {
                    let replies = member.home.shards().map(|home| (home, reply_of(&mut next, home)));
                    join(*split, homes, replies.collect(), &mut out);
                }
            }
        }
        for &(number, micros) in parts.iter().flat_map(|part| &part.slow) {
            let member = &together.commands[number];
            self.observe_slow(id, member.command, together.args(member), micros);
        }
        self.conn_mut(id).expect("just seen").waiting = Waiting::No;
        self.put_back(id, out, start);
        self.finished(id);
    }
}

/// Whether a command is about data and nothing else, and ends when it is executed.
pub fn is_plain(command: &Command) -> bool {
    matches!(command.handler, Handler::Data(_))
        && !command.flags.intersects(Flags::BLOCKING.with(Flags::PROTECTED))
}

/// The next reply of a shard's part.
fn reply_of<'p>(next: &mut [(&'p Part, usize)], home: ShardId) -> &'p [u8] {
    let (part, number) = next.iter_mut().find(|(part, _)| part.home == home).expect("all are here");
    let at = if kevy::bug!(ReplySlotOff) { number.saturating_sub(1) } else { *number };
    let from = at.checked_sub(1).map_or(0, |last| part.ends[last]);
    *number += 1;
    &part.replies[from..part.ends[at]]
}

/// Writes one reply made of those of a command's parts.
fn join(split: Split, homes: &[ShardId], mut replies: Vec<(ShardId, &[u8])>, out: &mut Vec<u8>) {
    let first = replies[0].1;
    match split.join {
        Join::Same => out.extend_from_slice(first),
        Join::Sum => {
            let sum = replies.iter().map(|(_, reply)| header(reply).0).sum::<usize>();
            out.extend_from_slice(
                format!(":{}\r\n", if kevy::bug!(OnePartCounts) { header(first).0 } else { sum }).as_bytes(),
            );
        }
        Join::Elements => {
            out.extend_from_slice(format!("*{}\r\n", homes.len()).as_bytes());
            for (_, reply) in &mut replies {
                *reply = &reply[header(reply).1..];
            }
            for (at, home) in homes.iter().enumerate() {
                let of = if kevy::bug!(ElementsByPart) { at * replies.len() / homes.len() } else { 0 };
                let mut owners = replies.iter_mut();
                let owner = if kevy::bug!(ElementsByPart) {
                    owners.nth(of)
                } else {
                    owners.find(|(owner, _)| owner == home)
                };
                let (_, reply) = owner.expect("each has a part");
                let (element, rest) = reply.split_at(element(reply));
                out.extend_from_slice(element);
                *reply = rest;
            }
        }
    }
}

/// The number in the first line of a reply (0 if there is none), and where the line ends.
fn header(reply: &[u8]) -> (usize, usize) {
    let end = reply.iter().position(|&byte| byte == b'\r').map_or(reply.len(), |end| end + 2);
    let digits =
        reply.iter().skip(1).map_while(|byte| byte.is_ascii_digit().then(|| usize::from(byte - b'0')));
    (digits.fold(0, |number, digit| number * 10 + digit), end)
}

/// The length of a string or null at the beginning of a reply.
fn element(reply: &[u8]) -> usize {
    let (len, end) = header(reply);
    if reply.starts_with(b"$") && !reply.starts_with(b"$-") { end + len + 2 } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(join_by: Join, homes: &[ShardId], replies: &[(ShardId, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        join(Split { step: 1, join: join_by }, homes, replies.to_vec(), &mut out);
        out
    }

    #[test]
    fn elements_come_in_order_of_the_keys() {
        let replies: [(ShardId, &[u8]); 2] = [(1, b"*2\r\n$1\r\na\r\n$-1\r\n"), (0, b"*1\r\n$2\r\n\r\n\r\n")];
        assert_eq!(joined(Join::Elements, &[1, 0, 1], &replies), b"*3\r\n$1\r\na\r\n$2\r\n\r\n\r\n$-1\r\n");
        let replies: [(ShardId, &[u8]); 2] = [(1, b"*1\r\n_\r\n"), (2, b"*2\r\n$0\r\n\r\n_\r\n")];
        assert_eq!(joined(Join::Elements, &[2, 1, 2], &replies), b"*3\r\n$0\r\n\r\n_\r\n_\r\n");
    }

    #[test]
    fn numbers_are_added() {
        assert_eq!(joined(Join::Sum, &[0, 1, 1], &[(0, b":9\r\n"), (1, b":14\r\n")]), b":23\r\n");
    }
}
