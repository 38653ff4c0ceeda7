//! A JSON Schema (draft 7, which editors know) of a file. Invariant: what the reader takes, the schema takes.

use serde_json::{Map, Value, json};

use super::{Case, Fallback, Key, Kind, Part, Shape, Tagged, reachable};

/// A duration as Prometheus writes it.
const DURATION: &str = "^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$";
/// A rate.
const RATE: &str = r"^[0-9]*\.?[0-9]+(\s*/\s*[smh])?$";

/// The schema of a file with this root.
#[must_use]
pub fn schema(root: &'static Shape) -> Value {
    let definitions: Map<String, Value> =
        reachable(root).into_iter().map(|part| (part.shape().title.to_owned(), definition(part))).collect();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": root.title,
        "$ref": reference(root),
        "definitions": definitions,
    })
}

fn reference(shape: &Shape) -> String {
    format!("#/definitions/{}", shape.title.replace(' ', "%20"))
}

fn definition(part: Part) -> Value {
    match part {
        Part::Shape(shape) => {
            let mut object = object(shape.about, shape.keys.iter(), None);
            if !shape.one_of.is_empty() {
                let each: Vec<Value> = shape.one_of.iter().map(|key| json!({"required": [key]})).collect();
                object["oneOf"] = Value::Array(each);
            }
            object
        }
        Part::Tagged(tagged) => {
            let cases: Vec<Value> = tagged.cases.iter().map(|case| self::case(tagged, case)).collect();
            json!({"description": plain(tagged.common.about), "oneOf": cases})
        }
    }
}

fn case(tagged: &Tagged, case: &Case) -> Value {
    let keys = tagged.common.keys.iter().chain(case.keys);
    object(case.about, keys, Some((tagged.tag, case.name)))
}

/// A map of these keys, one of which may have a value that is known.
fn object(about: &str, keys: impl Iterator<Item = &'static Key>, tag: Option<(&str, &str)>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for key in keys {
        let value = match tag {
            Some((name, value)) if name == key.name => json!({"const": value}),
            _ => property(key),
        };
        properties.insert(key.name.to_owned(), value);
        if key.default == Fallback::Required {
            required.push(key.name);
        }
    }
    json!({
        "description": plain(about),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let mut value = kind(&key.kind);
    if let Some(object) = value.as_object_mut() {
        let default = match key.default {
            Fallback::Is(value) => format!("; default: {value}"),
            Fallback::Words(words) => format!("; without it: {words}"),
            Fallback::Required | Fallback::Nothing => String::new(),
        };
        // In draft 7 a reference makes its neighbours void.
        let description = Value::from(plain(&format!("{}{default}", key.about)));
        if object.contains_key("$ref") {
            return json!({"description": description, "allOf": [value]});
        }
        object.insert("description".to_owned(), description);
    }
    value
}

fn kind(kind: &Kind) -> Value {
    match kind {
        Kind::Text | Kind::Special(_) => json!({"type": ["string", "number", "boolean"]}),
        Kind::Word(words) => {
            // A word such as 1.1 is a number in YAML.
            let numbers = words.iter().filter_map(|w| w.parse::<f64>().ok()).map(Value::from);
            let all: Vec<Value> = words.iter().map(|w| Value::from(*w)).chain(numbers).collect();
            json!({"enum": all})
        }
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Whole(least) => json!({"type": "integer", "minimum": least}),
        Kind::Number => json!({"type": "number", "minimum": 0}),
        Kind::Positive => json!({"type": "number", "exclusiveMinimum": 0}),
        Kind::Share => json!({"type": "number", "minimum": 0, "maximum": 1}),
        Kind::Duration => json!({"type": ["string", "integer"], "pattern": DURATION, "maximum": 0}),
        Kind::Rate => json!({"type": ["string", "number"], "pattern": RATE, "minimum": 0}),
        Kind::Json => json!({}),
        Kind::List(inner) => json!({"type": "array", "items": self::kind(inner)}),
        Kind::Pair(inner) => {
            json!({"type": "array", "items": self::kind(inner), "minItems": 2, "maxItems": 2})
        }
        Kind::OneOrMore(inner) => {
            let one = self::kind(inner);
            json!({"anyOf": [one, {"type": "array", "items": one}]})
        }
        Kind::Names(_, inner) => json!({"type": "object", "additionalProperties": self::kind(inner)}),
        Kind::Map(shape) => json!({"$ref": reference(shape)}),
        Kind::Tagged(tagged) => json!({"$ref": reference(tagged.common)}),
        Kind::Change(tagged, by) => change(tagged, by),
        Kind::Any(kinds) => json!({"anyOf": kinds.iter().map(self::kind).collect::<Vec<_>>()}),
    }
}

/// A map of any keys of the others, none of which must be there but the one that names the changed.
fn change(tagged: &Tagged, by: &Key) -> Value {
    let all = tagged.common.keys.iter().chain(tagged.cases.iter().flat_map(|case| case.keys));
    let mut properties: Map<String, Value> = all.map(|key| (key.name.to_owned(), property(key))).collect();
    properties.insert(by.name.to_owned(), property(by));
    json!({"type": "object", "properties": properties, "required": [by.name], "additionalProperties": false})
}

/// Markdown as plain text.
fn plain(text: &str) -> String {
    text.replace('`', "")
}
