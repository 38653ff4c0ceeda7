//! The functions that Go's templates have of themselves.
//!
//! Source: the documentation of Go's `text/template` (go1.24), "Functions". `and` and `or` are evaluated by the
//! executor, since they stop at the first argument that decides.

use std::sync::Arc;

use super::super::{
    format,
    value::{Sample, Value},
};

/// Whether `name` is a function of the language.
pub(crate) fn exists(name: &str) -> bool {
    matches!(
        name,
        "and"
            | "or"
            | "not"
            | "len"
            | "index"
            | "slice"
            | "print"
            | "printf"
            | "println"
            | "html"
            | "js"
            | "urlquery"
            | "call"
            | "eq"
            | "ne"
            | "lt"
            | "le"
            | "gt"
            | "ge"
    )
}

/// How many arguments a function takes: at least, and at most.
pub(crate) fn arity(name: &str) -> (usize, Option<usize>) {
    match name {
        "not" | "len" => (1, Some(1)),
        "ne" | "lt" | "le" | "gt" | "ge" => (2, Some(2)),
        "and" | "or" | "eq" | "index" | "slice" | "printf" | "call" => (1, None),
        _ => (0, None),
    }
}

/// Calls a function.
pub(crate) fn call(name: &str, args: &[Value]) -> Result<Value, String> {
    match (name, args) {
        ("not", [v]) => Ok(Value::Bool(!v.truth())),
        ("len", [v]) => length(v).map(|n| Value::Int(n as i64)),
        ("index", [item, keys @ ..]) => keys.iter().try_fold(item.clone(), |item, key| index(&item, key)),
        ("slice", [item, bounds @ ..]) => slice(item, bounds),
        ("print", args) => Ok(Value::str(format::print(args))),
        ("println", args) => Ok(Value::str(format::println(args))),
        ("printf", [Value::Str(f), rest @ ..]) => Ok(Value::str(format::printf(f, rest))),
        ("printf", [v, ..]) => Err(format!("wrong type for value; expected string; got {}", v.type_name())),
        ("html", args) => Ok(Value::str(escape_html(&joined(args)))),
        ("js", args) => Ok(Value::str(escape_js(&joined(args)))),
        ("urlquery", args) => Ok(Value::str(super::text::escape(&joined(args)))),
        ("call", [v, ..]) => Err(format!("non-function {} of type {}", v.print(), v.type_name())),
        ("eq", [_]) => Err("missing argument for comparison".to_owned()),
        ("eq", [first, rest @ ..]) => {
            for other in rest {
                if equal(first, other)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        ("ne", [a, b]) => equal(a, b).map(|e| Value::Bool(!e)),
        ("lt", [a, b]) => less(a, b).map(Value::Bool),
        ("le", [a, b]) => Ok(Value::Bool(less(a, b)? || equal(a, b)?)),
        ("gt", [a, b]) => Ok(Value::Bool(!(less(a, b)? || equal(a, b)?))),
        ("ge", [a, b]) => less(a, b).map(|l| Value::Bool(!l)),
        (name, _) => Err(format!("wrong arguments for {name}")),
    }
}

fn joined(args: &[Value]) -> String {
    if let [Value::Str(text)] = args { text.to_string() } else { format::print(args) }
}

fn length(v: &Value) -> Result<usize, String> {
    match v {
        Value::Str(s) => Ok(s.len()),
        Value::Labels(l) => Ok(l.len()),
        Value::Map(m) => Ok(m.len()),
        Value::Vector(v) => Ok(v.len()),
        Value::Nothing => Err("len of nil pointer".to_owned()),
        v => Err(format!("len of type {}", v.type_name())),
    }
}

fn index(item: &Value, key: &Value) -> Result<Value, String> {
    let position = |len: usize| match key {
        Value::Int(i) => {
            usize::try_from(*i).ok().filter(|n| *n < len).ok_or_else(|| format!("index out of range: {i}"))
        }
        Value::Nothing => Err("cannot index slice/array with nil".to_owned()),
        v => Err(format!("cannot index slice/array with type {}", v.type_name())),
    };
    match (item, key) {
        (Value::Labels(labels), Value::Str(name)) => Ok(Value::str(labels.get(name).unwrap_or(""))),
        (Value::Map(map), Value::Str(name)) => Ok(map.get(name.as_ref()).cloned().unwrap_or(Value::Nothing)),
        (Value::Labels(_) | Value::Map(_), Value::Nothing) => {
            Err("value is nil; should be of type string".to_owned())
        }
        (Value::Labels(_) | Value::Map(_), key) => {
            Err(format!("value has type {}; should be string", key.type_name()))
        }
        (Value::Vector(v), _) => position(v.len()).map(|n| Value::Sample(Arc::<Sample>::clone(&v[n]))),
        (Value::Str(s), _) => position(s.len()).map(|n| Value::Int(i64::from(s.as_bytes()[n]))),
        (Value::Nothing, _) => Err("index of untyped nil".to_owned()),
        (item, _) => Err(format!("can't index item of type {}", item.type_name())),
    }
}

fn slice(item: &Value, bounds: &[Value]) -> Result<Value, String> {
    let len = match item {
        Value::Str(_) | Value::Vector(_) => length(item)?,
        Value::Nothing => return Err("slice of untyped nil".to_owned()),
        v => return Err(format!("can't slice item of type {}", v.type_name())),
    };
    if bounds.len() > 3 {
        return Err(format!("too many slice indexes: {}", bounds.len()));
    }
    if bounds.len() == 3 && matches!(item, Value::Str(_)) {
        return Err("cannot 3-index slice a string".to_owned());
    }
    let mut ends = [0, len, len];
    for (i, bound) in bounds.iter().enumerate() {
        ends[i] = match bound {
            Value::Int(n) => usize::try_from(*n)
                .ok()
                .filter(|n| *n <= len)
                .ok_or_else(|| format!("index out of range: {n}"))?,
            v => return Err(format!("cannot index slice/array with type {}", v.type_name())),
        };
    }
    let [from, to, _] = ends;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    match item {
        // Bytes that split a character print as replacement characters.
        Value::Str(s) => Ok(Value::str(String::from_utf8_lossy(&s.as_bytes()[from..to]).into_owned())),
        Value::Vector(v) => Ok(Value::Vector(Arc::new(v[from..to].to_vec()))),
        _ => Err("can't slice item".to_owned()),
    }
}

/// The kinds that compare with one another.
fn kind(v: &Value) -> Option<u8> {
    Some(match v {
        Value::Bool(_) => 0,
        Value::Int(_) | Value::Duration(_) => 1,
        Value::Float(_) => 2,
        Value::Str(_) => 3,
        _ => return None,
    })
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Str(a), Value::Str(b)) => Ok(a == b),
        (Value::Nothing, Value::Nothing) => Ok(true),
        (Value::Nothing, _) | (_, Value::Nothing) => Ok(false),
        (Value::Time(a), Value::Time(b)) => Ok(a == b),
        (a, b) if kind(a) != kind(b) => Err(incompatible(a, b)),
        (a, _) => Err(format!("non-comparable type {}: {}", a.print(), a.type_name())),
    }
}

fn less(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => Ok(a < b),
        (Value::Float(a), Value::Float(b)) => Ok(a < b),
        (Value::Str(a), Value::Str(b)) => Ok(a < b),
        (a, b) if kind(a).is_none() || kind(b).is_none() => Err("invalid type for comparison".to_owned()),
        (a, b) if kind(a) != kind(b) => Err(incompatible(a, b)),
        _ => Err("invalid type for comparison".to_owned()),
    }
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())
}

fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn escape_js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' => out.push_str("\\u003C"),
            '>' => out.push_str("\\u003E"),
            '&' => out.push_str("\\u0026"),
            '=' => out.push_str("\\u003D"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out
}
