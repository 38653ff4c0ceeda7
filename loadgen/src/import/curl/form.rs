//! The parts of a form (`-F`). Invariant: a part is sent as curl sends it, or refused.

use super::{data::content_of, words::Word};
use crate::import::{
    ImportError,
    draft::{Content, Part},
    shell,
};

/// The types that curl knows by a file's name.
const TYPES: [(&str, &str); 10] = [
    (".gif", "image/gif"),
    (".jpg", "image/jpeg"),
    (".jpeg", "image/jpeg"),
    (".png", "image/png"),
    (".svg", "image/svg+xml"),
    (".txt", "text/plain"),
    (".htm", "text/html"),
    (".html", "text/html"),
    (".pdf", "application/pdf"),
    (".xml", "application/xml"),
];

/// `name=text`, `name=@file` or `name=<file`, with `;type=` and `;filename=` behind.
pub(super) fn part(word: &Word) -> Result<(String, Part), ImportError> {
    let (name, value) = pair(word)?;
    let (mark, rest) = match value.chars().next() {
        Some(mark @ ('@' | '<')) => (Some(mark), &value[1..]),
        _ => (None, value),
    };
    let mut pieces = pieces(rest).into_iter();
    let text = pieces.next().unwrap_or_default();
    let (mut kind, mut file_name) = (None, None);
    for piece in pieces {
        match piece.trim_start().split_once('=') {
            Some(("type", value)) => kind = Some(value.to_owned()),
            Some(("filename", value)) => file_name = Some(value.to_owned()),
            // A type may have parameters.
            Some((key, _)) if kind.is_some() && !["headers", "encoder"].contains(&key) => {
                kind = kind.map(|kind| format!("{kind};{piece}"));
            }
            _ => {
                let what = format!(
                    "a scenario cannot follow {piece:?} in a part of a form; take it out of the command"
                );
                return Err(word.error(&what));
            }
        }
    }
    let content = match mark {
        Some('@') if text == "-" || text.contains(',') => {
            return Err(word.error("expected one file for each part of a form"));
        }
        Some('@') if shell::is_in(&text) => {
            return Err(word.error("the name of a file has a variable of the shell in it; write its value"));
        }
        Some('@') => {
            let shown = file_name.as_deref().unwrap_or(&text).to_ascii_lowercase();
            let known =
                TYPES.iter().find(|(end, _)| shown.ends_with(end)).map(|(_, kind)| (*kind).to_owned());
            kind = kind.or(known);
            Content::File(text)
        }
        Some(_) => Content::Text(content_of(word, &text)?),
        None => Content::Text(text),
    };
    Ok((name.to_owned(), Part { content, kind, file_name }))
}

/// `name=text`, whatever is in the text.
pub(super) fn text(word: &Word) -> Result<(String, Part), ImportError> {
    let (name, value) = pair(word)?;
    Ok((name.to_owned(), Content::Text(value.to_owned()).into()))
}

fn pair(word: &Word) -> Result<(&str, &str), ImportError> {
    word.text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| word.error("expected a part of a form such as name=text or name=@file"))
}

/// What semicolons separate outside of quotes; what follows a quoted text is dropped.
fn pieces(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut chars = text.chars();
    let (mut is_quoted, mut is_over) = (false, false);
    while let Some(c) = chars.next() {
        let Some(last) = found.last_mut() else { break };
        match c {
            ';' if !is_quoted => {
                found.push(String::new());
                is_over = false;
            }
            _ if is_over => {}
            '"' if is_quoted => (is_quoted, is_over) = (false, true),
            '"' if last.is_empty() || last.ends_with('=') => is_quoted = true,
            '\\' if is_quoted => last.extend(chars.next()),
            c => last.push(c),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_as_curl_has_them() {
        let check = |text: &str, want: &[&str]| assert_eq!(pieces(text), want, "{text}");
        check("a b", &["a b"]);
        check("a;type=text/plain; charset=utf-8", &["a", "type=text/plain", " charset=utf-8"]);
        check(r#""x;\"y\""z;filename="a;b""#, &[r#"x;"y""#, "filename=a;b"]);
        check(r#"{"a": 1};type=application/json"#, &[r#"{"a": 1}"#, "type=application/json"]);
    }
}
