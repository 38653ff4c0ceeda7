//! Range queries too large to be evaluated in one piece: chunk of steps by chunk of steps.
//!
//! Invariant: a step's samples do not depend on the chunk that it is in. A chunk that needs more memory than there is
//! is tried again with fewer steps; with a single step it is an error.

use std::{ops::Range, time::Instant};

use assay_model::{Column, Labels, Queryable};
use hashbrown::HashMap;

use super::{
    Engine, EvalError, RangeQuery,
    context::Context,
    eval::Evaluator,
    limits::{Budget, Held, Size},
    notes::Notes,
    plan::{Plan, Scope},
    result, select,
};
use crate::{
    ast::Expr,
    value::{QueryResult, QueryValue, RangeSeries},
};

/// The most steps of one piece: columns of 8 MiB.
pub(super) const MOST_STEPS: usize = 1 << 20;
/// Into how many pieces a chunk is split that is too large.
const SPLIT: usize = 4;

/// Evaluates one expression over a range.
pub(super) fn range(
    engine: &Engine,
    source: &dyn Queryable,
    expr: &Expr,
    query: RangeQuery,
    deadline: Option<Instant>,
) -> Result<QueryResult, EvalError> {
    let scope = query.scope(source.heeds_access());
    let mut result = Chunks {
        index: HashMap::new(),
        series: Vec::new(),
        notes: Notes::default(),
        spans: Vec::new(),
        held: Held::nothing(&Budget::new(&engine.options.limits)),
    };
    let evaluate = Evaluate { engine, source, expr, scope, deadline };
    let (mut from, mut steps) = (0, MOST_STEPS.min(scope.grid.steps.div_ceil(SPLIT)).max(1));
    while from < scope.grid.steps {
        match result.add(&evaluate, from, steps) {
            Ok(()) => from += steps,
            Err(EvalError::OutOfMemory { .. }) if steps > 1 => steps = steps.div_ceil(SPLIT),
            Err(e) => return Err(e),
        }
    }
    result.series.sort_by(|a, b| a.labels.cmp(&b.labels));
    let annotations = result::annotations(&result.spans, result.notes);
    Ok(QueryResult { value: QueryValue::Matrix(result.series), annotations })
}

/// What is the same for all chunks.
struct Evaluate<'q> {
    engine: &'q Engine,
    source: &'q dyn Queryable,
    expr: &'q Expr,
    scope: Scope,
    deadline: Option<Instant>,
}

/// What the chunks so far came to.
struct Chunks {
    index: HashMap<Labels, usize>,
    series: Vec<RangeSeries>,
    notes: Notes,
    spans: Vec<Range<usize>>,
    held: Held,
}

impl Chunks {
    /// Evaluates a chunk and adds its samples.
    fn add(&mut self, of: &Evaluate<'_>, from: usize, steps: usize) -> Result<(), EvalError> {
        let options = &of.engine.options;
        let (plan, roots) = Plan::new(&[of.expr], of.scope.grid.part(from, steps), of.scope, options);
        roots.into_iter().collect::<Result<Vec<_>, _>>()?;
        let ctx = Context::of_chunk(of.source, options, &plan.spans, of.deadline);
        let loaded = select::load(&ctx, &plan)?;
        let evaluator = Evaluator::new(&ctx, &plan, &loaded);
        let mut notes = Notes::default();
        let series = result::series(&evaluator, &plan.roots[0], &mut notes)?;
        for series in series {
            self.held.grow(Size::samples(series.samples.times.len(), &series.samples.histograms))?;
            match self.index.get(&series.labels) {
                Some(&at) => append(&mut self.series[at].samples, series.samples),
                None => {
                    self.index.insert(series.labels.clone(), self.series.len());
                    self.series.push(series);
                }
            }
        }
        // The same expression has the same sites in the plan of each chunk.
        self.notes.extend(notes.into_list());
        self.spans.clone_from(&plan.spans);
        Ok(())
    }
}

fn append(to: &mut Column, more: Column) {
    to.times.extend(more.times);
    to.values.extend(more.values);
    to.histogram_times.extend(more.histogram_times);
    to.histograms.extend(more.histograms);
}
