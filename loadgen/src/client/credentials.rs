//! Headers that carry keys. Invariant: what their names suggest is enough to hold them back; a header too many held back
//! costs a request that was redirected, one too few gives a key away.

use assay_text::secret::is_secret_name;
use http::HeaderMap;

/// Words in a name, apart by `-` or `_`, that make it one of a key among headers, in addition to those of all secrets.
const WORDS: [&str; 4] = ["cookie2", "key", "team", "vault"];

/// Removes the headers that carry keys, for a request to another server than the one they were meant for.
pub(crate) fn remove(headers: &mut HeaderMap) {
    let names: Vec<_> = headers.keys().filter(|name| carries_key(name.as_str())).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Whether a header of this name, in lower case, carries a key.
fn carries_key(name: &str) -> bool {
    let is_of_key = |word: &str| word.starts_with("auth") || WORDS.contains(&word);
    is_secret_name(name) || name.split(['-', '_']).any(is_of_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_keys_are_known() {
        for name in [
            "authorization",
            "proxy-authorization",
            "cookie",
            "x-api-key",
            "api-key",
            "x_api_key",
            "x-honeycomb-team",
            "x-auth-request-user",
            "x-vault-namespace",
            "x-amz-security-token",
            "private-token",
            "x-csrftoken",
            "x-session-id",
        ] {
            assert!(carries_key(name), "{name}");
        }
        for name in ["accept", "content-type", "user-agent", "traceparent", "x-scope-orgid", "x-request-id"] {
            assert!(!carries_key(name), "{name}");
        }
    }
}
