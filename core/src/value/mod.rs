//! Values: one file a type. A value hides its encodings and knows no commands.

pub mod zset;
