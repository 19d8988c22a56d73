//! Intset: a sorted run of integers of one width.
//!
//! The bytes are Redis's intset format, which RDB files and DUMP payloads carry. Everything is little endian.
//!
//! ```text
//! +--------------------------+-----------+---------+-----+---------+
//! | width in bytes: 2, 4, 8  | integers  | integer | ... | integer |
//! | u32                      | u32       | ascending, no duplicates|
//! +--------------------------+-----------+---------+-----+---------+
//! ```
//!
//! The width is that of the widest integer ever inserted; it never shrinks, as in Redis. Lookups are O(log n), changes
//! move what lies behind them.

use std::fmt;

const HEADER: usize = 8;

/// Invariants: the header agrees with the rest; the integers ascend strictly.
pub struct Intset {
    bytes: Vec<u8>,
}

impl Intset {
    pub fn new() -> Intset {
        Intset { bytes: vec![2, 0, 0, 0, 0, 0, 0, 0] }
    }

    /// Takes over the serialised form after checking all of it; `None` if it is not an intset.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Intset> {
        let width = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let len = u32::from_le_bytes(bytes.get(4..HEADER)?.try_into().ok()?) as usize;
        if !matches!(width, 2 | 4 | 8) || len.checked_mul(width)?.checked_add(HEADER)? != bytes.len() {
            return None;
        }
        let set = Intset { bytes };
        let ascending = set.iter().zip(set.iter().skip(1)).all(|(a, b)| a < b);
        ascending.then_some(set)
    }

    /// The serialised form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn len(&self) -> usize {
        (self.bytes.len() - HEADER) / self.width()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.len() == HEADER
    }

    /// Allocated bytes, without the struct itself.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// The integer with this index in ascending order.
    pub fn get(&self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| self.at(index))
    }

    pub fn first(&self) -> Option<i64> {
        self.get(0)
    }

    pub fn last(&self) -> Option<i64> {
        self.get(self.len().wrapping_sub(1))
    }

    pub fn contains(&self, int: i64) -> bool {
        self.search(int).is_ok()
    }

    /// Inserts; false if it was there.
    pub fn insert(&mut self, int: i64) -> bool {
        let Err(index) = self.search(int) else { return false };
        if width_of(int) > self.width() {
            self.widen(width_of(int));
        }
        let width = self.width();
        if self.bytes.capacity() - self.bytes.len() < width {
            self.bytes.reserve_exact(width + self.bytes.len() / 8);
        }
        let at = HEADER + index * width;
        self.bytes.extend_from_slice(&[0; 8][..width]);
        let end = self.bytes.len() - width;
        self.bytes.copy_within(at..end, at + width);
        self.bytes[at..at + width].copy_from_slice(&int.to_le_bytes()[..width]);
        self.write_len();
        true
    }

    /// Removes; false if it was not there.
    pub fn remove(&mut self, int: i64) -> bool {
        let Ok(index) = self.search(int) else { return false };
        let width = self.width();
        let at = HEADER + index * width;
        self.bytes.drain(at..at + width);
        if self.bytes.capacity() > 64 && self.bytes.len() < self.bytes.capacity() / 2 {
            self.bytes.shrink_to_fit();
        }
        self.write_len();
        true
    }

    /// The integers, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator + Clone + '_ {
        (0..self.len()).map(|index| self.at(index))
    }

    fn width(&self) -> usize {
        // The header's other bytes are zero for every width there is.
        usize::from(self.bytes[0])
    }

    fn at(&self, index: usize) -> i64 {
        let width = self.width();
        let int = &self.bytes[HEADER + index * width..][..width];
        match *int {
            [a, b] => i64::from(i16::from_le_bytes([a, b])),
            [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
            _ => i64::from_le_bytes(int.try_into().expect("no other width is valid")),
        }
    }

    /// The index of `int`, or the index it would have.
    fn search(&self, int: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        // Ascending insertion is the most common: ask the end first.
        if self.last().is_none_or(|last| int > last) {
            return Err(high);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            match self.at(middle).cmp(&int) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    fn widen(&mut self, width: usize) {
        let mut bytes = Vec::with_capacity(HEADER + (self.len() + 1) * width);
        bytes.extend_from_slice(&(width as u32).to_le_bytes());
        bytes.extend_from_slice(&self.bytes[4..HEADER]);
        for int in self.iter() {
            bytes.extend_from_slice(&int.to_le_bytes()[..width]);
        }
        self.bytes = bytes;
    }

    fn write_len(&mut self) {
        let len = self.len() as u32;
        self.bytes[4..HEADER].copy_from_slice(&len.to_le_bytes());
    }
}

/// The narrowest width that holds `int`.
fn width_of(int: i64) -> usize {
    match int {
        -0x8000..=0x7FFF => 2,
        -0x8000_0000..=0x7FFF_FFFF => 4,
        _ => 8,
    }
}

impl Default for Intset {
    fn default() -> Intset {
        Intset::new()
    }
}

impl Clone for Intset {
    fn clone(&self) -> Intset {
        Intset { bytes: self.bytes.clone() }
    }
}

impl fmt::Debug for Intset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn bytes_are_those_of_redis() {
        let mut set = Intset::new();
        set.insert(3);
        set.insert(-1);
        assert_eq!(set.as_bytes(), [2, 0, 0, 0, 2, 0, 0, 0, 0xFF, 0xFF, 3, 0]);
        set.insert(70_000);
        let wide = [4, 0, 0, 0, 3, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 3, 0, 0, 0, 0x70, 0x11, 1, 0];
        assert_eq!(set.as_bytes(), wide);
        set.remove(70_000);
        assert_eq!(set.as_bytes(), [4, 0, 0, 0, 2, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 3, 0, 0, 0]);
    }

    #[test]
    fn foreign_bytes_are_checked() {
        let accepts = |bytes: &[u8]| Intset::from_bytes(bytes.to_vec()).is_some();
        assert!(accepts(&[2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 2, 0]));
        assert!(!accepts(&[2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 1, 0]), "descending");
        assert!(!accepts(&[2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0]), "twice the same");
        assert!(!accepts(&[2, 0, 0, 0, 3, 0, 0, 0, 1, 0, 2, 0]), "shorter than it says");
        assert!(!accepts(&[3, 0, 0, 0, 0, 0, 0, 0]), "no such width");
        assert!(!accepts(&[2, 0, 0, 0, 0, 0, 0]), "no header");
        assert!(!accepts(&[8, 0, 0, 0, 255, 255, 255, 255]), "longer than there is memory");
    }

    proptest! {
        #[test]
        fn behaves_like_a_sorted_set(
            steps in proptest::collection::vec(
                (any::<bool>(), prop_oneof![4 => -9i64..9, 2 => -40_000i64..40_000, 1 => any::<i64>()]),
                1..80,
            ),
        ) {
            let (mut set, mut oracle) = (Intset::new(), BTreeSet::new());
            for (inserts, int) in steps {
                if inserts {
                    prop_assert_eq!(set.insert(int), oracle.insert(int));
                } else {
                    prop_assert_eq!(set.remove(int), oracle.remove(&int));
                }
                prop_assert!(set.iter().eq(oracle.iter().copied()));
                prop_assert_eq!((set.first(), set.last()), (oracle.first().copied(), oracle.last().copied()));
                prop_assert_eq!(set.contains(int), inserts);
                prop_assert!(Intset::from_bytes(set.as_bytes().to_vec()).is_some());
            }
        }
    }
}
