//! Thresholds in k6's syntax: `http_req_duration{step:query}: p(99) < 500`.
//!
//! Metrics and aggregations are k6's; times are milliseconds where no unit is given. A threshold looks at all phases
//! but warm-ups, unless it names one. Invariant: a threshold without data is not met.

use std::{fmt, str::FromStr, time::Duration};

use assay_model::{duration, histogram::ExponentialHistogram};
use serde::Serialize;

use crate::{
    measure::{
        families::PhaseTotals,
        tally::{StepTally, histogram},
    },
    scenario::Scenario,
};

/// What a figure of a run must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    text: String,
    metric: Metric,
    step: Option<String>,
    phase: Option<String>,
    aggregation: Aggregation,
    operator: Operator,
    /// In seconds for times.
    value: f64,
}

/// A threshold, and what the run came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ThresholdSummary {
    /// As it was given.
    pub threshold: String,
    /// The figure: milliseconds for times; unknown if there is no data.
    pub value: Option<f64>,
    /// Whether it was met.
    pub passed: bool,
}

/// Why a text is no threshold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// It has another form.
    #[error("expected METRIC: AGGREGATION OPERATOR VALUE, such as http_req_duration: p(99)<500, found {0:?}")]
    Form(String),
    /// The metric is not known.
    #[error("unknown metric {0:?}; known: {known}", known = METRICS.map(|m| m.0).join(", "))]
    Metric(String),
    /// The metric has no such tag.
    #[error("unknown tag {0:?}; known: step and phase, such as {{step:query}}; iterations have no step")]
    Tag(String),
    /// The metric has no such aggregation.
    #[error("{metric} has no aggregation {aggregation:?}; it has {known}")]
    Aggregation {
        /// The metric.
        metric: String,
        /// What was asked for.
        aggregation: String,
        /// What there is.
        known: &'static str,
    },
    /// The value is not a number, or not one of the metric's.
    #[error("{0:?} is not a value of this metric; write a number such as 0.01, or for times 500 or 500ms")]
    Value(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metric {
    Duration,
    Latency,
    Part(&'static str),
    FirstChunk,
    PerChunk,
    PerToken,
    IterationDuration,
    Failed,
    Checks,
    Requests,
    Iterations,
    Dropped,
    Received,
    Sent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Trend,
    Rate,
    Counter,
}

const METRICS: [(&str, Metric); 19] = [
    ("http_req_duration", Metric::Duration),
    ("http_req_latency", Metric::Latency),
    ("http_req_looking_up", Metric::Part("lookup")),
    ("http_req_connecting", Metric::Part("connecting")),
    ("http_req_tls_handshaking", Metric::Part("tls")),
    ("http_req_sending", Metric::Part("sending")),
    ("http_req_waiting", Metric::Part("waiting")),
    ("http_req_receiving", Metric::Part("receiving")),
    ("time_to_first_chunk", Metric::FirstChunk),
    ("time_per_output_chunk", Metric::PerChunk),
    ("time_per_output_token", Metric::PerToken),
    ("iteration_duration", Metric::IterationDuration),
    ("http_req_failed", Metric::Failed),
    ("checks", Metric::Checks),
    ("http_reqs", Metric::Requests),
    ("iterations", Metric::Iterations),
    ("dropped_iterations", Metric::Dropped),
    ("data_received", Metric::Received),
    ("data_sent", Metric::Sent),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Aggregation {
    Mean,
    Min,
    Max,
    Quantile(f64),
    Rate,
    Count,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// The operators, the longer before those that they begin with.
const OPERATORS: [(&str, Operator); 7] = [
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("===", Operator::Equal),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

impl Metric {
    fn kind(self) -> Kind {
        match self {
            Self::Duration
            | Self::Latency
            | Self::Part(_)
            | Self::FirstChunk
            | Self::PerChunk
            | Self::PerToken
            | Self::IterationDuration => Kind::Trend,
            Self::Failed | Self::Checks => Kind::Rate,
            Self::Requests | Self::Iterations | Self::Dropped | Self::Received | Self::Sent => Kind::Counter,
        }
    }

    fn has_steps(self) -> bool {
        !matches!(self, Self::IterationDuration | Self::Iterations | Self::Dropped)
    }
}

impl Operator {
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Less => value < limit,
            Self::LessOrEqual => value <= limit,
            Self::Greater => value > limit,
            Self::GreaterOrEqual => value >= limit,
            Self::Equal => value == limit,
            Self::NotEqual => value != limit,
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let form = || ThresholdError::Form(text.to_owned());
        let (selector, expression) = text.rsplit_once(':').ok_or_else(form)?;
        let (name, tags) = match selector.trim().split_once('{') {
            Some((name, tags)) => (name.trim(), tags.trim().strip_suffix('}').ok_or_else(form)?),
            None => (selector.trim(), ""),
        };
        let found = METRICS.iter().find(|(known, _)| *known == name);
        let metric = found.ok_or_else(|| ThresholdError::Metric(name.to_owned()))?.1;
        let (mut step, mut phase) = (None, None);
        for tag in tags.split(',').map(str::trim).filter(|t| !t.is_empty()) {
            let (key, value) = tag.split_once(':').ok_or_else(form)?;
            match key.trim() {
                "step" if metric.has_steps() => step = Some(value.trim().to_owned()),
                "phase" => phase = Some(value.trim().to_owned()),
                other => return Err(ThresholdError::Tag(other.to_owned())),
            }
        }
        let at = expression.find(['<', '>', '=', '!']).ok_or_else(form)?;
        let (aggregation, rest) = expression.split_at(at);
        let (sign, operator) =
            OPERATORS.into_iter().find(|(sign, _)| rest.starts_with(sign)).ok_or_else(form)?;
        let aggregation = aggregation_of(name, metric, aggregation.trim())?;
        let value = value_of(metric, rest[sign.len()..].trim())?;
        Ok(Self { text: text.trim().to_owned(), metric, step, phase, aggregation, operator, value })
    }
}

fn aggregation_of(name: &str, metric: Metric, text: &str) -> Result<Aggregation, ThresholdError> {
    let wrong =
        |known| ThresholdError::Aggregation { metric: name.to_owned(), aggregation: text.to_owned(), known };
    match (metric.kind(), text) {
        (Kind::Trend, "avg") => Ok(Aggregation::Mean),
        (Kind::Trend, "min") => Ok(Aggregation::Min),
        (Kind::Trend, "max") => Ok(Aggregation::Max),
        (Kind::Trend, "med") => Ok(Aggregation::Quantile(0.5)),
        (Kind::Trend, text) => {
            let percent = text.strip_prefix("p(").and_then(|t| t.strip_suffix(')'));
            let percent = percent.and_then(|t| t.trim().parse::<f64>().ok());
            let percent = percent.filter(|p| (0.0..=100.0).contains(p));
            percent
                .map(|p| Aggregation::Quantile(p / 100.0))
                .ok_or_else(|| wrong("avg, min, med, max and p(N)"))
        }
        (Kind::Rate | Kind::Counter, "rate") => Ok(Aggregation::Rate),
        (Kind::Counter, "count") => Ok(Aggregation::Count),
        (Kind::Rate, _) => Err(wrong("rate")),
        (Kind::Counter, _) => Err(wrong("count and rate")),
    }
}

fn value_of(metric: Metric, text: &str) -> Result<f64, ThresholdError> {
    let wrong = || ThresholdError::Value(text.to_owned());
    let number = text.parse::<f64>().ok().filter(|v| v.is_finite());
    match (metric.kind(), number) {
        (Kind::Trend, Some(ms)) => Ok(ms / 1e3),
        (Kind::Trend, None) => duration::parse_ms(text).map(|ms| ms as f64 / 1e3).map_err(|_| wrong()),
        (Kind::Rate | Kind::Counter, Some(value)) => Ok(value),
        (Kind::Rate | Kind::Counter, None) => Err(wrong()),
    }
}

impl Threshold {
    /// Holds the threshold against a run, whose phases took so long.
    pub(crate) fn summary(
        &self,
        scenario: &Scenario,
        totals: &[PhaseTotals],
        lengths: &[Duration],
    ) -> ThresholdSummary {
        let phases: Vec<(&PhaseTotals, f64)> = totals
            .iter()
            .zip(lengths.iter().map(Duration::as_secs_f64))
            .filter(|(t, _)| match &self.phase {
                Some(name) => t.phase.name == *name,
                None => !t.phase.warmup,
            })
            .collect();
        let value = match self.metric.kind() {
            Kind::Trend => self.trend(scenario, &phases),
            Kind::Rate => self.rate(scenario, &phases),
            Kind::Counter => self.counter(scenario, &phases),
        };
        let passed = value.is_some_and(|v| self.operator.holds(v, self.value));
        let shown = if self.metric.kind() == Kind::Trend { 1e3 } else { 1.0 };
        ThresholdSummary { threshold: self.text.clone(), value: value.map(|v| v * shown), passed }
    }

    /// The tallies of the steps that are meant.
    fn steps<'t>(
        &'t self,
        scenario: &'t Scenario,
        phases: &'t [(&'t PhaseTotals, f64)],
    ) -> impl Iterator<Item = &'t StepTally> {
        let is_meant = |name: &str| self.step.as_ref().is_none_or(|step| step == name);
        phases
            .iter()
            .flat_map(|(t, _)| scenario.steps.iter().zip(&t.tally.steps))
            .filter(move |(name, _)| is_meant(&name.name))
            .map(|(_, tally)| tally)
    }

    fn trend(&self, scenario: &Scenario, phases: &[(&PhaseTotals, f64)]) -> Option<f64> {
        let mut all = histogram();
        if self.metric == Metric::IterationDuration {
            phases.iter().for_each(|(t, _)| all.merge(&t.tally.iteration_duration));
        }
        for step in self.steps(scenario, phases) {
            self.merge(step, &mut all);
        }
        if all.count() == 0 {
            return None;
        }
        match self.aggregation {
            Aggregation::Mean => Some(all.sum() / all.count() as f64),
            Aggregation::Min => all.min(),
            Aggregation::Max => all.max(),
            Aggregation::Quantile(q) => Some(all.quantile(q)),
            Aggregation::Rate | Aggregation::Count => None,
        }
    }

    fn merge(&self, step: &StepTally, all: &mut ExponentialHistogram) {
        match self.metric {
            Metric::Duration => step.outcomes.iter().for_each(|o| all.merge(&o.duration)),
            Metric::Latency => step.outcomes.iter().for_each(|o| all.merge(&o.latency)),
            Metric::Part(part) => {
                step.parts().filter(|(name, _)| *name == part).for_each(|(_, h)| all.merge(h));
            }
            Metric::FirstChunk => step.stream.iter().for_each(|s| all.merge(&s.first_chunk)),
            Metric::PerChunk => step.stream.iter().for_each(|s| all.merge(&s.per_chunk)),
            Metric::PerToken => step.stream.iter().for_each(|s| all.merge(&s.per_token)),
            Metric::IterationDuration
            | Metric::Failed
            | Metric::Checks
            | Metric::Requests
            | Metric::Iterations
            | Metric::Dropped
            | Metric::Received
            | Metric::Sent => {}
        }
    }

    fn rate(&self, scenario: &Scenario, phases: &[(&PhaseTotals, f64)]) -> Option<f64> {
        let (part, all) = if self.metric == Metric::Checks {
            let is_meant = |step: usize| {
                let name = scenario.steps.get(step).map(|s| &s.name);
                self.step.is_none() || self.step.as_ref() == name
            };
            let counts = phases.iter().flat_map(|(t, _)| scenario.checks.iter().zip(&t.tally.checks));
            counts
                .filter(|(check, _)| is_meant(check.step))
                .fold((0, 0), |(part, all), (_, [passed, failed])| (part + passed, all + passed + failed))
        } else {
            self.steps(scenario, phases)
                .map(StepTally::counts)
                .fold((0, 0), |(part, all), (n, failed)| (part + failed, all + n))
        };
        (all > 0).then(|| part as f64 / all as f64)
    }

    fn counter(&self, scenario: &Scenario, phases: &[(&PhaseTotals, f64)]) -> Option<f64> {
        if phases.is_empty() {
            return None;
        }
        let of_phases = |value: fn(&PhaseTotals) -> u64| phases.iter().map(|(t, _)| value(t)).sum::<u64>();
        let of_steps = |value: fn(&StepTally) -> u64| self.steps(scenario, phases).map(value).sum::<u64>();
        let count = match self.metric {
            Metric::Iterations => of_phases(|t| t.tally.iterations),
            Metric::Dropped => of_phases(|t| t.tally.dropped),
            Metric::Received => of_steps(|s| s.received),
            Metric::Sent => of_steps(|s| s.sent),
            _ => of_steps(|s| s.counts().0),
        } as f64;
        let seconds: f64 = phases.iter().map(|(_, s)| s).sum();
        Some(if self.aggregation == Aggregation::Rate { count / seconds } else { count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k6s_syntax_is_read() {
        let read = |text: &str| text.parse::<Threshold>().unwrap_or_else(|e| panic!("{e}"));
        let t = read("http_req_duration{step:query, phase:steady}: p(75) <= 500");
        assert_eq!((t.metric, t.aggregation), (Metric::Duration, Aggregation::Quantile(0.75)));
        assert_eq!((t.step.as_deref(), t.phase.as_deref()), (Some("query"), Some("steady")));
        assert_eq!((t.operator, t.value), (Operator::LessOrEqual, 0.5));
        assert_eq!(read("time_to_first_chunk: med<2s").value, 2.0);
        assert_eq!(read("http_req_failed: rate<0.01").value, 0.01);
        assert_eq!(read("iterations:count===7").operator, Operator::Equal);
        let check = |text: &str, want: &str| {
            let e = text.parse::<Threshold>().expect_err(text).to_string();
            assert!(e.contains(want), "{e}");
        };
        check("p(99)<500", "expected METRIC: AGGREGATION OPERATOR VALUE");
        check(
            "http_req_duratoin: p(99)<500",
            "unknown metric \"http_req_duratoin\"; known: http_req_duration",
        );
        check("http_req_duration: p(101)<500", "it has avg, min, med, max and p(N)");
        check("http_req_failed: p(99)<1", "it has rate");
        check("http_req_failed: rate<1s", "\"1s\" is not a value");
        check("iterations{step:a}: count>1", "iterations have no step");
        check("http_reqs: count", "expected METRIC");
    }
}
