//! What happened in a run, and why: findings, each with the figures it rests on.
//!
//! A verdict says what was missed; a finding says what changed. Invariants: a finding compares (with a limit, another phase,
//! the time before), it never rests on a share alone; what a slow service does to the generator is never the generator's
//! fault; the same run yields the same findings in the same order.

use std::fmt::Write as _;

use assay_model::{METRIC_NAME, Matcher};
use assay_run::traces::Span;
use serde::{Deserialize, Serialize};

use crate::{
    data::RunData,
    parallel,
    source::{RecordedSource, SourceError},
    verdict::{AlertRow, Status, Verdict, Window},
};

mod devices;
mod doubts;
mod drift;
mod errors;
mod freezes;
mod generator;
mod knee;
mod leaks;
mod network;
mod paths;
mod queues;
mod resources;
mod seen;
mod stages;
mod throttling;
mod warmup;

use seen::Seen;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is wrong with it.
    Info,
    /// Something is not as it should be.
    Warning,
    /// It explains what the verdict misses.
    Critical,
}

impl Severity {
    /// The word that reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Something else may well explain it.
    Low,
    /// It fits, and nothing speaks against it.
    Medium,
    /// Measured directly.
    High,
}

impl Confidence {
    /// The word that reports use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Something that happened, and what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// A stable name, such as `B001`; `docs/findings.md` has a section for each.
    pub id: String,
    /// The id in words, such as `stage-slow`.
    pub name: String,
    /// What it is about: a stage, a job, a step; empty where there is only one.
    pub subject: String,
    /// The finding in one sentence.
    pub title: String,
    /// How much it matters.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// The judged window in which it was found.
    pub window: Window,
    /// When it was so, in milliseconds since the Unix epoch, if that is less than the window.
    pub span_ms: Option<(i64, i64)>,
    /// The figures.
    pub evidence: Vec<Evidence>,
    /// What would speak against it.
    pub against: String,
    /// What to do about it.
    pub action: Option<Action>,
}

/// A figure, and what it is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What is measured, and what it is compared with, in words.
    pub what: String,
    /// The PromQL that yields `after` at the window's end; empty for what no one expression yields.
    pub expression: String,
    /// The figure that it is compared with: a limit, or how it was before or elsewhere.
    pub before: Option<f64>,
    /// The figure.
    pub after: f64,
    /// The unit of both.
    pub unit: String,
}

/// What to do, and what it would bring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// What to do.
    pub text: String,
    /// The part of a request's time that it would save, 0 to 1, if that can be estimated.
    #[serde(default)]
    pub saves: Option<f64>,
    /// What it would bring, as far as the run shows; empty if it does not.
    pub gain: String,
    /// How the gain was estimated.
    pub how: String,
}

/// An id with its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Such as `B001`.
    pub id: &'static str,
    /// Such as `stage-slow`.
    pub name: &'static str,
}

/// All kinds, in the order in which they explain: what is wrong with the measurement, resources, throttling, freezes and
/// outages, a stage, a queue, the code.
pub const KINDS: [Kind; 34] = [
    generator::LATE,
    generator::FROZEN,
    generator::BUSY,
    warmup::KIND,
    doubts::LITTLE,
    resources::CPU_OTHERS,
    resources::CPU,
    resources::MEMORY,
    resources::OOM,
    devices::XID,
    devices::DISK,
    network::KIND,
    leaks::MEMORY,
    leaks::FILES,
    leaks::THREADS,
    throttling::CPU,
    throttling::GPU,
    freezes::RESTART,
    freezes::OUTAGE,
    freezes::FREEZE,
    freezes::PART,
    stages::SLOW,
    stages::CACHE,
    queues::MODEL,
    queues::POOL,
    queues::BEFORE_SERVICE,
    devices::GPU,
    paths::KIND,
    errors::STREAMS,
    errors::FAILED,
    drift::KIND,
    generator::USERS,
    doubts::FEW,
    knee::KIND,
];

/// Jobs that watch, and are no part of the service.
const OBSERVERS: [&str; 4] = ["loadgen", "exporter", "node", "prometheus"];

/// The metrics that findings read, as regular expressions of names, for those that fetch only what is needed.
pub(crate) const METRICS: &[&str] = &[
    "up",
    "load_schedule_lag_seconds",
    "load_users",
    "load_rate_target_per_second",
    "load_cpu_time_seconds_total",
    "load_iterations_total",
    "load_iterations_dropped_total",
    "load_checks_total",
    "load_received_bytes_total",
    "http_client_request_duration_seconds(_(bucket|count|sum))?",
    "gen_ai_client_operation_time_to_first_chunk_seconds(_(bucket|count|sum))?",
    "gen_ai_client_operation_time_per_output_chunk_seconds(_(bucket|count|sum))?",
    "http_server_request_duration_seconds(_(bucket|count|sum))?",
    "http_server_active_requests",
    "rag_stage_duration_seconds(_(bucket|count|sum))?",
    "rag_cache_requests_total",
    "rag_llm_(queued|active|slots)",
    "rag_part_ready",
    "vllm:num_requests_(waiting|running)",
    "db_client_connection_(pending_requests|count|max)",
    "hikaricp_connections_(pending|active|max)",
    "go_sql_(wait_duration_seconds_total|in_use_connections|max_open_connections)",
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_(open|max)_fds",
    "process_threads",
    "process_thread_count",
    "jvm_threads_live_threads",
    "go_goroutines",
    "namedprocess_namegroup_(memory_bytes|open_filedesc|num_threads)",
    "container_(memory_working_set_bytes|file_descriptors|threads)",
    "container_cpu_cfs_(throttled_)?periods_total",
    "node_cpu_seconds_total",
    "node_pressure_(cpu|io|memory)_waiting_seconds_total",
    "node_memory_(MemAvailable|MemTotal)_bytes",
    "node_vmstat_(oom_kill|pswpin|pswpout)",
    "node_disk_io_time_(weighted_)?seconds_total",
    "node_network_(receive|transmit)_(bytes|packets|errs|drop)_total",
    "node_network_speed_bytes",
    "node_netstat_Tcp_(RetransSegs|OutSegs)",
    "node_netstat_TcpExt_ListenOverflows",
    "node_nf_conntrack_entries(_limit)?",
    "exporter_gpu_xid_errors_total",
    "DCGM_FI_DEV_(XID_ERRORS|GPU_UTIL|SM_CLOCK|CLOCK_THROTTLE_REASONS|CLOCKS_EVENT_REASONS)",
    "DCGM_FI_PROF_SM_ACTIVE",
];

/// Looks for one kind of thing in one window.
type Finder = fn(&Seen<'_>) -> Result<Vec<Finding>, SourceError>;

const FINDERS: [Finder; 15] = [
    generator::find,
    warmup::find,
    doubts::find,
    resources::find,
    devices::find,
    network::find,
    leaks::find,
    throttling::find,
    freezes::find,
    stages::find,
    queues::find,
    paths::find,
    errors::find,
    drift::find,
    generator::find_users,
];

/// The kind that an id or its words name, such as `B001` or `stage-slow`.
///
/// # Errors
/// Where none has that name.
pub fn kind(text: &str) -> Result<Kind, String> {
    let found = KINDS.into_iter().find(|k| k.id.eq_ignore_ascii_case(text) || k.name == text);
    found.ok_or_else(|| {
        let names = KINDS.iter().flat_map(|k| [k.id, k.name]);
        let hint =
            assay_yaml::nearest(text, names).map_or_else(String::new, |n| format!("; did you mean {n:?}?"));
        format!("there is no finding {text:?}{hint}")
    })
}

/// What happened in the judged windows of a run, but for some kinds: the most serious first, and of these what explains the
/// others. `spans` are those of the run's traces.
///
/// # Errors
/// Where the series cannot be read.
pub fn find(
    data: &RunData<'_>,
    verdict: &Verdict,
    spans: &[Span],
    but: &[Kind],
) -> Result<Vec<Finding>, SourceError> {
    let mut found: Vec<Finding> = Vec::new();
    let whole = RecordedSource::new(data.source());
    for window in &windows(verdict) {
        let view = data.window(window);
        let within = RecordedSource::new(&view);
        let targets = ["up", "load_users"].map(|name| vec![Matcher::equal(METRIC_NAME, name)]);
        let interval_ms = data.interval_ms(window, &targets).map_err(SourceError::new)?;
        let seen = Seen::new(verdict, window, (&within, &whole), spans, interval_ms);
        for finding in parallel::each(&FINDERS, |finder| finder(&seen))?.into_iter().flatten() {
            add(&mut found, finding);
        }
    }
    found.extend(knee::find(verdict));
    found.retain(|f| but.iter().all(|k| k.id != f.id));
    without_consequences(&mut found);
    name_coincidences(&mut found);
    found.sort_by_key(|f| (std::cmp::Reverse(f.severity), rank(&f.id), f.window.start_ms, f.subject.clone()));
    Ok(found)
}

/// What is looked at: the judged windows; where the run is judged as a whole, its phases but for the warm-up.
fn windows(verdict: &Verdict) -> Vec<Window> {
    let is_whole = verdict.windows.iter().all(|w| w.phase.is_none());
    let phases = verdict.run.phases.iter().filter(|p| is_whole && !p.warmup);
    let mut list: Vec<Window> = phases
        .map(|p| Window {
            phase: Some(p.name.clone()),
            start_ms: p.start_ms,
            end_ms: p.end_ms,
            incomplete: None,
        })
        .collect();
    if list.is_empty() {
        list.clone_from(&verdict.windows);
    }
    list.retain(|w| w.len_ms() > 0);
    list
}

fn rank(id: &str) -> usize {
    KINDS.iter().position(|k| k.id == id).unwrap_or(KINDS.len())
}

/// Keeps one finding of a kind and subject: where it is worst, then where it was first.
fn add(found: &mut Vec<Finding>, finding: Finding) {
    match found.iter_mut().find(|f| f.id == finding.id && f.subject == finding.subject) {
        Some(known) if finding.severity > known.severity => *known = finding,
        Some(_) => {}
        None => found.push(finding),
    }
}

/// What another finding explains is worth knowing, and no more.
fn without_consequences(found: &mut [Finding]) {
    let has = |kinds: &[Kind]| {
        found.iter().any(|f| f.severity > Severity::Info && kinds.iter().any(|k| k.id == f.id))
    };
    let is_away = has(&[freezes::RESTART, freezes::OUTAGE, freezes::FREEZE, freezes::PART]);
    let is_frozen = has(&[generator::FROZEN]);
    let is_slow = is_away
        || is_frozen
        || has(&[resources::CPU, resources::CPU_OTHERS, resources::MEMORY, devices::DISK, throttling::CPU])
        || has(&[
            stages::SLOW,
            stages::CACHE,
            queues::MODEL,
            queues::POOL,
            queues::BEFORE_SERVICE,
            network::KIND,
        ]);
    for finding in found {
        let is_one_of = |kinds: &[Kind]| kinds.iter().any(|k| k.id == finding.id);
        let explained = (is_away && finding.id == errors::FAILED.id && finding.confidence == Confidence::Low)
            // What stands still or is away turns away and sends again.
            || (is_away && finding.id == network::KIND.id && finding.confidence != Confidence::High)
            || (is_frozen && is_one_of(&[generator::LATE, freezes::FREEZE]))
            || (is_slow && is_one_of(&[drift::KIND]));
        if explained {
            finding.severity = Severity::Info;
        }
    }
}

/// Says of failures that came at once what else was found at that time.
fn name_coincidences(found: &mut [Finding]) {
    let is_error = |f: &Finding| [errors::FAILED.id, errors::STREAMS.id].contains(&f.id.as_str());
    let others: Vec<_> = found
        .iter()
        .filter(|f| f.severity > Severity::Info && !is_error(f))
        .filter_map(|f| Some((f.span_ms?, format!("{} {}", f.id, f.subject).trim_end().to_owned())))
        .collect();
    for finding in found.iter_mut().filter(|f| is_error(f)) {
        let Some((from, to)) = finding.span_ms else { continue };
        let at_once = others.iter().filter(|(span, _)| span.0 <= to && span.1 >= from);
        let names: Vec<&str> = at_once.map(|(_, name)| name.as_str()).collect();
        if !names.is_empty() {
            let _ = write!(finding.title, "; at the same time: {}", names.join(", "));
        }
    }
}

impl Verdict {
    /// The findings that say what is wrong.
    pub fn key_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|f| f.severity > Severity::Info)
    }

    /// The findings that say what is wrong and what to do about it: what is wrong with the measurement first, since it puts the
    /// others in doubt, then by how much time is saved, then those whose gain is not known.
    #[must_use]
    pub fn recommendations(&self) -> Vec<(&Finding, &Action)> {
        let mut list: Vec<_> = self.key_findings().filter_map(|f| Some((f, f.action.as_ref()?))).collect();
        let key = |(finding, action): &(&Finding, &Action)| {
            let is_measurement = finding.id.starts_with(['G', 'D']);
            (!is_measurement, ordered(-action.saves.unwrap_or(0.0)))
        };
        list.sort_by_key(key);
        list
    }
}

/// A finite number as something to sort by.
fn ordered(v: f64) -> i64 {
    (v * 1e6) as i64
}

/// What an objective is about: its category where it is one of ours, else its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Time,
    Errors,
    Throughput,
    Resources,
}

pub(crate) fn topic(category: &str, unit: &str) -> Topic {
    match category {
        "latency" | "stages" => Topic::Time,
        "errors" | "availability" => Topic::Errors,
        "throughput" => Topic::Throughput,
        "resources" | "cpu" | "memory" | "gpu" => Topic::Resources,
        _ => match unit {
            "s" | "ms" => Topic::Time,
            "percent" | "ratio" => Topic::Errors,
            _ => Topic::Throughput,
        },
    }
}

/// Whether an objective on one of these topics was missed in the window, or an alert that counts fired there, whatever it is
/// about.
fn misses(verdict: &Verdict, window: &Window, topics: &[Topic]) -> bool {
    let fired = |alert: &AlertRow| {
        alert.instances.iter().any(|i| {
            let until_ms = i.ended_at_ms.unwrap_or(i64::MAX);
            i.fired_at_ms.is_some_and(|at| at <= window.end_ms && until_ms > window.start_ms)
        })
    };
    if verdict.failing_alerts().any(fired) {
        return true;
    }
    verdict.objectives.iter().any(|row| {
        row.status == Status::Fail
            && row.phase == window.phase
            && topics.contains(&topic(&row.category, &row.unit))
    })
}
