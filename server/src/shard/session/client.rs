//! The CLIENT family: what is known about connections, and what one may do to others.

use std::fmt::Write;

use kevy::command::{CommandError, Flags, parse_timeout_millis, until_nul};
use kevy::keyspace::UnixMillis;
use kevy::number::parse_i64;
use kevy::resp::{Args, Protocol};

use super::acl::DEFAULT_USER;
use super::{Outcome, Session};
use crate::shard::Shard;
use crate::shard::conn::{ClientId, Conn, ReplyMode};
use crate::shard::realm::{DbKey, Watching};

pub const BAD_NAME: CommandError =
    CommandError::Text("ERR Client names cannot contain spaces, newlines or special characters.");
const BAD_CLIENT_ID: CommandError = CommandError::Text("ERR Invalid client ID");
const UNBLOCKED: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

/// Names have printable ASCII characters without spaces. As in Redis, nothing is looked at from a zero byte on.
pub fn valid_name(name: &[u8]) -> bool {
    name.iter().take_while(|&&byte| byte != 0).all(|byte| (b'!'..=b'~').contains(byte))
}

/// The kinds of client that CLIENT LIST TYPE and CLIENT KILL TYPE know. A monitor is a normal client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientType {
    Normal,
    Replica,
    Master,
    PubSub,
}

impl ClientType {
    fn parse(word: &[u8]) -> Result<Self, CommandError> {
        let names: [(&str, Self); 5] = [
            ("normal", Self::Normal),
            ("slave", Self::Replica),
            ("replica", Self::Replica),
            ("pubsub", Self::PubSub),
            ("master", Self::Master),
        ];
        match names.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes())) {
            Some(&(_, kind)) => Ok(kind),
            None => Err(CommandError::quoting("ERR Unknown client type '", word, "'")),
        }
    }

    pub fn of(conn: &Conn) -> Self {
        if conn.subscribed() { Self::PubSub } else { Self::Normal }
    }
}

/// The letters of `flags=`.
fn flags(conn: &Conn, dirty: bool) -> String {
    let letters = [
        (conn.monitor, 'O'),
        (conn.subscribed(), 'P'),
        (conn.multi.is_some(), 'x'),
        (conn.waiting.is_blocked(), 'b'),
        (dirty, 'd'),
        (conn.close_after_reply, 'c'),
        (conn.closing, 'A'),
        (conn.peer.unix, 'U'),
        (conn.no_evict, 'e'),
        (conn.no_touch, 'T'),
    ];
    let set: String = letters.iter().filter(|(on, _)| *on).map(|&(_, letter)| letter).collect();
    if set.is_empty() { "N".into() } else { set }
}

/// Bytes that a connection holds.
pub fn memory(conn: &Conn) -> usize {
    std::mem::size_of::<Conn>()
        + conn.input_capacity()
        + conn.out.capacity()
        + conn.queued
        + conn.in_flight
        + conn.multi.as_ref().map_or(0, |multi| multi.memory)
        + conn
            .watching
            .keys()
            .map(|at| at.key.len() + std::mem::size_of::<(DbKey, Watching)>())
            .sum::<usize>()
        + [&conn.channels, &conn.patterns, &conn.shard_channels]
            .iter()
            .flat_map(|names| names.iter())
            .map(|name| name.len() + std::mem::size_of::<Vec<u8>>())
            .sum::<usize>()
}

/// A client as CLIENT LIST shows it, without the line end.
pub fn describe(shard: &Shard, conn: &Conn) -> String {
    let dirty = shard.watched_key_was_modified(conn);
    let age = shard.now.unix.saturating_sub(conn.created) / 1000;
    let idle = shard.now.unix.saturating_sub(conn.last_interaction) / 1000;
    let mut line = String::with_capacity(400);
    // What clients call themselves is shown up to a zero byte.
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|&byte| byte == 0 && !kevy::bug!(ClientNamesInFull));
        String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
    };
    // Writing to a string cannot fail.
    let _ = write!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={age} idle={idle} flags={} db={} sub={} psub={} ssub={} multi={} \
         watch={} qbuf={} qbuf-free={} argv-mem=0 multi-mem={} rbs={} rbp={} obl={} oll={} omem={} tot-mem={} \
         events={} cmd={} user=default redir=-1 resp={} lib-name={} lib-ver={} io-thread=0",
        conn.client,
        conn.peer.addr,
        conn.peer.laddr,
        conn.peer.fd,
        text(&conn.name),
        flags(conn, dirty),
        conn.db,
        conn.channels.len(),
        conn.patterns.len(),
        conn.shard_channels.len(),
        conn.multi.as_ref().map_or(-1, |multi| multi.commands() as i64),
        // Redis watches nothing more once a transaction is bound to fail.
        if dirty { 0 } else { conn.watching.len() },
        conn.pending_input(),
        conn.input_capacity() - conn.pending_input(),
        conn.multi.as_ref().map_or(0, |multi| multi.memory),
        conn.out.capacity(),
        conn.out.len(),
        conn.out.len(),
        conn.chunks.len() + usize::from(conn.in_flight > 0),
        conn.queued + conn.in_flight,
        memory(conn),
        if conn.in_flight > 0 { "rw" } else { "r" },
        conn.last_command.map_or("NULL", |id| id.command().name),
        if conn.protocol == Protocol::Resp3 { 3 } else { 2 },
        text(&conn.lib_name),
        text(&conn.lib_ver),
    );
    line
}

impl Session<'_> {
    fn describe_lines(&mut self, clients: impl IntoIterator<Item = ClientId>) {
        let mut lines = String::new();
        for client in clients {
            if let Some(conn) = self.shard.client(client) {
                lines.push_str(&describe(self.shard, conn));
                lines.push('\n');
            }
        }
        self.reply.verbatim(b"txt", lines.as_bytes());
    }

    /// `ON` or `OFF`.
    fn switch(&self, index: usize) -> Result<bool, CommandError> {
        match () {
            () if self.is(index, "ON") => Ok(true),
            () if self.is(index, "OFF") => Ok(false),
            () => Err(CommandError::Syntax),
        }
    }
}

pub fn id(s: &mut Session<'_>) -> Outcome {
    let client = s.conn().client;
    s.reply.int(client as i64);
    Ok(())
}

pub fn info(s: &mut Session<'_>) -> Outcome {
    let client = s.conn().client;
    s.describe_lines([client]);
    Ok(())
}

pub fn list(s: &mut Session<'_>) -> Outcome {
    let clients: Vec<ClientId> = if s.args.len() == 4 && s.is(2, "TYPE") {
        let kind = ClientType::parse(s.arg(3))?;
        s.shard.clients().filter(|conn| ClientType::of(conn) == kind).map(|conn| conn.client).collect()
    } else if s.args.len() > 3 && s.is(2, "ID") {
        let ids = s.args.iter().skip(3).map(|word| parse_i64(word).ok_or(BAD_CLIENT_ID));
        ids.map(|id| id.map(|id| u64::try_from(id).unwrap_or(0))).collect::<Result<_, _>>()?
    } else if s.args.len() == 2 {
        s.shard.clients().map(|conn| conn.client).collect()
    } else {
        return Err(CommandError::Syntax);
    };
    s.describe_lines(clients);
    Ok(())
}

/// What CLIENT KILL looks for; every condition must hold.
#[derive(Default)]
struct Filter<'a> {
    id: Option<ClientId>,
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    kind: Option<ClientType>,
    max_age_seconds: Option<u64>,
    not: Option<ClientId>,
}

impl Filter<'_> {
    fn matches(&self, conn: &Conn, now: u64) -> bool {
        self.id.is_none_or(|id| conn.client == id)
            && self.addr.is_none_or(|addr| conn.peer.addr.as_bytes() == addr)
            && self.laddr.is_none_or(|laddr| {
                conn.peer.laddr.as_bytes() == laddr || kevy::bug!(KillIgnoresLocalAddress)
            })
            && self.kind.is_none_or(|kind| ClientType::of(conn) == kind || kevy::bug!(KillIgnoresType))
            && self.max_age_seconds.is_none_or(|age| {
                (now / 1000).saturating_sub(conn.created / 1000) >= age || kevy::bug!(KillIgnoresAge)
            })
            && self.not.is_none_or(|client| conn.client != client)
    }
}

pub fn kill(s: &mut Session<'_>) -> Outcome {
    let old_form = s.args.len() == 3;
    let mut filter = Filter::default();
    if old_form {
        filter.addr = Some(s.arg(2));
    } else {
        filter.not = Some(s.conn().client);
        let mut at = 2;
        while at < s.args.len() {
            let Some(value) = s.args.get(at + 1) else { return Err(CommandError::Syntax) };
            if s.is(at, "ID") {
                let id = parse_i64(value).filter(|&id| id > 0);
                let id = id.ok_or(CommandError::Text("ERR client-id should be greater than 0"))?;
                filter.id = Some(id as u64);
            } else if s.is(at, "MAXAGE") {
                let age = parse_i64(value)
                    .ok_or(CommandError::Text("ERR maxage is not an integer or out of range"))?;
                if age <= 0 {
                    return Err(CommandError::Text("ERR maxage should be greater than 0"));
                }
                filter.max_age_seconds = Some(age as u64);
            } else if s.is(at, "TYPE") {
                filter.kind = Some(ClientType::parse(value)?);
            } else if s.is(at, "ADDR") {
                filter.addr = Some(value);
            } else if s.is(at, "LADDR") {
                filter.laddr = Some(value);
            } else if s.is(at, "USER") {
                // There is one user, and everybody is it.
                if value != DEFAULT_USER {
                    return Err(CommandError::quoting("ERR No such user '", value, "'"));
                }
            } else if s.is(at, "SKIPME") && value.eq_ignore_ascii_case(b"yes") {
                filter.not = Some(s.conn().client);
            } else if s.is(at, "SKIPME") && value.eq_ignore_ascii_case(b"no") {
                filter.not = filter.not.filter(|_| kevy::bug!(KillAlwaysSkipsItself));
            } else {
                return Err(CommandError::Syntax);
            }
            at += 2;
        }
    }
    let now = s.now();
    let victims: Vec<ClientId> =
        s.shard.clients().filter(|conn| filter.matches(conn, now)).map(|conn| conn.client).collect();
    for &client in &victims {
        if client == s.conn().client {
            s.conn_mut().close_after_reply = true;
        } else {
            s.shard.everywhere(|shard| {
                if let Some(&id) = shard.by_client.get(&client) {
                    shard.kill(id);
                }
            });
        }
    }
    if !old_form {
        s.reply.int(victims.len() as i64);
    } else if victims.is_empty() {
        return Err(CommandError::Text("ERR No such client"));
    } else {
        s.reply.ok();
    }
    Ok(())
}

pub fn getname(s: &mut Session<'_>) -> Outcome {
    let name = s.conn().name.clone();
    s.reply.bulk_or_null((!name.is_empty()).then_some(&name));
    Ok(())
}

pub fn setname(s: &mut Session<'_>) -> Outcome {
    if !valid_name(s.arg(2)) {
        return Err(BAD_NAME);
    }
    s.conn_mut().name = s.arg(2).to_vec();
    s.reply.ok();
    Ok(())
}

pub fn setinfo(s: &mut Session<'_>) -> Outcome {
    let value = s.arg(3);
    // The attribute is named as the client wrote it.
    let bad = |word: &[u8]| {
        CommandError::quoting("ERR ", word, " cannot contain spaces, newlines or special characters.")
    };
    if s.is(2, "LIB-NAME") {
        if !valid_name(value) {
            return Err(bad(s.arg(2)));
        }
        s.conn_mut().lib_name = value.to_vec();
    } else if s.is(2, "LIB-VER") {
        if !valid_name(value) {
            return Err(bad(s.arg(2)));
        }
        s.conn_mut().lib_ver = value.to_vec();
    } else {
        return Err(CommandError::quoting("ERR Unrecognized option '", s.arg(2), "'"));
    }
    s.reply.ok();
    Ok(())
}

pub fn pause(s: &mut Session<'_>) -> Outcome {
    if s.args.len() > 4 {
        return Err(s.wrong_subcommand());
    }
    let (until, all) = pause_asked(s.args, s.shard.data_now())?;
    s.shard.pause_everywhere(until, all);
    s.reply.ok();
    Ok(())
}

/// Until when CLIENT PAUSE with these arguments pauses, and whether everything.
pub fn pause_asked(args: Args<'_>, now: UnixMillis) -> Result<(UnixMillis, bool), CommandError> {
    let all = match args.get(3) {
        None => true,
        Some(mode) if mode.eq_ignore_ascii_case(b"ALL") => true,
        Some(mode) if mode.eq_ignore_ascii_case(b"WRITE") => false,
        Some(_) => return Err(CommandError::Text("ERR CLIENT PAUSE mode must be WRITE or ALL")),
    };
    Ok((parse_timeout_millis(args.at(2), now)?.unwrap_or(now), all))
}

pub fn unpause(s: &mut Session<'_>) -> Outcome {
    s.shard.unpause_everywhere();
    s.reply.ok();
    Ok(())
}

pub fn unblock(s: &mut Session<'_>) -> Outcome {
    if s.args.len() > 4 {
        return Err(s.wrong_subcommand());
    }
    let error = if s.args.len() == 3 || s.is(3, "TIMEOUT") {
        None
    } else if s.is(3, "ERROR") {
        if kevy::bug!(UnblockErrorIsTimeout) { None } else { Some(UNBLOCKED) }
    } else {
        return Err(CommandError::Text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
    };
    let client = s.int(2)?;
    let mut unblocked = false;
    s.shard.everywhere(|shard| {
        let target = u64::try_from(client).ok().and_then(|client| shard.by_client.get(&client).copied());
        unblocked |= target.is_some_and(|id| shard.unblock(id, error));
    });
    s.reply.int(i64::from(unblocked));
    Ok(())
}

pub fn reply(s: &mut Session<'_>) -> Outcome {
    if s.is(2, "ON") {
        s.conn_mut().reply_mode = ReplyMode::On;
        s.reply.ok();
    } else if s.is(2, "OFF") {
        s.conn_mut().reply_mode = ReplyMode::Off;
    } else if s.is(2, "SKIP") {
        let conn = s.conn_mut();
        if conn.reply_mode != ReplyMode::Off || kevy::bug!(SkipEndsOff) {
            conn.reply_mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(CommandError::Syntax);
    }
    Ok(())
}

pub fn no_evict(s: &mut Session<'_>) -> Outcome {
    s.conn_mut().no_evict = s.switch(2)?;
    s.reply.ok();
    Ok(())
}

pub fn no_touch(s: &mut Session<'_>) -> Outcome {
    s.conn_mut().no_touch = s.switch(2)?;
    s.reply.ok();
    Ok(())
}

pub fn getredir(s: &mut Session<'_>) -> Outcome {
    s.reply.int(-1);
    Ok(())
}

/// `CLIENT TRACKING (ON | OFF) [REDIRECT id] [PREFIX prefix]… [BCAST] [OPTIN] [OPTOUT] [NOLOOP]`
///
/// Nobody is told which keys change, so ON is refused where Redis would begin to track: a client that caches would
/// otherwise answer from what is out of date. What Redis refuses is refused with its words.
pub fn tracking(s: &mut Session<'_>) -> Outcome {
    let (mut redirected, mut prefixes) = (false, Vec::new());
    let (mut broadcast, mut opt_in, mut opt_out) = (false, false, false);
    let mut at = 3;
    while at < s.args.len() {
        let has_value = at + 1 < s.args.len();
        if s.is(at, "REDIRECT") && has_value {
            at += 1;
            if redirected {
                return Err(CommandError::Text("ERR A client can only redirect to a single other client"));
            }
            let client = u64::try_from(s.int(at)?).ok();
            if client.is_none_or(|client| s.shard.client(client).is_none()) {
                return Err(CommandError::Text("ERR The client ID you want redirect to does not exist"));
            }
            redirected = true;
        } else if s.is(at, "PREFIX") && has_value {
            at += 1;
            prefixes.push(s.arg(at));
        } else if s.is(at, "BCAST") {
            broadcast = true;
        } else if s.is(at, "OPTIN") {
            opt_in = true;
        } else if s.is(at, "OPTOUT") {
            opt_out = true;
        } else if !s.is(at, "NOLOOP") {
            return Err(CommandError::Syntax);
        }
        at += 1;
    }
    if s.switch(2)? {
        return Err(why_no_tracking(&prefixes, broadcast, opt_in, opt_out));
    }
    s.reply.ok();
    Ok(())
}

fn why_no_tracking(prefixes: &[&[u8]], broadcast: bool, opt_in: bool, opt_out: bool) -> CommandError {
    let overlap = |(at, prefix): (usize, &&[u8])| {
        let later = prefixes[at + 1..].iter();
        let mut overlapping = later.filter(|later| later.starts_with(prefix) || prefix.starts_with(later));
        Some((prefix.to_vec(), overlapping.next()?.to_vec()))
    };
    match prefixes.iter().enumerate().find_map(overlap) {
        _ if !broadcast && !prefixes.is_empty() => {
            CommandError::Text("ERR PREFIX option requires BCAST mode to be enabled")
        }
        _ if broadcast && (opt_in || opt_out) => {
            CommandError::Text("ERR OPTIN and OPTOUT are not compatible with BCAST")
        }
        _ if opt_in && opt_out => CommandError::Text("ERR You can't specify both OPTIN mode and OPTOUT mode"),
        Some((one, other)) => {
            let mut text = b"ERR Prefix '".to_vec();
            text.extend_from_slice(until_nul(&one));
            text.extend_from_slice(b"' overlaps with another provided prefix '");
            text.extend_from_slice(until_nul(&other));
            text.extend_from_slice(b"'. Prefixes for a single client must not overlap.");
            CommandError::Owned(text)
        }
        None => CommandError::Text("ERR client-side caching is not supported: keys are not tracked"),
    }
}

/// How keys are tracked for this connection: not at all.
pub fn trackinginfo(s: &mut Session<'_>) -> Outcome {
    s.reply.map(3);
    s.reply.bulk(b"flags");
    s.reply.set(1);
    s.reply.bulk(b"off");
    s.reply.bulk(b"redirect");
    s.reply.int(-1);
    s.reply.bulk(b"prefixes");
    s.reply.array(0);
    Ok(())
}

pub fn caching(_: &mut Session<'_>) -> Outcome {
    Err(CommandError::Text(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
    ))
}

pub fn help(s: &mut Session<'_>) -> Outcome {
    s.help(&[
        "CACHING (YES|NO)",
        "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
        "GETREDIR",
        "    Return the client ID we are redirecting to when tracking is enabled.",
        "GETNAME",
        "    Return the name of the current connection.",
        "ID",
        "    Return the ID of the current connection.",
        "INFO",
        "    Return information about the current client connection.",
        "KILL <ip:port>",
        "    Kill connection made from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Kill connections. Options are:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made from the specified address",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made to specified local address",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Kill connections by type.",
        "    * USER <username>",
        "      Kill connections authenticated by <username>.",
        "    * SKIPME (YES|NO)",
        "      Skip killing current connection (default: yes).",
        "    * ID <client-id>",
        "      Kill connections by client id.",
        "    * MAXAGE <maxage>",
        "      Kill connections older than the specified age.",
        "LIST [options ...]",
        "    Return information about client connections. Options:",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Return clients of specified type.",
        "UNPAUSE",
        "    Stop the current client pause, resuming traffic.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Suspend all, or just write, clients for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.",
        "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
        "SETINFO <option> <value>",
        "    Set client meta attr. Options are:",
        "    * LIB-NAME: the client lib name.",
        "    * LIB-VER: the client lib version.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    Unblock the specified blocked client.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
        "         [OPTIN] [OPTOUT] [NOLOOP]",
        "    Control server assisted client side caching.",
        "TRACKINGINFO",
        "    Report tracking status for the current connection.",
        "NO-EVICT (ON|OFF)",
        "    Protect current client connection from eviction.",
        "NO-TOUCH (ON|OFF)",
        "    Will not touch LRU/LFU stats when this mode is on.",
    ]);
    Ok(())
}

/// MONITOR answers once and then feeds; whoever monitors may not touch the data, as in Redis.
pub fn may_touch_data(conn: &Conn, flags: Flags) -> bool {
    !conn.monitor || !flags.intersects(Flags::WRITE.with(Flags::READONLY).with(Flags::MAY_REPLICATE))
}

impl Shard {
    /// Every connection of the shards that are present which is not being closed, oldest first.
    pub(crate) fn clients(&self) -> impl Iterator<Item = &Conn> {
        let mut clients: Vec<&Conn> = self.present().into_iter().flat_map(Shard::own_clients).collect();
        clients.sort_by_key(|conn| conn.client);
        clients.into_iter()
    }

    /// Every connection of this shard that is still there, oldest first.
    pub(crate) fn own_clients(&self) -> impl Iterator<Item = &Conn> {
        self.by_client.values().filter_map(|&id| self.conn(id)).filter(|conn| conn.is_there())
    }

    fn client(&self, client: ClientId) -> Option<&Conn> {
        self.present().into_iter().find_map(|shard| {
            let &id = shard.by_client.get(&client)?;
            shard.conn(id).filter(|conn| conn.is_there())
        })
    }
}
