//! Sets: an intset or a listpack while small, a table of members beyond.
//!
//! When a set changes its encoding is observable through `OBJECT ENCODING` and through the order of its elements
//! (ascending in an intset, by age in a listpack), so it follows Redis 8.0. A set never returns to a smaller encoding
//! by itself; only the results of store commands ([`Set::pack_integers`]) and of large pops ([`Set::pop_many`]) do.
//!
//! An empty set may exist only within a command; the keyspace deletes it afterwards.

use super::blob::Member;
use super::intset::Intset;
use super::listpack::{Item, Listpack, decimal_len, parse_int};
use crate::keyspace::table::Table;
use crate::rng::Rng;
use std::collections::BTreeSet;

/// Thresholds between the encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetLimits {
    /// `set-max-intset-entries`.
    pub max_intset_entries: usize,
    /// `set-max-listpack-entries`.
    pub max_listpack_entries: usize,
    /// `set-max-listpack-value`.
    pub max_listpack_value: usize,
}

impl Default for SetLimits {
    fn default() -> SetLimits {
        SetLimits { max_intset_entries: 512, max_listpack_entries: 128, max_listpack_value: 64 }
    }
}

/// The format's own limit of an intset, whatever is configured.
const MAX_INTSET: usize = 1 << 30;

/// What `OBJECT ENCODING` calls the representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetEncoding {
    Intset,
    Listpack,
    Hashtable,
}

impl SetEncoding {
    pub fn name(self) -> &'static str {
        match self {
            SetEncoding::Intset => "intset",
            SetEncoding::Listpack => "listpack",
            SetEncoding::Hashtable => "hashtable",
        }
    }
}

/// A set of strings. See the module documentation.
#[derive(Clone, Debug)]
pub struct Set {
    repr: Repr,
    /// Keys the hash function, should the set need one.
    seed: u64,
}

#[derive(Clone, Debug)]
enum Repr {
    Intset(Intset),
    Listpack(Listpack),
    Table(Box<Members>),
}

/// Invariant: `bytes` is the sum of the members' allocations.
#[derive(Clone, Debug)]
struct Members {
    table: Table<Member>,
    bytes: usize,
}

impl Set {
    /// An empty intset. A command that creates a set calls [`Set::expect`] before inserting.
    pub fn new(seed: u64) -> Set {
        Set::with_encoding(SetEncoding::Intset, seed)
    }

    /// An empty set that starts with an encoding: for the results of store commands.
    pub fn with_encoding(encoding: SetEncoding, seed: u64) -> Set {
        let repr = match encoding {
            SetEncoding::Intset => Repr::Intset(Intset::new()),
            SetEncoding::Listpack => Repr::Listpack(Listpack::new()),
            SetEncoding::Hashtable => Repr::Table(Members::new(seed)),
        };
        Set { repr, seed }
    }

    /// The set of `members`, encoded as when `count` of them are added to a new set at once.
    pub fn from_members<'v, V>(members: V, count: usize, limits: &SetLimits, seed: u64) -> Set
    where
        V: IntoIterator<Item = &'v [u8]>,
    {
        let mut set = Set::new(seed);
        let mut members = members.into_iter().peekable();
        if let Some(first) = members.peek() {
            set.expect(first, count, limits);
        }
        for member in members {
            set.insert(member, limits);
        }
        set
    }

    /// Takes over an intset, as a file stores it.
    pub fn from_intset(ints: Intset, limits: &SetLimits, seed: u64) -> Set {
        let mut set = Set { repr: Repr::Intset(ints), seed };
        if set.len() > limits.max_intset_entries.min(MAX_INTSET) {
            set.convert_to_table();
        }
        set
    }

    /// Chooses the encoding for inserting `count` members (duplicates counted), the first of which is `first`: as
    /// SADD does before it inserts anything.
    pub fn expect(&mut self, first: &[u8], count: usize, limits: &SetLimits) {
        let small_enough = |encoding| match encoding {
            SetEncoding::Intset => count <= limits.max_intset_entries,
            SetEncoding::Listpack => count <= limits.max_listpack_entries,
            SetEncoding::Hashtable => true,
        };
        if self.is_empty() {
            let encoding = if parse_int(first).is_some() && small_enough(SetEncoding::Intset) {
                SetEncoding::Intset
            } else if small_enough(SetEncoding::Listpack) {
                SetEncoding::Listpack
            } else {
                SetEncoding::Hashtable
            };
            *self = Set::with_encoding(encoding, self.seed);
        } else if !small_enough(self.encoding()) {
            self.convert_to_table();
        }
    }

    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Intset(ints) => ints.len(),
            Repr::Listpack(pack) => pack.len(),
            Repr::Table(members) => members.table.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn encoding(&self) -> SetEncoding {
        match &self.repr {
            Repr::Intset(_) => SetEncoding::Intset,
            Repr::Listpack(_) => SetEncoding::Listpack,
            Repr::Table(_) => SetEncoding::Hashtable,
        }
    }

    /// The intset, if it is one.
    pub fn as_intset(&self) -> Option<&Intset> {
        match &self.repr {
            Repr::Intset(ints) => Some(ints),
            _ => None,
        }
    }

    /// The listpack, if it is one.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.repr {
            Repr::Listpack(pack) => Some(pack),
            _ => None,
        }
    }

    /// Allocated bytes, without the struct itself.
    pub fn memory(&self) -> usize {
        match &self.repr {
            Repr::Intset(ints) => ints.memory(),
            Repr::Listpack(pack) => pack.memory(),
            Repr::Table(members) => size_of::<Members>() + members.table.memory() + members.bytes,
        }
    }

    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.repr {
            Repr::Intset(ints) => parse_int(member).is_some_and(|int| ints.contains(int)),
            Repr::Listpack(pack) => pack.first().is_some_and(|first| pack.find(first, member, 0).is_some()),
            Repr::Table(members) => members.table.contains(member),
        }
    }

    /// [`Set::contains`] for an element of another set.
    pub fn contains_item(&self, item: Item<'_>) -> bool {
        match (&self.repr, item) {
            (Repr::Intset(ints), Item::Int(int)) => ints.contains(int),
            _ => self.contains(item.as_bytes(&mut itoa::Buffer::new())),
        }
    }

    /// Inserts; false if it was there.
    pub fn insert(&mut self, member: &[u8], limits: &SetLimits) -> bool {
        match &mut self.repr {
            Repr::Intset(_) => match parse_int(member) {
                Some(int) => self.insert_int(int, limits),
                None => self.insert_beside_ints(member, limits),
            },
            Repr::Listpack(pack) => {
                if pack.first().is_some_and(|first| pack.find(first, member, 0).is_some()) {
                    return false;
                }
                let fits = pack.len() < limits.max_listpack_entries
                    && member.len() <= limits.max_listpack_value
                    && pack.safe_to_add(member.len());
                if fits {
                    pack.push_back(member);
                } else if crate::bug!(SetConversionLosesMember) {
                    self.convert_to_table();
                } else {
                    self.convert_to_table().insert(member);
                }
                true
            }
            Repr::Table(members) => members.insert(member),
        }
    }

    /// [`Set::insert`] for an element of another set.
    pub fn insert_item(&mut self, item: Item<'_>, limits: &SetLimits) -> bool {
        match (&self.repr, item) {
            (Repr::Intset(_), Item::Int(int)) => self.insert_int(int, limits),
            _ => self.insert(item.as_bytes(&mut itoa::Buffer::new()), limits),
        }
    }

    /// Inserts an integer into an intset.
    fn insert_int(&mut self, int: i64, limits: &SetLimits) -> bool {
        let Repr::Intset(ints) = &mut self.repr else { return false };
        let inserted = ints.insert(int);
        let most = limits.max_intset_entries.min(MAX_INTSET) + usize::from(crate::bug!(IntsetTooLong));
        if inserted && ints.len() > most {
            self.convert_to_table();
        }
        inserted
    }

    /// Inserts a member that is not an integer into an intset, which becomes a listpack if one may hold all of it.
    fn insert_beside_ints(&mut self, member: &[u8], limits: &SetLimits) -> bool {
        let Repr::Intset(ints) = &self.repr else { return false };
        // The longest text is that of one of the ends.
        let longest = [ints.first(), ints.last()].into_iter().flatten().map(decimal_len).max().unwrap_or(0);
        if ints.len() < limits.max_listpack_entries
            && member.len() <= limits.max_listpack_value
            && longest <= limits.max_listpack_value
        {
            let mut pack: Listpack = ints.iter().collect();
            pack.push_back(member);
            self.repr = Repr::Listpack(pack);
        } else {
            self.convert_to_table().insert(member);
        }
        true
    }

    /// Removes; false if it was not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.repr {
            Repr::Intset(ints) => parse_int(member).is_some_and(|int| ints.remove(int)),
            Repr::Listpack(pack) => match pack.first().and_then(|first| pack.find(first, member, 0)) {
                Some(cursor) => {
                    pack.delete(cursor);
                    true
                }
                None => false,
            },
            Repr::Table(members) => members.remove(member),
        }
    }

    /// All elements: ascending in an intset, by age in a listpack, in no useful order in a table.
    pub fn iter(&self) -> impl Iterator<Item = Item<'_>> {
        let (ints, pack, members) = match &self.repr {
            Repr::Intset(ints) => (Some(ints.iter()), None, None),
            Repr::Listpack(pack) => (None, Some(pack.iter()), None),
            Repr::Table(members) => (None, None, Some(members.table.iter())),
        };
        let ints = ints.into_iter().flatten().map(Item::Int);
        let members = members.into_iter().flatten().map(|member| Item::Bytes(member.bytes()));
        ints.chain(pack.into_iter().flatten()).chain(members)
    }

    /// One step of SSCAN: see [`Table::scan`]. Small encodings are reported whole.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(Item<'_>)) -> u64 {
        match &self.repr {
            Repr::Table(members) => {
                members.table.scan(cursor, count, |member| visit(Item::Bytes(member.bytes())))
            }
            _ => {
                self.iter().for_each(visit);
                0
            }
        }
    }

    /// One element, each with the same chance.
    pub fn random(&self, rng: &mut Rng) -> Option<Item<'_>> {
        if self.is_empty() {
            return None;
        }
        match &self.repr {
            Repr::Intset(ints) => ints.get(rng.index(ints.len())).map(Item::Int),
            Repr::Listpack(pack) => pack.seek(rng.index(pack.len())).map(|cursor| pack.get(cursor)),
            Repr::Table(members) => {
                members.table.random(&mut || rng.next_u64()).map(|member| Item::Bytes(member.bytes()))
            }
        }
    }

    /// Shows `count` different elements (all, if there are no more), each choice with the same chance.
    pub fn sample<'a>(&'a self, count: usize, rng: &mut Rng, mut visit: impl FnMut(Item<'a>)) {
        let len = self.len();
        match &self.repr {
            // When few are wanted, drawing again is cheaper than walking over everything.
            Repr::Table(_) if count < len / SPARSE => {
                let mut drawn = BTreeSet::new();
                while drawn.len() < count {
                    let Some(Item::Bytes(member)) = self.random(rng) else { return };
                    if drawn.insert(member) {
                        visit(Item::Bytes(member));
                    }
                }
            }
            _ => {
                let mut choice = Choice::new(count, len);
                for item in self.iter() {
                    if choice.takes_next(rng) {
                        visit(item);
                    }
                }
            }
        }
    }

    /// Removes one element, each with the same chance.
    pub fn pop(&mut self, rng: &mut Rng) -> Option<Vec<u8>> {
        let member = self.random(rng)?.to_vec();
        self.remove(&member);
        Some(member)
    }

    /// Removes `count` elements (all, if there are no more) after showing each to `visit`. If few remain, they move to
    /// a new set, which may have a smaller encoding, as in Redis.
    pub fn pop_many(
        &mut self,
        count: usize,
        rng: &mut Rng,
        limits: &SetLimits,
        mut visit: impl FnMut(Item<'_>),
    ) {
        let len = self.len();
        let remaining = len.saturating_sub(count);
        // Packed sets are cheaper to write anew than to shrink one by one; for a table that depends on how many go.
        if matches!(&self.repr, Repr::Table(_)) && remaining.saturating_mul(SPARSE) > count {
            for _ in 0..count {
                let Some(member) = self.pop(rng) else { return };
                visit(Item::Bytes(&member));
            }
            return;
        }
        let encoding = match self.encoding() {
            SetEncoding::Intset => SetEncoding::Intset,
            SetEncoding::Listpack | SetEncoding::Hashtable => SetEncoding::Listpack,
        };
        let mut kept = Set::with_encoding(encoding, self.seed);
        let keep_packed = encoding == self.encoding();
        let mut choice = Choice::new(remaining, len);
        for item in self.iter() {
            if !choice.takes_next(rng) {
                visit(item);
                continue;
            }
            // What is packed stays packed, even if the limits are lower now.
            match &mut kept.repr {
                Repr::Listpack(pack) if keep_packed => pack.push_back(item),
                Repr::Intset(ints) if keep_packed => {
                    ints.insert(item.as_int().unwrap_or_default());
                }
                _ => {
                    kept.insert_item(item, limits);
                }
            }
        }
        *self = kept;
    }

    /// Turns a set of nothing but integers into an intset if one may hold them: for results of SINTERSTORE.
    pub fn pack_integers(&mut self, limits: &SetLimits) {
        let is_intset = matches!(self.repr, Repr::Intset(_));
        if is_intset || self.len() > limits.max_intset_entries.min(MAX_INTSET) {
            return;
        }
        let mut ints = Intset::new();
        for item in self.iter() {
            match item.as_int() {
                Some(int) => ints.insert(int),
                None => return,
            };
        }
        self.repr = Repr::Intset(ints);
    }

    fn convert_to_table(&mut self) -> &mut Members {
        if !matches!(self.repr, Repr::Table(_)) {
            let mut members = Members::new(self.seed);
            let mut digits = itoa::Buffer::new();
            for item in self.iter() {
                members.insert(item.as_bytes(&mut digits));
            }
            self.repr = Repr::Table(members);
        }
        match &mut self.repr {
            Repr::Table(members) => members,
            _ => unreachable!("it was just made a table"),
        }
    }
}

/// A table from which more than one element in so many is wanted is walked over as a whole.
const SPARSE: usize = 5;

/// Selection sampling (Knuth, algorithm S): takes a number of elements out of a sequence of known length in one walk,
/// every choice of so many with the same chance.
pub(super) struct Choice {
    wanted: usize,
    left: usize,
}

impl Choice {
    pub(super) fn new(wanted: usize, len: usize) -> Choice {
        Choice { wanted: wanted.min(len), left: len }
    }

    /// Whether the next element is among those taken.
    pub(super) fn takes_next(&mut self, rng: &mut Rng) -> bool {
        let takes = self.wanted > 0 && rng.index(self.left) < self.wanted;
        self.left -= 1;
        self.wanted -= usize::from(takes);
        takes
    }
}

impl Members {
    fn new(seed: u64) -> Box<Members> {
        Box::new(Members { table: Table::new(seed), bytes: 0 })
    }

    fn insert(&mut self, member: &[u8]) -> bool {
        let hash = self.table.hash(member);
        if self.table.find_hashed(hash, member).is_some() {
            return false;
        }
        let member = Member::new(member);
        self.bytes += member.memory();
        self.table.insert_new(hash, member);
        true
    }

    fn remove(&mut self, member: &[u8]) -> bool {
        match self.table.remove(member) {
            Some(removed) => {
                self.bytes -= removed.memory();
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use SetEncoding::{Hashtable, Intset as Ints, Listpack as Pack};
    use proptest::prelude::*;

    const LIMITS: SetLimits =
        SetLimits { max_intset_entries: 4, max_listpack_entries: 8, max_listpack_value: 10 };

    fn sadd(set: &mut Set, members: &[&str], limits: &SetLimits) -> usize {
        set.expect(members[0].as_bytes(), members.len(), limits);
        members.iter().filter(|member| set.insert(member.as_bytes(), limits)).count()
    }

    fn texts(set: &Set) -> Vec<String> {
        set.iter().map(|item| String::from_utf8(item.to_vec()).unwrap()).collect()
    }

    /// The encodings after each SADD to one key; recorded from Redis 8.0 with `LIMITS`.
    #[test]
    fn encodings_follow_redis() {
        let long = "x".repeat(11);
        let cases: &[(&[&[&str]], &[SetEncoding])] = &[
            (&[&["1", "2", "3"], &["4"], &["5"]], &[Ints, Ints, Hashtable]),
            (&[&["1", "2", "3", "4", "5"]], &[Pack]),
            (&[&["1", "1", "1", "1", "1"]], &[Pack]),
            (&[&["a", "1", "2", "3", "4", "5", "6", "7", "8"]], &[Hashtable]),
            (&[&["a", "a", "a", "a", "a", "a", "a", "a", "a"]], &[Hashtable]),
            (&[&["1", "a"]], &[Pack]),
            (&[&["1"], &["a"]], &[Ints, Pack]),
            (&[&["1"], &[&long]], &[Ints, Hashtable]),
            (&[&[&long]], &[Hashtable]),
            (&[&["1", "2"], &["3", "3", "3", "3", "3"]], &[Ints, Hashtable]),
            (&[&["a"], &["b", "b", "b", "b", "b", "b", "b", "b", "b"]], &[Pack, Hashtable]),
            (&[&["12345678901"], &["a"]], &[Ints, Hashtable]),
            (&[&["-1234567890"], &["a"]], &[Ints, Hashtable]),
            (&[&["1234567890"], &["a"]], &[Ints, Pack]),
            (&[&["a"], &["12345678901"]], &[Pack, Hashtable]),
            (&[&["1", "2", "3", "4"], &["a"]], &[Ints, Pack]),
        ];
        for (calls, expected) in cases {
            let mut set = Set::new(1);
            for (members, encoding) in calls.iter().zip(*expected) {
                sadd(&mut set, members, &LIMITS);
                assert_eq!(set.encoding(), *encoding, "{calls:?} at {members:?}");
            }
        }
    }

    #[test]
    fn order_is_ascending_then_by_age() {
        let mut set = Set::new(1);
        sadd(&mut set, &["3", "1", "2"], &LIMITS);
        assert_eq!(texts(&set), ["1", "2", "3"]);
        sadd(&mut set, &["z"], &LIMITS);
        sadd(&mut set, &["0"], &LIMITS);
        set.remove(b"2");
        assert_eq!(texts(&set), ["1", "3", "z", "0"]);
        assert_eq!(set.encoding(), Pack);
        set.remove(b"z");
        assert_eq!(set.encoding(), Pack);
        set.pack_integers(&LIMITS);
        assert_eq!((set.encoding(), texts(&set)), (Ints, vec!["0".into(), "1".into(), "3".into()]));
    }

    #[test]
    fn a_large_pop_leaves_a_small_encoding() {
        let members: Vec<String> = (0..200).map(|n| format!("a{n}")).collect();
        let limits = SetLimits::default();
        for (count, encoding) in [(150, Hashtable), (170, Pack), (195, Pack), (200, Pack)] {
            let mut set = Set::from_members(members.iter().map(|m| m.as_bytes()), 200, &limits, 7);
            assert_eq!(set.encoding(), Hashtable);
            let mut popped = BTreeSet::new();
            set.pop_many(count, &mut Rng::new(3), &limits, |item| {
                popped.insert(item.to_vec());
            });
            assert_eq!((popped.len(), set.len(), set.encoding()), (count, 200 - count, encoding));
            assert!(set.iter().all(|item| !popped.contains(&item.to_vec())));
        }
    }

    #[test]
    fn every_element_is_drawn() {
        let limits = SetLimits::default();
        for encoding in [Ints, Pack, Hashtable] {
            let mut set = Set::with_encoding(encoding, 5);
            for n in 0..40 {
                set.insert_item(Item::Int(n), &limits);
            }
            assert_eq!(set.encoding(), encoding);
            let mut rng = Rng::new(9);
            let drawn: BTreeSet<Vec<u8>> =
                (0..2000).filter_map(|_| set.random(&mut rng)).map(|item| item.to_vec()).collect();
            assert_eq!(drawn.len(), 40);
            for count in [0, 1, 3, 20, 40, 50] {
                let mut sample = BTreeSet::new();
                set.sample(count, &mut rng, |item| assert!(sample.insert(item.to_vec())));
                assert_eq!(sample.len(), count.min(40));
            }
            let mut popped = BTreeSet::new();
            while let Some(member) = set.pop(&mut rng) {
                popped.insert(member);
            }
            assert_eq!((popped.len(), set.len()), (40, 0));
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(Vec<Vec<u8>>),
        Remove(Vec<u8>),
        Pop,
        PopMany(usize),
        PackIntegers,
    }

    fn member() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => (-10i64..10).prop_map(|n| n.to_string().into_bytes()),
            1 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
            2 => (0u8..6).prop_map(|n| vec![b'a' + n]),
            1 => (0usize..14).prop_map(|len| vec![b'x'; len]),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            5 => proptest::collection::vec(member(), 1..6).prop_map(Step::Add),
            3 => member().prop_map(Step::Remove),
            1 => Just(Step::Pop),
            1 => (0usize..9).prop_map(Step::PopMany),
            1 => Just(Step::PackIntegers),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(
            ints in 0usize..8,
            entries in 0usize..12,
            seed in any::<u64>(),
            steps in proptest::collection::vec(step(), 1..60),
        ) {
            let limits = SetLimits { max_intset_entries: ints, max_listpack_entries: entries, max_listpack_value: 10 };
            let (mut set, mut oracle, mut rng) = (Set::new(seed), BTreeSet::new(), Rng::new(seed));
            for step in steps {
                match step {
                    Step::Add(members) => {
                        set.expect(&members[0], members.len(), &limits);
                        for member in members {
                            prop_assert_eq!(set.insert(&member, &limits), oracle.insert(member));
                        }
                    }
                    Step::Remove(member) => prop_assert_eq!(set.remove(&member), oracle.remove(&member)),
                    Step::Pop => match set.pop(&mut rng) {
                        Some(member) => prop_assert!(oracle.remove(&member)),
                        None => prop_assert!(oracle.is_empty()),
                    },
                    Step::PopMany(count) => {
                        let before = oracle.len();
                        let mut all_known = true;
                        set.pop_many(count, &mut rng, &limits, |item| all_known &= oracle.remove(&item.to_vec()));
                        prop_assert!(all_known);
                        prop_assert_eq!(oracle.len(), before.saturating_sub(count));
                    }
                    Step::PackIntegers => set.pack_integers(&limits),
                }
                prop_assert_eq!(set.len(), oracle.len());
                let all: BTreeSet<Vec<u8>> = set.iter().map(|item| item.to_vec()).collect();
                prop_assert_eq!(&all, &oracle);
                prop_assert!(oracle.iter().all(|member| set.contains(member) && set.contains_item(Item::new(member))));
                prop_assert!(!set.contains(b"absent"));
                let (mut cursor, mut scanned) = (0, BTreeSet::new());
                loop {
                    cursor = set.scan(cursor, 2, |item| { scanned.insert(item.to_vec()); });
                    if cursor == 0 {
                        break;
                    }
                }
                prop_assert_eq!(&scanned, &oracle);
                if let Repr::Table(members) = &set.repr {
                    prop_assert_eq!(members.bytes, members.table.iter().map(Member::memory).sum::<usize>());
                }
            }
        }
    }
}
