//! Commands about keys, whatever is stored at them: DEL EXISTS TYPE RENAME COPY MOVE and their like here, deadlines
//! in [`expire`](mod@expire), KEYS SCAN RANDOMKEY in [`walk`], OBJECT and MEMORY USAGE in [`object`], WAIT and WAITAOF
//! in [`wait`].
//!
//! RENAME and MOVE move the entry itself: value, deadline and access field stay as they are, whatever their size.

pub mod expire;
pub mod object;
pub mod wait;
pub mod walk;

use super::{Call, CommandError, Outcome};
use crate::keyspace::{Class, Data, UnixMillis};
use crate::number::parse_i64;
use crate::value::Value;

const SAME_OBJECT: CommandError = CommandError::Text("ERR source and destination objects are the same");

/// Also UNLINK: large values are never freed in the middle of a command.
pub fn del(c: &mut Call<'_>) -> Outcome {
    let mut deleted = 0;
    let keys = c.args.from(1);
    for (at, key) in keys.iter().enumerate() {
        c.data.prefetch_run(keys, at, 1);
        if c.data.remove(key) {
            c.data.changed(key, Class::GENERIC, "del");
            deleted += 1;
        } else if crate::bug!(DelCountsMissing) {
            deleted += 1;
        }
    }
    c.reply.int(deleted);
    Ok(())
}

pub fn exists(c: &mut Call<'_>) -> Outcome {
    let mut found = 0;
    let keys = c.args.from(1);
    for (at, key) in keys.iter().enumerate() {
        c.data.prefetch_run(keys, at, 1);
        found += i64::from(c.data.inspect(key).is_some());
    }
    c.reply.int(found);
    Ok(())
}

pub fn touch(c: &mut Call<'_>) -> Outcome {
    // The one command that counts as an access even after CLIENT NO-TOUCH.
    c.data.access.no_touch = false;
    let mut found = 0;
    let keys = c.args.from(1);
    for (at, key) in keys.iter().enumerate() {
        c.data.prefetch_run(keys, at, 1);
        found += i64::from(c.data.read(key).is_some());
    }
    c.reply.int(found);
    Ok(())
}

pub fn r#type(c: &mut Call<'_>) -> Outcome {
    let name = c.data.inspect(c.args.at(1)).map_or("none", |entry| entry.value().type_name());
    c.reply.simple(name);
    Ok(())
}

pub fn rename(c: &mut Call<'_>) -> Outcome {
    move_to_key(c, true)?;
    c.reply.ok();
    Ok(())
}

pub fn renamenx(c: &mut Call<'_>) -> Outcome {
    let moved = move_to_key(c, false)?;
    c.reply.int(i64::from(moved));
    Ok(())
}

/// RENAME and RENAMENX: whether the entry has moved. It has not if both names are the same, or if the new one is
/// taken and may not be replaced.
fn move_to_key(c: &mut Call<'_>, replace: bool) -> Result<bool, CommandError> {
    let (from, to) = (c.arg(1), c.arg(2));
    if c.data.write(from).is_none() {
        return Err(CommandError::NoSuchKey);
    }
    if from == to || !(replace || crate::bug!(RenamenxReplaces)) && c.data.exists(to) {
        return Ok(false);
    }
    c.data.remove(to);
    if let Some(entry) = c.data.take(from) {
        let mut entry = entry.renamed(to);
        entry.set_deadline(entry.deadline().filter(|_| !crate::bug!(RenameLosesDeadline)));
        c.data.insert_entry(entry);
    }
    c.data.dirty(1);
    c.data.touched(from);
    if !crate::bug!(RenameUnwatchedAtTarget) {
        c.data.touched(to);
    }
    c.data.notify(Class::GENERIC, "rename_from", from);
    c.data.notify(Class::GENERIC, "rename_to", to);
    Ok(true)
}

pub fn copy(c: &mut Call<'_>) -> Outcome {
    let (from, to) = (c.arg(1), c.arg(2));
    let mut db = c.data.db;
    let mut replace = false;
    let mut at = 3;
    while at < c.args.len() {
        if c.is(at, "REPLACE") {
            replace = true;
            at += 1;
        } else if c.is(at, "DB") && at + 1 < c.args.len() {
            let given = database(&c.data, c.arg(at + 1))?;
            db = if crate::bug!(CopyIgnoresDb) { db } else { given };
            at += 2;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if db == c.data.db && from == to {
        return Err(SAME_OBJECT);
    }
    let copied = copy_entry(&mut c.data, from, db, to, replace);
    c.reply.int(i64::from(copied));
    Ok(())
}

fn copy_entry(data: &mut Data<'_>, from: &[u8], db: usize, to: &[u8], replace: bool) -> bool {
    let Some(entry) = data.read(from) else { return false };
    let (value, deadline): (Value, Option<UnixMillis>) = (entry.value().into(), entry.deadline());
    let mut target = data.select(db);
    if target.exists(to) && !replace {
        return false;
    }
    target.remove(to);
    target.add(to, value, deadline.filter(|_| !crate::bug!(CopyLosesDeadline)));
    target.changed(to, Class::GENERIC, "copy_to");
    true
}

pub fn r#move(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    let db = database(&c.data, c.arg(2))?;
    if db == c.data.db {
        return Err(SAME_OBJECT);
    }
    let movable = c.data.write(key).is_some() && !c.data.select(db).exists(key);
    if movable && let Some(entry) = c.data.take(key) {
        let mut target = c.data.select(db);
        target.insert_entry(entry);
        target.dirty(1);
        c.data.touched(key);
        c.data.select(db).touched(key);
        c.data.notify(Class::GENERIC, "move_from", key);
        c.data.select(db).notify(Class::GENERIC, "move_to", key);
    }
    c.reply.int(i64::from(movable));
    Ok(())
}

/// The database with the index a client gave.
fn database(data: &Data<'_>, word: &[u8]) -> Result<usize, CommandError> {
    const BEYOND_INT: CommandError =
        CommandError::Text("ERR value is out of range, value must between -2147483648 and 2147483647");
    let index = parse_i64(word).ok_or(CommandError::NotInteger)?;
    let index = i32::try_from(index).map_err(|_| BEYOND_INT)?;
    usize::try_from(index)
        .ok()
        .filter(|&index| index < data.keyspace.dbs.len())
        .ok_or(CommandError::DbIndexOutOfRange)
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Db;

    #[test]
    fn rename_keeps_value_and_deadline_and_reports_both_keys() {
        let mut db = Db::new();
        db.ok("RPUSH a 1 2");
        db.ok("PEXPIREAT a 1900000000000");
        db.ok("HSET b f v");
        db.forget();
        db.check(
            "
            > RENAME a b
            OK
            > TYPE b
            list
            > PEXPIRETIME b
            (integer) 1900000000000
            > EXISTS a
            (integer) 0
            ",
        );
        assert_eq!(db.events(), ["new b", "rename_from a", "rename_to b", "keymiss a"]);
        assert_eq!(db.modified(), ["a", "b"]);
        assert_eq!(db.offered(), ["b"]);
        assert_eq!(db.journal(), ["RENAME a b"]);
        db.check(
            "
            > RENAME a a
            (error) ERR no such key
            > RENAME b b
            OK
            > RENAMENX b b
            (integer) 0
            ",
        );
        assert_eq!(db.journal(), [""; 0]);
    }

    #[test]
    fn renamenx_spares_a_key_that_is_there() {
        let mut db = Db::new();
        db.ok("RPUSH a 1");
        db.ok("RPUSH b 2");
        assert_eq!(db.run("RENAMENX a b"), "(integer) 0");
        db.ok("PEXPIREAT b 1700000000500");
        db.advance(501);
        db.forget();
        // An expired key is no longer there.
        assert_eq!(db.run("RENAMENX a b"), "(integer) 1");
        assert_eq!(db.events(), ["expired b", "new b", "rename_from a", "rename_to b"]);
        assert_eq!(db.journal(), ["DEL b", "RENAMENX a b"]);
        assert_eq!(db.run("TTL b"), "(integer) -1");
    }

    #[test]
    fn copy_is_a_value_of_its_own() {
        let mut db = Db::new();
        db.ok("RPUSH a 1 2");
        db.ok("PEXPIREAT a 1900000000000");
        db.forget();
        db.check(
            "
            > COPY a b DB 3
            (integer) 1
            > COPY a a DB 0
            (error) ERR source and destination objects are the same
            > COPY a b DB 16
            (error) ERR DB index is out of range
            > COPY a b DB
            (error) ERR syntax error
            > COPY none b REPLACE
            (integer) 0
            > RPUSH a 3
            (integer) 3
            ",
        );
        assert_eq!(db.events(), ["new b@3", "copy_to b@3", "keymiss none", "rpush a"]);
        db.db = 3;
        assert_eq!(db.run("LLEN b"), "(integer) 2");
        assert_eq!(db.run("PEXPIRETIME b"), "(integer) 1900000000000");
        db.ok("HSET c f v");
        db.ok("PEXPIREAT c 1900000000000");
        assert_eq!(db.run("COPY c b"), "(integer) 0");
        assert_eq!(db.run("COPY b c REPLACE DB 3"), "(integer) 1");
        assert_eq!(db.run("COPY b d DB 0"), "(integer) 1");
        assert_eq!(db.run("TYPE c"), "list");
    }

    #[test]
    fn move_takes_the_deadline_along() {
        let mut db = Db::new();
        db.ok("RPUSH a 1");
        db.ok("PEXPIREAT a 1700000001000");
        db.forget();
        assert_eq!(db.run("MOVE a 2"), "(integer) 1");
        assert_eq!(db.events(), ["new a@2", "move_from a", "move_to a@2"]);
        assert_eq!(db.modified(), ["a", "a@2"]);
        assert_eq!(db.journal(), ["MOVE a 2"]);
        assert_eq!(db.run("MOVE a 2"), "(integer) 0");
        assert_eq!(db.run("MOVE a 0"), "(error) ERR source and destination objects are the same");
        db.ok("RPUSH a other");
        assert_eq!(db.run("MOVE a 2"), "(integer) 0");
        db.advance(1001);
        assert_eq!(db.run("MOVE a 2"), "(integer) 1");
        db.db = 2;
        assert_eq!(db.run("TTL a"), "(integer) -1");
    }

    #[test]
    fn deleting_reports_what_was_there() {
        let mut db = Db::new();
        db.ok("RPUSH a 1");
        db.ok("RPUSH b 1");
        db.forget();
        assert_eq!(db.run("DEL a none b a"), "(integer) 2");
        assert_eq!(db.events(), ["del a", "del b"]);
        assert_eq!(db.dirty(), 4);
        assert_eq!(db.run("UNLINK a"), "(integer) 0");
        assert_eq!(db.journal(), ["DEL a none b a"]);
    }
}
