//! A `/metrics` listener: what was pushed last, in the format that the scraper asks for.
//!
//! Invariant: a scrape reads a finished copy; the run never waits for a scraper.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use assay_model::expo::{MetricFamily, negotiate};

use super::{MetricsSink, SinkError};

/// How long a scraper may take for its request.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of a request's head.
const MAX_HEAD: u64 = 16 * 1024;

type Latest = Arc<Mutex<Arc<Vec<MetricFamily>>>>;

/// Serves what a run measures for scraping.
#[derive(Debug)]
pub struct Exposition {
    latest: Latest,
    address: SocketAddr,
}

impl Exposition {
    /// Listens at an address, for as long as the program runs.
    ///
    /// # Errors
    /// Where the address is taken, or not one of this machine.
    pub fn listen(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let (latest, address) = (Latest::default(), listener.local_addr()?);
        let shared = Arc::clone(&latest);
        std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                // Scrapes come one at a time; a slow one is cut off by its patience.
                if let Err(e) = answer(stream, &shared) {
                    tracing::debug!("a scrape: {e}");
                }
            }
        })?;
        Ok(Self { latest, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl MetricsSink for Exposition {
    fn push(&mut self, _t_ms: i64, families: &[MetricFamily]) -> Result<(), SinkError> {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(families.to_vec());
        Ok(())
    }
}

fn answer(mut stream: TcpStream, latest: &Latest) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream.try_clone()?.take(MAX_HEAD)).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut accept = String::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("accept")
        {
            value.trim().clone_into(&mut accept);
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    if path.split('?').next() != Some("/metrics") {
        let body = "loadgen serves its metrics at /metrics\n";
        return write!(
            stream,
            "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
    }
    let families = Arc::clone(&latest.lock().unwrap_or_else(PoisonError::into_inner));
    let format = negotiate(&accept);
    let body = format.encode(&families);
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        format.content_type(),
        body.len()
    )?;
    stream.write_all(&body)
}
