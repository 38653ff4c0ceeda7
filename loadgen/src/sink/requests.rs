//! A line for each request, in a file of CSV or JSON lines.
//!
//! Invariant: the load waits for no disk: lines are written by a thread of their own, and where that falls a minute behind,
//! requests are left out and counted.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use assay_text::counted;
use serde::Serialize;

use crate::{measure::tally::Measured, scenario::Scenario};

/// So many batches, of which there is one a second, may wait to be written.
const MOST_WAITING: usize = 60;

/// Why requests cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum RequestsError {
    /// The file's name says neither format.
    #[error("{}: expected a file that ends in .csv or .jsonl", .0.display())]
    Format(PathBuf),
    /// The file cannot be made.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A file with a line for each request.
#[derive(Debug)]
pub struct RequestsFile {
    path: PathBuf,
    writer: Writer,
}

#[derive(Debug)]
enum Writer {
    Csv(Box<csv::Writer<BufWriter<File>>>),
    Lines(BufWriter<File>),
}

/// A request, as it is written.
#[derive(Serialize)]
struct Row<'r> {
    /// When its first byte was sent, in Unix seconds.
    sent_at: f64,
    phase: &'r str,
    step: &'r str,
    user: u32,
    status: Option<u16>,
    error: Option<String>,
    duration_s: f64,
    latency_s: f64,
    time_to_first_chunk_s: Option<f64>,
    time_per_output_token_s: Option<f64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    tokens_counted_by_server: Option<bool>,
    good: bool,
    bytes_sent: u64,
    bytes_received: u64,
    lookup_s: Option<f64>,
    connecting_s: Option<f64>,
    tls_s: Option<f64>,
    sending_s: Option<f64>,
    waiting_s: Option<f64>,
    receiving_s: Option<f64>,
}

impl RequestsFile {
    /// Makes the file, or empties it.
    ///
    /// # Errors
    /// Where its name ends in neither `.csv` nor `.jsonl`, or it cannot be made.
    pub fn create(path: &Path) -> Result<Self, RequestsError> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if !matches!(extension, "csv" | "jsonl") {
            return Err(RequestsError::Format(path.to_owned()));
        }
        let file =
            File::create(path).map_err(|source| RequestsError::File { path: path.to_owned(), source })?;
        let file = BufWriter::new(file);
        let writer = match extension {
            "csv" => Writer::Csv(Box::new(csv::Writer::from_writer(file))),
            _ => Writer::Lines(file),
        };
        Ok(Self { path: path.to_owned(), writer })
    }

    /// Starts the thread that writes, before the first request.
    ///
    /// # Errors
    /// Where the system has no thread left.
    pub(crate) fn start(self, scenario: Arc<Scenario>) -> io::Result<Recording> {
        let (batches, receiver) = sync_channel(MOST_WAITING);
        let path = self.path.clone();
        let clocks = (Instant::now(), SystemTime::now());
        let thread = thread::Builder::new()
            .name("requests".to_owned())
            .spawn(move || write_all(self.writer, &receiver, &scenario, clocks))?;
        Ok(Recording { path, batches: Some(batches), thread: Some(thread), left_out: 0 })
    }
}

/// The requests that were measured since the last time, in one phase.
struct Batch {
    phase: String,
    /// Those of each worker.
    requests: Vec<Vec<Measured>>,
}

/// A file that is written to.
pub(crate) struct Recording {
    path: PathBuf,
    batches: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<io::Result<()>>>,
    left_out: usize,
}

impl Recording {
    /// Hands the requests of each worker over; waits for nothing.
    pub(crate) fn take(&mut self, phase: &str, requests: Vec<Vec<Measured>>) {
        let has_any = requests.iter().any(|of_worker| !of_worker.is_empty());
        let Some(batches) = self.batches.as_ref().filter(|_| has_any) else { return };
        if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) =
            batches.try_send(Batch { phase: phase.to_owned(), requests })
        {
            self.left_out += batch.requests.iter().map(Vec::len).sum::<usize>();
        }
    }

    /// Writes what is left, and gives what went wrong, each a line.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.batches = None;
        let written = self.thread.take().map(JoinHandle::join);
        let path = self.path.display();
        let mut problems = Vec::new();
        match written {
            None | Some(Ok(Ok(()))) => {}
            Some(Ok(Err(e))) => problems.push(format!("{path}: not all requests were written: {e}")),
            Some(Err(_)) => {
                problems.push(format!("{path}: not all requests were written: the writer failed"));
            }
        }
        if self.left_out > 0 {
            problems.push(format!(
                "{path}: the disk was too slow; left out: {}",
                counted(self.left_out as u64, "request")
            ));
        }
        problems
    }
}

fn write_all(
    mut writer: Writer,
    batches: &Receiver<Batch>,
    scenario: &Scenario,
    (started, start): (Instant, SystemTime),
) -> io::Result<()> {
    let start_s = start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    for batch in batches {
        for request in batch.requests.iter().flatten() {
            let since = request.sent_at.saturating_duration_since(started).as_secs_f64();
            let row = row(request, &batch.phase, scenario, start_s + since);
            match &mut writer {
                Writer::Csv(csv) => csv.serialize(row).map_err(io::Error::other)?,
                Writer::Lines(file) => {
                    serde_json::to_writer(&mut *file, &row)?;
                    file.write_all(b"\n")?;
                }
            }
        }
    }
    match &mut writer {
        Writer::Csv(csv) => csv.flush(),
        Writer::Lines(file) => file.flush(),
    }
}

fn row<'r>(request: &Measured, phase: &'r str, scenario: &'r Scenario, sent_at: f64) -> Row<'r> {
    let s = |duration: Option<Duration>| duration.map(|d| d.as_secs_f64());
    let (generation, parts) = (request.generation.as_ref(), &request.parts);
    Row {
        sent_at,
        phase,
        step: scenario.steps.get(request.step).map_or("", |step| step.name.as_str()),
        user: request.user + 1,
        status: request.outcome.status,
        error: request.outcome.error.map(|class| class.to_string()),
        duration_s: request.duration.as_secs_f64(),
        latency_s: request.latency.as_secs_f64(),
        time_to_first_chunk_s: s(generation.and_then(|g| g.first_chunk)),
        time_per_output_token_s: s(generation.and_then(|g| g.per_token)),
        input_tokens: generation.and_then(|g| g.tokens.input),
        output_tokens: generation.and_then(|g| g.tokens.output),
        cached_tokens: generation.and_then(|g| g.tokens.cached),
        reasoning_tokens: generation.and_then(|g| g.tokens.reasoning),
        tokens_counted_by_server: generation.map(|g| g.is_counted),
        good: request.is_good,
        bytes_sent: request.sent,
        bytes_received: request.received,
        lookup_s: s(parts.lookup),
        connecting_s: s(parts.connecting),
        tls_s: s(parts.tls),
        sending_s: s(parts.sending),
        waiting_s: s(parts.waiting),
        receiving_s: s(parts.receiving),
    }
}
