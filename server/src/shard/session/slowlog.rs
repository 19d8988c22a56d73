//! SLOWLOG: the last commands that took longer than `slowlog-log-slower-than` microseconds.
//!
//! Entries hold at most `ARGS` arguments of at most `ARG_BYTES` bytes, so that the log cannot hold much memory.

use std::collections::VecDeque;

use kevy::command::{Command, CommandError, Flags};
use kevy::number::parse_i64;
use kevy::resp::Args;

use super::{Outcome, Session, monitor};
use crate::shard::Shard;
use crate::shard::conn::ConnId;

const ARGS: usize = 32;
const ARG_BYTES: usize = 128;

struct Entry {
    id: u64,
    unix_seconds: u64,
    micros: u64,
    args: Vec<Vec<u8>>,
    addr: String,
    name: Vec<u8>,
}

/// The log, newest entry first.
#[derive(Default)]
pub struct State {
    entries: VecDeque<Entry>,
}

impl State {
    pub fn shorten(&mut self, len: usize) {
        self.entries.truncate(len);
    }
}

impl Shard {
    /// Logs a command that took long.
    pub(in crate::shard) fn log_slow(&mut self, id: ConnId, command: &Command, args: Args<'_>, micros: u64) {
        if command.flags.contains(Flags::SKIP_SLOWLOG) {
            return;
        }
        let Some(conn) = self.conn(id) else { return };
        let kept = if args.len() > ARGS { ARGS - 1 } else { args.len() };
        let mut shown: Vec<Vec<u8>> = (0..kept)
            .map(|index| {
                let arg = args.at(index);
                if monitor::is_secret(command, args, index) {
                    monitor::REDACTED.to_vec()
                } else if arg.len() > ARG_BYTES {
                    let more = format!("... ({} more bytes)", arg.len() - ARG_BYTES);
                    [&arg[..ARG_BYTES], more.as_bytes()].concat()
                } else {
                    arg.to_vec()
                }
            })
            .collect();
        if kept < args.len() {
            shown.push(format!("... ({} more arguments)", args.len() - kept).into_bytes());
        }
        let entry = Entry {
            id: self.common.next_slowlog(),
            unix_seconds: self.now.unix / 1000,
            micros,
            args: shown,
            addr: conn.peer.addr.clone(),
            name: conn.name.clone(),
        };
        let log = &mut self.session.slowlog;
        log.entries.push_front(entry);
        log.entries.truncate(self.config.latency.slowlog_max_len);
    }
}

pub fn get(s: &mut Session<'_>) -> Outcome {
    if s.args.len() > 3 {
        return Err(s.wrong_subcommand());
    }
    let present = s.shard.present();
    let mut entries: Vec<&Entry> = present.iter().flat_map(|shard| &shard.session.slowlog.entries).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    let len = entries.len();
    let count = match s.args.get(2) {
        None => 10,
        Some(word) => match parse_i64(word) {
            Some(-1) => len,
            Some(count) if count >= 0 => count as usize,
            _ => return Err(CommandError::Text("ERR count should be greater than or equal to -1")),
        },
    };
    let r = &mut s.reply;
    r.array(count.min(len));
    for entry in entries.into_iter().take(count) {
        r.array(6);
        r.int(entry.id as i64);
        r.int(entry.unix_seconds as i64);
        r.int(entry.micros as i64);
        r.array(entry.args.len());
        for arg in &entry.args {
            r.bulk(arg);
        }
        r.bulk(entry.addr.as_bytes());
        r.bulk(&entry.name);
    }
    Ok(())
}

pub fn len(s: &mut Session<'_>) -> Outcome {
    let len: usize = s.shard.present().iter().map(|shard| shard.session.slowlog.entries.len()).sum();
    s.reply.int(len as i64);
    Ok(())
}

pub fn reset(s: &mut Session<'_>) -> Outcome {
    s.shard.everywhere(|shard| shard.session.slowlog.entries.clear());
    s.reply.ok();
    Ok(())
}

pub fn help(s: &mut Session<'_>) -> Outcome {
    s.help(&[
        "GET [<count>]",
        "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
        "    Entries are made of:",
        "    id, timestamp, time in microseconds, arguments array, client IP and port,",
        "    client name",
        "LEN",
        "    Return the length of the slowlog.",
        "RESET",
        "    Reset the slowlog.",
    ]);
    Ok(())
}
