//! The rules that a tree must obey beyond its grammar, those of `checkAST` in Prometheus' `parse.go` (v3.13).
//!
//! Invariant: afterwards a binary expression has a matching just where both sides are vectors, and the set
//! operators' is many-to-many.

use assay_model::METRIC_NAME;

use crate::ast::{
    AggregateExpr, BinaryExpr, Call, Expr, Func, Span, ValueType, VectorMatchCardinality, VectorSelector,
};

/// What is wrong with a selector that leaves nothing out.
pub(crate) const SELECTS_ALL: &str = "vector selector must contain at least one non-empty matcher";

/// Checks a tree and completes its matchings. Returns what is wrong.
pub(crate) fn check(expr: &mut Expr) -> Vec<(Span, String)> {
    let mut checker = Checker { errors: Vec::new() };
    checker.expr(expr);
    checker.errors
}

struct Checker {
    errors: Vec<(Span, String)>,
}

impl Checker {
    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.errors.push((span, message.into()));
    }

    fn expr(&mut self, expr: &mut Expr) -> ValueType {
        let value_type = expr.value_type();
        match expr {
            Expr::Aggregate(e) => self.aggregate(e),
            Expr::Binary(e) => self.binary(e),
            Expr::Call(e) => self.call(e),
            Expr::Paren(e) => {
                self.expr(&mut e.expr);
            }
            Expr::Unary(e) => {
                let inner = self.expr(&mut e.expr);
                if !matches!(inner, ValueType::Scalar | ValueType::Vector) {
                    let message =
                        "unary expression only allowed on expressions of type scalar or instant vector, got";
                    self.error(e.span.clone(), format!("{message} \"{}\"", inner.as_str()));
                }
            }
            Expr::Subquery(e) => {
                let inner = self.expr(&mut e.expr);
                if inner != ValueType::Vector {
                    let message = "subquery is only allowed on instant vector, got";
                    self.error(e.span.clone(), format!("{message} {} instead", bare_name(inner)));
                }
            }
            Expr::Matrix(e) => self.selector(&e.selector),
            Expr::Vector(e) => self.selector(e),
            Expr::Number(_) | Expr::String(_) => {}
        }
        value_type
    }

    fn expect(&mut self, expr: &mut Expr, want: ValueType, context: &str) {
        let got = self.expr(expr);
        if got != want {
            let message = format!("expected type {} in {context}, got {}", want.as_str(), got.as_str());
            self.error(expr.span(), message);
        }
    }

    fn aggregate(&mut self, e: &mut AggregateExpr) {
        self.expect(&mut e.expr, ValueType::Vector, "aggregation expression");
        if let (Some(param), Some(want)) = (&mut e.param, e.op.parameter()) {
            self.expect(param, want, "aggregation parameter");
        }
    }

    fn binary(&mut self, e: &mut BinaryExpr) {
        let (left, right) = (self.expr(&mut e.lhs), self.expr(&mut e.rhs));
        if e.return_bool && !e.op.is_comparison() {
            self.error(e.op_span.clone(), "bool modifier can only be used on comparison operators");
        }
        let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
        if e.op.is_comparison() && !e.return_bool && scalars {
            self.error(e.op_span.clone(), "comparisons between scalars must use BOOL modifier");
        }
        self.matching(e);
        for (side, value_type) in [(&e.lhs, left), (&e.rhs, right)] {
            if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
                self.error(
                    side.span(),
                    "binary expression must contain only scalar and instant vector types",
                );
            }
        }
        self.vectors_only(e, left == ValueType::Vector && right == ValueType::Vector);
        if e.op.is_set() && (left == ValueType::Scalar || right == ValueType::Scalar) {
            self.error(
                e.span.clone(),
                format!("set operator \"{}\" not allowed in binary scalar expression", e.op),
            );
        }
    }

    fn matching(&mut self, e: &mut BinaryExpr) {
        let Some(matching) = &mut e.matching else { return };
        if e.op.is_set() && matching.card == VectorMatchCardinality::OneToOne {
            matching.card = VectorMatchCardinality::ManyToMany;
        }
        if !matching.on {
            return;
        }
        for label in &matching.matching_labels {
            for _ in matching.include.iter().filter(|l| *l == label) {
                let message = format!("label {label:?} must not occur in ON and GROUP clause at once");
                self.errors.push((e.op_span.clone(), message));
            }
        }
    }

    /// What only two vectors may have, and what set operators may not.
    fn vectors_only(&mut self, e: &mut BinaryExpr, vectors: bool) {
        let Some(matching) = &e.matching else { return };
        let filled = matching.fill_lhs.is_some() || matching.fill_rhs.is_some();
        let mut found = Vec::new();
        if !vectors {
            if !matching.matching_labels.is_empty() {
                found.push("vector matching only allowed between instant vectors".to_owned());
            }
            if filled {
                found.push("filling in missing series only allowed between instant vectors".to_owned());
            }
            e.matching = None;
        } else if e.op.is_set() {
            if matching.card != VectorMatchCardinality::ManyToMany {
                found.push(format!("no grouping allowed for \"{}\" operation", e.op));
                found.push("set operations must always be many-to-many".to_owned());
            }
            if filled {
                found.push("filling in missing series not allowed for set operators".to_owned());
            }
        }
        for message in found {
            self.error(e.span.clone(), message);
        }
    }

    fn call(&mut self, e: &mut Call) {
        let (name, got) = (e.func.name, e.args.len());
        let (least, most) = e.func.arity();
        if least == most.unwrap_or(usize::MAX) && got != least {
            self.error(
                e.span.clone(),
                format!("expected {least} argument(s) in call to \"{name}\", got {got}"),
            );
        } else if got < least {
            self.error(
                e.span.clone(),
                format!("expected at least {least} argument(s) in call to \"{name}\", got {got}"),
            );
        } else if let Some(most) = most.filter(|most| got > *most) {
            self.error(
                e.span.clone(),
                format!("expected at most {most} argument(s) in call to \"{name}\", got {got}"),
            );
        }
        let mut labels_only = false;
        if matches!(e.func.id, Func::Info(_)) && e.args.len() > 1 {
            labels_only = self.info_labels(&e.args[1], &e.span);
        }
        for (i, arg) in e.args.iter_mut().enumerate() {
            let want = match e.func.args.get(i) {
                Some(want) => *want,
                None if e.func.variadic == crate::ast::Variadic::No => return,
                None => e.func.args[e.func.args.len() - 1],
            };
            if labels_only && i == 1 {
                continue;
            }
            let got = self.expr(arg);
            if got != want {
                let message = format!(
                    "expected type {} in call to function \"{name}\", got {}",
                    want.as_str(),
                    got.as_str()
                );
                self.error(arg.span(), message);
            }
        }
    }

    /// The second argument of `info` is a bare list of matchers, all of which may match the empty value.
    fn info_labels(&mut self, arg: &Expr, call: &Span) -> bool {
        if arg.value_type() != ValueType::Vector {
            let message = "expected type instant vector in call to function \"info\", got";
            self.error(call.clone(), format!("{message} {}", arg.value_type().as_str()));
        }
        match arg {
            Expr::Vector(v) if v.name.is_empty() => return true,
            Expr::Vector(v) => {
                self.error(v.span.clone(), "expected label selectors only, got vector selector instead");
            }
            _ => self.error(arg.span(), "expected label selectors only"),
        }
        false
    }

    fn selector(&mut self, e: &VectorSelector) {
        if e.name.is_empty() {
            if e.matchers.iter().all(|m| m.matches("")) {
                self.error(e.span.clone(), SELECTS_ALL);
            }
            return;
        }
        let others = &e.matchers[..e.matchers.len().saturating_sub(1)];
        for m in others.iter().filter(|m| m.name == METRIC_NAME) {
            let message = format!("metric name must not be set twice: {:?} or {:?}", e.name, m.value);
            self.error(e.span.clone(), message);
        }
    }
}

/// The name of a type as Prometheus' code has it.
fn bare_name(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
        ValueType::Scalar | ValueType::String => value_type.as_str(),
    }
}
