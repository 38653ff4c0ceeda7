//! What people type, and the keys of other services, are in no log, metric, span or error.

use serde_json::{Value, json};

use crate::{
    client::Running,
    traces::{Process, Spans, collector, serve, start},
};

/// Part of everything that must not come out again.
const SECRET: &str = "pl4nted";

/// Where a secret could be by now, under the name of the place.
async fn places(process: &Process, running: &Running, spans: &Spans) -> Vec<(&'static str, String)> {
    let metrics = running.ask("GET", "/metrics", &[], &Value::Null).await.body;
    let spans = format!("{:?}", spans.lock().unwrap());
    assert!(metrics.contains("rag_logins_total"), "{metrics}");
    vec![("the log", process.log()), ("the metrics", metrics), ("the spans", spans)]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_send_wrongly_does_not_come_out() {
    let spans = Spans::default();
    let url = collector(&spans).await;
    let (process, running) =
        serve(&["--otlp", &url, "--profile", "laptop", "--password", "pl4nted-1", "--api-key", "pl4nted-2"])
            .await;
    let login = json!({"username": "nurse", "password": "pl4nted-1"});
    let login = running.ask("POST", "/login", &[], &login).await.json();
    let token = login["access_token"].as_str().unwrap();
    let bearer = format!("Bearer {token}");
    let large = "pl4nted".repeat(400_000);
    let login = |user: &str, password: &str| json!({"username": user, "password": password}).to_string();
    let ask =
        |question: &str, patient: &str| json!({"question": question, "patient_id": patient}).to_string();
    let cases = [
        ("/login", "", login("nurse", "pl4nted-3"), 401),
        ("/login", "", login("pl4nted-4", "pl4nted-5"), 401),
        ("/login", "", "{\"username\": \"nurse\", \"password\": \"pl4nted-6".to_owned(), 400),
        ("/login", "", "{\"username\": \"nurse\", \"password\": {\"pl4nted-6\": 1}}".to_owned(), 400),
        ("/login", "", large.clone(), 413),
        ("/query", &bearer, ask("pl4nted-7", "pl4nted-8"), 404),
        ("/query", &bearer, ask("pl4nted-9: when is the patient weighed in heart failure?", "P-0007"), 200),
        ("/query", &bearer, json!({"question": ["pl4nted-10"]}).to_string(), 400),
        ("/query", &bearer, large, 413),
        ("/query", "Bearer pl4nted-11", ask("Why?", "P-0007"), 401),
        ("/query?token=pl4nted-12", "", ask("Why?", "P-0007"), 401),
        ("/pl4nted-13", "", String::new(), 404),
        ("/v1/chat/completions", &bearer, json!({"messages": "pl4nted-14"}).to_string(), 403),
        ("/v1/chat/completions", "Bearer pl4nted-2", json!({"messages": "pl4nted-14"}).to_string(), 400),
        ("/admin/fault", &bearer, json!({"faults": ["pl4nted-15"]}).to_string(), 403),
    ];
    for (path, authorization, body, status) in &cases {
        let reply = running.ask_raw("POST", path, &[("authorization", authorization)], body).await;
        let start = &body[..body.len().min(60)];
        assert_eq!(reply.status, *status, "{path} {start}: {}", reply.body);
        if *status != 200 {
            assert!(!reply.error().1.contains(SECRET), "{path} {start}: {}", reply.body);
        }
    }
    // The span of the last request is the last to be sent.
    let last = "POST /admin/fault";
    while !spans.lock().unwrap().iter().any(|span| span.name == last) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for (place, text) in places(&process, &running, &spans).await {
        assert!(!text.contains(SECRET) && !text.contains(token), "{place}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_services_that_are_away_do_not_come_out() {
    let (spans, dir) = (Spans::default(), tempfile::tempdir().unwrap());
    let index_key = dir.path().join("index.key");
    let url = collector(&spans).await;
    let (process, running) = start(&[
        "--otlp",
        &url,
        "--cyborgdb=http://me:pl4nted-1@127.0.0.1:1",
        "--cyborgdb-key=pl4nted-2",
        "--cyborgdb-index-key",
        index_key.to_str().unwrap(),
        "--llm=http://me:pl4nted-3@127.0.0.1:1/v1?key=pl4nted-4",
        "--llm-key=pl4nted-5",
    ]);
    running.until_ready(503).await;
    while !process.log().contains("cannot be opened yet") {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let reply = running.ask("GET", "/ready", &[], &Value::Null).await;
    let chat = json!({"messages": [{"role": "user", "content": "hello"}]});
    let refused = running.post("/v1/chat/completions", &chat).await;
    assert_eq!((refused.status, &refused.json()["error"]["stage"]), (503, &json!("generate")));
    let mut all = places(&process, &running, &spans).await;
    all.extend([("/ready", reply.body), ("a failed answer", refused.body)]);
    let key = std::fs::read_to_string(&index_key).unwrap_or_else(|_| "no key yet".to_owned());
    for (place, text) in all {
        assert!(!text.contains(SECRET) && !text.contains(key.trim()), "{place}: {text}");
    }
}
