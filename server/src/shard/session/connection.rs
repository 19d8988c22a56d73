//! PING ECHO SELECT AUTH HELLO QUIT RESET: what a connection is and who it speaks for.

use kevy::command::CommandError;
use kevy::resp::Protocol;

use super::acl::DEFAULT_USER;
use super::{Outcome, Session};
use crate::shard::conn::ReplyMode;

const WRONGPASS: CommandError =
    CommandError::Text("WRONGPASS invalid username-password pair or user is disabled.");
const NO_PASSWORD_SET: CommandError = CommandError::Text(
    "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
     configuration is correct?",
);
const NOPROTO: CommandError = CommandError::Text("NOPROTO unsupported protocol version");
const HELLO_NOAUTH: CommandError = CommandError::Text(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> \
     <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
);

pub fn ping(s: &mut Session<'_>) -> Outcome {
    if s.args.len() > 2 {
        return Err(CommandError::Arity("ping"));
    }
    if s.conn().subscribed() && s.conn().protocol == Protocol::Resp2 {
        s.reply.array(2);
        s.reply.bulk(b"pong");
        s.reply.bulk(s.args.get(1).unwrap_or_default());
    } else if let Some(message) = s.args.get(1) {
        s.reply.bulk(message);
    } else {
        s.reply.simple("PONG");
    }
    Ok(())
}

pub fn echo(s: &mut Session<'_>) -> Outcome {
    s.reply.bulk(s.args.at(1));
    Ok(())
}

pub fn select(s: &mut Session<'_>) -> Outcome {
    let db = s.int(1)?;
    if i32::try_from(db).is_err() {
        return Err(CommandError::Text(
            "ERR value is out of range, value must between -2147483648 and 2147483647",
        ));
    }
    if db < 0 || db >= s.shard.config.settings.databases as i64 + i64::from(kevy::bug!(SelectOneTooMany)) {
        return Err(CommandError::DbIndexOutOfRange);
    }
    s.conn_mut().db = db as usize;
    s.reply.ok();
    Ok(())
}

/// Checks a user and password. The time it takes does not depend on where the password differs.
fn authenticate(s: &mut Session<'_>, user: &[u8], password: &[u8]) -> Result<(), CommandError> {
    let expected = s.shard.config.security.requirepass.as_slice();
    let mut differs = u8::from(expected.len() != password.len());
    for (at, &byte) in password.iter().enumerate() {
        differs |= byte ^ expected.get(at).copied().unwrap_or_default();
    }
    if (user != DEFAULT_USER && !kevy::bug!(AuthAnyUser)) || (differs != 0 && !expected.is_empty()) {
        s.shard.stats.denied_auth += 1;
        return Err(WRONGPASS);
    }
    s.conn_mut().authenticated = true;
    Ok(())
}

pub fn auth(s: &mut Session<'_>) -> Outcome {
    if s.args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    if s.args.len() == 2 {
        if s.shard.config.security.requirepass.is_empty() {
            return Err(NO_PASSWORD_SET);
        }
        authenticate(s, DEFAULT_USER, s.args.at(1))?;
    } else {
        authenticate(s, s.args.at(1), s.args.at(2))?;
    }
    s.reply.ok();
    Ok(())
}

pub fn hello(s: &mut Session<'_>) -> Outcome {
    let mut protocol = s.conn().protocol;
    let mut at = 1;
    if s.args.len() > 1 {
        let version = kevy::number::parse_i64(s.arg(1))
            .ok_or(CommandError::Text("ERR Protocol version is not an integer or out of range"))?;
        protocol = match version {
            2 => Protocol::Resp2,
            3 => Protocol::Resp3,
            _ => return Err(NOPROTO),
        };
        at = 2;
    }
    let mut credentials = None;
    let mut name = None;
    while at < s.args.len() {
        let left = s.args.len() - at - 1;
        if s.is(at, "AUTH") && left >= 2 {
            credentials = Some((s.arg(at + 1), s.arg(at + 2)));
            at += 3;
        } else if s.is(at, "SETNAME") && left >= 1 {
            if !super::client::valid_name(s.arg(at + 1)) {
                return Err(super::client::BAD_NAME);
            }
            name = Some(s.arg(at + 1));
            at += 2;
        } else {
            return Err(CommandError::quoting("ERR Syntax error in HELLO option '", s.arg(at), "'"));
        }
    }
    if kevy::bug!(HelloSwitchesFirst) {
        s.conn_mut().protocol = protocol;
    }
    if let Some((user, password)) = credentials {
        authenticate(s, user, password)?;
    }
    if !s.conn().authenticated && !s.shard.config.security.requirepass.is_empty() {
        return Err(HELLO_NOAUTH);
    }
    if let Some(name) = name {
        s.conn_mut().name = name.to_vec();
    }
    s.conn_mut().protocol = protocol;
    s.reply.set_protocol(protocol);
    if kevy::bug!(HelloForgetsDatabase) {
        s.conn_mut().db = 0;
    }
    let client = s.conn().client;
    let r = &mut s.reply;
    r.map(7);
    r.bulk(b"server");
    r.bulk(b"redis");
    r.bulk(b"version");
    r.bulk(crate::REDIS_VERSION.as_bytes());
    r.bulk(b"proto");
    r.int(if protocol == Protocol::Resp3 { 3 } else { 2 });
    r.bulk(b"id");
    r.int(client as i64);
    r.bulk(b"mode");
    r.bulk(b"standalone");
    r.bulk(b"role");
    r.bulk(b"master");
    r.bulk(b"modules");
    r.array(0);
    Ok(())
}

pub fn quit(s: &mut Session<'_>) -> Outcome {
    s.conn_mut().close_after_reply = !kevy::bug!(QuitGoesOn);
    s.reply.ok();
    Ok(())
}

/// Back to the state of a new connection, the connection's id and what it has sent so far excepted.
pub fn reset(s: &mut Session<'_>) -> Outcome {
    let id = s.id;
    s.shard.discard_transaction(id);
    s.shard.unsubscribe_all(id);
    s.shard.monitors.remove(&id);
    s.shard.listeners_changed();
    let authenticated = s.shard.config.security.requirepass.is_empty();
    let conn = s.conn_mut();
    conn.monitor = false;
    conn.protocol = Protocol::Resp2;
    if !kevy::bug!(ResetKeepsDatabase) {
        conn.db = 0;
    }
    conn.name = Vec::new();
    conn.no_evict = false;
    conn.no_touch = false;
    // CLIENT REPLY SKIP is about the reply to this.
    if conn.reply_mode != ReplyMode::Skip || kevy::bug!(ResetAnsweredThoughSkipped) {
        conn.reply_mode = ReplyMode::On;
    }
    conn.authenticated = authenticated || kevy::bug!(ResetKeepsAuthentication);
    s.reply.set_protocol(Protocol::Resp2);
    s.reply.simple("RESET");
    Ok(())
}

/// What clients that may be talking to a cluster are told, and take for "go on".
pub fn no_cluster(_: &mut Session<'_>) -> Outcome {
    Err(CommandError::Text("ERR This instance has cluster support disabled"))
}
