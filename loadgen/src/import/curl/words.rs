//! The words of a command, as a POSIX shell splits them. Invariant: nothing is expanded: a variable of the shell is marked,
//! and any other expansion is refused, because its value is not known here.

use crate::import::{ImportError, shell};

/// A word, and the byte of the command where it begins.
#[derive(Clone, Debug)]
pub(in crate::import) struct Word {
    pub(in crate::import) text: String,
    /// Line and column, from 1; `None` where a shell has split the words.
    pub(in crate::import) at: Option<(usize, usize)>,
}

impl Word {
    /// An error at this word.
    pub(in crate::import) fn error(&self, message: &str) -> ImportError {
        ImportError(match self.at {
            Some((line, col)) => format!("curl:{line}:{col}: {message}"),
            None => format!("curl: {message}"),
        })
    }
}

struct Reader<'c> {
    chars: std::iter::Peekable<std::str::Chars<'c>>,
    line: usize,
    col: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        (self.line, self.col) = if c == '\n' { (self.line + 1, 1) } else { (self.line, self.col + 1) };
        Some(c)
    }

    fn fail<T>(&self, at: (usize, usize), message: &str) -> Result<T, String> {
        Err(format!("curl:{}:{}: {message}", at.0, at.1))
    }
}

/// Splits a command.
pub(in crate::import) fn split(command: &str) -> Result<Vec<Word>, String> {
    // As Windows ends lines, a continuation would not end with the backslash.
    let command = command.replace("\r\n", "\n");
    let command = if is_of_cmd(&command) { unescaped(&command) } else { command };
    let mut r = Reader { chars: command.chars().peekable(), line: 1, col: 1 };
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    loop {
        let at = (r.line, r.col);
        let Some(c) = r.next() else { break };
        if c.is_ascii_whitespace() {
            words.extend(word.take());
            continue;
        }
        if c == '\\' && matches!(r.chars.peek(), Some('\n')) {
            r.next();
            continue;
        }
        if matches!(c, '|' | ';' | '&' | '>' | '<' | '`') {
            return r.fail(at, &format!("{c} ends the command; give curl's own words alone, in quotes"));
        }
        let text = &mut word.get_or_insert_with(|| Word { text: String::new(), at: Some(at) }).text;
        match c {
            '\'' => single(&mut r, at, text)?,
            '"' => double(&mut r, at, text)?,
            '\\' => text.extend(r.next()),
            '$' if r.chars.peek() == Some(&'\'') => {
                r.next();
                ansi(&mut r, at, text)?;
            }
            '$' => dollar(&mut r, at, text)?,
            c => text.push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Whether a command was copied for the shell of Windows, which escapes by a caret: outside of the quotes of a POSIX shell
/// a word begins with `^"`, or a caret ends a line.
fn is_of_cmd(command: &str) -> bool {
    let mut chars = command.chars().peekable();
    let (mut quote, mut before) = (None, ' ');
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None | Some('"'), '\\') => {
                chars.next();
            }
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, '^') => match chars.peek() {
                Some('"') if before.is_whitespace() => return true,
                Some('\n') => return true,
                _ => {}
            },
            _ => {}
        }
        before = c;
    }
    false
}

/// The same for a POSIX shell: a caret takes the next character as it is, and one at the end of a line joins the next.
fn unescaped(command: &str) -> String {
    let mut out = String::with_capacity(command.len());
    let mut chars = command.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '^' => match chars.next() {
                // Two in a row are a line end inside of a text.
                Some('\n') if chars.peek() == Some(&'\n') => {
                    chars.next();
                    out.push('\n');
                }
                Some('\n') => out.push_str("\\\n"),
                Some(c) => out.push(c),
                None => {}
            },
            // Not special there, and special here.
            '$' | '`' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// A lone dollar stands for itself; `$NAME` and `${NAME}` are marked.
fn dollar(r: &mut Reader<'_>, at: (usize, usize), text: &mut String) -> Result<(), String> {
    let is_of_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let has_braces = r.chars.peek() == Some(&'{');
    if !has_braces && !r.chars.peek().is_some_and(|c| *c == '(' || is_of_name(c) && !c.is_ascii_digit()) {
        text.push('$');
        return Ok(());
    }
    if has_braces {
        r.next();
    }
    let mut name = String::new();
    while r.chars.peek().is_some_and(is_of_name) {
        name.extend(r.next());
    }
    let is_closed = !has_braces || r.next() == Some('}');
    if !is_closed || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return r.fail(at, "the shell would put a value here; write the value itself");
    }
    text.push_str(&shell::marked(&name));
    Ok(())
}

fn single(r: &mut Reader<'_>, at: (usize, usize), text: &mut String) -> Result<(), String> {
    while let Some(c) = r.next() {
        if c == '\'' {
            return Ok(());
        }
        text.push(c);
    }
    r.fail(at, "the quote ' is not closed")
}

fn double(r: &mut Reader<'_>, at: (usize, usize), text: &mut String) -> Result<(), String> {
    loop {
        let here = (r.line, r.col);
        match r.next() {
            None => return r.fail(at, "the quote \" is not closed"),
            Some('"') => return Ok(()),
            Some('\\') => match r.next() {
                Some('\n') => {}
                Some(c @ ('"' | '\\' | '$' | '`')) => text.push(c),
                Some(c) => text.extend(['\\', c]),
                None => return r.fail(at, "the quote \" is not closed"),
            },
            Some('`') => return r.fail(here, "the shell would put a value here; write the value itself"),
            Some('$') => dollar(r, here, text)?,
            Some(c) => text.push(c),
        }
    }
}

/// `$'…'`, which browsers copy. Escapes may be bytes of a character.
fn ansi(r: &mut Reader<'_>, at: (usize, usize), text: &mut String) -> Result<(), String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4];
    loop {
        match r.next() {
            None => return r.fail(at, "the quote ' is not closed"),
            Some('\'') => break,
            Some('\\') => escape(r, at, &mut bytes)?,
            Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    match String::from_utf8(bytes) {
        Ok(found) => text.push_str(&found),
        Err(_) => return r.fail(at, NO_CHARACTER),
    }
    Ok(())
}

const NO_CHARACTER: &str = "an escape in the quote is not a character";

/// What follows a backslash; one that bash does not know stays as it is.
fn escape(r: &mut Reader<'_>, at: (usize, usize), bytes: &mut Vec<u8>) -> Result<(), String> {
    let Some(c) = r.next() else { return r.fail(at, "the quote ' is not closed") };
    let byte = match c {
        'a' => 7,
        'b' => 8,
        'e' | 'E' => 0x1b,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '\'' => b'\'',
        '"' => b'"',
        '?' => b'?',
        'x' => number(r, at, 2)?.try_into().unwrap_or_default(),
        'u' | 'U' => {
            let found = character(r, at, if c == 'u' { 4 } else { 8 })?;
            bytes.extend_from_slice(found.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(());
        }
        c => {
            bytes.push(b'\\');
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(());
        }
    };
    bytes.push(byte);
    Ok(())
}

/// A character by its number. Browsers write one beyond four digits as a pair.
fn character(r: &mut Reader<'_>, at: (usize, usize), digits: usize) -> Result<char, String> {
    let mut code = number(r, at, digits)?;
    if (0xd800..0xdc00).contains(&code) {
        let follows = r.next() == Some('\\') && r.next() == Some('u');
        let low = if follows { number(r, at, 4)? } else { 0 };
        code = 0x10000
            + ((code - 0xd800) << 10)
            + low.checked_sub(0xdc00).filter(|n| *n < 0x400).unwrap_or(u32::MAX >> 4);
    }
    char::from_u32(code).map_or_else(|| r.fail(at, NO_CHARACTER), Ok)
}

/// A number of up to so many hexadecimal digits.
fn number(r: &mut Reader<'_>, at: (usize, usize), digits: usize) -> Result<u32, String> {
    let mut number = String::new();
    while number.len() < digits && r.chars.peek().is_some_and(char::is_ascii_hexdigit) {
        number.extend(r.next());
    }
    u32::from_str_radix(&number, 16).or_else(|_| r.fail(at, NO_CHARACTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        let check = |command: &str, want: &[&str]| {
            let words: Vec<_> = split(command).expect(command).into_iter().map(|w| w.text).collect();
            assert_eq!(words, want, "{command}");
        };
        check("curl  a\tb", &["curl", "a", "b"]);
        check(
            r#"curl -d '{"a":"b c"}' "x \"y\" \n $" 'it'\''s'"#,
            &["curl", "-d", r#"{"a":"b c"}"#, r#"x "y" \n $"#, "it's"],
        );
        check("curl \\\n  -H 'a: b' \\\n  ''", &["curl", "-H", "a: b", ""]);
        let [a, b] = ["A_1", "b"].map(shell::marked);
        check(
            "curl \"x$A_1-\" ${b}c $5 '$A' \\$A",
            &["curl", &format!("x{a}-"), &format!("{b}c"), "$5", "$A", "$A"],
        );
        check(r"curl $'a\'\u00e9\x21\n' a\ b", &["curl", "a'é!\n", "a b"]);
        check(r"curl $'\ud83d\ude00\U0001f600\xc3\xa9\d+\\\?'", &["curl", "😀😀é\\d+\\?"]);
    }

    #[test]
    fn a_caret_alone_makes_no_command_of_windows() {
        for command in [
            r#"curl -d '{"re":"^"}' http://h/"#,
            r#"curl -d 'a ^"b^" c' http://h/"#,
            r#"curl -d "a ^" http://h/?q=^"x""#,
            "curl -d 'x^\ny' http://h/",
            r#"curl http://h/^ -d \ ^x"#,
        ] {
            assert!(!is_of_cmd(command), "{command}");
        }
        for command in [
            "curl \"http://h/\" ^\n  -H \"a: it's\"",
            "curl ^\"http://h/?a=1^&b=it's^\"",
            "curl -X POST^\n http://h/",
        ] {
            assert!(is_of_cmd(command), "{command}");
        }
        let words =
            |command: &str| split(command).expect(command).into_iter().map(|w| w.text).collect::<Vec<_>>();
        assert_eq!(words(r#"curl -d '{"re": "^"}' h"#), ["curl", "-d", r#"{"re": "^"}"#, "h"]);
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let check = |command: &str, want: &str| {
            assert!(split(command).expect_err(command).starts_with(want), "{command}");
        };
        check("curl \\\n 'a", "curl:2:2: the quote ' is not closed");
        check("curl \"a", "curl:1:6: the quote \" is not closed");
        check("curl x | jq", "curl:1:8: | ends the command");
        check("curl \"a ${TOKEN:-x}\"", "curl:1:9: the shell would put a value here");
        check("curl ${1}", "curl:1:6: the shell would");
        check("curl $(cat x)", "curl:1:6: the shell would");
        check("curl $'\\ud83d\\u0041'", "curl:1:6: an escape in the quote is not a character");
        check("curl $'\\ud83d'", "curl:1:6: ");
        check("curl $'\\xff'", "curl:1:6: an escape in the quote is not a character");
    }
}
