//! `sum` and `avg`. Invariant: rounding is compensated; a step with floats and histograms has no result.
//!
//! Source: Prometheus `promql/engine.go` v3.13 (`aggregation`).

use std::sync::Arc;

use assay_model::{
    FloatHistogram,
    histogram::{CompensatedHistogram, IncompatibleSchemas},
    kahan::Kahan,
};
use hashbrown::HashMap;

use super::{
    Task,
    fold::{Accumulate, fold_groups},
};
use crate::engine::{
    EvalError,
    context::Worker,
    notes::{Notes, mixed_schemas},
    points::{ABSENT, Points, is_absent},
    range::{HistogramMean, Remarks, incremental_mean},
    vector::Vector,
};

pub(super) fn sum<'e>(task: &Task<'_, 'e>, notes: &mut Notes) -> Result<Vector<'e>, EvalError> {
    let kept = fold_groups(task, notes, || Sum::new(task))?;
    let columns = kept.into_iter().map(|k| k.finish_sum(task.site, notes)).collect();
    Vector::ready(task.ev.ctx, task.metas(), columns)
}

pub(super) fn avg<'e>(task: &Task<'_, 'e>, notes: &mut Notes) -> Result<Vector<'e>, EvalError> {
    let kept = fold_groups(task, notes, || Sum::new(task))?;
    let mut columns = Vec::with_capacity(kept.len());
    for (g, k) in kept.into_iter().enumerate() {
        if k.overflows() {
            columns.push(exact_mean(task, g, notes)?);
        } else {
            columns.push(k.finish_avg(task.site, notes));
        }
    }
    Vector::ready(task.ev.ctx, task.metas(), columns)
}

/// The running sums of a group.
struct Sum {
    site: usize,
    floats: Vec<Kahan>,
    counts: Vec<u32>,
    histograms: HashMap<u32, HistogramSum>,
}

/// The running sum of a group's histograms at one step.
struct HistogramSum {
    sum: CompensatedHistogram,
    count: f64,
    remarks: Remarks,
    incompatible: bool,
}

impl Sum {
    fn new(task: &Task<'_, '_>) -> Self {
        let steps = task.node.grid.steps;
        Self {
            site: task.site,
            floats: vec![Kahan::default(); steps],
            counts: vec![0; steps],
            histograms: HashMap::new(),
        }
    }

    fn add_histogram(&mut self, step: u32, h: &FloatHistogram, metric: &str, notes: &mut Notes) {
        let Some(kept) = self.histograms.get_mut(&step) else {
            let mut remarks = Remarks::default();
            remarks.see(h);
            let sum = CompensatedHistogram::new(h.clone());
            self.histograms.insert(step, HistogramSum { sum, count: 1.0, remarks, incompatible: false });
            return;
        };
        if kept.incompatible {
            return;
        }
        kept.remarks.see(h);
        kept.count += 1.0;
        match kept.sum.add(h) {
            Ok(told) => kept.remarks.reconciled(told.bounds_reconciled),
            Err(IncompatibleSchemas) => {
                kept.incompatible = true;
                notes.warn(self.site, mixed_schemas(metric));
            }
        }
    }

    fn overflows(&self) -> bool {
        self.floats.iter().any(|k| k.sum.is_infinite())
            || self.histograms.values().any(|h| h.sum.rounded().has_overflow())
    }

    fn finish_sum(self, site: usize, notes: &mut Notes) -> Points {
        self.finish(site, notes, |k, _| k.total(), |sum, _| sum.finish())
    }

    fn finish_avg(self, site: usize, notes: &mut Notes) -> Points {
        let mean = |k: Kahan, n: f64| k.sum / n + k.lost / n;
        self.finish(site, notes, mean, |mut sum, n| {
            sum.div(n);
            sum.finish()
        })
    }

    fn finish(
        self,
        site: usize,
        notes: &mut Notes,
        of_floats: impl Fn(Kahan, f64) -> f64,
        of_histograms: impl Fn(CompensatedHistogram, f64) -> FloatHistogram,
    ) -> Points {
        let values = self.floats.iter().zip(&self.counts);
        let values =
            values.map(|(k, n)| if *n == 0 { ABSENT } else { of_floats(*k, f64::from(*n)) }).collect();
        let mut out = Points::floats(values);
        let mut histograms: Vec<(u32, HistogramSum)> = self.histograms.into_iter().collect();
        histograms.sort_by_key(|(step, _)| *step);
        for (step, h) in histograms {
            if h.incompatible {
                out.values[step as usize] = ABSENT;
            } else if self.counts[step as usize] > 0 {
                warn_mixed(site, notes);
                out.values[step as usize] = ABSENT;
            } else {
                h.remarks.tell(site, notes);
                let mut result = of_histograms(h.sum, h.count);
                result.compact(0);
                out.push_histogram(step as usize, Arc::new(result));
            }
        }
        out
    }
}

fn warn_mixed(site: usize, notes: &mut Notes) {
    notes.warn(site, "encountered a mix of histograms and floats for aggregation");
}

impl Accumulate for Sum {
    const COLUMNS: usize = 3;

    fn add(&mut self, points: &Points, metric: &str, notes: &mut Notes) {
        for ((sum, n), v) in self.floats.iter_mut().zip(&mut self.counts).zip(&points.values) {
            if !is_absent(*v) {
                if *n == 0 {
                    sum.sum = *v;
                } else {
                    sum.add(*v);
                }
                *n += 1;
            }
        }
        for (step, h) in &points.histograms {
            self.add_histogram(*step, h, metric, notes);
        }
    }

    fn join(&mut self, later: Self) {
        for ((sum, n), (more, m)) in
            self.floats.iter_mut().zip(&mut self.counts).zip(later.floats.iter().zip(&later.counts))
        {
            if *m > 0 {
                if *n == 0 {
                    *sum = *more;
                } else {
                    sum.add(more.sum);
                    sum.lost += more.lost;
                }
                *n += m;
            }
        }
        for (step, other) in later.histograms {
            let Some(kept) = self.histograms.get_mut(&step) else {
                self.histograms.insert(step, other);
                continue;
            };
            kept.count += other.count;
            kept.remarks.join(&other.remarks);
            match kept.sum.add(&other.sum.finish()) {
                Ok(told) => kept.remarks.reconciled(told.bounds_reconciled),
                Err(IncompatibleSchemas) => kept.incompatible = true,
            }
            kept.incompatible |= other.incompatible;
        }
    }
}

/// The mean of a group whose sum overflows, value by value.
fn exact_mean(task: &Task<'_, '_>, group: usize, notes: &mut Notes) -> Result<Points, EvalError> {
    let steps = task.node.grid.steps;
    let mut worker = Worker::default();
    let mut columns = Vec::new();
    for &i in &task.groups[group].members {
        columns.push((i, task.vector.column(i, &mut worker)?));
    }
    // What there is to say of the columns was said when they were first computed.
    worker.notes.take();
    let mut out = Points::absent(steps);
    let mut values: Vec<f64> = Vec::with_capacity(columns.len());
    for step in 0..steps {
        values.clear();
        values.extend(columns.iter().map(|(_, p)| p.values[step]).filter(|v| !is_absent(*v)));
        let mut histograms = columns.iter().filter_map(|(i, p)| p.histogram(step).map(|h| (*i, h)));
        let Some((_, first)) = histograms.next() else {
            if !values.is_empty() {
                out.values[step] = incremental_mean(&values);
            }
            continue;
        };
        if !values.is_empty() {
            warn_mixed(task.site, notes);
            continue;
        }
        let (mut mean, mut remarks, mut fits) = (HistogramMean::new(first), Remarks::default(), true);
        remarks.see(first);
        for (_, h) in histograms {
            remarks.see(h);
            match mean.add(h) {
                Ok(reconciled) => remarks.reconciled(reconciled),
                Err(IncompatibleSchemas) => {
                    fits = false;
                    break;
                }
            }
        }
        if fits {
            remarks.tell(task.site, notes);
            let mut result = mean.finish();
            result.compact(0);
            out.push_histogram(step, Arc::new(result));
        }
    }
    Ok(out)
}
