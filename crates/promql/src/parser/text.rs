//! String literals to text. Invariant: the lexer has checked every escape, so that none is unknown here.

use super::Parser;
use crate::{ast::StringLiteral, lexer::Token};

impl Parser<'_> {
    /// The value of a string token.
    pub(super) fn unquote(&self, token: Token) -> String {
        self.string_literal(token).value
    }

    pub(super) fn string_literal(&self, token: Token) -> StringLiteral {
        let span = token.span();
        match String::from_utf8(unquote(&self.text[span.clone()])) {
            Ok(value) => StringLiteral { value, not_utf8: None, span },
            Err(e) => {
                let value = String::from_utf8_lossy(e.as_bytes()).into_owned();
                StringLiteral { value, not_utf8: Some(e.into_bytes()), span }
            }
        }
    }
}

/// The bytes of a string in quotes or backticks.
fn unquote(quoted: &str) -> Vec<u8> {
    let inner = &quoted[1..quoted.len() - 1];
    if quoted.starts_with('`') || !inner.contains('\\') {
        return inner.into();
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            escape(&mut chars, &mut out);
        } else {
            push(&mut out, c);
        }
    }
    out
}

/// The value of a string in quotes or backticks that has not been through the lexer.
///
/// # Errors
/// Where it is not one string, or an escape is not one.
pub(crate) fn unquote_checked(quoted: &str) -> Result<String, String> {
    let tokens = crate::lexer::lex(quoted);
    if let Some((_, message)) = tokens.error {
        return Err(message);
    }
    match tokens.list.first() {
        Some(t) if t.kind == crate::lexer::TokenKind::String && t.end == quoted.len() => {
            String::from_utf8(unquote(quoted)).map_err(|_| "the string is not valid UTF-8".to_owned())
        }
        _ => Err("not a string in quotes".to_owned()),
    }
}

fn escape(chars: &mut std::str::Chars<'_>, out: &mut Vec<u8>) {
    let Some(c) = chars.next() else { return };
    let mut digits = |first: u32, count: u32, base: u32| {
        (0..count).fold(first, |n, _| n * base + chars.next().and_then(|c| c.to_digit(base)).unwrap_or(0))
    };
    match c {
        'a' => out.push(7),
        'b' => out.push(8),
        'f' => out.push(12),
        'n' => out.push(b'\n'),
        'r' => out.push(b'\r'),
        't' => out.push(b'\t'),
        'v' => out.push(11),
        'x' => out.push(digits(0, 2, 16) as u8),
        'u' => push(out, char::from_u32(digits(0, 4, 16)).unwrap_or(char::REPLACEMENT_CHARACTER)),
        'U' => push(out, char::from_u32(digits(0, 8, 16)).unwrap_or(char::REPLACEMENT_CHARACTER)),
        '0'..='7' => out.push(digits(c as u32 - '0' as u32, 2, 8) as u8),
        c => push(out, c),
    }
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::unquote;

    #[test]
    fn escapes_are_those_of_go() {
        let check = |quoted: &str, want: &str| assert_eq!(unquote(quoted), want.as_bytes());
        check(r#""a\n\"b\"""#, "a\n\"b\"");
        check(r"'it\'s'", "it's");
        check(r"`a\n`", r"a\n");
        check(r#""\x41\101\u00e9\U0001F600""#, "AA\u{e9}\u{1F600}");
        check(r#""\xe2\x82\xac""#, "\u{20ac}");
        assert_eq!(unquote(r#""\xff""#), [0xff]);
    }
}
