//! What a run is told, and what is checked before it begins. Invariant: a run that passes its checks has a
//! target that answers, and limits that its users fit in.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{request::Target, shard::Shard};
use crate::{
    capacity::{Capacity, Plan},
    client::{connection::Settings, origin::Origin, probe::probe, proxy::Proxy, tls},
    scenario::{Phase, Scenario},
    sink::{MetricsSink, SinkError},
    trace::Tracer,
    view::View,
};

/// What a run is to do.
pub struct RunOptions {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Where the load goes; `None` for the scenario's own target.
    pub target: Option<String>,
    /// The HTTP proxy that all connections go through; `None` for the scenario's own, if it has one.
    pub proxy: Option<String>,
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
    /// Where measurements go.
    pub sinks: Vec<Box<dyn MetricsSink>>,
    /// Makes spans of iterations and requests; `None` for none, which costs nothing.
    pub tracer: Option<Tracer>,
    /// A directory for the percentile files of each phase and step, written at the end.
    pub hgrm: Option<PathBuf>,
    /// What a person sees.
    pub view: Box<dyn View>,
    pub(super) control: (Control, UnboundedReceiver<Signal>),
    pub(super) checked: Option<Checked>,
}

/// What checking found out.
pub(super) struct Checked {
    pub(super) target: Target,
    pub(super) phases: Vec<Phase>,
    pub(super) settings: Settings,
}

pub(super) async fn checked(options: &RunOptions) -> Result<Checked, RunError> {
    let bad = RunError::BadInput;
    let scenario = &options.scenario;
    let target = resolve_target(scenario, options.target.as_deref()).map_err(bad)?;
    if !(options.time_scale.is_finite() && options.time_scale > 0.0) {
        return Err(bad(format!("the time scale {} is not above 0", options.time_scale)));
    }
    if options.phases.is_empty() && options.capacity.is_none() {
        return Err(bad("there is no phase to run".to_owned()));
    }
    let scaled = |p: &Phase| Phase { executor: p.executor.scaled(options.time_scale), ..p.clone() };
    let phases: Vec<Phase> = options.phases.iter().map(scaled).collect();
    check_names(&phases).map_err(bad)?;
    check_shard(options.shard, &phases, options.capacity.as_ref()).map_err(bad)?;
    let users = most_users(&phases, options.capacity.as_ref());
    check_descriptors(options.shard.of_users(users)).map_err(bad)?;
    let origin = target.origin.clone();
    let needs_roots = origin.is_tls || scenario.tls.ca.is_some();
    let settings = Settings {
        tls: tls::config(&scenario.tls, scenario.version, needs_roots).map_err(bad)?,
        version: scenario.version,
        proxy: match &options.proxy {
            Some(text) => Some(Proxy::parse(text).map_err(bad)?),
            None => scenario.proxy.clone(),
        }
        .map(Arc::new),
    };
    let health = scenario.health.as_ref().map(|p| format!("{}{p}", target.prefix));
    let probe_settings = settings.clone();
    tokio::task::spawn_blocking(move || probe(&origin, health.as_deref(), &probe_settings))
        .await
        .map_err(|e| RunError::System(std::io::Error::other(e)))?
        .map_err(RunError::Unhealthy)?;
    Ok(Checked { target, phases, settings })
}

pub(super) fn most_users(phases: &[Phase], capacity: Option<&Capacity>) -> u32 {
    let windows = capacity.map(|c| c.shape.vus.max(c.shape.max_vus));
    phases.iter().map(|p| p.executor.max_users()).chain(windows).max().unwrap_or(1).max(1)
}

/// Steers a run from outside.
#[derive(Clone, Debug)]
pub struct Control {
    signals: UnboundedSender<Signal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Stop,
    EndPhase,
    Pause(bool),
}

impl Control {
    /// Ends the run: requests in flight get a second, the record is completed.
    pub fn stop(&self) {
        let _ = self.signals.send(Signal::Stop);
    }

    /// Ends the current phase, as if its time were over.
    pub fn end_phase(&self) {
        let _ = self.signals.send(Signal::EndPhase);
    }

    /// Holds new iterations back, or lets them go on.
    pub fn pause(&self, paused: bool) {
        let _ = self.signals.send(Signal::Pause(paused));
    }
}

/// Why a run did not take place, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The options or the scenario's surroundings are wrong.
    #[error("{0}")]
    BadInput(String),
    /// The target did not pass its health check.
    #[error("{0}")]
    Unhealthy(String),
    /// A sink could not take the measurements.
    #[error("{0}")]
    Sink(#[from] SinkError),
    /// The system could not give what the run needs.
    #[error("cannot start the load: {0}")]
    System(#[from] std::io::Error),
}

impl RunOptions {
    /// The scenario's default phases against its own target, without sinks and view.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>) -> Self {
        let (signals, receiver) = unbounded_channel();
        Self {
            phases: scenario.default_phases(),
            capacity: scenario.capacity(None).cloned(),
            scenario,
            target: None,
            proxy: None,
            shard: Shard::default(),
            start_at_ms: None,
            seed: 1,
            time_scale: 1.0,
            workers: None,
            environment: Vec::new(),
            sinks: Vec::new(),
            tracer: None,
            hgrm: None,
            view: Box::new(crate::view::Quiet),
            control: (Control { signals }, receiver),
            checked: None,
        }
    }

    /// A handle to steer the run with.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.0.clone()
    }

    /// Checks what can be checked before a record is begun: options, limits, and the target's health.
    ///
    /// # Errors
    /// As [`run`](crate::run), which does not check again.
    pub async fn check(&mut self) -> Result<(), RunError> {
        if self.checked.is_none() {
            self.checked = Some(checked(self).await?);
        }
        Ok(())
    }
}
fn resolve_target(scenario: &Scenario, given: Option<&str>) -> Result<Target, String> {
    let text = given.or(scenario.target.as_deref()).ok_or(
        "there is no target: give --target URL, or the key target in the scenario, such as http://127.0.0.1:8000",
    )?;
    let url = url::Url::parse(text).map_err(|e| {
        format!("the target {text:?} is not a URL: {e}; write for example http://127.0.0.1:8000")
    })?;
    let origin = Origin::of(&url).map_err(|e| format!("the target {text:?}: {e}"))?;
    let prefix = url.path().trim_end_matches('/').to_owned();
    Ok(Target { origin: Arc::new(origin), prefix })
}

/// A phase's series are told apart by its name.
fn check_names(phases: &[Phase]) -> Result<(), String> {
    for (i, phase) in phases.iter().enumerate() {
        if phases[..i].iter().any(|p| p.name == phase.name) {
            return Err(format!("the phase {:?} stands twice in the run; its series would mix", phase.name));
        }
    }
    Ok(())
}

/// A start that falls to a shard needs a user there, and shards that search would each find another rate.
fn check_shard(shard: Shard, phases: &[Phase], capacity: Option<&Capacity>) -> Result<(), String> {
    let count = shard.count();
    if shard.is_shared() && capacity.is_some_and(|c| matches!(c.plan, Plan::Search(_))) {
        return Err(
            "a search cannot be shared by shards, for each would see a part of the load; a sweep can"
                .to_owned(),
        );
    }
    let windows = capacity.map(|c| ("the sweep", c.shape.vus.max(c.shape.max_vus)));
    let open = phases.iter().filter(|p| p.executor.target_rate_per_s(Duration::ZERO).is_some());
    let users = open.map(|p| (p.name.as_str(), p.executor.max_users())).chain(windows);
    match users.into_iter().find(|(_, users)| *users < count) {
        Some((name, users)) => Err(format!(
            "{name}: {users} users are too few for {count} shards; each shard needs at least one (max_vus)"
        )),
        None => Ok(()),
    }
}

/// Each user may hold a connection; said at the start rather than found out under load.
fn check_descriptors(users: u32) -> Result<(), String> {
    let needed = u64::from(users) + 64;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    match limit.current {
        Some(current) if current < needed => Err(format!(
            "{users} users need {needed} file descriptors and the limit is {current}; raise it with: ulimit -n {needed}"
        )),
        _ => Ok(()),
    }
}

/// Half the processors: the other half is for the rest of the machine, often the service itself.
pub(super) fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2))
}
