//! Views of a series' samples. Invariant: no stale marker is in one, and times ascend.

use std::{ops::Range, sync::Arc};

use assay_model::{Column, CounterResetHint, FloatHistogram, is_stale};

use crate::engine::{
    EvalError,
    context::Context,
    grid::Grid,
    points::{Points, is_absent, stored},
};

/// Floats and histograms of a series, each ascending in time.
#[derive(Clone, Copy)]
pub(crate) struct Samples<'a> {
    pub(crate) times: &'a [i64],
    pub(crate) values: &'a [f64],
    pub(crate) histogram_times: &'a [i64],
    pub(crate) histograms: &'a [Arc<FloatHistogram>],
    /// Start timestamps, or empty.
    pub(crate) starts: &'a [i64],
    pub(crate) histogram_starts: &'a [i64],
}

impl<'a> Samples<'a> {
    pub(crate) fn new(c: &'a Column) -> Self {
        Self {
            times: &c.times,
            values: &c.values,
            histogram_times: &c.histogram_times,
            histograms: &c.histograms,
            starts: &c.starts,
            histogram_starts: &c.histogram_starts,
        }
    }

    /// The samples in `(after, until]`.
    pub(crate) fn within(&self, after: i64, until: i64) -> Self {
        let cut = |times: &[i64]| {
            let from = times.partition_point(|t| *t <= after);
            from..times.partition_point(|t| *t <= until).max(from)
        };
        self.slice(cut(self.times), cut(self.histogram_times))
    }

    /// The samples at these indices.
    pub(crate) fn slice(&self, floats: Range<usize>, histograms: Range<usize>) -> Self {
        let starts = if self.starts.is_empty() { &[] } else { &self.starts[floats.clone()] };
        let histogram_starts =
            if self.histogram_starts.is_empty() { &[] } else { &self.histogram_starts[histograms.clone()] };
        Self {
            times: &self.times[floats.clone()],
            values: &self.values[floats],
            histogram_times: &self.histogram_times[histograms.clone()],
            histograms: &self.histograms[histograms],
            starts,
            histogram_starts,
        }
    }

    /// A copy of the samples without start timestamps.
    pub(crate) fn to_column(self) -> Column {
        Column {
            times: self.times.to_vec(),
            values: self.values.to_vec(),
            histogram_times: self.histogram_times.to_vec(),
            histograms: self.histograms.to_vec(),
            ..Column::default()
        }
    }
}

/// The samples of a column without its stale markers; `scratch` takes them where there are any.
pub(crate) fn without_stale<'a>(column: &'a Column, scratch: &'a mut Column) -> Samples<'a> {
    // Block by block and without a way out of one, so that compilers compare several values at once.
    let odd = |v: &f64| is_stale(*v) | is_absent(*v);
    let block_is_odd = |block: &[f64]| block.iter().fold(false, |found, v| found | odd(v));
    if !column.values.chunks(256).any(block_is_odd) && !column.histograms.iter().any(|h| is_stale(h.sum)) {
        return Samples::new(column);
    }
    for (i, v) in column.values.iter().enumerate().filter(|(_, v)| !is_stale(**v)) {
        scratch.times.push(column.times[i]);
        scratch.values.push(stored(*v));
        scratch.starts.extend(column.starts.get(i));
    }
    for (i, h) in column.histograms.iter().enumerate().filter(|(_, h)| !is_stale(h.sum)) {
        scratch.histogram_times.push(column.histogram_times[i]);
        scratch.histograms.push(h.clone());
        scratch.histogram_starts.extend(column.histogram_starts.get(i));
    }
    Samples::new(scratch)
}

/// A subquery's column as samples. Reset hints become unknown: the samples between two steps are not seen.
pub(crate) fn from_points(
    points: &Points,
    grid: Grid,
    ctx: &Context<'_>,
    out: &mut Column,
) -> Result<(), EvalError> {
    const AT_ONCE: usize = 1 << 16;
    out.clear();
    for (chunk, values) in points.values.chunks(AT_ONCE).enumerate() {
        ctx.check()?;
        for (step, v) in (chunk * AT_ONCE..).zip(values).filter(|(_, v)| !is_absent(**v)) {
            out.times.push(grid.time(step));
            out.values.push(*v);
        }
    }
    for (step, h) in &points.histograms {
        out.histogram_times.push(grid.time(*step as usize));
        out.histograms.push(match h.counter_reset_hint {
            CounterResetHint::CounterReset | CounterResetHint::NotCounterReset => Arc::new(FloatHistogram {
                counter_reset_hint: CounterResetHint::Unknown,
                ..h.as_ref().clone()
            }),
            CounterResetHint::Unknown | CounterResetHint::Gauge => h.clone(),
        });
    }
    Ok(())
}
