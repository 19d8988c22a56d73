//! The quoting of configuration files: a line becomes words, and a word becomes text that reads back as itself.
//!
//! ```text
//! logfile "/var/log/a b\n\x01"      double quotes: \n \r \t \b \a, \xHH, and \ before any other byte
//! logfile 'it\'s'                   single quotes: only \' is special
//! logfile a"b c"                    a quote may open inside a word; after a closing quote a space must follow
//! ```

/// Splits a line into words; `None` when a quote is left open or something follows a closing quote.
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() || rest[0] == 0 {
            return Some(words);
        }
        let (word, after) = word(rest)?;
        words.push(word);
        rest = after;
    }
}

fn word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut quote = None;
    loop {
        rest = match (quote, rest) {
            (None, [] | [b' ' | b'\n' | b'\r' | b'\t' | 0, ..]) => return Some((word, rest)),
            (None, [mark @ (b'"' | b'\''), after @ ..]) => {
                quote = Some(*mark);
                after
            }
            (Some(_), []) => return None,
            (Some(mark), [byte, after @ ..]) if *byte == mark => {
                let closed = after.first().is_none_or(|b| b.is_ascii_whitespace() || *b == 0x0b);
                return closed.then_some((word, after));
            }
            (Some(b'\''), [b'\\', b'\'', after @ ..]) => {
                word.push(b'\'');
                after
            }
            (Some(b'"'), [b'\\', b'x', high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex(*high) << 4 | hex(*low));
                after
            }
            (Some(b'"'), [b'\\', escaped, after @ ..]) => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                after
            }
            (_, [byte, after @ ..]) => {
                word.push(*byte);
                after
            }
        };
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// The word in double quotes, printable on one line, such that [`split`] reads it back.
pub fn quoted(word: &[u8]) -> Vec<u8> {
    let mut text = vec![b'"'];
    for &byte in word {
        match byte {
            b'\\' | b'"' => text.extend([b'\\', byte]),
            b'\n' => text.extend(b"\\n"),
            b'\r' => text.extend(b"\\r"),
            b'\t' => text.extend(b"\\t"),
            0x07 => text.extend(b"\\a"),
            0x08 => text.extend(b"\\b"),
            b' '..=b'~' => text.push(byte),
            _ => text.extend(format!("\\x{byte:02x}").bytes()),
        }
    }
    text.push(b'"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(line: &str, words: &[&str]) {
        let words = words.iter().map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(split(line.as_bytes()), Some(words), "{line}");
    }

    #[test]
    fn words_and_quotes() {
        reads("", &[]);
        reads("  \t ", &[]);
        reads("hz  10 ", &["hz", "10"]);
        reads("logfile \"\"", &["logfile", ""]);
        reads(r#"a "b \"c\" \x41\n" 'd \n \'e'"#, &["a", "b \"c\" A\n", "d \\n 'e"]);
        reads(r#"a"b c" "\xzz""#, &["ab c", "xzz"]);
    }

    #[test]
    fn unbalanced() {
        for line in ["logfile \"abc", "logfile \"abc\"def", "logfile 'a'b'", "a 'b", "a \"b\\"] {
            assert_eq!(split(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn quoted_words_read_back() {
        let every = (0..=255).collect::<Vec<u8>>();
        assert_eq!(split(&quoted(&every)), Some(vec![every]));
        assert_eq!(quoted(b"tab\t\x01\xc3\xbc\"\\"), br#""tab\t\x01\xc3\xbc\"\\""#);
        assert_eq!(split(&quoted(b"")), Some(vec![vec![]]));
    }
}
