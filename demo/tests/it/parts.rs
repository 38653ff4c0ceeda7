//! Parts elsewhere: a language model and a vector store that are away, slow, or answer nonsense. Stubs stand for them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use demo::service::{CyborgDbOptions, RemoteOptions, ServiceOptions, Timeouts};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client::{Running, question, quick};

/// How a stub behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Well,
    Failing,
    Nonsense,
    BreaksOff,
    Hangs,
}

/// Ids with their role and vector.
type Stored = Arc<Mutex<BTreeMap<String, (String, Vec<f32>)>>>;

#[derive(Clone)]
struct Stub {
    mood: Arc<Mutex<Mood>>,
    /// What the vector store holds.
    stored: Stored,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Stub {
    fn new() -> Self {
        Self { mood: Arc::new(Mutex::new(Mood::Well)), stored: Arc::default(), seen: Arc::default() }
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// What goes wrong, instead of an answer.
    async fn wrong(&self) -> Option<Response> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Well | Mood::BreaksOff => None,
            Mood::Failing => Some(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
            Mood::Nonsense => Some("data: <html>\n\n".into_response()),
            Mood::Hangs => std::future::pending().await,
        }
    }

    async fn start(self, router: Router<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router.with_state(self)).await });
        url
    }
}

async fn llm_chat(State(stub): State<Stub>, Json(body): Json<Value>) -> Response {
    if let Some(wrong) = stub.wrong().await {
        return wrong;
    }
    stub.seen.lock().unwrap().push(body);
    let event = |value: Value| format!("data: {value}\n\n");
    let token = |text: &str| event(json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
    let mut stream = format!(": comment\n\n{}{}", token("Every "), token("morning."));
    if *stub.mood.lock().unwrap() == Mood::Well {
        stream += &event(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
        stream += &event(json!({"choices": [], "usage": {"prompt_tokens": 321, "completion_tokens": 2}}));
        stream += "data: [DONE]\n\n";
    }
    Response::new(Body::from(stream))
}

async fn start_llm(stub: &Stub) -> String {
    let models = async |State(stub): State<Stub>| match stub.wrong().await {
        Some(wrong) => wrong,
        None => Json(json!({"data": []})).into_response(),
    };
    let router = Router::new().route("/v1/models", get(models)).route("/v1/chat/completions", post(llm_chat));
    stub.clone().start(router).await
}

fn with_llm_at(url: &str) -> ServiceOptions {
    ServiceOptions {
        llm: Some(RemoteOptions {
            url: format!("{url}/v1"),
            api_key: Some("key".into()),
            model: Some("small".into()),
            connect: Duration::from_millis(300),
        }),
        timeouts: Timeouts { token: Duration::from_millis(300), ..Timeouts::default() },
        ..quick()
    }
}

#[tokio::test]
async fn a_model_elsewhere_is_passed_through() {
    let stub = Stub::new();
    let running = Running::start(with_llm_at(&start_llm(&stub).await)).await;
    let token = running.log_in("nurse").await;
    let reply = running.query(&token, &question()).await.json();
    assert_eq!((&reply["answer"], &reply["model"]), (&json!("Every morning."), &json!("small")));
    assert_eq!(reply["usage"], json!({"prompt_tokens": 321, "completion_tokens": 2, "total_tokens": 323}));
    let seen = stub.seen.lock().unwrap()[0].clone();
    assert_eq!((&seen["stream"], &seen["stream_options"]["include_usage"]), (&json!(true), &json!(true)));
    let prompt = seen["messages"][1]["content"].as_str().unwrap();
    assert!(prompt.contains("[heart-failure:observe]") && prompt.contains("P-0007"), "{prompt}");
}

#[tokio::test]
async fn a_model_that_is_unwell_is_503_and_comes_back_without_a_restart() {
    let stub = Stub::new();
    let running = Running::start(with_llm_at(&start_llm(&stub).await)).await;
    let token = running.log_in("nurse").await;
    let headers = [("authorization", token.as_str()), ("cache-control", "no-cache")];
    for mood in [Mood::Failing, Mood::Nonsense, Mood::BreaksOff, Mood::Hangs] {
        stub.set(mood);
        let reply = running.ask("POST", "/query", &headers, &question()).await;
        assert_eq!(reply.status, 503, "{mood:?}: {}", reply.body);
        assert_eq!(reply.json()["error"]["stage"], "generate", "{mood:?}");
        assert!(reply.head.contains("retry-after: 1"));
        stub.set(Mood::Well);
        assert_eq!(running.ask("POST", "/query", &headers, &question()).await.status, 200, "{mood:?}");
    }
    stub.set(Mood::Failing);
    running.until_ready(503).await;
    stub.set(Mood::Well);
    running.until_ready(200).await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_so_in_the_stream() {
    let stub = Stub::new();
    let running = Running::start(with_llm_at(&start_llm(&stub).await)).await;
    let token = running.log_in("nurse").await;
    stub.set(Mood::BreaksOff);
    let mut body = question();
    body["stream"] = true.into();
    let reply = running.query(&token, &body).await;
    let (events, is_done) = reply.events();
    assert!(!is_done && events.len() == 3, "{}", reply.body);
    assert_eq!(events[2]["error"]["code"], "unavailable");
}

/// A vector store with the routes, statuses and bodies of CyborgDB 0.18.
async fn start_store(stub: &Stub) -> String {
    let create = async |State(stub): State<Stub>, Json(body): Json<Value>| {
        if let Some(wrong) = stub.wrong().await {
            return wrong;
        }
        assert_eq!((body["dimension"].as_u64(), body["index_key"].as_str().unwrap().len()), (Some(384), 64));
        let exists = !stub.stored.lock().unwrap().is_empty();
        if exists {
            (StatusCode::BAD_REQUEST, "exists").into_response()
        } else {
            Json(json!({})).into_response()
        }
    };
    let describe = async || Json(json!({"dimension": 384}));
    let upsert = async |State(stub): State<Stub>, Json(body): Json<Value>| {
        for item in body["items"].as_array().unwrap() {
            let vector: Vec<f32> = serde_json::from_value(item["vector"].clone()).unwrap();
            let role = item["metadata"]["access"].as_str().unwrap().to_owned();
            stub.stored.lock().unwrap().insert(item["id"].as_str().unwrap().to_owned(), (role, vector));
        }
        Json(json!({"status": "success"}))
    };
    let query = async |State(stub): State<Stub>, Json(body): Json<Value>| {
        if let Some(wrong) = stub.wrong().await {
            return wrong;
        }
        let question: Vec<f32> = serde_json::from_value(body["query_vectors"].clone()).unwrap();
        let roles = body["filters"]["access"]["$in"].as_array().unwrap().clone();
        let mut found: Vec<(f32, String)> = stub
            .stored
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, (role, _))| roles.contains(&json!(role)))
            .map(|(id, (_, v))| (1.0 - v.iter().zip(&question).map(|(a, b)| a * b).sum::<f32>(), id.clone()))
            .collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        found.truncate(body["top_k"].as_u64().unwrap() as usize);
        let mut results: Vec<_> = found.iter().map(|(d, id)| json!({"id": id, "distance": d})).collect();
        if *stub.mood.lock().unwrap() == Mood::BreaksOff {
            results.push(json!({"id": "never stored", "distance": 0.1}));
        }
        Json(json!({"results": results})).into_response()
    };
    let health = async |State(stub): State<Stub>| match stub.wrong().await {
        Some(wrong) => wrong,
        None => Json(json!({})).into_response(),
    };
    let router = Router::new()
        .route("/v1/health", get(health))
        .route("/v1/indexes/create", post(create))
        .route("/v1/indexes/describe", post(describe))
        .route("/v1/vectors/upsert", post(upsert))
        .route("/v1/vectors/query", post(query));
    stub.clone().start(router.layer(axum::extract::DefaultBodyLimit::disable())).await
}

fn with_store_at(url: &str, dir: &std::path::Path) -> ServiceOptions {
    ServiceOptions {
        cyborgdb: Some(CyborgDbOptions {
            url: url.to_owned(),
            api_key: Some("root".into()),
            key_file: dir.join("index.key"),
            index: "test".into(),
            timeout: Duration::from_millis(500),
        }),
        timeouts: Timeouts { search: Duration::from_millis(800), ..Timeouts::default() },
        ..quick()
    }
}

#[tokio::test]
async fn a_store_finds_what_the_exact_search_finds() {
    let (stub, dir) = (Stub::new(), tempfile::tempdir().unwrap());
    let stored = Running::start(with_store_at(&start_store(&stub).await, dir.path())).await;
    let exact = Running::start(quick()).await;
    for role in ["nurse", "resident", "admin"] {
        let search = async |running: &Running| {
            let token = running.log_in(role).await;
            let body = json!({"query": "dosing of apixaban when kidneys fail", "k": 10});
            let reply = running.ask("POST", "/v1/search", &[("authorization", &token)], &body).await.json();
            let ids: Vec<_> = reply["results"].as_array().unwrap().iter().map(|r| r["id"].clone()).collect();
            ids
        };
        let found = search(&stored).await;
        assert!(!found.is_empty());
        assert_eq!(found, search(&exact).await, "{role}");
    }
    // A second service opens the index that the first has made.
    let url = stub.clone();
    let again = Running::start(with_store_at(&start_store(&url).await, dir.path())).await;
    assert_eq!(again.query(&again.log_in("nurse").await, &question()).await.status, 200);
}

#[tokio::test]
async fn a_store_that_is_unwell_is_503_and_comes_back_without_a_restart() {
    let (stub, dir) = (Stub::new(), tempfile::tempdir().unwrap());
    stub.set(Mood::Failing);
    let running = Running::start_unready(with_store_at(&start_store(&stub).await, dir.path())).await;
    let token = running.log_in("nurse").await;
    let headers = [("authorization", token.as_str()), ("cache-control", "no-cache")];
    let ask = async || running.ask("POST", "/query", &headers, &question()).await;
    let reply = ask().await;
    assert_eq!((reply.status, reply.error().0.as_str()), (503, "not_ready"));
    assert_eq!(running.ask("GET", "/ready", &[], &Value::Null).await.json()["parts"]["search"], false);
    stub.set(Mood::Well);
    running.until_ready(200).await;
    for (mood, code) in [
        (Mood::Failing, "unavailable"),
        (Mood::Nonsense, "unavailable"),
        (Mood::BreaksOff, "unavailable"),
        (Mood::Hangs, "timeout"),
    ] {
        stub.set(mood);
        let reply = ask().await;
        assert_eq!((reply.status, reply.error().0.as_str()), (503, code), "{mood:?}");
        assert_eq!(reply.json()["error"]["stage"], "search");
        stub.set(Mood::Well);
        assert_eq!(ask().await.status, 200, "{mood:?}");
    }
    stub.set(Mood::Failing);
    running.until_ready(503).await;
    stub.set(Mood::Well);
    running.until_ready(200).await;
}
