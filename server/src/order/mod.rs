//! The shared memory of a server with several shards, and nothing else: what threads touch together.
//!
//! A shard is a *thread* (sockets, connections) and a *box* (its keyspace and all that belongs to executing commands
//! on it). The box is in one hand at a time, and the hand need not be its own thread's. Commands for another box are run
//! by whoever finds it at home; all else that concerns boxes of other threads is an entry of one order that all boxes
//! follow.
//!
//! | room | what it promises |
//! |---|---|
//! | [`word`] | where a box is: one word, four states; what was appended for a box is never left undone when it has gone home |
//! | [`place`] | the box itself, reachable only through the hand that holds it |
//! | [`log`] | the order: positions without gaps, every entry seen by every box, bounded |
//! | [`mailbox`] | boxes, or their parts of an answer, meet in an entry; the last to arrive gets all |
//! | [`tally`] | what others completed for a box is found by its holder's next look |
//! | [`sleep`] | a thread that sleeps is woken if something came for it |
//!
//! Nobody waits for anybody in any of these: there is no lock, no spinning for another thread, no blocking push.
//!
//! The order of things that the rooms cannot enforce and their users must keep:
//!
//! - Append, or count, *first*; then [notify](word::Word::notify), each box that an entry names.
//! - Whoever takes a box loads the tail of the order and applies entries up to it, before he executes anything over it; a
//!   command was read before that load.
//! - Nobody waits while holding a box, and no thread sleeps holding one.
//!
//! With one shard none of this exists at run time. Weak memory is explored by `tests/loom.rs` on these very files;
//! what the protocol built from them promises is the simulator's part.

pub mod log;
pub mod mailbox;
pub mod place;
pub mod sleep;
pub mod tally;
pub mod word;
