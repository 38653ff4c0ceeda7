//! Traces: the spans that a receiver gets, and the `traceparent` that the service sees.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use loadgen::{
    RunOptions, Summary, Tracer,
    sink::otlp::{Protocol, Settings, Signal, SpanSink},
};
use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    trace::v1::{Span, Status, span::SpanKind, status::StatusCode},
};

use crate::{
    receiver::{Answer, Receiver},
    server::{Do, Server, raw, respond, run_with},
};

fn trace(options: &mut RunOptions, protocol: Protocol, receiver: &Receiver, ratio: f64) {
    let settings = Settings::new(Signal::Traces, protocol, &receiver.url()).unwrap_or_else(|e| panic!("{e}"));
    let tracer = Tracer::new(ratio);
    options
        .outputs
        .sinks
        .push(Box::new(SpanSink::start(Some(&settings), tracer.clone(), "here").expect("a sender")));
    options.outputs.tracer = Some(tracer);
}

fn spans(receiver: &Receiver) -> Vec<Span> {
    let resources = receiver.traces().into_iter().flat_map(|t| t.resource_spans);
    resources.flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
}

fn attributes(span: &Span) -> BTreeMap<String, String> {
    span.attributes
        .iter()
        .map(|a| {
            let value = match a.value.as_ref().and_then(|v| v.value.as_ref()) {
                Some(Value::StringValue(text)) => text.clone(),
                Some(Value::IntValue(number)) => number.to_string(),
                other => panic!("{other:?}"),
            };
            (a.key.clone(), value)
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

const FLOW: &str = "
scenario: t
timeout: 2s
flow:
  - {name: ask, post: /ask, json: {model: m-1}, stream: sse}
  - {name: gone, get: /gone, query: {token: abc, n: '{{ vu }}'}, retries: 1}
phases: {p: {executor: per-vu-iterations, vus: 1, iterations: 1}}
";

fn service() -> Server {
    Server::start(|seen| match seen.line() {
        "POST /ask" => vec![
            raw("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {\"token\":\"a\"}\n\n"),
            Do::Wait(Duration::from_millis(30)),
            raw(
                "data: {\"token\":\"b\"}\n\ndata: {\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2}}\n\n",
            ),
            Do::Close,
        ],
        _ => respond(404, "", "no"),
    })
}

fn check_spans(protocol: Protocol, receiver: &Receiver) {
    let server = service();
    let summary = run_with(&server, FLOW, |o| trace(o, protocol, receiver, 1.0));
    assert_eq!((summary.requests, summary.errors, summary.export_failures), (3, 2, 0));
    let spans = spans(receiver);
    let (roots, children): (Vec<_>, Vec<_>) = spans.iter().partition(|s| s.parent_span_id.is_empty());
    assert_eq!((roots.len(), children.len()), (1, 3));
    let root = roots[0];
    assert_eq!((root.name.as_str(), root.kind()), ("iteration", SpanKind::Internal));
    let of_root = attributes(root);
    assert_eq!((of_root["load.scenario"].as_str(), of_root["load.phase"].as_str()), ("t", "p"));
    assert_eq!((of_root["load.user"].as_str(), of_root["error.type"].as_str()), ("1", "404"));
    assert!((root.trace_id.len(), root.span_id.len()) == (16, 8) && root.flags & 1 == 1);
    for child in &children {
        assert_eq!((&child.trace_id, &child.parent_span_id), (&root.trace_id, &root.span_id));
        assert_eq!(child.kind(), SpanKind::Client);
        assert!(root.start_time_unix_nano <= child.start_time_unix_nano);
        assert!(child.end_time_unix_nano <= root.end_time_unix_nano);
        assert!(child.start_time_unix_nano < child.end_time_unix_nano);
    }
    // The service saw the ids of the spans, in their order.
    let mut in_order = children.clone();
    in_order.sort_by_key(|s| s.start_time_unix_nano);
    let want: Vec<String> =
        in_order.iter().map(|s| format!("00-{}-{}-01", hex(&s.trace_id), hex(&s.span_id))).collect();
    let seen = server.seen();
    let got: Vec<&str> = seen.iter().map(|s| s.header("traceparent").expect("a header")).collect();
    assert_eq!(got, want);
    check_ask(in_order[0], &server);
    let second = attributes(in_order[2]);
    let port = server.address.port();
    let url = format!("http://127.0.0.1:{port}/gone?token=REDACTED&n=1");
    let gone = [
        ("load.step", "gone"),
        ("http.request.method", "GET"),
        ("http.request.resend_count", "1"),
        ("http.response.status_code", "404"),
        ("error.type", "404"),
        ("url.full", url.as_str()),
    ];
    gone.iter().for_each(|(key, value)| assert_eq!(second[*key], *value, "{key}"));
    assert!(!attributes(in_order[1]).contains_key("http.request.resend_count"));
    assert_eq!(in_order[2].status.as_ref().map(Status::code), Some(StatusCode::Error));
}

fn check_ask(span: &Span, server: &Server) {
    let port = server.address.port().to_string();
    let url = format!("http://127.0.0.1:{port}/ask");
    let want: BTreeMap<String, String> = [
        ("load.scenario", "t"),
        ("load.phase", "p"),
        ("load.step", "ask"),
        ("http.request.method", "POST"),
        ("http.response.status_code", "200"),
        ("url.full", url.as_str()),
        ("url.template", "/ask"),
        ("server.address", "127.0.0.1"),
        ("server.port", port.as_str()),
        ("network.protocol.version", "1.1"),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.request.model", "m-1"),
        ("gen_ai.usage.input_tokens", "4"),
        ("gen_ai.usage.output_tokens", "2"),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .into();
    assert_eq!(attributes(span), want);
    assert_eq!(
        (span.name.as_str(), span.status.as_ref().map(Status::code)),
        ("POST /ask", Some(StatusCode::Unset))
    );
    assert_eq!(span.events.len(), 1);
    assert_eq!(span.events[0].name, "first_chunk");
    let at = span.events[0].time_unix_nano;
    // The service waits 30 ms after the first chunk.
    assert!(span.start_time_unix_nano < at && at + 30_000_000 <= span.end_time_unix_nano);
}

#[test]
fn a_span_for_each_iteration_and_request_over_http() {
    check_spans(Protocol::HttpProtobuf, &Receiver::http(|_| Answer::Take));
}

#[test]
fn a_span_for_each_iteration_and_request_over_grpc() {
    check_spans(Protocol::Grpc, &Receiver::grpc(|_| Answer::Take));
}

/// Runs 400 iterations of one request.
fn many(server: &Server, change: impl FnOnce(&mut RunOptions)) -> Summary {
    let text = "scenario: t\nflow: [{name: q, get: /}]\nphases: {p: {executor: per-vu-iterations, vus: 4, iterations: 100}}\n";
    run_with(server, text, change)
}

#[test]
fn what_is_not_sampled_is_told_to_the_service_and_not_exported() {
    let (server, receiver) = (Server::start(|_| respond(200, "", "")), Receiver::http(|_| Answer::Take));
    let summary = many(&server, |o| trace(o, Protocol::HttpProtobuf, &receiver, 0.5));
    assert_eq!(summary.requests, 400);
    let spans = spans(&receiver);
    let exported: BTreeSet<String> = spans.iter().map(|s| hex(&s.trace_id)).collect();
    let (mut sampled, mut others) = (BTreeSet::new(), BTreeSet::new());
    for seen in server.seen() {
        let header = seen.header("traceparent").expect("a header").to_owned();
        let parts: Vec<&str> = header.split('-').collect();
        let is_new = if parts[3] == "01" { &mut sampled } else { &mut others }.insert(parts[1].to_owned());
        assert!(is_new, "a trace for each iteration");
    }
    assert_eq!(sampled.len() + others.len(), 400);
    assert_eq!((&exported, spans.len()), (&sampled, 2 * sampled.len()));
    // Six standard deviations of 400 tosses: the ids are random.
    assert!((140..=260).contains(&sampled.len()), "{}", sampled.len());
}

#[test]
fn without_traces_the_service_sees_no_header() {
    let server = Server::start(|_| respond(200, "", ""));
    many(&server, |_| {});
    assert!(server.seen().iter().all(|s| s.header("traceparent").is_none()));
}

#[test]
fn a_span_that_the_end_cuts_short_says_so() {
    let (server, receiver) = (Server::start(|_| vec![Do::Hang]), Receiver::http(|_| Answer::Take));
    let text = "scenario: t\nflow: [{name: q, get: /}]\nphases: {p: {executor: constant-vus, vus: 1, duration: 300ms, graceful_stop: 0s}}\n";
    run_with(&server, text, |o| trace(o, Protocol::HttpProtobuf, &receiver, 1.0));
    let spans = spans(&receiver);
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|s| attributes(s)["error.type"] == "unfinished"), "{spans:?}");
}
