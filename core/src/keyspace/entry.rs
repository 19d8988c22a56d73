//! A key with its value, deadline and access field.

use std::cell::Cell;

use super::UnixMillis;
use super::table::Slot;
use crate::value::{Object, Value, ValueRef};

/// One allocation a key.
#[derive(Debug)]
pub struct Entry(Box<Inner>);

#[derive(Debug)]
struct Inner {
    key: Box<[u8]>,
    value: Value,
    deadline: Option<UnixMillis>,
    lru: Cell<u32>,
}

impl Slot for Entry {
    fn key(&self) -> &[u8] {
        &self.0.key
    }

    fn deadline(&self) -> u64 {
        self.0.deadline.unwrap_or(u64::MAX)
    }
}

impl Entry {
    pub fn new(key: &[u8], value: Value, deadline: Option<UnixMillis>) -> Self {
        Self(Box::new(Inner { key: key.into(), value, deadline, lru: Cell::new(0) }))
    }

    pub fn key(&self) -> &[u8] {
        &self.0.key
    }

    pub fn deadline(&self) -> Option<UnixMillis> {
        self.0.deadline
    }

    /// To be called through the table's owner only, which keeps count of deadlines.
    pub fn set_deadline(&mut self, deadline: Option<UnixMillis>) {
        self.0.deadline = deadline;
    }

    pub fn value(&self) -> ValueRef<'_> {
        match &self.0.value {
            Value::Int(number) => ValueRef::Int(*number),
            Value::String { bytes, raw } => ValueRef::String { bytes, raw: *raw },
            Value::Object(object) => ValueRef::Object(object),
        }
    }

    pub fn object(&self) -> Option<&Object> {
        match &self.0.value {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    pub fn object_mut(&mut self) -> Option<&mut Object> {
        match &mut self.0.value {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Replaces the whole value by a string; deadline and access field stay.
    pub fn set_bytes(&mut self, bytes: &[u8], raw: bool) {
        self.0.value = Value::String { bytes: bytes.to_vec(), raw };
    }

    /// Replaces the whole value by a number; deadline and access field stay.
    pub fn set_int(&mut self, number: i64) {
        self.0.value = Value::Int(number);
    }

    /// The bytes of a string, made `raw` first, for changing in place; new bytes are zero. `len` is the length wanted.
    pub fn bytes_mut(&mut self, len: usize) -> &mut [u8] {
        if let Value::Int(number) = self.0.value {
            self.0.value = Value::String { bytes: number.to_string().into_bytes(), raw: true };
        }
        match &mut self.0.value {
            Value::String { bytes, raw } => {
                *raw = true;
                bytes.resize(len, 0);
                bytes
            }
            _ => unreachable!("only strings have bytes"),
        }
    }

    /// Appends to a string, which becomes `raw`; returns the new length.
    pub fn append(&mut self, suffix: &[u8]) -> usize {
        if let Value::Int(number) = self.0.value {
            self.0.value = Value::String { bytes: number.to_string().into_bytes(), raw: true };
        }
        match &mut self.0.value {
            Value::String { bytes, raw } => {
                *raw = true;
                bytes.extend_from_slice(suffix);
                bytes.len()
            }
            _ => unreachable!("only strings have bytes"),
        }
    }

    /// Replaces the value; deadline and access field stay.
    pub fn replace_value(&mut self, value: Value) -> Value {
        std::mem::replace(&mut self.0.value, value)
    }

    pub fn into_value(self) -> Value {
        self.0.value
    }

    /// The same entry under another key.
    pub fn renamed(mut self, key: &[u8]) -> Self {
        self.0.key = key.into();
        self
    }

    /// The access field: 24 bits, see [`super::evict`]. It is no part of the value, so a reader may set it.
    pub fn lru(&self) -> u32 {
        self.0.lru.get()
    }

    pub fn set_lru(&self, field: u32) {
        self.0.lru.set(field);
    }
}
