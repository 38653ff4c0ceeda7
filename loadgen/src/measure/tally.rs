//! Tallies: counts and histograms of one worker since the last tick, or of one phase in all.
//!
//! Invariant: merging tallies gives what one tally of everything would hold.

use std::time::{Duration, Instant};

use assay_model::histogram::ExponentialHistogram;

use crate::{
    client::ErrorClass,
    scenario::{Scenario, Tokens},
};

/// Buckets of a histogram: at the finest schema enough for all latencies within a factor of four, and for a
/// spread of four orders of magnitude still within 1 %.
const MAX_BUCKETS: usize = 512;

/// How a request ended. Both are there where a response came and was not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Outcome {
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<ErrorClass>,
}

/// How long the parts of a request took; `None` for a part that did not take place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Looking up the name.
    pub(crate) lookup: Option<Duration>,
    /// The TCP handshake, through a proxy to its end.
    pub(crate) connecting: Option<Duration>,
    /// The TLS handshake.
    pub(crate) tls: Option<Duration>,
    /// From the first byte written to the last.
    pub(crate) sending: Option<Duration>,
    /// From the last byte written to the first read.
    pub(crate) waiting: Option<Duration>,
    /// From the first byte read to the last.
    pub(crate) receiving: Option<Duration>,
}

/// How many parts there are.
const PARTS: usize = 6;

impl Parts {
    /// The parts with the values of the label `part`, in order.
    fn all(&self) -> [(&'static str, Option<Duration>); PARTS] {
        [
            ("lookup", self.lookup),
            ("connecting", self.connecting),
            ("tls", self.tls),
            ("sending", self.sending),
            ("waiting", self.waiting),
            ("receiving", self.receiving),
        ]
    }
}

/// One request, measured.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) step: usize,
    /// The user, from 0.
    pub(crate) user: u32,
    /// When the first byte was sent; when it began, if none was.
    pub(crate) sent_at: Instant,
    pub(crate) outcome: Outcome,
    /// From the first byte sent to the end.
    pub(crate) duration: Duration,
    /// From the scheduled instant to the end.
    pub(crate) latency: Duration,
    pub(crate) parts: Parts,
    pub(crate) is_good: bool,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) generation: Option<Generation>,
}

/// The measures of one streamed generation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generation {
    /// From the first byte sent to the last content; to the end where there was none.
    pub(crate) duration: Duration,
    pub(crate) first_chunk: Option<Duration>,
    /// From the first content to the last, for each output token after the first.
    pub(crate) per_token: Option<Duration>,
    /// As the server counts them; of a stream without a count, the output is the chunks.
    pub(crate) tokens: Tokens,
    /// Whether the server counted the output tokens.
    pub(crate) is_counted: bool,
    /// Whether it came in events.
    pub(crate) is_stream: bool,
}

/// A histogram with the buckets that measuring needs.
pub(crate) fn histogram() -> ExponentialHistogram {
    ExponentialHistogram::new(MAX_BUCKETS)
}

/// Everything tallied.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) steps: Vec<StepTally>,
    /// Passed and failed, by check.
    pub(crate) checks: Vec<[u64; 2]>,
    pub(crate) iterations: u64,
    pub(crate) dropped: u64,
    pub(crate) iteration_duration: ExponentialHistogram,
    pub(crate) lag: ExponentialHistogram,
    /// Each request by itself, where they are kept.
    requests: Option<Vec<Measured>>,
}

/// What was tallied of one step.
#[derive(Clone, Debug)]
pub(crate) struct StepTally {
    pub(crate) outcomes: Vec<OutcomeTally>,
    parts: [ExponentialHistogram; PARTS],
    pub(crate) good: u64,
    pub(crate) retries: u64,
    /// Requests that a person's stop cut off.
    pub(crate) interrupted: u64,
    /// Requests that their clients cancelled, and the output tokens that had come by then.
    pub(crate) cancelled: [u64; 2],
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) stream: Option<Box<StreamTally>>,
}

/// The times of the requests that ended one way.
#[derive(Clone, Debug)]
pub(crate) struct OutcomeTally {
    pub(crate) outcome: Outcome,
    pub(crate) duration: ExponentialHistogram,
    pub(crate) latency: ExponentialHistogram,
    /// Since when the series exist, in milliseconds since the Unix epoch; set when merged into a total.
    pub(crate) born_ms: i64,
}

/// What was tallied of generations.
#[derive(Clone, Debug)]
pub(crate) struct StreamTally {
    pub(crate) durations: Vec<(Option<ErrorClass>, ExponentialHistogram, i64)>,
    pub(crate) first_chunk: ExponentialHistogram,
    pub(crate) per_chunk: ExponentialHistogram,
    pub(crate) per_token: ExponentialHistogram,
    pub(crate) input_tokens: ExponentialHistogram,
    pub(crate) output_tokens: ExponentialHistogram,
    /// Of the input tokens, those that were in a cache.
    pub(crate) cached_tokens: u64,
    /// Of the output tokens, those of reasoning.
    pub(crate) reasoning_tokens: u64,
    /// Generations whose output tokens are chunks that were counted here.
    pub(crate) uncounted: u64,
    /// Streams that succeeded and in which no content was recognised.
    pub(crate) without_content: u64,
}

impl Tally {
    /// An empty tally for a scenario.
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let streams: Vec<bool> = scenario.steps.iter().map(|s| s.is_stream).collect();
        Self::new(&streams, scenario.checks.len())
    }

    /// An empty tally for a scenario's steps (true where they stream) and number of checks.
    fn new(steps: &[bool], checks: usize) -> Self {
        Self {
            steps: steps.iter().map(|is_stream| StepTally::new(*is_stream)).collect(),
            checks: vec![[0; 2]; checks],
            iterations: 0,
            dropped: 0,
            iteration_duration: histogram(),
            lag: histogram(),
            requests: None,
        }
    }

    /// Keeps each request by itself too, until they are taken.
    pub(crate) fn keep_requests(&mut self) {
        self.requests = Some(Vec::new());
    }

    /// The requests that were kept since the last time.
    pub(crate) fn take_requests(&mut self) -> Vec<Measured> {
        self.requests.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Counts a request.
    pub(crate) fn request(&mut self, m: &Measured) {
        if let Some(requests) = &mut self.requests {
            requests.push(m.clone());
        }
        let Some(step) = self.steps.get_mut(m.step) else { return };
        let tally = step.outcome(m.outcome, 0);
        tally.duration.record(m.duration.as_secs_f64());
        tally.latency.record(m.latency.as_secs_f64());
        for (histogram, (_, part)) in step.parts.iter_mut().zip(m.parts.all()) {
            if let Some(part) = part {
                histogram.record(part.as_secs_f64());
            }
        }
        step.good += u64::from(m.is_good);
        step.received += m.received;
        step.sent += m.sent;
        if let (Some(stream), Some(generation)) = (&mut step.stream, &m.generation) {
            stream.generation(generation, m.outcome.error);
        }
    }

    /// Counts a gap between two pieces of content.
    pub(crate) fn chunk_gap(&mut self, step: usize, gap: Duration) {
        if let Some(stream) = self.steps.get_mut(step).and_then(|s| s.stream.as_mut()) {
            stream.per_chunk.record(gap.as_secs_f64());
        }
    }

    /// Counts a request that is sent again.
    pub(crate) fn retry(&mut self, step: usize) {
        if let Some(step) = self.steps.get_mut(step) {
            step.retries += 1;
        }
    }

    /// Counts a request that a person's stop cut off.
    pub(crate) fn interrupted(&mut self, step: usize) {
        if let Some(step) = self.steps.get_mut(step) {
            step.interrupted += 1;
        }
    }

    /// Counts a request that its client cancelled after so many output tokens.
    pub(crate) fn cancelled(&mut self, step: usize, tokens: u64) {
        if let Some(step) = self.steps.get_mut(step) {
            step.cancelled[0] += 1;
            step.cancelled[1] += tokens;
        }
    }

    /// Counts a check's result.
    pub(crate) fn check(&mut self, check: usize, passed: bool) {
        if let Some(counts) = self.checks.get_mut(check) {
            counts[usize::from(!passed)] += 1;
        }
    }

    /// Adds what another tally of the same scenario holds; series that are new were born at `born_ms`.
    pub(crate) fn merge(&mut self, other: &Self, born_ms: i64) {
        for (step, more) in self.steps.iter_mut().zip(&other.steps) {
            step.merge(more, born_ms);
        }
        for (counts, more) in self.checks.iter_mut().zip(&other.checks) {
            counts[0] += more[0];
            counts[1] += more[1];
        }
        self.iterations += other.iterations;
        self.dropped += other.dropped;
        self.iteration_duration.merge(&other.iteration_duration);
        self.lag.merge(&other.lag);
    }

    /// Forgets everything and keeps the memory.
    pub(crate) fn clear(&mut self) {
        for step in &mut self.steps {
            step.clear();
        }
        self.checks.fill([0; 2]);
        self.iterations = 0;
        self.dropped = 0;
        self.iteration_duration.clear();
        self.lag.clear();
    }
}

impl StepTally {
    fn new(is_stream: bool) -> Self {
        Self {
            outcomes: Vec::new(),
            parts: std::array::from_fn(|_| histogram()),
            good: 0,
            retries: 0,
            interrupted: 0,
            cancelled: [0; 2],
            received: 0,
            sent: 0,
            stream: is_stream.then(|| Box::new(StreamTally::new())),
        }
    }

    /// The tally of an outcome, made where it is new.
    pub(crate) fn outcome(&mut self, outcome: Outcome, born_ms: i64) -> &mut OutcomeTally {
        // A step has a handful of outcomes; a search is faster than a hash.
        let at = match self.outcomes.iter().position(|t| t.outcome == outcome) {
            Some(at) => at,
            None => {
                let (duration, latency) = (histogram(), histogram());
                self.outcomes.push(OutcomeTally { outcome, duration, latency, born_ms });
                self.outcomes.len() - 1
            }
        };
        &mut self.outcomes[at]
    }

    /// The times of the parts of requests, with the values of the label `part`.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&'static str, &ExponentialHistogram)> {
        Parts::default().all().into_iter().map(|(name, _)| name).zip(&self.parts)
    }

    /// All requests and those that failed.
    pub(crate) fn counts(&self) -> (u64, u64) {
        self.outcomes.iter().fold((0, 0), |(all, failed), o| {
            let n = o.duration.count();
            (all + n, failed + if o.outcome.error.is_some() { n } else { 0 })
        })
    }

    fn merge(&mut self, other: &Self, born_ms: i64) {
        for more in other.outcomes.iter().filter(|o| o.duration.count() > 0) {
            let tally = self.outcome(more.outcome, born_ms);
            tally.duration.merge(&more.duration);
            tally.latency.merge(&more.latency);
        }
        for (part, more) in self.parts.iter_mut().zip(&other.parts) {
            part.merge(more);
        }
        self.good += other.good;
        self.retries += other.retries;
        self.interrupted += other.interrupted;
        self.cancelled[0] += other.cancelled[0];
        self.cancelled[1] += other.cancelled[1];
        self.received += other.received;
        self.sent += other.sent;
        if let (Some(stream), Some(more)) = (&mut self.stream, &other.stream) {
            stream.merge(more, born_ms);
        }
    }

    fn clear(&mut self) {
        for outcome in &mut self.outcomes {
            outcome.duration.clear();
            outcome.latency.clear();
        }
        self.parts.iter_mut().for_each(ExponentialHistogram::clear);
        (self.good, self.retries, self.interrupted, self.cancelled) = (0, 0, 0, [0; 2]);
        (self.received, self.sent) = (0, 0);
        if let Some(stream) = &mut self.stream {
            stream.clear();
        }
    }
}

impl StreamTally {
    fn new() -> Self {
        Self {
            durations: Vec::new(),
            first_chunk: histogram(),
            per_chunk: histogram(),
            per_token: histogram(),
            input_tokens: histogram(),
            output_tokens: histogram(),
            cached_tokens: 0,
            reasoning_tokens: 0,
            uncounted: 0,
            without_content: 0,
        }
    }

    fn generation(&mut self, generation: &Generation, error: Option<ErrorClass>) {
        self.duration(error, 0).record(generation.duration.as_secs_f64());
        if let Some(first) = generation.first_chunk {
            self.first_chunk.record(first.as_secs_f64());
        }
        if let Some(time) = generation.per_token {
            self.per_token.record(time.as_secs_f64());
        }
        let tokens = generation.tokens;
        self.cached_tokens += tokens.cached.unwrap_or(0);
        self.reasoning_tokens += tokens.reasoning.unwrap_or(0);
        if let Some(tokens) = tokens.input {
            self.input_tokens.record(tokens as f64);
        }
        if let Some(tokens) = tokens.output {
            self.output_tokens.record(tokens as f64);
            self.uncounted += u64::from(!generation.is_counted);
        }
        self.without_content +=
            u64::from(generation.is_stream && generation.first_chunk.is_none() && error.is_none());
    }

    /// The durations of generations that ended one way, made if they are new.
    pub(crate) fn duration(&mut self, error: Option<ErrorClass>, born_ms: i64) -> &mut ExponentialHistogram {
        let at = match self.durations.iter().position(|(e, _, _)| *e == error) {
            Some(at) => at,
            None => {
                self.durations.push((error, histogram(), born_ms));
                self.durations.len() - 1
            }
        };
        &mut self.durations[at].1
    }

    fn merge(&mut self, other: &Self, born_ms: i64) {
        for (error, more, _) in other.durations.iter().filter(|(_, h, _)| h.count() > 0) {
            self.duration(*error, born_ms).merge(more);
        }
        self.first_chunk.merge(&other.first_chunk);
        self.per_chunk.merge(&other.per_chunk);
        self.per_token.merge(&other.per_token);
        self.input_tokens.merge(&other.input_tokens);
        self.output_tokens.merge(&other.output_tokens);
        self.cached_tokens += other.cached_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
        self.uncounted += other.uncounted;
        self.without_content += other.without_content;
    }

    fn clear(&mut self) {
        self.durations.iter_mut().for_each(|(_, h, _)| h.clear());
        self.first_chunk.clear();
        self.per_chunk.clear();
        self.per_token.clear();
        self.input_tokens.clear();
        self.output_tokens.clear();
        (self.cached_tokens, self.reasoning_tokens) = (0, 0);
        (self.uncounted, self.without_content) = (0, 0);
    }
}

#[cfg(test)]
mod tests;
