//! OTLP over HTTP with protobuf. Invariant: the statuses that are tried again are those that the OTLP
//! specification (1.7, "Retryable Response Codes") names, and a wait that the receiver asks for is kept. Of a response no
//! more is read than it can need, and headers go to the receiver that was named and to no other.

use std::{
    io::Write as _,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use reqwest::{
    Client, Response, StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use url::Url;

use super::{settings::Settings, transport::Problem};
use crate::{
    client::{
        origin::Origin,
        protocol::Version,
        tls::{self, TlsFiles},
    },
    sink::SinkError,
};

/// The most that is read of a response: rejections and an error's text are far shorter.
const MOST_BYTES: usize = 64 << 10;

pub(super) struct Http {
    client: Client,
    url: Url,
    gzip: bool,
}

impl Http {
    pub(super) fn new(settings: &Settings) -> Result<Self, SinkError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        for (name, value) in &settings.headers {
            let name = HeaderName::try_from(name).map_err(SinkError::new)?;
            let mut value = HeaderValue::try_from(value).map_err(SinkError::new)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        if settings.gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let files =
            TlsFiles { ca: settings.ca.clone(), client: settings.client.clone(), ..TlsFiles::default() };
        let tls =
            tls::config(&files, Version::Http1, settings.url.scheme() == "https").map_err(SinkError::new)?;
        let mut builder = Client::builder()
            .tls_backend_preconfigured((*tls).clone())
            .user_agent(concat!("assay-loadgen/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(redirect::Policy::none());
        // Nobody's proxy can reach this machine's own addresses.
        if Origin::of(&settings.url).is_ok_and(|origin| origin.is_loopback()) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(SinkError::new)?;
        Ok(Self { client, url: settings.url.clone(), gzip: settings.gzip })
    }

    /// Posts a message and gives the answer's body.
    pub(super) async fn send(&self, message: Bytes, within: Duration) -> Result<Bytes, Problem> {
        let body = if self.gzip { packed(&message)? } else { message };
        let request = self.client.post(self.url.clone()).timeout(within).body(body);
        let passing = |e: &reqwest::Error| Problem::Passing { what: cause(e), wait: None };
        let response = request.send().await.map_err(|e| passing(&e))?;
        if response.status().is_success() {
            // The message was taken; an answer that is cut off does not change that.
            return Ok(start_of_body(response).await);
        }
        Err(refusal(response).await)
    }
}

fn packed(message: &[u8]) -> Result<Bytes, Problem> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(message).and_then(|()| encoder.finish());
    packed.map(Bytes::from).map_err(|e| Problem::Final(e.to_string()))
}

async fn refusal(response: Response) -> Problem {
    let status = response.status();
    let wait = response.headers().get(header::RETRY_AFTER).and_then(|v| retry_after(v, SystemTime::now()));
    if status.is_redirection() {
        return Problem::Final(format!(
            "{status}; redirects are not followed, name the address they lead to"
        ));
    }
    let body = start_of_body(response).await;
    let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
    let what = format!("{status} {}", text.trim());
    let is_passing = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    if is_passing { Problem::Passing { what, wait } } else { Problem::Final(what) }
}

/// As much of a body as came, was whole and is needed.
async fn start_of_body(mut response: Response) -> Bytes {
    let mut body = Vec::new();
    while body.len() < MOST_BYTES
        && let Ok(Some(part)) = response.chunk().await
    {
        body.extend_from_slice(&part);
    }
    body.truncate(MOST_BYTES);
    body.into()
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// The innermost cause, which says what happened.
fn cause(e: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = e;
    while let Some(inner) = source.source() {
        source = inner;
    }
    source.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        let check = |text: &'static str, want: Option<u64>| {
            let got = retry_after(&HeaderValue::from_static(text), now);
            assert_eq!(got, want.map(Duration::from_secs), "{text}");
        };
        check("7", Some(7));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(7));
        check("Sun, 06 Nov 1994 08:40:37 GMT", Some(0));
        check("soon", None);
        check("-1", None);
    }
}
