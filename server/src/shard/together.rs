//! A pipeline whose commands are at home in several slices: one entry of the order, whose parts run independently.
//!
//! Each command needs one slice alone, so nothing has to meet: at the entry's position every box runs the commands that
//! are at home there. All parts have one position, so the commands are one batch of one client to everybody else: what
//! is executed later sees all of them, and what is executed earlier sees none. Whoever brings the last part's replies
//! leaves them in the entry and notifies the box of the connection, which writes them in the order of the commands.
//!
//! What can refuse a command is looked at before the entry is appended; where something might (a memory limit, a pause,
//! a transaction being queued), and where somebody hears of them in their order (monitors, keyspace events), the commands run one by one instead.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use kevy::command::{Command, Flags, Handler};
use kevy::resp::{Args, Argv, Decoder};

use super::conn::{ConnId, ReplyMode, Waiting};
use super::links::{Origin, ShardId, Shards};
use super::witness::Happened;
use super::{Batch, Caller, Shard, gates};
use crate::order::mailbox::Mailbox;

/// Commands of one connection that are executed at one position.
pub struct Together {
    pub origin: Origin,
    caller: Caller,
    /// The number of the first among the connection's commands.
    first: u64,
    commands: Vec<Member>,
    parts: Mailbox<Part>,
    /// All parts, once the last has arrived.
    pub done: OnceLock<Vec<Part>>,
}

struct Member {
    command: &'static Command,
    argv: Argv,
    home: ShardId,
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
        let Some(conn) = self.conn(id) else { return 0 };
        let may_be_refused = self.config.settings.maxmemory != 0
            || (!conn.authenticated && !self.config.security.requirepass.is_empty())
            || self.session.pause.deadline().is_some()
            || conn.multi.is_some() && !kevy::bug!(BatchInTransaction)
            || conn.subscribed()
            || conn.monitor;
        // Whoever waits for a key must not be overtaken by the rest of the batch that pushes to it.
        let waited_for = self.common.away.load(Ordering::Relaxed) != 0 && !kevy::bug!(BatchesOvertakeWaiters);
        if may_be_refused
            || waited_for
            || conn.reply_mode != ReplyMode::On
            || self.is_monitored()
            || self.events_are_heard() && !kevy::bug!(EventsByPart)
            || self.owes()
        {
            return 0;
        }
        let caller = Caller { db: conn.db, protocol: conn.protocol, no_touch: conn.no_touch };
        let (client, first) = (conn.client, conn.commands + 1);
        let mut members = Vec::with_capacity(batch.commands.len());
        let mut shards = Shards::NONE;
        for decoded in &batch.commands {
            let buffer = if decoded.scratch { decoder.scratch() } else { &bytes[decoded.start..] };
            let args = Args::new(buffer, &batch.spans[decoded.spans.clone()]);
            let Ok(command) = gates::find(&self.config.security.renames, args) else { break };
            let plain = matches!(command.handler, Handler::Data(_))
                && command.accepts_arity(args.len())
                && !command.flags.intersects(Flags::BLOCKING.with(Flags::PROTECTED));
            let Some(home) = plain.then(|| self.route(id, command, args)).and_then(Shards::single) else {
                break;
            };
            shards = shards.with(Shards::one(home));
            members.push(Member { command, argv: Argv::from(args), home });
        }
        if members.len() < 2 || shards.len() < 2 {
            return 0;
        }
        let origin = Origin { shard: self.me(), conn: id, client };
        let (count, last) = (members.len(), members[members.len() - 1].command.id);
        let together = Together {
            origin,
            caller,
            first,
            commands: members,
            parts: Mailbox::new(shards.len()),
            done: OnceLock::new(),
        };
        if !self.append_together(shards, together) {
            return 0;
        }
        let conn = self.conn_mut(id).expect("just seen");
        conn.waiting = Waiting::Order;
        conn.commands += count as u64;
        conn.last_command = Some(last);
        count
    }

    /// Runs the commands that are at home here. Gives the connection's shard if these were the last.
    pub(super) fn run_part(&mut self, together: &Together) -> Option<ShardId> {
        let home = self.me();
        let mut part = Part { home, replies: Vec::new(), ends: Vec::new(), slow: Vec::new() };
        self.stopwatch = (self.env.stopwatch)();
        for (number, member) in together.commands.iter().enumerate() {
            if member.home == home {
                if kevy::bug!(PartSkipsLast) && number + 1 == together.commands.len() && number > 1 {
                    part.replies.extend_from_slice(b"+OK\r\n");
                    part.ends.push(part.replies.len());
                    continue;
                }
                if kevy::bug!(PartRunsTwice) {
                    self.links.as_deref_mut().expect("a batch has several boxes").set_member(number + 1);
                    self.run_member(together, member, &mut Vec::new());
                }
                self.links.as_deref_mut().expect("a batch has several boxes").set_member(number + 1);
                let micros = self.run_member(together, member, &mut part.replies);
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
        }
        self.links.as_deref_mut().expect("as above").set_member(0);
        let parts = together.parts.arrive(part)?;
        let set = together.done.set(parts);
        debug_assert!(set.is_ok(), "there is one last part");
        if !kevy::bug!(BatchUncounted) {
            self.common.completed(together.origin.shard).fetch_add(1, Ordering::Release);
        }
        Some(together.origin.shard)
    }

    fn run_member(&mut self, together: &Together, member: &Member, out: &mut Vec<u8>) -> u64 {
        let before = self.stopwatch;
        let (outcome, _) = self.execute(member.command, member.argv.as_args(), together.caller, false, out);
        self.commit();
        let number = self.links.as_deref().map_or(0, |links| links.member() as u64 - 1);
        self.testify_of(together.origin.client, together.first + number, Happened::Executed);
        self.stopwatch = (self.env.stopwatch)();
        let micros = self.stopwatch.saturating_sub(before);
        self.count_executed(member.command, micros, &outcome);
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
            let (part, number) =
                next.iter_mut().find(|(part, _)| part.home == member.home).expect("all are here");
            let at = if kevy::bug!(ReplySlotOff) { number.saturating_sub(1) } else { *number };
            let from = at.checked_sub(1).map_or(0, |last| part.ends[last]);
            out.extend_from_slice(&part.replies[from..part.ends[at]]);
            *number += 1;
        }
        for &(number, micros) in parts.iter().flat_map(|part| &part.slow) {
            let member = &together.commands[number];
            self.observe_slow(id, member.command, member.argv.as_args(), micros);
        }
        self.conn_mut(id).expect("just seen").waiting = Waiting::No;
        self.put_back(id, out, start);
        self.finished(id);
    }
}
