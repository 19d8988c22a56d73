//! MONITOR: every command that was executed, as a line, to the connections that asked for it.
//!
//! ```text
//! +1700000000.123456 [0 127.0.0.1:5000] "SET" "a" "b"
//! ```
//!
//! A command is fed after it ran, when it blocks if it does, and not again when it is served; administrative commands
//! are left out, and passwords are replaced. Redis's order therefore: MULTI, the transaction's commands, EXEC.

use std::io::Write;

use kevy::command::{Command, CommandError, CommandId, Flags};
use kevy::resp::Args;

use super::{Outcome, Session};
use crate::config::options;
use crate::shard::Shard;
use crate::shard::conn::{Conn, ConnId};

/// Shown instead of a secret.
pub const REDACTED: &[u8] = b"(redacted)";

pub fn monitor(s: &mut Session<'_>) -> Outcome {
    if s.shard.in_transaction {
        return Err(CommandError::Text("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    let id = s.id;
    // Asked again, Redis says nothing.
    if !s.conn().monitor {
        s.conn_mut().monitor = true;
        s.shard.monitors.insert(id);
        s.shard.listeners_changed();
        s.reply.ok();
    }
    Ok(())
}

/// Whether the argument at `index` is a secret that no log and no monitor may show.
pub fn is_secret(command: &Command, args: Args<'_>, index: usize) -> bool {
    match command.id {
        CommandId::Auth => index > 0,
        CommandId::Hello => {
            (index > 2 && args.at(index - 1).eq_ignore_ascii_case(b"AUTH"))
                || (index > 3 && args.at(index - 2).eq_ignore_ascii_case(b"AUTH"))
        }
        CommandId::ConfigSet => {
            index > 2
                && index % 2 == 1
                && options::find(args.at(index - 1)).is_some_and(|option| option.has(options::SENSITIVE))
        }
        _ => false,
    }
}

/// Appends `bytes` in double quotes, everything but printable ASCII escaped.
pub fn quote(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => {
                // Writing to a vector cannot fail.
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push(b'"');
}

impl Shard {
    /// Tells the monitors about a command that a connection executed.
    #[cold]
    pub(in crate::shard) fn feed_monitors(&mut self, id: ConnId, command: &Command, args: Args<'_>) {
        if command.flags.intersects(Flags::ADMIN.with(Flags::SKIP_MONITOR)) {
            return;
        }
        let Some(conn) = self.conn(id) else { return };
        let micros = self.now.unix_micros();
        let mut line = Vec::with_capacity(64 + args.byte_len());
        // Writing to a vector cannot fail.
        let _ = write!(line, "+{}.{:06} [{} ", micros / 1_000_000, micros % 1_000_000, conn.db);
        if conn.peer.unix {
            line.extend_from_slice(b"unix:");
            line.extend_from_slice(&self.config.network.unixsocket);
        } else {
            line.extend_from_slice(conn.peer.addr.as_bytes());
        }
        line.push(b']');
        for (index, arg) in args.iter().enumerate() {
            line.push(b' ');
            quote(&mut line, if is_secret(command, args, index) { REDACTED } else { arg });
        }
        line.extend_from_slice(b"\r\n");
        self.monitor_line(line);
    }

    /// Sends a line to the monitors among this shard's connections.
    pub(in crate::shard) fn deliver_line(&mut self, line: &[u8]) {
        for monitor in self.monitors.clone() {
            // What is shown counts as a reply, and can be switched off like one.
            let hears = |conn: &&mut Conn| conn.hears_replies() || kevy::bug!(MonitorsHearAll);
            if let Some(conn) = self.conn_mut(monitor).filter(hears) {
                conn.out.extend_from_slice(line);
                self.queue_send(monitor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_as_redis_quotes() {
        let mut out = Vec::new();
        quote(&mut out, b"a\"\\\n\r\t\x07\x08\x00\xff~");
        assert_eq!(out, b"\"a\\\"\\\\\\n\\r\\t\\a\\b\\x00\\xff~\"");
    }
}
