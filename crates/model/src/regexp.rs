//! Regular expressions as Prometheus reads them: Go's syntax (RE2), anchored at both ends, `.` matching newlines.
//!
//! Invariant: what Go's `regexp/syntax` takes means the same here. The two differ in classes such as `\d`, which
//! are ASCII in Go, in braces that are no repetition, which Go takes literally, and in the set operators inside
//! brackets, which Go does not have.

use std::fmt::Write as _;

use regex::{Error, Regex};

/// Compiles a pattern for matching whole values.
///
/// # Errors
/// Where the pattern is not a regular expression; the message shows where.
pub fn compile(pattern: &str) -> Result<Regex, Error> {
    match translate(pattern) {
        Some(translated) => Regex::new(&format!("^(?s:{translated})$")),
        // A parenthesis too many must not close the group that anchors the pattern.
        None => Err(Error::Syntax("error: unopened group".to_owned())),
    }
}

/// The pattern in the syntax of the `regex` crate, or `None` where it closes a group that it did not open.
#[must_use]
pub fn translate(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let (mut rest, mut depth) = (pattern, 0usize);
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '\\' => escape(after, &mut out),
            '[' => class(after, &mut out),
            '{' if !is_repetition(after) => {
                out.push_str("\\{");
                after
            }
            '(' | ')' => {
                depth = if c == '(' { depth + 1 } else { depth.checked_sub(1)? };
                out.push(c);
                after
            }
            c => {
                out.push(c);
                after
            }
        };
    }
    Some(out)
}

/// Whether `5}`, `5,}` or `5,7}` follows.
fn is_repetition(after: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let least = digits(after);
    let after = &after[least..];
    least > 0 && after.strip_prefix(',').map_or(after, |more| &more[digits(more)..]).starts_with('}')
}

/// An escape outside of brackets, whose backslash has been read. Returns what follows it.
fn escape<'p>(after: &'p str, out: &mut String) -> &'p str {
    let Some(c) = after.chars().next() else {
        out.push('\\');
        return after;
    };
    let rest = &after[c.len_utf8()..];
    match c {
        'd' | 's' | 'w' => {
            let _ = write!(out, "[{}]", ascii_class(c));
        }
        'D' | 'S' | 'W' => {
            let _ = write!(out, "[^{}]", ascii_class(c));
        }
        'b' => out.push_str("(?-u:\\b)"),
        'Q' => {
            let (quoted, rest) = rest.split_once("\\E").unwrap_or((rest, ""));
            out.push_str(&regex::escape(quoted));
            return rest;
        }
        c => out.extend(['\\', c]),
    }
    rest
}

/// The members of `\d`, `\s` and `\w` in Go.
fn ascii_class(c: char) -> &'static str {
    match c.to_ascii_lowercase() {
        'd' => "0-9",
        's' => "\\t\\n\\f\\r ",
        _ => "0-9A-Za-z_",
    }
}

/// A bracket, whose `[` has been read. Returns what follows its `]`.
fn class<'p>(after: &'p str, out: &mut String) -> &'p str {
    out.push('[');
    let mut rest = after;
    if let Some(more) = rest.strip_prefix('^') {
        out.push('^');
        rest = more;
    }
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            ']' if !first => {
                out.push(']');
                return after;
            }
            ']' => {
                out.push_str("\\]");
                after
            }
            '[' => match after.find(":]").filter(|_| after.starts_with(':')) {
                Some(end) => {
                    out.push('[');
                    out.push_str(&after[..end + 2]);
                    &after[end + 2..]
                }
                None => {
                    out.push_str("\\[");
                    after
                }
            },
            '&' | '~' => {
                out.extend(['\\', c]);
                after
            }
            '-' if !first && after.starts_with('-') => {
                out.push_str("-\\-");
                &after[1..]
            }
            '\\' => class_escape(after, out),
            c => {
                out.push(c);
                after
            }
        };
        first = false;
    }
    rest
}

fn class_escape<'p>(after: &'p str, out: &mut String) -> &'p str {
    let Some(c) = after.chars().next() else {
        out.push('\\');
        return after;
    };
    match c {
        'd' | 's' | 'w' => out.push_str(ascii_class(c)),
        'D' | 'S' | 'W' => {
            let _ = write!(out, "[^{}]", ascii_class(c));
        }
        c => out.extend(['\\', c]),
    }
    &after[c.len_utf8()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        let check = |pattern: &str, hits: &[&str], misses: &[&str]| {
            let re = compile(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
            for text in hits {
                assert!(re.is_match(text), "{pattern} should match {text:?}");
            }
            for text in misses {
                assert!(!re.is_match(text), "{pattern} should not match {text:?}");
            }
        };
        check(r"\d+", &["12"], &["٣", "a"]);
        check(r"\w+", &["aZ_9"], &["é", "a b"]);
        check(r"a\sb", &["a b", "a\tb"], &["a\u{a0}b", "a\u{b}b"]);
        check(r"[\w.-]+", &["a-b.c"], &["é"]);
        check(r"[^\d]", &["a"], &["1"]);
        check(r"[\D]x", &["ax"], &["1x"]);
        check(r"a{,2}", &["a{,2}"], &["aa"]);
        check(r"a{2}b{1,}c{1,2}", &["aabc", "aabbcc"], &["abc"]);
        check(r"{x}", &["{x}"], &["x"]);
        check(r"[a&&b]+", &["a&b"], &["c"]);
        check(r"[[a]+", &["[a"], &["b"]);
        check(r"[[:alpha:]]+", &["ab"], &["1"]);
        check(r"[]a]+", &["]a"], &["b"]);
        check(r"[+--]", &["+", ",", "-"], &["."]);
        check(r"\Qa.b\E+", &["a.b"], &["axb"]);
        check(r"a.b", &["a\nb"], &["ab"]);
        check(r"(?i)ab|c", &["AB", "C"], &["abc"]);
        check(r"\bfoo\b", &["foo"], &["food"]);
    }

    #[test]
    fn what_is_no_pattern_is_an_error() {
        for pattern in ["a)(b", "(", "a)", "[a", "*", r"\", "(?P<n>"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
