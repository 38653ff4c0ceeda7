//! Judging on a server, for data too large to move. Invariant: alerts are those that the server itself recorded;
//! nothing is replayed.

use std::{collections::BTreeMap, path::PathBuf};

use assay_model::{Labels, METRIC_NAME};
use assay_prom_api::ClientOptions;

use crate::{
    alerts::{Counting, severity_of},
    charts::{self, Charts},
    eval::{EvalError, Evaluation, blank_verdict, judge_objectives},
    judge::{Subject, Terms},
    sla,
    source::{RemoteSource, Source, SourceError, series},
    units,
    verdict::{AlertInstance, AlertRow, RunInfo, Status, Window},
};

/// What to judge on a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The server.
    pub server: ClientOptions,
    /// The start of what is judged, in milliseconds since the Unix epoch; itself not in.
    pub start_ms: i64,
    /// Its end, itself in.
    pub end_ms: i64,
    /// SLA files.
    pub slas: Vec<PathBuf>,
    /// How often `ALERTS` is looked at.
    pub interval_ms: i64,
    /// Whether the series that the HTML report draws are fetched.
    pub charts: bool,
    /// The command that gives the same verdict again.
    pub command: String,
}

/// Judges what a server has recorded.
///
/// # Errors
/// See [`EvalError`]; also where the server cannot be reached.
pub fn eval_server(options: &ServerOptions) -> Result<Evaluation, EvalError> {
    let slas = sla::read_files(&options.slas)?;
    if slas.is_empty() {
        return Err(EvalError::NothingToJudgeBy);
    }
    let source = RemoteSource::new(options.server.clone())?;
    let info = RunInfo {
        source: options.server.url.clone(),
        start_ms: options.start_ms,
        end_ms: options.end_ms,
        ..RunInfo::default()
    };
    let mut verdict = blank_verdict(&info, &slas);
    let subject = Subject::Server(&source);
    let terms = Terms { run: &info, subject, baseline: None, allow_incomplete: false };
    judge_objectives(&mut verdict, &slas, &terms)?;
    let judges: Vec<_> = slas.iter().map(|s| s.judge.clone()).collect();
    let counting = Counting { windows: &verdict.windows, judges: &judges };
    let rows = recorded_alerts(options, &source, &counting)?;
    if rows.is_empty() {
        let note = "the server has no ALERTS in this time: no alert was active, or it has no rules loaded";
        verdict.notes.push(note.to_owned());
    }
    verdict.alerts = rows;
    verdict.settle();
    verdict.tool.command.clone_from(&options.command);
    let charts = if options.charts { charts::query(&info, &slas, &source)? } else { Charts::default() };
    Ok(Evaluation { verdict, charts })
}

/// The alerts of the server's own rules, from the series `ALERTS`.
fn recorded_alerts(
    options: &ServerOptions,
    source: &dyn Source,
    counting: &Counting<'_>,
) -> Result<Vec<AlertRow>, SourceError> {
    // A server answers at most 11,000 points.
    let step_ms = options.interval_ms.max((options.end_ms - options.start_ms) / 10_000 + 1);
    let found = series(source.range("ALERTS", options.start_ms, options.end_ms, step_ms)?);
    let mut points: BTreeMap<Labels, BTreeMap<i64, bool>> = BTreeMap::new();
    for one in found {
        let firing = one.labels.get("alertstate") == Some("firing");
        let labels = one.labels.without(|n| n == METRIC_NAME || n == "alertstate");
        let times = points.entry(labels).or_default();
        for t_ms in one.samples.times {
            *times.entry(t_ms).or_default() |= firing;
        }
    }
    let mut rows: BTreeMap<String, AlertRow> = BTreeMap::new();
    for (labels, times) in &points {
        let name = labels.get("alertname").unwrap_or_default().to_owned();
        let severity = labels.get("severity").unwrap_or_default();
        let row = rows.entry(name.clone()).or_insert_with(|| AlertRow {
            name,
            group: "ALERTS".to_owned(),
            defined_at: options.server.url.clone(),
            severity: severity.to_owned(),
            counts: counting.counts(labels.get("alertname").unwrap_or_default(), severity),
            status: Status::Pass,
            reason: String::new(),
            windows: Vec::new(),
            expression: String::new(),
            for_ms: 0,
            instances: Vec::new(),
        });
        row.instances.extend(stretches(labels, times, step_ms, options.end_ms, counting.windows));
    }
    let mut rows: Vec<_> = rows.into_values().collect();
    for row in &mut rows {
        let failed = failing_windows(row, counting);
        if !failed.is_empty() {
            row.status = Status::Fail;
            row.reason = format!("fired in {}", failed.join(", "));
        }
    }
    Ok(rows)
}

/// The windows that a rule fails.
fn failing_windows<'w>(row: &AlertRow, counting: &Counting<'w>) -> Vec<&'w str> {
    let fails = |w: &&Window| {
        row.instances.iter().any(|i| {
            let severity = severity_of(&i.labels);
            i.phases.iter().any(|p| p == w.title()) && counting.counts_in(w, &row.name, severity)
        })
    };
    counting.windows.iter().filter(fails).map(Window::title).collect()
}

/// Points closer than two steps belong together.
fn stretches(
    labels: &Labels,
    times: &BTreeMap<i64, bool>,
    step_ms: i64,
    end_ms: i64,
    windows: &[Window],
) -> Vec<AlertInstance> {
    let mut out: Vec<AlertInstance> = Vec::new();
    let mut previous_ms = i64::MIN;
    for (&t_ms, &firing) in times {
        if t_ms.saturating_sub(previous_ms) > 2 * step_ms {
            out.push(AlertInstance {
                labels: labels.to_pairs(),
                annotations: vec![("summary".to_owned(), format!("seen from {}", units::timestamp(t_ms)))],
                active_at_ms: t_ms,
                fired_at_ms: None,
                ended_at_ms: None,
                value: 1.0,
                worst_at_ms: None,
                phases: Vec::new(),
            });
        }
        if let Some(last) = out.last_mut() {
            last.fired_at_ms = last.fired_at_ms.or(firing.then_some(t_ms));
            last.ended_at_ms = (t_ms + step_ms <= end_ms).then_some(t_ms + step_ms);
        }
        previous_ms = t_ms;
    }
    for instance in &mut out {
        let end_ms = instance.ended_at_ms.unwrap_or(i64::MAX);
        let fired = |w: &&Window| instance.fired_at_ms.is_some_and(|f| f <= w.end_ms && end_ms > w.start_ms);
        instance.phases = windows.iter().filter(fired).map(|w| w.title().to_owned()).collect();
    }
    out
}
