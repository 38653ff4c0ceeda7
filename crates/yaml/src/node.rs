//! The tree. Invariant: `span` is the node's place in the document's text, in characters.

use std::ops::Range;

use crate::{Position, scalar_map};

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: only such a scalar can be a number, a boolean or null.
    Plain,
    /// In single quotes.
    Single,
    /// In double quotes.
    Double,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A text, and how it was written.
    Scalar(String, Style),
    /// A list.
    Seq(Vec<Node>),
    /// Pairs in the order of the file; keys are unique.
    Map(Vec<(Node, Node)>),
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub position: Position,
    /// Its place in the text, in characters.
    pub span: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

impl Node {
    /// The text of a scalar, or `None` for a list or a map.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// The items of a list.
    #[must_use]
    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs of a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(Node, Node)]> {
        match &self.kind {
            Kind::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The value of a key of a map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v)
    }

    /// Whether the node is null: nothing, `~` or `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(t, Style::Plain) if matches!(t.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The boolean of YAML's core schema that the node is, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match &self.kind {
            Kind::Scalar(t, Style::Plain) => match t.as_str() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// The node as JSON, with plain scalars typed by YAML's core schema.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.kind {
            Kind::Seq(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Kind::Map(pairs) => Value::Object(
                pairs.iter().map(|(k, v)| (k.as_str().unwrap_or_default().to_owned(), v.to_json())).collect(),
            ),
            Kind::Scalar(_, _) if self.is_null() => Value::Null,
            Kind::Scalar(text, Style::Plain) => {
                if let Some(b) = self.as_bool() {
                    return Value::Bool(b);
                }
                if let Ok(n) = text.parse::<i64>() {
                    return Value::from(n);
                }
                let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
                match text.parse::<f64>() {
                    Ok(n) if numeric && n.is_finite() => Value::from(n),
                    _ => Value::String(text.clone()),
                }
            }
            Kind::Scalar(text, _) => Value::String(text.clone()),
        }
    }

    /// Where the byte `offset` of a scalar's text stands in the document, whatever the quoting, escapes,
    /// indentation or folding between them. For a list or map: where it begins.
    #[must_use]
    pub fn position_of(&self, document_text: &str, offset: usize) -> Position {
        match &self.kind {
            Kind::Scalar(text, style) => scalar_map::position(self, text, *style, document_text, offset),
            _ => self.position,
        }
    }

    /// What the node is, in words for a message.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.kind {
            _ if self.is_null() => "nothing".to_owned(),
            Kind::Scalar(text, _) if text.chars().count() > 60 => {
                format!("\"{}…\"", text.chars().take(60).collect::<String>())
            }
            Kind::Scalar(text, _) => format!("{text:?}"),
            Kind::Seq(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
        }
    }
}
