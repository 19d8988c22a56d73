//! A large argument on its way: it is received into a buffer of its own, which can become the value without being copied.
//!
//! What lives here: the buffer, and when its command is executed. What does not: the layout, which is that of
//! [`kevy::value::LargeString`] and [`kevy::resp::Decoder::pending_first`]: the argument comes first, then the beginning
//! of its command, then the rest of it.
//!
//! A client that announces much and sends little gets little: a buffer is as large as its argument once a sixteenth of it
//! has come, and until then at most twice as large as what has come.

use std::sync::Arc;

use kevy::resp::Decoder;
use kevy::value::{LARGE_STRING, LargeString};

use super::Shard;
use super::conn::{Conn, ConnId, QueryBuffer};

/// The argument must be so many times as long as what is in front of it.
const WORTHWHILE: usize = 8;

/// Once this part of the whole has come, there is room for all of it.
const PREPAID: usize = 16;

/// Room for arguments behind the large one.
const OPTIONS: usize = 4096;

/// See the module documentation.
pub struct Incoming {
    /// The argument, the two bytes behind it, and once these are there what came before and comes after.
    buffer: Vec<u8>,
    /// The beginning of the command, as long as it is not in the buffer.
    head: Option<Vec<u8>>,
    /// Bytes of the argument, and of what is in front of it.
    length: usize,
    before: usize,
    /// How large the buffer is meant to become.
    size: usize,
}

impl Incoming {
    /// Takes what it wants of `bytes`, and says how much that was.
    fn take(&mut self, bytes: &[u8], decoder: &mut Decoder) -> usize {
        let wanted = match &self.head {
            Some(_) => self.length + 2 - self.buffer.len(),
            // Bytes of another command would have to be copied back.
            None if self.buffer.len() < self.size => self.size - self.buffer.len(),
            None => usize::MAX,
        };
        let taken = wanted.min(bytes.len());
        self.make_room(taken);
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == self.length + 2
            && let Some(head) = self.head.take()
        {
            self.make_room(head.len());
            self.buffer.extend_from_slice(&head);
            decoder.pending_first();
        }
        taken
    }

    fn make_room(&mut self, more: usize) {
        let needed = self.buffer.len() + more;
        if needed > self.buffer.capacity() {
            let prepaid = needed.saturating_mul(PREPAID) >= self.size;
            let size = if prepaid { self.size.max(needed) } else { needed * 2 };
            self.buffer.reserve_exact(size - self.buffer.len());
        }
    }

    /// What was received, in the order in which it came.
    fn as_sent(&self) -> Vec<u8> {
        let (argument, rest) = self.buffer.split_at(self.length + 2);
        let (before, after) = rest.split_at(self.before);
        [before, argument, after].concat()
    }

    /// Bytes received.
    pub fn received(&self) -> usize {
        self.buffer.len() + self.head.as_ref().map_or(0, Vec::len)
    }

    pub fn capacity(&self) -> usize {
        self.buffer.capacity() + self.head.as_ref().map_or(0, Vec::capacity)
    }

    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

impl Conn {
    /// If what the query buffer ends with is the beginning of a large argument, gives it a buffer of its own.
    pub(super) fn expect_large(&mut self) {
        let Some(pending) = self.decoder.pending().filter(|_| self.can_execute()) else { return };
        let (before, length) = (pending.start as usize, pending.len as usize);
        if length < LARGE_STRING || before.saturating_mul(WORTHWHILE) > length {
            return;
        }
        let options = if self.decoder.arguments_left() > 1 { OPTIONS } else { 0 };
        let head = Some(self.query[..before].to_vec());
        let size = length + 2 + before + options;
        let mut incoming = Incoming { buffer: Vec::new(), head, length, before, size };
        incoming.take(&self.query[before..], &mut self.decoder);
        self.query = QueryBuffer::default();
        self.incoming = Some(Box::new(incoming));
    }
}

impl Shard {
    /// Takes what belongs to a large argument and its command, and executes the command when it is complete. Returns
    /// what comes behind it.
    pub(super) fn receive_large<'a>(&mut self, id: ConnId, mut bytes: &'a [u8]) -> &'a [u8] {
        while !bytes.is_empty()
            && let Some(conn) = self.conns[id.0 as usize].as_deref_mut()
            && let Some(incoming) = conn.incoming.as_deref_mut()
        {
            bytes = &bytes[incoming.take(bytes, &mut conn.decoder)..];
            if incoming.head.is_none() {
                self.run_incoming(id);
            }
        }
        bytes
    }

    fn run_incoming(&mut self, id: ConnId) {
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        let Some(mut incoming) = conn.incoming.take() else { return };
        let buffer = std::mem::take(&mut incoming.buffer);
        let all = buffer.len();
        let string = Arc::new(LargeString::first_of(buffer, incoming.length));
        self.brought = Some(string.clone());
        let done = self.run_pipeline(id, string.buffer(), usize::MAX);
        self.brought = None;
        let Some(conn) = self.conns[id.0 as usize].as_deref_mut() else { return };
        if done > 0 {
            conn.query.extend_from_slice(&string.buffer()[done..all]);
            // It may be a value now. If not, freeing it takes time.
            if let Some(string) = Arc::into_inner(string) {
                self.keep_buffer(string.into_buffer());
            }
            return;
        }
        incoming.buffer = Arc::into_inner(string).expect("nothing was executed").into_buffer();
        if conn.decoder.is_inside() {
            conn.incoming = Some(incoming);
        } else {
            // The command has to wait, and will be decoded anew.
            conn.query = incoming.as_sent().into();
        }
    }
}
