//! Requests to a server, tried again where a failure may pass.
//!
//! Invariant: a call ends within its total time, and its answer is complete.

use std::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use percent_encoding::percent_decode_str;
use reqwest::{RequestBuilder, Response, StatusCode, Url, header};
use serde::Deserialize;

use crate::{ApiError, Auth, http};

/// How to ask a server.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The server, such as `http://127.0.0.1:9090`, with its path prefix if it has one. A user and a password in it
    /// are taken for [`Auth::Basic`].
    pub url: String,
    /// How to log in.
    pub auth: Auth,
    /// Further headers, such as `X-Scope-OrgID`.
    pub headers: Vec<(String, String)>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long all attempts at one request may take together, the pauses between them included.
    pub total: Duration,
    /// How often a request is tried that fails for a reason which may pass.
    pub attempts: u32,
    /// The pause before the second attempt; each further one is twice as long.
    pub pause: Duration,
    /// The longest answer, in bytes.
    pub max_bytes: usize,
}

impl ClientOptions {
    /// The options for a server that wants no login.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            auth: Auth::None,
            headers: Vec::new(),
            timeout: Duration::from_secs(120),
            total: Duration::from_secs(600),
            attempts: 6,
            pause: Duration::from_millis(500),
            max_bytes: 64 << 20,
        }
    }
}

/// A request, which can be sent several times.
#[derive(Clone, Debug)]
pub struct Request {
    path: String,
    parameters: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    /// A request to a path below `/api/v1/`, such as `query`.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), parameters: Vec::new(), body: None }
    }

    /// The request with a parameter more. Parameters are posted as a form, since an expression can be longer than
    /// an address may be.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parameters.push((name.to_owned(), value.into()));
        self
    }

    /// The request with a message of remote read as its body, packed with snappy.
    #[must_use]
    pub fn with_message(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }
}

/// A client of one server.
pub struct Client {
    http: reqwest::Client,
    /// Ends in `/api/v1/`.
    api: Url,
    shown: String,
    options: ClientOptions,
    /// Whether the server takes forms; one that answers 405 to them is asked by address.
    takes_forms: AtomicBool,
}

/// What came of one attempt.
enum Attempt {
    Done(Vec<u8>),
    /// Worth another try.
    Passing(String),
    Final(ApiError),
    /// The server does not take forms.
    NoForms,
}

impl Client {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// If the address is not that of a server.
    pub fn new(mut options: ClientOptions) -> Result<Self, ApiError> {
        let bad = |what: String| ApiError::Address { url: options.url.clone(), what };
        let mut url = Url::parse(&options.url).map_err(|e| bad(e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad("is not the address of a server".into()));
        }
        if !url.username().is_empty() && options.auth == Auth::None {
            let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
            options.auth = Auth::Basic(decoded(url.username()), decoded(url.password().unwrap_or_default()));
        }
        // An address with a host takes both.
        let _ = (url.set_username(""), url.set_password(None));
        let shown = url.to_string().trim_end_matches('/').to_owned();
        url.set_path(&format!("{}/api/v1/", url.path().trim_end_matches('/')));
        let http = http::client(&url).map_err(ApiError::Setup)?;
        Ok(Self { http, api: url, shown, options, takes_forms: AtomicBool::new(true) })
    }

    /// The address without credentials.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The body of a successful answer, after as many attempts as it takes.
    ///
    /// # Errors
    /// If the server refuses, has too much to say, or cannot be reached within the attempts and the total time.
    pub async fn call(&self, request: &Request) -> Result<Vec<u8>, ApiError> {
        let deadline = Instant::now() + self.options.total;
        let mut pause = self.options.pause;
        let mut attempt = 1;
        loop {
            let what = match self.attempt(request, deadline).await {
                Attempt::Done(body) => return Ok(body),
                Attempt::Final(error) => return Err(error),
                Attempt::NoForms => {
                    self.takes_forms.store(false, Ordering::Relaxed);
                    continue;
                }
                Attempt::Passing(what) => what,
            };
            if attempt >= self.options.attempts || Instant::now() + pause >= deadline {
                return Err(ApiError::Unavailable {
                    url: self.shown.clone(),
                    what: given_up(&what, attempt),
                });
            }
            tracing::warn!(url = self.shown, attempt, "{what}; trying again in {pause:?}");
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    /// One attempt at something that can be done without.
    pub async fn call_once(&self, request: &Request) -> Option<Vec<u8>> {
        match self.attempt(request, Instant::now() + self.options.total).await {
            Attempt::Done(body) => Some(body),
            _ => None,
        }
    }

    fn build(&self, request: &Request) -> Result<RequestBuilder, String> {
        let mut url = self.api.join(&request.path).map_err(|e| e.to_string())?;
        if let Some(body) = &request.body {
            return Ok(self
                .http
                .post(url)
                .body(body.clone())
                .header(header::CONTENT_TYPE, "application/x-protobuf")
                .header(header::CONTENT_ENCODING, "snappy")
                .header("X-Prometheus-Remote-Read-Version", "0.1.0"));
        }
        if request.parameters.is_empty() {
            return Ok(self.http.get(url));
        }
        if !self.takes_forms.load(Ordering::Relaxed) {
            url.query_pairs_mut().extend_pairs(&request.parameters);
            return Ok(self.http.get(url));
        }
        let form =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&request.parameters).finish();
        let kind = "application/x-www-form-urlencoded";
        Ok(self.http.post(url).header(header::CONTENT_TYPE, kind).body(form))
    }

    async fn attempt(&self, request: &Request, deadline: Instant) -> Attempt {
        let refused =
            |what: String| Attempt::Final(ApiError::Refused { url: self.shown.clone(), status: 0, what });
        let built = match self.build(request) {
            Ok(built) => built,
            Err(what) => return refused(what),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let mut built = self.options.auth.apply(built).timeout(self.options.timeout.min(left));
        for (name, value) in &self.options.headers {
            built = built.header(name, value);
        }
        let mut response = match built.send().await {
            Ok(response) => response,
            Err(e) if e.is_builder() => return refused(format!("not a request: {e}")),
            Err(e) => return Attempt::Passing(http::describe(&e)),
        };
        let status = response.status();
        if status.is_redirection() {
            return refused(self.redirected(&response));
        }
        let body = match self.body(&mut response).await {
            Ok(body) => body,
            Err(attempt) => return attempt,
        };
        if status.is_success() {
            return Attempt::Done(body);
        }
        let is_form = request.body.is_none() && !request.parameters.is_empty();
        if is_form && matches!(status.as_u16(), 405 | 501) && self.takes_forms.load(Ordering::Relaxed) {
            return Attempt::NoForms;
        }
        self.judge(status, &error_text(&body))
    }

    async fn body(&self, response: &mut Response) -> Result<Vec<u8>, Attempt> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(part)) => body.extend_from_slice(&part),
                Ok(None) => return Ok(body),
                Err(e) => return Err(Attempt::Passing(http::describe(&e))),
            }
            if body.len() > self.options.max_bytes {
                let what = format!("the answer is over {} bytes", self.options.max_bytes);
                return Err(Attempt::Final(ApiError::TooLarge { url: self.shown.clone(), what }));
            }
        }
    }

    /// What to say of a redirect that was not followed. Of its address no more than the server is shown: the rest may hold
    /// credentials.
    fn redirected(&self, response: &Response) -> String {
        let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
        let to = to.and_then(|to| response.url().join(to).ok()).map(|to| to.origin().ascii_serialization());
        let status = response.status();
        match to {
            Some(to) => format!("the server returned {status}, a redirect to {to}; give that address"),
            None => format!("the server returned {status}"),
        }
    }

    /// What an answer that is an error means.
    fn judge(&self, status: StatusCode, said: &str) -> Attempt {
        const TOO_LARGE: [&str; 5] =
            ["too many samples", "sample limit", "timed out", "maxSamplesPerQuery", "memory"];
        let url = self.shown.clone();
        let what = match said {
            "" => format!("the server returned {status}"),
            said => format!("the server returned {status}: {said}"),
        };
        let refused =
            |what| Attempt::Final(ApiError::Refused { url: url.clone(), status: status.as_u16(), what });
        match status.as_u16() {
            400 | 422 | 503 if TOO_LARGE.iter().any(|t| said.contains(t)) => {
                Attempt::Final(ApiError::TooLarge { url, what })
            }
            401 | 403 => refused(format!("{what}; give a bearer token, or a user and a password")),
            408 | 429 | 500 | 502..=599 => Attempt::Passing(what),
            404 => refused(format!("{what}; is this the address of a Prometheus, with its path prefix?")),
            _ => refused(what),
        }
    }
}

fn given_up(what: &str, attempts: u32) -> String {
    match attempts {
        1 => what.to_owned(),
        n => format!("{what}; gave up after {n} attempts"),
    }
}

/// The message in an error of the API, or the start of the text that the body is.
fn error_text(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        error: String,
    }
    let said = match serde_json::from_slice::<Said>(body) {
        Ok(Said { error }) => error,
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(200)]).trim().to_owned(),
    };
    assay_text::Clean(said).to_string()
}

/// A client for callers that wait. Calls run on a thread of their own, because the caller may be inside a runtime.
pub struct Blocking {
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Blocking {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn new(options: ClientOptions) -> Result<Self, ApiError> {
        let client = Client::new(options)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| ApiError::Setup(e.to_string()))?;
        Ok(Self { client, runtime })
    }

    /// The client behind it.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for work that uses the client.
    ///
    /// # Errors
    /// If the work panics.
    pub fn wait<T: Send>(&self, work: impl Future<Output = T> + Send) -> Result<T, ApiError> {
        std::thread::scope(|scope| {
            let working = scope.spawn(|| self.runtime.block_on(work));
            working
                .join()
                .map_err(|_| ApiError::Setup("the thread that waited for an answer panicked".into()))
        })
    }

    /// As [`Client::call`].
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn call(&self, request: &Request) -> Result<Vec<u8>, ApiError> {
        self.wait(self.client.call(request))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_must_be_one() {
        for bad in ["prometheus:9090", "ftp://a", "not an address"] {
            let error = Client::new(ClientOptions::new(bad)).err().expect(bad).to_string();
            assert!(error.contains("write for example http://127.0.0.1:9090"), "{error}");
        }
        let client = Client::new(ClientOptions::new("http://me:s%40crt@h/prefix/")).expect("an address");
        assert_eq!((client.shown(), client.api.as_str()), ("http://h/prefix", "http://h/prefix/api/v1/"));
        assert_eq!(client.options.auth, Auth::Basic("me".into(), "s@crt".into()));
    }
}
