//! Secrets in URLs. Invariant: it works on any text that looks like a URL, also one that no parser takes.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

use super::{Found, form, is_oauth, is_oauth_secret, is_secret_name, settled};

/// A quote ends a URL, because URLs stand in quotes; what a password may hold beyond that is percent-encoded.
static URL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)[a-z][a-z0-9+.-]*://[^\s"<>`\\\x00-\x1f\x7f]+"#).ok());

/// The secrets of the URLs in a text: user and password, parameters of a secret's name or form, parts of the path that
/// have the form of a secret.
#[must_use]
pub fn in_urls(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    // Most texts have no URL.
    if text.contains("://")
        && let Some(pattern) = &*URL
    {
        for m in pattern.find_iter(text) {
            // What ends a URL in a sentence is not part of it.
            let url = m.as_str().trim_end_matches([')', ']', ',', '.', ';', '\'']);
            look_into(url, m.start(), &mut found);
        }
    }
    settled(found)
}

/// The secrets of one URL, which may be relative.
#[must_use]
pub fn in_url(url: &str) -> Vec<Found> {
    let mut found = Vec::new();
    look_into(url, 0, &mut found);
    settled(found)
}

/// Looks into one URL, which begins at `base`.
fn look_into(url: &str, base: usize, found: &mut Vec<Found>) {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = |from: usize| url[from..].find(['/', '?', '#']).map_or(url.len(), |at| from + at);
    let mut path = if authority == 0 { 0 } else { end(authority) };
    let mut user = url[authority..path].rfind('@');
    if user.is_none() && !has_port(&url[authority..path]) {
        // `http://me:pa/ss@host` is no URL, and yet a password that somebody typed.
        user = url[authority..].rfind('@');
        path = user.map_or(path, |at| end(authority + at));
    }
    if let Some(at) = user {
        let range = base + authority..base + authority + at;
        found.push(Found { range, name: "credentials".to_owned() });
    }
    let query = url[path..].find(['?', '#']).map_or(url.len(), |at| path + at);
    segments(&url[path..query], base + path, found);
    parameters(&url[path..query], &url[query..], base + query, found);
}

/// Whether an authority without a user has a port that is one, or none.
fn has_port(authority: &str) -> bool {
    let name = authority.rsplit(']').next().unwrap_or_default();
    name.split_once(':').is_none_or(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
}

fn segments(path: &str, base: usize, found: &mut Vec<Found>) {
    let mut at = base;
    for segment in path.split('/') {
        if let Some(kind) = form(&decoded(segment)) {
            found.push(Found { range: at..at + segment.len(), name: kind.to_owned() });
        }
        at += segment.len() + 1;
    }
}

/// The parameters of a query or a fragment, which follow `?`, `#`, `&` or `;`.
pub(super) fn parameters(path: &str, query: &str, base: usize, found: &mut Vec<Found>) {
    let parts = || query.split(['?', '#', '&', ';']).map(|part| part.split_once('=').unwrap_or((part, "")));
    let names: Vec<Cow<'_, str>> = parts().map(|(name, _)| decoded(name)).collect();
    let is_oauth = is_oauth(path, names.iter().map(AsRef::as_ref));
    let mut at = base;
    for ((written, value), name) in parts().zip(&names) {
        let is_named = if is_oauth { is_oauth_secret(name) } else { is_secret_name(name) };
        let has_value = value.len() + usize::from(query[at - base + written.len()..].starts_with('='));
        let start = at + written.len() + 1;
        // What a template stands for is not in it.
        if !value.starts_with("{{") && !value.is_empty() && (is_named || form(&decoded(value)).is_some()) {
            found.push(Found { range: start..start + value.len(), name: name.to_string() });
        }
        at += written.len() + has_value + 1;
    }
}

/// A part of a URL with `%41` as A and `+` as a space; what is not valid stays.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&b, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|h| u8::from_str_radix(std::str::from_utf8(h).ok()?, 16).ok());
        match (b, hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = &after[2..];
            }
            (b, _) => {
                out.push(if b == b'+' { b' ' } else { b });
                rest = after;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}
