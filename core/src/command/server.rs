//! Commands about whole databases and about the server that need nothing but data: DBSIZE FLUSHDB FLUSHALL SWAPDB
//! TIME LOLWUT.

use super::{Call, CommandError, Outcome};
use crate::number::parse_i64;
use crate::rng::Rng;

pub fn dbsize(c: &mut Call<'_>) -> Outcome {
    c.reply.int(c.data.keyspace.dbs.keys(c.data.db) as i64);
    Ok(())
}

pub fn flushdb(c: &mut Call<'_>) -> Outcome {
    check_flush_type(c)?;
    let keys = c.data.flush(c.data.db);
    c.data.dirty(keys as u64);
    // Replayed even if nothing was there.
    c.data.propagate(&[b"FLUSHDB"]);
    c.reply.ok();
    Ok(())
}

pub fn flushall(c: &mut Call<'_>) -> Outcome {
    check_flush_type(c)?;
    for db in 0..c.data.keyspace.dbs.len() {
        let keys = c.data.flush(db);
        c.data.dirty(keys as u64);
    }
    c.data.propagate(&[b"FLUSHALL"]);
    c.reply.ok();
    Ok(())
}

/// SYNC and ASYNC differ in nothing a client can see: what was flushed is always freed later.
fn check_flush_type(c: &Call<'_>) -> Outcome {
    match c.args.len() {
        1 => Ok(()),
        2 if c.is(1, "SYNC") || c.is(1, "ASYNC") => Ok(()),
        _ => Err(CommandError::Syntax),
    }
}

pub fn swapdb(c: &mut Call<'_>) -> Outcome {
    const FIRST: CommandError = CommandError::Text("ERR invalid first DB index");
    const SECOND: CommandError = CommandError::Text("ERR invalid second DB index");
    let int = |at: usize| parse_i64(c.arg(at)).and_then(|index| i32::try_from(index).ok());
    let (first, second) = (int(1).ok_or(FIRST)?, int(2).ok_or(SECOND)?);
    let count = c.data.keyspace.dbs.len();
    let database = |index: i32| usize::try_from(index).ok().filter(|&index| index < count);
    let (Some(first), Some(second)) = (database(first), database(second)) else {
        return Err(CommandError::DbIndexOutOfRange);
    };
    if !crate::bug!(SwapdbOnlyAnswers) {
        c.data.swap(first, second);
    }
    c.data.dirty(1);
    c.reply.ok();
    Ok(())
}

/// Seconds and microseconds.
pub fn time(c: &mut Call<'_>) -> Outcome {
    let (now, micros) = (c.data.now, u64::from(c.data.now_micros));
    c.reply.array(2);
    c.reply.bulk(itoa::Buffer::new().format(now / 1000).as_bytes());
    c.reply.bulk(itoa::Buffer::new().format(now % 1000 * 1000 + micros).as_bytes());
    Ok(())
}

/// A drawing, then the line with the version that some clients look for. The argument of VERSION chooses among
/// drawings in Redis; here it is only checked.
pub fn lolwut(c: &mut Call<'_>) -> Outcome {
    if c.is(1, "VERSION") && c.args.len() > 2 {
        c.int(2)?;
    }
    let mut text = automaton(c.data.rng());
    text.push_str("\nRedis ver. ");
    text.push_str(crate::REDIS_VERSION);
    text.push('\n');
    c.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// Twenty generations of an elementary cellular automaton (Wolfram's rules 30, 90, 110) from a random start.
fn automaton(rng: &mut Rng) -> String {
    const RULES: [u8; 3] = [30, 90, 110];
    let rule = RULES[rng.index(RULES.len())];
    let mut cells = rng.next_u64();
    let mut text = String::new();
    for _ in 0..20 {
        for bit in (0..u64::BITS).rev() {
            text.push(if cells >> bit & 1 == 1 { '#' } else { ' ' });
        }
        text.push('\n');
        let (left, right) = (cells.rotate_right(1), cells.rotate_left(1));
        cells = (0..8).filter(|neighbours| rule >> neighbours & 1 == 1).fold(0, |next, neighbours: u8| {
            let matching = |cells: u64, bit: u8| if neighbours >> bit & 1 == 1 { cells } else { !cells };
            next | matching(left, 2) & matching(cells, 1) & matching(right, 0)
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Db;
    use crate::keyspace::{Garbage, Whole};

    #[test]
    fn flushed_databases_are_garbage() {
        let mut db = Db::new();
        db.ok("RPUSH a 1");
        db.ok("COPY a b DB 2");
        db.ok("COPY a c DB 2");
        db.forget();
        assert_eq!(db.run("FLUSHDB nonsense"), "(error) ERR syntax error");
        assert_eq!(db.run("FLUSHDB SYNC"), "OK");
        assert_eq!(db.effects.whole, [Whole::Flushed(0)]);
        assert_eq!(db.journal(), ["FLUSHDB"]);
        assert_eq!(db.run("FLUSHALL async"), "OK");
        assert_eq!(db.effects.whole, [Whole::Flushed(0), Whole::Flushed(2)]);
        assert_eq!(db.journal(), ["FLUSHALL"]);
        assert_eq!(db.dirty(), 3 + 3);
        assert!(matches!(&db.effects.garbage[1], Garbage::Db(2, emptied) if emptied.len() == 2));
        db.forget();
        assert_eq!(db.run("FLUSHALL"), "OK");
        assert_eq!(db.journal(), ["FLUSHALL"], "replayed although nothing was there");
        assert!(db.effects.whole.is_empty());
    }

    #[test]
    fn swapped_databases() {
        let mut db = Db::new();
        db.ok("RPUSH a 1");
        db.forget();
        db.check(
            "
            > SWAPDB 0 5
            OK
            > DBSIZE
            (integer) 0
            > SWAPDB 3 3
            OK
            > SWAPDB x 0
            (error) ERR invalid first DB index
            > SWAPDB 0 99999999999
            (error) ERR invalid second DB index
            > SWAPDB 0 -1
            (error) ERR DB index is out of range
            ",
        );
        assert_eq!(db.effects.whole, [Whole::Swapped(0, 5)]);
        assert_eq!(db.journal(), ["SWAPDB 0 5", "SWAPDB 3 3"]);
        db.db = 5;
        assert_eq!(db.run("EXISTS a"), "(integer) 1");
    }

    #[test]
    fn the_time_is_that_of_the_command() {
        let mut db = Db::new();
        db.advance(123);
        assert_eq!(db.run("TIME"), "1) \"1700000000\"\n2) \"123000\"");
    }
}
