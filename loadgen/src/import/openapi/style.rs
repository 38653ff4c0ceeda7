//! How values are written in a path, a query, a header, a cookie or a form (OpenAPI's `style` and `explode`, which follow
//! RFC 6570). Invariant: what is written is encoded for its place.

use percent_encoding::{AsciiSet, utf8_percent_encode};

use crate::{import::json::Json, scenario::template::filters::UNRESERVED};

/// What `allowReserved` keeps as it is (RFC 3986, 2.2), but for what would end a value.
const RESERVED: &AsciiSet = &UNRESERVED
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';')
    .remove(b'[')
    .remove(b']');

/// How the characters of a value are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// In a URL or a cookie.
    Percent,
    /// The same, with the characters that have a meaning in URLs as they are.
    Reserved,
    /// In a form, where a space is a plus.
    Form,
    /// Not at all: a header.
    Plain,
}

impl Encoding {
    pub(super) fn encode(self, text: &str) -> String {
        match self {
            Self::Percent => utf8_percent_encode(text, UNRESERVED).to_string(),
            Self::Reserved => utf8_percent_encode(text, RESERVED).to_string(),
            Self::Form => url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
            Self::Plain => text.to_owned(),
        }
    }
}

/// How a value is written.
#[derive(Clone, Debug)]
pub(super) struct Style {
    /// `form`, `simple`, `label`, `matrix`, `spaceDelimited`, `pipeDelimited` or `deepObject`.
    pub(super) name: String,
    pub(super) explode: bool,
    pub(super) encoding: Encoding,
}

impl Style {
    /// A value under a name, as it is in its place: with `name=` where the style has that.
    pub(super) fn write(&self, name: &str, value: &Json) -> String {
        let key = self.encoding.encode(name);
        match self.name.as_str() {
            "simple" => self.joined(value, ",", "="),
            "label" => format!(".{}", self.joined(value, if self.explode { "." } else { "," }, "=")),
            "matrix" => self.matrix(&key, value),
            "deepObject" => self.deep(&key, value).join("&"),
            style => match value {
                Json::List(items) if items.is_empty() => String::new(),
                Json::Map(pairs) if pairs.is_empty() => String::new(),
                Json::List(items) if self.explode => {
                    items.iter().map(|item| format!("{key}={}", self.one(item))).collect::<Vec<_>>().join("&")
                }
                Json::Map(_) if self.explode => self.joined(value, "&", "="),
                _ => {
                    let between = match style {
                        "spaceDelimited" => "%20",
                        "pipeDelimited" => "%7C",
                        _ => ",",
                    };
                    format!("{key}={}", self.joined(value, between, between))
                }
            },
        }
    }

    fn matrix(&self, key: &str, value: &Json) -> String {
        let pair = |key: &str, value: String| {
            if value.is_empty() { format!(";{key}") } else { format!(";{key}={value}") }
        };
        match value {
            Json::List(items) if self.explode => items.iter().map(|item| pair(key, self.one(item))).collect(),
            Json::Map(pairs) if self.explode => {
                pairs.iter().map(|(k, v)| pair(&self.encoding.encode(k), self.one(v))).collect()
            }
            _ => pair(key, self.joined(value, ",", ",")),
        }
    }

    /// The items of a value; `equals` is between the name and the value of one that is exploded.
    fn joined(&self, value: &Json, between: &str, equals: &str) -> String {
        let items: Vec<String> = match value {
            Json::List(items) => items.iter().map(|item| self.one(item)).collect(),
            Json::Map(pairs) => {
                let equals = if self.explode { equals } else { between };
                pairs
                    .iter()
                    .map(|(k, v)| format!("{}{equals}{}", self.encoding.encode(k), self.one(v)))
                    .collect()
            }
            one => vec![self.one(one)],
        };
        items.join(between)
    }

    /// `name[a][b]=c`, and `name[0]=c` for what is in a list.
    fn deep(&self, key: &str, value: &Json) -> Vec<String> {
        let below = |inner: &str| {
            let (open, close) = (self.encoding.encode("["), self.encoding.encode("]"));
            format!("{key}{open}{}{close}", self.encoding.encode(inner))
        };
        match value {
            Json::Map(pairs) => pairs.iter().flat_map(|(k, v)| self.deep(&below(k), v)).collect(),
            Json::List(items) => {
                items.iter().enumerate().flat_map(|(i, v)| self.deep(&below(&i.to_string()), v)).collect()
            }
            one => vec![format!("{key}={}", self.one(one))],
        }
    }

    /// A value that has no parts of its own here.
    fn one(&self, value: &Json) -> String {
        self.encoding.encode(&as_text(value))
    }
}

/// A value as the text that it is in a form.
pub(super) fn as_text(value: &Json) -> String {
    match value {
        Json::Text(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the specification's section on styles.
    #[test]
    fn values_are_written_as_the_specification_has_it() {
        let values = [r#""""#, r#""blue""#, r#"["blue","black","brown"]"#, r#"{"R":100,"G":200,"B":150}"#];
        let check = |name: &str, explode: bool, want: [Option<&str>; 4]| {
            for (value, want) in values.iter().zip(want) {
                let Some(want) = want else { continue };
                let style = Style { name: name.to_owned(), explode, encoding: Encoding::Percent };
                let got = style.write("color", &Json::parse(value).expect(value));
                assert_eq!(got, want, "{name}, {explode}, {value}");
            }
        };
        let n = None;
        check(
            "matrix",
            false,
            [
                Some(";color"),
                Some(";color=blue"),
                Some(";color=blue,black,brown"),
                Some(";color=R,100,G,200,B,150"),
            ],
        );
        check(
            "matrix",
            true,
            [
                Some(";color"),
                Some(";color=blue"),
                Some(";color=blue;color=black;color=brown"),
                Some(";R=100;G=200;B=150"),
            ],
        );
        check(
            "label",
            false,
            [Some("."), Some(".blue"), Some(".blue,black,brown"), Some(".R,100,G,200,B,150")],
        );
        check(
            "label",
            true,
            [Some("."), Some(".blue"), Some(".blue.black.brown"), Some(".R=100.G=200.B=150")],
        );
        check("simple", false, [Some(""), Some("blue"), Some("blue,black,brown"), Some("R,100,G,200,B,150")]);
        check("simple", true, [Some(""), Some("blue"), Some("blue,black,brown"), Some("R=100,G=200,B=150")]);
        check(
            "form",
            false,
            [
                Some("color="),
                Some("color=blue"),
                Some("color=blue,black,brown"),
                Some("color=R,100,G,200,B,150"),
            ],
        );
        check(
            "form",
            true,
            [
                Some("color="),
                Some("color=blue"),
                Some("color=blue&color=black&color=brown"),
                Some("R=100&G=200&B=150"),
            ],
        );
        check(
            "spaceDelimited",
            false,
            [n, n, Some("color=blue%20black%20brown"), Some("color=R%20100%20G%20200%20B%20150")],
        );
        check(
            "pipeDelimited",
            false,
            [n, n, Some("color=blue%7Cblack%7Cbrown"), Some("color=R%7C100%7CG%7C200%7CB%7C150")],
        );
        check("deepObject", true, [n, n, n, Some("color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150")]);
    }
}
