//! Deadlines: EXPIRE and its variants, TTL and its variants, PERSIST.
//!
//! Whatever unit and base a command has, a deadline is kept and replayed in absolute milliseconds.

use crate::command::{Call, CommandError, Outcome};
use crate::keyspace::{Class, UnixMillis};

pub fn expire(c: &mut Call<'_>) -> Outcome {
    let now = c.data.now;
    set_deadline(c, now, Unit::Seconds)
}

pub fn pexpire(c: &mut Call<'_>) -> Outcome {
    let now = c.data.now;
    set_deadline(c, now, Unit::Millis)
}

pub fn expireat(c: &mut Call<'_>) -> Outcome {
    set_deadline(c, 0, Unit::Seconds)
}

pub fn pexpireat(c: &mut Call<'_>) -> Outcome {
    set_deadline(c, 0, Unit::Millis)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Millis,
}

/// When a deadline may be set, by what the key has now.
#[derive(Default)]
struct Condition {
    /// Only if there is none.
    nx: bool,
    /// Only if there is one.
    xx: bool,
    /// Only to a later instant; none is the latest.
    gt: bool,
    /// Only to an earlier instant.
    lt: bool,
}

impl Condition {
    fn parse(c: &Call<'_>) -> Result<Condition, CommandError> {
        let mut condition = Condition::default();
        for word in c.args.from(3) {
            match word {
                _ if word.eq_ignore_ascii_case(b"NX") => condition.nx = true,
                _ if word.eq_ignore_ascii_case(b"XX") => condition.xx = true,
                _ if word.eq_ignore_ascii_case(b"GT") => condition.gt = true,
                _ if word.eq_ignore_ascii_case(b"LT") => condition.lt = true,
                _ => {
                    return Err(CommandError::quoting("ERR Unsupported option ", word, ""));
                }
            }
        }
        if condition.nx && (condition.xx || condition.gt || condition.lt) {
            const NX: &str = "ERR NX and XX, GT or LT options at the same time are not compatible";
            return Err(CommandError::Text(NX));
        }
        if condition.gt && condition.lt && !crate::bug!(GtWithLt) {
            const GT_LT: &str = "ERR GT and LT options at the same time are not compatible";
            return Err(CommandError::Text(GT_LT));
        }
        Ok(condition)
    }

    fn admits(&self, current: Option<UnixMillis>, wanted: i64) -> bool {
        match current {
            None => !self.xx && (!self.gt || crate::bug!(GtGivesFirstDeadline)),
            Some(current) => {
                let current = i64::try_from(current).unwrap_or(i64::MAX);
                !(self.nx
                    || self.gt && !crate::bug!(ExpireIgnoresGt) && wanted <= current
                    || self.lt && wanted >= current)
            }
        }
    }
}

fn set_deadline(c: &mut Call<'_>, base: UnixMillis, unit: Unit) -> Outcome {
    let key = c.arg(1);
    let condition = Condition::parse(c)?;
    let amount = c.int(2)?;
    let millis = if unit == Unit::Seconds { amount.checked_mul(1000) } else { Some(amount) };
    let deadline = millis
        .and_then(|millis| millis.checked_add_unsigned(base))
        .ok_or(CommandError::InvalidExpire(c.command.name))?;

    let current = c.data.write(key).map(|entry| entry.deadline());
    if !current.is_some_and(|current| condition.admits(current, deadline)) {
        c.reply.int(0);
        return Ok(());
    }
    match UnixMillis::try_from(deadline) {
        Ok(deadline) if deadline > c.data.now => {
            c.data.set_deadline(key, Some(deadline));
            c.data.changed(key, Class::GENERIC, "expire");
            if crate::bug!(ExpireNotReplayed) {
                return {
                    c.data.propagate_nothing();
                    c.reply.int(1);
                    Ok(())
                };
            }
            c.data.propagate(&[b"PEXPIREAT", key, itoa::Buffer::new().format(deadline).as_bytes()]);
        }
        // The instant has come already.
        _ => {
            c.data.remove(key);
            c.data.changed(key, Class::GENERIC, "del");
            let command: &[u8] = if c.data.settings.lazyfree_lazy_expire { b"UNLINK" } else { b"DEL" };
            c.data.propagate(&[command, key]);
        }
    }
    c.reply.int(1);
    Ok(())
}

pub fn ttl(c: &mut Call<'_>) -> Outcome {
    let now = c.data.now;
    tell_deadline(c, now, Unit::Seconds)
}

pub fn pttl(c: &mut Call<'_>) -> Outcome {
    let now = c.data.now;
    tell_deadline(c, now, Unit::Millis)
}

pub fn expiretime(c: &mut Call<'_>) -> Outcome {
    tell_deadline(c, 0, Unit::Seconds)
}

pub fn pexpiretime(c: &mut Call<'_>) -> Outcome {
    tell_deadline(c, 0, Unit::Millis)
}

/// Answers how long after `base` the key expires: -1 is never, -2 that there is no such key.
fn tell_deadline(c: &mut Call<'_>, base: UnixMillis, unit: Unit) -> Outcome {
    let answer = match c.data.inspect(c.args.at(1)).map(|entry| entry.deadline()) {
        None => -2,
        Some(None) => -1,
        Some(Some(deadline)) => {
            let millis = deadline.saturating_sub(base);
            (if unit == Unit::Seconds {
                (millis + if crate::bug!(TtlTruncates) { 0 } else { 500 }) / 1000
            } else {
                millis
            }) as i64
        }
    };
    c.reply.int(answer);
    Ok(())
}

pub fn persist(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    let had_deadline = c.data.write(key).is_some_and(|entry| entry.deadline().is_some());
    if had_deadline {
        c.data.set_deadline(key, None);
        c.data.changed(key, Class::GENERIC, "persist");
    }
    c.reply.int(i64::from(had_deadline));
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Db;

    fn with_key() -> Db {
        let mut db = Db::new();
        db.ok("RPUSH k v");
        db.forget();
        db
    }

    #[test]
    fn replayed_in_absolute_milliseconds() {
        let mut db = with_key();
        for line in
            ["EXPIRE k 10", "PEXPIRE k 10000", "EXPIREAT k 1700000010", "PEXPIREAT k 1700000010000 LT"]
        {
            db.ok(line);
        }
        assert_eq!(db.journal(), ["PEXPIREAT k 1700000010000"; 3]);
        assert_eq!(db.events(), ["expire k"; 3]);
        db.check(
            "
            > TTL k
            (integer) 10
            > PTTL k
            (integer) 10000
            > EXPIRETIME k
            (integer) 1700000010
            > PERSIST k
            (integer) 1
            > PERSIST k
            (integer) 0
            > TTL k
            (integer) -1
            > TTL none
            (integer) -2
            ",
        );
        assert_eq!(db.events(), ["persist k", "keymiss none"]);
    }

    #[test]
    fn an_instant_that_has_come_deletes() {
        for line in ["EXPIRE k 0", "EXPIRE k -1", "PEXPIREAT k 1700000000000", "PEXPIREAT k -1 LT"] {
            let mut db = with_key();
            assert_eq!(db.run(line), "(integer) 1");
            assert_eq!(db.events(), ["del k"]);
            assert_eq!(db.journal(), ["DEL k"]);
            assert_eq!(db.run("EXISTS k"), "(integer) 0");
        }
    }

    #[test]
    fn never_early_and_reported_once() {
        let mut db = with_key();
        db.ok("PEXPIRE k 5");
        db.forget();
        db.advance(5);
        assert_eq!(db.run("PTTL k"), "(integer) 0");
        db.advance(1);
        assert_eq!(db.run("PTTL k"), "(integer) -2");
        assert_eq!(db.events(), ["expired k", "keymiss k"]);
        assert_eq!(db.journal(), ["DEL k"]);
        // Whoever watches it sees that by the clock.
        assert!(db.modified().is_empty());
        db.settings.lazyfree_lazy_expire = true;
        db.ok("RPUSH k v");
        db.ok("PEXPIRE k 1");
        db.advance(2);
        db.forget();
        db.ok("TYPE k");
        assert_eq!(db.journal(), ["UNLINK k"]);
    }

    #[test]
    fn conditions_take_no_deadline_for_the_latest() {
        let mut db = with_key();
        db.check(
            "
            > EXPIRE k 100 XX
            (integer) 0
            > EXPIRE k 100 GT
            (integer) 0
            > EXPIRE k 100 NX
            (integer) 1
            > EXPIRE k 200 NX
            (integer) 0
            > EXPIRE k 100 GT
            (integer) 0
            > EXPIRE k 101 XX GT
            (integer) 1
            > EXPIRE k 101 LT
            (integer) 0
            > EXPIRE k 50 lt xx
            (integer) 1
            > TTL k
            (integer) 50
            > PERSIST k
            (integer) 1
            > EXPIRE k 50 LT
            (integer) 1
            > EXPIRE k 50 NX XX
            (error) ERR NX and XX, GT or LT options at the same time are not compatible
            > EXPIRE k 50 GT LT
            (error) ERR GT and LT options at the same time are not compatible
            > EXPIRE k x FOO
            (error) ERR Unsupported option FOO
            ",
        );
    }

    #[test]
    fn instants_that_do_not_fit_are_refused() {
        let mut db = with_key();
        db.check(
            "
            > EXPIRE k 9223372036854775
            (error) ERR invalid expire time in 'expire' command
            > EXPIRE k -9223372036854776
            (error) ERR invalid expire time in 'expire' command
            > PEXPIRE k 9223372036854775807
            (error) ERR invalid expire time in 'pexpire' command
            > EXPIREAT k 9223372036854776
            (error) ERR invalid expire time in 'expireat' command
            > PEXPIREAT k 9223372036854775807
            (integer) 1
            > PEXPIRETIME k
            (integer) 9223372036854775807
            > EXPIRETIME k
            (integer) 9223372036854776
            ",
        );
    }
}
