//! What an `eval` expects, and whether a result is that.
//!
//! Invariant: every check that fails says what was expected and what there was. Tolerances and rules are those
//! of Prometheus' `promql/promqltest/test.go` and `util/almost` (v3.13).

use std::collections::BTreeMap;

use assay_model::{Labels, Value};
use regex::Regex;

use super::{
    almost::{almost_equal, histograms_agree},
    histogram::notation,
    script::When,
    series::SequenceValue,
};
use crate::value::{Annotation, Annotations, InstantSample, QueryValue, RangeSeries, Severity};

/// What an `eval` expects.
#[derive(Default)]
pub(super) struct Expectation {
    pub(super) ordered: bool,
    /// The evaluation fails, and so.
    pub(super) fail: Option<Pattern>,
    /// `eval_warn`: any warning will do.
    pub(super) some_warning: bool,
    /// `eval_info`: any info will do.
    pub(super) some_info: bool,
    pub(super) warnings: Check,
    pub(super) infos: Check,
    pub(super) scalar: Option<f64>,
    pub(super) string: Option<String>,
    /// `expect range vector`: the times of the values of an instant evaluation that yields a matrix.
    pub(super) range: Option<When>,
    /// The expected series with the position of their lines, from 1.
    pub(super) series: BTreeMap<Labels, (usize, Vec<SequenceValue>)>,
}

/// What is expected of the annotations of one kind.
#[derive(Default)]
pub(super) struct Check {
    pub(super) expected: Vec<Pattern>,
    pub(super) forbidden: bool,
}

pub(super) enum Pattern {
    Any,
    Text(String),
    Regex(Regex),
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Text(want) => want == text,
            Self::Regex(re) => re.is_match(text),
        }
    }

    /// Whether it is about this annotation: by its text with the position, or without. If the expression is another than
    /// the one in the file, positions do not count.
    fn is_about(&self, annotation: &Annotation, query: Option<&str>) -> bool {
        let (message, details) = (&annotation.message, &annotation.details);
        if self.matches(message) || self.matches(&format!("{message}{details}")) {
            return true;
        }
        match (query, self) {
            (Some(query), _) => self.matches(&annotation.text(query)),
            (None, Self::Any) => true,
            (None, Self::Text(want)) => want.rsplit_once(" (").is_some_and(|(want, _)| want == message),
            (None, Self::Regex(re)) => {
                let shorter = re.as_str().rsplit_once(r" \(").and_then(|(re, _)| Regex::new(re).ok());
                shorter.is_some_and(|re| re.is_match(&format!("{message}{details} ")) || re.is_match(message))
            }
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Any => "any".to_owned(),
            Self::Text(want) => format!("{want:?}"),
            Self::Regex(re) => format!("one that matches {:?}", re.as_str()),
        }
    }
}

impl Expectation {
    /// Whether the failure is the expected one.
    pub(super) fn check_failure(&self, error: &str) -> Result<(), String> {
        match &self.fail {
            None => Err(format!("failed: {error}")),
            Some(pattern) if pattern.matches(error) => Ok(()),
            Some(pattern) => Err(format!("expected the error {}, but got {error:?}", pattern.describe())),
        }
    }

    /// `query` is the expression's text, unless it is not the one of the file.
    pub(super) fn check_annotations(
        &self,
        annotations: &Annotations,
        query: Option<&str>,
    ) -> Result<(), String> {
        let of = |severity| annotations.iter().filter(|a| a.severity == severity).collect::<Vec<_>>();
        self.warnings.check("warning", &of(Severity::Warning), query, self.some_warning)?;
        self.infos.check("info", &of(Severity::Info), query, self.some_info)
    }

    pub(super) fn check_value(&self, value: &QueryValue, when: When) -> Result<(), String> {
        match value {
            QueryValue::Scalar(_, v) => match self.scalar {
                None => Err(format!("expected a vector or matrix, but got the scalar {v}")),
                Some(want) if almost_equal(want, *v) => Ok(()),
                Some(want) => Err(format!("expected the scalar {want}, but got {v}")),
            },
            QueryValue::String(_, v) => match &self.string {
                Some(want) if want == v => Ok(()),
                Some(want) => Err(format!("expected the string {want:?}, but got {v:?}")),
                None => Err(format!("expected no string, but got {v:?}")),
            },
            QueryValue::Vector(_) | QueryValue::Matrix(_) if self.scalar.is_some() => {
                Err("expected a scalar, but got a vector or matrix".to_owned())
            }
            QueryValue::Vector(samples) => self.check_vector(samples),
            QueryValue::Matrix(_) if self.ordered => {
                Err("an ordered result was expected of a matrix".to_owned())
            }
            QueryValue::Matrix(series) => self.check_matrix(series, self.range.unwrap_or(when)),
        }
    }

    fn check_vector(&self, samples: &[InstantSample]) -> Result<(), String> {
        for (at, sample) in samples.iter().enumerate() {
            let labels = &sample.labels;
            let got = describe(&sample.value);
            let Some((position, values)) = self.series.get(labels) else {
                return Err(format!("unexpected series {labels} with {got}"));
            };
            if self.ordered && *position != at + 1 {
                return Err(format!("expected {labels} at position {position}, but it was at {}", at + 1));
            }
            let want = values.first().unwrap_or(&SequenceValue::Omitted);
            if !agrees(want, &sample.value) {
                return Err(format!("expected {} for {labels}, but got {got}", describe_expected(want)));
            }
        }
        let missing = |l: &&Labels| !samples.iter().any(|s| s.labels == **l);
        match self.series.keys().find(missing) {
            Some(labels) => Err(format!("expected {labels}, which is not there")),
            None => Ok(()),
        }
    }

    fn check_matrix(&self, series: &[RangeSeries], when: When) -> Result<(), String> {
        let When::Range { start_ms, end_ms, step_ms } = when else {
            return Err("expected a vector or scalar, but got a matrix".to_owned());
        };
        sorted(series)?;
        for one in series {
            let labels = &one.labels;
            let got = samples_of(one);
            let Some((_, values)) = self.series.get(labels) else {
                return Err(format!("unexpected series {labels} with {}", describe_samples(&got)));
            };
            let times = (0i64..).map(|i| start_ms + i * step_ms);
            let want: Vec<_> = times.zip(values).filter(|(_, v)| **v != SequenceValue::Omitted).collect();
            if want.last().is_some_and(|(t, _)| *t > end_ms) {
                return Err(format!("expected more values for {labels} than the range has steps"));
            }
            let alike = |((t, w), (at, v)): (&(i64, &SequenceValue), &(i64, Value))| t == at && agrees(w, v);
            if want.len() != got.len() || !want.iter().zip(&got).all(alike) {
                let want = want.iter().map(|(t, w)| format!("{}@{t}", describe_expected(w)));
                let want = want.collect::<Vec<_>>().join(" ");
                return Err(format!("expected {want} for {labels}, but got {}", describe_samples(&got)));
            }
        }
        let missing = |l: &&Labels| !series.iter().any(|s| s.labels == **l);
        match self.series.keys().find(missing) {
            Some(labels) => Err(format!("expected {labels}, which is not there")),
            None => Ok(()),
        }
    }
}

impl Check {
    fn check(
        &self,
        kind: &str,
        found: &[&Annotation],
        query: Option<&str>,
        some: bool,
    ) -> Result<(), String> {
        let texts = || {
            found.iter().map(|a| query.map_or_else(|| a.message.clone(), |q| a.text(q))).collect::<Vec<_>>()
        };
        if (some || !self.expected.is_empty()) && found.is_empty() {
            return Err(format!("expected {kind} annotations, but there are none"));
        }
        if self.forbidden && !found.is_empty() {
            return Err(format!("unexpected {kind} annotations: {:?}", texts()));
        }
        if let Some(pattern) = self.expected.iter().find(|p| !found.iter().any(|a| p.is_about(a, query))) {
            return Err(format!(
                "expected the {kind} annotation {}, found {:?}",
                pattern.describe(),
                texts()
            ));
        }
        let known = |a: &&Annotation| self.expected.iter().any(|p| p.is_about(a, query));
        let extra = found.iter().find(|a| !self.expected.is_empty() && !known(a));
        extra.map_or(Ok(()), |extra| Err(format!("unexpected {kind} annotation {:?}", extra.message)))
    }
}

/// Whether the series of a matrix stand in the order of their labels.
pub(super) fn sorted(series: &[RangeSeries]) -> Result<(), String> {
    match series.windows(2).find(|w| w[0].labels > w[1].labels) {
        Some(w) => Err(format!(
            "a matrix must be sorted by labels, but {} comes before {}",
            w[0].labels, w[1].labels
        )),
        None => Ok(()),
    }
}

/// The samples of a series, ascending in time.
pub(super) fn samples_of(series: &RangeSeries) -> Vec<(i64, Value)> {
    let c = &series.samples;
    let floats = c.times.iter().zip(&c.values).map(|(t, v)| (*t, Value::Float(*v)));
    let histograms =
        c.histogram_times.iter().zip(&c.histograms).map(|(t, h)| (*t, Value::Histogram(h.clone())));
    let mut all: Vec<_> = floats.chain(histograms).collect();
    all.sort_by_key(|(t, _)| *t);
    all
}

fn agrees(want: &SequenceValue, got: &Value) -> bool {
    match (want, got) {
        (SequenceValue::Float(want), Value::Float(got)) => almost_equal(*want, *got),
        (SequenceValue::Histogram { value, hint_given }, Value::Histogram(got)) => {
            histograms_agree(value, got, *hint_given)
        }
        _ => false,
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Float(v) => v.to_string(),
        Value::Histogram(h) => notation(h),
    }
}

fn describe_expected(value: &SequenceValue) -> String {
    match value {
        SequenceValue::Omitted => "no value".to_owned(),
        SequenceValue::Float(v) => v.to_string(),
        SequenceValue::Histogram { value, .. } => notation(value),
    }
}

fn describe_samples(samples: &[(i64, Value)]) -> String {
    let one = |(t, v): &(i64, Value)| format!("{}@{t}", describe(v));
    let all: Vec<_> = samples.iter().map(one).collect();
    if all.is_empty() { "no samples".to_owned() } else { all.join(" ") }
}
