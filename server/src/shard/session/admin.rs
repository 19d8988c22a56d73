//! ROLE LASTSAVE SHUTDOWN MODULE: the process as others see it.

use kevy::command::CommandError;

use super::{Outcome, Session};
use crate::log::Level;
use crate::shard::Request;

pub fn role(s: &mut Session<'_>) -> Outcome {
    s.reply.array(3);
    s.reply.bulk(b"master");
    s.reply.int(0);
    s.reply.array(0);
    Ok(())
}

/// Nothing has been saved since the start, which counts as a save in Redis.
pub fn lastsave(s: &mut Session<'_>) -> Outcome {
    let started = s.shard.started.unix / 1000;
    s.reply.int(started as i64);
    Ok(())
}

/// Success has no reply: the connection closes when the process ends.
pub fn shutdown(s: &mut Session<'_>) -> Outcome {
    let (mut save, mut nosave, mut now, mut force, mut abort) = (false, false, false, false, false);
    for index in 1..s.args.len() {
        match () {
            () if s.is(index, "SAVE") => save = true,
            () if s.is(index, "NOSAVE") => nosave = true,
            () if s.is(index, "NOW") => now = true,
            () if s.is(index, "FORCE") => force = true,
            () if s.is(index, "ABORT") => abort = true,
            () => return Err(CommandError::Syntax),
        }
    }
    if (abort && (save || nosave || now || force)) || (save && nosave) {
        return Err(CommandError::Syntax);
    }
    if abort {
        return Err(CommandError::Text("ERR No shutdown in progress."));
    }
    if save && !force {
        // Exiting as if the data were on disk would lose it.
        crate::log!(
            Level::Warning,
            "SHUTDOWN SAVE was asked for, and this version of kevy cannot save: not exiting."
        );
        return Err(CommandError::Text("ERR Errors trying to SHUTDOWN. Check logs."));
    }
    s.shard.everywhere(|shard| shard.request = Some(Request::Shutdown));
    s.conn_mut().close_after_reply = true;
    Ok(())
}

pub fn module_list(s: &mut Session<'_>) -> Outcome {
    s.reply.array(0);
    Ok(())
}

pub fn module_help(s: &mut Session<'_>) -> Outcome {
    s.help(&["LIST", "    Return a list of loaded modules."]);
    Ok(())
}
