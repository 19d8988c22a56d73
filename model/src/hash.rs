//! Hashes: maps from fields to values.
//!
//! A command without a rule yet is a stub that says `unspecified`. The shape of a rule:
//!
//! ```text
//! pub fn hset(m: &mut Model, ask: &Ask) -> Answer {
//!     // Everything that can fail first, in Redis's order of precedence ...
//!     let mut hash = as_hash(m.find(ask, ask.arg(1)))?.unwrap_or_default();   // `read` if it only reads
//!     // ... then the change, with its event; an emptied collection goes, with the event `del` ...
//!     m.changed(ask, ask.arg(1), Value::Hash(hash), 'h', "hset");
//!     // ... and what is answered. `put` instead of `changed` overwrites any type and ends the deadline.
//!     Ok(Want::count(added))
//! }
//! ```
//!
//! Choices (SPOP, HRANDFIELD) are learnt from `ask.reply`, which is `None` in predictions: then choose anything. Pages of
//! HSCAN and its like are judged by `scan::page`; waiting is `Model::block` (see `list::blpop`).

use crate::{Answer, Ask, Model, Want};

fn unspecified() -> Answer {
    Ok(Want::Unspecified)
}

pub fn hset(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hsetnx(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hget(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hmset(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hmget(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hdel(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hgetdel(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hlen(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hstrlen(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hexists(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hkeys(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hvals(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hgetall(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hincrby(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hincrbyfloat(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hrandfield(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn hscan(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}
