//! Requests to a server, tried again where a failure may pass.
//!
//! Invariant: no message has a credential in it, and an answer is bounded.

use std::collections::HashMap;

use assay_model::{Matcher, MetricMetadata, MetricType};
use reqwest::{Client, RequestBuilder, StatusCode, Url, header};
use serde::Deserialize;

use super::{PullError, PullOptions, remote_read};
use crate::{
    recorder::{Auth, http},
    time::to_rfc3339,
};

/// An answer larger than this is asked for in two.
const LARGE_ANSWER: usize = 256 << 20;

/// A server that is asked.
pub(super) struct Server<'o> {
    client: Client,
    /// Ends in `/api/v1/`.
    api: Url,
    shown: String,
    auth: Auth,
    options: &'o PullOptions,
}

/// How to ask for samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    RemoteRead,
    Query,
}

/// What a server says of a slice of the window.
pub(super) enum Slice {
    /// The samples, as the protocol writes them.
    Answer(Vec<u8>),
    /// There are more than it gives at once.
    TooLarge(String),
    /// It does not have the protocol.
    Refused(String),
}

/// What came of one attempt.
enum Attempt {
    Done(Slice),
    /// Worth another try.
    Passing(String),
    Final(String),
}

impl<'o> Server<'o> {
    pub(super) fn new(options: &'o PullOptions) -> Result<Self, PullError> {
        if options.end_ms < options.start_ms {
            let (start, end) = (to_rfc3339(options.start_ms), to_rfc3339(options.end_ms));
            return Err(PullError::Options(format!("the end, {end}, is before the start, {start}")));
        }
        let bad = |what: String| {
            PullError::Options(format!("{:?}: {what}; write for example http://127.0.0.1:9090", options.url))
        };
        let mut url = Url::parse(&options.url).map_err(|e| bad(e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad("is not the address of a server".into()));
        }
        let mut auth = options.auth.clone();
        if !url.username().is_empty() && auth == Auth::None {
            auth = Auth::Basic(url.username().to_owned(), url.password().unwrap_or("").to_owned());
        }
        // An address with a host takes both.
        let _ = (url.set_username(""), url.set_password(None));
        let shown = url.to_string().trim_end_matches('/').to_owned();
        url.set_path(&format!("{}/api/v1/", url.path().trim_end_matches('/')));
        let client = http::client().map_err(PullError::Options)?;
        Ok(Self { client, api: url, shown, auth, options })
    }

    /// The address without credentials.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn error(&self, what: String) -> PullError {
        PullError::Server { url: self.shown.clone(), what }
    }

    /// Remote read, where the server says that it has no external labels.
    pub(super) async fn protocol(&self) -> Protocol {
        match self.get("status/config").await {
            Ok(config) if !String::from_utf8_lossy(&config).contains("external_labels:") => {
                Protocol::RemoteRead
            }
            _ => Protocol::Query,
        }
    }

    /// What the server knows of metric families: nothing where it does not say.
    pub(super) async fn metadata(&self) -> Vec<(String, MetricMetadata)> {
        #[derive(Deserialize)]
        struct Answer {
            data: HashMap<String, Vec<Family>>,
        }
        #[derive(Deserialize)]
        struct Family {
            #[serde(rename = "type")]
            metric_type: String,
            help: String,
            unit: String,
        }
        let body = self.get("metadata").await.unwrap_or_default();
        let Ok(Answer { data }) = serde_json::from_slice(&body) else { return Vec::new() };
        let described = |(name, families): (String, Vec<Family>)| {
            let Family { metric_type, help, unit } = families.into_iter().next()?;
            let metric_type = MetricType::ALL.into_iter().find(|t| t.as_str() == metric_type);
            Some((name, MetricMetadata { metric_type: metric_type.unwrap_or_default(), unit, help }))
        };
        data.into_iter().filter_map(described).collect()
    }

    /// One attempt at something that can be done without.
    async fn get(&self, path: &str) -> Result<Vec<u8>, ()> {
        let url = self.api.join(path).map_err(|_| ())?;
        match self.attempt(self.client.get(url), Protocol::Query).await {
            Attempt::Done(Slice::Answer(body)) => Ok(body),
            _ => Err(()),
        }
    }

    /// The raw samples in `(from_ms, to_ms]`, tried until it works or cannot.
    pub(super) async fn samples(
        &self,
        protocol: Protocol,
        selector: &[Matcher],
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Slice, PullError> {
        let mut pause = self.options.pause;
        for attempt in 1.. {
            let request = match protocol {
                Protocol::RemoteRead => self.remote_read(selector, from_ms, to_ms),
                Protocol::Query => self.query(selector, from_ms, to_ms),
            };
            match self.attempt(request?, protocol).await {
                Attempt::Done(slice) => return Ok(slice),
                Attempt::Final(what) => return Err(self.error(what)),
                Attempt::Passing(what) if attempt >= self.options.attempts => {
                    return Err(self.error(format!("{what}; given up after {attempt} attempts")));
                }
                Attempt::Passing(what) => {
                    tracing::warn!(url = self.shown, attempt, "{what}; trying again in {pause:?}");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
            }
        }
        Err(self.error("no attempt was made".into()))
    }

    fn query(&self, selector: &[Matcher], from_ms: i64, to_ms: i64) -> Result<RequestBuilder, PullError> {
        let matchers: Vec<_> = selector.iter().map(ToString::to_string).collect();
        let mut url = self.api.join("query").map_err(|e| self.error(e.to_string()))?;
        url.query_pairs_mut()
            .append_pair("query", &format!("{{{}}}[{}ms]", matchers.join(","), to_ms - from_ms))
            .append_pair("time", &format!("{}.{:03}", to_ms.div_euclid(1000), to_ms.rem_euclid(1000)));
        Ok(self.client.get(url))
    }

    fn remote_read(
        &self,
        selector: &[Matcher],
        from_ms: i64,
        to_ms: i64,
    ) -> Result<RequestBuilder, PullError> {
        let url = self.api.join("read").map_err(|e| self.error(e.to_string()))?;
        let body = remote_read::request(selector, from_ms + 1, to_ms).map_err(|e| self.error(e))?;
        let request = self.client.post(url).body(body);
        Ok(request
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::CONTENT_ENCODING, "snappy")
            .header("X-Prometheus-Remote-Read-Version", "0.1.0"))
    }

    async fn attempt(&self, request: RequestBuilder, protocol: Protocol) -> Attempt {
        let mut request = self.auth.apply(request).timeout(self.options.timeout);
        for (name, value) in &self.options.headers {
            request = request.header(name, value);
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(e) if e.is_builder() => return Attempt::Final(format!("not a request: {e}")),
            Err(e) => return Attempt::Passing(http::whole(&e)),
        };
        let status = response.status();
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(part)) => body.extend_from_slice(&part),
                Ok(None) => break,
                Err(e) => return Attempt::Passing(http::whole(&e)),
            }
            if body.len() > LARGE_ANSWER {
                return Attempt::Done(Slice::TooLarge(format!("the answer is over {LARGE_ANSWER} bytes")));
            }
        }
        if status.is_success() {
            return Attempt::Done(Slice::Answer(body));
        }
        judge(status, &error_text(&body), protocol)
    }
}

/// What an answer that is an error means for the slice.
fn judge(status: StatusCode, error: &str, protocol: Protocol) -> Attempt {
    let what =
        if error.is_empty() { format!("the answer is {status}") } else { format!("{status}: {error}") };
    let too_large = ["too many samples", "sample limit", "timed out", "maxSamplesPerQuery", "memory"];
    match status.as_u16() {
        400 | 422 | 503 if too_large.iter().any(|t| error.contains(t)) => {
            Attempt::Done(Slice::TooLarge(what))
        }
        401 | 403 => Attempt::Final(format!("{what}; give a bearer token, or a user and a password")),
        408 | 429 | 500 | 502..=599 => Attempt::Passing(what),
        _ if protocol == Protocol::RemoteRead => Attempt::Done(Slice::Refused(what)),
        404 => Attempt::Final(format!("{what}; is this the address of a Prometheus, with its path prefix?")),
        _ => Attempt::Final(what),
    }
}

/// The message in an error of the API, or the start of whatever text the body is.
fn error_text(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct ApiError {
        error: String,
    }
    match serde_json::from_slice::<ApiError>(body) {
        Ok(ApiError { error }) => error,
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(200)]).trim().to_owned(),
    }
}
