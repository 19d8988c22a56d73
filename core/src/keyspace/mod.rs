//! The keyspace: databases, entries, the table they live in, expiry, scan.

pub mod table;
