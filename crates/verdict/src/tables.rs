//! What was asked of the service and what it took, by phase: requests by step, stages, energy. Invariant: a figure is of its
//! phase alone and counts as the objectives do; what the run has no series of is `None` or absent, never zero.

use std::collections::BTreeMap;

use assay_model::{Labels, Matcher, duration};
use assay_run::plan::PHASE_LABEL;

use crate::{
    data::RunData,
    histogram::{FAILURES, Histogram, REQUESTS, STAGES},
    parallel,
    source::{RecordedSource, Source as _, SourceError, numbers, series},
    verdict::{RunInfo, Window},
};

mod rows;

pub use rows::{CheckCount, EnergyRow, ErrorCount, Spread, StageRow, StepRow, Tables};

/// The quantiles of a [`Spread`], least and greatest among them.
const QUANTILES: [f64; 7] = [0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0];

const LATENCY: Histogram<'static> = Histogram { metric: "load_request_latency_seconds", ..BY_STEP };
const BY_STEP: Histogram<'static> = Histogram { by: "load_step", ..REQUESTS };
const BY_CLASS: Histogram<'static> = Histogram { by: "load_step, error_type", ..FAILURES };
const FIRST_CHUNK: Histogram<'static> = Histogram {
    metric: "gen_ai_client_operation_time_to_first_chunk_seconds",
    matchers: "",
    by: "load_step",
};
const OUTPUT_CHUNK: Histogram<'static> =
    Histogram { metric: "gen_ai_client_operation_time_per_output_chunk_seconds", ..FIRST_CHUNK };
const TOKENS: Histogram<'static> =
    Histogram { metric: "gen_ai_client_token_usage", matchers: "", by: "load_step, gen_ai_token_type" };

/// Into how many parts a phase is cut to say when failures were.
const PARTS: i64 = 60;

/// The counters of energy that are known, with the factor to joules.
const ENERGY: [(&str, &str, f64); 3] = [
    ("GPU", "sum(increase(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION[RANGE]))", 1e-3),
    ("processor", "sum(increase(node_rapl_package_joules_total[RANGE]))", 1.0),
    ("memory", "sum(increase(node_rapl_dram_joules_total[RANGE]))", 1.0),
];

/// The metrics that tables read beyond those of findings and charts; of histograms the base name.
pub(crate) const METRICS: [&str; 10] = [
    "load_request_duration_(min|max)_seconds",
    "load_requests_good_total",
    "load_rate_target_per_second",
    "load_request_latency_seconds",
    "load_request_latency_seconds_(bucket|count|sum)",
    "gen_ai_client_token_usage",
    "gen_ai_client_token_usage_(bucket|count|sum)",
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
    "node_rapl_package_joules_total",
    "node_rapl_dram_joules_total",
];

/// The tables of a run.
///
/// # Errors
/// Where the series cannot be read.
pub fn tables(data: &RunData<'_>, run: &RunInfo) -> Result<Tables, SourceError> {
    let of_phases = parallel::each(&windows(run), |(window, warmup)| {
        let view = data.window(window);
        let (source, whole) = (RecordedSource::new(&view), RecordedSource::new(data.source()));
        let asked = Asked { source, whole, end_ms: run.end_ms, window, warmup: *warmup };
        let steps = asked.steps()?;
        Ok::<_, SourceError>(Tables { energy: asked.energy(&steps)?, stages: asked.stages()?, steps })
    })?;
    let mut tables = Tables::default();
    for mut phase in of_phases {
        tables.energy.append(&mut phase.energy);
        tables.steps.append(&mut phase.steps);
        tables.stages.append(&mut phase.stages);
    }
    Ok(tables)
}

/// Every phase, or the whole run.
fn windows(run: &RunInfo) -> Vec<(Window, bool)> {
    let window = |phase, start_ms, end_ms| Window { phase, start_ms, end_ms, incomplete: None };
    let mut all: Vec<_> =
        run.phases.iter().map(|p| (window(Some(p.name.clone()), p.start_ms, p.end_ms), p.warmup)).collect();
    if all.is_empty() {
        all.push((window(None, run.start_ms, run.end_ms), false));
    }
    all.retain(|(w, _)| w.end_ms > w.start_ms);
    all
}

/// From when to when something was counted, by step and class.
type Spans = BTreeMap<(String, String), (i64, i64)>;

/// A window, and what answers for it.
struct Asked<'a> {
    source: RecordedSource<'a>,
    /// The run as it is, and when it ends.
    whole: RecordedSource<'a>,
    end_ms: i64,
    window: &'a Window,
    warmup: bool,
}

impl Asked<'_> {
    /// The numbers of an expression at the window's end; `RANGE` is its length.
    fn numbers(&self, expression: &str) -> Result<Vec<(Labels, f64)>, SourceError> {
        let expression = expression.replace("RANGE", &duration::format_ms(self.window.len_ms()));
        Ok(numbers(self.source.instant(&expression, self.window.end_ms)?).collect())
    }

    /// The same by the value of one label.
    fn by(&self, label: &str, expression: &str) -> Result<BTreeMap<String, f64>, SourceError> {
        let found = self.numbers(expression)?;
        Ok(found.into_iter().map(|(labels, v)| (value(&labels, label), v)).collect())
    }

    /// The spread of a histogram that is kept by one label, for each of its values that has any.
    fn spreads(&self, histogram: &Histogram<'_>) -> Result<BTreeMap<String, Spread>, SourceError> {
        let means = self.by(histogram.by, &format!("{} / {}", histogram.sum(), histogram.count()))?;
        if means.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut values: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for (labels, v) in self.numbers(&histogram.quantiles(&QUANTILES))? {
            let Ok(q) = value(&labels, "q").parse() else { continue };
            values.entry(value(&labels, histogram.by)).or_default().push((q, v));
        }
        let spread = |(key, mut list): (String, Vec<(f64, f64)>)| {
            list.sort_by(|a, b| a.0.total_cmp(&b.0));
            let [least, p50, p90, p95, p99, p999, greatest] =
                list.iter().map(|(_, v)| *v).collect::<Vec<_>>().try_into().ok()?;
            let mean = *means.get(&key)?;
            Some((key, Spread { mean, least, p50, p90, p95, p99, p999, greatest }))
        };
        Ok(values.into_iter().filter_map(spread).collect())
    }

    fn steps(&self) -> Result<Vec<StepRow>, SourceError> {
        let counts = self.by("load_step", &BY_STEP.count())?;
        let (mut errors, mut checks) = (self.errors()?, self.checks()?);
        let good = self.by("load_step", "sum by (load_step) (increase(load_requests_good_total[RANGE]))")?;
        let mut tokens: BTreeMap<(String, String), f64> = BTreeMap::new();
        for (labels, count) in self.numbers(&TOKENS.sum())? {
            tokens.insert((value(&labels, "load_step"), value(&labels, "gen_ai_token_type")), count);
        }
        let [duration, latency, first, output] =
            [&BY_STEP, &LATENCY, &FIRST_CHUNK, &OUTPUT_CHUNK].map(|h| self.spreads(h));
        let (mut duration, latency, first, output) = (duration?, latency?, first?, output?);
        for (step, (least, greatest)) in self.ends()? {
            if let Some(spread) = duration.get_mut(&step) {
                (spread.least, spread.greatest) = (least, greatest);
            }
        }
        let mut rows: Vec<StepRow> = counts
            .into_iter()
            .map(|(step, requests)| {
                let mut errors = errors.remove(&step).unwrap_or_default();
                errors.sort_by(|a, b| b.requests.total_cmp(&a.requests));
                let tokens = |kind: &str| tokens.get(&(step.clone(), kind.to_owned())).copied();
                StepRow {
                    phase: self.window.phase.clone(),
                    warmup: self.warmup,
                    requests,
                    failed: errors.iter().fold(0.0, |sum, e| sum + e.requests),
                    good: good.get(&step).copied(),
                    per_second: requests * 1e3 / self.window.len_ms() as f64,
                    errors,
                    checks: checks.remove(&step).unwrap_or_default(),
                    duration: duration.get(&step).copied(),
                    latency: latency.get(&step).copied(),
                    first_chunk: first.get(&step).copied(),
                    output_chunk: output.get(&step).copied(),
                    input_tokens: tokens("input"),
                    output_tokens: tokens("output"),
                    step,
                }
            })
            .collect();
        rows.sort_by(|a, b| b.requests.total_cmp(&a.requests).then_with(|| a.step.cmp(&b.step)));
        Ok(rows)
    }

    /// The shortest and the longest time of a step's requests, if the generator says them.
    fn ends(&self) -> Result<BTreeMap<String, (f64, f64)>, SourceError> {
        let Some(phase) = &self.window.phase else { return Ok(BTreeMap::new()) };
        // What it says of a phase stays as it is once the phase has ended.
        let range = duration::format_ms((self.end_ms - self.window.start_ms).max(1));
        let of_phase = Matcher::equal(PHASE_LABEL, phase);
        let read = |of: &str| -> Result<BTreeMap<String, f64>, SourceError> {
            let metric = format!("load_request_duration_{of}_seconds{{{of_phase}}}");
            let expression = format!("{of} by (load_step) (last_over_time({metric}[{range}]))");
            let found = numbers(self.whole.instant(&expression, self.end_ms)?);
            Ok(found.map(|(labels, v)| (value(&labels, "load_step"), v)).collect())
        };
        let (least, mut greatest) = (read("min")?, read("max")?);
        Ok(least
            .into_iter()
            .filter_map(|(step, v)| Some((step.clone(), (v, greatest.remove(&step)?))))
            .collect())
    }

    /// Failures by step and class, with when they were.
    fn errors(&self) -> Result<BTreeMap<String, Vec<ErrorCount>>, SourceError> {
        let mut errors: BTreeMap<String, Vec<ErrorCount>> = BTreeMap::new();
        let by_class = BY_CLASS.count();
        let found: Vec<_> = self.numbers(&by_class)?.into_iter().filter(|(_, n)| *n > 0.0).collect();
        let spans = if found.is_empty() { Spans::new() } else { self.spans(&by_class)? };
        for (labels, requests) in found {
            let key = (value(&labels, "load_step"), value(&labels, "error_type"));
            let one = ErrorCount { class: key.1.clone(), requests, span_ms: spans.get(&key).copied() };
            errors.entry(key.0).or_default().push(one);
        }
        Ok(errors)
    }

    /// From when to when each series of a count by step and class grew.
    fn spans(&self, count: &str) -> Result<Spans, SourceError> {
        let part_ms = (self.window.len_ms() / PARTS).max(1_000);
        let count = count.replace("RANGE", &duration::format_ms(part_ms));
        let found = self.source.range(&count, self.window.start_ms + part_ms, self.window.end_ms, part_ms)?;
        let mut spans = Spans::new();
        for one in series(found) {
            let key = (value(&one.labels, "load_step"), value(&one.labels, "error_type"));
            let grew = one.samples.times.iter().zip(&one.samples.values).filter(|(_, v)| **v > 0.0);
            for (end_ms, _) in grew {
                let span = spans.entry(key.clone()).or_insert((end_ms - part_ms, *end_ms));
                *span = (span.0.min(end_ms - part_ms), span.1.max(*end_ms));
            }
        }
        Ok(spans)
    }

    /// What came of the scenario's checks, by step.
    fn checks(&self) -> Result<BTreeMap<String, Vec<CheckCount>>, SourceError> {
        let mut all: BTreeMap<(String, String), CheckCount> = BTreeMap::new();
        let counted = "sum by (load_step, check, result) (increase(load_checks_total[RANGE]))";
        for (labels, count) in self.numbers(counted)? {
            let key = (value(&labels, "load_step"), value(&labels, "check"));
            let new = CheckCount { check: key.1.clone(), passed: 0.0, failed: 0.0 };
            let one = all.entry(key).or_insert(new);
            match labels.get("result") {
                Some("pass") => one.passed += count,
                _ => one.failed += count,
            }
        }
        let mut checks: BTreeMap<String, Vec<CheckCount>> = BTreeMap::new();
        for ((step, _), one) in all {
            checks.entry(step).or_default().push(one);
        }
        Ok(checks)
    }

    fn stages(&self) -> Result<Vec<StageRow>, SourceError> {
        let spent = self.by("stage", &STAGES.sum())?;
        let total: f64 = spent.values().sum();
        let runs = self.by("stage", &STAGES.count())?;
        let spreads = self.spreads(&STAGES)?;
        let row = |(stage, duration): (String, Spread)| {
            let share = spent.get(&stage).filter(|_| total > 0.0)? / total;
            let runs = *runs.get(&stage)?;
            Some(StageRow {
                phase: self.window.phase.clone(),
                warmup: self.warmup,
                stage,
                runs,
                share,
                duration,
            })
        };
        let mut rows: Vec<_> = spreads.into_iter().filter_map(row).collect();
        rows.sort_by(|a, b| b.share.total_cmp(&a.share));
        Ok(rows)
    }

    fn energy(&self, steps: &[StepRow]) -> Result<Vec<EnergyRow>, SourceError> {
        let requests: f64 = steps.iter().map(|s| s.requests).sum();
        let tokens: f64 = steps.iter().filter_map(|s| s.output_tokens).sum();
        let mut rows = Vec::new();
        for (what, expression, factor) in ENERGY {
            let found = self.numbers(expression)?.first().map(|(_, v)| v * factor);
            let Some(joules) = found.filter(|j| *j > 0.0) else { continue };
            let each = |count: f64| (count > 0.0).then(|| joules / count);
            rows.push(EnergyRow {
                phase: self.window.phase.clone(),
                warmup: self.warmup,
                what: what.to_owned(),
                joules,
                per_request: each(requests),
                per_output_token: each(tokens),
            });
        }
        Ok(rows)
    }
}

fn value(labels: &Labels, name: &str) -> String {
    labels.get(name).unwrap_or_default().to_owned()
}
