//! From totals to series. Invariant: every series that can be foreseen is there from the first call on, at
//! zero, so that an increase over a phase loses nothing.

use assay_model::{
    Labels, LabelsBuilder,
    expo::{HistogramValue, Metric, MetricFamily, MetricValue},
    histogram::ExponentialHistogram,
};

use super::{
    names::{self, Instrument},
    tally::{Outcome, Tally},
};
use crate::scenario::{Phase, Scenario};

/// The totals of a phase, with what is known of it now.
#[derive(Clone, Debug)]
pub(crate) struct PhaseTotals {
    pub(crate) phase: Phase,
    pub(crate) tally: Tally,
    pub(crate) users: i64,
    /// Iterations each second that the schedule intends now.
    pub(crate) rate_target: Option<f64>,
}

/// What all series of a run share, and what belongs to no phase.
#[derive(Clone, Debug)]
pub(crate) struct RunFacts {
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) start_ms: i64,
    pub(crate) export_failures: u64,
    pub(crate) cpu_s: f64,
}

impl PhaseTotals {
    /// Totals at zero, with the outcome that each step is expected to have.
    pub(crate) fn new(scenario: &Scenario, phase: Phase, start_ms: i64) -> Self {
        let streams: Vec<bool> = scenario.steps.iter().map(|s| s.is_stream).collect();
        let mut tally = Tally::new(&streams, scenario.checks.len());
        for (step, name) in tally.steps.iter_mut().zip(&scenario.steps) {
            step.outcome(Outcome { status: Some(name.status), error: None }, start_ms);
            if let Some(stream) = &mut step.stream {
                stream.durations[0].2 = start_ms;
            }
        }
        Self { phase, tally, users: 0, rate_target: None }
    }
}

/// All families of a run as it stands.
pub(crate) fn families(scenario: &Scenario, facts: &RunFacts, phases: &[PhaseTotals]) -> Vec<MetricFamily> {
    let mut out = Output {
        families: names::INSTRUMENTS
            .iter()
            .map(|i| MetricFamily::new(i.kind, i.prometheus, i.help))
            .collect(),
        start_ms: facts.start_ms,
    };
    for totals in phases {
        let mut base = LabelsBuilder::new();
        base.set("load_scenario", &scenario.name).set("load_phase", &totals.phase.name);
        out.phase(&base, totals);
        for (i, check) in scenario.checks.iter().enumerate() {
            let counts = totals.tally.checks.get(i).copied().unwrap_or_default();
            let step = scenario.steps.get(check.step).map_or("", |s| s.name.as_str());
            for (result, count) in ["pass", "fail"].into_iter().zip(counts) {
                let labels = with(&base, &[("load_step", step), ("check", &check.name), ("result", result)]);
                out.counter(&names::CHECKS, labels, count as f64);
            }
        }
        for (name, step) in scenario.steps.iter().zip(&totals.tally.steps) {
            let mut base = base.clone();
            base.set("load_step", &name.name);
            out.step(&base, name, step, facts);
        }
    }
    let mut base = LabelsBuilder::new();
    base.set("load_scenario", &scenario.name);
    out.counter(&names::EXPORT_FAILURES, base.build(), facts.export_failures as f64);
    out.counter(&names::CPU_TIME, base.build(), facts.cpu_s);
    out.families.retain(|f| !f.metrics.is_empty());
    out.families
}

fn with(base: &LabelsBuilder, more: &[(&str, &str)]) -> Labels {
    let mut labels = base.clone();
    for (name, value) in more {
        labels.set(name, value);
    }
    labels.build()
}

struct Output {
    families: Vec<MetricFamily>,
    start_ms: i64,
}

impl Output {
    fn phase(&mut self, base: &LabelsBuilder, totals: &PhaseTotals) {
        let tally = &totals.tally;
        self.counter(&names::ITERATIONS, base.build(), tally.iterations as f64);
        self.counter(&names::ITERATIONS_DROPPED, base.build(), tally.dropped as f64);
        let start_ms = self.start_ms;
        self.histogram(&names::ITERATION_DURATION, base.build(), &tally.iteration_duration, start_ms);
        self.histogram(&names::SCHEDULE_LAG, base.build(), &tally.lag, start_ms);
        self.push(&names::USERS, Metric::new(base.build(), MetricValue::Float(totals.users as f64)));
        if let Some(rate) = totals.rate_target {
            self.push(&names::RATE_TARGET, Metric::new(base.build(), MetricValue::Float(rate)));
        }
    }

    fn step(
        &mut self,
        base: &LabelsBuilder,
        name: &crate::scenario::StepName,
        step: &super::tally::StepTally,
        facts: &RunFacts,
    ) {
        let start_ms = self.start_ms;
        for outcome in &step.outcomes {
            let mut labels = base.clone();
            labels
                .set("http_request_method", &name.method)
                .set("server_address", &facts.address)
                .set("server_port", &facts.port.to_string());
            if let Some(status) = outcome.outcome.status {
                labels.set("http_response_status_code", &status.to_string());
            }
            if let Some(error) = outcome.outcome.error {
                labels.set("error_type", &error.to_string());
            }
            let labels = labels.build();
            self.histogram(&names::REQUEST_DURATION, labels.clone(), &outcome.duration, outcome.born_ms);
            self.histogram(&names::REQUEST_LATENCY, labels, &outcome.latency, outcome.born_ms);
        }
        for (part, histogram) in step.parts() {
            self.histogram(&names::REQUEST_PART, with(base, &[("part", part)]), histogram, start_ms);
        }
        self.counter(&names::REQUESTS_GOOD, base.build(), step.good as f64);
        self.counter(&names::REQUEST_RETRIES, base.build(), step.retries as f64);
        self.counter(&names::BYTES_RECEIVED, base.build(), step.received as f64);
        self.counter(&names::BYTES_SENT, base.build(), step.sent as f64);
        let Some(stream) = &step.stream else { return };
        let mut base = base.clone();
        base.set("gen_ai_operation_name", name.operation);
        for (error, histogram, born_ms) in &stream.durations {
            let mut labels = base.clone();
            if let Some(error) = error {
                labels.set("error_type", &error.to_string());
            }
            self.histogram(&names::GEN_AI_DURATION, labels.build(), histogram, *born_ms);
        }
        self.histogram(&names::GEN_AI_FIRST_CHUNK, base.build(), &stream.first_chunk, start_ms);
        self.histogram(&names::GEN_AI_PER_CHUNK, base.build(), &stream.per_chunk, start_ms);
        for (kind, tokens) in [("input", &stream.input_tokens), ("output", &stream.output_tokens)] {
            self.histogram(
                &names::GEN_AI_TOKENS,
                with(&base, &[("gen_ai_token_type", kind)]),
                tokens,
                start_ms,
            );
        }
    }

    fn counter(&mut self, instrument: &Instrument, labels: Labels, value: f64) {
        let start_ms = self.start_ms;
        self.push(instrument, Metric::new(labels, MetricValue::Float(value)).since(start_ms));
    }

    fn histogram(&mut self, instrument: &Instrument, labels: Labels, h: &ExponentialHistogram, born_ms: i64) {
        let value = MetricValue::Histogram(HistogramValue::native(h.snapshot()));
        self.push(instrument, Metric::new(labels, value).since(born_ms));
    }

    fn push(&mut self, instrument: &Instrument, metric: Metric) {
        if let Some(family) = self.families.iter_mut().find(|f| f.name == instrument.prometheus) {
            family.push(metric);
        }
    }
}
