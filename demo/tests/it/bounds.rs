//! What the service takes at most, and how it ends.

use std::time::Duration;

use demo::service::{Limits, ServiceOptions, Timeouts};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::client::{Running, endless, question, quick, read};

#[tokio::test]
async fn a_full_queue_turns_away_and_a_client_that_leaves_frees_its_place() {
    let running = Running::start(endless(1, 1)).await;
    let token = running.log_in("resident").await;
    let headers = [("authorization", token.as_str())];
    let _first = running.send("POST", "/query", &headers, &question().to_string()).await;
    running.until("rag_llm_active", 1.0).await;
    let second = running.send("POST", "/query", &headers, &question().to_string()).await;
    running.until("rag_llm_queued", 1.0).await;
    let third = running.query(&token, &question()).await;
    assert_eq!(third.status, 503);
    assert_eq!(third.error().1, "the queue for stage generate is full (1 waiting); try again later");
    assert_eq!(third.json()["error"]["stage"], "generate");
    assert!(third.head.contains("retry-after: 1"));
    assert_eq!(running.metric(r#"rag_queries_total{outcome="rejected", role="resident"}"#).await, 1.0);
    drop(second);
    running.until(r#"rag_queries_total{outcome="cancelled", role="resident"}"#, 1.0).await;
}

#[tokio::test]
async fn one_user_has_so_many_requests_under_way_and_no_more() {
    let limits = Limits { per_user: 1, ..Limits::default() };
    let running = Running::start(ServiceOptions { limits, ..endless(9, 9) }).await;
    let (nurse, resident) = (running.log_in("nurse").await, running.log_in("resident").await);
    let first = running.send("POST", "/query", &[("authorization", &nurse)], &question().to_string()).await;
    running.until("rag_llm_active", 1.0).await;
    let second = running.query(&nurse, &question()).await;
    assert_eq!((second.status, second.error().0.as_str()), (429, "rate_limited"));
    assert!(second.head.contains("retry-after: 1"));
    let other =
        running.send("POST", "/query", &[("authorization", &resident)], &question().to_string()).await;
    running.until("rag_llm_active", 2.0).await;
    drop((first, other));
}

#[tokio::test]
async fn a_model_that_says_nothing_is_given_up_with_503() {
    let timeouts = Timeouts { token: Duration::from_millis(50), ..Timeouts::default() };
    let running = Running::start(ServiceOptions { timeouts, ..endless(1, 1) }).await;
    let token = running.log_in("nurse").await;
    let reply = running.query(&token, &question()).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (503, "timeout"));
    assert_eq!(reply.json()["error"]["stage"], "generate");
    assert_eq!(running.metric(r#"rag_stage_duration_seconds_count{stage="generate"}"#).await, 1.0);
    running.until("rag_llm_active", 0.0).await;
}

#[tokio::test]
async fn a_head_or_a_body_that_does_not_arrive_is_given_up() {
    let timeouts =
        Timeouts { head: Duration::from_millis(50), body: Duration::from_millis(50), ..Timeouts::default() };
    let running = Running::start(ServiceOptions { timeouts, ..quick() }).await;
    let mut slow = TcpStream::connect(&running.address).await.unwrap();
    slow.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut rest = Vec::new();
    // Closed by the service; what it says before is its own choice.
    let _ = slow.read_to_end(&mut rest).await;
    let mut slow = TcpStream::connect(&running.address).await.unwrap();
    slow.write_all(b"POST /login HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 10\r\n\r\n{")
        .await
        .unwrap();
    let reply = read(slow).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (408, "body_timeout"));
}

#[tokio::test]
async fn shutdown_lets_answers_end_and_waits_for_nobody_longer_than_said() {
    let timeouts = Timeouts { shutdown: Duration::from_millis(100), ..Timeouts::default() };
    let running = Running::start(ServiceOptions { timeouts, ..endless(9, 9) }).await;
    let token = running.log_in("nurse").await;
    // One client never reads, one never asks.
    let _hangs = running.send("POST", "/query", &[("authorization", &token)], &question().to_string()).await;
    let _idles = TcpStream::connect(&running.address).await.unwrap();
    running.until("rag_llm_active", 1.0).await;
    running.stop.send(()).unwrap();
    running.server.await.unwrap().unwrap();
    assert!(TcpStream::connect(&running.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn an_answer_under_way_ends_whole_on_shutdown() {
    let options = crate::client::with_llm(demo::service::LlmOptions {
        per_token: Duration::from_millis(5),
        ..demo::service::LlmOptions::default()
    });
    let running = Running::start(options).await;
    let token = running.log_in("nurse").await;
    let answer = running.send("POST", "/query", &[("authorization", &token)], &question().to_string()).await;
    running.until("rag_llm_active", 1.0).await;
    running.stop.send(()).unwrap();
    assert_eq!(read(answer).await.status, 200);
    running.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_and_are_served() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let running = Running::start(ServiceOptions { limits, ..quick() }).await;
    let idle = TcpStream::connect(&running.address).await.unwrap();
    for _ in 0..5 {
        assert_eq!(running.ask("GET", "/health", &[], &serde_json::Value::Null).await.status, 200);
    }
    drop(idle);
}
