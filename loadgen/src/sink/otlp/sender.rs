//! Sends messages in order, each again until it is taken. Invariant: a message is given up only where the
//! receiver refuses it for good, or the time to flush after the run is over.

use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode, header};
use url::Url;

use super::Queue;

/// How long one export may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long what still waits may take to go out after the run.
const FLUSH: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Sends until the queue is over and empty.
pub(super) fn run(url: &Url, queue: &Queue) {
    // A second installation is refused, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let client = Client::builder().timeout(TIMEOUT).build();
    let (runtime, client) = match (runtime, client) {
        (Ok(runtime), Ok(client)) => (runtime, client),
        (runtime, client) => {
            tracing::error!("OTLP: cannot start: {:?} {:?}", runtime.err(), client.err());
            while queue.next().is_some() {
                queue.fail(1);
            }
            return;
        }
    };
    let mut flush_until = None;
    while let Some(message) = queue.next() {
        let sent = runtime.block_on(send(&client, url, &message, queue, &mut flush_until));
        if !sent {
            queue.fail(1);
        }
    }
}

/// Sends one message; false where it is given up.
async fn send(
    client: &Client,
    url: &Url,
    message: &[u8],
    queue: &Queue,
    flush_until: &mut Option<Instant>,
) -> bool {
    let mut pause = FIRST_PAUSE;
    let mut has_warned = false;
    loop {
        let problem = match post(client, url, message).await {
            Ok(()) => return true,
            Err(Problem::Final(what)) => {
                tracing::error!("OTLP: {url} refuses the metrics: {what}");
                return false;
            }
            Err(Problem::Passing(what)) => what,
        };
        if !has_warned {
            has_warned = true;
            tracing::warn!("OTLP: {url} does not take the metrics, trying again: {problem}");
        }
        let wake = Instant::now() + pause;
        // The end of the run cuts the pause short, for the flush has little time.
        while Instant::now() < wake {
            tokio::time::sleep(Duration::from_millis(50).min(pause)).await;
            if queue.is_over() {
                break;
            }
        }
        if queue.is_over() {
            let until = *flush_until.get_or_insert_with(|| Instant::now() + FLUSH);
            if Instant::now() >= until {
                tracing::error!("OTLP: {url} was not reachable at the end of the run: {problem}");
                return false;
            }
            tokio::time::sleep(FIRST_PAUSE).await;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

enum Problem {
    /// Trying again will not help.
    Final(String),
    /// It may.
    Passing(String),
}

async fn post(client: &Client, url: &Url, message: &[u8]) -> Result<(), Problem> {
    let response = client
        .post(url.clone())
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .body(message.to_vec())
        .send()
        .await
        .map_err(|e| Problem::Passing(cause(&e)))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    // The statuses that the OTLP specification (1.7, "Retryable Response Codes") calls retryable.
    let is_passing = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    let body = response.text().await.unwrap_or_default();
    let what = format!("{status} {}", body.chars().take(200).collect::<String>().trim());
    Err(if is_passing { Problem::Passing(what) } else { Problem::Final(what) })
}

/// The innermost cause, which says what happened.
fn cause(e: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = e;
    while let Some(inner) = source.source() {
        source = inner;
    }
    source.to_string()
}
