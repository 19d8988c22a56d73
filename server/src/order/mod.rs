//! The shared memory of a server with several shards, and nothing else: what threads touch together.
//!
//! A shard is a *thread* (sockets, connections) and a *box* (its keyspace and all that belongs to executing commands
//! on it). The box is in one hand at a time, and the hand need not be its own thread's. Commands for one box reach it
//! as messages through [rings](crate::ring) or are run by whoever finds the box at home; commands for several are
//! entries of one order that all boxes follow.
//!
//! | room | what it promises |
//! |---|---|
//! | [`word`] | where a box is: one word, four states; a message is never left behind in a box that went home |
//! | [`place`] | the box itself, reachable only through the hand that holds it |
//! | [`log`] | the order: positions without gaps, every entry seen by every box, bounded |
//! | [`mailbox`] | boxes meet in an entry that needs several of them; the last to arrive gets all |
//! | [`sleep`] | a thread that sleeps is woken if something came for it |
//!
//! Nobody waits for anybody in any of these: there is no lock, no spinning for another thread, no blocking push.
//!
//! The order of things that the rooms cannot enforce and their users must keep:
//!
//! - Push, or append, *first*; then [notify](word::Word::notify), once for each push and each box an entry names.
//! - Whoever takes a box drains its rings, then loads the tail of the order, then applies entries up to it, then
//!   executes what was drained; and looks at what was queued earlier before adding anything.
//! - Nobody waits while holding a box, and no thread sleeps holding one.
//!
//! With one shard none of this exists at run time. Weak memory is explored by `tests/loom.rs` on these very files;
//! what the protocol built from them promises is the simulator's part.

pub mod log;
pub mod mailbox;
pub mod place;
pub mod sleep;
pub mod word;
