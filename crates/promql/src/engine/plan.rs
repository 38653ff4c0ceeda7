//! What is to be evaluated, and how often. Invariant: nodes with one id have the same value, so that a node
//! with more than one use is evaluated once.

mod build;
mod explain;
mod invariant;
mod key;

use std::{ops::Range, sync::Arc};

use assay_model::{Access, Labels, Matcher};

use super::{EngineOptions, EvalError, grid::Grid, notes::Site};
use crate::ast::{
    AggregateOp, BinaryOp, DurationContext, Expr, Function, RangeFunc, RangeMode, StringLiteral, ValueType,
    VectorMatching,
};

/// The plan of one or several expressions.
pub(crate) struct Plan {
    /// The nodes of whole expressions.
    pub(crate) roots: Vec<Arc<Node>>,
    /// What is read from the source.
    pub(crate) selections: Vec<Selection>,
    /// How many nodes use the node of an id.
    pub(crate) uses: Vec<usize>,
    /// The bytes of each site, in the text of its expression.
    pub(crate) spans: Vec<Range<usize>>,
}

/// What an expression can ask of its query: `start()`, `end()`, `step()`, `range()`; and of its source.
#[derive(Clone, Copy)]
pub(crate) struct Scope {
    /// All times of the query.
    pub(crate) grid: Grid,
    pub(crate) durations: DurationContext,
    /// Whether selections are distinguished by how they are read.
    pub(crate) by_access: bool,
}

/// Series to be selected, and the range of their samples that is needed, both ends in.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) access: Access,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) uses: usize,
}

/// A part of a plan.
pub(crate) struct Node {
    pub(crate) op: Op,
    pub(crate) grid: Grid,
    pub(crate) site: Site,
    /// Equal for nodes with the same value.
    pub(crate) id: usize,
    pub(crate) value_type: ValueType,
}

/// What a node does.
pub(crate) enum Op {
    Number(f64),
    Text(StringLiteral),
    /// The value of the first step for all steps.
    Repeat(Arc<Node>),
    Select(Selector),
    /// The times (or start times) of the samples that a selector finds.
    Times {
        selector: Selector,
        start: bool,
    },
    /// A bare range vector, at one step.
    Raw(Window),
    Range {
        func: &'static Function,
        which: RangeFunc,
        window: Window,
        params: Vec<Arc<Node>>,
    },
    AbsentOverTime {
        func: &'static Function,
        window: Window,
        labels: Labels,
    },
    Absent {
        vector: Arc<Node>,
        labels: Labels,
    },
    Info(InfoCall),
    Function {
        func: &'static Function,
        args: Vec<Arc<Node>>,
    },
    Aggregate(Aggregation),
    Negate(Arc<Node>),
    Binary(Operation),
}

/// An instant selector.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    /// An index of [`Plan::selections`].
    pub(crate) selection: usize,
    pub(crate) shift: Shift,
    pub(crate) mode: RangeMode,
    /// Whether only counts and sums of histograms are looked at.
    pub(crate) stats: bool,
}

/// When a selector looks: at a fixed time or at the step's, and how much earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shift {
    pub(crate) at_ms: Option<i64>,
    pub(crate) offset_ms: i64,
}

impl Shift {
    /// The time that is looked at for a step at `t_ms`.
    #[inline]
    pub(crate) fn apply(self, t_ms: i64) -> i64 {
        self.at_ms.unwrap_or(t_ms).saturating_sub(self.offset_ms)
    }
}

/// A range vector.
pub(crate) struct Window {
    pub(crate) source: WindowSource,
    pub(crate) range_ms: i64,
    pub(crate) shift: Shift,
    pub(crate) mode: RangeMode,
    /// As [`Selector::stats`].
    pub(crate) stats: bool,
    pub(crate) site: Site,
}

/// Where a range vector's samples come from.
pub(crate) enum WindowSource {
    /// An index of [`Plan::selections`].
    Selection(usize),
    /// A vector over a grid of its own.
    Subquery(Arc<Node>),
}

/// An aggregation.
pub(crate) struct Aggregation {
    pub(crate) op: AggregateOp,
    pub(crate) vector: Arc<Node>,
    pub(crate) param: Option<Arc<Node>>,
    /// Sorted, each once.
    pub(crate) grouping: Vec<String>,
    pub(crate) without: bool,
}

/// A binary operator.
pub(crate) struct Operation {
    pub(crate) op: BinaryOp,
    pub(crate) lhs: Arc<Node>,
    pub(crate) rhs: Arc<Node>,
    /// Its labels are sorted.
    pub(crate) matching: Option<VectorMatching>,
    pub(crate) return_bool: bool,
}

/// A call of `info`.
pub(crate) struct InfoCall {
    pub(crate) vector: Arc<Node>,
    /// The matchers of the second argument.
    pub(crate) matchers: Option<Vec<Matcher>>,
    /// When the info series are looked at: as the first selector of the vector.
    pub(crate) shift: Shift,
}

impl Plan {
    /// Plans expressions over one grid, which is the query's or a part of it. The list has the node
    /// of each expression, or why it has none: a duration without a value, a function that may not be used.
    pub(crate) fn new(
        exprs: &[&Expr],
        grid: Grid,
        scope: Scope,
        options: &EngineOptions,
    ) -> (Self, Vec<Result<Arc<Node>, EvalError>>) {
        let mut builder = build::Builder::new(grid, scope, options);
        let roots: Vec<Result<Arc<Node>, EvalError>> = exprs.iter().map(|e| builder.root(e)).collect();
        let mut plan = builder.finish(roots.iter().filter_map(|r| r.as_ref().ok()).cloned().collect());
        plan.count_uses();
        (plan, roots)
    }

    fn count_uses(&mut self) {
        let mut seen = vec![false; self.uses.len()];
        let roots = self.roots.clone();
        for root in &roots {
            self.count(root, &mut seen);
        }
    }

    fn count(&mut self, node: &Node, seen: &mut [bool]) {
        self.uses[node.id] += 1;
        if std::mem::replace(&mut seen[node.id], true) {
            return;
        }
        match &node.op {
            Op::Select(s) | Op::Times { selector: s, .. } => self.selections[s.selection].uses += 1,
            Op::Raw(w) | Op::Range { window: w, .. } | Op::AbsentOverTime { window: w, .. } => {
                if let WindowSource::Selection(at) = w.source {
                    self.selections[at].uses += 1;
                }
            }
            _ => {}
        }
        for child in node.children() {
            self.count(child, seen);
        }
    }
}

impl Node {
    /// The nodes directly under this one.
    pub(crate) fn children(&self) -> Vec<&Arc<Self>> {
        match &self.op {
            Op::Number(_) | Op::Text(_) | Op::Select(_) | Op::Times { .. } => Vec::new(),
            Op::Repeat(n) | Op::Negate(n) | Op::Absent { vector: n, .. } => vec![n],
            Op::Raw(w) | Op::AbsentOverTime { window: w, .. } => w.subquery().into_iter().collect(),
            Op::Range { window, params, .. } => params.iter().chain(window.subquery()).collect(),
            Op::Info(call) => vec![&call.vector],
            Op::Function { args, .. } => args.iter().collect(),
            Op::Aggregate(a) => a.param.iter().chain([&a.vector]).collect(),
            Op::Binary(b) => vec![&b.lhs, &b.rhs],
        }
    }
}

impl Window {
    /// The vector under a subquery.
    pub(crate) fn subquery(&self) -> Option<&Arc<Node>> {
        match &self.source {
            WindowSource::Subquery(n) => Some(n),
            WindowSource::Selection(_) => None,
        }
    }
}
