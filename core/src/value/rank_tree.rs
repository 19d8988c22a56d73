//! An order-statistic B+tree: handles in the order of (score, key bytes), with O(log n) rank and select.
//!
//! The tree owns scores and handles. The bytes behind a handle belong to somebody else and are lent to each operation
//! that may have to break a tie between equal scores ([`Keys`]). Handles of entries in the tree must stay valid and
//! their bytes unchanged. Who inserts guarantees that no equal (score, key) is present, and that no score is NaN.
//!
//! ```text
//!            inner: [first score ×FAN][first handle ×FAN][count ×FAN][child ×FAN]    first = smallest entry below
//!              /                |                \
//!  leaf <-> leaf <-> leaf <-> leaf <-> leaf      leaf: [score ×LEAF][handle ×LEAF]
//! ```
//!
//! Nodes are structures of arrays, so that a descent is one counting loop over packed `f64`s per level, which vectorises;
//! keys are only read where scores are equal. Nodes live in arenas ([`Arena`]) that grow chunk by chunk and never move
//! what they hold all at once: no insertion pays for the size of the tree.
//!
//! Invariants, checked by `check` in the tests:
//! - entries ascend strictly within and across leaves; leaves are linked in that order;
//! - the first score, first handle and count an inner node holds for a child are exactly those of the child;
//! - every node is at least half full, except on the left and the right edge of the tree. There nodes are only
//!   non-empty, because an overflow at an end leaves the full node whole: ascending and descending insertion fill
//!   their leaves completely.
//!
//! Every operation is O(log n), iteration O(1) a step, removal of a range O(log n) a leaf.

use std::ops::{Index, IndexMut};

/// Names an entry; what it names is the business of [`Keys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Handle(pub u32);

/// The bytes behind handles.
pub trait Keys {
    fn key(&self, handle: Handle) -> &[u8];
}

/// The tree. `LEAF` entries a leaf and `FAN` children an inner node at most; tests shrink both to grow tall trees.
#[derive(Clone)]
pub struct RankTree<const LEAF: usize = 32, const FAN: usize = 32> {
    leaves: Arena<Leaf<LEAF>>,
    inners: Arena<Inner<FAN>>,
    root: u32,
    /// Levels of inner nodes; at 0 the root is a leaf.
    height: usize,
    len: usize,
}

#[derive(Clone, Copy)]
struct Leaf<const LEAF: usize> {
    scores: [f64; LEAF],
    handles: [Handle; LEAF],
    len: u32,
    prev: u32,
    next: u32,
}

#[derive(Clone, Copy)]
struct Inner<const FAN: usize> {
    scores: [f64; FAN],
    handles: [Handle; FAN],
    counts: [u32; FAN],
    children: [u32; FAN],
    len: u32,
}

/// Where an entry is: a leaf and an index in it.
#[derive(Clone, Copy)]
struct Position {
    leaf: u32,
    index: usize,
}

/// The inner nodes from the root to above a leaf, each with the index of the child taken.
struct Path {
    steps: [(u32, u32); MAX_HEIGHT],
}

/// Where a full node is cut: at an end of the tree the full side stays whole.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    First,
    Middle,
    Last,
}

const NONE: u32 = u32::MAX;

/// More than u32 handles can need, even with the two-children nodes of tests.
const MAX_HEIGHT: usize = 32;

impl<const LEAF: usize, const FAN: usize> Default for RankTree<LEAF, FAN> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const LEAF: usize, const FAN: usize> RankTree<LEAF, FAN> {
    const SIZES: () = assert!(LEAF >= 2 && FAN >= 4, "half an inner node must have a sibling for each child");

    pub fn new() -> Self {
        let () = Self::SIZES;
        let mut leaves = Arena::new();
        let root = leaves.add(Leaf::new(NONE, NONE));
        Self { leaves, inners: Arena::new(), root, height: 0, len: 0 }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds an entry. Nothing with this score and these bytes may be in the tree.
    pub fn insert(&mut self, score: f64, handle: Handle, keys: &impl Keys) {
        debug_assert!(!score.is_nan());
        let key = keys.key(handle);
        let (path, at) = self.descend(|scores, handles| leading(scores, handles, score, key, keys));
        self.insert_at(&path, at, score, handle);
    }

    /// Adds an entry that comes after all others.
    pub fn push_last(&mut self, score: f64, handle: Handle, keys: &impl Keys) {
        debug_assert!(
            self.len
                .checked_sub(1)
                .and_then(|rank| self.select(rank))
                .is_none_or(|(last, last_handle)| last < score
                    || last == score && keys.key(last_handle) < keys.key(handle))
        );
        let (path, at) = self.descend(|scores, _| scores.len());
        self.insert_at(&path, at, score, handle);
    }

    fn insert_at(&mut self, path: &Path, at: Position, score: f64, handle: Handle) {
        self.len += 1;
        let leaf = &mut self.leaves[at.leaf];
        if (leaf.len as usize) < LEAF {
            leaf.insert(at.index, score, handle);
            self.entered(path, self.height, 1, (at.index == 0).then_some((score, handle)));
            return;
        }
        let cut = if at.index == LEAF && leaf.next == NONE {
            Cut::Last
        } else if at.index == 0 && leaf.prev == NONE {
            Cut::First
        } else {
            Cut::Middle
        };
        let mut right = leaf.cut(cut);
        let next = leaf.next;
        right.prev = at.leaf;
        right.next = next;
        let left_len = leaf.len as usize;
        if at.index < left_len || cut == Cut::First {
            leaf.insert(at.index, score, handle);
        } else {
            right.insert(at.index - left_len, score, handle);
        }
        let (first, count) = ((leaf.scores[0], leaf.handles[0]), leaf.len);
        let right_first = (right.scores[0], right.handles[0]);
        let right_count = right.len;
        let id = self.leaves.add(right);
        self.leaves[at.leaf].next = id;
        if next != NONE {
            self.leaves[next].prev = id;
        }
        self.divided(path, first, count, Child { first: right_first, count: right_count, id }, cut);
    }

    /// Removes an entry.
    pub fn remove(&mut self, score: f64, handle: Handle, keys: &impl Keys) {
        let key = keys.key(handle);
        let (path, mut at) = self.descend(|scores, handles| leading(scores, handles, score, key, keys));
        at.index -= 1;
        debug_assert!(self.leaves[at.leaf].handles[at.index] == handle);
        self.remove_run(&path, at, 1);
    }

    /// Changes the score of an entry.
    pub fn update(&mut self, handle: Handle, old: f64, new: f64, keys: &impl Keys) {
        debug_assert!(!new.is_nan());
        let key = keys.key(handle);
        let (path, mut at) = self.descend(|scores, handles| leading(scores, handles, old, key, keys));
        at.index -= 1;
        debug_assert!(self.leaves[at.leaf].handles[at.index] == handle);
        // Between its neighbours' scores the entry may stay where it is.
        let after_before = self.before(at).is_none_or(|score| score < new);
        if after_before && self.after(at).is_none_or(|score| new < score) {
            self.leaves[at.leaf].scores[at.index] = new;
            if at.index == 0 {
                self.entered(&path, self.height, 0, Some((new, handle)));
            }
            return;
        }
        self.remove_run(&path, at, 1);
        self.insert(new, handle, keys);
    }

    /// The number of entries before this one.
    pub fn rank(&self, score: f64, handle: Handle, keys: &impl Keys) -> usize {
        let key = keys.key(handle);
        self.count_leading(|scores, handles| leading(scores, handles, score, key, keys)) - 1
    }

    /// The number of entries with lower scores.
    pub fn count_below(&self, bound: f64) -> usize {
        self.count_leading(|scores, _| scores.iter().filter(|score| **score < bound).count())
    }

    /// The number of entries with lower or equal scores.
    pub fn count_upto(&self, bound: f64) -> usize {
        self.count_leading(|scores, _| scores.iter().filter(|score| **score <= bound).count())
    }

    /// The number of entries whose keys fulfil `lower`, which must hold for a prefix of the entries.
    pub fn count_keys(&self, keys: &impl Keys, lower: impl Fn(&[u8]) -> bool) -> usize {
        self.count_leading(|_, handles| handles.partition_point(|handle| lower(keys.key(*handle))))
    }

    /// The entry at `rank`.
    pub fn select(&self, rank: usize) -> Option<(f64, Handle)> {
        (rank < self.len).then(|| {
            let Position { leaf, index } = self.position(rank);
            let leaf = &self.leaves[leaf];
            (leaf.scores[index], leaf.handles[index])
        })
    }

    /// The entries with these ranks; `start <= end <= len`.
    pub fn range(&self, start: usize, end: usize) -> Iter<'_, LEAF, FAN> {
        debug_assert!(start <= end && end <= self.len);
        Iter { tree: self, start, end, front: None, back: None }
    }

    /// Removes the entries with the ranks from `start` to `end`, as far as they are in the leaf of the first. Shows them
    /// to `removed` and returns how many they were: at least one, if the range is not empty.
    pub fn remove_some(&mut self, start: usize, end: usize, mut removed: impl FnMut(f64, Handle)) -> usize {
        debug_assert!(start <= end && end <= self.len);
        if start == end {
            return 0;
        }
        let (path, at) = self.descend_to(start);
        let leaf = &self.leaves[at.leaf];
        let run = (end - start).min(leaf.len as usize - at.index);
        for index in at.index..at.index + run {
            removed(leaf.scores[index], leaf.handles[index]);
        }
        self.remove_run(&path, at, run);
        run
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.leaves.memory() + self.inners.memory()
    }

    /// Descends by a function that counts the leading entries on the near side of what is sought, of a leaf or of the
    /// firsts in an inner node. The position is behind the last near entry.
    fn descend(&self, leading: impl Fn(&[f64], &[Handle]) -> usize) -> (Path, Position) {
        let mut path = Path { steps: [(0, 0); MAX_HEIGHT] };
        let mut id = self.root;
        for step in &mut path.steps[..self.height] {
            let inner = &self.inners[id];
            let index = leading(inner.scores(), inner.handles()).saturating_sub(1);
            *step = (id, index as u32);
            id = inner.children[index];
        }
        let leaf = &self.leaves[id];
        (path, Position { leaf: id, index: leading(leaf.scores(), leaf.handles()) })
    }

    fn descend_to(&self, rank: usize) -> (Path, Position) {
        debug_assert!(rank < self.len);
        let mut path = Path { steps: [(0, 0); MAX_HEIGHT] };
        let (mut id, mut rest) = (self.root, rank);
        for step in &mut path.steps[..self.height] {
            let inner = &self.inners[id];
            let index = inner.child_with(&mut rest);
            *step = (id, index as u32);
            id = inner.children[index];
        }
        (path, Position { leaf: id, index: rest })
    }

    fn position(&self, rank: usize) -> Position {
        debug_assert!(rank < self.len);
        let (mut id, mut rest) = (self.root, rank);
        for _ in 0..self.height {
            let inner = &self.inners[id];
            id = inner.children[inner.child_with(&mut rest)];
        }
        Position { leaf: id, index: rest }
    }

    fn count_leading(&self, leading: impl Fn(&[f64], &[Handle]) -> usize) -> usize {
        let (mut id, mut count) = (self.root, 0);
        for _ in 0..self.height {
            let inner = &self.inners[id];
            let Some(index) = leading(inner.scores(), inner.handles()).checked_sub(1) else { return count };
            count += inner.counts[..index].iter().map(|count| *count as usize).sum::<usize>();
            id = inner.children[index];
        }
        let leaf = &self.leaves[id];
        count + leading(leaf.scores(), leaf.handles())
    }

    /// The score of the entry before `at`.
    fn before(&self, at: Position) -> Option<f64> {
        let leaf = &self.leaves[at.leaf];
        if at.index > 0 {
            return Some(leaf.scores[at.index - 1]);
        }
        (leaf.prev != NONE).then(|| *self.leaves[leaf.prev].scores().last().expect("leaves are not empty"))
    }

    /// The score of the entry after `at`.
    fn after(&self, at: Position) -> Option<f64> {
        let leaf = &self.leaves[at.leaf];
        if at.index + 1 < leaf.len as usize {
            return Some(leaf.scores[at.index + 1]);
        }
        (leaf.next != NONE).then(|| self.leaves[leaf.next].scores[0])
    }

    /// Tells the first `levels` nodes of the path that the subtree taken has `added` more entries, and what its first
    /// entry is now, if that changed.
    fn entered(&mut self, path: &Path, levels: usize, added: u32, mut first: Option<(f64, Handle)>) {
        for &(id, index) in path.steps[..levels].iter().rev() {
            let inner = &mut self.inners[id];
            let index = index as usize;
            inner.counts[index] += added;
            if let Some((score, handle)) = first {
                inner.scores[index] = score;
                inner.handles[index] = handle;
                if index > 0 {
                    first = None;
                }
            }
        }
    }

    /// A node at the end of `path` was cut, after an insertion, into one with this first entry and count, and `right`.
    /// Puts `right` beside it, cutting further nodes as needed.
    fn divided(&mut self, path: &Path, mut first: (f64, Handle), mut count: u32, mut right: Child, cut: Cut) {
        for level in (0..self.height).rev() {
            let (id, index) = path.steps[level];
            let index = index as usize;
            let inner = &mut self.inners[id];
            (inner.scores[index], inner.handles[index]) = first;
            inner.counts[index] = count;
            if (inner.len as usize) < FAN {
                inner.insert(index + 1, right);
                let first = (index == 0).then_some(first);
                self.entered(path, level, 1, first);
                return;
            }
            let mut other = inner.cut(cut);
            let left_len = inner.len as usize;
            if cut == Cut::Middle && index < left_len {
                inner.insert(index + 1, right);
            } else {
                other.insert(index + 1 - left_len, right);
            }
            first = (inner.scores[0], inner.handles[0]);
            count = inner.total();
            right = Child { first: (other.scores[0], other.handles[0]), count: other.total(), id: 0 };
            right.id = self.inners.add(other);
        }
        let mut root = Inner::new();
        root.insert(0, Child { first, count, id: self.root });
        root.insert(1, right);
        self.root = self.inners.add(root);
        self.height += 1;
        debug_assert!(self.height <= MAX_HEIGHT);
    }

    /// Removes `run` entries of one leaf and mends the tree above.
    fn remove_run(&mut self, path: &Path, at: Position, run: usize) {
        self.len -= run;
        if self.len == 0 {
            *self = Self::new();
            return;
        }
        let leaf = &mut self.leaves[at.leaf];
        leaf.remove(at.index, run);
        let mut len = leaf.len as usize;
        let mut first = (leaf.scores[0], leaf.handles[0]);
        let (prev, next) = (leaf.prev, leaf.next);
        let mut least = LEAF / 2;
        for level in (0..self.height).rev() {
            let (id, index) = path.steps[level];
            let index = index as usize;
            let is_leaf = level + 1 == self.height;
            let inner = &mut self.inners[id];
            inner.counts[index] -= run as u32;
            if len == 0 {
                let child = inner.children[index];
                inner.remove(index);
                if is_leaf {
                    self.link(prev, next);
                    self.leaves.remove(child);
                } else {
                    self.inners.remove(child);
                }
            } else {
                (inner.scores[index], inner.handles[index]) = first;
                if len < least && inner.len > 1 {
                    let left = index.saturating_sub(1);
                    if is_leaf {
                        self.balance_leaves(id, left);
                    } else {
                        self.balance_inners(id, left);
                    }
                }
            }
            let inner = &self.inners[id];
            len = inner.len as usize;
            first = (inner.scores[0], inner.handles[0]);
            least = FAN / 2;
        }
        while self.height > 0 && self.inners[self.root].len == 1 {
            let child = self.inners[self.root].children[0];
            self.inners.remove(self.root);
            self.root = child;
            self.height -= 1;
        }
    }

    fn link(&mut self, prev: u32, next: u32) {
        if prev != NONE {
            self.leaves[prev].next = next;
        }
        if next != NONE {
            self.leaves[next].prev = prev;
        }
    }

    /// Merges the leaves `left` and `left + 1` of an inner node if one can hold all, or else shares evenly.
    fn balance_leaves(&mut self, parent: u32, left: usize) {
        let inner = &mut self.inners[parent];
        let (left_id, right_id) = (inner.children[left], inner.children[left + 1]);
        let mut right = self.leaves[right_id];
        let leaf = &mut self.leaves[left_id];
        let total = (leaf.len + right.len) as usize;
        if total <= LEAF {
            leaf.take_front(&mut right, total - leaf.len as usize);
            inner.counts[left] = leaf.len;
            inner.remove(left + 1);
            self.link(left_id, right.next);
            self.leaves.remove(right_id);
            return;
        }
        let half = total / 2;
        match half.checked_sub(leaf.len as usize) {
            Some(few) => leaf.take_front(&mut right, few),
            None => right.take_back(leaf, leaf.len as usize - half),
        }
        inner.counts[left] = leaf.len;
        inner.counts[left + 1] = right.len;
        (inner.scores[left + 1], inner.handles[left + 1]) = (right.scores[0], right.handles[0]);
        self.leaves[right_id] = right;
    }

    /// As [`RankTree::balance_leaves`], a level or more higher.
    fn balance_inners(&mut self, parent: u32, left: usize) {
        let (left_id, right_id) =
            (self.inners[parent].children[left], self.inners[parent].children[left + 1]);
        let mut right = self.inners[right_id];
        let node = &mut self.inners[left_id];
        let total = (node.len + right.len) as usize;
        if total <= FAN {
            node.take_front(&mut right, total - node.len as usize);
            let count = node.total();
            let inner = &mut self.inners[parent];
            inner.counts[left] = count;
            inner.remove(left + 1);
            self.inners.remove(right_id);
            return;
        }
        let half = total / 2;
        match half.checked_sub(node.len as usize) {
            Some(few) => node.take_front(&mut right, few),
            None => right.take_back(node, node.len as usize - half),
        }
        let count = node.total();
        let inner = &mut self.inners[parent];
        inner.counts[left] = count;
        inner.counts[left + 1] = right.total();
        (inner.scores[left + 1], inner.handles[left + 1]) = (right.scores[0], right.handles[0]);
        self.inners[right_id] = right;
    }
}

/// The number of leading entries lower than or equal to (score, key).
#[inline]
fn leading(scores: &[f64], handles: &[Handle], score: f64, key: &[u8], keys: &impl Keys) -> usize {
    let upto = scores.iter().filter(|other| **other <= score).count();
    if upto == 0 || scores[upto - 1] < score {
        return upto;
    }
    let below = scores[..upto].iter().filter(|other| **other < score).count();
    below + handles[below..upto].partition_point(|handle| keys.key(*handle) <= key)
}

/// Entries of a range of ranks, from both ends.
pub struct Iter<'a, const LEAF: usize = 32, const FAN: usize = 32> {
    tree: &'a RankTree<LEAF, FAN>,
    start: usize,
    end: usize,
    /// The positions of the ranks `start` and `end - 1`, known after the first step from that end.
    front: Option<Position>,
    back: Option<Position>,
}

impl<const LEAF: usize, const FAN: usize> Clone for Iter<'_, LEAF, FAN> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<const LEAF: usize, const FAN: usize> Iterator for Iter<'_, LEAF, FAN> {
    type Item = (f64, Handle);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.start == self.end {
            return None;
        }
        let at = match self.front {
            Some(at) => at,
            None => self.tree.position(self.start),
        };
        self.start += 1;
        let leaf = &self.tree.leaves[at.leaf];
        self.front = Some(if at.index + 1 < leaf.len as usize {
            Position { index: at.index + 1, ..at }
        } else {
            Position { leaf: leaf.next, index: 0 }
        });
        Some((leaf.scores[at.index], leaf.handles[at.index]))
    }

    /// Within the leaf a step, beyond it a descent.
    fn nth(&mut self, count: usize) -> Option<Self::Item> {
        if count >= self.end - self.start {
            self.start = self.end;
            return None;
        }
        self.start += count;
        self.front = self.front.and_then(|at| {
            let index = at.index + count;
            (index < self.tree.leaves[at.leaf].len as usize).then_some(Position { index, ..at })
        });
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.end - self.start, Some(self.end - self.start))
    }
}

impl<const LEAF: usize, const FAN: usize> DoubleEndedIterator for Iter<'_, LEAF, FAN> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.start == self.end {
            return None;
        }
        self.end -= 1;
        let at = match self.back {
            // An index behind the end stands for the last entry: the leaf's length is read when it is needed.
            Some(at) if at.index == usize::MAX => {
                Position { index: self.tree.leaves[at.leaf].len as usize - 1, ..at }
            }
            Some(at) => at,
            None => self.tree.position(self.end),
        };
        let leaf = &self.tree.leaves[at.leaf];
        self.back = Some(match at.index {
            0 => Position { leaf: leaf.prev, index: usize::MAX },
            index => Position { index: index - 1, ..at },
        });
        Some((leaf.scores[at.index], leaf.handles[at.index]))
    }
}

impl<const LEAF: usize, const FAN: usize> ExactSizeIterator for Iter<'_, LEAF, FAN> {}

impl<const LEAF: usize> Leaf<LEAF> {
    fn new(prev: u32, next: u32) -> Self {
        Self { scores: [0.0; LEAF], handles: [Handle(0); LEAF], len: 0, prev, next }
    }

    fn scores(&self) -> &[f64] {
        &self.scores[..self.len as usize]
    }

    fn handles(&self) -> &[Handle] {
        &self.handles[..self.len as usize]
    }

    fn insert(&mut self, index: usize, score: f64, handle: Handle) {
        let len = self.len as usize;
        self.scores.copy_within(index..len, index + 1);
        self.handles.copy_within(index..len, index + 1);
        self.scores[index] = score;
        self.handles[index] = handle;
        self.len += 1;
    }

    fn remove(&mut self, index: usize, run: usize) {
        let len = self.len as usize;
        self.scores.copy_within(index + run..len, index);
        self.handles.copy_within(index + run..len, index);
        self.len -= run as u32;
    }

    /// Splits a full leaf; returns the upper part.
    fn cut(&mut self, cut: Cut) -> Self {
        let mut upper = Self::new(NONE, NONE);
        let at = match cut {
            Cut::First => 0,
            Cut::Middle => LEAF / 2,
            Cut::Last => LEAF,
        };
        upper.take_back(self, LEAF - at);
        upper
    }

    /// Appends the first `few` entries of the leaf to the right.
    fn take_front(&mut self, right: &mut Self, few: usize) {
        let len = self.len as usize;
        self.scores[len..len + few].copy_from_slice(&right.scores[..few]);
        self.handles[len..len + few].copy_from_slice(&right.handles[..few]);
        self.len += few as u32;
        right.remove(0, few);
    }

    /// Prepends the last `few` entries of the leaf to the left.
    fn take_back(&mut self, left: &mut Self, few: usize) {
        let (len, from) = (self.len as usize, left.len as usize - few);
        self.scores.copy_within(..len, few);
        self.handles.copy_within(..len, few);
        self.scores[..few].copy_from_slice(&left.scores[from..from + few]);
        self.handles[..few].copy_from_slice(&left.handles[from..from + few]);
        self.len += few as u32;
        left.len -= few as u32;
    }
}

/// What an inner node knows of a child.
#[derive(Clone, Copy)]
struct Child {
    first: (f64, Handle),
    count: u32,
    id: u32,
}

impl<const FAN: usize> Inner<FAN> {
    fn new() -> Self {
        Self { scores: [0.0; FAN], handles: [Handle(0); FAN], counts: [0; FAN], children: [0; FAN], len: 0 }
    }

    fn scores(&self) -> &[f64] {
        &self.scores[..self.len as usize]
    }

    fn handles(&self) -> &[Handle] {
        &self.handles[..self.len as usize]
    }

    fn total(&self) -> u32 {
        self.counts[..self.len as usize].iter().sum()
    }

    /// The child in which the entry at rank `rest` is; `rest` becomes its rank there.
    fn child_with(&self, rest: &mut usize) -> usize {
        let mut index = 0;
        while *rest >= self.counts[index] as usize {
            *rest -= self.counts[index] as usize;
            index += 1;
        }
        index
    }

    fn insert(&mut self, index: usize, child: Child) {
        let len = self.len as usize;
        self.scores.copy_within(index..len, index + 1);
        self.handles.copy_within(index..len, index + 1);
        self.counts.copy_within(index..len, index + 1);
        self.children.copy_within(index..len, index + 1);
        (self.scores[index], self.handles[index]) = child.first;
        self.counts[index] = child.count;
        self.children[index] = child.id;
        self.len += 1;
    }

    fn remove(&mut self, index: usize) {
        self.remove_run(index, 1);
    }

    fn remove_run(&mut self, index: usize, run: usize) {
        let len = self.len as usize;
        self.scores.copy_within(index + run..len, index);
        self.handles.copy_within(index + run..len, index);
        self.counts.copy_within(index + run..len, index);
        self.children.copy_within(index + run..len, index);
        self.len -= run as u32;
    }

    /// Splits a full node; returns the upper part. Neither part is empty where a child is about to be added behind the
    /// first (`Cut::First`) or the last (`Cut::Last`).
    fn cut(&mut self, cut: Cut) -> Self {
        let mut upper = Self::new();
        let at = match cut {
            Cut::First => 1,
            Cut::Middle => FAN / 2,
            Cut::Last => FAN,
        };
        upper.take_back(self, FAN - at);
        upper
    }

    fn take_front(&mut self, right: &mut Self, few: usize) {
        let len = self.len as usize;
        self.scores[len..len + few].copy_from_slice(&right.scores[..few]);
        self.handles[len..len + few].copy_from_slice(&right.handles[..few]);
        self.counts[len..len + few].copy_from_slice(&right.counts[..few]);
        self.children[len..len + few].copy_from_slice(&right.children[..few]);
        self.len += few as u32;
        right.remove_run(0, few);
    }

    fn take_back(&mut self, left: &mut Self, few: usize) {
        let (len, from) = (self.len as usize, left.len as usize - few);
        let upto = from + few;
        self.scores.copy_within(..len, few);
        self.handles.copy_within(..len, few);
        self.counts.copy_within(..len, few);
        self.children.copy_within(..len, few);
        self.scores[..few].copy_from_slice(&left.scores[from..upto]);
        self.handles[..few].copy_from_slice(&left.handles[from..upto]);
        self.counts[..few].copy_from_slice(&left.counts[from..upto]);
        self.children[..few].copy_from_slice(&left.children[from..upto]);
        self.len += few as u32;
        left.len -= few as u32;
    }
}

/// Nodes with stable numbers, in chunks: growing copies at most one chunk, and a chunk whose nodes are all gone is
/// given back.
struct Arena<T> {
    chunks: Vec<Chunk<T>>,
    /// Chunks with room, each once.
    roomy: Vec<u32>,
    /// Bytes of all `nodes`.
    allocated: usize,
}

#[derive(Clone)]
struct Chunk<T> {
    nodes: Vec<T>,
    vacant: Vec<u8>,
}

/// A node's number within its chunk is a `u8`.
const CHUNK: usize = 64;

impl<T: Copy> Arena<T> {
    fn new() -> Self {
        Self { chunks: Vec::new(), roomy: Vec::new(), allocated: 0 }
    }

    fn add(&mut self, node: T) -> u32 {
        if self.roomy.is_empty() {
            self.roomy.push(self.chunks.len() as u32);
            self.chunks.push(Chunk { nodes: Vec::new(), vacant: Vec::new() });
        }
        let number = *self.roomy.last().expect("filled above");
        let few = self.chunks.len() == 1;
        let chunk = &mut self.chunks[number as usize];
        let slot = match chunk.vacant.pop() {
            Some(slot) => {
                chunk.nodes[usize::from(slot)] = node;
                usize::from(slot)
            }
            None => {
                let (slot, capacity) = (chunk.nodes.len(), chunk.nodes.capacity());
                if slot == capacity {
                    let more = if few { slot / 4 + 1 } else { CHUNK };
                    chunk.nodes.reserve_exact(more.min(CHUNK - slot));
                    self.allocated += (chunk.nodes.capacity() - capacity) * size_of::<T>();
                }
                chunk.nodes.push(node);
                slot
            }
        };
        if chunk.nodes.len() == CHUNK && chunk.vacant.is_empty() {
            self.roomy.pop();
        }
        number * CHUNK as u32 + slot as u32
    }

    fn remove(&mut self, id: u32) {
        let number = id / CHUNK as u32;
        let chunk = &mut self.chunks[number as usize];
        if chunk.nodes.len() == CHUNK && chunk.vacant.is_empty() {
            self.roomy.push(number);
        }
        chunk.vacant.push((id % CHUNK as u32) as u8);
        if chunk.vacant.len() == chunk.nodes.len() {
            self.allocated -= chunk.nodes.capacity() * size_of::<T>();
            *chunk = Chunk { nodes: Vec::new(), vacant: Vec::new() };
        }
    }

    fn memory(&self) -> usize {
        self.allocated + self.chunks.capacity() * size_of::<Chunk<T>>()
    }
}

impl<T: Copy> Clone for Arena<T> {
    fn clone(&self) -> Self {
        let chunks = self.chunks.clone();
        let allocated = chunks.iter().map(|chunk| chunk.nodes.capacity() * size_of::<T>()).sum();
        Self { chunks, roomy: self.roomy.clone(), allocated }
    }
}

impl<T> Index<u32> for Arena<T> {
    type Output = T;

    #[inline]
    fn index(&self, id: u32) -> &T {
        &self.chunks[id as usize / CHUNK].nodes[id as usize % CHUNK]
    }
}

impl<T> IndexMut<u32> for Arena<T> {
    #[inline]
    fn index_mut(&mut self, id: u32) -> &mut T {
        &mut self.chunks[id as usize / CHUNK].nodes[id as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    impl Keys for Vec<Vec<u8>> {
        fn key(&self, handle: Handle) -> &[u8] {
            &self[handle.0 as usize]
        }
    }

    impl<const LEAF: usize, const FAN: usize> RankTree<LEAF, FAN> {
        /// Checks the invariants of the module's documentation and returns the entries in order.
        fn check(&self, keys: &impl Keys) -> Vec<(f64, Handle)> {
            let mut entries = Vec::new();
            let mut leaves = Vec::new();
            let count = self.check_node(self.root, self.height, true, true, &mut entries, &mut leaves);
            assert_eq!(count, self.len);
            assert_eq!(entries.len(), self.len);
            for pair in entries.windows(2) {
                let [(a, a_handle), (b, b_handle)] = [pair[0], pair[1]];
                assert!(a < b || a == b && keys.key(a_handle) < keys.key(b_handle), "entries ascend");
            }
            for (at, id) in leaves.iter().enumerate() {
                let leaf = &self.leaves[*id];
                assert_eq!(leaf.prev, if at == 0 { NONE } else { leaves[at - 1] });
                assert_eq!(leaf.next, leaves.get(at + 1).copied().unwrap_or(NONE));
            }
            assert_eq!(self.leaves.live(), leaves.len(), "no leaf is lost");
            assert_eq!(self.inners.live(), self.inners_below(self.root, self.height), "no node is lost");
            entries
        }

        fn check_node(
            &self,
            id: u32,
            height: usize,
            left_edge: bool,
            right_edge: bool,
            entries: &mut Vec<(f64, Handle)>,
            leaves: &mut Vec<u32>,
        ) -> usize {
            let edge = left_edge || right_edge;
            if height == 0 {
                let leaf = &self.leaves[id];
                assert!(leaf.len as usize >= LEAF / 2 || edge && (leaf.len > 0 || self.len == 0));
                leaves.push(id);
                entries.extend(leaf.scores().iter().copied().zip(leaf.handles().iter().copied()));
                return leaf.len as usize;
            }
            let inner = &self.inners[id];
            let len = inner.len as usize;
            assert!(len >= FAN / 2 || edge && len > 0);
            assert!(id != self.root || len > 1, "a root has something to choose");
            let mut total = 0;
            for index in 0..len {
                let at = entries.len();
                let (left, right) = (left_edge && index == 0, right_edge && index + 1 == len);
                let count = self.check_node(inner.children[index], height - 1, left, right, entries, leaves);
                assert_eq!(count, inner.counts[index] as usize);
                let (score, handle) = entries[at];
                assert_eq!(score.to_bits(), inner.scores[index].to_bits());
                assert_eq!(handle, inner.handles[index]);
                total += count;
            }
            total
        }

        fn inners_below(&self, id: u32, height: usize) -> usize {
            if height == 0 {
                return 0;
            }
            let inner = &self.inners[id];
            1 + inner.children[..inner.len as usize]
                .iter()
                .map(|child| self.inners_below(*child, height - 1))
                .sum::<usize>()
        }
    }

    impl<T: Copy> Arena<T> {
        fn live(&self) -> usize {
            let allocated: usize =
                self.chunks.iter().map(|chunk| chunk.nodes.capacity() * size_of::<T>()).sum();
            assert_eq!(allocated, self.allocated);
            self.chunks.iter().map(|chunk| chunk.nodes.len() - chunk.vacant.len()).sum()
        }
    }

    /// Where new scores come from.
    #[derive(Clone, Copy, Debug)]
    enum Scores {
        Random,
        Few,
        Equal,
        Ascending,
        Descending,
    }

    /// Runs random operations against a sorted vector; returns the greatest height met.
    fn run<const LEAF: usize, const FAN: usize>(seed: u64, kind: Scores, steps: u32, size: usize) -> usize {
        let mut rng = Rng::new(seed);
        let mut keys: Vec<Vec<u8>> = Vec::new();
        let mut tree: RankTree<LEAF, FAN> = RankTree::new();
        let mut model: Vec<(f64, Handle)> = Vec::new();
        let mut height = 0;
        let mut grows = true;
        for step in 0..steps {
            let score = match kind {
                Scores::Random => rng.below(1 << 40) as f64 - 1e9,
                Scores::Few => rng.below(7) as f64,
                Scores::Equal => 0.0,
                Scores::Ascending => f64::from(step),
                Scores::Descending => -f64::from(step),
            };
            let place = |model: &[(f64, Handle)], keys: &Vec<Vec<u8>>, score: f64, handle: Handle| {
                model.partition_point(|(other, other_handle)| {
                    *other < score || *other == score && keys.key(*other_handle) < keys.key(handle)
                })
            };
            if model.len() >= size {
                grows = false;
            } else if model.is_empty() {
                grows = true;
            }
            let dice = rng.below(10);
            if model.is_empty() || (grows && dice < 6) || (!grows && dice < 2) {
                let handle = Handle(keys.len() as u32);
                keys.push(format!("{:x}-{step}", rng.below(1 << 20)).into_bytes());
                let at = place(&model, &keys, score, handle);
                if at == model.len() && step.is_multiple_of(2) {
                    tree.push_last(score, handle, &keys);
                } else {
                    tree.insert(score, handle, &keys);
                }
                model.insert(at, (score, handle));
            } else if dice < 8 || (grows && dice < 9) {
                let (old, handle) = model.remove(rng.index(model.len()));
                if dice.is_multiple_of(2) {
                    tree.remove(old, handle, &keys);
                } else {
                    // Sometimes a small step, which may leave the entry where it is.
                    let near = dice == 7 && !matches!(kind, Scores::Equal);
                    let new = if near { old + 1e-3 } else { score };
                    tree.update(handle, old, new, &keys);
                    model.insert(place(&model, &keys, new, handle), (new, handle));
                }
            } else {
                let start = rng.index(model.len());
                let most = if grows { 3 } else { 3 * LEAF };
                let end = start + rng.index((model.len() - start).min(most)) + 1;
                let mut shown = Vec::new();
                while shown.len() < end - start {
                    let upto = end - shown.len();
                    let some = tree.remove_some(start, upto, |score, handle| shown.push((score, handle)));
                    assert!(some > 0);
                }
                assert_eq!(shown, model.drain(start..end).collect::<Vec<_>>());
            }
            if LEAF < 16 || step % 64 == 0 {
                assert_eq!(tree.check(&keys), model, "seed {seed} {kind:?} step {step}");
            }
            height = height.max(tree.height);

            let len = model.len();
            let start = rng.index(len + 1);
            let end = start + rng.index((len - start).min(4 * LEAF) + 1);
            if let Some(&(score, handle)) = model.get(start) {
                assert_eq!(tree.rank(score, handle, &keys), start);
                let below = model.partition_point(|(other, _)| *other < score);
                assert_eq!(tree.count_below(score), below);
                let upto = model.partition_point(|(other, _)| *other <= score);
                assert_eq!(tree.count_upto(score), upto);
                assert_eq!(tree.count_upto(score + 0.5), model.partition_point(|(o, _)| *o <= score + 0.5));
            }
            assert_eq!(tree.select(start), model.get(start).copied());
            if start < len {
                let mut both = tree.range(start, end);
                let (mut front, mut back) = (Vec::new(), Vec::new());
                while both.len() > 0 {
                    match rng.below(3) {
                        0 => front.extend(both.next()),
                        1 => back.extend(both.next_back()),
                        _ => {
                            let skip = rng.index(LEAF + 2);
                            let at = start + front.len();
                            let left = both.len();
                            assert_eq!(both.clone().nth(skip), (skip < left).then(|| model[at + skip]));
                        }
                    }
                }
                front.extend(back.into_iter().rev());
                assert_eq!(front, model[start..end]);
            }
            if matches!(kind, Scores::Equal) && start < len {
                let bound = keys.key(model[start].1).to_vec();
                assert_eq!(tree.count_keys(&keys, |key| key < &bound[..]), start);
                assert_eq!(tree.count_keys(&keys, |key| key <= &bound[..]), start + 1);
            }
        }
        height
    }

    #[test]
    fn agrees_with_a_sorted_vector_at_every_step() {
        use Scores::*;
        for kind in [Random, Few, Equal, Ascending, Descending] {
            for seed in 0..2 {
                assert!(run::<2, 4>(seed, kind, 800, 200) >= 3, "{kind:?}");
                assert!(run::<4, 4>(seed, kind, 800, 300) >= 3, "{kind:?}");
                assert!(run::<5, 7>(seed, kind, 800, 300) >= 2, "{kind:?}");
                run::<8, 8>(seed, kind, 800, 600);
            }
            assert!(run::<32, 32>(9, kind, 4000, 1500) >= 1);
        }
    }

    #[test]
    fn insertion_in_order_fills_leaves() {
        for sign in [1.0, -1.0] {
            let keys = vec![Vec::new(); 10_000];
            let mut tree: RankTree<8, 8> = RankTree::new();
            for number in 0..10_000u32 {
                tree.insert(sign * f64::from(number), Handle(number), &keys);
            }
            tree.check(&keys);
            assert_eq!(tree.leaves.live(), 10_000 / 8);
        }
    }

    #[test]
    fn an_emptied_tree_holds_next_to_nothing() {
        let keys = vec![Vec::new(); 100_000];
        let mut tree: RankTree = RankTree::new();
        let empty = tree.memory();
        for number in 0..100_000u32 {
            tree.insert(f64::from(number.wrapping_mul(2_654_435_769)), Handle(number), &keys);
        }
        let full = tree.memory();
        assert_eq!(tree.clone().check(&keys).len(), 100_000);
        while tree.len() > 100 {
            tree.remove_some(50, 51, |_, _| ());
        }
        assert!(tree.memory() < full / 4, "{full} bytes before, {} now", tree.memory());
        while tree.len() > 0 {
            tree.remove_some(0, 1, |_, _| ());
        }
        assert_eq!(tree.memory(), empty);
    }
}
