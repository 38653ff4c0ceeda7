//! Spans in the run's own directory: OTLP's JSON, an export on each line (OTLP 1.10, JSON Protobuf Encoding).
//!
//! Invariants: the file is as large as its readers read at most, and what comes after that is left out and said; no URL is in it, since
//! a path may name a patient.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use assay_run::{
    manifest::create_private,
    traces::{FILE_NAME, MOST_BYTES},
};
use serde_json::{Value as Json, json};

use super::span::{BATCH, Span, Value};
use crate::measure::names::{EXPORTER, VERSION, resource};

/// The attribute that is left out.
const URL: &str = "url.full";
/// The numbers of OTLP for an internal span and that of a client, and for an error.
const INTERNAL: u32 = 1;
const CLIENT: u32 = 3;
const ERROR: u32 = 2;

/// The file of a run that spans are kept in, made with the first of them.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    file: Option<File>,
    left: u64,
    instance: String,
    /// What the reader of the summary should know; nothing is written from then on.
    pub(super) note: Option<String>,
}

impl Kept {
    pub(super) fn new(run: &Path, instance: &str) -> Self {
        let (path, instance) = (run.join(FILE_NAME), instance.to_owned());
        Self { path, file: None, left: MOST_BYTES, instance, note: None }
    }

    pub(super) fn write(&mut self, spans: &[Span]) {
        for batch in spans.chunks(BATCH) {
            if self.note.is_some() {
                return;
            }
            let line = format!("{}\n", export(batch, &self.instance));
            if let Err(problem) = self.line(&line) {
                self.note = Some(format!("{FILE_NAME}: {problem}; later spans are not in it"));
            }
        }
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        let Some(left) = self.left.checked_sub(line.len() as u64) else {
            return Err(io::Error::other(format!("{MOST_BYTES} bytes are its limit, lower --trace-sample")));
        };
        self.left = left;
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(create_private(&self.path)?),
        };
        file.write_all(line.as_bytes())
    }
}

fn export(spans: &[Span], instance: &str) -> Json {
    let attributes =
        resource(instance).map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}));
    let scope = json!({"name": EXPORTER, "version": VERSION});
    let spans: Vec<Json> = spans.iter().map(span).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": attributes},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }]})
}

fn span(span: &Span) -> Json {
    let attribute = |(key, value): &(&'static str, Value)| {
        let value = match value {
            Value::Text(text) => json!({"stringValue": text}),
            Value::Number(number) => json!({"intValue": number.to_string()}),
        };
        json!({"key": key, "value": value})
    };
    let event =
        |(name, at_ns): &(&'static str, u64)| json!({"name": name, "timeUnixNano": at_ns.to_string()});
    json!({
        "traceId": format!("{:032x}", span.trace_id),
        "spanId": format!("{:016x}", span.span_id),
        "parentSpanId": span.parent.map_or_else(String::new, |p| format!("{p:016x}")),
        "name": span.name,
        "kind": if span.is_client { CLIENT } else { INTERNAL },
        "startTimeUnixNano": span.start_ns.to_string(),
        "endTimeUnixNano": span.end_ns.max(span.start_ns).to_string(),
        "attributes": span.attributes.iter().filter(|a| a.0 != URL).map(attribute).collect::<Vec<_>>(),
        "events": span.events.iter().map(event).collect::<Vec<_>>(),
        "status": if span.is_error { json!({"code": ERROR}) } else { json!({}) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Span {
        Span {
            trace_id: 0xab,
            span_id: 7,
            parent: Some(6),
            name: "GET /patients/{id}".to_owned(),
            is_client: true,
            start_ns: 1_700_000_000_000_000_001,
            end_ns: 1_700_000_000_000_000_005,
            attributes: vec![
                ("load.step", "patient".into()),
                ("http.response.status_code", 200.into()),
                (URL, "http://127.0.0.1/patients/17".into()),
            ],
            events: vec![("first_chunk", 1_700_000_000_000_000_003)],
            is_error: false,
        }
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut kept = Kept::new(dir.path(), "here");
        kept.write(&[]);
        assert!(!dir.path().join(FILE_NAME).exists());
        kept.write(&[made(), Span { parent: None, is_error: true, ..made() }]);
        let [first, second] = assay_run::traces::read(dir.path()).try_into().expect("two spans");
        assert_eq!((first.trace_id, first.span_id, first.parent, second.parent), (0xab, 7, Some(6), None));
        assert_eq!((first.service.as_str(), first.step.as_deref()), ("loadgen", Some("patient")));
        assert_eq!(first.end_ns - first.start_ns, 4);
        let text = std::fs::read_to_string(dir.path().join(FILE_NAME)).expect("reads");
        assert!(!text.contains("patients/17") && text.lines().count() == 1, "{text}");
    }

    #[test]
    fn a_full_file_ends_and_says_so() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut kept = Kept::new(dir.path(), "here");
        kept.left = 2_000;
        (0..5).for_each(|_| kept.write(&[made()]));
        assert!(kept.note.as_ref().is_some_and(|n| n.contains("lower --trace-sample")), "{:?}", kept.note);
        let read = assay_run::traces::read(dir.path()).len();
        assert!((1..5).contains(&read), "{read}");
    }
}
