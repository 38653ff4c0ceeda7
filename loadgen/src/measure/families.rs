//! From totals to series. Invariant: every series that can be foreseen is there from the first call on, at
//! zero, so that an increase over a phase loses nothing.

use std::time::Duration;

use assay_model::{
    Labels, LabelsBuilder,
    expo::{HistogramValue, Metric, MetricFamily, MetricValue},
    histogram::ExponentialHistogram,
};

use super::{
    names::{self, Instrument},
    plan::{self, PhaseCourse, RunOutcome},
    tally::{Outcome, Tally},
};
use crate::{
    client::ErrorClass,
    scenario::{Phase, Scenario, StepName},
};

/// The totals of a phase, with what is known of it now.
#[derive(Clone, Debug)]
pub(crate) struct PhaseTotals {
    pub(crate) phase: Phase,
    pub(crate) tally: Tally,
    pub(crate) users: i64,
    /// Iterations each second that the schedule intends now.
    pub(crate) rate_target: Option<f64>,
    pub(crate) course: PhaseCourse,
}

/// What all series of a run share, and what belongs to no phase.
#[derive(Clone, Debug)]
pub(crate) struct RunFacts {
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) start_ms: i64,
    pub(crate) export_failures: u64,
    pub(crate) export_delay: Duration,
    pub(crate) cpu_s: f64,
    /// What distinguishes this run's series from another's.
    pub(crate) run: String,
    /// The mode, empty if none was chosen.
    pub(crate) mode: String,
    /// Which shard of how many, such as `0/3`.
    pub(crate) shard: String,
    pub(crate) outcome: RunOutcome,
}

/// The failures of every service that a step can be foreseen to have, in addition to a status that it does not expect.
const FORESEEN: [ErrorClass; 4] =
    [ErrorClass::Timeout, ErrorClass::Reset, ErrorClass::Refused, ErrorClass::Unfinished];
/// The statuses of failures that can be foreseen.
const FORESEEN_STATUSES: [u16; 5] = [429, 500, 502, 503, 504];

/// The outcomes that a step can be foreseen to have, the expected one first.
fn foreseen(step: &StepName) -> Vec<Outcome> {
    let mut outcomes = vec![Outcome { status: Some(step.status), error: None }];
    outcomes.extend(FORESEEN.map(|class| Outcome { status: None, error: Some(class) }));
    let statuses = FORESEEN_STATUSES.into_iter().filter(|status| *status != step.status);
    outcomes.extend(statuses.map(|s| Outcome { status: Some(s), error: Some(ErrorClass::Status(s)) }));
    let mut with_response = |class| outcomes.push(Outcome { status: Some(step.status), error: Some(class) });
    if step.has_checks {
        with_response(ErrorClass::Check);
    }
    if step.is_stream {
        with_response(ErrorClass::CutStream);
        with_response(ErrorClass::ReportedError);
    }
    outcomes
}

impl PhaseTotals {
    /// Totals at zero, with the outcomes that each step can be foreseen to have: a failure that is counted from zero
    /// on is in every increase, however it is exported.
    pub(crate) fn new(scenario: &Scenario, phase: Phase, start_ms: i64) -> Self {
        let mut tally = Tally::of(scenario);
        let steps = tally.steps.iter_mut().zip(&scenario.steps).enumerate();
        for (_, (step, name)) in steps.filter(|(id, _)| scenario.is_step_of(&phase, *id)) {
            for outcome in foreseen(name) {
                step.outcome(outcome, start_ms);
                if let Some(stream) = &mut step.stream {
                    stream.duration(outcome.error, start_ms);
                }
            }
        }
        Self { phase, tally, users: 0, rate_target: None, course: PhaseCourse::default() }
    }
}

/// All families of a run as it is.
pub(crate) fn families(scenario: &Scenario, facts: &RunFacts, phases: &[PhaseTotals]) -> Vec<MetricFamily> {
    let mut out = Output {
        families: names::INSTRUMENTS
            .iter()
            .map(|i| MetricFamily::new(i.kind, i.prometheus, i.help))
            .collect(),
        start_ms: facts.start_ms,
    };
    let mut run = LabelsBuilder::new();
    run.set("load_scenario", &scenario.name).set("load_run", &facts.run);
    plan::run(&mut out, &run, facts);
    for totals in phases {
        let mut base = run.clone();
        base.set("load_phase", &totals.phase.name);
        plan::phase(&mut out, &base, totals);
        out.phase(&base, totals);
        let checks = scenario.checks.iter().enumerate();
        for (i, check) in checks.filter(|(_, check)| scenario.is_step_of(&totals.phase, check.step)) {
            let counts = totals.tally.checks.get(i).copied().unwrap_or_default();
            let step = scenario.steps.get(check.step).map_or("", |s| s.name.as_str());
            for (result, count) in ["pass", "fail"].into_iter().zip(counts) {
                let labels = with(&base, &[("load_step", step), ("check", &check.name), ("result", result)]);
                out.counter(&names::CHECKS, labels, count as f64);
            }
        }
        let steps = scenario.steps.iter().zip(&totals.tally.steps).enumerate();
        for (_, (name, step)) in steps.filter(|(id, _)| scenario.is_step_of(&totals.phase, *id)) {
            let mut base = base.clone();
            base.set("load_step", &name.name);
            out.step(&base, name, step, facts);
        }
    }
    out.counter(&names::EXPORT_FAILURES, run.build(), facts.export_failures as f64);
    out.gauge(&names::EXPORT_DELAY, run.build(), facts.export_delay.as_secs_f64());
    out.counter(&names::CPU_TIME, run.build(), facts.cpu_s);
    out.families.retain(|f| !f.metrics.is_empty());
    out.families
}

pub(super) fn with(base: &LabelsBuilder, more: &[(&str, &str)]) -> Labels {
    let mut labels = base.clone();
    for (name, value) in more {
        labels.set(name, value);
    }
    labels.build()
}

/// The families so far.
pub(super) struct Output {
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
        self.gauge(&names::USERS, base.build(), totals.users as f64);
        if let Some(rate) = totals.rate_target {
            self.gauge(&names::RATE_TARGET, base.build(), rate);
        }
    }

    fn step(
        &mut self,
        base: &LabelsBuilder,
        name: &StepName,
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
        let times = || step.outcomes.iter().map(|outcome| &outcome.duration);
        let least = times().filter_map(ExponentialHistogram::min).reduce(f64::min);
        let greatest = times().filter_map(ExponentialHistogram::max).reduce(f64::max);
        for (instrument, value) in [(&names::REQUEST_MIN, least), (&names::REQUEST_MAX, greatest)] {
            if let Some(value) = value {
                self.gauge(instrument, base.build(), value);
            }
        }
        for (part, histogram) in step.parts() {
            self.histogram(&names::REQUEST_PART, with(base, &[("part", part)]), histogram, start_ms);
        }
        self.counter(&names::REQUESTS_GOOD, base.build(), step.good as f64);
        self.counter(&names::REQUEST_RETRIES, base.build(), step.retries as f64);
        self.counter(&names::REQUESTS_INTERRUPTED, base.build(), step.interrupted as f64);
        self.counter(&names::REQUESTS_CANCELLED, base.build(), step.cancelled[0] as f64);
        self.counter(&names::TOKENS_CANCELLED, base.build(), step.cancelled[1] as f64);
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
        self.histogram(&names::GEN_AI_PER_TOKEN, base.build(), &stream.per_token, start_ms);
        for (kind, tokens) in [("input", &stream.input_tokens), ("output", &stream.output_tokens)] {
            self.histogram(
                &names::GEN_AI_TOKENS,
                with(&base, &[("gen_ai_token_type", kind)]),
                tokens,
                start_ms,
            );
        }
        self.counter(&names::TOKENS_CACHED, base.build(), stream.cached_tokens as f64);
        self.counter(&names::TOKENS_REASONING, base.build(), stream.reasoning_tokens as f64);
    }

    pub(super) fn gauge(&mut self, instrument: &Instrument, labels: Labels, value: f64) {
        self.push(instrument, Metric::new(labels, MetricValue::Float(value)));
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
