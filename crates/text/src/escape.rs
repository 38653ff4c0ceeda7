//! What is not to be acted on is shown: hidden characters as `\u001b`, as JSON, JavaScript and Go write them.
//!
//! Invariant: escaped text can stand in a string of JSON, in XML and in HTML; what is harmless is not changed.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use crate::secret;

/// Whether a character is not shown as itself: a control, or one that turns or hides the text around it.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A value on one line: line ends are escaped too. It may stand at the start of a line.
#[derive(Clone, Copy, Debug)]
pub struct Clean<T>(pub T);

impl<T: fmt::Display> fmt::Display for Clean<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&escaped(&self.0.to_string(), false))
    }
}

/// A whole document (text, JSON, XML, HTML, Markdown) whose lines are its own.
#[must_use]
pub fn document(text: impl AsRef<str> + Into<String>) -> String {
    match escaped(text.as_ref(), true) {
        Cow::Owned(text) => text,
        // What is harmless is not copied either.
        Cow::Borrowed(_) => text.into(),
    }
}

/// A value in Markdown, where it is nothing but text.
#[must_use]
pub fn markdown(value: &str) -> String {
    let text = Clean(value).to_string();
    let text = text.trim_start();
    let mut out = String::with_capacity(text.len());
    // What makes a list, a heading or a rule stands at the start of a line.
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    for (i, c) in text.char_indices() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '$' => out.extend(['\\', c]),
            '-' | '+' | '=' | ':' if i == 0 => out.extend(['\\', c]),
            '.' | ')' if i == digits && i > 0 && !text[i + 1..].starts_with(|c| c != ' ') => {
                out.extend(['\\', c]);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }
    out
}

/// A value as Markdown's code.
#[must_use]
pub fn code(value: &str) -> String {
    format!("`{}`", Clean(value).to_string().replace('`', "'"))
}

/// The text without secrets in URLs, and with all that is hidden or a command escaped; `has_layout` is whether its
/// line ends and tabs are the writer's own.
pub(crate) fn escaped(text: &str, has_layout: bool) -> Cow<'_, str> {
    if is_plain(text.as_bytes(), has_layout) {
        return Cow::Borrowed(text);
    }
    let text = secret::redact(text);
    let is_harmless = |c: char| !is_hidden(c) || (has_layout && (c == '\n' || c == '\t'));
    if text.chars().all(is_harmless) && !text.contains("::") && !text.contains("##") {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut at_start = true;
    let mut before = ' ';
    for (i, c) in text.char_indices() {
        match c {
            '\n' if !has_layout => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' if !has_layout => out.push_str("\\t"),
            c if !is_harmless(c) => push_escaped(&mut out, c),
            // GitHub takes a line that begins with `::` for a command; blanks before it do not help.
            ':' if at_start && text[i..].starts_with("::") => push_escaped(&mut out, c),
            // GitHub, Azure and TeamCity take `##[`, `##vso[` and `##teamcity[` for commands wherever they stand.
            '#' if before == '#' && is_bracketed(&text[i + 1..]) => push_escaped(&mut out, c),
            c => out.push(c),
        }
        at_start = (has_layout && c == '\n') || (at_start && (c.is_whitespace() || is_hidden(c)));
        before = c;
    }
    Cow::Owned(out)
}

/// Whether there are only bytes that ASCII shows as themselves, and the writer's own line ends and tabs, and no URL and no
/// command among them. Answers of a query are many megabytes of these: blocks of bytes are looked at without a branch in
/// between.
fn is_plain(bytes: &[u8], has_layout: bool) -> bool {
    let is_odd = |b: u8| !(b' '..=b'~').contains(&b) & !(has_layout & ((b == b'\n') | (b == b'\t')));
    let is_pair = |a: u8, b: u8| ((a == b':') & ((b == b':') | (b == b'/'))) | ((a == b'#') & (b == b'#'));
    let next = bytes.get(1..).unwrap_or_default();
    bytes.chunks(256).all(|block| !block.iter().fold(false, |odd, &b| odd | is_odd(b)))
        && bytes
            .chunks(256)
            .zip(next.chunks(256))
            .all(|(a, b)| !a.iter().zip(b).fold(false, |odd, (&a, &b)| odd | is_pair(a, b)))
}

fn is_bracketed(text: &str) -> bool {
    text.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).starts_with('[')
}

fn push_escaped(out: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing to a string does not fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_on_its_line_and_steers_nothing() {
        let check = |value: &str, want: &str| assert_eq!(Clean(value).to_string(), want);
        check("p99 < 5 s, 50 %: ✓ “é” a:b::c #1 ## x", "p99 < 5 s, 50 %: ✓ “é” a:b::c #1 ## x");
        check("\x1b[31mred\x1b]0;title\x07", "\\u001b[31mred\\u001b]0;title\\u0007");
        check("a\r\nb\tc\u{9b}2J\u{7f}", "a\\r\\nb\\tc\\u009b2J\\u007f");
        check("abc\u{202e}fed\u{2066}\u{200b}\u{2028}", "abc\\u202efed\\u2066\\u200b\\u2028");
        check("\u{e0041}", "\\udb40\\udc41");
        check("::error::x", "\\u003a:error::x");
        check(" \t::stop-commands::x", " \\t\\u003a:stop-commands::x");
        check(
            "see ##vso[task.complete] and ##[error] ##teamcity[x",
            "see #\\u0023vso[task.complete] and #\\u0023[error] #\\u0023teamcity[x",
        );
        check("###[x", "##\\u0023[x");
        check("http://me:pw@h/?token=abc", "http://xxxxx@h/?token=xxxxx");
        assert_eq!(format!("{:>4}|{:<4}|", Clean("ab"), Clean("cd")), "  ab|cd  |");
    }

    #[test]
    fn a_long_text_is_looked_at_to_its_end() {
        for at in [0, 1, 254, 255, 256, 257, 511, 998] {
            for odd in ["::", "##[", "\u{1b}", "http://a:b@c"] {
                let mut text = "x".repeat(1_000);
                text.insert_str(at, if odd == "::" { "\n::" } else { odd });
                assert_ne!(document(text.clone()), text, "{odd} at {at}");
            }
        }
        let plain = "{\"a\": [1, 2]}\n".repeat(100);
        assert_eq!(document(plain.clone()), plain);
    }

    #[test]
    fn a_document_keeps_its_own_lines() {
        assert_eq!(document("a\n\t::error::b\r\nc\n"), "a\n\t\\u003a:error::b\\r\nc\n");
        let value = serde_like("\u{1b}\u{202e}##[x");
        assert_eq!(document(&value), "{\"a\": \"\\u001b\\u202e#\\u0023[x\"}");
    }

    fn serde_like(text: &str) -> String {
        format!("{{\"a\": \"{text}\"}}")
    }

    #[test]
    fn markdown_shows_a_value_as_it_is() {
        let check = |value: &str, want: &str| assert_eq!(markdown(value), want);
        check("a|b <img>\nc", "a\\|b &lt;img&gt;\\\\nc");
        check("- no list", "\\- no list");
        check("12. no list", "12\\. no list");
        check("6.2 s", "6.2 s");
        check("::error::x", "\\\\u003a:error::x");
        check("# no [link](x) $y$ `z`", "\\# no \\[link\\](x) \\$y\\$ \\`z\\`");
        assert_eq!(code("a`b\n"), "`a'b\\n`");
    }
}
