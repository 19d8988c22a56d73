//! Glob-style patterns as KEYS, SCAN, PSUBSCRIBE, CONFIG GET and ACL rules match them.
//!
//! `*` any bytes, `?` any byte, `[a-c^x]` one of, `[^…]` none of, `\` the next byte as it is. Details that clients can
//! see and that are kept from Redis:
//!
//! - An unterminated class ends with the pattern: `[ab` is `[ab]`, and `[^` is `?`.
//! - `]` ends a class even as its first byte, and can end a range: `[a-]` is an unterminated range from `a` to `]`.
//! - Ranges compare bytes as signed, and may be given from either end.
//! - An escaped byte in a class is compared with case even when case is ignored.
//! - Nothing but the empty pattern matches the empty text, not even `*` (callers know the pattern `*` by sight).
//! - After a thousand stars that other parts of the pattern follow nothing matches.
//!
//! Cost: at most pattern length times text length. When the part after a star fails, only that last star is tried
//! further on: whatever an earlier star would leave over is a suffix of what the last star has already searched.

/// Stars that may be followed by something.
const MAX_STARS: usize = 1000;

/// Whether `text` as a whole matches `pattern`.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    walk(pattern, text, false)
}

/// The same without regard to the case of ASCII letters.
pub fn matches_nocase(pattern: &[u8], text: &[u8]) -> bool {
    walk(pattern, text, true)
}

fn walk(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    let (mut pattern_at, mut text_at) = (0, 0);
    // Behind the last star met: where the pattern goes on, and where in the text that is tried next.
    let mut retry: Option<(usize, usize)> = None;
    let mut stars = 0;
    if text.is_empty() {
        return pattern.is_empty();
    }
    loop {
        let mut failed = false;
        if text_at == text.len() {
            // A star that took more would leave even less text for the same rest of the pattern.
            return pattern[pattern_at..].iter().all(|&byte| byte == b'*');
        } else if pattern_at == pattern.len() {
            failed = true;
        } else if pattern[pattern_at] == b'*' {
            pattern_at += pattern[pattern_at..].iter().take_while(|&&byte| byte == b'*').count();
            if pattern_at == pattern.len() {
                return true;
            }
            stars += 1;
            if stars > MAX_STARS {
                return false;
            }
            retry = Some((pattern_at, text_at + 1));
        } else {
            let (matched, len) = element(&pattern[pattern_at..], text[text_at], nocase);
            pattern_at += len;
            text_at += 1;
            failed = !matched;
        }
        if failed {
            match &mut retry {
                // Where that is the end of the text, the rest of the pattern fails for the last time.
                Some((pattern_from, text_from)) => {
                    (pattern_at, text_at) = (*pattern_from, *text_from);
                    *text_from += 1;
                }
                None => return false,
            }
        }
    }
}

/// Whether the first element of `pattern`, which is not a star, matches `byte`; and the element's length.
#[inline]
fn element(pattern: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
    match *pattern {
        [b'?', ..] => (true, 1),
        [b'[', ..] => class(pattern, byte, nocase),
        [b'\\', escaped, ..] => (same(escaped, byte, nocase), 2),
        [literal, ..] => (same(literal, byte, nocase), 1),
        [] => (false, 0),
    }
}

fn same(a: u8, b: u8, nocase: bool) -> bool {
    a == b || (nocase && a.eq_ignore_ascii_case(&b))
}

fn class(pattern: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
    let negated = pattern.get(1) == Some(&b'^') && !crate::bug!(NegatedClassIgnored);
    let mut at = 1 + usize::from(negated);
    let mut found = false;
    loop {
        match pattern[at..] {
            [] => break,
            [b'\\', escaped, ..] => {
                found |= escaped == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [from, b'-', to, ..] => {
                let fold = |byte: u8| (if nocase { byte.to_ascii_lowercase() } else { byte }) as i8;
                // The ends are put in order before case is folded.
                let (from, to) = if from as i8 > to as i8 { (to, from) } else { (from, to) };
                found |= (fold(from)..=fold(to)).contains(&fold(byte));
                at += 3;
            }
            [literal, ..] => {
                found |= same(literal, byte, nocase);
                at += 1;
            }
        }
    }
    (found != negated, at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn yes(pattern: &str, text: &str) {
        assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
    }

    #[track_caller]
    fn no(pattern: &str, text: &str) {
        assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
    }

    /// Recorded from Redis 8.0.6.
    #[test]
    fn elements() {
        yes("h?llo", "hello");
        yes("h*llo", "heeeello");
        yes("h[ae]llo", "hallo");
        no("h[ae]llo", "hillo");
        yes("h[^e]llo", "hallo");
        no("h[^e]llo", "hello");
        yes("h[a-b]llo", "hbllo");
        yes("h[b-a]llo", "hallo");
        yes("a\\*b", "a*b");
        no("a\\*b", "axb");
        yes("\\", "\\");
        yes("[\\]]", "]");
        yes("a**", "a");
        yes("", "");
        no("", "a");
        no("a", "");
        yes("*a*b*", "xxaxxbxx");
        no("*a*b", "xxaxxbx");
        yes("*?", "abc");
    }

    #[test]
    fn oddities() {
        no("*", "");
        no("**", "");
        yes("[ab", "b");
        no("[", "[");
        yes("[^", "x");
        no("[]a]", "]a]");
        yes("[a-]", "_");
        no("[a-]", "-");
        yes("[a-", "-");
        no("a", "A");
        assert!(matches_nocase(b"a", b"A"));
        assert!(!matches_nocase(b"a", b"b"));
        assert!(matches_nocase(b"[A-z]", b"b"));
        assert!(!matches_nocase(b"[\\a]", b"A"));
        assert!(matches_nocase(b"[a]\\b", b"AB"));
        // Signed: 0x80 is below 0x10.
        assert!(walk(b"[\x80-\x10]", b"\x01", false));
        assert!(!walk(b"[\x20-\xff]", b"\x41", false));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let text = vec![b'a'; 20_000];
        let pattern = [b"a*".repeat(1000), b"b".to_vec()].concat();
        assert!(!walk(&pattern, &text, false));
    }

    #[test]
    fn after_a_thousand_stars_nothing_walk() {
        let text = vec![b'a'; 2_000];
        assert!(walk(&b"*a".repeat(1000), &text, false));
        assert!(!walk(&b"*a".repeat(1001), &text, false));
        assert!(walk(&[b"*a".repeat(1000), b"*".to_vec()].concat(), &text, false));
    }

    #[test]
    fn stars_take_as_much_as_the_rest_allows() {
        for text in ["ace", "abcde", "acece", "aXcXce"] {
            yes("a*c*e", text);
        }
        for text in ["a", "ac", "aec", "xace", "acex"] {
            no("a*c*e", text);
        }
    }

    #[test]
    fn classes() {
        for text in ["h[ae]llo", "hllo"] {
            no("h[ae]llo", text);
        }
        yes("[^a]", "^");
        no("[^a]", "bb");
        yes("[c-a]", "b");
        yes(r"[\]\-]", "-");
        no(r"[\a]", "\\");
        yes("a\\", "a\\");
    }

    /// The definition, with its exponential time: each star tries every place.
    fn by_definition(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|at| by_definition(rest, &text[at..], nocase)),
            ([], _) | (_, []) => false,
            ([..], [byte, rest @ ..]) => {
                let (matched, len) = element(pattern, *byte, nocase);
                matched && by_definition(&pattern[len..], rest, nocase)
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in r"[ab*?\[\]^\\A-]{0,10}", text in r"[abA\]-]{1,10}", nocase: bool) {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(walk(pattern, text, nocase), by_definition(pattern, text, nocase));
        }

        #[test]
        fn anything_may_be_asked(
            pattern in prop::collection::vec(any::<u8>(), 0..20),
            text in prop::collection::vec(any::<u8>(), 0..20),
            nocase: bool,
        ) {
            walk(&pattern, &text, nocase);
        }
    }
}
