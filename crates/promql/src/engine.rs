//! The engine: evaluates a checked expression over a [`Queryable`], at one time or over a range.
//!
//! An expression becomes a plan (`plan`) whose selectors are merged, whose parts that do not depend on the
//! step are evaluated once, and whose equal parts are evaluated once for all that use them. The plan is then
//! evaluated by column: a series is read once and computed for all steps, series on all cores.
//!
//! Invariant: nothing here depends on the number of threads; results and annotations come out in one order.
//! Semantics follow Prometheus `promql/engine.go` v3.13 with delayed name removal.

mod aggregate;
mod binary;
mod calendar;
mod chunks;
mod context;
mod eval;
mod function;
mod grid;
mod limits;
mod notes;
mod plan;
mod points;
mod range;
mod result;
mod room;
mod select;
mod sorting;
mod vector;

use std::ops::Range;

use assay_model::{Column, QueryError, Queryable};

pub use self::limits::{Limits, Memory, Reserved};
use self::{
    context::Context,
    eval::Evaluator,
    grid::Grid,
    limits::Size,
    plan::{Plan, Scope},
};
use crate::{
    ast::{DurationContext, Expr, ValueType},
    value::{QueryResult, QueryValue, RangeSeries},
};

/// How an [`Engine`] evaluates.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// How far back an instant selector looks for a sample.
    pub lookback_ms: i64,
    /// The step of subqueries that name none.
    pub default_step_ms: i64,
    /// What a query may take.
    pub limits: Limits,
    /// Whether functions and aggregations that Prometheus calls experimental may be used.
    pub experimental_functions: bool,
    /// Whether start timestamps of samples, where the source has them, tell of counter resets.
    pub start_timestamps: bool,
}

impl Default for EngineOptions {
    /// Prometheus' defaults: 5 minutes of lookback, 1 minute as default step. Nothing but the memory of the process
    /// is limited, and experimental functions are on.
    fn default() -> Self {
        Self {
            lookback_ms: 300_000,
            default_step_ms: 60_000,
            limits: Limits::default(),
            experimental_functions: true,
            start_timestamps: true,
        }
    }
}

/// Why an evaluation failed.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The source could not be read.
    #[error(transparent)]
    Read(#[from] QueryError),
    /// The expression, or the data that it meets, makes no sense at `span`.
    #[error("{message}")]
    Expression {
        /// What is wrong.
        message: String,
        /// The bytes of the expression at fault.
        span: Range<usize>,
    },
    /// The query would hold more samples than allowed.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples {
        /// The limit.
        max: usize,
    },
    /// The query would hold more memory than allowed.
    #[error(
        "query processing would need more than {} of memory; narrow the selectors or the range, or raise the limit",
        binary_bytes(*max_bytes)
    )]
    OutOfMemory {
        /// The limit.
        max_bytes: usize,
    },
    /// A selector yields more series than allowed.
    #[error("the selector {selector} yields {found} series; the limit is {max}")]
    TooManySeries {
        /// The selector's matchers.
        selector: String,
        /// How many series there are.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// The query took too long.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// The query was cancelled.
    #[error("query was canceled in expression evaluation")]
    Cancelled,
}

/// The bytes that samples hold, as [`Memory`] counts them.
pub(crate) fn sample_bytes(samples: &Column) -> usize {
    Size::samples(samples.times.len(), &samples.histograms).bytes
}

/// Keeps a result next to those of a batch before it; where they are too much together, it is dropped.
fn keep(kept: &mut Reserved, result: QueryResult) -> Result<QueryResult, EvalError> {
    if let QueryValue::Matrix(list) = &result.value {
        kept.grow(list.iter().map(RangeSeries::bytes).sum())?;
    }
    Ok(result)
}

/// Bytes in the largest unit that gives a whole number or more than ten.
fn binary_bytes(bytes: usize) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let fits = |shift: u32| bytes.is_multiple_of(1 << shift) || bytes >> shift > 10;
    match units.into_iter().find(|(shift, _)| bytes >> shift > 0 && fits(*shift)) {
        Some((shift, unit)) => format!("{} {unit}", bytes >> shift),
        None => format!("{bytes} B"),
    }
}

impl EvalError {
    /// The bytes of the expression that the error is about, where it is about the expression.
    #[must_use]
    pub fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::Expression { span, .. } => Some(span.clone()),
            _ => None,
        }
    }
}

/// Evaluates expressions. Cheap to make; holds nothing but its options.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: EngineOptions,
}

/// The range over which several expressions are evaluated together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeQuery {
    /// The first evaluation time, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// No evaluation time is after this one.
    pub end_ms: i64,
    /// The distance between evaluation times; above 0.
    pub step_ms: i64,
}

impl RangeQuery {
    fn scope(self, by_access: bool) -> Scope {
        let range_ms = self.end_ms.saturating_sub(self.start_ms);
        Scope {
            grid: Grid::new(self.start_ms, self.end_ms, self.step_ms),
            durations: DurationContext { step_ms: self.step_ms, range_ms },
            by_access,
        }
    }
}

impl Engine {
    /// An engine with these options.
    #[must_use]
    pub fn new(options: EngineOptions) -> Self {
        Self { options }
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// The value of an expression at one time.
    ///
    /// # Errors
    /// See [`EvalError`].
    pub fn instant(&self, source: &dyn Queryable, expr: &Expr, t_ms: i64) -> Result<QueryResult, EvalError> {
        room::with_room(&[expr], || self.instant_here(source, expr, t_ms))
    }

    fn instant_here(&self, source: &dyn Queryable, expr: &Expr, t_ms: i64) -> Result<QueryResult, EvalError> {
        let scope = Scope {
            grid: Grid::instant(t_ms),
            durations: DurationContext::default(),
            by_access: source.heeds_access(),
        };
        let (plan, roots) = Plan::new(&[expr], scope.grid, scope, &self.options);
        roots.into_iter().collect::<Result<Vec<_>, _>>()?;
        let ctx = Context::new(source, &self.options, &plan.spans);
        let loaded = select::load(&ctx, &plan)?;
        let evaluator = Evaluator::new(&ctx, &plan, &loaded);
        result::instant(&evaluator, &plan.roots[0], t_ms)
    }

    /// The values of an expression from `start_ms` to at most `end_ms`, every `step_ms`: a matrix, sorted by
    /// labels.
    ///
    /// # Errors
    /// See [`EvalError`]; also where the expression is a string or range vector, or the step is not positive.
    pub fn range(
        &self,
        source: &dyn Queryable,
        expr: &Expr,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<QueryResult, EvalError> {
        let mut results = self.batch(source, &[expr], RangeQuery { start_ms, end_ms, step_ms })?;
        results.pop().unwrap_or(Err(EvalError::Cancelled))
    }

    /// Evaluates several expressions over one range. Selectors that several of them have are read once, and
    /// equal parts are computed once. Results come in the order of `exprs`; one that fails does not touch
    /// the others.
    ///
    /// # Errors
    /// Where series cannot be selected or are too many; all else that may go wrong is in the expression's
    /// place in the list.
    pub fn batch(
        &self,
        source: &dyn Queryable,
        exprs: &[&Expr],
        query: RangeQuery,
    ) -> Result<Vec<Result<QueryResult, EvalError>>, EvalError> {
        room::with_room(exprs, || self.batch_here(source, exprs, query))
    }

    fn batch_here(
        &self,
        source: &dyn Queryable,
        exprs: &[&Expr],
        query: RangeQuery,
    ) -> Result<Vec<Result<QueryResult, EvalError>>, EvalError> {
        let checked: Vec<Result<(), EvalError>> = exprs.iter().map(|e| check_range(e, query)).collect();
        let valid: Vec<&Expr> =
            exprs.iter().zip(&checked).filter(|(_, c)| c.is_ok()).map(|(e, _)| *e).collect();
        let scope = query.scope(source.heeds_access());
        if scope.grid.steps > chunks::MOST_STEPS {
            let deadline = self.options.limits.deadline();
            let one = |(expr, checked): (&&Expr, Result<(), EvalError>)| {
                checked.and_then(|()| chunks::range(self, source, expr, query, deadline))
            };
            let mut kept = Reserved::nothing(&self.options.limits.memory);
            return Ok(exprs.iter().zip(checked).map(one).map(|result| keep(&mut kept, result?)).collect());
        }
        let (plan, roots) = Plan::new(&valid, scope.grid, scope, &self.options);
        let ctx = Context::new(source, &self.options, &plan.spans);
        let loaded = select::load(&ctx, &plan)?;
        let evaluator = Evaluator::new(&ctx, &plan, &loaded);
        let (mut roots, mut nodes) = (roots.into_iter(), plan.roots.iter());
        let mut evaluate = |(expr, checked): (&&Expr, Result<(), EvalError>)| {
            checked?;
            roots.next().transpose()?;
            let node = nodes.next().ok_or(EvalError::Cancelled)?;
            match result::range(&evaluator, node) {
                Err(EvalError::OutOfMemory { .. }) if scope.grid.steps > 1 => {
                    chunks::range(self, source, expr, query, ctx.deadline)
                }
                result => result,
            }
        };
        let mut kept = Reserved::nothing(&self.options.limits.memory);
        Ok(exprs.iter().zip(checked).map(&mut evaluate).map(|result| keep(&mut kept, result?)).collect())
    }

    /// How the expressions would be evaluated over a range: the plan as an indented tree, with what is
    /// shared and what is evaluated once.
    ///
    /// # Errors
    /// Where the expression makes no plan: a duration without a value, an unknown experimental function.
    pub fn explain(&self, exprs: &[&Expr], query: RangeQuery) -> Result<String, EvalError> {
        room::with_room(exprs, || self.explain_here(exprs, query))
    }

    fn explain_here(&self, exprs: &[&Expr], query: RangeQuery) -> Result<String, EvalError> {
        let scope = query.scope(false);
        let (plan, roots) = Plan::new(exprs, scope.grid, scope, &self.options);
        roots.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(plan.explain())
    }
}

fn check_range(expr: &Expr, query: RangeQuery) -> Result<(), EvalError> {
    let fail = |message: String| Err(EvalError::Expression { message, span: expr.span() });
    if query.step_ms <= 0 {
        return fail("the step of a range query must be greater than 0".to_owned());
    }
    match expr.value_type() {
        ValueType::Scalar | ValueType::Vector => Ok(()),
        other => fail(format!(
            "invalid expression type {:?} for range query, must be Scalar or instant Vector",
            other.as_str()
        )),
    }
}
