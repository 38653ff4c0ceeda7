//! Aggregations. Invariant: which group a series is in is decided by its labels alone, once for all steps; a
//! group's series are looked at in their order, so that results do not depend on threads.
//!
//! Source: Prometheus `promql/engine.go` v3.13 (`rangeEvalAgg`, `aggregation`, `aggregationK`).

mod count_values;
mod fold;
mod pick;
mod quantile;
mod sum;

use assay_model::{Labels, METRIC_NAME};
use hashbrown::HashMap;

use super::{
    EvalError,
    context::{Context, LABELS_COST},
    eval::Evaluator,
    notes::{Notes, invalid_quantile},
    plan::{Aggregation, Node},
    points::Scalars,
    vector::{Meta, Vector},
};
use crate::ast::{AggregateOp, ValueType};

/// Series that are aggregated into one.
pub(super) struct Group {
    pub(super) labels: Labels,
    /// Indices of the vector's series, ascending.
    pub(super) members: Vec<usize>,
}

/// What all aggregations work with.
pub(super) struct Task<'t, 'e> {
    pub(super) op: AggregateOp,
    pub(super) ev: &'t Evaluator<'e>,
    pub(super) node: &'t Node,
    pub(super) vector: Vector<'e>,
    pub(super) groups: Vec<Group>,
    /// The place of the aggregated vector, for notes.
    pub(super) site: usize,
}

/// Evaluates an aggregation.
pub(crate) fn aggregate<'e>(
    ev: &Evaluator<'e>,
    node: &'e Node,
    a: &'e Aggregation,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let (param, label) = match &a.param {
        Some(p) if p.value_type == ValueType::String => (Scalars::Constant(0.0), count_values::label(ev, p)?),
        Some(p) => (ev.scalars(p, notes)?, ""),
        None => (Scalars::Constant(0.0), ""),
    };
    let param_site = a.param.as_ref().map_or(node.site, |p| p.site);
    let vector = ev.vector(&a.vector, notes)?;
    if node.grid.steps == 0 {
        return Ok(Vector::empty());
    }
    let groups = group(ev.ctx, &vector.series, &a.grouping, a.without)?;
    let task = Task { op: a.op, ev, node, vector, groups, site: a.vector.site };
    match a.op {
        AggregateOp::Sum => sum::sum(&task, notes),
        AggregateOp::Avg => sum::avg(&task, notes),
        AggregateOp::Quantile => {
            let mut pace = ev.ctx.pace();
            for q in param.iter(node.grid.steps).filter(|q| !(0.0..=1.0).contains(q)) {
                pace.spend(LABELS_COST)?;
                notes.warn(param_site, invalid_quantile(q));
            }
            quantile::quantile(&task, &param, notes)
        }
        AggregateOp::Topk => pick::by_rank(&task, pick::Rank::Highest, &param, param_site, notes),
        AggregateOp::Bottomk => pick::by_rank(&task, pick::Rank::Lowest, &param, param_site, notes),
        AggregateOp::Limitk => pick::by_rank(&task, pick::Rank::First, &param, param_site, notes),
        AggregateOp::LimitRatio => pick::by_ratio(&task, &param, param_site, notes),
        AggregateOp::Count => fold::count(&task, |n| n, notes),
        AggregateOp::Group => fold::count(&task, |_| 1.0, notes),
        AggregateOp::Max => fold::extreme(&task, true, notes),
        AggregateOp::Min => fold::extreme(&task, false, notes),
        AggregateOp::Stddev => fold::spread(&task, f64::sqrt, notes),
        AggregateOp::Stdvar => fold::spread(&task, |v| v, notes),
        AggregateOp::CountValues => count_values::count_values(&task, a, label, notes),
    }
}

/// The groups of a vector's series, in the order in which they first occur.
pub(super) fn group(
    ctx: &Context<'_>,
    series: &[Meta],
    grouping: &[String],
    without: bool,
) -> Result<Vec<Group>, EvalError> {
    let mut pace = ctx.pace();
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (i, meta) in series.iter().enumerate() {
        pace.spend(LABELS_COST + meta.labels.as_bytes().len())?;
        let labels = group_labels(&meta.labels, grouping, without);
        let at = *index.entry(labels.clone()).or_insert_with(|| {
            groups.push(Group { labels, members: Vec::new() });
            groups.len() - 1
        });
        groups[at].members.push(i);
    }
    Ok(groups)
}

/// The labels of the group that a series is in; `grouping` is sorted.
pub(super) fn group_labels(labels: &Labels, grouping: &[String], without: bool) -> Labels {
    let listed = |name: &str| grouping.binary_search_by(|g| g.as_str().cmp(name)).is_ok();
    if without {
        labels.without(|n| n == METRIC_NAME || listed(n))
    } else if grouping.is_empty() {
        Labels::empty()
    } else {
        labels.without(|n| !listed(n))
    }
}

impl<'e> Task<'_, 'e> {
    /// The series that the groups become. One loses its name in the end where one of its members does.
    pub(super) fn metas(&self) -> Vec<Meta> {
        let drops = |g: &Group| g.members.iter().any(|i| self.vector.series[*i].drop_name);
        self.groups.iter().map(|g| Meta { labels: g.labels.clone(), drop_name: drops(g) }).collect()
    }
}
