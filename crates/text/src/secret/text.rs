//! Secrets in text of any kind: forms, JSON that is inside of something else, XML, parts of forms, headers, free words.
//!
//! Invariant: it needs no grammar of the text, so that a text that is not what its type says is searched too.

use std::sync::{LazyLock, OnceLock};

use regex::Regex;

use super::{Found, form, in_urls, is_secret_name, settled, url::parameters};

/// Where names and their values stand: groups `n` and `v`.
struct Pair {
    /// What every such text has. Compiling a pattern takes a millisecond, and most texts need none.
    needs: &'static [&'static str],
    pattern: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

const fn pair(needs: &'static [&'static str], pattern: &'static str) -> Pair {
    Pair { needs, pattern, compiled: OnceLock::new() }
}

impl Pair {
    /// The pattern, if the text may have it.
    fn within(&self, text: &str) -> Option<&Regex> {
        let may = self.needs.iter().all(|part| text.contains(part));
        may.then(|| self.compiled.get_or_init(|| Regex::new(self.pattern).ok()).as_ref()).flatten()
    }
}

static PAIRS: [Pair; 8] = [
    // JSON, also inside of a JSON string.
    pair(&["\"", ":"], r#"\\*"(?P<n>[^"\\]{1,80})\\*"\s*:\s*\\*"(?P<v>[^"\\]+)"#),
    pair(&["\"", ":"], r#"\\*"(?P<n>[^"\\]{1,80})\\*"\s*:\s*(?P<v>-?[0-9][0-9.]*)"#),
    // XML: elements, CDATA, attributes.
    pair(&["</"], r"<(?:[\w-]+:)?(?P<n>[\w.-]+)(?:\s[^<>]*)?>\s*(?P<v>[^<>\s][^<>]*)</"),
    pair(&["<![CDATA["], r"<(?:[\w-]+:)?(?P<n>[\w.-]+)(?:\s[^<>]*)?>\s*<!\[CDATA\[(?P<v>[^\]]+)\]\]>"),
    pair(&["="], r#"\s(?:[\w-]+:)?(?P<n>[\w.-]+)\s*=\s*["'](?P<v>[^"'<>]+)["']"#),
    // Forms, cookies, connection strings.
    pair(&["="], r#"(?P<n>[A-Za-z0-9_.\[\]%-]+)=(?P<v>[^&\s;,"'<>{}]+)"#),
    // Parts of a multipart form.
    pair(&["=\"", "\n"], r#"(?i)name="(?P<n>[^"]+)"[^\n]*\n(?:[^\r\n]+\r?\n)*\r?\n(?P<v>[^\r\n]+)"#),
    // Headers, and settings a line.
    pair(
        &[":"],
        r"(?m)^\s*(?P<n>[A-Za-z][A-Za-z0-9_-]*)\s*:\s+(?:(?i:bearer|basic|token|digest|apikey)\s+)?(?P<v>\S[^\r\n]*)",
    ),
];
/// A credential behind its scheme.
static SCHEME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b(?:bearer|basic)\s+(?P<v>[A-Za-z0-9._~+/-]{8,}=*)").ok());
/// What may be a secret by its form.
static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9_.+/~:-]{16,}={0,2}").ok());

/// All secrets of a text: of URLs, of names with values in any of the usual notations, and of recognizable forms.
#[must_use]
pub fn in_text(text: &str) -> Vec<Found> {
    let mut found = in_urls(text);
    if text.contains('=') && !text.contains(char::is_whitespace) && !text.contains("://") {
        parameters("", text, 0, &mut found);
    }
    for pattern in PAIRS.iter().filter_map(|pair| pair.within(text)) {
        for c in pattern.captures_iter(text) {
            if let (Some(n), Some(v)) = (c.name("n"), c.name("v"))
                && is_secret_name(n.as_str())
            {
                found.push(Found { range: v.range(), name: n.as_str().to_owned() });
            }
        }
    }
    let scheme = SCHEME.iter().filter(|_| text.contains(char::is_whitespace));
    for v in scheme.flat_map(|p| p.captures_iter(text)).filter_map(|c| c.name("v")) {
        found.push(Found { range: v.range(), name: "authorization".to_owned() });
    }
    for word in WORD.iter().flat_map(|p| p.find_iter(text)) {
        if let Some(kind) = form(word.as_str()) {
            found.push(Found { range: word.range(), name: kind.to_owned() });
        }
    }
    if let Some(start) = text.find("-----BEGIN").filter(|_| text.contains("PRIVATE KEY")) {
        let end = text[start..].rfind("-----").map_or(text.len(), |at| start + at + 5);
        found.push(Found { range: start..end, name: "private_key".to_owned() });
    }
    settled(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        assert!(PAIRS.len() == 8 && SCHEME.is_some() && WORD.is_some());
    }

    #[test]
    fn secrets_are_found_in_any_notation() {
        let check = |text: &str, want: &[&str]| {
            let found: Vec<&str> = in_text(text).into_iter().map(|f| &text[f.range]).collect();
            assert_eq!(found, want, "{text}");
        };
        check(r#"{"a": {"password": "hunter2", "pin": 1234, "x": "y"}}"#, &["hunter2", "1234"]);
        check(r#"{"body": "{\"token\":\"t0k\",\"b\":1}"}"#, &["t0k"]);
        check("<a><ns:Password type=\"x\">s3c</ns:Password><b>c</b></a>", &["s3c"]);
        check("<a secret='s3c' b=\"c\"/>", &["s3c"]);
        check("<pass><![CDATA[s3c]]></pass>", &["s3c"]);
        check("user=me&passwd=s3c&x=1", &["s3c"]);
        check("code=abc&grant_type=authorization_code", &["abc"]);
        check("Endpoint=x;AccountKey=abc+/d==;y=1", &["abc+/d=="]);
        check("--b\r\nContent-Disposition: form-data; name=\"otp\"\r\n\r\n123456\r\n--b--", &["123456"]);
        check("GET / HTTP/1.1\r\nX-Auth-Token: abc def\r\nHost: h\r\n", &["abc def"]);
        check("use Bearer abcdefgh12 now", &["abcdefgh12"]);
        check("key ghp_0123456789abcdefABCDEF0123456789abcd!", &["ghp_0123456789abcdefABCDEF0123456789abcd"]);
        check(
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n",
            &["-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"],
        );
        check("What is the max_tokens=5 of a pass? a: b", &[]);
    }
}
