//! Numbers as Redis reads and prints them.

/// Reads a decimal integer the way Redis does: an optional `-`, no leading zeros, nothing else.
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

/// Room for any double's text.
pub struct FloatBuffer {
    bytes: Vec<u8>,
}

impl FloatBuffer {
    pub fn new() -> FloatBuffer {
        FloatBuffer { bytes: Vec::new() }
    }

    pub fn format(&mut self, value: f64) -> &[u8] {
        self.bytes = value.to_string().into_bytes();
        &self.bytes
    }
}

impl Default for FloatBuffer {
    fn default() -> FloatBuffer {
        FloatBuffer::new()
    }
}

/// Read a double.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok().filter(|number: &f64| !number.is_nan())
}
