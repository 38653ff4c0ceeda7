//! Who may do what.

use demo::service::ServiceOptions;
use serde_json::{Value, json};

use crate::client::{Running, question, quick};

#[tokio::test]
async fn each_role_reads_its_own_passages_and_no_others() {
    let running = Running::start(quick()).await;
    // What only an administrator may read about, what a resident may, and what everyone may.
    let questions = [
        (
            "Incident review: anticoagulants charted for three days in atrial fibrillation",
            "atrial-fibrillation:incident",
        ),
        ("First-line treatment and dosing: apixaban in atrial fibrillation", "atrial-fibrillation:treat"),
        ("Observations: pulse at the wrist and apex in atrial fibrillation", "atrial-fibrillation:observe"),
    ];
    for (role, readable) in [("nurse", 1), ("resident", 2), ("admin", 3)] {
        let token = running.log_in(role).await;
        for (i, (text, id)) in questions.iter().enumerate() {
            let body = json!({"query": text, "k": 10});
            let reply = running.ask("POST", "/v1/search", &[("authorization", &token)], &body).await;
            let found: Vec<_> =
                reply.json()["results"].as_array().unwrap().iter().map(|r| r["id"].clone()).collect();
            assert_eq!(found.contains(&json!(id)), i >= 3 - readable, "{role}: {id} in {found:?}");
        }
    }
}

#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let running = Running::start(quick()).await;
    let (nurse, resident) = (running.log_in("nurse").await, running.log_in("resident").await);
    let chat = json!({"messages": [{"role": "user", "content": "hello"}], "max_tokens": 3});
    let faults = json!({"faults": ["errors=1"]});
    for (token, path, body, message) in [
        (
            &nurse,
            "/v1/chat/completions",
            &chat,
            "role nurse lacks the right use-models; it belongs to resident and admin",
        ),
        (
            &nurse,
            "/v1/embeddings",
            &json!({"input": "x"}),
            "role nurse lacks the right use-models; it belongs to resident and admin",
        ),
        (
            &resident,
            "/admin/fault",
            &faults,
            "role resident lacks the right plant-faults; it belongs to admin",
        ),
    ] {
        let reply = running.ask("POST", path, &[("authorization", token)], body).await;
        assert_eq!(reply.status, 403, "{}", reply.body);
        assert_eq!(reply.error(), ("missing_right".to_owned(), message.to_owned()));
    }
    assert_eq!(running.post("/v1/chat/completions", &chat).await.status, 200, "the key");
    assert_eq!(running.post("/admin/fault", &faults).await.status, 403);
}

#[tokio::test]
async fn without_a_key_only_tokens_are_good() {
    let running = Running::start(ServiceOptions { api_key: None, ..quick() }).await;
    assert_eq!(running.post("/v1/embeddings", &json!({"input": "x"})).await.status, 401);
    assert_eq!(running.ask("GET", "/v1/models", &[], &Value::Null).await.error().0, "missing_token");
}

#[tokio::test]
async fn an_unknown_patient_is_404() {
    let running = Running::start(quick()).await;
    let token = running.log_in("nurse").await;
    let mut body = question();
    body["patient_id"] = "P-9999".into();
    let reply = running.query(&token, &body).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (404, "unknown_patient"));
}
