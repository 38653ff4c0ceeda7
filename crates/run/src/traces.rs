//! `traces.jsonl`: spans in OTLP's JSON, an export on each line, as the OpenTelemetry Collector's `file` exporter writes them too: what a
//! service traced can be appended.
//!
//! Invariant: a reader takes every line and span that is one and passes over the others, and reads no more than a bounded part of
//! the file.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
};

use serde::{Deserialize, Deserializer};

use crate::manifest::create_private;

/// The name of the file.
pub const FILE_NAME: &str = "traces.jsonl";
/// How much of the file is written by the generator, and how much of it is read.
pub const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// The longest line: the Collector exports 8,192 spans at a time.
const LONGEST: u64 = 16 * 1024 * 1024;

/// The attribute of the generator's requests that names their step.
const STEP: &str = "load.step";
const SERVICE: &str = "service.name";

/// A span that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The trace.
    pub trace_id: u128,
    /// The span.
    pub span_id: u64,
    /// The span that it is a part of.
    pub parent: Option<u64>,
    /// Who made it; empty if that is not said.
    pub service: String,
    /// What it is called.
    pub name: String,
    /// The step of the load, if it is a request of the generator's.
    pub step: Option<String>,
    /// Nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// Nanoseconds since the Unix epoch, at least `start_ns`.
    pub end_ns: u64,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Export {
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ResourceSpans {
    resource: Resource,
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resource {
    attributes: Vec<Attribute>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ScopeSpans {
    spans: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(deserialize_with = "trace_id")]
    trace_id: u128,
    #[serde(deserialize_with = "span_id")]
    span_id: u64,
    #[serde(default)]
    parent_span_id: String,
    #[serde(default)]
    name: String,
    #[serde(deserialize_with = "nanoseconds")]
    start_time_unix_nano: u64,
    #[serde(deserialize_with = "nanoseconds")]
    end_time_unix_nano: u64,
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Attribute {
    key: String,
    value: AnyValue,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AnyValue {
    string_value: Option<String>,
}

fn trace_id<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
    let text = String::deserialize(from)?;
    u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
}

fn span_id<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = String::deserialize(from)?;
    u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
}

/// OTLP's JSON has numbers of 64 bits as texts; some write them as numbers.
fn nanoseconds<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Text(String),
        Plain(u64),
    }
    match Number::deserialize(from)? {
        Number::Text(text) => text.parse().map_err(serde::de::Error::custom),
        Number::Plain(n) => Ok(n),
    }
}

fn text(attributes: &[Attribute], key: &str) -> Option<String> {
    attributes.iter().find(|a| a.key == key)?.value.string_value.clone()
}

impl Line {
    fn span(self, service: &str) -> Span {
        Span {
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent: u64::from_str_radix(&self.parent_span_id, 16).ok().filter(|id| *id != 0),
            service: service.to_owned(),
            step: text(&self.attributes, STEP),
            name: self.name,
            start_ns: self.start_time_unix_nano,
            end_ns: self.end_time_unix_nano.max(self.start_time_unix_nano),
        }
    }
}

/// The spans of a run in the order of the file; none if it has no such file.
#[must_use]
pub fn read(run: &Path) -> Vec<Span> {
    let Ok(file) = fs::File::open(run.join(FILE_NAME)) else { return Vec::new() };
    let mut spans = Vec::new();
    let mut lines = BufReader::new(file.take(MOST_BYTES));
    let mut line = Vec::new();
    // What was read before an error is there all the same.
    while let Ok(1..) = lines.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
        let export: Option<Export> = serde_json::from_slice(&line).ok();
        for of_resource in export.into_iter().flat_map(|e| e.resource_spans) {
            let service = text(&of_resource.resource.attributes, SERVICE).unwrap_or_default();
            let lines = of_resource.scope_spans.into_iter().flat_map(|s| s.spans);
            let whole = lines.filter_map(|span| serde_json::from_value::<Line>(span).ok());
            spans.extend(whole.map(|line| line.span(&service)));
        }
        line.clear();
    }
    spans
}

/// Writes the traces of several runs as those of one, as far as they are read. No traces make no file.
///
/// # Errors
/// If the file cannot be written.
pub fn join(runs: &[impl AsRef<Path>], into: &Path) -> io::Result<()> {
    let (mut file, mut left) = (None, MOST_BYTES);
    for run in runs {
        let Ok(part) = fs::File::open(run.as_ref().join(FILE_NAME)) else { continue };
        let out = match &mut file {
            Some(out) => out,
            None => file.insert(create_private(&into.join(FILE_NAME))?),
        };
        left -= io::copy(&mut part.take(left), out)?;
        // A part that was cut short ends within a line.
        out.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_are_whole_are_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let span = |id: &str, more: &str| {
            format!(
                r#"{{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"{id}","name":"GET /","startTimeUnixNano":"5"{more}}}"#
            )
        };
        let line = |spans: &[String]| {
            format!(
                r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"demo"}}}}]}},"scopeSpans":[{{"scope":{{}},"spans":[{}]}}]}}]}}"#,
                spans.join(",")
            )
        };
        let step = r#","endTimeUnixNano":9,"parentSpanId":"","attributes":[{"key":"n","value":{"intValue":"1"}},{"key":"load.step","value":{"stringValue":"query"}}]"#;
        let text = [
            line(&[span("00000000000000b7", step), span("none", r#","endTimeUnixNano":"9""#)]),
            "{\"resourceSpans\":3}\n\u{fffd}".to_owned(),
            line(&[span("b8", r#","endTimeUnixNano":"4","parentSpanId":"00000000000000b7","kind":2"#)]),
            line(&[span("b9", "")]),
            "{\"resourceSp".to_owned(),
        ];
        fs::write(dir.path().join(FILE_NAME), text.join("\n")).expect("writes");
        let first = Span {
            trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            span_id: 0xb7,
            parent: None,
            service: "demo".to_owned(),
            name: "GET /".to_owned(),
            step: Some("query".to_owned()),
            start_ns: 5,
            end_ns: 9,
        };
        let second = Span { span_id: 0xb8, parent: Some(0xb7), step: None, end_ns: 5, ..first.clone() };
        assert_eq!(read(dir.path()), [first.clone(), second.clone()]);
        let all = tempfile::tempdir().expect("a directory");
        let runs = [dir.path().to_owned(), dir.path().join("none"), dir.path().to_owned()];
        join(&runs, all.path()).expect("writes");
        assert_eq!(read(all.path()), [first.clone(), second.clone(), first, second]);
        assert!(read(&dir.path().join("none")).is_empty());
    }
}
