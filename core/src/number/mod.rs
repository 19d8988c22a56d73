//! Numbers as Redis reads and prints them: which texts are numbers at all, and which text a number has, are part of
//! the protocol.
//!
//! - here: integers, as keys' values, arguments and RESP headers have them;
//! - [`double`](mod@double): scores and other doubles; `grisu`: their digits;
//! - [`long_double`]: the 80-bit arithmetic of INCRBYFLOAT and HINCRBYFLOAT.
//!
//! Nothing here knows units ("10mb") or command syntax ("(1.5").

pub mod double;
mod grisu;
pub mod long_double;

pub use double::{FloatBuffer, parse_f64, parse_range_f64, push_f64, push_f64_17};
pub use long_double::LongDouble;

/// Reads a decimal integer the way Redis does: an optional `-`, no leading zeros, no `-0`, nothing else.
///
/// The texts accepted are exactly those an integer prints as, so a string can be stored as its number and printed
/// back unchanged.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut value: u64 = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // At most 19 digits: below 10^19, which fits.
        value = value * 10 + u64::from(digit);
    }
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// Reads a decimal integer without sign under the same rules.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    match text {
        [b'0'] => Some(0),
        [b'1'..=b'9', rest @ ..] if rest.len() <= 19 => text.iter().try_fold(0u64, |value, byte| {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 { None } else { value.checked_mul(10)?.checked_add(u64::from(digit)) }
        }),
        _ => None,
    }
}

/// How many bytes an integer's text takes.
#[inline]
pub fn i64_len(value: i64) -> usize {
    usize::from(value < 0) + value.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers() {
        for good in [0, 1, -1, 10, 99, 100, i64::MAX, i64::MIN, i64::MAX / 10, 1_000_000_000_000_000_000] {
            assert_eq!(parse_i64(good.to_string().as_bytes()), Some(good));
            assert_eq!(i64_len(good), good.to_string().len());
        }
        for bad in [
            "",
            "-",
            "+1",
            "-0",
            "00",
            "01",
            "-01",
            " 1",
            "1 ",
            "1.0",
            "1e3",
            "0x1",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "18446744073709551616",
            "1\0",
            "--1",
        ] {
            assert_eq!(parse_i64(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"-1"), None);
        assert_eq!(parse_u64(b"0"), Some(0));
        assert_eq!(parse_u64(b"00"), None);
    }

    proptest! {
        #[test]
        fn a_text_is_accepted_if_it_prints_the_same(text in "-?[0-9]{0,20}") {
            let expected = text.parse::<i64>().ok().filter(|value| value.to_string() == text);
            prop_assert_eq!(parse_i64(text.as_bytes()), expected);
            let expected = text.parse::<u64>().ok().filter(|value| value.to_string() == text);
            prop_assert_eq!(parse_u64(text.as_bytes()), expected);
        }

        #[test]
        fn lengths(value: i64, shift in 0..64u32) {
            prop_assert_eq!(i64_len(value >> shift), (value >> shift).to_string().len());
        }
    }
}
