//! One second of all workers, for the live view. Invariant: it holds rates and one histogram, however many
//! requests the second had.

use std::time::Duration;

use assay_model::histogram::ExponentialHistogram;

use crate::{
    measure::tally::{Tally, histogram},
    progress::Second,
};

/// What the workers tallied in one second, for the live view.
pub(super) struct SecondTally {
    pub(super) requests: u64,
    errors: u64,
    duration: ExponentialHistogram,
    tokens: f64,
    chunks: u64,
}

impl SecondTally {
    pub(super) fn new() -> Self {
        Self { requests: 0, errors: 0, duration: histogram(), tokens: 0.0, chunks: 0 }
    }

    pub(super) fn add(&mut self, tally: &Tally) {
        for step in &tally.steps {
            let (requests, errors) = step.counts();
            self.requests += requests;
            self.errors += errors;
            for outcome in &step.outcomes {
                self.duration.merge(&outcome.duration);
            }
            if let Some(stream) = &step.stream {
                self.tokens += stream.output_tokens.sum();
                self.chunks += stream.per_chunk.count() + stream.first_chunk.count();
            }
        }
    }

    pub(super) fn finish(self, at: Duration, seconds: f64, users: i64) -> Second {
        Second {
            at,
            users,
            requests: self.requests as f64 / seconds,
            errors: self.errors as f64 / seconds,
            chunks: self.chunks as f64 / seconds,
            tokens: self.tokens / seconds,
            duration: self.duration,
        }
    }
}
