//! One scrape over HTTP.
//!
//! Invariant: a body is read to its end or refused; its size is bounded.

use std::time::Duration;

use assay_model::expo::{Format, Scrape, read_scrape};
use reqwest::{Client, RequestBuilder, header};

use super::target::{Auth, Target};

/// More than any exposition that one would want to scrape once a second.
const MOST_BYTES: usize = 256 << 20;

/// What Prometheus sends where native histograms are on.
const ACCEPT: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
    encoding=delimited;escaping=allow-utf-8;q=0.7,\
    application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,\
    text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/// A client that needs no set-up by the program.
pub(crate) fn client() -> Result<Client, String> {
    // A program that chose a provider keeps it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .build()
        .map_err(|e| e.to_string())
}

impl Auth {
    pub(crate) fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Bearer(token) => request.bearer_auth(token),
            Self::Basic(user, password) => request.basic_auth(user, Some(password)),
        }
    }
}

/// Scrapes once.
///
/// # Errors
/// The reason in words, without the address.
pub(super) async fn fetch(client: &Client, target: &Target) -> Result<Scrape, String> {
    let request = client
        .get(target.url.clone())
        .timeout(target.timeout)
        .header(header::ACCEPT, ACCEPT)
        .header("X-Prometheus-Scrape-Timeout-Seconds", target.timeout.as_secs_f64().to_string());
    let mut response = target.auth.apply(request).send().await.map_err(|e| whole(&e))?;
    if !response.status().is_success() {
        return Err(format!("the answer is {}", response.status()));
    }
    let content_type = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .map_or(String::new(), str::to_owned);
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|e| whole(&e))? {
        if body.len() + part.len() > MOST_BYTES {
            return Err(format!("the answer is longer than {MOST_BYTES} bytes"));
        }
        body.extend_from_slice(&part);
    }
    let format = Format::from_content_type(&content_type).unwrap_or_default();
    read_scrape(format, &body).map_err(|errors| match errors.0.first() {
        Some(first) => format!("the answer ({content_type}) is not an exposition: {first}"),
        None => errors.to_string(),
    })
}

/// An error with its causes, the address left out.
pub(crate) fn whole(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    let what = match error {
        e if e.is_timeout() => "timed out",
        e if e.is_connect() => "cannot connect",
        e if e.is_decode() || e.is_body() => "the answer cannot be read",
        _ => "the request failed",
    };
    let mut innermost = error.source();
    while let Some(next) = innermost.and_then(|e| e.source()) {
        innermost = Some(next);
    }
    innermost.map_or(what.to_owned(), |cause| format!("{what}: {cause}"))
}
