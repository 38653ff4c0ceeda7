//! The data of a command. Invariant: it is what curl sends, byte for byte.

use super::words::Word;
use crate::{
    import::{ImportError, shell},
    scenario::template::filters::UNRESERVED,
};

/// A value that may name a file; of a text file curl drops the line ends.
pub(super) fn read(word: &Word, is_text: bool) -> Result<String, ImportError> {
    let Some(path) = word.text.strip_prefix('@') else { return Ok(word.text.clone()) };
    let text = content_of(word, path)?;
    Ok(if is_text { text.replace(['\r', '\n', '\0'], "") } else { text })
}

/// The text of a file.
pub(super) fn content_of(word: &Word, path: &str) -> Result<String, ImportError> {
    if shell::is_in(path) {
        return Err(word.error("the name of a file has a variable of the shell in it; write its value"));
    }
    std::fs::read_to_string(path).map_err(|e| word.error(&format!("{path}: {e}")))
}

/// `name=content`, `content`, `name@file` or `@file`, encoded as curl does: a space is a plus.
pub(super) fn encoded(word: &Word) -> Result<String, ImportError> {
    let encode =
        |t: &str| percent_encoding::utf8_percent_encode(t, UNRESERVED).to_string().replace("%20", "+");
    let (name, content) = match word.text.find(['=', '@']) {
        Some(at) if word.text[at..].starts_with('=') => (&word.text[..at], word.text[at + 1..].to_owned()),
        Some(at) => (&word.text[..at], content_of(word, &word.text[at + 1..])?),
        None => ("", word.text.clone()),
    };
    Ok(if name.is_empty() { encode(&content) } else { format!("{name}={}", encode(&content)) })
}
