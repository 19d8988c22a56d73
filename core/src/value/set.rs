//! Sets.

use super::listpack::Listpack;

#[derive(Clone, Debug, Default)]
pub struct Set {
    pack: Listpack,
}

impl Set {
    pub fn new() -> Set {
        Set::default()
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
pub struct SetLimits {
    pub max_intset_entries: usize,
    pub max_listpack_entries: usize,
    pub max_listpack_value: usize,
}

impl Default for SetLimits {
    fn default() -> Self {
        Self { max_intset_entries: 512, max_listpack_entries: 128, max_listpack_value: 64 }
    }
}
