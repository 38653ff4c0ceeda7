//! What the service got is what is counted: every request on the wire is in a figure, and a success is one.

use std::{
    collections::HashMap,
    io::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use assay_model::expo::{MetricFamily, MetricValue};
use loadgen::{
    Summary,
    sink::{MetricsSink, SinkError},
};

use crate::server::{Do, Seen, Server, ok, raw, respond, run, run_with};

fn iterations(flow: &str, n: u32) -> String {
    format!(
        "scenario: t\nflow:\n{flow}\nphases: {{p: {{executor: per-vu-iterations, vus: 1, iterations: {n}}}}}\n"
    )
}

/// Keeps what was pushed last.
#[derive(Clone, Default)]
struct Last(Arc<Mutex<Vec<MetricFamily>>>);

impl MetricsSink for Last {
    fn push(&mut self, _t_ms: i64, families: &[MetricFamily]) -> Result<(), SinkError> {
        *self.0.lock().expect("no panic") = families.to_vec();
        Ok(())
    }
}

impl Last {
    fn total(&self, name: &str) -> f64 {
        let families = self.0.lock().expect("no panic");
        let family = families.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("no {name}"));
        let values = family.metrics.iter().map(|m| match &m.value {
            MetricValue::Float(v) => *v,
            _ => panic!("a float"),
        });
        values.sum()
    }
}

/// The classes of the only step's failures.
fn classes(summary: &Summary) -> Vec<(String, u64)> {
    summary.phases[0].steps[0].error_types.clone()
}

fn events(body: &str) -> Vec<Do> {
    respond(200, "content-type: text/event-stream\r\n", body)
}

#[test]
fn a_success_that_carries_an_error_is_a_failure() {
    let sse = "  - {name: q, post: /q, json: {}, stream: sse, check: {status: 200}}";
    let openai = "  - {name: q, openai: chat, json: {model: m}}";
    let check = |flow: &str, answer: Vec<Do>| {
        let server = Server::start(move |_| answer.clone());
        let summary = run(&server, &iterations(flow, 2));
        assert_eq!(classes(&summary), [("reported_error".to_owned(), 2)], "{}", summary.to_text());
    };
    check(
        sse,
        events("data: {\"token\":\"a\"}\n\ndata: {\"error\": {\"message\": \"no\"}}\n\ndata: [DONE]\n\n"),
    );
    check(sse, events("event: error\ndata: {\"type\":\"overloaded_error\"}\n\n"));
    check(sse, events("event: error\ndata: it broke\n\n"));
    check(
        openai,
        respond(200, "content-type: application/json\r\n", r#"{"error":{"message":"no","code":500}}"#),
    );
    // A plain answer in place of a stream, too.
    check(sse, respond(200, "content-type: application/json\r\n", r#"{"error":"overloaded"}"#));
    // An error that is null is none.
    let server = Server::start(|_| {
        respond(200, "", r#"{"error":null,"usage":{"prompt_tokens":3,"completion_tokens":4}}"#)
    });
    let summary = run(&server, &iterations(openai, 2));
    let g = summary.phases[0].steps[0].generation.as_ref().expect("a generation");
    assert_eq!((summary.errors, g.input_tokens, g.output_tokens), (0, 6, 8), "usage of plain answers counts");
}

/// A server that answers the first request of a connection, reads the second whole, and closes.
fn dropping() -> Server {
    let counts: Mutex<HashMap<usize, u32>> = Mutex::default();
    Server::start(move |seen: &Seen| {
        let mut counts = counts.lock().expect("no panic");
        let n = counts.entry(seen.connection).or_default();
        *n += 1;
        if *n == 1 { ok() } else { vec![Do::Wait(Duration::from_millis(60)), Do::Close] }
    })
}

#[test]
fn what_a_server_read_and_dropped_is_counted() {
    let check = |step: &str, want_requests: u64, want_resets: u64| {
        let (server, last) = (dropping(), Last::default());
        let sink = last.clone();
        let summary = run_with(&server, &iterations(step, 4), |o| o.outputs.sinks.push(Box::new(sink)));
        let retries = last.total("load_request_retries_total");
        let seen = server.seen().len() as f64;
        assert_eq!(
            summary.requests as f64 + retries,
            seen,
            "{step}: every request on the wire is in a figure"
        );
        let want = if want_resets > 0 { vec![("reset".to_owned(), want_resets)] } else { Vec::new() };
        assert_eq!((summary.requests, classes(&summary)), (want_requests, want), "{step}");
        summary
    };
    // A POST may have had its effect: it is not sent again.
    check("  - {post: /, json: {}, on_failure: continue}", 4, 2);
    // A GET is, and its time runs from the first attempt.
    let summary = check("  - {get: /}", 4, 0);
    assert!(summary.phases[0].steps[0].duration.max >= 0.06, "{:?}", summary.phases[0].steps[0].duration);
    // Unless the step says otherwise.
    check("  - {get: /, retry: false}", 4, 2);
    check("  - {post: /, json: {}, retry: true}", 4, 0);
}

#[test]
fn a_connection_that_was_closed_before_the_request_is_opened_again_for_any_method() {
    let server = Server::start(|_| {
        let mut actions = ok();
        actions.push(Do::Close);
        actions
    });
    let last = Last::default();
    let sink = last.clone();
    let flow = "  - {post: /, json: {}}\n  - think: 20ms";
    let summary = run_with(&server, &iterations(flow, 5), |o| o.outputs.sinks.push(Box::new(sink)));
    assert_eq!((summary.requests, summary.errors), (5, 0));
    assert_eq!((last.total("load_request_retries_total"), server.seen().len()), (0.0, 5));
}

#[test]
fn a_stream_without_content_has_no_time_to_it() {
    let server = Server::start(|_| events("data: {\"words\": {\"x\": \"hi\"}}\n\ndata: [DONE]\n\n"));
    let summary = run(&server, &iterations("  - {name: q, post: /q, json: {}, stream: sse}", 2));
    let g = summary.phases[0].steps[0].generation.as_ref().expect("a generation");
    assert_eq!((summary.errors, g.time_to_first_chunk, g.time_per_output_chunk), (0, None, None));
    assert_eq!(g.time_per_output_token, None);
    assert!(summary.warnings.iter().any(|w| w.contains("stream: {sse: {content")), "{:?}", summary.warnings);
    assert!(!summary.to_text().contains(" 0 µs"), "{}", summary.to_text());
    let json = serde_json::to_value(&summary).expect("JSON");
    assert!(json["phases"][0]["steps"][0]["generation"]["time_to_first_chunk"].is_null());
    // With its place named it has.
    let named = "  - {name: q, post: /q, json: {}, stream: {sse: {content: [$.nowhere, $.words.x]}}}";
    let summary = run(&server, &iterations(named, 2));
    let g = summary.phases[0].steps[0].generation.as_ref().expect("a generation");
    assert!(g.time_to_first_chunk.is_some() && g.without_content == 0, "{}", summary.to_text());
}

#[test]
fn lines_of_json_and_packed_events_are_streams() {
    let check = |answer: Vec<Do>| {
        let server = Server::start(move |_| answer.clone());
        let summary = run(&server, &iterations("  - {name: q, post: /q, json: {}, stream: sse}", 1));
        let g = summary.phases[0].steps[0].generation.as_ref().expect("a generation");
        assert!(g.time_to_first_chunk.is_some(), "{}", summary.to_text());
        assert_eq!((summary.errors, g.input_tokens, g.output_tokens), (0, 26, 2));
    };
    let lines = "{\"message\":{\"content\":\"a\"},\"done\":false}\n{\"message\":{\"content\":\"b\"},\"done\":false}\n{\"done\":true,\"prompt_eval_count\":26,\"eval_count\":2}";
    check(respond(200, "content-type: application/x-ndjson\r\n", lines));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed
        .write_all(b"data: {\"token\":\"a\"}\n\ndata: {\"usage\":{\"prompt_tokens\":26,\"completion_tokens\":2}}\n\n")
        .expect("packed");
    let packed = packed.finish().expect("packed");
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    );
    check(vec![raw(head), raw(packed)]);
}

#[test]
fn a_stream_can_be_required_to_have_its_end() {
    let server = Server::start(|seen| match seen.line() {
        "POST /whole" => events("data: {\"token\":\"a\"}\n\ndata: [DONE]\n\n"),
        _ => events("data: {\"token\":\"a\"}\n\n"),
    });
    let step = |path: &str, options: &str| {
        iterations(&format!("  - {{name: q, post: {path}, json: {{}}, stream: {{sse: {{{options}}}}}}}"), 1)
    };
    assert_eq!(run(&server, &step("/whole", "require_done: true")).errors, 0);
    assert_eq!(classes(&run(&server, &step("/cut", "require_done: true"))), [("cut_stream".to_owned(), 1)]);
    assert_eq!(run(&server, &step("/cut", "require_done: false")).errors, 0);
}

#[test]
fn a_failed_step_ends_the_iteration_or_not_and_what_was_never_reached_is_listed() {
    let server = Server::start(|seen| respond(if seen.line() == "GET /bad" { 500 } else { 200 }, "", ""));
    let flow = "  - {name: bad, get: /bad}\n  - {name: after, get: /after}";
    let summary = run(&server, &iterations(flow, 2));
    let steps: Vec<_> = summary.phases[0].steps.iter().map(|s| (s.name.as_str(), s.requests)).collect();
    assert_eq!(steps, [("bad", 2), ("after", 0)]);
    assert!(
        summary.warnings.iter().any(|w| w.starts_with("after: no iteration came")),
        "{:?}",
        summary.warnings
    );
    let json = serde_json::to_value(&summary).expect("JSON");
    assert!(json["phases"][0]["steps"][1]["duration"].is_null());
    let summary = run(&server, &format!("on_failure: continue\n{}", iterations(flow, 2)));
    let steps: Vec<_> = summary.phases[0].steps.iter().map(|s| (s.name.as_str(), s.requests)).collect();
    assert_eq!(steps, [("bad", 2), ("after", 2)]);
    assert!(!summary.warnings.iter().any(|w| w.contains("no iteration came")), "{:?}", summary.warnings);
}

#[test]
fn every_request_has_a_line_of_its_own() {
    use loadgen::sink::requests::RequestsFile;
    let server = Server::start(|seen| match seen.line() {
        "POST /stream" => respond(
            200,
            "content-type: text/event-stream\r\n",
            "data: {\"token\":\"a\"}\n\ndata: {\"token\":\"b\"}\n\ndata: {\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":3}}\n\n",
        ),
        "GET /bad" => respond(500, "", ""),
        _ => ok(),
    });
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = "scenario: t\non_failure: continue\nflow: [{name: s, post: /stream, stream: sse}, {name: bad, get: /bad}]\n\
                    phases: {p: {executor: per-vu-iterations, vus: 2, iterations: 5}}\n";
    for name in ["requests.csv", "requests.jsonl"] {
        let path = folder.path().join(name);
        let file = RequestsFile::create(&path).expect("a file");
        let summary = run_with(&server, scenario, |options| options.outputs.requests = Some(file));
        let text = std::fs::read_to_string(&path).expect("was written");
        let lines: Vec<&str> = text.lines().collect();
        let header = usize::from(name.ends_with("csv"));
        assert_eq!((summary.requests, lines.len()), (20, 20 + header), "{text}");
        if header == 1 {
            assert!(lines[0].starts_with("sent_at,phase,step,user,status,error,duration_s"), "{}", lines[0]);
            let bad = lines.iter().filter(|l| l.contains(",p,bad,") && l.contains(",500,500,")).count();
            assert_eq!(bad, 10);
            continue;
        }
        let rows: Vec<serde_json::Value> =
            lines.iter().map(|l| serde_json::from_str(l).expect("json")).collect();
        let streams: Vec<_> = rows.iter().filter(|r| r["step"] == "s").collect();
        assert_eq!(streams.len(), 10);
        for row in streams {
            assert_eq!((&row["input_tokens"], &row["output_tokens"]), (&4.into(), &3.into()));
            assert!(
                row["time_per_output_token_s"].is_f64() && row["error"].is_null() && row["good"] == true,
                "{row}"
            );
            assert!(row["sent_at"].as_f64().is_some_and(|at| at > 1.6e9), "{row}");
        }
        let users: std::collections::BTreeSet<_> = rows.iter().map(|r| r["user"].as_u64()).collect();
        assert_eq!(users.into_iter().collect::<Vec<_>>(), [Some(1), Some(2)]);
    }
    let wrong =
        RequestsFile::create(&folder.path().join("requests.txt")).expect_err("no such format").to_string();
    assert!(wrong.contains("ends in .csv or .jsonl"), "{wrong}");
}
