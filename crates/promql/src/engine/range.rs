//! Functions over range vectors. Invariant: a window is open on the left and closed on the right, stale
//! markers are not in it, and consecutive windows only ever move forward.
//!
//! Source: Prometheus `promql/functions.go` v3.13, file by file below.

mod changes;
mod edges;
mod extended;
mod extremes;
mod histogram_rate;
mod instant_rate;
mod order;
mod rate;
mod regression;
mod samples;
mod slide;
mod smoothing;
mod sums;
mod variance;

use std::ops::Range;

use assay_model::{Column, Labels};

use super::{
    EvalError,
    context::{Context, HISTOGRAM_COST, Worker},
    eval::Evaluator,
    grid::Grid,
    limits::Size,
    notes::{Notes, Site},
    plan::{Node, Shift, Window, WindowSource},
    points::{Points, Scalars},
    select::{Loaded, strip},
    vector::{Meta, Vector},
};
use crate::{
    ast::{Function, RangeFunc, RangeMode, StartTimes},
    value::RangeSeries,
};

pub(crate) use extended::{interpolate, interpolate_histograms};
pub(crate) use order::{order, quantile_of};
pub(crate) use samples::{Samples, without_stale};
pub(crate) use sums::{HistogramMean, Remarks, incremental_mean};

/// One series' samples and the windows that a function is to look at.
pub(crate) struct Job<'a> {
    pub(crate) samples: Samples<'a>,
    pub(crate) frame: Frame,
    pub(crate) params: &'a [Scalars],
    /// The metric's name, for notes.
    pub(crate) metric: &'a str,
    /// The range vector's place.
    pub(crate) site: Site,
    /// Where the first parameter stands, or the range where there is none.
    pub(crate) param_site: Site,
    pub(crate) ctx: &'a Context<'a>,
}

/// What a window costs in addition to its samples.
const WINDOW_COST: usize = 4;
/// How many samples cost as much as an operation: most functions slide, or add up several at a time.
const SAMPLES_AT_ONCE: usize = 8;
/// How many bytes a function may need for each sample of a series: the sample, and what functions keep of it to slide.
const SAMPLE_BYTES: usize = 64;

/// The windows of a range vector over a grid.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) grid: Grid,
    pub(crate) range_ms: i64,
    pub(crate) shift: Shift,
    pub(crate) mode: RangeMode,
    pub(crate) lookback_ms: i64,
}

/// The samples of one step's window.
pub(crate) struct WindowAt {
    pub(crate) step: usize,
    /// The evaluation time.
    pub(crate) t_ms: i64,
    /// The range is `(start_ms, end_ms]`, without what `anchored` and `smoothed` look at beyond it.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) floats: Range<usize>,
    pub(crate) histograms: Range<usize>,
}

impl Job<'_> {
    /// The windows that hold samples, in order.
    pub(crate) fn windows(&self) -> impl Iterator<Item = WindowAt> + '_ {
        let Frame { grid, range_ms, shift, mode, lookback_ms } = self.frame;
        let (before, after) = match mode {
            RangeMode::Plain => (0, 0),
            RangeMode::Anchored => (lookback_ms, 0),
            RangeMode::Smoothed => (lookback_ms, lookback_ms),
        };
        let (times, histogram_times) = (self.samples.times, self.samples.histogram_times);
        let (mut floats, mut histograms) = (0..0, 0..0);
        let (mut pace, mut is_over) = (self.ctx.pace(), false);
        (0..grid.steps).filter_map(move |step| {
            // A query that is over gets no more windows; who asked for them finds out why.
            if is_over {
                return None;
            }
            let t_ms = grid.time(step);
            let end_ms = shift.apply(t_ms);
            let start_ms = end_ms.saturating_sub(range_ms);
            let (from, to) = (start_ms.saturating_sub(before), end_ms.saturating_add(after));
            advance(&mut floats, times, from, to);
            advance(&mut histograms, histogram_times, from, to);
            let samples = floats.len() / SAMPLES_AT_ONCE + HISTOGRAM_COST * histograms.len();
            is_over = pace.spend(WINDOW_COST + samples).is_err();
            let empty = floats.is_empty() && histograms.is_empty();
            let (floats, histograms) = (floats.clone(), histograms.clone());
            (!empty && !is_over).then_some(WindowAt { step, t_ms, start_ms, end_ms, floats, histograms })
        })
    }

    /// A column without samples for the result.
    pub(crate) fn absent(&self) -> Points {
        Points::absent(self.frame.grid.steps)
    }

    /// Whether a sample is in so many windows that sliding beats looking at each window again.
    pub(crate) fn overlaps(&self) -> bool {
        self.frame.grid.steps > 1 && self.frame.range_ms / self.frame.grid.step_ms.max(1) > 4
    }
}

/// Moves a window over ascending times to `(from, to]`.
#[inline]
fn advance(window: &mut Range<usize>, times: &[i64], from: i64, to: i64) {
    while window.start < times.len() && times[window.start] <= from {
        window.start += 1;
    }
    window.end = window.end.max(window.start);
    while window.end < times.len() && times[window.end] <= to {
        window.end += 1;
    }
}

/// Where the samples of a range vector come from.
enum Source<'e> {
    Selection { loaded: &'e Loaded<'e>, stats: bool },
    Subquery(Vector<'e>, Grid),
}

impl<'e> Source<'e> {
    fn open(ev: &Evaluator<'e>, window: &'e Window, notes: &mut Notes) -> Result<Self, EvalError> {
        Ok(match &window.source {
            WindowSource::Selection(at) => Self::Selection { loaded: &ev.loaded[*at], stats: window.stats },
            WindowSource::Subquery(inner) => match ev.eval(inner, notes)? {
                super::vector::Output::Vector(v) => Self::Subquery(v, inner.grid),
                super::vector::Output::Scalar(s) => {
                    let points = s.to_points(ev.ctx, inner.grid.steps)?;
                    let meta = Meta { labels: Labels::empty(), drop_name: false };
                    Self::Subquery(Vector::ready(ev.ctx, vec![meta], vec![points])?, inner.grid)
                }
                super::vector::Output::Text(_) => {
                    return Err(ev.ctx.fail(inner.site, "a subquery needs an instant vector or scalar"));
                }
            },
        })
    }

    fn depth(&self) -> usize {
        match self {
            Self::Selection { .. } => 0,
            Self::Subquery(v, _) => v.depth(),
        }
    }

    fn series(&self) -> Vec<Meta> {
        match self {
            Self::Selection { loaded, .. } => loaded.metas(false),
            Self::Subquery(v, _) => v.series.clone(),
        }
    }

    /// Calls `f` with the samples of a series, stale markers left out.
    fn with<T>(
        &self,
        i: usize,
        ctx: &Context<'_>,
        worker: &mut Worker,
        f: impl FnOnce(Samples<'_>, &mut Notes) -> T,
    ) -> Result<T, EvalError> {
        let mut scratch = Column::default();
        match self {
            Self::Selection { loaded, stats } => {
                let Worker { notes, column } = worker;
                let read = loaded.read(i, ctx, column)?;
                if *stats && !read.histograms.is_empty() {
                    return Ok(f(without_stale(&strip(&read), &mut scratch), notes));
                }
                Ok(f(without_stale(&read, &mut scratch), notes))
            }
            Self::Subquery(v, grid) => {
                let _room = ctx.hold(Size::columns(1, grid.steps))?;
                samples::from_points(v.column(i, worker)?.as_ref(), *grid, ctx, &mut scratch)?;
                let samples = Size::samples(scratch.times.len(), &scratch.histograms);
                let bytes = scratch.times.len().saturating_mul(SAMPLE_BYTES).max(samples.bytes);
                let _held = ctx.hold(Size { bytes, ..samples })?;
                Ok(f(Samples::new(&scratch), &mut worker.notes))
            }
        }
    }
}

/// A call of a function with a range vector among its arguments.
pub(crate) fn call<'e>(
    ev: &Evaluator<'e>,
    node: &'e Node,
    (func, which): (&Function, RangeFunc),
    window: &'e Window,
    params: &'e [std::sync::Arc<Node>],
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    if node.grid.steps == 0 {
        return Ok(Vector::empty());
    }
    let param_site = params.first().map_or(window.site, |p| p.site);
    let params = params.iter().map(|p| ev.scalars(p, notes)).collect::<Result<Vec<_>, _>>()?;
    let source = Source::open(ev, window, notes)?;
    let mut series = source.series();
    if func.drops_name() {
        series.iter_mut().for_each(|m| m.drop_name = true);
    }
    let metas = series.clone();
    let ctx = ev.ctx;
    let frame = frame(node, window, ctx);
    let starts = ctx.options.start_timestamps && func.starts == StartTimes::StartAware;
    let depth = source.depth();
    Ok(Vector::lazy(series, depth, move |i, worker| {
        let metric = metas[i].labels.metric_name();
        let result = source.with(i, ctx, worker, |mut samples, notes| {
            if !starts {
                samples.starts = &[];
                samples.histogram_starts = &[];
            }
            let job = Job { samples, frame, params: &params, metric, site: window.site, param_site, ctx };
            dispatch(which, &job, notes)
        })?;
        ctx.check()?;
        result.map_err(|message| ctx.fail(node.site, message))
    }))
}

fn frame(node: &Node, window: &Window, ctx: &Context<'_>) -> Frame {
    Frame {
        grid: node.grid,
        range_ms: window.range_ms,
        shift: window.shift,
        mode: window.mode,
        lookback_ms: ctx.options.lookback_ms,
    }
}

/// The one dispatch of range functions.
fn dispatch(which: RangeFunc, job: &Job<'_>, notes: &mut Notes) -> Result<Points, String> {
    use rate::Kind;
    Ok(match which {
        RangeFunc::Rate => rate::extrapolated(job, Kind { counter: true, per_second: true }, notes),
        RangeFunc::Increase => rate::extrapolated(job, Kind { counter: true, per_second: false }, notes),
        RangeFunc::Delta => rate::extrapolated(job, Kind { counter: false, per_second: false }, notes),
        RangeFunc::Irate => instant_rate::instant_rate(job, true, notes),
        RangeFunc::Idelta => instant_rate::instant_rate(job, false, notes),
        RangeFunc::SumOverTime => sums::sum(job, notes),
        RangeFunc::AvgOverTime => sums::avg(job, notes),
        RangeFunc::StddevOverTime => variance::variance(job, f64::sqrt, notes),
        RangeFunc::StdvarOverTime => variance::variance(job, |v| v, notes),
        RangeFunc::MinOverTime => extremes::extreme(job, extremes::Which::Min, false, notes),
        RangeFunc::MaxOverTime => extremes::extreme(job, extremes::Which::Max, false, notes),
        RangeFunc::TsOfMinOverTime => extremes::extreme(job, extremes::Which::Min, true, notes),
        RangeFunc::TsOfMaxOverTime => extremes::extreme(job, extremes::Which::Max, true, notes),
        RangeFunc::CountOverTime => edges::count(job),
        RangeFunc::PresentOverTime => edges::present(job),
        RangeFunc::FirstOverTime => edges::edge(job, edges::Edge::First),
        RangeFunc::LastOverTime => edges::edge(job, edges::Edge::Last),
        RangeFunc::TsOfFirstOverTime => edges::edge_time(job, edges::Edge::First),
        RangeFunc::TsOfLastOverTime => edges::edge_time(job, edges::Edge::Last),
        RangeFunc::QuantileOverTime => order::quantile(job, notes),
        RangeFunc::MadOverTime => order::mad(job, notes),
        RangeFunc::Changes => changes::changes(job),
        RangeFunc::Resets => changes::resets(job),
        RangeFunc::Deriv => regression::deriv(job, notes),
        RangeFunc::PredictLinear => regression::predict_linear(job, notes),
        RangeFunc::DoubleExponentialSmoothing => smoothing::double_exponential(job, notes)?,
    })
}

/// `absent_over_time`: 1 at the steps at which no series has a sample in its window.
pub(crate) fn absent_over_time<'e>(
    ev: &Evaluator<'e>,
    node: &'e Node,
    func: &Function,
    window: &'e Window,
    labels: &Labels,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let steps = node.grid.steps;
    let source = Source::open(ev, window, notes)?;
    let frame = frame(node, window, ev.ctx);
    let values = missing(ev.ctx, source.series().len(), steps, notes, |i, worker, mark| {
        source.with(i, ev.ctx, worker, |samples, _| {
            let (site, param_site) = (window.site, window.site);
            let job = Job { samples, frame, params: &[], metric: "", site, param_site, ctx: ev.ctx };
            job.windows().for_each(|w| mark(w.step));
        })
    })?;
    let meta = Meta { labels: labels.clone(), drop_name: func.drops_name() };
    Ok(Vector::small(vec![meta], vec![Points::floats(values)]))
}

/// 1 for each step that no series marks.
pub(crate) fn missing(
    ctx: &Context<'_>,
    series: usize,
    steps: usize,
    notes: &mut Notes,
    each: impl Fn(usize, &mut Worker, &mut dyn FnMut(usize)) -> Result<(), EvalError> + Send + Sync,
) -> Result<Vec<f64>, EvalError> {
    // How many series mark the steps of one list.
    const CHUNK: usize = 256;
    let chunks = series.div_ceil(CHUNK);
    let _held = ctx.hold(Size::bytes(chunks.saturating_mul(steps)))?;
    let found = ctx.parallel(chunks, notes, |chunk, worker| {
        let mut present = vec![false; steps];
        for i in chunk * CHUNK..series.min((chunk + 1) * CHUNK) {
            ctx.check()?;
            each(i, worker, &mut |step| present[step] = true)?;
        }
        Ok(present)
    })?;
    Ok((0..steps).map(|s| if found.iter().any(|p| p[s]) { super::points::ABSENT } else { 1.0 }).collect())
}

/// The samples of a range vector at one step, as they are.
pub(crate) fn raw<'e>(
    ev: &Evaluator<'e>,
    node: &'e Node,
    window: &'e Window,
    notes: &mut Notes,
) -> Result<Vec<RangeSeries>, EvalError> {
    let source = Source::open(ev, window, notes)?;
    let series = source.series();
    let end_ms = window.shift.apply(node.grid.start_ms);
    let start_ms = end_ms.saturating_sub(window.range_ms);
    let held = ev.ctx.hold(Size::default())?;
    ev.ctx.parallel(series.len(), notes, |i, worker| {
        let samples = source.with(i, ev.ctx, worker, |samples, _| match window.mode {
            RangeMode::Plain => Ok(samples.within(start_ms, end_ms).to_column()),
            mode => extended::extend(&samples, start_ms, end_ms, mode, ev.ctx.options.lookback_ms),
        })?;
        let samples = samples.map_err(|message| ev.ctx.fail(window.site, message))?;
        held.grow(Size::samples(samples.times.len(), &samples.histograms))?;
        let meta = &series[i];
        let labels = if meta.drop_name {
            meta.labels.without(super::vector::is_metadata)
        } else {
            meta.labels.clone()
        };
        Ok(RangeSeries { labels, samples })
    })
}
