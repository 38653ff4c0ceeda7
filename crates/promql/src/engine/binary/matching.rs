//! Operators between the series of two vectors. Invariant: where labels alone decide that each match group has
//! one series on the "one" side, columns are combined one by one; else every step is checked.

use std::borrow::Cow;

use assay_model::{Labels, METRIC_NAME};
use hashbrown::HashMap;

use super::element::{Outcome, Result2, arithmetic, changes_meaning, compare, samples};
use crate::{
    ast::{BinaryKind, BinaryOp, VectorMatchCardinality, VectorMatching},
    engine::{
        EvalError,
        eval::Evaluator,
        notes::{Notes, Site},
        plan::{Node, Operation},
        points::{ABSENT, Point, Points, is_absent},
        vector::{Meta, Vector, is_metadata},
    },
};

/// The labels by which series find each other.
pub(super) fn signature(labels: &Labels, matching: &VectorMatching) -> Labels {
    let listed = |n: &str| matching.matching_labels.iter().any(|l| l == n);
    if matching.on {
        labels.without(|n| !listed(n))
    } else {
        labels.without(|n| n == METRIC_NAME || listed(n))
    }
}

/// A side of the operator that a pair takes its samples from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Series(usize),
    /// A fill value, where no series of the group has a sample.
    Fill(f64),
}

/// Two series that are combined: of the "many" side and of the "one" side.
#[derive(Clone, Copy, Debug)]
struct Pair {
    group: usize,
    many: Side,
    one: Side,
}

/// A match group: the series of both sides with one signature.
#[derive(Default)]
struct MatchGroup {
    many: Vec<usize>,
    one: Vec<usize>,
}

/// Everything about an operator that samples do not change. With `group_right` the sides are exchanged, so
/// that the "one" side is the right one here.
struct Matcher<'e> {
    op: BinaryOp,
    return_bool: bool,
    matching: VectorMatching,
    exchanged: bool,
    site: Site,
    many: Vector<'e>,
    one: Vector<'e>,
    groups: Vec<MatchGroup>,
}

pub(super) fn combine<'e>(
    ev: &Evaluator<'e>,
    node: &'e Node,
    op: &'e Operation,
    lhs: Vector<'e>,
    rhs: Vector<'e>,
    notes: &mut Notes,
) -> Result<Vector<'e>, EvalError> {
    let matching = op.matching.clone().unwrap_or_default();
    let exchanged = matching.card == VectorMatchCardinality::OneToMany;
    let (many, one) = if exchanged { (rhs, lhs) } else { (lhs, rhs) };
    let groups = match_groups(&many, &one, &matching);
    let mut m = Matcher {
        op: op.op,
        return_bool: op.return_bool,
        matching,
        exchanged,
        site: node.site,
        many,
        one,
        groups,
    };
    let pairs = m.pairs();
    let series: Vec<Meta> = pairs.iter().map(|p| m.meta(p)).collect();
    let filled = m.matching.fill_lhs.is_some() || m.matching.fill_rhs.is_some();
    if !filled && m.is_simple() {
        if m.matching.card != VectorMatchCardinality::OneToOne {
            // The one side's columns are used again and again.
            m.one = m.one.materialize(ev.ctx, notes)?;
        }
        if !has_duplicates(&series) {
            return Ok(Vector::lazy(series, move |i, worker| {
                let (Side::Series(a), Side::Series(b)) = (pairs[i].many, pairs[i].one) else {
                    return Ok(Points::absent(node.grid.steps));
                };
                let a = m.many.column(a, worker)?;
                let b = m.one.column(b, worker)?;
                Ok(m.columns(&a, &b, &mut worker.notes))
            }));
        }
    }
    m.many = m.many.materialize(ev.ctx, notes)?;
    m.one = m.one.materialize(ev.ctx, notes)?;
    let columns = Checked::new(ev, node, &m, &pairs, &series, notes)?.combine(notes)?;
    Vector::ready(series, columns).merge_duplicates(ev.ctx, node.site, notes)
}

fn match_groups(many: &Vector<'_>, one: &Vector<'_>, matching: &VectorMatching) -> Vec<MatchGroup> {
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<MatchGroup> = Vec::new();
    for (v, is_one) in [(one, true), (many, false)] {
        for (i, meta) in v.series.iter().enumerate() {
            let at = *index.entry(signature(&meta.labels, matching)).or_insert_with(|| {
                groups.push(MatchGroup::default());
                groups.len() - 1
            });
            let side = if is_one { &mut groups[at].one } else { &mut groups[at].many };
            side.push(i);
        }
    }
    groups
}

fn has_duplicates(series: &[Meta]) -> bool {
    let mut seen = hashbrown::HashSet::with_capacity(series.len());
    !series.iter().all(|m| seen.insert(&m.labels))
}

impl Matcher<'_> {
    /// Whether no group can break a rule at any step.
    fn is_simple(&self) -> bool {
        let one_to_one = self.matching.card == VectorMatchCardinality::OneToOne;
        self.groups.iter().all(|g| g.one.len() < 2 && (!one_to_one || g.many.len() < 2 || g.one.is_empty()))
    }

    /// All combinations, those with fill values last.
    fn pairs(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        let group_of_many = |wanted: bool| {
            let mut order: Vec<(usize, usize)> = Vec::new();
            for (g, group) in self.groups.iter().enumerate() {
                let side = if wanted { &group.many } else { &group.one };
                order.extend(side.iter().map(|i| (*i, g)));
            }
            order.sort_unstable();
            order
        };
        for (i, group) in group_of_many(true) {
            let many = Side::Series(i);
            pairs.extend(self.groups[group].one.iter().map(|j| Pair { group, many, one: Side::Series(*j) }));
            if let Some(fill) = self.matching.fill_rhs {
                pairs.push(Pair { group, many, one: Side::Fill(fill) });
            }
        }
        if let Some(fill) = self.matching.fill_lhs {
            for (j, group) in group_of_many(false) {
                pairs.push(Pair { group, many: Side::Fill(fill), one: Side::Series(j) });
            }
        }
        pairs
    }

    /// The series that a pair becomes.
    fn meta(&self, pair: &Pair) -> Meta {
        let labels_of = |side: Side, v: &Vector<'_>, other: &Labels| match side {
            Side::Series(i) => v.series[i].labels.clone(),
            // A filled sample has the labels that the match is by.
            Side::Fill(_) => signature(other, &self.matching),
        };
        let known = match (pair.many, pair.one) {
            (Side::Series(i), _) => &self.many.series[i].labels,
            (_, Side::Series(j)) => &self.one.series[j].labels,
            _ => &self.many.series[0].labels,
        };
        let many = labels_of(pair.many, &self.many, known);
        let one = labels_of(pair.one, &self.one, known);
        let drops = matches!(pair.many, Side::Series(i) if self.many.series[i].drop_name);
        Meta { labels: self.result_labels(&many, &one), drop_name: self.return_bool || drops }
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let m = &self.matching;
        let listed = |n: &str| m.matching_labels.iter().any(|l| l == n);
        let one_to_one = m.card == VectorMatchCardinality::OneToOne;
        let drop_name = changes_meaning(self.op);
        let kept = many.without(|n| (drop_name && is_metadata(n)) || (one_to_one && listed(n) != m.on));
        if m.include.is_empty() {
            return kept;
        }
        let mut labels = kept.to_builder();
        for name in &m.include {
            match one.get(name) {
                Some(value) => labels.set(name, value),
                None => labels.del(name),
            };
        }
        labels.build()
    }

    /// The operator at one step, sides as they were written.
    fn at(&self, many: Point<'_>, one: Point<'_>, notes: &mut Notes) -> Option<Outcome> {
        let (a, b) = if self.exchanged { (one, many) } else { (many, one) };
        let mut outcome = samples(self.op, a, b, self.site, notes)?;
        if self.return_bool {
            outcome.value = Result2::Float(f64::from(u8::from(outcome.keep)));
            outcome.keep = true;
        }
        Some(outcome)
    }

    /// The operator over two columns.
    fn columns(&self, many: &Points, one: &Points, notes: &mut Notes) -> Points {
        if many.histograms.is_empty()
            && one.histograms.is_empty()
            && let Some(points) = self.floats(many, one)
        {
            return points;
        }
        let mut out = Points::absent(many.values.len());
        for step in 0..many.values.len() {
            if let (Some(a), Some(b)) = (many.at(step), one.at(step))
                && let Some(outcome) = self.at(a, b, notes)
            {
                put(&mut out, step, outcome);
            }
        }
        out
    }

    /// The operator over columns of floats, where these have results.
    fn floats(&self, many: &Points, one: &Points) -> Option<Points> {
        let (lhs, rhs) = if self.exchanged { (one, many) } else { (many, one) };
        let pairs = lhs.values.iter().zip(&rhs.values);
        let either = |a: f64, b: f64, f: &dyn Fn(f64, f64) -> f64| {
            if is_absent(a) || is_absent(b) { ABSENT } else { f(a, b) }
        };
        Some(Points::floats(match self.op.kind() {
            BinaryKind::Arithmetic(op) => {
                pairs.map(|(a, b)| either(*a, *b, &|a, b| arithmetic(op, a, b))).collect()
            }
            BinaryKind::Comparison(op) if self.return_bool => {
                pairs.map(|(a, b)| either(*a, *b, &|a, b| f64::from(u8::from(compare(op, a, b))))).collect()
            }
            BinaryKind::Comparison(op) => pairs
                .map(|(a, b)| either(*a, *b, &|a, b| if compare(op, a, b) { a } else { ABSENT }))
                .collect(),
            BinaryKind::Set(_) | BinaryKind::Trim(_) => return None,
        }))
    }
}

fn put(out: &mut Points, step: usize, outcome: Outcome) {
    if !outcome.keep {
        return;
    }
    match outcome.value {
        Result2::Float(v) => out.values[step] = v,
        Result2::Histogram(h) => out.push_histogram(step, h),
    }
}

/// The careful way: every step is checked for matches that are not allowed.
struct Checked<'c, 'e> {
    ev: &'c Evaluator<'e>,
    node: &'c Node,
    m: &'c Matcher<'e>,
    pairs: &'c [Pair],
    series: &'c [Meta],
    many: std::sync::Arc<Vec<Points>>,
    one: std::sync::Arc<Vec<Points>>,
    /// Pairs by group.
    by_group: Vec<Vec<usize>>,
}

impl<'c, 'e> Checked<'c, 'e> {
    fn new(
        ev: &'c Evaluator<'e>,
        node: &'c Node,
        m: &'c Matcher<'e>,
        pairs: &'c [Pair],
        series: &'c [Meta],
        notes: &mut Notes,
    ) -> Result<Self, EvalError> {
        let mut by_group = vec![Vec::new(); m.groups.len()];
        for (i, p) in pairs.iter().enumerate() {
            by_group[p.group].push(i);
        }
        let (many, one) = (m.many.columns(ev.ctx, notes)?, m.one.columns(ev.ctx, notes)?);
        Ok(Self { ev, node, m, pairs, series, many, one, by_group })
    }

    fn combine(&self, notes: &mut Notes) -> Result<Vec<Points>, EvalError> {
        let steps = self.node.grid.steps;
        let mut out = vec![Points::absent(steps); self.pairs.len()];
        let filled = self.m.matching.fill_lhs.is_some() || self.m.matching.fill_rhs.is_some();
        for step in 0..steps {
            self.ev.ctx.check()?;
            let any = |columns: &[Points]| columns.iter().any(|p| p.has(step));
            // Where one side is empty nothing matches, and nothing can be wrong.
            let both = any(&self.many) && any(&self.one);
            if !both && !filled {
                continue;
            }
            for (g, pairs) in self.by_group.iter().enumerate() {
                self.check_one_side(g, step)?;
                self.group_step(g, pairs, step, &mut out, notes)?;
            }
        }
        Ok(out)
    }

    fn check_one_side(&self, g: usize, step: usize) -> Result<(), EvalError> {
        let mut present = self.m.groups[g].one.iter().filter(|j| self.one[**j].has(step));
        let (Some(first), Some(second)) = (present.next(), present.next()) else { return Ok(()) };
        let label = |i: &usize| self.m.one.series[*i].labels.to_string();
        let (mut a, mut b) = (label(first), label(second));
        if a > b {
            std::mem::swap(&mut a, &mut b);
        }
        let group = signature(&self.m.one.series[*first].labels, &self.m.matching);
        let side = if self.m.exchanged { "left" } else { "right" };
        Err(self.fail(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: \
             [{a}, {b}];many-to-many matching not allowed: matching labels must be unique on one side"
        )))
    }

    fn fail(&self, message: String) -> EvalError {
        self.ev.ctx.fail(self.node.site, message)
    }

    fn group_step(
        &self,
        g: usize,
        pairs: &[usize],
        step: usize,
        out: &mut [Points],
        notes: &mut Notes,
    ) -> Result<(), EvalError> {
        let one_present = self.m.groups[g].one.iter().any(|j| self.one[*j].has(step));
        let mut matched: Vec<Cow<'_, Labels>> = Vec::new();
        for &p in pairs {
            let pair = &self.pairs[p];
            let many = match pair.many {
                Side::Series(i) => self.many[i].at(step),
                // Filled only where no series of the many side has found a match.
                Side::Fill(v) => matched.is_empty().then_some(Point::Float(v)),
            };
            let one = match pair.one {
                Side::Series(j) => self.one[j].at(step),
                Side::Fill(v) => (!one_present).then_some(Point::Float(v)),
            };
            let (Some(many), Some(one)) = (many, one) else { continue };
            let Some(outcome) = self.m.at(many, one, notes) else { continue };
            if matches!(pair.many, Side::Series(_)) {
                if self.m.matching.card == VectorMatchCardinality::OneToOne {
                    if !matched.is_empty() {
                        return Err(self.fail(
                            "multiple matches for labels: many-to-one matching must be explicit \
                             (group_left/group_right)"
                                .to_owned(),
                        ));
                    }
                } else if matched.iter().any(|l| **l == self.series[p].labels) {
                    return Err(self.fail(
                        "multiple matches for labels: grouping labels must ensure unique matches".to_owned(),
                    ));
                }
                matched.push(Cow::Borrowed(&self.series[p].labels));
            }
            put(&mut out[p], step, outcome);
        }
        Ok(())
    }
}
