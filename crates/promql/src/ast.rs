//! The syntax tree of a PromQL expression, under Prometheus' names (`promql/parser/ast.go`, v3.13).
//!
//! Invariant: every node knows the bytes of the expression's text that it was read from, and a tree that
//! the parser returned has passed the checker: types fit, modifiers stand where they may.

mod duration;
mod function;
mod operator;
mod visit;

use std::ops::Range;

use assay_model::Matcher;

pub(crate) use duration::MAX_SECONDS;
pub use duration::{DurationContext, DurationError, DurationExpr, DurationKind, DurationOp, MinMax};
pub use function::{
    AbsenceFunc, DateFunc, FloatFunc, Func, Function, HistogramFunc, InfoFunc, LabelFunc, LimitFunc,
    MetricName, QuantileFunc, QueryFunc, RangeFunc, RangeModes, ReadsTime, Samples, ScalarFunc, SortFunc,
    Stability, StartTimes, Statistics, TimeFunc, UnitOf, Values, Variadic,
};
pub use operator::{AggregateOp, ArithmeticOp, BinaryKind, BinaryOp, ComparisonOp, SetOp, TrimOp, UnaryOp};

/// Bytes of the expression's text, the end not in.
pub type Span = Range<usize>;

/// What an expression evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A float at each step, without labels.
    Scalar,
    /// One sample for each series at each step.
    Vector,
    /// Several samples for each series at each step.
    Matrix,
    /// A string.
    String,
}

impl ValueType {
    /// The name in messages, as Prometheus' documentation has it: `instant vector`, `range vector`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        }
    }
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// `sum by (job) (…)`.
    Aggregate(AggregateExpr),
    /// `a + b`.
    Binary(BinaryExpr),
    /// `rate(…)`.
    Call(Call),
    /// `up[5m]`.
    Matrix(MatrixSelector),
    /// `0.5`, `5m`.
    Number(NumberLiteral),
    /// `(…)`.
    Paren(ParenExpr),
    /// `"text"`.
    String(StringLiteral),
    /// `rate(up[5m])[1h:1m]`.
    Subquery(SubqueryExpr),
    /// `-x`.
    Unary(UnaryExpr),
    /// `up{job="a"}`.
    Vector(VectorSelector),
}

impl Expr {
    /// The bytes that the expression was read from.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Aggregate(e) => e.span.clone(),
            Self::Binary(e) => e.span.clone(),
            Self::Call(e) => e.span.clone(),
            Self::Matrix(e) => e.span.clone(),
            Self::Number(e) => e.span.clone(),
            Self::Paren(e) => e.span.clone(),
            Self::String(e) => e.span.clone(),
            Self::Subquery(e) => e.span.clone(),
            Self::Unary(e) => e.span.clone(),
            Self::Vector(e) => e.span.clone(),
        }
    }

    /// What the expression evaluates to.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Aggregate(_) | Self::Vector(_) => ValueType::Vector,
            Self::Matrix(_) | Self::Subquery(_) => ValueType::Matrix,
            Self::Number(_) => ValueType::Scalar,
            Self::String(_) => ValueType::String,
            Self::Call(e) => e.func.returns,
            Self::Paren(e) => e.expr.value_type(),
            Self::Unary(e) => e.expr.value_type(),
            Self::Binary(e) => {
                let scalars =
                    e.lhs.value_type() == ValueType::Scalar && e.rhs.value_type() == ValueType::Scalar;
                if scalars { ValueType::Scalar } else { ValueType::Vector }
            }
        }
    }

    /// The expression inside any number of parentheses.
    #[must_use]
    pub fn unparen(&self) -> &Self {
        let mut expr = self;
        while let Self::Paren(p) = expr {
            expr = &p.expr;
        }
        expr
    }
}

/// An aggregation. Without `by` or `without` all series form one group.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateExpr {
    /// The operator.
    pub op: AggregateOp,
    /// The vector that is aggregated.
    pub expr: Box<Expr>,
    /// `k`, the quantile, the ratio or the label name of the operators that take one.
    pub param: Option<Box<Expr>>,
    /// The labels of `by` or `without`, as written.
    pub grouping: Vec<String>,
    /// Whether `grouping` names the labels to drop.
    pub without: bool,
    /// Where it stands.
    pub span: Span,
}

/// An operator between two expressions.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryExpr {
    /// The operator.
    pub op: BinaryOp,
    /// The left side.
    pub lhs: Box<Expr>,
    /// The right side.
    pub rhs: Box<Expr>,
    /// How series find each other; present where both sides are vectors, and only there.
    pub matching: Option<VectorMatching>,
    /// Whether a comparison yields 0 or 1 (`bool`) and does not filter.
    pub return_bool: bool,
    /// Where it stands.
    pub span: Span,
    /// Where the operator itself stands.
    pub op_span: Span,
}

/// How many series of either side may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum VectorMatchCardinality {
    /// One to one.
    #[default]
    OneToOne,
    /// `group_left`.
    ManyToOne,
    /// `group_right`.
    OneToMany,
    /// `and`, `or`, `unless`.
    ManyToMany,
}

/// How the series of two vectors find each other.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct VectorMatching {
    /// How many series of either side may match.
    pub card: VectorMatchCardinality,
    /// Whether `matching_labels` are those that must agree, and not those that may differ.
    pub on: bool,
    /// The labels of `on` or `ignoring`, as written.
    pub matching_labels: Vec<String>,
    /// The labels of `group_left` or `group_right`, copied from the "one" side.
    pub include: Vec<String>,
    /// The value for series of the right side that find none on the left (`fill_left`).
    pub fill_lhs: Option<f64>,
    /// The value for series of the left side that find none on the right (`fill_right`).
    pub fill_rhs: Option<f64>,
}

/// A function call. The number and types of `args` fit the signature.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function.
    pub func: &'static Function,
    /// The arguments.
    pub args: Vec<Expr>,
    /// Where it stands.
    pub span: Span,
}

/// `@`: the time at which a selector or subquery is evaluated, whatever the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtModifier {
    /// `@ 1609746000`: milliseconds since the Unix epoch.
    Time(i64),
    /// `@ start()`: the query's start.
    Start,
    /// `@ end()`: the query's end.
    End,
}

/// How a range vector treats its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum RangeMode {
    /// Just the samples inside.
    #[default]
    Plain,
    /// `anchored`: with the last sample before the range, at the range's start.
    Anchored,
    /// `smoothed`: interpolated at both ends.
    Smoothed,
}

/// An instant vector selector, or the selector inside a [`MatrixSelector`].
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The metric's name as written before the braces, or empty; one in quotes inside them is just a matcher.
    pub name: String,
    /// All conditions, one on `__name__` among them where `name` is given.
    pub matchers: Vec<Matcher>,
    /// `offset`: how far back to look; negative looks ahead.
    pub offset: Option<DurationExpr>,
    /// `@`.
    pub at: Option<AtModifier>,
    /// `anchored`, `smoothed`.
    pub mode: RangeMode,
    /// Where it stands, modifiers included.
    pub span: Span,
}

/// A range vector selector. `offset`, `@` and `anchored` written after the brackets are the inner selector's.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    /// What is selected.
    pub selector: VectorSelector,
    /// The length of the range, which is `(t - range, t]`.
    pub range: DurationExpr,
    /// Where it stands, modifiers included.
    pub span: Span,
}

/// A subquery: an expression evaluated at the multiples of `step` in `(t - range, t]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SubqueryExpr {
    /// What is evaluated.
    pub expr: Box<Expr>,
    /// The length of the range.
    pub range: DurationExpr,
    /// The step, or `None` for the engine's default.
    pub step: Option<DurationExpr>,
    /// `offset`.
    pub offset: Option<DurationExpr>,
    /// `@`.
    pub at: Option<AtModifier>,
    /// Where it stands, modifiers included.
    pub span: Span,
}

/// A number, its sign included.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberLiteral {
    /// The value; seconds where it was written as a duration.
    pub value: f64,
    /// Whether it was written as a duration (`5m`), and is printed so.
    pub duration: bool,
    /// Where it stands.
    pub span: Span,
}

/// An expression in parentheses.
#[derive(Clone, Debug, PartialEq)]
pub struct ParenExpr {
    /// What is inside.
    pub expr: Box<Expr>,
    /// Where it stands, parentheses included.
    pub span: Span,
}

/// A string, unquoted. It prints in quotes.
#[derive(Clone, Debug, PartialEq)]
pub struct StringLiteral {
    /// The value; what is no UTF-8 in it is U+FFFD here.
    pub value: String,
    /// The value's bytes where escapes made them something else than UTF-8; no label may have such a name.
    pub not_utf8: Option<Vec<u8>>,
    /// Where it stands, quotes included.
    pub span: Span,
}

/// A sign before anything that is not a number literal.
#[derive(Clone, Debug, PartialEq)]
pub struct UnaryExpr {
    /// The sign.
    pub op: UnaryOp,
    /// What it is applied to.
    pub expr: Box<Expr>,
    /// Where it stands.
    pub span: Span,
}
