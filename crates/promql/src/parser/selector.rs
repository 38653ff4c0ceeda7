//! Selectors: a metric's name, conditions in braces, or both. Invariant: a name before the braces becomes the
//! last matcher.

use assay_model::{METRIC_NAME, MatchOp, Matcher};

use super::Parser;
use crate::{
    ast::{BinaryOp, Expr, Span},
    lexer::TokenKind,
};

impl Parser<'_> {
    /// A selector; the next token is a name or `{`.
    pub(super) fn selector(&mut self) -> Expr {
        let mut selector = self.empty_selector();
        if self.peek().kind != TokenKind::LeftBrace {
            let token = self.advance();
            self.text[token.span()].clone_into(&mut selector.name);
        }
        if self.peek().kind == TokenKind::LeftBrace {
            selector.matchers = self.matchers();
        }
        if !selector.name.is_empty() {
            selector.matchers.push(Matcher::equal(METRIC_NAME, &selector.name));
        }
        selector.span.end = self.last_end();
        self.depth = 1;
        Expr::Vector(selector)
    }

    /// `{a="b", …}`. A trailing comma is allowed.
    fn matchers(&mut self) -> Vec<Matcher> {
        use TokenKind as T;
        let mut matchers = Vec::new();
        self.advance();
        while self.accept(T::RightBrace).is_none() {
            if matches!(self.peek().kind, T::Identifier | T::String) {
                matchers.extend(self.matcher());
            } else {
                self.unexpected("label matching", "identifier or \"}\"");
                self.skip_to(&[T::Comma, T::RightBrace]);
            }
            if self.accept(T::Comma).is_some() {
                continue;
            }
            if self.peek().kind != T::RightBrace {
                self.unexpected("label matching", "\",\" or \"}\"");
                self.skip_to(&[T::RightBrace]);
                if self.peek().kind != T::RightBrace {
                    return matchers;
                }
            }
        }
        matchers
    }

    /// `a="b"`, `"a b"="c"` or `"metric name"`.
    fn matcher(&mut self) -> Option<Matcher> {
        use TokenKind as T;
        let label = self.advance();
        let quoted = label.kind == T::String;
        let name = if quoted { self.unquote(label) } else { self.text[label.span()].to_owned() };
        let op = match self.peek().kind {
            T::Equal => MatchOp::Equal,
            T::Operator(BinaryOp::Neq) => MatchOp::NotEqual,
            T::RegexMatch => MatchOp::Regex,
            T::NotRegexMatch => MatchOp::NotRegex,
            _ if quoted => return Some(Matcher::equal(METRIC_NAME, &name)),
            _ => {
                self.unexpected("label matching", "label matching operator");
                self.skip_to(&[T::Comma, T::RightBrace]);
                return None;
            }
        };
        self.advance();
        if self.peek().kind != T::String {
            self.unexpected("label matching", "string");
            self.skip_to(&[T::Comma, T::RightBrace]);
            return None;
        }
        let value = self.advance();
        self.compile(op, &name, &self.unquote(value), label.start..value.end)
    }

    fn compile(&mut self, op: MatchOp, name: &str, value: &str, span: Span) -> Option<Matcher> {
        let matcher = Matcher::new(op, name, value);
        matcher
            .map_err(|e| {
                // The last line says what is wrong; those before it draw a picture that one line cannot hold.
                let why = e.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.error(span, format!("error parsing regexp {value:?}: {why}"));
            })
            .ok()
    }
}
