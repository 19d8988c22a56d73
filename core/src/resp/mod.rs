//! RESP2 and RESP3: bytes to commands, replies to bytes, bytes to reply trees.
//!
//! - [`args`]: the arguments of one command, borrowed ([`Args`]) or owned ([`Argv`]).
//! - [`decode`]: the request decoder, resumable at any byte ([`Decoder`]).
//! - [`reply`]: the writer handlers answer through; one text for both protocols ([`Reply`]).
//! - [`frame`]: the reply tree that clients and tests read ([`Frame`]).
//! - [`repr`](mod@repr): bytes as redis-cli quotes them.
//!
//! Architecture invariant: nothing here knows a command, a key or a connection.

pub mod args;
pub mod decode;
pub mod frame;
pub mod reply;
pub mod repr;

pub use args::{Args, Argv, Span};
pub use decode::{Decoder, Limits, Progress, ProtocolError};
pub use frame::Frame;
pub use reply::{Aggregate, Lent, Mark, Protocol, Reply};
