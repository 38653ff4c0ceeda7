//! A recorded run as a source. Invariant: it adds nothing to the data; its answers are those of a Prometheus
//! started on a copy of the directory.

use assay_model::{Matcher, Queryable};
use assay_promql::{Engine, Expr};

use super::{Answered, Source, SourceError};

/// Evaluates over anything queryable.
pub struct RecordedSource<'a> {
    data: &'a dyn Queryable,
    engine: Engine,
}

impl<'a> RecordedSource<'a> {
    /// A source over `data` with the engine's default options.
    #[must_use]
    pub fn new(data: &'a dyn Queryable) -> Self {
        Self { data, engine: Engine::default() }
    }
}

impl Source for RecordedSource<'_> {
    fn instant(&self, expression: &str, t_ms: i64) -> Answered {
        let expr = parse(expression)?;
        self.engine.instant(self.data, &expr, t_ms).map_err(|e| fail(expression, &e))
    }

    fn range(&self, expression: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Answered {
        let expr = parse(expression)?;
        self.engine.range(self.data, &expr, start_ms, end_ms, step_ms).map_err(|e| fail(expression, &e))
    }

    fn has_metric(&self, name: &str) -> Result<bool, SourceError> {
        let found = self.data.select(&[Matcher::equal(assay_model::METRIC_NAME, name)], i64::MIN, i64::MAX);
        Ok(!found.map_err(SourceError::new)?.is_empty())
    }
}

fn parse(expression: &str) -> Result<Expr, SourceError> {
    assay_promql::parse(expression).map_err(|e| fail(expression, &e))
}

fn fail(expression: &str, cause: &dyn std::fmt::Display) -> SourceError {
    SourceError::new(format!("{}: {cause}", expression.split_whitespace().collect::<Vec<_>>().join(" ")))
}
