//! Values: one file a type. A value hides its encodings and knows no commands.

pub mod blob;
pub mod hash;
pub mod intset;
mod large;
pub mod list;
pub mod listpack;
mod rank_tree;
pub mod set;
pub mod zset;

pub use large::{LARGE_STRING, Large, LargeString};

use hash::Hash;
use list::List;
use set::Set;
use zset::Zset;

/// The longest string whose encoding is `embstr`: with its header it fits in a cache line.
const EMBSTR_MAX: usize = 44;

/// A value that is not a string.
#[derive(Clone, Debug)]
pub enum Object {
    List(List),
    Set(Set),
    Zset(Zset),
    Hash(Hash),
}

impl Object {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Set(set) => set.len(),
            Self::Zset(zset) => zset.len(),
            Self::Hash(hash) => hash.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As OBJECT ENCODING answers.
    pub fn encoding_name(&self) -> &'static str {
        match self {
            Self::List(list) => list.encoding().name(),
            Self::Set(set) => set.encoding().name(),
            Self::Zset(zset) => zset.encoding().name(),
            Self::Hash(hash) => hash.encoding().name(),
        }
    }

    /// As TYPE answers.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Zset(_) => "zset",
            Self::Hash(_) => "hash",
        }
    }

    /// Bytes it owns, itself included.
    pub fn memory(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::List(list) => list.memory(),
                Self::Set(set) => set.memory(),
                Self::Zset(zset) => zset.memory(),
                Self::Hash(hash) => hash.memory(),
            }
    }
}

/// An owned value.
#[derive(Clone, Debug)]
pub enum Value {
    /// A string that is the decimal form of this number (encoding `int`).
    Int(i64),
    /// Any other string; `raw` strings were modified in place (encoding `raw` whatever their length).
    String {
        bytes: Vec<u8>,
        raw: bool,
    },
    Large {
        bytes: Large,
        raw: bool,
    },
    Object(Box<Object>),
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(Box::new(object))
    }
}

/// A borrowed value.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    Int(i64),
    String { bytes: &'a [u8], raw: bool },
    Object(&'a Object),
}

impl<'a> ValueRef<'a> {
    /// As TYPE answers.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Int(_) | Self::String { .. } => "string",
            Self::Object(object) => object.type_name(),
        }
    }

    /// As OBJECT ENCODING answers.
    pub fn encoding_name(&self) -> &'static str {
        match self {
            Self::Int(_) => "int",
            Self::String { bytes, raw: false } if bytes.len() <= EMBSTR_MAX => "embstr",
            Self::String { .. } => "raw",
            Self::Object(object) => object.encoding_name(),
        }
    }

    /// The bytes of a string; those of a number are written to `digits`. `None` if the value is no string.
    #[inline]
    pub fn text<'b>(self, digits: &'b mut itoa::Buffer) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        match self {
            Self::Int(number) => Some(digits.format(number).as_bytes()),
            Self::String { bytes, .. } => Some(bytes),
            Self::Object(_) => None,
        }
    }

    /// The number of bytes of a string, 0 if the value is no string.
    pub fn text_len(self) -> usize {
        self.text(&mut itoa::Buffer::new()).map_or(0, <[u8]>::len)
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Int(number) => Self::Int(number),
            ValueRef::String { bytes, raw } => Self::String { bytes: bytes.to_vec(), raw },
            ValueRef::Object(object) => Self::Object(Box::new(object.clone())),
        }
    }
}
