//! Examples made after a schema. Invariant: what is made is bounded, however schemas refer to each other.

use assay_yaml::Node;

use super::{Reader, first_example};
use crate::import::json::Json;

/// How deep an example goes; what lies deeper is null, or left out where it may be.
const MAX_DEPTH: usize = 6;
/// The most properties of an object.
const MAX_PROPERTIES: usize = 100;

impl<'d> Reader<'d> {
    /// The value that a schema itself shows: an example, a default, a constant.
    pub(super) fn shown(&mut self, schema: &'d Node) -> Option<Json> {
        let schema = self.follow(schema)?;
        let own = ["example", "const", "default"].into_iter().find_map(|key| schema.get(key));
        own.or_else(|| first_example(schema)).map(Json::of_node)
    }

    /// The same, or the first of a list.
    fn given(&mut self, schema: &'d Node) -> Option<Json> {
        let first = self.follow(schema)?.get("enum").and_then(Node::as_seq).and_then(|e| e.first());
        self.shown(schema).or_else(|| first.map(Json::of_node))
    }

    /// A value that fits a schema.
    pub(super) fn example(&mut self, schema: &'d Node, depth: usize) -> Json {
        if let Some(value) = self.given(schema) {
            return value;
        }
        let Some(schema) = self.follow(schema) else { return null() };
        if depth > MAX_DEPTH {
            return null();
        }
        if let Some(parts) = schema.get("allOf").and_then(Node::as_seq) {
            let mut whole = self.object(schema, depth);
            for part in parts {
                match self.example(part, depth + 1) {
                    Json::Map(pairs) => {
                        pairs.into_iter().for_each(|(key, value)| put(&mut whole, key, value));
                    }
                    other if whole.is_empty() && parts.len() == 1 => return other,
                    _ => {}
                }
            }
            return Json::Map(whole);
        }
        let choice = ["oneOf", "anyOf"].into_iter().find_map(|key| schema.get(key)?.as_seq()?.first());
        if let Some(first) = choice {
            return self.example(first, depth + 1);
        }
        match kind(schema) {
            "object" => Json::Map(self.object(schema, depth)),
            "array" => match (schema.get("prefixItems").and_then(Node::as_seq), schema.get("items")) {
                (Some(first), _) if depth < MAX_DEPTH => {
                    Json::List(first.iter().map(|item| self.example(item, depth + 1)).collect())
                }
                (_, Some(items)) if depth < MAX_DEPTH => Json::List(vec![self.example(items, depth + 1)]),
                _ => Json::List(Vec::new()),
            },
            "integer" | "number" => number(schema),
            "boolean" => Json::Word("true".to_owned()),
            "null" => null(),
            _ => Json::Text(text(schema)),
        }
    }

    fn object(&mut self, schema: &'d Node, depth: usize) -> Vec<(String, Json)> {
        let properties = schema.get("properties").and_then(Node::as_map).unwrap_or_default();
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Node::as_seq)
            .map(|names| names.iter().filter_map(Node::as_str).collect())
            .unwrap_or_default();
        let mut map = Vec::new();
        for (key, property) in properties.iter().take(MAX_PROPERTIES) {
            let name = key.as_str().unwrap_or_default();
            let is_required = required.contains(&name);
            let is_flag = |key: &str| property.get(key).and_then(Node::as_bool) == Some(true);
            if is_flag("readOnly") || is_flag("deprecated") && !is_required {
                continue;
            }
            // What may be left out is left out, unless the document shows what it would be, or says of nothing that it is needed.
            let is_wanted = is_required
                || depth < MAX_DEPTH / 2 && (required.is_empty() || self.shown(property).is_some());
            if is_wanted {
                let value = self.example(property, depth + 1);
                put(&mut map, name.to_owned(), value);
            }
        }
        map
    }
}

/// The type; of several the first that is not null, and without one what the other keys speak of.
fn kind(schema: &Node) -> &str {
    let named = schema.get("type");
    let one = named.and_then(Node::as_str);
    let several =
        named.and_then(Node::as_seq).and_then(|l| l.iter().filter_map(Node::as_str).find(|t| *t != "null"));
    match one.or(several) {
        Some(kind) => kind,
        None if schema.get("properties").is_some() || schema.get("additionalProperties").is_some() => {
            "object"
        }
        None if schema.get("items").is_some() || schema.get("prefixItems").is_some() => "array",
        None => "string",
    }
}

fn null() -> Json {
    Json::Word("null".to_owned())
}

/// Sets a property; one that exists keeps its place.
fn put(pairs: &mut Vec<(String, Json)>, key: String, value: Json) {
    match pairs.iter_mut().find(|(name, _)| *name == key) {
        Some((_, known)) => *known = value,
        None => pairs.push((key, value)),
    }
}

fn number(schema: &Node) -> Json {
    let bound = |key: &str| schema.get(key).and_then(Node::as_str).and_then(|t| t.parse::<f64>().ok());
    let low = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|n| n + 1.0));
    let value = low.unwrap_or_else(|| bound("maximum").map_or(1.0, |most| most.min(1.0)));
    let is_whole = kind(schema) == "integer";
    Json::Word(if is_whole {
        (value.ceil() as i64).to_string()
    } else {
        serde_json::Value::from(value).to_string()
    })
}

/// The text that a pattern without choices stands for: `^v1$`, `^a\\.b$`.
fn of_pattern(pattern: &str) -> Option<String> {
    let inside = pattern.strip_prefix('^')?.strip_suffix('$')?;
    let mut out = String::new();
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next().filter(|c| !c.is_ascii_alphanumeric())?),
            c if ".*+?()[]{}|^$".contains(c) => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

fn text(schema: &Node) -> String {
    if let Some(literal) = schema.get("pattern").and_then(Node::as_str).and_then(of_pattern) {
        return literal;
    }
    let base = match schema.get("format").and_then(Node::as_str).unwrap_or_default() {
        "date-time" => "2026-01-01T00:00:00Z",
        "date" => "2026-01-01",
        "time" => "00:00:00Z",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        "email" => "user@example.com",
        "uri" | "url" => "http://example.com/",
        "hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "byte" => "dGV4dA==",
        _ => "text",
    };
    let least =
        schema.get("minLength").and_then(Node::as_str).and_then(|t| t.parse::<usize>().ok()).unwrap_or(0);
    let padded: String =
        base.chars().chain(std::iter::repeat('x')).take(base.len().max(least.min(10_000))).collect();
    padded
}
