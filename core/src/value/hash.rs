//! Hashes: a listpack of fields and values in turn while small, a table of fields beyond.
//!
//! When a hash becomes a table is observable through `OBJECT ENCODING` and through the order of its fields (by age in a
//! listpack; an update stays in its place), so it follows Redis 8.0. A hash never returns to a listpack.
//!
//! An empty hash may exist only within a command; the keyspace deletes it afterwards.

use super::Large;
use super::blob::Field;
use super::listpack::{self, Cursor, Item, Listpack};
use super::set::Choice;
use crate::keyspace::table::Table;
use crate::rng::Rng;
use std::collections::BTreeSet;

/// Thresholds between the encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashLimits {
    /// `hash-max-listpack-entries`.
    pub max_listpack_entries: usize,
    /// `hash-max-listpack-value`.
    pub max_listpack_value: usize,
}

impl Default for HashLimits {
    fn default() -> HashLimits {
        HashLimits { max_listpack_entries: 512, max_listpack_value: 64 }
    }
}

/// What `OBJECT ENCODING` calls the representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashEncoding {
    Listpack,
    Hashtable,
}

impl HashEncoding {
    pub fn name(self) -> &'static str {
        match self {
            HashEncoding::Listpack => "listpack",
            HashEncoding::Hashtable => "hashtable",
        }
    }
}

/// A map from fields to values. See the module documentation.
#[derive(Clone, Debug)]
pub struct Hash {
    repr: Repr,
    /// Keys the hash function, should the hash need one.
    seed: u64,
}

#[derive(Clone, Debug)]
enum Repr {
    Listpack(Listpack),
    Table(Box<Fields>),
}

/// Invariant: `bytes` is the sum of the fields' allocations.
#[derive(Clone, Debug)]
struct Fields {
    table: Table<Field>,
    bytes: usize,
}

impl Hash {
    pub fn new(seed: u64) -> Hash {
        Hash { repr: Repr::Listpack(Listpack::new()), seed }
    }

    /// Takes over a listpack of fields and values, as a file stores it; `None` if it does not hold pairs or holds a
    /// field twice.
    pub fn from_listpack(pack: Listpack, limits: &HashLimits, seed: u64) -> Option<Hash> {
        let len = pack.len();
        let fields: BTreeSet<Vec<u8>> = pack.iter().step_by(2).map(|field| field.to_vec()).collect();
        if !len.is_multiple_of(2) || fields.len() != len / 2 {
            return None;
        }
        let too_long = pack.iter().any(|item| item.len() > limits.max_listpack_value);
        let mut hash = Hash { repr: Repr::Listpack(pack), seed };
        if too_long || hash.len() > limits.max_listpack_entries {
            hash.convert_to_table();
        }
        Some(hash)
    }

    /// Chooses the encoding for setting these fields and values (`field value field value …`): as HSET does before it
    /// sets anything.
    pub fn expect<'v>(&mut self, pairs: impl IntoIterator<Item = &'v [u8]>, limits: &HashLimits) {
        let Repr::Listpack(pack) = &self.repr else { return };
        let (mut count, mut sum, mut longest) = (0usize, 0usize, 0);
        for text in pairs {
            count += 1;
            sum += text.len();
            longest = longest.max(text.len());
        }
        if count / 2 > limits.max_listpack_entries
            || longest > limits.max_listpack_value
            || !pack.safe_to_add(sum)
        {
            self.convert_to_table();
        }
    }

    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Listpack(pack) => pack.len() / 2,
            Repr::Table(fields) => fields.table.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn encoding(&self) -> HashEncoding {
        match &self.repr {
            Repr::Listpack(_) => HashEncoding::Listpack,
            Repr::Table(_) => HashEncoding::Hashtable,
        }
    }

    /// The listpack, if it is one.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.repr {
            Repr::Listpack(pack) => Some(pack),
            Repr::Table(_) => None,
        }
    }

    /// Allocated bytes, without the struct itself.
    pub fn memory(&self) -> usize {
        match &self.repr {
            Repr::Listpack(pack) => pack.memory(),
            Repr::Table(fields) => size_of::<Fields>() + fields.table.memory() + fields.bytes,
        }
    }

    pub fn get(&self, field: &[u8]) -> Option<Item<'_>> {
        match &self.repr {
            Repr::Listpack(pack) => find_value(pack, field).map(|cursor| pack.get(cursor)),
            Repr::Table(fields) => fields.table.find(field).map(|found| Item::Bytes(found.value())),
        }
    }

    /// The field's value, if it is one that can be shared.
    pub fn large(&self, field: &[u8]) -> Option<&Large> {
        match &self.repr {
            Repr::Listpack(_) => None,
            Repr::Table(fields) => fields.table.find(field)?.large(),
        }
    }

    pub fn contains(&self, field: &[u8]) -> bool {
        match &self.repr {
            Repr::Listpack(pack) => find_field(pack, field).is_some(),
            Repr::Table(fields) => fields.table.contains(field),
        }
    }

    /// Length of the field's value, 0 if there is no such field.
    pub fn value_len(&self, field: &[u8]) -> usize {
        self.get(field).map_or(0, |value| value.len())
    }

    /// Sets the field's value; whether the field is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &HashLimits) -> bool {
        if field.len().max(value.len()) > limits.max_listpack_value && !crate::bug!(HashPackValueTooLong) {
            self.convert_to_table();
        }
        match &mut self.repr {
            Repr::Listpack(pack) => {
                let found = find_value(pack, field);
                match found {
                    Some(cursor) => pack.replace(cursor, value),
                    None => {
                        pack.push_back(field);
                        pack.push_back(value);
                    }
                }
                // An update too: the limit may have been lowered since.
                if pack.len() / 2 > limits.max_listpack_entries + usize::from(crate::bug!(HashPackTooLong)) {
                    self.convert_to_table();
                }
                found.is_none()
            }
            Repr::Table(fields) => fields.set(field, value),
        }
    }

    /// Sets the field's value unless it has one; whether it did. Nothing is converted if it did not.
    pub fn set_if_absent(&mut self, field: &[u8], value: &[u8], limits: &HashLimits) -> bool {
        if self.contains(field) && !crate::bug!(HsetnxOverwrites) {
            return false;
        }
        self.expect([field, value], limits);
        self.set(field, value, limits)
    }

    /// Removes the field; false if it was not there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.repr {
            Repr::Listpack(pack) => match find_field(pack, field) {
                Some(cursor) => {
                    pack.delete_many(cursor, 2);
                    true
                }
                None => false,
            },
            Repr::Table(fields) => match fields.table.remove(field) {
                Some(removed) => {
                    fields.bytes -= removed.memory();
                    true
                }
                None => false,
            },
        }
    }

    /// All fields with their values: by age in a listpack, in no useful order in a table.
    pub fn iter(&self) -> impl Iterator<Item = (Item<'_>, Item<'_>)> {
        let (pack, fields) = match &self.repr {
            Repr::Listpack(pack) => (Some(Pairs(pack.iter())), None),
            Repr::Table(fields) => (None, Some(fields.table.iter())),
        };
        pack.into_iter().flatten().chain(fields.into_iter().flatten().map(pair))
    }

    /// One step of HSCAN: see [`Table::scan`]. A listpack is reported whole.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(Item<'_>, Item<'_>)) -> u64 {
        match &self.repr {
            Repr::Listpack(pack) => {
                Pairs(pack.iter()).for_each(|(field, value)| visit(field, value));
                0
            }
            Repr::Table(fields) => fields.table.scan(cursor, count, |field| {
                visit(Item::Bytes(field.field()), Item::Bytes(field.value()));
            }),
        }
    }

    /// One field and its value, each with the same chance.
    pub fn random(&self, rng: &mut Rng) -> Option<(Item<'_>, Item<'_>)> {
        if self.is_empty() {
            return None;
        }
        match &self.repr {
            Repr::Listpack(pack) => {
                let field = pack.seek(2 * rng.index(pack.len() / 2))?;
                Pairs(pack.iter_from(field)).next()
            }
            Repr::Table(fields) => fields.table.random(&mut || rng.next_u64()).map(pair),
        }
    }

    /// Shows `count` different fields with their values (all, if there are no more), each choice with the same chance.
    pub fn sample<'a>(&'a self, count: usize, rng: &mut Rng, mut visit: impl FnMut(Item<'a>, Item<'a>)) {
        let len = self.len();
        match &self.repr {
            // When few are wanted, drawing again is cheaper than walking over everything.
            Repr::Table(fields) if count < len / SPARSE => {
                let mut drawn = BTreeSet::new();
                while drawn.len() < count {
                    let Some(field) = fields.table.random(&mut || rng.next_u64()) else { return };
                    if drawn.insert(field.field()) {
                        visit(Item::Bytes(field.field()), Item::Bytes(field.value()));
                    }
                }
            }
            _ => {
                let mut choice = Choice::new(count, len);
                for (field, value) in self.iter() {
                    if choice.takes_next(rng) {
                        visit(field, value);
                    }
                }
            }
        }
    }

    fn convert_to_table(&mut self) {
        let Repr::Listpack(pack) = &self.repr else { return };
        let mut fields = Box::new(Fields { table: Table::new(self.seed), bytes: 0 });
        let (mut field_digits, mut value_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
        for (field, value) in Pairs(pack.iter()) {
            fields.set(field.as_bytes(&mut field_digits), value.as_bytes(&mut value_digits));
        }
        self.repr = Repr::Table(fields);
    }
}

/// A table of which more than one field in so many is wanted is walked over as a whole.
const SPARSE: usize = 5;

impl Fields {
    /// Sets the field's value; whether the field is new.
    fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        let (found, made) = self.table.find_or_insert_with(field, || Field::new(field, value));
        if !made {
            self.bytes -= found.memory();
            found.set_value(value);
        }
        self.bytes += found.memory();
        made
    }
}

fn pair(field: &Field) -> (Item<'_>, Item<'_>) {
    (Item::Bytes(field.field()), Item::Bytes(field.value()))
}

fn find_field(pack: &Listpack, field: &[u8]) -> Option<Cursor> {
    pack.find(pack.first()?, field, 1)
}

fn find_value(pack: &Listpack, field: &[u8]) -> Option<Cursor> {
    pack.next(find_field(pack, field)?)
}

/// The entries of a listpack two by two.
struct Pairs<'a>(listpack::Iter<'a>);

impl<'a> Iterator for Pairs<'a> {
    type Item = (Item<'a>, Item<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.0.next()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const LIMITS: HashLimits = HashLimits { max_listpack_entries: 4, max_listpack_value: 5 };

    fn hset(hash: &mut Hash, pairs: &[&str], limits: &HashLimits) -> usize {
        hash.expect(pairs.iter().map(|text| text.as_bytes()), limits);
        pairs.chunks(2).filter(|pair| hash.set(pair[0].as_bytes(), pair[1].as_bytes(), limits)).count()
    }

    fn listpack(hash: &Hash) -> bool {
        hash.encoding() == HashEncoding::Listpack
    }

    fn texts(hash: &Hash) -> Vec<String> {
        hash.iter()
            .flat_map(|(field, value)| [field, value])
            .map(|item| String::from_utf8(item.to_vec()).unwrap())
            .collect()
    }

    /// Whether it is still a listpack after HSET; recorded from Redis 8.0 with `LIMITS`.
    #[test]
    fn encodings_follow_redis() {
        let cases: &[(&[&[&str]], bool)] = &[
            (&[&["a", "1", "b", "2", "c", "3", "d", "4"]], true),
            (&[&["a", "1", "b", "2", "c", "3", "d", "4"], &["a", "5"]], true),
            (&[&["a", "1", "b", "2", "c", "3", "d", "4"], &["e", "1"]], false),
            (&[&["a", "1", "a", "2", "a", "3", "a", "4", "a", "5"]], false),
            (&[&["a", "12345"]], true),
            (&[&["a", "123456"]], false),
            (&[&["abcdef", "1"]], false),
        ];
        for (calls, expected) in cases {
            let mut hash = Hash::new(1);
            for pairs in *calls {
                hset(&mut hash, pairs, &LIMITS);
            }
            assert_eq!(listpack(&hash), *expected, "{calls:?}");
        }
    }

    #[test]
    fn a_lowered_limit_counts_at_the_next_set() {
        let lowered = HashLimits { max_listpack_entries: 2, ..LIMITS };
        let mut hash = Hash::new(1);
        hset(&mut hash, &["a", "1", "b", "2", "c", "3", "d", "4"], &LIMITS);
        assert!(!hash.set_if_absent(b"a", b"much too long", &lowered));
        hash.remove(b"d");
        assert!(listpack(&hash));
        assert!(!hash.set(b"a", b"5", &lowered));
        assert!(!listpack(&hash));
        assert_eq!(hash.get(b"a"), Some(Item::Bytes(b"5")));
    }

    #[test]
    fn fields_keep_their_places_through_updates() {
        let mut hash = Hash::new(1);
        hset(&mut hash, &["b", "1", "a", "2", "c", "3"], &LIMITS);
        hset(&mut hash, &["a", "long", "b", ""], &LIMITS);
        hash.remove(b"c");
        hset(&mut hash, &["c", "9"], &LIMITS);
        assert_eq!(texts(&hash), ["b", "", "a", "long", "c", "9"]);
        assert_eq!((hash.value_len(b"a"), hash.value_len(b"missing")), (4, 0));
    }

    #[test]
    fn foreign_listpacks_must_hold_pairs_of_distinct_fields() {
        let pack = |items: &[&[u8]]| -> Listpack { items.iter().copied().collect() };
        assert!(Hash::from_listpack(pack(&[b"a", b"1", b"b", b"1"]), &LIMITS, 1).is_some());
        assert!(Hash::from_listpack(pack(&[b"a", b"1", b"b"]), &LIMITS, 1).is_none());
        assert!(Hash::from_listpack(pack(&[b"a", b"1", b"a", b"2"]), &LIMITS, 1).is_none());
        let long = Hash::from_listpack(pack(&[b"a", b"123456"]), &LIMITS, 1).unwrap();
        assert_eq!((listpack(&long), texts(&long)), (false, vec!["a".into(), "123456".into()]));
    }

    #[test]
    fn every_field_is_drawn() {
        for entries in [0, 512] {
            let limits = HashLimits { max_listpack_entries: entries, max_listpack_value: 64 };
            let mut hash = Hash::new(3);
            for n in 0..40u32 {
                hash.set(n.to_string().as_bytes(), (n * n).to_string().as_bytes(), &limits);
            }
            assert_eq!(listpack(&hash), entries > 0);
            let mut rng = Rng::new(4);
            let mut drawn = BTreeSet::new();
            for _ in 0..2000 {
                let (field, value) = hash.random(&mut rng).unwrap();
                let n = field.as_int().unwrap();
                assert_eq!(value.as_int(), Some(n * n));
                drawn.insert(n);
            }
            assert_eq!(drawn.len(), 40);
            for count in [0, 1, 3, 20, 40, 50] {
                let mut sample = BTreeSet::new();
                hash.sample(count, &mut rng, |field, value| {
                    assert_eq!(hash.get(&field.to_vec()), Some(value));
                    assert!(sample.insert(field.to_vec()));
                });
                assert_eq!(sample.len(), count.min(40));
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(Vec<u8>, Vec<u8>),
        SetIfAbsent(Vec<u8>, Vec<u8>),
        Remove(Vec<u8>),
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            3 => (0i64..12).prop_map(|n| n.to_string().into_bytes()),
            3 => (0u8..6).prop_map(|n| vec![b'a' + n]),
            1 => (0usize..14).prop_map(|len| vec![b'x'; len]),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (text(), text()).prop_map(|(field, value)| Step::Set(field, value)),
            1 => (text(), text()).prop_map(|(field, value)| Step::SetIfAbsent(field, value)),
            2 => text().prop_map(Step::Remove),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_a_map(
            entries in 0usize..12,
            longest in 4usize..14,
            seed in any::<u64>(),
            steps in proptest::collection::vec(step(), 1..60),
        ) {
            let limits = HashLimits { max_listpack_entries: entries, max_listpack_value: longest };
            let (mut hash, mut oracle) = (Hash::new(seed), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Set(field, value) => {
                        prop_assert_eq!(hash.set(&field, &value, &limits), oracle.insert(field, value).is_none());
                    }
                    Step::SetIfAbsent(field, value) => {
                        let absent = !oracle.contains_key(&field);
                        prop_assert_eq!(hash.set_if_absent(&field, &value, &limits), absent);
                        oracle.entry(field).or_insert(value);
                    }
                    Step::Remove(field) => prop_assert_eq!(hash.remove(&field), oracle.remove(&field).is_some()),
                }
                prop_assert_eq!(hash.len(), oracle.len());
                let all: BTreeMap<_, _> =
                    hash.iter().map(|(field, value)| (field.to_vec(), value.to_vec())).collect();
                prop_assert_eq!(&all, &oracle);
                for (field, value) in &oracle {
                    prop_assert!(hash.contains(field));
                    prop_assert!(hash.get(field).unwrap() == value[..]);
                    prop_assert_eq!(hash.value_len(field), value.len());
                }
                prop_assert!(hash.get(b"absent").is_none());
                let (mut cursor, mut scanned) = (0, BTreeMap::new());
                loop {
                    cursor = hash.scan(cursor, 2, |field, value| {
                        scanned.insert(field.to_vec(), value.to_vec());
                    });
                    if cursor == 0 {
                        break;
                    }
                }
                prop_assert_eq!(&scanned, &oracle);
                if let Repr::Table(fields) = &hash.repr {
                    prop_assert_eq!(fields.bytes, fields.table.iter().map(Field::memory).sum::<usize>());
                }
            }
        }
    }
}
