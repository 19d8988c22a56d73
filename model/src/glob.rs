//! Patterns of KEYS, PSUBSCRIBE and their like.
//!
//! `*` any bytes, `?` one byte, `[abc]` `[^abc]` `[a-z]` one of (or none of) these, `\x` the byte itself. Redis's
//! corner cases: a class without `]` ends with the pattern; a range may be written backwards; a `\` at the end is
//! itself.

/// Whether all of `text` matches. The empty text matches nothing but the empty pattern, not even `*` (KEYS and SCAN know
/// that `*` means everything and do not ask).
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() { pattern.is_empty() } else { rest_matches(pattern, text) }
}

/// The same for a part of a text that is not empty: `*` matches its empty end.
fn rest_matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skipped| rest_matches(rest, &text[skipped..])),
        [b'?', rest @ ..] => !text.is_empty() && rest_matches(rest, &text[1..]),
        [b'[', class @ ..] => match text {
            [first, others @ ..] => {
                let (listed, rest) = class_lists(class, *first);
                listed && rest_matches(rest, others)
            }
            [] => false,
        },
        [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
            text.first() == Some(byte) && rest_matches(rest, &text[1..])
        }
    }
}

/// Whether the class behind `[` lists a byte, and the pattern after it.
fn class_lists(class: &[u8], byte: u8) -> (bool, &[u8]) {
    let (negated, mut class) = match class {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut listed = false;
    loop {
        class = match class {
            [] => return (listed != negated, class),
            [b']', rest @ ..] => return (listed != negated, rest),
            [b'\\', one, rest @ ..] => {
                listed |= *one == byte;
                rest
            }
            [from, b'-', to, rest @ ..] => {
                listed |= (*from.min(to)..=*from.max(to)).contains(&byte);
                rest
            }
            [one, rest @ ..] => {
                listed |= *one == byte;
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn examples() {
        for (pattern, text, expected) in [
            ("h?llo", "hello", true),
            ("h*o", "ho", true),
            ("h[^e]llo", "hello", false),
            ("h[z-a]llo", "hello", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("[abc", "c", true),
            ("", "", true),
            ("*", "", false),
            ("a*", "a", true),
            ("a\\", "a\\", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
