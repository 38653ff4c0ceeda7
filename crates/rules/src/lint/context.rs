//! What lints look at.
//!
//! Invariant: the run's series are asked for the same selector once only.

use std::{cell::RefCell, collections::HashMap};

use assay_model::{Column, Labels, Matcher, Queryable};

use super::CheckOptions;
use crate::{
    Group, Rule, RuleFiles, RuleId,
    replay::{ReplayResult, RuleSummary, may_match},
};

/// The rules, and the run where there is one.
pub(crate) struct Context<'a> {
    pub(crate) files: &'a RuleFiles,
    source: Option<&'a dyn Queryable>,
    replayed: Option<&'a ReplayResult>,
    interval_ms: i64,
    selected: RefCell<HashMap<Vec<Matcher>, Vec<Labels>>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(files: &'a RuleFiles, options: &CheckOptions<'a>) -> Self {
        Self {
            files,
            source: options.run.map(|r| r.0),
            replayed: options.run.map(|r| r.1),
            interval_ms: if options.interval_ms > 0 { options.interval_ms } else { 60_000 },
            selected: RefCell::default(),
        }
    }

    /// All rules with their places.
    pub(super) fn rules(&self) -> impl Iterator<Item = (RuleId, &'a Rule)> + use<'a> {
        self.files.rules()
    }

    /// A group's interval.
    pub(super) fn interval_ms(&self, group: &Group) -> i64 {
        group.interval_ms.unwrap_or(self.interval_ms)
    }

    /// Whether some rule writes what a selector asks for.
    pub(super) fn is_written(&self, matchers: &[Matcher]) -> bool {
        self.files.rules().any(|(_, rule)| may_match(matchers, rule))
    }

    /// The run's series that match.
    pub(super) fn series(&self, matchers: &[Matcher]) -> Vec<Labels> {
        if let Some(known) = self.selected.borrow().get(matchers) {
            return known.clone();
        }
        let found = match self.source {
            Some(source) => source.select(matchers, i64::MIN, i64::MAX).unwrap_or_default(),
            None => Vec::new(),
        };
        let labels: Vec<Labels> = found.iter().map(|s| s.labels().clone()).collect();
        self.selected.borrow_mut().insert(matchers.to_vec(), labels.clone());
        labels
    }

    /// The run's samples of the first series that match.
    pub(super) fn samples(&self, matchers: &[Matcher], series: usize) -> Vec<Column> {
        let Some(source) = self.source else { return Vec::new() };
        let found = source.select(matchers, i64::MIN, i64::MAX).unwrap_or_default();
        let mut out = Vec::new();
        for series in found.iter().take(series) {
            let mut column = Column::default();
            if series.read(i64::MIN, i64::MAX, &mut column).is_ok() {
                out.push(column);
            }
        }
        out
    }

    /// The names of the run's metrics.
    pub(super) fn metric_names(&self) -> Vec<String> {
        self.source.and_then(|s| s.label_values(assay_model::METRIC_NAME, &[]).ok()).unwrap_or_default()
    }

    /// What the run knows of a metric's type.
    pub(super) fn metric_type(&self, metric: &str) -> Option<assay_model::MetricType> {
        self.source?.metadata(metric).map(|m| m.metric_type)
    }

    /// What the replay came to for a rule.
    pub(super) fn summary(&self, id: RuleId) -> Option<&'a RuleSummary> {
        self.replayed?.rules.iter().find(|s| s.id == id)
    }

    /// How many alerts of a rule were active in the replay.
    pub(super) fn instances(&self, id: RuleId) -> usize {
        let alerts = self.replayed.map(|r| r.alerts.as_slice()).unwrap_or_default();
        alerts.iter().filter(|a| a.id == id).count()
    }
}

/// What the lints' tests share.
#[cfg(test)]
pub(super) mod testing {
    use assay_model::{MetricMetadata, MetricType, Selected};
    use assay_promql::promqltest::{MemStorage, SequenceValue, parse_series_line};

    use super::*;
    use crate::{
        lint::check as check_all,
        replay::{ReplayOptions, replay},
    };

    /// A storage that knows metrics named like gauges.
    struct Typed(MemStorage);

    impl Queryable for Typed {
        fn select<'q>(&'q self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Selected<'q> {
            self.0.select(matchers, start_ms, end_ms)
        }

        fn time_range(&self) -> Option<(i64, i64)> {
            self.0.time_range()
        }

        fn metadata(&self, metric: &str) -> Option<MetricMetadata> {
            let metric_type =
                if metric.ends_with("_gauge") { MetricType::Gauge } else { MetricType::Unknown };
            Some(MetricMetadata { metric_type, ..MetricMetadata::default() })
        }
    }

    fn files(rules: &str) -> RuleFiles {
        let indented: String = rules.lines().map(|l| format!("  {}\n", l.trim_start())).collect();
        RuleFiles::parse("r.yml", &format!("groups:\n- name: g\n  rules:\n{indented}"))
            .expect("the rules are valid")
    }

    fn found(files: &RuleFiles, code: &str, options: &CheckOptions<'_>) -> Vec<String> {
        let findings = check_all(files, options);
        let of_code = findings.iter().filter(|f| f.code == code);
        of_code
            .map(|f| format!("{}: {}", f.id.rule + 1, f.message.split_once("\": ").map_or("", |(_, m)| m)))
            .collect()
    }

    /// Checks rules of one group, a line each, and compares what one lint says as `rule: message`.
    pub(crate) fn check(code: &str, rules: &str, want: &[&str]) {
        let files = files(rules);
        assert_eq!(found(&files, code, &CheckOptions::default()), want);
    }

    /// The same with a run of ten minutes of one series, a sample every 15 s.
    pub(crate) fn check_run(code: &str, rules: &str, series: &str, want: &[&str]) {
        let mut storage = MemStorage::new();
        let (labels, values): (Labels, _) = parse_series_line(series).expect("a series");
        for (i, value) in values.iter().enumerate() {
            if let SequenceValue::Float(v) = value {
                storage.append(&labels, i as i64 * 15_000, *v).expect("appended");
            }
        }
        let (files, source) = (files(rules), Typed(storage));
        let result = replay(&source, &files, &ReplayOptions::new(0, 600_000));
        let options = CheckOptions { run: Some((&source, &result)), ..CheckOptions::default() };
        assert_eq!(found(&files, code, &options), want);
    }
}
