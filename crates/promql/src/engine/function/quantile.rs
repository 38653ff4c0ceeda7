//! `histogram_quantile`, `histogram_quantiles` and `histogram_fraction` over vectors of classic and native
//! histograms. Invariant: the buckets of a classic histogram are found once; only their counts change by step.
//!
//! Source: Prometheus `promql/functions.go` v3.13 (`funcHistogramQuantile`) and `promql/engine.go`
//! (`resetHistograms`).

use std::{borrow::Cow, sync::Arc};

use assay_model::{FloatHistogram, Labels, number::format_g};
use hashbrown::HashMap;

use super::buckets::{
    Cumulative, Forced, classic_fraction, classic_quantile, native_fraction, native_quantile,
};
use crate::{
    engine::{
        EvalError,
        context::{Context, HISTOGRAM_COST, LABELS_COST},
        eval::Evaluator,
        limits::Size,
        notes::{Detail, Note, Notes, Site, for_metric, invalid_quantile},
        plan::Node,
        points::{Points, Scalars, is_absent},
        vector::{Meta, Vector},
    },
    value::Severity,
};

/// The label of a classic bucket's upper bound.
const LE: &str = "le";

/// The series of one histogram: classic buckets, and native histograms with the same labels.
struct Group {
    labels: Labels,
    /// Indices of series, with the bound where `le` has one; sorted by bound.
    members: Vec<(usize, Option<f64>)>,
}

/// What a step of a group holds.
enum Found<'g> {
    Classic(&'g mut Vec<Cumulative>),
    Native(&'g FloatHistogram),
}

/// Computes the results of one histogram at one step, one for each output.
trait Measure: Sync {
    /// The labels of each output of a histogram, and how many there are.
    fn outputs(&self, labels: &Labels) -> Vec<Labels>;

    /// The value of an output at a step, where it has one.
    fn measure(
        &self,
        output: usize,
        step: usize,
        found: &mut Found<'_>,
        metric: &str,
        notes: &mut Notes,
    ) -> Option<f64>;
}

pub(super) fn histogram_quantile<'e>(
    ev: &Evaluator<'e>,
    node: &'e Node,
    args: &'e [Arc<Node>],
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let q = ev.scalars(&args[0], notes)?;
    warn_quantiles(ev, &q, node, args[0].site, notes)?;
    let v = ev.vector(&args[1], notes)?;
    measure(ev, node, &v, args[1].site, &Quantile { q, site: args[1].site, node }, notes)
}

pub(super) fn histogram_quantiles<'e>(
    ev: &Evaluator<'e>,
    node: &'e Node,
    args: &'e [Arc<Node>],
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let v = ev.vector(&args[0], notes)?;
    let label = ev.text(&args[1])?;
    let mut columns = Vec::new();
    for arg in &args[2..] {
        let q = ev.scalars(arg, notes)?;
        warn_quantiles(ev, &q, node, arg.site, notes)?;
        let mut values: Vec<f64> = q.iter(node.grid.steps).collect();
        values.sort_by(f64::total_cmp);
        values.dedup_by(|a, b| a.to_bits() == b.to_bits());
        columns.extend(values.into_iter().map(|value| (value, q.clone())));
    }
    let all = Quantiles { label, columns, site: args[0].site, node };
    let result = measure(ev, node, &v, args[0].site, &all, notes)?;
    result.merge_duplicates(ev.ctx, node.site, notes)
}

pub(super) fn histogram_fraction<'e>(
    ev: &Evaluator<'e>,
    node: &'e Node,
    args: &'e [Arc<Node>],
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let (lower, upper) = (ev.scalars(&args[0], notes)?, ev.scalars(&args[1], notes)?);
    let v = ev.vector(&args[2], notes)?;
    measure(ev, node, &v, args[2].site, &Fraction { lower, upper, site: args[2].site }, notes)
}

fn warn_quantiles(
    ev: &Evaluator<'_>,
    q: &Scalars,
    node: &Node,
    site: Site,
    notes: &mut Notes,
) -> Result<(), EvalError> {
    let mut pace = ev.ctx.pace();
    for q in q.iter(node.grid.steps) {
        pace.spend(LABELS_COST)?;
        if !(0.0..=1.0).contains(&q) {
            notes.warn(site, invalid_quantile(q));
        }
    }
    Ok(())
}

fn measure<'e>(
    ev: &Evaluator<'e>,
    node: &Node,
    v: &Vector<'_>,
    site: Site,
    what: &impl Measure,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let groups = group(ev.ctx, v)?;
    let steps = node.grid.steps;
    let held = ev.ctx.hold(Size::default())?;
    let over = Over { ev, steps, site };
    let done = ev.ctx.parallel(groups.len(), notes, |g, worker| {
        let group = &groups[g];
        let _held = ev.ctx.hold(Size::columns(group.members.len(), steps))?;
        let columns = group
            .members
            .iter()
            .map(|(i, _)| ev.ctx.check().and_then(|()| v.column(*i, worker)))
            .collect::<Result<Vec<Cow<'_, Points>>, _>>()?;
        let mut out = group_outputs(&over, v, group, &columns, what, &mut worker.notes)?;
        for ((i, _), points) in group.members.iter().zip(&columns) {
            let labels = &v.series[*i].labels;
            if labels.get(LE).is_some() && !points.histograms.is_empty() {
                out.extend(labelled_natives(labels, points, steps, what, &mut worker.notes));
            }
        }
        held.grow(Size::columns(out.len(), steps))?;
        Ok(out)
    })?;
    drop(held);
    let (series, columns) = done
        .into_iter()
        .flatten()
        .map(|(labels, points)| (Meta { labels, drop_name: false }, points))
        .unzip();
    Vector::ready(ev.ctx, series, columns)?.merge_duplicates(ev.ctx, node.site, notes)
}

/// The steps that are measured, and the argument that remarks are about.
struct Over<'a, 'e> {
    ev: &'a Evaluator<'e>,
    steps: usize,
    site: Site,
}

/// The outputs of one histogram.
fn group_outputs(
    over: &Over<'_, '_>,
    v: &Vector<'_>,
    group: &Group,
    columns: &[Cow<'_, Points>],
    what: &impl Measure,
    notes: &mut Notes,
) -> Result<Vec<(Labels, Points)>, EvalError> {
    let metric = group.labels.metric_name();
    let Over { ev, steps, site } = *over;
    let outputs = what.outputs(&group.labels);
    let mut results = vec![Points::absent(steps); outputs.len()];
    let mut buckets: Vec<Cumulative> = Vec::with_capacity(columns.len());
    let mut pace = ev.ctx.pace();
    for step in 0..steps {
        pace.spend(HISTOGRAM_COST * (columns.len() + results.len()))?;
        let native = gather(v, group, columns, step, site, &mut buckets, notes);
        let mut found = match native {
            Some(_) if !buckets.is_empty() => {
                let text = "vector contains a mix of classic and native histograms";
                notes.warn(site, for_metric(text, metric));
                continue;
            }
            Some(h) => Found::Native(h),
            None if buckets.is_empty() => continue,
            None => Found::Classic(&mut buckets),
        };
        for (output, points) in results.iter_mut().enumerate() {
            if let Some(value) = what.measure(output, step, &mut found, metric, notes) {
                points.values[step] = value;
            }
        }
    }
    Ok(outputs.into_iter().zip(results).collect())
}

/// The classic buckets of a step, and its native histogram.
fn gather<'c>(
    v: &Vector<'_>,
    group: &Group,
    columns: &'c [Cow<'_, Points>],
    step: usize,
    site: Site,
    buckets: &mut Vec<Cumulative>,
    notes: &mut Notes,
) -> Option<&'c FloatHistogram> {
    buckets.clear();
    let mut native = None;
    for ((i, upper), points) in group.members.iter().zip(columns) {
        let count = points.values[step];
        match upper {
            Some(upper) if !is_absent(count) => buckets.push(Cumulative { upper: *upper, count }),
            None if !is_absent(count) => {
                let label = v.series[*i].labels.get(LE).unwrap_or("");
                warn_label(label, group.labels.metric_name(), site, notes);
            }
            _ if points.histograms.is_empty() || v.series[*i].labels.get(LE).is_some() => {}
            _ => native = native.or(points.histogram(step).map(AsRef::as_ref)),
        }
    }
    native
}

/// Native histograms that happen to have a label `le`: they are histograms of their own.
fn labelled_natives(
    labels: &Labels,
    points: &Points,
    steps: usize,
    what: &impl Measure,
    notes: &mut Notes,
) -> Vec<(Labels, Points)> {
    let outputs = what.outputs(labels);
    let mut results = vec![Points::absent(steps); outputs.len()];
    for (step, h) in &points.histograms {
        for (output, result) in results.iter_mut().enumerate() {
            let mut found = Found::Native(h);
            let value = what.measure(output, *step as usize, &mut found, labels.metric_name(), notes);
            if let Some(value) = value {
                result.values[*step as usize] = value;
            }
        }
    }
    outputs.into_iter().zip(results).collect()
}

fn warn_label(value: &str, metric: &str, site: Site, notes: &mut Notes) {
    let text = format!("bucket label \"le\" is missing or has a malformed value of {value:?}");
    notes.warn(site, for_metric(&text, metric));
}

fn group(ctx: &Context<'_>, v: &Vector<'_>) -> Result<Vec<Group>, EvalError> {
    let mut pace = ctx.pace();
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (i, meta) in v.series.iter().enumerate() {
        pace.spend(LABELS_COST + meta.labels.as_bytes().len())?;
        let upper = meta.labels.get(LE).and_then(parse_bound);
        let labels = meta.labels.without(|n| n == LE);
        let at = *index.entry(labels.clone()).or_insert_with(|| {
            groups.push(Group { labels, members: Vec::new() });
            groups.len() - 1
        });
        groups[at].members.push((i, upper));
    }
    for g in &mut groups {
        g.members.sort_by(|(_, a), (_, b)| {
            let bound = |b: &Option<f64>| b.unwrap_or(f64::INFINITY);
            bound(a).total_cmp(&bound(b))
        });
    }
    Ok(groups)
}

/// A bound as Go's `ParseFloat` reads it.
fn parse_bound(text: &str) -> Option<f64> {
    let ok = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b));
    if ok { text.parse().ok() } else { None }
}

fn note_forced(forced: Forced, metric: &str, site: Site, t_ms: i64, notes: &mut Notes) {
    let text = "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \
                https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
    notes.add(Note {
        severity: Severity::Info,
        site,
        text: for_metric(text, metric),
        detail: Some(Detail::Monotonicity {
            first_ms: t_ms,
            last_ms: t_ms,
            min_bucket: forced.min_bucket,
            max_bucket: forced.max_bucket,
            max_diff: forced.max_diff,
            count: 1,
        }),
    });
}

fn quantile(q: f64, found: &mut Found<'_>, metric: &str, site: Site, t_ms: i64, notes: &mut Notes) -> f64 {
    match found {
        Found::Native(h) => native_quantile(q, h, metric, site, notes),
        Found::Classic(buckets) => {
            let (value, forced) = classic_quantile(q, buckets);
            if let Some(forced) = forced {
                note_forced(forced, metric, site, t_ms, notes);
            }
            value
        }
    }
}

struct Quantile<'e> {
    q: Scalars,
    site: Site,
    node: &'e Node,
}

impl Measure for Quantile<'_> {
    fn outputs(&self, labels: &Labels) -> Vec<Labels> {
        vec![labels.clone()]
    }

    fn measure(
        &self,
        _: usize,
        step: usize,
        found: &mut Found<'_>,
        metric: &str,
        notes: &mut Notes,
    ) -> Option<f64> {
        Some(quantile(self.q.at(step), found, metric, self.site, self.node.grid.time(step), notes))
    }
}

/// Several quantiles, each with its own label. One that changes by step has an output for each value.
struct Quantiles<'e> {
    label: &'e str,
    columns: Vec<(f64, Scalars)>,
    site: Site,
    node: &'e Node,
}

impl Measure for Quantiles<'_> {
    fn outputs(&self, labels: &Labels) -> Vec<Labels> {
        let with = |q: f64| {
            let mut b = labels.to_builder();
            b.set(self.label, &open_metrics_float(q));
            b.build()
        };
        self.columns.iter().map(|(q, _)| with(*q)).collect()
    }

    fn measure(
        &self,
        output: usize,
        step: usize,
        found: &mut Found<'_>,
        metric: &str,
        notes: &mut Notes,
    ) -> Option<f64> {
        let (q, by_step) = &self.columns[output];
        (by_step.at(step).to_bits() == q.to_bits())
            .then(|| quantile(*q, found, metric, self.site, self.node.grid.time(step), notes))
    }
}

struct Fraction {
    lower: Scalars,
    upper: Scalars,
    site: Site,
}

impl Measure for Fraction {
    fn outputs(&self, labels: &Labels) -> Vec<Labels> {
        vec![labels.clone()]
    }

    fn measure(
        &self,
        _: usize,
        step: usize,
        found: &mut Found<'_>,
        metric: &str,
        notes: &mut Notes,
    ) -> Option<f64> {
        let (lower, upper) = (self.lower.at(step), self.upper.at(step));
        Some(match found {
            Found::Native(h) => native_fraction(lower, upper, h, metric, self.site, notes),
            Found::Classic(buckets) => classic_fraction(lower, upper, buckets),
        })
    }
}

/// A number as OpenMetrics writes it: whole numbers have a fraction.
fn open_metrics_float(v: f64) -> String {
    let text = format_g(v);
    if v.is_finite() && !text.contains(['e', '.']) { text + ".0" } else { text }
}
