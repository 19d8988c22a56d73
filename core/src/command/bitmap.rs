//! Commands on the bits of strings. Bit 0 is the most significant bit of the first byte, and a string goes on with zero
//! bits for ever. Not here: how the string is stored ([`crate::keyspace::entry`]).
//!
//! Whole strings are gone through in words of 64 bits, in shapes the compiler vectorises; the bits of one integer are
//! taken out of a window of 16 bytes, which holds any 64 bits at any offset.

use super::string::{clamp_range, reversed_from_end};
use super::{Call, CommandError, Outcome};
use crate::keyspace::{Class, NewDeadline};
use crate::number::parse_i64;
use crate::value::ValueRef;

const BIT_OFFSET: CommandError = CommandError::Text("ERR bit offset is not an integer or out of range");
const BIT_VALUE: CommandError = CommandError::Text("ERR bit is not an integer or out of range");
const BIT_WANTED: CommandError = CommandError::Text("ERR The bit argument must be 1 or 0.");
const NOT_ONE_SOURCE: CommandError =
    CommandError::Text("ERR BITOP NOT must be called with a single source key.");
const INTEGER_TYPE: CommandError = CommandError::Text(
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
);
const OVERFLOW_TYPE: CommandError = CommandError::Text("ERR Invalid OVERFLOW type specified");
const ONLY_GET: CommandError = CommandError::Text("ERR BITFIELD_RO only supports the GET subcommand");

/// Reads a bit offset. `#N`, where `unit` is given, is N units from the start; the product wraps, as it does in Redis.
fn bit_offset(c: &Call<'_>, word: &[u8], unit: Option<u32>) -> Result<u64, CommandError> {
    let (digits, unit) = match (word, unit) {
        ([b'#', digits @ ..], Some(unit)) => (digits, i64::from(unit)),
        _ => (word, 1),
    };
    let offset = parse_i64(digits).ok_or(BIT_OFFSET)?.wrapping_mul(unit);
    match u64::try_from(offset) {
        Ok(offset) if offset / 8 < c.data.settings.longest_string() => Ok(offset),
        _ => Err(BIT_OFFSET),
    }
}

// --- Single bits --------------------------------------------------------------------------------------------------

pub fn setbit(c: &mut Call<'_>) -> Outcome {
    let key = c.arg(1);
    let offset = bit_offset(c, c.arg(2), None)?;
    let bit = match parse_i64(c.arg(3)) {
        Some(bit @ (0 | 1)) => bit == 1,
        _ => return Err(BIT_VALUE),
    };
    let (index, mask) = ((offset / 8) as usize, 0x80 >> (offset % 8));
    let entry = c.data.string_or_create(key)?;
    let len = entry.value().text_len();
    // The string becomes `raw` even if the bit has the value already.
    let bytes = entry.bytes_mut(len.max(index + 1));
    let old = bytes[index] & mask != 0;
    if bit {
        bytes[index] |= mask;
    } else {
        bytes[index] &= !mask;
    }
    if index >= len || old != bit {
        c.data.changed(key, Class::STRING, "setbit");
    }
    c.reply.int(i64::from(old));
    Ok(())
}

pub fn getbit(c: &mut Call<'_>) -> Outcome {
    let offset = bit_offset(c, c.arg(2), None)?;
    let mut digits = itoa::Buffer::new();
    let text = c.data.string(c.args.at(1))?.and_then(|value| value.text(&mut digits)).unwrap_or_default();
    let byte = text.get((offset / 8) as usize).copied().unwrap_or(0);
    c.reply.int(i64::from(byte & 0x80 >> (offset % 8) != 0));
    Ok(())
}

// --- Counting and finding -----------------------------------------------------------------------------------------

/// Whether the argument at `index`, which may be missing, says that a range is in bits.
fn counts_bits(c: &Call<'_>, index: usize) -> Result<bool, CommandError> {
    if index >= c.args.len() || c.is(index, "BYTE") {
        Ok(false)
    } else if c.is(index, "BIT") {
        Ok(true)
    } else {
        Err(CommandError::Syntax)
    }
}

/// The bits from the first up to, but not including, the second that a range names in a string of `len` bytes.
fn bit_range(start: i64, end: i64, in_bits: bool, len: usize) -> Option<(u64, u64)> {
    let len = len as u64;
    if in_bits {
        clamp_range(start, end, len * 8).map(|(first, last)| (first, last + 1))
    } else {
        clamp_range(start, end, len).map(|(first, last)| (first * 8, (last + 1) * 8))
    }
}

pub fn bitcount(c: &mut Call<'_>) -> Outcome {
    let (start, end, in_bits) = match c.args.len() {
        2 => (0, -1, false),
        4 | 5 => (c.int(2)?, c.int(3)?, counts_bits(c, 4)?),
        _ => return Err(CommandError::Syntax),
    };
    let mut digits = itoa::Buffer::new();
    let text = c.data.string(c.args.at(1))?.and_then(|value| value.text(&mut digits)).unwrap_or_default();
    let count = match bit_range(start, end, in_bits && !crate::bug!(BitcountCountsBytes), text.len()) {
        Some((first, past)) if !reversed_from_end(start, end) => count_bits(text, first, past),
        _ => 0,
    };
    c.reply.int(count as i64);
    Ok(())
}

/// The set bits among those from `first` up to `end` (exclusive), which are in the string and at least one.
fn count_bits(text: &[u8], first: u64, end: u64) -> u64 {
    let (from, to) = ((first / 8) as usize, end.div_ceil(8) as usize);
    let before = text[from] & !(0xff >> (first % 8));
    let after = text[to - 1] & (0xff_u32 >> (((end + 7) % 8) + 1)) as u8;
    count_ones(&text[from..to]) - u64::from(before.count_ones()) - u64::from(after.count_ones())
}

/// The set bits of all bytes.
///
/// Adders in software (Harley and Seal; W. Muła, N. Kurz, D. Lemire, "Faster population counts using AVX2
/// instructions", 2016) sum the bits of 8 words in each place, so that only one word in 8 has its bits counted. Several
/// lanes of words are summed side by side for the compiler to vectorise.
fn count_ones(bytes: &[u8]) -> u64 {
    const LANES: usize = 4;
    let (words, tail) = bytes.as_chunks::<8>();
    let (blocks, rest) = words.as_chunks::<{ 8 * LANES }>();
    let (mut ones, mut twos, mut fours, mut eights) = ([0; LANES], [0; LANES], [0; LANES], [0; LANES]);
    let population = |words: [u64; LANES]| words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
    let mut eights_counted = 0;
    for block in blocks {
        for lane in 0..LANES {
            let word = |row: usize| u64::from_ne_bytes(block[row * LANES + lane]);
            let (twos_a, sum) = carry_save(ones[lane], word(0), word(1));
            let (twos_b, sum) = carry_save(sum, word(2), word(3));
            let (fours_a, sum_of_twos) = carry_save(twos[lane], twos_a, twos_b);
            let (twos_a, sum) = carry_save(sum, word(4), word(5));
            let (twos_b, sum) = carry_save(sum, word(6), word(7));
            let (fours_b, sum_of_twos) = carry_save(sum_of_twos, twos_a, twos_b);
            (ones[lane], twos[lane]) = (sum, sum_of_twos);
            (eights[lane], fours[lane]) = carry_save(fours[lane], fours_a, fours_b);
        }
        eights_counted += population(eights);
    }
    let blocks = 8 * eights_counted + 4 * population(fours) + 2 * population(twos) + population(ones);
    let rest = rest.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum::<u64>();
    blocks + rest + tail.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// Adds three bits in each place: the carries, and the sums.
#[inline]
fn carry_save(a: u64, b: u64, c: u64) -> (u64, u64) {
    let half = a ^ b;
    (a & b | half & c, half ^ c)
}

pub fn bitpos(c: &mut Call<'_>) -> Outcome {
    let wanted = match c.int(2)? {
        0 => false,
        1 => true,
        _ => return Err(BIT_WANTED),
    };
    let (start, end, in_bits) = match c.args.len() {
        3 => (0, None, false),
        4 => (c.int(3)?, None, false),
        5 | 6 => {
            let start = c.int(3)?;
            let in_bits = counts_bits(c, 5)?;
            (start, Some(c.int(4)?), in_bits)
        }
        _ => return Err(CommandError::Syntax),
    };
    let mut digits = itoa::Buffer::new();
    let value = c.data.string(c.args.at(1))?;
    let position = match value.and_then(|value| value.text(&mut digits)) {
        // A key that is not there is zero bits without an end; a string that is there has none beyond an end given.
        None => (!wanted).then_some(0),
        Some(text) => bit_range(start, end.unwrap_or(-1), in_bits, text.len()).and_then(|(first, past)| {
            find_bit(text, first, past, wanted)
                .or((!wanted && (end.is_none() || crate::bug!(BitposBeyondEnd))).then_some(past))
        }),
    };
    c.reply.int(position.map_or(-1, |position| position as i64));
    Ok(())
}

/// The first bit of that value from `first` up to `end` (exclusive), which are in the string and at least one.
fn find_bit(text: &[u8], first: u64, end: u64, wanted: bool) -> Option<u64> {
    // Looking for a clear bit is looking for a set bit in the complement.
    let flip = if wanted { 0 } else { 0xff };
    let (from, to) = ((first / 8) as usize, end.div_ceil(8) as usize);
    let head = (text[from] ^ flip) & 0xff >> (first % 8);
    let found = if head != 0 {
        from as u64 * 8 + u64::from(head.leading_zeros())
    } else {
        let rest = &text[from + 1..to];
        let (words, _) = rest.as_chunks::<8>();
        let none = u64::from_ne_bytes([flip; 8]);
        let skipped = words.iter().take_while(|word| u64::from_ne_bytes(**word) == none).count() * 8;
        let index = skipped + rest[skipped..].iter().position(|&byte| byte != flip)?;
        (from + 1 + index) as u64 * 8 + u64::from((rest[index] ^ flip).leading_zeros())
    };
    (found < end).then_some(found)
}

// --- BITOP --------------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

pub fn bitop(c: &mut Call<'_>) -> Outcome {
    let operation = match c.arg(1) {
        word if word.eq_ignore_ascii_case(b"AND") => Operation::And,
        word if word.eq_ignore_ascii_case(b"OR") => Operation::Or,
        word if word.eq_ignore_ascii_case(b"XOR") => Operation::Xor,
        word if word.eq_ignore_ascii_case(b"NOT") => Operation::Not,
        _ => return Err(CommandError::Syntax),
    };
    if operation == Operation::Not && c.args.len() != 4 {
        return Err(NOT_ONE_SOURCE);
    }
    let mut result: Vec<u8> = Vec::new();
    for (index, key) in c.args.from(3).iter().enumerate() {
        let mut digits = itoa::Buffer::new();
        let text = c.data.string(key)?.and_then(|value| value.text(&mut digits)).unwrap_or_default();
        if index == 0 {
            result.extend_from_slice(text);
        } else {
            combine(operation, &mut result, text);
        }
    }
    if operation == Operation::Not {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    let target = c.arg(2);
    if !result.is_empty() {
        let value = ValueRef::String { bytes: &result, raw: true };
        c.data.set_encoded_string(target, value, NewDeadline::Clear);
        c.data.changed(target, Class::STRING, "set");
    } else {
        c.data.delete_target(target);
    }
    c.reply.int(result.len() as i64);
    Ok(())
}

/// Combines `source` into `result`, which becomes as long as the longer of them; the shorter counts as padded with zeroes.
fn combine(operation: Operation, result: &mut Vec<u8>, source: &[u8]) {
    let common = result.len().min(source.len());
    let pairs = result.iter_mut().zip(source);
    match operation {
        Operation::And => {
            pairs.for_each(|(result, source)| *result &= source);
            result[common..].fill(0);
            result.resize(
                if crate::bug!(BitopKeepsShortLength) {
                    result.len()
                } else {
                    result.len().max(source.len())
                },
                0,
            );
        }
        Operation::Or | Operation::Xor => {
            if operation == Operation::Or {
                pairs.for_each(|(result, source)| *result |= source);
            } else {
                pairs.for_each(|(result, source)| *result ^= source);
            }
            result.extend_from_slice(&source[common..]);
        }
        Operation::Not => unreachable!("NOT has one source"),
    }
}

// --- BITFIELD -----------------------------------------------------------------------------------------------------

/// An integer somewhere in a string: `bits` wide, 1 to 64, 63 if unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    offset: u64,
    bits: u32,
    signed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Get,
    Set(i64),
    IncrBy(i64),
}

/// What happens to a number that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

pub fn bitfield(c: &mut Call<'_>) -> Outcome {
    let (accesses, writes_to) = parse_accesses(c)?;
    match writes_to {
        Some(last_bit) => write_fields(c, &accesses, last_bit),
        None => read_fields(c, &accesses),
    }
}

pub fn bitfield_ro(c: &mut Call<'_>) -> Outcome {
    match parse_accesses(c)? {
        (accesses, None) => read_fields(c, &accesses),
        _ => Err(ONLY_GET),
    }
}

type Accesses = Vec<(Field, Access, Overflow)>;

/// Reads the subcommands; also gives the last bit of those that write.
fn parse_accesses(c: &Call<'_>) -> Result<(Accesses, Option<u64>), CommandError> {
    let mut accesses = Accesses::new();
    let mut writes_to = None;
    let mut overflow = Overflow::Wrap;
    let mut index = 2;
    while index < c.args.len() {
        let following = c.args.len() - index - 1;
        let is_get = c.is(index, "GET");
        if c.is(index, "OVERFLOW") && following >= 1 {
            overflow = match c.arg(index + 1) {
                word if word.eq_ignore_ascii_case(b"WRAP") => Overflow::Wrap,
                word if word.eq_ignore_ascii_case(b"SAT") => Overflow::Saturate,
                word if word.eq_ignore_ascii_case(b"FAIL") => Overflow::Fail,
                _ => return Err(OVERFLOW_TYPE),
            };
            index += 2;
        } else if is_get && following >= 2 {
            accesses.push((Field::parse(c, index + 1)?, Access::Get, overflow));
            index += 3;
        } else if (c.is(index, "SET") || c.is(index, "INCRBY")) && following >= 3 {
            let field = Field::parse(c, index + 1)?;
            let number = c.int(index + 3)?;
            let access = if c.is(index, "SET") { Access::Set(number) } else { Access::IncrBy(number) };
            accesses.push((field, access, overflow));
            writes_to = writes_to.max(Some(field.offset + u64::from(field.bits) - 1));
            index += 4;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok((accesses, writes_to))
}

fn read_fields(c: &mut Call<'_>, accesses: &Accesses) -> Outcome {
    let mut digits = itoa::Buffer::new();
    let text = c.data.string(c.args.at(1))?.and_then(|value| value.text(&mut digits)).unwrap_or_default();
    c.reply.array(accesses.len());
    for (field, ..) in accesses {
        c.reply.int(field.load(text));
    }
    Ok(())
}

fn write_fields(c: &mut Call<'_>, accesses: &Accesses, last_bit: u64) -> Outcome {
    let key = c.arg(1);
    let entry = c.data.string_or_create(key)?;
    let old_len = entry.value().text_len();
    // There is room for all before the first is written, and it stays even if none of them is.
    let bytes = entry.bytes_mut(old_len.max((last_bit / 8) as usize + 1));
    let grown = bytes.len() > old_len;
    let mut changes = 0;
    c.reply.array(accesses.len());
    for &(field, access, overflow) in accesses {
        let old = field.load(bytes);
        let wanted = match access {
            Access::Get => {
                c.reply.int(old);
                continue;
            }
            // Redis compares by a subtraction that wraps: a number further below than 63 bits can tell counts as above.
            Access::Set(number) if overflow == Overflow::Saturate && field.is_out_of_sight(number) => {
                field.greatest()
            }
            // What SET gives is 64 bits, signed or not as the field is.
            Access::Set(number) if field.signed => i128::from(number),
            Access::Set(number) => i128::from(number as u64),
            Access::IncrBy(increment) => i128::from(old) + i128::from(increment),
        };
        match field.fit(wanted, overflow) {
            Some(new) => {
                field.store(bytes, new);
                changes += u64::from(grown || new != old);
                c.reply.int(if matches!(access, Access::Set(_)) { old } else { new });
            }
            None => c.reply.null(),
        }
    }
    if changes > 0 {
        c.data.changed(key, Class::STRING, "setbit");
        c.data.dirty(changes - 1);
    } else if grown && !crate::bug!(BitfieldGrowthNotReplayed) {
        // No change counts, but there are zero bytes where there were none.
        let parts: Vec<&[u8]> = c.args.iter().collect();
        c.data.propagate(&parts);
    }
    Ok(())
}

impl Field {
    /// Reads a type at `index`, and the offset after it.
    fn parse(c: &Call<'_>, index: usize) -> Result<Self, CommandError> {
        let (signed, width) = match c.arg(index) {
            [b'i', width @ ..] => (true, width),
            [b'u', width @ ..] => (false, width),
            _ => return Err(INTEGER_TYPE),
        };
        let bits = match parse_i64(width) {
            Some(bits @ 1..=63) => bits as u32,
            Some(64) if signed => 64,
            _ => return Err(INTEGER_TYPE),
        };
        Ok(Self { offset: bit_offset(c, c.arg(index + 1), Some(bits))?, bits, signed })
    }

    /// The 16 bytes from the first byte of the field on, as a number; what is beyond the string is zero. Also gives
    /// where they begin, how many of them are in the string, and how far the field is from the lowest bit.
    fn window(self, bytes: &[u8]) -> (u128, usize, usize, u32) {
        let start = (self.offset / 8) as usize;
        let present = bytes.get(start..).unwrap_or_default();
        let len = present.len().min(16);
        let mut window = [0; 16];
        window[..len].copy_from_slice(&present[..len]);
        let shift = 128 - (self.offset % 8) as u32 - self.bits;
        (u128::from_be_bytes(window), start, len, shift)
    }

    fn load(self, bytes: &[u8]) -> i64 {
        let (window, _, _, shift) = self.window(bytes);
        self.wrap((window >> shift) as i128) as i64
    }

    /// Writes a number that fits. The field must lie in the string.
    fn store(self, bytes: &mut [u8], number: i64) {
        let (window, start, len, shift) = self.window(bytes);
        let mask = self.mask() << shift;
        let window = window & !mask | (number as u128) << shift & mask;
        bytes[start..start + len].copy_from_slice(&window.to_be_bytes()[..len]);
    }

    fn mask(self) -> u128 {
        (1 << self.bits) - 1
    }

    fn greatest(self) -> i128 {
        (self.mask() >> u32::from(self.signed)) as i128
    }

    /// Whether a number to be set is so far below that the distance to the greatest one does not fit 63 bits.
    fn is_out_of_sight(self, number: i64) -> bool {
        self.signed && self.bits < 64 && self.greatest() - i128::from(number) > i128::from(i64::MAX)
    }

    /// The number that the lowest bits of `number` are in this field.
    fn wrap(self, number: i128) -> i128 {
        let beyond = 128 - self.bits;
        if self.signed { number << beyond >> beyond } else { number & self.mask() as i128 }
    }

    /// The number to be stored for `number`; none if it must not be.
    fn fit(self, number: i128, overflow: Overflow) -> Option<i64> {
        let greatest = self.greatest();
        let least = if self.signed { -greatest - 1 } else { 0 };
        let fitting = match overflow {
            _ if (least..=greatest).contains(&number) => number,
            Overflow::Wrap => self.wrap(number),
            Overflow::Saturate if crate::bug!(SaturationWraps) => self.wrap(number),
            Overflow::Saturate => number.clamp(least, greatest),
            Overflow::Fail if crate::bug!(FailSaturates) => number.clamp(least, greatest),
            Overflow::Fail => return None,
        };
        Some(fitting as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::Db;
    use crate::rng::Rng;

    fn bit(text: &[u8], position: u64) -> bool {
        text[(position / 8) as usize] & 0x80 >> (position % 8) != 0
    }

    #[test]
    fn counting_and_finding_agree_with_looking_at_every_bit() {
        let mut rng = Rng::new(7);
        for len in [1, 2, 3, 8, 9, 17, 40] {
            // Runs of equal bytes, so that whole words are skipped.
            for fill in [0, 0xff, 0x5a] {
                let mut text = vec![fill; len];
                text[rng.below(len as u64) as usize] = rng.next_u64() as u8;
                for first in 0..len as u64 * 8 {
                    for end in first + 1..=len as u64 * 8 {
                        let naive = (first..end).filter(|&position| bit(&text, position)).count();
                        assert_eq!(count_bits(&text, first, end), naive as u64, "{text:?} {first}..{end}");
                        for wanted in [false, true] {
                            let naive = (first..end).find(|&position| bit(&text, position) == wanted);
                            assert_eq!(find_bit(&text, first, end, wanted), naive, "{text:?} {first}..{end}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn counting_long_strings() {
        let mut rng = Rng::new(9);
        let text: Vec<u8> = (0..3000).map(|_| rng.next_u64() as u8).collect();
        for len in (0..text.len()).step_by(7) {
            let naive: u32 = text[..len].iter().map(|byte| byte.count_ones()).sum();
            assert_eq!(count_ones(&text[..len]), u64::from(naive), "{len}");
        }
        assert_eq!(count_ones(&[0xff; 1 << 16]), 1 << 19);
    }

    #[test]
    fn fields_are_their_bits_and_touch_no_others() {
        let mut rng = Rng::new(8);
        for bits in 1..=64 {
            for offset in 0..24 {
                for signed in [true, false] {
                    if bits == 64 && !signed {
                        continue;
                    }
                    let field = Field { offset, bits, signed };
                    let mut text: Vec<u8> = (0..12).map(|_| rng.next_u64() as u8).collect();
                    let before = text.clone();
                    let number = field.wrap(i128::from(rng.next_u64())) as i64;
                    field.store(&mut text, number);
                    assert_eq!(field.load(&text), number, "{field:?}");
                    for position in 0..96u64 {
                        let index = position.checked_sub(offset).filter(|index| *index < u64::from(bits));
                        let expected = match index {
                            Some(index) => number as u64 >> (u64::from(bits) - 1 - index) & 1 != 0,
                            None => bit(&before, position),
                        };
                        assert_eq!(bit(&text, position), expected, "{field:?} {position}");
                    }
                }
            }
        }
    }

    #[test]
    fn fields_beyond_the_end_read_as_zero() {
        let field = Field { offset: 12, bits: 8, signed: false };
        assert_eq!(field.load(b"\xff\xff"), 0xf0);
        assert_eq!(field.load(b"\xff"), 0);
        assert_eq!(field.load(b""), 0);
    }

    #[test]
    fn combining_pads_the_shorter_with_zeroes() {
        for (operation, function) in [
            (Operation::And, (|a, b| a & b) as fn(u8, u8) -> u8),
            (Operation::Or, |a, b| a | b),
            (Operation::Xor, |a, b| a ^ b),
        ] {
            for (a, b) in [
                (&b"\x0f\xf0\x33"[..], &b"\x55"[..]),
                (b"\x55", b"\x0f\xf0\x33"),
                (b"", b"\xff"),
                (b"\xff", b""),
            ] {
                let mut result = a.to_vec();
                combine(operation, &mut result, b);
                let at = |text: &[u8], index| text.get(index).copied().unwrap_or(0);
                let naive: Vec<u8> =
                    (0..a.len().max(b.len())).map(|index| function(at(a, index), at(b, index))).collect();
                assert_eq!(result, naive, "{operation:?} {a:?} {b:?}");
            }
        }
    }

    #[test]
    fn room_made_for_nothing_is_replayed_though_no_change_counts() {
        let mut db = Db::new();
        let command = "BITFIELD k OVERFLOW FAIL INCRBY u2 0 10";
        assert_eq!(db.run(command), "1) (nil)");
        assert_eq!(db.run("STRLEN k"), "(integer) 1");
        assert_eq!((db.dirty(), db.modified().len(), db.journal()), (0, 0, vec![command.to_string()]));
        db.ok("BITFIELD k SET u8 0 5 INCRBY u8 0 1 INCRBY u8 0 0");
        assert_eq!((db.dirty(), db.modified().len()), (2, 1));
    }
}
