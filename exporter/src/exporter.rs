//! [`Exporter`]: the collectors that were asked for, and a scrape of them.
//!
//! Invariant: a scrape always answers. A collector that fails, that is late, or that there was no time for, shows in
//! `node_scrape_collector_success`; what may hang runs in a thread of its own ([`crate::worker`]).

use std::{
    collections::{BTreeSet, HashSet},
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use assay_model::expo::MetricFamily;

use crate::{
    Failure, Families, Host, Options, OptionsError, Paths,
    collector::{self, Collector, Entry, Runs},
    families::{Conflict, Memory, Scraped},
    own::Own,
    process,
    worker::{Late, Ticket, Worker},
};

/// How long a collector that may hang is waited for, whatever the scraper's timeout.
const PATIENCE: Duration = Duration::from_secs(5);

/// Conflicts of which the log has told; a textfile can make any number.
const MOST_CONFLICTS_LOGGED: usize = 200;

/// The host's metrics, to be gathered as often as one likes and from any thread.
pub struct Exporter {
    paths: Paths,
    collectors: Vec<Running>,
    own_metrics: bool,
    own: Own,
    conflicts_logged: Mutex<HashSet<(String, String)>>,
    /// What scrapes of all collectors remember of the one before.
    memory: Mutex<Memory>,
}

struct Running {
    entry: &'static Entry,
    how: How,
    /// How the last scrape went: a failure is logged when it begins, when it changes its kind and when it ends.
    state: Mutex<State>,
}

enum How {
    /// In the thread that scrapes.
    Here(Box<dyn Collector>),
    /// In a thread of its own, unless it has nothing to wait for.
    Aside(Arc<dyn Collector>, Worker<Outcome>),
}

/// What a collector gave.
#[derive(Debug)]
struct Outcome {
    families: Families,
    result: Result<(), Failure>,
    seconds: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Works,
    Absent,
    Fails,
    Late,
}

/// Which of the exporter's collectors a scrape asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All that run.
    All,
    /// Only these.
    Only(BTreeSet<String>),
    /// All but these.
    Without(BTreeSet<String>),
}

/// Why `collect[]` and `exclude[]` cannot be answered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Both were given.
    #[error("collect[] and exclude[] cannot be combined; give one of them")]
    Both,
    /// There is no such collector.
    #[error("{0}")]
    Unknown(String),
    /// The collector exists and does not run.
    #[error("collector \"{0}\" is disabled; start the exporter with --collector.{0}")]
    Disabled(String),
}

impl Exporter {
    /// An exporter with the collectors of `options`.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let Options { paths, collectors: asked, own_metrics, settings } = options;
        let mut collectors: Vec<Running> = collector::REGISTRY
            .iter()
            .filter(|entry| asked.contains(entry.name))
            .map(|entry| Running::new(entry, &settings, &paths))
            .collect();
        // What may wait comes when the rest is there.
        collectors.sort_by_key(|running| running.entry.runs);
        Self {
            paths,
            collectors,
            own_metrics,
            own: Own::new(),
            conflicts_logged: Mutex::default(),
            memory: Mutex::default(),
        }
    }

    /// Adds a collector of the embedding program's own. It is asked after those that are built in.
    pub fn add(&mut self, entry: &'static Entry, settings: &crate::Settings) {
        self.collectors.push(Running::new(entry, settings, &self.paths));
        self.collectors.sort_by_key(|running| running.entry.runs);
    }

    /// From now on the exporter shows how its pushes went.
    pub fn counts_pushes(&mut self) {
        self.own.register_push();
    }

    /// The names of the collectors that run, sorted.
    pub fn collectors(&self) -> impl Iterator<Item = &'static str> {
        let names: BTreeSet<_> = self.collectors.iter().map(|running| running.entry.name).collect();
        names.into_iter()
    }

    pub(crate) fn own(&self) -> &Own {
        &self.own
    }

    /// Reads everything now. Families are sorted by name, metrics by their labels. This blocks for as long as
    /// the kernel takes, a millisecond or two as a rule.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.gather_selected(&Selection::All, None)
    }

    /// Reads what is selected. Collectors that `deadline` leaves no time for are not asked or not waited for, and
    /// count as failed.
    #[must_use]
    pub fn gather_selected(&self, selection: &Selection, deadline: Option<Instant>) -> Vec<MetricFamily> {
        self.scrape(selection, deadline).families()
    }

    pub(crate) fn scrape(&self, selection: &Selection, deadline: Option<Instant>) -> Scraped {
        let host = Host::new(self.paths.clone(), deadline);
        let selected = || self.collectors.iter().filter(|running| selection.has(running.entry.name));
        let tickets: Vec<_> = selected()
            .filter_map(|running| match &running.how {
                How::Aside(collector, worker) => {
                    let may_hang = unless_it_panics(|| Ok(collector.may_hang(&host))).unwrap_or(true);
                    let ticket = may_hang.then(|| worker.start());
                    Some((running, collector, worker, ticket))
                }
                How::Here(_) => None,
            })
            .collect();
        // Selections may take turns; each would find the other's series.
        let is_whole = *selection == Selection::All;
        let mut out = if is_whole { self.memory().begin() } else { Families::new() };
        if self.own_metrics {
            process::own_of(&host, &mut out);
            build_info(&mut out);
        }
        let begun: Vec<_> = selected()
            .filter_map(|running| match &running.how {
                How::Here(collector) if running.entry.runs == Runs::Last => {
                    let start = Instant::now();
                    let rest = unless_it_panics(|| in_time(&host, start).map(|()| collector.begin(&host)));
                    Some((running, rest, start.elapsed()))
                }
                _ => None,
            })
            .collect();
        for running in selected() {
            if let (How::Here(collector), Runs::Here) = (&running.how, running.entry.runs) {
                running.collect(&**collector, &host, &mut out);
            }
        }
        for (running, rest, before) in begun {
            running.run(&mut out, before, |out, _| rest?(&host, out));
        }
        for (running, collector, worker, ticket) in tickets {
            match ticket {
                Some(ticket) => self.join(running, worker, ticket, deadline, &mut out),
                None => running.collect(&**collector, &host, &mut out),
            }
        }
        if self.own_metrics {
            self.own.show(&mut out);
        }
        let is_tracked = out.is_tracked();
        let (scraped, conflicts) = out.scraped();
        self.report(&conflicts);
        if is_tracked {
            self.memory().learn(&scraped);
        }
        scraped
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(
        &self,
        running: &Running,
        worker: &Worker<Outcome>,
        ticket: Result<Ticket, Late>,
        deadline: Option<Instant>,
        out: &mut Families,
    ) {
        match ticket.and_then(|ticket| worker.wait(ticket, deadline)) {
            Ok(outcome) => {
                // Nobody else waits for it as a rule; then nothing is copied.
                match Arc::try_unwrap(outcome) {
                    Ok(outcome) => {
                        out.append(outcome.families);
                        running.finish(out, outcome.result.as_ref().err(), outcome.seconds);
                    }
                    Err(shared) => {
                        out.append(shared.families.clone());
                        running.finish(out, shared.result.as_ref().err(), shared.seconds);
                    }
                }
            }
            Err(late) => {
                self.own.late(running.entry.name);
                let seconds = match late {
                    Late::Running(elapsed) => elapsed.as_secs_f64(),
                    Late::NoThread => 0.0,
                };
                running.finish(out, Some(&Failure::Late(late.to_string())), seconds);
            }
        }
    }

    /// The selection that the query parameters `collect[]` and `exclude[]` ask for.
    ///
    /// # Errors
    /// Where both are given, or where a collector does not exist or does not run.
    pub fn select(&self, collect: &[String], exclude: &[String]) -> Result<Selection, SelectError> {
        if !collect.is_empty() && !exclude.is_empty() {
            return Err(SelectError::Both);
        }
        for name in collect.iter().chain(exclude) {
            match Options::collector_name(name) {
                // What is excluded need not exist here.
                Err(OptionsError::AbsentCollector(_)) if collect.is_empty() => {}
                Err(error) => return Err(SelectError::Unknown(error.to_string())),
                // What is excluded need not run.
                Ok(_) if exclude.is_empty() && !self.collectors().any(|running| running == name) => {
                    return Err(SelectError::Disabled(name.clone()));
                }
                Ok(_) => {}
            }
        }
        Ok(match (collect, exclude) {
            ([], []) => Selection::All,
            ([], exclude) => Selection::Without(exclude.iter().cloned().collect()),
            (collect, _) => Selection::Only(collect.iter().cloned().collect()),
        })
    }

    /// Counts what was left out, and logs each once.
    fn report(&self, conflicts: &[Conflict]) {
        for conflict in conflicts {
            self.own.dropped(conflict.reason);
            let mut logged = self.conflicts_logged.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (conflict.name.clone(), conflict.detail.clone());
            if logged.len() < MOST_CONFLICTS_LOGGED && logged.insert(key) {
                let (name, reason, detail) = (&conflict.name, conflict.reason, &conflict.detail);
                tracing::warn!(metric = name, %reason, "a sample was left out: {detail}");
            }
        }
    }
}

impl Selection {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
            Self::Without(names) => !names.contains(name),
        }
    }
}

impl std::fmt::Display for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Running(elapsed) => write!(f, "no answer for {:.1} s", elapsed.as_secs_f64()),
            Self::NoThread => f.write_str("the system gives no more threads"),
        }
    }
}

/// Whether there is time left at this start.
fn in_time(host: &Host, start: Instant) -> Result<(), Failure> {
    match host.deadline {
        Some(deadline) if start >= deadline => {
            Err(Failure::Late("the scraper's timeout left no time".into()))
        }
        _ => Ok(()),
    }
}

/// A collector with a fault takes nothing else away.
fn unless_it_panics<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // What was added before stays, as with any failure; locks that were held are taken all the same.
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Failure::Other("the collector panicked, which is a bug in the exporter".into()))
    })
}

impl Running {
    fn new(entry: &'static Entry, settings: &crate::Settings, paths: &Paths) -> Self {
        let collector = (entry.build)(settings);
        let how = if entry.runs == Runs::Aside {
            let paths = paths.clone();
            let collector: Arc<dyn Collector> = collector.into();
            let own = Arc::clone(&collector);
            let worker = Worker::new(entry.name, PATIENCE, move || {
                let start = Instant::now();
                let mut families = Families::new();
                // Its own patience is the only limit here: scrapes with several timeouts share a run.
                let host = Host::new(paths.clone(), Some(start + PATIENCE));
                let result = unless_it_panics(|| own.collect(&host, &mut families));
                Outcome { families, result, seconds: start.elapsed().as_secs_f64() }
            });
            How::Aside(collector, worker)
        } else {
            How::Here(collector)
        };
        Self { entry, how, state: Mutex::new(State::Works) }
    }

    /// Runs the collector in this thread, where there is time.
    fn collect(&self, collector: &dyn Collector, host: &Host, out: &mut Families) {
        self.run(out, Duration::ZERO, |out, start| {
            in_time(host, start).and_then(|()| collector.collect(host, out))
        });
    }

    /// Runs what there is to do at this start, when some was done `before`, and shows how it went.
    fn run(
        &self,
        out: &mut Families,
        before: Duration,
        work: impl FnOnce(&mut Families, Instant) -> Result<(), Failure>,
    ) {
        let start = Instant::now();
        let result = unless_it_panics(|| work(out, start));
        self.finish(out, result.as_ref().err(), (before + start.elapsed()).as_secs_f64());
    }

    fn finish(&self, out: &mut Families, failure: Option<&Failure>, seconds: f64) {
        self.log(failure);
        let labels = [("collector", self.entry.name)];
        let help = "Seconds that the collector took.";
        out.gauge("node_scrape_collector_duration_seconds", help, &labels, seconds);
        let success = f64::from(u8::from(failure.is_none()));
        out.gauge("node_scrape_collector_success", "1 where the collector succeeded.", &labels, success);
    }

    fn log(&self, failure: Option<&Failure>) {
        let collector = self.entry.name;
        let state = match failure {
            None => State::Works,
            Some(Failure::Absent(_)) => State::Absent,
            Some(Failure::Late(_)) => State::Late,
            Some(_) => State::Fails,
        };
        let before =
            std::mem::replace(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner), state);
        if state == before {
            return;
        }
        match failure {
            None => tracing::info!(collector, "collector works again"),
            Some(failure @ Failure::Absent(_)) => {
                tracing::debug!(collector, "nothing to collect: {failure}");
            }
            Some(failure @ Failure::Late(_)) => tracing::warn!(collector, "collector is late: {failure}"),
            Some(failure) => tracing::error!(collector, "collector failed: {failure}"),
        }
    }
}

fn build_info(out: &mut Families) {
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("revision", option_env!("ASSAY_REVISION").unwrap_or_default()),
        ("os", std::env::consts::OS),
        ("arch", std::env::consts::ARCH),
    ];
    out.gauge("exporter_build_info", "What this exporter was built from; always 1.", &labels, 1.0);
}
