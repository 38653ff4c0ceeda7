//! Rules over the run while it is recorded: an alert of a severity that fires ends the load.
//!
//! The rules are evaluated at their groups' intervals over everything that is on record, scraped targets among
//! it, on one thread of lower priority. Invariant: the load's own threads wait for none of it, and memory does
//! not grow with the run: the samples are shared with the recording, and rules keep what they can look back at.

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use assay_model::expo::MetricFamily;
use assay_rules::{
    ReplayOptions, RuleFiles,
    live::{FiringAlert, Live},
};

use crate::{
    background::{Background, Over},
    control::Control,
    scenario::Phase,
    sink::{MetricsSink, SinkError},
    summary::AbortingAlert,
};

/// The most different failures of rules that are logged.
const MAX_LOGGED: usize = 50;

/// What ends a load.
#[derive(Clone, Debug)]
pub struct GuardOptions {
    /// The values of the label `severity` whose alerts end the load.
    pub severities: Vec<String>,
    /// How often groups without an interval of their own are evaluated, in milliseconds.
    pub interval_ms: i64,
    /// When the run began, in milliseconds since the Unix epoch: the first evaluation of every group.
    pub start_ms: i64,
}

/// Watches a recording. Dropped, it stops.
pub struct Guard {
    shared: Arc<Shared>,
    work: Background,
}

#[derive(Default)]
struct Shared {
    /// Whether a phase is on that verdicts look at.
    is_judged: AtomicBool,
    alert: Mutex<Option<AbortingAlert>>,
}

impl Guard {
    /// Starts to watch what `recording` takes in; an alert of one of the severities that fires in a phase which
    /// is no warm-up stops the run through `control`.
    ///
    /// # Errors
    /// Where the system gives no threads.
    pub fn start(
        recording: assay_run::Sink,
        files: RuleFiles,
        options: GuardOptions,
        control: Control,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let state = Arc::clone(&shared);
        let work = Background::start("rules", move |over| {
            watch(&recording, &files, &options, &state, &control, over);
        })?;
        Ok(Self { shared, work })
    }

    /// A sink that informs the guard which phase is on.
    #[must_use]
    pub fn sink(&self) -> Box<dyn MetricsSink> {
        Box::new(PhaseWatch { shared: Arc::clone(&self.shared) })
    }

    /// Stops watching; gives the alert that ended the load, if one did.
    #[must_use]
    pub fn finish(mut self) -> Option<AbortingAlert> {
        self.work.stop();
        self.shared.alert.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn watch(
    recording: &assay_run::Sink,
    files: &RuleFiles,
    options: &GuardOptions,
    shared: &Shared,
    control: &Control,
    over: &Over,
) {
    let replay =
        ReplayOptions { interval_ms: options.interval_ms, ..ReplayOptions::new(options.start_ms, 0) };
    let mut live = Live::new(files, replay);
    let mut logged = BTreeSet::new();
    while let Some(next_ms) = live.next_ms() {
        let left_ms = u64::try_from(next_ms - recording.now_ms()).unwrap_or(0);
        if !over.rest(Duration::from_millis(left_ms)) {
            return;
        }
        // A recording that has stopped ends the run itself.
        let Ok(snapshot) = recording.snapshot() else { return };
        let at_ms = recording.now_ms();
        live.advance(&snapshot, at_ms);
        drop(snapshot);
        for failure in live.failures() {
            if logged.len() < MAX_LOGGED && logged.insert(failure.clone()) {
                tracing::warn!("a rule could not be evaluated: {failure}");
            }
        }
        if !shared.is_judged.load(Ordering::Relaxed) {
            continue;
        }
        if let Some(alert) = live.firing().into_iter().find(|a| ends_load(a, &options.severities)) {
            *shared.alert.lock().unwrap_or_else(PoisonError::into_inner) = Some(aborting(alert, at_ms));
            control.abort();
            return;
        }
    }
}

fn ends_load(alert: &FiringAlert, severities: &[String]) -> bool {
    alert.labels.get("severity").is_some_and(|s| severities.iter().any(|wanted| wanted == s))
}

fn aborting(alert: FiringAlert, at_ms: i64) -> AbortingAlert {
    AbortingAlert {
        name: alert.name,
        labels: alert.labels.to_pairs().into_iter().collect(),
        value: alert.value,
        annotations: alert.annotations,
        at_ms,
    }
}

/// Informs the guard which phase is on.
struct PhaseWatch {
    shared: Arc<Shared>,
}

impl MetricsSink for PhaseWatch {
    fn phase_started(&mut self, phase: &Phase, _t_ms: i64) -> Result<(), SinkError> {
        self.shared.is_judged.store(!phase.warmup, Ordering::Relaxed);
        Ok(())
    }

    fn phase_ended(&mut self, _phase: &Phase, _t_ms: i64) -> Result<(), SinkError> {
        self.shared.is_judged.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn push(&mut self, _t_ms: i64, _families: &[MetricFamily]) -> Result<(), SinkError> {
        Ok(())
    }
}
