//! Sorted sets: members in the order of (score, member bytes), each member once.
//!
//! Two encodings, with Redis's names. Small sets are a listpack of member, score, member, score, … in order, byte for
//! byte what RDB files carry; everything there is a walk. Large sets, which `OBJECT ENCODING` calls `skiplist`, are
//! records found by member (`zset::members`) plus a B+tree of (score, handle of the record) that counts its subtrees
//! (`value::rank_tree`). A set becomes large when an insertion exceeds the limits and never small again.
//!
//! Everything that names a part of a sorted set is turned into a range of ranks first ([`Zset::score_range`],
//! [`Zset::lex_range`]); counting is the length of that range, LIMIT is arithmetic on it, and one iterator and one
//! removal serve BYRANK, BYSCORE and BYLEX alike. In the large encoding all of them are O(log n) plus O(1) for each
//! member shown and O(log n) for each member removed.
//!
//! Invariants: no score is NaN (callers check); in the large encoding record and tree hold the same score bits; the
//! encodings differ in one visible way, as Redis's do: a listpack stores -0 as 0.

mod members;

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};

use self::members::Members;
use super::listpack::{Cursor, Item, Listpack};
use super::rank_tree::{self, RankTree};
use crate::number::{FloatBuffer, parse_f64};
use crate::rng::Rng;

/// `zset-max-listpack-entries` and `zset-max-listpack-value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZsetLimits {
    pub max_listpack_entries: usize,
    pub max_listpack_value: usize,
}

impl Default for ZsetLimits {
    fn default() -> Self {
        Self { max_listpack_entries: 128, max_listpack_value: 64 }
    }
}

/// What `OBJECT ENCODING` calls the representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZsetEncoding {
    Listpack,
    Skiplist,
}

impl ZsetEncoding {
    pub fn name(self) -> &'static str {
        match self {
            ZsetEncoding::Listpack => "listpack",
            ZsetEncoding::Skiplist => "skiplist",
        }
    }
}

/// What [`Zset::insert`] did. `Same` covers 0 against -0 (equal scores leave the stored one alone) and a member whose
/// score was not to be set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Inserted {
    Added,
    /// The member was there with this other score.
    Updated(f64),
    Same,
}

/// One end of a range of scores. Infinities are ordinary scores here: `-inf` is `Incl(f64::NEG_INFINITY)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScoreBound {
    Incl(f64),
    Excl(f64),
}

/// One end of a range of members: `-`, `+`, `[bytes`, `(bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LexBound<'a> {
    Min,
    Max,
    Incl(&'a [u8]),
    Excl(&'a [u8]),
}

impl ScoreBound {
    /// As the lower end: is `score` inside?
    pub fn admits_from_below(self, score: f64) -> bool {
        match self {
            ScoreBound::Incl(bound) => score >= bound,
            ScoreBound::Excl(bound) => score > bound,
        }
    }

    /// As the upper end: is `score` inside?
    pub fn admits_from_above(self, score: f64) -> bool {
        match self {
            ScoreBound::Incl(bound) => score <= bound,
            ScoreBound::Excl(bound) => score < bound,
        }
    }
}

impl LexBound<'_> {
    /// As the lower end: is `member` inside?
    pub fn admits_from_below(self, member: &[u8]) -> bool {
        match self {
            LexBound::Min => true,
            LexBound::Max => false,
            LexBound::Incl(bound) => member >= bound,
            LexBound::Excl(bound) => member > bound,
        }
    }

    /// As the upper end: is `member` inside?
    pub fn admits_from_above(self, member: &[u8]) -> bool {
        match self {
            LexBound::Min => false,
            LexBound::Max => true,
            LexBound::Incl(bound) => member <= bound,
            LexBound::Excl(bound) => member < bound,
        }
    }
}

/// The bytes of a member: borrowed, or the digits of one that is packed as an integer.
#[derive(Clone, Copy)]
pub enum Member<'a> {
    Bytes(&'a [u8]),
    Digits { text: [u8; 20], len: u8 },
}

impl Member<'_> {
    pub fn from_int(int: i64) -> Member<'static> {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(int).as_bytes();
        let mut text = [0; 20];
        text[..digits.len()].copy_from_slice(digits);
        Member::Digits { text, len: digits.len() as u8 }
    }
}

impl Deref for Member<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Member::Bytes(bytes) => bytes,
            Member::Digits { text, len } => &text[..usize::from(*len)],
        }
    }
}

impl AsRef<[u8]> for Member<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Member<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Member<'_> {}

impl Hash for Member<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self);
    }
}

impl std::fmt::Debug for Member<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.escape_ascii())
    }
}

impl<'a> From<Item<'a>> for Member<'a> {
    fn from(item: Item<'a>) -> Self {
        match item {
            Item::Bytes(bytes) => Member::Bytes(bytes),
            Item::Int(int) => Member::from_int(int),
        }
    }
}

/// A sorted set.
#[derive(Clone)]
pub struct Zset {
    encoded: Encoded,
    /// Keys the hash of the large encoding.
    seed: u64,
}

#[derive(Clone)]
enum Encoded {
    Packed(Listpack),
    Large(Box<Large>),
}

impl Zset {
    /// An empty set. `seed` keys the hash of the large encoding.
    pub fn new(seed: u64) -> Self {
        Self { encoded: Encoded::Packed(Listpack::new()), seed }
    }

    /// An empty set about to receive up to `members` members, the first of them `member_len` bytes long: it starts
    /// in the encoding that would hold them, as ZADD on a missing key does.
    pub fn with_hint(members: usize, member_len: usize, limits: &ZsetLimits, seed: u64) -> Self {
        let mut zset = Self::new(seed);
        if members > limits.max_listpack_entries || member_len > limits.max_listpack_value {
            zset.encoded = Encoded::Large(Box::new(Large::new(members, seed)));
        }
        zset
    }

    /// Takes over a listpack of members and scores, as RDB files have them; large at once if it has more members than
    /// the limits allow. `None` if it is not pairs in ascending order with a number second, or has a member twice.
    pub fn from_listpack(listpack: Listpack, limits: &ZsetLimits, seed: u64) -> Option<Self> {
        let mut members = BTreeSet::new();
        let mut before: Option<(Member<'_>, f64)> = None;
        let mut items = listpack.iter();
        while let Some(member) = items.next() {
            let (member, score) = (Member::from(member), read_score(items.next()?)?);
            if let Some((before, before_score)) = before
                && (score < before_score || score == before_score && *member <= *before)
            {
                return None;
            }
            if !members.insert(member.to_vec()) {
                return None;
            }
            before = Some((member, score));
        }
        drop(members);
        let mut zset = Self { encoded: Encoded::Packed(listpack), seed };
        if zset.len() > limits.max_listpack_entries {
            zset.enlarge();
        }
        Some(zset)
    }

    /// The listpack of a small set, for RDB files and DUMP.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.encoded {
            Encoded::Packed(listpack) => Some(listpack),
            Encoded::Large(_) => None,
        }
    }

    pub fn len(&self) -> usize {
        match &self.encoded {
            Encoded::Packed(listpack) => listpack.len() / 2,
            Encoded::Large(large) => large.tree.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn encoding(&self) -> ZsetEncoding {
        match &self.encoded {
            Encoded::Packed(_) => ZsetEncoding::Listpack,
            Encoded::Large(_) => ZsetEncoding::Skiplist,
        }
    }

    /// The seed given at construction.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.encoded {
            Encoded::Packed(listpack) => packed_find(listpack, member).map(|(_, score)| score),
            Encoded::Large(large) => large.members.find(member).map(|handle| large.members.score(handle)),
        }
    }

    /// Goes over to the large encoding if `members` (duplicates counted) are about to be inserted and that many alone
    /// would be too many for a small one: what ZADD does to a set that is there.
    pub fn expect(&mut self, members: usize, limits: &ZsetLimits) {
        if members > limits.max_listpack_entries {
            self.enlarge_for(members);
        }
    }

    /// Sets the score of `member`, which is added if it is missing; becomes large first if the limits ask for it.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &ZsetLimits) -> Inserted {
        self.insert_with(member, limits, |_| Some(score))
    }

    /// As [`Zset::insert`], with the score that `choose` answers to the one `member` has; nothing happens if that is
    /// `None`.
    pub fn insert_with(
        &mut self,
        member: &[u8],
        limits: &ZsetLimits,
        choose: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Inserted {
        if let Encoded::Packed(listpack) = &mut self.encoded {
            if let Some((cursor, old)) = packed_find(listpack, member) {
                let Some(score) = choose(Some(old)).filter(|&score| score != old) else {
                    return Inserted::Same;
                };
                debug_assert!(!score.is_nan());
                listpack.delete_many(cursor, 2);
                packed_insert(listpack, member, score);
                return Inserted::Updated(old);
            }
            let Some(score) = choose(None) else { return Inserted::Same };
            debug_assert!(!score.is_nan());
            if packed_fits(listpack, member, limits) {
                packed_insert(listpack, member, score);
            } else {
                self.enlarge().insert_with(member, |_| Some(score));
            }
            return Inserted::Added;
        }
        self.enlarge().insert_with(member, choose)
    }

    /// Adds a member that is not there and comes after all others; becomes large first if the limits ask for it.
    pub fn push_last(&mut self, member: &[u8], score: f64, limits: &ZsetLimits) {
        debug_assert!(!score.is_nan());
        match &mut self.encoded {
            Encoded::Packed(listpack) if packed_fits(listpack, member, limits) => {
                packed_push(listpack, member, score);
            }
            _ => self.enlarge().push_last(member, score),
        }
    }

    /// Removes `member`; its score if it was there.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.encoded {
            Encoded::Packed(listpack) => {
                let (cursor, score) = packed_find(listpack, member)?;
                listpack.delete_many(cursor, 2);
                Some(score)
            }
            Encoded::Large(large) => large.remove(member),
        }
    }

    /// The number of members before `member`.
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        self.rank_and_score(member).map(|(rank, _)| rank)
    }

    /// The number of members before `member`, and its score.
    pub fn rank_and_score(&self, member: &[u8]) -> Option<(usize, f64)> {
        match &self.encoded {
            Encoded::Packed(listpack) => {
                let (cursor, score) = packed_find(listpack, member)?;
                Some((listpack.iter_to(cursor).count() / 2, score))
            }
            Encoded::Large(large) => {
                let handle = large.members.find(member)?;
                let score = large.members.score(handle);
                Some((large.tree.rank(score, handle, &large.members), score))
            }
        }
    }

    /// The member at `rank`, counted from 0 in ascending order.
    pub fn select(&self, rank: usize) -> Option<(Member<'_>, f64)> {
        match &self.encoded {
            Encoded::Packed(_) => self.range(rank..rank.saturating_add(1)).next(),
            Encoded::Large(large) => {
                let (score, handle) = large.tree.select(rank)?;
                Some((Member::Bytes(large.members.bytes(handle)), score))
            }
        }
    }

    /// All members in ascending order.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0..self.len())
    }

    /// The members with these ranks, in ascending order; `.rev()` for descending. Ranks past the end are ignored.
    pub fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        let ranks = self.clamp(ranks);
        Iter(match &self.encoded {
            Encoded::Packed(listpack) => {
                Walk::Packed(PackedWalk { listpack, ranks, front: None, back: None })
            }
            Encoded::Large(large) => Walk::Large(large.tree.range(ranks.start, ranks.end), &large.members),
        })
    }

    /// The ranks of the members with scores between the bounds.
    pub fn score_range(&self, min: ScoreBound, max: ScoreBound) -> Range<usize> {
        let (start, end) = match &self.encoded {
            Encoded::Packed(listpack) => {
                let below =
                    |inside: &dyn Fn(f64) -> bool| packed_partition(listpack, |_, score| inside(score)).0;
                let end = match max {
                    // Asked for all the time, and known without a look.
                    ScoreBound::Incl(f64::INFINITY) => self.len(),
                    _ => below(&|score| max.admits_from_above(score)),
                };
                let start = match min {
                    ScoreBound::Incl(f64::NEG_INFINITY) => 0,
                    _ => below(&|score| !min.admits_from_below(score)),
                };
                (start, end)
            }
            Encoded::Large(large) => (
                match min {
                    ScoreBound::Incl(bound) => large.tree.count_below(bound),
                    ScoreBound::Excl(bound) => large.tree.count_upto(bound),
                },
                match max {
                    ScoreBound::Incl(bound) => large.tree.count_upto(bound),
                    ScoreBound::Excl(bound) => large.tree.count_below(bound),
                },
            ),
        };
        start..end.max(start)
    }

    /// The ranks of the members between the bounds, as a walk upwards finds them. Meant for sets whose scores are all
    /// equal; in others a small set answers what Redis's walk over a listpack does, a large one some range.
    pub fn lex_range(&self, min: LexBound<'_>, max: LexBound<'_>) -> Range<usize> {
        match &self.encoded {
            Encoded::Packed(listpack) => {
                let members = || packed_pairs(listpack).map(|(member, _)| member);
                if !packed_meets(listpack, min, max) {
                    return 0..0;
                }
                let start = members().take_while(|member| !min.admits_from_below(member)).count();
                let inside = members().skip(start).take_while(|member| max.admits_from_above(member));
                start..start + inside.count()
            }
            Encoded::Large(large) => large.lex_range(min, max),
        }
    }

    /// As [`Zset::lex_range`], as a walk downwards finds them: the same ranks if all scores are equal.
    pub fn lex_range_down(&self, min: LexBound<'_>, max: LexBound<'_>) -> Range<usize> {
        match &self.encoded {
            Encoded::Packed(listpack) => {
                let len = self.len();
                let members = || self.iter().rev().map(|(member, _)| member);
                if !packed_meets(listpack, min, max) {
                    return 0..0;
                }
                let above = members().take_while(|member| !max.admits_from_above(member)).count();
                let inside = members().skip(above).take_while(|member| min.admits_from_below(member));
                len - above - inside.count()..len - above
            }
            Encoded::Large(large) => large.lex_range(min, max),
        }
    }

    /// Removes the members with these ranks, shows each to `removed`, and returns how many they were.
    pub fn remove_range(&mut self, ranks: Range<usize>, mut removed: impl FnMut(&[u8], f64)) -> usize {
        let ranks = self.clamp(ranks);
        self.range(ranks.clone()).for_each(|(member, score)| removed(&member, score));
        match &mut self.encoded {
            Encoded::Packed(listpack) => listpack.delete_range(2 * ranks.start, 2 * ranks.len()),
            Encoded::Large(large) => large.remove_range(ranks.clone()),
        }
        ranks.len()
    }

    /// Removes and returns the first member.
    pub fn pop_min(&mut self) -> Option<(Vec<u8>, f64)> {
        self.pop(0)
    }

    /// Removes and returns the last member.
    pub fn pop_max(&mut self) -> Option<(Vec<u8>, f64)> {
        self.pop(self.len().checked_sub(1)?)
    }

    fn pop(&mut self, rank: usize) -> Option<(Vec<u8>, f64)> {
        let mut popped = None;
        self.remove_range(rank..rank + 1, |member, score| popped = Some((member.to_vec(), score)));
        popped
    }

    /// A member, each with the same probability.
    pub fn random(&self, rng: &mut Rng) -> Option<(Member<'_>, f64)> {
        if self.is_empty() { None } else { self.select(rng.index(self.len())) }
    }

    /// Shows `count` different members, or all if they are fewer, to `visit`, in ascending order. Each subset has the
    /// same probability (Floyd's algorithm, on ranks).
    pub fn sample(&self, count: usize, rng: &mut Rng, mut visit: impl FnMut(&[u8], f64)) {
        let len = self.len();
        if count >= len {
            return self.iter().for_each(|(member, score)| visit(&member, score));
        }
        let mut ranks = BTreeSet::new();
        for last in len - count..len {
            if !ranks.insert(rng.index(last + 1)) {
                ranks.insert(last);
            }
        }
        let mut rest = self.iter();
        let mut next = 0;
        for rank in ranks {
            // A walk in a small set, a descent in a large one.
            let Some((member, score)) = rest.nth(rank - next) else { return };
            next = rank + 1;
            visit(&member, score);
        }
    }

    /// One step of ZSCAN from `cursor` (0 begins): shows about `count` members to `visit` and returns the cursor of
    /// the next step, 0 at the end. Members that are there from the first step to the last are shown. A small set is
    /// shown whole.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        match &self.encoded {
            Encoded::Packed(_) => {
                self.iter().for_each(|(member, score)| visit(&member, score));
                0
            }
            Encoded::Large(large) => large.members.scan(cursor, count, visit),
        }
    }

    /// Bytes of memory held, this struct itself not included.
    pub fn memory(&self) -> usize {
        match &self.encoded {
            Encoded::Packed(listpack) => listpack.memory(),
            Encoded::Large(large) => size_of::<Large>() + large.members.memory() + large.tree.memory(),
        }
    }

    fn clamp(&self, ranks: Range<usize>) -> Range<usize> {
        let end = ranks.end.min(self.len());
        ranks.start.min(end)..end
    }

    /// Goes over to the large encoding for good, whatever the limits say: SORT does this to what it sorts.
    pub fn unpack(&mut self) {
        self.enlarge();
    }

    fn enlarge(&mut self) -> &mut Large {
        self.enlarge_for(self.len())
    }

    /// As [`Zset::enlarge`], for a set that is about to have that many members.
    fn enlarge_for(&mut self, members: usize) -> &mut Large {
        if let Encoded::Packed(listpack) = &self.encoded {
            let mut large = Large::new(members, self.seed);
            for (member, score) in packed_pairs(listpack) {
                large.push_last(&member, score);
            }
            self.encoded = Encoded::Large(Box::new(large));
        }
        match &mut self.encoded {
            Encoded::Large(large) => large,
            Encoded::Packed(_) => unreachable!("it has just become large"),
        }
    }
}

impl std::fmt::Debug for Zset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Members and scores of a range of ranks; see [`Zset::range`].
#[derive(Clone)]
pub struct Iter<'a>(Walk<'a>);

#[derive(Clone)]
enum Walk<'a> {
    Packed(PackedWalk<'a>),
    Large(rank_tree::Iter<'a>, &'a Members),
}

/// Walks a listpack; the cursors of the members at both ends are found when they are first needed.
#[derive(Clone)]
struct PackedWalk<'a> {
    listpack: &'a Listpack,
    ranks: Range<usize>,
    front: Option<Cursor>,
    back: Option<Cursor>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Member<'a>, f64);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Walk::Packed(walk) => walk.next(),
            Walk::Large(entries, members) => {
                entries.next().map(|(score, handle)| (Member::Bytes(members.bytes(handle)), score))
            }
        }
    }

    /// A jump: the members in between are not looked at in a large set.
    fn nth(&mut self, count: usize) -> Option<Self::Item> {
        match &mut self.0 {
            Walk::Packed(walk) => walk.nth(count),
            Walk::Large(entries, members) => {
                entries.nth(count).map(|(score, handle)| (Member::Bytes(members.bytes(handle)), score))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Walk::Packed(walk) => (walk.ranks.len(), Some(walk.ranks.len())),
            Walk::Large(entries, _) => entries.size_hint(),
        }
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Walk::Packed(walk) => walk.next_back(),
            Walk::Large(entries, members) => {
                entries.next_back().map(|(score, handle)| (Member::Bytes(members.bytes(handle)), score))
            }
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> Iterator for PackedWalk<'a> {
    type Item = (Member<'a>, f64);

    fn next(&mut self) -> Option<Self::Item> {
        let rank = self.ranks.next()?;
        let member = self.front.or_else(|| self.listpack.seek(2 * rank))?;
        let score = self.listpack.next(member)?;
        self.front = self.listpack.next(score);
        Some((self.listpack.get(member).into(), read_score(self.listpack.get(score))?))
    }
}

impl DoubleEndedIterator for PackedWalk<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let rank = self.ranks.next_back()?;
        let score = self.back.or_else(|| self.listpack.seek(2 * rank + 1))?;
        let member = self.listpack.prev(score)?;
        self.back = self.listpack.prev(member);
        Some((self.listpack.get(member).into(), read_score(self.listpack.get(score))?))
    }
}

/// The large encoding.
#[derive(Clone)]
struct Large {
    members: Members,
    tree: RankTree,
}

impl Large {
    fn new(expected: usize, seed: u64) -> Self {
        Self { members: Members::new(expected, seed), tree: RankTree::new() }
    }

    fn push_last(&mut self, member: &[u8], score: f64) {
        let handle = self.members.add(member, score);
        self.tree.push_last(score, handle, &self.members);
    }

    fn insert_with(&mut self, member: &[u8], choose: impl FnOnce(Option<f64>) -> Option<f64>) -> Inserted {
        let Some(handle) = self.members.find(member) else {
            let Some(score) = choose(None) else { return Inserted::Same };
            debug_assert!(!score.is_nan());
            let handle = self.members.add(member, score);
            self.tree.insert(score, handle, &self.members);
            return Inserted::Added;
        };
        let old = self.members.score(handle);
        let Some(score) = choose(Some(old)).filter(|&score| score != old) else {
            return Inserted::Same;
        };
        debug_assert!(!score.is_nan());
        self.tree.update(handle, old, score, &self.members);
        self.members.set_score(handle, score);
        Inserted::Updated(old)
    }

    fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let handle = self.members.find(member)?;
        let score = self.members.score(handle);
        self.tree.remove(score, handle, &self.members);
        self.members.remove(handle);
        Some(score)
    }

    fn lex_range(&self, min: LexBound<'_>, max: LexBound<'_>) -> Range<usize> {
        let start = self.tree.count_keys(&self.members, |member| !min.admits_from_below(member));
        let end = self.tree.count_keys(&self.members, |member| max.admits_from_above(member));
        start..end.max(start)
    }

    fn remove_range(&mut self, ranks: Range<usize>) {
        let mut left = ranks.len();
        while left > 0 {
            let upto = ranks.start + left;
            left -= self.tree.remove_some(ranks.start, upto, |_, handle| self.members.remove(handle));
        }
    }
}

/// The cursor of the member, and its score.
fn packed_find(listpack: &Listpack, member: &[u8]) -> Option<(Cursor, f64)> {
    let cursor = listpack.find(listpack.first()?, member, 1)?;
    Some((cursor, read_score(listpack.get(listpack.next(cursor)?))?))
}

/// Whether the limits leave a set small that gets one more member.
fn packed_fits(listpack: &Listpack, member: &[u8], limits: &ZsetLimits) -> bool {
    listpack.len() / 2 < limits.max_listpack_entries + usize::from(crate::bug!(ZsetPackTooLong))
        && member.len() <= limits.max_listpack_value
        && listpack.safe_to_add(member.len())
}

/// A score as a listpack has it.
fn score_item(score: f64, buffer: &mut FloatBuffer) -> Item<'_> {
    match exact_int(score) {
        Some(int) => Item::Int(int),
        None => Item::new(buffer.format(score)),
    }
}

/// Adds a member behind all others.
fn packed_push(listpack: &mut Listpack, member: &[u8], score: f64) {
    listpack.push_back(member);
    listpack.push_back(score_item(score, &mut FloatBuffer::new()));
}

/// Inserts a member that is not there at its place.
fn packed_insert(listpack: &mut Listpack, member: &[u8], score: f64) {
    // Ascending insertion, as of timestamps, is worth a look at the end.
    let last = listpack.last().and_then(|last| read_score(listpack.get(last)));
    let place = if last.is_some_and(|last| last < score) {
        None
    } else {
        packed_partition(listpack, |cursor, other| {
            other < score || other == score && *Member::from(listpack.get(cursor)) < *member
        })
        .1
    };
    match place {
        Some(cursor) => {
            let cursor = listpack.insert_before(cursor, member);
            listpack.insert_after(cursor, score_item(score, &mut FloatBuffer::new()));
        }
        None => packed_push(listpack, member, score),
    }
}

/// The number of leading members that are `before`, and the first behind them. Asks at every eighth member first,
/// because reading a score out of its text costs many times what a step does.
fn packed_partition(
    listpack: &Listpack,
    mut before: impl FnMut(Cursor, f64) -> bool,
) -> (usize, Option<Cursor>) {
    const STRIDE: usize = 8;
    let mut is_before = |member: Cursor| {
        let score = listpack.next(member).and_then(|score| read_score(listpack.get(score)));
        score.is_some_and(|score| before(member, score))
    };
    let after = |member: Cursor| listpack.next(member).and_then(|score| listpack.next(score));
    let (mut count, mut place) = (0, listpack.first());
    loop {
        // All members before `place` are before; is the last of the next eight, too?
        let (mut last, mut steps) = (place, 0);
        while let Some(next) = last.filter(|_| steps < STRIDE - 1).and_then(after) {
            (last, steps) = (Some(next), steps + 1);
        }
        match last {
            Some(last) if steps == STRIDE - 1 && is_before(last) => {
                (count, place) = (count + STRIDE, after(last));
            }
            _ => break,
        }
    }
    while let Some(member) = place.filter(|member| is_before(*member)) {
        (count, place) = (count + 1, after(member));
    }
    (count, place)
}

fn packed_pairs(listpack: &Listpack) -> PackedWalk<'_> {
    PackedWalk { listpack, ranks: 0..listpack.len() / 2, front: None, back: None }
}

/// Redis's three questions before it walks a lexical range: is the range not empty in itself, does the last member lie
/// above its lower end, does the first lie below its upper end?
fn packed_meets(listpack: &Listpack, min: LexBound<'_>, max: LexBound<'_>) -> bool {
    let sensible = match (min, max) {
        (LexBound::Incl(min), LexBound::Incl(max)) => min <= max,
        (LexBound::Incl(min) | LexBound::Excl(min), LexBound::Incl(max) | LexBound::Excl(max)) => min < max,
        _ => true,
    };
    let mut pairs = packed_pairs(listpack);
    let Some((last, _)) = pairs.next_back() else { return false };
    let first = pairs.next().map_or(last, |(first, _)| first);
    sensible && min.admits_from_below(&last) && max.admits_from_above(&first)
}

/// The integer a listpack stores in place of this score's text, by Redis's rule: half of what an `i64` can hold.
fn exact_int(score: f64) -> Option<i64> {
    const HALF: f64 = (i64::MAX / 2) as f64;
    ((-HALF..=HALF).contains(&score) && score.trunc() == score).then_some(score as i64)
}

/// A score as a listpack stores it; `None` if it is no number.
fn read_score(item: Item<'_>) -> Option<f64> {
    match item {
        Item::Int(int) => Some(int as f64),
        Item::Bytes(text) => parse_f64(text),
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;
    use std::collections::BTreeMap;

    use super::*;

    /// The slow obvious version: a sorted vector.
    #[derive(Default)]
    struct Model(Vec<(f64, Vec<u8>)>);

    impl Model {
        fn find(&self, member: &[u8]) -> Option<usize> {
            self.0.iter().position(|(_, other)| other == member)
        }

        fn insert(&mut self, member: &[u8], score: f64) -> Inserted {
            let inserted = match self.find(member) {
                Some(rank) if self.0[rank].0 == score => return Inserted::Same,
                Some(rank) => Inserted::Updated(self.0.remove(rank).0),
                None => Inserted::Added,
            };
            self.0.push((score, member.to_vec()));
            self.0.sort_by(|a, b| match a.0.partial_cmp(&b.0) {
                Some(Ordering::Equal) | None => a.1.cmp(&b.1),
                Some(order) => order,
            });
            inserted
        }

        fn ranks(&self, mut inside: impl FnMut(&(f64, Vec<u8>)) -> bool) -> Vec<(f64, Vec<u8>)> {
            self.0.iter().filter(|row| inside(row)).cloned().collect()
        }
    }

    fn rows<'a>(pairs: impl Iterator<Item = (Member<'a>, f64)>) -> Vec<(f64, Vec<u8>)> {
        pairs.map(|(member, score)| (score, member.to_vec())).collect()
    }

    fn random_score(rng: &mut Rng, equal: bool) -> f64 {
        match rng.below(8) {
            _ if equal => 0.0,
            0 => f64::INFINITY,
            1 => f64::NEG_INFINITY,
            2 => rng.below(1000) as f64 / 8.0,
            3 => rng.next_u64() as i64 as f64,
            _ => rng.below(9) as f64 - 4.0,
        }
    }

    fn random_member(rng: &mut Rng) -> Vec<u8> {
        let number = rng.below(150);
        match number % 4 {
            0 => number.to_string().into_bytes(),
            1 => format!("member {number}").into_bytes(),
            2 => format!("{number}{}", "x".repeat(30)).into_bytes(),
            _ => vec![number as u8; (number % 5) as usize],
        }
    }

    fn score_bound(rng: &mut Rng) -> ScoreBound {
        let score = random_score(rng, false);
        if rng.below(2) == 0 { ScoreBound::Incl(score) } else { ScoreBound::Excl(score) }
    }

    fn lex_bound<'a>(rng: &mut Rng, member: &'a [u8]) -> LexBound<'a> {
        match rng.below(8) {
            0 => LexBound::Min,
            1 => LexBound::Max,
            2..5 => LexBound::Incl(member),
            _ => LexBound::Excl(member),
        }
    }

    /// Random operations, everything compared with the model at every step. Returns whether the set ended large.
    fn run(seed: u64, limits: ZsetLimits, equal: bool, steps: u32) -> bool {
        let mut rng = Rng::new(seed);
        let mut zset = Zset::new(seed);
        let mut model = Model::default();
        let mut was_large = false;
        for step in 0..steps {
            let context = format!("seed {seed} {limits:?} equal {equal} step {step}");
            let member = random_member(&mut rng);
            let len = model.0.len();
            match rng.below(20) {
                0..12 => {
                    let score = random_score(&mut rng, equal);
                    let expands = model.find(&member).is_none()
                        && (len >= limits.max_listpack_entries || member.len() > limits.max_listpack_value);
                    was_large |= expands;
                    assert_eq!(
                        zset.insert(&member, score, &limits),
                        model.insert(&member, score),
                        "{context}"
                    );
                }
                12..16 => {
                    let expected = model.find(&member).map(|rank| model.0.remove(rank).0);
                    assert_eq!(zset.remove(&member), expected, "{context}");
                }
                16 => {
                    let expected =
                        (len > 0).then(|| model.0.remove(0)).map(|(score, member)| (member, score));
                    assert_eq!(zset.pop_min(), expected, "{context}");
                }
                17 => {
                    let expected = model.0.pop().map(|(score, member)| (member, score));
                    assert_eq!(zset.pop_max(), expected, "{context}");
                }
                18 => {
                    let start = rng.index(len + 3);
                    let end = start + rng.index(12);
                    let mut shown = Vec::new();
                    let removed =
                        zset.remove_range(start..end, |member, score| shown.push((score, member.to_vec())));
                    let (start, end) = (start.min(len), end.min(len));
                    assert_eq!(shown, model.0.drain(start..end).collect::<Vec<_>>(), "{context}");
                    assert_eq!(removed, end - start);
                }
                _ => zset = zset.clone(),
            }
            let encoding = if was_large { ZsetEncoding::Skiplist } else { ZsetEncoding::Listpack };
            assert_eq!(zset.encoding(), encoding, "{context}");
            compare(&zset, &model, &mut rng, equal, &context);
        }
        was_large
    }

    fn compare(zset: &Zset, model: &Model, rng: &mut Rng, equal: bool, context: &str) {
        let len = model.0.len();
        assert_eq!(zset.len(), len, "{context}");
        assert_eq!(zset.is_empty(), len == 0);
        assert_eq!(rows(zset.iter()), model.0, "{context}");
        let down: Vec<_> = model.0.iter().rev().cloned().collect();
        assert_eq!(rows(zset.iter().rev()), down, "{context}");

        let member = random_member(rng);
        let rank = model.find(&member);
        assert_eq!(zset.rank(&member), rank, "{context}");
        assert_eq!(zset.score(&member), rank.map(|rank| model.0[rank].0), "{context}");
        let at = rng.index(len + 2);
        let selected = zset.select(at).map(|(member, score)| (score, member.to_vec()));
        assert_eq!(selected, model.0.get(at).cloned(), "{context}");
        let end = at + rng.index(20);
        let expected: Vec<_> = model.0.iter().take(end).skip(at).cloned().collect();
        assert_eq!(zset.range(at..end).len(), expected.len());
        assert_eq!(rows(zset.range(at..end)), expected, "{context}");
        let mut down = rows(zset.range(at..end).rev());
        down.reverse();
        assert_eq!(down, expected, "{context}");

        let (min, max) = (score_bound(rng), score_bound(rng));
        let expected = model.ranks(|row| min.admits_from_below(row.0) && max.admits_from_above(row.0));
        let ranks = zset.score_range(min, max);
        assert_eq!(ranks.len(), expected.len(), "{context} {min:?} {max:?}");
        assert_eq!(rows(zset.range(ranks)), expected, "{context} {min:?} {max:?}");

        if equal {
            let (min, max) = (random_member(rng), random_member(rng));
            let (min, max) = (lex_bound(rng, &min), lex_bound(rng, &max));
            let expected = model.ranks(|row| min.admits_from_below(&row.1) && max.admits_from_above(&row.1));
            for ranks in [zset.lex_range(min, max), zset.lex_range_down(min, max)] {
                assert_eq!(ranks.len(), expected.len(), "{context} {min:?} {max:?}");
                assert_eq!(rows(zset.range(ranks)), expected, "{context} {min:?} {max:?}");
            }
        }

        let (mut cursor, mut seen) = (0, BTreeMap::new());
        loop {
            cursor = zset.scan(cursor, 7, |member, score| {
                assert!(seen.insert(member.to_vec(), score).is_none(), "{context}: shown twice");
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen, model.0.iter().map(|(score, member)| (member.clone(), *score)).collect());

        let wanted = rng.index(len + 3);
        let mut sampled = Vec::new();
        zset.sample(wanted, rng, |member, score| sampled.push((score, member.to_vec())));
        assert_eq!(sampled.len(), wanted.min(len), "{context}");
        let mut sampled = sampled.iter();
        let mut next = sampled.next();
        for row in &model.0 {
            if next == Some(row) {
                next = sampled.next();
            }
        }
        assert_eq!(next, None, "{context}: a sample is members in order");
        let random = zset.random(rng).map(|(member, score)| (score, member.to_vec()));
        assert_eq!(random.is_some(), len > 0);
        assert!(random.is_none_or(|row| model.0.contains(&row)));
    }

    /// Adding in order gives what inserting gives, in the same encoding, before and after every limit.
    #[test]
    fn pushed_members_are_inserted_members() {
        let limits = ZsetLimits { max_listpack_entries: 9, max_listpack_value: 12 };
        let mut large = 0;
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let mut model = Model::default();
            for _ in 0..rng.below(if seed % 2 == 0 { 16 } else { 2000 }) {
                let member = format!("{}{}", rng.below(900), "x".repeat(rng.index(3) * rng.index(7)));
                model.insert(member.as_bytes(), random_score(&mut rng, seed % 5 == 0));
            }
            let hint = if seed % 3 == 0 { model.0.len() } else { 0 };
            let mut pushed = Zset::with_hint(hint, 0, &limits, seed);
            let mut inserted = pushed.clone();
            for (score, member) in &model.0 {
                pushed.push_last(member, *score, &limits);
                inserted.insert(member, *score, &limits);
                assert_eq!(pushed.encoding(), inserted.encoding(), "seed {seed}");
            }
            large += usize::from(pushed.encoding() == ZsetEncoding::Skiplist);
            let context = format!("pushed, seed {seed}");
            for _ in 0..20 {
                compare(&pushed, &model, &mut rng, seed % 5 == 0, &context);
            }
        }
        assert!((20..180).contains(&large), "both encodings are met: {large}");
    }

    #[test]
    fn agrees_with_a_sorted_vector_at_every_step() {
        let unlimited = ZsetLimits { max_listpack_entries: usize::MAX, max_listpack_value: usize::MAX };
        for seed in 0..4 {
            for equal in [false, true] {
                assert!(!run(seed, unlimited, equal, 400));
                assert!(run(seed, ZsetLimits { max_listpack_entries: 0, ..unlimited }, equal, 400));
                assert!(run(seed, ZsetLimits { max_listpack_entries: 20, ..unlimited }, equal, 400));
                assert!(run(seed, ZsetLimits { max_listpack_value: 20, ..unlimited }, equal, 400));
            }
        }
    }

    #[test]
    fn large_sets_agree_with_a_sorted_vector() {
        let mut rng = Rng::new(5);
        let mut zset = Zset::new(5);
        let mut model = BTreeMap::new();
        for _ in 0..30_000 {
            let member = format!("m{}", rng.below(20_000)).into_bytes();
            if rng.below(4) == 0 {
                assert_eq!(zset.remove(&member), model.remove(&member));
            } else {
                let score = rng.below(5_000) as f64 / 4.0;
                zset.insert(&member, score, &ZsetLimits::default());
                model.insert(member, score);
            }
        }
        let mut sorted: Vec<_> = model.into_iter().map(|(member, score)| (score, member)).collect();
        sorted.sort_by(|a, b| a.partial_cmp(b).expect("no NaN"));
        assert_eq!(rows(zset.iter()), sorted);
        for (rank, (score, member)) in sorted.iter().enumerate() {
            assert_eq!(zset.rank_and_score(member), Some((rank, *score)));
        }
        let removed = zset.remove_range(100..sorted.len() - 100, |_, _| ());
        assert_eq!(removed, sorted.len() - 200);
        sorted.drain(100..sorted.len() - 100);
        assert_eq!(rows(zset.iter()), sorted);
    }

    #[test]
    fn packed_bytes_are_those_of_redis() {
        // What Redis 8.0 answers to DUMP of these, less its frame.
        let mut zset = Zset::new(0);
        for (member, score) in [
            ("a", -0.0),
            ("b", 1.5),
            ("c", f64::NEG_INFINITY),
            ("12", f64::INFINITY),
            ("long member", 1e20),
            ("-7", 4611686018427387904.0),
            ("e", 9007199254740993.0),
            ("f", 0.1),
            ("g", 3.0),
            ("h", 1e-7),
            // Beyond half an i64, the text is made first and found to be an integer then, another one.
            ("i", 4611686018427388928.0),
            ("j", 5e18),
        ] {
            zset.insert(member.as_bytes(), score, &ZsetLimits::default());
        }
        let listpack = zset.as_listpack().expect("a small set");
        let expected =
            b"\x7f\0\0\0\x18\0\x81c\x02\x84-inf\x05\x81a\x02\0\x01\x81h\x02\x841e-7\x05\x81f\x02\x830.1\x04\
            \x81b\x02\x831.5\x04\x81g\x02\x03\x01\x81e\x02\xf4\0\0\0\0\0\0\x20\0\x09\xdf\xf9\x02\
            \xf4\0\0\0\0\0\0\0\x40\x09\x81i\x02\xf4\x48\x04\0\0\0\0\0\x40\x09\
            \x81j\x02\x855e+18\x06\x8blong member\x0c\x851e+20\x06\x0c\x01\x83inf\x04\xff";
        assert_eq!(listpack.as_bytes().escape_ascii().to_string(), expected.escape_ascii().to_string());

        let again = Zset::from_listpack(listpack.clone(), &ZsetLimits::default(), 0).expect("it is valid");
        assert_eq!(rows(again.iter()), rows(zset.iter()));
        let few = ZsetLimits { max_listpack_entries: 11, ..ZsetLimits::default() };
        let again = Zset::from_listpack(listpack.clone(), &few, 0).expect("it is valid");
        assert_eq!(again.encoding(), ZsetEncoding::Skiplist);
        assert_eq!(rows(again.iter()), rows(zset.iter()));
    }

    #[test]
    fn foreign_listpacks_are_checked() {
        let zset = |items: &[&str]| {
            let listpack = items.iter().map(|item| item.as_bytes()).collect();
            Zset::from_listpack(listpack, &ZsetLimits::default(), 0)
        };
        assert!(zset(&[]).is_some());
        assert!(zset(&["a", "1", "b", "1", "c", "1e300"]).is_some());
        assert!(zset(&["a", "1", "b"]).is_none(), "no score");
        assert!(zset(&["a", "x"]).is_none(), "not a number");
        assert!(zset(&["a", "nan"]).is_none(), "not a number");
        assert!(zset(&["a", "1", "a", "2"]).is_none(), "twice");
        assert!(zset(&["a", "2", "b", "1"]).is_none(), "descending");
        assert!(zset(&["b", "1", "a", "1"]).is_none(), "descending");
    }

    #[test]
    fn zero_and_minus_zero_are_one_score() {
        for entries in [0, 128] {
            let limits = ZsetLimits { max_listpack_entries: entries, ..ZsetLimits::default() };
            let mut zset = Zset::new(0);
            zset.insert(b"a", -0.0, &limits);
            assert_eq!(zset.insert(b"a", 0.0, &limits), Inserted::Same);
            let stored = zset.score(b"a").expect("it was added");
            assert_eq!(stored.is_sign_negative(), entries == 0, "a listpack stores an integer");
            zset.insert(b"b", 0.0, &limits);
            assert_eq!(zset.rank(b"b"), Some(1));
            assert_eq!(zset.score_range(ScoreBound::Incl(0.0), ScoreBound::Incl(-0.0)), 0..2);
            assert_eq!(zset.score_range(ScoreBound::Excl(-0.0), ScoreBound::Incl(1.0)), 2..2);
        }
    }

    /// A set of these members, inserted one after the other.
    fn scored<M: AsRef<[u8]>>(
        members: impl IntoIterator<Item = (M, f64)>,
        limits: &ZsetLimits,
        seed: u64,
    ) -> Zset {
        let mut zset = Zset::new(seed);
        for (member, score) in members {
            zset.insert(member.as_ref(), score, limits);
        }
        zset
    }

    #[test]
    fn the_limits_choose_the_encoding() {
        let limits = ZsetLimits { max_listpack_entries: 3, max_listpack_value: 4 };
        let encoding = |zset: Zset| zset.encoding().name();
        assert_eq!(encoding(Zset::new(0)), "listpack");
        assert_eq!(encoding(Zset::with_hint(3, 4, &limits, 0)), "listpack");
        assert_eq!(encoding(Zset::with_hint(4, 1, &limits, 0)), "skiplist");
        assert_eq!(encoding(Zset::with_hint(1, 5, &limits, 0)), "skiplist");
        let some =
            |members: &[&str]| encoding(scored(members.iter().map(|member| (member, 1.0)), &limits, 0));
        assert_eq!(some(&["a", "b", "c", "a", "b"]), "listpack");
        assert_eq!(some(&["a", "b", "c", "d"]), "skiplist");
        assert_eq!(some(&["a", "bcdef"]), "skiplist");

        let mut zset = scored([("a", 1.0), ("b", 1.0), ("c", 1.0)], &limits, 0);
        zset.insert(b"c", 7.0, &limits);
        assert_eq!(zset.encoding(), ZsetEncoding::Listpack, "an update needs no room");
        zset.insert(b"d", 7.0, &limits);
        assert_eq!(zset.encoding(), ZsetEncoding::Skiplist);
        zset.remove_range(0..4, |_, _| ());
        assert_eq!(zset.encoding(), ZsetEncoding::Skiplist, "there is no way back");
    }

    #[test]
    fn lexical_ranges_of_unequal_scores_are_walks_as_in_redis() {
        let members = ["m", "c", "x", "a", "f", "z"];
        let rising = members.iter().enumerate().map(|(at, member)| (member, at as f64));
        let zset = scored(rising, &ZsetLimits::default(), 0);
        let show = |ranks| -> String {
            zset.range(ranks).map(|(member, _)| String::from_utf8_lossy(&member).into_owned()).collect()
        };
        use LexBound::{Excl, Incl, Max, Min};
        // Upwards, downwards: the answers of Redis 8.0.
        for (min, max, up, down) in [
            (Incl(&b"c"[..]), Incl(&b"f"[..]), "", ""),
            (Min, Max, "mcxafz", "mcxafz"),
            (Incl(b"n"), Max, "xafz", "z"),
            (Min, Incl(b"e"), "", ""),
            (Excl(b"a"), Incl(b"z"), "mcxafz", "fz"),
            (Incl(b"f"), Incl(b"c"), "", ""),
            (Incl(b"b"), Incl(b"m"), "mc", "f"),
            (Incl(b"g"), Excl(b"x"), "mc", ""),
            (Incl(b"a"), Excl(b"m"), "", ""),
            (Incl(b"y"), Max, "z", "z"),
        ] {
            assert_eq!(show(zset.lex_range(min, max)), up, "{min:?} {max:?}");
            assert_eq!(show(zset.lex_range_down(min, max)), down, "{min:?} {max:?}");
        }
    }

    #[test]
    fn samples_reach_every_member() {
        for limits in [ZsetLimits::default(), ZsetLimits { max_listpack_entries: 0, max_listpack_value: 64 }]
        {
            let zset = scored((0..10).map(|n| (n.to_string(), f64::from(n))), &limits, 0);
            let mut rng = Rng::new(3);
            let mut seen = [0; 10];
            for _ in 0..1000 {
                zset.sample(3, &mut rng, |_, score| seen[score as usize] += 1);
            }
            assert_eq!(seen.iter().sum::<i32>(), 3000);
            assert!(seen.iter().all(|times| (200..400).contains(times)), "{seen:?}");
        }
    }

    #[test]
    fn can_move_to_another_thread() {
        fn moves<T: Send + 'static>() {}
        moves::<Zset>();
    }
}
