//! What looks like a secret becomes an environment variable. Invariant: a value that was taken for a secret is
//! in nothing that comes out; the same value is the same variable everywhere.
//!
//! What a secret is, `assay_text::secret` knows.

use std::collections::BTreeSet;

use assay_text::secret::{self, Found, is_oauth, is_oauth_secret, is_secret_name, words};

use super::{
    draft::{Content, Part, literal},
    json::Json,
    shell,
};

/// What stands for a secret until its variable is set.
const UNSET: &str = "unset";
/// The shortest secret that is looked for where nothing says that it is one.
const LEAST_DISTINCT: usize = 6;

/// The secrets found so far, and what is odd of the rest.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    known: Vec<Known>,
    odd: BTreeSet<String>,
    is_oauth: bool,
}

#[derive(Debug)]
struct Known {
    value: String,
    variable: String,
    /// What it was called in the input.
    names: BTreeSet<String>,
}

impl Secrets {
    /// Whether a value is taken for a secret as a whole, by its name or by its form.
    pub(super) fn is_secret(&self, name: &str, value: &str) -> bool {
        let is_named = if self.is_oauth { is_oauth_secret(name) } else { is_secret_name(name) };
        !value.is_empty() && (is_named || secret::form(value).is_some())
    }

    /// Says what the request is that the next values belong to: in a call of OAuth, a code is a secret.
    pub(super) fn begin<'n>(&mut self, path: &str, names: impl Iterator<Item = &'n str>) {
        self.is_oauth = is_oauth(path, names);
    }

    /// The template that stands for a secret.
    pub(super) fn template(&mut self, name: &str, value: &str) -> String {
        let at = self.known.iter().position(|k| k.value == value).unwrap_or_else(|| {
            let variable = self.free_name(name);
            self.known.push(Known { value: value.to_owned(), variable, names: BTreeSet::new() });
            self.known.len() - 1
        });
        let known = &mut self.known[at];
        known.names.insert(name.to_owned());
        variable(&known.variable, "")
    }

    /// What a variable stands for.
    pub(super) fn value_of(&self, variable: &str) -> Option<&str> {
        self.known.iter().find(|k| k.variable == variable).map(|k| k.value.as_str())
    }

    fn free_name(&self, name: &str) -> String {
        let base = words(name).join("_").to_ascii_uppercase();
        let base = match base.chars().next() {
            Some(c) if c.is_ascii_alphabetic() => base,
            _ => format!("SECRET_{base}"),
        };
        let is_free = |n: &String| self.known.iter().all(|k| k.variable != *n);
        let numbered = (2..).map(|n| format!("{base}_{n}"));
        std::iter::once(base.clone()).chain(numbered).find(is_free).unwrap_or(base)
    }

    /// A value as a template: a variable if it is a secret, else itself with variables for the secrets in it.
    pub(super) fn text(&mut self, name: &str, value: &str) -> String {
        if self.is_secret(name, value) {
            return self.template(name, value);
        }
        if let Some(json) = self.nested(name, value) {
            return json;
        }
        if secret::is_odd(value) {
            self.odd.insert(name.to_owned());
        }
        self.free(value)
    }

    /// Text of any kind.
    pub(super) fn free(&mut self, text: &str) -> String {
        self.replaced(text, secret::in_text(text))
    }

    /// A path, which may have a query.
    pub(super) fn path(&mut self, path: &str) -> String {
        self.replaced(path, secret::in_url(path))
    }

    /// Takes a variable of the shell for a secret of its name.
    pub(super) fn shell(&mut self, name: &str) {
        if self.known.iter().all(|k| k.variable != name) {
            let known =
                Known { value: shell::marked(name), variable: name.to_owned(), names: BTreeSet::new() };
            self.known.push(known);
        }
    }

    fn replaced(&mut self, text: &str, mut found: Vec<Found>) -> String {
        for known in self.known.iter().filter(|k| shell::is_one(&k.value)) {
            for (at, value) in text.match_indices(&known.value) {
                let range = at..at + value.len();
                if found.iter().all(|f| f.range.end <= range.start || range.end <= f.range.start) {
                    found.push(Found { range, name: known.variable.clone() });
                }
            }
        }
        found.sort_by_key(|f| f.range.start);
        let (mut out, mut end) = (String::new(), 0);
        for Found { range, name } in found {
            out.push_str(&literal(&text[end..range.start]));
            close_brace(&mut out);
            out.push_str(&self.template(&name, &text[range.clone()]));
            end = range.end;
        }
        out + &literal(&text[end..])
    }

    /// JSON inside of a text, if there is a secret in it.
    fn nested(&mut self, name: &str, text: &str) -> Option<String> {
        let masked =
            text.trim_start().starts_with(['{', '[']).then(|| self.json_text(name, text)).flatten()?;
        // Text that has no secret stays as it was written.
        (masked != literal(text)).then_some(masked)
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
            // A boundary looks random.
            _ if name == "content-type" => self.replaced(value, Vec::new()),
            _ => self.text(name, value),
        }
    }

    /// The parts of a form.
    pub(super) fn parts(&mut self, parts: Vec<(String, Part)>) -> Vec<(String, Part)> {
        let mask = |(name, part): (String, Part)| {
            let content = match part.content {
                Content::Text(text) => Content::Text(self.text(&name, &text)),
                file => file,
            };
            (name, Part { content, ..part })
        };
        parts.into_iter().map(mask).collect()
    }

    /// A JSON value whose texts are templates; `name` is the key that it stands under. What is inside of a secret is
    /// one.
    pub(super) fn json(&mut self, name: &str, value: Json) -> Json {
        match value {
            Json::Text(text) => Json::Text(self.text(name, &text)),
            Json::Word(word) if word.parse::<f64>().is_ok() && is_secret_name(name) => {
                self.template(name, &word);
                let known = self.known.iter().find(|k| k.value == word);
                let kind = if word.parse::<i64>().is_ok() { "int" } else { "float" };
                let variable = known.map(|k| k.variable.as_str()).unwrap_or_default();
                Json::Text(format!("{{{{ env.{variable} | default(0) | {kind} }}}}"))
            }
            Json::List(items) => Json::List(items.into_iter().map(|v| self.json(name, v)).collect()),
            Json::Map(pairs) => Json::Map(
                pairs
                    .into_iter()
                    .map(|(key, value)| {
                        let under = under(name, &key);
                        let value = self.json(&under, value);
                        (key, value)
                    })
                    .collect(),
            ),
            other => other,
        }
    }

    /// The whole scenario without secrets that stand where nothing says that they are: a token in a path, say.
    pub(super) fn swept(&self, mut text: String) -> String {
        for known in self.known.iter().filter(|k| is_distinct(&k.value)) {
            let encoded: String = url::form_urlencoded::byte_serialize(known.value.as_bytes()).collect();
            let spaced = encoded.replace('+', "%20");
            for spelling in [known.value.as_str(), &encoded, &spaced] {
                if text.contains(spelling) {
                    let variable = variable(&known.variable, "");
                    text = text.replace(&format!("{{{spelling}"), &format!("{BRACE}{variable}"));
                    text = text.replace(spelling, &variable);
                }
            }
        }
        text
    }

    /// The variables, in the order in which they were found.
    pub(super) fn variables(&self) -> Vec<String> {
        self.known.iter().map(|k| k.variable.clone()).collect()
    }

    /// What was replaced, and what was kept but may be a secret.
    pub(super) fn notes(&self) -> Vec<String> {
        let list = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let mut notes: Vec<String> =
            self.known.iter().map(|k| format!("{} stands for {}", k.variable, list(&k.names))).collect();
        if !self.odd.is_empty() {
            notes.push(format!(
                "Kept, though it may be a secret; replace it with an environment variable if it is: {}",
                list(&self.odd)
            ));
        }
        notes
    }
}

/// The name of what stands under a key inside of something else: what is inside of a secret is one.
pub(super) fn under(name: &str, key: &str) -> String {
    if is_secret_name(name) { format!("{name}_{key}") } else { key.to_owned() }
}

/// A brace that a variable may follow.
pub(super) const BRACE: &str = "{{ '{' }}";

/// Ends a text so that a variable may follow: a brace at its end would be taken for one of the variable's.
pub(super) fn close_brace(text: &mut String) {
    if text.ends_with('{') {
        text.pop();
        text.push_str(BRACE);
    }
}

/// The template of a variable, with filters behind it.
pub(super) fn variable(name: &str, filters: &str) -> String {
    format!("{{{{ env.{name} | default('{UNSET}'){filters} }}}}")
}

/// Whether a text is unlikely to stand anywhere by chance.
fn is_distinct(value: &str) -> bool {
    let has = |is: fn(&char) -> bool| value.chars().any(|c| is(&c));
    value.len() >= LEAST_DISTINCT && has(char::is_ascii_alphabetic) && has(|c| !c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(s.notes()[0], "AUTHORIZATION stands for authorization, token");
    }

    #[test]
    fn a_brace_before_a_secret_is_not_one_of_the_variable() {
        let mut s = Secrets::default();
        let text = s.text("note", "{{{AKIAIOSFODNN7EXAMPLE}");
        let variable = format!("{{{{ env.{} | default('unset') }}}}", s.variables()[0]);
        assert_eq!(text, format!("{{{{ '{{{{' }}}}{{{{ '{{' }}}}{variable}}}"));
        assert_eq!(s.swept("{AKIAIOSFODNN7EXAMPLE".to_owned()), format!("{{{{ '{{' }}}}{variable}"));
    }

    #[test]
    fn secrets_inside_of_values_are_found() {
        let mut s = Secrets::default();
        let v = |name: &str| format!("{{{{ env.{name} | default('unset') }}}}");
        assert_eq!(
            s.text("note", "{\"a\": {\"pin\": 1234}, \"b\": \"x\"}"),
            format!("{{\"a\": {{\"pin\": {}}}, \"b\": \"x\"}}", v("PIN"))
        );
        assert_eq!(s.text("note", "{\"a\": 1 }"), "{\"a\": 1 }");
        assert_eq!(
            s.text("referer", "http://h/?q=1&token=t0k"),
            format!("http://h/?q=1&token={}", v("TOKEN"))
        );
        assert_eq!(
            s.json("credentials", Json::parse(r#"{"a": "x1"}"#).expect("JSON")),
            Json::Map(vec![("a".to_owned(), Json::Text(v("CREDENTIALS_A")))])
        );
        assert_eq!(s.swept("/reset/abcdefg9".to_owned()), "/reset/abcdefg9");
        s.text("password", "abcdefg9");
        assert_eq!(s.swept("/reset/abcdefg9".to_owned()), format!("/reset/{}", v("PASSWORD")));
        s.text("device", "550e8400-e29b-41d4-a716-446655440000");
        assert!(s.notes().last().is_some_and(|n| n.ends_with("if it is: device")), "{:?}", s.notes());
    }
}
