//! Numbers as Redis reads and prints them, from their definitions: exact arithmetic on naturals of any size.

use std::ops::RangeInclusive;

/// A 64-bit integer in the one way it is printed: no plus, no leading zeros, no spaces.
pub fn int(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse::<i64>().ok().filter(|value| value.to_string() == text)
}

/// An integer within bounds.
pub fn int_from(text: &[u8], bounds: RangeInclusive<i64>) -> Option<i64> {
    int(text).filter(|value| bounds.contains(value))
}

/// An unsigned 64-bit integer as cursors are read: strictly if it can be, else as C's `strtoull` does (leading
/// spaces, a sign that wraps around, leading zeros), except that `-1` in its strict form is refused.
pub fn unsigned(text: &[u8]) -> Option<u64> {
    if let Some(value) = int(text) {
        return u64::try_from(value).ok();
    }
    let text = text.split(|&byte| byte == 0).next()?;
    let spaces = text.iter().take_while(|byte| is_c_space(byte)).count();
    let (negative, digits) = match &text[spaces..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if negative { value.wrapping_neg() } else { value })
}

/// C's `isspace`.
fn is_c_space(byte: &u8) -> bool {
    matches!(byte, b' ' | 9..=13)
}

/// Bytes as characters, one each: how error texts hold what users sent.
pub fn latin1(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().map(char::from).collect()
}

/// A double as replies print it: an integer up to half the range of 64 bits as such, anything else with the shortest
/// digits that read back as the number, plain up to about 21 places.
pub fn double_text(value: f64) -> String {
    if is_plain_integer(value) {
        return (value as i64).to_string();
    }
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    // Rust prints `-1.25e-7` with the same shortest digits.
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let digits = mantissa.replace('.', "");
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{sign}{}", lay_out(&digits, exponent))
}

/// Whether it is printed as an integer, all digits being exact.
fn is_plain_integer(value: f64) -> bool {
    const LARGEST: f64 = (1u64 << 62) as f64;
    value.fract() == 0.0 && value.abs() <= LARGEST && !(value == 0.0 && value.is_sign_negative())
}

/// `digits` with the point behind the first of them, times a power of ten.
fn lay_out(digits: &str, exponent: i32) -> String {
    let count = digits.len() as i32;
    let last_place = exponent - count + 1;
    if last_place >= 0 && exponent < count + 7 {
        format!("{digits}{}", "0".repeat(last_place as usize))
    } else if last_place < 0 && (last_place > -7 || exponent.abs() < 4) {
        let before_point = count + last_place;
        if before_point <= 0 {
            format!("0.{}{digits}", "0".repeat(-before_point as usize))
        } else {
            let (whole, fraction) = digits.split_at(before_point as usize);
            format!("{whole}.{fraction}")
        }
    } else {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{first}{point}{rest}e{sign}{}", exponent.abs())
    }
}

/// Whether `text` may stand for `value`. Redis's algorithm (Grisu 2) finds the shortest digits nearly always; where it
/// does not, it has up to 17 of them, which still read back as the number.
pub fn is_double_text(text: &[u8], value: f64) -> bool {
    let shortest = double_text(value);
    if text == shortest.as_bytes() {
        return true;
    }
    let Some(text) = std::str::from_utf8(text).ok().filter(|_| value.is_finite() && !is_plain_integer(value))
    else {
        return false;
    };
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let Some((digits, exponent)) = significant_digits(unsigned) else { return false };
    text.parse::<f64>().is_ok_and(|read| read == value)
        && (15..=17).contains(&digits.len())
        && unsigned == lay_out(&digits, exponent)
}

/// The digits of a decimal number, from the first to the last that are not 0, and the power of ten of the first.
fn significant_digits(text: &str) -> Option<(String, i32)> {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    let leading_zeros = digits.len() - significant.len();
    let exponent = exponent.parse::<i32>().ok()? + (whole.len() as i32 - 1 - leading_zeros as i32);
    Some((significant.trim_end_matches('0').to_string(), exponent))
}

/// A number as a double, as scores are read (C's `strtod`): decimal, hexadecimal or `inf`, nothing around it, and
/// neither too large nor too small.
pub fn double(text: &[u8]) -> Option<f64> {
    let is_hex = text.iter().any(|byte| matches!(byte, b'x' | b'X'));
    let value = if is_hex { LongDouble::parse(text)?.to_f64() } else { decimal_double(text)? };
    let mantissa = text.split(|byte| matches!(byte, b'e' | b'E')).next()?;
    let is_zero = is_hex || mantissa.iter().all(|byte| matches!(byte, b'0' | b'.' | b'+' | b'-'));
    let spelled_out = text.to_ascii_lowercase().windows(3).any(|part| part == b"inf");
    let too_large = value.is_infinite() && !spelled_out;
    let too_small = value == 0.0 && !is_zero;
    Some(value).filter(|_| !too_large && !too_small)
}

/// A decimal number or `inf`, nothing around it; what is too large becomes infinite.
pub fn decimal_double(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(value).filter(|value| !value.is_nan())
}

/// A natural number of any size: 32 bits a limb, the lowest first, no zero limb at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Natural(Vec<u32>);

impl Natural {
    fn of(value: u128) -> Natural {
        let limbs = (0..4).map(|limb| (value >> (32 * limb)) as u32).collect();
        Natural(limbs).trimmed()
    }

    fn trimmed(mut self) -> Natural {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn bits(&self) -> usize {
        self.0.last().map_or(0, |top| self.0.len() * 32 - top.leading_zeros() as usize)
    }

    /// `self * factor + addend`
    fn times_plus(&self, factor: u32, addend: u32) -> Natural {
        let mut carry = addend as u64;
        let mut limbs = Vec::new();
        for &limb in &self.0 {
            carry += limb as u64 * factor as u64;
            limbs.push(carry as u32);
            carry >>= 32;
        }
        limbs.push(carry as u32);
        Natural(limbs).trimmed()
    }

    fn power_of_ten(exponent: usize) -> Natural {
        (0..exponent).fold(Natural::of(1), |product, _| product.times_plus(10, 0))
    }

    fn times(&self, other: &Natural) -> Natural {
        let rows = other.0.iter().enumerate();
        rows.fold(Natural(vec![]), |sum, (place, &limb)| {
            sum.plus(&self.times_plus(limb, 0).shifted(32 * place))
        })
    }

    fn plus(&self, other: &Natural) -> Natural {
        let mut carry = 0u64;
        let mut limbs = Vec::new();
        for place in 0..=self.0.len().max(other.0.len()) {
            carry += *self.0.get(place).unwrap_or(&0) as u64 + *other.0.get(place).unwrap_or(&0) as u64;
            limbs.push(carry as u32);
            carry >>= 32;
        }
        Natural(limbs).trimmed()
    }

    /// The difference; `other` must not be the greater.
    fn minus(&self, other: &Natural) -> Natural {
        let mut borrow = 0i64;
        let mut limbs = Vec::new();
        for (place, &limb) in self.0.iter().enumerate() {
            borrow += limb as i64 - *other.0.get(place).unwrap_or(&0) as i64;
            limbs.push(borrow as u32);
            borrow >>= 32;
        }
        Natural(limbs).trimmed()
    }

    fn shifted(&self, bits: usize) -> Natural {
        let mut limbs = vec![0; bits / 32];
        limbs.extend(&self.0);
        Natural(limbs).times_plus(1 << (bits % 32), 0)
    }

    fn bit(&self, place: usize) -> bool {
        self.0.get(place / 32).is_some_and(|limb| limb >> (place % 32) & 1 == 1)
    }

    /// `self / 2^bits`, rounded half to even.
    fn rounded_shift(&self, bits: usize) -> Natural {
        if bits == 0 {
            return self.clone();
        }
        let limbs: Vec<u32> = (0..self.0.len().saturating_sub(bits / 32))
            .map(|limb| (0..32).fold(0, |l, b| l | (self.bit(bits + 32 * limb + b) as u32) << b))
            .collect();
        let floor = Natural(limbs).trimmed();
        let rest_below_half = !(0..bits - 1).any(|place| self.bit(place));
        let up = self.bit(bits - 1) && (floor.bit(0) || !rest_below_half);
        floor.plus(&Natural::of(up as u128))
    }

    /// The quotient with at least 66 significant bits and a last bit that is set if anything was cut off, and its
    /// binary exponent.
    fn divided_by(&self, divisor: &Natural) -> (Natural, i32) {
        let scale = (divisor.bits() + 67).saturating_sub(self.bits());
        let mut rest = self.shifted(scale);
        let mut quotient = Natural(vec![]);
        for place in (0..=rest.bits() - divisor.bits()).rev() {
            let part = divisor.shifted(place);
            let fits = rest.is_at_least(&part);
            if fits {
                rest = rest.minus(&part);
            }
            quotient = quotient.times_plus(2, fits as u32);
        }
        (quotient.times_plus(2, !rest.is_zero() as u32), -(scale as i32) - 1)
    }

    fn is_at_least(&self, other: &Natural) -> bool {
        (self.0.len(), self.0.iter().rev().collect::<Vec<_>>())
            >= (other.0.len(), other.0.iter().rev().collect::<Vec<_>>())
    }

    fn decimal(&self) -> String {
        let mut rest = self.clone();
        let mut digits = Vec::new();
        while !rest.is_zero() {
            let mut remainder = 0u64;
            for limb in rest.0.iter_mut().rev() {
                remainder = remainder << 32 | *limb as u64;
                *limb = (remainder / 10) as u32;
                remainder %= 10;
            }
            digits.push(char::from(b'0' + remainder as u8));
            rest = rest.trimmed();
        }
        if digits.is_empty() { "0".into() } else { digits.into_iter().rev().collect() }
    }
}

/// The x87 extended double in which Redis computes INCRBYFLOAT and timeouts: a significand of 64 bits.
#[derive(Clone, Debug, PartialEq)]
pub enum LongDouble {
    Infinite {
        negative: bool,
    },
    /// `mantissa * 2^exponent`
    Finite {
        negative: bool,
        mantissa: u64,
        exponent: i32,
    },
}

impl LongDouble {
    /// As C's `strtold`, all of the text, no space before it; nothing that is NaN or out of range.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        const LONGEST: usize = 5 * 1024 - 1;
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= LONGEST)?;
        let negative = text.starts_with('-');
        let text = text.strip_prefix(['+', '-']).unwrap_or(text).to_ascii_lowercase();
        if text == "inf" || text == "infinity" {
            return Some(LongDouble::Infinite { negative });
        }
        let (base, text) = text.strip_prefix("0x").map_or((10, text.as_str()), |hex| (16, hex));
        let (mantissa, exponent) = match text.split_once(if base == 16 { 'p' } else { 'e' }) {
            Some((mantissa, exponent)) => (mantissa, exponent_value(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
            return None;
        }
        let significand = (digits.chars().filter_map(|digit| digit.to_digit(base)))
            .fold(Natural(vec![]), |sum, digit| sum.times_plus(base, digit));
        if significand.is_zero() {
            return Some(LongDouble::Finite { negative, mantissa: 0, exponent: 0 });
        }
        let value = if base == 16 {
            LongDouble::rounded(negative, &significand, exponent - 4 * fraction.len() as i32)
        } else {
            let exponent = exponent - fraction.len() as i32;
            // Far outside of the range the powers of ten need not be computed.
            if exponent.unsigned_abs() as usize > 5000 + digits.len() {
                return None;
            }
            let power = Natural::power_of_ten(exponent.unsigned_abs() as usize);
            let (quotient, scale) = match exponent {
                0.. => (significand.times(&power), 0),
                _ => significand.divided_by(&power),
            };
            LongDouble::rounded(negative, &quotient, scale)
        };
        let in_range = match value {
            LongDouble::Finite { mantissa, exponent, .. } => {
                exponent + (64 - mantissa.leading_zeros() as i32) > -16445
            }
            LongDouble::Infinite { .. } => false,
        };
        Some(value).filter(|_| in_range)
    }

    fn rounded(negative: bool, value: &Natural, exponent: i32) -> LongDouble {
        const MAX_EXPONENT: i32 = 16384;
        let cut = value.bits().saturating_sub(64);
        let rounded = value.rounded_shift(cut);
        let exponent = exponent + cut as i32;
        if rounded.bits() as i32 + exponent > MAX_EXPONENT {
            return LongDouble::Infinite { negative };
        }
        // Rounding up can have made it 2^64.
        let (rounded, exponent) =
            if rounded.bits() > 64 { (rounded.rounded_shift(1), exponent + 1) } else { (rounded, exponent) };
        let limb = |place: usize| *rounded.0.get(place).unwrap_or(&0) as u64;
        LongDouble::Finite { negative, mantissa: limb(1) << 32 | limb(0), exponent }
    }

    /// The sum; `None` if it is no finite number.
    pub fn plus(&self, other: &LongDouble) -> Option<LongDouble> {
        use LongDouble::Finite;
        let (
            Finite { negative, mantissa, exponent },
            Finite { negative: other_negative, mantissa: other_mantissa, exponent: other_exponent },
        ) = (self, other)
        else {
            return None;
        };
        let low = *exponent.min(other_exponent);
        let a = Natural::of(*mantissa as u128).shifted((exponent - low) as usize);
        let b = Natural::of(*other_mantissa as u128).shifted((other_exponent - low) as usize);
        let (negative, sum) = if negative == other_negative {
            (*negative, a.plus(&b))
        } else if a.is_at_least(&b) {
            (*negative, a.minus(&b))
        } else {
            (*other_negative, b.minus(&a))
        };
        Some(LongDouble::rounded(negative, &sum, low)).filter(|sum| matches!(sum, Finite { .. }))
    }

    pub fn times_1000(&self) -> LongDouble {
        match *self {
            LongDouble::Finite { negative, mantissa, exponent } => {
                LongDouble::rounded(negative, &Natural::of(mantissa as u128 * 1000), exponent)
            }
            LongDouble::Infinite { .. } => self.clone(),
        }
    }

    fn to_f64(&self) -> f64 {
        let (negative, magnitude) = match *self {
            LongDouble::Infinite { negative } => (negative, f64::INFINITY),
            LongDouble::Finite { negative, mantissa, exponent } => {
                (negative, mantissa as f64 * 2f64.powi(exponent))
            }
        };
        if negative { -magnitude } else { magnitude }
    }

    /// Rounded up; `None` above the range, the least integer below it.
    pub fn ceil_to_i64(&self) -> Option<i64> {
        let &LongDouble::Finite { negative, mantissa, exponent } = self else {
            return (*self == LongDouble::Infinite { negative: true }).then_some(i64::MIN);
        };
        let mantissa = mantissa as i128;
        let magnitude = match exponent {
            63.. if mantissa != 0 => i128::MAX,
            0.. => mantissa << exponent.min(62),
            ..-64 => (mantissa != 0 && !negative) as i128,
            _ => {
                let floor = mantissa >> -exponent;
                let cut = floor << -exponent != mantissa;
                floor + (cut && !negative) as i128
            }
        };
        let value = if negative { magnitude.checked_neg()? } else { magnitude };
        if value < i64::MIN as i128 { Some(i64::MIN) } else { i64::try_from(value).ok() }
    }

    /// With at most 17 decimals, trailing zeros cut.
    pub fn text(&self) -> String {
        let &LongDouble::Finite { negative, mantissa, exponent } = self else { return "inf".into() };
        let mantissa = Natural::of(mantissa as u128);
        let text = match usize::try_from(exponent) {
            Ok(shift) => mantissa.shifted(shift).decimal(),
            Err(_) => {
                let scaled = mantissa.times(&Natural::power_of_ten(17));
                let digits = scaled.rounded_shift(exponent.unsigned_abs() as usize).decimal();
                let digits = format!("{digits:0>18}");
                let (whole, fraction) = digits.split_at(digits.len() - 17);
                format!("{whole}.{fraction}").trim_end_matches('0').trim_end_matches('.').to_string()
            }
        };
        if negative && text != "0" { format!("-{text}") } else { text }
    }
}

/// An exponent; one that is too large for anything is as good as any such.
fn exponent_value(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let value = digits.parse::<i32>().unwrap_or(1_000_000).min(1_000_000);
    Some(if text.starts_with('-') { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_form() {
        assert_eq!(int(b"-9223372036854775808"), Some(i64::MIN));
        for bad in ["", "+1", "01", "-0", " 1", "1 ", "9223372036854775808", "1.0"] {
            assert_eq!(int(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(unsigned(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!((unsigned(b"-1"), unsigned(b" +7"), unsigned(b"1x")), (None, Some(7), None));
    }

    #[test]
    fn doubles() {
        for (value, text) in [
            (1.0, "1"),
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (-0.0, "-0"),
            (1e18, "1000000000000000000"),
            (4.6e18, "4600000000000000000"),
            (9.2e18, "9.2e+18"),
            (1e20, "1e+20"),
            (12345678901234567e3, "12345678901234567000"),
            (1e22, "1e+22"),
            (1e-7, "1e-7"),
            (1.25e-10, "1.25e-10"),
            (f64::INFINITY, "inf"),
            (123456.789, "123456.789"),
        ] {
            assert_eq!(double_text(value), text);
        }
        let allowed = |text: &str, value| is_double_text(text.as_bytes(), value);
        assert!(allowed("3667800000000000300000", 36678e17) && allowed("10595999999999999000000", 10596e18));
        assert!(!allowed("3667800000000000300001", 36678e17) && !allowed("3.6678000000000003e+21", 36678e17));
        assert!(!allowed("0.10000000000000001e0", 0.1) && !allowed("1.00000000000000000", 1.0));
    }

    #[test]
    fn long_doubles() {
        let sum = |a: &str, b: &str| {
            let [a, b] = [a, b].map(|text| LongDouble::parse(text.as_bytes()).unwrap());
            a.plus(&b).unwrap().text()
        };
        assert_eq!(sum("10.5", "0.1"), "10.6");
        assert_eq!(sum("3", "0.14"), "3.14");
        assert_eq!(sum("5e3", "2.0e2"), "5200");
        assert_eq!(sum("0x10", "0x1p-3"), "16.125");
        assert_eq!(sum("0", "1e40"), "9999999999999999999783686092270256259072");
        assert_eq!(sum("0", "-1e-40"), "0");
        assert_eq!(sum("1", "-1"), "0");
        for bad in ["", ".", "1e", "nan", "1e5000", "1e-5000", " 1", "0x", "1x"] {
            assert_eq!(LongDouble::parse(bad.as_bytes()), None, "{bad}");
        }
        let ceil = |text: &str| LongDouble::parse(text.as_bytes()).unwrap().times_1000().ceil_to_i64();
        assert_eq!((ceil("0.0001"), ceil("-0.001"), ceil("-0.0011")), (Some(1), Some(0), Some(-1)));
        assert_eq!((ceil("1e300"), ceil("-inf"), ceil("inf")), (None, Some(i64::MIN), None));
    }
}
