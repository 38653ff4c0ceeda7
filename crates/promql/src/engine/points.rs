//! One series' values over a grid. Invariant: `values` has one entry for each step, [`ABSENT`] where the
//! series has no float there, and a step holds a float or a histogram but never both.

use std::sync::Arc;

use assay_model::FloatHistogram;

use super::{EvalError, context::Context};

/// The NaN that stands for "no float at this step". No calculation yields it (processors return quiet NaNs),
/// and readers turn a stored one into an ordinary NaN.
pub(crate) const ABSENT: f64 = f64::from_bits(ABSENT_BITS);
const ABSENT_BITS: u64 = 0x7ff0_0000_0000_0a55;

/// Whether a value stands for "none".
#[inline]
pub(crate) fn is_absent(v: f64) -> bool {
    v.to_bits() == ABSENT_BITS
}

/// A stored value as it may stand in a column.
#[inline]
pub(crate) fn stored(v: f64) -> f64 {
    if is_absent(v) { f64::NAN } else { v }
}

/// A sample at a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Point<'p> {
    Float(f64),
    Histogram(&'p Arc<FloatHistogram>),
}

/// A column: floats for each step, histograms by step, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Points {
    pub(crate) values: Vec<f64>,
    pub(crate) histograms: Vec<(u32, Arc<FloatHistogram>)>,
}

impl Points {
    /// A column without samples.
    pub(crate) fn absent(steps: usize) -> Self {
        Self { values: vec![ABSENT; steps], histograms: Vec::new() }
    }

    /// A column of floats.
    pub(crate) fn floats(values: Vec<f64>) -> Self {
        Self { values, histograms: Vec::new() }
    }

    /// Sets a step that had no sample to a histogram; steps come in ascending order.
    pub(crate) fn push_histogram(&mut self, step: usize, h: Arc<FloatHistogram>) {
        self.histograms.push((step as u32, h));
    }

    /// The sample at a step.
    pub(crate) fn at(&self, step: usize) -> Option<Point<'_>> {
        let v = self.values[step];
        if !is_absent(v) {
            return Some(Point::Float(v));
        }
        self.histogram(step).map(Point::Histogram)
    }

    /// The histogram at a step.
    pub(crate) fn histogram(&self, step: usize) -> Option<&Arc<FloatHistogram>> {
        if self.histograms.is_empty() {
            return None;
        }
        let at = self.histograms.binary_search_by_key(&(step as u32), |(s, _)| *s).ok()?;
        Some(&self.histograms[at].1)
    }

    /// Whether there is a sample at a step.
    pub(crate) fn has(&self, step: usize) -> bool {
        !is_absent(self.values[step]) || self.histogram(step).is_some()
    }

    /// The column of one step for all of `steps`.
    pub(crate) fn repeated(&self, steps: usize) -> Self {
        let value = self.values.first().copied().unwrap_or(ABSENT);
        let histograms = self
            .histograms
            .first()
            .map(|(_, h)| (0..steps as u32).map(|s| (s, h.clone())).collect())
            .unwrap_or_default();
        Self { values: vec![value; steps], histograms }
    }

    /// Makes of every float what `f` makes of it and its step; ends early where the query is over.
    pub(crate) fn each_float(
        &mut self,
        ctx: &Context<'_>,
        f: impl Fn(usize, f64) -> f64,
    ) -> Result<(), EvalError> {
        for part in ctx.parts(self.values.len()) {
            let part = part?;
            for (step, v) in part.clone().zip(&mut self.values[part]).filter(|(_, v)| !is_absent(**v)) {
                *v = f(step, *v);
            }
        }
        Ok(())
    }

    /// The same, and drops the histograms.
    pub(crate) fn map_floats(
        &mut self,
        ctx: &Context<'_>,
        f: impl Fn(usize, f64) -> f64,
    ) -> Result<(), EvalError> {
        self.histograms.clear();
        self.each_float(ctx, f)
    }

    /// Takes over the samples of `other`; false where both have one at the same step.
    pub(crate) fn merge(&mut self, other: &Self) -> bool {
        let clash = (0..self.values.len()).any(|s| self.has(s) && other.has(s));
        for (v, o) in self.values.iter_mut().zip(&other.values) {
            if is_absent(*v) {
                *v = *o;
            }
        }
        if !other.histograms.is_empty() {
            self.histograms.extend(other.histograms.iter().cloned());
            self.histograms.sort_by_key(|(s, _)| *s);
        }
        !clash
    }
}

/// A number for each step.
#[derive(Clone, Debug)]
pub(crate) enum Scalars {
    /// The same at every step.
    Constant(f64),
    /// One for each.
    Steps(Arc<Vec<f64>>),
}

impl Scalars {
    /// The number at a step.
    #[inline]
    pub(crate) fn at(&self, step: usize) -> f64 {
        match self {
            Self::Constant(v) => *v,
            Self::Steps(values) => values[step],
        }
    }

    /// All numbers.
    pub(crate) fn iter(&self, steps: usize) -> impl Iterator<Item = f64> + '_ {
        (0..steps).map(|s| self.at(s))
    }

    /// The result of `f` at every step.
    pub(crate) fn map2(
        &self,
        other: &Self,
        ctx: &Context<'_>,
        steps: usize,
        f: impl Fn(f64, f64) -> f64,
    ) -> Result<Self, EvalError> {
        if let (Self::Constant(a), Self::Constant(b)) = (self, other) {
            return Ok(Self::Constant(f(*a, *b)));
        }
        Ok(Self::Steps(Arc::new(ctx.collect(steps, |s| f(self.at(s), other.at(s)))?)))
    }

    /// The numbers as a column.
    pub(crate) fn to_points(&self, ctx: &Context<'_>, steps: usize) -> Result<Points, EvalError> {
        Ok(Points::floats(ctx.collect(steps, |s| self.at(s))?))
    }
}
