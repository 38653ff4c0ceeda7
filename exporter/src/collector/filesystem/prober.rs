//! Asks mounts for their usage, each in a thread that may hang with it.
//!
//! Invariant: a mount that does not answer has one thread, however often it is asked for, and is not asked again before
//! it answers. Whether a thread is with a mount is written under the lock by that thread alone, before it asks and
//! after: nothing else can mark a mount as stuck. Threads are added one by one while answers fail to come, so that
//! healthy mounts share one thread and hung ones delay them by no more than [`PROGRESS`] each.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Without an answer for this long, one more mount is asked at the same time.
const PROGRESS: Duration = Duration::from_millis(20);

/// How long an idle thread stays.
const IDLE: Duration = Duration::from_secs(120);

/// Threads at most; with as many hung mounts the others are no longer asked.
const MOST_THREADS: usize = 64;

/// Why a mount's usage is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoUsage {
    /// The system's message.
    Error(String),
    /// It was asked and has not answered within the mount timeout.
    TimedOut,
    /// It was asked; the scrape's time was over before the mount timeout.
    NoAnswerYet,
    /// Nobody asked it before the scrape's time was over.
    NotAsked,
    /// There was no thread to ask it with, and none could be had.
    NoThread,
}

impl NoUsage {
    /// As the label `device_error` shows it.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Error(text) => text,
            Self::TimedOut => "mountpoint timeout",
            Self::NoAnswerYet => "no answer before the scrape's deadline",
            Self::NotAsked => "not asked before the scrape's deadline",
            Self::NoThread => "not asked: no free thread",
        }
    }
}

/// Asks for one mount's usage.
pub(super) type Probe<T> = Arc<dyn Fn(&Path) -> Result<T, String> + Send + Sync>;

/// Asks mounts, in threads of its own.
pub(super) struct Prober<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    probe: Probe<T>,
    state: Mutex<State<T>>,
    /// For threads: there is something to ask.
    work: Condvar,
    /// For scrapes: the queue is empty, or an answer came late.
    answers: Condvar,
}

struct State<T> {
    queue: VecDeque<PathBuf>,
    mounts: HashMap<PathBuf, Asked<T>>,
    threads: usize,
    most_threads: usize,
    idle: usize,
    /// Answers so far.
    answered: u64,
}

enum Asked<T> {
    Queued,
    Running(Instant),
    /// The answer, and when it came.
    Answered(Instant, Result<T, String>),
}

impl<T: Clone + Send + 'static> Prober<T> {
    pub(super) fn new(probe: Probe<T>) -> Self {
        let state = State {
            queue: VecDeque::new(),
            mounts: HashMap::new(),
            threads: 0,
            most_threads: MOST_THREADS,
            idle: 0,
            answered: 0,
        };
        let shared =
            Shared { probe, state: Mutex::new(state), work: Condvar::new(), answers: Condvar::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Begins to ask for the usage of each path, and gives the time.
    pub(super) fn start(&self, paths: &[PathBuf]) -> Instant {
        let start = Instant::now();
        let mut state = self.shared.lock();
        // A mount that is gone is forgotten when its thread is back.
        let wanted: HashSet<&PathBuf> = paths.iter().collect();
        state.mounts.retain(|path, asked| matches!(asked, Asked::Running(_)) || wanted.contains(path));
        state.queue.retain(|path| wanted.contains(path));
        for path in paths {
            if !matches!(state.mounts.get(path), Some(Asked::Running(_) | Asked::Queued)) {
                state.mounts.insert(path.clone(), Asked::Queued);
                state.queue.push_back(path.clone());
            }
        }
        if !state.queue.is_empty() {
            self.shared.add_thread(&mut state);
        }
        start
    }

    /// The usage of each path, in order, as asked for at `start` or later: after at most `timeout` from then, and not
    /// after `deadline`.
    pub(super) fn answers(
        &self,
        paths: &[PathBuf],
        start: Instant,
        timeout: Duration,
        deadline: Option<Instant>,
    ) -> Vec<Result<T, NoUsage>> {
        let mut state = self.shared.lock();
        let mut unasked = NoUsage::NotAsked;
        loop {
            let now = Instant::now();
            // Nobody waits for a mount that had its time before this scrape began.
            let waits_until = paths.iter().filter_map(|path| match state.mounts.get(path) {
                Some(Asked::Queued) => Some(start + timeout),
                Some(Asked::Running(since)) => Some(*since + timeout),
                _ => None,
            });
            let Some(until) = waits_until.max() else { break };
            let until = deadline.map_or(until, |deadline| deadline.min(until));
            if now >= until {
                break;
            }
            let answered = state.answered;
            let wait = if state.queue.is_empty() { until - now } else { PROGRESS.min(until - now) };
            let (guard, waited) =
                self.shared.answers.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if waited.timed_out()
                && !state.queue.is_empty()
                && state.answered == answered
                && !self.shared.add_thread(&mut state)
                && state.all_hang(timeout)
            {
                // Nobody is left who would ask.
                unasked = NoUsage::NoThread;
                break;
            }
        }
        let now = Instant::now();
        paths
            .iter()
            .map(|path| match state.mounts.get(path) {
                Some(Asked::Answered(at, answer)) if *at >= start => answer.clone().map_err(NoUsage::Error),
                Some(Asked::Running(since)) if now >= *since + timeout => Err(NoUsage::TimedOut),
                Some(Asked::Running(_)) => Err(NoUsage::NoAnswerYet),
                _ => Err(unasked.clone()),
            })
            .collect()
    }
}

impl<T> State<T> {
    /// Whether every thread is with a mount that has had its time.
    fn all_hang(&self, timeout: Duration) -> bool {
        let hung = self
            .mounts
            .values()
            .filter(|asked| matches!(asked, Asked::Running(since) if since.elapsed() >= timeout));
        hung.count() >= self.threads
    }
}

impl<T: Send + 'static> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes an idle thread, or starts one; whether there is one more now.
    fn add_thread(self: &Arc<Self>, state: &mut State<T>) -> bool {
        if state.idle > 0 {
            self.work.notify_one();
            return true;
        }
        if state.threads >= state.most_threads {
            return false;
        }
        let shared = Arc::clone(self);
        let started = thread::Builder::new().name("statfs".into()).spawn(move || shared.work());
        match &started {
            Ok(_) => state.threads += 1,
            Err(cause) => tracing::debug!("no thread for statfs: {cause}"),
        }
        started.is_ok()
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            let Some(path) = state.queue.pop_front() else {
                self.answers.notify_all();
                state.idle += 1;
                let (guard, waited) =
                    self.work.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
                state = guard;
                state.idle -= 1;
                if waited.timed_out() && state.queue.is_empty() {
                    state.threads -= 1;
                    return;
                }
                continue;
            };
            state.mounts.insert(path.clone(), Asked::Running(Instant::now()));
            drop(state);
            let answer = (self.probe)(&path);
            state = self.lock();
            state.answered += 1;
            state.mounts.insert(path, Asked::Answered(Instant::now(), answer));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    fn ask(
        prober: &Prober<u32>,
        mounts: &[PathBuf],
        timeout: Duration,
        deadline: Option<Instant>,
    ) -> Vec<Result<u32, NoUsage>> {
        let start = prober.start(mounts);
        prober.answers(mounts, start, timeout, deadline)
    }

    /// A prober whose mounts named `dead…` answer when something is sent, and what was asked.
    fn prober() -> (Prober<u32>, mpsc::Sender<()>, mpsc::Receiver<PathBuf>) {
        let (release, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let (asked, asks) = mpsc::channel();
        let probe: Probe<u32> = Arc::new(move |path: &Path| {
            asked.send(path.to_owned()).unwrap();
            if path.to_string_lossy().contains("dead") {
                let _ = gate.lock().unwrap().recv();
            }
            Ok(7)
        });
        (Prober::new(probe), release, asks)
    }

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_mount_that_hangs_is_asked_once_and_comes_back() {
        let (prober, release, asks) = prober();
        let mounts = paths(&["/a", "/dead1", "/b", "/dead2", "/c"]);
        for _ in 0..50 {
            let answers = ask(&prober, &mounts, Duration::from_millis(200), None);
            for (path, answer) in mounts.iter().zip(answers) {
                let is_dead = path.to_string_lossy().contains("dead");
                assert_eq!(answer, if is_dead { Err(NoUsage::TimedOut) } else { Ok(7) }, "{path:?}");
            }
        }
        let asked_dead = asks.try_iter().filter(|path| path.to_string_lossy().contains("dead")).count();
        assert_eq!(asked_dead, 2, "each dead mount has one thread, however often it is scraped");
        // Released for now and for good: the sender's end ends the wait of later ones too.
        drop(release);
        assert_eq!(ask(&prober, &mounts, LONG, None), vec![Ok(7); 5]);
    }

    #[test]
    fn a_mount_without_a_thread_is_not_waited_for_and_not_marked() {
        let (prober, release, _asks) = prober();
        let mounts = paths(&["/a", "/dead", "/b"]);
        let most = |n: usize| prober.shared.lock().most_threads = n;
        most(0);
        for _ in 0..10 {
            assert_eq!(ask(&prober, &mounts, LONG, None), vec![Err(NoUsage::NoThread); 3]);
        }
        most(1);
        let answers = ask(&prober, &mounts, Duration::from_millis(200), None);
        assert_eq!(answers, [Ok(7), Err(NoUsage::TimedOut), Err(NoUsage::NoThread)], "its one thread hangs");
        most(MOST_THREADS);
        drop(release);
        assert_eq!(ask(&prober, &mounts, LONG, None), vec![Ok(7); 3]);
    }

    #[test]
    fn short_deadlines_mark_nothing() {
        let (prober, _release, _asks) = prober();
        let mounts = paths(&["/a", "/b", "/c"]);
        for n in 0..2_000u32 {
            let deadline = Instant::now() + Duration::from_micros(u64::from(n % 60));
            for answer in ask(&prober, &mounts, LONG, Some(deadline)) {
                assert!(
                    matches!(answer, Ok(7) | Err(NoUsage::NotAsked | NoUsage::NoAnswerYet)),
                    "{answer:?}"
                );
            }
        }
        assert_eq!(ask(&prober, &mounts, LONG, None), vec![Ok(7); 3]);
    }

    #[test]
    fn a_deadline_before_the_mount_timeout_is_told_apart() {
        let (prober, _release, asks) = prober();
        let mounts = paths(&["/dead"]);
        assert_eq!(ask(&prober, &mounts, LONG, Some(Instant::now())), [Err(NoUsage::NotAsked)]);
        // The thread that was started for it asks now.
        asks.recv().unwrap();
        let soon = Instant::now() + Duration::from_millis(1);
        assert_eq!(ask(&prober, &mounts, LONG, Some(soon)), [Err(NoUsage::NoAnswerYet)]);
    }
}
