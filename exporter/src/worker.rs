//! [`Worker`]: one thread for one thing that may hang.
//!
//! Invariant: there is at most one thread for each worker, however many ask and however long it hangs. Who asks while
//! it runs gets the result of that run. A thread that could not be started is an answer too, and is tried again the
//! next time.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long an idle thread stays.
const IDLE: Duration = Duration::from_secs(120);

/// Runs one job, again and again.
pub(crate) struct Worker<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    name: String,
    job: Box<dyn Fn() -> T + Send + Sync>,
    /// How long a run may take before nobody waits for it.
    patience: Duration,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// Runs asked for so far.
    asked: u64,
    /// When the run under way began to be asked for.
    since: Option<Instant>,
    /// The last run that ended, with its number.
    last: Option<(u64, Arc<T>)>,
    has_thread: bool,
}

/// A run that was asked for.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    run: u64,
    give_up: Instant,
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// The run has not ended; it began this long ago.
    Running(Duration),
    /// The system gave no thread.
    NoThread,
}

impl<T: Send + Sync + 'static> Worker<T> {
    pub(crate) fn new(name: &str, patience: Duration, job: impl Fn() -> T + Send + Sync + 'static) -> Self {
        let state = State { asked: 0, since: None, last: None, has_thread: false };
        let shared = Shared {
            name: name.to_owned(),
            job: Box::new(job),
            patience,
            state: Mutex::new(state),
            changed: Condvar::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Starts a run, or joins the one under way.
    pub(crate) fn start(&self) -> Result<Ticket, Late> {
        let now = Instant::now();
        let mut state = self.shared.lock();
        if let Some(since) = state.since {
            return Ok(Ticket { run: state.asked, give_up: since + self.shared.patience });
        }
        if !state.has_thread {
            let shared = Arc::clone(&self.shared);
            let started = thread::Builder::new().name(self.shared.name.clone()).spawn(move || shared.work());
            if started.is_err() {
                return Err(Late::NoThread);
            }
            state.has_thread = true;
        }
        state.asked += 1;
        state.since = Some(now);
        state.last = None;
        let ticket = Ticket { run: state.asked, give_up: now + self.shared.patience };
        drop(state);
        self.shared.changed.notify_all();
        Ok(ticket)
    }

    /// Waits for a run until `deadline`, and no longer than the worker's own patience.
    pub(crate) fn wait(&self, ticket: Ticket, deadline: Option<Instant>) -> Result<Arc<T>, Late> {
        let until = deadline.map_or(ticket.give_up, |d| d.min(ticket.give_up));
        let mut state = self.shared.lock();
        loop {
            match &state.last {
                Some((run, result)) if *run >= ticket.run => return Ok(Arc::clone(result)),
                _ => {}
            }
            let now = Instant::now();
            if now >= until {
                return Err(Late::Running(state.since.map_or(Duration::ZERO, |since| now - since)));
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, until - now)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        loop {
            let mut state = self.lock();
            while state.since.is_none() {
                let (guard, waited) =
                    self.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
                state = guard;
                if waited.timed_out() && state.since.is_none() {
                    state.has_thread = false;
                    return;
                }
            }
            let run = state.asked;
            drop(state);
            let result = Arc::new((self.job)());
            let mut state = self.lock();
            state.since = None;
            state.last = Some((run, result));
            drop(state);
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    #[test]
    fn a_run_that_hangs_has_one_thread_and_comes_back() {
        let (release, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let worker = Worker::new("hangs", Duration::from_secs(60), move || {
            let run = counted.fetch_add(1, Ordering::SeqCst) + 1;
            gate.lock().unwrap().recv().unwrap();
            run
        });
        // However many ask, and however short their time is.
        for _ in 0..100 {
            let ticket = worker.start().ok().unwrap();
            assert!(worker.wait(ticket, Some(Instant::now())).is_err());
        }
        release.send(()).unwrap();
        let ticket = worker.start().ok().unwrap();
        // This may be the first run or, where that ended in between, a second one.
        release.send(()).unwrap();
        let run = *worker.wait(ticket, None).unwrap();
        assert!((1..=2).contains(&run) && runs.load(Ordering::SeqCst) <= 2, "{run}");
    }

    #[test]
    fn who_comes_while_it_hangs_does_not_wait_again() {
        let (_release, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let worker = Worker::new("hangs", Duration::from_millis(1), move || {
            let _ = gate.lock().unwrap().recv();
        });
        let first = worker.start().ok().unwrap();
        assert!(matches!(worker.wait(first, None), Err(Late::Running(_))));
        let second = worker.start().ok().unwrap();
        assert!(second.give_up <= Instant::now(), "the patience is that of the run, not of who asks");
        assert!(matches!(worker.wait(second, None), Err(Late::Running(_))));
    }
}
