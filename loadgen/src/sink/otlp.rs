//! Pushes metrics over OTLP (http/protobuf), cumulative, as exponential histograms.
//!
//! The measurements are aggregated already when they come here, one histogram for each series, so the
//! messages are built from them directly; an SDK would aggregate every observation a second time, under a
//! lock. Invariant: while the receiver is away, what was measured waits in memory, up to a limit; what is
//! given up is counted as a failed export, never silently lost.

mod encode;
mod sender;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use assay_model::expo::MetricFamily;
use url::Url;

use super::{MetricsSink, SinkError};

/// How many exports wait at most: ten minutes of one each second.
const MAX_WAITING: usize = 600;

/// Pushes what a run measures.
pub struct OtlpSink {
    queue: Arc<Queue>,
    instance: String,
    sender: Option<JoinHandle<()>>,
}

/// What waits to be sent.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    failures: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    is_over: bool,
}

impl OtlpSink {
    /// Starts pushing to `endpoint`; `/v1/metrics` is appended unless it is there, as OpenTelemetry's
    /// exporters do with a base endpoint.
    ///
    /// # Errors
    /// Where the endpoint is not an http or https URL, or the system gives no thread.
    pub fn start(endpoint: &str, instance: &str) -> Result<Self, SinkError> {
        let mut url = Url::parse(endpoint).map_err(|e| {
            SinkError::new(format!(
                "the OTLP endpoint {endpoint:?} is not a URL: {e}; write for example http://127.0.0.1:4318"
            ))
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(SinkError::new(format!("the OTLP endpoint {endpoint:?} is neither http nor https")));
        }
        let base = url.path().trim_end_matches('/');
        if !base.ends_with("/v1/metrics") {
            url.set_path(&format!("{base}/v1/metrics"));
        }
        let queue = Arc::new(Queue::default());
        let shared = Arc::clone(&queue);
        let sender = std::thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || sender::run(&url, &shared))
            .map_err(SinkError::new)?;
        Ok(Self { queue, instance: instance.to_owned(), sender: Some(sender) })
    }
}

impl MetricsSink for OtlpSink {
    fn push(&mut self, t_ms: i64, families: &[MetricFamily]) -> Result<(), SinkError> {
        self.queue.add(encode::request(t_ms, families, &self.instance));
        Ok(())
    }

    fn failures(&self) -> u64 {
        self.queue.failures.load(Ordering::Relaxed)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.queue.end();
        match self.sender.take().map(JoinHandle::join) {
            Some(Err(_)) => Err(SinkError::new("the OTLP sender panicked")),
            _ => Ok(()),
        }
    }
}

impl Drop for OtlpSink {
    fn drop(&mut self) {
        self.queue.end();
    }
}

impl Queue {
    fn add(&self, message: Vec<u8>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.push_back(message);
        if state.waiting.len() > MAX_WAITING {
            state.waiting.pop_front();
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        self.changed.notify_all();
    }

    fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.changed.notify_all();
    }

    /// The next message, or `None` when there will be no more. Blocks.
    fn next(&self) -> Option<Vec<u8>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(message) = state.waiting.pop_front() {
                return Some(message);
            }
            if state.is_over {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn is_over(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_over
    }

    fn fail(&self, exports: u64) {
        self.failures.fetch_add(exports, Ordering::Relaxed);
    }
}
