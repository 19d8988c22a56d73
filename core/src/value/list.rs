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

    pub fn is_empty(&self) -> bool {
        self.pack.is_empty()
    }

    /// Allocated bytes, without the struct itself.
    pub fn memory(&self) -> usize {
        self.pack.memory()
    }
}
