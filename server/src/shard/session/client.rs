//! The CLIENT family.

use kevy::command::CommandError;

use crate::shard::Shard;
use crate::shard::conn::Conn;

pub const BAD_NAME: CommandError =
    CommandError::Text("ERR Client names cannot contain spaces, newlines or special characters.");

/// Names have printable ASCII characters without spaces.
pub fn valid_name(name: &[u8]) -> bool {
    name.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

/// A client as CLIENT LIST shows it, without the line end.
pub fn describe(shard: &Shard, conn: &Conn) -> String {
    let _ = shard;
    format!("id={} addr={}", conn.client, conn.peer.addr)
}
