//! Strings that are shared instead of copied: with replies on their way out, and with the command that brought them.
//!
//! ```text
//! [the string][what came with it in the same buffer: `extra` bytes]
//! ```
//!
//! A large argument is received at the beginning of a buffer of its own, followed by the rest of its command, and that
//! buffer becomes the value. Whoever changes the string cuts off the rest first.

use std::ops::Deref;
use std::sync::Arc;

/// A string too large to be copied where it can be shared.
pub type Large = Arc<LargeString>;

/// From so many bytes on a string is [`Large`]: sending two pieces costs less than copying it.
pub const LARGE_STRING: usize = 64 * 1024;

/// See the module documentation.
#[derive(Debug, Default)]
pub struct LargeString {
    buffer: Vec<u8>,
    /// Bytes at the end of the buffer that are not part of the string.
    extra: usize,
}

impl LargeString {
    /// The first `length` bytes of a buffer.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn first_of(buffer: Vec<u8>, length: usize) -> Self {
        let extra = buffer.len().checked_sub(length).expect("the string is in the buffer");
        Self { buffer, extra }
    }

    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer[..self.buffer.len() - self.extra]
    }

    /// The string and what came with it.
    pub fn buffer(&self) -> &[u8] {
        &self.buffer
    }

    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// The string alone, for changing it.
    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        self.buffer.truncate(self.buffer.len() - self.extra);
        self.extra = 0;
        &mut self.buffer
    }

    /// Bytes that are allocated for it.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

impl From<Vec<u8>> for LargeString {
    fn from(buffer: Vec<u8>) -> Self {
        Self { buffer, extra: 0 }
    }
}

impl Deref for LargeString {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_with_a_string_is_no_part_of_it() {
        let mut string = LargeString::first_of(b"string\r\n*3..".to_vec(), 6);
        assert_eq!((&*string, string.buffer()), (&b"string"[..], &b"string\r\n*3.."[..]));
        string.bytes_mut().push(b'!');
        assert_eq!((&*string, string.buffer()), (&b"string!"[..], &b"string!"[..]));
        assert_eq!(LargeString::from(b"all".to_vec()).into_buffer(), b"all");
    }
}
