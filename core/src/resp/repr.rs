//! Bytes as redis-cli quotes them: printable ASCII as it is, everything else escaped, between double quotes.

use std::fmt::{self, Write};

/// Displays bytes in double quotes with `\\ \" \n \r \t \a \b` and `\xhh` escapes.
///
/// The inline decoder reads this form back to the same bytes.
#[derive(Clone, Copy)]
pub struct Repr<'a>(pub &'a [u8]);

impl fmt::Display for Repr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for &byte in self.0 {
            match byte {
                b'\\' => f.write_str("\\\\")?,
                b'"' => f.write_str("\\\"")?,
                b'\n' => f.write_str("\\n")?,
                b'\r' => f.write_str("\\r")?,
                b'\t' => f.write_str("\\t")?,
                0x07 => f.write_str("\\a")?,
                0x08 => f.write_str("\\b")?,
                b' '..=b'~' => f.write_char(byte as char)?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        f.write_char('"')
    }
}

impl fmt::Debug for Repr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(
            Repr(b"a \"b\"\\\n\r\t\x07\x08\x00\x7f\xff").to_string(),
            r#""a \"b\"\\\n\r\t\a\b\x00\x7f\xff""#
        );
        assert_eq!(Repr(b"").to_string(), "\"\"");
    }
}
