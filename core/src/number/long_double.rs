//! The arithmetic of INCRBYFLOAT and HINCRBYFLOAT: x87 extended precision, in integers.
//!
//! Redis computes these in C's `long double`, which on x86 has 64 bits of precision, and prints the result with
//! `%.17Lf`. The extra bits are visible: 0.1 + 0.2 is 0.3. So are the digits of large results, which are printed
//! exactly. Reading, adding and printing here are exact or correctly rounded (half to even), as glibc's are.
//!
//! A finite number is `mantissa * 2^exponent`. Invariant: the mantissa's top bit is set, or the exponent is the least
//! there is (subnormals), or the mantissa is 0.
//!
//! Cost: constant for texts of up to 19 digits and magnitudes up to 2^64; quadratic in the decimal exponent otherwise,
//! which the format bounds by 4951.

use super::double::{Hex, exponent_text, round_bits};

/// Texts longer than this are no numbers.
const MAX_TEXT: usize = 5 * 1024;

/// The exponent of the last bit of the smallest and of the largest numbers.
const LEAST_EXPONENT: i64 = -16445;
const GREATEST_EXPONENT: i64 = 16383 - 63;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LongDouble {
    Finite { negative: bool, mantissa: u64, exponent: i32 },
    Infinite { negative: bool },
}

impl LongDouble {
    pub const ZERO: LongDouble = LongDouble::Finite { negative: false, mantissa: 0, exponent: 0 };

    /// Reads decimal and hexadecimal forms and infinities. Not accepted: surrounding space, NaN, what overflows, and
    /// what rounds to zero without being it.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() >= MAX_TEXT {
            return None;
        }
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity") {
            return Some(LongDouble::Infinite { negative });
        }
        if let [b'0', b'x' | b'X', ..] = rest {
            let hex = Hex::parse(text)?;
            return rounded(negative, hex.mantissa, hex.exponent, hex.sticky)
                .filter(|value| value.is_exact(hex.mantissa));
        }
        decimal(negative, rest)
    }

    pub fn is_finite(self) -> bool {
        matches!(self, LongDouble::Finite { .. })
    }

    /// The sum; none if it is not a finite number.
    pub fn checked_add(self, other: LongDouble) -> Option<LongDouble> {
        let (LongDouble::Finite { exponent: a, .. }, LongDouble::Finite { exponent: b, .. }) = (self, other)
        else {
            return None;
        };
        let (large, small) = if a >= b { (self, other) } else { (other, self) };
        let (
            LongDouble::Finite { negative, mantissa, exponent },
            LongDouble::Finite { negative: minus, mantissa: addend, exponent: below },
        ) = (large, small)
        else {
            return None;
        };
        // 62 bits below the larger one's last: what falls out beyond them only matters for being there, and is
        // kept as the last bit.
        let left = u128::from(mantissa) << 62;
        let right = u128::from(addend) << 62;
        let distance = (exponent - below) as u32;
        let right = match right.checked_shr(distance) {
            Some(shifted) => shifted | u128::from(shifted << distance != right),
            None => u128::from(right != 0),
        };
        let scale = i64::from(exponent) - 62;
        if negative == minus {
            rounded(negative, left + right, scale, false)
        } else if left >= right {
            // x - x is +0.
            rounded(negative && left > right, left - right, scale, false)
        } else {
            rounded(minus, right - left, scale, false)
        }
    }

    /// The product with a small number; none if it is not finite.
    pub fn checked_mul(self, factor: u32) -> Option<LongDouble> {
        match self {
            LongDouble::Finite { negative, mantissa, exponent } => {
                rounded(negative, u128::from(mantissa) * u128::from(factor), i64::from(exponent), false)
            }
            LongDouble::Infinite { .. } => None,
        }
    }

    /// The least integer not below it, if i64 has it.
    pub fn ceil(self) -> Option<i64> {
        let LongDouble::Finite { negative, mantissa, exponent } = self else { return None };
        let magnitude = match exponent {
            0.. => u128::from(mantissa)
                .checked_shl(exponent as u32)
                .filter(|_| exponent < 64 || mantissa == 0)?,
            _ => {
                let whole = mantissa.checked_shr(exponent.unsigned_abs()).unwrap_or(0);
                let fraction = whole.checked_shl(exponent.unsigned_abs()).unwrap_or(0) != mantissa;
                u128::from(whole) + u128::from(fraction && !negative)
            }
        };
        let magnitude = i128::try_from(magnitude).ok()?;
        i64::try_from(if negative { -magnitude } else { magnitude }).ok()
    }

    pub fn is_negative(self) -> bool {
        match self {
            LongDouble::Finite { negative, mantissa, .. } => negative && mantissa != 0,
            LongDouble::Infinite { negative } => negative,
        }
    }

    /// Appends the text: 17 decimals, without the zeros at their end.
    pub fn push(self, out: &mut Vec<u8>) {
        let LongDouble::Finite { negative, mantissa, exponent } = self else {
            out.extend_from_slice(if self.is_negative() { b"-inf" } else { b"inf" });
            return;
        };
        const DECIMALS: usize = 17;
        let start = out.len();
        if negative {
            out.push(b'-');
        }
        if exponent >= 0 {
            push_integer(out, mantissa, exponent as usize);
        } else {
            let shift = exponent.unsigned_abs();
            let mut whole = mantissa.checked_shr(shift).unwrap_or(0);
            let fraction = mantissa - whole.checked_shl(shift).unwrap_or(0);
            // Below 2^64 * 10^17 < 2^121, so from a shift of 128 on it is below half.
            let one = 10u64.pow(DECIMALS as u32);
            let mut decimals =
                round_bits(u128::from(fraction) * u128::from(one), false, i64::from(shift)) as u64;
            if decimals == one {
                whole += 1;
                decimals = 0;
            }
            out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
            if decimals != 0 {
                let mut text = [b'0'; DECIMALS];
                let mut rest = decimals;
                text.iter_mut().rev().for_each(|digit| {
                    *digit += (rest % 10) as u8;
                    rest /= 10;
                });
                let zeros = text.iter().rev().take_while(|&&digit| digit == b'0').count();
                out.push(b'.');
                out.extend_from_slice(&text[..DECIMALS - zeros]);
            }
        }
        if &out[start..] == b"-0" {
            out.remove(start);
        }
    }

    pub fn to_text(self) -> Vec<u8> {
        let mut out = Vec::new();
        self.push(&mut out);
        out
    }

    /// Whether reading `source` lost nothing but precision: zero only stands for zero.
    fn is_exact(self, source: u128) -> bool {
        !matches!(self, LongDouble::Finite { mantissa: 0, .. }) || source == 0
    }
}

/// The number nearest to `mantissa * 2^exponent`, or slightly more than that if `sticky` (which needs a mantissa of
/// more than 65 bits); none if that is infinity.
fn rounded(negative: bool, mantissa: u128, exponent: i64, sticky: bool) -> Option<LongDouble> {
    if mantissa == 0 {
        return Some(LongDouble::Finite { negative, mantissa: 0, exponent: 0 });
    }
    let width = 128 - i64::from(mantissa.leading_zeros());
    let mut last = (exponent + width - 64).max(LEAST_EXPONENT);
    if last > GREATEST_EXPONENT {
        return None;
    }
    let mut kept = round_bits(mantissa, sticky, last - exponent);
    if kept >> 64 != 0 {
        kept >>= 1;
        last += 1;
    }
    (last <= GREATEST_EXPONENT).then_some(LongDouble::Finite {
        negative,
        mantissa: kept as u64,
        exponent: last as i32,
    })
}

/// Reads an unsigned decimal text.
fn decimal(negative: bool, text: &[u8]) -> Option<LongDouble> {
    let (mut digits, mut scale, mut seen, mut point) = (Vec::new(), 0i64, false, false);
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'0'..=b'9' => {
                seen = true;
                scale -= i64::from(point);
                if byte != b'0' || !digits.is_empty() {
                    digits.push(byte - b'0');
                }
            }
            b'.' if !point => point = true,
            _ => break,
        }
        at += 1;
    }
    if !seen {
        return None;
    }
    match &text[at..] {
        [] => {}
        [b'e' | b'E', power @ ..] => scale += exponent_text(power)?,
        _ => return None,
    }
    while digits.last() == Some(&0) {
        digits.pop();
        scale += 1;
    }
    if digits.is_empty() {
        return Some(LongDouble::Finite { negative, mantissa: 0, exponent: 0 });
    }
    // Far outside the format: below half of the least number, or beyond the greatest.
    let magnitude = digits.len() as i64 + scale;
    if !(-4960..=4940).contains(&magnitude) {
        return None;
    }
    let (mantissa, exponent, sticky) = match (digits.len(), scale) {
        (..=19, -18..=-1) => {
            let value = digits.iter().fold(0u128, |value, &digit| value * 10 + u128::from(digit));
            let shift = value.leading_zeros();
            let (dividend, divisor) = (value << shift, 10u128.pow(scale.unsigned_abs() as u32));
            (dividend / divisor, -i64::from(shift), dividend % divisor != 0)
        }
        (_, 0..) => {
            let mut value = Natural::from_digits(&digits);
            value.times_power_of_ten(scale as usize);
            value.top_bits()
        }
        _ => {
            let mut divisor = Natural::from_digits(&[1]);
            divisor.times_power_of_ten(scale.unsigned_abs() as usize);
            quotient(Natural::from_digits(&digits), divisor)
        }
    };
    rounded(negative, mantissa, exponent, sticky).filter(|value| value.is_exact(mantissa))
}

/// The first 128 bits or so of `dividend / divisor`: bits, exponent, and whether more follow.
fn quotient(mut dividend: Natural, mut divisor: Natural) -> (u128, i64, bool) {
    const BITS: i64 = 70;
    // Scaled so that the quotient has BITS or BITS + 1 bits.
    let shift = divisor.width() as i64 - dividend.width() as i64 + BITS;
    if shift >= 0 {
        dividend.shift_left(shift as usize);
    } else {
        divisor.shift_left(-shift as usize);
    }
    let mut bits = 0;
    divisor.shift_left(BITS as usize + 1);
    for _ in 0..=BITS + 1 {
        bits <<= 1;
        if dividend.subtract_if_not_less(&divisor) {
            bits |= 1;
        }
        divisor.halve();
    }
    (bits, -shift, !dividend.is_zero())
}

/// Appends the decimal digits of `mantissa * 2^shift`.
fn push_integer(out: &mut Vec<u8>, mantissa: u64, shift: usize) {
    let mut value = Natural { limbs: vec![mantissa as u32, (mantissa >> 32) as u32] };
    value.shift_left(shift);
    let mut groups = Vec::new();
    while !value.is_zero() {
        groups.push(value.divide_by_billion());
    }
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(buffer.format(groups.pop().unwrap_or(0)).as_bytes());
    for &group in groups.iter().rev() {
        let text = buffer.format(group).as_bytes();
        out.extend_from_slice(&b"000000000"[text.len()..]);
        out.extend_from_slice(text);
    }
}

/// A natural number of any size, least significant limb first, without zero limbs at its top.
struct Natural {
    limbs: Vec<u32>,
}

impl Natural {
    fn from_digits(digits: &[u8]) -> Natural {
        let mut value = Natural { limbs: Vec::new() };
        for group in digits.chunks(9) {
            let number = group.iter().fold(0, |number, &digit| number * 10 + u32::from(digit));
            value.multiply_add(10u32.pow(group.len() as u32), number);
        }
        value
    }

    fn multiply_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for limb in &mut self.limbs {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.limbs.push(carry as u32);
        }
    }

    fn times_power_of_ten(&mut self, power: usize) {
        // 10^n = 5^n * 2^n; 5^13 is the greatest power of five in a limb.
        for _ in 0..power / 13 {
            self.multiply_add(5u32.pow(13), 0);
        }
        self.multiply_add(5u32.pow((power % 13) as u32), 0);
        self.shift_left(power);
    }

    fn shift_left(&mut self, bits: usize) {
        self.multiply_add(1 << (bits % 32), 0);
        self.limbs.splice(0..0, std::iter::repeat_n(0, bits / 32));
        self.trim();
    }

    fn halve(&mut self) {
        let mut carry = 0;
        for limb in self.limbs.iter_mut().rev() {
            let next = *limb << 31;
            *limb = *limb >> 1 | carry;
            carry = next;
        }
        self.trim();
    }

    fn subtract_if_not_less(&mut self, other: &Natural) -> bool {
        let less = self
            .limbs
            .len()
            .cmp(&other.limbs.len())
            .then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev()));
        if less.is_lt() {
            return false;
        }
        let mut borrow = 0i64;
        for (index, limb) in self.limbs.iter_mut().enumerate() {
            borrow += i64::from(*limb) - i64::from(other.limbs.get(index).copied().unwrap_or(0));
            *limb = borrow as u32;
            borrow >>= 32;
        }
        self.trim();
        true
    }

    fn divide_by_billion(&mut self) -> u32 {
        let mut rest = 0u64;
        for limb in self.limbs.iter_mut().rev() {
            let value = rest << 32 | u64::from(*limb);
            *limb = (value / 1_000_000_000) as u32;
            rest = value % 1_000_000_000;
        }
        self.trim();
        rest as u32
    }

    fn trim(&mut self) {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
    }

    fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    fn width(&self) -> usize {
        self.limbs.last().map_or(0, |top| self.limbs.len() * 32 - top.leading_zeros() as usize)
    }

    /// The first 97 to 128 bits, their exponent, and whether there are more bits that are not zero.
    fn top_bits(&self) -> (u128, i64, bool) {
        let below = self.limbs.len().saturating_sub(4);
        let bits = self.limbs[below..].iter().rev().fold(0, |bits, &limb| bits << 32 | u128::from(limb));
        (bits, below as i64 * 32, self.limbs[..below].iter().any(|&limb| limb != 0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(a: &str, b: &str) -> Option<String> {
        let sum = LongDouble::parse(a.as_bytes())?.checked_add(LongDouble::parse(b.as_bytes())?)?;
        Some(String::from_utf8(sum.to_text()).unwrap())
    }

    /// Recorded from INCRBYFLOAT of Redis 8.0.6.
    #[test]
    fn reads_and_prints() {
        for (from, to) in [
            ("0x10", "16"),
            ("0x1.8p-1", "0.75"),
            ("-0x1p+2", "-4"),
            ("1e-400", "0"),
            ("-0", "0"),
            ("007", "7"),
            ("1e-5", "0.00001"),
            ("0x1.fffffffffffff8p0", "1.99999999999999989"),
            ("123456789012345678901234567890", "123456789012345678899921813504"),
            ("0e99999999999999", "0"),
            ("0.1", "0.1"),
            (".5", "0.5"),
            ("5.", "5"),
            ("+.5", "0.5"),
            ("-1e-400", "0"),
            ("111111111111111111111111111111111111111", "111111111111111111109322514716570943488"),
        ] {
            assert_eq!(sum("0", from).as_deref(), Some(to), "{from}");
        }
        for bad in [
            "",
            " ",
            " 1",
            "1 ",
            "1\0",
            "nan",
            "infin",
            "0x",
            "0x1p",
            "0xg",
            "1e",
            "1e+",
            ".",
            "++1",
            "1_0",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "0x1p99999",
            "0x1p-99999",
            "1e5000",
            "1e-5000",
            "-",
            "e1",
            ".e1",
        ] {
            assert_eq!(LongDouble::parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(sum("1", "inf"), None);
        assert_eq!(sum("inf", "-inf"), None);
        assert_eq!(LongDouble::parse(&[b'0'; MAX_TEXT]), None);
    }

    #[test]
    fn sums() {
        assert_eq!(sum("0.1", "0.2").as_deref(), Some("0.3"));
        assert_eq!(sum("3.0", "1.000000000000000005").as_deref(), Some("4.00000000000000001"));
        assert_eq!(sum("10.5", "0.1").as_deref(), Some("10.6"));
        assert_eq!(sum("5.0e3", "2.0e2").as_deref(), Some("5200"));
        assert_eq!(sum("1e4932", "1e4932"), None);
        assert_eq!(sum("1", "-1").as_deref(), Some("0"));
    }

    #[test]
    fn ceilings() {
        let ceil = |text: &str| LongDouble::parse(text.as_bytes()).unwrap().checked_mul(1000)?.ceil();
        assert_eq!(ceil("0"), Some(0));
        assert_eq!(ceil("0.0001"), Some(1));
        assert_eq!(ceil("1.5"), Some(1500));
        assert_eq!(ceil("-0.0001"), Some(0));
        assert_eq!(ceil("-1.5"), Some(-1500));
        assert_eq!(ceil("1e-4000"), Some(1));
        assert_eq!(ceil("9223372036854775"), Some(9223372036854775000));
        assert_eq!(ceil("9223372036854776"), None);
        assert_eq!(ceil("1e4000"), None);
        assert_eq!(ceil("1e4931"), None);
    }

    proptest! {
        /// Integers of up to 64 bits are exact.
        #[test]
        fn integers_add_exactly(a in any::<i32>(), b: i64) {
            let exact = i128::from(a) + i128::from(b);
            prop_assert_eq!(sum(&a.to_string(), &b.to_string()), Some(exact.to_string()));
        }

        /// The three ways to read a decimal agree.
        #[test]
        fn spellings_agree(digits in 1..1_000_000_000_000_000_000u64, scale in 1..18i32) {
            let plain = LongDouble::parse(format!("{digits}e-{scale}").as_bytes());
            prop_assert!(plain.is_some());
            let zeros = "0".repeat(30);
            prop_assert_eq!(LongDouble::parse(format!("{digits}.{zeros}e-{scale}").as_bytes()), plain);
            let value = quotient_of(digits, scale);
            prop_assert_eq!(value, plain);
        }

        #[test]
        fn anything_may_be_asked(text in prop::collection::vec(prop::sample::select(b"0123456789.eExXpP+-inf \0a".to_vec()), 0..20)) {
            if let Some(value) = LongDouble::parse(&text) {
                value.to_text();
                value.ceil();
                if let Some(sum) = value.checked_add(value) {
                    prop_assert_eq!(Some(sum), value.checked_mul(2));
                }
            }
        }
    }

    fn quotient_of(digits: u64, scale: i32) -> Option<LongDouble> {
        let mut divisor = Natural::from_digits(&[1]);
        divisor.times_power_of_ten(scale as usize);
        let digits: Vec<u8> = digits.to_string().bytes().map(|digit| digit - b'0').collect();
        let (bits, exponent, sticky) = quotient(Natural::from_digits(&digits), divisor);
        rounded(false, bits, exponent, sticky)
    }
}
