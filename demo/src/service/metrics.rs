//! What the service shows on `/metrics`: counters and gauges by prometheus-client, histograms by crates/model.
//!
//! Invariant: every series that can be foreseen is there at zero from the start, so that an increase over a short
//! run loses nothing; no label holds what a client made up.

mod histograms;

use std::time::Duration;

use assay_model::{
    Labels,
    expo::{Dialect, MetricFamily, parse_families},
};
use exporter::Families;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use self::histograms::Histograms;
pub(crate) use self::histograms::Trace;
use super::{
    cache::CacheResult,
    faults::{Fault, Kind},
    llm::LlmLoad,
    role::Role,
};

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
    /// The answer, from entering the model's queue to the last token.
    Generate,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Auth, Self::Embed, Self::Search, Self::Prompt, Self::Generate];

    /// The stage in metrics, spans and errors.
    #[must_use]
    pub fn as_str(self) -> &'static str {
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
pub(crate) enum Outcome {
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

/// The routes, with the statuses that they commonly answer with.
const ROUTES: [(&str, &str, &[u16]); 11] = [
    ("GET", "/health", &[200]),
    ("GET", "/ready", &[200, 503]),
    ("GET", "/metrics", &[200]),
    ("POST", "/login", &[200, 400, 401, 429]),
    ("POST", "/query", &[200, 400, 401, 404, 429, 500, 503]),
    ("GET", "/v1/models", &[200, 401]),
    ("POST", "/v1/embeddings", &[200, 400, 401, 503]),
    ("POST", "/v1/search", &[200, 400, 401, 503]),
    ("POST", "/v1/chat/completions", &[200, 400, 401, 503]),
    ("GET", "/admin/fault", &[200]),
    ("POST", "/admin/fault", &[200]),
];

/// The name of the index in spans and metrics.
pub(crate) const COLLECTION: &str = "clinical-passages";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueryLabels {
    role: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaultLabel {
    fault: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabel {
    gen_ai_token_type: &'static str,
}

/// The service's metrics. Recording costs a lock that is held for less than a microsecond.
pub(crate) struct Metrics {
    registry: Registry,
    queries: Family<QueryLabels, Counter>,
    cache: Family<ResultLabel, Counter>,
    logins: Family<ResultLabel, Counter>,
    tokens: Family<TokenLabel, Counter>,
    llm_active: Gauge,
    llm_queued: Gauge,
    llm_slots: Gauge,
    passages: Gauge,
    ready: Family<StageLabel, Gauge>,
    faults: Family<FaultLabel, Gauge<f64, std::sync::atomic::AtomicU64>>,
    stages: Histograms,
    requests: Histograms,
    generations: Histograms,
    first_tokens: Histograms,
    per_token: Histograms,
    db: Histograms,
    gen_ai: Labels,
    db_labels: Labels,
    classic_buckets: bool,
}

/// What is read at the time of a scrape.
#[derive(Debug, Default)]
pub(crate) struct Now {
    pub(crate) llm: LlmLoad,
    pub(crate) passages: usize,
    /// For each part, whether it is there.
    pub(crate) ready: Vec<(Stage, bool)>,
    pub(crate) faults: Vec<Fault>,
}

/// What the parts are called.
pub(crate) struct Names<'a> {
    pub(crate) model: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) db_system: &'a str,
}

impl Metrics {
    /// All foreseen series, at zero.
    pub(crate) fn new(names: &Names<'_>, classic_buckets: bool) -> Self {
        let gen_ai = Labels::from_pairs([
            ("gen_ai_operation_name", "chat"),
            ("gen_ai_provider_name", names.provider),
            ("gen_ai_request_model", names.model),
        ]);
        let db_labels = Labels::from_pairs([
            ("db_collection_name", COLLECTION),
            ("db_operation_name", "query"),
            ("db_system_name", names.db_system),
        ]);
        let requests = ROUTES.iter().flat_map(|(method, route, statuses)| {
            statuses.iter().map(|status| request_labels(method, Some(route), *status))
        });
        let seconds = |name, help| Histograms::new(name, help, [gen_ai.clone()]);
        let mut metrics = Self {
            registry: Registry::default(),
            queries: Family::default(),
            cache: Family::default(),
            logins: Family::default(),
            tokens: Family::default(),
            llm_active: Gauge::default(),
            llm_queued: Gauge::default(),
            llm_slots: Gauge::default(),
            passages: Gauge::default(),
            ready: Family::default(),
            faults: Family::default(),
            stages: Histograms::new(
                "rag_stage_duration_seconds",
                "Seconds that a stage of a query took.",
                Stage::ALL.map(stage_labels),
            ),
            requests: Histograms::new(
                "http_server_request_duration_seconds",
                "Seconds from a request's head to the end of its response.",
                requests,
            ),
            generations: seconds(
                "gen_ai_server_request_duration_seconds",
                "Seconds from entering the model's queue to the last token.",
            ),
            first_tokens: seconds(
                "gen_ai_server_time_to_first_token_seconds",
                "Seconds from entering the model's queue to the first token.",
            ),
            per_token: seconds(
                "gen_ai_server_time_per_output_token_seconds",
                "Seconds between tokens after the first, by answer.",
            ),
            db: Histograms::new(
                "db_client_operation_duration_seconds",
                "Seconds that the vector store took for an operation.",
                [db_labels.clone()],
            ),
            gen_ai,
            db_labels,
            classic_buckets,
        };
        metrics.register();
        metrics.foresee();
        metrics
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("rag_queries", "Queries that have ended", self.queries.clone());
        r.register("rag_cache_requests", "Questions, by how they met the cache", self.cache.clone());
        r.register("rag_logins", "Logins, by result", self.logins.clone());
        r.register("rag_llm_tokens", "Tokens read and written by the model", self.tokens.clone());
        r.register("rag_llm_active", "Answers being generated", self.llm_active.clone());
        r.register("rag_llm_queued", "Answers that wait for a slot", self.llm_queued.clone());
        r.register("rag_llm_slots", "Answers that can be generated at once", self.llm_slots.clone());
        r.register("rag_passages", "Passages that answers are drawn from", self.passages.clone());
        r.register("rag_part_ready", "Whether the part behind a stage is available", self.ready.clone());
        r.register("rag_fault_planted", "The amount of a planted fault, 0 for none", self.faults.clone());
    }

    fn foresee(&self) {
        for role in Role::ALL {
            for outcome in Outcome::ALL {
                let labels = QueryLabels { role: role.as_str(), outcome: outcome.as_str() };
                self.queries.get_or_create(&labels).inc_by(0);
            }
        }
        for result in CacheResult::ALL {
            self.cache.get_or_create(&ResultLabel { result: result.as_str() }).inc_by(0);
        }
        for result in ["ok", "wrong", "rejected"] {
            self.logins.get_or_create(&ResultLabel { result }).inc_by(0);
        }
        for gen_ai_token_type in ["input", "output"] {
            self.tokens.get_or_create(&TokenLabel { gen_ai_token_type }).inc_by(0);
        }
    }

    /// A stage is done, or has failed.
    pub(crate) fn stage(&self, stage: Stage, duration: Duration, trace: &Trace) {
        self.stages.record(stage_labels(stage), duration, trace);
    }

    /// A response is done; `route` is `None` for a path that does not exist.
    pub(crate) fn request(
        &self,
        method: &str,
        route: Option<&str>,
        status: u16,
        duration: Duration,
        trace: &Trace,
    ) {
        self.requests.record(request_labels(method, route, status), duration, trace);
    }

    /// A query has ended.
    pub(crate) fn query(&self, role: Role, outcome: Outcome) {
        let labels = QueryLabels { role: role.as_str(), outcome: outcome.as_str() };
        self.queries.get_or_create(&labels).inc();
    }

    /// A question met the cache.
    pub(crate) fn cache(&self, result: CacheResult) {
        self.cache.get_or_create(&ResultLabel { result: result.as_str() }).inc();
    }

    /// Someone tried to log in: `ok`, `wrong` or `rejected`.
    pub(crate) fn login(&self, result: &'static str) {
        self.logins.get_or_create(&ResultLabel { result }).inc();
    }

    /// The vector store has answered.
    pub(crate) fn db(&self, duration: Duration, trace: &Trace) {
        self.db.record(self.db_labels.clone(), duration, trace);
    }

    /// The first token of an answer has come.
    pub(crate) fn first_token(&self, after: Duration, trace: &Trace) {
        self.first_tokens.record(self.gen_ai.clone(), after, trace);
    }

    /// An answer is done: how long it took in all and to its first token, and how many tokens went in and came out.
    pub(crate) fn generation(
        &self,
        duration: Duration,
        first: Duration,
        (input, output): (u32, u32),
        trace: &Trace,
    ) {
        self.generations.record(self.gen_ai.clone(), duration, trace);
        if output > 1 {
            let each = duration.saturating_sub(first) / (output - 1);
            self.per_token.record(self.gen_ai.clone(), each, trace);
        }
        for (gen_ai_token_type, n) in [("input", input), ("output", output)] {
            self.tokens.get_or_create(&TokenLabel { gen_ai_token_type }).inc_by(n.into());
        }
    }

    /// Everything now, sorted by name, the process' own metrics among it.
    pub(crate) fn families(&self, now: &Now) -> Vec<MetricFamily> {
        self.llm_active.set(now.llm.active as i64);
        self.llm_queued.set(now.llm.queued as i64);
        self.llm_slots.set(now.llm.slots as i64);
        self.passages.set(now.passages as i64);
        for (stage, ready) in &now.ready {
            self.ready.get_or_create(&StageLabel { stage: stage.as_str() }).set((*ready).into());
        }
        for kind in Kind::all() {
            let amount = now.faults.iter().find(|f| f.kind == kind).map_or(0.0, |f| f.amount);
            self.faults.get_or_create(&FaultLabel { fault: kind.name() }).set(amount);
        }
        let mut text = String::new();
        let mut out = Families::new();
        exporter::process::own(&mut out);
        let encoded = encode(&mut text, &self.registry).is_ok();
        let families = if encoded { parse_families(&text, Dialect::OpenMetrics) } else { Ok(Vec::new()) };
        let histograms =
            [&self.stages, &self.requests, &self.generations, &self.first_tokens, &self.per_token, &self.db];
        let histograms = histograms.map(|h| h.family(self.classic_buckets));
        for family in families.unwrap_or_default().into_iter().chain(histograms) {
            for metric in family.metrics {
                out.push(family.metric_type, &family.name, &family.help, metric);
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

/// The route of a path, if there is one.
pub(crate) fn route(path: &str) -> Option<&'static str> {
    ROUTES.iter().map(|(_, route, _)| *route).find(|route| *route == path)
}

#[cfg(test)]
mod tests {
    use assay_model::{
        MetricType,
        expo::{Format, MetricValue, ScrapeValue, read_scrape},
    };

    use super::*;

    fn metrics() -> Metrics {
        let names = Names { model: "m", provider: "assay", db_system: "in-process" };
        Metrics::new(&names, true)
    }

    fn find(families: &[MetricFamily], name: &str) -> MetricFamily {
        families.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("{name} is missing")).clone()
    }

    #[test]
    fn series_are_there_at_zero_and_count() {
        let metrics = metrics();
        let families = metrics.families(&Now::default());
        assert_eq!(find(&families, "rag_stage_duration_seconds").metrics.len(), 5);
        let queries = find(&families, "rag_queries_total");
        assert_eq!((queries.metrics.len(), queries.metric_type), (12, MetricType::Counter));
        assert_eq!(find(&families, "rag_cache_requests_total").metrics.len(), 3);

        let (duration, first) = (Duration::from_millis(1100), Duration::from_millis(100));
        metrics.generation(duration, first, (400, 101), &None);
        let families = metrics.families(&Now::default());
        let per_token = find(&families, "gen_ai_server_time_per_output_token_seconds");
        let MetricValue::Histogram(value) = &per_token.metrics[0].value else { panic!("no histogram") };
        assert!((value.sum - 0.01).abs() < 1e-9 && value.count == 1.0);
        let counts: Vec<f64> = value.buckets.iter().map(|b| b.cumulative_count).collect();
        assert_eq!((counts[2], counts[3], counts.len()), (0.0, 1.0, 19), "bounds are inclusive");
    }

    #[test]
    fn exemplars_name_the_trace_in_every_format_that_has_them() {
        let metrics = metrics();
        let trace: Trace = Some("0af7651916cd43dd8448eb211c80319c".into());
        metrics.stage(Stage::Embed, Duration::from_millis(30), &trace);
        let families = metrics.families(&Now::default());
        for format in [Format::OpenMetrics, Format::Protobuf] {
            let scrape = read_scrape(format, &format.encode(&families)).unwrap();
            let found = scrape.samples.iter().filter(|s| !s.exemplars.is_empty());
            let names: Vec<_> = found.map(|s| s.labels.to_string()).collect();
            assert!(names.iter().any(|n| n.contains("rag_stage_duration_seconds")), "{format:?}: {names:?}");
        }
        let scrape = read_scrape(Format::Protobuf, &Format::Protobuf.encode(&families)).unwrap();
        assert!(scrape.samples.iter().any(|s| matches!(s.value, ScrapeValue::Histogram(_))));
    }

    #[test]
    fn made_up_methods_and_paths_make_no_series() {
        assert_eq!(request_labels("BREW", None, 405).get("http_request_method"), Some("_OTHER"));
        assert_eq!((route("/query"), route("/query/1")), (Some("/query"), None));
    }
}
