//! What a user sees who does something wrong: the proper status, as JSON.

use std::time::Duration;

use demo::service::{Limits, ServiceOptions};
use serde_json::{Value, json};

use crate::client::{Running, question, quick};

#[tokio::test]
async fn a_wrong_login_does_not_tell_whether_the_user_exists() {
    let running = Running::start(quick()).await;
    let mut replies = Vec::new();
    for (user, password) in [("resident", "wrong"), ("nobody", "demo")] {
        let body = json!({"username": user, "password": password});
        let reply = running.ask("POST", "/login", &[], &body).await;
        assert_eq!(reply.status, 401);
        assert!(reply.head.contains("www-authenticate: bearer"));
        replies.push(reply.body);
    }
    assert_eq!(replies[0], replies[1]);
    assert_eq!(running.metric(r#"rag_logins_total{result="wrong"}"#).await, 2.0);
    let metrics = running.ask("GET", "/metrics", &[], &Value::Null).await.body;
    assert!(!metrics.contains("nobody") && !metrics.contains("Bearer"));
}

#[tokio::test]
async fn tokens_are_checked_and_expire() {
    let running = Running::start(ServiceOptions { token_lifetime: Duration::ZERO, ..quick() }).await;
    let expired = running.log_in("nurse").await;
    for (headers, code) in [
        (vec![("authorization", expired.as_str())], "expired_token"),
        (vec![("authorization", "Bearer made-up")], "unknown_token"),
        (vec![("authorization", "Basic bm86bm8=")], "missing_token"),
        (vec![], "missing_token"),
    ] {
        let reply = running.ask("POST", "/query", &headers, &question()).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (401, code));
    }
}

#[tokio::test]
async fn a_body_that_is_wrong_is_refused_with_what_would_be_right() {
    let limits = Limits { body_bytes: 20_000, ..Limits::default() };
    let running = Running::start(ServiceOptions { limits, ..quick() }).await;
    let token = running.log_in("nurse").await;
    let headers = [("authorization", token.as_str())];
    let long = "x".repeat(9000);
    let huge = "x".repeat(30_000);
    let question = |text: &str| json!({"question": text, "patient_id": "P-0001"}).to_string();
    let cases = [
        ("{", 400, "malformed_body"),
        ("", 400, "malformed_body"),
        ("[1]", 400, "malformed_body"),
        (r#"{"question": "Why?"}"#, 400, "malformed_body"),
        (&question("  "), 400, "invalid_question"),
        (&question(&long), 400, "invalid_question"),
        (&question(&huge), 413, "body_too_large"),
        (r#"{"question": "Why?", "patient_id": "P-0001", "k": 11}"#, 400, "invalid_k"),
        (r#"{"question": "Why?", "patient_id": ""}"#, 404, "unknown_patient"),
    ];
    for (body, status, code) in cases {
        let reply = running.ask_raw("POST", "/query", &headers, body).await;
        assert_eq!(
            (reply.status, reply.error().0.as_str()),
            (status, code),
            "{}",
            &body[..body.len().min(60)]
        );
    }
    let reply = running.ask_raw("POST", "/query", &headers, r#"{"question": "Why?"}"#).await;
    assert_eq!(
        reply.error().1,
        "missing field `patient_id` at line 1 column 20; send JSON such as \
         {\"question\": \"…\", \"patient_id\": \"P-0001\", \"k\": 5, \"stream\": false}"
    );
    let reply = running.ask("GET", "/nowhere", &[], &Value::Null).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (404, "unknown_route"));
    let reply = running.ask("GET", "/query", &[], &Value::Null).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (405, "wrong_method"));
}
