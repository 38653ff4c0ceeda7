//! `--push`: the metrics sent by Prometheus remote write 1.0, for hosts that cannot be scraped.
//!
//! Source: "Prometheus Remote-Write 1.0 specification". Invariant: requests are sent in order, each until the server takes
//! it or refuses it for good; what waits is bounded, and the oldest goes first. A series that ends gets a stale marker, as
//! a scrape would give it.

mod message;

use std::{
    collections::{HashSet, VecDeque},
    future::Future,
    net::IpAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use assay_model::{
    Labels, METRIC_NAME,
    expo::{Format, MetricFamily, ScrapeValue, read_scrape},
};
use reqwest::{Client, Response, StatusCode, Url, header, redirect::Policy};
use tokio::time::{MissedTickBehavior, interval, timeout};

use self::message::{Metadata, Sample, TimeSeries, WriteRequest};
use crate::{Exporter, Selection};

/// Scrapes that wait for a server that does not answer.
const MOST_WAITING: usize = 240;

/// The longest that a server may take to answer.
const ANSWER: Duration = Duration::from_secs(30);

/// The value of a sample that ends a series (`StaleNaN` of Prometheus).
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Where to send, how often, and as whom.
#[derive(Clone, Debug)]
pub struct PushOptions {
    url: Url,
    interval: Duration,
    /// Sorted by name; `job` and `instance` among them.
    labels: Vec<(String, String)>,
}

/// A request that waits.
struct Request {
    body: Vec<u8>,
    samples: u64,
}

impl PushOptions {
    /// Labels are set on every sample that lacks them; `job` is `exporter` and `instance` this host's name unless given.
    ///
    /// # Errors
    /// Where the address is none of HTTP.
    pub fn new(url: &str, interval: Duration, mut labels: Vec<(String, String)>) -> Result<Self, String> {
        let parsed = Url::parse(url).map_err(|cause| format!("\"{url}\" is not a URL: {cause}"))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(format!("\"{url}\" is not an http:// or https:// URL"));
        }
        for (name, value) in [("job", "exporter".to_owned()), ("instance", assay_platform::host_name::get())]
        {
            if !labels.iter().any(|(n, _)| n == name) {
                labels.push((name.to_owned(), value));
            }
        }
        labels.sort();
        Ok(Self { url: parsed, interval, labels })
    }
}

/// Gathers and sends until `shutdown` completes.
pub async fn push(exporter: Arc<Exporter>, options: PushOptions, shutdown: impl Future<Output = ()>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = match client(&options.url) {
        Ok(client) => client,
        Err(cause) => return tracing::error!("--push does not work: {cause}"),
    };
    let mut shutdown = pin!(shutdown);
    let mut ticks = interval(options.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut waiting, mut known) = (VecDeque::new(), HashSet::new());
    let mut is_failing = false;
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            _ = ticks.tick() => {}
        }
        let (gatherer, time_s) = (Arc::clone(&exporter), options.interval);
        let gathered = tokio::task::spawn_blocking(move || {
            gatherer.gather_selected(&Selection::All, Some(std::time::Instant::now() + time_s))
        });
        if let Ok(families) = gathered.await {
            waiting.push_back(request(&families, &options.labels, &mut known));
        }
        while waiting.len() > MOST_WAITING {
            waiting.pop_front();
            tracing::error!("--push: the server did not take a scrape in time; it is lost");
        }
        // The next scrape is not missed for a server that is slow.
        let sending = send_all(&client, &options.url, &mut waiting, &exporter, &mut is_failing);
        tokio::select! {
            () = &mut shutdown => return,
            _ = timeout(options.interval.max(Duration::from_secs(1)), sending) => {}
        }
    }
}

/// A client that is never sent through a proxy to this machine itself, and sends to nobody else than was named: a
/// redirect is a failure.
fn client(server: &Url) -> reqwest::Result<Client> {
    let host = server.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let builder = Client::builder().timeout(ANSWER).redirect(Policy::none());
    if is_loopback { builder.no_proxy() } else { builder }.build()
}

async fn send_all(
    client: &Client,
    url: &Url,
    waiting: &mut VecDeque<Request>,
    exporter: &Exporter,
    is_failing: &mut bool,
) {
    while let Some(request) = waiting.front() {
        match send(client, url, request).await {
            Ok(()) => {
                exporter.own().pushed(Ok(request.samples));
                if std::mem::take(is_failing) {
                    tracing::info!("--push works again");
                }
                waiting.pop_front();
            }
            Err((problem, is_final)) => {
                exporter.own().pushed(Err(()));
                if !std::mem::replace(is_failing, true) {
                    tracing::error!("--push: {problem}");
                }
                if !is_final {
                    return;
                }
                waiting.pop_front();
            }
        }
    }
}

/// Whether an error is final: the server will never take this request.
async fn send(client: &Client, url: &Url, request: &Request) -> Result<(), (String, bool)> {
    let response = client
        .post(url.clone())
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .header(header::CONTENT_ENCODING, "snappy")
        .header("X-Prometheus-Remote-Write-Version", "0.1.0")
        .body(request.body.clone())
        .send()
        .await
        .map_err(|cause| (format!("{cause}"), false))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let text = first_line(response).await;
    let is_final = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
    Err((format!("the server returned {status}: {text}"), is_final))
}

/// The start of what a server says, as far as its first line and a few hundred bytes go.
async fn first_line(mut response: Response) -> String {
    const MOST_BYTES: usize = 512;
    let mut start = Vec::new();
    while start.len() < MOST_BYTES
        && let Ok(Some(part)) = response.chunk().await
    {
        start.extend_from_slice(&part[..part.len().min(MOST_BYTES - start.len())]);
    }
    String::from_utf8_lossy(&start).lines().next().unwrap_or_default().to_owned()
}

/// All samples as one request, with stale markers for the series of `known` that are gone.
fn request(families: &[MetricFamily], extra: &[(String, String)], known: &mut HashSet<Labels>) -> Request {
    let t_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
    let mut timeseries = Vec::new();
    let mut now = HashSet::new();
    let mut add = |labels: &Labels, value: f64, now: &mut HashSet<Labels>| {
        let mut builder = labels.to_builder();
        for (name, value) in extra {
            if labels.get(name).is_none() {
                builder.set(name, value);
            }
        }
        let labels = builder.build();
        timeseries.push(TimeSeries::new(&labels, Sample { value, timestamp: t_ms }));
        now.insert(labels);
    };
    // What Prometheus would store of a scrape: buckets, sums and counts as series of their own.
    let body = Format::Text.encode(families);
    for sample in read_scrape(Format::Text, &body).map(|scrape| scrape.samples).unwrap_or_default() {
        if let ScrapeValue::Float(value) = sample.value {
            add(&sample.labels, value, &mut now);
        }
    }
    add(&Labels::from_pairs([(METRIC_NAME, "up")]), 1.0, &mut now);
    let samples = now.len() as u64;
    for gone in known.difference(&now) {
        timeseries.push(TimeSeries::new(gone, Sample { value: STALE, timestamp: t_ms }));
    }
    *known = now;
    let metadata = families.iter().map(Metadata::of).collect();
    Request { body: WriteRequest { timeseries, metadata }.compressed(), samples }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::Families;

    #[test]
    fn a_series_that_ends_gets_a_stale_marker() {
        let extra = [("instance".to_owned(), "h".to_owned()), ("job".to_owned(), "exporter".to_owned())];
        let mut known = HashSet::new();
        let mut send = |names: &[&str]| {
            let mut out = Families::new();
            for name in names {
                out.counter(name, "Help.", &[("job", "own")], 2.0);
            }
            let request = request(&out.finish(), &extra, &mut known);
            let bytes = snap::raw::Decoder::new().decompress_vec(&request.body).unwrap();
            (message::WriteRequest::decode(bytes.as_slice()).unwrap(), request.samples)
        };
        let (first, n) = send(&["a_total", "b_total"]);
        assert_eq!((first.timeseries.len(), first.metadata.len(), n), (3, 2, 3));
        let text = format!("{:?}", first.timeseries[0]);
        let wanted = "[Label { name: \"__name__\", value: \"a_total\" }, Label { name: \"instance\", value: \"h\" }, \
                      Label { name: \"job\", value: \"own\" }]";
        assert!(text.contains(wanted), "{text}");
        let (second, n) = send(&["a_total"]);
        assert_eq!((second.timeseries.len(), n), (3, 2));
        let stale = format!("{:?}", second.timeseries[2]);
        assert!(stale.contains("\"b_total\"") && stale.contains("NaN"), "{stale}");
    }
}
