//! What the service shows on `/metrics`.
//!
//! Invariant: every series that can be foreseen is there at zero from the start, so that an increase over a short
//! run loses nothing.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use assay_model::{
    ExponentialHistogram, Labels, MetricType,
    expo::{Bucket, HistogramValue, Metric, MetricFamily, MetricValue},
};
use exporter::Families;

use super::options::Role;

/// The stages of a query, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Checking the password or the token.
    Auth,
    /// The question's vector, and the wait for it.
    Embed,
    /// The passages, and the wait for them.
    Search,
    /// Putting the prompt together.
    Prompt,
    /// The answer, from entering the queue to the last token.
    Generate,
}

impl Stage {
    const ALL: [Self; 5] = [Self::Auth, Self::Embed, Self::Search, Self::Prompt, Self::Generate];

    fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Embed => "embed",
            Self::Search => "search",
            Self::Prompt => "prompt",
            Self::Generate => "generate",
        }
    }
}

/// How a query ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With its whole answer.
    Ok,
    /// With an error of the service.
    Error,
    /// Turned away, because too many wait.
    Rejected,
    /// The client left before the end.
    Cancelled,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Ok, Self::Error, Self::Rejected, Self::Cancelled];

    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The routes, with the statuses that they answer with.
const ROUTES: [(&str, &str, &[u16]); 4] = [
    ("GET", "/health", &[200]),
    ("GET", "/metrics", &[200]),
    ("POST", "/login", &[200, 400, 401]),
    ("POST", "/query", &[200, 400, 401, 500, 503]),
];

/// Semantic conventions' advice for durations of HTTP requests, and for those of models up to 82 s.
const CLASSIC_BOUNDS_S: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0,
];

/// The model's name in the `gen_ai_*` metrics and in answers.
pub const MODEL: &str = "assay-queueing-model";

const GEN_AI_LABELS: [(&str, &str); 3] =
    [("gen_ai_operation_name", "chat"), ("gen_ai_provider_name", "assay"), ("gen_ai_request_model", MODEL)];

/// A histogram for each label set.
struct Histograms {
    name: &'static str,
    help: &'static str,
    cells: Mutex<BTreeMap<Labels, Cell>>,
}

struct Cell {
    native: ExponentialHistogram,
    /// By classic bucket, each by itself.
    classic: [u64; CLASSIC_BOUNDS_S.len() + 1],
}

impl Histograms {
    fn new(name: &'static str, help: &'static str, foreseen: impl IntoIterator<Item = Labels>) -> Self {
        let cells = foreseen.into_iter().map(|labels| (labels, Cell::default())).collect();
        Self { name, help, cells: Mutex::new(cells) }
    }

    fn record(&self, labels: Labels, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = cells.entry(labels).or_default();
        cell.native.record(seconds);
        cell.classic[CLASSIC_BOUNDS_S.partition_point(|bound| *bound < seconds)] += 1;
    }

    fn family(&self, with_classic: bool) -> MetricFamily {
        let mut family = MetricFamily::histogram(self.name, self.help);
        for (labels, cell) in self.cells.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let mut value = HistogramValue::native(cell.native.snapshot());
            if with_classic {
                value.buckets = cell.buckets();
            }
            family.push(Metric::new(labels.clone(), MetricValue::Histogram(value)));
        }
        family
    }
}

impl Default for Cell {
    fn default() -> Self {
        Self { native: ExponentialHistogram::default(), classic: [0; CLASSIC_BOUNDS_S.len() + 1] }
    }
}

impl Cell {
    fn buckets(&self) -> Vec<Bucket> {
        HistogramValue::classic(&CLASSIC_BOUNDS_S, &self.classic, self.native.sum()).buckets
    }
}

/// The service's metrics. Recording costs a lock that is held for less than a microsecond.
pub struct Metrics {
    stages: Histograms,
    requests: Histograms,
    generations: Histograms,
    first_tokens: Histograms,
    per_token: Histograms,
    queries: BTreeMap<(&'static str, &'static str), AtomicU64>,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
    classic_buckets: bool,
}

/// What is read at the time of a scrape.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    /// Answers being generated.
    pub llm_active: usize,
    /// Answers that wait for a slot.
    pub llm_queued: usize,
    /// Answers that can be generated at once.
    pub llm_slots: usize,
    /// Passages there are.
    pub passages: usize,
}

impl Metrics {
    /// All foreseen series, at zero.
    #[must_use]
    pub fn new(classic_buckets: bool) -> Self {
        let stages = Stage::ALL.map(stage_labels);
        let requests = ROUTES.iter().flat_map(|(method, route, statuses)| {
            statuses.iter().map(|status| request_labels(method, Some(route), *status))
        });
        let gen_ai = || [Labels::from_pairs(GEN_AI_LABELS)];
        let queries = Role::ALL
            .iter()
            .flat_map(|role| Outcome::ALL.map(|outcome| (role.as_str(), outcome.as_str())))
            .map(|key| (key, AtomicU64::new(0)))
            .collect();
        Self {
            stages: Histograms::new(
                "rag_stage_duration_seconds",
                "Seconds that a stage of a query took.",
                stages,
            ),
            requests: Histograms::new(
                "http_server_request_duration_seconds",
                "Seconds from a request's head to the end of its response.",
                requests,
            ),
            generations: Histograms::new(
                "gen_ai_server_request_duration_seconds",
                "Seconds from entering the model's queue to the last token.",
                gen_ai(),
            ),
            first_tokens: Histograms::new(
                "gen_ai_server_time_to_first_token_seconds",
                "Seconds from entering the model's queue to the first token.",
                gen_ai(),
            ),
            per_token: Histograms::new(
                "gen_ai_server_time_per_output_token_seconds",
                "Seconds between tokens after the first, by answer.",
                gen_ai(),
            ),
            queries,
            input_tokens: AtomicU64::new(0),
            output_tokens: AtomicU64::new(0),
            classic_buckets,
        }
    }

    /// A stage is done.
    pub fn stage(&self, stage: Stage, duration: Duration) {
        self.stages.record(stage_labels(stage), duration);
    }

    /// A response is done; `route` is `None` for a path that there is not.
    pub fn request(&self, method: &str, route: Option<&str>, status: u16, duration: Duration) {
        self.requests.record(request_labels(method, route, status), duration);
    }

    /// A query has ended.
    pub fn query(&self, role: Role, outcome: Outcome) {
        if let Some(n) = self.queries.get(&(role.as_str(), outcome.as_str())) {
            n.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The first token of an answer has come.
    pub fn first_token(&self, after: Duration) {
        self.first_tokens.record(Labels::from_pairs(GEN_AI_LABELS), after);
    }

    /// An answer is done: how long it took in all and to its first token, and how many tokens went in and came out.
    pub fn generation(&self, duration: Duration, first: Duration, input: u32, output: u32) {
        self.generations.record(Labels::from_pairs(GEN_AI_LABELS), duration);
        if output > 1 {
            self.per_token.record(Labels::from_pairs(GEN_AI_LABELS), (duration - first) / (output - 1));
        }
        self.input_tokens.fetch_add(input.into(), Ordering::Relaxed);
        self.output_tokens.fetch_add(output.into(), Ordering::Relaxed);
    }

    /// Everything as it stands, sorted by name, the process' own metrics among it.
    #[must_use]
    pub fn families(&self, gauges: Gauges) -> Vec<MetricFamily> {
        let mut out = Families::new();
        for ((role, outcome), n) in &self.queries {
            let labels = [("role", *role), ("outcome", *outcome)];
            let n = n.load(Ordering::Relaxed) as f64;
            out.counter("rag_queries_total", "Queries that have ended.", &labels, n);
        }
        for (direction, n) in [("input", &self.input_tokens), ("output", &self.output_tokens)] {
            let n = n.load(Ordering::Relaxed) as f64;
            let labels = [("gen_ai_token_type", direction)];
            out.counter("rag_llm_tokens_total", "Tokens read and written by the model.", &labels, n);
        }
        out.gauge("rag_llm_active", "Answers being generated.", &[], gauges.llm_active as f64);
        out.gauge("rag_llm_queued", "Answers that wait for a slot.", &[], gauges.llm_queued as f64);
        out.gauge("rag_llm_slots", "Answers that can be generated at once.", &[], gauges.llm_slots as f64);
        out.gauge("rag_passages", "Passages that answers are drawn from.", &[], gauges.passages as f64);
        exporter::process::own(&mut out);
        for histograms in
            [&self.stages, &self.requests, &self.generations, &self.first_tokens, &self.per_token]
        {
            let family = histograms.family(self.classic_buckets);
            for metric in family.metrics {
                out.push(MetricType::Histogram, &family.name, &family.help, metric);
            }
        }
        out.finish()
    }
}

fn stage_labels(stage: Stage) -> Labels {
    Labels::from_pairs([("stage", stage.as_str())])
}

fn request_labels(method: &str, route: Option<&str>, status: u16) -> Labels {
    // Anyone can make up a method; the conventions have a word for those.
    let method = match method {
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH" => method,
        _ => "_OTHER",
    };
    Labels::from_pairs([
        ("http_request_method", method),
        ("http_route", route.unwrap_or_default()),
        ("http_response_status_code", &status.to_string()),
    ])
}

/// The route of a path, where there is one.
pub(super) fn route(path: &str) -> Option<&'static str> {
    ROUTES.iter().map(|(_, route, _)| *route).find(|route| *route == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_there_at_zero_and_count() {
        let metrics = Metrics::new(true);
        let find = |families: &[MetricFamily], name: &str| {
            families.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("{name} is missing")).clone()
        };
        let families = metrics.families(Gauges::default());
        assert_eq!(find(&families, "rag_stage_duration_seconds").metrics.len(), 5);
        assert_eq!(find(&families, "rag_queries_total").metrics.len(), 12);
        assert_eq!(find(&families, "http_server_request_duration_seconds").metrics.len(), 10);

        metrics.generation(Duration::from_millis(1100), Duration::from_millis(100), 400, 101);
        let families = metrics.families(Gauges::default());
        let per_token = find(&families, "gen_ai_server_time_per_output_token_seconds");
        let MetricValue::Histogram(value) = &per_token.metrics[0].value else { panic!("no histogram") };
        assert!((value.sum - 0.01).abs() < 1e-9 && value.count == 1.0);
        let counts: Vec<f64> = value.buckets.iter().map(|b| b.cumulative_count).collect();
        assert_eq!((counts[2], counts[3], counts.len()), (0.0, 1.0, 19), "bounds are inclusive");
    }

    #[test]
    fn made_up_methods_and_paths_make_no_series() {
        assert_eq!(request_labels("BREW", None, 405).get("http_request_method"), Some("_OTHER"));
        assert_eq!((route("/query"), route("/query/1")), (Some("/query"), None));
    }
}
