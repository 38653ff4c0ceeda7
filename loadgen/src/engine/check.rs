//! From options to a run that can begin. Invariant: a [`Checked`] has a target that answered, and limits that its
//! users fit in; nothing was written and no load was sent.

use std::sync::Arc;

use super::{
    error::{OptionsError, RunError},
    options::{Outputs, RunOptions},
    request::Target,
    run::Run,
    shard::Shard,
};
use crate::{
    client::{
        connection::Settings,
        origin::{Origin, basic},
        probe::probe,
        proxy::Proxy,
        tls,
    },
    control::{Control, Signals},
    scenario::{Capacity, Phase, Scenario, capacity::Plan as Rates, executor::Plan},
    summary::{Summary, Threshold},
};

/// A run that can begin.
pub struct Checked {
    /// Who learns what is measured; may still be added to.
    pub outputs: Outputs,
    /// What distinguishes this run's series from another's: the value of `load_run`.
    pub(crate) id: String,
    pub(crate) mode: Option<String>,
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) target: Target,
    pub(super) settings: Settings,
    /// With their times scaled.
    pub(super) phases: Vec<Phase>,
    /// With its times scaled.
    pub(super) capacity: Option<Capacity>,
    pub(crate) shard: Shard,
    pub(super) start_at_ms: Option<i64>,
    pub(crate) seed: u64,
    pub(super) workers: usize,
    pub(super) environment: Vec<(String, String)>,
    pub(super) thresholds: Vec<Threshold>,
    pub(super) control: Control,
    pub(super) signals: Signals,
}

impl RunOptions {
    /// Checks what can be checked before a record begins: options, limits, and the target's health.
    ///
    /// # Errors
    /// What is wrong with the options, or that the target is not healthy.
    pub async fn check(self) -> Result<Checked, RunError> {
        let scenario = self.scenario;
        let target = resolve_target(&scenario, self.target.as_deref())?;
        if !(self.time_scale.is_finite() && self.time_scale > 0.0) {
            return Err(OptionsError::TimeScale(self.time_scale).into());
        }
        if self.phases.is_empty() && self.capacity.is_none() {
            return Err(OptionsError::NoPhase.into());
        }
        let scaled = |p: Phase| Phase { executor: p.executor.scaled(self.time_scale), ..p };
        let phases: Vec<Phase> = self.phases.into_iter().map(scaled).collect();
        let capacity = self.capacity.map(|c| c.scaled(self.time_scale));
        check_names(&phases)?;
        check_shard(self.shard, &phases, capacity.as_ref())?;
        let users = self.shard.of_users(most_users(&phases, capacity.as_ref())).max(1);
        check_descriptors(users)?;
        let settings = settings(&scenario, &target, self.proxy.as_deref())?;
        let health = scenario.health.as_ref().map(|p| format!("{}{p}", target.prefix));
        let (probed, with) = (target.clone(), settings.clone());
        tokio::task::spawn_blocking(move || {
            probe(&probed.origin, health.as_deref(), probed.authorization, &with)
        })
        .await
        .map_err(std::io::Error::other)??;
        Ok(Checked {
            outputs: self.outputs,
            id: format!("{:016x}", rand::random::<u64>()),
            mode: self.mode,
            scenario,
            target,
            settings,
            phases,
            capacity,
            shard: self.shard,
            start_at_ms: self.start_at_ms,
            seed: self.seed,
            workers: self.workers.unwrap_or_else(default_workers).clamp(1, users as usize),
            environment: self.environment,
            thresholds: self.thresholds,
            control: self.control,
            signals: self.signals,
        })
    }
}

impl Checked {
    /// A handle to steer the run with.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Runs the phases and gives the summary, also if the run was stopped early.
    ///
    /// # Errors
    /// Where the run could not start, or a sink could not take the measurements.
    pub async fn run(self) -> Result<Summary, RunError> {
        Run::prepare(self)?.drive().await
    }
}

fn settings(scenario: &Scenario, target: &Target, proxy: Option<&str>) -> Result<Settings, OptionsError> {
    let needs_roots = target.origin.is_tls || scenario.tls.ca.is_some();
    let proxy = match proxy {
        Some(text) => Some(Proxy::parse(text)?),
        None => scenario.proxy.clone(),
    };
    Ok(Settings {
        tls: tls::config(&scenario.tls, scenario.version, needs_roots)?,
        version: scenario.version,
        proxy: proxy.map(Arc::new),
    })
}

fn most_users(phases: &[Phase], capacity: Option<&Capacity>) -> u32 {
    let windows = capacity.map(|c| c.shape.vus.max(c.shape.max_vus));
    phases.iter().map(|p| p.executor.max_users()).chain(windows).max().unwrap_or(1).max(1)
}

fn resolve_target(scenario: &Scenario, given: Option<&str>) -> Result<Target, OptionsError> {
    let text = given.or(scenario.target.as_deref()).ok_or(OptionsError::NoTarget)?;
    let url =
        url::Url::parse(text).map_err(|source| OptionsError::TargetUrl { text: text.to_owned(), source })?;
    let origin = Origin::of(&url).map_err(|source| OptionsError::Target { text: text.to_owned(), source })?;
    let prefix = url.path().trim_end_matches('/').to_owned();
    Ok(Target { origin: Arc::new(origin), prefix, authorization: basic(&url) })
}

/// A phase's series are distinguished by its name.
fn check_names(phases: &[Phase]) -> Result<(), OptionsError> {
    for (i, phase) in phases.iter().enumerate() {
        if phases[..i].iter().any(|p| p.name == phase.name) {
            return Err(OptionsError::DuplicatePhase(phase.name.clone()));
        }
    }
    Ok(())
}

/// A start that falls to a shard needs a user there, and shards that search would each find another rate.
fn check_shard(shard: Shard, phases: &[Phase], capacity: Option<&Capacity>) -> Result<(), OptionsError> {
    let shards = shard.count();
    if shard.is_shared() && capacity.is_some_and(|c| matches!(c.plan, Rates::Search(_))) {
        return Err(OptionsError::SharedSearch);
    }
    let windows = capacity.map(|c| ("the sweep", c.shape.vus.max(c.shape.max_vus)));
    let open = phases.iter().filter(|p| matches!(p.executor.plan(), Plan::Schedule(_)));
    let users = open.map(|p| (p.name.as_str(), p.executor.max_users())).chain(windows);
    match users.into_iter().find(|(_, users)| *users < shards) {
        Some((name, users)) => Err(OptionsError::TooFewUsers { name: name.to_owned(), users, shards }),
        None => Ok(()),
    }
}

/// Each user may hold a connection; said at the start rather than found out under load.
fn check_descriptors(users: u32) -> Result<(), OptionsError> {
    let needed = u64::from(users) + 64;
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    match limits.current {
        Some(limit) if limit < needed => Err(OptionsError::Descriptors { users, needed, limit }),
        _ => Ok(()),
    }
}

/// Half the processors: the other half is for the rest of the machine, often the service itself.
fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2))
}
