//! Values: one file a type. A value hides its encodings and knows no commands.

pub mod hash;
pub mod list;
pub mod listpack;
pub mod set;
pub mod zset;
