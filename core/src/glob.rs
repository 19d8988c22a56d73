//! Glob-style patterns as KEYS, SCAN, PSUBSCRIBE and CONFIG GET match them.
