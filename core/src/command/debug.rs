//! The parts of DEBUG that need nothing but data. The session's DEBUG asks here first; see [`debug`].
//!
//! The digest is Redis's: equal data has an equal digest, whatever the encodings, the order in hash tables and the
//! server, so it can be compared with a real redis-server's. Digests of independent parts are combined by
//! exclusive-or, those of parts in sequence by hashing again:
//!
//! ```text
//! xor(d, x) = d xor sha1(x)        mix(d, x) = sha1(xor(d, x))
//! value     = mix the type as u32, then  string: mix the bytes · list: mix each element · set: xor each member
//!             · sorted set: xor mix(mix(0, member), score) · hash: xor mix(mix(0, field), value)
//!             and, with a deadline, xor "!!expire!!"
//! dataset   = for each database that is not empty: mix the index as u32, then for each key
//!             xor (mix(0, key) and on with its value)
//! ```

use sha1_smol::Sha1;

use super::{Call, CommandError, Outcome};
use crate::bug;
use crate::keyspace::UnixMillis;
use crate::keyspace::entry::Entry;
use crate::number::{FloatBuffer, parse_i64};
use crate::resp::Protocol;
use crate::value::{Object, Value, ValueRef};

const NOT_LISTPACK: CommandError = CommandError::Text("ERR Not a listpack encoded object.");
const NOT_QUICKLIST: CommandError = CommandError::Text("ERR Not a quicklist encoded object.");
const WRONG_TYPE_NAME: CommandError = CommandError::Text(
    "ERR Wrong protocol type name. Please use one of the following: \
     string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
);
const NEEDS_RESP3: CommandError = CommandError::Text("ERR RESP2 is not supported by this command");

/// Runs `DEBUG <subcommand> ...` if that is one of those here with as many arguments as it takes; otherwise says
/// false and answers nothing.
pub fn debug(c: &mut Call<'_>) -> Result<bool, CommandError> {
    let argc = c.args.len();
    if c.is(1, "DIGEST") && argc == 2 {
        digest(c);
    } else if c.is(1, "DIGEST-VALUE") && argc >= 2 {
        digest_value(c);
    } else if c.is(1, "OBJECT") && argc == 3 {
        object(c)?;
    } else if c.is(1, "LISTPACK") && argc == 3 {
        listpack(c)?;
    } else if c.is(1, "QUICKLIST") && (argc == 3 || argc == 4) {
        quicklist(c)?;
    } else if c.is(1, "POPULATE") && (3..=5).contains(&argc) {
        populate(c)?;
    } else if c.is(1, "PROTOCOL") && argc == 3 {
        protocol(c)?;
    } else if c.is(1, "ERROR") && argc == 3 {
        return Err(CommandError::Owned(c.arg(2).to_vec()));
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// A digest under construction.
#[derive(Clone, Copy, Default)]
struct Digest([u8; 20]);

impl Digest {
    fn xor(&mut self, bytes: &[u8]) {
        let other = Sha1::from(bytes).digest().bytes();
        self.0.iter_mut().zip(other).for_each(|(byte, other)| *byte ^= other);
    }

    fn mix(&mut self, bytes: &[u8]) {
        self.xor(bytes);
        self.0 = Sha1::from(self.0).digest().bytes();
    }

    fn mix_value(&mut self, entry: &Entry) {
        let type_number: u32 = match entry.value() {
            ValueRef::Int(_) | ValueRef::String { .. } => 0,
            ValueRef::Object(Object::List(_)) => 1,
            ValueRef::Object(Object::Set(_)) => 2,
            ValueRef::Object(Object::Zset(_)) => 3,
            ValueRef::Object(Object::Hash(_)) => 4,
        };
        self.mix(&type_number.to_be_bytes());
        let mut digits = itoa::Buffer::new();
        match entry.value() {
            ValueRef::Int(value) => self.mix(digits.format(value).as_bytes()),
            ValueRef::String { bytes, .. } => self.mix(bytes),
            ValueRef::Object(Object::List(list)) => {
                list.iter().for_each(|item| self.mix(item.as_bytes(&mut digits)));
            }
            ValueRef::Object(Object::Set(set)) => {
                set.iter().for_each(|item| self.xor(item.as_bytes(&mut digits)));
            }
            ValueRef::Object(Object::Zset(zset)) => {
                for (member, score) in zset.iter() {
                    let mut element = Digest::default();
                    element.mix(&member);
                    element.mix(FloatBuffer::new().format_for_digest(score));
                    self.xor(&element.0);
                }
            }
            ValueRef::Object(Object::Hash(hash)) => {
                for (field, value) in hash.iter() {
                    let mut element = Digest::default();
                    element.mix(field.as_bytes(&mut digits));
                    element.mix(value.as_bytes(&mut digits));
                    self.xor(&element.0);
                }
            }
        }
        if entry.deadline().is_some() {
            self.xor(b"!!expire!!");
        }
    }

    fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The digest of all live keys of these databases.
pub fn dataset_digest<'a>(
    databases: impl IntoIterator<Item: Iterator<Item = &'a Entry>>,
    now: UnixMillis,
) -> [u8; 20] {
    let mut all = Digest::default();
    for (index, entries) in databases.into_iter().enumerate() {
        let mut live = entries.filter(|entry| !entry.is_expired(now)).peekable();
        if live.peek().is_none() {
            continue;
        }
        all.mix(&(index as u32).to_be_bytes());
        for entry in live {
            let mut digest = Digest::default();
            digest.mix(entry.key());
            digest.mix_value(entry);
            all.xor(&digest.0);
        }
    }
    all.0
}

fn digest(c: &mut Call<'_>) {
    let dbs = &c.data.keyspace.dbs;
    let databases = (0..dbs.len()).map(|db| dbs.tables(db).flat_map(|table| table.iter()));
    let digest = Digest(dataset_digest(databases, c.data.now));
    c.reply.simple(&digest.to_hex());
}

fn digest_value(c: &mut Call<'_>) {
    let keys = c.args.from(2);
    c.reply.array(keys.len());
    for key in keys {
        let mut digest = Digest::default();
        // What has expired is there until somebody notices, and this does not.
        let entry = if bug!(DigestNoticesExpiry) { c.data.peek(key) } else { c.data.stored(key) };
        if let Some(entry) = entry {
            digest.mix_value(entry);
        }
        c.reply.simple(&digest.to_hex());
    }
}

/// DEBUG OBJECT: the address is that of the key, and the length is that of the value in memory.
fn object(c: &mut Call<'_>) -> Outcome {
    let now = c.data.now;
    let entry = c.data.stored(c.args.at(2)).ok_or(CommandError::NoSuchKey)?;
    let text = format!(
        "Value at:{:p} refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}",
        entry.key().as_ptr(),
        entry.value().encoding_name(),
        entry.memory(),
        entry.lru(),
        crate::keyspace::evict::idle_ms(entry.lru(), now) / 1000
    );
    c.reply.simple(&text);
    Ok(())
}

fn listpack(c: &mut Call<'_>) -> Outcome {
    let entry = c.data.peek(c.args.at(2)).ok_or(CommandError::NoSuchKey)?;
    if entry.value().encoding_name() != "listpack" {
        return Err(NOT_LISTPACK);
    }
    c.reply.simple("Listpack structure printed on stdout");
    Ok(())
}

fn quicklist(c: &mut Call<'_>) -> Outcome {
    let entry = c.data.peek(c.args.at(2)).ok_or(CommandError::NoSuchKey)?;
    if entry.value().encoding_name() != "quicklist" {
        return Err(NOT_QUICKLIST);
    }
    c.reply.simple("Quicklist structure printed on stdout");
    Ok(())
}

/// More keys than any machine holds, refused as Redis refuses a table that it cannot allocate.
const MAX_POPULATION: usize = u32::MAX as usize;

/// DEBUG POPULATE count [prefix] [size]: strings `value:N`, cut or filled with zeroes to the size, at keys that are not there.
fn populate(c: &mut Call<'_>) -> Outcome {
    let positive = |word: &[u8]| {
        parse_i64(word).and_then(|number| usize::try_from(number).ok()).ok_or(CommandError::MustBePositive)
    };
    let count = positive(c.arg(2))?;
    if count > MAX_POPULATION {
        return Err(CommandError::Text("ERR OOM in dictTryExpand"));
    }
    let prefix = c.args.get(3).unwrap_or(b"key");
    let size = c.args.get(4).map(positive).transpose()?.unwrap_or(0);
    if size as u64 > c.data.settings.proto_max_bulk_len {
        return Err(CommandError::StringTooLong);
    }
    // It writes, although the command is not said to: nothing may be hidden where a key is to be.
    c.data.access.keep_expired = false;
    let (mut key, mut digits) = (Vec::new(), itoa::Buffer::new());
    for number in 0..count {
        let digits = digits.format(number).as_bytes();
        key.clear();
        for part in [prefix, b":", digits] {
            key.extend_from_slice(part);
        }
        if c.data.exists(&key) {
            continue;
        }
        let mut bytes = [b"value:", digits].concat();
        if size > 0 {
            bytes.resize(size, 0);
        }
        c.data.add(&key, Value::String { bytes, raw: false }, None);
        c.data.touched(&key);
    }
    c.reply.ok();
    Ok(())
}

/// DEBUG PROTOCOL: one reply of each type, for the tests of clients.
fn protocol(c: &mut Call<'_>) -> Outcome {
    let name = c.arg(2).to_ascii_lowercase();
    let resp3 = c.reply.protocol() == Protocol::Resp3;
    let reply = &mut c.reply;
    match &name[..] {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.int(12345),
        #[allow(clippy::approx_constant)]
        b"double" => reply.double(3.141),
        b"bignum" => reply.big_number(b"1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|number| reply.int(number));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|number| reply.int(number));
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.int(number);
                reply.bool(number == 1);
            }
        }
        b"attrib" => {
            if reply.attribute(1) {
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.int(90);
            }
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" if !resp3 => return Err(NEEDS_RESP3),
        b"push" => {
            reply.bulk(b"Some real reply following the push reply");
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.int(42);
        }
        b"true" => reply.bool(true),
        b"false" => reply.bool(false),
        b"verbatim" => reply.verbatim(b"txt", b"This is a verbatim\nstring"),
        _ => return Err(WRONG_TYPE_NAME),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::dataset_digest;
    use crate::command::testing::Db;

    fn hex(db: &Db) -> String {
        dataset_digest((0..db.keyspace.dbs.len()).map(|at| db.keyspace.dbs.own(at).table.iter()), db.now)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Digests recorded from Redis 8.0.6.
    #[test]
    fn digests_are_those_of_redis() {
        let mut db = Db::new();
        assert_eq!(hex(&db), "0".repeat(40));
        db.ok("HSET h f v 2 1");
        db.ok("PEXPIREAT h 1900000000000");
        db.ok("RPUSH l a 1 -5");
        db.ok("SADD s b 1");
        db.ok("SADD si 3 1");
        db.ok("ZADD z 1.5 m 2 n -0 zero 1e300 big 123456789012345678 int inf i 0.1 t 1e21 e 1e17 s 3e-7 sm");
        assert_eq!(hex(&db), "cf8d8fe851246f3cf7b8c6f9608992c47243c273");
        db.ok("MOVE l 3");
        assert_eq!(hex(&db), "47989b94754114ed00c7d9d2d747746c8b740a6e");
    }

    #[test]
    fn the_digest_does_not_see_the_encoding_or_dead_keys() {
        let mut small = Db::new();
        let mut large = Db::new();
        large.settings.hash.max_listpack_entries = 1;
        large.settings.set.max_listpack_entries = 0;
        large.settings.set.max_intset_entries = 0;
        large.settings.zset.max_listpack_entries = 0;
        for line in ["HSET h a 1 b 2 c 3", "SADD s x y z", "SADD i 1 2 3", "ZADD z 1 a 2 b"] {
            small.ok(line);
            large.ok(line);
        }
        assert_ne!(small.run("OBJECT ENCODING s"), large.run("OBJECT ENCODING s"));
        large.ok("HSET dead f v");
        large.ok("PEXPIRE dead 1");
        large.advance(2);
        assert_eq!(hex(&small), hex(&large));
        large.ok("HSET h a 2");
        assert_ne!(hex(&small), hex(&large));
    }
}
