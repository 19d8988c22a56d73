//! Doubles: scores, timeouts in seconds, coordinates.
//!
//! Reading follows what Redis 8.0 makes of C's `strtod`; there are two readings, see [`parse_f64`] and
//! [`parse_range_f64`]. Printing is Redis 8.0's `d2string`: integers as integers, otherwise Grisu2 digits, with an
//! exponent when the plain form would be long.

use super::grisu;

/// The longest text of a double: sign, 17 digits, point, six zeros or an exponent.
const MAX_LEN: usize = 32;

/// Reads a double as a score, increment or coordinate is read.
///
/// Decimal and hexadecimal (`0x1.8p3`) forms, `inf` and `infinity` in any case, with an optional sign. Not accepted:
/// surrounding space, NaN, and what a double cannot hold (`1e400`, `1e-400`).
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    if let Some(value) = small_integer(text) {
        return Some(value);
    }
    if hex_digits(text).is_some() {
        return hexadecimal(text);
    }
    let value = decimal(text)?;
    if value == 0.0 && mantissa(text).iter().any(|byte| matches!(byte, b'1'..=b'9')) {
        return None;
    }
    if value.is_infinite() && text.iter().any(u8::is_ascii_digit) {
        return None;
    }
    Some(value)
}

/// Reads a bound of a score range: ends at the first NUL, nothing is zero, no hexadecimal form, and what is too large
/// or too small for a double is infinity or zero.
pub fn parse_range_f64(text: &[u8]) -> Option<f64> {
    let text = &text[..text.iter().position(|&byte| byte == 0).unwrap_or(text.len())];
    if text.is_empty() { Some(0.0) } else { decimal(text) }
}

/// Up to 15 digits: the common score, and exact in a double.
fn small_integer(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let value = digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| value * 10 + u64::from(digit))
    })? as f64;
    Some(if negative { -value } else { value })
}

/// The standard library reads the same decimal forms as C, NaN excepted.
fn decimal(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!value.is_nan()).then_some(value)
}

fn mantissa(text: &[u8]) -> &[u8] {
    text.split(|byte| matches!(byte, b'e' | b'E')).next().unwrap_or(text)
}

fn without_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// What follows `0x`, if the text is of that form.
fn hex_digits(text: &[u8]) -> Option<&[u8]> {
    match without_sign(text).1 {
        [b'0', b'x' | b'X', rest @ ..] => Some(rest),
        _ => None,
    }
}

fn hexadecimal(text: &[u8]) -> Option<f64> {
    let hex = Hex::parse(text)?;
    let value = if hex.mantissa == 0 {
        0.0
    } else {
        let width = 128 - hex.mantissa.leading_zeros() as i64;
        // The last bit a double of this magnitude has.
        let last = (hex.exponent.saturating_add(width - 53)).max(-1074);
        if last > 1024 {
            return None;
        }
        let rounded = round_bits(hex.mantissa, hex.sticky, last - hex.exponent);
        // At most 2^53, so exact; two steps because 2^-1074 alone is not a normal number.
        let value = rounded as f64 * 2f64.powi((last / 2) as i32) * 2f64.powi((last - last / 2) as i32);
        if rounded == 0 || value.is_infinite() {
            return None;
        }
        value
    };
    Some(if hex.negative { -value } else { value })
}

/// `mantissa / 2^shift`, rounded half to even; `sticky` says that the mantissa stands for slightly more.
pub(super) fn round_bits(mantissa: u128, sticky: bool, shift: i64) -> u128 {
    match shift {
        // Narrow mantissas are exact, and `sticky` means a full one.
        ..=0 => mantissa << -shift,
        1..=127 => {
            let kept = mantissa >> shift;
            let rest = mantissa & ((1 << shift) - 1);
            let half = 1 << (shift - 1);
            kept + u128::from(rest > half || (rest == half && (sticky || kept & 1 == 1)))
        }
        128 => u128::from(mantissa > 1 << 127 || (mantissa == 1 << 127 && sticky)),
        _ => 0,
    }
}

/// A hexadecimal floating-point text: `mantissa * 2^exponent`, and a bit less than one more unit if `sticky`.
pub(super) struct Hex {
    pub negative: bool,
    pub mantissa: u128,
    pub exponent: i64,
    pub sticky: bool,
}

impl Hex {
    pub fn parse(text: &[u8]) -> Option<Hex> {
        let (negative, _) = without_sign(text);
        let rest = hex_digits(text)?;
        let (mut mantissa, mut exponent, mut sticky) = (0u128, 0i64, false);
        let (mut seen, mut point) = (false, false);
        let mut at = 0;
        while let Some(&byte) = rest.get(at) {
            match (byte as char).to_digit(16) {
                Some(digit) => {
                    seen = true;
                    if mantissa >> 120 == 0 {
                        mantissa = mantissa << 4 | u128::from(digit);
                        exponent -= 4 * i64::from(point);
                    } else {
                        sticky |= digit != 0;
                        exponent += 4 * i64::from(!point);
                    }
                }
                None if byte == b'.' && !point => point = true,
                None => break,
            }
            at += 1;
        }
        if !seen {
            return None;
        }
        if let [b'p' | b'P', power @ ..] = &rest[at..] {
            exponent += exponent_text(power)?;
        } else if at < rest.len() {
            return None;
        }
        Some(Hex { negative, mantissa, exponent, sticky })
    }
}

/// A decimal exponent with optional sign, held within bounds far outside any format's.
pub(super) fn exponent_text(text: &[u8]) -> Option<i64> {
    let (negative, digits) = without_sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i64, |value, byte| (value * 10 + i64::from(byte - b'0')).min(1 << 40));
    Some(if negative { -value } else { value })
}

/// Room for the text of a double.
#[derive(Clone)]
pub struct FloatBuffer {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl Default for FloatBuffer {
    fn default() -> FloatBuffer {
        FloatBuffer::new()
    }
}

impl FloatBuffer {
    pub fn new() -> FloatBuffer {
        FloatBuffer { bytes: [0; MAX_LEN], len: 0 }
    }

    /// The text replies have for `value`.
    pub fn format(&mut self, value: f64) -> &[u8] {
        self.len = 0;
        if value.is_nan() {
            self.push(b"nan");
        } else if value.is_infinite() {
            self.push(if value < 0.0 { b"-inf" } else { b"inf" });
        } else if value == 0.0 {
            self.push(if value.is_sign_negative() { b"-0" } else { b"0" });
        } else if let Some(integer) = as_integer(value) {
            self.push(itoa::Buffer::new().format(integer).as_bytes());
        } else {
            self.fraction(value);
        }
        &self.bytes[..self.len]
    }

    /// The text that digests of the data are computed from: integers are treated like any number.
    pub fn format_for_digest(&mut self, value: f64) -> &[u8] {
        if !value.is_finite() || value == 0.0 {
            return self.format(value);
        }
        self.len = 0;
        self.fraction(value);
        &self.bytes[..self.len]
    }

    fn push(&mut self, text: &[u8]) {
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
    }

    fn fraction(&mut self, value: f64) {
        let mut digits = [0; 20];
        let (len, exponent) = grisu::digits(value.abs(), &mut digits);
        let digits = &digits[..len];
        if value < 0.0 {
            self.push(b"-");
        }
        // The exponent of the first digit.
        let leading = exponent + len as i32 - 1;
        let zeros = |count: i32| &b"0000000"[..count as usize];
        if exponent >= 0 && leading < len as i32 + 7 {
            self.push(digits);
            self.push(zeros(exponent));
        } else if exponent < 0 && (exponent > -7 || leading.abs() < 4) {
            let whole = len as i32 + exponent;
            if whole <= 0 {
                self.push(b"0.");
                self.push(zeros(-whole));
                self.push(digits);
            } else {
                let (whole, fraction) = digits.split_at(whole as usize);
                self.push(whole);
                self.push(b".");
                self.push(fraction);
            }
        } else {
            let (first, rest) = digits.split_at(1);
            self.push(first);
            if !rest.is_empty() {
                self.push(b".");
                self.push(rest);
            }
            self.push(if leading < 0 { b"e-" } else { b"e+" });
            self.push(itoa::Buffer::new().format(leading.unsigned_abs()).as_bytes());
        }
    }
}

/// The integer a double is, if it is one of at most half the range of i64: those print as integers.
fn as_integer(value: f64) -> Option<i64> {
    const BOUND: f64 = (i64::MAX / 2) as f64;
    let integer = value as i64;
    ((-BOUND..=BOUND).contains(&value) && integer as f64 == value).then_some(integer)
}

/// Appends `value` to 17 significant digits, as C's `%.17g` prints it: the scores ZSCAN shows of large sorted sets.
pub fn push_f64_17(out: &mut Vec<u8>, value: f64) {
    use std::io::Write;
    if !value.is_finite() {
        return push_f64(out, value);
    }
    let text = format!("{value:.16e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let start = out.len();
    let written = match exponent {
        -4..=16 => write!(out, "{value:.*}", (16 - exponent) as usize),
        _ => write!(out, "{digits}"),
    };
    debug_assert!(written.is_ok(), "a Vec takes everything");
    if out[start..].contains(&b'.') {
        let kept = out.iter().rposition(|&byte| byte != b'0').map_or(0, |last| last + 1);
        out.truncate(kept - usize::from(out[kept - 1] == b'.'));
    }
    if !(-4..=16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        let written = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
        debug_assert!(written.is_ok(), "a Vec takes everything");
    }
}

/// Appends the text replies have for `value`.
pub fn push_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(FloatBuffer::new().format(value));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(value: f64) -> String {
        String::from_utf8(FloatBuffer::new().format(value).to_vec()).unwrap()
    }

    /// Recorded from ZADD and ZSCORE of Redis 8.0.6.
    #[test]
    fn seventeen_digits_are_those_of_c() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-100.0, "-100"),
            (0.1, "0.10000000000000001"),
            (1e-4, "0.0001"),
            (1e-5, "1.0000000000000001e-05"),
            (1e-7, "9.9999999999999995e-08"),
            (17179869184.5, "17179869184.5"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (12345678901234568.0, "12345678901234568"),
            (1e22, "1e+22"),
            (1e23, "9.9999999999999992e+22"),
            (0.5, "0.5"),
            (5e-324, "4.9406564584124654e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            let mut out = b"x.0".to_vec();
            push_f64_17(&mut out, value);
            assert_eq!(String::from_utf8_lossy(&out), format!("x.0{text}"));
        }
    }

    #[test]
    fn reads_and_prints_scores() {
        for (from, to) in [
            ("inf", "inf"),
            ("+INF", "inf"),
            ("-Infinity", "-inf"),
            ("0x10", "16"),
            ("0X1P3", "8"),
            ("0x1.8p-1", "0.75"),
            ("0x.8", "0.5"),
            ("-0x1p+2", "-4"),
            ("1e-320", "1e-320"),
            ("4.9e-324", "5e-324"),
            ("1.e1", "10"),
            (".5", "0.5"),
            ("5.", "5"),
            ("+.5", "0.5"),
            ("007", "7"),
            ("1E5", "100000"),
            ("1e-5", "0.00001"),
            ("0e99999999999999", "0"),
            ("0x1.fffffffffffff8p0", "2"),
            ("123456789012345678901234567890", "1.2345678901234568e+29"),
            ("0.1", "0.1"),
            ("0x1p1023", "8.98846567431158e+307"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("0x1e", "30"),
            ("0X1.P1", "2"),
            ("2.2250738585072011e-308", "2.225073858507201e-308"),
            ("-0", "-0"),
            ("-6.907667537586594e22", "-69076675375865940000000"),
            ("111111111111111111111111111111111111111", "1.111111111111111e+38"),
        ] {
            assert_eq!(parse_f64(from.as_bytes()).map(text).as_deref(), Some(to), "{from}");
        }
        for bad in [
            "",
            " ",
            " 1",
            "1 ",
            "\t1",
            "1\n",
            "1\0",
            "\x001",
            "infin",
            "nan",
            "NaN",
            "-nan",
            "nan(1)",
            "0x",
            "0x1p",
            "0xg",
            "0x.p1",
            "0xp1",
            "1e400",
            "-1e400",
            "1e-400",
            "2e-324",
            "1e",
            "1e+",
            ".",
            "++1",
            "+",
            "-",
            "1_0",
            "1f",
            "1,5",
            "e1",
            ".e1",
            "1e99999999999999999999",
            "0x1p99999",
            "0x1p-99999",
            "0x1p1024",
            "0x1p-1075",
            "1.7976931348623159e308",
            "0b1",
            "infx",
        ] {
            assert_eq!(parse_f64(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse_f64(b"0x1p-1074"), Some(5e-324));
        assert_eq!(parse_f64(b"0x1.8p-1075"), Some(5e-324));
    }

    /// Recorded from ZRANGEBYSCORE of Redis 8.0.6.
    #[test]
    fn reads_range_bounds() {
        for (from, to) in [
            ("", 0.0),
            ("1\0", 1.0),
            ("\x001", 0.0),
            ("1e400", f64::INFINITY),
            ("-1e400", f64::NEG_INFINITY),
            ("1e-400", 0.0),
            ("+1", 1.0),
            ("5.", 5.0),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            assert_eq!(parse_range_f64(from.as_bytes()), Some(to), "{from:?}");
        }
        for bad in ["0x10", " 1", "1 ", "nan", "1e", ".", "++1", "infx", "-"] {
            assert_eq!(parse_range_f64(bad.as_bytes()), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn texts_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            if !value.is_nan() {
                prop_assert_eq!(parse_f64(FloatBuffer::new().format(value)), Some(value));
            }
        }

        /// Any double has an exact hexadecimal text.
        #[test]
        fn hexadecimal_texts_are_exact(bits: u64) {
            let value = f64::from_bits(bits);
            if value.is_finite() && value != 0.0 {
                let fraction = bits & ((1 << 52) - 1);
                let biased = (bits >> 52 & 0x7ff) as i64;
                let (lead, exponent) = if biased == 0 { (0, -1022) } else { (1, biased - 1023) };
                let sign = if value < 0.0 { "-" } else { "" };
                let hex = format!("{sign}0x{lead}.{fraction:013x}p{exponent}");
                prop_assert_eq!(parse_f64(hex.as_bytes()), Some(value));
            }
        }

        #[test]
        fn anything_may_be_asked(text in prop::collection::vec(prop::sample::select(b"0123456789.eExXpP+-inf \0a".to_vec()), 0..20)) {
            parse_f64(&text);
            parse_range_f64(&text);
        }
    }
}
