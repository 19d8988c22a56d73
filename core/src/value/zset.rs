//! Sorted sets: members in the order of (score, member bytes), each member once.
//!
//! Everything that names a part of a sorted set is turned into a range of ranks first ([`Zset::score_range`],
//! [`Zset::lex_range`]); counting is the length of that range, LIMIT is arithmetic on it, and one iterator and one
//! removal serve BYRANK, BYSCORE and BYLEX alike.

use std::cmp::Ordering;
use std::ops::{Deref, Range};

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

/// What [`Zset::insert`] did. `Same` covers 0 against -0: equal scores leave the stored one alone.
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

impl std::fmt::Debug for Member<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.escape_ascii())
    }
}

/// A sorted set. Scores are never NaN: who calls has checked.
#[derive(Clone, Debug)]
pub struct Zset {
    rows: Vec<(f64, Box<[u8]>)>,
    encoding: ZsetEncoding,
    seed: u64,
}

impl Zset {
    /// An empty set. `seed` keys the hash of the large encoding.
    pub fn new(seed: u64) -> Self {
        Self { rows: Vec::new(), encoding: ZsetEncoding::Listpack, seed }
    }

    /// An empty set about to receive up to `members` members, the first of them `member_len` bytes long: it starts
    /// in the encoding that would hold them, as ZADD on a missing key does.
    pub fn with_hint(members: usize, member_len: usize, limits: &ZsetLimits, seed: u64) -> Self {
        let mut zset = Self::new(seed);
        if members > limits.max_listpack_entries || member_len > limits.max_listpack_value {
            zset.encoding = ZsetEncoding::Skiplist;
        }
        zset
    }

    /// A set of these members; of a member given twice the last score stays. The encoding is the one the final
    /// contents ask for, as after ZUNIONSTORE and its like.
    pub fn from_scored<M: AsRef<[u8]>>(
        scored: impl IntoIterator<Item = (M, f64)>,
        limits: &ZsetLimits,
        seed: u64,
    ) -> Self {
        let unlimited = ZsetLimits { max_listpack_entries: usize::MAX, max_listpack_value: usize::MAX };
        let mut zset = Self::new(seed);
        let mut longest = 0;
        for (member, score) in scored {
            longest = longest.max(member.as_ref().len());
            zset.insert(member.as_ref(), score, &unlimited);
        }
        if zset.len() > limits.max_listpack_entries || longest > limits.max_listpack_value {
            zset.encoding = ZsetEncoding::Skiplist;
        }
        zset
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn encoding(&self) -> ZsetEncoding {
        self.encoding
    }

    /// The seed given at construction.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.rank(member).map(|rank| self.rows[rank].0)
    }

    /// Sets the score of `member`, which is added if it is missing; converts first if the limits ask for it.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &ZsetLimits) -> Inserted {
        debug_assert!(!score.is_nan());
        let inserted = match self.rank(member) {
            Some(rank) if self.rows[rank].0 == score => return Inserted::Same,
            Some(rank) => Inserted::Updated(self.rows.remove(rank).0),
            None => {
                if self.len() >= limits.max_listpack_entries || member.len() > limits.max_listpack_value {
                    self.encoding = ZsetEncoding::Skiplist;
                }
                Inserted::Added
            }
        };
        let at = self.rows.partition_point(|row| order(row, score, member) == Ordering::Less);
        self.rows.insert(at, (score, member.into()));
        inserted
    }

    /// Removes `member`; its score if it was there.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        self.rank(member).map(|rank| self.rows.remove(rank).0)
    }

    /// The number of members before `member`.
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        self.rows.iter().position(|row| *row.1 == *member)
    }

    /// The member at `rank`, counted from 0 in ascending order.
    pub fn select(&self, rank: usize) -> Option<(Member<'_>, f64)> {
        self.rows.get(rank).map(|(score, member)| (Member::Bytes(member), *score))
    }

    /// All members in ascending order.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0..self.len())
    }

    /// The members with these ranks, in ascending order; `.rev()` for descending. Ranks past the end are ignored.
    pub fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        let end = ranks.end.min(self.len());
        Iter { rows: self.rows[ranks.start.min(end)..end].iter() }
    }

    /// The ranks of the members with scores between the bounds.
    pub fn score_range(&self, min: ScoreBound, max: ScoreBound) -> Range<usize> {
        let start = self.rows.partition_point(|row| !min.admits_from_below(row.0));
        let end = self.rows.partition_point(|row| max.admits_from_above(row.0));
        start..end.max(start)
    }

    /// The ranks of the members between the bounds, as a walk upwards finds them. Meant for sets whose scores are
    /// all equal; in others the answer is some range, as in Redis.
    pub fn lex_range(&self, min: LexBound<'_>, max: LexBound<'_>) -> Range<usize> {
        let start = self.rows.partition_point(|row| !min.admits_from_below(&row.1));
        let end = self.rows.partition_point(|row| max.admits_from_above(&row.1));
        start..end.max(start)
    }

    /// As [`Zset::lex_range`], as a walk downwards finds them: the same ranks if all scores are equal.
    pub fn lex_range_down(&self, min: LexBound<'_>, max: LexBound<'_>) -> Range<usize> {
        self.lex_range(min, max)
    }

    /// Removes the members with these ranks, shows each to `removed`, and returns how many they were.
    pub fn remove_range(&mut self, ranks: Range<usize>, mut removed: impl FnMut(&[u8], f64)) -> usize {
        let end = ranks.end.min(self.len());
        let rows = self.rows.drain(ranks.start.min(end)..end);
        rows.map(|(score, member)| removed(&member, score)).count()
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

    /// One step of ZSCAN from `cursor` (0 begins): shows about `count` members to `visit` and returns the cursor of
    /// the next step, 0 at the end. Members that are there from the first step to the last are shown.
    pub fn scan(&self, _cursor: u64, _count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        self.iter().for_each(|(member, score)| visit(&member, score));
        0
    }

    /// Bytes of memory held, this struct itself not included.
    pub fn memory(&self) -> usize {
        let members: usize = self.rows.iter().map(|row| row.1.len()).sum();
        self.rows.capacity() * size_of::<(f64, Box<[u8]>)>() + members
    }
}

/// Members and scores of a range of ranks; see [`Zset::range`].
#[derive(Clone)]
pub struct Iter<'a> {
    rows: std::slice::Iter<'a, (f64, Box<[u8]>)>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Member<'a>, f64);

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next().map(|(score, member)| (Member::Bytes(member), *score))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.rows.next_back().map(|(score, member)| (Member::Bytes(member), *score))
    }
}

impl ExactSizeIterator for Iter<'_> {}

fn order(row: &(f64, Box<[u8]>), score: f64, member: &[u8]) -> Ordering {
    row.0.partial_cmp(&score).unwrap_or(Ordering::Equal).then_with(|| (*row.1).cmp(member))
}
