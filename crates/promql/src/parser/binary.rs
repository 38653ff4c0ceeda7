//! Operators and their modifiers. Invariant: every binary expression leaves here with a matching; the checker
//! takes it away where a side is a scalar.

use super::Parser;
use crate::{
    ast::{BinaryExpr, BinaryOp, Expr, VectorMatchCardinality, VectorMatching},
    lexer::TokenKind,
};

impl Parser<'_> {
    /// Operands joined by operators that bind at least as tightly as `least`.
    pub(super) fn operators(&mut self, least: u8) -> Expr {
        let mut lhs = self.operand();
        loop {
            let op = match self.peek().kind {
                TokenKind::Operator(op) if op.precedence() >= least => op,
                _ => return lhs,
            };
            let left_depth = self.depth;
            let op_span = self.advance().span();
            let (return_bool, matching) = self.matching();
            let rhs = self.expression(op.precedence() + u8::from(!op.is_right_associative()));
            self.deeper(left_depth.max(self.depth));
            let span = lhs.span().start..rhs.span().end.max(lhs.span().end);
            if !self.options.fill_modifiers && (matching.fill_lhs.is_some() || matching.fill_rhs.is_some()) {
                self.error(span.clone(), "binop fill modifiers are experimental and not enabled");
            }
            lhs = Expr::Binary(BinaryExpr {
                op,
                lhs: Box::new(lhs),
                rhs: Box::new(rhs),
                matching: Some(matching),
                return_bool,
                span,
                op_span,
            });
        }
    }

    fn matching(&mut self) -> (bool, VectorMatching) {
        let return_bool = self.accept(TokenKind::Bool).is_some();
        let mut matching = VectorMatching::default();
        if matches!(self.peek().kind, TokenKind::On | TokenKind::Ignoring) {
            matching.on = self.advance().kind == TokenKind::On;
            matching.matching_labels = self.grouping();
            let card = match self.peek().kind {
                TokenKind::GroupLeft => VectorMatchCardinality::ManyToOne,
                TokenKind::GroupRight => VectorMatchCardinality::OneToMany,
                _ => VectorMatchCardinality::OneToOne,
            };
            if card != VectorMatchCardinality::OneToOne {
                self.advance();
                matching.card = card;
                if self.peek().kind == TokenKind::LeftParen {
                    matching.include = self.grouping();
                }
            }
        }
        self.fill(&mut matching);
        (return_bool, matching)
    }

    /// `fill(…)`, or `fill_left(…)` and `fill_right(…)`, either or both, in either order.
    fn fill(&mut self, matching: &mut VectorMatching) {
        match self.peek().kind {
            TokenKind::Fill => {
                self.advance();
                let value = self.fill_value();
                (matching.fill_lhs, matching.fill_rhs) = (value, value);
            }
            TokenKind::FillLeft => {
                self.advance();
                matching.fill_lhs = self.fill_value();
                if self.accept(TokenKind::FillRight).is_some() {
                    matching.fill_rhs = self.fill_value();
                }
            }
            TokenKind::FillRight => {
                self.advance();
                matching.fill_rhs = self.fill_value();
                if self.accept(TokenKind::FillLeft).is_some() {
                    matching.fill_lhs = self.fill_value();
                }
            }
            _ => {}
        }
    }

    fn fill_value(&mut self) -> Option<f64> {
        self.accept(TokenKind::LeftParen);
        let mut negative = false;
        if let TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) = self.peek().kind {
            self.advance();
            negative = op == BinaryOp::Sub;
        }
        let number = match self.peek().kind {
            TokenKind::Number | TokenKind::Duration => Some(self.number().value),
            _ => {
                self.unexpected("fill modifier", "a number");
                self.skip_to(&[TokenKind::RightParen]);
                None
            }
        };
        if self.accept(TokenKind::RightParen).is_none() {
            self.unexpected("fill modifier", "\")\"");
        }
        number.map(|v| if negative { -v } else { v })
    }
}
