//! Durations in brackets and after `offset`: literals, and arithmetic over them (`[2 * step() + 1m]`).
//!
//! Invariant: values are seconds until [`DurationExpr::resolve_ms`] makes them milliseconds, cut towards
//! zero, exactly as Prometheus does (`promql/durations.go` and `generated_parser.y`, v3.13).

use super::{NumberLiteral, Span, UnaryOp};

/// A duration.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationExpr {
    /// What it is.
    pub kind: DurationKind,
    /// Where it stands.
    pub span: Span,
}

/// The forms of a duration.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationKind {
    /// `5m`, `300`, `-5m`.
    Literal(NumberLiteral),
    /// A sign before anything that is not a literal.
    Unary(UnaryOp, Box<DurationExpr>),
    /// `1h / 2`.
    Binary(DurationOp, Box<DurationExpr>, Box<DurationExpr>),
    /// `min_of(…, …)`, `max_of(…, …)`.
    MinMax(MinMax, Box<DurationExpr>, Box<DurationExpr>),
    /// `step()`: the query's step.
    Step,
    /// `range()`: the query's end less its start.
    Range,
    /// `(…)`.
    Paren(Box<DurationExpr>),
}

/// An arithmetic operator between durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DurationOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
}

/// The smaller or the larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MinMax {
    /// `min_of`
    Min,
    /// `max_of`
    Max,
}

/// What `step()` and `range()` mean in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DurationContext {
    /// The query's step; 0 for an instant query.
    pub step_ms: i64,
    /// The query's end less its start.
    pub range_ms: i64,
}

/// Why a duration has no value. The span is that of the part at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DurationError {
    /// What is wrong.
    pub message: &'static str,
    /// Where.
    pub span: Span,
}

/// The largest magnitude, in seconds, that Prometheus' nanoseconds hold.
pub(crate) const MAX_SECONDS: f64 = (1u64 << 63) as f64 / 1e9;

impl DurationOp {
    /// The operator as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
        }
    }
}

impl MinMax {
    /// The name as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Min => "min_of",
            Self::Max => "max_of",
        }
    }
}

impl DurationExpr {
    /// A literal duration.
    #[must_use]
    pub fn literal(number: NumberLiteral) -> Self {
        Self { span: number.span.clone(), kind: DurationKind::Literal(number) }
    }

    /// The literal, where it is nothing else.
    #[must_use]
    pub fn as_literal(&self) -> Option<&NumberLiteral> {
        match &self.kind {
            DurationKind::Literal(n) => Some(n),
            _ => None,
        }
    }

    /// Whether it is a zero, with whatever signs before it.
    pub(crate) fn is_plain_zero(&self) -> bool {
        match &self.kind {
            DurationKind::Literal(n) => n.value == 0.0,
            DurationKind::Unary(_, e) => e.is_plain_zero(),
            _ => false,
        }
    }

    /// The value in milliseconds. Ranges and steps must come out above zero (`positive`); offsets need not.
    ///
    /// # Errors
    /// Where a part divides by zero, or the result is not finite, out of range, or not positive.
    pub fn resolve_ms(&self, context: DurationContext, positive: bool) -> Result<i64, DurationError> {
        let fail = |message| Err(DurationError { message, span: self.span.clone() });
        let seconds = self.seconds(context)?;
        if !seconds.is_finite() {
            return fail("duration is NaN or infinite");
        }
        if seconds <= 0.0 && positive {
            return fail("duration must be greater than 0");
        }
        if seconds.abs() > MAX_SECONDS {
            return fail("duration is out of range");
        }
        if self.as_literal().is_some() {
            // A literal is rounded to nanoseconds first, so that 0.1 s is 100 ms and not 99.
            return Ok((seconds * 1e9).round() as i64 / 1_000_000);
        }
        Ok((seconds * 1000.0) as i64)
    }

    fn seconds(&self, context: DurationContext) -> Result<f64, DurationError> {
        Ok(match &self.kind {
            DurationKind::Literal(n) => n.value,
            DurationKind::Unary(UnaryOp::Plus, e) | DurationKind::Paren(e) => e.seconds(context)?,
            DurationKind::Unary(UnaryOp::Minus, e) => -e.seconds(context)?,
            DurationKind::Step => context.step_ms as f64 / 1000.0,
            DurationKind::Range => context.range_ms as f64 / 1000.0,
            DurationKind::MinMax(which, a, b) => {
                let (a, b) = (a.seconds(context)?, b.seconds(context)?);
                match which {
                    _ if a.is_nan() || b.is_nan() => f64::NAN,
                    MinMax::Min => a.min(b),
                    MinMax::Max => a.max(b),
                }
            }
            DurationKind::Binary(op, a, b) => {
                let (a, b) = (a.seconds(context)?, b.seconds(context)?);
                let fail = |message| Err(DurationError { message, span: self.span.clone() });
                match op {
                    DurationOp::Add => a + b,
                    DurationOp::Sub => a - b,
                    DurationOp::Mul => a * b,
                    DurationOp::Div if b == 0.0 => return fail("division by zero"),
                    DurationOp::Div => a / b,
                    DurationOp::Mod if b == 0.0 => return fail("modulo by zero"),
                    DurationOp::Mod => a % b,
                    DurationOp::Pow => a.powf(b),
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64) -> DurationExpr {
        DurationExpr::literal(NumberLiteral { value, duration: false, span: 0..1 })
    }

    fn binary(op: DurationOp, a: f64, b: f64) -> DurationExpr {
        DurationExpr { kind: DurationKind::Binary(op, Box::new(number(a)), Box::new(number(b))), span: 0..3 }
    }

    #[test]
    fn values_and_limits() {
        let context = DurationContext { step_ms: 15_000, range_ms: 60_000 };
        let check = |e: &DurationExpr, positive, want: Result<i64, &str>| {
            assert_eq!(e.resolve_ms(context, positive).map_err(|e| e.message), want);
        };
        check(&number(0.1), true, Ok(100));
        check(&number(0.0015), true, Ok(1));
        check(&number(0.0), true, Err("duration must be greater than 0"));
        check(&number(-5.0), false, Ok(-5000));
        check(&number(f64::NAN), false, Err("duration is NaN or infinite"));
        check(&number(1e18), false, Err("duration is out of range"));
        check(&binary(DurationOp::Div, 1.0, 0.0), false, Err("division by zero"));
        check(&binary(DurationOp::Mod, 90.0, 60.0), true, Ok(30_000));
        check(&binary(DurationOp::Pow, 2.0, 3.0), true, Ok(8_000));
        let step = DurationExpr { kind: DurationKind::Step, span: 0..6 };
        check(&step, true, Ok(15_000));
        let least = DurationKind::MinMax(MinMax::Min, Box::new(step), Box::new(number(1.0)));
        check(&DurationExpr { kind: least, span: 0..9 }, true, Ok(1_000));
    }
}
