//! The numbered databases of one slice of the keyspace, and of all that were gathered with it.
//!
//! A keyspace may be cut into slices by the hash of the key, whatever the database: a key, its copies and its watchers
//! are at home in one slice. A slice alone answers for its own keys. For a command that needs keys of several, one
//! slice [takes in](Dbs::gather) the databases of the others, runs the command as if it were the whole keyspace, and
//! [gives them back](Dbs::scatter). A keyspace that is not cut is one slice of one.

use super::Db;
use super::entry::Entry;
use super::table::{KeyHash, Table};
use crate::rng::Rng;

/// Which part of the keyspace: `index` of `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    pub index: usize,
    pub count: usize,
}

impl Slice {
    /// The keyspace in one piece.
    pub const WHOLE: Slice = Slice { index: 0, count: 1 };

    /// The index of the slice that keys of this hash are at home in, of `count`.
    ///
    /// Mixed anew: a table finds places by the hash's bits, and must not find only some of them used.
    #[inline]
    pub fn of(hash: u64, count: usize) -> usize {
        (((hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) * count as u64) >> 32) as usize
    }
}

/// See the module documentation.
#[derive(Debug)]
pub struct Dbs {
    /// The databases of each slice; none of slices that are not here.
    slices: Vec<Vec<Db>>,
    slice: Slice,
    key_hash: KeyHash,
}

impl Dbs {
    pub(super) fn new(databases: usize, slice: Slice, seed: u64) -> Self {
        let mut slices: Vec<Vec<Db>> = (0..slice.count).map(|_| Vec::new()).collect();
        slices[slice.index] = (0..databases).map(|_| Db::new(seed)).collect();
        Self { slices, slice, key_hash: KeyHash::new(seed) }
    }

    /// Number of databases.
    #[allow(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.slices[self.slice.index].len()
    }

    pub fn slice(&self) -> Slice {
        self.slice
    }

    /// The hash of a key: the same in all databases and slices.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.key_hash.of(key)
    }

    /// The slice that a key is at home in.
    #[inline]
    pub fn home(&self, key: &[u8]) -> usize {
        if self.slice.count == 1 {
            return 0;
        }
        Slice::of(self.hash(key), self.slice.count)
    }

    /// The part of database `db` that keys of this hash are in.
    ///
    /// # Panics
    ///
    /// If it was not gathered: nobody looks for a key where it cannot be.
    #[inline]
    pub fn at(&self, db: usize, hash: u64) -> &Db {
        self.part(Slice::of(hash, self.slice.count), db)
    }

    /// [`Dbs::at`], if it is here.
    #[inline]
    pub fn part_here(&self, db: usize, hash: u64) -> Option<&Db> {
        self.slices[Slice::of(hash, self.slice.count)].get(db)
    }

    /// [`Dbs::at`], to change it.
    #[inline]
    pub fn at_mut(&mut self, db: usize, hash: u64) -> &mut Db {
        let index = Slice::of(hash, self.slice.count);
        if self.slices[index].is_empty() {
            self.absent(index);
        }
        &mut self.slices[index][db]
    }

    #[inline]
    fn part(&self, index: usize, db: usize) -> &Db {
        let part = &self.slices[index];
        if part.is_empty() {
            self.absent(index);
        }
        &part[db]
    }

    #[cold]
    fn absent(&self, index: usize) -> ! {
        panic!("slice {} was asked for a key of slice {index}", self.slice.index)
    }

    /// The entry at `key`, whether its deadline has passed or not.
    pub fn find(&self, db: usize, key: &[u8]) -> Option<&Entry> {
        let hash = self.hash(key);
        self.at(db, hash).table.find_hashed(hash, key)
    }

    /// The own part of a database.
    #[inline]
    pub fn own(&self, db: usize) -> &Db {
        &self.slices[self.slice.index][db]
    }

    pub fn own_mut(&mut self, db: usize) -> &mut Db {
        &mut self.slices[self.slice.index][db]
    }

    /// All parts of a database that are here, by slice.
    pub fn parts(&self, db: usize) -> impl Iterator<Item = &Db> {
        self.slices.iter().filter_map(move |part| part.get(db))
    }

    /// Number of keys in all parts that are here.
    pub fn keys(&self, db: usize) -> usize {
        self.parts(db).map(Db::len).sum()
    }

    /// Number of keys with a deadline in all parts that are here.
    pub fn volatile(&self, db: usize) -> usize {
        self.parts(db).map(Db::volatile).sum()
    }

    /// Number of keys in all databases, for each slice that is here.
    pub fn keys_by_slice(&self) -> Vec<usize> {
        let mut keys = Vec::new();
        for db in 0..self.len() {
            for (at, part) in self.parts(db).enumerate() {
                if db == 0 {
                    keys.push(0);
                }
                keys[at] += part.len();
            }
        }
        keys
    }

    /// One step of a scan of all slices, one after the other; as [`Table::scan`]. A cursor names its slice: see
    /// [`Dbs::scanned_slice`]. A step that has gone through a whole slice goes on in the next one, as long as that is here.
    pub fn scan(&self, db: usize, cursor: u64, count: usize, mut f: impl FnMut(&Entry)) -> u64 {
        let slices = self.slice.count as u64;
        let (mut position, mut index) = (cursor / slices, cursor % slices);
        let mut left = count;
        loop {
            let mut found = 0;
            let next = self.part(index as usize, db).table.scan(position, left, |entry| {
                found += 1;
                f(entry);
            });
            if next != 0 {
                return next * slices + index;
            }
            index += 1;
            if index == slices {
                return 0;
            }
            let goes_on = position == 0 && found < left && !self.slices[index as usize].is_empty();
            if !goes_on {
                return index;
            }
            (position, left) = (0, left - found);
        }
    }

    /// The first slice that a step of a scan needs beside the one that its cursor names, and that is not here.
    pub fn scan_lacks(&self, db: usize, cursor: u64, count: usize) -> Option<usize> {
        let slices = self.slice.count;
        if cursor / slices as u64 != 0 {
            return None;
        }
        let mut left = count;
        for index in Self::scanned_slice(cursor, slices)..slices - 1 {
            let keys = self.slices[index].get(db)?.len();
            left = left.checked_sub(keys).filter(|&left| left > 0)?;
            if self.slices[index + 1].is_empty() {
                return Some(index + 1);
            }
        }
        None
    }

    /// The slice that a scan looks at next, from its cursor.
    pub fn scanned_slice(cursor: u64, count: usize) -> usize {
        (cursor % count as u64) as usize
    }

    /// Any key of a database, as evenly as [`Table::random`].
    pub fn random(&self, db: usize, rng: &mut Rng) -> Option<&Entry> {
        let mut part = self.own(db);
        if self.slice.count > 1 {
            let mut number = rng.below(self.keys(db).max(1) as u64) as usize;
            for candidate in self.parts(db) {
                part = candidate;
                match number.checked_sub(candidate.len()) {
                    Some(left) => number = left,
                    None => break,
                }
            }
        }
        part.table.random(&mut || rng.next_u64())
    }

    /// Empties a database, all parts that are here; what they held is returned, because freeing it can take long.
    pub(super) fn flush(&mut self, db: usize) -> Vec<Db> {
        let seed = self.key_hash.seed();
        let parts = self.slices.iter_mut().filter_map(|part| part.get_mut(db));
        parts.filter(|part| !part.is_empty()).map(|part| std::mem::replace(part, Db::new(seed))).collect()
    }

    pub(super) fn swap(&mut self, a: usize, b: usize) {
        for part in self.slices.iter_mut().filter(|part| !part.is_empty()) {
            part.swap(a, b);
        }
    }

    /// Takes in the databases of another slice, which has none until it [gets them back](Dbs::scatter).
    pub fn gather(&mut self, other: &mut Dbs) {
        let index = other.slice.index;
        debug_assert!(self.slice.count == other.slice.count && self.slice.index != index);
        debug_assert!(self.slices[index].is_empty(), "a slice is gathered once");
        std::mem::swap(&mut self.slices[index], &mut other.slices[index]);
    }

    /// Gives another slice its databases back.
    pub fn scatter(&mut self, other: &mut Dbs) {
        let index = other.slice.index;
        debug_assert!(other.slices[index].is_empty(), "what is given back was taken in");
        std::mem::swap(&mut self.slices[index], &mut other.slices[index]);
    }

    /// The tables of all databases, for those who only read a keyspace in one piece.
    pub fn tables(&self, db: usize) -> impl Iterator<Item = &Table<Entry>> {
        self.parts(db).map(|part| &part.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn slices(count: usize) -> Vec<Dbs> {
        (0..count).map(|index| Dbs::new(2, Slice { index, count }, 7)).collect()
    }

    fn insert(dbs: &mut [Dbs], db: usize, key: &str) {
        let home = dbs[0].home(key.as_bytes());
        dbs[home].own_mut(db).insert(Entry::new(key.as_bytes(), Value::Int(1), None));
    }

    #[test]
    fn keys_spread_over_slices_and_over_the_places_of_each_table() {
        let mut all = slices(3);
        for number in 0..30_000 {
            insert(&mut all, 0, &format!("key:{number}"));
        }
        for slice in &all {
            assert!((9_500..10_500).contains(&slice.own(0).len()), "{}", slice.own(0).len());
            let segments: Vec<usize> =
                slice.own(0).table.segments().map(|part| part.iter().count()).collect();
            assert!(segments.iter().all(|&len| len > 0), "{segments:?}");
        }
    }

    #[test]
    fn gathered_slices_are_one_keyspace_and_go_back() {
        let mut all = slices(4);
        for number in 0..1000 {
            insert(&mut all, number % 2, &format!("{number}"));
        }
        let before: Vec<usize> = all.iter().map(|slice| slice.own(0).len()).collect();
        let (first, others) = all.split_first_mut().unwrap();
        others.iter_mut().for_each(|other| first.gather(other));
        assert_eq!((first.keys(0), first.keys(1)), (500, 500));
        assert!((0..1000).all(|number| first.find(number % 2, number.to_string().as_bytes()).is_some()));
        first.swap(0, 1);
        assert!(first.find(0, b"1").is_some() && first.find(0, b"0").is_none());
        first.swap(0, 1);
        let emptied = first.flush(1);
        assert_eq!((emptied.iter().map(Db::len).sum::<usize>(), first.keys(1), first.keys(0)), (500, 0, 500));
        let mut rng = Rng::new(1);
        let mut drawn = std::collections::BTreeSet::new();
        (0..2000).for_each(|_| {
            let key = first.random(0, &mut rng).expect("there are keys").key().to_vec();
            drawn.insert(first.home(&key));
        });
        assert_eq!(drawn.len(), 4, "any slice's keys are drawn");
        others.iter_mut().for_each(|other| first.scatter(other));
        assert_eq!(all.iter().map(|slice| slice.own(0).len()).collect::<Vec<_>>(), before);
    }

    #[test]
    fn a_scan_goes_through_all_slices() {
        let mut all = slices(3);
        for number in 0..1000 {
            insert(&mut all, 0, &format!("{number}"));
        }
        let (mut cursor, mut found) = (0, std::collections::BTreeSet::new());
        loop {
            let slice = &all[Dbs::scanned_slice(cursor, 3)];
            cursor = slice.scan(0, cursor, 10, |entry| {
                found.insert(entry.key().to_vec());
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(found.len(), 1000);
    }

    #[test]
    fn a_step_that_finds_too_few_keys_goes_on_in_the_next_slice_that_is_here() {
        let mut all = slices(3);
        for number in 0..12 {
            insert(&mut all, 0, &format!("{number}"));
        }
        let step = |dbs: &Dbs, cursor, count| {
            let mut found = 0;
            (dbs.scan(0, cursor, count, |_| found += 1), found)
        };
        let lens: Vec<usize> = all.iter().map(|slice| slice.own(0).len()).collect();
        let (first, others) = all.split_first_mut().unwrap();
        assert!(lens.iter().all(|&len| len > 1), "{lens:?}");
        assert_eq!((first.scan_lacks(0, 0, 100), step(first, 0, 100)), (Some(1), (1, lens[0])));
        assert_eq!(first.scan_lacks(0, 0, lens[0]), None);
        first.gather(&mut others[0]);
        assert_eq!((first.scan_lacks(0, 0, 100), step(first, 0, 100)), (Some(2), (2, lens[0] + lens[1])));
        assert_eq!(first.scan_lacks(0, 0, lens[0] + 1), None);
        first.gather(&mut others[1]);
        assert_eq!((first.scan_lacks(0, 0, 100), step(first, 0, 100)), (None, (0, 12)));
        assert_eq!((first.scan_lacks(0, 1, 100), step(first, 1, 100)), (None, (0, lens[1] + lens[2])));
        assert_eq!(step(first, 0, 13), (0, 12));
    }
}
