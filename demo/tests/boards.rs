//! No dead panel: what the boards and the rules ask for is on record after a short run, or in runs that were recorded
//! beside a GPU and a vLLM-like server.
//!
//! Invariant: an expression without data is on the list of exceptions with its reason; an exception with data fails.

#[path = "boards/metrics_page.rs"]
mod metrics_page;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use assay_model::expo::{Dialect, MetricValue, parse_families};
use assay_promql::{Engine, Expr, QueryResult, QueryValue, RangeQuery};
use assay_rules::{
    file::RuleFiles,
    replay::{ReplayOptions, ReplayResult, replay},
};
use assay_run::{Manifest, Outcome, Recorder, RecorderOptions, Row, Run};

/// Expressions that contain this have no data in any of the runs, for a reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("job:http_server_requests_failed:increase6h", "a run of a minute has no hours"),
    ("job:http_server_requests_failed:increase3d", "a run of a minute has no days"),
    ("container_", "the collector of containers is off by default"),
    ("vllm:num_preemptions_total", "the server of the recorded run does not preempt"),
    ("prometheus_", "only a Prometheus that scrapes itself has these"),
];

/// A short run of the loop in a mode, recorded into a new folder.
fn short_run(folder: &Path, mode: &str, time_scale: &str) -> PathBuf {
    let status = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--plain", "--mode", mode, "--time-scale", time_scale, "--runs"])
        .arg(folder)
        .status()
        .expect("demo starts");
    // The verdict is not asked for here: the machine may be busy.
    assert!(matches!(status.code(), Some(0 | 1 | 3)), "{status}");
    let mut entries = std::fs::read_dir(folder).expect("lists");
    entries.next().expect("a run").expect("an entry").path()
}

/// What the exporter shows of GPUs that have everything (its golden file), as a minute of scrapes.
fn gpus_with_everything(folder: &Path) -> PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../exporter/tests/golden/gpu.txt");
    let text = std::fs::read_to_string(golden).expect("reads");
    let families = parse_families(&text, Dialect::Text).expect("is an exposition");
    let start_ms = 1_700_000_000_000;
    let run = folder.join("gpus");
    let recorder =
        Recorder::create(&run, Manifest::new("gpus", start_ms), &RecorderOptions::default()).expect("begins");
    for t_ms in (start_ms..=start_ms + 60_000).step_by(5_000) {
        let rows = families.iter().flat_map(|family| family.metrics.iter().map(move |m| (family, m)));
        let rows = rows.filter_map(|(family, metric)| {
            let MetricValue::Float(value) = metric.value else { return None };
            let mut labels = metric.labels.to_builder();
            labels.set("__name__", &family.name).set("job", "exporter").set("instance", "gpus");
            Some(Row::float(labels.build(), t_ms, value))
        });
        recorder.sink().append(rows.collect()).expect("takes in");
    }
    recorder.finish(Outcome::Finished).expect("finishes");
    run
}

fn rules() -> RuleFiles {
    let pattern = Path::new(env!("CARGO_MANIFEST_DIR")).join("../prometheus/rules/*.yml");
    RuleFiles::load(&[pattern.display().to_string()]).expect("the shipped rules")
}

/// A run with what the rules would have recorded.
struct Recorded {
    run: Run,
    replayed: ReplayResult,
    range: RangeQuery,
}

impl Recorded {
    fn open(path: &Path, files: &RuleFiles) -> Self {
        let run = Run::open(path).expect("opens");
        let (start_ms, end_ms) = run.time_range().expect("has samples");
        let replayed = replay(&run.database, files, &ReplayOptions::new(start_ms, end_ms));
        Self { run, replayed, range: RangeQuery { start_ms, end_ms, step_ms: 5_000 } }
    }

    /// Which of the expressions return samples.
    fn answered(&self, exprs: &[Expr]) -> Vec<bool> {
        let view = self.replayed.view(&self.run.database);
        let all: Vec<&Expr> = exprs.iter().collect();
        let results = Engine::default().batch(&view, &all, self.range).expect("selects");
        results.into_iter().map(|result| has_data(&result.expect("evaluates"))).collect()
    }
}

/// Whether series matched. NaN counts: the time of a read is 0/0 on a machine whose disk nobody reads for a minute.
fn has_data(result: &QueryResult) -> bool {
    let QueryValue::Matrix(series) = &result.value else { return false };
    series.iter().any(|s| !s.samples.values.is_empty() || !s.samples.histograms.is_empty())
}

#[test]
fn every_expression_of_boards_and_rules_has_data() {
    let (Some(gpu), Some(llm)) = (assay_testkit::data("h200"), assay_testkit::data("h200-llm")) else {
        return;
    };
    let (users, rates) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let files = rules();
    let runs = [
        short_run(users.path(), "demo", "0.35"),
        short_run(rates.path(), "sweep", "0.05"),
        gpus_with_everything(users.path()),
        gpu,
        llm,
    ];
    let runs: Vec<Recorded> = runs.iter().map(|path| Recorded::open(path, &files)).collect();

    let asked = grafana::expressions::all("15s", "1m");
    let exprs: Vec<Expr> = asked
        .iter()
        .map(|a| assay_promql::parse(&a.expr).unwrap_or_else(|e| panic!("{}: {}: {e:?}", a.place, a.expr)))
        .collect();
    let mut answered = vec![false; exprs.len()];
    for run in &runs {
        for (all, one) in answered.iter_mut().zip(run.answered(&exprs)) {
            *all |= one;
        }
    }
    let (mut used, mut dead, mut excepted) = (BTreeSet::new(), Vec::new(), 0);
    for (a, has) in asked.iter().zip(answered) {
        let exception = EXCEPTIONS.iter().find(|(part, _)| a.expr.contains(part));
        match (exception, has) {
            (Some((part, _)), false) => {
                used.insert(*part);
                excepted += 1;
            }
            (None, false) => dead.push(format!("{}: {}: {}", a.board, a.place, a.expr)),
            (_, true) => {}
        }
    }
    dead.extend(rules_without_data(&files, &runs));
    let stale = EXCEPTIONS.iter().filter(|(part, _)| !used.contains(part));
    dead.extend(
        stale.map(|(part, reason)| format!("the exception {part:?} ({reason}) has data, or is not asked")),
    );
    eprintln!("{excepted} of {} expressions of boards are exceptions", asked.len());
    assert!(20 * excepted <= asked.len(), "more than one expression in twenty is an exception");
    assert!(dead.is_empty(), "{} without data:\n{}", dead.len(), dead.join("\n"));
}

/// Recording rules that record nothing, and alerts none of whose metrics there is. Nobody in these runs has classic
/// histograms only, dies, or preempts, and no run lasts hours.
fn rules_without_data(files: &RuleFiles, runs: &[Recorded]) -> Vec<String> {
    let mut dead = Vec::new();
    for (id, rule) in files.rules() {
        let recorded = || {
            let results = runs.iter().flat_map(|r| r.replayed.rules.iter().filter(move |s| s.id == id));
            results.map(|s| s.with_result).sum::<usize>() > 0
        };
        let selectors: Vec<Expr> = rule.expr.selectors().into_iter().cloned().map(Expr::Vector).collect();
        let applies = || runs.iter().any(|run| run.answered(&selectors).into_iter().any(|has| has));
        let fine = if rule.alerting().is_some() { selectors.is_empty() || applies() } else { recorded() };
        let excused =
            ["_bucket", "GeneratorGone", "ModelPreemptions", "increase6h", "increase3d", "BurnSlow"];
        if !fine && !excused.iter().any(|part| rule.name.contains(part)) {
            dead.push(format!("rule {}: {}", rule.name, rule.expr_text().trim()));
        }
    }
    dead
}
