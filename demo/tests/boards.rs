//! No dead panel: what the boards and the rules ask for is on record after a short run, or in runs that were recorded
//! beside a GPU and a vLLM-like server.
//!
//! Invariant: an expression without data is on the list of exceptions with its reason; an exception with data fails.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use assay_promql::{Engine, Expr, QueryResult, QueryValue, RangeQuery};
use assay_rules::{
    file::RuleFiles,
    replay::{ReplayOptions, ReplayResult, replay},
};
use assay_run::Run;

/// Expressions that contain this have no data in any of the runs, for a reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("job:http_server_requests_failed:increase6h", "a run of a minute has no hours"),
    ("job:http_server_requests_failed:increase3d", "a run of a minute has no days"),
    ("container_", "the collector of containers is off by default"),
    ("DCGM_FI_DEV_PROCESS_FB_USED", "only where the exporter may see processes of a GPU"),
    ("DCGM_FI_DEV_CLOCKS_EVENT_REASONS", "not every driver reports it"),
    ("DCGM_FI_DEV_ECC_", "not every driver reports it"),
    ("vllm:num_preemptions_total", "the server of the recorded run does not preempt"),
    ("prometheus_", "only a Prometheus that scrapes itself has these"),
    ("load_rate_target_per_second", "only scenarios with arrival rates have one"),
];

/// A short run of the loop.
fn short_run(folder: &Path) -> PathBuf {
    let status = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--plain", "--time-scale", "0.35", "--runs"])
        .arg(folder)
        .status()
        .expect("demo starts");
    // The verdict is not asked for here: the machine may be busy.
    assert!(matches!(status.code(), Some(0 | 1 | 3)), "{status}");
    let mut entries = std::fs::read_dir(folder).expect("lists");
    entries.next().expect("a run").expect("an entry").path()
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
    let folder = tempfile::tempdir().expect("a folder");
    let files = rules();
    let runs: Vec<Recorded> =
        [short_run(folder.path()), gpu, llm].iter().map(|path| Recorded::open(path, &files)).collect();

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
