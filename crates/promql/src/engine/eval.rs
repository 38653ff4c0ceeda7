//! The one dispatch from a plan's nodes to the code that evaluates them. Invariant: a node with several uses
//! is computed at its first and handed out at the others, with what was said of it.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

use crate::ast::{StringLiteral, ValueType};

use super::{
    EvalError, aggregate, binary,
    context::Context,
    function,
    limits::Size,
    notes::{Note, Notes, Site},
    plan::{Node, Op, Plan},
    points::Scalars,
    range,
    select::{self, Loaded},
    vector::{Meta, Output, Ready, Vector},
};

/// A plan with what it reads.
pub(crate) struct Evaluator<'e> {
    pub(crate) ctx: &'e Context<'e>,
    pub(crate) plan: &'e Plan,
    pub(crate) loaded: &'e [Loaded<'e>],
    /// What nodes with several uses have yielded, by their id.
    kept: Mutex<HashMap<usize, Kept>>,
}

struct Kept {
    value: KeptValue,
    notes: Vec<Note>,
    site: Site,
    uses_left: usize,
}

#[derive(Clone)]
enum KeptValue {
    Scalar(Scalars),
    Text(String),
    Vector(Vec<Meta>, Arc<Ready>),
}

impl<'e> Evaluator<'e> {
    pub(crate) fn new(ctx: &'e Context<'e>, plan: &'e Plan, loaded: &'e [Loaded<'e>]) -> Self {
        Self { ctx, plan, loaded, kept: Mutex::new(HashMap::new()) }
    }

    /// The value of a node.
    pub(crate) fn eval(&self, node: &'e Node, notes: &mut Notes) -> Result<Output<'e>, EvalError> {
        self.ctx.check()?;
        // What scalars hold is not followed, but there must be room for it while they are made.
        let is_made = node.value_type == ValueType::Scalar && !matches!(node.op, Op::Number(_));
        let _room = is_made.then(|| self.ctx.hold(Size::columns(1, node.grid.steps))).transpose()?;
        let uses = self.plan.uses[node.id];
        if uses < 2 || matches!(node.op, Op::Number(_) | Op::Text(_)) {
            return self.compute(node, notes);
        }
        if let Some(output) = self.reuse(node, notes) {
            return Ok(output);
        }
        let mut own = Notes::default();
        let value = match self.compute(node, &mut own)? {
            Output::Scalar(s) => KeptValue::Scalar(s),
            Output::Text(t) => KeptValue::Text(t),
            // What is too large to be kept is computed for each use, as Prometheus does it.
            Output::Vector(v) if !self.has_room(&v, node) => {
                notes.extend(own.into_list());
                return Ok(Output::Vector(v));
            }
            Output::Vector(v) => {
                let columns = v.columns(self.ctx, &mut own)?;
                KeptValue::Vector(v.series, columns)
            }
        };
        let said = own.into_list();
        notes.extend(said.iter().cloned());
        let kept = Kept { value: value.clone(), notes: said, site: node.site, uses_left: uses - 1 };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(node.id, kept);
        Ok(value.into_output())
    }

    /// Whether a vector's columns may be kept for other uses.
    fn has_room(&self, v: &Vector<'_>, node: &Node) -> bool {
        let size = Size::columns(v.series.len(), node.grid.steps);
        let samples = v.series.len().saturating_mul(node.grid.steps);
        self.ctx.budget.spare(Size { samples, ..size }).is_some()
    }

    fn reuse(&self, node: &Node, notes: &mut Notes) -> Option<Output<'e>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get_mut(&node.id)?;
        // Equal parts number their nodes alike, so a note's site shifts by the distance of the roots.
        let moved = |n: &Note| Note { site: n.site + node.site - found.site, ..n.clone() };
        notes.extend(found.notes.iter().map(moved));
        found.uses_left -= 1;
        let value = found.value.clone();
        if found.uses_left == 0 {
            kept.remove(&node.id);
        }
        Some(value.into_output())
    }

    fn compute(&self, node: &'e Node, notes: &mut Notes) -> Result<Output<'e>, EvalError> {
        Ok(match &node.op {
            Op::Number(v) => Output::Scalar(Scalars::Constant(*v)),
            Op::Text(t) => Output::Text(t.value.clone()),
            Op::Repeat(inner) => self.repeat(node, inner, notes)?,
            Op::Select(s) => Output::Vector(select::instant(self, s, node, notes)?),
            Op::Times { selector, start } => {
                Output::Vector(select::times(self, selector, node, *start, notes)?)
            }
            Op::Range { func, which, window, params } => {
                Output::Vector(range::call(self, node, (func, *which), window, params, notes)?)
            }
            Op::AbsentOverTime { func, window, labels } => {
                Output::Vector(range::absent_over_time(self, node, func, window, labels, notes)?)
            }
            Op::Absent { vector, labels } => {
                let vector = self.vector(vector, notes)?;
                Output::Vector(function::absent(self.ctx, node, &vector, labels, notes)?)
            }
            Op::Info(call) => Output::Vector(function::info(self, node, call, notes)?),
            Op::Function { func, args } => function::call(self, node, func, args, notes)?,
            Op::Aggregate(a) => Output::Vector(aggregate::aggregate(self, node, a, notes)?),
            Op::Negate(inner) => match self.eval(inner, notes)? {
                Output::Vector(v) => Output::Vector(binary::negate(self.ctx, v)),
                Output::Scalar(s) => {
                    Output::Scalar(s.map2(&Scalars::Constant(0.0), self.ctx, node.grid.steps, |v, _| -v)?)
                }
                Output::Text(t) => Output::Text(t),
            },
            Op::Binary(op) => binary::evaluate(self, node, op, notes)?,
            // A range vector has no value over steps; results take it apart by themselves.
            Op::Raw(w) => {
                return Err(self.ctx.fail(w.site, "a range vector must be an argument of a function here"));
            }
        })
    }

    fn repeat(&self, node: &Node, inner: &'e Node, notes: &mut Notes) -> Result<Output<'e>, EvalError> {
        let steps = node.grid.steps;
        Ok(match self.eval(inner, notes)? {
            Output::Scalar(s) => Output::Scalar(Scalars::Constant(s.at(0))),
            Output::Text(t) => Output::Text(t),
            Output::Vector(v) => {
                let series = v.series.clone();
                Output::Vector(Vector::lazy(series, v.depth(), move |i, worker| {
                    Ok(v.column(i, worker)?.repeated(steps))
                }))
            }
        })
    }

    /// The vector that a node yields.
    pub(crate) fn vector(&self, node: &'e Node, notes: &mut Notes) -> Result<Vector<'e>, EvalError> {
        match self.eval(node, notes)? {
            Output::Vector(v) => Ok(v),
            _ => Err(self.ctx.fail(node.site, "expected an instant vector")),
        }
    }

    /// The numbers that a node yields.
    pub(crate) fn scalars(&self, node: &'e Node, notes: &mut Notes) -> Result<Scalars, EvalError> {
        match self.eval(node, notes)? {
            Output::Scalar(s) => Ok(s),
            _ => Err(self.ctx.fail(node.site, "expected a scalar")),
        }
    }

    /// The text that a node yields.
    pub(crate) fn text(&self, node: &'e Node) -> Result<&'e str, EvalError> {
        self.literal(node).map(|t| t.value.as_str())
    }

    /// The string literal that a node is.
    pub(crate) fn literal(&self, node: &'e Node) -> Result<&'e StringLiteral, EvalError> {
        match &node.op {
            Op::Text(t) => Ok(t),
            _ => Err(self.ctx.fail(node.site, "expected a string literal")),
        }
    }
}

impl KeptValue {
    fn into_output<'e>(self) -> Output<'e> {
        match self {
            Self::Scalar(s) => Output::Scalar(s),
            Self::Text(t) => Output::Text(t),
            Self::Vector(series, columns) => Output::Vector(Vector::shared(series, columns)),
        }
    }
}
