//! Walking a tree. Invariant: children come in the order in which they are evaluated and written.

use super::{DurationExpr, Expr, VectorSelector};

impl Expr {
    /// The expressions directly under this one; a matrix selector's inner selector is not an expression.
    #[must_use]
    pub fn children(&self) -> Vec<&Self> {
        match self {
            Self::Aggregate(e) => e.param.as_deref().into_iter().chain([&*e.expr]).collect(),
            Self::Binary(e) => vec![&e.lhs, &e.rhs],
            Self::Call(e) => e.args.iter().collect(),
            Self::Paren(e) => vec![&e.expr],
            Self::Subquery(e) => vec![&e.expr],
            Self::Unary(e) => vec![&e.expr],
            Self::Matrix(_) | Self::Number(_) | Self::String(_) | Self::Vector(_) => Vec::new(),
        }
    }

    /// The same, to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut Self> {
        match self {
            Self::Aggregate(e) => e.param.as_deref_mut().into_iter().chain([&mut *e.expr]).collect(),
            Self::Binary(e) => vec![&mut e.lhs, &mut e.rhs],
            Self::Call(e) => e.args.iter_mut().collect(),
            Self::Paren(e) => vec![&mut e.expr],
            Self::Subquery(e) => vec![&mut e.expr],
            Self::Unary(e) => vec![&mut e.expr],
            Self::Matrix(_) | Self::Number(_) | Self::String(_) | Self::Vector(_) => Vec::new(),
        }
    }

    /// Calls `f` for this expression and all under it, parents first.
    pub fn walk<'e>(&'e self, f: &mut dyn FnMut(&'e Self)) {
        f(self);
        for child in self.children() {
            child.walk(f);
        }
    }

    /// Every selector, those inside range selectors included, in the order in which they are written.
    #[must_use]
    pub fn selectors(&self) -> Vec<&VectorSelector> {
        let mut found = Vec::new();
        self.walk(&mut |e| match e {
            Self::Vector(v) => found.push(v),
            Self::Matrix(m) => found.push(&m.selector),
            _ => {}
        });
        found
    }

    /// The durations of this very node: its range, step and offset.
    #[must_use]
    pub fn durations(&self) -> Vec<&DurationExpr> {
        match self {
            Self::Vector(e) => e.offset.iter().collect(),
            Self::Matrix(e) => [&e.range].into_iter().chain(&e.selector.offset).collect(),
            Self::Subquery(e) => [&e.range].into_iter().chain(&e.step).chain(&e.offset).collect(),
            _ => Vec::new(),
        }
    }
}
