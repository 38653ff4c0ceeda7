//! JSON as it was written. Invariant: names keep their order and numbers their digits.

use std::{collections::HashSet, fmt};

use assay_yaml::{Kind, Node};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    /// A number, `true`, `false` or `null`.
    Word(String),
    Text(String),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

/// A part of a JSON text.
pub(super) enum Raw<'t> {
    Word,
    Text(String),
    List(Vec<&'t RawValue>),
    Map(Vec<(String, &'t RawValue)>),
}

impl<'t> Raw<'t> {
    /// What a JSON text is, as far as its outermost brackets.
    pub(super) fn of(text: &'t str) -> Option<Self> {
        Some(match text.as_bytes().first()? {
            b'{' => Self::Map(serde_json::from_str::<Pairs<'_>>(text).ok()?.0),
            b'[' => Self::List(serde_json::from_str(text).ok()?),
            b'"' => Self::Text(serde_json::from_str(text).ok()?),
            _ => Self::Word,
        })
    }
}

/// Whether a text is JSON, and not too deep to be looked into.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok()
}

impl Json {
    /// Reads a text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        is_json(text).then(|| Self::of(text.trim())).flatten()
    }

    fn of(text: &str) -> Option<Self> {
        Some(match Raw::of(text)? {
            Raw::Word => Self::Word(text.to_owned()),
            Raw::Text(text) => Self::Text(text),
            Raw::List(items) => {
                Self::List(items.into_iter().map(|item| Self::of(item.get())).collect::<Option<_>>()?)
            }
            Raw::Map(pairs) => Self::Map(
                pairs.into_iter().map(|(key, v)| Some((key, Self::of(v.get())?))).collect::<Option<_>>()?,
            ),
        })
    }

    /// The value of a YAML node, with plain scalars typed.
    pub(super) fn of_node(node: &Node) -> Self {
        match &node.kind {
            Kind::Seq(items) => Self::List(items.iter().map(Self::of_node).collect()),
            Kind::Map(pairs) => Self::Map(
                pairs
                    .iter()
                    .map(|(k, v)| (k.as_str().unwrap_or_default().to_owned(), Self::of_node(v)))
                    .collect(),
            ),
            Kind::Scalar(..) => match node.to_json() {
                Value::String(text) => Self::Text(text),
                other => Self::Word(other.to_string()),
            },
        }
    }

    /// Whether a scenario's `json` sends exactly this text.
    pub(super) fn is_sent_as(&self, text: &str) -> bool {
        self.can_be_yaml() && self.to_string() == text
    }

    fn can_be_yaml(&self) -> bool {
        match self {
            Self::Word(word) => is_read_back(word),
            Self::Text(_) => true,
            Self::List(items) => items.iter().all(Self::can_be_yaml),
            Self::Map(pairs) => {
                let mut known = HashSet::new();
                pairs.iter().all(|(name, v)| known.insert(name) && v.can_be_yaml())
            }
        }
    }
}

/// Whether a word of JSON is the same after YAML has read it as a number.
fn is_read_back(word: &str) -> bool {
    let written = match (word.parse::<i64>(), word.parse::<f64>()) {
        (Ok(n), _) => n.to_string(),
        (_, Ok(n)) => Value::from(n).to_string(),
        _ => return matches!(word, "true" | "false" | "null"),
    };
    written == word
}

/// A text in the quotes and escapes of JSON.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Map(pairs) => {
                f.write_str("{")?;
                for (i, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{}:{value}", if i > 0 { "," } else { "" }, quoted(key))?;
                }
                f.write_str("}")
            }
        }
    }
}

/// The names of an object and its values, in their order.
struct Pairs<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_scenario_would_send_otherwise_is_known() {
        for text in [r#"{"b":1,"a":[true,null,"é\n",2.5,-3]}"#, "[]", "\"x\"", "12"] {
            assert!(Json::parse(text).expect(text).is_sent_as(text), "{text}");
        }
        for text in
            [r#"{"a": 1}"#, r#"{"a":1,"a":2}"#, "[2.50]", "[1e5]", "[-0]", r#"["\u00e9"]"#, "[\"\\/\"]"]
        {
            assert!(!Json::parse(text).expect(text).is_sent_as(text), "{text}");
        }
        for text in ["", "{", "[1,]", &"[".repeat(100_000)] {
            assert!(Json::parse(text).is_none());
        }
    }
}
