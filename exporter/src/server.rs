//! The exporter over HTTP: [`serve`].
//!
//! Invariant: no more scrapes than `max_requests` run at once; one more is refused with 503 and costs nothing. A scrape
//! is answered when its time is over, whatever hangs, and gives its place back; a thread that hangs does not.

mod connections;
mod listen;

use std::{
    future::Future,
    io::{self, Write as _},
    sync::Arc,
    time::{Duration, Instant},
};

use assay_model::expo::{Format, negotiate};
use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use flate2::{Compression, write::GzEncoder};
use tokio::{net::TcpListener, sync::Semaphore};

pub use self::listen::bind;
use crate::{Exporter, Selection, WebConfig, web};

/// How the exporter is served.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where the metrics are, beginning with a slash.
    pub telemetry_path: String,
    /// How many scrapes may run at once; 0 for any number.
    pub max_requests: usize,
    /// TLS, users and headers; `None` for plain HTTP that everyone may read.
    pub web_config: Option<Arc<WebConfig>>,
    /// How long a connection may be without a request, and how long the head of one may take. No interval at which
    /// people scrape should be so long: no scrape then meets a connection that is just being closed.
    pub idle: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            telemetry_path: "/metrics".into(),
            max_requests: 40,
            web_config: None,
            idle: Duration::from_secs(25),
        }
    }
}

struct Server {
    exporter: Arc<Exporter>,
    permits: Arc<Semaphore>,
    /// Threads that scrape. One that hangs keeps its place after its scrape was answered.
    threads: Arc<Semaphore>,
    /// Scrapes that have a thread; the others wait. More than these would only take each other's time, and a stack each.
    turns: Semaphore,
    max_requests: usize,
}

/// Threads that may scrape at once where any number of requests may.
const MOST_THREADS: usize = 256;

/// Scrapes at work at once.
const MOST_AT_WORK: usize = 6;

/// How much later than its deadline a scrape is given up: its collectors keep the deadline themselves.
const OVERTIME: Duration = Duration::from_millis(300);

/// When a scrape is given up whose scraper did not say how long it waits.
const LONGEST: Duration = Duration::from_secs(30);

/// Prometheus says here how long it will wait, in seconds.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// Part of the scraper's timeout kept for encoding and the way back; at most [`MOST_RESERVED`].
const RESERVED_FRACTION: f64 = 0.1;
const MOST_RESERVED: Duration = Duration::from_millis(500);

/// Answers scrapes until `shutdown` completes and the scrapes under way are done.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(
    exporter: Arc<Exporter>,
    listener: TcpListener,
    options: ServeOptions,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let permits = match options.max_requests {
        0 => Semaphore::MAX_PERMITS,
        n => n,
    };
    let server = Arc::new(Server {
        exporter,
        permits: Arc::new(Semaphore::new(permits)),
        threads: Arc::new(Semaphore::new(permits.min(MOST_THREADS))),
        turns: Semaphore::new(MOST_AT_WORK),
        max_requests: options.max_requests,
    });
    let mut router = Router::new().route(&options.telemetry_path, get(metrics));
    if options.telemetry_path != "/" {
        let page = landing_page(&options.telemetry_path);
        router = router.route("/", get(async || Html(page)));
    }
    let mut router = router.with_state(server);
    if let Some(config) = &options.web_config {
        router = router.layer(middleware::from_fn_with_state(Arc::clone(config), web::guard));
    }
    connections::serve(listener, router, options.web_config, options.idle, shutdown).await
}

async fn metrics(
    State(server): State<Arc<Server>>,
    query: Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    // Also where the client leaves, and this ends in the middle.
    let _in_flight = server.exporter.own().in_flight();
    let response = answer(&server, &query, &headers).await;
    server.exporter.own().request(response.status().as_u16());
    response
}

async fn answer(server: &Arc<Server>, parameters: &[(String, String)], headers: &HeaderMap) -> Response {
    let Ok(_permit) = server.permits.try_acquire() else {
        let message =
            format!("the limit of scrapes at once ({}) is reached; try again later\n", server.max_requests);
        return (StatusCode::SERVICE_UNAVAILABLE, message).into_response();
    };
    let values = |key: &str| -> Vec<String> {
        parameters.iter().filter(|(name, _)| name == key).map(|(_, value)| value.clone()).collect()
    };
    let selection = match server.exporter.select(&values("collect[]"), &values("exclude[]")) {
        Ok(selection) => selection,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let now = Instant::now();
    let deadline = header_text(headers, SCRAPE_TIMEOUT).and_then(|text| deadline(text, now));
    let format = negotiate(header_text(headers, "accept").unwrap_or_default());
    let gzip = header_text(headers, "accept-encoding").is_some_and(accepts_gzip);
    let exporter = Arc::clone(&server.exporter);
    let scrape = async {
        let _turn = server.turns.acquire().await;
        let thread = Arc::clone(&server.threads).try_acquire_owned().map_err(|_| {
            (StatusCode::SERVICE_UNAVAILABLE, "all threads hang in collectors; see the log\n".to_owned())
        })?;
        let scrape = tokio::task::spawn_blocking(move || {
            let body = scrape(&exporter, &selection, deadline, format, gzip);
            drop(thread);
            body
        });
        let failed = |cause: io::Error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{cause}\n"));
        scrape.await.unwrap_or_else(|cause| Err(io::Error::other(cause))).map_err(failed)
    };
    let give_up = deadline.unwrap_or(now + LONGEST) + OVERTIME;
    let scraped = tokio::time::timeout_at(give_up.into(), scrape).await.unwrap_or_else(|_| {
        tracing::error!("a scrape hangs, and was given up");
        Err((StatusCode::SERVICE_UNAVAILABLE, "the scrape hangs\n".to_owned()))
    });
    let content_type = (header::CONTENT_TYPE, format.content_type());
    match scraped {
        Ok(body) if gzip => ([content_type, (header::CONTENT_ENCODING, "gzip")], body).into_response(),
        Ok(body) => ([content_type], body).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn scrape(
    exporter: &Exporter,
    selection: &Selection,
    deadline: Option<Instant>,
    format: Format,
    gzip: bool,
) -> io::Result<Vec<u8>> {
    let body = exporter.scrape(selection, deadline).encode(format);
    if !gzip {
        return Ok(body);
    }
    // The fastest level: a scrape's text is small and repeats itself.
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(&body)?;
    encoder.finish()
}

fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn deadline(timeout: &str, now: Instant) -> Option<Instant> {
    let timeout = Duration::try_from_secs_f64(timeout.trim().parse().ok()?).ok()?;
    now.checked_add(timeout - timeout.mul_f64(RESERVED_FRACTION).min(MOST_RESERVED))
}

/// Whether an Accept-Encoding header allows gzip (RFC 9110, section 12.5.3).
fn accepts_gzip(header: &str) -> bool {
    header.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let refused = parts.any(|p| p.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)));
        (name.eq_ignore_ascii_case("gzip") || name == "*") && !refused
    })
}

fn landing_page(telemetry_path: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><title>exporter</title></head><body>\n\
         <h1>exporter {version}</h1>\n<p><a href=\"{telemetry_path}\">Metrics</a></p>\n</body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_where_it_is_accepted() {
        let check = |header: &str, want: bool| assert_eq!(accepts_gzip(header), want, "{header}");
        check("gzip", true);
        check("deflate, gzip;q=0.5", true);
        check("*", true);
        check("gzip;q=0, identity", false);
        check("gzip; q=0.0", false);
        check("br", false);
        check("", false);
    }

    #[test]
    fn the_scrapers_timeout_is_kept_with_a_margin() {
        let now = Instant::now();
        let check = |text: &str, want: Option<u64>| {
            assert_eq!(deadline(text, now).map(|d| (d - now).as_millis() as u64), want, "{text}");
        };
        check("10", Some(9500));
        check("1", Some(900));
        check("0.5", Some(450));
        check("soon", None);
        check("-1", None);
        check("inf", None);
    }
}
