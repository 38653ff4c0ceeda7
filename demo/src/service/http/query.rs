//! `POST /query` and `POST /v1/search`.
//!
//! Invariant: the client is known and has the right before the body is read.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::{
    Shared,
    answer::{Run, RunKind},
    body,
    error::{ApiError, text},
};
use crate::service::{
    cache::{CacheResult, Cached, Key},
    failure::Failure,
    metrics::{Outcome, Trace},
    pipeline::Question,
    role::Right,
};

#[derive(Deserialize)]
struct Query {
    question: String,
    patient_id: String,
    #[serde(default)]
    k: Option<usize>,
    #[serde(default)]
    stream: bool,
}

const EXAMPLE: &str = r#"{"question": "…", "patient_id": "P-0001", "k": 5, "stream": false}"#;

/// Longer ones are refused: a question is a sentence or two.
const LONGEST_QUESTION_BYTES: usize = 8192;

/// How many passages one may ask for.
const K: std::ops::RangeInclusive<usize> = 5..=10;

const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

pub(super) async fn query(
    State(shared): State<Arc<Shared>>,
    Extension(trace): Extension<Trace>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let start = Instant::now();
    let caller = shared.authorize(&headers, Right::Ask, &trace)?;
    let query: Query = body::json(&shared, body, EXAMPLE).await?;
    check_question(&query.question)?;
    let k = check_k(query.k, shared.options.top_k)?;
    let Some(patient) = shared.patients.get(query.patient_id.trim()) else {
        let message = "no such patient; ids are P-0001 to P-0020";
        return Err(ApiError::new(StatusCode::NOT_FOUND, "unknown_patient", message));
    };
    let wants_stream =
        query.stream || text(&headers, "accept").is_some_and(|a| a.contains("text/event-stream"));
    let key =
        Key { role: caller.role, patient: patient.id.clone(), question: query.question.trim().to_owned(), k };
    let (result, cached) = look_up(&shared, &headers, &key);
    shared.pipeline.metrics.cache(result);
    let under_way = shared.begin(&caller).inspect_err(|_| {
        shared.pipeline.metrics.query(caller.role, Outcome::Rejected);
    })?;
    // From here on a client that leaves is counted.
    let kind = RunKind::Query { cache_as: (result == CacheResult::Miss).then(|| key.clone()) };
    let mut run = Run::new(&shared, Some(caller.role), kind, trace.clone(), Some(under_way));
    let mut response = match cached {
        Some(cached) => {
            if let Some(time) = shared.pipeline.draw().api {
                sleep_until(start + time).await;
            }
            run.cached(&cached, wants_stream)
        }
        None => {
            let question = Question { role: caller.role, text: &key.question, patient, k, trace: &trace };
            match shared.pipeline.ask(&question).await {
                Ok(answer) if wants_stream => run.stream(answer),
                Ok(answer) => run.whole(answer).await?,
                Err(failure) => {
                    run.fail(&failure);
                    return Err(failure.into());
                }
            }
        }
    };
    response.headers_mut().insert(X_CACHE, HeaderValue::from_static(result.as_str()));
    Ok(response)
}

fn look_up(shared: &Shared, headers: &HeaderMap, key: &Key) -> (CacheResult, Option<Cached>) {
    let wants_fresh = text(headers, "cache-control")
        .is_some_and(|c| c.split(',').any(|d| matches!(d.trim(), "no-cache" | "no-store")));
    if wants_fresh || shared.pipeline.faults.cache_is_off() {
        return (CacheResult::Bypass, None);
    }
    match shared.cache.get(key) {
        Some(cached) => (CacheResult::Hit, Some(cached)),
        None => (CacheResult::Miss, None),
    }
}

fn check_question(question: &str) -> Result<(), ApiError> {
    let problem = if question.trim().is_empty() {
        "question is empty: ask something"
    } else if question.len() > LONGEST_QUESTION_BYTES {
        "question is longer than 8192 bytes: ask something shorter"
    } else {
        return Ok(());
    };
    Err(ApiError::bad_request("invalid_question", problem))
}

fn check_k(k: Option<usize>, default: usize) -> Result<usize, ApiError> {
    match k {
        Some(k) if !K.contains(&k) => {
            let message = format!("k is {k}: ask for {} to {} passages", K.start(), K.end());
            Err(ApiError::bad_request("invalid_k", message))
        }
        k => Ok(k.unwrap_or(default)),
    }
}

#[derive(Deserialize)]
struct SearchRequest {
    query: String,
    #[serde(default)]
    k: Option<usize>,
}

const SEARCH_EXAMPLE: &str = r#"{"query": "…", "k": 5}"#;

/// The passages nearest to a text. The profile's time of a search covers the whole call.
pub(super) async fn search(
    State(shared): State<Arc<Shared>>,
    Extension(trace): Extension<Trace>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let caller = shared.authorize(&headers, Right::Ask, &trace)?;
    let request: SearchRequest = body::json(&shared, body, SEARCH_EXAMPLE).await?;
    check_question(&request.query)?;
    let k = check_k(request.k, shared.options.top_k)?;
    let _under_way = shared.begin(&caller)?;
    let pipeline = &shared.pipeline;
    let start = Instant::now();
    let mut vectors = pipeline.embed(vec![request.query], None, &trace).await?;
    let drawn = pipeline.draw().search.map(|time| time.saturating_sub(start.elapsed()));
    let nothing = || Failure::NotReady { waits_for: "embed".to_owned() };
    let vector = vectors.pop().ok_or_else(nothing)?;
    let hits = pipeline.search(vector, caller.role, k, drawn, &trace).await?;
    let results: Vec<_> = hits
        .iter()
        .filter_map(|hit| {
            let passage = pipeline.parts.passages.get(hit.passage)?;
            Some(json!({
                "id": passage.id,
                "title": passage.title,
                "score": hit.score,
                "text": passage.text,
            }))
        })
        .collect();
    Ok(Json(json!({"object": "list", "results": results})).into_response())
}
