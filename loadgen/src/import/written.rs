//! Secrets in JSON and in what is URL-encoded. Invariant: all but the secrets stays as it was written, byte for byte,
//! and what a variable stands for is sent as it was written, too.

use std::{borrow::Cow, collections::HashSet};

use assay_text::secret::is_secret_name;
use percent_encoding::percent_decode_str;

use super::{
    draft::literal,
    json::{Raw, is_json, quoted},
    secrets::{BRACE, Secrets, close_brace, under, variable},
    shell,
};
use crate::scenario::template::filters::UNRESERVED;

/// How a text is spelled where it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Notation {
    /// Inside of the quotes of JSON.
    Json,
    /// In a query or a form.
    Url,
}

impl Notation {
    /// The ways to spell a value, each with the filters that make it of the value.
    fn spellings(self, value: &str) -> Vec<(String, &'static str)> {
        let mut found = Vec::new();
        match self {
            // The shell puts it there as it is.
            _ if shell::is_one(value) => found.push((value.to_owned(), "")),
            Self::Json => {
                if self.spell(value) == value {
                    found.push((value.to_owned(), ""));
                }
            }
            Self::Url => {
                if value.bytes().all(|b| b.is_ascii_graphic() && !b"%+&#".contains(&b)) {
                    found.push((value.to_owned(), ""));
                }
                let encoded = percent_encoding::utf8_percent_encode(value, UNRESERVED).to_string();
                let spaced = encoded.replace("%20", "+");
                found.push((encoded, " | urlencode"));
                found.push((spaced, " | urlencode | replace('%20', '+')"));
            }
        }
        found
    }

    fn spell(self, text: &str) -> String {
        match self {
            Self::Json => {
                let quoted = quoted(text);
                quoted[1..quoted.len() - 1].to_owned()
            }
            Self::Url => url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
        }
    }
}

/// A part of a template that [`Secrets`] made.
enum Part<'t> {
    Literal(&'t str),
    /// Braces that stand for themselves.
    Braces(&'t str),
    /// The name of a variable.
    Variable(&'t str),
}

/// The parts of a template.
fn parts(template: &str) -> Vec<Part<'_>> {
    let (mut found, mut rest) = (Vec::new(), template);
    while let Some((before, (inside, after))) =
        rest.split_once("{{ ").and_then(|(before, rest)| Some((before, rest.split_once(" }}")?)))
    {
        found.push(Part::Literal(before));
        found.push(match inside.strip_prefix("env.") {
            Some(name) => Part::Variable(name.split(' ').next().unwrap_or_default()),
            None => Part::Braces(inside.trim_matches('\'')),
        });
        rest = after;
    }
    found.push(Part::Literal(rest));
    found
}

/// A query or a form.
pub(super) struct Encoded {
    /// Names and templates, decoded.
    pub(super) pairs: Vec<(String, String)>,
    /// The template of the whole, as it was written.
    pub(super) written: String,
    /// Whether a map of the pairs is sent as it was written.
    pub(super) can_be_map: bool,
}

impl Secrets {
    /// A query or a form; in a call of OAuth, which the path may tell, a code is a secret.
    pub(super) fn encoded(&mut self, path: &str, text: &str) -> Encoded {
        let decoded = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        let raw: Vec<(&str, Option<&str>)> = text
            .split('&')
            .map(|part| part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value))))
            .collect();
        let names: Vec<String> = raw.iter().map(|(name, _)| decoded(name)).collect();
        self.begin(path, names.iter().map(String::as_str));
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let (mut pairs, mut written): (Vec<(String, String)>, Vec<String>) = (Vec::new(), Vec::new());
        let mut is_unique = true;
        let mut known = HashSet::new();
        for ((raw_name, raw_value), name) in raw.into_iter().zip(names) {
            let value = decoded(raw_value.unwrap_or_default());
            form.append_pair(&name, &value);
            is_unique &= !name.is_empty() && known.insert(name.clone());
            let template = self.text(&name, &value);
            written.push(match raw_value {
                None => literal(raw_name),
                Some(raw) if template == literal(&value) => format!("{}={}", literal(raw_name), literal(raw)),
                Some(raw) => format!("{}={}", literal(raw_name), self.kept(raw, &template, Notation::Url)),
            });
            pairs.push((name, template));
        }
        let can_be_map = is_unique && form.finish() == text;
        Encoded { pairs, written: written.join("&"), can_be_map }
    }

    /// A value that is percent-encoded.
    pub(super) fn percent_encoded(&mut self, name: &str, raw: &str) -> String {
        let value = percent_decode_str(raw).decode_utf8_lossy();
        let template = self.text(name, &value);
        if template == literal(&value) { literal(raw) } else { self.kept(raw, &template, Notation::Url) }
    }

    /// JSON as a template; `None` where the text is not JSON. `name` is the key that it stands under.
    pub(super) fn json_text(&mut self, name: &str, text: &str) -> Option<String> {
        if !is_json(text) {
            return None;
        }
        let mut edits = Vec::new();
        self.look_into(name, text.trim(), &mut edits);
        let (mut out, mut end) = (String::new(), 0);
        for (part, replacement) in edits {
            // A part of the text begins where its bytes are.
            let start = part.as_ptr() as usize - text.as_ptr() as usize;
            out.push_str(&literal(&text[end..start]));
            out.push_str(&replacement);
            end = start + part.len();
        }
        Some(out + &literal(&text[end..]))
    }

    fn look_into<'t>(&mut self, name: &str, text: &'t str, edits: &mut Vec<(&'t str, String)>) {
        match Raw::of(text) {
            Some(Raw::Word) if is_number(text) && is_secret_name(name) => {
                edits.push((text, self.template(name, text)));
            }
            Some(Raw::Text(value)) => {
                let template = self.text(name, &value);
                if template != literal(&value) {
                    edits.push((text, self.json_string(text, &value, &template)));
                }
            }
            Some(Raw::List(items)) => {
                items.into_iter().for_each(|item| self.look_into(name, item.get(), edits));
            }
            Some(Raw::Map(pairs)) => {
                for (key, value) in pairs {
                    let under = under(name, &key);
                    self.look_into(&under, value.get(), edits);
                }
            }
            Some(Raw::Word) | None => {}
        }
    }

    /// A text of JSON in its quotes.
    fn json_string(&self, raw: &str, value: &str, template: &str) -> String {
        let whole = match parts(template).as_slice() {
            [Part::Literal(""), Part::Variable(name), Part::Literal("")] => Some(*name),
            _ => None,
        };
        match whole {
            Some(name) if quoted(value) != format!("\"{value}\"") => variable(name, " | json"),
            _ => format!("\"{}\"", self.kept(&raw[1..raw.len() - 1], template, Notation::Json)),
        }
    }

    /// What was written, with the variables of a template in it.
    fn kept(&self, raw: &str, template: &str, notation: Notation) -> String {
        self.replaced_in(raw, template, notation).unwrap_or_else(|| self.spelled_anew(template, notation))
    }

    /// The same where each secret is found as it was written, and nowhere else.
    fn replaced_in(&self, raw: &str, template: &str, notation: Notation) -> Option<String> {
        let (mut out, mut rest) = (String::new(), raw);
        let mut kept = Vec::new();
        let mut spelled = Vec::new();
        for part in parts(template) {
            let Part::Variable(name) = part else { continue };
            let spellings = notation.spellings(self.value_of(name)?);
            let (at, len, filter) = spellings
                .iter()
                .find_map(|(s, filter)| rest.find(s.as_str()).map(|at| (at, s.len(), filter)))?;
            kept.push(&rest[..at]);
            out.push_str(&literal(&rest[..at]));
            close_brace(&mut out);
            out.push_str(&variable(name, filter));
            rest = &rest[at + len..];
            spelled.extend(spellings);
        }
        kept.push(rest);
        let is_clean = kept.iter().all(|text| spelled.iter().all(|(s, _)| !text.contains(s.as_str())));
        is_clean.then(|| out + &literal(rest))
    }

    fn spelled_anew(&self, template: &str, notation: Notation) -> String {
        let mut out = String::new();
        for part in parts(template) {
            match part {
                Part::Literal(text) => out.push_str(&notation.spell(text)),
                Part::Braces(text) if notation == Notation::Url => out.push_str(&notation.spell(text)),
                Part::Braces("{") => out.push_str(BRACE),
                Part::Braces(text) => out.push_str(&literal(text)),
                Part::Variable(name) => {
                    let spellings = notation.spellings(self.value_of(name).unwrap_or_default());
                    // What may stand as it is comes first.
                    let filter = spellings.first().map_or("", |(_, filter)| filter);
                    out.push_str(&variable(name, filter));
                }
            }
        }
        out
    }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

/// The path and the query that a client sends for a URL, as they were written as far as that can be sent.
pub(super) fn target_of(text: &str) -> (Cow<'_, str>, Option<Cow<'_, str>>) {
    let after = text.split_once("://").map_or(text, |(_, rest)| rest);
    let after = after.split('#').next().unwrap_or_default();
    let written = &after[after.find(['/', '?']).unwrap_or(after.len())..];
    let (path, query) = written.split_once('?').map_or((written, None), |(p, q)| (p, Some(q)));
    let path = if path.is_empty() { "/" } else { path };
    // Where dots are, the clients walk them themselves.
    let path = if path.split('/').any(|part| part == "." || part == "..") {
        walked(path).into()
    } else {
        Cow::Borrowed(path)
    };
    let path = sendable(path, "/");
    let query = query.map(|query| sendable(Cow::Borrowed(query), "/?"));
    (path, query)
}

/// A path without `.` and `..`.
fn walked(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => drop(kept.pop()),
            part => kept.push(part),
        }
    }
    // What ends in dots is a folder.
    let end = if path.ends_with("/.") || path.ends_with("/..") { "/" } else { "" };
    let path = format!("/{}", kept.join("/"));
    if path.ends_with('/') { path } else { path + end }
}

/// A text with what a URI cannot have percent-encoded, behind `start`. Letters that are not ASCII are encoded in a path, and
/// stay in a query.
fn sendable<'t>(text: Cow<'t, str>, start: &str) -> Cow<'t, str> {
    let is_path = start == "/";
    let is_sent = |text: &str| {
        (!is_path || text.is_ascii()) && http::uri::PathAndQuery::try_from(format!("{start}{text}")).is_ok()
    };
    if is_sent(&shell::named(&text)) {
        return text;
    }
    let mut out = String::new();
    for c in text.chars() {
        let mut bytes = [0; 4];
        let c = &*c.encode_utf8(&mut bytes);
        if is_sent(c) || shell::named(c).is_empty() {
            out.push_str(c);
        } else {
            out.extend(c.bytes().map(|b| format!("%{b:02X}")));
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_spaces_and_escapes() {
        let check = |text: &str, want: &str| {
            assert_eq!(Secrets::default().json_text("", text).as_deref(), Some(want), "{text}");
        };
        check(" { \"a\" : [1.50, \"\\u00e9\\/\"] }\n", " { \"a\" : [1.50, \"\\u00e9\\/\"] }\n");
        check("{\"a\":{\"b\":\"{{x}}\"}}", "{\"a\":{\"b\":\"{{ '{{' }}x}}\"}}");
        check(
            "{ \"pin\": 1234, \"password\": \"p\\\"w\", \"token\": \"t0k\" }",
            &format!(
                "{{ \"pin\": {}, \"password\": {}, \"token\": \"{}\" }}",
                variable("PIN", ""),
                variable("PASSWORD", " | json"),
                variable("TOKEN", "")
            ),
        );
        let nested = r#"{"d": "{ \"token\": \"t0k\" }\u0021"}"#;
        check(nested, &nested.replace("t0k", &variable("TOKEN", "")));
        assert_eq!(Secrets::default().json_text("", "{"), None);
    }

    #[test]
    fn a_query_keeps_its_encoding() {
        let check = |text: &str, want: &str, can_be_map: bool| {
            let got = Secrets::default().encoded("/", text);
            assert_eq!((got.written.as_str(), got.can_be_map), (want, can_be_map), "{text}");
        };
        check("a=b%20c&d=e+f", "a=b%20c&d=e+f", false);
        check("a=b+c&d", "a=b+c&d", false);
        check("a=b+c&d=", "a=b+c&d=", true);
        check("q=it's&sig=ab==", &format!("q=it's&sig={}", variable("SIG", "")), false);
        check("sig=a%2Fb%3D", &format!("sig={}", variable("SIG", " | urlencode")), true);
        check("sig=a%2Fb+c", &format!("sig={}", variable("SIG", " | urlencode | replace('%20', '+')")), true);
        check("sig=a%2fb", &format!("sig={}", variable("SIG", "")), false);
    }

    #[test]
    fn a_target_is_what_a_client_sends() {
        let check = |text: &str, path: &str, query: Option<&str>| {
            let (p, q) = target_of(text);
            assert_eq!((p.as_ref(), q.as_deref()), (path, query), "{text}");
        };
        check("http://h", "/", None);
        check("http://h?a=it's#x", "/", Some("a=it's"));
        check("http://me:pw@h:1/a/../b'|c?d=e/../f", "/b'|c", Some("d=e/../f"));
        check("http://h/a b?\"'", "/a%20b", Some("%22'"));
        check("http://h/ü?ö=ä", "/%C3%BC", Some("ö=ä"));
        check("http://h/../a/./b/..", "/a/", None);
        check("http://h/a/.?", "/a/", Some(""));
        check("http://h/..", "/", None);
    }
}
