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
    /// Whether nothing must be sent on it now: a blocking command or a pause has not ended.
    pub fn waits(&self) -> bool {
        self.blocked.is_some() || self.postponed.is_some()
    }

    pub(crate) fn new() -> Session {
        Session {
            db: 0,
            protocol: Protocol::Resp2,
            name: Bytes::new(),
            library: Default::default(),
            id: None,
            queue: None,
            executing: None,
            refused: false,
            asks_memory: false,
            watching: BTreeMap::new(),
            dirty: false,
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            shard_channels: BTreeSet::new(),
            blocked: None,
            postponed: None,
            addresses: None,
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
    m.close(ask.conn, ask);
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
    let addresses = session.addresses.take();
    // The library stays the same.
    let library = std::mem::take(&mut session.library);
    *session = Session { id: session.id, addresses, library, reply_mode, ..Session::new() };
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

pub fn client_setinfo(m: &mut Model, ask: &Ask) -> Answer {
    let attribute = ask.arg(2);
    if !ask.is(2, "lib-name") && !ask.is(2, "lib-ver") {
        return Err(format!("ERR Unrecognized option '{}'", c_string(attribute, usize::MAX)));
    }
    if !is_one_word(ask.arg(3)) {
        let attribute = c_string(attribute, usize::MAX);
        return Err(format!("ERR {attribute} cannot contain spaces, newlines or special characters."));
    }
    m.session(ask.conn).library[usize::from(ask.is(2, "lib-ver"))] = ask.arg(3).clone();
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

/// CLIENT TRACKING (ON | OFF) and options. Where ON would begin to track, anything is right: see the module
/// documentation of the model.
pub fn client_tracking(m: &mut Model, ask: &Ask) -> Answer {
    let mut redirected = false;
    let mut prefixes: Vec<&Bytes> = Vec::new();
    let mut given = BTreeSet::new();
    let mut rest = ask.argv[3..].iter();
    while let Some(word) = rest.next() {
        let word = String::from_utf8_lossy(word).to_ascii_uppercase();
        match word.as_str() {
            "BCAST" | "OPTIN" | "OPTOUT" | "NOLOOP" => _ = given.insert(word),
            "PREFIX" => prefixes.push(rest.next().ok_or(SYNTAX)?),
            "REDIRECT" => {
                let id = rest.next().ok_or(SYNTAX)?;
                if redirected {
                    return Err("ERR A client can only redirect to a single other client".into());
                }
                let id = number::int(id).ok_or(NOT_INTEGER)?;
                if !m.sessions.values().any(|session| session.id == Some(id)) {
                    return Err("ERR The client ID you want redirect to does not exist".into());
                }
                redirected = true;
            }
            _ => return Err(SYNTAX.into()),
        }
    }
    if ask.is(2, "OFF") {
        return Ok(Want::ok());
    } else if !ask.is(2, "ON") {
        return Err(SYNTAX.into());
    }
    let has = |word: &str| given.contains(word);
    if !prefixes.is_empty() && !has("BCAST") {
        return Err("ERR PREFIX option requires BCAST mode to be enabled".into());
    }
    if has("BCAST") && (has("OPTIN") || has("OPTOUT")) {
        return Err("ERR OPTIN and OPTOUT are not compatible with BCAST".into());
    }
    if has("OPTIN") && has("OPTOUT") {
        return Err("ERR You can't specify both OPTIN mode and OPTOUT mode".into());
    }
    Ok(Want::Unspecified)
}

/// Nothing is tracked.
pub fn client_trackinginfo(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::Map(vec![
        (Want::bulk("flags"), Want::Set(vec![Want::bulk("off")])),
        (Want::bulk("redirect"), Want::Int(-1)),
        (Want::bulk("prefixes"), Want::Array(vec![])),
    ]))
}

/// Without tracking it has no meaning, whatever its argument.
pub fn client_caching(_: &mut Model, _: &Ask) -> Answer {
    Err("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
        .into())
}

/// CLIENT UNBLOCK id [TIMEOUT | ERROR]: ends a wait as if its time were up, or with an error.
pub fn client_unblock(m: &mut Model, ask: &Ask) -> Answer {
    if ask.argc() > 4 {
        return Err(crate::gates::wrong_subcommand(ask));
    }
    let error = ask.is(3, "ERROR");
    if ask.argc() > 3 && !error && !ask.is(3, "TIMEOUT") {
        return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".into());
    }
    let id = number::int(ask.arg(2)).ok_or(NOT_INTEGER)?;
    let target = m.sessions.iter().find(|(_, session)| session.id == Some(id) && session.blocked.is_some());
    let Some((&conn, _)) = target else { return Ok(Want::Int(0)) };
    let unblocked = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
    m.unblock(conn, error.then_some(unblocked));
    Ok(Want::Int(1))
}

// --- CLIENT LIST, INFO, KILL --------------------------------------------------------------------------------------

/// What CLIENT LIST tells about a session, as far as the model knows it.
fn facts(m: &Model, conn: usize) -> Vec<String> {
    let Some(session) = m.sessions.get(&conn) else { return vec![] };
    let mut facts = vec![
        format!("name={}", c_string(&session.name, usize::MAX)),
        format!("lib-name={}", c_string(&session.library[0], usize::MAX)),
        format!("lib-ver={}", c_string(&session.library[1], usize::MAX)),
        format!("db={}", session.db),
        format!("sub={}", session.channels.len()),
        format!("psub={}", session.patterns.len()),
        format!("ssub={}", session.shard_channels.len()),
        format!("resp={}", if session.protocol == Protocol::Resp3 { 3 } else { 2 }),
    ];
    let queued = session.queue.as_ref().map(Vec::len).or(session.executing);
    facts.push(format!("multi={}", queued.map_or(-1, |commands| commands as i64)));
    // Redis forgets the watched keys of a transaction that has failed already, or not.
    if !session.dirty {
        facts.push(format!("watch={}", session.watching.len()));
    }
    facts
}

/// What of `flags=` follows from what a session has done.
struct Flags {
    subscribes: bool,
    transaction: bool,
}

impl Flags {
    fn are_in(&self, line: &str) -> bool {
        let flags = field(line, "flags").unwrap_or_default();
        flags.contains('P') == self.subscribes && flags.contains('x') == self.transaction
    }
}

/// The value of `name=` in a line.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

/// The lines of CLIENT LIST or CLIENT INFO.
fn client_lines(reply: &Frame, protocol: Protocol) -> Option<Vec<String>> {
    let text = match reply {
        Frame::Verbatim(kind, text) if protocol == Protocol::Resp3 && kind == b"txt" => text,
        Frame::Bulk(text) if protocol == Protocol::Resp2 => text,
        _ => return None,
    };
    let text = number::latin1(text.iter().copied());
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    (text.is_empty() || text.ends_with('\n')).then_some(lines)
}

impl Model {
    /// Learns the addresses of clients whose numbers are known.
    fn adopt_addresses(&mut self, ask: &Ask) {
        let lines = ask.reply.and_then(|reply| client_lines(reply, ask.protocol)).unwrap_or_default();
        for line in lines {
            let id = field(&line, "id").and_then(|id| id.parse().ok());
            let session = self.sessions.values_mut().find(|session| session.id.is_some() && session.id == id);
            if let (Some(session), Some(addr), Some(laddr)) =
                (session, field(&line, "addr"), field(&line, "laddr"))
            {
                session.addresses = Some([addr.into(), laddr.into()]);
            }
        }
    }
}

/// One line about oneself.
pub fn client_info(m: &mut Model, ask: &Ask) -> Answer {
    let session = m.session(ask.conn);
    let lines = ask.reply.and_then(|reply| client_lines(reply, ask.protocol)).unwrap_or_default();
    let told = lines.first().and_then(|line| field(line, "id")?.parse().ok());
    session.id = session.id.or(told);
    m.adopt_addresses(ask);
    list_of(m, ask, vec![ask.conn], |count| count == 1)
}

/// A list with a line for each of these sessions, as far as their numbers are known, and so many lines.
fn list_of(m: &Model, ask: &Ask, conns: Vec<usize>, lines_legal: impl Fn(usize) -> bool + 'static) -> Answer {
    let known = |conn: &usize| {
        let session = m.sessions.get(conn)?;
        let flags = Flags {
            subscribes: session.subscriptions() + session.shard_channels.len() > 0,
            transaction: session.queue.is_some() || session.executing.is_some(),
        };
        Some((session.id?, flags, facts(m, *conn)))
    };
    let listed: Vec<(i64, Flags, Vec<String>)> = conns.iter().filter_map(known).collect();
    let unlisted: Vec<i64> = m
        .sessions
        .iter()
        .filter(|(conn, _)| !conns.contains(conn))
        .filter_map(|(_, session)| session.id)
        .collect();
    let protocol = ask.protocol;
    Ok(Want::such("lines about the clients", move |frame| {
        let Some(lines) = client_lines(frame, protocol) else { return false };
        let id = |line: &String| field(line, "id").and_then(|id| id.parse::<i64>().ok());
        lines_legal(lines.len())
            && lines.iter().all(|line| id(line).is_some_and(|id| !unlisted.contains(&id)))
            && listed.iter().all(|(known, flags, facts)| {
                let about: Vec<_> = lines.iter().filter(|line| id(line) == Some(*known)).collect();
                matches!(about.as_slice(), [line] if flags.are_in(line)
                    && facts.iter().all(|fact| line.split(' ').any(|word| word == fact)))
            })
    }))
}

/// Whether the session is of a type as CLIENT LIST and KILL name them.
fn is_of_type(session: &Session, name: &str) -> bool {
    let subscribes = session.subscriptions() + session.shard_channels.len() > 0;
    match name {
        "normal" => !subscribes,
        "pubsub" => subscribes,
        _ => false,
    }
}

fn client_type(name: &[u8]) -> Result<String, String> {
    let lower = String::from_utf8_lossy(&name.to_ascii_lowercase()).into_owned();
    if ["normal", "slave", "replica", "pubsub", "master"].contains(&lower.as_str()) {
        return Ok(lower);
    }
    Err(format!("ERR Unknown client type '{}'", c_string(name, usize::MAX)))
}

/// CLIENT LIST [TYPE type | ID id …]
pub fn client_list(m: &mut Model, ask: &Ask) -> Answer {
    m.adopt_addresses(ask);
    let all: Vec<usize> = m.sessions.keys().copied().collect();
    if ask.argc() == 4 && ask.is(2, "TYPE") {
        let name = client_type(ask.arg(3))?;
        let of_type = all.into_iter().filter(|conn| is_of_type(&m.sessions[conn], &name)).collect();
        return list_of(m, ask, of_type, |_| true);
    }
    if ask.argc() > 3 && ask.is(2, "ID") {
        let ids: Option<Vec<i64>> = ask.argv[3..].iter().map(|id| number::int(id)).collect();
        let ids = ids.ok_or("ERR Invalid client ID")?;
        // A number given twice is listed twice, unlike here.
        let distinct: BTreeSet<i64> = ids.iter().copied().collect();
        if distinct.len() < ids.len() {
            return Ok(Want::such("lines about clients", move |frame| frame.as_bytes().is_some()));
        }
        let given = |conn: &usize| m.sessions[conn].id.is_some_and(|id| ids.contains(&id));
        let most = ids.len();
        return list_of(m, ask, all.into_iter().filter(given).collect(), move |lines| lines <= most);
    }
    if ask.argc() != 2 {
        return Err(SYNTAX.into());
    }
    let least = all.len();
    list_of(m, ask, all, move |lines| lines >= least)
}

/// What CLIENT KILL looks for.
#[derive(Default)]
struct Filter {
    id: Option<i64>,
    type_name: Option<String>,
    /// A client's own address, the server's.
    addresses: [Option<Bytes>; 2],
    /// Younger ones are spared, in seconds. The model's sessions are all young.
    max_age: Option<i64>,
    spares_self: bool,
}

impl Filter {
    fn parse(ask: &Ask) -> Result<Filter, String> {
        if ask.argc() == 3 {
            return Ok(Filter { addresses: [Some(ask.arg(2).clone()), None], ..Filter::default() });
        }
        let mut filter = Filter { spares_self: true, ..Filter::default() };
        for at in (2..ask.argc()).step_by(2) {
            let value = ask.argv.get(at + 1).ok_or(SYNTAX)?;
            if ask.is(at, "ID") {
                let id = number::int_from(value, 1..=i64::MAX);
                filter.id = Some(id.ok_or("ERR client-id should be greater than 0")?);
            } else if ask.is(at, "MAXAGE") {
                let age = number::int(value).ok_or("ERR maxage is not an integer or out of range")?;
                filter.max_age = Some(age);
                if age <= 0 {
                    return Err("ERR maxage should be greater than 0".into());
                }
            } else if ask.is(at, "TYPE") {
                filter.type_name = Some(client_type(value)?);
            } else if ask.is(at, "ADDR") {
                filter.addresses[0] = Some(value.clone());
            } else if ask.is(at, "LADDR") {
                filter.addresses[1] = Some(value.clone());
            } else if ask.is(at, "USER") {
                if value != b"default" {
                    return Err(format!("ERR No such user '{}'", c_string(value, usize::MAX)));
                }
            } else if ask.is(at, "SKIPME") && (ask.is(at + 1, "yes") || ask.is(at + 1, "no")) {
                filter.spares_self = ask.is(at + 1, "yes");
            } else {
                return Err(SYNTAX.into());
            }
        }
        Ok(filter)
    }

    fn finds(&self, conn: usize, session: &Session, ask: &Ask) -> bool {
        let at = |side: usize| session.addresses.as_ref().map(|addresses| &addresses[side]);
        self.id.is_none_or(|id| session.id == Some(id))
            && self.type_name.as_ref().is_none_or(|name| is_of_type(session, name))
            && (0..2)
                .all(|side| self.addresses[side].as_ref().is_none_or(|address| at(side) == Some(address)))
            && self.max_age.is_none()
            && !(self.spares_self && conn == ask.conn)
    }
}

/// CLIENT KILL address, or filters that must all apply. Everybody found is closed at once, except that oneself still
/// gets the reply. Of clients that are not the model's nothing is known: a runner must filter them out.
pub fn client_kill(m: &mut Model, ask: &Ask) -> Answer {
    let filter = Filter::parse(ask)?;
    let found = |(&conn, session): (&usize, &Session)| filter.finds(conn, session, ask).then_some(conn);
    let found: Vec<usize> = m.sessions.iter().filter_map(found).collect();
    for &conn in &found {
        m.close(conn, ask);
    }
    match ask.argc() {
        3 if found.is_empty() => Err("ERR No such client".into()),
        3 => Ok(Want::ok()),
        _ => Ok(Want::count(found.len())),
    }
}

impl Model {
    /// Ends a session; its own only after the reply.
    fn close(&mut self, conn: usize, ask: &Ask) {
        if !self.closed.contains(&conn) {
            self.closed.push(conn);
        }
        if conn != ask.conn {
            self.disconnect(conn);
        }
    }
}

pub fn client_help(_: &mut Model, _: &Ask) -> Answer {
    Ok(Want::help())
}
