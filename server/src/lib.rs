//! The kevy server.
