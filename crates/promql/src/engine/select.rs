//! Reading series, and instant selectors. Invariant: each selection is made once, and the series of one with
//! several uses are decoded once.
//!
//! Source: Prometheus `promql/engine.go` v3.13 (`evalSeries`, `vectorSelectorSingle`, `smoothSeries`).

mod smooth;
mod stats;

use std::sync::{Arc, OnceLock};

use assay_model::{Column, FloatHistogram, Labels, Series, is_stale};

use super::{
    EvalError,
    context::{Context, Worker},
    eval::Evaluator,
    grid::Grid,
    limits::{Held, Size},
    notes::Notes,
    plan::{Node, Plan, Selection, Selector, Shift},
    points::{ABSENT, Points, stored},
    vector::{Meta, Vector},
};
use crate::ast::RangeMode;

/// The series of a selection.
pub(crate) struct Loaded<'e> {
    pub(crate) series: Vec<Box<dyn Series + 'e>>,
    start_ms: i64,
    end_ms: i64,
    /// The decoded series, where several parts of the plan use them.
    decoded: Option<Vec<OnceLock<Shared>>>,
}

/// A decoded series, and what it holds of the query's budget.
struct Shared {
    column: Arc<Column>,
    _held: Held,
}

pub(crate) use stats::strip;

/// A series' samples, in a buffer or shared.
pub(crate) enum Read<'w> {
    Buffer(&'w mut Column),
    Shared(Arc<Column>),
}

impl std::ops::Deref for Read<'_> {
    type Target = Column;

    fn deref(&self) -> &Column {
        match self {
            Self::Buffer(c) => c,
            Self::Shared(c) => c,
        }
    }
}

/// Makes the selections of a plan.
pub(crate) fn load<'e>(ctx: &Context<'e>, plan: &Plan) -> Result<Vec<Loaded<'e>>, EvalError> {
    plan.selections.iter().map(|s| load_one(ctx, s)).collect()
}

fn load_one<'e>(ctx: &Context<'e>, s: &Selection) -> Result<Loaded<'e>, EvalError> {
    ctx.check()?;
    let (start_ms, end_ms) = (s.start_ms, s.end_ms);
    let series = if s.uses == 0 || start_ms > end_ms {
        Vec::new()
    } else {
        ctx.queryable.select_for(&s.matchers, start_ms, end_ms, s.access)?
    };
    let max = ctx.options.limits.max_series;
    if max > 0 && series.len() > max {
        let parts: Vec<String> = s.matchers.iter().map(ToString::to_string).collect();
        let selector = format!("{{{}}}", parts.join(", "));
        return Err(EvalError::TooManySeries { selector, found: series.len(), max });
    }
    let decoded = (s.uses > 1).then(|| series.iter().map(|_| OnceLock::new()).collect());
    Ok(Loaded { series, start_ms, end_ms, decoded })
}

impl Loaded<'_> {
    /// The labels of a series.
    pub(crate) fn labels(&self, i: usize) -> &Labels {
        self.series[i].labels()
    }

    /// The series as a vector's.
    pub(crate) fn metas(&self, drop_name: bool) -> Vec<Meta> {
        self.series.iter().map(|s| Meta { labels: s.labels().clone(), drop_name }).collect()
    }

    /// The samples of a series over the whole range of the selection. `buffer` is overwritten, or left alone
    /// where the series is shared.
    pub(crate) fn read<'w>(
        &self,
        i: usize,
        ctx: &Context<'_>,
        buffer: &'w mut Column,
    ) -> Result<Read<'w>, EvalError> {
        if let Some(shared) = self.decoded.as_ref().and_then(|d| d[i].get()) {
            return Ok(Read::Shared(shared.column.clone()));
        }
        self.decode(i, buffer)?;
        let size = Size::samples(buffer.times.len(), &buffer.histograms);
        if let Some(decoded) = &self.decoded
            && let Some(held) = ctx.budget.spare(size)
        {
            let shared = Shared { column: Arc::new(std::mem::take(buffer)), _held: held };
            return Ok(Read::Shared(decoded[i].get_or_init(|| shared).column.clone()));
        }
        ctx.hold(size)?;
        Ok(Read::Buffer(buffer))
    }

    fn decode(&self, i: usize, out: &mut Column) -> Result<(), EvalError> {
        out.clear();
        self.series[i].read(self.start_ms, self.end_ms, out)?;
        Ok(())
    }
}

/// A sample that an instant selector found.
pub(crate) struct Found<'c> {
    pub(crate) t_ms: i64,
    pub(crate) start_ms: i64,
    pub(crate) value: f64,
    pub(crate) histogram: Option<&'c Arc<FloatHistogram>>,
}

/// Calls `f` with the latest sample of every step that is younger than the lookback and not stale.
pub(crate) fn each_found<'c>(
    ctx: &Context<'_>,
    column: &'c Column,
    grid: Grid,
    shift: Shift,
    mut f: impl FnMut(usize, Found<'c>),
) -> Result<(), EvalError> {
    let (lookback_ms, mut pace) = (ctx.options.lookback_ms, ctx.pace());
    let (mut floats, mut histograms) = (0, 0);
    for step in 0..grid.steps {
        pace.spend(1)?;
        let at = shift.apply(grid.time(step));
        floats += column.times[floats..].iter().take_while(|t| **t <= at).count();
        histograms += column.histogram_times[histograms..].iter().take_while(|t| **t <= at).count();
        let float_t = floats.checked_sub(1).map(|i| column.times[i]);
        let histogram_t = histograms.checked_sub(1).map(|i| column.histogram_times[i]);
        let oldest = at.saturating_sub(lookback_ms);
        let Some(t_ms) = float_t.max(histogram_t).filter(|t| *t > oldest) else { continue };
        let found = if float_t == Some(t_ms) {
            let value = column.values[floats - 1];
            let start_ms = column.starts.get(floats - 1).copied().unwrap_or(0);
            Found { t_ms, start_ms, value, histogram: None }
        } else {
            let h = &column.histograms[histograms - 1];
            let start_ms = column.histogram_starts.get(histograms - 1).copied().unwrap_or(0);
            Found { t_ms, start_ms, value: h.sum, histogram: Some(h) }
        };
        if !is_stale(found.value) {
            f(step, found);
        }
    }
    Ok(())
}

/// The latest samples, as a column.
fn latest(ctx: &Context<'_>, column: &Column, grid: Grid, shift: Shift) -> Result<Points, EvalError> {
    let mut out = Points { values: vec![ABSENT; grid.steps], histograms: Vec::new() };
    each_found(ctx, column, grid, shift, |step, found| match found.histogram {
        None => out.values[step] = stored(found.value),
        Some(h) => out.push_histogram(step, h.clone()),
    })?;
    Ok(out)
}

/// An instant selector over a grid.
pub(crate) fn instant<'e>(
    ev: &Evaluator<'e>,
    selector: &'e Selector,
    node: &'e Node,
    _notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let (ctx, loaded) = (ev.ctx, &ev.loaded[selector.selection]);
    if node.grid.steps == 0 {
        return Ok(Vector::empty());
    }
    let lookback_ms = ctx.options.lookback_ms;
    Ok(Vector::lazy(loaded.metas(false), 0, move |i, worker| {
        let Worker { notes, column } = worker;
        let mut column = loaded.read(i, ctx, column)?;
        if selector.stats && !column.histograms.is_empty() {
            column = Read::Shared(Arc::new(strip(&column)));
        }
        if selector.mode == RangeMode::Smoothed {
            let metric = loaded.labels(i).metric_name();
            return Ok(smooth::smoothed(
                &column,
                node.grid,
                selector.shift,
                lookback_ms,
                metric,
                node.site,
                notes,
            ));
        }
        latest(ctx, &column, node.grid, selector.shift)
    }))
}

/// The times of the samples that a selector finds, or their start times, in seconds.
pub(crate) fn times<'e>(
    ev: &Evaluator<'e>,
    selector: &'e Selector,
    node: &'e Node,
    start: bool,
    _notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let (ctx, loaded) = (ev.ctx, &ev.loaded[selector.selection]);
    if node.grid.steps == 0 || (start && !ctx.options.start_timestamps) {
        return Ok(Vector::empty());
    }
    Ok(Vector::lazy(loaded.metas(true), 0, move |i, worker| {
        let column = loaded.read(i, ctx, &mut worker.column)?;
        let mut out = Points::absent(node.grid.steps);
        each_found(ctx, &column, node.grid, selector.shift, |step, found| {
            out.values[step] = if start { found.start_ms } else { found.t_ms } as f64 / 1000.0;
        })?;
        Ok(out)
    }))
}
