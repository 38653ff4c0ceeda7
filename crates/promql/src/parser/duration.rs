//! Durations in brackets and after `offset`.
//!
//! Invariant: an offset takes as little as it can, so that `a offset 2 ^ 2` is `(a offset 2) ^ 2`; a leading
//! parenthesis opens an arithmetic expression that continues after its end, as in Prometheus' grammar.

use super::{MAX_NESTING, Parser};
use crate::{
    ast::{BinaryOp, DurationExpr, DurationKind, DurationOp, MinMax, NumberLiteral, UnaryOp},
    lexer::{Token, TokenKind},
};

impl Parser<'_> {
    /// A range or step; one that is not above zero by its looks is an error.
    pub(super) fn positive_duration(&mut self, context: &str, expected: &str) -> Option<DurationExpr> {
        let duration = self.duration(1);
        if duration.is_none() {
            self.unexpected(context, expected);
        }
        // The next token may be the end of what can be read, which comes first.
        self.peek();
        let duration = duration?;
        if let Some(n) = duration.bare_literal()
            && n.value <= 0.0
        {
            self.error(n.span.clone(), "duration must be greater than 0");
        }
        Some(duration)
    }

    pub(super) fn offset_duration(&mut self) -> Option<DurationExpr> {
        let found = self.offset_operand();
        if found.is_none() {
            self.unexpected("offset", "number, duration, step(), or range()");
        }
        found
    }

    fn offset_operand(&mut self) -> Option<DurationExpr> {
        let second = self.second();
        match (self.sign(), second) {
            (Some(op), TokenKind::LeftParen) => {
                let start = self.advance().start;
                let inner = self.duration_parens()?;
                Some(signed(op, start, inner))
            }
            (Some(op), kind) if !is_sign(kind) => {
                let start = self.advance().start;
                let inner = self.duration_operand()?;
                Some(self.in_range(signed(op, start, inner)))
            }
            (None, _) if self.peek().kind != TokenKind::LeftParen => self.duration_operand(),
            _ => self.duration(1),
        }
    }

    /// Durations joined by operators that bind at least as tightly as `least`. `None`: the next token is wrong.
    fn duration(&mut self, least: u8) -> Option<DurationExpr> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            self.too_deep(format!("duration is nested more than {MAX_NESTING} levels deep"));
        }
        let found = self.duration_operators(least);
        self.nesting -= 1;
        found
    }

    fn duration_operators(&mut self, least: u8) -> Option<DurationExpr> {
        let mut lhs = self.duration_operand()?;
        loop {
            let TokenKind::Operator(op) = self.peek().kind else { return Some(lhs) };
            let Some(kind) = duration_op(op).filter(|_| op.precedence() >= least) else { return Some(lhs) };
            let left_depth = self.depth;
            let token = self.advance();
            let rhs = self.duration(op.precedence() + u8::from(!op.is_right_associative()))?;
            self.deeper(left_depth.max(self.depth));
            self.experimental(&lhs);
            if rhs.bare_literal().is_some_and(|n| n.value == 0.0) {
                match kind {
                    DurationOp::Div => self.error(token.span(), "division by zero"),
                    DurationOp::Mod => self.error(token.span(), "modulo by zero"),
                    _ => {}
                }
            }
            let span = lhs.span.start..rhs.span.end;
            lhs = DurationExpr { kind: DurationKind::Binary(kind, Box::new(lhs), Box::new(rhs)), span };
        }
    }

    fn duration_operand(&mut self) -> Option<DurationExpr> {
        use TokenKind as T;
        if let Some(op) = self.sign() {
            let start = self.advance().start;
            let inner = self.duration(BinaryOp::Pow.precedence())?;
            self.deeper(self.depth);
            return Some(self.in_range(signed(op, start, inner)));
        }
        self.depth = 1;
        let token = self.peek();
        match token.kind {
            T::Number | T::Duration => {
                let number = self.number();
                Some(self.in_range(DurationExpr::literal(number)))
            }
            T::Step | T::Range => {
                let kind = if token.kind == T::Step { DurationKind::Step } else { DurationKind::Range };
                self.advance();
                self.accept(T::LeftParen)?;
                self.accept(T::RightParen)?;
                Some(self.function(kind, token))
            }
            T::MinOf | T::MaxOf => {
                self.advance();
                self.accept(T::LeftParen)?;
                let first = self.duration(1)?;
                let depth = self.depth;
                self.accept(T::Comma)?;
                let second = self.duration(1)?;
                self.accept(T::RightParen)?;
                self.deeper(depth.max(self.depth));
                let which = if token.kind == T::MinOf { MinMax::Min } else { MinMax::Max };
                Some(self.function(DurationKind::MinMax(which, Box::new(first), Box::new(second)), token))
            }
            T::LeftParen => self.duration_parens(),
            _ => None,
        }
    }

    fn duration_parens(&mut self) -> Option<DurationExpr> {
        let open = self.advance();
        let inner = self.duration(1)?;
        self.accept(TokenKind::RightParen)?;
        self.deeper(self.depth);
        self.experimental(&inner);
        let span = open.start..self.last_end();
        Some(DurationExpr { kind: DurationKind::Paren(Box::new(inner)), span })
    }

    fn function(&mut self, kind: DurationKind, name: Token) -> DurationExpr {
        let duration = DurationExpr { kind, span: name.start..self.last_end() };
        self.experimental(&duration);
        duration
    }

    fn experimental(&mut self, duration: &DurationExpr) {
        if !self.options.duration_expressions {
            self.error(duration.span.clone(), "experimental duration expression is not enabled");
        }
    }

    fn in_range(&mut self, duration: DurationExpr) -> DurationExpr {
        if let Some(n) = duration.as_literal()
            && n.value.abs() > crate::ast::MAX_SECONDS
        {
            self.error(n.span.clone(), "duration out of range");
        }
        duration
    }

    fn sign(&mut self) -> Option<UnaryOp> {
        match self.peek().kind {
            TokenKind::Operator(BinaryOp::Add) => Some(UnaryOp::Plus),
            TokenKind::Operator(BinaryOp::Sub) => Some(UnaryOp::Minus),
            _ => None,
        }
    }
}

fn is_sign(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Operator(BinaryOp::Add | BinaryOp::Sub))
}

/// A sign before a duration; a literal takes it in.
fn signed(op: UnaryOp, start: usize, inner: DurationExpr) -> DurationExpr {
    let span = start..inner.span.end;
    match inner.kind {
        DurationKind::Literal(NumberLiteral { value, duration, .. }) => {
            let value = if op == UnaryOp::Minus { -value } else { value };
            DurationExpr::literal(NumberLiteral { value, duration, span })
        }
        kind => {
            let inner = DurationExpr { kind, span: inner.span };
            DurationExpr { kind: DurationKind::Unary(op, Box::new(inner)), span }
        }
    }
}

fn duration_op(op: BinaryOp) -> Option<DurationOp> {
    Some(match op {
        BinaryOp::Add => DurationOp::Add,
        BinaryOp::Sub => DurationOp::Sub,
        BinaryOp::Mul => DurationOp::Mul,
        BinaryOp::Div => DurationOp::Div,
        BinaryOp::Mod => DurationOp::Mod,
        BinaryOp::Pow => DurationOp::Pow,
        _ => return None,
    })
}
