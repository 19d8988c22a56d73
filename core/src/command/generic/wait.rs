//! WAIT and WAITAOF: clients that want to know how far their writes have come.
//!
//! There are no replicas and nothing is persisted, so no write ever gets further than memory, and the truth about
//! every wait is known at its beginning: it is over at once if it is for nothing, and ends with nothing when its time
//! is up otherwise.

use super::{Call, CommandError, Outcome};
use crate::command::{BlockedOn, TimeoutReply, parse_timeout_millis};

pub fn wait(c: &mut Call<'_>) -> Outcome {
    let replicas = kept(c.int(1)?);
    let deadline = parse_timeout_millis(c.arg(2), c.data.now)?;
    if replicas <= 0 {
        c.reply.int(0);
        return Ok(());
    }
    c.block(BlockedOn::Replicas, [], deadline, TimeoutReply::NoReplica)
}

pub fn waitaof(c: &mut Call<'_>) -> Outcome {
    const NOT_0_OR_1: CommandError =
        CommandError::Text("ERR value is out of range, value must between 0 and 1");
    const NO_FILE: CommandError =
        CommandError::Text("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
    let local = c.int(1)?;
    if !(0..=1).contains(&local) {
        return Err(NOT_0_OR_1);
    }
    let replicas = c.int(2).ok().filter(|&replicas| replicas >= 0).ok_or(CommandError::MustBePositive)?;
    let replicas = kept(replicas);
    let deadline = parse_timeout_millis(c.arg(3), c.data.now)?;
    if local > 0 {
        return Err(NO_FILE);
    }
    if replicas <= 0 {
        TimeoutReply::NoFile.write(&mut c.reply);
        return Ok(());
    }
    c.block(BlockedOn::Replicas, [], deadline, TimeoutReply::NoFile)
}

/// How many replicas Redis really waits for: it remembers 32 bits of the number.
fn kept(replicas: i64) -> i32 {
    replicas as i32
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Db, START};
    use crate::command::{Block, BlockedOn, TimeoutReply};

    #[test]
    fn a_wait_for_nothing_is_over_at_once_and_any_other_ends_with_its_time() {
        let mut db = Db::new();
        assert_eq!(db.run("WAIT 0 0"), "(integer) 0");
        assert_eq!(db.run("WAITAOF 0 0 0"), "1) (integer) 0\n2) (integer) 0");
        assert_eq!(db.run("WAIT 9223372036854775807 0"), "(integer) 0");
        assert_eq!(db.run("WAITAOF 0 4294967296 0"), "1) (integer) 0\n2) (integer) 0");
        for (line, deadline, on_timeout) in [
            ("WAIT 1 0", None, TimeoutReply::NoReplica),
            ("WAIT 2 50", Some(START + 50), TimeoutReply::NoReplica),
            ("WAITAOF 0 1 7", Some(START + 7), TimeoutReply::NoFile),
        ] {
            db.may_block = true;
            db.run(line);
            let kind = BlockedOn::Replicas;
            assert_eq!(db.block.take(), Some(Block { keys: vec![], deadline, on_timeout, kind }), "{line}");
        }
        db.may_block = false;
        assert_eq!(db.run("WAIT 1 0"), "(integer) 0");
        assert_eq!(db.run("WAITAOF 0 1 0"), "1) (integer) 0\n2) (integer) 0");
    }
}
