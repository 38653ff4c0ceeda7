//! A request of a trace, as templates see it. Invariant: what each format calls by another name has one name here, and what
//! else the line has is there by its own.

use std::{sync::Arc, time::Duration};

use minijinja::value::{Object, Value};

/// The names of the input tokens, each spelled as its format spells it.
const INPUT: [&str; 8] = [
    "input_length",
    "ContextTokens",
    "Request tokens",
    "prompt_size",
    "input_tokens",
    "prompt_tokens",
    "num_prefill_tokens",
    "in",
];
/// The names of the output tokens.
const OUTPUT: [&str; 8] = [
    "output_length",
    "GeneratedTokens",
    "Response tokens",
    "token_size",
    "output_tokens",
    "completion_tokens",
    "num_decode_tokens",
    "out",
];
/// The names of the method.
const METHOD: [&str; 2] = ["method", "request_method"];
/// The names of the path.
const PATH: [&str; 4] = ["path", "uri", "request_uri", "url"];

/// A request of a trace.
#[derive(Debug)]
pub(crate) struct Row {
    /// When it was made, since the beginning of what is replayed.
    pub(crate) at: Duration,
    /// The line.
    pub(crate) value: Value,
}

impl Row {
    /// The row as a value of templates.
    pub(crate) fn to_value(self: &Arc<Self>) -> Value {
        Value::from_dyn_object(Arc::clone(self))
    }
}

impl Object for Row {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        match key {
            "at" => Some(Value::from(self.at.as_secs_f64())),
            "input_tokens" => any(&self.value, &INPUT).map(|v| number(&v)),
            "output_tokens" => any(&self.value, &OUTPUT).map(|v| number(&v)),
            "path" => path(&self.value).map(Value::from),
            "method" => of_request(&self.value, &METHOD, 0).map(Value::from),
            _ => member(&self.value, key),
        }
    }
}

fn member(value: &Value, name: &str) -> Option<Value> {
    value.get_attr(name).ok().filter(|v| !v.is_undefined())
}

fn any(value: &Value, names: &[&str]) -> Option<Value> {
    names.iter().find_map(|name| member(value, name))
}

/// A number that may be written as a text, as CSV has all of them.
fn number(value: &Value) -> Value {
    let Some(text) = value.as_str() else { return value.clone() };
    text.parse::<u64>()
        .map(Value::from)
        .or_else(|_| text.parse::<f64>().map(Value::from))
        .unwrap_or_else(|_| value.clone())
}

/// The path that was asked for.
pub(super) fn path(row: &Value) -> Option<String> {
    of_request(row, &PATH, 1)
}

/// A part of the request: under a name of its own, inside of `request`, or the word at `word` of a request line.
fn of_request(row: &Value, names: &[&str], word: usize) -> Option<String> {
    let own = |value: &Value| any(value, names)?.as_str().map(str::to_owned);
    own(row).or_else(|| {
        let request = member(row, "request")?;
        match request.as_str() {
            Some(line) => line.split(' ').nth(word).map(str::to_owned),
            None => own(&request),
        }
    })
}
