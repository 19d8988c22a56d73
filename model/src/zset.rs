//! Sorted sets: members with scores.
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

pub fn zadd(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zincrby(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zrem(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zcard(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zcount(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zlexcount(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zscore(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zmscore(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zrank(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zrevrank(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zrange(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zrangestore(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zrangebyscore(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zrangebylex(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zrevrange(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zrevrangebyscore(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zrevrangebylex(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zremrangebyrank(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zremrangebyscore(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zremrangebylex(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zpopmin(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zpopmax(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zmpop(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn bzpopmin(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn bzpopmax(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn bzmpop(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zrandmember(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zscan(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zinter(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zintercard(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zinterstore(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zunion(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zunionstore(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zdiff(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn zdiffstore(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}
