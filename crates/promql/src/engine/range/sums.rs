//! `sum_over_time` and `avg_over_time`. Invariant: rounding is compensated, over floats and histograms.
//!
//! Source: Prometheus `promql/functions.go` v3.13 (`funcSumOverTime`, `funcAvgOverTime`).

use std::sync::Arc;

use assay_model::{
    CounterResetHint, FloatHistogram,
    histogram::{CompensatedHistogram, IncompatibleSchemas},
    kahan::Kahan,
};

use super::{Job, slide::Slider};
use crate::engine::{
    notes::{Notes, Site, bounds_reconciled, mixed_schemas, mixed_types, reset_collision},
    points::Points,
};

pub(super) fn sum(job: &Job<'_>, notes: &mut Notes) -> Points {
    each(job, notes, |sum, _| finish(sum), histogram_sum)
}

pub(super) fn avg(job: &Job<'_>, notes: &mut Notes) -> Points {
    let mean = |sum: Kahan, values: &[f64]| {
        if sum.sum.is_finite() {
            let n = values.len() as f64;
            sum.sum / n + sum.lost / n
        } else {
            incremental_mean(values)
        }
    };
    each(job, notes, mean, histogram_avg)
}

fn finish(sum: Kahan) -> f64 {
    if sum.sum.is_infinite() { sum.sum } else { sum.total() }
}

type OfHistograms = fn(&[Arc<FloatHistogram>], &mut Remarks) -> Result<FloatHistogram, IncompatibleSchemas>;

fn each(
    job: &Job<'_>,
    notes: &mut Notes,
    of_floats: impl Fn(Kahan, &[f64]) -> f64,
    of_histograms: OfHistograms,
) -> Points {
    let (values, sliding) = (job.samples.values, job.overlaps());
    let mut slider = Slider::new(
        |i| Kahan::new(values[i]),
        |mut a: Kahan, b: Kahan| {
            a.add(b.sum);
            a.lost += b.lost;
            a
        },
    );
    let mut out = job.absent();
    for w in job.windows() {
        if w.histograms.is_empty() {
            let sum = if sliding {
                slider.window(w.floats.start, w.floats.end)
            } else {
                let mut sum = Kahan::default();
                values[w.floats.clone()].iter().for_each(|v| sum.add(*v));
                sum
            };
            out.values[w.step] = of_floats(sum, &values[w.floats]);
        } else if w.floats.is_empty() {
            let mut remarks = Remarks::default();
            match of_histograms(&job.samples.histograms[w.histograms], &mut remarks) {
                Ok(h) => {
                    remarks.tell(job.site, notes);
                    out.push_histogram(w.step, Arc::new(h));
                }
                Err(IncompatibleSchemas) => notes.warn(job.site, mixed_schemas(job.metric)),
            }
        } else {
            notes.warn(job.site, mixed_types(job.metric));
        }
    }
    out
}

/// The mean where the sum overflows: each value enters with its share.
pub(crate) fn incremental_mean(values: &[f64]) -> f64 {
    let Some((first, rest)) = values.split_first() else { return f64::NAN };
    let (mut sum, mut mean) = (Kahan::new(*first), None::<Kahan>);
    for (i, v) in rest.iter().enumerate() {
        let count = (i + 2) as f64;
        if mean.is_none() {
            let mut next = sum;
            next.add(*v);
            if !next.sum.is_infinite() {
                sum = next;
                continue;
            }
        }
        let before = mean.unwrap_or(Kahan { sum: sum.sum / (count - 1.0), lost: sum.lost / (count - 1.0) });
        let share = (count - 1.0) / count;
        let mut next = Kahan { sum: share * before.sum, lost: share * before.lost };
        next.add(v / count);
        mean = Some(next);
    }
    match mean {
        Some(m) => m.total(),
        None => sum.sum / values.len() as f64 + sum.lost / values.len() as f64,
    }
}

/// What is to be said of a sum of histograms.
#[derive(Default)]
pub(crate) struct Remarks {
    reset: bool,
    not_reset: bool,
    reconciled: bool,
}

impl Remarks {
    /// Takes note of a histogram's reset hint.
    pub(crate) fn see(&mut self, h: &FloatHistogram) {
        self.reset |= h.counter_reset_hint == CounterResetHint::CounterReset;
        self.not_reset |= h.counter_reset_hint == CounterResetHint::NotCounterReset;
    }

    /// Takes note of bounds that were reconciled.
    pub(crate) fn reconciled(&mut self, yes: bool) {
        self.reconciled |= yes;
    }

    /// Takes over what another part of the same sum has noted.
    pub(crate) fn join(&mut self, other: &Self) {
        self.reset |= other.reset;
        self.not_reset |= other.not_reset;
        self.reconciled |= other.reconciled;
    }

    /// Says it.
    pub(crate) fn tell(&self, site: Site, notes: &mut Notes) {
        if self.reset && self.not_reset {
            notes.warn(site, reset_collision("aggregation"));
        }
        if self.reconciled {
            notes.info(site, bounds_reconciled("aggregation"));
        }
    }
}

fn histogram_sum(
    list: &[Arc<FloatHistogram>],
    remarks: &mut Remarks,
) -> Result<FloatHistogram, IncompatibleSchemas> {
    let mut sum = CompensatedHistogram::new(list[0].as_ref().clone());
    remarks.see(&list[0]);
    for h in &list[1..] {
        remarks.see(h);
        remarks.reconciled(sum.add(h)?.bounds_reconciled);
    }
    Ok(sum.finish())
}

fn histogram_avg(
    list: &[Arc<FloatHistogram>],
    remarks: &mut Remarks,
) -> Result<FloatHistogram, IncompatibleSchemas> {
    let mut mean = HistogramMean::new(&list[0]);
    remarks.see(&list[0]);
    for h in &list[1..] {
        remarks.see(h);
        remarks.reconciled(mean.add(h)?);
    }
    Ok(mean.finish())
}

/// A mean of histograms: their sum, or where that overflows, the mean so far.
pub(crate) struct HistogramMean {
    sum: CompensatedHistogram,
    incremental: bool,
    count: f64,
}

impl HistogramMean {
    /// The mean of one.
    pub(crate) fn new(h: &FloatHistogram) -> Self {
        Self { sum: CompensatedHistogram::new(h.clone()), incremental: false, count: 1.0 }
    }

    /// Adds another one; true where custom bounds were reconciled.
    pub(crate) fn add(&mut self, h: &FloatHistogram) -> Result<bool, IncompatibleSchemas> {
        let count = self.count + 1.0;
        if !self.incremental {
            // The sum is kept until the next one is known not to overflow; huge sums are rare, so only they
            // pay for a copy.
            let before = near_overflow(self.sum.rounded(), h).then(|| self.sum.clone());
            let notes = self.sum.add(h)?;
            if !self.sum.rounded().has_overflow() {
                self.count = count;
                return Ok(notes.bounds_reconciled);
            }
            if let Some(before) = before {
                self.sum = before;
            }
            self.incremental = true;
            self.sum.div(count - 1.0);
        }
        self.count = count;
        self.sum.mul((count - 1.0) / count);
        let mut share = h.clone();
        share.div(count);
        Ok(self.sum.add(&share)?.bounds_reconciled)
    }

    /// The mean.
    pub(crate) fn finish(mut self) -> FloatHistogram {
        if !self.incremental {
            self.sum.div(self.count);
        }
        self.sum.finish()
    }
}

fn near_overflow(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    let huge = |h: &FloatHistogram| {
        let buckets = h.positive_buckets.iter().chain(&h.negative_buckets);
        [h.count, h.sum, h.zero_count].iter().chain(buckets).any(|v| v.abs() > f64::MAX / 4.0)
    };
    huge(a) || huge(b)
}
