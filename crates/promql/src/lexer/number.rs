//! Numbers and durations: `1e3`, `0x1f`, `017`, `1_000`, `5m`, `1h30m`.
//!
//! Invariant: what is taken for a number, and where a bad one ends, is what Prometheus' `scanNumber` and
//! `acceptRemainingDuration` (`promql/parser/lex.go`, v3.13) take.

use super::{Lexed, Lexer, TokenKind};

impl Lexer<'_> {
    /// A number or duration, whose first character has been read.
    pub(super) fn number_or_duration(&mut self) -> Lexed {
        self.pos = self.start;
        if self.scan_number() {
            return Ok(TokenKind::Number);
        }
        if self.rest_of_duration() {
            return Ok(TokenKind::Duration);
        }
        Err(format!("bad number or duration syntax: {:?}", &self.text[self.start..self.pos]))
    }

    fn is(&self, set: &[u8]) -> bool {
        self.pos < self.bytes.len() && set.contains(&self.bytes[self.pos])
    }

    fn accept_any(&mut self, set: &[u8]) -> bool {
        let hit = self.is(set);
        self.pos += usize::from(hit);
        hit
    }

    fn at_alphanumeric(&self) -> bool {
        self.peek_byte().is_ascii_alphanumeric() || self.peek_byte() == b'_'
    }

    fn at_end(&self) -> bool {
        self.pos >= self.bytes.len()
    }

    fn scan_number(&mut self) -> bool {
        let mut digits: &[u8] = b"0123456789";
        if self.accept(b'0') && self.accept_any(b"xX") {
            self.accept(b'_');
            digits = b"0123456789abcdefABCDEF";
        }
        let hexadecimal = digits.len() > 10;
        self.accept(b'.');
        self.accept_any(digits);
        let (mut dot, mut exponent) = (false, false);
        while self.is(digits) || self.is(b"._eE") {
            if (self.is(b".") && dot) || (self.is(b"eE") && exponent) {
                self.pos += 1;
                return false;
            }
            if self.accept(b'.') {
                dot = true;
                if self.accept_any(b"_.") || hexadecimal {
                    return false;
                }
            } else if self.accept_any(b"eE") {
                exponent = true;
                self.accept_any(b"+-");
                if self.accept_any(b"._eE") || self.at_end() {
                    return false;
                }
            } else if self.accept(b'_') {
                if self.accept_any(b"._eE") || self.at_end() {
                    return false;
                }
            } else {
                while self.accept_any(digits) {}
            }
        }
        !self.at_alphanumeric()
    }

    /// The units of a duration and all further numbers and units.
    fn rest_of_duration(&mut self) -> bool {
        if !self.accept_any(b"smhdwy") {
            return false;
        }
        self.accept(b's');
        while self.accept_any(b"0123456789") {
            while self.accept_any(b"0123456789") {}
            if !self.accept_any(b"smhdw") {
                return false;
            }
            self.accept(b's');
        }
        !self.at_alphanumeric()
    }
}

/// The value of a number token: hexadecimal, octal with a leading 0, decimal, `Inf` or `NaN`.
///
/// # Errors
/// Where the digits do not make a number, or one too large for a float; as Go's `ParseInt` and `ParseFloat`.
pub(crate) fn number_value(text: &str) -> Result<f64, String> {
    let fail = |why: &str| Err(format!("error parsing number: {text:?}: {why}"));
    match text.to_ascii_lowercase().as_str() {
        "inf" => return Ok(f64::INFINITY),
        "nan" => return Ok(f64::NAN),
        _ => {}
    }
    if text.contains('_') && !underscores_fit(text) {
        return fail("an underscore must stand between digits");
    }
    let plain = text.replace('_', "");
    if let Some(hex) = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        return match i64::from_str_radix(hex, 16) {
            Ok(n) => Ok(n as f64),
            Err(_) => fail("not a hexadecimal number of up to 63 bits"),
        };
    }
    if plain.len() > 1
        && plain.starts_with('0')
        && let Ok(n) = i64::from_str_radix(&plain, 8)
    {
        return Ok(n as f64);
    }
    match plain.parse::<f64>() {
        Ok(v) if v.is_finite() => Ok(v),
        Ok(_) => fail("value out of range"),
        Err(_) => fail("invalid syntax"),
    }
}

/// Whether every underscore has a digit, or the base prefix, before it and a digit after it.
fn underscores_fit(text: &str) -> bool {
    let hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    let body = if hexadecimal { &text.as_bytes()[2..] } else { text.as_bytes() };
    let digit =
        |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_digit() || (hexadecimal && b.is_ascii_hexdigit()));
    body.iter().enumerate().filter(|(_, b)| **b == b'_').all(|(i, _)| {
        let before = if i == 0 { hexadecimal } else { digit(body.get(i - 1)) };
        before && digit(body.get(i + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let check = |text: &str, want: Option<f64>| assert_eq!(number_value(text).ok(), want, "{text}");
        check("1", Some(1.0));
        check("0x1F", Some(31.0));
        check("0x_1f", Some(31.0));
        check("017", Some(15.0));
        check("0_17", Some(15.0));
        check("08", Some(8.0));
        check("1_000.5", Some(1000.5));
        check("1_.5", None);
        check(".5e-3", Some(0.0005));
        check("5.", Some(5.0));
        check("1e999", None);
        check("0xffffffffffffffff", None);
        check("18446744073709551616", Some(18_446_744_073_709_551_616.0));
        check("Inf", Some(f64::INFINITY));
        assert!(number_value("nAn").is_ok_and(f64::is_nan));
    }
}
