//! [`Exporter`]: the collectors that were asked for, and a scrape of them.
//!
//! Invariant: a scrape always answers. A collector that fails, or that there was no time for, shows in
//! `node_scrape_collector_success`.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use assay_model::expo::MetricFamily;

use crate::{
    Failure, Families, Host, Options, OptionsError,
    collector::{self, Collector},
    process,
};

/// The host's metrics, to be gathered as often as one likes and from any thread.
pub struct Exporter {
    host: Host,
    collectors: Vec<Running>,
    own_metrics: bool,
}

struct Running {
    name: &'static str,
    collector: Box<dyn Collector>,
    /// Whether the last scrape failed: a failure is logged when it begins and when it ends.
    is_failing: AtomicBool,
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
        let collectors = collector::REGISTRY
            .iter()
            .filter(|entry| options.collectors.contains(entry.name))
            .map(|entry| Running {
                name: entry.name,
                collector: (entry.build)(&options),
                is_failing: AtomicBool::new(false),
            })
            .collect();
        let host = Host { paths: options.paths, deadline: None };
        Self { host, collectors, own_metrics: options.own_metrics }
    }

    /// The names of the collectors that run, sorted.
    pub fn collectors(&self) -> impl Iterator<Item = &'static str> {
        self.collectors.iter().map(|running| running.name)
    }

    /// Reads everything now. Families are sorted by name, metrics by their labels. This blocks for as long as
    /// the kernel takes, a millisecond or two as a rule.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.gather_selected(&Selection::All, None)
    }

    /// Reads what is selected. Collectors that `deadline` leaves no time for are not asked and count as failed.
    #[must_use]
    pub fn gather_selected(&self, selection: &Selection, deadline: Option<Instant>) -> Vec<MetricFamily> {
        let host = Host { deadline, ..self.host.clone() };
        let mut out = Families::new();
        for running in self.collectors.iter().filter(|running| selection.has(running.name)) {
            let start = Instant::now();
            let result = match deadline {
                Some(deadline) if start >= deadline => {
                    Err(Failure::Other("the scraper's timeout left no time".into()))
                }
                _ => running.collector.collect(&host, &mut out),
            };
            running.log(result.as_ref().err());
            let labels = [("collector", running.name)];
            let seconds = start.elapsed().as_secs_f64();
            out.gauge(
                "node_scrape_collector_duration_seconds",
                "Seconds that the collector took.",
                &labels,
                seconds,
            );
            let success = f64::from(u8::from(result.is_ok()));
            out.gauge("node_scrape_collector_success", "1 where the collector succeeded.", &labels, success);
        }
        if self.own_metrics {
            process::own(&mut out);
            build_info(&mut out);
        }
        out.finish()
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
                Err(unknown @ OptionsError::UnknownCollector { .. }) => {
                    return Err(SelectError::Unknown(unknown.to_string()));
                }
                // What is excluded need not run.
                _ if exclude.is_empty() && !self.collectors().any(|running| running == name) => {
                    return Err(SelectError::Disabled(name.clone()));
                }
                _ => {}
            }
        }
        Ok(match (collect, exclude) {
            ([], []) => Selection::All,
            ([], exclude) => Selection::Without(exclude.iter().cloned().collect()),
            (collect, _) => Selection::Only(collect.iter().cloned().collect()),
        })
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

impl Running {
    fn log(&self, failure: Option<&Failure>) {
        let collector = self.name;
        let was_failing = self.is_failing.swap(failure.is_some(), Ordering::Relaxed);
        match (was_failing, failure) {
            (false, Some(failure @ Failure::Absent(_))) => {
                tracing::debug!(collector, "nothing to collect: {failure}");
            }
            (false, Some(failure)) => tracing::error!(collector, "collector failed: {failure}"),
            (true, None) => tracing::info!(collector, "collector works again"),
            _ => {}
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
