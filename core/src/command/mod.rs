//! Commands: the table, the one door, and the handlers, one file a type.
