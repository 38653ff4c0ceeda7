//! What a run is asked to do. Invariant: options are only wishes; [`RunOptions::check`] makes a run of them or says
//! why there is none.

use std::{path::PathBuf, sync::Arc};

use super::shard::Shard;
use crate::{
    client::route::Route,
    control::{Control, Signals},
    examples::Examples,
    progress::{Quiet, View},
    scenario::{Capacity, Phase, Scenario},
    sink::{MetricsSink, requests::RequestsFile},
    summary::Threshold,
    trace::Tracer,
};

/// What a run is to do.
pub struct RunOptions {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Where the load goes; `None` for the scenario's own target.
    pub target: Option<String>,
    /// The HTTP proxy that all connections go through; `None` for the scenario's own, if it has one.
    pub proxy: Option<String>,
    /// Whether any certificate of a server is taken, whatever the scenario says.
    pub insecure: bool,
    /// Where connections go, other than where their host is; before the scenario's own.
    pub routes: Vec<Route>,
    /// The name of the mode that the phases are of, if one was chosen.
    pub mode: Option<String>,
    /// The phases, in order.
    pub phases: Vec<Phase>,
    /// A search or a sweep that follows the phases.
    pub capacity: Option<Capacity>,
    /// Which part of the load this run drives.
    pub shard: Shard,
    /// When the first phase starts, in milliseconds since the Unix epoch; `None` for at once.
    pub start_at_ms: Option<i64>,
    /// The seed of everything random.
    pub seed: u64,
    /// What all phase times are multiplied by.
    pub time_scale: f64,
    /// Worker threads; `None` for half the processors.
    pub workers: Option<usize>,
    /// Environment variables that only this run's templates see.
    pub environment: Vec<(String, String)>,
    /// What figures of the run must be.
    pub thresholds: Vec<Threshold>,
    /// Who learns what is measured.
    pub outputs: Outputs,
    pub(super) control: Control,
    pub(super) signals: Signals,
}

/// Who learns what a run measures, and how it stands.
pub struct Outputs {
    /// Where measurements go.
    pub sinks: Vec<Box<dyn MetricsSink>>,
    /// Makes spans of iterations and requests; `None` for none, which costs nothing.
    pub tracer: Option<Tracer>,
    /// A file with a line for each request.
    pub requests: Option<RequestsFile>,
    /// Takes examples of failures; `None` for none.
    pub examples: Option<Arc<Examples>>,
    /// A directory for the percentile files of each phase and step, written at the end.
    pub hgrm: Option<PathBuf>,
    /// What a person sees.
    pub view: Box<dyn View>,
}

impl Default for Outputs {
    fn default() -> Self {
        Self {
            sinks: Vec::new(),
            tracer: None,
            requests: None,
            examples: None,
            hgrm: None,
            view: Box::new(Quiet),
        }
    }
}

impl RunOptions {
    /// The scenario's default phases against its own target, without outputs.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>) -> Self {
        let (control, signals) = Control::new();
        Self {
            phases: scenario.default_phases(),
            capacity: scenario.capacity(None).cloned(),
            scenario,
            mode: None,
            target: None,
            proxy: None,
            insecure: false,
            routes: Vec::new(),
            shard: Shard::default(),
            start_at_ms: None,
            seed: 1,
            time_scale: 1.0,
            workers: None,
            environment: Vec::new(),
            thresholds: Vec::new(),
            outputs: Outputs::default(),
            control,
            signals,
        }
    }

    /// The most that phase times may be multiplied by, so that their sums stay within what a clock can tell.
    pub const MOST_TIME_SCALE: f64 = 1e3;

    /// Whether phase times can be multiplied by this.
    #[must_use]
    pub fn is_time_scale(scale: f64) -> bool {
        scale > 0.0 && scale <= Self::MOST_TIME_SCALE
    }

    /// A handle to steer the run with.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }
}
