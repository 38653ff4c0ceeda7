//! A cursor over a line. Invariant: it stands on a character's first byte.

use super::series::SeriesError;
use crate::parser::unquote_checked;

/// A cursor over a line.
pub(super) struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scan<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub(super) fn done(&self) -> bool {
        self.at == self.text.len()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn at_blank(&self) -> bool {
        matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r'))
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    pub(super) fn accept(&mut self, c: char) -> bool {
        let hit = self.peek() == Some(c);
        self.at += if hit { c.len_utf8() } else { 0 };
        hit
    }

    pub(super) fn blanks(&mut self) {
        while self.at_blank() {
            self.at += 1;
        }
    }

    fn take(&mut self, bytes: usize) -> &'t str {
        let taken = &self.rest()[..bytes];
        self.at += bytes;
        taken
    }

    /// A name, which may be empty; with colons where it is a metric's.
    pub(super) fn word(&mut self, colons: bool) -> &'t str {
        let fits = |i: usize, b: u8| {
            b.is_ascii_alphabetic() || b == b'_' || (colons && b == b':') || (i > 0 && b.is_ascii_digit())
        };
        let length = self.rest().bytes().enumerate().take_while(|(i, b)| fits(*i, *b)).count();
        self.take(length)
    }

    pub(super) fn digits(&mut self) -> &'t str {
        let length = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        self.take(length)
    }

    /// The text of an unsigned decimal number, `Inf` or `NaN`, or nothing.
    pub(super) fn number(&mut self) -> &'t str {
        let bytes = self.rest().as_bytes();
        let word = bytes.get(..3).unwrap_or_default();
        if word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan") {
            return self.take(3);
        }
        let is = |i: usize, set: &[u8]| bytes.get(i).is_some_and(|b| set.contains(b));
        let mut i = 0;
        while is(i, b"0123456789._") {
            i += 1;
        }
        if i > 0 && is(i, b"eE") {
            let sign = usize::from(is(i + 1, b"+-"));
            if is(i + 1 + sign, b"0123456789") {
                i += 2 + sign;
                while is(i, b"0123456789") {
                    i += 1;
                }
            }
        }
        self.take(i)
    }

    /// A string in quotes or backticks, unquoted.
    pub(super) fn string(&mut self) -> Result<String, SeriesError> {
        let quote = self.peek().unwrap_or('"');
        let mut escaped = false;
        let end = self.rest().char_indices().skip(1).find_map(|(i, c)| {
            let closes = c == quote && !escaped;
            escaped = c == '\\' && !escaped && quote != '`';
            closes.then_some(i + 1)
        });
        let fail = |message: String| SeriesError { message, at: self.at };
        let end = end.ok_or_else(|| fail(format!("this string has no closing {quote}")))?;
        let value = unquote_checked(&self.rest()[..end]).map_err(fail)?;
        self.at += end;
        Ok(value)
    }

    /// An error at the cursor.
    pub(super) fn unexpected(&self, expected: &str) -> SeriesError {
        let found = self.rest().split([' ', '\t']).next().unwrap_or_default();
        let found = if self.done() { "end of line".to_owned() } else { format!("{found:?}") };
        SeriesError { message: format!("unexpected {found}, expected {expected}"), at: self.at }
    }
}
