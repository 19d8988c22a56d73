//! Commands about the connection: PING, HELLO, SELECT, CLIENT and their like.

use std::collections::{BTreeMap, BTreeSet};

use kevy::resp::{Frame, Protocol};

use crate::gates::c_string;
use crate::keyspace::{NOT_INTEGER, SYNTAX, int32};
use crate::{Answer, Ask, Bytes, Model, Session, Want, number};

/// What CLIENT REPLY asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReplyMode {
    On,
    Off,
    /// The command after this one gets no reply.
    SkipNext,
    /// This is that command.
    SkipThis,
}

impl Session {
    pub(crate) fn new() -> Session {
        Session {
            db: 0,
            protocol: Protocol::Resp2,
            name: Bytes::new(),
            id: None,
            queue: None,
            refused: false,
            watching: BTreeMap::new(),
            dirty: false,
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            shard_channels: BTreeSet::new(),
            blocked: None,
            reply_mode: ReplyMode::On,
        }
    }
}

/// In a RESP2 connection with subscriptions it answers like a message.
pub fn ping(m: &mut Model, ask: &Ask) -> Answer {
    if ask.argc() > 2 {
        return Err(crate::gates::wrong_arity("ping"));
    }
    let message = ask.argv.get(1);
    let session = m.session(ask.conn);
    if session.protocol == Protocol::Resp2 && session.subscriptions() + session.shard_channels.len() > 0 {
        let text = message.cloned().unwrap_or_default();
        return Ok(Want::Array(vec![Want::bulk("pong"), Want::Bulk(text)]));
    }
    Ok(message.map_or(Want::Status("PONG"), Want::bulk))
}

pub fn echo(_: &mut Model, ask: &Ask) -> Answer {
    Ok(Want::bulk(ask.arg(1)))
}

pub fn select(m: &mut Model, ask: &Ask) -> Answer {
    let db = m.db_index(int32(ask.arg(1))?)?;
    m.session(ask.conn).db = db;
    Ok(Want::ok())
}

impl Model {
    /// Checks a database number.
    pub(crate) fn db_index(&self, index: i64) -> Result<usize, String> {
        let valid = usize::try_from(index).ok().filter(|&db| db < self.dbs.len());
        valid.ok_or_else(|| "ERR DB index is out of range".into())
    }
}

pub fn quit(m: &mut Model, ask: &Ask) -> Answer {
    m.disconnect(ask.conn);
    Ok(Want::ok())
}

/// There is no cluster.
pub fn no_cluster(_: &mut Model, _: &Ask) -> Answer {
    Err("ERR This instance has cluster support disabled".into())
}

/// As if the connection had just been made; only its number stays.
pub fn reset(m: &mut Model, ask: &Ask) -> Answer {
    let session = m.session(ask.conn);
    // A CLIENT REPLY SKIP before it is still in force; OFF is not.
    let reply_mode =
        if session.reply_mode == ReplyMode::SkipThis { ReplyMode::SkipThis } else { ReplyMode::On };
    *session = Session { id: session.id, reply_mode, ..Session::new() };
    Ok(Want::Status("RESET"))
}

/// There is one user, `default`, and every password is its password.
pub fn auth(_: &mut Model, ask: &Ask) -> Answer {
    match ask.argc() {
        2 => Err(
            "ERR AUTH <password> called without any password configured for the default user. Are you sure \
                  your configuration is correct?"
                .into(),
        ),
        3 => authenticate(ask.arg(1)).map(|()| Want::ok()),
        _ => Err(SYNTAX.into()),
    }
}

fn authenticate(user: &[u8]) -> Result<(), String> {
    if user == b"default" {
        return Ok(());
    }
    Err("WRONGPASS invalid username-password pair or user is disabled.".into())
}

/// HELLO [version [AUTH user password] [SETNAME name]]. Nothing changes unless all of it is right.
pub fn hello(m: &mut Model, ask: &Ask) -> Answer {
    let mut version = None;
    if ask.argc() > 1 {
        let asked =
            number::int(ask.arg(1)).ok_or("ERR Protocol version is not an integer or out of range")?;
        version = Some(match asked {
            2 => Protocol::Resp2,
            3 => Protocol::Resp3,
            _ => return Err("NOPROTO unsupported protocol version".into()),
        });
    }
    let (mut user, mut name) = (None, None);
    let mut at = 2;
    while at < ask.argc() {
        if ask.is(at, "AUTH") && at + 2 < ask.argc() {
            user = Some(ask.arg(at + 1));
            at += 3;
        } else if ask.is(at, "SETNAME") && at + 1 < ask.argc() {
            name = Some(valid_name(ask.arg(at + 1))?);
            at += 2;
        } else {
            let option = c_string(ask.arg(at), usize::MAX);
            return Err(format!("ERR Syntax error in HELLO option '{option}'"));
        }
    }
    user.map_or(Ok(()), |user| authenticate(user))?;
    let session = m.session(ask.conn);
    session.name = name.unwrap_or(std::mem::take(&mut session.name));
    session.protocol = version.unwrap_or(session.protocol);
    let anything = |what| Want::such(what, |_| true);
    let proto = Want::Int(if session.protocol == Protocol::Resp3 { 3 } else { 2 });
    Ok(Want::Map(vec![
        (Want::bulk("server"), Want::bulk("redis")),
        (Want::bulk("version"), anything("a version")),
        (Want::bulk("proto"), proto),
        (Want::bulk("id"), Want::IntBetween(1, i64::MAX)),
        (Want::bulk("mode"), Want::bulk("standalone")),
        (Want::bulk("role"), Want::bulk("master")),
        (Want::bulk("modules"), anything("modules")),
    ]))
}

/// Names must be printable and without spaces, so that CLIENT LIST can be parsed.
fn valid_name(name: &Bytes) -> Result<Bytes, String> {
    if is_one_word(name) {
        return Ok(name.clone());
    }
    Err("ERR Client names cannot contain spaces, newlines or special characters.".into())
}

fn is_one_word(text: &[u8]) -> bool {
    // What follows a zero byte is not looked at.
    text.iter().take_while(|&&byte| byte != 0).all(|byte| (b'!'..=b'~').contains(byte))
}

pub fn client_setname(m: &mut Model, ask: &Ask) -> Answer {
    m.session(ask.conn).name = valid_name(ask.arg(2))?;
    Ok(Want::ok())
}

pub fn client_getname(m: &mut Model, ask: &Ask) -> Answer {
    let name = m.session(ask.conn).name.clone();
    Ok(if name.is_empty() { Want::Nil } else { Want::Bulk(name) })
}

pub fn client_setinfo(_: &mut Model, ask: &Ask) -> Answer {
    let attribute = ask.arg(2);
    if !ask.is(2, "lib-name") && !ask.is(2, "lib-ver") {
        return Err(format!("ERR Unrecognized option '{}'", c_string(attribute, usize::MAX)));
    }
    if !is_one_word(ask.arg(3)) {
        let attribute = c_string(attribute, usize::MAX);
        return Err(format!("ERR {attribute} cannot contain spaces, newlines or special characters."));
    }
    Ok(Want::ok())
}

/// The number is adopted from the first answer and must not change.
pub fn client_id(m: &mut Model, ask: &Ask) -> Answer {
    let session = m.session(ask.conn);
    session.id = session.id.or(ask.reply.and_then(Frame::as_int));
    Ok(session.id.map_or(Want::IntBetween(1, i64::MAX), Want::Int))
}

pub fn client_reply(m: &mut Model, ask: &Ask) -> Answer {
    let mode = &mut m.session(ask.conn).reply_mode;
    if ask.is(2, "ON") {
        *mode = ReplyMode::On;
        return Ok(Want::ok());
    } else if ask.is(2, "OFF") {
        *mode = ReplyMode::Off;
    } else if ask.is(2, "SKIP") {
        if *mode != ReplyMode::Off {
            *mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(SYNTAX.into());
    }
    Ok(Want::Frames(Vec::new()))
}

fn on_or_off(ask: &Ask) -> Answer {
    if ask.is(2, "ON") || ask.is(2, "OFF") { Ok(Want::ok()) } else { Err(SYNTAX.into()) }
}

pub fn client_no_evict(_: &mut Model, ask: &Ask) -> Answer {
    on_or_off(ask)
}

pub fn client_no_touch(_: &mut Model, ask: &Ask) -> Answer {
    on_or_off(ask)
}

/// No client tracking, so no redirection.
pub fn client_getredir(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::Int(-1))
}

/// CLIENT UNBLOCK id [TIMEOUT | ERROR]: ends a wait as if its time were up, or with an error.
pub fn client_unblock(m: &mut Model, ask: &Ask) -> Answer {
    let error = ask.is(3, "ERROR");
    if ask.argc() > 3 && !error && !ask.is(3, "TIMEOUT") {
        return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".into());
    }
    let id = number::int(ask.arg(2)).ok_or(NOT_INTEGER)?;
    let target = m.sessions.iter().find(|(_, session)| session.id == Some(id) && session.blocked.is_some());
    let Some((&conn, _)) = target else { return Ok(Want::Int(0)) };
    let unblocked = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
    m.unblock(conn, if error { Want::Error(unblocked.into()) } else { Want::NilArray });
    Ok(Want::Int(1))
}

/// One line, with the session's name, database and protocol among what only the server knows.
pub fn client_info(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::such("a line about the client", |frame| {
        frame.as_bytes().is_some_and(|text| text.starts_with(b"id=") && text.ends_with(b"\n"))
    }))
}

pub fn client_list(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::Unspecified)
}

pub fn client_kill(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::Unspecified)
}

pub fn client_pause(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::Unspecified)
}

pub fn client_unpause(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::ok())
}

pub fn client_help(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::help())
}
