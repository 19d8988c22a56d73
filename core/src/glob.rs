//! Glob-style patterns as KEYS, SCAN, PSUBSCRIBE and CONFIG GET match them.
//!
//! `*` any bytes, `?` one byte, `[abc]` `[a-z]` `[^a]` one byte of a class or outside of it, `\` takes the next byte
//! literally. What is malformed still means something, the same as in Redis: an unclosed class ends with the pattern,
//! a `\` at the end is itself, `[a-]` is the range from `a` to `]`. One more thing is as in Redis: an empty text
//! matches the empty pattern only, not `*`.
//!
//! Two positions and one place to come back to: only the last `*` ever needs to take more, because whatever an
//! earlier one could take, the last one can as well. Time is O(pattern × text) at worst, without recursion.

/// Whether `text` as a whole matches `pattern`.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut pattern, mut text) = (pattern, text);
    let mut last_star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            if rest.is_empty() {
                return true;
            }
            last_star = Some((rest, text));
            pattern = rest;
            continue;
        }
        let Some((&byte, rest_of_text)) = text.split_first() else {
            // A `*` that took less would leave even more pattern for the same end of text.
            return pattern.is_empty();
        };
        match one_byte(pattern, byte) {
            Some(rest) => (pattern, text) = (rest, rest_of_text),
            None => {
                let Some((after_star, taken_up_to)) = last_star else { return false };
                let Some((_, taken_up_to)) = taken_up_to.split_first() else { return false };
                last_star = Some((after_star, taken_up_to));
                (pattern, text) = (after_star, taken_up_to);
            }
        }
    }
}

/// What follows the first element of `pattern`, which is no `*`, if that matches `byte`.
fn one_byte(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', class @ ..] => {
            let (member, rest) = match class {
                [b'^', class @ ..] => {
                    let (member, rest) = in_class(class, byte);
                    (!member, rest)
                }
                _ => in_class(class, byte),
            };
            member.then_some(rest)
        }
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte).then_some(rest),
    }
}

/// Whether the class that begins here contains `byte`, and what follows the class.
fn in_class(class: &[u8], byte: u8) -> (bool, &[u8]) {
    let mut rest = class;
    let mut member = false;
    loop {
        let (low, high, after) = match rest {
            [] => return (member, rest),
            [b'\\', literal, after @ ..] => (literal, literal, after),
            [b']', after @ ..] => return (member, after),
            [a, b'-', b, after @ ..] => (a.min(b), a.max(b), after),
            [literal, after @ ..] => (literal, literal, after),
        };
        member |= (low..=high).contains(&&byte);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn yes(pattern: &str, texts: &[&str]) {
        texts
            .iter()
            .for_each(|text| assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}"));
    }

    fn no(pattern: &str, texts: &[&str]) {
        texts
            .iter()
            .for_each(|text| assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}"));
    }

    #[test]
    fn stars_take_as_much_as_the_rest_allows() {
        yes("a*c*e", &["ace", "abcde", "acece", "aXcXce"]);
        no("a*c*e", &["a", "ac", "aec", "xace", "acex"]);
        yes("*", &["a", "abc"]);
        yes("a**", &["a", "ab"]);
        no("*", &[""]);
        yes("", &[""]);
        no("", &["a"]);
    }

    #[test]
    fn classes() {
        yes("h[ae]llo", &["hello", "hallo"]);
        no("h[ae]llo", &["hillo", "hllo", "h[ae]llo"]);
        yes("[^a]", &["b", "^"]);
        no("[^a]", &["a", "bb"]);
        yes("[a-c]x", &["ax", "bx", "cx"]);
        yes("[c-a]", &["b"]);
        yes(r"[\]\-]", &["]", "-"]);
        no(r"[\a]", &["\\"]);
    }

    #[test]
    fn malformed_patterns_mean_what_they_mean_in_redis() {
        yes("[ab", &["a", "b"]);
        no("[ab", &["c", "[ab"]);
        no("[", &["[", "a"]);
        yes("[^", &["a"]);
        yes("a\\", &["a\\"]);
        yes("[a-]", &["a", "]", "_"]);
        no("[a-]", &["-", "b"]);
        yes("[a-", &["a", "-"]);
    }

    #[test]
    fn many_stars_do_not_take_forever() {
        let text = vec![b'a'; 20_000];
        let pattern = [b"a*".repeat(1000), b"b".to_vec()].concat();
        assert!(!matches(&pattern, &text));
    }

    /// The same language, by the definition: a `*` takes every possible number of bytes.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|taken| slow(rest, &text[taken..])),
            _ => text.split_first().is_some_and(|(&byte, text)| {
                one_byte(pattern, byte).is_some_and(|pattern| slow(pattern, text))
            }),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?\\[\\]^\\\\-]{0,10}", text in "[ab\\]-]{1,8}") {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern, text), slow(pattern, text));
        }
    }
}
