//! `http_server_config` and `rate_limit`.

use std::time::Duration;

use assay_yaml::{Cx, Node};
use axum::http::{HeaderName, HeaderValue};

/// What `http_server_config` says.
#[derive(Debug)]
pub(super) struct Http {
    pub(super) http2: bool,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Default for Http {
    fn default() -> Self {
        Self { http2: true, headers: Vec::new() }
    }
}

/// A bucket of `burst` requests, filled by one each `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RateLimit {
    pub(crate) interval: Duration,
    pub(crate) burst: u32,
}

/// The headers that the format knows.
const HEADERS: [&str; 5] = [
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
];

/// Headers of which the format knows the values too.
const VALUES: [(&str, &[&str]); 2] =
    [("X-Content-Type-Options", &["nosniff"]), ("X-Frame-Options", &["deny", "sameorigin"])];

pub(super) fn read(cx: &mut Cx<'_>, node: &Node) -> Http {
    let mut http = Http::default();
    let Some(mut map) = cx.map(node, "http_server_config") else { return http };
    if let Some(node) = map.get("http2") {
        http.http2 = cx.boolean(node).unwrap_or(true);
    }
    if let Some(mut map) = map.get("headers").and_then(|node| cx.map(node, "headers")) {
        for name in HEADERS {
            let Some(node) = map.get(name) else { continue };
            let Some(text) = cx.string(node) else { continue };
            let known = VALUES.iter().find(|(header, _)| *header == name).map(|(_, values)| *values);
            if let Some(values) =
                known.filter(|v| !text.is_empty() && !v.contains(&text.to_lowercase().as_str()))
            {
                cx.error(node, format!("{name} may be {}, not \"{text}\"", values.join(" or ")));
                continue;
            }
            match (HeaderName::try_from(name), HeaderValue::try_from(&text)) {
                (Ok(_), Ok(_)) if text.is_empty() => {}
                (Ok(name), Ok(value)) => http.headers.push((name, value)),
                _ => cx.error(node, format!("\"{text}\" cannot be a header's value")),
            }
        }
        map.finish(cx);
    }
    map.finish(cx);
    http
}

pub(super) fn rate_limit(cx: &mut Cx<'_>, node: &Node) -> Option<RateLimit> {
    let mut map = cx.map(node, "rate_limit")?;
    let mut interval = Duration::ZERO;
    if let Some(node) = map.get("interval") {
        let text = cx.string(node)?;
        match assay_model::duration::parse_ms(&text).ok().and_then(|ms| u64::try_from(ms).ok()) {
            Some(ms) => interval = Duration::from_millis(ms),
            None if text == "0" => {}
            None => cx.error(node, format!("\"{text}\" is not a duration such as 100ms")),
        }
    }
    let mut burst = 0;
    if let Some(node) = map.get("burst") {
        let text = cx.string(node)?;
        match text.parse() {
            Ok(n) => burst = n,
            Err(_) => cx.error(node, format!("\"{text}\" is not a number of requests")),
        }
    }
    map.finish(cx);
    // No interval is no limit.
    (!interval.is_zero()).then_some(RateLimit { interval, burst })
}
