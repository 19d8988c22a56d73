//! Commands that go through the keys of a database: KEYS SCAN RANDOMKEY.
//!
//! SCAN's guarantee is the table's: a key that is there from the first step to the last is returned at least once.

use crate::command::{Call, Outcome, ScanOptions, ScanTarget, parse_cursor};
use crate::glob;
use crate::resp::Reply;

pub fn keys(c: &mut Call<'_>) -> Outcome {
    let pattern = c.arg(1);
    let Call { data, reply, .. } = c;
    let start = reply.deferred_array();
    let mut found = 0;
    for entry in data.keyspace.dbs[data.db].table.iter() {
        let expired = entry.deadline().is_some_and(|deadline| data.now > deadline);
        if !expired && (pattern == b"*" || glob::matches(pattern, entry.key())) {
            reply.bulk(entry.key());
            found += 1;
        }
    }
    reply.set_deferred(start, found, crate::resp::Aggregate::Array);
    Ok(())
}

pub fn scan(c: &mut Call<'_>) -> Outcome {
    let cursor = parse_cursor(c.arg(1))?;
    let options = ScanOptions::parse(c.args.from(2), ScanTarget::Keys)?;
    let Call { data, reply, .. } = c;
    let (mut found, mut encoded, mut expired) = (0, Vec::new(), Vec::new());
    let mut keys = Reply::new(&mut encoded, reply.protocol());
    let next = data.keyspace.dbs[data.db].table.scan(cursor, options.count, |entry| {
        if entry.deadline().is_some_and(|deadline| data.now > deadline) {
            expired.push(entry.key().to_vec());
            return;
        }
        let of_type = |name: &[u8]| entry.value().type_name().as_bytes().eq_ignore_ascii_case(name);
        if options.type_name.is_none_or(of_type) && options.admits(entry.key()) {
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

pub fn randomkey(c: &mut Call<'_>) -> Outcome {
    loop {
        let keyspace = &mut *c.data.keyspace;
        let rng = &mut keyspace.rng;
        let Some(entry) = keyspace.dbs[c.data.db].table.random(&mut || rng.next_u64()) else {
            c.reply.null();
            return Ok(());
        };
        let key = entry.key().to_vec();
        // One that has expired is removed by looking at it, so this ends.
        if c.data.exists(&key) {
            c.reply.bulk(&key);
            return Ok(());
        }
    }
}
