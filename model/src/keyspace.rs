//! How rules look at keys and change them: expiry, WATCH, events and waiting clients are seen to here, once.

use crate::{Ask, Bytes, Encodings, Entry, Millis, Model, Step, Value, number};

pub const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
pub const SYNTAX: &str = "ERR syntax error";
pub const NOT_INTEGER: &str = "ERR value is not an integer or out of range";
pub const NOT_FLOAT: &str = "ERR value is not a valid float";

impl Value {
    /// As TYPE names it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Value::String(_) => "string",
            Value::List(_) => "list",
            Value::Set(_) => "set",
            Value::Hash(_) => "hash",
            Value::Zset(_) => "zset",
        }
    }

    /// How many elements; strings may be empty and are never without.
    fn is_empty_collection(&self) -> bool {
        match self {
            Value::String(_) => false,
            Value::List(list) => list.is_empty(),
            Value::Set(set) => set.is_empty(),
            Value::Hash(hash) => hash.is_empty(),
            Value::Zset(zset) => zset.is_empty(),
        }
    }

    /// What an iteration over the value returns: members or fields.
    pub(crate) fn element_names(&self) -> Vec<&Bytes> {
        match self {
            Value::Set(set) => set.iter().collect(),
            Value::Hash(hash) => hash.keys().collect(),
            Value::Zset(zset) => zset.keys().collect(),
            Value::String(_) | Value::List(_) => Vec::new(),
        }
    }
}

/// A 32-bit integer.
pub fn int32(text: &[u8]) -> Result<i64, String> {
    let value = number::int(text).ok_or(NOT_INTEGER)?;
    match i32::try_from(value) {
        Ok(_) => Ok(value),
        Err(_) => Err("ERR value is out of range, value must between -2147483648 and 2147483647".into()),
    }
}

/// `Ok(None)` for a missing key, an error for another type: `let list = as_list(m.find(ask, key))?`.
macro_rules! typed {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $inner:ty) => {
        $(#[$doc])*
        pub fn $name(value: Option<Value>) -> Result<Option<$inner>, String> {
            match value {
                None => Ok(None),
                Some(Value::$variant(inner)) => Ok(Some(inner)),
                Some(_) => Err(WRONG_TYPE.into()),
            }
        }
    };
}
typed!(as_string, String, Bytes);
typed!(as_list, List, Vec<Bytes>);
typed!(as_set, Set, std::collections::BTreeSet<Bytes>);
typed!(as_hash, Hash, std::collections::BTreeMap<Bytes, Bytes>);
typed!(as_zset, Zset, std::collections::BTreeMap<Bytes, f64>);

impl Model {
    /// Whether the key is there with its deadline behind it.
    pub(crate) fn is_expired(&self, db: usize, key: &[u8], now: Millis) -> bool {
        let deadline = self.dbs[db].get(key).and_then(|entry| entry.deadline);
        deadline.is_some_and(|deadline| now > deadline)
    }

    /// The earliest deadline of a key, of a waiting client or of a pause: near it, a server with a clock of its own may be early
    /// or late.
    pub fn next_deadline(&self, after: Millis) -> Option<Millis> {
        let keys = self.dbs.iter().flat_map(|db| db.values().filter_map(|entry| entry.deadline));
        let clients = self.sessions.values().filter_map(|session| session.blocked.as_ref()?.deadline);
        let pause = self.pause.map(|pause| pause.until);
        keys.chain(clients).chain(pause).filter(|&deadline| deadline >= after).min()
    }

    /// Keys whose time is up and that nobody has looked at since. SCAN and RANDOMKEY come upon some of them, which ones
    /// is open: a runner that watches the event `expired` has all of them looked at (EXISTS) before it sends these.
    pub fn expired_keys(&self, now: Millis) -> Vec<(usize, Bytes)> {
        let keys = self.dbs.iter().enumerate().flat_map(|(db, keys)| keys.keys().map(move |key| (db, key)));
        keys.filter(|(db, key)| self.is_expired(*db, key, now)).map(|(db, key)| (db, key.clone())).collect()
    }

    /// The value for a command that is about to change it.
    pub(crate) fn find(&mut self, ask: &Ask, key: &[u8]) -> Option<Value> {
        self.entry(ask, key).map(|entry| entry.value)
    }

    /// The value for a command that only reads; that it is missing is an event (class `m`).
    pub(crate) fn read(&mut self, ask: &Ask, key: &[u8]) -> Option<Value> {
        let value = self.find(ask, key);
        if value.is_none() {
            self.notify('m', "keymiss", ask.db, key);
        }
        value
    }

    pub(crate) fn exists(&mut self, ask: &Ask, key: &[u8]) -> bool {
        self.entry(ask, key).is_some()
    }

    pub(crate) fn entry(&mut self, ask: &Ask, key: &[u8]) -> Option<Entry> {
        if self.is_expired(ask.db, key, ask.now) {
            if self.is_paused(ask.now) {
                return None;
            }
            self.remove_expired(ask.db, key);
        }
        self.dbs[ask.db].get(key).cloned()
    }

    /// A key that was expired when WATCH came is no modification when it is found so.
    fn remove_expired(&mut self, db: usize, key: &[u8]) {
        self.dbs[db].remove(key);
        self.iterations.forget_key(db, key);
        self.notify('x', "expired", db, key);
        self.gone(db, key);
    }

    /// Tells whoever watches the key that it is there no more. One that was expired when WATCH came is no change.
    fn gone(&mut self, db: usize, key: &[u8]) {
        let watched = (db, key.to_vec());
        for session in self.sessions.values_mut() {
            match session.watching.get_mut(&watched) {
                Some(was_expired) if *was_expired => *was_expired = false,
                Some(_) => session.dirty = true,
                None => {}
            }
        }
    }

    /// Sets a key to a new value whatever it was; its deadline ends.
    pub(crate) fn put(&mut self, ask: &Ask, key: &[u8], value: Value) {
        self.entry(ask, key);
        let encodings = self.encodings(ask, None, &value);
        self.store(ask, key, value, encodings);
        self.set_deadline(ask, key, None);
    }

    /// Writes a value that was changed in place, or a new one: a deadline stays. WATCH is not told.
    pub(crate) fn write(&mut self, ask: &Ask, key: &[u8], value: Value) {
        let encodings = self.encodings(ask, self.dbs[ask.db].get(key), &value);
        self.store(ask, key, value, encodings);
    }

    /// Converts a value that the command will not change, because Redis does before it knows so.
    pub(crate) fn convert(&mut self, ask: &Ask, key: &[u8]) {
        let entry = self.dbs[ask.db].get(key);
        if let Some(encodings) = entry.map(|entry| self.encodings(ask, Some(entry), &entry.value)) {
            self.set_encodings(ask, key, encodings);
        }
    }

    pub(crate) fn set_encodings(&mut self, ask: &Ask, key: &[u8], encodings: Encodings) {
        if let Some(entry) = self.dbs[ask.db].get_mut(key) {
            entry.encodings = encodings;
        }
    }

    fn store(&mut self, ask: &Ask, key: &[u8], value: Value, encodings: Encodings) {
        let is_collection = matches!(value, Value::List(_) | Value::Zset(_));
        match self.dbs[ask.db].get_mut(key) {
            Some(entry) => {
                let old = std::mem::replace(&mut entry.value, value.clone());
                entry.encodings = encodings;
                self.iterations.forget_elements(ask.db, key, &old, &value);
            }
            None => {
                self.dbs[ask.db].insert(key.to_vec(), Entry { value, deadline: None, encodings });
                self.notify('n', "new", ask.db, key);
                // Only a key that appears wakes clients; one that changes its type under SORT STORE does not.
                if is_collection {
                    self.offer(ask.db, key);
                }
            }
        }
    }

    /// The usual end of a command that changed a value: write, event, and if a collection became empty, removal.
    pub(crate) fn changed(&mut self, ask: &Ask, key: &[u8], value: Value, class: char, event: &str) {
        let emptied = value.is_empty_collection();
        if !emptied {
            self.write(ask, key, value);
            self.touch(ask.db, key);
            self.notify(class, event, ask.db, key);
        } else if self.remove(ask, key) {
            self.notify(class, event, ask.db, key);
            self.notify('g', "del", ask.db, key);
        }
    }

    pub(crate) fn set_deadline(&mut self, ask: &Ask, key: &[u8], deadline: Option<Millis>) {
        if let Some(entry) = self.dbs[ask.db].get_mut(key) {
            entry.deadline = deadline;
        }
        self.touch(ask.db, key);
    }

    /// Removes a key, whether expired or not; says whether it was there. No event.
    pub(crate) fn remove(&mut self, ask: &Ask, key: &[u8]) -> bool {
        let was = self.dbs[ask.db].remove(key).is_some();
        if was {
            self.iterations.forget_key(ask.db, key);
            self.gone(ask.db, key);
        }
        was
    }

    /// Evicts a key, for a runner to whom a server tells which. It must be there.
    pub fn evict(&mut self, db: usize, key: &[u8]) -> Result<Step, String> {
        self.dbs[db].remove(key).ok_or("there is no such key")?;
        self.iterations.forget_key(db, key);
        self.gone(db, key);
        self.notify('e', "evicted", db, key);
        Ok(self.take_step())
    }

    /// Tells whoever watches the key that it was modified.
    pub(crate) fn touch(&mut self, db: usize, key: &[u8]) {
        let watched = (db, key.to_vec());
        for session in self.sessions.values_mut().filter(|session| session.watching.contains_key(&watched)) {
            session.dirty = true;
        }
    }
}
