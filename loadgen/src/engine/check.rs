//! From options to a run that can begin. Invariant: a [`Checked`] has a target that answered, and limits that its
//! users fit in; nothing was written and no load was sent.

use std::{path::PathBuf, sync::Arc};

use assay_platform::descriptors;

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
        route::{self, Route},
        tls::{self, TlsFiles},
    },
    control::{Control, Signals},
    scenario::{Capacity, Phase, Scenario, capacity::Plan as Rates},
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
    /// What a reader of the run should know of how it was made.
    pub(crate) notes: Vec<String>,
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
        let (target, socket) = resolve_target(&scenario, self.target.as_deref())?;
        if !Self::is_time_scale(self.time_scale) {
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
        let reach =
            Reach { proxy: self.proxy.as_deref(), insecure: self.insecure, routes: self.routes, socket };
        let (settings, notes) = settings(&scenario, &target, reach)?;
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
            notes,
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

/// What the options say of the way to the target.
struct Reach<'o> {
    proxy: Option<&'o str>,
    insecure: bool,
    routes: Vec<Route>,
    socket: Option<PathBuf>,
}

/// How connections are made, and what a reader should know of it.
fn settings(
    scenario: &Scenario,
    target: &Target,
    reach: Reach<'_>,
) -> Result<(Settings, Vec<String>), OptionsError> {
    let needs_roots = target.origin.is_tls || scenario.tls.ca.is_some();
    let proxy = match reach.proxy {
        Some(text) => Some(Proxy::parse(text)?),
        None => scenario.proxy.clone(),
    };
    if proxy.is_some() && reach.socket.is_some() {
        return Err(OptionsError::SocketThroughProxy);
    }
    let tls = TlsFiles { insecure: reach.insecure || scenario.tls.insecure, ..scenario.tls.clone() };
    let mut routes = reach.routes;
    routes.extend(scenario.routes.iter().cloned());
    let mut notes: Vec<String> = routes.iter().map(|route| format!("{route} (resolve)")).collect();
    if tls.insecure {
        notes.push("the certificates of servers were not verified (insecure)".to_owned());
    }
    routes.extend(reach.socket.map(|path| Route::to_socket(&target.origin, path)));
    let settings = Settings {
        tls: tls::config(&tls, scenario.version, needs_roots)?,
        version: scenario.version,
        proxy: proxy.map(Arc::new),
        routes: routes.into(),
    };
    Ok((settings, notes))
}

fn most_users(phases: &[Phase], capacity: Option<&Capacity>) -> u32 {
    let windows = capacity.map(Capacity::max_users);
    phases.iter().map(|p| p.executor.max_users()).chain(windows).max().unwrap_or(1).max(1)
}

/// Where the load goes, and the socket if that is one.
fn resolve_target(
    scenario: &Scenario,
    given: Option<&str>,
) -> Result<(Target, Option<PathBuf>), OptionsError> {
    let text = given.or(scenario.target.as_deref()).ok_or(OptionsError::NoTarget)?;
    let socket = route::socket(text).transpose()?;
    // The host of a socket, for servers that ask for one.
    let location = if socket.is_some() { "http://localhost" } else { text };
    let url = url::Url::parse(location)
        .map_err(|source| OptionsError::TargetUrl { text: text.to_owned(), source })?;
    let origin = Origin::of(&url).map_err(|source| OptionsError::Target { text: text.to_owned(), source })?;
    let prefix = url.path().trim_end_matches('/').to_owned();
    let shown = match &socket {
        Some(path) => format!("unix:{}", path.display()),
        None => origin.to_string(),
    };
    Ok((Target { origin: Arc::new(origin), prefix, shown, authorization: basic(&url) }, socket))
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
    let windows = capacity.map(|c| ("the sweep", c.max_users()));
    let open = phases.iter().filter(|p| p.executor.plan().is_open());
    let users = open.map(|p| (p.name.as_str(), p.executor.max_users())).chain(windows);
    match users.into_iter().find(|(_, users)| *users < shards) {
        Some((name, users)) => Err(OptionsError::TooFewUsers { name: name.to_owned(), users, shards }),
        None => Ok(()),
    }
}

/// Each user may hold a connection; said at the start rather than found out under load.
fn check_descriptors(users: u32) -> Result<(), OptionsError> {
    let needed = u64::from(users) + 64;
    match descriptors::limit() {
        Some(limit) if limit < needed => Err(OptionsError::Descriptors { users, needed, limit }),
        _ => Ok(()),
    }
}

/// Half the processors: the other half is for the rest of the machine, often the service itself.
fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2))
}
