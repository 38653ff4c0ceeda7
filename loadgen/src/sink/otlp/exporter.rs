//! What waits to be sent, and the thread that sends it.
//!
//! Invariant: every message that is added is delivered, waits, or is counted as a failed export; the memory
//! that waits is bounded in messages and in bytes.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{
    sender,
    settings::{Settings, Signal},
    transport::Transport,
};
use crate::sink::SinkError;

/// How many messages wait at most: ten minutes of one each second.
const MAX_WAITING: usize = 600;
/// How many bytes of them.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;
/// How long after the run what waits is tried, all of it together.
const FLUSH: Duration = Duration::from_secs(10);

/// Sends the messages of one signal, in order.
pub(super) struct Exporter {
    queue: Arc<Queue>,
    signal: Signal,
    place: String,
    sender: Option<JoinHandle<()>>,
}

/// A message, and since when it waits.
pub(super) struct Waiting {
    pub(super) message: Bytes,
    pub(super) since: Instant,
}

/// What waits to be sent, and what came of the rest.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// Wakes an attempt that is under way when the run ends.
    ended: Notify,
    failures: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// When the rest is given up, once there will be no more.
    flush_until: Option<Instant>,
    /// Since when the message that is being sent has waited.
    sending_since: Option<Instant>,
    deliveries: Deliveries,
}

/// How the exports went, for the summary.
#[derive(Clone, Debug, Default)]
pub(super) struct Deliveries {
    /// How long the receiver did not take what was there, in all.
    pub(super) away: Duration,
    /// Exports that were delivered only after that.
    pub(super) late: u64,
    /// The last thing that kept a message from being taken.
    pub(super) problem: Option<String>,
    /// Data points or spans that the receiver took and threw away.
    pub(super) rejected: u64,
    /// When it last came back.
    pub(super) back_at: Option<Instant>,
}

impl Exporter {
    /// Starts a thread that sends.
    pub(super) fn start(settings: &Settings) -> Result<Self, SinkError> {
        let queue = Arc::new(Queue::default());
        let (shared, own) = (Arc::clone(&queue), settings.clone());
        // What is wrong with the settings is said before the load starts, so the thread reports back.
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let sender = std::thread::Builder::new()
            .name(format!("otlp-{}", settings.signal.name()))
            .spawn(move || run(&own, &shared, &ready))
            .map_err(SinkError::new)?;
        let place = settings.url.to_string();
        match started.recv() {
            Ok(Ok(())) => Ok(Self { queue, signal: settings.signal, place, sender: Some(sender) }),
            Ok(Err(e)) => Err(SinkError::new(format!("OTLP to {place}: {e}"))),
            Err(e) => Err(SinkError::new(format!("OTLP to {place}: {e}"))),
        }
    }

    pub(super) fn send(&self, message: Vec<u8>) {
        self.queue.add(message.into());
    }

    /// Exports that were given up.
    pub(super) fn failures(&self) -> u64 {
        self.queue.failures.load(Ordering::Relaxed)
    }

    /// How long the oldest message that is not delivered has waited.
    pub(super) fn delay(&self) -> Duration {
        self.queue.delay()
    }

    /// There will be no more; what waits is sent meanwhile.
    pub(super) fn end(&self) {
        self.queue.end();
    }

    /// Waits until everything is out or given up.
    pub(super) fn finish(&mut self) -> Result<(), SinkError> {
        self.queue.end();
        match self.sender.take().map(JoinHandle::join) {
            Some(Err(_)) => Err(SinkError::new("the OTLP sender panicked")),
            _ => Ok(()),
        }
    }

    /// What a reader of the summary should know.
    pub(super) fn notes(&self) -> Vec<String> {
        let deliveries = self.queue.lock().deliveries.clone();
        let (signal, place, failures) = (self.signal.name(), &self.place, self.failures());
        let mut notes = Vec::new();
        if let Some(problem) = deliveries.problem {
            let lost = match failures {
                0 => "none was lost".to_owned(),
                1 => "1 was lost".to_owned(),
                n => format!("{n} were lost"),
            };
            notes.push(format!(
                "OTLP {signal}: {place} did not take them for {:.1} s in all ({problem}); {} exports went out late, {lost}",
                deliveries.away.as_secs_f64(),
                deliveries.late
            ));
        }
        if deliveries.rejected > 0 {
            notes.push(format!("OTLP {signal}: {place} threw away {} data points", deliveries.rejected));
        }
        notes
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.queue.end();
    }
}

fn run(settings: &Settings, queue: &Queue, ready: &std::sync::mpsc::SyncSender<Result<(), SinkError>>) {
    let started =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SinkError::new).and_then(
            |runtime| {
                let transport = {
                    let _inside = runtime.enter();
                    Transport::new(settings)?
                };
                Ok((runtime, transport))
            },
        );
    // Nobody waits for the answer any more only where the program is ending.
    match started {
        Ok((runtime, mut transport)) => {
            let _ = ready.send(Ok(()));
            sender::run(&runtime, &mut transport, settings, queue);
        }
        Err(e) => {
            let _ = ready.send(Err(e));
        }
    }
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, message: Bytes) {
        let mut state = self.lock();
        state.bytes += message.len();
        state.waiting.push_back(Waiting { message, since: Instant::now() });
        while state.waiting.len() > MAX_WAITING || state.bytes > MAX_WAITING_BYTES {
            let Some(oldest) = state.waiting.pop_front() else { break };
            state.bytes -= oldest.message.len();
            self.fail();
        }
        self.changed.notify_all();
    }

    /// There will be no more: from now on the time for what waits is limited.
    pub(super) fn end(&self) {
        self.lock().flush_until.get_or_insert_with(|| Instant::now() + FLUSH);
        self.changed.notify_all();
        self.ended.notify_one();
    }

    /// When the rest is given up; `None` during the run.
    pub(super) fn flush_until(&self) -> Option<Instant> {
        self.lock().flush_until
    }

    /// Returns when the time after the run is over.
    pub(super) async fn flushed(&self) {
        loop {
            if let Some(until) = self.flush_until() {
                return tokio::time::sleep_until(until.into()).await;
            }
            self.ended.notified().await;
        }
    }

    /// The next message, or `None` when there will be no more. Blocks.
    pub(super) fn next(&self) -> Option<Waiting> {
        let mut state = self.lock();
        state.sending_since = None;
        loop {
            if let Some(next) = state.waiting.pop_front() {
                state.bytes -= next.message.len();
                state.sending_since = Some(next.since);
                return Some(next);
            }
            if state.flush_until.is_some() {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until `until`, or until the time after the run is over. `ends_with_run` also lets the end of the run cut
    /// the wait short.
    pub(super) fn pause(&self, until: Instant, ends_with_run: bool) {
        let mut state = self.lock();
        let began_in_run = state.flush_until.is_none();
        loop {
            let until = match state.flush_until {
                Some(_) if ends_with_run && began_in_run => return,
                Some(flush) => until.min(flush),
                None => until,
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Counts an export that was given up.
    pub(super) fn fail(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut Deliveries)) {
        change(&mut self.lock().deliveries);
    }

    /// How long the oldest message that is not delivered has waited; zero if there is none.
    fn delay(&self) -> Duration {
        let state = self.lock();
        let oldest = state.sending_since.or_else(|| state.waiting.front().map(|w| w.since));
        oldest.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_in_messages_and_bytes_and_the_oldest_goes() {
        let queue = Queue::default();
        for n in 0..MAX_WAITING + 3 {
            queue.add(Bytes::from(n.to_string()));
        }
        assert_eq!(queue.failures.load(Ordering::Relaxed), 3);
        assert_eq!(queue.next().expect("one").message, "3");
        let oldest = queue.lock().sending_since.expect("it is being sent");
        assert!(queue.delay() <= oldest.elapsed() && queue.lock().waiting.iter().all(|w| oldest <= w.since));
        let queue = Queue::default();
        for _ in 0..5 {
            queue.add(Bytes::from(vec![0; MAX_WAITING_BYTES / 4]));
        }
        assert_eq!(queue.failures.load(Ordering::Relaxed), 1);
        queue.end();
        assert_eq!(std::iter::from_fn(|| queue.next()).count(), 4);
        assert_eq!(queue.delay(), Duration::ZERO);
        assert_eq!(queue.lock().bytes, 0);
    }
}
