//! Tokens to a tree: recursive descent, with precedence climbing for operators.
//!
//! Invariant: every loop and every recursion consumes a token, and depth is bounded, so that parsing takes
//! time linear in the text. After an error the parser puts a hole where the expression should be and reads
//! on at the next comma or closing parenthesis; a tree with a hole never leaves this module. The language,
//! the errors and their positions are those of Prometheus' `generated_parser.y` (v3.13).

mod binary;
mod call;
mod duration;
mod modifier;
mod selector;
mod text;

use assay_model::{Matcher, duration::parse_ms};

pub(crate) use text::unquote_checked;

use crate::{
    ast::{
        BinaryOp, DurationExpr, Expr, NumberLiteral, ParenExpr, RangeMode, Span, UnaryExpr, UnaryOp,
        VectorSelector,
    },
    check::{SELECTS_ALL, check},
    error::ParseErrors,
    lexer::{Token, TokenKind, Tokens, lex, number_value},
};

/// How many parentheses, calls, signs and powers may stand in each other.
const MAX_NESTING: usize = 200;
/// How deep a tree may be; a chain of operators is as deep as it is long.
const MAX_DEPTH: usize = 500;

/// Which experimental parts of the language are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseOptions {
    /// Functions and aggregations that Prometheus has behind `promql-experimental-functions`.
    pub experimental_functions: bool,
    /// Arithmetic, `step()` and the like in brackets and after `offset` (`promql-duration-expr`).
    pub duration_expressions: bool,
    /// `anchored` and `smoothed` (`promql-extended-range-selectors`).
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left`, `fill_right` (`promql-binop-fill-modifiers`).
    pub fill_modifiers: bool,
}

impl ParseOptions {
    /// All of the language.
    pub const ALL: Self = Self {
        experimental_functions: true,
        duration_expressions: true,
        extended_range_selectors: true,
        fill_modifiers: true,
    };
    /// What Prometheus understands without feature flags.
    pub const STABLE: Self = Self {
        experimental_functions: false,
        duration_expressions: false,
        extended_range_selectors: false,
        fill_modifiers: false,
    };
}

/// Parses and checks an expression of the whole language, experimental parts included.
///
/// # Errors
/// Where the text is not a well-typed expression: all that is wrong with it, as far as it can be told.
pub fn parse(text: &str) -> Result<Expr, ParseErrors> {
    parse_with(text, ParseOptions::ALL)
}

/// Parses and checks an expression of the part of the language that `options` name.
///
/// # Errors
/// As [`parse`]; the use of a part that is switched off is an error, too.
pub fn parse_with(text: &str, options: ParseOptions) -> Result<Expr, ParseErrors> {
    let (expr, errors) = read(text, options);
    if errors.is_empty() { Ok(expr) } else { Err(ParseErrors::locate(text, errors)) }
}

/// The matchers of a selector on its own, as `match[]` has it: all of them may match the empty text, as in no
/// expression.
///
/// # Errors
/// If the text is anything else.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseErrors> {
    let (expr, mut errors) = read(text, ParseOptions::STABLE);
    errors.retain(|(_, message)| message != SELECTS_ALL);
    match expr {
        Expr::Vector(s) if errors.is_empty() && s.offset.is_none() && s.at.is_none() => return Ok(s.matchers),
        expr if errors.is_empty() => {
            errors.push((expr.span(), "expected a selector without modifiers".to_owned()));
        }
        _ => {}
    }
    Err(ParseErrors::locate(text, errors))
}

/// The tree, and what is wrong with it.
fn read(text: &str, options: ParseOptions) -> (Expr, Vec<(Span, String)>) {
    let Tokens { list, error } = lex(text);
    let mut parser = Parser {
        text,
        tokens: list,
        at: 0,
        lex_error: error,
        errors: Vec::new(),
        reported: None,
        options,
        nesting: 0,
        depth: 0,
    };
    let mut expr = parser.whole();
    if parser.errors.is_empty() {
        parser.errors = check(&mut expr);
    }
    (expr, parser.errors)
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    /// What the final `Error` token is about, until it has been looked at.
    lex_error: Option<(Span, String)>,
    errors: Vec<(Span, String)>,
    /// The token that was last reported as unexpected, which is not reported twice.
    reported: Option<usize>,
    options: ParseOptions,
    nesting: usize,
    /// The depth of the tree returned last.
    depth: usize,
}

impl Parser<'_> {
    fn whole(&mut self) -> Expr {
        if self.peek().kind == TokenKind::Eof {
            self.error(0..0, "no expression found in input");
            return self.hole();
        }
        let expr = self.expression(1);
        if self.peek().kind != TokenKind::Eof {
            self.unexpected("", "an operator or the end of the expression");
        }
        expr
    }

    /// The next token. A text that cannot be read on is reported when it is first looked at.
    fn peek(&mut self) -> Token {
        let token = self.tokens[self.at];
        if token.kind == TokenKind::Error
            && let Some(error) = self.lex_error.take()
        {
            self.errors.push(error);
        }
        token
    }

    /// The kind of the token after the next one.
    fn second(&self) -> TokenKind {
        self.tokens.get(self.at + 1).map_or(TokenKind::Eof, |t| t.kind)
    }

    fn advance(&mut self) -> Token {
        let token = self.peek();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn accept(&mut self, kind: TokenKind) -> Option<Token> {
        (self.peek().kind == kind).then(|| self.advance())
    }

    /// The end of the token read last.
    fn last_end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |i| self.tokens[i].end)
    }

    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.errors.push((span, message.into()));
    }

    /// Reports the next token; `context` and `expected` may be empty.
    fn unexpected(&mut self, context: &str, expected: &str) {
        let token = self.peek();
        if token.kind == TokenKind::Error || self.reported == Some(self.at) {
            return;
        }
        self.reported = Some(self.at);
        let mut message = format!("unexpected {}", token.describe(self.text));
        if !context.is_empty() {
            message += &format!(" in {context}");
        }
        if !expected.is_empty() {
            message += &format!(", expected {expected}");
        }
        self.error(token.span(), message);
    }

    /// Skips to the next token of `stop` that is not inside further brackets, or to the end.
    fn skip_to(&mut self, stop: &[TokenKind]) {
        use TokenKind as T;
        let mut open = 0usize;
        loop {
            let kind = self.tokens[self.at].kind;
            if matches!(kind, T::Eof | T::Error) || (open == 0 && stop.contains(&kind)) {
                return;
            }
            match kind {
                T::LeftParen | T::LeftBrace | T::LeftBracket => open += 1,
                T::RightParen | T::RightBrace | T::RightBracket => open = open.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
        }
    }

    /// What stands for an expression that could not be read.
    fn hole(&mut self) -> Expr {
        self.depth = 1;
        Expr::Vector(self.empty_selector())
    }

    fn empty_selector(&self) -> VectorSelector {
        let at = self.tokens[self.at].start;
        VectorSelector {
            name: String::new(),
            matchers: Vec::new(),
            offset: None,
            at: None,
            mode: RangeMode::Plain,
            span: at..at,
        }
    }

    /// Counts a tree one deeper than `below`, and stops reading where that is too deep.
    fn deeper(&mut self, below: usize) {
        self.depth = below + 1;
        if self.depth > MAX_DEPTH {
            self.too_deep(format!("expression is more than {MAX_DEPTH} operators deep; split it up"));
        }
    }

    fn too_deep(&mut self, message: String) {
        let token = self.tokens[self.at];
        if !matches!(token.kind, TokenKind::Eof | TokenKind::Error) {
            self.error(token.span(), message);
            self.lex_error = None;
            let end = Token { kind: TokenKind::Error, start: self.text.len(), end: self.text.len() };
            self.tokens.push(end);
            self.at = self.tokens.len() - 1;
        }
        self.depth = 0;
    }

    /// An expression of operators that bind at least as tightly as `least`.
    fn expression(&mut self, least: u8) -> Expr {
        self.nesting += 1;
        let expr = if self.nesting > MAX_NESTING {
            self.too_deep(format!("expression is nested more than {MAX_NESTING} levels deep"));
            self.hole()
        } else {
            self.operators(least)
        };
        self.nesting -= 1;
        expr
    }

    fn operand(&mut self) -> Expr {
        let op = match self.peek().kind {
            TokenKind::Operator(BinaryOp::Add) => UnaryOp::Plus,
            TokenKind::Operator(BinaryOp::Sub) => UnaryOp::Minus,
            _ => {
                let expr = self.primary();
                return self.modifiers(expr);
            }
        };
        let start = self.advance().start;
        // A sign binds as `*` does: only `^` and modifiers bind tighter.
        let expr = self.expression(BinaryOp::Pow.precedence());
        if let Expr::Number(mut n) = expr {
            n.apply_sign(op, start);
            return Expr::Number(n);
        }
        self.deeper(self.depth);
        let span = start..expr.span().end;
        Expr::Unary(UnaryExpr { op, expr: Box::new(expr), span })
    }

    fn primary(&mut self) -> Expr {
        use TokenKind as T;
        let token = self.peek();
        self.depth = 1;
        match token.kind {
            T::LeftParen => self.parentheses(),
            T::Number | T::Duration => Expr::Number(self.number()),
            T::String => {
                self.advance();
                Expr::String(self.string_literal(token))
            }
            T::LeftBrace => self.selector(),
            T::Aggregator(op) if matches!(self.second(), T::LeftParen | T::By | T::Without) => {
                self.aggregate(op)
            }
            T::Identifier if self.second() == T::LeftParen => self.call(),
            kind if kind.is_preprocessor() && self.second() == T::LeftParen => self.call(),
            kind if kind.can_name_metric() => self.selector(),
            _ => {
                self.unexpected("", "an expression");
                self.hole()
            }
        }
    }

    fn parentheses(&mut self) -> Expr {
        let start = self.advance().start;
        let expr = self.expression(1);
        let depth = self.depth;
        if self.peek().kind != TokenKind::RightParen {
            self.unexpected("", "an operator or \")\"");
            self.skip_to(&[TokenKind::RightParen]);
        }
        self.accept(TokenKind::RightParen);
        self.deeper(depth);
        Expr::Paren(ParenExpr { expr: Box::new(expr), span: start..self.last_end() })
    }

    /// A number or duration literal, which is the next token.
    fn number(&mut self) -> NumberLiteral {
        let token = self.advance();
        let text = &self.text[token.span()];
        let duration = token.kind == TokenKind::Duration;
        let value = if duration { duration_seconds(text) } else { number_value(text) };
        let value = value.unwrap_or_else(|message| {
            self.error(token.span(), message);
            1.0
        });
        NumberLiteral { value, duration, span: token.span() }
    }
}

impl NumberLiteral {
    fn apply_sign(&mut self, op: UnaryOp, start: usize) {
        if op == UnaryOp::Minus {
            self.value = -self.value;
        }
        self.span.start = start;
    }
}

/// The seconds of a duration literal; those beyond what nanoseconds hold are out of range.
fn duration_seconds(text: &str) -> Result<f64, String> {
    let ms = parse_ms(text).map_err(|e| e.to_string())?;
    if ms > i64::MAX / 1_000_000 {
        return Err(format!("duration out of range: {text:?}"));
    }
    Ok(ms as f64 / 1000.0)
}

impl DurationExpr {
    /// The literal inside any number of parentheses.
    fn bare_literal(&self) -> Option<&NumberLiteral> {
        match &self.kind {
            crate::ast::DurationKind::Paren(e) => e.bare_literal(),
            _ => self.as_literal(),
        }
    }
}
