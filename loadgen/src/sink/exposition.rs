//! A `/metrics` listener: what was pushed last, in the format that the scraper asks for.
//!
//! Invariant: a scrape reads a finished copy; the run never waits for a scraper.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use assay_model::expo::{MetricFamily, negotiate};

use super::{MetricsSink, SinkError};
use crate::control::Control;

/// How long a scraper may take for its request, and to read what it gets.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of a request's head.
const MAX_HEAD: u64 = 16 * 1024;
/// The most connections at a time; more are closed at once.
const MAX_CONNECTIONS: usize = 64;
/// The most connections that wait to be accepted; the standard library asks for 128.
#[cfg(unix)]
const BACKLOG: i32 = 1024;
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
    connections: AtomicUsize,
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
    pub fn listen(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        #[cfg(unix)]
        rustix::net::listen(&listener, BACKLOG)?;
        let (shared, address) = (Arc::<Shared>::default(), listener.local_addr()?);
        let own = Arc::clone(&shared);
        std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                own.serve(stream);
            }
        })?;
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
    /// Answers on a thread of its own, so that no connection delays another.
    fn serve(self: &Arc<Self>, stream: TcpStream) {
        if self.connections.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let shared = Arc::clone(self);
        let spawned = std::thread::Builder::new().name("scrape".to_owned()).spawn(move || {
            if let Err(e) = answer(&stream, &shared) {
                tracing::debug!("a scrape: {e}");
            }
            shared.connections.fetch_sub(1, Ordering::Relaxed);
        });
        if spawned.is_err() {
            self.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn note_scrape(&self, is_prometheus: bool) {
        let mut scrapes = self.scrapes.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        scrapes.count += 1;
        scrapes.interval = scrapes.last.map(|last| now - last).or(scrapes.interval);
        scrapes.last = Some(now);
        scrapes.by_prometheus |= is_prometheus;
    }
}

/// A stream on which all reads, or all writes, must be done by an instant, however slowly it drips.
struct Deadline<'s> {
    stream: &'s TcpStream,
    until: Instant,
}

impl Deadline<'_> {
    fn left(&self) -> std::io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(std::io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl std::io::Read for Deadline<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        let mut stream = self.stream;
        stream.read(buffer)
    }
}

impl std::io::Write for Deadline<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        let mut stream = self.stream;
        stream.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn answer(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let head = Deadline { stream, until: Instant::now() + PATIENCE };
    let mut lines = BufReader::new(head.take(MAX_HEAD)).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let (mut accept, mut is_prometheus) = (String::new(), false);
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("accept") {
                value.trim().clone_into(&mut accept);
            }
            is_prometheus |= name.eq_ignore_ascii_case(SCRAPER);
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let mut reply = Deadline { stream, until: Instant::now() + PATIENCE };
    if path.split('?').next() != Some("/metrics") {
        let body = "loadgen serves its metrics at /metrics\n";
        return write!(
            reply,
            "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
    }
    let families = Arc::clone(&shared.latest.lock().unwrap_or_else(PoisonError::into_inner));
    let format = negotiate(&accept);
    let body = format.encode(&families);
    write!(
        reply,
        "HTTP/1.1 200 OK\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        format.content_type(),
        body.len()
    )?;
    reply.write_all(&body)?;
    shared.note_scrape(is_prometheus);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
