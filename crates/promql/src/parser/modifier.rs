//! What may follow an operand: `[5m]`, `[1h:1m]`, `offset`, `@`, `anchored`, `smoothed`.
//!
//! Invariant: modifiers after a bracket are those of the bracketed selector or subquery, each given once.

use super::Parser;
use crate::{
    ast::{
        AtModifier, BinaryOp, DurationExpr, Expr, MatrixSelector, RangeMode, Span, SubqueryExpr,
        VectorSelector,
    },
    lexer::{Token, TokenKind},
};

/// Where a selector or subquery keeps its modifiers, and the end of its span.
struct Slots<'e> {
    offset: &'e mut Option<DurationExpr>,
    at: &'e mut Option<AtModifier>,
    end: &'e mut usize,
}

fn slots(expr: &mut Expr) -> Option<Slots<'_>> {
    Some(match expr {
        Expr::Vector(e) => Slots { offset: &mut e.offset, at: &mut e.at, end: &mut e.span.end },
        Expr::Matrix(e) => {
            Slots { offset: &mut e.selector.offset, at: &mut e.selector.at, end: &mut e.span.end }
        }
        Expr::Subquery(e) => Slots { offset: &mut e.offset, at: &mut e.at, end: &mut e.span.end },
        _ => return None,
    })
}

const PRECEDED_BY: &str =
    "modifier must be preceded by an instant vector selector or range vector selector or a subquery";

impl Parser<'_> {
    pub(super) fn modifiers(&mut self, mut expr: Expr) -> Expr {
        loop {
            match self.peek().kind {
                TokenKind::LeftBracket => expr = self.bracket(expr),
                TokenKind::Offset => self.offset(&mut expr),
                TokenKind::At => self.at_modifier(&mut expr),
                TokenKind::Anchored => self.range_mode(&mut expr, RangeMode::Anchored),
                TokenKind::Smoothed => self.range_mode(&mut expr, RangeMode::Smoothed),
                _ => return expr,
            }
        }
    }

    fn bracket(&mut self, expr: Expr) -> Expr {
        let below = self.depth;
        let open = self.advance();
        let span_start = expr.span().start;
        let Some(range) =
            self.positive_duration("subquery or range selector", "number, duration, step(), or range()")
        else {
            return self.abandon_bracket(expr);
        };
        if self.accept(TokenKind::RightBracket).is_some() {
            self.depth = below;
            let selector = self.ranged(expr, open);
            return Expr::Matrix(MatrixSelector { selector, range, span: span_start..self.last_end() });
        }
        if self.accept(TokenKind::Colon).is_none() {
            self.unexpected("subquery or range", "\":\" or \"]\"");
            return self.abandon_bracket(expr);
        }
        let mut step = None;
        if self.peek().kind != TokenKind::RightBracket {
            step = self.positive_duration("subquery selector", "number, duration, step(), range(), or \"]\"");
            if step.is_none() {
                return self.abandon_bracket(expr);
            }
        }
        if self.accept(TokenKind::RightBracket).is_none() {
            self.unexpected("subquery selector", "\"]\"");
            return self.abandon_bracket(expr);
        }
        self.deeper(below);
        let span = span_start..self.last_end();
        Expr::Subquery(SubqueryExpr { expr: Box::new(expr), range, step, offset: None, at: None, span })
    }

    fn abandon_bracket(&mut self, expr: Expr) -> Expr {
        self.skip_to(&[TokenKind::RightBracket]);
        self.accept(TokenKind::RightBracket);
        expr
    }

    /// The selector that a range was put on.
    fn ranged(&mut self, expr: Expr, open: Token) -> VectorSelector {
        let wrong = match &expr {
            Expr::Vector(v) if v.offset.is_some() => "no offset modifiers allowed before range",
            Expr::Vector(v) if v.at.is_some() => "no @ modifiers allowed before range",
            Expr::Vector(_) => "",
            _ => "ranges only allowed for vector selectors",
        };
        if !wrong.is_empty() {
            self.error(open.start..self.last_end(), wrong);
        }
        match expr {
            Expr::Vector(v) => v,
            _ => self.empty_selector(),
        }
    }

    fn offset(&mut self, expr: &mut Expr) {
        self.advance();
        let Some(duration) = self.offset_duration() else { return };
        let (end, span) = (self.last_end(), expr.span());
        match slots(expr) {
            None => self.error(span, format!("offset {PRECEDED_BY}")),
            Some(slots) => {
                *slots.end = end;
                // Prometheus takes an offset of zero for none at all; with several signs before it, it is printed as
                // zero, and so would come back as none.
                let zero = duration.is_plain_zero();
                if slots.offset.is_some() {
                    self.error(span, "offset may not be set multiple times");
                } else if !zero {
                    *slots.offset = Some(duration);
                }
            }
        }
    }

    fn at_modifier(&mut self, expr: &mut Expr) {
        self.advance();
        let span = expr.span();
        let Some(at) = self.timestamp(&span) else { return };
        let end = self.last_end();
        match slots(expr) {
            None => self.error(span, format!("@ {PRECEDED_BY}")),
            Some(slots) if slots.at.is_some() => {
                self.error(span, "@ <timestamp> may not be set multiple times");
            }
            Some(slots) => {
                *slots.at = Some(at);
                *slots.end = end;
            }
        }
    }

    fn timestamp(&mut self, of: &Span) -> Option<AtModifier> {
        use TokenKind as T;
        let at = match self.peek().kind {
            T::Start => Some(AtModifier::Start),
            T::End => Some(AtModifier::End),
            _ => None,
        };
        if let Some(at) = at {
            self.advance();
            if self.accept(T::LeftParen).is_some() && self.accept(T::RightParen).is_some() {
                return Some(at);
            }
            self.unexpected("@", "timestamp");
            return None;
        }
        let mut sign = 1.0;
        if let T::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) = self.peek().kind {
            self.advance();
            sign = if op == BinaryOp::Sub { -1.0 } else { 1.0 };
        }
        if !matches!(self.peek().kind, T::Number | T::Duration) {
            self.unexpected("@", "timestamp");
            return None;
        }
        let seconds = sign * self.number().value;
        let limit = i64::MAX as f64;
        if seconds.is_nan() || seconds.abs() >= limit {
            self.error(of.clone(), format!("timestamp out of bounds for @ modifier: {seconds:.6}"));
        }
        Some(AtModifier::Time((seconds * 1000.0).round() as i64))
    }

    fn range_mode(&mut self, expr: &mut Expr, mode: RangeMode) {
        let word = if mode == RangeMode::Anchored { "anchored" } else { "smoothed" };
        let end = self.advance().end;
        let span = expr.span();
        if !self.options.extended_range_selectors {
            self.error(span, format!("{word} modifier is experimental and not enabled"));
            return;
        }
        let slot = match expr {
            Expr::Vector(v) => {
                v.span.end = end;
                &mut v.mode
            }
            Expr::Matrix(m) => {
                m.span.end = end;
                &mut m.selector.mode
            }
            Expr::Subquery(_) => {
                self.error(span, format!("{word} modifier is not supported for subqueries"));
                return;
            }
            _ => {
                self.error(span, format!("{word} modifier not implemented"));
                return;
            }
        };
        if *slot != RangeMode::Plain && *slot != mode {
            self.error(span, "anchored and smoothed modifiers cannot be used together");
        } else {
            *slot = mode;
        }
    }
}
