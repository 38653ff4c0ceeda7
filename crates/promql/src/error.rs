//! What is wrong with an expression. Invariant: the list is never empty, and its first error is the one that
//! Prometheus would report, at the same position.

use std::fmt;

use crate::ast::Span;

/// One thing that is wrong, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong, and what would be right.
    pub message: String,
    /// The bytes that it is about.
    pub span: Span,
    /// The line, from 1.
    pub line: usize,
    /// The column in bytes, from 1.
    pub column: usize,
}

/// Everything that is wrong with an expression, in the order in which it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseErrors(Vec<ParseError>);

impl ParseErrors {
    /// The errors with their lines and columns. `found` must not be empty.
    pub(crate) fn locate(text: &str, found: Vec<(Span, String)>) -> Self {
        let locate = |(span, message): (Span, String)| {
            let (line, column) = line_and_column(text, span.start);
            ParseError { message, span, line, column }
        };
        Self(found.into_iter().map(locate).collect())
    }

    /// The errors, the one that Prometheus would report first.
    #[must_use]
    pub fn list(&self) -> &[ParseError] {
        &self.0
    }
}

/// The line and the column in bytes, both from 1, of a byte of `text`.
#[must_use]
pub fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
    (line, column)
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: parse error: {}", self.line, self.column, self.message)
    }
}

impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseError {}
impl std::error::Error for ParseErrors {}
