//! What a baseline says for people of the run it was measured by: the machine, the service's parts, resources, what limits it.
//! Invariant: every figure is measured, of its phase alone; what is not known is left out.

use assay_model::{Labels, duration};
use serde::Serialize;
use serde_json::Value;

use super::{fields::Fields, file::four_digits};
use crate::{
    data::RunData,
    findings::{Finding, Severity},
    source::{RecordedSource, Source as _, SourceError, numbers},
    tables::{Spread, StageRow, StepRow, Tables},
    verdict::{RunInfo, Verdict, Window},
    windows,
};

/// Figures of resources: what, the unit, and an expression over `RANGE`, whose labels tell several apart.
const RESOURCES: [(&str, &str, &str); 9] = [
    ("CPU of the host", "percent", "100 * (1 - avg(rate(node_cpu_seconds_total{mode=\"idle\"}[RANGE])))"),
    (
        "memory of the host, most",
        "percent",
        "100 * (1 - min_over_time(node_memory_MemAvailable_bytes[RANGE]) / node_memory_MemTotal_bytes)",
    ),
    (
        "disks, read and written",
        "bytes/s",
        "sum(rate(node_disk_read_bytes_total[RANGE])) + sum(rate(node_disk_written_bytes_total[RANGE]))",
    ),
    (
        "network, received and sent",
        "bytes/s",
        "sum(rate(node_network_receive_bytes_total{device!=\"lo\"}[RANGE])) + sum(rate(node_network_transmit_bytes_total{device!=\"lo\"}[RANGE]))",
    ),
    ("GPU", "percent", "avg(avg_over_time(DCGM_FI_DEV_GPU_UTIL[RANGE]))"),
    (
        "GPU memory, most",
        "percent",
        "100 * max(max_over_time(DCGM_FI_DEV_FB_USED[RANGE]) / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE))",
    ),
    ("CPU of the process", "cores", "sum by (job) (rate(process_cpu_seconds_total[RANGE]))"),
    (
        "memory of the process, most",
        "bytes",
        "sum by (job) (max_over_time(process_resident_memory_bytes[RANGE]))",
    ),
    ("open files of the process, most", "", "sum by (job) (max_over_time(process_open_fds[RANGE]))"),
];

/// The parts of a baseline that nothing decides by.
#[derive(Serialize)]
pub(super) struct Described {
    hardware: Fields,
    software: Fields,
    components: Vec<Fields>,
    scenarios: Vec<Fields>,
    resources: Vec<Fields>,
    bottlenecks: Vec<Fields>,
    /// What was done to the service, and what would help.
    optimisations: Fields,
    scaling: Vec<Fields>,
    findings: Vec<Fields>,
}

/// Describes a run by its verdict.
pub(super) fn describe(
    data: &RunData<'_>,
    verdict: &Verdict,
    applied: &[String],
) -> Result<Described, SourceError> {
    let (run, tables) = (&verdict.run, &verdict.tables);
    let asked = Asked { source: RecordedSource::new(data.source()), run };
    Ok(Described {
        hardware: asked.hardware()?,
        software: software(run),
        components: components(tables),
        scenarios: scenarios(run, tables),
        resources: asked.resources()?,
        bottlenecks: verdict.findings.iter().filter(is_bottleneck).map(finding).collect(),
        optimisations: Fields::default()
            .with("applied", applied.to_vec())
            .with("advised", verdict.findings.iter().filter_map(advice).collect::<Vec<Fields>>()),
        scaling: asked.scaling(tables)?,
        findings: verdict.findings.iter().map(finding).collect(),
    })
}

/// Whether a finding says what limits the service; a generator that is short limits the measurement, and an error is none.
fn is_bottleneck(finding: &&Finding) -> bool {
    finding.severity > Severity::Info && finding.id.starts_with(['R', 'T', 'B', 'Q'])
}

fn finding(finding: &Finding) -> Fields {
    Fields::default()
        .with("id", finding.id.clone())
        .with("name", finding.name.clone())
        .with("severity", finding.severity.as_str())
        .with("phase", finding.window.phase.clone())
        .with("title", finding.title.clone())
}

fn advice(finding: &Finding) -> Option<Fields> {
    let action = finding.action.as_ref()?;
    let advice = Fields::default().with("finding", finding.id.clone()).with("text", action.text.clone());
    Some(advice.with("gain", action.gain.clone()).with("how", action.how.clone()))
}

fn software(run: &RunInfo) -> Fields {
    let of = |path: &str| run.manifest.pointer(path).cloned().unwrap_or_default();
    Fields::default()
        .with("os", of("/host/os"))
        .with("kernel", of("/host/kernel"))
        .with("versions", of("/versions"))
        .with("revision", of("/git/revision"))
}

/// The service's own stages.
fn components(tables: &Tables) -> Vec<Fields> {
    let one = |s: &StageRow| {
        let row = Fields::default()
            .with("phase", s.phase.clone())
            .with("name", s.stage.clone())
            .with("runs", four_digits(s.runs))
            .with("share_percent", four_digits(100.0 * s.share));
        with_spread(row, Some(&s.duration))
    };
    tables.stages.iter().filter(|s| !s.warmup).map(one).collect()
}

/// What was asked, by phase.
fn scenarios(run: &RunInfo, tables: &Tables) -> Vec<Fields> {
    let step = |s: &StepRow| {
        let row = Fields::default()
            .with("name", s.step.clone())
            .with("requests", four_digits(s.requests))
            .with("requests_per_second", four_digits(s.per_second))
            .with("failed", four_digits(s.failed));
        with_spread(row, s.duration.as_ref())
    };
    let of_phase = |window: &Window| {
        let steps = tables.steps.iter().filter(|s| s.phase == window.phase);
        Fields::default()
            .with("phase", window.title())
            .with("length", duration::format_ms(window.len_ms()))
            .with("steps", steps.map(step).collect::<Vec<Fields>>())
    };
    judged(run).iter().map(of_phase).collect()
}

fn with_spread(row: Fields, spread: Option<&Spread>) -> Fields {
    let Some(spread) = spread else { return row };
    row.with("mean_seconds", four_digits(spread.mean))
        .with("p50_seconds", four_digits(spread.p50))
        .with("p95_seconds", four_digits(spread.p95))
        .with("p99_seconds", four_digits(spread.p99))
}

/// Every phase that does not warm up.
fn judged(run: &RunInfo) -> Vec<Window> {
    let phases: Vec<String> = run.phases.iter().filter(|p| !p.warmup).map(|p| p.name.clone()).collect();
    windows::select(run, &phases, true).unwrap_or_default().list
}

struct Asked<'a> {
    source: RecordedSource<'a>,
    run: &'a RunInfo,
}

impl Asked<'_> {
    /// Labels, as a text, and values of an expression at the end of a stretch of time.
    fn at(&self, expression: &str, window: &Window) -> Result<Vec<(Labels, f64)>, SourceError> {
        let expression = expression.replace("RANGE", &duration::format_ms(window.len_ms().max(1)));
        Ok(numbers(self.source.instant(&expression, window.end_ms)?).collect())
    }

    fn resources(&self) -> Result<Vec<Fields>, SourceError> {
        let mut rows = Vec::new();
        for window in judged(self.run) {
            for (what, unit, expression) in RESOURCES {
                for (labels, value) in self.at(expression, &window)? {
                    let of = labels.get("job").map_or_else(String::new, |job| format!(" {job}"));
                    let row = Fields::default()
                        .with("phase", window.title())
                        .with("what", format!("{what}{of}"))
                        .with("value", four_digits(value));
                    rows.push(row.with("unit", unit));
                }
            }
        }
        Ok(rows)
    }

    /// What each phase carried, the least load first.
    fn scaling(&self, tables: &Tables) -> Result<Vec<Fields>, SourceError> {
        let mut rows: Vec<(f64, Fields)> = Vec::new();
        for window in judged(self.run) {
            let steps = || tables.steps.iter().filter(|s| s.phase == window.phase);
            let per_second: f64 = steps().map(|s| s.per_second).sum();
            let (requests, failed) = steps().fold((0.0, 0.0), |(r, f), s| (r + s.requests, f + s.failed));
            if requests <= 0.0 {
                continue;
            }
            let users = self.at("sum(max_over_time(load_users[RANGE]))", &window)?;
            let slowest = steps().filter_map(|s| Some((s.duration?.p99, &s.step)));
            let slowest = slowest.max_by(|a, b| a.0.total_cmp(&b.0));
            let row = Fields::default()
                .with("phase", window.title())
                .with("users", users.first().map(|(_, v)| *v))
                .with("requests_per_second", four_digits(per_second))
                .with("failed_percent", four_digits(100.0 * failed / requests))
                .with("slowest_step", slowest.map(|(_, step)| step.clone()))
                .with("p99_seconds", slowest.map(|(p99, _)| four_digits(p99)));
            rows.push((per_second, row));
        }
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// The machine as the run noted it; what it did not note, from the exporters' series.
    fn hardware(&self) -> Result<Fields, SourceError> {
        let of = |path: &str| self.run.manifest.pointer(path).cloned().unwrap_or_default();
        let cpu = Fields::default()
            .with("model", of("/host/cpu_model"))
            .with("processors", of("/host/cpus"))
            .with("architecture", of("/host/arch"));
        let gpus = match of("/host/gpus") {
            Value::Null => {
                self.named("count by (modelName) (DCGM_FI_DEV_FB_USED)", |l, _| text(l, "modelName"))?
            }
            noted => noted,
        };
        let disk =
            |l: &Labels, _| Fields::default().with("name", text(l, "device")).with("model", text(l, "model"));
        let network = |l: &Labels, v: f64| {
            Fields::default().with("name", text(l, "device")).with("bits_per_second", 8.0 * v)
        };
        let hardware = Fields::default()
            .with("cpu", cpu)
            .with("gpu", gpus)
            .with("memory", Fields::default().with("bytes", of("/host/memory_bytes")));
        Ok(match (of("/host/disks"), of("/host/networks")) {
            (Value::Null, Value::Null) => hardware
                .with("disk", self.named::<_, Vec<Fields>>("node_disk_info", disk)?)
                .with("network", self.named::<_, Vec<Fields>>("node_network_speed_bytes > 0", network)?),
            (disks, networks) => hardware.with("disk", disks).with("network", networks),
        })
    }

    /// What the series of an expression name at the end of the run.
    fn named<T, L: FromIterator<T>>(
        &self,
        expression: &str,
        name: impl Fn(&Labels, f64) -> T,
    ) -> Result<L, SourceError> {
        let whole = Window::whole(self.run.start_ms, self.run.end_ms);
        Ok(self.at(expression, &whole)?.iter().map(|(labels, v)| name(labels, *v)).collect())
    }
}

fn text(labels: &Labels, name: &str) -> String {
    labels.get(name).unwrap_or_default().to_owned()
}
