//! Commands that go through the keys of a database: KEYS SCAN RANDOMKEY.
//!
//! SCAN's guarantee is the table's: a key that is there from the first step to the last is returned at least once.

use crate::command::{Call, Outcome, ScanOptions, ScanTarget, parse_cursor};
use crate::glob;
use crate::resp::{Aggregate, Reply};

pub fn keys(c: &mut Call<'_>) -> Outcome {
    let pattern = c.arg(1);
    let Call { data, reply, .. } = c;
    let start = reply.deferred_array();
    let mut found = 0;
    for entry in data.keyspace.dbs.tables(data.db).flat_map(|table| table.iter()) {
        let expired = entry.is_expired(data.now) && !crate::bug!(KeysShowsExpired);
        if !expired && (pattern == b"*" || glob::matches(pattern, entry.key())) {
            reply.bulk(entry.key());
            found += 1;
        }
    }
    reply.set_deferred(start, found, Aggregate::Array);
    Ok(())
}

pub fn scan(c: &mut Call<'_>) -> Outcome {
    let cursor = parse_cursor(c.arg(1))?;
    let options = ScanOptions::parse(c.args.from(2), ScanTarget::Keys)?;
    let Call { data, reply, .. } = c;
    let (mut found, mut encoded, mut expired) = (0, Vec::new(), Vec::new());
    let mut keys = Reply::new(&mut encoded, reply.protocol());
    let next = data.keyspace.dbs.scan(data.db, cursor, options.count, |entry| {
        if entry.is_expired(data.now) {
            // What MATCH leaves out stays, as in Redis: DBSIZE tells.
            if options.admits(entry.key()) || crate::bug!(ScanRemovesAllExpired) {
                expired.push(entry.key().to_vec());
            }
            return;
        }
        let of_type = |name: &[u8]| entry.value().type_name().as_bytes().eq_ignore_ascii_case(name);
        if (crate::bug!(ScanTypeIgnored) || options.type_name.is_none_or(of_type))
            && options.admits(entry.key())
        {
            keys.bulk(entry.key());
            found += 1;
        }
    });
    for key in expired {
        // Looking at it removes it.
        data.exists(&key);
    }
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    reply.array(found);
    reply.raw(&encoded);
    Ok(())
}

/// How many keys RANDOMKEY tries where all may have expired and none goes.
const TRIES: usize = 100;

pub fn randomkey(c: &mut Call<'_>) -> Outcome {
    let dbs = &c.data.keyspace.dbs;
    // As in Redis: a key that has no deadline will be met in the end.
    let may_all_stay = c.data.access.keep_expired && dbs.keys(c.data.db) == dbs.volatile(c.data.db);
    for tried in 1.. {
        let keyspace = &mut *c.data.keyspace;
        let rng = &mut keyspace.rng;
        let Some(entry) = keyspace.dbs.random(c.data.db, rng) else {
            c.reply.null();
            return Ok(());
        };
        let key = entry.key().to_vec();
        // One that has expired is removed by looking at it, so this ends.
        if c.data.exists(&key) || may_all_stay && tried == TRIES {
            c.reply.bulk(&key);
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Db, argv};
    use crate::resp::Frame;

    fn scan_all(db: &mut Db, options: &str) -> Vec<String> {
        let (mut cursor, mut found) = (String::from("0"), Vec::new());
        loop {
            let Some(Frame::Array(reply)) = db.argv(&argv(&format!("SCAN {cursor} {options}"))) else {
                panic!("SCAN answers an array");
            };
            let text = |frame: &Frame| String::from_utf8(frame.as_bytes().unwrap().to_vec()).unwrap();
            found.extend(reply[1].elements().unwrap().iter().map(text));
            cursor = text(&reply[0]);
            if cursor == "0" {
                found.sort();
                return found;
            }
        }
    }

    #[test]
    fn scan_filters_and_removes_expired_keys() {
        let mut db = Db::new();
        for number in 0..100 {
            db.ok(&format!("RPUSH l:{number} v"));
            db.ok(&format!("HSET h:{number} f v"));
        }
        assert_eq!(scan_all(&mut db, "").len(), 200);
        assert_eq!(scan_all(&mut db, "COUNT 1 TYPE LIST").len(), 100);
        assert_eq!(scan_all(&mut db, "MATCH l:1?").len(), 10);
        assert_eq!(scan_all(&mut db, "TYPE nosuch").len(), 0);
        db.ok("PEXPIRE l:1 10");
        db.ok("PEXPIRE l:2 10");
        db.advance(11);
        db.forget();
        assert_eq!(scan_all(&mut db, "MATCH l:1*").len(), 10);
        let mut events = db.events();
        events.sort();
        assert_eq!(events, ["expired l:1"]);
        assert_eq!(db.run("DBSIZE"), "(integer) 199");
        assert_eq!(scan_all(&mut db, "TYPE hash").len(), 100);
        assert_eq!(db.run("DBSIZE"), "(integer) 198");
    }

    #[test]
    fn keys_does_not_show_expired_keys() {
        let mut db = Db::new();
        db.ok("RPUSH a 1");
        db.ok("RPUSH b 1");
        db.ok("PEXPIRE a 1");
        db.advance(2);
        assert_eq!(db.run("KEYS *"), "1) \"b\"");
        assert_eq!(db.run("KEYS a"), "(empty array)");
    }

    #[test]
    fn randomkey_ends_when_all_have_expired() {
        let mut db = Db::new();
        for number in 0..20 {
            db.ok(&format!("RPUSH {number} v"));
            db.ok(&format!("PEXPIRE {number} 1"));
        }
        db.ok("RPUSH stays v");
        db.advance(2);
        assert_eq!(db.run("RANDOMKEY"), "\"stays\"");
        db.ok("DEL stays");
        assert_eq!(db.run("RANDOMKEY"), "(nil)");
        assert_eq!(db.run("DBSIZE"), "(integer) 0");
    }
}
