//! Lists.

use super::listpack::Listpack;

#[derive(Clone, Debug, Default)]
pub struct List {
    pack: Listpack,
}

impl List {
    pub fn new() -> List {
        List::default()
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ListLimits {}
