//! Functions on text: regular expressions, addresses, titles and URL escapes.
//!
//! Invariant: none of them fails on any text; only a pattern can be wrong.

use regex::Regex;

/// Replaces all matches; `$1` and `${name}` stand for groups.
pub(super) fn replace_all(pattern: &str, with: &str, text: &str) -> Result<String, String> {
    let regex = compile(pattern).map_err(|cause| format!("regexp: Compile(`{pattern}`): {cause}"))?;
    Ok(regex.replace_all(text, with).into_owned())
}

/// Whether the pattern matches anywhere.
pub(super) fn is_match(pattern: &str, text: &str) -> Result<bool, String> {
    Ok(compile(pattern)?.is_match(text))
}

fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|e| {
        let cause = e.to_string();
        // Go's words for the mistakes that both parsers know.
        let words = [
            ("unclosed group", "missing closing )"),
            ("unopened group", "unexpected )"),
            ("unclosed character class", "missing closing ]"),
            ("repetition operator missing expression", "missing argument to repetition operator"),
            ("incomplete escape sequence", "trailing backslash at end of expression"),
        ];
        let known = words.iter().find(|(ours, _)| cause.contains(ours)).map(|(_, go)| (*go).to_owned());
        let cause = known.unwrap_or_else(|| {
            cause.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        });
        format!("error parsing regexp: {cause}: `{pattern}`")
    })
}

/// `net.SplitHostPort`: host and port, or `None` where the text is no such pair.
fn split(address: &str) -> Option<(&str, &str)> {
    let colon = address.rfind(':')?;
    let (host, port) = (&address[..colon], &address[colon + 1..]);
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!host.contains(['[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

/// The host of `host:port`, or the text as it is.
pub(super) fn strip_port(address: &str) -> String {
    split(address).map_or(address, |(host, _)| host).to_owned()
}

/// The first part of a host's name, with the port where there is one; addresses stay as they are.
pub(super) fn strip_domain(address: &str) -> String {
    let (host, port) = split(address).unwrap_or((address, ""));
    if host.parse::<std::net::IpAddr>().is_ok() {
        return address.to_owned();
    }
    let host = host.split('.').next().unwrap_or_default();
    match (port, host.contains(':')) {
        ("", _) => host.to_owned(),
        (port, true) => format!("[{host}]:{port}"),
        (port, false) => format!("{host}:{port}"),
    }
}

/// The path of a URL.
pub(super) fn path(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    path.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// `url.QueryEscape`.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(b as char),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

/// Each word's first letter in title case, the rest as it is. A word ends where Unicode's word breaks say,
/// of which these are kept: letters, digits and underscores join; `'`, `.`, `:` and `·` join letters.
pub(super) fn title(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for (i, &c) in chars.iter().enumerate() {
        let joins = c.is_alphanumeric() || c == '_' || is_mark(c);
        let between = matches!(c, '\'' | '.' | ':' | '·' | '’')
            && i > 0
            && chars[i - 1].is_alphabetic()
            && chars.get(i + 1).is_some_and(|n| n.is_alphabetic());
        if !joins && !between {
            in_word = false;
            out.push(c);
        } else if !in_word && (c.is_lowercase() || c.is_uppercase()) {
            in_word = true;
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
    }
    out
}

/// Combining marks, which belong to the letter before.
fn is_mark(c: char) -> bool {
    matches!(c as u32, 0x300..=0x36f | 0x1ab0..=0x1aff | 0x20d0..=0x20ff | 0x200d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(title("aa bB-cc don't e.f 1st_x"), "Aa BB-Cc Don't E.f 1St_x");
        assert_eq!(strip_port("[::1]:80"), "::1");
        assert_eq!(strip_port("a.b:80"), "a.b");
        assert_eq!(strip_port("a.b"), "a.b");
        assert_eq!(strip_domain("foo.example.com:8080"), "foo:8080");
        assert_eq!(strip_domain("192.0.2.1:80"), "192.0.2.1:80");
        assert_eq!(strip_domain("foo.example.com"), "foo");
        assert_eq!(escape("a b&c=\u{e9}"), "a+b%26c%3D%C3%A9");
        assert_eq!(path("https://h:9090/prom/x?y"), "/prom/x");
        assert_eq!(replace_all("(a)b", "${1}c$1", "ab xab"), Ok("aca xaca".to_owned()));
        assert_eq!(is_match("^a+$", "aaa"), Ok(true));
        assert!(is_match("(", "").is_err());
    }
}
