//! Hand-written cases: commands, and their replies as redis-cli prints them. They are recorded from a redis-server.
//!
//! ```text
//! # ZADD GT moves scores only upwards; without CH the reply counts additions.
//! > ZADD z 5 a
//! (integer) 1
//! 2> ZSCORE z a          connection 2; without a number it is connection 0
//! "5"
//! 3< [0] "ZSCORE" "z" "a"
//! > CLIENT REPLY OFF
//! +> CLIENT REPLY ON     sent together with the one before
//! OK
//! ```
//!
//! Every command is answered before the next one is sent, so no command of a transcript may wait. A command that is
//! answered by several frames prints them all, each on lines of its own. `3<` stands before the lines of what arrives on
//! another connection: messages, and what a monitor is shown, without time, address and PING. Where the server closes the
//! connection instead of an answer, `closed:` stands before the beginning of one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;

use kevy::resp::Frame;
use kevy_model::generator::split_words;

use crate::compare;
use crate::server::Server;
use crate::wire::{Wire, decode};

/// One command of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The line it stands on.
    pub line: usize,
    pub conn: usize,
    pub argv: Vec<Vec<u8>>,
    /// What is sent together with it.
    pub more: Vec<Vec<Vec<u8>>>,
    pub reply: String,
}

/// The commands of a transcript. Lines before the first command are comments.
pub fn parse(text: &str) -> Result<Vec<Exchange>, String> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words = |command: &str| {
            let argv = split_words(command.as_bytes()).filter(|argv| !argv.is_empty());
            argv.ok_or_else(|| format!("line {}: no command: {line}", index + 1))
        };
        if let Some(command) = line.strip_prefix(TOGETHER) {
            let last = exchanges.last_mut().filter(|last| last.reply.is_empty());
            let last = last.ok_or_else(|| format!("line {}: no command before it", index + 1))?;
            last.more.push(words(command)?);
        } else if let Some((conn, command)) = command(line) {
            let (argv, more) = (words(command)?, Vec::new());
            exchanges.push(Exchange { line: index + 1, conn, argv, more, reply: String::new() });
        } else if !is_comment(line) {
            let last =
                exchanges.last_mut().ok_or_else(|| format!("line {}: a reply to nothing", index + 1))?;
            if !last.reply.is_empty() {
                last.reply.push('\n');
            }
            last.reply.push_str(line);
        }
    }
    Ok(exchanges)
}

/// Before a command that is sent together with the one before it.
const TOGETHER: &str = "+> ";

fn is_comment(line: &str) -> bool {
    line.is_empty() || line.starts_with('#')
}

fn command(line: &str) -> Option<(usize, &str)> {
    let (conn, command) = line.split_once("> ")?;
    match conn {
        "" => Some((0, command)),
        conn => Some((conn.parse().ok()?, command)),
    }
}

/// The transcript again, with the replies that a server gives now.
pub fn record(text: &str, server: &Server) -> Result<String, String> {
    let exchanges = parse(text)?;
    let replies = replies(&exchanges, server).map_err(|error| error.to_string())?;
    let mut replies = replies.into_iter();
    let mut recorded = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if command(line).is_some() || line.starts_with(TOGETHER) {
            recorded.push_str(line);
            recorded.push('\n');
            if lines.peek().is_some_and(|line| line.starts_with(TOGETHER)) {
                continue;
            }
            recorded.push_str(&replies.next().unwrap_or_default());
            recorded.push('\n');
        } else if is_comment(line) {
            recorded.push_str(line);
            recorded.push('\n');
        }
    }
    Ok(recorded)
}

/// Where a server answers otherwise than a transcript says.
pub fn check(text: &str, server: &Server) -> Result<Vec<String>, String> {
    let exchanges = parse(text)?;
    let replies = replies(&exchanges, server).map_err(|error| error.to_string())?;
    let differing = exchanges.iter().zip(&replies).filter(|(exchange, reply)| !same(&exchange.reply, reply));
    let report = differing.map(|(exchange, reply)| {
        let command = crate::known::command_text(&exchange.argv);
        format!("line {}: {command}\nexpected: {}\nanswered: {reply}", exchange.line, exchange.reply)
    });
    Ok(report.collect())
}

/// Lines of a reply that look like comments or are empty are not kept by a transcript.
fn same(expected: &str, reply: &str) -> bool {
    expected.lines().eq(reply.lines().filter(|line| !is_comment(line)))
}

fn replies(exchanges: &[Exchange], server: &Server) -> io::Result<Vec<String>> {
    let mut control = server.connect()?;
    control.call(&["FLUSHALL"])?;
    let mut wires: BTreeMap<usize, Wire> = BTreeMap::new();
    let mut replies = Vec::new();
    for exchange in exchanges {
        let wire = match wires.entry(exchange.conn) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(server.connect()?),
        };
        let mut bytes = Vec::new();
        for argv in std::iter::once(&exchange.argv).chain(&exchange.more) {
            crate::wire::encode(argv, &mut bytes);
        }
        wire.send(&bytes)?;
        let mut arrived = Vec::new();
        match wire.read_frame() {
            Ok(frame) => arrived.push((exchange.conn, decode(&frame)?)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                replies.push(closed(wire.left()));
                wires.remove(&exchange.conn);
                continue;
            }
            Err(error) => return Err(error),
        }
        // What else there is has been written when the control connection is answered for the second time.
        control.call(&["PING"])?;
        control.call(&["PING"])?;
        for (&conn, wire) in &mut wires {
            while let Some(frame) = wire.poll_frame()? {
                arrived.push((conn, decode(&frame)?));
            }
        }
        replies.push(printed(exchange.conn, &arrived));
    }
    Ok(replies)
}

/// For what has come when the connection is closed instead of an answer.
pub fn closed(left: &[u8]) -> String {
    format!("closed: {}", left.escape_ascii())
}

/// What has arrived, by connection, after a command on connection `asked`.
pub fn printed(asked: usize, arrived: &[(usize, Frame)]) -> String {
    let (own, others): (Vec<_>, Vec<_>) = arrived.iter().partition(|(conn, _)| *conn == asked);
    let mut lines = Vec::new();
    for (conn, frame) in own.into_iter().chain(others) {
        let shown = compare::shown_command(&frame.to_bytes());
        if shown.as_deref().is_some_and(compare::shows_tester) {
            continue;
        }
        let text = shown.unwrap_or_else(|| frame.to_string());
        match *conn == asked {
            true => lines.push(text),
            false => lines.extend(text.lines().map(|line| format!("{conn}< {line}"))),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_has_commands_replies_and_comments() {
        let text = "# about\n> SET k \"a b\"\nOK\n\n# more\n2> LRANGE l 0 -1\n1) \"a\"\n2) \"b\"\n";
        let exchanges = parse(text).unwrap();
        assert_eq!(exchanges[0].argv[2], b"a b");
        assert_eq!((exchanges[1].conn, exchanges[1].line), (2, 6));
        assert_eq!(exchanges[1].reply, "1) \"a\"\n2) \"b\"");
        assert!(parse("OK\n> GET k").is_err());
        let exchanges = parse("> CLIENT REPLY OFF\n+> GET k\n+> CLIENT REPLY ON\nOK\n").unwrap();
        assert_eq!((exchanges.len(), exchanges[0].more.len()), (1, 2));
        assert!(parse("> GET k\nOK\n+> GET k").is_err());
    }
}
