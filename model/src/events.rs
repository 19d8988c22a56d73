//! Keyspace events: messages about changes of keys.
//!
//! `notify-keyspace-events` selects classes by letters, and with `K` and `E` whether the channel is the key's or the
//! event's.

use crate::Model;

/// The letters that `A` stands for.
const ALL: &str = "g$lshzxetd";

impl Model {
    /// Reports an event of the class called `class`.
    pub(crate) fn notify(&mut self, class: char, event: &str, db: usize, key: &[u8]) {
        let enabled = self.config.get("notify-keyspace-events").cloned().unwrap_or_default();
        let wanted = enabled.contains(class) || enabled.contains('A') && ALL.contains(class);
        if !wanted {
            return;
        }
        if enabled.contains('K') {
            let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
            self.publish(&channel, event.as_bytes());
        }
        if enabled.contains('E') {
            self.publish(format!("__keyevent@{db}__:{event}").as_bytes(), key);
        }
    }
}
