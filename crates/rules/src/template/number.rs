//! Constants of the template language: numbers, characters and quoted strings, as Go writes them.
//!
//! Invariant: `parse` accepts exactly what the lexer lets through as a number, so the executor need not fail.

/// A number as written: what it is depends on how it is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number {
    /// As an integer, where it is one.
    pub(crate) int: Option<i64>,
    /// As a float.
    pub(crate) float: f64,
    /// Whether it is a float by its spelling (`1.0`, `1e3`).
    pub(crate) is_float: bool,
}

/// Reads a number or character constant.
pub(crate) fn parse(text: &str) -> Option<Number> {
    if text.starts_with('\'') {
        let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
        let mut out = String::new();
        let rest = unescape(inner, '\'', &mut out)?;
        let mut chars = out.chars();
        let c = chars.next()?;
        if !rest.is_empty() || chars.next().is_some() {
            return None;
        }
        return Some(Number { int: Some(i64::from(c as u32)), float: f64::from(c as u32), is_float: false });
    }
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let clean = digits.replace('_', "");
    let lower = clean.to_ascii_lowercase();
    let radix = match lower.get(..2) {
        Some("0x") => Some(16),
        Some("0o") => Some(8),
        Some("0b") => Some(2),
        _ => None,
    };
    let magnitude = match radix {
        Some(radix) => i128::from_str_radix(&lower[2..], radix).ok(),
        // A leading zero means octal, as in Go.
        None if lower.len() > 1 && lower.starts_with('0') && lower.bytes().all(|b| b.is_ascii_digit()) => {
            i128::from_str_radix(&lower, 8).ok()
        }
        None => lower.parse().ok(),
    };
    if let Some(magnitude) = magnitude {
        let signed = if negative { -magnitude } else { magnitude };
        return Some(Number { int: i64::try_from(signed).ok(), float: signed as f64, is_float: false });
    }
    if radix.is_some() || lower.contains(|c: char| c.is_ascii_alphabetic() && c != 'e') {
        return None;
    }
    let float: f64 = lower.parse().ok()?;
    let float = if negative { -float } else { float };
    let whole = float.fract() == 0.0 && float.abs() < 9.0e18;
    Some(Number { int: whole.then_some(float as i64), float, is_float: true })
}

/// The text of a string in double quotes, or `None` where an escape is wrong.
pub(crate) fn unquote(quoted: &str) -> Option<String> {
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = String::with_capacity(inner.len());
    unescape(inner, '"', &mut out)?.is_empty().then_some(out)
}

/// Appends the characters of `text` with escapes resolved; returns what is left, which is nothing.
fn unescape<'a>(mut text: &'a str, quote: char, out: &mut String) -> Option<&'a str> {
    // Byte escapes may spell a character in several pieces.
    let mut bytes: Vec<u8> = Vec::new();
    while let Some(c) = text.chars().next() {
        text = &text[c.len_utf8()..];
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let e = text.chars().next()?;
        text = &text[e.len_utf8()..];
        let mut hex = |n: usize| {
            let code = u32::from_str_radix(text.get(..n)?, 16).ok()?;
            text = &text[n..];
            Some(code)
        };
        match e {
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(11),
            '\\' => bytes.push(b'\\'),
            q if q == quote => bytes.push(q as u8),
            'x' => bytes.push(u8::try_from(hex(2)?).ok()?),
            'u' => bytes.extend_from_slice(char::from_u32(hex(4)?)?.encode_utf8(&mut [0; 4]).as_bytes()),
            'U' => bytes.extend_from_slice(char::from_u32(hex(8)?)?.encode_utf8(&mut [0; 4]).as_bytes()),
            '0'..='7' => {
                let more = text.get(..2)?;
                bytes.push(u8::try_from(u32::from_str_radix(&format!("{e}{more}"), 8).ok()?).ok()?);
                text = &text[2..];
            }
            _ => return None,
        }
    }
    out.push_str(&String::from_utf8_lossy(&bytes));
    Some(text)
}
