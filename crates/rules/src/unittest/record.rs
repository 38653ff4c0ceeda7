//! Writes a unit test from recorded series.
//!
//! Invariant: the test that is written passes here, since what it expects was read off its own evaluation.

use std::{collections::BTreeMap, fmt::Write as _};

use assay_model::{Column, Labels, Matcher, Queryable, Value, duration::format_ms, number::format_g};
use assay_promql::promqltest::notation;

use super::{
    TestOptions,
    read::{ExpectedAlert, InputSeries, TestFile, TestGroup},
    run::Firing,
};
use crate::{file::RuleFiles, replay::may_match};

/// What to write.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// The test's name.
    pub name: String,
    /// The rule files, as the test file names them.
    pub rule_files: Vec<String>,
    /// The moment that becomes the test's start, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// The last moment, itself included.
    pub end_ms: i64,
    /// The distance between samples and between evaluations.
    pub interval_ms: i64,
}

/// Why no test can be written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The source cannot be read.
    #[error(transparent)]
    Read(#[from] assay_model::QueryError),
    /// No series that the rules read is in the source.
    #[error("the run holds no series that these rules read between {start_ms} and {end_ms} ms")]
    Empty {
        /// The first moment.
        start_ms: i64,
        /// The last moment.
        end_ms: i64,
    },
    /// The rules fail on the data.
    #[error("the rules fail on the recorded series: {0}")]
    Rules(String),
}

/// A test file in promtool's format: the series that the rules read, a value at each interval, and each change of the
/// alerts that fire.
///
/// # Errors
/// Where the source cannot be read or holds nothing that the rules read, or a rule fails.
pub fn record_test(
    source: &dyn Queryable,
    files: &RuleFiles,
    options: &RecordOptions,
) -> Result<String, RecordError> {
    let series = input(source, files, options)?;
    if series.is_empty() {
        return Err(RecordError::Empty { start_ms: options.start_ms, end_ms: options.end_ms });
    }
    let test = TestFile {
        rule_files: options.rule_files.clone(),
        evaluation_interval_ms: options.interval_ms,
        group_eval_order: Vec::new(),
        fuzzy_compare: false,
        tests: Vec::new(),
    };
    let position = assay_yaml::Position { line: 1, col: 1 };
    let input_series = series
        .iter()
        .map(|(labels, values)| InputSeries { series: labels.to_string(), values: values.clone(), position })
        .collect();
    let group = TestGroup {
        name: options.name.clone(),
        interval_ms: options.interval_ms,
        start_ms: 0,
        input_series,
        alert_tests: Vec::new(),
        expr_tests: Vec::new(),
        external_labels: Labels::empty(),
        external_url: String::new(),
    };
    let until_ms = options.end_ms - options.start_ms;
    let firing = super::run::firing(files, &test, &group, &TestOptions::default(), until_ms)
        .map_err(RecordError::Rules)?;
    Ok(render(options, &series, &firing))
}

/// The series that the rules read and do not write, each with its values in the notation of tests.
fn input(
    source: &dyn Queryable,
    files: &RuleFiles,
    options: &RecordOptions,
) -> Result<BTreeMap<Labels, String>, RecordError> {
    let mut selectors: Vec<&[Matcher]> = Vec::new();
    for (_, rule) in files.rules() {
        for selector in rule.expr.selectors() {
            let written = files.rules().any(|(_, other)| may_match(&selector.matchers, other));
            if !written && !selectors.contains(&selector.matchers.as_slice()) {
                selectors.push(&selector.matchers);
            }
        }
    }
    let mut out = BTreeMap::new();
    for matchers in selectors {
        for series in source.select(matchers, options.start_ms, options.end_ms)? {
            if out.contains_key(series.labels()) {
                continue;
            }
            let mut column = Column::default();
            series.read(options.start_ms - options.interval_ms + 1, options.end_ms, &mut column)?;
            if !column.is_empty() {
                out.insert(series.labels().clone(), compress(&on_grid(&column, options)));
            }
        }
    }
    Ok(out)
}

/// One word for each interval: the last sample that falls into it.
fn on_grid(column: &Column, options: &RecordOptions) -> Vec<Word> {
    let steps = (options.end_ms - options.start_ms) / options.interval_ms;
    let last = |times: &[i64], from_ms: i64, to_ms: i64| {
        let end = times.partition_point(|t| *t <= to_ms);
        end.checked_sub(1).filter(|i| times[*i] > from_ms)
    };
    let word = |i: i64| {
        let to_ms = options.start_ms + i * options.interval_ms;
        let from_ms = to_ms - options.interval_ms;
        let float = last(&column.times, from_ms, to_ms);
        let histogram = last(&column.histogram_times, from_ms, to_ms);
        let value = match (float, histogram) {
            (Some(f), Some(h)) if column.histogram_times[h] > column.times[f] => {
                Value::Histogram(column.histograms[h].clone())
            }
            (Some(f), _) => Value::Float(column.values[f]),
            (None, Some(h)) => Value::Histogram(column.histograms[h].clone()),
            (None, None) => return Word::Gap,
        };
        match value {
            value if value.is_stale() => Word::Text("stale".to_owned()),
            Value::Float(v) => Word::Number(v),
            Value::Histogram(h) => Word::Text(notation(&h)),
        }
    };
    (0..=steps).map(word).collect()
}

#[derive(Clone, Debug, PartialEq)]
enum Word {
    Gap,
    Number(f64),
    Text(String),
}

/// Words as a sequence, runs of equal or evenly rising ones in short.
fn compress(words: &[Word]) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut i = 0;
    while i < words.len() {
        let equal = words[i..].iter().take_while(|w| same(w, &words[i])).count();
        let (text, used) = match &words[i] {
            Word::Gap if equal > 1 => (format!("_x{equal}"), equal),
            Word::Gap => ("_".to_owned(), 1),
            Word::Text(text) => (text.clone(), 1),
            Word::Number(v) if equal > 2 => (format!("{}x{}", format_g(*v), equal - 1), equal),
            Word::Number(v) => rising(*v, &words[i..]).unwrap_or_else(|| (format_g(*v), 1)),
        };
        out.push(text);
        i += used;
    }
    out.join(" ")
}

fn same(a: &Word, b: &Word) -> bool {
    match (a, b) {
        (Word::Number(a), Word::Number(b)) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    }
}

/// `a+bxn`, where adding up gives the very same numbers.
fn rising(first: f64, words: &[Word]) -> Option<(String, usize)> {
    let [_, Word::Number(second), ..] = words else { return None };
    let step = second - first;
    let mut next = first;
    let fits = |w: &&Word| {
        let hit = matches!(w, Word::Number(v) if v.to_bits() == next.to_bits());
        next += step;
        hit
    };
    let count = words.iter().take_while(fits).count();
    let sign = if step < 0.0 { '-' } else { '+' };
    (count > 3 && step.is_finite())
        .then(|| (format!("{}{sign}{}x{}", format_g(first), format_g(step.abs()), count - 1), count))
}

fn render(options: &RecordOptions, series: &BTreeMap<Labels, String>, firing: &[Firing]) -> String {
    // JSON's strings are YAML's.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let interval = format_ms(options.interval_ms);
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "rule_files:");
    for file in &options.rule_files {
        let _ = writeln!(out, "  - {}", quoted(file));
    }
    let _ = writeln!(out, "evaluation_interval: {interval}\ntests:\n  - name: {}", quoted(&options.name));
    let _ = writeln!(out, "    interval: {interval}\n    input_series:");
    for (labels, values) in series {
        let _ = writeln!(
            out,
            "      - series: {}\n        values: {}",
            quoted(&labels.to_string()),
            quoted(values)
        );
    }
    let _ = writeln!(out, "    alert_rule_test:");
    for Firing { alertname, since_start_ms, alerts } in firing {
        let time = format_ms(*since_start_ms);
        let _ = writeln!(out, "      - eval_time: {time}\n        alertname: {}", quoted(alertname));
        let list = if alerts.is_empty() { "        exp_alerts: []" } else { "        exp_alerts:" };
        let _ = writeln!(out, "{list}");
        for ExpectedAlert { labels, annotations } in alerts {
            let pairs = |pairs: &[(String, String)]| {
                let texts: Vec<_> =
                    pairs.iter().map(|(n, v)| format!("{}: {}", quoted(n), quoted(v))).collect();
                format!("{{{}}}", texts.join(", "))
            };
            let own: Vec<_> = labels.iter().filter(|(n, _)| n != "alertname").cloned().collect();
            let _ = writeln!(out, "          - exp_labels: {}", pairs(&own));
            if !annotations.is_empty() {
                let _ = writeln!(out, "            exp_annotations: {}", pairs(annotations));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use assay_promql::promqltest::{MemStorage, SequenceValue, parse_series_line};

    use super::*;
    use crate::unittest::run_tests;

    #[test]
    fn sequences_are_written_short_and_read_back() {
        for (text, want) in [
            ("1 1 1 1 2", "1x3 2"),
            ("1 2 3 4 9", "1+1x3 9"),
            ("4 3 2 1", "4-1x3"),
            ("_ _ 1 stale", "_x2 1 stale"),
            ("0.1 0.2 0.3", "0.1 0.2 0.3"),
            ("Inf NaN NaN NaN", "+Inf NaNx2"),
        ] {
            let (_, values) = parse_series_line(&format!("m {text}")).expect("parses");
            let words: Vec<Word> = values
                .iter()
                .map(|v| match v {
                    SequenceValue::Float(f) if assay_model::is_stale(*f) => Word::Text("stale".to_owned()),
                    SequenceValue::Float(f) => Word::Number(*f),
                    _ => Word::Gap,
                })
                .collect();
            let short = compress(&words);
            assert_eq!(short, want);
            let (_, again) = parse_series_line(&format!("m {short}")).expect("parses");
            assert_eq!(format!("{values:?}"), format!("{again:?}"));
        }
    }

    #[test]
    fn a_recorded_test_passes() {
        let rules = "groups:\n- name: g\n  rules:\n  - {record: r, expr: sum(up)}\n  \
                     - {alert: Down, expr: up == 0, for: 30s, labels: {severity: page}, annotations: {s: '{{ $labels.job }}: \"{{ $value }}\"'}}\n";
        let dir = tempfile::tempdir().expect("a directory");
        let (rule_file, test_file) = (dir.path().join("r.yml"), dir.path().join("t.yml"));
        std::fs::write(&rule_file, rules).expect("written");
        let files = RuleFiles::load(&[rule_file.display().to_string()]).expect("reads");
        let mut storage = MemStorage::new();
        for line in ["up{job=\"a\"} 1 1 0 0 0 0 1 1", "up{job=\"b\"} 1 _ 1 0 0 0 0 stale", "other 1 2 3"] {
            let (labels, values) = parse_series_line(line).expect("parses");
            for (i, value) in values.iter().enumerate() {
                if let SequenceValue::Float(v) = value {
                    storage.append(&labels, 1_000_000 + i as i64 * 15_000, *v).expect("appended");
                }
            }
        }
        let options = RecordOptions {
            name: "from a run".to_owned(),
            rule_files: vec!["r.yml".to_owned()],
            start_ms: 1_000_000,
            end_ms: 1_105_000,
            interval_ms: 15_000,
        };
        let text = record_test(&storage, &files, &options).expect("a test");
        assert!(text.contains("values: \"1 _ 1 0x3 stale\""), "{text}");
        assert!(!text.contains("other"), "{text}");
        assert_eq!(text.matches("exp_labels").count(), 4, "{text}");
        std::fs::write(&test_file, &text).expect("written");
        let report = run_tests(&[test_file.display().to_string()], &TestOptions::default());
        assert!(report.passed(), "{text}\n{report:?}");
    }
}
