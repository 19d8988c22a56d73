//! Short decimal digits of a double by Grisu2.
//!
//! Redis 8 prints doubles with Grisu2, which is not always shortest nor closest: about one double in a thousand gets
//! a digit more, or another last digit, than an exact algorithm would give. The digits are part of the protocol, so
//! the same algorithm with the same choice of cached powers has to be used.
//!
//! Source: Florian Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with Integers", PLDI 2010.
//! The cached powers are 10^(-348 + 8i), rounded to 64 bits.
//!
//! Invariant: the digits given always read back as the same double.

/// `fraction * 2^exponent`
#[derive(Clone, Copy)]
struct Float {
    fraction: u64,
    exponent: i32,
}

const HIDDEN_BIT: u64 = 1 << 52;
const FIRST_POWER: i32 = -348;
const POWER_STEP: i32 = 8;

/// Scaled boundaries have exponents in this range, so that their integer part fits 32 bits.
const LEAST_EXPONENT: i32 = -60;
const GREATEST_EXPONENT: i32 = -32;

impl Float {
    fn normalized(self) -> Float {
        let shift = self.fraction.leading_zeros();
        Float { fraction: self.fraction << shift, exponent: self.exponent - shift as i32 }
    }

    /// The upper 64 bits of the product, rounded half up.
    fn times(self, other: Float) -> Float {
        let product = u128::from(self.fraction) * u128::from(other.fraction) + (1 << 63);
        Float { fraction: (product >> 64) as u64, exponent: self.exponent + other.exponent + 64 }
    }
}

/// The cached power that brings `exponent` into range, and its decimal exponent. Two may do; which one is taken
/// decides digits, hence the estimate and the order of the search.
fn cached_power(exponent: i32) -> (Float, i32) {
    const LOG10_OF_2: f64 = 0.301_029_995_663_981_14;
    let estimate = (-f64::from(exponent + POWERS.len() as i32) * LOG10_OF_2) as i32;
    let mut index = ((estimate - FIRST_POWER) / POWER_STEP) as usize;
    loop {
        let (fraction, power_exponent) = POWERS[index];
        let reached = exponent + power_exponent + 64;
        if reached < LEAST_EXPONENT {
            index += 1;
        } else if reached > GREATEST_EXPONENT {
            index -= 1;
        } else {
            let power = Float { fraction, exponent: power_exponent };
            return (power, FIRST_POWER + index as i32 * POWER_STEP);
        }
    }
}

/// Writes the digits of a finite positive double and returns how many there are and the exponent of the last:
/// the value is `digits * 10^exponent`.
pub(super) fn digits(value: f64, out: &mut [u8; 20]) -> (usize, i32) {
    let bits = value.to_bits();
    let (fraction, biased) = (bits & (HIDDEN_BIT - 1), (bits >> 52 & 0x7ff) as i32);
    let value = match biased {
        0 => Float { fraction, exponent: -1074 },
        _ => Float { fraction: fraction | HIDDEN_BIT, exponent: biased - 1075 },
    };

    // Halfway to the neighbours, both at the upper one's exponent. Below a power of two the neighbour is nearer.
    let upper = Float { fraction: value.fraction * 2 + 1, exponent: value.exponent - 1 }.normalized();
    let nearer = if value.fraction == HIDDEN_BIT { 2 } else { 1 };
    let lower = Float {
        fraction: ((value.fraction << nearer) - 1) << (value.exponent - nearer - upper.exponent),
        exponent: upper.exponent,
    };

    let (power, decimal_exponent) = cached_power(upper.exponent);
    let value = value.normalized().times(power);
    // One unit inwards: the products are rounded.
    let upper = Float { fraction: upper.times(power).fraction - 1, exponent: value.exponent };
    let lower = lower.times(power).fraction + 1;

    generate(upper, upper.fraction - value.fraction, upper.fraction - lower, -decimal_exponent, out)
}

/// Generates digits of `upper` until what remains is inside the interval of width `delta`, then moves the last digit
/// towards the value, which lies `distance` below `upper`.
fn generate(upper: Float, distance: u64, mut delta: u64, exponent: i32, out: &mut [u8; 20]) -> (usize, i32) {
    let point = -upper.exponent;
    let one = 1u64 << point;
    let mut integral = upper.fraction >> point;
    let mut fractional = upper.fraction & (one - 1);
    let mut len = 0;
    let mut push = |digit: u64, len: &mut usize| {
        if digit != 0 || *len > 0 {
            out[*len] = b'0' + digit as u8;
            *len += 1;
        }
    };

    let mut unit = 1_000_000_000u64;
    for kappa in (0..10).rev() {
        push(integral / unit, &mut len);
        integral %= unit;
        let rest = (integral << point) + fractional;
        if rest <= delta {
            approach(&mut out[len - 1], delta, rest, unit << point, distance);
            return (len, exponent + kappa);
        }
        unit /= 10;
    }

    let mut scale = 1u64;
    let mut kappa = 0;
    loop {
        fractional *= 10;
        delta = delta.wrapping_mul(10);
        scale = scale.wrapping_mul(10);
        kappa -= 1;
        push(fractional >> point, &mut len);
        fractional &= one - 1;
        if fractional < delta {
            approach(&mut out[len - 1], delta, fractional, one, distance.wrapping_mul(scale));
            return (len, exponent + kappa);
        }
    }
}

/// Lowers the last digit while that stays inside the interval and comes closer to the value.
fn approach(last: &mut u8, delta: u64, mut rest: u64, unit: u64, distance: u64) {
    while rest < distance
        && delta - rest >= unit
        && (rest + unit < distance || distance - rest > rest + unit - distance)
    {
        *last -= 1;
        rest += unit;
    }
}

/// `(fraction, exponent)` of 10^(-348 + 8i).
#[rustfmt::skip]
static POWERS: [(u64, i32); 87] = [
    (0xfa8fd5a0081c0288, -1220), (0xbaaee17fa23ebf76, -1193), (0x8b16fb203055ac76, -1166),
    (0xcf42894a5dce35ea, -1140), (0x9a6bb0aa55653b2d, -1113), (0xe61acf033d1a45df, -1087),
    (0xab70fe17c79ac6ca, -1060), (0xff77b1fcbebcdc4f, -1034), (0xbe5691ef416bd60c, -1007),
    (0x8dd01fad907ffc3c, -980), (0xd3515c2831559a83, -954), (0x9d71ac8fada6c9b5, -927),
    (0xea9c227723ee8bcb, -901), (0xaecc49914078536d, -874), (0x823c12795db6ce57, -847),
    (0xc21094364dfb5637, -821), (0x9096ea6f3848984f, -794), (0xd77485cb25823ac7, -768),
    (0xa086cfcd97bf97f4, -741), (0xef340a98172aace5, -715), (0xb23867fb2a35b28e, -688),
    (0x84c8d4dfd2c63f3b, -661), (0xc5dd44271ad3cdba, -635), (0x936b9fcebb25c996, -608),
    (0xdbac6c247d62a584, -582), (0xa3ab66580d5fdaf6, -555), (0xf3e2f893dec3f126, -529),
    (0xb5b5ada8aaff80b8, -502), (0x87625f056c7c4a8b, -475), (0xc9bcff6034c13053, -449),
    (0x964e858c91ba2655, -422), (0xdff9772470297ebd, -396), (0xa6dfbd9fb8e5b88f, -369),
    (0xf8a95fcf88747d94, -343), (0xb94470938fa89bcf, -316), (0x8a08f0f8bf0f156b, -289),
    (0xcdb02555653131b6, -263), (0x993fe2c6d07b7fac, -236), (0xe45c10c42a2b3b06, -210),
    (0xaa242499697392d3, -183), (0xfd87b5f28300ca0e, -157), (0xbce5086492111aeb, -130),
    (0x8cbccc096f5088cc, -103), (0xd1b71758e219652c, -77), (0x9c40000000000000, -50),
    (0xe8d4a51000000000, -24), (0xad78ebc5ac620000, 3), (0x813f3978f8940984, 30),
    (0xc097ce7bc90715b3, 56), (0x8f7e32ce7bea5c70, 83), (0xd5d238a4abe98068, 109),
    (0x9f4f2726179a2245, 136), (0xed63a231d4c4fb27, 162), (0xb0de65388cc8ada8, 189),
    (0x83c7088e1aab65db, 216), (0xc45d1df942711d9a, 242), (0x924d692ca61be758, 269),
    (0xda01ee641a708dea, 295), (0xa26da3999aef774a, 322), (0xf209787bb47d6b85, 348),
    (0xb454e4a179dd1877, 375), (0x865b86925b9bc5c2, 402), (0xc83553c5c8965d3d, 428),
    (0x952ab45cfa97a0b3, 455), (0xde469fbd99a05fe3, 481), (0xa59bc234db398c25, 508),
    (0xf6c69a72a3989f5c, 534), (0xb7dcbf5354e9bece, 561), (0x88fcf317f22241e2, 588),
    (0xcc20ce9bd35c78a5, 614), (0x98165af37b2153df, 641), (0xe2a0b5dc971f303a, 667),
    (0xa8d9d1535ce3b396, 694), (0xfb9b7cd9a4a7443c, 720), (0xbb764c4ca7a44410, 747),
    (0x8bab8eefb6409c1a, 774), (0xd01fef10a657842c, 800), (0x9b10a4e5e9913129, 827),
    (0xe7109bfba19c0c9d, 853), (0xac2820d9623bf429, 880), (0x80444b5e7aa7cf85, 907),
    (0xbf21e44003acdd2d, 933), (0x8e679c2f5e44ff8f, 960), (0xd433179d9c8cb841, 986),
    (0x9e19db92b4e31ba9, 1013), (0xeb96bf6ebadf77d9, 1039), (0xaf87023b9bf0ee6b, 1066),
];
