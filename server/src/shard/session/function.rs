//! FUNCTION as a server without functions answers it, so that tools which look for libraries find none.

use kevy::command::CommandError;

use super::{Outcome, Session};

/// What FUNCTION DUMP answers when there are no libraries: no content, the RDB version (12), and the CRC-64 of that.
const EMPTY_DUMP: [u8; 10] = [12, 0, 0x96, 0xed, 0x68, 0x80, 0xf5, 0x55, 0x3c, 0x93];

pub fn list(s: &mut Session<'_>) -> Outcome {
    let (mut with_code, mut pattern) = (false, false);
    let mut at = 2;
    while at < s.args.len() {
        if !with_code && s.is(at, "WITHCODE") {
            with_code = true;
        } else if !pattern && s.is(at, "LIBRARYNAME") {
            at += 1;
            if at == s.args.len() {
                return Err(CommandError::Text("ERR library name argument was not given"));
            }
            pattern = true;
        } else {
            return Err(CommandError::quoting("ERR Unknown argument ", s.arg(at), ""));
        }
        at += 1;
    }
    s.reply.array(0);
    Ok(())
}

pub fn flush(s: &mut Session<'_>) -> Outcome {
    if s.args.len() > 3 {
        return Err(s.wrong_subcommand());
    }
    if s.args.len() == 3 && !s.is(2, "SYNC") && !s.is(2, "ASYNC") {
        return Err(CommandError::Text("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    s.reply.ok();
    Ok(())
}

pub fn dump(s: &mut Session<'_>) -> Outcome {
    s.reply.bulk(&EMPTY_DUMP);
    Ok(())
}

pub fn stats(s: &mut Session<'_>) -> Outcome {
    let r = &mut s.reply;
    r.map(2);
    r.bulk(b"running_script");
    r.null();
    r.bulk(b"engines");
    r.map(1);
    r.bulk(b"LUA");
    r.map(2);
    r.bulk(b"libraries_count");
    r.int(0);
    r.bulk(b"functions_count");
    r.int(0);
    Ok(())
}

pub fn help(s: &mut Session<'_>) -> Outcome {
    s.help(&[
        "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        "    Return general information on all the libraries:",
        "    * Library name",
        "    * The engine used to run the Library",
        "    * Functions list",
        "    * Library code (if WITHCODE is given)",
        "    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
        "STATS",
        "    Return information about the current function running:",
        "    * Function name",
        "    * Command used to run the function",
        "    * Duration in MS that the function is running",
        "    If no function is running, return nil",
        "    In addition, returns a list of available engines.",
        "FLUSH [ASYNC|SYNC]",
        "    Delete all the libraries.",
        "    When called without the optional mode argument, the behavior is determined by the",
        "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
        "    * ASYNC: Asynchronously flush the libraries.",
        "    * SYNC: Synchronously flush the libraries.",
        "DUMP",
        "    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command",
    ]);
    Ok(())
}
