//! Operators between the series of two vectors. Invariant: where labels alone decide that each match group has
//! one series on the "one" side, columns are combined one by one; else every step is checked.

use std::sync::Arc;

use assay_model::{Labels, METRIC_NAME};
use hashbrown::HashMap;

use super::element::{Outcome, Result2, arithmetic, changes_meaning, compare, samples};
use crate::{
    ast::{BinaryKind, BinaryOp, VectorMatchCardinality, VectorMatching},
    engine::{
        EvalError,
        context::{Context, HISTOGRAM_COST, LABELS_COST},
        eval::Evaluator,
        limits::Size,
        notes::{Notes, Site},
        plan::{Node, Operation},
        points::{ABSENT, Point, Points, is_absent},
        vector::{Meta, Ready, Vector, is_metadata},
    },
};

/// Whether a label is one of the matching's, which the planner has sorted.
fn is_listed(matching: &VectorMatching, name: &str) -> bool {
    matching.matching_labels.binary_search_by(|l| l.as_str().cmp(name)).is_ok()
}

/// The labels by which series find each other.
pub(super) fn signature(labels: &Labels, matching: &VectorMatching) -> Labels {
    let listed = |n: &str| is_listed(matching, n);
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
    let groups = match_groups(ev.ctx, &many, &one, &matching)?;
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
    let filled = m.matching.fill_lhs.is_some() || m.matching.fill_rhs.is_some();
    if !filled && m.is_simple() {
        if m.matching.card != VectorMatchCardinality::OneToOne {
            // The one side's columns are used again and again.
            m.one = m.one.materialize(ev.ctx, notes)?;
        }
        let pairs = m.pairs(|_, group| m.groups[group].one.clone());
        let series = m.metas(ev.ctx, &pairs)?;
        if !has_duplicates(&series) {
            let (depth, ctx) = (m.many.depth().max(m.one.depth()), ev.ctx);
            let joined = Vector::lazy(series, depth, move |i, worker| {
                let (Side::Series(a), Side::Series(b)) = (pairs[i].many, pairs[i].one) else {
                    return Ok(Points::absent(node.grid.steps));
                };
                let a = m.many.column(a, worker)?;
                let b = m.one.column(b, worker)?;
                m.columns(ctx, &a, &b, &mut worker.notes)
            });
            return joined.shallow(ev.ctx, notes);
        }
    }
    m.many = m.many.materialize(ev.ctx, notes)?;
    m.one = m.one.materialize(ev.ctx, notes)?;
    let sides = Sides::new(ev, node, &m, notes)?;
    let owners = sides.owners()?;
    let pairs = m.pairs(|i, group| sides.met(i, group, &owners[group]));
    let series = m.metas(ev.ctx, &pairs)?;
    let columns = Checked::new(sides, &pairs, &series).combine(notes)?;
    Vector::ready(ev.ctx, series, columns)?.merge_duplicates(ev.ctx, node.site, notes)
}

fn match_groups(
    ctx: &Context<'_>,
    many: &Vector<'_>,
    one: &Vector<'_>,
    matching: &VectorMatching,
) -> Result<Vec<MatchGroup>, EvalError> {
    let mut pace = ctx.pace();
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<MatchGroup> = Vec::new();
    for (v, is_one) in [(one, true), (many, false)] {
        for (i, meta) in v.series.iter().enumerate() {
            pace.spend(LABELS_COST + meta.labels.as_bytes().len())?;
            let at = *index.entry(signature(&meta.labels, matching)).or_insert_with(|| {
                groups.push(MatchGroup::default());
                groups.len() - 1
            });
            let side = if is_one { &mut groups[at].one } else { &mut groups[at].many };
            side.push(i);
        }
    }
    Ok(groups)
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

    /// Each series of the "many" side with those of the "one" side that `ones` finds for it in its group, then the
    /// combinations with fill values.
    fn pairs(&self, ones: impl Fn(usize, usize) -> Vec<usize>) -> Vec<Pair> {
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
            pairs.extend(ones(i, group).into_iter().map(|j| Pair { group, many, one: Side::Series(j) }));
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

    /// The series that pairs become.
    fn metas(&self, ctx: &Context<'_>, pairs: &[Pair]) -> Result<Vec<Meta>, EvalError> {
        let mut pace = ctx.pace();
        let meta = |pair: &Pair| {
            let meta = self.meta(pair);
            pace.spend(LABELS_COST + meta.labels.as_bytes().len()).map(|()| meta)
        };
        pairs.iter().map(meta).collect()
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
        let listed = |n: &str| is_listed(m, n);
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
    fn columns(
        &self,
        ctx: &Context<'_>,
        many: &Points,
        one: &Points,
        notes: &mut Notes,
    ) -> Result<Points, EvalError> {
        if many.histograms.is_empty()
            && one.histograms.is_empty()
            && let Some(points) = self.floats(ctx, many, one)?
        {
            return Ok(points);
        }
        let mut out = Points::absent(many.values.len());
        let mut pace = ctx.pace();
        for step in 0..many.values.len() {
            pace.spend(HISTOGRAM_COST)?;
            if let (Some(a), Some(b)) = (many.at(step), one.at(step))
                && let Some(outcome) = self.at(a, b, notes)
            {
                put(&mut out, step, outcome);
            }
        }
        Ok(out)
    }

    /// The operator over columns of floats, where these have results.
    fn floats(&self, ctx: &Context<'_>, many: &Points, one: &Points) -> Result<Option<Points>, EvalError> {
        let (lhs, rhs) = if self.exchanged { (one, many) } else { (many, one) };
        let either = |a: f64, b: f64, f: &dyn Fn(f64, f64) -> f64| {
            if is_absent(a) || is_absent(b) { ABSENT } else { f(a, b) }
        };
        let mut out = Vec::with_capacity(lhs.values.len());
        for part in ctx.parts(lhs.values.len()) {
            let part = part?;
            let pairs = lhs.values[part.clone()].iter().zip(&rhs.values[part]);
            match self.op.kind() {
                BinaryKind::Arithmetic(op) => {
                    out.extend(pairs.map(|(a, b)| either(*a, *b, &|a, b| arithmetic(op, a, b))));
                }
                BinaryKind::Comparison(op) if self.return_bool => {
                    let bool = |a, b| f64::from(u8::from(compare(op, a, b)));
                    out.extend(pairs.map(|(a, b)| either(*a, *b, &bool)));
                }
                BinaryKind::Comparison(op) => {
                    let kept = |a, b| if compare(op, a, b) { a } else { ABSENT };
                    out.extend(pairs.map(|(a, b)| either(*a, *b, &kept)));
                }
                BinaryKind::Set(_) | BinaryKind::Trim(_) => return Ok(None),
            }
        }
        Ok(Some(Points::floats(out)))
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

/// Both sides with their samples, for the careful way: every step is checked for matches that are not allowed.
struct Sides<'c, 'e> {
    ev: &'c Evaluator<'e>,
    node: &'c Node,
    m: &'c Matcher<'e>,
    many: Arc<Ready>,
    one: Arc<Ready>,
    /// Whether anything can match at a step. Where one side is empty nothing matches, and nothing can be wrong.
    live: Vec<bool>,
}

/// Which series of a group's "one" side has a sample at each step; empty where the group has one such series at most.
type Owners = Vec<Option<usize>>;

impl<'c, 'e> Sides<'c, 'e> {
    fn new(
        ev: &'c Evaluator<'e>,
        node: &'c Node,
        m: &'c Matcher<'e>,
        notes: &mut Notes,
    ) -> Result<Self, EvalError> {
        let steps = node.grid.steps;
        let (many, one) = (m.many.columns(ev.ctx, notes)?, m.one.columns(ev.ctx, notes)?);
        let filled = m.matching.fill_lhs.is_some() || m.matching.fill_rhs.is_some();
        let mut live = vec![filled; steps];
        if !filled {
            let (many, one) = (present(ev.ctx, &many, steps)?, present(ev.ctx, &one, steps)?);
            live = many.into_iter().zip(one).map(|(many, one)| many && one).collect();
        }
        Ok(Self { ev, node, m, many, one, live })
    }

    /// The owners of each group. It is an error where two series of a "one" side meet: it is found here, before
    /// anything is combined with anything.
    fn owners(&self) -> Result<Vec<Owners>, EvalError> {
        let several = self.m.groups.iter().filter(|g| g.one.len() > 1).count();
        let per_step = size_of::<Option<usize>>() / 8;
        let _held = self.ev.ctx.hold(Size::columns(several * per_step, self.node.grid.steps))?;
        let owners = |group: &MatchGroup| {
            let mut owners: Owners = Vec::new();
            if group.one.len() > 1 {
                owners.resize(self.node.grid.steps, None);
            }
            for &j in group.one.iter().filter(|_| group.one.len() > 1) {
                self.ev.ctx.check()?;
                for step in (0..owners.len()).filter(|s| self.live[*s] && self.one[j].has(*s)) {
                    if let Some(first) = owners[step].replace(j) {
                        return Err(self.duplicate(first, j));
                    }
                }
            }
            Ok(owners)
        };
        self.m.groups.iter().map(owners).collect()
    }

    fn duplicate(&self, first: usize, second: usize) -> EvalError {
        let label = |i: usize| self.m.one.series[i].labels.to_string();
        let (mut a, mut b) = (label(first), label(second));
        if a > b {
            std::mem::swap(&mut a, &mut b);
        }
        let group = signature(&self.m.one.series[first].labels, &self.m.matching);
        let side = if self.m.exchanged { "left" } else { "right" };
        self.fail(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: \
             [{a}, {b}];many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }

    /// The series of the "one" side that have a sample at some step at which a series of the "many" side has one.
    fn met(&self, many: usize, group: usize, owners: &Owners) -> Vec<usize> {
        if owners.is_empty() {
            return self.m.groups[group].one.clone();
        }
        let has = |step: &usize| self.many[many].has(*step);
        let mut met: Vec<usize> = (0..owners.len()).filter(has).filter_map(|s| owners[s]).collect();
        met.sort_unstable();
        met.dedup();
        met
    }

    fn fail(&self, message: String) -> EvalError {
        self.ev.ctx.fail(self.node.site, message)
    }
}

/// At which steps any of the columns has a sample.
fn present(ctx: &Context<'_>, columns: &[Points], steps: usize) -> Result<Vec<bool>, EvalError> {
    let mut out = vec![false; steps];
    for points in columns {
        ctx.check()?;
        for (step, out) in out.iter_mut().enumerate().filter(|(_, out)| !**out) {
            *out = points.has(step);
        }
    }
    Ok(out)
}

struct Checked<'c, 'e> {
    sides: Sides<'c, 'e>,
    pairs: &'c [Pair],
    /// Pairs by group.
    by_group: Vec<Vec<usize>>,
    /// A number for each pair, equal where the result's labels are.
    result: Vec<usize>,
}

impl<'c, 'e> Checked<'c, 'e> {
    fn new(sides: Sides<'c, 'e>, pairs: &'c [Pair], series: &[Meta]) -> Self {
        let mut by_group = vec![Vec::new(); sides.m.groups.len()];
        for (i, p) in pairs.iter().enumerate() {
            by_group[p.group].push(i);
        }
        let mut numbers: HashMap<&Labels, usize> = HashMap::with_capacity(series.len());
        let result = series
            .iter()
            .map(|meta| {
                let next = numbers.len();
                *numbers.entry(&meta.labels).or_insert(next)
            })
            .collect();
        Self { sides, pairs, by_group, result }
    }

    fn combine(&self, notes: &mut Notes) -> Result<Vec<Points>, EvalError> {
        let (ctx, steps) = (self.sides.ev.ctx, self.sides.node.grid.steps);
        let _held = ctx.hold(Size::columns(self.pairs.len(), steps))?;
        let mut out = vec![Points::absent(steps); self.pairs.len()];
        // In which round, of a group and a step, a result was last seen.
        let mut seen = vec![0usize; self.pairs.len()];
        let mut round = 0;
        for step in (0..steps).filter(|s| self.sides.live[*s]) {
            for (g, pairs) in self.by_group.iter().enumerate() {
                ctx.check()?;
                round += 1;
                self.group_step(g, pairs, step, (&mut out, &mut seen, round), notes)?;
            }
        }
        Ok(out)
    }

    fn group_step(
        &self,
        g: usize,
        pairs: &[usize],
        step: usize,
        (out, seen, round): (&mut [Points], &mut [usize], usize),
        notes: &mut Notes,
    ) -> Result<(), EvalError> {
        let Sides { m, many, one, .. } = &self.sides;
        let one_present = m.groups[g].one.iter().any(|j| one[*j].has(step));
        let mut matched = false;
        for &p in pairs {
            let pair = &self.pairs[p];
            let left = match pair.many {
                Side::Series(i) => many[i].at(step),
                // Filled only where no series of the many side has found a match.
                Side::Fill(v) => (!matched).then_some(Point::Float(v)),
            };
            let right = match pair.one {
                Side::Series(j) => one[j].at(step),
                Side::Fill(v) => (!one_present).then_some(Point::Float(v)),
            };
            let (Some(left), Some(right)) = (left, right) else { continue };
            let Some(outcome) = m.at(left, right, notes) else { continue };
            if matches!(pair.many, Side::Series(_)) {
                let again = std::mem::replace(&mut seen[self.result[p]], round) == round;
                let wrong = match m.matching.card {
                    VectorMatchCardinality::OneToOne if matched => {
                        "many-to-one matching must be explicit (group_left/group_right)"
                    }
                    VectorMatchCardinality::ManyToOne | VectorMatchCardinality::OneToMany if again => {
                        "grouping labels must ensure unique matches"
                    }
                    _ => "",
                };
                if !wrong.is_empty() {
                    return Err(self.sides.fail(format!("multiple matches for labels: {wrong}")));
                }
                matched = true;
            }
            put(&mut out[p], step, outcome);
        }
        Ok(())
    }
}
