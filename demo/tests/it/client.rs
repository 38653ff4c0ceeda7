//! A service under test, and a client that shows every byte.

use std::time::{Duration, Instant};

use assay_model::expo::{Format, ScrapeValue, read_scrape};
use demo::service::{LlmOptions, Profile, ServiceOptions, serve};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

/// A service whose model answers at once.
pub(crate) fn quick() -> ServiceOptions {
    with_llm(LlmOptions {
        per_token: Duration::from_micros(100),
        prefill_per_token: Duration::ZERO,
        ..LlmOptions::default()
    })
}

pub(crate) fn with_llm(llm: LlmOptions) -> ServiceOptions {
    let profile = Profile { llm, ..Profile::undelayed() };
    ServiceOptions { profile: profile.into(), ..ServiceOptions::default() }
}

/// A model that does not come to an end within a test.
pub(crate) fn endless(slots: usize, max_queue: usize) -> ServiceOptions {
    with_llm(LlmOptions { slots, max_queue, per_token: Duration::from_secs(3600), ..LlmOptions::default() })
}

/// After this a test that waits has failed; only a defect makes one wait so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Running {
    pub(crate) address: String,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) server: tokio::task::JoinHandle<std::io::Result<()>>,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// The error's code and message.
    pub(crate) fn error(&self) -> (String, String) {
        let error = &self.json()["error"];
        let text = |key: &str| error[key].as_str().unwrap_or_else(|| panic!("no {key}: {error}")).to_owned();
        assert!(!text("type").is_empty());
        (text("code"), text("message"))
    }

    /// The events of a stream as JSON, and whether it ended with `[DONE]`.
    pub(crate) fn events(&self) -> (Vec<Value>, bool) {
        assert!(self.head.contains("content-type: text/event-stream"), "{}", self.head);
        let mut data: Vec<&str> = self.body.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        let is_done = data.last() == Some(&"[DONE]");
        if is_done {
            data.pop();
        }
        (data.iter().map(|event| serde_json::from_str(event).unwrap()).collect(), is_done)
    }
}

impl Running {
    /// Starts a service and waits until it is ready.
    pub(crate) async fn start(options: ServiceOptions) -> Self {
        let running = Self::start_unready(options).await;
        running.until_ready(200).await;
        running
    }

    pub(crate) async fn start_unready(options: ServiceOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listener, options, async {
            let _ = stopped.await;
        }));
        Self { address, stop, server }
    }

    /// Waits until `/ready` has the status.
    pub(crate) async fn until_ready(&self, status: u16) {
        self.until_ready_within(status, PATIENCE).await;
    }

    pub(crate) async fn until_ready_within(&self, status: u16, patience: Duration) {
        let start = Instant::now();
        while self.ask("GET", "/ready", &[], &Value::Null).await.status != status {
            assert!(start.elapsed() < patience, "/ready never was {status}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends a request and leaves its response unread.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let headers: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask_raw(method, path, headers, &body).await
    }

    pub(crate) async fn ask_raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        read(self.send(method, path, headers, body).await).await
    }

    pub(crate) async fn log_in(&self, user: &str) -> String {
        let reply = self.ask("POST", "/login", &[], &json!({"username": user, "password": "demo"})).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        format!("Bearer {}", reply.json()["access_token"].as_str().unwrap())
    }

    pub(crate) async fn query(&self, token: &str, body: &Value) -> Reply {
        self.ask("POST", "/query", &[("authorization", token)], body).await
    }

    /// A POST with the key.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask("POST", path, &[("authorization", "Bearer demo")], body).await
    }

    /// The value of a series, of a histogram its count.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let body = self.ask("GET", "/metrics", &[("accept", "text/plain")], &Value::Null).await.body;
        let scrape = read_scrape(Format::Text, body.as_bytes()).unwrap();
        let found = scrape.samples.iter().find(|s| s.labels.to_string() == series);
        match found.map(|s| &s.value) {
            Some(ScrapeValue::Float(value)) => *value,
            other => panic!("{series}: {other:?} in\n{body}"),
        }
    }

    /// Waits until a series has a value.
    pub(crate) async fn until(&self, series: &str, want: f64) {
        let start = Instant::now();
        while self.metric(series).await != want {
            assert!(start.elapsed() < PATIENCE, "{series} never was {want}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until a service that restarts is back and does not know the token.
    pub(crate) async fn until_forgotten(&self, token: &str) {
        let start = Instant::now();
        // The connection may break at any point of the restart.
        let asked = async || {
            let mut stream = TcpStream::connect(&self.address).await.ok()?;
            let request = format!(
                "GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {token}\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut reply = String::new();
            stream.read_to_string(&mut reply).await.ok()?;
            reply.contains("unknown_token").then_some(())
        };
        while asked().await.is_none() {
            assert!(start.elapsed() < PATIENCE, "the token is still known");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.until_ready(200).await;
    }

    pub(crate) async fn plant(&self, faults: &[&str]) {
        let admin = self.log_in("admin").await;
        let body = json!({"faults": faults});
        let reply = self.ask("POST", "/admin/fault", &[("authorization", &admin)], &body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
}

/// Reads a response to its end.
pub(crate) async fn read(mut stream: TcpStream) -> Reply {
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {reply}"));
    let head = head.to_lowercase();
    let body = if head.contains("transfer-encoding: chunked") { unchunk(body) } else { body.to_owned() };
    Reply { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head, body }
}

fn unchunk(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        out.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    out
}

/// A question that every role finds passages for.
pub(crate) fn question() -> Value {
    json!({"question": "Observations in heart failure: when is the patient weighed?", "patient_id": "P-0007"})
}
