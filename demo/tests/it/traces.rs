//! Spans as a collector sees them: one tree for each query, joined to the caller's trace.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value as Any,
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message as _;
use tokio::net::TcpListener;

use crate::client::{Running, question};

pub(crate) type Spans = Arc<Mutex<Vec<Span>>>;

pub(crate) async fn collector(spans: &Spans) -> String {
    let receive = async |State(spans): State<Spans>, body: Bytes| {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        let all = request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans);
        spans.lock().unwrap().extend(all);
    };
    let router = Router::new().route("/v1/traces", post(receive)).with_state(Arc::clone(spans));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// `demo serve` as a process, which ends with it, and what it logs.
pub(crate) struct Process(Child, Arc<Mutex<String>>);

impl Process {
    pub(crate) fn log(&self) -> String {
        self.1.lock().unwrap().clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) async fn serve(arguments: &[&str]) -> (Process, Running) {
    let (process, running) = start(arguments);
    running.until_ready(200).await;
    (process, running)
}

/// The same, not yet ready.
pub(crate) fn start(arguments: &[&str]) -> (Process, Running) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .env("RUST_LOG", "debug")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let log = Arc::<Mutex<String>>::default();
    let writes = Arc::clone(&log);
    std::thread::spawn(move || lines.for_each(|line| *writes.lock().unwrap() += &(line.unwrap() + "\n")));
    let address = line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line}")).to_owned();
    let (stop, _) = tokio::sync::oneshot::channel();
    let running = Running { address, stop, server: tokio::spawn(async { Ok(()) }) };
    (Process(child, log), running)
}

pub(crate) fn text(span: &Span, key: &str) -> Option<String> {
    let value = span.attributes.iter().find(|a| a.key == key)?.value.clone()?.value?;
    Some(match value {
        Any::StringValue(text) => text,
        Any::IntValue(n) => format!("{n} (int)"),
        Any::DoubleValue(x) => x.to_string(),
        Any::BoolValue(b) => b.to_string(),
        other => format!("{other:?}"),
    })
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_one_tree_below_the_callers_span() {
    let spans = Spans::default();
    let (_process, running) =
        serve(&["--profile", "laptop", "--otlp", &collector(&spans).await, "--classic-buckets"]).await;
    let token = running.log_in("resident").await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("authorization", token.as_str()), ("traceparent", &traceparent)];
    let mut body = question();
    body["stream"] = true.into();
    assert_eq!(running.ask("POST", "/query", &headers, &body).await.status, 200);
    let found = loop {
        let ours: Vec<Span> =
            spans.lock().unwrap().iter().filter(|s| hex(&s.trace_id) == TRACE).cloned().collect();
        if ours.len() >= 7 {
            break ours;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let named = |name: &str| {
        found.iter().find(|s| s.name == name).unwrap_or_else(|| {
            panic!("no span {name}: {:?}", found.iter().map(|s| &s.name).collect::<Vec<_>>())
        })
    };
    let root = named("POST /query");
    assert_eq!((hex(&root.parent_span_id).as_str(), root.kind), (PARENT, SpanKind::Server as i32));
    assert_eq!(text(root, "http.response.status_code").as_deref(), Some("200 (int)"));
    for (name, stage) in [
        ("auth", "auth"),
        ("embeddings assay-feature-hashing", "embed"),
        ("retrieval clinical-passages", "search"),
        ("prompt", "prompt"),
        ("chat assay-queueing-model", "generate"),
    ] {
        let span = named(name);
        assert_eq!((&span.parent_span_id, text(span, "rag.stage").as_deref()), (&root.span_id, Some(stage)));
        assert!(span.start_time_unix_nano >= root.start_time_unix_nano);
        assert!(span.end_time_unix_nano <= root.end_time_unix_nano, "{name} outlives its request");
    }
    assert_eq!(named("query clinical-passages").parent_span_id, named("retrieval clinical-passages").span_id);
    let chat = named("chat assay-queueing-model");
    let tokens = text(chat, "gen_ai.usage.output_tokens").unwrap();
    let tokens: u64 = tokens.trim_end_matches(" (int)").parse().unwrap();
    assert!(tokens > 10 && text(chat, "gen_ai.response.time_to_first_chunk").is_some());
    assert!(chat.end_time_unix_nano - chat.start_time_unix_nano > 10_000_000, "it spans the stream");

    // Neither the question nor the patient nor a token is anywhere, and the histograms name the trace.
    let everything = format!("{:?}", spans.lock().unwrap());
    let token = token.trim_start_matches("Bearer ");
    for secret in ["the patient weighed", "P-0007", token, "demo\""] {
        assert!(!everything.contains(secret), "{secret} is in the spans");
    }
    let metrics = running
        .ask("GET", "/metrics", &[("accept", "application/openmetrics-text")], &serde_json::Value::Null)
        .await
        .body;
    let exemplar = format!("# {{trace_id=\"{TRACE}\"}}");
    let with_exemplar =
        |series: &str| metrics.lines().any(|l| l.starts_with(series) && l.contains(&exemplar));
    assert!(with_exemplar("rag_stage_duration_seconds_bucket"));
    assert!(with_exemplar("http_server_request_duration_seconds_bucket"));
    for secret in ["the patient weighed", "P-0007", token] {
        assert!(!metrics.contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_stage_is_an_error_in_its_span() {
    let spans = Spans::default();
    let (_process, running) =
        serve(&["--profile", "laptop", "--otlp", &collector(&spans).await, "--fault", "errors=1"]).await;
    let token = running.log_in("resident").await;
    assert_eq!(running.query(&token, &question()).await.status, 500);
    let failed = loop {
        let failed = spans.lock().unwrap().iter().find(|s| s.name.starts_with("chat ")).cloned();
        match failed {
            Some(span) => break span,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert_eq!(failed.status.as_ref().unwrap().code, StatusCode::Error as i32);
    assert_eq!(text(&failed, "error.type").as_deref(), Some("planted"));
}
