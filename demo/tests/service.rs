//! The service over real HTTP.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use assay_model::expo::{Format, ScrapeValue, read_scrape};
use demo::service::{Faults, LlmOptions, ServiceOptions, serve};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

/// A service that answers at once, with few passages.
fn quick() -> ServiceOptions {
    ServiceOptions {
        passages: 120,
        llm: LlmOptions {
            step: Duration::from_micros(200),
            step_per_sequence: Duration::ZERO,
            prefill_per_token: Duration::ZERO,
            ..LlmOptions::default()
        },
        ..ServiceOptions::default()
    }
}

struct Running {
    address: String,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

impl Running {
    async fn start(options: ServiceOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listener, options, async {
            let _ = stopped.await;
        }));
        Self { address, stop, server }
    }

    /// Sends a request and leaves its response unread.
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let headers: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = self.send(method, path, headers, &body).await;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        let body = if head.contains("transfer-encoding: chunked") { unchunk(body) } else { body.to_owned() };
        Reply { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head, body }
    }

    async fn log_in(&self, user: &str) -> String {
        let reply = self.ask("POST", "/login", &[], &json!({"username": user, "password": "demo"})).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        format!("Bearer {}", reply.json()["access_token"].as_str().unwrap())
    }

    async fn query(&self, token: &str, body: &Value) -> Reply {
        self.ask("POST", "/query", &[("authorization", token)], body).await
    }

    /// The value of a series, a histogram's count.
    async fn metric(&self, series: &str) -> f64 {
        let body = self.ask("GET", "/metrics", &[("accept", "text/plain")], &Value::Null).await.body;
        let scrape = read_scrape(Format::Text, body.as_bytes()).unwrap();
        let found = scrape.samples.iter().find(|s| s.labels.to_string() == series);
        match found.map(|s| &s.value) {
            Some(ScrapeValue::Float(value)) => *value,
            other => panic!("{series}: {other:?} in\n{body}"),
        }
    }
}

fn unchunk(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        out.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    out
}

fn question() -> Value {
    json!({"question": "Which dose of apixaban in atrial fibrillation?", "patient_id": "P007"})
}

#[tokio::test]
async fn a_user_logs_in_and_asks() {
    let running = Running::start(quick()).await;
    assert_eq!(running.ask("GET", "/health", &[], &Value::Null).await.json()["status"], "ok");

    let token = running.log_in("resident").await;
    let reply = running.query(&token, &question()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let reply = reply.json();
    let (answer, sources) = (reply["answer"].as_str().unwrap(), reply["sources"].as_array().unwrap());
    assert_eq!(sources.len(), 4);
    for source in sources {
        let id = source["id"].as_str().unwrap();
        assert!(answer.contains(&format!("[{id}]")), "{id} is not in: {answer}");
        assert!(!id.starts_with("case-"), "a resident may not read {id}");
    }
    let usage = &reply["usage"];
    assert!(usage["prompt_tokens"].as_u64().unwrap() > 100);
    assert_eq!(
        usage["total_tokens"].as_u64().unwrap(),
        usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap()
    );
    // Finding is the same every time; only how much is said of each passage varies.
    let again = running.query(&token, &question()).await.json();
    assert_eq!(again["sources"], reply["sources"]);

    running.stop.send(()).unwrap();
    running.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says() {
    let running = Running::start(quick()).await;
    let token = running.log_in("attending").await;
    let mut body = question();
    body["stream"] = true.into();
    for (headers, body) in [
        (vec![("authorization", token.as_str())], &body),
        (vec![("authorization", token.as_str()), ("accept", "text/event-stream")], &question()),
    ] {
        let reply = running.ask("POST", "/query", &headers, body).await;
        assert!(
            reply.status == 200 && reply.head.contains("content-type: text/event-stream"),
            "{}",
            reply.head
        );
        let data: Vec<&str> = reply.body.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        let (&done, chunks) = data.split_last().unwrap();
        assert_eq!(done, "[DONE]");
        let chunks: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
        let (last, chunks) = chunks.split_last().unwrap();
        let (stop, tokens) = chunks.split_last().unwrap();
        assert_eq!(stop["choices"][0]["finish_reason"], "stop");
        assert_eq!(last["usage"]["completion_tokens"], tokens.len());
        let text: String =
            tokens.iter().map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().unwrap()).collect();
        for source in last["sources"].as_array().unwrap() {
            assert!(text.contains(source["id"].as_str().unwrap()));
        }
    }
    let ok = running.metric(r#"rag_queries_total{outcome="ok", role="attending"}"#).await;
    assert_eq!(ok, 2.0);
    let streams = r#"http_server_request_duration_seconds_count{http_request_method="POST", http_response_status_code="200", http_route="/query"}"#;
    assert_eq!(running.metric(streams).await, 2.0);
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let running =
        Running::start(ServiceOptions { token_lifetime: Duration::from_secs(3600), ..quick() }).await;
    let login = |user: &str, password: &str| json!({"username": user, "password": password});
    for (user, password) in [("resident", "wrong"), ("nobody", "demo")] {
        let reply = running.ask("POST", "/login", &[], &login(user, password)).await;
        assert_eq!(
            (reply.status, reply.error().as_str()),
            (401, "there is no such user, or the password is not theirs")
        );
        assert!(reply.head.contains("www-authenticate: bearer"));
    }
    let reply = running.query("Bearer made-up", &question()).await;
    assert_eq!((reply.status, reply.error().as_str()), (401, "the token is unknown: log in at POST /login"));
    let reply = running.ask("POST", "/query", &[], &question()).await;
    assert_eq!(
        (reply.status, reply.error().as_str()),
        (401, "a bearer token is needed: log in at POST /login")
    );

    let token = running.log_in("nurse").await;
    let cases = [
        (json!({"question": " ", "patient_id": "P1"}), "question is empty: ask something"),
        (
            json!({"question": "Why?", "patient_id": ""}),
            "patient_id is empty: say which patient the question is about",
        ),
        (
            json!({"question": "Why?"}),
            "missing field `patient_id` at line 1 column 19; send JSON such as \
             {\"question\": \"…\", \"patient_id\": \"P001\", \"stream\": false}",
        ),
    ];
    for (body, message) in cases {
        let reply = running.query(&token, &body).await;
        assert_eq!((reply.status, reply.error().as_str()), (400, message));
    }
    assert_eq!(running.ask("GET", "/nowhere", &[], &Value::Null).await.status, 404);
    assert_eq!(running.ask("GET", "/query", &[], &Value::Null).await.status, 405);
}

#[tokio::test]
async fn tokens_expire() {
    let running = Running::start(ServiceOptions { token_lifetime: Duration::ZERO, ..quick() }).await;
    let token = running.log_in("nurse").await;
    let reply = running.query(&token, &question()).await;
    assert_eq!(
        (reply.status, reply.error().as_str()),
        (401, "the token has expired: log in again at POST /login")
    );
}

#[tokio::test]
async fn everything_is_on_record_at_zero_and_then_counts() {
    let running = Running::start(quick()).await;
    let stage = |stage: &str| format!("rag_stage_duration_seconds_count{{stage=\"{stage}\"}}");
    for name in ["auth", "embed", "search", "prompt", "generate"] {
        assert_eq!(running.metric(&stage(name)).await, 0.0);
    }
    for role in ["nurse", "resident", "attending"] {
        for outcome in ["ok", "error", "rejected", "cancelled"] {
            let series = format!("rag_queries_total{{outcome=\"{outcome}\", role=\"{role}\"}}");
            assert_eq!(running.metric(&series).await, 0.0);
        }
    }
    let labels = r#"{gen_ai_operation_name="chat", gen_ai_provider_name="assay", gen_ai_request_model="assay-queueing-model"}"#;
    let durations = ["request_duration", "time_to_first_token", "time_per_output_token"]
        .map(|n| format!("gen_ai_server_{n}_seconds_count{labels}"));
    for series in &durations {
        assert_eq!(running.metric(series).await, 0.0);
    }
    let token = running.log_in("resident").await;
    assert_eq!(running.query(&token, &question()).await.status, 200);
    assert_eq!(running.metric(&stage("auth")).await, 2.0);
    for name in ["embed", "search", "prompt", "generate"] {
        assert_eq!(running.metric(&stage(name)).await, 1.0);
    }
    for series in &durations {
        assert_eq!(running.metric(series).await, 1.0);
    }
    assert!(running.metric(r#"rag_llm_tokens_total{gen_ai_token_type="output"}"#).await > 10.0);
    assert_eq!(running.metric("rag_passages").await, 120.0);
    assert!(running.metric("process_resident_memory_bytes").await > 0.0);
}

#[tokio::test]
async fn a_full_queue_turns_away_and_a_client_that_leaves_frees_its_place() {
    let llm = LlmOptions {
        slots: 1,
        max_queue: 1,
        // Slow enough that the test never sees an end.
        step: Duration::from_secs(3600),
        ..LlmOptions::default()
    };
    let running = Running::start(ServiceOptions { llm, ..quick() }).await;
    let token = running.log_in("resident").await;
    let headers = [("authorization", token.as_str())];
    let until = async |series: &str, want: f64| {
        while running.metric(series).await != want {
            tokio::task::yield_now().await;
        }
    };
    let _first = running.send("POST", "/query", &headers, &question().to_string()).await;
    until("rag_llm_active", 1.0).await;
    let second = running.send("POST", "/query", &headers, &question().to_string()).await;
    until("rag_llm_queued", 1.0).await;
    let third = running.query(&token, &question()).await;
    assert_eq!(
        (third.status, third.error().as_str()),
        (503, "1 questions are waiting for the model; try again later")
    );
    assert!(third.head.contains("retry-after: 1"));
    assert_eq!(running.metric(r#"rag_queries_total{outcome="rejected", role="resident"}"#).await, 1.0);
    drop(second);
    until(r#"rag_queries_total{outcome="cancelled", role="resident"}"#, 1.0).await;
}

#[tokio::test]
async fn tokens_arrive_one_by_one() {
    let llm = LlmOptions { step: Duration::from_millis(5), ..quick().llm };
    let running = Running::start(ServiceOptions { llm, ..quick() }).await;
    let token = running.log_in("resident").await;
    let mut body = question();
    body["stream"] = true.into();
    let stream = running.send("POST", "/query", &[("authorization", &token)], &body.to_string()).await;
    let mut lines = BufReader::new(stream).lines();
    let mut tokens = 0;
    // The first tokens are read while the model is still at it.
    while tokens < 3 {
        let line = lines.next_line().await.unwrap().unwrap();
        tokens += usize::from(line.contains("\"content\""));
    }
    assert_eq!(running.metric("rag_llm_active").await, 1.0);
}

#[tokio::test]
async fn faults_are_made_where_they_are_asked_for() {
    let faults = Faults { error_rate: 1.0, stall_rate: 1.0, stall: Duration::from_millis(30) };
    let running = Running::start(ServiceOptions { faults, ..quick() }).await;
    let token = running.log_in("attending").await;
    let start = std::time::Instant::now();
    let reply = running.query(&token, &question()).await;
    assert_eq!((reply.status, reply.error().as_str()), (500, "the service failed as it was told to"));
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(running.metric(r#"rag_queries_total{outcome="error", role="attending"}"#).await, 1.0);
}

#[tokio::test]
async fn classic_buckets_are_shown_where_they_are_asked_for() {
    let running = Running::start(ServiceOptions { classic_buckets: true, ..quick() }).await;
    let bucket = r#"rag_stage_duration_seconds_bucket{le="0.25", stage="embed"}"#;
    assert_eq!(running.metric(bucket).await, 0.0);
    let token = running.log_in("nurse").await;
    running.query(&token, &question()).await;
    assert_eq!(running.metric(r#"rag_stage_duration_seconds_bucket{le="+Inf", stage="embed"}"#).await, 1.0);
}
