//! One scrape over HTTP.
//!
//! Invariant: a body is read to its end or refused; its size is bounded.

use assay_model::expo::{Format, Scrape, read_scrape};
use assay_prom_api::http::describe;
use reqwest::{Client, header};

use super::target::Target;

/// More than any exposition that one would want to scrape once a second.
const MOST_BYTES: usize = 256 << 20;

/// What Prometheus sends where native histograms are on.
const ACCEPT: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
    encoding=delimited;escaping=allow-utf-8;q=0.7,\
    application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
    application/openmetrics-text;version=0.0.1;q=0.5,\
    text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

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
    let mut response = target.auth.apply(request).send().await.map_err(|e| describe(&e))?;
    if !response.status().is_success() {
        return Err(format!("the server returned {}", response.status()));
    }
    let content_type = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .map_or(String::new(), str::to_owned);
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|e| describe(&e))? {
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
