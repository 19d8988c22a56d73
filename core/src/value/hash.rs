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

    pub fn is_empty(&self) -> bool {
        self.pack.is_empty()
    }

    /// Allocated bytes, without the struct itself.
    pub fn memory(&self) -> usize {
        self.pack.memory()
    }
}
