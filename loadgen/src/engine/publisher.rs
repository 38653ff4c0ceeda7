//! The thread that hands measurements to the sinks, so that no sink holds up the load, a tick or a phase.
//!
//! Invariant: what is said of phases, and the values at a phase's end, reach every sink, in order. If a sink is so
//! slow that the values of many seconds wait, the oldest of those in between are left out and counted: series are
//! cumulative, so that costs resolution and no request.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use assay_model::expo::MetricFamily;
use tokio::sync::Notify;

use crate::{
    scenario::Phase,
    sink::{MetricsSink, SinkError},
};

/// The seconds whose values wait at most.
const MAX_WAITING: usize = 30;

/// The sinks, and what waits for them.
pub(super) struct Publisher {
    queue: Arc<Queue>,
    has_sinks: bool,
    thread: JoinHandle<Finished>,
}

/// The sinks after they have finished, and the first failure of any.
struct Finished {
    sinks: Vec<Box<dyn MetricsSink>>,
    result: Result<(), SinkError>,
}

/// What became of the sinks.
pub(super) struct Published {
    /// What a reader of the summary should know, one line each.
    pub(super) notes: Vec<String>,
    pub(super) export_failures: u64,
    pub(super) result: Result<(), SinkError>,
}

enum Message {
    PhaseStarted(Phase, i64),
    PhaseEnded(Phase, i64),
    Values { t_ms: i64, families: Vec<MetricFamily>, may_be_left_out: bool },
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    export_failures: AtomicU64,
    export_delay_ms: AtomicU64,
    /// Wakes the coordinator when a sink has failed.
    failed: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Message>,
    is_over: bool,
    has_failed: bool,
    left_out: u64,
}

impl Publisher {
    pub(super) fn start(sinks: Vec<Box<dyn MetricsSink>>) -> io::Result<Self> {
        let (queue, has_sinks) = (Arc::<Queue>::default(), !sinks.is_empty());
        let shared = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("publisher".to_owned())
            .spawn(move || publish(sinks, &shared))?;
        Ok(Self { queue, has_sinks, thread })
    }

    /// Whether there is anyone to publish to.
    pub(super) fn has_sinks(&self) -> bool {
        self.has_sinks
    }

    pub(super) fn phase_started(&self, phase: &Phase, t_ms: i64) {
        self.queue.add(Message::PhaseStarted(phase.clone(), t_ms));
    }

    pub(super) fn phase_ended(&self, phase: &Phase, t_ms: i64) {
        self.queue.add(Message::PhaseEnded(phase.clone(), t_ms));
    }

    /// All series as they stand at `t_ms`.
    pub(super) fn values(&self, t_ms: i64, families: Vec<MetricFamily>, may_be_left_out: bool) {
        self.queue.add(Message::Values { t_ms, families, may_be_left_out });
    }

    /// Exports that failed for good so far.
    pub(super) fn export_failures(&self) -> u64 {
        self.queue.export_failures.load(Ordering::Relaxed)
    }

    /// How long the oldest values that a sink has not exported yet have waited.
    pub(super) fn export_delay(&self) -> Duration {
        Duration::from_millis(self.queue.export_delay_ms.load(Ordering::Relaxed))
    }

    /// Returns when a sink has failed, so that the run cannot continue; [`Publisher::finish`] says why.
    pub(super) async fn failed(&self) {
        while !self.queue.lock().has_failed {
            self.queue.failed.notified().await;
        }
    }

    /// Waits until the sinks have everything and have finished.
    pub(super) async fn finish(self) -> Published {
        let Self { queue, thread, .. } = self;
        queue.lock().is_over = true;
        queue.changed.notify_all();
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        let Ok(Ok(Finished { sinks, result })) = joined else {
            let result = Err(SinkError::new("the publisher's thread panicked"));
            return Published { notes: Vec::new(), export_failures: 0, result };
        };
        let mut notes: Vec<String> = sinks.iter().flat_map(|s| s.notes()).collect();
        let left_out = queue.lock().left_out;
        if left_out > 0 {
            notes.push(format!(
                "a sink was too slow: the values of {left_out} seconds within phases were left out"
            ));
        }
        let export_failures = sinks.iter().map(|s| s.failures()).sum();
        Published { notes, export_failures, result }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, message: Message) {
        let mut state = self.lock();
        if state.has_failed {
            return;
        }
        state.waiting.push_back(message);
        let can_go = |m: &Message| matches!(m, Message::Values { may_be_left_out: true, .. });
        if state.waiting.iter().filter(|m| can_go(m)).count() > MAX_WAITING
            && let Some(oldest) = state.waiting.iter().position(can_go)
        {
            state.waiting.remove(oldest);
            state.left_out += 1;
        }
        self.changed.notify_all();
    }

    /// The next message, or `None` when there will be no more. Blocks.
    fn next(&self) -> Option<Message> {
        let mut state = self.lock();
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

    fn fail(&self) {
        let mut state = self.lock();
        state.has_failed = true;
        state.waiting.clear();
        self.failed.notify_one();
    }
}

/// Hands messages on until there are no more, then finishes the sinks: a record that was begun is completed, also
/// after a failure.
fn publish(mut sinks: Vec<Box<dyn MetricsSink>>, queue: &Queue) -> Finished {
    let mut result = Ok(());
    while let Some(message) = queue.next() {
        if result.is_err() {
            continue;
        }
        result = sinks.iter_mut().try_for_each(|sink| match &message {
            Message::PhaseStarted(phase, t_ms) => sink.phase_started(phase, *t_ms),
            Message::PhaseEnded(phase, t_ms) => sink.phase_ended(phase, *t_ms),
            Message::Values { t_ms, families, .. } => sink.push(*t_ms, families),
        });
        if result.is_err() {
            queue.fail();
        }
        queue.export_failures.store(sinks.iter().map(|s| s.failures()).sum(), Ordering::Relaxed);
        let delay_ms = sinks.iter().map(|s| s.delay().as_millis()).max().unwrap_or_default();
        queue.export_delay_ms.store(u64::try_from(delay_ms).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    sinks.iter_mut().for_each(|sink| sink.end());
    for sink in &mut sinks {
        let finished = sink.finish();
        result = result.and(finished);
    }
    Finished { sinks, result }
}
