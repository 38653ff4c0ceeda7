//! What a user sees who does everything right.

use demo::service::ServiceOptions;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::client::{Running, question, quick, with_llm};

#[tokio::test]
async fn a_user_logs_in_and_asks() {
    let running = Running::start(quick()).await;
    assert_eq!(running.ask("GET", "/health", &[], &Value::Null).await.json()["status"], "ok");
    let login = json!({"username": "resident", "password": "demo"});
    let session = running.ask("POST", "/login", &[], &login).await.json();
    assert_eq!((&session["role"], &session["expires_in"]), (&json!("resident"), &json!(3600)));
    assert_eq!(session["rights"], json!(["ask", "use-models"]));

    let token = format!("Bearer {}", session["access_token"].as_str().unwrap());
    let reply = running.query(&token, &question()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let reply = reply.json();
    let (answer, sources) = (reply["answer"].as_str().unwrap(), reply["sources"].as_array().unwrap());
    assert_eq!((sources.len(), &reply["grounded"]), (5, &json!(true)));
    for source in sources {
        let id = source["id"].as_str().unwrap();
        assert!(answer.contains(&format!("[{id}]")), "{id} is not in: {answer}");
    }
    assert!(sources.iter().any(|s| s["id"] == "heart-failure:observe"), "{sources:?}");
    let usage = &reply["usage"];
    let tokens = |key: &str| usage[key].as_u64().unwrap();
    assert!(tokens("prompt_tokens") > 100);
    assert_eq!(tokens("total_tokens"), tokens("prompt_tokens") + tokens("completion_tokens"));

    running.stop.send(()).unwrap();
    running.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says() {
    let running = Running::start(quick()).await;
    let token = running.log_in("admin").await;
    let mut body = question();
    body["stream"] = true.into();
    for (headers, body) in [
        (vec![("authorization", token.as_str()), ("cache-control", "no-cache")], &body),
        (
            vec![
                ("authorization", token.as_str()),
                ("accept", "text/event-stream"),
                ("cache-control", "no-cache"),
            ],
            &question(),
        ),
    ] {
        let reply = running.ask("POST", "/query", &headers, body).await;
        let (chunks, is_done) = reply.events();
        assert!(is_done && reply.head.contains("x-cache: bypass"), "{}", reply.head);
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
    assert_eq!(running.metric(r#"rag_queries_total{outcome="ok", role="admin"}"#).await, 2.0);
    assert_eq!(running.metric(r#"rag_cache_requests_total{result="bypass"}"#).await, 2.0);
    let streams = r#"http_server_request_duration_seconds_count{http_request_method="POST", http_response_status_code="200", http_route="/query"}"#;
    assert_eq!(running.metric(streams).await, 2.0);
}

#[tokio::test]
async fn an_answer_is_cached_for_the_same_role_and_patient() {
    let running = Running::start(quick()).await;
    let (nurse, resident) = (running.log_in("nurse").await, running.log_in("resident").await);
    let ask = async |token: &str, body: &Value, expected: &str| {
        let reply = running.query(token, body).await;
        assert!(reply.head.contains(&format!("x-cache: {expected}")), "{expected}: {}", reply.head);
        reply.body
    };
    let first: Value = serde_json::from_str(&ask(&nurse, &question(), "miss").await).unwrap();
    let second: Value = serde_json::from_str(&ask(&nurse, &question(), "hit").await).unwrap();
    for key in ["answer", "sources", "usage"] {
        assert_eq!(first[key], second[key]);
    }
    ask(&resident, &question(), "miss").await;
    let mut other = question();
    other["patient_id"] = "P-0001".into();
    ask(&nurse, &other, "miss").await;
    let mut streamed = question();
    streamed["stream"] = true.into();
    let reply = running.query(&nurse, &streamed).await;
    let (chunks, is_done) = reply.events();
    assert!(is_done && chunks[0]["choices"][0]["delta"]["content"] == first["answer"]);
    running.plant(&["cache-off"]).await;
    ask(&nurse, &question(), "bypass").await;
    for (result, count) in [("hit", 2.0), ("miss", 3.0), ("bypass", 1.0)] {
        let series = format!("rag_cache_requests_total{{result=\"{result}\"}}");
        assert_eq!(running.metric(&series).await, count, "{result}");
    }
}

#[tokio::test]
async fn a_question_about_nothing_known_is_said_to_be_so() {
    let running = Running::start(quick()).await;
    let token = running.log_in("resident").await;
    let body = json!({"question": "zxqv wkjh qqqq", "patient_id": "P-0001"});
    let reply = running.query(&token, &body).await.json();
    assert_eq!(reply["answer"], "No passage that you may read answers this question.");
    assert_eq!((&reply["grounded"], &reply["sources"]), (&json!(false), &json!([])));
    assert_eq!(running.metric(r#"rag_stage_duration_seconds_count{stage="generate"}"#).await, 0.0);
}

#[tokio::test]
async fn everything_is_on_record_at_zero_and_then_counts() {
    let running = Running::start(quick()).await;
    let stage = |stage: &str| format!("rag_stage_duration_seconds_count{{stage=\"{stage}\"}}");
    for name in ["auth", "embed", "search", "prompt", "generate"] {
        assert_eq!(running.metric(&stage(name)).await, 0.0);
    }
    for role in ["nurse", "resident", "admin"] {
        for outcome in ["ok", "error", "rejected", "cancelled"] {
            let series = format!("rag_queries_total{{outcome=\"{outcome}\", role=\"{role}\"}}");
            assert_eq!(running.metric(&series).await, 0.0);
        }
    }
    let labels = r#"{gen_ai_operation_name="chat", gen_ai_provider_name="assay", gen_ai_request_model="assay-queueing-model"}"#;
    let mut durations = ["request_duration", "time_to_first_token", "time_per_output_token"]
        .map(|n| format!("gen_ai_server_{n}_seconds_count{labels}"))
        .to_vec();
    durations.push(
        r#"db_client_operation_duration_seconds_count{db_collection_name="clinical-passages", db_operation_name="query", db_system_name="in-process"}"#.into(),
    );
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
    assert_eq!(running.metric("rag_passages").await, 504.0);
    assert_eq!(running.metric(r#"rag_part_ready{stage="search"}"#).await, 1.0);
    assert!(running.metric("process_resident_memory_bytes").await > 0.0);
}

#[tokio::test]
async fn tokens_arrive_one_by_one() {
    let llm = demo::service::LlmOptions {
        per_token: std::time::Duration::from_millis(50),
        ..demo::service::LlmOptions::default()
    };
    let running = Running::start(with_llm(llm)).await;
    let token = running.log_in("resident").await;
    let mut body = question();
    body["stream"] = true.into();
    let stream = running.send("POST", "/query", &[("authorization", &token)], &body.to_string()).await;
    let mut lines = BufReader::new(stream).lines();
    let mut tokens = 0;
    // The first tokens are read while the model still writes.
    while tokens < 3 {
        let line = lines.next_line().await.unwrap().unwrap();
        tokens += usize::from(line.contains("\"content\""));
    }
    assert_eq!(running.metric("rag_llm_active").await, 1.0);
}

#[tokio::test]
async fn classic_buckets_are_shown_when_asked_for() {
    let running = Running::start(ServiceOptions { classic_buckets: true, ..quick() }).await;
    let bucket = r#"rag_stage_duration_seconds_bucket{le="0.25", stage="embed"}"#;
    assert_eq!(running.metric(bucket).await, 0.0);
    let token = running.log_in("nurse").await;
    running.query(&token, &question()).await;
    assert_eq!(running.metric(r#"rag_stage_duration_seconds_bucket{le="+Inf", stage="embed"}"#).await, 1.0);
}

/// A profile's delays are what the stages take, to the millisecond of a timer at least.
#[tokio::test]
async fn a_profiles_delays_are_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("profile.yml");
    std::fs::write(&file, "profile: fixed\nstages: {embed: 40ms, search: 30ms, total: 200ms, api: 20ms}\n")
        .unwrap();
    let profile = demo::service::Profile::load(file.to_str().unwrap()).unwrap();
    let running = Running::start(ServiceOptions { profile, ..quick() }).await;
    let token = running.log_in("nurse").await;
    running.query(&token, &question()).await;
    for (stage, least_s) in [("auth", 0.02), ("embed", 0.04), ("search", 0.03), ("generate", 0.13)] {
        let sum = running.metric(&format!("rag_stage_duration_seconds_sum{{stage=\"{stage}\"}}")).await;
        assert!(sum >= least_s, "{stage}: {sum}");
    }
}

/// The pack's load is about generation, so that every question of it must find something for every role.
#[tokio::test]
async fn every_question_of_the_pack_finds_passages() {
    let running = Running::start(quick()).await;
    let questions = include_str!("../../../loadgen/scenarios/clinical-rag/questions.txt");
    assert!(questions.lines().count() >= 12);
    for role in ["nurse", "resident", "admin"] {
        let token = running.log_in(role).await;
        for question in questions.lines() {
            let body = json!({"query": question});
            let found = running.ask("POST", "/v1/search", &[("authorization", &token)], &body).await.json();
            assert!(!found["results"].as_array().unwrap().is_empty(), "{role}: {question}");
        }
    }
}
