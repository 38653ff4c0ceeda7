//! A `/metrics` listener: what was pushed last, in the format that the scraper asks for.
//!
//! Invariant: a scrape reads a finished copy; the run never waits for a scraper.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use assay_model::expo::{MetricFamily, negotiate};

use super::{MetricsSink, SinkError};
use crate::{
    control::Control,
    listen::{Head, listen, reply},
};

/// How often it is looked whether the scrapers have come.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What Prometheus sends with each scrape.
const SCRAPER: &str = "x-prometheus-scrape-timeout-seconds";

/// Serves what a run measures for scraping; cloning shares it.
#[derive(Clone, Debug)]
pub struct Exposition {
    shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Debug, Default)]
struct Shared {
    latest: Mutex<Arc<Vec<MetricFamily>>>,
    scrapes: Mutex<Scrapes>,
}

/// What is known of those who scrape.
#[derive(Clone, Copy, Debug, Default)]
struct Scrapes {
    count: u64,
    last: Option<Instant>,
    /// The time between the last two.
    interval: Option<Duration>,
    /// Whether one was by Prometheus, which will come again.
    by_prometheus: bool,
}

impl Exposition {
    /// Listens at an address, for as long as the program runs.
    ///
    /// # Errors
    /// Where the address is taken, or not one of this machine.
    pub fn listen(address: SocketAddr) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        let address = listen(address, "metrics", move |stream, head| answer(stream, head, &own))?;
        Ok(Self { shared, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stays for two of the scrape intervals that were seen, so that the run's end is on record there; for `most` if
    /// only one scrape was seen, and not at all if there was none. A stop ends it.
    pub async fn linger(&self, most: Duration, control: &Control) {
        let (began, stops) = (Instant::now(), control.stops());
        let before = self.scrapes().count;
        loop {
            let scrapes = self.scrapes();
            let stay = match (scrapes.interval, scrapes.by_prometheus) {
                (Some(interval), _) => most.min(interval * 2),
                (None, true) => most,
                (None, false) => Duration::ZERO,
            };
            let is_seen = scrapes.count >= before + 2;
            if is_seen || began.elapsed() >= stay || control.stops() > stops {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn scrapes(&self) -> Scrapes {
        *self.shared.scrapes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MetricsSink for Exposition {
    fn push(&mut self, _t_ms: i64, families: &[MetricFamily]) -> Result<(), SinkError> {
        *self.shared.latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(families.to_vec());
        Ok(())
    }
}

impl Shared {
    fn note_scrape(&self, is_prometheus: bool) {
        let mut scrapes = self.scrapes.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        scrapes.count += 1;
        scrapes.interval = scrapes.last.map(|last| now - last).or(scrapes.interval);
        scrapes.last = Some(now);
        scrapes.by_prometheus |= is_prometheus;
    }
}

fn answer(stream: &TcpStream, head: &Head, shared: &Shared) -> io::Result<()> {
    if head.path() != "/metrics" {
        return reply(stream, "404 Not Found", "text/plain", b"loadgen serves its metrics at /metrics\n");
    }
    let families = Arc::clone(&shared.latest.lock().unwrap_or_else(PoisonError::into_inner));
    let format = negotiate(head.header("accept").unwrap_or_default());
    reply(stream, "200 OK", format.content_type(), &format.encode(&families))?;
    shared.note_scrape(head.header(SCRAPER).is_some());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::listen::PATIENCE;

    fn scrape(address: SocketAddr, headers: &str) {
        let mut stream = TcpStream::connect(address).expect("a listener");
        stream.write_all(format!("GET /metrics HTTP/1.1\r\n{headers}\r\n").as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }

    #[tokio::test]
    async fn it_stays_until_the_end_was_scraped_and_no_longer() {
        let (control, _signals) = Control::new();
        let listen = || Exposition::listen(([127, 0, 0, 1], 0).into()).expect("a port");
        let hour = Duration::from_secs(3600);
        // Nobody scrapes: it leaves at once. So it does after a look by a person.
        let exposition = listen();
        exposition.linger(hour, &control).await;
        scrape(exposition.address(), "");
        exposition.linger(hour, &control).await;
        // A Prometheus that came once will come again.
        let exposition = listen();
        let address = exposition.address();
        scrape(address, "X-Prometheus-Scrape-Timeout-Seconds: 10\r\n");
        let again = exposition.clone();
        let waits = tokio::spawn(async move { again.linger(hour, &control).await });
        tokio::task::spawn_blocking(move || (0..2).for_each(|_| scrape(address, ""))).await.expect("scraped");
        waits.await.expect("it leaves");
        // A stop ends it.
        let (control, _signals) = Control::new();
        let exposition = listen();
        scrape(exposition.address(), "X-Prometheus-Scrape-Timeout-Seconds: 10\r\n");
        let own = control.clone();
        let waits = tokio::spawn(async move { exposition.linger(hour, &own).await });
        tokio::task::yield_now().await;
        control.stop();
        waits.await.expect("it leaves");
    }

    #[test]
    fn an_idle_connection_delays_nobody() {
        let exposition = Exposition::listen(([127, 0, 0, 1], 0).into()).expect("a port");
        let idle: Vec<TcpStream> =
            (0..5).map(|_| TcpStream::connect(exposition.address()).expect("a connection")).collect();
        let began = Instant::now();
        scrape(exposition.address(), "");
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        drop(idle);
    }
}
