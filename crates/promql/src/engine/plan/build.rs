//! From the tree to the plan: durations get their values, `@` its time, subqueries their grid, selectors
//! their place among the selections. Invariant: sites are numbered in the order of reading, parentheses left
//! out, so that equal parts number their nodes alike.

use std::{ops::Range, sync::Arc};

use assay_model::{Access, Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};
use hashbrown::HashMap;

use super::{
    Aggregation, Grid, InfoCall, Node, Op, Operation, Plan, Scope, Selection, Selector, Shift, Window,
    WindowSource, invariant::is_invariant, key::key,
};
use crate::{
    ast::{
        AbsenceFunc, AggregateExpr, AtModifier, BinaryExpr, BinaryKind, Call, DurationContext, DurationExpr,
        Expr, Func, InfoFunc, MatrixSelector, QueryFunc, RangeFunc, RangeMode, Samples, Statistics,
        SubqueryExpr, TimeFunc, UnaryOp, ValueType, VectorSelector,
    },
    engine::{EngineOptions, EvalError, function, limits::check_grid, notes::Site},
};

pub(super) struct Builder<'o> {
    /// The times that are planned for.
    grid: Grid,
    query: Grid,
    durations: DurationContext,
    options: &'o EngineOptions,
    by_access: bool,
    selections: Vec<Selection>,
    by_matchers: HashMap<(Vec<Matcher>, Access), Vec<usize>>,
    ids: HashMap<String, usize>,
    spans: Vec<Range<usize>>,
    stats: Stats,
    reading: Reading,
}

/// Where in an expression selectors are read.
#[derive(Clone, Copy, Default)]
struct Reading {
    /// Whether the next range is an argument of a function of counters, such as `rate`.
    counted: bool,
    /// How the range that a subquery makes is read.
    within: Access,
    /// Whether a subquery around looks at another time.
    elsewhere: bool,
}

/// Whether selectors are read for nothing but counts and sums of histograms: under a function that takes
/// these, and under nothing that needs buckets or looks at other samples.
#[derive(Clone, Copy, Default)]
struct Stats {
    wanted: bool,
    blocked: bool,
}

impl<'o> Builder<'o> {
    pub(super) fn new(grid: Grid, scope: Scope, options: &'o EngineOptions) -> Self {
        Self {
            grid,
            query: scope.grid,
            durations: scope.durations,
            options,
            by_access: scope.by_access,
            selections: Vec::new(),
            by_matchers: HashMap::new(),
            ids: HashMap::new(),
            spans: Vec::new(),
            stats: Stats::default(),
            reading: Reading::default(),
        }
    }

    /// The node of a whole expression.
    pub(super) fn root(&mut self, expr: &Expr) -> Result<Arc<Node>, EvalError> {
        self.build(expr, self.grid)
    }

    pub(super) fn finish(self, roots: Vec<Arc<Node>>) -> Plan {
        Plan { roots, selections: self.selections, uses: vec![0; self.ids.len()], spans: self.spans }
    }

    /// The node of an expression over a grid: evaluated once where it is the same at every step.
    fn build(&mut self, expr: &Expr, grid: Grid) -> Result<Arc<Node>, EvalError> {
        let expr = expr.unparen();
        let literal = matches!(expr, Expr::Number(_) | Expr::String(_));
        let matrix = expr.value_type() == ValueType::Matrix;
        if grid.steps > 1 && !literal && !matrix && is_invariant(expr) {
            let once = self.build_here(expr, grid.first())?;
            let (site, value_type) = (once.site, once.value_type);
            return Ok(self.node(Op::Repeat(once), grid, site, value_type));
        }
        self.build_here(expr, grid)
    }

    fn build_here(&mut self, expr: &Expr, grid: Grid) -> Result<Arc<Node>, EvalError> {
        let before = self.stats;
        self.stats = before.under(expr);
        let built = self.build_node(expr, grid);
        self.stats = before;
        built
    }

    fn build_node(&mut self, expr: &Expr, grid: Grid) -> Result<Arc<Node>, EvalError> {
        let site = self.site(expr);
        let op = match expr {
            Expr::Paren(p) => return self.build_here(&p.expr, grid),
            Expr::Number(n) => Op::Number(n.value),
            Expr::String(s) => Op::Text(s.clone()),
            Expr::Vector(v) => Op::Select(self.selector(v, grid)?),
            Expr::Matrix(_) | Expr::Subquery(_) => Op::Raw(self.window_at(expr, grid, site)?),
            Expr::Unary(u) => {
                let inner = self.build(&u.expr, grid)?;
                if u.op == UnaryOp::Plus {
                    return Ok(inner);
                }
                Op::Negate(inner)
            }
            Expr::Aggregate(a) => self.aggregate(a, grid)?,
            Expr::Binary(b) => self.binary(b, grid)?,
            Expr::Call(c) => self.call(c, grid)?,
        };
        Ok(self.node(op, grid, site, expr.value_type()))
    }

    fn site(&mut self, expr: &Expr) -> Site {
        self.spans.push(expr.span());
        self.spans.len() - 1
    }

    fn node(&mut self, op: Op, grid: Grid, site: Site, value_type: ValueType) -> Arc<Node> {
        let next = self.ids.len();
        let id = *self.ids.entry(key(&op, grid)).or_insert(next);
        Arc::new(Node { op, grid, site, id, value_type })
    }

    fn aggregate(&mut self, a: &AggregateExpr, grid: Grid) -> Result<Op, EvalError> {
        if a.op.is_experimental() && !self.options.experimental_functions {
            return Err(experimental(a.op.as_str(), a.span.clone()));
        }
        let param = a.param.as_ref().map(|p| self.build(p, grid)).transpose()?;
        let vector = self.build(&a.expr, grid)?;
        let mut grouping = a.grouping.clone();
        grouping.sort();
        grouping.dedup();
        Ok(Op::Aggregate(Aggregation { op: a.op, vector, param, grouping, without: a.without }))
    }

    fn binary(&mut self, b: &BinaryExpr, grid: Grid) -> Result<Op, EvalError> {
        let lhs = self.build(&b.lhs, grid)?;
        let rhs = self.build(&b.rhs, grid)?;
        let both = lhs.value_type == ValueType::Vector && rhs.value_type == ValueType::Vector;
        let mut matching = both.then(|| b.matching.clone().unwrap_or_default());
        if let Some(matching) = &mut matching {
            matching.matching_labels.sort_unstable();
        }
        Ok(Op::Binary(Operation { op: b.op, lhs, rhs, matching, return_bool: b.return_bool }))
    }

    fn call(&mut self, c: &Call, grid: Grid) -> Result<Op, EvalError> {
        if c.func.is_experimental() && !self.options.experimental_functions {
            return Err(experimental(c.func.name, c.span.clone()));
        }
        match (c.func.id, c.args.first().map(Expr::unparen)) {
            (Func::Query(of), _) => Ok(Op::Number(self.of_query(of))),
            (Func::Time(which), Some(Expr::Vector(v))) => {
                self.site(&c.args[0]);
                let start = match which {
                    TimeFunc::Timestamp => false,
                    TimeFunc::StartTimestamp => true,
                };
                Ok(Op::Times { selector: self.selector(v, grid)?, start })
            }
            (Func::Info(InfoFunc::Info), _) => self.info(c, grid),
            (Func::Absence(which), Some(arg)) => {
                let labels = absent_labels(arg);
                Ok(match which {
                    AbsenceFunc::Absent => Op::Absent { vector: self.build(arg, grid)?, labels },
                    AbsenceFunc::AbsentOverTime => {
                        Op::AbsentOverTime { func: c.func, window: self.argument(c, arg, grid)?, labels }
                    }
                })
            }
            (Func::Range(which), _) => self.range(c, which, grid),
            (
                Func::Absence(_)
                | Func::Date(_)
                | Func::Float(_)
                | Func::Histogram(_)
                | Func::Label(_)
                | Func::Limit(_)
                | Func::Quantile(_)
                | Func::Scalar(_)
                | Func::Sort(_)
                | Func::Time(_),
                _,
            ) => {
                let args = c.args.iter().map(|a| self.build(a, grid)).collect::<Result<_, _>>()?;
                Ok(Op::Function { func: c.func, args })
            }
        }
    }

    /// What a query says of itself, in seconds.
    fn of_query(&self, of: QueryFunc) -> f64 {
        let ms = match of {
            QueryFunc::Start => self.query.start_ms,
            QueryFunc::End => self.query.start_ms.saturating_add(self.durations.range_ms),
            QueryFunc::Range => self.durations.range_ms,
            QueryFunc::Step if self.durations.range_ms == 0 => 0,
            QueryFunc::Step => self.durations.step_ms,
        };
        ms as f64 / 1000.0
    }

    fn range(&mut self, c: &Call, which: RangeFunc, grid: Grid) -> Result<Op, EvalError> {
        let (mut window, mut params) = (None, Vec::new());
        for arg in &c.args {
            if arg.value_type() == ValueType::Matrix {
                window = Some(self.argument(c, arg.unparen(), grid)?);
            } else {
                params.push(self.build(arg, grid)?);
            }
        }
        let window = window.ok_or_else(|| EvalError::Expression {
            message: format!("{} needs a range vector", c.func.name),
            span: c.span.clone(),
        })?;
        Ok(Op::Range { func: c.func, which, window, params })
    }

    /// The range vector that a call is given.
    fn argument(&mut self, c: &Call, arg: &Expr, grid: Grid) -> Result<Window, EvalError> {
        let before = self.reading;
        self.reading.counted = c.func.samples == Samples::TwoOfCounter;
        let window = self.window(arg, grid);
        self.reading = before;
        let window = window?;
        match function::check_mode(c.func, window.mode) {
            Ok(()) => Ok(window),
            Err(message) => Err(EvalError::Expression { message, span: c.span.clone() }),
        }
    }

    fn info(&mut self, c: &Call, grid: Grid) -> Result<Op, EvalError> {
        let vector = self.build(&c.args[0], grid)?;
        let matchers = match c.args.get(1).map(Expr::unparen) {
            Some(Expr::Vector(v)) => {
                self.site(&c.args[1]);
                Some(v.matchers.clone())
            }
            _ => None,
        };
        let shift = self.first_shift(&c.args[0])?.unwrap_or(Shift { at_ms: None, offset_ms: 0 });
        Ok(Op::Info(InfoCall { vector, matchers, shift }))
    }

    /// When the first selector under an expression looks, subqueries on the way counted in.
    fn first_shift(&self, expr: &Expr) -> Result<Option<Shift>, EvalError> {
        let own = |v: &VectorSelector| -> Result<Shift, EvalError> {
            Ok(Shift { at_ms: self.at(v.at), offset_ms: self.offset(v.offset.as_ref())? })
        };
        match expr {
            Expr::Vector(v) => return own(v).map(Some),
            Expr::Matrix(m) => return own(&m.selector).map(Some),
            _ => {}
        }
        for child in expr.children() {
            if let Some(mut shift) = self.first_shift(child)? {
                if let (Expr::Subquery(s), None) = (expr, shift.at_ms) {
                    shift.offset_ms = shift.offset_ms.saturating_add(self.offset(s.offset.as_ref())?);
                    shift.at_ms = self.at(s.at);
                }
                return Ok(Some(shift));
            }
        }
        Ok(None)
    }

    fn window(&mut self, expr: &Expr, grid: Grid) -> Result<Window, EvalError> {
        let site = self.site(expr);
        self.window_at(expr, grid, site)
    }

    fn window_at(&mut self, expr: &Expr, grid: Grid, site: Site) -> Result<Window, EvalError> {
        match expr {
            Expr::Matrix(m) => self.matrix(m, grid, site),
            Expr::Subquery(s) => self.subquery(s, grid, site),
            Expr::Paren(p) => self.window_at(&p.expr, grid, site),
            other => Err(EvalError::Expression {
                message: format!("expected a range vector, got {}", other.value_type().as_str()),
                span: other.span(),
            }),
        }
    }

    fn matrix(&mut self, m: &MatrixSelector, grid: Grid, site: Site) -> Result<Window, EvalError> {
        let range_ms = self.duration(&m.range, true)?;
        let shift =
            Shift { at_ms: self.at(m.selector.at), offset_ms: self.offset(m.selector.offset.as_ref())? };
        let lookback = self.options.lookback_ms;
        let (before, after) = match m.selector.mode {
            RangeMode::Plain => (range_ms, 0),
            RangeMode::Anchored => (range_ms.saturating_add(lookback), 0),
            RangeMode::Smoothed => (range_ms.saturating_add(lookback), lookback),
        };
        let access = match self.reading.counted {
            _ if self.is_elsewhere(shift) => Access::Plain,
            true => Access::Counter,
            false => Access::Range,
        };
        let selection = self.selection((&m.selector.matchers, access), grid, shift, before, after);
        let source = WindowSource::Selection(selection);
        let stats = self.stats.wanted && !self.stats.blocked;
        Ok(Window { source, range_ms, shift, mode: m.selector.mode, stats, site })
    }

    /// The times of a subquery are the multiples of its step in the union of its windows.
    fn subquery(&mut self, s: &SubqueryExpr, grid: Grid, site: Site) -> Result<Window, EvalError> {
        let range_ms = self.duration(&s.range, true)?;
        let step_ms = match &s.step {
            Some(step) => self.duration(step, true)?.max(1),
            None => self.options.default_step_ms.max(1),
        };
        let shift = Shift { at_ms: self.at(s.at), offset_ms: self.offset(s.offset.as_ref())? };
        let from = shift.apply(grid.start_ms).saturating_sub(range_ms);
        let start_ms = from.div_euclid(step_ms).saturating_add(1).saturating_mul(step_ms);
        let inner = if grid.steps == 0 {
            Grid { start_ms, step_ms, steps: 0 }
        } else {
            Grid::new(start_ms, shift.apply(grid.last_ms()), step_ms)
        };
        check_grid(inner, &self.options.limits)?;
        let before = (self.stats, self.reading);
        self.stats.blocked = true;
        self.reading = Reading {
            counted: false,
            within: if self.reading.counted { Access::Counter } else { Access::Range },
            elsewhere: self.is_elsewhere(shift),
        };
        let vector = self.build(&s.expr, inner);
        (self.stats, self.reading) = before;
        let source = WindowSource::Subquery(vector?);
        Ok(Window { source, range_ms, shift, mode: RangeMode::Plain, stats: false, site })
    }

    fn selector(&mut self, v: &VectorSelector, grid: Grid) -> Result<Selector, EvalError> {
        let shift = Shift { at_ms: self.at(v.at), offset_ms: self.offset(v.offset.as_ref())? };
        let lookback = self.options.lookback_ms;
        let after = if v.mode == RangeMode::Smoothed { lookback } else { 0 };
        let access = if self.is_elsewhere(shift) { Access::Plain } else { self.reading.within };
        let selection = self.selection((&v.matchers, access), grid, shift, lookback, after);
        let stats = self.stats.wanted && !self.stats.blocked;
        Ok(Selector { selection, shift, mode: v.mode, stats })
    }

    /// The selection that has these series over the needed range: an existing one is widened
    /// where that reads little that nobody needs.
    fn selection(
        &mut self,
        (matchers, access): (&[Matcher], Access),
        grid: Grid,
        shift: Shift,
        before: i64,
        after: i64,
    ) -> usize {
        let start_ms = shift.apply(grid.start_ms).saturating_sub(before).saturating_add(1);
        let end_ms = shift.apply(grid.last_ms()).saturating_add(after);
        let access = if self.by_access { access } else { Access::Plain };
        let known = self.by_matchers.entry((matchers.to_vec(), access)).or_default();
        for &at in known.iter() {
            let s = &mut self.selections[at];
            let gap = start_ms.max(s.start_ms).saturating_sub(end_ms.min(s.end_ms));
            let needed = end_ms.saturating_sub(start_ms).max(s.end_ms.saturating_sub(s.start_ms));
            if gap <= needed {
                s.start_ms = s.start_ms.min(start_ms);
                s.end_ms = s.end_ms.max(end_ms);
                return at;
            }
        }
        let at = self.selections.len();
        known.push(at);
        let matchers = matchers.to_vec();
        self.selections.push(Selection { matchers, access, start_ms, end_ms, uses: 0 });
        at
    }

    /// Whether a selector looks at another time than that of its evaluation.
    fn is_elsewhere(&self, shift: Shift) -> bool {
        self.reading.elsewhere || shift.at_ms.is_some() || shift.offset_ms != 0
    }

    fn at(&self, at: Option<AtModifier>) -> Option<i64> {
        at.map(|at| match at {
            AtModifier::Time(t) => t,
            AtModifier::Start => self.query.start_ms,
            AtModifier::End => self.query.start_ms.saturating_add(self.durations.range_ms),
        })
    }

    fn offset(&self, offset: Option<&DurationExpr>) -> Result<i64, EvalError> {
        offset.map_or(Ok(0), |o| self.duration(o, false))
    }

    fn duration(&self, d: &DurationExpr, positive: bool) -> Result<i64, EvalError> {
        d.resolve_ms(self.durations, positive)
            .map_err(|e| EvalError::Expression { message: e.message.to_owned(), span: e.span })
    }
}

impl Stats {
    /// What holds for the parts of an expression.
    fn under(self, expr: &Expr) -> Self {
        let (wants, blocks) = match expr {
            Expr::Call(c) => {
                (c.func.statistics == Statistics::Enough, c.func.statistics == Statistics::TooLittle)
            }
            Expr::Binary(b) => (false, matches!(b.op.kind(), BinaryKind::Trim(_))),
            _ => (false, false),
        };
        Self { wanted: self.wanted || wants, blocked: self.blocked || blocks }
    }
}

fn experimental(name: &str, span: Range<usize>) -> EvalError {
    EvalError::Expression {
        message: format!("{name} is experimental and experimental functions are off"),
        span,
    }
}

/// The labels that an absent series would have had: those that a selector pins to one value.
///
/// Matchers that only take away (`!=` and `!~` that match the empty value) count after the others, whatever their
/// place: Prometheus' storage (3.5, `PostingsForMatchers`) has sorted them so by the time its engine reads them.
fn absent_labels(expr: &Expr) -> Labels {
    let matchers = match expr {
        Expr::Vector(v) => &v.matchers,
        Expr::Matrix(m) => &m.selector.matchers,
        _ => return Labels::empty(),
    };
    let takes_away = |m: &&Matcher| matches!(m.op, MatchOp::NotEqual | MatchOp::NotRegex) && m.matches("");
    let (last, first): (Vec<&Matcher>, Vec<&Matcher>) =
        matchers.iter().filter(|m| m.name != METRIC_NAME).partition(takes_away);
    let mut labels = LabelsBuilder::new();
    let mut seen: Vec<&str> = Vec::new();
    for m in first.into_iter().chain(last) {
        if m.op == MatchOp::Equal && !seen.contains(&m.name.as_str()) {
            labels.set(&m.name, &m.value);
            seen.push(&m.name);
        } else {
            labels.del(&m.name);
        }
    }
    labels.build()
}
