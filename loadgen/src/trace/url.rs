//! URLs as spans show them. Invariant: what is likely to be a secret is not in them.

use url::Url;

/// The parameters whose values are taken out: those of the semantic conventions for `url.full`, and what
/// services usually call their credentials.
const SECRET: [&str; 14] = [
    "awsaccesskeyid",
    "signature",
    "sig",
    "x-goog-signature",
    "x-amz-signature",
    "x-amz-security-token",
    "access_token",
    "api_key",
    "apikey",
    "api-key",
    "key",
    "token",
    "password",
    "secret",
];

/// A URL with the values of secret parameters replaced; its path and query are `path`.
pub(super) fn shown(origin: &str, path: &str) -> String {
    let whole = format!("{origin}{path}");
    if !path.contains('?') {
        return whole;
    }
    let Ok(mut url) = Url::parse(&whole) else { return origin.to_owned() };
    let is_secret = |name: &str| SECRET.contains(&name.to_ascii_lowercase().as_str());
    if !url.query_pairs().any(|(name, _)| is_secret(&name)) {
        return whole;
    }
    let pairs: Vec<(String, String)> = url
        .query_pairs()
        .map(|(name, value)| {
            let value = if is_secret(&name) { "REDACTED".to_owned() } else { value.into_owned() };
            (name.into_owned(), value)
        })
        .collect();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_and_the_rest_stays() {
        let check = |path: &str, want: &str| {
            assert_eq!(shown("http://h:1", path), format!("http://h:1{want}"));
        };
        check("/a/b", "/a/b");
        check("/a?q=x%20y&r", "/a?q=x%20y&r");
        check("/a?q=1&Token=abc&sig=d", "/a?q=1&Token=REDACTED&sig=REDACTED");
    }
}
