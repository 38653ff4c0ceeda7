//! A client of CyborgDB's REST API: an encrypted index, created and filled at start, asked for the nearest passages.
//!
//! Invariant: only idempotent calls are repeated (all but `create` are), and the role is a filter of the query, so that
//! the store never hands out what the role may not read.

use std::{collections::HashMap, fs, io, path::Path, path::PathBuf, time::Duration};

use rand::Rng as _;
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Hit, SearchError};
use crate::service::{
    corpus::Passage,
    embed::{DIMENSIONS, Vector},
    role::Role,
};

/// Where CyborgDB is, and how to get in.
#[derive(Clone, Debug)]
pub struct CyborgDbOptions {
    /// Its base URL.
    pub url: String,
    /// The service's root key, when it has one.
    pub api_key: Option<String>,
    /// The file with the index' key, 64 hexadecimal digits; it is made when there is none.
    pub key_file: PathBuf,
    /// The index' name; the embedding model's name is appended, since vectors of two models do not mix.
    pub index: String,
    /// How long a request may take.
    pub timeout: Duration,
}

/// A connection pool to one index.
pub(crate) struct CyborgDb {
    client: Client,
    url: String,
    api_key: Option<String>,
    index: String,
    index_key: String,
    /// The place of each passage, once filled.
    places: std::sync::OnceLock<HashMap<String, usize>>,
}

/// How often an idempotent call is repeated, and how long it waits before.
const RETRIES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];

/// The longest answer: the nearest of a question and their distances.
const MOST_BYTES: usize = 4 << 20;

/// Passages sent at once.
const UPSERT_BATCH: usize = 250;

#[derive(Deserialize)]
struct QueryAnswer {
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    id: String,
    distance: f32,
}

/// Why one call failed.
struct CallError {
    status: Option<StatusCode>,
    text: String,
}

impl From<CallError> for SearchError {
    fn from(error: CallError) -> Self {
        Self(error.text)
    }
}

impl CyborgDb {
    /// A client; nothing is sent yet.
    pub(crate) fn connect(options: &CyborgDbOptions) -> Result<Self, SearchError> {
        let client = crate::client_builder().timeout(options.timeout).build();
        let file = options.key_file.display();
        Ok(Self {
            client: client.map_err(|cause| SearchError(cause.to_string()))?,
            url: options.url.trim_end_matches('/').to_owned(),
            api_key: options.api_key.clone(),
            index: options.index.clone(),
            index_key: index_key(&options.key_file)
                .map_err(|cause| SearchError(format!("{file}: {cause}")))?,
            places: std::sync::OnceLock::new(),
        })
    }

    /// Creates the index or opens it, and puts all passages into it.
    pub(crate) async fn fill(&self, passages: &[Passage], vectors: &[Vector]) -> Result<(), SearchError> {
        self.create_or_open().await?;
        for (passages, vectors) in passages.chunks(UPSERT_BATCH).zip(vectors.chunks(UPSERT_BATCH)) {
            let items: Vec<Value> = passages
                .iter()
                .zip(vectors)
                .map(|(passage, vector)| {
                    json!({
                        "id": passage.id,
                        "vector": &vector[..],
                        "metadata": {"access": passage.access.as_str()},
                    })
                })
                .collect();
            self.repeated("/v1/vectors/upsert", &self.body(json!({"items": items}))).await?;
        }
        let places = passages.iter().enumerate().map(|(at, p)| (p.id.clone(), at)).collect();
        // A second fill puts the same passages at the same places.
        let _ = self.places.set(places);
        Ok(())
    }

    async fn create_or_open(&self) -> Result<(), SearchError> {
        let create = self.body(json!({"dimension": DIMENSIONS, "metric": "cosine"}));
        match self.call("/v1/indexes/create", &create).await {
            Ok(_) => Ok(()),
            // An index that exists is answered with 400, not with the documented 409.
            Err(CallError { status: Some(StatusCode::BAD_REQUEST | StatusCode::CONFLICT), .. }) => {
                let found = self.repeated("/v1/indexes/describe", &self.body(json!({}))).await?;
                if found["dimension"] == DIMENSIONS {
                    return Ok(());
                }
                let problem = format!(
                    "CyborgDB: index {:?} has dimension {}, expected {DIMENSIONS}; give another name",
                    self.index, found["dimension"]
                );
                Err(SearchError(problem))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The `k` nearest passages that `role` may read.
    pub(crate) async fn nearest(
        &self,
        question: &Vector,
        role: Role,
        k: usize,
    ) -> Result<Vec<Hit>, SearchError> {
        let readable: Vec<_> = role.reads().map(Role::as_str).collect();
        let body = self.body(json!({
            "query_vectors": &question[..],
            "top_k": k,
            "include": ["distance"],
            "filters": {"access": {"$in": readable}},
        }));
        let answer = self.repeated("/v1/vectors/query", &body).await?;
        let nonsense = |what: &str| SearchError(format!("CyborgDB returned {what}"));
        let answer: QueryAnswer =
            serde_json::from_value(answer).map_err(|_| nonsense("a result of an unknown form"))?;
        let places = self.places.get().ok_or_else(|| nonsense("nothing: the index is not filled yet"))?;
        let hits = answer.results.iter().map(|found| {
            let passage = places.get(&found.id).ok_or_else(|| nonsense("a passage that was never stored"))?;
            Ok(Hit { passage: *passage, score: 1.0 - found.distance })
        });
        hits.collect()
    }

    /// Whether the service answers.
    pub(crate) async fn probe(&self) -> Result<(), SearchError> {
        let request = self.client.get(format!("{}/v1/health", self.url));
        let reply = request.send().await.map_err(|cause| away(&cause))?;
        match reply.status() {
            status if status.is_success() => Ok(()),
            status => Err(SearchError(format!("CyborgDB returned {status}"))),
        }
    }

    /// `part` with the index' name and key.
    fn body(&self, mut part: Value) -> Value {
        part["index_name"] = json!(self.index);
        part["index_key"] = json!(self.index_key);
        part
    }

    /// An idempotent call, repeated when the service is away or fails.
    async fn repeated(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        for pause in RETRIES {
            match self.call(path, body).await {
                Err(CallError { status, .. }) if status.is_none_or(|s| s.is_server_error()) => {
                    tokio::time::sleep(pause).await;
                }
                done => return done,
            }
        }
        self.call(path, body).await
    }

    async fn call(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        let mut request = self.client.post(format!("{}{path}", self.url)).json(body);
        if let Some(key) = &self.api_key {
            request = request.header("x-api-key", key);
        }
        let unreachable = |cause: reqwest::Error| CallError { status: None, text: away(&cause).0 };
        let mut reply = request.send().await.map_err(unreachable)?;
        let status = reply.status();
        let mut bytes = Vec::new();
        while let Some(part) = reply.chunk().await.map_err(unreachable)? {
            bytes.extend_from_slice(&part);
            if bytes.len() > MOST_BYTES {
                let text = format!("CyborgDB returned over {MOST_BYTES} bytes for {path}");
                return Err(CallError { status: Some(status), text });
            }
        }
        if !status.is_success() {
            // The body is not repeated: it may quote the request, keys among it.
            return Err(CallError {
                status: Some(status),
                text: format!("CyborgDB returned {status} for {path}"),
            });
        }
        serde_json::from_slice(&bytes).map_err(|_| CallError {
            status: Some(status),
            text: format!("CyborgDB returned something other than JSON for {path}"),
        })
    }
}

/// What is wrong with the connection, without the URL, which may hold credentials.
fn away(cause: &reqwest::Error) -> SearchError {
    let what = if cause.is_timeout() { "did not answer in time" } else { "cannot be reached" };
    SearchError(format!("CyborgDB {what}"))
}

/// The key in the file, or a new one that is then kept there.
fn index_key(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let key = text.trim();
            if key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Ok(key.to_owned());
            }
            Err(io::Error::other("expected 64 hexadecimal digits"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = [0u8; 32];
            rand::rng().fill_bytes(&mut bytes);
            let key: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            write_private(path, &key)?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}

/// Writes a file that only its owner can read, where the system knows of owners.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_key_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.key");
        let key = index_key(&path).unwrap();
        assert_eq!((key.len(), index_key(&path).unwrap()), (64, key));
        fs::write(&path, "too short").unwrap();
        assert_eq!(index_key(&path).unwrap_err().to_string(), "expected 64 hexadecimal digits");
    }
}
