//! The handlers' view of the keyspace during one command: a database, one `now`, and the record of effects.
//!
//! What must stay true: an entry past its deadline is never seen through these methods (it is removed first, and the
//! removal reported); every change a handler makes is reported here once, with [`Data::changed`] or its parts; and a
//! collection left empty is removed before the command ends.

use super::effects::{Class, Effects, Garbage, Record, Whole};
use super::entry::Entry;
use super::{Db, Keyspace, Settings, UnixMillis};
use crate::command::CommandError;
use crate::number::parse_i64;
use crate::resp::{Args, Argv};
use crate::rng::Rng;
use crate::value::hash::Hash;
use crate::value::list::List;
use crate::value::set::Set;
use crate::value::zset::Zset;
use crate::value::{LARGE_STRING, Large, Object, Value, ValueRef};

/// How a lookup counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Do not refresh access time and frequency (CLIENT NO-TOUCH).
    pub no_touch: bool,
    /// An expired key is answered as missing, but stays (CLIENT PAUSE). Only for a command that writes nothing: it could
    /// not put another key in its place.
    pub keep_expired: bool,
}

/// What becomes of a key's deadline when its value is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewDeadline {
    Keep,
    Clear,
    At(UnixMillis),
}

/// See the module documentation.
pub struct Data<'a> {
    pub keyspace: &'a mut Keyspace,
    pub settings: &'a Settings,
    pub effects: &'a mut Effects,
    /// The selected database.
    pub db: usize,
    /// The same instant for the whole command (transaction, script).
    pub now: UnixMillis,
    /// Microseconds since `now` began; TIME shows them and nothing depends on them.
    pub now_micros: u16,
    pub access: Access,
    /// A long argument that came in a buffer of its own, which may become a value without being copied.
    pub brought: Option<&'a Large>,
}

macro_rules! typed_access {
    ($($get:ident $get_mut:ident $create:ident $Variant:ident $Type:ident $empty:expr;)*) => {$(
        #[doc = concat!("The ", stringify!($get), " at `key` for reading; counts as a hit or miss.")]
        pub fn $get(&mut self, key: &[u8]) -> Result<Option<&$Type>, CommandError> {
            match self.read(key).map(Entry::object) {
                None => Ok(None),
                Some(Some(Object::$Variant(value))) => Ok(Some(value)),
                Some(_) => Err(CommandError::WrongType),
            }
        }

        #[doc = concat!("The ", stringify!($get), " at `key` for changing it.")]
        pub fn $get_mut(&mut self, key: &[u8]) -> Result<Option<&mut $Type>, CommandError> {
            match self.write(key).map(Entry::object_mut) {
                None => Ok(None),
                Some(Some(Object::$Variant(value))) => Ok(Some(value)),
                Some(_) => Err(CommandError::WrongType),
            }
        }

        #[doc = concat!("The ", stringify!($get), " at `key`, created empty if there is none. The caller must add to it.")]
        #[inline]
        pub fn $create(&mut self, key: &[u8]) -> Result<&mut $Type, CommandError> {
            let hash = self.drop_expired(key);
            let seed = self.keyspace.seed();
            let Keyspace { dbs, rng, .. } = &mut *self.keyspace;
            let (entry, created) = dbs.at_mut(self.db, hash).table.find_or_insert_hashed(hash, key, || {
                let empty: fn(u64) -> $Type = $empty;
                Entry::new(key, Value::from(Object::$Variant(empty(seed))), None)
            });
            if created {
                super::first_touch(entry, self.now, self.settings);
                report_added(self.effects, self.settings, self.db, entry);
            } else if !self.access.no_touch {
                super::touch(entry, self.now, self.settings, rng);
            }
            match entry.object_mut() {
                Some(Object::$Variant(value)) => Ok(value),
                _ => Err(CommandError::WrongType),
            }
        }
    )*};
}

impl<'a> Data<'a> {
    /// The same command looking at another database.
    pub fn select(&mut self, db: usize) -> Data<'_> {
        Data {
            keyspace: self.keyspace,
            settings: self.settings,
            effects: self.effects,
            db,
            now: self.now,
            now_micros: self.now_micros,
            access: self.access,
            brought: self.brought,
        }
    }

    pub fn rng(&mut self) -> &mut Rng {
        &mut self.keyspace.rng
    }

    /// The part of the selected database that keys of this hash are in.
    fn at(&mut self, hash: u64) -> &mut Db {
        self.keyspace.dbs.at_mut(self.db, hash)
    }

    // --- Looking up -------------------------------------------------------------------------------------------

    /// Before the key at `at` among `keys` (every `step`th argument) is looked up: asks for the cache lines of it and of
    /// the keys behind it, a run of them at a time, so that the waits for memory overlap.
    #[inline]
    pub fn prefetch_run(&self, keys: Args<'_>, at: usize, step: usize) {
        const RUN: usize = 16;
        if at.is_multiple_of(RUN * step) && keys.len() - at > step {
            let dbs = &self.keyspace.dbs;
            let mut hashes = [0; RUN];
            let mut count = 0;
            for key in keys.from(at).iter().step_by(step).take(RUN) {
                hashes[count] = dbs.hash(key);
                dbs.at(self.db, hashes[count]).table.prefetch(hashes[count]);
                count += 1;
            }
            hashes[..count].iter().for_each(|&hash| dbs.at(self.db, hash).table.prefetch_entry(hash));
        }
    }

    /// The live entry at `key`, without counting the access in any way (DEBUG).
    pub fn peek(&mut self, key: &[u8]) -> Option<&Entry> {
        let hash = self.drop_expired(key);
        self.live(self.keyspace.dbs.at(self.db, hash).table.find_hashed(hash, key))
    }

    /// The entry, unless it is kept although it has expired.
    #[inline]
    fn live<'e>(&self, entry: Option<&'e Entry>) -> Option<&'e Entry> {
        entry.filter(|entry| !self.access.keep_expired || !entry.is_expired(self.now))
    }

    /// What is stored at `key`, live or not; notices nothing (MEMORY USAGE, DEBUG).
    pub fn stored(&self, key: &[u8]) -> Option<&Entry> {
        self.keyspace.dbs.find(self.db, key)
    }

    /// The live entry at `key` for a read: counts a keyspace hit or miss and refreshes the access field.
    #[inline]
    pub fn read(&mut self, key: &[u8]) -> Option<&Entry> {
        self.read_and_rng(key).0
    }

    /// [`read`](Self::read), and the source of randomness to choose from what is there.
    #[inline]
    pub fn read_and_rng(&mut self, key: &[u8]) -> (Option<&Entry>, &mut Rng) {
        self.look_up(key, !self.access.no_touch)
    }

    /// The entry at `key` once more, after a lookup by the same command: counts and refreshes nothing, and lets several
    /// entries be looked at side by side.
    #[inline]
    pub fn again(&self, key: &[u8]) -> Option<&Entry> {
        self.live(self.keyspace.dbs.find(self.db, key))
    }

    /// The live entry at `key` for a question about the key: counts a hit or miss, leaves the access field alone
    /// (TTL, TYPE, EXISTS).
    #[inline]
    pub fn inspect(&mut self, key: &[u8]) -> Option<&Entry> {
        self.look_up(key, false).0
    }

    /// The live entry at `key` for a question about how it is kept: counts a hit or miss, without event, and leaves
    /// the access field alone (OBJECT).
    pub fn examine(&mut self, key: &[u8]) -> Option<&Entry> {
        let hash = self.drop_expired(key);
        self.count_lookup(hash, key, false).0
    }

    #[inline(always)]
    fn look_up(&mut self, key: &[u8], refresh: bool) -> (Option<&Entry>, &mut Rng) {
        let hash = self.drop_expired(key);
        if self.settings.notify_keyspace_events & Class::KEY_MISS != 0
            && self.live(self.keyspace.dbs.at(self.db, hash).table.find_hashed(hash, key)).is_none()
        {
            self.notify(Class::KEY_MISS, "keymiss", key);
        }
        self.count_lookup(hash, key, refresh)
    }

    #[inline(always)]
    fn count_lookup(&mut self, hash: u64, key: &[u8], refresh: bool) -> (Option<&Entry>, &mut Rng) {
        let keep_expired = self.access.keep_expired && !crate::bug!(PauseShowsExpired);
        let Keyspace { dbs, rng, stats, .. } = &mut *self.keyspace;
        let found = dbs.at(self.db, hash).table.find_hashed(hash, key);
        let Some(entry) = found.filter(|entry| !keep_expired || !entry.is_expired(self.now)) else {
            stats.misses += 1;
            return (None, rng);
        };
        stats.hits += 1;
        if refresh {
            super::touch(entry, self.now, self.settings, rng);
        }
        (Some(entry), rng)
    }

    /// The live entry at `key` for a change: refreshes the access field, counts no hit or miss.
    #[inline]
    pub fn write(&mut self, key: &[u8]) -> Option<&mut Entry> {
        self.write_and_rng(key).0
    }

    /// [`write`](Self::write), and the source of randomness to choose from what is there.
    #[inline]
    pub fn write_and_rng(&mut self, key: &[u8]) -> (Option<&mut Entry>, &mut Rng) {
        let hash = self.drop_expired(key);
        let Keyspace { dbs, rng, .. } = &mut *self.keyspace;
        let Some(entry) = dbs.at_mut(self.db, hash).table.find_mut_hashed(hash, key) else {
            return (None, rng);
        };
        if !self.access.no_touch {
            super::touch(entry, self.now, self.settings, rng);
        }
        (Some(entry), rng)
    }

    /// Whether `key` is there; counts and refreshes nothing.
    pub fn exists(&mut self, key: &[u8]) -> bool {
        self.peek(key).is_some()
    }

    /// Removes the entry at `key` if its deadline has passed, unless such entries are kept: no lookup may come before
    /// this. Returns the key's hash.
    #[inline]
    fn drop_expired(&mut self, key: &[u8]) -> u64 {
        let hash = self.keyspace.dbs.hash(key);
        let table = &self.keyspace.dbs.at(self.db, hash).table;
        if table.deadlines() > 0
            && let Some(entry) = table.find_hashed(hash, key)
            && let Some(deadline) = entry.deadline()
            && self.now > deadline.saturating_add(if crate::bug!(ExpiredKeysLive) { 1000 } else { 0 })
            && (!self.access.keep_expired || crate::bug!(PauseExpires))
        {
            self.expire(key);
        }
        hash
    }

    // --- Typed views ------------------------------------------------------------------------------------------

    /// The string at `key` for reading; counts as a hit or miss.
    #[inline]
    pub fn string(&mut self, key: &[u8]) -> Result<Option<ValueRef<'_>>, CommandError> {
        match self.read(key).map(Entry::value) {
            None => Ok(None),
            Some(ValueRef::Object(_)) => Err(CommandError::WrongType),
            Some(value) => Ok(Some(value)),
        }
    }

    /// The entry at `key` for changing it, which must hold a string.
    #[inline]
    pub fn string_mut(&mut self, key: &[u8]) -> Result<Option<&mut Entry>, CommandError> {
        match self.write(key) {
            Some(entry) if entry.object().is_some() => Err(CommandError::WrongType),
            other => Ok(other),
        }
    }

    /// The entry at `key` for changing the bytes of its string; an empty `raw` string is created if there is none, which
    /// the caller must write to.
    pub fn string_or_create(&mut self, key: &[u8]) -> Result<&mut Entry, CommandError> {
        let hash = self.drop_expired(key);
        let Keyspace { dbs, rng, .. } = &mut *self.keyspace;
        let empty = || Entry::with_bytes(key, b"", true, None);
        let (entry, created) = dbs.at_mut(self.db, hash).table.find_or_insert_hashed(hash, key, empty);
        if created {
            super::first_touch(entry, self.now, self.settings);
            report_added(self.effects, self.settings, self.db, entry);
        } else if !self.access.no_touch {
            super::touch(entry, self.now, self.settings, rng);
        }
        if entry.object().is_some() { Err(CommandError::WrongType) } else { Ok(entry) }
    }

    typed_access! {
        list list_mut list_or_create List List |_| List::new();
        hash hash_mut hash_or_create Hash Hash Hash::new;
        set set_mut set_or_create Set Set Set::new;
        zset zset_mut zset_or_create Zset Zset Zset::new;
    }

    /// The hash at `key` for reading, and the source of randomness to choose from it.
    pub fn hash_and_rng(&mut self, key: &[u8]) -> Result<Option<(&Hash, &mut Rng)>, CommandError> {
        let (entry, rng) = self.read_and_rng(key);
        match entry.map(Entry::object) {
            None => Ok(None),
            Some(Some(Object::Hash(hash))) => Ok(Some((hash, rng))),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    /// The set at `key` for reading, and the source of randomness to choose from it.
    pub fn set_and_rng(&mut self, key: &[u8]) -> Result<Option<(&Set, &mut Rng)>, CommandError> {
        let (entry, rng) = self.read_and_rng(key);
        match entry.map(Entry::object) {
            None => Ok(None),
            Some(Some(Object::Set(set))) => Ok(Some((set, rng))),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    /// The set at `key` for changing it, and the source of randomness to choose from it.
    pub fn set_mut_and_rng(&mut self, key: &[u8]) -> Result<Option<(&mut Set, &mut Rng)>, CommandError> {
        let (entry, rng) = self.write_and_rng(key);
        match entry.map(Entry::object_mut) {
            None => Ok(None),
            Some(Some(Object::Set(set))) => Ok(Some((set, rng))),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    /// The sorted set at `key` for reading, and the source of randomness to choose from it.
    pub fn zset_and_rng(&mut self, key: &[u8]) -> Result<Option<(&Zset, &mut Rng)>, CommandError> {
        let (entry, rng) = self.read_and_rng(key);
        match entry.map(Entry::object) {
            None => Ok(None),
            Some(Some(Object::Zset(zset))) => Ok(Some((zset, rng))),
            Some(_) => Err(CommandError::WrongType),
        }
    }

    // --- Changing ---------------------------------------------------------------------------------------------

    /// Adds an entry for a key that is not there. Events: `new`; offers lists and sorted sets to blocked clients.
    pub fn add(&mut self, key: &[u8], value: Value, deadline: Option<UnixMillis>) {
        let entry = Entry::new(key, value, deadline);
        super::first_touch(&entry, self.now, self.settings);
        self.insert_entry(entry);
    }

    /// Puts `value` at `key`, whatever was there before; the deadline becomes `deadline`. Only a key that was not
    /// there is `new` and is offered to blocked clients, as in Redis.
    ///
    /// Does not report the change: the caller does, with its own event.
    pub fn put(&mut self, key: &[u8], value: Value, deadline: Option<UnixMillis>) {
        let Some(entry) = self.write(key) else {
            return self.add(key, value, deadline);
        };
        let old_deadline = entry.deadline();
        let old = entry.replace_value(value);
        if old_deadline != deadline && !crate::bug!(StoreKeepsDeadline) {
            self.set_deadline(key, deadline);
        }
        let is_large = match &old {
            Value::Object(object) => object.len() > super::LARGE_VALUE_ELEMENTS,
            Value::Large { .. } => true,
            Value::Int(_) | Value::String { .. } => false,
        };
        if is_large {
            self.effects.garbage.push(Garbage::Value(old));
        }
    }

    /// Puts a string at `key`, whatever was there before: encoding `int` if it is a number's text, else by length.
    /// Does not report the change: the caller does, with its own event.
    #[inline]
    pub fn set_string(&mut self, key: &[u8], text: &[u8], deadline: NewDeadline) {
        let value = match parse_i64(text) {
            Some(number) => ValueRef::Int(number),
            None => ValueRef::String { bytes: text, raw: false },
        };
        self.set_encoded_string(key, value, deadline);
    }

    /// As [`set_string`](Self::set_string), with the encoding given. One lookup; what is there is overwritten in place.
    pub fn set_encoded_string(&mut self, key: &[u8], value: ValueRef<'_>, deadline: NewDeadline) {
        let brought = self.brought_as(value);
        let Keyspace { dbs, rng, .. } = &mut *self.keyspace;
        let hash = dbs.hash(key);
        let table = &mut dbs.at_mut(self.db, hash).table;
        if let Some(entry) = table.find_mut_hashed(hash, key) {
            let old = entry.deadline();
            if old.is_none_or(|deadline| self.now <= deadline) {
                if !self.access.no_touch {
                    super::touch(entry, self.now, self.settings, rng);
                }
                if entry.object().is_some_and(|object| object.len() > super::LARGE_VALUE_ELEMENTS)
                    || entry.gives_up_large(value.text_len())
                    || (brought.is_some() && entry.is_large())
                {
                    self.effects.garbage.push(Garbage::Value(entry.replace_value(Value::Int(0))));
                }
                match (value, brought) {
                    (ValueRef::String { raw, .. }, Some(large)) => entry.put_large(large, raw),
                    (ValueRef::String { bytes, raw }, None) => entry.set_bytes(bytes, raw),
                    (ValueRef::Int(number), _) => entry.set_int(number),
                    (ValueRef::Object(_), _) => unreachable!("only strings are set this way"),
                }
                let new = match deadline {
                    NewDeadline::Keep => old,
                    NewDeadline::Clear => None,
                    NewDeadline::At(deadline) => Some(deadline),
                };
                if new != old {
                    entry.set_deadline(new);
                    if !crate::bug!(DeadlineUncounted) {
                        table.note_deadline(hash, old.unwrap_or(u64::MAX), new.unwrap_or(u64::MAX));
                    }
                }
                return;
            }
            self.expire(key);
        }
        let deadline = match deadline {
            NewDeadline::At(deadline) => Some(deadline),
            NewDeadline::Keep | NewDeadline::Clear => None,
        };
        let entry = match (value, brought) {
            (ValueRef::String { raw, .. }, Some(large)) => Entry::with_large(key, large, raw, deadline),
            (ValueRef::String { bytes, raw }, None) => Entry::with_bytes(key, bytes, raw, deadline),
            (ValueRef::Int(number), _) => Entry::with_int(key, number, deadline),
            (ValueRef::Object(_), _) => unreachable!("only strings are set this way"),
        };
        super::first_touch(&entry, self.now, self.settings);
        report_added(self.effects, self.settings, self.db, &entry);
        self.at(hash).table.insert_new(hash, entry);
    }

    /// The string that the command brought, if this is it.
    #[inline]
    fn brought_as(&self, value: ValueRef<'_>) -> Option<Large> {
        match value {
            ValueRef::String { bytes, .. } if bytes.len() >= LARGE_STRING => {
                self.brought.filter(|large| std::ptr::eq::<[u8]>(large.as_bytes(), bytes)).cloned()
            }
            _ => None,
        }
    }

    /// Sets the deadline of an existing key.
    pub fn set_deadline(&mut self, key: &[u8], deadline: Option<UnixMillis>) {
        let hash = self.keyspace.dbs.hash(key);
        self.at(hash).set_deadline(key, deadline);
    }

    /// Removes `key`; its value becomes garbage. Reports nothing. Returns whether it was there (and not expired).
    pub fn remove(&mut self, key: &[u8]) -> bool {
        match self.take(key) {
            Some(entry) => {
                self.discard(entry);
                true
            }
            None => false,
        }
    }

    /// Deletes `key` because the result to be stored there is empty, with its `del` event. As in Redis, a key whose
    /// deadline has passed is deleted, too, and does not expire; only for whoever watches it nothing has changed.
    pub fn delete_target(&mut self, key: &[u8]) {
        let hash = self.keyspace.dbs.hash(key);
        if let Some(entry) = self.at(hash).table.remove_hashed(hash, key) {
            if !entry.is_expired(self.now) || crate::bug!(ExpiredTargetTouched) {
                self.touched(key);
            }
            self.dirty(1);
            self.notify(Class::GENERIC, "del", key);
            self.discard(entry);
        }
    }

    /// Takes the entry out of the keyspace. Reports nothing.
    pub fn take(&mut self, key: &[u8]) -> Option<Entry> {
        let hash = self.drop_expired(key);
        self.at(hash).table.remove_hashed(hash, key)
    }

    /// Puts in an entry whose key is not there, as [`add`](Self::add) does.
    pub fn insert_entry(&mut self, entry: Entry) {
        report_added(self.effects, self.settings, self.db, &entry);
        let hash = self.keyspace.dbs.hash(entry.key());
        self.at(hash).insert(entry);
    }

    pub(super) fn discard(&mut self, entry: Entry) {
        if entry.object().is_some_and(|object| object.len() > super::LARGE_VALUE_ELEMENTS) || entry.is_large()
        {
            self.effects.garbage.push(Garbage::Value(entry.into_value()));
        }
    }

    /// Removes a collection that a command has emptied, with its `del` event.
    pub fn remove_emptied(&mut self, key: &[u8]) {
        if !crate::bug!(EmptyCollectionsStay) {
            self.remove(key);
        }
        if !crate::bug!(EmptiedEventMissing) {
            self.notify(Class::GENERIC, "del", key);
        }
    }

    /// Empties a database; what it held becomes garbage. Tells watchers of its keys. Returns how many keys it had.
    pub fn flush(&mut self, db: usize) -> usize {
        let keys = self.keyspace.dbs.keys(db);
        if keys > 0 {
            self.effects.whole.push(Whole::Flushed(db as u32));
            for emptied in self.keyspace.dbs.flush(db) {
                self.effects.garbage.push(Garbage::Db(db as u32, Box::new(emptied)));
            }
        }
        keys
    }

    /// Makes two databases change places. Tells watchers of their keys, and clients blocked on a key that appears.
    pub fn swap(&mut self, a: usize, b: usize) {
        if a != b {
            self.keyspace.dbs.swap(a, b);
            self.effects.whole.push(Whole::Swapped(a as u32, b as u32));
        }
    }

    /// Removes an entry whose deadline has passed.
    fn expire(&mut self, key: &[u8]) {
        let hash = self.keyspace.dbs.hash(key);
        if let Some(entry) = self.at(hash).table.remove_hashed(hash, key) {
            self.expired(entry);
        }
    }

    /// Reports the removal of an entry whose deadline had passed: `expired` event, and the removal is to be replayed. It is
    /// no modification: whoever watches the key sees by the clock that it is gone.
    fn expired(&mut self, entry: Entry) {
        self.keyspace.stats.expired += 1;
        let command: &[u8] = if self.settings.lazyfree_lazy_expire { b"UNLINK" } else { b"DEL" };
        if !crate::bug!(ExpiryNotReplayed) {
            self.effects.record(self.db, &[command, entry.key()]);
        }
        self.notify(
            Class::EXPIRED,
            if crate::bug!(ExpiredEventMisnamed) { "del" } else { "expired" },
            entry.key(),
        );
        if crate::bug!(ExpiryTouches) {
            self.touched(entry.key());
        }
        self.discard(entry);
    }

    /// Removes entries past their deadlines from `cursor` on until `budget` is spent; `cursor` is 0 again after the
    /// last entry. Returns how many were removed. The budget is in the units of
    /// [`Table::sweep_expired`](super::table::Table::sweep_expired).
    pub fn expire_cycle(&mut self, cursor: &mut u32, budget: &mut usize) -> usize {
        let mut expired = Vec::new();
        // The sweep takes what is due at its instant; a key is expired only after its deadline.
        let due = self.now.saturating_sub(1);
        self.keyspace
            .dbs
            .own_mut(self.db)
            .table
            .sweep_expired(due, cursor, budget, |entry| expired.push(entry));
        let count = expired.len();
        for entry in expired {
            self.expired(entry);
        }
        count
    }

    // --- Reporting --------------------------------------------------------------------------------------------

    /// One change to `key`: counts it, tells watchers, publishes the event.
    pub fn changed(&mut self, key: &[u8], class: u32, event: &'static str) {
        self.effects.dirty += 1;
        self.touched(key);
        self.notify(class, event, key);
    }

    /// Tells watchers that `key` changed.
    #[inline]
    pub fn touched(&mut self, key: &[u8]) {
        if self.effects.interest.keys && !(crate::bug!(OtherDatabasesUnwatched) && self.db > 0) {
            let key = self.effects.remember(self.db, key);
            self.effects.keys.push(key);
        }
    }

    /// Counts `changes` more changes, beyond those counted by [`changed`](Self::changed).
    pub fn dirty(&mut self, changes: u64) {
        self.effects.dirty += changes;
    }

    /// Publishes a keyspace event, if that class is wanted.
    #[inline]
    pub fn notify(&mut self, class: u32, name: &'static str, key: &[u8]) {
        if self.settings.notify_keyspace_events & class != 0 {
            self.effects.event(class, name, self.db, key);
        }
    }

    /// Says what is to be replayed instead of the command as it was sent; may be called several times.
    pub fn propagate(&mut self, parts: &[&[u8]]) {
        self.effects.replace_verbatim();
        self.effects.record(self.db, parts);
    }

    /// As [`propagate`](Self::propagate), for a command that is already put together.
    pub fn propagate_argv(&mut self, argv: Argv) {
        self.effects.replace_verbatim();
        if self.effects.interest.journal {
            self.effects.journal.push(Record { db: self.db as u32, argv });
        }
    }

    /// Nothing is to be replayed for this command beyond what was or will be said with [`propagate`](Self::propagate).
    pub fn propagate_nothing(&mut self) {
        self.effects.replace_verbatim();
    }
}

/// Reports an entry that has come into being: the event `new`; lists and sorted sets are offered to blocked clients.
#[inline]
fn report_added(effects: &mut Effects, settings: &Settings, db: usize, entry: &Entry) {
    if settings.notify_keyspace_events & Class::NEW != 0 && !crate::bug!(NewEventMissing) {
        effects.event(Class::NEW, "new", db, entry.key());
    }
    if effects.interest.ready
        && matches!(entry.object(), Some(Object::List(_) | Object::Zset(_)))
        && !(crate::bug!(NewZsetsWakeNobody) && matches!(entry.object(), Some(Object::Zset(_))))
    {
        let key = effects.remember(db, entry.key());
        effects.ready.push(key);
    }
}
