//! RESP2 and RESP3: bytes to commands, replies to bytes, bytes to reply trees.
