//! Lists: one listpack while small, a quicklist beyond.
//!
//! A quicklist is a deque of nodes. A *packed* node is a listpack with some of the elements; a *plain* node is one
//! element too large to be packed. Both ends are amortised O(1); an index costs a walk over node counts and one over
//! a node; changing the middle moves part of one node.
//!
//! Nodes are split, merged and filled by the rules of Redis 8.0, although no command shows nodes: a quicklist turns
//! back into a listpack only when a single packed node is left, and `OBJECT ENCODING` shows that. So the rules below
//! (when a node accepts an element, what a split leaves where, which neighbours merge) are observable, and so is that
//! a quicklist keeps the `list-max-listpack-size` of its creation while conversions follow the present one.
//!
//! An empty list may exist only within a command; the keyspace deletes it afterwards.

use super::listpack::{self, Item, Listpack};
use super::{Large, LargeString};
use std::collections::{VecDeque, vec_deque};

/// What decides about encodings: settings of the server, passed with every change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListLimits {
    /// `list-max-listpack-size`: a number of elements, or a class of bytes: -1 to -5 for 4, 8, 16, 32 and 64 KiB.
    pub max_listpack_size: i64,
    /// `DEBUG QUICKLIST-PACKED-THRESHOLD`: elements of so many bytes get plain nodes; 0 derives it from the above.
    pub packed_threshold: usize,
}

impl Default for ListLimits {
    fn default() -> ListLimits {
        ListLimits { max_listpack_size: -2, packed_threshold: 0 }
    }
}

/// What a limited number of elements may take at most.
const SAFETY_BYTES: usize = 8192;
/// The classes -1 to -5.
const CLASS_BYTES: [usize; 5] = [4096, 8192, 16384, 32768, 65536];
/// The most elements a quicklist's own limit can say.
const FILL_MAX: i64 = 32767;

impl ListLimits {
    /// The class of bytes, if the limit is one.
    fn class_bytes(&self) -> Option<usize> {
        let class = usize::try_from(self.max_listpack_size.checked_add(1)?.checked_neg()?).ok()?;
        Some(CLASS_BYTES[class.min(CLASS_BYTES.len() - 1)])
    }

    /// The most elements, if the limit is a number: at least one.
    fn max_count(&self) -> usize {
        usize::try_from(self.max_listpack_size).unwrap_or(usize::MAX).max(1)
    }

    /// Whether a listpack of so many bytes and elements is past the limit.
    fn exceeded(&self, bytes: usize, count: usize) -> bool {
        match self.class_bytes() {
            Some(class) => bytes > class,
            None => bytes > SAFETY_BYTES || count > self.max_count(),
        }
    }

    /// Whether an element is too large to be packed.
    fn is_large(&self, bytes: usize) -> bool {
        match (self.packed_threshold, self.class_bytes()) {
            (0, Some(class)) => bytes > class,
            (0, None) => bytes > SAFETY_BYTES,
            (threshold, _) => bytes >= threshold,
        }
    }
}

/// What `OBJECT ENCODING` calls the representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListEncoding {
    Listpack,
    Quicklist,
}

impl ListEncoding {
    pub fn name(self) -> &'static str {
        match self {
            ListEncoding::Listpack => "listpack",
            ListEncoding::Quicklist => "quicklist",
        }
    }
}

/// The left (front) or right (back) end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Front,
    Back,
}

/// A list of strings. See the module documentation.
#[derive(Clone, Debug)]
pub struct List {
    repr: Repr,
}

#[derive(Clone, Debug)]
enum Repr {
    Listpack(Listpack),
    Quicklist(Box<Quicklist>),
}

impl List {
    pub fn new() -> List {
        List { repr: Repr::Listpack(Listpack::new()) }
    }

    /// The list of `values`, encoded as a list that is built at once (SORT STORE) rather than pushed to.
    pub fn from_values<'v>(values: impl IntoIterator<Item = &'v [u8]>, limits: &ListLimits) -> List {
        let mut quicklist = Quicklist::new(limits);
        for value in values {
            quicklist.push(End::Back, value, limits);
        }
        let mut list = List { repr: Repr::Quicklist(Box::new(quicklist)) };
        list.pack_if_within(limits, 1);
        list
    }

    /// The list with these nodes, as a file stores them; empty listpacks are dropped.
    pub fn from_nodes(nodes: impl IntoIterator<Item = ListNode>, limits: &ListLimits) -> List {
        let mut quicklist = Quicklist::new(limits);
        quicklist.nodes.extend(nodes.into_iter().map(Node::from).filter(|node| node.len() > 0));
        quicklist.len = quicklist.nodes.iter().map(Node::len).sum();
        let mut list = List { repr: Repr::Quicklist(Box::new(quicklist)) };
        list.pack_if_within(limits, 1);
        list
    }

    /// The nodes as a file stores them: for a listpack the only one.
    pub fn nodes(&self) -> impl Iterator<Item = ListNodeRef<'_>> {
        let (pack, nodes) = match &self.repr {
            Repr::Listpack(pack) => (Some(ListNodeRef::Packed(pack)), vec_deque::Iter::default()),
            Repr::Quicklist(quicklist) => (None, quicklist.nodes.iter()),
        };
        pack.into_iter().chain(nodes.map(|node| match node {
            Node::Packed { pack, .. } => ListNodeRef::Packed(pack),
            Node::Plain(value) => ListNodeRef::Plain(value),
        }))
    }

    pub fn len(&self) -> usize {
        match &self.repr {
            Repr::Listpack(pack) => pack.len(),
            Repr::Quicklist(quicklist) => quicklist.len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn encoding(&self) -> ListEncoding {
        match &self.repr {
            Repr::Listpack(_) => ListEncoding::Listpack,
            Repr::Quicklist(_) => ListEncoding::Quicklist,
        }
    }

    /// Allocated bytes, without the struct itself. O(nodes).
    pub fn memory(&self) -> usize {
        match &self.repr {
            Repr::Listpack(pack) => pack.memory(),
            Repr::Quicklist(quicklist) => {
                let nodes: usize = quicklist.nodes.iter().map(Node::memory).sum();
                size_of::<Quicklist>() + quicklist.nodes.capacity() * size_of::<Node>() + nodes
            }
        }
    }

    // Both ends.

    pub fn push_front(&mut self, value: &[u8], limits: &ListLimits) {
        self.extend(End::Front, [value], limits);
    }

    pub fn push_back(&mut self, value: &[u8], limits: &ListLimits) {
        self.extend(End::Back, [value], limits);
    }

    /// Pushes the values one after the other. Whether the list outgrows a listpack is decided for all of them first.
    pub fn extend<'v, V>(&mut self, end: End, values: V, limits: &ListLimits)
    where
        V: IntoIterator<Item = &'v [u8]>,
        V::IntoIter: Clone,
    {
        let values = values.into_iter();
        if let Repr::Listpack(_) = &self.repr {
            let (count, bytes) = values.clone().fold((0, 0), |(n, sum), value| (n + 1, sum + value.len()));
            self.unpack_unless_within(limits, count, bytes);
        }
        match &mut self.repr {
            Repr::Listpack(pack) => match end {
                End::Front => values.for_each(|value| pack.push_front(value)),
                End::Back => values.for_each(|value| pack.push_back(value)),
            },
            Repr::Quicklist(quicklist) => values.for_each(|value| quicklist.push(end, value, limits)),
        }
    }

    /// Removes the first element after showing it to `take`; `None` if there is none.
    pub fn pop_front<R>(&mut self, limits: &ListLimits, take: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        self.pop(End::Front, limits, take)
    }

    /// Removes the last element after showing it to `take`; `None` if there is none.
    pub fn pop_back<R>(&mut self, limits: &ListLimits, take: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        self.pop(End::Back, limits, take)
    }

    /// Removes the element at one end after showing it to `take`; `None` if there is none.
    pub fn pop<R>(&mut self, end: End, limits: &ListLimits, take: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        match &mut self.repr {
            Repr::Listpack(pack) => pop_packed(pack, end, take),
            Repr::Quicklist(quicklist) => {
                let taken = quicklist.pop(end, take)?;
                self.pack_if_within(limits, 2);
                Some(taken)
            }
        }
    }

    /// Moves the element at one end to an end (LMOVE within a key) and returns it. Not the same as popping and
    /// pushing: the list is not tried for smaller encodings in between.
    pub fn rotate(&mut self, from: End, to: End, limits: &ListLimits) -> Option<Vec<u8>> {
        let value = match &mut self.repr {
            Repr::Listpack(pack) => pop_packed(pack, from, |item| item.to_vec()),
            Repr::Quicklist(quicklist) => quicklist.pop(from, |item| item.to_vec()),
        }?;
        self.extend(to, [&value[..]], limits);
        self.pack_if_within(limits, 2);
        Some(value)
    }

    /// Removes the element at one end for pushing it to another list; see [`List::accept`].
    pub fn take(&mut self, from: End, limits: &ListLimits) -> Option<Moved> {
        let quicklist = self.encoding() == ListEncoding::Quicklist;
        self.pop(from, limits, |item| Moved {
            value: item.to_vec(),
            growth: if quicklist && matches!(item, Item::Int(_)) { 0 } else { item.len() },
        })
    }

    /// Pushes an element taken from another list.
    pub fn accept(&mut self, to: End, moved: &Moved, limits: &ListLimits) {
        self.unpack_unless_within(limits, 1, moved.growth);
        match (&mut self.repr, to) {
            (Repr::Listpack(pack), End::Front) => pack.push_front(&moved.value),
            (Repr::Listpack(pack), End::Back) => pack.push_back(&moved.value),
            (Repr::Quicklist(quicklist), end) => quicklist.push(end, &moved.value, limits),
        }
    }

    // By index. Negative indexes count from the end: -1 is the last element.

    pub fn get(&self, index: i64) -> Option<Item<'_>> {
        let index = self.resolve(index)?;
        match &self.repr {
            Repr::Listpack(pack) => Some(pack.get(pack.seek(index)?)),
            Repr::Quicklist(quicklist) => {
                let (at, offset) = quicklist.locate(index)?;
                match &quicklist.nodes[at] {
                    Node::Packed { pack, .. } => Some(pack.get(pack.seek(offset)?)),
                    Node::Plain(value) => Some(Item::Bytes(value)),
                }
            }
        }
    }

    /// The element, if it is one that can be shared.
    pub fn large(&self, index: i64) -> Option<&Large> {
        let Repr::Quicklist(quicklist) = &self.repr else { return None };
        let (at, _) = quicklist.locate(self.resolve(index)?)?;
        match &quicklist.nodes[at] {
            Node::Plain(value) => Some(value),
            Node::Packed { .. } => None,
        }
    }

    /// Replaces the element; false if there is no such index. The encoding may change even then, as in Redis.
    pub fn set(&mut self, index: i64, value: &[u8], limits: &ListLimits) -> bool {
        self.unpack_unless_within(limits, 1, value.len());
        let Some(index) = self.resolve(index) else { return false };
        match &mut self.repr {
            Repr::Listpack(pack) => match pack.seek(index) {
                Some(cursor) => pack.replace(cursor, value),
                None => return false,
            },
            Repr::Quicklist(quicklist) => {
                let Some((at, offset)) = quicklist.locate(index) else { return false };
                quicklist.replace(at, offset, value, limits);
                self.pack_if_within(limits, 2);
            }
        }
        true
    }

    /// Deletes up to `count` elements from `start` on.
    pub fn delete_range(&mut self, start: usize, count: usize, limits: &ListLimits) {
        match &mut self.repr {
            Repr::Listpack(pack) => pack.delete_range(start, count),
            Repr::Quicklist(quicklist) => {
                quicklist.delete_range(start, count);
                self.pack_if_within(limits, 2);
            }
        }
    }

    /// Keeps the elements from `start` to `stop`, both included and both clamped to the list.
    pub fn trim(&mut self, start: i64, stop: i64, limits: &ListLimits) {
        let len = self.len();
        let kept = inclusive_range(start, stop, len);
        match &mut self.repr {
            Repr::Listpack(pack) => {
                pack.delete_range(kept.end, len - kept.end);
                pack.delete_range(0, kept.start);
            }
            Repr::Quicklist(quicklist) => {
                quicklist.delete_range(kept.end, len - kept.end);
                quicklist.delete_range(0, kept.start);
                self.pack_if_within(limits, 2);
            }
        }
    }

    /// The elements from `start` to `stop`, both included and both clamped to the list.
    pub fn range(&self, start: i64, stop: i64) -> Iter<'_> {
        let range = inclusive_range(start, stop, self.len());
        self.walk(range.start, range.len(), End::Front)
    }

    /// All elements, from the first on.
    pub fn iter(&self) -> Iter<'_> {
        self.walk(0, self.len(), End::Front)
    }

    /// All elements, from the last on.
    pub fn iter_rev(&self) -> Iter<'_> {
        self.walk(0, self.len(), End::Back)
    }

    /// `count` elements after skipping `skip`, walking away from the end `from`. There must be that many.
    fn walk(&self, skip: usize, count: usize, from: End) -> Iter<'_> {
        let (current, nodes) = match &self.repr {
            _ if count == 0 => (NodeIter::Plain(None), vec_deque::Iter::default()),
            Repr::Listpack(pack) => (NodeIter::seek(pack, skip, from), vec_deque::Iter::default()),
            Repr::Quicklist(quicklist) => {
                let index = match from {
                    End::Front => skip,
                    End::Back => quicklist.len - 1 - skip,
                };
                let (at, offset) = quicklist.locate(index).expect("the element to start with is there");
                let rest = match from {
                    End::Front => quicklist.nodes.range(at + 1..),
                    End::Back => quicklist.nodes.range(..at),
                };
                let current = match &quicklist.nodes[at] {
                    Node::Plain(value) => NodeIter::Plain(Some(value)),
                    Node::Packed { pack, count } => {
                        let skip = match from {
                            End::Front => offset,
                            End::Back => *count as usize - 1 - offset,
                        };
                        NodeIter::seek(pack, skip, from)
                    }
                };
                (current, rest)
            }
        };
        Iter { current, nodes, remaining: count, from }
    }

    // By value.

    /// Inserts before the first element equal to `pivot`; false if there is none. The encoding may change even then,
    /// as in Redis.
    pub fn insert_before(&mut self, pivot: &[u8], value: &[u8], limits: &ListLimits) -> bool {
        self.insert(pivot, value, limits, End::Front)
    }

    /// Inserts after the first element equal to `pivot`; false if there is none. The encoding may change even then,
    /// as in Redis.
    pub fn insert_after(&mut self, pivot: &[u8], value: &[u8], limits: &ListLimits) -> bool {
        self.insert(pivot, value, limits, End::Back)
    }

    fn insert(&mut self, pivot: &[u8], value: &[u8], limits: &ListLimits, side: End) -> bool {
        self.unpack_unless_within(limits, 1, value.len());
        match &mut self.repr {
            Repr::Listpack(pack) => {
                let found = pack.first().and_then(|first| pack.find(first, pivot, 0));
                match (found, side) {
                    (Some(cursor), End::Front) => pack.insert_before(cursor, value),
                    (Some(cursor), End::Back) => pack.insert_after(cursor, value),
                    (None, _) => return false,
                };
            }
            Repr::Quicklist(quicklist) => {
                let Some((at, offset)) = quicklist.find(pivot) else { return false };
                quicklist.insert(at, offset, side, value, limits);
            }
        }
        true
    }

    /// Removes elements equal to `value` and returns how many: the first `count`, the last `-count` if it is
    /// negative, all if it is zero.
    pub fn remove(&mut self, count: i64, value: &[u8], limits: &ListLimits) -> usize {
        let from = if count < 0 { End::Back } else { End::Front };
        let at_most = match count.unsigned_abs() {
            0 => usize::MAX,
            count => usize::try_from(count).unwrap_or(usize::MAX),
        };
        match &mut self.repr {
            Repr::Listpack(pack) => remove_packed(pack, from, at_most, value),
            Repr::Quicklist(quicklist) => {
                let removed = quicklist.remove(from, at_most, value);
                if removed > 0 {
                    self.pack_if_within(limits, 2);
                }
                removed
            }
        }
    }

    /// Indexes of the elements equal to `value`, among the first `max_len` (0: all) in walking direction. A positive
    /// `rank` walks from the front and begins with the rank-th match; a negative one does so from the back.
    pub fn positions<'a>(
        &'a self,
        value: &'a [u8],
        rank: i64,
        max_len: usize,
    ) -> impl Iterator<Item = usize> + 'a {
        let len = self.len();
        let from = if rank < 0 { End::Back } else { End::Front };
        let compared = if max_len == 0 { len } else { max_len.min(len) };
        let skipped = usize::try_from(rank.unsigned_abs().saturating_sub(1)).unwrap_or(usize::MAX);
        let wanted = Item::new(value);
        self.walk(0, compared, from)
            .enumerate()
            .filter(move |(_, item)| *item == wanted)
            .skip(skipped)
            .map(move |(walked, _)| if from == End::Front { walked } else { len - 1 - walked })
    }

    // Conversions.

    /// Turns a listpack that would exceed the limits by growing so much into a quicklist.
    fn unpack_unless_within(&mut self, limits: &ListLimits, count: usize, bytes: usize) {
        let Repr::Listpack(pack) = &mut self.repr else { return };
        if limits.exceeded(pack.byte_len().saturating_add(bytes), pack.len() + count) {
            let mut quicklist = Quicklist::new(limits);
            if !pack.is_empty() {
                quicklist.len = pack.len();
                quicklist.nodes.push_back(Node::packed(std::mem::take(pack)));
            }
            self.repr = Repr::Quicklist(Box::new(quicklist));
        }
    }

    /// Turns a quicklist of a single packed node within the limits into a listpack. The limits are divided first:
    /// a list that shrinks must reach half of them, lest one that swings around them converts again and again.
    fn pack_if_within(&mut self, limits: &ListLimits, divisor: usize) {
        let Repr::Quicklist(quicklist) = &mut self.repr else { return };
        if quicklist.nodes.len() != 1 {
            return;
        }
        let Node::Packed { pack, count } = &mut quicklist.nodes[0] else { return };
        let within = match limits.class_bytes() {
            Some(class) => pack.byte_len() <= class / divisor,
            None => *count as usize <= limits.max_count() / divisor,
        };
        if within {
            self.repr = Repr::Listpack(std::mem::take(pack));
        }
    }

    fn resolve(&self, index: i64) -> Option<usize> {
        let len = self.len();
        let index = if index < 0 { index.checked_add_unsigned(len as u64)? } else { index };
        usize::try_from(index).ok().filter(|&index| index < len)
    }
}

impl Default for List {
    fn default() -> List {
        List::new()
    }
}

/// The indexes from `start` to `stop`, both included, negative ones counted from the end, clamped to `len`.
fn inclusive_range(start: i64, stop: i64, len: usize) -> std::ops::Range<usize> {
    let resolve = |index: i64| if index < 0 { index.saturating_add_unsigned(len as u64) } else { index };
    let start = usize::try_from(resolve(start)).unwrap_or(0).min(len);
    // One past the last; a stop still negative lies before the list.
    let end = usize::try_from(resolve(stop)).map_or(0, |stop| stop.saturating_add(1)).min(len);
    if start < end { start..end } else { 0..0 }
}

/// An element on its way from one list to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    pub value: Vec<u8>,
    /// What the other list counts when it decides whether it stays a listpack: Redis pops an integer from a quicklist
    /// as a number, which has no text to count.
    growth: usize,
}

/// A node as a file stores it.
#[derive(Clone, Debug)]
pub enum ListNode {
    Packed(Listpack),
    Plain(Vec<u8>),
}

/// A node to be stored in a file.
#[derive(Clone, Copy, Debug)]
pub enum ListNodeRef<'a> {
    Packed(&'a Listpack),
    Plain(&'a [u8]),
}

/// Elements in one direction.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    /// The rest of the node being read.
    current: NodeIter<'a>,
    /// The nodes after it (before it, when walking from the back).
    nodes: vec_deque::Iter<'a, Node>,
    remaining: usize,
    from: End,
}

#[derive(Clone, Debug)]
enum NodeIter<'a> {
    Packed(listpack::Iter<'a>),
    Plain(Option<&'a [u8]>),
}

impl<'a> NodeIter<'a> {
    /// The entries of `pack` after skipping `skip`, walking away from the end `from`.
    fn seek(pack: &'a Listpack, skip: usize, from: End) -> NodeIter<'a> {
        NodeIter::Packed(match from {
            _ if skip == 0 => pack.iter(),
            End::Front => pack.iter_from(pack.seek(skip).expect("the index is below the length")),
            End::Back => {
                pack.iter_to(pack.seek(pack.len() - 1 - skip).expect("the index is below the length"))
            }
        })
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        if self.remaining == 0 {
            return None;
        }
        loop {
            let item = match (&mut self.current, self.from) {
                (NodeIter::Packed(entries), End::Front) => entries.next(),
                (NodeIter::Packed(entries), End::Back) => entries.next_back(),
                (NodeIter::Plain(value), _) => value.take().map(Item::Bytes),
            };
            if item.is_some() {
                self.remaining -= 1;
                return item;
            }
            let node = match self.from {
                End::Front => self.nodes.next()?,
                End::Back => self.nodes.next_back()?,
            };
            self.current = match node {
                Node::Packed { pack, .. } => NodeIter::Packed(pack.iter()),
                Node::Plain(value) => NodeIter::Plain(Some(value)),
            };
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }

    /// Node by node: the loop over a node's entries does not ask again which kind of node it is in.
    #[inline]
    fn fold<B, F: FnMut(B, Item<'a>) -> B>(mut self, init: B, mut f: F) -> B {
        let mut folded = init;
        while self.remaining > 0 {
            if let (NodeIter::Packed(entries), End::Front) = (&mut self.current, self.from) {
                for item in entries.take(self.remaining) {
                    self.remaining -= 1;
                    folded = f(folded, item);
                }
            }
            // The first element of the next node, or any when walking backwards.
            let Some(item) = self.next() else { break };
            folded = f(folded, item);
        }
        folded
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// Invariants: no node is empty; `len` is the sum of the nodes' lengths.
#[derive(Clone, Debug)]
struct Quicklist {
    nodes: VecDeque<Node>,
    len: usize,
    /// `list-max-listpack-size` when the quicklist came to be, as far as a node's own limit can say it.
    fill: i64,
}

#[derive(Clone, Debug)]
enum Node {
    /// `count` repeats what the listpack knows, so that walking over nodes does not touch their bytes.
    Packed {
        pack: Listpack,
        count: u32,
    },
    Plain(Large),
}

/// What an entry takes beside its bytes, estimated from above.
const ENTRY_OVERHEAD: usize = 8;
/// What merging two listpacks saves: a header and an end.
const MERGE_SAVING: usize = 7;

impl Quicklist {
    fn new(limits: &ListLimits) -> Quicklist {
        let fill = limits.max_listpack_size.clamp(-(CLASS_BYTES.len() as i64), FILL_MAX);
        Quicklist { nodes: VecDeque::new(), len: 0, fill }
    }

    /// The limits of this quicklist's nodes.
    fn node_limits(&self, limits: &ListLimits) -> ListLimits {
        ListLimits { max_listpack_size: self.fill, packed_threshold: limits.packed_threshold }
    }

    fn push(&mut self, end: End, value: &[u8], limits: &ListLimits) {
        let limits = self.node_limits(limits);
        let last = match end {
            End::Front => self.nodes.front_mut(),
            End::Back => self.nodes.back_mut(),
        };
        self.len += 1;
        let capacity = match last {
            Some(Node::Packed { pack, count }) if accepts(pack, *count, value, &limits) => {
                *count += 1;
                return match end {
                    End::Front => pack.push_front(value),
                    End::Back => pack.push_back(value),
                };
            }
            // The new node will probably grow as large as the full one.
            Some(Node::Packed { pack, .. }) => pack.byte_len(),
            _ => 0,
        };
        let node = Node::with_value(value, capacity, end, &limits);
        match end {
            End::Front => self.nodes.push_front(node),
            End::Back => self.nodes.push_back(node),
        }
    }

    fn pop<R>(&mut self, end: End, take: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        let last = match end {
            End::Front => self.nodes.front_mut(),
            End::Back => self.nodes.back_mut(),
        };
        let (taken, emptied) = match last? {
            Node::Packed { pack, count } => {
                *count -= 1;
                (pop_packed(pack, end, take)?, *count == 0)
            }
            Node::Plain(value) => (take(Item::Bytes(value)), true),
        };
        self.len -= 1;
        if emptied {
            match end {
                End::Front => self.nodes.pop_front(),
                End::Back => self.nodes.pop_back(),
            };
        }
        Some(taken)
    }

    /// The node and the offset in it of the element with this index, walking over nodes from the nearer end.
    fn locate(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index <= self.len / 2 {
            let mut offset = index;
            for (at, node) in self.nodes.iter().enumerate() {
                match offset.checked_sub(node.len()) {
                    None => return Some((at, offset)),
                    Some(rest) => offset = rest,
                }
            }
        } else {
            let mut from_end = self.len - 1 - index;
            for (at, node) in self.nodes.iter().enumerate().rev() {
                match from_end.checked_sub(node.len()) {
                    None => return Some((at, node.len() - 1 - from_end)),
                    Some(rest) => from_end = rest,
                }
            }
        }
        unreachable!("the nodes hold all elements")
    }

    /// The node and the offset in it of the first element equal to `value`.
    fn find(&self, value: &[u8]) -> Option<(usize, usize)> {
        let wanted = Item::new(value);
        self.nodes.iter().enumerate().find_map(|(at, node)| match node {
            Node::Packed { pack, .. } => Some((at, pack.iter().position(|item| item == wanted)?)),
            Node::Plain(plain) => (plain[..] == *value).then_some((at, 0)),
        })
    }

    /// Inserts beside the element at `offset` of node `at`: before it (`Front`) or after it (`Back`).
    fn insert(&mut self, at: usize, offset: usize, side: End, value: &[u8], limits: &ListLimits) {
        let limits = self.node_limits(limits);
        self.len += 1;
        let last_offset = self.nodes[at].len() - 1;
        // Whether the new element comes to the edge of the node, where the neighbour on that side is an alternative.
        let (at_edge, neighbour, new_at) = match side {
            End::Front => (offset == 0, at.checked_sub(1), at),
            End::Back => (offset == last_offset, Some(at + 1), at + 1),
        };
        if self.nodes[at].accepts(value, &limits) {
            let Node::Packed { pack, count } = &mut self.nodes[at] else { return };
            let cursor = pack.seek(offset).expect("the offset is below the node's length");
            match side {
                End::Front => pack.insert_before(cursor, value),
                End::Back => pack.insert_after(cursor, value),
            };
            *count += 1;
        } else if at_edge {
            let neighbour = neighbour.and_then(|neighbour| self.nodes.get_mut(neighbour));
            match neighbour {
                Some(Node::Packed { pack, count }) if accepts(pack, *count, value, &limits) => {
                    match side {
                        End::Front => pack.push_back(value),
                        End::Back => pack.push_front(value),
                    }
                    *count += 1;
                }
                _ => self.nodes.insert(new_at, Node::with_value(value, 0, side, &limits)),
            }
        } else {
            let second = match side {
                End::Front => self.nodes[at].split_off(offset),
                End::Back => self.nodes[at].split_off(offset + 1),
            };
            self.nodes.insert(at + 1, second);
            if limits.is_large(value.len()) {
                self.nodes.insert(at + 1, Node::with_value(value, 0, side, &limits));
                return;
            }
            // The new element joins the half that was split off: the left one when inserting before.
            let joined = match side {
                End::Front => at,
                End::Back => at + 1,
            };
            if let Node::Packed { pack, count } = &mut self.nodes[joined] {
                match side {
                    End::Front => pack.push_back(value),
                    End::Back => pack.push_front(value),
                }
                *count += 1;
            }
            // Neighbours merge around the half that stayed.
            self.merge_around(if joined == at { at + 1 } else { at }, &limits);
        }
    }

    /// Replaces the element at `offset` of node `at`.
    fn replace(&mut self, at: usize, offset: usize, value: &[u8], limits: &ListLimits) {
        let limits = self.node_limits(limits);
        let large = limits.is_large(value.len());
        match &mut self.nodes[at] {
            // A packed node may grow past its limit here; the next insertion splits it.
            Node::Packed { pack, .. } if !large => {
                let cursor = pack.seek(offset).expect("the offset is below the node's length");
                pack.replace(cursor, value);
            }
            Node::Plain(plain) if large => *plain = shared(value),
            Node::Plain(_) => {
                self.insert(at, 0, End::Back, value, &limits);
                self.nodes.remove(at);
                self.len -= 1;
            }
            Node::Packed { count, .. } => {
                let new_at = at + 1;
                let second = (offset + 1 < *count as usize).then(|| self.nodes[at].split_off(offset + 1));
                self.nodes.insert(new_at, Node::with_value(value, 0, End::Back, &limits));
                if let Some(second) = second {
                    self.nodes.insert(new_at + 1, second);
                }
                if let Node::Packed { pack, count } = &mut self.nodes[at] {
                    *count -= 1;
                    if let (Some(replaced), true) = (pack.last(), *count > 0) {
                        pack.delete(replaced);
                        self.merge_around(new_at, &limits);
                    } else {
                        self.nodes.remove(at);
                    }
                }
            }
        }
    }

    fn delete_range(&mut self, start: usize, count: usize) {
        let Some((first, offset)) = self.locate(start) else { return };
        let mut extent = count.min(self.len - start);
        self.len -= extent;
        // From the first node only a part may go, then whole nodes, then a part of the last one.
        let mut at = first;
        if offset > 0 {
            extent -= self.nodes[at].delete_range(offset, extent);
            at += 1;
        }
        let mut end = at;
        while extent > 0 && self.nodes[end].len() <= extent {
            extent -= self.nodes[end].len();
            end += 1;
        }
        if extent > 0 {
            self.nodes[end].delete_range(0, extent);
        }
        self.nodes.drain(at..end);
    }

    fn remove(&mut self, from: End, at_most: usize, value: &[u8]) -> usize {
        let (mut removed, nodes) = (0, self.nodes.len());
        for walked in 0..nodes {
            if removed == at_most {
                break;
            }
            let at = match from {
                End::Front => walked,
                End::Back => nodes - 1 - walked,
            };
            match &mut self.nodes[at] {
                Node::Packed { pack, count } => {
                    let here = remove_packed(pack, from, at_most - removed, value);
                    *count -= here as u32;
                    removed += here;
                }
                Node::Plain(plain) => {
                    if plain[..] == *value {
                        self.nodes[at] = Node::packed(Listpack::new());
                        removed += 1;
                    }
                }
            }
        }
        self.len -= removed;
        if removed > 0 {
            self.nodes.retain(|node| node.len() > 0);
        }
        removed
    }

    /// Merges where two nodes fit into one: the two before `center`, the two after it, then `center` with what is
    /// before it and with what is after it.
    fn merge_around(&mut self, mut center: usize, limits: &ListLimits) {
        if center >= 2 && self.merge(center - 2, limits) {
            center -= 1;
        }
        self.merge(center + 1, limits);
        if center >= 1 && self.merge(center - 1, limits) {
            center -= 1;
        }
        self.merge(center, limits);
    }

    /// Appends the node after `at` to it if both are there and fit together.
    fn merge(&mut self, at: usize, limits: &ListLimits) -> bool {
        let (Some(Node::Packed { pack: a, count: a_count }), Some(Node::Packed { pack: b, count: b_count })) =
            (self.nodes.get(at), self.nodes.get(at + 1))
        else {
            return false;
        };
        let count = *a_count as usize + *b_count as usize;
        if limits.exceeded(a.byte_len() + b.byte_len() - MERGE_SAVING, count) {
            return false;
        }
        let Some(Node::Packed { pack: second, count: second_count }) = self.nodes.remove(at + 1) else {
            return false;
        };
        if let Node::Packed { pack, count } = &mut self.nodes[at] {
            pack.append(&second);
            *count += second_count;
        }
        true
    }
}

impl Node {
    fn packed(pack: Listpack) -> Node {
        let count = u32::try_from(pack.len()).expect("a listpack has fewer entries than bytes");
        Node::Packed { pack, count }
    }

    /// A node of one element: plain if that is large, otherwise packed with room to grow to `capacity` bytes towards
    /// the end `grows`.
    fn with_value(value: &[u8], capacity: usize, grows: End, limits: &ListLimits) -> Node {
        if limits.is_large(value.len()) {
            return Node::Plain(shared(value));
        }
        let mut pack = match grows {
            End::Front => Listpack::with_room_before(capacity),
            End::Back => Listpack::with_capacity(capacity),
        };
        pack.push_back(value);
        Node::Packed { pack, count: 1 }
    }

    fn len(&self) -> usize {
        match self {
            Node::Packed { count, .. } => *count as usize,
            Node::Plain(_) => 1,
        }
    }

    fn memory(&self) -> usize {
        match self {
            Node::Packed { pack, .. } => pack.memory(),
            Node::Plain(value) => size_of::<LargeString>() + value.capacity(),
        }
    }

    fn accepts(&self, value: &[u8], limits: &ListLimits) -> bool {
        match self {
            Node::Packed { pack, count } => accepts(pack, *count, value, limits),
            Node::Plain(_) => false,
        }
    }

    /// Moves the elements from `offset` on into a node of their own. Plain nodes have no inside to split at.
    fn split_off(&mut self, offset: usize) -> Node {
        match self {
            Node::Packed { pack, count } => {
                let second = Node::Packed { pack: pack.split_off(offset), count: *count - offset as u32 };
                *count = offset as u32;
                second
            }
            Node::Plain(_) => unreachable!("a plain node's only element is at both edges"),
        }
    }

    /// Deletes up to `extent` elements from `offset` on, but not all, and returns how many.
    fn delete_range(&mut self, offset: usize, extent: usize) -> usize {
        match self {
            Node::Packed { pack, count } => {
                let deleted = extent.min(*count as usize - offset);
                pack.delete_range(offset, deleted);
                *count -= deleted as u32;
                deleted
            }
            Node::Plain(_) => unreachable!("a plain node goes as a whole"),
        }
    }
}

impl From<ListNode> for Node {
    fn from(node: ListNode) -> Node {
        match node {
            ListNode::Packed(pack) => Node::packed(pack),
            ListNode::Plain(value) => Node::Plain(Large::new(value.into())),
        }
    }
}

fn shared(value: &[u8]) -> Large {
    Large::new(value.to_vec().into())
}

/// Whether a packed node takes one more element.
fn accepts(pack: &Listpack, count: u32, value: &[u8], limits: &ListLimits) -> bool {
    !limits.is_large(value.len())
        && !limits.exceeded(pack.byte_len() + value.len() + ENTRY_OVERHEAD, count as usize + 1)
}

fn pop_packed<R>(pack: &mut Listpack, end: End, take: impl FnOnce(Item<'_>) -> R) -> Option<R> {
    let cursor = match end {
        End::Front => pack.first(),
        End::Back => pack.last(),
    }?;
    let taken = take(pack.get(cursor));
    pack.delete(cursor);
    Some(taken)
}

/// Removes up to `at_most` entries equal to `value`, walking away from the end `from`; returns how many.
fn remove_packed(pack: &mut Listpack, from: End, at_most: usize, value: &[u8]) -> usize {
    let mut removed = 0;
    match from {
        End::Front => {
            let mut next = pack.first();
            while let Some(cursor) = next.filter(|_| removed < at_most) {
                let Some(found) = pack.find(cursor, value, 0) else { break };
                next = pack.delete(found);
                removed += 1;
            }
        }
        End::Back => {
            let wanted = Item::new(value);
            let mut next = pack.last();
            while let Some(cursor) = next.filter(|_| removed < at_most) {
                next = pack.prev(cursor);
                if pack.get(cursor) == wanted {
                    pack.delete(cursor);
                    removed += 1;
                }
            }
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits(max_listpack_size: i64) -> ListLimits {
        ListLimits { max_listpack_size, packed_threshold: 0 }
    }

    fn texts(list: &List) -> Vec<Vec<u8>> {
        list.iter().map(|item| item.to_vec()).collect()
    }

    fn numbers(n: usize, limits: &ListLimits) -> List {
        let mut list = List::new();
        for i in 0..n {
            list.push_back(i.to_string().as_bytes(), limits);
        }
        list
    }

    #[test]
    fn folding_visits_what_next_visits() {
        let limits = ListLimits { max_listpack_size: 3, packed_threshold: 5 };
        let mut list = List::new();
        for n in 0..20 {
            let value = if n % 7 == 3 { format!("large {n}") } else { n.to_string() };
            list.push_back(value.as_bytes(), &limits);
        }
        for (start, stop) in (0..20).flat_map(|start| (start - 1..20).map(move |stop| (start, stop))) {
            let mut iter = list.range(start, stop);
            let next: Vec<_> = std::iter::from_fn(|| iter.next().map(|item| item.to_vec())).collect();
            let mut folded = Vec::new();
            list.range(start, stop).for_each(|item| folded.push(item.to_vec()));
            assert_eq!(folded, next);
        }
        let mut backwards = Vec::new();
        list.iter_rev().for_each(|item| backwards.push(item.to_vec()));
        backwards.reverse();
        assert_eq!(backwards, list.iter().map(|item| item.to_vec()).collect::<Vec<_>>());
    }

    #[test]
    fn a_list_outgrows_its_listpack_and_returns_at_half_the_limit() {
        let limits = limits(4);
        let mut list = numbers(4, &limits);
        assert_eq!(list.encoding(), ListEncoding::Listpack);
        list.push_back(b"x", &limits);
        assert_eq!(list.encoding(), ListEncoding::Quicklist);
        assert_eq!(list.nodes().count(), 2);
        list.pop_back(&limits, |_| ()).unwrap();
        assert_eq!(list.pop_front(&limits, |item| item.to_vec()), Some(b"0".to_vec()));
        assert_eq!(list.encoding(), ListEncoding::Quicklist);
        list.pop_front(&limits, |_| ()).unwrap();
        assert_eq!(list.encoding(), ListEncoding::Listpack);
    }

    #[test]
    fn the_decision_to_outgrow_counts_all_pushed_values_and_their_text() {
        let limits = limits(-1);
        let mut list = List::new();
        list.extend(End::Back, [&[b'x'; 4000][..], &[b'y'; 100]], &limits);
        assert_eq!(list.encoding(), ListEncoding::Quicklist);
        // A negative class beyond the last one is the last one.
        let mut list = List::new();
        list.push_back(&[b'x'; 65_000], &self::limits(-9));
        assert_eq!(list.encoding(), ListEncoding::Listpack);
    }

    #[test]
    fn a_limit_in_elements_still_limits_the_bytes() {
        let limits = limits(1_000_000);
        let mut list = List::new();
        for _ in 0..79 {
            list.push_back(&[b'x'; 100], &limits);
        }
        assert_eq!(list.encoding(), ListEncoding::Listpack);
        list.push_back(&[b'x'; 100], &limits);
        assert_eq!(list.encoding(), ListEncoding::Quicklist);
    }

    #[test]
    fn an_attempt_to_change_converts_even_when_it_changes_nothing() {
        let limits = limits(4);
        let mut list = numbers(4, &limits);
        assert!(!list.insert_before(b"missing", b"v", &limits));
        assert_eq!(list.encoding(), ListEncoding::Quicklist);
        let mut list = numbers(4, &limits);
        assert!(!list.set(100, b"v", &limits));
        assert_eq!(list.encoding(), ListEncoding::Quicklist);
    }

    #[test]
    fn a_quicklist_keeps_the_node_limit_of_its_creation() {
        let small = limits(2);
        let mut list = numbers(3, &small);
        for _ in 0..4 {
            list.push_back(b"x", &limits(100));
        }
        assert_eq!(list.nodes().count(), 4);
    }

    #[test]
    fn built_lists_are_packed_when_they_fit() {
        let values: Vec<&[u8]> = vec![b"a", b"b", b"c"];
        assert_eq!(List::from_values(values.clone(), &limits(3)).encoding(), ListEncoding::Listpack);
        let list = List::from_values(values.clone(), &limits(2));
        assert_eq!(list.encoding(), ListEncoding::Quicklist);
        let nodes: Vec<ListNode> = list
            .nodes()
            .map(|node| match node {
                ListNodeRef::Packed(pack) => ListNode::Packed(pack.clone()),
                ListNodeRef::Plain(value) => ListNode::Plain(value.to_vec()),
            })
            .collect();
        assert_eq!(texts(&List::from_nodes(nodes, &limits(2))), values);
    }

    #[test]
    fn positions_follow_rank_and_length() {
        for limit in [2, 100] {
            let limits = limits(limit);
            let mut list = List::new();
            list.extend(End::Back, [&b"a"[..], b"b", b"c", b"1", b"2", b"3", b"c", b"c"], &limits);
            let found = |rank, max_len| list.positions(b"c", rank, max_len).collect::<Vec<_>>();
            assert_eq!(found(1, 0), [2, 6, 7]);
            assert_eq!(found(2, 0), [6, 7]);
            assert_eq!(found(-1, 0), [7, 6, 2]);
            assert_eq!(found(-2, 0), [6, 2]);
            assert_eq!(found(1, 7), [2, 6]);
            assert_eq!(found(-1, 3), [7, 6]);
            assert_eq!(found(i64::MIN, 0), [0; 0]);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Extend(End, Vec<Vec<u8>>),
        Pop(End),
        Rotate(End, End),
        Set(usize, Vec<u8>),
        Insert(End, usize, Vec<u8>),
        Remove(i64, Vec<u8>),
        Trim(i64, i64),
        DeleteRange(usize, usize),
        Limit(i64),
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => (0i64..5).prop_map(|n| n.to_string().into_bytes()),
            2 => (0usize..40).prop_map(|len| vec![b'v'; len]),
            1 => (0usize..5000).prop_map(|len| vec![b'w'; len]),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        let end = || prop_oneof![Just(End::Front), Just(End::Back)];
        prop_oneof![
            4 => (end(), proptest::collection::vec(value(), 0..8)).prop_map(|(end, values)| Step::Extend(end, values)),
            2 => end().prop_map(Step::Pop),
            1 => (end(), end()).prop_map(|(from, to)| Step::Rotate(from, to)),
            3 => (any::<usize>(), value()).prop_map(|(at, v)| Step::Set(at, v)),
            4 => (end(), any::<usize>(), value()).prop_map(|(end, at, v)| Step::Insert(end, at, v)),
            2 => (-3i64..4, value()).prop_map(|(count, v)| Step::Remove(count, v)),
            1 => (-12i64..3, -3i64..12).prop_map(|(start, stop)| Step::Trim(start, stop)),
            1 => (0usize..20, 0usize..8).prop_map(|(start, count)| Step::DeleteRange(start, count)),
            1 => (-3i64..6).prop_map(Step::Limit),
        ]
    }

    fn resolve(index: i64, len: usize) -> i64 {
        if index < 0 { index + len as i64 } else { index }
    }

    proptest! {
        #[test]
        fn behaves_like_a_vector(
            limit in -3i64..6,
            threshold in prop_oneof![Just(0usize), Just(20)],
            steps in proptest::collection::vec(step(), 1..50),
        ) {
            let mut limits = ListLimits { max_listpack_size: limit, packed_threshold: threshold };
            let mut list = List::new();
            let mut oracle: VecDeque<Vec<u8>> = VecDeque::new();
            for step in steps {
                let len = oracle.len();
                match step {
                    Step::Extend(end, values) => {
                        list.extend(end, values.iter().map(Vec::as_slice), &limits);
                        for value in values {
                            match end {
                                End::Front => oracle.push_front(value),
                                End::Back => oracle.push_back(value),
                            }
                        }
                    }
                    Step::Pop(end) => {
                        let expected = match end {
                            End::Front => oracle.pop_front(),
                            End::Back => oracle.pop_back(),
                        };
                        prop_assert_eq!(list.pop(end, &limits, |item| item.to_vec()), expected);
                    }
                    Step::Rotate(from, to) => {
                        let expected = match from {
                            End::Front => oracle.pop_front(),
                            End::Back => oracle.pop_back(),
                        };
                        if let Some(value) = expected.clone() {
                            match to {
                                End::Front => oracle.push_front(value),
                                End::Back => oracle.push_back(value),
                            }
                        }
                        prop_assert_eq!(list.rotate(from, to, &limits), expected);
                    }
                    Step::Set(at, value) => {
                        let index = (at % (2 * len + 2)) as i64 - len as i64 - 1;
                        let place = usize::try_from(resolve(index, len)).ok().filter(|&at| at < len);
                        prop_assert_eq!(list.set(index, &value, &limits), place.is_some());
                        if let Some(place) = place {
                            oracle[place] = value;
                        }
                    }
                    Step::Insert(side, at, value) => {
                        let pivot = if len == 0 { b"none".to_vec() } else { oracle[at % len].clone() };
                        let place = oracle.iter().position(|o| *o == pivot);
                        let inserted = match side {
                            End::Front => list.insert_before(&pivot, &value, &limits),
                            End::Back => list.insert_after(&pivot, &value, &limits),
                        };
                        prop_assert_eq!(inserted, place.is_some());
                        if let Some(place) = place {
                            oracle.insert(place + usize::from(side == End::Back), value);
                        }
                    }
                    Step::Remove(count, value) => {
                        let mut places: Vec<usize> = (0..len).filter(|&at| oracle[at] == value).collect();
                        if count < 0 {
                            places.reverse();
                        }
                        if count != 0 {
                            places.truncate(count.unsigned_abs() as usize);
                        }
                        prop_assert_eq!(list.remove(count, &value, &limits), places.len());
                        let mut at = 0;
                        oracle.retain(|_| {
                            at += 1;
                            !places.contains(&(at - 1))
                        });
                    }
                    Step::Trim(start, stop) => {
                        list.trim(start, stop, &limits);
                        let (start, stop) = (resolve(start, len).max(0), resolve(stop, len));
                        let mut at = -1;
                        oracle.retain(|_| {
                            at += 1;
                            (start..=stop).contains(&at)
                        });
                    }
                    Step::DeleteRange(start, count) => {
                        list.delete_range(start, count, &limits);
                        oracle.drain(start.min(len)..(start + count).min(len));
                    }
                    Step::Limit(limit) => limits.max_listpack_size = limit,
                }
                prop_assert_eq!(list.len(), oracle.len());
                prop_assert!(texts(&list).iter().eq(oracle.iter()));
                let backward: Vec<_> = list.iter_rev().map(|item| item.to_vec()).collect();
                prop_assert!(backward.iter().eq(oracle.iter().rev()));
                for index in 0..oracle.len() {
                    prop_assert!(list.get(index as i64).unwrap() == oracle[index][..]);
                    prop_assert_eq!(list.range(index as i64, -1).len(), oracle.len() - index);
                    let item = list.range(index as i64, -1).next().unwrap();
                    prop_assert!(item == oracle[index][..]);
                }
                if let Repr::Quicklist(quicklist) = &list.repr {
                    for node in &quicklist.nodes {
                        match node {
                            Node::Packed { pack, count } => {
                                prop_assert!(*count > 0);
                                prop_assert_eq!(listpack::validate(pack.as_bytes()), Some(*count as usize));
                            }
                            Node::Plain(_) => {}
                        }
                    }
                }
            }
        }
    }
}
