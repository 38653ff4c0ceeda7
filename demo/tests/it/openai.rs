//! The routes that OpenAI's clients and LLM benchmarks call.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::client::{Running, quick};

fn chat(extra: &Value) -> Value {
    let mut body = json!({
        "model": "whatever",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello there"}]}],
        "temperature": 0.7,
        "stop": null,
    });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn models_are_listed_with_the_language_model_first() {
    let running = Running::start(quick()).await;
    let reply =
        running.ask("GET", "/v1/models", &[("authorization", "Bearer demo")], &Value::Null).await.json();
    let ids: Vec<_> = reply["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["assay-queueing-model", "assay-feature-hashing"]);
}

#[tokio::test]
async fn a_chat_is_as_long_as_asked_and_counts_its_tokens() {
    let running = Running::start(quick()).await;
    // What guidellm sends.
    let body = chat(&json!({"max_completion_tokens": 40, "ignore_eos": true}));
    let reply = running.post("/v1/chat/completions", &body).await.json();
    assert_eq!(
        (&reply["object"], &reply["choices"][0]["finish_reason"]),
        (&json!("chat.completion"), &json!("length"))
    );
    assert_eq!(reply["usage"], json!({"prompt_tokens": 2, "completion_tokens": 40, "total_tokens": 42}));
    assert!(!reply["choices"][0]["message"]["content"].as_str().unwrap().is_empty());
    let reply = running.post("/v1/chat/completions", &chat(&json!({}))).await.json();
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
    let tokens = reply["usage"]["completion_tokens"].as_u64().unwrap();
    assert!((80..=120).contains(&tokens), "{tokens}");
}

#[tokio::test]
async fn a_streamed_chat_ends_with_its_usage() {
    let running = Running::start(quick()).await;
    let asked = json!({"stream": true, "max_tokens": 7, "stream_options": {"include_usage": true}});
    let reply = running.post("/v1/chat/completions", &chat(&asked)).await;
    let (chunks, is_done) = reply.events();
    assert!(is_done && chunks.len() == 9, "{}", reply.body);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(chunks.iter().all(|c| c["object"] == "chat.completion.chunk" && c["id"] == chunks[0]["id"]));
    assert_eq!(chunks[7]["choices"][0]["finish_reason"], "length");
    assert_eq!((&chunks[8]["choices"], &chunks[8]["usage"]["completion_tokens"]), (&json!([]), &json!(7)));
    // Without the wish there is no chunk without a choice, which some clients trip over.
    let reply = running.post("/v1/chat/completions", &chat(&json!({"stream": true, "max_tokens": 7}))).await;
    let (chunks, _) = reply.events();
    assert_eq!(chunks.len(), 8);
    assert_eq!(chunks[7]["usage"]["completion_tokens"], 7);
}

#[tokio::test]
async fn embeddings_are_the_same_in_both_encodings() {
    let running = Running::start(quick()).await;
    let input = json!(["serum potassium", "heart failure"]);
    let floats = running.post("/v1/embeddings", &json!({"input": input, "model": "x"})).await.json();
    let base64 =
        running.post("/v1/embeddings", &json!({"input": input, "encoding_format": "base64"})).await.json();
    assert_eq!(floats["usage"], json!({"prompt_tokens": 4, "total_tokens": 4}));
    for i in 0..2 {
        assert_eq!(floats["data"][i]["index"], i);
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(base64["data"][i]["embedding"].as_str().unwrap())
            .unwrap();
        let decoded: Vec<f32> =
            decoded.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let plain: Vec<f32> = serde_json::from_value(floats["data"][i]["embedding"].clone()).unwrap();
        assert_eq!((decoded.len(), &decoded), (384, &plain));
    }
}

#[tokio::test]
async fn what_is_impossible_is_refused() {
    let running = Running::start(quick()).await;
    for (path, body, code) in [
        ("/v1/chat/completions", json!({"messages": []}), "invalid_messages"),
        ("/v1/chat/completions", chat(&json!({"n": 2})), "invalid_n"),
        ("/v1/chat/completions", chat(&json!({"max_tokens": 0})), "invalid_max_tokens"),
        ("/v1/chat/completions", chat(&json!({"max_tokens": 1_000_000})), "invalid_max_tokens"),
        ("/v1/chat/completions", json!({"prompt": "x"}), "malformed_body"),
        ("/v1/embeddings", json!({"input": []}), "invalid_input"),
        ("/v1/embeddings", json!({"input": [""]}), "invalid_input"),
        ("/v1/embeddings", json!({"input": [1, 2]}), "malformed_body"),
        ("/v1/embeddings", json!({"input": "x", "encoding_format": "hex"}), "malformed_body"),
        ("/v1/search", json!({"query": "x", "k": 4}), "invalid_k"),
    ] {
        let reply = running.post(path, &body).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (400, code), "{path} {body}");
    }
}
