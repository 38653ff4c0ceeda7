//! Judging what a server has: the series that rules and SLA read are fetched into a run, which is then judged as any
//! other. Invariant: what decides is fetched with enough before and after it to tell what is complete.

use std::path::PathBuf;

use assay_model::{METRIC_NAME, MatchOp, Matcher};
use assay_prom_api::ClientOptions;
use assay_promql::Expr;
use assay_rules::file::RuleFiles;
use assay_run::{
    Run,
    import::ImportError,
    plan::PLAN_METRICS,
    pull::{PullError, PullOptions, pull},
};

use super::{Case, EvalError, EvalOptions, Evaluation, Record, own_files, read_files, run_info};
use crate::{baseline::Baseline, findings, sla::Sla, tables};

/// How much before what is judged is fetched: what instant selectors look back over.
const BEFORE_MS: i64 = 6 * 60_000;
/// How much after it: the value of counters at the end of a phase.
const AFTER_MS: i64 = 2 * 60_000;
/// What to fetch and judge.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// The server.
    pub server: ClientOptions,
    /// The start of what is judged, in milliseconds since the Unix epoch; itself not in.
    pub start_ms: i64,
    /// Its end, itself in.
    pub end_ms: i64,
    /// The directory that keeps what was fetched, as a run; it must not exist, or be empty.
    pub dir: PathBuf,
}

/// Fetches the series that the files of `options` read, and judges them; the run of `options` is not looked at.
///
/// # Errors
/// See [`EvalError`].
pub fn eval_fetched(fetch: &FetchOptions, options: &EvalOptions) -> Result<Evaluation, EvalError> {
    let (rules, slas) = own_files(options);
    let (files, slas) = read_files(&rules, &slas)?;
    let baseline = options.baseline.as_deref().map(|path| Baseline::read(path, &slas)).transpose()?;
    let mut pulled = PullOptions::new(String::new(), fetch.start_ms - BEFORE_MS, fetch.end_ms + AFTER_MS);
    pulled.server = fetch.server.clone();
    pulled.selectors = selectors(&files, &slas);
    match pull(&pulled, &fetch.dir) {
        // A server without any of the series is a run without them: the verdict says what is missing.
        Err(PullError::Import(ImportError::Empty { .. })) | Ok(_) => {}
        Err(e) => return Err(e.into()),
    }
    if !fetch.dir.join("run.json").is_file() {
        return Err(EvalError::Fetch(PullError::Import(ImportError::Empty {
            path: fetch.server.url.clone().into(),
        })));
    }
    let run = Run::open(&fetch.dir)?;
    let mut info = run_info(&run, &options.phases, Some((fetch.start_ms, fetch.end_ms)))?;
    info.source.clone_from(&fetch.server.url);
    let (record, baseline) = (&Record::of(&run), baseline.as_ref());
    Case { record, info: &info, files: &files, slas: &slas, baseline, options }.evaluate()
}

/// Every selector in use, each once, and what the judge and the findings read besides.
fn selectors(files: &RuleFiles, slas: &[Sla]) -> Vec<Vec<Matcher>> {
    let mut all: Vec<Vec<Matcher>> = Vec::new();
    let mut take = |expr: &Expr| {
        for selector in expr.selectors() {
            if !all.contains(&selector.matchers) {
                all.push(selector.matchers.clone());
            }
        }
    };
    files.rules().for_each(|(_, rule)| take(&rule.expr));
    for objective in slas.iter().flat_map(|s| &s.objectives) {
        for text in [objective.require.measure(60_000), objective.require.limit(60_000)] {
            if let Ok(expr) = assay_promql::parse(&text) {
                take(&expr);
            }
        }
    }
    let own = PLAN_METRICS
        .iter()
        .chain(findings::METRICS)
        .chain(&tables::METRICS)
        .copied()
        .collect::<Vec<_>>()
        .join("|");
    all.extend(Matcher::new(MatchOp::Regex, METRIC_NAME, &own).ok().map(|m| vec![m]));
    all
}
