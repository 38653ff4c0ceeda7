//! The rows of the tables. Invariant: what the run has no series of is `None` or absent, never zero.

use serde::{Deserialize, Serialize};

use crate::verdict::number;

/// Everything that is tabled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tables {
    /// Requests, by phase in order and by step, the most asked first.
    pub steps: Vec<StepRow>,
    /// The service's own stages, by phase in order, the one that takes most of the time first.
    pub stages: Vec<StageRow>,
    /// Energy, by phase in order.
    pub energy: Vec<EnergyRow>,
}

/// What a step asked in a phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRow {
    /// The phase, or `None` where the run has none.
    pub phase: Option<String>,
    /// Whether the phase only warms up.
    pub warmup: bool,
    /// The step.
    pub step: String,
    /// Requests that ended; a person's stop aside.
    #[serde(with = "number::plain")]
    pub requests: f64,
    /// How many of them failed.
    #[serde(with = "number::plain")]
    pub failed: f64,
    /// How many of them kept all objectives of the scenario.
    #[serde(with = "number::optional")]
    pub good: Option<f64>,
    /// Requests per second of the phase.
    #[serde(with = "number::plain")]
    pub per_second: f64,
    /// Failures by class, the most frequent first.
    pub errors: Vec<ErrorCount>,
    /// What the scenario asks of the answers, in the order of its names.
    #[serde(default)]
    pub checks: Vec<CheckCount>,
    /// Seconds from the first byte sent.
    pub duration: Option<Spread>,
    /// Seconds from the instant that the schedule asked for.
    pub latency: Option<Spread>,
    /// Seconds to the first content of a stream.
    pub first_chunk: Option<Spread>,
    /// Seconds between pieces of a stream's content.
    pub output_chunk: Option<Spread>,
    /// Tokens of all prompts.
    #[serde(with = "number::optional")]
    pub input_tokens: Option<f64>,
    /// Tokens of all answers.
    #[serde(with = "number::optional")]
    pub output_tokens: Option<f64>,
}

/// How many requests failed in a way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorCount {
    /// `error.type`, as the metrics have it.
    pub class: String,
    /// How many.
    #[serde(with = "number::plain")]
    pub requests: f64,
    /// Between when they were counted, to a sixtieth of the phase, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub span_ms: Option<(i64, i64)>,
}

/// How often the answers were what the scenario asks of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckCount {
    /// The check.
    pub check: String,
    /// How often it held.
    #[serde(with = "number::plain")]
    pub passed: f64,
    /// How often it did not.
    #[serde(with = "number::plain")]
    pub failed: f64,
}

/// How a histogram's values are spread, in its unit. Least and greatest are as measured where the generator says them, else bounds
/// of the histogram's outermost buckets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Their sum by their number.
    #[serde(with = "number::plain")]
    pub mean: f64,
    /// The least value, or the lower bound of the lowest bucket with one.
    #[serde(with = "number::plain")]
    pub least: f64,
    /// Half are below.
    #[serde(with = "number::plain")]
    pub p50: f64,
    /// Nine of ten are below.
    #[serde(with = "number::plain")]
    pub p90: f64,
    /// 95 of 100 are below.
    #[serde(with = "number::plain")]
    pub p95: f64,
    /// 99 of 100 are below.
    #[serde(with = "number::plain")]
    pub p99: f64,
    /// 999 of 1,000 are below.
    #[serde(with = "number::plain")]
    pub p999: f64,
    /// The greatest value, or the upper bound of the highest bucket with one.
    #[serde(with = "number::plain")]
    pub greatest: f64,
}

/// A stage of the service in a phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageRow {
    /// The phase, or `None` where the run has none.
    pub phase: Option<String>,
    /// Whether the phase only warms up.
    pub warmup: bool,
    /// The stage.
    pub stage: String,
    /// How often it ran.
    #[serde(with = "number::plain")]
    pub runs: f64,
    /// Its part of the time of all stages, 0 to 1.
    #[serde(with = "number::plain")]
    pub share: f64,
    /// Seconds.
    pub duration: Spread,
}

/// The energy of a phase from one kind of counter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnergyRow {
    /// The phase, or `None` where the run has none.
    pub phase: Option<String>,
    /// Whether the phase only warms up.
    pub warmup: bool,
    /// GPU, processor or memory; all that were scraped.
    pub what: String,
    /// Joules.
    #[serde(with = "number::plain")]
    pub joules: f64,
    /// Joules for each request.
    #[serde(with = "number::optional")]
    pub per_request: Option<f64>,
    /// Joules for each token of an answer.
    #[serde(with = "number::optional")]
    pub per_output_token: Option<f64>,
}
