//! What is wrong with an exposition, and where. Invariant: a list of errors is never empty.

use std::fmt;

/// How many errors a parser reports before it gives up.
pub(super) const MOST_ERRORS: usize = 20;

/// Where in an exposition something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// A line and a column of text, both from 1; columns count characters.
    Line(u64, u64),
    /// A byte of a binary message, from 0.
    Byte(u64),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Where.
    pub at: Position,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// All that is wrong with an exposition, in the order of the input, up to twenty entries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ParseErrors(pub Vec<ParseError>);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line, column) => write!(f, "{line}:{column}"),
            Self::Byte(at) => write!(f, "byte {at}"),
        }
    }
}

impl fmt::Display for ParseError {
    /// `3:17: what is wrong`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

impl fmt::Display for ParseErrors {
    /// One error on each line.
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
