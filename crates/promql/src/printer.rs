//! Trees to text, in the canonical form of Prometheus' `String()` (`promql/parser/printer.go`, v3.13).
//!
//! Invariant: what is printed parses to the same tree, spans aside; matchers come sorted, by their text.

use std::fmt::{self, Display, Formatter, Write};

use assay_model::{
    METRIC_NAME, MatchOp,
    duration::format_ms,
    labels::{is_classic_label_name, write_quoted},
};

use crate::ast::{
    AggregateExpr, AtModifier, BinaryExpr, BinaryOp, Call, DurationContext, DurationExpr, DurationKind, Expr,
    MatrixSelector, NumberLiteral, RangeMode, StringLiteral, SubqueryExpr, UnaryExpr, UnaryOp,
    VectorMatchCardinality, VectorMatching, VectorSelector,
};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aggregate(e) => e.fmt(f),
            Self::Binary(e) => e.fmt(f),
            Self::Call(e) => e.fmt(f),
            Self::Matrix(e) => e.fmt(f),
            Self::Number(e) => e.fmt(f),
            Self::Paren(e) => write!(f, "({})", e.expr),
            Self::String(e) => e.fmt(f),
            Self::Subquery(e) => e.fmt(f),
            Self::Unary(e) => e.fmt(f),
            Self::Vector(e) => e.fmt(f),
        }
    }
}

impl AggregateExpr {
    /// The operator with `by` or `without`, as in `sum by (job) `.
    pub(crate) fn head(&self) -> String {
        let mut out = self.op.to_string();
        if self.without || !self.grouping.is_empty() {
            let word = if self.without { "without" } else { "by" };
            out += &format!(" {word} ({}) ", LabelList(&self.grouping));
        }
        out
    }
}

impl Display for AggregateExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.head())?;
        if let Some(param) = &self.param {
            write!(f, "{param}, ")?;
        }
        write!(f, "{})", self.expr)
    }
}

impl BinaryExpr {
    /// The operator with its modifiers.
    pub(crate) fn head(&self) -> String {
        let mut out = self.op.to_string();
        if self.return_bool {
            out += " bool";
        }
        if let Some(matching) = &self.matching {
            // Writing to a string does not fail.
            let _ = write!(out, "{matching}");
        }
        out
    }

    /// How the base of a power is written where it is infinite: the sign of the canonical `+Inf` would take in the
    /// power.
    pub(crate) fn bare_base(&self) -> Option<&'static str> {
        match (&*self.lhs, self.op) {
            (Expr::Number(n), BinaryOp::Pow) if n.value == f64::INFINITY => Some("Inf"),
            _ => None,
        }
    }
}

impl Display for BinaryExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.bare_base() {
            Some(base) => f.write_str(base)?,
            None => self.lhs.fmt(f)?,
        }
        write!(f, " {} {}", self.head(), self.rhs)
    }
}

/// With a blank before each part.
impl Display for VectorMatching {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let group = match self.card {
            VectorMatchCardinality::ManyToOne => Some("group_left"),
            VectorMatchCardinality::OneToMany => Some("group_right"),
            VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => None,
        };
        if self.on || group.is_some() || !self.matching_labels.is_empty() {
            let word = if self.on { "on" } else { "ignoring" };
            write!(f, " {word} ({})", LabelList(&self.matching_labels))?;
        }
        if let Some(group) = group {
            write!(f, " {group} ({})", LabelList(&self.include))?;
        }
        match (self.fill_lhs, self.fill_rhs) {
            (Some(l), Some(r)) if l == r || (l.is_nan() && r.is_nan()) => write!(f, " fill ({})", Short(l)),
            (l, r) => {
                if let Some(l) = l {
                    write!(f, " fill_left ({})", Short(l))?;
                }
                r.map_or(Ok(()), |r| write!(f, " fill_right ({})", Short(r)))
            }
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.func.name)?;
        for (i, arg) in self.args.iter().enumerate() {
            write!(f, "{}{arg}", if i > 0 { ", " } else { "" })?;
        }
        f.write_str(")")
    }
}

impl Display for UnaryExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.op, self.expr)
    }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.duration {
            f.write_str(&format_ms((self.value * 1000.0).round() as i64))
        } else {
            write!(f, "{}", Plain(self.value))
        }
    }
}

impl Display for StringLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(bytes) = &self.not_utf8 else { return write_quoted(f, &self.value) };
        f.write_str("\"")?;
        for chunk in bytes.utf8_chunks() {
            let mut quoted = String::new();
            write_quoted(&mut quoted, chunk.valid())?;
            f.write_str(&quoted[1..quoted.len() - 1])?;
            for b in chunk.invalid() {
                write!(f, "\\x{b:02x}")?;
            }
        }
        f.write_str("\"")
    }
}

impl VectorSelector {
    /// The name and matchers, without modifiers.
    fn selection(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_name = |m: &assay_model::Matcher| {
            m.name == METRIC_NAME && m.op == MatchOp::Equal && m.value == self.name
        };
        let mut rest: Vec<String> = self
            .matchers
            .iter()
            .filter(|m| m.value.is_empty() || !is_name(m))
            .map(ToString::to_string)
            .collect();
        rest.sort();
        f.write_str(&self.name)?;
        if !rest.is_empty() {
            write!(f, "{{{}}}", rest.join(","))?;
        } else if self.name.is_empty() {
            f.write_str("{}")?;
        }
        Ok(())
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.selection(f)?;
        write_at(f, self.at)?;
        f.write_str(mode_word(self.mode))?;
        write_offset(f, self.offset.as_ref())
    }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.selector.selection(f)?;
        write!(f, "[{}]{}", Sole(&self.range), mode_word(self.selector.mode))?;
        write_at(f, self.selector.at)?;
        write_offset(f, self.selector.offset.as_ref())
    }
}

impl SubqueryExpr {
    /// The bracket and the modifiers.
    pub(crate) fn tail(&self) -> String {
        Tail(self).to_string()
    }
}

struct Tail<'e>(&'e SubqueryExpr);

impl Display for Tail<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "[{}:", Sole(&self.0.range))?;
        if let Some(step) = &self.0.step {
            write!(f, "{}", Sole(step))?;
        }
        f.write_str("]")?;
        write_at(f, self.0.at)?;
        write_offset(f, self.0.offset.as_ref())
    }
}

impl Display for SubqueryExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.expr, Tail(self))
    }
}

fn mode_word(mode: RangeMode) -> &'static str {
    match mode {
        RangeMode::Plain => "",
        RangeMode::Anchored => " anchored",
        RangeMode::Smoothed => " smoothed",
    }
}

fn write_at(f: &mut Formatter<'_>, at: Option<AtModifier>) -> fmt::Result {
    match at {
        None => Ok(()),
        Some(AtModifier::Start) => f.write_str(" @ start()"),
        Some(AtModifier::End) => f.write_str(" @ end()"),
        Some(AtModifier::Time(t_ms)) => {
            let sign = if t_ms < 0 { "-" } else { "" };
            let ms = t_ms.unsigned_abs();
            write!(f, " @ {sign}{}.{:03}", ms / 1000, ms % 1000)
        }
    }
}

fn write_offset(f: &mut Formatter<'_>, offset: Option<&DurationExpr>) -> fmt::Result {
    offset.map_or(Ok(()), |d| write!(f, " offset {}", Sole(d)))
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DurationKind::Literal(n) => n.fmt(f),
            DurationKind::Unary(UnaryOp::Plus, e) => e.fmt(f),
            DurationKind::Unary(UnaryOp::Minus, e) => write!(f, "-{e}"),
            DurationKind::Binary(op, a, b) => write!(f, "{a} {} {b}", op.as_str()),
            DurationKind::MinMax(which, a, b) => write!(f, "{}({a}, {b})", which.as_str()),
            DurationKind::Step => f.write_str("step()"),
            DurationKind::Range => f.write_str("range()"),
            DurationKind::Paren(e) => write!(f, "({e})"),
        }
    }
}

/// A duration that stands alone: a literal is printed as a duration, however it was written.
struct Sole<'e>(&'e DurationExpr);

impl Display for Sole<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.0.as_literal(), self.0.resolve_ms(DurationContext::default(), false)) {
            (Some(_), Ok(ms)) if ms != 0 => f.write_str(&format_ms(ms)),
            _ => self.0.fmt(f),
        }
    }
}

/// Labels with commas, in quotes where they must be.
struct LabelList<'e>(&'e [String]);

impl Display for LabelList<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, label) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { ", " } else { "" })?;
            if is_classic_label_name(label) {
                f.write_str(label)?;
            } else {
                write_quoted(f, label)?;
            }
        }
        Ok(())
    }
}

/// A number without exponent, as Go's `FormatFloat(v, 'f', -1, 64)`.
struct Plain(f64);

impl Display for Plain {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_infinite() {
            return f.write_str(if self.0 > 0.0 { "+Inf" } else { "-Inf" });
        }
        write!(f, "{}", self.0)
    }
}

/// A number as Go's `%v`: with an exponent from 1e21 on and below 1e-4.
struct Short(f64);

impl Display for Short {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.abs();
        if !magnitude.is_finite() || magnitude == 0.0 || (1e-4..1e21).contains(&magnitude) {
            return Plain(self.0).fmt(f);
        }
        let text = format!("{:e}", self.0);
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
        write!(f, "{digits}e{sign}{exponent:0>2}")
    }
}
