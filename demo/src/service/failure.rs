//! Why a request has no answer.
//!
//! Invariant: the text is for the client; it names the stage and never holds a question, a patient or a secret.

use std::time::Duration;

use super::metrics::Stage;

/// Why a request has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Too many wait for the stage.
    #[error("the queue for stage {} is full ({waiting} waiting); try again later", stage.as_str())]
    Busy { stage: Stage, waiting: usize },
    /// The stage took too long.
    #[error("stage {} took longer than {after:?}", stage.as_str())]
    Timeout { stage: Stage, after: Duration },
    /// What the stage needs is away, fails, or answers nonsense.
    #[error("stage {} is not available: {cause}", stage.as_str())]
    Unavailable { stage: Stage, cause: String },
    /// The service is not ready yet.
    #[error("the service is not ready: it waits for {waits_for}")]
    NotReady { waits_for: String },
    /// One user has too many requests under way.
    #[error("this user has as many requests under way as the limit allows ({limit}); try again later")]
    TooMany { limit: usize },
    /// On purpose.
    #[error("stage {} failed because a fault is planted", stage.as_str())]
    Planted { stage: Stage },
}

impl Failure {
    /// The stage that failed, if one did.
    pub(crate) fn stage(&self) -> Option<Stage> {
        match self {
            Self::Busy { stage, .. }
            | Self::Timeout { stage, .. }
            | Self::Unavailable { stage, .. }
            | Self::Planted { stage } => Some(*stage),
            Self::NotReady { .. } | Self::TooMany { .. } => None,
        }
    }

    /// Whether the same request may succeed later without anyone mending anything.
    pub(crate) fn is_overload(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::TooMany { .. } | Self::NotReady { .. })
    }

    /// `error.type` in spans.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "overloaded",
            Self::Timeout { .. } => "timeout",
            Self::Unavailable { .. } => "unavailable",
            Self::NotReady { .. } => "not_ready",
            Self::TooMany { .. } => "rate_limited",
            Self::Planted { .. } => "planted",
        }
    }
}
