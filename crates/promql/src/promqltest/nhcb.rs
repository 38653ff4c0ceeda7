//! Classic histograms to native ones with custom buckets, as `load_with_nhcb` does.
//!
//! Invariant: buckets of a time are cumulative, else there is no histogram but an error. Source: Prometheus
//! `util/convertnhcb/convertnhcb.go` (v3.13).

use std::collections::BTreeMap;

use assay_model::{FloatHistogram, Labels, METRIC_NAME, Span, histogram::CUSTOM_BUCKETS_SCHEMA};

/// The parts of a classic histogram at one time.
#[derive(Default)]
struct Classic {
    /// Cumulative counts with their upper bounds.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// Collects classic series and makes native histograms of them.
#[derive(Default)]
pub(super) struct Collector {
    histograms: BTreeMap<Labels, BTreeMap<i64, Classic>>,
}

impl Collector {
    /// Takes a sample where it is part of a classic histogram.
    pub(super) fn add(&mut self, labels: &Labels, t_ms: i64, value: f64) {
        let name = labels.metric_name();
        if let Some(base) = name.strip_suffix("_bucket") {
            let bound = labels.get("le").and_then(|le| le.parse::<f64>().ok()).filter(|le| !le.is_nan());
            let Some(bound) = bound else { return };
            let buckets = &mut self.at(labels, base, t_ms).buckets;
            if !buckets.iter().any(|(b, _)| *b == bound) {
                buckets.push((bound, value));
            }
        } else if let Some(base) = name.strip_suffix("_count") {
            self.at(labels, base, t_ms).count = Some(value);
        } else if let Some(base) = name.strip_suffix("_sum") {
            self.at(labels, base, t_ms).sum = value;
        }
    }

    fn at(&mut self, labels: &Labels, base: &str, t_ms: i64) -> &mut Classic {
        let mut builder = labels.to_builder();
        builder.set(METRIC_NAME, base).del("le");
        self.histograms.entry(builder.build()).or_default().entry(t_ms).or_default()
    }

    /// The histograms of each series, ascending in time.
    pub(super) fn finish(self) -> Result<Vec<(Labels, i64, FloatHistogram)>, String> {
        let mut out = Vec::new();
        for (labels, times) in self.histograms {
            for (t_ms, classic) in times {
                let h = classic.convert().map_err(|e| format!("{labels} at {t_ms} ms: {e}"))?;
                out.push((labels.clone(), t_ms, h));
            }
        }
        Ok(out)
    }
}

impl Classic {
    fn convert(mut self) -> Result<FloatHistogram, String> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let highest = self.buckets.last().copied();
        let count = self.count.or(highest.map(|(_, c)| c)).unwrap_or_default();
        if highest.is_none_or(|(bound, _)| bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut below = 0.0;
        let mut counts = Vec::new();
        for (bound, cumulative) in &self.buckets {
            if *cumulative < below {
                return Err(format!("the count of le={bound} is below that of the bucket before it"));
            }
            counts.push(cumulative - below);
            below = *cumulative;
        }
        if below != count {
            return Err(format!("count mismatch: count={count}, le=+Inf has {below}"));
        }
        let mut h = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts,
            custom_values: self.buckets.iter().map(|b| b.0).filter(|b| b.is_finite()).collect(),
            ..FloatHistogram::default()
        };
        h.compact(2);
        Ok(h)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_become_one_histogram() {
        let mut collector = Collector::default();
        for (le, count) in [("+Inf", 4.0), ("0.1", 1.0), ("1", 3.0)] {
            collector.add(&Labels::from_pairs([("__name__", "d_bucket"), ("le", le), ("j", "a")]), 5, count);
        }
        collector.add(&Labels::from_pairs([("__name__", "d_sum"), ("j", "a")]), 5, 2.5);
        let found = collector.finish().expect("converts");
        let (labels, t_ms, h) = &found[0];
        assert_eq!((labels.to_string(), *t_ms), ("d{j=\"a\"}".to_owned(), 5));
        assert_eq!(
            (h.count, h.sum, &*h.custom_values, &*h.positive_buckets),
            (4.0, 2.5, &[0.1, 1.0][..], &[1.0, 2.0, 1.0][..])
        );
    }
}
