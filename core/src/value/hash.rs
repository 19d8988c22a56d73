//! Hashes.

use super::listpack::Listpack;

#[derive(Clone, Debug, Default)]
pub struct Hash {
    pack: Listpack,
}

impl Hash {
    pub fn new() -> Hash {
        Hash::default()
    }

    pub fn len(&self) -> usize {
        0
    }

    pub fn is_empty(&self) -> bool {
        self.pack.is_empty()
    }

    /// Allocated bytes, without the struct itself.
    pub fn memory(&self) -> usize {
        self.pack.memory()
    }
}

/// Thresholds between the encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashLimits {
    pub max_listpack_entries: usize,
    pub max_listpack_value: usize,
}

impl Default for HashLimits {
    fn default() -> Self {
        Self { max_listpack_entries: 512, max_listpack_value: 64 }
    }
}
