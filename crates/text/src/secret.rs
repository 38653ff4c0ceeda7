//! What is a secret: by the name that it goes under, by its form, and by where it is in a URL or a text.
//!
//! One place for all: what is printed and recorded has the secrets of URLs taken out ([`redact`]), and scenarios that are
//! made of other people's requests have everything taken out that looks like one ([`in_text`]). Invariant: no finding
//! overlaps another; they come in the order of the text.

use std::{borrow::Cow, ops::Range};

mod form;
mod name;
mod text;
mod url;

pub use self::{
    form::{form, is_odd},
    name::{is_oauth, is_oauth_secret, is_secret_name, words},
    text::in_text,
    url::{in_url, in_urls},
};

/// What is shown in place of a secret.
pub const REDACTED: &str = "xxxxx";

/// A secret in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// What it is called there, or what its form is called.
    pub name: String,
}

/// A text without the secrets of the URLs in it: user and password, parameters by name and by form.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    without(text, in_urls(text), REDACTED)
}

/// The same of one URL, which may be relative, with another mark.
#[must_use]
pub fn redact_url<'t>(url: &'t str, mark: &str) -> Cow<'t, str> {
    without(url, in_url(url), mark)
}

/// A text without all that looks like a secret.
#[must_use]
pub fn redact_text(text: &str) -> String {
    without(text, in_text(text), REDACTED).into_owned()
}

fn without<'t>(text: &'t str, found: Vec<Found>, mark: &str) -> Cow<'t, str> {
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for Found { range, .. } in found {
        out.push_str(&text[end..range.start]);
        out.push_str(mark);
        end = range.end;
    }
    out.push_str(&text[end..]);
    Cow::Owned(out)
}

/// A header `Name: value` without its value.
#[must_use]
pub fn redact_header(line: &str) -> String {
    let name = line.split([':', '=']).next().unwrap_or_default().trim();
    format!("{name}: {REDACTED}")
}

/// Sorts findings and leaves out those inside of others.
fn settled(mut found: Vec<Found>) -> Vec<Found> {
    found.retain(|f| !f.range.is_empty());
    found.sort_by_key(|f| (f.range.start, std::cmp::Reverse(f.range.end)));
    let mut end = 0;
    found.retain(|f| {
        let is_free = f.range.start >= end;
        end = end.max(f.range.end);
        is_free
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_secrets_and_nothing_else() {
        let check = |text: &str, want: &str| assert_eq!(redact(text), want);
        check("http://127.0.0.1:8000/a?b=c&max_tokens=5#top", "http://127.0.0.1:8000/a?b=c&max_tokens=5#top");
        check("mail me@host, 5://", "mail me@host, 5://");
        check("https://me:pw@h/x", "https://xxxxx@h/x");
        check("https://token@h", "https://xxxxx@h");
        check(
            "exporter=http://me:p@ss@h:1/metrics?Api-Key=k1&x=1",
            "exporter=http://xxxxx@h:1/metrics?Api-Key=xxxxx&x=1",
        );
        check("http://me:pa/ss@h:1/", "http://xxxxx@h:1/");
        check("(\"http://h/?sig=a%20b&q=1\")", "(\"http://h/?sig=xxxxx&q=1\")");
        check("http://h/cb?code=abc&state=1", "http://h/cb?code=xxxxx&state=1");
        check("http://h/items?code=abc", "http://h/items?code=abc");
        check("http://h/#access_token=abc&x=1", "http://h/#access_token=xxxxx&x=1");
        check("http://h/hooks/ghp_0123456789abcdefABCDEF0123456789abcd/x", "http://h/hooks/xxxxx/x");
        check("http://[::1]:8000/a@b", "http://[::1]:8000/a@b");
        check(r#"{"a":"http://h","b":"x@y"}"#, r#"{"a":"http://h","b":"x@y"}"#);
        assert_eq!(redact_header("X-Scope-OrgID: team"), "X-Scope-OrgID: xxxxx");
    }
}
