//! A plan: what clients do, step by step, as text that can be printed, kept, and shrunk line by line.
//!
//! ```text
//! # a comment
//! 0> SET k "two words\x00"      connection 0 sends a command, written as for redis-cli
//! !advance 100                  so many milliseconds pass
//! !close 1                      connection 1 ends
//! ```

use std::fmt;

use kevy::resp::repr::Repr;

/// What happens in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Command { conn: usize, argv: Vec<Vec<u8>> },
    Advance(u64),
    Close(usize),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
}

/// A line that is no step, and its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    pub number: usize,
    pub line: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: not a step: {}", self.number, self.line)
    }
}

impl std::error::Error for BadLine {}

impl Plan {
    pub fn parse(text: &str) -> Result<Plan, BadLine> {
        let mut steps = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = || BadLine { number: index + 1, line: line.to_owned() };
            steps.push(Step::parse(line).ok_or_else(bad)?);
        }
        Ok(Plan { steps })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl Step {
    pub fn parse(line: &str) -> Option<Step> {
        if let Some(directive) = line.strip_prefix('!') {
            let (word, number) = directive.split_once(' ')?;
            let number: u64 = number.trim().parse().ok()?;
            return match word {
                "advance" => Some(Step::Advance(number)),
                "close" => Some(Step::Close(number as usize)),
                _ => None,
            };
        }
        let (conn, command) = line.split_once('>')?;
        let argv = split_words(command.as_bytes()).filter(|argv| !argv.is_empty())?;
        Some(Step::Command { conn: conn.trim().parse().ok()?, argv })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Command { conn, argv } => {
                write!(f, "{conn}>")?;
                argv.iter().try_for_each(|arg| write!(f, " {}", Word(arg)))
            }
            Step::Advance(ms) => write!(f, "!advance {ms}"),
            Step::Close(conn) => write!(f, "!close {conn}"),
        }
    }
}

/// An argument as one would type it: quoted only if it must be.
pub struct Word<'a>(pub &'a [u8]);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\".contains(byte);
        match std::str::from_utf8(self.0) {
            Ok(text) if !text.is_empty() && self.0.iter().all(plain) => f.write_str(text),
            _ => fmt::Display::fmt(&Repr(self.0), f),
        }
    }
}

/// The words of a line as redis-cli splits it: `"..."` with escapes, `'...'` with `\'` only. `None` if a quote is not
/// closed or not followed by a space.
pub fn split_words(mut line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    loop {
        line = line.trim_ascii_start();
        let Some(&first) = line.first() else { return Some(words) };
        let mut word = Vec::new();
        if first == b'"' || first == b'\'' {
            line = &line[1..];
            loop {
                let (&byte, rest) = line.split_first()?;
                line = rest;
                match byte {
                    b'\\' if first == b'"' => line = unescape(line, &mut word)?,
                    b'\\' if line.first() == Some(&b'\'') => {
                        word.push(b'\'');
                        line = &line[1..];
                    }
                    _ if byte == first => break,
                    _ => word.push(byte),
                }
            }
            if line.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
                return None;
            }
        } else {
            let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
            word.extend_from_slice(&line[..end]);
            line = &line[end..];
        }
        words.push(word);
    }
}

/// Reads what stands after a backslash.
fn unescape<'a>(line: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (&byte, rest) = line.split_first()?;
    if byte == b'x'
        && let Some(digits) = rest.get(..2)
        && let Ok(digits) = std::str::from_utf8(digits)
        && let Ok(byte) = u8::from_str_radix(digits, 16)
    {
        word.push(byte);
        return Some(&rest[2..]);
    }
    word.push(match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    });
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_prints_as_it_was_written() {
        let text = "0> SET k \"two words\\x00\\\"\"\n!advance 100\n12> GET \"\"\n!close 12\n";
        assert_eq!(Plan::parse(text).unwrap().to_string(), text);
        let commented = format!("# why\n\n{text}");
        assert_eq!(Plan::parse(&commented), Plan::parse(text));
    }

    #[test]
    fn every_byte_survives() {
        let argv = vec![(0..=u8::MAX).collect::<Vec<u8>>(), b"'".to_vec(), b"a\\b".to_vec(), b"#".to_vec()];
        let step = Step::Command { conn: 3, argv };
        assert_eq!(Step::parse(&step.to_string()), Some(step));
    }

    #[test]
    fn lines_that_are_no_steps_are_named() {
        for line in ["GET k", "0> ", "x> GET k", "0> GET \"k", "!pause 3", "!advance soon"] {
            let text = format!("0> PING\n{line}");
            assert_eq!(Plan::parse(&text), Err(BadLine { number: 2, line: line.trim().to_owned() }));
        }
    }
}
