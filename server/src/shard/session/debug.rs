//! DEBUG: what test suites and tools ask for. What concerns data alone is in the core and is asked first.
//!
//! Switches for things that work differently here (incremental rehashing, reply buffers …) are accepted and change
//! nothing: a test that sets one wants determinism, which kevy has anyway. Nothing that needs files is pretended.

use kevy::command::{Call, CommandError, debug};
use kevy::number::parse_i64;
use kevy::value::{Object, ValueRef};

use super::{Outcome, Session};
use crate::config::kind::bytes_with_unit;
use crate::log::Level;

const NO_PERSISTENCE: CommandError =
    CommandError::Text("ERR this version of kevy keeps no files: there is nothing to reload");

pub fn debug(s: &mut Session<'_>) -> Outcome {
    if on_data(s)? {
        return Ok(());
    }
    let argc = s.args.len();
    if s.is(1, "SLEEP") && argc == 3 {
        // As Redis reads it: what is no number is 0.
        let seconds = kevy::number::parse_f64(s.arg(2)).unwrap_or(0.0);
        if seconds > 0.0 {
            (s.shard.env.hold)((seconds * 1e6) as u64);
        }
        s.reply.ok();
    } else if s.is(1, "SET-ACTIVE-EXPIRE") && argc == 3 {
        let off = parse_i64(s.arg(2)).unwrap_or(0) == 0;
        s.shard.everywhere(|shard| shard.cron.expire_off = off);
        s.reply.ok();
    } else if s.is(1, "QUICKLIST-PACKED-THRESHOLD") && argc == 3 {
        const LARGEST: u64 = 1 << 32;
        let bytes = bytes_with_unit(s.arg(2)).filter(|&bytes| bytes <= LARGEST).ok_or(CommandError::Text(
            "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
        ))?;
        s.shard.everywhere(|shard| shard.config.settings.list.packed_threshold = bytes as usize);
        s.reply.ok();
    } else if s.is(1, "HTSTATS") && (argc == 3 || argc == 4) {
        htstats(s)?;
    } else if s.is(1, "HTSTATS-KEY") && (argc == 3 || argc == 4) {
        htstats_key(s)?;
    } else if s.is(1, "LOG") && argc == 3 {
        crate::log!(Level::Warning, "DEBUG LOG: {}", String::from_utf8_lossy(s.arg(2)));
        s.reply.ok();
    } else if s.is(1, "CHANGE-REPL-ID") && argc == 2 {
        s.shard.session.new_replication_id();
        s.reply.ok();
    } else if s.is(1, "STRUCTSIZE") && argc == 2 {
        let text = format!(
            "bits:{} entry:{} conn:{} ",
            usize::BITS,
            std::mem::size_of::<kevy::keyspace::entry::Entry>(),
            std::mem::size_of::<crate::shard::conn::Conn>()
        );
        s.reply.bulk(text.as_bytes());
    } else if s.is(1, "RELOAD") || (s.is(1, "LOADAOF") && argc == 2) {
        return Err(NO_PERSISTENCE);
    } else if argc == 3 && ACCEPTED.iter().any(|name| s.is(1, name))
        || argc == 4 && s.is(1, "REPLYBUFFER") && (s.is(2, "PEAK-RESET-TIME") || s.is(2, "RESIZING"))
    {
        s.reply.ok();
    } else if s.is(1, "HELP") && argc == 2 {
        help(s);
    } else {
        return Err(s.wrong_subcommand());
    }
    Ok(())
}

/// Subcommands with one argument that change nothing here.
const ACCEPTED: [&str; 6] = [
    "DICT-RESIZING",
    "PAUSE-CRON",
    "SET-SKIP-CHECKSUM-VALIDATION",
    "SET-DISABLE-DENY-SCRIPTS",
    "AOF-FLUSH-SLEEP",
    "STRINGMATCH-LEN",
];

/// Asks the core's DEBUG.
fn on_data(s: &mut Session<'_>) -> Result<bool, CommandError> {
    let db = s.conn().db;
    let mut data = s.shard.data(db);
    data.access.no_touch = true;
    data.access.keep_expired &= !kevy::bug!(DebugOverlooksPause);
    let mut call = Call {
        command: s.command,
        args: s.args,
        data,
        reply: s.reply.reborrow(),
        may_block: false,
        block: None,
    };
    debug::debug(&mut call)
}

/// Sizes in the words of Redis's report, so that whoever looks for them finds them.
fn htstats(s: &mut Session<'_>) -> Outcome {
    let number = s.int(2)?;
    let dbs = &s.shard.realm.keyspace.dbs;
    let Some(db) = usize::try_from(number).ok().filter(|&db| db < dbs.len()) else {
        return Err(CommandError::Text("ERR Out of range database"));
    };
    let table = |len: usize| {
        if len == 0 {
            return String::new();
        }
        format!("Hash table 0 stats (main hash table):\n table size: {len}\n number of elements: {len}\n")
    };
    let text = format!("[Dictionary HT]\n{}[Expires HT]\n{}", table(dbs.keys(db)), table(dbs.volatile(db)));
    s.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

fn htstats_key(s: &mut Session<'_>) -> Outcome {
    let (db, key) = (s.conn().db, s.args.at(2));
    let mut data = s.shard.data(db);
    let entry = data.peek(key).ok_or(CommandError::NoSuchKey)?;
    let len = match entry.value() {
        ValueRef::Object(object @ (Object::Hash(_) | Object::Set(_) | Object::Zset(_)))
            if matches!(entry.value().encoding_name(), "hashtable" | "skiplist") =>
        {
            object.len()
        }
        _ => {
            return Err(CommandError::Text(
                "ERR The value stored at the specified key is not represented using an hash table",
            ));
        }
    };
    let text =
        format!("Hash table 0 stats (main hash table):\n table size: {len}\n number of elements: {len}\n");
    s.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

fn help(s: &mut Session<'_>) {
    s.help(&[
        "CHANGE-REPL-ID",
        "    Change the replication IDs of the instance.",
        "    Dangerous: should be used only for testing the replication subsystem.",
        "DIGEST",
        "    Output a hex signature representing the current DB content.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Output a hex signature of the values of all the specified keys.",
        "ERROR <string>",
        "    Return a Redis protocol error with <string> as message. Useful for clients",
        "    unit tests to simulate Redis errors.",
        "HTSTATS <dbid> [full]",
        "    Return hash table statistics of the specified Redis database.",
        "HTSTATS-KEY <key> [full]",
        "    Like HTSTATS but for the hash table stored at <key>'s value.",
        "LISTPACK <key>",
        "    Check that <key> has the listpack encoding.",
        "LOG <message>",
        "    Write <message> to the server log.",
        "OBJECT <key>",
        "    Show low level info about `key` and associated value.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Create <count> string keys named key:<num>. If <prefix> is specified then",
        "    it is used instead of the 'key' prefix.",
        "PROTOCOL <type>",
        "    Reply with a test value of the specified type. <type> can be: string,",
        "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
        "    true, false.",
        "QUICKLIST <key> [<0|1>]",
        "    Check that <key> has the quicklist encoding.",
        "QUICKLIST-PACKED-THRESHOLD <size>",
        "    Sets the threshold for elements to be inserted as plain vs packed nodes",
        "    Allows values up to 4GB. Setting to 0 restores to default.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Setting it to 0 disables expiring keys in background",
        "    when they are not accessed (otherwise the Redis behavior). Setting it",
        "    to 1 reenables back the default.",
        "SLEEP <seconds>",
        "    Stop the server for <seconds>. Decimals allowed.",
        "STRUCTSIZE",
        "    Return the size of different core structures.",
    ]);
}
