//! g.
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

pub fn object_encoding(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn object_freq(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn object_idletime(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn object_refcount(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn object_help(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn del(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn unlink(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn exists(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn touch(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn type_of(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn rename(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn renamenx(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn copy(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn move_key(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn keys(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn scan(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn randomkey(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn expire(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn pexpire(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn expireat(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn pexpireat(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn ttl(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn pttl(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn expiretime(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn pexpiretime(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn persist(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}
