//! Series that rules wrote, in memory, and the view in which they stand over those of the source.
//!
//! Invariant: a series' samples ascend in time; what does not is refused, as Prometheus' head block refuses it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use assay_model::{
    Access, Column, ExemplarsBySeries, FloatHistogram, Labels, METRIC_NAME, MatchOp, Matcher, MetricMetadata,
    QueryError, Queryable, Selected, Series, Texts, Value, is_stale, names_of, stale_nan, values_of,
};
use hashbrown::HashMap;

/// Series that rules wrote.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    series: Vec<Recorded>,
    by_labels: HashMap<Labels, usize>,
    by_name: BTreeMap<String, Vec<usize>>,
    shared: bool,
    bytes: usize,
}

/// The bytes of a float with its time.
const FLOAT_BYTES: usize = 16;

#[derive(Clone, Debug)]
struct Recorded {
    /// Who wrote the series first.
    writer: usize,
    labels: Labels,
    samples: Column,
    last: Option<Last>,
}

#[derive(Clone, Debug)]
struct Last {
    t_ms: i64,
    value: Value,
}

/// Why a sample was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The series has a later sample.
    #[error("out of order sample")]
    OutOfOrder,
    /// The series has another value at that time.
    #[error("duplicate sample for timestamp")]
    Duplicate,
}

impl Recorded {
    /// Whether it may have samples in a range, both ends in.
    fn overlaps(&self, start_ms: i64, end_ms: i64) -> bool {
        let within = |times: &[i64]| {
            times.first().zip(times.last()).is_some_and(|(a, b)| *a <= end_ms && *b >= start_ms)
        };
        within(&self.samples.times) || within(&self.samples.histogram_times)
    }
}

impl Overlay {
    /// Appends a sample.
    ///
    /// # Errors
    /// Where the series has a later sample, or another value at that time. The same value again is no error.
    pub fn append(&mut self, labels: &Labels, t_ms: i64, value: &Value) -> Result<(), AppendError> {
        self.append_by(0, labels, t_ms, value)
    }

    /// Appends a sample of one of several writers, who are distinguished by number.
    pub(crate) fn append_by(
        &mut self,
        writer: usize,
        labels: &Labels,
        t_ms: i64,
        value: &Value,
    ) -> Result<(), AppendError> {
        let at = self.at(labels, writer);
        self.shared |= self.series[at].writer != writer;
        let series = &mut self.series[at];
        if let Some(last) = &series.last {
            if t_ms < last.t_ms {
                return Err(AppendError::OutOfOrder);
            }
            if t_ms == last.t_ms {
                return if same(&last.value, value) { Ok(()) } else { Err(AppendError::Duplicate) };
            }
        }
        self.bytes += match value {
            Value::Float(_) => FLOAT_BYTES,
            Value::Histogram(h) => h.bytes(),
        };
        match value {
            // A stale marker takes the kind of the series that it ends.
            Value::Float(f)
                if is_stale(*f) && matches!(&series.last, Some(Last { value: Value::Histogram(_), .. })) =>
            {
                let marker = FloatHistogram { sum: stale_nan(), ..FloatHistogram::default() };
                series.samples.histogram_times.push(t_ms);
                series.samples.histograms.push(Arc::new(marker));
            }
            Value::Float(f) => {
                series.samples.times.push(t_ms);
                series.samples.values.push(*f);
            }
            Value::Histogram(h) => {
                series.samples.histogram_times.push(t_ms);
                series.samples.histograms.push(Arc::clone(h));
            }
        }
        let value = match (&series.last, value) {
            (Some(Last { value: Value::Histogram(h), .. }), Value::Float(f)) if is_stale(*f) => {
                Value::Histogram(Arc::clone(h))
            }
            _ => value.clone(),
        };
        series.last = Some(Last { t_ms, value });
        Ok(())
    }

    /// Appends floats, ascending in time, to a series that this writer alone writes; where another has written it,
    /// that is noted and nothing is appended.
    pub(crate) fn extend_by(&mut self, writer: usize, labels: &Labels, times: &[i64], values: &[f64]) {
        let (Some(t_ms), Some(value)) = (times.last(), values.last()) else { return };
        let at = self.at(labels, writer);
        let series = &mut self.series[at];
        if series.writer != writer || series.last.is_some() {
            self.shared = true;
            return;
        }
        self.bytes += FLOAT_BYTES * times.len();
        series.samples.times.extend_from_slice(times);
        series.samples.values.extend_from_slice(values);
        series.last = Some(Last { t_ms: *t_ms, value: Value::Float(*value) });
    }

    /// Whether a series has several writers.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared
    }

    /// Forgets the samples before a time, and the series that have none left.
    pub(crate) fn forget_before(&mut self, t_ms: i64) {
        for series in &mut self.series {
            let samples = &mut series.samples;
            let floats = samples.times.partition_point(|t| *t < t_ms);
            samples.times.drain(..floats);
            samples.values.drain(..floats);
            let histograms = samples.histogram_times.partition_point(|t| *t < t_ms);
            samples.histogram_times.drain(..histograms);
            samples.histograms.drain(..histograms);
        }
        if self.series.iter().all(|s| !s.samples.is_empty()) {
            return;
        }
        self.series.retain(|s| !s.samples.is_empty());
        self.by_labels.clear();
        self.by_name.clear();
        for (at, series) in self.series.iter().enumerate() {
            self.by_labels.insert(series.labels.clone(), at);
            self.by_name.entry(series.labels.metric_name().to_owned()).or_default().push(at);
        }
    }

    fn at(&mut self, labels: &Labels, writer: usize) -> usize {
        let next = self.series.len();
        let at = *self.by_labels.entry(labels.clone()).or_insert(next);
        if at == next {
            self.series.push(Recorded {
                writer,
                labels: labels.clone(),
                samples: Column::default(),
                last: None,
            });
            self.by_name.entry(labels.metric_name().to_owned()).or_default().push(at);
        }
        at
    }

    /// Every series with its samples, sorted by labels.
    #[must_use]
    pub fn series(&self) -> Vec<(&Labels, &Column)> {
        let mut all: Vec<_> = self.series.iter().map(|s| (&s.labels, &s.samples)).collect();
        all.sort_by(|a, b| a.0.cmp(b.0));
        all
    }

    /// The bytes that samples took which were appended.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The indexes of the series that can match, the name's matcher used first.
    fn candidates(&self, matchers: &[Matcher]) -> Vec<usize> {
        let name = matchers.iter().find(|m| m.name == METRIC_NAME && m.op == MatchOp::Equal);
        match name {
            Some(m) => self.by_name.get(&m.value).cloned().unwrap_or_default(),
            None => (0..self.series.len()).collect(),
        }
    }
}

/// Whether two values are the same sample, bit for bit.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::Histogram(a), Value::Histogram(b)) => a == b,
        _ => false,
    }
}

/// Whether a series passes all matchers.
fn all_match(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or("")))
}

struct Borrowed<'a> {
    series: &'a Recorded,
    /// Samples from this time on are not to be seen yet.
    before_ms: i64,
}

impl Series for Borrowed<'_> {
    fn labels(&self) -> &Labels {
        &self.series.labels
    }

    fn read(&self, start_ms: i64, end_ms: i64, out: &mut Column) -> Result<(), QueryError> {
        let end_ms = end_ms.min(self.before_ms.saturating_sub(1));
        out.append_within(&self.series.samples, start_ms, end_ms);
        Ok(())
    }
}

impl Queryable for Overlay {
    fn select<'q>(&'q self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Selected<'q> {
        let mut found: Vec<Box<dyn Series + 'q>> = Vec::new();
        for at in self.candidates(matchers) {
            let series = &self.series[at];
            if all_match(&series.labels, matchers) && series.overlaps(start_ms, end_ms) {
                found.push(Box::new(Borrowed { series, before_ms: i64::MAX }));
            }
        }
        found.sort_by(|a, b| a.labels().cmp(b.labels()));
        Ok(found)
    }

    fn time_range(&self) -> Option<(i64, i64)> {
        let ends = |times: &[i64]| Some((*times.first()?, *times.last()?));
        let all = self.series.iter().flat_map(|s| [ends(&s.samples.times), ends(&s.samples.histogram_times)]);
        all.flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

/// Which of the source's series stand for what the rules write, and so are left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hidden {
    /// The names that recording rules write.
    pub(crate) names: HashSet<String>,
    /// The alerts of the alerting rules.
    pub(crate) alerts: HashSet<String>,
}

impl Hidden {
    fn hides(&self, labels: &Labels) -> bool {
        match labels.metric_name() {
            "ALERTS" | "ALERTS_FOR_STATE" => labels.get("alertname").is_some_and(|a| self.alerts.contains(a)),
            name => self.names.contains(name),
        }
    }

    /// Whether some of the series that a selector finds may be hidden.
    fn concerns(&self, matchers: &[Matcher]) -> bool {
        let name = matchers.iter().find(|m| m.name == METRIC_NAME && m.op == MatchOp::Equal);
        match name.map(|m| m.value.as_str()) {
            Some("ALERTS" | "ALERTS_FOR_STATE") | None => true,
            Some(name) => self.names.contains(name),
        }
    }
}

/// The source with the rules' series over it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub(crate) source: &'a dyn Queryable,
    pub(crate) overlay: &'a Overlay,
    pub(crate) hidden: &'a Hidden,
}

impl Queryable for View<'_> {
    fn select<'q>(&'q self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Selected<'q> {
        self.select_for(matchers, start_ms, end_ms, Access::Plain)
    }

    fn heeds_access(&self) -> bool {
        self.source.heeds_access()
    }

    fn select_for<'q>(
        &'q self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        access: Access,
    ) -> Selected<'q> {
        let mut found = self.source.select_for(matchers, start_ms, end_ms, access)?;
        if self.hidden.concerns(matchers) {
            found.retain(|s| !self.hidden.hides(s.labels()));
        }
        let recorded = self.overlay.select(matchers, start_ms, end_ms)?;
        if !recorded.is_empty() {
            found.extend(recorded);
            found.sort_by(|a, b| a.labels().cmp(b.labels()));
        }
        Ok(found)
    }

    fn label_values_within(&self, name: &str, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Texts {
        if self.overlay.is_empty() {
            return self.source.label_values_within(name, matchers, start_ms, end_ms);
        }
        Ok(values_of(&self.select(matchers, start_ms, end_ms)?, name))
    }

    fn label_names_within(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Texts {
        if self.overlay.is_empty() {
            return self.source.label_names_within(matchers, start_ms, end_ms);
        }
        Ok(names_of(&self.select(matchers, start_ms, end_ms)?))
    }

    fn time_range(&self) -> Option<(i64, i64)> {
        match (self.source.time_range(), self.overlay.time_range()) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        }
    }

    fn metadata(&self, metric: &str) -> Option<MetricMetadata> {
        self.source.metadata(metric)
    }

    fn exemplars(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> ExemplarsBySeries {
        self.source.exemplars(matchers, start_ms, end_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_as_a_head_block_does() {
        let labels = Labels::from_pairs([(METRIC_NAME, "m")]);
        let mut overlay = Overlay::default();
        let mut check = |t, v: f64, want| {
            assert_eq!(overlay.append(&labels, t, &Value::Float(v)), want, "{t} {v}");
        };
        check(10, 1.0, Ok(()));
        check(10, 1.0, Ok(()));
        check(10, 2.0, Err(AppendError::Duplicate));
        check(9, 1.0, Err(AppendError::OutOfOrder));
        check(20, stale_nan(), Ok(()));
        check(20, f64::NAN, Err(AppendError::Duplicate));
        let (_, samples) = overlay.series()[0];
        assert_eq!(samples.times, [10, 20]);
        assert_eq!(overlay.time_range(), Some((10, 20)));
    }

    #[test]
    fn a_stale_marker_takes_the_kind_of_its_series() {
        let labels = Labels::from_pairs([(METRIC_NAME, "h")]);
        let mut overlay = Overlay::default();
        overlay.append(&labels, 1, &Value::Histogram(Arc::default())).expect("appended");
        overlay.append(&labels, 2, &Value::Float(stale_nan())).expect("appended");
        let (_, samples) = overlay.series()[0];
        assert!(samples.times.is_empty());
        assert!(is_stale(samples.histograms[1].sum));
    }

    #[test]
    fn a_view_hides_what_the_rules_write() {
        let mut source = Overlay::default();
        let series = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        for (labels, v) in [
            (series(&[(METRIC_NAME, "job:up"), ("job", "old")]), 1.0),
            (series(&[(METRIC_NAME, "up")]), 2.0),
            (series(&[(METRIC_NAME, "ALERTS"), ("alertname", "Ours")]), 3.0),
            (series(&[(METRIC_NAME, "ALERTS"), ("alertname", "Theirs")]), 4.0),
        ] {
            source.append(&labels, 1, &Value::Float(v)).expect("appended");
        }
        let mut overlay = Overlay::default();
        overlay
            .append(&series(&[(METRIC_NAME, "job:up"), ("job", "new")]), 1, &Value::Float(5.0))
            .expect("appended");
        let hidden = Hidden { names: ["job:up".to_owned()].into(), alerts: ["Ours".to_owned()].into() };
        let view = View { source: &source, overlay: &overlay, hidden: &hidden };
        let found = |matcher: Matcher| -> Vec<String> {
            let found = view.select(&[matcher], 0, 10).expect("selected");
            found.iter().map(|s| s.labels().to_string()).collect()
        };
        assert_eq!(found(Matcher::equal(METRIC_NAME, "job:up")), [r#"job:up{job="new"}"#]);
        assert_eq!(found(Matcher::equal(METRIC_NAME, "ALERTS")), [r#"ALERTS{alertname="Theirs"}"#]);
        let all = Matcher::new(MatchOp::Regex, METRIC_NAME, ".+").expect("compiles");
        assert_eq!(found(all).len(), 3);
    }
}
