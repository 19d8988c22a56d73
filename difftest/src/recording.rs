//! A plan with what a reference answered, as text: below each step, what arrived after it.
//!
//! ```text
//! # redis-8.0.6
//! 0> BLPOP l 0
//! 1> RPUSH l a
//! 1< ":1\r\n"
//! 0< "*2\r\n$1\r\nl\r\n$1\r\na\r\n"
//! ```

use std::fmt::Write;

use kevy::resp::repr::Repr;
use kevy_model::generator::{BadLine, Plan, Step, split_words};

use crate::runner::Event;

/// A plan and the frames that arrived after each of its steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    pub plan: Plan,
    pub events: Vec<Vec<Event>>,
}

impl Recording {
    pub fn parse(text: &str) -> Result<Recording, BadLine> {
        let mut recording = Recording::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = || BadLine { number: index + 1, line: line.to_owned() };
            match parse_event(line) {
                Some(event) => recording.events.last_mut().ok_or_else(bad)?.push(event),
                None => {
                    recording.plan.steps.push(Step::parse(line).ok_or_else(bad)?);
                    recording.events.push(Vec::new());
                }
            }
        }
        Ok(recording)
    }

    /// Whether it has replies, and is not a plan only.
    pub fn has_replies(&self) -> bool {
        self.events.iter().any(|events| !events.is_empty())
    }

    pub fn to_text(&self, heading: &str) -> String {
        let mut text = String::new();
        for line in heading.lines() {
            let _ = writeln!(text, "# {line}");
        }
        for (step, events) in self.plan.steps.iter().zip(&self.events) {
            let _ = writeln!(text, "{step}");
            for event in events {
                let _ = writeln!(text, "{}< {}", event.conn, Repr(&event.frame));
            }
        }
        text
    }
}

fn parse_event(line: &str) -> Option<Event> {
    let (conn, frame) = line.split_once("< ")?;
    let conn = conn.parse().ok()?;
    let words = split_words(frame.as_bytes())?;
    match &words[..] {
        [frame] => Some(Event { conn, frame: frame.clone() }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_read_back_as_it_was_written() {
        let text = "# from\n# somewhere\n0> BLPOP l 0\n!advance 3\n1> RPUSH l \"\\xff< \"\n1< \":1\\r\\n\"\n\
                    0< \"*2\\r\\n$1\\r\\nl\\r\\n$3\\r\\n\\xff< \\r\\n\"\n";
        let recording = Recording::parse(text).unwrap();
        assert_eq!(recording.events[2].len(), 2);
        assert_eq!(recording.to_text("from\nsomewhere"), text);
        assert!(Recording::parse("0< \"+OK\\r\\n\"").is_err());
    }
}
