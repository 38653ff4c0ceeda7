//! Runs the tests of one file.
//!
//! Source: Prometheus `cmd/promtool/unittest.go` and `promql/promqltest/test.go` v3.13. Invariant: tests of one file know
//! nothing of each other.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

use assay_model::{FloatHistogram, Labels, Queryable, Value, duration};
use assay_promql::{
    Engine,
    promqltest::{self, SequenceValue, stored_hint},
};
use assay_yaml::{Diagnostics, Document};

use super::{
    CaseReport, Failure, FileReport, TestOptions,
    compare::{Point, alert_lines, same_alerts, same_points},
    coverage::Coverage,
    read::{self, AlertTest, ExpectedAlert, ExprTest, TestFile, TestGroup},
};
use crate::{
    file::{RuleFiles, RuleId},
    glob,
    overlay::Overlay,
    replay::{Environment, RuleRun, instant},
};

/// Runs one test file.
pub(super) fn file(path: &str, options: &TestOptions) -> FileReport {
    let mut report = FileReport {
        file: path.to_owned(),
        aborted: None,
        warnings: Vec::new(),
        cases: Vec::new(),
        coverage: Vec::new(),
    };
    let tests = match Document::read(path.as_ref()).and_then(|document| read::read(&document)) {
        Ok(tests) => tests,
        Err(problems) => {
            report.aborted = Some(problems);
            return report;
        }
    };
    let rules = match rule_files(path, &tests, &mut report.warnings) {
        Ok(found) => RuleFiles::load(&found),
        Err(problems) => {
            report.aborted = Some(problems);
            return report;
        }
    };
    report.warnings.extend(rules.iter().flat_map(|rules| rules.warnings.iter().cloned()));
    let mut coverage = Coverage::new(rules.as_ref().ok());
    for (i, test) in tests.tests.iter().enumerate() {
        if options.run.as_ref().is_some_and(|run| !run.is_match(&test.name)) {
            continue;
        }
        let name = if test.name.is_empty() { format!("unnamed#{i}") } else { test.name.clone() };
        let begun = Instant::now();
        let failures = match &rules {
            Ok(rules) => case(rules, &tests, test, options, &mut coverage),
            Err(problems) => problems.list.iter().map(|d| Failure::plain(d.to_string())).collect(),
        };
        report.cases.push(CaseReport { name, failures, took: begun.elapsed() });
    }
    report.coverage = coverage.finish(rules.as_ref().ok());
    report
}

/// The files that `rule_files` names, each once; relative to the test file.
fn rule_files(path: &str, tests: &TestFile, warnings: &mut Vec<String>) -> Result<Vec<String>, Diagnostics> {
    let base = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut files: Vec<String> = Vec::new();
    for pattern in &tests.rule_files {
        let joined =
            if pattern.is_empty() { pattern.clone() } else { base.join(pattern).display().to_string() };
        let found =
            glob::glob(&joined).map_err(|cause| Diagnostics::file(path, format!("{joined}: {cause}")))?;
        if found.is_empty() {
            warnings.push(format!("no file matches {joined}"));
        }
        for file in found {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    Ok(files)
}

/// One test under way.
struct Case<'a> {
    test: &'a TestGroup,
    file: &'a TestFile,
    options: &'a TestOptions,
    engine: Engine,
    input: Vec<Input>,
    overlay: Overlay,
    /// By group in the order of evaluation, each with its interval.
    groups: Vec<(Option<i64>, Vec<RuleRun<'a>>)>,
    failures: Vec<Failure>,
}

/// An input series and how far it has been written.
struct Input {
    labels: Labels,
    values: Vec<SequenceValue>,
    next: usize,
    /// The last sample as it is stored, where it is a histogram.
    previous: Option<Arc<FloatHistogram>>,
}

fn case(
    rules: &RuleFiles,
    file: &TestFile,
    test: &TestGroup,
    options: &TestOptions,
    coverage: &mut Coverage,
) -> Vec<Failure> {
    for alert in &test.alert_tests {
        if alert.alertname.is_empty() {
            let at = duration::format_ms(alert.eval_time_ms);
            let message = format!(
                "an item under alert_rule_test misses required attribute alertname at eval_time {at}"
            );
            return vec![Failure { position: Some(alert.position), ..Failure::plain(message) }];
        }
    }
    let mut case = match Case::new(rules, file, test, options) {
        Ok(case) => case,
        Err(failure) => return vec![failure],
    };
    case.run(coverage);
    let runs = case.groups.iter().flat_map(|(_, runs)| runs);
    coverage.evaluated(runs.map(|r| &r.summary));
    case.failures
}

/// The groups in the order of evaluation. A group that the order does not name goes with the first, as in promtool.
fn groups<'a>(rules: &'a RuleFiles, file: &TestFile) -> Vec<(Option<i64>, Vec<RuleRun<'a>>)> {
    let mut order: Vec<usize> = (0..rules.groups.len()).collect();
    let place = |g: usize| file.group_eval_order.iter().position(|n| *n == rules.groups[g].name).unwrap_or(0);
    order.sort_by_key(|g| place(*g));
    let runs = |g: usize| {
        let group = &rules.groups[g];
        let offset_ms = group.query_offset_ms.unwrap_or(0);
        let runs = group
            .rules
            .iter()
            .enumerate()
            .map(|(r, rule)| RuleRun::new(RuleId { group: g, rule: r }, group, rule, offset_ms));
        (group.interval_ms, runs.collect())
    };
    order.into_iter().map(runs).collect()
}

/// The input series. A blank line ends them: promtool reads what it makes of all series as one text.
fn input(test: &TestGroup) -> Result<Vec<Input>, Failure> {
    let mut inputs: Vec<Input> = Vec::new();
    for series in &test.input_series {
        let text = format!("{} {}", series.series, series.values);
        for line in text.split('\n') {
            let line = line.trim();
            if line.is_empty() {
                return Ok(inputs);
            }
            let (labels, values) = promqltest::parse_series_line(line).map_err(|cause| Failure {
                position: Some(series.position),
                ..Failure::plain(format!("input series {line:?}: {cause}"))
            })?;
            inputs.retain(|other| other.labels != labels);
            inputs.push(Input { labels, values, next: 0, previous: None });
        }
    }
    Ok(inputs)
}

/// The alerts of one name that fire from a time on.
pub(super) struct Firing {
    pub(super) alertname: String,
    pub(super) since_start_ms: i64,
    pub(super) alerts: Vec<ExpectedAlert>,
}

/// Each change of the alerts that fire, from the start to `until_ms` after it.
pub(super) fn firing(
    rules: &RuleFiles,
    file: &TestFile,
    test: &TestGroup,
    options: &TestOptions,
    until_ms: i64,
) -> Result<Vec<Firing>, String> {
    let mut case = Case::new(rules, file, test, options).map_err(|failure| failure.to_string())?;
    let mut current: BTreeMap<String, Vec<ExpectedAlert>> = BTreeMap::new();
    let mut out = Vec::new();
    let mut since_start_ms = 0;
    while since_start_ms <= until_ms {
        let t_ms = test.start_ms + since_start_ms;
        case.load(t_ms)?;
        if !case.evaluate(t_ms, since_start_ms) {
            return Err(case.failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        }
        for (alertname, mut alerts) in case.firing_by_name() {
            alerts.sort();
            let before = current.entry(alertname.clone()).or_default();
            if *before != alerts {
                before.clone_from(&alerts);
                out.push(Firing { alertname, since_start_ms, alerts });
            }
        }
        since_start_ms += file.evaluation_interval_ms;
    }
    Ok(out)
}

impl<'a> Case<'a> {
    fn new(
        rules: &'a RuleFiles,
        file: &'a TestFile,
        test: &'a TestGroup,
        options: &'a TestOptions,
    ) -> Result<Self, Failure> {
        let mut engine = options.engine.clone();
        engine.default_step_ms = file.evaluation_interval_ms;
        Ok(Self {
            test,
            file,
            options,
            engine: Engine::new(engine),
            input: input(test)?,
            overlay: Overlay::default(),
            groups: groups(rules, file),
            failures: Vec::new(),
        })
    }

    /// The alerts that fire, by the name of their rule; names without any are there, too.
    fn firing_by_name(&self) -> BTreeMap<String, Vec<ExpectedAlert>> {
        let mut out: BTreeMap<String, Vec<ExpectedAlert>> = BTreeMap::new();
        for run in self.groups.iter().flat_map(|(_, runs)| runs) {
            if run.rule.alerting().is_some() {
                out.entry(run.rule.name.clone()).or_default().extend(firing_of(run));
            }
        }
        out
    }

    fn run(&mut self, coverage: &mut Coverage) {
        let last = |times: &mut dyn Iterator<Item = i64>| times.max().unwrap_or(0);
        let until_ms = last(&mut self.test.alert_tests.iter().map(|t| t.eval_time_ms))
            .max(last(&mut self.test.expr_tests.iter().map(|t| t.eval_time_ms)));
        let mut alert_tests: BTreeMap<i64, Vec<&AlertTest>> = BTreeMap::new();
        for test in &self.test.alert_tests {
            alert_tests.entry(test.eval_time_ms).or_default().push(test);
        }
        let interval_ms = self.file.evaluation_interval_ms;
        let mut since_start_ms = 0;
        while since_start_ms <= until_ms {
            let t_ms = self.test.start_ms + since_start_ms;
            if let Err(message) = self.load(t_ms) {
                self.failures.push(Failure::plain(message));
            } else if !self.evaluate(t_ms, since_start_ms) {
                return;
            }
            for (_, tests) in alert_tests.range(since_start_ms..since_start_ms + interval_ms) {
                for test in tests {
                    self.check_alerts(test, coverage);
                }
            }
            since_start_ms += interval_ms;
        }
        for test in &self.test.expr_tests {
            self.check_expr(test, coverage);
        }
    }

    /// Writes the input up to a time.
    fn load(&mut self, t_ms: i64) -> Result<(), String> {
        for input in &mut self.input {
            while let Some(value) = input.values.get(input.next) {
                let at_ms = self.test.start_ms + input.next as i64 * self.test.interval_ms;
                if at_ms > t_ms {
                    break;
                }
                let value = match value {
                    SequenceValue::Omitted => None,
                    SequenceValue::Float(f) => {
                        input.previous = None;
                        Some(Value::Float(*f))
                    }
                    SequenceValue::Histogram { value, .. } => {
                        // A chunk keeps the hints that it can tell, and these are what rules see.
                        let hint = stored_hint(input.previous.as_deref(), value);
                        let stored =
                            Arc::new(FloatHistogram { counter_reset_hint: hint, ..(**value).clone() });
                        input.previous = Some(stored.clone());
                        Some(Value::Histogram(stored))
                    }
                };
                if let Some(value) = value {
                    let done = self.overlay.append(&input.labels, at_ms, &value);
                    done.map_err(|cause| format!("input series {}: {cause}", input.labels))?;
                }
                input.next += 1;
            }
        }
        Ok(())
    }

    /// Evaluates every group; false where a rule failed, which ends the test.
    fn evaluate(&mut self, t_ms: i64, since_start_ms: i64) -> bool {
        let before = self.failures.len();
        for (interval_ms, runs) in &mut self.groups {
            let due = interval_ms.is_none_or(|interval_ms| since_start_ms % interval_ms == 0);
            if self.options.own_intervals && !due {
                continue;
            }
            for run in runs.iter_mut() {
                let env = environment(&self.engine, &self.overlay, self.test);
                let written = run.step(t_ms, &env);
                run.commit(t_ms, written, &mut self.overlay);
            }
            for run in runs {
                if let Some(cause) = &run.last_error {
                    let at = duration::format_ms(since_start_ms);
                    self.failures
                        .push(Failure::plain(format!("rule: {}, time: {at}, err: {cause}", run.rule.name)));
                }
            }
        }
        self.failures.len() == before
    }

    fn check_alerts(&mut self, test: &AlertTest, coverage: &mut Coverage) {
        let mut got = Vec::new();
        for run in self.groups.iter().flat_map(|(_, runs)| runs) {
            if run.rule.alerting().is_none() || run.rule.name != test.alertname {
                continue;
            }
            coverage.asserted(run.summary.id, !test.expected.is_empty());
            got.extend(firing_of(run));
        }
        let mut expected = test.expected.clone();
        if same_alerts(&mut expected, &mut got, self.options.partial_labels) {
            return;
        }
        let at = duration::format_ms(test.eval_time_ms);
        self.failures.push(Failure {
            position: Some(test.position),
            message: format!("alertname: {}, time: {at}", test.alertname),
            expected: alert_lines(&expected),
            got: alert_lines(&got),
        });
    }

    fn check_expr(&mut self, test: &ExprTest, coverage: &mut Coverage) {
        let at = duration::format_ms(test.eval_time_ms);
        let title = format!("expr: {:?}, time: {at}", test.expr);
        let fail = |cause: String| Failure {
            position: Some(test.position),
            ..Failure::plain(format!("{title}, err: {cause}"))
        };
        let (mut got, mut expected) = match (self.query(test, coverage), expected_points(test)) {
            (Err(cause), _) | (_, Err(cause)) => return self.failures.push(fail(cause)),
            (Ok(got), Ok(expected)) => (got, expected),
        };
        if !same_points(&mut expected, &mut got, self.file.fuzzy_compare) {
            self.failures.push(Failure {
                position: Some(test.position),
                message: title,
                expected: expected.iter().map(Point::line).collect(),
                got: got.iter().map(Point::line).collect(),
            });
        }
    }

    fn query(&self, test: &ExprTest, coverage: &mut Coverage) -> Result<Vec<Point>, String> {
        let expr = assay_promql::parse(&test.expr).map_err(|e| e.to_string())?;
        coverage.queried(&expr);
        let env = environment(&self.engine, &self.overlay, self.test);
        let (vector, _) = instant(&env, &expr, self.test.start_ms + test.eval_time_ms)?;
        let point = |s: assay_promql::InstantSample| match s.value {
            Value::Float(value) => Point { labels: s.labels, value, histogram: None },
            Value::Histogram(h) => Point { labels: s.labels, value: 0.0, histogram: Some((*h).clone()) },
        };
        Ok(vector.into_iter().map(point).collect())
    }
}

/// The alerts of a rule that fire.
fn firing_of(run: &RuleRun<'_>) -> Vec<ExpectedAlert> {
    let alert = |(labels, alert): (&Labels, &crate::alert::Alert)| ExpectedAlert {
        labels: labels.to_pairs(),
        annotations: alert.annotations.clone(),
    };
    run.alerts.firing().map(alert).collect()
}

fn environment<'a>(engine: &'a Engine, view: &'a dyn Queryable, test: &'a TestGroup) -> Environment<'a> {
    Environment {
        engine,
        view,
        external_labels: &test.external_labels,
        external_url: &test.external_url,
        server_url: None,
        annotate_always: true,
    }
}

fn expected_points(test: &ExprTest) -> Result<Vec<Point>, String> {
    let mut out = Vec::new();
    for sample in &test.samples {
        let wrong = |cause: &dyn std::fmt::Display| format!("labels {:?}: {cause}", sample.labels);
        // Without labels the sample has none, as `{}` says.
        let text = if sample.labels.trim().is_empty() { "{}" } else { &sample.labels };
        let labels = promqltest::parse_metric(text).map_err(|e| wrong(&e))?;
        let mut histogram = None;
        if !sample.histogram.is_empty() {
            let values = promqltest::parse_series_values(&sample.histogram).map_err(|e| wrong(&e))?;
            histogram = match values.as_slice() {
                [SequenceValue::Histogram { value, .. }] => Some((**value).clone()),
                [_] => return Err(wrong(&"expected a histogram, found a number")),
                values => return Err(wrong(&format!("expected 1 value, got {}", values.len()))),
            };
        }
        out.push(Point { labels, value: sample.value, histogram });
    }
    Ok(out)
}

/// A histogram in the notation of test files, by which histograms are compared.
pub(super) fn histogram_text(h: &FloatHistogram) -> String {
    promqltest::notation(h)
}
