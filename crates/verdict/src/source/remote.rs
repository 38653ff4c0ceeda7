//! A Prometheus-compatible server as a source: Prometheus itself, Thanos, Mimir, VictoriaMetrics.

use assay_prom_api::{ApiError, Blocking, ClientOptions, Request, json::time_text, read::read_query};
use serde::{Deserialize, de::IgnoredAny};

use super::{Answered, Source, SourceError};

/// An answer that lists something; how many there are is all that is asked.
#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    data: Vec<IgnoredAny>,
}

/// Evaluates on a server.
pub struct RemoteSource {
    server: Blocking,
}

impl RemoteSource {
    /// A source; nothing is asked yet.
    ///
    /// # Errors
    /// If the address is not that of a server.
    pub fn new(options: ClientOptions) -> Result<Self, SourceError> {
        Ok(Self { server: Blocking::new(options)? })
    }

    fn query(&self, request: &Request) -> Answered {
        let answer = self.server.call(request)?;
        read_query(&answer).map_err(|e| {
            SourceError::new(format!(
                "{}: the answer is not that of a query: {e}",
                self.server.client().shown()
            ))
        })
    }
}

impl From<ApiError> for SourceError {
    fn from(error: ApiError) -> Self {
        Self::new(error)
    }
}

impl Source for RemoteSource {
    fn instant(&self, expression: &str, t_ms: i64) -> Answered {
        self.query(&Request::new("query").with("query", expression).with("time", time_text(t_ms)))
    }

    fn range(&self, expression: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Answered {
        self.query(
            &Request::new("query_range")
                .with("query", expression)
                .with("start", time_text(start_ms))
                .with("end", time_text(end_ms))
                .with("step", time_text(step_ms)),
        )
    }

    fn has_metric(&self, name: &str) -> Result<bool, SourceError> {
        let selector = format!("{{__name__={name:?}}}");
        let answer =
            self.server.call(&Request::new("series").with("match[]", selector).with("limit", "1"))?;
        let Listed { data } = serde_json::from_slice(&answer).map_err(SourceError::new)?;
        Ok(!data.is_empty())
    }
}
