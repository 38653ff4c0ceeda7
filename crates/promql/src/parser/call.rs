//! Function calls, aggregations and lists of labels. Invariant: a call's function is known, its arguments are
//! counted and typed by the checker; an aggregation has exactly the arguments that its operator takes.

use super::Parser;
use crate::{
    ast::{AggregateExpr, AggregateOp, Call, Expr, Function},
    lexer::TokenKind,
};

impl Parser<'_> {
    /// A call; the next two tokens are its name and `(`.
    pub(super) fn call(&mut self) -> Expr {
        let name = self.advance();
        let args = self.arguments();
        let depth = self.depth;
        let word = &self.text[name.span()];
        let Some(func) = Function::find(word) else {
            let message = format!("unknown function with name {word:?}{}", did_you_mean(word));
            self.error(name.span(), message);
            return self.hole();
        };
        if func.is_experimental() && !self.options.experimental_functions {
            self.error(name.span(), format!("function {word:?} is not enabled"));
        }
        self.deeper(depth);
        Expr::Call(Call { func, args, span: name.start..self.last_end() })
    }

    /// `(a, b, …)`, whose first token is known to be there.
    fn arguments(&mut self) -> Vec<Expr> {
        self.advance();
        let (mut args, mut depth) = (Vec::new(), 0);
        if self.accept(TokenKind::RightParen).is_some() {
            self.depth = 0;
            return args;
        }
        loop {
            args.push(self.expression(1));
            depth = depth.max(self.depth);
            if !matches!(self.peek().kind, TokenKind::Comma | TokenKind::RightParen) {
                self.unexpected("", "an operator, \",\" or \")\"");
                self.skip_to(&[TokenKind::Comma, TokenKind::RightParen]);
            }
            while let Some(comma) = self.accept(TokenKind::Comma) {
                if self.can_start_expression() {
                    break;
                }
                if self.peek().kind != TokenKind::Error {
                    self.error(comma.span(), "trailing commas not allowed in function call args");
                }
            }
            if !self.can_start_expression() {
                if self.accept(TokenKind::RightParen).is_none() {
                    self.unexpected("", "\",\" or \")\"");
                    self.skip_to(&[TokenKind::RightParen]);
                    self.accept(TokenKind::RightParen);
                }
                self.depth = depth;
                return args;
            }
        }
    }

    fn can_start_expression(&mut self) -> bool {
        use crate::ast::BinaryOp::{Add, Sub};
        use TokenKind as T;
        match self.peek().kind {
            T::LeftParen | T::LeftBrace | T::Number | T::Duration | T::String | T::Operator(Add | Sub) => {
                true
            }
            kind => kind.can_name_metric(),
        }
    }

    /// An aggregation; the next token is its operator, followed by `(`, `by` or `without`.
    pub(super) fn aggregate(&mut self, op: AggregateOp) -> Expr {
        let start = self.advance().start;
        let mut modifier = self.by_or_without();
        if self.peek().kind != TokenKind::LeftParen {
            self.unexpected("aggregation", "\"(\"");
            return self.hole();
        }
        let mut args = self.arguments();
        let depth = self.depth;
        let mut end = self.last_end();
        if modifier.is_none() {
            modifier = self.by_or_without();
            end = self.last_end().max(end);
        }
        let (without, grouping) = modifier.unwrap_or_default();
        let span = start..end;
        if op.is_experimental() && !self.options.experimental_functions {
            let flag = "--enable-feature=promql-experimental-functions";
            self.error(span, format!("{op}() is experimental and must be enabled with {flag}"));
            return self.hole();
        }
        let wanted = 1 + usize::from(op.parameter().is_some());
        if args.len() != wanted {
            let message = "wrong number of arguments for aggregate expression provided, expected";
            self.error(span, format!("{message} {wanted}, got {}", args.len()));
            return self.hole();
        }
        let (Some(expr), param) = (args.pop(), args.pop()) else { return self.hole() };
        self.deeper(depth);
        Expr::Aggregate(AggregateExpr {
            op,
            expr: Box::new(expr),
            param: param.map(Box::new),
            grouping,
            without,
            span,
        })
    }

    fn by_or_without(&mut self) -> Option<(bool, Vec<String>)> {
        let without = match self.peek().kind {
            TokenKind::By => false,
            TokenKind::Without => true,
            _ => return None,
        };
        self.advance();
        Some((without, self.grouping()))
    }

    /// `(a, b, …)`: the labels of `by`, `on` and the like. A trailing comma is allowed.
    pub(super) fn grouping(&mut self) -> Vec<String> {
        use TokenKind as T;
        let mut labels = Vec::new();
        if self.accept(T::LeftParen).is_none() {
            self.unexpected("grouping opts", "\"(\"");
            return labels;
        }
        while self.accept(T::RightParen).is_none() {
            let token = self.peek();
            if token.kind == T::String || token.kind.can_name_label() {
                self.advance();
                let quoted = token.kind == T::String;
                let label = if quoted { self.unquote(token) } else { self.text[token.span()].to_owned() };
                if label.is_empty() {
                    self.error(token.span(), "invalid label name for grouping: \"\"");
                }
                labels.push(label);
            } else {
                self.unexpected("grouping opts", "label");
                self.skip_to(&[T::Comma, T::RightParen]);
            }
            if self.accept(T::Comma).is_some() {
                continue;
            }
            if self.peek().kind != T::RightParen {
                self.unexpected("grouping opts", "\",\" or \")\"");
                self.skip_to(&[T::RightParen]);
                if self.peek().kind != T::RightParen {
                    return labels;
                }
            }
        }
        labels
    }
}

/// The nearest function's name, where one is near.
fn did_you_mean(word: &str) -> String {
    let near = |name: &str| {
        let (long, short) = if name.len() > word.len() { (name, word) } else { (word, name) };
        long.len() - short.len() <= 2 && distance(name, word) <= 1 + word.len() / 4
    };
    let best = Function::all().iter().filter(|f| near(f.name)).min_by_key(|f| distance(f.name, word));
    best.map_or_else(String::new, |f| format!("; did you mean {:?}?", f.name))
}

/// The Levenshtein distance of two names.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
