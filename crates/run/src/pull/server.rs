//! What is asked of a server, and what its answers mean for a slice of the window.

use std::collections::HashMap;

use assay_model::{Matcher, MetricMetadata, MetricType};
use assay_prom_api::{ApiError, Client, Request, json::time_text};
use serde::Deserialize;

use super::{PullError, remote_read};

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

/// Remote read, if the server says that it has no external labels.
pub(super) async fn protocol(client: &Client) -> Protocol {
    match client.call_once(&Request::new("status/config")).await {
        Some(config) if !String::from_utf8_lossy(&config).contains("external_labels:") => {
            Protocol::RemoteRead
        }
        _ => Protocol::Query,
    }
}

/// What the server knows of metric families; nothing if it does not say.
pub(super) async fn metadata(client: &Client) -> Vec<(String, MetricMetadata)> {
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
    let body = client.call_once(&Request::new("metadata")).await.unwrap_or_default();
    let Ok(Answer { data }) = serde_json::from_slice(&body) else { return Vec::new() };
    let described = |(name, families): (String, Vec<Family>)| {
        let Family { metric_type, help, unit } = families.into_iter().next()?;
        let metric_type = MetricType::ALL.into_iter().find(|t| t.as_str() == metric_type);
        Some((name, MetricMetadata { metric_type: metric_type.unwrap_or_default(), unit, help }))
    };
    data.into_iter().filter_map(described).collect()
}

/// The raw samples in `(from_ms, to_ms]`.
pub(super) async fn samples(
    client: &Client,
    protocol: Protocol,
    selector: &[Matcher],
    from_ms: i64,
    to_ms: i64,
) -> Result<Slice, PullError> {
    let request = match protocol {
        Protocol::RemoteRead => Request::new("read")
            .with_message(remote_read::request(selector, from_ms + 1, to_ms).map_err(PullError::Options)?),
        Protocol::Query => {
            let matchers: Vec<_> = selector.iter().map(ToString::to_string).collect();
            Request::new("query")
                .with("query", format!("{{{}}}[{}ms]", matchers.join(","), to_ms - from_ms))
                .with("time", time_text(to_ms))
        }
    };
    match client.call(&request).await {
        Ok(body) => Ok(Slice::Answer(body)),
        Err(ApiError::TooLarge { what, .. }) => Ok(Slice::TooLarge(what)),
        Err(ApiError::Refused { what, status, .. })
            if protocol == Protocol::RemoteRead && !matches!(status, 401 | 403) =>
        {
            Ok(Slice::Refused(what))
        }
        Err(e) => Err(e.into()),
    }
}
