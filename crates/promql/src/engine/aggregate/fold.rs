//! Aggregations that keep a few numbers for each group and step: `min`, `max`, `count`, `group`, `stddev`,
//! `stdvar`. Invariant: memory grows with groups and steps, not with series.

use super::Task;
use crate::engine::{
    EvalError,
    limits::Size,
    notes::{Note, Notes, ignored_in_aggregation},
    points::{ABSENT, Points, is_absent},
    vector::Vector,
};

/// How many series of a group are folded by one thread before the parts are joined. Fixed, so that the
/// result does not depend on the number of threads.
const CHUNK: usize = 128;

/// What is kept for the steps of a group.
pub(super) trait Accumulate: Sized + Send {
    /// How many floats it keeps for a step.
    const COLUMNS: usize;
    /// Takes in a series.
    fn add(&mut self, points: &Points, metric: &str, notes: &mut Notes);
    /// Takes in what was kept for later series of the same group.
    fn join(&mut self, later: Self);
}

/// Folds every group, and returns what was kept for each.
pub(super) fn fold_groups<A: Accumulate>(
    task: &Task<'_, '_>,
    notes: &mut Notes,
    make: impl Fn() -> A + Send + Sync,
) -> Result<Vec<A>, EvalError> {
    let mut parts: Vec<(usize, &[usize])> = Vec::new();
    for (g, group) in task.groups.iter().enumerate() {
        parts.extend(group.members.chunks(CHUNK).map(|c| (g, c)));
    }
    let _held = task.ev.ctx.hold(Size::columns(parts.len() * A::COLUMNS, task.node.grid.steps))?;
    let done = task.ev.ctx.parallel(parts.len(), notes, |p, worker| {
        let mut kept = make();
        let mut said: Vec<Note> = Vec::new();
        for &i in parts[p].1 {
            task.ev.ctx.check()?;
            let points = task.vector.column(i, worker)?;
            said.extend(worker.notes.take());
            kept.add(&points, task.vector.series[i].labels.metric_name(), &mut worker.notes);
        }
        worker.notes.extend(said);
        Ok(kept)
    })?;
    let mut out: Vec<A> = Vec::with_capacity(task.groups.len());
    for ((g, _), kept) in parts.iter().zip(done) {
        if out.len() == *g {
            out.push(kept);
        } else {
            out[*g].join(kept);
        }
    }
    Ok(out)
}

/// What `finish` makes of the number of samples in each group.
pub(super) fn count<'e>(
    task: &Task<'_, 'e>,
    finish: fn(f64) -> f64,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let steps = task.node.grid.steps;
    let kept = fold_groups(task, notes, || Count(vec![0.0; steps]))?;
    let value = |n: f64| if n == 0.0 { ABSENT } else { finish(n) };
    let columns = kept.into_iter().map(|c| Points::floats(c.0.into_iter().map(value).collect())).collect();
    Vector::ready(task.ev.ctx, task.metas(), columns)
}

/// The largest or smallest value of each group.
pub(super) fn extreme<'e>(
    task: &Task<'_, 'e>,
    max: bool,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let steps = task.node.grid.steps;
    let kept = fold_groups(task, notes, || Extreme { max, site: task.site, values: vec![ABSENT; steps] })?;
    Vector::ready(task.ev.ctx, task.metas(), kept.into_iter().map(|e| Points::floats(e.values)).collect())
}

/// What `finish` makes of the variance of each group.
pub(super) fn spread<'e>(
    task: &Task<'_, 'e>,
    finish: fn(f64) -> f64,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let (steps, name) = (task.node.grid.steps, task.op.as_str());
    let make = || Spread { name, site: task.site, moments: vec![Moments::default(); steps] };
    let value = |m: &Moments| if m.n == 0.0 { ABSENT } else { finish(m.squares / m.n) };
    let kept = fold_groups(task, notes, make)?;
    let columns = kept.iter().map(|s| Points::floats(s.moments.iter().map(value).collect())).collect();
    Vector::ready(task.ev.ctx, task.metas(), columns)
}

struct Count(Vec<f64>);

impl Accumulate for Count {
    const COLUMNS: usize = 1;

    fn add(&mut self, points: &Points, _: &str, _: &mut Notes) {
        for (n, v) in self.0.iter_mut().zip(&points.values) {
            *n += f64::from(u8::from(!is_absent(*v)));
        }
        for (step, _) in &points.histograms {
            self.0[*step as usize] += 1.0;
        }
    }

    fn join(&mut self, later: Self) {
        for (n, more) in self.0.iter_mut().zip(later.0) {
            *n += more;
        }
    }
}

struct Extreme {
    max: bool,
    site: usize,
    values: Vec<f64>,
}

impl Extreme {
    /// NaN is only kept where there is nothing else.
    fn take(&mut self, values: &[f64]) {
        let max = self.max;
        for (kept, v) in self.values.iter_mut().zip(values) {
            let better = is_absent(*kept) || (kept.is_nan() && !v.is_nan());
            if !is_absent(*v) && (better || if max { *v > *kept } else { *v < *kept }) {
                *kept = *v;
            }
        }
    }
}

impl Accumulate for Extreme {
    const COLUMNS: usize = 1;

    fn add(&mut self, points: &Points, _: &str, notes: &mut Notes) {
        self.take(&points.values);
        if !points.histograms.is_empty() {
            notes.info(self.site, ignored_in_aggregation(if self.max { "max" } else { "min" }));
        }
    }

    fn join(&mut self, later: Self) {
        self.take(&later.values);
    }
}

/// Count, mean and sum of squared deviations (Welford; parts are joined by Chan's formula).
#[derive(Clone, Copy, Default)]
struct Moments {
    n: f64,
    mean: f64,
    squares: f64,
}

struct Spread {
    name: &'static str,
    site: usize,
    moments: Vec<Moments>,
}

impl Accumulate for Spread {
    const COLUMNS: usize = 3;

    fn add(&mut self, points: &Points, _: &str, notes: &mut Notes) {
        for (m, v) in self.moments.iter_mut().zip(&points.values).filter(|(_, v)| !is_absent(**v)) {
            m.n += 1.0;
            let delta = v - m.mean;
            m.mean += delta / m.n;
            m.squares += delta * (v - m.mean);
        }
        if !points.histograms.is_empty() {
            notes.info(self.site, ignored_in_aggregation(self.name));
        }
    }

    fn join(&mut self, later: Self) {
        for (a, b) in self.moments.iter_mut().zip(later.moments).filter(|(_, b)| b.n > 0.0) {
            if a.n == 0.0 {
                *a = b;
                continue;
            }
            let (n, delta) = (a.n + b.n, b.mean - a.mean);
            a.squares += b.squares + delta * delta * (a.n * b.n / n);
            a.mean += delta * (b.n / n);
            a.n = n;
        }
    }
}
