//! Faults as their caller sees them; where each kind shows in traces and metrics is in `planted`.

use std::time::Duration;

use demo::service::LlmOptions;
use serde_json::{Value, json};

use crate::client::{Running, question, quick, with_llm};

async fn stage_sum(running: &Running, stage: &str) -> f64 {
    running.metric(&format!("rag_stage_duration_seconds_sum{{stage=\"{stage}\"}}")).await
}

async fn ask(running: &Running, token: &str) -> crate::client::Reply {
    let headers = [("authorization", token), ("cache-control", "no-cache")];
    running.ask("POST", "/query", &headers, &question()).await
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
