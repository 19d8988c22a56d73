//! What stands before a command runs, in Redis's order: which of two errors wins is visible to clients.

use kevy::command::spec::Command;
use kevy::command::table::{lookup, subcommand};
use kevy::command::{CommandId, Flags};
use kevy::resp::{Frame, Protocol};

use crate::{Answer, Ask, Bytes, Model, Request, Want, number};

/// What is answered when memory is short.
pub const OUT_OF_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// Finds the command (with its subcommand) and checks the number of arguments.
pub fn resolve(argv: &[Bytes]) -> Result<&'static Command, String> {
    let mut command = lookup(&argv[0]).ok_or_else(|| unknown_command(argv))?;
    if command.subcommand_count > 0 && argv.len() > 1 {
        command = subcommand(command, &argv[1]).ok_or_else(|| {
            let name = c_string(&argv[1], 128);
            format!("ERR unknown subcommand '{name}'. Try {} HELP.", command.name.to_uppercase())
        })?;
    }
    if !command.accepts_arity(argv.len()) {
        return Err(wrong_arity(command.name));
    }
    Ok(command)
}

pub fn wrong_arity(name: &str) -> String {
    format!("ERR wrong number of arguments for '{name}' command")
}

/// The complaint of a subcommand that looks at its number of arguments itself.
pub fn wrong_subcommand(ask: &Ask) -> String {
    let [container, name] = [ask.arg(0), ask.arg(1)].map(|name| c_string(name, 128));
    let container = container.to_uppercase();
    format!("ERR unknown subcommand or wrong number of arguments for '{name}'. Try {container} HELP.")
}

/// Shows the arguments until 128 bytes of them (with their quotes) have been shown.
fn unknown_command(argv: &[Bytes]) -> String {
    let mut shown = String::new();
    for arg in &argv[1..] {
        let left = 128usize.saturating_sub(shown.chars().count());
        if left == 0 {
            break;
        }
        shown += &format!("'{}' ", c_string(arg, left));
    }
    format!("ERR unknown command '{}', with args beginning with: {shown}", c_string(&argv[0], 128))
}

/// Bytes as C prints a string: up to a zero byte or the limit; in an error text every byte is one character.
pub fn c_string(bytes: &[u8], limit: usize) -> String {
    number::latin1(bytes.split(|&b| b == 0).next().unwrap_or_default().iter().copied().take(limit))
}

impl Model {
    /// Refuses, queues or runs a request.
    pub(crate) fn admit(&mut self, request: &Request, reply: Option<&Frame>) -> Answer {
        let argv = &request.argv;
        let command = match self.check(request.conn, argv) {
            Ok(command) => command,
            Err(error) => return self.refuse(request.conn, argv, error),
        };
        if self.must_wait(request.conn, command, request.now) {
            return self.postpone(request);
        }
        let session = self.session(request.conn);
        let fails = session.refused || session.dirty;
        match &mut session.queue {
            Some(queue) if !runs_inside_multi(command.id) => {
                session.asks_memory |= !session.refused && command.flags.contains(Flags::DENYOOM);
                // What will not run is not kept.
                if !fails {
                    queue.push(argv.clone());
                }
                Ok(Want::Status("QUEUED"))
            }
            _ => self.call(request.conn, request.now, argv, true, reply),
        }
    }

    /// Whether a request would be refused if memory were short.
    pub fn refuses_without_memory(&self, request: &Request) -> bool {
        let mut short = Model { out_of_memory: true, ..self.clone() };
        short.check(request.conn, &request.argv).is_err_and(|error| error == OUT_OF_MEMORY)
    }

    /// Whether a request passes the gates.
    pub(crate) fn check(&mut self, conn: usize, argv: &[Bytes]) -> Result<&'static Command, String> {
        let command = resolve(argv)?;
        let session = self.session(conn);
        if session.queue.is_some() && command.flags.contains(Flags::NO_MULTI) {
            return Err("ERR Command not allowed inside a transaction".into());
        }
        if self.out_of_memory && self.needs_memory(conn, command) {
            return Err(OUT_OF_MEMORY.into());
        }
        let session = self.session(conn);
        if session.protocol == Protocol::Resp2
            && session.subscriptions() + session.shard_channels.len() > 0
            && !runs_in_subscriber_mode(command.id)
        {
            return Err(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed \
                 in this context",
                command.name
            ));
        }
        Ok(command)
    }

    /// Whether a command may need more memory, or is an EXEC of one.
    pub(crate) fn needs_memory(&self, conn: usize, command: &Command) -> bool {
        let session = self.sessions.get(&conn);
        command.flags.contains(Flags::DENYOOM)
            || command.id == CommandId::Exec && session.is_some_and(|session| session.asks_memory)
    }

    /// A refusal while commands are being queued makes EXEC abort; a refused EXEC aborts at once, even without MULTI.
    fn refuse(&mut self, conn: usize, argv: &[Bytes], error: String) -> Answer {
        let session = self.session(conn);
        session.refused |= session.queue.is_some();
        if lookup(&argv[0]).is_some_and(|command| command.id == CommandId::Exec) {
            session.end_transaction();
            let reason = error.strip_prefix("ERR ").unwrap_or(&error);
            return Err(format!("EXECABORT Transaction discarded because of: {reason}"));
        }
        Err(error)
    }
}

fn runs_inside_multi(id: CommandId) -> bool {
    use CommandId::*;
    matches!(id, Exec | Discard | Multi | Watch | Quit | Reset)
}

fn runs_in_subscriber_mode(id: CommandId) -> bool {
    use CommandId::*;
    matches!(
        id,
        Ping | Subscribe | Unsubscribe | PSubscribe | PUnsubscribe | SSubscribe | SUnsubscribe | Quit | Reset
    )
}
