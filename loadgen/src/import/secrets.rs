//! What looks like a secret becomes an environment variable. Invariant: a value that was taken for a secret is
//! in nothing that comes out; the same value is the same variable everywhere.

use serde_json::Value;

use super::draft::{Part, literal};

/// Words in a name that make its value a secret.
const WORDS: [&str; 14] = [
    "authorization",
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "apikey",
    "session",
    "cookie",
    "credential",
    "credentials",
    "signature",
    "jwt",
];
/// Words before `key` that do.
const KEYS: [&str; 5] = ["api", "access", "private", "secret", "subscription"];
/// What stands for a secret until its variable is set.
const UNSET: &str = "unset";

/// The secrets found so far: value and variable.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    known: Vec<(String, String)>,
}

impl Secrets {
    /// Whether a value is taken for a secret, by its name or by what it looks like.
    pub(super) fn is_secret(name: &str, value: &str) -> bool {
        let words = words(name);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let is_named = words.iter().any(|w| WORDS.contains(w))
            || words.windows(2).any(|w| KEYS.contains(&w[0]) && w[1] == "key")
            || matches!(words.as_slice(), ["key" | "auth" | "sid" | "sig"]);
        // A JSON Web Token has three parts, the first of which begins with {" in base64.
        let is_token = value.starts_with("eyJ") && value.matches('.').count() == 2;
        !value.is_empty() && (is_named || is_token)
    }

    /// The template that stands for a secret.
    pub(super) fn template(&mut self, name: &str, value: &str) -> String {
        let variable = match self.known.iter().find(|(v, _)| v == value) {
            Some((_, variable)) => variable.clone(),
            None => {
                let variable = self.free_name(name);
                self.known.push((value.to_owned(), variable.clone()));
                variable
            }
        };
        format!("{{{{ env.{variable} | default('{UNSET}') }}}}")
    }

    fn free_name(&self, name: &str) -> String {
        let base = words(name).join("_").to_ascii_uppercase();
        let base = match base.chars().next() {
            Some(c) if c.is_ascii_alphabetic() => base,
            _ => format!("SECRET_{base}"),
        };
        let is_free = |n: &String| self.known.iter().all(|(_, v)| v != n);
        let numbered = (2..).map(|n| format!("{base}_{n}"));
        std::iter::once(base.clone()).chain(numbered).find(is_free).unwrap_or(base)
    }

    /// A value as a template: a variable where it is a secret, else itself.
    pub(super) fn text(&mut self, name: &str, value: &str) -> String {
        if Self::is_secret(name, value) { self.template(name, value) } else { literal(value) }
    }

    /// The value of a header: the scheme before a credential stays.
    pub(super) fn header(&mut self, name: &str, value: &str) -> String {
        let scheme = value.split_once(' ').filter(|(scheme, rest)| {
            !rest.trim().is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        });
        match scheme {
            Some((scheme, rest)) if name.ends_with("authorization") => {
                format!("{scheme} {}", self.template(name, rest.trim()))
            }
            _ => self.text(name, value),
        }
    }

    /// Names and values of a form or a query.
    pub(super) fn pairs(&mut self, pairs: Vec<(String, String)>) -> Vec<(String, String)> {
        pairs
            .into_iter()
            .map(|(name, value)| {
                let text = self.text(&name, &value);
                (name, text)
            })
            .collect()
    }

    /// The parts of a form.
    pub(super) fn parts(&mut self, parts: Vec<(String, Part)>) -> Vec<(String, Part)> {
        let part = |s: &mut Self, name: &str, part| match part {
            Part::Text(text) => Part::Text(s.text(name, &text)),
            file => file,
        };
        parts
            .into_iter()
            .map(|(name, content)| {
                let content = part(self, &name, content);
                (name, content)
            })
            .collect()
    }

    /// A JSON value whose texts are templates; `name` is the key that it stands under.
    pub(super) fn json(&mut self, name: &str, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(name, &text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|v| self.json(name, v)).collect()),
            Value::Object(map) => Value::Object(
                map.into_iter()
                    .map(|(key, value)| {
                        let value = self.json(&key, value);
                        (key, value)
                    })
                    .collect(),
            ),
            other => other,
        }
    }

    /// The variables, in the order in which they were found.
    pub(super) fn variables(&self) -> Vec<String> {
        self.known.iter().map(|(_, variable)| variable.clone()).collect()
    }
}

/// The words of a name, in small letters: `X-Api-Key`, `api_key` and `apiKey` have the same two.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut was_small = false;
    let mut begins = true;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() {
            (begins, was_small) = (true, false);
            continue;
        }
        if begins || (was_small && c.is_ascii_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c.to_ascii_lowercase());
        }
        (begins, was_small) = (false, !c.is_ascii_uppercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_secrets() {
        for name in [
            "Authorization",
            "X-Api-Key",
            "apiKey",
            "api_key",
            "accessToken",
            "PASSWORD",
            "key",
            "session_id",
        ] {
            assert!(Secrets::is_secret(name, "v"), "{name}");
        }
        for name in ["max_tokens", "keyword", "author", "monkey", "tokenizer", "page"] {
            assert!(!Secrets::is_secret(name, "v"), "{name}");
        }
        assert!(Secrets::is_secret("x", "eyJhbGciOi.eyJzdWIi.c2ln") && !Secrets::is_secret("token", ""));
    }

    #[test]
    fn a_secret_is_one_variable_wherever_it_stands() {
        let mut s = Secrets::default();
        assert_eq!(
            s.header("authorization", "Bearer abc"),
            "Bearer {{ env.AUTHORIZATION | default('unset') }}"
        );
        assert_eq!(s.text("token", "abc"), "{{ env.AUTHORIZATION | default('unset') }}");
        assert_eq!(s.text("2nd-token", "xyz"), "{{ env.SECRET_2ND_TOKEN | default('unset') }}");
        assert_eq!(s.header("authorization", "other"), "{{ env.AUTHORIZATION_2 | default('unset') }}");
        assert_eq!(s.text("q", "{{ x }}"), "{{ '{{' }} x }}");
        assert_eq!(s.variables(), ["AUTHORIZATION", "SECRET_2ND_TOKEN", "AUTHORIZATION_2"]);
    }
}
