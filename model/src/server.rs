//! The server: configuration, databases as wholes, introspection, functions.
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

use std::collections::BTreeMap;

use crate::{Answer, Ask, Model, Want};

fn unspecified() -> Answer {
    Ok(Want::Unspecified)
}

pub fn command(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn command_count(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn command_info(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn command_docs(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn command_list(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn command_getkeys(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn command_getkeysandflags(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn command_help(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn config_get(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn config_set(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn config_rewrite(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn config_resetstat(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn config_help(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn info(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn dbsize(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn flushdb(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn flushall(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn swapdb(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn time(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn role(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn lastsave(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn shutdown(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn monitor(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn lolwut(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn slowlog_get(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn slowlog_len(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn slowlog_reset(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn slowlog_help(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn latency_doctor(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn latency_graph(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn latency_histogram(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn latency_history(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn latency_latest(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn latency_reset(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn latency_help(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn memory_usage(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn memory_stats(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn memory_doctor(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn memory_purge(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn memory_malloc_stats(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn memory_help(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn module_list(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn module_help(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn debug(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn function_list(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn function_flush(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn function_dump(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn function_stats(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

pub fn function_help(_: &mut Model, _: &Ask) -> Answer {
    unspecified()
}

/// The directives that commands depend on, with their defaults.
pub fn default_config() -> BTreeMap<String, String> {
    [("notify-keyspace-events", ""), ("proto-max-bulk-len", "536870912")]
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .into()
}
