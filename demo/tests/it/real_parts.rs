//! The real parts: MiniLM by candle, and the CyborgDB service, which these tests start on loopback.
//!
//! `ASSAY_PARTS` names the folder that `cargo xtask parts` makes: `minilm/` (the weights), `reference.json` (vectors of
//! `tests/reference/sentences.txt` by numpy) and `venv/` (Python with CyborgDB).

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use demo::service::{CyborgDbOptions, EmbedderKind, ServiceOptions, Timeouts};
use serde_json::{Value, json};

use crate::client::{Running, quick};

const SENTENCES: &str = include_str!("../reference/sentences.txt");
const QUESTIONS: &str = include_str!("../reference/questions.tsv");

/// The folder of the parts.
fn parts() -> PathBuf {
    std::env::var_os("ASSAY_PARTS").expect("ASSAY_PARTS is set by `cargo xtask parts`").into()
}

fn with_minilm(parts: &Path) -> ServiceOptions {
    ServiceOptions {
        embedder: EmbedderKind::MiniLm(parts.join("minilm")),
        // A busy machine is no failure here.
        timeouts: Timeouts {
            embed: Duration::from_secs(120),
            search: Duration::from_secs(60),
            ..Timeouts::default()
        },
        ..quick()
    }
}

async fn vectors(running: &Running, texts: &[&str]) -> Vec<Vec<f64>> {
    let reply = running.post("/v1/embeddings", &json!({"input": texts})).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let data = reply.json()["data"].as_array().unwrap().clone();
    data.into_iter().map(|d| serde_json::from_value(d["embedding"].clone()).unwrap()).collect()
}

/// A service with MiniLM that is ready: it has embedded all passages, which takes minutes where others are at work.
async fn start(options: ServiceOptions) -> Running {
    let running = Running::start_unready(options).await;
    running.until_ready_within(200, Duration::from_secs(1800)).await;
    running
}

/// A client of others, against the service with its simulated model.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real parts: cargo xtask parts"]
async fn openais_client_understands_the_service() {
    let running = Running::start(quick()).await;
    let client = Command::new(parts().join("venv/bin/python"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/openai_client.py"))
        .arg(format!("http://{}", running.address))
        .status();
    assert!(client.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real parts: cargo xtask parts"]
async fn minilm_and_cyborgdb() {
    let parts = parts();
    let minilm = start(with_minilm(&parts)).await;
    vectors_are_the_references(&minilm, &parts).await;
    finds_what_shares_few_words(&minilm).await;
    let cyborg = Cyborg::start(&parts);
    let both = start(ServiceOptions { cyborgdb: Some(cyborg.options()), ..with_minilm(&parts) }).await;
    finds_the_same(&both, &minilm).await;
    answers_two_hundred_queries(&both).await;
}

async fn vectors_are_the_references(running: &Running, parts: &Path) {
    let reference = std::fs::read_to_string(parts.join("reference.json")).unwrap();
    let reference: Vec<Vec<f64>> = serde_json::from_str(&reference).unwrap();
    let sentences: Vec<&str> = SENTENCES.lines().collect();
    assert_eq!((sentences.len(), reference.len()), (20, 20));
    let mut worst = 0.0f64;
    let together = vectors(running, &sentences).await;
    for (i, sentence) in sentences.iter().enumerate() {
        let alone = vectors(running, &[sentence]).await;
        for vector in [&together[i], &alone[0]] {
            let apart = vector.iter().zip(&reference[i]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart < 1e-4, "{apart} apart: {sentence}");
            worst = worst.max(apart);
        }
    }
    eprintln!("20 sentences, alone and in one batch: {worst:.1e} apart at most");
}

/// How many questions have the right passage first, and those that do not.
async fn found_first(running: &Running) -> (usize, Vec<String>) {
    let token = running.log_in("admin").await;
    let mut missed = Vec::new();
    for line in QUESTIONS.lines() {
        let (question, id) = line.split_once('\t').unwrap();
        let headers = [("authorization", token.as_str())];
        let reply = running.ask("POST", "/v1/search", &headers, &json!({"query": question})).await.json();
        let first = reply["results"][0]["id"].as_str().unwrap_or("nothing").to_owned();
        if first != id {
            missed.push(format!("{id}: found {first}"));
        }
    }
    (QUESTIONS.lines().count() - missed.len(), missed)
}

async fn finds_what_shares_few_words(running: &Running) {
    let (minilm, missed) = found_first(running).await;
    let (hashing, _) = found_first(&Running::start(quick()).await).await;
    eprintln!("right passage first, of 20: MiniLM {minilm}, hashing {hashing}; MiniLM missed {missed:?}");
    assert!(minilm >= 18, "{minilm}: {missed:?}");
    assert!(hashing <= 12, "{hashing}");
}

/// CyborgDB on loopback, with data and locks of its own; ended with the test.
struct Cyborg {
    child: Child,
    url: String,
    dir: tempfile::TempDir,
}

const ROOT_KEY: &str = "a-key-of-this-test";

impl Cyborg {
    fn start(parts: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(parts.join("venv/bin/python"))
            .args(["-m", "uvicorn", "cyborgdb_service.app:app", "--host", "127.0.0.1", "--port", &port])
            .current_dir(dir.path())
            .env("HOME", dir.path())
            .env("TMPDIR", dir.path())
            .env("CYBORGDB_DISK_PATH", dir.path().join("data"))
            .env("PORT", &port)
            .env("CYBORGDB_SERVICE_ROOT_KEY", ROOT_KEY)
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        Self { child, url: format!("http://127.0.0.1:{port}"), dir }
    }

    fn options(&self) -> CyborgDbOptions {
        CyborgDbOptions {
            url: self.url.clone(),
            api_key: Some(ROOT_KEY.to_owned()),
            key_file: self.dir.path().join("index.key"),
            index: "assay".to_owned(),
            timeout: Duration::from_secs(30),
        }
    }
}

impl Drop for Cyborg {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PACK: &str = include_str!("../../../loadgen/scenarios/clinical-rag/questions.txt");

/// The store and the exact search give the same passages to every role.
async fn finds_the_same(stored: &Running, exact: &Running) {
    for role in ["nurse", "resident", "admin"] {
        let (token, same) = (stored.log_in(role).await, exact.log_in(role).await);
        for question in PACK.lines().take(8) {
            let body = json!({"query": question, "k": 10});
            let found = stored.ask("POST", "/v1/search", &[("authorization", &token)], &body).await.json();
            let in_process = exact.ask("POST", "/v1/search", &[("authorization", &same)], &body).await.json();
            let ids = |reply: &Value| -> Vec<Value> {
                reply["results"].as_array().unwrap().iter().map(|r| r["id"].clone()).collect()
            };
            assert!(!ids(&found).is_empty());
            assert_eq!(ids(&found), ids(&in_process), "{role}: {question}");
        }
    }
}

async fn answers_two_hundred_queries(running: &Running) {
    let token = running.log_in("resident").await;
    let headers = [("authorization", token.as_str()), ("cache-control", "no-cache")];
    for (i, question) in PACK.lines().cycle().take(200).enumerate() {
        let body = json!({"question": question, "patient_id": format!("P-{:04}", i % 20 + 1)});
        let reply = running.ask("POST", "/query", &headers, &body).await;
        assert_eq!((reply.status, &reply.json()["grounded"]), (200, &json!(true)), "{}", reply.body);
    }
    assert_eq!(running.metric(r#"rag_queries_total{outcome="ok", role="resident"}"#).await, 200.0);
    for stage in ["auth", "embed", "search", "prompt", "generate"] {
        let of = async |part: &str| {
            running.metric(&format!("rag_stage_duration_seconds_{part}{{stage=\"{stage}\"}}")).await
        };
        eprintln!("{stage}: {:.2} ms on average", of("sum").await / of("count").await * 1000.0);
    }
}
