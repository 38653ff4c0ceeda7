//! A fault of each kind, planted while the service runs, shows where it should and nowhere else.

use std::time::{Duration, Instant};

use demo::service::{LlmOptions, ServiceOptions};
use serde_json::{Value, json};

use crate::client::{Running, question, quick, with_llm};

async fn stage_sum(running: &Running, stage: &str) -> f64 {
    running.metric(&format!("rag_stage_duration_seconds_sum{{stage=\"{stage}\"}}")).await
}

async fn ask(running: &Running, token: &str) -> crate::client::Reply {
    let headers = [("authorization", token), ("cache-control", "no-cache")];
    running.ask("POST", "/query", &headers, &question()).await
}

/// A profile in which the stages take long enough for a factor to be seen.
fn slow() -> ServiceOptions {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.yml");
    std::fs::write(&file, "profile: p\nstages: {embed: 20ms, search: 20ms}\nllm: {per_token: 100us}\n")
        .unwrap();
    let profile = demo::service::Profile::load(file.to_str().unwrap()).unwrap();
    ServiceOptions { profile, ..ServiceOptions::default() }
}

#[tokio::test]
async fn a_slow_stage_is_slow_and_the_other_is_not() {
    for (fault, slow_stage, other) in
        [("slow-embed=10", "embed", "search"), ("slow-search=10", "search", "embed")]
    {
        let running = Running::start(slow()).await;
        let token = running.log_in("nurse").await;
        running.plant(&[fault]).await;
        assert_eq!(ask(&running, &token).await.status, 200);
        let (slow, other) = (stage_sum(&running, slow_stage).await, stage_sum(&running, other).await);
        assert!(slow >= 0.2 && other < slow, "{fault}: {slow} and {other}");
        let series = format!("rag_fault_planted{{fault=\"{}\"}}", fault.split('=').next().unwrap());
        assert_eq!(running.metric(&series).await, 10.0);
    }
}

#[tokio::test]
async fn errors_come_before_and_in_the_stream() {
    let running = Running::start(quick()).await;
    let token = running.log_in("nurse").await;
    running.plant(&["errors=1"]).await;
    let reply = ask(&running, &token).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (500, "planted"));
    assert_eq!(reply.json()["error"]["stage"], "generate");

    let admin = running.log_in("admin").await;
    let cleared = running.ask("DELETE", "/admin/fault", &[("authorization", &admin)], &Value::Null).await;
    assert_eq!(cleared.json(), json!({"planted": {}}));
    running.plant(&["stream-errors=1"]).await;
    let mut body = question();
    body["stream"] = true.into();
    let reply = running.query(&token, &body).await;
    let (events, is_done) = reply.events();
    assert!(reply.status == 200 && !is_done && events.len() > 2, "{}", reply.body);
    assert_eq!(events.last().unwrap()["error"]["code"], "planted");
    assert_eq!(running.metric(r#"rag_queries_total{outcome="error", role="nurse"}"#).await, 2.0);
    assert_eq!(running.metric(r#"rag_cache_requests_total{result="miss"}"#).await, 1.0);
    // What failed half-way is not given again.
    running.ask("DELETE", "/admin/fault", &[("authorization", &admin)], &Value::Null).await;
    assert!(running.query(&token, &question()).await.head.contains("x-cache: miss"));
}

#[tokio::test]
async fn a_stall_shows_in_generation_and_the_time_to_the_first_token() {
    let running = Running::start(quick()).await;
    let token = running.log_in("nurse").await;
    running.plant(&["stalls=1", "stall-seconds=0.2"]).await;
    assert_eq!(ask(&running, &token).await.status, 200);
    assert!(stage_sum(&running, "generate").await >= 0.2);
    let first = r#"gen_ai_server_time_to_first_token_seconds_sum{gen_ai_operation_name="chat", gen_ai_provider_name="assay", gen_ai_request_model="assay-queueing-model"}"#;
    assert!(running.metric(first).await >= 0.2);
}

#[tokio::test]
async fn fewer_slots_make_answers_wait() {
    let running = Running::start(with_llm(LlmOptions {
        per_token: Duration::from_secs(3600),
        ..LlmOptions::default()
    }))
    .await;
    let token = running.log_in("nurse").await;
    running.plant(&["llm-slots=1"]).await;
    assert_eq!(running.metric("rag_llm_slots").await, 1.0);
    let headers = [("authorization", token.as_str())];
    let _first = running.send("POST", "/query", &headers, &question().to_string()).await;
    running.until("rag_llm_active", 1.0).await;
    let _second = running.send("POST", "/query", &headers, &question().to_string()).await;
    running.until("rag_llm_queued", 1.0).await;
    let admin = running.log_in("admin").await;
    running.ask("DELETE", "/admin/fault", &[("authorization", &admin)], &Value::Null).await;
    running.until("rag_llm_active", 2.0).await;
}

#[tokio::test]
async fn what_leaks_is_seen_from_outside() {
    let running = Running::start(quick()).await;
    let (fds, bytes) = ("process_open_fds", "process_resident_memory_bytes");
    let before = (running.metric(fds).await, running.metric(bytes).await);
    running.plant(&["fd-leak=500", "memory-leak=100MB"]).await;
    let start = Instant::now();
    // How fast depends on the machine; that it happens does not.
    while running.metric(fds).await < before.0 + 50.0 || running.metric(bytes).await < before.1 + 20e6 {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing leaks");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn burning_takes_processor_time() {
    let running = Running::start(quick()).await;
    let before = running.metric("process_cpu_seconds_total").await;
    running.plant(&["cpu-burn=1"]).await;
    let start = Instant::now();
    while running.metric("process_cpu_seconds_total").await < before + 0.5 {
        assert!(start.elapsed() < Duration::from_secs(60), "nothing burns");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_restart_forgets_everything_and_comes_back() {
    let running = Running::start(quick()).await;
    let token = running.log_in("nurse").await;
    assert_eq!(ask(&running, &token).await.status, 200);
    running.plant(&["restart=0.2"]).await;
    // The connection may break at any point of the restart.
    let health = || async {
        let mut stream = tokio::net::TcpStream::connect(&running.address).await.ok()?;
        let request = b"GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.ok()?;
        let mut reply = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut reply).await.ok()?;
        reply.starts_with("HTTP/1.1 200").then_some(())
    };
    while health().await.is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while health().await.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(running.metric(r#"rag_queries_total{outcome="ok", role="nurse"}"#).await, 0.0);
    assert_eq!(ask(&running, &token).await.error().0, "unknown_token");
}

#[tokio::test]
async fn a_fault_that_is_none_is_refused() {
    let running = Running::start(quick()).await;
    let admin = running.log_in("admin").await;
    let headers = [("authorization", admin.as_str())];
    for (body, code) in [
        (json!({"faults": ["slow-serch=2"]}), "invalid_fault"),
        (json!({"faults": ["errors=2"]}), "invalid_fault"),
        (json!({"faults": ["errors=1"], "seconds": -1}), "invalid_seconds"),
        (json!({"fault": "errors=1"}), "malformed_body"),
    ] {
        let reply = running.ask("POST", "/admin/fault", &headers, &body).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (400, code), "{body}");
    }
    let reply = running.ask("GET", "/admin/fault", &headers, &Value::Null).await;
    assert_eq!(reply.json(), json!({"planted": {}}));
}
