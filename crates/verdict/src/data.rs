//! The verdict's view of a run's series: each window on its own, counters complete.
//!
//! Invariant: a sample that the run does not hold is added only where its value is known (see `counters`), and every
//! one that changes a figure is named.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use assay_model::{Labels, Matcher, QueryError, Queryable};

use crate::verdict::{AddedSample, PhaseInfo, PhaseSource, RunInfo, Window};

mod cached;
pub mod complete;
mod counters;
mod targets;
mod view;

use cached::Cached;
pub use targets::{Target, TargetKey};
pub use view::WindowView;

/// How far before a window a series is looked for, to tell one that is new from one that had a pause.
const BEFORE_MS: i64 = 3_600_000;
/// How far after a window the value of a counter at a phase's end is looked for.
const AFTER_MS: i64 = 600_000;

/// A run's series, with what is known of its targets and its phases.
pub struct RunData<'a> {
    source: Cached<'a>,
    /// Those that the run names itself: of phases given by hand the generator knows nothing.
    phases: &'a [PhaseInfo],
    /// From where to where samples may be read.
    span_ms: (i64, i64),
    targets: Mutex<BTreeMap<TargetKey, Arc<Target>>>,
}

impl<'a> RunData<'a> {
    /// The series of a run.
    #[must_use]
    pub fn new(source: &'a dyn Queryable, run: &'a RunInfo) -> Self {
        let span_ms = (run.start_ms.saturating_sub(BEFORE_MS), run.end_ms.saturating_add(AFTER_MS));
        let is_own = matches!(run.phases_from, PhaseSource::Plan | PhaseSource::Manifest);
        let phases = if is_own { run.phases.as_slice() } else { &[] };
        Self { source: Cached::new(source), phases, span_ms, targets: Mutex::default() }
    }

    /// The series as they are.
    #[must_use]
    pub fn source(&self) -> &dyn Queryable {
        &self.source
    }

    /// The series as a window is judged by.
    #[must_use]
    pub fn window(&self, window: &Window) -> WindowView<'_> {
        WindowView::new(self, window)
    }

    /// When a target's samples were taken. Asked for once.
    ///
    /// # Errors
    /// If the source cannot be read.
    pub fn target(&self, key: &TargetKey) -> Result<Arc<Target>, QueryError> {
        let known = self.targets.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let target = Arc::new(Target::read(&self.source, key, self.span_ms)?);
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(targets.entry(key.clone()).or_insert(target)))
    }

    /// The longest interval at which any of the targets that have samples in a window is scraped.
    ///
    /// # Errors
    /// If the source cannot be read.
    pub fn interval_ms(&self, window: &Window, matchers: &[Vec<Matcher>]) -> Result<i64, QueryError> {
        let mut longest_ms = 0;
        for matchers in matchers {
            for series in self.source.select(matchers, window.start_ms + 1, window.end_ms)? {
                let target = self.target(&TargetKey::of(series.labels()))?;
                longest_ms = longest_ms.max(target.interval_ms);
            }
        }
        Ok(longest_ms)
    }

    /// When the phase that a series of the generator belongs to began and ended.
    fn phase_of(&self, labels: &Labels) -> Option<(i64, i64)> {
        let name = labels.get(assay_run::plan::PHASE_LABEL)?;
        let phase = self.phases.iter().find(|p| p.name == name)?;
        Some((phase.start_ms, phase.end_ms))
    }
}

/// The samples that were added for a window, each once.
#[derive(Debug, Default)]
pub struct Added(Mutex<BTreeMap<(Labels, i64), AddedSample>>);

impl Added {
    fn note(&self, labels: &Labels, sample: AddedSample) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((labels.clone(), sample.t_ms), sample);
    }

    /// Takes all out, by series and time.
    pub fn take(&self) -> Vec<AddedSample> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all).into_values().collect()
    }
}
